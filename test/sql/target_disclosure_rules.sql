-- Where the rules of released figures begin: a month for each case, all of it in one county of one institution, so that a
-- figure is shown in every table or in none.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
BEGIN;
INSERT INTO credit.region (code, name_zh, level) VALUES ('330000', '浙江省', 'province'), ('330200', '宁波市', 'city'), ('330203', '海曙区', 'county'),
    ('330205', '江北区', 'county') ON CONFLICT DO NOTHING;
UPDATE credit.region SET parent = NULL, retired = false, successor = NULL WHERE code::text LIKE '3302%';
CREATE FUNCTION pg_temp.lend(of_month date, amounts numeric[], place text DEFAULT '330203') RETURNS void LANGUAGE sql AS $$
    INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance)
    SELECT 1, place || '-' || n, of_month, n, place::credit.region_code, a FROM unnest(amounts) WITH ORDINALITY x(a, n) $$;
-- levels at which the balance of a month is released
CREATE FUNCTION pg_temp.shown(of_month date) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(r.level, ' ' ORDER BY r.level), 'nothing') FROM credit.release('loan_balance', of_month) r WHERE r.item IS NULL $$;

-- contributors: as many as are asked for are enough
SELECT credit.set_disclosure(3, 2, 80);
SELECT pg_temp.lend('2020-01-01', '{10,10,10}'), pg_temp.lend('2020-02-01', '{10,10}');
SELECT pg_temp.shown('2020-01-01') AS three, pg_temp.shown('2020-02-01') AS two;
-- several loans of one borrower are one contributor
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance) VALUES (1, 'more', '2020-02-01', 2, '330203', 10);
SELECT pg_temp.shown('2020-02-01') AS still_two;
-- dominance: exactly k percent is allowed
SELECT pg_temp.lend('2020-03-01', '{4,4,1,1}'), pg_temp.lend('2020-04-01', '{4.01,4,1,1}');
SELECT pg_temp.shown('2020-03-01') AS exactly, pg_temp.shown('2020-04-01') AS more;
-- what a borrower owes counts by its size, whatever its sign
SELECT credit.set_disclosure(3, 1, 20);
SELECT pg_temp.lend('2020-05-01', '{-40,10,10,10,10,10,10,10,10,10,10}'), pg_temp.lend('2020-06-01', '{10,10,10,10,10}');
SELECT pg_temp.shown('2020-05-01') AS negative, pg_temp.shown('2020-06-01') AS even;
-- p percent: what is left without the two largest, against the largest
SELECT credit.set_disclosure(3, 1, 100, 50);
SELECT pg_temp.lend('2020-07-01', '{10,6,3,1}'), pg_temp.lend('2020-08-01', '{10,6,3,2}');
SELECT pg_temp.shown('2020-07-01') AS less, pg_temp.shown('2020-08-01') AS exactly;
-- loans that name no borrower are one of their institution
SELECT credit.set_disclosure(3, 2, 100);
SELECT pg_temp.lend('2020-09-01', '{10,10,10}');
UPDATE credit.loan_balance SET subject_id = NULL WHERE month = '2020-09-01' AND subject_id <> 1;
SELECT pg_temp.shown('2020-09-01') AS unnamed;

-- what a city has itself is a rest of it, also where no county has anything; a county that was dissolved without successor is one
SELECT pg_temp.lend('2020-10-01', '{10,10,10}', '330200');
SELECT pg_temp.shown('2020-10-01') AS city;
UPDATE credit.region SET retired = true WHERE code::text = '330205';
SELECT pg_temp.lend('2020-11-01', '{10,10,10}', '330205');
SELECT pg_temp.shown('2020-11-01') AS dissolved;

-- the same data as before a release that hid more: what it hid stays hidden
SELECT pg_temp.lend('2020-12-01', '{10,10,10}');
SELECT pg_temp.shown('2020-12-01') AS first;
DELETE FROM credit.loan_balance WHERE month = '2020-12-01' AND subject_id = 3;
SELECT pg_temp.shown('2020-12-01') AS less;
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance) VALUES (1, '330203-3', '2020-12-01', 3, '330203', 10);
SELECT pg_temp.shown('2020-12-01') AS as_before;

-- borrowers: who is only in the whole is told by the whole less the part, however many loans the others have outside the part
INSERT INTO credit.metric (code, name_zh, name_en, unit, additivity) VALUES ('all_borrowers', 'z', 'e', 'count', 'distinct');
SELECT credit.define_source('all_borrowers', 'distinct', 'loan_balance') AS version;
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance, small_micro)
SELECT 1, g || '-' || k, '2021-01-01', g, '330203', 10, k = 1 AND g <= 10 FROM generate_series(1, 12) g, generate_series(1, 2) k;
SELECT count(*) > 0 AS whole FROM credit.release('all_borrowers', '2021-01-01');
SELECT count(*) AS part FROM credit.release('small_micro_borrower_count', '2021-01-01');
-- three of them may be told
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance, small_micro)
SELECT 1, g || '-' || k, '2021-02-01', g, '330203', 10, k = 1 AND g <= 10 FROM generate_series(1, 13) g, generate_series(1, 2) k;
SELECT count(*) > 0 AS whole FROM credit.release('all_borrowers', '2021-02-01');
SELECT count(*) > 0 AS part FROM credit.release('small_micro_borrower_count', '2021-02-01');
ROLLBACK;
