-- Views, rules and definer functions, of one's own and of an accomplice who has another consent.
\set attack attack_views_rules
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set begin :srcdir /sql/lib/attack_begin.sql
\set end :srcdir /sql/lib/attack_end.sql
\i :begin
\set ECHO all
SET ROLE :other;
CREATE VIEW attack_views_rules.theirs AS SELECT * FROM credit.record;
CREATE VIEW attack_views_rules.theirs_invoker WITH (security_invoker) AS SELECT * FROM credit.record;
CREATE VIEW attack_views_rules.theirs_barrier WITH (security_barrier) AS SELECT * FROM credit.record;
CREATE VIEW attack_views_rules.theirs_function AS SELECT r.* FROM generate_series(1, 1) g, LATERAL (SELECT * FROM credit.record) r;
CREATE FUNCTION attack_views_rules.their_rows() RETURNS SETOF credit.record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT * FROM credit.record';
CREATE FUNCTION attack_views_rules.their_open(bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT count(*) FROM credit.open_access($1, 'pre_loan', '{tax_payment}') $$;
CREATE FUNCTION attack_views_rules.their_cursor(bigint) RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ DECLARE c refcursor := 'theirs';
          BEGIN PERFORM credit.open_access($1, 'pre_loan', '{tax_payment}'); OPEN c FOR SELECT * FROM credit.record; RETURN c; END $$;
CREATE TABLE attack_views_rules.their_table (x int);
CREATE RULE peek AS ON INSERT TO attack_views_rules.their_table DO ALSO SELECT leak(r.payload) FROM credit.record r;
CREATE VIEW attack_views_rules.their_ruled AS SELECT NULL::int AS x;
CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO attack_views_rules.their_ruled DO INSTEAD SELECT record_id::int AS x FROM credit.record;
GRANT ALL ON attack_views_rules.theirs, attack_views_rules.theirs_invoker, attack_views_rules.theirs_barrier, attack_views_rules.theirs_function, attack_views_rules.their_table, attack_views_rules.their_ruled TO PUBLIC;
SET ROLE :bank;
CREATE VIEW own AS SELECT * FROM credit.record;
CREATE VIEW own_invoker WITH (security_invoker) AS SELECT * FROM credit.record;
CREATE VIEW own_twin AS SELECT * FROM twin;
CREATE FUNCTION own_rows() RETURNS SETOF credit.record LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM credit.record';
CREATE TABLE note (x int);
CREATE FUNCTION on_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    'BEGIN PERFORM leak(r.payload) FROM credit.record r; RETURN NEW; END';
CREATE TRIGGER t BEFORE INSERT ON note FOR EACH ROW EXECUTE FUNCTION on_note();
SELECT * FROM attack('a view of one''s own', 'SELECT * FROM own');
SELECT * FROM attack('the same over the twin', 'SELECT * FROM own_twin');
SELECT * FROM attack('an invoker view of one''s own', 'SELECT * FROM own_invoker');
SELECT * FROM attack('a definer function of one''s own', 'SELECT * FROM own_rows()');
SELECT * FROM attack('a trigger of one''s own', 'INSERT INTO note VALUES (1)');
SELECT * FROM attack('an accomplice''s view', 'SELECT * FROM theirs');
SELECT * FROM attack('an accomplice''s invoker view', 'SELECT * FROM theirs_invoker');
SELECT * FROM attack('an accomplice''s barrier view', 'SELECT * FROM theirs_barrier');
SELECT * FROM attack('an accomplice''s lateral view', 'SELECT * FROM theirs_function');
SELECT * FROM attack('an accomplice''s definer function', 'SELECT * FROM their_rows()');
SELECT * FROM attack('rows by a rule', 'SELECT * FROM their_ruled');
SELECT * FROM attack('a condition above an accomplice''s view', 'SELECT count(*) FROM theirs WHERE leak(payload)');
SELECT * FROM attack('a barrier taken off an accomplice''s view', 'ALTER VIEW theirs_barrier RESET (security_barrier)');
SELECT * FROM attack('an accomplice opens for himself, then one''s own view', 'SELECT their_open(@S2@)', 'SELECT * FROM own');
SELECT * FROM attack('an accomplice opens for himself, then the table', 'SELECT their_open(@S2@)', 'SELECT * FROM credit.record');
SELECT * FROM attack('an accomplice opens for himself, then his view', 'SELECT their_open(@S2@)', 'SELECT * FROM theirs');
SELECT * FROM attack('our views, replaced', 'CREATE OR REPLACE VIEW credit.data_quality AS SELECT 1 AS x');
SELECT * FROM attack('our views, without their barrier', 'ALTER VIEW credit.data_quality RESET (security_barrier)');
SELECT * FROM attack('our views, read', 'SELECT ''SECRET'' FROM credit.audit_log');
SELECT * FROM attack('our functions, replaced', 'CREATE OR REPLACE FUNCTION credit.guard(bigint, smallint) RETURNS boolean LANGUAGE sql AS ''SELECT true''', 'SELECT * FROM @T@');
SELECT * FROM attack('our functions, changed', 'ALTER FUNCTION credit.calling_role() OWNER TO attack_views_rules_bank');
SELECT * FROM attack('a rule on our table', 'CREATE RULE r AS ON SELECT TO credit.record DO INSTEAD SELECT * FROM twin', 'SELECT * FROM @T@');
-- A cursor that an accomplice opened shows what the one who fetches has opened: no row of the second subject.
BEGIN;
SELECT their_cursor(:s2);
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SELECT outcome('FETCH ALL FROM theirs') ~ 'SECRET' AS secret;
ROLLBACK;
-- two banks take turns in one transaction: each has its own set, and a view of the one shows nothing of the other's
RESET ROLE;
BEGIN;
SET LOCAL ROLE :other;
SELECT granted FROM credit.open_access(:s2, 'pre_loan', '{tax_payment}');
SELECT count(*) FROM theirs;
SELECT outcome('SELECT count(*) FROM attack_views_rules.own_invoker') AS no_right_on_it;
SET LOCAL ROLE :bank;
SELECT outcome('SELECT count(*) FROM attack_views_rules.theirs');
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SELECT outcome('SELECT count(*) FROM attack_views_rules.theirs');
ROLLBACK;
-- a view whose owner is not guarded is a hole that an administrator makes, and security_check names
CREATE VIEW hole AS SELECT * FROM credit.record;
GRANT SELECT ON hole TO :bank;
SELECT severity FROM credit.security_check() WHERE object = 'attack_views_rules.hole';
SET ROLE :bank;
SELECT attempt(ARRAY['SELECT * FROM hole'], true);
RESET ROLE;
\set ECHO none
\i :end
