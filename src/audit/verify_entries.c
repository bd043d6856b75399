/*
 * verify_entries.c
 *		Entries of the log for credit.verify_log, in the order of the index.
 *
 * The index gives the places.  A page that is visible to everybody, as nearly
 * all of an old log's are after a VACUUM, is copied once and its rows are taken
 * from the copy; what is not, and a place that is not that of a plain row, goes
 * the way that any other reader goes.
 *
 * Afterwards the table is counted without the index.  A copied page all of whose
 * rows the index has shown need not be read again for it.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/skey.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "audit/tree.h"
#include "audit/verify.h"
#include "core/core.h"

/*
 * Open what reading needs; a seek comes before the first entry.  All of it is
 * closed by the end of the subtransaction in which all is read, or of the worker.
 */
void
pgcredit_entries_begin(EntryScan *entries, Relation rel, Snapshot snapshot)
{
	memset(entries, 0, sizeof(EntryScan));
	entries->rel = rel;
	entries->snapshot = snapshot;
	entries->index = index_open(pgcredit_relation_oid("audit_entry_pkey", false), AccessShareLock);
	entries->slot = table_slot_create(rel, NULL);
	entries->context = AllocSetContextCreate(CurrentMemoryContext, "pgcredit entries", ALLOCSET_DEFAULT_SIZES);
	/* a standby cannot trust that a page is visible to all of its snapshots */
	entries->may_copy = rel->rd_rel->relam == HEAP_TABLE_AM_OID && !snapshot->takenDuringRecovery;
	entries->strategy = GetAccessStrategy(BAS_BULKREAD);
	entries->block = InvalidBlockNumber;
}

/*
 * Note the page that was copied, if the index has shown every row of it.  One for
 * which there is no room is read again when the table is counted.
 */
static void
leave_page(EntryScan *entries)
{
	EntryPages *pages = entries->pages;

	if (entries->copied && entries->shown == entries->present &&
		entries->block < pages->end && pages->n < lengthof(pages->blocks))
	{
		pages->blocks[pages->n++] = entries->block;
		pages->rows += entries->shown;
		pages->sum += entries->sum;
	}
	entries->block = InvalidBlockNumber;
	entries->copied = false;
}

/*
 * Go to the first entry from number "from" on, whatever was read before.  The page
 * that this was on is not noted: the last row that it has shown is of an entry that
 * was only looked at.
 */
void
pgcredit_entries_seek(EntryScan *entries, uint64 from)
{
	/* from the beginning also what comes before it, which nothing may */
	int			n_keys = from > 1 ? 1 : 0;
	ScanKeyData key;

	if (entries->scan)
		index_endscan(entries->scan);
	ScanKeyInit(&key, ENTRY_SEQ, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum((int64) from));
	entries->scan = pgcredit_index_beginscan(entries->rel, entries->index, entries->snapshot, n_keys);
	index_rescan(entries->scan, &key, n_keys, NULL, 0);
	entries->block = InvalidBlockNumber;
	entries->copied = false;
	pgcredit_entries_next(entries);
}

/*
 * Copy a page, if all of its rows are visible to everybody.  What is put on it
 * later is not in the copy, and no row of our snapshot can be gone from it.
 */
static void
take_page(EntryScan *entries, BlockNumber block)
{
	Buffer		buffer;
	Page		page;

	leave_page(entries);
	buffer = ReadBufferExtended(entries->rel, MAIN_FORKNUM, block, RBM_NORMAL, entries->strategy);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	entries->copied = PageIsAllVisible(page);
	if (entries->copied)
		memcpy(entries->page.data, page, BLCKSZ);
	UnlockReleaseBuffer(buffer);
	entries->block = block;
	entries->shown = entries->present = 0;
	entries->sum = 0;
	if (!entries->copied)
		return;
	page = (Page) entries->page.data;
	for (OffsetNumber k = FirstOffsetNumber; k <= PageGetMaxOffsetNumber(page); k++)
		if (ItemIdIsNormal(PageGetItemId(page, k)))
			entries->present++;
}

/*
 * The row at a place of the copy, or NULL when it has to be looked for.
 */
static HeapTuple
copied_row(EntryScan *entries, ItemPointer tid)
{
	Page		page = (Page) entries->page.data;
	OffsetNumber offset = ItemPointerGetOffsetNumber(tid);
	ItemId		item;

	if (offset < FirstOffsetNumber || offset > PageGetMaxOffsetNumber(page))
		return NULL;
	item = PageGetItemId(page, offset);
	if (!ItemIdIsNormal(item))
		return NULL;
	entries->row.t_data = (HeapTupleHeader) PageGetItem(page, item);
	entries->row.t_len = ItemIdGetLength(item);
	entries->row.t_tableOid = RelationGetRelid(entries->rel);
	entries->row.t_self = *tid;
	/* no index points to a row that another one leads to */
	return HeapTupleIsHeapOnly(&entries->row) ? NULL : &entries->row;
}

/*
 * Go to the next entry: entries->tuple, NULL at the end.
 */
void
pgcredit_entries_next(EntryScan *entries)
{
	ItemPointer tid;

	entries->tuple = NULL;
	while (entries->tuple == NULL && (tid = index_getnext_tid(entries->scan, ForwardScanDirection)) != NULL)
	{
		if (entries->may_copy && ItemPointerGetBlockNumber(tid) != entries->block)
			take_page(entries, ItemPointerGetBlockNumber(tid));
		if (entries->copied)
			entries->tuple = copied_row(entries, tid);
		if (entries->tuple)
		{
			entries->seq = DatumGetInt64(pgcredit_column(entries->rel, entries->tuple, ENTRY_SEQ));
			entries->shown++;
			entries->sum += entries->seq;
		}
		else if (index_fetch_heap(entries->scan, entries->slot))
		{
			entries->tuple = ExecFetchSlotHeapTuple(entries->slot, false, NULL);
			entries->seq = DatumGetInt64(pgcredit_column(entries->rel, entries->tuple, ENTRY_SEQ));
		}
	}
	if (entries->tuple)
		return;
	entries->seq = PG_INT64_MAX;
	leave_page(entries);
}

void
pgcredit_entries_end(EntryScan *entries)
{
	if (entries->scan)
		index_endscan(entries->scan);
	ExecDropSingleTupleTableSlot(entries->slot);
	index_close(entries->index, AccessShareLock);
}

/*
 * Before anything is shown, make the map of the table's pages as it is now.
 */
void
pgcredit_shown_begin(EntryShown *shown, Relation rel)
{
	Size		size;

	shown->rows = shown->sum = 0;
	shown->n_blocks = RelationGetNumberOfBlocks(rel);
	size = shown->n_blocks / BITS_PER_BYTE + 1;
	shown->whole = MemoryContextAllocHuge(CurrentMemoryContext, size);
	memset(shown->whole, 0, size);
}

/*
 * Take over the pages that were noted.
 */
void
pgcredit_shown_take(EntryShown *shown, const EntryPages *pages)
{
	for (int k = 0; k < pages->n; k++)
		shown->whole[pages->blocks[k] / BITS_PER_BYTE] |= 1 << pages->blocks[k] % BITS_PER_BYTE;
	shown->rows += pages->rows;
	shown->sum += pages->sum;
}

/*
 * Make room for notes.  A page that the table has got since the map was made has
 * no row that our snapshot sees.
 */
void
pgcredit_pages_empty(EntryPages *pages, const EntryShown *shown)
{
	pages->end = shown->n_blocks;
	pages->rows = pages->sum = 0;
	pages->n = 0;
}

static bool
is_whole(const EntryShown *shown, BlockNumber block)
{
	return block < shown->n_blocks && (shown->whole[block / BITS_PER_BYTE] >> block % BITS_PER_BYTE & 1) != 0;
}

/*
 * Count the rows in blocks [from, to); the sum of their numbers is added to *sum.
 */
static uint64
count_blocks(const EntryScan *entries, BlockNumber from, BlockNumber to, uint64 *sum)
{
	ItemPointerData first;
	ItemPointerData last;
	TableScanDesc scan;
	uint64		n = 0;

	ItemPointerSet(&first, from, FirstOffsetNumber);
	ItemPointerSet(&last, to - 1, MaxOffsetNumber);
	scan = table_beginscan_tidrange(entries->rel, entries->snapshot, &first, &last);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, entries->slot))
	{
		bool		isnull;

		if (++n % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		*sum += (uint64) DatumGetInt64(slot_getattr(entries->slot, ENTRY_SEQ, &isnull));
	}
	table_endscan(scan);
	ExecClearTuple(entries->slot);
	return n;
}

/*
 * Count the entries without the index, after it has shown the last; *sum is that
 * of their numbers.
 */
uint64
pgcredit_entries_count(const EntryScan *entries, const EntryShown *shown, int64 *sum)
{
	BlockNumber end = RelationGetNumberOfBlocks(entries->rel);
	uint64		n = shown->rows;
	uint64		total = shown->sum;

	for (BlockNumber from = 0, to; from < end; from = to)
	{
		for (to = from; to < end && !is_whole(shown, to); to++)
			;
		if (to > from)
			n += count_blocks(entries, from, to, &total);
		else
			to++;
		CHECK_FOR_INTERRUPTS();
	}
	*sum = (int64) total;
	return n;
}
