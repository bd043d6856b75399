SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set SHOW_CONTEXT never
-- The operators live in schema credit, as the types do.
SET search_path = credit, public;

-- One table with 20,000 generated codes of each type, in no order.
CREATE TEMP TABLE ids AS
SELECT (b || credit.uscc_check_character(b))::credit.uscc AS u,
       (n || credit.resident_id_check_character(n))::credit.resident_id AS r,
       lpad((i * 7919 % 1000000)::text, 6, '0')::credit.region_code AS g
  FROM generate_series(1, 20000) i,
       LATERAL (SELECT substr('19AN', i % 4 + 1, 1) || substr('129CY', i % 5 + 1, 1) || lpad((i * 7919 % 1000000)::text, 6, '0')
                       || translate(upper(substr(md5(i::text), 1, 9)), 'BD', 'WY')) AS x(b),
       LATERAL (SELECT '99' || lpad((i % 10000)::text, 4, '0') || to_char(date '1930-01-01' + i, 'YYYYMMDD')
                       || lpad((i % 1000)::text, 3, '0')) AS y(n);
SELECT count(*), count(DISTINCT u) AS usccs, count(DISTINCT r) AS residents, count(DISTINCT g) AS regions FROM ids;

-- the order is that of the printed form: by sort (abbreviated keys), by operators, by btree comparison
SELECT count(*) FILTER (WHERE u <> cu) AS uscc_out_of_order, count(*) FILTER (WHERE r <> cr) AS resident_out_of_order,
       count(*) FILTER (WHERE g <> cg) AS region_out_of_order
  FROM (SELECT row_number() OVER (ORDER BY u) n, u FROM ids) a
  JOIN (SELECT row_number() OVER (ORDER BY u::text COLLATE "C") n, u cu FROM ids) b USING (n)
  JOIN (SELECT row_number() OVER (ORDER BY r) n, r FROM ids) c USING (n)
  JOIN (SELECT row_number() OVER (ORDER BY r::text COLLATE "C") n, r cr FROM ids) d USING (n)
  JOIN (SELECT row_number() OVER (ORDER BY g) n, g FROM ids) e USING (n)
  JOIN (SELECT row_number() OVER (ORDER BY g::text COLLATE "C") n, g cg FROM ids) f USING (n);
-- codes that differ in two neighbouring characters only: every pair of symbols at every pair of positions
CREATE TEMP TABLE near AS
SELECT DISTINCT (b || uscc_check_character(b))::uscc AS u
  FROM generate_series(1, 16) p,
       unnest(string_to_array('0123456789ABCDEFGHJKLMNPQRTUWXY', NULL)) x,
       unnest(string_to_array('0123456789ABCDEFGHJKLMNPQRTUWXY', NULL)) y,
       overlay('91555555GA5G5G5GG' PLACING x || y FROM p) b
 WHERE is_valid_region_code(substr(b, 3, 6));
SELECT count(*), count(*) FILTER (WHERE by_type <> by_text) AS out_of_order
  FROM (SELECT row_number() OVER (ORDER BY u) AS by_type, row_number() OVER (ORDER BY u::text COLLATE "C") AS by_text
          FROM near) n;

CREATE FUNCTION pg_temp.disagree(t text) RETURNS TABLE (pairs bigint, wrong bigint) LANGUAGE plpgsql AS $f$
BEGIN
    RETURN QUERY EXECUTE format($q$
        SELECT count(*), count(*) FILTER (WHERE
               (a < b) <> (ta < tb) OR (a <= b) <> (ta <= tb) OR (a = b) <> (ta = tb) OR (a <> b) <> (ta <> tb)
            OR (a >= b) <> (ta >= tb) OR (a > b) <> (ta > tb)
            OR sign(credit._%2$s_cmp(a, b)) <> sign(bttextcmp(ta, tb))
            OR (a = b) <> (credit._%2$s_hash_extended(a, 7) = credit._%2$s_hash_extended(b, 7)))
          FROM (SELECT %1$I AS a, %1$I::text COLLATE "C" AS ta FROM (SELECT %1$I FROM ids LIMIT 300) s) x,
               (SELECT %1$I AS b, %1$I::text COLLATE "C" AS tb FROM (SELECT %1$I FROM ids LIMIT 300) s) y $q$,
        left(t, 1), CASE left(t, 1) WHEN 'u' THEN 'uscc' WHEN 'r' THEN 'resident_id' ELSE 'region_code' END);
END
$f$;
SELECT 'uscc' AS type, * FROM pg_temp.disagree('u')
UNION ALL SELECT 'resident_id', * FROM pg_temp.disagree('r')
UNION ALL SELECT 'region_code', * FROM pg_temp.disagree('g');

-- operator classes are whole
SELECT opcintype::regtype, amname, amvalidate(o.oid), opcdefault
  FROM pg_opclass o JOIN pg_am a ON a.oid = opcmethod JOIN pg_namespace n ON n.oid = opcnamespace
 WHERE nspname = 'credit' AND opcname IN ('uscc_ops', 'resident_id_ops', 'region_code_ops') ORDER BY opcintype::regtype::text COLLATE "C", amname;

-- indexes are used, and find what a scan finds; a literal and a parameter alike
CREATE INDEX ids_u ON ids (u);
CREATE INDEX ids_u_hash ON ids USING hash (u);
CREATE INDEX ids_g ON ids (g);
CREATE INDEX ids_r ON ids USING hash (r);
VACUUM ANALYZE ids;
SELECT u AS some_uscc, r AS some_resident FROM ids ORDER BY u LIMIT 1 OFFSET 777 \gset
EXPLAIN (COSTS OFF) SELECT * FROM ids WHERE g BETWEEN '330000' AND '339999';
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT u FROM ids WHERE u < '91990001MA000000XG';
EXPLAIN (COSTS OFF) SELECT r FROM ids WHERE r = '990001193001028005';
DROP INDEX ids_u_hash;
PREPARE by_uscc(text) AS SELECT count(*) FROM ids WHERE u = $1::credit.uscc;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE by_uscc('x');
EXECUTE by_uscc(lower(:'some_uscc'));
RESET plan_cache_mode;
EXPLAIN (COSTS OFF) SELECT u FROM ids ORDER BY u DESC LIMIT 1;
SELECT count(*) AS by_index FROM ids WHERE g BETWEEN '330000' AND '339999';
SELECT count(*) AS by_index FROM ids WHERE r = :'some_resident';
RESET enable_seqscan;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT count(*) AS by_scan FROM ids WHERE g BETWEEN '330000' AND '339999';
SELECT count(*) AS by_scan FROM ids WHERE r = :'some_resident';
RESET enable_indexscan;
RESET enable_indexonlyscan;
RESET enable_bitmapscan;

-- joins: hash and merge
SET enable_nestloop = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM ids a JOIN ids b USING (u);
SELECT count(*) FROM ids a JOIN ids b USING (u);
SET enable_mergejoin = on;
SET enable_hashjoin = off;
SELECT count(*) FROM ids a JOIN ids b USING (u);
RESET enable_nestloop;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- conditions on codes are leakproof: tried before a policy's and through an index below it
SELECT count(*) AS operators, count(*) FILTER (WHERE proleakproof) AS leakproof
  FROM pg_operator o JOIN pg_proc p ON p.oid = oprcode JOIN pg_namespace n ON n.oid = oprnamespace
 WHERE nspname = 'credit' AND oprleft IN ('credit.uscc'::regtype, 'credit.resident_id'::regtype, 'credit.region_code'::regtype);

-- binary form: there and back, and checked on the way in (a text's binary form is its characters)
CREATE TEMP TABLE back (LIKE ids);
\copy ids TO 'results/identity_order.bin' (FORMAT binary)
\copy back FROM 'results/identity_order.bin' (FORMAT binary)
SELECT count(*) FROM ids JOIN back USING (u, r, g);
CREATE TEMP TABLE one (u credit.uscc);
CREATE TEMP TABLE two (r credit.resident_id);
CREATE TEMP TABLE three (g credit.region_code);
\copy (SELECT lower(u::text) FROM ids) TO 'results/identity_order.bin' (FORMAT binary)
\copy one FROM 'results/identity_order.bin' (FORMAT binary)
SELECT count(*) FROM one JOIN ids USING (u);
\copy (SELECT overlay(u::text PLACING '号' FROM 9) FROM ids LIMIT 1) TO 'results/identity_order.bin' (FORMAT binary)
\copy one FROM 'results/identity_order.bin' (FORMAT binary)
\copy (SELECT left('91990001MA000000X1', 17)) TO 'results/identity_order.bin' (FORMAT binary)
\copy one FROM 'results/identity_order.bin' (FORMAT binary)
\copy (SELECT '990001194910010010'::text) TO 'results/identity_order.bin' (FORMAT binary)
\copy two FROM 'results/identity_order.bin' (FORMAT binary)
\copy (SELECT 330200::int4) TO 'results/identity_order.bin' (FORMAT binary)
\copy three FROM 'results/identity_order.bin' (FORMAT binary)
\copy (SELECT '3302O0'::text) TO 'results/identity_order.bin' (FORMAT binary)
\copy three FROM 'results/identity_order.bin' (FORMAT binary)
\copy (SELECT '\xff31393930303031'::bytea) TO 'results/identity_order.bin' (FORMAT binary)
\copy one FROM 'results/identity_order.bin' (FORMAT binary)
-- 22P03 says that the binary form is wrong, 22P02 the text form
\set VERBOSITY sqlstate
\copy (SELECT '3302O0'::text) TO 'results/identity_order.bin' (FORMAT binary)
\copy three FROM 'results/identity_order.bin' (FORMAT binary)
\copy one FROM 'results/identity_order.bin' (FORMAT binary)
\copy two FROM 'results/identity_order.bin' (FORMAT binary)
\copy (SELECT '3302O0'::text) TO 'results/identity_order.bin'
\copy three FROM 'results/identity_order.bin'
\set VERBOSITY default
DO $$
BEGIN
    ASSERT (SELECT bool_and(encode(credit._uscc_send(u), 'escape') = u::text AND
                            encode(credit._resident_id_send(r), 'escape') = r::text AND
                            encode(credit._region_code_send(g), 'escape') = g::text) FROM ids);
END
$$;
