-- ---------------------------------------------------------------------------
-- 40 registry, continued: ingestion, data quality, rights
-- ---------------------------------------------------------------------------
-- How a delivery goes in. credit.ingest and its siblings run with the caller's rights: they alone read the staging table,
-- so nobody reads a table through them that he may not read, and whatever its views, casts and functions do is done as the
-- caller. They turn the rows to jsonb and hand them over in chunks, so that memory is bounded, to three functions that run
-- as the owner: open, take rows, close. Those trust nothing of what they are given but who is calling.
--
-- A chunk is one set-based statement. Rows that are wrong are recognised, not raised (credit._fit_rows, is_valid_…), and
-- go to credit.refused_row. Should the statement raise after all, the chunk is taken again row by row, each in a
-- subtransaction, and the row that raises is refused with what it raised.
--
-- Lock order: the provider's row of credit.category_provider (two deliveries of one category by one provider follow each
-- other, so their keys cannot meet), then records or subjects.

CREATE TYPE credit.batch_summary AS (
    batch_id bigint,
    received bigint,
    inserted bigint,
    updated bigint,
    unchanged bigint,
    refused bigint
);
COMMENT ON TYPE credit.batch_summary IS 'what became of a delivery: received = inserted + updated + unchanged + refused (批次汇总)';

-- checks and masks in C -------------------------------------------------------

CREATE FUNCTION credit._fit_rows(given jsonb[], about text, schema jsonb,
                                 OUT row_no integer, OUT sqlstate text, OUT reason text, OUT detail text,
                                 OUT uscc text, OUT resident_id text, OUT subject_id bigint,
                                 OUT dated date, OUT valid_from date, OUT valid_to date,
                                 OUT polarity text, OUT source_key text, OUT payload jsonb) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'pgcredit_fit_rows' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 5000;
CREATE FUNCTION credit._mask_row(given jsonb) RETURNS jsonb
    AS 'MODULE_PATHNAME', 'pgcredit_mask_row' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._mask_text(given text) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_mask_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._seal_row(given jsonb, batch_id bigint, row_no bigint) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_seal_row' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
CREATE FUNCTION credit._unseal_row(sealed bytea, batch_id bigint, row_no bigint) RETURNS jsonb
    AS 'MODULE_PATHNAME', 'pgcredit_unseal_row' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;

-- taking rows -----------------------------------------------------------------

-- Keep a refused row. Messages of others may quote a value; the one under resident_id is taken out of them.
CREATE FUNCTION credit._refuse(batch_id bigint, row_no bigint, given jsonb, state text, reason text, detail text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    covered jsonb := COALESCE(credit._mask_row(given), 'null');
    number text := CASE WHEN jsonb_typeof(given) = 'object' THEN NULLIF(given ->> 'resident_id', '') END;
BEGIN
    INSERT INTO credit.refused_row (batch_id, row_no, row_given, row_sealed, sqlstate, reason, detail)
    VALUES (_refuse.batch_id, _refuse.row_no, covered,
            CASE WHEN covered <> given THEN credit._seal_row(given, _refuse.batch_id, _refuse.row_no) END,
            state,
            credit._mask_text(CASE WHEN number IS NULL THEN reason ELSE replace(reason, number, '***') END),
            credit._mask_text(CASE WHEN number IS NULL THEN detail ELSE replace(detail, number, '***') END));
END
$$;

-- Why a text is no value of an identifier type, in the type's own words.
CREATE FUNCTION credit._input_fault(kind text, value text, OUT state text, OUT reason text, OUT detail text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF kind = 'uscc' THEN
        PERFORM value::credit.uscc;
    ELSE
        PERFORM value::credit.resident_id;
    END IF;
EXCEPTION WHEN data_exception THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, reason = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
END
$$;

-- Take a chunk of records; the first row has number first_no in the delivery. Sequential scans are off because the plans
-- are made while the tables may still be empty and are kept while a million rows arrive; for the same reason each look-up
-- is a scalar subquery, which the planner cannot turn into a join with, or a hash of, the whole table. And category_id + 0
-- keeps it from record_dated_idx, which looks as good as record_source while there are no statistics, and is not for a
-- subject with many records.
CREATE FUNCTION credit._take_records(batch credit.batch, first_no bigint, given jsonb[],
                                     OUT inserted bigint, OUT updated bigint, OUT unchanged bigint, OUT refused bigint,
                                     OUT unknown_region bigint, OUT newest_dated date)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    c credit.category;
BEGIN
    SELECT * INTO c FROM credit.category t WHERE t.category_id = batch.category_id;
    WITH fit AS MATERIALIZED (
        SELECT f.*, first_no + f.row_no - 1 AS no,
               CASE WHEN credit.is_valid_uscc(f.uscc) THEN f.uscc::credit.uscc END AS code,
               CASE WHEN credit.is_valid_resident_id(f.resident_id)
                    THEN credit.resident_digest(f.resident_id::credit.resident_id) END AS digest
          FROM credit._fit_rows(given, 'record', c.schema) f
    ), found AS MATERIALIZED (
        SELECT fit.*,
               (SELECT s.subject_id FROM credit.subject s WHERE s.uscc OPERATOR(credit.=) fit.code) AS by_code,
               (SELECT s.subject_id FROM credit.subject s WHERE s.resident_digest = fit.digest) AS by_digest,
               (SELECT s.subject_id FROM credit.subject s WHERE s.subject_id = fit.subject_id) AS by_number
          FROM fit
    ), named AS MATERIALIZED (
        SELECT found.*, COALESCE(by_code, by_digest, by_number) AS subject,
               COALESCE(source_key, 'sha256:' || encode(sha256(convert_to(jsonb_build_array(dated, payload)::text, 'UTF8')), 'hex')) AS key,
               CASE WHEN sqlstate IS NOT NULL THEN 'fit'
                    WHEN uscc IS NOT NULL AND code IS NULL THEN 'uscc'
                    WHEN resident_id IS NOT NULL AND digest IS NULL THEN 'resident'
                    WHEN uscc IS NULL AND resident_id IS NULL AND subject_id IS NULL THEN 'nobody'
                    WHEN COALESCE(by_code, by_digest, by_number) IS NULL THEN 'unknown'
                    WHEN (uscc IS NOT NULL AND by_code IS DISTINCT FROM COALESCE(by_code, by_digest, by_number))
                      OR (resident_id IS NOT NULL AND by_digest IS DISTINCT FROM COALESCE(by_code, by_digest, by_number))
                      OR (subject_id IS NOT NULL AND by_number IS DISTINCT FROM COALESCE(by_code, by_digest, by_number)) THEN 'differ'
               END AS fault
          FROM found
    ), judged AS MATERIALIZED (
        SELECT n.no, n.row_no, n.sqlstate, n.reason, n.detail, n.uscc, n.resident_id, n.subject, n.key, n.dated, n.valid_from,
               n.valid_to, COALESCE(n.polarity, c.default_polarity) AS polarity, n.payload, s.kind, s.placed,
               COALESCE(n.fault, CASE WHEN s.kind <> ALL (c.subject_kinds) THEN 'kind' END) AS fault
          FROM named n
          LEFT JOIN LATERAL (SELECT t.kind, EXISTS (SELECT FROM credit.region r WHERE r.code OPERATOR(credit.=) t.region) AS placed
                               FROM credit.subject t WHERE t.subject_id = n.subject LIMIT 1) s ON n.fault IS NULL
    ), met AS MATERIALIZED (
        SELECT j.*, e.record_id,
               row_number() OVER (PARTITION BY j.fault, j.subject, j.key ORDER BY j.no) > 1
               OR COALESCE(e.batch_id = batch.batch_id, false)
               OR (first_no > 1 AND COALESCE((SELECT true FROM credit._batch_seen b
                                               WHERE b.batch_id = batch.batch_id AND b.subject_id = j.subject
                                                 AND b.record_id = e.record_id), false)) AS twice,
               COALESCE((e.dated, e.valid_from, e.valid_to, e.polarity, e.payload)
                        IS NOT DISTINCT FROM (j.dated, j.valid_from, j.valid_to, j.polarity, j.payload), false) AS same
          FROM judged j
          LEFT JOIN LATERAL (SELECT r.record_id, r.batch_id, r.dated, r.valid_from, r.valid_to, r.polarity, r.payload
                               FROM credit.record r
                              WHERE r.subject_id = j.subject AND r.source_key = j.key AND r.provider_id = batch.provider_id
                                AND r.category_id + 0 = c.category_id
                              LIMIT 1) e ON j.fault IS NULL
    ), written AS (
        INSERT INTO credit.record AS r (subject_id, category_id, provider_id, dated, valid_from, valid_to, polarity,
                                        source_key, payload, batch_id)
        SELECT m.subject, c.category_id, batch.provider_id, m.dated, m.valid_from, m.valid_to, m.polarity, m.key, m.payload,
               batch.batch_id
          FROM met m
         WHERE m.fault IS NULL AND NOT m.twice AND (m.record_id IS NULL OR NOT m.same)
         ORDER BY m.no
        ON CONFLICT ON CONSTRAINT record_source DO UPDATE
           SET dated = EXCLUDED.dated, valid_from = EXCLUDED.valid_from, valid_to = EXCLUDED.valid_to,
               polarity = EXCLUDED.polarity, payload = EXCLUDED.payload, batch_id = EXCLUDED.batch_id,
               revision = r.revision + 1, changed_at = clock_timestamp()
        RETURNING r.revision
    ), kept AS (
        INSERT INTO credit._batch_seen (batch_id, subject_id, record_id)
        SELECT batch.batch_id, m.subject, m.record_id
          FROM met m WHERE m.fault IS NULL AND NOT m.twice AND m.record_id IS NOT NULL AND m.same
        RETURNING 1
    ), sent_back AS MATERIALIZED (
        SELECT credit._refuse(batch.batch_id, m.no, g.given,
                              COALESCE(CASE m.fault WHEN 'fit' THEN m.sqlstate END, i.state, w.state),
                              COALESCE(CASE m.fault WHEN 'fit' THEN m.reason END, i.reason, w.reason),
                              COALESCE(CASE m.fault WHEN 'fit' THEN m.detail END, i.detail, w.detail))
          FROM met m
          JOIN unnest(given) WITH ORDINALITY AS g (given, row_no) ON g.row_no = m.row_no
          LEFT JOIN (VALUES
              ('nobody', 'PC301', 'row names no subject', 'A row has a uscc, a resident_id or a subject_id.'),
              ('unknown', 'PC103', 'unknown subject', 'Register it, then give the row again.'),
              ('differ', 'PC301', 'identifiers name different subjects', NULL),
              ('kind', 'PC301', 'category does not concern subjects of this kind', NULL),
              ('twice', '23505', 'row has the key of an earlier row of the batch', 'The earlier row was taken.')
          ) AS w (fault, state, reason, detail) ON w.fault = COALESCE(m.fault, 'twice')
          LEFT JOIN LATERAL credit._input_fault(m.fault, CASE m.fault WHEN 'uscc' THEN m.uscc ELSE m.resident_id END) i
            ON m.fault IN ('uscc', 'resident')
         WHERE m.fault IS NOT NULL OR m.twice
    )
    SELECT (SELECT count(*) FILTER (WHERE w.revision = 1) FROM written w),
           (SELECT count(*) FILTER (WHERE w.revision > 1) FROM written w),
           (SELECT count(*) FROM kept),
           (SELECT count(*) FROM sent_back),
           (SELECT count(*) FROM met m WHERE m.fault IS NULL AND NOT m.twice AND NOT m.placed),
           (SELECT max(m.dated) FROM met m WHERE m.fault IS NULL AND NOT m.twice)
      INTO inserted, updated, unchanged, refused, unknown_region, newest_dated;
END
$$;

-- Take a chunk of subjects. New ones with one identifier, and rows that change nothing, are done as a set; all others
-- (several identifiers, properties, changes, faults) go one by one through credit._put_subject.
CREATE FUNCTION credit._take_subjects(batch credit.batch, first_no bigint, given jsonb[],
                                      OUT inserted bigint, OUT updated bigint, OUT unchanged bigint, OUT refused bigint,
                                      OUT unknown_region bigint, OUT newest_dated date)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    may_change boolean := credit._is_operator();
    totals_due boolean := true;
    one record;
    put record;
    state text;
    message text;
    explanation text;
BEGIN
    inserted := 0; updated := 0; unchanged := 0; refused := 0; unknown_region := 0;
    FOR one IN
        WITH fit AS MATERIALIZED (
            SELECT f.row_no, first_no + f.row_no - 1 AS no, f.sqlstate, f.reason, f.detail, f.uscc, f.resident_id,
                   f.payload ->> 'kind' AS kind, f.payload ->> 'code' AS code, f.payload ->> 'name' AS name,
                   f.payload ->> 'region' AS region, (f.payload ->> 'registered_on')::date AS registered_on,
                   CASE WHEN credit.is_valid_uscc(f.uscc) THEN f.uscc::credit.uscc END AS valid_code
              FROM credit._fit_rows(given, 'subject',
                                    credit.category_schema('kind text, code text, name text, region text, registered_on date')) f
        ), plain AS MATERIALIZED (
            SELECT fit.*, COALESCE(fit.kind, CASE WHEN credit.is_natural_person(valid_code) THEN 'person_in_business'
                                                  WHEN left(upper(uscc), 2) = '91' THEN 'enterprise' ELSE 'organisation' END) AS base,
                   CASE WHEN region IS NULL THEN credit.region_of(valid_code)
                        WHEN credit.is_valid_region_code(region) THEN region::credit.region_code END AS place,
                   COALESCE(sqlstate IS NULL AND valid_code IS NOT NULL AND resident_id IS NULL AND code IS NULL
                            AND (kind IS NULL OR (kind IN ('enterprise', 'organisation') AND NOT credit.is_natural_person(valid_code)))
                            AND (region IS NULL OR credit.is_valid_region_code(region)), false) AS is_plain
              FROM fit
        ), met AS MATERIALIZED (
            SELECT p.*, s.subject_id AS old_id,
                   COALESCE(s.kind = p.base
                            AND COALESCE(p.name, s.name) IS NOT DISTINCT FROM s.name
                            AND (p.region IS NULL OR p.place::text IS NOT DISTINCT FROM s.region::text)
                            AND COALESCE(p.registered_on, s.registered_on) IS NOT DISTINCT FROM s.registered_on, false) AS same,
                   row_number() OVER (PARTITION BY p.is_plain, p.valid_code ORDER BY p.no) AS nth
              FROM plain p
              LEFT JOIN LATERAL (SELECT t.subject_id, t.kind, t.name, t.region, t.registered_on FROM credit.subject t
                                  WHERE t.uscc OPERATOR(credit.=) p.valid_code LIMIT 1) s ON p.is_plain
        ), sorted AS MATERIALIZED (
            SELECT m.*, CASE WHEN is_plain AND nth = 1 AND old_id IS NULL THEN 'new'
                             WHEN is_plain AND nth = 1 AND same THEN 'same'
                             ELSE 'single' END AS way,
                   (SELECT r.name_zh FROM credit.region r WHERE r.code OPERATOR(credit.=) m.place) IS NULL AS unplaced
              FROM met m
        ), entered AS (
            INSERT INTO credit.subject AS s (kind, uscc, name, region, registered_on)
            SELECT m.base, m.valid_code, m.name, m.place, m.registered_on
              FROM sorted m WHERE m.way = 'new' ORDER BY m.no
            ON CONFLICT DO NOTHING
            RETURNING 1
        ), totals AS (
            SELECT (SELECT count(*) FROM entered) AS entered,
                   -- a new one that another session entered meanwhile changed nothing either
                   (SELECT count(*) FROM sorted m WHERE m.way <> 'single') - (SELECT count(*) FROM entered) AS left_alone,
                   (SELECT count(*) FROM sorted m WHERE m.way <> 'single' AND m.unplaced) AS set_unplaced
        )
        SELECT t.*, m.*, g.given
          FROM totals t
          LEFT JOIN (sorted m JOIN unnest(given) WITH ORDINALITY AS g (given, g_no) ON g.g_no = m.row_no)
            ON m.way = 'single'
         ORDER BY m.no
    LOOP
        IF totals_due THEN
            inserted := one.entered;
            unchanged := one.left_alone;
            unknown_region := one.set_unplaced;
            totals_due := false;
        END IF;
        CONTINUE WHEN one.no IS NULL;
        IF one.sqlstate IS NOT NULL THEN
            PERFORM credit._refuse(batch.batch_id, one.no, one.given, one.sqlstate, one.reason, one.detail);
            refused := refused + 1;
            CONTINUE;
        END IF;
        BEGIN
            put := credit._put_subject(one.kind, one.uscc::credit.uscc, one.resident_id::credit.resident_id, one.code,
                                       one.name, one.region::credit.region_code, one.registered_on, may_change);
            inserted := inserted + (put.outcome = 'inserted')::integer;
            updated := updated + (put.outcome = 'updated')::integer;
            unchanged := unchanged + (put.outcome = 'unchanged')::integer;
        EXCEPTION
            WHEN data_exception OR integrity_constraint_violation OR insufficient_privilege OR SQLSTATE 'PC301' THEN
                GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, explanation = PG_EXCEPTION_DETAIL;
                PERFORM credit._refuse(batch.batch_id, one.no, one.given, state, message, NULLIF(explanation, ''));
                refused := refused + 1;
                CONTINUE;
        END;
        unknown_region := unknown_region + one.unplaced::integer;
    END LOOP;
END
$$;

-- Take a chunk of a list of regions.
CREATE FUNCTION credit._take_regions(batch credit.batch, first_no bigint, given jsonb[],
                                     OUT inserted bigint, OUT updated bigint, OUT unchanged bigint, OUT refused bigint,
                                     OUT unknown_region bigint, OUT newest_dated date)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    WITH fit AS MATERIALIZED (
        SELECT f.*, f.payload ->> 'code' AS code, f.payload ->> 'parent' AS parent, f.payload ->> 'successor' AS successor,
               COALESCE(NOT (f.payload ->> 'current')::boolean, f.valid_to IS NOT NULL) AS retired,
               row_number() OVER (PARTITION BY f.payload ->> 'code' ORDER BY f.row_no) AS nth
          FROM credit._fit_rows(given, 'region', credit.category_schema(
                   'code text!, name_zh text!, level (province|city|county|township|village)!, parent text, current boolean, successor text')) f
    ), judged AS MATERIALIZED (
        SELECT fit.*,
               CASE WHEN sqlstate IS NOT NULL THEN 'fit'
                    WHEN NOT credit.is_valid_region_code(code) OR NOT COALESCE(credit.is_valid_region_code(parent), true)
                      OR NOT COALESCE(credit.is_valid_region_code(successor), true) THEN 'code'
                    WHEN fit.payload ->> 'level' <> credit.region_level(code::credit.region_code)
                     AND (length(code::credit.region_code::text) > 6 OR fit.payload ->> 'level' IN ('township', 'village')) THEN 'level'
                    WHEN nth > 1 THEN 'twice' END AS fault
          FROM fit
    ), good AS MATERIALIZED (
        SELECT j.code::credit.region_code AS code, j.payload ->> 'name_zh' AS name_zh, j.payload ->> 'level' AS level,
               j.parent::credit.region_code AS parent, j.retired, j.valid_from, j.valid_to,
               j.successor::credit.region_code AS successor
          FROM judged j WHERE j.fault IS NULL
    ), changed AS (
        UPDATE credit.region r
           SET (name_zh, level, parent, retired, valid_from, valid_to, successor, modified_at)
             = (g.name_zh, g.level, g.parent, g.retired, COALESCE(g.valid_from, r.valid_from), COALESCE(g.valid_to, r.valid_to),
                COALESCE(g.successor, r.successor), clock_timestamp())
          FROM good g
         WHERE (r.code OPERATOR(credit.=) g.code)
           AND ROW(r.name_zh, r.level, r.parent::text, r.retired, r.valid_from, r.valid_to, r.successor::text)
               IS DISTINCT FROM
               ROW(g.name_zh, g.level, g.parent::text, g.retired, COALESCE(g.valid_from, r.valid_from),
                   COALESCE(g.valid_to, r.valid_to), COALESCE(g.successor::text, r.successor::text))
        RETURNING r.code
    ), entered AS (
        INSERT INTO credit.region AS r (code, name_zh, level, parent, retired, valid_from, valid_to, successor, modified_at)
        SELECT g.code, g.name_zh, g.level, g.parent, g.retired, g.valid_from, g.valid_to, g.successor, clock_timestamp()
          FROM good g
         WHERE NOT EXISTS (SELECT FROM credit.region o WHERE o.code OPERATOR(credit.=) g.code)
        RETURNING r.code
    ), sent_back AS MATERIALIZED (
        SELECT credit._refuse(batch.batch_id, first_no + j.row_no - 1, g.given, COALESCE(j.sqlstate, w.state),
                              COALESCE(j.reason, w.reason), COALESCE(j.detail, w.detail))
          FROM judged j
          JOIN unnest(given) WITH ORDINALITY AS g (given, row_no) ON g.row_no = j.row_no
          LEFT JOIN (VALUES
              ('code', '22P02', 'row has a code that is no region code', 'A region code is six digits (GB/T 2260), nine for a township, twelve for a village.'),
              ('level', '22023', 'row has a level that its code has not',
               'A township has a code of nine digits, a village one of twelve, and no other region has.'),
              ('twice', '23505', 'row has the code of an earlier row of the batch', 'The earlier row was taken.')
          ) AS w (fault, state, reason, detail) ON w.fault = j.fault
         WHERE j.fault IS NOT NULL
    )
    SELECT (SELECT count(*) FROM entered), (SELECT count(*) FROM changed),
           (SELECT count(*) FROM good) - (SELECT count(*) FROM entered) - (SELECT count(*) FROM changed),
           (SELECT count(*) FROM sent_back), 0, NULL
      INTO inserted, updated, unchanged, refused, unknown_region, newest_dated;
END
$$;

-- the three steps of a delivery -----------------------------------------------

-- Open a delivery for the calling role, or say why it may not deliver: PC101 no institution, PC102 suspended, PC104
-- unknown category, PC302 not its category, 42501 not an operator.
CREATE FUNCTION credit._batch_open(content text, category text, batch_key text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    caller credit.institution;
    c credit.category;
    new_id bigint;
BEGIN
    IF content IS NULL OR content NOT IN ('record', 'subject', 'region') THEN
        RAISE EXCEPTION 'unknown kind of rows "%"', content USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(batch_key) > 500 THEN
        RAISE EXCEPTION 'batch key is too long' USING ERRCODE = 'string_data_right_truncation', DETAIL = 'It has at most 500 bytes.';
    END IF;
    SELECT * INTO caller FROM credit.institution i WHERE i.db_role = credit.calling_role();
    IF content = 'region' AND NOT credit._is_operator() THEN
        RAISE EXCEPTION 'only an operator loads regions' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF content = 'record' THEN
        c := credit._category(_batch_open.category);
    END IF;
    IF caller.institution_id IS NULL AND (content = 'record' OR NOT credit._is_operator()) THEN
        RAISE EXCEPTION 'role "%" is no institution', credit.calling_role()
            USING ERRCODE = 'PC101', HINT = 'An operator enters it with credit.register_institution.';
    END IF;
    IF caller.status = 'suspended' THEN
        RAISE EXCEPTION 'institution "%" is suspended', caller.code USING ERRCODE = 'PC102';
    END IF;
    IF content = 'record' THEN
        PERFORM FROM credit.category_provider p
          WHERE p.category_id = c.category_id AND p.institution_id = caller.institution_id FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'institution "%" does not deliver category "%"', caller.code, c.code
                USING ERRCODE = 'PC302', HINT = 'An operator allows it with credit.assign_category.';
        END IF;
    END IF;
    INSERT INTO credit.batch AS b (content, category_id, provider_id, delivered_by, batch_key, opened_in)
    VALUES (_batch_open.content, c.category_id, caller.institution_id, credit.calling_role()::text, credit._mask_text(batch_key),
            pg_current_xact_id())
    RETURNING b.batch_id INTO new_id;
    RETURN new_id;
END
$$;

-- The batch that this transaction opened for the caller; raises object_not_in_prerequisite_state for any other.
CREATE FUNCTION credit._open_batch(batch_id bigint) RETURNS credit.batch
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    b credit.batch;
BEGIN
    SELECT * INTO b FROM credit.batch t WHERE t.batch_id = _open_batch.batch_id FOR NO KEY UPDATE;
    IF b.batch_id IS NULL OR b.finished_at IS NOT NULL OR b.opened_in IS DISTINCT FROM pg_current_xact_id()
       OR b.delivered_by <> credit.calling_role()::text THEN
        RAISE EXCEPTION 'batch % is not open for this role in this transaction', _open_batch.batch_id
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN b;
END
$$;

-- Take a chunk into the open batch.
CREATE FUNCTION credit._batch_take(batch_id bigint, given jsonb[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    b credit.batch := credit._open_batch(batch_id);
    n integer := COALESCE(cardinality(given), 0);
    sum record;
    part record;
    state text;
    message text;
    explanation text;
BEGIN
    IF n = 0 THEN
        RETURN;
    END IF;
    IF array_ndims(given) <> 1 OR array_lower(given, 1) <> 1 THEN
        RAISE EXCEPTION 'rows are given in a plain array' USING ERRCODE = 'array_subscript_error';
    END IF;
    BEGIN
        sum := credit._take_chunk(b, b.received + 1, given);
    EXCEPTION
        WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded OR SQLSTATE 'PC301' THEN
            SELECT 0::bigint AS inserted, 0::bigint AS updated, 0::bigint AS unchanged, 0::bigint AS refused,
                   0::bigint AS unknown_region, NULL::date AS newest_dated INTO sum;
            FOR i IN 1..n LOOP
                BEGIN
                    part := credit._take_chunk(b, b.received + i, given[i:i]);
                EXCEPTION
                    WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded OR SQLSTATE 'PC301' THEN
                        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, explanation = PG_EXCEPTION_DETAIL;
                        PERFORM credit._refuse(b.batch_id, b.received + i, given[i], state, message, NULLIF(explanation, ''));
                        SELECT 0::bigint AS inserted, 0::bigint AS updated, 0::bigint AS unchanged, 1::bigint AS refused,
                               0::bigint AS unknown_region, NULL::date AS newest_dated INTO part;
                END;
                sum.inserted := sum.inserted + part.inserted;
                sum.updated := sum.updated + part.updated;
                sum.unchanged := sum.unchanged + part.unchanged;
                sum.refused := sum.refused + part.refused;
                sum.unknown_region := sum.unknown_region + part.unknown_region;
                sum.newest_dated := GREATEST(sum.newest_dated, part.newest_dated);
            END LOOP;
    END;
    UPDATE credit.batch t
       SET received = t.received + n, inserted = t.inserted + sum.inserted, updated = t.updated + sum.updated,
           unchanged = t.unchanged + sum.unchanged, refused = t.refused + sum.refused,
           unknown_region = t.unknown_region + sum.unknown_region,
           newest_dated = GREATEST(t.newest_dated, sum.newest_dated)
     WHERE t.batch_id = b.batch_id;
END
$$;

CREATE FUNCTION credit._take_chunk(batch credit.batch, first_no bigint, given jsonb[],
                                   OUT inserted bigint, OUT updated bigint, OUT unchanged bigint, OUT refused bigint,
                                   OUT unknown_region bigint, OUT newest_dated date)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sum record;
BEGIN
    IF batch.content = 'record' THEN
        sum := credit._take_records(batch, first_no, given);
    ELSIF batch.content = 'subject' THEN
        sum := credit._take_subjects(batch, first_no, given);
    ELSE
        sum := credit._take_regions(batch, first_no, given);
    END IF;
    inserted := sum.inserted; updated := sum.updated; unchanged := sum.unchanged; refused := sum.refused;
    unknown_region := sum.unknown_region; newest_dated := sum.newest_dated;
    -- A row that is counted nowhere would be lost without a trace.
    IF inserted + updated + unchanged + refused IS DISTINCT FROM cardinality(given) THEN
        RAISE EXCEPTION 'batch % accounts for % of % rows', batch.batch_id,
                        inserted + updated + unchanged + refused, cardinality(given)
            USING ERRCODE = 'internal_error';
    END IF;
END
$$;

CREATE FUNCTION credit._batch_close(batch_id bigint) RETURNS credit.batch_summary
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    b credit.batch := credit._open_batch(batch_id);
BEGIN
    DELETE FROM credit._batch_seen s WHERE s.batch_id = b.batch_id;
    UPDATE credit.batch t SET finished_at = clock_timestamp(), opened_in = NULL WHERE t.batch_id = b.batch_id;
    RETURN ROW(b.batch_id, b.received, b.inserted, b.updated, b.unchanged, b.refused)::credit.batch_summary;
END
$$;

-- what applications call ------------------------------------------------------

-- Deliver the rows of an array, with the caller's rights.
CREATE FUNCTION credit._deliver(content text, category text, given jsonb, batch_key text) RETURNS credit.batch_summary
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    batch bigint;
    chunk jsonb[];
    n integer;
BEGIN
    IF jsonb_typeof(given) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'rows are not an array'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a jsonb array of objects, one for each row.';
    END IF;
    batch := credit._batch_open(content, category, batch_key);
    FOR chunk IN
        SELECT array_agg(e.value ORDER BY e.ordinality)
          FROM jsonb_array_elements(given) WITH ORDINALITY e
         GROUP BY (e.ordinality - 1) / 5000 ORDER BY (e.ordinality - 1) / 5000
    LOOP
        PERFORM credit._batch_take(batch, chunk);
    END LOOP;
    RETURN credit._batch_close(batch);
END
$$;

-- Deliver the rows of a table or view, read with the caller's rights.
CREATE FUNCTION credit._deliver(content text, category text, staging regclass, batch_key text) RETURNS credit.batch_summary
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    batch bigint;
    chunk jsonb[] := '{}';
    one jsonb;
BEGIN
    IF staging IS NULL
       OR NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = staging AND c.relkind IN ('r', 'p', 'f', 'v', 'm')) THEN
        RAISE EXCEPTION '% is no table or view to read rows from', staging USING ERRCODE = 'wrong_object_type';
    END IF;
    batch := credit._batch_open(content, category, batch_key);
    FOR one IN EXECUTE format('SELECT pg_catalog.to_jsonb(s.*) FROM %s AS s', staging) LOOP
        chunk := array_append(chunk, one);
        IF cardinality(chunk) = 5000 THEN
            PERFORM credit._batch_take(batch, chunk);
            chunk := '{}';
        END IF;
    END LOOP;
    PERFORM credit._batch_take(batch, chunk);
    RETURN credit._batch_close(batch);
END
$$;

CREATE FUNCTION credit.ingest(category text, rows jsonb, batch_key text DEFAULT NULL) RETURNS credit.batch_summary
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT credit._deliver('record', category, rows, batch_key);
    END;
COMMENT ON FUNCTION credit.ingest(text, jsonb, text) IS
    'deliver records of a category: good rows go in, bad rows are kept in credit.refused_row (信用信息归集)';

CREATE FUNCTION credit.ingest(category text, staging regclass, batch_key text DEFAULT NULL) RETURNS credit.batch_summary
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT credit._deliver('record', category, staging, batch_key);
    END;
COMMENT ON FUNCTION credit.ingest(text, regclass, text) IS
    'the same from a table or view that the caller may read; its columns are the rows'' keys, text will do (信用信息归集)';

CREATE FUNCTION credit.ingest_subjects(rows jsonb, batch_key text DEFAULT NULL) RETURNS credit.batch_summary
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT credit._deliver('subject', NULL, rows, batch_key);
    END;
COMMENT ON FUNCTION credit.ingest_subjects(jsonb, text) IS
    'register many subjects: kind, uscc, resident_id, code, name, region, registered_on (批量主体登记)';

CREATE FUNCTION credit.ingest_subjects(staging regclass, batch_key text DEFAULT NULL) RETURNS credit.batch_summary
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT credit._deliver('subject', NULL, staging, batch_key);
    END;
COMMENT ON FUNCTION credit.ingest_subjects(regclass, text) IS 'the same from a table or view that the caller may read (批量主体登记)';

CREATE FUNCTION credit.load_regions(rows jsonb, batch_key text DEFAULT NULL) RETURNS credit.batch_summary
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT credit._deliver('region', NULL, rows, batch_key);
    END;
COMMENT ON FUNCTION credit.load_regions(jsonb, text) IS
    'load a list of divisions: code, name_zh, level, parent, current, valid_from, valid_to, successor (行政区划导入)';

CREATE FUNCTION credit.load_regions(staging regclass, batch_key text DEFAULT NULL) RETURNS credit.batch_summary
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT credit._deliver('region', NULL, staging, batch_key);
    END;
COMMENT ON FUNCTION credit.load_regions(regclass, text) IS 'the same from a table or view that the caller may read (行政区划导入)';

-- Whoever delivered a batch may have its refused rows back, nobody else: they may tell about subjects.
CREATE FUNCTION credit.refused_rows(batch_id bigint)
    RETURNS TABLE (row_no bigint, row_given jsonb, sqlstate text, reason text, detail text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    b credit.batch;
BEGIN
    SELECT * INTO b FROM credit.batch t WHERE t.batch_id = refused_rows.batch_id;
    IF b.batch_id IS NULL
       OR NOT COALESCE(CASE WHEN b.provider_id IS NULL THEN b.delivered_by = credit.calling_role()::text
                            ELSE b.provider_id = credit.calling_institution() END, false) THEN
        RAISE EXCEPTION 'batch % is not yours', refused_rows.batch_id USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY
        SELECT r.row_no,
               CASE WHEN r.row_sealed IS NULL THEN r.row_given ELSE credit._unseal_row(r.row_sealed, r.batch_id, r.row_no) END,
               r.sqlstate, r.reason, r.detail
          FROM credit.refused_row r WHERE r.batch_id = b.batch_id ORDER BY r.row_no;
END
$$;
COMMENT ON FUNCTION credit.refused_rows(bigint) IS
    'refused rows of a batch as they were given, for the one who delivered it (退回数据明细)';

-- data quality ----------------------------------------------------------------

-- Of deliveries given several times under one key the last counts.
-- A barrier: a condition of the caller must see rows of the result, not the rows that it is made of.
CREATE VIEW credit.data_quality WITH (security_barrier) AS
    WITH latest AS (
        SELECT DISTINCT ON (b.content, b.category_id, b.provider_id, COALESCE(b.batch_key, 'batch ' || b.batch_id)) b.*
          FROM credit.batch b
         WHERE b.finished_at IS NOT NULL
         ORDER BY b.content, b.category_id, b.provider_id, COALESCE(b.batch_key, 'batch ' || b.batch_id), b.batch_id DESC
    ), faults AS (
        SELECT f.content, f.category_id, f.provider_id, jsonb_object_agg(f.sqlstate, f.n ORDER BY f.sqlstate) AS by_sqlstate
          FROM (SELECT l.content, l.category_id, l.provider_id, r.sqlstate, count(*) AS n
                  FROM latest l JOIN credit.refused_row r ON r.batch_id = l.batch_id
                 GROUP BY l.content, l.category_id, l.provider_id, r.sqlstate) f
         GROUP BY f.content, f.category_id, f.provider_id
    ), totals AS (
        SELECT l.content, l.category_id, l.provider_id, count(*) AS batches, sum(l.received)::bigint AS received,
               sum(l.refused)::bigint AS refused, sum(l.unknown_region)::bigint AS unknown_region,
               max(l.newest_dated) AS newest_dated, max(l.finished_at) AS last_delivery
          FROM latest l GROUP BY l.content, l.category_id, l.provider_id
    )
    SELECT COALESCE(t.content, 'record') AS content, c.code AS category, i.code AS provider,
           COALESCE(t.batches, 0) AS batches, COALESCE(t.received, 0) AS received, COALESCE(t.refused, 0) AS refused,
           COALESCE(f.by_sqlstate, '{}') AS refused_by_sqlstate, COALESCE(t.unknown_region, 0) AS unknown_region,
           t.newest_dated, t.last_delivery,
           p.expected_every IS NOT NULL AND COALESCE(t.last_delivery, p.assigned_at) + p.expected_every < now() AS stale
      FROM totals t
      FULL JOIN credit.category_provider p ON t.content = 'record' AND p.category_id = t.category_id AND p.institution_id = t.provider_id
      LEFT JOIN faults f ON f.content = t.content AND f.category_id IS NOT DISTINCT FROM t.category_id
                        AND f.provider_id IS NOT DISTINCT FROM t.provider_id
      LEFT JOIN credit.category c ON c.category_id = COALESCE(t.category_id, p.category_id)
      LEFT JOIN credit.institution i ON i.institution_id = COALESCE(t.provider_id, p.institution_id);
COMMENT ON VIEW credit.data_quality IS
    'deliveries by category and provider: rows, refusals by SQLSTATE, unknown regions, age; numbers only (数据质量)';
COMMENT ON COLUMN credit.data_quality.stale IS 'a delivery is owed (expected_every) and the last one is older';

CREATE VIEW credit.unknown_region WITH (security_barrier) AS
    SELECT s.region, count(*) AS subjects
      FROM credit.subject s
     WHERE s.region IS NOT NULL AND NOT EXISTS (SELECT FROM credit.region r WHERE r.code = s.region)
     GROUP BY s.region;
COMMENT ON VIEW credit.unknown_region IS 'region codes of subjects that credit.region does not have (未知行政区划)';

-- rights ----------------------------------------------------------------------

REVOKE ALL ON credit.institution_kind, credit.subject_kind, credit.region, credit.institution, credit.subject,
              credit.subject_attribute, credit.category, credit.category_provider, credit.batch, credit.refused_row,
              credit.record, credit._batch_seen, credit.data_quality, credit.unknown_region FROM PUBLIC;
GRANT SELECT ON credit.institution_kind, credit.subject_kind, credit.region, credit.category
    TO credit_operator, credit_portal, credit_provider, credit_institution, credit_analyst, credit_auditor;
GRANT SELECT ON credit.institution TO credit_operator, credit_auditor;
GRANT SELECT (institution_id, code, name_zh, name_en, kind, status, uscc, region)
    ON credit.institution TO credit_portal, credit_provider, credit_institution, credit_analyst;
GRANT SELECT (subject_id, kind, uscc, code, name, region, registered_on, registered_at, changed_at)
    ON credit.subject TO credit_operator, credit_portal;
GRANT SELECT ON credit.subject_attribute TO credit_operator, credit_portal;
GRANT SELECT ON credit.category_provider TO credit_operator, credit_auditor, credit_analyst;
GRANT SELECT ON credit.batch TO credit_operator, credit_auditor;
GRANT SELECT (batch_id, row_no, sqlstate, reason) ON credit.refused_row TO credit_operator;
GRANT SELECT ON credit.data_quality, credit.unknown_region TO credit_operator, credit_analyst, credit_auditor;

REVOKE ALL ON FUNCTION
    credit._schema_fault(jsonb), credit.category_schema(text, boolean), credit._keep_category(), credit._keep_region(),
    credit._keep_referenced(),
    credit.calling_institution(), credit._is_operator(),
    credit.register_institution(text, text, text, text, regrole, credit.uscc, credit.region_code),
    credit.set_institution_status(text, text),
    credit._base_kind(text, credit.uscc, boolean),
    credit._put_subject(text, credit.uscc, credit.resident_id, text, text, credit.region_code, date, boolean),
    credit.register_subject(text, credit.uscc, credit.resident_id, text, credit.region_code, text, date),
    credit.subject_id(credit.uscc), credit.subject_id(credit.resident_id), credit.subject_id(text),
    credit.set_subject_attribute(bigint, text, date, date, text),
    credit._category(text), credit._check_base_kinds(text[]),
    credit.set_category_public(text, boolean, text), credit.set_category_schema(text, jsonb),
    credit.set_category_kinds(text, text[]), credit.define_category(text, text, text, text, text[], jsonb, text),
    credit.assign_category(text, text, interval), credit.unassign_category(text, text),
    credit.set_record_status(bigint, bigint, text, text),
    credit._fit_rows(jsonb[], text, jsonb), credit._mask_row(jsonb), credit._mask_text(text),
    credit._seal_row(jsonb, bigint, bigint), credit._unseal_row(bytea, bigint, bigint),
    credit._refuse(bigint, bigint, jsonb, text, text, text), credit._input_fault(text, text),
    credit._take_records(credit.batch, bigint, jsonb[]), credit._take_subjects(credit.batch, bigint, jsonb[]),
    credit._take_regions(credit.batch, bigint, jsonb[]), credit._take_chunk(credit.batch, bigint, jsonb[]),
    credit._batch_open(text, text, text), credit._open_batch(bigint), credit._batch_take(bigint, jsonb[]),
    credit._batch_close(bigint),
    credit._deliver(text, text, jsonb, text), credit._deliver(text, text, regclass, text),
    credit.ingest(text, jsonb, text), credit.ingest(text, regclass, text),
    credit.ingest_subjects(jsonb, text), credit.ingest_subjects(regclass, text),
    credit.load_regions(jsonb, text), credit.load_regions(regclass, text),
    credit.refused_rows(bigint)
    FROM PUBLIC;

GRANT EXECUTE ON FUNCTION credit.category_schema(text, boolean),
    credit.register_institution(text, text, text, text, regrole, credit.uscc, credit.region_code),
    credit.set_institution_status(text, text), credit.set_category_public(text, boolean, text),
    credit.set_category_schema(text, jsonb), credit.set_category_kinds(text, text[]),
    credit.define_category(text, text, text, text, text[], jsonb, text),
    credit.assign_category(text, text, interval), credit.unassign_category(text, text),
    credit.set_subject_attribute(bigint, text, date, date, text),
    credit.load_regions(jsonb, text), credit.load_regions(regclass, text)
    TO credit_operator;
GRANT EXECUTE ON FUNCTION credit.register_subject(text, credit.uscc, credit.resident_id, text, credit.region_code, text, date),
    credit.subject_id(credit.resident_id)
    TO credit_operator, credit_portal, credit_provider;
GRANT EXECUTE ON FUNCTION credit.subject_id(credit.uscc), credit.subject_id(text), credit.calling_institution()
    TO credit_operator, credit_portal, credit_provider, credit_institution;
GRANT EXECUTE ON FUNCTION credit.set_record_status(bigint, bigint, text, text), credit.refused_rows(bigint),
    credit.ingest_subjects(jsonb, text), credit.ingest_subjects(regclass, text),
    credit._batch_open(text, text, text), credit._batch_take(bigint, jsonb[]), credit._batch_close(bigint),
    credit._deliver(text, text, jsonb, text), credit._deliver(text, text, regclass, text)
    TO credit_operator, credit_provider;
GRANT EXECUTE ON FUNCTION credit.ingest(text, jsonb, text), credit.ingest(text, regclass, text) TO credit_provider;

SELECT credit._audit_table('credit.institution_kind');
SELECT credit._audit_table('credit.subject_kind');
SELECT credit._audit_table('credit.institution');
SELECT credit._audit_table('credit.subject');
SELECT credit._audit_table('credit.subject_attribute');
SELECT credit._audit_table('credit.category');
SELECT credit._audit_table('credit.category_provider');
SELECT credit._audit_table('credit.region');
SELECT credit._audit_table('credit.record');
