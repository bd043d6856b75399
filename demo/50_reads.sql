-- consent and reads: 700 of 1,000 consent to one bank; it reads, is refused, rolls back, reads in bulk
-- Consents are GENERATED: which 700, and for what.
SET client_min_messages = warning;

\echo
\echo '-- The portal enters 700 consents (授权) to bank A (甲银行): three categories, two purposes, from now for a year. GENERATED.'
CREATE VIEW demo.consenting AS
    SELECT application, subject_id FROM demo.customer ORDER BY sha256(convert_to('consent' || application, 'UTF8')) LIMIT 700;
GRANT SELECT ON demo.consenting TO portal;
\connect - portal
SELECT count(credit.grant_consent(subject_id, 'bank_a', '{loan_application,financial_credit_information,non_bank_information}',
                                  '{pre_loan,in_loan}', now(), now() + interval '1 year')) AS consents_given
  FROM demo.consenting;

-- Subjects for the reads below: two that consented, three that did not; one of those had consented until yesterday,
-- another will from next month on.
SELECT (array_agg(subject_id ORDER BY application))[1] AS willing, (array_agg(subject_id ORDER BY application))[2] AS wavering
  FROM demo.consenting \gset
SELECT (array_agg(subject_id ORDER BY application))[1] AS unwilling, (array_agg(subject_id ORDER BY application))[2] AS former,
       (array_agg(subject_id ORDER BY application))[3] AS coming
  FROM demo.customer WHERE subject_id NOT IN (SELECT subject_id FROM demo.consenting) \gset
SELECT credit.grant_consent(:former, 'bank_a', '{loan_application}', '{pre_loan}', now() - interval '1 year', now() - interval '1 day'),
       credit.grant_consent(:coming, 'bank_a', '{loan_application}', '{pre_loan}', now() + interval '1 month', now() + interval '1 year') \g /dev/null

\connect - postgres
SELECT demo.expect(count(*) = 700, '700 consents to bank A are in force')
  FROM credit.consent WHERE revoked_at IS NULL AND valid_from <= clock_timestamp() AND clock_timestamp() < valid_to \g (format=unaligned tuples_only=on)
SELECT consent_id AS wavering_consent FROM credit.consent WHERE subject_id = :wavering \gset
\setenv WAVERING :wavering
\setenv CONSENT :wavering_consent
SELECT demo.settle() \g /dev/null
SELECT max(seq) AS before_reads FROM credit.audit_log \gset

\connect - bank_a
\echo
\echo '-- Bank A reads an applicant who consented (查询). The entry in the log is durable before the first row arrives.'
SELECT category, record_id, dated, provider, payload
  FROM credit.read(:willing, 'pre_loan', '{loan_application,financial_credit_information}');

\echo '-- Penalties are public by law (依法公开): no consent is needed, the look is recorded all the same.'
SELECT s.category, s.granted, s.consent_id, s.entry FROM credit.open_access(:unwilling, 'pre_loan', '{administrative_penalty}') s;

\echo '-- Refused, each for its own reason, with a SQLSTATE of its own:'
\echo
\set ON_ERROR_STOP off
\echo '   1. no consent at all (未授权)'
SELECT * FROM credit.read(:unwilling, 'pre_loan', '{loan_application}');
\set no_consent :SQLSTATE
\echo '   2. a category that the consent does not cover (类别未授权)'
SELECT * FROM credit.read(:willing, 'pre_loan', '{loan_application,self_report}');
\set category :SQLSTATE
\echo '   3. a purpose that it does not cover (查询原因未授权)'
SELECT * FROM credit.read(:willing, 'post_loan', '{loan_application}');
\set purpose :SQLSTATE
\echo '   4. a consent that ended yesterday (授权已过期)'
SELECT * FROM credit.read(:former, 'pre_loan', '{loan_application}');
\set expired :SQLSTATE
\echo '   5. one that begins next month (授权未生效)'
SELECT * FROM credit.read(:coming, 'pre_loan', '{loan_application}');
\set not_started :SQLSTATE
\echo '   6. one taken back (授权已撤回). The bank''s transaction is REPEATABLE READ and took its snapshot before the subject, in'
\echo '      another session, took the consent back: the look sees it nevertheless.'
\set ON_ERROR_STOP on
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) AS categories_in_snapshot FROM credit.category;
\! psql -X -q -P footer=off -v ON_ERROR_STOP=1 -U portal -c "SELECT credit.revoke_consent($WAVERING, $CONSENT) AS taken_back_by_the_portal"
\set ON_ERROR_STOP off
SELECT * FROM credit.read(:wavering, 'pre_loan', '{loan_application}');
\set revoked :SQLSTATE
ROLLBACK;
\echo '   7. no access opened in this transaction: a plain SELECT does not look like an empty table, it is refused'
SELECT count(*) FROM credit.record;
\set closed :SQLSTATE
\connect - bank_b
\echo '   8. bank B (乙银行), to which nobody consented'
SELECT * FROM credit.read(:willing, 'pre_loan', '{loan_application}');
\set other_bank :SQLSTATE
\connect - analyst
\echo '   9. the analyst, who has no business with single subjects at all: no privilege'
SELECT * FROM credit.read(:willing, 'pre_loan', '{loan_application}');
\set analyst :SQLSTATE
\set ON_ERROR_STOP on
SELECT demo.expect((:'no_consent', :'category', :'purpose', :'expired', :'not_started', :'revoked', :'closed', :'other_bank', :'analyst')
                   = ('PC110', 'PC112', 'PC113', 'PC116', 'PC115', 'PC114', 'PC120', 'PC110', '42501'),
                   'SQLSTATEs ' || concat_ws(' ', :'no_consent', :'category', :'purpose', :'expired', :'not_started', :'revoked', :'closed', :'other_bank', :'analyst'))
  \g (format=unaligned tuples_only=on)

\connect - bank_a
\echo
\echo '-- Bank A reads inside a transaction and rolls it back, as one would who does not want to be seen:'
BEGIN;
SELECT entry AS rolled_back FROM credit.open_access(:willing, 'in_loan', '{non_bank_information}') \gset
SELECT payload ->> 'item' AS item, payload ->> 'value' AS value FROM credit.record;
ROLLBACK;

\echo '-- Plain SELECT: with a purpose set, a statement opens access by itself and gets what consents cover (自动开启查询).'
SET pgcredit.purpose = 'pre_loan';
SELECT count(*) AS seen_plainly, count(DISTINCT r.subject_id) AS of_subjects
  FROM credit.record r JOIN credit.category c USING (category_id) WHERE c.code = 'loan_application' \gset
RESET pgcredit.purpose;
SELECT demo.expect(:seen_plainly = 699, 'a plain SELECT sees the same 699') \g (format=unaligned tuples_only=on)

\connect - portal
\echo
\echo '-- A one-time consent (一次性授权): five clerks of the bank want to use it at the same time.'
SELECT credit.grant_consent(:unwilling, 'bank_a', '{loan_application}', '{in_loan}', now() - interval '1 minute', now() + interval '1 hour',
                            kind => 'one_time') > 0 AS given;
\setenv SUBJECT :unwilling
\! for clerk in $(seq 5); do psql -X -q -A -t -U bank_a -c "SELECT record_id FROM credit.read($SUBJECT, 'in_loan', '{loan_application}')" 2>/dev/null & done; wait
\connect - postgres
SELECT demo.settle() \g /dev/null
SELECT demo.expect(count(*) FILTER (WHERE kind = 'access') = 1 AND count(*) FILTER (WHERE reason = 'consent_used_up') = 4,
                   'one of five was shown the record, four are in the log as refused') FROM credit.audit_log WHERE purpose = 'in_loan' AND categories ? 'loan_application'
  \g (format=unaligned tuples_only=on)
\connect - bank_a
\echo
\echo '-- In bulk: one call opens what is granted of all 1,000, then any SQL over credit.record (信用信息).'
BEGIN;
CREATE TEMP TABLE answer ON COMMIT DROP AS
SELECT a.* FROM (SELECT array_agg(subject_id) AS all_of_them FROM demo.customer) c,
                credit.open_access(c.all_of_them, 'pre_loan', '{loan_application}') a;
SELECT granted, reason, count(*) FROM answer GROUP BY 1, 2 ORDER BY 1 DESC, 3 DESC;
SELECT count(*) AS seen, count(DISTINCT subject_id) AS of_subjects FROM credit.record \gset
SELECT payload ->> 'purpose' AS purpose_of_loan, count(*) AS applications, round(avg((payload ->> 'credit_amount')::numeric)) AS average_amount,
       round(avg((payload ->> 'duration_months')::numeric), 1) AS average_months
  FROM credit.record GROUP BY 1 ORDER BY 2 DESC;
COMMIT;
SELECT demo.expect(:seen = 699 AND :of_subjects = 699, 'of 1,000 the bank sees 699: 700 consented, one took it back') \g (format=unaligned tuples_only=on)

\connect - postgres
INSERT INTO demo.memory VALUES ('rolled back', :'rolled_back'), ('before reads', :'before_reads');
