-- ---------------------------------------------------------------------------
-- 51 consent: who looked at a subject
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit.access_history(subject bigint, before bigint DEFAULT NULL, most integer DEFAULT 50)
    RETURNS TABLE (seq bigint, recorded timestamptz, kind text, operation text, actor text, institution text,
                   purposes text[], categories text[], reason text, session_user_name text, listed boolean)
    AS 'MODULE_PATHNAME', 'pgcredit_access_history' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 50;
COMMENT ON FUNCTION credit.access_history(bigint, bigint, integer) IS
    'entries of the log that name the subject, newest first, a page before entry "before"; the look is an entry itself (谁查询过我)';

REVOKE ALL ON FUNCTION credit.access_history(bigint, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.access_history(bigint, bigint, integer) TO credit_portal;
