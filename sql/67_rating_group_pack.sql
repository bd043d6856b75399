-- ---------------------------------------------------------------------------
-- 67 rating: the packs of the documents; rights of the room
-- ---------------------------------------------------------------------------
-- Data. What a document says is in scale, sources and parameters; what it does not say is nowhere here.

INSERT INTO credit.rating_pack (pack_id, title_zh, title_en, method, level, scale, parameters, sources, clause, note, shipped) VALUES
('R-01', '法人信用评价', 'Enterprise credit evaluation', 'scorecard', NULL, NULL, '{}', '{}', 'Yixing §一.(二).二',
 'Dynamic: see credit.set_dynamic. Scale, indicators and weights are the model''s.', true),
('R-02', '信用村', 'Credit village', 'rollup', 'village', '{5,4,3,2,1}', '{"members": "R-03"}', '{}', 'Yixing §一.(四).二',
 'Stars of a village rest on those of its households; how is not said.', true),
('R-03', '信用户', 'Credit household', 'scorecard', NULL, '{5,4,3,2,1}', '{}', '{}', 'Yixing §一.(四).二', NULL, true),
('R-04', '信用乡镇', 'Credit township', 'rollup', 'township', '{recognised,not_recognised}', '{}', '{}', 'Yixing §一.(四).二',
 'By a plan of another document (无锡市镇(街道)信用评价工作方案(试行)).', true),
('R-05.household', '信用户（四级）', 'Credit household of the hierarchy', 'scorecard', NULL, '{recognised,not_recognised}', '{}', '{}', 'Qinghai §三.(五).13', NULL, true),
('R-05.village', '信用村（四级）', 'Credit village of the hierarchy', 'rollup', 'village', '{recognised,not_recognised}', '{}', '{}', 'Qinghai §三.(五).13', NULL, true),
('R-05.township', '信用乡镇（四级）', 'Credit township of the hierarchy', 'rollup', 'township', '{recognised,not_recognised}', '{}', '{}', 'Qinghai §三.(五).13', NULL, true),
('R-05.county', '信用县区', 'Credit county of the hierarchy', 'rollup', 'county', '{recognised,not_recognised}', '{}', '{}', 'Qinghai §三.(五).13', NULL, true),
('R-10', '农户家庭资产负债表授信', 'Household balance sheet', 'balance_sheet', NULL, NULL, '{}',
 '{"assets": {"category": "household_assets_debts", "field": "assets"}, "debts": {"category": "household_assets_debts", "field": "debts"}, "income": {"category": "household_income", "field": "income"}}',
 'Wenzhou §三.(四).12', 'Based on net assets; income, character and the village''s opinion are taken into account.', true),
('R-11', '三有三无三不准', 'Nine conditions of a white list', 'conditions', NULL, NULL, '{"count": 9}', '{}', 'Yixing §一.(四).二',
 'Three times three by its name; the conditions are not listed.', true),
('R-13', '科创指数', 'Sci-tech innovation index', 'index', NULL, NULL, '{}',
 '{"ability": {"category": "innovation_dimensions", "field": "ability"}, "output": {"category": "innovation_dimensions", "field": "output"}, "integration": {"category": "innovation_dimensions", "field": "integration"}}',
 'Wenzhou §三.(一).2', 'Three aspects; their weights are not given.', true),
('R-15', '小微企业园星级', 'Park stars', 'recognised', NULL, '{5,4,3,other}', '{}', '{"grade": {"category": "park_rating", "field": "stars"}}',
 'Zhejiang §二.(一)', 'Recognised by provincial departments.', true),
('R-17', '亩均论英雄', 'Per-mu evaluation', 'recognised', NULL, '{A,B,C,D}', '{}', '{"grade": {"category": "per_mu_evaluation", "field": "class"}}',
 'Wenzhou 附则.1', 'The newest result at the application counts. C and D are named; A and B follow from the letters.', true),
('R-06', '信用区县（市）', 'Credit county or district', 'rollup', 'county', '{recognised,not_recognised}', '{}', '{}', 'Ningbo §四.(十一).26', 'By what is not said.', true),
('R-07', '民营小微企业、新型农业经营主体信用评价', 'Evaluation of small private enterprises and farm operators', 'scorecard', NULL, NULL, '{}', '{}', 'Ningbo §四.(十一).26', NULL, true),
('R-08', '涉农企业和农户信用评价', 'Evaluation of farm enterprises and households', 'scorecard', NULL, NULL, '{}', '{}', 'Yixing §四.(三).四',
 'By a group for evaluation: credit.submit_model, and a second person publishes.', true),
('R-09', '特色产业信用经营主体', 'Speciality-sector operator', 'scorecard', NULL, '{recognised,not_recognised}', '{}', '{}', 'Yixing §一.(四).二', NULL, true),
('R-12', '道德银行', 'Moral bank', 'scorecard', NULL, NULL, '{}', '{}', 'Ningbo §三.(八).18', 'Conduct, by its name; nothing else is said.', true),
('R-14', '“技术流”专属评价体系', 'Technology-flow evaluation', 'scorecard', NULL, NULL, '{}', '{}', 'Zhejiang §二.(二)',
 'Innovation ability is the core indicator: that the model weighs it most is for its reviewer to see.', true),
('R-18', '商户信用评定', 'Merchant credit grading', 'scorecard', NULL, NULL, '{}', '{}', 'Yixing §四.(三).六', NULL, true),
('R-19', '个体工商户信用评价', 'Evaluation of individual businesses', 'scorecard', NULL, NULL, '{}', '{}', 'Zhejiang §二.(四)', NULL, true),
('R-20', '信用认证等级', 'Enterprise credit certification', 'scorecard', NULL, NULL, '{}', '{}', 'Yixing §四.(三).八', 'Limits and rates by grade: credit.set_grade_terms.', true),
('R-21', '融资信用评价等级', 'Financing credit grade', 'scorecard', NULL, NULL, '{}', '{}', 'Yixing §四.(四).四',
 'Restored by a repair: credit.set_dynamic. Whether it is the grade of R-01 or R-20 is not said.', true),
('R-23', '红黑名单', 'Red and black lists', 'recognised', NULL, '{red,black}', '{}', '{"grade": {"category": "red_black_list", "field": "color"}}', 'Wenzhou §三.(五).16',
 'Which of two lists goes first is not said: the newest entry counts.', true),
('R-24', '金融机构、地方金融组织、从业人员信用评价', 'Evaluation of financial institutions and their staff', 'scorecard', NULL, NULL, '{}', '{}', 'Wenzhou §三.(五).16', NULL, true),
('R-36', '全民信用', 'Credit of persons', 'scorecard', NULL, NULL, '{}', '{}', 'Wenzhou §三.(五).16', NULL, true),
('R-37', '农牧户联保、动态激励', 'Farm households with joint guarantee and dynamic incentive', 'scorecard', NULL, NULL, '{}', '{}', 'Qinghai §三.(二).6', 'History of repayment.', true),
('tax_credit', '纳税信用等级', 'Tax credit class', 'recognised', NULL, '{A,B,M,C,D}', '{}', '{"grade": {"category": "tax_payment", "field": "tax_credit_class"}}',
 NULL, 'Classes of the tax authority; no document of the five names them.', true);

-- rights ------------------------------------------------------------------------

REVOKE ALL ON credit.rating_pack, credit.rating_adoption, credit.group_grade, credit.group_figure, credit.village_session, credit.village_result,
    credit.household_limit, credit.index_value, credit.approval_rule FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._group_guard(), credit._adoption_guard(), credit._method_parameters(text), credit._share(jsonb, numeric),
    credit._texts(jsonb), credit._bands_problem(jsonb, text[]), credit._parameter_problem(credit.rating_pack, text, jsonb),
    credit._parameter_problems(credit.rating_pack, jsonb, credit.region_code, date), credit._criterion_problem(jsonb, text, text[]),
    credit._bound(jsonb), credit._criteria_problem(jsonb, text, text[]), credit._regions_above(credit.region_code),
    credit._adoption_at(text, credit.region_code, date), credit.adopted_rating_packs(credit.region_code, date),
    credit._households(credit.region_code, date), credit._group_criteria(credit.rating_adoption, credit.region_code, date),
    credit._grade_left(text, jsonb, jsonb, text[]), credit._ratio_text(jsonb),
    credit.enter_group_figure(credit.region_code, text, date, numeric, text, date), credit._source_problem(text, jsonb), credit.check_rating_pack(jsonb),
    credit.create_rating_pack(jsonb), credit._rating_pack(text), credit.rating_parameters(text, credit.region_code, date), credit._source_indicator(text, text, jsonb),
    credit.adopt_rating_pack(text, jsonb, text, credit.region_code, date), credit._adopted(text, text[], credit.region_code, date), credit._rating_day(date), credit._day_end(date),
    credit._source_values(credit.rating_adoption, bigint, date), credit.recognised_grade(text, bigint, date),
    credit._member_grades(credit.region_code, credit.rating_adoption, date), credit.rate_group(text, credit.region_code, date),
    credit.group_grade_of(text, credit.region_code, date), credit._share_text(numeric), credit.explain_group(bigint),
    credit._village_guard(), credit._erase_household(), credit.open_village_session(text, credit.region_code, date, jsonb),
    credit._open_session(bigint), credit.enter_village_result(bigint, bigint, numeric, numeric, text[]),
    credit.confirm_village_session(bigint), credit.discard_village_session(bigint), credit.white_list(text, credit.region_code, date),
    credit.rate_household(bigint, date, text), credit.explain_limit(bigint), credit.rate_index(bigint, date, text),
    credit.explain_index(bigint), credit.set_approval(text, text[]), credit._approval_group(text, text, text, bigint, timestamptz),
    credit._approval_key(text), credit.approval_by_group(text, text, date, date, text, numeric) FROM PUBLIC;
GRANT SELECT ON credit.rating_pack, credit.rating_adoption TO credit_operator, credit_institution, credit_analyst, credit_auditor;
GRANT SELECT ON credit.approval_rule TO credit_operator, credit_analyst, credit_auditor;
GRANT SELECT ON credit.group_grade, credit.group_figure, credit.village_session, credit.village_result, credit.household_limit, credit.index_value TO credit_operator;
GRANT EXECUTE ON FUNCTION credit.check_rating_pack(jsonb), credit.create_rating_pack(jsonb), credit.adopt_rating_pack(text, jsonb, text, credit.region_code, date),
    credit.recognised_grade(text, bigint, date), credit.rate_group(text, credit.region_code, date), credit.explain_group(bigint),
    credit.confirm_village_session(bigint), credit.white_list(text, credit.region_code, date), credit.rate_household(bigint, date, text),
    credit.explain_limit(bigint), credit.rate_index(bigint, date, text), credit.explain_index(bigint), credit.set_approval(text, text[])
    TO credit_operator;
GRANT EXECUTE ON FUNCTION credit.enter_group_figure(credit.region_code, text, date, numeric, text, date) TO credit_operator;
GRANT EXECUTE ON FUNCTION credit.rating_parameters(text, credit.region_code, date), credit.adopted_rating_packs(credit.region_code, date) TO credit_operator, credit_institution, credit_analyst, credit_auditor;
GRANT EXECUTE ON FUNCTION credit.group_grade_of(text, credit.region_code, date) TO credit_operator, credit_institution, credit_analyst;
GRANT EXECUTE ON FUNCTION credit.approval_by_group(text, text, date, date, text, numeric) TO credit_operator, credit_analyst;
-- entered at the counter, confirmed by an operator
GRANT EXECUTE ON FUNCTION credit.open_village_session(text, credit.region_code, date, jsonb),
    credit.enter_village_result(bigint, bigint, numeric, numeric, text[]), credit.discard_village_session(bigint)
    TO credit_operator, credit_portal;
