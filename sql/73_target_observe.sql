-- ---------------------------------------------------------------------------
-- 73 target: observing
-- ---------------------------------------------------------------------------

-- Only provinces are shipped as regions, the platform loads its own; the regions of the packs are known in any case.
-- That is also why no table of this room has a foreign key on credit.region.
CREATE FUNCTION credit._region_known(p_region credit.region_code) RETURNS boolean
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT EXISTS (SELECT FROM credit.region r WHERE r.code = p_region)
            OR EXISTS (SELECT FROM credit.pack p WHERE p.region = p_region)
            OR EXISTS (SELECT FROM credit.reported_figures f WHERE f.region = p_region);
    END;

CREATE FUNCTION credit._check_figure(metric text, region credit.region_code, period daterange, value numeric,
                                     source text, segment text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind text;
BEGIN
    IF metric IS NULL OR region IS NULL OR period IS NULL OR value IS NULL OR source IS NULL OR segment IS NULL THEN
        RAISE EXCEPTION 'metric, region, period, value, source and segment of an observation must not be null'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF btrim(source) = '' THEN
        RAISE EXCEPTION 'source of an observation must not be empty' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Name the report or the unit the figure comes from.';
    END IF;
    SELECT m.additivity INTO kind FROM credit.metric m WHERE m.code = metric;
    IF kind IS NULL THEN
        RAISE EXCEPTION 'metric "%" does not exist', metric USING ERRCODE = 'undefined_object',
            HINT = 'Metrics are the rows of credit.metric; credit.create_pack adds new ones.';
    END IF;
    IF NOT credit._region_known(region) THEN
        RAISE EXCEPTION 'region "%" does not exist', region USING ERRCODE = 'foreign_key_violation',
            HINT = 'Regions, retired ones too, are the rows of credit.region; credit.load_regions adds more.';
    END IF;
    IF NOT credit._is_figure(value) THEN
        RAISE EXCEPTION 'figure % is out of range', left(value::text, 60) USING ERRCODE = 'numeric_value_out_of_range',
            DETAIL = 'A figure is finite, below 1e30 in size, with at most 20 decimals.';
    END IF;
    IF isempty(period) OR lower_inf(period) OR upper_inf(period)
       OR NOT isfinite(lower(period)) OR NOT isfinite(upper(period)) THEN
        RAISE EXCEPTION 'period % of an observation is empty or has no end', period
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF kind = 'stock' AND upper(period) - lower(period) <> 1 THEN
        RAISE EXCEPTION 'metric "%" is a stock and holds at a day, but the period is %', metric, period
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the same day as start and end.';
    END IF;
END
$$;

CREATE FUNCTION credit._period(first_day date, last_day date) RETURNS daterange
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF last_day < first_day THEN
        RAISE EXCEPTION 'period ends on %, before it starts on %', last_day, first_day
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF first_day IS NULL OR last_day IS NULL OR NOT isfinite(first_day) OR NOT isfinite(last_day) THEN
        RAISE EXCEPTION 'a period needs its first and its last day' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN daterange(first_day, last_day, '[]');
END
$$;

CREATE FUNCTION credit._keep_observation() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO credit.observation_history (metric, region, segment, period, value, source, derived, observed_by,
                                            observed_at, superseded_by)
    VALUES (old.metric, old.region, old.segment, old.period, old.value, old.source, old.derived, old.observed_by,
            old.observed_at, credit.calling_role()::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_history AFTER UPDATE OR DELETE ON credit.observation
    FOR EACH ROW EXECUTE FUNCTION credit._keep_observation();

CREATE FUNCTION credit._observe(metric text, region credit.region_code, period daterange, value numeric, source text,
                                segment text, derived boolean) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fresh boolean;
BEGIN
    PERFORM credit._check_figure(metric, region, period, value, source, segment);
    INSERT INTO credit.observation AS o (metric, region, segment, period, value, source, derived, observed_by)
    VALUES (metric, region, segment, period, value, source, derived, credit.calling_role()::text)
    ON CONFLICT ON CONSTRAINT observation_pkey DO UPDATE
       SET value = excluded.value, source = excluded.source, derived = excluded.derived,
           observed_by = excluded.observed_by, observed_at = now()
     WHERE o.value <> excluded.value OR o.source <> excluded.source OR o.derived <> excluded.derived
    RETURNING o.xmax = 0 INTO fresh;
    RETURN CASE WHEN fresh THEN 'new' WHEN NOT fresh THEN 'corrected' ELSE 'unchanged' END;
END
$$;

CREATE FUNCTION credit.observe(metric text, region credit.region_code, period_start date, period_end date, value numeric,
                               source text, segment text DEFAULT '') RETURNS text
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT credit._observe(metric, region, credit._period(period_start, period_end), value, source, segment, false);
    END;
COMMENT ON FUNCTION credit.observe(text, credit.region_code, date, date, numeric, text, text) IS
    'enter a figure for a period, both days included; the same cell again is a correction, and history is kept (录入观测值)';

CREATE FUNCTION credit.observe(metric text, region credit.region_code, as_of date, value numeric,
                               source text, segment text DEFAULT '') RETURNS text
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT credit._observe(metric, region, credit._period(as_of, as_of), value, source, segment, false);
    END;
COMMENT ON FUNCTION credit.observe(text, credit.region_code, date, numeric, text, text) IS
    'enter a figure that holds at a day (录入时点观测值)';

CREATE TYPE credit._observation_row AS (
    metric text, region credit.region_code, segment text, period daterange, value numeric, source text, derived boolean,
    reason text, reason_sqlstate text);

-- One row of a batch: the figure, or why it is none.  Any error of a cast or a check is that row's reason.
CREATE FUNCTION credit._parse_observation(given jsonb) RETURNS credit._observation_row
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r credit._observation_row;
    stranger text;
BEGIN
    IF jsonb_typeof(given) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'row is not a JSON object' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT min(k) INTO stranger FROM jsonb_object_keys(given) k
     WHERE k NOT IN ('metric', 'region', 'segment', 'as_of', 'period_start', 'period_end', 'value', 'source', 'derived');
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION 'unknown key "%"', stranger USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF given ? 'as_of' AND (given ? 'period_start' OR given ? 'period_end') THEN
        RAISE EXCEPTION 'give as_of, or period_start and period_end, not both' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    r.metric := given ->> 'metric';
    r.region := given ->> 'region';
    r.segment := coalesce(given ->> 'segment', '');
    r.value := given ->> 'value';
    r.source := given ->> 'source';
    r.derived := coalesce((given ->> 'derived')::boolean, false);
    r.period := credit._period(coalesce(given ->> 'as_of', given ->> 'period_start')::date,
                               coalesce(given ->> 'as_of', given ->> 'period_end')::date);
    PERFORM credit._check_figure(r.metric, r.region, r.period, r.value, r.source, r.segment);
    RETURN r;
EXCEPTION WHEN OTHERS THEN
    r := NULL;
    r.reason := sqlerrm;
    r.reason_sqlstate := sqlstate;
    RETURN r;
END
$$;

CREATE FUNCTION credit.observe(rows jsonb, OUT given bigint, OUT inserted bigint, OUT corrected bigint,
                               OUT unchanged bigint, OUT rejected bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD' AS $$
BEGIN
    IF jsonb_typeof(rows) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'a batch of observations is a JSON array of objects' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- The last row of a cell counts.  Cells are written in one order, so that two batches cannot deadlock.
    WITH parsed AS MATERIALIZED (
        SELECT e.ord, e.given, p.*
          FROM jsonb_array_elements(rows) WITH ORDINALITY e(given, ord)
         CROSS JOIN LATERAL credit._parse_observation(e.given) p
    ), ranked AS (
        SELECT p.*, last_value(p.value) OVER cell AS last_figure,
               row_number() OVER cell = count(*) OVER cell AS is_last
          FROM parsed p WHERE p.reason IS NULL
        WINDOW cell AS (PARTITION BY p.metric, p.region, p.segment, p.period ORDER BY p.ord
                        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ), written AS (
        INSERT INTO credit.observation AS o (metric, region, segment, period, value, source, derived, observed_by)
        SELECT k.metric, k.region, k.segment, k.period, k.value, k.source, k.derived, credit.calling_role()::text
          FROM ranked k WHERE k.is_last
         ORDER BY k.metric, k.region, k.segment, k.period
        ON CONFLICT ON CONSTRAINT observation_pkey DO UPDATE
           SET value = excluded.value, source = excluded.source, derived = excluded.derived,
               observed_by = excluded.observed_by, observed_at = now()
         WHERE o.value <> excluded.value OR o.source <> excluded.source OR o.derived <> excluded.derived
        RETURNING o.xmax = 0 AS fresh
    ), bad AS (
        SELECT p.given, p.reason, p.reason_sqlstate FROM parsed p WHERE p.reason IS NOT NULL
        UNION ALL
        SELECT k.given, 'a later row of the batch gives another figure for the same cell', '21000'
          FROM ranked k WHERE NOT k.is_last AND k.value <> k.last_figure
    ), kept AS (
        INSERT INTO credit.observation_rejected AS j (digest, given, reason, reason_sqlstate, given_by)
        SELECT DISTINCT ON (b.given) sha256(convert_to(b.given::text, 'UTF8')), b.given, b.reason, b.reason_sqlstate,
               credit.calling_role()::text
          FROM bad b
         ORDER BY b.given
        ON CONFLICT ON CONSTRAINT observation_rejected_pkey DO UPDATE
           SET times = j.times + 1, last_at = now(), reason = excluded.reason,
               reason_sqlstate = excluded.reason_sqlstate, given_by = excluded.given_by
    )
    SELECT (SELECT count(*) FROM parsed), (SELECT count(*) FROM written w WHERE w.fresh),
           (SELECT count(*) FROM written w WHERE NOT w.fresh), (SELECT count(*) FROM bad)
      INTO given, inserted, corrected, rejected;
    unchanged := given - inserted - corrected - rejected;
END
$$;
COMMENT ON FUNCTION credit.observe(jsonb) IS
    'enter a batch of figures: good rows go in, bad rows are kept in credit.observation_rejected (批量录入观测值)';

CREATE FUNCTION credit.retract_observation(metric text, region credit.region_code, period_start date, period_end date,
                                           reason text, segment text DEFAULT '') RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cell daterange := credit._period(period_start, period_end);
    gone boolean;
BEGIN
    IF reason IS NULL OR btrim(reason) = '' THEN
        RAISE EXCEPTION 'a retraction needs a reason' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    gone := credit._retract(metric, region, cell, segment, reason);
    IF gone IS NOT TRUE THEN
        RAISE EXCEPTION 'there is no observation of metric "%" in region % over %', metric, region, cell
            USING ERRCODE = 'no_data_found';
    END IF;
END
$$;
COMMENT ON FUNCTION credit.retract_observation(text, credit.region_code, date, date, text, text) IS
    'take a figure back; it stays in the history with the reason (撤回观测值)';

-- Parsed here and not in plpgsql: = of region_code belongs to this schema, which a pinned search_path leaves out.
CREATE FUNCTION credit._retract(p_metric text, p_region credit.region_code, p_period daterange, p_segment text,
                                p_reason text) RETURNS boolean
    LANGUAGE sql
    BEGIN ATOMIC
        DELETE FROM credit.observation o
         WHERE o.metric = p_metric AND o.region = p_region AND o.segment = p_segment AND o.period = p_period;
        -- the row trigger has just written this row
        UPDATE credit.observation_history h SET reason = p_reason
         WHERE h.history_id = (SELECT max(n.history_id) FROM credit.observation_history n
                                WHERE n.metric = p_metric AND n.region = p_region AND n.segment = p_segment
                                  AND n.period = p_period)
           AND h.superseded_at = now() AND h.reason IS NULL
        RETURNING true;
    END;

CREATE FUNCTION credit.observe_reported(pack text, OUT observed bigint, OUT unchanged bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    f credit.reported_figures;
BEGIN
    PERFORM credit._pack_region(pack);
    observed := 0;
    unchanged := 0;
    FOR f IN SELECT * FROM credit.reported_figures r WHERE r.pack = observe_reported.pack ORDER BY r.position LOOP
        IF credit._observe(f.metric, f.region, f.period, f.value,
                           f.clause || ' 「' || f.phrase || '」 ' || f.kind || coalesce(': ' || f.derivation, ''),
                           f.segment, f.kind = 'derived') = 'unchanged' THEN
            unchanged := unchanged + 1;
        ELSE
            observed := observed + 1;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION credit.observe_reported(text) IS
    'enter the figures that the document of a pack itself reports, derived ones marked so (录入文件自报数据)';
