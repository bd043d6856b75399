-- ---------------------------------------------------------------------------
-- 31 audit: the Merkle tree over the log, RFC 6962
-- ---------------------------------------------------------------------------

-- Hashes do not compress, and a row must stay in its page: no TOAST. What is derived from the entries is not dumped; the
-- writer makes it anew.
CREATE TABLE credit.audit_leaf (
    n      bigint PRIMARY KEY,
    hashes bytea NOT NULL
);
COMMENT ON TABLE credit.audit_leaf IS 'hashes of the log''s entries, 32 a row: level 0 of the tree (叶子哈希)';
COMMENT ON COLUMN credit.audit_leaf.n IS 'the row has the hashes of entries 32 n + 1 to 32 n + 32';

CREATE TABLE credit.audit_node (
    level  smallint,
    n      integer,
    hashes bytea NOT NULL,
    PRIMARY KEY (level, n)
);
COMMENT ON TABLE credit.audit_node IS 'roots of full tiles, 128 a row: levels 1 and up of the tree (上层哈希)';
COMMENT ON COLUMN credit.audit_node.level IS 'a hash of this level is over 256 to the power of level entries';
COMMENT ON COLUMN credit.audit_node.n IS 'the row has the hashes 128 n to 128 n + 127 of its level, as far as they exist';

CREATE TABLE credit.audit_pruned (
    n      bigint PRIMARY KEY,
    hashes bytea NOT NULL
);
COMMENT ON TABLE credit.audit_pruned IS 'hashes of entries that the retention policy dropped, as in credit.audit_leaf (已清理条目的叶子哈希)';
COMMENT ON COLUMN credit.audit_pruned.n IS 'as in credit.audit_leaf';
SELECT pg_catalog.pg_extension_config_dump('credit.audit_pruned', '');

ALTER TABLE credit.audit_leaf ALTER hashes SET STORAGE PLAIN;
ALTER TABLE credit.audit_node ALTER hashes SET STORAGE PLAIN;
ALTER TABLE credit.audit_pruned ALTER hashes SET STORAGE PLAIN;

CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_leaf
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_node
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_pruned
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_written BEFORE INSERT ON credit.audit_leaf
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_written BEFORE INSERT ON credit.audit_node
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE FUNCTION credit._restore_rows() RETURNS trigger
    AS 'MODULE_PATHNAME', 'pgcredit_restore_rows' LANGUAGE C;
COMMENT ON FUNCTION credit._restore_rows() IS 'trigger: lets dumped rows into a table that is empty, and nothing else (恢复行)';
CREATE TRIGGER only_restored BEFORE INSERT ON credit.audit_pruned
    FOR EACH STATEMENT EXECUTE FUNCTION credit._restore_rows();

CREATE FUNCTION credit.log_size() RETURNS bigint
    AS 'MODULE_PATHNAME', 'pgcredit_log_size' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.log_size() IS 'number of entries of the log, dropped ones included (日志条数)';

CREATE FUNCTION credit.log_root(size bigint DEFAULT NULL) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_log_root' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION credit.log_root(bigint) IS
    'Merkle tree hash of the first "size" entries, by default of all: RFC 6962 section 2.1 (日志树根)';

CREATE FUNCTION credit.inclusion_proof(seq bigint, size bigint DEFAULT NULL) RETURNS bytea[]
    AS 'MODULE_PATHNAME', 'pgcredit_inclusion_proof' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION credit.inclusion_proof(bigint, bigint) IS
    'hashes that prove entry "seq" (leaf seq - 1) to the root of the first "size" entries, leaf sibling first; size is by default that of the newest checkpoint (存在性证明)';

CREATE FUNCTION credit.consistency_proof(old_size bigint, new_size bigint) RETURNS bytea[]
    AS 'MODULE_PATHNAME', 'pgcredit_consistency_proof' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION credit.consistency_proof(bigint, bigint) IS
    'hashes that prove that the log of the first size is the beginning of that of the second: RFC 6962 section 2.1.2 (一致性证明)';

CREATE FUNCTION credit.tile(level integer, n bigint, width integer DEFAULT NULL) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_tile' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION credit.tile(integer, bigint, integer) IS
    'bytes of a C2SP tile: its first "width" hashes, by default as many as there are (树瓦片)';

CREATE FUNCTION credit.entry_bundle(n bigint, width integer DEFAULT NULL) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_entry_bundle' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION credit.entry_bundle(bigint, integer) IS
    'bytes of a C2SP entry bundle: entries 256 n + 1 on, each after its length in two bytes (日志条目包)';

REVOKE ALL ON credit.audit_leaf, credit.audit_node, credit.audit_pruned FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._restore_rows(), credit.log_size(), credit.log_root(bigint), credit.inclusion_proof(bigint, bigint),
    credit.consistency_proof(bigint, bigint), credit.tile(integer, bigint, integer), credit.entry_bundle(bigint, integer)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.log_size(), credit.log_root(bigint), credit.inclusion_proof(bigint, bigint),
    credit.consistency_proof(bigint, bigint), credit.tile(integer, bigint, integer), credit.entry_bundle(bigint, integer)
    TO credit_auditor;
