-- Rows of villages and townships count in all above them, also when a region moves.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
BEGIN;
INSERT INTO credit.region (code, name_zh, level) VALUES ('330000', '浙江省', 'province'), ('330200', '宁波市', 'city'),
    ('330203', '海曙区', 'county'), ('330205', '江北区', 'county'), ('330300', '温州市', 'city'), ('330302', '鹿城区', 'county')
    ON CONFLICT DO NOTHING;
INSERT INTO credit.region (code, name_zh, level) VALUES ('330203101', '甲镇', 'township'), ('330203101201', '甲一村', 'village'),
    ('330203101202', '甲二村', 'village'), ('330203102', '乙镇', 'township'), ('330203102201', '乙一村', 'village') ON CONFLICT DO NOTHING;
UPDATE credit.region SET parent = NULL, retired = false, successor = NULL WHERE code::text LIKE '3302%' OR code::text LIKE '3303%';
SELECT credit.extend_ledgers('2024-01-01', '2024-01-01') >= 0 AS made;
-- one borrower in two villages and the town, another in one; the county has rows of its own
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance, small_micro)
VALUES (1, 'a', '2024-01-01', 1, '330203101201', 1, true), (1, 'b', '2024-01-01', 1, '330203101202', 20, true),
       (1, 'c', '2024-01-01', 1, '330203101', 300, true), (1, 'd', '2024-01-01', 2, '330203101202', 4000, true),
       (1, 'e', '2024-01-01', 3, '330203102201', 50000, true), (1, 'f', '2024-01-01', 3, '330203', 600000, true),
       (1, 'g', '2024-01-01', 3, '330302', 7000000, true), (1, 'h', '2024-01-01', 3, '330205', 80000000, true);
CREATE FUNCTION pg_temp.table() RETURNS TABLE (region text, balance numeric, borrowers numeric) LANGUAGE sql AS $$
    SELECT r, credit.measure('loan_balance', r::credit.region_code, '2024-01-01'),
           credit.measure('small_micro_borrower_count', r::credit.region_code, '2024-01-01')
      FROM unnest('{330000,330200,330300,330203,330205,330203101,330203102,330203101201,330203101202,330203102201}'::text[]) r $$;
SELECT * FROM pg_temp.table();
SELECT * FROM credit.check_measures();
SELECT credit.fold_measures() > 0 AS folded;
SELECT * FROM pg_temp.table();
SELECT * FROM credit.check_measures();
SELECT region, n, value FROM credit.measure_now WHERE metric = 'loan_balance' AND month = '2024-01-01' ORDER BY region::text COLLATE "C";
-- a town goes to another county, with its villages
UPDATE credit.region SET parent = '330205' WHERE code::text = '330203101';
SELECT * FROM pg_temp.table();
-- one village of it goes back to the other town
UPDATE credit.region SET parent = '330203102' WHERE code::text = '330203101202';
SELECT * FROM pg_temp.table();
SELECT * FROM credit.check_measures();
-- the county is merged into one of another city; a town that was moved out stays out
UPDATE credit.region SET retired = true, successor = '330302' WHERE code::text = '330203';
SELECT * FROM pg_temp.table();
-- a village is merged into another
UPDATE credit.region SET retired = true, successor = '330203101201' WHERE code::text = '330203102201';
SELECT * FROM pg_temp.table();
SELECT * FROM credit.check_measures();
-- released in the county where they are today
UPDATE credit.region SET parent = NULL, retired = false, successor = NULL WHERE code::text LIKE '3302%';
UPDATE credit.region SET parent = '330205' WHERE code::text = '330203101';
SELECT credit.set_disclosure(2, 1, 100);
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance)
SELECT 1, 'r' || r || g, '2024-01-01', 100 + g, r::credit.region_code, 1
  FROM generate_series(1, 9) g, unnest('{330203101201,330203102201,330203,330302,330205}'::text[]) r;
SELECT level, place, value FROM credit.release('loan_balance', '2024-01-01', 'segment') WHERE item IS NULL;
-- a village whose town nobody has loaded is in the county; one that is not loaded itself counts in the whole and under its code
INSERT INTO credit.region (code, name_zh, level) VALUES ('330205301201', '丙一村', 'village');
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance) VALUES (1, 'w', '2024-01-01', 9, '330205301201', 0.25);
SELECT credit.measure('loan_balance', '330205', '2024-01-01') AS county, credit.measure('loan_balance', '330200', '2024-01-01') AS city,
       credit.measure('loan_balance', '330205301', '2024-01-01') AS town;
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance) VALUES (1, 'x', '2024-01-01', 9, '330205999999', 0.5);
SELECT credit.measure('loan_balance', NULL, '2024-01-01') AS whole, credit.measure('loan_balance', '330205', '2024-01-01') AS county,
       credit.measure('loan_balance', '330205999999', '2024-01-01') AS itself;
SELECT * FROM credit.check_measures();
-- a circle of regions ends
UPDATE credit.region SET parent = '330203101' WHERE code::text = '330203102';
UPDATE credit.region SET parent = '330203102' WHERE code::text = '330203101';
SELECT credit.measure('loan_balance', '330203101', '2024-01-01') = credit.measure('loan_balance', '330203102', '2024-01-01') AS circle;
SELECT count(*) > 0 AS released FROM credit.release('loan_balance', '2024-01-01');
ROLLBACK;
