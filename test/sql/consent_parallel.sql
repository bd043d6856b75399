-- The guard in parallel workers: they see what their leader opened, and nothing else.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE parallel_bank;
CREATE ROLE parallel_other;
GRANT credit_institution TO parallel_bank, parallel_other;
SELECT credit.register_institution('parallel_bank', '甲银行', 'Bank A', 'commercial_bank', 'parallel_bank') > 0 AS bank,
       credit.register_institution('parallel_other', '乙银行', 'Bank B', 'commercial_bank', 'parallel_other') > 0 AS other;
CREATE SCHEMA parallel;
GRANT USAGE ON SCHEMA parallel TO parallel_bank, parallel_other;
CREATE TABLE parallel.s AS
SELECT n, credit.register_subject(kind => 'village', code => 'parallel-' || n, name => '村') AS id FROM generate_series(1, 300) n;
GRANT SELECT ON parallel.s TO parallel_bank, parallel_other;
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s.id, c.category_id, 1, DATE '2026-01-01' + g, 'neutral', g::text, jsonb_build_object('n', g), 0
  FROM parallel.s, credit.category c, generate_series(1, 10) g WHERE c.code IN ('tax_payment', 'social_insurance');
-- Every third subject, and of every second of these only the last five days.
INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, granted_by, data_from)
SELECT s.id, i.institution_id, ARRAY(SELECT category_id FROM credit.category WHERE code IN ('tax_payment', 'social_insurance')), '{pre_loan}',
       now() - interval '1 hour', now() + interval '1 hour', 'test', CASE WHEN s.n % 2 = 0 THEN DATE '2026-01-07' END
  FROM parallel.s, credit.institution i WHERE i.code = 'parallel_bank' AND s.n % 3 = 0;
ANALYZE credit.record;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
-- Only workers, so that what they see is what is shown.
SET parallel_leader_participation = off;
\set VERBOSITY terse
CREATE FUNCTION parallel.launched(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        IF line ~ 'Workers Launched|Gather|Parallel' THEN
            RETURN NEXT regexp_replace(line, '\(actual.*\)', '');
        END IF;
    END LOOP;
END
$$;
RESET client_min_messages;

SET ROLE parallel_bank;
SELECT count(*) FROM credit.record;
BEGIN;
SELECT count(*) FILTER (WHERE granted) AS granted FROM parallel.s, credit.open_access(ARRAY[s.id], 'pre_loan', '{tax_payment}');
SELECT * FROM parallel.launched('SELECT count(*), sum((payload ->> ''n'')::int) FROM credit.record');
SELECT count(*), count(DISTINCT subject_id), min(dated), sum((payload ->> 'n')::int) FROM credit.record;
-- What is opened later is seen by workers that start later.
SELECT count(*) FILTER (WHERE granted) AS granted FROM parallel.s, credit.open_access(ARRAY[s.id], 'pre_loan', '{social_insurance}') WHERE s.n <= 150;
SELECT count(*), count(DISTINCT subject_id), min(dated), sum((payload ->> 'n')::int) FROM credit.record;
-- Another role of the session has workers of its own, which have nothing.
RESET ROLE;
SET ROLE parallel_other;
SAVEPOINT a;
SELECT count(*) FROM credit.record;
ROLLBACK TO a;
SET ROLE parallel_bank;
SELECT count(*) FROM credit.record;
-- The planner expects what it would without the guard.
CREATE FUNCTION pg_temp.expected() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) SELECT FROM credit.record' INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END
$$;
SELECT pg_temp.expected() AS guarded \gset
RESET ROLE;
SELECT pg_temp.expected() = :guarded AS same;
SET ROLE parallel_bank;
COMMIT;
-- The transaction is over, and so is what it opened.
SELECT count(*) FROM credit.record;
-- A statement that opens by itself runs in one process, with the plan that it has.
SET pgcredit.purpose = 'pre_loan';
SELECT * FROM parallel.launched('SELECT count(*) FROM credit.record');
SELECT count(*), count(DISTINCT subject_id), min(dated) FROM credit.record WHERE subject_id IN (SELECT id FROM parallel.s);
RESET pgcredit.purpose;
RESET ROLE;

SET client_min_messages = warning;
DELETE FROM credit.record WHERE subject_id IN (SELECT id FROM parallel.s);
DELETE FROM credit.consent WHERE subject_id IN (SELECT id FROM parallel.s);
DELETE FROM credit.subject_attribute WHERE subject_id IN (SELECT id FROM parallel.s);
DELETE FROM credit.subject WHERE subject_id IN (SELECT id FROM parallel.s);
DELETE FROM credit.institution WHERE code LIKE 'parallel_%';
DROP FUNCTION pg_temp.expected();
DROP SCHEMA parallel CASCADE;
DROP ROLE parallel_bank, parallel_other;
