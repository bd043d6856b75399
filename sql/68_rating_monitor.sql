-- ---------------------------------------------------------------------------
-- 68 rating: monitoring of a model in use: population, grades and performance of one period against another
-- ---------------------------------------------------------------------------
-- credit.monitor runs as its caller, who alone reads the outcomes; what it asks of ratings comes from functions of the owner.

CREATE TABLE credit.monitor_run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id bigint NOT NULL REFERENCES credit.model,
    period_from date NOT NULL,
    period_to date NOT NULL,
    base_from date NOT NULL,
    base_to date NOT NULL,
    outcomes text,
    options jsonb NOT NULL,
    figures jsonb NOT NULL,
    run_by text NOT NULL,
    run_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE credit.monitor_run IS 'kept results of credit.monitor (模型监控记录)';
COMMENT ON COLUMN credit.monitor_run.figures IS 'rows of credit.monitor in order; credit.monitor_figure has them as rows';
SELECT pg_catalog.pg_extension_config_dump('credit.monitor_run', '');
SELECT pg_catalog.pg_extension_config_dump('credit.monitor_run_run_id_seq', '');
SELECT credit._audit_table('credit.monitor_run');

CREATE VIEW credit.monitor_figure WITH (security_barrier) AS
SELECT r.run_id, f.place, x.*
  FROM credit.monitor_run r, jsonb_array_elements(r.figures) WITH ORDINALITY f(figure, place),
       jsonb_to_record(f.figure) AS x(measure text, item text, base float8, current float8, value float8, low float8, high float8, light text);
COMMENT ON VIEW credit.monitor_figure IS 'figures of kept monitoring runs (模型监控指标)';

-- The versions whose ratings stand for the model in the period, or in the base.
CREATE FUNCTION credit._monitor_versions(model_id bigint, options jsonb, base boolean) RETURNS bigint[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN (SELECT array_agg(v.model_id ORDER BY v.model_id)
              FROM credit.model m JOIN credit.model v ON v.name = m.name
             WHERE m.model_id = _monitor_versions.model_id
               AND CASE WHEN base AND options ->> 'base_version' IS NOT NULL THEN v.version = (options ->> 'base_version')::integer
                        ELSE options ->> 'versions' = 'all' OR v.model_id = m.model_id END);

-- The newest rating of each subject in [since, until), Asia/Shanghai days. "given" is the grade that the score gives.
CREATE FUNCTION credit._monitor_ratings(versions bigint[], since date, until date)
    RETURNS TABLE (rating_id bigint, subject_id bigint, model_id bigint, version integer, rated_on date, score float8, grade text, given text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT n.rating_id, n.subject_id, n.model_id, m.version, (n.rated_at AT TIME ZONE 'Asia/Shanghai')::date, n.score, n.grade,
           CASE WHEN m.graded THEN credit.grade(m.named, n.score) END
      FROM (SELECT DISTINCT ON (r.subject_id) r.rating_id, r.subject_id, r.model_id, r.rated_at, r.score, r.grade
              FROM credit.rating r
             WHERE r.model_id = ANY (versions) AND r.rated_at >= since::timestamp AT TIME ZONE 'Asia/Shanghai'
               AND r.rated_at < until::timestamp AT TIME ZONE 'Asia/Shanghai'
             ORDER BY r.subject_id, r.rating_id DESC) n
      JOIN (SELECT v.model_id, v.version, v.name || '@' || v.version::text AS named,
                   EXISTS (SELECT FROM credit.grade_band b WHERE b.model_id = v.model_id) AS graded
              FROM credit.model v) m ON m.model_id = n.model_id;
END;

-- What a version's attributes say of inputs that another version kept. Of what that one did not read nothing is said; it counts as
-- missing where the row is read, and where the version cannot read it so, nothing is said of the row.
CREATE FUNCTION credit._monitor_reread(model_id bigint, named text, absent jsonb, inputs jsonb)
    RETURNS TABLE (ordinal integer, characteristic text, attribute text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT e.ordinal, e.characteristic, e.attribute
      FROM credit._explain_inputs(named, absent || inputs) e
      JOIN credit.characteristic c ON c.model_id = _monitor_reread.model_id AND c.ordinal = e.ordinal
     WHERE inputs ? c.field;
EXCEPTION WHEN data_exception OR datatype_mismatch OR SQLSTATE 'PC403' OR SQLSTATE 'PC408' OR SQLSTATE 'PC409' THEN
    RETURN;
END
$$;

-- How often each attribute of the version was met in two periods, from the inputs that ratings keep.
CREATE FUNCTION credit._monitor_attributes(model_id bigint, options jsonb, period_from date, period_to date, base_from date, base_to date)
    RETURNS TABLE (characteristic text, base float8[], current float8[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    named text;
    absent CONSTANT jsonb := (
        SELECT jsonb_object_agg(f.field, jsonb_build_object('type', CASE f.data_type WHEN 'number' THEN 'numeric' WHEN 'boolean' THEN 'bool' ELSE f.data_type END, 'value', NULL))
          FROM (SELECT c.field, c.data_type FROM credit.characteristic c WHERE c.model_id = _monitor_attributes.model_id
                UNION SELECT f.name, f.data_type FROM credit.model_field f WHERE f.model_id = _monitor_attributes.model_id) f);
BEGIN
    SELECT m.name || '@' || m.version::text INTO named FROM credit.model m WHERE m.model_id = _monitor_attributes.model_id;
    RETURN QUERY
    SELECT c.characteristic, array_agg(c.base::float8 ORDER BY c.attribute), array_agg(c.current::float8 ORDER BY c.attribute)
      FROM (SELECT e.ordinal, e.characteristic, e.attribute, count(*) FILTER (WHERE NOT p.current) AS base, count(*) FILTER (WHERE p.current) AS current
              FROM (SELECT m.rating_id, m.subject_id, m.model_id, true AS current
                      FROM credit._monitor_ratings(credit._monitor_versions(_monitor_attributes.model_id, options, false), period_from, period_to) m
                    UNION ALL
                    SELECT m.rating_id, m.subject_id, m.model_id, false
                      FROM credit._monitor_ratings(credit._monitor_versions(_monitor_attributes.model_id, options, true), base_from, base_to) m) p
              JOIN credit.rating r ON r.subject_id = p.subject_id AND r.rating_id = p.rating_id
             CROSS JOIN LATERAL (SELECT x.ordinal, x.characteristic, x.attribute FROM credit._explain_inputs(named, r.inputs) x
                                  WHERE p.model_id = _monitor_attributes.model_id AND x.ordinal > 0
                                 UNION ALL
                                 SELECT x.ordinal, x.characteristic, x.attribute FROM credit._monitor_reread(_monitor_attributes.model_id, named, absent, r.inputs) x
                                  WHERE p.model_id <> _monitor_attributes.model_id) e
             GROUP BY e.ordinal, e.characteristic, e.attribute) c
     GROUP BY c.ordinal, c.characteristic ORDER BY c.ordinal;
END
$$;

-- 95 % interval of a share (Wilson 1927).
CREATE FUNCTION credit._wilson(k float8, n float8, OUT low float8, OUT high float8) RETURNS record
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT CASE WHEN k = 0 THEN 0 ELSE w.centre - w.half END, CASE WHEN k = n THEN 1 ELSE w.centre + w.half END
      FROM (SELECT (k / n + z.z2 / (2 * n)) / (1 + z.z2 / n) AS centre,
                   sqrt(z.z2 * (k / n * (1 - k / n) / n + z.z2 / (4 * n * n))) / (1 + z.z2 / n) AS half
              FROM (SELECT 1.959963984540054::float8 ^ 2 AS z2) z WHERE n > 0) w;
END;

-- Amber from the first threshold on, red from the second; without thresholds of its own a measure has no light.
CREATE FUNCTION credit._monitor_light(thresholds jsonb, measure text, value float8) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT CASE WHEN value IS NULL OR t.t IS NULL THEN NULL
                WHEN value >= (t.t ->> 1)::float8 THEN 'red' WHEN value >= (t.t ->> 0)::float8 THEN 'amber' ELSE 'green' END
      FROM (SELECT ('{"psi": [0.1, 0.25], "csi": [0.1, 0.25]}'::jsonb || thresholds) -> measure AS t) t;
END;

CREATE FUNCTION credit._monitor_check(model text, outcomes regclass, options jsonb) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part CONSTANT text[] := regexp_match(model, '^([^@]*)(?:@([0-9]{1,9}))?$');
    id bigint;
    missing text;
    name text;
    pair jsonb;
BEGIN
    PERFORM credit._fit_options(options, '{score_bins,empty_bin,window_months,observed_until,unobserved,min_cases,seed,replicates,approved,scale,thresholds,versions,base_version}');
    SELECT m.model_id INTO id FROM credit.model m
     WHERE m.name = part[1] AND CASE WHEN part[2] IS NULL THEN m.status = 'published' ELSE m.version = part[2]::integer END
     ORDER BY m.version DESC LIMIT 1;
    IF id IS NULL THEN
        RAISE EXCEPTION 'there is no published model "%"', model USING ERRCODE = 'undefined_object', HINT = 'See table credit.model.';
    END IF;
    SELECT string_agg(w.name || ' ' || w.type, ', ' ORDER BY w.place) INTO missing
      FROM (VALUES (1, 'subject_id', 'bigint'), (2, 'observed_on', 'date'), (3, 'bad', 'boolean')) w(place, name, type)
     WHERE outcomes IS NOT NULL
       AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = outcomes AND a.attnum > 0 AND NOT a.attisdropped
                                                    AND a.attname = w.name AND a.atttypid = w.type::regtype);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% is no table of outcomes', outcomes
            USING ERRCODE = 'PC415', DETAIL = format('It has no column %s.', missing), HINT = 'Make a view with these names and types.';
    END IF;
    IF NOT coalesce((options ->> 'score_bins')::integer, 10) BETWEEN 2 AND 100 OR NOT coalesce((options ->> 'window_months')::integer, 12) BETWEEN 1 AND 120
       OR coalesce((options ->> 'min_cases')::integer, 30) < 2 OR coalesce(options ->> 'unobserved', 'drop') NOT IN ('drop', 'good')
       OR jsonb_typeof(coalesce(options -> 'approved', '[]')) <> 'array' OR jsonb_typeof(coalesce(options -> 'thresholds', '{}')) <> 'object'
       OR jsonb_typeof(coalesce(options -> 'scale', '{}')) <> 'object'
       OR coalesce(options ->> 'versions', 'own') NOT IN ('own', 'all')
       OR NOT (coalesce((options #>> '{scale,pdo}')::float8, 1) > 0 AND coalesce((options #>> '{scale,odds}')::float8, 1) > 0) THEN
        RAISE EXCEPTION 'invalid option' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'score_bins 2 to 100; window_months 1 to 120; min_cases at least 2; unobserved drop or good; approved an array of grades; '
                || 'scale and thresholds objects; odds and pdo positive; versions own or all.';
    END IF;
    IF options ->> 'base_version' IS NOT NULL AND credit._monitor_versions(id, options, true) IS NULL THEN
        RAISE EXCEPTION 'model "%" has no version %', part[1], options ->> 'base_version' USING ERRCODE = 'undefined_object', HINT = 'See table credit.model.';
    END IF;
    FOR name, pair IN SELECT * FROM jsonb_each(coalesce(options -> 'thresholds', '{}')) LOOP
        IF name NOT IN ('psi', 'csi', 'auc', 'gini', 'ks', 'brier', 'override', 'calibration') OR jsonb_typeof(pair) <> 'array' OR jsonb_array_length(pair) <> 2
           OR NOT coalesce((pair ->> 0)::float8 <= (pair ->> 1)::float8, false) THEN
            RAISE EXCEPTION 'invalid thresholds of "%"', name USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Two rising numbers, amber and red, for psi, csi, auc, gini, ks, brier, override or calibration.';
        END IF;
    END LOOP;
    RETURN id;
END
$$;

-- A rating with what became of its subject.
CREATE TYPE credit._monitor_case AS (subject_id bigint, current boolean, score float8, grade text, given text, bad boolean, probability float8, version integer);

-- Ratings of both periods. One is mature when its window was over on the day through which outcomes are known; only then it
-- has an outcome, also where a bad one came early: bad cases show sooner than good ones, and would be too many.
CREATE FUNCTION credit._monitor_cases(model_id bigint, period_from date, period_to date, base_from date, base_to date,
                                      outcomes regclass, options jsonb) RETURNS credit._monitor_case[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cases credit._monitor_case[];
BEGIN
    -- a score means what its own version's scale says
    EXECUTE format($f$
        SELECT array_agg(ROW(c.subject_id, c.current, c.score, c.grade, c.given, c.bad,
                             CASE WHEN s.scale IS NOT NULL
                                  THEN 1 / (1 + coalesce((s.scale ->> 'odds')::float8, 50)
                                              * 2::float8 ^ greatest(least((c.score - coalesce((s.scale ->> 'score')::float8, 600)) / coalesce((s.scale ->> 'pdo')::float8, 20), 1000), -1000)) END,
                             c.version)::credit._monitor_case)
          FROM (SELECT r.subject_id, r.current, r.score, r.grade, r.given, r.model_id, r.version,
                       %s AS bad
                  FROM (SELECT true AS current, m.* FROM credit._monitor_ratings($1, $2, $3) m
                        UNION ALL
                        SELECT false, m.* FROM credit._monitor_ratings($9, $4, $5) m) r
                  %s
                 GROUP BY r.subject_id, r.current, r.rated_on, r.score, r.grade, r.given, r.model_id, r.version) c
          LEFT JOIN (SELECT v.model_id, coalesce($10 -> 'scale', f.options) AS scale
                       FROM credit.model v LEFT JOIN LATERAL (SELECT t.options FROM credit.fit t WHERE t.model_id = v.model_id ORDER BY t.fit_id DESC LIMIT 1) f ON true) s ON s.model_id = c.model_id$f$,
        CASE WHEN outcomes IS NULL THEN 'NULL::boolean'
             ELSE 'CASE WHEN r.rated_on + $6 <= $7 THEN coalesce(bool_or(o.bad), CASE WHEN $8 THEN false END) END' END,
        CASE WHEN outcomes IS NOT NULL THEN format('LEFT JOIN %s o ON o.subject_id = r.subject_id AND o.observed_on >= r.rated_on
                                                      AND o.observed_on < r.rated_on + $6', outcomes) END)
       INTO cases
      USING credit._monitor_versions(model_id, options, false), period_from, period_to, base_from, base_to,
            make_interval(months => coalesce((options ->> 'window_months')::integer, 12)),
            coalesce((options ->> 'observed_until')::date, (now() AT TIME ZONE 'Asia/Shanghai')::date), coalesce(options ->> 'unobserved', 'drop') = 'good',
            credit._monitor_versions(model_id, options, true), options;
    RETURN cases;
END
$$;

-- The rule for an empty bin: the option, else what the model says. A model that says nothing refuses elsewhere, which would make
-- a report of a rare grade impossible.
CREATE FUNCTION credit._monitor_empty_bin(model_id bigint, options jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN coalesce(options ->> 'empty_bin', (SELECT m.conventions ->> 'psi_empty_bin' FROM credit.model m WHERE m.model_id = _monitor_empty_bin.model_id), '0.5');

-- Who is in the periods: numbers, stability of score and characteristics, grades, moves between them, overrides.
CREATE FUNCTION credit._monitor_population(model_id bigint, cases credit._monitor_case[], options jsonb)
    RETURNS TABLE (measure text, item text, base float8, current float8, value float8, low float8, high float8, light text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    thresholds CONSTANT jsonb := coalesce(options -> 'thresholds', '{}');
    empty_bin CONSTANT text := credit._monitor_empty_bin(model_id, options);
    resampling CONSTANT jsonb := jsonb_build_object('replicates', coalesce((options ->> 'replicates')::integer, 1000), 'empty_bin', empty_bin);
    seed CONSTANT bigint := coalesce((options ->> 'seed')::bigint, 1);
    bounds float8[];
    n float8;
    m float8;
    index credit.estimate;
BEGIN
    SELECT count(*) FILTER (WHERE NOT c.current), count(*) FILTER (WHERE c.current) INTO n, m FROM unnest(cases) c;
    IF n = 0 OR m = 0 THEN
        RAISE EXCEPTION 'a period has no ratings by this model' USING ERRCODE = 'PC414', DETAIL = format('%s in the base, %s in the period.', n, m);
    END IF;
    RETURN QUERY SELECT 'ratings', NULL::text, n, m, m / n - 1, NULL::float8, NULL::float8, NULL::text;
    RETURN QUERY
    SELECT 'version', v.version::text, v.base / n, v.current / m, v.current / m - v.base / n, NULL::float8, NULL::float8, NULL::text
      FROM (SELECT c.version, (count(*) FILTER (WHERE NOT c.current))::float8 AS base, (count(*) FILTER (WHERE c.current))::float8 AS current
              FROM unnest(cases) c GROUP BY c.version) v
     WHERE options ? 'versions' OR options ? 'base_version' ORDER BY v.version;
    SELECT (b.c).low[2:] INTO bounds
      FROM (SELECT credit._bin_counts(c.score, false, coalesce((options ->> 'score_bins')::integer, 10), '{}', true) AS c
              FROM unnest(cases) c WHERE NOT c.current) b;
    SELECT (x.e).* INTO index FROM (SELECT credit.psi_bootstrap(width_bucket(c.score, bounds)::text, c.current, seed, resampling) AS e FROM unnest(cases) c OFFSET 0) x;
    RETURN QUERY SELECT 'psi', 'score', NULL::float8, NULL::float8, index.value, index.low, index.high, credit._monitor_light(thresholds, 'psi', index.value);
    RETURN QUERY
    SELECT 'grade', coalesce(g.grade, '(none)'), g.base / n, g.current / m, g.current / m - g.base / n, w.low, w.high, NULL::text
      FROM (SELECT c.grade, (count(*) FILTER (WHERE NOT c.current))::float8 AS base, (count(*) FILTER (WHERE c.current))::float8 AS current
              FROM unnest(cases) c GROUP BY c.grade) g
      LEFT JOIN credit.grade_band b ON b.model_id = _monitor_population.model_id AND b.grade = g.grade,
           credit._wilson(g.current, m) w
     ORDER BY b.grade IS NULL, b.high DESC NULLS FIRST, b.low DESC NULLS LAST, g.grade COLLATE "C" NULLS LAST;
    -- of those who were in both periods, by grade then
    RETURN QUERY
    SELECT 'migration', coalesce(o.grade, '(none)') || ' > ' || coalesce(c.grade, '(none)'), count(*)::float8, sum(count(*)) OVER (PARTITION BY o.grade)::float8,
           (count(*) / sum(count(*)) OVER (PARTITION BY o.grade))::float8, NULL::float8, NULL::float8, NULL::text
      FROM unnest(cases) o JOIN unnest(cases) c ON c.subject_id = o.subject_id AND c.current AND NOT o.current
     GROUP BY o.grade, c.grade ORDER BY o.grade COLLATE "C" NULLS LAST, c.grade COLLATE "C" NULLS LAST;
    RETURN QUERY
    SELECT s.measure, NULL::text, s.base / n, s.current / m, s.current / m - s.base / n, w.low, w.high, credit._monitor_light(thresholds, s.measure, s.current / m)
      FROM (SELECT v.place, v.measure, (count(*) FILTER (WHERE NOT c.current AND v.counts))::float8 AS base, (count(*) FILTER (WHERE c.current AND v.counts))::float8 AS current
              FROM unnest(cases) c,
                   LATERAL (VALUES (1, 'approved', coalesce(options -> 'approved' ? c.grade, false)), (2, 'override', c.grade IS DISTINCT FROM c.given)) v(place, measure, counts)
             WHERE v.place = 2 OR options ? 'approved'
             GROUP BY v.place, v.measure) s, credit._wilson(s.current, m) w ORDER BY s.place;
END
$$;

-- How well scores told good from bad, and whether what they said came true.
CREATE FUNCTION credit._monitor_performance(model_id bigint, cases credit._monitor_case[], options jsonb)
    RETURNS TABLE (measure text, item text, base float8, current float8, value float8, low float8, high float8, light text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    thresholds CONSTANT jsonb := coalesce(options -> 'thresholds', '{}');
    resampling CONSTANT jsonb := jsonb_build_object('replicates', coalesce((options ->> 'replicates')::integer, 1000));
    seed CONSTANT bigint := coalesce((options ->> 'seed')::bigint, 1);
    least_cases CONSTANT integer := coalesce((options ->> 'min_cases')::integer, 30);
BEGIN
    RETURN QUERY
    SELECT 'mature', NULL::text, (count(*) FILTER (WHERE NOT c.current))::float8, (count(*) FILTER (WHERE c.current))::float8, NULL::float8, NULL::float8, NULL::float8, NULL::text
      FROM unnest(cases) c WHERE c.bad IS NOT NULL;
    -- value is the loss against the base; the interval is that of the period
    RETURN QUERY
    WITH t AS MATERIALIZED (
        SELECT c.current, credit.auc_bootstrap(c.score, c.bad, seed, resampling) AS auc, credit.gini_bootstrap(c.score, c.bad, seed, resampling) AS gini,
               credit.ks_bootstrap(c.score, c.bad, seed, resampling) AS ks
          FROM unnest(cases) c WHERE c.bad IS NOT NULL GROUP BY c.current HAVING count(*) >= least_cases),
         s AS (SELECT v.place, v.measure, t.current, (v.e).value, (v.e).low, (v.e).high
                 FROM t, LATERAL (VALUES (1, 'auc', t.auc), (2, 'gini', t.gini), (3, 'ks', t.ks)) v(place, measure, e))
    SELECT p.measure, NULL::text, b.value, c.value, b.value - c.value, c.low, c.high, credit._monitor_light(thresholds, p.measure, b.value - c.value)
      FROM (VALUES (1, 'auc'), (2, 'gini'), (3, 'ks')) p(place, measure)
      LEFT JOIN s b ON b.place = p.place AND NOT b.current
      LEFT JOIN s c ON c.place = p.place AND c.current
     ORDER BY p.place;
    RETURN QUERY
    SELECT 'brier', NULL::text, s.base, s.current, s.current - s.base, NULL::float8, NULL::float8, credit._monitor_light(thresholds, 'brier', s.current - s.base)
      FROM (SELECT credit.brier(c.probability, c.bad) FILTER (WHERE NOT c.current) AS base, credit.brier(c.probability, c.bad) FILTER (WHERE c.current) AS current,
                   count(*) FILTER (WHERE c.current) AS n, count(*) FILTER (WHERE NOT c.current) AS m
              FROM unnest(cases) c WHERE c.bad IS NOT NULL AND c.probability IS NOT NULL) s WHERE least(s.n, s.m) >= least_cases;
    RETURN QUERY
    SELECT 'bad_rate', coalesce(g.grade, '(none)'), g.base, g.bad / nullif(g.n, 0), g.bad / nullif(g.n, 0) - g.base, w.low, w.high, NULL::text
      FROM (SELECT c.grade, avg(c.bad::integer) FILTER (WHERE NOT c.current)::float8 AS base, (count(*) FILTER (WHERE c.current AND c.bad))::float8 AS bad,
                   (count(*) FILTER (WHERE c.current))::float8 AS n
              FROM unnest(cases) c WHERE c.bad IS NOT NULL GROUP BY c.grade) g
      LEFT JOIN credit._wilson(g.bad, g.n) w ON true
      LEFT JOIN credit.grade_band b ON b.model_id = _monitor_performance.model_id AND b.grade = g.grade
     ORDER BY b.grade IS NULL, b.high DESC NULLS FIRST, b.low DESC NULLS LAST, g.grade COLLATE "C" NULLS LAST;
    -- base is what the period's scores say, current what came
    RETURN QUERY
    SELECT 'calibration', coalesce(g.grade, '(none)'), g.expected, g.observed, g.observed - g.expected, w.low, w.high,
           CASE WHEN g.n >= least_cases THEN credit._monitor_light(thresholds, 'calibration', abs(g.observed - g.expected)) END
      FROM (SELECT c.grade, avg(c.probability) AS expected, avg(c.bad::integer)::float8 AS observed, (count(*) FILTER (WHERE c.bad))::float8 AS bad, count(*)::float8 AS n
              FROM unnest(cases) c WHERE c.current AND c.bad IS NOT NULL AND c.probability IS NOT NULL GROUP BY c.grade) g
      LEFT JOIN credit.grade_band b ON b.model_id = _monitor_performance.model_id AND b.grade = g.grade,
           credit._wilson(g.bad, g.n) w
     ORDER BY b.grade IS NULL, b.high DESC NULLS FIRST, b.low DESC NULLS LAST, g.grade COLLATE "C" NULLS LAST;
END
$$;

CREATE FUNCTION credit.monitor(model text, period_from date, period_to date, base_from date, base_to date,
                               outcomes regclass DEFAULT NULL, options jsonb DEFAULT '{}')
    RETURNS TABLE (measure text, item text, base float8, current float8, value float8, low float8, high float8, light text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    model_id CONSTANT bigint := credit._monitor_check(monitor.model, monitor.outcomes, monitor.options);
    cases credit._monitor_case[];
BEGIN
    IF (period_from < period_to AND base_from < base_to) IS NOT TRUE THEN
        RAISE EXCEPTION 'a period ends before it begins' USING ERRCODE = 'invalid_parameter_value', HINT = 'The days are [from, to).';
    END IF;
    cases := credit._monitor_cases(model_id, period_from, period_to, base_from, base_to, outcomes, options);
    RETURN QUERY SELECT * FROM credit._monitor_population(model_id, cases, options);
    RETURN QUERY
    SELECT 'csi', a.characteristic, i.base, i.current, i.value, NULL::float8, NULL::float8,
           credit._monitor_light(coalesce(monitor.options -> 'thresholds', '{}'), 'csi', i.value)
      FROM credit._monitor_attributes(model_id, monitor.options, period_from, period_to, base_from, base_to) a,
           LATERAL (SELECT credit.psi(a.base, a.current, credit._monitor_empty_bin(model_id, monitor.options)) AS value,
                           (SELECT sum(u) FROM unnest(a.base) u) AS base, (SELECT sum(u) FROM unnest(a.current) u) AS current) i;
    IF outcomes IS NOT NULL THEN
        RETURN QUERY SELECT * FROM credit._monitor_performance(model_id, cases, options);
    END IF;
END
$$;
COMMENT ON FUNCTION credit.monitor(text, date, date, date, date, regclass, jsonb) IS
    'population, grades and performance of a model''s ratings in a period against a base period, with lights by thresholds (模型监控)';

-- The row is an entry in the log; whoever keeps a run answers for its figures.
CREATE FUNCTION credit._keep_monitor(model_id bigint, period_from date, period_to date, base_from date, base_to date,
                                     outcomes text, options jsonb, figures jsonb) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO credit.monitor_run AS r (model_id, period_from, period_to, base_from, base_to, outcomes, options, figures, run_by)
    VALUES (_keep_monitor.model_id, _keep_monitor.period_from, _keep_monitor.period_to, _keep_monitor.base_from, _keep_monitor.base_to,
            _keep_monitor.outcomes, _keep_monitor.options, _keep_monitor.figures, credit.calling_role()::text)
    RETURNING r.run_id;
END;

CREATE FUNCTION credit.keep_monitor(model text, period_from date, period_to date, base_from date, base_to date,
                                    outcomes regclass DEFAULT NULL, options jsonb DEFAULT '{}') RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN credit._keep_monitor(credit._monitor_check(model, outcomes, options), period_from, period_to, base_from, base_to, outcomes::text, options,
        (SELECT jsonb_agg(to_jsonb(f) ORDER BY place)
           FROM credit.monitor(model, period_from, period_to, base_from, base_to, outcomes, options)
                WITH ORDINALITY f(measure, item, base, current, value, low, high, light, place)));
END
$$;
COMMENT ON FUNCTION credit.keep_monitor(text, date, date, date, date, regclass, jsonb) IS
    'run credit.monitor and keep its figures with an entry in the log; returns run_id (留存监控结果)';

REVOKE ALL ON credit.monitor_run, credit.monitor_figure FROM PUBLIC;
GRANT SELECT ON credit.monitor_run, credit.monitor_figure TO credit_operator, credit_auditor;
REVOKE ALL ON FUNCTION credit._monitor_reread(bigint, text, jsonb, jsonb), credit._monitor_ratings(bigint[], date, date), credit._monitor_attributes(bigint, jsonb, date, date, date, date),
    credit._monitor_versions(bigint, jsonb, boolean), credit._monitor_empty_bin(bigint, jsonb),
    credit._wilson(float8, float8), credit._monitor_light(jsonb, text, float8), credit._monitor_check(text, regclass, jsonb),
    credit._monitor_cases(bigint, date, date, date, date, regclass, jsonb),
    credit._monitor_population(bigint, credit._monitor_case[], jsonb), credit._monitor_performance(bigint, credit._monitor_case[], jsonb),
    credit.monitor(text, date, date, date, date, regclass, jsonb),
    credit._keep_monitor(bigint, date, date, date, date, text, jsonb, jsonb),
    credit.keep_monitor(text, date, date, date, date, regclass, jsonb) FROM PUBLIC;
-- the steps run as the caller, who may read ratings
GRANT EXECUTE ON FUNCTION credit._monitor_ratings(bigint[], date, date), credit._monitor_attributes(bigint, jsonb, date, date, date, date),
    credit._monitor_versions(bigint, jsonb, boolean), credit._monitor_empty_bin(bigint, jsonb),
    credit._wilson(float8, float8), credit._monitor_light(jsonb, text, float8), credit._monitor_check(text, regclass, jsonb),
    credit._monitor_cases(bigint, date, date, date, date, regclass, jsonb),
    credit._monitor_population(bigint, credit._monitor_case[], jsonb), credit._monitor_performance(bigint, credit._monitor_case[], jsonb),
    credit.monitor(text, date, date, date, date, regclass, jsonb),
    credit._keep_monitor(bigint, date, date, date, date, text, jsonb, jsonb),
    credit.keep_monitor(text, date, date, date, date, regclass, jsonb) TO credit_operator;
