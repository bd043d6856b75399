-- ---------------------------------------------------------------------------
-- 50 consent: purposes and consents
-- ---------------------------------------------------------------------------

CREATE TABLE credit.purpose (
    code    text PRIMARY KEY,
    name_zh text NOT NULL,
    name_en text NOT NULL
);
COMMENT ON TABLE credit.purpose IS 'what an institution may look at a subject for (查询原因)';
INSERT INTO credit.purpose (code, name_zh, name_en) VALUES
    ('pre_loan',         '贷前审查', 'review before a loan'),
    ('in_loan',          '贷中审批', 'approval of a loan'),
    ('post_loan',        '贷后管理', 'management after a loan'),
    ('guarantee_review', '担保审查', 'review of a guarantee'),
    ('underwriting',     '承保审核', 'underwriting of an insurance'),
    ('self',             '本人查询', 'the subject''s own look'),
    ('objection',        '异议核查', 'check of an objection'),
    ('supervision',      '监督检查', 'supervision');

-- Every key leads with the subject, so that the table can be partitioned and moved by it.
CREATE TABLE credit.consent (
    subject_id     bigint NOT NULL REFERENCES credit.subject,
    consent_id     bigint GENERATED ALWAYS AS IDENTITY,
    institution_id integer NOT NULL REFERENCES credit.institution,
    categories     smallint[] NOT NULL,
    purposes       text[] NOT NULL,
    valid_from     timestamptz NOT NULL,
    valid_to       timestamptz NOT NULL,
    kind           text NOT NULL DEFAULT 'standing' CHECK (kind IN ('one_time', 'periodic', 'standing')),
    use_limit      integer CHECK (use_limit > 0),
    frequency_unit text CHECK (frequency_unit IN ('hour', 'day', 'month', 'year')),
    frequency_count integer CHECK (frequency_count > 0),
    data_from      date,
    data_to        date,
    data_life      interval CHECK (data_life >= '0'),
    channel        text NOT NULL DEFAULT 'online' CHECK (channel IN ('online', 'paper')),
    document_digest bytea CHECK (pg_catalog.octet_length(document_digest) = 32),
    language       text NOT NULL DEFAULT 'zh' CHECK (language IN ('zh', 'en')),
    legal_text     text,
    status         text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'revoked', 'replaced')),
    replaces       bigint,
    granted_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    granted_by     text NOT NULL,
    approved_by    text,
    revoked_at     timestamptz,
    revoked_by     text,
    PRIMARY KEY (subject_id, consent_id),
    CONSTRAINT consent_categories CHECK (pg_catalog.array_ndims(categories) = 1
                                         AND pg_catalog.array_position(categories, NULL) IS NULL),
    CONSTRAINT consent_purposes CHECK (pg_catalog.array_ndims(purposes) = 1
                                       AND pg_catalog.array_position(purposes, NULL) IS NULL),
    CONSTRAINT consent_window CHECK (valid_from < valid_to),
    CONSTRAINT consent_count CHECK (CASE kind WHEN 'one_time' THEN use_limit IS NOT DISTINCT FROM 1 AND frequency_unit IS NULL
                                              WHEN 'periodic' THEN frequency_unit IS NOT NULL
                                              ELSE frequency_unit IS NULL END
                                    AND (frequency_unit IS NULL) = (frequency_count IS NULL)),
    CONSTRAINT consent_range CHECK (data_from < data_to),
    CONSTRAINT consent_paper CHECK ((channel = 'paper') = (document_digest IS NOT NULL)),
    CONSTRAINT consent_revoked CHECK ((revoked_at IS NULL) = (revoked_by IS NULL)
                                      AND (revoked_at IS NULL) = (status <> 'revoked'))
);
CREATE INDEX consent_of_institution ON credit.consent (subject_id, institution_id);
COMMENT ON TABLE credit.consent IS 'a subject''s permission to an institution to see categories for purposes in a window (授权)';
COMMENT ON COLUMN credit.consent.valid_from IS 'in force from this instant on (生效时间)';
COMMENT ON COLUMN credit.consent.valid_to IS 'no more in force at this instant (失效时间)';
COMMENT ON COLUMN credit.consent.kind IS
    'one_time: for one access; periodic: for frequency_count accesses in each frequency_unit; standing: for any (授权方式)';
COMMENT ON COLUMN credit.consent.use_limit IS 'accesses in all; 1 for one_time, NULL for no limit (可用次数)';
COMMENT ON COLUMN credit.consent.frequency_unit IS 'calendar hour, day, month or year, Asia/Shanghai, in which frequency_count counts (频次单位)';
COMMENT ON COLUMN credit.consent.data_from IS 'records dated from this day on; NULL for no bound (信息起始日期)';
COMMENT ON COLUMN credit.consent.data_to IS 'and before this day; NULL for no bound (信息截止日期)';
COMMENT ON COLUMN credit.consent.data_life IS 'how long the institution may keep what it read; NULL where nothing was agreed (留存期限)';
COMMENT ON COLUMN credit.consent.document_digest IS 'SHA-256 of the signed paper (纸质授权书摘要)';
COMMENT ON COLUMN credit.consent.legal_text IS 'version of the text that the subject agreed to (授权文本版本)';
COMMENT ON COLUMN credit.consent.status IS
    'active, paused (暂停), revoked (撤回) or replaced by a renewal (已续签); whether it has expired the clock says';
COMMENT ON COLUMN credit.consent.replaces IS 'consent of the same subject that this one renews (续签自)';
COMMENT ON COLUMN credit.consent.approved_by IS 'the second pair of eyes on a paper consent (复核人)';
COMMENT ON COLUMN credit.consent.granted_by IS 'role that entered it (授权录入角色)';
COMMENT ON COLUMN credit.consent.revoked_at IS 'taken back; binds every access opened after the commit (撤回时间)';

SELECT pg_catalog.pg_extension_config_dump('credit.consent', '');
SELECT pg_catalog.pg_extension_config_dump('credit.consent_consent_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.purpose',
    $$WHERE code NOT IN ('pre_loan', 'in_loan', 'post_loan', 'guarantee_review', 'underwriting', 'self', 'objection', 'supervision')$$);
SELECT credit._audit_table('credit.purpose');

-- Consents have an entry each, by row: who granted what to whom must be readable, not only a digest.
CREATE FUNCTION credit._consent_trail() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    utc constant text := 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"';
    now_row credit.consent;
    what text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        now_row := OLD;
        what := 'delete';
    ELSE
        now_row := NEW;
        IF TG_OP = 'INSERT' AND NEW.granted_at >= now() THEN
            what := 'grant';
        ELSIF TG_OP = 'INSERT' THEN
            what := 'restore';      -- given before this transaction: the row comes out of a dump
        ELSIF OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL THEN
            what := 'revoke';
        ELSE
            what := 'change';
        END IF;
    END IF;
    PERFORM credit._audit_note(jsonb_build_object(
        'kind', 'consent',
        'operation', what,
        'subjects', jsonb_build_array((SELECT credit._subject_token(s.subject_id, s.log_salt)
                                         FROM credit.subject s WHERE s.subject_id = now_row.subject_id)),
        'institution', (SELECT i.code FROM credit.institution i WHERE i.institution_id = now_row.institution_id),
        'consents', jsonb_build_array(jsonb_build_array(now_row.consent_id)),
        'categories', (SELECT jsonb_agg(c.code ORDER BY c.category_id)
                         FROM credit.category c WHERE c.category_id = ANY (now_row.categories)),
        'purposes', to_jsonb(now_row.purposes),
        'valid_from', to_char(now_row.valid_from AT TIME ZONE 'UTC', utc),
        'valid_to', to_char(now_row.valid_to AT TIME ZONE 'UTC', utc)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._consent_trail() IS 'trigger: one log entry for each consent given, changed or taken back (授权留痕)';
CREATE TRIGGER consent_trail AFTER INSERT OR UPDATE OR DELETE ON credit.consent
    FOR EACH ROW EXECUTE FUNCTION credit._consent_trail();
CREATE TRIGGER audit_truncate AFTER TRUNCATE ON credit.consent
    FOR EACH STATEMENT EXECUTE FUNCTION credit.audit_write();

CREATE FUNCTION credit.grant_consent(subject_id bigint, institution text, categories text[], purposes text[],
                                     valid_from timestamptz, valid_to timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_institution integer;
    found_categories smallint[];
    word text;
    granted bigint;
BEGIN
    IF subject_id IS NULL OR institution IS NULL OR valid_from IS NULL OR valid_to IS NULL
       OR coalesce(cardinality(categories), 0) = 0 OR coalesce(cardinality(purposes), 0) = 0
       OR array_position(categories, NULL) IS NOT NULL OR array_position(purposes, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a consent needs subject, institution, categories, purposes and a window'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Give every argument; no list may be empty or hold a null.';
    END IF;
    IF valid_from >= valid_to THEN
        RAISE EXCEPTION 'window of the consent is empty'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('It begins at %s and ends at %s.', valid_from, valid_to);
    END IF;
    IF NOT EXISTS (SELECT 1 FROM credit.subject s WHERE s.subject_id = grant_consent.subject_id) THEN
        RAISE EXCEPTION 'subject % does not exist', subject_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    SELECT i.institution_id INTO found_institution FROM credit.institution i WHERE i.code = institution;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'institution "%" does not exist', institution USING ERRCODE = 'PC101';
    END IF;
    FOREACH word IN ARRAY categories LOOP
        IF NOT EXISTS (SELECT 1 FROM credit.category c WHERE c.code = word) THEN
            RAISE EXCEPTION 'category "%" does not exist', word
                USING ERRCODE = 'PC103', HINT = 'credit.category lists the categories.';
        END IF;
    END LOOP;
    FOREACH word IN ARRAY purposes LOOP
        IF NOT EXISTS (SELECT 1 FROM credit.purpose p WHERE p.code = word) THEN
            RAISE EXCEPTION 'purpose "%" does not exist', word
                USING ERRCODE = 'PC104', HINT = 'credit.purpose lists the purposes.';
        END IF;
    END LOOP;
    SELECT array_agg(c.category_id ORDER BY c.category_id) INTO found_categories
      FROM credit.category c WHERE c.code = ANY (categories);
    INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, granted_by)
    SELECT grant_consent.subject_id, found_institution, found_categories,
           (SELECT array_agg(DISTINCT p ORDER BY p) FROM unnest(grant_consent.purposes) p),
           grant_consent.valid_from, grant_consent.valid_to, credit.calling_role()::text
    RETURNING consent_id INTO granted;
    RETURN granted;
END
$$;
COMMENT ON FUNCTION credit.grant_consent(bigint, text, text[], text[], timestamptz, timestamptz) IS
    'a subject permits an institution to see categories for purposes in [valid_from, valid_to); returns the consent''s number (授权)';

CREATE FUNCTION credit.revoke_consent(subject_id bigint, consent_id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    already timestamptz;
BEGIN
    SELECT c.revoked_at INTO already FROM credit.consent c
     WHERE c.subject_id = revoke_consent.subject_id AND c.consent_id = revoke_consent.consent_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject % has given no consent %', subject_id, consent_id
            USING ERRCODE = 'no_data_found';
    END IF;
    IF already IS NOT NULL THEN
        RETURN false;
    END IF;
    UPDATE credit.consent c SET status = 'revoked', revoked_at = clock_timestamp(), revoked_by = credit.calling_role()::text
     WHERE c.subject_id = revoke_consent.subject_id AND c.consent_id = revoke_consent.consent_id;
    RETURN true;
END
$$;
COMMENT ON FUNCTION credit.revoke_consent(bigint, bigint) IS
    'a subject takes a consent back; binds every access opened after the commit; false if it was taken back before (撤回授权)';

REVOKE ALL ON credit.purpose, credit.consent FROM PUBLIC;
REVOKE ALL ON SEQUENCE credit.consent_consent_id_seq FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._consent_trail(),
    credit.grant_consent(bigint, text, text[], text[], timestamptz, timestamptz),
    credit.revoke_consent(bigint, bigint) FROM PUBLIC;
GRANT SELECT ON credit.purpose TO credit_operator, credit_portal, credit_institution, credit_analyst, credit_auditor;
GRANT EXECUTE ON FUNCTION credit.grant_consent(bigint, text, text[], text[], timestamptz, timestamptz),
    credit.revoke_consent(bigint, bigint) TO credit_portal;
