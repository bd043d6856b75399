-- Every table of the extension is audited, but for these, each with its reason; and the digest of the code sees each
-- sort of change that a superuser can make in the catalogue.
BEGIN;
SELECT plan(31);

CREATE TEMP TABLE unaudited (name regclass PRIMARY KEY, reason text NOT NULL);
INSERT INTO unaudited VALUES
    ('credit.audit_entry',          'the log itself; it only grows, and its tree and checkpoints tell of every change'),
    ('credit.audit_outbox',         'entries on their way into the log'),
    ('credit.audit_leaf',           'derived from the log, and proven by its checkpoints'),
    ('credit.audit_node',           'derived from the log, and proven by its checkpoints'),
    ('credit.audit_pruned',         'moved there by a dropping, which is an entry; proven by checkpoints'),
    ('credit.audit_list',           'each list is proven by the entry that has its root'),
    ('credit.audit_checkpoint',     'signed; an entry for each would make the log grow for its own sake'),
    ('credit.audit_cosignature',    'signed by somebody else; likewise'),
    ('credit.audit_history',        'derived from the log'),
    ('credit.audit_history_state',  'derived from the log'),
    ('credit.audit_descriptor',     'derived from the log'),
    ('credit.audit_bulk',           'derived from the log'),
    ('credit.consent',              'has an entry for each consent, by a trigger of its own'),
    ('credit.consent_request',      'likewise for each request'),
    ('credit.subject_key',          'likewise for each key'),
    ('credit.batch',                'course of a delivery; what it brought is recorded as writes of credit.record'),
    ('credit.refused_row',          'rows that did not go in'),
    ('credit.category_view',        'derived from credit.category, and its views are in the digest of the code'),
    ('credit._installed',           'digests that the installation keeps, compared by credit.security_check'),
    ('credit._batch_seen',          'empty but while a delivery runs'),
    ('credit.rating_batch',         'course of a run; what it brought is recorded as writes of credit.rating'),
    ('credit.rating_failure',       'likewise, of subjects that could not be rated'),
    ('credit.rating_mark',          'work that is due; the change that marked and the rating are recorded'),
    ('credit.observation_rejected', 'rows that did not go in'),
    ('credit.ledger',               'comes with the release'),
    ('credit.ledger_correction',    'what a delivery replaced; the delivery is in credit.batch'),
    ('credit.ledger_partition',     'derived from the catalogue'),
    ('credit._measure_delta',       'derived from the ledgers'),
    ('credit._measure_cell',        'derived from the ledgers'),
    ('credit._measure_total',       'derived from the ledgers'),
    ('credit._measure_rollup',      'derived from the ledgers'),
    ('credit._region_within',       'derived from credit.region'),
    ('credit._region_change',       'derived from credit.region'),
    ('credit._figure_change',       'says that figures have changed'),
    ('credit._measure_subject',     'derived from the ledgers'),
    ('credit._measure_fold',        'counts what was folded');
CREATE TEMP VIEW tab AS
    SELECT c.oid::regclass AS name FROM pg_depend d
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pgcredit'
      JOIN pg_class c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
     WHERE d.deptype = 'e' AND c.relkind IN ('r', 'p', 'f', 'm');
-- Bits of tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead.
CREATE TEMP VIEW audited AS
    SELECT t.tgrelid::regclass AS name, sum(t.tgtype & 60) AS events, bool_and(t.tgenabled = 'O') AS enabled
      FROM pg_trigger t WHERE t.tgfoid = 'credit.audit_write'::regproc AND t.tgtype & (1 | 2 | 64) = 0 AND t.tgqual IS NULL AND t.tgattr = ''
     GROUP BY t.tgrelid;

SELECT cmp_ok((SELECT count(*) FROM tab), '>', 25::bigint, 'there are tables to look at');
SELECT is_empty($$ SELECT name FROM tab EXCEPT SELECT name FROM audited WHERE events = 60 AND enabled EXCEPT SELECT name FROM unaudited $$,
    'every table has its writes of all four kinds recorded, or a reason above');
SELECT is_empty($$ SELECT name FROM unaudited WHERE name NOT IN (SELECT name FROM tab) $$, 'no reason without a table');
SELECT is_empty($$ SELECT name FROM audited JOIN unaudited USING (name) WHERE events = 60 $$, 'no reason for a table that is audited');
SELECT is((SELECT array_agg(t.tgname || ' ' || (t.tgtype & 61) ORDER BY t.tgname COLLATE "C") FROM pg_trigger t
            WHERE t.tgrelid = 'credit.consent'::regclass AND t.tgfoid IN ('credit._consent_trail'::regproc, 'credit.audit_write'::regproc)),
    '{audit_truncate 32,consent_trail 29}'::text[], 'consents: each row that is inserted, updated or deleted, and TRUNCATE');
SELECT is((SELECT array_agg(t.tgname || ' ' || (t.tgtype & 61) ORDER BY t.tgname COLLATE "C") FROM pg_trigger t
            WHERE t.tgrelid = 'credit.consent_request'::regclass AND t.tgfoid IN ('credit._request_trail'::regproc, 'credit.audit_write'::regproc)),
    '{audit_truncate 32,request_trail 29}'::text[], 'requests: the same');
SELECT is((SELECT array_agg(t.tgname || ' ' || (t.tgtype & 61) ORDER BY t.tgname COLLATE "C") FROM pg_trigger t
            WHERE t.tgrelid = 'credit.subject_key'::regclass AND t.tgfoid IN ('credit._key_trail'::regproc, 'credit.audit_write'::regproc)),
    '{audit_truncate 32,key_trail 29}'::text[], 'keys of subjects: the same');

-- ------------------------------------------------------------------ the digest

CREATE TEMP TABLE start AS SELECT credit._code_digest() AS digest;
SELECT is((SELECT digest FROM start), credit._code_expected(), 'the code is as it was installed');
SELECT matches((SELECT digest FROM start), '^[A-Za-z0-9_-]{43}$', '32 bytes in base64url');

-- Each change in a savepoint of its own.
CREATE FUNCTION pg_temp.differs(change text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    differs boolean;
    touched bigint;
BEGIN
    BEGIN
        EXECUTE change;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF change ~ '^(UPDATE|DELETE)' AND touched = 0 THEN
            RAISE EXCEPTION 'there is nothing to change';
        END IF;
        differs := credit._code_digest() <> (SELECT s.digest FROM start s);
        RAISE EXCEPTION 'undo' USING ERRCODE = 'P0099';
    EXCEPTION WHEN SQLSTATE 'P0099' THEN
        RETURN differs;
    END;
END
$$;
SELECT ok(pg_temp.differs(change), 'seen: ' || what) FROM (VALUES
    ('the body of a function',       $$UPDATE pg_proc SET prosrc = 'SELECT 1' WHERE oid = 'credit.calling_institution()'::regprocedure$$),
    ('the library of a function',    $$UPDATE pg_proc SET probin = '$libdir/other' WHERE oid = 'credit.version()'::regprocedure$$),
    ('a definer function no more',   $$UPDATE pg_proc SET prosecdef = false WHERE oid = 'credit.revoke_consent(bigint,bigint)'::regprocedure$$),
    ('a search_path no more pinned', $$UPDATE pg_proc SET proconfig = NULL WHERE oid = 'credit.revoke_consent(bigint,bigint)'::regprocedure$$),
    ('a leak-proof function',        $$UPDATE pg_proc SET proleakproof = NOT proleakproof WHERE oid = 'credit.guard(bigint,smallint,date)'::regprocedure$$),
    ('a trigger disabled',           $$UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'credit.consent'::regclass AND tgname = 'consent_trail'$$),
    ('a foreign key disabled',       $$UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'credit.consent'::regclass AND tgisinternal$$),
    ('a trigger of somebody else',   $$CREATE TRIGGER late BEFORE INSERT ON credit.consent EXECUTE FUNCTION suppress_redundant_updates_trigger()$$),
    ('row level security off',       $$UPDATE pg_class SET relrowsecurity = false WHERE oid = 'credit.record'::regclass$$),
    ('a policy gone',                $$DELETE FROM pg_policy WHERE polrelid = 'credit.record'::regclass$$),
    ('a policy for another command', $$UPDATE pg_policy SET polcmd = 'a' WHERE polrelid = 'credit.record'::regclass$$),
    ('a view',                       $$CREATE OR REPLACE VIEW credit.data_quality AS SELECT * FROM credit.data_quality WHERE false$$),
    ('a view without its barrier',   $$UPDATE pg_class SET reloptions = NULL WHERE oid = 'credit.audit_log'::regclass$$),
    ('a rule',                       $$CREATE RULE nothing AS ON DELETE TO credit.consent DO INSTEAD NOTHING$$),
    ('a constraint gone',            $$ALTER TABLE credit.consent DROP CONSTRAINT consent_window$$),
    ('a default',                    $$ALTER TABLE credit.consent ALTER COLUMN granted_at SET DEFAULT '-infinity'$$),
    ('a column that may be null',    $$UPDATE pg_attribute SET attnotnull = false WHERE attrelid = 'credit.consent'::regclass AND attname = 'granted_by'$$),
    ('an operator',                  $$UPDATE pg_operator SET oprcode = 'credit._uscc_ne'::regproc WHERE oid = 'credit.=(credit.uscc,credit.uscc)'::regoperator$$),
    ('a function of a class',        $$UPDATE pg_amproc SET amproc = 'credit._region_code_hash'::regproc WHERE amproc = 'credit._uscc_hash'::regproc$$),
    ('a function that left',         $$ALTER EXTENSION pgcredit DROP FUNCTION credit.version()$$)
    ) AS t (what, change);
SELECT ok(NOT pg_temp.differs($$GRANT SELECT ON credit.region TO PUBLIC$$), 'not seen: a right');
SELECT ok(NOT pg_temp.differs($$CREATE TABLE elsewhere (r credit.region_code REFERENCES credit.region)$$),
    'not seen: a table of somebody else that refers to ours');

SELECT * FROM finish();
ROLLBACK;
