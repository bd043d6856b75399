-- ---------------------------------------------------------------------------
-- 50 consent: purposes, consents, templates
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
    key_id         bigint,
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
COMMENT ON COLUMN credit.consent.key_id IS 'key that the subject signed it with; NULL unsigned, or signed by the platform for the counter (签名密钥)';
COMMENT ON COLUMN credit.consent.revoked_at IS 'taken back; binds every access opened after the commit (撤回时间)';

SELECT pg_catalog.pg_extension_config_dump('credit.consent', '');
SELECT pg_catalog.pg_extension_config_dump('credit.consent_consent_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.purpose',
    $$WHERE code NOT IN ('pre_loan', 'in_loan', 'post_loan', 'guarantee_review', 'underwriting', 'self', 'objection', 'supervision')$$);
SELECT credit._audit_table('credit.purpose');

CREATE TABLE credit.consent_template (
    institution_kind text NOT NULL,
    purpose          text NOT NULL,
    longest_window   interval CHECK (longest_window > '0'),
    longest_range    interval CHECK (longest_range > '0'),
    longest_life     interval CHECK (longest_life >= '0'),
    kinds            text[] CHECK (kinds <@ '{one_time,periodic,standing}' AND pg_catalog.cardinality(kinds) > 0),
    most_uses        integer CHECK (most_uses > 0),
    most_per_hour    integer CHECK (most_per_hour > 0),
    most_per_day     integer CHECK (most_per_day > 0),
    most_per_month   integer CHECK (most_per_month > 0),
    most_per_year    integer CHECK (most_per_year > 0),
    PRIMARY KEY (institution_kind, purpose)
);
COMMENT ON TABLE credit.consent_template IS
    'how far a consent may go at most, by kind of institution and purpose; * stands for any (授权模板)';
COMMENT ON COLUMN credit.consent_template.longest_window IS 'from valid_from to valid_to; NULL for no bound, as everywhere here (最长有效期)';
COMMENT ON COLUMN credit.consent_template.longest_range IS 'from data_from to data_to (最长信息时段)';
COMMENT ON COLUMN credit.consent_template.longest_life IS 'data_life (最长留存期限)';
COMMENT ON COLUMN credit.consent_template.kinds IS 'kinds of consent that may be given (可用授权方式)';
COMMENT ON COLUMN credit.consent_template.most_uses IS 'use_limit (最多次数)';
COMMENT ON COLUMN credit.consent_template.most_per_day IS
    'frequency_count of a periodic consent by the day; where any of the four is set, a unit without one is not allowed (每日最多次数)';
SELECT pg_catalog.pg_extension_config_dump('credit.consent_template', '');
SELECT credit._audit_table('credit.consent_template');

CREATE TABLE credit.consent_policy (
    since           timestamptz PRIMARY KEY DEFAULT pg_catalog.clock_timestamp(),
    accept_unsigned boolean NOT NULL,
    set_by          text NOT NULL
);
COMMENT ON TABLE credit.consent_policy IS
    'whether a consent given online may be unsigned; the newest row counts, without one it may (授权签名政策)';
SELECT pg_catalog.pg_extension_config_dump('credit.consent_policy', '');
SELECT credit._audit_table('credit.consent_policy');

-- What a consent says, as its subject signs it and a receipt shows it. ISO 8601 throughout: the text must
-- be the same whatever the session's settings are. Numbers that may pass 2^53 are texts (RFC 8785).
CREATE FUNCTION credit._consent_members(c credit.consent) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'institution', (SELECT i.code FROM credit.institution i WHERE i.institution_id = c.institution_id),
        'categories', (SELECT jsonb_agg(k.code ORDER BY k.category_id) FROM credit.category k WHERE k.category_id = ANY (c.categories)),
        'purposes', to_jsonb(c.purposes),
        'valid_from', to_char(c.valid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'valid_to', to_char(c.valid_to AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'consent_kind', c.kind,
        'use_limit', c.use_limit,
        'frequency', CASE WHEN c.frequency_unit IS NOT NULL
                          THEN jsonb_build_object('unit', c.frequency_unit, 'count', c.frequency_count) END,
        'data_from', to_char(c.data_from, 'YYYY-MM-DD'),
        'data_to', to_char(c.data_to, 'YYYY-MM-DD'),
        'data_life', CASE WHEN c.data_life IS NOT NULL
                          THEN format('P%sM%sD', extract(year FROM c.data_life) * 12 + extract(month FROM c.data_life),
                                      extract(day FROM c.data_life)) END,
        'channel', c.channel,
        'language', c.language,
        'legal_text', c.legal_text,
        'former', c.replaces::text));
END
$$;
COMMENT ON FUNCTION credit._consent_members(credit.consent) IS 'what a consent says (授权内容)';

CREATE FUNCTION credit._consent_status(c credit.consent, instant timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN c.status IN ('revoked', 'replaced') THEN c.status
                WHEN instant >= c.valid_to THEN 'expired'
                WHEN c.status = 'paused' THEN 'paused'
                WHEN instant < c.valid_from THEN 'not_started'
                ELSE 'active' END
$$;
COMMENT ON FUNCTION credit._consent_status(credit.consent, timestamptz) IS 'status at an instant: the clock says whether it has expired (授权状态)';

-- Consents have an entry each, by row: who granted what to whom must be readable, not only a digest. Digests of papers
-- and signatures are left out: whoever has the paper or the key could tell by them whose entries these are, also after the
-- subject was erased. So are words that are no codes: a caller may have written a name into them.
CREATE FUNCTION credit._consent_trail() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_row credit.consent;
    what text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        now_row := OLD;
        what := 'delete';
    ELSE
        now_row := NEW;
        IF TG_OP = 'INSERT' AND NEW.granted_at >= now() THEN
            what := CASE WHEN NEW.replaces IS NULL THEN 'grant' ELSE 'renew' END;
        ELSIF TG_OP = 'INSERT' THEN
            what := 'restore';      -- given before this transaction: the row comes out of a dump
        ELSIF OLD.status <> NEW.status THEN
            what := CASE NEW.status WHEN 'revoked' THEN 'revoke' WHEN 'paused' THEN 'pause'
                                    WHEN 'replaced' THEN 'replace' ELSE 'resume' END;
        ELSE
            what := 'change';
        END IF;
    END IF;
    PERFORM credit._audit_note(credit._consent_members(now_row) - 'legal_text' || jsonb_strip_nulls(jsonb_build_object(
        'kind', 'consent',
        'operation', what,
        'subjects', jsonb_build_array((SELECT credit._subject_token(s.subject_id, s.log_salt)
                                         FROM credit.subject s WHERE s.subject_id = now_row.subject_id)),
        'consents', jsonb_build_array(jsonb_build_array(now_row.consent_id)),
        'key', now_row.key_id)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._consent_trail() IS 'trigger: one log entry for each consent given, changed or taken back (授权留痕)';
CREATE TRIGGER consent_trail AFTER INSERT OR UPDATE OR DELETE ON credit.consent
    FOR EACH ROW EXECUTE FUNCTION credit._consent_trail();
CREATE TRIGGER audit_truncate AFTER TRUNCATE ON credit.consent
    FOR EACH STATEMENT EXECUTE FUNCTION credit.audit_write();

CREATE FUNCTION credit._consent_final() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'consent % of subject % is %', OLD.consent_id, OLD.subject_id, OLD.status
        USING ERRCODE = 'PC133', DETAIL = 'That status is final.';
END
$$;
COMMENT ON FUNCTION credit._consent_final() IS 'trigger: what was taken back or renewed stays so (终止状态)';
CREATE TRIGGER consent_final BEFORE UPDATE ON credit.consent
    FOR EACH ROW WHEN (OLD.status IN ('revoked', 'replaced') AND NEW.status <> OLD.status) EXECUTE FUNCTION credit._consent_final();

-- ---------------------------------------------------------------------------
-- Templates
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._template_of(institution_kind text, purpose text) RETURNS credit.consent_template
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_template credit.consent_template;
BEGIN
    SELECT t.* INTO found_template FROM credit.consent_template t
     WHERE t.institution_kind IN (_template_of.institution_kind, '*') AND t.purpose IN (_template_of.purpose, '*')
     ORDER BY t.institution_kind = '*', t.purpose = '*' LIMIT 1;
    RETURN found_template;
END
$$;
COMMENT ON FUNCTION credit._template_of(text, text) IS
    'the template that counts, whole: own kind before own purpose before any; NULL when there is none (适用模板)';

-- A calendar month is one in China, whatever the session's time zone is.
CREATE FUNCTION credit._template_fault(institution_kind text, c credit.consent) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    purpose text;
    t credit.consent_template;
    most integer;
    fault text;
BEGIN
    FOREACH purpose IN ARRAY c.purposes LOOP
        t := credit._template_of(institution_kind, purpose);
        CONTINUE WHEN t.institution_kind IS NULL;
        most := CASE c.frequency_unit WHEN 'hour' THEN t.most_per_hour WHEN 'day' THEN t.most_per_day
                                      WHEN 'month' THEN t.most_per_month WHEN 'year' THEN t.most_per_year END;
        fault := CASE
            WHEN c.kind <> ALL (t.kinds) THEN format('kind: "%s" is not one of %s', c.kind, array_to_string(t.kinds, ', '))
            WHEN t.most_uses IS NOT NULL AND (c.use_limit > t.most_uses OR c.use_limit IS NULL)
                THEN format('use_limit: %s, and %s is the most', coalesce(c.use_limit::text, 'none'), t.most_uses)
            WHEN c.frequency_count > most THEN format('frequency_count: %s is more than %s in a %s', c.frequency_count, most, c.frequency_unit)
            WHEN c.kind <> 'one_time' AND most IS NULL
                 AND coalesce(t.most_per_hour, t.most_per_day, t.most_per_month, t.most_per_year) IS NOT NULL
                THEN format('frequency_unit: %s, and uses are counted by another unit', coalesce(c.frequency_unit, 'none'))
            WHEN c.valid_to AT TIME ZONE 'Asia/Shanghai' > c.valid_from AT TIME ZONE 'Asia/Shanghai' + t.longest_window
                THEN format('valid_to: the window is longer than %s', t.longest_window)
            WHEN t.longest_range IS NOT NULL AND c.data_from IS NULL THEN format('data_from: none, and a range of %s is the most', t.longest_range)
            WHEN t.longest_range IS NOT NULL AND c.data_to IS NULL THEN format('data_to: none, and a range of %s is the most', t.longest_range)
            WHEN c.data_to > c.data_from + t.longest_range THEN format('data_to: the range is longer than %s', t.longest_range)
            WHEN t.longest_life IS NOT NULL AND (c.data_life > t.longest_life OR c.data_life IS NULL)
                THEN format('data_life: %s, and %s is the most', coalesce(c.data_life::text, 'none'), t.longest_life)
        END;
        IF fault IS NOT NULL THEN
            RETURN format('%s (template of "%s" for "%s").', fault, t.institution_kind, t.purpose);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._template_fault(text, credit.consent) IS
    'attribute by which a consent goes beyond its template, and why; NULL when it does not (超出模板之处)';

CREATE FUNCTION credit._check_template(c credit.consent) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fault text := credit._template_fault((SELECT i.kind FROM credit.institution i WHERE i.institution_id = c.institution_id), c);
BEGIN
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'consent goes beyond its template'
            USING ERRCODE = 'PC130', DETAIL = fault, HINT = 'credit.consent_template has the bounds.';
    END IF;
END
$$;
COMMENT ON FUNCTION credit._check_template(credit.consent) IS 'raises PC130 unless a consent keeps within its template (模板校验)';

CREATE FUNCTION credit.set_consent_template(institution_kind text, purpose text, longest_window interval DEFAULT NULL,
                                            longest_range interval DEFAULT NULL, longest_life interval DEFAULT NULL,
                                            kinds text[] DEFAULT NULL, most_uses integer DEFAULT NULL,
                                            most_per_hour integer DEFAULT NULL, most_per_day integer DEFAULT NULL,
                                            most_per_month integer DEFAULT NULL, most_per_year integer DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF set_consent_template.institution_kind IS NULL OR set_consent_template.purpose IS NULL THEN
        RAISE EXCEPTION 'a template needs a kind of institution and a purpose'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Write * for any.';
    END IF;
    IF set_consent_template.institution_kind <> '*'
       AND NOT EXISTS (SELECT FROM credit.institution_kind k WHERE k.code = set_consent_template.institution_kind) THEN
        RAISE EXCEPTION 'unknown kind of institution "%"', set_consent_template.institution_kind
            USING ERRCODE = 'invalid_parameter_value', HINT = 'credit.institution_kind lists them; * is any.';
    END IF;
    IF set_consent_template.purpose <> '*' AND NOT EXISTS (SELECT FROM credit.purpose p WHERE p.code = set_consent_template.purpose) THEN
        RAISE EXCEPTION 'purpose "%" does not exist', set_consent_template.purpose
            USING ERRCODE = 'PC104', HINT = 'credit.purpose lists the purposes; * is any.';
    END IF;
    IF longest_window <= '0' OR longest_range <= '0' OR longest_life < '0' OR NOT kinds <@ '{one_time,periodic,standing}'
       OR cardinality(kinds) = 0 OR array_position(kinds, NULL) IS NOT NULL
       OR least(most_uses, most_per_hour, most_per_day, most_per_month, most_per_year) < 1 THEN
        RAISE EXCEPTION 'bounds of the template cannot be kept'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Lengths and counts are positive; kinds are one_time, periodic, standing.';
    END IF;
    INSERT INTO credit.consent_template AS t
    VALUES (institution_kind, purpose, longest_window, longest_range, longest_life, kinds,
            most_uses, most_per_hour, most_per_day, most_per_month, most_per_year)
    ON CONFLICT (institution_kind, purpose) DO UPDATE SET
        (longest_window, longest_range, longest_life, kinds, most_uses, most_per_hour, most_per_day, most_per_month, most_per_year) =
        (EXCLUDED.longest_window, EXCLUDED.longest_range, EXCLUDED.longest_life, EXCLUDED.kinds, EXCLUDED.most_uses,
         EXCLUDED.most_per_hour, EXCLUDED.most_per_day, EXCLUDED.most_per_month, EXCLUDED.most_per_year);
END
$$;
COMMENT ON FUNCTION credit.set_consent_template(text, text, interval, interval, interval, text[], integer, integer, integer, integer, integer) IS
    'sets all bounds of a template, those not given to none (设定授权模板)';

CREATE FUNCTION credit.remove_consent_template(institution_kind text, purpose text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM credit.consent_template t
     WHERE t.institution_kind = remove_consent_template.institution_kind AND t.purpose = remove_consent_template.purpose;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION credit.remove_consent_template(text, text) IS 'removes a template; false if there was none (移除授权模板)';

CREATE FUNCTION credit.set_consent_policy(accept_unsigned boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF accept_unsigned IS NULL THEN
        RAISE EXCEPTION 'accept_unsigned must be true or false' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    INSERT INTO credit.consent_policy (accept_unsigned, set_by)
    VALUES (set_consent_policy.accept_unsigned, credit.calling_role()::text);
END
$$;
COMMENT ON FUNCTION credit.set_consent_policy(boolean) IS 'whether a consent given online may be unsigned from now on (设定签名政策)';

-- ---------------------------------------------------------------------------
-- Giving
-- ---------------------------------------------------------------------------

-- A consent as it would be, checked and put in order; not whether the subject exists, which an institution must not learn.
CREATE FUNCTION credit._consent_draft(subject_id bigint, institution text, categories text[], purposes text[],
                                      valid_from timestamptz, valid_to timestamptz, kind text, use_limit integer,
                                      frequency_unit text, frequency_count integer, data_from date, data_to date,
                                      data_life interval, language text, legal_text text) RETURNS credit.consent
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.consent;
    word text;
    fault text;
BEGIN
    IF subject_id IS NULL OR institution IS NULL OR valid_from IS NULL OR valid_to IS NULL OR kind IS NULL OR language IS NULL
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
    fault := CASE
        WHEN NOT isfinite(valid_from) OR NOT isfinite(valid_to) THEN 'valid_to: the window must begin and end.'
        WHEN kind NOT IN ('one_time', 'periodic', 'standing') THEN format('kind: "%s" is not one_time, periodic or standing.', kind)
        WHEN use_limit < 1 THEN format('use_limit: %s is not positive.', use_limit)
        WHEN kind = 'one_time' AND use_limit <> 1 THEN format('use_limit: %s is not 1, as a one_time consent has.', use_limit)
        WHEN kind = 'periodic' AND (frequency_unit IS NULL OR frequency_count IS NULL)
            THEN 'frequency_unit: a periodic consent needs a unit and a count.'
        WHEN kind <> 'periodic' AND (frequency_unit IS NOT NULL OR frequency_count IS NOT NULL)
            THEN format('frequency_unit: a %s consent has no frequency.', kind)
        WHEN frequency_unit NOT IN ('hour', 'day', 'month', 'year')
            THEN format('frequency_unit: "%s" is not hour, day, month or year.', frequency_unit)
        WHEN frequency_count < 1 THEN format('frequency_count: %s is not positive.', frequency_count)
        WHEN data_from >= data_to THEN format('data_to: the range from %s to %s is empty.', data_from, data_to)
        WHEN NOT isfinite(data_from) THEN 'data_from: leave it out for no bound.'
        WHEN NOT isfinite(data_to) THEN 'data_to: leave it out for no bound.'
        WHEN data_life < '0' OR data_life <> date_trunc('day', data_life)
            THEN format('data_life: %s is not a number of whole days, months or years.', data_life)
        WHEN extract(day FROM data_life) < 0 OR extract(month FROM data_life) < 0 THEN 'data_life: its parts have different signs.'
        WHEN language NOT IN ('zh', 'en') THEN format('language: "%s" is not zh or en.', language)
        WHEN length(legal_text) NOT BETWEEN 1 AND 200 OR legal_text ~ '[[:cntrl:]]'
            THEN 'legal_text: a name of at most 200 characters.'
    END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'consent cannot be given like this' USING ERRCODE = 'invalid_parameter_value', DETAIL = fault;
    END IF;
    SELECT i.institution_id INTO c.institution_id FROM credit.institution i WHERE i.code = institution;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'institution "%" does not exist', institution USING ERRCODE = 'PC101';
    END IF;
    FOREACH word IN ARRAY categories LOOP
        IF NOT EXISTS (SELECT 1 FROM credit.category k WHERE k.code = word) THEN
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
    SELECT array_agg(k.category_id ORDER BY k.category_id) INTO c.categories
      FROM credit.category k WHERE k.code = ANY (_consent_draft.categories);
    SELECT array_agg(DISTINCT p COLLATE "C" ORDER BY p COLLATE "C") INTO c.purposes FROM unnest(_consent_draft.purposes) p;
    c.subject_id := subject_id;
    c.valid_from := valid_from;
    c.valid_to := valid_to;
    c.kind := kind;
    c.use_limit := CASE WHEN kind = 'one_time' THEN 1 ELSE use_limit END;
    c.frequency_unit := frequency_unit;
    c.frequency_count := frequency_count;
    c.data_from := data_from;
    c.data_to := data_to;
    c.data_life := data_life;
    c.channel := 'online';
    c.language := language;
    c.legal_text := legal_text;
    RETURN c;
END
$$;
COMMENT ON FUNCTION credit._consent_draft(bigint, text, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text) IS
    'a consent as it would be given, checked (授权草稿)';

CREATE FUNCTION credit._give_consent(c credit.consent, key_id bigint, statement text, signature bytea) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    granted bigint;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM credit.subject s WHERE s.subject_id = c.subject_id) THEN
        RAISE EXCEPTION 'subject % does not exist', c.subject_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    PERFORM credit._check_template(c);
    IF c.channel = 'online' THEN
        PERFORM credit._check_signature(c, key_id, statement, signature);
    END IF;
    INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, kind, use_limit,
                                frequency_unit, frequency_count, data_from, data_to, data_life, channel, document_digest,
                                language, legal_text, replaces, granted_by, approved_by, key_id)
    VALUES (c.subject_id, c.institution_id, c.categories, c.purposes, c.valid_from, c.valid_to, c.kind, c.use_limit,
            c.frequency_unit, c.frequency_count, c.data_from, c.data_to, c.data_life, c.channel, c.document_digest,
            c.language, c.legal_text, c.replaces, coalesce(c.granted_by, credit.calling_role()::text), c.approved_by,
            _give_consent.key_id)
    RETURNING consent_id INTO granted;
    PERFORM credit._keep_signature(c, granted, key_id, statement, signature);
    RETURN granted;
END
$$;
COMMENT ON FUNCTION credit._give_consent(credit.consent, bigint, text, bytea) IS
    'puts a checked consent into force: template, signature, row (授权生效)';

CREATE FUNCTION credit.grant_consent(subject_id bigint, institution text, categories text[], purposes text[],
                                     valid_from timestamptz, valid_to timestamptz, kind text DEFAULT 'standing',
                                     use_limit integer DEFAULT NULL, frequency_unit text DEFAULT NULL,
                                     frequency_count integer DEFAULT NULL, data_from date DEFAULT NULL, data_to date DEFAULT NULL,
                                     data_life interval DEFAULT NULL, language text DEFAULT 'zh', legal_text text DEFAULT NULL,
                                     key_id bigint DEFAULT NULL, statement text DEFAULT NULL, signature bytea DEFAULT NULL)
    RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN credit._give_consent(
        credit._consent_draft(subject_id, institution, categories, purposes, valid_from, valid_to, kind, use_limit,
                              frequency_unit, frequency_count, data_from, data_to, data_life, language, legal_text),
        key_id, statement, signature);
END
$$;
COMMENT ON FUNCTION credit.grant_consent(bigint, text, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text, bigint, text, bytea) IS
    'a subject permits an institution to see categories for purposes in [valid_from, valid_to); returns the consent''s number (授权)';

-- ---------------------------------------------------------------------------
-- Afterwards
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._locked_consent(subject_id bigint, consent_id bigint) RETURNS credit.consent
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.consent;
BEGIN
    SELECT * INTO c FROM credit.consent k
     WHERE k.subject_id = _locked_consent.subject_id AND k.consent_id = _locked_consent.consent_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject % has given no consent %', subject_id, consent_id
            USING ERRCODE = 'no_data_found';
    END IF;
    RETURN c;
END
$$;
COMMENT ON FUNCTION credit._locked_consent(bigint, bigint) IS 'a consent of a subject, locked until the transaction ends; P0002 without one (锁定授权)';

-- Sets active or paused; false when it was that already.
CREATE FUNCTION credit._switch_consent(subject_id bigint, consent_id bigint, wanted text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.consent := credit._locked_consent(subject_id, consent_id);
    status text := credit._consent_status(c, clock_timestamp());
BEGIN
    IF status IN ('revoked', 'replaced', 'expired') THEN
        RAISE EXCEPTION 'consent % of subject % is %', consent_id, subject_id, status
            USING ERRCODE = 'PC133', DETAIL = 'Only a consent that is in force can be paused and resumed.';
    END IF;
    IF c.status = wanted THEN
        RETURN false;
    END IF;
    UPDATE credit.consent k SET status = wanted
     WHERE k.subject_id = _switch_consent.subject_id AND k.consent_id = _switch_consent.consent_id;
    RETURN true;
END
$$;
COMMENT ON FUNCTION credit._switch_consent(bigint, bigint, text) IS 'pauses or resumes (暂停或恢复)';

CREATE FUNCTION credit.pause_consent(subject_id bigint, consent_id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN credit._switch_consent(subject_id, consent_id, 'paused');
END
$$;
COMMENT ON FUNCTION credit.pause_consent(bigint, bigint) IS
    'a subject suspends a consent; binds every access opened after the commit; false if it was paused before (暂停授权)';

CREATE FUNCTION credit.resume_consent(subject_id bigint, consent_id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN credit._switch_consent(subject_id, consent_id, 'active');
END
$$;
COMMENT ON FUNCTION credit.resume_consent(bigint, bigint) IS 'a subject ends the pause of a consent; false if it was not paused (恢复授权)';

CREATE FUNCTION credit.revoke_consent(subject_id bigint, consent_id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.consent := credit._locked_consent(subject_id, consent_id);
BEGIN
    IF c.status = 'revoked' THEN
        RETURN false;
    END IF;
    IF c.status = 'replaced' THEN
        RAISE EXCEPTION 'consent % of subject % is replaced', consent_id, subject_id
            USING ERRCODE = 'PC133',
                  DETAIL = format('Consent %s renewed it.', (SELECT k.consent_id FROM credit.consent k
                                                              WHERE k.subject_id = c.subject_id AND k.replaces = c.consent_id)),
                  HINT = 'Take that one back.';
    END IF;
    UPDATE credit.consent k SET status = 'revoked', revoked_at = clock_timestamp(), revoked_by = credit.calling_role()::text
     WHERE k.subject_id = revoke_consent.subject_id AND k.consent_id = revoke_consent.consent_id;
    RETURN true;
END
$$;
COMMENT ON FUNCTION credit.revoke_consent(bigint, bigint) IS
    'a subject takes a consent back; binds every access opened after the commit; false if it was taken back before (撤回授权)';

-- What a renewal of a consent would be; raises where it cannot be renewed.
CREATE FUNCTION credit._renewal_draft(c credit.consent, valid_from timestamptz, valid_to timestamptz) RETURNS credit.consent
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n credit.consent;
BEGIN
    IF c.status IN ('revoked', 'replaced') THEN
        RAISE EXCEPTION 'consent % of subject % is %', c.consent_id, c.subject_id, c.status
            USING ERRCODE = 'PC133', HINT = 'Give a new consent.';
    END IF;
    n := credit._consent_draft(c.subject_id, (SELECT i.code FROM credit.institution i WHERE i.institution_id = c.institution_id),
                               (SELECT array_agg(k.code) FROM credit.category k WHERE k.category_id = ANY (c.categories)),
                               c.purposes, valid_from, valid_to, c.kind, c.use_limit, c.frequency_unit, c.frequency_count,
                               c.data_from, c.data_to, c.data_life, c.language, c.legal_text);
    n.replaces := c.consent_id;
    RETURN n;
END
$$;
COMMENT ON FUNCTION credit._renewal_draft(credit.consent, timestamptz, timestamptz) IS 'a renewal as it would be given, checked (续签草稿)';

CREATE FUNCTION credit.renew_consent(subject_id bigint, consent_id bigint, valid_from timestamptz, valid_to timestamptz,
                                     key_id bigint DEFAULT NULL, statement text DEFAULT NULL, signature bytea DEFAULT NULL)
    RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    granted bigint;
BEGIN
    granted := credit._give_consent(
        credit._renewal_draft(credit._locked_consent(subject_id, consent_id), valid_from, valid_to), key_id, statement, signature);
    UPDATE credit.consent k SET status = 'replaced'
     WHERE k.subject_id = renew_consent.subject_id AND k.consent_id = renew_consent.consent_id;
    RETURN granted;
END
$$;
COMMENT ON FUNCTION credit.renew_consent(bigint, bigint, timestamptz, timestamptz, bigint, text, bytea) IS
    'a subject gives a consent again for another window; the old one ends with it; returns the new number (续签授权)';

-- Uses are counted where the consent limits them.
CREATE FUNCTION credit.consents(subject_id bigint)
    RETURNS TABLE (consent_id bigint, status text, institution text, institution_name text, categories text[], purposes text[],
                   valid_from timestamptz, valid_to timestamptz, kind text, use_limit integer, frequency_unit text,
                   frequency_count integer, data_from date, data_to date, data_life interval, channel text, language text,
                   legal_text text, key_id bigint, replaces bigint, replaced_by bigint, granted_at timestamptz, revoked_at timestamptz,
                   uses bigint, last_used timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.consent_id, credit._consent_status(c, clock_timestamp()), i.code, i.name_zh,
           (SELECT array_agg(k.code ORDER BY k.category_id) FROM credit.category k WHERE k.category_id = ANY (c.categories)),
           c.purposes, c.valid_from, c.valid_to, c.kind, c.use_limit, c.frequency_unit, c.frequency_count, c.data_from, c.data_to,
           c.data_life, c.channel, c.language, c.legal_text, c.key_id, c.replaces,
           (SELECT n.consent_id FROM credit.consent n WHERE n.subject_id = c.subject_id AND n.replaces = c.consent_id),
           c.granted_at, c.revoked_at,
           CASE WHEN c.use_limit IS NOT NULL OR c.frequency_unit IS NOT NULL THEN u.uses END, u.last_used
      FROM credit.consent c JOIN credit.institution i USING (institution_id)
     CROSS JOIN LATERAL (SELECT count(*) AS uses, max(a.used_at) AS last_used FROM credit.audit_use a
                          WHERE a.subject_id = c.subject_id AND a.consent_id = c.consent_id) u
     WHERE c.subject_id = consents.subject_id
     ORDER BY c.consent_id
$$;
COMMENT ON FUNCTION credit.consents(bigint) IS 'all consents of a subject with their status as of now (我的授权)';

REVOKE ALL ON credit.purpose, credit.consent, credit.consent_template, credit.consent_policy FROM PUBLIC;
REVOKE ALL ON SEQUENCE credit.consent_consent_id_seq FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._consent_trail(), credit._consent_final(), credit._consent_members(credit.consent),
    credit._consent_status(credit.consent, timestamptz), credit._template_of(text, text),
    credit._template_fault(text, credit.consent), credit._check_template(credit.consent),
    credit.set_consent_template(text, text, interval, interval, interval, text[], integer, integer, integer, integer, integer),
    credit.remove_consent_template(text, text), credit.set_consent_policy(boolean),
    credit._consent_draft(bigint, text, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text),
    credit._give_consent(credit.consent, bigint, text, bytea),
    credit.grant_consent(bigint, text, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date,
                         interval, text, text, bigint, text, bytea),
    credit._locked_consent(bigint, bigint), credit._switch_consent(bigint, bigint, text),
    credit.pause_consent(bigint, bigint), credit.resume_consent(bigint, bigint), credit.revoke_consent(bigint, bigint),
    credit._renewal_draft(credit.consent, timestamptz, timestamptz),
    credit.renew_consent(bigint, bigint, timestamptz, timestamptz, bigint, text, bytea), credit.consents(bigint) FROM PUBLIC;
GRANT SELECT ON credit.purpose TO credit_operator, credit_portal, credit_institution, credit_analyst, credit_auditor;
GRANT SELECT ON credit.consent_template TO credit_operator, credit_portal, credit_institution, credit_auditor;
GRANT SELECT ON credit.consent_policy TO credit_operator, credit_portal, credit_auditor;
GRANT EXECUTE ON FUNCTION
    credit.set_consent_template(text, text, interval, interval, interval, text[], integer, integer, integer, integer, integer),
    credit.remove_consent_template(text, text), credit.set_consent_policy(boolean) TO credit_operator;
GRANT EXECUTE ON FUNCTION
    credit.grant_consent(bigint, text, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date,
                         interval, text, text, bigint, text, bytea),
    credit.pause_consent(bigint, bigint), credit.resume_consent(bigint, bigint), credit.revoke_consent(bigint, bigint),
    credit.renew_consent(bigint, bigint, timestamptz, timestamptz, bigint, text, bytea), credit.consents(bigint) TO credit_portal;
