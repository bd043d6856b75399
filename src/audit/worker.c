/*
 * worker.c
 *		What the writer and the notary have in common as processes: how they
 *		connect, what they make of signals, and settings that nobody can weaken.
 *
 * Told to leave (SIGTERM), a worker finishes what it does and leaves by itself.
 * Where that does not go on, as in a wait for a standby that is away, it is made
 * to leave a second later; what it waited for then does not count as durable.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "audit/audit.h"
#include "audit/shared.h"
#include "audit/worker.h"

/* How long a worker may go on after it was told to leave. */
#define STUCK_MS 1000

/* A transaction is under way. */
volatile sig_atomic_t pgcredit_worker_busy = false;

/*
 * The promises hold whatever the configuration, the database or ALTER ROLE
 * say: commits are flushed, and replicated where that is set up; transactions
 * may write; a table locked by somebody makes a batch fail, not hang.
 */
static void
pin_settings(void)
{
	/* Also when it is as wanted now: a reload must not weaken it later. */
	SetConfigOption("synchronous_commit",
					synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_APPLY ? "remote_apply" : "on",
					PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "500ms", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * lock_timeout cancels by SIGINT to oneself.  A cancel that comes from anybody
 * else is ignored: it would end a wait for a standby unnoticed.
 */
static void
cancel_if_lock_timeout(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (get_timeout_indicator(LOCK_TIMEOUT, false))
	{
		InterruptPending = true;
		QueryCancelPending = true;
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

static void
end_if_stuck(void)
{
	if (ShutdownRequestPending && pgcredit_worker_busy)
	{
		InterruptPending = true;
		ProcDiePending = true;
	}
	SetLatch(MyLatch);
}

/*
 * The beginning of a worker's life: connected to the database as the bootstrap
 * superuser, who owns nothing that a user could attach code to.
 */
void
pgcredit_worker_connect(Oid dbid)
{
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGINT, cancel_if_lock_timeout);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(dbid, InvalidOid, 0);
	pin_settings();
	enable_timeout_every(RegisterTimeout(USER_TIMEOUT, end_if_stuck),
						 TimestampTzPlusMilliseconds(GetCurrentTimestamp(), STUCK_MS), STUCK_MS);
}

/* ---------------------------------------------------------------------------
 * Workers of other rooms
 * ---------------------------------------------------------------------------
 */

static void (*companion) (void) = NULL;

void
pgcredit_audit_set_companion(void (*ensure) (void))
{
	companion = ensure;
}

/*
 * Called by the writer beside pgcredit_notary_ensure.
 */
void
pgcredit_worker_companion(void)
{
	if (companion != NULL)
		companion();
}

void
pgcredit_audit_worker_connect(Oid dbid)
{
	pgcredit_worker_connect(dbid);
}

void
pgcredit_audit_worker_busy(bool busy)
{
	pgcredit_worker_busy = busy;
}

bool
pgcredit_audit_database_open(void)
{
	int			i = pgcredit_slot_find(MyDatabaseId, false);
	bool		open;

	if (i < 0)
		return true;
	LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
	open = pgcredit_audit.slots[i].dbid != MyDatabaseId || pgcredit_audit.slots[i].barred_by == 0;
	LWLockRelease(SLOT_LOCK(i));
	return open;
}
