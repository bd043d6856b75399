/*
 * marked.c
 *		The process of a database that rates marked subjects anew.
 *
 * It is there only while a model is dynamic (credit.rating_dynamic) or marks are
 * left: the audit writer starts it, once after the server's start to look, and
 * whenever credit.set_dynamic asked for it or it has died.  A mark is there if and
 * only if its change has committed, and goes in the transaction that rates, so a
 * crash neither loses a mark nor rates twice for it.
 *
 * It gathers for half of pgcredit.rating_delay, so that many changes of a subject
 * are one rating, and has the other half to do it.
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
#include "storage/spin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "audit/audit.h"
#include "core/core.h"
#include "rating/rating.h"

#define PLACES 256
#define TURN_MS 1000L
/* Marks taken in one transaction: it must not keep DROP DATABASE waiting. */
#define MARKS_AT_ONCE 1000

PG_FUNCTION_INFO_V1(pgcredit_rating_ask_worker);

PGDLLEXPORT void pgcredit_rating_worker_main(Datum arg);

typedef struct Place
{
	Oid			dbid;			/* InvalidOid when free */
	bool		wanted;			/* there may be something to do */
	int			pid;			/* of the worker, 0 when there is none */
} Place;

typedef struct Places
{
	slock_t		mutex;			/* protects all that follows */
	Place		places[PLACES];
} Places;

static Places *shared = NULL;	/* NULL when the library is not preloaded */
static int	rating_delay_ms = 10000;
static bool ask_at_commit = false;
static int	last_failure = 0;	/* SQLSTATE that was logged last */

Size
pgcredit_rating_shmem_size(void)
{
	return MAXALIGN(sizeof(Places));
}

void
pgcredit_rating_shmem_init(void)
{
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("pgcredit rating", sizeof(Places), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(Places));
		SpinLockInit(&shared->mutex);
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * The database's place, a new one that is wanted where it has none; NULL when
 * all are taken.  The caller holds the mutex.
 */
static Place *
place_of(Oid dbid)
{
	Place	   *empty = NULL;

	for (int i = 0; i < PLACES; i++)
	{
		if (shared->places[i].dbid == dbid)
			return &shared->places[i];
		if (empty == NULL && !OidIsValid(shared->places[i].dbid))
			empty = &shared->places[i];
	}
	if (empty != NULL)
	{
		empty->dbid = dbid;
		empty->wanted = true;
		empty->pid = 0;
	}
	return empty;
}

static bool
set_wanted(bool wanted)
{
	Place	   *place;
	bool		was = true;

	SpinLockAcquire(&shared->mutex);
	place = place_of(MyDatabaseId);
	if (place != NULL)
	{
		was = place->wanted;
		place->wanted = wanted;
	}
	SpinLockRelease(&shared->mutex);
	return was;
}

/* ---------------------------------------------------------------------------
 * Starting it
 * ---------------------------------------------------------------------------
 */

/*
 * Called by the audit writer of this database now and then.
 */
static void
ensure_worker(void)
{
	static TimestampTz tried = 0;
	static BackgroundWorkerHandle *handle = NULL;
	static bool complained = false;
	TimestampTz now = GetCurrentTimestamp();
	BackgroundWorker worker;
	Place	   *place;
	bool		start;
	pid_t		pid;

	if (!TimestampDifferenceExceeds(tried, now, TURN_MS))
		return;
	tried = now;
	SpinLockAcquire(&shared->mutex);
	place = place_of(MyDatabaseId);
	start = place != NULL && place->wanted && place->pid == 0;
	SpinLockRelease(&shared->mutex);
	if (!start)
		return;
	if (handle != NULL)
	{
		if (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED)
			return;
		pfree(handle);
		handle = NULL;
	}
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "pgcredit");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "pgcredit_rating_worker_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "pgcredit rating of database %u", MyDatabaseId);
	snprintf(worker.bgw_type, BGW_MAXLEN, "pgcredit rating");
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
		bool		ok = RegisterDynamicBackgroundWorker(&worker, &handle);

		MemoryContextSwitchTo(old);
		if (ok || complained)
			return;
	}
	handle = NULL;
	complained = true;
	ereport(LOG,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no background worker left for the ratings of database %u", MyDatabaseId),
			 errhint("Raise max_worker_processes.")));
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (!ask_at_commit)
		return;
	if (event == XACT_EVENT_COMMIT)
		(void) set_wanted(true);
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		ask_at_commit = false;
}

/*
 * credit._rating_ask_worker(required boolean) returns void.  55000 when it is
 * required and the library is not preloaded.
 */
Datum
pgcredit_rating_ask_worker(PG_FUNCTION_ARGS)
{
	if (shared == NULL && PG_GETARG_BOOL(0))
		pgcredit_require_preloaded("rating subjects anew when something changes");
	ask_at_commit = shared != NULL;
	PG_RETURN_VOID();
}

void
pgcredit_rating_init(void)
{
	DefineCustomIntVariable("pgcredit.rating_delay",
							"Time within which marked subjects are rated anew.",
							"0 leaves them marked.",
							&rating_delay_ms, 10000, 0, 86400000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	RegisterXactCallback(at_end_of_transaction, NULL);
	if (process_shared_preload_libraries_in_progress)
		pgcredit_audit_set_companion(ensure_worker);
}

/* ---------------------------------------------------------------------------
 * The worker
 * ---------------------------------------------------------------------------
 */

static void
worker_gone(int code, Datum arg)
{
	Place	   *place;

	SpinLockAcquire(&shared->mutex);
	place = place_of(MyDatabaseId);
	if (place != NULL && place->pid == MyProcPid)
		place->pid = 0;
	SpinLockRelease(&shared->mutex);
}

static bool
claim_place(void)
{
	Place	   *place;
	bool		claimed;

	SpinLockAcquire(&shared->mutex);
	place = place_of(MyDatabaseId);
	claimed = place != NULL && place->pid == 0;
	if (claimed)
		place->pid = MyProcPid;
	SpinLockRelease(&shared->mutex);
	return claimed;
}

static bool
column_is_true(int column)
{
	bool		isnull;

	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull)) && !isnull;
}

/*
 * One transaction: look, and rate if it is due.  Returns whether marks may be left
 * that are due; *stay says whether the worker has a reason to be there.
 */
static bool
look_and_rate(bool due, bool *stay)
{
	bool		more = false;
	bool		marks;

	*stay = false;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (OidIsValid(pgcredit_schema_oid(true)) && OidIsValid(pgcredit_relation_oid("rating_mark", true)))
	{
		if (SPI_connect() != SPI_OK_CONNECT ||
			SPI_execute("SELECT EXISTS (SELECT FROM credit.rating_dynamic), EXISTS (SELECT FROM credit.rating_mark)", true, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not look for marked subjects");
		*stay = column_is_true(1);
		marks = column_is_true(2);
		*stay |= marks;
		if (marks && due)
		{
			char	   *query = psprintf("SELECT credit._rate_marked(%d) > 0", MARKS_AT_ONCE);

			pgstat_report_activity(STATE_RUNNING, "rating marked subjects");
			if (SPI_execute(query, false, 1) != SPI_OK_SELECT)
				elog(ERROR, "could not rate marked subjects");
			more = column_is_true(1);
		}
		SPI_finish();
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	return more;
}

/*
 * look_and_rate with an error logged when it is new, and taken for a reason to stay.
 */
static bool
one_turn(bool due, bool *stay)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool more = false;
	bool		reason = true;

	pgcredit_audit_worker_busy(true);
	PG_TRY();
	{
		more = look_and_rate(due, &reason);
		if (due)
			last_failure = 0;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		if (geterrcode() != last_failure)
			EmitErrorReport();
		last_failure = geterrcode();
		AbortCurrentTransaction();
		FlushErrorState();
		reason = true;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	pgcredit_audit_worker_busy(false);
	MemoryContextSwitchTo(context);
	pgstat_report_activity(STATE_IDLE, NULL);
	pgstat_report_stat(false);
	*stay = reason;
	return more;
}

static void
worker_loop(void)
{
	MemoryContext turn = AllocSetContextCreate(TopMemoryContext, "pgcredit rating", ALLOCSET_DEFAULT_SIZES);
	TimestampTz rated = GetCurrentTimestamp();

	for (;;)
	{
		bool		due;
		bool		stay;
		bool		more;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ShutdownRequestPending || !pgcredit_audit_database_open())
			return;
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		MemoryContextReset(turn);
		MemoryContextSwitchTo(turn);
		due = rating_delay_ms > 0 &&
			TimestampDifferenceExceeds(rated, GetCurrentTimestamp(), rating_delay_ms / 2);
		/* a wish that comes while it looks must not be lost */
		(void) set_wanted(false);
		more = one_turn(due, &stay);
		if (stay)
			(void) set_wanted(true);
		else if (!set_wanted(false))
			return;
		else
			(void) set_wanted(true);
		if (more)
			continue;
		if (due)
			rated = GetCurrentTimestamp();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 rating_delay_ms == 0 ? TURN_MS : Max(Min(rating_delay_ms / 2, TURN_MS), 10L),
						 PG_WAIT_EXTENSION);
	}
}

void
pgcredit_rating_worker_main(Datum arg)
{
	Oid			dbid = DatumGetObjectId(arg);

	pgcredit_audit_worker_connect(dbid);
	if (!claim_place())
		proc_exit(0);
	before_shmem_exit(worker_gone, (Datum) 0);
	pgstat_report_activity(STATE_IDLE, NULL);
	worker_loop();
	proc_exit(0);
}
