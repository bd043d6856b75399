-- Roll-ups: the sums of a region with all below it, before and after folding, while the tree of regions changes, and in
-- questions that are held for a snapshot.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
BEGIN;
DELETE FROM credit.region WHERE code::text LIKE '3302%' OR code::text LIKE '3303%';
INSERT INTO credit.region (code, name_zh, level) VALUES ('330200', '宁波市', 'city'), ('330203', '海曙区', 'county'),
    ('330205', '江北区', 'county'), ('330203001', '甲街道', 'township'), ('330300', '温州市', 'city'), ('330302', '鹿城区', 'county');
SELECT credit.fold_measures() >= 0 AS ready;
CREATE TEMP TABLE source AS SELECT source_id FROM credit.metric_source WHERE metric = 'small_micro_borrower_count';
-- what a query over the ledger says, by regions_within and nothing that is kept
CREATE FUNCTION pg_temp.figures() RETURNS TABLE (place text, month text, balance numeric, borrowers bigint, of_m numeric, m_borrowers bigint, right_ones text)
LANGUAGE sql AS $$
    SELECT p::text, to_char(m, 'MM'), coalesce(x.balance, 0), x.borrowers, coalesce(x.of_m, 0), x.m_borrowers,
           concat_ws(' ', CASE WHEN credit.measure('loan_balance', p, m) = coalesce(x.balance, 0) THEN 'balance' END,
                     CASE WHEN credit.measure('small_micro_borrower_count', p, m) = x.borrowers THEN 'borrowers' END,
                     CASE WHEN credit.measure('loan_balance', p, m, segment => 'm') = coalesce(x.of_m, 0) THEN 'segment' END,
                     CASE WHEN credit.measure('small_micro_borrower_count', p, m, segment => 'm') = x.m_borrowers THEN 'its borrowers' END,
                     (SELECT CASE WHEN count(*) = 0 THEN 'check' END FROM credit.check_measures()))
      FROM unnest(ARRAY['330000', '330200', '330203', '330300', '330999']::credit.region_code[]) p
     CROSS JOIN unnest(ARRAY['2024-01-01', '2024-02-01']::date[]) m
     CROSS JOIN LATERAL (SELECT sum(l.balance) AS balance, count(DISTINCT l.subject_id) FILTER (WHERE l.small_micro) AS borrowers,
                                sum(l.balance) FILTER (WHERE l.segment = 'm') AS of_m,
                                count(DISTINCT l.subject_id) FILTER (WHERE l.small_micro AND l.segment = 'm') AS m_borrowers
                           FROM credit.loan_balance l
                          WHERE l.month = m AND l.region OPERATOR(credit.=) ANY (ARRAY(SELECT credit.regions_within(p)))) x
     ORDER BY 1, 2 $$;

-- one borrower in two towns, in two cities, in two segments; a region that nobody has loaded
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, segment, balance, small_micro)
VALUES (1, 'a', '2024-01-01', 11, '330203001', '', 100, true), (1, 'b', '2024-01-01', 11, '330205', 'm', 20, true),
       (1, 'c', '2024-01-01', 11, '330302', 'm', 3, true), (2, 'a', '2024-01-01', 12, '330203', 'm', 0.4, true),
       (2, 'b', '2024-01-01', 13, '330999', '', 0.05, true), (2, 'a', '2024-02-01', 12, '330203', '', 7, true);
SELECT * FROM pg_temp.figures();
SELECT credit.fold_measures() > 0 AS folded;
SELECT * FROM pg_temp.figures();
-- the kept counts, and what waits makes a difference only where the borrower is new, or the last loan goes
SELECT r.region, r.month, r.segment, r.subjects FROM credit._measure_rollup r JOIN source USING (source_id) WHERE r.subjects <> 0 ORDER BY 1, 2, 3;
DELETE FROM credit.loan_balance WHERE key = 'b' AND subject_id = 11;
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance, small_micro)
VALUES (3, 'x', '2024-01-01', 12, '330203001', 50, true), (3, 'y', '2024-01-01', 14, '330203001', 60, true);
SELECT * FROM pg_temp.figures();
SELECT credit.fold_measures() > 0 AS folded;
SELECT * FROM pg_temp.figures();
SELECT r.region, r.month, r.segment, r.subjects FROM credit._measure_rollup r JOIN source USING (source_id) WHERE r.subjects <> 0 ORDER BY 1, 2, 3;

-- the tree: a district goes to another city, one is merged, a city goes and leaves its districts to the province, a region
-- that had rows is loaded at last. Seen at once, and the same when folded.
UPDATE credit.region SET parent = '330300' WHERE code::text = '330203';
SELECT * FROM pg_temp.figures();
SELECT count(*) AS changes FROM credit._region_change;
SELECT credit.fold_measures() AS folded;
SELECT count(*) AS changes FROM credit._region_change;
SELECT * FROM pg_temp.figures();
UPDATE credit.region SET parent = NULL WHERE code::text = '330203';
UPDATE credit.region SET retired = true, successor = '330302' WHERE code::text = '330203';
INSERT INTO credit.region (code, name_zh, level, parent) VALUES ('330999', '某区', 'county', '330200');
SELECT credit.fold_measures() AS folded;
SELECT * FROM pg_temp.figures();
DELETE FROM credit.region WHERE code::text = '330200';
SELECT * FROM pg_temp.figures();
SELECT credit.fold_measures() AS folded;
SELECT * FROM pg_temp.figures();
-- a change of names is no change of the tree
UPDATE credit.region SET name_zh = '某某区' WHERE code::text = '330999';
SELECT count(*) AS changes FROM credit._region_change;
-- a subscription brings regions without firing ordinary triggers
SET LOCAL session_replication_role = replica;
UPDATE credit.region SET retired = false, successor = NULL WHERE code::text = '330203';
SET LOCAL session_replication_role = origin;
SELECT count(*) AS changes FROM credit._region_change;
SELECT credit.fold_measures() AS folded;
SELECT * FROM pg_temp.figures();

-- what is kept is checked: a sum, a count, the tree
SAVEPOINT s;
UPDATE credit._measure_rollup r SET value = value + 1 FROM credit.metric_source m
 WHERE m.source_id = r.source_id AND m.metric = 'loan_balance' AND r.region::text = '330000' AND r.month = '2024-01-01' AND r.segment = '';
UPDATE credit._measure_rollup r SET subjects = subjects - 1 FROM source m WHERE m.source_id = r.source_id AND r.region::text = '330300' AND r.month = '2024-01-01' AND r.segment = '';
DELETE FROM credit._region_within WHERE region::text = '330203001' AND within::text = '330000';
SELECT source, level, month, region, segment, measured_n, counted_n, measured, counted FROM credit.check_measures() ORDER BY 1, 2, 3, 4, 5;
SELECT credit.rebuild_measures() > 0 AS rebuilt;
SELECT * FROM pg_temp.figures();
ROLLBACK TO s;

-- Figures of targets are held for a snapshot: never longer. What this transaction writes, and takes back, is seen.
SELECT num, den, period, used, lacking FROM credit._measured('loan_balance', '330000', '', '[2024-01-31,2024-02-01)');
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance, small_micro) VALUES (4, 'z', '2024-01-01', 15, '330302', 1000, true);
SELECT num FROM credit._measured('loan_balance', '330000', '', '[2024-01-31,2024-02-01)');
SAVEPOINT t;
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance) VALUES (4, 'w', '2024-01-01', 15, '330302', 5000);
SELECT num FROM credit._measured('loan_balance', '330000', '', '[2024-01-31,2024-02-01)');
ROLLBACK TO t;
SELECT a.num, b.num AS of_m, c.num AS of_none
  FROM credit._measured('loan_balance', '330000', '', '[2024-01-31,2024-02-01)') a,
       credit._measured('small_micro_borrower_count', '330000', 'm', '[2024-01-31,2024-02-01)') b,
       credit._measured('small_micro_borrower_count', '330000', 'no such', '[2024-01-31,2024-02-01)') c;
-- no figure: another day, a month without rows, a metric that no ledger has, a period without end
SELECT f.num FROM (VALUES ('loan_balance', '[2024-01-30,2024-01-31)'::daterange), ('loan_balance', '[2024-03-31,2024-04-01)'), ('loan_balance', '[2024-01-01,2024-02-01)'),
    ('no such metric', '[2024-01-31,2024-02-01)'), ('loan_balance', 'empty'), ('loan_balance', '(,2024-02-01)'), ('loan_balance', '[-infinity,infinity]')) v(metric, period),
    credit._measured(v.metric, '330000', '', v.period) f;
SELECT credit._ledger_periods('loan_balance', '330000', '-infinity', 'infinity'), credit._ledger_periods('loan_balance', '330000', '2024-01-31', '2024-02-28'),
       credit._ledger_periods('loan_balance', '640000', '-infinity', 'infinity');
-- flows: months one after the other, a distinct count over several counts once
INSERT INTO credit.loan_issue (institution_id, key, month, subject_id, region, amount, first_loan, annual_review)
SELECT 1, g::text, make_date(2024, m, 1), g, '330302', 10, true, true FROM (VALUES (1, 1), (1, 2), (2, 3), (1, 3), (1, 5)) v(g, m);
SELECT credit._next_piece('annual_review_loan_volume', '330300', '', '2024-01-01', '2024-12-31') AS reach,
       credit._next_piece('annual_review_loan_volume', '330300', '', '2024-01-01', '2024-02-15') AS whole_months,
       credit._next_piece('annual_review_loan_volume', '330300', '', '2024-04-01', '2024-12-31') AS gap,
       credit._next_piece('loan_balance', '330300', '', '2024-01-01', '2024-12-31') AS stock;
SELECT m, p, f.num, f.used -> 0 ->> 'source' AS source, f.used -> 0 ->> 'version' AS version FROM unnest('{annual_review_loan_volume,new_first_loan_borrower_count}'::text[]) m,
    unnest('{"[2024-01-01,2024-04-01)","[2024-03-01,2024-04-01)","[2024-03-01,2024-06-01)"}'::daterange[]) p, credit._measured(m, '330300', '', p) f ORDER BY 1, 2;
-- more regions than are held at a time
SELECT count(*), sum(f.num) FROM (SELECT ('3303' || lpad((g % 20)::text, 2, '0'))::credit.region_code AS r FROM generate_series(1, 100) g) x,
    credit._measured('loan_balance', x.r, '', '[2024-01-31,2024-02-01)') f;
ROLLBACK;

-- A snapshot that is kept sees no later change, and the next one does.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT credit._ledger_periods('loan_balance', '330302', '-infinity', 'infinity');
SAVEPOINT s;
INSERT INTO credit.loan_balance (institution_id, key, month, region, balance) VALUES (4, 'w', '2024-01-01', '330302', 5000);
SELECT credit._ledger_periods('loan_balance', '330302', '-infinity', 'infinity');
ROLLBACK TO s;
SELECT credit._ledger_periods('loan_balance', '330302', '-infinity', 'infinity');
ROLLBACK;
