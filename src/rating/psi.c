/*
 * psi.c
 *		Population stability index: aggregate over binned values, and the plain
 *		function over counts.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/core.h"
#include "rating/rank_kernel.h"

/* More bins than this are values that nobody binned. */
#define MAX_BINS 10000

/* A bin; len -1 is the bin of missing values. */
typedef struct PsiBin
{
	char	   *name;
	int			len;
	int64		counts[2];		/* expected, actual */
} PsiBin;

typedef struct PsiState
{
	MemoryContext context;
	PsiBin	   *bins;			/* sorted by len, then bytes */
	int			nbins;
	int			room;
	char	   *rule;			/* NULL for the default; of the first row */
} PsiState;

PG_FUNCTION_INFO_V1(pgcredit_psi_transition);
PG_FUNCTION_INFO_V1(pgcredit_psi_transition_int);
PG_FUNCTION_INFO_V1(pgcredit_psi_combine);
PG_FUNCTION_INFO_V1(pgcredit_psi_serialize);
PG_FUNCTION_INFO_V1(pgcredit_psi_deserialize);
PG_FUNCTION_INFO_V1(pgcredit_psi_final);
PG_FUNCTION_INFO_V1(pgcredit_psi_arrays);

static PsiState *
new_state(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	PsiState   *state;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("aggregate function called in non-aggregate context")));
	state = MemoryContextAllocZero(context, sizeof(PsiState));
	state->context = context;
	return state;
}

/*
 * What the empty_bin argument says; raises 22023.
 */
static PgcreditEmptyBin
parse_rule(const char *rule, double *count)
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

static PsiBin *
find_bin(PsiState *state, const char *name, int len)
{
	int			lo = 0;
	int			hi = state->nbins;
	PsiBin	   *bin;

	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;
		int			c = state->bins[mid].len - len;

		if (c == 0 && len > 0)
			c = memcmp(state->bins[mid].name, name, len);
		if (c == 0)
			return &state->bins[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (state->nbins == MAX_BINS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("more than %d bins", MAX_BINS),
				 errhint("Bin the values first, for example with width_bucket().")));
	if (state->nbins == state->room)
	{
		state->room = Max(32, state->room * 2);
		state->bins = state->bins == NULL ?
			MemoryContextAlloc(state->context, sizeof(PsiBin) * state->room) :
			repalloc(state->bins, sizeof(PsiBin) * state->room);
	}
	bin = &state->bins[lo];
	memmove(bin + 1, bin, sizeof(PsiBin) * (state->nbins - lo));
	state->nbins++;
	bin->name = MemoryContextAlloc(state->context, Max(len, 1));
	if (len > 0)
		memcpy(bin->name, name, len);
	bin->len = len;
	bin->counts[0] = bin->counts[1] = 0;
	return bin;
}

/*
 * Count one row.  The rule is constant over the aggregate: that of the first
 * row is kept, a different one is refused.
 */
static PsiState *
count_row(FunctionCallInfo fcinfo, const char *name, int len)
{
	PsiState   *state = PG_ARGISNULL(0) ? new_state(fcinfo) : (PsiState *) PG_GETARG_POINTER(0);

	if (PG_NARGS() > 3)
	{
		char	   *rule;
		double		count;

		if (PG_ARGISNULL(3))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("rule for empty bins is null")));
		rule = text_to_cstring(PG_GETARG_TEXT_PP(3));
		if (state->rule == NULL)
		{
			parse_rule(rule, &count);
			state->rule = MemoryContextStrdup(state->context, rule);
		}
		else if (strcmp(state->rule, rule) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("rule for empty bins changes from \"%s\" to \"%s\"", state->rule, rule)));
		pfree(rule);
	}
	if (!PG_ARGISNULL(2))
		find_bin(state, name, len)->counts[PG_GETARG_BOOL(2) ? 1 : 0]++;
	return state;
}

/*
 * Transition (internal, bin text, actual boolean [, empty_bin text]).  A NULL
 * bin is the bin of missing values; a row with actual NULL is left out.
 */
Datum
pgcredit_psi_transition(PG_FUNCTION_ARGS)
{
	text	   *bin;

	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(count_row(fcinfo, NULL, -1));
	bin = PG_GETARG_TEXT_PP(1);
	PG_RETURN_POINTER(count_row(fcinfo, VARDATA_ANY(bin), VARSIZE_ANY_EXHDR(bin)));
}

/*
 * The same with bin integer, as width_bucket() returns.
 */
Datum
pgcredit_psi_transition_int(PG_FUNCTION_ARGS)
{
	char		name[16];

	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(count_row(fcinfo, NULL, -1));
	pg_ltoa(PG_GETARG_INT32(1), name);
	PG_RETURN_POINTER(count_row(fcinfo, name, strlen(name)));
}

Datum
pgcredit_psi_combine(PG_FUNCTION_ARGS)
{
	PsiState   *a = PG_ARGISNULL(0) ? new_state(fcinfo) : (PsiState *) PG_GETARG_POINTER(0);
	PsiState   *b = PG_ARGISNULL(1) ? NULL : (PsiState *) PG_GETARG_POINTER(1);

	if (b == NULL)
		PG_RETURN_POINTER(a);
	if (a->rule == NULL && b->rule != NULL)
		a->rule = MemoryContextStrdup(a->context, b->rule);
	else if (a->rule != NULL && b->rule != NULL && strcmp(a->rule, b->rule) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rule for empty bins changes from \"%s\" to \"%s\"", a->rule, b->rule)));
	for (int i = 0; i < b->nbins; i++)
	{
		PsiBin	   *bin = find_bin(a, b->bins[i].name, b->bins[i].len);

		bin->counts[0] += b->bins[i].counts[0];
		bin->counts[1] += b->bins[i].counts[1];
	}
	PG_RETURN_POINTER(a);
}

Datum
pgcredit_psi_serialize(PG_FUNCTION_ARGS)
{
	PsiState   *state = (PsiState *) PG_GETARG_POINTER(0);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendint32(&out, state->rule == NULL ? -1 : (int) strlen(state->rule));
	if (state->rule != NULL)
		pq_sendbytes(&out, state->rule, strlen(state->rule));
	pq_sendint32(&out, state->nbins);
	for (int i = 0; i < state->nbins; i++)
	{
		const PsiBin *bin = &state->bins[i];

		pq_sendint32(&out, bin->len);
		if (bin->len > 0)
			pq_sendbytes(&out, bin->name, bin->len);
		pq_sendint64(&out, bin->counts[0]);
		pq_sendint64(&out, bin->counts[1]);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

Datum
pgcredit_psi_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *in = PG_GETARG_BYTEA_PP(0);
	PsiState   *state = new_state(fcinfo);
	StringInfoData buffer;
	int			len;
	int			n;

	initStringInfo(&buffer);
	appendBinaryStringInfo(&buffer, VARDATA_ANY(in), VARSIZE_ANY_EXHDR(in));
	len = pq_getmsgint(&buffer, 4);
	if (len >= 0)
	{
		state->rule = MemoryContextAllocZero(state->context, (Size) len + 1);
		memcpy(state->rule, pq_getmsgbytes(&buffer, len), len);
	}
	n = pq_getmsgint(&buffer, 4);
	for (int i = 0; i < n; i++)
	{
		PsiBin	   *bin;

		len = pq_getmsgint(&buffer, 4);
		bin = find_bin(state, len > 0 ? pq_getmsgbytes(&buffer, len) : NULL, len);
		bin->counts[0] = pq_getmsgint64(&buffer);
		bin->counts[1] = pq_getmsgint64(&buffer);
	}
	pq_getmsgend(&buffer);
	pfree(buffer.data);
	PG_RETURN_POINTER(state);
}

/*
 * The index over n bins; false (SQL NULL) if one population is empty.  Raises
 * 22012 when a bin is empty on one side and the rule is to refuse.
 */
static bool
compute(const double *expected, const double *actual, int n, const char *rule, double *psi)
{
	double		count;
	PgcreditEmptyBin empty = parse_rule(rule, &count);
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
	PsiState   *state = PG_ARGISNULL(0) ? NULL : (PsiState *) PG_GETARG_POINTER(0);
	double	   *expected;
	double	   *actual;
	double		psi;

	if (state == NULL || state->nbins == 0)
		PG_RETURN_NULL();
	expected = palloc(sizeof(double) * state->nbins);
	actual = palloc(sizeof(double) * state->nbins);
	for (int i = 0; i < state->nbins; i++)
	{
		expected[i] = (double) state->bins[i].counts[0];
		actual[i] = (double) state->bins[i].counts[1];
	}
	if (!compute(expected, actual, state->nbins, state->rule, &psi))
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
