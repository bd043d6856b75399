/*
 * transaction.c
 *		Where the log meets transactions and commands: waking the writer after a
 *		commit that left rows in the outbox, starting it after CREATE EXTENSION,
 *		sending it away after DROP EXTENSION and before DROP DATABASE; and
 *		recording commands that change the configuration.
 *
 * What is noted during a transaction takes effect in its commit callback, that
 * is, when it is durable, and is forgotten when it aborts or is prepared.  A
 * savepoint that is rolled back may leave a note; the writer then looks and
 * finds nothing.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"

#include "audit/audit_internal.h"
#include "audit/configuration.h"
#include "core/core.h"

static bool outbox_written = false;
static bool extension_created = false;
static bool extension_dropped = false;

static object_access_hook_type prev_object_access = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

PG_FUNCTION_INFO_V1(pgcredit_start_writer);

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (!outbox_written && !extension_created && !extension_dropped)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (extension_created)
				pgcredit_queue_request_writer(MyDatabaseId);
			if (extension_dropped)
				pgcredit_queue_wake_writer(MyDatabaseId);
			if (outbox_written)
				pgcredit_queue_flag_outbox(MyDatabaseId);
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:	/* see prepared_was_committed */
			break;
		default:
			return;
	}
	outbox_written = extension_created = extension_dropped = false;
}

void
pgcredit_audit_transaction_init(void)
{
	RegisterXactCallback(at_end_of_transaction, NULL);
}

/*
 * A row went into the outbox: the writer is to look when this commits.
 */
void
pgcredit_audit_note_outbox(void)
{
	outbox_written = true;
}

bool
pgcredit_extension_installed(void)
{
	return OidIsValid(get_extension_oid("pgcredit", true));
}

/*
 * credit._start_writer() returns void: called by the install script, so that
 * the writer is there when CREATE EXTENSION has committed.
 */
Datum
pgcredit_start_writer(PG_FUNCTION_ARGS)
{
	extension_created = true;
	PG_RETURN_VOID();
}

static void
note_drop(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, classId, objectId, subId, arg);
	pgcredit_configuration_note(access, classId, objectId, subId);
	if (access == OAT_DROP && classId == ExtensionRelationId &&
		objectId == get_extension_oid("pgcredit", true))
		extension_dropped = true;
}

static DefElem *
command_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return option;
	}
	return NULL;
}

/*
 * The database that a command needs for itself, if the present role may give
 * such a command; InvalidOid for every other command.  A role that may not is
 * left to be refused by the command itself: it must not be able to send
 * somebody's writer away.
 */
static Oid
database_wanted_alone(Node *stmt)
{
	const char *name = NULL;
	DefElem    *template;
	Oid			dbid;

	switch (nodeTag(stmt))
	{
		case T_DropdbStmt:
			name = ((DropdbStmt *) stmt)->dbname;
			break;
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType == OBJECT_DATABASE)
				name = ((RenameStmt *) stmt)->subname;
			break;
		case T_AlterDatabaseStmt:
			if (command_option(((AlterDatabaseStmt *) stmt)->options, "tablespace"))
				name = ((AlterDatabaseStmt *) stmt)->dbname;
			break;
		case T_CreatedbStmt:
			template = command_option(((CreatedbStmt *) stmt)->options, "template");
			if (template)
				name = defGetString(template);
			break;
		default:
			break;
	}
	if (name == NULL)
		return InvalidOid;
	dbid = get_database_oid(name, true);
	if (!OidIsValid(dbid) || dbid == MyDatabaseId ||
		!pgcredit_owns_database(dbid, GetUserId()))
		return InvalidOid;
	return dbid;
}

static bool
is_commit_prepared(Node *stmt)
{
	return IsA(stmt, TransactionStmt) &&
		((TransactionStmt *) stmt)->kind == TRANS_STMT_COMMIT_PREPARED;
}

/*
 * What another transaction did has been committed, and no callback tells what
 * that was: it may have left rows in the outbox, created the extension or
 * dropped it.
 */
static void
prepared_was_committed(void)
{
	if (pgcredit_extension_installed())
		pgcredit_queue_flag_outbox(MyDatabaseId);
	else
		pgcredit_queue_wake_writer(MyDatabaseId);
}

/*
 * Run a command, with the writer of a database that it needs for itself away.
 */
static void
run_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	Oid			dbid = database_wanted_alone(pstmt->utilityStmt);
	bool		dropped = OidIsValid(dbid) && IsA(pstmt->utilityStmt, DropdbStmt);
	ProcessUtility_hook_type next = prev_process_utility ? prev_process_utility :
		standard_ProcessUtility;

	if (!OidIsValid(dbid))
	{
		next(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
		if (is_commit_prepared(pstmt->utilityStmt))
			prepared_was_committed();
		return;
	}
	PG_TRY();
	{
		pgcredit_queue_bar(dbid);
		next(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	}
	PG_CATCH();
	{
		pgcredit_queue_unbar(dbid, false);
		PG_RE_THROW();
	}
	PG_END_TRY();
	pgcredit_queue_unbar(dbid, dropped);
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	ConfigurationCommand *command = pgcredit_configuration_begin(pstmt->utilityStmt, context);

	if (command == NULL)
	{
		run_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
		return;
	}
	PG_TRY();
	{
		run_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	}
	PG_FINALLY();
	{
		pgcredit_configuration_leave(command);
	}
	PG_END_TRY();
	pgcredit_configuration_finish(command);
}

void
pgcredit_audit_hooks_init(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = note_drop;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
