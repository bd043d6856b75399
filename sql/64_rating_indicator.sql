-- ---------------------------------------------------------------------------
-- 64 rating: indicators, the dated inputs of models, computed from records
-- ---------------------------------------------------------------------------
-- The query of an indicator is code that an administrator registered. It runs as credit_indicator, which owns nothing and may
-- read the three views below; they show rows only while src/rating/indicator.c computes, and none that is dated after its day.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'credit_indicator') THEN
        CREATE ROLE credit_indicator NOLOGIN;
    END IF;
END
$$;
GRANT USAGE ON SCHEMA credit TO credit_indicator;

CREATE TABLE credit.indicator (
    indicator_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL CHECK (code <> '' AND octet_length(code) <= 63),
    version integer NOT NULL CHECK (version > 0),
    type text NOT NULL CHECK (type IN ('number', 'text', 'boolean', 'date')),
    name_zh text,
    name_en text,
    query text NOT NULL,
    registered_by text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    replaced_at timestamptz,
    UNIQUE (code, version)
);
CREATE UNIQUE INDEX indicator_in_force ON credit.indicator (code) WHERE replaced_at IS NULL;
COMMENT ON TABLE credit.indicator IS 'what models read, computed from records as of a day by a registered query; one row per version (评级指标)';
COMMENT ON COLUMN credit.indicator.code IS 'name by which a characteristic''s field reads it (指标代码)';
COMMENT ON COLUMN credit.indicator.query IS
    'SELECT of subject (bigint), value and used records (bigint[]); $1 subjects bigint[], $2 as-of date (取数语句)';
COMMENT ON COLUMN credit.indicator.replaced_at IS 'when a newer version took its place or it was retired; NULL is in force';

CREATE TABLE credit.indicator_value (
    subject_id bigint NOT NULL REFERENCES credit.subject,
    indicator_id bigint NOT NULL REFERENCES credit.indicator,
    as_of date NOT NULL,
    without_disputed boolean NOT NULL,
    computed_at timestamptz NOT NULL,
    value text,
    record_ids bigint[] NOT NULL,
    PRIMARY KEY (subject_id, indicator_id, as_of, without_disputed, computed_at)
);
COMMENT ON TABLE credit.indicator_value IS
    'values of indicators and the records they were computed from; a row is added when either differs from the last one (指标取值历史)';
COMMENT ON COLUMN credit.indicator_value.value IS 'text of the value, NULL is missing';
COMMENT ON COLUMN credit.indicator_value.without_disputed IS 'disputed records were left out (剔除异议信息)';

SELECT pg_catalog.pg_extension_config_dump('credit.indicator', '');
SELECT pg_catalog.pg_extension_config_dump('credit.indicator_indicator_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.indicator_value', '');
SELECT credit._audit_table('credit.indicator');
SELECT credit._audit_table('credit.indicator_value');

-- what a query is shown -------------------------------------------------------

CREATE FUNCTION credit._indicator_day() RETURNS date
    AS 'MODULE_PATHNAME', 'pgcredit_indicator_day' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION credit._indicator_day() IS 'day as of which this backend computes an indicator just now, else NULL (指标取数日)';
CREATE FUNCTION credit._indicator_shows_disputed() RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_indicator_disputed' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION credit._indicator_shows_disputed() IS 'whether that computation is shown disputed records';

CREATE VIEW credit.record_as_of WITH (security_barrier) AS
SELECT r.subject_id, r.record_id, c.code AS category, r.provider_id, r.dated, r.valid_from, r.valid_to, r.polarity,
       r.status = 'disputed' AS disputed, r.payload
  FROM credit.record r JOIN credit.category c ON c.category_id = r.category_id
 WHERE r.dated <= credit._indicator_day()
   AND (r.status = 'active' OR r.status = 'disputed' AND credit._indicator_shows_disputed());
COMMENT ON VIEW credit.record_as_of IS
    'records that an indicator may use: dated up to its day, not repaired, not withdrawn; empty for everybody else (取数日信用信息)';

CREATE VIEW credit.attribute_as_of WITH (security_barrier) AS
SELECT a.subject_id, a.kind_code, a.valid_from,
       CASE WHEN a.valid_to <= credit._indicator_day() THEN a.valid_to END AS valid_to
  FROM credit.subject_attribute a
 WHERE a.valid_from <= credit._indicator_day();
COMMENT ON VIEW credit.attribute_as_of IS
    'attributes, roles and states that had begun on the day; an end that lies after it is not shown (取数日主体属性)';

CREATE VIEW credit.subject_as_of WITH (security_barrier) AS
SELECT s.subject_id, s.kind, s.region, s.registered_on
  FROM credit.subject s
 WHERE credit._indicator_day() IS NOT NULL;
COMMENT ON VIEW credit.subject_as_of IS 'subjects without name and identifiers (取数日主体)';

-- registering -----------------------------------------------------------------

CREATE FUNCTION credit._indicator_check(query text, type text) RETURNS void
    AS 'MODULE_PATHNAME', 'pgcredit_indicator_check' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION credit._indicator_check(text, text) IS 'raises unless the query keeps the contract of an indicator of the type';
CREATE FUNCTION credit._indicator_compute(query text, type text, subjects bigint[], as_of date, without_disputed boolean,
                                          OUT subject_id bigint, OUT value text, OUT record_ids bigint[]) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'pgcredit_indicator_compute' LANGUAGE C VOLATILE STRICT ROWS 1000;
COMMENT ON FUNCTION credit._indicator_compute(text, text, bigint[], date, boolean) IS
    'runs the query of an indicator as credit_indicator and checks what it returned (指标取数)';

CREATE FUNCTION credit.register_indicator(code text, type text, query text, name_zh text DEFAULT NULL, name_en text DEFAULT NULL)
    RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    next_version integer;
BEGIN
    IF code IS NULL OR type IS NULL OR query IS NULL THEN
        RAISE EXCEPTION 'code, type and query of an indicator cannot be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF type NOT IN ('number', 'text', 'boolean', 'date') THEN
        RAISE EXCEPTION 'unknown type of indicator "%"', type
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A type is number, text, boolean or date.';
    END IF;
    PERFORM credit._indicator_check(query, type);
    LOCK TABLE credit.indicator IN SHARE ROW EXCLUSIVE MODE;
    UPDATE credit.indicator i SET replaced_at = clock_timestamp()
     WHERE i.code = register_indicator.code AND i.replaced_at IS NULL;
    SELECT COALESCE(max(i.version), 0) + 1 INTO next_version FROM credit.indicator i WHERE i.code = register_indicator.code;
    INSERT INTO credit.indicator (code, version, type, name_zh, name_en, query, registered_by)
    VALUES (register_indicator.code, next_version, register_indicator.type, register_indicator.name_zh,
            register_indicator.name_en, register_indicator.query, credit.calling_role()::text);
    RETURN next_version;
END
$$;
COMMENT ON FUNCTION credit.register_indicator(text, text, text, text, text) IS
    'register the query of an indicator, the next version of its code, and return that version (登记指标)';

CREATE FUNCTION credit.retire_indicator(code text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE credit.indicator i SET replaced_at = clock_timestamp()
     WHERE i.code = retire_indicator.code AND i.replaced_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no indicator "%"', retire_indicator.code
            USING ERRCODE = 'PC424', HINT = 'credit.indicator lists them.';
    END IF;
END
$$;
COMMENT ON FUNCTION credit.retire_indicator(text) IS 'take an indicator out of use; its values stay (停用指标)';

-- computing -------------------------------------------------------------------

CREATE FUNCTION credit._today() RETURNS date
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date;
    END;

-- Compute indicators of many subjects and keep what is new; nobody is asked twice about one who has no row.
CREATE FUNCTION credit._compute_indicators(indicators bigint[], subjects bigint[], day date, leave_out boolean, at timestamptz)
    RETURNS TABLE (subject_id bigint, indicator_id bigint, value text, record_ids bigint[])
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF day IS NULL OR leave_out IS NULL OR day > credit._today() THEN
        RAISE EXCEPTION 'indicators are computed as of today or a day before' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    WITH computed AS MATERIALIZED (
        SELECT s.subject_id, i.indicator_id, c.value, COALESCE(c.record_ids, '{}') AS record_ids
          FROM (SELECT DISTINCT u.subject_id FROM unnest(subjects) u(subject_id)) s
         CROSS JOIN (SELECT DISTINCT u.indicator_id FROM unnest(indicators) u(indicator_id)) i
          LEFT JOIN (SELECT k.indicator_id, f.*
                       FROM credit.indicator k
                      CROSS JOIN LATERAL credit._indicator_compute(k.query, k.type, subjects, day, leave_out) f
                      WHERE k.indicator_id = ANY (indicators)) c
            ON c.subject_id = s.subject_id AND c.indicator_id = i.indicator_id
    ), kept AS (
        INSERT INTO credit.indicator_value (subject_id, indicator_id, as_of, without_disputed, computed_at, value, record_ids)
        SELECT n.subject_id, n.indicator_id, day, leave_out, at, n.value, n.record_ids
          FROM computed n
         WHERE NOT COALESCE((SELECT (o.value, o.record_ids) IS NOT DISTINCT FROM (n.value, n.record_ids)
                               FROM credit.indicator_value o
                              WHERE o.subject_id = n.subject_id AND o.indicator_id = n.indicator_id AND o.as_of = day
                                AND o.without_disputed = leave_out
                              ORDER BY o.computed_at DESC LIMIT 1), false)
            ON CONFLICT DO NOTHING
    )
    SELECT n.subject_id, n.indicator_id, n.value, n.record_ids FROM computed n;
END
$$;

CREATE FUNCTION credit.indicators_of(subject_id bigint, as_of date DEFAULT NULL, without_disputed boolean DEFAULT false)
    RETURNS TABLE (indicator text, version integer, type text, value text, record_ids bigint[], disputed_ids bigint[])
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted CONSTANT bigint := indicators_of.subject_id;
BEGIN
    IF NOT EXISTS (SELECT FROM credit.subject s WHERE s.subject_id = wanted) THEN
        RAISE EXCEPTION 'unknown subject %', wanted USING ERRCODE = 'PC103';
    END IF;
    RETURN QUERY
    SELECT i.code, i.version, i.type, v.value, v.record_ids,
           ARRAY(SELECT r.record_id FROM credit.record r
                  WHERE r.subject_id = wanted AND r.record_id = ANY (v.record_ids) AND r.status = 'disputed' ORDER BY 1)
      FROM credit._compute_indicators(ARRAY(SELECT k.indicator_id FROM credit.indicator k WHERE k.replaced_at IS NULL),
                                      ARRAY[wanted], COALESCE(indicators_of.as_of, credit._today()),
                                      indicators_of.without_disputed, clock_timestamp()) v
      JOIN credit.indicator i ON i.indicator_id = v.indicator_id
     ORDER BY i.code;
END
$$;
COMMENT ON FUNCTION credit.indicators_of(bigint, date, boolean) IS
    'all indicators of a subject as of a day, with the records used and which of them are disputed; what is new is kept (主体指标)';

-- Erasure of a subject, see credit.erase_subject: a new salt.
CREATE FUNCTION credit._erase_indicators() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM credit.indicator_value v WHERE v.subject_id = NEW.subject_id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._erase_indicators() IS 'trigger: removes the indicators of a subject that is erased (注销主体指标)';
CREATE TRIGGER erase_indicators AFTER UPDATE OF log_salt ON credit.subject
    FOR EACH ROW WHEN (OLD.log_salt <> NEW.log_salt) EXECUTE FUNCTION credit._erase_indicators();

REVOKE ALL ON credit.indicator, credit.indicator_value, credit.record_as_of, credit.attribute_as_of, credit.subject_as_of FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._indicator_day(), credit._indicator_shows_disputed(), credit._indicator_check(text, text),
    credit._indicator_compute(text, text, bigint[], date, boolean), credit.register_indicator(text, text, text, text, text),
    credit.retire_indicator(text), credit._today(), credit._compute_indicators(bigint[], bigint[], date, boolean, timestamptz),
    credit.indicators_of(bigint, date, boolean), credit._erase_indicators() FROM PUBLIC;
GRANT SELECT ON credit.record_as_of, credit.attribute_as_of, credit.subject_as_of, credit.region TO credit_indicator;
GRANT EXECUTE ON FUNCTION credit._indicator_day(), credit._indicator_shows_disputed() TO credit_indicator;
GRANT SELECT ON credit.indicator TO credit_operator, credit_analyst, credit_auditor;
GRANT SELECT ON credit.indicator_value TO credit_operator;
GRANT EXECUTE ON FUNCTION credit.register_indicator(text, text, text, text, text), credit.retire_indicator(text),
    credit.indicators_of(bigint, date, boolean) TO credit_operator;
