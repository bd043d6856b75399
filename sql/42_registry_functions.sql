-- ---------------------------------------------------------------------------
-- 40 registry, continued: functions that enter and change
-- ---------------------------------------------------------------------------

-- who is calling --------------------------------------------------------------

CREATE FUNCTION credit.calling_institution() RETURNS integer
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT i.institution_id FROM credit.institution i WHERE i.db_role = credit.calling_role();
    END;
COMMENT ON FUNCTION credit.calling_institution() IS 'number of the institution that is calling, NULL when the role is none (调用机构)';

-- Whether the caller has the rights of an operator; the owner and superusers have.
CREATE FUNCTION credit._is_operator() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT pg_catalog.pg_has_role(credit.calling_role()::oid, 'credit_operator', 'USAGE');
    END;

-- institutions: functions -----------------------------------------------------

CREATE FUNCTION credit.register_institution(code text, name_zh text, name_en text, kind text, db_role regrole,
                                            uscc credit.uscc DEFAULT NULL, region credit.region_code DEFAULT NULL)
    RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role record;
    reaches text;
    new_id integer;
    wanted text;
BEGIN
    SELECT * INTO role FROM pg_catalog.pg_roles r WHERE r.oid = register_institution.db_role;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role % does not exist', register_institution.db_role USING ERRCODE = 'undefined_object';
    END IF;
    -- A role that passes by privileges and row security could read without consent and without an entry.
    SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) INTO reaches
      FROM pg_catalog.pg_roles r
     WHERE (r.rolsuper OR r.rolbypassrls
            OR r.oid = (SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = 'credit')
            OR r.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
                             'pg_execute_server_program'))
       AND (r.oid = role.oid OR (NOT role.rolsuper AND pg_has_role(role.oid, r.oid, 'MEMBER')));
    IF reaches IS NOT NULL THEN
        RAISE EXCEPTION 'role "%" cannot be an institution', role.rolname
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('It is or can become %s, and so could pass by consent and log.', reaches),
                  HINT = 'Create a role of its own for each institution.';
    END IF;
    IF role.rolname IN ('credit_operator', 'credit_portal', 'credit_provider', 'credit_institution',
                        'credit_analyst', 'credit_auditor') THEN
        RAISE EXCEPTION 'role "%" cannot be an institution', role.rolname
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It is a group, not one institution.',
                  HINT = 'Create a role of its own for each institution.';
    END IF;
    IF NOT EXISTS (SELECT FROM credit.institution_kind k WHERE k.code = register_institution.kind) THEN
        RAISE EXCEPTION 'unknown kind of institution "%"', register_institution.kind
            USING ERRCODE = 'invalid_parameter_value', HINT = 'credit.institution_kind lists them.';
    END IF;
    INSERT INTO credit.institution AS i (code, name_zh, name_en, kind, db_role, uscc, region)
    VALUES (register_institution.code, register_institution.name_zh, register_institution.name_en,
            register_institution.kind, register_institution.db_role, register_institution.uscc, register_institution.region)
    RETURNING i.institution_id INTO new_id;

    -- Memberships are given by the administrator: a function that grants them would be a way to them.
    SELECT CASE WHEN k.is_department THEN 'credit_provider' ELSE 'credit_institution' END INTO wanted
      FROM credit.institution_kind k WHERE k.code = register_institution.kind;
    IF NOT pg_has_role(role.oid, 'credit_institution', 'MEMBER') AND NOT pg_has_role(role.oid, 'credit_provider', 'MEMBER') THEN
        RAISE NOTICE 'role "%" has no rights on the platform yet', role.rolname
            USING HINT = format('GRANT %I TO %I.', wanted, role.rolname);
    END IF;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION credit.register_institution(text, text, text, text, regrole, credit.uscc, credit.region_code) IS
    'enter an institution and bind it to a database role (机构登记)';

CREATE FUNCTION credit.set_institution_status(code text, status text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF set_institution_status.status IS NULL OR set_institution_status.status NOT IN ('active', 'suspended') THEN
        RAISE EXCEPTION 'unknown status "%"', set_institution_status.status
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A status is active or suspended.';
    END IF;
    UPDATE credit.institution i
       SET status = set_institution_status.status, status_changed_at = clock_timestamp()
     WHERE i.code = set_institution_status.code;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown institution "%"', set_institution_status.code USING ERRCODE = 'undefined_object';
    END IF;
END
$$;
COMMENT ON FUNCTION credit.set_institution_status(text, text) IS 'suspend an institution, or make it active again (机构状态)';

-- subjects: functions ---------------------------------------------------------

-- The base kind for a given one, and the property that goes with it; derived from the identifiers when none is given.
-- Raises invalid_parameter_value when the kind is no kind of subject or cannot have this identifier.
CREATE FUNCTION credit._base_kind(given text, uscc credit.uscc, has_number boolean, OUT base text, OUT property text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known credit.subject_kind;
BEGIN
    IF given IS NULL THEN
        base := CASE WHEN credit.is_natural_person(uscc) THEN 'person_in_business'
                     WHEN left(uscc::text, 2) = '91' THEN 'enterprise'
                     WHEN uscc IS NOT NULL THEN 'organisation'
                     WHEN has_number THEN 'person' END;
        IF base IS NULL THEN
            RAISE EXCEPTION 'kind of subject is missing'
                USING ERRCODE = 'invalid_parameter_value',
                      DETAIL = 'It follows from a unified social credit code or a resident identity number only.';
        END IF;
        RETURN;
    END IF;
    SELECT * INTO known FROM credit.subject_kind k WHERE k.code = given;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown kind of subject "%"', given
            USING ERRCODE = 'invalid_parameter_value', HINT = 'credit.subject_kind lists them.';
    END IF;
    IF known.nature = 'base' THEN
        base := given;
    ELSIF known.nature = 'kind' THEN
        property := given;
        base := CASE WHEN credit.is_natural_person(uscc) AND 'person_in_business' = ANY (known.base_kinds) THEN 'person_in_business'
                     WHEN has_number AND uscc IS NULL AND 'person' = ANY (known.base_kinds) THEN 'person'
                     ELSE known.base_kinds[1] END;
    ELSE
        RAISE EXCEPTION '"%" is no kind of subject of its own', given
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = CASE known.nature WHEN 'object' THEN 'It is a thing, not somebody whom information is about.'
                                ELSE format('It is one of a subject''s dated properties (%s).', known.nature) END,
                  HINT = CASE WHEN known.nature <> 'object'
                              THEN 'Register the subject under its base kind and call credit.set_subject_attribute.'
                              ELSE 'Register the subject that it belongs to.' END;
    END IF;
    IF credit.is_natural_person(uscc) AND base <> 'person_in_business' THEN
        RAISE EXCEPTION 'a sole trader is a natural person in business, not of kind "%"', given
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Unified social credit codes that begin with 92 belong to individual businesses.';
    END IF;
    IF has_number AND base NOT IN ('person', 'person_in_business', 'household') THEN
        RAISE EXCEPTION 'a subject of kind "%" has no resident identity number', base
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF uscc IS NOT NULL AND (base IN ('area', 'group') OR (base = 'person' AND NOT credit.is_natural_person(uscc))) THEN
        RAISE EXCEPTION 'a subject of kind "%" has no unified social credit code', base
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;

-- Enter a subject or complete the one that has these identifiers. An operator may change what is there; others may only
-- fill what is empty, and may not bind a further identifier to a subject that exists: that would let a provider join a
-- person to somebody else's business. Idempotent; two sessions that enter the same subject get the same number.
CREATE FUNCTION credit._put_subject(kind text, uscc credit.uscc, resident_id credit.resident_id, code text, name text,
                                    region credit.region_code, registered_on date, may_change boolean,
                                    OUT subject_id bigint, OUT outcome text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    number_digest bytea := credit.resident_digest(_put_subject.resident_id);
    hits bigint[];
    old credit.subject;
    new credit.subject;
    k record;
BEGIN
    IF _put_subject.uscc IS NULL AND number_digest IS NULL AND _put_subject.code IS NULL THEN
        RAISE EXCEPTION 'subject has no identifier'
            USING ERRCODE = 'PC301',
                  DETAIL = 'A subject is known by a unified social credit code, a resident identity number, or a code of its own in its kind.';
    END IF;
    IF credit._mask_text(_put_subject.name) <> _put_subject.name OR credit._mask_text(_put_subject.code) <> _put_subject.code THEN
        RAISE EXCEPTION 'name or code of a subject carries a resident identity number'
            USING ERRCODE = 'PC301', HINT = 'Give it as resident_id; it is never stored in clear.';
    END IF;
    k := credit._base_kind(_put_subject.kind, _put_subject.uscc, number_digest IS NOT NULL);
    FOR attempt IN 1..2 LOOP
        SELECT array_agg(DISTINCT s.subject_id) INTO hits
          FROM credit.subject s
         WHERE (s.uscc OPERATOR(credit.=) _put_subject.uscc)
            OR s.resident_digest = number_digest
            OR (s.kind = k.base AND s.code = _put_subject.code);
        EXIT WHEN hits IS NOT NULL;
        INSERT INTO credit.subject AS s (kind, uscc, resident_digest, resident_sealed, code, name, region, registered_on)
        VALUES (k.base, _put_subject.uscc, number_digest, credit.seal_resident_id(_put_subject.resident_id), _put_subject.code,
                _put_subject.name, COALESCE(_put_subject.region, credit.region_of(_put_subject.uscc)), _put_subject.registered_on)
        ON CONFLICT DO NOTHING
        RETURNING s.subject_id INTO _put_subject.subject_id;
        IF _put_subject.subject_id IS NOT NULL THEN
            outcome := 'inserted';
            EXIT;
        END IF;
    END LOOP;
    IF outcome IS NULL AND hits IS NULL THEN
        RAISE EXCEPTION 'another session is entering this subject' USING ERRCODE = 'serialization_failure', HINT = 'Try again.';
    END IF;
    IF outcome IS NULL THEN
        IF cardinality(hits) > 1 THEN
            RAISE EXCEPTION 'identifiers name different subjects'
                USING ERRCODE = 'PC301', DETAIL = format('They name subjects %s.', array_to_string(hits, ' and '));
        END IF;
        SELECT * INTO old FROM credit.subject s WHERE s.subject_id = hits[1] FOR UPDATE;
        _put_subject.subject_id := old.subject_id;
        IF old.kind <> k.base AND _put_subject.kind IS NOT NULL THEN
            RAISE EXCEPTION 'subject % is of kind "%", not "%"', old.subject_id, old.kind, k.base USING ERRCODE = 'PC301';
        END IF;
        IF (old.uscc OPERATOR(credit.<>) _put_subject.uscc) OR old.resident_digest <> number_digest OR old.code <> _put_subject.code THEN
            RAISE EXCEPTION 'identifiers name different subjects'
                USING ERRCODE = 'PC301', DETAIL = format('Subject %s has another identifier of the same sort.', old.subject_id);
        END IF;
        new := old;
        new.uscc := COALESCE(old.uscc, _put_subject.uscc);
        new.code := COALESCE(old.code, _put_subject.code);
        IF old.resident_digest IS NULL AND number_digest IS NOT NULL THEN
            new.resident_digest := number_digest;
            new.resident_sealed := credit.seal_resident_id(_put_subject.resident_id);
        END IF;
        IF NOT may_change AND ((old.uscc IS NULL) <> (new.uscc IS NULL) OR (old.code IS NULL) <> (new.code IS NULL)
                               OR (old.resident_digest IS NULL) <> (new.resident_digest IS NULL)) THEN
            RAISE EXCEPTION 'only an operator may add an identifier to subject %', old.subject_id
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        IF may_change THEN
            new.name := COALESCE(_put_subject.name, old.name);
            new.region := COALESCE(_put_subject.region, old.region);
            new.registered_on := COALESCE(_put_subject.registered_on, old.registered_on);
        ELSE
            new.name := COALESCE(old.name, _put_subject.name);
            new.region := COALESCE(old.region, _put_subject.region);
            new.registered_on := COALESCE(old.registered_on, _put_subject.registered_on);
        END IF;
        outcome := 'unchanged';
        IF to_jsonb(new) <> to_jsonb(old) THEN
            UPDATE credit.subject s
               SET uscc = new.uscc, resident_digest = new.resident_digest, resident_sealed = new.resident_sealed,
                   code = new.code, name = new.name, region = new.region, registered_on = new.registered_on,
                   changed_at = clock_timestamp()
             WHERE s.subject_id = old.subject_id;
            outcome := 'updated';
        END IF;
    END IF;
    IF k.property IS NOT NULL
       AND NOT EXISTS (SELECT FROM credit.subject_attribute a
                        WHERE a.subject_id = _put_subject.subject_id AND a.kind_code = k.property AND a.valid_to IS NULL) THEN
        INSERT INTO credit.subject_attribute (subject_id, kind_code, valid_from, source)
        VALUES (_put_subject.subject_id, k.property,
                COALESCE(_put_subject.registered_on, (now() AT TIME ZONE 'Asia/Shanghai')::date), 'registration')
        ON CONFLICT DO NOTHING;
        IF FOUND AND outcome = 'unchanged' THEN
            outcome := 'updated';
        END IF;
    END IF;
END
$$;

CREATE FUNCTION credit.register_subject(kind text DEFAULT NULL, uscc credit.uscc DEFAULT NULL,
                                        resident_id credit.resident_id DEFAULT NULL, name text DEFAULT NULL,
                                        region credit.region_code DEFAULT NULL, code text DEFAULT NULL,
                                        registered_on date DEFAULT NULL) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT p.subject_id
          FROM credit._put_subject(kind, uscc, resident_id, code, name, region, registered_on, credit._is_operator()) p;
    END;
COMMENT ON FUNCTION credit.register_subject(text, credit.uscc, credit.resident_id, text, credit.region_code, text, date) IS
    'number of the subject with these identifiers, entered if it is new (主体登记)';

CREATE FUNCTION credit.subject_id(uscc credit.uscc) RETURNS bigint
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT s.subject_id FROM credit.subject s WHERE s.uscc = subject_id.uscc;
    END;
COMMENT ON FUNCTION credit.subject_id(credit.uscc) IS 'number of the subject with this code, NULL when there is none (按统一社会信用代码查主体)';

CREATE FUNCTION credit.subject_id(resident_id credit.resident_id) RETURNS bigint
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT s.subject_id FROM credit.subject s WHERE s.resident_digest = credit.resident_digest(subject_id.resident_id);
    END;
COMMENT ON FUNCTION credit.subject_id(credit.resident_id) IS 'number of the subject with this resident identity number, NULL when there is none (按公民身份号码查主体)';

CREATE FUNCTION credit.subject_id(identifier text) RETURNS bigint
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT s.subject_id FROM credit.subject s WHERE s.uscc = credit.uscc(identifier);
    END;
COMMENT ON FUNCTION credit.subject_id(text) IS 'the same for a unified social credit code that comes as text; raises 22P02 when it is none';

CREATE FUNCTION credit.set_subject_attribute(subject_id bigint, kind text, valid_from date, valid_to date DEFAULT NULL,
                                             source text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    base text;
    property credit.subject_kind;
BEGIN
    SELECT s.kind INTO base FROM credit.subject s WHERE s.subject_id = set_subject_attribute.subject_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown subject %', set_subject_attribute.subject_id USING ERRCODE = 'PC103';
    END IF;
    SELECT * INTO property FROM credit.subject_kind k WHERE k.code = set_subject_attribute.kind;
    IF NOT FOUND OR property.nature IN ('base', 'object') THEN
        RAISE EXCEPTION '"%" is no property of a subject', set_subject_attribute.kind
            USING ERRCODE = 'invalid_parameter_value', HINT = 'credit.subject_kind lists them.';
    END IF;
    IF base <> ALL (property.base_kinds) THEN
        RAISE EXCEPTION 'a subject of kind "%" cannot be "%"', base, set_subject_attribute.kind
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('It is a property of %s.', array_to_string(property.base_kinds, ', '));
    END IF;
    IF EXISTS (SELECT FROM credit.subject_attribute a
                WHERE a.subject_id = set_subject_attribute.subject_id AND a.kind_code = set_subject_attribute.kind
                  AND a.valid_from <> set_subject_attribute.valid_from
                  AND daterange(a.valid_from, a.valid_to) && daterange(set_subject_attribute.valid_from, set_subject_attribute.valid_to)) THEN
        RAISE EXCEPTION 'subject % is "%" already in a part of that time', set_subject_attribute.subject_id, set_subject_attribute.kind
            USING ERRCODE = 'exclusion_violation', HINT = 'End the earlier period first: give its valid_from again with a valid_to.';
    END IF;
    INSERT INTO credit.subject_attribute AS a (subject_id, kind_code, valid_from, valid_to, source)
    VALUES (set_subject_attribute.subject_id, set_subject_attribute.kind, set_subject_attribute.valid_from,
            set_subject_attribute.valid_to, credit._mask_text(set_subject_attribute.source))
    ON CONFLICT (subject_id, kind_code, valid_from) DO UPDATE
       SET valid_to = EXCLUDED.valid_to, source = COALESCE(EXCLUDED.source, a.source);
END
$$;
COMMENT ON FUNCTION credit.set_subject_attribute(bigint, text, date, date, text) IS
    'say that a subject has an attribute, role or state in [valid_from, valid_to); the same valid_from again changes the period (主体属性登记)';

-- categories: functions -------------------------------------------------------

-- The category with this code; raises PC104 when there is none.
CREATE FUNCTION credit._category(code text) RETURNS credit.category
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_one credit.category;
BEGIN
    SELECT * INTO found_one FROM credit.category c WHERE c.code = _category.code;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown category "%"', _category.code
            USING ERRCODE = 'PC104', HINT = 'credit.category lists them.';
    END IF;
    RETURN found_one;
END
$$;

-- Raises invalid_parameter_value unless each is a base kind.
CREATE FUNCTION credit._check_base_kinds(kinds text[]) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF COALESCE(cardinality(kinds), 0) = 0
       OR EXISTS (SELECT FROM unnest(kinds) g(code)
                   WHERE NOT EXISTS (SELECT FROM credit.subject_kind k WHERE k.code = g.code AND k.nature = 'base')) THEN
        RAISE EXCEPTION 'subject kinds of a category are base kinds, one or more'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'credit.subject_kind lists them.';
    END IF;
END
$$;

CREATE FUNCTION credit.set_category_public(code text, public_by_law boolean, basis text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.category := credit._category(set_category_public.code);
BEGIN
    IF set_category_public.public_by_law IS NULL THEN
        RAISE EXCEPTION 'public_by_law must be true or false' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    UPDATE credit.category t
       SET public_by_law = set_category_public.public_by_law,
           public_basis = CASE WHEN set_category_public.public_by_law
                               THEN COALESCE(set_category_public.basis, t.public_basis, 'set by the operator') END,
           modified_at = clock_timestamp()
     WHERE t.category_id = c.category_id;
END
$$;
COMMENT ON FUNCTION credit.set_category_public(text, boolean, text) IS
    'say whether a category is public by law, and why (设置依法公开类别)';

CREATE FUNCTION credit.set_category_schema(code text, schema jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.category := credit._category(set_category_schema.code);
BEGIN
    IF c.schema IS NULL OR set_category_schema.schema IS NULL THEN
        RAISE EXCEPTION 'category "%" cannot have this schema', c.code
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'An umbrella term has no schema and every other category has one.';
    END IF;
    IF credit._schema_fault(set_category_schema.schema) IS NOT NULL THEN
        RAISE EXCEPTION 'schema of category "%" is not usable', c.code
            USING ERRCODE = 'invalid_parameter_value', DETAIL = credit._schema_fault(set_category_schema.schema);
    END IF;
    UPDATE credit.category t SET schema = set_category_schema.schema, modified_at = clock_timestamp()
     WHERE t.category_id = c.category_id;
END
$$;
COMMENT ON FUNCTION credit.set_category_schema(text, jsonb) IS
    'replace a category''s schema; it binds later deliveries, records that are there stay (设置类别数据结构)';

CREATE FUNCTION credit.set_category_kinds(code text, subject_kinds text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.category := credit._category(set_category_kinds.code);
BEGIN
    PERFORM credit._check_base_kinds(set_category_kinds.subject_kinds);
    UPDATE credit.category t SET subject_kinds = set_category_kinds.subject_kinds, modified_at = clock_timestamp()
     WHERE t.category_id = c.category_id;
END
$$;
COMMENT ON FUNCTION credit.set_category_kinds(text, text[]) IS 'say which base kinds of subject a category concerns (设置类别适用主体)';

CREATE FUNCTION credit.define_category(code text, name_zh text, name_en text, source_department text, subject_kinds text[],
                                       schema jsonb, default_polarity text DEFAULT 'neutral') RETURNS smallint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    next_id integer;
BEGIN
    PERFORM credit._check_base_kinds(define_category.subject_kinds);
    IF define_category.schema IS NULL OR credit._schema_fault(define_category.schema) IS NOT NULL THEN
        RAISE EXCEPTION 'schema of category "%" is not usable', define_category.code
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = COALESCE(credit._schema_fault(define_category.schema), 'It is missing.');
    END IF;
    LOCK TABLE credit.category IN SHARE ROW EXCLUSIVE MODE;
    SELECT GREATEST(max(c.category_id), 108) + 1 INTO next_id FROM credit.category c;
    IF next_id > 127 THEN
        RAISE EXCEPTION 'no category number is left'
            USING ERRCODE = 'program_limit_exceeded', DETAIL = 'Own categories have the numbers 109 to 127.';
    END IF;
    INSERT INTO credit.category (category_id, code, name_zh, name_en, category_group, source_department, subject_kinds,
                                 default_polarity, schema, modified_at)
    VALUES (next_id, define_category.code, define_category.name_zh, define_category.name_en, 'own',
            define_category.source_department, define_category.subject_kinds, define_category.default_polarity,
            define_category.schema, clock_timestamp());
    RETURN next_id;
END
$$;
COMMENT ON FUNCTION credit.define_category(text, text, text, text, text[], jsonb, text) IS
    'add a category of one''s own, numbers 109 to 127 (自定义类别)';

CREATE FUNCTION credit.assign_category(category text, institution text, expected_every interval DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.category := credit._category(assign_category.category);
    i integer;
BEGIN
    IF c.schema IS NULL THEN
        RAISE EXCEPTION 'category "%" is an umbrella term', c.code
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'It groups others and holds no records.';
    END IF;
    SELECT t.institution_id INTO i FROM credit.institution t WHERE t.code = assign_category.institution;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown institution "%"', assign_category.institution USING ERRCODE = 'undefined_object';
    END IF;
    INSERT INTO credit.category_provider AS p (category_id, institution_id, expected_every)
    VALUES (c.category_id, i, assign_category.expected_every)
    ON CONFLICT ON CONSTRAINT category_provider_pkey DO UPDATE SET expected_every = EXCLUDED.expected_every;
END
$$;
COMMENT ON FUNCTION credit.assign_category(text, text, interval) IS
    'let an institution deliver a category, and say how often it should (指定数据提供部门)';

CREATE FUNCTION credit.unassign_category(category text, institution text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.category := credit._category(unassign_category.category);
BEGIN
    DELETE FROM credit.category_provider p USING credit.institution i
     WHERE p.category_id = c.category_id AND p.institution_id = i.institution_id AND i.code = unassign_category.institution;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'institution "%" does not deliver category "%"', unassign_category.institution, c.code
            USING ERRCODE = 'undefined_object';
    END IF;
END
$$;
COMMENT ON FUNCTION credit.unassign_category(text, text) IS
    'let an institution deliver a category no longer; what it delivered stays (取消数据提供部门)';

-- records: functions ----------------------------------------------------------

CREATE FUNCTION credit.set_record_status(subject_id bigint, record_id bigint, status text, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    old credit.record;
BEGIN
    IF set_record_status.status IS NULL OR set_record_status.status NOT IN ('active', 'disputed', 'repaired', 'withdrawn') THEN
        RAISE EXCEPTION 'unknown status "%"', set_record_status.status
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A status is active, disputed, repaired or withdrawn.';
    END IF;
    IF COALESCE(btrim(set_record_status.reason), '') = '' THEN
        RAISE EXCEPTION 'a reason is required to change the status of a record' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT * INTO old FROM credit.record r
     WHERE r.subject_id = set_record_status.subject_id AND r.record_id = set_record_status.record_id
       FOR NO KEY UPDATE;
    -- A provider learns no more about others' records than that they are not its own.
    IF NOT credit._is_operator()
       AND NOT EXISTS (SELECT FROM credit.institution i
                        WHERE i.institution_id = old.provider_id AND i.institution_id = credit.calling_institution()
                          AND i.status = 'active') THEN
        RAISE EXCEPTION 'record % of subject % is not yours', set_record_status.record_id, set_record_status.subject_id
            USING ERRCODE = 'PC302', DETAIL = 'Its status is changed by the institution that delivered it or by an operator.';
    END IF;
    IF old.record_id IS NULL THEN
        RAISE EXCEPTION 'subject % has no record %', set_record_status.subject_id, set_record_status.record_id
            USING ERRCODE = 'no_data_found';
    END IF;
    UPDATE credit.record r
       SET status = set_record_status.status, status_reason = credit._mask_text(set_record_status.reason),
           changed_at = clock_timestamp()
     WHERE r.subject_id = old.subject_id AND r.record_id = old.record_id;
END
$$;
COMMENT ON FUNCTION credit.set_record_status(bigint, bigint, text, text) IS
    'dispute, repair, withdraw or reactivate a record; its provider or an operator (信用信息状态)';
