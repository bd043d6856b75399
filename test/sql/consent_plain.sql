-- Plain SELECT: with pgcredit.purpose set a statement opens access by itself, gives exactly the rows that consents cover,
-- and leaves an entry of what it intended and one of what it was given.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE plain_bank;
CREATE ROLE plain_other;
CREATE ROLE plain_tax;
CREATE ROLE plain_portal;
CREATE ROLE plain_nobody;
GRANT credit_institution TO plain_bank, plain_other, plain_nobody;
GRANT credit_portal TO plain_portal;
SELECT credit.register_institution('plain_bank', '甲银行', 'Bank A', 'commercial_bank', 'plain_bank') > 0 AS bank,
       credit.register_institution('plain_other', '乙银行', 'Bank B', 'commercial_bank', 'plain_other') > 0 AS other,
       credit.register_institution('plain_tax', '税务局', 'Tax office', 'tax', 'plain_tax') > 0 AS tax;
SELECT credit.register_subject(kind => 'village', code => 'plain-1', name => '甲村') AS s1,
       credit.register_subject(kind => 'village', code => 'plain-2', name => '乙村') AS s2,
       credit.register_subject(kind => 'village', code => 'plain-3', name => '丙村') AS s3 \gset
-- Three days of two categories each, and one category that is public by law.
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s, c.category_id, i.institution_id, DATE '2026-03-01' + n, 'neutral', format('plain-%s', n), jsonb_build_object('n', n), 0
  FROM unnest(ARRAY[:s1, :s2, :s3]::bigint[]) s, credit.category c, credit.institution i, generate_series(1, 3) n
 WHERE c.code IN ('tax_payment', 'social_insurance', 'administrative_penalty') AND i.code = 'plain_tax';
CREATE SCHEMA plain;
GRANT USAGE, CREATE ON SCHEMA plain TO plain_bank, plain_other;
CREATE TABLE plain.subject AS SELECT format('s%s', n) AS name, id FROM unnest(ARRAY[:s1, :s2, :s3]::bigint[]) WITH ORDINALITY x(id, n);
CREATE TABLE plain.category AS SELECT category_id, code FROM credit.category
 WHERE code IN ('tax_payment', 'social_insurance', 'administrative_penalty');
GRANT SELECT ON plain.subject, plain.category TO PUBLIC;
CREATE FUNCTION plain.wait() RETURNS bigint LANGUAGE plpgsql AS $$
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
-- What accesses left in the log since an entry, with the subjects' names here. Entries of one access are in no particular order.
CREATE FUNCTION plain.log(since bigint) RETURNS TABLE (kind text, institution text, purpose text, operation text, categories text,
                                                       subjects text, consents text, withheld text, reason text)
LANGUAGE sql AS $$
    SELECT l.kind, l.institution, l.purpose, l.operation, l.categories::text,
           (SELECT string_agg(n.name, ',' ORDER BY n.name)
              FROM jsonb_array_elements_text(l.subjects) t JOIN credit.subject s ON credit._subject_token(s.subject_id, s.log_salt) = t
              JOIN plain.subject n ON n.id = s.subject_id),
           (SELECT string_agg(jsonb_array_length(c)::text, ',') FROM jsonb_array_elements(l.consents) c),
           max(l.entry::jsonb ->> 'withheld') OVER (PARTITION BY l.access), l.reason
      FROM credit.audit_log l
     WHERE l.seq > since AND l.kind IN ('access', 'intent', 'refusal')
     ORDER BY min(l.seq) OVER (PARTITION BY l.access), l.kind <> 'intent', l.operation NULLS FIRST, 6
$$;
RESET client_min_messages;
\set VERBOSITY terse

SET ROLE plain_portal;
SELECT credit.grant_consent(:s1, 'plain_bank', '{tax_payment,social_insurance}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') AS c1,
       credit.grant_consent(:s2, 'plain_bank', '{tax_payment}', '{pre_loan,post_loan}', now() - interval '1 hour', now() + interval '1 day') AS c2,
       credit.grant_consent(:s3, 'plain_bank', '{tax_payment}', '{post_loan}', now() - interval '1 hour', now() + interval '1 day') AS c3 \gset
RESET ROLE;
UPDATE credit.consent SET data_from = '2026-03-03' WHERE subject_id = :s2 AND consent_id = :c2;
SELECT plain.wait() AS start \gset

-- Without a purpose, a clear error; with one, exactly what consents cover, by day too. The entries stand in the log.
SET ROLE plain_bank;
SELECT count(*) FROM credit.record;
SET pgcredit.purpose = 'pre_loan';
SELECT s.name, c.code, r.dated FROM credit.record r JOIN plain.subject s ON s.id = r.subject_id JOIN plain.category c USING (category_id)
 WHERE c.code <> 'administrative_penalty' ORDER BY 1, 2, 3;
RESET ROLE;
SELECT * FROM plain.log(:start);
SELECT plain.wait() AS start \gset

-- Each way to say it: the same rows of s1 and s2, nobody else's.
SET ROLE plain_bank;
CREATE TEMP TABLE way (n serial, way text, rows bigint);
CREATE VIEW plain.tax AS SELECT r.* FROM credit.record r JOIN plain.category c USING (category_id) WHERE c.code = 'tax_payment';
ALTER VIEW plain.tax SET (security_invoker = true);
CREATE FUNCTION plain.inlined() RETURNS SETOF bigint LANGUAGE sql STABLE AS 'SELECT subject_id FROM plain.tax';
CREATE FUNCTION plain.loop() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    r record;
    n bigint := 0;
BEGIN
    FOR r IN SELECT * FROM plain.tax LOOP
        n := n + 1;
    END LOOP;
    RETURN n;
END
$$;
INSERT INTO way (way, rows) SELECT 'join', count(*) FROM credit.record r JOIN plain.category c USING (category_id) WHERE c.code = 'tax_payment';
INSERT INTO way (way, rows) SELECT 'subquery', count(*) FROM credit.record WHERE category_id = (SELECT category_id FROM plain.category WHERE code = 'tax_payment');
INSERT INTO way (way, rows) WITH x AS MATERIALIZED (SELECT * FROM credit.record) SELECT 'cte', count(*) FROM x JOIN plain.category c USING (category_id) WHERE code = 'tax_payment';
INSERT INTO way (way, rows) SELECT 'view', count(*) FROM plain.tax;
INSERT INTO way (way, rows) SELECT 'function', count(*) FROM plain.inlined();
INSERT INTO way (way, rows) SELECT 'loop', plain.loop();
INSERT INTO way (way, rows) SELECT 'exists', count(*) * 4 FROM plain.subject s WHERE EXISTS (SELECT FROM plain.tax t WHERE t.subject_id = s.id) AND s.name IN ('s1', 's2', 's3') HAVING count(*) = 2;
INSERT INTO way (way, rows) SELECT 'aggregate', sum(n) FROM (SELECT subject_id, count(*) AS n FROM plain.tax GROUP BY 1) x;
INSERT INTO way (way, rows) SELECT 'window', max(n) FROM (SELECT row_number() OVER () AS n FROM plain.tax) x;
INSERT INTO way (way, rows) SELECT 'union', count(*) FROM (SELECT record_id FROM plain.tax UNION SELECT record_id FROM plain.tax) x;
CREATE TABLE plain.copied AS SELECT record_id FROM plain.tax;
INSERT INTO way (way, rows) SELECT 'create table as', count(*) FROM plain.copied;
PREPARE tax (text) AS INSERT INTO way (way, rows) SELECT $1, count(*) FROM plain.tax;
SET plan_cache_mode = force_generic_plan;
EXECUTE tax('generic plan');
EXECUTE tax('generic plan again');
RESET plan_cache_mode;
DO $$ BEGIN INSERT INTO way (way, rows) SELECT 'do block', count(*) FROM plain.tax; END $$;
BEGIN;
DECLARE few CURSOR FOR SELECT 1 FROM plain.tax;
FETCH 2 FROM few;
MOVE ALL FROM few;
COMMIT;
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT 1 AS held FROM plain.tax;
COMMIT;
FETCH ALL FROM held;
CLOSE held;
COPY (SELECT dated FROM plain.tax ORDER BY 1) TO STDOUT;
EXPLAIN (COSTS OFF) SELECT count(*) FROM credit.record;
SELECT count(*) > 0 AS explained FROM (SELECT plain.loop()) x;
DO $$ BEGIN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM plain.tax'; END $$;
SELECT way, rows FROM way ORDER BY n;
SELECT count(*) FROM (SELECT 1 FROM plain.tax FOR UPDATE) x;
RESET ROLE;
-- Every statement that met a row left an intent before it and, in the end, the same two subjects.
SELECT kind, operation, subjects, count(*) FROM plain.log(:start) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT plain.wait() AS start \gset

-- A statement that fails or is rolled back: what it was given is in the log all the same.
SET ROLE plain_bank;
BEGIN;
SELECT 1 / (extract(day FROM dated) - 3)::integer FROM plain.tax WHERE subject_id = :s1 ORDER BY dated;
ROLLBACK;
BEGIN;
SAVEPOINT a;
SELECT 1 / (extract(day FROM dated) - 3)::integer FROM plain.tax WHERE subject_id = :s1 ORDER BY dated;
ROLLBACK TO a;
SELECT count(*) FROM plain.tax WHERE subject_id = :s2;
ROLLBACK;
-- A function that catches the error goes on under the access of its statement.
CREATE FUNCTION plain.catches(subject bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 / (extract(day FROM dated) - 3)::integer FROM plain.tax WHERE subject_id = subject;
    RETURN 'no error';
EXCEPTION WHEN division_by_zero THEN
    RETURN 'caught, ' || (SELECT count(*) FROM plain.tax WHERE subject_id = subject);
END
$$;
SELECT plain.catches(:s1);
RESET ROLE;
SELECT kind, operation, subjects, withheld FROM plain.log(:start);
SELECT plain.wait() AS start \gset

-- Another purpose, another institution, none at all, a purpose that does not exist, a suspended one.
SET ROLE plain_bank;
SET pgcredit.purpose = 'post_loan';
SELECT s.name, count(*) FROM plain.tax r JOIN plain.subject s ON s.id = r.subject_id GROUP BY 1 ORDER BY 1;
SET ROLE plain_other;
SELECT count(*) FROM credit.record r JOIN plain.category c USING (category_id) WHERE c.code <> 'administrative_penalty';
SELECT count(*) FROM credit.record r JOIN plain.category c USING (category_id) WHERE c.code = 'administrative_penalty'
   AND subject_id IN (SELECT id FROM plain.subject);
SET ROLE plain_nobody;
SELECT count(*) FROM credit.record;
SET ROLE plain_bank;
SET pgcredit.purpose = 'no_such';
SELECT count(*) FROM credit.record;
RESET ROLE;
SET pgcredit.purpose = 'post_loan';
SELECT credit.set_institution_status('plain_bank', 'suspended');
SET ROLE plain_bank;
SELECT count(*) FROM credit.record;
RESET ROLE;
SELECT credit.set_institution_status('plain_bank', 'active');
SELECT kind, institution, purpose, subjects, withheld, reason FROM plain.log(:start);

-- Revoked between two statements of one transaction with an old snapshot: the second does not see it.
SET ROLE plain_bank;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM plain.tax WHERE subject_id = :s3;
RESET ROLE;
SELECT credit.revoke_consent(:s3, :c3);
SET ROLE plain_bank;
SELECT count(*) FROM plain.tax WHERE subject_id = :s3;
COMMIT;
-- What was opened by name is not widened by the purpose.
BEGIN;
SELECT count(*) FROM credit.open_access(:s2, 'post_loan', '{tax_payment}');
SELECT count(*) FROM credit.record WHERE subject_id IN (SELECT id FROM plain.subject);
COMMIT;
RESET ROLE;
-- Above its clearance the bank sees no record whole, and by the category's view with fields covered.
SELECT credit.set_institution_clearance('plain_bank', 1);
SET ROLE plain_bank;
SELECT count(*) FROM plain.tax;
SELECT count(*), count(DISTINCT masked) AS masks, bool_and(cardinality(masked) > 0) AS covered FROM credit.tax_payment;
RESET ROLE;
SELECT credit.set_institution_clearance('plain_bank', 4);
SELECT plain.wait() AS start \gset

-- Counted: a row that needs the consent uses it; then it is used up.
INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, granted_by, kind, use_limit)
SELECT :s3, i.institution_id, ARRAY(SELECT category_id FROM plain.category WHERE code <> 'administrative_penalty'), '{post_loan}',
       now() - interval '1 hour', now() + interval '1 day', 'test', 'one_time', 1
  FROM credit.institution i WHERE i.code = 'plain_bank' RETURNING consent_id AS once \gset
SET ROLE plain_bank;
SELECT count(*) FROM credit.record WHERE subject_id = :s3 AND category_id IN (SELECT category_id FROM plain.category WHERE code <> 'administrative_penalty');
SELECT count(*) FROM credit.record WHERE subject_id = :s3 AND category_id IN (SELECT category_id FROM plain.category WHERE code <> 'administrative_penalty');
RESET ROLE;
SELECT count(*) AS uses FROM credit.audit_use WHERE consent_id = :once;
SELECT kind, operation, categories, subjects, consents, withheld, reason FROM plain.log(:start);

RESET pgcredit.purpose;
SET client_min_messages = warning;
DROP SCHEMA plain CASCADE;
DELETE FROM credit.audit_use WHERE consent_id = :once;
DELETE FROM credit.record WHERE subject_id IN (:s1, :s2, :s3);
DELETE FROM credit.consent WHERE subject_id IN (:s1, :s2, :s3);
DELETE FROM credit.subject_attribute WHERE subject_id IN (:s1, :s2, :s3);
DELETE FROM credit.subject WHERE subject_id IN (:s1, :s2, :s3);
DELETE FROM credit.institution WHERE code LIKE 'plain_%';
DROP OWNED BY plain_bank, plain_other, plain_portal, plain_nobody, plain_tax;
DROP ROLE plain_bank, plain_other, plain_portal, plain_nobody, plain_tax;
