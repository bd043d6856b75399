/*
 * fit_kernel.h
 *		Logistic regression by iteratively reweighted least squares, in plain C.
 */
#ifndef PGCREDIT_FIT_KERNEL_H
#define PGCREDIT_FIT_KERNEL_H

#include <stdbool.h>

/*
 * Sums of one scan for p columns and q = p + 1 terms, the intercept first: the
 * fixed ones below, the gradient (q), the information X'WX as the packed lower
 * triangle (q (q + 1) / 2).
 */
enum
{
	PGCREDIT_FIT_LOG_LIKELIHOOD,
	PGCREDIT_FIT_LOWEST_BAD,	/* smallest linear predictor of a bad case */
	PGCREDIT_FIT_HIGHEST_GOOD,
	PGCREDIT_FIT_WEIGHT,
	PGCREDIT_FIT_WEIGHT_BAD,
	PGCREDIT_FIT_GRADIENT
};

static inline int
pgcredit_fit_sums(int p)
{
	return PGCREDIT_FIT_GRADIENT + (p + 1) + (p + 1) * (p + 2) / 2;
}

/* The setup of a scan: q coefficients, p centres, p scales. */
static inline int
pgcredit_fit_setup(int p)
{
	return 1 + 3 * p;
}

extern void pgcredit_fit_clear(int p, double *sums);
extern void pgcredit_fit_add(int p, const double *setup, const double *x, bool bad,
							 double weight, double *spare, double *sums);
extern void pgcredit_fit_merge(int p, double *sums, const double *other);
extern int	pgcredit_fit_factor(int q, const double *information, double *factor, double *scale);
extern void pgcredit_fit_solve(int q, const double *factor, const double *scale, double *vector);

#endif							/* PGCREDIT_FIT_KERNEL_H */
