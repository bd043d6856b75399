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
 * The table is read from the first block on in which somebody noted, before it
 * committed, that it had put a row there (pgcredit_queue_note_outbox); those before
 * it hold at most what earlier turns took away.  A row that was noted may not be
 * seen yet.  So a block counts until each transaction that may have noted it is
 * over and has been looked for.  Rows that come by SQL, as those of a dump, are not
 * noted, and found by a look at the whole.
 *
 * Nobody but the writer removes rows, so places hold.  Should somebody write the
 * table anew (VACUUM FULL) or take rows away by hand, a place shows another id
 * or none, and all of it is looked for again.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
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

/* Where rows may be that are not in the list. */
typedef struct Noted
{
	BlockNumber older;			/* first block noted by transactions with ids below "next" */
	TransactionId next;
	BlockNumber newer;			/* first block noted since */
	bool		whole;			/* look everywhere, once */
	Oid			file;			/* the table's when it was last read */
} Noted;

static Waiting waiting;
static Noted noted;				/* nought: everywhere */

static void
list_forget(void)
{
	if (waiting.context)
		MemoryContextDelete(waiting.context);
	memset(&waiting, 0, sizeof(waiting));
}

/*
 * Look for everything again.  To be called also when a turn was rolled back.
 */
void
pgcredit_drain_forget(void)
{
	list_forget();
	memset(&noted, 0, sizeof(noted));
}

/*
 * From where on to read for all that the active snapshot sees and that was not
 * taken yet.  Once no transaction is running that was when a block was noted, this
 * look is the last that needs it.
 */
static BlockNumber
first_block(Relation rel, int slot)
{
	BlockNumber first = pgcredit_queue_take_outbox_block(slot);

	noted.newer = Min(noted.newer, first);
	first = Min(noted.older, noted.newer);
	if (noted.whole || noted.file != rel->rd_rel->relfilenode)
		first = 0;
	if (TransactionIdFollowsOrEquals(GetActiveSnapshot()->xmin, noted.next))
	{
		noted.older = noted.newer;
		noted.next = ReadNextTransactionId();	/* after the block was taken */
		noted.newer = InvalidBlockNumber;
	}
	noted.whole = false;
	noted.file = rel->rd_rel->relfilenode;
	return first;
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
 * Remember all that the active snapshot sees from a block on.
 */
static void
look(Relation rel, BlockNumber first)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	ItemPointerData from;
	ItemPointerData to;
	TableScanDesc scan;

	ItemPointerSet(&from, first, FirstOffsetNumber);
	ItemPointerSet(&to, MaxBlockNumber, MaxOffsetNumber);
	scan = table_beginscan_tidrange(rel, GetActiveSnapshot(), &from, &to);
	waiting.context = AllocSetContextCreate(TopMemoryContext, "pgcredit outbox", ALLOCSET_SMALL_SIZES);
	waiting.room = TAKEN_AT_ONCE;
	waiting.rows = MemoryContextAlloc(waiting.context, waiting.room * sizeof(OutboxRow));
	waiting.up_to = PG_INT64_MAX;
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
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
 * whether more may be there.  With "whole" the next look is at the whole table.
 * The lock is kept to the end of the transaction: who writes the table anew must
 * see what became of its rows.
 */
bool
pgcredit_drain_outbox(Log *log, int slot, bool whole)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_outbox", false), RowExclusiveLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(rel);
	TupleTableSlot *row;
	bool		all = false;	/* does the list hold all that the snapshot sees? */
	bool		moved = false;	/* is a row not where it was? */

	if (RelationGetDescr(rel)->natts != OUTBOX_NATTS)
		elog(ERROR, "unexpected columns in credit.audit_outbox");
	noted.whole |= whole;
	if (waiting.context == NULL)
	{
		BlockNumber first = first_block(rel, slot);

		all = true;
		if (first < blocks)
			look(rel, first);
		if (waiting.context && waiting.up_to != PG_INT64_MAX)
		{
			all = false;
			noted.newer = Min(noted.newer, first);
		}
	}
	row = table_slot_create(rel, NULL);
	for (int k = 0; k < TAKEN_AT_ONCE && waiting.next < waiting.n && !moved; k++)
		moved = !take(log, rel, blocks, &waiting.rows[waiting.next++], row);
	ExecDropSingleTupleTableSlot(row);
	table_close(rel, NoLock);
	if (moved)
		pgcredit_drain_forget();
	else if (waiting.next < waiting.n)
		return true;
	else
		list_forget();
	return !all || moved;
}
