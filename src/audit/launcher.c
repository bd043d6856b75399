/*
 * launcher.c
 *		Keeps one audit writer running in every database that has the extension.
 *
 * One launcher per cluster, connected to no database: it reads pg_database,
 * starts a writer in each database once after the server's start (a writer
 * that finds no extension leaves), and later wherever CREATE EXTENSION or a
 * waiting reader asks, or where a writer has died.  It is not started on a
 * standby: there is nothing to write there.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "audit/audit_internal.h"
#include "audit/stat.h"
#include "core/core.h"

/* How often to look for writers that died. */
#define TURN_MS 1000L
/* A writer that could not be started or did not stay is tried again after this. */
#define RETRY_MS 200L
/* How often to look for databases that appeared without CREATE EXTENSION. */
#define LOOK_MS 60000L

typedef struct Started
{
	Oid			dbid;
	BackgroundWorkerHandle *handle; /* NULL before the first try */
	bool		wanted;			/* somebody asked, and it is not started yet */
	TimestampTz tried;			/* when it was last started */
} Started;

static List *started = NIL;		/* of Started, in TopMemoryContext */

void
pgcredit_launcher_register(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "pgcredit");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "pgcredit_launcher_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "pgcredit launcher");
	snprintf(worker.bgw_type, BGW_MAXLEN, "pgcredit launcher");
	RegisterBackgroundWorker(&worker);
}

static BackgroundWorkerHandle *
start_writer(Oid dbid)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;
	MemoryContext old;
	bool		ok;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(dbid);
	worker.bgw_notify_pid = MyProcPid;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "pgcredit");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "pgcredit_writer_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "pgcredit writer of database %u", dbid);
	snprintf(worker.bgw_type, BGW_MAXLEN, "pgcredit writer");

	old = MemoryContextSwitchTo(TopMemoryContext);
	ok = RegisterDynamicBackgroundWorker(&worker, &handle);
	MemoryContextSwitchTo(old);
	return ok ? handle : NULL;
}

/*
 * Oids of all databases, and of those one can connect to, in the caller's
 * memory context.
 */
static List *
databases(List **connectable)
{
	List	   *dbids = NIL;
	MemoryContext result = CurrentMemoryContext;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database db = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;

		old = MemoryContextSwitchTo(result);
		dbids = lappend_oid(dbids, db->oid);
		if (db->datallowconn && db->datconnlimit != DATCONNLIMIT_INVALID_DB)
			*connectable = lappend_oid(*connectable, db->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(result);
	return dbids;
}

static Started *
find_started(Oid dbid)
{
	ListCell   *lc;

	foreach(lc, started)
	{
		Started    *s = (Started *) lfirst(lc);

		if (s->dbid == dbid)
			return s;
	}
	return NULL;
}

/*
 * Note that the database is to have a writer.
 */
static void
want_writer(Oid dbid)
{
	Started    *s = find_started(dbid);

	if (s == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		s = palloc0(sizeof(Started));
		s->dbid = dbid;
		started = lappend(started, s);
		MemoryContextSwitchTo(old);
	}
	s->wanted = true;
}

/*
 * Start a writer unless the last one started serves the database.  One that is
 * there and does not serve is on its way in or out: the wish is kept until it
 * is known which.  A writer that does not stay is not started more often than
 * every RETRY_MS, however many ask.
 */
static void
ensure_writer(Started *s)
{
	pid_t		pid;
	TimestampTz now = GetCurrentTimestamp();

	if (s->handle != NULL && GetBackgroundWorkerPid(s->handle, &pid) != BGWH_STOPPED)
	{
		s->wanted = !pgcredit_queue_served(s->dbid);
		return;
	}
	if (!TimestampDifferenceExceeds(s->tried, now, RETRY_MS))
		return;
	if (s->handle != NULL)
		pfree(s->handle);
	s->handle = start_writer(s->dbid);
	s->tried = now;
	s->wanted = false;
	if (s->handle == NULL)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker left for the audit writer of database %u", s->dbid),
				 errhint("Raise max_worker_processes.")));
}

/*
 * Forget databases that are gone, so that the list does not grow for ever.
 */
static void
forget_dropped(List *present)
{
	ListCell   *lc;

	foreach(lc, started)
	{
		Started    *s = (Started *) lfirst(lc);

		if (list_member_oid(present, s->dbid))
			continue;
		pgcredit_queue_unbar(s->dbid, true);
		if (s->handle)
			pfree(s->handle);
		pfree(s);
		started = foreach_delete_current(started, lc);
	}
}

static bool
any_wanted(void)
{
	ListCell   *lc;

	foreach(lc, started)
		if (((Started *) lfirst(lc))->wanted)
			return true;
	return false;
}

/*
 * One turn: start what was asked for and what died; every now and then, look
 * for databases not seen before.
 */
static void
one_turn(bool look)
{
	List	   *asked = pgcredit_queue_databases_to_start();
	List	   *connectable = NIL;
	ListCell   *lc;

	if (asked == NIL && !look && !any_wanted())
		return;
	forget_dropped(databases(&connectable));
	foreach(lc, connectable)
	{
		Oid			dbid = lfirst_oid(lc);

		if (list_member_oid(asked, dbid) || (look && find_started(dbid) == NULL))
			want_writer(dbid);
	}
	foreach(lc, started)
	{
		Started    *s = (Started *) lfirst(lc);

		if (s->wanted && list_member_oid(connectable, s->dbid))
			ensure_writer(s);
	}
}

void
pgcredit_launcher_main(Datum arg)
{
	MemoryContext turn;
	TimestampTz next_look = 0;

	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgcredit_launcher_register_pid();
	turn = AllocSetContextCreate(TopMemoryContext, "pgcredit launcher",
								 ALLOCSET_DEFAULT_SIZES);

	while (!ShutdownRequestPending)
	{
		TimestampTz now = GetCurrentTimestamp();
		bool		look = now >= next_look;

		if (look)
			next_look = TimestampTzPlusMilliseconds(now, LOOK_MS);
		MemoryContextReset(turn);
		MemoryContextSwitchTo(turn);
		one_turn(look);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 any_wanted() ? RETRY_MS : TURN_MS,
						 pgcredit_audit_wait(AUDIT_WAIT_LAUNCHER_IDLE));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	/* With 0 the postmaster would not start it again. */
	proc_exit(1);
}
