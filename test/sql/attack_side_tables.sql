-- Ways to a table besides SELECT: hanging things on it, locking and emptying it, copying it, large objects, files, toast,
-- sequences, other sessions. What works on the twin, which the bank owns, does not on the guarded table.
\set attack attack_side_tables
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set begin :srcdir /sql/lib/attack_begin.sql
\set end :srcdir /sql/lib/attack_end.sql
\i :begin
\set ECHO all
CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM leak(NEW); RETURN NEW; END';
CREATE FUNCTION proof(text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = attack_side_tables, pg_catalog AS 'BEGIN PERFORM leak($1); RETURN $1; END';
SELECT * FROM attack('trigger', 'CREATE TRIGGER t BEFORE UPDATE ON @T@ FOR EACH ROW EXECUTE FUNCTION on_row()', 'UPDATE @T@ SET revision = 2');
SELECT * FROM attack('rule', 'CREATE RULE r AS ON UPDATE TO @T@ DO ALSO SELECT leak(OLD.payload)', 'UPDATE @T@ SET revision = 2');
SELECT * FROM attack('index with a function', 'CREATE INDEX ON @T@ (proof(source_key))');
SELECT * FROM attack('partial index', 'CREATE INDEX ON @T@ (dated) WHERE proof(source_key) IS NOT NULL');
SELECT * FROM attack('column default', 'ALTER TABLE @T@ ADD x boolean GENERATED ALWAYS AS (proof(source_key) IS NULL) STORED');
SELECT * FROM attack('policy', 'CREATE POLICY mine ON @T@ USING (true)', 'SELECT * FROM @T@');
SELECT * FROM attack('row security off', 'ALTER TABLE @T@ DISABLE ROW LEVEL SECURITY', 'SELECT * FROM @T@');
SELECT * FROM attack('owner', 'ALTER TABLE @T@ OWNER TO CURRENT_USER', 'SELECT * FROM @T@');
SELECT * FROM attack('rights', 'GRANT SELECT ON @T@ TO PUBLIC', 'SELECT * FROM @T@');
SELECT * FROM attack('parent', 'CREATE TABLE parent AS SELECT * FROM twin WHERE false', 'ALTER TABLE @T@ INHERIT parent', 'SELECT * FROM parent');
SELECT * FROM attack('partition', 'CREATE TABLE parent (LIKE twin) PARTITION BY LIST (subject_id)', 'ALTER TABLE parent ATTACH PARTITION @T@ DEFAULT', 'SELECT * FROM parent');
SELECT * FROM attack('schema', 'ALTER TABLE @T@ SET SCHEMA pg_temp', 'SELECT * FROM @T@');
SELECT * FROM attack('truncate', 'TRUNCATE @T@', 'SELECT ''SECRET'' WHERE NOT EXISTS (SELECT FROM @T@)');
SELECT * FROM attack('lock', 'LOCK TABLE @T@ IN ACCESS EXCLUSIVE MODE', 'SELECT ''SECRET''');
SELECT * FROM attack('lock in the weakest mode for writers', 'LOCK TABLE @T@ IN ROW EXCLUSIVE MODE', 'SELECT ''SECRET''');
SELECT * FROM attack('row locks', 'SELECT * FROM @T@ FOR UPDATE');
SELECT * FROM attack('row locks, weak', 'SELECT * FROM @T@ FOR KEY SHARE SKIP LOCKED');
SELECT * FROM attack('cluster', 'CREATE INDEX twin_dated ON twin (dated)', 'ALTER TABLE @T@ CLUSTER ON twin_dated', 'SELECT * FROM @T@');
SELECT * FROM attack('statistics target', 'ALTER TABLE @T@ ALTER payload SET STATISTICS 1000', 'SELECT ''SECRET''');
SELECT * FROM attack('publication', 'CREATE PUBLICATION p FOR TABLE @T@', 'SELECT ''SECRET''');
-- copies
SELECT * FROM attack('CREATE TABLE AS', 'CREATE TABLE copied AS SELECT * FROM @T@', 'SELECT * FROM copied');
SELECT * FROM attack('temporary table', 'CREATE TEMP TABLE copied ON COMMIT DROP AS TABLE @T@', 'SELECT * FROM copied');
SELECT * FROM attack('INSERT SELECT', 'CREATE TABLE copied (LIKE twin)', 'INSERT INTO copied SELECT * FROM @T@', 'SELECT * FROM copied');
SELECT * FROM attack('materialized view', 'CREATE MATERIALIZED VIEW copied AS SELECT * FROM @T@', 'SELECT * FROM copied');
SELECT * FROM attack('materialized view, filled later', 'CREATE MATERIALIZED VIEW copied AS SELECT * FROM @T@ WITH NO DATA', 'REFRESH MATERIALIZED VIEW copied', 'SELECT * FROM copied');
SELECT * FROM attack('large object', 'CREATE TEMP TABLE l ON COMMIT DROP AS SELECT lo_from_bytea(0, convert_to(payload::text, ''UTF8'')) AS o FROM @T@', 'SELECT convert_from(lo_get(o), ''UTF8'') FROM l');
SELECT * FROM attack('COPY to a file', 'COPY @T@ TO ''/dev/null''');
SELECT * FROM attack('COPY to a program', 'COPY (SELECT * FROM @T@) TO PROGRAM ''cat''');
SELECT * FROM attack('query_to_xml', 'SELECT query_to_xml(''SELECT payload FROM @T@'', true, false, '''')');
SELECT * FROM attack('table_to_xml', 'SELECT table_to_xml(''@T@'', true, false, '''')');
SELECT * FROM attack('schema_to_xml', 'SELECT schema_to_xml(''credit'', true, false, '''')');
SELECT * FROM attack('cursor_to_xml', 'DECLARE c CURSOR FOR SELECT payload FROM @T@', 'SELECT cursor_to_xml(''c'', 100, true, false, '''')');
SELECT * FROM attack('ts_stat', 'SELECT word FROM ts_stat(''SELECT array_to_tsvector(array_agg(source_key)) FROM @T@'')');
SELECT * FROM attack('lo_import', 'SELECT lo_import(''postgresql.conf'')');
SELECT * FROM attack('lo_export', 'SELECT lo_export(lo_create(0), ''attack'')');
SELECT * FROM attack('pg_read_file', 'SELECT ''SECRET'', pg_read_file(pg_relation_filepath(''credit.record''))');
SELECT * FROM attack('pg_read_binary_file', 'SELECT ''SECRET'', pg_read_binary_file(pg_relation_filepath(''credit.record''))');
SELECT * FROM attack('pg_ls_dir', 'SELECT ''SECRET'', pg_ls_dir(''.'')');
SELECT * FROM attack('a tuple by its place', 'SELECT ''SECRET'', currtid2(''credit.subject'', ''(0,1)'')');
SET client_min_messages = error;
SELECT guarded FROM attack('toast', 'SELECT ''SECRET'' FROM ' || (SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = 'credit.record'::regclass));
RESET client_min_messages;
SELECT * FROM attack('extensions that read pages', 'CREATE EXTENSION pageinspect');
SELECT * FROM attack('extensions that connect', 'CREATE EXTENSION dblink');
SELECT * FROM attack('replication slot', 'SELECT ''SECRET'', pg_create_logical_replication_slot(''attack'', ''test_decoding'')');
SELECT * FROM attack('backup', 'SELECT ''SECRET'', pg_backup_start(''attack'')');
-- sequences and other sessions
SELECT * FROM attack('currval', 'SELECT ''SECRET'', currval(''credit.subject_subject_id_seq'')');
SELECT * FROM attack('lastval', 'SELECT ''SECRET'', lastval() FROM (SELECT credit.open_access(@S1@::bigint, ''pre_loan'', ''{tax_payment}'')) o WHERE lastval() IS NOT NULL');
SELECT * FROM attack('nextval', 'SELECT ''SECRET'', nextval(''credit.consent_consent_id_seq'')');
SELECT * FROM attack('setval', 'SELECT ''SECRET'', setval(''credit.record_record_id_seq'', 1)');
SELECT * FROM attack('last_value', 'SELECT ''SECRET'', last_value FROM credit.subject_subject_id_seq');
SELECT * FROM attack('pg_sequences', 'SELECT ''SECRET'', last_value FROM pg_sequences WHERE schemaname = ''credit'' AND last_value IS NOT NULL');
SELECT * FROM attack('statements of others', 'SELECT ''SECRET'', query FROM pg_stat_activity WHERE usename <> current_user AND query <> ''<insufficient privilege>'' AND query <> '''' AND datname = current_database()');
-- everything of ours that it may write, or hang something on
SELECT c.oid::regclass, p FROM pg_class c, unnest('{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p
 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND (has_table_privilege(c.oid, p) OR p IN ('INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege(c.oid, p));
\set VERBOSITY sqlstate
-- psql's own copy, and what a pg_dump of the role begins with
\copy credit.record (payload) TO STDOUT
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
\copy (SELECT payload FROM credit.record) TO STDOUT
LOCK TABLE credit.record IN ACCESS SHARE MODE;
SET LOCAL row_security = off;
COPY credit.record (payload) TO STDOUT;
ROLLBACK;
\copy (SELECT payload ->> 'whose', count(*) FROM twin GROUP BY 1 ORDER BY 1) TO STDOUT
\set ECHO none
\i :end
