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

/* What is the same in the inputs that ratings by a bound card keep (inputs.c). */
typedef struct PgcreditInputs PgcreditInputs;

/* Lives in fn_extra. */
typedef struct PgcreditSite
{
	PgcreditRow row;
	MemoryContext context;		/* holds all below and what hangs on row */
	uint64		generation;
	bool		model_constant;	/* the model's name is the same in all calls */
	int			model_len;
	char	   *model;
	Oid			row_type;
	int32		row_typmod;
	TypeCacheEntry *row_entry;	/* NULL for an anonymous record */
	uint64		row_identifier;
	TupleTableSlot *slot;
	HeapTupleData tuple;
	TupleDesc	result;			/* of a function that returns a row, NULL before */
	PgcreditInputs *inputs;		/* NULL before */
} PgcreditSite;

extern PgcreditSite *pgcredit_site(FunctionCallInfo fcinfo, int model_arg);
extern PgcreditSite *pgcredit_site_row(FunctionCallInfo fcinfo, int model_arg,
									   int row_arg, bool grading);
extern int64 pgcredit_row_score(const PgcreditRow *row);

/* inputs.c */
extern PgcreditInputs *pgcredit_inputs_form(const PgcreditRow *row);
extern Jsonb *pgcredit_inputs_keep(const PgcreditRow *row, PgcreditInputs *form, uint8 *digest);

#endif							/* PGCREDIT_RATING_ROW_H */
