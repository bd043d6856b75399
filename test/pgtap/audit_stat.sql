-- The views over the log's state: their shape, who may look, and that a refused access counts under its reason.
BEGIN;
SELECT plan(14);

SELECT columns_are('credit', 'stat_audit', ARRAY[
    'queue_items', 'queue_bytes', 'queue_share', 'outbox_rows', 'entries', 'bytes', 'entries_per_second', 'batches', 'batch_mean',
    'batch_largest', 'waits', 'wait_ms', 'wait_histogram', 'refusals', 'failures', 'kept_from', 'log_size', 'checkpoint_size',
    'checkpoint_signed', 'checkpoint_behind', 'notary_failures', 'failed', 'failure_sqlstate', 'failure', 'writer_pid', 'writer_started',
    'writer_starts', 'notary_pid', 'notary_started', 'counted_since']);
SELECT is((SELECT count(*) FROM credit.stat_audit), 1::bigint, 'one row');

-- A bucket begins where the one before ends; the first at nothing, the last has no end.
SELECT is_empty($$
    SELECT * FROM (SELECT bucket, from_us, lag(below_us, 1, 0::bigint) OVER (ORDER BY bucket) AS before FROM credit.stat_audit_wait) w
     WHERE from_us IS DISTINCT FROM before $$, 'buckets without gap');
SELECT results_eq('SELECT bucket FROM credit.stat_audit_wait WHERE below_us IS NULL', 'SELECT max(bucket) FROM credit.stat_audit_wait',
    'the last bucket is open');
SELECT cmp_ok((SELECT max(from_us) FROM credit.stat_audit_wait), '>', 600000000::bigint,
    'no wait that pgcredit.audit_timeout allows falls into it');

-- Every reason of doc/reference/51_consent_access.md and 56_consent_self.md, also those that never came up.
SELECT set_eq($$ SELECT reason FROM credit.stat_audit_refusal WHERE kind = 'refusal' $$, ARRAY[
    'token_invalid', 'token_expired',
    'no_institution', 'institution_suspended', 'unknown_purpose', 'unknown_category', 'unknown_subject', 'no_consent',
    'category_refused', 'purpose_refused', 'consent_uncommitted', 'consent_revoked', 'consent_not_started', 'consent_expired',
    'consent_replaced', 'consent_paused', 'beyond_template', 'consent_used_up'],
    'reasons of refusals');
SELECT set_eq($$ SELECT reason FROM credit.stat_audit_refusal WHERE kind = 'failure' $$, ARRAY['PC001', 'PC002', 'PC003', 'other'],
    'kinds of failure');

CREATE TEMP TABLE before AS
    SELECT s.waits, s.refusals, r.refused FROM credit.stat_audit s, credit.stat_audit_refusal r WHERE r.reason = 'no_institution';
CREATE ROLE pgtap_no_bank IN ROLE credit_institution;
SET LOCAL ROLE pgtap_no_bank;
DO $$ BEGIN PERFORM credit.open_access(1, 'pre_loan', '{tax_payment}'); EXCEPTION WHEN SQLSTATE 'PC101' THEN END $$;
RESET ROLE;
SELECT results_eq('SELECT s.waits, s.refusals, r.refused FROM credit.stat_audit s, credit.stat_audit_refusal r WHERE r.reason = ''no_institution''',
    'SELECT waits + 1, refusals + 1, refused + 1 FROM before', 'a refusal counts once, though the statement was rolled back');

-- The server's monitor looks at these and at nothing else.
CREATE ROLE pgtap_monitor IN ROLE pg_monitor;
SET LOCAL ROLE pgtap_monitor;
SELECT lives_ok('SELECT * FROM credit.stat_audit, credit.stat_audit_wait, credit.stat_audit_refusal', 'pg_monitor sees the state');
SELECT throws_ok('SELECT * FROM credit.audit_log', '42501', NULL, 'and not the log');
SELECT throws_ok('SELECT credit.stat_audit_reset()', '42501', NULL, 'nor begins the counts anew');
SET LOCAL ROLE pgtap_no_bank;
SELECT throws_ok('SELECT * FROM credit.stat_audit', '42501', NULL, 'an institution does not');
SET LOCAL ROLE credit_operator;
SELECT lives_ok('SELECT credit.stat_audit_reset()', 'an operator does');
RESET ROLE;
SELECT is((SELECT waits + refusals FROM credit.stat_audit), 0::bigint, 'and they begin with nothing');

SELECT * FROM finish();
ROLLBACK;
