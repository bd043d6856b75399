-- Rating packs; roll-up of households to villages, townships and a county: every edge of the worked table, history, explanation.
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
    RETURN regexp_replace(concat_ws(' / ', SQLSTATE || ' ' || SQLERRM, nullif(explanation, '')), '2[0-9]{3}-[0-9]{2}-[0-9]{2}\.?$', 'DAY');
END
$$;
CREATE ROLE rg_operator;
GRANT credit_operator TO rg_operator;
CREATE ROLE rg_analyst;
GRANT credit_analyst TO rg_analyst;

CREATE FUNCTION pg_temp.rated(scheme text, region text, day date DEFAULT NULL) RETURNS credit.group_grade LANGUAGE plpgsql AS $$
DECLARE
    id CONSTANT bigint := credit.rate_group(scheme, region::credit.region_code, day);
    g credit.group_grade;
BEGIN
    SELECT * INTO g FROM credit.group_grade x WHERE x.grade_id = id;
    RETURN g;
END
$$;
CREATE FUNCTION pg_temp.told(grade bigint) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(concat_ws(' | ', ordinal, item, value, text_zh, text_en), '[0-9]{4}-[0-9]{2}-[0-9]{2}', 'TODAY', 'g') FROM credit.explain_group(grade) ORDER BY ordinal
$$;

-- packs ------------------------------------------------------------------------
SELECT pack_id, method, level, scale, parameters FROM credit.rating_pack ORDER BY pack_id COLLATE "C";
-- a shipped pack is what its own check takes
SELECT p.pack_id, c.* FROM credit.rating_pack p, LATERAL credit.check_rating_pack(to_jsonb(p) - 'shipped' - 'level' - 'scale' || jsonb_strip_nulls(jsonb_build_object('level', p.level, 'scale', p.scale))
       || jsonb_build_object('pack_id', p.pack_id || '.copy')) c;
SELECT * FROM credit.rating_parameters('R-02');
SELECT pg_temp.fails($$SELECT * FROM credit.rating_parameters('R-99')$$);
SELECT * FROM credit.check_rating_pack('[]');
SELECT * FROM credit.check_rating_pack(NULL);
SELECT * FROM credit.check_rating_pack('{"pack_id": "x", "method": "magic", "sources": [], "extra": 1}');
SELECT * FROM credit.check_rating_pack('{"pack_id": "R-02", "title_zh": "x", "title_en": "x", "method": "rollup", "scale": ["a", "a"]}');
SELECT * FROM credit.check_rating_pack('{"pack_id": "R-02", "title_zh": "x", "title_en": "x", "method": "rollup", "extra": 1, "sources": {"a": 1}}');
SELECT * FROM credit.check_rating_pack('{"pack_id": "x", "title_zh": "x", "title_en": "x", "method": "index", "scale": ["a"], "level": "village",
    "sources": {"a": {"category": "park_rating", "field": "no"}, "b": {"indicator": "no"}, "C": {}, "d": {"field": "x"}, "e": 1},
    "parameters": {"weights": {"a": 1}, "least_graded": 1}}');
SELECT * FROM credit.check_rating_pack('{"pack_id": "x", "title_zh": "x", "title_en": "x", "method": "recognised", "scale": ["a"], "sources": {"b": {"category": "park_rating", "field": "stars"}}}');
SELECT * FROM credit.check_rating_pack('{"pack_id": "x", "title_zh": "x", "title_en": "x", "method": "conditions", "parameters": {"count": 0.5}}');
SELECT * FROM credit.check_rating_pack('{"pack_id": "r_15", "title_zh": "x", "title_en": "x", "method": "recognised", "scale": ["1"], "sources": {"grade": {"category": "tax_payment", "field": "tax_type"}}}');
SELECT * FROM credit.check_rating_pack('{"pack_id": {}, "title_zh": [], "title_en": "x", "method": "index", "sources": {}}');
SET LOCAL ROLE rg_operator;
SELECT pg_temp.fails($$SELECT credit.create_rating_pack('{"pack_id": "x y", "title_zh": "x", "title_en": "x", "method": "scorecard"}')$$) LIKE 'PC430%' AS badly_named;
SELECT pg_temp.fails($$SELECT credit.create_rating_pack('{"pack_id": "x", "method": "scorecard"}')$$);
SELECT pg_temp.fails($$SELECT credit.create_rating_pack(NULL)$$);
SELECT pg_temp.fails($$SELECT credit.create_rating_pack('{"pack_id": "own", "title_zh": "x", "title_en": "x", "method": "scorecard", "shipped": true}')$$);
SELECT credit.create_rating_pack('{"pack_id": "own", "title_zh": "自定", "title_en": "own", "method": "rollup", "level": "village", "scale": ["yes", "no"]}');
SELECT shipped FROM credit.rating_pack WHERE pack_id = 'own';

-- adopting without what no document gives names each of it -------------------------
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-02', '{}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-10', '{"base_share": 0.3}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-13', '{}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-01', '{}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-11', '{}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-11', '{"conditions": ["a", "b"]}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-02', '{"members": "R-05.household"}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-02', '{}', ' ')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-02', NULL, 'x')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-02', '[]', 'x')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack(NULL, '{}', 'x')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-13', '{"weights": {"ability": 0.5, "output": 0.3, "integration": 0.21}}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-13', '{"weights": {"ability": 1.5, "output": -0.5, "integration": 0}}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-13', '{"weights": {"ability": 1}}', 'try')$$);
SELECT pg_temp.fails(format($$SELECT credit.adopt_rating_pack('R-13', jsonb_build_object('weights', %L::jsonb), 'try')$$, w)) FROM unnest(ARRAY['1', '[]', 'null', '"x"', '{}']) w;
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-13', '{"weights": {"ability": "1", "output": 0, "integration": 0}}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-10', '{"base_share": 1.1, "income_multiple": 0, "character_low": "x", "character_high": 1e400, "odd": 1}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-10', '{"base_share": 0.3, "income_multiple": 2, "character_low": 1.2, "character_high": 0.8}', 'try')$$);
SELECT pg_temp.fails(format($$SELECT credit.adopt_rating_pack('own', jsonb_build_object('bands', %L::jsonb), 'try')$$, b)) FROM unnest(ARRAY[
    '[]', '1', '[{"grade": "yes", "from": 1}]', '[{"grade": "no", "from": 1}, {"grade": "yes", "from": 0}]',
    '[{"grade": "yes", "from": 0}, {"grade": "no", "from": 0}]', '[{"grade": "yes", "from": 0.5}, {"grade": "no", "from": 0.1}]',
    '[{"grade": "yes", "from": 1.5}, {"grade": "no", "from": 0}]', '[{"grade": "yes", "from": "1"}, {"grade": "no", "from": 0}]',
    '[{"grade": "yes"}, {"grade": "no", "from": 0}]', '[{"grade": "yes", "from": 1, "to": 2}, {"grade": "no", "from": 0}]']) b;
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-02', '{"least_graded": 0.5, "least_graded_share": -0.1, "good_grades": ["5", 4]}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-03', '{"model": "none"}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-04', '{"members": "R-03", "good_grades": ["5"]}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-05.county', '{"members": "R-02", "good_grades": ["5"]}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-02', '{"good_grades": ["5", "AAA"]}', 'try')$$);
SELECT pg_temp.fails($$SELECT credit.rate_group('R-02', '330281101201')$$);
RESET ROLE;
SELECT count(*) AS adopted_by_these FROM credit.rating_adoption WHERE pack_id IN ('R-02', 'R-10', 'R-13', 'own');

-- a model of households with stars ------------------------------------------------
CREATE FUNCTION pg_temp.stars(name text, grades text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('name', name, 'use_reason_codes', false, 'grades', grades::jsonb,
        'characteristics', '[{"name": "points", "data_type": "number", "attributes": [
            {"kind": "interval", "low": 0, "high": 1.5, "closure": "closedOpen", "points": 1}, {"kind": "interval", "low": 1.5, "high": 2.5, "closure": "closedOpen", "points": 2},
            {"kind": "interval", "low": 2.5, "high": 3.5, "closure": "closedOpen", "points": 3}, {"kind": "interval", "low": 3.5, "high": 4.5, "closure": "closedOpen", "points": 4},
            {"kind": "interval", "low": 4.5, "closure": "closedOpen", "points": 5}]}]'::jsonb)
$$;
SELECT credit.create_model(pg_temp.stars('rg_stars', '[{"grade": "1", "high": 2}, {"grade": "2", "low": 2, "high": 3}, {"grade": "3", "low": 3, "high": 4}, {"grade": "4", "low": 4, "high": 5}, {"grade": "5", "low": 5}]')),
       credit.create_model(pg_temp.stars('rg_other', '[{"grade": "B", "high": 3}, {"grade": "A", "low": 3}]'));
SET client_min_messages = warning;
SELECT length(credit.publish_model('rg_stars')), length(credit.publish_model('rg_other'));
RESET client_min_messages;
SET LOCAL ROLE rg_operator;
SELECT pg_temp.fails($$SELECT credit.adopt_rating_pack('R-03', '{"model": "rg_other"}', 'try')$$);
SELECT credit.adopt_rating_pack('R-03', '{"model": "rg_stars"}', 'test');
-- the worked thresholds, which are assumed, so nobody's default
SELECT credit.adopt_rating_pack('R-02', '{"good_grades": ["5", "4"], "least_graded": 1, "least_graded_share": 0,
    "bands": [{"grade": "5", "from": 0.90}, {"grade": "4", "from": 0.75}, {"grade": "3", "from": 0.60}, {"grade": "2", "from": 0.40}, {"grade": "1", "from": 0}]}', 'test');
RESET ROLE;

INSERT INTO credit.region (code, name_zh, level) VALUES ('990281', '某县', 'county'), ('990281101', '某镇', 'township'), ('990281102', '另镇', 'township');
INSERT INTO credit.region (code, name_zh, level)
SELECT ('9902811012' || lpad(g::text, 2, '0'))::credit.region_code, '村' || g, 'village' FROM generate_series(1, 9) g;
INSERT INTO credit.region (code, name_zh, level, retired, valid_to) VALUES ('990281101299', '已撤村', 'village', true, '2020-01-01');
-- households of a village: graded with 4 or 5 stars, graded with fewer, without a grade
CREATE FUNCTION pg_temp.village(no integer, good integer, poor integer, ungraded integer) RETURNS void LANGUAGE sql AS $$
    WITH h AS (
        INSERT INTO credit.subject (kind, code, region)
        SELECT 'household', format('rg-%s-%s', no, g), ('9902811012' || lpad(no::text, 2, '0'))::credit.region_code FROM generate_series(1, good + poor + ungraded) g
        RETURNING subject_id
    ), n AS (SELECT subject_id, row_number() OVER (ORDER BY subject_id) AS k FROM h)
    INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by)
    SELECT n.subject_id, m.model_id, s.score, s.score::text, '{}', sha256(''), '[]', 'test'
      FROM n, credit.model m, LATERAL (SELECT CASE WHEN k > good THEN 1 + k % 3 ELSE 4 + k % 2 END AS score) s WHERE m.name = 'rg_stars' AND k <= good + poor
$$;
SELECT pg_temp.village(1, 90, 10, 0), pg_temp.village(2, 89, 11, 0), pg_temp.village(3, 120, 80, 0), pg_temp.village(4, 1, 2, 0),
       pg_temp.village(5, 0, 0, 2), pg_temp.village(6, 3, 1, 4), pg_temp.village(7, 2, 3, 0), pg_temp.village(8, 0, 7, 0);

-- the worked table: a to e, then the other edges (0.75, 0.40) and none good
SET LOCAL ROLE rg_operator;
CREATE TEMP TABLE done AS SELECT g AS no, credit.rate_group('R-02', ('9902811012' || lpad(g::text, 2, '0'))::credit.region_code) AS grade_id FROM generate_series(1, 9) g;
SELECT no, members, graded, good, round(graded_share, 4) AS graded_share, round(good_share, 4) AS good_share, grade FROM done JOIN credit.group_grade USING (grade_id) ORDER BY no;
SELECT tally FROM credit.group_grade JOIN done USING (grade_id) WHERE no = 7;
SELECT no, e.* FROM done, pg_temp.told(grade_id) e WHERE no IN (1, 2, 4, 5, 9) ORDER BY no;
SELECT credit.group_grade_of('R-02', '990281101201') AS a, credit.group_grade_of('R-02', '990281101205') AS e, credit.group_grade_of('R-02', '990281102') AS never;
-- the share that is given decides, not a rounded one: one part in 10 to the 19 above an edge is not met
SELECT credit.adopt_rating_pack('R-02', '{"good_grades": ["5", "4"], "least_graded": 4, "least_graded_share": 0.5,
    "bands": [{"grade": "5", "from": 0.9000000000000000001}, {"grade": "4", "from": 0.75}, {"grade": "3", "from": 0.60}, {"grade": "2", "from": 0.40}, {"grade": "1", "from": 0}]}', 'changed');
SELECT no, n.graded, n.members, n.grade FROM done, LATERAL pg_temp.rated('R-02', '9902811012' || lpad(no::text, 2, '0')) n
 WHERE no IN (1, 4, 6) ORDER BY no;
-- history: the earlier row is as it was, under the version it was made by; the newest counts
SELECT a.version, g.grade FROM credit.group_grade g JOIN credit.rating_adoption a USING (adoption_id) WHERE g.region::text = '990281101201' ORDER BY g.grade_id;
SELECT credit.group_grade_of('R-02', '990281101201') AS now, credit.group_grade_of('R-02', '990281101201', '2020-01-01') AS before;
SELECT version, replaced_at IS NULL AS in_force, reason FROM credit.rating_adoption WHERE pack_id = 'R-02' ORDER BY 1;
-- townships by their villages (nine, one of which never had a member), the county by its townships
SELECT credit.adopt_rating_pack('R-04', '{"members": "R-02", "good_grades": ["5", "4", "3"], "least_graded": 2, "least_graded_share": 0.5,
    "bands": [{"grade": "recognised", "from": 0.5}, {"grade": "not_recognised", "from": 0}]}', 'test');
SELECT credit.adopt_rating_pack('R-05.county', '{"members": "R-05.township", "good_grades": ["recognised"], "least_graded": 1, "least_graded_share": 0.5,
    "bands": [{"grade": "recognised", "from": 1}, {"grade": "not_recognised", "from": 0}]}', 'test');
SELECT pg_temp.fails($$SELECT credit.rate_group('R-05.county', '990281')$$);
SELECT credit.adopt_rating_pack('R-05.township', '{"members": "R-02", "good_grades": ["5", "4", "3"], "least_graded": 2, "least_graded_share": 0.5,
    "bands": [{"grade": "recognised", "from": 0.5}, {"grade": "not_recognised", "from": 0}]}', 'test');
SELECT r.scheme, g.region, g.members, g.graded, g.good, g.tally, g.grade
  FROM (VALUES (1, 'R-04', '990281101'), (2, 'R-04', '990281102'), (3, 'R-05.township', '990281101'), (4, 'R-05.county', '990281')) r(n, scheme, region),
       LATERAL pg_temp.rated(r.scheme, r.region) g ORDER BY r.n;
SELECT e.* FROM credit.group_grade g, pg_temp.told(g.grade_id) e WHERE g.region::text = '990281';

-- as of a day: ratings of later days, expired ones and later subjects do not count
RESET ROLE;
SELECT pg_temp.village(9, 4, 0, 0);
UPDATE credit.subject SET registered_at = '2024-01-01' WHERE code LIKE 'rg-9-%';
INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at, valid_until)
SELECT s.subject_id, m.model_id, 4, '4', '{}', sha256(''), '[]', 'test', '2024-02-01 12:00+08', '2024-06-30' FROM credit.subject s, credit.model m WHERE m.name = 'rg_stars' AND s.code LIKE 'rg-9-%';
CREATE TEMP TABLE kept AS SELECT r.* FROM credit.rating r JOIN credit.subject s USING (subject_id) WHERE s.code LIKE 'rg-9-%' AND r.rated_at > '2025-01-01';
DELETE FROM credit.rating r USING kept WHERE r.rating_id = kept.rating_id;
INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at)
SELECT subject_id, model_id, 1, '1', inputs, inputs_digest, reasons, rated_by, '2025-03-01 00:00+08' FROM kept;
SET LOCAL ROLE rg_operator;
SELECT d.day, g.members, g.graded, g.good, g.grade
  FROM unnest('{2023-12-31,2024-01-31,2024-02-01,2024-06-30,2024-07-01,2025-02-28,2025-03-01}'::date[]) d(day),
       LATERAL pg_temp.rated('R-02', '990281101209', d.day) g ORDER BY 1;
SELECT credit.group_grade_of('R-02', '990281101209', '2024-07-15') AS lapsed, credit.group_grade_of('R-02', '990281101209', '2024-05-01') AS then;

-- bad input
SELECT pg_temp.fails(format('SELECT credit.rate_group(%s)', a)) FROM unnest(ARRAY['NULL, ''990281101201''', '''R-02'', NULL', '''R-02'', ''990281101''', '''R-02'', ''990281''',
    '''R-02'', ''990281101277''', '''R-03'', ''990281101201''', '''none'', ''990281101201''', '''R-02'', ''990281101201'', ''infinity''', '''R-02'', ''990281101201'', ''-infinity''',
    '''R-02'', ''990281101201'', current_date + 2', '''own'', ''990281101201''']) a;
SELECT pg_temp.fails('SELECT * FROM credit.explain_group(-1)'), pg_temp.fails('SELECT * FROM credit.explain_group(NULL)');
SELECT pg_temp.fails($$SELECT credit.group_grade_of('none', '990281101201')$$);
SELECT pg_temp.fails('DELETE FROM credit.group_grade') LIKE '42501%' AS no_right;
RESET ROLE;
-- stored for good, also against the owner
SELECT pg_temp.fails('UPDATE credit.group_grade SET grade = ''5'''), pg_temp.fails('DELETE FROM credit.group_grade'), pg_temp.fails('TRUNCATE credit.group_grade');
SELECT pg_temp.fails('UPDATE credit.rating_adoption SET parameters = ''{}'''), pg_temp.fails('DELETE FROM credit.rating_adoption');
-- an analyst and an institution learn a grade, not the shares
SET LOCAL ROLE rg_analyst;
SELECT credit.group_grade_of('R-02', '990281101202'), pg_temp.fails('SELECT count(*) FROM credit.group_grade') LIKE '42501%' AS no_rows;
SELECT pg_temp.fails($$SELECT credit.rate_group('R-02', '990281101201')$$) LIKE '42501%' AS no_rating, pg_temp.fails($$SELECT credit.adopt_rating_pack('R-15', '{}', 'x')$$) LIKE '42501%' AS no_adopting;
RESET ROLE;

-- what departments recognise: parks' stars, tax classes -----------------------------
SELECT credit.adopt_rating_pack('R-15', '{}', 'test') AS park, credit.adopt_rating_pack('tax_credit', '{}', 'test') AS tax, credit.adopt_rating_pack('R-17', '{}', 'test') AS mu;
SELECT a.pack_id, a.indicators, i.type FROM credit.rating_adoption a, jsonb_each_text(a.indicators) x JOIN credit.indicator i ON i.code = x.value WHERE a.pack_id IN ('R-15', 'tax_credit', 'R-17') ORDER BY 1;
-- adopted again: the indicator is the same, so it has no new version
SELECT credit.adopt_rating_pack('R-15', '{}', 'again') AS again, (SELECT max(version) FROM credit.indicator WHERE code = 'r_15_grade') AS indicator;
INSERT INTO credit.subject (kind, code) SELECT 'organisation', 'rg-park-' || g FROM generate_series(1, 2) g;
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, valid_from, valid_to, polarity, source_key, payload, batch_id)
SELECT s.subject_id, c.category_id, 1, v.dated, v.valid_from, v.valid_to, 'neutral', 'rg-' || v.dated, v.payload::jsonb, 0
  FROM credit.subject s, credit.category c, (VALUES ('park_rating', date '2022-05-01', NULL::date, date '2023-05-01', '{"park": "x", "stars": 5}'), ('park_rating', '2023-06-01', NULL, NULL, '{"park": "x", "stars": 4}'),
       ('park_rating', '2024-06-01', '2024-07-01', '2025-01-01', '{"park": "x", "stars": 2}'), ('tax_payment', '2024-04-30', NULL, NULL, '{"tax_type": "x", "amount_paid": 1, "tax_credit_class": "M"}'),
       ('tax_payment', '2024-05-30', NULL, NULL, '{"tax_type": "x", "amount_paid": 1}')) v(category, dated, valid_from, valid_to, payload)
 WHERE s.code = 'rg-park-1' AND c.code = v.category;
CREATE TEMP TABLE park AS SELECT s.code, s.subject_id FROM credit.subject s WHERE s.code LIKE 'rg-park-_';
GRANT SELECT ON park TO rg_operator;
SET LOCAL ROLE rg_operator;
-- 2023-05-01 is the first day without; a newer one counts from its first day, and when it ends the older one does not come back
SELECT d.day, g.grade FROM park, unnest('{2022-04-30,2022-05-01,2023-04-30,2023-05-01,2023-06-01,2024-06-30,2024-07-01,2024-12-31,2025-01-01}'::date[]) d(day),
       LATERAL credit.recognised_grade('R-15', subject_id, d.day) g WHERE code = 'rg-park-1' ORDER BY 1;
SELECT g.grade AS tax, h.grade AS none FROM park, credit.recognised_grade('tax_credit', subject_id) g, credit.recognised_grade('R-17', subject_id) h WHERE code = 'rg-park-1';
SELECT g.grade IS NULL AS none FROM park, credit.recognised_grade('R-15', subject_id) g WHERE code = 'rg-park-2';
SELECT i.indicator, i.value FROM park, credit.indicators_of(subject_id) i WHERE code = 'rg-park-1' AND i.indicator IN ('r_15_grade', 'tax_credit_grade') ORDER BY 1;
SELECT pg_temp.fails('SELECT credit.recognised_grade(''R-15'', -1)'), pg_temp.fails('SELECT credit.recognised_grade(''R-02'', 1)'), pg_temp.fails('SELECT credit.recognised_grade(''R-15'', NULL)');
RESET ROLE;
-- a grade that the scheme does not have is an error, not a grade
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT subject_id, c.category_id, 1, '2024-06-30', 'neutral', 'rg-odd', '{"tax_type": "x", "amount_paid": 1, "tax_credit_class": "Z"}', 0 FROM park p, credit.category c WHERE p.code = 'rg-park-1' AND c.code = 'tax_payment';
SELECT regexp_replace(pg_temp.fails(format('SELECT credit.recognised_grade(''tax_credit'', %s)', subject_id)), '[0-9]+$', 'N') FROM park WHERE code = 'rg-park-1';
SELECT credit.retire_indicator('r_15_grade');
SELECT pg_temp.fails(format('SELECT credit.recognised_grade(''R-15'', %s)', subject_id)) FROM park WHERE code = 'rg-park-1';
ROLLBACK;
