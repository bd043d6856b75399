/*
 * fetch.c
 *		Reading a few rows of our own tables by an index, without the executor.
 *
 * Opening access to one subject reads three or four rows; planning aside,
 * starting and ending the executor for them would cost several times as much
 * as finding them.  What may be many rows goes through SPI instead.  No right
 * is asked for and no policy applies: the caller decides what it shows.  How many
 * rows were met is in no statistics (see quiet.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "consent/consent_internal.h"
#include "core/core.h"

/* Columns of a table that is read whole; ours have far fewer. */
#define MAX_TABLE_COLUMNS 64

/*
 * Find the table, its index and its columns, again after the extension was
 * dropped and created.
 */
static void
look_up(TableInfo *info)
{
	Oid			relid = pgcredit_relation_oid(info->table, false);

	if (info->relid == relid)
		return;
	info->relid = InvalidOid;
	info->indexid = pgcredit_relation_oid(info->index, false);
	for (int k = 0; k < info->n_columns; k++)
	{
		info->columns[k] = get_attnum(relid, info->names[k]);
		if (info->columns[k] == InvalidAttrNumber)
			elog(ERROR, "credit.%s has no column \"%s\"", info->table, info->names[k]);
	}
	info->relid = relid;
}

/*
 * Start a scan; keys name columns by their place in info->names, counted from
 * 1, and are changed.  The snapshot is active or registered.  The lock on the
 * table is kept to the end of the transaction, as a query's would be.
 */
void
pgcredit_scan_begin(TableScan *scan, TableInfo *info, int n_keys, ScanKey keys,
					Snapshot snapshot)
{
	look_up(info);
	for (int k = 0; k < n_keys; k++)
		keys[k].sk_attno = info->columns[keys[k].sk_attno - 1];
	scan->rel = table_open(info->relid, AccessShareLock);
	scan->scan = systable_beginscan(scan->rel, info->indexid, true, snapshot, n_keys, keys);
	scan->columns = info->columns;
	pgcredit_quiet_begin(scan->rel);
	if (scan->scan->irel)
		pgcredit_quiet_begin(scan->scan->irel);
}

/*
 * The next row, valid until the next call, or NULL.
 */
HeapTuple
pgcredit_scan_next(TableScan *scan)
{
	return systable_getnext(scan->scan);
}

/*
 * The value of column k of info->names, counted from 0.
 */
Datum
pgcredit_scan_column(const TableScan *scan, HeapTuple tuple, int k, bool *isnull)
{
	return heap_getattr(tuple, scan->columns[k], RelationGetDescr(scan->rel), isnull);
}

/*
 * The first n columns of info->names at once.
 */
void
pgcredit_scan_columns(const TableScan *scan, HeapTuple tuple, int n, Datum *values, bool *nulls)
{
	TupleDesc	desc = RelationGetDescr(scan->rel);
	Datum		all_values[MAX_TABLE_COLUMNS];
	bool		all_nulls[MAX_TABLE_COLUMNS];

	if (desc->natts > MAX_TABLE_COLUMNS)
		elog(ERROR, "table \"%s\" has too many columns", RelationGetRelationName(scan->rel));
	heap_deform_tuple(tuple, desc, all_values, all_nulls);
	for (int k = 0; k < n; k++)
	{
		values[k] = all_values[scan->columns[k] - 1];
		nulls[k] = all_nulls[scan->columns[k] - 1];
	}
}

void
pgcredit_scan_end(TableScan *scan)
{
	if (scan->scan->irel)
		pgcredit_quiet_end(scan->scan->irel);
	pgcredit_quiet_end(scan->rel);
	systable_endscan(scan->scan);
	table_close(scan->rel, NoLock);
}
