-- ---------------------------------------------------------------------------
-- 78 target: folding, and sums kept for every level of the tree of regions
-- ---------------------------------------------------------------------------
-- A folder turns deltas into cells, into totals of each region by itself, and into roll-ups: the same totals of a region with
-- all below it, by the tree of regions that credit._region_within holds. In every snapshot, roll-ups are the totals summed
-- over that table; so are they after each fold. The tree itself changes at once: who changes credit.region appends to
-- credit._region_change, and who reads finds a row there and adds up the totals by the tree as it is, until the folder has
-- brought table and roll-ups in line and taken the row away.
--
-- Lock order: credit._measure_fold, then cells, totals, roll-ups, subjects. Only who holds the first writes the others.

-- kept --------------------------------------------------------------------------

-- Of each region itself, summed up over institutions and products.
CREATE TABLE credit._measure_total (
    source_id       integer NOT NULL,
    month           date NOT NULL,
    region          credit.region_code NOT NULL,
    segment         text NOT NULL,
    n               bigint NOT NULL,
    value           numeric NOT NULL,
    weight          numeric NOT NULL,
    PRIMARY KEY (source_id, month, region, segment)
) WITH (fillfactor = 50);

-- Of a region with all below it; segment '': of all segments. What most questions ask for, one region's rows side by side.
CREATE TABLE credit._measure_rollup (
    region          credit.region_code NOT NULL,
    source_id       integer NOT NULL,
    month           date NOT NULL,
    segment         text NOT NULL,
    n               bigint NOT NULL,
    value           numeric NOT NULL,
    weight          numeric NOT NULL,
    subjects        bigint NOT NULL,
    PRIMARY KEY (region, source_id, month, segment)
) WITH (fillfactor = 50);

-- Each region with itself and all above it, of the regions that are loaded or that ledgers name.
CREATE TABLE credit._region_within (
    region          credit.region_code NOT NULL,
    within          credit.region_code NOT NULL,
    PRIMARY KEY (region, within)
);
CREATE INDEX region_within_idx ON credit._region_within (within);

CREATE TABLE credit._region_change (
    changed_at      timestamptz NOT NULL
);

-- So does who changes what metrics are or what is reported of them, for those who hold figures (src/target/kept.c): as long
-- as a row is seen here, or in the tables of deltas and of changes of regions, nothing is held any longer than its snapshot.
CREATE TABLE credit._figure_change (
    changed_at      timestamptz NOT NULL
);

CREATE FUNCTION credit._want_folder() RETURNS void
    AS 'MODULE_PATHNAME', 'pgcredit_want_folder' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION credit._want_folder() IS 'have a folder run once this transaction commits';

CREATE FUNCTION credit._region_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO credit._region_change VALUES (now());
    PERFORM credit._want_folder();
    RETURN NULL;
END
$$;
CREATE TRIGGER region_changed AFTER INSERT OR UPDATE OF code, parent, retired, successor OR DELETE OR TRUNCATE ON credit.region
    FOR EACH STATEMENT EXECUTE FUNCTION credit._region_changed();
-- what a subscription or a restore brings changes the tree as well
ALTER TABLE credit.region ENABLE ALWAYS TRIGGER region_changed;

CREATE FUNCTION credit._figure_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO credit._figure_change VALUES (now());
    PERFORM credit._want_folder();
    RETURN NULL;
END
$$;
CREATE TRIGGER figure_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credit.metric
    FOR EACH STATEMENT EXECUTE FUNCTION credit._figure_changed();
CREATE TRIGGER figure_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credit.metric_source
    FOR EACH STATEMENT EXECUTE FUNCTION credit._figure_changed();
CREATE TRIGGER figure_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credit.ledger
    FOR EACH STATEMENT EXECUTE FUNCTION credit._figure_changed();
CREATE TRIGGER figure_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credit.observation
    FOR EACH STATEMENT EXECUTE FUNCTION credit._figure_changed();
ALTER TABLE credit.metric ENABLE ALWAYS TRIGGER figure_changed;
ALTER TABLE credit.metric_source ENABLE ALWAYS TRIGGER figure_changed;
ALTER TABLE credit.ledger ENABLE ALWAYS TRIGGER figure_changed;
ALTER TABLE credit.observation ENABLE ALWAYS TRIGGER figure_changed;

-- The tree as it is: credit.regions_within of every region at once.
CREATE FUNCTION credit._region_tree() RETURNS TABLE (region credit.region_code, within credit.region_code)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
    BEGIN ATOMIC
        WITH RECURSIVE above AS MATERIALIZED (
            SELECT r.code, credit._region_above(r.code, r.parent, r.retired, r.successor) AS code_above FROM credit.region r
        ), step AS MATERIALIZED (
            SELECT a.code, a.code_above FROM above a WHERE a.code_above IS NOT NULL
            UNION ALL
            -- a city that nobody has loaded is passed over
            SELECT a.code, credit.region_parent(a.code_above) FROM above a
             WHERE credit.region_parent(a.code_above) IS NOT NULL
               AND NOT EXISTS (SELECT FROM credit.region r WHERE r.code OPERATOR(credit.=) a.code_above)
        ), up(region, within) AS (
            SELECT a.code, a.code FROM above a
            UNION
            SELECT u.region, s.code_above FROM up u JOIN step s ON s.code OPERATOR(credit.=) u.within
        )
        SELECT u.region, u.within FROM up u;
    END;

-- folding -----------------------------------------------------------------------

-- The roll-ups of some regions and sources from totals and subjects; they have none yet.
CREATE FUNCTION credit._roll_up(regions credit.region_code[], sources integer[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp SET jit = off
    BEGIN ATOMIC
        INSERT INTO credit._measure_rollup
        SELECT x.within, x.source_id, x.month, x.segment, sum(x.n), sum(x.value), sum(x.weight), sum(x.subjects)
          FROM (SELECT w.within, t.source_id, t.month, g.segment, t.n, t.value, t.weight, 0 AS subjects
                  FROM credit._region_within w
                  JOIN credit._measure_total t ON t.region OPERATOR(credit.=) w.region
                 CROSS JOIN LATERAL (SELECT '' UNION ALL SELECT t.segment WHERE t.segment <> '') g(segment)
                 WHERE w.within OPERATOR(credit.=) ANY (regions) AND t.source_id = ANY (sources)
                UNION ALL
                SELECT y.within, y.source_id, y.month, y.segment, 0, 0, 0, count(*)
                  FROM (SELECT w.within, s.source_id, s.month, g.segment, s.subject_id
                          FROM credit._region_within w
                          JOIN credit._measure_subject s ON s.region OPERATOR(credit.=) w.region
                         CROSS JOIN LATERAL (SELECT '' UNION ALL SELECT s.segment WHERE s.segment <> '') g(segment)
                         WHERE w.within OPERATOR(credit.=) ANY (regions) AND s.source_id = ANY (sources)
                         GROUP BY 1, 2, 3, 4, 5 HAVING sum(s.n) > 0) y
                 GROUP BY 1, 2, 3, 4) x
         GROUP BY 1, 2, 3, 4;
    END;

-- Bring the kept tree in line with that of now, and the roll-ups with it: those of regions that have gained or lost one with
-- figures. The caller holds the lock of folding. A change that commits after the first query has a row that stays.
CREATE FUNCTION credit._fold_tree() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    affected credit.region_code[];
BEGIN
    DELETE FROM credit._region_change;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WITH now AS MATERIALIZED (
        SELECT t.region, t.within FROM credit._region_tree() t
        UNION
        SELECT w.region, w.region FROM credit._region_within w WHERE w.region OPERATOR(credit.=) w.within
    ), gone AS (
        DELETE FROM credit._region_within w
         WHERE NOT EXISTS (SELECT FROM now n WHERE n.region OPERATOR(credit.=) w.region AND n.within OPERATOR(credit.=) w.within)
        RETURNING w.region, w.within
    ), come AS (
        INSERT INTO credit._region_within
        SELECT n.region, n.within FROM now n
         WHERE NOT EXISTS (SELECT FROM credit._region_within w
                            WHERE w.region OPERATOR(credit.=) n.region AND w.within OPERATOR(credit.=) n.within)
        RETURNING region, within
    )
    SELECT array_agg(DISTINCT c.within) INTO affected
      FROM (SELECT * FROM gone UNION ALL SELECT * FROM come) c
     WHERE EXISTS (SELECT FROM credit._measure_rollup r WHERE r.region OPERATOR(credit.=) c.region);
    DELETE FROM credit._measure_rollup r WHERE r.region OPERATOR(credit.=) ANY (affected);
    PERFORM credit._roll_up(affected, ARRAY(SELECT m.source_id FROM credit.metric_source m WHERE m.ledger IS NOT NULL));
END
$$;

-- One at a time; who finds another at it leaves. All keys are taken in one order, also against a recomputation.
CREATE FUNCTION credit.fold_measures() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    n bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM credit._measure_delta) AND NOT EXISTS (SELECT FROM credit._region_change)
       AND NOT EXISTS (SELECT FROM credit._figure_change) THEN
        RETURN 0;
    END IF;
    PERFORM credit._need_read_committed('folding measures');
    PERFORM FROM credit._measure_fold FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    PERFORM credit._fold_tree();
    DELETE FROM credit._figure_change;
    WITH taken AS MATERIALIZED (
        DELETE FROM credit._measure_delta RETURNING *
    ), summed AS MATERIALIZED (
        SELECT t.source_id, t.month, t.region, t.institution_id, t.segment, t.product, t.subject_id,
               sum(t.n)::bigint AS n, sum(t.value) AS value, sum(t.weight) AS weight
          FROM taken t GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), cells AS (
        INSERT INTO credit._measure_cell AS c
        SELECT s.source_id, s.month, s.region, s.institution_id, s.segment, s.product, s.n, s.value, s.weight
          FROM summed s WHERE s.subject_id = 0 AND (s.n <> 0 OR s.value <> 0 OR s.weight <> 0)
        ON CONFLICT ON CONSTRAINT _measure_cell_pkey DO UPDATE
           SET n = c.n + excluded.n, value = c.value + excluded.value, weight = c.weight + excluded.weight
    ), by_region AS MATERIALIZED (
        SELECT s.source_id, s.month, s.region, s.segment, sum(s.n)::bigint AS n, sum(s.value) AS value, sum(s.weight) AS weight
          FROM summed s WHERE s.subject_id = 0 GROUP BY 1, 2, 3, 4
    ), totals AS (
        INSERT INTO credit._measure_total AS c
        SELECT * FROM by_region
        ON CONFLICT ON CONSTRAINT _measure_total_pkey DO UPDATE
           SET n = c.n + excluded.n, value = c.value + excluded.value, weight = c.weight + excluded.weight
    ), subjects AS (
        INSERT INTO credit._measure_subject AS c
        SELECT s.source_id, s.month, s.region, s.subject_id, s.institution_id, s.segment, s.product, s.n
          FROM summed s WHERE s.subject_id <> 0 AND s.n <> 0
        ON CONFLICT ON CONSTRAINT _measure_subject_pkey DO UPDATE SET n = c.n + excluded.n
    ), own AS MATERIALIZED (
        -- of each subject met, what it had and what it gets, wherever that is
        SELECT h.source_id, h.month, h.region, h.segment, h.subject_id, h.n AS before, 0::bigint AS change
          FROM (SELECT DISTINCT s.source_id, s.month, s.subject_id FROM summed s WHERE s.subject_id <> 0) t
          JOIN credit._measure_subject h
            ON h.source_id = t.source_id AND h.month = t.month AND h.subject_id = t.subject_id
        UNION ALL
        SELECT s.source_id, s.month, s.region, s.segment, s.subject_id, 0, s.n FROM summed s WHERE s.subject_id <> 0
    ), met AS MATERIALIZED (
        SELECT b.region FROM by_region b UNION SELECT o.region FROM own o
    ), unknown AS (
        INSERT INTO credit._region_within SELECT m.region, m.region FROM met m
        ON CONFLICT DO NOTHING
    ), ways AS MATERIALIZED (
        SELECT m.region, m.region AS within FROM met m
        UNION
        SELECT m.region, w.within FROM met m JOIN credit._region_within w ON w.region OPERATOR(credit.=) m.region
    ), turned AS (
        SELECT w.within, o.source_id, o.month, g.segment,
               (sum(o.before + o.change) > 0)::integer - (sum(o.before) > 0)::integer AS subjects
          FROM own o
          JOIN ways w ON w.region OPERATOR(credit.=) o.region
         CROSS JOIN LATERAL (SELECT '' UNION ALL SELECT o.segment WHERE o.segment <> '') g(segment)
         GROUP BY w.within, o.source_id, o.month, g.segment, o.subject_id
    ), rollups AS (
        INSERT INTO credit._measure_rollup AS c
        SELECT x.within, x.source_id, x.month, x.segment, sum(x.n), sum(x.value), sum(x.weight), sum(x.subjects)
          FROM (SELECT w.within, b.source_id, b.month, g.segment, b.n, b.value, b.weight, 0 AS subjects
                  FROM by_region b
                  JOIN ways w ON w.region OPERATOR(credit.=) b.region
                 CROSS JOIN LATERAL (SELECT '' UNION ALL SELECT b.segment WHERE b.segment <> '') g(segment)
                UNION ALL
                SELECT t.within, t.source_id, t.month, t.segment, 0, 0, 0, t.subjects FROM turned t) x
         GROUP BY 1, 2, 3, 4
        ON CONFLICT ON CONSTRAINT _measure_rollup_pkey DO UPDATE
           SET n = c.n + excluded.n, value = c.value + excluded.value, weight = c.weight + excluded.weight,
               subjects = c.subjects + excluded.subjects
    )
    SELECT count(*) INTO n FROM taken;
    UPDATE credit._measure_fold f SET folded_at = clock_timestamp(), folded = f.folded + n, turns = f.turns + 1;
    RETURN n;
END
$$;
COMMENT ON FUNCTION credit.fold_measures() IS
    'fold what waits into the cells, as the folder does by itself; returns how many deltas (汇总指标增量)';

-- reading -----------------------------------------------------------------------

-- Sums of sources in a region with all below it, month by month, at this moment; segment '': of all segments. What is not
-- folded yet is added; a subject of it counts where that makes the difference.
CREATE FUNCTION credit._measures_of(home credit.region_code, sources integer[], first date, last date)
    RETURNS TABLE (source_id integer, month date, segment text, n bigint, value numeric, weight numeric, subjects bigint)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM credit._region_change) THEN
        RETURN QUERY SELECT * FROM credit._measures_by_tree(home, sources, first, last);
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM credit._measure_delta) THEN
        RETURN QUERY
            SELECT r.source_id, r.month, r.segment, r.n, r.value, r.weight, r.subjects
              FROM credit._measure_rollup r
             WHERE r.region OPERATOR(credit.=) home AND r.source_id = ANY (sources) AND r.month BETWEEN first AND last;
        RETURN;
    END IF;
    RETURN QUERY
        WITH fresh AS MATERIALIZED (
            SELECT d.source_id, d.month, d.segment, d.subject_id, d.n, d.value, d.weight
              FROM credit._measure_delta d
             WHERE d.source_id = ANY (sources) AND d.month BETWEEN first AND last
               AND (d.region OPERATOR(credit.=) home
                    OR EXISTS (SELECT FROM credit._region_within w
                                WHERE w.region OPERATOR(credit.=) d.region AND w.within OPERATOR(credit.=) home))
        ), own AS (
            SELECT h.source_id, h.month, h.segment, h.subject_id, h.n AS before, 0::bigint AS change
              FROM (SELECT DISTINCT f.source_id, f.month, f.subject_id FROM fresh f WHERE f.subject_id <> 0) t
              JOIN credit._measure_subject h
                ON h.source_id = t.source_id AND h.month = t.month AND h.subject_id = t.subject_id
             WHERE h.region OPERATOR(credit.=) home
                OR EXISTS (SELECT FROM credit._region_within w
                            WHERE w.region OPERATOR(credit.=) h.region AND w.within OPERATOR(credit.=) home)
            UNION ALL
            SELECT f.source_id, f.month, f.segment, f.subject_id, 0, f.n FROM fresh f WHERE f.subject_id <> 0
        )
        SELECT x.source_id, x.month, x.segment, sum(x.n)::bigint, sum(x.value), sum(x.weight), sum(x.subjects)::bigint
          FROM (SELECT r.source_id, r.month, r.segment, r.n, r.value, r.weight, r.subjects
                  FROM credit._measure_rollup r
                 WHERE r.region OPERATOR(credit.=) home AND r.source_id = ANY (sources) AND r.month BETWEEN first AND last
                UNION ALL
                SELECT f.source_id, f.month, g.segment, f.n, f.value, f.weight, 0
                  FROM fresh f CROSS JOIN LATERAL (SELECT '' UNION ALL SELECT f.segment WHERE f.segment <> '') g(segment)
                 WHERE f.subject_id = 0
                UNION ALL
                SELECT o.source_id, o.month, g.segment, 0, 0, 0,
                       (sum(o.before + o.change) > 0)::integer - (sum(o.before) > 0)::integer
                  FROM own o CROSS JOIN LATERAL (SELECT '' UNION ALL SELECT o.segment WHERE o.segment <> '') g(segment)
                 GROUP BY o.source_id, o.month, g.segment, o.subject_id) x
         GROUP BY 1, 2, 3;
END
$$;

-- The same from totals and subjects by the tree as it is, which the kept one does not say yet.
CREATE FUNCTION credit._measures_by_tree(home credit.region_code, sources integer[], first date, last date)
    RETURNS TABLE (source_id integer, month date, segment text, n bigint, value numeric, weight numeric, subjects bigint)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    places credit.region_code[] := ARRAY(SELECT credit.regions_within(home));
BEGIN
    RETURN QUERY
        SELECT x.source_id, x.month, g.segment, sum(x.n)::bigint, sum(x.value), sum(x.weight), sum(x.subjects)::bigint
          FROM (SELECT t.source_id, t.month, t.segment, t.n, t.value, t.weight, 0 AS subjects
                  FROM credit._measure_total t
                 WHERE t.source_id = ANY (sources) AND t.month BETWEEN first AND last
                   AND t.region OPERATOR(credit.=) ANY (places)
                UNION ALL
                SELECT d.source_id, d.month, d.segment, d.n, d.value, d.weight, 0
                  FROM credit._measure_delta d
                 WHERE d.source_id = ANY (sources) AND d.month BETWEEN first AND last AND d.subject_id = 0
                   AND d.region OPERATOR(credit.=) ANY (places)) x
         CROSS JOIN LATERAL (SELECT '' UNION ALL SELECT x.segment WHERE x.segment <> '') g(segment)
         GROUP BY 1, 2, 3
        UNION ALL
        SELECT y.source_id, y.month, y.segment, 0, 0, 0, count(*)
          FROM (SELECT z.source_id, z.month, g.segment, z.subject_id
                  FROM (SELECT s.source_id, s.month, s.segment, s.subject_id, s.n
                          FROM credit._measure_subject s
                         WHERE s.source_id = ANY (sources) AND s.month BETWEEN first AND last
                           AND s.region OPERATOR(credit.=) ANY (places)
                        UNION ALL
                        SELECT d.source_id, d.month, d.segment, d.subject_id, d.n
                          FROM credit._measure_delta d
                         WHERE d.source_id = ANY (sources) AND d.month BETWEEN first AND last AND d.subject_id <> 0
                           AND d.region OPERATOR(credit.=) ANY (places)) z
                 CROSS JOIN LATERAL (SELECT '' UNION ALL SELECT z.segment WHERE z.segment <> '') g(segment)
                 GROUP BY 1, 2, 3, 4 HAVING sum(z.n) > 0) y
         GROUP BY 1, 2, 3;
END
$$;

-- checking --------------------------------------------------------------------

CREATE FUNCTION credit.check_measures(metric text DEFAULT NULL)
    RETURNS TABLE (source text, version integer, level text, month date, region credit.region_code, institution_id integer,
                   segment text, product text, subject_id bigint, measured_n bigint, counted_n bigint,
                   measured numeric, counted numeric)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s credit.metric_source;
BEGIN
    -- Each query of a function that changes nothing sees what the calling query sees: all is of one moment.
    FOR s IN SELECT t.* FROM credit.metric_source t
              WHERE t.ledger IS NOT NULL AND (check_measures.metric IS NULL OR t.metric = check_measures.metric)
              ORDER BY t.source_id LOOP
        RETURN QUERY EXECUTE format($q$
            WITH counted AS MATERIALIZED (SELECT q.region::text AS place, q.* FROM (%s) q), measured AS MATERIALIZED (
                SELECT x.month, x.region::text AS place, x.institution_id, x.segment, x.product, x.subject_id,
                       sum(x.n)::bigint AS n, sum(x.value) AS value, sum(x.weight) AS weight
                  FROM credit._measure_all x WHERE x.source_id = %s
                 GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(x.n) <> 0 OR sum(x.value) <> 0 OR sum(x.weight) <> 0
            ), total AS (
                SELECT y.month, y.region::text AS place, y.segment, sum(y.n)::bigint AS n, sum(y.value) AS value,
                       sum(y.weight) AS weight
                  FROM (SELECT t.month, t.region, t.segment, t.n, t.value, t.weight FROM credit._measure_total t
                         WHERE t.source_id = %2$s
                        UNION ALL
                        SELECT d.month, d.region, d.segment, d.n, d.value, d.weight FROM credit._measure_delta d
                         WHERE d.source_id = %2$s AND d.subject_id = 0) y
                 GROUP BY 1, 2, 3 HAVING sum(y.n) <> 0 OR sum(y.value) <> 0 OR sum(y.weight) <> 0
            ), counted_total AS (
                SELECT c.month, c.place, c.segment, sum(c.n)::bigint AS n, sum(c.value) AS value, sum(c.weight) AS weight
                  FROM counted c WHERE c.subject_id = 0 GROUP BY 1, 2, 3
            ), folded AS MATERIALIZED (
                -- what was counted, and the part of it that has been folded: without what waits
                SELECT y.place, y.month, y.segment, y.subject_id, sum(y.n) AS n, sum(y.value) AS value, sum(y.weight) AS weight,
                       sum(y.n - y.waiting_n) AS folded_n, sum(y.value - y.waiting) AS folded,
                       sum(y.weight - y.waiting_weight) AS folded_weight
                  FROM (SELECT c.place, c.month, c.segment, c.subject_id, c.n, c.value, c.weight,
                               0 AS waiting_n, 0 AS waiting, 0 AS waiting_weight FROM counted c
                        UNION ALL
                        SELECT d.region::text, d.month, d.segment, d.subject_id, 0, 0, 0, d.n, d.value, d.weight
                          FROM credit._measure_delta d WHERE d.source_id = %2$s) y
                 GROUP BY 1, 2, 3, 4
            ), level AS MATERIALIZED (
                SELECT w.within::text AS place, f.month, g.segment, f.subject_id, sum(f.n) AS n, sum(f.value) AS value,
                       sum(f.weight) AS weight, sum(f.folded_n) AS folded_n, sum(f.folded) AS folded,
                       sum(f.folded_weight) AS folded_weight
                  FROM folded f
                  JOIN (SELECT w.region::text AS region, w.within FROM credit._region_within w) w ON w.region = f.place
                 CROSS JOIN LATERAL (SELECT '' UNION ALL SELECT f.segment WHERE f.segment <> '') g(segment)
                 GROUP BY 1, 2, 3, 4
            ), counted_rollup AS (
                SELECT v.place, v.month, v.segment,
                       coalesce(sum(v.n) FILTER (WHERE v.subject_id = 0), 0)
                           + count(*) FILTER (WHERE v.subject_id <> 0 AND v.n > 0) AS n,
                       coalesce(sum(v.folded_n) FILTER (WHERE v.subject_id = 0), 0)
                           + count(*) FILTER (WHERE v.subject_id <> 0 AND v.folded_n > 0) AS folded_n,
                       sum(v.value) AS value, sum(v.weight) AS weight, sum(v.folded) AS folded, sum(v.folded_weight) AS folded_weight
                  FROM level v GROUP BY 1, 2, 3
            ), rollup AS (
                SELECT r.region::text AS place, r.month, r.segment, r.n + r.subjects AS n, r.value, r.weight
                  FROM credit._measure_rollup r WHERE r.source_id = %2$s
            )
            SELECT $1, $2, 'cell', month, place::credit.region_code, institution_id, segment, product, subject_id, m.n, c.n,
                   COALESCE(m.value, 0), COALESCE(c.value, 0)
              FROM measured m FULL JOIN counted c USING (month, place, institution_id, segment, product, subject_id)
             WHERE (m.n, m.value, m.weight) IS DISTINCT FROM (c.n, c.value, c.weight)
            UNION ALL
            SELECT $1, $2, 'total', month, place::credit.region_code, NULL, segment, NULL, NULL, m.n, c.n, COALESCE(m.value, 0),
                   COALESCE(c.value, 0)
              FROM total m FULL JOIN counted_total c USING (month, place, segment)
             WHERE (m.n, m.value, m.weight) IS DISTINCT FROM (c.n, c.value, c.weight)
            UNION ALL
            SELECT $1, $2, 'rollup', month, place::credit.region_code, NULL, segment, NULL, NULL,
                   (COALESCE(m.n, 0) + COALESCE(c.n - c.folded_n, 0))::bigint, COALESCE(c.n, 0)::bigint,
                   COALESCE(m.value, 0) + COALESCE(c.value - c.folded, 0), COALESCE(c.value, 0)
              FROM rollup m FULL JOIN counted_rollup c USING (month, place, segment)
             WHERE (COALESCE(m.n, 0), COALESCE(m.value, 0), COALESCE(m.weight, 0))
                   IS DISTINCT FROM (COALESCE(c.folded_n, 0), COALESCE(c.folded, 0), COALESCE(c.folded_weight, 0)) $q$,
            credit._measure_query(s), s.source_id)
        USING s.metric, s.version;
    END LOOP;
    -- The kept tree, unless somebody is known to have changed it.
    RETURN QUERY
        SELECT NULL::text, NULL::integer, 'tree', NULL::date, COALESCE(k.region, t.region)::credit.region_code, NULL::integer,
               NULL::text, NULL::text, NULL::bigint, NULL::bigint, NULL::bigint, (k.region IS NOT NULL)::integer::numeric,
               (t.region IS NOT NULL)::integer::numeric
          FROM (SELECT w.region::text, w.within::text FROM credit._region_within w
                 WHERE NOT w.region OPERATOR(credit.=) w.within) k
          FULL JOIN (SELECT y.region::text, y.within::text FROM credit._region_tree() y
                      WHERE NOT y.region OPERATOR(credit.=) y.within) t USING (region, within)
         WHERE (k.region IS NULL OR t.region IS NULL) AND NOT EXISTS (SELECT FROM credit._region_change);
END
$$;
COMMENT ON FUNCTION credit.check_measures(text) IS
    'recomputes metrics from the ledgers and returns where the measures differ: nowhere (指标核对)';

-- For who disabled triggers, or restored ledgers without them.
CREATE FUNCTION credit.rebuild_measures() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    s credit.metric_source;
    l text;
    made bigint;
    n bigint := 0;
BEGIN
    PERFORM credit._need_read_committed('rebuilding measures');
    FOR l IN SELECT g.ledger FROM credit.ledger g ORDER BY g.ledger LOOP
        EXECUTE format('LOCK TABLE credit.%I IN SHARE ROW EXCLUSIVE MODE', l);
        PERFORM credit._forget_sources(format('credit.%I', l)::regclass);
    END LOOP;
    PERFORM FROM credit._measure_fold FOR UPDATE;
    DELETE FROM credit._measure_delta;
    DELETE FROM credit._measure_cell;
    DELETE FROM credit._measure_total;
    DELETE FROM credit._measure_rollup;
    DELETE FROM credit._measure_subject;
    DELETE FROM credit._region_within;
    INSERT INTO credit._region_change VALUES (now());
    PERFORM credit._fold_tree();
    FOR s IN SELECT t.* FROM credit.metric_source t WHERE t.ledger IS NOT NULL ORDER BY t.source_id LOOP
        EXECUTE format($q$
            WITH counted AS MATERIALIZED (%s
            ), cells AS (
                INSERT INTO credit._measure_cell
                SELECT c.source_id, c.month, c.region, c.institution_id, c.segment, c.product, c.n, c.value, c.weight
                  FROM counted c WHERE c.subject_id = 0
            ), totals AS (
                INSERT INTO credit._measure_total
                SELECT c.source_id, c.month, c.region, c.segment, sum(c.n), sum(c.value), sum(c.weight)
                  FROM counted c WHERE c.subject_id = 0 GROUP BY 1, 2, 3, 4
            ), subjects AS (
                INSERT INTO credit._measure_subject
                SELECT c.source_id, c.month, c.region, c.subject_id, c.institution_id, c.segment, c.product, c.n
                  FROM counted c WHERE c.subject_id <> 0
            ), unknown AS (
                INSERT INTO credit._region_within SELECT DISTINCT c.region, c.region FROM counted c ON CONFLICT DO NOTHING
            )
            SELECT count(*) FROM counted $q$, credit._measure_query(s)) INTO made;
        n := n + made;
        PERFORM credit._roll_up(ARRAY(SELECT DISTINCT w.within FROM credit._region_within w), ARRAY[s.source_id]);
    END LOOP;
    UPDATE credit._measure_fold f SET folded_at = clock_timestamp(), turns = f.turns + 1;
    RETURN n;
END
$$;
COMMENT ON FUNCTION credit.rebuild_measures() IS 'recompute all cells from the ledgers; returns how many (重建指标)';

-- figures of the ledgers --------------------------------------------------------------

CREATE FUNCTION credit._places(region credit.region_code) RETURNS credit.region_code[]
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT ARRAY(SELECT credit.regions_within(region));
    END;

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

-- What src/target/kept.c knows of each metric: what it is worked out from, and of one that a ledger has its source in force,
-- that of the ledger which counts most rows, and whether its figure is of a day or of months. A stock has a figure at the
-- end of a month, a flow over whole months none of which is without rows. A month in which the metric has no row, but the
-- widest source of its ledger has, has the figure zero; a month without rows has none.
CREATE FUNCTION credit._metric_definitions()
    RETURNS TABLE (metric text, left_metric text, left_segment text, ledger text, source_id integer, widest integer, kind text,
                   version integer, of_day boolean)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT m.code, m.left_metric, m.left_segment, s.ledger, s.source_id, w.source_id, s.kind, s.version,
               l.nature = 'stock' AND m.additivity <> 'flow'
          FROM credit.metric m
          LEFT JOIN LATERAL (SELECT * FROM credit.metric_source x WHERE x.metric = m.code ORDER BY x.version DESC LIMIT 1) s
                 ON s.ledger IS NOT NULL
          LEFT JOIN credit.ledger l ON l.ledger = s.ledger
          LEFT JOIN (SELECT DISTINCT ON (x.ledger) x.ledger, x.source_id FROM credit.metric_source x WHERE x.ledger IS NOT NULL
                      ORDER BY x.ledger, x.kind <> 'distinct' DESC, jsonb_array_length(x.filter), x.source_id) w ON w.ledger = s.ledger;
    END;

-- A distinct count over several months, which is not the sum of theirs.
CREATE FUNCTION credit._measure_distinct(source integer, first date, last date, region credit.region_code, segment text)
    RETURNS numeric
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT credit._measure_source(s, first, last, credit._places(region), NULL, nullif(segment, ''), NULL)
          FROM credit.metric_source s WHERE s.source_id = source;
    END;

-- rights ----------------------------------------------------------------------

REVOKE ALL ON credit._measure_total, credit._measure_rollup, credit._region_within, credit._region_change, credit._figure_change FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._want_folder(), credit._region_changed(), credit._figure_changed(), credit._region_tree(),
    credit._roll_up(credit.region_code[], integer[]), credit._fold_tree(), credit.fold_measures(),
    credit._measures_of(credit.region_code, integer[], date, date),
    credit._measures_by_tree(credit.region_code, integer[], date, date),
    credit.check_measures(text), credit.rebuild_measures(), credit._places(credit.region_code), credit._ledger_source(text),
    credit._metric_definitions(), credit._measured(text, credit.region_code, text, daterange),
    credit._ledger_periods(text, credit.region_code, date, date), credit._measure_distinct(integer, date, date, credit.region_code, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.check_measures(text) TO credit_operator, credit_analyst;
GRANT EXECUTE ON FUNCTION credit.fold_measures(), credit.rebuild_measures() TO credit_operator;
