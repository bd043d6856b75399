-- Rating packs adopted by a region from a day on; criteria of a group besides the shares.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
SET datestyle = 'ISO, YMD';
\pset format unaligned
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
BEGIN;
CREATE FUNCTION pg_temp.fails(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    explanation text;
BEGIN
    EXECUTE query INTO answer;
    RETURN 'no error: ' || coalesce(answer, 'null');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS explanation = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' / ', SQLSTATE || ' ' || SQLERRM, nullif(explanation, ''));
END
$$;
CREATE ROLE rr_operator;
GRANT credit_operator TO rr_operator;
CREATE ROLE rr_bank;
GRANT credit_institution TO rr_bank;
INSERT INTO credit.region (code, name_zh, level) VALUES ('990400', '某市', 'city'), ('990481', '甲县', 'county'), ('990482', '乙县', 'county'),
    ('990481101', '甲镇', 'township'), ('990482101', '乙镇', 'township'), ('990481101201', '甲村', 'village'), ('990481101202', '甲二村', 'village'), ('990482101201', '乙村', 'village');
SELECT credit.create_model(jsonb_build_object('name', 'rr_stars', 'use_reason_codes', false,
    'grades', '[{"grade": "1", "high": 2}, {"grade": "2", "low": 2, "high": 3}, {"grade": "3", "low": 3, "high": 4}, {"grade": "4", "low": 4, "high": 5}, {"grade": "5", "low": 5}]'::jsonb,
    'characteristics', '[{"name": "points", "data_type": "number", "attributes": [{"kind": "set", "values": [1], "points": 1}, {"kind": "set", "values": [2], "points": 2},
        {"kind": "set", "values": [3], "points": 3}, {"kind": "set", "values": [4], "points": 4}, {"kind": "other", "points": 5}]}]'::jsonb));
SET client_min_messages = warning;
SELECT length(credit.publish_model('rr_stars'));
RESET client_min_messages;
-- ten households a village, good ones first; those of the first two villages have loans
CREATE FUNCTION pg_temp.village(region text, good integer) RETURNS void LANGUAGE sql AS $$
    WITH h AS (
        INSERT INTO credit.subject (kind, code, region, registered_at)
        SELECT 'household', format('rr-%s-%s', region, g), region::credit.region_code, '2020-01-01' FROM generate_series(1, 10) g RETURNING subject_id
    ), n AS (SELECT subject_id, row_number() OVER (ORDER BY subject_id) AS k FROM h)
    INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at)
    SELECT n.subject_id, m.model_id, s.score, s.score::text, '{}', sha256(''), '[]', 'test', '2020-06-01'
      FROM n, credit.model m, LATERAL (SELECT CASE WHEN k > good THEN 1 ELSE 5 END AS score) s WHERE m.name = 'rr_stars'
$$;
SELECT pg_temp.village('990481101201', 6), pg_temp.village('990481101202', 10), pg_temp.village('990482101201', 6);
CREATE FUNCTION pg_temp.bands(five numeric) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('good_grades', '["5", "4"]'::jsonb, 'least_graded', 1, 'least_graded_share', 0,
        'bands', jsonb_build_array(jsonb_build_object('grade', '5', 'from', five), '{"grade": "4", "from": 0.3}'::jsonb, '{"grade": "3", "from": 0.2}'::jsonb, '{"grade": "2", "from": 0.1}'::jsonb, '{"grade": "1", "from": 0}'::jsonb))
$$;
CREATE FUNCTION pg_temp.rated(region text, day date DEFAULT NULL, scheme text DEFAULT 'R-02') RETURNS credit.group_grade LANGUAGE plpgsql AS $$
DECLARE
    id CONSTANT bigint := credit.rate_group(scheme, region::credit.region_code, day);
    g credit.group_grade;
BEGIN
    SELECT * INTO g FROM credit.group_grade x WHERE x.grade_id = id;
    RETURN g;
END
$$;
CREATE FUNCTION pg_temp.grade(place text, day date DEFAULT NULL, OUT version integer, OUT adopted_by text, OUT grade text) LANGUAGE sql AS $$
    SELECT a.version, a.region::text, g.grade FROM pg_temp.rated(place, day) g JOIN credit.rating_adoption a USING (adoption_id)
$$;

-- regions adopt ---------------------------------------------------------------------
SET LOCAL ROLE rr_operator;
-- a region decides from the members up, and on everything that the document leaves open
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-02', pg_temp.bands(0.9), 'plan', '990481', '2024-01-01')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-02', '{"good_grades": ["5"], "least_graded": 1}', 'plan', '990481', '2024-01-01')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-03', '{"model": "rr_stars"}', 'plan', '990499', '2024-01-01')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-03', '{"model": "rr_stars"}', 'plan', '990481', 'infinity')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-04', '{"members": "R-02", "good_grades": ["5"]}', 'plan', '990481101201', '2024-01-01')$$);
SELECT credit.adopt_rating_pack('R-03', '{"model": "rr_stars"}', 'plan', '990400', '2023-01-01') AS city_households;
-- before the city's first day its members' pack does not hold
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-02', pg_temp.bands(0.9), 'plan', '990481', '2022-12-31')$$);
SELECT credit.adopt_rating_pack('R-02', pg_temp.bands(0.6), 'city plan', '990400', '2023-01-01') AS city,
       credit.adopt_rating_pack('R-02', pg_temp.bands(0.7), 'county plan', '990481', '2024-01-01') AS county,
       credit.adopt_rating_pack('R-02', pg_temp.bands(0.5), 'county plan, relaxed', '990481', '2025-01-01') AS county_later;
-- the nearest region's counts, of one region the newest that has begun; before the first there is none
SELECT v.region, d.day, g.* FROM unnest('{2023-01-01,2023-12-31,2024-01-01,2024-12-31,2025-01-01}'::date[]) d(day),
       unnest('{990481101201,990482101201}'::text[]) v(region), LATERAL pg_temp.grade(v.region, d.day) g ORDER BY 1, 2;
SELECT pg_temp.fails($$SELECT credit.rate_group('R-02', '990482101201', '2022-12-31')$$), pg_temp.fails($$SELECT credit.rate_group('R-02', '990281101201', '2024-01-01')$$);
-- everywhere else; then again for a day before those of the county, which give way from that day on
SELECT credit.adopt_rating_pack('R-03', '{"model": "rr_stars"}', 'all') AS all_households, credit.adopt_rating_pack('R-02', pg_temp.bands(0.95), 'all') AS all_villages;
SELECT g.* FROM pg_temp.grade('990482101201', '2022-12-31') g;
SELECT credit.adopt_rating_pack('R-02', pg_temp.bands(0.8), 'county plan, anew', '990481', '2024-07-01') AS anew;
SELECT version, region, adopted_from, reason, replaced_at IS NULL AS in_force FROM credit.rating_adoption WHERE pack_id = 'R-02' ORDER BY 1;
SELECT d.day, g.* FROM unnest('{2024-06-30,2024-07-01,2025-06-01}'::date[]) d(day), LATERAL pg_temp.grade('990481101201', d.day) g ORDER BY 1;
-- what holds where
SELECT pack_id, version, adopted_by_region, adopted_from, parameters -> 'bands' -> 0 -> 'from' AS five FROM credit.adopted_rating_packs('990481101202', '2024-03-01') WHERE pack_id IN ('R-02', 'R-03');
SELECT pack_id, version, adopted_by_region FROM credit.adopted_rating_packs() WHERE pack_id IN ('R-02', 'R-03');
SELECT parameter, adopted -> 0 -> 'from' AS five FROM credit.rating_parameters('R-02', '990482', '2024-03-01') WHERE parameter = 'bands';
RESET ROLE;
SET LOCAL ROLE rr_bank;
SELECT count(*) AS told FROM credit.adopted_rating_packs('990481') WHERE pack_id IN ('R-02', 'R-03');
SELECT pg_temp.fails($$SELECT credit.enter_group_figure('990481101201', 'x', '2024-01-01', 1, 'x')$$) LIKE '42501%' AS no_right;
RESET ROLE;
-- a circle of parents ends
UPDATE credit.region SET parent = '990481101201' WHERE code::text = '990481';
SELECT credit._regions_above('990481101201');
UPDATE credit.region SET parent = NULL WHERE code::text = '990481';
-- the limit of a household by the parameters of its own region
SELECT credit.adopt_rating_pack('R-10', '{"base_share": 0.3, "income_multiple": 2, "character_low": 0.8, "character_high": 1.2}', 'all') > 0 AS all,
       credit.adopt_rating_pack('R-10', '{"base_share": 0.5, "income_multiple": 2, "character_low": 1, "character_high": 1}', 'county', '990481', '2024-01-01') > 0 AS county;
CREATE TEMP TABLE opened AS SELECT v.region, credit.open_village_session('R-10', v.region::credit.region_code, v.day, '{"party_branch": 1, "village_committee": 1}') AS session_id
  FROM (VALUES ('990481101201', date '2024-02-01'), ('990482101201', '2024-02-01'), ('990481101202', '2023-02-01')) v(region, day);
SELECT o.region, pg_temp.fails(format('SELECT credit.enter_village_result(%s, %s, 1000, 0.9)', o.session_id, s.subject_id)) ~ '^no error' AS taken
  FROM opened o JOIN credit.subject s ON s.code = format('rr-%s-1', o.region) ORDER BY 1;

-- confirmed: in the county's own range the factor is not, elsewhere the limit is the general one; a loss as income leaves nothing
CREATE ROLE rr_second LOGIN;
GRANT credit_operator TO rr_second;
GRANT SELECT ON opened TO rr_second;
SET LOCAL SESSION AUTHORIZATION rr_second;
SELECT sum(credit.confirm_village_session(session_id)) AS confirmed FROM opened WHERE region <> '990481101201';
RESET SESSION AUTHORIZATION;
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s.subject_id, c.category_id, 1, '2022-01-01', 'neutral', 'rr-sheet-' || v.category, v.payload::jsonb, 0
  FROM (VALUES ('rr-990482101201-1', 'household_assets_debts', '{"assets": 1000, "debts": 0}'), ('rr-990482101201-1', 'household_income', '{"year": 2021, "income": -5}'),
       ('rr-990481101202-1', 'household_assets_debts', '{"assets": 1000, "debts": 0}'), ('rr-990481101202-1', 'household_income', '{"year": 2021, "income": 900}')) v(code, category, payload)
  JOIN credit.subject s USING (code) JOIN credit.category c ON c.code = v.category;
CREATE TEMP TABLE limits AS SELECT credit.rate_household(subject_id) AS limit_id FROM credit.subject WHERE code = 'rr-990482101201-1';
SELECT by_assets, by_income, village_limit, amount FROM credit.household_limit JOIN limits USING (limit_id);
SELECT regexp_replace(pg_temp.fails(format('SELECT credit.rate_household(%s)', subject_id)), 'household [0-9]+', 'household N') FROM credit.subject WHERE code = 'rr-990481101202-1';
DELETE FROM credit.record WHERE source_key LIKE 'rr-sheet-%';

-- a firm of the village is no member; a share of graded members just below the least; a village that did not exist yet
INSERT INTO credit.subject (kind, code, region, registered_at) VALUES ('enterprise', 'rr-firm', '990481101201', '2020-01-01'), ('household', 'rr-ungraded', '990482101201', '2020-01-01');
SELECT members, graded FROM pg_temp.rated('990481101201', '2024-03-01');
SELECT credit.adopt_rating_pack('R-02', pg_temp.bands(0.6) || '{"least_graded_share": 0.91}', 'more', '990482', '2024-01-01') > 0 AS more,
       credit.adopt_rating_pack('R-02', pg_temp.bands(0.6) || '{"least_graded_share": 0.9}', 'less', '990482', '2024-02-01') > 0 AS less;
SELECT d.day, g.members, g.graded, g.grade FROM unnest('{2024-01-31,2024-02-01}'::date[]) d(day), LATERAL pg_temp.rated('990482101201', d.day) g ORDER BY 1;
INSERT INTO credit.region (code, name_zh, level, valid_from) VALUES ('990482101202', '乙新村', 'village', '2025-01-01');
SELECT credit.adopt_rating_pack('R-04', '{"members": "R-02", "good_grades": ["5"], "least_graded": 1, "least_graded_share": 0, "bands": [{"grade": "recognised", "from": 1}, {"grade": "not_recognised", "from": 0}]}', 'all') > 0 AS townships;
SELECT d.day, g.members FROM unnest('{2024-12-31,2025-01-01}'::date[]) d(day), LATERAL pg_temp.rated('990482101', d.day, 'R-04') g ORDER BY 1;

-- criteria --------------------------------------------------------------------------
-- loans and overdue loans of a household, as two figures of records
SELECT credit.register_indicator('rr_loans', 'number', 'SELECT subject_id, sum((payload ->> ''income'')::numeric), array_agg(record_id) FROM credit.record_as_of WHERE subject_id = ANY ($1) AND category = ''household_income'' GROUP BY 1'),
       credit.register_indicator('rr_overdue', 'number', 'SELECT subject_id, sum((payload ->> ''debts'')::numeric), array_agg(record_id) FROM credit.record_as_of WHERE subject_id = ANY ($1) AND category = ''household_assets_debts'' GROUP BY 1'),
       credit.register_indicator('rr_nan', 'number', 'SELECT subject_id, ''NaN''::numeric, array_agg(record_id) FROM credit.record_as_of WHERE subject_id = ANY ($1) AND category = ''household_income'' GROUP BY 1'),
       credit.register_indicator('rr_text', 'text', 'SELECT subject_id, ''x''::text, NULL::bigint[] FROM unnest($1) u(subject_id)');
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s.subject_id, c.category_id, 1, v.dated, 'neutral', 'rr-' || v.dated, v.payload::jsonb, 0
  FROM credit.subject s JOIN (VALUES ('rr-990481101201-1', 'household_income', date '2024-01-01', '{"year": 2023, "income": 12}'), ('rr-990481101201-2', 'household_income', '2024-01-01', '{"year": 2023, "income": 8}'),
       ('rr-990481101201-2', 'household_assets_debts', '2024-01-01', '{"assets": 0, "debts": 1}'), ('rr-990481101201-3', 'household_assets_debts', '2025-03-01', '{"assets": 0, "debts": 1}')) v(code, category, dated, payload) USING (code)
  JOIN credit.category c ON c.code = v.category;
CREATE FUNCTION pg_temp.criterion(more text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"code": "overdue", "title_zh": "逾期贷款占比", "title_en": "share of overdue loans", "sum": "rr_overdue", "per": "rr_loans", "most": 0.05, "otherwise": "2", "unknown": "met"}'::jsonb || more::jsonb
$$;
SET LOCAL ROLE rr_operator;
SELECT m.more, pg_temp.fails(format($$SELECT credit.adopt_rating_pack('R-02', jsonb_build_object('criteria', %L::jsonb), 'try')$$, jsonb_build_array(pg_temp.criterion(m.more)))) FROM unnest(ARRAY[
    '{"code": "Overdue"}', '{"code": 1}', '{"extra": 1}', '{"title_zh": ""}', '{"title_en": 1}', '{"sum": "none"}', '{"sum": "rr_text"}', '{"sum": 1}', '{"sum": "members"}', '{"per": "none"}', '{"per": null}',
    '{"most": "1"}', '{"most": 1e15}', '{"most": null}', '{"least": 0.06}', '{"otherwise": "6"}', '{"otherwise": 2}', '{"unknown": "skip"}', '{"unknown": null}']) m(more);
SELECT pg_temp.fails(format($$SELECT credit.adopt_rating_pack('R-02', jsonb_build_object('criteria', %L::jsonb), 'try')$$, c)) FROM unnest(ARRAY[
    '1', '{}', '[1]', jsonb_build_array(pg_temp.criterion('{}'), pg_temp.criterion('{}'))::text, jsonb_build_array(pg_temp.criterion('{}') - 'sum')::text, jsonb_build_array(pg_temp.criterion('{}') - 'most')::text,
    jsonb_build_array(pg_temp.criterion('{}') - 'otherwise')::text, jsonb_build_array(pg_temp.criterion('{}') - 'unknown')::text]) c;
SELECT pg_temp.fails(format($$SELECT credit.adopt_rating_pack('R-04', jsonb_build_object('criteria', %L::jsonb), 'try')$$, jsonb_build_array(pg_temp.criterion('{"otherwise": "not_recognised"}'))));

-- the edge is met, by a product: 1 of 20 is 0.05; from 2025-03-01 it is 2 of 20
SELECT credit.adopt_rating_pack('R-02', pg_temp.bands(0.6) || jsonb_build_object('criteria', jsonb_build_array(pg_temp.criterion('{}'),
    '{"code": "party", "title_zh": "村级党建考核", "title_en": "assessment of the village", "least": 80, "otherwise": null, "unknown": "not_met"}'::jsonb)), 'criteria', '990481', '2024-01-01') > 0 AS adopted;
CREATE FUNCTION pg_temp.whole(place text, day date, OUT share_grade text, OUT grade text, OUT criteria jsonb) LANGUAGE sql AS $$
    SELECT g.share_grade, g.grade, g.criteria FROM pg_temp.rated(place, day) g
$$;
SELECT pg_temp.whole('990481101201', '2024-06-01') AS nobody_said;
SELECT credit.enter_group_figure('990481101201', 'party', '2024-02-01', 80, 'report 1') > 0 AS edge, credit.enter_group_figure('990481101201', 'party', '2024-08-01', 79.99, 'report 2', '2024-08-31') > 0 AS below,
       credit.enter_group_figure('990481101201', 'party', '2025-01-01', 60, 'report 3') > 0 AS wrong, credit.enter_group_figure('990481101201', 'party', '2025-01-01', 90, 'report 3, corrected') > 0 AS corrected,
       credit.enter_group_figure('990481101202', 'party', '2024-02-01', 99, 'report 1') > 0 AS other;
SELECT d.day, g.* FROM unnest('{2024-01-31,2024-02-01,2024-08-01,2024-08-31,2024-09-01,2025-01-01,2025-03-01}'::date[]) d(day), LATERAL pg_temp.whole('990481101201', d.day) g ORDER BY 1;
-- no loans at all: not known, which this criterion says is met
SELECT g.* FROM pg_temp.whole('990481101202', '2024-06-01') g;
CREATE FUNCTION pg_temp.told(region text, day date) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' | ', ordinal, item, value, text_zh, text_en) FROM credit.explain_group((SELECT max(grade_id) FROM credit.group_grade g WHERE g.region::text = told.region AND g.as_of = day)) ORDER BY ordinal
$$;
SELECT t.* FROM (VALUES ('990481101201', date '2024-09-01'), ('990481101201', '2025-03-01'), ('990481101201', '2024-02-01'), ('990481101202', '2024-06-01')) v(region, day), LATERAL pg_temp.told(v.region, v.day) t;
-- both bounds, a sum by itself, a sum by the number of members, a NaN, the worst of two that are not met
SELECT credit.adopt_rating_pack('R-02', pg_temp.bands(0.6) || jsonb_build_object('criteria', jsonb_build_array(
    pg_temp.criterion('{"code": "total", "least": 0, "most": 0.5, "otherwise": "4"}') - 'per', pg_temp.criterion('{"code": "each", "per": "members", "sum": "rr_loans", "least": 2, "most": 2, "otherwise": "1"}'),
    pg_temp.criterion('{"code": "odd", "sum": "rr_nan", "otherwise": "3", "unknown": "not_met"}'), pg_temp.criterion('{"code": "odd_per", "per": "rr_nan", "otherwise": "5", "unknown": "not_met"}'))), 'more', '990481', '2024-01-01') > 0 AS adopted;
SELECT g.* FROM pg_temp.whole('990481101201', '2024-06-01') g;
RESET ROLE;
-- what a criterion leaves is never better than the shares give, and no grade stays none
SELECT g.grade, f.found, credit._grade_left(g.grade, '[{"code": "a", "otherwise": "2"}, {"code": "b", "otherwise": "4"}]', f.found, '{5,4,3,2,1}') AS is_left FROM (VALUES ('5'), ('1'), (NULL)) g(grade),
    (VALUES ('[]'::jsonb), ('[{"code": "a", "met": true}, {"code": "b", "met": false}]'), ('[{"code": "a", "met": false}, {"code": "b", "met": false}]')) f(found);
-- an indicator that is gone
SELECT credit.retire_indicator('rr_nan');
SELECT pg_temp.fails($$SELECT credit.rate_group('R-02', '990481101201')$$);
-- figures
SELECT pg_temp.fails(format('SELECT credit.enter_group_figure(%s)', a)) FROM unnest(ARRAY['NULL, ''x'', ''2024-01-01'', 1, ''x''', '''990499'', ''x'', ''2024-01-01'', 1, ''x''', '''990400'', ''x'', ''2024-01-01'', 1, ''x''',
    '''990481'', ''X'', ''2024-01-01'', 1, ''x''', '''990481'', NULL, ''2024-01-01'', 1, ''x''', '''990481'', ''x'', NULL, 1, ''x''', '''990481'', ''x'', ''infinity'', 1, ''x''', '''990481'', ''x'', current_date + 2, 1, ''x''',
    '''990481'', ''x'', ''2024-01-01'', NULL, ''x''', '''990481'', ''x'', ''2024-01-01'', ''NaN'', ''x''', '''990481'', ''x'', ''2024-01-01'', 1e15, ''x''', '''990481'', ''x'', ''2024-01-01'', 1, '' ''',
    '''990481'', ''x'', ''2024-01-01'', 1, ''x'', ''2023-12-31''']) a;
SELECT pg_temp.fails('UPDATE credit.group_figure SET value = 0'), pg_temp.fails('DELETE FROM credit.group_figure'), pg_temp.fails('TRUNCATE credit.group_figure');
ROLLBACK;
