-- ---------------------------------------------------------------------------
-- 79 target: what a target was judged by
-- ---------------------------------------------------------------------------

-- versions of reported figures -------------------------------------------------

-- A correction or retraction leaves the figure as it was in the history; versions count from the first.
CREATE VIEW credit.observation_version WITH (security_barrier) AS
    SELECT v.metric, v.region, v.segment, lower(v.period) AS first_day, upper(v.period) - 1 AS last_day,
           row_number() OVER (PARTITION BY v.metric, v.region::text, v.segment, v.period ORDER BY v.history_id NULLS LAST)::integer
               AS version,
           v.history_id IS NULL AS in_force, v.value, v.source, v.derived, v.observed_by, v.observed_at, v.superseded_by,
           v.superseded_at, v.reason
      FROM (SELECT h.metric, h.region, h.segment, h.period, h.history_id, h.value, h.source, h.derived, h.observed_by, h.observed_at,
                   h.superseded_by, h.superseded_at, h.reason
              FROM credit.observation_history h
            UNION ALL
            SELECT o.metric, o.region, o.segment, o.period, NULL, o.value, o.source, o.derived, o.observed_by, o.observed_at,
                   NULL, NULL, NULL
              FROM credit.observation o) v;
COMMENT ON VIEW credit.observation_version IS
    'all versions of reported figures: the one in force, and those that a correction replaced or a retraction took back (填报数据版本)';
COMMENT ON COLUMN credit.observation_version.version IS 'counts from 1, without gap (版本)';

-- The figures that a judgement used, each reported one with its version: figure_version, since version is that of a definition.
CREATE FUNCTION credit._versioned(figures jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT coalesce(jsonb_agg(f.e || CASE WHEN o.metric IS NULL THEN '{}'
                                              ELSE jsonb_build_object('figure_version', 1 + (
                    SELECT count(*) FROM credit.observation_history h
                     WHERE h.metric = o.metric AND h.region = o.region AND h.segment = o.segment AND h.period = o.period)) END
                                  ORDER BY f.n), '[]')
          FROM jsonb_array_elements(figures) WITH ORDINALITY f(e, n)
          -- the source tells a figure from a baseline that the document gives for the same day
          LEFT JOIN credit.observation o
            ON NOT f.e ? 'version' AND o.metric = f.e ->> 'metric' AND o.region::text = f.e ->> 'region' AND o.segment = f.e ->> 'segment'
           AND credit._period_text(o.period) = f.e ->> 'period' AND o.source = f.e ->> 'source' AND o.value = (f.e ->> 'value')::numeric;
    END;

CREATE FUNCTION credit._unversioned(figures jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT coalesce(jsonb_agg(CASE WHEN jsonb_typeof(f.e) = 'object' THEN f.e - 'figure_version' ELSE f.e END ORDER BY f.n), '[]')
          FROM jsonb_array_elements(figures) WITH ORDINALITY f(e, n);
    END;

-- lineage ------------------------------------------------------------------------

CREATE FUNCTION credit.target_lineage(pack text, code text, as_of date DEFAULT (now() AT TIME ZONE 'Asia/Shanghai')::date,
                                      region credit.region_code DEFAULT NULL, max_rows integer DEFAULT 1000)
    RETURNS TABLE (metric text, version integer, figure_region text, segment text, period text, figure numeric, source text,
                   month date, institution text, key text, value numeric, weight numeric, batches bigint[], reported_by text,
                   reported_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    place credit.region_code := credit._place_of(pack, as_of, region);
    t credit.target := credit._one_target(pack, code);
    u jsonb;
    s credit.metric_source;
    first date;
    last date;
    rest integer := max_rows;
    got bigint;
BEGIN
    IF max_rows IS NULL OR max_rows < 1 THEN
        RAISE EXCEPTION 'max_rows must be positive' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR u IN SELECT DISTINCT e
               FROM jsonb_array_elements(credit._versioned((credit._judge(t, place, as_of)).figures)) e
              WHERE e ? 'metric' ORDER BY e LOOP
        EXIT WHEN rest <= 0;
        IF NOT u ? 'version' THEN
            RETURN QUERY
                SELECT u ->> 'metric', (u ->> 'figure_version')::integer, u ->> 'region', u ->> 'segment', u ->> 'period', (u ->> 'value')::numeric,
                       u ->> 'source', NULL::date, NULL::text, NULL::text, NULL::numeric, NULL::numeric, NULL::bigint[],
                       o.observed_by, o.observed_at
                  FROM (SELECT) one
                  LEFT JOIN credit.observation o
                    ON o.metric = u ->> 'metric' AND o.region::text = u ->> 'region' AND o.segment = u ->> 'segment'
                   AND credit._period_text(o.period) = u ->> 'period' AND u ? 'figure_version';
            rest := rest - 1;
            CONTINUE;
        END IF;
        SELECT * INTO s FROM credit.metric_source x WHERE x.metric = u ->> 'metric' AND x.version = (u ->> 'version')::integer;
        first := date_trunc('month', left(u ->> 'period', 10)::date)::date;
        last := date_trunc('month', right(u ->> 'period', 10)::date)::date;
        -- The delivery that a row stands as it is from: the one that corrected it last, else one that brought new rows of the month
        -- after the row was last taken away. Rows do not say which delivery brought them, so it may be one of several.
        RETURN QUERY EXECUTE format($q$
            WITH line AS MATERIALIZED (
                SELECT l.month, l.institution_id, l.key, %s::numeric AS value, %s::numeric AS weight
                  FROM credit.%I l
                 WHERE l.month BETWEEN $3 AND $4 AND l.region OPERATOR(credit.=) ANY ($5)
                   AND ($1 ->> 'segment' = '' OR l.segment = $1 ->> 'segment') AND %s
                 ORDER BY l.month, l.institution_id, l.key COLLATE "C" LIMIT $6
            ), last AS (
                SELECT DISTINCT ON (c.institution_id, c.month, c.key) c.institution_id, c.month, c.key, c.batch_id, c.operation
                  FROM credit.ledger_correction c JOIN line n USING (institution_id, month, key)
                 WHERE c.ledger = $7 ORDER BY 1, 2, 3, c.batch_id DESC
            ), brought AS (
                SELECT b.batch_id, b.provider_id, b.newest_dated FROM credit.batch b
                 WHERE b.ledger = $7 AND b.newest_dated BETWEEN $3 AND $4 AND b.inserted > 0
            )
            SELECT $1 ->> 'metric', $2, $1 ->> 'region', $1 ->> 'segment', $1 ->> 'period', ($1 ->> 'value')::numeric, $1 ->> 'source',
                   n.month, i.code, n.key, n.value, n.weight,
                   CASE WHEN c.operation = 'changed' THEN ARRAY[c.batch_id]
                        ELSE ARRAY(SELECT b.batch_id FROM brought b
                                    WHERE b.provider_id = n.institution_id AND b.newest_dated = n.month
                                      AND b.batch_id > coalesce(c.batch_id, 0) ORDER BY 1) END,
                   NULL::text, NULL::timestamptz
              FROM line n
              LEFT JOIN credit.institution i ON i.institution_id = n.institution_id
              LEFT JOIN last c ON (c.institution_id, c.month, c.key) = (n.institution_id, n.month, n.key)
             ORDER BY n.month, n.institution_id, n.key COLLATE "C" $q$,
            coalesce('l.' || quote_ident(s.value_column), '1'), coalesce('l.' || quote_ident(s.weight_column), 'NULL'), s.ledger,
            credit._measure_condition(s))
            USING u, s.version, first, last, credit._places((u ->> 'region')::credit.region_code), rest, s.ledger;
        GET DIAGNOSTICS got = ROW_COUNT;
        rest := rest - got;
    END LOOP;
END
$$;
COMMENT ON FUNCTION credit.target_lineage(text, text, date, credit.region_code, integer) IS
    'what a target was judged by: the rows of ledgers with the deliveries that brought them, or the figure with who reported it and when (目标溯源)';

REVOKE ALL ON credit.observation_version FROM PUBLIC;
GRANT SELECT ON credit.observation_version TO credit_operator, credit_analyst;
REVOKE ALL ON FUNCTION credit._versioned(jsonb), credit._unversioned(jsonb), credit.target_lineage(text, text, date, credit.region_code, integer) FROM PUBLIC;
-- rows of ledgers are business of institutions: analysts have none
GRANT EXECUTE ON FUNCTION credit.target_lineage(text, text, date, credit.region_code, integer) TO credit_operator;
