-- Releases of metrics that are parts of each other: what is taken from what tells of no few borrowers either.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
BEGIN;
INSERT INTO credit.region (code, name_zh, level) VALUES ('330000', '浙江省', 'province'), ('330200', '宁波市', 'city'),
    ('330203', '海曙区', 'county'), ('330205', '江北区', 'county'), ('330206', '北仑区', 'county') ON CONFLICT DO NOTHING;
UPDATE credit.region SET parent = NULL, retired = false, successor = NULL WHERE code::text LIKE '3302%' OR code::text LIKE '3303%';

-- One borrower of twelve is not small: the twelve and the eleven may be released, but not both.
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, segment, balance, small_micro)
SELECT i, format('%s-%s-%s', r, i, g), '2018-06-01', g, r::credit.region_code, 'a', 100 + g, NOT (r = '330203' AND i = 901 AND g = 1)
  FROM unnest('{330203,330205,330206}'::text[]) r, generate_series(901, 903) i, generate_series(1, 12) g;
SAVEPOINT s;
CREATE TEMP TABLE alone AS SELECT * FROM credit.release('small_micro_loan_balance', '2018-06-30');
SELECT value FROM alone WHERE place::text = '330203' AND item = '901';
ROLLBACK TO s;
SELECT value FROM credit.release('loan_balance', '2018-06-30') WHERE place::text = '330203' AND item = '901';
CREATE TEMP TABLE beside AS SELECT * FROM credit.release('small_micro_loan_balance', '2018-06-30');
SELECT count(*) AS the_one FROM beside WHERE place::text = '330203' AND item = '901';
-- nor do totals tell it, and the rest is there
SELECT level, place, item, value FROM beside ORDER BY level, place::text, item COLLATE "C" NULLS FIRST;
-- the first answer stays, though it has a relative now
SELECT count(*) AS others FROM (SELECT level, place, item, value FROM credit.release('loan_balance', '2018-06-30')
                                EXCEPT SELECT r.level, r.region, r.item, r.value FROM credit.released r
                                        WHERE r.metric = 'loan_balance' AND r.month = '2018-06-01' AND r.dimension IS DISTINCT FROM 'product'
                                          AND r.dimension IS DISTINCT FROM 'segment') x;
SELECT count(*) AS releases FROM credit.disclosure WHERE month = '2018-06-01';

-- An outsider with all releases of a month. Unknown is what each class of rows (those that the same released metrics count) has in
-- each cell; what each metric has, and what it has more than another. Equations: rows over their columns, regions over their parts,
-- metrics over their classes, and all that was released. Returned are unknowns that the equations fix, as class bits and cell.
CREATE FUNCTION pg_temp.attack(of_month date, metrics text[], sigs bigint[])
    RETURNS TABLE (kind text, bits bigint, dimension text, path text[], item text) LANGUAGE plpgsql AS $$
DECLARE
    prime CONSTANT bigint := 1000003;
    rows integer;
    cols integer;
    m bigint[];
    x record;
    rank integer := 0;
    at integer;
    f bigint;
    e bigint;
    t bigint;
    n integer;
    single integer;
    used integer[];
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS var (no integer, kind text, bits bigint, dimension text, path text[], item text);
    CREATE TEMP TABLE IF NOT EXISTS term (eq text, no integer, c integer);
    TRUNCATE var, term;
    INSERT INTO var
    SELECT row_number() OVER (ORDER BY k.kind, k.bits, p.path, d.dimension, d.item), k.kind, k.bits, d.dimension, p.path, d.item
      FROM (SELECT DISTINCT c.path FROM credit._disclosure_cell c JOIN credit.disclosure USING (release) WHERE month = of_month) p
     CROSS JOIN (SELECT DISTINCT c.dimension, c.item FROM credit._disclosure_cell c JOIN credit.disclosure USING (release) WHERE month = of_month) d
     CROSS JOIN (SELECT 'class' AS kind, s AS bits FROM unnest(sigs) s
                 UNION ALL SELECT 'metric', 1 << (i - 1)::integer FROM generate_subscripts(metrics, 1) i) k;
    -- classes: rows over columns, regions over parts
    INSERT INTO term
    SELECT format('row %s %s %s', v.bits, k.dimension, v.path), v.no, CASE WHEN v.dimension = '' THEN -1 ELSE 1 END
      FROM var v JOIN (SELECT DISTINCT w.dimension FROM var w WHERE w.dimension <> '') k ON v.dimension IN ('', k.dimension) WHERE v.kind = 'class'
    UNION ALL
    SELECT format('col %s %s %s %s', v.bits, v.dimension, v.item, w.path), v.no, w.c
      FROM var v CROSS JOIN LATERAL (SELECT v.path[:cardinality(v.path) - 1] AS path, 1 AS c WHERE v.path <> '{}'
                                      UNION ALL SELECT v.path, -1
                                       WHERE EXISTS (SELECT FROM var b WHERE cardinality(b.path) = cardinality(v.path) + 1
                                                        AND b.path[:cardinality(v.path)] = v.path)) w WHERE v.kind = 'class'
    UNION ALL
    -- a metric is the sum of its classes; what is shown is known
    SELECT format('metric %s %s %s %s', y.bits, y.dimension, y.item, y.path), v.no, CASE WHEN v.kind = 'metric' THEN -1 ELSE 1 END
      FROM var y JOIN var v ON (v.dimension, v.path, v.item) = (y.dimension, y.path, y.item)
                           AND (v.no = y.no OR v.kind = 'class' AND v.bits & y.bits <> 0)
     WHERE y.kind = 'metric'
    UNION ALL
    SELECT format('shown %s', v.no), v.no, 1
      FROM var v WHERE v.kind = 'metric'
       AND EXISTS (SELECT FROM credit._disclosure_cell c JOIN credit.disclosure d USING (release)
                    WHERE d.month = of_month AND NOT c.hidden AND d.metric = metrics[(log(2, v.bits) + 1)::integer]
                      AND c.dimension = v.dimension AND c.path = v.path AND c.item = v.item);
    SELECT count(DISTINCT eq), (SELECT count(*) FROM var) INTO rows, cols FROM term;
    m := array_fill(0::bigint, ARRAY[rows * cols]);
    FOR x IN SELECT dense_rank() OVER (ORDER BY eq)::integer - 1 AS r, no, c FROM term LOOP
        m[x.r * cols + x.no] := (x.c + prime) % prime;
    END LOOP;
    FOR k IN 1 .. cols LOOP
        at := NULL;
        FOR r IN rank .. rows - 1 LOOP
            IF m[r * cols + k] <> 0 THEN
                at := r;
                EXIT;
            END IF;
        END LOOP;
        CONTINUE WHEN at IS NULL;
        f := 1;
        t := m[at * cols + k];
        e := prime - 2;
        WHILE e > 0 LOOP
            IF e % 2 = 1 THEN
                f := f * t % prime;
            END IF;
            t := t * t % prime;
            e := e / 2;
        END LOOP;
        used := '{}';
        FOR j IN 1 .. cols LOOP
            t := m[at * cols + j];
            IF at <> rank THEN
                m[at * cols + j] := m[rank * cols + j];
            END IF;
            m[rank * cols + j] := t * f % prime;
            IF t <> 0 THEN
                used := used || j;
            END IF;
        END LOOP;
        FOR r IN 0 .. rows - 1 LOOP
            f := m[r * cols + k];
            CONTINUE WHEN r = rank OR f = 0;
            FOREACH n IN ARRAY used LOOP
                m[r * cols + n] := (m[r * cols + n] + (prime - f) * m[rank * cols + n]) % prime;
            END LOOP;
        END LOOP;
        rank := rank + 1;
    END LOOP;
    FOR r IN 0 .. rank - 1 LOOP
        n := 0;
        FOR j IN 1 .. cols LOOP
            IF m[r * cols + j] <> 0 THEN
                n := n + 1;
                single := j;
                EXIT WHEN n > 1;
            END IF;
        END LOOP;
        IF n = 1 THEN
            RETURN QUERY SELECT v.kind, v.bits, v.dimension, v.path, v.item FROM var v WHERE v.no = single;
        END IF;
    END LOOP;
END
$$;
-- What a reader of the ledger finds: of the unknowns that are fixed, those that are of few borrowers or mostly of two.
CREATE FUNCTION pg_temp.told(of_month date, metrics text[], conditions text[], few integer, k numeric)
    RETURNS TABLE (fixed bigint, told bigint) LANGUAGE plpgsql AS $$
DECLARE
    s text;
    sigs bigint[];
BEGIN
    SELECT string_agg(format('(((%s) IS TRUE)::integer::bigint << %s)', c, n - 1), '|' ORDER BY n) INTO s FROM unnest(conditions) WITH ORDINALITY u (c, n);
    EXECUTE format('SELECT array_agg(DISTINCT %s) FROM credit.loan_balance WHERE month = %L', s, of_month) INTO sigs;
    CREATE TEMP TABLE IF NOT EXISTS found (kind text, bits bigint, dimension text, path text[], item text);
    TRUNCATE found;
    INSERT INTO found SELECT * FROM pg_temp.attack(of_month, metrics, array_remove(sigs, 0));
    RETURN QUERY EXECUTE format($q$
        WITH part AS (
            SELECT f.kind, f.bits, f.dimension, f.path, f.item, l.subject_id, sum(l.balance) AS x
              FROM found f
              JOIN (SELECT *, %s AS sig FROM credit.loan_balance WHERE month = %L) l
                ON CASE f.kind WHEN 'class' THEN l.sig = f.bits ELSE l.sig & f.bits <> 0 END
               AND (f.path = '{}' OR f.path[cardinality(f.path)] = l.region::text OR f.path[cardinality(f.path)] = '330000'
                    OR f.path[cardinality(f.path)] = '330200')
               AND f.item = CASE f.dimension WHEN '' THEN '' WHEN 'institution' THEN l.institution_id::text WHEN 'segment' THEN l.segment ELSE l.product END
             GROUP BY 1, 2, 3, 4, 5, 6
        ), cell AS (
            SELECT count(*) AS n, sum(x) AS whole, (SELECT sum(y) FROM (SELECT y FROM unnest(array_agg(x)) y ORDER BY y DESC LIMIT 2) z) AS two
              FROM part GROUP BY kind, bits, dimension, path, item
        )
        SELECT (SELECT count(*) FROM found), count(*) FILTER (WHERE n < %s OR two > whole * %s / 100) FROM cell $q$, s, of_month, few, k);
END
$$;
CREATE FUNCTION pg_temp.fill(of_month date) RETURNS void LANGUAGE sql AS $$
    INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, segment, product, balance, small_micro, unsecured, rate)
    SELECT c.i, format('%s-%s-%s-%s', c.r, c.i, c.s, g), of_month, 1 + floor(random() * 300), c.r::credit.region_code, c.s, 'p',
           round((10 + random() * 90)::numeric, 2), random() < c.share, random() < 0.5, CASE WHEN random() < 0.99 THEN 0.05 END
      FROM (SELECT r, i, s, floor(random() * random() * 60)::integer AS n, (ARRAY[0.3, 0.7, 0.95, 1])[1 + floor(random() * 4)::integer] AS share
              FROM unnest('{330203,330205,330206}'::text[]) r, generate_series(901, 903) i, unnest('{a,b}'::text[]) s) c, generate_series(1, c.n) g $$;

SELECT setseed(0.4);
-- the metrics are released in this order
CREATE TEMP TABLE game (month date, metrics text[], conditions text[]);
INSERT INTO game
SELECT DATE '2017-01-01' + (row_number() OVER () - 1) * interval '1 month', m, c
  FROM (VALUES ('{loan_balance,small_micro_loan_balance}'::text[], '{true,small_micro}'::text[]),
               ('{small_micro_loan_balance,loan_balance}', '{small_micro,true}'),
               ('{loan_balance,credit_loan_balance,small_micro_credit_loan_balance}', '{true,unsecured,small_micro AND unsecured}'),
               ('{small_micro_credit_loan_balance,loan_balance,small_micro_loan_balance}', '{small_micro AND unsecured,true,small_micro}'),
               ('{credit_loan_balance,small_micro_loan_balance}', '{unsecured,small_micro}'),
               ('{loan_balance,small_micro_loan_balance,other_loan_balance}', '{true,small_micro,NOT small_micro}'),
               ('{small_micro_loan_balance,other_loan_balance,loan_balance}', '{small_micro,NOT small_micro,true}')) g (m, c);
INSERT INTO credit.metric (code, unit, additivity, name_zh, name_en) VALUES ('other_loan_balance', 'CNY', 'stock', '其他贷款余额', 'loans to others');
SELECT credit.define_source('other_loan_balance', 'sum', 'loan_balance', '[{"column": "small_micro", "is": false}]', 'balance');
CREATE TEMP TABLE result (month date, hidden bigint, shown bigint, fixed bigint, told bigint);
DO $$
DECLARE
    g record;
    m text;
BEGIN
    FOR g IN SELECT * FROM game ORDER BY month LOOP
        PERFORM pg_temp.fill(g.month);
        FOREACH m IN ARRAY g.metrics LOOP
            PERFORM credit.release(m, g.month);
        END LOOP;
        INSERT INTO result SELECT g.month, (SELECT count(*) FROM credit._disclosure_cell c JOIN credit.disclosure d USING (release) WHERE d.month = g.month AND c.hidden),
                                  (SELECT count(*) FROM credit._disclosure_cell c JOIN credit.disclosure d USING (release) WHERE d.month = g.month AND NOT c.hidden),
                                  t.* FROM pg_temp.told(g.month, g.metrics, g.conditions, 10, 85) t;
    END LOOP;
END
$$;
SELECT g.metrics, r.hidden > 0 AS hidden, r.shown > 30 AS shown, r.fixed > 20 AS fixed, r.told FROM result r JOIN game g USING (month) ORDER BY month;
-- The outsider is no straw man: where each metric is protected by itself only, he finds what he should not.
SAVEPOINT s;
CREATE OR REPLACE FUNCTION credit._disclosure_relatives(source credit.metric_source, month date) RETURNS credit.metric_source[]
    LANGUAGE sql AS $$ SELECT '{}'::credit.metric_source[] $$;
DO $$
DECLARE
    g record;
    m text;
BEGIN
    FOR g IN SELECT * FROM game ORDER BY month LOOP
        UPDATE credit.loan_balance SET month = g.month - interval '1 year' WHERE month = g.month;
        FOREACH m IN ARRAY g.metrics LOOP
            PERFORM credit.release(m, (g.month - interval '1 year')::date);
        END LOOP;
    END LOOP;
END
$$;
SELECT g.metrics, t.told > 0 AS found FROM game g, LATERAL pg_temp.told((g.month - interval '1 year')::date, g.metrics, g.conditions, 10, 85) t ORDER BY g.month;
ROLLBACK TO s;

-- An average is beside its weights: averages of parts and of the whole are equations between them. In either order, and where the
-- weights are those of all loans, nothing is shown of the one where the other is hidden.
INSERT INTO game VALUES ('2016-01-01', '{small_micro_loan_balance,small_micro_loan_weighted_avg_rate}', NULL),
                        ('2016-02-01', '{small_micro_loan_weighted_avg_rate,small_micro_loan_balance}', NULL);
DO $$
DECLARE
    g record;
    m text;
BEGIN
    FOR g IN SELECT * FROM game WHERE conditions IS NULL ORDER BY month LOOP
        PERFORM pg_temp.fill(g.month);
        UPDATE credit.loan_balance SET rate = 0.01 + subject_id / 10000.0 WHERE month = g.month;
        FOREACH m IN ARRAY g.metrics LOOP
            PERFORM credit.release(m, g.month);
        END LOOP;
    END LOOP;
END
$$;
SELECT d.month, count(DISTINCT d.metric) AS metrics, bool_or(c.hidden) AS hidden, bool_or(NOT c.hidden) AS shown,
       count(DISTINCT (c.dimension, c.path, c.item)) FILTER (WHERE c.hidden AND EXISTS (
           SELECT FROM credit._disclosure_cell o JOIN credit.disclosure e ON e.release = o.release
            WHERE e.month = d.month AND (o.dimension, o.path, o.item) = (c.dimension, c.path, c.item) AND NOT o.hidden)) AS half_shown
  FROM credit.disclosure d JOIN credit._disclosure_cell c USING (release) WHERE d.month IN ('2016-01-01', '2016-02-01') GROUP BY 1 ORDER BY 1;

-- Borrowers that are counted: one of twelve has a small loan and another one, so of the eleven the counts leave one over.
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, segment, balance, small_micro, renewal)
SELECT 901, format('%s-%s', r, g), DATE '2015-01-01', g, r::credit.region_code, 'a', 100, true, NOT (r = '330203' AND g = 1)
  FROM unnest('{330203,330205,330206}'::text[]) r, generate_series(1, 12) g
UNION ALL
-- all of these are in no class of their own: each borrower has a loan of either kind
SELECT 902, format('%s-%s-%s', r, g, k), '2015-01-01', g, r::credit.region_code, 'a', 100, true, k = 1
  FROM unnest('{330203,330205,330206}'::text[]) r, generate_series(1, 12) g, generate_series(1, 2) k;
SELECT value FROM credit.release('small_micro_borrower_count', '2015-01-01') WHERE place::text = '330203' AND item IS NOT NULL ORDER BY item COLLATE "C";
SELECT item, value FROM credit.release('small_micro_renewal_borrower_count', '2015-01-01') WHERE place::text = '330203' ORDER BY item COLLATE "C";

-- An older definition is a metric as well, and what it has hidden stays hidden.
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, segment, balance, long_term)
SELECT i, format('%s-%s-%s', r, i, g), '2015-02-01', g, r::credit.region_code, 'a', 100 + g, NOT (r = '330203' AND i = 901 AND g = 1)
  FROM unnest('{330203,330205,330206}'::text[]) r, generate_series(901, 903) i, generate_series(1, 12) g;
SELECT count(*) > 0 AS released FROM credit.release('other_loan_balance', '2015-02-01');
SELECT credit.define_source('other_loan_balance', 'sum', 'loan_balance', '[{"column": "long_term", "is": true}]', 'balance');
SELECT count(*) AS the_one FROM credit.release('other_loan_balance', '2015-02-01') WHERE place::text = '330203' AND item = '901';
-- other columns and other ledgers are no relatives
SELECT cardinality(credit._disclosure_relatives(s, '2015-02-01')) AS relatives, s.metric, s.version
  FROM credit.metric_source s WHERE s.metric IN ('loan_balance', 'small_micro_borrower_count', 'guarantee_balance', 'other_loan_balance') ORDER BY 2, 3;
-- too many
SELECT max(credit.define_source('other_loan_balance', 'sum', 'loan_balance', jsonb_build_array(jsonb_build_object('column', 'rate', '>=', n)), 'balance')) AS versions
  FROM generate_series(3, 62) n;
INSERT INTO credit.disclosure (metric, version, month, rules, data_digest, pattern_digest, released_by)
SELECT 'other_loan_balance', v, '2015-02-01', '{}', '', '', 'x' FROM generate_series(3, 62) v;
\set VERBOSITY terse
SELECT credit.release('loan_balance', '2015-02-01');
ROLLBACK;
