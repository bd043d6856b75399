-- The subject itself: session tokens, what they show and to whom, why an access is granted or not. Tokens are signed
-- beforehand (test/unit/token_sign.c, seed a), so they live long and their subjects have numbers of their own.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE self_regress_app;
CREATE ROLE self_regress_other;
CREATE ROLE self_regress_bank;
CREATE ROLE self_regress_portal;
CREATE ROLE self_regress_operator;
GRANT credit_self TO self_regress_app, self_regress_other;
GRANT credit_institution TO self_regress_bank;
GRANT credit_portal TO self_regress_portal;
GRANT credit_operator TO self_regress_operator;
\set VERBOSITY terse
\set t1 'eyJhdWRpZW5jZSI6InJlZ3Jlc3MiLCJleHBpcmVzIjo0MTAyNDQ0ODAwLCJpZCI6InJlZ3Jlc3Mtc2VsZi0wMDAxIiwiaXNzdWVkIjoxNTc3ODM2ODAwLCJpc3N1ZXIiOiJyZWdyZXNzX3NlbGYiLCJzdWJqZWN0IjoiNTYwMDAwMDAxIn0.uGSlDDAI7NZ1lg7DGM0vo_K9Rwgyi-ZLeXGU-yoOfAyedFBvr4Azg4JQcNG3DpjTgOErPrn1pioEQNGaKqioBg'
\set t2 'eyJhdWRpZW5jZSI6InJlZ3Jlc3MiLCJleHBpcmVzIjo0MTAyNDQ0ODAwLCJpZCI6InJlZ3Jlc3Mtc2VsZi0wMDAyIiwiaXNzdWVkIjoxNTc3ODM2ODAwLCJpc3N1ZXIiOiJyZWdyZXNzX3NlbGYiLCJyb2xlIjoic2VsZl9yZWdyZXNzX2FwcCIsInN1YmplY3QiOiI1NjAwMDAwMDIifQ.xV5O0lB4AlhVINRZehWX2CtGA2HrNYwDXbmPN5xRpQKsaHZOgk61_S2GWpHyH9YE7EK4CohRq899Ad-B4-4UDg'
\set other_audience 'eyJhdWRpZW5jZSI6Im90aGVyIiwiZXhwaXJlcyI6NDEwMjQ0NDgwMCwiaWQiOiJyZWdyZXNzLXNlbGYtMDAwMyIsImlzc3VlZCI6MTU3NzgzNjgwMCwiaXNzdWVyIjoicmVncmVzc19zZWxmIiwic3ViamVjdCI6IjU2MDAwMDAwMSJ9.7geC71QwK5qR00vkZeCKYraKAt5OZNivN7cWjGVHlZHxQfTit3913JLU7MtV0vg_aTZcHRf1N3Bmju7PPtbvBA'
\set expired 'eyJhdWRpZW5jZSI6InJlZ3Jlc3MiLCJleHBpcmVzIjoxNTc3ODM3MTAwLCJpZCI6InJlZ3Jlc3Mtc2VsZi0wMDA0IiwiaXNzdWVkIjoxNTc3ODM2ODAwLCJpc3N1ZXIiOiJyZWdyZXNzX3NlbGYiLCJzdWJqZWN0IjoiNTYwMDAwMDAxIn0.cSMuFehzileYWl5hGzHoEO4zRttwpKbr_91utPqL3Kqh_kqeOHal12iZo4EQ-304ojcVFsZsSvhQVt_3Vzv2Bw'
\set nobody 'eyJhdWRpZW5jZSI6InJlZ3Jlc3MiLCJleHBpcmVzIjo0MTAyNDQ0ODAwLCJpZCI6InJlZ3Jlc3Mtc2VsZi0wMDA1IiwiaXNzdWVkIjoxNTc3ODM2ODAwLCJpc3N1ZXIiOiJyZWdyZXNzX3NlbGYiLCJzdWJqZWN0IjoiNTYwMDA5OTk5In0.wXGQuRHj_9-e8EmxaHoKv39JlFDBVsV5NRXmXIL3kWhglBPVLlN1F_AjfTBh05u4uqftVRVSBFGw7iXGqJnoCQ'
\set key '\\xaf06a3e3291714e4f356c19c9b15cd1951ec6e6662aa77be07547f289383341d'
\set s1 560000001
\set s2 560000002

SELECT credit.register_institution('self_bank', '自己银行', 'Bank', 'commercial_bank', 'self_regress_bank') > 0 AS bank;
INSERT INTO credit.subject (subject_id, kind, code, name) OVERRIDING SYSTEM VALUE
VALUES (:s1, 'village', 'self-1', '甲村'), (:s2, 'village', 'self-2', '乙村');
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s, c.category_id, i.institution_id, DATE '2026-03-01' + n, 'neutral', format('self-%s', n), jsonb_build_object('n', n, 'of', s), 0
  FROM unnest(ARRAY[:s1, :s2]::bigint[]) s, credit.category c, credit.institution i, generate_series(1, 2) n
 WHERE c.code IN ('tax_payment', 'social_insurance') AND i.code = 'self_bank';
SELECT credit.create_model('{"name": "self_regress", "initial_score": 1, "use_reason_codes": false, "characteristics": [
    {"name": "age", "data_type": "number", "attributes": [{"kind": "interval", "high": 40, "closure": "openOpen", "points": 5},
                                                          {"kind": "other", "points": 1}, {"kind": "missing", "points": 0}]}],
    "grades": [{"grade": "A", "low": 0}, {"grade": "B", "high": 0}], "caps": [{"when": "age > 20", "grade": "B", "title_zh": "满二十", "title_en": "over twenty"}]}') > 0 AS made;
SELECT credit.publish_model('self_regress', 1) IS NOT NULL AS published;
SELECT credit.rate('self_regress', s, r) > 0 AS rated FROM unnest(ARRAY[:s1, :s2]::bigint[]) s, (SELECT 30 AS age) r;
RESET client_min_messages;

CREATE FUNCTION self_wait() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    FOR turn IN 1 .. 1000 LOOP
        IF NOT EXISTS (SELECT FROM credit.audit_outbox) THEN
            RETURN (SELECT coalesce(max(seq), 0) FROM credit.audit_entry);
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE EXCEPTION 'the outbox is not drained';
END
$$;
CREATE VIEW self_log AS
SELECT seq, kind, operation, actor, purpose, categories, reason, entry::jsonb ->> 'issuer' AS issuer, entry::jsonb ->> 'session_token' AS token,
       (SELECT string_agg(s.code, ',') FROM credit.subject s WHERE a.subjects ? credit._subject_token(s.subject_id, s.log_salt)) AS subject
  FROM credit.audit_log a;
-- A statement's SQLSTATE, message, detail; numbers of entries left out.
CREATE FUNCTION self_try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (%s) x', statement) INTO n;
    RETURN n || ' rows';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' ', SQLSTATE, SQLERRM, NULLIF(said, ''));
END
$$;

-- ------------------------------------------------------------------ signatures: RFC 8032, section 7.1, tests 1 and 2
SELECT credit._verify_ed25519('\xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', '',
    '\xe5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b') AS test_1,
       credit._verify_ed25519('\x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', '\x72',
    '\x92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00') AS test_2,
       credit._verify_ed25519('\x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', '\x73',
    '\x92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00') AS another_message,
       credit._verify_ed25519('\x00', '', '\x00') AS short,
       -- a point of small order: with it anybody could sign anything
       credit._verify_ed25519('\x0100000000000000000000000000000000000000000000000000000000000000', 'x',
    '\x0100000000000000000000000000000000000000000000000000000000000000' || decode(repeat('00', 32), 'hex')) AS small_order;
SELECT credit._base64url('AQ') AS one, credit._base64url('AR') AS not_strict, credit._base64url('A') AS too_short, credit._base64url('AQ==') AS padded,
       credit._base64url('A Q') AS space, credit._base64url('-_8') AS url, credit._base64url('') AS empty;

-- ------------------------------------------------------------------ issuers
SET ROLE self_regress_operator;
SELECT self_try($$ SELECT credit.register_issuer('x', NULL) $$);
SELECT self_try($$ SELECT credit.register_issuer('x', '\x00') $$);
SELECT self_try($$ SELECT credit.register_issuer('a b', decode(repeat('00', 32), 'hex')) $$) ~ '^23514 .*_code_check' AS code;
SELECT self_try($$ SELECT credit.register_issuer('x', decode(repeat('00', 32), 'hex'), longest_life => '-1 s') $$) ~ '^23514 .*_longest_life_check' AS life;
SELECT credit.register_issuer('self_default', decode(repeat('01', 32), 'hex'));
SELECT longest_life, valid_to, audience IN (current_database(), split_part(credit.log_vkey(), '+', 1)) AS audience, registered_by
  FROM credit.token_issuer WHERE code = 'self_default';
RESET ROLE;
BEGIN;
SET LOCAL ROLE self_regress_app;
SELECT self_try(format('SELECT credit.as_subject(%L)', :'t1')) AS before_the_issuer_is_registered;
COMMIT;
SET ROLE self_regress_operator;
SELECT credit.register_issuer('regress_self', :'key', 'regress', '100 years', '2000-01-01');
SELECT self_try(format($$ SELECT credit.register_issuer('self_again', %L) $$, :'key')) ~ '^23505' AS a_key_has_one_name;
RESET ROLE;

-- ------------------------------------------------------------------ what a subject sees
SELECT self_wait() AS from_here \gset
BEGIN;
SET LOCAL ROLE self_regress_app;
SELECT credit.as_subject(:'t1');
SELECT credit.current_subject();
SELECT category, dated, provider, payload FROM credit.my_records();
SELECT category, dated, payload FROM credit.my_records('{tax_payment}');
SELECT self_try($$ SELECT credit.my_records('{}') $$);
SELECT self_try($$ SELECT credit.my_records('{no_such}') $$);
SELECT model, version, score, grade, score_grade, grade_rule, rule_zh, rule_en, reasons, inputs FROM credit.my_ratings();
COMMIT;
-- nothing is left after the transaction
SET ROLE self_regress_app;
SELECT self_try('SELECT 1 WHERE credit.current_subject() > 0'), self_try('SELECT * FROM credit.my_records()'), self_try('SELECT * FROM credit.my_history()');
RESET ROLE;
SELECT kind, operation, actor, purpose, categories, issuer, token, subject FROM self_log WHERE seq > :from_here AND kind <> 'config' ORDER BY seq;

-- consents, and taking one back
SET ROLE self_regress_portal;
SELECT credit.grant_consent(:s1, 'self_bank', '{tax_payment}', '{pre_loan}', '2020-01-01', '2100-01-01') AS c1,
       credit.grant_consent(:s1, 'self_bank', '{social_insurance,tax_payment}', '{in_loan,post_loan}', '2020-01-01', '2021-01-01') AS c2,
       credit.grant_consent(:s2, 'self_bank', '{tax_payment}', '{pre_loan}', '2020-01-01', '2100-01-01') AS c3 \gset
RESET ROLE;
BEGIN;
SET LOCAL ROLE self_regress_app;
SELECT credit.as_subject(:'t1') = :s1 AS acts;
SELECT consent_id = :c1 AS first, institution, institution_name, categories, purposes, status, kind, uses, channel, revoked_at FROM credit.my_consents();
SELECT credit.my_pause(:c1), credit.my_resume(:c1), credit.my_resume(:c1) AS again;
SELECT credit.my_pause(:c1) AS paused;
SELECT consent_id = :c1 AS first, status FROM credit.my_consents();
SELECT self_try(format('SELECT credit.my_pause(%s)', :c3)) ~ '^P0002' AS not_of_others;
SELECT credit.my_revoke(:c1), credit.my_revoke(:c1) AS again;
SELECT self_try(format('SELECT credit.my_revoke(%s)', :c3)) ~ '^P0002' AS not_of_others;
SELECT consent_id = :c1 AS first, status FROM credit.my_consents();
COMMIT;
SELECT status, revoked_by FROM credit.consent WHERE consent_id IN (:c1, :c3) ORDER BY 1;
SELECT self_wait() > 0 AS drained;
BEGIN;
SET LOCAL ROLE self_regress_app;
SELECT credit.as_subject(:'t1') = :s1 AS acts;
SELECT kind, operation, actor, institution, purposes, categories FROM credit.my_history(most => 6);
SELECT (SELECT entry FROM credit.my_history_proof(h.seq)) ~ '"operation":"revoke"' AS proof FROM credit.my_history() h WHERE h.operation = 'revoke';
SELECT self_try('SELECT credit.my_history(most => 0)');
COMMIT;

-- ------------------------------------------------------------------ tokens that do not count
SELECT regexp_replace(:'t1', '^eyJhdWRpZW5jZSI6InJlZ3Jlc3Mi', 'eyJhdWRpZW5jZSI6InJlZ3Jlc3Qi') AS changed,
       split_part(:'t1', '.', 1) || '.' || split_part(:'t2', '.', 2) AS mixed,
       left(:'t1', -1) || CASE right(:'t1', 1) WHEN 'Q' THEN 'R' ELSE 'Q' END AS forged,
       translate(rtrim(encode(convert_to('{"subject": "1"}', 'UTF8'), 'base64'), '='), '+/', '-_') || '.' || repeat('A', 86) AS not_canonical,
       translate(rtrim(encode(convert_to('{"subject":"1"}', 'UTF8'), 'base64'), '='), '+/', '-_') || '.' || repeat('A', 86) AS members,
       translate(rtrim(encode('\xff7b7d', 'base64'), '='), '+/', '-_') || '.' || repeat('A', 86) AS not_utf8 \gset
SELECT self_wait() AS from_here \gset
SET ROLE self_regress_app;
SELECT what, self_try(format('SELECT credit.as_subject(%L)', token)) AS says FROM (VALUES
    (1, 'nothing', NULL), (2, 'empty', ''), (3, 'words', 'give me'), (4, 'no signature', split_part(:'t1', '.', 1)),
    (5, 'changed', :'changed'), (6, 'signature of another', :'mixed'), (7, 'forged', :'forged'),
    (8, 'not canonical', :'not_canonical'), (9, 'other members', :'members'), (10, 'not UTF-8', :'not_utf8'),
    (11, 'too long', repeat('A', 5000) || '.' || repeat('A', 86)), (12, 'nested', repeat('W1tb', 900) || '.' || repeat('A', 86)),
    (13, 'other audience', :'other_audience'), (14, 'expired', :'expired'), (15, 'nobody', :'nobody'), (16, 'with a newline', :'t1' || E'\n')) v (n, what, token) ORDER BY n;
RESET ROLE;
SET ROLE self_regress_other;
SELECT self_try(format('SELECT credit.as_subject(%L)', :'t2')) AS of_another_role;
RESET ROLE;
-- each is an entry; who signed it and whom it names stands there only if its signature was right
SELECT kind, actor, reason, issuer, token, subject, count(*) FROM self_log WHERE seq > :from_here AND kind = 'refusal' GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 2, 3, 5;

-- ------------------------------------------------------------------ one subject a transaction, one role
BEGIN;
SET LOCAL ROLE self_regress_app;
SELECT credit.as_subject(:'t1') = :s1 AS acts, credit.as_subject(:'t1') = :s1 AS again;
SAVEPOINT a;
SELECT credit.as_subject(:'t2');
ROLLBACK TO a;
SELECT self_try('SELECT 1 WHERE credit.current_subject() > 0') AS after_a_refusal;
SELECT credit.as_subject(:'t1') = :s1 AS once_more;
SET LOCAL ROLE self_regress_other;
SELECT self_try('SELECT credit.my_records()') AS another_role;
SET LOCAL ROLE self_regress_app;
SELECT count(*) FROM credit.my_records();
RESET ROLE;
SELECT self_try('SELECT credit.my_records()') AS not_even_a_superuser;
ROLLBACK;
BEGIN;
SET LOCAL ROLE self_regress_app;
SAVEPOINT a;
SELECT credit.as_subject(:'t1') = :s1 AS acts;
SAVEPOINT b;
RELEASE b;
SELECT count(*) FROM credit.my_records();
ROLLBACK TO a;
SELECT self_try('SELECT credit.my_records()') AS rolled_back;
SAVEPOINT c;
SELECT credit.as_subject(:'t1') = :s1 AS acts;
RELEASE c;
SELECT count(*) FROM credit.my_records() AS released;
ROLLBACK;
SET ROLE self_regress_app;
SELECT set_config('credit.subject', '560000001', false), self_try('SELECT credit.my_records()') AS settings_say_nothing;
RESET ROLE;

-- ------------------------------------------------------------------ revoked while it is used
BEGIN;
SET LOCAL ROLE self_regress_app;
SELECT credit.as_subject(:'t1') = :s1 AS acts;
SET LOCAL ROLE self_regress_operator;
SELECT credit.revoke_token('regress-self-0001'), credit.revoke_token('regress-self-0001') AS again, self_try($$ SELECT credit.revoke_token('x') $$);
SET LOCAL ROLE self_regress_app;
SELECT self_try('SELECT credit.my_records()');
SELECT self_try(format('SELECT credit.as_subject(%L)', :'t1'));
SELECT credit.as_subject(:'t2');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL ROLE self_regress_app;
SELECT credit.as_subject(:'t2') = :s2 AS acts;
RESET ROLE;
-- a subject that is no more, under a snapshot from before
SELECT credit.erase_subject(:s2);
SET LOCAL ROLE self_regress_app;
SELECT self_try('SELECT credit.my_records()');
ROLLBACK;

-- ------------------------------------------------------------------ who may what
SET ROLE self_regress_app;
SELECT * FROM credit.record;
SELECT * FROM credit.consent;
SELECT * FROM credit.subject;
SELECT * FROM credit.category;
SELECT * FROM credit.token_issuer;
SELECT credit.read(:s2::bigint, 'pre_loan', '{tax_payment}');
SELECT credit.access_history(:s2);
SELECT credit.grant_consent(:s1, 'self_bank', '{tax_payment}', '{pre_loan}', now(), now() + interval '1 day');
SELECT credit.revoke_consent(:s2, :c3);
SELECT credit.explain_access(:s2, 'self_bank', 'pre_loan');
SELECT credit.revoke_issuer('regress_self');
SELECT credit._self_look('access', 'records', NULL);
SELECT credit._check_token('', 0);
RESET ROLE;
SET ROLE self_regress_bank;
SELECT credit.as_subject(:'t1');
SELECT credit.my_records();
SELECT credit.explain_access(:s1, 'self_bank', 'pre_loan');
RESET ROLE;
-- an institution that is given the portal's right does not enumerate either
GRANT credit_portal TO self_regress_bank;
SET ROLE self_regress_bank;
SELECT credit.explain_access(:s1, 'self_bank', 'pre_loan');
RESET ROLE;
REVOKE credit_portal FROM self_regress_bank;

-- ------------------------------------------------------------------ why an access is granted or not
SET ROLE self_regress_portal;
SELECT category, step, condition, holds, consent_id = :c3 AS decides, detail, explanation
  FROM credit.explain_access(:s2, 'self_bank', 'pre_loan', '{tax_payment,social_insurance}', 'en');
SELECT condition, holds, explanation FROM credit.explain_access(:s2, 'self_bank', 'pre_loan', '{tax_payment}');
SELECT category, condition, holds, explanation FROM credit.explain_access(:s2, 'no_such', 'no_such', '{no_such}', 'en');
SELECT category, holds, explanation, count(*) FILTER (WHERE condition = 'public_by_law' AND holds) OVER () AS public
  FROM credit.explain_access(:s2, 'self_bank', 'pre_loan', '{administrative_penalty}', 'en') WHERE condition = 'granted';
SELECT count(DISTINCT category) = (SELECT count(*) FROM credit.category) AS all_categories, count(*) FILTER (WHERE condition = 'granted' AND consent_id = :c3 AND holds) AS by_consent
  FROM credit.explain_access(:s2, 'self_bank', 'pre_loan');
SELECT self_try($$ SELECT credit.explain_access(NULL, 'self_bank', 'pre_loan') $$), self_try($$ SELECT credit.explain_access(-1, 'self_bank', 'pre_loan') $$),
       self_try($$ SELECT credit.explain_access(560000002, NULL, 'pre_loan') $$), self_try($$ SELECT credit.explain_access(560000002, 'self_bank', 'pre_loan', language => 'de') $$);
RESET ROLE;
BEGIN;
SET LOCAL ROLE self_regress_app;
SELECT credit.as_subject(:'t2') = :s2 AS acts;
SELECT category, holds, consent_id = :c3 AS decides, explanation FROM credit.explain_my_access('self_bank', 'pre_loan', '{tax_payment,social_insurance}') WHERE condition = 'granted';
COMMIT;
SELECT kind, operation, actor, token, subject FROM self_log WHERE operation = 'explain' ORDER BY seq DESC LIMIT 2;

-- The explanation says what an access does, in every combination of conditions: two states of the institution, three
-- purposes, four categories, and for each subject one or two consents in each status, window and state of use.
SELECT institution_id AS bank FROM credit.institution WHERE code = 'self_bank' \gset
CREATE TEMP TABLE state AS
SELECT row_number() OVER (ORDER BY s, w, u) AS n, s AS status, w AS span, u AS used
  FROM unnest('{active,paused,revoked,replaced}'::text[]) s, unnest('{before,within,after}'::text[]) w,
       unnest('{unlimited,left,up,left_in_year,up_in_year}'::text[]) u;
CREATE TEMP TABLE wanted AS
SELECT 560001000 + n AS subject_id, n AS state FROM state UNION ALL
SELECT 560002000 + n, n FROM state UNION ALL
SELECT 560002000 + n, 1 + (n * 37 + 11) % (SELECT count(*) FROM state) FROM state;
INSERT INTO credit.subject (subject_id, kind, code) OVERRIDING SYSTEM VALUE
SELECT DISTINCT subject_id, 'village', 'self-' || subject_id FROM wanted UNION ALL SELECT 560003000, 'village', 'self-none';
INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, kind, use_limit, frequency_unit, frequency_count, granted_by, legal_text)
SELECT w.subject_id, :bank, (SELECT array_agg(category_id) FROM credit.category WHERE code IN ('tax_payment', 'administrative_penalty')), '{pre_loan}',
       '2020-01-01', '2100-01-01', CASE WHEN used ~ 'year' THEN 'periodic' ELSE 'standing' END,
       CASE used WHEN 'left' THEN 1000000 WHEN 'up' THEN 1 END, CASE WHEN used ~ 'year' THEN 'year' END,
       CASE used WHEN 'left_in_year' THEN 1000000 WHEN 'up_in_year' THEN 1 END, 'regress', 'self-state-' || w.state
  FROM wanted w JOIN state s ON s.n = w.state WHERE s.used ~ '^up';
-- used once, so that those with a limit of 1 are used up; of two, each
SET ROLE self_regress_bank;
SELECT count(*) FILTER (WHERE granted) > 0 AS used FROM credit.open_access((SELECT array_agg(g::bigint) FROM generate_series(560001001, 560002100) g), 'pre_loan', '{tax_payment}');
SELECT count(*) FILTER (WHERE granted) > 0 AS used FROM credit.open_access((SELECT array_agg(g::bigint) FROM generate_series(560001001, 560002100) g), 'pre_loan', '{tax_payment}');
SELECT count(*) FILTER (WHERE granted) AS left_over FROM credit.open_access((SELECT array_agg(g::bigint) FROM generate_series(560001001, 560002100) g), 'pre_loan', '{tax_payment}');
RESET ROLE;
INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, kind, use_limit, frequency_unit, frequency_count, granted_by, legal_text)
SELECT w.subject_id, :bank, (SELECT array_agg(category_id) FROM credit.category WHERE code IN ('tax_payment', 'administrative_penalty')), '{pre_loan}',
       '2020-01-01', '2100-01-01', CASE WHEN used ~ 'year' THEN 'periodic' ELSE 'standing' END,
       CASE used WHEN 'left' THEN 1000000 WHEN 'up' THEN 1 END, CASE WHEN used ~ 'year' THEN 'year' END,
       CASE used WHEN 'left_in_year' THEN 1000000 WHEN 'up_in_year' THEN 1 END, 'regress', 'self-state-' || w.state
  FROM wanted w JOIN state s ON s.n = w.state WHERE s.used !~ '^up';
UPDATE credit.consent c
   SET status = s.status,
       revoked_at = CASE WHEN s.status = 'revoked' THEN now() END, revoked_by = CASE WHEN s.status = 'revoked' THEN 'regress' END,
       valid_from = CASE s.span WHEN 'before' THEN timestamptz '2090-01-01' ELSE c.valid_from END,
       valid_to = CASE s.span WHEN 'after' THEN timestamptz '2021-01-01' ELSE c.valid_to END
  FROM state s WHERE c.legal_text = 'self-state-' || s.n;

-- What an access says, and what the explanation says before it: the first condition that fails, by its reason.
CREATE FUNCTION self_compare(subjects bigint[], purpose text, categories text[], OUT subject_id bigint, OUT category text,
                             OUT opened text, OUT opened_by bigint, OUT explained text, OUT explained_by bigint)
RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE explained_row ON COMMIT DROP AS SELECT NULL::bigint AS subject, x.* FROM credit._explain(0, 'x', 'x', '{x}', 'en') x LIMIT 0;
    GRANT ALL ON explained_row TO self_regress_portal;
    SET LOCAL ROLE self_regress_portal;
    INSERT INTO explained_row SELECT s, x.* FROM unnest(subjects) s, credit.explain_access(s, 'self_bank', self_compare.purpose, self_compare.categories, 'en') x;
    SET LOCAL ROLE self_regress_bank;
    CREATE TEMP TABLE opened_row ON COMMIT DROP AS SELECT * FROM credit.open_access(subjects, self_compare.purpose, self_compare.categories);
    RESET ROLE;
    RETURN QUERY
    SELECT o.subject_id, o.category, coalesce(o.reason, 'granted'), o.consent_id, e.verdict, e.consent_id
      FROM opened_row o
      LEFT JOIN LATERAL (
        SELECT CASE WHEN bool_or(x.holds) FILTER (WHERE x.condition = 'granted') THEN 'granted'
                    ELSE (array_agg(CASE x.condition WHEN 'institution_active' THEN 'institution_suspended' WHEN 'purpose_exists' THEN 'unknown_purpose'
                            WHEN 'category_exists' THEN 'unknown_category' WHEN 'consent_exists' THEN 'no_consent' WHEN 'category_covered' THEN 'category_refused'
                            WHEN 'purpose_covered' THEN 'purpose_refused' WHEN 'committed' THEN 'consent_uncommitted' WHEN 'not_revoked' THEN 'consent_revoked'
                            WHEN 'started' THEN 'consent_not_started' WHEN 'not_expired' THEN 'consent_expired' WHEN 'not_replaced' THEN 'consent_replaced'
                            WHEN 'not_paused' THEN 'consent_paused' WHEN 'within_template' THEN 'beyond_template' WHEN 'uses_left' THEN 'consent_used_up' ELSE x.condition END ORDER BY x.step)
                          FILTER (WHERE NOT x.holds AND x.condition <> 'public_by_law'))[1] END AS verdict,
               max(x.consent_id) FILTER (WHERE x.condition = 'granted' AND x.holds) AS consent_id
          FROM explained_row x WHERE x.subject = o.subject_id AND x.category = o.category) e ON true;
    DROP TABLE explained_row, opened_row;
END
$$;
CREATE TEMP TABLE compared (institution text, purpose text, subject_id bigint, category text, opened text, opened_by bigint, explained text, explained_by bigint);
INSERT INTO compared SELECT 'active', p, c.* FROM unnest('{pre_loan,in_loan,no_such}'::text[]) p,
    self_compare((SELECT array_agg(DISTINCT subject_id) || 560003000::bigint FROM wanted), p, '{tax_payment,social_insurance,administrative_penalty,no_such}') c;
SELECT credit.set_institution_status('self_bank', 'suspended');
INSERT INTO compared SELECT 'suspended', p, c.* FROM unnest('{pre_loan,no_such}'::text[]) p,
    self_compare((SELECT array_agg(DISTINCT subject_id) || 560003000::bigint FROM wanted), p, '{tax_payment,administrative_penalty,no_such}') c;
SELECT credit.set_institution_status('self_bank', 'active');
-- what this transaction wrote does not count
BEGIN;
UPDATE credit.consent SET legal_text = 'changed' WHERE subject_id BETWEEN 560001001 AND 560001010;
UPDATE credit.category SET public_by_law = true, public_basis = 'regress' WHERE code = 'social_insurance';
SAVEPOINT a;
SELECT credit.grant_consent(560003000, 'self_bank', '{tax_payment}', '{pre_loan}', '2020-01-01', '2100-01-01') > 0 AS granted;
INSERT INTO compared SELECT 'uncommitted', 'pre_loan', c.* FROM
    self_compare((SELECT array_agg(g::bigint) FROM generate_series(560001001, 560001020) g) || 560003000::bigint, 'pre_loan', '{tax_payment,social_insurance}') c;
SELECT opened, count(*), count(*) FILTER (WHERE opened IS DISTINCT FROM explained) AS differ FROM compared WHERE institution = 'uncommitted' GROUP BY 1 ORDER BY 1;
ROLLBACK;
-- what goes beyond its template since that was changed
BEGIN;
SELECT credit.set_consent_template('commercial_bank', 'pre_loan', kinds => '{standing}', most_uses => NULL);
INSERT INTO compared SELECT 'template', p, c.* FROM unnest('{pre_loan,in_loan}'::text[]) p,
    self_compare((SELECT array_agg(DISTINCT subject_id) || 560003000::bigint FROM wanted), p, '{tax_payment,administrative_penalty}') c;
SELECT count(*) > 0 AS beyond, count(*) FILTER (WHERE opened IS DISTINCT FROM explained) AS differ FROM compared WHERE institution = 'template' AND 'beyond_template' IN (opened, explained);
SELECT DISTINCT detail FROM compared m, credit._explain(m.subject_id, 'self_bank', 'pre_loan', '{tax_payment}', 'en') x
 WHERE m.institution = 'template' AND m.opened = 'beyond_template' AND x.condition = 'within_template';
SELECT count(*) AS differ FROM compared WHERE opened IS DISTINCT FROM explained;
ROLLBACK;
SELECT count(*) AS compared, count(DISTINCT opened) AS outcomes FROM compared;
SELECT opened, count(*) > 0 AS seen FROM compared GROUP BY 1 ORDER BY 1;
SELECT institution, purpose, category, opened, explained, count(*), (array_agg(subject_id ORDER BY subject_id))[1:3] AS subjects
  FROM compared WHERE opened IS DISTINCT FROM explained GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5;
-- and names the consent
SELECT count(*) FILTER (WHERE subject_id > 560002000) > 0 AS named, count(*) FILTER (WHERE opened_by IS DISTINCT FROM explained_by) AS wrongly FROM compared
 WHERE opened = 'granted' AND NOT EXISTS (
    -- of two that are alike either may be meant
    SELECT FROM credit.consent a, credit.consent b WHERE a.subject_id = compared.subject_id AND b.subject_id = a.subject_id
       AND a.consent_id < b.consent_id AND (a.use_limit IS NULL AND a.frequency_unit IS NULL) = (b.use_limit IS NULL AND b.frequency_unit IS NULL));

-- ------------------------------------------------------------------ an issuer that is revoked
SET ROLE self_regress_operator;
SELECT credit.revoke_issuer('regress_self'), credit.revoke_issuer('regress_self') AS again, self_try($$ SELECT credit.revoke_issuer('no_such') $$);
RESET ROLE;
SET ROLE self_regress_app;
SELECT self_try(format('SELECT credit.as_subject(%L)', :'t1'));
RESET ROLE;

DROP VIEW self_log;
DROP FUNCTION self_wait();
DROP FUNCTION self_try(text);
DROP FUNCTION self_compare(bigint[], text, text[]);
SET client_min_messages = warning;
DELETE FROM credit.rating WHERE subject_id IN (:s1, :s2);
SELECT credit.retire_model('self_regress', 1) IS NOT NULL AS retired;
DELETE FROM credit.record WHERE subject_id BETWEEN 560000000 AND 560003000;
DELETE FROM credit.consent WHERE subject_id BETWEEN 560000000 AND 560003000;
DELETE FROM credit.subject_attribute WHERE subject_id BETWEEN 560000000 AND 560003000;
DELETE FROM credit.subject WHERE subject_id BETWEEN 560000000 AND 560003000;
DELETE FROM credit.token_issuer WHERE code IN ('regress_self', 'self_default');
DELETE FROM credit.institution WHERE code = 'self_bank';
DROP ROLE self_regress_app, self_regress_other, self_regress_bank, self_regress_portal, self_regress_operator;
