-- ---------------------------------------------------------------------------
-- 57 consent: what around the guard is set up so that it does not hold
-- ---------------------------------------------------------------------------
-- Parts: what the extension's objects were when they were installed and what they are now; who has which rights; which
-- roles stand for institutions; what others built on the protected tables; the server. Each part is a function of its
-- own that runs as the owner, for the catalogue shows ordinary roles neither settings nor mappings.

-- A row for each definition that the guard and the log stand on. "deparsed": PostgreSQL writes the text anew from what it
-- stored, so another major may write it otherwise. The settings that decide how are pinned.
CREATE FUNCTION credit._definitions() RETURNS TABLE (sort text, object text, deparsed boolean, definition text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET datestyle = 'ISO, YMD'
    SET intervalstyle = 'postgres' SET timezone = 'UTC' SET bytea_output = 'hex' SET extra_float_digits = 1
    SET standard_conforming_strings = on SET jit = off AS $$
WITH m AS MATERIALIZED (
    SELECT d.classid, d.objid
      FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE d.deptype = 'e' AND e.extname = 'pgcredit'
), r AS MATERIALIZED (
    SELECT c.* FROM m JOIN pg_class c ON c.oid = m.objid WHERE m.classid = 'pg_class'::regclass
)
SELECT 'function', p.oid::regprocedure::text, false,
       jsonb_build_array(l.lanname, p.prokind, p.prosecdef, p.proleakproof, p.provolatile, p.prosrc,
                         substring(p.probin FROM '[^/]*$'),
                         (SELECT jsonb_agg(replace(c, '"pg_catalog", "pg_temp"', 'pg_catalog, pg_temp') ORDER BY c)
                            FROM unnest(p.proconfig) c))::text
  FROM m JOIN pg_proc p ON p.oid = m.objid JOIN pg_language l ON l.oid = p.prolang WHERE m.classid = 'pg_proc'::regclass
UNION ALL
SELECT 'row security', r.oid::regclass::text, false, jsonb_build_array(r.relrowsecurity, r.relforcerowsecurity)::text
  FROM r WHERE r.relkind IN ('r', 'p')
UNION ALL
SELECT 'relation', r.oid::regclass::text, r.relkind IN ('v', 'm'),
       jsonb_build_array(r.relkind, r.relpersistence, (SELECT jsonb_agg(o ORDER BY o) FROM unnest(r.reloptions) o
                                                        WHERE o LIKE 'security%' OR o LIKE 'check_option%'),
                         CASE WHEN r.relkind IN ('v', 'm') THEN pg_get_viewdef(r.oid) END)::text
  FROM r
 WHERE r.relkind IN ('r', 'p', 'v', 'm')
   -- Views that come and go with the categories ask the guard themselves.
   AND NOT (r.relkind = 'v' AND 'security_barrier=true' = ANY (r.reloptions) AND EXISTS (
       SELECT FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
         JOIN pg_proc g ON d.refclassid = 'pg_proc'::regclass AND g.oid = d.refobjid
        WHERE w.ev_class = r.oid AND g.pronamespace = 'credit'::regnamespace AND g.proname IN ('guard', '_guard_masked')))
UNION ALL
SELECT 'policy', format('%s on %s', p.polname, r.oid::regclass), true,
       jsonb_build_array(p.polcmd, p.polpermissive,
                         (SELECT jsonb_agg(n ORDER BY n) FROM (SELECT CASE o WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(o)::text END
                                                                 FROM unnest(p.polroles) o) x(n)),
                         pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text
  FROM r JOIN pg_policy p ON p.polrelid = r.oid
UNION ALL
SELECT 'trigger', format('%s on %s', t.tgname, r.oid::regclass), true, jsonb_build_array(t.tgenabled, pg_get_triggerdef(t.oid))::text
  FROM r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'rule', format('%s on %s', w.rulename, r.oid::regclass), true, jsonb_build_array(w.ev_enabled, pg_get_ruledef(w.oid))::text
  FROM r JOIN pg_rewrite w ON w.ev_class = r.oid WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'constraint', format('%s on %s', k.conname, r.oid::regclass), true, jsonb_build_array(k.convalidated, pg_get_constraintdef(k.oid))::text
  FROM r JOIN pg_constraint k ON k.conrelid = r.oid WHERE k.contype IN ('c', 'f', 'u', 'p', 'x')
UNION ALL
SELECT 'index', format('%s on %s', i.indexrelid::regclass, r.oid::regclass), true, pg_get_indexdef(i.indexrelid)
  FROM r JOIN pg_index i ON i.indrelid = r.oid
$$;
COMMENT ON FUNCTION credit._definitions() IS 'definitions of the extension''s functions, tables, policies, triggers and so on, a row each (对象定义)';

CREATE TABLE credit._installed (
    sort     text NOT NULL,
    object   text NOT NULL,
    deparsed boolean NOT NULL,
    major    integer NOT NULL,
    digest   bytea NOT NULL,
    PRIMARY KEY (sort, object)
);
COMMENT ON TABLE credit._installed IS 'digest of each definition as the script made it; credit.security_check compares (安装时的定义)';

CREATE FUNCTION credit._note_definitions() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM credit._installed;
    INSERT INTO credit._installed (sort, object, deparsed, major, digest)
    SELECT d.sort, d.object, d.deparsed, current_setting('server_version_num')::integer / 10000, sha256(convert_to(d.definition, 'UTF8'))
      FROM credit._definitions() d;
END
$$;
COMMENT ON FUNCTION credit._note_definitions() IS
    'near the end of a script that installs or updates the extension: keeps what it made, for credit.security_check (登记安装定义)';

-- Tables and views that the script lets neither everybody nor institutions nor analysts read as a whole, and those under
-- row security: new ones are protected without being named here.
CREATE FUNCTION credit._protected_relations() RETURNS TABLE (oid oid)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT c.oid
  FROM pg_depend d
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pgcredit'
  JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
 WHERE d.deptype = 'e' AND c.relkind IN ('r', 'p', 'v', 'm')
   AND (EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
        OR EXISTS (SELECT FROM credit._installed i WHERE i.sort = 'policy' AND i.object LIKE '% on ' || c.oid::regclass::text)
        OR NOT EXISTS (SELECT FROM pg_init_privs i, aclexplode(i.initprivs) a
                        WHERE i.classoid = 'pg_class'::regclass AND i.objoid = c.oid AND i.objsubid = 0 AND a.privilege_type = 'SELECT'
                          AND (a.grantee = 0 OR a.grantee IN (SELECT g.oid FROM pg_roles g
                                                               WHERE g.rolname IN ('credit_institution', 'credit_analyst')))))
$$;
COMMENT ON FUNCTION credit._protected_relations() IS 'relations whose rows nobody sees but by a function of the platform or by the guard (受保护的表)';

-- Everybody who can become somebody: each role with each role whose rights it has or can take, itself included.
CREATE FUNCTION credit._reachable_roles() RETURNS TABLE (role oid, reached oid)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
WITH RECURSIVE reach(role, reached) AS (
    SELECT r.oid, r.oid FROM pg_roles r
    UNION
    SELECT x.role, m.roleid FROM reach x JOIN pg_auth_members m ON m.member = x.reached
)
SELECT x.role, x.reached FROM reach x
$$;
COMMENT ON FUNCTION credit._reachable_roles() IS 'roles and the roles they are members of, directly or not, themselves included (角色可达关系)';

-- what was installed and what is there --------------------------------------------------

CREATE FUNCTION credit._check_definitions() RETURNS TABLE (check_name text, severity text, object text, finding text, hint text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
WITH pair AS (
    SELECT COALESCE(i.sort, n.sort) AS sort, COALESCE(i.object, n.object) AS object, n.definition,
           CASE WHEN n.sort IS NULL THEN 'missing' WHEN i.sort IS NULL THEN 'extra' ELSE 'changed' END AS what
      FROM credit._installed i
      FULL JOIN credit._definitions() n ON n.sort = i.sort AND n.object = i.object
     WHERE i.sort IS NULL OR n.sort IS NULL
        OR i.digest <> sha256(convert_to(n.definition, 'UTF8'))
           AND NOT (i.deparsed AND i.major <> current_setting('server_version_num')::integer / 10000)
)
SELECT 'row_security', 'critical', p.object,
       CASE WHEN NOT (p.definition::jsonb ->> 0)::boolean THEN 'row security is off: whoever may read the table sees every row'
            ELSE 'row security is not as the extension made it' END,
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;', p.object)
  FROM pair p WHERE p.sort = 'row security' AND p.what = 'changed' AND EXISTS (
       SELECT FROM credit._installed i WHERE i.sort = 'policy' AND i.object LIKE '% on ' || p.object)
UNION ALL
SELECT 'row_security', 'warning', p.object, 'row security was switched on or forced, the extension did not: its functions may see no rows',
       format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;', p.object)
  FROM pair p WHERE p.sort = 'row security' AND p.what = 'changed' AND NOT EXISTS (
       SELECT FROM credit._installed i WHERE i.sort = 'policy' AND i.object LIKE '% on ' || p.object)
UNION ALL
SELECT 'policy', CASE WHEN p.what = 'extra' AND NOT (p.definition::jsonb ->> 1)::boolean THEN 'warning' ELSE 'critical' END, p.object,
       CASE p.what WHEN 'missing' THEN 'the policy is gone'
                   WHEN 'changed' THEN 'the policy is not what the extension made'
                   ELSE 'a policy that the extension did not make: ' || CASE WHEN (p.definition::jsonb ->> 1)::boolean
                        THEN 'it is permissive and shows rows that the guard does not' ELSE 'it is restrictive and hides rows' END END,
       CASE p.what WHEN 'extra' THEN 'DROP POLICY.' ELSE 'Make it again as in the install script.' END
  FROM pair p WHERE p.sort = 'policy'
UNION ALL
SELECT 'function', CASE p.what WHEN 'extra' THEN 'warning' ELSE 'critical' END, p.object,
       CASE p.what WHEN 'missing' THEN 'a function of the extension is gone or has other arguments'
                   WHEN 'changed' THEN 'the function is not the one that was installed'
                   ELSE 'was made a member of the extension by somebody else than its script' END,
       'Compare with the install script; the log has the change, unless the catalogue was written past it.'
  FROM pair p WHERE p.sort = 'function'
UNION ALL
SELECT 'relation', CASE p.what WHEN 'extra' THEN 'warning' ELSE 'critical' END, p.object,
       CASE p.what WHEN 'missing' THEN 'a table or view of the extension is gone'
                   WHEN 'changed' THEN 'kind, persistence, security options or text are not as installed'
                   ELSE 'was made a member of the extension by somebody else than its script' END,
       'Compare with the install script: an unlogged table is empty after a crash, a view without its barrier shows rows to conditions.'
  FROM pair p WHERE p.sort = 'relation'
UNION ALL
SELECT 'trigger', CASE p.what WHEN 'extra' THEN 'warning' ELSE 'critical' END, p.object,
       CASE WHEN p.what = 'missing' THEN 'a trigger of the extension is gone: what it records or keeps is not recorded or kept'
            WHEN p.what = 'changed' AND p.definition::jsonb ->> 0 = 'D' THEN 'the trigger is disabled'
            WHEN p.what = 'changed' THEN 'the trigger is not what the extension made, or fires at other times'
            ELSE 'a trigger that the extension did not make: its function runs as whoever writes the table' END,
       CASE p.what WHEN 'extra' THEN 'DROP TRIGGER, or be sure of its function.' ELSE 'ALTER TABLE ... ENABLE TRIGGER, or make it again.' END
  FROM pair p WHERE p.sort = 'trigger'
UNION ALL
SELECT 'rule', 'critical', p.object, 'a rule that the extension did not make turns commands on the table into others', 'DROP RULE.'
  FROM pair p WHERE p.sort = 'rule'
UNION ALL
SELECT 'constraint', 'warning', p.object,
       CASE p.what WHEN 'missing' THEN 'a constraint of the extension is gone' WHEN 'changed' THEN 'a constraint is not as installed'
                   ELSE 'a constraint that the extension did not make: its expression runs as whoever writes the table, and its error shows the row' END,
       'ALTER TABLE ... DROP CONSTRAINT, or make it again as in the install script.'
  FROM pair p WHERE p.sort = 'constraint'
UNION ALL
-- a plain index is the administrator's business; the code of one with expressions runs as the owner of the table
SELECT 'index', 'warning', p.object,
       CASE p.what WHEN 'extra' THEN 'an index with expressions or a condition: its functions run as the owner of the table'
                   ELSE 'an index of the extension is gone or changed' END,
       'DROP INDEX, or make it again as in the install script.'
  FROM pair p
 WHERE p.sort = 'index' AND (p.what <> 'extra' OR EXISTS (
       SELECT FROM pg_index i WHERE (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
          AND format('%s on %s', i.indexrelid::regclass, i.indrelid::regclass) = p.object))
UNION ALL
SELECT 'installed', 'critical', 'credit._installed', 'the table is empty: nothing can be compared with what was installed',
       'Was it emptied by hand? Update or reinstall the extension.'
 WHERE NOT EXISTS (SELECT FROM credit._installed)
UNION ALL
-- foreign keys are triggers as well
SELECT 'trigger', 'critical', format('%s on %s', t.tgname, t.tgrelid::regclass), 'the trigger of a foreign key is disabled',
       format('ALTER TABLE %s ENABLE TRIGGER ALL;', t.tgrelid::regclass)
  FROM pg_trigger t
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = t.tgrelid AND d.deptype = 'e'
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pgcredit'
 WHERE t.tgisinternal AND t.tgenabled = 'D'
UNION ALL
SELECT 'definer', 'critical', p.oid::regprocedure::text, 'runs as its owner without search_path = pg_catalog, pg_temp',
       format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp;', p.oid::regprocedure)
  FROM pg_proc p
  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pgcredit'
 WHERE p.prosecdef
   AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE replace(c, '"', '') = 'search_path=pg_catalog, pg_temp')
UNION ALL
SELECT 'code', 'critical', 'pg_catalog', 'the code of the platform is not what the newest entry of the log says',
       'Somebody wrote the catalogue itself, or with the library not loaded: credit.verify_log(); then compare with the install script.'
 WHERE credit._code_expected() IS DISTINCT FROM credit._code_digest()
$$;
COMMENT ON FUNCTION credit._check_definitions() IS 'part of credit.security_check: policies, functions, triggers and so on against what was installed (定义检查)';

-- who owns, who has rights --------------------------------------------------------------

CREATE FUNCTION credit._check_rights() RETURNS TABLE (check_name text, severity text, object text, finding text, hint text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
WITH ext AS (
    SELECT e.oid, e.extowner FROM pg_extension e WHERE e.extname = 'pgcredit'
), m AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_depend d JOIN ext e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE d.deptype = 'e'
), thing AS (
    SELECT m.classid, m.objid, 0 AS objsubid, c.relowner AS owner, c.relacl AS acl, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char" AS sort,
           c.oid::regclass::text AS name
      FROM m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S')
    UNION ALL
    SELECT m.classid, m.objid, a.attnum, c.relowner, a.attacl, 'c', format('%s.%I', c.oid::regclass, a.attname)
      FROM m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
    UNION ALL
    SELECT m.classid, m.objid, 0, p.proowner, p.proacl, 'f', p.oid::regprocedure::text
      FROM m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
    UNION ALL
    SELECT m.classid, m.objid, 0, t.typowner, t.typacl, 'T', t.oid::regtype::text
      FROM m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
     WHERE t.typrelid = 0 AND t.typelem = 0
    UNION ALL
    -- what the server keeps to itself, and what may touch its files
    SELECT 'pg_class'::regclass, c.oid, 0, c.relowner, c.relacl, 'r', format('pg_catalog.%I', c.relname)
      FROM pg_class c WHERE c.relnamespace = 'pg_catalog'::regnamespace
       AND c.relname IN ('pg_authid', 'pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject', 'pg_user_mapping', 'pg_subscription')
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, 0, p.proowner, p.proacl, 'f', p.oid::regprocedure::text
      FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
       AND p.proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'lo_import', 'lo_export')
), given AS (
    SELECT t.*, a.grantee, a.privilege_type, a.is_grantable
      FROM thing t, aclexplode(COALESCE(t.acl, CASE WHEN t.sort <> 'c' THEN acldefault(t.sort, t.owner) END)) a
     WHERE a.grantee <> t.owner
       AND NOT EXISTS (
           SELECT FROM aclexplode(COALESCE((SELECT i.initprivs FROM pg_init_privs i
                                             WHERE i.classoid = t.classid AND i.objoid = t.objid AND i.objsubid = t.objsubid),
                                           CASE WHEN t.sort <> 'c' THEN acldefault(t.sort, t.owner) END)) b
            WHERE b.grantee = a.grantee AND b.privilege_type = a.privilege_type AND (b.is_grantable OR NOT a.is_grantable))
)
SELECT 'rights',
       CASE WHEN g.classid = 'pg_class'::regclass AND (g.objid IN (SELECT r.oid FROM credit._protected_relations() r) OR g.name LIKE 'pg\_catalog.%')
                 OR g.name LIKE 'pg\_%' OR g.name LIKE 'lo\_%' THEN 'critical' ELSE 'warning' END,
       g.name,
       format('%s has %s, which the install script does not give', CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END,
              string_agg(g.privilege_type || CASE WHEN g.is_grantable THEN ' with grant option' ELSE '' END, ', ' ORDER BY g.privilege_type)),
       format('REVOKE ALL ON %s FROM %s; then give it one of the credit_* roles.',
              CASE g.sort WHEN 'f' THEN 'FUNCTION ' || g.name WHEN 'T' THEN 'TYPE ' || g.name WHEN 's' THEN 'SEQUENCE ' || g.name ELSE 'TABLE ' || g.objid::regclass END,
              CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END)
  FROM given g GROUP BY g.classid, g.objid, g.name, g.sort, g.grantee
UNION ALL
SELECT 'owner', 'critical', t.name, format('belongs to %s, the extension to %s: an owner passes the guard', pg_get_userbyid(t.owner), pg_get_userbyid(e.extowner)),
       format('ALTER ... OWNER TO %s;', e.extowner::regrole)
  FROM thing t CROSS JOIN ext e WHERE t.objsubid = 0 AND t.sort <> 'c' AND t.owner <> e.extowner AND t.name !~ '^(pg_|lo_)'
UNION ALL
SELECT 'schema', CASE a.privilege_type WHEN 'CREATE' THEN 'critical' ELSE 'warning' END, 'credit',
       format('%s has %s on the schema', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END, a.privilege_type),
       format('REVOKE %s ON SCHEMA credit FROM %s;', a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
  FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a
 WHERE n.nspname = 'credit' AND a.grantee <> n.nspowner
   AND (a.privilege_type = 'CREATE' OR a.grantee = 0
        OR pg_get_userbyid(a.grantee) <> ALL ('{credit_operator,credit_portal,credit_provider,credit_institution,credit_analyst,credit_auditor,credit_self,credit_indicator,pg_monitor}'::name[]))
UNION ALL
SELECT 'owner', 'critical', 'schema credit', format('belongs to %s, the extension to %s', pg_get_userbyid(n.nspowner), pg_get_userbyid(e.extowner)),
       format('ALTER SCHEMA credit OWNER TO %s;', e.extowner::regrole)
  FROM pg_namespace n CROSS JOIN ext e WHERE n.nspname = 'credit' AND n.nspowner <> e.extowner
UNION ALL
SELECT 'schema', 'warning', n.nspname::text,
       format('%s may create in it: functions, operators and tables there can stand in for others'' in every session that searches it',
              CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END),
       format('REVOKE CREATE ON SCHEMA %I FROM %s; (CVE-2018-1058)', n.nspname, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
  FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a
 WHERE n.nspname = 'public' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner
   AND (a.grantee = 0 OR EXISTS (SELECT FROM credit._reachable_roles() x WHERE x.reached = a.grantee
                                    AND x.role IN (SELECT i.db_role::oid FROM credit.institution i)))
UNION ALL
SELECT 'default_rights', 'warning', COALESCE('schema ' || n.nspname, 'database'),
       format('%s gets %s on what %s creates: objects of the next update of the extension too',
              CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END, a.privilege_type, pg_get_userbyid(p.defaclrole)),
       'ALTER DEFAULT PRIVILEGES ... REVOKE.'
  FROM pg_default_acl p CROSS JOIN ext e LEFT JOIN pg_namespace n ON n.oid = p.defaclnamespace CROSS JOIN LATERAL aclexplode(p.defaclacl) a
 WHERE p.defaclrole = e.extowner AND (n.nspname IS NULL OR n.nspname = 'credit') AND a.grantee <> p.defaclrole
   AND NOT (n.nspname IS NULL AND a.grantee = 0 AND p.defaclobjtype IN ('f', 'T') AND a.privilege_type IN ('EXECUTE', 'USAGE') AND NOT a.is_grantable)
$$;
COMMENT ON FUNCTION credit._check_rights() IS 'part of credit.security_check: owners, and rights that the install script does not give (权限检查)';

-- who the institutions are --------------------------------------------------------------

CREATE FUNCTION credit._check_roles() RETURNS TABLE (check_name text, severity text, object text, finding text, hint text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
WITH principal AS (
    SELECT format('institution %s', i.code) AS name, r.oid, i.code
      FROM credit.institution i JOIN pg_roles r ON r.oid = i.db_role::oid
    UNION ALL
    SELECT format('role %s', r.rolname), r.oid, NULL
      FROM pg_roles r WHERE r.rolname IN ('credit_operator', 'credit_portal', 'credit_provider', 'credit_institution', 'credit_analyst', 'credit_auditor', 'credit_self', 'credit_indicator')
), reach AS MATERIALIZED (
    SELECT p.name, p.code, p.oid, x.reached, b.rolname AS reached_name, b.rolsuper, b.rolbypassrls, b.rolcreaterole, b.rolreplication,
           CASE WHEN x.reached = p.oid THEN format('its role %s', b.rolname) ELSE format('its role %s is a member of %s, which', pg_get_userbyid(p.oid), b.rolname) END AS how
      FROM principal p JOIN credit._reachable_roles() x ON x.role = p.oid JOIN pg_roles b ON b.oid = x.reached
)
SELECT 'institution_role', 'critical', format('institution %s', i.code), format('its role (%s) does not exist any more', i.db_role::oid),
       format('SELECT credit.set_institution_status(%L, ''suspended''); a new role may get the number one day.', i.code)
  FROM credit.institution i WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = i.db_role::oid)
UNION ALL
SELECT 'institution_role', 'critical', r.name, format('%s is a superuser: no guard, no log', r.how), format('ALTER ROLE %I NOSUPERUSER, or REVOKE it.', r.reached_name)
  FROM reach r WHERE r.rolsuper
UNION ALL
SELECT 'institution_role', 'critical', r.name, format('%s has BYPASSRLS: the guard is not asked', r.how), format('ALTER ROLE %I NOBYPASSRLS, or REVOKE it.', r.reached_name)
  FROM reach r WHERE r.rolbypassrls AND NOT r.rolsuper
UNION ALL
SELECT 'institution_role', 'critical', r.name, format('%s has CREATEROLE: it can make itself a member of other roles', r.how), format('ALTER ROLE %I NOCREATEROLE, or REVOKE it.', r.reached_name)
  FROM reach r WHERE r.rolcreaterole AND NOT r.rolsuper
UNION ALL
SELECT 'institution_role', 'critical', r.name, format('%s has REPLICATION: it can copy the whole cluster', r.how), format('ALTER ROLE %I NOREPLICATION, or REVOKE it.', r.reached_name)
  FROM reach r WHERE r.rolreplication AND NOT r.rolsuper
UNION ALL
SELECT 'institution_role', 'critical', r.name, format('%s owns the tables of the extension', r.how), format('REVOKE %I.', r.reached_name)
  FROM reach r JOIN pg_extension e ON e.extname = 'pgcredit' AND e.extowner = r.reached WHERE NOT r.rolsuper
UNION ALL
SELECT 'institution_role', 'warning', r.name, format('%s owns the database: it can change its settings and its schema public', r.how), 'ALTER DATABASE ... OWNER TO.'
  FROM reach r JOIN pg_database d ON d.datname = current_database() AND d.datdba = r.reached WHERE NOT r.rolsuper
UNION ALL
SELECT 'institution_role', w.severity, r.name, format('its role %s is a member of %s: %s', pg_get_userbyid(r.oid), r.reached_name, w.why), format('REVOKE %I.', r.reached_name)
  FROM reach r JOIN (VALUES
        ('pg_read_all_data', 'critical', 'it reads every table that has no policy: subjects, consents, the log'),
        ('pg_write_all_data', 'critical', 'it writes consents'),
        ('pg_read_server_files', 'critical', 'it reads the key file and the tables'' files'),
        ('pg_write_server_files', 'critical', 'it writes the server''s files'),
        ('pg_execute_server_program', 'critical', 'it runs programs as the server'),
        ('pg_create_subscription', 'warning', 'it connects the server to others'),
        ('pg_maintain', 'warning', 'it locks every table and runs ANALYZE'),
        ('pg_monitor', 'warning', 'it reads the statements of all sessions'),
        ('pg_read_all_stats', 'warning', 'it reads the statements of all sessions'),
        ('pg_stat_scan_tables', 'warning', 'it counts rows of any table'),
        ('pg_signal_backend', 'warning', 'it ends the sessions of others')) w(role, severity, why) ON r.reached_name = w.role
UNION ALL
SELECT 'institution_role', w.severity, r.name, format('its role %s is a member of %s: %s', pg_get_userbyid(r.oid), r.reached_name, w.why),
       format('REVOKE %I FROM it; let another role have both.', r.reached_name)
  FROM reach r JOIN (VALUES
        ('credit_portal', 'critical', 'it can give itself consent in any subject''s name'),
        ('credit_operator', 'critical', 'it can bind roles to institutions and make categories public'),
        ('credit_auditor', 'warning', 'it reads the whole log')) w(role, severity, why) ON r.reached_name = w.role
 WHERE r.code IS NOT NULL OR r.oid <> r.reached AND pg_get_userbyid(r.oid) IN ('credit_institution', 'credit_provider', 'credit_analyst')
UNION ALL
SELECT 'institution_shared', 'critical', r.name, format('its role %s can become %s, the role of institution %s', pg_get_userbyid(r.oid), r.reached_name, o.code),
       format('REVOKE %I FROM %I;', r.reached_name, pg_get_userbyid(r.oid))
  FROM reach r JOIN credit.institution o ON o.db_role::oid = r.reached WHERE r.code IS NOT NULL AND o.code <> r.code
UNION ALL
SELECT 'institution_shared', 'warning', format('institution %s', i.code), format('%s can act as it and is %s: what it sees besides is not guarded', k.rolname,
              CASE WHEN k.rolsuper THEN 'a superuser' ELSE 'a role with BYPASSRLS' END), format('REVOKE %I FROM %I;', pg_get_userbyid(i.db_role::oid), k.rolname)
  FROM credit.institution i JOIN credit._reachable_roles() x ON x.reached = i.db_role::oid AND x.role <> x.reached JOIN pg_roles k ON k.oid = x.role
 WHERE k.rolsuper OR k.rolbypassrls
UNION ALL
SELECT 'institution_shared', 'warning', format('role %s', k.rolname), format('can act as %s institutions: %s', count(*), string_agg(i.code, ', ' ORDER BY i.code)),
       'Fine for a pooler that sets the role itself for each client; for a person or a bank''s program it is not.'
  FROM credit.institution i JOIN credit._reachable_roles() x ON x.reached = i.db_role::oid AND x.role <> x.reached JOIN pg_roles k ON k.oid = x.role
 WHERE NOT k.rolsuper AND NOT EXISTS (SELECT FROM credit.institution o WHERE o.db_role::oid = k.oid)
 GROUP BY k.rolname HAVING count(*) > 1
UNION ALL
SELECT 'platform_role', 'warning', format('role %s', r.rolname), 'can log in: the platform''s roles are groups', format('ALTER ROLE %I NOLOGIN;', r.rolname)
  FROM pg_roles r WHERE r.rolcanlogin AND r.rolname IN ('credit_operator', 'credit_portal', 'credit_provider', 'credit_institution', 'credit_analyst', 'credit_auditor', 'credit_self', 'credit_indicator')
UNION ALL
SELECT 'replication_role', 'notice', format('role %s', r.rolname), 'has REPLICATION: it can copy the whole cluster', 'Keep it to the standby''s and the backup''s machines in pg_hba.conf.'
  FROM pg_roles r WHERE r.rolreplication AND NOT r.rolsuper AND r.oid NOT IN (SELECT x.reached FROM reach x)
UNION ALL
SELECT 'bypass_role', 'notice', format('role %s', r.rolname), 'has BYPASSRLS: with SELECT on a protected table it sees every row', format('ALTER ROLE %I NOBYPASSRLS;', r.rolname)
  FROM pg_roles r WHERE r.rolbypassrls AND NOT r.rolsuper AND r.oid NOT IN (SELECT x.reached FROM reach x)
$$;
COMMENT ON FUNCTION credit._check_roles() IS 'part of credit.security_check: the roles of institutions and of the platform (角色检查)';

-- what others built on it ---------------------------------------------------------------

CREATE FUNCTION credit._check_strangers() RETURNS TABLE (check_name text, severity text, object text, finding text, hint text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
WITH RECURSIVE ext AS (
    SELECT e.oid, e.extowner FROM pg_extension e WHERE e.extname = 'pgcredit'
), m AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_depend d JOIN ext e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE d.deptype = 'e'
), protected AS MATERIALIZED (
    SELECT r.oid FROM credit._protected_relations() r
), above(oid, base) AS (
    SELECT p.oid, p.oid FROM protected p
    UNION
    SELECT w.ev_class, a.base
      FROM above a JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.oid AND d.classid = 'pg_rewrite'::regclass
      JOIN pg_rewrite w ON w.oid = d.objid
     WHERE w.ev_class <> a.oid AND w.ev_class NOT IN (SELECT m.objid FROM m WHERE m.classid = 'pg_class'::regclass)
), unguarded AS MATERIALIZED (
    SELECT DISTINCT x.role AS oid FROM credit._reachable_roles() x JOIN pg_roles r ON r.oid = x.reached
     WHERE r.rolsuper OR (r.rolbypassrls AND x.role = x.reached) OR r.oid = (SELECT e.extowner FROM ext e)
), built AS (
    SELECT c.*, b.bases, EXISTS (SELECT FROM aclexplode(c.relacl) g WHERE g.grantee <> c.relowner AND g.privilege_type = 'SELECT')
                      OR EXISTS (SELECT FROM pg_attribute t, aclexplode(t.attacl) g WHERE t.attrelid = c.oid AND g.grantee <> c.relowner) AS is_open
      FROM (SELECT a.oid, string_agg(DISTINCT a.base::regclass::text, ', ') AS bases FROM above a WHERE a.oid <> a.base GROUP BY a.oid) b
      JOIN pg_class c ON c.oid = b.oid
)
SELECT 'view', CASE WHEN c.is_open THEN 'critical' ELSE 'warning' END, c.oid::regclass::text,
       CASE c.relkind WHEN 'm' THEN format('keeps a copy of rows of %s that no guard and no log stands before', c.bases)
                      ELSE format('reads %s with the rights of %s, who is not guarded', c.bases, pg_get_userbyid(c.relowner)) END
       || CASE WHEN c.is_open THEN ', and others may read it' ELSE '' END,
       CASE c.relkind WHEN 'm' THEN 'DROP MATERIALIZED VIEW, or keep it from everybody.' ELSE format('ALTER VIEW %s SET (security_invoker = true);', c.oid::regclass) END
  FROM built c
 WHERE c.relkind = 'm'
    OR c.relkind = 'v' AND c.relowner IN (SELECT u.oid FROM unguarded u)
       AND NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o WHERE o.option_name = 'security_invoker' AND o.option_value IN ('true', 'on', 'yes', '1'))
UNION ALL
SELECT 'definer_function', 'warning', p.oid::regprocedure::text,
       format('runs as %s, who is not guarded, names objects of schema credit, and others may execute it', pg_get_userbyid(p.proowner)),
       'Make it SECURITY INVOKER, or let a role own it that has only what it needs.'
  FROM pg_proc p
 WHERE p.prosecdef AND p.proowner IN (SELECT u.oid FROM unguarded u)
   AND p.oid NOT IN (SELECT m.objid FROM m WHERE m.classid = 'pg_proc'::regclass)
   AND (p.prosrc ~* '\mcredit"?\s*\.' OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                                                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT a.oid FROM above a)))
   AND EXISTS (SELECT FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) g WHERE g.grantee <> p.proowner)
UNION ALL
SELECT 'stranger', CASE WHEN s.owner IN (SELECT u.oid FROM unguarded u) THEN 'notice' ELSE 'critical' END, s.name,
       format('stands in schema credit, is not of the extension, and belongs to %s', pg_get_userbyid(s.owner)), 'Move it to another schema: names there are looked up as ours.'
  FROM (SELECT p.oid::regprocedure::text, p.proowner FROM pg_proc p
         WHERE p.pronamespace = 'credit'::regnamespace AND p.oid NOT IN (SELECT m.objid FROM m WHERE m.classid = 'pg_proc'::regclass)
        UNION ALL
        SELECT o.oid::regoperator::text, o.oprowner FROM pg_operator o
         WHERE o.oprnamespace = 'credit'::regnamespace AND o.oid NOT IN (SELECT m.objid FROM m WHERE m.classid = 'pg_operator'::regclass)
        UNION ALL
        SELECT c.oid::regclass::text, c.relowner FROM pg_class c
         WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind IN ('r', 'p', 'f', 'S') AND c.oid NOT IN (SELECT m.objid FROM m WHERE m.classid = 'pg_class'::regclass)
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')
        UNION ALL
        SELECT c.oid::regclass::text, c.relowner FROM pg_class c
         WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind IN ('v', 'm') AND c.relowner <> (SELECT e.extowner FROM ext e)
           AND c.oid NOT IN (SELECT m.objid FROM m WHERE m.classid = 'pg_class'::regclass)) s(name, owner)
UNION ALL
SELECT 'stranger', 'warning', format('cast from %s to %s', k.castsource::regtype, k.casttarget::regtype), format('a cast of a type of the extension by a function of others: %s', k.castfunc::regprocedure),
       'DROP CAST: it runs as whoever reads the value.'
  FROM pg_cast k
 WHERE k.castfunc <> 0 AND k.oid NOT IN (SELECT m.objid FROM m WHERE m.classid = 'pg_cast'::regclass)
   AND EXISTS (SELECT FROM m WHERE m.classid = 'pg_type'::regclass AND m.objid IN (k.castsource, k.casttarget))
UNION ALL
SELECT 'stranger', 'warning', o.oid::regoperator::text, format('an operator on a type of the extension, made by %s', pg_get_userbyid(o.oprowner)),
       'DROP OPERATOR, or be sure that no search_path has its schema before schema credit.'
  FROM pg_operator o
 WHERE o.oid NOT IN (SELECT m.objid FROM m WHERE m.classid = 'pg_operator'::regclass) AND o.oprnamespace <> 'credit'::regnamespace
   AND EXISTS (SELECT FROM m WHERE m.classid = 'pg_type'::regclass AND m.objid IN (o.oprleft, o.oprright))
UNION ALL
SELECT 'shadow', 'warning', p.oid::regprocedure::text, format('has the name of a function of the extension, stands in schema public, and belongs to %s', pg_get_userbyid(p.proowner)),
       'DROP FUNCTION: a search_path with public before credit finds it first.'
  FROM pg_proc p
 WHERE p.pronamespace = 'public'::regnamespace AND p.proowner NOT IN (SELECT u.oid FROM unguarded u)
   AND p.proname IN (SELECT f.proname FROM m JOIN pg_proc f ON m.classid = 'pg_proc'::regclass AND f.oid = m.objid WHERE f.proname NOT LIKE '\_%')
UNION ALL
SELECT 'leakproof', 'warning', p.oid::regprocedure::text, format('is marked leakproof and belongs to %s: it is called with values before the guard is asked', pg_get_userbyid(p.proowner)),
       format('ALTER FUNCTION %s NOT LEAKPROOF;', p.oid::regprocedure)
  FROM pg_proc p
 WHERE p.proleakproof AND p.pronamespace <> 'pg_catalog'::regnamespace AND p.oid NOT IN (SELECT m.objid FROM m WHERE m.classid = 'pg_proc'::regclass)
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'statistics', 'warning', format('%I.%I on %s', n.nspname, s.stxname, s.stxrelid::regclass),
       'extended statistics hold values of a protected table, and estimates show them', format('DROP STATISTICS %I.%I; (CVE-2017-7484, CVE-2025-8713)', n.nspname, s.stxname)
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid IN (SELECT p.oid FROM protected p)
UNION ALL
SELECT 'publication', 'warning', format('publication %I', t.pubname), format('sends %s to subscribers, unguarded and unrecorded', string_agg(format('%I.%I', t.schemaname, t.tablename), ', ' ORDER BY t.schemaname, t.tablename)),
       format('ALTER PUBLICATION %I SET TABLE ... without them.', t.pubname)
  FROM pg_publication_tables t JOIN pg_class c ON c.relname = t.tablename JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schemaname
 WHERE c.oid IN (SELECT p.oid FROM protected p)
 GROUP BY t.pubname
UNION ALL
SELECT 'subscription', 'warning', s.srrelid::regclass::text, 'rows come by a subscription: no provider is asked, no trigger records them', 'ALTER SUBSCRIPTION ... without it.'
  FROM pg_subscription_rel s WHERE s.srrelid IN (SELECT m.objid FROM m WHERE m.classid = 'pg_class'::regclass)
UNION ALL
SELECT 'child', CASE WHEN c.relkind = 'f' OR NOT c.relrowsecurity AND c.relacl IS NOT NULL THEN 'critical' ELSE 'warning' END, c.oid::regclass::text,
       CASE c.relkind WHEN 'f' THEN format('a foreign table is a part of %s: its rows lie elsewhere', i.inhparent::regclass)
                      ELSE format('is a part of %s and not of the extension: who may read it by its own name is not guarded by the policy above it', i.inhparent::regclass) END,
       'ALTER TABLE ... NO INHERIT or DETACH PARTITION; or give it the same policy and no rights.'
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent IN (SELECT p.oid FROM protected p) AND c.relkind IN ('r', 'p', 'f')
   AND c.oid NOT IN (SELECT m.objid FROM m WHERE m.classid = 'pg_class'::regclass)
UNION ALL
SELECT 'foreign_key', 'warning', format('%s on %s', k.conname, k.conrelid::regclass), format('refers to %s: writing it shows whether a row exists', k.confrelid::regclass),
       format('ALTER TABLE %s DROP CONSTRAINT %I;', k.conrelid::regclass, k.conname)
  FROM pg_constraint k
 WHERE k.contype = 'f' AND k.confrelid IN (SELECT p.oid FROM protected p) AND k.conrelid NOT IN (SELECT m.objid FROM m WHERE m.classid = 'pg_class'::regclass)
UNION ALL
SELECT 'event_trigger', CASE WHEN p.proowner IN (SELECT u.oid FROM unguarded u) THEN 'notice' ELSE 'critical' END, format('event trigger %I', t.evtname),
       format('runs %s of %s as whoever gives a command, also as the administrator', p.oid::regprocedure, pg_get_userbyid(p.proowner)),
       'DROP EVENT TRIGGER, or be sure of its function: does it pin its search_path?'
  FROM pg_event_trigger t JOIN pg_proc p ON p.oid = t.evtfoid
 WHERE t.evtenabled <> 'D' AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pgcredit'
                                            WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'e'
                                              AND d.refclassid = 'pg_extension'::regclass)
UNION ALL
SELECT 'user_mapping', 'warning', format('user mapping for %s on server %I', CASE u.umuser WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(u.umuser)::text END, u.srvname),
       format('connects as %s, who is not guarded here: if the server leads back to this cluster, so is the reader not', o.option_value), 'Map to the institution''s own role.'
  FROM pg_user_mappings u CROSS JOIN LATERAL pg_options_to_table(u.umoptions) o JOIN pg_roles r ON r.rolname = o.option_value
 WHERE o.option_name = 'user' AND r.oid IN (SELECT x.oid FROM unguarded x) AND (u.umuser = 0 OR u.umuser NOT IN (SELECT x.oid FROM unguarded x))
$$;
COMMENT ON FUNCTION credit._check_strangers() IS 'part of credit.security_check: views, functions, statistics, publications and so on of others on protected tables (外部对象检查)';

-- the server ----------------------------------------------------------------------------

CREATE FUNCTION credit._check_server() RETURNS TABLE (check_name text, severity text, object text, finding text, hint text)
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
WITH preloaded AS (
    SELECT regexp_replace(btrim(l, ' "'), '^.*/|\.so$', '', 'g') AS library, n
      FROM string_to_table(current_setting('shared_preload_libraries'), ',') WITH ORDINALITY t(l, n)
), risky(name, bad, severity, finding) AS (VALUES
    ('fsync', '^off$', 'critical', 'what is committed is not on the disk: a crash loses entries of accesses that were shown'),
    ('full_page_writes', '^off$', 'critical', 'a crash can tear pages: the log may not be whole after it'),
    ('synchronous_commit', '^off$', 'warning', 'a consent taken back may be in force again after a crash; the entries of accesses are flushed nevertheless'),
    ('session_replication_role', '^(replica|local)$', 'critical', 'triggers do not fire: writes are not recorded, foreign keys not kept'),
    ('zero_damaged_pages', '^on$', 'critical', 'damaged pages are taken for empty: entries vanish without an error'),
    ('ignore_checksum_failure', '^on$', 'warning', 'damaged pages are read as if they were whole'),
    ('allow_system_table_mods', '^on$', 'warning', 'the catalogue can be written'),
    ('log_statement', '^(mod|all)$', 'warning', 'statements with the values of records and identity numbers in them are in the server''s log'),
    ('log_min_duration_statement', '^\d', 'warning', 'statements with the values of records and identity numbers in them are in the server''s log'),
    ('log_min_duration_sample', '^\d', 'warning', 'statements with the values of records and identity numbers in them are in the server''s log'),
    ('log_transaction_sample_rate', '[1-9]', 'warning', 'statements with the values of records and identity numbers in them are in the server''s log'),
    ('log_parameter_max_length_on_error', '^(-1|[1-9])', 'warning', 'parameters of failed statements are in the server''s log'),
    ('log_parser_stats', '^on$', 'notice', 'texts of statements are in the server''s log'),
    ('debug_print_parse', '^on$', 'warning', 'parse trees with constants are in the server''s log'),
    ('debug_print_rewritten', '^on$', 'warning', 'parse trees with constants are in the server''s log'),
    ('debug_print_plan', '^on$', 'warning', 'plans with constants are in the server''s log'),
    ('auto_explain.log_min_duration', '^\d', 'warning', 'plans with conditions, constants and row counts are in the server''s log'),
    ('pgaudit.log_parameter', '^on$', 'warning', 'parameters of statements are in the server''s log'),
    ('session_preload_libraries', '.', 'notice', 'libraries are loaded into each session after pgcredit: their hooks are called first'),
    ('local_preload_libraries', '.', 'notice', 'libraries are loaded into each session after pgcredit: their hooks are called first')
)
-- the value without what this session set; a role's and a database's own values are looked at for themselves
SELECT 'setting', r.severity, format('%s = %s', s.name, s.reset_val), r.finding, 'Change it in postgresql.conf or with ALTER SYSTEM, unless it is meant so.'
  FROM risky r JOIN pg_settings s ON s.name = r.name AND s.reset_val ~ r.bad
 WHERE NOT EXISTS (SELECT FROM pg_db_role_setting g, unnest(g.setconfig) c WHERE split_part(c, '=', 1) = r.name
                      AND g.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
                      AND (g.setrole = 0 OR g.setrole = (SELECT u.oid FROM pg_roles u WHERE u.rolname = session_user)))
UNION ALL
SELECT 'setting', r.severity, c || CASE WHEN g.setrole = 0 THEN '' ELSE format(' for role %s', pg_get_userbyid(g.setrole)) END
                                || CASE WHEN g.setdatabase = 0 THEN '' ELSE format(' in database %s', current_database()) END,
       r.finding, 'ALTER ROLE or ALTER DATABASE ... RESET, unless it is meant so.'
  FROM pg_db_role_setting g CROSS JOIN LATERAL unnest(g.setconfig) c JOIN risky r ON split_part(c, '=', 1) = r.name AND substring(c FROM position('=' IN c) + 1) ~* r.bad
 WHERE g.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
UNION ALL
SELECT 'library', 'critical', 'pgcredit', 'is not in shared_preload_libraries: no access can be recorded, commands are not seen', 'shared_preload_libraries = ''..., pgcredit'', then restart.'
 WHERE NOT EXISTS (SELECT FROM preloaded p WHERE p.library = 'pgcredit')
UNION ALL
SELECT 'library', 'warning', 'pgcredit', format('the loaded library is version %s, the extension %s', credit.version(), e.extversion), 'Restart the server, then ALTER EXTENSION pgcredit UPDATE.'
  FROM pg_extension e WHERE e.extname = 'pgcredit' AND e.extversion <> credit.version()
UNION ALL
-- the one that is loaded last is called first: nothing may stand between it and the client
SELECT 'preload_order', 'notice', p.library,
       format('is loaded after pgcredit, so its hooks are called before pgcredit''s%s', CASE WHEN p.library IN ('pgaudit', 'set_user', 'supautils', 'anon', 'citus', 'timescaledb', 'pg_hint_plan', 'sepgsql')
              THEN ' and may change, answer or stop a command that pgcredit then does not see' ELSE '' END),
       'Put pgcredit last in shared_preload_libraries; citus and timescaledb want to be first.'
  FROM preloaded p WHERE p.n > (SELECT min(q.n) FROM preloaded q WHERE q.library = 'pgcredit') AND p.library <> 'pgcredit'
UNION ALL
SELECT 'statements', 'notice', format('role %s', r.rolname), 'pg_stat_statements shows it the statements of all roles; commands other than SELECT, INSERT, UPDATE, DELETE and MERGE are kept with their values',
       'REVOKE pg_read_all_stats or pg_monitor, or pg_stat_statements.track_utility = off.'
  FROM pg_roles r
 WHERE EXISTS (SELECT FROM preloaded p WHERE p.library = 'pg_stat_statements') AND NOT r.rolsuper AND r.rolcanlogin
   AND EXISTS (SELECT FROM credit._reachable_roles() x JOIN pg_roles g ON g.oid = x.reached WHERE x.role = r.oid AND g.rolname = 'pg_read_all_stats')
UNION ALL
SELECT 'key', 'critical', 'pgcredit.key_file', 'the server has no key: accesses are refused, nothing is signed', 'Set pgcredit.key_file or pgcredit.key_command, then restart.'
 WHERE credit.key_id() IS NULL
UNION ALL
SELECT 'writer', 'critical', current_database()::text, 'the writer of the log does not run: accesses are refused', 'Look at the server''s log, max_worker_processes and pgcredit.max_databases.'
 WHERE NOT pg_is_in_recovery() AND NOT EXISTS (SELECT FROM credit._stat_audit() s WHERE s.writer_pid IS NOT NULL)
UNION ALL
SELECT 'notary', 'warning', current_database()::text, 'the notary does not run: no checkpoint is signed, the history falls behind', 'Look at the server''s log, max_worker_processes and pgcredit.max_databases.'
 WHERE NOT pg_is_in_recovery() AND NOT EXISTS (SELECT FROM credit._stat_audit() s WHERE s.notary_pid IS NOT NULL)
UNION ALL
SELECT 'authentication', 'critical', format('pg_hba.conf line %s', h.line_number), format('%s connections from %s are trusted to be who they say, and the role is who one is', h.type, h.address), 'Use scram-sha-256 or cert.'
  FROM pg_hba_file_rules h
 WHERE h.type LIKE 'host%' AND h.auth_method = 'trust' AND current_setting('listen_addresses') <> '' AND h.address NOT IN ('127.0.0.1', '::1', 'localhost')
$$;
COMMENT ON FUNCTION credit._check_server() IS 'part of credit.security_check: settings, libraries, key, writer (服务器检查)';

-- all of it -----------------------------------------------------------------------------

CREATE FUNCTION credit.security_check() RETURNS TABLE (check_name text, severity text, object text, finding text, hint text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off ROWS 10 AS $$
SELECT f.check_name, f.severity, f.object, f.finding, f.hint
  FROM (SELECT * FROM credit._check_definitions()
        UNION ALL SELECT * FROM credit._check_rights()
        UNION ALL SELECT * FROM credit._check_roles()
        UNION ALL SELECT * FROM credit._check_strangers()
        UNION ALL SELECT * FROM credit._check_server()) f
 ORDER BY array_position('{critical,warning,notice}'::text[], f.severity), f.check_name COLLATE "C", f.object COLLATE "C", f.finding COLLATE "C"
$$;
COMMENT ON FUNCTION credit.security_check() IS
    'what is set up so that guard or log do not hold: a row each, the worst first; none on a sound platform (安全配置检查)';

REVOKE ALL ON credit._installed FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._definitions(), credit._note_definitions(), credit._protected_relations(), credit._reachable_roles(),
    credit._check_definitions(), credit._check_rights(), credit._check_roles(), credit._check_strangers(), credit._check_server(),
    credit.security_check() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.security_check() TO credit_operator, credit_auditor;
