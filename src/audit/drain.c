/*
 * drain.c
 *		Moving what committed transactions left in the outbox into the log, for the
 *		audit writer.
 *
 * Entries are taken in the order of their ids, which were given when they were
 * left.  A transaction that committed before another left an entry has the lower
 * ids, and who sees the second sees the first: so all that one snapshot sees, in
 * the order of ids, and then all that a later one does, is an order in which it
 * comes first.
 *
 * A turn takes at most TAKEN_AT_ONCE, so that readers in the ring do not wait
 * long.  What more its snapshot sees is remembered by id and place, and the next
 * turns take it from there, without reading the table again, before they look
 * for anything newer; no snapshot is kept for that.  Where more waits than may
 * be remembered, it is the lowest ids: what is left has higher ones, and takes
 * its turn among what the next snapshot sees.
 *
 * Nobody but the writer removes rows, so places hold.  Should somebody write the
 * table anew (VACUUM FULL) or take rows away by hand, a place shows another id
 * or none, and all of it is looked for again.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "audit/audit_internal.h"
#include "audit/drain.h"
#include "core/core.h"

#define TAKEN_AT_ONCE 1000

/* Columns of credit.audit_outbox */
enum
{
	OUTBOX_ID, OUTBOX_PREFIX, OUTBOX_SUFFIX, OUTBOX_NATTS
};

typedef struct OutboxRow
{
	int64		id;
	ItemPointerData tid;
} OutboxRow;

/* What waits, as of the snapshot that saw it; empty between turns unless one left something. */
typedef struct Waiting
{
	MemoryContext context;		/* below TopMemoryContext; NULL: nothing is remembered */
	OutboxRow  *rows;			/* by id once all are read */
	int64		n;
	int64		next;			/* the first not taken */
	int64		room;
	int64		up_to;			/* higher ids are left out */
} Waiting;

static Waiting waiting;

/*
 * Look for everything again.  To be called also when a turn was rolled back.
 */
void
pgcredit_drain_forget(void)
{
	if (waiting.context)
		MemoryContextDelete(waiting.context);
	memset(&waiting, 0, sizeof(waiting));
}

static int
by_id(const void *a, const void *b)
{
	int64		x = ((const OutboxRow *) a)->id;
	int64		y = ((const OutboxRow *) b)->id;

	return x < y ? -1 : x > y;
}

/*
 * Room for one more: up to maintenance_work_mem, then that of the upper half.
 */
static void
make_room(void)
{
	int64		most = Max((int64) maintenance_work_mem * 1024 / (int64) sizeof(OutboxRow), 2 * TAKEN_AT_ONCE);

	if (waiting.room < most)
	{
		waiting.room = Min(waiting.room * 2, most);
		waiting.rows = repalloc_huge(waiting.rows, waiting.room * sizeof(OutboxRow));
		return;
	}
	qsort(waiting.rows, waiting.n, sizeof(OutboxRow), by_id);
	waiting.n /= 2;
	waiting.up_to = waiting.rows[waiting.n - 1].id;
}

/*
 * Remember all that the active snapshot sees.
 */
static void
look(Relation rel)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);

	waiting.context = AllocSetContextCreate(TopMemoryContext, "pgcredit outbox", ALLOCSET_SMALL_SIZES);
	waiting.room = TAKEN_AT_ONCE;
	waiting.rows = MemoryContextAlloc(waiting.context, waiting.room * sizeof(OutboxRow));
	waiting.up_to = PG_INT64_MAX;
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		int64		id = DatumGetInt64(slot_getattr(slot, OUTBOX_ID + 1, &isnull));

		if (waiting.n == waiting.room)
			make_room();
		if (id > waiting.up_to)
			continue;
		waiting.rows[waiting.n].id = id;
		waiting.rows[waiting.n++].tid = slot->tts_tid;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	qsort(waiting.rows, waiting.n, sizeof(OutboxRow), by_id);
}

/*
 * Move one row; false if it is not where it was.
 */
static bool
take(Log *log, Relation rel, BlockNumber blocks, OutboxRow *row, TupleTableSlot *slot)
{
	text	   *prefix;
	text	   *suffix;

	if (ItemPointerGetBlockNumber(&row->tid) >= blocks ||
		!table_tuple_fetch_row_version(rel, &row->tid, GetActiveSnapshot(), slot))
		return false;
	slot_getallattrs(slot);
	if (DatumGetInt64(slot->tts_values[OUTBOX_ID]) != row->id)
		return false;
	prefix = DatumGetTextPP(slot->tts_values[OUTBOX_PREFIX]);
	suffix = DatumGetTextPP(slot->tts_values[OUTBOX_SUFFIX]);
	pgcredit_log_append(log, VARDATA_ANY(prefix), VARSIZE_ANY_EXHDR(prefix),
						VARDATA_ANY(suffix), VARSIZE_ANY_EXHDR(suffix));
	simple_table_tuple_delete(rel, &row->tid, GetActiveSnapshot());
	return true;
}

/*
 * Move a turn's rows to the end of the log, under the active snapshot.  Returns
 * whether more may be there.  The lock is kept to the end of the transaction:
 * who writes the table anew must see what became of its rows.
 */
bool
pgcredit_drain_outbox(Log *log)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_outbox", false), RowExclusiveLock);
	TupleTableSlot *slot;
	BlockNumber blocks;
	bool		all = false;	/* does the list hold all that the snapshot sees? */
	bool		moved = false;	/* is a row not where it was? */

	if (RelationGetDescr(rel)->natts != OUTBOX_NATTS)
		elog(ERROR, "unexpected columns in credit.audit_outbox");
	if (waiting.context == NULL)
	{
		look(rel);
		all = waiting.up_to == PG_INT64_MAX;
	}
	slot = table_slot_create(rel, NULL);
	blocks = RelationGetNumberOfBlocks(rel);
	for (int k = 0; k < TAKEN_AT_ONCE && waiting.next < waiting.n && !moved; k++)
		moved = !take(log, rel, blocks, &waiting.rows[waiting.next++], slot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	if (!moved && waiting.next < waiting.n)
		return true;
	pgcredit_drain_forget();
	return moved || !all;
}
