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
-- four grades by points alone, three caps, two overrides, of which one gives a grade outside of the order
CREATE FUNCTION pg_temp.definition(name text, extra jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('name', name) || $j${"use_reason_codes": false,
    "characteristics": [{"name": "points", "data_type": "number", "attributes": [{"kind": "other", "expression": "points"}]}],
    "fields": [{"name": "months", "data_type": "number"}, {"name": "blacklisted", "data_type": "boolean"}, {"name": "court", "data_type": "number"}, {"name": "tax_grade", "data_type": "text"}],
    "grades": [{"grade": "AAA", "low": 90, "title_zh": "优"}, {"grade": "AA", "low": 70, "high": 90}, {"grade": "A", "low": 50, "high": 70}, {"grade": "B", "high": 50}],
    "outside_grades": [{"grade": "N", "title_zh": "新设企业", "title_en": "new firm"}],
    "overrides": [{"when": "blacklisted=true", "grade": "B", "title_zh": "列入黑名单", "title_en": "blacklisted"},
                  {"when": "months < 12", "grade": "N", "unknown": "skip", "title_zh": "成立不足一年"}],
    "caps": [{"when": "court >= 1", "grade": "A", "title_zh": "有失信被执行记录", "title_en": "court record"},
             {"when": "tax_grade = 'C' or tax_grade = 'D'", "grade": "AA", "unknown": "skip"},
             {"when": "court >= 3", "grade": "B", "unknown": "apply"}]}$j$::jsonb || extra
$$;
SELECT credit.create_model(pg_temp.definition('rules'));
SELECT credit.model_definition('rules', 1) -> 'overrides' AS overrides, credit.model_definition('rules', 1) -> 'caps' AS caps, credit.model_definition('rules', 1) -> 'outside_grades' AS outside;
SET LOCAL client_min_messages = error;
SELECT length(credit.publish_model('rules')) AS digest;
RESET client_min_messages;
CREATE TEMP TABLE firm AS SELECT n, credit.register_subject(kind => 'household', code => 'grade-rule-' || n, name => 'x') AS subject_id, points, months, blacklisted, court, tax_grade FROM (VALUES
    (1, 95, 60, false, 0, 'A'), (2, 95, 60, false, 1, 'A'), (3, 95, 60, false, 0, 'D'), (4, 95, 60, false, 1, 'C'), (5, 95, 60, false, 4, 'D'), (6, 60, 60, false, 1, 'D'), (7, 40, 60, false, 9, 'A'),
    (8, 95, 60, true, 0, 'A'), (9, 95, 6, false, 4, 'D'), (10, 95, 6, true, 0, 'A'), (11, 95, NULL, false, 0, NULL), (12, 95, 60, NULL, 0, 'A'), (13, 95, 60, false, NULL, 'A'), (14, 20, 6, NULL, NULL, NULL), (15, 40, 60, false, NULL, NULL), (16, 60, 60, false, 1, NULL)) v(n, points, months, blacklisted, court, tax_grade);
-- what decides: overrides in order, then the lowest of the caps that hold
SELECT n, points, months, blacklisted, court, tax_grade, g.* FROM firm f, LATERAL credit.grade_row('rules', f) g WHERE n < 12 OR n > 14 ORDER BY n;
SELECT n, pg_temp.fails(format('SELECT credit.grade_row(''rules'', f) FROM firm f WHERE n = %s', n)) AS answer FROM generate_series(12, 14) n;
SELECT credit.grade('rules', 95) AS of_the_score_alone, credit.score('rules', f) AS score FROM firm f WHERE n = 5;
-- score does not read the columns of conditions; grading does
SELECT credit.score('rules', r) FROM (SELECT 95 AS points) r;
SELECT pg_temp.fails('SELECT credit.grade_row(''rules'', r) FROM (SELECT 95 AS points) r');
SELECT pg_temp.fails('SELECT credit.explain(''rules'', r) FROM (SELECT 95 AS points) r');
SELECT pg_temp.fails('SELECT credit.grade_row(''rules'', r) FROM (SELECT 95 AS points, 1 AS months, 1 AS blacklisted, 1 AS court, ''A''::text AS tax_grade) r');
SELECT credit.grade_row('rules', NULL::firm) IS NULL AS of_null, credit.grade_row(NULL, f) IS NULL AS by_null FROM firm f WHERE n = 1;

-- stored ratings: the grade that counts, that of the score, the rule; explained and replayed
SELECT count(credit.rate('rules', f.subject_id, f)) FROM firm f WHERE n < 12;
SELECT f.n, r.score, r.score_grade, r.grade, r.grade_rule, e.ordinal, e.characteristic, e.value, e.attribute, e.points, e.title_zh, e.text_zh, e.text_en
  FROM firm f JOIN credit.rating r USING (subject_id) CROSS JOIN LATERAL (SELECT * FROM credit.explain(r.rating_id) ORDER BY ordinal DESC LIMIT 1) e ORDER BY f.n;
SELECT bool_and(r.score::numeric = (SELECT sum(points) FROM credit.explain(r.rating_id))) AS adds_up FROM firm f JOIN credit.rating r USING (subject_id);
SELECT inputs FROM firm f JOIN credit.rating r USING (subject_id) WHERE n = 11;
SELECT bool_and((credit.replay(subject_id, rating_id)).equal) AS all_equal, count(*) FROM firm f JOIN credit.rating r USING (subject_id);
-- a rating whose grade or rule is not what its inputs give is noticed
CREATE TEMP TABLE wrong AS SELECT r FROM firm f JOIN credit.rating r USING (subject_id) WHERE n = 2;
INSERT INTO credit.rating OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(w.r, v.change || jsonb_build_object('rating_id', 1000000000 + v.n))).*
  FROM wrong w, (VALUES (1, '{"grade": "AAA"}'::jsonb), (2, '{"grade_rule": null}'), (3, '{"score_grade": "AA"}'), (4, '{}')) v(n, change);
SELECT r.rating_id, p.equal, p.stored_grade, p.replayed_grade, p.differences FROM wrong w JOIN credit.rating r ON r.subject_id = (w.r).subject_id, LATERAL credit.replay(r.subject_id, r.rating_id) p WHERE r.rating_id > 1000000000 ORDER BY 1;

-- terms: a grade outside of the order may have any; it must be the model's
SELECT credit.set_grade_terms('rules', 'loan', '{"AAA": {"limit": 500, "rate": 0.03}, "B": {"limit": 10, "rate": 0.08}, "N": {"limit": 900, "rate": 0.01}}');
SELECT pg_temp.fails($$SELECT credit.set_grade_terms('rules', 'loan', '{"AAA": {"limit": 500, "rate": 0.03}, "X": {"limit": 900, "rate": 0.01}}')$$);
SELECT pg_temp.fails($$SELECT credit.set_grade_terms('rules', 'loan', '{"AAA": {"limit": 5, "rate": 0.03}, "N": {"limit": 7, "rate": 0.02}, "B": {"limit": 9, "rate": 0.04}}')$$);
SELECT f.n, t.grade, t.credit_limit, t.annual_rate FROM firm f, LATERAL credit.terms_of(f.subject_id, 'rules', 'loan') t WHERE f.n IN (1, 9, 10) ORDER BY n;

-- fixed with the version, as all its parts are
SELECT pg_temp.fails(q) AS answer FROM unnest(ARRAY['UPDATE credit.grade_rule SET grade = ''AAA'' WHERE model_id IN (SELECT model_id FROM credit.model WHERE name = ''rules'')', 'DELETE FROM credit.outside_grade', 'TRUNCATE credit.model_field', 'UPDATE credit.model SET conventions = ''{}'' WHERE name = ''rules''',
    'INSERT INTO credit.grade_rule SELECT model_id, ''cap'', 9, ''court > 0'', ''B'' FROM credit.model WHERE name = ''rules''', 'INSERT INTO credit.grade_rule (model_id, kind, ordinal, condition, grade) VALUES (-1, ''floor'', 1, '''', '''')']) q;
-- what is refused, and where
SELECT n, pg_temp.fails(format('SELECT credit.create_model(%L)', pg_temp.definition('bad', e))) AS answer FROM (VALUES
    (1, '{"caps": [{"when": "court > 1", "grade": "N"}]}'::jsonb), (2, '{"caps": [{"when": "court > 1", "grade": "C"}]}'), (3, '{"overrides": [{"when": "court > 1", "grade": "C"}]}'), (4, '{"caps": [{"when": "court", "grade": "A"}]}'),
    (5, '{"caps": [{"when": "court >", "grade": "A"}]}'), (6, '{"caps": [{"when": "courts > 1", "grade": "A"}]}'), (7, '{"caps": [{"when": "true", "grade": "A"}]}'), (8, '{"caps": [{"grade": "A"}]}'), (9, '{"caps": [{"when": "court > 1"}]}'),
    (10, '{"caps": [{"when": "court > 1", "grade": "A", "unknown": "maybe"}]}'), (11, '{"caps": [{"when": "court > 1", "grade": "A", "floor": 1}]}'), (12, '{"caps": {}}'), (13, '{"caps": ["x"]}'), (14, '{"outside_grades": [{"grade": "AAA"}]}'),
    (15, '{"outside_grades": [{"grade": "N"}, {"grade": "N"}]}'), (16, '{"outside_grades": [{}]}'), (17, '{"grades": null}'), (18, '{"caps": null, "overrides": null, "outside_grades": null}'),
    (19, jsonb_build_object('caps', (SELECT jsonb_agg('{"when": "court > 1", "grade": "A"}'::jsonb) FROM generate_series(1, 201)))), (20, '{"conventions": []}'), (21, '{"conventions": {"rounding": "up"}}'), (22, '{"conventions": {"woe": 1}}'),
    (23, '{"conventions": {"zero_cell": 0}}'), (24, '{"conventions": {"psi_empty_bin": "zero"}}'), (25, '{"conventions": {"zero_cell": "0.5"}}'), (26, '{"conventions": {"interval_closure": "closedClosed"}}'), (27, '{"conventions": {"woe_sign": 1}}')) v(n, e) ORDER BY n;

-- PMML: the same definition again; other programs see an Extension
SELECT credit.create_model(pg_temp.definition('rules', '{"conventions": {"rounding": "half_even", "zero_cell": 0.5, "woe_sign": "good_over_bad", "psi_empty_bin": "drop", "interval_closure": "openClosed"}}'));
SET LOCAL client_min_messages = error;
SELECT credit.import_pmml(credit.model_pmml('rules', 1)), credit.import_pmml(credit.model_pmml('rules', 2));
RESET client_min_messages;
SELECT v, credit.model_definition('rules', v) = credit.model_definition('rules', v + 2) AS same, (SELECT bool_and(credit.grade_row('rules@' || v, f) = credit.grade_row('rules@' || v + 2, f)) FROM firm f WHERE n < 12) AS same_grades FROM generate_series(1, 2) v;
SELECT (regexp_match(credit.model_pmml('rules', 1), '(<MiningField name="points".*)<Characteristics>'))[1] AS schema;
-- an extension of ours cannot say anything wrong
SELECT pg_temp.fails(format('SELECT credit.import_pmml(%L)', replace(credit.model_pmml('rules', 1), 'court &gt;= 3', 'court &gt;= '))) AS answer;
-- conventions, with their defaults
SELECT credit.model_conventions('rules'), credit.model_conventions('rules@2');
SELECT pg_temp.fails(format('SELECT credit.model_conventions(%L)', m)) FROM unnest(ARRAY['nobody', 'rules@9', 'rules@', 'rules@x', '']) m;
SELECT credit.model_conventions(NULL);

-- an institution grades its own rows and reads the rules
CREATE ROLE grade_rule_bank IN ROLE credit_institution;
GRANT SELECT ON firm TO grade_rule_bank;
SET LOCAL ROLE grade_rule_bank;
SELECT g.grade, g.rule FROM firm f, LATERAL credit.grade_row('rules', f) g WHERE n = 2;
SELECT count(*) FROM credit.grade_rule WHERE model_id >= (SELECT min(model_id) FROM credit.model WHERE name = 'rules');
SELECT pg_temp.fails('SELECT credit._grade_inputs(''rules'', ''{}'')');
RESET ROLE;
ROLLBACK;
