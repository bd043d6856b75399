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
-- a model of one characteristic "x"
CREATE FUNCTION pg_temp.card(name text, data_type text, attributes text, extra text DEFAULT '') RETURNS jsonb LANGUAGE sql AS $$
    SELECT format('{"name": %s, "use_reason_codes": false%s, "characteristics": [{"name": "x", "data_type": "%s", "attributes": %s}]}',
                  to_json(name), extra, data_type, attributes)::jsonb
$$;
SET LOCAL client_min_messages = warning;
-- small cases by hand: 2 bad, 2 good; ties count half; KS only between distinct scores
SELECT credit.auc(s, b), credit.gini(s, b), credit.ks(s, b) FROM (VALUES (1.0, true), (2, false), (2, true), (3, false)) v(s, b);
SELECT credit.auc(s, b), credit.gini(s, b), credit.ks(s, b) FROM (VALUES (1, true), (2, true), (3, false), (4, false)) v(s, b);
SELECT credit.auc(s, b), credit.gini(s, b), credit.ks(s, b) FROM (VALUES (1, false), (2, true)) v(s, b);
SELECT credit.auc(5, b), credit.gini(5, b), credit.ks(5, b) FROM (VALUES (true), (false), (false)) v(b);
SELECT credit.auc(s, b), credit.ks(s, b) FROM (VALUES ('-infinity'::float8, true), ('-0', true), ('0', false), ('infinity', false), (NULL, true), (1, NULL)) v(s, b);
-- one class, nothing, NaN
SELECT credit.auc(s, true) IS NULL AND credit.gini(s, true) IS NULL AND credit.ks(s, true) IS NULL AS one_class FROM generate_series(1, 5) s;
SELECT credit.auc(1, true) IS NULL AND credit.ks(NULL, NULL) IS NULL AS nothing WHERE false;
SELECT pg_temp.fails('SELECT credit.auc(''NaN'', true)');

-- against the formulas in SQL: ties, few and many distinct scores, negative ones
SELECT setseed(0.75);
CREATE TABLE outcome AS
SELECT round(normal * 40 + CASE WHEN bad THEN -20 ELSE 0 END) AS coarse, normal * 40 + CASE WHEN bad THEN -20 ELSE 0 END AS fine, bad, (i % 7)::text AS part
  FROM (SELECT i, random() < 0.2 AS bad, random() + random() + random() - 1.5 AS normal FROM generate_series(1, 200000) i) x;
CREATE TEMP VIEW by_sql AS
SELECT name, (SELECT sum(good * (bad_below + bad / 2.0)) / (max(goods) * max(bads))
                FROM (SELECT good, bad, sum(bad) OVER (ORDER BY s) - bad AS bad_below, sum(good) OVER () AS goods, sum(bad) OVER () AS bads
                        FROM (SELECT CASE name WHEN 'coarse' THEN coarse ELSE fine END AS s, count(*) FILTER (WHERE NOT o.bad)::numeric AS good, count(*) FILTER (WHERE o.bad)::numeric AS bad
                                FROM outcome o GROUP BY 1) g) w)::float8 AS auc,
       (SELECT max(abs(good_below / goods - bad_below / bads))
          FROM (SELECT sum(good) OVER (ORDER BY s) AS good_below, sum(bad) OVER (ORDER BY s) AS bad_below, sum(good) OVER () AS goods, sum(bad) OVER () AS bads
                  FROM (SELECT CASE name WHEN 'coarse' THEN coarse ELSE fine END AS s, count(*) FILTER (WHERE NOT o.bad)::numeric AS good, count(*) FILTER (WHERE o.bad)::numeric AS bad
                          FROM outcome o GROUP BY 1) g) w)::float8 AS ks
  FROM (VALUES ('coarse'), ('fine')) v(name);
CREATE TEMP TABLE serial AS
SELECT credit.auc(coarse, bad) AS auc_coarse, credit.ks(coarse, bad) AS ks_coarse, credit.gini(coarse, bad) AS gini_coarse,
       credit.auc(fine, bad) AS auc_fine, credit.ks(fine, bad) AS ks_fine, credit.psi(width_bucket(coarse, -60, 60, 10), bad, '0.9') AS psi FROM outcome;
SELECT b.name, abs(b.auc - CASE name WHEN 'coarse' THEN auc_coarse ELSE auc_fine END) < 1e-15 AS auc, abs(b.ks - CASE name WHEN 'coarse' THEN ks_coarse ELSE ks_fine END) < 1e-15 AS ks FROM by_sql b, serial ORDER BY 1;
SELECT gini_coarse = 2 * auc_coarse - 1 AS gini, auc_coarse BETWEEN 0.6 AND 0.95 AS plausible FROM serial;
-- parallel plans give the same bits
ANALYZE outcome;
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
SELECT pg_temp.is_parallel('SELECT credit.auc(coarse, bad), credit.ks(fine, bad), credit.psi(1, bad), credit.psi(''a'', bad, ''drop'') FROM outcome') AS parallel;
CREATE TEMP TABLE parallel AS
SELECT credit.auc(coarse, bad) AS auc_coarse, credit.ks(coarse, bad) AS ks_coarse, credit.gini(coarse, bad) AS gini_coarse,
       credit.auc(fine, bad) AS auc_fine, credit.ks(fine, bad) AS ks_fine, credit.psi(width_bucket(coarse, -60, 60, 10), bad, '0.9') AS psi FROM outcome;
SELECT s::text = p::text AS same_bits, s.auc_coarse <> s.auc_fine AS two_results FROM serial s, parallel p;
SELECT bool_and(p.auc = s.auc AND p.psi = s.psi) AS same_by_group, count(*)
  FROM (SELECT part, credit.auc(fine, bad) AS auc, credit.psi(width_bucket(coarse, -60, 60, 5), bad, '0.9') AS psi FROM outcome GROUP BY part) p
  JOIN (SELECT o.part, credit.auc(o.fine, o.bad) AS auc, credit.psi(width_bucket(coarse, -60, 60, 5), o.bad, '0.9') AS psi FROM (SELECT * FROM outcome OFFSET 0) o GROUP BY part) s USING (part);
-- scoring in parallel workers
SELECT credit.create_model(pg_temp.card('parallel', 'number', '[{"kind": "interval", "high": 0, "closure": "openOpen", "points": 1}, {"kind": "other", "points": 10}]'));
SELECT length(credit.publish_model('parallel'));
CREATE VIEW scored AS SELECT coarse AS x FROM outcome;
SELECT pg_temp.is_parallel('SELECT sum(credit.score(''parallel'', s)) FROM scored s') AS parallel;
SELECT sum(credit.score('parallel', s)) = sum(CASE WHEN x < 0 THEN 1 ELSE 10 END) AS same FROM scored s;
RESET parallel_setup_cost;
RESET max_parallel_workers_per_gather;
-- in a window, the final function runs again and again over one state
SELECT bool_and(w = a) AS running FROM (SELECT i, credit.auc(s, b) OVER (ORDER BY i) AS w FROM (SELECT i, i * 7 % 13 AS s, i % 3 = 0 AS b FROM generate_series(1, 60) i) x) x,
       LATERAL (SELECT credit.auc(j * 7 % 13, j % 3 = 0) AS a FROM generate_series(1, x.i) j) y WHERE x.i > 3;

-- a million rows, all scores distinct: a perfect order but for one pair
SELECT credit.auc(i, i <= 500000) AS perfect, credit.ks(i, i <= 500000), credit.auc(-i, i <= 500000) AS reversed FROM generate_series(1, 1000000) i;
SELECT credit.auc(CASE i WHEN 500000 THEN 500001 WHEN 500001 THEN 500000 ELSE i END, i <= 500000) = 1 - 1 / 250000000000.0::float8 AS one_pair_wrong FROM generate_series(1, 1000000) i;

-- PSI: the formula, and each rule for an empty bin
SELECT abs(credit.psi('{10,20,30}'::float8[], '{12,18,30}') - (SELECT sum((a - e) * ln(a / e)) FROM (VALUES (10 / 60.0, 12 / 60.0), (20 / 60.0, 18 / 60.0), (0.5, 0.5)) v(e, a))) < 1e-15 AS formula;
SELECT credit.psi('{0.2,0.8}'::float8[], '{20,80}') AS shares_or_counts, credit.psi('{1,0,1}'::float8[], '{1,0,1}') AS empty_on_both_sides;
SELECT pg_temp.fails('SELECT credit.psi(''{10,20,0}''::float8[], ''{12,18,30}'')'), credit.psi('{10,20,0}'::float8[], '{12,18,30}', 'infinity');
SELECT abs(credit.psi('{10,20,0}'::float8[], '{12,18,30}', 'drop') - (SELECT sum((a - e) * ln(a / e)) FROM (VALUES (10 / 30.0, 12 / 60.0), (20 / 30.0, 18 / 60.0)) v(e, a))) < 1e-15 AS dropped,
       abs(credit.psi('{10,20,0}'::float8[], '{12,18,30}', '0.9') - (SELECT sum((a - e) * ln(a / e)) FROM (VALUES (10 / 30.9, 12 / 60.0), (20 / 30.9, 18 / 60.0), (0.9 / 30.9, 0.5)) v(e, a))) < 1e-15 AS replaced;
SELECT pg_temp.fails(format('SELECT credit.psi(%L::float8[], %L::float8[], %L)', e, a, r)) FROM (VALUES
    (1, '{1,2}', '{1}', 'drop'), (2, '{1,NULL}', '{1,2}', 'drop'), (3, '{1,-2}', '{1,2}', 'drop'), (4, '{1,NaN}', '{1,2}', 'drop'), (5, '{{1,2}}', '{1,2}', 'drop'),
    (6, '{1,2}', '{1,2}', 'ignore'), (7, '{1,2}', '{1,2}', '0'), (8, '{1,2}', '{1,2}', '-1'), (9, '{1,2}', '{1,2}', 'nan'), (10, '{1,2}', '{1,2}', '1x'), (11, '{0,0}', '{1,2}', 'drop'), (12, '{}', '{}', 'drop'), (13, '{1,2}', '{1,2}', '0x')) v(n, e, a, r) ORDER BY n;
-- the aggregate counts as the arrays say; a missing value is a bin of its own
SELECT credit.psi(bin, actual, '0.9') = credit.psi('{3,1,2}'::float8[], '{1,2,3}') AS same_as_arrays, count(*)
  FROM (VALUES ('a', false, 3), ('b', false, 1), (NULL, false, 2), ('a', true, 1), ('b', true, 2), (NULL, true, 3), ('c', NULL, 5)) v(bin, actual, n), generate_series(1, n);
SELECT credit.psi(bin, actual) = credit.psi(bin::text, actual) AS by_number, credit.psi(bin, actual, 'refuse') = credit.psi(bin, actual) AS default_rule FROM (SELECT i % 5 AS bin, i % 3 = 0 AS actual FROM generate_series(1, 100) i) x;
SELECT credit.psi('a', true) IS NULL AS no_expected;
SELECT pg_temp.fails('SELECT credit.psi(i, i > 1) FROM generate_series(1, 2) i'), pg_temp.fails('SELECT credit.psi(i, true, i::text) FROM generate_series(1, 2) i'),
       pg_temp.fails('SELECT credit.psi(i, true, NULL) FROM generate_series(1, 2) i'), pg_temp.fails('SELECT credit.psi(i, true) FROM generate_series(1, 10001) i');
ROLLBACK;
