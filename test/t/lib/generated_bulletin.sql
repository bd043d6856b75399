-- A pack and three years of figures to look at: GENERATED, of a region whose code is assigned to nobody.
SELECT refused FROM credit.load_regions(rows => '[{"code": "990000", "name_zh": "示例省", "level": "province"},
    {"code": "990100", "name_zh": "示例市", "level": "city", "parent": "990000"},
    {"code": "990101", "name_zh": "东城区", "level": "county", "parent": "990100"},
    {"code": "990102", "name_zh": "河湾区", "level": "county", "parent": "990100"},
    {"code": "990121", "name_zh": "青山县", "level": "county", "parent": "990100"},
    {"code": "990122", "name_zh": "临港县", "level": "county", "parent": "990100"}]');
SELECT credit.create_pack($pack$
{"pack_id": "sample-2022", "title_zh": "示例市普惠金融三年行动方案（生成数据）", "title_en": "Sample City inclusive finance action plan (generated data)",
 "region": "990100", "document_number": "示例〔2021〕1号", "document_date": "2021-12-20", "start_date": "2022-01-01", "valid_until": "2024-12-31",
 "metrics": [
  {"code": "s_inclusive_balance", "unit": "CNY", "additivity": "stock", "name_zh": "普惠小微贷款余额", "name_en": "Inclusive small and micro loan balance"},
  {"code": "s_borrower_count", "unit": "count", "additivity": "stock", "name_zh": "授信户数", "name_en": "Enterprises with a credit line"},
  {"code": "s_population_count", "unit": "count", "additivity": "stock", "name_zh": "应覆盖户数", "name_en": "Enterprises to be covered"},
  {"code": "s_coverage", "unit": "ratio", "additivity": "ratio", "name_zh": "授信覆盖率", "name_en": "Credit-line coverage", "operation": "ratio", "left_metric": "s_borrower_count", "right_metric": "s_population_count"},
  {"code": "s_npl", "unit": "ratio", "additivity": "ratio", "name_zh": "普惠小微不良率", "name_en": "Bad loan ratio"},
  {"code": "s_rate", "unit": "ratio", "additivity": "ratio", "name_zh": "普惠小微贷款利率", "name_en": "Average lending rate"},
  {"code": "s_first_loans", "unit": "count", "additivity": "flow", "name_zh": "首贷户数", "name_en": "First-time borrowers"},
  {"code": "s_guarantee", "unit": "CNY", "additivity": "stock", "name_zh": "政府性融资担保余额", "name_en": "Government guarantee balance"},
  {"code": "s_registered", "unit": "count", "additivity": "stock", "name_zh": "平台注册企业数", "name_en": "Enterprises on the platform"},
  {"code": "s_villages", "unit": "ratio", "additivity": "ratio", "name_zh": "信用村占比", "name_en": "Share of credit villages"},
  {"code": "s_digital", "unit": "ratio", "additivity": "ratio", "name_zh": "数字支付覆盖率", "name_en": "Digital payment coverage"},
  {"code": "s_green", "unit": "CNY", "additivity": "stock", "name_zh": "绿色贷款余额", "name_en": "Green loan balance"},
  {"code": "s_training", "unit": "count", "additivity": "flow", "name_zh": "金融教育场次", "name_en": "Financial education events"},
  {"code": "s_ip_pledge", "unit": "CNY", "additivity": "flow", "name_zh": "知识产权质押融资额", "name_en": "IP-pledged financing"}],
 "targets": [
  {"code": "S-01", "clause": "二（一）", "name_zh": "普惠小微贷款余额", "name_en": "Inclusive small and micro loan balance", "metric": "s_inclusive_balance", "form": "level", "comparator": ">=", "value": 120000000000, "unit": "CNY", "due_date": "2024-12-31", "responsible_unit": "市金融办;人民银行市中心支行"},
  {"code": "S-02", "clause": "二（一）", "name_zh": "小微企业授信覆盖率", "name_en": "Credit-line coverage of small and micro enterprises", "metric": "s_coverage", "form": "coverage", "comparator": ">=", "value": 0.70, "unit": "ratio", "due_date": "2024-12-31", "responsible_unit": "市金融办"},
  {"code": "S-03", "clause": "二（二）", "name_zh": "普惠小微贷款不良率", "name_en": "Bad loan ratio of inclusive loans", "metric": "s_npl", "form": "level", "comparator": "<=", "value": 0.015, "unit": "ratio", "due_date": "2024-12-31", "responsible_unit": "市银保监分局"},
  {"code": "S-04", "clause": "二（二）", "name_zh": "普惠小微贷款平均利率", "name_en": "Average rate of inclusive loans", "metric": "s_rate", "form": "level", "comparator": "<=", "value": 0.045, "unit": "ratio", "due_date": "2024-12-31", "responsible_unit": "人民银行市中心支行"},
  {"code": "S-05", "clause": "二（三）", "name_zh": "三年新增首贷户", "name_en": "First-time borrowers over three years", "metric": "s_first_loans", "form": "flow", "rule": "total", "comparator": ">=", "value": 9000, "unit": "count", "due_date": "2024-12-31", "responsible_unit": "市金融办;市银保监分局"},
  {"code": "S-06", "clause": "三（一）", "name_zh": "政府性融资担保余额年均增速", "name_en": "Yearly growth of government guarantees", "metric": "s_guarantee", "form": "cagr", "comparator": ">=", "value": 0.20, "unit": "ratio", "due_date": "2024-12-31", "responsible_unit": "市财政局"},
  {"code": "S-07", "clause": "三（二）", "name_zh": "平台注册企业数", "name_en": "Enterprises registered on the platform", "metric": "s_registered", "form": "count", "comparator": ">=", "value": 30000, "unit": "count", "baseline": 6000, "baseline_date": "2021-12-31", "due_date": "2023-06-30", "responsible_unit": "市发展改革委"},
  {"code": "S-08", "clause": "三（三）", "name_zh": "信用村占比", "name_en": "Share of credit villages", "metric": "s_villages", "form": "share", "comparator": ">=", "value": 0.60, "unit": "ratio", "due_date": "2024-12-31", "responsible_unit": "市农业农村局"},
  {"code": "S-09", "clause": "四（一）", "name_zh": "数字支付覆盖率", "name_en": "Digital payment coverage", "metric": "s_digital", "form": "coverage", "comparator": ">=", "value": 0.95, "unit": "ratio", "due_date": "2024-12-31", "responsible_unit": "人民银行市中心支行"},
  {"code": "S-10", "clause": "四（二）", "name_zh": "绿色贷款同比增速", "name_en": "Green loan growth", "metric": "s_green", "form": "growth", "comparator": ">=", "value": 0.25, "unit": "ratio", "due_date": "2024-12-31", "responsible_unit": "人民银行市中心支行;市生态环境局"},
  {"code": "S-11", "clause": "五（一）", "name_zh": "每季度金融教育活动", "name_en": "Financial education events each quarter", "metric": "s_training", "form": "flow", "rule": "each", "per": "quarter", "comparator": ">=", "value": 20, "unit": "count", "due_date": "2024-12-31", "responsible_unit": "市教育局"},
  {"code": "S-12", "clause": "五（二）", "name_zh": "知识产权质押融资额", "name_en": "IP-pledged financing", "metric": "s_ip_pledge", "form": "flow", "rule": "total", "comparator": ">=", "value": 5000000000, "unit": "CNY", "due_date": "2024-12-31"}]}
$pack$);
-- quarter q from 0, the end of 2021, to 8, the end of 2023; the counties run ahead of the city or behind it
CREATE TEMP TABLE generated AS
SELECT r.region, r.size, r.pace, q, (date '2022-01-01' + make_interval(months => 3 * q))::date - 1 AS day,
       (date '2022-01-01' + make_interval(months => 3 * q - 3))::date AS first_day
  FROM (VALUES ('990100', 1.0, 1.0), ('990101', 0.4, 1.35), ('990102', 0.3, 1.1), ('990121', 0.2, 0.75), ('990122', 0.1, 0.5)) r(region, size, pace)
 CROSS JOIN generate_series(0, 8) q;
SELECT credit.observe(jsonb_agg(o)) IS NOT NULL AS observed FROM generated g CROSS JOIN LATERAL (VALUES
    ('s_inclusive_balance', round(g.size * (80e9 + 3.6e9 * g.q * g.pace + CASE g.q % 4 WHEN 2 THEN 9e8 ELSE 0 END))),
    ('s_population_count', round(g.size * 84000)),
    ('s_borrower_count', round(g.size * (31000 + 2050 * g.q * g.pace))),
    ('s_npl', round(0.0192 - 0.00028 * g.q * g.pace, 5)),
    ('s_rate', round(0.0561 - 0.0011 * g.q * g.pace - CASE g.q WHEN 8 THEN 0.003 ELSE 0 END, 4)),
    ('s_guarantee', round(g.size * 4.2e9 * power(1.052, g.q * g.pace))),
    ('s_registered', round(g.size * (6000 + 3350 * g.q * g.pace))),
    ('s_digital', round(least(0.81 + 0.0185 * g.q * g.pace, 0.99), 4)),
    ('s_green', round(g.size * 11e9 * power(1.062, g.q * g.pace)))) v(metric, value)
 CROSS JOIN LATERAL jsonb_build_object('metric', v.metric, 'region', g.region, 'as_of', g.day, 'value', v.value, 'source', 'generated') o
 WHERE NOT (v.metric = 's_registered' AND g.region = '990121') AND NOT (v.metric = 's_digital' AND g.region = '990122');
SELECT credit.observe(jsonb_agg(o)) IS NOT NULL AS observed FROM generated g CROSS JOIN LATERAL (VALUES
    ('s_first_loans', round(g.size * (640 + 38 * g.q))), ('s_training', 21 + (g.q * 7) % 5)) v(metric, value)
 CROSS JOIN LATERAL jsonb_build_object('metric', v.metric, 'region', g.region, 'period_start', g.first_day, 'period_end', g.day, 'value', v.value, 'source', 'generated') o
 WHERE g.q > 0 AND (v.metric <> 's_training' OR g.region = '990100');
SELECT credit.set_path('sample-2022', 'S-02', '{"2022-12-31": 0.45, "2023-12-31": 0.60}', 'points of the plan') ;
