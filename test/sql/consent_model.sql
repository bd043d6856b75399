-- What a consent can say, how it lives, how far it may go: attributes, lifecycle, templates, requests, papers.
-- The negative cases of ReBIT's certification are named by their numbers there.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE model_bank;
CREATE ROLE model_fund;
CREATE ROLE model_portal;
CREATE ROLE model_operator;
CREATE ROLE model_clerk1;
CREATE ROLE model_clerk2;
GRANT credit_institution TO model_bank, model_fund;
GRANT credit_portal TO model_portal, model_clerk1, model_clerk2;
GRANT credit_operator TO model_operator;
\set VERBOSITY terse

SELECT credit.register_institution('model_bank', '甲银行', 'Bank A', 'commercial_bank', 'model_bank') > 0 AS bank,
       credit.register_institution('model_fund', '担保公司', 'Guarantor', 'guarantee_company', 'model_fund') > 0 AS fund;
SELECT credit.register_subject(kind => 'village', code => 'model-1', name => '甲村') AS s1,
       credit.register_subject(kind => 'village', code => 'model-2', name => '乙村') AS s2 \gset
-- what is signed has the log's name in it
SELECT credit.checkpoint() <> '' AS named;
RESET client_min_messages;

-- What a statement says when it is refused: SQLSTATE, message, detail; ids left out.
CREATE FUNCTION model_try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
    detail text;
BEGIN
    EXECUTE statement INTO said;
    RETURN CASE WHEN said ~ '^\d+$' THEN 'a number' ELSE coalesce(said, 'null') END;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN rtrim(regexp_replace(format('%s %s: %s', SQLSTATE, SQLERRM, detail), '(consent|Consent|subject|request|key) \d+', '\1 N', 'g'), ': ');
END
$$;
-- A grant by s1 to the bank with some arguments more or others.
CREATE FUNCTION model_grant(more text, window_end text DEFAULT $$'2030-01-01+08'$$) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT credit.grant_consent((SELECT subject_id FROM model_subject), ''model_bank'', ''{tax_payment}'', ''{pre_loan}'',
                   ''2029-01-01+08'', %s%s)', window_end, CASE WHEN more = '' THEN '' ELSE ', ' || more END)
$$;
CREATE VIEW model_subject AS SELECT subject_id FROM credit.subject WHERE code = 'model-1';
CREATE FUNCTION model_wait() RETURNS bigint LANGUAGE plpgsql AS $$
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
GRANT SELECT ON model_subject TO model_portal, model_bank;
GRANT EXECUTE ON FUNCTION model_try(text), model_grant(text, text) TO PUBLIC;

-- ------------------------------------------------------------------ attributes

SET ROLE model_portal;
SELECT model_try(model_grant($$kind => 'one_time'$$)) AS one_time,
       model_try(model_grant($$kind => 'periodic', frequency_unit => 'month', frequency_count => 3, use_limit => 20$$)) AS periodic,
       model_try(model_grant($$data_from => '2026-01-01', data_to => '2029-01-01', data_life => '1 year 10 days',
                               language => 'en', legal_text => 'loan-2026-03'$$)) AS standing;
-- ReBIT 2006, 2011, 2012, 2013: bad span, range, life, frequency
SELECT n, model_try(model_grant(a)) FROM (VALUES
    (1, $$kind => 'forever'$$), (2, $$kind => NULL$$), (3, $$kind => 'one_time', use_limit => 2$$), (4, $$use_limit => 0$$),
    (5, $$kind => 'periodic'$$), (6, $$kind => 'periodic', frequency_unit => 'day'$$),
    (7, $$kind => 'periodic', frequency_unit => 'week', frequency_count => 1$$),
    (8, $$kind => 'periodic', frequency_unit => 'day', frequency_count => 0$$),
    (9, $$frequency_unit => 'day', frequency_count => 1$$), (10, $$kind => 'one_time', frequency_count => 1$$),
    (11, $$data_from => '2026-01-02', data_to => '2026-01-02'$$), (12, $$data_from => '2026-01-02', data_to => '2026-01-01'$$),
    (13, $$data_from => '-infinity'$$), (14, $$data_to => 'infinity'$$), (15, $$data_life => '-1 day'$$), (16, $$data_life => '36 hours'$$),
    (17, $$data_life => '1 month -1 day'$$), (18, $$language => 'fr'$$), (19, $$language => NULL$$), (20, $$legal_text => ''$$),
    (21, $$legal_text => E'a\nb'$$)) AS bad (n, a) ORDER BY n;
SELECT model_try(model_grant('', $$'2029-01-01+08'$$)) AS empty_span, model_try(model_grant('', $$'2028-01-01+08'$$)) AS backward_span;
SELECT model_try(model_grant('', $$'infinity'$$)) AS no_end;

SELECT row_number() OVER (ORDER BY consent_id) AS n, status, institution, institution_name, categories, purposes,
       valid_to - valid_from AS "window", kind, use_limit, frequency_unit, frequency_count
  FROM credit.consents(:s1);
SELECT row_number() OVER (ORDER BY consent_id) AS n, data_from, data_to, data_life, channel, language, legal_text, key_id, replaces, replaced_by
  FROM credit.consents(:s1);

-- ------------------------------------------------------------------ lifecycle

RESET ROLE;
SELECT model_wait() AS start \gset
SET ROLE model_portal;
SELECT credit.grant_consent(:s1, 'model_bank', '{tax_payment,social_insurance}', '{pre_loan,in_loan}', now() - interval '1 hour',
                            now() + interval '1 day', data_life => '30 days') AS c1,
       credit.grant_consent(:s1, 'model_bank', '{tax_payment}', '{pre_loan}', now() - interval '2 hours', now() - interval '1 hour') AS c2,
       credit.grant_consent(:s1, 'model_bank', '{tax_payment}', '{pre_loan}', now() + interval '2 hours', now() + interval '3 hours') AS c3 \gset
SELECT credit.pause_consent(:s1, :c1) AS paused, credit.pause_consent(:s1, :c1) AS paused_before;
SELECT status FROM credit.consents(:s1) WHERE consent_id = :c1;
-- ReBIT AA 5005: resume after pause
SELECT credit.resume_consent(:s1, :c1) AS resumed, credit.resume_consent(:s1, :c1) AS resumed_before;
-- expiry is by the clock, nothing has to sweep; ReBIT 3012: start two hours in the future, expired
SELECT consent_id - :c1 AS c, status FROM credit.consents(:s1) WHERE consent_id >= :c1 ORDER BY 1;
SELECT model_try(format('SELECT credit.pause_consent(%s, %s)', :s1, :c2)) AS pause_expired,
       model_try(format('SELECT credit.resume_consent(%s, %s)', :s1, :c2)) AS resume_expired;
SELECT credit.pause_consent(:s1, :c3) AS pause_not_started;
-- renewal: the same again for another window, a link, and the old one ends
SELECT credit.renew_consent(:s1, :c1, now(), now() + interval '2 days') AS c4 \gset
SELECT consent_id = :c1 AS old, status, categories, purposes, data_life, replaces = :c1 AS replaces, replaced_by = :c4 AS replaced
  FROM credit.consents(:s1) WHERE consent_id IN (:c1, :c4) ORDER BY consent_id;
-- replaced is final
SELECT model_try(format('SELECT credit.%s(%s, %s)', f, :s1, :c1)) AS replaced FROM unnest('{pause_consent,resume_consent,revoke_consent}'::text[]) f;
SELECT model_try(format('SELECT credit.renew_consent(%s, %s, now(), now() + interval ''1 day'')', :s1, :c1)) AS renew_replaced;
-- and so is revoked; a paused and an expired one can be taken back and renewed
SELECT credit.revoke_consent(:s1, :c3) AS revoked, credit.revoke_consent(:s1, :c3) AS revoked_before;
SELECT model_try(format('SELECT credit.%s(%s, %s)', f, :s1, :c3)) AS revoked FROM unnest('{pause_consent,resume_consent}'::text[]) f;
SELECT model_try(format('SELECT credit.renew_consent(%s, %s, now(), now() + interval ''1 day'')', :s1, :c3)) AS renew_revoked;
SELECT model_try(format('SELECT credit.renew_consent(%s, %s, now(), now() + interval ''1 day'')', :s1, :c2)) AS renew_expired;
-- of another subject
SELECT model_try(format('SELECT credit.%s(%s, %s)', f, :s2, :c4)) AS other
  FROM unnest('{pause_consent,resume_consent,revoke_consent,verify_consent,consent_receipt}'::text[]) f;
SELECT model_try(format('SELECT credit.renew_consent(%s, %s, now(), now() + interval ''1 day'')', :s2, :c4)) AS other;
RESET ROLE;
-- not by the owner's hand either
SELECT model_try(format('UPDATE credit.consent SET status = ''active'' WHERE consent_id = %s', :c1)) AS by_hand;
SELECT model_wait() > :start AS waited;
SELECT row_number() OVER (ORDER BY seq) AS n, operation, actor, jsonb_array_length(subjects) AS subjects, categories,
       e ->> 'consent_kind' AS consent_kind, e ->> 'data_life' AS life, e ? 'former' AS former, e ->> 'channel' AS channel
  FROM (SELECT *, entry::jsonb AS e FROM credit.audit_log WHERE seq > :start AND kind = 'consent') l ORDER BY seq;

-- ------------------------------------------------------------------ templates

SET ROLE model_operator;
SELECT credit.set_consent_template('*', '*', longest_window => '5 years');
SELECT credit.set_consent_template('*', 'pre_loan', longest_window => '1 year');
SELECT credit.set_consent_template('commercial_bank', '*', longest_window => '2 years');
SELECT credit.set_consent_template('commercial_bank', 'pre_loan', longest_window => '1 month', longest_range => '2 years', longest_life => '30 days',
                                   kinds => '{one_time,periodic}', most_per_day => 2, most_per_month => 20);
SELECT model_try(s) FROM unnest(ARRAY[
    $$SELECT credit.set_consent_template(NULL, '*')$$, $$SELECT credit.set_consent_template('no_such', '*')$$,
    $$SELECT credit.set_consent_template('*', 'no_such')$$, $$SELECT credit.set_consent_template('*', '*', longest_window => '0')$$,
    $$SELECT credit.set_consent_template('*', '*', kinds => '{forever}')$$, $$SELECT credit.set_consent_template('*', '*', kinds => '{}')$$,
    $$SELECT credit.set_consent_template('*', '*', most_per_day => 0)$$, $$SELECT credit.remove_consent_template('commercial_bank', 'post_loan')$$]) s;
RESET ROLE;
-- the specific beats the wildcard, the kind of institution beats the purpose
SELECT k, p, (credit._template_of(k, p)).institution_kind, (credit._template_of(k, p)).purpose
  FROM unnest('{commercial_bank,guarantee_company}'::text[]) k, unnest('{pre_loan,post_loan}'::text[]) p ORDER BY k, p;
SET ROLE model_portal;
CREATE TEMP VIEW model_within AS SELECT $$kind => 'periodic', frequency_unit => 'day', frequency_count => 2, data_from => '2027-01-01',
                                          data_to => '2029-01-01', data_life => '30 days'$$::text AS a;
SELECT model_try(model_grant(a, $$'2029-02-01+08'$$)) AS within FROM model_within;
SELECT n, model_try(model_grant(a, coalesce(w, $$'2029-02-01+08'$$))) FROM (
    SELECT 1 AS n, a, $$'2029-02-01 00:00:00.000001+08'$$ AS w FROM model_within
    UNION ALL SELECT 2, replace(a, '''2029-01-01''', '''2029-01-02'''), NULL FROM model_within
    UNION ALL SELECT 3, replace(a, 'data_from => ''2027-01-01'',', ''), NULL FROM model_within
    UNION ALL SELECT 4, replace(a, 'data_to => ''2029-01-01'',', ''), NULL FROM model_within
    UNION ALL SELECT 5, replace(a, '''30 days''', '''31 days'''), NULL FROM model_within
    UNION ALL SELECT 6, replace(a, '''30 days''', 'NULL'), NULL FROM model_within
    UNION ALL SELECT 7, replace(a, 'count => 2', 'count => 3'), NULL FROM model_within
    UNION ALL SELECT 8, replace(a, '''day''', '''hour'''), NULL FROM model_within
    UNION ALL SELECT 9, '', NULL) v ORDER BY n;
-- every purpose counts; a window is one in China, whatever the session's time zone
SELECT model_try($$SELECT credit.grant_consent((SELECT subject_id FROM model_subject), 'model_bank', '{tax_payment}', '{post_loan,in_loan}', '2029-01-01+08', '2031-01-01+08')$$) AS two_years,
       model_try($$SELECT credit.grant_consent((SELECT subject_id FROM model_subject), 'model_bank', '{tax_payment}', '{post_loan,pre_loan}', '2029-01-01+08', '2031-01-01+08')$$) AS two_purposes;
SET timezone = 'America/Los_Angeles';
SELECT model_try(model_grant(a, $$'2029-02-01+08'$$)) AS elsewhere FROM model_within;
RESET timezone;
-- nobody is asked to sign what goes beyond
SELECT model_try($$SELECT credit.consent_statement((SELECT subject_id FROM model_subject), 'model_bank', '{tax_payment}', '{pre_loan}', '2029-01-01+08', '2031-01-01+08')$$) AS statement;
-- a renewal is bound too
SELECT model_try(format('SELECT credit.renew_consent(%s, %s, now(), now() + interval ''3 years'')', :s1, :c4)) AS renewal;
RESET ROLE;
SET ROLE model_operator;
SELECT credit.set_consent_template('commercial_bank', 'pre_loan', most_uses => 5), credit.remove_consent_template('*', '*'),
       credit.remove_consent_template('*', 'pre_loan'), credit.remove_consent_template('commercial_bank', '*');
SELECT * FROM credit.consent_template;
SET ROLE model_portal;
SELECT model_try(model_grant($$use_limit => 5$$)) AS five, model_try(model_grant($$use_limit => 6$$)) AS six, model_try(model_grant('')) AS no_limit,
       model_try(model_grant($$kind => 'one_time'$$)) AS one_time;
RESET ROLE;

-- ------------------------------------------------------------------ requests

SELECT model_wait() AS start \gset
SET ROLE model_bank;
SELECT credit.request_consent(:s1, '{tax_payment,water_use}', '{pre_loan}', now(), now() + interval '1 year', use_limit => 3,
                              data_from => '2026-01-01', legal_text => 'loan-2026-03', reference => 'A-1') AS r1,
       credit.request_consent(:s1, '{tax_payment}', '{post_loan}', now(), now() + interval '1 year') AS r2,
       credit.request_consent(:s1, '{tax_payment}', '{post_loan}', now(), now() + interval '1 year', answer_within => '1 microsecond') AS r3,
       credit.request_consent(-1, '{tax_payment}', '{post_loan}', now(), now() + interval '1 year') AS r4,
       credit.request_consent(:s2, '{tax_payment}', '{post_loan}', now(), now() + interval '1 year') AS r5 \gset
-- ReBIT 2016: the same number again
SELECT model_try(format('SELECT credit.request_consent(%s, ''{tax_payment}'', ''{post_loan}'', now(), now() + interval ''1 year'', reference => ''A-1'')', s)) AS again
  FROM unnest(ARRAY[:s1, -1]) s;
-- not beyond the template, and the same for a subject that does not exist
SELECT model_try(format('SELECT credit.request_consent(%s, ''{tax_payment}'', ''{pre_loan}'', now(), now() + interval ''1 year'')', s)) AS beyond
  FROM unnest(ARRAY[:s1, -1]) s;
SELECT model_try(format('SELECT credit.request_consent(%s, %s)', :s1, a)) FROM unnest(ARRAY[
    $$'{tax_payment}', '{post_loan}', '2020-01-01+08', '2020-02-01+08'$$,
    $$'{tax_payment}', '{post_loan}', now(), now() + interval '1 day', answer_within => '0'$$,
    $$'{tax_payment}', '{post_loan}', now(), now() + interval '1 day', answer_within => '2 years'$$,
    $$'{tax_payment}', '{post_loan}', now(), now() + interval '1 day', reference => ''$$,
    $$'{no_such}', '{post_loan}', now(), now() + interval '1 day'$$]) a;
SELECT request_id - :r1 AS r, status, subject_id = :s1 AS s1, reference, categories, purposes, use_limit, data_from, legal_text, decided_at, consent_id
  FROM credit.my_requests() ORDER BY 1;
SELECT count(*) AS same_life FROM credit.my_requests() WHERE request_id IN (:r4, :r5) AND expires_at - requested_at BETWEEN '29 days' AND '31 days' AND status = 'pending';
-- others: another institution, none, a suspended one
SET ROLE model_fund;
SELECT count(*) AS of_others FROM credit.my_requests();
SELECT model_try(format('SELECT credit.withdraw_request(%s)', :r1)) AS withdraw;
RESET ROLE;
SELECT credit.set_institution_status('model_fund', 'suspended');
SET ROLE model_fund;
SELECT model_try(format('SELECT credit.request_consent(%s, ''{tax_payment}'', ''{post_loan}'', now(), now() + interval ''1 year'')', :s1)) AS suspended;
RESET ROLE;
SELECT credit.set_institution_status('model_fund', 'active');
CREATE ROLE model_nobody IN ROLE credit_institution;
SET ROLE model_nobody;
SELECT model_try(format('SELECT credit.request_consent(%s, ''{tax_payment}'', ''{post_loan}'', now(), now() + interval ''1 year'')', :s1)) AS no_institution;
RESET ROLE;
DROP ROLE model_nobody;
-- the subject answers, once
SET ROLE model_portal;
SELECT request_id - :r1 AS r, status, institution, institution_name, categories, purposes, channel, requested_by FROM credit.consent_requests(:s1) ORDER BY 1;
SELECT credit.decide_consent(:s1, :r1, true) AS c5 \gset
SELECT credit.decide_consent(:s1, :r2, false) IS NULL AS rejected;
SELECT model_try(format('SELECT credit.decide_consent(%s, %s, %s)', s, r, a)) AS decided FROM (VALUES
    (:s1, :r1, 'true'), (:s1, :r1, 'false'), (:s1, :r2, 'true'), (:s1, :r3, 'true'), (:s1, :r4, 'true'), (-1, :r4, 'true'), (:s1, :r5, 'true'),
    (:s2, :r5, 'NULL')) v(s, r, a);
SET ROLE model_bank;
SELECT credit.withdraw_request(:r4), credit.withdraw_request(:r5);
SELECT model_try(format('SELECT credit.withdraw_request(%s)', r)) AS withdraw FROM unnest(ARRAY[:r5, :r1, :r3]) r;
SELECT request_id - :r1 AS r, status, decided_at IS NOT NULL AS decided, consent_id = :c5 AS consent FROM credit.my_requests() ORDER BY 1;
SELECT model_try(format('SELECT count(*) FROM credit.open_access(%s::bigint, ''pre_loan'', ''{water_use}'')', :s1)) AS may_now;
SET ROLE model_portal;
SELECT model_try(format('SELECT credit.decide_consent(%s, %s, true)', :s2, :r5)) AS withdrawn;
SELECT uses, last_used BETWEEN granted_at AND clock_timestamp() AS just_now FROM credit.consents(:s1) WHERE consent_id IN (:c4, :c5) ORDER BY consent_id;
SELECT status, kind, use_limit, data_from, legal_text, categories FROM credit.consents(:s1) WHERE consent_id = :c5;
RESET ROLE;
SELECT model_wait() > :start AS waited;
SELECT row_number() OVER (ORDER BY seq) AS n, kind, operation, actor, institution, coalesce(jsonb_array_length(subjects), 0) AS subjects,
       consents IS NOT NULL AS consents
  FROM credit.audit_log WHERE seq > :start AND kind IN ('consent', 'consent_request') ORDER BY seq;

-- ------------------------------------------------------------------ papers

SET ROLE model_operator;
SELECT credit.remove_consent_template('commercial_bank', 'pre_loan');
RESET ROLE;
SET SESSION AUTHORIZATION model_clerk1;
SELECT credit.enter_paper_consent(:s1, 'model_bank', sha256('paper 1'), '{tax_payment}', '{pre_loan}', now(), now() + interval '1 year') AS p1,
       credit.enter_paper_consent(:s1, 'model_bank', sha256('paper 2'), '{tax_payment}', '{pre_loan}', now(), now() + interval '1 year') AS p2 \gset
SELECT model_try(format('SELECT credit.enter_paper_consent(%s, ''model_bank'', %s, ''{tax_payment}'', ''{pre_loan}'', now(), now() + interval ''1 year'')', s, d)) AS enter
  FROM (VALUES (:s1, $$sha256('paper 1')$$), (:s1, 'NULL'), (:s1, $$'\x00'$$), (-1, $$sha256('paper 3')$$)) v(s, d);
SELECT model_try(format('SELECT credit.confirm_paper_consent(%s, %s, sha256(''paper 1''))', :s1, :p1)) AS alone;
SELECT model_try(format('SELECT credit.decide_consent(%s, %s, true)', :s1, :p1)) AS as_request;
SET SESSION AUTHORIZATION model_clerk2;
SELECT model_try(format('SELECT credit.confirm_paper_consent(%s, %s, sha256(''paper 2''))', :s1, :p1)) AS another_paper,
       model_try(format('SELECT credit.confirm_paper_consent(%s, %s, sha256(''paper 1''))', :s2, :p1)) AS another_subject,
       model_try(format('SELECT credit.confirm_paper_consent(%s, %s, sha256(''paper 1''))', :s1, :r2)) AS a_request;
SELECT credit.confirm_paper_consent(:s1, :p1, sha256('paper 1')) AS c6 \gset
SELECT credit.confirm_paper_consent(:s1, :p2, NULL, false) IS NULL AS rejected;
SELECT model_try(format('SELECT credit.confirm_paper_consent(%s, %s, sha256(''paper 1''))', :s1, :p1)) AS again;
SELECT status, channel, key_id FROM credit.consents(:s1) WHERE consent_id = :c6;
SELECT * FROM credit.verify_consent(:s1, :c6);
RESET SESSION AUTHORIZATION;
SELECT granted_by, approved_by, document_digest = sha256('paper 1') AS digest FROM credit.consent WHERE consent_id = :c6;
-- a rejected paper may come again; neither its digest nor a word that is no code is in an entry
SET SESSION AUTHORIZATION model_clerk2;
SELECT model_try(format('SELECT credit.enter_paper_consent(%s, ''model_bank'', sha256(''paper 2''), ''{tax_payment}'', ''{pre_loan}'', now(), now() + interval ''1 year'')', :s1)) AS again;
RESET SESSION AUTHORIZATION;
-- and so may one that nobody confirmed in time
UPDATE credit.consent_request SET expires_at = requested_at WHERE document_digest = sha256('paper 2') AND status = 'pending';
SET SESSION AUTHORIZATION model_clerk2;
SELECT model_try(format('SELECT credit.enter_paper_consent(%s, ''model_bank'', sha256(''paper 2''), ''{tax_payment}'', ''{pre_loan}'', now(), now() + interval ''1 year'')', :s2)) AS in_time,
       model_try(format('SELECT credit.enter_paper_consent(%s, ''model_bank'', sha256(''paper 2''), ''{tax_payment}'', ''{pre_loan}'', now(), now() + interval ''1 year'')', :s1)) AS other_subject;
SELECT status, count(*) FROM credit.consent_requests(:s1) WHERE channel = 'paper' GROUP BY 1 ORDER BY 1;
RESET SESSION AUTHORIZATION;
SELECT model_wait() > :start AS waited;
SELECT count(*) FROM credit.audit_log
 WHERE seq > :start AND (strpos(entry, encode(sha256('paper 1'), 'hex')) > 0 OR strpos(entry, 'loan-2026-03') > 0 OR strpos(entry, 'A-1') > 0);
SELECT operation, actor, session_user_name, entry::jsonb ->> 'channel' AS channel FROM credit.audit_log
 WHERE seq > :start AND kind IN ('consent', 'consent_request') AND entry::jsonb ->> 'channel' = 'paper' AND operation <> 'change' ORDER BY seq;

-- ------------------------------------------------------------------ what is configured is recorded, who may not

SELECT model_wait() AS start \gset
SET ROLE model_operator;
SELECT credit.set_consent_template('*', '*', longest_window => '5 years'), credit.remove_consent_template('*', '*');
RESET ROLE;
SELECT model_wait() > :start AS waited;
SELECT operation, table_name, actor FROM credit.audit_log WHERE seq > :start AND kind = 'write' ORDER BY seq;
SET ROLE model_bank;
SELECT model_try(s) FROM unnest(ARRAY[$$SELECT credit.consents(1)$$, $$SELECT credit.consent_requests(1)$$, $$SELECT credit.decide_consent(1, 1, true)$$,
    $$SELECT credit.pause_consent(1, 1)$$, $$SELECT credit.set_consent_template('*', '*')$$, $$SELECT count(*) FROM credit.consent_request$$]) s;
SET ROLE model_portal;
SELECT model_try(s) FROM unnest(ARRAY[$$SELECT credit.my_requests()$$, $$SELECT credit.set_consent_policy(true)$$, $$SELECT credit._platform_sign('')$$]) s;
RESET ROLE;

-- ------------------------------------------------------------------ erasure takes requests too

SELECT credit.erase_subject(:s1) AS erased, credit.erase_subject(:s1) AS erased_before;
SELECT (SELECT count(*) FROM credit.consent WHERE subject_id = :s1) AS consents,
       (SELECT count(*) FROM credit.consent_signature WHERE subject_id = :s1) AS signatures,
       (SELECT count(*) FROM credit.consent_request WHERE asked_subject = :s1) AS requests;

DROP VIEW model_within;
DROP VIEW model_subject;
DROP FUNCTION model_try(text);
DROP FUNCTION model_grant(text, text);
DROP FUNCTION model_wait();
DELETE FROM credit.consent_request WHERE asked_subject IN (:s1, :s2, -1);
DELETE FROM credit.consent WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.subject_attribute WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.subject WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.institution WHERE code LIKE 'model_%';
DROP ROLE model_bank, model_fund, model_portal, model_operator, model_clerk1, model_clerk2;
