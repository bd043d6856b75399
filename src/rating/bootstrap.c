/*
 * bootstrap.c
 *		Aggregates credit.auc_bootstrap, gini_bootstrap, ks_bootstrap and
 *		psi_bootstrap: a statistic with an interval by resampling.
 *
 * Good and bad cases (of psi: the two populations) are resampled each for
 * itself.  Beside the aggregate's state a call takes as much memory again for
 * the drawn counts, and 4 bytes a case where cases are drawn one by one.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "core/core.h"
#include "rating/bin_state.h"
#include "rating/bootstrap_kernel.h"
#include "rating/statistic.h"

#define MAX_REPLICATES 100000
#define MAX_BREAKS 9998			/* one bin more, and that of missing values */

PG_FUNCTION_INFO_V1(pgcredit_bootstrap_transition);
PG_FUNCTION_INFO_V1(pgcredit_psi_bootstrap_transition);
PG_FUNCTION_INFO_V1(pgcredit_psi_bootstrap_number);
PG_FUNCTION_INFO_V1(pgcredit_auc_bootstrap_final);
PG_FUNCTION_INFO_V1(pgcredit_gini_bootstrap_final);
PG_FUNCTION_INFO_V1(pgcredit_ks_bootstrap_final);
PG_FUNCTION_INFO_V1(pgcredit_psi_bootstrap_final);

/* What is resampled; each has options that the one before has not. */
typedef enum Resampled
{
	OF_RANKS, OF_BINS, OF_NUMBERS
} Resampled;

typedef struct Resampling
{
	int64		seed;
	int			replicates;
	double		level;
	bool		basic;
	char	   *empty_bin;		/* of psi */
} Resampling;

/*
 * Where numbers are cut, kept by a call site for the options of the last row.
 */
typedef struct Breaks
{
	char	   *options;
	int			noptions;
	bool		open_closed;
	int			n;				/* -1: each number is a bin of its own */
	double		at[FLEXIBLE_ARRAY_MEMBER];
} Breaks;

typedef bool (*RankStatistic) (const PgcreditRankRun *runs, size_t n, double *value);

/*
 * What seed and options say; the options of a state are the seed's 8 bytes and
 * a jsonb.  Raises 22023.
 */
static Resampling
parse_plan(const char *options, int noptions, Resampled kind)
{
	static const char *const of_rank[] = {"replicates", "level", "method", NULL};
	static const char *const of_bins[] = {"replicates", "level", "method", "empty_bin", NULL};
	static const char *const of_numbers[] = {"replicates", "level", "method", "empty_bin", "breaks", "interval_closure", NULL};
	Resampling		plan = {.replicates = 1000, .level = 0.95};
	double		replicates;
	double		count;
	Jsonb	   *json;
	char	   *method;

	memcpy(&plan.seed, options, sizeof(int64));
	if (noptions <= (int) sizeof(int64))
		return plan;
	json = palloc(noptions - sizeof(int64));	/* for its alignment */
	memcpy(json, options + sizeof(int64), noptions - sizeof(int64));
	pgcredit_option_names(json, kind == OF_RANKS ? of_rank : kind == OF_BINS ? of_bins : of_numbers);
	replicates = pgcredit_option_number(json, "replicates", plan.replicates, 10, MAX_REPLICATES);
	plan.replicates = (int) replicates;
	plan.level = pgcredit_option_number(json, "level", plan.level, 0.5, 0.9999);
	method = pgcredit_option_text(json, "method");
	plan.basic = method != NULL && strcmp(method, "basic") == 0;
	if (plan.replicates != replicates || (method != NULL && !plan.basic && strcmp(method, "percentile") != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid options of a bootstrap"),
				 errhint("replicates is a whole number, method is percentile or basic.")));
	plan.empty_bin = pgcredit_option_text(json, "empty_bin");
	if (kind != OF_RANKS)
		pgcredit_empty_bin(plan.empty_bin, &count);
	return plan;
}

/*
 * The bytes of arguments 3 and 4 (seed bigint [, options jsonb]), palloc'd.
 */
static char *
option_bytes(FunctionCallInfo fcinfo, int *n)
{
	int64		seed;
	Jsonb	   *json;
	char	   *bytes;

	if (PG_ARGISNULL(3) || (PG_NARGS() > 4 && PG_ARGISNULL(4)))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("seed or options of a bootstrap are null")));
	seed = PG_GETARG_INT64(3);
	json = PG_NARGS() > 4 ? PG_GETARG_JSONB_P(4) : NULL;
	*n = (int) sizeof(int64) + (json == NULL ? 0 : VARSIZE(json));
	bytes = palloc(*n);
	memcpy(bytes, &seed, sizeof(int64));
	if (json != NULL)
		memcpy(bytes + sizeof(int64), json, VARSIZE(json));
	return bytes;
}

static void
refuse_change(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("options of an aggregate change from row to row")));
}

/*
 * Transition (internal, score float8, bad boolean, seed bigint [, options jsonb]).
 */
Datum
pgcredit_bootstrap_transition(PG_FUNCTION_ARGS)
{
	PgcreditRankState *state = pgcredit_rank_add(fcinfo);
	int			n;
	char	   *options = option_bytes(fcinfo, &n);

	if (state->options == NULL)
		parse_plan(options, n, OF_RANKS);
	if (!pgcredit_rank_options(state, options, n))
		refuse_change();
	pfree(options);
	PG_RETURN_POINTER(state);
}

/*
 * Transition (internal, bin text, actual boolean, seed bigint [, options jsonb]).
 */
Datum
pgcredit_psi_bootstrap_transition(PG_FUNCTION_ARGS)
{
	PgcreditBinState *state = pgcredit_bin_state(fcinfo);
	int			n;
	char	   *options = option_bytes(fcinfo, &n);

	if (state->options == NULL)
		parse_plan(options, n, OF_BINS);
	if (!pgcredit_bin_options(state, options, n))
		refuse_change();
	pgcredit_count_bin(fcinfo, state, false);
	pfree(options);
	PG_RETURN_POINTER(state);
}

static void
refuse_breaks(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid breaks of a bootstrap"),
			 errhint("breaks is an array of 1 to %d rising numbers, interval_closure is closedOpen or openClosed.", MAX_BREAKS)));
}

/*
 * What the options say of breaks, palloc'd; raises 22023.
 */
static Breaks *
parse_breaks(const char *options, int noptions)
{
	Jsonb	   *json;
	JsonbValue *found;
	JsonbValue	buffer;
	JsonbValue *item;
	Breaks	   *breaks = palloc0(offsetof(Breaks, at) + sizeof(double) * MAX_BREAKS);
	char	   *closure;

	breaks->n = -1;
	if (noptions <= (int) sizeof(int64))
		return breaks;
	json = palloc(noptions - sizeof(int64));	/* for its alignment */
	memcpy(json, options + sizeof(int64), noptions - sizeof(int64));
	closure = pgcredit_option_text(json, "interval_closure");
	breaks->open_closed = closure != NULL && strcmp(closure, "openClosed") == 0;
	if (closure != NULL && !breaks->open_closed && strcmp(closure, "closedOpen") != 0)
		refuse_breaks();
	found = getKeyJsonValueFromContainer(&json->root, "breaks", strlen("breaks"), &buffer);
	if (found == NULL || found->type == jbvNull)
		return breaks;
	if (found->type != jbvBinary || !JsonContainerIsArray(found->val.binary.data) ||
		JsonContainerSize(found->val.binary.data) == 0 || JsonContainerSize(found->val.binary.data) > MAX_BREAKS)
		refuse_breaks();
	breaks->n = JsonContainerSize(found->val.binary.data);
	for (int i = 0; i < breaks->n; i++)
	{
		item = getIthJsonbValueFromContainer(found->val.binary.data, i);
		if (item->type != jbvNumeric)
			refuse_breaks();
		breaks->at[i] = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(item->val.numeric)));
		if (!isfinite(breaks->at[i]) || (i > 0 && !(breaks->at[i - 1] < breaks->at[i])))
			refuse_breaks();
		pfree(item);
	}
	pfree(json);
	return breaks;
}

/*
 * The breaks of these options, kept from row to row.
 */
static const Breaks *
breaks_of(FunctionCallInfo fcinfo, const char *options, int noptions)
{
	Breaks	   *breaks = fcinfo->flinfo->fn_extra;
	MemoryContext old;

	if (breaks != NULL && breaks->noptions == noptions && memcmp(breaks->options, options, noptions) == 0)
		return breaks;
	if (breaks != NULL)
	{
		fcinfo->flinfo->fn_extra = NULL;
		pfree(breaks->options);
		pfree(breaks);
	}
	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	breaks = parse_breaks(options, noptions);
	breaks->options = palloc(noptions);
	memcpy(breaks->options, options, noptions);
	breaks->noptions = noptions;
	MemoryContextSwitchTo(old);
	fcinfo->flinfo->fn_extra = breaks;
	return breaks;
}

/*
 * How many breaks lie at or below the value (openClosed: below).
 */
static int
bucket_of(const Breaks *breaks, double value)
{
	int			low = 0;
	int			high = breaks->n;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (breaks->open_closed ? breaks->at[middle] < value : breaks->at[middle] <= value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Transition (internal, value float8, actual boolean, seed bigint [, options
 * jsonb]).  A bin has the name that its number has as text, so that what is
 * drawn is what psi_bootstrap draws of the numbers of bins as text.
 */
Datum
pgcredit_psi_bootstrap_number(PG_FUNCTION_ARGS)
{
	PgcreditBinState *state = pgcredit_bin_state(fcinfo);
	const Breaks *breaks;
	char		digits[16];
	char	   *name;
	int			n;
	char	   *options = option_bytes(fcinfo, &n);

	if (state->options == NULL)
		parse_plan(options, n, OF_NUMBERS);
	if (!pgcredit_bin_options(state, options, n))
		refuse_change();
	breaks = breaks_of(fcinfo, options, n);
	pfree(options);
	if (PG_ARGISNULL(2))
		PG_RETURN_POINTER(state);
	if (PG_ARGISNULL(1))
		pgcredit_count_named_bin(state, NULL, -1, PG_GETARG_BOOL(2));
	else if (isnan(PG_GETARG_FLOAT8(1)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a value is NaN")));
	else if (breaks->n >= 0)
	{
		pg_ltoa(bucket_of(breaks, PG_GETARG_FLOAT8(1)), digits);
		pgcredit_count_named_bin(state, digits, strlen(digits), PG_GETARG_BOOL(2));
	}
	else
	{
		name = double_to_shortest_decimal(PG_GETARG_FLOAT8(1) + 0.0);	/* -0 is 0 */
		pgcredit_count_named_bin(state, name, strlen(name), PG_GETARG_BOOL(2));
		pfree(name);
	}
	PG_RETURN_POINTER(state);
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/*
 * credit.estimate from the replicates, which are sorted here.
 */
static Datum
interval(FunctionCallInfo fcinfo, const Resampling *plan, double value, double *replicates)
{
	int			n = plan->replicates;
	double		mean = 0;
	double		squares = 0;
	double		low;
	double		high;
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	qsort(replicates, n, sizeof(double), compare_doubles);
	for (int i = 0; i < n; i++)
		mean += replicates[i] / n;
	for (int i = 0; i < n; i++)
		squares += (replicates[i] - mean) * (replicates[i] - mean);
	low = pgcredit_quantile(replicates, n, (1 - plan->level) / 2);
	high = pgcredit_quantile(replicates, n, (1 + plan->level) / 2);
	values[0] = Float8GetDatum(value);
	values[1] = Float8GetDatum(sqrt(squares / (n - 1)));
	values[2] = Float8GetDatum(plan->basic ? 2 * value - high : low);
	values[3] = Float8GetDatum(plan->basic ? 2 * value - low : high);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

static uint32_t *
room_for(int64 cases)
{
	return cases == 0 ? NULL :
		MemoryContextAllocHuge(CurrentMemoryContext, (Size) cases * sizeof(uint32_t));
}

/*
 * NULL without both classes.  All memory is of the call's context and goes
 * with the aggregate.
 */
static Datum
rank_bootstrap(FunctionCallInfo fcinfo, RankStatistic statistic)
{
	PgcreditRankState *state = PG_ARGISNULL(0) ? NULL : (PgcreditRankState *) PG_GETARG_POINTER(0);
	Resampling		plan;
	double		value;
	double	   *replicates;
	PgcreditRankRun *drawn;
	PgcreditResample class[2];
	uint32_t   *room[2];

	if (state == NULL)
		PG_RETURN_NULL();
	pgcredit_rank_flush(state);
	if (!statistic(state->runs, state->nruns, &value))
		PG_RETURN_NULL();
	plan = parse_plan(state->options, state->noptions, OF_RANKS);
	replicates = palloc(sizeof(double) * plan.replicates);
	drawn = MemoryContextAllocHuge(CurrentMemoryContext, state->nruns * sizeof(PgcreditRankRun));
	for (int k = 0; k < 2; k++)
	{
		room[k] = room_for(pgcredit_direct_cases(state->runs, state->nruns, k == 1));
		pgcredit_resample_start(&class[k], state->runs, state->nruns, k == 1, room[k]);
	}
	for (int i = 0; i < plan.replicates; i++)
	{
		PgcreditRandom random;

		CHECK_FOR_INTERRUPTS();
		pgcredit_random_start(&random, (uint64_t) plan.seed, i);
		for (int k = 0; k < 2; k++)
			pgcredit_resample(&class[k], &random, state->runs, k == 1, drawn);
		statistic(drawn, state->nruns, &replicates[i]);
	}
	pfree(drawn);
	for (int k = 0; k < 2; k++)
		if (room[k] != NULL)
			pfree(room[k]);
	return interval(fcinfo, &plan, value, replicates);
}

static bool
gini(const PgcreditRankRun *runs, size_t n, double *value)
{
	if (!pgcredit_auc(runs, n, value))
		return false;
	*value = 2 * *value - 1;
	return true;
}

Datum
pgcredit_auc_bootstrap_final(PG_FUNCTION_ARGS)
{
	return rank_bootstrap(fcinfo, pgcredit_auc);
}

Datum
pgcredit_gini_bootstrap_final(PG_FUNCTION_ARGS)
{
	return rank_bootstrap(fcinfo, gini);
}

Datum
pgcredit_ks_bootstrap_final(PG_FUNCTION_ARGS)
{
	return rank_bootstrap(fcinfo, pgcredit_ks);
}

/*
 * credit.psi_bootstrap: NULL if one population is empty.  Raises 22012 when a
 * replicate has an empty bin that the rule refuses.
 */
Datum
pgcredit_psi_bootstrap_final(PG_FUNCTION_ARGS)
{
	PgcreditBinState *state = PG_ARGISNULL(0) ? NULL : (PgcreditBinState *) PG_GETARG_POINTER(0);
	double	   *counts[2];
	double	   *drawn[2];
	double	   *replicates;
	double		count;
	double		value;
	PgcreditEmptyBin rule;
	Resampling		plan;
	bool		refused;

	if (state == NULL || state->nbins == 0)
		PG_RETURN_NULL();
	plan = parse_plan(state->options, state->noptions, OF_NUMBERS);
	rule = pgcredit_empty_bin(plan.empty_bin, &count);
	pgcredit_bin_counts(state, &counts[0], &counts[1]);
	for (int k = 0; k < 2; k++)
	{
		double		total = 0;

		for (int i = 0; i < state->nbins; i++)
			total += counts[k][i];
		if (total == 0)
			PG_RETURN_NULL();
		drawn[k] = palloc(sizeof(double) * state->nbins);
	}
	replicates = palloc(sizeof(double) * plan.replicates);
	refused = !pgcredit_psi(counts[0], counts[1], state->nbins, rule, count, &value);
	for (int i = 0; i < plan.replicates && !refused; i++)
	{
		PgcreditRandom random;

		CHECK_FOR_INTERRUPTS();
		pgcredit_random_start(&random, (uint64_t) plan.seed, i);
		for (int k = 0; k < 2; k++)
			pgcredit_draw_counts(&random, counts[k], state->nbins, drawn[k]);
		refused = !pgcredit_psi(drawn[0], drawn[1], state->nbins, rule, count, &replicates[i]);
	}
	if (refused)
		ereport(ERROR,
				(errcode(ERRCODE_DIVISION_BY_ZERO),
				 errmsg("a bin is empty in one of the two populations or in a replicate"),
				 errhint("Give the option empty_bin: infinity, drop, or the count to put in place of 0, such as 0.9.")));
	return interval(fcinfo, &plan, value, replicates);
}
