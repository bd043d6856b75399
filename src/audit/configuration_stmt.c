/*
 * configuration_stmt.c
 *		What a command says that changes the platform's configuration: rights,
 *		settings, parts of a table that leave no other trace.
 *
 * Most changes are told by the object access hook, whatever the command was.
 * PostgreSQL does not call it for rights, comments, labels and some forms of
 * ALTER TABLE; what these name is looked up here, after the command, when it
 * is there and locked.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "parser/parse_type.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "audit/configuration.h"
#include "core/core.h"

/* Settings of PostgreSQL on which a promise of ours hangs. */
static const char *const settings[] = {
	"allow_system_table_mods", "event_triggers", "fsync", "full_page_writes", "local_preload_libraries",
	"session_preload_libraries", "session_replication_role", "shared_preload_libraries",
	"synchronous_commit", "synchronous_standby_names"
};

/* ---------------------------------------------------------------------------
 * Settings
 * ---------------------------------------------------------------------------
 */

static bool
setting_concerns(const char *name)
{
	if (pg_strncasecmp(name, "pgcredit.", strlen("pgcredit.")) == 0)
		return true;
	for (int k = 0; k < lengthof(settings); k++)
	{
		if (pg_strcasecmp(name, settings[k]) == 0)
			return true;
	}
	return false;
}

/*
 * Does the command set session_replication_role, which decides whether triggers
 * fire in this session?
 */
bool
pgcredit_configuration_sets_triggers(Node *stmt)
{
	return IsA(stmt, VariableSetStmt) && ((VariableSetStmt *) stmt)->name != NULL &&
		pg_strcasecmp(((VariableSetStmt *) stmt)->name, "session_replication_role") == 0;
}

static VariableSetStmt *
setting_of(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterSystemStmt:
			return ((AlterSystemStmt *) stmt)->setstmt;
		case T_AlterRoleSetStmt:
			return ((AlterRoleSetStmt *) stmt)->setstmt;
		case T_AlterDatabaseSetStmt:
			return ((AlterDatabaseSetStmt *) stmt)->setstmt;
		case T_VariableSetStmt:
			return (VariableSetStmt *) stmt;
		default:
			return NULL;
	}
}

/*
 * The command that brings the key may hold a secret.
 */
static void
describe_setting(Node *stmt, VariableSetStmt *set, EntryMembers *members)
{
	char	   *value = NULL;

	pgcredit_configuration_text(members, "setting", set->kind == VAR_RESET_ALL ? "all" : set->name);
	if (set->kind == VAR_SET_CURRENT)
		value = GetConfigOptionByName(set->name, NULL, true);
	else if (set->kind == VAR_SET_VALUE)
		value = ExtractSetVariableArgs(set);
	if (value && pg_strcasecmp(set->name, "pgcredit.key_command") == 0)
		value = "(not shown)";
	if (value)
		pgcredit_configuration_text(members, "value", value);
	if (IsA(stmt, AlterDatabaseSetStmt))
		pgcredit_configuration_text(members, "database", ((AlterDatabaseSetStmt *) stmt)->dbname);
	if (IsA(stmt, AlterRoleSetStmt))
	{
		AlterRoleSetStmt *alter = (AlterRoleSetStmt *) stmt;
		char	   *name = alter->role ? pgcredit_configuration_role_name(alter->role) : "all";

		pgcredit_configuration_list(members, "for_roles", list_make1(pgcredit_configuration_json(name)));
		if (alter->database)
			pgcredit_configuration_text(members, "database", alter->database);
	}
}

/* ---------------------------------------------------------------------------
 * Rights
 * ---------------------------------------------------------------------------
 */

static List *
privileges_json(List *privileges)
{
	List	   *values = NIL;
	ListCell   *lc;

	if (privileges == NIL)
		return list_make1(pgcredit_configuration_json("ALL"));
	foreach(lc, privileges)
	{
		AccessPriv *privilege = lfirst_node(AccessPriv, lc);
		StringInfoData text;
		ListCell   *col;

		initStringInfo(&text);
		appendStringInfoString(&text, privilege->priv_name ?
							   asc_toupper(privilege->priv_name, strlen(privilege->priv_name)) : "ALL");
		foreach(col, privilege->cols)
			appendStringInfo(&text, "%s%s", foreach_current_index(col) == 0 ? " (" : ", ",
							 quote_identifier(strVal(lfirst(col))));
		if (privilege->cols)
			appendStringInfoChar(&text, ')');
		values = lappend(values, pgcredit_configuration_json(text.data));
	}
	return values;
}

static void
describe_grant(GrantStmt *stmt, EntryMembers *members)
{
	List	   *grantees = NIL;
	ListCell   *lc;

	foreach(lc, pgcredit_configuration_role_names(stmt->grantees))
		grantees = lappend(grantees, pgcredit_configuration_json(lfirst(lc)));
	pgcredit_configuration_list(members, "privileges", privileges_json(stmt->privileges));
	pgcredit_configuration_list(members, "grantees", grantees);
	if (stmt->grant_option)
		pgcredit_configuration_true(members, "grant_option");
}

static Oid
type_by_name(Node *name)
{
	return LookupTypeNameOid(NULL, makeTypeNameFromNameList(castNode(List, name)), true);
}

/*
 * Touch what GRANT or REVOKE names one by one.
 */
static void
touch_granted(ConfigurationCommand *command, GrantStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		ObjectAddress address = InvalidObjectAddress;
		Node	   *object = lfirst(lc);

		switch (stmt->objtype)
		{
			case OBJECT_TABLE:
			case OBJECT_SEQUENCE:
				ObjectAddressSet(address, RelationRelationId,
								 RangeVarGetRelid(castNode(RangeVar, object), NoLock, true));
				break;
			case OBJECT_FUNCTION:
			case OBJECT_PROCEDURE:
			case OBJECT_ROUTINE:
				ObjectAddressSet(address, ProcedureRelationId,
								 LookupFuncWithArgs(stmt->objtype, castNode(ObjectWithArgs, object), true));
				break;
			case OBJECT_TYPE:
			case OBJECT_DOMAIN:
				ObjectAddressSet(address, TypeRelationId, type_by_name(object));
				break;
			case OBJECT_SCHEMA:
				ObjectAddressSet(address, NamespaceRelationId, get_namespace_oid(strVal(object), true));
				break;
			case OBJECT_PARAMETER_ACL:
				if (setting_concerns(strVal(object)))
					pgcredit_configuration_name(command, "parameter", strVal(object));
				break;
			default:
				break;
		}
		if (OidIsValid(address.objectId))
			(void) pgcredit_configuration_touch(command, &address, OBJECT_NAMED);
	}
}

static const char *
plural(ObjectType type)
{
	switch (type)
	{
		case OBJECT_SEQUENCE:
			return "sequences";
		case OBJECT_FUNCTION:
			return "functions";
		case OBJECT_PROCEDURE:
			return "procedures";
		case OBJECT_ROUTINE:
			return "routines";
		case OBJECT_TYPE:
			return "types";
		case OBJECT_SCHEMA:
			return "schemas";
		default:
			return "tables";
	}
}

static void
after_grant(ConfigurationCommand *command, GrantStmt *stmt, EntryMembers *members)
{
	ListCell   *lc;

	describe_grant(stmt, members);
	if (stmt->targtype == ACL_TARGET_OBJECT)
		touch_granted(command, stmt);
	else if (stmt->targtype == ACL_TARGET_ALL_IN_SCHEMA)
	{
		foreach(lc, stmt->objects)
		{
			if (get_namespace_oid(strVal(lfirst(lc)), true) == command->schema)
				pgcredit_configuration_name(command, psprintf("all %s in schema", plural(stmt->objtype)), "credit");
		}
	}
}

/*
 * Default privileges: of schema credit, or everywhere.  The latter concern the
 * objects that whoever owns schema credit makes later.
 */
static void
after_default_privileges(ConfigurationCommand *command, AlterDefaultPrivilegesStmt *stmt, EntryMembers *members)
{
	List	   *schemas = NIL;
	List	   *creators = NIL;
	ListCell   *lc;
	bool		ours = false;
	char	   *owner = GetUserNameFromId(pgcredit_owner_oid(), false);

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "schemas") == 0)
			schemas = (List *) option->arg;
		else if (strcmp(option->defname, "roles") == 0)
			creators = pgcredit_configuration_role_names((List *) option->arg);
	}
	if (creators == NIL)
		creators = list_make1(GetUserNameFromId(GetUserId(), false));
	foreach(lc, schemas)
		ours |= strcmp(strVal(lfirst(lc)), "credit") == 0;
	foreach(lc, creators)
	{
		ours |= schemas == NIL && strcmp(lfirst(lc), owner) == 0;
		lfirst(lc) = pgcredit_configuration_json(lfirst(lc));
	}
	if (!ours)
		return;
	describe_grant(stmt->action, members);
	pgcredit_configuration_list(members, "for_roles", creators);
	pgcredit_configuration_name(command, psprintf("default privileges for %s", plural(stmt->action->objtype)),
								schemas ? "credit" : "everywhere");
}

/* ---------------------------------------------------------------------------
 * The rest
 * ---------------------------------------------------------------------------
 */

static const char *
action_words(AlterTableType type)
{
	switch (type)
	{
		case AT_EnableTrig:
		case AT_EnableTrigAll:
		case AT_EnableTrigUser:
			return "ENABLE TRIGGER";
		case AT_EnableAlwaysTrig:
			return "ENABLE ALWAYS TRIGGER";
		case AT_EnableReplicaTrig:
			return "ENABLE REPLICA TRIGGER";
		case AT_DisableTrig:
		case AT_DisableTrigAll:
		case AT_DisableTrigUser:
			return "DISABLE TRIGGER";
		case AT_EnableRule:
		case AT_EnableAlwaysRule:
		case AT_EnableReplicaRule:
			return "ENABLE RULE";
		case AT_DisableRule:
			return "DISABLE RULE";
		case AT_EnableRowSecurity:
			return "ENABLE ROW LEVEL SECURITY";
		case AT_DisableRowSecurity:
			return "DISABLE ROW LEVEL SECURITY";
		case AT_ForceRowSecurity:
			return "FORCE ROW LEVEL SECURITY";
		case AT_NoForceRowSecurity:
			return "NO FORCE ROW LEVEL SECURITY";
		case AT_ChangeOwner:
			return "OWNER TO";
		case AT_AddColumn:
			return "ADD COLUMN";
		case AT_DropColumn:
			return "DROP COLUMN";
		case AT_AlterColumnType:
			return "ALTER COLUMN TYPE";
		case AT_ColumnDefault:
			return "ALTER COLUMN DEFAULT";
		case AT_SetNotNull:
			return "ALTER COLUMN SET NOT NULL";
		case AT_DropNotNull:
			return "ALTER COLUMN DROP NOT NULL";
		case AT_AddConstraint:
			return "ADD CONSTRAINT";
		case AT_DropConstraint:
			return "DROP CONSTRAINT";
		case AT_SetUnLogged:
			return "SET UNLOGGED";
		case AT_SetLogged:
			return "SET LOGGED";
		default:
			return "ALTER";
	}
}

static char *
action_text(AlterTableCmd *action)
{
	const char *name = action->name ? quote_identifier(action->name) : "";

	switch (action->subtype)
	{
		case AT_EnableTrigAll:
		case AT_DisableTrigAll:
			name = "ALL";
			break;
		case AT_EnableTrigUser:
		case AT_DisableTrigUser:
			name = "USER";
			break;
		case AT_ChangeOwner:
			name = quote_identifier(pgcredit_configuration_role_name(action->newowner));
			break;
		case AT_AddColumn:
			name = quote_identifier(castNode(ColumnDef, action->def)->colname);
			break;
		default:
			break;
	}
	return psprintf("%s%s%s", action_words(action->subtype), name[0] ? " " : "", name);
}

static void
after_alter_table(ConfigurationCommand *command, AlterTableStmt *stmt, EntryMembers *members)
{
	ObjectAddress address;
	List	   *actions = NIL;
	ListCell   *lc;

	ObjectAddressSet(address, RelationRelationId, RangeVarGetRelid(stmt->relation, NoLock, true));
	if (!OidIsValid(address.objectId))
		return;
	(void) pgcredit_configuration_touch(command, &address, OBJECT_ALTERED);
	foreach(lc, stmt->cmds)
		actions = lappend(actions, pgcredit_configuration_json(action_text(lfirst_node(AlterTableCmd, lc))));
	pgcredit_configuration_list(members, "actions", actions);
}

/*
 * What COMMENT, SECURITY LABEL and ALTER EXTENSION ADD or DROP name.  The
 * command has the object locked, and it exists.  "ours": it is ours for being
 * named.
 */
static void
touch_named(ConfigurationCommand *command, ObjectType type, Node *object, bool ours)
{
	ObjectAddress address;
	Relation	rel = NULL;

	if (type == OBJECT_DATABASE || type == OBJECT_TABLESPACE || type == OBJECT_ROLE)
		return;
	address = get_object_address(type, object, &rel, AccessShareLock, true);
	if (rel)
		relation_close(rel, NoLock);
	if (OidIsValid(address.objectId))
		pgcredit_configuration_touch(command, &address, OBJECT_NAMED)->ours |= ours;
}

static bool
touch_extension(ConfigurationCommand *command, const char *name)
{
	ObjectAddress address;

	if (strcmp(name, "pgcredit") != 0)
		return false;
	ObjectAddressSet(address, ExtensionRelationId, command->extension);
	(void) pgcredit_configuration_touch(command, &address, OBJECT_ALTERED);
	return true;
}

/*
 * An object that the extension has no more may be ours no more; it is named all
 * the same.
 */
static void
after_extension_contents(ConfigurationCommand *command, AlterExtensionContentsStmt *stmt, EntryMembers *members)
{
	if (!touch_extension(command, stmt->extname))
		return;
	pgcredit_configuration_list(members, "actions",
								list_make1(pgcredit_configuration_json(stmt->action > 0 ? "ADD" : "DROP")));
	touch_named(command, stmt->objtype, stmt->object, true);
}

/*
 * A publication lets a subscriber read past every policy.
 */
static void
after_create_publication(ConfigurationCommand *command, CreatePublicationStmt *stmt)
{
	ObjectAddress address;
	ListCell   *lc;

	if (stmt->for_all_tables)
		pgcredit_configuration_name(command, "publication of all tables", stmt->pubname);
	foreach(lc, stmt->pubobjects)
	{
		PublicationObjSpec *spec = lfirst_node(PublicationObjSpec, lc);

		if (spec->pubobjtype == PUBLICATIONOBJ_TABLE)
			ObjectAddressSet(address, RelationRelationId, RangeVarGetRelid(spec->pubtable->relation, NoLock, true));
		else if (spec->pubobjtype == PUBLICATIONOBJ_TABLES_IN_SCHEMA)
			ObjectAddressSet(address, NamespaceRelationId, get_namespace_oid(spec->name, true));
		else
			ObjectAddressSet(address, NamespaceRelationId, command->schema);
		if (OidIsValid(address.objectId))
			(void) pgcredit_configuration_touch(command, &address, OBJECT_NAMED);
	}
}

void
pgcredit_configuration_stmt_before(ConfigurationCommand *command)
{
	VariableSetStmt *set = setting_of(command->stmt);

	if (set)
		command->concerns = set->kind == VAR_RESET_ALL || setting_concerns(set->name);
	else if (OidIsValid(command->extension))
		command->concerns = pgcredit_configuration_roles_concern(command->stmt, command->extension, command->schema);
}

/*
 * Add the members that the command itself gives, and touch what it names.
 */
void
pgcredit_configuration_stmt_after(ConfigurationCommand *command, EntryMembers *members)
{
	Node	   *stmt = command->stmt;
	VariableSetStmt *set = setting_of(stmt);

	if (set)
	{
		if (command->concerns)
			describe_setting(stmt, set, members);
		return;
	}
	switch (nodeTag(stmt))
	{
		case T_GrantStmt:
			after_grant(command, (GrantStmt *) stmt, members);
			break;
		case T_AlterDefaultPrivilegesStmt:
			after_default_privileges(command, (AlterDefaultPrivilegesStmt *) stmt, members);
			break;
		case T_AlterTableStmt:
			after_alter_table(command, (AlterTableStmt *) stmt, members);
			break;
		case T_CommentStmt:
			touch_named(command, ((CommentStmt *) stmt)->objtype, ((CommentStmt *) stmt)->object, false);
			break;
		case T_SecLabelStmt:
			touch_named(command, ((SecLabelStmt *) stmt)->objtype, ((SecLabelStmt *) stmt)->object, false);
			break;
		case T_AlterExtensionContentsStmt:
			after_extension_contents(command, (AlterExtensionContentsStmt *) stmt, members);
			break;
		case T_CreatePublicationStmt:
			after_create_publication(command, (CreatePublicationStmt *) stmt);
			break;
		default:
			if (pgcredit_configuration_describe_roles(stmt, members))
				command->concerns |= pgcredit_configuration_roles_concern(stmt, command->extension, command->schema);
			break;
	}
}
