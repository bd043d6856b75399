-- The arithmetic of every form, at and next to the edge. Values and cross-checks are those of the measures' worked table.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
SET client_min_messages = notice;
BEGIN;
SELECT credit.create_pack($$ {
  "pack_id": "test-forms", "title_zh": "测试", "title_en": "Test", "region": "110000", "start_date": "2020-01-01",
  "metrics": [
    {"code": "t_flow", "unit": "CNY", "additivity": "flow", "name_zh": "流量", "name_en": "flow"},
    {"code": "t_part", "unit": "CNY", "additivity": "stock", "name_zh": "部分", "name_en": "part"},
    {"code": "t_whole", "unit": "CNY", "additivity": "stock", "name_zh": "全体", "name_en": "whole"},
    {"code": "t_share", "unit": "ratio", "additivity": "ratio", "name_zh": "占比", "name_en": "share",
     "operation": "ratio", "left_metric": "t_part", "right_metric": "t_whole"},
    {"code": "t_growth", "unit": "ratio", "additivity": "ratio", "name_zh": "增速", "name_en": "growth",
     "operation": "growth", "left_metric": "t_whole", "growth_base": "previous_year"},
    {"code": "t_gap", "unit": "ratio_points", "additivity": "ratio", "name_zh": "增速差", "name_en": "gap",
     "operation": "difference", "left_metric": "t_growth", "right_metric": "t_growth"},
    {"code": "t_balance", "unit": "CNY", "additivity": "stock", "name_zh": "余额", "name_en": "balance"},
    {"code": "t_rate", "unit": "ratio", "additivity": "ratio", "name_zh": "利率", "name_en": "rate"},
    {"code": "t_reached", "unit": "count", "additivity": "stock", "name_zh": "已覆盖", "name_en": "reached"},
    {"code": "t_members", "unit": "count", "additivity": "stock", "name_zh": "应覆盖", "name_en": "members"},
    {"code": "t_coverage", "unit": "ratio", "additivity": "ratio", "name_zh": "覆盖率", "name_en": "coverage",
     "operation": "ratio", "left_metric": "t_reached", "right_metric": "t_members"}],
  "targets": [
    {"code": "flow", "clause": "F", "name_zh": "年均", "name_en": "average flow", "metric": "t_flow", "form": "flow",
     "rule": "average", "comparator": ">=", "value": 1500, "unit": "CNY", "due_date": "2022-12-31"},
    {"code": "share", "clause": "F", "name_zh": "占比", "name_en": "share", "metric": "t_share", "form": "share",
     "comparator": ">=", "value": 0.1195, "unit": "ratio", "due_date": "2022-12-31"},
    {"code": "growth", "clause": "F", "name_zh": "增长", "name_en": "growth", "metric": "t_part", "form": "growth",
     "comparator": ">=", "value": 0.6845, "unit": "ratio", "due_date": "2022-12-31"},
    {"code": "gap", "clause": "F", "name_zh": "增速差", "name_en": "gap", "metric": "t_gap", "form": "gap",
     "comparator": ">", "value": 0, "unit": "ratio_points", "due_date": "2022-12-31", "comparison_region": "330000"},
    {"code": "cagr", "clause": "F", "name_zh": "年均增长", "name_en": "cagr", "metric": "t_balance", "form": "cagr",
     "comparator": ">=", "value": 0.20, "unit": "ratio", "due_date": "2022-12-31"},
    {"code": "cagr_above", "clause": "F", "name_zh": "高于", "name_en": "cagr above", "metric": "t_balance", "form": "cagr",
     "comparator": ">", "value": 0.20, "unit": "ratio", "due_date": "2022-12-31"},
    {"code": "doubling", "clause": "F", "name_zh": "倍增", "name_en": "doubling", "metric": "t_balance", "form": "growth",
     "base": "start", "comparator": ">=", "value": 1.00, "unit": "ratio", "due_date": "2022-12-31"},
    {"code": "cumulative", "clause": "F", "name_zh": "累计新增", "name_en": "cumulative", "metric": "t_balance",
     "form": "cumulative", "comparator": ">=", "value": 3000, "unit": "CNY", "due_date": "2022-12-31",
     "segment": "cumulative"},
    {"code": "coverage", "clause": "F", "name_zh": "覆盖", "name_en": "coverage", "metric": "t_coverage", "form": "coverage",
     "comparator": ">=", "value": 0.60, "unit": "ratio", "due_date": "2022-12-31"},
    {"code": "fall", "clause": "F", "name_zh": "降幅", "name_en": "relative reduction", "metric": "t_rate",
     "form": "reduction", "yearly": true, "start_date": "2021-01-01", "comparator": ">=", "value": 0.03, "unit": "ratio",
     "due_date": "2022-12-31"},
    {"code": "points", "clause": "F", "name_zh": "百分点", "name_en": "reduction in points", "metric": "t_rate",
     "form": "reduction", "segment": "points", "comparator": ">=", "value": 0.005, "unit": "ratio_points",
     "due_date": "2022-12-31"},
    {"code": "average", "clause": "F", "name_zh": "户均", "name_en": "average", "metric": "t_coverage", "form": "average",
     "segment": "average", "comparator": ">=", "value": 144706, "unit": "CNY", "due_date": "2022-12-31"},
    {"code": "share_above", "clause": "F", "name_zh": "超过", "name_en": "share above", "metric": "t_share", "form": "share",
     "segment": "edge", "comparator": ">", "value": 0.10, "unit": "ratio", "due_date": "2022-12-31"},
    {"code": "level", "clause": "F", "name_zh": "水平", "name_en": "level", "metric": "t_whole", "form": "level",
     "comparator": ">", "value": 262416000000, "unit": "CNY", "due_date": "2022-12-31"},
    {"code": "count", "clause": "F", "name_zh": "数量", "name_en": "count", "metric": "t_members", "form": "count",
     "segment": "count", "comparator": "=", "value": 31, "unit": "count", "due_date": "2022-12-31"}]
} $$);
PREPARE status AS
    SELECT code, round(actual, 9) AS actual, target, gap, status FROM credit.target_status('test-forms', '2022-12-31');
SELECT credit.observe(r) FROM (SELECT $$ [
  {"metric": "t_flow", "region": "110000", "period_start": "2020-01-01", "period_end": "2020-12-31", "value": 1200, "source": "t"},
  {"metric": "t_flow", "region": "110000", "period_start": "2021-01-01", "period_end": "2021-12-31", "value": 1600, "source": "t"},
  {"metric": "t_flow", "region": "110000", "period_start": "2022-01-01", "period_end": "2022-12-31", "value": 1700, "source": "t"},
  {"metric": "t_part", "region": "110000", "as_of": "2022-12-31", "value": 31361000000, "source": "t"},
  {"metric": "t_part", "region": "110000", "as_of": "2021-12-31", "value": 18617000000, "source": "t"},
  {"metric": "t_whole", "region": "110000", "as_of": "2022-12-31", "value": 262416000000, "source": "t"},
  {"metric": "t_growth", "region": "110000", "as_of": "2022-12-31", "value": 0.1930, "source": "t"},
  {"metric": "t_growth", "region": "330000", "as_of": "2022-12-31", "value": 0.1457, "source": "t"},
  {"metric": "t_balance", "region": "110000", "as_of": "2019-12-31", "value": 1000000.01, "source": "t"},
  {"metric": "t_balance", "region": "110000", "as_of": "2022-12-31", "value": 1728000.01728, "source": "t"},
  {"metric": "t_balance", "segment": "cumulative", "region": "110000", "as_of": "2019-12-31", "value": 4166.67, "source": "t"},
  {"metric": "t_balance", "segment": "cumulative", "region": "110000", "as_of": "2022-12-31", "value": 7166.67, "source": "t"},
  {"metric": "t_reached", "region": "110000", "as_of": "2022-12-31", "value": 19, "source": "t"},
  {"metric": "t_members", "region": "110000", "as_of": "2022-12-31", "value": 31, "source": "t"},
  {"metric": "t_members", "segment": "count", "region": "110000", "as_of": "2022-12-31", "value": 31, "source": "t"},
  {"metric": "t_rate", "region": "110000", "as_of": "2020-12-31", "value": 0.052, "source": "t"},
  {"metric": "t_rate", "region": "110000", "as_of": "2022-12-31", "value": 0.0489268, "source": "t"},
  {"metric": "t_rate", "segment": "points", "region": "110000", "as_of": "2019-12-31", "value": 0.0600, "source": "t"},
  {"metric": "t_rate", "segment": "points", "region": "110000", "as_of": "2022-12-31", "value": 0.0550, "source": "t"},
  {"metric": "t_reached", "segment": "average", "region": "110000", "as_of": "2022-12-31", "value": 313000000, "source": "t"},
  {"metric": "t_members", "segment": "average", "region": "110000", "as_of": "2022-12-31", "value": 2163, "source": "t"},
  {"metric": "t_part", "segment": "edge", "region": "110000", "as_of": "2022-12-31", "value": 200000000000, "source": "t"},
  {"metric": "t_whole", "segment": "edge", "region": "110000", "as_of": "2022-12-31", "value": 2000000000000, "source": "t"}
] $$::jsonb) v(r);
EXECUTE status;
-- the next figure on the other side of each edge
SELECT credit.observe(r) FROM (SELECT $$ [
  {"metric": "t_flow", "region": "110000", "period_start": "2022-01-01", "period_end": "2022-12-31", "value": 1699.99, "source": "c"},
  {"metric": "t_balance", "region": "110000", "as_of": "2022-12-31", "value": 1728000.01727999999999999999, "source": "c"},
  {"metric": "t_balance", "segment": "cumulative", "region": "110000", "as_of": "2022-12-31", "value": 7166.66, "source": "c"},
  {"metric": "t_reached", "region": "110000", "as_of": "2022-12-31", "value": 18, "source": "c"},
  {"metric": "t_rate", "region": "110000", "as_of": "2022-12-31", "value": 0.04892680000000000001, "source": "c"},
  {"metric": "t_rate", "segment": "points", "region": "110000", "as_of": "2022-12-31", "value": 0.05500001, "source": "c"},
  {"metric": "t_whole", "segment": "edge", "region": "110000", "as_of": "2022-12-31", "value": 1999999999999.99, "source": "c"},
  {"metric": "t_whole", "region": "110000", "as_of": "2022-12-31", "value": 262416000000.01, "source": "c"},
  {"metric": "t_growth", "region": "330000", "as_of": "2022-12-31", "value": 0.1930, "source": "c"},
  {"metric": "t_members", "segment": "count", "region": "110000", "as_of": "2022-12-31", "value": 32, "source": "c"}
] $$::jsonb) v(r);
EXECUTE status;
-- growth worked out from balances is preferred to the reported one, and a doubling is one
SELECT credit.observe('t_whole', '110000', '2021-12-31', 219963000000, 'derived base');
SELECT credit.observe('t_balance', '110000', '2022-12-31', 2000000.02, 'c');
SELECT code, round(actual, 9) AS actual, status, jsonb_array_length(figures) AS figures
  FROM credit.target_status('test-forms', '2022-12-31') WHERE code IN ('gap', 'doubling', 'cagr');
ROLLBACK;

-- the worked table, figure by figure
SELECT round(313.61 / 2624.16, 6) AS share, round(127.44 / (313.61 - 127.44), 6) AS growth,
       round(credit.base_of_growth(2624.16, 0.1930), 2) AS base, 0.1930 - 0.0473 AS gap_base,
       round(credit.annual_rate(2, 1, 36), 4) AS doubling, round(313000000 / 2163.0, 2) AS average;
SELECT credit.compare_annual_rate(1.728, 1, 36, 0.2) AS exact, credit.compare_annual_rate(1.7280000000000000000001, 1, 36, 0.2) AS above,
       credit.compare_annual_rate(1.7279999999999999999999, 1, 36, 0.2) AS below,
       credit.compare_annual_rate(1.21, 1, 24, 0.1) AS two_years, credit.compare_annual_rate(1.1, 1, 6, 0.21) AS half_a_year,
       credit.compare_annual_rate(0, 1, 12, -1) AS all_lost;
SELECT 0.052 * 0.97 AS first_year, 0.052 * 0.97 * 0.97 AS second_year, round(credit.annual_rate(300, 220, 24), 4) AS wenzhou,
       30000 / 0.20 AS yixing, credit.compare_annual_rate(0.0489268, 0.052, 24, -0.03) AS falls_by_three_percent;
SELECT 200000000000 / 0.10 AS zhejiang_renewal, 450000000000 / 0.12 AS zhejiang_credit;
SELECT credit.base_of_growth(5, -1) AS no_base, credit.annual_rate(1, 0, 12) AS no_rate;
\set VERBOSITY sqlstate
SELECT credit.compare_annual_rate('NaN', 1, 12, 0);
SELECT credit.compare_annual_rate(1, 0, 12, 0);
SELECT credit.compare_annual_rate(1, 1, 0, 0);
SELECT credit.compare_annual_rate(1, 1, 1201, 0);
SELECT credit.compare_annual_rate(1, 1, 12, -1.1);
