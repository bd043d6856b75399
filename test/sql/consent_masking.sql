-- Levels of fields, clearance of institutions: what is covered, in views, in credit.read, in credit.record.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE masking_high;
CREATE ROLE masking_low;
CREATE ROLE masking_tax;
CREATE ROLE masking_operator;
GRANT credit_institution TO masking_high, masking_low;
GRANT credit_provider TO masking_tax;
GRANT credit_operator TO masking_operator;
\set VERBOSITY terse
SELECT credit.register_institution('masking_high', '甲银行', 'Bank A', 'commercial_bank', 'masking_high') > 0 AS high,
       credit.register_institution('masking_low', '乙银行', 'Bank B', 'commercial_bank', 'masking_low') > 0 AS low,
       credit.register_institution('masking_tax', '税务局', 'Tax office', 'tax', 'masking_tax') > 0 AS tax;
SELECT credit.register_subject(kind => 'village', code => 'masking-1', name => '甲村') AS s1,
       credit.register_subject(kind => 'village', code => 'masking-2', name => '乙村') AS s2 \gset
CREATE FUNCTION masking_wait() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    FOR turn IN 1 .. 1000 LOOP
        IF NOT EXISTS (SELECT FROM credit.audit_outbox) THEN
            RETURN (SELECT coalesce(max(seq), 0) FROM credit.audit_entry);
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE EXCEPTION 'the outbox is not drained';
END
$$;

-- Shipped levels: 1 what is public by law, 4 what is about persons only, else 3; a new institution sees all.
SELECT level, count(*) AS categories, bool_and(public_by_law) AS public FROM credit.category WHERE category_id <= 108 GROUP BY level ORDER BY level;
SELECT DISTINCT clearance FROM credit.institution WHERE code LIKE 'masking_%';

SET ROLE masking_operator;
SELECT credit.define_category('masking_own', '自有', 'own', 'masking', '{area}', '{"open": true, "fields": {
    "name": {"type": "text", "level": 4}, "grade": {"type": "code", "codes": ["A", "B"], "level": 3}, "amount": {"type": "numeric", "level": 3},
    "n": {"type": "integer", "level": 2}, "day": {"type": "date", "level": 4}, "flag": {"type": "boolean", "level": 4},
    "town": {"type": "text"}}}') > 108 AS defined;
SELECT credit.set_category_level('masking_own', 1);
SELECT credit.set_category_level('masking_own', 0);
SELECT credit.set_category_level('masking_own', NULL);
SELECT credit.set_category_level('no_such', 1);
SELECT credit.set_institution_clearance('masking_low', 5);
SELECT credit.set_institution_clearance('no_such', 1);
RESET ROLE;
SET ROLE masking_low;
SELECT credit.set_institution_clearance('masking_low', 4);
SELECT credit.set_category_level('masking_own', 1);
RESET ROLE;
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s, c.category_id, i.institution_id, DATE '2026-03-01', 'neutral', x.key, x.payload::jsonb, 0
  FROM unnest(ARRAY[:s1, :s2]::bigint[]) s, credit.category c, credit.institution i, (VALUES
    ('1', '{"name": "张三", "grade": "A", "amount": 12.5, "n": 7, "day": "2026-02-28", "flag": true, "town": "宜兴", "extra": "unnamed", "more": {"a": [1]}, "no": 5}'),
    ('2', '{"name": "张", "grade": "B"}'), ('3', '{"name": 5, "amount": null, "day": 7}'), ('4', '["张三"]'), ('5', '{"name": "", "flag": "是"}')) x (key, payload)
 WHERE c.code = 'masking_own' AND i.code = 'masking_tax';
SELECT credit.grant_consent(s, b, '{masking_own}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') > 0 AS granted
  FROM unnest('{masking_high,masking_low}'::text[]) b, unnest(ARRAY[:s1, :s2]::bigint[]) s;

-- Cleared for everything: nothing is covered, the raw rows are there.
SET ROLE masking_high;
SELECT payload FROM credit.read(:s1, 'pre_loan', '{masking_own}') ORDER BY record_id;
BEGIN;
SELECT count(*) FROM credit.open_access(:s1, 'pre_loan', '{masking_own}');
SELECT name, grade, amount, n, day, flag, town, masked FROM credit.masking_own ORDER BY record_id;
SELECT count(*) AS raw FROM credit.record;
COMMIT;
RESET ROLE;

-- Each clearance: what is above it is covered.
CREATE FUNCTION masking_show(subject bigint) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM credit.open_access(subject, 'pre_loan', '{masking_own}');
    RETURN QUERY SELECT 'view   ' || v::text FROM (SELECT name, grade, amount, n, day, flag, town, masked
                                                     FROM credit.masking_own ORDER BY record_id LIMIT 1) v;
    RETURN QUERY SELECT 'read   ' || r.payload::text FROM credit.read(subject, 'pre_loan', '{masking_own}') r ORDER BY r.record_id;
    RETURN QUERY SELECT 'record ' || count(*) FROM credit.record;
END
$$;
GRANT EXECUTE ON FUNCTION masking_show(bigint) TO masking_low;
SET datestyle = 'ISO';
SELECT credit.set_institution_clearance('masking_low', 3);
SET ROLE masking_low; SELECT * FROM masking_show(:s1); RESET ROLE;
SELECT credit.set_institution_clearance('masking_low', 2);
SET ROLE masking_low; SELECT * FROM masking_show(:s1); RESET ROLE;
SELECT credit.set_institution_clearance('masking_low', 1);
SET ROLE masking_low; SELECT * FROM masking_show(:s1); RESET ROLE;
-- Fields without a level, and members that the schema does not name, have the category's.
SELECT credit.set_category_level('masking_own', 4);
SELECT credit.set_institution_clearance('masking_low', 3);
SET ROLE masking_low; SELECT * FROM masking_show(:s1); RESET ROLE;

-- Many subjects at once are covered too; conditions and groups see what is shown and nothing else.
SET ROLE masking_low;
SELECT count(*) AS rows, count(*) FILTER (WHERE payload::text ~ '张三|宜兴|unnamed|2026-02-28') AS uncovered
  FROM credit.read(ARRAY[:s1, :s2]::bigint[], 'pre_loan', '{masking_own}');
BEGIN;
SELECT count(*) FROM credit.open_access(ARRAY[:s1, :s2]::bigint[], 'pre_loan', '{masking_own}');
SELECT count(*) FROM credit.masking_own WHERE name = '张三';
SELECT count(*) FROM credit.masking_own WHERE name LIKE '张*%';
SELECT count(*) FROM credit.masking_own WHERE day = '2026-02-28' OR flag;
SELECT count(*) AS raw FROM credit.record WHERE payload ->> 'name' = '张三';
COMMIT;
-- Who asks is the current role: a look through somebody else's cursor or session shows no more.
BEGIN;
SELECT count(*) FROM credit.open_access(:s1, 'pre_loan', '{masking_own}');
PREPARE masking_p AS SELECT name, town FROM credit.masking_own ORDER BY record_id LIMIT 1;
EXECUTE masking_p;
RESET ROLE;
SET ROLE masking_high;
SELECT count(*) FROM credit.open_access(:s1, 'pre_loan', '{masking_own}');
EXECUTE masking_p;
COMMIT;
RESET ROLE;
-- A statement that runs in parallel.
SET ROLE masking_low;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SELECT set_config(name, 'regress', true) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT count(*) FROM credit.open_access(:s1, 'pre_loan', '{masking_own}');
SELECT v.name, v.masked, count(c.code) > 100 AS joined
  FROM credit.masking_own v JOIN credit.category c ON c.category_id > 0 WHERE v.n = 7 GROUP BY 1, 2;
COMMIT;
RESET ROLE;

-- A change binds what is opened after its commit; one that is not committed permits nothing.
BEGIN;
SELECT credit.set_institution_clearance('masking_low', 4);
SET LOCAL ROLE masking_low;
\set VERBOSITY sqlstate
SELECT count(*) FROM credit.open_access(:s1, 'pre_loan', '{masking_own}');
\set VERBOSITY terse
ROLLBACK;
BEGIN;
SELECT credit.set_category_level('masking_own', 1);
SET LOCAL ROLE masking_high;
SELECT count(*) FROM credit.open_access(:s1, 'pre_loan', '{masking_own}');
SELECT count(*) AS raw FROM credit.record;
SELECT name, cardinality(masked) AS masked FROM credit.masking_own ORDER BY record_id LIMIT 1;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL ROLE masking_high;
SELECT count(*) FROM credit.open_access(:s1, 'pre_loan', '{masking_own}');
SELECT name, masked FROM credit.masking_own ORDER BY record_id LIMIT 1;
COMMIT;

-- Levels and clearances are in the log.
SELECT masking_wait() > 0 AS waited;
SELECT DISTINCT table_name, operation FROM credit.audit_log
 WHERE actor = 'masking_operator' AND table_name IN ('credit.category', 'category') ORDER BY 1, 2;

DROP FUNCTION masking_show(bigint), masking_wait();
DELETE FROM credit.record WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.consent WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.subject_attribute WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.subject WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.category WHERE source_department = 'masking';
DELETE FROM credit.institution WHERE code LIKE 'masking_%';
DROP ROLE masking_high, masking_low, masking_tax, masking_operator;
