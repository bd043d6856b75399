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
-- German credit, counts as published with the R package scorecard (good, bad by bin of credit.amount and of housing)
CREATE TABLE german AS
SELECT v AS amount, h AS housing, b AS bad
  FROM (SELECT v, b, row_number() OVER (PARTITION BY b) AS r
          FROM (VALUES (1000, 185, false), (1500, 87, false), (2000, 287, false), (5000, 120, false), (10000, 21, false),
                       (1000, 82, true), (1500, 18, true), (2000, 95, true), (5000, 76, true), (10000, 29, true)) x(v, n, b), generate_series(1, n)) a
  JOIN (SELECT h, b, row_number() OVER (PARTITION BY b) AS r
          FROM (VALUES ('rent', 109, false), ('own', 527, false), ('for free', 64, false), ('rent', 70, true), ('own', 186, true), ('for free', 44, true)) x(h, n, b), generate_series(1, n)) c USING (b, r);
SELECT low, high, good_count, bad_count, share, round(woe::numeric, 8) AS woe FROM credit.woe_bins('german', 'amount', 'bad', '{"breaks": [1400, 1800, 4000, 9200]}');
SELECT round(credit.iv('german', 'amount', 'bad', '{"breaks": [1400, 1800, 4000, 9200]}')::numeric, 7) AS iv;
SELECT "values", good_count, bad_count, round(woe::numeric, 7) AS woe FROM credit.woe_bins('german', 'housing', 'bad');
SELECT round(credit.iv('german', 'housing', 'bad')::numeric, 8) AS iv, round(credit.iv('german', 'housing', 'bad', '{"groups": [["rent", "for free"], ["own"]]}')::numeric, 6) AS grouped;
-- conventions: sign, closure, empty cell with totals after or before, missing and special values
CREATE TABLE odd AS SELECT x, b FROM (VALUES (1.0::float8, false, 3), (1, true, 1), (2, false, 4), (3, true, 2), (3, false, 2), (NULL, false, 1), (NULL, true, 1), (-999, true, 2), (-999, false, 1), (5, NULL, 9)) v(x, b, n), generate_series(1, n);
SELECT bin, kind, low, high, "values", good_count, bad_count, round(woe::numeric, 6) AS woe FROM credit.woe_bins('odd', 'x', 'b', '{"breaks": [2, 3], "special": [-999], "zero_cell": 0.5}');
SELECT bin, kind, low, high, closure, good_count, bad_count FROM credit.woe_bins('odd', 'x', 'b', '{"breaks": [2, 3], "closure": "openClosed", "zero_cell": "zero", "missing": "drop"}');
SELECT round(sum(woe) FILTER (WHERE bin = 3)::numeric, 9) AS before, round(ln((0.5 / 6) / (4 / 11.0)), 9) AS by_hand FROM credit.woe_bins('odd', 'x', 'b', '{"breaks": [2, 3], "zero_cell": 0.5, "zero_cell_totals": "before"}');
SELECT round(sum(woe) FILTER (WHERE bin = 3)::numeric, 9) AS after, round(ln((0.5 / 5.5) / (4 / 10.0)), 9) AS by_hand FROM credit.woe_bins('odd', 'x', 'b', '{"breaks": [-1, 2, 3], "zero_cell": 0.5, "missing": "drop"}');
SELECT bool_and(a.woe = -b.woe AND a.iv = b.iv) AS sign FROM credit.woe_bins('german', 'amount', 'bad') a JOIN credit.woe_bins('german', 'amount', 'bad', '{"woe_sign": "good_over_bad"}') b USING (bin);
-- monotone bins: bad rates rise, and no other choice of the same atoms has more IV (all subsets of break points tried)
CREATE TABLE wavy AS SELECT i % 12 AS x, (i * 7919 % 1000) / 1000.0 < ('{.1,.12,.09,.2,.18,.25,.22,.3,.28,.4,.38,.5}'::float8[])[i % 12 + 1] AS bad FROM generate_series(0, 11999) i;
SELECT bool_and(rate > before) AS rising, count(*) > 3 AS several FROM (SELECT bin, bad_count::float8 / (good_count + bad_count) AS rate, lag(bad_count::float8 / (good_count + bad_count), 1, 0) OVER (ORDER BY bin) AS before FROM credit.woe_bins('wavy', 'x', 'bad', '{"method": "monotone"}')) b;
WITH c AS (SELECT x, count(*) FILTER (WHERE NOT bad)::float8 AS g, count(*) FILTER (WHERE bad)::float8 AS b FROM wavy GROUP BY x),
     m AS (SELECT mask, x, sum(CASE WHEN x > 0 AND mask & (1 << (x - 1)) <> 0 THEN 1 ELSE 0 END) OVER (PARTITION BY mask ORDER BY x) AS bin, g, b FROM c, generate_series(0, 2047) mask),
     s AS (SELECT mask, bin, sum(g) AS g, sum(b) AS b FROM m GROUP BY mask, bin),
     r AS (SELECT mask, b / (g + b) - lag(b / (g + b)) OVER (PARTITION BY mask ORDER BY bin) AS up, (b / sum(b) OVER w - g / sum(g) OVER w) * ln((b / sum(b) OVER w) / (g / sum(g) OVER w)) AS iv FROM s WINDOW w AS (PARTITION BY mask))
SELECT abs(max(iv) - credit.iv('wavy', 'x', 'bad', '{"method": "monotone"}')) < 1e-12 AS best FROM (SELECT sum(iv) AS iv FROM r GROUP BY mask HAVING bool_and(coalesce(up > 0, true)) OR bool_and(coalesce(up < 0, true))) z;
-- hostile input
CREATE TABLE "o""dd; DROP TABLE german; --" AS SELECT 'it''s' || i % 3 AS "c'""%s", i % 5 = 0 AS bad FROM generate_series(1, 100) i;
SELECT bin, "values" FROM credit.woe_bins('"o""dd; DROP TABLE german; --"', 'c''"%s', 'bad');
SELECT pg_temp.fails(q) FROM (VALUES
    (1, 'SELECT credit.iv(''odd'', ''x'', ''b'', ''{"breaks": [2, 3]}'')'), (2, 'SELECT credit.iv(''odd'', ''x'', ''b'', ''{"break": [2]}'')'), (3, 'SELECT credit.iv(''odd'', ''y'', ''b'')'),
    (4, 'SELECT credit.iv(''odd'', ''x'', ''b'', ''{"missing": "refuse"}'')'), (5, 'SELECT credit.iv(''odd'', ''x'', ''b'', ''{"bins": 1}'')'), (6, 'SELECT credit.iv(''odd'', ''x'', ''b'', ''{"zero_cell": "1; x"}'')'),
    (7, 'SELECT credit.iv(''odd'', ''x'', ''b'', ''{"zero_cell": "0.0"}'')'), (8, 'SELECT credit.iv(''german'', ''housing'', ''bad'', ''{"groups": [["own"]]}'')'), (9, 'SELECT credit.iv(''odd'', ''x'', ''x'')'),
    (10, 'SELECT credit.iv(''nowhere'', ''x'', ''b'')'), (11, 'SELECT credit.iv((SELECT ''odd''::regclass), ''x'', ''b'', NULL)'), (12, 'SELECT credit.iv(''german'', ''housing'', ''bad'', ''{"method": "quantile"}'')')) v(n, q) ORDER BY n;
CREATE TEMP TABLE nan AS SELECT 'NaN'::float8 AS x, i = 1 AS b FROM generate_series(1, 4) i;
SELECT pg_temp.fails('SELECT credit.iv(''nan'', ''x'', ''b'')');
ROLLBACK;
