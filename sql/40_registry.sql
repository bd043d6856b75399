-- ---------------------------------------------------------------------------
-- 40 registry: kinds, institutions, subjects, categories, regions, records
-- ---------------------------------------------------------------------------
-- Parts: the tables here, the data that the script ships in 41, the functions that enter and change in 42, ingestion,
-- data quality and rights in 43.
--
-- What a dump takes. Rows that the script ships are left out, the new CREATE EXTENSION brings them; what users entered
-- is taken, and so is a shipped row that an operator changed (modified_at is set): at restore such a row meets the
-- shipped one and replaces it (credit._keep_category, credit._keep_region).

-- kinds -----------------------------------------------------------------------

CREATE TABLE credit.institution_kind (
    code text PRIMARY KEY,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    is_department boolean NOT NULL,
    seed text NOT NULL
);
COMMENT ON TABLE credit.institution_kind IS 'kinds of institution, government departments and public bodies among them (机构类型)';
COMMENT ON COLUMN credit.institution_kind.is_department IS 'true for a government department or public body (政府部门)';
COMMENT ON COLUMN credit.institution_kind.seed IS 'clause of the policy document that names it';

CREATE TABLE credit.subject_kind (
    code text PRIMARY KEY,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    nature text NOT NULL CHECK (nature IN ('base', 'kind', 'attribute', 'role', 'state', 'object')),
    base_kinds text[] NOT NULL,
    seed text
);
COMMENT ON TABLE credit.subject_kind IS 'kinds of subject, with the attributes, roles and states a subject may have (信用主体类型)';
COMMENT ON COLUMN credit.subject_kind.nature IS
    'base: a subject is of exactly one of these; kind, attribute, role, state: dated property of a subject; object: neither';
COMMENT ON COLUMN credit.subject_kind.base_kinds IS 'base kinds whose subjects may have it';
COMMENT ON COLUMN credit.subject_kind.seed IS 'clause of the policy document that names it; NULL for a base kind that groups others';

-- regions ---------------------------------------------------------------------

CREATE TABLE credit.region (
    code credit.region_code PRIMARY KEY,
    name_zh text NOT NULL,
    level text NOT NULL CHECK (level IN ('province', 'city', 'county', 'township', 'village')),
    parent credit.region_code,
    retired boolean NOT NULL DEFAULT false,
    valid_from date,
    valid_to date,
    successor credit.region_code,
    modified_at timestamptz,
    CHECK (valid_to > valid_from)
);
COMMENT ON TABLE credit.region IS 'administrative divisions down to townships and villages, retired codes kept (行政区划); the provinces are shipped, credit.load_regions loads the rest';
COMMENT ON COLUMN credit.region.parent IS 'region above; no foreign key, a list may come in any order and in parts';
COMMENT ON COLUMN credit.region.retired IS 'no longer a current code; identifiers issued under it stay valid (已撤销)';
COMMENT ON COLUMN credit.region.valid_to IS 'first day on which the code was no longer current, where known';
COMMENT ON COLUMN credit.region.successor IS 'region that took it over, where there is one (沿革)';
COMMENT ON COLUMN credit.region.modified_at IS 'when a user entered or changed the row; NULL as shipped';

-- institutions ----------------------------------------------------------------

CREATE TABLE credit.institution (
    institution_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE CHECK (code ~ '^[A-Za-z0-9_.-]{1,64}$'),
    name_zh text NOT NULL,
    name_en text,
    kind text NOT NULL REFERENCES credit.institution_kind,
    db_role regrole NOT NULL UNIQUE,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    uscc credit.uscc UNIQUE,
    region credit.region_code,
    clearance smallint NOT NULL DEFAULT 4 CHECK (clearance BETWEEN 1 AND 4),
    registered_at timestamptz NOT NULL DEFAULT now(),
    status_changed_at timestamptz
);
COMMENT ON TABLE credit.institution IS 'banks, insurers, guarantors, departments: each is one database role (机构)';
COMMENT ON COLUMN credit.institution.db_role IS 'who is logged in, or set with SET ROLE, is this institution';
COMMENT ON COLUMN credit.institution.clearance IS 'highest level of fields that it sees uncovered; set with credit.set_institution_clearance (机构使用权限级别)';

-- subjects --------------------------------------------------------------------

CREATE TABLE credit.subject (
    subject_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL REFERENCES credit.subject_kind,
    uscc credit.uscc UNIQUE,
    resident_digest bytea UNIQUE CHECK (octet_length(resident_digest) = 32),
    resident_sealed bytea,
    code text CHECK (code ~ '^[A-Za-z0-9_.-]{1,64}$'),
    name text,
    region credit.region_code,
    registered_on date,
    log_salt bytea NOT NULL DEFAULT credit.random_bytes(16) CHECK (octet_length(log_salt) = 16),
    registered_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz,
    UNIQUE (kind, code),
    CHECK ((resident_digest IS NULL) = (resident_sealed IS NULL)),
    CHECK (uscc IS NOT NULL OR resident_digest IS NOT NULL OR code IS NOT NULL),
    CONSTRAINT subject_sole_trader_is_person CHECK (NOT credit.is_natural_person(uscc) OR kind = 'person_in_business')
);
COMMENT ON TABLE credit.subject IS 'enterprises, persons, households and areas that the information is about (信用主体)';
COMMENT ON COLUMN credit.subject.kind IS 'base kind';
COMMENT ON COLUMN credit.subject.resident_digest IS 'keyed hash of the resident identity number, to find it by (公民身份号码摘要)';
COMMENT ON COLUMN credit.subject.resident_sealed IS 'the resident identity number, encrypted (公民身份号码密封)';
COMMENT ON COLUMN credit.subject.code IS 'identifier of an area, group or household that has neither code nor number, unique in its kind';
COMMENT ON COLUMN credit.subject.region IS 'where it is; a retired or unknown code is accepted, credit.unknown_region lists the unknown ones';
COMMENT ON COLUMN credit.subject.log_salt IS 'keeps log entries about different subjects from being matched by guessing; no role may read it';

CREATE TABLE credit.subject_attribute (
    subject_id bigint NOT NULL REFERENCES credit.subject,
    kind_code text NOT NULL REFERENCES credit.subject_kind,
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from),
    source text,
    PRIMARY KEY (subject_id, kind_code, valid_from)
);
COMMENT ON TABLE credit.subject_attribute IS 'attributes, roles and states of subjects, each from valid_from up to but not on valid_to (主体属性)';

-- categories ------------------------------------------------------------------

CREATE FUNCTION credit.category_schema(notation text, open boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item text;
    part text[];
    fields jsonb := '{}';
BEGIN
    IF notation IS NULL THEN
        RETURN NULL;
    END IF;
    FOREACH item IN ARRAY regexp_split_to_array(notation, '\s*,\s*') LOOP
        part := regexp_match(item, '^\s*([a-z][a-z0-9_]{0,62}) +(?:(text|integer|numeric|date|boolean)|\(([^()]+)\))(!?)\s*$');
        IF part IS NULL THEN
            RAISE EXCEPTION 'field "%" is not written as a schema field', item
                USING ERRCODE = 'invalid_parameter_value',
                      DETAIL = 'A field is a lower-case name, then text, integer, numeric, date, boolean or a code list (a|b|c); an exclamation mark makes it required.';
        END IF;
        IF fields ? part[1] THEN
            RAISE EXCEPTION 'field "%" stands twice in the schema', part[1] USING ERRCODE = 'duplicate_column';
        END IF;
        fields := fields || jsonb_build_object(part[1],
            CASE WHEN part[2] IS NULL
                 THEN jsonb_build_object('type', 'code', 'codes', to_jsonb(string_to_array(part[3], '|')))
                 ELSE jsonb_build_object('type', part[2]) END
            || CASE WHEN part[4] = '!' THEN '{"required": true}'::jsonb ELSE '{}' END);
    END LOOP;
    RETURN jsonb_build_object('fields', fields, 'open', COALESCE(open, false));
END
$$;
COMMENT ON FUNCTION credit.category_schema(text, boolean) IS
    'schema from its short form, for example ''period date!, tax_type text, class (A|B|C)''; open keeps fields it does not name (类别数据结构)';

-- What is wrong with a schema, NULL when nothing is. A name of ours in a row is never the schema's.
CREATE FUNCTION credit._schema_fault(schema jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text;
    field jsonb;
BEGIN
    IF jsonb_typeof(schema) <> 'object' OR jsonb_typeof(schema -> 'fields') IS DISTINCT FROM 'object'
       OR jsonb_typeof(COALESCE(schema -> 'open', 'false')) <> 'boolean' THEN
        RETURN 'A schema is an object with an object "fields" and, if wanted, a boolean "open".';
    END IF;
    FOR name, field IN SELECT * FROM jsonb_each(schema -> 'fields') LOOP
        IF name !~ '^[a-z][a-z0-9_]{0,62}$'
           OR name IN ('uscc', 'resident_id', 'subject_id', 'dated', 'valid_from', 'valid_to', 'polarity', 'source_key',
                       'payload') THEN
            RETURN format('Field "%s" is badly named: lower-case letters, digits and underscores, and no name that every row has.', name);
        END IF;
        IF jsonb_typeof(field) <> 'object'
           OR COALESCE(field ->> 'type', '') NOT IN ('text', 'integer', 'numeric', 'date', 'boolean', 'code')
           OR jsonb_typeof(COALESCE(field -> 'required', 'false')) <> 'boolean' THEN
            RETURN format('Field "%s" needs a type (text, integer, numeric, date, boolean, code) and may have a boolean "required".', name);
        END IF;
        IF NOT (COALESCE(field -> 'level', '1') IN ('1', '2', '3', '4')) THEN
            RETURN format('Level of field "%s" is not 1, 2, 3 or 4.', name);
        END IF;
        IF jsonb_typeof(COALESCE(field -> 'name_zh', '""')) <> 'string' THEN
            RETURN format('Chinese name of field "%s" is not a text.', name);
        END IF;
        IF field ->> 'type' = 'code'
           AND NOT (jsonb_typeof(field -> 'codes') IS NOT DISTINCT FROM 'array'
                    AND jsonb_path_exists(field, 'lax $.codes[*]')
                    AND NOT jsonb_path_exists(field, '$.codes[*] ? (@.type() != "string" || @ == "")')) THEN
            RETURN format('Field "%s" of type code needs an array "codes" of texts.', name);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

CREATE TABLE credit.category (
    category_id smallint PRIMARY KEY CHECK (category_id BETWEEN 1 AND 127),
    code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9_]{0,62}$'),
    name_zh text NOT NULL,
    name_en text NOT NULL,
    category_group text NOT NULL,
    source_department text NOT NULL,
    source_customary boolean NOT NULL DEFAULT false,
    subject_kinds text[] NOT NULL,
    default_polarity text NOT NULL DEFAULT 'neutral' CHECK (default_polarity IN ('positive', 'neutral', 'adverse')),
    public_by_law boolean NOT NULL DEFAULT false,
    public_basis text,
    level smallint NOT NULL DEFAULT 3 CHECK (level BETWEEN 1 AND 4),
    schema jsonb CHECK (credit._schema_fault(schema) IS NULL),
    seed text,
    modified_at timestamptz,
    CHECK (NOT public_by_law OR public_basis IS NOT NULL)
);
COMMENT ON TABLE credit.category IS 'kinds of credit information; numbers 1 to 108 are shipped and never change, own ones follow (信用信息类别)';
COMMENT ON COLUMN credit.category.source_customary IS 'the document does not name the source department, the customary holder is given';
COMMENT ON COLUMN credit.category.subject_kinds IS 'base kinds of the subjects that it concerns';
COMMENT ON COLUMN credit.category.default_polarity IS 'polarity of a record whose row gives none';
COMMENT ON COLUMN credit.category.public_by_law IS
    'readable without consent, still recorded (依法公开). No document lists the public categories (D-24): this is the operator''s parameter, set with credit.set_category_public, with a cautious default';
COMMENT ON COLUMN credit.category.public_basis IS 'why it is public (公开依据)';
COMMENT ON COLUMN credit.category.schema IS
    'fields of the payload: {"fields": {name: {"type", "required", "codes", "level", "name_zh"}}, "open"}; NULL for an umbrella term, which holds no records';
COMMENT ON COLUMN credit.category.level IS
    'sensitivity of its fields, 1 (public) to 4, for those whose schema gives them none of their own; the operator''s parameter, set with credit.set_category_level (信息分级)';
COMMENT ON COLUMN credit.category.seed IS 'clauses of the policy documents that name it';
COMMENT ON COLUMN credit.category.modified_at IS 'when a user entered or changed the row; NULL as shipped';

CREATE TABLE credit.category_provider (
    category_id smallint NOT NULL REFERENCES credit.category,
    institution_id integer NOT NULL REFERENCES credit.institution,
    expected_every interval CHECK (expected_every > '0'),
    assigned_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (category_id, institution_id)
);
COMMENT ON TABLE credit.category_provider IS 'which institution may deliver which category (数据提供部门)';
COMMENT ON COLUMN credit.category_provider.expected_every IS 'a delivery is stale when the last one is older; NULL when none is owed';

-- records ---------------------------------------------------------------------

CREATE TABLE credit.batch (
    batch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content text NOT NULL CHECK (content IN ('record', 'subject', 'region', 'ledger')),
    category_id smallint REFERENCES credit.category,
    ledger text,
    provider_id integer REFERENCES credit.institution,
    delivered_by text NOT NULL,
    batch_key text,
    received bigint NOT NULL DEFAULT 0,
    inserted bigint NOT NULL DEFAULT 0,
    updated bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    unknown_region bigint NOT NULL DEFAULT 0,
    newest_dated date,
    opened_in xid8,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    CHECK ((content = 'record') = (category_id IS NOT NULL)),
    CHECK ((content = 'ledger') = (ledger IS NOT NULL)),
    CHECK (finished_at IS NULL OR received = inserted + updated + unchanged + refused)
);
CREATE INDEX batch_key_idx ON credit.batch (provider_id, category_id, batch_key);
COMMENT ON TABLE credit.batch IS 'deliveries, one row for each time one was given (批次)';
COMMENT ON COLUMN credit.batch.ledger IS 'where the rows went, of a delivery to a ledger (台账)';
COMMENT ON COLUMN credit.batch.provider_id IS 'institution that delivered; NULL for an operator';
COMMENT ON COLUMN credit.batch.delivered_by IS 'database role that delivered';
COMMENT ON COLUMN credit.batch.batch_key IS 'the provider''s name for the delivery; the same name again is the same delivery given again';
COMMENT ON COLUMN credit.batch.unknown_region IS 'good rows about subjects whose region credit.region does not have';
COMMENT ON COLUMN credit.batch.opened_in IS 'transaction that delivers, the only one that may add rows; NULL when finished';

CREATE TABLE credit.refused_row (
    batch_id bigint NOT NULL REFERENCES credit.batch,
    row_no bigint NOT NULL,
    row_given jsonb NOT NULL,
    row_sealed bytea,
    sqlstate text NOT NULL,
    reason text NOT NULL,
    detail text,
    PRIMARY KEY (batch_id, row_no)
);
COMMENT ON TABLE credit.refused_row IS 'rows of deliveries that did not go in, with the reason (退回数据)';
COMMENT ON COLUMN credit.refused_row.row_no IS 'number in the delivery, from 1';
COMMENT ON COLUMN credit.refused_row.row_given IS 'row as given, resident identity numbers covered';
COMMENT ON COLUMN credit.refused_row.row_sealed IS 'row as given, encrypted, when something was covered; credit.refused_rows opens it for the provider';

CREATE TABLE credit.record (
    subject_id bigint NOT NULL REFERENCES credit.subject,
    category_id smallint NOT NULL,
    record_id bigint GENERATED ALWAYS AS IDENTITY,
    provider_id integer NOT NULL,
    dated date NOT NULL,
    valid_from date,
    valid_to date,
    polarity text NOT NULL CHECK (polarity IN ('positive', 'neutral', 'adverse')),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disputed', 'repaired', 'withdrawn')),
    source_key text NOT NULL,
    payload jsonb NOT NULL,
    batch_id bigint NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    ingested_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz,
    status_reason text,
    PRIMARY KEY (subject_id, record_id),
    CONSTRAINT record_source UNIQUE (subject_id, source_key, provider_id, category_id),
    CHECK (valid_to > valid_from)
);
CREATE INDEX record_dated_idx ON credit.record (subject_id, category_id, dated);
-- Comparisons of text are leakproof to the server, so an estimate of EXPLAIN tells from statistics which texts are frequent, and
-- by histogram bounds which there are. Queries find records by subject, category and day.
ALTER TABLE credit.record ALTER COLUMN source_key SET STATISTICS 0, ALTER COLUMN polarity SET STATISTICS 0,
    ALTER COLUMN status SET STATISTICS 0, ALTER COLUMN status_reason SET STATISTICS 0;
COMMENT ON TABLE credit.record IS 'dated facts of one category about one subject (信用信息)';
COMMENT ON COLUMN credit.record.category_id IS 'no foreign key, nor for provider_id: they took a fifth of the time of a load; credit._keep_referenced keeps what records name';
COMMENT ON COLUMN credit.record.dated IS 'day of the fact, Asia/Shanghai';
COMMENT ON COLUMN credit.record.valid_to IS 'first day on which it is no longer valid';
COMMENT ON COLUMN credit.record.polarity IS 'positive, neutral or adverse for the subject (信息性质)';
COMMENT ON COLUMN credit.record.status IS 'active, disputed (异议中), repaired (已修复) or withdrawn (已撤回)';
COMMENT ON COLUMN credit.record.source_key IS 'the provider''s own key of the fact; derived from its content when the provider has none';
COMMENT ON CONSTRAINT record_source ON credit.record IS 'what makes a delivery idempotent';
COMMENT ON COLUMN credit.record.payload IS 'the fact, as the schema of the category says';
COMMENT ON COLUMN credit.record.batch_id IS 'delivery that wrote it last';
COMMENT ON COLUMN credit.record.revision IS '1 when first delivered, one more for each delivery that changed it';

-- The other half of a foreign key: a category or institution that records name cannot go.
CREATE FUNCTION credit._keep_referenced() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE credit.record IN SHARE MODE;
    IF TG_OP = 'TRUNCATE' THEN
        IF NOT EXISTS (SELECT FROM credit.record) THEN
            RETURN NULL;
        END IF;
    ELSIF TG_TABLE_NAME = 'category' THEN
        IF NOT EXISTS (SELECT FROM credit.record r WHERE r.category_id = OLD.category_id) THEN
            RETURN OLD;
        END IF;
    ELSIF NOT EXISTS (SELECT FROM credit.record r WHERE r.provider_id = OLD.institution_id) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% of credit.% would leave records without it', lower(TG_OP), TG_TABLE_NAME
        USING ERRCODE = 'foreign_key_violation';
END
$$;
CREATE TRIGGER keep_referenced BEFORE DELETE ON credit.category
    FOR EACH ROW EXECUTE FUNCTION credit._keep_referenced();
CREATE TRIGGER keep_referenced_truncate BEFORE TRUNCATE ON credit.category
    FOR EACH STATEMENT EXECUTE FUNCTION credit._keep_referenced();
CREATE TRIGGER keep_referenced BEFORE DELETE ON credit.institution
    FOR EACH ROW EXECUTE FUNCTION credit._keep_referenced();
CREATE TRIGGER keep_referenced_truncate BEFORE TRUNCATE ON credit.institution
    FOR EACH STATEMENT EXECUTE FUNCTION credit._keep_referenced();

-- Keys of unchanged rows of the delivery under way, to notice a second row with the same key; empty between deliveries.
CREATE UNLOGGED TABLE credit._batch_seen (
    batch_id bigint NOT NULL,
    subject_id bigint NOT NULL,
    record_id bigint NOT NULL,
    PRIMARY KEY (batch_id, subject_id, record_id)
);
COMMENT ON TABLE credit._batch_seen IS 'unchanged records of the delivery under way';

-- what a dump takes -----------------------------------------------------------

-- A restored row that differs from the shipped one takes its place.
CREATE FUNCTION credit._keep_category() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.modified_at IS NULL THEN
        RETURN NEW;
    END IF;
    UPDATE credit.category c
       SET (code, name_zh, name_en, category_group, source_department, source_customary, subject_kinds,
            default_polarity, public_by_law, public_basis, level, schema, seed, modified_at)
         = (NEW.code, NEW.name_zh, NEW.name_en, NEW.category_group, NEW.source_department, NEW.source_customary,
            NEW.subject_kinds, NEW.default_polarity, NEW.public_by_law, NEW.public_basis, NEW.level, NEW.schema, NEW.seed,
            NEW.modified_at)
     WHERE c.category_id = NEW.category_id AND c.modified_at IS NULL;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER keep_category BEFORE INSERT ON credit.category
    FOR EACH ROW EXECUTE FUNCTION credit._keep_category();

CREATE FUNCTION credit._keep_region() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.modified_at IS NULL THEN
        RETURN NEW;
    END IF;
    UPDATE credit.region r
       SET (name_zh, level, parent, retired, valid_from, valid_to, successor, modified_at)
         = (NEW.name_zh, NEW.level, NEW.parent, NEW.retired, NEW.valid_from, NEW.valid_to, NEW.successor, NEW.modified_at)
     WHERE (r.code OPERATOR(credit.=) NEW.code) AND r.modified_at IS NULL;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER keep_region BEFORE INSERT ON credit.region
    FOR EACH ROW EXECUTE FUNCTION credit._keep_region();

SELECT pg_catalog.pg_extension_config_dump('credit.category', 'WHERE modified_at IS NOT NULL');
SELECT pg_catalog.pg_extension_config_dump('credit.region', 'WHERE modified_at IS NOT NULL');
SELECT pg_catalog.pg_extension_config_dump('credit.institution', '');
SELECT pg_catalog.pg_extension_config_dump('credit.institution_institution_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.subject', '');
SELECT pg_catalog.pg_extension_config_dump('credit.subject_subject_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.subject_attribute', '');
SELECT pg_catalog.pg_extension_config_dump('credit.category_provider', '');
SELECT pg_catalog.pg_extension_config_dump('credit.batch', '');
SELECT pg_catalog.pg_extension_config_dump('credit.batch_batch_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.refused_row', '');
SELECT pg_catalog.pg_extension_config_dump('credit.record', '');
SELECT pg_catalog.pg_extension_config_dump('credit.record_record_id_seq', '');
