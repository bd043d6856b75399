/*
 * rank_bins.c
 *		Aggregate credit._bin_counts: a number column counted in quantiles or
 *		between breaks, in one scan and without sorting rows.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"

#include "core/core.h"
#include "rating/statistic.h"

PG_FUNCTION_INFO_V1(pgcredit_bin_counts_transition);
PG_FUNCTION_INFO_V1(pgcredit_bin_counts_final);

/* Options of the state: this, then the breaks. */
typedef struct Cuts
{
	int32		quantiles;		/* 0: breaks */
	int32		closed_open;
} Cuts;

/*
 * Transition (internal, value float8, bad boolean, quantiles integer, breaks
 * float8[], closed_open boolean); the last three are constant.
 */
Datum
pgcredit_bin_counts_transition(PG_FUNCTION_ARGS)
{
	PgcreditRankState *state = pgcredit_rank_add(fcinfo);
	ArrayType  *breaks;
	char	   *options;
	Cuts		cuts;
	int			n;

	if (state->options != NULL)
		PG_RETURN_POINTER(state);
	if (PG_ARGISNULL(3) || PG_ARGISNULL(4) || PG_ARGISNULL(5))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("quantiles or breaks are null")));
	cuts.quantiles = PG_GETARG_INT32(3);
	cuts.closed_open = PG_GETARG_BOOL(5);
	breaks = PG_GETARG_ARRAYTYPE_P(4);
	n = ArrayGetNItems(ARR_NDIM(breaks), ARR_DIMS(breaks));
	if (cuts.quantiles < 0 || ARR_NDIM(breaks) > 1 || array_contains_nulls(breaks))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("quantiles are negative or breaks are no list")));
	options = palloc(sizeof(cuts) + sizeof(double) * n);
	memcpy(options, &cuts, sizeof(cuts));
	memcpy(options + sizeof(cuts), ARR_DATA_PTR(breaks), sizeof(double) * n);
	pgcredit_rank_options(state, options, sizeof(cuts) + sizeof(double) * n);
	PG_RETURN_POINTER(state);
}

static double
value_of(int64 code)
{
	int64		bits = code < 0 ? code ^ PG_INT64_MAX : code;
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static Datum
row_of(FunctionCallInfo fcinfo, Datum **columns, int n)
{
	Datum		values[5];
	bool		nulls[5] = {false};
	TupleDesc	desc;

	values[0] = PointerGetDatum(construct_array(columns[0], n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	for (int k = 1; k < 5; k++)
		values[k] = PointerGetDatum(construct_array(columns[k], n, FLOAT8OID, sizeof(float8),
													FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * Result: arrays over the bins that have cases, in order: number of the bin
 * (quantiles from 1, intervals between breaks from 0), least and largest value,
 * good and bad cases.  Quantile k has the values at which the cases so far are
 * more than (k - 1) / quantiles and at most k / quantiles of all.
 */
Datum
pgcredit_bin_counts_final(PG_FUNCTION_ARGS)
{
	PgcreditRankState *state = PG_ARGISNULL(0) ? NULL : (PgcreditRankState *) PG_GETARG_POINTER(0);
	const double *breaks;
	Cuts		cuts;
	int			nbreaks;
	int64		total = 0;
	int64		sofar = 0;
	int64		previous = -1;
	int			bin = 0;
	int			room;
	int			n = 0;
	Datum	   *columns[5];

	if (state == NULL || state->options == NULL)
		PG_RETURN_NULL();
	pgcredit_rank_flush(state);
	if (state->nruns == 0)
		PG_RETURN_NULL();
	memcpy(&cuts, state->options, sizeof(cuts));
	breaks = (const double *) (state->options + sizeof(cuts));
	nbreaks = (state->noptions - sizeof(cuts)) / sizeof(double);
	for (size_t i = 0; i < state->nruns; i++)
		total += state->runs[i].good + state->runs[i].bad;
	room = cuts.quantiles > 0 ? Min((int64) cuts.quantiles, (int64) state->nruns) : nbreaks + 1;
	for (int k = 0; k < 5; k++)
		columns[k] = palloc(sizeof(Datum) * room);
	for (size_t i = 0; i < state->nruns;)
	{
		int64		good = 0;
		int64		bad = 0;
		double		low = value_of(state->runs[i].code);
		double		high = low;

		do
		{
			double		value = value_of(state->runs[i].code);

			if (cuts.quantiles > 0)
				bin = (int) (((int128) (sofar + state->runs[i].good + state->runs[i].bad) * cuts.quantiles + total - 1) / total);
			else
				while (bin < nbreaks && (cuts.closed_open ? breaks[bin] <= value : breaks[bin] < value))
					bin++;
			if (good + bad > 0 && bin != previous)
				break;
			previous = bin;
			high = value;
			good += state->runs[i].good;
			bad += state->runs[i].bad;
			sofar += state->runs[i].good + state->runs[i].bad;
		} while (++i < state->nruns);
		columns[0][n] = Int32GetDatum((int) previous);
		columns[1][n] = Float8GetDatum(low);
		columns[2][n] = Float8GetDatum(high);
		columns[3][n] = Float8GetDatum((double) good);
		columns[4][n++] = Float8GetDatum((double) bad);
	}
	PG_RETURN_DATUM(row_of(fcinfo, columns, n));
}
