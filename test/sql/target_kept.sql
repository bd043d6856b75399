-- Figures that a session holds: in a database of its own, since it changes definitions and commits.
SET client_min_messages = warning;
SELECT current_database() AS home \gset
CREATE DATABASE target_kept;
\c target_kept
SET client_min_messages = warning;
CREATE EXTENSION pgcredit CASCADE;
-- What is held outlives its transaction while nothing has changed: each change is seen at once, waiting or folded, and none
-- that is taken back.
INSERT INTO credit.region (code, name_zh, level) VALUES ('330000', 'p', 'province'), ('330300', 'c', 'city'), ('330302', 'k', 'county')
    ON CONFLICT DO NOTHING;
INSERT INTO credit.metric (code, name_zh, name_en, unit, additivity) VALUES ('kept_told', 'z', 'e', 'ratio', 'flow');
CREATE FUNCTION pg_temp.figure() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', coalesce((credit._stored('loan_balance', '330000', '', '[2040-01-31,2040-02-01)')).num::text, '-'),
                     coalesce((credit._stored('loan_balance', '330000', '', '[2040-02-29,2040-03-01)')).num::text, '-'),
                     coalesce((credit._stored('kept_told', '330000', '', '[2039-01-01,2040-01-01)')).num::text, '-')) $$;
CREATE PROCEDURE pg_temp.fold() LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        PERFORM credit.fold_measures();
        EXIT WHEN NOT EXISTS (SELECT FROM credit._measure_delta) AND NOT EXISTS (SELECT FROM credit._region_change)
              AND NOT EXISTS (SELECT FROM credit._figure_change);
        PERFORM pg_sleep(0.05);
    END LOOP;
END
$$;
CALL pg_temp.fold();
SELECT pg_temp.figure();
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance, green) VALUES (1, 'kept', '2040-01-01', 1, '330302', 100, true);
SELECT pg_temp.figure();
CALL pg_temp.fold();
SELECT pg_temp.figure();
SELECT pg_temp.figure();
-- a turn that is taken back, and another that has its number
BEGIN;
UPDATE credit.loan_balance SET balance = 200 WHERE key = 'kept';
CALL pg_temp.fold();
SELECT pg_temp.figure();
ROLLBACK;
SELECT pg_temp.figure();
BEGIN;
UPDATE credit.loan_balance SET balance = 300 WHERE key = 'kept';
SAVEPOINT s;
CALL pg_temp.fold();
SELECT pg_temp.figure();
ROLLBACK TO s;
UPDATE credit.loan_balance SET balance = 400 WHERE key = 'kept';
CALL pg_temp.fold();
SELECT pg_temp.figure();
COMMIT;
SELECT pg_temp.figure();
-- what is reported, corrected, taken back
SELECT credit.observe('kept_told', '330000', '2039-01-01', '2039-12-31', 7, 'bureau');
SELECT credit.observe('kept_told', '330000', '2039-01-01', '2039-03-31', 2, 'bureau');
SELECT credit._next_piece('kept_told', '330000', '', '2039-01-01', '2039-12-31') AS longest,
       credit._next_piece('kept_told', '330000', '', '2039-01-01', '2039-12-30') AS that_fits,
       credit._next_piece('kept_told', '330000', '', '2039-01-02', '2039-12-31') AS none;
SELECT pg_temp.figure();
CALL pg_temp.fold();
SELECT pg_temp.figure();
BEGIN;
SELECT credit.observe('loan_balance', '330000', '2040-02-29', '2040-02-29', 9, 'bureau');
SELECT pg_temp.figure();
CALL pg_temp.fold();
SELECT pg_temp.figure();
ROLLBACK;
SELECT pg_temp.figure();
SELECT credit.observe('loan_balance', '330000', '2040-01-31', '2040-01-31', 8, 'bureau');
CALL pg_temp.fold();
SELECT pg_temp.figure();
SELECT credit.set_precedence('loan_balance', 'reported', 'until the ledgers are whole');
SELECT pg_temp.figure();
CALL pg_temp.fold();
SELECT credit.set_precedence('loan_balance', 'measured', 'they are');
SELECT pg_temp.figure();
CALL pg_temp.fold();
SELECT pg_temp.figure();
-- definitions
SELECT credit.define_source('loan_balance', 'sum', 'loan_balance', '[{"column": "green", "is": false}]', 'balance') > 0 AS defined;
SELECT pg_temp.figure();
CALL pg_temp.fold();
SELECT credit.define_source('loan_balance', 'sum', 'loan_balance', '[{"column": "green", "is": true}]', 'balance') > 0 AS defined;
SELECT pg_temp.figure();
CALL pg_temp.fold();
SELECT pg_temp.figure();
UPDATE credit.metric SET additivity = 'ratio', operation = 'ratio', left_metric = 'loan_balance', right_metric = 'loan_balance' WHERE code = 'kept_told';
SELECT credit._periods('kept_told', '330000', '', '2040-01-01', '2040-12-31');
-- regions
CALL pg_temp.fold();
SELECT pg_temp.figure();
UPDATE credit.region SET parent = '340100' WHERE code::text = '330302';
SELECT pg_temp.figure();
CALL pg_temp.fold();
SELECT pg_temp.figure();
UPDATE credit.region SET parent = NULL WHERE code::text = '330302';
SELECT pg_temp.figure();
CALL pg_temp.fold();
-- all anew, with a row that no trigger has seen
SELECT pg_temp.figure();
SET session_replication_role = replica;
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance, green) VALUES (1, 'unseen', '2040-01-01', 1, '330302', 1000, true);
RESET session_replication_role;
SELECT pg_temp.figure() AS not_seen;
SELECT credit.rebuild_measures() > 0 AS rebuilt;
SELECT pg_temp.figure();
\c :home
DROP DATABASE target_kept WITH (FORCE);
