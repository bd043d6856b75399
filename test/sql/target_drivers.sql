-- Targets judged by the ledgers: precedence, conflicts, drivers that add up, lineage, due figures and reminders.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
BEGIN;
DELETE FROM credit.observation;
INSERT INTO credit.region (code, name_zh, level) VALUES ('330200', '宁波市', 'city'), ('330203', '海曙区', 'county'),
    ('330205', '江北区', 'county') ON CONFLICT DO NOTHING;
UPDATE credit.region SET parent = NULL, retired = false, successor = NULL WHERE code::text LIKE '3302%';
-- NB-03: loans to private enterprises / loans to enterprises >= 0.6; the base is the end of 2019
INSERT INTO credit.loan_balance (institution_id, key, month, region, segment, product, balance, enterprise, private)
VALUES (1, 'a', '2019-12-01', '330203', '', 'p', 100, true, true), (1, 'b', '2019-12-01', '330203', '', 'p', 100, true, false),
       (2, 'c', '2019-12-01', '330205', '', 'q', 200, true, false),
       (1, 'a', '2021-06-01', '330203', '', 'p', 250, true, true), (1, 'b', '2021-06-01', '330203', '', 'p', 50, true, false),
       (2, 'c', '2021-06-01', '330205', '', 'q', 90, true, false), (2, 'd', '2021-06-01', '330205', '', 'q', 10, true, true);
SELECT actual, target, gap, status, jsonb_path_query_array(figures, '$[*].version') AS versions, figures -> 0 ->> 'source' AS source
  FROM credit.target_status('ningbo-2020', '2021-07-15') WHERE code = 'NB-03';
SELECT actual, status FROM credit.target_status('ningbo-2020', '2021-07-15', '330205') WHERE code = 'NB-03';
SELECT * FROM credit.target_drivers('ningbo-2020', 'NB-03', '2021-07-15');
SELECT d, sum(t.gap) AS gap, sum(t.change) AS change, sum(t.rate_effect + t.mix_effect) AS effects
  FROM unnest('{region,institution,segment,product}'::text[]) d, credit.target_drivers('ningbo-2020', 'NB-03', '2021-07-15', dimension => d) t
 GROUP BY d ORDER BY d;
SELECT metric, version, month, key, value FROM credit.target_lineage('ningbo-2020', 'NB-03', '2021-07-15')
 WHERE month = '2021-06-01';
SELECT count(*) FROM credit.target_lineage('ningbo-2020', 'NB-03', '2021-07-15', max_rows => 2);
-- a reported figure of the same day does not count unless the metric prefers it
SELECT credit.observe('private_enterprise_loan_balance', '330200', date '2021-06-30', 390, 'bank');
SELECT actual FROM credit.target_status('ningbo-2020', '2021-07-15') WHERE code = 'NB-03';
SELECT metric, region, last_day, reported, measured, difference, used, source FROM credit.figure_conflict;
SELECT credit.set_precedence('private_enterprise_loan_balance', 'reported', 'the ledger is being completed');
SELECT actual FROM credit.target_status('ningbo-2020', '2021-07-15') WHERE code = 'NB-03';
SELECT used FROM credit.figure_conflict;
SELECT metric, source, figure, reported_by IS NOT NULL AS by, reported_at IS NOT NULL AS at
  FROM credit.target_lineage('ningbo-2020', 'NB-03', '2021-07-15') WHERE source = 'bank';
-- a new version judges from then on, the old one stays
SELECT credit.define_source('enterprise_loan_balance', 'sum', 'loan_balance', '[{"column": "product", "in": ["p"]}]', 'balance');
SELECT actual, jsonb_path_query_array(figures, '$[*].version') AS versions
  FROM credit.target_status('ningbo-2020', '2021-07-15') WHERE code = 'NB-03';
SELECT credit.measure('enterprise_loan_balance', '330200', '2021-06-30', version => 1) AS first, credit.measure('enterprise_loan_balance', '330200', '2021-06-30') AS second;
-- projection: the line through four quarters, at the due date
SELECT credit.observe(jsonb_agg(jsonb_build_object('metric', 'private_enterprise_loan_share', 'region', '330300', 'as_of', d, 'value', v, 'source', 's')))
  FROM (VALUES ('2020-12-31', 0.40), ('2021-03-31', 0.42), ('2021-06-30', 0.44), ('2021-09-30', 0.46)) x(d, v);
SELECT actual, projected FROM credit.target_status('ningbo-2020', '2021-09-30', '330300') WHERE code = 'NB-03';
-- each metric of the packs has one definition
SELECT count(DISTINCT t.metric) AS metrics,
       count(DISTINCT t.metric) FILTER (WHERE (d.ledger IS NOT NULL)::int + (m.operation IS NOT NULL)::int
                                              + (d.reported_by IS NOT NULL AND d.due_days IS NOT NULL)::int = 1) AS defined
  FROM credit.target t JOIN credit.metric m ON m.code = t.metric JOIN credit.metric_definition d ON d.metric = t.metric
 WHERE t.shipped;
-- due figures: told once
SELECT unit, region, first_day, last_day, due_day, days_late FROM credit.figures_due('2023-01-20') WHERE metric = 'financing_matchmaking_event_count' ORDER BY region::text;
SELECT credit.remind_figures('2023-01-20') > 0 AS sent, credit.remind_figures('2023-01-20') AS again;
SELECT credit.observe('financing_matchmaking_event_count', '330200', '2022-01-01', '2022-12-31', 3, 'u');
SELECT count(*) FROM credit.figures_due('2023-01-20') WHERE metric = 'financing_matchmaking_event_count' AND region::text = '330200';
-- bad input
\set VERBOSITY sqlstate
\set ON_ERROR_ROLLBACK on
SELECT credit.target_drivers('ningbo-2020', 'NB-03', '2021-07-15', dimension => 'park');
SELECT credit.target_drivers('ningbo-2020', 'NB-01', '2021-07-15');
SELECT credit.target_drivers('ningbo-2020', 'NB-03', '2010-07-15');
SELECT credit.target_drivers('ningbo-2020', 'NB-99', '2021-07-15');
SELECT credit.target_drivers('none', 'NB-03', '2021-07-15');
SELECT credit.target_drivers('ningbo-2020', 'NB-03', 'infinity');
SELECT credit.target_drivers('ningbo-2020', 'NB-03', '2021-07-15', '990000');
SELECT credit.target_lineage('ningbo-2020', 'NB-03', '2021-07-15', max_rows => 0);
SELECT credit.set_precedence('loan_balance', 'both', 'x');
SELECT credit.set_precedence('no_such', 'reported', 'x');
SELECT credit.figures_due(NULL);
SELECT credit.remind_figures('2999-01-01');
ROLLBACK;
