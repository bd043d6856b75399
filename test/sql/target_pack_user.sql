-- A sixth city writes its plan as JSON: checked, compared with its next version, adopted, judged. No code is needed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
BEGIN;
-- all faults at once, each with its place
SELECT * FROM credit.check_pack('{"pack_id": "sixth-2024", "title_zh": "第六市方案", "title_en": "Plan of the sixth city", "region": "120000", "start_date": "2024-01-01", "colour": 1,
  "metrics": [{"code": "six_lines", "unit": "count", "additivity": "heap", "name_zh": "授信户", "name_en": "Lines", "operation": "sum", "left_metric": "nowhere"}],
  "targets": [{"code": "SX-01", "clause": "一", "name_zh": "甲", "name_en": "A", "metric": "no_such", "form": "shape", "comparator": "~", "value": 1, "due_date": "2023-01-01", "max_age_days": -1, "extra": 2},
              {"code": "SX-01", "clause": "一", "name_zh": "乙", "name_en": "B", "metric": "bank_count", "form": "growth", "base": "zero", "comparator": ">=", "members": []}]}');
-- version 1
\set v1 '{"pack_id": "sixth-2024", "title_zh": "第六市方案", "title_en": "Plan of the sixth city", "region": "120000", "start_date": "2024-01-01", "metrics": [{"code": "six_lines", "unit": "count", "additivity": "stock", "name_zh": "授信户数", "name_en": "Lines"}, {"code": "six_all", "unit": "count", "additivity": "stock", "name_zh": "全部户数", "name_en": "All"}, {"code": "six_share", "unit": "ratio", "additivity": "ratio", "name_zh": "授信比例", "name_en": "Share", "operation": "ratio", "left_metric": "six_lines", "right_metric": "six_all"}], "targets": [{"code": "SX-01", "clause": "一", "name_zh": "授信比例", "name_en": "Share with a line", "metric": "six_share", "form": "share", "comparator": ">=", "value": 0.5, "unit": "ratio", "due_date": "2024-12-31"}, {"code": "SX-02", "clause": "二", "name_zh": "授信户数", "name_en": "Lines", "metric": "six_lines", "form": "count", "comparator": ">=", "value": 1000, "unit": "count", "baseline": 0, "baseline_date": "2023-12-31", "due_date": "2025-12-31"}]}'
\set v2 '{"pack_id": "sixth-2025", "title_zh": "第六市方案（修订）", "title_en": "Plan of the sixth city", "region": "120000", "start_date": "2024-01-01", "targets": [{"code": "SX-02", "clause": "二", "name_zh": "授信户数", "name_en": "Lines", "metric": "six_lines", "form": "count", "comparator": ">=", "value": 1500, "unit": "count", "baseline": 0, "baseline_date": "2023-12-31", "due_date": "2025-12-31"}, {"code": "SX-03", "clause": "三", "name_zh": "全部户数", "name_en": "All", "metric": "six_all", "form": "count", "comparator": ">=", "value": 3000, "unit": "count"}]}'
SELECT count(*) AS problems FROM credit.check_pack(:'v1');
SELECT credit.create_pack(:'v1');
SELECT count(*) AS problems FROM credit.check_pack(:'v2');
-- compared as written, before the second is stored, and as stored
SELECT path, change, old_value, CASE WHEN jsonb_typeof(new_value) = 'object' THEN new_value -> 'code' ELSE new_value END AS new_value
  FROM credit.diff_pack(:'v1'::jsonb, :'v2'::jsonb) WHERE path NOT LIKE 'metrics%';
SELECT count(*) AS same FROM credit.diff_pack(:'v1'::jsonb, :'v1'::jsonb);
SELECT credit.create_pack(:'v2');
SELECT path, change FROM credit.diff_pack('sixth-2024', 'sixth-2025');
-- what is stored can be taken elsewhere: without what is understood it is the same
SELECT count(*) AS differs FROM credit.diff_pack(credit.pack_definition('sixth-2024'), :'v1'::jsonb)
 WHERE NOT (path ~ '^targets' AND new_value IS NULL AND path ~ '\.(tag|segment|yearly|max_age_days)$') AND path <> 'draft';
-- so is each shipped pack
SELECT pack_id, (SELECT count(*) FROM credit.check_pack(credit.pack_definition(pack_id) || '{"pack_id": "again"}')) AS problems
  FROM credit.pack WHERE shipped ORDER BY pack_id;
-- adopted, and later replaced
SELECT credit.adopt_pack('sixth-2024', '120000', '2024-01-01');
SELECT credit.adopt_pack('sixth-2024', '120000', '2024-01-01');     -- once more is the same
SELECT credit.adopt_pack('sixth-2025', '120000', '2025-01-01', 'sixth-2024');
SELECT region, pack, adopted_from, adopted_until, replaces FROM credit.pack_adoption ORDER BY adopted_from;
\set VERBOSITY sqlstate
SAVEPOINT s; SELECT credit.adopt_pack('sixth-2024', '120000', '2024-06-01'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.adopt_pack('sixth-2025', '310000', '2025-01-01', 'sixth-2024'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.adopt_pack('nothing', '310000', '2025-01-01'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.adopt_pack('sixth-2025', '310000', 'infinity'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.drop_pack('sixth-2025'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.diff_pack('[]'::jsonb, '{}'::jsonb); ROLLBACK TO s;
\set VERBOSITY default
-- judged
SELECT credit.observe('six_lines', '120000', date '2024-06-30', 280, 'bureau'), credit.observe('six_all', '120000', date '2024-06-30', 600, 'bureau');
SELECT code, actual, target, required, status FROM credit.target_status('sixth-2024', '2024-06-30');
SELECT code, actual, target, required, status FROM credit.target_status('sixth-2025', '2024-06-30');
-- what if: judged otherwise, kept nowhere
SELECT code, actual, status, what_if_actual, what_if_status FROM credit.target_what_if('sixth-2024',
    '[{"metric": "six_lines", "region": "120000", "as_of": "2024-06-30", "value": 320, "source": "if"}]', '2024-06-30');
SELECT value FROM credit.observation WHERE metric = 'six_lines';
SELECT count(*) FROM credit.observation_history WHERE metric = 'six_lines';
\set VERBOSITY sqlstate
SAVEPOINT s; SELECT * FROM credit.target_what_if('sixth-2024', '[{"metric": "six_lines"}]', '2024-06-30'); ROLLBACK TO s;
\set VERBOSITY default
SELECT count(*) FROM credit.observation_rejected WHERE given = '{"metric": "six_lines"}';
-- a path of given points in place of the straight line: through 300 at the end of June, 500 a year on
SELECT credit.set_path('sixth-2024', 'SX-02', '{"2024-06-30": 300, "2025-06-30": 500}', 'the plan says so');
SELECT code, actual, required, status FROM credit.target_status('sixth-2024', '2024-06-30') WHERE code = 'SX-02';
SELECT credit.set_path('sixth-2024', 'SX-02', '{"2024-06-30": 280, "2025-06-30": 500}', 'corrected');
SELECT code, actual, required, status FROM credit.target_status('sixth-2024', '2024-06-30') WHERE code = 'SX-02';
-- between two points, and from the last one to the target
SELECT credit.observe('six_lines', '120000', date '2024-12-30', 390, 'bureau');
SELECT required FROM credit.target_status('sixth-2024', '2024-12-30') WHERE code = 'SX-02';
SELECT round(280 + 220 * (date '2024-12-30' - date '2024-06-30')::numeric / (date '2025-06-30' - date '2024-06-30'), 12) AS by_hand;
SELECT credit.set_path('sixth-2024', 'SX-02', '{}', 'straight again');
SELECT code, actual, required, status FROM credit.target_status('sixth-2024', '2024-06-30') WHERE code = 'SX-02';
-- by season: two years with much in the second quarter and nothing in the third, and each year of the window goes like them
SELECT credit.observe('six_lines', '120000', d::date, v, 'history')
  FROM (VALUES ('2021-12-31', 0), ('2022-03-31', 10), ('2022-06-30', 60), ('2022-09-30', 60), ('2022-12-31', 100),
               ('2023-03-31', 140), ('2023-06-30', 240), ('2023-09-30', 240), ('2023-12-31', 300)) h(d, v) \g /dev/null
SELECT jsonb_pretty(credit.seasonal_path('sixth-2024', 'SX-02')) AS path;
-- 0 to 1000 in two years; shares of a year: (0.1 + 0.2) / 2, (0.6 + 0.7) / 2, the same, 1
SELECT array_agg(500 * (y + s) ORDER BY y, s) AS by_hand FROM generate_series(0, 1) y, unnest(ARRAY[0.15, 0.65, 0.65, 1]) s WHERE y + s < 2;
SELECT credit.set_path('sixth-2024', 'SX-02', credit.seasonal_path('sixth-2024', 'SX-02'), 'seasonal');
SELECT code, actual, required, status FROM credit.target_status('sixth-2024', '2024-06-30') WHERE code = 'SX-02';
-- a year in which nothing changed has no seasons, and counts for nothing
SELECT credit.observe('six_lines', '120000', d::date, 0, 'history')
  FROM unnest('{2020-12-31,2021-03-31,2021-06-30,2021-09-30}'::text[]) d \g /dev/null
SELECT credit.seasonal_path('sixth-2024', 'SX-02', years => 3) = credit.seasonal_path('sixth-2024', 'SX-02', years => 2) AS same;
\set VERBOSITY sqlstate
SAVEPOINT s; SELECT credit.seasonal_path('sixth-2024', 'SX-01'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.seasonal_path('sixth-2024', 'SX-02', '310000'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.seasonal_path('yixing-2023', 'YX-04'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.set_path('sixth-2024', 'SX-09', '{}', 'x'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.set_path('sixth-2024', 'SX-02', '{"soon": 1}', 'x'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.set_path('sixth-2024', 'SX-02', '{"2024-13-31": 1}', 'x'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.set_path('sixth-2024', 'SX-02', '{"2024-12-31": 1e40}', 'x'); ROLLBACK TO s;
-- a pack is adopted until its last day; once more means in place of the same; a pack is replaced after it was adopted
SELECT pack_id AS ends, valid_until AS last_day, valid_until + 1 AS too_late FROM credit.pack WHERE valid_until IS NOT NULL ORDER BY pack_id LIMIT 1 \gset
SELECT credit.adopt_pack(:'ends', '310000', :'last_day');
SAVEPOINT s; SELECT credit.adopt_pack(:'ends', '320000', :'too_late'); ROLLBACK TO s;
SELECT credit.adopt_pack('sixth-2024', '310000', '2024-01-01'), credit.adopt_pack('sixth-2025', '310000', '2025-01-01');
SAVEPOINT s; SELECT credit.adopt_pack('sixth-2025', '310000', '2025-01-01', 'sixth-2024'); ROLLBACK TO s;
SELECT credit.adopt_pack('sixth-2024', '320000', '2026-01-01');
SAVEPOINT s; SELECT credit.adopt_pack('sixth-2025', '320000', '2025-01-01', 'sixth-2024'); ROLLBACK TO s;
SELECT region, pack, adopted_from, adopted_until, replaces FROM credit.pack_adoption WHERE region::text IN ('310000', '320000') ORDER BY region::text, adopted_from;
\set VERBOSITY default
ROLLBACK;
