-- Names that stand in for ours or the server's: CVE-2018-1058 and CVE-2020-14350 (objects in a schema that is searched first),
-- CVE-2022-2625 and CVE-2026-2360 (objects that an install script takes for its own: also core_install), CVE-2023-2454
-- (CREATE SCHEMA around a call), CVE-2023-39417 (@extschema@ in quotes), CVE-2026-6472 (the name of a multirange type).
-- test/pgtap/02_captured.sql calls every function of the platform past traps of all the server's operators.
\set attack attack_search_path
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set begin :srcdir /sql/lib/attack_begin.sql
\set end :srcdir /sql/lib/attack_end.sql
\i :begin
\set ECHO all
CREATE FUNCTION trap() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF current_user <> 'attack_search_path_bank' THEN
        PERFORM nextval(current_setting('attack.leaks')::regclass);
    END IF;
    RETURN true;
END
$$;
-- what ours and the server's are called
CREATE FUNCTION guard(bigint, smallint) RETURNS boolean LANGUAGE sql AS 'SELECT trap()';
CREATE FUNCTION calling_role() RETURNS regrole LANGUAGE plpgsql AS 'BEGIN PERFORM trap(); RETURN ''attack_search_path_other''; END';
CREATE FUNCTION open_access(bigint, text, text[]) RETURNS boolean LANGUAGE sql AS 'SELECT trap()';
CREATE FUNCTION _audit_note(jsonb) RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM trap(); END';
CREATE FUNCTION now() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN PERFORM trap(); RETURN ''-infinity''; END';
CREATE FUNCTION int8eq_trap(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT trap()';
CREATE OPERATOR = (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = int8eq_trap);
CREATE FUNCTION texteq_trap(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT trap()';
CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq_trap);
CREATE OPERATOR <> (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq_trap);
CREATE TEMP TABLE record AS SELECT * FROM twin;
CREATE TEMP TABLE institution (institution_id int, code text, db_role regrole, status text);
INSERT INTO pg_temp.institution VALUES (1, 'attack_search_path_other', 'attack_search_path_bank', 'active');
CREATE TEMP TABLE consent AS SELECT 1::bigint AS subject_id;
CREATE TEMP TABLE category AS SELECT 1::smallint AS category_id, true AS public_by_law;
CREATE FUNCTION pg_temp.guard(bigint, smallint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE DOMAIN pg_temp.jsonb AS pg_catalog.jsonb;
\set first 'SET LOCAL search_path = attack_search_path, pg_temp, credit, pg_catalog'
SELECT * FROM attack('CVE-2018-1058, the table', :'first', 'SELECT * FROM credit.record');
SELECT * FROM attack('CVE-2018-1058, read', :'first', 'SELECT * FROM credit.read(@S2@::bigint, ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('CVE-2018-1058, read of many', :'first', 'SELECT * FROM credit.read(ARRAY[@S1@, @S2@]::bigint[], ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('CVE-2018-1058, open_access', :'first', 'SELECT * FROM credit.open_access(ARRAY[@S1@, @S2@]::bigint[], ''pre_loan'', ''{tax_payment}'')', 'SELECT * FROM credit.record');
SELECT * FROM attack('CVE-2018-1058, a temporary table', 'SELECT * FROM pg_temp.record');
SELECT * FROM attack('CVE-2018-1058, schema public', 'CREATE FUNCTION public.open_access(bigint, text, text[]) RETURNS boolean LANGUAGE sql AS ''SELECT true''');
SELECT * FROM attack('CVE-2020-14350, schema credit', 'CREATE FUNCTION credit.jsonb_typeof(jsonb) RETURNS text LANGUAGE sql AS ''SELECT NULL''');
SELECT * FROM attack('CVE-2022-2625, an object of ours is there before', 'CREATE VIEW credit.next_version AS SELECT 1 AS x');
SELECT * FROM attack('CVE-2022-2625, an extension', 'CREATE EXTENSION pgcredit');
SELECT * FROM attack('CVE-2022-2625, an update', 'ALTER EXTENSION pgcredit UPDATE');
SELECT * FROM attack('CVE-2022-2625, an object is made ours', 'ALTER EXTENSION pgcredit ADD FUNCTION attack_search_path.guard(bigint, smallint)');
SELECT * FROM attack('CVE-2026-6472, a multirange type in our schema', 'CREATE TYPE attack_search_path.r AS RANGE (subtype = text, multirange_type_name = credit.mr)');
SELECT * FROM attack('CVE-2026-6472, one in one''s own', 'CREATE TYPE attack_search_path.r AS RANGE (subtype = text, multirange_type_name = attack_search_path.mr)', 'SELECT ''SECRET''');
SELECT * FROM attack('CVE-2026-6472, one in the server''s', 'CREATE TYPE attack_search_path.r AS RANGE (subtype = text, multirange_type_name = pg_catalog.mr)');
-- CVE-2023-2454: a schema's elements are created with that schema in front of a protective search_path
RESET ROLE;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO attack_search_path_bank', current_database()); END $$;
SET ROLE :bank;
SELECT * FROM attack('CVE-2023-2454', 'CREATE SCHEMA attack_search_path_2 CREATE VIEW v AS SELECT * FROM credit.read(@S2@::bigint, ''pre_loan'', ''{tax_payment}'')', 'SELECT * FROM attack_search_path_2.v');
SELECT * FROM attack('CVE-2023-2454, a table of our name', 'CREATE SCHEMA attack_search_path_2 CREATE TABLE institution (code text) CREATE VIEW v AS SELECT calling_role FROM credit.calling_role()',
                     'SET LOCAL search_path = attack_search_path_2', 'SELECT ''SECRET'' FROM v WHERE calling_role::text OPERATOR(pg_catalog.<>) ''attack_search_path_bank''');
RESET ROLE;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM attack_search_path_bank', current_database()); END $$;
SET search_path = pg_catalog;
-- what the script is made of, as it is installed: no substitution in it, and no lookup but of pg_catalog and schema credit
SELECT count(*) AS scripts, bool_or(text ~ '@ext(schema|owner)[:@]') AS substituted
  FROM (SELECT setting FROM pg_config() WHERE name OPERATOR(pg_catalog.=) 'SHAREDIR' OFFSET 0) c, LATERAL pg_ls_dir(c.setting || '/extension') f, LATERAL pg_read_file(c.setting || '/extension/' || f) text
 WHERE f OPERATOR(pg_catalog.~) '^pgcredit--[0-9.]+\.sql$';
SELECT extrelocatable, extnamespace::regnamespace FROM pg_extension WHERE extname OPERATOR(pg_catalog.=) 'pgcredit';
SET search_path = attack_search_path, public, pg_catalog;
-- the traps are sharp: somebody else who searches the schema first is caught
SELECT attempt(ARRAY['SET LOCAL search_path = attack_search_path, pg_catalog', 'SELECT 1::bigint = 2::bigint'], false);
SET ROLE :bank;
-- the bank itself falls into its own trap, as the bank: it learns nothing by it
SELECT attempt(ARRAY[:'first', 'SELECT 1::bigint = 2::bigint'], false);
\set ECHO none
\i :end
