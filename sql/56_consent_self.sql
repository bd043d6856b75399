-- ---------------------------------------------------------------------------
-- 56 consent: the subject itself, by a signed session token
-- ---------------------------------------------------------------------------

-- A portal of role credit_portal may act for any subject. One of role credit_self acts for the subject whose token it
-- shows, and has no other right.

-- Who signs tokens -----------------------------------------------------------

CREATE TABLE credit.token_issuer (
    code         text PRIMARY KEY CHECK (code ~ '^[A-Za-z0-9_.-]{1,64}$'),
    public_key   bytea NOT NULL UNIQUE CHECK (octet_length(public_key) = 32),
    audience     text NOT NULL CHECK (audience <> '' AND octet_length(audience) <= 255),
    longest_life interval NOT NULL CHECK (longest_life > '0'),
    valid_from   timestamptz NOT NULL DEFAULT clock_timestamp(),
    valid_to     timestamptz CHECK (valid_to > valid_from),
    registered_by text NOT NULL,
    revoked_at   timestamptz,
    revoked_by   text,
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
COMMENT ON TABLE credit.token_issuer IS 'who signs session tokens of subjects: the platform''s sign-in service, a regional identity service (令牌签发方)';
COMMENT ON COLUMN credit.token_issuer.public_key IS 'Ed25519, 32 bytes; never used again, also after it is revoked (公钥)';
COMMENT ON COLUMN credit.token_issuer.audience IS 'what its tokens for this platform call the platform (受众)';
COMMENT ON COLUMN credit.token_issuer.longest_life IS 'a token that is to live longer is refused (令牌最长有效期)';
COMMENT ON COLUMN credit.token_issuer.valid_to IS 'no token counts from this instant on; NULL for no end';
COMMENT ON COLUMN credit.token_issuer.revoked_at IS 'no token counts from the commit on, nor is the issuer ever valid again (吊销时间)';

CREATE TABLE credit.revoked_token (
    token_id   text PRIMARY KEY CHECK (token_id ~ '^[A-Za-z0-9_-]{16,64}$'),
    revoked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_by text NOT NULL
);
COMMENT ON TABLE credit.revoked_token IS 'ids of session tokens that do not count any more, whoever signed them (已吊销令牌)';

SELECT pg_catalog.pg_extension_config_dump('credit.token_issuer', '');
SELECT pg_catalog.pg_extension_config_dump('credit.revoked_token', '');
SELECT credit._audit_table('credit.token_issuer');
SELECT credit._audit_table('credit.revoked_token');

CREATE FUNCTION credit.register_issuer(code text, public_key bytea, audience text DEFAULT NULL,
                                       longest_life interval DEFAULT '15 minutes',
                                       valid_from timestamptz DEFAULT NULL, valid_to timestamptz DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF code IS NULL OR public_key IS NULL OR longest_life IS NULL THEN
        RAISE EXCEPTION 'an issuer needs a code, a public key and a longest life' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF octet_length(public_key) <> 32 THEN
        RAISE EXCEPTION 'public key of the issuer has % bytes', octet_length(public_key)
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'A public key of Ed25519 has 32.';
    END IF;
    INSERT INTO credit.token_issuer (code, public_key, audience, longest_life, valid_from, valid_to, registered_by)
    VALUES (register_issuer.code, register_issuer.public_key,
            coalesce(register_issuer.audience, (SELECT o.origin FROM credit.audit_origin o ORDER BY o.since DESC LIMIT 1),
                     current_database()),
            register_issuer.longest_life, coalesce(register_issuer.valid_from, clock_timestamp()), register_issuer.valid_to,
            credit.calling_role()::text);
END
$$;
COMMENT ON FUNCTION credit.register_issuer(text, bytea, text, interval, timestamptz, timestamptz) IS
    'session tokens signed with this Ed25519 key count from now on; audience defaults to the log''s origin, else the database''s name (登记令牌签发方)';

CREATE FUNCTION credit.revoke_issuer(code text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    already timestamptz;
BEGIN
    SELECT i.revoked_at INTO already FROM credit.token_issuer i WHERE i.code = revoke_issuer.code FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'issuer "%" does not exist', code USING ERRCODE = 'no_data_found';
    END IF;
    IF already IS NOT NULL THEN
        RETURN false;
    END IF;
    UPDATE credit.token_issuer i SET revoked_at = clock_timestamp(), revoked_by = credit.calling_role()::text
     WHERE i.code = revoke_issuer.code;
    RETURN true;
END
$$;
COMMENT ON FUNCTION credit.revoke_issuer(text) IS
    'no token of this issuer counts from the commit on; false if that was so before (吊销令牌签发方)';

CREATE FUNCTION credit.revoke_token(token_id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF token_id IS NULL OR token_id !~ '^[A-Za-z0-9_-]{16,64}$' THEN
        RAISE EXCEPTION 'this is no token''s id'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'An id has 16 to 64 letters, digits, "-" and "_".';
    END IF;
    INSERT INTO credit.revoked_token (token_id, revoked_by) VALUES (revoke_token.token_id, credit.calling_role()::text)
    ON CONFLICT ON CONSTRAINT revoked_token_pkey DO NOTHING;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION credit.revoke_token(text) IS
    'the token with this id does not count from the commit on; false if that was so before (吊销令牌)';

-- Tokens ---------------------------------------------------------------------

-- Strict: two texts never stand for the same bytes.
CREATE FUNCTION credit._base64url(encoded text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bytes bytea;
BEGIN
    IF encoded !~ '^[A-Za-z0-9_-]*$' OR length(encoded) % 4 = 1 THEN
        RETURN NULL;
    END IF;
    bytes := decode(translate(encoded, '-_', '+/') || repeat('=', (4 - length(encoded) % 4) % 4), 'base64');
    RETURN CASE WHEN rtrim(translate(encode(bytes, 'base64'), E'+/\n', '-_'), '=') = encoded THEN bytes END;
END
$$;
COMMENT ON FUNCTION credit._base64url(text) IS 'bytes of unpadded base64url; NULL for what is none';

-- The one place that knows whose keys count: an issuer's for every subject, and a key that a subject enrolled, under a name
-- that is no code of credit.token_issuer, for that subject only.
CREATE FUNCTION credit._token_key(issuer text, subject bigint,
                                  OUT public_key bytea, OUT audience text, OUT longest_life interval,
                                  OUT valid_from timestamptz, OUT valid_to timestamptz, OUT revoked boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF issuer ~ '^subject-key:[1-9][0-9]{0,17}$' THEN
        SELECT k.public_key, o.origin, '15 minutes', k.confirmed_at, NULL, k.revoked_at IS NOT NULL
          INTO public_key, audience, longest_life, valid_from, valid_to, revoked
          FROM credit.subject_key k, (SELECT a.origin FROM credit.audit_origin a ORDER BY a.since DESC LIMIT 1) o
         WHERE k.subject_id = subject AND k.key_id = substr(issuer, 13)::bigint AND k.confirmed_at IS NOT NULL;
        RETURN;
    END IF;
    SELECT i.public_key, i.audience, i.longest_life, i.valid_from, i.valid_to, i.revoked_at IS NOT NULL
      INTO public_key, audience, longest_life, valid_from, valid_to, revoked
      FROM credit.token_issuer i WHERE i.code = issuer;
END
$$;
COMMENT ON FUNCTION credit._token_key(text, bigint) IS 'key that an issuer signs with for a subject, and for how long; nulls when there is none';

-- What may change while a token lives; asked again at each look.
CREATE FUNCTION credit._withdrawn(issuer text, token_id text, subject bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key record;
    code text;
BEGIN
    key := credit._token_key(issuer, subject);
    IF key.public_key IS NULL THEN
        RETURN 'Its issuer is not registered.';
    ELSIF key.revoked THEN
        RETURN 'Its issuer was revoked.';
    ELSIF clock_timestamp() < key.valid_from OR clock_timestamp() >= key.valid_to THEN
        RETURN 'Its issuer is not valid at this time.';
    ELSIF EXISTS (SELECT FROM credit.revoked_token r WHERE r.token_id = _withdrawn.token_id) THEN
        RETURN 'It was revoked.';
    END IF;
    SELECT s.code INTO code FROM credit.subject s WHERE s.subject_id = subject;
    IF NOT FOUND THEN
        RETURN 'There is no such subject.';
    ELSIF code ~ '^erased-[0-9a-f]{32}$' THEN
        RETURN 'The subject was erased.';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._withdrawn(text, text, bigint) IS 'why a token that was good is good no more, a sentence; NULL when it is';

-- fault: a sentence; NULL when the token counts. What else it says is filled once its issuer's signature is verified.
CREATE FUNCTION credit._check_token(token text, caller oid,
                                    OUT fault text, OUT expired boolean, OUT subject_id bigint, OUT salt bytea,
                                    OUT issuer text, OUT token_id text, OUT expires timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    skew constant interval := '1 minute';
    parts text[];
    bytes bytea;
    said text;
    payload jsonb;
    key record;
    issued timestamptz;
BEGIN
    expired := false;
    parts := regexp_match(token, '^([A-Za-z0-9_-]+)[.]([A-Za-z0-9_-]{86})$');
    IF parts IS NULL OR octet_length(token) > 4096 THEN
        fault := 'It is not canonical JSON and a signature in base64url with a point between them.';
        RETURN;
    END IF;
    bytes := credit._base64url(parts[1]);
    BEGIN
        said := convert_from(bytes, 'UTF8');
        payload := said::jsonb;
        IF jsonb_typeof(payload) <> 'object' OR credit._canonical_json(payload) <> said THEN
            payload := NULL;
        END IF;
    EXCEPTION WHEN data_exception OR program_limit_exceeded OR statement_too_complex THEN
        payload := NULL;
    END;
    IF payload IS NULL THEN
        fault := 'It is not canonical JSON and a signature in base64url with a point between them.';
        RETURN;
    END IF;
    -- All of these and no other: what somebody signed for another use, as a consent, has other members.
    IF NOT payload ?& '{audience,expires,id,issued,issuer,subject}'
       OR EXISTS (SELECT FROM jsonb_each(payload) m
                   WHERE m.key <> ALL ('{audience,expires,id,issued,issuer,role,subject}')
                      OR jsonb_typeof(m.value) <> CASE WHEN m.key IN ('issued', 'expires') THEN 'number' ELSE 'string' END)
       OR payload ->> 'issued' !~ '^[0-9]{1,10}$' OR payload ->> 'expires' !~ '^[0-9]{1,10}$'
       OR payload ->> 'subject' !~ '^[1-9][0-9]{0,17}$'
       OR payload ->> 'id' !~ '^[A-Za-z0-9_-]{16,64}$' THEN
        fault := 'Its members are not those of a session token.';
        RETURN;
    END IF;
    key := credit._token_key(payload ->> 'issuer', (payload ->> 'subject')::bigint);
    IF key.public_key IS NULL THEN
        fault := 'Its issuer is not registered.';
        RETURN;
    END IF;
    IF credit._verify_ed25519(key.public_key, bytes, credit._base64url(parts[2])) IS NOT TRUE THEN
        fault := 'The signature is not its issuer''s.';
        RETURN;
    END IF;

    issuer := payload ->> 'issuer';
    token_id := payload ->> 'id';
    subject_id := (payload ->> 'subject')::bigint;
    issued := to_timestamp((payload ->> 'issued')::bigint);
    expires := to_timestamp((payload ->> 'expires')::bigint);
    SELECT s.log_salt INTO salt FROM credit.subject s WHERE s.subject_id = _check_token.subject_id;
    IF payload ->> 'audience' IS DISTINCT FROM key.audience THEN
        fault := 'It is for another platform.';
    ELSIF payload ? 'role' AND payload ->> 'role' IS DISTINCT FROM
                               (SELECT r.rolname::text FROM pg_roles r WHERE r.oid = caller) THEN
        fault := 'It is for another role.';
    ELSIF expires <= issued OR expires - issued > key.longest_life THEN
        fault := format('It is to live %s seconds; its issuer may give up to %s.', extract(epoch FROM expires - issued)::bigint,
                        extract(epoch FROM key.longest_life)::bigint);
    ELSIF issued > clock_timestamp() + skew THEN
        fault := 'It was issued in the future.';
    ELSIF issued < key.valid_from - skew THEN
        fault := 'It was issued before its issuer was valid.';
    ELSE
        fault := credit._withdrawn(issuer, token_id, subject_id);
        IF fault IS NULL AND clock_timestamp() >= expires THEN
            expired := true;
            fault := format('It was good until %s.', expires);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION credit._check_token(text, oid) IS 'what a session token says, and why it does not count (校验会话令牌)';

CREATE FUNCTION credit.as_subject(token text) RETURNS bigint
    AS 'MODULE_PATHNAME', 'pgcredit_as_subject' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION credit.as_subject(text) IS
    'from here to the end of the transaction the calling role acts for the subject of this session token; returns the subject (以信用主体身份操作)';
CREATE FUNCTION credit.current_subject() RETURNS bigint
    AS 'MODULE_PATHNAME', 'pgcredit_current_subject' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION credit.current_subject() IS 'the subject that the calling role acts for in this transaction; raises if there is none (当前信用主体)';
CREATE FUNCTION credit._self_look(kind text, operation text, categories text[]) RETURNS bigint
    AS 'MODULE_PATHNAME', 'pgcredit_self_look' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION credit._self_look(text, text, text[]) IS
    'the subject that the calling role acts for, once the entry of its look is durable (本人查询留痕)';

-- How often a consent was used ------------------------------------------------

-- In all, and in the calendar unit that "at" lies in; Asia/Shanghai is UTC+8 all year.
CREATE FUNCTION credit._consent_uses(subject_id bigint, consent_id bigint, unit text, at timestamptz,
                                     OUT in_all bigint, OUT in_unit bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    since timestamp := date_trunc(unit, at AT TIME ZONE 'Asia/Shanghai');
BEGIN
    SELECT count(*), count(*) FILTER (WHERE u.used_at >= since AT TIME ZONE 'Asia/Shanghai'
                                        AND u.used_at < (since + ('1 ' || unit)::interval) AT TIME ZONE 'Asia/Shanghai')
      INTO in_all, in_unit
      FROM credit.audit_use u
     WHERE u.subject_id = _consent_uses.subject_id AND u.consent_id = _consent_uses.consent_id;
END
$$;
COMMENT ON FUNCTION credit._consent_uses(bigint, bigint, text, timestamptz) IS 'uses of a consent, in all and in a calendar unit (授权使用次数)';

-- What the subject sees --------------------------------------------------------

CREATE FUNCTION credit.my_records(categories text[] DEFAULT NULL) RETURNS SETOF credit.opened_record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    asked text[];
    word text;
    me bigint;
BEGIN
    IF cardinality(categories) = 0 OR array_position(categories, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'categories must not be empty or hold a null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Leave the argument out for all categories.';
    END IF;
    FOREACH word IN ARRAY coalesce(categories, '{}') LOOP
        IF NOT EXISTS (SELECT FROM credit.category c WHERE c.code = word) THEN
            RAISE EXCEPTION 'category "%" does not exist', word USING ERRCODE = 'PC103';
        END IF;
    END LOOP;
    SELECT array_agg(c.code ORDER BY c.category_id) INTO asked FROM credit.category c WHERE c.code = ANY (categories);
    me := credit._self_look('access', 'records', asked);
    RETURN QUERY
    SELECT r.subject_id, c.code, r.record_id, r.dated, r.valid_from, r.valid_to, r.polarity, r.status, i.code, r.payload
      FROM credit.record r
      JOIN credit.category c ON c.category_id = r.category_id
      LEFT JOIN credit.institution i ON i.institution_id = r.provider_id
     WHERE r.subject_id = me AND (asked IS NULL OR c.code = ANY (asked))
     ORDER BY r.category_id, r.dated DESC, r.record_id DESC;
END
$$;
COMMENT ON FUNCTION credit.my_records(text[]) IS
    'all records about the subject that this transaction acts for, of these categories or of all; the look is an entry (我的信用信息)';

CREATE FUNCTION credit.my_consents()
    RETURNS TABLE (consent_id bigint, institution text, institution_name text, categories text[], purposes text[],
                   valid_from timestamptz, valid_to timestamptz, status text, kind text, use_limit integer, uses bigint,
                   frequency_unit text, frequency_count integer, uses_in_unit bigint, data_from date, data_to date,
                   data_life interval, channel text, language text, legal_text text, replaces bigint,
                   granted_at timestamptz, revoked_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me bigint := credit._self_look('history', 'consents', NULL);
BEGIN
    RETURN QUERY
    SELECT c.consent_id, i.code, i.name_zh,
           (SELECT array_agg(g.code ORDER BY g.category_id) FROM credit.category g WHERE g.category_id = ANY (c.categories)),
           c.purposes, c.valid_from, c.valid_to,
           -- in the order in which an access asks; what is not active says so, what is says why it grants nothing now
           CASE WHEN c.status = 'revoked' THEN 'revoked'
                WHEN clock_timestamp() < c.valid_from THEN 'not_started'
                WHEN clock_timestamp() >= c.valid_to THEN 'expired'
                WHEN c.status <> 'active' THEN c.status
                WHEN u.in_all >= c.use_limit OR u.in_unit >= c.frequency_count THEN 'used_up'
                ELSE 'active' END,
           c.kind, c.use_limit,
           CASE WHEN c.use_limit IS NOT NULL OR c.frequency_unit IS NOT NULL THEN u.in_all END,
           c.frequency_unit, c.frequency_count, CASE WHEN c.frequency_unit IS NOT NULL THEN u.in_unit END,
           c.data_from, c.data_to, c.data_life, c.channel, c.language, c.legal_text, c.replaces, c.granted_at, c.revoked_at
      FROM credit.consent c
      JOIN credit.institution i ON i.institution_id = c.institution_id
     CROSS JOIN LATERAL credit._consent_uses(c.subject_id, c.consent_id, c.frequency_unit, clock_timestamp()) u
     WHERE c.subject_id = me
     ORDER BY c.consent_id;
END
$$;
COMMENT ON FUNCTION credit.my_consents() IS
    'the consents of the subject that this transaction acts for, with their status at this moment and how often they were used (我的授权)';

CREATE FUNCTION credit.my_history(before bigint DEFAULT NULL, most integer DEFAULT 50)
    RETURNS TABLE (seq bigint, recorded timestamptz, kind text, operation text, actor text, institution text,
                   purposes text[], categories text[], reason text, session_user_name text, listed boolean)
    AS 'MODULE_PATHNAME', 'pgcredit_my_history' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 50;
COMMENT ON FUNCTION credit.my_history(bigint, integer) IS
    'credit.access_history of the subject that this transaction acts for (谁查询过我)';
CREATE FUNCTION credit.my_history_proof(seq bigint,
                                        OUT entry text, OUT element bytea, OUT index bigint, OUT size bigint, OUT proof bytea[])
    AS 'MODULE_PATHNAME', 'pgcredit_my_history_proof' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION credit.my_history_proof(bigint) IS
    'credit.history_proof of the subject that this transaction acts for (我的历史存证)';

-- What the subject does --------------------------------------------------------

CREATE FUNCTION credit.my_revoke(consent_id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN credit.revoke_consent(credit.current_subject(), my_revoke.consent_id);
END
$$;
COMMENT ON FUNCTION credit.my_revoke(bigint) IS
    'the subject that this transaction acts for takes a consent back, as credit.revoke_consent (撤回我的授权)';

CREATE FUNCTION credit.my_pause(consent_id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN credit.pause_consent(credit.current_subject(), my_pause.consent_id);
END
$$;
COMMENT ON FUNCTION credit.my_pause(bigint) IS
    'the subject that this transaction acts for pauses a consent, as credit.pause_consent (暂停我的授权)';
CREATE FUNCTION credit.my_resume(consent_id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN credit.resume_consent(credit.current_subject(), my_resume.consent_id);
END
$$;
COMMENT ON FUNCTION credit.my_resume(bigint) IS
    'the subject that this transaction acts for ends the pause of a consent, as credit.resume_consent (恢复我的授权)';

-- Why an access is granted or not ----------------------------------------------

CREATE FUNCTION credit._written_here(xmin bigint) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_written_here' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION credit._written_here(bigint) IS 'was a row with this xmin written by this transaction, so that what it permits does not count yet';

-- The conditions in the order in which an access asks them, and what each says in two languages when it holds and when
-- it does not. Of "about", i asks once for all, c for a category, d for the consent that decides about the category.
CREATE FUNCTION credit._conditions(OUT step integer, OUT code text, OUT about "char",
                                   OUT yes_zh text, OUT no_zh text, OUT yes_en text, OUT no_en text) RETURNS SETOF record
LANGUAGE sql IMMUTABLE ROWS 20
BEGIN ATOMIC
    SELECT * FROM (VALUES
        (1, 'institution_exists', 'i'::"char", '机构已登记', '机构未登记',
         'the institution is registered', 'the institution is not registered'),
        (2, 'role_exists', 'i', '机构的数据库角色存在', '机构的数据库角色不存在',
         'the institution''s database role exists', 'the institution''s database role does not exist'),
        (3, 'institution_active', 'i', '机构状态正常', '机构已被暂停',
         'the institution is active', 'the institution is suspended'),
        (4, 'purpose_exists', 'i', '查询原因有效', '无此查询原因',
         'the purpose exists', 'the purpose does not exist'),
        (5, 'category_exists', 'c', '信息类别有效', '无此信息类别',
         'the category exists', 'the category does not exist'),
        (6, 'public_by_law', 'c', '依法公开，无须授权', '非依法公开，须经授权',
         'the law makes the category public: no consent is needed', 'the category is not public: a consent is needed'),
        (7, 'consent_exists', 'c', '已有对该机构的授权', '没有对该机构的授权',
         'there is a consent to the institution', 'there is no consent to the institution'),
        (8, 'category_covered', 'd', '授权包含该信息类别', '授权不含该信息类别',
         'the consent covers the category', 'no consent covers the category'),
        (9, 'purpose_covered', 'd', '授权包含该查询原因', '授权不含该查询原因',
         'the consent covers the purpose', 'the consent does not cover the purpose'),
        (10, 'committed', 'd', '授权已提交', '授权尚未提交',
         'the consent is committed', 'the consent is not committed yet'),
        (11, 'not_revoked', 'd', '授权未撤回', '授权已撤回',
         'the consent has not been revoked', 'the consent has been revoked'),
        (12, 'started', 'd', '授权已生效', '授权尚未生效',
         'the consent is in force already', 'the consent is not in force yet'),
        (13, 'not_expired', 'd', '授权未到期', '授权已到期',
         'the consent is still in force', 'the consent has expired'),
        (14, 'not_replaced', 'd', '授权未被续签取代', '授权已被续签取代',
         'the consent has not been replaced', 'the consent has been replaced by a renewal'),
        (15, 'not_paused', 'd', '授权未暂停', '授权已暂停',
         'the consent is not paused', 'the consent is paused'),
        (16, 'within_template', 'd', '授权未超出模板', '授权超出现行模板',
         'the consent is within its template', 'the consent goes beyond what its template allows now'),
        (17, 'uses_left', 'd', '授权次数未用完', '授权次数已用完',
         'the consent may be used again', 'the consent is used up'),
        (18, 'data_range', 'd', '授权所及信息日期（空为不限）', '授权所及信息日期（空为不限）',
         'the consent covers records of these days, all where none are named',
         'the consent covers records of these days, all where none are named'),
        (19, 'granted', 'c', '可以查询', '不可查询',
         'an access would be granted', 'an access would be refused')) v (step, code, about, yes_zh, no_zh, yes_en, no_en);
END;
COMMENT ON FUNCTION credit._conditions() IS 'conditions of an access, in order, in Chinese and English (查询条件)';

CREATE FUNCTION credit._explain(subject bigint, institution text, purpose text, categories text[], language text)
    RETURNS TABLE (category text, step integer, condition text, holds boolean, consent_id bigint, detail text, explanation text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at constant timestamptz := clock_timestamp();
BEGIN
    IF institution IS NULL OR purpose IS NULL OR cardinality(categories) = 0 OR array_position(categories, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'institution and purpose must not be null, nor categories be empty or hold a null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Leave categories out for all that there are.';
    END IF;
    IF language IS NULL OR language NOT IN ('zh', 'en') THEN
        RAISE EXCEPTION 'language "%" is not known', language
            USING ERRCODE = 'invalid_parameter_value', HINT = 'It is zh or en.';
    END IF;
    RETURN QUERY
    WITH
    -- what this transaction wrote may still be rolled back, and permits nothing yet
    asker AS (
        SELECT i.institution_id, i.kind, i.status = 'active' AS active,
               EXISTS (SELECT FROM pg_roles r WHERE r.oid = i.db_role::oid) AS has_role
          FROM credit.institution i
         WHERE i.code = _explain.institution AND NOT credit._written_here(i.xmin::text::bigint)),
    word AS (
        SELECT w.code, min(w.n) AS n
          FROM (SELECT u.code, u.n FROM unnest(_explain.categories) WITH ORDINALITY u (code, n)
                UNION ALL
                SELECT g.code, g.category_id FROM credit.category g WHERE _explain.categories IS NULL) w
         GROUP BY w.code),
    -- each consent to the institution, what of it holds
    given AS (
        SELECT c.consent_id, c.categories AS covers,
               c.use_limit IS NOT NULL OR c.frequency_unit IS NOT NULL AS counted,
               coalesce(c.data_to - DATE '2000-01-01', 2147483647)::bigint
                   - coalesce(c.data_from - DATE '2000-01-01', -2147483648)::bigint AS days,
               ARRAY[_explain.purpose = ANY (c.purposes),
                     NOT credit._written_here(c.xmin::text::bigint),
                     c.status <> 'revoked',
                     at >= c.valid_from,
                     at < c.valid_to,
                     c.status <> 'replaced',
                     c.status <> 'paused',
                     t.fault IS NULL,
                     coalesce(u.in_all < c.use_limit, true) AND coalesce(u.in_unit < c.frequency_count, true),
                     true] AS passes,   -- the days of the records bound what is shown, not whether
               ARRAY[array_to_string(c.purposes, ', '), NULL, c.revoked_at::text, c.valid_from::text, c.valid_to::text, NULL, NULL, t.fault,
                     concat_ws('; ', u.in_all || ' / ' || c.use_limit,
                               u.in_unit || ' / ' || c.frequency_count || ' (' || c.frequency_unit || ')'),
                     CASE WHEN c.data_from IS NOT NULL OR c.data_to IS NOT NULL
                          THEN format('[%s, %s)', c.data_from, c.data_to) END] AS details
          FROM credit.consent c
          JOIN asker a ON a.institution_id = c.institution_id
         CROSS JOIN LATERAL credit._consent_uses(c.subject_id, c.consent_id, c.frequency_unit, at) u
         -- what counts is what the template says for this purpose
         CROSS JOIN LATERAL credit._template_fault(a.kind, jsonb_populate_record(c, jsonb_build_object('purposes',
                                                           jsonb_build_array(_explain.purpose)))) t (fault)
         WHERE c.subject_id = _explain.subject),
    -- the one that decides: it passes most conditions, counted up to the first that fails, the category being the first; of
    -- those that pass all, one without a limit, and then that with the longest range of days
    best AS (
        SELECT DISTINCT ON (w.code) w.code, v.covered, v.covered AND v.failed IS NULL AS granted,
               CASE WHEN v.covered THEN v.consent_id END AS consent_id,
               CASE WHEN v.covered THEN v.passes END AS passes,
               CASE WHEN v.covered THEN v.details END AS details
          FROM word w
          JOIN credit.category g ON g.code = w.code
         CROSS JOIN LATERAL (SELECT n.*, g.category_id = ANY (n.covers) AS covered, array_position(n.passes, false) AS failed
                               FROM given n) v
         ORDER BY w.code, v.covered DESC, coalesce(v.failed, 100) DESC, v.counted, v.days DESC, v.consent_id),
    outcome AS (
        SELECT w.code AS word, w.n, t.step, t.code, t.about, b.consent_id, l.open,
               CASE t.code
                   WHEN 'institution_exists' THEN a.institution_id IS NOT NULL
                   WHEN 'role_exists' THEN a.has_role
                   WHEN 'institution_active' THEN a.active
                   WHEN 'purpose_exists' THEN EXISTS (SELECT FROM credit.purpose p WHERE p.code = _explain.purpose)
                   WHEN 'category_exists' THEN g.code IS NOT NULL
                   WHEN 'public_by_law' THEN l.open
                   WHEN 'consent_exists' THEN CASE WHEN NOT l.open THEN EXISTS (SELECT FROM given) END
                   WHEN 'category_covered' THEN b.covered
                   WHEN 'granted' THEN coalesce(a.has_role AND a.active AND g.code IS NOT NULL AND (l.open OR b.granted)
                                                AND EXISTS (SELECT FROM credit.purpose p WHERE p.code = _explain.purpose), false)
                   ELSE b.passes[t.step - 8] END AS holds,
               CASE WHEN t.about = 'd' AND t.step > 8 THEN b.details[t.step - 8]
                    WHEN t.code = 'public_by_law' AND l.open THEN g.public_basis END AS detail,
               t.yes_zh, t.no_zh, t.yes_en, t.no_en
          FROM word w
         CROSS JOIN credit._conditions() t
          LEFT JOIN asker a ON true
          LEFT JOIN credit.category g ON g.code = w.code
         CROSS JOIN LATERAL (SELECT coalesce(g.public_by_law AND NOT credit._written_here(g.xmin::text::bigint), false) AS open) l
          LEFT JOIN best b ON b.code = w.code AND NOT l.open)
    SELECT o.word, o.step, o.code, o.holds,
           CASE WHEN o.about = 'd' OR o.code = 'granted' THEN o.consent_id END,
           CASE WHEN o.detail <> '' THEN o.detail END,
           CASE WHEN o.holds IS NULL THEN CASE _explain.language WHEN 'zh' THEN '不涉及' ELSE 'does not matter here' END
                WHEN _explain.language = 'zh' THEN CASE WHEN o.holds THEN o.yes_zh ELSE o.no_zh END
                ELSE CASE WHEN o.holds THEN o.yes_en ELSE o.no_en END END
      FROM outcome o
     ORDER BY o.n, o.word, o.step;
END
$$;
COMMENT ON FUNCTION credit._explain(bigint, text, text, text[], text) IS 'what credit.explain_access shows, unrecorded (查询条件逐项说明)';

CREATE FUNCTION credit.explain_access(subject bigint, institution text, purpose text, categories text[] DEFAULT NULL,
                                      language text DEFAULT 'zh')
    RETURNS TABLE (category text, step integer, condition text, holds boolean, consent_id bigint, detail text, explanation text)
    AS 'MODULE_PATHNAME', 'pgcredit_explain_access' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100;
COMMENT ON FUNCTION credit.explain_access(bigint, text, text, text[], text) IS
    'why an institution can or cannot see each category of a subject for a purpose now: each condition, whether it holds, and the consent that decides (查询条件说明)';
CREATE FUNCTION credit.explain_my_access(institution text, purpose text, categories text[] DEFAULT NULL, language text DEFAULT 'zh')
    RETURNS TABLE (category text, step integer, condition text, holds boolean, consent_id bigint, detail text, explanation text)
    AS 'MODULE_PATHNAME', 'pgcredit_explain_my_access' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100;
COMMENT ON FUNCTION credit.explain_my_access(text, text, text[], text) IS
    'credit.explain_access of the subject that this transaction acts for (我的查询条件说明)';

REVOKE ALL ON credit.token_issuer, credit.revoked_token FROM PUBLIC;
REVOKE ALL ON FUNCTION credit.register_issuer(text, bytea, text, interval, timestamptz, timestamptz), credit.revoke_issuer(text),
    credit.revoke_token(text), credit._base64url(text), credit._token_key(text, bigint), credit._withdrawn(text, text, bigint),
    credit._check_token(text, oid), credit.as_subject(text), credit.current_subject(), credit._self_look(text, text, text[]),
    credit._consent_uses(bigint, bigint, text, timestamptz), credit.my_records(text[]), credit.my_consents(),
    credit.my_history(bigint, integer), credit.my_history_proof(bigint), credit.my_revoke(bigint), credit.my_pause(bigint), credit.my_resume(bigint), credit._written_here(bigint),
    credit._conditions(), credit._explain(bigint, text, text, text[], text),
    credit.explain_access(bigint, text, text, text[], text), credit.explain_my_access(text, text, text[], text) FROM PUBLIC;
GRANT SELECT ON credit.token_issuer, credit.revoked_token TO credit_operator, credit_auditor;
GRANT EXECUTE ON FUNCTION credit.register_issuer(text, bytea, text, interval, timestamptz, timestamptz),
    credit.revoke_issuer(text), credit.revoke_token(text) TO credit_operator;
GRANT EXECUTE ON FUNCTION credit.as_subject(text), credit.current_subject(), credit.my_records(text[]), credit.my_consents(),
    credit.my_history(bigint, integer), credit.my_history_proof(bigint), credit.my_revoke(bigint), credit.my_pause(bigint),
    credit.my_resume(bigint), credit.explain_my_access(text, text, text[], text) TO credit_self;
GRANT EXECUTE ON FUNCTION credit.explain_access(bigint, text, text, text[], text) TO credit_portal, credit_operator, credit_auditor;
