/*
 * verify_workers.c
 *		Parallel workers for credit.verify_log, which read and hash entries ahead.
 *
 * The entries are cut into ranges, which workers, and the leader while it has to
 * wait, take in their order.  Whoever has one puts the entries' hashes into its
 * slot in shared memory, or says that something in it was not as it should be.
 * Nothing else is said: the leader takes the ranges in their order, makes the tree
 * of the hashes, compares it with what is stored and signed, and reads a range
 * that was odd itself, so that it reports what it would have found alone.
 *
 * There are as many slots as may be made or wait at a time.  A range has slot
 * [its number % n_slots], which is free again when the leader has taken the leaves
 * from it.
 *
 * Workers see what the leader sees: its snapshot and, as in any parallel
 * operation, what its transaction has done.  They write nothing.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/spin.h"
#include "utils/snapmgr.h"

#include "audit/stat.h"
#include "audit/verify.h"

/* More than that do not make it faster: the leader puts the tree together alone. */
#define WORKERS_MAX 8
/* For each who reads one that is made and one that waits. */
#define SLOTS_EACH 2
/* Small enough that all have something to do until shortly before the end. */
#define RANGES_EACH 8

#define KEY_WORK 1

typedef enum RangeState
{
	RANGE_FREE,
	RANGE_TAKEN,
	RANGE_GOOD,
	RANGE_ODD
} RangeState;

typedef struct RangeSlot
{
	RangeState	state;
	VerifyRange range;			/* belongs to who has taken it, then to the leader */
} RangeSlot;

typedef struct VerifyWork
{
	Oid			entry;			/* credit.audit_entry */
	uint64		begin;			/* first leaf */
	uint64		end;
	uint64		width;			/* leaves of a range */
	uint64		n_ranges;
	int			n_slots;
	ConditionVariable changed;	/* a range was made, or a slot is free again */

	/* each worker's, when it has ended */
	BufferUsage buffers[WORKERS_MAX];
	WalUsage	wal[WORKERS_MAX];

	slock_t		mutex;			/* protects all that follows, of the slots their state */
	uint64		n_taken;		/* ranges, from the first on */
	uint64		n_freed;		/* of them, those that the leader is done with */
	uint64		n_made;			/* by workers */
	RangeSlot	slots[FLEXIBLE_ARRAY_MEMBER];
} VerifyWork;

/* The leader's */
struct VerifyWorkers
{
	ParallelContext *context;
	VerifyWork *work;
	const EntryShown *shown;
	EntryScan	entries;		/* to help with */
	uint64		n_begun;		/* ranges that were asked for */
	uint64		n_odd;
};

extern PGDLLEXPORT void pgcredit_verify_worker(dsm_segment *seg, shm_toc *toc);

/*
 * Put the hashes of a range's entries into its slot; false when one of them is not
 * as it should be.  The entry behind the range is looked at as well, so that
 * nothing can stand between two ranges.
 */
static bool
hash_range(EntryScan *entries, const VerifyWork *work, uint64 n, VerifyRange *range)
{
	uint64		begin = work->begin + n * work->width;
	uint64		end = Min(begin + work->width, work->end);

	entries->pages = &range->pages;
	entries->code = 0;
	pgcredit_entries_seek(entries, begin + 1);
	for (uint64 k = begin; k < end; k++)
	{
		Size		len;

		CHECK_FOR_INTERRUPTS();
		if (entries->seq != (int64) k + 1 ||
			pgcredit_verify_entry(entries, k + 1, range->leaves[k - begin], &len) != LEAF_GOOD)
			return false;
		pgcredit_entries_next(entries);
	}
	range->code = entries->code;
	return end == work->end || entries->seq == (int64) end + 1;
}

/*
 * Take the next range, and with "wait" wait for a slot; false when there is none
 * to take.
 */
static bool
take_range(VerifyWork *work, bool wait, uint64 *n)
{
	bool		taken;
	bool		over;

	for (;;)
	{
		SpinLockAcquire(&work->mutex);
		over = work->n_taken == work->n_ranges;
		taken = !over && work->n_taken < work->n_freed + work->n_slots;
		if (taken)
		{
			*n = work->n_taken++;
			work->slots[*n % work->n_slots].state = RANGE_TAKEN;
		}
		SpinLockRelease(&work->mutex);
		if (taken || over || !wait)
			break;
		ConditionVariableSleep(&work->changed, pgcredit_audit_wait(AUDIT_WAIT_VERIFY));
	}
	ConditionVariableCancelSleep();
	return taken;
}

static void
make_range(EntryScan *entries, VerifyWork *work, uint64 n)
{
	RangeSlot  *slot = &work->slots[n % work->n_slots];
	bool		good = hash_range(entries, work, n, &slot->range);

	SpinLockAcquire(&work->mutex);
	slot->state = good ? RANGE_GOOD : RANGE_ODD;
	if (IsParallelWorker())
		work->n_made++;
	SpinLockRelease(&work->mutex);
	ConditionVariableBroadcast(&work->changed);
}

/*
 * A worker: make ranges until there are none.  An error ends it and is raised
 * again in the leader.
 */
void
pgcredit_verify_worker(dsm_segment *seg, shm_toc *toc)
{
	VerifyWork *work = shm_toc_lookup(toc, KEY_WORK, false);
	EntryScan  *entries = palloc(sizeof(EntryScan));
	Relation	rel;
	uint64		n;

	pgstat_report_activity(STATE_RUNNING, "credit.verify_log");
	InstrStartParallelQuery();
	rel = table_open(work->entry, AccessShareLock);
	pgcredit_entries_begin(entries, rel, GetActiveSnapshot());
	while (take_range(work, true, &n))
		make_range(entries, work, n);
	pgcredit_entries_end(entries);
	table_close(rel, AccessShareLock);
	InstrEndParallelQuery(&work->buffers[ParallelWorkerNumber], &work->wal[ParallelWorkerNumber]);
}

/*
 * How many workers are worth their start: by the settings that decide it for CREATE
 * INDEX, and none for a log that is read in less time than they take to come.
 */
static int
wanted_workers(const Verify *verify)
{
	uint64		leaves = verify->end - verify->begin;
	double		pages = (double) verify->shown.n_blocks * leaves / Max(verify->end, 1);

	if (verify->alone || pages < min_parallel_table_scan_size || leaves < 2 * TILE_WIDTH)
		return 0;
	/* a tile at least for each, and for the leader */
	return Min(Min(max_parallel_maintenance_workers, WORKERS_MAX), (int) Min(leaves / TILE_WIDTH - 1, WORKERS_MAX));
}

static VerifyWork *
new_work(const Verify *verify, ParallelContext *context, int readers)
{
	int			n_slots = readers * SLOTS_EACH;
	uint64		leaves = verify->end - verify->begin;
	uint64		width = leaves / (readers * RANGES_EACH) / TILE_WIDTH * TILE_WIDTH;
	VerifyWork *work = shm_toc_allocate(context->toc, offsetof(VerifyWork, slots) + n_slots * sizeof(RangeSlot));

	work->entry = RelationGetRelid(verify->tree->entry);
	work->begin = verify->begin;
	work->end = verify->end;
	work->width = Min(Max(width, TILE_WIDTH), VERIFY_RANGE);
	work->n_ranges = (leaves + work->width - 1) / work->width;
	work->n_slots = n_slots;
	ConditionVariableInit(&work->changed);
	SpinLockInit(&work->mutex);
	work->n_taken = work->n_freed = work->n_made = 0;
	for (int k = 0; k < n_slots; k++)
	{
		work->slots[k].state = RANGE_FREE;
		pgcredit_pages_empty(&work->slots[k].range.pages, &verify->shown);
	}
	shm_toc_insert(context->toc, KEY_WORK, work);
	return work;
}

/*
 * Leave parallel mode, whatever was reached of it.  On an error the end of the
 * subtransaction does that, and stops the workers.
 */
static void
leave_parallel(Verify *verify)
{
	DestroyParallelContext(verify->workers->context);
	ExitParallelMode();
	verify->workers = NULL;
}

/*
 * Start workers, if there are any to have; the caller ends them.  From here on
 * till then verify->workers says that an error may be one of theirs.
 */
void
pgcredit_workers_begin(Verify *verify)
{
	int			n = wanted_workers(verify);
	VerifyWorkers *workers;
	ParallelContext *context;

	if (n == 0)
		return;
	verify->workers = workers = palloc0(sizeof(VerifyWorkers));
	workers->shown = &verify->shown;
	EnterParallelMode();
	workers->context = context = CreateParallelContext("pgcredit", "pgcredit_verify_worker", n);
	shm_toc_estimate_chunk(&context->estimator, offsetof(VerifyWork, slots) + (n + 1) * SLOTS_EACH * sizeof(RangeSlot));
	shm_toc_estimate_keys(&context->estimator, 1);
	InitializeParallelDSM(context);
	if (context->seg)
	{
		workers->work = new_work(verify, context, n + 1);
		LaunchParallelWorkers(context);
	}
	if (context->nworkers_launched == 0)
	{
		leave_parallel(verify);
		return;
	}
	verify->range = workers->work->width;
	pgcredit_entries_begin(&workers->entries, verify->tree->entry, verify->tree->snapshot);
	/* who does not help must know that they are there, or it would wait for ever */
	if (!parallel_leader_participation)
		WaitForParallelWorkersToAttach(context);
}

int
pgcredit_workers_launched(const VerifyWorkers *workers)
{
	return workers ? workers->context->nworkers_launched : 0;
}

static void
free_slot(VerifyWorkers *workers)
{
	VerifyWork *work = workers->work;
	RangeSlot  *slot = &work->slots[work->n_freed % work->n_slots];

	pgcredit_pages_empty(&slot->range.pages, workers->shown);
	SpinLockAcquire(&work->mutex);
	slot->state = RANGE_FREE;
	work->n_freed++;
	SpinLockRelease(&work->mutex);
	ConditionVariableBroadcast(&work->changed);
}

/*
 * The next range, as it was made; it stays until the next call.  NULL when the
 * leader has to read it itself.  While it is not there, help.
 */
const VerifyRange *
pgcredit_workers_take(VerifyWorkers *workers)
{
	VerifyWork *work;
	RangeSlot  *slot;
	RangeState	state;

	if (workers == NULL)
		return NULL;
	if (workers->n_begun > 0)
		free_slot(workers);
	work = workers->work;
	slot = &work->slots[workers->n_begun++ % work->n_slots];
	for (;;)
	{
		uint64		n;

		SpinLockAcquire(&work->mutex);
		state = slot->state;
		SpinLockRelease(&work->mutex);
		if (state == RANGE_GOOD || state == RANGE_ODD)
			break;
		if (parallel_leader_participation && take_range(work, false, &n))
			make_range(&workers->entries, work, n);
		else
			ConditionVariableSleep(&work->changed, pgcredit_audit_wait(AUDIT_WAIT_VERIFY));
	}
	ConditionVariableCancelSleep();
	if (state == RANGE_ODD)
	{
		workers->n_odd++;
		return NULL;
	}
	return &slot->range;
}

/*
 * Send the workers home, also before the last range.
 */
void
pgcredit_workers_end(Verify *verify)
{
	VerifyWorkers *workers = verify->workers;
	VerifyWork *work;

	if (workers == NULL)
		return;
	work = workers->work;
	SpinLockAcquire(&work->mutex);
	work->n_taken = work->n_ranges;
	SpinLockRelease(&work->mutex);
	ConditionVariableBroadcast(&work->changed);
	WaitForParallelWorkersToFinish(workers->context);
	/* so that EXPLAIN and pg_stat_statements count what they have read */
	for (int k = 0; k < workers->context->nworkers_launched; k++)
		InstrAccumParallelQuery(&work->buffers[k], &work->wal[k]);
	ereport(DEBUG1,
			(errmsg_internal("%d workers made " UINT64_FORMAT " of " UINT64_FORMAT " ranges of the log, " UINT64_FORMAT " were odd",
							 workers->context->nworkers_launched, work->n_made, work->n_ranges, workers->n_odd)));
	leave_parallel(verify);
}
