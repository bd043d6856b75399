SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\pset format unaligned
\set ON_ERROR_ROLLBACK on
-- everything happens in a transaction that is rolled back: published models cannot be deleted
BEGIN;
CREATE FUNCTION pg_temp.fails(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE query INTO answer;
    RETURN 'no error: ' || coalesce(answer, 'null');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SET LOCAL client_min_messages = warning;
CREATE FUNCTION pg_temp.is_parallel(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
    partial boolean := false;
    gather boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        partial := partial OR line ~ 'Partial.*Aggregate';
        gather := gather OR line ~ 'Gather';
    END LOOP;
    RETURN partial AND gather;
END
$$;
-- the constants are by another implementation of the generator and of the statistics (200 replicates, R's quantiles)
CREATE TABLE fine AS SELECT i, (i * 7919 % 1009)::float8 AS score, i % 3 = 0 AS bad FROM generate_series(1, 200) i;
CREATE TABLE coarse AS SELECT i, (i % 5)::float8 AS score, i * 31 % (CASE WHEN i % 5 <> 0 THEN 7 ELSE 4 END) < 2 AS bad FROM generate_series(1, 3000) i;
CREATE TABLE binned AS SELECT i, (i * i % 7)::text AS bin, i % 3 = 0 AS actual FROM generate_series(1, 1200) i;
CREATE FUNCTION pg_temp.close(e credit.estimate, value float8, std_error float8, low float8, high float8) RETURNS boolean LANGUAGE sql AS $$
    SELECT abs(e.value - value) < 1e-12 AND abs(e.std_error - std_error) < 1e-12 AND abs(e.low - low) < 1e-12 AND abs(e.high - high) < 1e-12
$$;
SELECT pg_temp.close(credit.auc_bootstrap(score, bad, 42, '{"replicates": 200}'), 0.45861601085481685, 0.04149545638563985, 0.37513285843509725, 0.5386165762098598) AS auc,
       pg_temp.close(credit.auc_bootstrap(score, bad, -7, '{"replicates": 500, "level": 0.9}'), 0.45861601085481685, 0.04205221841663098, 0.39085255540479424, 0.5267073722297603) AS level,
       pg_temp.close(credit.gini_bootstrap(score, bad, 42, '{"replicates": 200, "method": "percentile"}'), -0.0827679782903663, 0.08299091277127975, -0.24973428312980547, 0.07723315241971965) AS gini,
       pg_temp.close(credit.ks_bootstrap(score, bad, 42, '{"replicates": 200}'), 0.09226594301221167, 0.039432147345242724, 0.10151515151515152, 0.24405246494798735) AS ks,
       pg_temp.close(credit.auc_bootstrap(score, bad, 42, '{"replicates": 200, "method": "basic"}'), 0.45861601085481685, 0.04149545638563985,
                     2 * 0.45861601085481685 - 0.5386165762098598, 2 * 0.45861601085481685 - 0.37513285843509725) AS basic FROM fine;
SELECT pg_temp.close(credit.auc_bootstrap(score, bad, 42, '{"replicates": 200}'), 0.5776914259802749, 0.010071097704140762, 0.5592837853157159, 0.5990572357068181) AS auc,
       pg_temp.close(credit.auc_bootstrap(score, bad, -7, '{"replicates": 500, "level": 0.9}'), 0.5776914259802749, 0.011239116218005402, 0.5615375672305425, 0.5974853446864254) AS level,
       pg_temp.close(credit.ks_bootstrap(score, bad, 42, '{"replicates": 200}'), 0.15568515322895543, 0.015451385256344775, 0.12598040080109837, 0.185517564963283) AS ks FROM coarse;
SELECT pg_temp.close(credit.psi_bootstrap(bin, actual, 42, '{"replicates": 200, "empty_bin": 0.5}'), 3.277513642138435e-05, 0.008935008827885085, 0.0005757029948713238, 0.03301052592852246) AS psi FROM binned;
-- values are those of the plain aggregates; the standard error is near DeLong's
SELECT (credit.auc_bootstrap(score, bad, 1)).value = credit.auc(score, bad) AS auc, (credit.gini_bootstrap(score, bad, 1)).value = credit.gini(score, bad) AS gini, (credit.ks_bootstrap(score, bad, 1)).value = credit.ks(score, bad) AS ks,
       abs((credit.auc_bootstrap(score, bad, 1)).std_error / (credit.auc_interval(score, bad)).std_error - 1) < 0.1 AS near_delong FROM coarse;
SELECT (credit.psi_bootstrap(bin, actual, 1)).value = credit.psi(bin, actual) AS psi FROM binned;
-- numbers cut by breaks, and bins that are numbers, are the same bins as their numbers as text, to the bit; missing values are a bin
CREATE TABLE valued AS SELECT i, CASE WHEN i % 11 > 0 THEN (i * 7919 % 1009)::float8 / 10 END AS v, i % 3 = 0 AS actual FROM generate_series(1, 1200) i;
SELECT credit.psi_bootstrap(v, actual, 42, '{"breaks": [10, 25.5, 50, 80]}')::text = credit.psi_bootstrap(width_bucket(v, '{10,25.5,50,80}')::text, actual, 42)::text AS by_breaks,
       credit.psi_bootstrap(width_bucket(v, '{10,25.5,50,80}'), actual, 42)::text = credit.psi_bootstrap(width_bucket(v, '{10,25.5,50,80}')::text, actual, 42)::text AS by_number,
       (credit.psi_bootstrap(v, actual, 42, '{"breaks": [10, 25.5, 50, 80]}')).value = credit.psi(width_bucket(v, '{10,25.5,50,80}'), actual) AS as_psi,
       (credit.psi_bootstrap(v::numeric, actual, 42, '{"breaks": [50]}')).value <> (credit.psi_bootstrap(v, actual, 42, '{"breaks": [51]}')).value AS breaks_matter FROM valued;
-- a value on a break: above it, or below it where intervals are open below
SELECT round((credit.psi_bootstrap(v, a, 1, '{"breaks": [0, 1], "empty_bin": 1}')).value::numeric, 6) AS closed_open, round(credit.psi(width_bucket(v, '{0,1}'), a, '1')::numeric, 6) AS by_width_bucket,
       round((credit.psi_bootstrap(v, a, 1, '{"breaks": [0, 1], "empty_bin": 1, "interval_closure": "openClosed"}')).value::numeric, 6) AS open_closed, round(credit.psi(CASE WHEN v <= 0 THEN 0 WHEN v <= 1 THEN 1 ELSE 2 END, a, '1')::numeric, 6) AS by_case
  FROM (VALUES (0::float8, true), (0, false), ('-Infinity', false), (1, true), (1, true), (2, false), ('Infinity', true)) x(v, a);
SELECT (credit.psi_bootstrap(v, a, 1)).value = 0 AS minus_zero_is_zero FROM (VALUES (0::float8, true), ('-0', false)) x(v, a);
SET LOCAL extra_float_digits = -15;
SELECT (credit.psi_bootstrap(v, a, 1, '{"empty_bin": "infinity"}')).value AS near_is_not_equal FROM (VALUES (0.1::float8, true), (0.1::float8 * 3 - 0.2, false)) x(v, a);
RESET extra_float_digits;
SELECT o, (credit.psi_bootstrap(v, actual, 1, o)).value = p.value AS same_call_site FROM (VALUES ('{"breaks": [50]}'::jsonb), ('{"breaks": [20]}'), ('{"breaks": [20, 50]}')) k(o), valued,
    LATERAL (SELECT (credit.psi_bootstrap(t.v, t.actual, 1, k.o)).value FROM valued t) p GROUP BY o, p.value ORDER BY o;
-- the seed says all: not the order of rows, not the plan; another seed draws otherwise
CREATE TEMP TABLE serial AS SELECT (SELECT credit.psi_bootstrap(v, actual, 5, '{"breaks": [20, 50]}') FROM valued) AS numbers, credit.auc_bootstrap(score, bad, 5) AS auc, credit.ks_bootstrap(score, bad, 5) AS ks, (SELECT credit.psi_bootstrap(bin, actual, 5) FROM binned) AS psi FROM coarse;
SELECT credit.auc_bootstrap(score, bad, 5)::text = (SELECT auc::text FROM serial) AS order_of_rows, credit.auc_bootstrap(score, bad, 6)::text = (SELECT auc::text FROM serial) AS other_seed FROM (SELECT * FROM coarse ORDER BY i * 7919 % 3001) r;
SELECT credit.auc_bootstrap(score, bad, 5)::text = (SELECT credit.auc_bootstrap(score, bad, 5)::text FROM fine) AS order_of_rows_fine FROM (SELECT * FROM fine ORDER BY i DESC) r;
ANALYZE coarse, fine, binned, valued;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 3;
SET LOCAL parallel_leader_participation = off;
SELECT pg_temp.is_parallel('SELECT credit.auc_bootstrap(score, bad, 5) FROM coarse') AS rank, pg_temp.is_parallel('SELECT credit.psi_bootstrap(bin, actual, 5) FROM binned') AS psi;
SELECT (SELECT credit.auc_bootstrap(score, bad, 5) FROM coarse)::text = auc::text AND (SELECT credit.ks_bootstrap(score, bad, 5) FROM coarse)::text = ks::text
       AND (SELECT credit.psi_bootstrap(bin, actual, 5) FROM binned)::text = psi::text
       AND (SELECT credit.psi_bootstrap(v, actual, 5, '{"breaks": [20, 50]}') FROM valued)::text = numbers::text AS plan FROM serial;

-- information value and weights of evidence in parallel: German credit, counts as published with the R package scorecard
CREATE TABLE german AS SELECT a AS amount, b AS bad FROM (VALUES (1000, 185, false), (1500, 87, false), (2000, 287, false), (5000, 120, false), (10000, 21, false),
    (1000, 82, true), (1500, 18, true), (2000, 95, true), (5000, 76, true), (10000, 29, true)) x(a, n, b), generate_series(1, n);
CREATE TABLE housing AS SELECT h, b AS bad FROM (VALUES ('rent', 109, false), ('own', 527, false), ('for free', 64, false), ('rent', 70, true), ('own', 186, true), ('for free', 44, true)) x(h, n, b), generate_series(1, n);
ANALYZE german, housing;
SELECT pg_temp.is_parallel('SELECT credit.iv_of(h, bad), credit.woe_of(h, bad) FROM housing') AS iv, pg_temp.is_parallel('SELECT credit.iv_of(width_bucket(amount, ARRAY[1400, 1800, 4000, 9200]), bad) FROM german') AS by_number;
SELECT round(credit.iv_of(width_bucket(amount, ARRAY[1400, 1800, 4000, 9200]), bad)::numeric, 7) AS amount FROM german;
SELECT round(credit.iv_of(h, bad)::numeric, 8) AS housing, round(credit.iv_of(h, bad, '{"woe_sign": "good_over_bad"}')::numeric, 8) AS other_sign FROM housing;
SELECT w.bin, w.good_count, w.bad_count, w.share, round(w.woe::numeric, 7) AS woe FROM (SELECT credit.woe_of(h, bad) AS e FROM housing) x, unnest(x.e) w;
SELECT bool_and(w.bin::integer = b.bin - 1 AND w.woe = b.woe AND w.iv = b.iv AND w.good_count = b.good_count AND w.share = b.share) AS as_woe_bins
  FROM (SELECT credit.woe_of(width_bucket(amount, ARRAY[1400, 1800, 4000, 9200]), bad) AS e FROM german) x, unnest(x.e) WITH ORDINALITY w(bin, good_count, bad_count, share, woe, iv, place)
  JOIN credit.woe_bins('german', 'amount', 'bad', '{"breaks": [1400, 1800, 4000, 9200]}') b ON b.bin = place;
CREATE TEMP TABLE parallel AS SELECT credit.iv_of(h, bad) AS iv, credit.woe_of(h, bad) AS woe FROM housing;
RESET max_parallel_workers_per_gather;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT credit.iv_of(h, bad) = p.iv AND credit.woe_of(h, bad)::text = p.woe::text AS same_bits FROM housing, parallel p GROUP BY p.iv, p.woe;
SELECT count(DISTINCT iv) AS results_in_any_order FROM (SELECT credit.iv_of(h, bad ORDER BY md5(k || h || bad::text)) AS iv FROM housing, generate_series(1, 5) k GROUP BY k) o;
-- conventions: empty cell, totals, missing values
CREATE TABLE odd AS SELECT x, b FROM (VALUES ('a', false, 3), ('a', true, 1), ('b', false, 4), (NULL, false, 3), (NULL, true, 1), ('c', NULL, 9)) v(x, b, n), generate_series(1, n);
SELECT w.bin, w.good_count, w.bad_count, round(w.woe::numeric, 6) AS woe, round(ln(CASE w.bin WHEN 'b' THEN 0.5 ELSE 1 END / 2.5 / (w.good_count / 10.0)), 6) AS by_hand
  FROM (SELECT credit.woe_of(x, b, '{"zero_cell": 0.5}') AS e FROM odd) o, unnest(o.e) w;
SELECT round(credit.iv_of(x, b, '{"zero_cell": "zero"}')::numeric, 6) AS zero, round((2 * (0.5 - 0.3) * ln(0.5 / 0.3)), 6) AS by_hand,
       credit.iv_of(x, b, '{"zero_cell": 0.5}') <> credit.iv_of(x, b, '{"zero_cell": 0.5, "zero_cell_totals": "before"}') AS totals FROM odd;
SELECT credit.iv_of('a'::text, true) FILTER (WHERE false) IS NULL AS no_row, credit.auc_bootstrap(1, true, 1) IS NULL AS one_class, credit.psi_bootstrap('a', true, 1) IS NULL AS one_side;
-- what is refused
SELECT n, pg_temp.fails(q) FROM (VALUES
    (1, 'SELECT credit.iv_of(x, b) FROM odd'), (2, 'SELECT credit.iv_of(x, b, ''{"zero_cell": "inf"}'') FROM odd'), (3, 'SELECT credit.iv_of(x, b, ''{"zero_cell": 0}'') FROM odd'),
    (4, 'SELECT credit.iv_of(x, b, ''{"method": "quantile"}'') FROM odd'), (5, 'SELECT credit.iv_of(x, b, ''[]'') FROM odd'), (6, 'SELECT credit.iv_of(x, b, NULL) FROM odd'),
    (7, 'SELECT credit.iv_of(x, b, jsonb_build_object(''zero_cell'', ctid::text)) FROM odd'), (8, 'SELECT credit.iv_of(x, true) FROM odd'), (9, 'SELECT credit.iv_of(i, true) FROM generate_series(1, 10001) i'),
    (10, 'SELECT credit.auc_bootstrap(score, bad, NULL) FROM fine'), (11, 'SELECT credit.auc_bootstrap(score, bad, i) FROM fine'), (12, 'SELECT credit.auc_bootstrap(score, bad, 1, ''{"replicates": 9}'') FROM fine'),
    (13, 'SELECT credit.auc_bootstrap(score, bad, 1, ''{"replicates": 1e9}'') FROM fine'), (14, 'SELECT credit.auc_bootstrap(score, bad, 1, ''{"replicates": 10.5}'') FROM fine'), (15, 'SELECT credit.auc_bootstrap(score, bad, 1, ''{"level": 1}'') FROM fine'),
    (16, 'SELECT credit.auc_bootstrap(score, bad, 1, ''{"method": "bca"}'') FROM fine'), (17, 'SELECT credit.auc_bootstrap(score, bad, 1, ''{"empty_bin": 1}'') FROM fine'), (18, 'SELECT credit.auc_bootstrap(''NaN'', bad, 1) FROM fine'),
    (19, 'SELECT credit.psi_bootstrap(bin, actual, 1, ''{"empty_bin": "ignore"}'') FROM binned'), (20, 'SELECT credit.psi_bootstrap(i::text, i > 1, 1) FROM generate_series(1, 2) i'),
    (21, 'SELECT credit.psi_bootstrap(bin, actual, 1, ''{"empty_bin": {}}'') FROM binned'), (22, 'SELECT credit.psi_bootstrap(bin, actual, 1, ''{"breaks": [1]}'') FROM binned'),
    (23, 'SELECT credit.psi_bootstrap(i, true, 1, ''{"breaks": []}'') FROM fine'), (24, 'SELECT credit.psi_bootstrap(i, true, 1, ''{"breaks": [1, 1]}'') FROM fine'), (25, 'SELECT credit.psi_bootstrap(i, true, 1, ''{"breaks": ["1"]}'') FROM fine'),
    (26, 'SELECT credit.psi_bootstrap(i, true, 1, ''{"breaks": {"a": 1}}'') FROM fine'), (27, 'SELECT credit.psi_bootstrap(i, true, 1, ''{"breaks": 5}'') FROM fine'), (28, 'SELECT credit.psi_bootstrap(i, true, 1, ''{"breaks": [1], "interval_closure": "closed"}'') FROM fine'),
    (29, 'SELECT credit.psi_bootstrap(''NaN''::float8, true, 1, ''{"breaks": [1]}'')'), (30, 'SELECT credit.psi_bootstrap(i, i > 1, 1, jsonb_build_object(''breaks'', jsonb_build_array(i))) FROM generate_series(1, 3) i'),
    (31, 'SELECT credit.psi_bootstrap(i, true, 1, jsonb_build_object(''breaks'', (SELECT jsonb_agg(g) FROM generate_series(1, 9999) g))) FROM generate_series(1, 3) i'),
    (32, 'SELECT credit.psi_bootstrap(i, i % 2 = 0, 1) FROM generate_series(1, 10001) i'), (33, 'SELECT credit.psi_bootstrap(i, true, 1, ''{"breaks": [1e400]}'') FROM fine'),
    (34, 'SELECT credit.psi_bootstrap(i, i % 2 = 0, 1, jsonb_build_object(''replicates'', 10, ''empty_bin'', 1, ''breaks'', (SELECT jsonb_agg(g) FROM generate_series(1, 9998) g))) IS NOT NULL FROM generate_series(0, 9999) i')) v(n, q) ORDER BY n;
-- 1,000 replicates over scores that are all distinct, and over so many rows that each class is drawn by binomial counts
SELECT e.value, e.low < e.value AND e.value < e.high AND e.high - e.low < 0.1 AS plausible FROM (SELECT (credit.auc_bootstrap(i * 7919::bigint % 20011, i % 2 = 0, 3)).* FROM generate_series(1, 20000) i OFFSET 0) e;
SELECT abs(e.std_error / d.std_error - 1) < 0.1 AS near_delong FROM (SELECT credit.auc_bootstrap(i % 50, i * 7 % 11 < 3, 3) AS b, credit.auc_interval(i % 50, i * 7 % 11 < 3) AS i FROM generate_series(1, 100000) i) x, LATERAL (SELECT (x.b).*) e, LATERAL (SELECT (x.i).*) d;
ROLLBACK;
