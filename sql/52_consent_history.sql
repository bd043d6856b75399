-- ---------------------------------------------------------------------------
-- 52 consent: who looked at a subject
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit.access_history(subject bigint, before bigint DEFAULT NULL, most integer DEFAULT 50)
    RETURNS TABLE (seq bigint, recorded timestamptz, kind text, operation text, actor text, institution text,
                   purposes text[], categories text[], reason text, session_user_name text, listed boolean)
    AS 'MODULE_PATHNAME', 'pgcredit_access_history' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 50;
COMMENT ON FUNCTION credit.access_history(bigint, bigint, integer) IS
    'entries of the log that name the subject, newest first, a page before entry "before"; the look is an entry itself (谁查询过我)';

CREATE FUNCTION credit.history_proof(subject bigint, seq bigint,
                                     OUT entry text, OUT element bytea, OUT index bigint, OUT size bigint, OUT proof bytea[])
    AS 'MODULE_PATHNAME', 'pgcredit_history_proof_sql' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION credit.history_proof(bigint, bigint) IS
    'an entry that names the subject, its bytes, and where it has a list the subject''s element and the proof of it; with credit.tlog_proof all that is needed to check a line of the history elsewhere (历史存证)';

REVOKE ALL ON FUNCTION credit.access_history(bigint, bigint, integer), credit.history_proof(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.access_history(bigint, bigint, integer), credit.history_proof(bigint, bigint) TO credit_portal;
