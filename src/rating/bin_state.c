/*
 * bin_state.c
 *		Counts of two kinds of rows by bin: state, combination and transport.
 *
 * Counts are whole numbers and bins are kept in one order, so what a final
 * function computes has the same bits for every order of rows and states.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/core.h"
#include "rating/bin_state.h"

/* More bins than this are values that nobody binned. */
#define MAX_BINS 10000

PG_FUNCTION_INFO_V1(pgcredit_bins_combine);
PG_FUNCTION_INFO_V1(pgcredit_bins_serialize);
PG_FUNCTION_INFO_V1(pgcredit_bins_deserialize);

/*
 * The aggregate's state, a new one in the first call.
 */
PgcreditBinState *
pgcredit_bin_state(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	PgcreditBinState *state;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("aggregate function called in non-aggregate context")));
	if (!PG_ARGISNULL(0))
		return (PgcreditBinState *) PG_GETARG_POINTER(0);
	state = MemoryContextAllocZero(context, sizeof(PgcreditBinState));
	state->context = context;
	return state;
}

/*
 * Keep the options of the first row.  False if there are others already.
 */
bool
pgcredit_bin_options(PgcreditBinState *state, const char *options, int n)
{
	if (state->options != NULL)
		return state->noptions == n && memcmp(state->options, options, n) == 0;
	state->options = MemoryContextAlloc(state->context, (Size) n + 1);
	memcpy(state->options, options, n);
	state->options[n] = '\0';
	state->noptions = n;
	return true;
}

static PgcreditBin *
find_bin(PgcreditBinState *state, const char *name, int len)
{
	int			lo = 0;
	int			hi = state->nbins;
	PgcreditBin	   *bin;

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
			MemoryContextAlloc(state->context, sizeof(PgcreditBin) * state->room) :
			repalloc(state->bins, sizeof(PgcreditBin) * state->room);
	}
	bin = &state->bins[lo];
	memmove(bin + 1, bin, sizeof(PgcreditBin) * (state->nbins - lo));
	state->nbins++;
	bin->name = MemoryContextAlloc(state->context, Max(len, 1));
	if (len > 0)
		memcpy(bin->name, name, len);
	bin->len = len;
	bin->counts[0] = bin->counts[1] = 0;
	return bin;
}

/*
 * Count a row in the bin of this name; len -1 is the bin of missing values.
 */
void
pgcredit_count_named_bin(PgcreditBinState *state, const char *name, int len, bool kind)
{
	find_bin(state, name, len)->counts[kind ? 1 : 0]++;
}

/*
 * Count a row (internal, bin text or integer, kind boolean, ...).  A NULL bin
 * is that of missing values; a row with kind NULL is left out.
 */
void
pgcredit_count_bin(FunctionCallInfo fcinfo, PgcreditBinState *state, bool number)
{
	char		digits[16];
	const char *name = NULL;
	int			len = -1;

	if (PG_ARGISNULL(2))
		return;
	if (!PG_ARGISNULL(1) && number)
	{
		pg_ltoa(PG_GETARG_INT32(1), digits);
		name = digits;
		len = strlen(digits);
	}
	else if (!PG_ARGISNULL(1))
	{
		text	   *bin = PG_GETARG_TEXT_PP(1);

		name = VARDATA_ANY(bin);
		len = VARSIZE_ANY_EXHDR(bin);
	}
	pgcredit_count_named_bin(state, name, len, PG_GETARG_BOOL(2));
}

/*
 * Counts as numbers, palloc'd, in the order of the bins.
 */
void
pgcredit_bin_counts(const PgcreditBinState *state, double **no, double **yes)
{
	*no = palloc(sizeof(double) * Max(state->nbins, 1));
	*yes = palloc(sizeof(double) * Max(state->nbins, 1));
	for (int i = 0; i < state->nbins; i++)
	{
		(*no)[i] = (double) state->bins[i].counts[0];
		(*yes)[i] = (double) state->bins[i].counts[1];
	}
}

Datum
pgcredit_bins_combine(PG_FUNCTION_ARGS)
{
	PgcreditBinState *a = pgcredit_bin_state(fcinfo);
	PgcreditBinState *b = PG_ARGISNULL(1) ? NULL : (PgcreditBinState *) PG_GETARG_POINTER(1);

	if (b == NULL)
		PG_RETURN_POINTER(a);
	if (b->options != NULL && !pgcredit_bin_options(a, b->options, b->noptions))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options of an aggregate change from row to row")));
	for (int i = 0; i < b->nbins; i++)
	{
		PgcreditBin *bin = find_bin(a, b->bins[i].name, b->bins[i].len);

		bin->counts[0] += b->bins[i].counts[0];
		bin->counts[1] += b->bins[i].counts[1];
	}
	PG_RETURN_POINTER(a);
}

Datum
pgcredit_bins_serialize(PG_FUNCTION_ARGS)
{
	PgcreditBinState *state = (PgcreditBinState *) PG_GETARG_POINTER(0);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendint32(&out, state->options == NULL ? -1 : state->noptions);
	if (state->options != NULL)
		pq_sendbytes(&out, state->options, state->noptions);
	pq_sendint32(&out, state->nbins);
	for (int i = 0; i < state->nbins; i++)
	{
		const PgcreditBin *bin = &state->bins[i];

		pq_sendint32(&out, bin->len);
		if (bin->len > 0)
			pq_sendbytes(&out, bin->name, bin->len);
		pq_sendint64(&out, bin->counts[0]);
		pq_sendint64(&out, bin->counts[1]);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

Datum
pgcredit_bins_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *in = PG_GETARG_BYTEA_PP(0);
	MemoryContext context;
	PgcreditBinState *state;
	StringInfoData buffer;
	int			len;
	int			n;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("aggregate function called in non-aggregate context")));
	state = MemoryContextAllocZero(context, sizeof(PgcreditBinState));
	state->context = context;
	initStringInfo(&buffer);
	appendBinaryStringInfo(&buffer, VARDATA_ANY(in), VARSIZE_ANY_EXHDR(in));
	len = pq_getmsgint(&buffer, 4);
	if (len >= 0)
		pgcredit_bin_options(state, pq_getmsgbytes(&buffer, len), len);
	n = pq_getmsgint(&buffer, 4);
	for (int i = 0; i < n; i++)
	{
		PgcreditBin *bin;

		len = pq_getmsgint(&buffer, 4);
		bin = find_bin(state, len > 0 ? pq_getmsgbytes(&buffer, len) : NULL, len);
		bin->counts[0] = pq_getmsgint64(&buffer);
		bin->counts[1] = pq_getmsgint64(&buffer);
	}
	pq_getmsgend(&buffer);
	pfree(buffer.data);
	PG_RETURN_POINTER(state);
}
