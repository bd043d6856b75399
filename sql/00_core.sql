-- pgcredit: the install script, put together from sql/NN_room.sql in number order.
\echo Use "CREATE EXTENSION pgcredit" to load this file. \quit

-- ---------------------------------------------------------------------------
-- 00 core: the place, the roles, who is calling
-- ---------------------------------------------------------------------------

-- Names in this script are looked up in pg_catalog first, then in schema credit, which the extension has to itself. A
-- schema credit that somebody filled or may fill beforehand could hold functions and operators that capture ours.
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_catalog.pg_proc WHERE pronamespace = 'credit'::pg_catalog.regnamespace)
       OR EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE relnamespace = 'credit'::pg_catalog.regnamespace)
       OR EXISTS (SELECT 1 FROM pg_catalog.pg_type WHERE typnamespace = 'credit'::pg_catalog.regnamespace)
       OR EXISTS (SELECT 1 FROM pg_catalog.pg_operator WHERE oprnamespace = 'credit'::pg_catalog.regnamespace) THEN
        RAISE EXCEPTION 'schema "credit" is not empty'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Drop or rename the schema; the extension creates its own.';
    END IF;
    IF EXISTS (SELECT 1 FROM pg_catalog.pg_namespace n
                WHERE n.nspname = 'credit'
                  AND (n.nspowner <> (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
                       OR EXISTS (SELECT 1 FROM pg_catalog.aclexplode(n.nspacl) a
                                   WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner))) THEN
        RAISE EXCEPTION 'schema "credit" is owned or writable by another role'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Drop or rename the schema; the extension creates its own.';
    END IF;
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'pgcredit needs a database with encoding UTF8, this one has %', pg_catalog.getdatabaseencoding()
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = 'The log''s canonical bytes are UTF-8 (RFC 8785), and categories carry Chinese names.';
    END IF;
END
$$;

-- Roles belong to the cluster: a second database finds them there. Members of a role that exists already get its
-- rights here too, so the administrator is told.
DO $$
DECLARE
    wanted text;
    holders text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['credit_operator', 'credit_portal', 'credit_provider',
                                  'credit_institution', 'credit_analyst', 'credit_auditor', 'credit_self'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
        ELSE
            SELECT pg_catalog.string_agg(m.member::pg_catalog.regrole::text, ', ' ORDER BY m.member::pg_catalog.regrole::text)
              INTO holders
              FROM pg_catalog.pg_auth_members m WHERE m.roleid = wanted::pg_catalog.regrole;
            IF holders IS NOT NULL THEN
                RAISE NOTICE 'role "%" exists already, its members get its rights in this database: %', wanted, holders;
            END IF;
        END IF;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA credit TO credit_operator, credit_portal, credit_provider,
                                credit_institution, credit_analyst, credit_auditor, credit_self;
COMMENT ON SCHEMA credit IS 'pgcredit: inclusive-finance credit platform (普惠金融信用信息服务平台)';

CREATE FUNCTION credit.version() RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_version' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.version() IS 'version of the loaded pgcredit library (库版本)';

CREATE FUNCTION credit.calling_role() RETURNS regrole
    AS 'MODULE_PATHNAME', 'pgcredit_calling_role_sql' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION credit.calling_role() IS
    'role on whose behalf the platform acts: the current role, or inside a function of pgcredit the role that called it (调用角色)';
CREATE FUNCTION credit._canonical_json(jsonb) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_canonical_json_sql' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._canonical_json(jsonb) IS 'canonical form of RFC 8785, what digests are taken of (规范化 JSON)';

REVOKE ALL ON FUNCTION credit.version(), credit.calling_role(), credit._canonical_json(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.version(), credit.calling_role()
    TO credit_operator, credit_portal, credit_provider, credit_institution, credit_analyst, credit_auditor;
