-- ---------------------------------------------------------------------------
-- 65 rating: many subjects at once, marks and their worker, notices, terms
-- ---------------------------------------------------------------------------
-- credit.rate_all runs as its caller: it alone reads the caller's table, and hands whole rows, never scores, to functions
-- that run as the owner. A batch is one transaction with its row in credit.rating_batch, so it is done or not.
--
-- Lock order: a row of credit.rating_batch or rows of credit.rating_mark (both SKIP LOCKED), then subjects by number.

CREATE TABLE credit.rating_run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id bigint NOT NULL REFERENCES credit.model,
    source text,
    as_of date,
    batch_size integer NOT NULL CHECK (batch_size BETWEEN 1 AND 1000000),
    skip_unchanged boolean NOT NULL,
    without_disputed boolean NOT NULL,
    kinds text[],
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'finished', 'cancelled')),
    started_by text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    CHECK ((source IS NULL) = (as_of IS NOT NULL))
);
COMMENT ON TABLE credit.rating_run IS 'calls of credit.rate_all (批量评级任务)';
COMMENT ON COLUMN credit.rating_run.source IS 'table or view whose rows are rated; NULL where indicators are computed (数据来源)';
COMMENT ON COLUMN credit.rating_run.as_of IS 'day as of which indicators are computed (取数日)';
COMMENT ON COLUMN credit.rating_run.kinds IS 'base kinds of the subjects; NULL for all';

CREATE TABLE credit.rating_batch (
    run_id bigint NOT NULL REFERENCES credit.rating_run,
    batch_no integer NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    subjects integer NOT NULL,
    rated integer,
    unchanged integer,
    failed integer,
    done_at timestamptz,
    PRIMARY KEY (run_id, batch_no),
    CHECK ((done_at IS NULL) = (rated IS NULL))
);
COMMENT ON TABLE credit.rating_batch IS 'batches of a run: subjects with numbers from low to high, done in one transaction each (评级批次)';

CREATE TABLE credit.rating_failure (
    subject_id bigint NOT NULL,
    failure_id bigint GENERATED ALWAYS AS IDENTITY,
    run_id bigint,
    model_id bigint NOT NULL REFERENCES credit.model,
    sqlstate text NOT NULL,
    reason text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject_id, failure_id)
);
COMMENT ON TABLE credit.rating_failure IS 'subjects that a run or the worker could not rate, and why (评级失败)';
COMMENT ON COLUMN credit.rating_failure.run_id IS 'NULL for the worker';

CREATE TABLE credit.rating_basis (
    subject_id bigint NOT NULL,
    rating_id bigint NOT NULL,
    as_of date NOT NULL,
    without_disputed boolean NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (subject_id, rating_id),
    FOREIGN KEY (subject_id, rating_id) REFERENCES credit.rating ON DELETE CASCADE
);
COMMENT ON TABLE credit.rating_basis IS 'of ratings by indicators: as of which day and when they were computed; leads to their records (评级依据)';

CREATE TABLE credit.rating_dynamic (
    model text PRIMARY KEY,
    without_disputed boolean NOT NULL,
    kinds text[],
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE credit.rating_dynamic IS 'models by whose newest version a subject is rated anew when something about it changes (动态评级)';

-- Only grows and is emptied by the worker: two transactions that mark one subject do not meet. Numbers from a sequence could
-- meet those of a dump while it is restored, since the records that come in are marked.
CREATE TABLE credit.rating_mark (
    subject_id bigint NOT NULL,
    mark_id uuid NOT NULL DEFAULT gen_random_uuid(),
    marked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject_id, mark_id)
);
COMMENT ON TABLE credit.rating_mark IS 'subjects about whom something changed and who are to be rated anew (待重评主体)';

CREATE TABLE credit.grade_notice_rule (
    model text PRIMARY KEY,
    category_id smallint NOT NULL REFERENCES credit.category,
    purposes text[] NOT NULL CHECK (cardinality(purposes) > 0)
);
COMMENT ON TABLE credit.grade_notice_rule IS
    'who is told that a grade by this model changed: institutions with a consent to the category for one of the purposes (等级变更通知规则)';

CREATE TABLE credit.grade_notice (
    subject_id bigint NOT NULL,
    notice_id bigint GENERATED ALWAYS AS IDENTITY,
    institution_id integer NOT NULL REFERENCES credit.institution,
    category_id smallint NOT NULL,
    model text NOT NULL,
    rating_id bigint NOT NULL,
    grade text,
    previous_grade text,
    rated_on date NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject_id, notice_id),
    FOREIGN KEY (subject_id, rating_id) REFERENCES credit.rating ON DELETE CASCADE
);
CREATE INDEX grade_notice_institution_idx ON credit.grade_notice (institution_id, notice_id);
COMMENT ON TABLE credit.grade_notice IS 'changed grades for institutions with a live consent; behind the guard, as records are (等级变更通知)';

CREATE TABLE credit.grade_terms (
    model text NOT NULL,
    product text NOT NULL,
    grade text NOT NULL,
    -- NaN is above all numbers
    credit_limit numeric NOT NULL CHECK (credit_limit >= 0 AND credit_limit < 'Infinity'),
    annual_rate numeric NOT NULL CHECK (annual_rate >= 0 AND annual_rate < 'Infinity'),
    PRIMARY KEY (model, product, grade)
);
COMMENT ON TABLE credit.grade_terms IS 'limit and rate of a product for each grade; a better grade never gets a worse term (等级对应额度利率)';
COMMENT ON COLUMN credit.grade_terms.credit_limit IS 'yuan (授信额度)';
COMMENT ON COLUMN credit.grade_terms.annual_rate IS 'a fraction: 0.0435 is 4.35 % a year (年利率)';

SELECT pg_catalog.pg_extension_config_dump('credit.rating_run', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_run_run_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_batch', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_failure', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_failure_failure_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_basis', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_dynamic', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_mark', '');
SELECT pg_catalog.pg_extension_config_dump('credit.grade_notice_rule', '');
SELECT pg_catalog.pg_extension_config_dump('credit.grade_notice', '');
SELECT pg_catalog.pg_extension_config_dump('credit.grade_notice_notice_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.grade_terms', '');
SELECT credit._audit_table('credit.rating_run');
SELECT credit._audit_table('credit.rating_basis');
SELECT credit._audit_table('credit.rating_dynamic');
SELECT credit._audit_table('credit.grade_notice_rule');
SELECT credit._audit_table('credit.grade_notice');
SELECT credit._audit_table('credit.grade_terms');

-- storing many ----------------------------------------------------------------

CREATE FUNCTION credit._row_subject("row" record) RETURNS bigint
    AS 'MODULE_PATHNAME', 'pgcredit_row_subject' LANGUAGE C STABLE STRICT PARALLEL SAFE;

-- The statement that rates a set: the same columns from the same functions as credit.rate. "given" yields "row"s of what $2
-- holds. $1 model, $3 and $4 first and last subject, $5 skip unchanged, $6 to $8 the basis.
CREATE FUNCTION credit._rating_statement(given text, with_basis boolean) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    RETURN format(CASE WHEN with_basis THEN $f$
    WITH stored AS (%s
        RETURNING t.subject_id, t.rating_id)
    INSERT INTO credit.rating_basis (subject_id, rating_id, as_of, without_disputed, computed_at)
    SELECT s.subject_id, s.rating_id, $6, $7, $8 FROM stored s$f$ ELSE '%s' END, format($f$
        INSERT INTO credit.rating AS t (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, valid_until, review_on,
                                        score_grade, grade_rule, model)
        SELECT d.subject_id, d.model_id, d.score, d.grade, d.inputs, d.digest, d.reasons, d.rated_by,
               (clock_timestamp() + make_interval(months => m.valid_months))::date - 1,
               (clock_timestamp() + make_interval(months => m.review_months))::date, d.score_grade, d.rule, m.name
          FROM (SELECT v.subject_id, (v.e).model_id, (v.e).score, (v.e).grade, (v.e).inputs, (v.e).inputs_digest AS digest,
                       (v.e).reasons, (v.e).score_grade, (v.e).rule, v.rated_by
                  FROM (SELECT g.subject_id, credit._evaluate($1, g."row") AS e, w.rated_by
                          FROM (%s) g, (SELECT credit.calling_role()::text AS rated_by OFFSET 0) w
                         WHERE g.subject_id BETWEEN $3 AND $4 OFFSET 0) v OFFSET 0) d
          JOIN credit.model m ON m.model_id = d.model_id
         WHERE NOT ($5 AND COALESCE((SELECT o.inputs_digest = d.digest FROM credit.rating o
                                      WHERE o.subject_id = d.subject_id AND o.model = m.name AND o.model_id = d.model_id
                                      ORDER BY o.rating_id DESC NULLS LAST LIMIT 1), false))$f$, given));

-- Rate a set; what fails is halved until the rows that cannot be rated are alone, and those are kept with the reason.
-- Which subjects they are ("listed": a query over $1) is asked only then.
CREATE FUNCTION credit._rating_try(run_id bigint, model text, model_id bigint, statement text, listed text, rows anyelement,
                                   subjects bigint[], skip boolean, as_of date, without_disputed boolean, computed_at timestamptz,
                                   OUT rated integer, OUT failed integer)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n integer := cardinality(subjects);
    state text;
    message text;
    part record;
BEGIN
    rated := 0; failed := 0;
    IF n = 0 THEN
        RETURN;
    END IF;
    BEGIN
        EXECUTE statement USING model, rows, COALESCE(subjects[1], '-9223372036854775808'), COALESCE(subjects[n], 9223372036854775807),
                                skip, as_of, without_disputed, computed_at;
        GET DIAGNOSTICS rated = ROW_COUNT;
        RETURN;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR SQLSTATE 'PC403' OR SQLSTATE 'PC408' OR SQLSTATE 'PC409' THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    END;
    IF subjects IS NULL THEN
        EXECUTE listed INTO subjects USING rows;
        n := cardinality(subjects);
    END IF;
    IF n = 1 THEN
        INSERT INTO credit.rating_failure (subject_id, run_id, model_id, sqlstate, reason)
        VALUES (subjects[1], _rating_try.run_id, _rating_try.model_id, state, credit._mask_text(message));
        failed := 1;
        RETURN;
    END IF;
    part := credit._rating_try(run_id, model, model_id, statement, listed, rows, subjects[1:n / 2], skip, as_of, without_disputed, computed_at);
    rated := part.rated; failed := part.failed;
    part := credit._rating_try(run_id, model, model_id, statement, listed, rows, subjects[n / 2 + 1:n], skip, as_of, without_disputed, computed_at);
    rated := rated + part.rated; failed := failed + part.failed;
END
$$;

-- Compute the indicators of subjects and rate them by what they come to.
CREATE FUNCTION credit._rate_computed(run_id bigint, model_id bigint, named text, inputs bigint[], columns text, subjects bigint[],
                                      skip boolean, as_of date, without_disputed boolean, at timestamptz, OUT rated integer, OUT failed integer)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    rows jsonb;
    sum record;
BEGIN
    SELECT COALESCE(jsonb_agg(o.row), '[]') INTO rows
      FROM (SELECT jsonb_object_agg(i.code, v.value) || jsonb_build_object('subject_id', v.subject_id) AS row
              FROM credit._compute_indicators(inputs, subjects, as_of, without_disputed, at) v
              JOIN credit.indicator i ON i.indicator_id = v.indicator_id
             GROUP BY v.subject_id) o;
    sum := credit._rating_try(run_id, named, model_id,
        credit._rating_statement(format('SELECT x.subject_id, x AS "row" FROM jsonb_to_recordset($2) AS x(subject_id bigint%s)', columns), true),
        NULL, rows, subjects, skip, as_of, without_disputed, at);
    rated := sum.rated; failed := sum.failed;
END
$$;

-- Rate subjects by indicators. Subjects in ascending order. Their rows are locked before anything is read: who rates one of
-- them at the same time reads after this one's commit, so the newest rating is never the one of older records.
--
-- Where an indicator fails, the subjects are halved until those that it fails for are alone, and they are kept with the
-- reason. One that fails for all of them, or for eight in turn before any could be rated, is broken: that raises.
CREATE FUNCTION credit._rate_by_indicators(run_id bigint, model_id bigint, subjects bigint[], skip boolean, as_of date,
                                           without_disputed boolean, OUT rated integer, OUT failed integer)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    at CONSTANT timestamptz := clock_timestamp();
    named text;
    missing text;
    inputs bigint[];
    columns text;
    lows integer[] := ARRAY[1];
    highs integer[] := ARRAY[cardinality(subjects)];
    low integer;
    high integer;
    works boolean := EXISTS (SELECT FROM credit.rating_batch b WHERE b.run_id = _rate_by_indicators.run_id AND b.rated > 0);
    alone integer := 0;
    state text;
    message text;
    sum record;
BEGIN
    rated := 0; failed := 0;
    SELECT m.name || '@' || m.version::text INTO named FROM credit.model m WHERE m.model_id = _rate_by_indicators.model_id;
    SELECT array_agg(i.indicator_id), string_agg(DISTINCT f.field, ', ') FILTER (WHERE i.indicator_id IS NULL),
           string_agg(format(', %I %s', f.field, CASE i.type WHEN 'number' THEN 'numeric' ELSE i.type END), '')
      INTO inputs, missing, columns
      FROM (SELECT c.field FROM credit.characteristic c WHERE c.model_id = _rate_by_indicators.model_id
             UNION SELECT k.name FROM credit.model_field k WHERE k.model_id = _rate_by_indicators.model_id) f
      LEFT JOIN credit.indicator i ON i.code = f.field AND i.replaced_at IS NULL;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'model "%" reads what is no indicator: %', named, missing
            USING ERRCODE = 'PC424', HINT = 'Register it with credit.register_indicator, or rate the rows of a table.';
    END IF;
    PERFORM FROM credit.subject s WHERE s.subject_id = ANY (subjects) ORDER BY s.subject_id FOR NO KEY UPDATE;
    WHILE cardinality(lows) > 0 LOOP
        low := lows[cardinality(lows)]; high := highs[cardinality(highs)];
        lows := trim_array(lows, 1); highs := trim_array(highs, 1);
        BEGIN
            sum := credit._rate_computed(run_id, model_id, named, inputs, columns, subjects[low:high], skip, as_of, without_disputed, at);
            rated := rated + sum.rated; failed := failed + sum.failed;
            works := true;
        EXCEPTION WHEN data_exception OR cardinality_violation OR SQLSTATE 'PC421' THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
            IF low < high THEN
                lows := lows || ARRAY[(low + high) / 2 + 1, low]; highs := highs || ARRAY[high, (low + high) / 2];
                CONTINUE;
            END IF;
            alone := alone + 1;
            IF NOT works AND (alone = 8 OR cardinality(lows) = 0) THEN
                RAISE;
            END IF;
            INSERT INTO credit.rating_failure (subject_id, run_id, model_id, sqlstate, reason)
            VALUES (subjects[low], run_id, model_id, state, credit._mask_text(message));
            failed := failed + 1;
        END;
    END LOOP;
END
$$;

-- runs ------------------------------------------------------------------------

-- The newest published version of a model, or the version named.
CREATE FUNCTION credit._published_model(model text) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chosen record;
    part text[] := regexp_match(model, '^([^@]*)(?:@([0-9]{1,9}))?$');
BEGIN
    SELECT m.model_id, m.status INTO chosen FROM credit.model m
     WHERE m.name = part[1] AND CASE WHEN part[2] IS NULL THEN m.status = 'published' ELSE m.version = part[2]::integer END
     ORDER BY m.version DESC LIMIT 1;
    IF chosen.model_id IS NULL THEN
        RAISE EXCEPTION 'there is no published model "%"', model USING ERRCODE = 'undefined_object', HINT = 'See table credit.model.';
    END IF;
    IF chosen.status <> 'published' THEN
        RAISE EXCEPTION 'model "%" is %, a rating needs a published version', model,
                        CASE chosen.status WHEN 'draft' THEN 'a draft' ELSE chosen.status END
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN chosen.model_id;
END
$$;

-- Open a run, or the one to be gone on with. Its source is NULL when there is none.
CREATE FUNCTION credit._rating_open(model text, source regclass, as_of date, batch_size integer, skip_unchanged boolean,
                                    without_disputed boolean, kinds text[], run_id bigint,
                                    OUT run bigint, OUT reads text, OUT planned boolean, OUT size integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    old credit.rating_run;
BEGIN
    IF _rating_open.run_id IS NOT NULL THEN
        SELECT * INTO old FROM credit.rating_run r WHERE r.run_id = _rating_open.run_id;
        IF old.run_id IS NULL OR old.status <> 'running' OR old.started_by <> credit.calling_role()::text THEN
            RAISE EXCEPTION 'rating run % cannot be gone on with', _rating_open.run_id
                USING ERRCODE = 'PC422',
                      DETAIL = CASE WHEN old.run_id IS NULL THEN 'There is no such run.'
                                    WHEN old.status <> 'running' THEN format('It is %s.', old.status)
                                    ELSE format('It was started by "%s", with whose rights its rows are read.', old.started_by) END;
        END IF;
        run := old.run_id; reads := old.source; size := old.batch_size;
        planned := EXISTS (SELECT FROM credit.rating_batch b WHERE b.run_id = old.run_id);
        RETURN;
    END IF;
    IF source IS NOT NULL AND as_of IS NOT NULL THEN
        RAISE EXCEPTION 'rows of a table have no day as of which they are computed'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give source or as_of, not both.';
    END IF;
    INSERT INTO credit.rating_run AS r (model_id, source, as_of, batch_size, skip_unchanged, without_disputed, kinds, started_by)
    VALUES (credit._published_model(model),
            -- with its schema always: a session that goes on with the run may have a temporary table of the same name
            (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = source),
            CASE WHEN source IS NULL THEN COALESCE(as_of, credit._today()) END,
            COALESCE(batch_size, 10000), COALESCE(skip_unchanged, false), COALESCE(without_disputed, false), kinds,
            credit.calling_role()::text)
    RETURNING r.run_id, r.source, false, r.batch_size INTO run, reads, planned, size;
    IF reads IS NULL THEN
        -- says at once when the model reads what is no indicator
        PERFORM credit._rate_by_indicators(run, credit._published_model(model), '{}', true, r.as_of, false)
           FROM credit.rating_run r WHERE r.run_id = run;
    END IF;
END
$$;

-- Note the batches of a run; without ranges, those of the subjects of its kinds.
CREATE FUNCTION credit._rating_plan(run_id bigint, lows bigint[], highs bigint[], counts integer[], twice boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run credit.rating_run;
BEGIN
    SELECT * INTO run FROM credit.rating_run r
     WHERE r.run_id = _rating_plan.run_id AND r.status = 'running' AND r.started_by = credit.calling_role()::text FOR UPDATE;
    IF run.run_id IS NULL OR EXISTS (SELECT FROM credit.rating_batch b WHERE b.run_id = run.run_id) THEN
        RAISE EXCEPTION 'rating run % cannot be planned', _rating_plan.run_id USING ERRCODE = 'PC422';
    END IF;
    IF twice THEN
        RAISE EXCEPTION 'a subject has more than one row in "%", or a row has none', run.source
            USING ERRCODE = 'cardinality_violation', HINT = 'Rate a view with one row a subject.';
    END IF;
    IF run.source IS NULL THEN
        INSERT INTO credit.rating_batch (run_id, batch_no, low, high, subjects)
        SELECT run.run_id, g.b, min(g.subject_id), max(g.subject_id), count(*)
          FROM (SELECT s.subject_id, (row_number() OVER (ORDER BY s.subject_id) - 1) / run.batch_size + 1 AS b
                  FROM credit.subject s WHERE run.kinds IS NULL OR s.kind = ANY (run.kinds)) g
         GROUP BY g.b;
    ELSE
        INSERT INTO credit.rating_batch (run_id, batch_no, low, high, subjects)
        SELECT run.run_id, u.no, u.low, u.high, u.n
          FROM unnest(lows, highs, counts) WITH ORDINALITY u(low, high, n, no);
    END IF;
END
$$;

-- Take the next batch of a run that nobody works on, for this transaction; no row when none is left.
CREATE FUNCTION credit._rating_claim(run_id bigint, OUT batch_no integer, OUT low bigint, OUT high bigint) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT b.batch_no, b.low, b.high
      FROM credit.rating_batch b JOIN credit.rating_run r ON r.run_id = b.run_id
     WHERE b.run_id = _rating_claim.run_id AND b.done_at IS NULL AND r.status = 'running' AND r.started_by = credit.calling_role()::text
     ORDER BY b.batch_no LIMIT 1
       FOR UPDATE OF b SKIP LOCKED;
END
$$;

-- The run of a batch that this transaction may do.
CREATE FUNCTION credit._rating_batch_run(run_id bigint, batch_no integer) RETURNS credit.rating_run
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    run credit.rating_run;
BEGIN
    SELECT r.* INTO run FROM credit.rating_run r JOIN credit.rating_batch b ON b.run_id = r.run_id
     WHERE r.run_id = _rating_batch_run.run_id AND b.batch_no = _rating_batch_run.batch_no AND b.done_at IS NULL
       AND r.status = 'running' AND r.started_by = credit.calling_role()::text FOR UPDATE OF b;
    IF run.run_id IS NULL THEN
        RAISE EXCEPTION 'batch % of rating run % is not to be done', _rating_batch_run.batch_no, _rating_batch_run.run_id
            USING ERRCODE = 'PC422';
    END IF;
    RETURN run;
END
$$;

CREATE FUNCTION credit._rating_batch_done(run_id bigint, batch_no integer, n integer, rated integer, failed integer) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        UPDATE credit.rating_batch b
           SET rated = _rating_batch_done.rated, failed = _rating_batch_done.failed,
               unchanged = n - _rating_batch_done.rated - _rating_batch_done.failed, done_at = clock_timestamp()
         WHERE b.run_id = _rating_batch_done.run_id AND b.batch_no = _rating_batch_done.batch_no;
    END;

CREATE FUNCTION credit._rating_take_rows(run_id bigint, batch_no integer, rows anyarray) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    run credit.rating_run := credit._rating_batch_run(run_id, batch_no);
    named text;
    n CONSTANT integer := COALESCE(cardinality(rows), 0);
    sum record;
BEGIN
    SELECT m.name || '@' || m.version::text INTO named FROM credit.model m WHERE m.model_id = run.model_id;
    sum := credit._rating_try(run_id, named, run.model_id,
        credit._rating_statement('SELECT credit._row_subject(u."row") AS subject_id, u."row" FROM (SELECT unnest($2) AS "row" OFFSET 0) u', false),
        'SELECT array_agg(q.s ORDER BY q.s) FROM (SELECT credit._row_subject(u."row") AS s FROM (SELECT unnest($1) AS "row" OFFSET 0) u) q',
        rows, CASE WHEN n = 0 THEN '{}'::bigint[] END, run.skip_unchanged, NULL, NULL, NULL);
    PERFORM credit._rating_batch_done(run_id, batch_no, n, sum.rated, sum.failed);
END
$$;

CREATE FUNCTION credit._rating_take_subjects(run_id bigint, batch_no integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    run credit.rating_run := credit._rating_batch_run(run_id, batch_no);
    subjects bigint[];
    sum record;
BEGIN
    SELECT COALESCE(array_agg(s.subject_id ORDER BY s.subject_id), '{}') INTO subjects
      FROM credit.subject s JOIN credit.rating_batch b ON s.subject_id BETWEEN b.low AND b.high
     WHERE b.run_id = run.run_id AND b.batch_no = _rating_take_subjects.batch_no
       AND (run.kinds IS NULL OR s.kind = ANY (run.kinds));
    sum := credit._rate_by_indicators(run_id, run.model_id, subjects, run.skip_unchanged, run.as_of, run.without_disputed);
    PERFORM credit._rating_batch_done(run_id, batch_no, cardinality(subjects), sum.rated, sum.failed);
END
$$;

-- A run without batches left to do is finished; returns how many others work on.
CREATE FUNCTION credit._rating_close(run_id bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    remaining bigint;
BEGIN
    SELECT count(*) INTO remaining FROM credit.rating_batch b
     WHERE b.run_id = _rating_close.run_id AND b.done_at IS NULL;
    IF remaining = 0 THEN
        UPDATE credit.rating_run r SET status = 'finished', ended_at = clock_timestamp()
         WHERE r.run_id = _rating_close.run_id AND r.status = 'running';
    END IF;
    RETURN CASE WHEN EXISTS (SELECT FROM credit.rating_run r WHERE r.run_id = _rating_close.run_id AND r.status = 'running')
                THEN remaining ELSE 0 END;
END
$$;

CREATE PROCEDURE credit.rate_all(model text, source regclass DEFAULT NULL, as_of date DEFAULT NULL, batch_size integer DEFAULT 10000,
                                 skip_unchanged boolean DEFAULT false, without_disputed boolean DEFAULT false,
                                 kinds text[] DEFAULT NULL, workers integer DEFAULT 0, INOUT run_id bigint DEFAULT NULL)
    AS 'MODULE_PATHNAME', 'pgcredit_rate_all' LANGUAGE C;
COMMENT ON PROCEDURE credit.rate_all(text, regclass, date, integer, boolean, boolean, text[], integer, bigint) IS
    'rate the rows of a table, or all subjects by their indicators, in batches that commit; with a run''s number it goes on where that stopped (批量评级)';

CREATE FUNCTION credit.cancel_rating_run(run_id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE credit.rating_run r SET status = 'cancelled', ended_at = clock_timestamp()
     WHERE r.run_id = cancel_rating_run.run_id AND r.status = 'running';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'rating run % is not running', cancel_rating_run.run_id USING ERRCODE = 'PC422';
    END IF;
END
$$;
COMMENT ON FUNCTION credit.cancel_rating_run(bigint) IS 'end a run for good after the batches under way; what is rated stays (取消批量评级)';

CREATE VIEW credit.stat_progress_rating WITH (security_barrier) AS
SELECT r.run_id, m.name AS model, m.version, r.source, r.as_of, r.status, r.started_by, r.started_at, r.ended_at,
       b.batches, b.batches_done, b.subjects, b.subjects_done, b.rated, b.unchanged, b.failed
  FROM credit.rating_run r
  JOIN credit.model m ON m.model_id = r.model_id
 CROSS JOIN LATERAL (SELECT count(*) AS batches, count(t.done_at) AS batches_done, COALESCE(sum(t.subjects), 0) AS subjects,
                            COALESCE(sum(t.rated + t.unchanged + t.failed), 0) AS subjects_done,
                            COALESCE(sum(t.rated), 0) AS rated, COALESCE(sum(t.unchanged), 0) AS unchanged,
                            COALESCE(sum(t.failed), 0) AS failed
                       FROM credit.rating_batch t WHERE t.run_id = r.run_id) b;
COMMENT ON VIEW credit.stat_progress_rating IS 'how far each run of credit.rate_all is (批量评级进度)';

-- what is rated ---------------------------------------------------------------

CREATE FUNCTION credit.current_rating(subject_id bigint, model text)
    RETURNS TABLE (rating_id bigint, version integer, score float8, grade text, score_grade text, grade_rule text, reasons jsonb,
                   rated_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT n.rating_id, m.version, n.score, n.grade, n.score_grade, n.grade_rule, n.reasons, n.rated_at
          FROM (SELECT r.* FROM credit.rating r
                 WHERE r.subject_id = current_rating.subject_id AND r.model = current_rating.model
                 ORDER BY r.rating_id DESC NULLS LAST LIMIT 1) n
          JOIN credit.model m ON m.model_id = n.model_id;
    END;
COMMENT ON FUNCTION credit.current_rating(bigint, text) IS
    'newest rating of a subject by any version of a model: one index look-up (当前评级)';

CREATE FUNCTION credit.rating_lineage(subject_id bigint, rating_id bigint)
    RETURNS TABLE (indicator text, version integer, value text, as_of date, record_id bigint, category text, dated date,
                   status text, without_disputed boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    basis credit.rating_basis;
BEGIN
    SELECT * INTO basis FROM credit.rating_basis b
     WHERE b.subject_id = rating_lineage.subject_id AND b.rating_id = rating_lineage.rating_id;
    IF basis.rating_id IS NULL THEN
        RAISE EXCEPTION 'subject % has no rating % by indicators', rating_lineage.subject_id, rating_lineage.rating_id
            USING ERRCODE = 'no_data_found';
    END IF;
    RETURN QUERY
    SELECT i.code, i.version, v.value, basis.as_of, u.record_id, c.code, r.dated, r.status, basis.without_disputed
      FROM credit.rating t
      JOIN LATERAL (SELECT k.field FROM credit.characteristic k WHERE k.model_id = t.model_id
                     UNION SELECT k.name FROM credit.model_field k WHERE k.model_id = t.model_id) f ON true
      JOIN LATERAL (SELECT n.* FROM credit.indicator_value n JOIN credit.indicator j ON j.indicator_id = n.indicator_id
                     WHERE n.subject_id = t.subject_id AND j.code = f.field AND n.as_of = basis.as_of
                       AND n.without_disputed = basis.without_disputed AND n.computed_at <= basis.computed_at
                       AND (j.replaced_at IS NULL OR j.replaced_at >= basis.computed_at) AND j.registered_at <= basis.computed_at
                     ORDER BY n.computed_at DESC LIMIT 1) v ON true
      JOIN credit.indicator i ON i.indicator_id = v.indicator_id
      LEFT JOIN LATERAL unnest(v.record_ids) u(record_id) ON true
      LEFT JOIN credit.record r ON r.subject_id = t.subject_id AND r.record_id = u.record_id
      LEFT JOIN credit.category c ON c.category_id = r.category_id
     WHERE t.subject_id = basis.subject_id AND t.rating_id = basis.rating_id
     ORDER BY i.code, u.record_id;
END
$$;
COMMENT ON FUNCTION credit.rating_lineage(bigint, bigint) IS
    'records behind a rating by indicators, with their status now: disputed ones show as disputed (评级溯源)';

-- marks -----------------------------------------------------------------------

-- Statement triggers; old_rows and new_rows are what the event has. Nothing is marked while no model is dynamic.
CREATE FUNCTION credit._mark_subjects() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM credit.rating_dynamic) THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO credit.rating_mark (subject_id) SELECT DISTINCT n.subject_id FROM new_rows n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO credit.rating_mark (subject_id) SELECT DISTINCT o.subject_id FROM old_rows o;
    ELSE
        INSERT INTO credit.rating_mark (subject_id)
        SELECT n.subject_id FROM new_rows n UNION SELECT o.subject_id FROM old_rows o;
    END IF;
    PERFORM credit._rating_ask_worker(false);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._mark_subjects() IS 'trigger: marks the subjects of changed rows for a new rating (标记待重评)';

CREATE TRIGGER mark_insert AFTER INSERT ON credit.record REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION credit._mark_subjects();
CREATE TRIGGER mark_update AFTER UPDATE ON credit.record REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION credit._mark_subjects();
CREATE TRIGGER mark_delete AFTER DELETE ON credit.record REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION credit._mark_subjects();
CREATE TRIGGER mark_insert AFTER INSERT ON credit.subject_attribute REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION credit._mark_subjects();
CREATE TRIGGER mark_update AFTER UPDATE ON credit.subject_attribute REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION credit._mark_subjects();
CREATE TRIGGER mark_delete AFTER DELETE ON credit.subject_attribute REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION credit._mark_subjects();
CREATE TRIGGER mark_insert AFTER INSERT ON credit.subject REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION credit._mark_subjects();
CREATE TRIGGER mark_update AFTER UPDATE ON credit.subject REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION credit._mark_subjects();

-- Rate marked subjects in one transaction with taking their marks away; returns how many marks were taken. A change that
-- commits meanwhile has a mark of its own, and where this rating has seen it already, that one finds nothing changed.
CREATE FUNCTION credit._rate_marked(most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken bigint;
    marked bigint[];
    wanted bigint[];
    d credit.rating_dynamic;
    version bigint;
BEGIN
    WITH mark AS (
        SELECT m.subject_id, m.mark_id FROM credit.rating_mark m LIMIT most FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM credit.rating_mark t USING mark m
         WHERE t.subject_id = m.subject_id AND t.mark_id = m.mark_id
        RETURNING t.subject_id
    )
    SELECT count(*), array_agg(DISTINCT g.subject_id ORDER BY g.subject_id) INTO taken, marked FROM gone g;
    IF taken = 0 THEN
        RETURN 0;
    END IF;
    FOR d IN SELECT * FROM credit.rating_dynamic t ORDER BY t.model LOOP
        SELECT m.model_id INTO version FROM credit.model m
         WHERE m.name = d.model AND m.status = 'published' ORDER BY m.version DESC LIMIT 1;
        CONTINUE WHEN NOT FOUND;
        SELECT array_agg(s.subject_id ORDER BY s.subject_id) INTO wanted FROM credit.subject s
         WHERE s.subject_id = ANY (marked) AND (d.kinds IS NULL OR s.kind = ANY (d.kinds));
        CONTINUE WHEN wanted IS NULL;
        PERFORM credit._rate_by_indicators(NULL, version, wanted, true, credit._today(), d.without_disputed);
    END LOOP;
    RETURN taken;
END
$$;
COMMENT ON FUNCTION credit._rate_marked(integer) IS 'rates marked subjects by the dynamic models, what did not change is left (重评)';

CREATE FUNCTION credit._rating_ask_worker(required boolean) RETURNS void
    AS 'MODULE_PATHNAME', 'pgcredit_rating_ask_worker' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION credit._rating_ask_worker(boolean) IS
    'asks for this database''s rating worker when the transaction commits; if required, raises where there can be none (启动重评进程)';

CREATE FUNCTION credit.set_dynamic(model text, dynamic boolean, without_disputed boolean DEFAULT false, kinds text[] DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF set_dynamic.model IS NULL OR set_dynamic.dynamic IS NULL OR set_dynamic.without_disputed IS NULL THEN
        RAISE EXCEPTION 'model, dynamic and without_disputed cannot be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF NOT set_dynamic.dynamic THEN
        DELETE FROM credit.rating_dynamic d WHERE d.model = set_dynamic.model;
        RETURN;
    END IF;
    PERFORM credit._rate_by_indicators(NULL, credit._published_model(set_dynamic.model), '{}', true, credit._today(), false);
    INSERT INTO credit.rating_dynamic AS d (model, without_disputed, kinds, set_by)
    VALUES (split_part(set_dynamic.model, '@', 1), set_dynamic.without_disputed, set_dynamic.kinds, credit.calling_role()::text)
    ON CONFLICT ON CONSTRAINT rating_dynamic_pkey DO UPDATE
       SET without_disputed = EXCLUDED.without_disputed, kinds = EXCLUDED.kinds, set_by = EXCLUDED.set_by, set_at = clock_timestamp();
    PERFORM credit._rating_ask_worker(true);
END
$$;
COMMENT ON FUNCTION credit.set_dynamic(text, boolean, boolean, text[]) IS
    'let a model rate subjects anew within pgcredit.rating_delay when something about them changes, or no more (设置动态评级)';

-- notices ---------------------------------------------------------------------

CREATE FUNCTION credit.set_grade_notice(model text, category text, purposes text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text;
BEGIN
    IF set_grade_notice.category IS NULL THEN
        DELETE FROM credit.grade_notice_rule r WHERE r.model = set_grade_notice.model;
        RETURN;
    END IF;
    SELECT min(p.code) INTO unknown FROM unnest(set_grade_notice.purposes) p(code)
     WHERE NOT EXISTS (SELECT FROM credit.purpose k WHERE k.code = p.code);
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'unknown purpose "%"', unknown USING ERRCODE = 'PC104';
    END IF;
    IF NOT EXISTS (SELECT FROM credit.model m WHERE m.name = set_grade_notice.model) THEN
        RAISE EXCEPTION 'there is no model "%"', set_grade_notice.model USING ERRCODE = 'undefined_object';
    END IF;
    INSERT INTO credit.grade_notice_rule AS r (model, category_id, purposes)
    VALUES (set_grade_notice.model, (credit._category(set_grade_notice.category)).category_id, set_grade_notice.purposes)
    ON CONFLICT ON CONSTRAINT grade_notice_rule_pkey DO UPDATE SET category_id = EXCLUDED.category_id, purposes = EXCLUDED.purposes;
END
$$;
COMMENT ON FUNCTION credit.set_grade_notice(text, text, text[]) IS
    'say which category and purposes of a consent let an institution know that a grade changed; category NULL: nobody (设置等级变更通知)';

-- For each new rating whose grade is not that of the one before: a notice to each institution with a live consent. What it
-- may still see is decided when it looks, by the guard. A rating older than its transaction comes out of a dump.
CREATE FUNCTION credit._notice_grades() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told integer;
BEGIN
    IF NOT EXISTS (SELECT FROM credit.grade_notice_rule) THEN
        RETURN NULL;
    END IF;
    FOR told IN
        WITH changed AS (
            SELECT n.subject_id, n.rating_id, n.grade, n.rated_at, p.grade AS previous, n.model AS name, g.category_id, g.purposes
              FROM new_rows n
              JOIN credit.grade_notice_rule g ON g.model = n.model
             CROSS JOIN LATERAL (SELECT t.grade FROM credit.rating t
                                  WHERE t.subject_id = n.subject_id AND t.model = n.model AND t.rating_id < n.rating_id
                                  ORDER BY t.rating_id DESC NULLS LAST LIMIT 1) p
             WHERE p.grade IS DISTINCT FROM n.grade AND n.rated_at >= now()
        ), noticed AS (
            INSERT INTO credit.grade_notice AS t (subject_id, institution_id, category_id, model, rating_id, grade, previous_grade, rated_on)
            SELECT DISTINCT c.subject_id, s.institution_id, c.category_id, c.name, c.rating_id, c.grade, c.previous,
                   (c.rated_at AT TIME ZONE 'Asia/Shanghai')::date
              FROM changed c
              JOIN credit.consent s ON s.subject_id = c.subject_id
              JOIN credit.institution i ON i.institution_id = s.institution_id AND i.status = 'active'
             WHERE s.status = 'active' AND s.valid_from <= clock_timestamp() AND clock_timestamp() < s.valid_to
               AND c.category_id = ANY (s.categories) AND c.purposes && s.purposes
            RETURNING t.institution_id
        )
        SELECT DISTINCT n.institution_id FROM noticed n
    LOOP
        PERFORM pg_notify('pgcredit_grade', told::text);
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._notice_grades() IS 'trigger: leaves notices of changed grades and tells who listens (等级变更通知)';
CREATE TRIGGER notice_grades AFTER INSERT ON credit.rating REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION credit._notice_grades();

ALTER TABLE credit.grade_notice ENABLE ROW LEVEL SECURITY;
CREATE POLICY guarded ON credit.grade_notice FOR SELECT TO PUBLIC
    USING (institution_id = credit.calling_institution() AND credit.guard(subject_id, category_id, rated_on));

-- Whom the calling institution's notices are about: numbers alone, so that access to them can be opened.
CREATE FUNCTION credit._grade_notice_subjects(after bigint, most integer, OUT subjects bigint[], OUT categories text[], OUT last bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT array_agg(DISTINCT n.subject_id), array_agg(DISTINCT c.code), max(n.notice_id)
          FROM (SELECT t.subject_id, t.category_id, t.notice_id FROM credit.grade_notice t
                 WHERE t.institution_id = credit.calling_institution() AND t.notice_id > _grade_notice_subjects.after
                 ORDER BY t.notice_id LIMIT _grade_notice_subjects.most) n
          JOIN credit.category c ON c.category_id = n.category_id;
    END;

CREATE FUNCTION credit.grade_notices(purpose text, after bigint DEFAULT 0, most integer DEFAULT 1000)
    RETURNS TABLE (notice_id bigint, subject_id bigint, model text, rating_id bigint, grade text, previous_grade text, noticed_at timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    about record;
BEGIN
    about := credit._grade_notice_subjects(after, most);
    IF about.subjects IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM credit.open_access(about.subjects, purpose, about.categories);
    RETURN QUERY
    SELECT n.notice_id, n.subject_id, n.model, n.rating_id, n.grade, n.previous_grade, n.noticed_at
      FROM credit.grade_notice n
     WHERE n.notice_id > after AND n.notice_id <= about.last AND n.subject_id = ANY (about.subjects)
     ORDER BY n.notice_id;
END
$$;
COMMENT ON FUNCTION credit.grade_notices(text, bigint, integer) IS
    'changed grades that the calling institution has a consent to know, after a notice; the look is recorded as an access (查询等级变更)';

-- terms -----------------------------------------------------------------------

-- Along the grades of the newest version, from best to worst, limits never rise and rates never fall; also when another
-- version becomes the newest, whose grades may lack some of the terms' until those follow. A grade outside of the
-- order may have any terms. Of a model whose grades are not all there nothing is said: a dump brings them later. One transaction after the other, so that no two break together what neither does alone.
CREATE FUNCTION credit._check_terms() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fault record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('credit.grade_terms', 0));
    SELECT f.* INTO fault FROM (
        SELECT v.model_id, t.model, t.product, t.grade, t.credit_limit, t.annual_rate, b.low, b.ordinal,
               lag(t.grade) OVER w AS better, lag(t.credit_limit) OVER w AS better_limit, lag(t.annual_rate) OVER w AS better_rate
          FROM credit.grade_terms t
          LEFT JOIN LATERAL (SELECT m.model_id FROM credit.model m WHERE m.name = t.model AND m.status <> 'draft'
                              ORDER BY m.version DESC LIMIT 1) v ON true
          LEFT JOIN credit.grade_band b ON b.model_id = v.model_id AND b.grade = t.grade
         WHERE (b.ordinal IS NOT NULL OR TG_TABLE_NAME = 'grade_terms')
           AND NOT EXISTS (SELECT FROM credit.outside_grade o WHERE o.model_id = v.model_id AND o.grade = t.grade)
        WINDOW w AS (PARTITION BY t.model, t.product ORDER BY b.high DESC NULLS FIRST, b.low DESC)) f
     WHERE f.ordinal IS NULL AND EXISTS (
                SELECT FROM credit.model e
                 WHERE e.model_id = f.model_id AND e.part_counts[4] > 0
                   AND e.part_counts[4] = (SELECT count(*) FROM credit.grade_band b WHERE b.model_id = e.model_id)
                   AND e.part_counts[6] = (SELECT count(*) FROM credit.outside_grade o WHERE o.model_id = e.model_id))
        OR f.credit_limit > f.better_limit OR f.annual_rate < f.better_rate
     ORDER BY f.model, f.product, f.ordinal LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'terms of product "%" by model "%" do not follow its grades', fault.product, fault.model
            USING ERRCODE = 'PC423',
                  DETAIL = CASE WHEN fault.ordinal IS NULL THEN format('The model has no grade "%s".', fault.grade)
                                WHEN fault.credit_limit > fault.better_limit
                                THEN format('Grade "%s" has a higher limit than the better grade "%s".', fault.grade, fault.better)
                                ELSE format('Grade "%s" has a lower rate than the better grade "%s".', fault.grade, fault.better) END;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._check_terms() IS 'trigger: limits and rates follow the order of grades (额度利率单调性检查)';
CREATE TRIGGER check_terms AFTER INSERT OR UPDATE OR DELETE ON credit.grade_terms
    FOR EACH STATEMENT EXECUTE FUNCTION credit._check_terms();

CREATE TRIGGER check_terms AFTER UPDATE OF status ON credit.model
    FOR EACH STATEMENT EXECUTE FUNCTION credit._check_terms();

CREATE FUNCTION credit.set_grade_terms(model text, product text, terms jsonb) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n integer;
BEGIN
    IF NOT EXISTS (SELECT FROM credit.model m JOIN credit.grade_band b ON b.model_id = m.model_id
                    WHERE m.name = set_grade_terms.model AND m.status <> 'draft') THEN
        RAISE EXCEPTION 'there is no published model "%" with grades', set_grade_terms.model USING ERRCODE = 'undefined_object';
    END IF;
    -- one statement, so that the check sees the new terms whole
    WITH given AS (
        SELECT g.key AS grade, (g.value ->> 'limit')::numeric AS credit_limit, (g.value ->> 'rate')::numeric AS annual_rate
          FROM jsonb_each(set_grade_terms.terms) g
    ), gone AS (
        DELETE FROM credit.grade_terms t
         WHERE t.model = set_grade_terms.model AND t.product = set_grade_terms.product
           AND NOT EXISTS (SELECT FROM given g WHERE g.grade = t.grade)
    )
    INSERT INTO credit.grade_terms (model, product, grade, credit_limit, annual_rate)
    SELECT set_grade_terms.model, set_grade_terms.product, g.grade, g.credit_limit, g.annual_rate FROM given g
    ON CONFLICT ON CONSTRAINT grade_terms_pkey DO UPDATE
       SET credit_limit = EXCLUDED.credit_limit, annual_rate = EXCLUDED.annual_rate;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END
$$;
COMMENT ON FUNCTION credit.set_grade_terms(text, text, jsonb) IS
    'limits and rates of a product by grade, {"A": {"limit": 500000, "rate": 0.0435}, …}, in place of what was; checked against the order of grades (设置额度利率)';

CREATE FUNCTION credit.terms_of(subject_id bigint, model text, product text)
    RETURNS TABLE (rating_id bigint, grade text, credit_limit numeric, annual_rate numeric)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT c.rating_id, c.grade, t.credit_limit, t.annual_rate
          FROM credit.current_rating(terms_of.subject_id, terms_of.model) c
          JOIN credit.grade_terms t ON t.model = terms_of.model AND t.product = terms_of.product AND t.grade = c.grade;
    END;
COMMENT ON FUNCTION credit.terms_of(bigint, text, text) IS 'limit and rate that a subject''s current grade gives (主体额度利率)';

-- erasure and rights ----------------------------------------------------------

CREATE FUNCTION credit._erase_rating_marks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM credit.rating_mark m WHERE m.subject_id = NEW.subject_id;
    DELETE FROM credit.rating_failure f WHERE f.subject_id = NEW.subject_id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._erase_rating_marks() IS 'trigger: removes marks and failures of a subject that is erased; its notices go with its ratings';
CREATE TRIGGER erase_rating_marks AFTER UPDATE OF log_salt ON credit.subject
    FOR EACH ROW WHEN (OLD.log_salt <> NEW.log_salt) EXECUTE FUNCTION credit._erase_rating_marks();

REVOKE ALL ON credit.rating_run, credit.rating_batch, credit.rating_failure, credit.rating_basis, credit.rating_dynamic,
    credit.rating_mark, credit.grade_notice_rule, credit.grade_notice, credit.grade_terms, credit.stat_progress_rating FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._row_subject(record), credit._rating_statement(text, boolean),
    credit._rating_try(bigint, text, bigint, text, text, anyelement, bigint[], boolean, date, boolean, timestamptz),
    credit._rate_computed(bigint, bigint, text, bigint[], text, bigint[], boolean, date, boolean, timestamptz),
    credit._rate_by_indicators(bigint, bigint, bigint[], boolean, date, boolean), credit._published_model(text),
    credit._rating_open(text, regclass, date, integer, boolean, boolean, text[], bigint),
    credit._rating_plan(bigint, bigint[], bigint[], integer[], boolean), credit._rating_claim(bigint),
    credit._rating_batch_run(bigint, integer), credit._rating_batch_done(bigint, integer, integer, integer, integer),
    credit._rating_take_rows(bigint, integer, anyarray), credit._rating_take_subjects(bigint, integer), credit._rating_close(bigint),
    credit.cancel_rating_run(bigint), credit.current_rating(bigint, text), credit.rating_lineage(bigint, bigint),
    credit._mark_subjects(), credit._rate_marked(integer), credit._rating_ask_worker(boolean),
    credit.set_dynamic(text, boolean, boolean, text[]), credit.set_grade_notice(text, text, text[]), credit._notice_grades(),
    credit._grade_notice_subjects(bigint, integer), credit.grade_notices(text, bigint, integer), credit._check_terms(),
    credit.set_grade_terms(text, text, jsonb), credit.terms_of(bigint, text, text), credit._erase_rating_marks() FROM PUBLIC;
REVOKE ALL ON PROCEDURE credit.rate_all(text, regclass, date, integer, boolean, boolean, text[], integer, bigint) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE credit.rate_all(text, regclass, date, integer, boolean, boolean, text[], integer, bigint) TO credit_operator;
-- what rate_all calls as its caller
GRANT EXECUTE ON FUNCTION credit._rating_open(text, regclass, date, integer, boolean, boolean, text[], bigint),
    credit._rating_plan(bigint, bigint[], bigint[], integer[], boolean), credit._rating_claim(bigint),
    credit._rating_take_rows(bigint, integer, anyarray), credit._rating_take_subjects(bigint, integer), credit._rating_close(bigint)
    TO credit_operator;
GRANT EXECUTE ON FUNCTION credit.cancel_rating_run(bigint), credit.current_rating(bigint, text), credit.rating_lineage(bigint, bigint),
    credit.set_dynamic(text, boolean, boolean, text[]), credit.set_grade_notice(text, text, text[]),
    credit.set_grade_terms(text, text, jsonb), credit.terms_of(bigint, text, text) TO credit_operator;
GRANT EXECUTE ON FUNCTION credit.grade_notices(text, bigint, integer), credit._grade_notice_subjects(bigint, integer) TO credit_institution;
-- the policy asks who is calling, as whoever selects
GRANT EXECUTE ON FUNCTION credit.calling_institution() TO credit_institution;
GRANT SELECT ON credit.grade_notice TO credit_institution;
GRANT SELECT ON credit.grade_terms TO credit_operator, credit_institution, credit_analyst, credit_auditor;
GRANT SELECT ON credit.grade_notice_rule, credit.rating_dynamic, credit.stat_progress_rating, credit.rating_run
    TO credit_operator, credit_auditor;
GRANT SELECT ON credit.rating_batch, credit.rating_failure, credit.rating_basis, credit.rating_mark TO credit_operator;
