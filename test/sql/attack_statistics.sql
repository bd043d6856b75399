-- What the planner knows of the table: CVE-2017-7484 (a leaky operator is called with the most common values while it is
-- planned), CVE-2019-10130 (the same past a policy), CVE-2025-8713 (the same through views, inheritance and extended
-- statistics).
\set attack attack_statistics
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set begin :srcdir /sql/lib/attack_begin.sql
\set end :srcdir /sql/lib/attack_end.sql
\i :begin
\set ECHO all
RESET ROLE;
-- somebody made extended statistics, which security_check names; still nothing may come out
CREATE STATISTICS on_record ON source_key, status_reason FROM credit.record;
CREATE STATISTICS on_record_expression ON (payload ->> 'whose'), (payload ->> 'amount') FROM credit.record;
ANALYZE credit.record;
SET ROLE :bank;
CREATE STATISTICS on_twin ON source_key, status_reason FROM twin;
CREATE STATISTICS on_twin_expression ON (payload ->> 'whose'), (payload ->> 'amount') FROM twin;
ANALYZE twin;
CREATE FUNCTION leak_text(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN leak($1); END';
CREATE FUNCTION leak_jsonb(jsonb, jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN leak($1); END';
CREATE OPERATOR =! (LEFTARG = text, RIGHTARG = text, FUNCTION = leak_text, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR <! (LEFTARG = text, RIGHTARG = text, FUNCTION = leak_text, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR ~! (LEFTARG = text, RIGHTARG = text, FUNCTION = leak_text, RESTRICT = matchingsel, JOIN = matchingjoinsel);
CREATE OPERATOR =! (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = leak_jsonb, RESTRICT = matchingsel);

SELECT * FROM attack('pg_stats', $$SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE format('%I.%I', schemaname, tablename)::regclass = '@T@'::regclass$$);
SELECT * FROM attack('pg_stats of our other tables', $$SELECT 'SECRET', * FROM pg_stats WHERE schemaname = 'credit' AND tablename IN ('subject', 'consent', 'rating', 'refused_row', 'audit_entry', 'audit_outbox')$$);
SELECT * FROM attack('pg_stats_ext', $$SELECT most_common_vals FROM pg_stats_ext WHERE format('%I.%I', schemaname, tablename)::regclass = '@T@'::regclass$$);
SELECT * FROM attack('pg_stats_ext_exprs', $$SELECT most_common_vals, histogram_bounds FROM pg_stats_ext_exprs WHERE format('%I.%I', schemaname, tablename)::regclass = '@T@'::regclass$$);
SELECT * FROM attack('pg_statistic', 'SELECT ''SECRET'', stavalues1 FROM pg_statistic');
SELECT * FROM attack('pg_statistic_ext_data', 'SELECT ''SECRET'', stxdmcv FROM pg_statistic_ext_data');
SELECT * FROM attack('CVE-2017-7484, equality', 'EXPLAIN (COSTS off) SELECT FROM @T@ WHERE status_reason =! ''x''');
SELECT * FROM attack('CVE-2017-7484, order', 'EXPLAIN (COSTS off) SELECT FROM @T@ WHERE source_key <! ''x''');
SELECT * FROM attack('CVE-2017-7484, matching', 'EXPLAIN (COSTS off) SELECT FROM @T@ WHERE source_key ~! ''x''');
SELECT * FROM attack('CVE-2017-7484, payload', 'EXPLAIN (COSTS off) SELECT FROM @T@ WHERE payload =! ''{}''');
SELECT * FROM attack('CVE-2017-7484, join', 'EXPLAIN (COSTS off) SELECT FROM @T@ a JOIN @T@ b ON a.status_reason =! b.status_reason');
SELECT * FROM attack('CVE-2017-7484, expression', 'EXPLAIN (COSTS off) SELECT FROM @T@ WHERE (payload ->> ''whose'') =! ''x''');
SELECT * FROM attack('CVE-2019-10130, through a subquery', 'EXPLAIN (COSTS off) SELECT FROM (SELECT * FROM @T@ OFFSET 0) r WHERE status_reason =! ''x''');
SELECT * FROM attack('CVE-2019-10130, through a join alias', 'EXPLAIN (COSTS off) SELECT FROM (SELECT a.status_reason AS x FROM @T@ a JOIN @T@ b USING (subject_id)) j WHERE x =! ''x''');
SELECT * FROM attack('CVE-2025-8713, through a view', 'CREATE TEMP VIEW v AS SELECT * FROM @T@', 'EXPLAIN (COSTS off) SELECT FROM v WHERE status_reason =! ''x''');
SELECT * FROM attack('CVE-2025-8713, through an invoker view', 'CREATE TEMP VIEW v WITH (security_invoker) AS SELECT * FROM @T@', 'EXPLAIN (COSTS off) SELECT FROM v WHERE status_reason =! ''x''');
SELECT * FROM attack('CVE-2025-8713, through UNION ALL', 'CREATE TEMP VIEW v AS SELECT status_reason FROM @T@ UNION ALL SELECT status_reason FROM @T@', 'EXPLAIN (COSTS off) SELECT FROM v WHERE status_reason =! ''x''');
SELECT * FROM attack('CVE-2025-8713, through a child', 'CREATE TABLE child () INHERITS (@T@)', 'EXPLAIN (COSTS off) SELECT FROM @T@ WHERE status_reason =! ''x''');
SELECT * FROM attack('while it is prepared', 'PREPARE p_@N@ AS SELECT FROM @T@ WHERE status_reason =! $1', 'SET LOCAL plan_cache_mode = force_custom_plan', 'EXPLAIN (COSTS off) EXECUTE p_@N@(''x'')');
DEALLOCATE ALL;
-- the same without any access open
SELECT attempt(ARRAY['EXPLAIN (COSTS off) SELECT FROM credit.record WHERE status_reason =! ''x'''], false);
SELECT attempt(ARRAY['SELECT most_common_vals FROM pg_stats WHERE tablename = ''record'''], false);
-- comparisons of text are leakproof to the server, so its estimates would tell frequent values: there are no statistics of them;
-- and to be shown an estimate, access must be open
CREATE FUNCTION estimate(condition text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) SELECT FROM credit.record WHERE ' || condition INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END
$$;
SELECT estimate('true');
SET pgcredit.purpose = 'pre_loan';
SELECT estimate($$status_reason = 'SECRET'$$) = estimate($$status_reason = 'nothing'$$) AS text_tells_nothing,
       estimate($$polarity = 'adverse'$$) = estimate($$polarity = 'positive'$$) AS nor_does_polarity,
       estimate($$source_key < 'SECRET-1'$$) = estimate($$source_key < 'a'$$) AS nor_do_keys;
SELECT estimate('subject_id = ' || :s2) = estimate('subject_id = -1') AS subjects_are_not, estimate('subject_id = ' || :s2) = estimate('subject_id = ' || :s1) AS alike,
       estimate($$dated = '2026-03-05'$$) = estimate($$dated = '1999-01-01'$$) AND estimate($$dated < '2026-03-05'$$) = estimate($$dated < '1999-01-01'$$) AS days_are_not;
SELECT estimate($$payload = '{"n": 1, "whose": "open", "amount": "1"}'$$) = estimate($$payload = '{}'$$)
   AND estimate($$payload @> '{"whose": "SECRET"}'$$) = estimate($$payload @> '{"whose": "x"}'$$) AS payload_is_not,
       estimate($$payload ->> 'whose' = 'SECRET'$$) > estimate($$payload ->> 'whose' = 'x'$$) AS known_where_extended_statistics_were_made;
RESET pgcredit.purpose;
-- what a run counts is only told with access open
SELECT attempt(ARRAY['EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT FROM credit.record'], false);
-- Rows that an index finds and the guard refuses are counted nowhere: the twin, by the same index, says what would be told
RESET ROLE;
CREATE INDEX ON twin (subject_id, category_id, dated);
SET ROLE :bank;
CREATE FUNCTION counts(tables regclass) RETURNS TABLE (returned bigint, fetched bigint) LANGUAGE sql AS $$
    SELECT sum(pg_stat_get_xact_tuples_returned(c.oid)), sum(pg_stat_get_xact_tuples_fetched(c.oid))
      FROM pg_class c WHERE c.oid = tables OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = tables)
$$;
CREATE FUNCTION told_of(tables regclass, way text) RETURNS TABLE (node text, removed int, below int, heap_blocks int, heap_fetches int, buffers boolean, returned bigint, fetched bigint) LANGUAGE plpgsql AS $$
DECLARE
    before pg_catalog.record;
    p json;
BEGIN
    PERFORM set_config('enable_' || s, CASE WHEN s = way OR s || way = 'indexscanindexonlyscan' THEN 'on' ELSE 'off' END, true)
       FROM unnest('{seqscan,indexscan,indexonlyscan,bitmapscan}'::text[]) s;
    SELECT * INTO before FROM counts(tables);
    EXECUTE format('EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) SELECT subject_id, dated FROM %s WHERE subject_id = %s AND category_id > 0',
                   tables, current_setting('attack.s2')) INTO p;
    p := p -> 0 -> 'Plan';
    RETURN QUERY SELECT p ->> 'Node Type', (p ->> 'Rows Removed by Filter')::int, (p -> 'Plans' -> 0 ->> 'Actual Rows')::numeric::int,
                        (p ->> 'Exact Heap Blocks')::int, (p ->> 'Heap Fetches')::int, p ->> 'Shared Hit Blocks' <> '0',
                        c.returned - before.returned, c.fetched - before.fetched FROM counts(tables) c;
END
$$;
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SELECT t.* FROM unnest('{seqscan,indexscan,indexonlyscan,bitmapscan}'::text[]) s, told_of('twin', s) t;
SELECT t.* FROM unnest('{seqscan,indexscan,indexonlyscan,bitmapscan}'::text[]) s, told_of('credit.record', s) t;
ROLLBACK;
-- in the middle of a query, by a function that was looked up before it, and what credit.read drops
CREATE FUNCTION fetched_now() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint := (SELECT returned + fetched FROM counts('credit.record'));
BEGIN
    RETURN n;
END
$$;
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SET LOCAL enable_seqscan = off;
SELECT fetched_now() AS before \gset
SELECT count(*), max(fetched_now()) - :before AS counted FROM credit.record WHERE dated > '2026-03-01';
SELECT count(*) AS rows, fetched_now() - :before AS counted FROM credit.read(ARRAY[:s1, :s1]::bigint[], 'pre_loan', '{tax_payment}');
DECLARE half CURSOR FOR SELECT record_id FROM credit.record;
MOVE 1 FROM half;
SELECT fetched_now() - :before AS counted;
SAVEPOINT s;
SELECT outcome('SELECT 1 / 0 FROM credit.record');
MOVE 1 FROM half;
ROLLBACK TO s;
SELECT fetched_now() - :before AS counted;
SELECT count(*) > 0 AS uses_of_the_index_are FROM pg_index i WHERE indrelid = 'credit.record'::regclass AND pg_stat_get_xact_numscans(i.indexrelid) > 0;
COMMIT;
-- nor does a serializable transaction lock row by row
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SET LOCAL enable_seqscan = off;
SELECT count(*) FROM credit.record WHERE subject_id = :s2;
SELECT count(*) FROM twin WHERE subject_id = :s2;
SELECT DISTINCT l.locktype, l.relation::regclass FROM pg_locks l LEFT JOIN pg_index i ON i.indexrelid = l.relation
 WHERE l.pid = pg_backend_pid() AND l.mode = 'SIReadLock' AND coalesce(i.indrelid, l.relation) IN ('credit.record'::regclass, 'twin'::regclass)
 ORDER BY 2, 1;
COMMIT;
\set ECHO none
\i :end
