-- ---------------------------------------------------------------------------
-- 79 target: figures of the ledgers in targets, and which figure goes first
-- ---------------------------------------------------------------------------

-- what no ledger gives ------------------------------------------------------------

-- Each metric that neither a ledger nor an operation gives is reported by a unit. The units are those that the documents
-- name with its targets, or with targets that are worked out from it; where a document names none, the office that leads it.
INSERT INTO credit.metric_source (source_id, metric, version, kind, reported_by, due_days, note, defined_by, shipped)
WITH RECURSIVE used(pack, unit, metric, depth) AS (
    SELECT t.pack, t.responsible_unit, t.metric, 0 FROM credit.target t WHERE t.shipped
    UNION
    SELECT u.pack, u.unit, o.code, u.depth + 1
      FROM used u JOIN credit.metric m ON m.code = u.metric
     CROSS JOIN LATERAL (VALUES (m.left_metric), (m.right_metric)) o(code) WHERE o.code IS NOT NULL AND u.depth < 8
), named AS (
    SELECT u.metric, pg_catalog.unnest(pg_catalog.string_to_array(u.unit, ';')) AS unit FROM used u WHERE u.unit IS NOT NULL
), led AS (
    SELECT x.metric, l.unit
      FROM (SELECT u.metric, u.pack FROM used u UNION SELECT f.metric, f.pack FROM credit.reported_figures f) x
      JOIN (VALUES ('ningbo-2020', '宁波市普惠金融改革试验区领导小组办公室'), ('wenzhou-2022', '温州市普惠金融发展示范区领导小组办公室'),
                   ('zhejiang-2020', '浙江银保监局'), ('qinghai-2016', '青海省普惠金融综合示范区试点工作领导小组办公室'),
                   ('yixing-2023', '宜兴市普惠金融试点工作领导小组办公室')) l(pack, unit) ON l.pack = x.pack
)
SELECT 1000 + pg_catalog.row_number() OVER (ORDER BY m.code COLLATE "C"), m.code, 1, 'reported',
       coalesce((SELECT pg_catalog.string_agg(DISTINCT n.unit, ';' ORDER BY n.unit) FROM named n WHERE n.metric = m.code),
                (SELECT pg_catalog.string_agg(DISTINCT l.unit, ';' ORDER BY l.unit) FROM led l WHERE l.metric = m.code)),
       CASE m.additivity WHEN 'flow' THEN 10 ELSE 15 END,
       CASE WHEN NOT EXISTS (SELECT FROM named n WHERE n.metric = m.code) THEN 'the document names no unit; the office that leads it' END,
       'pgcredit', true
  FROM credit.metric m
 WHERE m.shipped AND m.operation IS NULL
   AND NOT EXISTS (SELECT FROM credit.metric_source s WHERE s.metric = m.code)
 ORDER BY m.code COLLATE "C";

-- figures of the ledgers --------------------------------------------------------------

-- Regions whose ledger rows count for a region; empty where no ledger has anything, so that nobody looks further.
CREATE FUNCTION credit._places(region credit.region_code) RETURNS credit.region_code[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM credit._measure_total) AND NOT EXISTS (SELECT FROM credit._measure_subject)
       AND NOT EXISTS (SELECT FROM credit._measure_delta) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(SELECT credit.regions_within(region));
END
$$;

-- The source in force of a metric that a ledger has, and whether its figure is of a day or of months.
CREATE FUNCTION credit._ledger_source(p_metric text, OUT source credit.metric_source, OUT of_day boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT s.* INTO source FROM credit.metric_source s WHERE s.metric = p_metric ORDER BY s.version DESC LIMIT 1;
    IF source.ledger IS NULL THEN
        source := NULL;
        RETURN;
    END IF;
    SELECT l.nature = 'stock' AND m.additivity <> 'flow' INTO of_day
      FROM credit.ledger l CROSS JOIN credit.metric m WHERE l.ledger = source.ledger AND m.code = p_metric;
END
$$;

-- Months from first to last for which the ledger has rows of these regions, newest first: a month in which the metric has no
-- row, but the widest source of its ledger has, has the figure zero; a month without rows has none.
CREATE FUNCTION credit._ledger_months(source credit.metric_source, first date, last date, places credit.region_code[])
    RETURNS SETOF date
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sources integer[];
    counts integer[];
    fresh date[];
    oldest date;
    newest date;
    m date;
BEGIN
    SELECT ARRAY[source.source_id, s.source_id] INTO sources FROM credit.metric_source s
     WHERE s.ledger = source.ledger
     ORDER BY s.kind <> 'distinct' DESC, jsonb_array_length(s.filter), s.source_id LIMIT 1;
    -- only a distinct count has subjects; elsewhere each month without rows would be asked for in every region
    counts := ARRAY(SELECT s.source_id FROM credit.metric_source s WHERE s.source_id = ANY (sources) AND s.kind = 'distinct');
    -- what is not folded yet is little, and has no index: read once
    SELECT array_agg(DISTINCT d.month) INTO fresh FROM credit._measure_delta d
     WHERE d.source_id = ANY (sources) AND d.month BETWEEN first AND last AND d.n > 0
       AND d.region OPERATOR(credit.=) ANY (places);
    -- the two ends of the indexes keep an empty ledger from being asked for each month
    SELECT least(min(x.a), (SELECT min(f) FROM unnest(fresh) f)), greatest(max(x.b), (SELECT max(f) FROM unnest(fresh) f))
      INTO oldest, newest
      FROM unnest(sources) u(id)
     CROSS JOIN LATERAL (
         SELECT (SELECT min(t.month) FROM credit._measure_total t WHERE t.source_id = u.id),
                (SELECT max(t.month) FROM credit._measure_total t WHERE t.source_id = u.id)
         UNION ALL
         SELECT (SELECT min(t.month) FROM credit._measure_subject t WHERE t.source_id = u.id),
                (SELECT max(t.month) FROM credit._measure_subject t WHERE t.source_id = u.id)) x(a, b);
    -- least and greatest pass over NULL: without this an empty ledger is asked for all months
    IF oldest IS NULL THEN
        RETURN;
    END IF;
    FOR m IN SELECT g::date FROM generate_series(least(last, newest)::timestamp, greatest(first, oldest)::timestamp,
                                                 interval '-1 month') g LOOP
        -- region by region, so that the first with a row ends the search; LIMIT keeps the planner from turning it round
        IF m = ANY (fresh)
           OR EXISTS (SELECT FROM unnest(places) p(region) CROSS JOIN LATERAL (
                          SELECT FROM credit._measure_total t
                           WHERE t.source_id = ANY (sources) AND t.month = m AND t.region OPERATOR(credit.=) p.region
                             AND t.n > 0 LIMIT 1) x)
           OR (counts <> '{}'
               AND EXISTS (SELECT FROM unnest(places) p(region) CROSS JOIN LATERAL (
                               SELECT FROM credit._measure_subject t
                                WHERE t.source_id = ANY (counts) AND t.month = m AND t.region OPERATOR(credit.=) p.region
                                  AND t.n > 0 LIMIT 1) x)) THEN
            RETURN NEXT m;
        END IF;
    END LOOP;
END
$$;

-- The figure of the ledgers at exactly this period, NULL where they have none. A stock has one at the end of a month, a
-- flow over whole months none of which is missing.
CREATE FUNCTION credit._measured(p_metric text, p_region credit.region_code, p_segment text, p_period daterange,
                                 places credit.region_code[] DEFAULT NULL) RETURNS credit._figure
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    l record;
    s credit.metric_source;
    within credit.region_code[] := places;
    first date;
    last date;
    value numeric;
BEGIN
    IF within = '{}' OR extract(day FROM upper(p_period)) <> 1 THEN
        RETURN NULL;
    END IF;
    l := credit._ledger_source(p_metric);
    s := l.source;
    IF s.ledger IS NULL OR l.of_day <> (upper(p_period) - lower(p_period) = 1)
       OR (NOT l.of_day AND extract(day FROM lower(p_period)) <> 1) THEN
        RETURN NULL;
    END IF;
    last := (upper(p_period) - interval '1 month')::date;
    first := CASE WHEN l.of_day THEN last ELSE lower(p_period) END;
    within := coalesce(within, credit._places(p_region));
    IF within = '{}' OR (SELECT count(*) FROM credit._ledger_months(s, first, last, within))
                        <> credit._months(first, last) + 1 THEN
        RETURN NULL;
    END IF;
    value := credit._measure_source(s, first, last, within, NULL, nullif(p_segment, ''), NULL);
    IF value IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN ROW(value, 1, p_period, jsonb_build_array(jsonb_build_object(
               'metric', p_metric, 'region', p_region::text, 'segment', p_segment, 'period', credit._period_text(p_period),
               'value', value, 'source', 'ledger ' || s.ledger, 'derived', false, 'version', s.version)), NULL, NULL)::credit._figure;
END
$$;

CREATE FUNCTION credit._prefers_reported(p_metric text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM credit.figure_precedence p WHERE p.metric = p_metric AND p.preferred = 'reported');
END
$$;

-- precedence ----------------------------------------------------------------------

CREATE TABLE credit.figure_precedence (
    metric          text PRIMARY KEY REFERENCES credit.metric,
    preferred       text NOT NULL CHECK (preferred IN ('measured', 'reported')),
    reason          text NOT NULL CHECK (btrim(reason) <> ''),
    set_by          text NOT NULL,
    set_at          timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE credit.figure_precedence IS
    'which figure counts where the ledgers and a unit both give one; no row: that of the ledgers (数据口径优先级)';

CREATE FUNCTION credit.set_precedence(metric text, preferred text, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF preferred IS NULL OR preferred NOT IN ('measured', 'reported') OR reason IS NULL OR btrim(reason) = '' THEN
        RAISE EXCEPTION 'a precedence is measured or reported, and has a reason' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (SELECT FROM credit.metric m WHERE m.code = set_precedence.metric) THEN
        RAISE EXCEPTION 'metric "%" does not exist', metric USING ERRCODE = 'undefined_object',
            HINT = 'Metrics are the rows of credit.metric.';
    END IF;
    INSERT INTO credit.figure_precedence AS p (metric, preferred, reason, set_by)
    VALUES (metric, preferred, reason, credit.calling_role()::text)
    ON CONFLICT ON CONSTRAINT figure_precedence_pkey DO UPDATE
       SET preferred = excluded.preferred, reason = excluded.reason, set_by = excluded.set_by, set_at = now();
END
$$;
COMMENT ON FUNCTION credit.set_precedence(text, text, text) IS
    'which figure of a metric counts where the ledgers and a unit both give one: measured or reported (设定数据口径优先级)';

-- A function of a view runs with the rights of who asks, hence of its own.
CREATE FUNCTION credit._conflicts()
    RETURNS TABLE (metric text, region credit.region_code, segment text, first_day date, last_day date, reported numeric,
                   measured numeric, difference numeric, used text, source text, observed_by text, observed_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT o.metric, o.region, o.segment, lower(o.period), upper(o.period) - 1, o.value, trim_scale(f.num / f.den),
               trim_scale(o.value - f.num / f.den),
               CASE WHEN credit._prefers_reported(o.metric) THEN 'reported' ELSE 'measured' END,
               o.source, o.observed_by, o.observed_at
          FROM credit.observation o
         CROSS JOIN LATERAL credit._measured(o.metric, o.region, o.segment, o.period) f
         WHERE EXISTS (SELECT FROM credit.metric_source s WHERE s.metric = o.metric AND s.ledger IS NOT NULL)
           AND f.num IS NOT NULL AND o.value <> f.num / f.den;
    END;
CREATE VIEW credit.figure_conflict WITH (security_barrier) AS SELECT * FROM credit._conflicts();
COMMENT ON VIEW credit.figure_conflict IS
    'reported figures that differ from what the ledgers have, and which of the two is used (数据冲突)';

REVOKE ALL ON credit.figure_precedence, credit.figure_conflict FROM PUBLIC;
GRANT SELECT ON credit.figure_precedence, credit.figure_conflict TO credit_operator, credit_analyst;
REVOKE ALL ON FUNCTION credit._places(credit.region_code), credit._ledger_source(text),
    credit._ledger_months(credit.metric_source, date, date, credit.region_code[]),
    credit._measured(text, credit.region_code, text, daterange, credit.region_code[]), credit._prefers_reported(text),
    credit._conflicts(), credit.set_precedence(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit._conflicts() TO credit_operator, credit_analyst;
GRANT EXECUTE ON FUNCTION credit.set_precedence(text, text, text) TO credit_operator;
SELECT pg_catalog.pg_extension_config_dump('credit.figure_precedence', '');
SELECT credit._audit_table('credit.figure_precedence');
