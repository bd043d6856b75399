-- ---------------------------------------------------------------------------
-- 32 audit: signed checkpoints, witnesses, proofs to take away (C2SP)
-- ---------------------------------------------------------------------------

CREATE TABLE credit.audit_origin (
    origin text PRIMARY KEY,
    since  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE credit.audit_origin IS 'names under which the log signs, the newest counts; the first comes with the first checkpoint (日志标识)';
SELECT credit._audit_table('credit.audit_origin');

CREATE TABLE credit.audit_checkpoint (
    size   bigint PRIMARY KEY,
    root   bytea NOT NULL,
    peaks  bytea NOT NULL,
    note   text NOT NULL,
    signed timestamptz NOT NULL
);
COMMENT ON TABLE credit.audit_checkpoint IS 'what the log has signed (已签名检查点)';
COMMENT ON COLUMN credit.audit_checkpoint.size IS 'number of entries that it is over (条目数)';
COMMENT ON COLUMN credit.audit_checkpoint.root IS 'Merkle tree hash of them (树根)';
COMMENT ON COLUMN credit.audit_checkpoint.peaks IS 'roots of the perfect subtrees that make up the tree, largest first';
COMMENT ON COLUMN credit.audit_checkpoint.note IS 'C2SP checkpoint with the log''s signature (签名文本)';

CREATE TABLE credit.audit_witness (
    name text PRIMARY KEY,
    vkey text NOT NULL
);
COMMENT ON TABLE credit.audit_witness IS 'witnesses whose cosignatures count (见证方)';
SELECT credit._audit_table('credit.audit_witness');

CREATE TABLE credit.audit_cosignature (
    size    bigint REFERENCES credit.audit_checkpoint,
    witness text,
    made    timestamptz NOT NULL,
    line    text NOT NULL,
    PRIMARY KEY (size, witness)
);
COMMENT ON TABLE credit.audit_cosignature IS 'signatures of witnesses on checkpoints, verified when they came (见证签名)';

CREATE TABLE credit.audit_conflict (
    note  text NOT NULL,
    found timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    what  text NOT NULL
);
COMMENT ON TABLE credit.audit_conflict IS 'checkpoints of this log, known outside, that this log is no continuation of (冲突检查点)';
SELECT credit._audit_table('credit.audit_conflict');

SELECT pg_catalog.pg_extension_config_dump('credit.audit_origin', '');
SELECT pg_catalog.pg_extension_config_dump('credit.audit_checkpoint', '');
SELECT pg_catalog.pg_extension_config_dump('credit.audit_witness', '');
SELECT pg_catalog.pg_extension_config_dump('credit.audit_cosignature', '');
SELECT pg_catalog.pg_extension_config_dump('credit.audit_conflict', '');

CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_origin
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_cosignature
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.audit_conflict
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
-- Only the notary adds, below SQL; an INSERT is a restore.
CREATE TRIGGER only_restored BEFORE INSERT ON credit.audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION credit._restore_rows();

-- ---------------------------------------------------------------------------
-- Keys and notes
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._log_vkey(origin text) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_log_vkey' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._log_vkey(text) IS 'verifier key of the log under this name (日志公钥)';

CREATE FUNCTION credit.log_vkey() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT credit._log_vkey(o.origin) FROM credit.audit_origin o ORDER BY o.since DESC LIMIT 1
$$;
COMMENT ON FUNCTION credit.log_vkey() IS
    'verifier key of the log in the form of C2SP signed-note: whoever has it can check the log''s signatures (日志公钥)';

CREATE FUNCTION credit._sign_checkpoint() RETURNS bigint
    AS 'MODULE_PATHNAME', 'pgcredit_sign_checkpoint' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION credit._sign_checkpoint() IS
    'has a checkpoint signed over what is in the log, and waits until it is durable; returns its size (签署检查点)';

CREATE FUNCTION credit._cosignatures(note text, vkeys text[])
    RETURNS TABLE (witness text, made timestamptz, line text)
    AS 'MODULE_PATHNAME', 'pgcredit_cosignatures' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._cosignatures(text, text[]) IS 'signatures of these witnesses on a note, verified (见证签名校验)';

CREATE FUNCTION credit._note_text(note text) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_note_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._note_text(text) IS 'what a signed note signs (签名正文)';

CREATE FUNCTION credit._own_note(note text, origin text) RETURNS bigint
    AS 'MODULE_PATHNAME', 'pgcredit_own_note' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._own_note(text, text) IS
    'size of a checkpoint that this log signed under this name; raises for any other note (本日志检查点)';

CREATE FUNCTION credit._vkey_name(vkey text, cosigner boolean) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_vkey_name' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._vkey_name(text, boolean) IS 'name in a verifier key, which is checked (公钥名称)';

CREATE FUNCTION credit._witness_quorum() RETURNS integer
    AS 'MODULE_PATHNAME', 'pgcredit_witness_quorum_sql' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._witness_quorum() IS 'pgcredit.witness_quorum, which only the server''s configuration sets (见证人数要求)';

-- ---------------------------------------------------------------------------
-- Checkpoints
-- ---------------------------------------------------------------------------

CREATE VIEW credit.checkpoint_log WITH (security_barrier) AS
SELECT c.size, c.signed, c.root,
       c.note || coalesce((SELECT string_agg(s.line, '' ORDER BY s.made, s.witness)
                             FROM credit.audit_cosignature s JOIN credit.audit_witness w ON w.name = s.witness
                            WHERE s.size = c.size), '') AS note,
       (SELECT count(*) FROM credit.audit_cosignature s JOIN credit.audit_witness w ON w.name = s.witness
         WHERE s.size = c.size)::integer AS cosignatures,
       (SELECT count(*) FROM credit.audit_cosignature s JOIN credit.audit_witness w ON w.name = s.witness
         WHERE s.size = c.size) >= credit._witness_quorum() AS published
  FROM credit.audit_checkpoint c;
COMMENT ON VIEW credit.checkpoint_log IS 'checkpoints that the log signed, with the cosignatures of its witnesses (检查点)';
COMMENT ON COLUMN credit.checkpoint_log.published IS 'has as many cosignatures as pgcredit.witness_quorum asks (已公布)';

CREATE FUNCTION credit._published(covering bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result text;
BEGIN
    SELECT c.note INTO result FROM credit.checkpoint_log c WHERE c.published ORDER BY c.size DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no checkpoint of the log is published'
            USING ERRCODE = 'PC006',
                  DETAIL = format('A checkpoint counts as published with %s cosignatures.', credit._witness_quorum()),
                  HINT = 'Give the newest of credit.checkpoint_log to the witnesses and their answers to credit.add_cosignature.';
    END IF;
    IF split_part(result, E'\n', 2)::bigint < covering THEN
        RAISE EXCEPTION 'the newest published checkpoint does not cover entry %', covering
            USING ERRCODE = 'PC006',
                  DETAIL = format('It covers %s entries.', split_part(result, E'\n', 2)),
                  HINT = 'Call credit.checkpoint().';
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION credit._published(bigint) IS 'newest published checkpoint, which must cover that many entries (已公布检查点)';

CREATE FUNCTION credit.checkpoint() RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pg_is_in_recovery() THEN
        PERFORM credit._sign_checkpoint();
    END IF;
    RETURN credit._published(0);
END
$$;
COMMENT ON FUNCTION credit.checkpoint() IS
    'has a checkpoint signed if the log has grown, and returns the newest that is published: C2SP tlog-checkpoint (检查点)';

CREATE FUNCTION credit.tlog_proof(seq bigint, extra bytea DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    note text := credit._published(seq);
BEGIN
    IF seq IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN 'c2sp.org/tlog-proof@v1' || E'\n'
        || coalesce('extra ' || translate(encode(extra, 'base64'), E'\n', '') || E'\n', '')
        || 'index ' || seq - 1 || E'\n'
        || coalesce((SELECT string_agg(encode(p.hash, 'base64') || E'\n', '' ORDER BY p.n)
                       FROM unnest(credit.inclusion_proof(seq, split_part(note, E'\n', 2)::bigint))
                            WITH ORDINALITY p(hash, n)), '')
        || E'\n' || note;
END
$$;
COMMENT ON FUNCTION credit.tlog_proof(bigint, bytea) IS
    'file that proves an entry to a published checkpoint without this server: C2SP tlog-proof (离线证明)';

CREATE FUNCTION credit.witness_request(old_size bigint) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    newest credit.audit_checkpoint;
BEGIN
    SELECT * INTO newest FROM credit.audit_checkpoint c ORDER BY c.size DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the log has no checkpoint yet'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call credit.checkpoint().';
    END IF;
    RETURN 'old ' || old_size || E'\n'
        || coalesce((SELECT string_agg(encode(p.hash, 'base64') || E'\n', '' ORDER BY p.n)
                       FROM unnest(credit.consistency_proof(old_size, newest.size)) WITH ORDINALITY p(hash, n)), '')
        || E'\n' || newest.note;
END
$$;
COMMENT ON FUNCTION credit.witness_request(bigint) IS
    'body of C2SP tlog-witness'' add-checkpoint for a witness that knows the log at that size (见证请求)';

-- ---------------------------------------------------------------------------
-- Witnesses and what is known outside
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit.add_witness(vkey text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    named text := credit._vkey_name(vkey, true);
BEGIN
    IF named IS NULL THEN
        RAISE EXCEPTION 'verifier key of the witness must not be null' USING ERRCODE = 'null_value_not_allowed',
              HINT = 'It reads <name>+<key id>+<base64>, C2SP signed-note.';
    END IF;
    INSERT INTO credit.audit_witness (name, vkey) VALUES (named, add_witness.vkey)
        ON CONFLICT ON CONSTRAINT audit_witness_pkey DO NOTHING;
    IF NOT FOUND AND NOT EXISTS (SELECT 1 FROM credit.audit_witness w WHERE w.name = named AND w.vkey = add_witness.vkey) THEN
        RAISE EXCEPTION 'witness "%" has another key', named
            USING ERRCODE = 'unique_violation', HINT = 'Remove it with credit.remove_witness first.';
    END IF;
    RETURN named;
END
$$;
COMMENT ON FUNCTION credit.add_witness(text) IS 'lets the cosignatures of a witness count; returns its name (增加见证方)';

CREATE FUNCTION credit.remove_witness(name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM credit.audit_witness w WHERE w.name = remove_witness.name;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION credit.remove_witness(text) IS 'its cosignatures do not count any more; false if there is no such witness (移除见证方)';

CREATE FUNCTION credit.add_cosignature(note text, size bigint DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    whole text := note;
    own credit.audit_checkpoint;
    added integer;
BEGIN
    IF note IS NULL THEN
        RAISE EXCEPTION 'note must not be null' USING ERRCODE = 'null_value_not_allowed',
              HINT = 'Give the cosigned checkpoint, or the cosignature lines and the size.';
    END IF;
    -- A witness answers with the lines alone.
    IF size IS NOT NULL AND starts_with(note, '— ') THEN
        SELECT c.note || add_cosignature.note INTO whole FROM credit.audit_checkpoint c WHERE c.size = add_cosignature.size;
    END IF;
    SELECT c.* INTO own FROM credit.audit_checkpoint c
     WHERE credit._note_text(c.note) = credit._note_text(whole)
       AND c.size = coalesce(add_cosignature.size, substring(split_part(whole, E'\n', 2) FROM '^\d{1,18}$')::bigint);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the log has not signed this checkpoint'
            USING ERRCODE = 'PC007', HINT = 'credit.checkpoint_log lists those that it has signed.';
    END IF;
    INSERT INTO credit.audit_cosignature (size, witness, made, line)
    SELECT own.size, s.witness, s.made, s.line
      FROM credit._cosignatures(whole, ARRAY(SELECT w.vkey FROM credit.audit_witness w)) s
        ON CONFLICT ON CONSTRAINT audit_cosignature_pkey DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END
$$;
COMMENT ON FUNCTION credit.add_cosignature(text, bigint) IS
    'verifies and keeps the cosignatures of known witnesses on a checkpoint of this log; returns how many were new (增加见证签名)';

CREATE FUNCTION credit.check_checkpoint(note text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    origin text;
    size bigint;
    what text := 'consistent';
BEGIN
    IF note IS NULL THEN
        RAISE EXCEPTION 'note must not be null' USING ERRCODE = 'null_value_not_allowed',
              HINT = 'Give the checkpoint that is known outside.';
    END IF;
    -- Under an older name too: up to where the log was set back it is the same.
    SELECT o.origin INTO origin FROM credit.audit_origin o
     ORDER BY o.origin = split_part(note, E'\n', 1) DESC, o.since DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the log has not signed anything' USING ERRCODE = 'PC007',
              HINT = 'It has no name yet: credit.set_log_origin gives it the one it had, if it was restored without it.';
    END IF;
    size := credit._own_note(note, origin);
    IF size > credit.log_size() THEN
        what := 'ahead';
    ELSIF encode(credit.log_root(size), 'base64') <> split_part(note, E'\n', 3) THEN
        what := 'inconsistent';
    END IF;
    IF what <> 'consistent' THEN
        INSERT INTO credit.audit_conflict (note, what) VALUES (check_checkpoint.note, what);
    END IF;
    RETURN what;
END
$$;
COMMENT ON FUNCTION credit.check_checkpoint(text) IS
    'compares a checkpoint of this log that is known outside with the log: "consistent", "ahead" (the log was set back) or "inconsistent" (it was rewritten); the log signs no more after the latter two (核对外部检查点)';

CREATE FUNCTION credit.set_log_origin(origin text, anew boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF origin IS NULL OR credit._log_vkey(origin) IS NULL THEN
        RAISE EXCEPTION 'name of the log must not be null' USING ERRCODE = 'null_value_not_allowed',
              HINT = 'A URL without its scheme, such as credit.example.cn/log.';
    END IF;
    IF EXISTS (SELECT 1 FROM credit.audit_origin o WHERE o.origin = set_log_origin.origin) THEN
        RAISE EXCEPTION 'the log has or had the name "%"', origin USING ERRCODE = 'unique_violation',
              HINT = 'A log that starts anew needs a new name.';
    END IF;
    IF anew IS NOT TRUE AND EXISTS (SELECT 1 FROM credit.audit_checkpoint)
       AND NOT EXISTS (SELECT 1 FROM credit.audit_conflict c
                        WHERE split_part(c.note, E'\n', 1) = (SELECT o.origin FROM credit.audit_origin o ORDER BY o.since DESC LIMIT 1)) THEN
        RAISE EXCEPTION 'the log has signed under its name already'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Whoever watches the log knows it by its name. With anew => true it goes on as another log, as a copy of a database must.';
    END IF;
    INSERT INTO credit.audit_origin (origin) VALUES (set_log_origin.origin);
END
$$;
COMMENT ON FUNCTION credit.set_log_origin(text, boolean) IS
    'name under which the log signs: before its first checkpoint, or after it was found to have been set back, or to go on as another log (设定日志标识)';

REVOKE ALL ON credit.audit_origin, credit.audit_checkpoint, credit.audit_witness, credit.audit_cosignature,
    credit.audit_conflict, credit.checkpoint_log FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._log_vkey(text), credit.log_vkey(), credit._sign_checkpoint(),
    credit._cosignatures(text, text[]), credit._note_text(text), credit._own_note(text, text), credit._vkey_name(text, boolean),
    credit._witness_quorum(), credit._published(bigint), credit.checkpoint(), credit.tlog_proof(bigint, bytea),
    credit.witness_request(bigint), credit.add_witness(text), credit.remove_witness(text),
    credit.add_cosignature(text, bigint), credit.check_checkpoint(text), credit.set_log_origin(text, boolean) FROM PUBLIC;
GRANT SELECT ON credit.checkpoint_log, credit.audit_witness TO credit_operator, credit_auditor;
GRANT EXECUTE ON FUNCTION credit.log_vkey()
    TO credit_operator, credit_portal, credit_provider, credit_institution, credit_analyst, credit_auditor;
GRANT EXECUTE ON FUNCTION credit.checkpoint(), credit.witness_request(bigint), credit.add_cosignature(text, bigint),
    credit.check_checkpoint(text) TO credit_operator, credit_auditor;
GRANT EXECUTE ON FUNCTION credit.tlog_proof(bigint, bytea) TO credit_operator, credit_auditor, credit_portal;
GRANT EXECUTE ON FUNCTION credit.add_witness(text), credit.remove_witness(text), credit.set_log_origin(text, boolean) TO credit_operator;
GRANT EXECUTE ON FUNCTION credit._witness_quorum() TO credit_operator, credit_auditor;
