-- Code of the caller that runs while the platform or an administrator does something: CVE-2020-25695 (index expressions,
-- deferred triggers), CVE-2023-32305 and CVE-2026-2361 (definer functions and a temporary view), CVE-2026-83534 (rules,
-- triggers and a worker that is superuser), CVE-2024-2338, CVE-2024-2339 and CVE-2026-9617 (identifiers and expressions in what is
-- put together). It runs as the caller or not at all.
\set attack attack_definer
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set begin :srcdir /sql/lib/attack_begin.sql
\set end :srcdir /sql/lib/attack_end.sql
\i :begin
\set ECHO all
RESET ROLE;
-- Who runs this as somebody else than the caller was had.
CREATE FUNCTION who() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user NOT IN ('attack_definer_tax', 'attack_definer_bank') THEN
        PERFORM nextval(current_setting('attack.leaks')::regclass);
    END IF;
    RETURN true;
END
$$;
CREATE FUNCTION who_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM attack_definer.who(); RETURN NEW; END';
CREATE FUNCTION who_text(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM attack_definer.who(); RETURN $1; END';
GRANT EXECUTE ON FUNCTION who(), who_row(), who_text(text) TO PUBLIC;
SET ROLE :tax;
CREATE DOMAIN attack_definer.d AS text CHECK (attack_definer.who());
CREATE TYPE attack_definer.e AS ENUM ('2026-03-01');
CREATE FUNCTION attack_definer.e_json(attack_definer.e) RETURNS json LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM attack_definer.who(); RETURN ''"2026-03-01"''; END';
CREATE CAST (attack_definer.e AS json) WITH FUNCTION attack_definer.e_json(attack_definer.e);
CREATE TABLE attack_definer.staging (uscc attack_definer.d, dated attack_definer.e, tax_type text DEFAULT attack_definer.who_text('vat'), amount_paid text,
                                     "x', (SELECT who()), '" text, "'; SELECT 1; --" text, CHECK (attack_definer.who()));
CREATE INDEX ON attack_definer.staging (attack_definer.who_text(tax_type));
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON attack_definer.staging FOR EACH ROW EXECUTE FUNCTION attack_definer.who_row();
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON attack_definer.staging DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION attack_definer.who_row();
ALTER TABLE attack_definer.staging ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON attack_definer.staging USING (attack_definer.who());
INSERT INTO attack_definer.staging (uscc, dated, amount_paid) VALUES ('x', '2026-03-01', '1'), (NULL, NULL, NULL);
CREATE VIEW attack_definer.v AS SELECT *, attack_definer.who_text('k') AS source_key FROM attack_definer.staging WHERE attack_definer.who();
CREATE VIEW attack_definer.ruled AS SELECT NULL::text AS uscc;
CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO attack_definer.ruled DO INSTEAD SELECT attack_definer.who_text('x') AS uscc;
CREATE FUNCTION attack_definer.seen() RETURNS text LANGUAGE sql AS $$ SELECT CASE WHEN is_called THEN 'RAN AS ANOTHER' ELSE 'not as another' END FROM attack_definer.leaks $$;
CREATE TEMP VIEW record AS SELECT attack_definer.who_text('x') AS uscc;
SET search_path = attack_definer, pg_catalog;
-- a delivery from each: the provider calls, and its code runs, as the provider
SELECT received, refused FROM credit.ingest('tax_payment', staging => 'attack_definer.staging');
SELECT received, refused FROM credit.ingest('tax_payment', staging => 'attack_definer.v');
SELECT received, refused FROM credit.ingest('tax_payment', staging => 'attack_definer.ruled');
SELECT received, refused FROM credit.ingest('tax_payment', staging => 'pg_temp.record');
SELECT received, refused FROM credit.ingest_subjects(staging => 'attack_definer.v');
SELECT outcome('SELECT credit.ingest(''tax_payment"; SELECT who(); --'', rows => ''[]'')'), outcome('SELECT credit.ingest(''tax_payment'', rows => ''[{"x'''''', who(), ''''": 1}]'', batch_key => ''''''; SELECT who()'')') <> 'no row' AS taken;
SELECT seen() AS "CVE-2026-2361, CVE-2026-9617: delivered";
-- what it may not hang anything on: every table of ours
SELECT count(*) FROM pg_class c WHERE relnamespace = 'credit'::regnamespace AND relkind IN ('r', 'p', 'v') AND has_table_privilege(oid, 'TRIGGER');
SELECT outcome('CREATE TRIGGER t AFTER INSERT ON credit.audit_outbox FOR EACH ROW EXECUTE FUNCTION attack_definer.who_row()') AS "CVE-2026-83534: trigger",
       outcome('CREATE RULE r AS ON INSERT TO credit.audit_entry DO ALSO SELECT attack_definer.who()') AS rule,
       outcome('SELECT credit._start_writer()') AS worker, outcome('CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION attack_definer.who_row()') AS event_trigger;
-- a row type of its own into the functions that score
SET ROLE :bank;
SELECT outcome('SELECT credit.score(''no such"; SELECT who()'', ROW(1))'), outcome('SELECT credit.explain(''x'', s) FROM attack_definer.ruled s');
SELECT seen() AS scored;
-- definitions that an operator gives are data, whoever wrote them
RESET ROLE;
SET ROLE credit_operator;
SELECT outcome($$SELECT credit.define_category('x"; SELECT who(); --', 'x', 'x', 'x', '{enterprise}', NULL)$$) AS "CVE-2024-2338: a code",
       outcome($$SELECT credit.category_schema('a text, b'', who()) --')$$) AS "CVE-2024-2339: a field",
       outcome($$SELECT credit.set_category_schema('tax_payment', '{"fields": {"x\", who(), \"": {"type": "text"}}}')$$) AS a_name;
SELECT seen() AS defined;
-- an administrator's maintenance: the server runs the table's code as its owner, and ours does nothing else
RESET ROLE;
SET search_path = pg_catalog;
ANALYZE attack_definer.staging;
REINDEX TABLE attack_definer.staging;
SELECT attack_definer.seen() AS "CVE-2020-25695: maintained";
SELECT count(*) >= 0 AS checked FROM credit.security_check();
SELECT count(*) FROM credit.data_quality WHERE provider = 'attack_definer_tax';
SELECT attack_definer.seen() AS "CVE-2023-32305: looked at";
-- the traps are sharp: who reads the view himself runs its code
SELECT count(*) FROM attack_definer.v;
SELECT attack_definer.seen() AS control;
SET search_path = attack_definer, public, pg_catalog;
DELETE FROM credit.refused_row WHERE batch_id IN (SELECT batch_id FROM credit.batch WHERE provider_id = :tax_id);
DELETE FROM credit.batch WHERE provider_id = :tax_id;
\set ECHO none
\i :end
