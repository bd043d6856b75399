/*
 * append.h
 *		Rows of the log's own tables, written and found below SQL.
 */
#ifndef PGCREDIT_AUDIT_APPEND_H
#define PGCREDIT_AUDIT_APPEND_H

#include "access/genam.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

#define APPEND_AT_ONCE 64

typedef struct Appender
{
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *rri;
	TupleTableSlot *slots[APPEND_AT_ONCE];
	int			n_filled;
} Appender;

extern void pgcredit_append_open(Appender *appender, const char *name, int natts);
extern TupleTableSlot *pgcredit_append_row(Appender *appender);
extern void pgcredit_append_flush(Appender *appender);
extern void pgcredit_append_close(Appender *appender);

typedef struct Seek
{
	Relation	rel;
	Relation	index;
	SysScanDesc scan;
} Seek;

extern void pgcredit_seek_begin(Seek *seek, Relation rel, const char *index, int n_keys,
								ScanKey keys, Snapshot snapshot);
extern HeapTuple pgcredit_seek_next(Seek *seek, ScanDirection direction);
extern Datum pgcredit_column(Relation rel, HeapTuple tuple, AttrNumber number);
extern Datum pgcredit_seek_column(const Seek *seek, HeapTuple tuple, AttrNumber number);
extern void pgcredit_seek_end(Seek *seek);
extern int64 pgcredit_seek_last(Relation rel, const char *index, Snapshot snapshot, int64 none);

#endif							/* PGCREDIT_AUDIT_APPEND_H */
