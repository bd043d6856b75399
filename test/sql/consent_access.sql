-- Consents, opening access, the guard: who may see what, and what the log says of it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE consent_bank;
CREATE ROLE consent_other_bank;
CREATE ROLE consent_tax;
CREATE ROLE consent_portal;
CREATE ROLE consent_nobody;
GRANT credit_institution TO consent_bank, consent_other_bank, consent_nobody;
GRANT credit_provider TO consent_tax;
GRANT credit_portal TO consent_portal;
\set VERBOSITY terse

SELECT credit.register_institution('consent_bank', '甲银行', 'Bank A', 'commercial_bank', 'consent_bank') > 0 AS bank,
       credit.register_institution('consent_other_bank', '乙银行', 'Bank B', 'commercial_bank', 'consent_other_bank') > 0 AS other,
       credit.register_institution('consent_tax', '税务局', 'Tax office', 'tax', 'consent_tax') > 0 AS tax;
SELECT credit.assign_category(c, 'consent_tax')
  FROM unnest('{tax_payment,social_insurance,administrative_penalty}'::text[]) c;
SELECT credit.register_subject(kind => 'village', code => 'consent-1', name => '甲村') AS s1,
       credit.register_subject(kind => 'village', code => 'consent-2', name => '乙村') AS s2,
       credit.register_subject(kind => 'village', code => 'consent-3', name => '丙村') AS s3 \gset
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s, c.category_id, i.institution_id, DATE '2026-03-01' + n, 'neutral', format('consent-%s', n), jsonb_build_object('n', n), 0
  FROM unnest(ARRAY[:s1, :s2, :s3]::bigint[]) s, credit.category c, credit.institution i, generate_series(1, 2) n
 WHERE c.code IN ('tax_payment', 'social_insurance', 'administrative_penalty') AND i.code = 'consent_tax';
RESET client_min_messages;

CREATE FUNCTION consent_wait() RETURNS bigint LANGUAGE plpgsql AS $$
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
-- What a statement says when it is refused: its SQLSTATE and message, ids left out.
CREATE FUNCTION consent_try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (%s) x', statement) INTO n;
    RETURN n || ' rows';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || regexp_replace(SQLERRM, 'subject \d+', 'subject N');
END
$$;
CREATE VIEW consent_log AS
SELECT seq, kind, actor, institution, purpose, categories, jsonb_array_length(subjects) AS subjects,
       jsonb_array_length(entry::jsonb -> 'unknown') AS unknown, consents IS NOT NULL AS consents, reason, operation
  FROM credit.audit_log;

-- Giving consent: the arguments are checked, each fault has its SQLSTATE.
SET ROLE consent_portal;
\set VERBOSITY sqlstate
SELECT credit.grant_consent(:s1, 'consent_bank', '{}', '{pre_loan}', now(), now() + interval '1 day');
SELECT credit.grant_consent(:s1, 'consent_bank', '{tax_payment,NULL}', '{pre_loan}', now(), now() + interval '1 day');
SELECT credit.grant_consent(NULL, 'consent_bank', '{tax_payment}', '{pre_loan}', now(), now() + interval '1 day');
SELECT credit.grant_consent(:s1, 'consent_bank', '{tax_payment}', '{pre_loan}', now(), now());
SELECT credit.grant_consent(-1, 'consent_bank', '{tax_payment}', '{pre_loan}', now(), now() + interval '1 day');
SELECT credit.grant_consent(:s1, 'no such bank', '{tax_payment}', '{pre_loan}', now(), now() + interval '1 day');
SELECT credit.grant_consent(:s1, 'consent_bank', '{no_such}', '{pre_loan}', now(), now() + interval '1 day');
SELECT credit.grant_consent(:s1, 'consent_bank', '{tax_payment}', '{no_such}', now(), now() + interval '1 day');
SELECT credit.revoke_consent(:s1, -1);
\set VERBOSITY terse
SELECT credit.grant_consent(:s1, 'consent_bank', '{tax_payment,social_insurance,tax_payment}', '{pre_loan,in_loan}',
                            now() - interval '1 hour', now() + interval '1 day') AS c1,
       credit.grant_consent(:s2, 'consent_bank', '{social_insurance}', '{pre_loan}',
                            now() - interval '1 hour', now() + interval '1 day') AS c2,
       credit.grant_consent(:s3, 'consent_bank', '{tax_payment}', '{pre_loan}',
                            now() + interval '1 hour', now() + interval '1 day') AS c3,
       credit.grant_consent(:s3, 'consent_bank', '{social_insurance}', '{pre_loan}',
                            now() - interval '2 hours', now() - interval '1 hour') AS c4 \gset
RESET ROLE;
SELECT cardinality(categories) AS categories, purposes, granted_by, revoked_by FROM credit.consent
 WHERE subject_id IN (:s1, :s2, :s3) ORDER BY consent_id;
SELECT consent_wait() AS start \gset

-- Reading under consent, and each way to be refused.
SET ROLE consent_bank;
SELECT category, dated, polarity, status, provider, payload
  FROM credit.read(:s1, 'pre_loan', '{tax_payment,social_insurance}') ORDER BY category, dated;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{administrative_penalty}'')', :s3)) AS public_by_law;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''post_loan'', ''{tax_payment}'')', :s1)) AS purpose;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{tax_payment,water_use}'')', :s1)) AS category;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{tax_payment}'')', :s3)) AS not_started;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{social_insurance}'')', :s3)) AS expired;
SELECT consent_try('SELECT * FROM credit.read(-1, ''pre_loan'', ''{tax_payment}'')') AS no_such_subject;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''no_such'', ''{tax_payment}'')', :s1)) AS no_such_purpose;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{no_such}'')', :s1)) AS no_such_category;
SET ROLE consent_other_bank;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{tax_payment}'')', :s1)) AS other_bank;
SET ROLE consent_nobody;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{tax_payment}'')', :s1)) AS no_institution;
RESET ROLE;
SELECT credit.set_institution_status('consent_other_bank', 'suspended');
SET ROLE consent_other_bank;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{administrative_penalty}'')', :s1)) AS suspended;
RESET ROLE;
SELECT credit.set_institution_status('consent_other_bank', 'active');
-- Malformed calls are not accesses.
SET ROLE consent_bank;
SELECT consent_try('SELECT * FROM credit.read(NULL::bigint, ''pre_loan'', ''{tax_payment}'')') AS null_subject;
SELECT consent_try('SELECT * FROM credit.read(1::bigint, NULL, ''{tax_payment}'')') AS null_purpose;
SELECT consent_try('SELECT * FROM credit.read(1::bigint, ''pre_loan'', ''{}'')') AS no_categories;
SELECT consent_try('SELECT * FROM credit.read(1::bigint, ''pre_loan'', ''{NULL}'')') AS null_category;
SELECT consent_try('SELECT * FROM credit.read(''{}''::bigint[], ''pre_loan'', ''{tax_payment}'')') AS no_subjects;
SELECT consent_try('SELECT * FROM credit.read(''{1,NULL}''::bigint[], ''pre_loan'', ''{tax_payment}'')') AS null_in_subjects;
RESET ROLE;
SELECT consent_wait() > :start AS waited;
SELECT * FROM (SELECT row_number() OVER (ORDER BY seq) AS n, kind, actor, institution, purpose, categories, subjects, unknown, consents, reason
                 FROM consent_log WHERE seq > :start AND kind IN ('access', 'refusal')) x ORDER BY n;

-- The guard: nothing without an open access, and then the granted pairs only.
SET ROLE consent_bank;
SELECT count(*) FROM credit.record;
BEGIN;
SELECT subject_id = :s1 AS s1, category, granted, reason, consent_id IS NOT NULL AS consent
  FROM credit.open_access(ARRAY[:s1, :s2, :s2, -1]::bigint[], 'pre_loan', '{tax_payment,administrative_penalty,tax_payment}');
SELECT subject_id = :s1 AS s1, c.code, count(*) FROM credit.record r JOIN credit.category c USING (category_id)
 GROUP BY 1, 2 ORDER BY 1, 2;
-- It adds up within a transaction, and stays after a savepoint that is rolled back: what is recorded was granted.
SAVEPOINT s;
SELECT count(*) FROM credit.open_access(:s2, 'pre_loan', '{social_insurance}');
SELECT count(*) FROM credit.record;
ROLLBACK TO s;
SELECT count(*) FROM credit.record;
-- Another role does not inherit it, nor does a definer function of another role.
RESET ROLE;
SET ROLE consent_other_bank;
SAVEPOINT s;
SELECT count(*) FROM credit.record;
ROLLBACK TO s;
SET ROLE consent_bank;
SELECT count(*) FROM credit.record;
-- A refusal in between takes nothing away.
SAVEPOINT s;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{tax_payment}'')', :s3));
ROLLBACK TO s;
SELECT count(*) FROM credit.record;
COMMIT;
SELECT count(*) FROM credit.record;
SELECT category, granted, reason FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
-- Aggregates, joins and functions in the condition see only what the guard lets through.
CREATE FUNCTION pg_temp.peek(payload jsonb) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    RAISE NOTICE 'peeked %', payload;
    RETURN true;
END
$$;
BEGIN;
SELECT count(*) FROM credit.open_access(:s2, 'pre_loan', '{social_insurance}');
SELECT count(*) FROM credit.record WHERE pg_temp.peek(payload);
COMMIT;
RESET ROLE;

-- Many at once: what is granted is returned, the rest is refused in the log.
SELECT consent_wait() AS start \gset
SET ROLE consent_bank;
SELECT subject_id - :s1 AS s, category, count(*) FROM credit.read(ARRAY[:s3, :s2, :s1]::bigint[], 'pre_loan', '{social_insurance,administrative_penalty}')
 GROUP BY 1, 2 ORDER BY 1, 2;
RESET ROLE;
SELECT seq - :start AS n, kind, categories, subjects, reason FROM consent_log WHERE seq > :start ORDER BY seq;
SELECT count(DISTINCT access) AS one_call FROM credit.audit_log WHERE seq > :start;

-- Taking it back: at once, once.
SET ROLE consent_portal;
SELECT credit.revoke_consent(:s1, :c1), credit.revoke_consent(:s1, :c1);
SET ROLE consent_bank;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{tax_payment}'')', :s1)) AS revoked;
RESET ROLE;
SELECT consent_wait() > 0 AS waited;
SELECT kind, actor, operation, institution, categories, subjects, purposes, status_known
  FROM (SELECT l.*, entry::jsonb -> 'purposes' AS purposes, (entry::jsonb ->> 'valid_to') LIKE '____-__-__T%Z' AS status_known
          FROM consent_log l JOIN credit.audit_log a USING (seq, kind, actor, operation, institution, categories)
         WHERE seq > :start AND kind = 'consent') x;
-- The same subject has the same token in every entry, and no entry has its name or number.
SELECT count(DISTINCT subjects) FROM credit.audit_log
 WHERE subjects = jsonb_build_array((SELECT credit._subject_token(subject_id, log_salt) FROM credit.subject WHERE subject_id = :s1))
   AND kind IN ('consent', 'access', 'refusal');
SELECT count(*) FROM credit.audit_log WHERE entry LIKE '%甲村%';

-- A consent of this transaction may be rolled back: it grants nothing yet.
BEGIN;
SET ROLE consent_portal;
SELECT credit.grant_consent(:s2, 'consent_bank', '{tax_payment}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') > 0 AS granted;
SET ROLE consent_bank;
SELECT granted, reason FROM credit.open_access(ARRAY[:s2]::bigint[], 'pre_loan', '{tax_payment}');
RESET ROLE;
ROLLBACK;

-- A category that is public no more needs consent from the next access on, and one that was not changed after all does not.
BEGIN;
SELECT credit.set_category_public('administrative_penalty', false);
SET ROLE consent_bank;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{administrative_penalty}'')', :s1)) AS not_public;
ROLLBACK;
SET ROLE consent_bank;
SELECT consent_try(format('SELECT * FROM credit.read(%s, ''pre_loan'', ''{administrative_penalty}'')', :s1)) AS public_again;
RESET ROLE;

-- Who may not: the functions and tables of others.
SET ROLE consent_bank;
SELECT credit.grant_consent(:s1, 'consent_bank', '{tax_payment}', '{pre_loan}', now(), now() + interval '1 day');
SELECT credit.revoke_consent(:s2, :c2);
SELECT * FROM credit.consent;
INSERT INTO credit.record (subject_id) VALUES (1);
DELETE FROM credit.record;
TRUNCATE credit.record;
SELECT * FROM credit.audit_log;
RESET ROLE;

-- Nobody adds to the log of a database that has recorded an access, a superuser neither.
INSERT INTO credit.audit_entry VALUES (0, '{}');

DROP VIEW consent_log;
DROP FUNCTION consent_wait();
DROP FUNCTION consent_try(text);
DROP FUNCTION pg_temp.peek(jsonb);
DELETE FROM credit.record WHERE subject_id IN (:s1, :s2, :s3);
DELETE FROM credit.consent WHERE subject_id IN (:s1, :s2, :s3);
DELETE FROM credit.subject_attribute WHERE subject_id IN (:s1, :s2, :s3);
DELETE FROM credit.subject WHERE subject_id IN (:s1, :s2, :s3);
DELETE FROM credit.category_provider USING credit.institution i WHERE category_provider.institution_id = i.institution_id AND i.code = 'consent_tax';
DELETE FROM credit.institution WHERE code LIKE 'consent_%';
DROP ROLE consent_bank, consent_other_bank, consent_tax, consent_portal, consent_nobody;
