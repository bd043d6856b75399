SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
\set VERBOSITY default
SET DateStyle = 'ISO, YMD';
BEGIN;
CREATE FUNCTION pg_temp.code(prefix text, n integer) RETURNS text LANGUAGE sql AS
    $$ SELECT b || credit.uscc_check_character(b) FROM (SELECT prefix || '990101' || lpad(n::text, 9, '0') AS b) s $$;
CREATE FUNCTION pg_temp.num(n integer) RETURNS text LANGUAGE sql AS
    $$ SELECT b || credit.resident_id_check_character(b) FROM (SELECT '99010119800101' || lpad(n::text, 3, '0') AS b) s $$;
CREATE ROLE registry_ingest_op;
CREATE ROLE registry_ingest_tax;
CREATE ROLE registry_ingest_other;
GRANT credit_operator TO registry_ingest_op;
GRANT credit_provider TO registry_ingest_tax, registry_ingest_other;
SET ROLE registry_ingest_op;
SELECT credit.register_institution('ingest-tax', '税务', 'Tax', 'tax', 'registry_ingest_tax') AS tax_id,
       credit.register_institution('ingest-other', '法院', 'Court', 'court', 'registry_ingest_other') AS other_id \gset
SELECT credit.assign_category('tax_payment', 'ingest-tax', '1 day');
SELECT credit.assign_category('social_insurance', 'ingest-tax');
SELECT credit.assign_category('import_export', 'ingest-tax');
SELECT credit.assign_category('tax_payment', 'ingest-other');
-- subjects in bulk: one new plain, one in lower case that is the same, one person, one bad code, one bad number, one without
-- identifier, one with an unknown field, one bad region, one attribute kind
SELECT pg_temp.code('91', 1) AS c1, pg_temp.code('91', 2) AS c2, pg_temp.code('92', 3) AS c3, pg_temp.num(1) AS n1, pg_temp.num(2) AS n2,
       overlay(pg_temp.num(9) placing (CASE right(pg_temp.num(9), 1) WHEN '0' THEN '1' ELSE '0' END) from 18) AS badnum \gset
SELECT jsonb_build_array(
         jsonb_build_object('uscc', :'c1', 'name', '甲'), jsonb_build_object('uscc', lower(:'c1')),
         jsonb_build_object('uscc', :'c2', 'registered_on', '20100203', 'kind', 'small_micro_enterprise'),
         jsonb_build_object('uscc', :'c3', 'resident_id', :'n1'), jsonb_build_object('resident_id', :'n2', 'name', '李四'),
         jsonb_build_object('uscc', '91990101000000001X'), jsonb_build_object('resident_id', :'badnum'),
         jsonb_build_object('name', '无'), jsonb_build_object('uscc', :'c1', 'phone', '1'),
         jsonb_build_object('uscc', pg_temp.code('91', 5), 'region', '33'), jsonb_build_object('uscc', :'c1', 'kind', 'sme'),
         jsonb_build_object('uscc', :'c1', 'registered_on', '2010-02-30')) AS subjects \gset
SELECT batch_id AS b, received, inserted, updated, unchanged, refused FROM credit.ingest_subjects(rows => :'subjects', batch_key => 's1') \gset s_
SELECT :s_received AS received, :s_inserted AS inserted, :s_updated AS updated, :s_unchanged AS unchanged, :s_refused AS refused;
SELECT row_no, sqlstate, reason, detail FROM credit.refused_rows(:s_b);
SELECT received, inserted, updated, unchanged, refused FROM credit.ingest_subjects(rows => :'subjects', batch_key => 's1');
SELECT kind, name, region, registered_on FROM credit.subject WHERE region::text = '990101' OR name = '李四' ORDER BY subject_id;

-- records: every way a row can be wrong, and good ones between them
SET ROLE registry_ingest_tax;
SELECT jsonb_build_array(
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k1', 'tax_type', 'vat', 'amount_paid', '1234.50', 'overdue', 'f', 'period', '2024/01/01'),
    jsonb_build_object('resident_id', :'n2', 'dated', '20240131', 'source_key', 'k2', 'tax_type', 'iit', 'amount_paid', 10),
    jsonb_build_object('uscc', lower(:'c3'), 'dated', '2024-02-29', 'tax_type', 'vat', 'amount_paid', 0.1, 'polarity', 'positive'),
    jsonb_build_object('uscc', '91990101000000001X', 'dated', '2024-01-31', 'source_key', 'k4', 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('resident_id', :'badnum', 'dated', '2024-01-31', 'source_key', 'k5', 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('uscc', pg_temp.code('91', 77), 'dated', '2024-01-31', 'source_key', 'k6', 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k7', 'tax_type', 'vat'),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k8', 'tax_type', 'vat', 'amount_paid', '12,5'),
    jsonb_build_object('uscc', :'c1', 'dated', '2023-02-29', 'source_key', 'k9', 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('uscc', :'c1', 'dated', 'yesterday', 'source_key', 'k10', 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k11', 'tax_type', 'vat', 'amount_paid', 1, 'colour', 'red'),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k1', 'tax_type', 'vat', 'amount_paid', 2),
    jsonb_build_object('dated', '2024-01-31', 'source_key', 'k13', 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('uscc', :'c1', 'resident_id', :'n2', 'dated', '2024-01-31', 'source_key', 'k14', 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('uscc', :'c1', 'source_key', 'k15', 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k16', 'tax_type', 'vat', 'amount_paid', 1, 'tax_credit_class', 'Z'),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k17', 'tax_type', 'of ' || :'n1', 'amount_paid', 1),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', :'n1' || '-2024', 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('uscc', :'n1', 'dated', '2024-01-31', 'source_key', 'k19', 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k20', 'tax_type', 'vat', 'amount_paid', 1, 'valid_from', '2024-01-02', 'valid_to', '2024-01-02'),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k21', 'tax_type', 'vat', 'amount_paid', 1, 'polarity', 'bad'),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k22', 'tax_type', 'vat', 'amount_paid', 1, 'overdue', 'maybe'),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', repeat('k', 501), 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k24', 'tax_type', jsonb_build_array('vat'), 'amount_paid', 1),
    jsonb_build_object('subject_id', 0, 'dated', '2024-01-31', 'source_key', 'k25', 'tax_type', 'vat', 'amount_paid', 1),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k26', 'payload', jsonb_build_object('tax_type', 'vat', 'amount_paid', 7)),
    '"text"'::jsonb, 'null'::jsonb) AS rows \gset
SELECT * FROM credit.ingest('tax_payment', rows => :'rows', batch_key => 'jan') \gset r_
SELECT :r_received AS received, :r_inserted AS inserted, :r_updated AS updated, :r_unchanged AS unchanged, :r_refused AS refused;
SELECT row_no, sqlstate, reason, detail FROM credit.refused_rows(:r_batch_id);
-- the provider gets each refused row back as it was given
SELECT count(*) AS same FROM credit.refused_rows(:r_batch_id) f WHERE f.row_given = :'rows'::jsonb -> (f.row_no - 1)::integer;
-- given again: nothing doubles; a new name for it changes nothing
SELECT received, inserted, updated, unchanged, refused FROM credit.ingest('tax_payment', rows => :'rows', batch_key => 'jan');
SELECT received, inserted, updated, unchanged, refused FROM credit.ingest('tax_payment', rows => :'rows');
-- corrected rows go in; a changed one is a new revision; a fact of another provider is another fact
SELECT jsonb_build_array(
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k7', 'tax_type', 'vat', 'amount_paid', 3),
    jsonb_build_object('uscc', :'c1', 'dated', '2024-01-31', 'source_key', 'k1', 'tax_type', 'vat', 'amount_paid', 1234.60)) AS fixed \gset
SELECT received, inserted, updated, unchanged, refused FROM credit.ingest('tax_payment', rows => :'fixed', batch_key => 'jan');
SET ROLE registry_ingest_other;
SELECT received, inserted, updated, unchanged, refused FROM credit.ingest('tax_payment', rows => :'fixed');
-- a batch is its provider's; a category must be assigned
\set VERBOSITY sqlstate
SELECT count(*) FROM credit.refused_rows(:r_batch_id);
\set VERBOSITY default
SELECT credit.ingest('social_insurance', rows => '[]');
SELECT credit.ingest('no_such', rows => '[]');
SELECT credit.ingest('tax_payment', rows => '{}');
SELECT credit.ingest('tax_payment', '[]'::jsonb, repeat('x', 501));

RESET ROLE;
-- nothing in clear anywhere
SELECT count(*) AS in_clear FROM (
    SELECT r::text AS t FROM credit.record r UNION ALL SELECT f::text FROM credit.refused_row f UNION ALL SELECT b::text FROM credit.batch b
    UNION ALL SELECT encode(f.row_sealed, 'escape') FROM credit.refused_row f) s
 WHERE t LIKE '%' || :'n1' || '%' OR t LIKE '%' || :'n2' || '%' OR t LIKE '%' || :'badnum' || '%';
SELECT row_no, row_given, row_sealed IS NOT NULL AS sealed FROM credit.refused_row WHERE batch_id = :r_batch_id AND row_no IN (5, 14, 17, 18, 19) ORDER BY 1;
SELECT s.kind, r.provider_id = :tax_id AS tax, r.dated, r.polarity, r.status, left(r.source_key, 10) AS key, r.payload, r.revision
  FROM credit.record r JOIN credit.subject s USING (subject_id) WHERE r.provider_id IN (:tax_id, :other_id) ORDER BY r.record_id;
SELECT count(*) AS left_over FROM credit._batch_seen;
-- a sealed row cannot be moved to another batch
\set VERBOSITY sqlstate
SELECT credit._unseal_row(row_sealed, batch_id, row_no + 1) FROM credit.refused_row WHERE batch_id = :r_batch_id AND row_no = 5;

\set VERBOSITY default
-- staging table of text columns, filled by COPY; another kind of subject; empty cells
SET ROLE registry_ingest_tax;
CREATE TEMP TABLE s ("s" text, uscc text, dated text, source_key text, period text, imports text, exports text);
ALTER TABLE s DROP COLUMN "s";
COPY s FROM stdin (FORMAT csv);
91990101000000001K,2024-03-31,a,2024-01-01,10,
,2024-03-31,b,2024-01-01,10,20
\.
UPDATE s SET uscc = :'c1' WHERE source_key = 'a';
UPDATE s SET uscc = :'c3' WHERE source_key = 'b';
SELECT * FROM credit.ingest('import_export', staging => 's') \gset i_
SELECT :i_received AS received, :i_inserted AS inserted, :i_refused AS refused;
SELECT row_no, sqlstate, reason FROM credit.refused_rows(:i_batch_id);
-- more rows than a chunk has: a second row with the key of a first is refused wherever it stands, also when the first changed nothing
CREATE TEMP TABLE long AS
    SELECT :'c1'::text AS uscc, '2024-05-31'::date AS dated, 'L' || g AS source_key, 'vat' AS tax_type, g AS amount_paid FROM generate_series(1, 11000) g;
SELECT received, inserted, updated, unchanged, refused FROM credit.ingest('tax_payment', staging => 'long', batch_key => 'long');
INSERT INTO long VALUES (:'c1', '2024-05-31', 'L1', 'vat', 99), (:'c1', '2024-05-31', 'L7000', 'vat', 7000), (:'c1', '2024-05-31', 'L11001', 'vat', 1), (:'c1', '2024-05-31', 'L11001', 'vat', 1);
SELECT received, inserted, updated, unchanged, refused FROM credit.ingest('tax_payment', staging => 'long', batch_key => 'long');
-- a row that the statement itself cannot take is refused alone, whatever raises
RESET ROLE;
CREATE FUNCTION pg_temp.picky() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.source_key = 'p2' THEN RAISE EXCEPTION 'picky' USING ERRCODE = '23514', DETAIL = 'p2'; END IF; RETURN NEW; END $$;
CREATE TRIGGER picky BEFORE INSERT ON credit.record FOR EACH ROW EXECUTE FUNCTION pg_temp.picky();
SET ROLE registry_ingest_tax;
SELECT * FROM credit.ingest('tax_payment', (SELECT jsonb_agg(jsonb_build_object('uscc', :'c1', 'dated', '2024-06-30', 'source_key', k, 'tax_type', 'vat', 'amount_paid', 1))
                                              FROM unnest('{p1,p2,p3,p1}'::text[]) k)) \gset p_
SELECT :p_received AS received, :p_inserted AS inserted, :p_refused AS refused;
SELECT row_no, sqlstate, reason, detail FROM credit.refused_rows(:p_batch_id);
RESET ROLE;
DROP TRIGGER picky ON credit.record;

-- status
\set VERBOSITY sqlstate
SELECT subject_id AS sid, record_id AS rid FROM credit.record WHERE source_key = 'k7' AND provider_id = :tax_id \gset
SET ROLE registry_ingest_tax;
SELECT credit.set_record_status(:sid, :rid, 'disputed', 'objection 7 of ' || :'n1');
SELECT credit.set_record_status(:sid, :rid, 'gone', 'x');
SELECT credit.set_record_status(:sid, :rid, 'active', ' ');
SELECT credit.set_record_status(:sid, 0, 'active', 'x');
SET ROLE registry_ingest_other;
SELECT credit.set_record_status(:sid, :rid, 'active', 'not mine');
SET ROLE registry_ingest_op;
SELECT credit.set_record_status(:sid, 0, 'active', 'x');
SELECT credit.set_record_status(:sid, :rid, 'repaired', 'case closed');
SELECT credit.set_institution_status('ingest-tax', 'suspended');
-- quality
SELECT content, category, provider, batches, received, refused, refused_by_sqlstate, unknown_region, newest_dated, stale
  FROM credit.data_quality WHERE provider LIKE 'ingest-%' ORDER BY 2, 3;
RESET ROLE;
UPDATE credit.batch SET finished_at = finished_at - interval '2 days' WHERE provider_id = :tax_id;
SET ROLE registry_ingest_op;
SELECT category, stale FROM credit.data_quality WHERE provider = 'ingest-tax' ORDER BY 1;
SELECT region, subjects FROM credit.unknown_region WHERE region::text = '990101';
SET ROLE registry_ingest_tax;
SELECT credit.set_record_status(:sid, :rid, 'active', 'suspended meanwhile');
SELECT credit.ingest('tax_payment', rows => '[]');
RESET ROLE;
SELECT status, status_reason, revision FROM credit.record WHERE subject_id = :sid AND record_id = :rid;
-- what records name stays
DELETE FROM credit.institution WHERE institution_id = :tax_id;
DELETE FROM credit.category WHERE code = 'tax_payment';
ROLLBACK;
