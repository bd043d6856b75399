-- What binds an access besides the window: the consent's status, its template as it is now, how often it was used, the days
-- that it is for. Cases of the account aggregators' certification are named by their numbers.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE bound_bank;
CREATE ROLE bound_portal;
GRANT credit_institution TO bound_bank;
GRANT credit_portal TO bound_portal;
SELECT credit.register_institution('bound_bank', '甲银行', 'Bank A', 'commercial_bank', 'bound_bank') > 0 AS bank;
SELECT credit.register_subject(kind => 'village', code => 'bound-1', name => '甲村') AS s \gset
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT :s, c.category_id, 1, DATE '2026-03-01' + n, 'neutral', n::text, '{}', 0
  FROM credit.category c, generate_series(0, 9) n WHERE c.code IN ('tax_payment', 'social_insurance');
CREATE FUNCTION bound_try(subject bigint, categories text[] DEFAULT '{tax_payment}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
    state text;
    detail text;
BEGIN
    SELECT count(*) INTO n FROM credit.read(subject, 'pre_loan', categories);
    RETURN n || ' records';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL;
    RETURN state || ' ' || detail;
END
$$;
-- Gives a consent by the portal; other attributes as JSON.
CREATE FUNCTION bound_give(subject bigint, attributes jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS $$
    SELECT credit.grant_consent(subject, 'bound_bank', ARRAY(SELECT jsonb_array_elements_text(COALESCE(attributes -> 'categories', '["tax_payment"]'))),
        '{pre_loan}', now() - interval '1 hour', now() + interval '30 days',
        kind => COALESCE(attributes ->> 'kind', 'standing'), use_limit => (attributes ->> 'use_limit')::integer,
        frequency_unit => attributes ->> 'unit', frequency_count => (attributes ->> 'count')::integer,
        data_from => (attributes ->> 'from')::date, data_to => (attributes ->> 'to')::date)
$$;
RESET client_min_messages;

-- 3012, 3018: paused, revoked. 5005: resume after pause works.
SET ROLE bound_portal;
SELECT bound_give(:s) AS c \gset
SET ROLE bound_bank;
PREPARE reading AS SELECT bound_try(:s);
EXECUTE reading;
SET ROLE bound_portal;
SELECT credit.pause_consent(:s, :c);
SET ROLE bound_bank;
EXECUTE reading;
SET ROLE bound_portal;
SELECT credit.resume_consent(:s, :c);
SET ROLE bound_bank;
EXECUTE reading;
-- Renewed: the old one counts no more, the new one does for what it covers.
SET ROLE bound_portal;
SELECT credit.renew_consent(:s, :c, now() - interval '1 hour', now() + interval '60 days') AS renewed \gset
SET ROLE bound_bank;
EXECUTE reading;
SET ROLE bound_portal;
SELECT credit.revoke_consent(:s, :renewed);
SET ROLE bound_bank;
EXECUTE reading;
RESET ROLE;
DELETE FROM credit.consent WHERE subject_id = :s AND consent_id = :renewed;
SET ROLE bound_bank;
EXECUTE reading;
RESET ROLE;
DELETE FROM credit.consent WHERE subject_id = :s;

-- 3014: one time, or once in a unit, used twice. The second one of two is used when the first is used up.
SET ROLE bound_portal;
SELECT bound_give(:s, '{"kind": "one_time", "use_limit": 1}') > 0 AS given;
SET ROLE bound_bank;
SELECT bound_try(:s), bound_try(:s) AS again;
SET ROLE bound_portal;
SELECT bound_give(:s, '{"kind": "periodic", "unit": "month", "count": 2}') > 0 AS given;
SET ROLE bound_bank;
SELECT bound_try(:s), bound_try(:s) AS again, bound_try(:s) AS third;
-- Without a limit before with one: it is not used.
SET ROLE bound_portal;
SELECT bound_give(:s) AS standing, bound_give(:s, '{"kind": "one_time", "use_limit": 1}') AS once \gset
SET ROLE bound_bank;
SELECT bound_try(:s);
RESET ROLE;
SELECT count(*) AS used FROM credit.audit_use WHERE subject_id = :s AND consent_id IN (:standing, :once);
-- One use for two categories of one call; two where two consents are needed.
DELETE FROM credit.consent WHERE subject_id = :s;
SET ROLE bound_portal;
SELECT bound_give(:s, '{"kind": "standing", "use_limit": 2, "categories": ["tax_payment", "social_insurance"]}') AS two \gset
SET ROLE bound_bank;
SELECT bound_try(:s, '{tax_payment,social_insurance}');
BEGIN;
SELECT category, granted FROM credit.open_access(ARRAY[:s]::bigint[], 'pre_loan', '{social_insurance}');
SELECT count(*) FROM credit.record WHERE subject_id = :s;
-- What a later call is refused is closed.
SELECT category, granted, reason FROM credit.open_access(ARRAY[:s]::bigint[], 'pre_loan', '{tax_payment,social_insurance}');
SELECT count(*) FROM credit.record WHERE subject_id = :s;
ROLLBACK;
SELECT bound_try(:s);
RESET ROLE;
SELECT count(*) AS used FROM credit.audit_use WHERE subject_id = :s AND consent_id = :two;
DELETE FROM credit.consent WHERE subject_id = :s;

-- 3007: records outside of the range are not there. Of two ranges the longer one counts in an access.
SET ROLE bound_portal;
SELECT bound_give(:s, '{"from": "2026-03-04", "to": "2026-03-06"}') > 0 AS given;
SET ROLE bound_bank;
SELECT dated FROM credit.read(:s, 'pre_loan', '{tax_payment}');
BEGIN;
SELECT granted FROM credit.open_access(:s, 'pre_loan', '{tax_payment}');
SELECT count(*), min(dated), max(dated) FROM credit.record WHERE subject_id = :s;
COMMIT;
SET ROLE bound_portal;
SELECT bound_give(:s, '{"from": "2026-03-08"}') > 0 AS given;
SET ROLE bound_bank;
SELECT dated FROM credit.read(:s, 'pre_loan', '{tax_payment}');
SELECT count(*) FROM credit.read(ARRAY[:s]::bigint[], 'pre_loan', '{tax_payment,social_insurance}');
RESET ROLE;
DELETE FROM credit.consent WHERE subject_id = :s;

-- The template as it is now, also for a statement that was prepared before; and its end.
SET ROLE bound_portal;
SELECT bound_give(:s) > 0 AS given;
SET ROLE bound_bank;
EXECUTE reading;
RESET ROLE;
SELECT credit.set_consent_template('commercial_bank', 'post_loan', longest_window => '1 day');
SET ROLE bound_bank;
EXECUTE reading;
RESET ROLE;
SELECT credit.set_consent_template('commercial_bank', 'pre_loan', longest_window => '1 day');
SET ROLE bound_bank;
EXECUTE reading;
SET pgcredit.purpose = 'pre_loan';
SELECT count(*) FROM credit.record WHERE subject_id = :s;
RESET pgcredit.purpose;
RESET ROLE;
SELECT credit.remove_consent_template('commercial_bank', 'pre_loan'), credit.remove_consent_template('commercial_bank', 'post_loan');
SET ROLE bound_bank;
EXECUTE reading;
RESET ROLE;

-- Each refusal is in the log, with its reason.
DO $$
BEGIN
    FOR turn IN 1 .. 1000 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM credit.audit_outbox);
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
SELECT reason, count(*) FROM credit.audit_log WHERE kind = 'refusal' AND actor = 'bound_bank' GROUP BY 1 ORDER BY 1;

SET client_min_messages = warning;
DEALLOCATE reading;
DROP FUNCTION bound_try(bigint, text[]);
DROP FUNCTION bound_give(bigint, jsonb);
DELETE FROM credit.record WHERE subject_id = :s;
DELETE FROM credit.consent WHERE subject_id = :s;
DELETE FROM credit.audit_use WHERE subject_id = :s;
DELETE FROM credit.subject_attribute WHERE subject_id = :s;
DELETE FROM credit.subject WHERE subject_id = :s;
DELETE FROM credit.institution WHERE code = 'bound_bank';
DROP ROLE bound_bank, bound_portal;
