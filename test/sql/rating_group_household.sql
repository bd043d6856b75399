-- Household balance sheets: the worked table, sessions and their second person, white list; indexes of aspects.
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
    RETURN regexp_replace(regexp_replace(concat_ws(' / ', SQLSTATE || ' ' || SQLERRM, nullif(explanation, '')), '(session|household|subject|Subject) \d+', '\1 N', 'g'),
                          '[0-9]{4}-[0-9]{2}-[0-9]{2}', 'DAY', 'g');
END
$$;
CREATE ROLE rh_clerk LOGIN;
GRANT credit_portal TO rh_clerk;
CREATE ROLE rh_first LOGIN;
CREATE ROLE rh_second LOGIN;
CREATE ROLE rh_analyst LOGIN;
GRANT credit_operator TO rh_first, rh_second;
GRANT rh_second TO rh_first;
GRANT credit_analyst TO rh_analyst;
INSERT INTO credit.region (code, name_zh, level) VALUES ('990301', '某县', 'county'), ('990301101', '某镇', 'township'), ('990301101201', '某村', 'village'), ('990301101202', '另村', 'village');
INSERT INTO credit.subject (kind, code, region)
SELECT 'household', 'rh-' || h, '990301101201' FROM unnest('{a,b,c,d,e,f,g}'::text[]) h;
INSERT INTO credit.subject (kind, code, region) VALUES ('household', 'rh-far', '990301101202'), ('household', 'rh-nowhere', NULL), ('enterprise', 'rh-firm', '990301101201');
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s.subject_id, c.category_id, 1, v.dated, 'neutral', 'rh-' || v.dated, v.payload, 0
  FROM credit.subject s JOIN (
       SELECT h, 'household_assets_debts' AS category, date '2024-01-01' AS dated, jsonb_build_object('assets', assets, 'debts', debts) AS payload
         FROM (VALUES ('a', 500000, 100000), ('b', 500000, 100000), ('c', 200000, 200000), ('d', 100000, 150000), ('e', 900000, 0), ('g', 1, -1)) x(h, assets, debts)
       UNION ALL SELECT h, 'household_income', date '2024-01-01', jsonb_build_object('year', 2023, 'income', income)
         FROM (VALUES ('a', 120000), ('b', 120000), ('c', 80000), ('d', 80000), ('e', 50000), ('f', 1), ('g', 1)) x(h, income)
       UNION ALL VALUES ('a', 'household_income', date '2024-06-01', '{"year": 2024, "income": 50000.55}'::jsonb)) v ON s.code = 'rh-' || v.h
  JOIN credit.category c ON c.code = v.category;
CREATE TEMP TABLE h AS SELECT substr(code, 4) AS h, subject_id FROM credit.subject WHERE code LIKE 'rh-%';
CREATE TEMP TABLE session (name text, id bigint);
GRANT SELECT ON h TO PUBLIC;
GRANT ALL ON session TO PUBLIC;
CREATE FUNCTION pg_temp.s(text) RETURNS bigint LANGUAGE sql AS 'SELECT id FROM session WHERE name = $1';
CREATE FUNCTION pg_temp.h(text) RETURNS bigint LANGUAGE sql AS 'SELECT subject_id FROM h WHERE h.h = $1';
CREATE FUNCTION pg_temp.limit_of(household text, day date DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    id bigint;
BEGIN
    id := credit.rate_household(pg_temp.h(household), day);
    RETURN (SELECT concat_ws(' ', l.net_assets, l.by_assets, l.by_income, l.village_limit, '->', l.amount) FROM credit.household_limit l WHERE l.limit_id = id);
EXCEPTION WHEN OTHERS THEN
    RETURN regexp_replace(SQLSTATE || ' ' || SQLERRM, 'household \d+', 'household N');
END
$$;

SET SESSION AUTHORIZATION rh_first;
SELECT pg_temp.limit_of('a');
-- the worked parameters, which are assumed, so nobody's default
SELECT credit.adopt_rating_pack('R-10', '{"base_share": 0.3, "income_multiple": 2, "character_low": 0.8, "character_high": 1.2}', 'test');
SELECT h, pg_temp.limit_of(h) FROM unnest('{a,e,f,g,nowhere}'::text[]) h;

-- a session, entered by a clerk at the counter and an operator
SET SESSION AUTHORIZATION rh_clerk;
INSERT INTO session VALUES ('one', credit.open_village_session('R-10', '990301101201', '2024-01-10', '{"party_branch": 3, "village_committee": 5}'));
SELECT credit.enter_village_result(pg_temp.s('one'), pg_temp.h(h), lim, factor) FROM (VALUES ('a', 150000, 1.0), ('b', 1300000, 1.2), ('c', 50000, 1.2), ('d', 50000, 1.0)) v(h, lim, factor);
-- a slip of the pen is corrected while it is open
SELECT credit.enter_village_result(pg_temp.s('one'), pg_temp.h('b'), 130000, 1.2);
SELECT pg_temp.fails(format('SELECT credit.confirm_village_session(%s)', pg_temp.s('one')));
SELECT pg_temp.fails('SELECT count(*) FROM credit.village_result') LIKE '42501%' AS no_rows;
SET SESSION AUTHORIZATION rh_first;
SELECT credit.enter_village_result(pg_temp.s('one'), pg_temp.h('g'), 1, 1);
SELECT h, pg_temp.limit_of(h) FROM unnest('{a,b,c,d,e}'::text[]) h;
SELECT pg_temp.fails(format('SELECT credit.confirm_village_session(%s)', pg_temp.s('one')));
-- nor by taking another role: who is logged in counts
SET ROLE rh_second;
SELECT pg_temp.fails(format('SELECT credit.confirm_village_session(%s)', pg_temp.s('one')));
RESET ROLE;
SET SESSION AUTHORIZATION rh_second;
SELECT credit.confirm_village_session(pg_temp.s('one'));
SELECT pg_temp.fails(format('SELECT credit.confirm_village_session(%s)', pg_temp.s('one')));
SELECT pg_temp.fails(format('SELECT credit.enter_village_result(%s, %s, 1, 1)', pg_temp.s('one'), pg_temp.h('a')));
SELECT pg_temp.fails(format('SELECT credit.discard_village_session(%s)', pg_temp.s('one')));

-- as of a day before it was confirmed there is no limit; then the worked table, as if it had been confirmed in time
SELECT h, pg_temp.limit_of(h, '2024-02-01') FROM unnest('{a,e}'::text[]) h;
RESET SESSION AUTHORIZATION;
ALTER TABLE credit.village_session DISABLE TRIGGER guard;
UPDATE credit.village_session SET confirmed_at = '2024-01-11 10:00+08';
ALTER TABLE credit.village_session ENABLE TRIGGER guard;
SET SESSION AUTHORIZATION rh_first;
SELECT h, pg_temp.limit_of(h, '2024-02-01') FROM unnest('{a,b,c,d,e,g}'::text[]) h;
SELECT d.day, pg_temp.limit_of('a', d.day) FROM unnest('{2023-12-31,2024-01-09,2024-01-10,2024-01-11,2024-05-31,2024-06-01}'::date[]) d(day);
SELECT e.* FROM h JOIN credit.household_limit l USING (subject_id), credit.explain_limit(l.limit_id) e WHERE h.h = 'b' AND l.as_of = '2024-02-01' ORDER BY ordinal;
SELECT e.text_zh, e.text_en FROM h JOIN credit.household_limit l USING (subject_id), credit.explain_limit(l.limit_id) e WHERE h.h = 'd' ORDER BY ordinal;
RESET SESSION AUTHORIZATION;
SELECT cardinality(l.record_ids) AS records, bool_and(r.subject_id = l.subject_id) AS own FROM h JOIN credit.household_limit l USING (subject_id), credit.record r
 WHERE h.h = 'b' AND r.record_id = ANY (l.record_ids) AND l.as_of = '2024-02-01' GROUP BY 1;
SET SESSION AUTHORIZATION rh_first;
-- a range that a later adoption narrows: the opinion is no longer one
SELECT credit.adopt_rating_pack('R-10', '{"base_share": 0.3, "income_multiple": 2, "character_low": 0.9, "character_high": 1.1}', 'narrower');
SELECT pg_temp.fails(format('SELECT credit.rate_household(%s)', pg_temp.h('b'))), pg_temp.limit_of('a');

-- bad input
SELECT pg_temp.fails(format('SELECT credit.open_village_session(%s)', a)) FROM unnest(ARRAY[
    '''R-10'', ''990301101'', ''2024-01-10'', ''{"party_branch": 1, "village_committee": 1}''', '''R-10'', ''990301101299'', ''2024-01-10'', ''{"party_branch": 1, "village_committee": 1}''',
    '''R-10'', NULL, ''2024-01-10'', ''{}''', '''R-10'', ''990301101201'', NULL, ''{}''', '''R-10'', ''990301101201'', ''2024-01-10'', NULL',
    '''R-10'', ''990301101201'', ''2024-01-10'', ''[]''', '''R-10'', ''990301101201'', ''2024-01-10'', ''{"party_branch": -1}''', '''R-10'', ''990301101201'', ''2024-01-10'', ''{"party_branch": "3"}''',
    '''R-10'', ''990301101201'', ''2024-01-10'', ''{"party_branch": 1e3}''', '''R-10'', ''990301101201'', ''2024-01-10'', ''{"village_committee": 3, "party_branch": 0}''',
    '''R-10'', ''990301101201'', ''2024-01-10'', ''{"friends": 3}''', '''R-10'', ''990301101201'', ''infinity'', ''{}''', '''R-10'', ''990301101201'', current_date + 2, ''{}''',
    '''R-13'', ''990301101201'', ''2024-01-10'', ''{}''', '''R-11'', ''990301101201'', ''2024-01-10'', ''{}''']) a;
INSERT INTO session VALUES ('two', credit.open_village_session('R-10', '990301101201', '2024-03-10', '{"party_branch": 3, "village_committee": 5}'));
SELECT pg_temp.fails(format('SELECT credit.enter_village_result(%s, %s)', pg_temp.s('two'), a)) FROM unnest(ARRAY[
    pg_temp.h('far') || ', 1, 1', pg_temp.h('nowhere') || ', 1, 1', pg_temp.h('firm') || ', 1, 1', '-1, 1, 1', 'NULL, 1, 1', pg_temp.h('a') || ', -1, 1', pg_temp.h('a') || ', NULL, 1',
    pg_temp.h('a') || ', 1, NULL', pg_temp.h('a') || ', ''NaN'', 1', pg_temp.h('a') || ', ''Infinity'', 1', pg_temp.h('a') || ', 1, ''NaN''', pg_temp.h('a') || ', 1e15, 1',
    pg_temp.h('a') || ', 1, 1.1000001', pg_temp.h('a') || ', 1, 0.8999', pg_temp.h('a') || ', 1, 1, ''{}''']) a;
SELECT pg_temp.fails('SELECT credit.enter_village_result(-1, 1, 1, 1)'), pg_temp.fails('SELECT credit.enter_village_result(NULL, 1, 1, 1)'), pg_temp.fails('SELECT credit.confirm_village_session(NULL)');
SET SESSION AUTHORIZATION rh_second;
SELECT pg_temp.fails(format('SELECT credit.confirm_village_session(%s)', pg_temp.s('two')));
SET SESSION AUTHORIZATION rh_first;
SELECT credit.discard_village_session(pg_temp.s('two'));
SELECT pg_temp.fails(format('SELECT credit.rate_household(%s, ''infinity'')', pg_temp.h('a'))), pg_temp.fails('SELECT credit.rate_household(NULL)'), pg_temp.fails('SELECT credit.rate_household(-1)'),
       pg_temp.fails(format('SELECT credit.rate_household(%s, scheme => ''R-13'')', pg_temp.h('a'))), pg_temp.fails('SELECT * FROM credit.explain_limit(-1)');
RESET SESSION AUTHORIZATION;
SELECT pg_temp.fails('UPDATE credit.household_limit SET amount = 1'), pg_temp.fails('UPDATE credit.village_result SET village_limit = 9'), pg_temp.fails('DELETE FROM credit.village_session'), pg_temp.fails('UPDATE credit.village_session SET held_on = held_on - 1');

-- white list: nine conditions, which are the user's; two committees and the council
SET SESSION AUTHORIZATION rh_first;
SELECT credit.adopt_rating_pack('R-11', '{"conditions": ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"]}', 'test');
SELECT pg_temp.fails('SELECT credit.open_village_session(''R-11'', ''990301101201'', ''2024-01-10'', ''{"party_branch": 1, "village_committee": 2}'')');
INSERT INTO session VALUES ('w1', credit.open_village_session('R-11', '990301101201', '2024-01-10', '{"party_branch": 1, "village_committee": 2, "consultation_council": 3}')),
                           ('w2', credit.open_village_session('R-11', '990301101201', '2024-06-10', '{"party_branch": 1, "village_committee": 2, "consultation_council": 3}'));
SELECT credit.enter_village_result(pg_temp.s(s), pg_temp.h(h), failed => f::text[]) FROM (VALUES ('w1', 'a', '{}'), ('w1', 'b', '{c2,c9}'), ('w1', 'c', '{}'), ('w2', 'c', '{c1}'), ('w2', 'b', '{}')) v(s, h, f);
SELECT pg_temp.fails(format('SELECT credit.enter_village_result(%s, %s, %s)', pg_temp.s('w1'), pg_temp.h('a'), a)) FROM unnest('{"failed => ''{c10}''","failed => ''{c1,c1}''","failed => ''{NULL}''","failed => NULL","1, 1"}'::text[]) a;
SELECT count(*) AS before_it_is_confirmed FROM credit.white_list('R-11', '990301101201');
SET SESSION AUTHORIZATION rh_second;
SELECT credit.confirm_village_session(pg_temp.s('w1'));
SELECT h.h, w.held_on FROM credit.white_list('R-11', '990301101201') w JOIN h USING (subject_id) ORDER BY 1;
SELECT credit.confirm_village_session(pg_temp.s('w2'));
SELECT h.h, w.held_on FROM credit.white_list('R-11', '990301101201') w JOIN h USING (subject_id) ORDER BY 1;
SELECT count(*) AS elsewhere FROM credit.white_list('R-11', '990301101202');
SELECT pg_temp.fails('SELECT * FROM credit.white_list(''R-10'', ''990301101201'')');

-- an index of three aspects
SELECT credit.adopt_rating_pack('R-13', '{"weights": {"ability": 0.5, "output": 0.3, "integration": 0.2}}', 'test');
RESET SESSION AUTHORIZATION;
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT pg_temp.h('firm'), c.category_id, 1, v.dated, 'neutral', 'rh-' || v.dated, v.payload, 0
  FROM credit.category c, (VALUES (date '2024-01-01', '{"period": "2023-12-31", "ability": 80, "output": 70.5, "integration": 0.1}'::jsonb), ('2024-07-01', '{"period": "2024-06-30", "ability": 60, "output": 0, "integration": 100}')) v(dated, payload)
 WHERE c.code = 'innovation_dimensions';
SET SESSION AUTHORIZATION rh_first;
CREATE TEMP TABLE i AS SELECT d.day, credit.rate_index(pg_temp.h('firm'), d.day) AS id FROM unnest('{2024-01-01,2024-06-30,2024-07-01}'::date[]) d(day);
SELECT i.day, v.value, v.aspects FROM i JOIN credit.index_value v ON v.index_id = i.id ORDER BY 1;
SELECT e.* FROM i, credit.explain_index(i.id) e WHERE i.day = '2024-01-01';
SELECT sum(e.points) = (SELECT value FROM credit.index_value WHERE index_id = i.id) AS adds_up FROM i, credit.explain_index(i.id) e WHERE i.day = '2024-01-01' GROUP BY i.id;
SELECT pg_temp.fails(format('SELECT credit.rate_index(%s, ''2023-01-01'')', pg_temp.h('firm'))), pg_temp.fails('SELECT credit.rate_index(NULL)'), pg_temp.fails('SELECT * FROM credit.explain_index(NULL)');
SET SESSION AUTHORIZATION rh_analyst;
SELECT f, pg_temp.fails('SELECT credit.' || f) LIKE '42501%' AS denied FROM unnest('{rate_household(1),rate_index(1),explain_limit(1),explain_index(1),"white_list(''R-11'', ''990301101201'')","confirm_village_session(1)","enter_village_result(1,1)"}'::text[]) f;
RESET SESSION AUTHORIZATION;
-- an erased household leaves nothing of it here
SELECT credit.erase_subject(pg_temp.h('a')) IS NOT NULL AS erased;
SELECT (SELECT count(*) FROM credit.household_limit WHERE subject_id = pg_temp.h('a')) AS limits, (SELECT count(*) FROM credit.village_result WHERE subject_id = pg_temp.h('a')) AS results;
ROLLBACK;
