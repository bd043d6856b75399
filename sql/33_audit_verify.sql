-- ---------------------------------------------------------------------------
-- 33 audit: is the log what it says it is?
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit.verify_log(
    first bigint DEFAULT NULL, last bigint DEFAULT NULL, resume boolean DEFAULT false,
    OUT ok boolean, OUT wrong_seq bigint, OUT problem text, OUT detail text,
    OUT first_seq bigint, OUT last_seq bigint, OUT entries bigint, OUT dropped bigint, OUT tiles bigint,
    OUT checkpoints bigint, OUT cosignatures bigint, OUT size bigint, OUT root bytea)
    AS 'MODULE_PATHNAME', 'pgcredit_verify_log' LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION credit.verify_log(bigint, bigint, boolean) IS
    'recomputes the log''s hashes, tree, roots and signatures from its entries, and says what is wrong first and with which entry (日志核验)';

CREATE FUNCTION credit._verify_progress(
    OUT pid integer, OUT datid oid, OUT phase text, OUT entries_done bigint, OUT entries_total bigint, OUT started timestamptz,
    OUT workers integer)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'pgcredit_verify_progress' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION credit._verify_progress() IS 'verifications that run on this server (核验进度)';

CREATE VIEW credit.stat_progress_verify WITH (security_barrier) AS
SELECT p.pid, d.datname, p.phase, p.entries_done, p.entries_total, p.started, p.workers
  FROM credit._verify_progress() p LEFT JOIN pg_catalog.pg_database d ON d.oid = p.datid;
COMMENT ON VIEW credit.stat_progress_verify IS 'how far credit.verify_log is, for each backend that runs it (核验进度)';

REVOKE ALL ON credit.stat_progress_verify FROM PUBLIC;
REVOKE ALL ON FUNCTION credit.verify_log(bigint, bigint, boolean), credit._verify_progress() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.verify_log(bigint, bigint, boolean), credit._verify_progress() TO credit_auditor;
GRANT SELECT ON credit.stat_progress_verify TO credit_auditor;
