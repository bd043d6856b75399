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
    detail text;
    hint text;
BEGIN
    EXECUTE query INTO answer;
    RETURN 'no error: ' || coalesce(answer, 'null');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END
$$;
-- a card whose only characteristic gives points by an expression over x, y (numbers), t (text), b (boolean) and d (date)
CREATE FUNCTION pg_temp.card(name text, expression text, extra jsonb DEFAULT '{}', conventions jsonb DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('name', name, 'use_reason_codes', false, 'conventions', conventions,
        'fields', (SELECT jsonb_agg(jsonb_build_object('name', f, 'data_type', k) ORDER BY n)
                     FROM (VALUES (1, 'y', 'number'), (2, 't', 'text'), (3, 'b', 'boolean'), (4, 'd', 'date'), (5, 'Y 2', 'number')) v(n, f, k)
                    WHERE jsonb_path_exists(credit._expression_tree(expression), '$.**.field ? (@ == $f)', jsonb_build_object('f', f))),
        'characteristics', jsonb_build_array(jsonb_build_object('name', 'c', 'field', 'x', 'data_type', 'number', 'attributes',
            jsonb_build_array(jsonb_build_object('kind', 'other', 'expression', expression) || extra,
                              jsonb_build_object('kind', 'missing', 'expression', expression) || extra)))))
$$;
CREATE TYPE pg_temp.row AS (x float8, y numeric, t text, b boolean, d date, "Y 2" integer);
CREATE FUNCTION pg_temp.value(expression text, x float8 DEFAULT NULL, y numeric DEFAULT NULL, t text DEFAULT NULL, b boolean DEFAULT NULL, d date DEFAULT NULL,
                              extra jsonb DEFAULT '{}', conventions jsonb DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v integer;
    answer text;
    detail text;
BEGIN
    v := credit.create_model(pg_temp.card('v', expression, extra, conventions));
    answer := credit.score('v@' || v, ROW(x, y, t, b, d, 7)::pg_temp.row);
    RETURN answer;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

-- written one way: spaces, case of words, parentheses, signs
SELECT e, credit._expression_text(e) AS text, credit._expression_text(credit._expression_text(e)) = credit._expression_text(e) AS stays FROM unnest(ARRAY[
    'x', ' X+1 ', '((x))', 'a*(b+c)', '(a*b)+c', 'a-(b-c)', '(a-b)-c', 'a/(b*c)', 'a/b/c', '-x', '- 5', '-x*y', 'a - -1.50', '1e3+x', '.5*x',
    'IF(x>1 AND not y<=2 OR b, MIN(x,y,3), 0)', '(x or y) and z', 'not (a and b)', 'not not a', 'not (a = b)', '(not a) = b', 'is_missing("Y 2")',
    '"or" + "x"', '"x""y"', '"农户" + 农户', 't = ''it''''s''', 'a<>b', 'a=b', '(a=b)=true', 'log10(exp(x))']) WITH ORDINALITY u(e, n) ORDER BY n;
-- what it is worth
SELECT e, pg_temp.value(e, 3, 2, 'own', true, '2020-02-29') AS value FROM unnest(ARRAY[
    '2 + 3 * x', '(2 + 3) * x', 'x - y - 1', 'x - (y - 1)', 'x / y', '-x + y', 'min(x, y, -1)', 'max(x, y)', 'abs(-x)', 'exp(0 * x)', 'ln(exp(x))', 'log10(x * 0 + 1000)',
    'sqrt(x + 1)', 'pow(x, y)', 'floor(x / y)', 'ceil(x / y)', 'round(x / y)', 'round(-x / y)', 'rint(x / y + 1)', 'if(x > y, 1, 2)', 'if(x <= y, 1, 2)', 'if(t = ''own'', 1, 2)',
    'if(t <> ''own'', 1, 2)', 'if(b, x, y)', 'if(b = false, x, y)', 'if(not b, x, y)', 'if(d >= ''2020-02-29'', 1, 2)', 'if(d < ''2000-01-01'' or d > ''2020-02-28'' and x = 3, 1, 2)',
    'if(is_missing(x), 1, 2)', '"Y 2" * x', 'x / 3', '0.1 + 0.2 + x * 0', 'if(if(b, x > 1, false), 1, 0)']) WITH ORDINALITY u(e, n) ORDER BY n;
-- missing inputs: unknown unless the rest decides; min and max leave them out, as PMML says
SELECT e, pg_temp.value(e, 3) AS value FROM unnest(ARRAY[
    'x + y', 'min(x, y)', 'min(y, "Y 2" - y)', 'max(y, x)', 'if(y > 1, 1, 2)', 'if(y > 1 or x = 3, 1, 2)', 'if(y > 1 and x = 4, 1, 2)', 'if(y > 1 and x = 3, 1, 2)', 'if(not y > 1, 1, 2)',
    'if(is_missing(y), x, y)', 'if(x = 3, x, y)', 'if(x = 4, x, y)', 'if(t = ''own'' or is_missing(t), 1, 2)']) WITH ORDINALITY u(e, n) ORDER BY n;
-- no value: an error, unless what is chosen does not need it, or the attribute has a default
SELECT e, x, pg_temp.value(e, x, 0) AS value, pg_temp.value(e, x, 0, extra => '{"default": -7.5}') AS with_default FROM (VALUES
    (1, 'x / y', 1::float8), (2, 'if(y = 0, x, x / y)', 1), (3, 'ln(x)', 0), (4, 'ln(x)', -1), (5, 'sqrt(x)', -1), (6, 'pow(x, 0.5)', -1), (7, 'pow(y, x)', -1), (8, 'exp(x)', 1000),
    (9, 'x * 2', 500000), (10, 'x * 2', 500001), (11, 'x', 'NaN'), (12, 'x', 'Infinity'), (13, 'if(x > 5, 1, 0)', 'Infinity'), (14, 'x', NULL), (15, 'pow(x, 400)', 10), (16, 'log10(x)', 0),
    (17, 'if(x > 5, 1, 0)', 'NaN'), (18, '1 / (x - x)', 'Infinity')) v(n, e, x) ORDER BY n;
CREATE TYPE pg_temp.two AS (x integer, y bigint);
SELECT pg_temp.fails(format('SELECT credit.score(%L, ROW(1, 0)::pg_temp.two)', 'e@' || credit.create_model(pg_temp.card('e', 'x / y')))) ;
-- ties, by the model
SELECT r, string_agg(pg_temp.value('round(x)', x, conventions => jsonb_build_object('rounding', r)), ' ' ORDER BY x) AS rounded,
       pg_temp.value('x', 0.0000005, conventions => jsonb_build_object('rounding', r)) AS millionths
  FROM unnest('{half_away,half_even,half_up}'::text[]) r, unnest('{-2.5,-1.5,-0.5,0.5,1.5,2.5,0.49999999999999994}'::float8[]) x GROUP BY r;
-- columns of every type
CREATE TEMP TABLE typed AS SELECT 2::smallint AS i2, 3 AS i4, 4::bigint AS i8, 1.5::real AS f4, 2.5::float8 AS f8, 1e400::numeric AS big, 0.1::numeric AS n, true AS b, 'ab '::char(5) AS c, 'ab'::varchar AS v, 'infinity'::date AS d, 1 AS x;
SELECT credit.create_model(jsonb_build_object('name', 'typed', 'use_reason_codes', false,
    'fields', (SELECT jsonb_agg(jsonb_build_object('name', f, 'data_type', k) ORDER BY f) FROM (VALUES ('i2', 'number'), ('i4', 'number'), ('i8', 'number'), ('f4', 'number'), ('f8', 'number'), ('n', 'number'), ('big', 'number'), ('b', 'boolean'), ('c', 'text'), ('v', 'text'), ('d', 'date')) v(f, k)),
    'characteristics', jsonb_build_array(jsonb_build_object('name', 'x', 'data_type', 'number', 'attributes', jsonb_build_array(
        jsonb_build_object('kind', 'other', 'expression', 'i2 + i4 + i8 + f4 + f8 + n + if(b, 10, 0) + if(c = v and c = ''ab'', 100, 0) + if(d > ''9999-12-31'', 1000, 0) + if(big > 1e300, 10000, 0)'))))));
SELECT credit.score('typed@1', t), (SELECT sum(points) FROM credit.explain('typed@1', t)) AS explained FROM typed t;
SELECT credit.score('typed@1', q) FROM (SELECT t.* FROM typed t OFFSET 0) q;
SELECT pg_temp.fails('SELECT credit.score(''typed@1'', q) FROM (SELECT 1 AS x) q');
SELECT pg_temp.fails('SELECT credit.score(''typed@1'', t) FROM (SELECT x, i2, i4, i8, f4, f8, n, big, b, c, v, 1 AS d FROM typed) t');

-- beside other attributes, with reasons: explained by the points that were computed
SELECT credit.create_model($j${"name": "mixed", "initial_score": 100, "baseline_score": 20, "fields": [{"name": "income", "data_type": "number"}],
    "characteristics": [
        {"name": "age", "data_type": "number", "reason_code": "R1", "attributes": [
            {"kind": "interval", "high": 18, "closure": "openOpen", "points": 0},
            {"kind": "interval", "low": 18, "closure": "closedOpen", "expression": "min(30, 5*LN(income/1000))", "default": 1.25},
            {"kind": "missing", "points": -1}]},
        {"name": "kind", "data_type": "text", "reason_code": "R2", "attributes": [{"kind": "set", "values": ["own"], "expression": "age / 2"}, {"kind": "other", "points": 3}]}],
    "reasons": [{"code": "R1", "text_zh": "年龄收入", "text_en": "age and income"}, {"code": "R2"}], "grades": [{"grade": "A", "low": 120}, {"grade": "B", "high": 120}]}$j$);
SELECT jsonb_path_query(credit.model_definition('mixed', 1), '$.characteristics[*].attributes[*] ? (exists (@.expression))');
SET LOCAL client_min_messages = error;
SELECT length(credit.publish_model('mixed', 1)) AS digest;
RESET client_min_messages;
CREATE TEMP TABLE applicant AS SELECT * FROM (VALUES (30, 20000::numeric, 'own'), (30, NULL, 'rent'), (10, 0, 'own'), (40, 0, 'own'), (NULL, 5000, 'rent')) v(age, income, kind);
SELECT age, income, kind, credit.score('mixed', a) FROM applicant a;
SELECT ordinal, characteristic, value, attribute, points, difference, reason_code, reason_rank FROM credit.explain('mixed', (SELECT a FROM applicant a WHERE kind = 'own' AND age = 30));
SELECT bool_and(credit.score('mixed', a) = (SELECT sum(points) FROM credit.explain('mixed', a))) AS adds_up FROM applicant a;
-- a rating keeps the columns of expressions and is replayed by them
SELECT s AS subject FROM credit.register_subject(kind => 'household', code => 'expression-1', name => '农户甲') s \gset
SELECT credit.rate('mixed', :subject, a) AS rating FROM applicant a WHERE kind = 'own' AND age = 30 \gset
SELECT inputs, score, grade, score_grade, grade_rule FROM credit.rating WHERE rating_id = :rating;
SELECT * FROM credit.replay(:subject, :rating);

-- what is refused, and where
SELECT e, pg_temp.fails(format('SELECT credit.create_model(pg_temp.card(''bad'', %L))', e)) AS answer FROM unnest(ARRAY[
    '', 'x +', 'x + + 1', '(x', 'x)', 'x y', '1', '2 > x', 'x > 1', 't', 't + 1', 't < ''a''', 'b > false', 'x = t', 'if(x, 1, 2)', 'if(b, 1, t)', 'if(b, 1)', 'foo(x)', 'z', 'is_missing(x + 1) = b',
    'd = ''2020-02-30''', 'd = ''x''', '''a', '"a', '""', 'x @ 1', '1 = 1 = 1', 'x and b', 'and', '1..2 + x', '1e + x', '1e999 + x', '12x', 'x; DROP TABLE t', '农户 + 错', 'min()', 'abs(x, 1)',
    repeat('(', 50) || 'x' || repeat(')', 50), 'x' || repeat(' + x', 60), repeat('not ', 50) || 'b']) WITH ORDINALITY u(e, n) ORDER BY n;
SELECT left(pg_temp.fails(format('SELECT credit._expression_text(%L)', e)), 120) FROM unnest(ARRAY['x' || repeat(' ', 4000), repeat('y + (', 30) || 'x' || repeat(')', 30), 'min(' || repeat('x, ', 31) || 'x)', 'min(' || repeat('x, ', 32) || 'x)',
    '(' || repeat('x+', 30) || 'x)*(' || repeat('x+', 30) || 'x)*(' || repeat('x+', 30) || 'x)*(' || repeat('x+', 30) || 'x)*(' || repeat('x+', 30) || 'x)', repeat('-', 60) || 'x', '-' || repeat('9', 70) || ' + x']) e;
SELECT n, pg_temp.fails(format('SELECT credit.create_model(%L)', d)) AS answer FROM (VALUES
    (1, pg_temp.card('bad', 'x', '{"points": 1}')), (2, pg_temp.card('bad', 'x', '{"expression": 1}')), (3, pg_temp.card('bad', 'x', '{"default": 10000000}')), (4, pg_temp.card('bad', 'x', '{"expression": null, "points": 1, "default": 2}')),
    (5, pg_temp.card('bad', 'x') || '{"fields": [{"name": "x", "data_type": "text"}]}'), (6, pg_temp.card('bad', 'x') || '{"fields": [{"name": "y", "data_type": "number"}]}'), (7, pg_temp.card('bad', 'x') || '{"fields": [{"name": "y"}]}'),
    (8, pg_temp.card('bad', 'x + y') || '{"fields": [{"name": "y", "data_type": "number"}, {"name": "y", "data_type": "number"}]}'), (9, pg_temp.card('bad', 'x + y') || '{"fields": [{"name": "y", "data_type": "money"}]}'),
    (10, pg_temp.card('bad', 'x') || '{"fields": {}}'), (11, pg_temp.card('bad', 'x + "applicant_religion"') || '{"fields": [{"name": "applicant_religion", "data_type": "number"}]}'),
    (12, pg_temp.card('bad', 'x') || '{"grades": [{"grade": "A", "low": 0, "high": 100}]}'), (13, pg_temp.card('fields_null', 'x') || '{"fields": null, "conventions": null}')) v(n, d) ORDER BY n;
-- the same column read with two types is not one that an expression can read
SELECT pg_temp.fails(format('SELECT credit.create_model(%L)', '{"name": "two", "use_reason_codes": false, "characteristics": [
    {"name": "a", "field": "x", "data_type": "number", "attributes": [{"kind": "other", "expression": "x"}]}, {"name": "b", "field": "x", "data_type": "text", "attributes": [{"kind": "other", "points": 1}]}]}'));

-- PMML, there and back
SELECT credit.model_pmml('mixed');
SELECT credit.import_pmml(credit.model_pmml('mixed', 1));
SELECT credit.model_definition('mixed', 1) = credit.model_definition('mixed', 2) AS same, (SELECT bool_and(credit.score('mixed@1', a) = credit.score('mixed@2', a)) FROM applicant a) AS same_scores;
SET LOCAL client_min_messages = error;
CREATE TEMP TABLE trip AS SELECT n, e FROM unnest(ARRAY[
    'x', '-x * y', 'x - (y - 1)', 'x - y - 1', 'if(t = ''it''''s <&> "q"'', x, -1.50)', 'if(b and not (x > 1 or y <= 2), 1, 0)', 'if(b = true, x, 1e3)', 'if(d >= ''2020-02-29'', x, .5)',
    'if(is_missing("Y 2"), 0, "Y 2")', 'min(x, y, 3)', 'max(x)', 'pow(abs(x), 2) / sqrt(y)', 'ln(x) + log10(y) + exp(x)', 'floor(x) + ceil(y) + round(x) + rint(y)', 'x * (y + 1) / (x * y)',
    'if(x <> 1, x, y)', 'if(not is_missing(x), x, 0)', 'if(t = '' a '', x, 0)', 'if(x >= 1 and x < 2 and b, 1, 2)', 'x' || repeat(' + (x', 20) || repeat(')', 20)]) WITH ORDINALITY u(e, n);
SELECT count(credit.create_model(pg_temp.card('trip ' || n, e, CASE WHEN n % 2 = 0 THEN '{"default": 0.5}' ELSE '{}' END::jsonb))) FROM trip;
SELECT count(credit.import_pmml(credit.model_pmml('trip ' || n, 1))) FROM trip;
SELECT count(*) FILTER (WHERE credit.model_definition('trip ' || n, 1) = credit.model_definition('trip ' || n, 2)) AS same, count(*),
       string_agg(e, ' | ') FILTER (WHERE credit.model_definition('trip ' || n, 1) <> credit.model_definition('trip ' || n, 2)) AS different FROM trip;
RESET client_min_messages;
-- PMML of others: what an expression may be, by value, and what is refused
-- at the edge itself
SELECT e, pg_temp.value(e, 0, 0) AS both_zero FROM unnest(ARRAY['if(x <= y, 1, 2)', 'if(x >= y, 1, 2)', 'if(x < y, 1, 2)', 'if(x > y, 1, 2)', 'sqrt(x)', 'pow(x, y)', 'floor(x)']) e;
CREATE FUNCTION pg_temp.foreign_card(name text, expression text, attribute text DEFAULT '') RETURNS text LANGUAGE sql AS $$
SELECT format('<PMML version="4.4"><Header/><DataDictionary><DataField name="x" dataType="double"/><DataField name="y" dataType="double"/><DataField name="t" dataType="string"/></DataDictionary><Scorecard modelName="%s" functionName="regression" useReasonCodes="false">
<MiningSchema><MiningField name="t"/><MiningField name="x"/><MiningField name="y"/></MiningSchema><Characteristics><Characteristic><Attribute%s><True/><ComplexPartialScore>%s</ComplexPartialScore></Attribute></Characteristic></Characteristics></Scorecard></PMML>', name, attribute, expression)
$$;
CREATE FUNCTION pg_temp.apply(function text, VARIADIC parts text[]) RETURNS text LANGUAGE sql AS $$ SELECT format('<Apply function="%s">%s</Apply>', function, array_to_string(parts, '')) $$;
CREATE TEMP TABLE foreign_expression (n int, e text);
INSERT INTO foreign_expression VALUES
    (1, '<FieldRef field="x"/>'), (2, '<FieldRef field="x" mapMissingTo="5"/>'), (3, pg_temp.apply('+', '<FieldRef field="x"/>', '<Constant> +2.5 </Constant>')),
    (4, pg_temp.apply('*', '<FieldRef field="y" mapMissingTo="-2"/>', '<FieldRef field="x"/>')), (5, '<Apply function="/" defaultValue="9"><FieldRef field="x"/><FieldRef field="y"/></Apply>'),
    (6, pg_temp.apply('if', pg_temp.apply('and', pg_temp.apply('greaterThan', '<FieldRef field="x"/>', '<Constant dataType="integer">1</Constant>'), pg_temp.apply('isMissing', '<FieldRef field="y"/>'), pg_temp.apply('equal', '<FieldRef field="t"/>', '<Constant dataType="string">own</Constant>')), '<Constant>1</Constant>', '<Constant>0</Constant>')),
    (7, pg_temp.apply('round', pg_temp.apply('-', '<Constant>0</Constant>', '<FieldRef field="x"/>'))), (8, pg_temp.apply('if', pg_temp.apply('isNotMissing', '<FieldRef field="y"/>'), '<FieldRef field="y"/>', '<FieldRef field="x"/>'));
SET LOCAL client_min_messages = error;
SELECT count(credit.import_pmml(pg_temp.foreign_card('foreign ' || n, e))) FROM foreign_expression;
RESET client_min_messages;
CREATE TYPE pg_temp.row3 AS (x float8, y numeric, t text);
SELECT n, credit.model_definition('foreign ' || n, 1) #>> '{characteristics,0,attributes,0,expression}' AS expression, credit.model_definition('foreign ' || n, 1) #>> '{characteristics,0,attributes,0,default}' AS "default",
       credit.model_definition('foreign ' || n, 1) -> 'conventions' AS conventions, credit.model_definition('foreign ' || n, 1) -> 'fields' AS fields, pg_temp.fails(format('SELECT credit.score(%L, ROW(2.5, NULL, ''own'')::pg_temp.row3)', 'foreign ' || n || '@1')) AS score
  FROM foreign_expression ORDER BY n;
SELECT n, pg_temp.fails(format('SELECT credit.import_pmml(%L)', pg_temp.foreign_card('refused', e, a))) AS answer FROM (VALUES
    (1, '', ''), (2, '<FieldRef field="x"/><FieldRef field="y"/>', ''), (3, '<FieldRef field="x"/>', ' partialScore="1"'), (4, '<FieldRef/>', ''), (5, '<FieldRef field="nobody"/>', ''), (6, '<NormContinuous field="x"/>', ''),
    (7, pg_temp.apply('lowercase', '<FieldRef field="t"/>'), ''), (8, pg_temp.apply('+', '<FieldRef field="x"/>'), ''), (9, '<Apply function="+" invalidValueTreatment="asIs"><FieldRef field="x"/><FieldRef field="y"/></Apply>', ''),
    (10, pg_temp.apply('abs', '<Apply function="ln" defaultValue="1"><FieldRef field="x"/></Apply>'), ''), (11, '<Constant>1</Constant>', ''), (12, pg_temp.apply('+', '<FieldRef field="x"/>', '<Constant>one</Constant>'), ''), (13, '<FieldRef field="t"/>', ''),
    (14, pg_temp.apply('+', '<FieldRef field="x"/>', '<Constant>1) + (2</Constant>'), ''), (15, '<Apply><FieldRef field="x"/></Apply>', ''), (16, '<FieldRef field="x" mapMissingTo="none"/>', ''), (17, '<FieldRef field="x&quot; + y"/>', '')) v(n, e, a) ORDER BY n;
ROLLBACK;
