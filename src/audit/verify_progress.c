/*
 * verify_progress.c
 *		How far verifications are, in shared memory.
 *
 * What a backend is doing stands with its waiter, under that one's spinlock; a
 * backend that is gone leaves its pid there, which no backend has any more.
 * Where the last verification of a database got to stands in its slot.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "audit/shared.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_verify_progress);

/*
 * Say what this backend does; VERIFY_IDLE says that it has ended.
 */
void
pgcredit_progress(VerifyPhase phase, uint64 done, uint64 total, int workers)
{
	AuditWaiter *waiter;

	if (!pgcredit_audit_preloaded())
		return;
	waiter = &pgcredit_audit.waiters[pgcredit_my_procno()];
	SpinLockAcquire(&waiter->mutex);
	if (waiter->verify.phase == VERIFY_IDLE || waiter->verify.pid != MyProcPid)
		waiter->verify.started = GetCurrentStatementStartTimestamp();
	waiter->verify.pid = MyProcPid;
	waiter->verify.dbid = MyDatabaseId;
	waiter->verify.phase = phase;
	waiter->verify.done = done;
	waiter->verify.total = total;
	waiter->verify.workers = workers;
	SpinLockRelease(&waiter->mutex);
}

/*
 * Keep where a verification of this database has got to.
 */
void
pgcredit_mark_keep(const VerifyMark *mark)
{
	int			i = pgcredit_audit_preloaded() ? pgcredit_slot_find(MyDatabaseId, false) : -1;

	if (i < 0)
		return;
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (pgcredit_audit.slots[i].dbid == MyDatabaseId)
		pgcredit_audit.slots[i].verified = *mark;
	LWLockRelease(SLOT_LOCK(i));
}

bool
pgcredit_mark_get(VerifyMark *mark)
{
	int			i = pgcredit_audit_preloaded() ? pgcredit_slot_find(MyDatabaseId, false) : -1;

	mark->valid = false;
	if (i < 0)
		return false;
	LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
	if (pgcredit_audit.slots[i].dbid == MyDatabaseId)
		*mark = pgcredit_audit.slots[i].verified;
	LWLockRelease(SLOT_LOCK(i));
	return mark->valid;
}

/*
 * The newest checkpoint that this server has signed since its start; its size is
 * 0 when there is none.
 */
void
pgcredit_known_checkpoint(PgcreditCheckpoint *known)
{
	int			i = pgcredit_audit_preloaded() ? pgcredit_slot_find(MyDatabaseId, false) : -1;

	memset(known, 0, sizeof(PgcreditCheckpoint));
	if (i < 0)
		return;
	LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
	if (pgcredit_audit.slots[i].dbid == MyDatabaseId)
	{
		known->size = pgcredit_audit.slots[i].signed_size;
		memcpy(known->root, pgcredit_audit.slots[i].signed_root, sizeof(PgcreditMerkleHash));
		strlcpy(known->origin, pgcredit_audit.slots[i].signed_origin, sizeof(known->origin));
	}
	LWLockRelease(SLOT_LOCK(i));
}

/*
 * credit._verify_progress(): pid, database, phase, entries_done, entries_total,
 * started, workers of each verification that runs on the server.
 */
Datum
pgcredit_verify_progress(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"idle", "checking the set-up", "verifying entries", "counting rows"};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; pgcredit_audit_preloaded() && i < pgcredit_audit.header->n_waiters; i++)
	{
		AuditVerify verify;
		Datum		values[7];
		bool		nulls[7] = {false};

		SpinLockAcquire(&pgcredit_audit.waiters[i].mutex);
		verify = pgcredit_audit.waiters[i].verify;
		SpinLockRelease(&pgcredit_audit.waiters[i].mutex);
		if (verify.phase == VERIFY_IDLE || BackendPidGetProc(verify.pid) == NULL)
			continue;
		values[0] = Int32GetDatum(verify.pid);
		values[1] = ObjectIdGetDatum(verify.dbid);
		values[2] = CStringGetTextDatum(names[verify.phase]);
		values[3] = Int64GetDatum((int64) verify.done);
		values[4] = Int64GetDatum((int64) verify.total);
		values[5] = TimestampTzGetDatum(verify.started);
		values[6] = Int32GetDatum(verify.workers);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
