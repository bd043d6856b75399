/*
 * append.c
 *		Rows of the log's own tables, written and found below SQL.
 *
 * The writer runs as the bootstrap superuser, so nothing that somebody attached
 * to a table (trigger, rule, policy, default) may run with it: rows go in, and
 * are found again, by the access methods alone.  Tables written here have no
 * expression indexes and no exclusion constraints; a unique index is checked.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "audit/append.h"
#include "core/core.h"

/*
 * Make ready to add rows to table "name" of schema credit, which must have
 * "natts" columns.  Everything is in the current memory context and is given
 * back by pgcredit_append_close, or by the end of the transaction.
 */
void
pgcredit_append_open(Appender *appender, const char *name, int natts)
{
	memset(appender, 0, sizeof(Appender));
	appender->rel = table_open(pgcredit_relation_oid(name, false), RowExclusiveLock);
	if (RelationGetDescr(appender->rel)->natts != natts)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("unexpected columns in credit.%s", name),
				 errdetail("It has %d columns, %d are expected.",
						   RelationGetDescr(appender->rel)->natts, natts),
				 errhint("The library is of another version than the extension: ALTER EXTENSION pgcredit UPDATE, or undo what was done to the table.")));
	appender->estate = CreateExecutorState();
	appender->rri = makeNode(ResultRelInfo);
	InitResultRelInfo(appender->rri, appender->rel, 0, NULL, 0);
	ExecOpenIndices(appender->rri, false);
}

/*
 * A row to be filled by the caller before the next call: values and nulls of
 * its columns, nulls all false.  What values point to must live until the flush.
 */
TupleTableSlot *
pgcredit_append_row(Appender *appender)
{
	TupleTableSlot *slot;

	if (appender->n_filled == APPEND_AT_ONCE)
		pgcredit_append_flush(appender);
	if (appender->slots[appender->n_filled] == NULL)
		appender->slots[appender->n_filled] = table_slot_create(appender->rel, NULL);
	slot = appender->slots[appender->n_filled++];
	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, slot->tts_tupleDescriptor->natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	return slot;
}

/*
 * Insert the rows gathered.
 */
void
pgcredit_append_flush(Appender *appender)
{
	if (appender->n_filled == 0)
		return;
	table_multi_insert(appender->rel, appender->slots, appender->n_filled,
					   GetCurrentCommandId(true), 0, NULL);
	for (int k = 0; k < appender->n_filled; k++)
	{
		pgcredit_insert_index_entries(appender->rri, appender->slots[k], appender->estate);
		ExecClearTuple(appender->slots[k]);
	}
	ResetPerTupleExprContext(appender->estate);
	appender->n_filled = 0;
}

/*
 * Insert what is left and give everything back but the lock, which is kept to
 * the end of the transaction: who waits for it, as a restore does, must see what
 * was written.
 */
void
pgcredit_append_close(Appender *appender)
{
	pgcredit_append_flush(appender);
	for (int k = 0; k < APPEND_AT_ONCE && appender->slots[k]; k++)
		ExecDropSingleTupleTableSlot(appender->slots[k]);
	ExecCloseIndices(appender->rri);
	FreeExecutorState(appender->estate);
	table_close(appender->rel, NoLock);
}

/* ---------------------------------------------------------------------------
 * Finding rows by a key whose leading columns are given and ordered
 * ---------------------------------------------------------------------------
 */

/*
 * Scan "rel" by the index of that name in its order.  The snapshot must stay
 * registered or active until pgcredit_seek_end.
 */
void
pgcredit_seek_begin(Seek *seek, Relation rel, const char *index, int n_keys,
					ScanKey keys, Snapshot snapshot)
{
	seek->rel = rel;
	seek->index = index_open(pgcredit_relation_oid(index, false), AccessShareLock);
	seek->scan = systable_beginscan_ordered(rel, seek->index, snapshot, n_keys, keys);
}

HeapTuple
pgcredit_seek_next(Seek *seek, ScanDirection direction)
{
	return systable_getnext_ordered(seek->scan, direction);
}

/*
 * A column of a row, from 1; raises data_corrupted for a null,
 * which no column of these tables may have.
 */
Datum
pgcredit_column(Relation rel, HeapTuple tuple, AttrNumber number)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, number, RelationGetDescr(rel), &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("null in column %d of credit.%s", number, RelationGetRelationName(rel)),
				 errhint("Somebody changed the log's tables; credit.verify_log() says where.")));
	return value;
}

Datum
pgcredit_seek_column(const Seek *seek, HeapTuple tuple, AttrNumber number)
{
	return pgcredit_column(seek->rel, tuple, number);
}

void
pgcredit_seek_end(Seek *seek)
{
	systable_endscan_ordered(seek->scan);
	index_close(seek->index, AccessShareLock);
}

/*
 * The first column (a bigint) of the last row in the order of the index, or
 * "none" when there is no row.
 */
int64
pgcredit_seek_last(Relation rel, const char *index, Snapshot snapshot, int64 none)
{
	Seek		seek;
	HeapTuple	tuple;
	int64		result = none;

	pgcredit_seek_begin(&seek, rel, index, 0, NULL, snapshot);
	tuple = pgcredit_seek_next(&seek, BackwardScanDirection);
	if (tuple != NULL)
		result = DatumGetInt64(pgcredit_seek_column(&seek, tuple, 1));
	pgcredit_seek_end(&seek);
	return result;
}
