-- Functions, operators, casts and aggregates of the attacker's own that are called with what they filter: CVE-2019-10130,
-- CVE-2026-19633 (code in operators, domain casts, view subqueries). A row that was not opened reaches none.
\set attack attack_leaky_operators
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set begin :srcdir /sql/lib/attack_begin.sql
\set end :srcdir /sql/lib/attack_end.sql
\i :begin
\set ECHO all
CREATE FUNCTION leak_left(bigint, bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS 'BEGIN RETURN leak($1); END';
CREATE FUNCTION leak_left(jsonb, jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS 'BEGIN RETURN leak($1); END';
CREATE FUNCTION leak_text(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE COST 0.0000001 AS 'SELECT leak($1)';
CREATE OPERATOR = (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = leak_left, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR <<< (LEFTARG = text, RIGHTARG = text, FUNCTION = leak_text, RESTRICT = scalarltsel);
CREATE OPERATOR === (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = leak_left, RESTRICT = contsel);
CREATE FUNCTION cmp(jsonb, jsonb) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM leak($1), leak($2); RETURN jsonb_cmp($1, $2); END';
CREATE FUNCTION less(jsonb, jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM leak($1), leak($2); RETURN jsonb_lt($1, $2); END';
CREATE OPERATOR <! (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = less);
CREATE DOMAIN leaky_text AS text CHECK (leak(VALUE));
CREATE DOMAIN leaky_jsonb AS jsonb CHECK (leak(VALUE));
CREATE FUNCTION step(text, anyelement) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM leak($2); RETURN $1; END';
CREATE AGGREGATE leaky(anyelement) (SFUNC = step, STYPE = text, INITCOND = '');
CREATE TYPE pair AS (a text, b jsonb);

SELECT * FROM attack('function in WHERE', 'SELECT count(*) FROM @T@ WHERE leak(payload)');
SELECT * FROM attack('function of several columns', 'SELECT count(*) FROM @T@ WHERE leak(subject_id) AND leak(source_key) AND leak(status_reason)');
SELECT * FROM attack('function of the row', 'SELECT count(*) FROM @T@ r WHERE leak(r)');
SELECT * FROM attack('operator', 'SELECT count(*) FROM @T@ WHERE subject_id OPERATOR(@A@.=) @S1@');
SELECT * FROM attack('operator that claims to select little', 'SELECT count(*) FROM @T@ WHERE source_key <<< ''x''');
SELECT * FROM attack('operator on the payload', 'SELECT count(*) FROM @T@ WHERE payload === ''{}''');
SELECT * FROM attack('function in ORDER BY', 'SELECT dated FROM @T@ ORDER BY leak(payload)');
SELECT * FROM attack('ordering operator', 'SELECT payload FROM @T@ ORDER BY cmp(payload, ''{}''), payload');
SELECT * FROM attack('GROUP BY', 'SELECT leak(payload), count(*) FROM @T@ GROUP BY 1');
SELECT * FROM attack('HAVING', 'SELECT subject_id FROM @T@ GROUP BY subject_id HAVING leak(max(source_key))');
SELECT * FROM attack('aggregate', 'SELECT leaky(payload) FROM @T@');
SELECT * FROM attack('aggregate with FILTER and ORDER BY', 'SELECT leaky(source_key ORDER BY source_key) FILTER (WHERE leak(payload)) FROM @T@');
SELECT * FROM attack('window', 'SELECT leaky(payload) OVER (ORDER BY dated) FROM @T@');
SELECT * FROM attack('DISTINCT ON', 'SELECT DISTINCT ON (leak(payload)) dated FROM @T@');
SELECT * FROM attack('join condition', 'SELECT count(*) FROM @T@ r JOIN (VALUES (@S1@::bigint), (@S2@)) v(id) ON r.subject_id OPERATOR(@A@.=) v.id');
SELECT * FROM attack('outer join condition', 'SELECT count(*) FROM (VALUES (1)) v(x) LEFT JOIN @T@ r ON leak(r.payload)');
SELECT * FROM attack('full join condition', 'SELECT count(*) FROM (VALUES (@S2@::bigint)) v(id) FULL JOIN @T@ r ON r.subject_id OPERATOR(pg_catalog.=) v.id WHERE leak(r.payload)');
SELECT * FROM attack('lateral', 'SELECT count(*) FROM (VALUES (1)) v(x), LATERAL (SELECT 1 FROM @T@ r WHERE leak(r.payload) OFFSET 0) q');
SELECT * FROM attack('lateral function of the row', 'SELECT count(q.l) FROM @T@ r, LATERAL (SELECT leak(r.payload) AS l OFFSET 0) q');
SELECT * FROM attack('correlated subquery', 'SELECT (SELECT max(r.source_key) FROM @T@ r WHERE r.subject_id = v.id AND leak(r.payload)) FROM (VALUES (@S2@::bigint)) v(id)');
SELECT * FROM attack('EXISTS', 'SELECT EXISTS (SELECT FROM @T@ WHERE leak(payload) AND subject_id = @S2@)');
SELECT * FROM attack('anti-join', 'SELECT count(*) FROM (VALUES (@S2@::bigint)) v(id) WHERE NOT EXISTS (SELECT FROM @T@ r WHERE r.subject_id = v.id AND leak(r.payload))');
SELECT * FROM attack('CTE', 'WITH r AS NOT MATERIALIZED (SELECT * FROM @T@) SELECT count(*) FROM r WHERE leak(payload)');
SELECT * FROM attack('UNION ALL and a condition above', 'SELECT count(*) FROM (SELECT payload FROM @T@ UNION ALL SELECT payload FROM @T@) u WHERE leak(payload)');
SELECT * FROM attack('set operation', 'SELECT payload FROM @T@ EXCEPT SELECT payload FROM @T@ WHERE NOT leak(payload)');
SELECT * FROM attack('domain cast', 'SELECT count(*) FROM @T@ WHERE source_key::leaky_text IS NOT NULL AND payload::leaky_jsonb IS NOT NULL');
SELECT * FROM attack('row cast', 'SELECT count(*) FROM @T@ WHERE leak(ROW(source_key, payload)::pair)');
SELECT * FROM attack('CASE and COALESCE', 'SELECT count(*) FROM @T@ WHERE CASE WHEN leak(payload) THEN true END AND COALESCE(leak(source_key), false)');
SELECT * FROM attack('ScalarArrayOp', 'SELECT count(*) FROM @T@ WHERE subject_id OPERATOR(@A@.=) ANY (ARRAY[@S1@::bigint, @S2@])');
SELECT * FROM attack('row comparison', 'SELECT count(*) FROM @T@ WHERE (subject_id, source_key) OPERATOR(pg_catalog.>=) (0::bigint, '''') AND leak(source_key)');
SELECT * FROM attack('TABLESAMPLE', 'SELECT count(*) FROM @T@ TABLESAMPLE SYSTEM (100) WHERE leak(payload)');
SELECT * FROM attack('ctid', 'SELECT count(*) FROM @T@ WHERE ctid >= ''(0,0)'' AND leak(payload)');
SELECT * FROM attack('whole-row function notation', 'SELECT count(*) FROM @T@ r WHERE leak(r.*::text)');
SELECT * FROM attack('a view of its own', 'CREATE TEMP VIEW v AS SELECT *, (SELECT leak(r.payload)) AS l FROM @T@ r', 'SELECT count(*) FROM v WHERE l');
SELECT * FROM attack('a barrier view below', 'CREATE TEMP VIEW v WITH (security_barrier) AS SELECT * FROM @T@', 'SELECT count(*) FROM v WHERE leak(payload)');
SELECT * FROM attack('index scan and filter', 'SET LOCAL enable_seqscan = off', 'SELECT count(*) FROM @T@ WHERE subject_id = @S2@ AND leak(payload)');
SELECT * FROM attack('bitmap scan and recheck', 'SET LOCAL enable_seqscan = off', 'SET LOCAL enable_indexscan = off', 'SELECT count(*) FROM @T@ WHERE subject_id IN (@S1@, @S2@) AND leak(payload)');
-- A function is as leakproof, as costly and as parallel as its maker may say.
CREATE FUNCTION proof(jsonb) RETURNS boolean LANGUAGE plpgsql LEAKPROOF AS 'BEGIN RETURN leak($1); END';
ALTER FUNCTION leak(anyelement) LEAKPROOF;
CREATE FUNCTION proof(jsonb) RETURNS boolean LANGUAGE plpgsql PARALLEL SAFE COST 0.0000001 AS $$
BEGIN
    IF $1::text LIKE '%SECRET%' THEN
        RAISE EXCEPTION 'saw %', $1;
    END IF;
    RETURN true;
END
$$;
SELECT * FROM attack('parallel workers', 'SET LOCAL parallel_setup_cost = 0', 'SET LOCAL parallel_tuple_cost = 0', 'SET LOCAL min_parallel_table_scan_size = 0',
    'SELECT count(*) FROM @T@ WHERE proof(payload)');
\set ECHO none
\i :end
