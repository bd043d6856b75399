-- Delivering ledgers: good rows go in, bad ones are kept, again changes nothing, a past month is corrected.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
DROP ROLE IF EXISTS ledger_bank, ledger_other, ledger_stranger;
CREATE ROLE ledger_bank;
CREATE ROLE ledger_other;
CREATE ROLE ledger_stranger;
GRANT credit_provider TO ledger_bank, ledger_other, ledger_stranger;
SET client_min_messages = notice;
BEGIN;
INSERT INTO credit.region (code, name_zh, level) VALUES ('330203', '海曙区', 'county') ON CONFLICT DO NOTHING;
SELECT count(credit.register_institution(c, c, c, 'commercial_bank', c::regrole)) FROM unnest(ARRAY['ledger_bank', 'ledger_other']) c;
SELECT credit.register_subject('enterprise', '91330200144069298P', NULL, '甲公司', '330203') IS NOT NULL AS registered;
-- partitions by month; again there is nothing to make
SELECT credit.extend_ledgers('2024-01-15', '2024-03-01') = 3 * (SELECT count(*) FROM credit.ledger) AS made;
SELECT credit.extend_ledgers('2024-01-01', '2024-03-31');
SELECT p.first_month, p.end_month, p.is_default FROM credit.ledger_partition p WHERE p.ledger = 'loan_balance' AND (p.is_default OR p.end_month <= '2024-04-01')
 ORDER BY p.first_month NULLS FIRST;
SET LOCAL ROLE ledger_bank;
CREATE TEMP TABLE given AS SELECT $$ [
  {"key": "a", "region": "330203", "balance": 100.25, "rate": 0.043, "class": "normal", "small_micro": true, "inclusive": true,
   "uscc": "91330200144069298P"},
  {"key": "b", "region": "330203", "balance": "200", "segment": "mountain", "class": "loss"},
  {"key": "a", "region": "330203", "balance": 1},
  {"key": "c", "region": "999999", "balance": 1},
  {"key": "d", "region": "330203"},
  {"key": "e", "region": "330203", "balance": "NaN"},
  {"key": "f", "region": "330203", "balance": 1e17},
  {"key": "g", "region": "330203", "balance": 1, "class": "lost"},
  {"key": "h", "region": "330203", "balance": 1, "colour": "red"},
  {"key": "i", "region": "330203", "balance": 1, "uscc": "91330200144069298X"},
  {"key": "j", "region": "330203", "balance": 1, "institution_id": 7},
  {"key": "k", "region": "330203", "balance": 1, "subject_id": 999999999999},
  {"region": "330203", "balance": 1}, "a text", null, []
] $$::jsonb AS rows;
SELECT received, inserted, updated, unchanged, refused FROM given, credit.deliver('loan_balance', '2024-01-31', rows, 'january');
SELECT received, inserted, updated, unchanged, refused FROM given, credit.deliver('loan_balance', '2024-01-01', rows, 'january');
RESET ROLE;
SELECT max(batch_id) AS batch FROM credit.batch \gset
SET LOCAL ROLE ledger_bank;
SELECT row_no, sqlstate, reason, row_given ->> 'key' AS key FROM credit.refused_rows(:batch) ORDER BY row_no;
-- another institution's key is another loan
SET LOCAL ROLE ledger_other;
SELECT inserted, refused FROM credit.deliver('loan_balance', '2024-01-01', '[{"key": "a", "region": "330203", "balance": 7}]');
RESET ROLE;
SELECT i.code, l.key, l.month, l.segment, l.balance, l.rate, l.class, l.small_micro, l.subject_id IS NOT NULL AS subject, l.tableoid::regclass
  FROM credit.loan_balance l JOIN credit.institution i USING (institution_id) ORDER BY i.code, l.key;
SELECT credit.measure('loan_balance', '330000', '2024-01-01') AS all, credit.measure('loan_balance', NULL, '2024-01-01', 'ledger_bank') AS bank,
       credit.measure('npl_ratio', '330203', '2024-01-01', 'ledger_bank') AS npl,
       credit.measure('small_micro_borrower_count', '330203', '2024-01-01') AS borrowers,
       credit.measure('loan_balance', '330203', '2024-01-01', segment => 'mountain') AS mountain;
-- a correction of the past month; what is there before is kept
SET LOCAL ROLE ledger_bank;
SELECT inserted, updated, unchanged, refused
  FROM credit.deliver('loan_balance', '2024-01-01', '[{"key": "a", "region": "330203", "balance": 90}]', 'january, corrected');
-- complete: b is gone
SELECT inserted, updated, unchanged, refused
  FROM credit.deliver('loan_balance', '2024-01-01', '[{"key": "a", "region": "330203", "balance": 90}]', 'january, whole', true);
RESET ROLE;
SELECT ledger, month, key, operation, given_before ->> 'balance' AS balance FROM credit.ledger_correction ORDER BY batch_id, key;
SELECT credit.measure('loan_balance', '330000', '2024-01-01');
SELECT * FROM credit.check_measures();
-- a month that is in a partition of the user's has no other
CREATE TABLE ledger_quarter PARTITION OF credit.park (PRIMARY KEY (institution_id, key, month)) FOR VALUES FROM ('2023-01-01') TO ('2023-04-01');
SELECT m, credit._extend_ledger('park', m) AS made FROM unnest('{2022-12-01,2023-01-01,2023-03-01,2023-04-01}'::date[]) m;
-- a month without a partition goes with the others, and moves when it gets one
SET LOCAL ROLE ledger_bank;
SELECT inserted FROM credit.deliver('loan_issue', '2025-02-03', '[{"key": "a", "region": "330203", "amount": 5, "first_loan": true}]');
RESET ROLE;
SELECT tableoid::regclass FROM credit.loan_issue;
SELECT credit.extend_ledgers('2025-02-01', '2025-02-01') = (SELECT count(*) FROM credit.ledger) AS made;
SELECT tableoid::regclass FROM credit.loan_issue;
SELECT * FROM credit.check_measures();
-- every ledger takes a row
SET LOCAL ROLE ledger_bank;
SELECT l, (credit.deliver(l, '2024-02-01', jsonb_build_array('{"key": "1", "region": "330203"}'::jsonb || g::jsonb))).inserted
  FROM (VALUES ('loan_balance', '{"balance": 1}'), ('loan_issue', '{"amount": 1}'), ('line_of_credit', '{"credit_limit": 1}'),
               ('guarantee', '{"balance": 1, "fee_rate": 0.01}'), ('insurance_policy', '{"insured_amount": 1, "kind": "other"}'),
               ('product_offer', '{"supermarket": true}'), ('financing_demand', '{"amount": 1, "state": "open"}'),
               ('platform_registration', '{}'), ('park', '{"star": 4}'), ('park_tenant', '{"park": "p", "star": 4}')) v(l, g);
RESET ROLE;
SELECT * FROM credit.check_measures();
-- Each statement on a ledger, or on a partition by its name, leaves one entry with the number of its rows; one that changed none
-- leaves nothing.
SELECT COALESCE(max(id), 0) AS before FROM credit.audit_outbox \gset
INSERT INTO credit.loan_balance (institution_id, key, month, region, balance)
SELECT 1, 'w' || g, m, '330203', g FROM generate_series(1, 3) g, unnest('{2024-01-01,2024-02-01,2030-01-01}'::date[]) m;
UPDATE credit.loan_balance SET balance = 9 WHERE key = 'w1' AND institution_id = 1;
UPDATE credit.loan_balance SET balance = 9 WHERE key = 'no such';
UPDATE credit.loan_balance_2024_01 SET balance = 10 WHERE key = 'w1' AND institution_id = 1;
INSERT INTO credit.loan_balance_2024_02 (institution_id, key, month, region, balance) VALUES (1, 'v', '2024-02-01', '330203', 1);
DELETE FROM credit.loan_balance_other WHERE key = 'w1';
TRUNCATE credit.loan_balance_2024_02;
CREATE TABLE ledger_own PARTITION OF credit.loan_balance FOR VALUES FROM ('2024-05-01') TO ('2024-07-01');
INSERT INTO ledger_own (institution_id, key, month, region, balance) VALUES (1, 'o', '2024-05-01', '330203', 1);
DELETE FROM credit.loan_balance WHERE key = 'o';
ALTER TABLE credit.loan_balance DETACH PARTITION ledger_own;
INSERT INTO ledger_own (institution_id, key, month, region, balance) VALUES (1, 'p', '2024-05-01', '330203', 1);
ALTER TABLE credit.loan_balance ATTACH PARTITION ledger_own FOR VALUES FROM ('2024-05-01') TO ('2024-07-01');
UPDATE ledger_own SET balance = 2;
SELECT e ->> 'table' AS table, e ->> 'operation' AS operation, e ->> 'count' AS count, length(e ->> 'digest') AS digest
  FROM credit.audit_outbox o, LATERAL (SELECT (o.prefix || '"recorded":null' || o.suffix)::jsonb AS e) x
 WHERE o.id > :before AND e ->> 'kind' = 'write' AND e ->> 'table' ~ '^(loan_balance|ledger_own)' ORDER BY o.id;
SELECT * FROM credit.check_measures();
-- partitions have the triggers of a ledger once, as ones that a dump leaves out
SELECT t.tgisinternal, count(DISTINCT t.tgrelid) = (SELECT count(*) FROM credit.ledger_partition WHERE NOT is_default) AS partitions,
       count(DISTINCT (t.tgrelid, t.tgfoid, t.tgtype)) = count(*) AS once, count(*) / count(DISTINCT t.tgrelid) AS each
  FROM pg_trigger t JOIN credit.ledger_partition p ON p.part = t.tgrelid WHERE NOT p.is_default GROUP BY 1;
\set VERBOSITY sqlstate
\set ON_ERROR_ROLLBACK on
SET LOCAL ROLE ledger_stranger;
SELECT credit.deliver('loan_balance', '2024-01-01', '[]');
SET LOCAL ROLE ledger_bank;
SELECT credit.deliver('no_such_ledger', '2024-01-01', '[]');
SELECT credit.deliver('loan_balance', '2999-01-01', '[]');
SELECT credit.deliver('loan_balance', NULL, '[]');
SELECT credit.deliver('loan_balance', '2024-01-01', '{}');
SELECT credit.extend_ledgers('2024-01-01', '2024-01-01');
SELECT * FROM credit.loan_balance;
SELECT credit.measure('loan_balance');
RESET ROLE;
SELECT credit.extend_ledgers('2024-01-01', '2023-01-01');
SELECT credit.set_institution_status('ledger_bank', 'suspended');
SET LOCAL ROLE ledger_bank;
SELECT credit.deliver('loan_balance', '2024-01-01', '[]');
RESET ROLE;
ROLLBACK;
DROP ROLE ledger_bank, ledger_other, ledger_stranger;
