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
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "audit/checkpoint.h"
#include "audit/history.h"
#include "audit/notary.h"
#include "audit/shared.h"
#include "core/core.h"

#define TURN_MS 1000L
/* A checkpoint with a hundred cosignatures of the longest names fits. */
#define FETCH_MAX (64 * 1024)

PG_FUNCTION_INFO_V1(pgcredit_sign_checkpoint);

static int	checkpoint_interval_s = 10;
static char *checkpoint_command = NULL;
static char *checkpoint_fetch_command = NULL;

static int	my_slot = -1;
static bool in_use = false;		/* sign at the interval */
static bool fetched = false;	/* what is known outside has been asked for */
static char *outside = NULL;	/* in TopMemoryContext */
static char *delivered = NULL;	/* likewise: given to checkpoint_command last */
static int	last_failure = 0;	/* SQLSTATE that was logged last */

void
pgcredit_notary_init(void)
{
	DefineCustomIntVariable("pgcredit.checkpoint_interval",
							"Time between signed checkpoints of a log that grows.",
							"0 signs on demand only.",
							&checkpoint_interval_s, 10, 0, 86400,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomStringVariable("pgcredit.checkpoint_command",
							   "Shell command that is given each new checkpoint on its standard input.",
							   "It is to bring it where the database's administrators cannot change it.",
							   &checkpoint_command, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("pgcredit.checkpoint_fetch_command",
							   "Shell command that writes the newest checkpoint known outside to its standard output.",
							   "Run before the first checkpoint after a start; nothing is signed that does not continue it.",
							   &checkpoint_fetch_command, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
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
		slot->signed_at = GetCurrentTimestamp();
	}
	LWLockRelease(SLOT_LOCK(my_slot));
	ConditionVariableBroadcast(&slot->signed_cv);
}

/* ---------------------------------------------------------------------------
 * Commands
 * ---------------------------------------------------------------------------
 */

/*
 * Raise when a command failed; no message shows it: a secret may be in it.
 */
static void
check_command(int status, const char *setting)
{
	if (status == -1)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not wait for %s: %m", setting)));
	if (status != 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("%s failed", setting),
				 errdetail("%s.", wait_result_to_str(status)),
				 errhint("What the command wrote to its standard error is in the server's log.")));
}

/*
 * Ask once after a start for the newest checkpoint known outside.  A command
 * that fails raises: without knowing, nothing is signed.
 */
static void
fetch_outside(void)
{
	FILE	   *pipe;
	char	   *buffer;
	size_t		len;

	if (fetched)
		return;
	if (checkpoint_fetch_command != NULL && checkpoint_fetch_command[0] != '\0')
	{
		fflush(NULL);
		pipe = OpenPipeStream(checkpoint_fetch_command, "r");
		if (pipe == NULL)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not start pgcredit.checkpoint_fetch_command: %m")));
		buffer = palloc(FETCH_MAX + 1);
		len = fread(buffer, 1, FETCH_MAX, pipe);
		buffer[len] = '\0';
		check_command(ClosePipeStream(pipe), "pgcredit.checkpoint_fetch_command");
		if (len > 0)
			outside = MemoryContextStrdup(TopMemoryContext, buffer);
	}
	fetched = true;
}

/*
 * The newest checkpoint with its cosignatures, palloc'd in the caller's context,
 * or NULL.
 */
static char *
newest_note(void)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *note = NULL;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute("SELECT c.note || coalesce((SELECT string_agg(s.line, '' ORDER BY s.made, s.witness)"
					" FROM credit.audit_cosignature s WHERE s.size = c.size), '')"
					" FROM credit.audit_checkpoint c ORDER BY c.size DESC LIMIT 1", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read credit.audit_checkpoint");
	if (SPI_processed > 0)
		note = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return note;
}

/*
 * Give the newest checkpoint to pgcredit.checkpoint_command, each time that it
 * is another or has got another cosignature.  After a start it is given again.
 */
static void
deliver(void)
{
	char	   *note;
	FILE	   *pipe;

	if (checkpoint_command == NULL || checkpoint_command[0] == '\0')
		return;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	note = newest_note();
	if (note != NULL && (delivered == NULL || strcmp(note, delivered) != 0))
	{
		fflush(NULL);
		pipe = OpenPipeStream(checkpoint_command, "w");
		if (pipe == NULL)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not start pgcredit.checkpoint_command: %m")));
		/* a command that does not read to the end has failed by its status, or by its own will */
		(void) fputs(note, pipe);
		check_command(ClosePipeStream(pipe), "pgcredit.checkpoint_command");
		if (delivered)
			pfree(delivered);
		delivered = MemoryContextStrdup(TopMemoryContext, note);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
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

	fetch_outside();
	memset(newest, 0, sizeof(PgcreditCheckpoint));
	LWLockAcquire(SLOT_LOCK(my_slot), LW_SHARED);
	newest->size = slot->signed_size;
	memcpy(newest->root, slot->signed_root, sizeof(newest->root));
	LWLockRelease(SLOT_LOCK(my_slot));

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) pgcredit_checkpoint_sign(newest, outside);
	PopActiveSnapshot();
	CommitTransactionCommand();
	/* A commit that was told to go while it waited for a standby is not one. */
	CHECK_FOR_INTERRUPTS();
}

/*
 * One turn of work.  Errors are answered to who asks, and logged when they are
 * new; the notary goes on.
 */
static void
one_turn(bool want_sign, uint64 asked)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool signing = false;

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
		deliver();
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
	MemoryContextSwitchTo(context);
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
		one_turn(due || asked > done, asked);
		wait = pgcredit_history_turn(my_slot, in_use);
		pgstat_report_stat(false);
		if (asked > done || wait == 0)
			continue;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(wait, TURN_MS), PG_WAIT_EXTENSION);
	}
}

void
pgcredit_notary_main(Datum arg)
{
	Oid			dbid = DatumGetObjectId(arg);

	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, pgcredit_cancel_if_lock_timeout);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(dbid, InvalidOid, 0);
	if (!claim_slot())
		proc_exit(0);
	before_shmem_exit(notary_gone, (Datum) 0);
	pgcredit_pin_settings();
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
		(void) ConditionVariableTimedSleep(&pgcredit_audit.slots[i].signed_cv, 100L, PG_WAIT_EXTENSION);
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
