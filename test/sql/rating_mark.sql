SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\pset format unaligned
\set ON_ERROR_ROLLBACK on
-- everything happens in a transaction that is rolled back: no worker sees the marks, they are rated by hand
BEGIN;
SET LOCAL client_min_messages = warning;
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
INSERT INTO credit.subject (kind, code) SELECT 'enterprise', 'mark-' || i FROM generate_series(1, 4) i;
CREATE TEMP TABLE s AS SELECT code, subject_id FROM credit.subject WHERE code LIKE 'mark-_';
CREATE FUNCTION pg_temp.bring(subject text, key text, amount numeric) RETURNS void LANGUAGE sql AS $$
    INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
    SELECT s.subject_id, c.category_id, 1, date '2026-01-01', 'neutral', key, jsonb_build_object('amount_paid', amount), 0
      FROM s, credit.category c WHERE s.code = subject AND c.code = 'tax_payment'
$$;
CREATE FUNCTION pg_temp.marked() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(code || ' x' || n, ', ' ORDER BY code), 'none')
      FROM (SELECT s.code, count(*) AS n FROM credit.rating_mark m JOIN s USING (subject_id) GROUP BY 1) x
$$;
CREATE FUNCTION pg_temp.ratings() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(code || ' ' || grades, ', ' ORDER BY code), 'none')
      FROM (SELECT s.code, string_agg(r.grade, '' ORDER BY r.rating_id) AS grades FROM credit.rating r JOIN s USING (subject_id) GROUP BY 1) x
$$;
SELECT credit.register_indicator('mark_tax', 'number', $$SELECT subject_id, sum((payload ->> 'amount_paid')::numeric), array_agg(record_id)
    FROM credit.record_as_of WHERE subject_id = ANY ($1) GROUP BY subject_id$$);
SELECT credit.create_model($j${"name": "mark", "use_reason_codes": false, "characteristics": [{"name": "tax", "field": "mark_tax", "data_type": "number",
    "attributes": [{"kind": "interval", "high": 100, "closure": "openOpen", "points": 10}, {"kind": "other", "points": 50}, {"kind": "missing", "points": 0}]}],
    "grades": [{"grade": "A", "low": 50}, {"grade": "B", "low": 10, "high": 50}, {"grade": "C", "high": 10}]}$j$);
-- no model is dynamic: nothing is marked, and a draft cannot be
SELECT pg_temp.bring('mark-1', 'a', 10);
SELECT pg_temp.marked();
SELECT pg_temp.fails('SELECT credit.set_dynamic(''mark'', true)');
SELECT length(credit.publish_model('mark'));
SELECT pg_temp.fails('SELECT credit.set_dynamic(''mark'', NULL)');
SELECT credit.set_dynamic('mark', true, kinds => '{enterprise}');
-- a statement marks each of its subjects once, a statement that is rolled back none
SELECT pg_temp.bring('mark-1', 'b', 10), pg_temp.bring('mark-2', 'a', 200);
UPDATE credit.record r SET payload = jsonb_build_object('amount_paid', 20) FROM s WHERE r.subject_id = s.subject_id AND s.code = 'mark-1';
SAVEPOINT a; SELECT pg_temp.bring('mark-3', 'a', 10); SELECT pg_temp.marked(); ROLLBACK TO a;
SELECT pg_temp.marked();
SELECT credit._rate_marked(1000) AS marks, pg_temp.marked(), pg_temp.ratings();
SELECT pg_temp.marked(), pg_temp.ratings();
-- a repair, an attribute, a subject's own row, a deletion
SELECT credit.set_record_status(r.subject_id, r.record_id, 'repaired', 'test') FROM credit.record r JOIN s USING (subject_id) WHERE s.code = 'mark-2';
SELECT credit.set_subject_attribute(s.subject_id, 'high_tech_enterprise', '2026-01-01') FROM s WHERE code = 'mark-3';
UPDATE credit.subject SET registered_on = '2020-01-01' WHERE code = 'mark-4';
DELETE FROM credit.record r USING s WHERE r.subject_id = s.subject_id AND s.code = 'mark-1' AND r.source_key = 'b';
SELECT pg_temp.marked();
SELECT credit._rate_marked(2) AS marks;
SELECT credit._rate_marked(2) AS marks;
SELECT credit._rate_marked(2) AS marks;
SELECT pg_temp.ratings();
-- a mark without a change of the inputs is no rating
INSERT INTO credit.rating_mark (subject_id) SELECT subject_id FROM s;
SELECT credit._rate_marked(1000) AS marks;
SELECT pg_temp.ratings();
-- changed grades are noticed to who has a live consent for one of the purposes, and nobody else
CREATE ROLE mark_bank; CREATE ROLE mark_other; CREATE ROLE mark_past; CREATE ROLE mark_closed;
GRANT credit_institution TO mark_bank;
INSERT INTO credit.institution (code, name_zh, kind, db_role) SELECT r, '银行', 'commercial_bank', r::regrole FROM unnest('{mark_bank,mark_other,mark_past,mark_closed}'::text[]) r;
INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, granted_by, status)
SELECT s.subject_id, i.institution_id, ARRAY[c.category_id], CASE i.code WHEN 'mark_other' THEN '{pre_loan}' ELSE '{in_loan,post_loan}' END::text[],
       now() - interval '2 days', CASE i.code WHEN 'mark_past' THEN now() - interval '1 day' ELSE now() + interval '1 day' END, 'test',
       CASE i.code WHEN 'mark_closed' THEN 'paused' ELSE 'active' END
  FROM s, credit.institution i, credit.category c WHERE s.code IN ('mark-1', 'mark-2') AND i.code LIKE 'mark\_%' AND c.code = 'tax_payment';
SELECT pg_temp.fails('SELECT credit.set_grade_notice(''mark'', ''tax_payment'', ''{party}'')');
SELECT pg_temp.fails('SELECT credit.set_grade_notice(''nothing'', ''tax_payment'', ''{post_loan}'')');
SELECT credit.set_grade_notice('mark', 'tax_payment', '{post_loan}');
SELECT pg_temp.bring('mark-1', 'c', 1000), pg_temp.bring('mark-2', 'c', 50), pg_temp.bring('mark-3', 'c', 50);
SELECT credit._rate_marked(1000) AS marks;
SELECT pg_temp.ratings();
SELECT s.code, i.code AS institution, n.model, n.previous_grade, n.grade FROM credit.grade_notice n JOIN s USING (subject_id) JOIN credit.institution i USING (institution_id) ORDER BY 1;
-- the same grade again is no notice, though the score's inputs changed
SELECT pg_temp.bring('mark-1', 'd', 5);
SELECT credit._rate_marked(1000) AS marks;
SELECT pg_temp.ratings(), count(*) AS notices FROM credit.grade_notice JOIN s USING (subject_id);
-- they stand behind the guard
SET LOCAL ROLE mark_bank;
SELECT pg_temp.fails('SELECT grade FROM credit.grade_notice');
RESET ROLE;
-- a subject for which the indicator fails does not keep the others waiting
SELECT credit.register_indicator('mark_tax', 'number', $$SELECT subject_id, 1000 / (sum((payload ->> 'amount_paid')::numeric) - 777), array_agg(record_id)
    FROM credit.record_as_of WHERE subject_id = ANY ($1) GROUP BY subject_id$$);
UPDATE credit.record r SET payload = '{"amount_paid": 777}' FROM s WHERE r.subject_id = s.subject_id AND s.code = 'mark-3';
SELECT pg_temp.bring('mark-1', 'f', 1), pg_temp.bring('mark-4', 'f', 1);
SELECT credit._rate_marked(1000) AS marks, pg_temp.marked(), pg_temp.ratings();
SELECT s.code, f.sqlstate, f.reason FROM credit.rating_failure f JOIN s USING (subject_id);
-- and where there is no other, the mark stays until the indicator is mended
INSERT INTO credit.rating_mark (subject_id) SELECT subject_id FROM s WHERE code = 'mark-3';
SELECT pg_temp.fails('SELECT credit._rate_marked(1000)'), pg_temp.marked();
DELETE FROM credit.rating_mark;
-- no model is dynamic any more
SELECT credit.set_dynamic('mark', false);
SELECT pg_temp.bring('mark-1', 'e', 5);
SELECT pg_temp.marked();
-- an erased subject leaves neither marks nor notices
INSERT INTO credit.rating_mark (subject_id) SELECT subject_id FROM s;
UPDATE credit.subject SET log_salt = '\x00112233445566778899aabbccddeeff' WHERE code = 'mark-1';
SELECT pg_temp.marked(), pg_temp.ratings(), count(*) AS notices FROM credit.grade_notice JOIN s USING (subject_id);
ROLLBACK;
