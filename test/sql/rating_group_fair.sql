-- Approval rates by group: rates, ratios, small cells, who may ask.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
SET datestyle = 'ISO, YMD';
\pset format unaligned
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
BEGIN;
CREATE FUNCTION pg_temp.fails(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    explanation text;
BEGIN
    EXECUTE query INTO answer;
    RETURN 'no error: ' || coalesce(answer, 'null');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS explanation = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' / ', SQLSTATE || ' ' || SQLERRM, nullif(explanation, ''));
END
$$;
CREATE ROLE rf_operator;
GRANT credit_operator TO rf_operator;
CREATE ROLE rf_analyst;
GRANT credit_analyst TO rf_analyst;
CREATE ROLE rf_bank;
GRANT credit_institution TO rf_bank;
SELECT credit.create_model('{"name": "rf", "use_reason_codes": false, "grades": [{"grade": "C", "high": 1}, {"grade": "B", "low": 1, "high": 2}, {"grade": "A", "low": 2}],
    "characteristics": [{"name": "x", "data_type": "number", "attributes": [{"kind": "other", "points": 1}]}]}');
SET client_min_messages = warning;
SELECT length(credit.publish_model('rf'));
RESET client_min_messages;
-- groups by county, attribute and a field: 40 of 50, 32 of 50, 5 of 9 approved, and one that none got
CREATE TEMP TABLE made AS SELECT g.region, g.class, g.good, n FROM (VALUES ('990401', 'A', 40, 50), ('990402101', 'B', 32, 50), ('990403', 'M', 5, 9), ('990404', 'C', 0, 30)) g(region, class, good, size), generate_series(1, g.size) n;
INSERT INTO credit.subject (kind, code, region) SELECT CASE WHEN region = '990404' THEN 'household' ELSE 'enterprise' END, format('rf-%s-%s', region, n), region::credit.region_code FROM made;
INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at)
SELECT s.subject_id, mo.model_id, 1, CASE WHEN m.n > m.good THEN 'C' WHEN m.n % 2 = 0 THEN 'A' ELSE 'B' END, '{}', sha256(''), '[]', 'test', CASE m.region WHEN '990403' THEN timestamptz '2024-01-31 23:59+08' ELSE '2024-02-01 00:00+08' END
  FROM made m JOIN credit.subject s ON s.code = format('rf-%s-%s', m.region, m.n), credit.model mo WHERE mo.name = 'rf';
-- an earlier rating in the same months does not count, nor one before or after them
INSERT INTO credit.rating (subject_id, rating_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at) OVERRIDING SYSTEM VALUE
SELECT r.subject_id, -r.rating_id, r.model_id, 1, 'C', '{}', sha256(''), '[]', 'test', d FROM credit.rating r JOIN credit.model m USING (model_id), unnest('{2024-01-05 12:00+08}'::timestamptz[]) d WHERE m.name = 'rf';
INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, rated_at)
SELECT r.subject_id, r.model_id, 1, 'C', '{}', sha256(''), '[]', 'test', d FROM credit.rating r JOIN credit.model m USING (model_id), unnest('{2023-12-31 23:59:59+08,2024-03-01 00:00+08}'::timestamptz[]) d WHERE m.name = 'rf' AND r.rating_id > 0;
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s.subject_id, c.category_id, 1, '2024-01-01', 'neutral', 'rf', jsonb_build_object('tax_type', 'x', 'amount_paid', 1, 'tax_credit_class', m.class), 0
  FROM made m JOIN credit.subject s ON s.code = format('rf-%s-%s', m.region, m.n), credit.category c WHERE c.code = 'tax_payment';
INSERT INTO credit.subject_attribute (subject_id, kind_code, valid_from, valid_to)
SELECT s.subject_id, 'private_enterprise', '2024-01-01', CASE WHEN m.n > 20 THEN date '2024-02-01' END FROM made m JOIN credit.subject s ON s.code = format('rf-%s-%s', m.region, m.n) WHERE m.region = '990401' AND m.n <= 30;

SELECT credit.register_indicator('rf_class', 'text', $$SELECT DISTINCT ON (subject_id) subject_id, payload ->> 'tax_credit_class', ARRAY[record_id] FROM credit.record_as_of WHERE subject_id = ANY ($1) ORDER BY 1, dated DESC$$);
SELECT count(*) FROM made m JOIN credit.subject s ON s.code = format('rf-%s-%s', m.region, m.n), LATERAL credit.indicators_of(s.subject_id, '2024-01-15') i WHERE m.region IN ('990401', '990404') AND i.indicator = 'rf_class';
SET LOCAL ROLE rf_analyst;
SELECT pg_temp.fails($$SELECT * FROM credit.approval_by_group('rf', 'region', '2024-01-01', '2024-02-29')$$);
SELECT pg_temp.fails($$SELECT credit.set_approval('rf', '{A,B}')$$) LIKE '42501%' AS not_his_to_say;
SET LOCAL ROLE rf_operator;
SELECT credit.set_approval('rf', '{A,B}');
SELECT pg_temp.fails($$SELECT credit.set_approval('rf', '{A,Z}')$$), pg_temp.fails($$SELECT credit.set_approval('rf', '{A,NULL}')$$), pg_temp.fails($$SELECT credit.set_approval('rf@1', '{A}')$$), pg_temp.fails($$SELECT credit.set_approval(NULL, '{A}')$$);
SET LOCAL ROLE rf_analyst;
-- the county with nine subjects is not shown, and another cell goes with it where it would follow from the sums
SELECT credit.minimum_cell();
SELECT * FROM credit.approval_by_group('rf', 'region', '2024-01-01', '2024-02-29');
-- the later month has three counties that are all large enough; exactly four fifths of the best rate is not below
SELECT * FROM credit.approval_by_group('rf', 'region', '2024-02-01', '2024-02-29');
SELECT * FROM credit.approval_by_group('rf', 'region', '2024-02-01', '2024-02-29', least_ratio => 0.8);
SELECT group_value, below FROM credit.approval_by_group('rf', 'region', '2024-02-01', '2024-02-29', least_ratio => 0.8000000000000000001);
SELECT * FROM credit.approval_by_group('rf', 'region', '2024-02-01', '2024-02-29', reference => '990402', least_ratio => 0.8);
SELECT * FROM credit.approval_by_group('rf', 'field:tax_payment.tax_credit_class', '2024-02-01', '2024-02-29', least_ratio => 0.8);
SELECT * FROM credit.approval_by_group('rf', 'attribute:private_enterprise', '2024-02-01', '2024-02-29');
-- who has no value is a group of its own
SELECT * FROM credit.approval_by_group('rf', 'indicator:rf_class', '2024-02-01', '2024-02-29');
SELECT * FROM credit.approval_by_group('rf', 'kind', '2024-02-01', '2024-02-29');
SELECT * FROM credit.approval_by_group('rf', 'kind', '2024-04-01', '2024-04-30');
SELECT * FROM credit.approval_by_group('rf', 'kind', '2023-12-01', '2023-12-31');
RESET ROLE;
SELECT credit.set_minimum_cell(60);
SET LOCAL ROLE rf_analyst;
SELECT * FROM credit.approval_by_group('rf', 'region', '2024-02-01', '2024-02-29');
SELECT pg_temp.fails($$SELECT * FROM credit.approval_by_group('rf', 'region', '2024-02-01', '2024-02-29', '990401')$$), pg_temp.fails($$SELECT * FROM credit.approval_by_group('rf', 'region', '2024-02-01', '2024-02-29', 'none')$$);
-- bad input
SELECT pg_temp.fails(format('SELECT * FROM credit.approval_by_group(%s)', a)) FROM unnest(ARRAY[
    'NULL, ''kind'', ''2024-01-01'', ''2024-01-31''', '''rf'', NULL, ''2024-01-01'', ''2024-01-31''', '''rf'', ''kind'', NULL, ''2024-01-31''', '''none'', ''kind'', ''2024-01-01'', ''2024-01-31''',
    '''rf'', ''kind'', ''2024-01-02'', ''2024-01-31''', '''rf'', ''kind'', ''2024-01-01'', ''2024-01-30''', '''rf'', ''kind'', ''2024-02-01'', ''2024-01-31''', '''rf'', ''kind'', ''-infinity'', ''infinity''',
    '''rf'', ''name'', ''2024-01-01'', ''2024-01-31''', '''rf'', '''', ''2024-01-01'', ''2024-01-31''', '''rf'', ''attribute:none'', ''2024-01-01'', ''2024-01-31''', '''rf'', ''attribute:enterprise'', ''2024-01-01'', ''2024-01-31''',
    '''rf'', ''indicator:none'', ''2024-01-01'', ''2024-01-31''', '''rf'', ''field:tax_payment.none'', ''2024-01-01'', ''2024-01-31''', '''rf'', ''field:tax_payment.amount_paid'', ''2024-01-01'', ''2024-01-31''',
    '''rf'', ''field:tax_payment'', ''2024-01-01'', ''2024-01-31''', '''rf'', ''kind'', ''2024-01-01'', ''2024-01-31'', NULL, 0', '''rf'', ''kind'', ''2024-01-01'', ''2024-01-31'', NULL, 1.1', '''rf'', ''kind'', ''2024-01-01'', ''2024-01-31'', NULL, ''NaN''']) a;
SET LOCAL ROLE rf_bank;
SELECT pg_temp.fails($$SELECT * FROM credit.approval_by_group('rf', 'kind', '2024-01-01', '2024-01-31')$$) LIKE '42501%' AS denied;
RESET ROLE;
ROLLBACK;
