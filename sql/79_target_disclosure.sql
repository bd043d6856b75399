-- ---------------------------------------------------------------------------
-- 79 target: disclosure control of figures that leave the platform
-- ---------------------------------------------------------------------------
-- What is released of a metric in a month are its tables of regions by institution, by segment and by product, with all
-- totals. Which cells are hidden is decided for all of them at once, over the whole country, and kept: a question only chooses
-- among cells that are shown. A cell that is not shown is zero or hidden; which of the two is not said.
--
-- A cell is hidden by itself when it has few contributors or few of them make most of it. Contributors are borrowers, since
-- a figure that is theirs is what must not be told: institutions know their own, and a table by institutions is about them.
-- Rows of an institution that name no subject count as one borrower, which hides more.
--
-- The tables share the column of totals. Three things together protect all of them at once: each is protected by itself
-- (credit.suppress_cells), all hide the same totals, and a row whose total is hidden is hidden wholly. Then whatever the hidden
-- totals may be as far as one table tells, the hidden rows of the others allow too, in any one of their columns.
--
-- Figures of different metrics are parts of each other. Relatives are the metrics (and older definitions) that count the same
-- column of the same ledger and were released of the month before; an average counts with its weights. Three rules:
--  1. Rows of a cell that the same of its shown relatives count, and the new metric counts or does not, are a class. What is left
--     when figures are taken from each other is made of whole classes, so a cell is hidden unless each of them may be shown.
--  2. What a relative has hidden is hidden. A hidden cell is on a cycle of hidden cells (suppress_kernel.c); adding an amount and
--     taking it away around the cycle leaves all sums of all relatives as they are, whatever identity holds between them.
--  3. A cell that follows from shown relatives (its rows are whole classes of theirs) protects no other: those must do without.
-- So a metric that is the sum or difference of relatives shows no figure that could not be worked out without it.

CREATE TABLE credit.disclosure_setting (
    contributors integer NOT NULL CHECK (contributors BETWEEN 2 AND 1000000),
    dominant integer NOT NULL CHECK (dominant BETWEEN 1 AND 10),
    dominance numeric NOT NULL CHECK (dominance > 0 AND dominance <= 100),
    p_percent numeric CHECK (p_percent > 0 AND p_percent <= 100),
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one)
);
COMMENT ON TABLE credit.disclosure_setting IS
    'the operator''s rules for released figures; without a row 10 contributors, and 2 of them make at most 85 percent (发布规则)';
COMMENT ON COLUMN credit.disclosure_setting.contributors IS 'borrowers that a released cell has at least (最少借款人数)';
COMMENT ON COLUMN credit.disclosure_setting.dominant IS 'n of the dominance rule (主导者个数)';
COMMENT ON COLUMN credit.disclosure_setting.dominance IS 'percent of a released cell that its n largest borrowers make at most (主导占比)';
COMMENT ON COLUMN credit.disclosure_setting.p_percent IS
    'what the others of a released cell make at least, in percent of the largest borrower, without the second; NULL: not asked (p% 规则)';

CREATE TABLE credit.disclosure (
    release bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metric text NOT NULL REFERENCES credit.metric,
    version integer NOT NULL,
    month date NOT NULL,
    rules jsonb NOT NULL,
    data_digest bytea NOT NULL,
    pattern_digest bytea NOT NULL,
    released_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_by text NOT NULL
);
CREATE INDEX ON credit.disclosure (metric, month);
COMMENT ON TABLE credit.disclosure IS 'what was released: the tables of a metric in a month (发布记录)';
COMMENT ON COLUMN credit.disclosure.data_digest IS 'SHA-256 of the contributions; while it and the rules are the same, the answer is (数据摘要)';
COMMENT ON COLUMN credit.disclosure.pattern_digest IS 'SHA-256 of which cells are hidden (抑制模式摘要)';

CREATE TABLE credit._disclosure_cell (
    release bigint NOT NULL REFERENCES credit.disclosure,
    dimension text NOT NULL,
    path text[] NOT NULL,
    item text NOT NULL,
    hidden boolean NOT NULL,
    value numeric,
    PRIMARY KEY (release, dimension, path, item),
    CHECK (NOT hidden OR value IS NULL)
);
COMMENT ON TABLE credit._disclosure_cell IS 'cells of a release that are not zero; item {} of dimension {} is the total; hidden ones without their figure';

CREATE FUNCTION credit.set_disclosure(contributors integer, dominant integer, dominance numeric, p_percent numeric DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO credit.disclosure_setting AS s (contributors, dominant, dominance, p_percent, changed_at, changed_by)
    VALUES (set_disclosure.contributors, set_disclosure.dominant, set_disclosure.dominance, set_disclosure.p_percent,
            clock_timestamp(), credit.calling_role()::text)
    ON CONFLICT ON CONSTRAINT disclosure_setting_pkey
    DO UPDATE SET contributors = excluded.contributors, dominant = excluded.dominant, dominance = excluded.dominance,
                  p_percent = excluded.p_percent, changed_at = excluded.changed_at, changed_by = excluded.changed_by;
EXCEPTION WHEN check_violation OR not_null_violation THEN
    RAISE EXCEPTION 'rules for released figures cannot be set' USING ERRCODE = 'PC530',
        DETAIL = 'Contributors are 2 to 1000000, the dominant ones 1 to 10, percentages above 0 and at most 100.';
END
$$;
COMMENT ON FUNCTION credit.set_disclosure(integer, integer, numeric, numeric) IS
    'set the smallest number of borrowers, n and k of the dominance rule, and p of the p-percent rule (设置发布规则)';

-- The way from the country to where a region belongs today, to its county: townships and villages are counted there, as in the
-- statistics of room 55. Without a bound a circle of regions would be followed for ever.
CREATE FUNCTION credit._disclosure_path(place credit.region_code) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at credit.region_code := place;
    above credit.region_code;
    path text[] := '{}';
BEGIN
    FOR step IN 1 .. 20 LOOP
        above := COALESCE((SELECT credit._region_above(r.code, r.parent, r.retired, r.successor)
                             FROM credit.region r WHERE r.code OPERATOR(credit.=) at), credit.region_parent(at));
        -- one that was merged is a part of where it went, and no row of its own
        IF length(at::text) = 6 AND NOT EXISTS (SELECT FROM credit.region r WHERE r.code OPERATOR(credit.=) at
                                                   AND r.retired AND r.successor IS NOT NULL) THEN
            path := at::text || path;
        END IF;
        EXIT WHEN above IS NULL OR above::text = ANY (path);
        at := above;
    END LOOP;
    RETURN path;
END
$$;

-- The column that a source counts: of a metric and its parts it is the same. An average gives its weights away, since averages of
-- parts and of the whole are equations between them.
CREATE FUNCTION credit._disclosure_column(source credit.metric_source) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT coalesce((source).weight_column, (source).value_column, '');
    END;

-- What was released of the month from which figures of this source could be taken, or they from it.
CREATE FUNCTION credit._disclosure_relatives(source credit.metric_source, month date) RETURNS credit.metric_source[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT coalesce(array_agg(t ORDER BY t.source_id), '{}')
          FROM credit.metric_source t
         WHERE t.ledger = (source).ledger AND t.source_id <> (source).source_id
           AND credit._disclosure_column(t) = credit._disclosure_column(source)
           AND EXISTS (SELECT FROM credit.disclosure d
                        WHERE d.metric = t.metric AND d.version = t.version AND d.month = _disclosure_relatives.month);
    END;

-- What each borrower contributes, and of it every cell of the tables: hidden, by itself or by what it leaves of its relatives;
-- known, from relatives that are shown. sig has bit 0 for rows that the source counts and bit k for those of its k-th relative.
-- Of borrowers that are counted the classes are of borrowers too: one has a class when any of its rows has it.
CREATE FUNCTION credit._disclosure_cells(source credit.metric_source, relatives credit.metric_source[], month date,
                                         contributors integer, dominant integer, dominance numeric, p_percent numeric,
                                         OUT digest bytea, OUT cells jsonb)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    s credit.metric_source;
    sigs text[] := '{}';
    counted text := credit._disclosure_column(source);
BEGIN
    FOREACH s IN ARRAY source || relatives LOOP
        sigs := sigs || format('(((%s) IS TRUE)::integer::bigint << %s)', credit._measure_condition(s), cardinality(sigs));
    END LOOP;
    EXECUTE format($q$
        WITH line AS (
            SELECT l.region::text AS region, l.institution_id, l.segment, l.product,
                   COALESCE(l.subject_id::text, 'institution ' || l.institution_id) AS who,
                   %s AS sig, %s::numeric AS value, %s::numeric AS weight, %s::numeric AS size
              FROM credit.%I l WHERE l.month = $1
        ), fact AS MATERIALIZED (
            SELECT region, institution_id, segment, product, who, sig, count(*) AS n, sum(value) AS value, sum(weight) AS weight,
                   sum(size) AS size
              FROM line GROUP BY 1, 2, 3, 4, 5, 6
        ), chain AS MATERIALIZED (
            SELECT f.region, credit._disclosure_path(f.region::credit.region_code) AS path FROM (SELECT DISTINCT region FROM fact) f
        ), place AS MATERIALIZED (
            -- what a region has itself, besides what is in the regions below it; of whatever metric, so that all have one layout
            SELECT c.region, CASE WHEN c.path[cardinality(c.path)] LIKE '%%00'
                                    OR EXISTS (SELECT FROM chain o WHERE cardinality(o.path) > cardinality(c.path)
                                                  AND o.path[:cardinality(c.path)] = c.path)
                                  THEN c.path || 'rest'::text ELSE c.path END AS path
              FROM chain c
        ), own AS (
            SELECT p.path, f.institution_id, f.segment, f.product, f.who, f.region, sum(f.n) AS n, sum(f.value) AS value,
                   sum(f.weight) AS weight
              FROM fact f JOIN place p ON p.region = f.region WHERE f.sig & 1 = 1 GROUP BY 1, 2, 3, 4, 5, 6
        ), piece AS MATERIALIZED (
            SELECT d.dimension, p.path[:k] AS path, d.item, f.who, f.sig, sum(f.n) AS n, sum(f.value) AS value,
                   sum(f.weight) AS weight, sum(f.size) AS size
              FROM fact f JOIN place p ON p.region = f.region
              LEFT JOIN credit.institution i ON i.institution_id = f.institution_id
             CROSS JOIN LATERAL (VALUES ('', ''), ('institution', COALESCE(i.code, f.institution_id::text)),
                                        ('segment', f.segment), ('product', f.product)) d (dimension, item)
             CROSS JOIN LATERAL generate_series(0, cardinality(p.path)) k
             WHERE f.sig <> 0 GROUP BY 1, 2, 3, 4, 5
        ), cell AS MATERIALIZED (
            SELECT p.dimension, p.path, p.item, count(DISTINCT p.who) AS contributors, %s AS value
              FROM piece p WHERE p.sig & 1 = 1 GROUP BY 1, 2, 3
        ), shown AS (
            SELECT k.dimension, k.path, k.item, bit_or(1::bigint << r.bit::integer) AS bits
              FROM unnest($6, $7) WITH ORDINALITY r (metric, version, bit)
              JOIN credit.disclosure d ON d.metric = r.metric AND d.version = r.version AND d.month = $1
              JOIN credit._disclosure_cell k ON k.release = d.release AND NOT k.hidden
             GROUP BY 1, 2, 3
        ), seen AS (
            SELECT p.dimension, p.path, p.item, p.who, p.sig & (1 | COALESCE(s.bits, 0)) AS sig, p.size
              FROM piece p JOIN cell c ON c.dimension = p.dimension AND c.path = p.path AND c.item = p.item
              LEFT JOIN shown s ON s.dimension = p.dimension AND s.path = p.path AND s.item = p.item
        ), part AS (
            SELECT dimension, path, item, false AS counted, who, sig, abs(sum(size)) AS size FROM seen GROUP BY 1, 2, 3, 5, 6
            UNION ALL
            SELECT dimension, path, item, true, who, bit_or(sig), 1 FROM seen WHERE $8 GROUP BY 1, 2, 3, 5
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY dimension, path, item, counted, sig ORDER BY size DESC) AS rank
              FROM part WHERE sig <> 0
        ), class AS (
            SELECT dimension, path, item, counted, sig,
                   count(*) < $2
                   OR (NOT counted AND $9
                       AND (sum(size) FILTER (WHERE rank <= $3) > sum(size) * $4 / 100
                            OR COALESCE(sum(size) FILTER (WHERE rank > 2), 0) < max(size) * $5 / 100)) IS TRUE AS small
              FROM ranked GROUP BY 1, 2, 3, 4, 5
        ), follows AS (
            -- each class of the relatives is in the source or out of it, and the source has no rows besides them
            SELECT dimension, path, item, counted, bool_and(ins <> outs AND (relatives <> 0 OR outs)) AS all_whole
              FROM (SELECT dimension, path, item, counted, sig & ~1::bigint AS relatives, bool_or(sig & 1 = 1) AS ins,
                           bool_or(sig & 1 = 0) AS outs
                      FROM class GROUP BY 1, 2, 3, 4, 5) x
             GROUP BY 1, 2, 3, 4
        ), judged AS (
            SELECT c.dimension, c.path, c.item, bool_or(c.small) AS hidden,
                   $10 AND bool_or(f.all_whole) AS known
              FROM class c JOIN follows f USING (dimension, path, item, counted) GROUP BY 1, 2, 3
        )
        SELECT (SELECT sha256(convert_to(COALESCE(string_agg(format('%%s|%%s|%%L|%%L|%%s|%%s|%%s|%%s|%%s', o.path, o.institution_id, o.segment,
                                                                   o.product, o.who, o.n, o.value, o.weight, o.region), E'\n'
                                                 ORDER BY o.region COLLATE "C", o.institution_id, o.segment COLLATE "C",
                                                          o.product COLLATE "C", o.who COLLATE "C"), ''), 'UTF8')) FROM own o),
               (SELECT jsonb_agg(jsonb_build_object('dimension', c.dimension, 'path', c.path, 'item', c.item, 'value', c.value,
                                                    'contributors', c.contributors, 'hidden', j.hidden, 'known', j.known))
                  FROM cell c JOIN judged j USING (dimension, path, item)) $q$,
        array_to_string(sigs, ' + '),
        CASE source.kind WHEN 'sum' THEN format('l.%I', source.value_column)
                         WHEN 'weighted' THEN format('l.%I * l.%I', source.value_column, source.weight_column) ELSE '0' END,
        CASE source.kind WHEN 'weighted' THEN format('l.%I', source.weight_column) ELSE '0' END,
        CASE counted WHEN '' THEN '1' ELSE format('l.%I', counted) END,
        source.ledger,
        CASE source.kind WHEN 'sum' THEN 'sum(p.value)' WHEN 'weighted' THEN 'sum(p.value) / NULLIF(sum(p.weight), 0)'
                         WHEN 'count' THEN 'sum(p.n)' ELSE 'count(DISTINCT p.who)' END)
      INTO digest, cells
     USING month, contributors, dominant, dominance, p_percent,
           ARRAY(SELECT r.metric FROM unnest(relatives) WITH ORDINALITY r ORDER BY r.ordinality),
           ARRAY(SELECT r.version FROM unnest(relatives) WITH ORDINALITY r ORDER BY r.ordinality),
           counted = '', source.kind <> 'distinct',
           -- the weights of an average may follow, it does not
           source.kind <> 'weighted';
END
$$;

-- The same cells with more of them hidden, so that no hidden one follows from all tables together.
CREATE FUNCTION credit._disclosure_suppress(cells jsonb, threshold integer) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    table_of text;
    reader boolean;
    any_known boolean := jsonb_path_exists(cells, '$[*].known ? (@ == true)');
    result jsonb := cells;
    before bigint;
BEGIN
    LOOP
        SELECT count(*) FILTER (WHERE (c ->> 'hidden')::boolean) INTO before FROM jsonb_array_elements(result) c;
        FOREACH table_of IN ARRAY '{institution,segment,product}'::text[] LOOP
            -- for who has this release only, and for who has its relatives too
            FOREACH reader IN ARRAY CASE WHEN any_known THEN '{false,true}'::boolean[] ELSE '{false}' END LOOP
                WITH cell AS MATERIALIZED (
                    SELECT c.o, c.c ->> 'dimension' AS dimension, ARRAY(SELECT jsonb_array_elements_text(c.c -> 'path')) AS path,
                           c.c ->> 'item' AS item, (c.c ->> 'contributors')::bigint AS contributors, (c.c ->> 'hidden')::boolean AS hidden,
                           (c.c ->> 'known')::boolean AS known
                      FROM jsonb_array_elements(result) WITH ORDINALITY c (c, o) WHERE c.c ->> 'dimension' IN ('', table_of)
                ), place AS MATERIALIZED (
                    SELECT t.path, t.hidden, row_number() OVER (ORDER BY t.path)::integer AS number FROM cell t WHERE t.dimension = ''
                ), col AS (
                    SELECT d.item, row_number() OVER (ORDER BY d.item COLLATE "C")::integer AS number
                      FROM (SELECT DISTINCT c.item FROM cell c WHERE c.dimension <> '') d
                ), spread AS (
                    -- one all parts of which are known is known as well to who takes what is not shown for zero
                    SELECT x.item, c.path[:k] AS path, bool_and(c.known) AS known
                      FROM cell c
                     CROSS JOIN LATERAL (VALUES (c.item), ('')) x (item)
                     CROSS JOIN LATERAL generate_series(0, cardinality(c.path)) k
                     WHERE c.dimension <> '' AND NOT EXISTS (SELECT FROM place b WHERE cardinality(b.path) = cardinality(c.path) + 1
                                                                AND b.path[:cardinality(c.path)] = c.path)
                     GROUP BY 1, 2
                ), decided AS (
                    SELECT array_agg(c.o ORDER BY c.o) AS os,
                           credit.suppress_cells(
                               (SELECT array_agg(COALESCE(above.number, 0) ORDER BY p.number)
                                  FROM place p LEFT JOIN place above ON p.path <> '{}' AND above.path = p.path[:cardinality(p.path) - 1]),
                               array_agg(p.number ORDER BY c.o), array_agg(COALESCE(k.number, 0) ORDER BY c.o),
                               -- one that is hidden counts as just too small: more would let others be shown beside it, fewer would
                               -- hide more each time
                               array_agg(CASE WHEN c.hidden OR p.hidden THEN least(c.contributors, threshold - 1)
                                              ELSE c.contributors END ORDER BY c.o), threshold) AS hs
                      FROM cell c JOIN place p ON p.path = c.path LEFT JOIN col k ON c.dimension <> '' AND k.item = c.item
                      LEFT JOIN spread a ON a.path = c.path AND a.item = c.item
                     WHERE NOT (reader AND (c.known OR a.known IS TRUE))
                )
                SELECT jsonb_agg(CASE WHEN h.h THEN jsonb_set(c.c, '{hidden}', 'true') ELSE c.c END ORDER BY c.o) INTO result
                  FROM jsonb_array_elements(result) WITH ORDINALITY c (c, o)
                  LEFT JOIN (SELECT u.o, u.h FROM decided d, unnest(d.os, d.hs) u (o, h)) h USING (o);
            END LOOP;
        END LOOP;
        -- as long as more is hidden, another table may have to hide more for it
        EXIT WHEN before = (SELECT count(*) FILTER (WHERE (c ->> 'hidden')::boolean) FROM jsonb_array_elements(result) c);
    END LOOP;
    RETURN result;
END
$$;

CREATE FUNCTION credit.release(metric text, as_of date, dimension text DEFAULT 'institution', region credit.region_code DEFAULT NULL)
    RETURNS TABLE (release bigint, level text, place credit.region_code, item text, value numeric)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s credit.metric_source;
    first date := date_trunc('month', as_of::timestamp)::date;
    r credit.disclosure_setting;
    now_held jsonb;
    got record;
    relatives credit.metric_source[];
    known bigint;
    cells jsonb;
BEGIN
    SELECT * INTO s FROM credit.metric_source t WHERE t.metric = release.metric ORDER BY t.version DESC LIMIT 1;
    IF s.ledger IS NULL THEN
        RAISE EXCEPTION 'metric "%" cannot be released', release.metric USING ERRCODE = 'PC531',
            DETAIL = 'Metrics that a ledger has can be.', HINT = 'A ratio is released as its two parts.';
    END IF;
    IF first IS NULL OR NOT isfinite(as_of) OR first > date_trunc('month', now()) THEN
        RAISE EXCEPTION 'figures of % cannot be released', as_of USING ERRCODE = 'PC531', DETAIL = 'A month is given by any of its days.';
    END IF;
    IF release.dimension IS NULL OR release.dimension NOT IN ('institution', 'segment', 'product') THEN
        RAISE EXCEPTION 'figures are not released by "%"', release.dimension USING ERRCODE = 'PC531',
            DETAIL = 'Columns are institution, segment or product; rows are regions.';
    END IF;
    PERFORM credit._need_read_committed('releasing figures');
    -- one after the other: each knows what the others have hidden
    LOCK TABLE credit.disclosure IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO r FROM credit.disclosure_setting;
    IF NOT FOUND THEN
        r.contributors := 10;
        r.dominant := 2;
        r.dominance := 85;
    END IF;
    now_held := jsonb_build_object('contributors', r.contributors, 'dominant', r.dominant, 'dominance', r.dominance,
                                   'p_percent', r.p_percent);
    relatives := credit._disclosure_relatives(s, first);
    IF cardinality(relatives) > 60 THEN
        RAISE EXCEPTION 'too many metrics of ledger "%" were released of %', s.ledger, to_char(first, 'YYYY-MM') USING ERRCODE = 'PC532',
            DETAIL = 'Beside 60 others that count the same column a figure cannot be protected.';
    END IF;
    got := credit._disclosure_cells(s, relatives, first, r.contributors, r.dominant, r.dominance, r.p_percent);
    SELECT d.release INTO known FROM credit.disclosure d
     WHERE d.metric = release.metric AND d.month = first AND d.version = s.version
       AND d.data_digest = got.digest AND d.rules = now_held
       -- by a later one more may be hidden
       AND d.release = (SELECT max(l.release) FROM credit.disclosure l WHERE l.metric = release.metric AND l.month = first);
    IF known IS NULL THEN
        -- what was hidden once stays hidden, of the metric and of what it could be taken from
        SELECT jsonb_agg(CASE WHEN h.path IS NOT NULL THEN jsonb_set(c.c, '{hidden}', 'true') ELSE c.c END) INTO cells
          FROM jsonb_array_elements(got.cells) c (c)
          LEFT JOIN (SELECT DISTINCT k.dimension, to_jsonb(k.path) AS path, k.item FROM credit.disclosure d
                       JOIN credit._disclosure_cell k ON k.release = d.release
                      WHERE d.month = first AND k.hidden
                        AND (d.metric = release.metric
                             OR EXISTS (SELECT FROM unnest(relatives) t WHERE t.metric = d.metric AND t.version = d.version))) h
            ON h.dimension = c.c ->> 'dimension' AND h.path = c.c -> 'path' AND h.item = c.c ->> 'item';
        cells := COALESCE(credit._disclosure_suppress(cells, r.contributors), '[]');
        INSERT INTO credit.disclosure AS d (metric, version, month, rules, data_digest, pattern_digest, released_by)
        SELECT release.metric, s.version, first, now_held, got.digest,
               sha256(convert_to(COALESCE(string_agg(format('%s|%s|%L', c ->> 'dimension', c -> 'path', c ->> 'item'), E'\n'
                                                     ORDER BY c ->> 'dimension' COLLATE "C", (c -> 'path')::text COLLATE "C",
                                                              c ->> 'item' COLLATE "C"), ''), 'UTF8')),
               credit.calling_role()::text
          FROM jsonb_array_elements(cells) c WHERE (c ->> 'hidden')::boolean
        RETURNING d.release INTO known;
        INSERT INTO credit._disclosure_cell
        SELECT known, c ->> 'dimension', ARRAY(SELECT jsonb_array_elements_text(c -> 'path')), c ->> 'item', (c ->> 'hidden')::boolean,
               CASE WHEN NOT (c ->> 'hidden')::boolean THEN (c ->> 'value')::numeric END
          FROM jsonb_array_elements(cells) c;
    END IF;
    RETURN QUERY
        SELECT g.release, g.level, g.region, g.item, g.value FROM credit.released g
         WHERE g.release = known AND (g.dimension IS NULL OR g.dimension = release.dimension)
           AND (release.region IS NULL OR release.region::text = ANY (g.path))
         ORDER BY g.path, g.item COLLATE "C" NULLS FIRST;
END
$$;
COMMENT ON FUNCTION credit.release(text, date, text, credit.region_code) IS
    'release a metric of the month of a day as a table of regions by institution, segment or product, with totals and without what would tell of few borrowers; the same data gives the same answer (发布指标)';

CREATE VIEW credit.released WITH (security_barrier) AS
    SELECT d.release, d.metric, d.version, d.month, d.released_at, NULLIF(c.dimension, '') AS dimension,
           CASE WHEN c.path = '{}' THEN 'country' WHEN c.path[cardinality(c.path)] = 'rest' THEN 'rest'
                WHEN c.path[cardinality(c.path)] LIKE '%0000' THEN 'province'
                WHEN c.path[cardinality(c.path)] LIKE '%00' THEN 'city' ELSE 'county' END AS level,
           CASE WHEN c.path[cardinality(c.path)] = 'rest' THEN c.path[cardinality(c.path) - 1]
                ELSE c.path[cardinality(c.path)] END::credit.region_code AS region, c.path,
           CASE WHEN c.dimension <> '' THEN c.item END AS item, c.value
      FROM credit.disclosure d JOIN credit._disclosure_cell c ON c.release = d.release WHERE NOT c.hidden;
COMMENT ON VIEW credit.released IS 'all figures that were released (已发布指标)';
COMMENT ON COLUMN credit.released.dimension IS 'of the column: institution, segment or product; NULL: the total (列维度)';
COMMENT ON COLUMN credit.released.level IS 'as in credit.stat_record (行政层级)';
COMMENT ON COLUMN credit.released.path IS 'regions from the province down (上级行政区划)';
COMMENT ON COLUMN credit.released.item IS 'the column: code of the institution, segment or product; NULL: all (列)';

REVOKE ALL ON credit.disclosure_setting, credit.disclosure, credit._disclosure_cell, credit.released FROM PUBLIC;
REVOKE ALL ON SEQUENCE credit.disclosure_release_seq FROM PUBLIC;
REVOKE ALL ON FUNCTION credit.set_disclosure(integer, integer, numeric, numeric), credit._disclosure_path(credit.region_code),
    credit._disclosure_column(credit.metric_source), credit._disclosure_relatives(credit.metric_source, date),
    credit._disclosure_cells(credit.metric_source, credit.metric_source[], date, integer, integer, numeric, numeric),
    credit._disclosure_suppress(jsonb, integer),
    credit.release(text, date, text, credit.region_code) FROM PUBLIC;
-- Nobody reads the digests: who knows all but one contribution could try for it.
GRANT SELECT ON credit.disclosure_setting TO credit_operator, credit_analyst, credit_auditor;
GRANT SELECT ON credit.released TO credit_operator, credit_analyst, credit_institution, credit_provider;
GRANT EXECUTE ON FUNCTION credit.release(text, date, text, credit.region_code) TO credit_analyst;
GRANT EXECUTE ON FUNCTION credit.set_disclosure(integer, integer, numeric, numeric) TO credit_operator;

SELECT pg_catalog.pg_extension_config_dump('credit.disclosure_setting', '');
SELECT pg_catalog.pg_extension_config_dump('credit.disclosure', '');
SELECT pg_catalog.pg_extension_config_dump('credit.disclosure_release_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit._disclosure_cell', '');
SELECT credit._audit_table('credit.disclosure_setting');
SELECT credit._audit_table('credit.disclosure');
SELECT credit._audit_table('credit._disclosure_cell');
