-- Settings and roles: nothing that a session says of itself makes it somebody else, and nothing turns the guard off.
\set attack attack_settings
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set begin :srcdir /sql/lib/attack_begin.sql
\set end :srcdir /sql/lib/attack_end.sql
\i :begin
\set ECHO all
-- A session of its own: what is not its role's cannot be taken back from the one who began the session.
RESET ROLE;
\set admin :USER
ALTER ROLE :bank SET role = :'other';
ALTER ROLE :bank SET row_security = off;
\connect - :bank
SELECT session_user = :'bank' AND current_user = :'bank' AS still_the_bank, current_setting('row_security') AS row_security;
ALTER ROLE :bank RESET ALL;
SET row_security = on;
SELECT set_config('search_path', :'attack' || ', public, pg_catalog', false), set_config('attack.s1', :'s1', false),
       set_config('attack.s2', :'s2', false), set_config('attack.leaks', :'attack' || '.leaks', false) \gset
\set VERBOSITY sqlstate
\set SHOW_CONTEXT never
CREATE FUNCTION as_other() RETURNS SETOF credit.record LANGUAGE sql AS 'SELECT * FROM credit.record';
SELECT * FROM attack('row_security off', 'SET LOCAL row_security = off', 'SELECT * FROM @T@');
SELECT * FROM attack('role of another bank', 'SET LOCAL ROLE attack_settings_other', 'SELECT * FROM credit.read(@S2@::bigint, ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('role of the administrator', format('SET LOCAL ROLE %I', :'admin'), 'SELECT * FROM credit.record');
SELECT * FROM attack('role of the operator', 'SET LOCAL ROLE credit_operator', 'SELECT ''SECRET''');
SELECT * FROM attack('role of its own group', 'SET LOCAL ROLE credit_institution', 'SELECT * FROM credit.read(ARRAY[@S1@, @S2@]::bigint[], ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('role none', 'SET LOCAL ROLE NONE', 'SELECT ''SECRET'' WHERE current_user = ''attack_settings_other''');
SELECT * FROM attack('set_config role', 'SELECT set_config(''role'', ''attack_settings_other'', true)', 'SELECT * FROM credit.read(@S2@::bigint, ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('row of pg_settings', 'UPDATE pg_settings SET setting = ''attack_settings_other'' WHERE name = ''role''', 'SELECT * FROM credit.read(@S2@::bigint, ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('function that sets the role', 'ALTER FUNCTION as_other() SET role = attack_settings_other', 'SELECT * FROM as_other()');
SELECT * FROM attack('function that sets row_security', 'ALTER FUNCTION as_other() SET row_security = off', 'SELECT * FROM as_other()');
SELECT * FROM attack('role setting', 'ALTER ROLE attack_settings_bank SET role = attack_settings_other');
SELECT * FROM attack('attribute', 'ALTER ROLE attack_settings_bank SUPERUSER');
SELECT * FROM attack('attribute, bypass', 'ALTER ROLE attack_settings_bank BYPASSRLS');
SELECT * FROM attack('membership', 'GRANT attack_settings_other TO attack_settings_bank');
SELECT * FROM attack('membership of its own role for others', 'GRANT attack_settings_bank TO attack_settings_other', 'SELECT ''SECRET''');
SELECT * FROM attack('membership, powerful', 'GRANT pg_read_all_data TO attack_settings_bank');
SELECT * FROM attack('new role', 'CREATE ROLE attack_settings_new IN ROLE attack_settings_other');
SELECT * FROM attack('name', 'ALTER ROLE attack_settings_bank RENAME TO attack_settings_new');
SELECT * FROM attack('session_replication_role', 'SET LOCAL session_replication_role = replica');
SELECT * FROM attack('allow_system_table_mods', 'SET LOCAL allow_system_table_mods = on');
SELECT * FROM attack('catalogue', 'UPDATE pg_class SET relrowsecurity = false WHERE oid = ''credit.record''::regclass');
ALTER SYSTEM SET pgcredit.audit_timeout = 1;
SELECT * FROM attack('ALTER DATABASE', format('ALTER DATABASE %I SET row_security = off', current_database()));
SELECT * FROM attack('libraries', 'SET LOCAL local_preload_libraries = ''pgcredit''');
SELECT * FROM attack('library', 'LOAD ''pgcredit''');
SELECT * FROM attack('library path', 'SET LOCAL dynamic_library_path = ''/tmp''');
SELECT * FROM attack('is_superuser', 'SET LOCAL is_superuser = on');
-- names that an application might trust
SELECT * FROM attack('claims', 'SET LOCAL "request.jwt.claims" = ''{"role": "attack_settings_other"}''', 'SELECT * FROM credit.read(ARRAY[@S1@, @S2@]::bigint[], ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('institution', 'SET LOCAL credit.institution = ''attack_settings_other''', 'SELECT * FROM credit.read(ARRAY[@S1@, @S2@]::bigint[], ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('guard', 'SET LOCAL credit.guard = off', 'SELECT * FROM @T@');
-- every setting of ours, to every value that it might take: an error or nothing more to see
SELECT DISTINCT attempt(ARRAY[format('SET LOCAL %s = %L', name, value), 'SELECT * FROM credit.record',
                              format('SELECT * FROM credit.read(ARRAY[%s, %s]::bigint[], ''pre_loan'', ''{tax_payment}'')', :s1, :s2)], true) LIKE '%nothing seen' AS nothing
  FROM (SELECT name FROM pg_settings WHERE name LIKE 'pgcredit.%'
        UNION SELECT 'pgcredit.' || n FROM unnest('{purpose,institution,role,subject,access,guard,session_token,key_file,key_command,bypass}'::text[]) n) s,
       unnest(ARRAY['', '0', '1', '-1', 'on', 'off', 'pre_loan', 'supervision', 'self', 'attack_settings_other', :'s2', '2147483647']) value;
-- and for the session, outside of a transaction
SET pgcredit.key_file = '/dev/null';
SHOW pgcredit.key_command;
SELECT count(*) FROM pg_settings WHERE name IN ('pgcredit.key_file', 'pgcredit.key_command', 'shared_preload_libraries', 'data_directory', 'hba_file');
-- the session's own user
SET SESSION AUTHORIZATION :other;
SET SESSION AUTHORIZATION :bank;
SET SESSION AUTHORIZATION DEFAULT;
SELECT set_config('session_authorization', :'other', false);
SET ROLE :other;
RESET ROLE;
RESET SESSION AUTHORIZATION;
DISCARD ALL;
SELECT session_user = :'bank' AND current_user = :'bank' AS still_the_bank;
-- the same by who may: it is not the commands that do not work
\connect - :admin
SELECT set_config('search_path', :'attack' || ', public, pg_catalog', false), set_config('attack.s1', :'s1', false),
       set_config('attack.s2', :'s2', false), set_config('attack.leaks', :'attack' || '.leaks', false) \gset
SELECT attempt(ARRAY['SET LOCAL ROLE attack_settings_other', format('SELECT * FROM credit.read(%s::bigint, ''pre_loan'', ''{tax_payment}'')', :s2)], false);
SELECT attempt(ARRAY['SELECT * FROM credit.record'], false);
\set ECHO none
\i :end
