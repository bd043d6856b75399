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
-- a compound rate: parts of the change that the base should have made, in the proportion of the gap of the rate
SELECT credit.create_pack($pack$
{"pack_id": "drive", "title_zh": "归因", "title_en": "drivers", "region": "330200", "start_date": "2020-01-01",
 "metrics": [{"code": "d_stock", "unit": "count", "additivity": "stock", "name_zh": "存量", "name_en": "stock"},
             {"code": "d_flow", "unit": "count", "additivity": "flow", "name_zh": "流量", "name_en": "flow"}],
 "targets": [
  {"code": "D-01", "clause": "一", "name_zh": "年均增速", "name_en": "yearly rate", "metric": "loan_balance", "form": "cagr", "base": "start", "comparator": ">=", "value": 0.1, "unit": "ratio", "due_date": "2024-12-31"},
  {"code": "D-02", "clause": "二", "name_zh": "每季度", "name_en": "each quarter", "metric": "d_flow", "form": "flow", "rule": "each", "per": "quarter", "comparator": ">=", "value": 20, "unit": "count", "due_date": "2022-12-31"},
  {"code": "D-03", "clause": "三", "name_zh": "组合", "name_en": "composite", "metric": "d_stock", "form": "count", "comparator": ">=", "value": 2, "unit": "count", "tag": "composite",
   "members": [["D-02", "D-05"], ["D-04"], ["D-05"]], "due_date": "2022-12-31"},
  {"code": "D-04", "clause": "四", "name_zh": "存量", "name_en": "stock", "metric": "d_stock", "form": "level", "comparator": ">=", "value": 5, "unit": "count", "due_date": "2022-12-31"},
  {"code": "D-05", "clause": "五", "name_zh": "另一存量", "name_en": "another stock", "metric": "d_stock", "form": "level", "comparator": ">=", "value": 50, "unit": "count", "due_date": "2022-12-31"},
  {"code": "D-06", "clause": "六", "name_zh": "年均下降", "name_en": "yearly fall", "metric": "loan_balance", "form": "reduction", "base": "start", "yearly": true, "comparator": ">=", "value": 0.1, "unit": "ratio", "baseline": 500, "baseline_date": "2018-12-31", "due_date": "2024-12-31"},
  {"code": "D-07", "clause": "七", "name_zh": "入园授信", "name_en": "credited tenants", "metric": "park_tenant_credit_share", "form": "share", "comparator": ">=", "value": 0.7, "unit": "ratio", "due_date": "2024-12-31"},
  {"code": "D-08", "clause": "八", "name_zh": "园区数", "name_en": "parks", "metric": "park_count", "form": "count", "comparator": ">=", "value": 4, "unit": "count", "due_date": "2024-12-31"}]}
$pack$);
INSERT INTO credit.loan_balance (institution_id, key, month, region, product, balance)
VALUES (1, 'a', '2021-12-01', '330203', 'p', 150), (2, 'c', '2021-12-01', '330205', 'q', 340);
SELECT actual, gap, status FROM credit.target_status('drive', '2021-12-31') WHERE code = 'D-01';
SELECT member, base, actual, change, gap FROM credit.target_drivers('drive', 'D-01', '2021-12-31');
-- by hand: 490 less 400 * 1.1^2 is 6, of which the first has 150 - 200 * 1.21 = -92 and the other 98
SELECT member, gap, round((SELECT s.gap FROM credit.target_status('drive', '2021-12-31') s WHERE s.code = 'D-01') * x / 6, 12) AS by_hand
  FROM credit.target_drivers('drive', 'D-01', '2021-12-31') JOIN (VALUES ('330203', -92.0), ('330205', 98)) h(m, x) ON h.m = member ORDER BY member;
SELECT sum(t.gap) = min(s.gap) AS adds_up, count(*) FROM credit.target_status('drive', '2021-12-31') s, credit.target_drivers('drive', 'D-06', '2021-12-31') t WHERE s.code = 'D-06';
-- exactly on the rate nobody is to blame, yet some are ahead of others
SAVEPOINT s;
UPDATE credit.loan_balance SET balance = 334 WHERE month = '2021-12-01' AND key = 'c';
SELECT member, gap FROM credit.target_drivers('drive', 'D-01', '2021-12-31');
ROLLBACK TO s;
-- each period: the worst one
SELECT credit.observe(jsonb_agg(jsonb_build_object('metric', 'd_flow', 'region', r, 'period_start', d, 'period_end', (d + interval '3 months')::date - 1, 'value', v, 'source', 's')))
  FROM (VALUES ('330200', DATE '2020-01-01', 25), ('330203', '2020-01-01', 15), ('330205', '2020-01-01', 10), ('330200', '2020-04-01', 12), ('330203', '2020-04-01', 9),
               ('330205', '2020-04-01', 2), ('330200', '2020-07-01', 19), ('330203', '2020-07-01', 19)) x(r, d, v);
SELECT actual, gap FROM credit.target_status('drive', '2020-12-31') WHERE code = 'D-02';
SELECT member, actual, gap FROM credit.target_drivers('drive', 'D-02', '2020-12-31');
-- a flow is compared with the year before
SAVEPOINT s;
SELECT credit.observe(jsonb_agg(jsonb_build_object('metric', 'd_flow', 'region', r, 'period_start', '2019-04-01', 'period_end', '2019-06-30', 'value', v, 'source', 's')))
  FROM (VALUES ('330200', 10), ('330203', 4), ('330205', 6)) x(r, v);
SELECT member, base, actual, change, gap FROM credit.target_drivers('drive', 'D-02', '2020-12-31');
ROLLBACK TO s;
-- composite: its members. D-04 has what its goal gives, D-05 what two goals lack, D-02 half of that of one
SELECT credit.observe('d_stock', '330200', date '2022-12-31', 10, 's');
SELECT actual, target, gap, status FROM credit.target_status('drive', '2022-12-31') WHERE code = 'D-03';
SELECT member, name, actual, gap FROM credit.target_drivers('drive', 'D-03', '2022-12-31');
SELECT sum(gap) FROM credit.target_drivers('drive', 'D-03', '2022-12-31', dimension => 'member');
-- stars of parks
INSERT INTO credit.park (institution_id, key, month, region, star)
VALUES (1, 'a', '2021-12-01', '330203', 5), (1, 'b', '2021-12-01', '330203', 4), (1, 'c', '2021-12-01', '330205', NULL), (1, 'd', '2021-12-01', '330205', 4);
INSERT INTO credit.park_tenant (institution_id, key, month, subject_id, region, park, star, credited)
VALUES (1, 'a', '2021-12-01', 1, '330203', 'a', 5, true), (1, 'b', '2021-12-01', 2, '330203', 'b', 4, true), (1, 'c', '2021-12-01', 3, '330205', 'b', 4, false),
       (1, 'd', '2021-12-01', 4, '330205', 'c', NULL, false), (1, 'e', '2021-12-01', 1, '330205', 'd', 4, true);
SELECT member, actual, gap FROM credit.target_drivers('drive', 'D-08', '2021-12-31', dimension => 'star');
SELECT member, actual, gap FROM credit.target_drivers('drive', 'D-07', '2021-12-31', dimension => 'star');
SELECT s.gap, (SELECT sum(t.gap) FROM credit.target_drivers('drive', 'D-07', '2021-12-31', dimension => 'star') t) AS stars FROM credit.target_status('drive', '2021-12-31') s WHERE s.code = 'D-07';
-- who had no tenants before has no rate that changed: by hand 0.75 * 0.5 and -0.5 * (0.75 - 0.5), and 0 and 0.75 * (1/3 - 0.5)
SAVEPOINT s;
INSERT INTO credit.park_tenant (institution_id, key, month, subject_id, region, park, star, credited)
VALUES (1, 'a', '2019-12-01', 1, '330203', 'a', 5, true), (1, 'b', '2019-12-01', 2, '330203', 'b', 4, false);
SELECT member, base, actual, change, rate_effect, mix_effect FROM credit.target_drivers('drive', 'D-07', '2021-12-31');
ROLLBACK TO s;
-- nothing anywhere: the whole gap is of no member
SELECT member, actual, gap FROM credit.target_drivers('zhejiang-2020', 'ZJ-06', '2021-12-31');
-- whatever can be broken down adds up to the gap
CREATE TEMP TABLE tried (pack text, code text, dimension text, state text, differs numeric);
DO $$
DECLARE
    t record;
    d text;
    day date;
    g numeric;
BEGIN
    FOREACH day IN ARRAY '{2021-07-15,2021-12-31}'::date[] LOOP
        FOR t IN SELECT p.pack_id, s.code, s.gap FROM credit.pack p CROSS JOIN LATERAL credit.target_status(p.pack_id, day) s WHERE p.pack_id IN ('drive', 'ningbo-2020', 'zhejiang-2020') LOOP
            FOREACH d IN ARRAY '{region,institution,segment,product,star,member}'::text[] LOOP
                BEGIN
                    SELECT sum(x.gap) INTO g FROM credit.target_drivers(t.pack_id, t.code, day, dimension => d) x;
                    INSERT INTO tried VALUES (t.pack_id, t.code, d, 'told', g - t.gap);
                EXCEPTION WHEN SQLSTATE 'PC523' OR SQLSTATE 'PC524' THEN
                    INSERT INTO tried VALUES (t.pack_id, t.code, d, sqlstate, 0);
                END;
            END LOOP;
        END LOOP;
    END LOOP;
END
$$;
SELECT state, count(*) > 10 AS many, count(*) FILTER (WHERE differs IS DISTINCT FROM 0) AS differ FROM tried GROUP BY state ORDER BY state;
-- deliveries: of a row that was corrected the one that did it last, of another those that brought new rows of the month
CREATE ROLE drivers_bank;
GRANT credit_provider TO drivers_bank;
SELECT count(credit.register_institution('drivers_bank', '驱动银行', 'Bank', 'commercial_bank', 'drivers_bank'));
SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS before FROM credit.batch_batch_id_seq \gset
SET LOCAL ROLE drivers_bank;
SELECT inserted, updated, unchanged FROM credit.deliver('loan_balance', '2020-06-30', '[{"key": "a", "region": "330203", "balance": 1, "enterprise": true, "product": "p"},
    {"key": "b", "region": "330203", "balance": 2, "enterprise": true, "private": true, "product": "p"}, {"key": "c", "region": "330203", "balance": 3, "enterprise": true, "product": "p"}]');
SELECT inserted, updated, unchanged FROM credit.deliver('loan_balance', '2020-06-30', '[{"key": "a", "region": "330203", "balance": 1, "enterprise": true, "product": "p"}]');
SELECT inserted, updated, unchanged FROM credit.deliver('loan_balance', '2020-06-30', '[{"key": "a", "region": "330203", "balance": 10, "enterprise": true, "product": "p"}]');
SELECT inserted, updated, unchanged FROM credit.deliver('guarantee', '2020-06-30', '[{"key": "g", "region": "330203", "balance": 1}]');
SELECT inserted, updated, unchanged FROM credit.deliver('guarantee', '2020-06-30', '[{"key": "g", "region": "330203", "balance": 2}, {"key": "h", "region": "330203", "balance": 2}]');
SELECT inserted, updated, unchanged FROM credit.deliver('loan_balance', '2020-06-30', '[{"key": "a", "region": "330203", "balance": 10, "enterprise": true, "product": "p"},
    {"key": "b", "region": "330203", "balance": 2, "enterprise": true, "private": true, "product": "p"}]', complete => true);
SELECT inserted, updated, unchanged FROM credit.deliver('loan_balance', '2020-06-30', '[{"key": "c", "region": "330203", "balance": 4, "enterprise": true, "product": "p"}]');
SELECT inserted, updated, unchanged FROM credit.deliver('loan_balance', '2020-05-30', '[{"key": "d", "region": "330203", "balance": 5, "enterprise": true, "product": "p"}]');
SELECT inserted, updated, unchanged FROM credit.deliver('loan_balance', '2020-06-30', '[{"key": "a", "region": "330203", "balance": 11, "enterprise": true, "product": "p"}]');
RESET ROLE;
-- a: corrected by the third, and again by the ninth; b: the first or the seventh, not those for guarantees; c: taken away by the sixth
-- and brought anew by the seventh
SELECT l.metric, l.key, l.value, ARRAY(SELECT b - :before FROM unnest(l.batches) b) AS deliveries
  FROM credit.target_lineage('ningbo-2020', 'NB-03', '2020-07-15') l WHERE l.month = '2020-06-01' ORDER BY 1, 2;
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
-- from its day on; never of a time before the pack or after its targets
SELECT d AS day, last_day, days_late FROM unnest('{2023-01-09,2023-01-10}'::date[]) d, credit.figures_due(d) f WHERE f.metric = 'financing_matchmaking_event_count' ORDER BY 1;
SELECT count(*) AS too_early FROM credit.pack p, credit.figures_due(p.start_date + 20) f WHERE f.region::text = p.region::text;
SELECT count(*) AS too_late FROM credit.figures_due('2045-01-20');
-- part of a flow is not enough, of a stock any day of the period is
SAVEPOINT s;
SELECT credit.observe('financing_matchmaking_event_count', '330200', '2022-01-01', '2022-06-30', 3, 'u'), credit.observe('export_insurance_platform_covered_count', '330300', '2022-11-15'::date, 3, 'u');
SELECT metric FROM credit.figures_due('2023-01-20') WHERE metric IN ('financing_matchmaking_event_count', 'export_insurance_platform_covered_count', 'export_insurance_platform_population_count') ORDER BY 1;
ROLLBACK TO s;
SELECT credit.remind_figures('2023-01-20') > 0 AS sent, credit.remind_figures('2023-01-20') AS again;
SELECT credit.observe('financing_matchmaking_event_count', '330200', '2022-01-01', '2022-12-31', 3, 'u');
SELECT count(*) FROM credit.figures_due('2023-01-20') WHERE metric = 'financing_matchmaking_event_count' AND region::text = '330200';
-- bad input
\set VERBOSITY sqlstate
\set ON_ERROR_ROLLBACK on
SELECT credit.target_drivers('ningbo-2020', 'NB-03', '2021-07-15', dimension => 'park');
SELECT credit.target_drivers('ningbo-2020', 'NB-01', '2021-07-15', dimension => 'region');
SELECT credit.target_drivers('ningbo-2020', 'NB-01', '2021-07-15');
SELECT credit.target_drivers('ningbo-2020', 'NB-03', '2021-07-15', dimension => 'member');
SELECT credit.target_drivers('ningbo-2020', 'NB-03', '2021-07-15', dimension => 'star');
SELECT credit.target_drivers('drive', 'D-04', '2022-12-31', dimension => 'star');
SELECT credit.target_drivers('drive', 'D-02', '2020-01-31');
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
