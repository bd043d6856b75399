-- Released figures: nothing of few borrowers is shown, and nothing hidden follows from all that is shown together.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE disclose_analyst;
CREATE ROLE disclose_operator;
CREATE ROLE disclose_bank;
GRANT credit_analyst TO disclose_analyst;
GRANT credit_operator TO disclose_operator;
GRANT credit_institution TO disclose_bank;
BEGIN;
INSERT INTO credit.region (code, name_zh, level) VALUES ('330000', '浙江省', 'province'), ('330200', '宁波市', 'city'),
    ('330203', '海曙区', 'county'), ('330205', '江北区', 'county'), ('330300', '温州市', 'city'), ('330302', '鹿城区', 'county'),
    ('330303', '龙湾区', 'county') ON CONFLICT DO NOTHING;
UPDATE credit.region SET parent = NULL, retired = false, successor = NULL WHERE code::text LIKE '3302%' OR code::text LIKE '3303%';

-- An outsider with all that was released of a release: one unknown for each cell of the three tables that is not shown, one
-- equation for each row over its columns and for each region with its parts in each column. How many hidden cells are fixed by
-- the equations. Modulo a prime, which finds what elimination over the fractions does but for freak accidents.
CREATE FUNCTION pg_temp.determined(of_release bigint) RETURNS integer LANGUAGE plpgsql AS $$
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
    fixed integer := 0;
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS unknown (dimension text, path text[], item text, no integer);
    CREATE TEMP TABLE IF NOT EXISTS coefficient (eq text, no integer, c integer);
    TRUNCATE unknown, coefficient;
    INSERT INTO unknown
    SELECT d.dimension, p.path, d.item, row_number() OVER (ORDER BY d.dimension, p.path, d.item)
      FROM (SELECT DISTINCT c.path FROM credit._disclosure_cell c WHERE c.release = of_release) p
     CROSS JOIN (SELECT DISTINCT c.dimension, c.item FROM credit._disclosure_cell c WHERE c.release = of_release) d
     WHERE NOT EXISTS (SELECT FROM credit.released r WHERE r.release = of_release AND r.path = p.path
                          AND COALESCE(r.dimension, '') = d.dimension AND COALESCE(r.item, '') = d.item);
    INSERT INTO coefficient
    SELECT 'row ' || k.dimension || u.path::text, u.no, CASE WHEN u.dimension = '' THEN -1 ELSE 1 END
      FROM unknown u JOIN (VALUES ('institution'), ('segment'), ('product')) k (dimension) ON u.dimension IN ('', k.dimension)
    UNION ALL
    SELECT format('col %s %s %s', u.dimension, u.item, w.path), u.no, w.c
      FROM unknown u CROSS JOIN LATERAL (SELECT u.path[:cardinality(u.path) - 1] AS path, 1 AS c WHERE u.path <> '{}'
                                          UNION ALL SELECT u.path, -1
                                           WHERE EXISTS (SELECT FROM credit._disclosure_cell b WHERE b.release = of_release
                                              AND cardinality(b.path) = cardinality(u.path) + 1 AND b.path[:cardinality(u.path)] = u.path)) w;
    SELECT count(DISTINCT eq) INTO rows FROM coefficient;
    SELECT count(*) INTO cols FROM unknown;
    IF cols = 0 THEN
        RETURN 0;
    END IF;
    m := array_fill(0::bigint, ARRAY[rows * cols]);
    FOR x IN SELECT dense_rank() OVER (ORDER BY eq)::integer - 1 AS r, no, c FROM coefficient LOOP
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
        -- the inverse by Fermat
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
        FOR j IN 1 .. cols LOOP
            t := m[at * cols + j];
            m[at * cols + j] := m[rank * cols + j];
            m[rank * cols + j] := t * f % prime;
        END LOOP;
        FOR r IN 0 .. rows - 1 LOOP
            f := m[r * cols + k];
            CONTINUE WHEN r = rank OR f = 0;
            FOR j IN k .. cols LOOP
                m[r * cols + j] := (m[r * cols + j] + (prime - f) * m[rank * cols + j]) % prime;
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
            END IF;
        END LOOP;
        IF n = 1 AND EXISTS (SELECT FROM unknown u JOIN credit._disclosure_cell c USING (dimension, path, item)
                              WHERE u.no = single AND c.release = of_release AND c.hidden) THEN
            fixed := fixed + 1;
        END IF;
    END LOOP;
    RETURN fixed;
END
$$;
-- Cells of random sizes, some with one borrower that has nearly all of it.
CREATE FUNCTION pg_temp.fill(of_month date) RETURNS void LANGUAGE sql AS $$
    INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, segment, product, balance)
    SELECT c.i, format('%s-%s-%s-%s-%s', c.r, c.i, c.s, c.p, g), of_month, 1 + floor(random() * 400), c.r::credit.region_code, c.s, c.p,
           CASE WHEN g = 1 AND random() < 0.02 THEN 100000 ELSE round((10 + random() * 90)::numeric, 2) END
      FROM (SELECT r, i, s, p, floor(random() * random() * 30)::integer AS n
              FROM unnest('{330200,330203,330205,330302,330303}'::text[]) r, generate_series(901, 903) i, unnest('{a,b}'::text[]) s,
                   unnest('{p,q}'::text[]) p) c, generate_series(1, c.n) g $$;
-- What a reader of the ledger finds: cells that are shown and break a rule.
CREATE FUNCTION pg_temp.broken(of_month date, few integer, k numeric) RETURNS bigint LANGUAGE sql AS $$
    WITH part AS (
        SELECT v.dimension, v.item, p.place, l.subject_id, sum(l.balance) AS x
          FROM credit.loan_balance l
         CROSS JOIN LATERAL (VALUES (NULL::text, NULL::text), ('institution', l.institution_id::text), ('segment', l.segment),
                                    ('product', l.product)) v (dimension, item)
         CROSS JOIN LATERAL (VALUES (''), ('330000'), (left(l.region::text, 4) || '00'),
                                    (l.region::text || CASE WHEN l.region::text LIKE '%00' THEN 'rest' ELSE '' END)) p (place)
         WHERE l.month = of_month GROUP BY 1, 2, 3, 4
    ), cell AS (
        SELECT dimension, item, place, count(*) AS n, sum(x) AS whole,
               (SELECT sum(y) FROM (SELECT y FROM unnest(array_agg(x)) y ORDER BY y DESC LIMIT 2) z) AS two
          FROM part GROUP BY 1, 2, 3
    )
    SELECT count(*) FROM cell c JOIN credit.released r
        ON r.month = of_month AND r.dimension IS NOT DISTINCT FROM c.dimension AND r.item IS NOT DISTINCT FROM c.item
       AND COALESCE(r.region::text, '') || CASE WHEN r.level = 'rest' THEN 'rest' ELSE '' END = c.place
     WHERE c.n < few OR c.two > c.whole * k / 100 OR r.value <> c.whole $$;

SELECT setseed(0.3);
CREATE TEMP TABLE attack (month date, shown bigint, hidden bigint, broken bigint, determined integer);
GRANT ALL ON attack TO PUBLIC;
DO $$
DECLARE
    m date;
    r bigint;
BEGIN
    FOR k IN 0 .. 11 LOOP
        m := DATE '2019-01-01' + k * interval '1 month';
        PERFORM pg_temp.fill(m);
        SET LOCAL ROLE disclose_analyst;
        PERFORM credit.release('loan_balance', m, 'segment');
        RESET ROLE;
        SELECT max(release) INTO r FROM credit.disclosure;
        INSERT INTO attack SELECT m, count(*) FILTER (WHERE NOT hidden), count(*) FILTER (WHERE hidden), pg_temp.broken(m, 10, 85),
                                  pg_temp.determined(r) FROM credit._disclosure_cell WHERE release = r;
    END LOOP;
END
$$;
SELECT count(*), bool_and(shown > 10) AS shown, sum(hidden) > 100 AS hidden, sum(shown) > sum(hidden) AS most_shown, sum(broken) AS broken, sum(determined) AS determined FROM attack;
-- The outsider is no straw man: he finds cells where each is hidden by itself only.
SAVEPOINT s;
INSERT INTO credit.disclosure (metric, version, month, rules, data_digest, pattern_digest, released_by)
VALUES ('loan_balance', 1, '2019-12-01', '{}', '', '', 'x');
INSERT INTO credit._disclosure_cell
SELECT (SELECT max(release) FROM credit.disclosure), c ->> 'dimension', ARRAY(SELECT jsonb_array_elements_text(c -> 'path')), c ->> 'item',
       (c ->> 'hidden')::boolean, CASE WHEN NOT (c ->> 'hidden')::boolean THEN 0 END
  FROM credit.metric_source s, LATERAL credit._disclosure_cells(s, '{}', '2019-12-01', 10, 2, 85, NULL) d, jsonb_array_elements(d.cells) c
 WHERE s.metric = 'loan_balance' AND s.version = 1;
SELECT count(*) FILTER (WHERE hidden) > 0 AS hidden, pg_temp.determined(max(release)) > 0 AS found
  FROM credit._disclosure_cell WHERE release = (SELECT max(release) FROM credit.disclosure);
ROLLBACK TO s;

-- The same question has the same answer, and another layout or a part of it shows the same cells.
SET ROLE disclose_analyst;
CREATE TEMP TABLE first_answer AS SELECT * FROM credit.release('loan_balance', '2019-03-31');
SELECT count(*) AS others FROM (SELECT * FROM credit.release('loan_balance', '2019-03-01') EXCEPT ALL TABLE first_answer) x;
SELECT count(*) FROM (SELECT level, place, value FROM first_answer WHERE item IS NULL EXCEPT
                      SELECT level, place, value FROM credit.release('loan_balance', '2019-03-01', 'product') WHERE item IS NULL) x;
SELECT count(*) FROM (SELECT * FROM credit.release('loan_balance', '2019-03-01', region => '330200') EXCEPT TABLE first_answer) x;
SELECT count(DISTINCT release) FROM first_answer;
RESET ROLE;
-- Looser rules and other data show nothing that was hidden; stricter ones hide more.
SET ROLE disclose_operator;
SELECT credit.set_disclosure(2, 1, 100);
RESET ROLE;
SELECT max(release) AS last FROM credit.disclosure WHERE month = '2019-03-01' \gset
SELECT count(*) > 0 AS answered, min(release) > :last AS anew FROM credit.release('loan_balance', '2019-03-01');
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, segment, product, balance)
SELECT 901, 'more' || g, '2019-03-01', 1000 + g, '330203', 'a', 'p', 50 FROM generate_series(1, 50) g;
SELECT count(*) > 0 AS answered FROM credit.release('loan_balance', '2019-03-01');
SELECT count(DISTINCT release) AS releases FROM credit.disclosure WHERE month = '2019-03-01' AND metric = 'loan_balance';
SELECT count(*) AS opened FROM credit._disclosure_cell h JOIN credit._disclosure_cell o USING (dimension, path, item)
 WHERE h.hidden AND NOT o.hidden AND h.release = :last AND o.release > :last
   AND o.release IN (SELECT release FROM credit.disclosure WHERE month = '2019-03-01');
SELECT pg_temp.determined(max(release)) FROM credit.disclosure WHERE month = '2019-03-01';
SELECT credit.set_disclosure(100, 2, 50, 20);
SELECT min(release) > :last AS anew FROM credit.release('loan_balance', '2019-03-01');
SELECT pg_temp.determined(max(release)) FROM credit.disclosure WHERE month = '2019-03-01';
SELECT credit.set_disclosure(10, 2, 85);
-- other kinds of metrics; a metric without rows
UPDATE credit.loan_balance SET small_micro = true, rate = 0.05 WHERE month = '2019-05-01';
SELECT m, (SELECT count(*) > 0 FROM credit.release(m, '2019-05-01')) AS rows
  FROM unnest('{loan_balance,small_micro_borrower_count,small_micro_loan_weighted_avg_rate,guarantee_balance}'::text[]) m;
-- One borrower has nearly all: many others do not help. Without subjects an institution is one borrower.
INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, segment, balance)
SELECT 901, 'd' || g, DATE '2018-01-01', g, '330203', 'a', CASE g WHEN 1 THEN 100000 ELSE 1 END FROM generate_series(1, 100) g
UNION ALL SELECT 902, 'e' || g, '2018-02-01', NULL, '330203', 'a', 1 FROM generate_series(1, 100) g
UNION ALL SELECT 902, 'f' || g, '2018-03-01', g, '330203', 'a', 1 FROM generate_series(1, 100) g;
SELECT m, (SELECT count(*) FROM credit.release('loan_balance', m)) AS shown FROM unnest('{2018-01-01,2018-02-01,2018-03-01}'::date[]) m;

-- rights: an analyst releases, an institution reads what was released
SET ROLE disclose_bank;
SELECT count(*) > 0 AS released FROM credit.released;
\set VERBOSITY sqlstate
\set ON_ERROR_ROLLBACK on
SELECT count(*) FROM credit.release('loan_balance', '2019-03-01');
SELECT count(*) FROM credit._disclosure_cell;
SELECT credit.set_disclosure(2, 1, 100);
SET ROLE disclose_analyst;
SELECT credit.set_disclosure(2, 1, 100);
SELECT count(*) FROM credit._disclosure_cell;
SELECT credit.release('no_such_metric', '2019-03-01');
SELECT credit.release('npl_ratio', '2019-03-01');
SELECT credit.release(NULL, '2019-03-01');
SELECT credit.release('loan_balance', NULL);
SELECT credit.release('loan_balance', 'infinity');
SELECT credit.release('loan_balance', '9999-01-01');
SELECT credit.release('loan_balance', '2019-03-01', 'subject_id');
SELECT credit.release('loan_balance', '2019-03-01', NULL);
SET ROLE disclose_operator;
SELECT credit.set_disclosure(1, 1, 100);
SELECT credit.set_disclosure(NULL, 1, 100);
SELECT credit.set_disclosure(10, 0, 100);
SELECT credit.set_disclosure(10, 1, 'NaN');
SELECT credit.set_disclosure(10, 1, 80, 0);
RESET ROLE;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT credit.release('loan_balance', '2019-03-01');
ROLLBACK;
DROP ROLE disclose_analyst, disclose_operator, disclose_bank;
