-- Measures: definitions, all that changes a ledger, the tree of regions, and a check that finds what is wrong.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
BEGIN;
INSERT INTO credit.region (code, name_zh, level) VALUES ('330200', '宁波市', 'city'), ('330203', '海曙区', 'county'),
    ('330300', '温州市', 'city'), ('330302', '鹿城区', 'county'), ('330303', '龙湾区', 'county') ON CONFLICT DO NOTHING;
UPDATE credit.region SET parent = NULL, retired = false, successor = NULL WHERE code::text LIKE '3302%' OR code::text LIKE '3303%';
SELECT credit.extend_ledgers('2023-12-01', '2024-03-01') > 0 AS made;
-- each metric is defined: by a ledger, by others, or as a figure that is reported
SELECT count(*) = (SELECT count(*) FROM credit.metric) AS all, count(*) FILTER (WHERE ledger IS NOT NULL) AS by_ledger,
       count(*) FILTER (WHERE kind NOT IN ('sum', 'count', 'distinct', 'weighted', 'ratio', 'difference', 'growth', 'reported')) AS odd
  FROM credit.metric_definition;
CREATE FUNCTION pg_temp.check() RETURNS text LANGUAGE sql AS $$
    SELECT count(*) || ' differences' FROM credit.check_measures() $$;

INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, segment, product, balance, rate, class, small_micro, renewal)
VALUES (1, 'a', '2024-01-01', 11, '330203', '', 'p', 100, 0.05, 'normal', true, true),
       (1, 'b', '2024-01-01', 11, '330203', 'm', 'p', 300, 0.03, 'loss', true, true),
       (2, 'a', '2024-01-01', 11, '330302', '', 'q', 50.5, NULL, 'doubtful', true, false),
       (2, 'b', '2024-01-01', 12, '330303', '', 'q', 49.5, 0.04, NULL, false, false),
       (2, 'c', '2023-12-01', 12, '330303', '', 'q', 400, 0.04, NULL, false, false);
-- before and after folding
SELECT m, credit.measure(m, '330000', '2024-01-01') AS province, credit.measure(m, '330200', '2024-01-01') AS ningbo,
       credit.measure(m, '330300', '2024-01-01') AS wenzhou, credit.measure(m, NULL, '2024-01-01', segment => 'm') AS segment,
       credit.measure(m, NULL, '2024-01-01', product => 'q') AS product
  FROM unnest(ARRAY['loan_balance', 'npl_balance', 'npl_ratio', 'small_micro_borrower_count', 'small_micro_renewal_borrower_count',
                    'small_micro_loan_weighted_avg_rate', 'loan_growth_ytd']) m;
SELECT pg_temp.check();
SELECT credit.fold_measures() > 0 AS folded, credit.fold_measures() AS again;
SELECT waiting FROM credit.measure_state;
SELECT m, credit.measure(m, '330000', '2024-01-01') AS province, credit.measure(m, '330200', '2024-01-01') AS ningbo,
       credit.measure(m, '330300', '2024-01-01') AS wenzhou, credit.measure(m, NULL, '2024-01-01', segment => 'm') AS segment,
       credit.measure(m, NULL, '2024-01-01', product => 'q') AS product
  FROM unnest(ARRAY['loan_balance', 'npl_balance', 'npl_ratio', 'small_micro_borrower_count', 'small_micro_renewal_borrower_count',
                    'small_micro_loan_weighted_avg_rate', 'loan_growth_ytd']) m;
SELECT pg_temp.check();
SELECT metric, month, region, segment, product, n, round(value, 4) AS value FROM credit.measure_now WHERE metric LIKE 'small_micro%'
 ORDER BY metric, month, region, segment, product;
-- a distinct count over months counts a subject once
SELECT credit.measure('small_micro_borrower_count', NULL, '2024-01-01', from_month => '2023-12-01');

-- all that changes rows
UPDATE credit.loan_balance SET balance = balance + 0.01;
UPDATE credit.loan_balance SET key = key || 'x', month = '2024-02-01' WHERE key = 'a';
SELECT pg_temp.check();
UPDATE credit.loan_balance SET small_micro = NOT small_micro, region = '330200';
DELETE FROM credit.loan_balance WHERE key = 'b' AND institution_id = 1;
COPY credit.loan_balance (institution_id, key, month, subject_id, region, balance) FROM stdin;
3	z	2024-01-01	13	330303	1000.01
3	y	2025-01-01	13	330303	0.99
\.
INSERT INTO credit.loan_balance_2024_01 (institution_id, key, month, region, balance) VALUES (3, 'x', '2024-01-01', '330303', 5);
UPDATE credit.loan_balance_2024_01 SET balance = 6 WHERE key = 'x';
DELETE FROM credit.loan_balance_2024_01 WHERE key = 'z';
SELECT pg_temp.check(), credit.measure('loan_balance', NULL, '2024-01-01');
SAVEPOINT s;
TRUNCATE credit.loan_balance;
SELECT pg_temp.check(), credit.measure('loan_balance', NULL, '2024-01-01');
ROLLBACK TO s;
TRUNCATE credit.loan_balance_2024_02;
SELECT pg_temp.check(), credit.measure('loan_balance', NULL, '2024-02-01');
-- an update that changes nothing leaves nothing to fold
SELECT credit.fold_measures() > 0 AS folded;
UPDATE credit.loan_balance SET balance = balance;
SELECT waiting FROM credit.measure_state;

-- partitions come and go
ALTER TABLE credit.loan_balance DETACH PARTITION credit.loan_balance_2024_01;
SELECT pg_temp.check(), credit.measure('loan_balance', NULL, '2024-01-01');
INSERT INTO credit.loan_balance_2024_01 (institution_id, key, month, region, balance) VALUES (4, 'w', '2024-01-01', '330303', 0.5);
ALTER TABLE credit.loan_balance ATTACH PARTITION credit.loan_balance_2024_01 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
SELECT pg_temp.check(), credit.measure('loan_balance', NULL, '2024-01-01');
-- one with its columns in another order
ALTER TABLE credit.loan_balance DETACH PARTITION credit.loan_balance_2024_01;
CREATE TABLE pg_temp.moved AS SELECT * FROM credit.loan_balance_2024_01;
DROP TABLE credit.loan_balance_2024_01;
CREATE TABLE credit.loan_balance_2024_01 (dropped integer, LIKE credit.loan_balance INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE credit.loan_balance_2024_01 DROP COLUMN dropped;
INSERT INTO credit.loan_balance_2024_01 SELECT * FROM pg_temp.moved;
ALTER TABLE credit.loan_balance ATTACH PARTITION credit.loan_balance_2024_01 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
UPDATE credit.loan_balance_2024_01 SET balance = balance + 1;
UPDATE credit.loan_balance SET balance = balance + 1;
SELECT pg_temp.check(), credit.measure('loan_balance', NULL, '2024-01-01');
DROP TABLE credit.loan_balance_2024_01;
SELECT pg_temp.check(), credit.measure('loan_balance', NULL, '2024-01-01');

-- the tree of regions is the one of now: a county goes to another city, another is merged
INSERT INTO credit.loan_balance (institution_id, key, month, region, balance) VALUES (1, 'a', '2024-03-01', '330203', 1),
       (1, 'b', '2024-03-01', '330302', 10), (1, 'c', '2024-03-01', '330303', 100);
SELECT credit.measure('loan_balance', r, '2024-03-01') FROM unnest(ARRAY['330200', '330300', '330302', '330000']::credit.region_code[]) r;
UPDATE credit.region SET parent = '330200' WHERE code::text = '330303';
SELECT credit.measure('loan_balance', r, '2024-03-01') FROM unnest(ARRAY['330200', '330300', '330302', '330000']::credit.region_code[]) r;
UPDATE credit.region SET retired = true, successor = '330302' WHERE code::text = '330303';
SELECT credit.measure('loan_balance', r, '2024-03-01') FROM unnest(ARRAY['330200', '330300', '330302', '330000']::credit.region_code[]) r;
SELECT credit.regions_within('330300') ORDER BY 1;

-- a new version counts what is there and what comes; the old one stays
SELECT credit.define_source('loan_balance', 'sum', 'loan_balance', '[{"column": "balance", ">=": 9.995, "<=": 1e6}]', 'balance') AS version;
SELECT credit.define_source('rural_small_loan_balance', 'sum', 'loan_balance',
                            '[{"column": "agricultural", "is": false}, {"column": "product", "in": ["", "p"]}]', 'balance') AS version;
INSERT INTO credit.loan_balance (institution_id, key, month, region, balance, product) VALUES (1, 'd', '2024-03-01', '330203', 9.99, 'p'),
       (1, 'e', '2024-03-01', '330203', 10, 'r'), (1, 'f', '2024-03-01', '330203', -9999999999999999.99, 'p');
SELECT credit.measure('loan_balance', NULL, '2024-03-01') AS newest, credit.measure('loan_balance', NULL, '2024-03-01', version => 1) AS first,
       credit.measure('rural_small_loan_balance', NULL, '2024-03-01') AS rural;
SELECT pg_temp.check();
SELECT credit.define_source('bank_count', 'reported', reported_by => '人民银行宜兴支行', due_days => 15) AS version;
SELECT kind, version, reported_by, due_days FROM credit.metric_definition WHERE metric = 'bank_count';

-- sums beyond 64 bits
INSERT INTO credit.loan_balance (institution_id, key, month, region, balance, rate, small_micro)
SELECT 5, 'big' || g, '2024-03-01', '330203', 9999999999999999.99, 999.999999, true FROM generate_series(1, 1000) g;
SELECT credit.measure('small_micro_loan_balance', NULL, '2024-03-01'), credit.measure('small_micro_loan_weighted_avg_rate', NULL, '2024-03-01');
SELECT pg_temp.check();

-- what is past the triggers is found, and repaired
SET LOCAL session_replication_role = replica;
UPDATE credit.loan_balance SET balance = balance + 1 WHERE key = 'a';
SET LOCAL session_replication_role = origin;
SELECT source, version, level, region, measured_n, counted_n, measured, counted FROM credit.check_measures('loan_balance') ORDER BY 1, 2, 3, 4;
SELECT credit.rebuild_measures() > 0 AS rebuilt;
SELECT pg_temp.check();

\set VERBOSITY sqlstate
\set ON_ERROR_ROLLBACK on
SELECT credit.measure('no_such_metric');
SELECT credit.measure('pawnshop_count');
SELECT credit.measure('loan_balance', version => 99);
SELECT credit.measure('loan_balance', institution => 'nobody here');
SELECT credit.measure('loan_balance', month => '2024-01-01', from_month => '2024-02-01');
SELECT credit.define_source('no_such_metric', 'reported');
SELECT credit.define_source('loan_balance', 'sum', 'loan_balance', '[]', 'segment');
SELECT credit.define_source('loan_balance', 'sum', 'loan_balance', '[{"column": "balance", "is": true}]', 'balance');
SELECT credit.define_source('loan_balance', 'sum', 'loan_balance', '[{"column": "class", "in": [1]}]', 'balance');
SELECT credit.define_source('loan_balance', 'sum', 'loan_balance', '[{"column": "no_such", "in": []}]', 'balance');
SELECT credit.define_source('loan_balance', 'sum', 'loan_balance', '{}', 'balance');
SELECT credit.define_source('loan_balance', 'count', 'no_such_ledger');
SELECT credit.define_source('loan_balance', 'weighted', 'loan_balance', '[]', 'rate');
UPDATE credit.metric_source SET filter = '[]';
DELETE FROM credit.metric_source;
TRUNCATE credit.metric_source;
SELECT credit._measure_partition('pg_class', 'credit.loan_balance', 1);
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT credit.define_source('loan_balance', 'count', 'loan_balance');
ROLLBACK;
-- nor are partitions changed by who may not see those of others; tables that are no ledger's are left alone
CREATE TABLE loan_part (LIKE credit.loan_balance INCLUDING ALL);
BEGIN ISOLATION LEVEL REPEATABLE READ;
CREATE TABLE own (day date) PARTITION BY RANGE (day);
CREATE TABLE own_1 PARTITION OF own FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
ALTER TABLE own DETACH PARTITION own_1;
ALTER TABLE credit.loan_balance ATTACH PARTITION loan_part FOR VALUES FROM ('2050-01-01') TO ('2050-02-01');
ROLLBACK;
ALTER TABLE credit.loan_balance ATTACH PARTITION loan_part FOR VALUES FROM ('2050-01-01') TO ('2050-02-01');
BEGIN ISOLATION LEVEL REPEATABLE READ;
ALTER TABLE credit.loan_balance DETACH PARTITION loan_part;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
DROP TABLE loan_part;
ROLLBACK;
SELECT count(*) FROM credit.ledger_partition WHERE first_month = '2050-01-01';
DROP TABLE loan_part;
SELECT count(*) FROM credit.ledger_partition WHERE first_month = '2050-01-01';
