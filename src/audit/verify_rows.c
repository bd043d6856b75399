/*
 * verify_rows.c
 *		Rows of the log's tables for credit.verify_log.
 *
 * Rows are read in the order of the index, as everybody else finds them, and the
 * table is then counted without it: numbers that only rise and as many rows in
 * the table as the index has shown mean that both hold the same rows.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "audit/verify.h"

void
pgcredit_rows_begin(RowScan *rows, Relation rel, const char *index, int n_keys,
					ScanKey keys, Snapshot snapshot)
{
	pgcredit_seek_begin(&rows->seek, rel, index, n_keys, keys, snapshot);
	rows->open = true;
	pgcredit_rows_next(rows);
}

void
pgcredit_rows_next(RowScan *rows)
{
	rows->tuple = pgcredit_seek_next(&rows->seek, ForwardScanDirection);
}

Datum
pgcredit_rows_column(const RowScan *rows, AttrNumber number)
{
	return pgcredit_seek_column(&rows->seek, rows->tuple, number);
}

void
pgcredit_rows_end(RowScan *rows)
{
	if (rows->open)
		pgcredit_seek_end(&rows->seek);
	rows->open = false;
}

/*
 * Count the rows of a table without its indexes.
 */
uint64
pgcredit_rows_count(Relation rel, Snapshot snapshot)
{
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	uint64		n = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		if (++n % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	return n;
}
