/*
 * psi.c
 *		Population stability index: aggregate over binned values, and the plain
 *		function over counts.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "core/core.h"
#include "rating/bin_state.h"
#include "rating/statistic.h"

PG_FUNCTION_INFO_V1(pgcredit_psi_transition);
PG_FUNCTION_INFO_V1(pgcredit_psi_transition_int);
PG_FUNCTION_INFO_V1(pgcredit_psi_final);
PG_FUNCTION_INFO_V1(pgcredit_psi_arrays);

/*
 * What the empty_bin argument says; raises 22023.
 */
PgcreditEmptyBin
pgcredit_empty_bin(const char *rule, double *count)
{
	char	   *end;

	*count = 0;
	if (rule == NULL || strcmp(rule, "refuse") == 0)
		return PGCREDIT_EMPTY_REFUSE;
	if (strcmp(rule, "infinity") == 0)
		return PGCREDIT_EMPTY_INFINITY;
	if (strcmp(rule, "drop") == 0)
		return PGCREDIT_EMPTY_DROP;
	*count = strtod(rule, &end);
	if (*rule < '0' || *rule > '9' || *end != '\0' || !(*count > 0) || !isfinite(*count))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid rule for empty bins: \"%s\"", rule),
				 errhint("Rules are refuse, infinity, drop, or the count to put in place of 0, such as 0.9.")));
	return PGCREDIT_EMPTY_COUNT;
}

/*
 * Count one row.  The rule is constant over the aggregate: that of the first
 * row is kept, a different one is refused.
 */
static Datum
count_row(FunctionCallInfo fcinfo, bool number)
{
	PgcreditBinState *state = pgcredit_bin_state(fcinfo);

	if (PG_NARGS() > 3)
	{
		char	   *rule;
		double		count;

		if (PG_ARGISNULL(3))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("rule for empty bins is null")));
		rule = text_to_cstring(PG_GETARG_TEXT_PP(3));
		if (state->options == NULL)
			pgcredit_empty_bin(rule, &count);
		if (!pgcredit_bin_options(state, rule, strlen(rule)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("rule for empty bins changes from \"%s\" to \"%s\"", state->options, rule)));
		pfree(rule);
	}
	pgcredit_count_bin(fcinfo, state, number);
	PG_RETURN_POINTER(state);
}

/*
 * Transition (internal, bin text, actual boolean [, empty_bin text]).
 */
Datum
pgcredit_psi_transition(PG_FUNCTION_ARGS)
{
	return count_row(fcinfo, false);
}

/*
 * The same with bin integer, as width_bucket() returns.
 */
Datum
pgcredit_psi_transition_int(PG_FUNCTION_ARGS)
{
	return count_row(fcinfo, true);
}

/*
 * The index over n bins; false (SQL NULL) if one population is empty.  Raises
 * 22012 when a bin is empty on one side and the rule is to refuse.
 */
static bool
compute(const double *expected, const double *actual, int n, const char *rule, double *psi)
{
	double		count;
	PgcreditEmptyBin empty = pgcredit_empty_bin(rule, &count);
	double		totals[2] = {0, 0};

	for (int i = 0; i < n; i++)
	{
		totals[0] += expected[i];
		totals[1] += actual[i];
	}
	if (totals[0] <= 0 || totals[1] <= 0)
		return false;
	if (!pgcredit_psi(expected, actual, n, empty, count, psi))
		ereport(ERROR,
				(errcode(ERRCODE_DIVISION_BY_ZERO),
				 errmsg("a bin is empty in one of the two populations"),
				 errdetail("The index has no finite value there, and tools differ in what they put instead."),
				 errhint("Give the rule as the last argument: infinity, drop, or the count to put in place of 0, such as 0.9.")));
	return true;
}

/*
 * credit.psi over binned rows.
 */
Datum
pgcredit_psi_final(PG_FUNCTION_ARGS)
{
	PgcreditBinState *state = PG_ARGISNULL(0) ? NULL : (PgcreditBinState *) PG_GETARG_POINTER(0);
	double	   *expected;
	double	   *actual;
	double		psi;

	if (state == NULL || state->nbins == 0)
		PG_RETURN_NULL();
	pgcredit_bin_counts(state, &expected, &actual);
	if (!compute(expected, actual, state->nbins, state->options, &psi))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(psi);
}

static double *
counts_of(ArrayType *array, int *n)
{
	double	   *counts;

	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("counts are not a one-dimensional array without nulls")));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	counts = (double *) ARR_DATA_PTR(array);
	for (int i = 0; i < *n; i++)
	{
		if (!(counts[i] >= 0) || !isfinite(counts[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a count is negative or not finite")));
	}
	return counts;
}

/*
 * credit.psi(expected float8[], actual float8[], empty_bin text) returns
 * float8: over counts or shares per bin, in the same order.
 */
Datum
pgcredit_psi_arrays(PG_FUNCTION_ARGS)
{
	int			n;
	int			m;
	double	   *expected = counts_of(PG_GETARG_ARRAYTYPE_P(0), &n);
	double	   *actual = counts_of(PG_GETARG_ARRAYTYPE_P(1), &m);
	double		psi;

	if (n != m)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%d expected and %d actual bins", n, m)));
	if (!compute(expected, actual, n, text_to_cstring(PG_GETARG_TEXT_PP(2)), &psi))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(psi);
}
