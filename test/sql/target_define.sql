-- A sixth city needs no code: packs and settings of the operator, and what is refused.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
SET client_min_messages = notice;
BEGIN;
CREATE TEMP TABLE city AS SELECT $$ {
  "pack_id": "tianjin-2030", "title_zh": "天津市普惠金融方案", "title_en": "Tianjin plan", "region": "120000",
  "document_number": "测试〔2030〕1号", "start_date": "2030-01-01",
  "metrics": [{"code": "tj_village_count", "unit": "count", "additivity": "stock", "name_zh": "信用村数", "name_en": "Credit villages"}],
  "targets": [
    {"code": "TJ-01", "clause": "一", "name_zh": "信用村", "name_en": "Credit villages", "metric": "tj_village_count",
     "form": "count", "comparator": ">=", "value": 100, "unit": "count", "due_date": "2030-12-31", "baseline": 60, "baseline_date": "2029-12-31"},
    {"code": "TJ-02", "clause": "二", "name_zh": "新增首贷户", "name_en": "First loans", "metric": "new_first_loan_borrower_count",
     "form": "flow", "rule": "each", "per": "month", "comparator": ">=", "value": 10, "unit": "households", "tag": "cadence"},
    {"code": "TJ-03", "clause": "三", "name_zh": "两项", "name_en": "Both", "metric": "full_coverage_goals_met", "form": "count",
     "comparator": "=", "value": 2, "unit": "count", "tag": "composite", "members": [["TJ-01"], ["TJ-02"]]},
    {"code": "TJ-04", "clause": "四", "name_zh": "增长", "name_en": "Growth without a number", "metric": "tj_village_count",
     "form": "growth", "base": "start", "unit": "ratio", "tag": "qualitative"}]
} $$::jsonb AS pack;
SELECT * FROM city CROSS JOIN LATERAL credit.check_pack(city.pack);
SELECT credit.create_pack(pack) FROM city;
SELECT credit.observe('tj_village_count', '120000', '2030-03-31', 70, 't'), credit.observe('tj_village_count', '120000', '2029-12-31', 60, 't'),
       credit.observe('new_first_loan_borrower_count', '120000', '2030-01-01', '2030-01-31', 10, 't'),
       credit.observe('new_first_loan_borrower_count', '120000', '2030-02-01', '2030-02-28', 12, 't');
SELECT code, actual, target, required, status, why FROM credit.target_status('tianjin-2030', '2030-03-15');
SELECT credit.observe('new_first_loan_borrower_count', '120000', '2030-03-01', '2030-03-31', 11, 't');
SELECT code, actual, target, required, status, status_zh, why FROM credit.target_status('tianjin-2030', '2030-03-31');
SELECT credit.observe('tj_village_count', '120000', '2030-03-31', 100, 't');
SELECT code, actual, target, status FROM credit.target_status('tianjin-2030', '2030-03-31');
SELECT code, base, rule, per, tag, segment, shipped, position FROM credit.target WHERE pack = 'tianjin-2030' ORDER BY position;
SAVEPOINT s;
\set VERBOSITY sqlstate
SELECT credit.create_pack(pack) FROM city;
\set VERBOSITY default
ROLLBACK TO s;
-- settings: judged otherwise, back again
SELECT credit.set_target('tianjin-2030', 'TJ-01', '{"value": 101, "comparator": ">"}', 'council decision');
SELECT code, target, comparator, status FROM credit.target_status('tianjin-2030', '2030-03-31') WHERE code = 'TJ-01';
SELECT value FROM credit.target WHERE code = 'TJ-01';
SELECT value FROM credit.effective_target WHERE code = 'TJ-01';
SELECT credit.set_target('tianjin-2030', 'TJ-01', '{}', 'withdrawn');
SELECT count(*) FROM credit.target_setting WHERE pack = 'tianjin-2030';
SELECT credit.set_target('tianjin-2030', 'TJ-01', '{"value": 101}', 'council decision');
SELECT credit.drop_pack('tianjin-2030');
SELECT (SELECT count(*) FROM credit.pack WHERE pack_id = 'tianjin-2030') AS packs,
       (SELECT count(*) FROM credit.target WHERE pack = 'tianjin-2030') AS targets,
       (SELECT count(*) FROM credit.target_setting WHERE pack = 'tianjin-2030') AS settings,
       (SELECT count(*) FROM credit.observation WHERE metric = 'tj_village_count') AS figures;
ROLLBACK;

-- everything that is wrong is named at once, by its place
SELECT * FROM credit.check_pack($$ {
  "pack_id": "bad", "title_zh": "坏", "title_en": "Bad", "region": "999999", "start_date": "2030-01-01", "colour": "red",
  "metrics": [{"code": "bad_metric", "unit": "count", "additivity": "heap", "name_zh": "x", "name_en": "x"}, 7,
              {"code": "bad_ratio", "unit": "ratio", "additivity": "ratio", "name_zh": "x", "name_en": "x", "operation": "ratio",
               "left_metric": "bank_count", "right_metric": "no_such_metric"},
              {"code": "bank_count", "unit": "count", "additivity": "stock", "name_zh": "x", "name_en": "x"}],
  "targets": [
    {"code": "A", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "no_such_metric", "form": "level", "comparator": ">=", "value": 1},
    {"code": "B", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "size", "comparator": ">=", "value": 1},
    {"code": "C", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "level", "comparator": "=>", "value": 1},
    {"code": "D", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "level"},
    {"code": "E", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "flow", "comparator": ">=", "value": 1},
    {"code": "F", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "cagr", "comparator": ">=", "value": -2},
    {"code": "G", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "level", "comparator": ">=", "value": "many"},
    {"code": "H", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "level", "comparator": ">=", "value": "NaN"},
    {"code": "I", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "level", "comparator": ">=", "value": 1, "due_date": "2030-02-30"},
    {"code": "J", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "level", "comparator": ">=", "value": 1, "due_date": "2029-12-31"},
    {"code": "K", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "count", "comparator": "=", "value": 1, "tag": "composite", "members": [["L"]]},
    {"code": "K", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "level", "comparator": ">=", "value": 1},
    {"code": "M", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "new_first_loan_borrower_count", "form": "flow", "rule": "each", "comparator": ">=", "value": 1},
    {"code": "N", "clause": "1", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "level", "comparator": ">=", "value": 1, "baseline": 3},
    {"code": "O", "name_zh": "x", "name_en": "x", "metric": "bank_count", "form": "level", "comparator": ">=", "value": 1},
    "P"]
} $$);
SELECT * FROM credit.check_pack('[]');
SELECT * FROM credit.check_pack('{"pack_id": "x"}');
\set VERBOSITY sqlstate
SELECT credit.create_pack('{"pack_id": "x"}');
SELECT credit.create_pack(NULL);
SELECT credit.drop_pack('ningbo-2020');
SELECT credit.drop_pack('no-such-pack');
SELECT credit.set_target('ningbo-2020', 'NB-99', '{}', 'r');
SELECT credit.set_target('ningbo-2020', 'NB-01', '{"colour": 1}', 'r');
SELECT credit.set_target('ningbo-2020', 'NB-03', '{"value": null}', 'r');
SELECT credit.set_target('ningbo-2020', 'NB-03', '{"value": 0.7}', '');
SELECT credit.set_target('ningbo-2020', 'NB-09', '{"rule": "each", "per": null}', 'r');
