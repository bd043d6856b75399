/*
 * bootstrap_kernel.h
 *		Resampling of counted cases, in plain C.
 */
#ifndef PGCREDIT_BOOTSTRAP_KERNEL_H
#define PGCREDIT_BOOTSTRAP_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "rating/rank_kernel.h"

typedef struct PgcreditRandom
{
	uint64_t	s[4];
} PgcreditRandom;

/* The cases of one class. */
typedef struct PgcreditResample
{
	size_t		n;				/* runs */
	int64_t		cases;
	uint32_t   *run_of;			/* of each case; NULL: draw run by run */
} PgcreditResample;

extern void pgcredit_random_start(PgcreditRandom *random, uint64_t seed, uint64_t replicate);
extern int64_t pgcredit_binomial(PgcreditRandom *random, int64_t n, double p);
extern int64_t pgcredit_direct_cases(const PgcreditRankRun *runs, size_t n, bool bad);
extern void pgcredit_resample_start(PgcreditResample *resample, const PgcreditRankRun *runs,
									size_t n, bool bad, uint32_t *room);
extern void pgcredit_resample(const PgcreditResample *resample, PgcreditRandom *random,
							  const PgcreditRankRun *runs, bool bad, PgcreditRankRun *drawn);
extern void pgcredit_draw_counts(PgcreditRandom *random, const double *counts, size_t n,
								 double *drawn);
extern double pgcredit_quantile(const double *sorted, size_t n, double p);

#endif							/* PGCREDIT_BOOTSTRAP_KERNEL_H */
