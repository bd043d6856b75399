SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\pset format unaligned
\set ON_ERROR_ROLLBACK on
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
-- a model of one characteristic "x"
CREATE FUNCTION pg_temp.card(name text, data_type text, attributes text, extra text DEFAULT '') RETURNS jsonb LANGUAGE sql AS $$
    SELECT format('{"name": %s, "use_reason_codes": false%s, "characteristics": [{"name": "x", "data_type": "%s", "attributes": %s}]}',
                  to_json(name), extra, data_type, attributes)::jsonb
$$;
SET LOCAL client_min_messages = warning;
SET LOCAL extra_float_digits = 0;
SET LOCAL DateStyle = 'German';
SELECT credit.create_model($j${"name": "rate", "initial_score": 100.1, "baseline_score": 10,
    "characteristics": [
        {"name": "ratio", "field": "f8", "data_type": "number", "reason_code": "R1", "attributes": [{"kind": "interval", "high": 0.3, "closure": "openOpen", "points": 0.2}, {"kind": "interval", "low": 0.3, "closure": "closedOpen", "points": 20}, {"kind": "other", "points": -1}, {"kind": "missing", "points": 5}]},
        {"name": "ratio again", "field": "f8", "data_type": "number", "reason_code": "R1", "attributes": [{"kind": "other", "points": 1}, {"kind": "missing", "points": 1}]},
        {"name": "small", "field": "f4", "data_type": "number", "reason_code": "R2", "attributes": [{"kind": "interval", "high": 0.1, "closure": "openClosed", "points": 1}, {"kind": "other", "points": 2}, {"kind": "missing", "points": 3}]},
        {"name": "amount", "field": "n", "data_type": "number", "reason_code": "R2", "attributes": [{"kind": "interval", "high": 1000000.01, "closure": "openOpen", "points": 10}, {"kind": "other", "points": 20}, {"kind": "missing", "points": 3}]},
        {"name": "count", "field": "i8", "data_type": "number", "reason_code": "R3", "attributes": [{"kind": "set", "values": [3], "points": 10}, {"kind": "other", "points": 20}, {"kind": "missing", "points": 3}]},
        {"name": "day", "field": "d", "data_type": "date", "reason_code": "R3", "attributes": [{"kind": "interval", "high": "2024-01-02", "closure": "openOpen", "points": 10}, {"kind": "other", "points": 20}, {"kind": "missing", "points": 3}]},
        {"name": "flag", "field": "b", "data_type": "boolean", "reason_code": "R3", "attributes": [{"kind": "set", "values": [true], "points": 10}, {"kind": "other", "points": 20}, {"kind": "missing", "points": 3}]},
        {"name": "word", "field": "Wört \"x\"", "data_type": "text", "reason_code": "R3", "attributes": [{"kind": "set", "values": ["a\"b\\c"], "points": 10}, {"kind": "other", "points": 20}, {"kind": "missing", "points": 3}]},
        {"name": "padded", "field": "p", "data_type": "text", "reason_code": "R3", "attributes": [{"kind": "set", "values": ["ab"], "points": 10}, {"kind": "other", "points": 20}, {"kind": "missing", "points": 3}]}],
    "reasons": [{"code": "R1"}, {"code": "R2"}, {"code": "R3"}],
    "grades": [{"grade": "A", "low": 160}, {"grade": "B", "low": 140, "high": 160}, {"grade": "C", "high": 140}]}$j$);
CREATE TABLE input (subject_id bigint, f8 float8, f4 float4, n numeric, i8 int8, d date, b boolean, "Wört ""x""" varchar, p char(5), unused text);
INSERT INTO credit.subject (kind, code) SELECT 'enterprise', 'rating-test-' || i FROM generate_series(1, 6) i;
INSERT INTO input SELECT s.subject_id, f8, f4, n, i8, d, b, w, p, 'not kept'
  FROM (VALUES (1, 0.1::float8 + 0.2, 0.1::float4, 1000000.0099999999999999999999, 9223372036854775807, '2024-01-01'::date, true, 'a"b\c', 'ab'),
               (2, 0.3, 0.1, 1000000.01, 3, '2024-01-02', false, E'tab\tnewline\n', 'x'), (3, 'NaN', 'Infinity', 'NaN', NULL, '-infinity', NULL, '', ''),
               (4, 5e-324, 1e-45, 1e-300, -1, '0044-03-15 BC', NULL, '信用', NULL), (5, '-0', NULL, '-Infinity', 0, 'infinity', NULL, NULL, NULL), (6, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) v(i, f8, f4, n, i8, d, b, w, p)
  JOIN credit.subject s ON s.code = 'rating-test-' || v.i;
SELECT pg_temp.fails('SELECT credit.rate(''rate@1'', i.subject_id, i) FROM input i');
SELECT length(credit.publish_model('rate'));
-- set-based, and what is kept
SELECT count(credit.rate('rate', i.subject_id, i)) FROM input i;
SELECT s.code, r.score, r.grade, r.inputs, r.reasons, r.rated_by = current_user AS by_me FROM credit.rating r JOIN credit.subject s USING (subject_id) JOIN input USING (subject_id) ORDER BY s.code;
-- the stored score is what score says; the replay gives it again bit for bit, whatever the settings are now
SELECT bool_and(r.score = credit.score('rate', i)) AS as_scored FROM credit.rating r JOIN input i USING (subject_id);
SET LOCAL DateStyle = 'ISO, DMY';
SELECT s.code, p.* FROM credit.rating r JOIN credit.subject s USING (subject_id) JOIN input USING (subject_id), credit.replay(r.subject_id, r.rating_id) p ORDER BY 1;
-- why: from what is stored, in both languages, adding up to the score, reasons as explained for the row
SELECT e.ordinal, e.value, e.points, e.reason_code, e.reason_rank, e.text_zh, e.text_en FROM credit.rating r JOIN credit.subject s USING (subject_id), credit.explain(r.rating_id) e WHERE s.code = 'rating-test-1' ORDER BY 1;
SELECT bool_and(e.points::float8 = r.score) AS adds_up FROM credit.rating r JOIN input USING (subject_id), LATERAL (SELECT sum(x.points) AS points FROM credit.explain(r.rating_id) x) e;
SELECT bool_and((e.value, e.attribute, e.points, e.difference, e.reason_rank) IS NOT DISTINCT FROM (x.value, x.attribute, x.points, x.difference, x.reason_rank)) AS as_for_the_row
  FROM credit.rating r JOIN input i USING (subject_id), credit.explain(r.rating_id) e JOIN LATERAL credit.explain('rate@1', i) x USING (ordinal);
SELECT pg_temp.fails('SELECT credit.explain(-1)');
-- a later version does not change it, nor does retiring its own
SELECT credit.create_model(jsonb_set(credit.model_definition('rate'), '{initial_score}', '0'));
SELECT length(credit.publish_model('rate'));
SELECT credit.retire_model('rate', 1);
SELECT bool_and(p.equal) AS still_equal FROM credit.rating r JOIN input USING (subject_id), credit.replay(r.subject_id, r.rating_id) p;
SELECT pg_temp.fails('SELECT credit.rate(''rate@1'', i.subject_id, i) FROM input i');
-- a rating cannot be changed; one that was is found out
SELECT pg_temp.fails('UPDATE credit.rating SET score = 999');
SET LOCAL session_replication_role = replica;
UPDATE credit.rating r SET score = score + 1e-12 FROM credit.subject s WHERE s.subject_id = r.subject_id AND s.code = 'rating-test-1';
UPDATE credit.rating r SET inputs = jsonb_set(inputs, '{i8,value}', '"4"') FROM credit.subject s WHERE s.subject_id = r.subject_id AND s.code = 'rating-test-2';
UPDATE credit.rating r SET grade = 'B', reasons = '[]' FROM credit.subject s WHERE s.subject_id = r.subject_id AND s.code = 'rating-test-3';
SET LOCAL session_replication_role = origin;
SELECT s.code, p.equal, p.inputs_intact, p.differences FROM credit.rating r JOIN credit.subject s USING (subject_id) JOIN input USING (subject_id), credit.replay(r.subject_id, r.rating_id) p WHERE s.code < 'rating-test-4' ORDER BY 1;
SELECT pg_temp.fails(q) FROM (VALUES (1, 'SELECT credit.replay(-1, -1)'), (2, 'SELECT credit.rate(''rate'', NULL, i) FROM input i'), (3, 'SELECT credit.rate(NULL, 1, i) FROM input i'),
    (4, 'SELECT credit.rate(''rate'', -1, i) FROM input i'), (5, 'SELECT credit.rate(''rate'', 1, ROW(1))'), (6, 'SELECT credit._grade_inputs(''rate'', ''[]'')'), (7, 'SELECT credit._grade_inputs(''rate'', ''{"f8": 1}'')'),
    (8, 'SELECT credit._grade_inputs(''rate'', ''{"f8": {"type": "float8", "value": 1}}'')'), (9, 'SELECT credit._grade_inputs(''rate'', ''{"f8": {"type": "money", "value": "1"}}'')'), (10, 'SELECT credit._grade_inputs(''rate'', ''{"f8": {"type": "float8", "value": "x"}}'')')) v(n, q) ORDER BY n;

-- valid for so long, to be reviewed after so long; without periods neither
SELECT credit.create_model(jsonb_build_object('valid_months', 24, 'review_months', 12) || pg_temp.card('dated', 'number', '[{"kind": "other", "points": 1}]'));
SELECT length(credit.publish_model('dated'));
SELECT count(credit.rate('dated', i.subject_id, i)) FROM (SELECT subject_id, 1 AS x FROM input LIMIT 1) i;
SELECT m.name = 'dated' AS dated, bool_and(r.valid_until = (r.rated_at + interval '24 months')::date - 1) AS valid, bool_and(r.review_on = (r.rated_at + interval '12 months')::date) AS review
  FROM credit.rating r JOIN credit.model m USING (model_id) WHERE m.name IN ('rate', 'dated') GROUP BY 1 ORDER BY 1;
SELECT pg_temp.fails(format('SELECT credit.create_model(%L)', pg_temp.card('t', 'text', '[{"kind": "other", "points": 1}]') || jsonb_build_object('valid_months', v))) FROM unnest('{0,121,1.5,"x"}'::text[]) t, LATERAL (SELECT CASE WHEN t = 'x' THEN to_jsonb(t) ELSE t::jsonb END AS v) x;

-- who may do what
CREATE ROLE rating_test_operator IN ROLE credit_operator;
CREATE ROLE rating_test_analyst IN ROLE credit_analyst;
CREATE ROLE rating_test_bank IN ROLE credit_institution;
CREATE ROLE rating_test_nobody;
GRANT SELECT ON input TO PUBLIC;
GRANT USAGE ON SCHEMA credit TO rating_test_nobody;
CREATE FUNCTION pg_temp.tries() RETURNS TABLE (what text, answer text) LANGUAGE sql AS $$
    SELECT q, regexp_replace(pg_temp.fails(q), 'function .*', 'function') FROM (VALUES
        (1, 'SELECT count(credit.score(''rate'', i)) FROM input i'),
        (2, 'SELECT count(*) FROM input i, credit.explain(''rate'', i)'),
        (3, 'SELECT credit.grade(''rate'', 1)'),
        (4, 'SELECT credit.model_definition(''rate'') ->> ''name'''),
        (5, 'SELECT count(*) > 0 FROM credit.attribute'),
        (6, 'SELECT count(*) > 0 FROM credit.rating'),
        (7, 'SELECT credit.rate(''rate'', i.subject_id, i) > 0 FROM input i'),
        (8, 'SELECT count(credit.replay(r.subject_id, r.rating_id)) > 0 FROM credit.rating r'),
        (9, 'SELECT credit.replay(-1, -1)'),
        (10, 'SELECT credit.create_model(pg_temp.card(''mine'', ''text'', ''[{"kind": "other", "points": 1}]''))'),
        (11, 'SELECT length(credit.publish_model(''mine''))'),
        (12, 'SELECT credit.retire_model(''mine'', 1)'),
        (13, 'SELECT credit.discard_model(''mine'', 1)'),
        (14, 'INSERT INTO credit.model (name, version, created_by) VALUES (''x'', 1, ''x'')'),
        (15, 'UPDATE credit.attribute SET points = 1'),
        (16, 'SELECT credit._definition(1)'),
        (17, 'SELECT credit._evaluate(''rate'', i) FROM input i'),
        (18, 'SELECT credit.auc(1, true)')) v(n, q) ORDER BY n
$$;
SET LOCAL ROLE rating_test_operator;
SELECT * FROM pg_temp.tries();
SELECT bool_or(created_by = 'rating_test_operator' AND published_by = 'rating_test_operator' AND retired_by = 'rating_test_operator') AS named FROM credit.model WHERE name = 'mine';
SET LOCAL ROLE rating_test_analyst;
SELECT * FROM pg_temp.tries();
SET LOCAL ROLE rating_test_bank;
SELECT * FROM pg_temp.tries();
SET LOCAL ROLE rating_test_nobody;
SELECT * FROM pg_temp.tries();
RESET ROLE;
-- a hostile search_path changes nothing: an operator and a function of the caller's own
CREATE SCHEMA rating_trap;
CREATE FUNCTION rating_trap.never(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'captured'; END $$;
CREATE OPERATOR rating_trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = rating_trap.never);
CREATE FUNCTION rating_trap.jsonb_strip_nulls(jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'captured'; END $$;
SET LOCAL search_path = rating_trap, pg_catalog, public;
SELECT count(credit.score('rate@1', i)) FROM public.input i;
SELECT credit.model_definition('rate') ->> 'name', count(credit.rate('rate', i.subject_id, i)) FROM public.input i;
ROLLBACK;
