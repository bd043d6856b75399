/*
 * statistic.h
 *		What the aggregates of validation and development share.
 */
#ifndef PGCREDIT_STATISTIC_H
#define PGCREDIT_STATISTIC_H

#include "fmgr.h"
#include "utils/jsonb.h"

#include "rating/rank_kernel.h"

/*
 * Sorted runs of what was merged so far, and unsorted buffers of scores.
 * Options are bytes that mean something to the aggregate's final function.
 */
typedef struct PgcreditRankState
{
	MemoryContext context;
	PgcreditRankRun *runs;
	size_t		nruns;
	int64	   *good;			/* each of buffer_size */
	int64	   *bad;
	size_t		ngood;
	size_t		nbad;
	size_t		buffer_size;
	char	   *options;
	int32		noptions;
} PgcreditRankState;

extern PgcreditRankState *pgcredit_rank_add(FunctionCallInfo fcinfo);
extern bool pgcredit_rank_options(PgcreditRankState *state, const void *options, int n);
extern void pgcredit_rank_flush(PgcreditRankState *state);

extern PgcreditEmptyBin pgcredit_empty_bin(const char *rule, double *count);

extern void pgcredit_option_names(Jsonb *options, const char *const *known);
extern char *pgcredit_option_text(Jsonb *options, const char *key);
extern double pgcredit_option_number(Jsonb *options, const char *key, double fallback,
									 double low, double high);

#endif							/* PGCREDIT_STATISTIC_H */
