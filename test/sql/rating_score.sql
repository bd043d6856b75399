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

-- The sample card of the PMML specification (Scorecard element), retyped: expected score and reasons are published
-- with it. Reason codes on characteristics:
SELECT credit.create_model($j${"name": "sample", "initial_score": 0, "reason_code_algorithm": "pointsBelow", "characteristics": [
    {"name": "departmentScore", "field": "department", "data_type": "text", "baseline_score": 19, "reason_code": "RC1", "attributes": [
        {"kind": "missing", "points": -9}, {"kind": "set", "values": ["marketing"], "points": 19},
        {"kind": "set", "values": ["engineering"], "points": 3}, {"kind": "set", "values": ["business"], "points": 6}, {"kind": "other", "points": 0}]},
    {"name": "ageScore", "field": "age", "data_type": "number", "baseline_score": 18, "reason_code": "RC2", "attributes": [
        {"kind": "missing", "points": -1}, {"kind": "interval", "high": 18, "closure": "openClosed", "points": -3},
        {"kind": "interval", "low": 18, "high": 29, "closure": "openClosed", "points": 0},
        {"kind": "interval", "low": 29, "high": 39, "closure": "openClosed", "points": 12},
        {"kind": "interval", "low": 39, "closure": "openOpen", "points": 18}]},
    {"name": "incomeScore", "field": "income", "data_type": "number", "baseline_score": 10, "reason_code": "RC3", "attributes": [
        {"kind": "missing", "points": 5}, {"kind": "interval", "high": 1000, "closure": "openClosed", "points": 26},
        {"kind": "interval", "low": 1000, "high": 1500, "closure": "openClosed", "points": 5},
        {"kind": "interval", "low": 1500, "closure": "openOpen", "points": -3}]}],
    "reasons": [{"code": "RC1", "text_zh": "部门", "text_en": "department"}, {"code": "RC2", "text_zh": "年龄", "text_en": "age"}, {"code": "RC3", "text_zh": "收入", "text_en": "income"}],
    "grades": [{"grade": "low", "high": 29}, {"grade": "high", "low": 29}]}$j$);
-- and the same with codes on attributes
SELECT credit.create_model(jsonb_set(jsonb_set(credit.model_definition('sample', 1), '{characteristics,1,attributes,2,reason_code}', '"RC2_3"'),
                                     '{reasons}', '[{"code": "RC1"}, {"code": "RC2"}, {"code": "RC3"}, {"code": "RC2_3"}]'));
SELECT length(credit.publish_model('sample', 1)), length(credit.publish_model('sample', 2));
CREATE TABLE employee (department text, age integer, income float8);
INSERT INTO employee VALUES ('engineering', 25, 500), (NULL, NULL, NULL), ('gardening', 40, 1500), ('marketing', 39, 1500.01);
SELECT e, credit.score('sample@1', e), credit.grade('sample@1', credit.score('sample@1', e)) FROM employee e;
SELECT * FROM credit.explain('sample@1', (SELECT e FROM employee e LIMIT 1));
SELECT characteristic, reason_code, reason_rank FROM credit.explain('sample@2', (SELECT e FROM employee e LIMIT 1)) WHERE reason_rank IS NOT NULL ORDER BY reason_rank;
-- every explanation adds up
SELECT bool_and(s.score = credit.score('sample', e) AND credit.score('sample', e)::numeric = s.points) AS adds_up
  FROM employee e, LATERAL (SELECT sum(points) AS points, sum(points)::float8 AS score FROM credit.explain('sample', e)) s;

-- reasons: summed per code, negative sums dropped, zero kept, ties in card order; pointsAbove turns the difference round
SELECT credit.create_model(jsonb_build_object('name', 'reasons', 'reason_code_algorithm', alg, 'baseline_score', 5, 'reasons', '[{"code": "Z"}, {"code": "B"}, {"code": "A"}, {"code": "N"}]'::jsonb,
    'characteristics', (SELECT jsonb_agg(jsonb_build_object('name', 'c' || i, 'field', 'x', 'data_type', 'number', 'reason_code', code, 'attributes', jsonb_build_array(jsonb_build_object('kind', 'other', 'points', p))) ORDER BY i)
        FROM (VALUES (1, 'A', 4), (2, 'B', 3), (3, 'A', 4), (4, 'Z', 5), (5, 'N', 9), (6, 'N', 3)) v(i, code, p))))
  FROM (VALUES ('pointsBelow'), ('pointsAbove')) a(alg);
SELECT m, ordinal, difference, reason_code, reason_rank FROM (VALUES ('reasons@1'), ('reasons@2')) v(m), credit.explain(m, (SELECT r FROM (SELECT 0 AS x) r)) ORDER BY m, ordinal;

-- closures at their bounds, for each type of column
SELECT credit.create_model(pg_temp.card(c, 'number', format('[{"kind": "interval", "low": 1.5, "high": 3, "closure": "%s", "points": 1}, {"kind": "other", "points": 0}]', c)))
  FROM unnest('{closedOpen,openClosed,openOpen,closedClosed}'::text[]) c;
SELECT c, 'float8' AS type, string_agg(credit.score(c || '@1', v)::text, ' ' ORDER BY x) FROM unnest('{closedOpen,openClosed,openOpen,closedClosed}'::text[]) c,
       LATERAL (VALUES (1.5::float8 - 2.3e-16), (1.5), (1.5 + 2.3e-16), (3 - 4.5e-16), (3), (3 + 4.5e-16), ('infinity'), ('-infinity'), ('-0')) v(x) GROUP BY c
UNION ALL
SELECT c, 'float4', string_agg(credit.score(c || '@1', v)::text, ' ' ORDER BY x) FROM unnest('{closedOpen,openClosed,openOpen,closedClosed}'::text[]) c,
       LATERAL (VALUES (1.4999999::float4), (1.5), (1.5000001), (2.9999998), (3), (3.0000002)) v(x) GROUP BY c
UNION ALL
SELECT c, 'numeric', string_agg(credit.score(c || '@1', v)::text, ' ' ORDER BY x) FROM unnest('{closedOpen,openClosed,openOpen,closedClosed}'::text[]) c,
       LATERAL (VALUES (1.49999999999999999999999), (1.5), (1.500), (1.50000000000000000000001), (2.99999999999999999999), (3), (3.000000000000000001), ('infinity'), (1e200), (-1e200)) v(x) GROUP BY c
UNION ALL
SELECT c, 'int8', string_agg(credit.score(c || '@1', v)::text, ' ' ORDER BY x) FROM unnest('{closedOpen,openClosed,openOpen,closedClosed}'::text[]) c,
       LATERAL (VALUES (-9223372036854775808), (1::int8), (2), (3), (4), (9223372036854775807)) v(x) GROUP BY c
UNION ALL
SELECT c, 'int2', string_agg(credit.score(c || '@1', v)::text, ' ' ORDER BY x) FROM unnest('{closedOpen,openClosed,openOpen,closedClosed}'::text[]) c,
       LATERAL (VALUES ((-32768)::int2), (1::int2), (2::int2), (3::int2), (4::int2)) v(x) GROUP BY c
ORDER BY 2, 1;

-- negative fractions against integers, dates, booleans, texts
SELECT credit.create_model(pg_temp.card('negative', 'number', '[{"kind": "interval", "low": -2.5, "high": -0.5, "closure": "closedClosed", "points": 1}, {"kind": "set", "values": [0.5, 7], "points": 2}, {"kind": "other", "points": 0}]'));
SELECT string_agg(x || ':' || credit.score('negative@1', v), ' ' ORDER BY x) FROM (VALUES (-3), (-2), (-1), (0), (1), (7)) v(x);
SELECT credit.create_model(pg_temp.card('day', 'date', '[{"kind": "interval", "low": "2024-01-01", "high": "2024-12-31", "closure": "openClosed", "points": 1}, {"kind": "set", "values": ["2000-02-29"], "points": 2}, {"kind": "missing", "points": 3}, {"kind": "other", "points": 0}]'));
SELECT string_agg(coalesce(x::text, 'null') || ':' || credit.score('day@1', v), ' ' ORDER BY x) FROM (VALUES ('2024-01-01'::date), ('2024-01-02'), ('2024-12-31'), ('2025-01-01'), ('2000-02-29'), ('infinity'), ('-infinity'), (NULL)) v(x);
SELECT credit.create_model(pg_temp.card('flag', 'boolean', '[{"kind": "set", "values": [false], "points": 1}, {"kind": "set", "values": [true], "points": 2}]'));
SELECT string_agg(x || ':' || credit.score('flag@1', v), ' ' ORDER BY x) FROM (VALUES (true), (false)) v(x);
SELECT credit.create_model(pg_temp.card('word', 'text', (SELECT jsonb_agg(jsonb_build_object('kind', 'set', 'values', jsonb_build_array(left('abcdefghijklmnopqrstuvwxyz', i)), 'points', i + 100) ORDER BY i)::text FROM generate_series(0, 26) i)));
SELECT bool_and(credit.score('word@1', v) = i + 100) AS each_prefix FROM generate_series(0, 26) i, LATERAL (SELECT left('abcdefghijklmnopqrstuvwxyz', i) AS x) v;
SELECT credit.score('word@1', v) FROM (SELECT 'abc'::varchar AS x) v UNION ALL SELECT credit.score('word@1', v) FROM (SELECT 'abc'::char(10) AS x) v;
SELECT pg_temp.fails(format('SELECT credit.score(''word@1'', v) FROM (SELECT %L::text AS x) v', t)) FROM (VALUES (1, 'abd'), (2, 'ab '), (3, 'abcdefghijklmnopqrstuvwxyzz'), (4, 'abcdefgi'), (5, 'abcdefghijklmnopqrstuvwxya'), (6, NULL)) v(n, t) ORDER BY n;
-- a long value is stored out of line and read whole
CREATE TABLE long_text (x text);
ALTER TABLE long_text ALTER x SET STORAGE EXTERNAL;
INSERT INTO long_text SELECT repeat('信用', 5000);
SELECT credit.create_model(pg_temp.card('long', 'text', format('[{"kind": "set", "values": ["%s"], "points": 1}, {"kind": "other", "points": 0}]', repeat('信用', 5000))));
SELECT credit.score('long@1', t) FROM long_text t;

CREATE TABLE long_number (x numeric);
ALTER TABLE long_number ALTER x SET STORAGE EXTERNAL;
INSERT INTO long_number SELECT repeat('1234567', 5000)::numeric UNION ALL SELECT ('7.' || repeat('0', 9000) || '1')::numeric;
SELECT x > 100 AS big, credit.score('negative@1', t) FROM long_number t ORDER BY 1;

-- nothing matches: an error that names characteristic and value, never 0 points
SELECT credit.create_model(pg_temp.card('gaps', 'number', '[{"kind": "interval", "low": 1, "high": 2, "closure": "closedOpen", "points": 1}]'));
SELECT pg_temp.fails(format('SELECT credit.score(''gaps@1'', v) FROM (SELECT %s AS x) v', x)) FROM (VALUES (1, '2'), (2, '0.5'), (3, 'NULL::int'), (4, '''NaN''::float8'), (5, '''NaN''::numeric'), (6, '1.99999::float4'), (7, '1')) v(n, x) ORDER BY n;
-- NaN is taken by "other" alone
SELECT credit.create_model(pg_temp.card('nan', 'number', '[{"kind": "interval", "closure": "closedClosed", "points": 1}, {"kind": "missing", "points": 2}, {"kind": "other", "points": 3}]'));
SELECT credit.score('nan@1', v) FROM (VALUES ('NaN'::float8), ('Infinity'), (NULL)) v(x);
-- first match wins
SELECT credit.create_model(pg_temp.card('first', 'number', '[{"kind": "set", "values": [-999, 5], "points": 1}, {"kind": "interval", "low": 4, "high": 6, "closure": "closedClosed", "points": 2}, {"kind": "interval", "high": 5, "closure": "openClosed", "points": 3}, {"kind": "interval", "low": 0, "closure": "closedOpen", "points": 4}]'));
SELECT string_agg(x || ':' || credit.score('first@1', v), ' ' ORDER BY x) FROM (VALUES (-999), (-998), (3), (4), (5), (6), (7)) v(x);

-- kinds of rows
SELECT credit.score('sample', ROW('x', 1, 2)::employee), credit.score('sample', NULL::employee) IS NULL AS null_row, credit.score(NULL, ROW('x', 1, 2)::employee) IS NULL AS null_model;
SELECT credit.score('sample', s) FROM (SELECT 1 AS other, income, age, department FROM employee WHERE age = 25) s;
SELECT credit.score('sample', s) FROM (SELECT 1 AS other, income, age, department FROM employee WHERE age = 25 OFFSET 0) s;
CREATE VIEW employee_view AS SELECT age + 0 AS age, lower(department) AS department, income FROM employee;
SELECT credit.score('sample', v) FROM employee_view v ORDER BY 1;
SELECT pg_temp.fails('SELECT credit.score(''sample'', ROW(1, 2))');
SELECT pg_temp.fails('SELECT credit.score(''sample'', s) FROM (SELECT 1 AS department, 1 AS age, 1 AS income) s');
SELECT pg_temp.fails('SELECT credit.score(''sample'', s) FROM (SELECT ''a''::text AS department, now() AS age, 1 AS income) s');
SELECT pg_temp.fails('SELECT credit.score(''nobody'', e) FROM employee e'), pg_temp.fails('SELECT credit.score(''sample@9'', e) FROM employee e'), pg_temp.fails('SELECT credit.score(''sample@x'', e) FROM employee e');
-- the planner passes columns where it may
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
        IF line ~ 'score' THEN
            RETURN NEXT regexp_replace(line, '^ *', '');
        END IF;
    END LOOP;
END
$$;
SELECT pg_temp.plan('SELECT credit.score(''sample'', e) FROM employee e');
SELECT pg_temp.plan('SELECT credit.score(''sample'', v) FROM employee_view v');
-- a row that an outer join made NULL has no score, one of NULLs has
SELECT i, credit.score('sample', e) FROM generate_series(24, 25) i LEFT JOIN employee e ON e.age = i ORDER BY i;
SELECT i, credit.score('sample', e) FROM generate_series(24, 25) i LEFT JOIN LATERAL (SELECT * FROM employee e WHERE e.age = i) e ON true ORDER BY i;
-- grouped, nulled by grouping sets, correlated, in DML
SELECT credit.score('sample', e) FROM employee e GROUP BY e ORDER BY 1;
SELECT credit.score('sample', e) FROM employee e GROUP BY ROLLUP (e) ORDER BY 1;
SELECT (SELECT credit.score('sample', e) FROM (SELECT 1) one) FROM employee e ORDER BY 1;
CREATE TABLE scored (department text, score float8);
INSERT INTO scored SELECT department, credit.score('sample', e) FROM employee e;
UPDATE employee e SET income = credit.score('sample', e) WHERE credit.score('sample', e) = 29 RETURNING income, credit.score('sample', e);
SELECT * FROM scored ORDER BY 2;
-- dropped, added and renamed columns
DROP VIEW employee_view;
ALTER TABLE employee ADD spare int DEFAULT 7, ADD income2 numeric DEFAULT 800;
ALTER TABLE employee DROP income;
ALTER TABLE employee RENAME income2 TO income;
SELECT credit.score('sample', e) FROM employee e ORDER BY 1;
SELECT credit.score('sample', e) FROM (SELECT * FROM employee OFFSET 0) e ORDER BY 1;
SELECT count(*), sum(credit.score('sample', (ARRAY[e])[1])) FROM employee e;
-- many kinds of row through one call site
CREATE FUNCTION pg_temp.any_row(r record) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RETURN credit.score('sample', r); END $$;
SELECT pg_temp.any_row(e), pg_temp.any_row(s) FROM employee e, (SELECT 1::int8 AS age, 'business'::varchar AS department, 2::float4 AS income) s WHERE e.age IN (25, 39) ORDER BY 1;
ALTER TABLE employee ALTER age TYPE numeric;
SELECT pg_temp.any_row(e) FROM employee e ORDER BY 1;
-- too many columns for a function's arguments
SELECT 'CREATE TABLE wide AS SELECT ''engineering''::text AS department, 25 AS age, ' || string_agg(format('%s AS c%s', i, i), ', ') || ', 500 AS income' AS make_wide FROM generate_series(1, 200) i \gset
:make_wide;
SELECT credit.score('sample', w) FROM wide w;
-- tables with children
CREATE TABLE parted (department text, age integer, income numeric) PARTITION BY LIST (department);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('engineering');
CREATE TABLE parted_b (income numeric, extra int, department text, age integer);
ALTER TABLE parted_b DROP extra;
ALTER TABLE parted ATTACH PARTITION parted_b DEFAULT;
INSERT INTO parted VALUES ('engineering', 25, 500), ('marketing', 40, 2000);
SELECT department, credit.score('sample', p) FROM parted p ORDER BY 1;
SELECT department, credit.score('sample', p) FROM (SELECT * FROM parted OFFSET 0) p ORDER BY 1;

-- a new version reaches prepared plans and PL/pgSQL at once; a draft does not; retiring goes back
SET LOCAL plan_cache_mode = force_generic_plan;
PREPARE scoring AS SELECT credit.score('sample', e) FROM parted e WHERE age = 25;
CREATE FUNCTION pg_temp.loop_score() RETURNS float8 LANGUAGE plpgsql AS $$ DECLARE e parted; BEGIN e.department := 'engineering'; e.age := 25; e.income := 500; RETURN credit.score('sample', e); END $$;
EXECUTE scoring;
SELECT pg_temp.loop_score();
SELECT credit.create_model(jsonb_set(credit.model_definition('sample'), '{initial_score}', '1000'));
EXECUTE scoring;
SELECT credit.score('sample@3', e) FROM parted e WHERE age = 25;
SELECT length(credit.publish_model('sample'));
EXECUTE scoring;
SELECT pg_temp.loop_score();
SELECT credit.retire_model('sample', 3);
EXECUTE scoring;
SELECT pg_temp.loop_score(), credit.score('sample@3', e) FROM parted e WHERE age = 25;
ROLLBACK;
