-- Bulletins: frozen figures, their page in two languages, corrections as new issues, CSV.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
BEGIN;
-- hostile names wherever a name can stand
INSERT INTO credit.region (code, name_zh, level, parent) VALUES ('990100', '<b>市</b>', 'city', '990000'), ('990101', '=甲&"区"', 'county', '990100');
SELECT credit.create_pack($pack$
{"pack_id": "hostile", "title_zh": "</title><script>alert(1)</script>", "title_en": "<img src=x onerror=alert(1)> & 'co'", "region": "990100",
 "document_number": "\"><svg onload=alert(2)>", "document_date": "2022-01-01", "start_date": "2022-01-01",
 "metrics": [{"code": "h_stock", "unit": "</style><i>", "additivity": "stock", "name_zh": "<u>存量</u>", "name_en": "<u>stock</u>"},
             {"code": "h_share", "unit": "ratio", "additivity": "ratio", "name_zh": "比例", "name_en": "share"}],
 "targets": [
  {"code": "H-01", "clause": "=1+1", "name_zh": "=cmd|' /C calc'!A0", "name_en": "@SUM(A1)<script>", "metric": "h_stock", "form": "level", "comparator": ">=", "value": 100, "unit": "</style><i>", "baseline": 0, "baseline_date": "2021-12-31", "due_date": "2023-12-31", "responsible_unit": "+甲\"单位<b>;-乙;<script>丙"},
  {"code": "H-02", "clause": "二", "name_zh": "比例\u202e倒", "name_en": "share\u202ereversed", "metric": "h_share", "form": "share", "comparator": "<=", "value": 0.1, "unit": "ratio", "due_date": "2023-12-31"},
  {"code": "H-03", "clause": "三", "name_zh": "无数据", "name_en": "nothing", "metric": "h_stock", "segment": "<s>", "form": "level", "comparator": ">=", "value": 5, "due_date": "2024-12-31", "responsible_unit": "-乙"}]}
$pack$);
SELECT credit.observe(jsonb_agg(jsonb_build_object('metric', m, 'region', '990100', 'as_of', d, 'value', v, 'source', '<src>'))) IS NOT NULL AS observed
  FROM (VALUES ('h_stock', '2022-03-31', 10), ('h_stock', '2022-06-30', 20), ('h_stock', '2022-09-30', 33), ('h_stock', '2022-12-31', 40),
               ('h_share', '2022-12-31', -0.05)) o(m, d, v);
SELECT credit.observe('h_share', '990101', date '2022-12-31', 0.3, 'generated');
CREATE TEMP TABLE page AS SELECT 'zh' AS language, credit.bulletin('hostile', '2022Q4', 'zh', note => '<note> & "quoted"') AS html;
INSERT INTO page SELECT 'en', credit.bulletin('hostile', '2022Q4', 'en');
SELECT pack, region, quarter, issue, as_of, length(digest) AS digest FROM credit.bulletin WHERE pack = 'hostile';     -- one issue, two languages
-- numbers equal the status, and projection is least squares by hand
SELECT count(*) AS differs FROM credit.bulletin_figure f JOIN credit.bulletin b USING (bulletin_id)
  FULL JOIN credit.target_status('hostile', '2022-12-31') s ON s.code = f.code AND f.region::text = '990100'
 WHERE b.pack = 'hostile' AND f.region::text = '990100'
   AND (f.actual, f.target, f.gap, f.required, f.status, f.why, f.due_date, credit._unversioned(f.figures)) IS DISTINCT FROM (s.actual, s.target, s.gap, s.required, s.status, s.why, s.due_date, s.figures);
SELECT f.region, f.code, f.actual, f.required, f.status, f.projected, f.lacking FROM credit.bulletin_figure f JOIN credit.bulletin b USING (bulletin_id) WHERE b.pack = 'hostile' ORDER BY f.region::text, f.position;
SELECT round((regr_slope(v, d) * (date '2023-12-31' - date '2000-01-01') + regr_intercept(v, d))::numeric, 4) AS by_hand
  FROM (VALUES (date '2022-03-31' - date '2000-01-01', 10), (date '2022-06-30' - date '2000-01-01', 20), (date '2022-09-30' - date '2000-01-01', 33), (date '2022-12-31' - date '2000-01-01', 40)) x(d, v);
SELECT e ->> 'quarter' AS quarter, e ->> 'actual' AS actual, e ->> 'status' AS status FROM credit.bulletin_figure f, jsonb_array_elements(f.trend) e WHERE f.code = 'H-01' AND f.region::text = '990100';
-- one page for itself: no script, nothing from elsewhere, nothing of what was written came through as markup
SELECT language, html ~* '<script|<link|<img|@import|<[a-z][^<>]*\s(src|href|on[a-z]+) *=|https?:' AS foreign_parts, html ~ 'url\((?!#)' AS urls,
       html ~* '<(b>市|u>|i>|s>|src>|note>|svg onload)' AS markup, html ~ U&'\202E' AS reversed, position('</style>' IN html) = length(html) - length(split_part(html, '</style>', 2)) - 7 AS one_style,
       html LIKE '<!DOCTYPE html><html lang="%' AND html LIKE '%</html>' AS whole, xpath_exists('//html', replace(regexp_replace(regexp_replace(html, '<!DOCTYPE html>', ''), '<meta ([^>]*)>', '<meta \1/>', 'g'), '<br>', '<br/>')::xml) AS well_formed
  FROM page ORDER BY language;
SELECT language, (SELECT string_agg(x.y, ' | ') FROM (SELECT (xpath('normalize-space(string(.))', h))[1]::text AS y
         FROM unnest(xpath('//h1|//h2|//h3', replace(regexp_replace(regexp_replace(html, '<!DOCTYPE html>', ''), '<meta ([^>]*)>', '<meta \1/>', 'g'), '<br>', '<br/>')::xml)) h) x) AS headings
  FROM page ORDER BY language;
SELECT language, count(*) AS drawings FROM page, regexp_matches(html, 'role="img" aria-label="[^"]+"', 'g') GROUP BY language ORDER BY language;
-- CSV: text never begins like a formula, numbers stay numbers
SELECT replace(trim(leading chr(65279) FROM credit.bulletin_csv('hostile', '2022Q4', 'en')), E'\r', '') AS csv;
SELECT credit._csv_text(t) FROM (VALUES ('=1'), ('+1'), ('-1'), ('@x'), (E'\t=1'), (' =1'), ('plain'), ('a"b'), (NULL), ('＝1'), (E'\r\nx'),
    (U&'\200E=1'), (U&'\202E \200E=1'), (U&'\200B=1'), (U&'\0001=1'), (U&'\00AD+1'), ('a=1')) v(t);
-- a correction is a new issue, which says what changed; the old one stays as it was
SELECT credit.bulletin('hostile', '2022Q4', 'zh') = html AS unchanged FROM page WHERE language = 'zh';
SELECT credit.observe('h_share', '990100', date '2022-12-31', 0.2, 'corrected');
SELECT credit.bulletin_page('hostile', '2022Q4', 'zh') = html AS still FROM page WHERE language = 'zh';
SELECT credit.bulletin('hostile', '2022Q4', 'en', note => 'share corrected') LIKE '%What changed against the issue before%' AS says_so;
SELECT issue, note, credit.verify_bulletin(bulletin_id) AS verified FROM credit.bulletin WHERE pack = 'hostile' ORDER BY issue;
SELECT c.code, c.old_actual, c.new_actual, c.old_status, c.new_status FROM credit.bulletin b, credit.bulletin_changes(b.bulletin_id) c WHERE b.pack = 'hostile' AND b.issue = 2;
-- the page says of a corrected figure that it was, a new one says nothing of it
SELECT issue, (SELECT count(*) FROM regexp_matches(credit.bulletin_page('hostile', '2022Q4', 'en', issue => b.issue), 'reported figure corrected, version 2', 'g')) AS told
  FROM credit.bulletin b WHERE pack = 'hostile' ORDER BY issue;
-- each issue says which version of a reported figure it used; all versions can be read, with who and when
SELECT b.issue, e ->> 'value' AS value, e -> 'figure_version' AS version FROM credit.bulletin b JOIN credit.bulletin_figure f USING (bulletin_id), jsonb_array_elements(f.figures) e
 WHERE b.pack = 'hostile' AND f.code = 'H-02' AND f.region::text = '990100' ORDER BY 1;
SELECT metric, last_day, version, in_force, value, source, observed_by <> '' AS by, superseded_at IS NOT NULL AS superseded, reason FROM credit.observation_version
 WHERE metric = 'h_share' AND region::text = '990100' ORDER BY version;
SELECT version, figure, source, reported_at IS NOT NULL AS at FROM credit.target_lineage('hostile', 'H-02', '2022-12-31');
-- corrected and corrected back: nothing new is said, so there is no new issue
SAVEPOINT s;
SELECT credit.observe('h_share', '990100', date '2022-12-31', 0.9, 'wrong'), credit.observe('h_share', '990100', date '2022-12-31', 0.2, 'corrected');
SELECT credit.bulletin('hostile', '2022Q4') = credit.bulletin_page('hostile', '2022Q4', issue => 2) AS same, max(issue) FROM credit.bulletin WHERE pack = 'hostile';
SELECT version FROM credit.target_lineage('hostile', 'H-02', '2022-12-31');
SELECT credit.retract_observation('h_share', '990100', '2022-12-31', '2022-12-31', 'no such survey');
SELECT version, in_force, value, reason FROM credit.observation_version WHERE metric = 'h_share' AND region::text = '990100' ORDER BY version;
ROLLBACK TO s;
SELECT credit.bulletin_page('hostile', '2022Q4', 'zh', issue => 1) = html AS first_as_it_was FROM page WHERE language = 'zh';
SELECT issue, newest, code, actual, status FROM credit.bulletin_data WHERE pack = 'hostile' AND region::text = '990100' ORDER BY issue, code;
-- in the log with the digest
SELECT count(*) FROM credit.audit_outbox o, credit.bulletin b WHERE b.pack = 'hostile'
   AND to_jsonb(o)::text LIKE '%' || rtrim(translate(encode(b.digest, 'base64'), '+/', '-_'), '=') || '%';
-- frozen, and a changed row would not verify
\set VERBOSITY sqlstate
SAVEPOINT s; UPDATE credit.bulletin_figure SET actual = 1; ROLLBACK TO s;
SAVEPOINT s; DELETE FROM credit.bulletin; ROLLBACK TO s;
\set VERBOSITY default
SAVEPOINT s;
ALTER TABLE credit.bulletin_figure DISABLE TRIGGER only_grows;
UPDATE credit.bulletin_figure f SET actual = f.actual + 0.000001 FROM credit.bulletin b WHERE b.bulletin_id = f.bulletin_id AND b.pack = 'hostile' AND b.issue = 1 AND f.code = 'H-01' AND f.region::text = '990100';
SELECT issue, credit.verify_bulletin(bulletin_id) AS verified FROM credit.bulletin WHERE pack = 'hostile' ORDER BY issue;
ROLLBACK TO s;
-- a pack as shipped, without any figure: still a page, which says what is lacking
SELECT credit.bulletin('ningbo-2020', '2021Q4', 'en') LIKE '%None of the 43 targets has a figure this quarter%What is lacking%never reported, due since%' AS says_what_lacks;
SELECT bool_and(f.status = 'no_data' AND (f.target IS NULL OR jsonb_array_length(f.lacking) > 0 OR f.why <> '')) AS each_has_a_reason, count(*) FROM credit.bulletin_figure f JOIN credit.bulletin b USING (bulletin_id) WHERE b.pack = 'ningbo-2020';
-- numbers for the eye
SELECT credit._number(262416000000, 'CNY', 262416000000, true), credit._number(262416000000, 'CNY', 262416000000, false), credit._number(0.612903, 'ratio', 1, true),
       credit._number(-0.05, 'ratio_points', 1, false, true), credit._number(1234567, 'count', 1, true), credit._number(NULL, 'count', 1, true), credit._number(-0.00001, 'ratio', 1, true), credit._number(9e29, 'count', 9e29, true);
-- refused
\set VERBOSITY sqlstate
SAVEPOINT s; SELECT credit.bulletin('hostile', '2022Q5'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.bulletin('hostile', '2999Q4'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.bulletin('hostile', '2022Q4', 'fr'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.bulletin('nothing', '2022Q4'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.bulletin('hostile', '2022Q4', 'zh', '310000'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.bulletin_page('hostile', '2022Q3'); ROLLBACK TO s;
SAVEPOINT s; SELECT credit.bulletin_csv('hostile', '2022Q4', 'zh', issue => 9); ROLLBACK TO s;
\set VERBOSITY default
-- a region that adopted the pack has its own, and stands in that of the pack's home
SELECT credit.adopt_pack('hostile', '310000', '2022-10-01');
SELECT length(credit.bulletin('hostile', '2022Q4', 'zh', '310000')) > 1000 AS adopted;
\set VERBOSITY sqlstate
SAVEPOINT s; SELECT credit.bulletin('hostile', '2022Q3', 'zh', '310000'); ROLLBACK TO s;
\set VERBOSITY default
SELECT credit.bulletin('hostile', '2022Q4') IS NOT NULL AS third;
SELECT b.issue, f.region, count(*) FROM credit.bulletin b JOIN credit.bulletin_figure f USING (bulletin_id) WHERE b.pack = 'hostile' AND b.region::text = '990100' GROUP BY 1, 2 ORDER BY 1, 2;
-- regions of which the ledgers have rows stand in it too: what lies in villages and townships in the county above them
INSERT INTO credit.region (code, name_zh, level, parent) VALUES ('990102', '乙区', 'county', '990100'), ('990103', '丙区', 'county', '990100'),
    ('990102001', '丁镇', 'township', '990102'), ('990104', '戊区', 'county', '990100');
SELECT credit.create_pack('{"pack_id": "measured", "title_zh": "台账", "title_en": "ledgers", "region": "990100", "start_date": "2020-01-01", "targets": [
  {"code": "M-01", "clause": "一", "name_zh": "民企贷款占比", "name_en": "share of private enterprises", "metric": "private_enterprise_loan_share", "form": "share", "comparator": ">=", "value": 0.5, "unit": "ratio", "due_date": "2023-12-31"}]}');
INSERT INTO credit.loan_balance (institution_id, key, month, region, balance, enterprise, private)
VALUES (1, 'a', '2022-12-01', '990102001', 100, true, true), (1, 'b', '2022-12-01', '990102001', 300, true, false),
       (1, 'c', '2022-12-01', '990101', 100, true, true), (1, 'd', '2023-01-01', '990103', 100, true, true);
INSERT INTO credit.guarantee (institution_id, key, month, region, balance) VALUES (1, 'a', '2022-12-01', '990104', 100);
SELECT credit.bulletin('measured', '2022Q4') LIKE '%乙区%' AS says_so;
SELECT f.region, f.actual, f.status FROM credit.bulletin_figure f JOIN credit.bulletin b USING (bulletin_id) WHERE b.pack = 'measured' ORDER BY f.region::text;
SELECT region, own FROM credit._bulletin_regions('measured', '990100', '2022-12-30') ORDER BY region::text;    -- December is not over
SELECT credit.fold_measures() > 0 AS folded;
SELECT region, own FROM credit._bulletin_regions('measured', '990100', '2022-12-31') ORDER BY region::text;
SELECT region, own FROM credit._bulletin_regions('measured', '990102', '2022-12-31') ORDER BY region::text;
-- who adopts the pack after the quarter, or has its first figure after it, does not; a note of blanks is none
SELECT credit.adopt_pack('measured', '320000', '2023-01-01'), credit.adopt_pack('measured', '330000', '2022-12-31');
SELECT credit.observe('private_enterprise_loan_share', '990103', '2022-12-31'::date, 0.4, 's'), credit.observe('private_enterprise_loan_share', '990104', '2023-01-31'::date, 0.4, 's');
SELECT region, own FROM credit._bulletin_regions('measured', '990100', '2022-12-31') ORDER BY region::text;
SELECT length(credit.bulletin('measured', '2022Q3', note => '  ')) > 1000 AS page;
-- a pack that was replaced has the bulletins of its time, the last on the day before
SELECT credit.adopt_pack('measured', '310000', '2023-03-31', 'hostile');
SELECT credit.bulletin('hostile', '2022Q4', region => '310000') IS NOT NULL AS before;
\set VERBOSITY sqlstate
SAVEPOINT s; SELECT credit.bulletin('hostile', '2023Q1', region => '310000'); ROLLBACK TO s;
\set VERBOSITY default
SELECT note IS NULL AS no_note FROM credit.bulletin WHERE pack = 'measured' AND quarter = '2022Q3';
ROLLBACK;
