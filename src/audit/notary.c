/*
 * notary.c
 *		The process of a database that signs checkpoints of its log and lets them
 *		out, beside the writer so that no reader ever waits for it.
 *
 * The writer starts it and starts it again when it is gone.  It sees only what
 * is committed, and a checkpoint is handed out only after the notary's own
 * commit of it, which comes after that of the entries: what is signed is
 * durable, and replicated where synchronous replication is on.  A signature
 * whose commit failed has never left this process.
 *
 * Without a checkpoint signed before, the log is not signed at an interval until
 * an access was recorded in it: a database that is just being restored must not
 * sign what the restore is about to replace.  On demand it is signed any time.
 *
 * Requests go through the slot: who asks takes a number (sign_asked), the notary
 * answers all numbers that it saw before it began (sign_done).
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "audit/checkpoint.h"
#include "audit/history.h"
#include "audit/notary.h"
#include "audit/retention.h"
#include "audit/shared.h"
#include "audit/worker.h"
#include "core/core.h"

#define TURN_MS 1000L

PG_FUNCTION_INFO_V1(pgcredit_sign_checkpoint);

static int	checkpoint_interval_s = 10;

static int	my_slot = -1;
static bool in_use = false;		/* sign at the interval */
static int	last_failure = 0;	/* SQLSTATE that was logged last */

void
pgcredit_notary_init(void)
{
	DefineCustomIntVariable("pgcredit.checkpoint_interval",
							"Time between signed checkpoints of a log that grows.",
							"0 signs on demand only.",
							&checkpoint_interval_s, 10, 0, 86400,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	pgcredit_publish_init();
}

/* ---------------------------------------------------------------------------
 * The slot
 * ---------------------------------------------------------------------------
 */

static bool
claim_slot(void)
{
	int			i = pgcredit_slot_find(MyDatabaseId, false);
	bool		claimed = false;

	if (i < 0)
		return false;
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (pgcredit_audit.slots[i].dbid == MyDatabaseId && pgcredit_audit.slots[i].notary_pid == 0 &&
		pgcredit_audit.slots[i].barred_by == 0)
	{
		pgcredit_audit.slots[i].notary_pid = MyProcPid;
		pgcredit_audit.slots[i].notary_procno = pgcredit_my_procno();
		pgcredit_audit.slots[i].stat.notary_started = GetCurrentTimestamp();
		claimed = true;
	}
	LWLockRelease(SLOT_LOCK(i));
	if (claimed)
		my_slot = i;
	return claimed;
}

/*
 * Who waits for a checkpoint is told that there will be none.
 */
static void
notary_gone(int code, Datum arg)
{
	AuditSlot  *slot = &pgcredit_audit.slots[my_slot];

	LWLockAcquire(SLOT_LOCK(my_slot), LW_EXCLUSIVE);
	if (slot->notary_pid == MyProcPid)
	{
		slot->notary_pid = 0;
		slot->notary_procno = -1;
		slot->sign_done = slot->sign_asked;
		slot->sign_sqlstate = ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE;
		strlcpy(slot->sign_message, "the notary of this database has gone", sizeof(slot->sign_message));
	}
	LWLockRelease(SLOT_LOCK(my_slot));
	ConditionVariableBroadcast(&slot->signed_cv);
}

/*
 * Make the name ours alone among the databases of this server, or raise: a copy
 * of a database (CREATE DATABASE ... TEMPLATE) has its name, and must not sign
 * another log under it.
 */
void
pgcredit_notary_hold_origin(const char *origin)
{
	bool		taken = false;

	LWLockAcquire(HEADER_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < pgcredit_audit.header->n_slots; i++)
	{
		LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
		taken |= i != my_slot && OidIsValid(pgcredit_audit.slots[i].dbid) &&
			strcmp(pgcredit_audit.slots[i].origin, origin) == 0;
		LWLockRelease(SLOT_LOCK(i));
	}
	if (!taken)
	{
		LWLockAcquire(SLOT_LOCK(my_slot), LW_EXCLUSIVE);
		strlcpy(pgcredit_audit.slots[my_slot].origin, origin, sizeof(pgcredit_audit.slots[my_slot].origin));
		LWLockRelease(SLOT_LOCK(my_slot));
	}
	LWLockRelease(HEADER_LOCK);
	if (taken)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_LOG_BEHIND),
				 errmsg("another database of this server signs its log as \"%s\"", origin),
				 errdetail("This database is a copy of that one, or that of this."),
				 errhint("Give the copy a name of its own: credit.set_log_origin(name, anew => true).")));
}

/*
 * Is the database still ours to serve?  Takes the requests that there are.
 */
static bool
look_at_slot(uint64 *asked, uint64 *done, bool *accessed)
{
	AuditSlot  *slot = &pgcredit_audit.slots[my_slot];
	bool		serve;

	LWLockAcquire(SLOT_LOCK(my_slot), LW_SHARED);
	serve = slot->dbid == MyDatabaseId && slot->notary_pid == MyProcPid && slot->barred_by == 0;
	*asked = slot->sign_asked;
	*done = slot->sign_done;
	*accessed = slot->accessed;
	LWLockRelease(SLOT_LOCK(my_slot));
	return serve;
}

static void
answer_requests(uint64 asked, int sqlstate, const char *message, const PgcreditCheckpoint *newest)
{
	AuditSlot  *slot = &pgcredit_audit.slots[my_slot];

	LWLockAcquire(SLOT_LOCK(my_slot), LW_EXCLUSIVE);
	slot->sign_done = asked;
	slot->sign_sqlstate = sqlstate;
	strlcpy(slot->sign_message, message, sizeof(slot->sign_message));
	if (sqlstate == 0)
	{
		slot->signed_size = newest->size;
		memcpy(slot->signed_root, newest->root, sizeof(slot->signed_root));
		strlcpy(slot->signed_origin, newest->origin, sizeof(slot->signed_origin));
		slot->signed_at = GetCurrentTimestamp();
	}
	LWLockRelease(SLOT_LOCK(my_slot));
	ConditionVariableBroadcast(&slot->signed_cv);
}

/* ---------------------------------------------------------------------------
 * Turns
 * ---------------------------------------------------------------------------
 */

/*
 * Sign in a transaction of its own; *newest is in force when this returns.
 */
static void
sign(PgcreditCheckpoint *newest)
{
	AuditSlot  *slot = &pgcredit_audit.slots[my_slot];
	const char *outside;
	bool		made;

	outside = pgcredit_publish_known();
	memset(newest, 0, sizeof(PgcreditCheckpoint));
	LWLockAcquire(SLOT_LOCK(my_slot), LW_SHARED);
	newest->size = slot->signed_size;
	memcpy(newest->root, slot->signed_root, sizeof(newest->root));
	strlcpy(newest->origin, slot->signed_origin, sizeof(newest->origin));
	LWLockRelease(SLOT_LOCK(my_slot));

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	made = pgcredit_checkpoint_sign(newest, outside);
	PopActiveSnapshot();
	CommitTransactionCommand();
	if (!made)
		pgcredit_publish_wait();
	/* A commit that was told to go while it waited for a standby is not one. */
	CHECK_FOR_INTERRUPTS();
}

/*
 * One turn of work.  Errors are answered to who asks, and logged when they are
 * new; the notary goes on.  Nothing is dropped in a turn in which signing or
 * letting out failed, nor before an access was recorded: the database may be one
 * that is just being restored.  Returns whether there is more to drop.
 */
static bool
one_turn(bool want_sign, uint64 asked, bool may_drop)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool signing = false;
	volatile bool more = false;

	pgcredit_worker_busy = true;
	PG_TRY();
	{
		PgcreditCheckpoint newest;

		if (want_sign)
		{
			signing = true;
			sign(&newest);
			signing = false;
			answer_requests(asked, 0, "", &newest);
		}
		pgcredit_publish_deliver();
		if (may_drop)
			more = pgcredit_retention_step();
		last_failure = 0;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != last_failure)
			EmitErrorReport();
		last_failure = error->sqlerrcode;
		pgcredit_stat_notary_failed(my_slot, error->sqlerrcode, error->message);
		AbortCurrentTransaction();
		FlushErrorState();
		if (signing)
			answer_requests(asked, error->sqlerrcode,
							error->detail ? psprintf("%s: %s", error->message, error->detail) :
							psprintf("%s.", error->message), NULL);
		FreeErrorData(error);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	pgcredit_worker_busy = false;
	MemoryContextSwitchTo(context);
	return more;
}

/*
 * Has an access been recorded lately, or anything been signed?
 */
static bool
log_is_in_use(void)
{
	bool		isnull;
	bool		used;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	used = pgcredit_checkpoint_exists();
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute("SELECT EXISTS (SELECT FROM (SELECT entry FROM credit.audit_entry ORDER BY seq DESC LIMIT 10000) e"
					" WHERE entry LIKE '%\"kind\":\"access\"%' OR entry LIKE '%\"kind\":\"refusal\"%')", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the log");
	used |= DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	return used;
}

static void
notary_loop(void)
{
	MemoryContext turn = AllocSetContextCreate(TopMemoryContext, "pgcredit notary",
											   ALLOCSET_DEFAULT_SIZES);
	TimestampTz last = GetCurrentTimestamp();
	TimestampTz next_turn = last;
	bool		more = false;
	uint64		asked;
	uint64		done;
	bool		accessed;

	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		bool		due;
		long		wait;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ShutdownRequestPending)
			return;
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (!look_at_slot(&asked, &done, &accessed))
			return;
		in_use |= accessed;
		MemoryContextReset(turn);
		MemoryContextSwitchTo(turn);
		due = in_use && checkpoint_interval_s > 0 &&
			TimestampDifferenceExceeds(last, now, checkpoint_interval_s * 1000);
		if (due || asked > done)
			last = now;
		/* The history has shorter turns of its own. */
		if (due || asked > done || more || now >= next_turn)
		{
			more = one_turn(due || asked > done, asked, accessed);
			next_turn = TimestampTzPlusMilliseconds(now, TURN_MS);
		}
		wait = pgcredit_history_turn(my_slot, in_use);
		pgstat_report_stat(false);
		if (more || asked > done || wait == 0)
			continue;
		wait = Min(wait, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next_turn));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Max(wait, 1L), pgcredit_audit_wait(AUDIT_WAIT_NOTARY_IDLE));
	}
}

void
pgcredit_notary_main(Datum arg)
{
	Oid			dbid = DatumGetObjectId(arg);

	pgcredit_worker_connect(dbid);
	if (!claim_slot())
		proc_exit(0);
	before_shmem_exit(notary_gone, (Datum) 0);
	pgstat_report_activity(STATE_IDLE, NULL);
	in_use = log_is_in_use();
	notary_loop();
	proc_exit(0);
}

/*
 * Called by the writer now and then: start the notary where there is none.
 */
void
pgcredit_notary_ensure(int i)
{
	static TimestampTz tried = 0;
	static bool complained = false;
	TimestampTz now = GetCurrentTimestamp();
	BackgroundWorker worker;
	int			pid;

	LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
	pid = pgcredit_audit.slots[i].notary_pid;
	LWLockRelease(SLOT_LOCK(i));
	if (pid != 0 || !TimestampDifferenceExceeds(tried, now, TURN_MS))
		return;
	tried = now;
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "pgcredit");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "pgcredit_notary_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "pgcredit notary of database %u", MyDatabaseId);
	snprintf(worker.bgw_type, BGW_MAXLEN, "pgcredit notary");
	if (!RegisterDynamicBackgroundWorker(&worker, NULL) && !complained)
	{
		complained = true;
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker left for the notary of database %u", MyDatabaseId),
				 errhint("Raise max_worker_processes.")));
	}
}

/* ---------------------------------------------------------------------------
 * Asking for a checkpoint
 * ---------------------------------------------------------------------------
 */

/*
 * Leave a request and return its number; *i is the slot.
 */
static uint64
ask(int *i)
{
	uint64		number = 0;
	int			notary = -1;

	*i = pgcredit_slot_find(MyDatabaseId, false);
	if (*i < 0)
		return 0;
	LWLockAcquire(SLOT_LOCK(*i), LW_EXCLUSIVE);
	if (pgcredit_audit.slots[*i].dbid == MyDatabaseId && pgcredit_audit.slots[*i].notary_pid != 0)
	{
		number = ++pgcredit_audit.slots[*i].sign_asked;
		notary = pgcredit_audit.slots[*i].notary_procno;
	}
	LWLockRelease(SLOT_LOCK(*i));
	pgcredit_wake(notary);
	return number;
}

/*
 * Has the request been answered?  Then what came of it is in the other three.
 */
static bool
answered(int i, uint64 number, int *sqlstate, char *message, uint64 *size)
{
	AuditSlot  *slot = &pgcredit_audit.slots[i];
	bool		done;

	LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
	done = slot->dbid != MyDatabaseId || slot->sign_done >= number;
	*sqlstate = slot->dbid != MyDatabaseId ? ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE : slot->sign_sqlstate;
	strlcpy(message, slot->sign_message, sizeof(slot->sign_message));
	*size = slot->signed_size;
	LWLockRelease(SLOT_LOCK(i));
	return done;
}

/*
 * credit._sign_checkpoint() returns bigint: has the notary sign what is in the
 * log, waits for it no longer than pgcredit.audit_timeout, and returns the
 * checkpoint's size.  PC001 without a notary, PC002 when it takes too long, what
 * it failed with else.
 */
Datum
pgcredit_sign_checkpoint(PG_FUNCTION_ARGS)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pgcredit_audit_timeout());
	uint64		number;
	uint64		size;
	int			i;
	int			sqlstate;
	char		message[sizeof(((AuditSlot *) NULL)->sign_message)];

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot sign a checkpoint on a standby"),
				 errhint("credit.checkpoint_log has those that the primary signed.")));
	if (!pgcredit_audit_preloaded())
		pgcredit_require_preloaded("signing a checkpoint");
	/* The notary may just be starting. */
	while ((number = ask(&i)) == 0)
	{
		if (GetCurrentTimestamp() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE),
					 errmsg("the notary of this database is not running"),
					 errhint("See the server log; max_worker_processes and pgcredit.max_databases limit the number of processes.")));
		pgcredit_queue_request_writer(MyDatabaseId);
		pg_usleep(10000L);
		CHECK_FOR_INTERRUPTS();
	}
	while (!answered(i, number, &sqlstate, message, &size))
	{
		if (GetCurrentTimestamp() >= deadline)
		{
			ConditionVariableCancelSleep();
			ereport(ERROR,
					(errcode(ERRCODE_PGCREDIT_AUDIT_TIMEOUT),
					 errmsg("the checkpoint did not become durable in time"),
					 errhint("See the server log, or raise pgcredit.audit_timeout (now %d ms).", pgcredit_audit_timeout())));
		}
		(void) ConditionVariableTimedSleep(&pgcredit_audit.slots[i].signed_cv, 100L,
											pgcredit_audit_wait(AUDIT_WAIT_CHECKPOINT));
	}
	ConditionVariableCancelSleep();
	if (sqlstate != 0)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("no checkpoint could be signed"),
				 errdetail("%s", message),
				 errhint("See the server log for what to do.")));
	PG_RETURN_INT64((int64) size);
}
