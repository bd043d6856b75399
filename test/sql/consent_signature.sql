-- Signed consents: keys, statements, what is refused, verification at any later time, receipts. Signatures of two keys,
-- and checks by a program without a server, are in test/t/050_consent_signature.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE sign_bank;
CREATE ROLE sign_other;
CREATE ROLE sign_portal;
CREATE ROLE sign_clerk;
GRANT credit_institution TO sign_bank, sign_other;
GRANT credit_portal TO sign_portal, sign_clerk;
\set VERBOSITY terse

SELECT credit.register_institution('sign_bank', '甲银行', 'Bank A', 'commercial_bank', 'sign_bank') > 0 AS bank,
       credit.register_institution('sign_other', '乙银行', 'Bank B', 'commercial_bank', 'sign_other') > 0 AS other;
SELECT credit.register_subject(kind => 'village', code => 'sign-1', name => '甲村') AS s1,
       credit.register_subject(kind => 'village', code => 'sign-2', name => '乙村') AS s2 \gset
SELECT credit.checkpoint() <> '' AS named;
RESET client_min_messages;

CREATE FUNCTION sign_try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
    detail text;
BEGIN
    EXECUTE statement INTO said;
    RETURN CASE WHEN said ~ '^\d+$' THEN 'a number' ELSE coalesce(said, 'null') END;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN rtrim(regexp_replace(format('%s %s: %s', SQLSTATE, SQLERRM, detail), '(consent|subject|request|key) -?\d+', '\1 N', 'gi'), ': ');
END
$$;
-- A subject that has the platform's key for its own: so this file can sign what a subject would.
CREATE FUNCTION sign_by_subject(message text) RETURNS bytea LANGUAGE sql SECURITY DEFINER AS $$
    SELECT credit._platform_sign(convert_to(message, 'UTF8')) $$;
-- A statement with other members, in canonical form.
CREATE FUNCTION sign_changed(statement text, change jsonb) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
    SELECT credit._canonical_json(jsonb_strip_nulls(statement::jsonb || change)) $$;
CREATE FUNCTION sign_moved(statement text, by interval) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
    SELECT credit._canonical_json(statement::jsonb
        || jsonb_build_object('created', credit._utc((statement::jsonb ->> 'created')::timestamptz + by))) $$;
CREATE FUNCTION sign_wait() RETURNS bigint LANGUAGE plpgsql AS $$
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
SELECT sign_wait() AS start \gset

-- ------------------------------------------------------------------ keys

SET SESSION AUTHORIZATION sign_portal;
SELECT credit.platform_key() AS key \gset
SELECT credit.key_statement(:s1, :'key') AS st \gset
SELECT st::jsonb - '{created,public_key,subject,platform}'::text[] AS members, st::jsonb ? 'platform' AS platform,
       st::jsonb ->> 'subject' = :'s1' AS subject, st::jsonb ->> 'public_key' = encode(:'key', 'hex') AS key FROM (SELECT :'st'::text AS st) x;
-- whoever enrols a key must have it, and no statement of another key, subject or time will do
SELECT sign_try(format('SELECT credit.enroll_key(%s, %L, %L, %L)', s, k, st, p)) AS refused FROM (VALUES
    (1, :s1, :'key'::bytea, :'st', set_byte(sign_by_subject(:'st'), 63, 255)),
    (2, :s2, :'key', :'st', sign_by_subject(:'st')),
    (3, :s1, sha256('x'), :'st', sign_by_subject(:'st')),
    (4, :s1, :'key', sign_moved(:'st', '-16 minutes'), sign_by_subject(sign_moved(:'st', '-16 minutes'))),
    (5, :s1, :'key', sign_moved(:'st', '16 minutes'), sign_by_subject(sign_moved(:'st', '16 minutes'))),
    (6, :s1, :'key', sign_changed(:'st', '{"platform": "elsewhere.example"}'), sign_by_subject(sign_changed(:'st', '{"platform": "elsewhere.example"}'))),
    (7, :s1, :'key', :'st' || ' ', sign_by_subject(:'st' || ' ')),
    (8, :s1, :'key', 'not json', sign_by_subject('not json')),
    (9, :s1, :'key', '[]', sign_by_subject('[]')),
    (10, -1, :'key', :'st', sign_by_subject(:'st')),
    (11, :s1, :'key', NULL, sign_by_subject(:'st'))) v(n, s, k, st, p) ORDER BY n;
SELECT credit.enroll_key(:s1, :'key', :'st', sign_by_subject(:'st')) AS k1 \gset
SELECT status, public_key = :'key' AS key, endorsed_by, confirmed_at IS NOT NULL AS confirmed FROM credit.subject_keys(:s1);
SELECT sign_try(format('SELECT credit.enroll_key(%s, %L, %L, %L)', :s1, :'key'::bytea, :'st', sign_by_subject(:'st'))) AS again;

-- ------------------------------------------------------------------ statements

SELECT credit.consent_statement(:s1, 'sign_bank', '{social_insurance,tax_payment}', '{pre_loan}', '2026-01-01 08:00+08', '2030-01-01 08:00+08',
                                kind => 'periodic', frequency_unit => 'month', frequency_count => 2, data_from => '2025-01-01',
                                data_life => '1 year 2 months 3 days', legal_text => '贷款授权书-2026-03') AS st \gset
-- canonical: members in order, no spaces, instants in UTC, whatever the session's settings are
SELECT regexp_replace(regexp_replace(:'st', '"(created|nonce|platform)":"[^"]+"', '"\1":"…"', 'g'), '"subject":"\d+"', '"subject":"…"') AS statement;
SET timezone = 'Asia/Kathmandu';
SET datestyle = 'German';
SET intervalstyle = 'sql_standard';
SELECT credit.consent_statement(:s1, 'sign_bank', '{tax_payment,social_insurance,tax_payment}', '{pre_loan,pre_loan}', '2026-01-01 00:00Z', '2030-01-01 00:00Z',
                                kind => 'periodic', frequency_unit => 'month', frequency_count => 2, data_from => '2025-01-01',
                                data_life => '14 months 3 days', legal_text => '贷款授权书-2026-03')::jsonb - '{created,nonce}'::text[]
       = :'st'::jsonb - '{created,nonce}'::text[] AS same_text;
RESET timezone;
RESET datestyle;
RESET intervalstyle;
SELECT length(:'st'::jsonb ->> 'nonce') AS digits, :'st'::jsonb ->> 'nonce' <> (credit.consent_statement(:s1, 'sign_bank', '{tax_payment}', '{pre_loan}', now(),
    now() + interval '1 day')::jsonb ->> 'nonce') AS another;

-- ------------------------------------------------------------------ grants

CREATE FUNCTION pg_temp.grant_signed(statement text, signature bytea, key_id bigint, subject_id bigint, others text DEFAULT '') RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT credit.grant_consent(%s, ''sign_bank'', ''{tax_payment,social_insurance}'', ''{pre_loan}'', ''2026-01-01 08:00+08'', ''2030-01-01 08:00+08'',
                   kind => ''periodic'', frequency_unit => ''month'', frequency_count => 2, data_from => ''2025-01-01'', data_life => ''14 months 3 days'',
                   legal_text => ''贷款授权书-2026-03'', key_id => %L, statement => %L, signature => %L)', subject_id, key_id, statement, signature) $$;
-- ReBIT 2014: bad signature; 2005: made in the future; 3023: signature and consent do not belong together
SELECT n, sign_try(pg_temp.grant_signed(st, p, k, s)) AS refused FROM (VALUES
    (1, :'st', set_byte(sign_by_subject(:'st'), 63, 255), :k1, :s1),
    (2, :'st', '\x00', :k1, :s1),
    (3, :'st', NULL::bytea, :k1, :s1),
    (4, NULL, sign_by_subject(:'st'), :k1, :s1),
    (5, :'st', sign_by_subject(:'st'), NULL, :s1),
    (6, :'st', sign_by_subject(:'st'), -1, :s1),
    (7, :'st', sign_by_subject(:'st'), :k1, :s2),
    (8, sign_moved(:'st', '16 minutes'), sign_by_subject(sign_moved(:'st', '16 minutes')), :k1, :s1),
    (9, sign_moved(:'st', '-16 minutes'), sign_by_subject(sign_moved(:'st', '-16 minutes')), :k1, :s1),
    (10, sign_changed(:'st', '{"institution": "sign_other"}'), sign_by_subject(sign_changed(:'st', '{"institution": "sign_other"}')), :k1, :s1),
    (11, sign_changed(:'st', '{"valid_to": "2031-01-01T00:00:00.000000Z", "purposes": ["in_loan"]}'),
         sign_by_subject(sign_changed(:'st', '{"valid_to": "2031-01-01T00:00:00.000000Z", "purposes": ["in_loan"]}')), :k1, :s1),
    (12, sign_changed(:'st', '{"platform": "elsewhere.example"}'), sign_by_subject(sign_changed(:'st', '{"platform": "elsewhere.example"}')), :k1, :s1),
    (13, sign_changed(:'st', '{"more": 1}'), sign_by_subject(sign_changed(:'st', '{"more": 1}')), :k1, :s1),
    (14, sign_changed(:'st', '{"nonce": "00"}'), sign_by_subject(sign_changed(:'st', '{"nonce": "00"}')), :k1, :s1),
    (15, sign_changed(:'st', '{"nonce": "xy"}'), sign_by_subject(sign_changed(:'st', '{"nonce": "xy"}')), :k1, :s1),
    (16, sign_changed(:'st', '{"type": "pgcredit subject key 1"}'), sign_by_subject(sign_changed(:'st', '{"type": "pgcredit subject key 1"}')), :k1, :s1),
    (17, :'st' || E'\n', sign_by_subject(:'st' || E'\n'), :k1, :s1),
    (18, credit.key_statement(:s1, :'key'), sign_by_subject(credit.key_statement(:s1, :'key')), :k1, :s1),
    (19, sign_changed(:'st', '{"created": "now"}'), sign_by_subject(sign_changed(:'st', '{"created": "now"}')), :k1, :s1),
    (20, sign_changed(:'st', '{"created": null}'), sign_by_subject(sign_changed(:'st', '{"created": null}')), :k1, :s1)) v(n, st, p, k, s) ORDER BY n;
SELECT sign_try(pg_temp.grant_signed(:'st', sign_by_subject(:'st'), :k1, :s1)) AS granted;
-- ReBIT 2016: the same signature again
SELECT sign_try(pg_temp.grant_signed(:'st', sign_by_subject(:'st'), :k1, :s1)) AS replayed;
SELECT consent_id AS c1 FROM credit.consents(:s1) \gset
SELECT valid, fault, regexp_replace(detail, '\d+', 'N') AS detail FROM credit.verify_consent(:s1, :c1);
SELECT sign_try(pg_temp.grant_signed(NULL, NULL, NULL, :s1)) AS unsigned;
SELECT max(consent_id) AS c2 FROM credit.consents(:s1) \gset
SELECT * FROM credit.verify_consent(:s1, :c2);
-- taken back, a signature still serves no other consent
SELECT credit.revoke_consent(:s1, :c1);
SELECT sign_try(pg_temp.grant_signed(:'st', sign_by_subject(:'st'), :k1, :s1)) AS replayed_after;
SELECT valid FROM credit.verify_consent(:s1, :c1);

-- renewal and approval are signed the same way, each by a statement of its own
SELECT credit.renewal_statement(:s1, :c2, '2026-02-01', '2031-02-01') AS st2 \gset
SELECT :'st2'::jsonb ->> 'former' = :'c2' AS former;
SELECT sign_try(format('SELECT credit.renew_consent(%s, %s, ''2026-02-01'', ''2032-02-01'', %s, %L, %L)', :s1, :c2, :k1, :'st2', sign_by_subject(:'st2'))) AS other_window;
SELECT credit.renew_consent(:s1, :c2, '2026-02-01', '2031-02-01', :k1, :'st2', sign_by_subject(:'st2')) AS c3 \gset
SELECT valid FROM credit.verify_consent(:s1, :c3);
SET SESSION AUTHORIZATION sign_bank;
SELECT credit.request_consent(:s1, '{tax_payment}', '{in_loan}', '2026-01-01', '2030-01-01') AS r1,
       credit.request_consent(:s1, '{tax_payment}', '{post_loan}', '2026-01-01', '2030-01-01') AS r2 \gset
SET SESSION AUTHORIZATION sign_portal;
SELECT credit.request_statement(:s1, :r1) AS st3 \gset
SELECT sign_try(format('SELECT credit.decide_consent(%s, %s, true, %s, %L, %L)', :s1, :r2, :k1, :'st3', sign_by_subject(:'st3'))) AS other_request;
SELECT credit.decide_consent(:s1, :r1, true, :k1, :'st3', sign_by_subject(:'st3')) AS c4 \gset
SELECT valid FROM credit.verify_consent(:s1, :c4);

-- ------------------------------------------------------------------ what changed afterwards is told

RESET SESSION AUTHORIZATION;
CREATE FUNCTION pg_temp.told(subject bigint, consent bigint, VARIADIC changes text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    change text;
    v record;
BEGIN
    BEGIN
        FOREACH change IN ARRAY changes LOOP
            EXECUTE change USING subject, consent;
        END LOOP;
        SELECT * INTO v FROM credit.verify_consent(subject, consent);
        RAISE EXCEPTION 'undo' USING ERRCODE = 'P0099';
    EXCEPTION WHEN SQLSTATE 'P0099' THEN
        RETURN format('%s %s: %s', v.valid, v.fault, regexp_replace(regexp_replace(v.detail, '\d{4}-\d\d-\d\dT[0-9:.]+Z', 'then', 'g'), 'key \d+', 'key N', 'i'));
    END;
END
$$;
SELECT n, pg_temp.told(:s1, :c4, c) FROM (VALUES
    (1, 'UPDATE credit.consent SET valid_to = valid_to + interval ''1 microsecond'' WHERE (subject_id, consent_id) = ($1, $2)'),
    (2, 'UPDATE credit.consent SET categories = categories || 1::smallint, purposes = ''{pre_loan}'' WHERE (subject_id, consent_id) = ($1, $2)'),
    (3, 'UPDATE credit.consent SET institution_id = (SELECT institution_id FROM credit.institution WHERE code = ''sign_other'') WHERE (subject_id, consent_id) = ($1, $2)'),
    (4, 'UPDATE credit.consent SET use_limit = 9, data_from = ''2020-01-01'', data_to = ''2029-01-01'', data_life = ''1 day'', language = ''en'', legal_text = ''x'', replaces = 1 WHERE (subject_id, consent_id) = ($1, $2)'),
    (5, 'UPDATE credit.consent SET kind = ''one_time'', use_limit = 1 WHERE (subject_id, consent_id) = ($1, $2)'),
    (6, 'UPDATE credit.consent SET key_id = NULL WHERE (subject_id, consent_id) = ($1, $2)'),
    (7, 'UPDATE credit.consent SET channel = ''paper'', document_digest = sha256(''x'') WHERE (subject_id, consent_id) = ($1, $2)'),
    (8, 'UPDATE credit.consent SET granted_at = granted_at - interval ''16 minutes'' WHERE (subject_id, consent_id) = ($1, $2)'),
    (9, 'DELETE FROM credit.consent_signature WHERE (subject_id, consent_id) = ($1, $2)'),
    (10, 'UPDATE credit.consent_signature SET signature = set_byte(signature, 0, get_byte(signature, 0) # 1) WHERE (subject_id, consent_id) = ($1, $2)'),
    (11, 'UPDATE credit.consent_signature SET statement = replace(statement, ''in_loan'', ''on_loan'') WHERE (subject_id, consent_id) = ($1, $2)'),
    (12, 'UPDATE credit.consent_signature SET nonce = sha256(nonce) WHERE (subject_id, consent_id) = ($1, $2)'),
    (13, 'UPDATE credit.subject_key SET public_key = sha256(''x'') WHERE subject_id = $1 AND $2 > 0'),
    (14, 'UPDATE credit.subject_key SET revoked_at = enrolled_at, revoked_by = ''x'', reason = ''stolen'' WHERE subject_id = $1 AND $2 > 0'),
    (15, 'UPDATE credit.subject_key SET revoked_at = clock_timestamp(), revoked_by = ''x'', reason = ''lost'' WHERE subject_id = $1 AND $2 > 0'),
    (16, 'UPDATE credit.consent SET status = ''paused'' WHERE (subject_id, consent_id) = ($1, $2)')) v(n, c) ORDER BY n;
-- a row that was signed for another consent does not become this one's
SELECT pg_temp.told(:s1, :c4, 'DELETE FROM credit.consent_signature WHERE (subject_id, consent_id) = ($1, $2)',
    format('UPDATE credit.consent_signature SET consent_id = $2 WHERE subject_id = $1 AND consent_id = %s', :c3)) AS swapped;
-- the platform's own, by a key that it does not have
SELECT pg_temp.told(:s1, :c4, 'UPDATE credit.consent_signature SET key_id = NULL, platform_key = sha256(''x'') WHERE (subject_id, consent_id) = ($1, $2)') AS other_platform_key;

-- ------------------------------------------------------------------ policy

SELECT credit.set_consent_policy(false);
SET SESSION AUTHORIZATION sign_portal;
SELECT sign_try(pg_temp.grant_signed(NULL, NULL, NULL, :s1)) AS unsigned_grant,
       sign_try(format('SELECT credit.decide_consent(%s, %s, true)', :s1, :r2)) AS unsigned_approval,
       sign_try(format('SELECT credit.renew_consent(%s, %s, ''2026-02-01'', ''2031-02-01'')', :s1, :c3)) AS unsigned_renewal;
SELECT credit.consent_statement(:s1, 'sign_bank', '{tax_payment}', '{pre_loan}', '2026-01-01', '2030-01-01') AS st4 \gset
SELECT sign_try(format('SELECT credit.grant_consent(%s, ''sign_bank'', ''{tax_payment}'', ''{pre_loan}'', ''2026-01-01'', ''2030-01-01'', key_id => %s, statement => %L, signature => %L)',
                       :s1, :k1, :'st4', sign_by_subject(:'st4'))) AS signed;
RESET SESSION AUTHORIZATION;
SELECT credit.set_consent_policy(true), sign_try('SELECT credit.set_consent_policy(NULL)');

-- ------------------------------------------------------------------ receipts

SET SESSION AUTHORIZATION sign_portal;
SELECT credit.consent_receipt(:s1, :c4) AS receipt \gset
SELECT jsonb_pretty(:'receipt'::jsonb - '{signature,statement,statementSignature,statementKey,publicKey,consentTimestamp,consentReceiptID,recordId,eventTime,piiPrincipalId,services}'::text[]) AS receipt;
SELECT r #- '{services,0,service}' -> 'services' AS services, r ? 'statement' AS statement, r ->> 'recordId' = :'c4' AS record, r ->> 'piiPrincipalId' = :'s1' AS principal,
       r ->> 'consentReceiptID' ~ ('^' || :'s1' || '-' || :'c4' || '@.') AS id FROM (SELECT :'receipt'::jsonb AS r) x;
SELECT credit.verify_receipt(:'receipt') AS ours, credit.verify_receipt(:'receipt'::jsonb || '{"eventState": "revoked"}') AS changed,
       credit.verify_receipt(:'receipt'::jsonb - 'sensitive') AS less, credit.verify_receipt(:'receipt'::jsonb || '{"more": 1}') AS more,
       credit.verify_receipt(:'receipt'::jsonb - 'signature') AS unsigned, credit.verify_receipt(:'receipt'::jsonb || '{"signature": "zz"}') AS no_digits,
       credit.verify_receipt(:'receipt'::jsonb || '{"more": 1e999}') AS no_number, credit.verify_receipt('[]') AS no_object,
       credit.verify_receipt(:'receipt'::jsonb || jsonb_build_object('publicKey', repeat('00', 32))) AS other_key;
SELECT credit.revoke_consent(:s1, :c4);
SELECT credit.consent_receipt(:s1, :c4) ->> 'eventState' AS state;

-- ------------------------------------------------------------------ lost keys

SELECT credit.key_statement(:s1, :'key') AS st5 \gset
SELECT sign_try(format('SELECT credit.revoke_key(%s, %s, %L)', :s1, k, r)) AS refused FROM (VALUES (:k1, ''), (:k1, NULL), (-1, 'lost')) v(k, r);
SELECT sign_try(format('SELECT credit.revoke_key(%s, %s, ''lost'', clock_timestamp() + interval ''1 day'')', :s1, :k1)) ~ '^22023 .*since: ' AS in_future;
SELECT credit.revoke_key(:s1, :k1, 'lost') AS revoked, credit.revoke_key(:s1, :k1, 'lost') AS revoked_before;
SELECT credit.consent_statement(:s1, 'sign_bank', '{tax_payment}', '{pre_loan}', '2026-01-01', '2030-01-01') AS st6 \gset
SELECT sign_try(format('SELECT credit.grant_consent(%s, ''sign_bank'', ''{tax_payment}'', ''{pre_loan}'', ''2026-01-01'', ''2030-01-01'', key_id => %s, statement => %L, signature => %L)',
                       :s1, :k1, :'st6', sign_by_subject(:'st6'))) AS revoked_key;
SELECT sign_try(format('SELECT credit.enroll_key(%s, %L, %L, %L)', :s1, :'key'::bytea, :'st5', sign_by_subject(:'st5'))) AS comes_not_back,
       sign_try(format('SELECT credit.confirm_key(%s, %s)', :s1, :k1)) AS nothing_to_confirm, sign_try(format('SELECT credit.confirm_key(%s, -1)', :s1)) AS no_key;
-- what it had signed stays signed
SELECT row_number() OVER (ORDER BY consent_id) AS n, v.valid, v.fault FROM credit.consents(:s1), credit.verify_consent(:s1, consent_id) v;
RESET SESSION AUTHORIZATION;

-- ------------------------------------------------------------------ the log

SELECT sign_wait() > :start AS waited;
SELECT kind, operation, session_user_name, jsonb_array_length(subjects) AS subjects, (entry::jsonb ->> 'key')::bigint = :k1 AS key
  FROM credit.audit_log WHERE seq > :start AND (kind = 'subject_key' OR entry::jsonb ? 'key') ORDER BY seq;
SELECT count(*) AS signatures FROM credit.audit_log WHERE seq > :start AND (kind, operation, table_name) = ('write', 'INSERT', 'consent_signature');
-- no key, no signature, nothing that was signed is in an entry
SELECT count(*) FROM credit.audit_log
 WHERE seq > :start AND (strpos(entry, encode(:'key'::bytea, 'hex')) > 0 OR strpos(entry, :'st'::jsonb ->> 'nonce') > 0 OR strpos(entry, encode(sign_by_subject(:'st'), 'hex')) > 0);

-- ------------------------------------------------------------------ erasure

SELECT credit.erase_subject(:s1) AS erased, credit.erase_subject(:s1) AS erased_before;
SELECT (SELECT count(*) FROM credit.subject_key WHERE subject_id = :s1) AS keys, (SELECT count(*) FROM credit.consent_signature WHERE subject_id = :s1) AS signatures,
       (SELECT count(*) FROM credit.consent WHERE subject_id = :s1) AS consents, (SELECT count(*) FROM credit.consent_request WHERE subject_id = :s1) AS requests;

DELETE FROM credit.consent_policy;
DROP FUNCTION pg_temp.grant_signed(text, bytea, bigint, bigint, text);
DROP FUNCTION sign_try(text);
DROP FUNCTION sign_by_subject(text);
DROP FUNCTION sign_changed(text, jsonb);
DROP FUNCTION sign_moved(text, interval);
DROP FUNCTION sign_wait();
DELETE FROM credit.subject_attribute WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.subject WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.institution WHERE code LIKE 'sign_%';
DROP ROLE sign_bank, sign_other, sign_portal, sign_clerk;
