/*
 * configuration.c
 *		Entries of kind "configuration": one for each command that changed what
 *		the platform is or who may do what in it.
 *
 * Two hooks of PostgreSQL see to it, wherever the command comes from: SPI, a DO
 * block, an extension's script.  The utility hook brackets each command that
 * PostgreSQL counts among DDL; within the bracket the object access hook says
 * which objects it creates, alters and drops, also by cascade, and what it says
 * nothing of is read from the command (configuration_stmt.c).  No SQL can
 * switch them off, as it can a trigger.  A command within a command is its own,
 * but for the parts that PostgreSQL itself makes of one.
 *
 * Ours are the extension, its members, schema credit and what is in it, and what
 * hangs on a table of ours: triggers, policies, rules, constraints, indexes,
 * publications.
 *
 * The entry goes into the outbox in the command's transaction, so it is in the
 * log if and only if the command commits (P4).  When it cannot be written, a
 * command that would change the configuration fails; no other does.  The one
 * command that no rollback undoes, ALTER SYSTEM, has its entry written first.
 *
 * CREATE EXTENSION and ALTER EXTENSION UPDATE are one entry with the digest of
 * what was installed, not one for each statement of the script.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "audit/configuration.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_note_installed);

static ConfigurationCommand *current = NULL;	/* innermost command under way */

/* ---------------------------------------------------------------------------
 * Objects
 * ---------------------------------------------------------------------------
 */

/*
 * Does one row of pg_depend make its object ours?
 */
static bool
depends_on_ours(Form_pg_depend depend, Oid extension, Oid schema)
{
	if (depend->refclassid == NamespaceRelationId)
		return depend->refobjid == schema;
	if (depend->refclassid == ExtensionRelationId)
		return depend->refobjid == extension && depend->deptype == DEPENDENCY_EXTENSION;
	/* part of a table of ours; its row type says nothing that it does not */
	return depend->refclassid == RelationRelationId && depend->classid != TypeRelationId &&
		depend->deptype != DEPENDENCY_NORMAL &&
		get_rel_namespace(depend->refobjid) == schema;
}

bool
pgcredit_configuration_ours(const ObjectAddress *address, Oid extension, Oid schema)
{
	Relation	rel;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		ours = false;

	if (address->classId == ExtensionRelationId)
		return address->objectId == extension;
	if (address->classId == NamespaceRelationId)
		return address->objectId == schema;
	if (address->classId == RelationRelationId &&
		get_rel_namespace(address->objectId) == PG_TOAST_NAMESPACE)
		return false;
	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(address->classId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(address->objectId));
	scan = systable_beginscan(rel, DependDependerIndexId, true, NULL, 2, key);
	while (!ours && HeapTupleIsValid(tuple = systable_getnext(scan)))
		ours = depends_on_ours((Form_pg_depend) GETSTRUCT(tuple), extension, schema);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return ours;
}

/*
 * What an object is called, as pg_identify_object says it; NULL when it is not
 * there.  While a type is dropped with the functions that serve it, it may go
 * before them, and the server's function for this then finds it missing.
 */
static char *
identity_of(const ObjectAddress *address)
{
	StringInfoData buf;
	HeapTuple	tuple;
	Form_pg_proc proc;

	if (address->classId != ProcedureRelationId)
		return getObjectIdentity(address, true);
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(address->objectId));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	initStringInfo(&buf);
	appendStringInfo(&buf, "%s(",
					 quote_qualified_identifier(get_namespace_name(proc->pronamespace), NameStr(proc->proname)));
	for (int k = 0; k < proc->pronargs; k++)
		appendStringInfo(&buf, "%s%s", k == 0 ? "" : ",",
						 format_type_extended(proc->proargtypes.values[k], -1,
											  FORMAT_TYPE_ALLOW_INVALID | FORMAT_TYPE_FORCE_QUALIFY));
	appendStringInfoChar(&buf, ')');
	ReleaseSysCache(tuple);
	return buf.data;
}

static TouchedObject *
find_touched(ConfigurationCommand *command, const ObjectAddress *address)
{
	ListCell   *lc;

	foreach(lc, command->touched)
	{
		TouchedObject *object = lfirst(lc);

		if (object->address.objectId == address->objectId &&
			object->address.classId == address->classId &&
			object->address.objectSubId == address->objectSubId)
			return object;
	}
	return NULL;
}

/*
 * Note that the command touches an object, and what the object is called as the
 * catalogue still has it.
 */
TouchedObject *
pgcredit_configuration_touch(ConfigurationCommand *command, const ObjectAddress *address, ObjectChange change)
{
	TouchedObject *object = find_touched(command, address);
	MemoryContext old;

	if (object)
	{
		if (change == OBJECT_DROPPED)
			object->change = change;
		return object;
	}
	old = MemoryContextSwitchTo(command->context);
	object = palloc0(sizeof(TouchedObject));
	object->address = *address;
	object->change = change;
	if (pgcredit_configuration_ours(address, command->extension, command->schema))
	{
		object->ours = true;
		object->before = identity_of(address);
		object->type = getObjectTypeDescription(address, true);
	}
	command->touched = lappend(command->touched, object);
	MemoryContextSwitchTo(old);
	return object;
}

/*
 * Note an object that the command creates.  What it is shows only afterwards;
 * there may be very many that are none of ours.
 */
static void
note_created(const ObjectAddress *address)
{
	MemoryContext old = MemoryContextSwitchTo(current->context);
	ObjectAddress *created = palloc(sizeof(ObjectAddress));

	*created = *address;
	current->created = lappend(current->created, created);
	MemoryContextSwitchTo(old);
}

/*
 * Note something that has no address, but a name.
 */
void
pgcredit_configuration_name(ConfigurationCommand *command, const char *type, const char *identity)
{
	MemoryContext old = MemoryContextSwitchTo(command->context);
	TouchedObject *object = palloc0(sizeof(TouchedObject));

	object->address = InvalidObjectAddress;
	object->ours = true;
	object->type = pstrdup(type);
	object->after = pstrdup(identity);
	command->touched = lappend(command->touched, object);
	MemoryContextSwitchTo(old);
}

/*
 * The object access hook: within a command, what it did.  The change is not
 * visible to catalogue scans yet, so what is altered or dropped still has its
 * old name, and what is created has none.  Of what is not ours only that is
 * kept which the command may put into our schema.
 */
void
pgcredit_configuration_note(ObjectAccessType access, Oid classId, Oid objectId, int subId)
{
	ObjectAddress address;

	if (current == NULL || IsSharedRelation(classId) || classId == DefaultAclRelationId ||
		!OidIsValid(current->extension) || current->from_version)
		return;
	ObjectAddressSubSet(address, classId, objectId, subId);
	if (access == OAT_POST_CREATE)
		note_created(&address);
	else if ((access == OAT_POST_ALTER || access == OAT_DROP) &&
			 (IsA(current->stmt, AlterObjectSchemaStmt) ||
			  pgcredit_configuration_ours(&address, current->extension, current->schema)))
		(void) pgcredit_configuration_touch(current, &address,
											access == OAT_DROP ? OBJECT_DROPPED : OBJECT_ALTERED);
}

/*
 * What the command created: ours if it still is there and is; what it only had
 * for a while was not touched.
 */
static void
settle_created(ConfigurationCommand *command)
{
	ListCell   *lc;

	foreach(lc, command->created)
	{
		ObjectAddress *address = lfirst(lc);
		TouchedObject *object = find_touched(command, address);
		bool		ours = pgcredit_configuration_ours(address, command->extension, command->schema);

		if (object && !ours)
			command->touched = list_delete_ptr(command->touched, object);
		if (!ours)
			continue;
		object = pgcredit_configuration_touch(command, address, OBJECT_CREATED);
		object->change = OBJECT_CREATED;
		object->before = NULL;
	}
}

/*
 * After the command: keep what is ours, before or now, with its name now.
 */
static void
settle_touched(ConfigurationCommand *command)
{
	ListCell   *lc;

	settle_created(command);
	foreach(lc, command->touched)
	{
		TouchedObject *object = lfirst(lc);

		if (OidIsValid(object->address.objectId) && object->change != OBJECT_DROPPED)
		{
			object->after = identity_of(&object->address);
			if (object->after && object->type == NULL)
				object->type = getObjectTypeDescription(&object->address, true);
			if (object->after && !object->ours)
				object->ours = pgcredit_configuration_ours(&object->address, command->extension, command->schema);
		}
		if (!object->ours || object->type == NULL || (object->before == NULL && object->after == NULL))
			command->touched = foreach_delete_current(command->touched, lc);
	}
}

/* ---------------------------------------------------------------------------
 * Commands
 * ---------------------------------------------------------------------------
 */

static char *
extension_version(Oid extension)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(rel), &isnull);

		if (!isnull)
			version = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return version;
}

static bool
is_own_script(Oid extension)
{
	return creating_extension && OidIsValid(extension) && CurrentExtensionObject == extension;
}

/*
 * Is this a command that can change configuration?  Asked of every utility
 * command; no look at the catalogue before it is known to be one of DDL, since
 * ROLLBACK comes here too.
 */
static bool
may_concern(Node *stmt)
{
	if (GetCommandLogLevel(stmt) != LOGSTMT_DDL && !pgcredit_configuration_sets_triggers(stmt))
		return false;
	if (IsA(stmt, ClusterStmt) || IsA(stmt, RefreshMatViewStmt))
		return false;
	return IsTransactionState() && !RecoveryInProgress();
}

/*
 * Only one transaction at a time may have changed code and not be over: the
 * next one's digest must hold what this one did.  The lock is kept until then.
 */
static void
add_code(EntryMembers *members, Oid extension)
{
	LockDatabaseObject(ExtensionRelationId, extension, 0, ShareUpdateExclusiveLock);
	pgcredit_configuration_text(members, "code", pgcredit_code_digest());
}

/*
 * A transaction that may only read may still give ALTER SYSTEM, which is how
 * one gets out of default_transaction_read_only.
 */
static void
write_entry(EntryMembers *members, const char *operation)
{
	bool		read_only = XactReadOnly;

	pgcredit_configuration_text(members, "kind", "configuration");
	pgcredit_configuration_text(members, "operation", operation);
	XactReadOnly = false;		/* an error's rollback restores it */
	pgcredit_audit_note_members(members->items, members->n);
	XactReadOnly = read_only;
}

static void
write_extension_entry(const char *operation, const char *from_version, Oid extension)
{
	EntryMembers members = {0};

	if (from_version)
		pgcredit_configuration_text(&members, "from_version", from_version);
	pgcredit_configuration_text(&members, "to_version", extension_version(extension));
	add_code(&members, extension);
	write_entry(&members, operation);
}

/*
 * Write the entry of a command that succeeded, if it concerns the platform.
 */
static void
record(ConfigurationCommand *command)
{
	Oid			extension = get_extension_oid("pgcredit", true);
	EntryMembers members = {0};

	/* Gone, and the log with it. */
	if (!OidIsValid(extension) ||
		(OidIsValid(command->extension) && command->extension != extension))
		return;
	if (!OidIsValid(command->extension) || command->from_version)
	{
		write_extension_entry(command->operation, command->from_version, extension);
		return;
	}
	pgcredit_configuration_stmt_after(command, &members);
	settle_touched(command);
	if (command->touched == NIL && !command->concerns)
		return;
	pgcredit_configuration_objects(&members, command->touched);
	if (pgcredit_configuration_changes_code(command))
		add_code(&members, extension);
	write_entry(&members, command->operation);
}

/*
 * ALTER SYSTEM, which no rollback undoes, has its entry written first.  It is
 * alone in its transaction, which writes nothing else; so that it does not hang
 * on a standby that is gone, from which it may be the way out, its commit waits
 * for the local flush only.
 */
static void
record_before(ConfigurationCommand *command)
{
	(void) set_config_option("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	record(command);
}

/*
 * DROP EXTENSION takes the log with it, so there is nothing to write it into.
 */
static bool
drops_extension(Node *stmt)
{
	ListCell   *lc;

	if (!IsA(stmt, DropStmt) || ((DropStmt *) stmt)->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, ((DropStmt *) stmt)->objects)
	{
		if (strcmp(strVal(lfirst(lc)), "pgcredit") == 0)
			return true;
	}
	return false;
}

/*
 * Begin a command; NULL when it needs no bracket.
 */
ConfigurationCommand *
pgcredit_configuration_begin(Node *stmt, ProcessUtilityContext context)
{
	ConfigurationCommand *command;
	MemoryContext memory;
	MemoryContext old;
	Oid			schema;
	Oid			extension = InvalidOid;

	if (!may_concern(stmt) || drops_extension(stmt) || (context == PROCESS_UTILITY_SUBCOMMAND && current && !IsA(stmt, GrantStmt)))
		return NULL;
	schema = pgcredit_schema_oid(true);
	if (OidIsValid(schema))
		extension = get_extension_oid("pgcredit", true);
	if ((!OidIsValid(extension) && !IsA(stmt, CreateExtensionStmt)) || is_own_script(extension))
		return NULL;

	/* Commands that commit in between keep their caller's memory. */
	memory = AllocSetContextCreate(CurrentMemoryContext, "pgcredit configuration", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(memory);
	command = palloc0(sizeof(ConfigurationCommand));
	command->context = memory;
	command->stmt = copyObject(stmt);
	command->operation = CreateCommandName(stmt);
	command->extension = extension;
	command->schema = schema;
	if (IsA(stmt, AlterExtensionStmt) && strcmp(((AlterExtensionStmt *) stmt)->extname, "pgcredit") == 0)
		command->from_version = extension_version(extension);
	pgcredit_configuration_stmt_before(command);
	if (IsA(stmt, AlterSystemStmt) && command->concerns)
		record_before(command);
	MemoryContextSwitchTo(old);
	command->outer = current;
	current = command;
	return command;
}

/*
 * The command has run, or failed: what comes now is not its doing.
 */
void
pgcredit_configuration_leave(ConfigurationCommand *command)
{
	current = command->outer;
}

/*
 * After a command that succeeded.  The entry of ALTER SYSTEM is there already.
 */
void
pgcredit_configuration_finish(ConfigurationCommand *command)
{
	MemoryContext old;

	if (IsA(command->stmt, AlterSystemStmt))
		return;
	old = MemoryContextSwitchTo(command->context);
	CommandCounterIncrement();
	record(command);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(command->context);
}

/*
 * credit._note_installed() returns void: the last line of a script that
 * installs or updates the extension; it writes the entry where the hooks are
 * not there to do so, since the library is not preloaded.
 */
Datum
pgcredit_note_installed(PG_FUNCTION_ARGS)
{
	Oid			extension = get_extension_oid("pgcredit", true);

	if (current == NULL && is_own_script(extension))
		write_extension_entry(pgcredit_code_expected(0, 0) ? "ALTER EXTENSION" : "CREATE EXTENSION",
							  NULL, extension);
	PG_RETURN_VOID();
}
