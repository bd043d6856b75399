/*
 * queue.c
 *		The ring between backends that record an access and the one writer of
 *		their database.
 *
 * Shared memory holds, once per cluster, a small header, an array of slots and
 * an array of waiters.  A slot belongs to a database and owns one ring; a
 * waiter belongs to a backend (indexed by its PGPROC number) and holds the
 * answer to its present request.
 *
 * A request is n items put into the ring under one ticket.  The writer copies
 * items out, makes them durable and answers each; when the last is answered
 * the backend's latch is set.  A backend that gives up (timeout, cancel) takes
 * a new ticket for its next request, so a late answer finds no one.
 *
 * Lock order: header lock, slot lock, waiter spinlock; a slot's lock is never
 * taken while another's is held.  Nobody waits or allocates while holding any
 * of them.
 *
 *	header lock		which database a slot belongs to, requests to the launcher
 *	slot lock		everything else in a slot, and its ring
 *	waiter spinlock	the waiter
 *
 * The writer that leaves, however it leaves short of a crash, answers every
 * item it took and every item in the ring with "unavailable", so that no
 * reader hangs (P8).  After a crash the postmaster makes shared memory anew.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "audit/audit_internal.h"
#include "core/core.h"

#define MAX_REQUESTS 32

typedef struct AuditSlot
{
	Oid			dbid;			/* header lock; InvalidOid when free */

	/* the slot's own lock protects all that follows */
	int			writer_pid;		/* 0 when no writer serves the ring */
	int			writer_procno;
	int			barred_by;		/* pid of a backend that wants the writer away */
	bool		recheck;		/* the extension may be gone */
	bool		outbox;			/* a transaction with outbox rows committed */
	uint64		head;			/* bytes ever put in */
	uint64		tail;			/* bytes ever taken out */
	int			pending;		/* items between the two */
	int64		entries;		/* since start of the server */
	int64		bytes;
	int64		batches;
} AuditSlot;

typedef struct AuditWaiter
{
	slock_t		mutex;			/* protects all that follows */
	uint64		ticket;
	int			outstanding;	/* items not answered yet */
	int			sqlstate;		/* 0, or why one of them failed */
	uint64		seq;			/* lowest sequence number among them */
} AuditWaiter;

typedef struct AuditHeader
{
	int			launcher_procno;	/* header lock; -1 when none */
	Oid			requests[MAX_REQUESTS]; /* header lock */
	int			n_slots;
	int			n_waiters;
	Size		ring_size;
} AuditHeader;

static AuditHeader *header = NULL;
static AuditSlot *slots = NULL;
static AuditWaiter *waiters = NULL;
static char *rings = NULL;
static LWLockPadded *locks = NULL;	/* [0] header, [1 + i] slot i */

static int	audit_timeout_ms = 5000;
static int	max_databases = 8;
static int	queue_size_kb = 1024;

#define HEADER_LOCK (&locks[0].lock)
#define SLOT_LOCK(i) (&locks[1 + (i)].lock)

/*
 * Settings of the room.  Those that size shared memory exist only in a server
 * that preloads the library.
 */
static void
define_settings(void)
{
	DefineCustomIntVariable("pgcredit.audit_timeout",
							"Longest time to wait until the entry of an access is durable.",
							"An access whose entry is not durable by then is refused.",
							&audit_timeout_ms, 5000, 1, 600000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	if (!process_shared_preload_libraries_in_progress)
		return;
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

void
pgcredit_audit_init(void)
{
	define_settings();
	pgcredit_audit_transaction_init();
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	pgcredit_audit_hooks_init();
	pgcredit_launcher_register();
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
	header = (AuditHeader *) p;
	p += MAXALIGN(sizeof(AuditHeader));
	slots = (AuditSlot *) p;
	p += MAXALIGN(max_databases * sizeof(AuditSlot));
	waiters = (AuditWaiter *) p;
	p += MAXALIGN(MaxBackends * sizeof(AuditWaiter));
	rings = p;
	locks = GetNamedLWLockTranche("pgcredit_audit");
	if (!found)
	{
		memset(header, 0, rings - (char *) header);
		header->launcher_procno = -1;
		header->n_slots = max_databases;
		header->n_waiters = MaxBackends;
		header->ring_size = (Size) queue_size_kb * 1024;
		for (int i = 0; i < header->n_waiters; i++)
			SpinLockInit(&waiters[i].mutex);
	}
	LWLockRelease(AddinShmemInitLock);
}

bool
pgcredit_audit_preloaded(void)
{
	return header != NULL;
}

static void
wake(int procno)
{
	if (procno >= 0)
		SetLatch(&ProcGlobal->allProcs[procno].procLatch);
}

/*
 * Index of the database's slot, or -1; with "make", a free one is given to it.
 */
static int
find_slot(Oid dbid, bool make)
{
	int			found = -1;

	LWLockAcquire(HEADER_LOCK, make ? LW_EXCLUSIVE : LW_SHARED);
	for (int i = 0; i < header->n_slots; i++)
	{
		if (slots[i].dbid == dbid)
		{
			found = i;
			break;
		}
		if (make && found < 0 && !OidIsValid(slots[i].dbid))
			found = i;
	}
	if (found >= 0 && slots[found].dbid != dbid)
	{
		AuditSlot  *slot = &slots[found];

		memset(slot, 0, sizeof(AuditSlot));
		slot->dbid = dbid;
		slot->writer_procno = -1;
	}
	LWLockRelease(HEADER_LOCK);
	return found;
}

static void
free_slot(int i)
{
	LWLockAcquire(HEADER_LOCK, LW_EXCLUSIVE);
	slots[i].dbid = InvalidOid;
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
	int			i = find_slot(dbid, true);
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
	if (slots[i].writer_pid == 0 && slots[i].barred_by == 0)
	{
		slots[i].writer_pid = MyProcPid;
		slots[i].writer_procno = pgcredit_my_procno();
		slots[i].recheck = false;
		slots[i].outbox = true; /* rows may be left from before */
		slots[i].head = slots[i].tail = 0;
		slots[i].pending = 0;
		claimed = true;
	}
	LWLockRelease(SLOT_LOCK(i));
	return claimed ? i : -1;
}

static void
ring_copy_out(int i, uint64 pos, char *dst, Size len)
{
	char	   *ring = rings + (Size) i * header->ring_size;
	Size		at = pos % header->ring_size;
	Size		first = Min(len, header->ring_size - at);

	memcpy(dst, ring + at, first);
	memcpy(dst + first, ring, len - first);
}

static void
ring_copy_in(int i, uint64 pos, const char *src, Size len)
{
	char	   *ring = rings + (Size) i * header->ring_size;
	Size		at = pos % header->ring_size;
	Size		first = Min(len, header->ring_size - at);

	memcpy(ring + at, src, first);
	memcpy(ring, src + first, len - first);
}

/*
 * Give up the slot: nobody can enter the ring any more, and who waits in it is
 * answered.  With "forget" the slot itself is free again.  Safe to call twice
 * and from a process exit callback.
 */
void
pgcredit_queue_release(int i, bool forget)
{
	uint64		pos;
	uint64		end;

	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (slots[i].writer_pid == MyProcPid)
	{
		slots[i].writer_pid = 0;
		slots[i].writer_procno = -1;
	}
	pos = slots[i].tail;
	end = slots[i].head;
	while (pos < end)
	{
		QueueItem	item;

		ring_copy_out(i, pos, (char *) &item, sizeof(QueueItem));
		pgcredit_queue_answer(&item, 0, ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE);
		pos += item.size;
	}
	slots[i].tail = end;
	slots[i].pending = 0;
	LWLockRelease(SLOT_LOCK(i));
	if (forget)
		free_slot(i);
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
	if (slots[i].barred_by != 0)
		summons = SUMMONS_LEAVE;
	else if (slots[i].recheck)
		summons = SUMMONS_RECHECK;
	slots[i].recheck = false;
	LWLockRelease(SLOT_LOCK(i));
	return summons;
}

bool
pgcredit_queue_take_outbox_flag(int i)
{
	bool		flag;

	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	flag = slots[i].outbox;
	slots[i].outbox = false;
	LWLockRelease(SLOT_LOCK(i));
	return flag;
}

/*
 * Move whole items into batch, as many as fit; they leave the ring, so its
 * room is free for others while these are made durable.  Returns the bytes.
 */
Size
pgcredit_queue_take(int i, char *batch, Size batch_size, int *n_items)
{
	Size		used = 0;

	*n_items = 0;
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	while (slots[i].tail < slots[i].head)
	{
		QueueItem	item;

		ring_copy_out(i, slots[i].tail, (char *) &item, sizeof(QueueItem));
		if (used + item.size > batch_size)
			break;
		ring_copy_out(i, slots[i].tail, batch + used, item.size);
		used += item.size;
		slots[i].tail += item.size;
		(*n_items)++;
	}
	slots[i].pending -= *n_items;
	LWLockRelease(SLOT_LOCK(i));
	return used;
}

int
pgcredit_queue_pending(int i)
{
	int			pending;

	LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
	pending = slots[i].pending;
	LWLockRelease(SLOT_LOCK(i));
	return pending;
}

/*
 * Tell the backend that put the item in what became of it, unless it has gone
 * on to another request.
 */
void
pgcredit_queue_answer(const QueueItem *item, uint64 seq, int sqlstate)
{
	AuditWaiter *w = &waiters[item->procno];
	bool		complete = false;

	SpinLockAcquire(&w->mutex);
	if (w->ticket == item->ticket && w->outstanding > 0)
	{
		if (sqlstate != 0)
			w->sqlstate = sqlstate;
		else if (w->seq == 0 || seq < w->seq)
			w->seq = seq;
		w->outstanding--;
		complete = w->outstanding == 0;
	}
	SpinLockRelease(&w->mutex);
	if (complete)
		wake(item->procno);
}

void
pgcredit_queue_count(int i, int64 entries, int64 bytes)
{
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	slots[i].entries += entries;
	slots[i].bytes += bytes;
	slots[i].batches++;
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
	header->launcher_procno = -1;
	LWLockRelease(HEADER_LOCK);
}

void
pgcredit_launcher_register_pid(void)
{
	LWLockAcquire(HEADER_LOCK, LW_EXCLUSIVE);
	header->launcher_procno = pgcredit_my_procno();
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
		if (OidIsValid(header->requests[i]))
			found[n++] = header->requests[i];
		header->requests[i] = InvalidOid;
	}
	for (int i = 0; i < header->n_slots; i++)
	{
		AuditSlot  *slot = &slots[i];

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

	if (header == NULL)
		return;
	LWLockAcquire(HEADER_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_REQUESTS; i++)
	{
		if (header->requests[i] == dbid)
			break;
		if (!OidIsValid(header->requests[i]))
		{
			header->requests[i] = dbid;
			break;
		}
	}
	launcher = header->launcher_procno;
	LWLockRelease(HEADER_LOCK);
	wake(launcher);
}

/*
 * Wake the writer of the database after setting the flags given.
 */
static void
flag_slot(Oid dbid, bool outbox, bool recheck)
{
	int			i = header ? find_slot(dbid, false) : -1;
	int			writer;

	if (i < 0)
		return;
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	slots[i].outbox |= outbox;
	slots[i].recheck |= recheck;
	writer = slots[i].writer_procno;
	LWLockRelease(SLOT_LOCK(i));
	wake(writer);
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
 * Send the database's writer away and keep it away until pgcredit_queue_unbar,
 * so that DROP DATABASE and the like find nobody connected.  Returns false
 * when another backend bars it.  Waits at most ten seconds; if the writer is
 * still there then, the command itself says that the database is in use.
 */
bool
pgcredit_queue_bar(Oid dbid)
{
	int			i = header ? find_slot(dbid, true) : -1;
	bool		mine = false;

	if (i < 0)
		return false;
	for (int turn = 0; turn < 1000; turn++)
	{
		int			writer;

		LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
		if (slots[i].barred_by == 0)
			slots[i].barred_by = MyProcPid;
		mine = slots[i].barred_by == MyProcPid;
		writer = slots[i].writer_pid ? slots[i].writer_procno : -1;
		LWLockRelease(SLOT_LOCK(i));
		if (!mine || writer < 0)
			break;
		wake(writer);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 10L, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return mine;
}

/*
 * Let the writer come back; with "forget" the database is gone, and its slot
 * is free.
 */
void
pgcredit_queue_unbar(Oid dbid, bool forget)
{
	int			i = find_slot(dbid, false);

	if (i < 0)
		return;
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (slots[i].barred_by == MyProcPid)
		slots[i].barred_by = 0;
	LWLockRelease(SLOT_LOCK(i));
	if (forget)
		free_slot(i);
	else
		pgcredit_queue_request_writer(dbid);
}

/* ---------------------------------------------------------------------------
 * Recording
 * ---------------------------------------------------------------------------
 */

static void
wait_a_moment(TimestampTz deadline, long most_ms)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 Max(1L, Min(left, most_ms)), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Try to put one entry into the ring.  Returns 0, or the SQLSTATE that says
 * what is in the way.
 */
static int
try_put(int i, const PgcreditEntry *entry, uint64 ticket)
{
	AuditSlot  *slot = &slots[i];
	QueueItem	item;
	uint64		pos;
	int			writer;

	memset(&item, 0, sizeof(item));
	item.prefix_len = entry->prefix.len;
	item.suffix_len = entry->suffix.len;
	item.size = MAXALIGN(MAXALIGN(sizeof(QueueItem)) + item.prefix_len + item.suffix_len);
	item.procno = pgcredit_my_procno();
	item.ticket = ticket;

	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (slot->dbid != MyDatabaseId || slot->writer_pid == 0 || slot->barred_by != 0)
	{
		LWLockRelease(SLOT_LOCK(i));
		return ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE;
	}
	if (slot->head - slot->tail + item.size > header->ring_size)
	{
		LWLockRelease(SLOT_LOCK(i));
		return ERRCODE_PGCREDIT_AUDIT_QUEUE_FULL;
	}
	pos = slot->head;
	ring_copy_in(i, pos, (char *) &item, sizeof(QueueItem));
	pos += MAXALIGN(sizeof(QueueItem));
	ring_copy_in(i, pos, entry->prefix.data, entry->prefix.len);
	pos += entry->prefix.len;
	ring_copy_in(i, pos, entry->suffix.data, entry->suffix.len);
	slot->head += item.size;
	slot->pending++;
	writer = slot->writer_procno;
	LWLockRelease(SLOT_LOCK(i));
	wake(writer);
	return 0;
}

static void
refuse(int sqlstate)
{
	if (sqlstate == ERRCODE_PGCREDIT_AUDIT_TIMEOUT)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("the entry of this access did not become durable in time"),
				 errdetail("Nothing is shown; the entry may still appear in the log."),
				 errhint("See the server log, or raise pgcredit.audit_timeout (now %d ms).",
						 audit_timeout_ms)));
	if (sqlstate == ERRCODE_PGCREDIT_AUDIT_QUEUE_FULL)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("the queue of the audit writer is full"),
				 errhint("Try again, or raise pgcredit.audit_queue_size.")));
	if (sqlstate == ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("the audit writer of this database is not running"),
				 errdetail("An access that cannot be recorded is refused."),
				 errhint("See the server log; max_worker_processes and pgcredit.max_databases limit the number of writers.")));
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("the entry of this access could not be written"),
			 errdetail("An access that cannot be recorded is refused."),
			 errhint("See the server log for the writer's error.")));
}

static void
check_can_record(PgcreditEntry *entries, int n)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot record an access on a standby"),
				 errhint("Open the access on the primary.")));
	if (header == NULL)
		pgcredit_require_preloaded("recording an access");
	for (int k = 0; k < n; k++)
		pgcredit_entry_check_size(&entries[k]);
}

/*
 * Record n entries at once and return when all are durable, with the sequence
 * number of the first; raise, having shown nothing, when that cannot be had
 * within pgcredit.audit_timeout.  The entries survive whatever becomes of the
 * calling transaction (P1).
 */
uint64
pgcredit_audit_record(PgcreditEntry *entries, int n)
{
	TimestampTz deadline;
	AuditWaiter *w;
	uint64		ticket;
	int			put = 0;

	check_can_record(entries, n);
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), audit_timeout_ms);
	w = &waiters[pgcredit_my_procno()];
	SpinLockAcquire(&w->mutex);
	ticket = ++w->ticket;
	w->outstanding = n;
	w->sqlstate = 0;
	w->seq = 0;
	SpinLockRelease(&w->mutex);

	while (put < n)
	{
		int			slot = find_slot(MyDatabaseId, false);
		int			problem = slot < 0 ? ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE :
			try_put(slot, &entries[put], ticket);

		if (problem == 0)
		{
			put++;
			continue;
		}
		if (GetCurrentTimestamp() >= deadline)
			refuse(problem);
		if (problem == ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE)
			pgcredit_queue_request_writer(MyDatabaseId);
		wait_a_moment(deadline,
					  problem == ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE ? 20L : 1L);
	}

	for (;;)
	{
		int			outstanding;
		int			sqlstate;
		uint64		seq;

		SpinLockAcquire(&w->mutex);
		outstanding = w->outstanding;
		sqlstate = w->sqlstate;
		seq = w->seq;
		SpinLockRelease(&w->mutex);
		if (sqlstate != 0)
			refuse(sqlstate);
		if (outstanding == 0)
			return seq;
		if (GetCurrentTimestamp() >= deadline)
			refuse(ERRCODE_PGCREDIT_AUDIT_TIMEOUT);
		wait_a_moment(deadline, 1000L);
	}
}
