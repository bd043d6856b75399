/*
 * bin_state.h
 *		Counts of two kinds of rows by bin, the state of several aggregates.
 */
#ifndef PGCREDIT_BIN_STATE_H
#define PGCREDIT_BIN_STATE_H

#include "fmgr.h"

/* A bin; len -1 is the bin of missing values. */
typedef struct PgcreditBin
{
	char	   *name;
	int			len;
	int64		counts[2];		/* rows with false, with true */
} PgcreditBin;

/*
 * Options are bytes that mean something to the aggregate's final function; NULL
 * is its default.  Those of the first row stay.
 */
typedef struct PgcreditBinState
{
	MemoryContext context;
	PgcreditBin *bins;			/* sorted by len, then bytes */
	int			nbins;
	int			room;
	char	   *options;
	int			noptions;
} PgcreditBinState;

extern PgcreditBinState *pgcredit_bin_state(FunctionCallInfo fcinfo);
extern bool pgcredit_bin_options(PgcreditBinState *state, const char *options, int n);
extern void pgcredit_count_named_bin(PgcreditBinState *state, const char *name, int len, bool kind);
extern void pgcredit_count_bin(FunctionCallInfo fcinfo, PgcreditBinState *state, bool number);
extern void pgcredit_bin_counts(const PgcreditBinState *state, double **no, double **yes);

#endif							/* PGCREDIT_BIN_STATE_H */
