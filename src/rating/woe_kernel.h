/*
 * woe_kernel.h
 *		Weight of evidence and information value of counts, in plain C.
 */
#ifndef PGCREDIT_WOE_KERNEL_H
#define PGCREDIT_WOE_KERNEL_H

#include <stdbool.h>

/* Conventions on which tools differ. */
typedef struct PgcreditWoeRules
{
	bool		good_over_bad;	/* sign of a weight */
	bool		refuse;			/* a bin without good or without bad cases */
	double		fill;			/* count in place of 0 there; 0: weight and value 0 */
	bool		totals_before;	/* totals are taken before that count is put in */
} PgcreditWoeRules;

#define PGCREDIT_WOE_ONE_CLASS	(-1)
#define PGCREDIT_WOE_DONE		(-2)

extern int	pgcredit_woe(const double *good, const double *bad, int n,
						 const PgcreditWoeRules *rules, double *woe, double *iv);

#endif							/* PGCREDIT_WOE_KERNEL_H */
