SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\pset format unaligned
\set ON_ERROR_ROLLBACK on
-- everything happens in a transaction that is rolled back
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
CREATE FUNCTION pg_temp.model(name text, conventions jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT name || '@' || credit.create_model(jsonb_strip_nulls(jsonb_build_object('name', name, 'use_reason_codes', false, 'conventions', conventions,
        'characteristics', '[{"name": "x", "data_type": "number", "attributes": [{"kind": "other", "points": 1}]}]'::jsonb)))
$$;
SELECT pg_temp.model('plain', NULL), pg_temp.model('other', '{"woe_sign": "good_over_bad", "zero_cell": 0.5, "interval_closure": "openClosed", "psi_empty_bin": 0.9, "rounding": "half_even"}'), pg_temp.model('infinite', '{"psi_empty_bin": "infinity", "zero_cell": "zero"}');
-- part of what is digested; absent, the digest is what it always was
SELECT name, rtrim(translate(encode(credit._check_definition(credit.model_definition(name, 1) - 'name' || '{"name": "same"}', false), 'base64'), '+/', '-_'), '=') AS digest FROM unnest('{plain,other,infinite}'::text[]) name;
-- bins: the model's conventions where the options say nothing
CREATE TABLE loan AS SELECT x, bad FROM (VALUES (1, false, 30), (1, true, 0), (2, false, 20), (2, true, 10), (3, false, 10), (3, true, 20)) v(x, bad, n), generate_series(1, n);
SELECT pg_temp.fails('SELECT count(*) FROM credit.woe_bins(''loan'', ''x'', ''bad'', ''{"method": "breaks", "breaks": [2, 3], "model": "plain@1"}'')');
SELECT 'other' AS model, b.* FROM credit.woe_bins('loan', 'x', 'bad', '{"method": "breaks", "breaks": [1, 2], "model": "other@1"}') b;
SELECT 'infinite' AS model, b.* FROM credit.woe_bins('loan', 'x', 'bad', '{"method": "breaks", "breaks": [2, 3], "model": "infinite@1"}') b;
SELECT 'other, but closedOpen' AS model, b.* FROM credit.woe_bins('loan', 'x', 'bad', '{"method": "breaks", "breaks": [2, 3], "model": "other@1", "closure": "closedOpen", "woe_sign": "bad_over_good"}') b;
SELECT pg_temp.fails('SELECT count(*) FROM credit.woe_bins(''loan'', ''x'', ''bad'', ''{"model": "nobody"}'')');
-- stability: an empty bin as the model says
CREATE TABLE binned AS SELECT bin, actual FROM (VALUES ('a', false, 50), ('b', false, 50), ('a', true, 60), ('b', true, 30), ('c', true, 10)) v(bin, actual, n), generate_series(1, n);
SELECT m, pg_temp.fails(format('SELECT round(credit.model_psi(%L, ''binned'', ''bin'', ''actual'')::numeric, 6)', m)) AS answer, (SELECT round(credit.psi(bin, actual, '0.9')::numeric, 6) FROM binned) AS by_count FROM unnest('{plain@1,other@1,infinite@1,nobody}'::text[]) m;
-- a fit takes conventions from its options or a model, rounds by them and keeps those that are not the default
CREATE TABLE cases AS SELECT x, bad FROM (VALUES (1, false, 300), (1, true, 100), (2, false, 200), (2, true, 100), (3, false, 100), (3, true, 200)) v(x, bad, n), generate_series(1, n);
SELECT name, (credit.fit_scorecard(name, 'cases', 'bad', '{x}', options)).version FROM (VALUES (1, 'by default', '{}'::jsonb), (2, 'by options', '{"conventions": {"woe_sign": "good_over_bad", "interval_closure": "openClosed", "rounding": "half_up", "psi_empty_bin": "drop"}}'),
    (3, 'by model', '{"model": "other@1", "conventions": {"rounding": "half_away"}}'), (4, 'by bins', '{"bins": {"woe_sign": "good_over_bad"}}')) v(n, name, options) ORDER BY n;
SELECT name, credit.model_definition(name, 1) -> 'conventions' AS conventions, (SELECT string_agg((a ->> 'closure') || ' ' || (a ->> 'points'), ', ') FROM jsonb_array_elements(credit.model_definition(name, 1) #> '{characteristics,0,attributes}') a) AS attributes,
       (SELECT string_agg(round((b ->> 'woe')::numeric, 4)::text, ', ') FROM jsonb_array_elements(f.bins -> 'x') b) AS woe FROM credit.model m JOIN credit.fit f USING (model_id) WHERE name LIKE 'by %' ORDER BY fit_id;
SELECT pg_temp.fails('SELECT credit.fit_scorecard(''bad'', ''cases'', ''bad'', ''{x}'', ''{"conventions": {"rounding": "up"}}'')');
SELECT r, string_agg(credit._round(v, 1, r)::text, ' ' ORDER BY v) AS rounded FROM unnest('{half_away,half_even,half_up}'::text[]) r, unnest('{-0.35,-0.25,0.25,0.35,0.34,0.36,-0.36}'::numeric[]) v GROUP BY r ORDER BY r;
-- an analyst may ask
CREATE ROLE rating_convention_analyst IN ROLE credit_analyst;
GRANT SELECT ON loan, binned TO rating_convention_analyst;
SET LOCAL ROLE rating_convention_analyst;
SELECT count(*) FROM credit.woe_bins('loan', 'x', 'bad', '{"model": "other@1"}');
SELECT credit.model_psi('infinite@1', 'binned', 'bin', 'actual');
RESET ROLE;
ROLLBACK;
