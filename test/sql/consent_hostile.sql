-- An institution that tries to see a record that it opened no access to. It has access to subject 1, not to subject 2.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE consent_h_bank;
CREATE ROLE consent_h_other;
CREATE ROLE consent_h_clerk;
CREATE ROLE consent_h_tax;
CREATE ROLE consent_h_portal;
GRANT credit_institution TO consent_h_bank, consent_h_other;
GRANT credit_provider TO consent_h_tax;
GRANT credit_portal TO consent_h_portal;
-- has all rights of the bank without being it
GRANT consent_h_bank TO consent_h_clerk;
CREATE SCHEMA consent_h AUTHORIZATION consent_h_bank;
GRANT ALL ON SCHEMA consent_h TO PUBLIC;
\set VERBOSITY terse
SELECT credit.register_institution('consent_h_bank', '甲银行', 'Bank A', 'commercial_bank', 'consent_h_bank') > 0 AS bank,
       credit.register_institution('consent_h_other', '乙银行', 'Bank B', 'commercial_bank', 'consent_h_other') > 0 AS other,
       credit.register_institution('consent_h_tax', '税务局', 'Tax office', 'tax', 'consent_h_tax') > 0 AS tax;
SELECT credit.register_subject(kind => 'village', code => 'consent-h-1', name => '甲村') AS s1,
       credit.register_subject(kind => 'village', code => 'consent-h-2', name => '乙村') AS s2 \gset
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s, c.category_id, i.institution_id, DATE '2026-03-01', 'adverse', 'consent-h',
       jsonb_build_object('whose', CASE s WHEN :s1 THEN 'open' ELSE 'SECRET' END, 'amount', CASE s WHEN :s1 THEN '1' ELSE 'SECRET' END), 0
  FROM unnest(ARRAY[:s1, :s2]::bigint[]) s, credit.category c, credit.institution i
 WHERE c.code = 'tax_payment' AND i.code = 'consent_h_tax';
ANALYZE credit.record;
SET ROLE consent_h_portal;
SELECT credit.grant_consent(:s1, 'consent_h_bank', '{tax_payment}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') > 0 AS bank,
       credit.grant_consent(:s2, 'consent_h_other', '{tax_payment}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') > 0 AS other;
RESET ROLE;
RESET client_min_messages;
\set ON_ERROR_ROLLBACK on

SET ROLE consent_h_bank;
-- What it is called with is what it sees.
CREATE FUNCTION consent_h.leak(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$
BEGIN
    RAISE NOTICE 'saw %', $1;
    RETURN true;
END
$$;
CREATE FUNCTION consent_h.leak_equal(bigint, bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$
BEGIN
    RAISE NOTICE 'saw a row of % subject', CASE $1 WHEN current_setting('consent_h.s1')::bigint THEN 'the open' ELSE 'ANOTHER' END;
    RETURN true;
END
$$;
CREATE OPERATOR consent_h.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = consent_h.leak_equal, RESTRICT = eqsel);
SET consent_h.s1 = :s1;
\set SHOW_CONTEXT never
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
-- conditions: a function, an operator of one's own, one in a join, in an aggregate, in a subquery
SELECT count(*) FROM credit.record r WHERE consent_h.leak(r.payload);
SELECT count(*) FROM credit.record r WHERE r.subject_id OPERATOR(consent_h.=) :s2;
SELECT count(*) FROM credit.record r JOIN (VALUES (:s1), (:s2)) v(id) ON r.subject_id OPERATOR(consent_h.=) v.id;
SELECT count(*) FILTER (WHERE consent_h.leak(payload)) FROM credit.record;
SELECT (SELECT payload ->> 'whose' FROM credit.record r WHERE r.subject_id = v.id AND consent_h.leak(r.payload)) AS whose
  FROM (VALUES (:s1), (:s2)) v(id);
-- errors: a row that it may not see raises none and is in none
SELECT count(*) FROM credit.record WHERE 1 / (subject_id - :s2) IS NOT NULL;
SELECT count(*) FROM credit.record WHERE (payload ->> 'amount')::integer > 0;
SELECT count(*) FROM credit.record WHERE payload ->> 'whose' <> 'open' AND (payload ->> 'amount')::integer > 0;
-- ways around a table: by its row, by place, a sample, other forms of reading
SELECT count(*) FROM credit.record WHERE ctid = ANY (SELECT format('(%s,%s)', b, i)::tid FROM generate_series(0, pg_relation_size('credit.record') / 8192) b, generate_series(1, 60) i);
SELECT count(*) FROM credit.record TABLESAMPLE BERNOULLI (100);
SELECT count(*) FROM ONLY credit.record;
SELECT count(*) FROM (TABLE credit.record) t;
COPY credit.record (payload) TO STDOUT;
COPY (SELECT payload FROM credit.record) TO STDOUT;
DECLARE cur CURSOR WITH HOLD FOR SELECT payload ->> 'whose' AS whose FROM credit.record;
CREATE TEMP TABLE kept AS SELECT payload ->> 'whose' AS whose FROM credit.record;
CREATE MATERIALIZED VIEW consent_h.kept AS SELECT payload ->> 'whose' AS whose FROM credit.record;
COMMIT;
FETCH ALL FROM cur;
SELECT * FROM kept;
SELECT * FROM consent_h.kept;
-- the access is over: the same view asks again
REFRESH MATERIALIZED VIEW consent_h.kept;

-- Not for it: locking, changing, hanging something on the table, turning the guard off.
SELECT * FROM credit.record FOR UPDATE;
SELECT * FROM credit.record FOR KEY SHARE;
BEGIN;
LOCK TABLE credit.record IN SHARE MODE;
ROLLBACK;
MERGE INTO credit.record r USING (VALUES (1)) v(x) ON r.subject_id = v.x WHEN MATCHED THEN DELETE;
CREATE INDEX ON credit.record (consent_h.leak(payload));
CREATE TRIGGER t BEFORE INSERT ON credit.record FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE POLICY mine ON credit.record USING (true);
ALTER TABLE credit.record DISABLE ROW LEVEL SECURITY;
CREATE RULE r AS ON SELECT TO credit.record DO INSTEAD SELECT 1;
CREATE TABLE consent_h.child () INHERITS (credit.record);
CREATE TABLE consent_h.pointer (s bigint, r bigint, FOREIGN KEY (s, r) REFERENCES credit.record (subject_id, record_id));
CREATE STATISTICS consent_h.st ON subject_id, polarity FROM credit.record;
CREATE FUNCTION credit.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TEMP TABLE mine (x int);
CREATE TRIGGER t AFTER INSERT ON mine FOR EACH STATEMENT EXECUTE FUNCTION credit.audit_write();
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SET LOCAL row_security = off;
SELECT count(*) FROM credit.record;
ROLLBACK;
-- what the planner knows of the table
SELECT count(*) FROM pg_stats WHERE schemaname = 'credit' AND tablename = 'record';
SELECT count(*) FROM pg_stats WHERE schemaname = 'credit' AND tablename IN ('subject', 'consent', 'rating', 'refused_row', 'audit_entry');
SELECT count(*) FROM pg_statistic;
SELECT count(*) FROM pg_stats_ext WHERE schemaname = 'credit';

-- Settings are no identity.
SET pgcredit.institution = 'consent_h_other';
SET pgcredit.purpose = 'supervision';
SET credit.institution = 'consent_h_other';
SET "request.jwt.claims" = '{"role": "postgres"}';
\set VERBOSITY sqlstate
SET pgcredit.audit_timeout = 0;
SHOW pgcredit.key_command;
\set VERBOSITY terse
SELECT name FROM pg_settings WHERE name LIKE 'pgcredit.key%';
SET session_replication_role = replica;
LOAD 'pgcredit';
-- The purpose is a setting, and says nothing of who: a role without a consent for it gets nothing by it (consent_plain).
SELECT count(*) FROM credit.record WHERE subject_id IN (:s1, :s2);
RESET pgcredit.purpose;

-- Statements and cursors that outlive a change of role.
RESET ROLE;
PREPARE everything AS SELECT payload ->> 'whose' AS whose FROM credit.record WHERE subject_id = ANY ($1) ORDER BY 1;
EXECUTE everything (ARRAY[:s1, :s2]);
SET ROLE consent_h_bank;
EXECUTE everything (ARRAY[:s1, :s2]);
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
EXECUTE everything (ARRAY[:s1, :s2]);
DECLARE mine CURSOR FOR SELECT payload ->> 'whose' AS whose FROM credit.record;
PREPARE mine AS SELECT count(*) FROM credit.record;
EXECUTE mine;
SET LOCAL ROLE consent_h_other;
EXECUTE mine;
FETCH ALL FROM mine;
SET LOCAL ROLE consent_h_bank;
EXECUTE mine;
ROLLBACK;
-- One role's access is no other's, though the session is the same.
BEGIN;
SET LOCAL ROLE consent_h_other;
SELECT granted FROM credit.open_access(:s2, 'pre_loan', '{tax_payment}');
SET LOCAL ROLE consent_h_bank;
SELECT count(*) FROM credit.record;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SELECT payload ->> 'whose' AS whose FROM credit.record;
ROLLBACK;

-- Who has the bank's rights is not the bank: it opens nothing, and sees nothing of what the bank opened.
SET ROLE consent_h_clerk;
\set VERBOSITY sqlstate
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
\set VERBOSITY terse
SELECT granted, reason FROM credit.open_access(ARRAY[:s1]::bigint[], 'pre_loan', '{tax_payment}');
BEGIN;
SET LOCAL ROLE consent_h_bank;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SET LOCAL ROLE consent_h_clerk;
SELECT count(*) FROM credit.record;
ROLLBACK;

-- Wrappers of another bank: a view shows the caller's open access; a definer function is its owner, and has opened none.
RESET ROLE;
SET ROLE consent_h_other;
CREATE VIEW consent_h.their_view AS SELECT payload ->> 'whose' AS whose FROM credit.record;
CREATE FUNCTION consent_h.their_rows() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM credit.record';
CREATE FUNCTION consent_h.their_read(bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER
    AS $$ SELECT count(*) FROM credit.read($1, 'pre_loan', '{tax_payment}') $$;
GRANT SELECT ON consent_h.their_view TO consent_h_bank, consent_h_clerk;
SET ROLE consent_h_bank;
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SELECT * FROM consent_h.their_view;
SELECT consent_h.their_rows();
\set VERBOSITY sqlstate
SELECT consent_h.their_read(:s1);
\set VERBOSITY terse
-- reads under their consent, and is recorded as them in this session
SELECT consent_h.their_read(:s2);
SELECT count(*) FROM credit.record;
ROLLBACK;
RESET ROLE;
SELECT actor, institution, kind, reason, count(*) FROM (
    SELECT * FROM credit.audit_log WHERE actor LIKE 'consent\_h\_%' AND kind IN ('access', 'refusal') ORDER BY seq DESC LIMIT 3) l
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 3;

-- Objects that look like ours.
SET ROLE consent_h_bank;
CREATE TEMP TABLE record (subject_id bigint, category_id smallint);
CREATE TEMP TABLE institution (institution_id int, db_role regrole, status text, code text);
INSERT INTO pg_temp.institution VALUES (1, 'consent_h_bank', 'active', 'consent_h_other');
CREATE TEMP TABLE consent (LIKE credit.category);
CREATE FUNCTION consent_h.open_access(bigint, text, text[]) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION consent_h.guard(bigint, smallint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
SET search_path = consent_h, pg_temp, credit, pg_catalog;
SELECT open_access(:s2, 'pre_loan', '{tax_payment}');
SELECT count(*) FROM credit.record;
SELECT granted, reason FROM credit.open_access(ARRAY[:s1, :s2]::bigint[], 'pre_loan', '{tax_payment}') ORDER BY granted;
SELECT calling_institution() = institution_id AS is_itself FROM credit.institution WHERE code = 'consent_h_bank';
RESET search_path;
RESET ROLE;

\set ON_ERROR_ROLLBACK off
SET client_min_messages = warning;
DROP TABLE pg_temp.record, pg_temp.institution, pg_temp.consent, kept, mine;
DROP SCHEMA consent_h CASCADE;
DEALLOCATE ALL;
DELETE FROM credit.record WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.consent WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.subject_attribute WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.subject WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.institution WHERE code LIKE 'consent\_h\_%';
DROP ROLE consent_h_bank, consent_h_other, consent_h_clerk, consent_h_tax, consent_h_portal;
