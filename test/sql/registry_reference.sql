SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
\set VERBOSITY sqlstate
BEGIN;
-- what the script ships
SELECT count(*) AS categories, min(category_id), max(category_id),
       count(*) FILTER (WHERE schema IS NULL) AS umbrella, count(*) FILTER (WHERE public_by_law) AS public
  FROM credit.category WHERE category_id <= 108;
SELECT category_group, count(*) FROM credit.category WHERE category_id <= 108 GROUP BY 1 ORDER BY min(category_id);
SELECT category_id, code, name_zh, source_department, source_customary, subject_kinds
  FROM credit.category WHERE code IN ('business_registration', 'tax_payment', 'farm_household_file', 'park_rating', 'alternative_credit_data')
 ORDER BY 1;
SELECT code FROM credit.category WHERE public_by_law AND category_id <= 108 ORDER BY 1;
SELECT count(*) FILTER (WHERE is_department) AS departments, count(*) FILTER (WHERE NOT is_department) AS institutions
  FROM credit.institution_kind;
SELECT nature, count(*) FROM credit.subject_kind GROUP BY 1 ORDER BY 1;
SELECT count(*) AS provinces FROM credit.region WHERE modified_at IS NULL AND level = 'province';
-- every base kind named anywhere exists
SELECT g.kind FROM (SELECT unnest(subject_kinds) FROM credit.category UNION SELECT unnest(base_kinds) FROM credit.subject_kind) g(kind)
 WHERE NOT EXISTS (SELECT FROM credit.subject_kind k WHERE k.code = g.kind AND k.nature = 'base');

-- schemas in short form
SELECT credit.category_schema('period date!, tax_type text, class (A|B|C)!');
SELECT credit.category_schema('a text', true) -> 'open' AS open;
SELECT credit.category_schema('Period date');
SELECT credit.category_schema('a money');
SELECT credit.category_schema('a text, a date');
-- and the check on them
SELECT s, credit._schema_fault(s) FROM (VALUES
    ('{"fields": {"a": {"type": "text"}}}'::jsonb), ('{}'), ('[]'), ('{"fields": {"uscc": {"type": "text"}}}'),
    ('{"fields": {"a": {"type": "money"}}}'), ('{"fields": {"a": {"type": "code"}}}'), ('{"fields": {"a": {"type": "code", "codes": []}}}'),
    ('{"fields": {"a": {"type": "code", "codes": ["x", 1]}}}'), ('{"fields": {"a": {"type": "code", "codes": ["x"]}}}'),
    ('{"fields": {"a": {"type": "text", "required": "yes"}}}'), ('{"fields": {"a": 1}}'), ('{"fields": {}, "open": 1}')) v(s);

-- the operator changes categories; changed rows are what a dump takes
CREATE ROLE registry_reference_op;
GRANT credit_operator TO registry_reference_op;
SET ROLE registry_reference_op;
SELECT credit.set_category_public('tax_payment', true, 'order 1');
SELECT credit.set_category_public('business_registration', false);
SELECT credit.set_category_public('no_such', true);
SELECT credit.set_category_public('tax_payment', NULL);
SELECT credit.set_category_schema('tax_payment', credit.category_schema('amount numeric!'));
SELECT credit.set_category_schema('tax_payment', '{"fields": {"dated": {"type": "date"}}}');
SELECT credit.set_category_schema('government_information', credit.category_schema('a text'));
SELECT credit.set_category_kinds('tax_payment', '{enterprise,area}');
SELECT credit.set_category_kinds('tax_payment', '{sme}');
SELECT credit.define_category('city_own', '本市自有', 'of this city', 'big data', '{enterprise}', credit.category_schema('a text!')) >= 109 AS own;
SELECT credit.define_category('city_own', '本市自有', 'of this city', 'big data', '{enterprise}', credit.category_schema('a text!'));
SELECT credit.define_category('city_two', '二', 'two', 'big data', '{enterprise}', NULL);
SELECT code, public_by_law, public_basis, subject_kinds, schema FROM credit.category WHERE modified_at IS NOT NULL ORDER BY category_id;

-- restoring a changed row over the shipped one
RESET ROLE;
CREATE TEMP TABLE dumped AS SELECT * FROM credit.category WHERE code IN ('tax_payment', 'city_own');
DELETE FROM credit.category WHERE code = 'city_own';
UPDATE credit.category SET public_by_law = false, public_basis = NULL, modified_at = NULL WHERE code = 'tax_payment';
INSERT INTO credit.category SELECT * FROM dumped;
SELECT code, public_by_law, public_basis FROM credit.category WHERE code IN ('tax_payment', 'city_own') ORDER BY 1;
INSERT INTO credit.category SELECT * FROM dumped;

-- regions: a list, twice, with bad rows
SET ROLE registry_reference_op;
SELECT received, inserted, updated, unchanged, refused FROM credit.load_regions(rows => '[
    {"code": "330000", "name_zh": "浙江省", "level": "province"},
    {"code": "990000", "name_zh": "试验省", "level": "province"},
    {"code": "990100", "name_zh": "试验市", "level": "city", "parent": "990000", "current": "t"},
    {"code": "990103", "name_zh": "旧县", "level": "county", "parent": "990100", "current": "f", "valid_to": "2010-07-01", "successor": "990101"},
    {"code": "99010", "name_zh": "短", "level": "county"},
    {"code": "990104", "name_zh": "村", "level": "village"},
    {"code": "990100", "name_zh": "又一", "level": "city"}, 7]');
SELECT code, name_zh, level, parent, retired, valid_to, successor, modified_at IS NULL AS as_shipped
  FROM credit.region WHERE code::text LIKE '99%' OR code::text = '330000' ORDER BY 1;
SELECT received, inserted, updated, unchanged, refused FROM credit.load_regions(rows => '[
    {"code": "330000", "name_zh": "浙江", "level": "province"},
    {"code": "990100", "name_zh": "试验市", "level": "city", "parent": "990000"}]');
-- townships and villages
SELECT received, inserted, updated, unchanged, refused FROM credit.load_regions(rows => '[
    {"code": "990103101", "name_zh": "某镇", "level": "township", "parent": "990103"},
    {"code": "990103101201", "name_zh": "某村", "level": "village", "parent": "990103101"},
    {"code": "990103101202", "name_zh": "错", "level": "township"},
    {"code": "990103102", "name_zh": "错", "level": "county"},
    {"code": "990103103000", "name_zh": "另镇", "level": "township"},
    {"code": "990103103", "name_zh": "又一", "level": "hamlet"}]');
SELECT code, level, parent FROM credit.region WHERE code::text LIKE '990103%' ORDER BY 1;
SELECT f.row_no, f.sqlstate, f.reason FROM credit.batch b JOIN credit.refused_row f USING (batch_id)
 WHERE b.content = 'region' AND b.received = 6 ORDER BY 1;
SELECT f.row_no, f.sqlstate, f.reason FROM credit.batch b JOIN credit.refused_row f USING (batch_id) WHERE b.content = 'region' AND b.received = 8 ORDER BY 1;
ROLLBACK;
