-- ---------------------------------------------------------------------------
-- 34 audit: who looked at a subject; accesses to many subjects
-- ---------------------------------------------------------------------------

-- All but credit.audit_list is derived from the entries by the notary, off the readers' path, and not dumped.
CREATE TABLE credit.audit_history (
    token      uuid,
    seq        bigint,
    recorded   timestamptz NOT NULL,
    descriptor integer NOT NULL,
    PRIMARY KEY (token, seq) INCLUDE (recorded, descriptor)
);
COMMENT ON TABLE credit.audit_history IS 'which entries name which subject: a page of a history is read from its index alone (查询历史索引)';
COMMENT ON COLUMN credit.audit_history.token IS 'first 16 bytes of the subject''s token (主体令牌前缀)';
COMMENT ON COLUMN credit.audit_history.descriptor IS 'number of a row of credit.audit_descriptor';

CREATE TABLE credit.audit_descriptor (
    id      integer PRIMARY KEY,
    digest  uuid NOT NULL UNIQUE,
    members text NOT NULL
);
COMMENT ON TABLE credit.audit_descriptor IS 'what many entries have in common: who, what for, which categories, each combination once (条目描述)';
COMMENT ON COLUMN credit.audit_descriptor.digest IS 'first 16 bytes of SHA-256 of members';
COMMENT ON COLUMN credit.audit_descriptor.members IS 'the members as canonical JSON';

CREATE TABLE credit.audit_bulk (
    seq        bigint PRIMARY KEY,
    list       uuid NOT NULL,
    recorded   timestamptz NOT NULL,
    descriptor integer NOT NULL,
    unknown    boolean NOT NULL
);
COMMENT ON COLUMN credit.audit_bulk.unknown IS 'the list has ids that do not exist, and no subject';
COMMENT ON TABLE credit.audit_bulk IS 'entries whose subjects stand in credit.audit_list (批量查询条目)';
COMMENT ON COLUMN credit.audit_bulk.list IS 'as in credit.audit_list';

CREATE TABLE credit.audit_history_state (
    upto bigint NOT NULL
);
COMMENT ON TABLE credit.audit_history_state IS 'one row: the last entry that credit.audit_history, audit_bulk and audit_descriptor cover (索引进度)';

-- Hashes do not compress, and a row must stay in its page: no TOAST.
CREATE TABLE credit.audit_list (
    list     uuid,
    first    uuid,
    made     timestamptz NOT NULL,
    elements bytea NOT NULL,
    PRIMARY KEY (list, first)
);
ALTER TABLE credit.audit_list ALTER elements SET STORAGE PLAIN;
COMMENT ON TABLE credit.audit_list IS 'subjects of accesses to many, a few hundred a row, in their order (批量查询主体清单)';
COMMENT ON COLUMN credit.audit_list.list IS 'first 16 bytes of the root that the entry has as its member "list" (清单根)';
COMMENT ON COLUMN credit.audit_list.first IS 'first 16 bytes of the row''s first element';
COMMENT ON COLUMN credit.audit_list.made IS 'when it was written; rows whose entry never came are removed later';
COMMENT ON COLUMN credit.audit_list.elements IS 'see doc/reference/30_audit.md, Accesses to many subjects';
SELECT pg_catalog.pg_extension_config_dump('credit.audit_list', '');

CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_history
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_descriptor
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_bulk
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_history_state
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_list
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_written BEFORE INSERT ON credit.audit_history
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_written BEFORE INSERT ON credit.audit_descriptor
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_written BEFORE INSERT ON credit.audit_bulk
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_written BEFORE INSERT ON credit.audit_history_state
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_restored BEFORE INSERT ON credit.audit_list
    FOR EACH STATEMENT EXECUTE FUNCTION credit._restore_rows();

CREATE FUNCTION credit.listed(seq bigint)
    RETURNS TABLE (index bigint, element bytea, token bytea, consents bigint[], unknown bigint)
    AS 'MODULE_PATHNAME', 'pgcredit_listed' LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 1000;
COMMENT ON FUNCTION credit.listed(bigint) IS
    'elements of the list that an entry of an access to many has: element 0 is the access, then subjects by the first 16 bytes of their token, or ids that do not exist (批量查询主体清单)';

CREATE FUNCTION credit.list_proof(seq bigint, token text, OUT element bytea, OUT index bigint, OUT size bigint, OUT proof bytea[])
    AS 'MODULE_PATHNAME', 'pgcredit_list_proof' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.list_proof(bigint, text) IS
    'element of a subject in the list of an entry, and the hashes that prove it to the entry''s member "list": RFC 6962 (清单存在性证明)';

REVOKE ALL ON FUNCTION credit.listed(bigint), credit.list_proof(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.listed(bigint), credit.list_proof(bigint, text) TO credit_auditor;
REVOKE ALL ON credit.audit_history, credit.audit_descriptor, credit.audit_bulk, credit.audit_history_state,
    credit.audit_list FROM PUBLIC;
