/*
 * configuration_role.c
 *		Commands about roles: which of them change who may do what here.
 *
 * Roles belong to the cluster; a command about them is recorded in the database
 * that it was given in.  It concerns the platform when one of the roles that it
 * names, before or after it, is one of the platform's, is a member of one,
 * directly or not, has a right on an object of ours, or stands above all
 * rights.  An institution's role is all of that the moment it can do anything.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_shdepend.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

#include "audit/configuration.h"
#include "core/core.h"

static const char *const platform_roles[] = {
	"credit_operator", "credit_portal", "credit_provider",
	"credit_institution", "credit_analyst", "credit_auditor", "credit_self"
};

/* PostgreSQL's own roles that read or change what no right allows. */
static const Oid mighty_roles[] = {
	ROLE_PG_READ_ALL_DATA, ROLE_PG_WRITE_ALL_DATA, ROLE_PG_READ_SERVER_FILES,
	ROLE_PG_WRITE_SERVER_FILES, ROLE_PG_EXECUTE_SERVER_PROGRAM
};

/*
 * A role's name as it is now; "public" for all.
 */
char *
pgcredit_configuration_role_name(RoleSpec *role)
{
	switch (role->roletype)
	{
		case ROLESPEC_CSTRING:
			return pstrdup(role->rolename);
		case ROLESPEC_SESSION_USER:
			return GetUserNameFromId(GetSessionUserId(), false);
		case ROLESPEC_PUBLIC:
			return pstrdup("public");
		default:
			return GetUserNameFromId(GetUserId(), false);
	}
}

List *
pgcredit_configuration_role_names(List *specs)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, specs)
		names = lappend(names, pgcredit_configuration_role_name(lfirst_node(RoleSpec, lc)));
	return names;
}

/*
 * Does the role own, or have a right on, an object of ours in this database?
 */
static bool
has_rights_here(Oid role, Oid extension, Oid schema)
{
	Relation	rel = table_open(SharedDependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(AuthIdRelationId));
	ScanKeyInit(&key[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(role));
	scan = systable_beginscan(rel, SharedDependReferenceIndexId, true, NULL, 2, key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_shdepend depend = (Form_pg_shdepend) GETSTRUCT(tuple);
		ObjectAddress address;

		if (depend->dbid != MyDatabaseId)
			continue;
		ObjectAddressSet(address, depend->classid, depend->objid);
		found = pgcredit_configuration_ours(&address, extension, schema);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static bool
bypasses_policies(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		bypasses;

	if (!HeapTupleIsValid(tuple))
		return false;
	bypasses = ((Form_pg_authid) GETSTRUCT(tuple))->rolbypassrls ||
		((Form_pg_authid) GETSTRUCT(tuple))->rolcreaterole ||
		((Form_pg_authid) GETSTRUCT(tuple))->rolreplication;
	ReleaseSysCache(tuple);
	return bypasses;
}

static bool
role_concerns(const char *name, Oid extension, Oid schema)
{
	Oid			role;

	if (strncmp(name, "credit_", strlen("credit_")) == 0)
		return true;
	role = get_role_oid(name, true);
	if (!OidIsValid(role))
		return false;
	if (superuser_arg(role) || bypasses_policies(role))
		return true;
	for (int k = 0; k < lengthof(platform_roles); k++)
	{
		Oid			group = get_role_oid(platform_roles[k], true);

		if (OidIsValid(group) && is_member_of_role_nosuper(role, group))
			return true;
	}
	for (int k = 0; k < lengthof(mighty_roles); k++)
	{
		if (is_member_of_role_nosuper(role, mighty_roles[k]))
			return true;
	}
	return has_rights_here(role, extension, schema);
}

/*
 * Names of roles in the options of CREATE and ALTER ROLE under this name.
 */
static List *
roles_in_options(List *options, const char *name)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			names = list_concat(names, pgcredit_configuration_role_names((List *) option->arg));
	}
	return names;
}

static List *
granted_names(GrantRoleStmt *stmt)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, stmt->granted_roles)
	{
		AccessPriv *granted = lfirst_node(AccessPriv, lc);

		if (granted->priv_name)
			names = lappend(names, pstrdup(granted->priv_name));
	}
	return names;
}

/*
 * Every role that a command about roles names.
 */
static List *
roles_named(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_GrantRoleStmt:
			return list_concat(granted_names((GrantRoleStmt *) stmt),
							   pgcredit_configuration_role_names(((GrantRoleStmt *) stmt)->grantee_roles));
		case T_CreateRoleStmt:
			{
				CreateRoleStmt *create = (CreateRoleStmt *) stmt;
				List	   *names = list_make1(create->role);

				names = list_concat(names, roles_in_options(create->options, "addroleto"));
				names = list_concat(names, roles_in_options(create->options, "rolemembers"));
				return list_concat(names, roles_in_options(create->options, "adminmembers"));
			}
		case T_AlterRoleStmt:
			return lappend(roles_in_options(((AlterRoleStmt *) stmt)->options, "rolemembers"),
						   pgcredit_configuration_role_name(((AlterRoleStmt *) stmt)->role));
		case T_DropRoleStmt:
			return pgcredit_configuration_role_names(((DropRoleStmt *) stmt)->roles);
		case T_DropOwnedStmt:
			return pgcredit_configuration_role_names(((DropOwnedStmt *) stmt)->roles);
		case T_ReassignOwnedStmt:
			return lappend(pgcredit_configuration_role_names(((ReassignOwnedStmt *) stmt)->roles),
						   pgcredit_configuration_role_name(((ReassignOwnedStmt *) stmt)->newrole));
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType == OBJECT_ROLE)
				return list_make2(((RenameStmt *) stmt)->subname, ((RenameStmt *) stmt)->newname);
			return NIL;
		default:
			return NIL;
	}
}

/*
 * Is this a command about roles of which one concerns the platform, as things
 * stand now?  Asked before and after it.
 */
bool
pgcredit_configuration_roles_concern(Node *stmt, Oid extension, Oid schema)
{
	ListCell   *lc;

	foreach(lc, roles_named(stmt))
	{
		if (role_concerns(lfirst(lc), extension, schema))
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------------------
 * What an entry says of such a command
 * ---------------------------------------------------------------------------
 */

static List *
as_json(List *names)
{
	List	   *values = NIL;
	ListCell   *lc;

	foreach(lc, names)
		values = lappend(values, pgcredit_configuration_json(lfirst(lc)));
	return values;
}

/*
 * An option as it is written in SQL.  Of a password only that it was set.
 */
static char *
attribute_text(DefElem *option)
{
	static const char *const words[][2] = {
		{"superuser", "SUPERUSER"}, {"inherit", "INHERIT"}, {"createrole", "CREATEROLE"},
		{"createdb", "CREATEDB"}, {"canlogin", "LOGIN"}, {"isreplication", "REPLICATION"},
		{"bypassrls", "BYPASSRLS"}
	};

	for (int k = 0; k < lengthof(words); k++)
	{
		if (strcmp(option->defname, words[k][0]) == 0)
			return psprintf("%s%s", defGetBoolean(option) ? "" : "NO", words[k][1]);
	}
	if (strcmp(option->defname, "password") == 0)
		return pstrdup(option->arg ? "PASSWORD" : "PASSWORD NULL");
	if (strcmp(option->defname, "connectionlimit") == 0)
		return psprintf("CONNECTION LIMIT %d", defGetInt32(option));
	if (strcmp(option->defname, "validUntil") == 0)
		return psprintf("VALID UNTIL %s", option->arg ? defGetString(option) : "NULL");
	return NULL;
}

static List *
attributes_json(List *options)
{
	List	   *values = NIL;
	ListCell   *lc;

	foreach(lc, options)
	{
		char	   *text = attribute_text(lfirst_node(DefElem, lc));

		if (text)
			values = lappend(values, pgcredit_configuration_json(text));
	}
	return values;
}

static void
describe_create(CreateRoleStmt *stmt, EntryMembers *members)
{
	pgcredit_configuration_list(members, "attributes", attributes_json(stmt->options));
	pgcredit_configuration_list(members, "granted", as_json(roles_in_options(stmt->options, "addroleto")));
	pgcredit_configuration_list(members, "grantees",
								as_json(list_concat(roles_in_options(stmt->options, "rolemembers"),
													roles_in_options(stmt->options, "adminmembers"))));
	pgcredit_configuration_list(members, "for_roles", as_json(list_make1(stmt->role)));
}

/*
 * ALTER GROUP is an ALTER ROLE with members; its action says which way.
 */
static void
describe_alter(AlterRoleStmt *stmt, EntryMembers *members)
{
	List	   *grantees = roles_in_options(stmt->options, "rolemembers");

	if (grantees != NIL)
		pgcredit_configuration_list(members, "actions",
									as_json(list_make1(stmt->action > 0 ? "ADD USER" : "DROP USER")));
	pgcredit_configuration_list(members, "attributes", attributes_json(stmt->options));
	pgcredit_configuration_list(members, "grantees", as_json(grantees));
	pgcredit_configuration_list(members, "for_roles",
								as_json(list_make1(pgcredit_configuration_role_name(stmt->role))));
}

/*
 * Add the members for a command about roles; false for any other command.
 */
bool
pgcredit_configuration_describe_roles(Node *stmt, EntryMembers *members)
{
	switch (nodeTag(stmt))
	{
		case T_GrantRoleStmt:
			pgcredit_configuration_list(members, "granted", as_json(granted_names((GrantRoleStmt *) stmt)));
			pgcredit_configuration_list(members, "grantees",
										as_json(pgcredit_configuration_role_names(((GrantRoleStmt *) stmt)->grantee_roles)));
			if (pgcredit_grants_admin((GrantRoleStmt *) stmt))
				pgcredit_configuration_true(members, "admin_option");
			return true;
		case T_CreateRoleStmt:
			describe_create((CreateRoleStmt *) stmt, members);
			return true;
		case T_AlterRoleStmt:
			describe_alter((AlterRoleStmt *) stmt, members);
			return true;
		case T_DropRoleStmt:
		case T_DropOwnedStmt:
			pgcredit_configuration_list(members, "for_roles", as_json(roles_named(stmt)));
			return true;
		case T_ReassignOwnedStmt:
			pgcredit_configuration_list(members, "for_roles",
										as_json(pgcredit_configuration_role_names(((ReassignOwnedStmt *) stmt)->roles)));
			pgcredit_configuration_text(members, "new_owner",
										pgcredit_configuration_role_name(((ReassignOwnedStmt *) stmt)->newrole));
			return true;
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType != OBJECT_ROLE)
				return false;
			pgcredit_configuration_list(members, "for_roles", as_json(list_make1(((RenameStmt *) stmt)->subname)));
			pgcredit_configuration_text(members, "new_name", ((RenameStmt *) stmt)->newname);
			return true;
		default:
			return false;
	}
}
