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
CREATE FUNCTION pg_temp.card(name text, field text DEFAULT 'x') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('name', name, 'use_reason_codes', false, 'characteristics', jsonb_build_array(jsonb_build_object(
        'name', 'c', 'field', field, 'data_type', 'text', 'attributes', '[{"kind": "other", "points": 1}, {"kind": "missing", "points": 0}]'::jsonb)))
$$;
CREATE ROLE review_author LOGIN IN ROLE credit_operator;
CREATE ROLE review_second LOGIN IN ROLE credit_operator;

-- the way of a version: the author cannot publish it, alone or by submitting it first; a second person can
SET SESSION AUTHORIZATION review_author;
SELECT credit.create_model(pg_temp.card('reviewed'));
SELECT pg_temp.fails('SELECT credit.publish_model(''reviewed'')');
SELECT length(credit.submit_model('reviewed'));
SELECT pg_temp.fails(q) FROM (VALUES (1, 'SELECT credit.publish_model(''reviewed'')'), (2, 'SELECT credit.submit_model(''reviewed'')'), (3, 'SELECT credit.discard_model(''reviewed'', 1)'),
    (4, 'SELECT credit.submit_model(''reviewed'', 2)'), (5, 'SELECT credit.set_publication_policy(''one_person'')')) v(n, q) ORDER BY n;
-- not even as another role of the same login
SET ROLE credit_operator;
SELECT pg_temp.fails('SELECT credit.publish_model(''reviewed'')');
RESET SESSION AUTHORIZATION;
-- what is submitted stays as it is, scores as name@version and rates nobody
SET LOCAL client_min_messages = warning;
SELECT pg_temp.fails(q) FROM (VALUES (1, 'UPDATE credit.model SET initial_score = 1 WHERE name = ''reviewed'' RETURNING name'), (2, 'UPDATE credit.model SET digest = NULL, status = ''draft'' WHERE name = ''reviewed'' RETURNING name'),
    (3, 'UPDATE credit.attribute a SET points = 5 FROM credit.model m WHERE m.model_id = a.model_id AND m.name = ''reviewed'' RETURNING a.points'), (4, 'SELECT credit.score(''reviewed@1'', v) FROM (SELECT ''a''::text AS x) v'),
    (5, 'SELECT credit.score(''reviewed'', v) FROM (SELECT ''a''::text AS x) v'), (6, 'SELECT credit.rate(''reviewed@1'', 1, v) FROM (SELECT ''a''::text AS x) v')) v(n, q) ORDER BY n;
-- returned and submitted again by the second person, who then cannot publish it either
SET SESSION AUTHORIZATION review_second;
SELECT credit.return_model('reviewed', 1);
SELECT pg_temp.fails('SELECT credit.return_model(''reviewed'', 1)');
SELECT length(credit.submit_model('reviewed', 1));
SELECT pg_temp.fails('SELECT credit.publish_model(''reviewed'')');
SELECT credit.return_model('reviewed', 1);
SET SESSION AUTHORIZATION review_author;
SELECT length(credit.submit_model('reviewed', 1));
SET SESSION AUTHORIZATION review_second;
SELECT length(credit.publish_model('reviewed'));
SELECT version, status, created_by, created_session, submitted_by, submitted_session, published_by, published_session FROM credit.model WHERE name = 'reviewed';
SELECT credit.score('reviewed', v) FROM (SELECT 'a'::text AS x) v;
RESET SESSION AUTHORIZATION;
-- its digest is among what goes to the log with this transaction
SELECT count(*) AS entries FROM credit.audit_outbox o, credit.model m
 WHERE m.name = 'reviewed' AND o.prefix LIKE '%"digest":"' || rtrim(translate(encode(m.digest, 'base64'), '+/', '-_'), '=') || '"%"operation":"publish"%';

-- policies: a superuser alone by default, nobody, everybody
SELECT credit.create_model(pg_temp.card('alone'));
SELECT length(credit.publish_model('alone'));
SELECT credit.set_publication_policy('second_person');
SELECT credit.create_model(pg_temp.card('alone'));
SELECT pg_temp.fails('SELECT credit.publish_model(''alone'')');
SELECT pg_temp.fails('SELECT credit.set_publication_policy(''nobody'')');
SELECT credit.set_publication_policy('one_person');
SET SESSION AUTHORIZATION review_author;
SELECT credit.create_model(pg_temp.card('alone'));
SELECT length(credit.publish_model('alone'));
RESET SESSION AUTHORIZATION;

-- columns that no model may read: as words of a name, whatever the case, never as parts of other words
SELECT field, pg_temp.fails(format('SELECT credit.create_model(pg_temp.card(''t'', %L))', field)) FROM unnest('{religion,Applicant_Religion,religions,ethnic-group,race,trace,blood_type,bloodline,民族,申请人民族代码,gene,general_income}'::text[]) field;
SELECT credit.forbid_attribute('Gender', 'policy of the site');
SELECT pg_temp.fails('SELECT credit.create_model(pg_temp.card(''t'', ''gender''))');
-- forbidden after it was written: it is not published
SELECT credit.create_model(pg_temp.card('late', 'postcode'));
SELECT credit.forbid_attribute('postcode', 'stands for ethnicity');
SELECT pg_temp.fails(q) FROM (VALUES ('SELECT credit.submit_model(''late'')'), ('SELECT credit.publish_model(''late'')')) v(q);
ROLLBACK;
