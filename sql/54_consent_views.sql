-- ---------------------------------------------------------------------------
-- 54 consent: a view for each category, levels and clearance
-- ---------------------------------------------------------------------------

-- fields of a payload -----------------------------------------------------------

-- None is leakproof: a condition on a column of a view is tried after the guard, never before.
CREATE FUNCTION credit._field_text(payload jsonb, field text, covered text[]) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_field_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._field_code(payload jsonb, field text, covered text[]) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_field_code' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._field_integer(payload jsonb, field text, covered text[]) RETURNS bigint
    AS 'MODULE_PATHNAME', 'pgcredit_field_integer' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._field_numeric(payload jsonb, field text, covered text[]) RETURNS numeric
    AS 'MODULE_PATHNAME', 'pgcredit_field_numeric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._field_date(payload jsonb, field text, covered text[]) RETURNS date
    AS 'MODULE_PATHNAME', 'pgcredit_field_date' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._field_boolean(payload jsonb, field text, covered text[]) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_field_boolean' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._field_text(jsonb, text, text[]) IS
    'a field of a payload as a column: null where it does not fit the type, covered where "covered" names it (信息项取值)';

-- Views run these as who queries: they ask who that is.
CREATE FUNCTION credit._guard_masked(subject_id bigint, category_id smallint, dated date) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_guard_masked' LANGUAGE C STABLE STRICT PARALLEL SAFE
    SUPPORT credit._guard_support;
COMMENT ON FUNCTION credit._guard_masked(bigint, smallint, date) IS
    'credit.guard for rows whose fields above the role''s clearance are covered (行级守卫，脱敏)';
CREATE FUNCTION credit._covered(category_id smallint) RETURNS text[]
    AS 'MODULE_PATHNAME', 'pgcredit_covered' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION credit._covered(smallint) IS 'fields of the category above the current role''s clearance (脱敏信息项)';

-- views -------------------------------------------------------------------------

-- Which view is whose. Derived: a restored category makes its view anew.
CREATE TABLE credit.category_view (
    category_id smallint PRIMARY KEY,
    view_name name NOT NULL UNIQUE,
    definition text NOT NULL
);
COMMENT ON TABLE credit.category_view IS 'the view of each category, in schema credit (类别视图)';
COMMENT ON COLUMN credit.category_view.view_name IS 'the category''s code, or the code and _record where another object has that name';
COMMENT ON COLUMN credit.category_view.definition IS 'the query that it was made of';

-- The name for a category's view: its code, unless an object of schema credit that is not its view has it already.
CREATE FUNCTION credit._category_view_name(category_id smallint, code text) RETURNS name
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted text := code;
    kept name;
    n integer := 1;
BEGIN
    SELECT v.view_name INTO kept FROM credit.category_view v WHERE v.category_id = _category_view_name.category_id;
    IF kept = code OR starts_with(kept, left(code, 50) || '_record') THEN
        RETURN kept;
    END IF;
    WHILE EXISTS (SELECT FROM pg_class c WHERE c.relname = wanted AND c.relnamespace = 'credit'::regnamespace)
       OR EXISTS (SELECT FROM pg_type t WHERE t.typname = wanted AND t.typnamespace = 'credit'::regnamespace)
       OR EXISTS (SELECT FROM pg_proc p WHERE p.proname = wanted AND p.pronamespace = 'credit'::regnamespace) LOOP
        wanted := left(code, 50) || '_record' || CASE WHEN n > 1 THEN n::text ELSE '' END;
        n := n + 1;
    END LOOP;
    RETURN wanted;
END
$$;

-- The columns for a schema's fields: required ones first, then by name. A field with the name of a column that every view
-- has gets payload_ before it.
CREATE FUNCTION credit._category_columns(schema jsonb,
        OUT place bigint, OUT field text, OUT column_name text, OUT sort text, OUT name_zh text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own constant text[] := '{subject_id,record_id,dated,valid_from,valid_to,polarity,status,provider,masked}';
BEGIN
    FOR place, field, sort, name_zh IN
        SELECT row_number() OVER (ORDER BY COALESCE(f.value -> 'required' = 'true', false) DESC, f.key COLLATE "C"),
               f.key, f.value ->> 'type', f.value ->> 'name_zh'
          FROM jsonb_each(schema -> 'fields') f
    LOOP
        column_name := field;
        IF field = ANY (own) THEN
            LOOP
                column_name := 'payload_' || column_name;
                EXIT WHEN NOT (schema -> 'fields') ? column_name;
            END LOOP;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

CREATE FUNCTION credit._category_query(category_id smallint, schema jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    covered constant text := format('(SELECT credit._covered(%L::smallint))', category_id);
    fields text;
BEGIN
    SELECT string_agg(format(E',\n       credit.%I(r.payload, %L::text, %s) AS %I', '_field_' || c.sort, c.field, covered, c.column_name),
                      '' ORDER BY c.place)
      INTO fields
      FROM credit._category_columns(schema) c;
    RETURN format(E'SELECT r.subject_id, r.record_id, r.dated, r.valid_from, r.valid_to, r.polarity, r.status,\n'
                  '       i.code AS provider, %s AS masked%s\n'
                  '  FROM credit.record r LEFT JOIN credit.institution i ON i.institution_id = r.provider_id\n'
                  ' WHERE r.category_id = %L::smallint AND credit._guard_masked(r.subject_id, r.category_id, r.dated)',
                  covered, COALESCE(fields, ''), category_id);
END
$$;

-- Take a view out of the extension, and then away.
CREATE FUNCTION credit._drop_category_view(view_name name) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c
                    WHERE c.relname = _drop_category_view.view_name AND c.relkind = 'v'
                      AND c.relnamespace = 'credit'::regnamespace) THEN
        RETURN;
    END IF;
    EXECUTE format('ALTER EXTENSION pgcredit DROP VIEW credit.%I', view_name);
    BEGIN
        EXECUTE format('DROP VIEW credit.%I', view_name);
    EXCEPTION WHEN dependent_objects_still_exist THEN
        RAISE EXCEPTION 'view credit.% cannot be made anew: other objects depend on it', quote_ident(view_name)
            USING ERRCODE = 'dependent_objects_still_exist',
                  DETAIL = 'The columns that it has would change, and PostgreSQL can only add some at its end.',
                  HINT = 'Drop the objects that depend on it first; DROP VIEW would name them.';
    END;
END
$$;

-- One view as its category says now. Identifiers and literals are quoted whatever the checks on codes and fields allow: this
-- runs with the rights of the owner.
CREATE FUNCTION credit._make_category_view(category credit.category) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept credit.category_view;
    name name := credit._category_view_name(category.category_id, category.code);
    query text := credit._category_query(category.category_id, category.schema);
    named text;
    c record;
BEGIN
    SELECT * INTO kept FROM credit.category_view v WHERE v.category_id = category.category_id;
    -- a new code is a new name
    IF kept.view_name <> name THEN
        PERFORM credit._drop_category_view(kept.view_name);
    END IF;
    BEGIN
        EXECUTE format('CREATE OR REPLACE VIEW credit.%I WITH (security_barrier = true) AS %s', name, query);
    EXCEPTION WHEN invalid_table_definition THEN
        PERFORM credit._drop_category_view(name);
        EXECUTE format('CREATE VIEW credit.%I WITH (security_barrier = true) AS %s', name, query);
    END;
    EXECUTE format('REVOKE ALL ON credit.%I FROM PUBLIC', name);
    EXECUTE format('GRANT SELECT ON credit.%I TO credit_institution', name);
    EXECUTE format('COMMENT ON VIEW credit.%I IS %L', name,
                   format('records of category %s under consent: %s (%s)', category.code, category.name_en, category.name_zh));
    EXECUTE format('COMMENT ON COLUMN credit.%I.masked IS %L', name,
                   'fields that are covered here: their level is above the role''s clearance (已脱敏信息项)');
    EXECUTE format('COMMENT ON COLUMN credit.%I.provider IS %L', name, 'code of the institution that delivered it (数据提供部门)');
    FOR c IN SELECT * FROM credit._category_columns(category.schema) LOOP
        EXECUTE format('COMMENT ON COLUMN credit.%I.%I IS %L', name, c.column_name, c.name_zh);
    END LOOP;
    -- A member of the extension: it goes with it, and a dump leaves it to the restored category.
    IF NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = format('credit.%I', name)::regclass AND d.deptype = 'e') THEN
        EXECUTE format('ALTER EXTENSION pgcredit ADD VIEW credit.%I', name);
    END IF;
    INSERT INTO credit.category_view AS v (category_id, view_name, definition) VALUES (category.category_id, name, query)
    ON CONFLICT ON CONSTRAINT category_view_pkey DO UPDATE SET view_name = EXCLUDED.view_name, definition = EXCLUDED.definition;
END
$$;

CREATE FUNCTION credit.rebuild_category_views(every boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone credit.category_view;
    c credit.category;
    made integer := 0;
BEGIN
    IF every IS NULL THEN
        RAISE EXCEPTION 'every must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    LOCK TABLE credit.category_view IN SHARE ROW EXCLUSIVE MODE;
    FOR gone IN SELECT v.* FROM credit.category_view v
                 WHERE NOT EXISTS (SELECT FROM credit.category t WHERE t.category_id = v.category_id AND t.schema IS NOT NULL)
                 ORDER BY v.category_id LOOP
        PERFORM credit._drop_category_view(gone.view_name);
        DELETE FROM credit.category_view v WHERE v.category_id = gone.category_id;
    END LOOP;
    FOR c IN SELECT t.* FROM credit.category t WHERE t.schema IS NOT NULL ORDER BY t.category_id LOOP
        IF every OR NOT EXISTS (
               SELECT FROM credit.category_view v
                 JOIN pg_class r ON r.relname = v.view_name AND r.relnamespace = 'credit'::regnamespace AND r.relkind = 'v'
                WHERE v.category_id = c.category_id AND v.definition = credit._category_query(c.category_id, c.schema)
                  AND v.view_name = credit._category_view_name(c.category_id, c.code)) THEN
            PERFORM credit._make_category_view(c);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION credit.rebuild_category_views(boolean) IS
    'makes the views of categories that lack one or have changed, or all of them; returns how many (重建类别视图)';

-- Whatever changes categories: our functions, the administrator, a dump coming back, a subscription.
CREATE FUNCTION credit._categories_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM credit.rebuild_category_views();
    RETURN NULL;
END
$$;
CREATE TRIGGER category_views AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credit.category
    FOR EACH STATEMENT EXECUTE FUNCTION credit._categories_changed();
ALTER TABLE credit.category ENABLE ALWAYS TRIGGER category_views;

-- levels and clearance ------------------------------------------------------------

CREATE FUNCTION credit.set_category_level(code text, level integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.category := credit._category(set_category_level.code);
BEGIN
    IF set_category_level.level IS NULL OR set_category_level.level NOT BETWEEN 1 AND 4 THEN
        RAISE EXCEPTION 'level % does not exist', set_category_level.level
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Levels are 1 (public) to 4 (most sensitive).';
    END IF;
    UPDATE credit.category t SET level = set_category_level.level, modified_at = clock_timestamp()
     WHERE t.category_id = c.category_id;
END
$$;
COMMENT ON FUNCTION credit.set_category_level(text, integer) IS
    'say how sensitive the fields of a category are that have no level of their own, 1 to 4 (设置信息级别)';

CREATE FUNCTION credit.set_institution_clearance(code text, clearance integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF set_institution_clearance.clearance IS NULL OR set_institution_clearance.clearance NOT BETWEEN 1 AND 4 THEN
        RAISE EXCEPTION 'clearance % does not exist', set_institution_clearance.clearance
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Levels are 1 (public) to 4 (most sensitive).';
    END IF;
    UPDATE credit.institution i SET clearance = set_institution_clearance.clearance
     WHERE i.code = set_institution_clearance.code;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown institution "%"', set_institution_clearance.code USING ERRCODE = 'undefined_object';
    END IF;
END
$$;
COMMENT ON FUNCTION credit.set_institution_clearance(text, integer) IS
    'say up to which level an institution sees fields uncovered, 1 to 4 (设置机构使用权限级别)';

REVOKE ALL ON credit.category_view FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._field_text(jsonb, text, text[]), credit._field_code(jsonb, text, text[]),
    credit._field_integer(jsonb, text, text[]), credit._field_numeric(jsonb, text, text[]),
    credit._field_date(jsonb, text, text[]), credit._field_boolean(jsonb, text, text[]),
    credit._guard_masked(bigint, smallint, date), credit._covered(smallint),
    credit._category_view_name(smallint, text), credit._category_columns(jsonb), credit._category_query(smallint, jsonb),
    credit._drop_category_view(name), credit._make_category_view(credit.category),
    credit.rebuild_category_views(boolean), credit._categories_changed(),
    credit.set_category_level(text, integer), credit.set_institution_clearance(text, integer) FROM PUBLIC;
GRANT SELECT ON credit.category_view TO credit_operator, credit_institution, credit_auditor;
GRANT EXECUTE ON FUNCTION credit._field_text(jsonb, text, text[]), credit._field_code(jsonb, text, text[]),
    credit._field_integer(jsonb, text, text[]), credit._field_numeric(jsonb, text, text[]),
    credit._field_date(jsonb, text, text[]), credit._field_boolean(jsonb, text, text[]),
    credit._guard_masked(bigint, smallint, date), credit._covered(smallint) TO credit_institution;
GRANT EXECUTE ON FUNCTION credit.rebuild_category_views(boolean),
    credit.set_category_level(text, integer), credit.set_institution_clearance(text, integer) TO credit_operator;

SELECT credit.rebuild_category_views();
