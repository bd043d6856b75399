-- credit.security_check: nothing on a sound platform; each thing that is set up wrong is named, with how bad it is and where;
-- what is not wrong is not named. Each is done in a subtransaction that is undone.
BEGIN;
SET LOCAL client_min_messages = error;
CREATE ROLE check_bank LOGIN;
CREATE ROLE check_other LOGIN;
CREATE ROLE check_tax;
CREATE ROLE check_clerk LOGIN;
CREATE ROLE check_stranger;
CREATE ROLE check_auditor;
CREATE ROLE check_operator;
CREATE ROLE check_middle;
GRANT credit_institution TO check_bank, check_other;
GRANT credit_provider TO check_tax;
GRANT check_bank TO check_clerk;
GRANT credit_auditor TO check_auditor;
GRANT credit_operator TO check_operator;
SELECT credit.register_institution('check-bank', '甲银行', 'Bank A', 'commercial_bank', 'check_bank') > 0 AS a,
       credit.register_institution('check-other', '乙银行', 'Bank B', 'commercial_bank', 'check_other') > 0 AS b,
       credit.register_institution('check-tax', '税务局', 'Tax office', 'tax', 'check_tax') > 0 AS c \gset
CREATE SCHEMA check_s;
GRANT ALL ON SCHEMA check_s TO PUBLIC;

-- The writer is started when CREATE EXTENSION commits.
DO $$
BEGIN
    FOR turn IN 1 .. 1000 LOOP
        EXIT WHEN EXISTS (SELECT FROM credit._stat_audit() WHERE writer_pid IS NOT NULL AND notary_pid IS NOT NULL);
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;

CREATE FUNCTION pg_temp.findings() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(concat_ws(' | ', check_name, severity, object), E'\n'), '') FROM credit.security_check()
$$;
-- What is found after the statements, which are undone.
CREATE FUNCTION pg_temp.found_after(statements text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    BEGIN
        EXECUTE statements;
        found := pg_temp.findings();
        RAISE EXCEPTION 'undo' USING ERRCODE = 'P9998';
    EXCEPTION WHEN SQLSTATE 'P9998' THEN
        RETURN found;
    END;
END
$$;

CREATE TEMP TABLE wrong (n serial, statements text NOT NULL, named text NOT NULL);
INSERT INTO wrong (statements, named) VALUES
    -- the guard itself
    ('ALTER TABLE credit.record DISABLE ROW LEVEL SECURITY', 'row_security | critical | credit.record'),
    ('ALTER TABLE credit.record FORCE ROW LEVEL SECURITY', 'row_security | critical | credit.record'),
    ('ALTER TABLE credit.subject ENABLE ROW LEVEL SECURITY', 'row_security | warning | credit.subject'),
    ('DROP POLICY guarded ON credit.record', 'policy | critical | guarded on credit.record'),
    ('ALTER POLICY guarded ON credit.record USING (true)', 'policy | critical | guarded on credit.record'),
    ('ALTER POLICY guarded ON credit.record TO check_bank', 'policy | critical | guarded on credit.record'),
    ('CREATE POLICY mine ON credit.record USING (true)', 'policy | critical | mine on credit.record'),
    ('CREATE POLICY mine ON credit.record AS RESTRICTIVE USING (true)', 'policy | warning | mine on credit.record'),
    -- what the extension is made of
    ($$CREATE OR REPLACE FUNCTION credit._is_operator() RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS 'SELECT true'$$,
     'function | critical | credit._is_operator()'),
    ('ALTER FUNCTION credit.revoke_consent(bigint, bigint) SECURITY INVOKER',
     'function | critical | credit.revoke_consent(bigint,bigint)'),
    ('ALTER FUNCTION credit.revoke_consent(bigint, bigint) RESET search_path', 'definer | critical | credit.revoke_consent(bigint,bigint)'),
    ('ALTER FUNCTION credit.revoke_consent(bigint, bigint) SET search_path = public, pg_catalog', 'definer | critical | credit.revoke_consent(bigint,bigint)'),
    ('ALTER FUNCTION credit.revoke_consent(bigint, bigint) OWNER TO check_stranger', 'owner | critical | credit.revoke_consent(bigint,bigint)'),
    ('ALTER FUNCTION credit.uscc_check_character(text) LEAKPROOF', 'function | critical | credit.uscc_check_character(text)'),
    ('ALTER EXTENSION pgcredit DROP FUNCTION credit.version()', 'function | critical | credit.version()'),
    ($$CREATE FUNCTION credit.more() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER EXTENSION pgcredit ADD FUNCTION credit.more()$$, 'function | warning | credit.more()'),
    ($$UPDATE pg_proc SET prosrc = 'BEGIN RETURN 1; END' WHERE oid = 'credit.revoke_consent(bigint, bigint)'::regprocedure$$,
     'code | critical | pg_catalog'),
    ('ALTER TABLE credit._batch_seen SET LOGGED', 'relation | critical | credit._batch_seen'),
    ('ALTER TABLE credit.refused_row SET UNLOGGED', 'relation | critical | credit.refused_row'),
    ('ALTER VIEW credit.data_quality RESET (security_barrier)', 'relation | critical | credit.data_quality'),
    ('ALTER TABLE credit.consent DISABLE TRIGGER consent_trail', 'trigger | critical | consent_trail on credit.consent'),
    ('ALTER TABLE credit.record ENABLE REPLICA TRIGGER audit_update', 'trigger | critical | audit_update on credit.record'),
    ('DROP TRIGGER audit_insert ON credit.record', 'trigger | critical | audit_insert on credit.record'),
    ('CREATE TRIGGER mine BEFORE INSERT ON credit.record FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
     'trigger | warning | mine on credit.record'),
    ('CREATE RULE mine AS ON DELETE TO credit.record DO INSTEAD NOTHING', 'rule | critical | mine on credit.record'),
    ('ALTER TABLE credit.consent DROP CONSTRAINT consent_window', 'constraint | warning | consent_window on credit.consent'),
    ('ALTER TABLE credit.record ADD CONSTRAINT mine CHECK (payload IS NOT NULL)', 'constraint | warning | mine on credit.record'),
    ('CREATE INDEX mine ON credit.record ((payload ->> ''a''))', 'index | warning | credit.mine on credit.record'),
    ('DROP INDEX credit.record_dated_idx', 'index | warning | credit.record_dated_idx on credit.record'),
    ('DELETE FROM credit._installed', 'installed | critical | credit._installed'),
    -- rights
    ('GRANT SELECT ON credit.subject TO check_bank', 'rights | critical | credit.subject'),
    ('GRANT SELECT ON credit.record TO check_stranger', 'rights | critical | credit.record'),
    ('GRANT UPDATE ON credit.record TO credit_institution', 'rights | critical | credit.record'),
    ('GRANT SELECT (resident_sealed) ON credit.subject TO credit_operator', 'rights | critical | credit.subject.resident_sealed'),
    ('GRANT SELECT ON credit.category TO PUBLIC', 'rights | warning | credit.category'),
    ('GRANT SELECT ON credit.category TO credit_institution WITH GRANT OPTION', 'rights | warning | credit.category'),
    ('GRANT USAGE ON SEQUENCE credit.consent_consent_id_seq TO check_bank', 'rights | warning | credit.consent_consent_id_seq'),
    ('GRANT EXECUTE ON FUNCTION credit.access_history(bigint, bigint, integer) TO PUBLIC', 'rights | warning | credit.access_history(bigint,bigint,integer)'),
    ('GRANT SELECT ON pg_statistic TO check_bank', 'rights | critical | pg_catalog.pg_statistic'),
    ('GRANT SELECT (stxdmcv) ON pg_statistic_ext_data TO check_bank; GRANT SELECT ON pg_statistic_ext_data TO check_bank', 'rights | critical | pg_catalog.pg_statistic_ext_data'),
    ('GRANT EXECUTE ON FUNCTION pg_read_file(text) TO check_bank', 'rights | critical | pg_read_file(text)'),
    ('GRANT EXECUTE ON FUNCTION lo_export(oid, text) TO PUBLIC', 'rights | critical | lo_export(oid,text)'),
    ('ALTER TABLE credit.subject OWNER TO check_stranger', 'owner | critical | credit.subject'),
    ('ALTER SCHEMA credit OWNER TO check_stranger', 'owner | critical | schema credit'),
    ('GRANT CREATE ON SCHEMA credit TO check_stranger', 'schema | critical | credit'),
    ('GRANT USAGE ON SCHEMA credit TO PUBLIC', 'schema | warning | credit'),
    ('GRANT CREATE ON SCHEMA public TO PUBLIC', 'schema | warning | public'),
    ('GRANT CREATE ON SCHEMA public TO check_bank', 'schema | warning | public'),
    ('ALTER DEFAULT PRIVILEGES IN SCHEMA credit GRANT SELECT ON TABLES TO check_bank', 'default_rights | warning | schema credit'),
    ('ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC', 'default_rights | warning | database'),
    -- institutions
    ('ALTER ROLE check_bank SUPERUSER', 'institution_role | critical | institution check-bank'),
    ('ALTER ROLE check_bank BYPASSRLS', 'institution_role | critical | institution check-bank'),
    ('ALTER ROLE check_bank CREATEROLE', 'institution_role | critical | institution check-bank'),
    ('ALTER ROLE check_bank REPLICATION', 'institution_role | critical | institution check-bank'),
    ('GRANT check_middle TO check_bank; ALTER ROLE check_middle BYPASSRLS', 'institution_role | critical | institution check-bank'),
    ('GRANT check_middle TO check_bank; GRANT pg_read_all_data TO check_middle', 'institution_role | critical | institution check-bank'),
    ('GRANT pg_read_server_files TO check_bank', 'institution_role | critical | institution check-bank'),
    ('GRANT pg_execute_server_program TO credit_institution', 'institution_role | critical | institution check-other'),
    ('GRANT pg_execute_server_program TO credit_institution', 'institution_role | critical | role credit_institution'),
    ('GRANT pg_write_all_data TO check_tax', 'institution_role | critical | institution check-tax'),
    ('GRANT pg_monitor TO check_bank', 'institution_role | warning | institution check-bank'),
    ('GRANT postgres TO check_bank', 'institution_role | critical | institution check-bank'),
    ('GRANT credit_portal TO check_bank', 'institution_role | critical | institution check-bank'),
    ('GRANT credit_operator TO check_middle; GRANT check_middle TO check_bank', 'institution_role | critical | institution check-bank'),
    ('GRANT credit_auditor TO check_bank', 'institution_role | warning | institution check-bank'),
    ('GRANT credit_portal TO credit_institution', 'institution_role | critical | role credit_institution'),
    ($x$DO $d$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO check_bank', current_database()); END $d$ $x$, 'institution_role | warning | institution check-bank'),
    ('DROP OWNED BY check_tax; DROP ROLE check_tax', 'institution_role | critical | institution check-tax'),
    ('GRANT check_other TO check_bank', 'institution_shared | critical | institution check-bank'),
    ('GRANT check_other TO check_middle; GRANT check_middle TO check_bank', 'institution_shared | critical | institution check-bank'),
    ('ALTER ROLE check_clerk SUPERUSER', 'institution_shared | warning | institution check-bank'),
    ('GRANT check_other TO check_clerk', 'institution_shared | warning | role check_clerk'),
    ('ALTER ROLE credit_portal LOGIN', 'platform_role | warning | role credit_portal'),
    ('ALTER ROLE check_stranger REPLICATION', 'replication_role | notice | role check_stranger'),
    ('ALTER ROLE check_stranger BYPASSRLS', 'bypass_role | notice | role check_stranger'),
    -- what others built
    ('CREATE VIEW check_s.v AS SELECT * FROM credit.record', 'view | warning | check_s.v'),
    ('CREATE VIEW check_s.v AS SELECT * FROM credit.record; GRANT SELECT ON check_s.v TO check_bank', 'view | critical | check_s.v'),
    ('CREATE VIEW check_s.v AS SELECT * FROM credit.record; CREATE VIEW check_s.w AS SELECT payload FROM check_s.v; GRANT SELECT (payload) ON check_s.w TO check_bank', 'view | critical | check_s.w'),
    ('CREATE VIEW check_s.v AS SELECT * FROM credit.audit_log; GRANT SELECT ON check_s.v TO check_bank', 'view | critical | check_s.v'),
    ('CREATE MATERIALIZED VIEW check_s.v AS SELECT * FROM credit.record; GRANT SELECT ON check_s.v TO check_bank', 'view | critical | check_s.v'),
    ('CREATE VIEW check_s.v AS SELECT * FROM credit.record; ALTER VIEW check_s.v OWNER TO check_stranger; ALTER ROLE check_stranger BYPASSRLS; GRANT SELECT ON check_s.v TO check_bank',
     'view | critical | check_s.v'),
    ($$CREATE FUNCTION check_s.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM credit.record'$$, 'definer_function | warning | check_s.f()'),
    ('CREATE FUNCTION check_s.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC SELECT count(*) FROM credit.record; END', 'definer_function | warning | check_s.f()'),
    ($$CREATE FUNCTION credit.f() RETURNS int LANGUAGE sql AS 'SELECT 1'$$, 'stranger | notice | credit.f()'),
    ($$CREATE FUNCTION credit.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT CREATE ON SCHEMA credit TO check_stranger; ALTER FUNCTION credit.f() OWNER TO check_stranger$$, 'stranger | critical | credit.f()'),
    ('CREATE OPERATOR credit.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)', 'stranger | notice | credit.=(text,text)'),
    ('CREATE OPERATOR check_s.= (LEFTARG = credit.uscc, RIGHTARG = credit.uscc, FUNCTION = credit._uscc_ne)', 'stranger | warning | check_s.=(credit.uscc,credit.uscc)'),
    ($$CREATE FUNCTION check_s.c(credit.region_code) RETURNS json LANGUAGE sql AS 'SELECT ''1''::json'; CREATE CAST (credit.region_code AS json) WITH FUNCTION check_s.c(credit.region_code)$$,
     'stranger | warning | cast from credit.region_code to json'),
    ($$CREATE FUNCTION public.open_access(bigint, text, text[]) RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT CREATE ON SCHEMA public TO check_stranger; ALTER FUNCTION public.open_access(bigint, text, text[]) OWNER TO check_stranger$$,
     'shadow | warning | public.open_access(bigint,text,text[])'),
    ($$CREATE FUNCTION check_s.f(jsonb) RETURNS boolean LANGUAGE plpgsql LEAKPROOF AS 'BEGIN RETURN true; END'$$, 'leakproof | warning | check_s.f(jsonb)'),
    ('CREATE STATISTICS check_s.st ON subject_id, polarity FROM credit.record', 'statistics | warning | check_s.st on credit.record'),
    ('CREATE STATISTICS check_s.st (mcv) ON name, region FROM credit.subject', 'statistics | warning | check_s.st on credit.subject'),
    ('CREATE PUBLICATION check_p FOR TABLE credit.record', 'publication | warning | publication check_p'),
    ('CREATE PUBLICATION check_p FOR ALL TABLES', 'publication | warning | publication check_p'),
    ('CREATE PUBLICATION check_p FOR TABLES IN SCHEMA credit', 'publication | warning | publication check_p'),
    ('CREATE TABLE check_s.t () INHERITS (credit.record)', 'child | warning | check_s.t'),
    ('CREATE TABLE check_s.t () INHERITS (credit.record); GRANT SELECT ON check_s.t TO check_bank', 'child | critical | check_s.t'),
    ('CREATE FOREIGN DATA WRAPPER check_w; CREATE SERVER check_v FOREIGN DATA WRAPPER check_w; CREATE FOREIGN TABLE check_s.t () INHERITS (credit.record) SERVER check_v', 'child | critical | check_s.t'),
    ('CREATE TABLE check_s.t (s bigint, r bigint, CONSTRAINT k FOREIGN KEY (s, r) REFERENCES credit.record)', 'foreign_key | warning | k on check_s.t'),
    ($$CREATE FUNCTION check_s.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER check_e ON ddl_command_end EXECUTE FUNCTION check_s.e()$$, 'event_trigger | notice | event trigger check_e'),
    ($$CREATE FUNCTION check_s.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; ALTER FUNCTION check_s.e() OWNER TO check_stranger; CREATE EVENT TRIGGER check_e ON ddl_command_end EXECUTE FUNCTION check_s.e()$$,
     'event_trigger | critical | event trigger check_e'),
    ($$CREATE FOREIGN DATA WRAPPER check_w; CREATE SERVER check_v FOREIGN DATA WRAPPER check_w; CREATE USER MAPPING FOR check_bank SERVER check_v OPTIONS (user 'postgres')$$,
     'user_mapping | warning | user mapping for check_bank on server check_v'),
    -- settings of roles and of the database; test/t/057_consent_check.pl has those of the server
    ('ALTER ROLE check_tax SET session_replication_role = replica', 'setting | critical | session_replication_role=replica for role check_tax'),
    ($x$DO $d$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $d$ $x$, 'setting | warning | synchronous_commit=off in database ' || current_database()),
    ('ALTER ROLE check_tax SET log_statement = ''all''', 'setting | warning | log_statement=all for role check_tax'),
    ('ALTER ROLE check_tax SET log_min_duration_statement = ''1s''', 'setting | warning | log_min_duration_statement=1s for role check_tax');

-- Sound, though it looks like one of those.
CREATE TEMP TABLE right_so (n serial, statements text NOT NULL);
INSERT INTO right_so (statements) VALUES
    ('CREATE INDEX mine ON credit.record (ingested_at)'),
    ('REVOKE SELECT ON credit.record FROM credit_institution'),
    ('CREATE VIEW check_s.v WITH (security_invoker) AS SELECT * FROM credit.record; GRANT SELECT ON check_s.v TO check_bank'),
    ('SET LOCAL ROLE check_bank; CREATE VIEW check_s.v AS SELECT * FROM credit.record; GRANT SELECT ON check_s.v TO PUBLIC; RESET ROLE'),
    ($$CREATE FUNCTION check_s.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM pg_class'$$),
    ('CREATE VIEW check_s.v AS SELECT * FROM credit.category; GRANT SELECT ON check_s.v TO PUBLIC'),
    ('CREATE PUBLICATION check_p FOR TABLE credit.observation'),
    ('CREATE STATISTICS check_s.st ON level, retired FROM credit.region'),
    ('CREATE ROLE check_login LOGIN; GRANT check_bank TO check_login; GRANT credit_institution TO check_login'),
    ('GRANT credit_portal TO check_stranger'),
    ('SET LOCAL session_replication_role = replica; SET LOCAL synchronous_commit = off'),
    ('ALTER ROLE check_bank SET search_path = public, credit'),
    ('ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC');

SELECT plan((SELECT count(*)::integer FROM wrong) + (SELECT count(*)::integer FROM right_so) + 9);

SELECT is(pg_temp.findings(), '', 'nothing is found on a sound platform');
SELECT ok((E'\n' || pg_temp.found_after(statements) || E'\n') LIKE '%' || E'\n' || replace(replace(named, '\', '\\'), '_', '\_') || E'\n' || '%', named || ': ' || statements)
  FROM wrong ORDER BY n;
SELECT is(pg_temp.found_after(statements), '', 'not found: ' || statements) FROM right_so ORDER BY n;

-- Who may ask.
SET LOCAL ROLE check_auditor;
SELECT lives_ok('SELECT * FROM credit.security_check()', 'an auditor may ask');
SET LOCAL ROLE check_operator;
SELECT lives_ok('SELECT * FROM credit.security_check()', 'an operator may ask');
SET LOCAL ROLE check_bank;
SELECT throws_ok('SELECT * FROM credit.security_check()', '42501', NULL, 'an institution may not');
SELECT throws_ok('SELECT * FROM credit._check_rights()', '42501', NULL, 'nor its parts');
RESET ROLE;

-- All sorts of findings at once; each has words and a hint, severities are three, the worst is first.
CREATE TEMP TABLE every AS SELECT * FROM credit.security_check() WITH NO DATA;
DO $$
DECLARE
    w record;
BEGIN
    FOR w IN SELECT statements FROM wrong WHERE n % 3 = 0 AND statements !~ 'DELETE FROM credit._installed|DROP ROLE|CREATE (VIEW|FOREIGN|FUNCTION|PUBLICATION|POLICY|TABLE)' ORDER BY n LOOP
        BEGIN
            EXECUTE w.statements;
        EXCEPTION WHEN duplicate_object OR undefined_object THEN NULL;
        END;
    END LOOP;
    INSERT INTO every SELECT * FROM credit.security_check();
END
$$;
SELECT cmp_ok((SELECT count(*) FROM every), '>', 15::bigint, 'many things wrong at once are all found');
SELECT is_empty($$ SELECT * FROM every WHERE severity NOT IN ('critical', 'warning', 'notice') OR coalesce(finding, '') = '' OR coalesce(hint, '') = '' OR coalesce(object, '') = '' OR check_name IS NULL $$,
    'each finding has a severity, an object, words and a hint');
SELECT results_eq('SELECT severity FROM every', $$ SELECT severity FROM every ORDER BY array_position('{critical,warning,notice}'::text[], severity) $$, 'the worst first');
SELECT is((SELECT count(*) FROM every), (SELECT count(*) FROM (SELECT DISTINCT * FROM every) x), 'no finding twice');

SELECT * FROM finish();
ROLLBACK;
