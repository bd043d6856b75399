-- ---------------------------------------------------------------------------
-- 58 consent: keys of subjects, signed consents, receipts
-- ---------------------------------------------------------------------------

CREATE TABLE credit.subject_key (
    subject_id   bigint NOT NULL REFERENCES credit.subject,
    key_id       bigint GENERATED ALWAYS AS IDENTITY,
    public_key   bytea NOT NULL CHECK (pg_catalog.octet_length(public_key) = 32),
    statement    text NOT NULL,
    proof        bytea NOT NULL CHECK (pg_catalog.octet_length(proof) = 64),
    endorsed_by  bigint,
    endorsement  bytea CHECK (pg_catalog.octet_length(endorsement) = 64),
    enrolled_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    enrolled_by  text NOT NULL,
    confirmed_at timestamptz,
    confirmed_by text,
    revoked_at   timestamptz,
    revoked_by   text,
    reason       text,
    PRIMARY KEY (subject_id, key_id),
    UNIQUE (subject_id, public_key),
    CHECK ((endorsed_by IS NULL) = (endorsement IS NULL)),
    CHECK ((confirmed_at IS NULL) = (confirmed_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (reason IS NULL))
);
COMMENT ON TABLE credit.subject_key IS 'Ed25519 keys with which subjects sign (主体签名公钥)';
COMMENT ON COLUMN credit.subject_key.statement IS 'what proof and endorsement sign (登记声明)';
COMMENT ON COLUMN credit.subject_key.proof IS 'signature by the key itself: who enrolled it has it (持有证明)';
COMMENT ON COLUMN credit.subject_key.endorsed_by IS 'older key of the subject that signed for this one (旧密钥)';
COMMENT ON COLUMN credit.subject_key.confirmed_at IS 'from then on it signs; NULL while a second person has to confirm it (复核时间)';
COMMENT ON COLUMN credit.subject_key.revoked_at IS 'what was signed at or after this instant does not count (失效时间)';

CREATE TABLE credit.consent_signature (
    subject_id   bigint NOT NULL,
    consent_id   bigint NOT NULL,
    key_id       bigint,
    platform_key bytea CHECK (pg_catalog.octet_length(platform_key) = 32),
    nonce        bytea NOT NULL CHECK (pg_catalog.octet_length(nonce) BETWEEN 16 AND 64),
    statement    text NOT NULL,
    signature    bytea NOT NULL CHECK (pg_catalog.octet_length(signature) = 64),
    PRIMARY KEY (subject_id, consent_id),
    UNIQUE (subject_id, nonce),
    FOREIGN KEY (subject_id, consent_id) REFERENCES credit.consent ON DELETE CASCADE,
    FOREIGN KEY (subject_id, key_id) REFERENCES credit.subject_key,
    CHECK ((key_id IS NULL) <> (platform_key IS NULL))
);
COMMENT ON TABLE credit.consent_signature IS 'what was signed of a consent, and the signature (授权签名)';
COMMENT ON COLUMN credit.consent_signature.platform_key IS
    'key of the platform that signed for the counter, a paper has no key of the subject''s (平台公钥)';
COMMENT ON COLUMN credit.consent_signature.nonce IS 'makes each statement another one: a signature serves once (随机数)';

SELECT pg_catalog.pg_extension_config_dump('credit.subject_key', '');
SELECT pg_catalog.pg_extension_config_dump('credit.subject_key_key_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.consent_signature', '');

SELECT credit._audit_table('credit.consent_signature');

-- Keys have their number in the log, never their bytes: whoever knows a subject's key would know its entries.
CREATE FUNCTION credit._key_trail() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    k credit.subject_key;
    what text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        k := OLD;
        what := 'delete';
    ELSE
        k := NEW;
        IF TG_OP = 'INSERT' THEN
            what := CASE WHEN NEW.enrolled_at >= now() THEN 'enroll' ELSE 'restore' END;
        ELSIF OLD.confirmed_at IS NULL AND NEW.confirmed_at IS NOT NULL THEN
            what := 'confirm';
        ELSIF OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL THEN
            what := 'revoke';
        ELSE
            what := 'change';
        END IF;
    END IF;
    PERFORM credit._audit_note(jsonb_strip_nulls(jsonb_build_object(
        'kind', 'subject_key',
        'operation', what,
        'subjects', jsonb_build_array((SELECT credit._subject_token(s.subject_id, s.log_salt)
                                         FROM credit.subject s WHERE s.subject_id = k.subject_id)),
        'key', k.key_id,
        'endorsed_by', k.endorsed_by,
        'confirmed', k.confirmed_at IS NOT NULL,
        'since', CASE WHEN what = 'revoke' THEN to_char(k.revoked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._key_trail() IS 'trigger: one log entry for each key enrolled, confirmed or revoked (密钥留痕)';
CREATE TRIGGER key_trail AFTER INSERT OR UPDATE OR DELETE ON credit.subject_key
    FOR EACH ROW EXECUTE FUNCTION credit._key_trail();
CREATE TRIGGER audit_truncate AFTER TRUNCATE ON credit.subject_key
    FOR EACH STATEMENT EXECUTE FUNCTION credit.audit_write();

-- ---------------------------------------------------------------------------
-- Statements: what is signed
-- ---------------------------------------------------------------------------

-- A signature made for one platform must be worth nothing on another with the same subject numbers, a copy for instance.
CREATE FUNCTION credit._platform_name() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text;
BEGIN
    SELECT o.origin INTO name FROM credit.audit_origin o ORDER BY o.since DESC LIMIT 1;
    IF name IS NULL THEN
        RAISE EXCEPTION 'the platform has no name yet'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'It is that of its log, and goes into everything that is signed.',
                  HINT = 'credit.set_log_origin gives it one, else the first checkpoint does.';
    END IF;
    RETURN name;
END
$$;
COMMENT ON FUNCTION credit._platform_name() IS 'name of the platform in what is signed: that of its log (平台名称)';

CREATE FUNCTION credit._utc(instant timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
COMMENT ON FUNCTION credit._utc(timestamptz) IS 'an instant as statements, receipts and the log write it (协调世界时)';

CREATE FUNCTION credit._consent_text(c credit.consent, platform text, created text, nonce bytea) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT credit._canonical_json(credit._consent_members(c) || jsonb_strip_nulls(jsonb_build_object(
        'type', 'pgcredit consent 1',
        'platform', platform,
        'subject', c.subject_id::text,
        'document_digest', encode(c.document_digest, 'hex'),
        'created', created,
        'nonce', encode(nonce, 'hex'))))
$$;
COMMENT ON FUNCTION credit._consent_text(credit.consent, text, text, bytea) IS 'canonical bytes of a consent, RFC 8785 (授权签名文本)';

-- Nobody is asked to sign what would then be refused.
CREATE FUNCTION credit._text_to_sign(c credit.consent) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM credit._check_template(c);
    RETURN credit._consent_text(c, credit._platform_name(), credit._utc(clock_timestamp()), credit.random_bytes(16));
END
$$;
COMMENT ON FUNCTION credit._text_to_sign(credit.consent) IS 'a new statement about a consent that may be given (待签文本)';

CREATE FUNCTION credit.consent_statement(subject_id bigint, institution text, categories text[], purposes text[],
                                         valid_from timestamptz, valid_to timestamptz, kind text DEFAULT 'standing',
                                         use_limit integer DEFAULT NULL, frequency_unit text DEFAULT NULL,
                                         frequency_count integer DEFAULT NULL, data_from date DEFAULT NULL, data_to date DEFAULT NULL,
                                         data_life interval DEFAULT NULL, language text DEFAULT 'zh', legal_text text DEFAULT NULL)
    RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN credit._text_to_sign(
        credit._consent_draft(subject_id, institution, categories, purposes, valid_from, valid_to, kind, use_limit,
                              frequency_unit, frequency_count, data_from, data_to, data_life, language, legal_text));
END
$$;
COMMENT ON FUNCTION credit.consent_statement(bigint, text, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text) IS
    'what the subject signs to give this consent; valid for 15 minutes and once (授权签名文本)';

CREATE FUNCTION credit.renewal_statement(subject_id bigint, consent_id bigint, valid_from timestamptz, valid_to timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN credit._text_to_sign(credit._renewal_draft(credit._locked_consent(subject_id, consent_id), valid_from, valid_to));
END
$$;
COMMENT ON FUNCTION credit.renewal_statement(bigint, bigint, timestamptz, timestamptz) IS 'what the subject signs to renew a consent (续签签名文本)';

CREATE FUNCTION credit._key_text(subject_id bigint, public_key bytea, platform text, created text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT credit._canonical_json(jsonb_build_object(
        'type', 'pgcredit subject key 1', 'platform', platform, 'subject', subject_id::text,
        'public_key', encode(public_key, 'hex'), 'created', created))
$$;
COMMENT ON FUNCTION credit._key_text(bigint, bytea, text, text) IS 'canonical bytes of an enrolment (密钥登记文本)';

CREATE FUNCTION credit.key_statement(subject_id bigint, public_key bytea) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF subject_id IS NULL OR public_key IS NULL THEN
        RAISE EXCEPTION 'an enrolment needs subject and key' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    RETURN credit._key_text(subject_id, public_key, credit._platform_name(), credit._utc(clock_timestamp()));
END
$$;
COMMENT ON FUNCTION credit.key_statement(bigint, bytea) IS
    'what a new key signs to be enrolled, and an older one to endorse it; valid for 15 minutes (密钥登记文本)';

-- The members in which two statements differ, for people.
CREATE FUNCTION credit._difference_of(a jsonb, b jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(coalesce(x.key, y.key), ', ' ORDER BY coalesce(x.key, y.key) COLLATE "C")
      FROM jsonb_each(a) x FULL JOIN jsonb_each(b) y ON x.key = y.key
     WHERE x.value IS DISTINCT FROM y.value
$$;
COMMENT ON FUNCTION credit._difference_of(jsonb, jsonb) IS 'members in which two objects differ (差异项)';

-- Members of a statement that somebody gave; raises PC131 unless it is one of this type, made now.
CREATE FUNCTION credit._read_statement(statement text, type text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given jsonb;
    created timestamptz;
BEGIN
    BEGIN
        given := statement::jsonb;
        created := (given ->> 'created')::timestamptz;
        -- "now" would be a statement for ever
        IF jsonb_typeof(given) <> 'object' OR given ->> 'type' IS DISTINCT FROM type
           OR created IS NULL OR given ->> 'created' <> credit._utc(created)
           OR decode(coalesce(given ->> 'nonce', ''), 'hex') IS NULL THEN
            given := NULL;
        END IF;
    EXCEPTION WHEN data_exception OR syntax_error THEN
        given := NULL;
    END;
    IF given IS NULL THEN
        RAISE EXCEPTION 'statement is malformed'
            USING ERRCODE = 'PC131', DETAIL = format('It is not canonical JSON of type "%s".', type),
                  HINT = 'Sign the text that the platform gives, unchanged, and give it back.';
    END IF;
    IF created NOT BETWEEN clock_timestamp() - interval '15 minutes' AND clock_timestamp() + interval '15 minutes' THEN
        RAISE EXCEPTION 'statement was not made now'
            USING ERRCODE = 'PC131', DETAIL = 'created: it is more than 15 minutes away from the platform''s time.',
                  HINT = 'Ask for a new statement and sign that.';
    END IF;
    RETURN given;
END
$$;
COMMENT ON FUNCTION credit._read_statement(text, text) IS 'members of a statement (读取签名文本)';

-- ---------------------------------------------------------------------------
-- Keys
-- ---------------------------------------------------------------------------

-- The key in the hands of a signer now; locked, so that it is not revoked meanwhile.
CREATE FUNCTION credit._usable_key(subject_id bigint, key_id bigint) RETURNS bytea
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    k credit.subject_key;
    fault text;
BEGIN
    SELECT * INTO k FROM credit.subject_key t
     WHERE t.subject_id = _usable_key.subject_id AND t.key_id = _usable_key.key_id FOR SHARE;
    fault := CASE WHEN NOT FOUND THEN 'It is not enrolled for this subject.'
                  WHEN k.revoked_at IS NOT NULL THEN format('It was revoked: %s.', k.reason)
                  WHEN k.confirmed_at IS NULL THEN 'A second person has to confirm it first.' END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'key % of subject % cannot sign', key_id, subject_id USING ERRCODE = 'PC132', DETAIL = fault;
    END IF;
    RETURN k.public_key;
END
$$;
COMMENT ON FUNCTION credit._usable_key(bigint, bigint) IS 'public key of a subject that signs now; PC132 otherwise (可用公钥)';

CREATE FUNCTION credit.enroll_key(subject_id bigint, public_key bytea, statement text, proof bytea,
                                  old_key_id bigint DEFAULT NULL, endorsement bytea DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given jsonb;
    wanted text;
    confirmed boolean;
    enrolled bigint;
BEGIN
    IF subject_id IS NULL OR public_key IS NULL OR statement IS NULL OR proof IS NULL
       OR (old_key_id IS NULL) <> (endorsement IS NULL) THEN
        RAISE EXCEPTION 'an enrolment needs subject, key, statement and proof, an endorsement key and signature'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'credit.key_statement gives the statement.';
    END IF;
    -- one enrolment of a subject at a time: only the first key needs nobody
    PERFORM FROM credit.subject s WHERE s.subject_id = enroll_key.subject_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject % does not exist', subject_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    given := credit._read_statement(statement, 'pgcredit subject key 1');
    wanted := credit._key_text(subject_id, public_key, credit._platform_name(), given ->> 'created');
    IF wanted <> statement THEN
        RAISE EXCEPTION 'statement is not about this key'
            USING ERRCODE = 'PC131', DETAIL = format('It differs in: %s.', coalesce(credit._difference_of(given, wanted::jsonb), 'its form'));
    END IF;
    IF NOT credit._verify_ed25519(public_key, convert_to(statement, 'UTF8'), proof) THEN
        RAISE EXCEPTION 'proof does not fit key and statement'
            USING ERRCODE = 'PC131', DETAIL = 'Whoever enrols a key must have it.';
    END IF;
    IF EXISTS (SELECT FROM credit.subject_key k WHERE k.subject_id = enroll_key.subject_id AND k.public_key = enroll_key.public_key) THEN
        RAISE EXCEPTION 'subject % had this key before', subject_id
            USING ERRCODE = 'PC132', HINT = 'A revoked key does not come back; make a new one.';
    END IF;
    IF old_key_id IS NOT NULL THEN
        IF NOT credit._verify_ed25519(credit._usable_key(subject_id, old_key_id), convert_to(statement, 'UTF8'), endorsement) THEN
            RAISE EXCEPTION 'endorsement does not fit key and statement' USING ERRCODE = 'PC131';
        END IF;
        confirmed := true;
    ELSE
        confirmed := NOT EXISTS (SELECT FROM credit.subject_key k WHERE k.subject_id = enroll_key.subject_id);
    END IF;
    INSERT INTO credit.subject_key (subject_id, public_key, statement, proof, endorsed_by, endorsement, enrolled_by, confirmed_at, confirmed_by)
    VALUES (enroll_key.subject_id, enroll_key.public_key, enroll_key.statement, enroll_key.proof, old_key_id, enroll_key.endorsement,
            session_user, CASE WHEN confirmed THEN clock_timestamp() END, CASE WHEN confirmed THEN session_user END)
    RETURNING key_id INTO enrolled;
    RETURN enrolled;
END
$$;
COMMENT ON FUNCTION credit.enroll_key(bigint, bytea, text, bytea, bigint, bytea) IS
    'enrols a key of a subject that has it; any but the first needs an older key''s signature or a second person (登记公钥)';

CREATE FUNCTION credit.confirm_key(subject_id bigint, key_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    k credit.subject_key;
BEGIN
    SELECT * INTO k FROM credit.subject_key t
     WHERE t.subject_id = confirm_key.subject_id AND t.key_id = confirm_key.key_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject % has no key %', subject_id, key_id USING ERRCODE = 'no_data_found';
    END IF;
    IF k.confirmed_at IS NOT NULL OR k.revoked_at IS NOT NULL THEN
        RAISE EXCEPTION 'key % of subject % does not wait for a confirmation', key_id, subject_id USING ERRCODE = 'PC133';
    END IF;
    IF k.enrolled_by = session_user THEN
        RAISE EXCEPTION 'whoever enrolled a key cannot confirm it'
            USING ERRCODE = 'PC134', HINT = 'Another person must, logged in as another role.';
    END IF;
    UPDATE credit.subject_key t SET confirmed_at = clock_timestamp(), confirmed_by = session_user
     WHERE t.subject_id = confirm_key.subject_id AND t.key_id = confirm_key.key_id;
END
$$;
COMMENT ON FUNCTION credit.confirm_key(bigint, bigint) IS
    'a second person at the counter confirms a key that no older one signed for (复核公钥)';

CREATE FUNCTION credit.revoke_key(subject_id bigint, key_id bigint, reason text, since timestamptz DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    k credit.subject_key;
BEGIN
    IF coalesce(reason, '') = '' THEN
        RAISE EXCEPTION 'a reason is required to revoke a key' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT * INTO k FROM credit.subject_key t
     WHERE t.subject_id = revoke_key.subject_id AND t.key_id = revoke_key.key_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject % has no key %', subject_id, key_id USING ERRCODE = 'no_data_found';
    END IF;
    IF k.revoked_at IS NOT NULL THEN
        RETURN false;
    END IF;
    IF since > clock_timestamp() THEN
        RAISE EXCEPTION 'a key cannot be revoked from a later instant on'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = format('since: %s is in the future.', since);
    END IF;
    UPDATE credit.subject_key t
       SET revoked_at = coalesce(since, clock_timestamp()), revoked_by = session_user, reason = credit._mask_text(revoke_key.reason)
     WHERE t.subject_id = revoke_key.subject_id AND t.key_id = revoke_key.key_id;
    RETURN true;
END
$$;
COMMENT ON FUNCTION credit.revoke_key(bigint, bigint, text, timestamptz) IS
    'a key signs no more; with "since" not even then: consents signed with it after that do not verify; false if it was revoked before (注销公钥)';

CREATE FUNCTION credit.subject_keys(subject_id bigint)
    RETURNS TABLE (key_id bigint, public_key bytea, status text, endorsed_by bigint, enrolled_at timestamptz,
                   confirmed_at timestamptz, revoked_at timestamptz, reason text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.key_id, k.public_key,
           CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.confirmed_at IS NULL THEN 'unconfirmed' ELSE 'active' END,
           k.endorsed_by, k.enrolled_at, k.confirmed_at, k.revoked_at, k.reason
      FROM credit.subject_key k WHERE k.subject_id = subject_keys.subject_id ORDER BY k.key_id
$$;
COMMENT ON FUNCTION credit.subject_keys(bigint) IS 'keys of a subject (我的公钥)';

-- ---------------------------------------------------------------------------
-- Signatures of consents
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._check_signature(c credit.consent, key_id bigint, statement text, signature bytea) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given jsonb;
    nonce bytea;
    public_key bytea;
    wanted text;
BEGIN
    IF key_id IS NULL AND statement IS NULL AND signature IS NULL THEN
        IF NOT coalesce((SELECT p.accept_unsigned FROM credit.consent_policy p ORDER BY p.since DESC LIMIT 1), true) THEN
            RAISE EXCEPTION 'consent is not signed'
                USING ERRCODE = 'PC131', DETAIL = 'This platform takes only consents that the subject signed.',
                      HINT = 'credit.consent_statement gives the text to sign.';
        END IF;
        RETURN;
    END IF;
    IF key_id IS NULL OR statement IS NULL OR signature IS NULL THEN
        RAISE EXCEPTION 'a signed consent needs key, statement and signature' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    given := credit._read_statement(statement, 'pgcredit consent 1');
    nonce := decode(coalesce(given ->> 'nonce', ''), 'hex');
    IF octet_length(nonce) NOT BETWEEN 16 AND 64 THEN
        RAISE EXCEPTION 'statement is malformed' USING ERRCODE = 'PC131', DETAIL = 'nonce: it has 16 to 64 bytes.';
    END IF;
    public_key := credit._usable_key(c.subject_id, key_id);
    wanted := credit._consent_text(c, credit._platform_name(), given ->> 'created', nonce);
    IF wanted <> statement THEN
        RAISE EXCEPTION 'statement is not about this consent'
            USING ERRCODE = 'PC131', DETAIL = format('It differs in: %s.', coalesce(credit._difference_of(given, wanted::jsonb), 'its form'));
    END IF;
    IF NOT credit._verify_ed25519(public_key, convert_to(statement, 'UTF8'), signature) THEN
        RAISE EXCEPTION 'signature does not fit key and statement' USING ERRCODE = 'PC131';
    END IF;
END
$$;
COMMENT ON FUNCTION credit._check_signature(credit.consent, bigint, text, bytea) IS
    'raises PC131 or PC132 unless the subject signed this consent, or need not (校验授权签名)';

CREATE FUNCTION credit._keep_signature(c credit.consent, consent_id bigint, key_id bigint, statement text, signature bytea) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    nonce bytea;
    platform_key bytea;
BEGIN
    IF c.channel = 'paper' THEN
        nonce := credit.random_bytes(16);
        statement := credit._consent_text(c, credit._platform_name(), credit._utc(clock_timestamp()), nonce);
        signature := credit._platform_sign(convert_to(statement, 'UTF8'));
        platform_key := credit.platform_key();
    ELSIF signature IS NULL THEN
        RETURN;
    ELSE
        nonce := decode(statement::jsonb ->> 'nonce', 'hex');
    END IF;
    INSERT INTO credit.consent_signature (subject_id, consent_id, key_id, platform_key, nonce, statement, signature)
    VALUES (c.subject_id, _keep_signature.consent_id, _keep_signature.key_id, platform_key, nonce, statement, signature)
    ON CONFLICT ON CONSTRAINT consent_signature_subject_id_nonce_key DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'signature was used before'
            USING ERRCODE = 'PC131', DETAIL = 'nonce: a signature serves one consent, once.',
                  HINT = 'Ask for a new statement and sign that.';
    END IF;
END
$$;
COMMENT ON FUNCTION credit._keep_signature(credit.consent, bigint, bigint, text, bytea) IS
    'keeps the signature of a new consent; makes the platform''s for a paper (保存授权签名)';

CREATE FUNCTION credit.verify_consent(subject_id bigint, consent_id bigint, OUT valid boolean, OUT fault text, OUT detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.consent;
    s credit.consent_signature;
    k credit.subject_key;
    given jsonb;
    now_text text;
    created timestamptz;
BEGIN
    SELECT * INTO c FROM credit.consent t
     WHERE t.subject_id = verify_consent.subject_id AND t.consent_id = verify_consent.consent_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject % has given no consent %', subject_id, consent_id USING ERRCODE = 'no_data_found';
    END IF;
    valid := false;
    SELECT * INTO s FROM credit.consent_signature t
     WHERE t.subject_id = verify_consent.subject_id AND t.consent_id = verify_consent.consent_id;
    IF NOT FOUND THEN
        IF c.key_id IS NULL AND c.channel = 'online' THEN
            fault := 'unsigned';
            detail := format('It was entered by %s, the subject did not sign it.', c.granted_by);
        ELSE
            fault := 'signature_missing';
            detail := 'It was signed, and the signature is gone.';
        END IF;
        RETURN;
    END IF;
    SELECT * INTO k FROM credit.subject_key t WHERE t.subject_id = s.subject_id AND t.key_id = s.key_id;
    IF s.key_id IS NOT NULL AND NOT FOUND THEN
        fault := 'key_unknown';
        detail := format('Key %s is not enrolled for the subject.', s.key_id);
    ELSIF s.platform_key <> credit.platform_key() THEN
        fault := 'platform_key';
        detail := 'It was signed for the counter by another key than the platform has.';
    ELSIF NOT credit._verify_ed25519(coalesce(k.public_key, s.platform_key), convert_to(s.statement, 'UTF8'), s.signature) THEN
        fault := 'signature';
        detail := 'The signature does not fit key and statement.';
    END IF;
    IF fault IS NOT NULL THEN
        RETURN;
    END IF;
    given := s.statement::jsonb;
    now_text := credit._consent_text(c, given ->> 'platform', given ->> 'created', s.nonce);
    created := (given ->> 'created')::timestamptz;
    IF now_text <> s.statement THEN
        fault := 'row_changed';
        detail := format('The consent is not what was signed, it differs in: %s.',
                         coalesce(credit._difference_of(given, now_text::jsonb), 'its form'));
    ELSIF c.key_id IS DISTINCT FROM s.key_id THEN
        fault := 'row_changed';
        detail := 'The consent is not what was signed, it differs in: key_id.';
    ELSIF NOT EXISTS (SELECT FROM credit.audit_origin o WHERE o.origin = given ->> 'platform') THEN
        fault := 'platform';
        detail := format('It was signed for platform "%s".', given ->> 'platform');
    ELSIF created NOT BETWEEN c.granted_at - interval '15 minutes' AND c.granted_at + interval '15 minutes' THEN
        fault := 'created';
        detail := format('It was signed for %s and is said to be given at %s.', given ->> 'created', credit._utc(c.granted_at));
    ELSIF k.revoked_at <= greatest(created, c.granted_at) THEN
        fault := 'key_revoked';
        detail := format('Key %s counts no more from %s on: %s.', k.key_id, credit._utc(k.revoked_at), k.reason);
    ELSE
        valid := true;
        detail := CASE WHEN s.key_id IS NULL THEN 'Signed by the platform for the counter, over the digest of a paper.'
                       ELSE format('Signed with key %s.', s.key_id) END;
    END IF;
END
$$;
COMMENT ON FUNCTION credit.verify_consent(bigint, bigint) IS
    'is the consent''s row what was signed, by a key that counted then; else which part is not (授权验签)';

-- ---------------------------------------------------------------------------
-- Receipts
-- ---------------------------------------------------------------------------

-- Names of the Kantara consent receipt 1.1 and ISO/IEC TS 27560 where they have one. The signature is over the RFC 8785 form
-- of the rest.
CREATE FUNCTION credit.consent_receipt(subject_id bigint, consent_id bigint) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.consent;
    i credit.institution;
    s credit.consent_signature;
    receipt jsonb;
BEGIN
    SELECT * INTO c FROM credit.consent t
     WHERE t.subject_id = consent_receipt.subject_id AND t.consent_id = consent_receipt.consent_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject % has given no consent %', subject_id, consent_id USING ERRCODE = 'no_data_found';
    END IF;
    SELECT * INTO i FROM credit.institution t WHERE t.institution_id = c.institution_id;
    SELECT * INTO s FROM credit.consent_signature t WHERE t.subject_id = c.subject_id AND t.consent_id = c.consent_id;
    receipt := jsonb_strip_nulls(jsonb_build_object(
        'version', 'KI-CR-v1.1.0',
        'jurisdiction', 'CN',
        'consentTimestamp', extract(epoch FROM c.granted_at)::bigint,
        'collectionMethod', CASE c.channel WHEN 'paper' THEN 'paper form at the counter' ELSE 'online' END,
        'consentReceiptID', c.subject_id || '-' || c.consent_id || '@' || credit._platform_name(),
        'publicKey', encode(credit.platform_key(), 'hex'),
        'language', c.language,
        'piiPrincipalId', c.subject_id::text,
        'piiControllers', jsonb_build_array(jsonb_build_object('piiController', i.name_zh, 'code', i.code, 'uscc', i.uscc::text)),
        'policyUrl', CASE WHEN c.legal_text ~ '^https?://' THEN c.legal_text END,
        'services', jsonb_build_array(jsonb_build_object(
            'service', credit._platform_name(),
            'purposes', (SELECT jsonb_agg(jsonb_build_object(
                                    'purpose', CASE c.language WHEN 'en' THEN p.name_en ELSE p.name_zh END,
                                    'purposeCategory', p.code,
                                    'consentType', 'EXPLICIT',
                                    'piiCategory', credit._consent_members(c) -> 'categories',
                                    'termination', credit._utc(c.valid_to)) ORDER BY p.code)
                           FROM credit.purpose p WHERE p.code = ANY (c.purposes)))),
        'sensitive', true,
        'spiCat', credit._consent_members(c) -> 'categories',
        'recordId', c.consent_id::text,
        'eventState', credit._consent_status(c, clock_timestamp()),
        'eventTime', credit._utc(clock_timestamp()),
        'consent', credit._consent_members(c),
        'statement', s.statement,
        'statementSignature', encode(s.signature, 'hex'),
        'statementKey', encode(coalesce(s.platform_key, (SELECT k.public_key FROM credit.subject_key k
                                                          WHERE k.subject_id = s.subject_id AND k.key_id = s.key_id)), 'hex')));
    RETURN receipt || jsonb_build_object('signature',
        encode(credit._platform_sign(convert_to(credit._canonical_json(receipt), 'UTF8')), 'hex'));
END
$$;
COMMENT ON FUNCTION credit.consent_receipt(bigint, bigint) IS
    'receipt of a consent that the subject keeps, signed by the platform (授权回执)';

CREATE FUNCTION credit.verify_receipt(receipt jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    platform_key constant bytea := credit.platform_key();
BEGIN
    IF jsonb_typeof(receipt) IS DISTINCT FROM 'object' OR receipt ->> 'publicKey' IS DISTINCT FROM encode(platform_key, 'hex') THEN
        RETURN false;
    END IF;
    RETURN coalesce(credit._verify_ed25519(platform_key, convert_to(credit._canonical_json(receipt - 'signature'), 'UTF8'),
                                           decode(receipt ->> 'signature', 'hex')), false);
EXCEPTION WHEN data_exception THEN
    RETURN false;       -- a number or digits that no receipt has
END
$$;
COMMENT ON FUNCTION credit.verify_receipt(jsonb) IS 'did this platform sign this receipt (回执验签)';

REVOKE ALL ON credit.subject_key, credit.consent_signature FROM PUBLIC;
REVOKE ALL ON SEQUENCE credit.subject_key_key_id_seq FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._key_trail(), credit._platform_name(), credit._utc(timestamptz),
    credit._consent_text(credit.consent, text, text, bytea), credit._text_to_sign(credit.consent),
    credit.consent_statement(bigint, text, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text),
    credit.renewal_statement(bigint, bigint, timestamptz, timestamptz), credit._key_text(bigint, bytea, text, text),
    credit.key_statement(bigint, bytea), credit._difference_of(jsonb, jsonb), credit._read_statement(text, text),
    credit._usable_key(bigint, bigint), credit.enroll_key(bigint, bytea, text, bytea, bigint, bytea),
    credit.confirm_key(bigint, bigint), credit.revoke_key(bigint, bigint, text, timestamptz), credit.subject_keys(bigint),
    credit._check_signature(credit.consent, bigint, text, bytea), credit._keep_signature(credit.consent, bigint, bigint, text, bytea),
    credit.verify_consent(bigint, bigint), credit.consent_receipt(bigint, bigint), credit.verify_receipt(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    credit.consent_statement(bigint, text, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text),
    credit.renewal_statement(bigint, bigint, timestamptz, timestamptz), credit.key_statement(bigint, bytea),
    credit.enroll_key(bigint, bytea, text, bytea, bigint, bytea), credit.confirm_key(bigint, bigint),
    credit.revoke_key(bigint, bigint, text, timestamptz), credit.subject_keys(bigint),
    credit.consent_receipt(bigint, bigint) TO credit_portal;
GRANT EXECUTE ON FUNCTION credit.verify_consent(bigint, bigint) TO credit_portal, credit_auditor;
GRANT EXECUTE ON FUNCTION credit.verify_receipt(jsonb)
    TO credit_operator, credit_portal, credit_provider, credit_institution, credit_analyst, credit_auditor;
