-- Contracts of room identity that other rooms must not break.
BEGIN;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE EXTENSION IF NOT EXISTS pgtap;
RESET client_min_messages;
SELECT plan(8);

-- A number is never stored in clear.
SELECT is_empty($$
    SELECT attrelid::regclass, attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
     WHERE relnamespace = 'credit'::regnamespace AND relkind IN ('r', 'p', 'm', 'i')
       AND atttypid IN ('credit.resident_id'::regtype, 'credit._resident_id'::regtype)
$$, 'no table, materialized view or index of schema credit holds a resident_id');
SELECT is_empty($$
    SELECT castsource::regtype FROM pg_cast
     WHERE castsource = 'credit.resident_id'::regtype AND castcontext <> 'e'
$$, 'a resident_id becomes something else by an explicit cast only');
SELECT is_empty($$
    SELECT s FROM unnest(ARRAY['text', 'varchar', 'bpchar']::regtype[]) s
     WHERE NOT EXISTS (SELECT FROM pg_cast WHERE castsource = 'credit.resident_id'::regtype AND casttarget = s)
$$, 'and the server''s own assignment cast to a string type is shut out');

-- Codes compare without raising, and everybody can use them.
SELECT is_empty($$
    SELECT o.oid::regoperator FROM pg_operator o JOIN pg_proc p ON p.oid = oprcode
     WHERE oprnamespace = 'credit'::regnamespace
       AND oprleft IN ('credit.uscc'::regtype, 'credit.resident_id'::regtype, 'credit.region_code'::regtype)
       AND NOT (proleakproof AND proisstrict AND provolatile = 'i' AND proparallel = 's')
$$, 'operators are leakproof, strict, immutable and parallel safe');
SELECT is_empty($$
    SELECT o.oid::regoperator FROM pg_operator o
     WHERE oprnamespace = 'credit'::regnamespace
       AND oprleft IN ('credit.uscc'::regtype, 'credit.resident_id'::regtype, 'credit.region_code'::regtype)
       AND (oprcom = 0 OR oprnegate = 0 OR oprrest = 0 OR oprjoin = 0)
$$, 'operators have commutator, negator and selectivity');
SELECT is_empty($$
    SELECT castsource::regtype, casttarget::regtype FROM pg_cast
     WHERE castcontext = 'i' AND ('credit.uscc'::regtype IN (castsource, casttarget)
        OR 'credit.region_code'::regtype IN (castsource, casttarget))
$$, 'no cast is implicit');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p
     WHERE pronamespace = 'credit'::regnamespace AND prosrc IN ('pgcredit_resident_digest', 'pgcredit_seal_resident_id', 'pgcredit_unseal_resident_id')
       AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) a
                    WHERE a.grantee NOT IN (proowner, 'credit_operator'::regrole))
$$, 'digest, seal and unseal are the operator''s alone');
SELECT is_empty($$
    SELECT o FROM (
        SELECT p.oid::regprocedure::text AS o, obj_description(p.oid, 'pg_proc') AS d FROM pg_proc p
         WHERE pronamespace = 'credit'::regnamespace AND proname !~ '^_' AND 'credit.uscc'::regtype::oid = ANY (proargtypes)
        UNION ALL
        SELECT t.typname, obj_description(t.oid, 'pg_type') FROM pg_type t
         WHERE typnamespace = 'credit'::regnamespace AND typname IN ('uscc', 'resident_id', 'region_code')) x
     WHERE d IS NULL
$$, 'types and their functions are commented');
SELECT finish();
ROLLBACK;
