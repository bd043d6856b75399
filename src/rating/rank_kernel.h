/*
 * rank_kernel.h
 *		AUC and KS over scores counted by class, and PSI, in plain C.
 */
#ifndef PGCREDIT_RANK_KERNEL_H
#define PGCREDIT_RANK_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 97.5 % of a normal distribution lie below it. */
#define PGCREDIT_NORMAL_975 1.959963984540054

/* How many good and bad cases have one score. */
typedef struct PgcreditRankRun
{
	int64_t		code;			/* pgcredit_double_code of the score */
	int64_t		good;
	int64_t		bad;
} PgcreditRankRun;

/* What a bin counts as when one side of a PSI has nothing in it. */
typedef enum PgcreditEmptyBin
{
	PGCREDIT_EMPTY_REFUSE,
	PGCREDIT_EMPTY_INFINITY,
	PGCREDIT_EMPTY_DROP,
	PGCREDIT_EMPTY_COUNT
} PgcreditEmptyBin;

extern void pgcredit_sort_codes(int64_t *codes, int64_t *spare, size_t n);
extern size_t pgcredit_merge_runs(const PgcreditRankRun *runs, size_t nruns,
								  const int64_t *good, size_t ngood,
								  const int64_t *bad, size_t nbad,
								  PgcreditRankRun *out);
extern size_t pgcredit_join_runs(const PgcreditRankRun *a, size_t na,
								 const PgcreditRankRun *b, size_t nb,
								 PgcreditRankRun *out);
extern bool pgcredit_auc(const PgcreditRankRun *runs, size_t n, double *auc);
extern bool pgcredit_ks(const PgcreditRankRun *runs, size_t n, double *ks);
extern double pgcredit_brier(const PgcreditRankRun *runs, size_t n);
extern bool pgcredit_delong(const PgcreditRankRun *runs, size_t n, double auc,
							double *error);
extern double pgcredit_chi_square_tail(double x, int freedom);
extern bool pgcredit_psi(const double *expected, const double *actual, size_t n,
						 PgcreditEmptyBin rule, double count, double *psi);

#endif							/* PGCREDIT_RANK_KERNEL_H */
