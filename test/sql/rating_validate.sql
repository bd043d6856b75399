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
CREATE TABLE outcome AS SELECT i, ((i * 37) % 397 + 1) / 400.0::float8 AS p, (i * 7919 % 1009) / 1009.0 < ((i * 37) % 397 + 1) / 400.0 AS bad FROM generate_series(1, 400) i;
-- computed in R 4.2.2 from the definitions: Brier, DeLong, Hosmer-Lemeshow over groups of nearly equal number
SELECT abs(credit.brier(p, bad) - 0.16860325) < 1e-14 AS brier FROM outcome;
SELECT abs(a.value - 0.829481792717087) < 1e-13 AS auc, abs(a.std_error - 0.020102113292319) < 1e-13 AS std_error, abs(a.low - 0.790082374650998) < 1e-12 AS low, abs(a.high - 0.868881210783176) < 1e-12 AS high FROM (SELECT (credit.auc_interval(-p, bad)).* FROM outcome) a;
SELECT abs(statistic - 1.31179153066618) < 1e-11 AS statistic, freedom, abs(p - 0.995409789764131) < 1e-12 AS p FROM credit.hosmer_lemeshow('outcome', 'p', 'bad');
SELECT abs(credit._chi_square_tail(3.5, 1) - 0.0613688291394019) < 1e-14, abs(credit._chi_square_tail(3.5, 2) - 0.173773943450445) < 1e-14, abs(credit._chi_square_tail(12.25, 7) - 0.0926314592885914) < 1e-14, credit._chi_square_tail(0, 3), credit._chi_square_tail(1, 0);
-- tables: nothing is lost, what is captured grows to all, groups keep equal values together
SELECT count(*), sum(cases), sum(bad_count), max(bad_captured), max(good_captured), bool_and(low <= high) FROM credit.gains('outcome', 'p', 'bad', 7);
SELECT "group", cases, bad_count, round(lift::numeric, 4) AS lift, round(bad_captured::numeric, 4) AS bad_captured FROM credit.gains('outcome', 'p', 'bad', 4);
SELECT sum(cases), abs(sum(expected) - (SELECT sum(p) FROM outcome)) < 1e-9 AS expected, sum(observed) FROM credit.calibration('outcome', 'p', 'bad');
CREATE VIEW tied AS SELECT 0.5 AS p, i < 3 AS bad FROM generate_series(1, 10) i;
SELECT "group", cases, bad_count, lift FROM credit.gains('tied', 'p', 'bad');
-- parallel plans give the same bits
INSERT INTO outcome SELECT i, (i * 7919 % 10007) / 10008.0, i % 7 < 3 FROM generate_series(401, 60000) i;
ANALYZE outcome;
CREATE TEMP TABLE serial AS SELECT credit.brier(p, bad) AS b, credit.auc_interval(p, bad) AS a FROM outcome;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 3;
CREATE FUNCTION pg_temp.is_parallel(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
    partial boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        partial := partial OR line ~ 'Partial.*Aggregate';
    END LOOP;
    RETURN partial;
END
$$;
SELECT pg_temp.is_parallel('SELECT credit.brier(p, bad), credit.auc_interval(p, bad) FROM outcome') AS parallel;
SELECT s::text = p::text AS same_bits FROM serial s, (SELECT credit.brier(p, bad) AS b, credit.auc_interval(p, bad) AS a FROM outcome) p;
SELECT abs(credit.csi(a, b) - 0.1 * ln(0.6 / 0.5) - 0.1 * ln(0.5 / 0.4)) < 1e-15 AS csi, credit.csi(a, b, 'drop') = credit.psi(a, b) AS as_psi FROM (VALUES ('x', false, 5), ('y', false, 5), ('x', true, 6), ('y', true, 4)) v(a, b, n), generate_series(1, n);
-- one class, nothing, NULL, NaN, what is no probability
SELECT credit.brier(0.25, true), credit.auc_interval(1, true) IS NULL AS one_class, credit.brier(NULL, true) IS NULL AS nothing;
SELECT credit.auc_interval(s, b) IS NULL AS too_few FROM (VALUES (1, true), (2, false), (3, false)) v(s, b);
SELECT pg_temp.fails(q) FROM (VALUES (1, 'SELECT credit.brier(1.5, true)'), (2, 'SELECT credit.brier(-0.1, true)'), (3, 'SELECT credit.brier(''NaN'', true)'), (4, 'SELECT count(*) FROM credit.gains(''outcome'', ''p'', ''bad'', 1)'),
    (5, 'SELECT count(*) FROM credit.gains(''outcome'', ''p"; x'', ''bad'')'), (6, 'SELECT count(*) FROM credit.calibration(''outcome'', ''i'', ''bad'')'), (7, 'SELECT count(*) FROM credit.gains(''tied'', ''bad'', ''bad'')')) v(n, q) ORDER BY n;
ROLLBACK;
