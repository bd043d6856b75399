-- Calls that are not meant: functions that are not for institutions, arguments that are no subjects, states that somebody
-- forged, access that is over.
\set attack attack_handles
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set begin :srcdir /sql/lib/attack_begin.sql
\set end :srcdir /sql/lib/attack_end.sql
\i :begin
\set ECHO all
-- every function of the extension that the bank has no right on, called with nulls that no planner sees: each says so
CREATE TEMP TABLE ours AS
    SELECT p.oid::regprocedure AS f, p.proretset, p.prokind, has_function_privilege(p.oid, 'EXECUTE') AS may,
           (SELECT coalesce(string_agg(format('(SELECT NULL::%s)', CASE t WHEN '"any"'::regtype THEN 'text' WHEN 'record'::regtype THEN 'pg_class' ELSE format_type(t, NULL) END), ', '), '')
              FROM unnest(p.proargtypes::oid[]) t) AS arguments,
           p.proargtypes::oid[] && ARRAY['internal'::regtype, 'trigger'::regtype]::oid[] OR p.prorettype = 'trigger'::regtype AS inner_only
      FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pgcredit';
SET client_min_messages = error;
SELECT count(*) > 100 AS many, count(*) FILTER (WHERE outcome(format('SELECT %s(%s)', f::oid::regproc, arguments)) <> '42501') AS not_refused
  FROM ours o WHERE NOT may AND NOT inner_only AND prokind = 'f';
-- those it may call show nothing for nulls either
SELECT count(*) FILTER (WHERE attempt(ARRAY[format('SELECT %s(%s)', f::oid::regproc, arguments)], true) LIKE '%SECRET%') AS shown, count(*) > 20 AS many
  FROM ours WHERE may AND NOT inner_only AND prokind = 'f';
RESET client_min_messages;
-- internal states cannot be made, nor functions that take them be used for something of one's own
SELECT * FROM attack('a forged state', 'SELECT credit._psi_combine(1::internal, NULL)');
SELECT * FROM attack('a state from bytes', 'SELECT credit._psi_deserialize(''\x00''::bytea, NULL)');
SELECT * FROM attack('an aggregate of one''s own of them', 'CREATE AGGREGATE mine (integer, boolean) (SFUNC = credit._psi_transition, STYPE = internal)');
SELECT * FROM attack('a type of them', 'CREATE TYPE mine', 'CREATE FUNCTION mine_in(cstring) RETURNS mine LANGUAGE c STRICT AS ''pgcredit'', ''pgcredit_uscc_in''');
SELECT * FROM attack('a function of the library', 'CREATE FUNCTION mine() RETURNS text LANGUAGE c AS ''pgcredit'', ''pgcredit_code_digest_sql''');
SELECT * FROM attack('a function of the server', 'CREATE FUNCTION mine(internal) RETURNS text LANGUAGE internal AS ''textin''');
SELECT * FROM attack('an operator of them', 'CREATE OPERATOR <<! (LEFTARG = bigint, RIGHTARG = bytea, FUNCTION = credit._subject_token)');
SELECT * FROM attack('a trigger of them', 'CREATE TEMP TABLE t (x int) ON COMMIT DROP', 'CREATE TRIGGER t BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION credit._restore_log()');
SELECT * FROM attack('a policy of one''s own table', 'CREATE TABLE t AS SELECT * FROM twin', 'ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', 'CREATE POLICY p ON t USING (credit.guard(subject_id, category_id, dated))', 'SELECT * FROM t');
SELECT * FROM attack('a planner''s support function', 'ALTER FUNCTION leak(anyelement) SUPPORT credit._score_support');
-- arguments that are no subjects
SELECT * FROM attack('an array of arrays', 'SELECT * FROM credit.read(ARRAY[ARRAY[@S1@, @S2@], ARRAY[@S2@, @S1@]]::bigint[], ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('an array that begins elsewhere', 'SELECT * FROM credit.read((''[7:8]={@S2@,@S1@}'')::bigint[], ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('a null among them', 'SELECT * FROM credit.read(ARRAY[@S1@, NULL, @S2@]::bigint[], ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('the same often', 'SELECT * FROM credit.read(array_fill(@S2@::bigint, ARRAY[1000]), ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('categories twice and in arrays', 'SELECT * FROM credit.read(ARRAY[@S1@, @S2@]::bigint[], ''pre_loan'', ''{{tax_payment,court_record},{tax_payment,tax_payment}}'')');
SELECT * FROM attack('too many categories', 'SELECT * FROM credit.read(ARRAY[@S1@, @S2@]::bigint[], ''pre_loan'', array_fill(''tax_payment''::text, ARRAY[300]))');
SELECT * FROM attack('a purpose that ends early', 'SELECT * FROM credit.read(@S2@::bigint, E''pre_loan\x01'', ''{tax_payment}'')');
SELECT * FROM attack('a purpose of great length', 'SELECT * FROM credit.read(@S2@::bigint, repeat(''pre_loan'', 100000), ''{tax_payment}'')');
SELECT * FROM attack('the guard, asked by hand', 'SELECT ''SECRET'' WHERE credit.guard(@S2@, (SELECT category_id FROM credit.category WHERE code = ''tax_payment''), DATE ''2026-03-02'')');
SELECT * FROM attack('the guard, of what is open', 'SELECT ''SECRET'' WHERE credit.guard(@S1@, (SELECT category_id FROM credit.category WHERE code = ''tax_payment''), DATE ''2026-03-02'')');
SELECT * FROM attack('a row that says it is opened', 'SELECT r FROM (SELECT ROW(@S2@, ''tax_payment'', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::credit.opened_record) x(r) WHERE leak((r).payload)');
-- access that is over: by the end of the transaction, a rollback, an error, a prepared transaction, a discarded session
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
COMMIT;
SELECT outcome('SELECT count(*) FROM credit.record');
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
PREPARE TRANSACTION 'attack_handles';
SELECT outcome('SELECT count(*) FROM credit.record');
ROLLBACK PREPARED 'attack_handles';
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
COMMIT AND CHAIN;
SELECT outcome('SELECT count(*) FROM credit.record');
ROLLBACK AND CHAIN;
SELECT outcome('SELECT count(*) FROM credit.record');
ROLLBACK;
CREATE PROCEDURE across(bigint) LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    PERFORM credit.open_access($1, 'pre_loan', '{tax_payment}');
    SELECT count(*) INTO n FROM credit.record;
    RAISE NOTICE '% in the transaction that opened it', n;
    COMMIT;
    SELECT count(*) INTO n FROM credit.record;
    RAISE NOTICE '% in the next', n;
END
$$;
\set VERBOSITY sqlstate
CALL across(:s1);
\set ECHO none
\i :end
