-- In a database of its own: batches commit, and what is published stays.
SET client_min_messages = warning;
DROP DATABASE IF EXISTS rating_batch;
CREATE DATABASE rating_batch TEMPLATE template0;
\c rating_batch
SET client_min_messages = warning;
CREATE EXTENSION pgcredit;
RESET client_min_messages;
\pset format unaligned
\set VERBOSITY terse
INSERT INTO credit.subject (kind, code) SELECT CASE WHEN g > 20 THEN 'village' ELSE 'enterprise' END, 'b' || g FROM generate_series(1, 25) g;
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s.subject_id, c.category_id, 1, date '2026-01-01' + 30 * g, 'neutral', 'k' || g, jsonb_build_object('amount_paid', 100 * g * s.subject_id), 0
  FROM credit.subject s, credit.category c, generate_series(1, 3) g WHERE c.code = 'tax_payment' AND s.subject_id <= 18;
SELECT credit.register_indicator('tax', 'number', $$SELECT subject_id, sum((payload ->> 'amount_paid')::numeric), array_agg(record_id)
    FROM credit.record_as_of WHERE subject_id = ANY ($1) GROUP BY subject_id$$);
CREATE FUNCTION pg_temp.card(name text, field text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('name', name, 'baseline_score', 20, 'reasons', '[{"code": "R1"}]'::jsonb,
        'grades', '[{"grade": "A", "low": 50}, {"grade": "B", "low": 10, "high": 50}, {"grade": "C", "high": 10}]'::jsonb,
        'characteristics', jsonb_build_array(jsonb_build_object('name', 'tax', 'field', field, 'data_type', 'number', 'reason_code', 'R1',
            'attributes', '[{"kind": "interval", "high": 5000, "closure": "openOpen", "points": 10}, {"kind": "interval", "low": 5000, "high": 1000000, "closure": "closedOpen", "points": 50}, {"kind": "missing", "points": 0}]'::jsonb)))
$$;
SELECT credit.create_model(pg_temp.card('tax', 'tax'));
CALL credit.rate_all('tax');
SELECT length(credit.publish_model('tax'));
CREATE VIEW progress AS SELECT run_id, model, source, status, batches, batches_done, subjects, rated, unchanged, failed FROM credit.stat_progress_rating ORDER BY run_id;
-- by indicators, of one kind
CALL credit.rate_all('tax', as_of => '2026-06-01', batch_size => 6, kinds => '{enterprise}');
SELECT * FROM progress;
SELECT low, high, subjects, rated FROM credit.rating_batch ORDER BY batch_no;
SELECT grade, count(*), min(subject_id), max(subject_id) FROM credit.rating GROUP BY 1 ORDER BY 1;
SELECT bool_and(p.equal) FROM credit.rating r, credit.replay(r.subject_id, r.rating_id) p;
-- again, what has not changed left out: one record repaired is one rating
SELECT credit.set_record_status(subject_id, record_id, 'repaired', 'test') FROM credit.record WHERE subject_id = 12 AND source_key = 'k3';
CALL credit.rate_all('tax', as_of => '2026-06-01', batch_size => 6, kinds => '{enterprise}', skip_unchanged => true, workers => 2);
SELECT * FROM progress;
SELECT subject_id, grade, inputs FROM credit.rating WHERE subject_id = 12 ORDER BY rating_id;
-- lineage, of both, and a disputed one shows
SELECT credit.set_record_status(subject_id, record_id, 'disputed', 'test') FROM credit.record WHERE subject_id = 12 AND source_key = 'k1';
SELECT row_number() OVER (ORDER BY r.rating_id, l.dated) AS n, l.indicator, l.value, l.as_of, l.category, l.dated, l.status, l.without_disputed
  FROM credit.rating r, credit.rating_lineage(r.subject_id, r.rating_id) l WHERE r.subject_id = 12;
CALL credit.rate_all('tax', as_of => '2026-06-01', kinds => '{enterprise}', skip_unchanged => true, without_disputed => true);
SELECT l.value, l.dated, l.without_disputed FROM credit.current_rating(12, 'tax') c, credit.rating_lineage(12, c.rating_id) l;
-- the rows of a table: one that cannot be rated is kept with the reason, the others are rated
CREATE TABLE applicant (subject_id integer, tax numeric, unused text);
INSERT INTO applicant SELECT g, CASE g WHEN 3 THEN numeric 'NaN' WHEN 7 THEN 2000000 WHEN 9 THEN NULL ELSE g * 1000 END, 'x' FROM generate_series(1, 25) g;
INSERT INTO applicant VALUES (4000000, 1);
CALL credit.rate_all('tax@1', 'applicant', batch_size => 10);
SELECT * FROM progress WHERE source IS NOT NULL;
SELECT subject_id, sqlstate, reason FROM credit.rating_failure ORDER BY subject_id;
-- exactly the row that credit.rate stores
SELECT count(credit.rate('tax', a.subject_id, a)) FROM applicant a WHERE a.subject_id < 3 OR a.subject_id = 9;
SELECT subject_id, count(*), count(DISTINCT to_jsonb(r) - '{rating_id,rated_at}'::text[]) AS different FROM (
    SELECT t.*, row_number() OVER (PARTITION BY subject_id ORDER BY rating_id DESC) AS n FROM credit.rating t) x
  JOIN LATERAL (SELECT t.* FROM credit.rating t WHERE t.subject_id = x.subject_id AND t.rating_id = x.rating_id) r USING (subject_id)
 WHERE x.n <= 2 AND (subject_id < 3 OR subject_id = 9) GROUP BY 1 ORDER BY 1;
-- the newest counts, by one index
SELECT version, score, grade FROM credit.current_rating(1, 'tax');
SELECT count(*) FROM credit.current_rating(1, 'nothing');
-- refused
INSERT INTO applicant VALUES (5, 1);
CALL credit.rate_all('tax', 'applicant');
DELETE FROM applicant WHERE subject_id = 5;
INSERT INTO applicant VALUES (NULL, 1);
CALL credit.rate_all('tax', 'applicant');
CALL credit.rate_all('tax', 'applicant', '2026-01-01');
CALL credit.rate_all('nothing');
CALL credit.rate_all('tax', batch_size => 0);
CALL credit.rate_all('tax', workers => 1000);
BEGIN; CALL credit.rate_all('tax'); ROLLBACK;
SELECT credit.create_model(pg_temp.card('other', 'applied'));
SELECT length(credit.publish_model('other'));
CALL credit.rate_all('other', as_of => '2026-06-01');
CALL credit.rate_all(NULL, run_id => 1000);
SELECT min(run_id) AS finished FROM progress \gset
CALL credit.rate_all(NULL, run_id => :finished);
SELECT count(*) AS left_running FROM progress WHERE status = 'running';
-- a run that stopped goes on where it did: its first batch here is of a run with two
INSERT INTO credit.rating_run (model_id, as_of, batch_size, skip_unchanged, without_disputed, started_by) SELECT model_id, '2026-06-01', 20, false, false, current_user::text FROM credit.model WHERE name = 'tax' RETURNING run_id \gset
INSERT INTO credit.rating_batch VALUES (:run_id, 1, 1, 20, 20, 20, 0, 0, now()), (:run_id, 2, 21, 25, 5, NULL, NULL, NULL, NULL);
SELECT count(*) AS before FROM credit.rating \gset
CALL credit.rate_all(NULL, run_id => :run_id);
SELECT count(*) - :before AS added, min(status) FROM credit.rating, credit.rating_run WHERE run_id = :run_id;
-- cancelled for good: what is rated stays, and nobody goes on with it
UPDATE credit.rating_run SET status = 'running', ended_at = NULL WHERE run_id = :run_id;
UPDATE credit.rating_batch SET rated = NULL, unchanged = NULL, failed = NULL, done_at = NULL WHERE run_id = :run_id AND batch_no = 2;
SELECT credit.cancel_rating_run(:run_id);
CALL credit.rate_all(NULL, run_id => :run_id);
SELECT credit.cancel_rating_run(1000);
SELECT model, status, batches, batches_done, rated FROM progress WHERE run_id = :run_id;
-- somebody else's run, and a source that one may not read
CREATE ROLE batch_operator;
GRANT credit_operator TO batch_operator;
SET ROLE batch_operator;
CALL credit.rate_all('tax', 'applicant');
CALL credit.rate_all('tax', 'credit.consent');
CALL credit.rate_all(NULL, run_id => :run_id);
SELECT credit._rating_take_subjects(:run_id, 2);
-- a type of one's own with a cast of one's own: it does not run as the owner
RESET ROLE;
CREATE SCHEMA hostile AUTHORIZATION batch_operator;
CREATE TABLE hostile.seen (who text);
GRANT INSERT ON hostile.seen TO PUBLIC;
SET ROLE batch_operator;
CREATE TYPE hostile.number AS ENUM ('1');
CREATE FUNCTION hostile.cast_number(hostile.number) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hostile.seen VALUES (current_user);
    RETURN 1;
END
$$;
CREATE CAST (hostile.number AS bigint) WITH FUNCTION hostile.cast_number(hostile.number) AS IMPLICIT;
CREATE TABLE hostile.rows AS SELECT '1'::hostile.number AS subject_id, 5 AS tax;
CREATE TABLE hostile.nobody AS SELECT 5 AS tax;
CALL credit.rate_all('tax', 'hostile.rows');
CALL credit.rate_all('tax', 'hostile.nobody');
RESET ROLE;
INSERT INTO credit.rating_run (model_id, source, batch_size, skip_unchanged, without_disputed, started_by) SELECT model_id, 'hostile.rows', 20, false, false, 'batch_operator' FROM credit.model WHERE name = 'tax' RETURNING run_id AS hostile \gset
INSERT INTO credit.rating_batch (run_id, batch_no, low, high, subjects) VALUES (:hostile, 1, 1, 1, 1);
SET ROLE batch_operator;
SELECT credit._rating_take_rows(:hostile, 1, ARRAY(SELECT r FROM hostile.rows r));
SELECT credit._rating_take_rows(:hostile, 1, ARRAY(SELECT r FROM hostile.nobody r));
RESET ROLE;
SELECT who FROM hostile.seen WHERE who <> 'batch_operator';
SELECT credit.cancel_rating_run(:hostile);
SET ROLE batch_operator;
SET search_path = public;
CALL credit.rate_all('tax', as_of => '2026-06-01', skip_unchanged => true);
SHOW search_path;
RESET ROLE;
SELECT started_by, status, unchanged FROM credit.stat_progress_rating ORDER BY run_id DESC LIMIT 1;
-- grades decide terms, better grades never worse ones
SELECT credit.set_grade_terms('tax', 'loan', '{"A": {"limit": 500000, "rate": 0.035}, "B": {"limit": 200000, "rate": 0.045}, "C": {"limit": 0, "rate": 0.06}}');
SELECT credit.set_grade_terms('tax', 'loan', '{"A": {"limit": 100, "rate": 0.035}, "B": {"limit": 200, "rate": 0.045}}');
SELECT credit.set_grade_terms('tax', 'loan', '{"A": {"limit": 300, "rate": 0.05}, "B": {"limit": 200, "rate": 0.045}}');
SELECT credit.set_grade_terms('tax', 'loan', '{"D": {"limit": 300, "rate": 0.05}}');
SELECT credit.set_grade_terms('nothing', 'loan', '{"A": {"limit": 300, "rate": 0.05}}');
UPDATE credit.grade_terms SET credit_limit = 600000 WHERE grade = 'B';
SELECT grade, credit_limit, annual_rate FROM credit.grade_terms ORDER BY grade;
SELECT grade, credit_limit, annual_rate FROM credit.terms_of(2, 'tax', 'loan');
-- caps, overrides and points by expression in a run: what credit.rate stores, and a row without a value is kept with its reason
CREATE TABLE ruled_applicant AS SELECT g AS subject_id, CASE g WHEN 3 THEN 0 ELSE g * 1000 END AS tax, CASE g WHEN 4 THEN NULL ELSE g % 2 END AS court, g > 20 AS fresh FROM generate_series(1, 25) g;
SELECT credit.create_model('{"name": "ruled", "use_reason_codes": false, "fields": [{"name": "court", "data_type": "number"}, {"name": "fresh", "data_type": "boolean"}],
    "characteristics": [{"name": "tax", "data_type": "number", "attributes": [{"kind": "other", "expression": "10 * log10(tax)"}, {"kind": "missing", "points": 0}]}],
    "grades": [{"grade": "A", "low": 35}, {"grade": "B", "high": 35}], "outside_grades": [{"grade": "N"}],
    "overrides": [{"when": "fresh", "grade": "N"}], "caps": [{"when": "court > 0", "grade": "B"}]}');
SELECT length(credit.publish_model('ruled'));
CALL credit.rate_all('ruled', 'ruled_applicant', batch_size => 10);
SELECT r.grade, r.score_grade, r.grade_rule, count(*) FROM credit.rating r JOIN credit.model m USING (model_id) WHERE m.name = 'ruled' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT subject_id, sqlstate, reason FROM credit.rating_failure f JOIN credit.rating_run USING (run_id) WHERE source LIKE '%ruled_applicant' ORDER BY subject_id;
SELECT count(credit.rate('ruled', a.subject_id, a)) FROM ruled_applicant a WHERE subject_id IN (1, 2, 21);
SELECT subject_id, count(*), count(DISTINCT to_jsonb(r) - '{rating_id,rated_at}'::text[]) AS different FROM credit.rating r JOIN credit.model m USING (model_id) WHERE m.name = 'ruled' AND subject_id IN (1, 2, 21) GROUP BY 1 ORDER BY 1;
SELECT bool_and(p.equal) FROM credit.rating r JOIN credit.model m USING (model_id), credit.replay(r.subject_id, r.rating_id) p WHERE m.name = 'ruled';
-- by indicators: what only a condition reads is computed too, and has its lineage
SELECT credit.create_model(pg_temp.card('counted', 'tax') || '{"fields": [{"name": "deliveries", "data_type": "number"}], "caps": [{"when": "deliveries < 3", "grade": "C", "unknown": "apply"}]}');
SELECT length(credit.publish_model('counted'));
CALL credit.rate_all('counted', as_of => '2026-06-01');
SELECT credit.register_indicator('deliveries', 'number', $$SELECT subject_id, count(*), array_agg(record_id) FROM credit.record_as_of WHERE subject_id = ANY ($1) GROUP BY subject_id$$);
CALL credit.rate_all('counted', as_of => '2026-06-01');
SELECT r.grade, r.score_grade, r.grade_rule, count(*) FROM credit.rating r JOIN credit.model m USING (model_id) WHERE m.name = 'counted' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT l.indicator, count(*) FROM credit.current_rating(11, 'counted') c, credit.rating_lineage(11, c.rating_id) l GROUP BY 1 ORDER BY 1;
\c postgres
DROP DATABASE rating_batch;
DROP ROLE batch_operator;
