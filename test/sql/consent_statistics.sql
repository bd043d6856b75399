-- Statistics over all subjects: small cells, what follows from others, who may read; suppression tried against its own tables.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
SET TIME ZONE 'Asia/Shanghai';
SET datestyle = 'ISO';
CREATE ROLE stat_analyst;
CREATE ROLE stat_operator;
CREATE ROLE stat_bank;
GRANT credit_analyst TO stat_analyst;
GRANT credit_operator TO stat_operator;
GRANT credit_institution TO stat_bank;
\set VERBOSITY terse

-- ---------------------------------------------------------------- suppression

-- One line: a small cell takes the next small one along; three small ones are enough by themselves.
SELECT credit.suppress_cells('{0,1,1,1}', '{1,2,3,4}', '{0,0,0,0}', '{115,3,12,100}', 10) AS second_added,
       credit.suppress_cells('{0,1,1,1}', '{1,2,3,4}', '{0,0,0,0}', '{15,5,6,4}', 10) AS three_small,
       credit.suppress_cells('{0,1,1}', '{1,2,3}', '{0,0,0}', '{20,10,10}', 10) AS none_small,
       credit.suppress_cells('{0,1}', '{1,2}', '{0,0}', '{5,5}', 10) AS only_child,
       credit.suppress_cells('{0,1,1}', '{1,2,3}', '{0,0,0}', '{11,1,10}', 10) AS sum_is_enough;
-- Together they must count the least as well: 1 + 1 do not.
SELECT credit.suppress_cells('{0,1,1,1}', '{1,2,3,4}', '{0,0,0,0}', '{32,1,1,30}', 10) AS sum_too_small;
-- A city with one small county: the county beside it is hidden. With no other county, the city is, and then a city beside it.
SELECT credit.suppress_cells('{0,1,1,2,2}', '{1,2,3,4,5}', '{0,0,0,0,0}', '{60,30,30,4,26}', 10) AS hierarchy,
       credit.suppress_cells('{0,1,1,1,2}', '{1,2,3,4,5}', '{0,0,0,0,0}', '{84,4,30,50,4}', 10) AS up_the_tree;
-- Two in every line, and one follows all the same: rows 1 and 2 and rows 3 and 4 each have a square of hidden cells, and only
-- one hidden cell is in rows 1, 2 and in the columns of the others. It is the difference of totals.
WITH t (r, c, n) AS (
    SELECT r + 1, c, CASE WHEN (r <= 2) = (c <= 2) THEN 5 WHEN (r, c) = (2, 3) THEN 6 ELSE 50 END
      FROM generate_series(1, 4) r, generate_series(1, 4) c),
whole AS (
    SELECT * FROM t UNION ALL SELECT 1, c, sum(n) FROM t GROUP BY c UNION ALL SELECT r, 0, sum(n) FROM t GROUP BY r
    UNION ALL SELECT 1, 0, sum(n) FROM t),
hidden AS (
    SELECT w.r, w.c, w.n, w.h FROM (SELECT array_agg(r ORDER BY r, c)::int[] AS rs, array_agg(c ORDER BY r, c)::int[] AS cs, array_agg(n ORDER BY r, c)::bigint[] AS ns FROM whole) a,
           LATERAL unnest(rs, cs, ns, credit.suppress_cells('{0,1,1,1,1}', rs, cs, ns, 10)) w (r, c, n, h))
SELECT r - 1 AS row, string_agg(CASE WHEN h THEN 'x' ELSE n::text END, ' ' ORDER BY c) AS published FROM hidden GROUP BY r ORDER BY r;
-- Not a table.
SELECT credit.suppress_cells('{}', '{}', '{}', '{}', 10) AS empty;
SELECT credit.suppress_cells('{0,0}', '{1}', '{0}', '{1}', 10);
SELECT credit.suppress_cells('{1}', '{1}', '{0}', '{1}', 10);
SELECT credit.suppress_cells('{0,3,2}', '{1}', '{0}', '{1}', 10);
SELECT credit.suppress_cells('{0}', '{2}', '{0}', '{1}', 10);
SELECT credit.suppress_cells('{0}', '{1}', '{-1}', '{1}', 10);
SELECT credit.suppress_cells('{0}', '{1}', '{0}', '{0}', 10);
SELECT credit.suppress_cells('{0}', '{1,1}', '{0,0}', '{1,1}', 10);
SELECT credit.suppress_cells('{0}', '{1,1}', '{0}', '{1,1}', 10);
SELECT credit.suppress_cells('{0}', '{1}', '{2000000000}', '{1}', 10);
SELECT credit.suppress_cells('{0,NULL}', '{1}', '{0}', '{1}', 10);

-- Random tables, and an outsider who knows nothing of how cells were chosen: he solves the linear equations of all lines for
-- all cells that are not shown, by elimination, and looks whether one has a single solution. All coefficients are
-- 0, 1 or -1 and stay whole numbers, as those of a network do.
CREATE FUNCTION stat_determined(parents integer[], columns integer, rs integer[], cs integer[], hidden boolean[]) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    n_rows integer := cardinality(parents);
    var integer[] := array_fill(0, ARRAY[n_rows, columns + 1]);      -- number of the unknown in a cell, 0 where it is known
    line numeric[];
    n integer := 0;
    eqs integer := 0;
    rank integer := 0;
    pivot integer;
    found integer := 0;
BEGIN
    FOR k IN 1 .. cardinality(rs) LOOP
        IF hidden[k] THEN
            n := n + 1;
            var[rs[k]][cs[k] + 1] := n;
        END IF;
    END LOOP;
    IF n = 0 THEN
        RETURN 0;
    END IF;
    CREATE TEMP TABLE IF NOT EXISTS stat_eq (id integer PRIMARY KEY, v numeric[]);
    TRUNCATE stat_eq;
    FOR r IN 1 .. n_rows LOOP
        -- the row over its columns
        IF columns > 0 THEN
            line := array_fill(0::numeric, ARRAY[n]);
            FOR c IN 0 .. columns LOOP
                IF var[r][c + 1] > 0 THEN
                    line[var[r][c + 1]] := CASE WHEN c = 0 THEN -1 ELSE 1 END;
                END IF;
            END LOOP;
            eqs := eqs + 1;
            INSERT INTO stat_eq VALUES (eqs, line);
        END IF;
        -- its children, in each column
        IF r = ANY (parents) THEN
            FOR c IN 0 .. columns LOOP
                line := array_fill(0::numeric, ARRAY[n]);
                FOR d IN 1 .. n_rows LOOP
                    IF parents[d] = r AND var[d][c + 1] > 0 THEN
                        line[var[d][c + 1]] := 1;
                    END IF;
                END LOOP;
                IF var[r][c + 1] > 0 THEN
                    line[var[r][c + 1]] := -1;
                END IF;
                eqs := eqs + 1;
                INSERT INTO stat_eq VALUES (eqs, line);
            END LOOP;
        END IF;
    END LOOP;
    -- reduced row echelon form
    FOR k IN 1 .. n LOOP
        SELECT e.id INTO pivot FROM stat_eq e WHERE e.id > rank AND e.v[k] <> 0 ORDER BY e.id LIMIT 1;
        CONTINUE WHEN pivot IS NULL;
        rank := rank + 1;
        UPDATE stat_eq e SET id = -e.id WHERE e.id IN (pivot, rank);
        UPDATE stat_eq e SET id = CASE WHEN e.id = -pivot THEN rank ELSE pivot END WHERE e.id < 0;
        UPDATE stat_eq e SET v = (SELECT array_agg(x / e.v[k] ORDER BY o) FROM unnest(e.v) WITH ORDINALITY u (x, o)) WHERE e.id = rank;
        UPDATE stat_eq e SET v = (SELECT array_agg(u.x - e.v[k] * p.v[u.o] ORDER BY u.o) FROM unnest(e.v) WITH ORDINALITY u (x, o))
          FROM stat_eq p WHERE p.id = rank AND e.id <> rank AND e.v[k] <> 0;
    END LOOP;
    -- an unknown is determined when a line of the form has it and nothing else
    SELECT count(*) INTO found FROM stat_eq e WHERE (SELECT count(*) FROM unnest(e.v) x WHERE x <> 0) = 1;
    RETURN found;
END
$$;

-- A random tree of rows, columns, and leaf cells of which many are small or zero; all totals.
CREATE FUNCTION stat_random(OUT parents integer[], OUT columns integer, OUT rs integer[], OUT cs integer[], OUT ns bigint[])
LANGUAGE plpgsql AS $$
DECLARE
    n_rows integer := 1 + floor(random() * 9);
BEGIN
    parents := '{0}';
    FOR r IN 2 .. n_rows LOOP
        parents := parents || (1 + floor(random() * least(r - 1, 4)))::integer;
    END LOOP;
    columns := floor(random() * 5);
    WITH RECURSIVE leaf AS (
        SELECT r, c, CASE WHEN random() < 0.3 THEN 0 WHEN random() < 0.5 THEN 1 + floor(random() * 12) ELSE floor(random() * 200) END::bigint AS n
          FROM generate_series(1, n_rows) r, generate_series(CASE WHEN columns > 0 THEN 1 ELSE 0 END, columns) c
         WHERE NOT r = ANY (parents)),
    up AS (
        SELECT r, c, n FROM leaf UNION ALL SELECT parents[u.r], u.c, u.n FROM up u WHERE parents[u.r] > 0),
    cell AS (
        SELECT r, c, sum(n) AS n FROM up GROUP BY r, c
        UNION ALL SELECT r, 0, sum(n) FROM up WHERE columns > 0 GROUP BY r)
    SELECT array_agg(r ORDER BY r, c), array_agg(c ORDER BY r, c), array_agg(n ORDER BY r, c) INTO rs, cs, ns FROM cell WHERE n > 0;
END
$$;
-- What must hold of each: nothing small is shown; nothing that is hidden is determined; a line whose total is shown hides none or
-- at least two, and they are not few together; the same table again gives the same.
CREATE FUNCTION stat_faults(t integer) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    x record;
    hidden boolean[];
BEGIN
    SELECT * INTO x FROM stat_random();
    IF x.rs IS NULL THEN
        RETURN;
    END IF;
    hidden := credit.suppress_cells(x.parents, x.rs, x.cs, x.ns, 10);
    IF EXISTS (SELECT FROM unnest(x.ns, hidden) u (n, h) WHERE n < 10 AND NOT h) THEN
        RETURN NEXT 'a small cell is shown: ' || x::text;
    END IF;
    IF stat_determined(x.parents, x.columns, x.rs, x.cs, hidden) > 0 THEN
        RETURN NEXT 'a hidden cell follows: ' || x::text;
    END IF;
    IF hidden IS DISTINCT FROM credit.suppress_cells(x.parents, x.rs, x.cs, x.ns, 10) THEN
        RETURN NEXT 'another answer: ' || x::text;
    END IF;
    IF EXISTS (WITH cell AS (SELECT * FROM unnest(x.rs, x.cs, x.ns, hidden) u (r, c, n, h)),
                    part AS (SELECT 'r' || p.r AS line, p.n, p.h, w.h AS whole FROM cell p JOIN cell w ON w.r = p.r AND w.c = 0 AND p.c > 0
                             UNION ALL
                             SELECT 'c' || x.parents[p.r] || ' ' || p.c, p.n, p.h, w.h FROM cell p JOIN cell w ON w.r = x.parents[p.r] AND w.c = p.c)
               SELECT FROM part WHERE h AND NOT whole GROUP BY line HAVING count(*) < 2 OR sum(n) < 10) THEN
        RETURN NEXT 'a line gives away: ' || x::text;
    END IF;
END
$$;
SELECT setseed(0.25);
SELECT f AS fault FROM generate_series(1, 500) t, LATERAL stat_faults(t) f;
-- The outsider is no straw man: he finds what primary suppression alone leaves open, and what lines alone leave open.
SELECT stat_determined('{0,1,1}', 0, '{1,2,3}', '{0,0,0}', '{f,t,f}') AS difference,
       stat_determined('{0,1,1}', 0, '{1,2,3}', '{0,0,0}', '{f,t,t}') AS two_hidden,
       stat_determined('{0,1,1,1,1}', 4, array_agg(r ORDER BY r, c), array_agg(c ORDER BY r, c),
                       array_agg(r > 1 AND c > 0 AND ((r <= 3) = (c <= 2) OR (r, c) = (3, 3)) ORDER BY r, c)) AS bridge
  FROM generate_series(1, 5) r, generate_series(0, 4) c;
SELECT setseed(0.5);
SELECT count(*) > 50 AS primary_alone_fails
  FROM generate_series(1, 200) t, LATERAL (SELECT x.* FROM stat_random() x WHERE t > 0) x
 WHERE x.rs IS NOT NULL
   AND stat_determined(x.parents, x.columns, x.rs, x.cs, (SELECT array_agg(n < 10 ORDER BY o) FROM unnest(x.ns) WITH ORDINALITY u (n, o))) > 0;
-- Not everything is hidden either.
SELECT setseed(0.75);
SELECT avg((SELECT avg((h)::int) FROM unnest(credit.suppress_cells(x.parents, x.rs, x.cs, x.ns, 10)) h)) < 0.75 AS something_is_shown
  FROM generate_series(1, 300) t, LATERAL (SELECT x.* FROM stat_random() x WHERE t > 0) x WHERE x.rs IS NOT NULL;
-- A whole country in one table.
SELECT count(*) AS cells, count(*) FILTER (WHERE h) BETWEEN 1000 AND 90000 AS hidden
  FROM (SELECT array_agg(r ORDER BY r, c) AS rs, array_agg(c ORDER BY r, c) AS cs, array_agg(n ORDER BY r, c) AS ns
          FROM (WITH leaf AS (SELECT r, c, 1 + (r * 31 + c * 17) % 97 AS n FROM generate_series(32, 2031) r, generate_series(1, 48) c),
                     up AS (SELECT * FROM leaf UNION ALL SELECT 2 + r % 30, c, n FROM leaf UNION ALL SELECT 1, c, n FROM leaf)
                SELECT r, c, sum(n)::bigint AS n FROM up GROUP BY 1, 2 UNION ALL SELECT r, 0, sum(n)::bigint FROM up GROUP BY 1) x) a,
       LATERAL unnest(credit.suppress_cells((SELECT array_agg(CASE WHEN r = 1 THEN 0 WHEN r <= 31 THEN 1 ELSE 2 + r % 30 END ORDER BY r)
                                              FROM generate_series(1, 2031) r), rs, cs, ns, 10)) h;

-- ---------------------------------------------------------------- the views

-- In a transaction that is taken back, so that other tests' subjects do not count: they are erased from sight first.
SELECT credit.register_institution('stat_bank', '甲银行', 'Bank A', 'commercial_bank', 'stat_bank') > 0 AS bank;
BEGIN;
DELETE FROM credit.record;
DELETE FROM credit.consent;
UPDATE credit.subject SET uscc = NULL, name = NULL, region = NULL, code = 'erased-' || md5(subject_id::text);
INSERT INTO credit.subject (kind, code, region)
SELECT 'village', 'stat-' || r.region || '-' || n, r.region::credit.region_code
  FROM (VALUES ('330203', 20), ('330205', 15), ('330206', 4), ('330301', 30), ('320282', 25), ('320281', 12), ('330200', 11)) r (region, n_subjects),
       generate_series(1, n_subjects) n;
INSERT INTO credit.subject (kind, code) SELECT 'village', 'stat-none-' || n FROM generate_series(1, 13) n;
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id, status)
SELECT s.subject_id, c.category_id, 0, m, 'neutral', format('%s-%s', m, k), '{}', 0,
       CASE WHEN s.region::text = '330301' AND k = 2 THEN 'withdrawn' ELSE 'active' END
  FROM credit.subject s, credit.category c, (VALUES (DATE '2026-01-15'), (DATE '2026-02-15')) d (m), generate_series(1, 2) k
 WHERE s.code LIKE 'stat-%' AND c.code = 'tax_payment' AND (m < '2026-02-01' OR s.region IS NOT NULL AND s.region::text <> '320281');
INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, granted_at, granted_by)
SELECT s.subject_id, i.institution_id, '{20}', '{pre_loan,in_loan,pre_loan}', now(), now() + interval '1 day', m, 'x'
  FROM credit.subject s, credit.institution i, (VALUES (timestamptz '2026-01-31 23:30+08', 40), (timestamptz '2026-02-01 00:30+08', 30)) v (m, most)
 WHERE i.code = 'stat_bank' AND s.subject_id IN (SELECT x.subject_id FROM credit.subject x WHERE x.code LIKE 'stat-%' ORDER BY x.code COLLATE "C" LIMIT most);
SET LOCAL ROLE stat_analyst;
SELECT level, region, kind, subjects FROM credit.stat_subject ORDER BY region::text COLLATE "C" NULLS FIRST, level, kind;
SELECT level, region, month, records, subjects FROM credit.stat_record WHERE category = 'tax_payment' ORDER BY region::text COLLATE "C" NULLS FIRST, level, month NULLS FIRST;
SELECT purpose, institution_kind, month, consents, subjects FROM credit.stat_consent ORDER BY purpose, institution_kind NULLS FIRST, month NULLS FIRST;
-- A condition only chooses: with it and without it a cell is the same, and a small one is not found by asking for it.
SELECT count(*) FROM credit.stat_record WHERE region::text = '330206';
SELECT (SELECT sum(records) FROM credit.stat_record WHERE level = 'county' AND month IS NULL)
     = (SELECT sum(records) FROM (SELECT * FROM credit.stat_record OFFSET 0) x WHERE level = 'county' AND month IS NULL) AS same;
RESET ROLE;
-- The operator's parameter.
SET LOCAL ROLE stat_operator;
SELECT credit.set_minimum_cell(3);
SELECT credit.minimum_cell();
SELECT level, region, kind, subjects FROM credit.stat_subject WHERE region::text LIKE '3302%' AND kind IS NULL ORDER BY region::text COLLATE "C", level;
SELECT credit.set_minimum_cell(1000);
SELECT count(*) FROM credit.stat_record;
RESET ROLE;
ROLLBACK;
SELECT credit.minimum_cell();
SET ROLE stat_operator;
SELECT credit.set_minimum_cell(1);
SELECT credit.set_minimum_cell(NULL);
SET ROLE stat_analyst;
SELECT credit.set_minimum_cell(2);
SELECT count(*) FROM credit.data_quality;
SELECT count(*) FROM credit.unknown_region;
SELECT count(*) FROM credit.record;
SELECT count(*) FROM credit.subject;
SELECT count(*) FROM credit.consent;
SELECT count(*) FROM credit.audit_log;
SET ROLE stat_bank;
SELECT count(*) FROM credit.stat_record;
SELECT count(*) FROM credit._stat_record();
RESET ROLE;

-- Accesses: by the histories' index, which the notary writes a moment later; few subjects and many.
INSERT INTO credit.subject (kind, code) SELECT 'village', 'stat-a-' || n FROM generate_series(1, 100) n;
INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, granted_by)
SELECT s.subject_id, i.institution_id, '{20}', '{underwriting}', now() - interval '1 hour', now() + interval '1 day', 'x'
  FROM credit.subject s, credit.institution i WHERE i.code = 'stat_bank' AND s.code LIKE 'stat-a-%';
SELECT array_agg(subject_id ORDER BY subject_id) AS many, (array_agg(subject_id ORDER BY subject_id))[1:12] AS few FROM credit.subject WHERE code LIKE 'stat-a-%' \gset
SET ROLE stat_bank;
SELECT count(*) FROM credit.open_access(:'few'::bigint[], 'underwriting', '{tax_payment}') WHERE granted;
SELECT count(*) FROM credit.open_access(:'few'::bigint[], 'underwriting', '{tax_payment}') WHERE granted;
SELECT count(*) FROM credit.open_access(:'many'::bigint[], 'underwriting', '{tax_payment}') WHERE granted;
SELECT count(*) FROM credit.open_access((:'few'::bigint[])[1:2], 'underwriting', '{tax_payment}') WHERE granted;
RESET ROLE;
CREATE FUNCTION stat_wait(last bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    FOR turn IN 1 .. 1000 LOOP
        IF (SELECT max(upto) FROM credit.audit_history_state) >= last THEN
            RETURN true;
        END IF;
        PERFORM pg_sleep(0.05);
    END LOOP;
    RAISE EXCEPTION 'the histories are not indexed';
END
$$;
SELECT stat_wait((SELECT max(seq) FROM credit.audit_entry));
SET ROLE stat_analyst;
SELECT purpose, institution, accesses, subjects FROM credit.stat_access WHERE purpose = 'underwriting' AND institution = 'stat_bank' AND month IS NULL;
RESET ROLE;

DROP FUNCTION stat_wait(bigint), stat_faults(integer), stat_random(), stat_determined(integer[], integer, integer[], integer[], boolean[]);
DELETE FROM credit.consent c USING credit.subject s WHERE s.subject_id = c.subject_id AND s.code LIKE 'stat-a-%';
DELETE FROM credit.subject WHERE code LIKE 'stat-a-%';
DELETE FROM credit.institution WHERE code = 'stat_bank';
DROP ROLE stat_analyst, stat_operator, stat_bank;
