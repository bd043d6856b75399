-- Who may do what in the registry, for every object of it.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE EXTENSION IF NOT EXISTS pgtap;
RESET client_min_messages;
SELECT no_plan();

CREATE TEMP TABLE registry_table (name text, reader text[]);
INSERT INTO registry_table VALUES
    ('institution_kind', '{credit_operator,credit_portal,credit_provider,credit_institution,credit_analyst,credit_auditor}'),
    ('subject_kind', '{credit_operator,credit_portal,credit_provider,credit_institution,credit_analyst,credit_auditor}'),
    ('region', '{credit_operator,credit_portal,credit_provider,credit_institution,credit_analyst,credit_auditor}'),
    ('category', '{credit_operator,credit_portal,credit_provider,credit_institution,credit_analyst,credit_auditor}'),
    ('institution', '{credit_operator,credit_auditor}'), ('subject', '{}'), ('subject_attribute', '{credit_operator,credit_portal}'),
    ('category_provider', '{credit_operator,credit_analyst,credit_auditor}'), ('batch', '{credit_operator,credit_auditor}'),
    ('refused_row', '{}'), ('_batch_seen', '{}'),
    ('data_quality', '{credit_operator,credit_auditor}'), ('unknown_region', '{credit_operator,credit_auditor}');
CREATE TEMP TABLE credit_group (name text);
INSERT INTO credit_group VALUES ('credit_operator'), ('credit_portal'), ('credit_provider'), ('credit_institution'), ('credit_analyst'), ('credit_auditor');

SELECT is(has_table_privilege(g.name, 'credit.' || t.name, 'SELECT'), g.name = ANY (t.reader), format('%s reads credit.%s', g.name, t.name))
  FROM registry_table t, credit_group g;
SELECT ok(NOT has_table_privilege(g.name, 'credit.' || t.name, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'),
          format('%s does not write credit.%s', g.name, t.name))
  FROM (SELECT name FROM registry_table UNION SELECT 'record') t, credit_group g;
SELECT ok(NOT EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = ('credit.' || t.name)::regclass AND a.grantee = 0),
          format('PUBLIC has no right on credit.%s', t.name))
  FROM (SELECT name FROM registry_table UNION SELECT 'record') t;
SELECT ok(NOT has_column_privilege(g.name, 'credit.subject', c.name, 'SELECT'), format('%s does not read subject.%s', g.name, c.name))
  FROM credit_group g, unnest('{log_salt,resident_digest,resident_sealed}'::text[]) c(name);
SELECT ok(NOT has_column_privilege(g.name, 'credit.refused_row', c.name, 'SELECT'), format('%s does not read refused_row.%s', g.name, c.name))
  FROM credit_group g, unnest('{row_given,row_sealed,detail}'::text[]) c(name);
SELECT is(has_column_privilege(g.name, 'credit.subject', 'name', 'SELECT'), g.name IN ('credit_operator', 'credit_portal'), g.name || ' and subject.name')
  FROM credit_group g;

-- functions: exactly these groups, PUBLIC none
CREATE TEMP TABLE registry_function (name text, caller text[]);
INSERT INTO registry_function VALUES
    ('register_institution', '{credit_operator}'), ('set_institution_status', '{credit_operator}'), ('category_schema', '{credit_operator}'),
    ('set_category_public', '{credit_operator}'), ('set_category_schema', '{credit_operator}'), ('set_category_kinds', '{credit_operator}'),
    ('define_category', '{credit_operator}'), ('assign_category', '{credit_operator}'), ('unassign_category', '{credit_operator}'),
    ('set_subject_attribute', '{credit_operator}'), ('load_regions', '{credit_operator}'),
    ('register_subject', '{credit_operator,credit_portal,credit_provider}'),
    ('calling_institution', '{credit_operator,credit_portal,credit_provider,credit_institution}'),
    ('set_record_status', '{credit_operator,credit_provider}'), ('refused_rows', '{credit_operator,credit_provider}'),
    ('ingest_subjects', '{credit_operator,credit_provider}'), ('ingest', '{credit_provider}'),
    ('_batch_open', '{credit_operator,credit_provider}'), ('_batch_take', '{credit_operator,credit_provider}'),
    ('_batch_close', '{credit_operator,credit_provider}'), ('_deliver', '{credit_operator,credit_provider}'),
    ('_put_subject', '{}'), ('_base_kind', '{}'), ('_category', '{}'), ('_check_base_kinds', '{}'), ('_schema_fault', '{}'),
    ('_is_operator', '{}'), ('_keep_category', '{}'), ('_keep_region', '{}'), ('_keep_referenced', '{}'), ('_fit_rows', '{}'),
    ('_mask_row', '{}'), ('_mask_text', '{}'), ('_seal_row', '{}'), ('_unseal_row', '{}'), ('_refuse', '{}'), ('_input_fault', '{}'),
    ('_take_records', '{}'), ('_take_subjects', '{}'), ('_take_regions', '{}'), ('_take_chunk', '{}'), ('_open_batch', '{}');
SELECT is(has_function_privilege(g.name, p.oid, 'EXECUTE'), g.name = ANY (f.caller), format('%s calls %s', g.name, p.oid::regprocedure))
  FROM registry_function f JOIN pg_proc p ON p.proname = f.name AND p.pronamespace = 'credit'::regnamespace, credit_group g;
SELECT is(has_function_privilege(g.name, 'credit.subject_id(credit.uscc)', 'EXECUTE'),
          g.name IN ('credit_operator', 'credit_portal', 'credit_provider', 'credit_institution'), g.name || ' asks by code')
  FROM credit_group g;
SELECT is(has_function_privilege(g.name, 'credit.subject_id(credit.resident_id)', 'EXECUTE'),
          g.name IN ('credit_operator', 'credit_portal', 'credit_provider'), g.name || ' asks by number')
  FROM credit_group g;
SELECT ok(p.proacl IS NOT NULL AND NOT EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0), 'PUBLIC does not call ' || p.oid::regprocedure)
  FROM pg_proc p WHERE p.pronamespace = 'credit'::regnamespace
   AND (p.proname IN (SELECT name FROM registry_function) OR p.proname = 'subject_id');
SELECT is((SELECT count(*) FROM registry_function f WHERE NOT EXISTS (SELECT FROM pg_proc p WHERE p.proname = f.name AND p.pronamespace = 'credit'::regnamespace)),
          0::bigint, 'every function of the list exists');

-- definer functions and everything in plpgsql have a fixed search_path; what reads a staging table is not a definer function
SELECT ok(EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s = 'search_path=pg_catalog, pg_temp'), 'search_path is fixed in ' || p.oid::regprocedure)
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.pronamespace = 'credit'::regnamespace AND l.lanname IN ('sql', 'plpgsql')
   AND (p.proname IN (SELECT name FROM registry_function) OR p.proname = 'subject_id');
SELECT ok(NOT p.prosecdef, 'runs with the caller''s rights: ' || p.oid::regprocedure)
  FROM pg_proc p WHERE p.pronamespace = 'credit'::regnamespace AND p.proname IN ('_deliver', 'ingest', 'ingest_subjects', 'load_regions');

-- contract with other rooms
SELECT is((SELECT string_agg(attname || ' ' || attnotnull, ', ' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = 'credit.record'::regclass AND attnum IN (1, 2)),
          'subject_id true, category_id true', 'record begins with subject and category');
SELECT ok(i.indkey[0] = 1, 'subject leads ' || i.indexrelid::regclass) FROM pg_index i WHERE i.indrelid = 'credit.record'::regclass;
SELECT is((SELECT count(*) FROM pg_extension e, unnest(e.extconfig) c
            WHERE e.extname = 'pgcredit' AND c = ANY (ARRAY['credit.institution', 'credit.subject', 'credit.subject_attribute', 'credit.category',
                  'credit.category_provider', 'credit.region', 'credit.batch', 'credit.refused_row', 'credit.record',
                  'credit.institution_institution_id_seq', 'credit.subject_subject_id_seq', 'credit.batch_batch_id_seq',
                  'credit.record_record_id_seq']::regclass[])), 13::bigint, 'tables and sequences go into a dump');
SELECT is((SELECT count(*) FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgrelid IN ('credit.institution'::regclass, 'credit.subject'::regclass,
                  'credit.category'::regclass, 'credit.category_provider'::regclass, 'credit.region'::regclass, 'credit.record'::regclass)
              AND t.tgname = 'audit_insert'), 6::bigint, 'writes are audited');
SELECT is(col_description(t.oid, 0) IS NULL AND obj_description(t.oid, 'pg_class') IS NULL, false, 'commented: ' || t.oid::regclass)
  FROM pg_class t WHERE t.oid IN (SELECT ('credit.' || name)::regclass FROM registry_table) OR t.oid = 'credit.record'::regclass;
SELECT isnt(obj_description(p.oid, 'pg_proc'), NULL, 'commented: ' || p.oid::regprocedure)
  FROM pg_proc p WHERE p.pronamespace = 'credit'::regnamespace AND p.proname !~ '^_'
   AND (p.proname IN (SELECT name FROM registry_function) OR p.proname = 'subject_id');
SELECT * FROM finish();
ROLLBACK;
