-- Views by category: columns, types, bad values, names, hostile definitions, changes, who may read them.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE views_bank;
CREATE ROLE views_tax;
CREATE ROLE views_operator;
CREATE ROLE views_analyst;
GRANT credit_institution TO views_bank;
GRANT credit_provider TO views_tax;
GRANT credit_operator TO views_operator;
GRANT credit_analyst TO views_analyst;
\set VERBOSITY terse

SELECT credit.register_institution('views_bank', '甲银行', 'Bank A', 'commercial_bank', 'views_bank') > 0 AS bank,
       credit.register_institution('views_tax', '税务局', 'Tax office', 'tax', 'views_tax') > 0 AS tax;
SELECT credit.register_subject(kind => 'village', code => 'views-1', name => '甲村') AS s1,
       credit.register_subject(kind => 'village', code => 'views-2', name => '乙村') AS s2 \gset
CREATE FUNCTION views_try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (%s) x', statement) INTO n;
    RETURN n || ' rows';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
-- What of its conditions a statement tries in which order, names only.
CREATE FUNCTION views_filter(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        IF line ~ 'Filter:.*(_guard_masked|_field_text|spy|tax_type)' THEN
            RETURN NEXT (SELECT string_agg(m[1], ', then ') FROM regexp_matches(line, '(_guard_masked|_field_text|spy|tax_type)\M', 'g') m);
        END IF;
    END LOOP;
END
$$;

-- Every category with a schema has its view, named as it is, a member of the extension, with a barrier, for institutions only.
SELECT count(*) AS categories, count(v.view_name) AS views, count(*) FILTER (WHERE v.view_name <> c.code) AS other_names
  FROM credit.category c LEFT JOIN credit.category_view v USING (category_id) WHERE c.schema IS NOT NULL;
SELECT count(*) AS views FROM credit.category c JOIN credit.category_view v USING (category_id) WHERE c.schema IS NULL;
SELECT bool_and(r.reloptions = '{security_barrier=true}') AS barrier,
       bool_and(EXISTS (SELECT FROM pg_depend d WHERE d.objid = r.oid AND d.deptype = 'e')) AS member,
       bool_and(has_table_privilege('credit_institution', r.oid, 'SELECT')) AS institution,
       bool_or(has_table_privilege('credit_analyst', r.oid, 'SELECT') OR has_table_privilege('credit_provider', r.oid, 'SELECT')
               OR has_table_privilege('credit_operator', r.oid, 'SELECT')) AS others,
       bool_or(has_table_privilege('credit_institution', r.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS writes
  FROM credit.category_view v JOIN pg_class r ON r.oid = format('credit.%I', v.view_name)::regclass;
-- Every field has a column of its type, and there is no other.
SELECT string_agg(DISTINCT (f.value ->> 'type') || ' ' || format_type(a.atttypid, a.atttypmod), ', ') AS types,
       bool_and(a.attname IS NOT NULL) AS all_there
  FROM credit.category c JOIN credit.category_view v USING (category_id)
 CROSS JOIN LATERAL jsonb_each(c.schema -> 'fields') f
  LEFT JOIN pg_attribute a ON a.attrelid = format('credit.%I', v.view_name)::regclass
        AND a.attname = CASE WHEN f.key IN ('record_id', 'status', 'provider', 'masked') THEN 'payload_' ELSE '' END || f.key;
SELECT sum((SELECT count(*) FROM pg_attribute a WHERE a.attrelid = format('credit.%I', v.view_name)::regclass AND a.attnum > 0) - 9)
     = sum((SELECT count(*) FROM jsonb_object_keys(c.schema -> 'fields'))) AS nothing_else
  FROM credit.category c JOIN credit.category_view v USING (category_id);

-- A category of the operator's own, with all types and with names that a view has already.
SET ROLE views_operator;
SELECT credit.define_category('views_own', '自有', 'own', 'views', '{area}', '{"fields": {
    "t": {"type": "text", "name_zh": "文本"}, "n": {"type": "numeric"}, "i": {"type": "integer", "required": true}, "d": {"type": "date"},
    "b": {"type": "boolean"}, "k": {"type": "code", "codes": ["A", "B"]},
    "status": {"type": "text", "name_zh": "''; DROP TABLE credit.record; --"}, "payload_status": {"type": "text"}, "masked": {"type": "text"}}}') > 108 AS defined;
SELECT view_name FROM credit.category_view JOIN credit.category USING (category_id) WHERE code = 'views_own';
RESET ROLE;
SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, col_description(a.attrelid, a.attnum) AS comment
  FROM pg_attribute a WHERE a.attrelid = 'credit.views_own'::regclass AND a.attnum > 0 ORDER BY a.attnum;

-- Payloads as ingestion writes them, as nobody should, and none at all.
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT :s1, c.category_id, i.institution_id, DATE '2026-03-01', 'neutral', x.key, x.payload::jsonb, 0
  FROM credit.category c, credit.institution i, (VALUES
    ('01', '{"t": "文字", "n": 12.50, "i": 7, "d": "2026-02-28", "b": true, "k": "A", "status": "s", "payload_status": "p", "masked": "m"}'),
    ('02', '{"t": 5, "n": "12.50", "i": "-7", "d": "2026-02-29", "b": "false", "k": "Z"}'),
    ('03', '{"t": {"a": 1}, "n": "1e5", "i": 7.5, "d": 20260228, "b": 1, "k": 5}'),
    ('04', '{"t": [1], "n": "NaN", "i": 12345678901234567890, "d": "2026-2-28", "b": "maybe"}'),
    ('05', '{"t": null, "n": null, "i": null, "d": null, "b": null, "k": null}'),
    ('06', '{"i": 999999999999999999.0, "n": 1e30, "d": "0000-01-01", "t": ""}'),
    ('07', '{"i": -999999999999999999, "n": "1.2.3", "d": "9999-12-31", "b": "x"}'),
    ('08', '{"i": "", "n": "-", "d": "2026-13-01", "b": ""}'),
    ('09', '{"i": 1e100, "n": ".5", "d": "2026-00-10"}'),
    ('10', '{"i": " 1", "n": "5.", "d": "2026/01/01"}'),
    ('11', '["an array"]'), ('12', '"a text"'), ('13', '{}'), ('14', '7'), ('15', 'null')) x (key, payload)
 WHERE c.code = 'views_own' AND i.code = 'views_tax';
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s, c.category_id, i.institution_id, DATE '2026-03-01' + n, 'neutral', format('views-%s', n),
       jsonb_build_object('tax_type', CASE n WHEN 1 THEN '增值税' ELSE '印花税' END, 'amount_paid', 100 * n, 'period', DATE '2026-03-01' + n), 0
  FROM unnest(ARRAY[:s1, :s2]::bigint[]) s, credit.category c, credit.institution i, generate_series(1, 2) n
 WHERE c.code = 'tax_payment' AND i.code = 'views_tax';
SELECT credit.grant_consent(:s1, 'views_bank', '{views_own,tax_payment}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') > 0 AS granted;

-- Nothing without an open access; then what was opened, typed.
SET ROLE views_bank;
SELECT views_try('SELECT * FROM credit.tax_payment') AS not_open;
BEGIN;
SELECT count(*) FROM credit.open_access(:s1, 'pre_loan', '{views_own,tax_payment}');
SELECT t, n, i, d, b, k, status, payload_payload_status AS field_status, payload_status, payload_masked, masked, provider
  FROM credit.views_own ORDER BY record_id;
SELECT dated, tax_type, amount_paid, period FROM credit.tax_payment WHERE tax_type = '增值税';
SELECT sum(amount_paid) FROM credit.tax_payment;
SELECT count(*) AS other_subject FROM credit.tax_payment WHERE subject_id = :s2;
-- joined, sub-queried, prepared, by cursor
SELECT t.amount_paid, o.n FROM credit.tax_payment t JOIN credit.views_own o USING (subject_id) WHERE o.i = 7 ORDER BY 1;
PREPARE views_p(text) AS SELECT amount_paid FROM credit.tax_payment WHERE tax_type = $1;
EXECUTE views_p('印花税');
COMMIT;
EXECUTE views_p('印花税');
BEGIN;
SELECT count(*) FROM credit.open_access(:s1, 'pre_loan', '{views_own}');
SELECT count(*) AS tax_not_opened FROM credit.tax_payment;
COMMIT;
-- A condition of the user's is asked about no row that was not opened: neither by a function nor by a cast that raises.
CREATE FUNCTION pg_temp.spy(what text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    RAISE NOTICE 'seen %', what;
    RETURN true;
END
$$;
SET client_min_messages = notice;
BEGIN;
SELECT count(*) FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SELECT count(*) FROM credit.tax_payment WHERE pg_temp.spy(format('%s', subject_id = :s1));
SELECT count(*) FROM credit.tax_payment WHERE pg_temp.spy(format('%s', subject_id = :s1)) AND dated > '2026-03-02';
COMMIT;
SET client_min_messages = warning;
-- The guard comes before a condition on a column of the payload: the filter's order is the order in which it is tried.
SET pgcredit.purpose = 'pre_loan';
SELECT views_filter('SELECT * FROM credit.tax_payment WHERE tax_type = ''x''');
SELECT views_filter('SELECT * FROM credit.tax_payment WHERE pg_temp.spy(tax_type)');
RESET pgcredit.purpose;
RESET ROLE;
SELECT bool_or(proleakproof) AS leakproof FROM pg_proc
 WHERE pronamespace = 'credit'::regnamespace AND (proname ~ '^_field_' OR proname IN ('_guard_masked', '_covered'));
SET ROLE views_analyst;
SELECT views_try('SELECT * FROM credit.tax_payment') AS analyst;
SELECT credit._covered(20::smallint);
SELECT credit.rebuild_category_views();
RESET ROLE;

-- Names that are taken: the category keeps its code, its view gets _record.
SET ROLE views_operator;
SELECT credit.define_category(c, '甲', 'a', 'views', '{area}', '{"fields": {"x": {"type": "text"}}}') > 0 AS defined
  FROM unnest('{record,guard,uscc,category_view,select,user}'::text[]) WITH ORDINALITY u (c, o) ORDER BY o;
SELECT credit.define_category(repeat('a', 63), '甲', 'a', 'views', '{area}', '{"fields": {"x": {"type": "text"}}}') > 0 AS longest;
SELECT c.code, v.view_name FROM credit.category c JOIN credit.category_view v USING (category_id) WHERE c.source_department = 'views' ORDER BY c.code;
SELECT credit.define_category('x"; DROP TABLE credit.record; --', '甲', 'a', 'views', '{area}', '{"fields": {"x": {"type": "text"}}}');
SELECT credit.define_category('hostile', '甲', 'a', 'views', '{area}', '{"fields": {"x\"; DROP TABLE credit.record; --": {"type": "text"}}}');
SELECT credit.define_category('hostile', '甲', 'a', 'views', '{area}', '{"fields": {"x": {"type": "text", "level": 5}}}');
SELECT credit.define_category('hostile', '甲', 'a', 'views', '{area}', '{"fields": {"x": {"type": "text", "name_zh": 5}}}');
SELECT credit.define_category('many', '甲', 'a', 'views', '{area}',
    (SELECT jsonb_build_object('fields', jsonb_object_agg('f' || n, '{"type": "text"}'::jsonb)) FROM generate_series(1, 1700) n));
RESET ROLE;
-- The checks on codes and fields are not what keeps the views' text clean: without them it is quoted all the same.
SELECT credit._category_query(1::smallint, '{"fields": {"x\"; DROP TABLE credit.record; --": {"type": "text"}, "y''": {"type": "date"}}}') AS quoted \gset
SELECT :'quoted' LIKE '%AS "x""; DROP TABLE credit.record; --"%' AND :'quoted' LIKE '%''x"; DROP TABLE credit.record; --''%'
   AND :'quoted' LIKE '%''y''''''%' AS quoted;
BEGIN;
ALTER TABLE credit.category DROP CONSTRAINT category_code_check, DROP CONSTRAINT category_schema_check;
INSERT INTO credit.category (category_id, code, name_zh, name_en, category_group, source_department, subject_kinds, schema, modified_at)
VALUES (127, 'x" AS SELECT 1; DROP TABLE credit.record; --', 'a''b', '%I %L', 'own', 'x', '{area}',
        '{"fields": {"x\" FROM credit.subject; --": {"type": "text", "name_zh": "''"}}}', now());
SELECT count(*) AS columns FROM pg_attribute WHERE attrelid = 'credit."x"" AS SELECT 1; DROP TABLE credit.record; --"'::regclass AND attnum > 0;
SELECT count(*) > 0 AS record_is_there FROM credit.record;
ROLLBACK;

-- A changed schema changes the view: a column more, a column less, another type; not under an object that depends on it.
SET ROLE views_operator;
SELECT credit.set_category_schema('views_own', '{"fields": {"i": {"type": "numeric"}, "z": {"type": "boolean"}}}');
RESET ROLE;
SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) AS columns
  FROM pg_attribute a WHERE a.attrelid = 'credit.views_own'::regclass AND a.attnum > 9;
SELECT has_table_privilege('credit_institution', 'credit.views_own', 'SELECT') AS institution,
       has_table_privilege('credit_analyst', 'credit.views_own', 'SELECT') AS analyst,
       EXISTS (SELECT FROM pg_depend d WHERE d.objid = 'credit.views_own'::regclass AND d.deptype = 'e') AS member;
CREATE VIEW views_on_it AS SELECT z FROM credit.views_own;
SET ROLE views_operator;
SELECT credit.set_category_schema('views_own', '{"fields": {"i": {"type": "numeric"}, "z": {"type": "boolean"}, "zz": {"type": "date"}}}');
SELECT credit.set_category_schema('views_own', '{"fields": {"i": {"type": "numeric"}}}');
RESET ROLE;
DROP VIEW views_on_it;
-- What is lost is made again, and nothing else is touched.
ALTER EXTENSION pgcredit DROP VIEW credit.views_own;
DROP VIEW credit.views_own;
SET ROLE views_operator;
SELECT credit.rebuild_category_views() AS made;
SELECT credit.rebuild_category_views() AS made;
RESET ROLE;
SELECT to_regclass('credit.views_own') AS there;
-- A category that goes takes its view along.
DELETE FROM credit.record WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.category WHERE source_department = 'views';
SELECT to_regclass('credit.views_own') AS gone, to_regclass('credit.record_record') AS gone_too;

DROP FUNCTION views_try(text), views_filter(text);
DELETE FROM credit.subject_attribute WHERE subject_id IN (:s1, :s2);
DROP OWNED BY views_bank, views_tax, views_operator, views_analyst;
DELETE FROM credit.consent WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.institution WHERE code IN ('views_bank', 'views_tax');
DELETE FROM credit.subject WHERE subject_id IN (:s1, :s2);
DROP ROLE views_bank, views_tax, views_operator, views_analyst;
