/*
 * row.h
 *		A call site's card, bound to the rows that it sees.
 */
#ifndef PGCREDIT_RATING_ROW_H
#define PGCREDIT_RATING_ROW_H

#include "access/htup.h"
#include "executor/tuptable.h"
#include "utils/typcache.h"

#include "rating/card.h"

/* A card and the values of one row. */
typedef struct PgcreditRow
{
	const PgcreditCard *card;
	PgcreditBoundCard *bound;	/* NULL until bound to columns */
	const Datum *values;
	const bool *isnull;
} PgcreditRow;

/* Lives in fn_extra. */
typedef struct PgcreditSite
{
	PgcreditRow row;
	MemoryContext context;		/* holds all below and what hangs on row */
	uint64		generation;
	int			model_len;
	char	   *model;
	Oid			row_type;
	int32		row_typmod;
	TypeCacheEntry *row_entry;	/* NULL for an anonymous record */
	uint64		row_identifier;
	TupleTableSlot *slot;
	HeapTupleData tuple;
	TupleDesc	result;			/* of a function that returns a row, NULL before */
} PgcreditSite;

extern PgcreditSite *pgcredit_site(FunctionCallInfo fcinfo, int model_arg);
extern PgcreditSite *pgcredit_site_row(FunctionCallInfo fcinfo, int model_arg,
									   int row_arg, bool grading);
extern int64 pgcredit_row_score(const PgcreditRow *row);

#endif							/* PGCREDIT_RATING_ROW_H */
