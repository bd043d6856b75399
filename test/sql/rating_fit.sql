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
SET LOCAL client_min_messages = warning;
CREATE TABLE sample AS
SELECT i, (i * 7919 % 1009) / 100.0::float8 AS a, (i * 104729 % 997) * 10 AS b, (i % 5)::float8 AS c, (1 + i % 3)::float8 AS w,
       CASE WHEN i % 11 = 0 THEN NULL WHEN (i * 7919 % 1009) > 500 THEN 'x' WHEN i % 2 = 0 THEN 'it''s' ELSE 'z' END AS t, i % 2 = 0 AS even,
       ((i * 15485863::bigint) % 10007) / 10007.0 < 1 / (1 + exp(2 - 0.2 * (i * 7919 % 1009) / 100.0 - 0.0001 * (i * 104729 % 997) * 10)) AS bad
  FROM generate_series(1, 20000) i;
-- R 4.2.2: glm(bad ~ a + b + c, binomial), without and with weights w, iterated until nothing moves
CREATE TEMP TABLE by_r (weight name, term text, estimate float8, std_error float8);
INSERT INTO by_r VALUES
    (NULL, 'intercept', -2.00087210926047, 0.04904897679191488),
    (NULL, 'a', 0.1998753258968732, 0.00540928889446414),
    (NULL, 'b', 0.0001005774779755682, 5.329026087912834e-06),
    (NULL, 'c', -0.0007661312979783807, 0.01073654042787715),
    ('w', 'intercept', -1.996836498279831, 0.03465866033963054),
    ('w', 'a', 0.2001571212466326, 0.003825746585686629),
    ('w', 'b', 0.000100150815115953, 3.768190095038774e-06),
    ('w', 'c', -0.002605520919246766, 0.007592262817081289);
SELECT r.weight, r.term, abs(f.estimate - r.estimate) < 1e-8 * abs(r.estimate) AS estimate, abs(f.std_error - r.std_error) < 1e-8 * r.std_error AS std_error, abs(f.z - r.estimate / r.std_error) < 1e-8 * abs(f.z) AS z
  FROM by_r r, LATERAL credit.fit_terms(credit.fit_logistic('sample', 'bad', '{a,b,c}', r.weight)) f WHERE f.term = r.term ORDER BY 1 NULLS FIRST, 2;
SELECT term, abs(p / r - 1) < 1e-6 AS p FROM credit.fit_terms(credit.fit_logistic('sample', 'bad', '{a,b,c}')) JOIN (VALUES ('a', 7.17957972203012e-299::float8), ('b', 1.88327712042366e-79), ('c', 9.43113336139431e-01)) v(term, r) USING (term) ORDER BY 1;
SELECT abs((f ->> 'log_likelihood')::float8 + 12465.6737667008) < 1e-8, abs((f ->> 'null_log_likelihood')::float8 + 13370.4781046168) < 1e-8, abs((f ->> 'aic')::float8 - 24939.3475334015) < 1e-8, f ->> 'n', f ->> 'bad' FROM credit.fit_logistic('sample', 'bad', '{a,b,c}') f;
-- by another way: at the coefficients the gradient is 0, in numeric
SELECT bool_and(abs(g) < 1e-6) AS gradient_is_zero FROM (SELECT unnest(ARRAY[sum(r), sum(r * a), sum(r * b), sum(r * c)]) AS g
  FROM (SELECT a::numeric, b::numeric, c::numeric, bad::int - 1 / (1 + exp(-(x[1]::numeric + x[2]::numeric * a::numeric + x[3]::numeric * b + x[4]::numeric * c::numeric))) AS r
          FROM sample, (SELECT array_agg(estimate) AS x FROM credit.fit_terms(credit.fit_logistic('sample', 'bad', '{a,b,c}'))) f) s) g;
-- a weight is so many rows, and a weight of 0 none
CREATE VIEW repeated AS SELECT s.* FROM sample s, generate_series(1, w::int);
CREATE VIEW zero AS SELECT a, b, c, bad, 1 AS k FROM sample UNION ALL SELECT NULL, NULL, 'NaN', true, 0 FROM sample;
SELECT bool_and(abs(x.estimate - y.estimate) < 1e-9 * abs(x.estimate) AND abs(x.std_error - y.std_error) < 1e-9 * x.std_error) AS repeated FROM credit.fit_terms(credit.fit_logistic('sample', 'bad', '{a,b,c}', 'w')) x JOIN credit.fit_terms(credit.fit_logistic('repeated', 'bad', '{a,b,c}')) y USING (term);
SELECT bool_and(abs(x.estimate - y.estimate) < 1e-9 * abs(x.estimate)) AS without FROM credit.fit_terms(credit.fit_logistic('sample', 'bad', '{a,b,c}')) x JOIN credit.fit_terms(credit.fit_logistic('zero', 'bad', '{a,b,c}', 'k')) y USING (term);
-- in parallel: the workers are used, the result is that of one process to 1e-10
ANALYZE sample;
SELECT f ->> 'partial_states' AS serial FROM credit.fit_logistic('sample', 'bad', '{a}') f;
CREATE TEMP TABLE serial AS SELECT t.* FROM credit.fit_terms(credit.fit_logistic('sample', 'bad', '{a,b,c}')) t;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 3;
SET LOCAL parallel_leader_participation = off;
CREATE TEMP TABLE parallel AS SELECT credit.fit_logistic('sample', 'bad', '{a,b,c}') AS f;
SELECT (f ->> 'partial_states')::int > 0 AS parallel FROM parallel;
SELECT bool_and(abs(s.estimate - p.estimate) < 1e-10 * abs(s.estimate) AND abs(s.std_error - p.std_error) < 1e-10 * s.std_error) AS same, count(*) FROM serial s JOIN (SELECT t.* FROM parallel, credit.fit_terms(f) t) p USING (term);
RESET max_parallel_workers_per_gather;
RESET parallel_leader_participation;
-- no answer: each with its reason
CREATE VIEW bad_sample AS SELECT s.*, 2 * a - 3 * b + 1 AS sum, 7 AS same, bad::int AS known, CASE WHEN bad AND i % 4 = 0 THEN 1 ELSE 0 END AS partly, CASE WHEN i = 5 THEN NULL ELSE a END AS holes, CASE WHEN i = 5 THEN 'infinity' ELSE a END AS boundless,
    true AS always, CASE WHEN i > 5 THEN bad END AS unknown, CASE WHEN i = 5 THEN -1 ELSE 1 END AS negative FROM sample s;
SELECT f, pg_temp.fails(format('SELECT credit.fit_logistic(''bad_sample'', %L, %L, %L, %L)', o, f, w, m)) FROM (VALUES
    (1, 'bad', '{a,b,sum}', NULL, 25), (2, 'bad', '{a,same}', NULL, 25), (3, 'bad', '{a,known}', NULL, 25), (4, 'bad', '{a,partly}', NULL, 25), (5, 'bad', '{holes}', NULL, 25), (6, 'bad', '{a,boundless}', NULL, 25),
    (7, 'always', '{a}', NULL, 25), (8, 'unknown', '{a}', NULL, 25), (9, 'bad', '{a}', 'negative', 25), (10, 'bad', '{a,b,c}', NULL, 2), (11, 'bad', '{}', NULL, 25), (12, 'bad', '{a,NULL}', NULL, 25), (13, 'bad', '{t}', NULL, 25),
    (14, 'bad', '{"a); DROP TABLE sample; --"}', NULL, 25), (15, 'a', '{b}', NULL, 25), (16, 'bad', '{a}', NULL, 0)) v(n, o, f, w, m) ORDER BY n;
CREATE TEMP TABLE empty AS SELECT * FROM sample LIMIT 0;
SELECT pg_temp.fails('SELECT credit.fit_logistic(''empty'', ''bad'', ''{a}'')');
SELECT pg_temp.fails('SELECT credit._fit_step(''{1}'', ''{1}'')'), pg_temp.fails('SELECT credit._fit_sums(true, 1, ''{1,2}'', ''{1}'')'), pg_temp.fails('SELECT credit._fit_sums(true, 1, ARRAY[1, NULL]::float8[], ''{}'')');

-- a scorecard: selection, points, and the draft goes on to be published and scores
SELECT version FROM credit.fit_scorecard('fitted', 'sample', 'bad', '{a,b,c,t,even}', '{"selection": "both", "min_iv": 0.0001, "bins": {"method": "monotone"}, "fields": {"c": {"method": "quantile", "bins": 5}, "even": {"method": "levels"}}, "digits": 6}');
SELECT s ->> 'column' AS column, s ->> 'step' AS step, round((s ->> 'iv')::numeric, 5) AS iv, round((s ->> 'p')::numeric, 4) AS p FROM credit.fit, jsonb_array_elements(steps) WITH ORDINALITY e(s, place) ORDER BY fit_id, place;
SELECT fitted_by = current_user AS by_me, sample, outcome, m.status, m.name FROM credit.fit JOIN credit.model m USING (model_id);
SELECT length(credit.publish_model('fitted'));
-- the score is offset + factor * ln(odds), computed from bins and coefficients by SQL: 600 at 50:1, 20 points double the odds
WITH f AS (SELECT bins, fit FROM credit.fit), a AS (SELECT t.estimate, b.* FROM f, credit.fit_terms(f.fit) t, jsonb_to_recordset(f.bins -> t.term) b(low float8, high float8, woe float8) WHERE t.term = 'a'),
     b AS (SELECT t.estimate, b.* FROM f, credit.fit_terms(f.fit) t, jsonb_to_recordset(f.bins -> t.term) b(low float8, high float8, woe float8) WHERE t.term = 'b'),
     s AS (SELECT s.*, (SELECT t.estimate FROM f, credit.fit_terms(f.fit) t WHERE t.term = 'intercept') + a.estimate * a.woe + b.estimate * b.woe AS logit
             FROM sample s JOIN a ON coalesce(s.a >= a.low, true) AND coalesce(s.a < a.high, true) JOIN b ON coalesce(s.b >= b.low, true) AND coalesce(s.b < b.high, true))
SELECT count(*), max(abs(credit.score('fitted', s) - (487.1228762045 - 28.8539008178 * logit))) < 2e-6 AS score FROM s;
-- missing and unseen values: explicit, or the worst points
SELECT version FROM credit.fit_scorecard('worst', 'sample', 'bad', '{t,even}', '{"unseen": "worst", "max_iterations": 30}');
SELECT c ->> 'name' AS name, c ->> 'data_type' AS type, a ->> 'kind' AS kind, a -> 'values' AS values FROM jsonb_array_elements(credit.model_definition('worst', 1) -> 'characteristics') c, jsonb_array_elements(c -> 'attributes') a;
SELECT pg_temp.fails(format('SELECT credit.fit_scorecard(''refused'', ''sample'', ''bad'', %L, %L)', f, o)) FROM (VALUES (1, '{a,b}', '{"min_iv": 100}'), (2, '{a}', '{"selection": "best"}'), (3, '{a}', '{"pdo": -1}'), (4, '{c}', '{"selection": "forward", "p_enter": 0.000001}'), (5, '{a}', '{"pdos": 1}'), (6, '{a,nothing}', '{}')) v(n, f, o) ORDER BY n;
SELECT count(*) AS left_behind FROM credit.model WHERE name = 'refused';
-- an analyst fits what it can read, and nothing else
CREATE ROLE rating_fit_analyst IN ROLE credit_analyst;
GRANT SELECT ON sample TO rating_fit_analyst;
GRANT USAGE ON SCHEMA public TO rating_fit_analyst;
CREATE TABLE closed AS SELECT * FROM sample LIMIT 100;
SET LOCAL ROLE rating_fit_analyst;
SELECT version FROM credit.fit_scorecard('by analyst', 'sample', 'bad', '{a}');
SELECT pg_temp.fails('SELECT credit.fit_logistic(''closed'', ''bad'', ''{a}'')'), pg_temp.fails('SELECT credit.iv(''closed'', ''a'', ''bad'')'), pg_temp.fails('SELECT credit.publish_model(''by analyst'')');
RESET ROLE;
SELECT fitted_by FROM credit.fit ORDER BY fit_id DESC LIMIT 1;

-- a sample of real numbers: bounds have at most 15 digits, and part the same cases as the exact ones
CREATE TABLE real_sample AS SELECT i, sqrt(i * 7919 % 1009) / 3 AS a, ln(1 + i * 104729 % 997) / 7 AS b, (i * 15485863::bigint % 10007) / 10007.0 < 1 / (1 + exp(2 - sqrt(i * 7919 % 1009) / 20)) AS bad FROM generate_series(1, 5000) i;
SELECT method, bool_and(low::numeric::float8 = low) AS short, bool_and(b.good_count + b.bad_count = (SELECT count(*) FROM real_sample s WHERE (b.low IS NULL OR s.a >= b.low) AND (b.high IS NULL OR s.a < b.high))) AS counts
  FROM (VALUES ('quantile'), ('monotone')) m(method), credit.woe_bins('real_sample', 'a', 'bad', jsonb_build_object('method', method)) b GROUP BY 1 ORDER BY 1;
SELECT bool_and(low::numeric::float8 = low) AS short, bool_and(b.good_count + b.bad_count = (SELECT count(*) FROM real_sample s WHERE (b.low IS NULL OR s.a > b.low) AND (b.high IS NULL OR s.a <= b.high))) AS counts
  FROM credit.woe_bins('real_sample', 'a', 'bad', '{"closure": "openClosed"}') b;
SELECT version FROM credit.fit_scorecard('real', 'real_sample', 'bad', '{a,b}', '{"bins": {"bins": 5}}');
-- the scorecard gives each row the points of its own weight
SELECT bool_and(credit.score('real@1', s) = (m ->> 'initial_score')::numeric + round((-20 / ln(2) * fa.estimate * ba.woe)::numeric) + round((-20 / ln(2) * fb.estimate * bb.woe)::numeric)) AS points, count(*)
  FROM real_sample s, credit.fit f, credit.model_definition('real', 1) m, credit.fit_terms(f.fit) fa, credit.fit_terms(f.fit) fb,
       jsonb_to_recordset(f.bins -> 'a') ba(low float8, high float8, woe float8), jsonb_to_recordset(f.bins -> 'b') bb(low float8, high float8, woe float8)
 WHERE f.sample = 'public.real_sample' AND fa.term = 'a' AND fb.term = 'b' AND (ba.low IS NULL OR s.a >= ba.low) AND (ba.high IS NULL OR s.a < ba.high) AND (bb.low IS NULL OR s.b >= bb.low) AND (bb.high IS NULL OR s.b < bb.high);
-- whoever reviews a draft fits again: an honest one agrees, one with invented statistics is told, and neither rates anybody
SELECT count(*) AS differences FROM credit.fit f, credit.check_fit(f.fit_id) WHERE f.sample = 'public.real_sample';
SET LOCAL ROLE rating_fit_analyst;
SELECT k.version FROM credit._keep_fit('real', 'public.real_sample', 'bad', '{a,b}', '{"a": "double precision"}', '{"bins": {"bins": 5}}', '{"a": [{"bin": 1, "kind": "interval", "closure": "closedOpen", "woe": 5, "good_count": 9, "bad_count": 1}]}',
    '{"n": 5000, "bad": 7, "terms": [{"term": "intercept", "estimate": -3, "std_error": 0.01}, {"term": "a", "estimate": 2, "std_error": 0.01}]}', '[]') k;
SELECT pg_temp.fails('SELECT credit.publish_model(''real'', 2)'), pg_temp.fails('SELECT credit.submit_model(''real'', 2)'), pg_temp.fails('SELECT credit._fit_definition(''x'', ''{}'', ''{}'', ''{}'', ''{}'')');
RESET ROLE;
SELECT pg_temp.fails('SELECT credit.rate(''real@2'', 1, s) FROM real_sample s LIMIT 1');
SELECT part, item, kept IS NULL AS nothing_kept, fitted IS NULL AS nothing_fitted FROM credit.fit f, credit.check_fit(f.fit_id) WHERE f.fitted_by = 'rating_fit_analyst' AND f.sample = 'public.real_sample';
UPDATE real_sample SET bad = NOT bad WHERE i = 17;
SELECT DISTINCT part FROM credit.fit f, credit.check_fit(f.fit_id) WHERE f.fitted_by <> 'rating_fit_analyst' AND f.sample = 'public.real_sample' ORDER BY 1;
CREATE TEMP TABLE nothing AS SELECT NULL::float8 AS x, i = 1 AS b FROM generate_series(1, 3) i;
SELECT pg_temp.fails('SELECT credit.check_fit(-1)'), pg_temp.fails('SELECT credit.iv(''nothing'', ''x'', ''b'')');
-- straight to review; whoever fitted it does not publish it
SELECT version FROM credit.fit_scorecard('reviewed', 'real_sample', 'bad', '{a}', '{"submit": true}');
SELECT status, digest IS NOT NULL AS sealed FROM credit.model WHERE name = 'reviewed';
SELECT credit.set_publication_policy('second_person');
SELECT pg_temp.fails('SELECT credit.publish_model(''reviewed'', 1)');
ROLLBACK;
