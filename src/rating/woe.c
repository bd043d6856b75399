/*
 * woe.c
 *		Aggregates credit.iv_of and credit.woe_of over binned rows, and the same
 *		over counts for credit.woe_bins.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "core/core.h"
#include "rating/bin_state.h"
#include "rating/statistic.h"
#include "rating/woe_kernel.h"

PG_FUNCTION_INFO_V1(pgcredit_woe_transition);
PG_FUNCTION_INFO_V1(pgcredit_woe_transition_int);
PG_FUNCTION_INFO_V1(pgcredit_iv_final);
PG_FUNCTION_INFO_V1(pgcredit_woe_final);
PG_FUNCTION_INFO_V1(pgcredit_woe_arrays);
PG_FUNCTION_INFO_V1(pgcredit_woe_at);

static const char *const option_names[] = {"woe_sign", "zero_cell", "zero_cell_totals", NULL};

/*
 * The conventions that options name; NULL for the defaults.  Raises 22023.
 */
static PgcreditWoeRules
parse_rules(Jsonb *options)
{
	PgcreditWoeRules rules = {.refuse = true};
	char	   *sign = options == NULL ? NULL : pgcredit_option_text(options, "woe_sign");
	char	   *totals = options == NULL ? NULL : pgcredit_option_text(options, "zero_cell_totals");
	char	   *cell = options == NULL ? NULL : pgcredit_option_text(options, "zero_cell");
	bool		valid = true;

	if (sign != NULL)
	{
		rules.good_over_bad = strcmp(sign, "good_over_bad") == 0;
		valid = rules.good_over_bad || strcmp(sign, "bad_over_good") == 0;
	}
	if (totals != NULL)
	{
		rules.totals_before = strcmp(totals, "before") == 0;
		valid = valid && (rules.totals_before || strcmp(totals, "after") == 0);
	}
	if (cell != NULL && strcmp(cell, "refuse") != 0)
	{
		rules.refuse = false;
		if (strcmp(cell, "zero") != 0)
		{
			char	   *end;

			/* digits alone: strtod would also take hexadecimal, inf and nan */
			rules.fill = strtod(cell, &end);
			valid = valid && cell[0] >= '0' && cell[0] <= '9' && *end == '\0' &&
				strspn(cell, "0123456789.") == strlen(cell) && rules.fill > 0 && isfinite(rules.fill);
		}
	}
	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid option woe_sign, zero_cell_totals or zero_cell"),
				 errhint("woe_sign is bad_over_good or good_over_bad, zero_cell_totals after or before, "
						 "zero_cell refuse, zero or a positive count.")));
	return rules;
}

/*
 * Weights and values of counts; raises PC413 for one class only and 22012 for
 * a bin that the rules refuse.
 */
static void
weigh(const double *good, const double *bad, int n, Jsonb *options, double *woe, double *iv)
{
	PgcreditWoeRules rules = parse_rules(options);
	int			at = pgcredit_woe(good, bad, n, &rules, woe, iv);

	if (at == PGCREDIT_WOE_ONE_CLASS)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_FIT_SAMPLE),
				 errmsg("the sample has one class only")));
	if (at != PGCREDIT_WOE_DONE)
		ereport(ERROR,
				(errcode(ERRCODE_DIVISION_BY_ZERO),
				 errmsg("bin %d has %.0f good and %.0f bad cases", at + 1, good[at], bad[at]),
				 errdetail("Its weight of evidence is infinite, and tools differ in what they put instead."),
				 errhint("Give the option zero_cell: zero, or the count to put in place of 0, such as 0.99.")));
}

static Datum
count_row(FunctionCallInfo fcinfo, bool number)
{
	PgcreditBinState *state = pgcredit_bin_state(fcinfo);

	if (PG_NARGS() > 3)
	{
		Jsonb	   *options;

		if (PG_ARGISNULL(3))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("options are null")));
		options = PG_GETARG_JSONB_P(3);
		if (state->options == NULL)
		{
			pgcredit_option_names(options, option_names);
			parse_rules(options);
		}
		if (!pgcredit_bin_options(state, (char *) options, VARSIZE(options)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("options of an aggregate change from row to row")));
	}
	pgcredit_count_bin(fcinfo, state, number);
	PG_RETURN_POINTER(state);
}

/*
 * Transition (internal, bin text, bad boolean [, options jsonb]).
 */
Datum
pgcredit_woe_transition(PG_FUNCTION_ARGS)
{
	return count_row(fcinfo, false);
}

/*
 * The same with bin integer.
 */
Datum
pgcredit_woe_transition_int(PG_FUNCTION_ARGS)
{
	return count_row(fcinfo, true);
}

/*
 * credit.iv_of: NULL without a row.
 */
Datum
pgcredit_iv_final(PG_FUNCTION_ARGS)
{
	PgcreditBinState *state = PG_ARGISNULL(0) ? NULL : (PgcreditBinState *) PG_GETARG_POINTER(0);
	double	   *good;
	double	   *bad;
	double	   *woe;
	double	   *iv;
	double		sum = 0;

	if (state == NULL || state->nbins == 0)
		PG_RETURN_NULL();
	pgcredit_bin_counts(state, &good, &bad);
	woe = palloc(sizeof(double) * state->nbins);
	iv = palloc(sizeof(double) * state->nbins);
	weigh(good, bad, state->nbins, (Jsonb *) state->options, woe, iv);
	for (int i = 0; i < state->nbins; i++)
		sum += iv[i];
	PG_RETURN_FLOAT8(sum);
}

/*
 * credit.woe_of: array of credit.bin_evidence; NULL without a row.
 */
Datum
pgcredit_woe_final(PG_FUNCTION_ARGS)
{
	PgcreditBinState *state = PG_ARGISNULL(0) ? NULL : (PgcreditBinState *) PG_GETARG_POINTER(0);
	Oid			type;
	TupleDesc	desc;
	Datum	   *rows;
	double	   *good;
	double	   *bad;
	double	   *woe;
	double	   *iv;
	double		total = 0;

	if (state == NULL || state->nbins == 0)
		PG_RETURN_NULL();
	get_call_result_type(fcinfo, &type, NULL);
	type = get_element_type(type);
	if (!OidIsValid(type))
		elog(ERROR, "return type must be an array of rows");
	desc = lookup_rowtype_tupdesc(type, -1);
	pgcredit_bin_counts(state, &good, &bad);
	woe = palloc(sizeof(double) * state->nbins);
	iv = palloc(sizeof(double) * state->nbins);
	rows = palloc(sizeof(Datum) * state->nbins);
	weigh(good, bad, state->nbins, (Jsonb *) state->options, woe, iv);
	for (int i = 0; i < state->nbins; i++)
		total += good[i] + bad[i];
	for (int i = 0; i < state->nbins; i++)
	{
		const PgcreditBin *bin = &state->bins[i];
		Datum		values[6];
		bool		nulls[6] = {bin->len < 0};

		values[0] = bin->len < 0 ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(bin->name, bin->len));
		values[1] = Int64GetDatum(bin->counts[0]);
		values[2] = Int64GetDatum(bin->counts[1]);
		values[3] = Float8GetDatum((good[i] + bad[i]) / total);
		values[4] = Float8GetDatum(woe[i]);
		values[5] = Float8GetDatum(iv[i]);
		rows[i] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	}
	ReleaseTupleDesc(desc);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, state->nbins, type, -1, false, TYPALIGN_DOUBLE));
}

static double *
numbers_of(ArrayType *array, int *n)
{
	if (ARR_NDIM(array) > 1 || (ARR_HASNULL(array) && array_contains_nulls(array)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("counts are not a one-dimensional array without nulls")));
	/* not ArrayGetNItems, which shows where this is called for each value of a scan */
	*n = ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[0];
	return (double *) ARR_DATA_PTR(array);
}

static double *
counts_of(ArrayType *array, int *n)
{
	double	   *counts = numbers_of(array, n);

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
 * credit._woe(good float8[], bad float8[], options jsonb, OUT woe float8[],
 * OUT iv float8[]).  Other options than those of weights are the caller's.
 */
Datum
pgcredit_woe_arrays(PG_FUNCTION_ARGS)
{
	int			n;
	int			m;
	double	   *good = counts_of(PG_GETARG_ARRAYTYPE_P(0), &n);
	double	   *bad = counts_of(PG_GETARG_ARRAYTYPE_P(1), &m);
	Jsonb	   *options = PG_GETARG_JSONB_P(2);
	double	   *facts[2];
	Datum		values[2];
	bool		nulls[2] = {false, false};
	TupleDesc	desc;

	if (n != m || !JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("counts of bins do not belong together, or options are not an object")));
	for (int k = 0; k < 2; k++)
		facts[k] = palloc(sizeof(double) * Max(n, 1));
	weigh(good, bad, n, options, facts[0], facts[1]);
	for (int k = 0; k < 2; k++)
	{
		Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));

		for (int i = 0; i < n; i++)
			datums[i] = Float8GetDatum(facts[k][i]);
		values[k] = PointerGetDatum(construct_array(datums, n, FLOAT8OID, sizeof(float8),
													FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	}
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * credit._woe_at(value float8, highs float8[], closed_open boolean, woe
 * float8[]) returns float8: weight of the interval that a value is in; the last
 * interval has no upper bound.  Instead of a CASE of as many comparisons.
 */
Datum
pgcredit_woe_at(PG_FUNCTION_ARGS)
{
	double		value = PG_GETARG_FLOAT8(0);
	int			n;
	int			m;
	double	   *highs = numbers_of(PG_GETARG_ARRAYTYPE_P(1), &n);
	bool		closed_open = PG_GETARG_BOOL(2);
	double	   *woe = numbers_of(PG_GETARG_ARRAYTYPE_P(3), &m);
	int			bin = 0;

	if (m != n + 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bounds and weights do not belong together")));
	/* a sum of comparisons: values come in no order, so a search would guess wrong half the time */
	if (closed_open)
		for (int i = 0; i < n; i++)
			bin += value >= highs[i];
	else
		for (int i = 0; i < n; i++)
			bin += value > highs[i];
	PG_RETURN_FLOAT8(woe[bin]);
}
