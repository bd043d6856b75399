-- ---------------------------------------------------------------------------
-- 30 audit: the log, the outbox, the writer
-- ---------------------------------------------------------------------------

-- No foreign key, no default, no second index: the writer reaches it by the table access method, and every reader waits
-- for its insert.
CREATE TABLE credit.audit_entry (
    seq   bigint PRIMARY KEY,
    entry text NOT NULL
);
COMMENT ON TABLE credit.audit_entry IS 'the log: one row for each entry, written by the audit writer only (审计日志)';
COMMENT ON COLUMN credit.audit_entry.seq IS 'sequence number from 1, without gap (序号)';
COMMENT ON COLUMN credit.audit_entry.entry IS 'canonical bytes of the entry: RFC 8785 JSON in UTF-8 (规范字节)';

-- Rows live here from their transaction's commit until the writer's next turn. No key: after a restore from a dump the
-- sequence is set later than rows may come.
CREATE SEQUENCE credit.audit_outbox_id_seq;
CREATE TABLE credit.audit_outbox (
    id     bigint NOT NULL,
    prefix text NOT NULL,
    suffix text NOT NULL
);
ALTER SEQUENCE credit.audit_outbox_id_seq OWNED BY credit.audit_outbox.id;
COMMENT ON TABLE credit.audit_outbox IS 'entries of committed writes that the audit writer has not numbered yet (待入日志)';
COMMENT ON COLUMN credit.audit_outbox.prefix IS 'the entry''s bytes before its member "recorded"';
COMMENT ON COLUMN credit.audit_outbox.suffix IS 'the entry''s bytes after its member "seq"';

SELECT pg_catalog.pg_extension_config_dump('credit.audit_entry', '');
SELECT pg_catalog.pg_extension_config_dump('credit.audit_outbox', '');
SELECT pg_catalog.pg_extension_config_dump('credit.audit_outbox_id_seq', '');

CREATE FUNCTION credit._refuse_change() RETURNS trigger
    AS 'MODULE_PATHNAME', 'pgcredit_refuse_change' LANGUAGE C;
COMMENT ON FUNCTION credit._refuse_change() IS 'trigger: refuses UPDATE, DELETE and TRUNCATE of a table that only grows (只增不改)';
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();

CREATE FUNCTION credit._restore_log() RETURNS trigger
    AS 'MODULE_PATHNAME', 'pgcredit_restore_log' LANGUAGE C;
COMMENT ON FUNCTION credit._restore_log() IS 'trigger: lets a dumped log into a fresh database, and nothing else (日志恢复)';
CREATE TRIGGER only_restored BEFORE INSERT ON credit.audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION credit._restore_log();
CREATE TRIGGER restored AFTER INSERT ON credit.audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION credit._restore_log();

CREATE FUNCTION credit.audit_write() RETURNS trigger
    AS 'MODULE_PATHNAME', 'pgcredit_audit_write' LANGUAGE C;
COMMENT ON FUNCTION credit.audit_write() IS 'statement trigger: one log entry for each statement that wrote the table, if it commits (写入留痕)';

CREATE FUNCTION credit._audit_note(details jsonb) RETURNS void
    AS 'MODULE_PATHNAME', 'pgcredit_audit_note' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION credit._audit_note(jsonb) IS 'leaves an entry with these members in the log if the transaction commits (写入日志条目)';

CREATE FUNCTION credit._subject_token(subject_id bigint, salt bytea) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_subject_token_sql' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._subject_token(bigint, bytea) IS 'how a subject stands in the log: base64url of SHA-256(salt || id) (主体令牌)';

CREATE FUNCTION credit._start_writer() RETURNS void
    AS 'MODULE_PATHNAME', 'pgcredit_start_writer' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION credit._start_writer() IS 'asks for this database''s audit writer when the transaction commits (启动日志写入进程)';

-- Triggers with transition tables serve one event each. A statement fires the triggers of the table that it names and not
-- those of the partitions it reaches by it, so each partition and child has its own, for statements that name it.
CREATE FUNCTION credit._audit_table(audited regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member regclass;
BEGIN
    FOR member IN
        WITH RECURSIVE family(oid) AS (
            SELECT audited::oid
            UNION
            SELECT i.inhrelid FROM pg_inherits i JOIN family f ON i.inhparent = f.oid)
        SELECT f.oid FROM family f
         WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = f.oid AND t.tgname = 'audit_insert')
         ORDER BY f.oid
    LOOP
        EXECUTE format('CREATE TRIGGER audit_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
                        FOR EACH STATEMENT EXECUTE FUNCTION credit.audit_write()', member);
        EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
                        FOR EACH STATEMENT EXECUTE FUNCTION credit.audit_write()', member);
        EXECUTE format('CREATE TRIGGER audit_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
                        FOR EACH STATEMENT EXECUTE FUNCTION credit.audit_write()', member);
        EXECUTE format('CREATE TRIGGER audit_truncate AFTER TRUNCATE ON %s
                        FOR EACH STATEMENT EXECUTE FUNCTION credit.audit_write()', member);
    END LOOP;
END
$$;
COMMENT ON FUNCTION credit._audit_table(regclass) IS 'puts the triggers that record each statement on a table and its partitions, on those that have none yet (挂接写入留痕)';

CREATE FUNCTION credit.leaf_hash(entry text) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_leaf_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.leaf_hash(text) IS
    'hash of an entry''s bytes as a leaf of the log''s tree: SHA-256(0x00 || entry), RFC 6962 (叶子哈希)';

-- security_invoker would ask every reader for a right on the table; the view is the only way to read the log.
CREATE VIEW credit.audit_log WITH (security_barrier) AS
SELECT a.seq,
       (j.e ->> 'recorded')::timestamptz AS recorded,
       j.e ->> 'kind' AS kind,
       j.e ->> 'actor' AS actor,
       j.e ->> 'session_user' AS session_user_name,
       j.e ->> 'institution' AS institution,
       j.e ->> 'purpose' AS purpose,
       j.e -> 'categories' AS categories,
       j.e -> 'subjects' AS subjects,
       j.e -> 'consents' AS consents,
       j.e ->> 'reason' AS reason,
       j.e ->> 'operation' AS operation,
       j.e ->> 'table' AS table_name,
       (j.e ->> 'count')::bigint AS count,
       (j.e ->> 'access')::uuid AS access,
       a.entry,
       credit.leaf_hash(a.entry) AS leaf_hash
  FROM credit.audit_entry a
 CROSS JOIN LATERAL (SELECT a.entry::jsonb AS e OFFSET 0) j;
COMMENT ON VIEW credit.audit_log IS 'the log, an entry a row, with its members as columns (审计日志查询)';
COMMENT ON COLUMN credit.audit_log.subjects IS 'subjects as tokens, see doc/reference/30_audit.md (信用主体令牌)';
COMMENT ON COLUMN credit.audit_log.consents IS 'for each subject, the consents that were used (所依据的授权)';
COMMENT ON COLUMN credit.audit_log.leaf_hash IS 'its hash in the tree over the log (叶子哈希)';
COMMENT ON COLUMN credit.audit_log.access IS 'the entries of one call of open_access or read share it (查询编号)';

REVOKE ALL ON credit.audit_entry, credit.audit_outbox, credit.audit_log FROM PUBLIC;
REVOKE ALL ON SEQUENCE credit.audit_outbox_id_seq FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._refuse_change(), credit._restore_log(), credit.audit_write(), credit._audit_note(jsonb), credit._subject_token(bigint, bytea), credit.leaf_hash(text),
                       credit._start_writer(), credit._audit_table(regclass)
    FROM PUBLIC;
GRANT SELECT ON credit.audit_log TO credit_auditor;
GRANT EXECUTE ON FUNCTION credit.leaf_hash(text) TO credit_auditor;

SELECT credit._start_writer();
