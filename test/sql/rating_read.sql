-- Institutions read ratings through the guard: consent decides, the entry is durable before the row, a refusal is an entry.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE rr_operator; CREATE ROLE rr_bank; CREATE ROLE rr_other; CREATE ROLE rr_portal; CREATE ROLE rr_analyst;
GRANT credit_operator TO rr_operator;
GRANT credit_institution TO rr_bank, rr_other;
GRANT credit_portal TO rr_portal;
GRANT credit_analyst TO rr_analyst;
\set VERBOSITY terse
\pset format unaligned
SELECT credit.register_institution('rr_bank', '评级银行', 'Bank', 'commercial_bank', 'rr_bank') > 0 AS bank,
       credit.register_institution('rr_other', '另一银行', 'Other', 'commercial_bank', 'rr_other') > 0 AS other;
INSERT INTO credit.subject (kind, code, name) SELECT 'village', 'rr-' || g, '村' FROM generate_series(1, 4) g;
SELECT string_agg(subject_id::text, ' ' ORDER BY code) AS ids, min(subject_id) AS s1 FROM credit.subject WHERE code LIKE 'rr-_' \gset
SELECT :s1 + 1 AS s2, :s1 + 2 AS s3, :s1 + 3 AS s4 \gset
SELECT credit.create_model(jsonb_build_object('name', n, 'initial_score', 1, 'reasons', '[{"code": "R1"}]'::jsonb, 'baseline_score', 9, 'valid_months', 12,
    'characteristics', '[{"name": "age", "reason_code": "R1", "data_type": "number", "attributes": [{"kind": "interval", "high": 40, "closure": "openOpen", "points": 5}, {"kind": "other", "points": 1}, {"kind": "missing", "points": 0}]}]'::jsonb,
    'grades', '[{"grade": "A", "low": 5}, {"grade": "B", "high": 5}]'::jsonb, 'caps', '[{"when": "age > 20", "grade": "B", "title_zh": "超龄"}]'::jsonb)) > 0 AS made
  FROM unnest('{rr_regress,rr_closed}'::text[]) n;
SELECT length(credit.publish_model('rr_regress')) + length(credit.publish_model('rr_closed'));
SELECT count(credit.rate(m, s, r)) AS rated FROM unnest(ARRAY[:s1, :s2, :s3]) s, unnest('{rr_regress,rr_closed}'::text[]) m, (SELECT 30 AS age) r;
SELECT credit.rate('rr_regress', :s1, r) > 0 AS again FROM (SELECT 10 AS age) r;
CREATE FUNCTION rr_wait() RETURNS bigint LANGUAGE plpgsql AS $$
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
CREATE VIEW rr_log AS
SELECT seq, kind, actor, purpose, categories, reason,
       (SELECT string_agg(s.code, ',' ORDER BY s.code) FROM credit.subject s WHERE a.subjects ? credit._subject_token(s.subject_id, s.log_salt)) AS subject
  FROM credit.audit_log a WHERE kind IN ('access', 'refusal', 'intent');
CREATE FUNCTION rr_try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
    said text;
    detail text;
BEGIN
    EXECUTE format('SELECT count(*) FROM (%s) x', statement) INTO n;
    RETURN n || ' rows';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || regexp_replace(said || coalesce(' | ' || nullif(detail, ''), ''), '[0-9]+', 'N', 'g');
END
$$;
SELECT rr_wait() AS from_here \gset

-- a model is assigned to nothing at first, and never to a category that the law makes public
SET ROLE rr_bank;
SELECT rr_try(format('SELECT * FROM credit.read_rating(%s::bigint, ''pre_loan'', ''rr_regress'')', :s1));
SELECT rr_try('SELECT * FROM credit.rating');
SELECT rr_try('SELECT credit.set_rating_category(''rr_regress'', ''tax_payment'')') LIKE '42501%' AS not_the_banks_to_say;
SET ROLE rr_operator;
SELECT rr_try('SELECT credit.set_rating_category(''rr_regress'', ''none'')'), rr_try('SELECT credit.set_rating_category(''none'', ''tax_payment'')'),
       rr_try('SELECT credit.set_rating_category(NULL, ''tax_payment'')');
RESET ROLE;
SELECT code AS public_one FROM credit.category WHERE public_by_law ORDER BY category_id LIMIT 1 \gset
SET ROLE rr_operator;
SELECT rr_try(format('SELECT credit.set_rating_category(''rr_regress'', %L)', :'public_one')) LIKE 'PC417%' AS public_refused;
SELECT credit.set_rating_category('rr_regress', 'social_insurance'), credit.set_rating_category('rr_regress', 'tax_payment');
SET ROLE rr_portal;
SELECT credit.grant_consent(:s1, 'rr_bank', '{tax_payment}', '{pre_loan}', '2020-01-01', '2100-01-01') AS c1,
       credit.grant_consent(:s2, 'rr_bank', '{social_insurance}', '{pre_loan}', '2020-01-01', '2100-01-01') AS c2,
       credit.grant_consent(:s4, 'rr_bank', '{tax_payment}', '{pre_loan}', '2020-01-01', '2100-01-01') AS c4 \gset
RESET ROLE;
SELECT rr_wait() > :from_here;

-- under consent: the newest, without the inputs, with the grade of the score and the rule
SET ROLE rr_bank;
SELECT version > 0 AS versioned, score, grade, score_grade, grade_rule, rule_zh, reasons, valid_until > rated_at::date AS valid FROM credit.read_rating(:s1::bigint, 'pre_loan', 'rr_regress');
-- without: another category, another subject, another purpose, no rating, an unknown subject, nothing
SELECT n, rr_try(format('SELECT * FROM credit.read_rating(%s, %L, ''rr_regress'')', s, p))
  FROM (VALUES (1, :'s2' || '::bigint', 'pre_loan'), (2, :'s3' || '::bigint', 'pre_loan'), (3, :'s1' || '::bigint', 'post_loan'), (4, :'s4' || '::bigint', 'pre_loan'),
               (5, '8999999999::bigint', 'pre_loan'), (6, 'NULL::bigint', 'pre_loan'), (7, :'s1' || '::bigint', NULL), (8, 'NULL::bigint[]', 'pre_loan')) v(n, s, p) ORDER BY n;
SELECT rr_try(format('SELECT * FROM credit.read_rating(%s::bigint, ''pre_loan'', NULL)', :s1)), rr_try(format('SELECT * FROM credit.read_rating(%s::bigint, ''pre_loan'', ''rr_closed'')', :s1));
-- of many, what is granted
SELECT subject_id - :s1 AS who, grade, score_grade, grade_rule FROM credit.read_rating(ARRAY[:s3, :s2, :s1, :s1, :s4]::bigint[], 'pre_loan', 'rr_regress');
SET ROLE rr_other;
SELECT rr_try(format('SELECT * FROM credit.read_rating(%s::bigint, ''pre_loan'', ''rr_regress'')', :s1));
RESET ROLE;
-- who looked and who was refused is in the log, in this order
SELECT kind, actor, purpose, categories, reason, subject FROM rr_log WHERE seq > :from_here ORDER BY seq;

-- durable before the row: it is there for everybody while the reader's transaction is open, and after its rollback
SELECT rr_wait() AS from_here \gset
BEGIN;
SET LOCAL ROLE rr_bank;
SELECT grade FROM credit.read_rating(:s1::bigint, 'pre_loan', 'rr_regress');
RESET ROLE;
SELECT kind, actor, subject FROM rr_log WHERE seq > :from_here ORDER BY seq;
ROLLBACK;
SELECT kind, actor, subject FROM rr_log WHERE seq > :from_here ORDER BY seq;

-- never around it: no step of the function shows what is not open, nor other columns, nor another model
SET ROLE rr_bank;
SELECT rr_try(format('SELECT * FROM credit._shown_ratings(ARRAY[%s]::bigint[], ''rr_regress'')', :s1));
SELECT rr_try('SELECT inputs FROM credit.rating'), rr_try('SELECT count(*) FROM credit.current_rating(1, ''rr_regress'')') LIKE '42501%' AS no_other_way;
BEGIN;
SELECT granted FROM credit.open_access(:s1::bigint, 'pre_loan', '{tax_payment}');
SELECT model, count(*) FROM credit.rating GROUP BY model;
SELECT count(*) FROM credit._shown_ratings(ARRAY[:s1, :s2, :s3]::bigint[], 'rr_regress');
SELECT count(*) FROM credit._shown_ratings(ARRAY[:s1]::bigint[], 'rr_closed');
COMMIT;
-- plain SQL opens access by itself, as for records
RESET ROLE;
SELECT rr_wait() AS from_here \gset
SET ROLE rr_bank;
SET pgcredit.purpose = 'pre_loan';
SELECT subject_id - :s1 AS who, grade FROM credit.rating WHERE subject_id BETWEEN :s1 AND :s4 ORDER BY rating_id;
RESET pgcredit.purpose;
RESET ROLE;
SELECT rr_wait() > 0;
SELECT kind, actor, purpose, categories IS NOT NULL AS has_categories, subject FROM rr_log WHERE seq > :from_here ORDER BY seq;
-- operators read all of it as before, analysts none
SET ROLE rr_operator;
SELECT count(*), count(inputs) FROM credit.rating WHERE subject_id BETWEEN :s1 AND :s4;
SET ROLE rr_analyst;
SELECT rr_try('SELECT grade FROM credit.rating') LIKE '42501%' AS none, rr_try('SELECT * FROM credit.read_rating(1::bigint, ''pre_loan'', ''rr_regress'')') LIKE '42501%' AS nor_by_function;
RESET ROLE;
-- a role below the level of the category: covered, whatever a model's grades are; the access and the refusal are entries all the same
SET ROLE rr_operator;
SELECT credit.set_institution_clearance('rr_bank', 2), credit.set_category_level('tax_payment', 3);
RESET ROLE;
SELECT rr_wait() AS from_here \gset
SET ROLE rr_bank;
SELECT subject_id - :s1 AS who, version > 0 AS versioned, score, grade, score_grade, grade_rule, rule_zh, rule_en, reasons, rated_at IS NOT NULL AS rated, valid_until > rated_at::date AS valid, masked
  FROM credit.read_rating(:s1::bigint, 'pre_loan', 'rr_regress');
SELECT subject_id - :s1 AS who, grade, masked FROM credit.read_rating(ARRAY[:s1, :s2]::bigint[], 'pre_loan', 'rr_regress');
SELECT rr_try(format('SELECT * FROM credit.read_rating(%s::bigint, ''pre_loan'', ''rr_regress'')', :s2));
-- neither the table nor the view behind the function says more, nor anything when nothing is open
SELECT rr_try('SELECT * FROM credit._rating_shown');
BEGIN;
SELECT granted FROM credit.open_access(:s1::bigint, 'pre_loan', '{tax_payment}');
SELECT count(score) AS by_table FROM credit.rating;
SELECT DISTINCT whole, score, grade, score_grade, grade_rule, reasons FROM credit._rating_shown;
SELECT count(*) AS by_condition FROM credit._rating_shown WHERE grade IN ('A', 'B') OR score > 0;
COMMIT;
RESET ROLE;
SELECT rr_wait() > 0;
SELECT kind, actor, reason, subject FROM rr_log WHERE seq > :from_here ORDER BY seq;
-- a model of which some fields alone are above: the rating is whole or not, it has no fields of its own
SET ROLE rr_operator;
SELECT credit.set_category_level('tax_payment', 2);
SET ROLE rr_bank;
SELECT grade, score_grade, grade_rule, masked FROM credit.read_rating(:s1::bigint, 'pre_loan', 'rr_regress');
RESET ROLE;
SELECT credit.set_category_level('tax_payment', 3), credit.set_institution_clearance('rr_bank', 4);
-- a category that became public later shows no rating
SELECT credit.set_category_public('tax_payment', true, 'test');
SET ROLE rr_bank;
SELECT rr_try(format('SELECT * FROM credit.read_rating(%s::bigint, ''pre_loan'', ''rr_regress'')', :s1));
BEGIN;
SELECT granted FROM credit.open_access(:s1::bigint, 'pre_loan', '{tax_payment}');
SELECT count(*) FROM credit.rating;
COMMIT;
RESET ROLE;
SELECT credit.set_category_public('tax_payment', false);
-- days of records that a consent covers are those of the rating, in Asia/Shanghai: the newest of them, not the newest of all
SET ROLE rr_portal;
SELECT credit.grant_consent(:s3, 'rr_bank', '{tax_payment}', '{pre_loan}', '2020-01-01', '2100-01-01', data_from => '2024-01-01', data_to => '2025-01-01') > 0 AS of_2024;
SET ROLE rr_bank;
SELECT count(*) FROM credit.read_rating(:s3::bigint, 'pre_loan', 'rr_regress');
RESET ROLE;
INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at)
SELECT :s3, m.model_id, g, 'B', '{}', sha256(''), '[]', 'test', t
  FROM credit.model m, (VALUES (1, timestamptz '2023-12-31 23:59:59+08'), (2, '2024-01-01 00:00:00+08'), (3, '2024-12-31 23:59:59+08'), (4, '2025-01-02 00:00:00+08')) v(g, t)
 WHERE m.name = 'rr_regress' ORDER BY g;
SET ROLE rr_bank;
SELECT score, grade FROM credit.read_rating(:s3::bigint, 'pre_loan', 'rr_regress');
BEGIN;
SELECT granted FROM credit.open_access(:s3::bigint, 'pre_loan', '{tax_payment}');
SELECT score FROM credit.rating ORDER BY score;
COMMIT;
-- covered, the same days
RESET ROLE;
SELECT credit.set_institution_clearance('rr_bank', 2);
SET ROLE rr_bank;
BEGIN;
SELECT granted FROM credit.open_access(:s3::bigint, 'pre_loan', '{tax_payment}');
SELECT (rated_at AT TIME ZONE 'Asia/Shanghai')::date AS day, grade FROM credit._rating_shown ORDER BY 1;
COMMIT;
RESET ROLE;
SELECT credit.set_institution_clearance('rr_bank', 4);
SET ROLE rr_bank;
-- of ratings that an index finds and the guard refuses, not even the number is told; nor do estimates tell who has many
RESET ROLE;
CREATE FUNCTION rr_told(condition text, OUT shown int, OUT removed int, OUT counted bigint, OUT estimate numeric) LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
    p json;
    counts text := 'SELECT sum(pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid)) FROM pg_class c
                     WHERE c.oid = ''credit.rating''::regclass OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ''credit.rating''::regclass)';
BEGIN
    EXECUTE counts INTO before;
    EXECUTE 'EXPLAIN (ANALYZE, TIMING off, FORMAT json) SELECT score FROM credit.rating WHERE ' || condition INTO p;
    EXECUTE counts INTO counted;
    counted := counted - before;
    p := p -> 0 -> 'Plan';
    shown := (p ->> 'Actual Rows')::numeric;
    removed := p ->> 'Rows Removed by Filter';
    estimate := p ->> 'Plan Rows';
END
$$;
INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by)
SELECT :s2, m.model_id, 1, 'B', '{}', sha256(''), '[]', 'test' FROM credit.model m, generate_series(1, 500) WHERE m.name = 'rr_regress';
ANALYZE credit.rating;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT shown, removed, counted > 500 AS counted FROM rr_told('subject_id = ' || :s2);
SET ROLE rr_bank;
BEGIN;
SELECT granted FROM credit.open_access(:s3::bigint, 'pre_loan', '{tax_payment}');
SELECT shown, removed, counted FROM rr_told('subject_id = ' || :s2);
SELECT a.estimate = b.estimate AS alike FROM rr_told('subject_id = ' || :s2) a, rr_told('subject_id = ' || :s4) b;
COMMIT;
RESET ROLE;
RESET enable_seqscan;
RESET enable_bitmapscan;
DROP FUNCTION rr_told;
-- taken back, it covers none
SET ROLE rr_portal;
SELECT credit.revoke_consent(:s1, :c1);
SET ROLE rr_bank;
SELECT rr_try(format('SELECT * FROM credit.read_rating(%s::bigint, ''pre_loan'', ''rr_regress'')', :s1)) LIKE 'PC%' AS taken_back;
SET ROLE rr_operator;
SELECT credit.set_rating_category('rr_regress', NULL);
RESET ROLE;
SELECT count(*) FROM credit.rating_category WHERE model LIKE 'rr_%';
SELECT rr_wait() > 0;
SELECT operation, actor FROM credit.audit_log WHERE kind = 'write' AND entry::jsonb ->> 'table' = 'rating_category' AND actor = 'rr_operator' ORDER BY seq;
DROP VIEW rr_log;
DROP FUNCTION rr_wait(), rr_try(text);
DELETE FROM credit.rating WHERE subject_id IN (:s1, :s2, :s3);
SELECT count(credit.erase_subject(s)) FROM unnest(ARRAY[:s1, :s2, :s3, :s4]) s;
DELETE FROM credit.institution WHERE code LIKE 'rr\_%';
DROP ROLE rr_operator, rr_bank, rr_other, rr_portal, rr_analyst;
