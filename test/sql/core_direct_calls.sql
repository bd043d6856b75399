-- Every C function of the extension, called by hand with values that it is not meant to get: it may raise, it must
-- not crash. What is here is found in the catalogue, so that a new function is called as well.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
SELECT pg_backend_pid() AS pid \gset
BEGIN;
-- Expressions of each argument type, NULL always first.
CREATE TEMP TABLE odd (type regtype PRIMARY KEY, expressions text[] NOT NULL);
INSERT INTO odd VALUES
    ('internal', '{}'), ('cstring', ARRAY['''''', 'repeat(''9'', 40)::cstring', '''甲''::cstring']),
    ('text', ARRAY['''''', '''@1''', '''ks''', 'repeat(''甲'', 400)']),
    ('bytea', ARRAY['''\x''::bytea', '''\x00''::bytea', 'decode(repeat(''ff'', 400), ''hex'')']),
    ('jsonb', ARRAY['''null''::jsonb', '''[]''::jsonb', '''{}''::jsonb', '''{"fields": 1, "kind": [null], "name": {"a": 1e300}}''::jsonb',
                    '(repeat(''['', 6000) || repeat('']'', 6000))::jsonb']),
    ('jsonb[]', ARRAY['''{}''::jsonb[]', 'ARRAY[NULL]::jsonb[]', 'ARRAY[''1'', ''{"uscc": []}'']::jsonb[]', '''[0:0][3:4]={{1,2}}''::jsonb[]']),
    ('bigint', ARRAY['0::bigint', '9223372036854775807', '(-9223372036854775808)::bigint']),
    ('integer', ARRAY['0', '2147483647', '(-2147483648)']),
    ('smallint', ARRAY['0::smallint', '32767::smallint', '(-32768)::smallint']),
    ('double precision', ARRAY['''NaN''::float8', '''-Infinity''::float8', '1e308::float8']),
    ('double precision[]', ARRAY['''{}''::float8[]', '''{NULL,1}''::float8[]', '''{{1,2},{3,4}}''::float8[]', '''[5:6]={NaN,-1}''::float8[]']),
    ('boolean', ARRAY['true']), ('regclass', ARRAY['''pg_class''::regclass']),
    ('date', ARRAY['''2026-01-01''::date', '''-infinity''::date', '''infinity''::date']),
    ('daterange', ARRAY['''[2026-01-31,2026-02-01)''::daterange', '''empty''::daterange', '''(,)''::daterange', '''[-infinity,infinity]''::daterange',
                        '''[4713-01-01 BC,5874897-12-31]''::daterange']),
    ('text[]', ARRAY['''{}''::text[]', 'ARRAY[NULL]::text[]', '''{{a,b},{c,d}}''::text[]', '''[7:7]={x}''::text[]',
                     'array_fill(''x''::text, ARRAY[300])']),
    ('integer[]', ARRAY['''{}''::integer[]', '''{NULL}''::integer[]', '''{{1,2},{3,1}}''::integer[]', '''{0}''::integer[]',
                        '''[7:8]={2147483647,1}''::integer[]']),
    ('bigint[]', ARRAY['''{}''::bigint[]', '''{NULL}''::bigint[]', '''{{1,2},{3,1}}''::bigint[]', '''[7:8]={0,-1}''::bigint[]']),
    ('record', ARRAY['ROW()', 'ROW(NULL)', 'ROW(1, ''x''::text, ROW(2))', '(SELECT c FROM pg_class c LIMIT 1)']),
    ('"any"', ARRAY['1', '''x''::text', 'ROW(1)', 'ARRAY[1.5]']),
    ('credit.uscc', ARRAY['''91330200MA281N8T0M''::credit.uscc']),
    ('credit.region_code', ARRAY['''000000''::credit.region_code']),
    ('credit.resident_id', ARRAY['''11010519491231002X''::credit.resident_id']);

-- Each combination of the values of a function's arguments, as many times with the function in FROM.
CREATE FUNCTION pg_temp.calls(f regprocedure) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    p pg_proc;
    lists text[] := '{""}';
    argument oid;
    choices text[];
BEGIN
    SELECT * INTO p FROM pg_proc WHERE oid = f;
    FOREACH argument IN ARRAY p.proargtypes::oid[] LOOP
        SELECT ARRAY['NULL::' || CASE argument WHEN '"any"'::regtype THEN 'text' WHEN 'record'::regtype THEN 'pg_class'
                                               ELSE format_type(argument, NULL) END] || o.expressions
          INTO STRICT choices FROM odd o WHERE o.type = argument;
        IF p.pronargs > 6 THEN
            choices := choices[1:2];        -- else there would be a million
        END IF;
        SELECT array_agg(concat_ws(', ', NULLIF(l, ''), c)) INTO lists FROM unnest(lists) l, unnest(choices) c;
    END LOOP;
    RETURN QUERY SELECT format('%s %s.%I(%s)', CASE p.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, p.pronamespace::regnamespace, p.proname, l) FROM unnest(lists) l;
    IF p.proretset THEN
        RETURN QUERY SELECT format('SELECT * FROM %s.%I(%s)', p.pronamespace::regnamespace, p.proname, l) FROM unnest(lists) l;
    END IF;
END
$$;
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
CREATE TEMP TABLE callee AS
    SELECT p.oid::regprocedure AS f, p.prorettype = 'trigger'::regtype AS is_trigger
      FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
      JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pgcredit'
     WHERE l.lanname = 'c';
SET LOCAL client_min_messages = error;
CREATE TEMP TABLE outcome AS
    SELECT c.f, s AS statement, pg_temp.try(s) AS result FROM callee c, pg_temp.calls(c.f) s;
RESET client_min_messages;
SELECT count(DISTINCT f) = (SELECT count(*) FROM callee) AS every_function, count(*) > 1000 AS many_calls FROM outcome;
-- What raises has a SQLSTATE that somebody chose.
SELECT f, result, min(statement) FROM outcome WHERE result LIKE 'XX%' GROUP BY f, result ORDER BY f::text, result;

-- Trigger functions outside of a trigger, and in triggers of every sort.
CREATE TABLE core_direct (a int, b text, c int);
CREATE TABLE core_direct_parts (a int, b text, c int) PARTITION BY LIST (a);
CREATE TABLE core_direct_part (b text, gone int, c int, a int);
ALTER TABLE core_direct_part DROP COLUMN gone;
ALTER TABLE core_direct_parts ATTACH PARTITION core_direct_part FOR VALUES IN (1);
CREATE VIEW core_direct_view AS SELECT a, b, c FROM core_direct;
SELECT o.f, o.result FROM outcome o JOIN callee USING (f) WHERE is_trigger ORDER BY o.f::text;
CREATE TEMP TABLE sort AS
    SELECT t AS tab, w AS timing, e AS event, l AS level,
           CASE WHEN r AND w = 'AFTER' AND e <> 'TRUNCATE'
                THEN ' REFERENCING' || CASE WHEN e <> 'INSERT' THEN ' OLD TABLE AS o' ELSE '' END
                                    || CASE WHEN e <> 'DELETE' THEN ' NEW TABLE AS n' ELSE '' END ELSE '' END AS transition
      FROM unnest('{core_direct,core_direct_parts,core_direct_view}'::text[]) t, unnest('{BEFORE,AFTER,INSTEAD OF}'::text[]) w,
           unnest('{INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) e, unnest('{ROW,STATEMENT}'::text[]) l, unnest('{f,t}'::boolean[]) r;
CREATE FUNCTION pg_temp.fire(f regprocedure, s sort) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER x %s %s ON %I%s FOR EACH %s EXECUTE FUNCTION %s(''argument'')', s.timing, s.event, s.tab, s.transition,
                   s.level, substring(f::text, '^[^(]+'));
    BEGIN
        EXECUTE format('INSERT INTO %I VALUES (1, NULL, 2147483647), (1, repeat(''x'', 10000), 1)', s.tab);
        EXECUTE format('UPDATE %I SET b = a::text', s.tab);
        EXECUTE format('DELETE FROM %I', s.tab);
        EXECUTE format('TRUNCATE %I', s.tab);
    EXCEPTION WHEN OTHERS THEN
        EXECUTE format('DROP TRIGGER x ON %I', s.tab);
        RETURN SQLSTATE;
    END;
    EXECUTE format('DROP TRIGGER x ON %I', s.tab);
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN 'no trigger';
END
$$;
SET LOCAL client_min_messages = error;
CREATE TEMP TABLE fired AS SELECT c.f, s.*, pg_temp.fire(c.f, s) AS result FROM callee c, sort s WHERE c.is_trigger;
RESET client_min_messages;
SELECT f, tab, timing, level, result, string_agg(DISTINCT event, ', ' ORDER BY event) AS events
  FROM fired WHERE result <> 'no trigger' GROUP BY f, tab, timing, level, result ORDER BY f::text, tab, timing, level, result;
ROLLBACK;
SELECT pg_backend_pid() = :pid AS same_backend;
