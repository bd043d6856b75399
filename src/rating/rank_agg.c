/*
 * rank_agg.c
 *		Aggregates credit.auc, credit.gini and credit.ks.
 *
 * The state is sorted runs (score, good, bad) of what was merged so far, and
 * two unsorted buffers of scores.  A full buffer is sorted and merged; buffers
 * grow with the runs, so that n rows cost n log n.  10,000,000 distinct scores
 * take about 320 MB for the time of the aggregate; a scorecard's few hundred
 * distinct scores take less than 2 MB whatever the number of rows.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "core/core.h"
#include "rating/card_kernel.h"
#include "rating/statistic.h"

#define FIRST_BUFFER 65536

PG_FUNCTION_INFO_V1(pgcredit_rank_transition);
PG_FUNCTION_INFO_V1(pgcredit_rank_combine);
PG_FUNCTION_INFO_V1(pgcredit_rank_serialize);
PG_FUNCTION_INFO_V1(pgcredit_rank_deserialize);
PG_FUNCTION_INFO_V1(pgcredit_auc_final);
PG_FUNCTION_INFO_V1(pgcredit_gini_final);
PG_FUNCTION_INFO_V1(pgcredit_ks_final);
PG_FUNCTION_INFO_V1(pgcredit_brier_final);
PG_FUNCTION_INFO_V1(pgcredit_auc_interval_final);

static PgcreditRankState *
new_state(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	PgcreditRankState *state;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("aggregate function called in non-aggregate context")));
	state = MemoryContextAllocZero(context, sizeof(PgcreditRankState));
	state->context = context;
	return state;
}

static void *
huge(PgcreditRankState *state, size_t n, size_t size)
{
	if (n > MaxAllocHugeSize / size)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many scores to rank")));
	return MemoryContextAllocHuge(state->context, Max(n, 1) * size);
}

/*
 * Sort the buffers into the runs.  Safe to repeat, so a final function may be
 * called in the middle, as window frames do.
 */
void
pgcredit_rank_flush(PgcreditRankState *state)
{
	size_t		most = state->nruns + state->ngood + state->nbad;
	PgcreditRankRun *runs;
	int64	   *spare;

	if (state->ngood + state->nbad == 0)
		return;
	CHECK_FOR_INTERRUPTS();
	spare = huge(state, Max(state->ngood, state->nbad), sizeof(int64));
	pgcredit_sort_codes(state->good, spare, state->ngood);
	pgcredit_sort_codes(state->bad, spare, state->nbad);
	pfree(spare);
	runs = huge(state, most, sizeof(PgcreditRankRun));
	state->nruns = pgcredit_merge_runs(state->runs, state->nruns, state->good, state->ngood,
									   state->bad, state->nbad, runs);
	if (state->runs != NULL)
		pfree(state->runs);
	/* most of it is unused where scores repeat */
	state->runs = repalloc_huge(runs, Max(state->nruns, 1) * sizeof(PgcreditRankRun));
	state->ngood = state->nbad = 0;
}

static void
grow_buffers(PgcreditRankState *state)
{
	size_t		size = Max((size_t) FIRST_BUFFER, state->nruns);

	if (size <= state->buffer_size)
		return;
	if (state->good != NULL)
	{
		pfree(state->good);
		pfree(state->bad);
	}
	state->good = huge(state, size, sizeof(int64));
	state->bad = huge(state, size, sizeof(int64));
	state->buffer_size = size;
}

/*
 * Keep the options of the first row.  False if there are others already.
 */
bool
pgcredit_rank_options(PgcreditRankState *state, const void *options, int n)
{
	if (state->options != NULL)
		return state->noptions == n && memcmp(state->options, options, n) == 0;
	state->options = MemoryContextAlloc(state->context, Max(n, 1));
	memcpy(state->options, options, n);
	state->noptions = n;
	return true;
}

/*
 * Add a row (internal, score float8, bad boolean, ...).  A row with a NULL is
 * left out, as aggregates do; NaN has no place in an order and is refused.
 */
PgcreditRankState *
pgcredit_rank_add(FunctionCallInfo fcinfo)
{
	PgcreditRankState *state = PG_ARGISNULL(0) ? NULL : (PgcreditRankState *) PG_GETARG_POINTER(0);
	double		score;

	if (state == NULL)
		state = new_state(fcinfo);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return state;
	score = PG_GETARG_FLOAT8(1);
	if (isnan(score))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a score is NaN"),
				 errhint("Leave such rows out with FILTER.")));
	if (state->ngood == state->buffer_size || state->nbad == state->buffer_size)
	{
		pgcredit_rank_flush(state);
		grow_buffers(state);
	}
	if (PG_GETARG_BOOL(2))
		state->bad[state->nbad++] = pgcredit_double_code(score);
	else
		state->good[state->ngood++] = pgcredit_double_code(score);
	return state;
}

/*
 * Transition (internal, score float8, bad boolean).
 */
Datum
pgcredit_rank_transition(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(pgcredit_rank_add(fcinfo));
}

Datum
pgcredit_rank_combine(PG_FUNCTION_ARGS)
{
	PgcreditRankState *a = PG_ARGISNULL(0) ? NULL : (PgcreditRankState *) PG_GETARG_POINTER(0);
	PgcreditRankState *b = PG_ARGISNULL(1) ? NULL : (PgcreditRankState *) PG_GETARG_POINTER(1);
	PgcreditRankRun *joined;

	if (a == NULL)
		a = new_state(fcinfo);
	if (b == NULL)
		PG_RETURN_POINTER(a);
	if (b->options != NULL && !pgcredit_rank_options(a, b->options, b->noptions))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options of an aggregate change from row to row")));
	pgcredit_rank_flush(a);
	pgcredit_rank_flush(b);
	joined = huge(a, a->nruns + b->nruns, sizeof(PgcreditRankRun));
	a->nruns = pgcredit_join_runs(a->runs, a->nruns, b->runs, b->nruns, joined);
	if (a->runs != NULL)
		pfree(a->runs);
	a->runs = joined;
	PG_RETURN_POINTER(a);
}

/*
 * Length of the options (-1: none), the options, the runs as they are: state
 * travels between processes of one server only.
 */
Datum
pgcredit_rank_serialize(PG_FUNCTION_ARGS)
{
	PgcreditRankState *state = (PgcreditRankState *) PG_GETARG_POINTER(0);
	int32		noptions = state->options == NULL ? -1 : state->noptions;
	size_t		bytes;
	bytea	   *out;
	char	   *to;

	pgcredit_rank_flush(state);
	bytes = sizeof(noptions) + Max(noptions, 0) + state->nruns * sizeof(PgcreditRankRun);
	if (bytes > MaxAllocSize - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a parallel worker has too many distinct scores to hand over"),
				 errhint("Set max_parallel_workers_per_gather to 0 or round the scores.")));
	out = palloc(VARHDRSZ + bytes);
	SET_VARSIZE(out, VARHDRSZ + bytes);
	to = VARDATA(out);
	memcpy(to, &noptions, sizeof(noptions));
	to += sizeof(noptions);
	if (noptions > 0)
		memcpy(to, state->options, noptions);
	to += Max(noptions, 0);
	if (state->nruns > 0)
		memcpy(to, state->runs, state->nruns * sizeof(PgcreditRankRun));
	PG_RETURN_BYTEA_P(out);
}

Datum
pgcredit_rank_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *in = PG_GETARG_BYTEA_PP(0);
	size_t		bytes = VARSIZE_ANY_EXHDR(in);
	const char *from = VARDATA_ANY(in);
	PgcreditRankState *state = new_state(fcinfo);
	int32		noptions = -1;

	if (bytes >= sizeof(noptions))
		memcpy(&noptions, from, sizeof(noptions));
	if (bytes < sizeof(noptions) || noptions < -1 || bytes - sizeof(noptions) < Max(noptions, 0) ||
		(bytes - sizeof(noptions) - Max(noptions, 0)) % sizeof(PgcreditRankRun) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid state of a ranking aggregate")));
	from += sizeof(noptions);
	bytes -= sizeof(noptions);
	if (noptions >= 0)
	{
		pgcredit_rank_options(state, from, noptions);
		from += noptions;
		bytes -= noptions;
	}
	state->nruns = bytes / sizeof(PgcreditRankRun);
	state->runs = huge(state, state->nruns, sizeof(PgcreditRankRun));
	if (bytes > 0)
		memcpy(state->runs, from, bytes);
	PG_RETURN_POINTER(state);
}

/*
 * credit.auc: NULL without both classes.
 */
Datum
pgcredit_auc_final(PG_FUNCTION_ARGS)
{
	PgcreditRankState *state = PG_ARGISNULL(0) ? NULL : (PgcreditRankState *) PG_GETARG_POINTER(0);
	double		auc;

	if (state == NULL)
		PG_RETURN_NULL();
	pgcredit_rank_flush(state);
	if (!pgcredit_auc(state->runs, state->nruns, &auc))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(auc);
}

/*
 * credit.gini: 2 auc - 1.
 */
Datum
pgcredit_gini_final(PG_FUNCTION_ARGS)
{
	PgcreditRankState *state = PG_ARGISNULL(0) ? NULL : (PgcreditRankState *) PG_GETARG_POINTER(0);
	double		auc;

	if (state == NULL)
		PG_RETURN_NULL();
	pgcredit_rank_flush(state);
	if (!pgcredit_auc(state->runs, state->nruns, &auc))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(2 * auc - 1);
}

Datum
pgcredit_ks_final(PG_FUNCTION_ARGS)
{
	PgcreditRankState *state = PG_ARGISNULL(0) ? NULL : (PgcreditRankState *) PG_GETARG_POINTER(0);
	double		ks;

	if (state == NULL)
		PG_RETURN_NULL();
	pgcredit_rank_flush(state);
	if (!pgcredit_ks(state->runs, state->nruns, &ks))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(ks);
}

/*
 * credit.brier: mean squared distance of probabilities from outcomes.  NULL
 * without a row; raises 22023 for a probability outside of [0, 1].
 */
Datum
pgcredit_brier_final(PG_FUNCTION_ARGS)
{
	PgcreditRankState *state = PG_ARGISNULL(0) ? NULL : (PgcreditRankState *) PG_GETARG_POINTER(0);
	double		brier;

	if (state == NULL)
		PG_RETURN_NULL();
	pgcredit_rank_flush(state);
	if (state->nruns == 0)
		PG_RETURN_NULL();
	if (state->runs[0].code < pgcredit_double_code(0) ||
		state->runs[state->nruns - 1].code > pgcredit_double_code(1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a probability is outside of 0 to 1")));
	brier = pgcredit_brier(state->runs, state->nruns);
	PG_RETURN_FLOAT8(brier);
}

/*
 * credit.auc_interval: (auc, std_error, low, high) with DeLong's variance and
 * 95 % bounds by the normal distribution, cut to [0, 1].  NULL without two
 * cases of each class.
 */
Datum
pgcredit_auc_interval_final(PG_FUNCTION_ARGS)
{
	PgcreditRankState *state = PG_ARGISNULL(0) ? NULL : (PgcreditRankState *) PG_GETARG_POINTER(0);
	TupleDesc	desc;
	double		auc;
	double		error;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (state == NULL)
		PG_RETURN_NULL();
	pgcredit_rank_flush(state);
	if (!pgcredit_auc(state->runs, state->nruns, &auc) ||
		!pgcredit_delong(state->runs, state->nruns, auc, &error))
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Float8GetDatum(auc);
	values[1] = Float8GetDatum(error);
	values[2] = Float8GetDatum(Max(auc - PGCREDIT_NORMAL_975 * error, 0));
	values[3] = Float8GetDatum(Min(auc + PGCREDIT_NORMAL_975 * error, 1));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
