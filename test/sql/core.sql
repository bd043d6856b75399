-- Core: the extension as the catalogue shows it, and who is calling.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;

-- The library and the extension are of one version.
SELECT credit.version() = extversion AS same_version FROM pg_extension WHERE extname = 'pgcredit';

-- The extension has its schema to itself: it neither moves nor shares.
\set VERBOSITY sqlstate
ALTER EXTENSION pgcredit SET SCHEMA public;
\set VERBOSITY default

-- The calling role is the current role as SET ROLE left it ...
CREATE ROLE regress_core_caller;
CREATE ROLE regress_core_other;
GRANT credit_analyst TO regress_core_caller;
SET ROLE regress_core_caller;
SELECT credit.calling_role();
RESET ROLE;

-- ... and inside somebody else's definer function that function's owner: a wrapper borrows no identity.
CREATE SCHEMA regress_core AUTHORIZATION regress_core_other;
GRANT USAGE ON SCHEMA regress_core TO PUBLIC;
GRANT credit_analyst TO regress_core_other;
SET ROLE regress_core_other;
CREATE FUNCTION regress_core.wrapper() RETURNS regrole LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$ BEGIN RETURN credit.calling_role(); END $$;
RESET ROLE;
SET ROLE regress_core_caller;
SELECT regress_core.wrapper();
RESET ROLE;

-- No setting makes anybody somebody else.
SET ROLE regress_core_caller;
SET SESSION "request.jwt.claim.role" = 'postgres';
SELECT credit.calling_role();
RESET ROLE;

-- A role without any of the platform's roles may not even ask.
CREATE ROLE regress_core_stranger;
SET ROLE regress_core_stranger;
\set VERBOSITY sqlstate
SELECT credit.version();
\set VERBOSITY default
RESET ROLE;

DROP SCHEMA regress_core CASCADE;
DROP ROLE regress_core_caller, regress_core_other, regress_core_stranger;
