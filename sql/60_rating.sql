-- ---------------------------------------------------------------------------
-- 60 rating: scorecards as data, scoring, explanation, ratings, validation
-- ---------------------------------------------------------------------------

CREATE TABLE credit.model (
    model_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name <> '' AND octet_length(name) <= 63 AND name !~ '@'),
    version integer NOT NULL CHECK (version > 0),
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'submitted', 'published', 'retired')),
    title_zh text,
    title_en text,
    initial_score numeric NOT NULL DEFAULT 0,
    use_reason_codes boolean NOT NULL DEFAULT true,
    reason_code_algorithm text NOT NULL DEFAULT 'pointsBelow' CHECK (reason_code_algorithm IN ('pointsAbove', 'pointsBelow')),
    baseline_method text NOT NULL DEFAULT 'other' CHECK (baseline_method IN ('max', 'min', 'mean', 'neutral', 'other')),
    baseline_score numeric,
    digest bytea CHECK (octet_length(digest) = 32),
    part_counts integer[],
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    published_by text,
    published_at timestamptz,
    retired_by text,
    retired_at timestamptz,
    created_session text,
    submitted_by text,
    submitted_session text,
    submitted_at timestamptz,
    published_session text,
    valid_months integer CHECK (valid_months BETWEEN 1 AND 120),
    review_months integer CHECK (review_months BETWEEN 1 AND 120),
    conventions jsonb CHECK (jsonb_typeof(conventions) = 'object'),
    UNIQUE (name, version),
    UNIQUE (model_id, name),
    CHECK (status = 'draft' OR (digest IS NOT NULL AND part_counts IS NOT NULL))
);
COMMENT ON TABLE credit.model IS 'scorecard, one row per version; a published version never changes (评分模型)';
COMMENT ON COLUMN credit.model.digest IS 'SHA-256 of the definition in canonical JSON (RFC 8785), set when published; scoring checks it (摘要)';
COMMENT ON COLUMN credit.model.created_session IS 'who was logged in when it was written; a second person is another one (起草人会话)';
COMMENT ON COLUMN credit.model.valid_months IS 'how long a rating by it is valid (有效期, 月)';
COMMENT ON COLUMN credit.model.review_months IS 'after how long a rating by it is to be reviewed (复审周期, 月)';
COMMENT ON COLUMN credit.model.part_counts IS
    'numbers of characteristics, attributes, reasons, grades, fields, outside grades and grade rules when published: no row can be added beyond them';
COMMENT ON COLUMN credit.model.conventions IS 'those that are not the default, see credit.model_conventions (约定)';
COMMENT ON COLUMN credit.model.initial_score IS 'points that every row starts with (初始分)';
COMMENT ON COLUMN credit.model.reason_code_algorithm IS 'pointsBelow: baseline - points; pointsAbove: points - baseline, as in PMML';

CREATE TABLE credit.characteristic (
    model_id bigint NOT NULL REFERENCES credit.model ON DELETE CASCADE,
    ordinal integer NOT NULL CHECK (ordinal > 0),
    name text NOT NULL,
    field text NOT NULL,
    data_type text NOT NULL CHECK (data_type IN ('number', 'text', 'boolean', 'date')),
    baseline_score numeric,
    reason_code text,
    title_zh text,
    title_en text,
    PRIMARY KEY (model_id, ordinal),
    UNIQUE (model_id, name)
);
COMMENT ON TABLE credit.characteristic IS 'characteristic of a scorecard in card order (指标)';
COMMENT ON COLUMN credit.characteristic.field IS 'column of the scored row that it reads (字段)';

CREATE TABLE credit.attribute (
    model_id bigint NOT NULL,
    characteristic integer NOT NULL,
    ordinal integer NOT NULL CHECK (ordinal > 0),
    kind text NOT NULL CHECK (kind IN ('interval', 'set', 'missing', 'other')),
    low numeric,
    high numeric,
    low_date date,
    high_date date,
    closure text CHECK (closure IN ('closedOpen', 'openClosed', 'openOpen', 'closedClosed')),
    set_values text[],
    points numeric,
    reason_code text,
    expression text,
    default_points numeric,
    PRIMARY KEY (model_id, characteristic, ordinal),
    CHECK ((points IS NULL) <> (expression IS NULL)),
    CHECK (default_points IS NULL OR expression IS NOT NULL),
    FOREIGN KEY (model_id, characteristic) REFERENCES credit.characteristic ON DELETE CASCADE
);
COMMENT ON TABLE credit.attribute IS 'attribute of a characteristic; tried in order, the first that matches gives the points (属性)';
COMMENT ON COLUMN credit.attribute.closure IS 'which ends belong to the interval: closedOpen is [low, high) (开闭)';
COMMENT ON COLUMN credit.attribute.low IS 'lower bound of a number; NULL is open to below';
COMMENT ON COLUMN credit.attribute.low_date IS 'lower bound of a date; NULL is open to below';
COMMENT ON COLUMN credit.attribute.expression IS 'points that are computed from columns, in place of a number (分值公式)';
COMMENT ON COLUMN credit.attribute.default_points IS 'points where the expression has no value; NULL: that is an error (缺省分)';
COMMENT ON COLUMN credit.attribute.set_values IS 'values of a set; numbers, booleans and dates as their text';

CREATE TABLE credit.reason (
    model_id bigint NOT NULL REFERENCES credit.model ON DELETE CASCADE,
    ordinal integer NOT NULL CHECK (ordinal > 0),
    code text NOT NULL,
    text_zh text,
    text_en text,
    PRIMARY KEY (model_id, ordinal),
    UNIQUE (model_id, code)
);
COMMENT ON TABLE credit.reason IS 'reason code of a scorecard with its texts (原因代码)';

CREATE TABLE credit.grade_band (
    model_id bigint NOT NULL REFERENCES credit.model ON DELETE CASCADE,
    ordinal integer NOT NULL CHECK (ordinal > 0),
    grade text NOT NULL,
    low numeric,
    high numeric,
    title_zh text,
    title_en text,
    PRIMARY KEY (model_id, ordinal),
    UNIQUE (model_id, grade)
);
COMMENT ON TABLE credit.grade_band IS 'grade for the scores in [low, high); NULL is open (信用等级)';

CREATE TABLE credit.model_field (
    model_id bigint NOT NULL REFERENCES credit.model ON DELETE CASCADE,
    ordinal integer NOT NULL CHECK (ordinal > 0),
    name text NOT NULL,
    data_type text NOT NULL CHECK (data_type IN ('number', 'text', 'boolean', 'date')),
    PRIMARY KEY (model_id, ordinal),
    UNIQUE (model_id, name)
);
COMMENT ON TABLE credit.model_field IS 'columns that only expressions of a scorecard read (公式字段)';

CREATE TABLE credit.outside_grade (
    model_id bigint NOT NULL REFERENCES credit.model ON DELETE CASCADE,
    ordinal integer NOT NULL CHECK (ordinal > 0),
    grade text NOT NULL,
    title_zh text,
    title_en text,
    PRIMARY KEY (model_id, ordinal),
    UNIQUE (model_id, grade)
);
COMMENT ON TABLE credit.outside_grade IS 'grade that is neither better nor worse than any other, such as that of new firms (序外等级)';

CREATE TABLE credit.grade_rule (
    model_id bigint NOT NULL REFERENCES credit.model ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('override', 'cap')),
    ordinal integer NOT NULL CHECK (ordinal > 0),
    condition text NOT NULL,
    grade text NOT NULL,
    unknown text CHECK (unknown IN ('refuse', 'apply', 'skip')),
    title_zh text,
    title_en text,
    PRIMARY KEY (model_id, kind, ordinal)
);
COMMENT ON TABLE credit.grade_rule IS 'overrides, of which the first that holds gives the grade, and caps, which say how good it can be (等级直定与封顶)';
COMMENT ON COLUMN credit.grade_rule.unknown IS 'what happens if the condition cannot be decided; NULL: refuse (未知时)';

CREATE TABLE credit.rating (
    subject_id bigint NOT NULL REFERENCES credit.subject,
    rating_id bigint GENERATED ALWAYS AS IDENTITY,
    model_id bigint NOT NULL,
    score float8 NOT NULL,
    grade text,
    inputs jsonb NOT NULL,
    inputs_digest bytea NOT NULL CHECK (octet_length(inputs_digest) = 32),
    reasons jsonb NOT NULL,
    rated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rated_by text NOT NULL,
    valid_until date,
    review_on date,
    score_grade text,
    grade_rule text,
    model text NOT NULL,
    PRIMARY KEY (subject_id, rating_id),
    FOREIGN KEY (model_id, model) REFERENCES credit.model (model_id, name)
);
CREATE UNIQUE INDEX rating_by_id ON credit.rating (rating_id);
-- NULLS LAST, which the numbers do not need, is an order that the primary key read backwards does not have: the newest by a
-- model is never looked for among those by all models.
CREATE INDEX rating_newest_idx ON credit.rating (subject_id, model, rating_id DESC NULLS LAST, model_id);
COMMENT ON TABLE credit.rating IS 'rating of a subject by one published model version, with what is needed to replay it (评级结果)';
COMMENT ON COLUMN credit.rating.inputs IS 'each column that the model read: its type and the exact text of its value (输入)';
COMMENT ON COLUMN credit.rating.inputs_digest IS 'SHA-256 of inputs in canonical JSON (RFC 8785)';
COMMENT ON COLUMN credit.rating.grade IS 'grade that counts, after overrides and caps (最终等级)';
COMMENT ON COLUMN credit.rating.score_grade IS 'grade of the score alone (得分等级)';
COMMENT ON COLUMN credit.rating.grade_rule IS 'override or cap that decided the grade, such as "cap 2"; NULL: none (等级规则)';
COMMENT ON COLUMN credit.rating.valid_until IS 'last day on which it counts; NULL without a period in the model (有效期至)';
COMMENT ON COLUMN credit.rating.review_on IS 'day of its next review (复审日期)';
COMMENT ON COLUMN credit.rating.model IS 'name of the model, the same for all its versions, so that the newest rating by any of them is one look-up (模型名称)';
COMMENT ON COLUMN credit.rating.reasons IS 'reason codes in PMML''s order with their summed differences (原因)';

CREATE TABLE credit.model_policy (
    policy_id boolean PRIMARY KEY DEFAULT true CHECK (policy_id),
    publication text NOT NULL CHECK (publication IN ('second_person', 'superuser_alone', 'one_person'))
);
COMMENT ON TABLE credit.model_policy IS 'who may publish models; without a row it is superuser_alone, see credit.set_publication_policy (发布规则)';

CREATE TABLE credit.forbidden_attribute (
    name text PRIMARY KEY CHECK (name <> '' AND name = lower(name)),
    basis text NOT NULL,
    built_in boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE credit.forbidden_attribute IS 'names of columns that no model may read, as words between underscores (禁用指标)';
COMMENT ON COLUMN credit.forbidden_attribute.built_in IS 'came with the extension and is not in a dump (内置)';
INSERT INTO credit.forbidden_attribute (name, basis, built_in)
SELECT n, 'Regulation on the Administration of the Credit Reporting Industry, article 14', true
  FROM unnest('{religion,religious,gene,genes,genetic,dna,fingerprint,blood,disease,illness,宗教,信仰,基因,指纹,血型,疾病,病史}'::text[]) n
UNION ALL
SELECT n, 'equal treatment of ethnic groups', true FROM unnest('{ethnicity,ethnic,race,民族,种族}'::text[]) n;

SELECT pg_catalog.pg_extension_config_dump('credit.model_policy', '');
SELECT pg_catalog.pg_extension_config_dump('credit.forbidden_attribute', 'WHERE NOT built_in');
SELECT pg_catalog.pg_extension_config_dump('credit.model', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model_model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.characteristic', '');
SELECT pg_catalog.pg_extension_config_dump('credit.attribute', '');
SELECT pg_catalog.pg_extension_config_dump('credit.reason', '');
SELECT pg_catalog.pg_extension_config_dump('credit.grade_band', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model_field', '');
SELECT pg_catalog.pg_extension_config_dump('credit.outside_grade', '');
SELECT pg_catalog.pg_extension_config_dump('credit.grade_rule', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_rating_id_seq', '');

-- What is published stays as it was, also against the owner of the tables.
CREATE FUNCTION credit._model_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.status <> 'draft' THEN
        IF TG_OP = 'UPDATE' AND OLD.status = 'published' AND NEW.status = 'retired'
           AND pg_catalog.to_jsonb(NEW) - ARRAY['status', 'retired_by', 'retired_at']
             = pg_catalog.to_jsonb(OLD) - ARRAY['status', 'retired_by', 'retired_at'] THEN
            RETURN NEW;
        END IF;
        -- what was submitted is what is published; it goes back whole or not at all
        IF TG_OP = 'UPDATE' AND OLD.status = 'submitted' AND NEW.status IN ('published', 'draft')
           AND pg_catalog.to_jsonb(NEW) - ARRAY['status', 'published_by', 'published_at', 'published_session']
             = pg_catalog.to_jsonb(OLD) - ARRAY['status', 'published_by', 'published_at', 'published_session']
               || (CASE WHEN NEW.status = 'draft' THEN '{"digest": null, "part_counts": null, "submitted_by": null, "submitted_session": null, "submitted_at": null}'::pg_catalog.jsonb
                       ELSE '{}'::pg_catalog.jsonb END) THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'model "%" version % is % and cannot be changed', OLD.name, OLD.version, OLD.status
            USING ERRCODE = 'PC401', HINT = 'Create a new version with credit.create_model.';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;

-- Rows of a published version: none is changed or removed, and none comes in beyond the number published. Fewer than
-- that are there only while a dump is being restored.
CREATE FUNCTION credit._model_part_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part CONSTANT integer := TG_ARGV[0]::integer;
    guarded record;
    present bigint;
BEGIN
    FOR guarded IN
        SELECT m.name, m.version, m.status, m.part_counts
          FROM credit.model m
         WHERE m.status <> 'draft'
           AND m.model_id IN (CASE WHEN TG_OP <> 'INSERT' THEN OLD.model_id END,
                              CASE WHEN TG_OP <> 'DELETE' THEN NEW.model_id END)
    LOOP
        IF TG_OP = 'INSERT' THEN
            EXECUTE pg_catalog.format('SELECT count(*) FROM %I.%I WHERE model_id = $1', TG_TABLE_SCHEMA, TG_TABLE_NAME)
               INTO present USING NEW.model_id;
            CONTINUE WHEN present < guarded.part_counts[part];
        END IF;
        RAISE EXCEPTION 'model "%" version % is % and cannot be changed', guarded.name, guarded.version, guarded.status
            USING ERRCODE = 'PC401', HINT = 'Create a new version with credit.create_model.';
    END LOOP;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION credit._model_truncate_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM credit.model m WHERE m.status <> 'draft') THEN
        RAISE EXCEPTION 'table %.% holds published models and cannot be truncated', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = 'PC401';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION credit._rating_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'a rating cannot be changed'
        USING ERRCODE = 'PC401', HINT = 'Rate the subject again with credit.rate; the newest rating counts.';
END
$$;

CREATE FUNCTION credit._rating_model() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT m.name INTO NEW.model FROM credit.model m WHERE m.model_id = NEW.model_id;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION credit._rating_model() IS 'trigger: names the model of a rating that comes without its name (填写模型名称)';

CREATE FUNCTION credit._models_changed() RETURNS trigger
    AS 'MODULE_PATHNAME', 'pgcredit_models_changed' LANGUAGE C;

CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON credit.model FOR EACH ROW EXECUTE FUNCTION credit._model_guard();
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON credit.characteristic
    FOR EACH ROW EXECUTE FUNCTION credit._model_part_guard('1');
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON credit.attribute
    FOR EACH ROW EXECUTE FUNCTION credit._model_part_guard('2');
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON credit.reason
    FOR EACH ROW EXECUTE FUNCTION credit._model_part_guard('3');
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON credit.grade_band
    FOR EACH ROW EXECUTE FUNCTION credit._model_part_guard('4');
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON credit.model_field
    FOR EACH ROW EXECUTE FUNCTION credit._model_part_guard('5');
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON credit.outside_grade
    FOR EACH ROW EXECUTE FUNCTION credit._model_part_guard('6');
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON credit.grade_rule
    FOR EACH ROW EXECUTE FUNCTION credit._model_part_guard('7');
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON credit.model EXECUTE FUNCTION credit._model_truncate_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON credit.characteristic EXECUTE FUNCTION credit._model_truncate_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON credit.attribute EXECUTE FUNCTION credit._model_truncate_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON credit.reason EXECUTE FUNCTION credit._model_truncate_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON credit.grade_band EXECUTE FUNCTION credit._model_truncate_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON credit.model_field EXECUTE FUNCTION credit._model_truncate_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON credit.outside_grade EXECUTE FUNCTION credit._model_truncate_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON credit.grade_rule EXECUTE FUNCTION credit._model_truncate_guard();
CREATE TRIGGER guard BEFORE UPDATE ON credit.rating FOR EACH ROW EXECUTE FUNCTION credit._rating_guard();
CREATE TRIGGER model_name BEFORE INSERT ON credit.rating FOR EACH ROW WHEN (NEW.model IS NULL) EXECUTE FUNCTION credit._rating_model();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credit.model
    EXECUTE FUNCTION credit._models_changed();

-- Erasure of a subject, see credit.erase_subject: a new salt.
CREATE FUNCTION credit._erase_ratings() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM credit.rating r WHERE r.subject_id = NEW.subject_id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._erase_ratings() IS 'trigger: removes the ratings of a subject that is erased (注销主体评级)';
CREATE TRIGGER erase_ratings AFTER UPDATE OF log_salt ON credit.subject
    FOR EACH ROW WHEN (OLD.log_salt <> NEW.log_salt) EXECUTE FUNCTION credit._erase_ratings();

SELECT credit._audit_table('credit.model');
SELECT credit._audit_table('credit.model_policy');
SELECT credit._audit_table('credit.forbidden_attribute');
SELECT credit._audit_table('credit.characteristic');
SELECT credit._audit_table('credit.attribute');
SELECT credit._audit_table('credit.reason');
SELECT credit._audit_table('credit.grade_band');
SELECT credit._audit_table('credit.model_field');
SELECT credit._audit_table('credit.outside_grade');
SELECT credit._audit_table('credit.grade_rule');
SELECT credit._audit_table('credit.rating');

-- ---------------------------------------------------------------------------
-- Definitions in and out
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._check_definition(definition jsonb, publishing boolean) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_check_definition' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION credit._expression_text(expression text) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_expression_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION credit._expression_tree(expression text) RETURNS jsonb
    AS 'MODULE_PATHNAME', 'pgcredit_expression_tree' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

-- The definition that the tables hold. What is digested, checked and compiled is this, so nothing that the tables say
-- is outside the digest.
CREATE FUNCTION credit._definition(wanted bigint) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'name', m.name,
        'title_zh', m.title_zh,
        'title_en', m.title_en,
        'initial_score', m.initial_score,
        'use_reason_codes', m.use_reason_codes,
        'reason_code_algorithm', m.reason_code_algorithm,
        'baseline_method', m.baseline_method,
        'baseline_score', m.baseline_score,
        'valid_months', m.valid_months,
        'review_months', m.review_months,
        'conventions', m.conventions,
        'characteristics',
        (SELECT jsonb_agg(jsonb_build_object(
                    'name', c.name,
                    'field', c.field,
                    'data_type', c.data_type,
                    'baseline_score', c.baseline_score,
                    'reason_code', c.reason_code,
                    'title_zh', c.title_zh,
                    'title_en', c.title_en,
                    'attributes',
                    (SELECT jsonb_agg(jsonb_build_object(
                                'kind', a.kind,
                                'low', CASE c.data_type WHEN 'date' THEN to_jsonb(to_char(a.low_date, 'YYYY-MM-DD'))
                                                        ELSE to_jsonb(a.low) END,
                                'high', CASE c.data_type WHEN 'date' THEN to_jsonb(to_char(a.high_date, 'YYYY-MM-DD'))
                                                         ELSE to_jsonb(a.high) END,
                                'closure', a.closure,
                                'values',
                                (SELECT jsonb_agg(CASE c.data_type WHEN 'number' THEN to_jsonb(v.value::numeric)
                                                                   WHEN 'boolean' THEN to_jsonb(v.value::boolean)
                                                                   ELSE to_jsonb(v.value) END ORDER BY v.place)
                                   FROM unnest(a.set_values) WITH ORDINALITY v(value, place)),
                                'points', a.points,
                                'expression', a.expression,
                                'default', a.default_points,
                                'reason_code', a.reason_code) ORDER BY a.ordinal)
                       FROM credit.attribute a
                      WHERE a.model_id = c.model_id AND a.characteristic = c.ordinal)) ORDER BY c.ordinal)
           FROM credit.characteristic c WHERE c.model_id = m.model_id),
        'reasons',
        (SELECT jsonb_agg(jsonb_build_object('code', r.code, 'text_zh', r.text_zh, 'text_en', r.text_en) ORDER BY r.ordinal)
           FROM credit.reason r WHERE r.model_id = m.model_id),
        'grades',
        (SELECT jsonb_agg(jsonb_build_object('grade', g.grade, 'low', g.low, 'high', g.high,
                                             'title_zh', g.title_zh, 'title_en', g.title_en) ORDER BY g.ordinal)
           FROM credit.grade_band g WHERE g.model_id = m.model_id),
        'fields',
        (SELECT jsonb_agg(jsonb_build_object('name', f.name, 'data_type', f.data_type) ORDER BY f.ordinal)
           FROM credit.model_field f WHERE f.model_id = m.model_id),
        'outside_grades',
        (SELECT jsonb_agg(jsonb_build_object('grade', o.grade, 'title_zh', o.title_zh, 'title_en', o.title_en) ORDER BY o.ordinal)
           FROM credit.outside_grade o WHERE o.model_id = m.model_id),
        'overrides',
        (SELECT jsonb_agg(jsonb_build_object('when', r.condition, 'grade', r.grade, 'unknown', r.unknown,
                                             'title_zh', r.title_zh, 'title_en', r.title_en) ORDER BY r.ordinal)
           FROM credit.grade_rule r WHERE r.model_id = m.model_id AND r.kind = 'override'),
        'caps',
        (SELECT jsonb_agg(jsonb_build_object('when', r.condition, 'grade', r.grade, 'unknown', r.unknown,
                                             'title_zh', r.title_zh, 'title_en', r.title_en) ORDER BY r.ordinal)
           FROM credit.grade_rule r WHERE r.model_id = m.model_id AND r.kind = 'cap')))
      FROM credit.model m WHERE m.model_id = wanted;
END;

-- PC407 for a column that no model may read: its name has a forbidden one as a word between underscores, or, where words
-- have no gaps between them, anywhere.
CREATE FUNCTION credit._refuse_forbidden(definition jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT f.reader, f.field, a.name, a.basis INTO bad
      FROM (SELECT format('characteristic "%s"', c ->> 'name'), coalesce(c ->> 'field', c ->> 'name')
              FROM jsonb_array_elements(definition -> 'characteristics') c
             UNION ALL
            SELECT 'an expression', c ->> 'name'
              FROM jsonb_array_elements(CASE jsonb_typeof(definition -> 'fields') WHEN 'array' THEN definition -> 'fields' END) c) f(reader, field),
           credit.forbidden_attribute a
     WHERE CASE WHEN a.name ~ '^[a-z0-9_]+$'
                THEN strpos('_' || regexp_replace(lower(f.field), '[^a-z0-9]+', '_', 'g') || '_', '_' || a.name || '_') > 0
                ELSE strpos(lower(f.field), a.name) > 0 END
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% reads column "%", which no model may read', bad.reader, bad.field
            USING ERRCODE = 'PC407', DETAIL = format('"%s" is forbidden: %s.', bad.name, bad.basis);
    END IF;
END
$$;

CREATE FUNCTION credit.forbid_attribute(name text, basis text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO credit.forbidden_attribute (name, basis) VALUES (lower(forbid_attribute.name), forbid_attribute.basis);
END
$$;
COMMENT ON FUNCTION credit.forbid_attribute(text, text) IS
    'no model created or published from now on may read a column with this word in its name (禁止使用指标)';

CREATE FUNCTION credit.set_publication_policy(publication text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO credit.model_policy (publication) VALUES (set_publication_policy.publication)
    ON CONFLICT (policy_id) DO UPDATE SET publication = excluded.publication;
END
$$;
COMMENT ON FUNCTION credit.set_publication_policy(text) IS
    'second_person: nobody publishes alone; superuser_alone (default): only a superuser may; one_person: everybody may (设定发布规则)';

-- What a definition says of columns that only expressions read and of grades beside their order.
CREATE FUNCTION credit._keep_rules(model_id bigint, definition jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO credit.model_field (model_id, ordinal, name, data_type)
    SELECT _keep_rules.model_id, f.place, f.j ->> 'name', f.j ->> 'data_type'
      FROM jsonb_array_elements(nullif(definition -> 'fields', 'null')) WITH ORDINALITY f(j, place);
    INSERT INTO credit.outside_grade (model_id, ordinal, grade, title_zh, title_en)
    SELECT _keep_rules.model_id, g.place, g.j ->> 'grade', g.j ->> 'title_zh', g.j ->> 'title_en'
      FROM jsonb_array_elements(nullif(definition -> 'outside_grades', 'null')) WITH ORDINALITY g(j, place);
    INSERT INTO credit.grade_rule (model_id, kind, ordinal, condition, grade, unknown, title_zh, title_en)
    SELECT _keep_rules.model_id, k.kind, r.place, credit._expression_text(r.j ->> 'when'), r.j ->> 'grade', r.j ->> 'unknown',
           r.j ->> 'title_zh', r.j ->> 'title_en'
      FROM (VALUES ('override', 'overrides'), ('cap', 'caps')) k(kind, key),
           jsonb_array_elements(nullif(definition -> k.key, 'null')) WITH ORDINALITY r(j, place);
END;

CREATE FUNCTION credit.create_model(definition jsonb) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint;
    next_version integer;
BEGIN
    IF definition IS NULL THEN
        RAISE EXCEPTION 'definition is null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM credit._check_definition(definition, false);
    PERFORM credit._refuse_forbidden(definition);
    -- two sessions creating versions of one name take turns; readers are not held up
    LOCK TABLE credit.model IN SHARE ROW EXCLUSIVE MODE;
    SELECT coalesce(pg_catalog.max(m.version), 0) + 1 INTO next_version
      FROM credit.model m WHERE m.name = definition ->> 'name';
    INSERT INTO credit.model (name, version, title_zh, title_en, initial_score, use_reason_codes, reason_code_algorithm,
                              baseline_method, baseline_score, valid_months, review_months, conventions, created_by, created_session)
    VALUES (definition ->> 'name', next_version, definition ->> 'title_zh', definition ->> 'title_en',
            coalesce((definition ->> 'initial_score')::numeric, 0),
            coalesce((definition ->> 'use_reason_codes')::boolean, true),
            coalesce(definition ->> 'reason_code_algorithm', 'pointsBelow'),
            coalesce(definition ->> 'baseline_method', 'other'),
            (definition ->> 'baseline_score')::numeric, (definition ->> 'valid_months')::integer,
            (definition ->> 'review_months')::integer, nullif(definition -> 'conventions', 'null'), credit.calling_role()::text, session_user)
    RETURNING model_id INTO id;
    INSERT INTO credit.characteristic (model_id, ordinal, name, field, data_type, baseline_score, reason_code, title_zh, title_en)
    SELECT id, c.place, c.j ->> 'name', coalesce(c.j ->> 'field', c.j ->> 'name'), c.j ->> 'data_type',
           (c.j ->> 'baseline_score')::numeric, c.j ->> 'reason_code', c.j ->> 'title_zh', c.j ->> 'title_en'
      FROM jsonb_array_elements(definition -> 'characteristics') WITH ORDINALITY c(j, place);
    INSERT INTO credit.attribute (model_id, characteristic, ordinal, kind, low, high, low_date, high_date, closure,
                                  set_values, points, reason_code, expression, default_points)
    SELECT id, c.place, a.place, a.j ->> 'kind',
           CASE WHEN c.j ->> 'data_type' <> 'date' THEN (a.j ->> 'low')::numeric END,
           CASE WHEN c.j ->> 'data_type' <> 'date' THEN (a.j ->> 'high')::numeric END,
           CASE WHEN c.j ->> 'data_type' = 'date' THEN (a.j ->> 'low')::date END,
           CASE WHEN c.j ->> 'data_type' = 'date' THEN (a.j ->> 'high')::date END,
           a.j ->> 'closure',
           CASE WHEN a.j ->> 'kind' = 'set'
                THEN ARRAY(SELECT v.value FROM jsonb_array_elements_text(a.j -> 'values') WITH ORDINALITY v(value, place)
                            ORDER BY v.place) END,
           (a.j ->> 'points')::numeric, a.j ->> 'reason_code', credit._expression_text(a.j ->> 'expression'),
           (a.j ->> 'default')::numeric
      FROM jsonb_array_elements(definition -> 'characteristics') WITH ORDINALITY c(j, place),
           jsonb_array_elements(c.j -> 'attributes') WITH ORDINALITY a(j, place);
    INSERT INTO credit.reason (model_id, ordinal, code, text_zh, text_en)
    SELECT id, r.place, r.j ->> 'code', r.j ->> 'text_zh', r.j ->> 'text_en'
      FROM jsonb_array_elements(CASE jsonb_typeof(definition -> 'reasons') WHEN 'array' THEN definition -> 'reasons' END)
           WITH ORDINALITY r(j, place);
    INSERT INTO credit.grade_band (model_id, ordinal, grade, low, high, title_zh, title_en)
    SELECT id, g.place, g.j ->> 'grade', (g.j ->> 'low')::numeric, (g.j ->> 'high')::numeric,
           g.j ->> 'title_zh', g.j ->> 'title_en'
      FROM jsonb_array_elements(CASE jsonb_typeof(definition -> 'grades') WHEN 'array' THEN definition -> 'grades' END)
           WITH ORDINALITY g(j, place);
    PERFORM credit._keep_rules(id, definition);
    RETURN next_version;
END
$$;
COMMENT ON FUNCTION credit.create_model(jsonb) IS
    'store a scorecard''s definition as a draft, the next version of its name, and return that version (新建模型)';

-- The version meant, locked: the newest draft or submitted one if no version is given.
CREATE FUNCTION credit._unpublished(name text, version integer) RETURNS credit.model
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    m credit.model;
BEGIN
    SELECT t.* INTO m
      FROM credit.model t
     WHERE t.name = _unpublished.name
       AND CASE WHEN _unpublished.version IS NULL THEN t.status IN ('draft', 'submitted') ELSE t.version = _unpublished.version END
     ORDER BY t.version DESC LIMIT 1
       FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'model "%" has no %', name, coalesce('version ' || version::text, 'draft')
            USING ERRCODE = 'undefined_object';
    END IF;
    IF m.status NOT IN ('draft', 'submitted') THEN
        RAISE EXCEPTION 'model "%" version % is already %', name, m.version, m.status
            USING ERRCODE = 'PC401';
    END IF;
    RETURN m;
END
$$;

-- What fixes a version: checks again and gives its digest and the numbers of its parts.
CREATE FUNCTION credit._model_seal(model_id bigint, OUT digest bytea, OUT part_counts integer[]) RETURNS record
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    definition CONSTANT jsonb := credit._definition(model_id);
BEGIN
    PERFORM credit._refuse_forbidden(definition);
    digest := credit._check_definition(definition, true);
    part_counts := ARRAY[(SELECT count(*) FROM credit.characteristic c WHERE c.model_id = _model_seal.model_id),
                         (SELECT count(*) FROM credit.attribute a WHERE a.model_id = _model_seal.model_id),
                         (SELECT count(*) FROM credit.reason r WHERE r.model_id = _model_seal.model_id),
                         (SELECT count(*) FROM credit.grade_band g WHERE g.model_id = _model_seal.model_id),
                         (SELECT count(*) FROM credit.model_field f WHERE f.model_id = _model_seal.model_id),
                         (SELECT count(*) FROM credit.outside_grade o WHERE o.model_id = _model_seal.model_id),
                         (SELECT count(*) FROM credit.grade_rule r WHERE r.model_id = _model_seal.model_id)]::integer[];
END
$$;

CREATE FUNCTION credit.submit_model(name text, version integer DEFAULT NULL) RETURNS bytea
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    m CONSTANT credit.model := credit._unpublished(name, version);
    sealed record;
BEGIN
    IF m.status <> 'draft' THEN
        RAISE EXCEPTION 'model "%" version % is already %', m.name, m.version, m.status USING ERRCODE = 'PC401';
    END IF;
    sealed := credit._model_seal(m.model_id);
    UPDATE credit.model t
       SET status = 'submitted', digest = sealed.digest, part_counts = sealed.part_counts,
           submitted_by = credit.calling_role()::text, submitted_session = session_user, submitted_at = clock_timestamp()
     WHERE t.model_id = m.model_id;
    RETURN sealed.digest;
END
$$;
COMMENT ON FUNCTION credit.submit_model(text, integer) IS
    'check a draft (the newest if no version is given), fix it for review and return its digest (提交审核)';

CREATE FUNCTION credit.return_model(name text, version integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    m CONSTANT credit.model := credit._unpublished(name, version);
BEGIN
    IF m.status <> 'submitted' THEN
        RAISE EXCEPTION 'model "%" version % is not submitted', m.name, m.version USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    UPDATE credit.model t
       SET status = 'draft', digest = NULL, part_counts = NULL, submitted_by = NULL, submitted_session = NULL, submitted_at = NULL
     WHERE t.model_id = m.model_id;
END
$$;
COMMENT ON FUNCTION credit.return_model(text, integer) IS 'a submitted version becomes a draft again (退回草稿)';

CREATE FUNCTION credit.publish_model(name text, version integer DEFAULT NULL) RETURNS bytea
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    m CONSTANT credit.model := credit._unpublished(name, version);
    publication CONSTANT text := coalesce((SELECT p.publication FROM credit.model_policy p), 'superuser_alone');
    sealed record;
BEGIN
    IF (m.status <> 'submitted' OR session_user IN (m.created_session, m.submitted_session) OR m.created_session IS NULL)
       AND (publication = 'second_person'
            OR publication = 'superuser_alone' AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user)) THEN
        RAISE EXCEPTION 'model "%" version % needs a second person to publish it', m.name, m.version
            USING ERRCODE = 'PC405',
                  DETAIL = CASE WHEN m.status <> 'submitted' THEN 'It has not been submitted for review.'
                                ELSE format('"%s" wrote or submitted it.', session_user) END,
                  HINT = 'Submit it with credit.submit_model; then somebody logged in as another role publishes it.';
    END IF;
    sealed := credit._model_seal(m.model_id);
    IF m.status = 'submitted' AND (sealed.digest, sealed.part_counts) IS DISTINCT FROM (m.digest, m.part_counts) THEN
        RAISE EXCEPTION 'model "%" version % is not what was submitted', m.name, m.version USING ERRCODE = 'PC402';
    ELSIF m.status = 'draft' THEN
        UPDATE credit.model t SET digest = sealed.digest, part_counts = sealed.part_counts WHERE t.model_id = m.model_id;
    END IF;
    UPDATE credit.model t
       SET status = 'published', published_by = credit.calling_role()::text, published_session = session_user,
           published_at = clock_timestamp()
     WHERE t.model_id = m.model_id;
    PERFORM credit._audit_note(jsonb_build_object('kind', 'model', 'operation', 'publish', 'model', m.model_id,
                                                  'model_version', m.version, 'digest', rtrim(translate(encode(sealed.digest, 'base64'), '+/', '-_'), '=')));
    RETURN sealed.digest;
END
$$;
COMMENT ON FUNCTION credit.publish_model(text, integer) IS
    'fix a submitted version, or where the policy lets one person publish a draft, for good and return its digest (发布模型)';

CREATE FUNCTION credit.retire_model(name text, version integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE credit.model m
       SET status = 'retired', retired_by = credit.calling_role()::text, retired_at = clock_timestamp()
     WHERE m.name = retire_model.name AND m.version = retire_model.version AND m.status = 'published';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'model "%" has no published version %', name, version USING ERRCODE = 'undefined_object';
    END IF;
END
$$;
COMMENT ON FUNCTION credit.retire_model(text, integer) IS
    'take a published version out of use; it can still be read, scored as name@version and replayed (停用模型)';

CREATE FUNCTION credit.discard_model(name text, version integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM credit.model m WHERE m.name = discard_model.name AND m.version = discard_model.version;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'model "%" has no version %', name, version USING ERRCODE = 'undefined_object';
    END IF;
END
$$;
COMMENT ON FUNCTION credit.discard_model(text, integer) IS 'delete a draft; a published version is refused (删除草稿)';

CREATE FUNCTION credit.model_definition(name text, version integer DEFAULT NULL) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT credit._definition(m.model_id)
      FROM credit.model m
     WHERE m.name = model_definition.name
       AND CASE WHEN model_definition.version IS NULL THEN m.status = 'published'
                ELSE m.version = model_definition.version END
     ORDER BY m.version DESC LIMIT 1;
END;
COMMENT ON FUNCTION credit.model_definition(text, integer) IS
    'definition of a version (the newest published one if none is given), as create_model takes it (模型定义)';

CREATE FUNCTION credit.model_conventions(model text) RETURNS jsonb
    LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given jsonb;
BEGIN
    SELECT coalesce(m.conventions, '{}') INTO given
      FROM credit.model m
     WHERE m.name = split_part(model_conventions.model, '@', 1)
       AND CASE WHEN strpos(model_conventions.model, '@') = 0 THEN m.status = 'published'
                ELSE m.version::text = split_part(model_conventions.model, '@', 2) END
     ORDER BY m.version DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no model "%"', model USING ERRCODE = 'undefined_object',
            HINT = 'Write "name" for the newest published version or "name@version".';
    END IF;
    RETURN '{"woe_sign": "bad_over_good", "zero_cell": "refuse", "interval_closure": "closedOpen", "psi_empty_bin": "refuse",
             "rounding": "half_away"}'::jsonb || given;
END
$$;
COMMENT ON FUNCTION credit.model_conventions(text) IS
    'what a model ("name" or "name@version") says where tools differ, defaults filled in (模型约定)';

-- ---------------------------------------------------------------------------
-- Scoring
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._score_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_score_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION credit.score(model text, "row" record) RETURNS float8
    AS 'MODULE_PATHNAME', 'pgcredit_score' LANGUAGE C STABLE PARALLEL SAFE COST 20 SUPPORT credit._score_support;
COMMENT ON FUNCTION credit.score(text, record) IS
    'score of a row of any composite type by a model ("name" or "name@version"), columns matched by name (评分)';

CREATE FUNCTION credit._score_columns(model text, names text[], VARIADIC "any") RETURNS float8
    AS 'MODULE_PATHNAME', 'pgcredit_score_columns' LANGUAGE C STABLE PARALLEL SAFE COST 20;

CREATE FUNCTION credit.explain(model text, "row" record,
        OUT ordinal integer, OUT characteristic text, OUT value text, OUT attribute text, OUT points numeric,
        OUT baseline numeric, OUT difference numeric, OUT reason_code text, OUT reason_rank integer,
        OUT reason_zh text, OUT reason_en text) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'pgcredit_explain' LANGUAGE C STABLE PARALLEL SAFE COST 1000 ROWS 15;
COMMENT ON FUNCTION credit.explain(text, record) IS
    'why a row has its score: a row for the initial score and one per characteristic, points adding up to the score (评分解释)';

CREATE FUNCTION credit.grade(model text, score float8) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_grade' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION credit.grade(text, float8) IS 'grade of a score by a model, before overrides and caps (信用等级)';

CREATE FUNCTION credit.grade_row(model text, "row" record, OUT score float8, OUT score_grade text, OUT grade text, OUT rule text)
    AS 'MODULE_PATHNAME', 'pgcredit_grade_row' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION credit.grade_row(text, record) IS
    'score and grade of a row: the score''s own grade, the one that counts, and the override or cap that decided it (评分定级)';

-- ---------------------------------------------------------------------------
-- Ratings
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._evaluate(model text, "row" record,
        OUT model_id bigint, OUT status text, OUT score float8, OUT grade text, OUT inputs jsonb,
        OUT inputs_digest bytea, OUT reasons jsonb, OUT score_grade text, OUT rule text)
    AS 'MODULE_PATHNAME', 'pgcredit_evaluate' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;

CREATE FUNCTION credit._grade_inputs(model text, inputs jsonb, OUT score float8, OUT score_grade text, OUT grade text, OUT rule text)
    AS 'MODULE_PATHNAME', 'pgcredit_grade_inputs' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;

CREATE FUNCTION credit.rate(model text, subject_id bigint, "row" record) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    evaluated record;
    id bigint;
BEGIN
    -- an assignment, not a query: its call site keeps the compiled card from row to row
    evaluated := credit._evaluate(rate.model, rate."row");
    IF evaluated IS NULL OR rate.subject_id IS NULL THEN
        RAISE EXCEPTION 'model, subject and row of a rating cannot be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF evaluated.status <> 'published' THEN
        RAISE EXCEPTION 'model "%" is %, a rating needs a published version',
                        rate.model, CASE evaluated.status WHEN 'draft' THEN 'a draft' ELSE evaluated.status END
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, valid_until, review_on,
                               score_grade, grade_rule, model)
    SELECT rate.subject_id, evaluated.model_id, evaluated.score, evaluated.grade, evaluated.inputs,
           evaluated.inputs_digest, evaluated.reasons, credit.calling_role()::text,
           (clock_timestamp() + make_interval(months => m.valid_months))::date - 1,
           (clock_timestamp() + make_interval(months => m.review_months))::date, evaluated.score_grade, evaluated.rule, m.name
      FROM credit.model m WHERE m.model_id = evaluated.model_id
    RETURNING rating_id INTO id;
    RETURN id;
END
$$;
COMMENT ON FUNCTION credit.rate(text, bigint, record) IS
    'score and grade a subject by a published model, store the rating with its inputs, return its rating_id (评级)';

CREATE FUNCTION credit._explain_inputs(model text, inputs jsonb,
        OUT ordinal integer, OUT characteristic text, OUT value text, OUT attribute text, OUT points numeric,
        OUT baseline numeric, OUT difference numeric, OUT reason_code text, OUT reason_rank integer,
        OUT reason_zh text, OUT reason_en text) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'pgcredit_explain_inputs' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 ROWS 15;

CREATE FUNCTION credit.replay(subject_id bigint, rating_id bigint,
        OUT equal boolean, OUT stored_score float8, OUT replayed_score float8, OUT inputs_intact boolean,
        OUT stored_grade text, OUT replayed_grade text, OUT differences text[]) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept record;
    replayed record;
    reasons jsonb;
BEGIN
    SELECT r.score, r.grade, r.score_grade, r.grade_rule, r.inputs, r.inputs_digest, r.reasons,
           m.name || '@' || m.version::text AS model INTO kept
      FROM credit.rating r JOIN credit.model m ON m.model_id = r.model_id
     WHERE r.subject_id = replay.subject_id AND r.rating_id = replay.rating_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject % has no rating %', subject_id, rating_id USING ERRCODE = 'no_data_found';
    END IF;
    stored_score := kept.score;
    stored_grade := kept.grade;
    replayed := credit._grade_inputs(kept.model, kept.inputs);
    replayed_score := replayed.score;
    replayed_grade := replayed.grade;
    SELECT coalesce(jsonb_agg(jsonb_build_object('code', e.reason_code, 'difference', e.total) ORDER BY e.reason_rank), '[]') INTO reasons
      FROM (SELECT x.reason_rank, x.reason_code, sum(x.difference) AS total
              FROM credit._explain_inputs(kept.model, kept.inputs) x
             WHERE x.reason_rank IS NOT NULL GROUP BY 1, 2) e;
    inputs_intact := sha256(convert_to(credit._canonical_json(kept.inputs), 'UTF8')) = kept.inputs_digest;
    -- bit for bit: -0 is not 0 here
    differences := array_remove(ARRAY[CASE WHEN NOT inputs_intact THEN 'inputs' END,
                                      CASE WHEN float8send(stored_score) <> float8send(replayed_score) THEN 'score' END,
                                      CASE WHEN stored_grade IS DISTINCT FROM replayed_grade THEN 'grade' END,
                                      CASE WHEN kept.score_grade IS DISTINCT FROM replayed.score_grade THEN 'score grade' END,
                                      CASE WHEN kept.grade_rule IS DISTINCT FROM replayed.rule THEN 'rule' END,
                                      CASE WHEN kept.reasons <> reasons THEN 'reasons' END], NULL);
    equal := cardinality(differences) = 0;
END
$$;
COMMENT ON FUNCTION credit.replay(bigint, bigint) IS
    'recompute a rating from its stored inputs and model version, compare bit for bit and say what differs (评级重放)';

CREATE FUNCTION credit.replay(rating_id bigint,
        OUT equal boolean, OUT stored_score float8, OUT replayed_score float8, OUT inputs_intact boolean,
        OUT stored_grade text, OUT replayed_grade text, OUT differences text[]) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    of_subject bigint;
BEGIN
    SELECT r.subject_id INTO of_subject FROM credit.rating r WHERE r.rating_id = replay.rating_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no rating %', rating_id USING ERRCODE = 'no_data_found';
    END IF;
    SELECT * INTO equal, stored_score, replayed_score, inputs_intact, stored_grade, replayed_grade, differences
      FROM credit.replay(of_subject, rating_id);
END
$$;
COMMENT ON FUNCTION credit.replay(bigint) IS 'the same of a rating by its number alone (评级重放)';

CREATE FUNCTION credit.explain(rating_id bigint)
    RETURNS TABLE (ordinal integer, characteristic text, title_zh text, title_en text, value text, attribute text, points numeric,
                   baseline numeric, difference numeric, reason_code text, reason_rank integer, reason_zh text, reason_en text,
                   text_zh text, text_en text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 15 AS $$
DECLARE
    kept record;
BEGIN
    SELECT r.inputs, r.model_id, r.score_grade, r.grade, m.name || '@' || m.version::text AS model INTO kept
      FROM credit.rating r JOIN credit.model m ON m.model_id = r.model_id
     WHERE r.rating_id = explain.rating_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no rating %', rating_id USING ERRCODE = 'no_data_found';
    END IF;
    RETURN QUERY
    SELECT e.ordinal, e.characteristic, coalesce(c.title_zh, k.title_zh), coalesce(c.title_en, k.title_en), e.value, e.attribute, e.points, e.baseline, e.difference,
           e.reason_code, e.reason_rank, e.reason_zh, e.reason_en,
           CASE WHEN e.ordinal = 0 THEN format('初始分 %s 分', e.points)
                WHEN k.kind IS NOT NULL THEN
                    format(CASE k.kind WHEN 'cap' THEN '等级封顶（%s）：得分等级 %s，最高 %s' ELSE '等级直定（%s）：得分等级 %s，定为 %s' END,
                           coalesce(k.title_zh, k.condition), kept.score_grade, kept.grade)
                ELSE format('“%s”%s：%s 分', coalesce(c.title_zh, e.characteristic), coalesce('为 ' || e.value, '缺失'), e.points) END,
           CASE WHEN e.ordinal = 0 THEN format('initial score: %s points', e.points)
                WHEN k.kind IS NOT NULL THEN
                    format(CASE k.kind WHEN 'cap' THEN 'cap (%s): the score gives grade %s, which can be at most %s'
                                       ELSE 'override (%s): the score gives grade %s, the grade is %s' END,
                           coalesce(k.title_en, k.condition), kept.score_grade, kept.grade)
                ELSE format('%s %s: %s points', coalesce(c.title_en, e.characteristic), coalesce('is ' || e.value, 'is missing'), e.points) END
      FROM credit._explain_inputs(kept.model, kept.inputs) e
      LEFT JOIN credit.characteristic c ON c.model_id = kept.model_id AND c.ordinal = e.ordinal
      -- the row behind those of the characteristics, named after a rule
      LEFT JOIN credit.grade_rule k ON k.model_id = kept.model_id AND c.ordinal IS NULL AND e.ordinal > 0
            AND k.kind || ' ' || k.ordinal = e.characteristic
     ORDER BY e.ordinal;
END
$$;
COMMENT ON FUNCTION credit.explain(bigint) IS
    'why a stored rating has its score, in Chinese and English, from the inputs that it kept; points add up to the score (评级解释)';

-- ---------------------------------------------------------------------------
-- Validation statistics
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._rank_transition(internal, float8, boolean) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_rank_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._rank_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_rank_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._rank_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_rank_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._rank_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_rank_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._auc_final(internal) RETURNS float8
    AS 'MODULE_PATHNAME', 'pgcredit_auc_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._gini_final(internal) RETURNS float8
    AS 'MODULE_PATHNAME', 'pgcredit_gini_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._ks_final(internal) RETURNS float8
    AS 'MODULE_PATHNAME', 'pgcredit_ks_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE credit.auc(score float8, bad boolean) (
    SFUNC = credit._rank_transition, STYPE = internal, SSPACE = 1048576, FINALFUNC = credit._auc_final,
    COMBINEFUNC = credit._rank_combine, SERIALFUNC = credit._rank_serialize, DESERIALFUNC = credit._rank_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.auc(float8, boolean) IS
    'chance that a good case has a higher score than a bad one, ties counting half (ROC 曲线下面积)';
CREATE AGGREGATE credit.gini(score float8, bad boolean) (
    SFUNC = credit._rank_transition, STYPE = internal, SSPACE = 1048576, FINALFUNC = credit._gini_final,
    COMBINEFUNC = credit._rank_combine, SERIALFUNC = credit._rank_serialize, DESERIALFUNC = credit._rank_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.gini(float8, boolean) IS '2 auc - 1 (基尼系数)';
CREATE AGGREGATE credit.ks(score float8, bad boolean) (
    SFUNC = credit._rank_transition, STYPE = internal, SSPACE = 1048576, FINALFUNC = credit._ks_final,
    COMBINEFUNC = credit._rank_combine, SERIALFUNC = credit._rank_serialize, DESERIALFUNC = credit._rank_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.ks(float8, boolean) IS
    'largest gap between the shares of good and of bad cases at or below a score (KS 值)';

CREATE FUNCTION credit._psi_transition(internal, text, boolean) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_psi_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._psi_transition(internal, text, boolean, text) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_psi_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._psi_transition(internal, integer, boolean) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_psi_transition_int' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._psi_transition(internal, integer, boolean, text) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_psi_transition_int' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._psi_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_bins_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._psi_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_bins_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._psi_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_bins_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._psi_final(internal) RETURNS float8
    AS 'MODULE_PATHNAME', 'pgcredit_psi_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE credit.psi(bin text, actual boolean) (
    SFUNC = credit._psi_transition, STYPE = internal, FINALFUNC = credit._psi_final,
    COMBINEFUNC = credit._psi_combine, SERIALFUNC = credit._psi_serialize, DESERIALFUNC = credit._psi_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.psi(text, boolean) IS
    'population stability index of binned rows, expected (false) against actual (true); an empty bin is refused (群体稳定性指数)';
CREATE AGGREGATE credit.psi(bin text, actual boolean, empty_bin text) (
    SFUNC = credit._psi_transition, STYPE = internal, FINALFUNC = credit._psi_final,
    COMBINEFUNC = credit._psi_combine, SERIALFUNC = credit._psi_serialize, DESERIALFUNC = credit._psi_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.psi(text, boolean, text) IS
    'population stability index; empty_bin is refuse, infinity, drop, or a count to put in place of 0 (群体稳定性指数)';
CREATE AGGREGATE credit.psi(bin integer, actual boolean) (
    SFUNC = credit._psi_transition, STYPE = internal, FINALFUNC = credit._psi_final,
    COMBINEFUNC = credit._psi_combine, SERIALFUNC = credit._psi_serialize, DESERIALFUNC = credit._psi_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.psi(integer, boolean) IS
    'population stability index of rows binned by number, as width_bucket() does (群体稳定性指数)';
CREATE AGGREGATE credit.psi(bin integer, actual boolean, empty_bin text) (
    SFUNC = credit._psi_transition, STYPE = internal, FINALFUNC = credit._psi_final,
    COMBINEFUNC = credit._psi_combine, SERIALFUNC = credit._psi_serialize, DESERIALFUNC = credit._psi_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.psi(integer, boolean, text) IS
    'population stability index of rows binned by number, with a rule for empty bins (群体稳定性指数)';

CREATE FUNCTION credit.psi(expected float8[], actual float8[], empty_bin text DEFAULT 'refuse') RETURNS float8
    AS 'MODULE_PATHNAME', 'pgcredit_psi_arrays' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.psi(float8[], float8[], text) IS
    'population stability index of counts or shares per bin, in the same order (群体稳定性指数)';

-- ---------------------------------------------------------------------------
-- Who may do what
-- ---------------------------------------------------------------------------

REVOKE ALL ON FUNCTION
    credit._model_guard(), credit._model_part_guard(), credit._model_truncate_guard(), credit._rating_guard(), credit._rating_model(), credit._erase_ratings(),
    credit._models_changed(), credit._check_definition(jsonb, boolean),
    credit._definition(bigint), credit._expression_text(text), credit._expression_tree(text), credit._keep_rules(bigint, jsonb),
    credit.model_conventions(text), credit.grade_row(text, record), credit.create_model(jsonb), credit.publish_model(text, integer),
    credit._refuse_forbidden(jsonb), credit.forbid_attribute(text, text), credit.set_publication_policy(text),
    credit._unpublished(text, integer), credit._model_seal(bigint), credit.submit_model(text, integer), credit.return_model(text, integer),
    credit.retire_model(text, integer), credit.discard_model(text, integer), credit.model_definition(text, integer),
    credit._score_support(internal), credit.score(text, record), credit._score_columns(text, text[], "any"),
    credit.explain(text, record), credit.grade(text, float8), credit._evaluate(text, record),
    credit._grade_inputs(text, jsonb), credit._explain_inputs(text, jsonb), credit.explain(bigint), credit.rate(text, bigint, record), credit.replay(bigint, bigint), credit.replay(bigint),
    credit._rank_transition(internal, float8, boolean), credit._rank_combine(internal, internal),
    credit._rank_serialize(internal), credit._rank_deserialize(bytea, internal), credit._auc_final(internal),
    credit._gini_final(internal), credit._ks_final(internal),
    credit._psi_transition(internal, text, boolean), credit._psi_transition(internal, text, boolean, text),
    credit._psi_transition(internal, integer, boolean), credit._psi_transition(internal, integer, boolean, text),
    credit._psi_combine(internal, internal), credit._psi_serialize(internal), credit._psi_deserialize(bytea, internal),
    credit._psi_final(internal), credit.psi(float8[], float8[], text),
    credit.auc(float8, boolean), credit.gini(float8, boolean), credit.ks(float8, boolean),
    credit.psi(text, boolean), credit.psi(text, boolean, text), credit.psi(integer, boolean), credit.psi(integer, boolean, text)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.create_model(jsonb), credit.submit_model(text, integer), credit.return_model(text, integer),
    credit.forbid_attribute(text, text), credit.publish_model(text, integer), credit.retire_model(text, integer),
    credit.discard_model(text, integer), credit.rate(text, bigint, record), credit.explain(bigint), credit.replay(bigint, bigint),
    credit.replay(bigint) TO credit_operator;
GRANT EXECUTE ON FUNCTION credit.model_definition(text, integer), credit.model_conventions(text) TO credit_operator, credit_analyst, credit_institution, credit_auditor;
-- _score_columns is what the planner makes of score: whoever may call one must be able to call the other
GRANT EXECUTE ON FUNCTION credit.score(text, record), credit._score_columns(text, text[], "any"),
    credit.explain(text, record), credit.grade(text, float8), credit.grade_row(text, record) TO credit_operator, credit_analyst, credit_institution;
GRANT EXECUTE ON FUNCTION credit.psi(float8[], float8[], text),
    credit.auc(float8, boolean), credit.gini(float8, boolean), credit.ks(float8, boolean),
    credit.psi(text, boolean), credit.psi(text, boolean, text), credit.psi(integer, boolean), credit.psi(integer, boolean, text)
    TO credit_operator, credit_analyst, credit_institution, credit_auditor;
REVOKE ALL ON credit.model, credit.model_policy, credit.forbidden_attribute, credit.characteristic, credit.attribute, credit.reason, credit.grade_band,
    credit.model_field, credit.outside_grade, credit.grade_rule, credit.rating FROM PUBLIC;
GRANT SELECT ON credit.model, credit.model_policy, credit.forbidden_attribute, credit.characteristic, credit.attribute, credit.reason, credit.grade_band,
    credit.model_field, credit.outside_grade, credit.grade_rule
    TO credit_operator, credit_analyst, credit_institution, credit_auditor;
GRANT SELECT ON credit.rating TO credit_operator;
