-- met, on_track, behind, missed, no_data: paths, stale figures, figures that contradict, windows, composites.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
SET client_min_messages = notice;
BEGIN;
DELETE FROM credit.observation;
-- WZ-01: 5000亿 at end-2022; without a base figure there is no path
SELECT credit.observe('inclusive_small_micro_loan_balance', '330300', '2022-06-30', 450000000000, 'test');
PREPARE wz(date) AS
    SELECT code, actual, required, status, why, why_zh FROM credit.target_status('wenzhou-2022', $1)
     WHERE code IN ('WZ-01', 'WZ-02', 'WZ-03') ORDER BY code;
EXECUTE wz('2022-07-15');
-- with the base at end-2021 the path stands at its own date
SELECT credit.observe('inclusive_small_micro_loan_balance', '330300', '2021-12-31', 416667000000, 'test');
EXECUTE wz('2022-07-15');
SELECT credit.observe('inclusive_small_micro_loan_balance', '330300', '2022-06-30', 460000000000, 'test');
EXECUTE wz('2022-07-15');
-- on the due date and after it only a figure of the due month counts: the one of June is stale
EXECUTE wz('2022-12-31');
SELECT credit.observe('inclusive_small_micro_loan_balance', '330300', '2022-12-31', 499999999999.99, 'test');
EXECUTE wz('2022-12-31');
EXECUTE wz('2023-01-01');
-- and a later one comes too late
SELECT credit.observe('inclusive_small_micro_loan_balance', '330300', '2023-01-31', 520000000000, 'test');
EXECUTE wz('2023-02-01');
SELECT credit.observe('inclusive_small_micro_loan_balance', '330300', '2022-12-31', 500000000000, 'test');
EXECUTE wz('2023-02-01');
-- before the due date a figure speaks for max_age_days
SELECT code, status, why FROM credit.target_status('wenzhou-2022', '2024-06-30') WHERE code = 'WZ-03';
SELECT code, status FROM credit.target_status('wenzhou-2022', '2024-02-02') WHERE code = 'WZ-03';
-- the figures used are all there
SELECT jsonb_pretty(figures) FROM credit.target_status('wenzhou-2022', '2023-02-01') WHERE code = 'WZ-02';

-- no base, a base of zero, a negative base: no_data with the reason, never an error
SELECT credit.observe('government_guarantee_balance', '330300', '2022-12-31', 22000000000, 'test');
PREPARE wz13 AS SELECT code, actual, status, why, why_zh FROM credit.target_status('wenzhou-2022', '2022-12-31') WHERE code IN ('WZ-12', 'WZ-13');
EXECUTE wz13;
SELECT credit.observe('government_guarantee_balance', '330300', '2021-12-31', 0, 'test');
EXECUTE wz13;
SELECT credit.observe('government_guarantee_balance', '330300', '2021-12-31', -5, 'test');
EXECUTE wz13;
SELECT credit.observe('government_guarantee_balance', '330300', '2021-12-31', 0.00000000000000000001, 'test');
SELECT credit.observe('government_guarantee_balance', '330300', '2022-12-31', 999999999999999999999999999999, 'test');
EXECUTE wz13;

-- shares and coverages: nothing below the line, more above than below it
PREPARE nb AS SELECT code, actual, status, why FROM credit.target_status('ningbo-2020', '2022-12-31') WHERE code IN ('NB-03', 'NB-15');
SELECT credit.observe('private_enterprise_loan_balance', '330200', '2022-12-31', 60, 'test');
SELECT credit.observe('enterprise_loan_balance', '330200', '2022-12-31', 0, 'test');
SELECT credit.observe('financial_education_school_covered_count', '330200', '2022-12-31', 101, 'test');
SELECT credit.observe('financial_education_school_population_count', '330200', '2022-12-31', 100, 'test');
EXECUTE nb;
SELECT credit.observe('enterprise_loan_balance', '330200', '2022-12-31', 100, 'test');
SELECT credit.observe('financial_education_school_covered_count', '330200', '2022-12-31', 90, 'test');
EXECUTE nb;

-- an average per year over three: pace before the end, met early when the whole sum is there, a gap is no_data
PREPARE nb09(date) AS SELECT code, actual, status, why FROM credit.target_status('ningbo-2020', $1) WHERE code = 'NB-09';
SELECT credit.observe('direct_financing_amount', '330200', '2020-01-01', '2020-12-31', 120000000000, 'test');
EXECUTE nb09('2021-03-01');
SELECT credit.observe('direct_financing_amount', '330200', '2021-01-01', '2021-06-30', 110000000000, 'test');
EXECUTE nb09('2021-07-01');
SELECT credit.observe('direct_financing_amount', '330200', '2022-01-01', '2022-12-31', 999000000000, 'test');
EXECUTE nb09('2023-01-01');
SELECT credit.observe('direct_financing_amount', '330200', '2021-07-01', '2021-12-31', 220000000000, 'test');
EXECUTE nb09('2022-02-01');
SELECT credit.observe('direct_financing_amount', '330200', '2021-07-01', '2021-12-31', 50000000000, 'test');
SELECT credit.observe('direct_financing_amount', '330200', '2022-01-01', '2022-12-31', 170000000000, 'test');
EXECUTE nb09('2023-01-01');
SELECT credit.observe('direct_financing_amount', '330200', '2022-01-01', '2022-12-31', 169999999999.99, 'test');
EXECUTE nb09('2023-01-01');

-- each year: an unfinished year does not count, a failed one does, one without a figure is named
PREPARE nb21(date) AS SELECT code, actual, status, why FROM credit.target_status('ningbo-2020', $1) WHERE code = 'NB-21';
SELECT credit.observe('financing_matchmaking_event_count', '330200', '2020-01-01', '2020-06-30', 60, 'test');
EXECUTE nb21('2020-12-30');
EXECUTE nb21('2020-12-31');
SELECT credit.observe('financing_matchmaking_event_count', '330200', '2020-07-01', '2020-12-31', 40, 'test');
EXECUTE nb21('2020-12-31');
SELECT credit.observe('financing_matchmaking_event_count', '330200', '2021-01-01', '2021-12-31', 99, 'test');
EXECUTE nb21('2022-12-31');
EXECUTE nb21('2023-01-01');

-- composite: four goals of ten members
PREPARE nb01(date) AS SELECT actual, status, why, figures FROM credit.target_status('ningbo-2020', $1) WHERE code = 'NB-01';
EXECUTE nb01('2022-12-31');
SELECT count(credit.observe(t.metric, '330200', '2022-12-31', 1, 'test'))
  FROM credit.target_member m JOIN credit.target t ON t.pack = m.pack AND t.code = m.member
 WHERE m.pack = 'ningbo-2020' AND m.member <> 'NB-15';
EXECUTE nb01('2022-12-31');
SELECT credit.observe('financial_education_community_coverage', '330200', '2022-12-31', 0.99, 'test');
EXECUTE nb01('2023-01-01');

-- milestones are met by a 1; what has no threshold shows its figure and stays no_data until one is set
SELECT credit.observe('inclusive_finance_system_built', '630000', '2020-12-31', 1, 'test');
SELECT credit.observe('payment_system_area_coverage', '630000', '2020-12-31', 0.97, 'test');
PREPARE qh AS SELECT code, actual, target, status, why FROM credit.target_status('qinghai-2016', '2020-12-31') WHERE code IN ('QH-01', 'QH-06', 'QH-13');
EXECUTE qh;
SELECT credit.set_target('qinghai-2016', 'QH-13', '{"comparator": ">=", "value": 0.95}', 'threshold of this platform');
EXECUTE qh;

-- D-30: the figures of the jurisdiction are those without Ningbo, unless the operator decides otherwise
SELECT credit.observe('small_micro_renewal_balance', '330000', '2020-12-31', 310000000000, 'whole province');
PREPARE zj AS SELECT code, actual, status, why FROM credit.target_status('zhejiang-2020', '2021-01-01') WHERE code = 'ZJ-26';
EXECUTE zj;
SELECT credit.set_target('zhejiang-2020', 'ZJ-26', '{"segment": ""}', 'Ningbo counts');
EXECUTE zj;
SELECT credit.set_target('zhejiang-2020', 'ZJ-26', '{}', 'back to the pack');
SELECT credit.observe('small_micro_renewal_balance', '330000', '2020-12-31', 300000000000, 'regulator', 'excluding_ningbo');
EXECUTE zj;

-- a relative gap needs both sides; five counties against the city
SELECT credit.observe(r) FROM (SELECT $$ [
  {"metric": "loan_balance", "region": "330300", "as_of": "2023-12-31", "value": 100, "source": "t"},
  {"metric": "loan_balance", "region": "330300", "as_of": "2024-12-31", "value": 110, "source": "t"},
  {"metric": "loan_balance", "region": "330300", "segment": "mountain_counties", "as_of": "2023-12-31", "value": 30, "source": "t"}
] $$::jsonb) v(r);
PREPARE gap AS SELECT code, actual, status, why FROM credit.target_status('wenzhou-2022', '2024-12-31') WHERE code = 'WZ-04';
EXECUTE gap;
SELECT credit.observe('loan_balance', '330300', '2024-12-31', 33, 'test', 'mountain_counties');
EXECUTE gap;
SELECT credit.observe('loan_balance', '330300', '2024-12-31', 33.0000000001, 'test', 'mountain_counties');
EXECUTE gap;
-- ends of months meet across a leap year
SELECT credit._base_period('[2025-02-28,2025-02-28]', 'previous_year', NULL), credit._base_period('[2024-02-29,2024-02-29]', 'previous_year', NULL),
       credit._base_period('[2024-02-01,2024-02-29]', 'previous_year', NULL), credit._base_period('[2020-06-30,2020-06-30]', 'year_start', NULL);
ROLLBACK;
\set VERBOSITY sqlstate
SELECT * FROM credit.target_status('no-such-pack', '2022-12-31');
SELECT * FROM credit.target_status('ningbo-2020', 'infinity');
SELECT * FROM credit.target_status('ningbo-2020', NULL);
SELECT * FROM credit.target_status('ningbo-2020', '2022-12-31', '999999');
