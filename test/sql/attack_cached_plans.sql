-- A plan made under one role and used under another: CVE-2016-2193 (the policy of the role that planned), CVE-2023-2455 (a
-- function that was inlined), CVE-2024-10976 (a policy below a subquery, a CTE or a view). 22 rows are what an unguarded reader
-- sees of the two subjects, 2 what the bank may; PC120: it has no access open.
\set attack attack_cached_plans
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set begin :srcdir /sql/lib/attack_begin.sql
\set end :srcdir /sql/lib/attack_end.sql
\i :begin
\set ECHO all
RESET ROLE;
GRANT SELECT ON twin TO :other;
CREATE FUNCTION rows_sql() RETURNS SETOF credit.record LANGUAGE sql STABLE AS 'SELECT * FROM credit.record';
CREATE FUNCTION rows_twin() RETURNS SETOF twin LANGUAGE sql STABLE AS 'SELECT * FROM twin';
CREATE FUNCTION count_plpgsql() RETURNS bigint LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT count(*) FROM credit.record WHERE subject_id IN (current_setting('attack.s1')::bigint, current_setting('attack.s2')::bigint)); END $$;
CREATE FUNCTION count_sql() RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT count(*) FROM credit.record WHERE subject_id IN (current_setting('attack.s1')::bigint, current_setting('attack.s2')::bigint) $$;
CREATE FUNCTION count_atomic() RETURNS bigint LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT count(*) FROM credit.record WHERE subject_id IN (current_setting('attack.s1')::bigint, current_setting('attack.s2')::bigint); END;
CREATE VIEW v_invoker WITH (security_invoker) AS SELECT * FROM credit.record;
GRANT SELECT ON v_invoker TO PUBLIC;
SET plan_cache_mode = force_generic_plan;
PREPARE plain(bigint[]) AS SELECT count(*) FROM credit.record WHERE subject_id = ANY ($1);
PREPARE inlined(bigint[]) AS SELECT count(*) FROM rows_sql() WHERE subject_id = ANY ($1);
PREPARE sublink(bigint[]) AS SELECT (SELECT count(*) FROM credit.record r WHERE r.subject_id = ANY ($1));
PREPARE cte(bigint[]) AS WITH x AS (SELECT * FROM credit.record) SELECT count(*) FROM x WHERE subject_id = ANY ($1);
PREPARE below(bigint[]) AS SELECT count(*) FROM (SELECT * FROM credit.record OFFSET 0) q WHERE subject_id = ANY ($1);
PREPARE in_list(bigint[]) AS SELECT count(*) FROM unnest($1) u WHERE u IN (SELECT subject_id FROM credit.record);
PREPARE invoker(bigint[]) AS SELECT count(*) FROM v_invoker WHERE subject_id = ANY ($1);
PREPARE in_union(bigint[]) AS SELECT count(*) FROM (SELECT subject_id FROM credit.record UNION ALL SELECT subject_id FROM credit.record) q WHERE subject_id = ANY ($1);
PREPARE unguarded(bigint[]) AS SELECT count(*) FROM rows_twin() WHERE subject_id = ANY ($1);
CREATE TABLE way (n serial, name text, statement text);
INSERT INTO way (name, statement)
SELECT p, format('EXECUTE %s(''{%s,%s}'')', p, current_setting('attack.s1'), current_setting('attack.s2'))
  FROM unnest('{plain,inlined,sublink,cte,below,in_list,invoker,in_union,unguarded}'::text[]) p
UNION ALL SELECT f, format('SELECT %s()', f) FROM unnest('{count_plpgsql,count_sql,count_atomic}'::text[]) f;
GRANT SELECT ON way TO PUBLIC;
-- who is not guarded makes the plan, several times
SELECT count(outcome(statement)) FROM way, generate_series(1, 6);
SELECT string_agg(name || ' ' || outcome(statement), ', ' ORDER BY n) FROM way;
-- the bank takes it over
SET ROLE :bank;
SELECT string_agg(name || ' ' || outcome(statement), ', ' ORDER BY n) FROM way;
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SELECT string_agg(name || ' ' || outcome(statement), ', ' ORDER BY n) FROM way;
-- from the bank to another bank in the same transaction, and back to the one who is not guarded
SET LOCAL ROLE :other;
SELECT string_agg(name || ' ' || outcome(statement), ', ' ORDER BY n) FROM way;
SELECT granted FROM credit.open_access(:s2, 'pre_loan', '{tax_payment}');
SELECT string_agg(name || ' ' || outcome(statement), ', ' ORDER BY n) FROM way;
SET LOCAL ROLE :bank;
SELECT string_agg(name || ' ' || outcome(statement), ', ' ORDER BY n) FROM way;
ROLLBACK;
RESET ROLE;
SELECT string_agg(name || ' ' || outcome(statement), ', ' ORDER BY n) FROM way;
-- the plan that the bank made does not hide rows from who may see them, nor does row_security = off show one
DEALLOCATE plain;
SET ROLE :bank;
PREPARE plain(bigint[]) AS SELECT count(*) FROM credit.record WHERE subject_id = ANY ($1);
SELECT outcome(statement) FROM way WHERE name = 'plain';
SET row_security = off;
SELECT outcome(statement) FROM way WHERE name = 'plain';
RESET row_security;
RESET ROLE;
SELECT outcome(statement) FROM way WHERE name = 'plain';
-- the policy goes and comes back: the plan follows
BEGIN;
SET LOCAL ROLE :bank;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SELECT outcome(statement) FROM way WHERE name = 'plain';
RESET ROLE;
ALTER TABLE credit.record DISABLE ROW LEVEL SECURITY;
SET LOCAL ROLE :bank;
SELECT outcome(statement) AS control FROM way WHERE name = 'plain';
RESET ROLE;
ALTER TABLE credit.record ENABLE ROW LEVEL SECURITY;
SET LOCAL ROLE :bank;
SELECT string_agg(name || ' ' || outcome(statement), ', ' ORDER BY n) FROM way;
ROLLBACK;
RESET plan_cache_mode;
\set ECHO none
\i :end
