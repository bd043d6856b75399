-- ---------------------------------------------------------------------------
-- 51 consent: access and the guard
-- ---------------------------------------------------------------------------

-- Asked only where there are templates: a consent is bound by what its template says now, for the purpose that is asked for.
CREATE FUNCTION credit._beyond_template(subject_id bigint, consent_id bigint, purpose text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.consent;
    kind text;
BEGIN
    SELECT x.* INTO c FROM credit.consent x WHERE x.subject_id = _beyond_template.subject_id AND x.consent_id = _beyond_template.consent_id;
    SELECT i.kind INTO kind FROM credit.institution i WHERE i.institution_id = c.institution_id;
    c.purposes := ARRAY[purpose];
    RETURN credit._template_fault(kind, c) IS NOT NULL;
END
$$;
COMMENT ON FUNCTION credit._beyond_template(bigint, bigint, text) IS
    'does a consent go beyond what its template allows now for a purpose (超出模板)';

-- Arguments and result columns share no name: a parameter has one name only.
CREATE FUNCTION credit.open_access(subject bigint, purpose text, categories text[])
    RETURNS TABLE (subject_id bigint, category text, granted boolean, reason text, consent_id bigint, entry bigint)
    AS 'MODULE_PATHNAME', 'pgcredit_open_access_one' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 3;
COMMENT ON FUNCTION credit.open_access(bigint, text, text[]) IS
    'checks consent, records, then opens these categories of the subject for this transaction; raises if any is refused (开启查询)';
CREATE FUNCTION credit.open_access(subjects bigint[], purpose text, categories text[])
    RETURNS TABLE (subject_id bigint, category text, granted boolean, reason text, consent_id bigint, entry bigint)
    AS 'MODULE_PATHNAME', 'pgcredit_open_access_many' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION credit.open_access(bigint[], text, text[]) IS
    'the same for many subjects: opens what is granted and says why the rest is not (批量开启查询)';

-- A named type: describing a list of columns anew at each call costs as much as finding the rows.
CREATE TYPE credit.opened_record AS (
    subject_id bigint, category text, record_id bigint, dated date, valid_from date, valid_to date,
    polarity text, status text, provider text, payload jsonb);
COMMENT ON TYPE credit.opened_record IS 'a record as credit.read returns it, with codes instead of numbers (查询结果)';

CREATE FUNCTION credit.read(subject bigint, purpose text, categories text[])
    RETURNS SETOF credit.opened_record
    AS 'MODULE_PATHNAME', 'pgcredit_read_one' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION credit.read(bigint, text, text[]) IS
    'opens access and returns the records; raises if any category is refused (查询信用信息)';
CREATE FUNCTION credit.read(subjects bigint[], purpose text, categories text[])
    RETURNS SETOF credit.opened_record
    AS 'MODULE_PATHNAME', 'pgcredit_read_many' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION credit.read(bigint[], text, text[]) IS
    'the same for many subjects: returns what is granted, the refusals are in the log (批量查询信用信息)';

-- The access set lives in the backend that opened access; parallel workers get a copy.
CREATE FUNCTION credit._guard_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_guard_support' LANGUAGE C STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._guard_support(internal) IS 'tells the planner that most rows that are asked for pass the guard';
CREATE FUNCTION credit.guard(subject_id bigint, category_id smallint, dated date) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_guard' LANGUAGE C STABLE STRICT PARALLEL SAFE
    SUPPORT credit._guard_support;
COMMENT ON FUNCTION credit.guard(bigint, smallint, date) IS
    'may the current role see a row of this subject, category and day: asks the transaction''s access set (行级守卫)';

ALTER TABLE credit.record ENABLE ROW LEVEL SECURITY;
CREATE POLICY guarded ON credit.record FOR SELECT TO PUBLIC USING (credit.guard(subject_id, category_id, dated));

REVOKE ALL ON FUNCTION credit._guard_support(internal), credit._beyond_template(bigint, bigint, text), credit.open_access(bigint, text, text[]), credit.open_access(bigint[], text, text[]),
    credit.read(bigint, text, text[]), credit.read(bigint[], text, text[]),
    credit.guard(bigint, smallint, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.open_access(bigint, text, text[]), credit.open_access(bigint[], text, text[]),
    credit.read(bigint, text, text[]), credit.read(bigint[], text, text[]),
    credit.guard(bigint, smallint, date) TO credit_institution;
GRANT SELECT ON credit.record TO credit_institution;
