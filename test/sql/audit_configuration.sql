-- Commands that change the configuration are entries: rights, roles, objects of ours, settings, the extension itself.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on

-- Entries of configuration since the last call, without what differs from run to run.
CREATE TABLE configuration_seen (seq bigint);
INSERT INTO configuration_seen SELECT coalesce(max(seq), 0) FROM credit.audit_log;
CREATE FUNCTION configuration_new() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    before bigint := (SELECT seq FROM configuration_seen);
BEGIN
    FOR turn IN 1 .. 1000 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM credit.audit_outbox) AND EXISTS (SELECT FROM credit.audit_entry);
        PERFORM pg_sleep(0.01);
    END LOOP;
    UPDATE configuration_seen SET seq = (SELECT coalesce(max(a.seq), 0) FROM credit.audit_entry a);
    RETURN QUERY
        SELECT replace(regexp_replace(regexp_replace(replace(entry, format('"%s"', session_user), '"me"'),
                           '"(actor|at|kind|recorded|seq|session_user|version)":("[^"]*"|\d+),?', '', 'g'),
                           '"code":"[^"]{43}"', '"code":"…"'), ',}', '}')
          FROM credit.audit_log l WHERE l.seq > before AND l.kind = 'configuration' ORDER BY l.seq;
END
$$;

-- What the installation left, which may be there by now or not.
SELECT count(*) * 0 FROM configuration_new();
SELECT credit._code_digest() AS start, credit._code_digest() = credit._code_expected() AS as_installed \gset
\echo :as_installed

-- Rights on objects of ours, and default rights.
CREATE ROLE regress_conf_a;
GRANT SELECT ON credit.region, credit.category TO regress_conf_a;
GRANT SELECT (code, parent), REFERENCES (code) ON credit.region TO regress_conf_a WITH GRANT OPTION;
REVOKE GRANT OPTION FOR ALL (code) ON credit.region FROM regress_conf_a;
GRANT EXECUTE ON FUNCTION credit.is_valid_uscc(text), credit.version() TO regress_conf_a, PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA credit FROM regress_conf_a;
GRANT USAGE ON TYPE credit.uscc TO regress_conf_a;
GRANT USAGE ON SCHEMA credit TO CURRENT_USER;
ALTER DEFAULT PRIVILEGES IN SCHEMA credit GRANT SELECT ON TABLES TO regress_conf_a;
ALTER DEFAULT PRIVILEGES IN SCHEMA credit REVOKE SELECT ON TABLES FROM regress_conf_a;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_conf_a GRANT SELECT ON TABLES TO PUBLIC;
SELECT configuration_new();

-- Roles: those of the platform, their members, directly or not, and whoever stands above all rights.
CREATE ROLE regress_conf_none NOINHERIT;
COMMENT ON ROLE regress_conf_none IS 'a role that is nothing to us';
CREATE ROLE regress_conf_other ROLE regress_conf_none;
GRANT regress_conf_other TO regress_conf_none;
REVOKE regress_conf_other FROM regress_conf_none;
DROP ROLE regress_conf_other;
SELECT configuration_new() AS none;
CREATE ROLE regress_conf_bank LOGIN PASSWORD 'secret-one' VALID UNTIL '2099-01-01' CONNECTION LIMIT 3 IN ROLE credit_institution ROLE regress_conf_none;
ALTER ROLE regress_conf_bank PASSWORD 'secret-two';
ALTER ROLE regress_conf_bank PASSWORD NULL;
ALTER GROUP regress_conf_bank ADD USER regress_conf_a;
ALTER ROLE regress_conf_bank RENAME TO "regress_conf_""银行""";
GRANT credit_operator, credit_auditor TO regress_conf_a WITH ADMIN OPTION;
REVOKE ADMIN OPTION FOR credit_operator FROM regress_conf_a;
REVOKE credit_operator, credit_auditor FROM regress_conf_a;
GRANT pg_read_all_data TO regress_conf_a;
REVOKE pg_read_all_data FROM regress_conf_a;
ALTER ROLE regress_conf_none SUPERUSER;
ALTER ROLE regress_conf_none NOSUPERUSER BYPASSRLS;
ALTER ROLE regress_conf_none NOBYPASSRLS;
DROP ROLE "regress_conf_""银行""";
SELECT configuration_new();

-- Objects of ours, whatever they are and however they are reached.
BEGIN;
ALTER TABLE credit.audit_entry DISABLE TRIGGER only_grows;
ALTER TABLE credit.audit_entry ENABLE ALWAYS TRIGGER only_restored;
ALTER TABLE credit.audit_entry DISABLE TRIGGER USER;
ALTER TABLE credit.record NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE credit.region OWNER TO regress_conf_a;
ALTER TABLE credit.region ADD COLUMN "new ""column""" text DEFAULT 'x';
COMMIT;
BEGIN;
ALTER TABLE credit.region DROP COLUMN "new ""column""";
REASSIGN OWNED BY regress_conf_a TO CURRENT_USER;
ALTER TABLE credit.record ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE credit.audit_entry ENABLE TRIGGER USER;
ROLLBACK;
SELECT configuration_new();
ALTER TABLE credit.region DROP COLUMN "new ""column""";
REASSIGN OWNED BY regress_conf_a TO CURRENT_USER;
ALTER TABLE credit.record ENABLE ROW LEVEL SECURITY;
ALTER TABLE credit.audit_entry ENABLE TRIGGER USER;
CREATE POLICY all_of_it ON credit.record USING (true);
ALTER POLICY all_of_it ON credit.record TO regress_conf_a USING (false);
ALTER POLICY all_of_it ON credit.record RENAME TO none_of_it;
DROP POLICY none_of_it ON credit.record;
CREATE TRIGGER late BEFORE INSERT ON credit.region FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
DROP TRIGGER late ON credit.region;
CREATE RULE nothing AS ON DELETE TO credit.region DO INSTEAD NOTHING;
DROP RULE nothing ON credit.region;
CREATE INDEX dated ON credit.record (dated);
DROP INDEX credit.dated;
CREATE INDEX CONCURRENTLY dated ON credit.record (dated);
DROP INDEX CONCURRENTLY credit.dated;
ALTER FUNCTION credit.version() COST 7;
ALTER FUNCTION credit.version() COST 1;
ALTER VIEW credit.audit_log SET (security_barrier = false);
ALTER VIEW credit.audit_log SET (security_barrier = true);
COMMENT ON COLUMN credit.region.parent IS NULL;
CREATE TABLE configuration_here (a integer, b text DEFAULT 'x');
ALTER TABLE configuration_here SET SCHEMA credit;
ALTER TABLE credit.configuration_here ALTER COLUMN a TYPE bigint;
ALTER TABLE credit.configuration_here RENAME TO "Name'with
all\""";
DROP TABLE credit."Name'with
all\""" CASCADE;
SELECT configuration_new();
SELECT credit._code_digest() = credit._code_expected() AS as_recorded, credit._code_digest() = :'start' AS as_it_was;

-- From within functions, blocks and commands that are made of others.
DO $$ BEGIN
    EXECUTE 'GRANT SELECT ON credit.region TO regress_conf_a; REVOKE SELECT ON credit.region FROM regress_conf_a';
    BEGIN
        EXECUTE 'GRANT SELECT ON credit.category TO regress_conf_a';
        RAISE EXCEPTION 'undone';
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
END $$;
CREATE SCHEMA regress_conf CREATE TABLE t (a integer) CREATE INDEX i ON t (a) GRANT SELECT ON credit.region TO regress_conf_a;
BEGIN;
GRANT SELECT ON credit.category TO regress_conf_a;
SAVEPOINT s;
GRANT SELECT ON credit.purpose TO regress_conf_a;
ROLLBACK TO s;
COMMIT;
DROP SCHEMA regress_conf CASCADE;
DROP OWNED BY regress_conf_a;
SELECT configuration_new();

-- What a subscriber reads, no policy sees.
SET client_min_messages = error;
CREATE PUBLICATION regress_conf_some FOR TABLE credit.record;
ALTER PUBLICATION regress_conf_some ADD TABLE credit.region;
CREATE PUBLICATION regress_conf_all FOR ALL TABLES;
DROP PUBLICATION regress_conf_some, regress_conf_all;
SELECT configuration_new();

-- Settings of ours, and those on which our promises hang.
ALTER ROLE regress_conf_a SET pgcredit.audit_timeout = '7s';
ALTER ROLE regress_conf_a SET work_mem = '7MB';
ALTER ROLE regress_conf_a IN DATABASE template1 SET session_replication_role = replica;
ALTER ROLE regress_conf_a RESET pgcredit.audit_timeout;
ALTER ROLE regress_conf_a RESET ALL;
ALTER ROLE ALL SET pgcredit.audit_timeout FROM CURRENT;
ALTER ROLE ALL RESET pgcredit.audit_timeout;
SET session_replication_role = replica;
RESET session_replication_role;
BEGIN;
SET LOCAL session_replication_role = replica;
ROLLBACK;
SET work_mem = '7MB';
RESET work_mem;
SET default_transaction_read_only = on;
ALTER SYSTEM SET pgcredit.audit_timeout = '7s';
ALTER SYSTEM RESET pgcredit.audit_timeout;
RESET default_transaction_read_only;
ALTER SYSTEM SET work_mem = '7MB';
ALTER SYSTEM RESET work_mem;
BEGIN;
ALTER SYSTEM SET pgcredit.audit_timeout = '8s';
ROLLBACK;
GRANT SET, ALTER SYSTEM ON PARAMETER pgcredit.audit_timeout TO regress_conf_a;
REVOKE ALL ON PARAMETER pgcredit.audit_timeout FROM regress_conf_a;
SELECT configuration_new();
SELECT s ->> 'pgcredit.audit_timeout', s ? 'pgcredit.key_file', s::text ~ 'key_command": "("|\(not shown\))' FROM (SELECT credit._settings()::jsonb AS s) x;

-- Who may not do it leaves nothing.
\set VERBOSITY sqlstate
SET ROLE regress_conf_a;
GRANT SELECT ON credit.region TO PUBLIC;
ALTER TABLE credit.region DISABLE TRIGGER ALL;
ALTER SYSTEM SET pgcredit.audit_timeout = '9s';
GRANT credit_operator TO regress_conf_a;
ALTER ROLE regress_conf_a SUPERUSER;
COMMENT ON TABLE credit.region IS 'mine';
DROP EXTENSION pgcredit;
CREATE TEMP TABLE configuration_own (a integer);
ALTER TABLE configuration_own ADD COLUMN b text;
COMMENT ON TABLE configuration_own IS 'mine';
GRANT SELECT ON configuration_own TO PUBLIC;
RESET ROLE;
\set VERBOSITY terse
SELECT configuration_new() AS none;

-- Names of 63 bytes that JSON writes as six characters each; a thousand of them; an entry fits all the same, and says what it leaves out.
DO $$ BEGIN
    FOR k IN 1 .. 1000 LOOP
        EXECUTE format('CREATE ROLE %I', 'regress_conf_' || lpad(k::text, 4, '0') || repeat(E'\u0001', 46));
    END LOOP;
    EXECUTE (SELECT format('GRANT SELECT ON credit.region TO %s', string_agg(quote_ident(rolname), ', ' ORDER BY rolname))
               FROM pg_roles WHERE rolname ~ '^regress_conf_\d{4}');
    EXECUTE (SELECT format('REVOKE SELECT ON credit.region FROM %s', string_agg(quote_ident(rolname), ', ' ORDER BY rolname))
               FROM pg_roles WHERE rolname ~ '^regress_conf_\d{4}');
    EXECUTE (SELECT format('DROP ROLE %s', string_agg(quote_ident(rolname), ', ' ORDER BY rolname))
               FROM pg_roles WHERE rolname ~ '^regress_conf_\d{4}');
END $$;
-- The digest of what was cut is that of the elements as they stand in the entry, each after its length.
SELECT e ->> 'operation', jsonb_array_length(e -> 'grantees') AS listed, e -> 'grantees_cut' ->> 'count' AS of, bytes < 60000,
       e -> 'grantees_cut' ->> 'digest' = (
           SELECT translate(rtrim(encode(sha256(string_agg('\x00000127'::bytea || convert_to(
                      '"regress_conf_' || lpad(k::text, 4, '0') || repeat('\u0001', 46) || '"', 'UTF8'), '' ORDER BY k)), 'base64'), '='), '+/', '-_')
             FROM generate_series(1, 1000) k)
  FROM configuration_new() n, LATERAL (SELECT n::jsonb AS e, octet_length(n) AS bytes) x;

-- Past the log: the digest shows what no entry does.
SELECT credit._code_digest() AS before, credit._code_expected() = credit._code_digest() AS as_expected \gset
\echo :as_expected
BEGIN;
UPDATE pg_proc SET prosrc = 'pgcredit_key_id_sql' WHERE oid = 'credit.version()'::regprocedure;
SELECT credit._code_digest() = :'before', credit._code_expected() = :'before';
ROLLBACK;
BEGIN;
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'credit.audit_entry'::regclass AND tgname = 'only_grows';
SELECT credit._code_digest() = :'before', credit._code_expected() = :'before';
ROLLBACK;
-- Policies name roles.
BEGIN;
CREATE POLICY for_institutions ON credit.record TO credit_institution USING (false);
SELECT credit._code_digest() AS named, credit._code_expected() = credit._code_digest() AS as_recorded \gset
\echo :as_recorded
ALTER ROLE credit_institution RENAME TO regress_conf_renamed;
SELECT credit._code_digest() = :'named', credit._code_expected() = credit._code_digest();
ROLLBACK;
SET search_path = credit, public;
SET quote_all_identifiers = on;
SET datestyle = 'German';
SET timezone = 'Asia/Shanghai';
SET extra_float_digits = -10;
SELECT credit._code_digest() = :'before' AS whatever_the_session;
RESET ALL;

SET client_min_messages = error;
DROP OWNED BY regress_conf_a, regress_conf_none;
DROP ROLE regress_conf_a, regress_conf_none;
DROP FUNCTION configuration_new();
DROP TABLE configuration_seen;
