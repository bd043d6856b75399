/*
 * folder.c
 *		The process that folds deltas into cells.
 *
 * Nothing depends on it but speed: a read adds to the cells what is not folded.
 * So it is not kept running but started by whoever commits deltas, or a change of
 * the tree of regions, while none is there, one for each database, and it leaves
 * when it has had nothing to do for a while.  Without preloading there is none,
 * and credit.fold_measures() does it.
 *
 * It also gives the ledgers partitions for the coming months, once it has seen
 * that somebody writes to them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit/audit.h"
#include "core/core.h"
#include "target/measure.h"
#include "target/target.h"

#define DATABASES_MOST	64
/* How long it waits between two turns, and how many idle turns it stays. */
#define TURN_MS			200L
#define IDLE_TURNS		10
/* One that did not stay is not started more often than this. */
#define RETRY_MS		1000
/* How often it looks for partitions to make, while it runs. */
#define EXTEND_MS		60000

typedef struct Place
{
	Oid			dbid;			/* InvalidOid: free */
	int			pid;			/* 0: none runs */
	TimestampTz tried;			/* when one was last started, or wanted while it ran */
} Place;

typedef struct Folders
{
	slock_t		mutex;			/* all of it */
	Place		places[DATABASES_MOST];
} Folders;

extern PGDLLEXPORT void pgcredit_folder_main(Datum arg);

PG_FUNCTION_INFO_V1(pgcredit_want_folder);

static Folders *folders = NULL;
static bool wanted = false;		/* this transaction has appended */

Size
pgcredit_target_shmem_size(void)
{
	return MAXALIGN(sizeof(Folders));
}

void
pgcredit_target_shmem_init(void)
{
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	folders = ShmemInitStruct("pgcredit folders", sizeof(Folders), &found);
	if (!found)
	{
		memset(folders, 0, sizeof(Folders));
		SpinLockInit(&folders->mutex);
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * The place of a database, taken if there is none yet and one is free; the caller
 * holds the mutex.  A place without a process is as good as free.
 */
static Place *
place_of(Oid dbid)
{
	Place	   *unused = NULL;

	for (int i = 0; i < DATABASES_MOST; i++)
	{
		if (folders->places[i].dbid == dbid)
			return &folders->places[i];
		if (unused == NULL && folders->places[i].pid == 0)
			unused = &folders->places[i];
	}
	if (unused != NULL)
	{
		memset(unused, 0, sizeof(Place));
		unused->dbid = dbid;
	}
	return unused;
}

static void
start_folder(void)
{
	BackgroundWorker worker;
	TimestampTz now = GetCurrentTimestamp();
	Place	   *place;
	bool		start;

	SpinLockAcquire(&folders->mutex);
	place = place_of(MyDatabaseId);
	start = place != NULL && place->pid == 0 && now >= place->tried + RETRY_MS * INT64CONST(1000);
	/* One that runs stays for what is about to be committed. */
	if (start || (place != NULL && place->pid != 0))
		place->tried = now;
	SpinLockRelease(&folders->mutex);
	if (!start)
		return;
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "pgcredit");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "pgcredit_folder_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "pgcredit folder of database %u", MyDatabaseId);
	snprintf(worker.bgw_type, BGW_MAXLEN, "pgcredit folder");
	/* Without a free process the deltas wait for the next who commits some. */
	(void) RegisterDynamicBackgroundWorker(&worker, NULL);
}

static void
at_end(XactEvent event, void *arg)
{
	if (wanted && (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE))
		start_folder();
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
		wanted = false;
}

/*
 * This transaction has appended deltas: have them folded once it commits.
 */
void
pgcredit_folder_wanted(void)
{
	wanted = folders != NULL;
}

/*
 * credit._want_folder(): the same for what SQL has appended.
 */
Datum
pgcredit_want_folder(PG_FUNCTION_ARGS)
{
	pgcredit_folder_wanted();
	PG_RETURN_VOID();
}

void
pgcredit_target_init(void)
{
	RegisterXactCallback(at_end, NULL);
	pgcredit_kept_init();
}

static void
gone(int code, Datum arg)
{
	SpinLockAcquire(&folders->mutex);
	for (int i = 0; i < DATABASES_MOST; i++)
		if (folders->places[i].pid == MyProcPid)
			folders->places[i].pid = 0;
	SpinLockRelease(&folders->mutex);
}

/*
 * Give up the place, unless somebody has just wanted a folder.
 */
static bool
may_leave(Place *place)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		leave;

	SpinLockAcquire(&folders->mutex);
	leave = now >= place->tried + IDLE_TURNS * TURN_MS * INT64CONST(1000);
	if (leave)
		place->pid = 0;
	SpinLockRelease(&folders->mutex);
	return leave;
}

/*
 * The value of an expression, in a transaction of its own; 0 without the
 * extension, which is told by "here".
 */
static int64
turn(const char *activity, const char *command, bool *here)
{
	int64		n = 0;
	bool		isnull;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	*here = OidIsValid(pgcredit_relation_oid("_measure_delta", true));
	if (*here)
	{
		pgstat_report_activity(STATE_RUNNING, activity);
		SPI_connect();
		if (SPI_execute(command, false, 0) != SPI_OK_SELECT || SPI_processed != 1)
			elog(ERROR, "failed at %s", activity);
		n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		SPI_finish();
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return n;
}

/*
 * Partitions for the coming months, once in a while; at most one a turn, so that
 * folding goes on between them.
 */
static bool
extend(TimestampTz *due, bool *here)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		made;

	if (now < *due)
		return false;
	made = turn("making partitions", "SELECT credit._extend_ahead()::integer::bigint", here) > 0;
	if (!made)
		*due = TimestampTzPlusMilliseconds(now, EXTEND_MS);
	return made;
}

void
pgcredit_folder_main(Datum arg)
{
	Oid			dbid = DatumGetObjectId(arg);
	Place	   *place;
	bool		mine;
	bool		here = true;
	bool		busy;
	bool		written = false;	/* somebody writes to the ledgers */
	int			idle = 0;
	TimestampTz extension_due = 0;

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(dbid, InvalidOid, 0);
	SpinLockAcquire(&folders->mutex);
	place = place_of(dbid);
	mine = place != NULL && place->pid == 0;
	if (mine)
		place->pid = MyProcPid;
	SpinLockRelease(&folders->mutex);
	if (!mine)
		proc_exit(0);
	before_shmem_exit(gone, (Datum) 0);
	/* Whatever the database or the role say: committed deltas stay committed when they are cells. */
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "500ms", PGC_SUSET, PGC_S_OVERRIDE);
	/* Out of the way of who wants the database for itself; what waits is folded when it is next written to. */
	while (here && pgcredit_audit_database_open() && (idle < IDLE_TURNS || !may_leave(place)))
	{
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		busy = turn("folding measures", "SELECT credit.fold_measures()", &here) > 0;
		written = written || busy;
		/* A change of regions alone is no reason to make them. */
		if (here && written && extend(&extension_due, &here))
			busy = true;
		idle = busy ? 0 : idle + 1;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, TURN_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	if (!here)
	{
		/* It came before the transaction that wanted it has committed CREATE EXTENSION: let the next start one at once. */
		SpinLockAcquire(&folders->mutex);
		place->tried = 0;
		SpinLockRelease(&folders->mutex);
	}
	proc_exit(0);
}
