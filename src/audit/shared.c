/*
 * shared.c
 *		Shared memory of the audit room, and who serves which database: slots are
 *		claimed and released by writers, asked for through the launcher, and barred
 *		by commands that need a database to themselves.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "audit/shared.h"
#include "core/core.h"

AuditShared pgcredit_audit;

static int	max_databases = 8;
static int	queue_size_kb = 1024;

/*
 * The settings that size shared memory; they exist only in a server that
 * preloads the library.
 */
void
pgcredit_queue_init(void)
{
	DefineCustomIntVariable("pgcredit.max_databases",
							"Number of databases with the extension that can record accesses.",
							NULL,
							&max_databases, 8, 1, 1024,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("pgcredit.audit_queue_size",
							"Size of each database's queue of entries that are not durable yet.",
							NULL,
							&queue_size_kb, 1024, 256, 1024 * 1024,
							PGC_POSTMASTER, GUC_UNIT_KB, NULL, NULL, NULL);
}

/*
 * Called in the request hook, when MaxBackends is known.
 */
Size
pgcredit_audit_shmem_size(void)
{
	Size		size;

	RequestNamedLWLockTranche("pgcredit_audit", 1 + max_databases);
	size = MAXALIGN(sizeof(AuditHeader));
	size = add_size(size, MAXALIGN(mul_size(max_databases, sizeof(AuditSlot))));
	size = add_size(size, MAXALIGN(mul_size(MaxBackends, sizeof(AuditWaiter))));
	return add_size(size, mul_size(max_databases, (Size) queue_size_kb * 1024));
}

void
pgcredit_audit_shmem_init(void)
{
	bool		found;
	char	   *p;
	Size		size = MAXALIGN(sizeof(AuditHeader)) +
		MAXALIGN(max_databases * sizeof(AuditSlot)) +
		MAXALIGN(MaxBackends * sizeof(AuditWaiter)) +
		(Size) max_databases * queue_size_kb * 1024;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	p = ShmemInitStruct("pgcredit audit", size, &found);
	pgcredit_audit.header = (AuditHeader *) p;
	p += MAXALIGN(sizeof(AuditHeader));
	pgcredit_audit.slots = (AuditSlot *) p;
	p += MAXALIGN(max_databases * sizeof(AuditSlot));
	pgcredit_audit.waiters = (AuditWaiter *) p;
	p += MAXALIGN(MaxBackends * sizeof(AuditWaiter));
	pgcredit_audit.rings = p;
	pgcredit_audit.locks = GetNamedLWLockTranche("pgcredit_audit");
	if (!found)
	{
		memset(pgcredit_audit.header, 0, pgcredit_audit.rings - (char *) pgcredit_audit.header);
		pgcredit_audit.header->launcher_procno = -1;
		pgcredit_audit.header->n_slots = max_databases;
		pgcredit_audit.header->n_waiters = MaxBackends;
		pgcredit_audit.header->ring_size = (Size) queue_size_kb * 1024;
		for (int i = 0; i < pgcredit_audit.header->n_waiters; i++)
			SpinLockInit(&pgcredit_audit.waiters[i].mutex);
	}
	LWLockRelease(AddinShmemInitLock);
}

bool
pgcredit_audit_preloaded(void)
{
	return pgcredit_audit.header != NULL;
}

void
pgcredit_wake(int procno)
{
	if (procno >= 0)
		SetLatch(&ProcGlobal->allProcs[procno].procLatch);
}

/*
 * Index of the database's slot, or -1; with "make", a free one is given to it.
 */
int
pgcredit_slot_find(Oid dbid, bool make)
{
	int			found = -1;

	LWLockAcquire(HEADER_LOCK, make ? LW_EXCLUSIVE : LW_SHARED);
	for (int i = 0; i < pgcredit_audit.header->n_slots; i++)
	{
		if (pgcredit_audit.slots[i].dbid == dbid)
		{
			found = i;
			break;
		}
		if (make && found < 0 && !OidIsValid(pgcredit_audit.slots[i].dbid))
			found = i;
	}
	if (found >= 0 && pgcredit_audit.slots[found].dbid != dbid)
	{
		AuditSlot  *slot = &pgcredit_audit.slots[found];

		LWLockAcquire(SLOT_LOCK(found), LW_EXCLUSIVE);
		memset(slot, 0, sizeof(AuditSlot));
		pg_atomic_init_u32(&slot->outbox_block, 0);
		slot->dbid = dbid;
		slot->writer_procno = slot->notary_procno = -1;
		ConditionVariableInit(&slot->signed_cv);
		pgcredit_stat_init(&slot->stat);
		LWLockRelease(SLOT_LOCK(found));
	}
	LWLockRelease(HEADER_LOCK);
	return found;
}

/*
 * Free the slot if it is the database's and nobody serves or bars it; with
 * "only_unserved", only if no writer has ever claimed it.
 */
void
pgcredit_slot_free(int i, Oid dbid, bool only_unserved)
{
	AuditSlot  *slot = &pgcredit_audit.slots[i];

	LWLockAcquire(HEADER_LOCK, LW_EXCLUSIVE);
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (slot->dbid == dbid && slot->writer_pid == 0 && slot->barred_by == 0 &&
		!(only_unserved && slot->served))
		slot->dbid = InvalidOid;
	LWLockRelease(SLOT_LOCK(i));
	LWLockRelease(HEADER_LOCK);
}

/* ---------------------------------------------------------------------------
 * The writer's side
 * ---------------------------------------------------------------------------
 */

/*
 * Make the calling process the writer of the database.  Returns its slot, or
 * -1 when another serves it already, when it is barred, or when there is no
 * slot left (which is logged).
 */
int
pgcredit_queue_claim(Oid dbid)
{
	int			i = pgcredit_slot_find(dbid, true);
	bool		claimed = false;

	if (i < 0)
	{
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no place left for the audit writer of database %u", dbid),
				 errhint("Raise pgcredit.max_databases and restart the server.")));
		return -1;
	}
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (pgcredit_audit.slots[i].dbid == dbid && pgcredit_audit.slots[i].writer_pid == 0 &&
		pgcredit_audit.slots[i].barred_by == 0)
	{
		pgcredit_audit.slots[i].served = true;
		pgcredit_audit.slots[i].writer_pid = MyProcPid;
		pgcredit_audit.slots[i].writer_procno = pgcredit_my_procno();
		pgcredit_audit.slots[i].recheck = false;
		pgcredit_audit.slots[i].outbox = true; /* rows may be left from before */
		pg_atomic_write_u32(&pgcredit_audit.slots[i].outbox_block, 0);
		pgcredit_audit.slots[i].head = pgcredit_audit.slots[i].tail = 0;
		pgcredit_audit.slots[i].pending = 0;
		pgcredit_audit.slots[i].stat.writer_starts++;
		pgcredit_audit.slots[i].stat.writer_started = GetCurrentTimestamp();
		pgcredit_audit.slots[i].bulk = 0;
		claimed = true;
	}
	LWLockRelease(SLOT_LOCK(i));
	return claimed ? i : -1;
}

/*
 * The database has no use for a slot, if it still has one.
 */
void
pgcredit_queue_forget(Oid dbid)
{
	int			i = pgcredit_slot_find(dbid, false);

	if (i >= 0)
		pgcredit_slot_free(i, dbid, false);
}

/*
 * Does a writer serve the database now?
 */
bool
pgcredit_queue_served(Oid dbid)
{
	int			i = pgcredit_slot_find(dbid, false);
	bool		served;

	if (i < 0)
		return false;
	LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
	served = pgcredit_audit.slots[i].dbid == dbid && pgcredit_audit.slots[i].writer_pid != 0;
	LWLockRelease(SLOT_LOCK(i));
	return served;
}

/*
 * What somebody wants of the writer besides writing; a wish to recheck is
 * taken back by asking.
 */
QueueSummons
pgcredit_queue_summons(int i)
{
	QueueSummons summons = SUMMONS_NONE;

	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (pgcredit_audit.slots[i].barred_by != 0)
		summons = SUMMONS_LEAVE;
	else if (pgcredit_audit.slots[i].recheck)
		summons = SUMMONS_RECHECK;
	pgcredit_audit.slots[i].recheck = false;
	LWLockRelease(SLOT_LOCK(i));
	return summons;
}

bool
pgcredit_queue_take_outbox_flag(int i)
{
	bool		flag;

	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	flag = pgcredit_audit.slots[i].outbox;
	pgcredit_audit.slots[i].outbox = false;
	LWLockRelease(SLOT_LOCK(i));
	return flag;
}

/*
 * The first block of the outbox in which a row was put since the last call, or
 * InvalidBlockNumber.  Who asks and then reads the table from there on finds every
 * row that was noted before, but those whose transactions are not over yet.
 */
BlockNumber
pgcredit_queue_take_outbox_block(int i)
{
	return pg_atomic_exchange_u32(&pgcredit_audit.slots[i].outbox_block, InvalidBlockNumber);
}

void
pgcredit_queue_count(int i, int64 entries, int64 bytes)
{
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	pgcredit_stat_batch(&pgcredit_audit.slots[i].stat, entries, bytes);
	LWLockRelease(SLOT_LOCK(i));
}

/* ---------------------------------------------------------------------------
 * The launcher's side
 * ---------------------------------------------------------------------------
 */

static void
launcher_gone(int code, Datum arg)
{
	LWLockAcquire(HEADER_LOCK, LW_EXCLUSIVE);
	pgcredit_audit.header->launcher_procno = -1;
	LWLockRelease(HEADER_LOCK);
}

void
pgcredit_launcher_register_pid(void)
{
	LWLockAcquire(HEADER_LOCK, LW_EXCLUSIVE);
	pgcredit_audit.header->launcher_procno = pgcredit_my_procno();
	LWLockRelease(HEADER_LOCK);
	before_shmem_exit(launcher_gone, (Datum) 0);
}

/*
 * Databases that asked for a writer, and those that had one and have none now;
 * requests are taken back.  A bar whose owner is gone is lifted.
 */
List *
pgcredit_queue_databases_to_start(void)
{
	List	   *dbids = NIL;
	Oid			found[MAX_REQUESTS + 1024];
	int			n = 0;

	LWLockAcquire(HEADER_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_REQUESTS; i++)
	{
		if (OidIsValid(pgcredit_audit.header->requests[i]))
			found[n++] = pgcredit_audit.header->requests[i];
		pgcredit_audit.header->requests[i] = InvalidOid;
	}
	for (int i = 0; i < pgcredit_audit.header->n_slots; i++)
	{
		AuditSlot  *slot = &pgcredit_audit.slots[i];

		if (!OidIsValid(slot->dbid))
			continue;
		LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
		if (slot->barred_by != 0 && BackendPidGetProc(slot->barred_by) == NULL)
			slot->barred_by = 0;
		if (slot->writer_pid == 0 && slot->barred_by == 0)
			found[n++] = slot->dbid;
		LWLockRelease(SLOT_LOCK(i));
	}
	LWLockRelease(HEADER_LOCK);

	for (int i = 0; i < n; i++)
		dbids = list_append_unique_oid(dbids, found[i]);
	return dbids;
}

/* ---------------------------------------------------------------------------
 * Requests of ordinary backends
 * ---------------------------------------------------------------------------
 */

/*
 * Ask the launcher for a writer; asking twice is harmless.  A full list is,
 * too: who needs the writer asks again while it waits.
 */
void
pgcredit_queue_request_writer(Oid dbid)
{
	int			launcher;

	if (pgcredit_audit.header == NULL)
		return;
	LWLockAcquire(HEADER_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_REQUESTS; i++)
	{
		if (pgcredit_audit.header->requests[i] == dbid)
			break;
		if (!OidIsValid(pgcredit_audit.header->requests[i]))
		{
			pgcredit_audit.header->requests[i] = dbid;
			break;
		}
	}
	launcher = pgcredit_audit.header->launcher_procno;
	LWLockRelease(HEADER_LOCK);
	pgcredit_wake(launcher);
}

/*
 * A row was put into that block of the outbox of this database.  Without a slot
 * nothing needs to be noted: a writer's first look is at all of it.  The slot that
 * was found last is looked at without a lock; it is ours as long as it says so.
 */
void
pgcredit_queue_note_outbox(BlockNumber block)
{
	static int	i = -1;
	pg_atomic_uint32 *noted;
	uint32		now;

	if (pgcredit_audit.header == NULL)
		return;
	if (i < 0 || pgcredit_audit.slots[i].dbid != MyDatabaseId)
		i = pgcredit_slot_find(MyDatabaseId, false);
	if (i < 0)
		return;
	noted = &pgcredit_audit.slots[i].outbox_block;
	now = pg_atomic_read_u32(noted);
	while (block < now && !pg_atomic_compare_exchange_u32(noted, &now, block))
		;
}

/*
 * Wake the writer of the database after setting the flags given; ask for one
 * when the database has no slot and there is something to write.  A writer that
 * was told of the outbox before and has not come to it needs no second call.
 */
static void
flag_slot(Oid dbid, bool outbox, bool recheck)
{
	int			i = pgcredit_audit.header ? pgcredit_slot_find(dbid, false) : -1;
	int			writer = -1;

	if (i < 0)
	{
		if (outbox)
			pgcredit_queue_request_writer(dbid);
		return;
	}
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (recheck || !pgcredit_audit.slots[i].outbox)
		writer = pgcredit_audit.slots[i].writer_procno;
	pgcredit_audit.slots[i].outbox |= outbox;
	pgcredit_audit.slots[i].recheck |= recheck;
	LWLockRelease(SLOT_LOCK(i));
	pgcredit_wake(writer);
}

void
pgcredit_queue_flag_outbox(Oid dbid)
{
	flag_slot(dbid, true, false);
}

void
pgcredit_queue_wake_writer(Oid dbid)
{
	flag_slot(dbid, false, true);
}

/*
 * Send the database's writer and notary away and keep them away until pgcredit_queue_unbar,
 * so that DROP DATABASE and the like find nobody connected.  Does nothing when
 * another backend bars it.  Waits at most ten seconds; if the writer is still
 * there then, the command itself says that the database is in use.  The caller
 * calls pgcredit_queue_unbar also when this raises: the wait can be cancelled.
 */
void
pgcredit_queue_bar(Oid dbid)
{
	int			i = pgcredit_audit.header ? pgcredit_slot_find(dbid, true) : -1;
	bool		mine = false;

	if (i < 0)
		return;
	for (int turn = 0; turn < 1000; turn++)
	{
		int			writer;
		int			notary;

		LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
		if (pgcredit_audit.slots[i].barred_by == 0)
			pgcredit_audit.slots[i].barred_by = MyProcPid;
		mine = pgcredit_audit.slots[i].barred_by == MyProcPid;
		writer = pgcredit_audit.slots[i].writer_pid ? pgcredit_audit.slots[i].writer_procno : -1;
		notary = pgcredit_audit.slots[i].notary_pid ? pgcredit_audit.slots[i].notary_procno : -1;
		LWLockRelease(SLOT_LOCK(i));
		if (!mine || (writer < 0 && notary < 0))
			break;
		pgcredit_wake(writer);
		pgcredit_wake(notary);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 10L, pgcredit_audit_wait(AUDIT_WAIT_LEAVE));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Let the writer come back; with "gone" the database is, and its slot is free.
 * So is a slot that only the bar needed: that database may not even have the
 * extension.
 */
void
pgcredit_queue_unbar(Oid dbid, bool gone)
{
	int			i = pgcredit_slot_find(dbid, false);

	if (i < 0)
		return;
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (pgcredit_audit.slots[i].dbid == dbid && pgcredit_audit.slots[i].barred_by == MyProcPid)
		pgcredit_audit.slots[i].barred_by = 0;
	LWLockRelease(SLOT_LOCK(i));
	pgcredit_slot_free(i, dbid, !gone);
	if (!gone)
		pgcredit_queue_request_writer(dbid);
}
