SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\pset format unaligned
\set ON_ERROR_ROLLBACK on
\set VERBOSITY terse
-- everything happens in a transaction that is rolled back: published models cannot be deleted
BEGIN;
CREATE FUNCTION pg_temp.fails(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE query INTO answer;
    RETURN 'no error: ' || coalesce(answer, 'null');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SET LOCAL client_min_messages = warning;
SET LOCAL client_min_messages = warning;
-- a model of one number and one text, points that double the odds by 20; grades A, B, C
SELECT credit.create_model($j${"name": "watched", "initial_score": 500, "use_reason_codes": false, "characteristics": [
    {"name": "income", "field": "income", "data_type": "number", "attributes": [{"kind": "interval", "high": 50, "closure": "openOpen", "points": 0}, {"kind": "interval", "low": 50, "closure": "closedOpen", "points": 60}, {"kind": "missing", "points": 10}]},
    {"name": "form", "field": "form", "data_type": "text", "attributes": [{"kind": "set", "values": ["x"], "points": 40}, {"kind": "set", "values": ["y"], "points": 20}, {"kind": "other", "points": 0}, {"kind": "missing", "points": 0}]}],
    "grades": [{"grade": "A", "low": 580}, {"grade": "B", "low": 530, "high": 580}, {"grade": "C", "high": 530}]}$j$);
SELECT length(credit.publish_model('watched'));
INSERT INTO credit.subject (kind, code) SELECT 'enterprise', 'monitor-test-' || i FROM generate_series(1, 600) i;
CREATE TABLE case_row AS
SELECT s.subject_id, right(s.code, -13)::integer AS i, p.current,
       CASE WHEN right(s.code, -13)::integer % 11 = 0 THEN NULL ELSE right(s.code, -13)::integer * 37 % 100 + CASE WHEN p.current THEN -8 ELSE 0 END END AS income,
       CASE (right(s.code, -13)::integer * 7 + CASE WHEN p.current THEN 1 ELSE 0 END) % 3 WHEN 0 THEN 'x' WHEN 1 THEN 'y' ELSE 'z' END AS form
  FROM credit.subject s, (VALUES (false), (true)) p(current) WHERE s.code LIKE 'monitor-test-%' AND (p.current OR right(s.code, -13)::integer <= 500);
-- ratings of 2022 and of 2023, as credit.rate stores them; days are those of Shanghai
INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at)
SELECT c.subject_id, e.model_id, e.score, e.grade, e.inputs, e.inputs_digest, e.reasons, 'test',
       CASE WHEN current THEN timestamptz '2023-01-01 00:00+08' + i % 300 * interval '1 day' ELSE '2022-03-01 12:00+08' END
  FROM case_row c, LATERAL (SELECT x.* FROM credit._evaluate('watched', (SELECT r FROM (SELECT c.income, c.form) r)) x) e;
-- older ratings of the same period do not count, nor does what is rated on the first day after it; some grades are not the score's, or not in the order
INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at)
SELECT r.subject_id, r.model_id, r.score, r.grade, r.inputs, r.inputs_digest, r.reasons, 'test', '2024-01-01 00:00+08' FROM credit.rating r WHERE r.rated_at < '2023-01-01 00:00+08' AND r.rated_by = 'test';
INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at)
SELECT r.subject_id, r.model_id, r.score, CASE c.i % 10 WHEN 0 THEN 'N' WHEN 1 THEN 'C' END, r.inputs, r.inputs_digest, r.reasons, 'test', r.rated_at
  FROM credit.rating r JOIN case_row c ON c.subject_id = r.subject_id AND c.current WHERE r.rated_by = 'test' AND r.rated_at >= '2023-01-01 00:00+08' AND r.rated_at < '2024-01-01 00:00+08' AND c.i <= 40 AND c.i % 10 < 3;
-- what became of them: an event long after the window says nothing, nor one before the rating
CREATE TABLE outcome AS
SELECT c.subject_id, (CASE WHEN current THEN date '2023-01-01' + i % 300 ELSE '2022-03-01' END + CASE WHEN i % 13 = 0 THEN 400 ELSE i % 200 END)::date AS observed_on,
       (i * 7919 % 1009) / 1009.0 < CASE WHEN coalesce(income, 0) >= 50 THEN 0.1 ELSE 0.3 END AS bad FROM case_row c
UNION ALL SELECT subject_id, '2021-12-31', true FROM case_row;
CREATE TEMP TABLE figure AS
SELECT f.* FROM credit.monitor('watched', '2023-01-01', '2024-01-01', '2022-01-01', '2023-01-01', 'outcome',
    '{"observed_until": "2024-06-30", "scale": {"score": 580, "odds": 8, "pdo": 40}, "approved": ["A", "B"], "replicates": 200, "thresholds": {"override": [0.01, 0.05], "auc": [-1, 1], "calibration": [0.05, 0.2]}}')
    WITH ORDINALITY f(measure, item, base, current, value, low, high, light, place);
SELECT measure, item, round(base::numeric, 5) AS base, round(current::numeric, 5) AS current, round(value::numeric, 5) AS value, round(low::numeric, 5) AS low, round(high::numeric, 5) AS high, light FROM figure ORDER BY place;
-- the same by plain SQL over the tables
CREATE TEMP VIEW newest AS
SELECT DISTINCT ON (c.current, r.subject_id) c.current, r.*, (r.rated_at AT TIME ZONE 'Asia/Shanghai')::date AS rated_on, c.income, c.form
  FROM credit.rating r JOIN case_row c ON c.subject_id = r.subject_id AND c.current = (r.rated_at >= '2023-01-01 00:00+08')
 WHERE r.rated_by = 'test' AND r.rated_at < '2024-01-01 00:00+08' ORDER BY c.current, r.subject_id, r.rating_id DESC;
CREATE TEMP VIEW judged AS
SELECT n.*, CASE WHEN n.rated_on + interval '12 months' <= '2024-06-30' THEN (SELECT bool_or(o.bad) FROM outcome o WHERE o.subject_id = n.subject_id AND o.observed_on BETWEEN n.rated_on AND n.rated_on + interval '12 months' - interval '1 day') END AS bad FROM newest n;
SELECT (SELECT (count(*) FILTER (WHERE NOT current), count(*) FILTER (WHERE current))::text FROM newest) = (base, current)::text AS ratings FROM figure WHERE measure = 'ratings';
SELECT (SELECT (count(*) FILTER (WHERE NOT current), count(*) FILTER (WHERE current))::text FROM judged WHERE bad IS NOT NULL) = (base, current)::text AS mature, base < 500 AND current < 500 AS some_are_not FROM figure WHERE measure = 'mature';
SELECT f.measure, f.base = v.base AS base, f.current = v.current AS current
  FROM figure f JOIN (SELECT m.measure, max(m.v) FILTER (WHERE NOT current) AS base, max(m.v) FILTER (WHERE current) AS current
                        FROM (SELECT current, credit.auc(score, bad) AS auc, credit.gini(score, bad) AS gini, credit.ks(score, bad) AS ks FROM judged WHERE bad IS NOT NULL GROUP BY current) j,
                             LATERAL (VALUES ('auc', auc), ('gini', gini), ('ks', ks)) m(measure, v) GROUP BY 1) v
    ON v.measure = f.measure ORDER BY 1;
SELECT abs(f.current - v.brier) < 1e-12 AS brier FROM figure f, (SELECT avg((1 / (1 + 8 * 2 ^ ((score - 580) / 40)) - bad::int) ^ 2) AS brier FROM judged WHERE current AND bad IS NOT NULL) v WHERE f.measure = 'brier';
SELECT bool_and(f.value = v.n / v.of AND f.base = v.n) AND count(*) = (SELECT count(*) FROM figure WHERE measure = 'migration') AS migration
  FROM (SELECT coalesce(a.grade, '(none)') || ' > ' || coalesce(b.grade, '(none)') AS item, count(*)::float8 AS n, sum(count(*)) OVER (PARTITION BY a.grade)::float8 AS of
          FROM newest a JOIN newest b USING (subject_id) WHERE NOT a.current AND b.current GROUP BY a.grade, b.grade) v JOIN figure f ON f.measure = 'migration' AND f.item = v.item;
SELECT bool_and(abs(f.value - v.csi) < 1e-12) AND count(*) = 2 AS csi
  FROM figure f JOIN (SELECT 'income' AS item, credit.csi(CASE WHEN income < 50 THEN 'low' WHEN income >= 50 THEN 'high' END, current) AS csi FROM newest
                      UNION ALL SELECT 'form', credit.csi(form, current) FROM newest) v ON f.measure = 'csi' AND f.item = v.item;
WITH d AS (SELECT score, count(*) AS n FROM newest WHERE NOT current GROUP BY score),
     q AS (SELECT score, ceil(sum(n) OVER (ORDER BY score) * 10 / sum(n) OVER ()) AS q FROM d),
     b AS (SELECT array_agg(low ORDER BY low) AS bounds FROM (SELECT min(score) AS low FROM q GROUP BY q OFFSET 0) l WHERE low > (SELECT min(score) FROM q))
SELECT abs(f.value - v.psi) < 1e-12 AS psi, v.bins > 3 AS several FROM figure f, (SELECT credit.psi(width_bucket(score, bounds), current, '0.5') AS psi, count(DISTINCT width_bucket(score, bounds)) AS bins FROM newest, b) v WHERE f.measure = 'psi';
-- a subject without an outcome counts as good where the table has bad ones only
SELECT measure, base, current FROM credit.monitor('watched@1', '2023-01-01', '2024-01-01', '2022-01-01', '2023-01-01', 'outcome', '{"observed_until": "2024-06-30", "unobserved": "good", "replicates": 10}') WHERE measure = 'mature';
-- without outcomes, and with too few of them
SELECT count(*) > 0 AS population, count(*) FILTER (WHERE measure IN ('auc', 'mature', 'bad_rate')) AS performance FROM credit.monitor('watched', '2023-01-01', '2024-01-01', '2022-01-01', '2023-01-01');
SELECT measure, base, current, light FROM credit.monitor('watched', '2023-01-01', '2024-01-01', '2022-01-01', '2023-01-01', 'outcome', '{"observed_until": "2023-01-31", "thresholds": {"auc": [0, 1]}}') WHERE measure IN ('mature', 'auc', 'ks', 'brier');
-- kept, with an entry
SELECT credit.keep_monitor('watched', '2023-01-01', '2024-01-01', '2022-01-01', '2023-01-01', 'outcome', '{"observed_until": "2024-06-30", "scale": {"score": 580, "odds": 8, "pdo": 40}, "approved": ["A", "B"], "replicates": 200, "thresholds": {"override": [0.01, 0.05], "auc": [-1, 1], "calibration": [0.05, 0.2]}}') IS NOT NULL AS kept;
SELECT bool_and((k.measure, k.item, k.base, k.current, k.value, k.low, k.high, k.light) IS NOT DISTINCT FROM (f.measure, f.item, f.base, f.current, f.value, f.low, f.high, f.light)) AND count(*) = (SELECT count(*) FROM figure) AS same FROM credit.monitor_figure k JOIN figure f USING (place);
SELECT outcomes, run_by = current_user AS by_me FROM credit.monitor_run;
SELECT count(*) > 0 AS recorded FROM credit.audit_outbox o WHERE o::text LIKE '%monitor_run%';
-- versions: a base by the version before, both periods by any; each row is graded and turned into a chance as its own version says
SELECT credit.create_model(jsonb_build_object('name', 'moved', 'use_reason_codes', false, 'conventions', jsonb_build_object('psi_empty_bin', 'drop'),
    'characteristics', format('[{"name": "income", "data_type": "number", "attributes": [{"kind": "interval", "high": %1$s, "closure": "openOpen", "points": %2$s}, {"kind": "interval", "low": %1$s, "closure": "closedOpen", "points": 60}]}%3$s]',
        cut, low, more)::jsonb, 'grades', format('[{"grade": "A", "low": %s}, {"grade": "B", "high": %1$s}]', bar)::jsonb))
  FROM (VALUES (1, 50, 20, 60, ''), (2, 40, 10, 10, ', {"name": "form", "data_type": "text", "attributes": [{"kind": "set", "values": ["x"], "points": 5}, {"kind": "other", "points": 0}, {"kind": "missing", "points": 0}]}')) v(n, cut, low, bar, more) ORDER BY n;
SELECT length(credit.publish_model('moved', 1)) + length(credit.publish_model('moved', 2));
CREATE FUNCTION pg_temp.moved(version integer, of date, say text, rows integer) RETURNS bigint LANGUAGE sql AS $$
    WITH t AS (
    INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at)
    SELECT c.subject_id, e.model_id, e.score, e.grade, e.inputs, e.inputs_digest, e.reasons, say, of::timestamp AT TIME ZONE 'Asia/Shanghai'
      FROM case_row c, LATERAL (SELECT x.* FROM credit._evaluate('moved@' || version, (SELECT r FROM (SELECT c.income, c.form) r)) x) e
     WHERE c.current = (of >= '2023-01-01') AND c.income IS NOT NULL AND c.i <= rows RETURNING 1)
    SELECT count(*) FROM t
$$;
SELECT pg_temp.moved(1, '2022-05-01', 'moved', 300) AS v1, pg_temp.moved(2, '2022-06-01', 'moved', 60) AS v2_of_the_base, pg_temp.moved(2, '2023-05-01', 'moved', 200) AS v2, pg_temp.moved(1, '2023-04-01', 'moved', 250) AS v1_of_the_period;
CREATE FUNCTION pg_temp.over(options jsonb, name text) RETURNS TABLE (measure text, item text, base numeric, current numeric, value numeric) LANGUAGE sql AS $$
    SELECT m.measure, m.item, round(m.base::numeric, 5), round(m.current::numeric, 5), round(m.value::numeric, 5)
      FROM credit.monitor(name, '2023-01-01', '2024-01-01', '2022-01-01', '2023-01-01', options => '{"replicates": 10}' || options) WITH ORDINALITY m(measure, item, base, current, value, low, high, light, place)
     WHERE m.measure IN ('ratings', 'version', 'grade', 'override', 'csi') ORDER BY place
$$;
SELECT * FROM pg_temp.over('{}', 'moved');
SELECT * FROM pg_temp.over('{"base_version": 1}', 'moved');
SELECT * FROM pg_temp.over('{"versions": "all"}', 'moved');
SELECT * FROM pg_temp.over('{"versions": "all"}', 'moved@1');
-- income by the attributes of the version that is asked about, also of inputs that the other one kept; the rows that lack a field are left out
SELECT f.item, f.value = round(v.csi::numeric, 5) AS csi
  FROM pg_temp.over('{"versions": "all"}', 'moved@1') f,
       (SELECT credit.csi((income >= 50)::text, current) AS csi FROM case_row WHERE income IS NOT NULL AND (i <= 250 OR NOT current AND i <= 300)) v WHERE f.measure = 'csi';
-- an empty bin: what the model says, the option before it, and without either a half
INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at)
SELECT subject_id, model_id, score, grade, jsonb_set(inputs, '{form,value}', '"z"'), inputs_digest, reasons, 'moved', rated_at FROM credit.rating WHERE rated_by = 'moved' AND rated_at >= '2023-04-15' AND inputs #>> '{form,value}' = 'x';
SELECT o.o, m.item, round(m.value::numeric, 5) AS csi FROM (VALUES (1, '{}'::jsonb), (2, '{"empty_bin": "drop"}'), (3, '{"empty_bin": "0.5"}'), (4, '{"empty_bin": "infinity"}')) o(n, o),
    LATERAL credit.monitor('moved', '2023-01-01', '2024-01-01', '2022-01-01', '2023-01-01', options => '{"replicates": 10}' || o.o) m WHERE m.measure = 'csi' AND m.item = 'form' ORDER BY o.n;
SELECT credit.create_model(credit.model_definition('moved', 2) || jsonb_build_object('conventions', jsonb_build_object('psi_empty_bin', c), 'name', 'moved_' || (c #>> '{}'))) FROM unnest(ARRAY['"refuse"', '0.9']::jsonb[]) c;
SELECT length(credit.publish_model('moved_refuse')) + length(credit.publish_model('moved_0.9'));
INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at)
SELECT r.subject_id, m.model_id, r.score, r.grade, r.inputs, r.inputs_digest, r.reasons, 'moved', r.rated_at FROM credit.rating r JOIN credit.model o USING (model_id), credit.model m WHERE o.name = 'moved' AND o.version = 2 AND m.name IN ('moved_refuse', 'moved_0.9') ORDER BY r.rating_id;
SELECT m.item, round(m.value::numeric, 5) AS csi FROM credit.monitor('moved_0.9', '2023-01-01', '2024-01-01', '2022-01-01', '2023-01-01', options => '{"replicates": 10}') m WHERE m.measure = 'csi' AND m.item = 'form';
SELECT round(credit.psi(array_agg(b), array_agg(c), '0.9')::numeric, 5) AS by_hand FROM (SELECT count(*) FILTER (WHERE rated_at < '2023-01-01')::float8 AS b, count(*) FILTER (WHERE rated_at > '2023-01-01')::float8 AS c
    FROM (SELECT DISTINCT ON (r.subject_id, r.rated_at) r.* FROM credit.rating r JOIN credit.model m USING (model_id) WHERE m.name = 'moved_0.9' ORDER BY r.subject_id, r.rated_at, r.rating_id DESC) n
    GROUP BY inputs #>> '{form,value}' = 'x') g;
SELECT pg_temp.fails('SELECT count(*) FROM credit.monitor(''moved_refuse'', ''2023-01-01'', ''2024-01-01'', ''2022-01-01'', ''2023-01-01'')');
-- a chance of a bad outcome by the scale of each version's own fit
INSERT INTO credit.fit (model_id, sample, outcome, fields, options, bins, fit, steps, fitted_by)
SELECT model_id, 'x', 'y', '{}', jsonb_build_object('score', 60, 'odds', 4, 'pdo', 10 * version * k), '{}', '{}', '{}', 'test' FROM credit.model, (VALUES (1, 7), (2, 1)) v(n, k) WHERE name = 'moved' ORDER BY n;
SELECT v.version, bool_and(abs(v.probability - 1 / (1 + 4 * 2 ^ ((v.score - 60) / (10.0 * v.version)))) < 1e-12) AS by_its_own_scale, count(*) > 0 AS some
  FROM unnest(credit._monitor_cases((SELECT model_id FROM credit.model WHERE name = 'moved' AND version = 2), '2023-01-01', '2024-01-01', '2022-01-01', '2023-01-01', NULL, '{"versions": "all"}')) v GROUP BY 1 ORDER BY 1;
-- what is refused
CREATE VIEW no_outcome AS SELECT subject_id, observed_on::text, bad FROM outcome;
SELECT n, pg_temp.fails(format('SELECT credit.monitor(%L, %L, ''2024-01-01'', ''2022-01-01'', %L, %L, %L)', m, f, u, o, j)) FROM (VALUES
    (1, 'absent', '2023-01-01', '2023-01-01', 'outcome', '{}'), (2, 'watched@9', '2023-01-01', '2023-01-01', 'outcome', '{}'), (3, 'watched', '2024-01-01', '2023-01-01', 'outcome', '{}'), (4, 'watched', NULL, '2023-01-01', 'outcome', '{}'),
    (5, 'watched', '2023-01-01', '2022-01-02', 'outcome', '{}'), (6, 'watched', '2023-01-01', '2023-01-01', 'no_outcome', '{}'), (7, 'watched', '2023-01-01', '2023-01-01', 'outcome', '{"treshold": 1}'), (8, 'watched', '2023-01-01', '2023-01-01', 'outcome', '{"thresholds": {"psi": [0.3, 0.1]}}'),
    (9, 'watched', '2023-01-01', '2023-01-01', 'outcome', '{"thresholds": {"age": [0.1, 0.3]}}'), (10, 'watched', '2023-01-01', '2023-01-01', 'outcome', '{"window_months": 0}'), (11, 'watched', '2023-01-01', '2023-01-01', 'outcome', '{"scale": {"pdo": -1}}'),
    (12, 'watched', '2023-01-01', '2023-01-01', 'outcome', '{"unobserved": "bad"}'), (13, 'watched', '2023-01-01', '2023-01-01', 'outcome', '{"empty_bin": "refuse", "score_bins": 1}'), (14, 'watched', '2023-01-01', '2023-01-01', 'outcome', NULL),
    (15, 'watched', '2023-01-01', '2023-01-01', 'outcome', '{"replicates": 1}'), (17, 'watched', '2023-01-01', '2023-01-01', 'outcome', '{"versions": "some"}'), (18, 'watched', '2023-01-01', '2023-01-01', 'outcome', '{"base_version": 9}'), (19, 'watched', '2023-01-01', '2023-01-01', 'outcome', '{"base_version": "x"}'), (16, NULL, '2023-01-01', '2023-01-01', 'outcome', '{}')) v(n, m, f, u, o, j) ORDER BY n;
-- the caller's rights count for the outcomes, and analysts see no ratings
CREATE ROLE monitor_operator IN ROLE credit_operator;
CREATE ROLE monitor_analyst IN ROLE credit_analyst;
SET LOCAL ROLE monitor_operator;
SELECT pg_temp.fails('SELECT count(*) FROM credit.monitor(''watched'', ''2023-01-01'', ''2024-01-01'', ''2022-01-01'', ''2023-01-01'', ''public.outcome'')');
SELECT count(*) > 10 AS figures FROM credit.monitor('watched', '2023-01-01', '2024-01-01', '2022-01-01', '2023-01-01');
SET LOCAL ROLE monitor_analyst;
SELECT pg_temp.fails('SELECT credit.monitor(''watched'', ''2023-01-01'', ''2024-01-01'', ''2022-01-01'', ''2023-01-01'')'), pg_temp.fails('SELECT count(*) FROM credit.monitor_run');
RESET ROLE;
-- edges: a threshold is reached at itself, an interval of none or all ends at 0 or 1 exactly, an empty bin counts half a case unless said
SELECT v, credit._monitor_light('{"x": [0.5, 2]}', 'x', v) AS light, credit._monitor_light('{}', 'psi', v / 2) AS shipped FROM unnest('{0.25,0.499,0.5,1.999,2}'::float8[]) v;
SELECT bool_and(w.low = 0) AS none, bool_and(x.high = 1) AS every, bool_and(w.high < 1 AND x.low > 0) AS inside
  FROM generate_series(1, 300) n, credit._wilson(0, n) w, credit._wilson(n, n) x;
SELECT credit._monitor_empty_bin(-1, '{}') AS unsaid, credit._monitor_empty_bin(-1, '{"empty_bin": "drop"}') AS said;
ROLLBACK;
