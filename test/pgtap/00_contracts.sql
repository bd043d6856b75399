-- Contracts about every object of the extension, whichever room made it.
BEGIN;
SELECT plan(13);

-- What belongs to the extension, and which functions only serve a type, an operator, a cast, an
-- operator class, an aggregate or a trigger.
CREATE TEMP VIEW member AS
    SELECT d.classid, d.objid
      FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE d.deptype = 'e' AND e.extname = 'pgcredit';
CREATE TEMP VIEW proc AS
    SELECT p.* FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid;
CREATE TEMP VIEW rel AS
    SELECT c.* FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid;
CREATE TEMP VIEW serving AS
    SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typsubscript]::oid[]) AS oid FROM pg_type
    UNION SELECT unnest(ARRAY[oprcode, oprrest, oprjoin]::oid[]) FROM pg_operator
    UNION SELECT castfunc FROM pg_cast
    UNION SELECT amproc FROM pg_amproc
    UNION SELECT unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn,
                              aggmtransfn, aggminvtransfn, aggmfinalfn]::oid[]) FROM pg_aggregate;
CREATE TEMP VIEW by_public AS
    SELECT p.oid, p.proname FROM proc p, LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
     WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE';

CREATE TEMP VIEW unpinned AS
    SELECT unnest('{_figure_at,_latest,_sum_from,_ratio,_growth,_base_period,
                    _judge,_judge_point,_judge_change,_judge_sum,_judge_each,_case_of,_why,_on_path}'::name[]) AS proname;

SELECT ok((SELECT count(*) FROM member) > 5, 'the extension has members to look at');

-- ------------------------------------------------------------------ hostile callers

SELECT is_empty($$
    SELECT p.oid::regprocedure, p.proconfig FROM proc p
     WHERE p.prosecdef AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp'] $$,
    'every SECURITY DEFINER function pins its search_path to pg_catalog, pg_temp');

SELECT is_empty($$
    SELECT p.oid::regprocedure FROM proc p JOIN pg_language l ON l.oid = p.prolang
     WHERE l.lanname = 'plpgsql' AND coalesce(p.proconfig::text, '') !~ 'search_path'
       AND NOT EXISTS (SELECT FROM unpinned u WHERE u.proname = p.proname) $$,
    'every PL/pgSQL function pins its search_path, also where it runs as the caller');

-- Setting the path is a fifth of the time of judging a target, which calls these some thousand times for a pack. They have
-- the path of the pinned function that calls them: nobody but the owner may call one by itself.
SELECT is_empty($$
    SELECT u.proname FROM unpinned u LEFT JOIN proc p USING (proname)
     WHERE p.oid IS NULL OR p.prosecdef OR p.proconfig IS NOT NULL
        OR EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee <> p.proowner) $$,
    'those that do not are the named ones on the path of judging, which only pinned functions can call');

-- Public are functions of types and operators, which are worth nothing without the types' values, and
-- functions of their arguments alone.  None of them may act as the owner.
SELECT is_empty($$
    SELECT b.oid::regprocedure FROM by_public b
     WHERE b.oid NOT IN (SELECT oid FROM serving)
       AND EXISTS (SELECT 1 FROM pg_proc p WHERE p.oid = b.oid
                    AND (p.provolatile <> 'i' OR p.prosecdef OR p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype))) $$,
    'PUBLIC executes only what serves a type, or is immutable and runs as the caller');

SELECT is_empty($$
    SELECT b.oid::regprocedure FROM by_public b JOIN pg_proc p USING (oid) WHERE p.prosecdef $$,
    'PUBLIC executes no SECURITY DEFINER function');

SELECT is_empty($$
    SELECT r.oid::regclass, a.privilege_type FROM rel r, LATERAL aclexplode(r.relacl) a WHERE a.grantee = 0
    UNION ALL
    SELECT r.oid::regclass, a.privilege_type || ' (' || t.attname || ')'
      FROM rel r JOIN pg_attribute t ON t.attrelid = r.oid, LATERAL aclexplode(t.attacl) a WHERE a.grantee = 0 $$,
    'PUBLIC has no right on any table, view or sequence, nor on a column');

SELECT is_empty($$
    SELECT n.nspname, a.privilege_type FROM pg_namespace n, LATERAL aclexplode(n.nspacl) a
     WHERE n.nspname = 'credit' AND (a.grantee = 0 OR a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner) $$,
    'PUBLIC has no right on schema credit, and nobody but its owner creates in it');

SELECT is_empty($$
    SELECT rolname FROM pg_roles
     WHERE rolname LIKE 'credit\_%'
       AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls) $$,
    'the platform''s roles are groups: no login, no attribute');

-- ------------------------------------------------------------------ order

SELECT is_empty($$
    SELECT pg_describe_object(m.classid, m.objid, 0) FROM member m
     WHERE m.classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass)
       AND (pg_identify_object(m.classid, m.objid, 0)).schema IS DISTINCT FROM 'credit' $$,
    'every object of the extension is in schema credit');

SELECT is_empty($$
    SELECT r.oid::regclass FROM rel r WHERE r.relkind IN ('r', 'p', 'v', 'm') AND r.relname NOT LIKE '\_%'
       AND obj_description(r.oid, 'pg_class') IS NULL $$,
    'every public table and view has a comment');

SELECT is_empty($$
    SELECT p.oid::regprocedure FROM proc p
     WHERE p.proname NOT LIKE '\_%' AND p.oid NOT IN (SELECT oid FROM serving)
       AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
       AND obj_description(p.oid, 'pg_proc') IS NULL $$,
    'every public function has a comment');

-- Row types of tables and arrays are no types of ours.
SELECT is_empty($$
    SELECT t.oid::regtype FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
     WHERE t.typtype IN ('b', 'c', 'd', 'e') AND t.typelem = 0
       AND NOT EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
       AND t.typname NOT LIKE '\_%' AND obj_description(t.oid, 'pg_type') IS NULL $$,
    'every public type has a comment');

SELECT * FROM finish();
ROLLBACK;
