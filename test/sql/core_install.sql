-- CREATE EXTENSION where somebody prepared the schema: it refuses and leaves nothing, then works where it may.
SET client_min_messages = warning;
CREATE ROLE regress_core_squatter;
SELECT current_database() AS home \gset
CREATE DATABASE regress_core_install TEMPLATE template0 ENCODING 'UTF8';
\connect regress_core_install
SET client_min_messages = warning;
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE FUNCTION install() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'CREATE EXTENSION pgcredit';
    RETURN 'installed';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
-- a function, an operator, a table, a type that our script would find instead of its own or the server's
CREATE SCHEMA credit;
CREATE FUNCTION credit.jsonb_typeof(jsonb) RETURNS text LANGUAGE sql AS 'SELECT ''object''';
SELECT install();
DROP FUNCTION credit.jsonb_typeof(jsonb);
CREATE OPERATOR credit.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
SELECT install();
DROP OPERATOR credit.= (text, text);
CREATE TABLE credit.institution (x int);
SELECT install();
DROP TABLE credit.institution;
CREATE DOMAIN credit.uscc AS text;
SELECT install();
DROP DOMAIN credit.uscc;
-- an empty schema of somebody else, or one in which somebody may still put something
ALTER SCHEMA credit OWNER TO regress_core_squatter;
SELECT install();
DROP SCHEMA credit;
CREATE SCHEMA credit;
GRANT CREATE ON SCHEMA credit TO regress_core_squatter;
SELECT install();
REVOKE ALL ON SCHEMA credit FROM regress_core_squatter;
GRANT CREATE ON SCHEMA credit TO PUBLIC;
SELECT install();
DROP SCHEMA credit;
-- nothing of the refused attempts is left
SELECT count(*) FROM pg_extension WHERE extname = 'pgcredit';
SELECT count(*) FROM pg_namespace WHERE nspname = 'credit';
-- not for everybody, and not elsewhere
SET ROLE regress_core_squatter;
\set VERBOSITY sqlstate
CREATE EXTENSION pgcredit;
RESET ROLE;
CREATE SCHEMA elsewhere;
CREATE EXTENSION pgcredit SCHEMA elsewhere;
\set VERBOSITY default
-- an operator and a function in the installing session's search_path are not used
CREATE SCHEMA trap;
CREATE FUNCTION trap.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.eq);
CREATE FUNCTION trap.format(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
SET search_path = trap, pg_catalog, public;
SELECT public.install();
RESET search_path;
SELECT count(*) FROM credit.category;
-- gone with everything it made, and back again
DROP EXTENSION pgcredit;
SELECT count(*) FROM pg_class WHERE relnamespace = 'credit'::regnamespace;
DROP SCHEMA credit;
SELECT install();
\connect :home
DROP DATABASE regress_core_install;
DROP ROLE regress_core_squatter;
