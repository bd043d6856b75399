SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
\set VERBOSITY default
BEGIN;
-- a provider that tries to see or do through ingest what it may not
CREATE ROLE registry_hostile_op;
CREATE ROLE registry_hostile_p;
CREATE ROLE registry_hostile_victim;
GRANT credit_operator TO registry_hostile_op;
GRANT credit_provider TO registry_hostile_p, registry_hostile_victim;
CREATE SCHEMA registry_hostile;
GRANT USAGE, CREATE ON SCHEMA registry_hostile TO registry_hostile_p;
CREATE TABLE registry_hostile.secret (uscc text, dated text);
INSERT INTO registry_hostile.secret VALUES ('secret', 'secret');
SET ROLE registry_hostile_op;
SELECT credit.register_institution('hostile-p', 'x', 'x', 'tax', 'registry_hostile_p') > 0 AS a,
       credit.register_institution('hostile-v', 'x', 'x', 'tax', 'registry_hostile_victim') > 0 AS b;
SELECT credit.assign_category('tax_payment', 'hostile-p'), credit.assign_category('tax_payment', 'hostile-v');
SET ROLE registry_hostile_p;
-- tables without a right on them: a stranger's, ours, the subjects', the log
SELECT credit.ingest('tax_payment', staging => 'registry_hostile.secret');
SELECT credit.ingest('tax_payment', staging => 'credit.record');
SELECT credit.ingest('tax_payment', staging => 'credit.subject');
SELECT credit.ingest_subjects(staging => 'credit.refused_row');
SELECT credit.ingest('tax_payment', staging => 'credit.subject_uscc_key');
SELECT credit.ingest('tax_payment', staging => NULL::regclass);
SELECT credit.ingest('tax_payment', staging => 999999999::oid::regclass);
-- a view whose function runs while it is read: as the caller, and it gets nothing
CREATE FUNCTION registry_hostile.whoami() RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN
        RAISE NOTICE 'running as %', current_user;
        PERFORM count(*) FROM credit.record;
        RETURN 'reached';
       EXCEPTION WHEN insufficient_privilege THEN RETURN 'stopped';
       END $$;
CREATE VIEW registry_hostile.v AS SELECT registry_hostile.whoami() AS source_key, 'x' AS uscc, '2024-01-01' AS dated, 'vat' AS tax_type, 1 AS amount_paid;
SELECT batch_id AS b FROM credit.ingest('tax_payment', staging => 'registry_hostile.v') \gset
SELECT row_given ->> 'source_key' AS got FROM credit.refused_rows(:b);
-- a type whose cast to json is the caller's own function, a column that has the table's name, names that need quoting
CREATE TYPE registry_hostile.t AS ENUM ('a');
CREATE FUNCTION registry_hostile.t2j(registry_hostile.t) RETURNS json LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'cast as %', current_user; RETURN '"vat"'; END $$;
RESET ROLE;
ALTER TYPE registry_hostile.t OWNER TO registry_hostile_p;
SET ROLE registry_hostile_p;
CREATE CAST (registry_hostile.t AS json) WITH FUNCTION registry_hostile.t2j(registry_hostile.t);
CREATE TABLE registry_hostile."s; DROP TABLE x --" (s text, uscc text, tax_type registry_hostile.t);
INSERT INTO registry_hostile."s; DROP TABLE x --" VALUES ('column', 'x', 'a');
SELECT batch_id AS b FROM credit.ingest('tax_payment', staging => 'registry_hostile."s; DROP TABLE x --"') \gset
SELECT row_given FROM credit.refused_rows(:b);
-- tables and functions of the same names in front of ours change nothing
CREATE TEMP TABLE record (subject_id bigint);
CREATE TEMP TABLE category (code text);
CREATE FUNCTION pg_temp.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"hijacked": true}'::jsonb $$;
SET search_path = pg_temp, registry_hostile, credit, pg_catalog;
SELECT refused FROM credit.ingest('tax_payment', rows => '[{"uscc": "x", "dated": "2024-01-01", "tax_type": "vat", "amount_paid": 1}]');
SELECT batch_id AS b FROM credit.ingest('tax_payment', staging => 'registry_hostile."s; DROP TABLE x --"') \gset
SELECT row_given ? 'hijacked' AS hijacked FROM credit.refused_rows(:b);
RESET search_path;
\set VERBOSITY sqlstate
-- the steps by hand: another's batch, a finished one, none, an array of another shape
SELECT credit._batch_open('record', 'tax_payment', NULL) AS mine \gset
SET ROLE registry_hostile_victim;
SELECT credit._batch_take(:mine, ARRAY['{}'::jsonb]);
SELECT credit._batch_close(:mine);
SELECT count(*) FROM credit.refused_rows(:mine);
SET ROLE registry_hostile_p;
SELECT credit._batch_take(:mine, '[0:0]={"{}"}'::jsonb[]);
SELECT credit._batch_take(:mine, ARRAY[ARRAY['{}'::jsonb]]);
SELECT credit._batch_take(:mine, ARRAY[NULL]::jsonb[]);
SELECT refused FROM credit._batch_close(:mine);
SELECT credit._batch_take(:mine, ARRAY['{}'::jsonb]);
SELECT credit._batch_close(0);
SELECT credit._batch_open('region', NULL, NULL);
SELECT credit._batch_open('anything', NULL, NULL);
\set VERBOSITY default
-- what is not for it
SELECT credit._put_subject('enterprise', NULL, NULL, 'c', NULL, NULL, NULL, true);
SELECT credit._unseal_row('\x00', 1, 1);
SELECT credit._refuse(1, 1, '{}', 'x', 'x', 'x');
SELECT credit.load_regions(rows => '[]');
SELECT * FROM credit.batch;
SELECT * FROM credit.refused_row;
INSERT INTO credit.record (subject_id) VALUES (1);
UPDATE credit.category SET public_by_law = true;
-- an operator that is no institution does not deliver records
SET ROLE registry_hostile_op;
SELECT credit.ingest('tax_payment', rows => '[]');
SELECT credit._batch_open('record', 'tax_payment', NULL);
SELECT row_given FROM credit.refused_row LIMIT 1;
ROLLBACK;
