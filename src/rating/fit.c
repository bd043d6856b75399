/*
 * fit.c
 *		Aggregates and steps of credit.fit_logistic.
 *
 * A scan is one aggregate over (bad, weight, x, setup).  With an empty setup
 * it takes count, sum, minimum and maximum of each column; with one, the sums
 * of an iteration.  The state is a few hundred numbers whatever the rows.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/core.h"
#include "rating/fit_kernel.h"
#include "rating/rank_kernel.h"

#define MAX_FIT_COLUMNS 200

/* Of each column in the first scan. */
enum
{
	COLUMN_ABSENT,				/* NULLs and values that are not finite */
	COLUMN_SUM,
	COLUMN_LOW,
	COLUMN_HIGH,
	COLUMN_FACTS
};

typedef struct FitState
{
	int32		p;				/* columns */
	int32		nsetup;			/* 0 in the first scan */
	int64		n;
	int64		nbad;
	int64		unusable;		/* rows without an outcome or a weight */
	int64		parts;			/* states that came from other processes */
	double		values[FLEXIBLE_ARRAY_MEMBER];	/* sums, then spare room */
} FitState;

PG_FUNCTION_INFO_V1(pgcredit_fit_transition);
PG_FUNCTION_INFO_V1(pgcredit_fit_combine);
PG_FUNCTION_INFO_V1(pgcredit_fit_serialize);
PG_FUNCTION_INFO_V1(pgcredit_fit_deserialize);
PG_FUNCTION_INFO_V1(pgcredit_fit_final);
PG_FUNCTION_INFO_V1(pgcredit_fit_step);
PG_FUNCTION_INFO_V1(pgcredit_fit_coefficients);
PG_FUNCTION_INFO_V1(pgcredit_chi_square);

static int
sums_of(const FitState *state)
{
	return state->nsetup == 0 ? state->p * COLUMN_FACTS : pgcredit_fit_sums(state->p);
}

static Size
size_of(int p, int nsetup)
{
	int			n = Max(p * COLUMN_FACTS, pgcredit_fit_sums(p)) + p + 1;

	return offsetof(FitState, values) + sizeof(double) * n;
}

static FitState *
new_state(FunctionCallInfo fcinfo, int p, int nsetup)
{
	MemoryContext context;
	FitState   *state;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("aggregate function called in non-aggregate context")));
	if (p < 0 || p > MAX_FIT_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a fit takes at most %d columns", MAX_FIT_COLUMNS)));
	if (nsetup != 0 && nsetup != pgcredit_fit_setup(p))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("setup of a fit does not fit %d columns", p)));
	state = MemoryContextAllocZero(context, size_of(p, nsetup));
	state->p = p;
	state->nsetup = nsetup;
	if (nsetup != 0)
		pgcredit_fit_clear(p, state->values);
	else
	{
		for (int j = 0; j < p; j++)
		{
			state->values[j * COLUMN_FACTS + COLUMN_LOW] = INFINITY;
			state->values[j * COLUMN_FACTS + COLUMN_HIGH] = -INFINITY;
		}
	}
	return state;
}

/*
 * Values of a float8 array of one dimension; an element that is NULL is NaN in
 * the copy that is made then.
 */
static const double *
numbers_of(ArrayType *array, int *n)
{
	double	   *copy;
	const char *from;

	if (ARR_NDIM(array) > 1 || ARR_ELEMTYPE(array) != FLOAT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("values of a fit are not a one-dimensional array")));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (!ARR_HASNULL(array))
		return (const double *) ARR_DATA_PTR(array);
	copy = palloc(sizeof(double) * *n);
	from = ARR_DATA_PTR(array);
	for (int i = 0; i < *n; i++)
	{
		if (ARR_NULLBITMAP(array)[i / 8] & (1 << (i % 8)))
		{
			memcpy(&copy[i], from, sizeof(double));
			from += sizeof(double);
		}
		else
			copy[i] = NAN;
	}
	return copy;
}

static void
look_at_columns(FitState *state, const double *x)
{
	for (int j = 0; j < state->p; j++)
	{
		double	   *fact = state->values + j * COLUMN_FACTS;

		if (!isfinite(x[j]))
		{
			fact[COLUMN_ABSENT]++;
			continue;
		}
		fact[COLUMN_SUM] += x[j];
		fact[COLUMN_LOW] = fmin(fact[COLUMN_LOW], x[j]);
		fact[COLUMN_HIGH] = fmax(fact[COLUMN_HIGH], x[j]);
	}
}

/*
 * Transition (internal, bad boolean, weight float8, x float8[], setup float8[]).
 * What is NULL, NaN or infinite is counted in the first scan, which the caller
 * looks at; a weight of 0 leaves the row out, as if it were not there.
 */
Datum
pgcredit_fit_transition(PG_FUNCTION_ARGS)
{
	FitState   *state = PG_ARGISNULL(0) ? NULL : (FitState *) PG_GETARG_POINTER(0);
	const double *x;
	const double *setup;
	double		weight;
	int			p;
	int			nsetup;

	if (PG_ARGISNULL(3) || PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("values or setup of a fit are null")));
	x = numbers_of(PG_GETARG_ARRAYTYPE_P(3), &p);
	setup = numbers_of(PG_GETARG_ARRAYTYPE_P(4), &nsetup);
	if (state == NULL)
		state = new_state(fcinfo, p, nsetup);
	if (p != state->p || nsetup != state->nsetup)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of columns changes from row to row")));
	weight = PG_ARGISNULL(2) ? NAN : PG_GETARG_FLOAT8(2);
	if (PG_ARGISNULL(1) || !isfinite(weight) || weight < 0)
	{
		state->unusable++;
		PG_RETURN_POINTER(state);
	}
	if (weight == 0)
		PG_RETURN_POINTER(state);
	state->n++;
	if (PG_GETARG_BOOL(1))
		state->nbad++;
	if (nsetup == 0)
		look_at_columns(state, x);
	else
		pgcredit_fit_add(p, setup, x, PG_GETARG_BOOL(1), weight,
						 state->values + sums_of(state), state->values);
	PG_RETURN_POINTER(state);
}

Datum
pgcredit_fit_combine(PG_FUNCTION_ARGS)
{
	FitState   *a = PG_ARGISNULL(0) ? NULL : (FitState *) PG_GETARG_POINTER(0);
	FitState   *b = PG_ARGISNULL(1) ? NULL : (FitState *) PG_GETARG_POINTER(1);

	if (b == NULL)
	{
		if (a == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(a);
	}
	if (a == NULL)
		a = new_state(fcinfo, b->p, b->nsetup);
	if (a->p != b->p || a->nsetup != b->nsetup)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of columns changes from row to row")));
	a->n += b->n;
	a->nbad += b->nbad;
	a->unusable += b->unusable;
	a->parts += b->parts;
	if (a->nsetup != 0)
		pgcredit_fit_merge(a->p, a->values, b->values);
	else
	{
		for (int j = 0; j < a->p; j++)
		{
			double	   *to = a->values + j * COLUMN_FACTS;
			const double *from = b->values + j * COLUMN_FACTS;

			to[COLUMN_ABSENT] += from[COLUMN_ABSENT];
			to[COLUMN_SUM] += from[COLUMN_SUM];
			to[COLUMN_LOW] = fmin(to[COLUMN_LOW], from[COLUMN_LOW]);
			to[COLUMN_HIGH] = fmax(to[COLUMN_HIGH], from[COLUMN_HIGH]);
		}
	}
	PG_RETURN_POINTER(a);
}

/*
 * The state as it is: it travels between processes of one server only.
 */
Datum
pgcredit_fit_serialize(PG_FUNCTION_ARGS)
{
	FitState   *state = (FitState *) PG_GETARG_POINTER(0);
	Size		size = size_of(state->p, state->nsetup);
	bytea	   *out = palloc(VARHDRSZ + size);

	SET_VARSIZE(out, VARHDRSZ + size);
	memcpy(VARDATA(out), state, size);
	PG_RETURN_BYTEA_P(out);
}

Datum
pgcredit_fit_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *in = PG_GETARG_BYTEA_PP(0);
	Size		size = VARSIZE_ANY_EXHDR(in);
	FitState	head;
	FitState   *state;

	if (size < offsetof(FitState, values))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid state of a fit")));
	memcpy(&head, VARDATA_ANY(in), offsetof(FitState, values));
	state = new_state(fcinfo, head.p, head.nsetup);
	if (size != size_of(head.p, head.nsetup))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid state of a fit")));
	memcpy(state, VARDATA_ANY(in), size);
	state->parts = Max(state->parts, 1);
	PG_RETURN_POINTER(state);
}

static Datum
array_of(const double *values, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = Float8GetDatum(values[i]);
	return PointerGetDatum(construct_array(datums, n, FLOAT8OID, sizeof(float8),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * Result: rows, bad rows, unusable rows, partial states, then the sums.  NULL
 * without a row.
 */
Datum
pgcredit_fit_final(PG_FUNCTION_ARGS)
{
	FitState   *state = PG_ARGISNULL(0) ? NULL : (FitState *) PG_GETARG_POINTER(0);
	double	   *all;
	int			n;

	if (state == NULL)
		PG_RETURN_NULL();
	n = sums_of(state);
	all = palloc(sizeof(double) * (n + 4));
	all[0] = (double) state->n;
	all[1] = (double) state->nbad;
	all[2] = (double) state->unusable;
	all[3] = (double) state->parts;
	memcpy(all + 4, state->values, sizeof(double) * n);
	PG_RETURN_DATUM(array_of(all, n + 4));
}

/*
 * Sums of an iteration from the array that the aggregate gave; sets the number
 * of columns that the setup is for.
 */
static const double *
checked_sums(FunctionCallInfo fcinfo, const double **setup, int *p)
{
	int			nsums;
	int			nsetup;
	const double *sums = numbers_of(PG_GETARG_ARRAYTYPE_P(0), &nsums);

	*setup = numbers_of(PG_GETARG_ARRAYTYPE_P(1), &nsetup);
	*p = (nsetup - 1) / 3;
	if (nsetup < 1 || *p > MAX_FIT_COLUMNS || nsetup != pgcredit_fit_setup(*p) ||
		nsums != pgcredit_fit_sums(*p) + 4)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sums and setup of a fit do not belong together")));
	return sums + 4;
}

static Datum
row_of(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * credit._fit_step(sums float8[], setup float8[], OUT step float8[],
 * OUT dependent integer): Newton's step in the scale of the setup, or the term
 * (0 is the intercept) that the terms before it determine.
 */
Datum
pgcredit_fit_step(PG_FUNCTION_ARGS)
{
	const double *setup;
	int			p;
	const double *sums = checked_sums(fcinfo, &setup, &p);
	int			q = p + 1;
	double	   *factor = palloc(sizeof(double) * q * (q + 1) / 2);
	double	   *scale = palloc(sizeof(double) * q);
	double	   *step = palloc(sizeof(double) * q);
	int			dependent = pgcredit_fit_factor(q, sums + PGCREDIT_FIT_GRADIENT + q, factor, scale);
	Datum		values[2] = {0, 0};
	bool		nulls[2] = {dependent >= 0, dependent < 0};

	if (dependent < 0)
	{
		memcpy(step, sums + PGCREDIT_FIT_GRADIENT, sizeof(double) * q);
		pgcredit_fit_solve(q, factor, scale, step);
		values[0] = array_of(step, q);
	}
	else
		values[1] = Int32GetDatum(dependent);
	return row_of(fcinfo, values, nulls);
}

/*
 * credit._fit_coefficients(sums float8[], setup float8[], OUT estimate
 * float8[], OUT std_error float8[], OUT z float8[], OUT p float8[]): in the
 * columns' own units, the intercept first.  Raises PC411 if the information is
 * singular.
 */
Datum
pgcredit_fit_coefficients(PG_FUNCTION_ARGS)
{
	const double *setup;
	int			p;
	const double *sums = checked_sums(fcinfo, &setup, &p);
	int			q = p + 1;
	const double *centre = setup + q;
	const double *unit = centre + p;
	double	   *factor = palloc(sizeof(double) * q * (q + 1) / 2);
	double	   *scale = palloc(sizeof(double) * q);
	double	   *work = palloc(sizeof(double) * q);
	double	   *facts[4];
	Datum		values[4];
	bool		nulls[4] = {false};

	if (pgcredit_fit_factor(q, sums + PGCREDIT_FIT_GRADIENT + q, factor, scale) >= 0)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_FIT_COLLINEAR),
				 errmsg("columns of a fit depend on each other")));
	for (int k = 0; k < 4; k++)
		facts[k] = palloc0(sizeof(double) * q);
	for (int i = 0; i < q; i++)
	{
		double		t[MAX_FIT_COLUMNS + 1];
		double		variance = 0;

		/* the term as a combination of those that were fitted */
		for (int j = 0; j < q; j++)
			t[j] = i == 0 ? (j == 0 ? 1 : -centre[j - 1] / unit[j - 1]) : (j == i ? 1 / unit[j - 1] : 0);
		for (int j = 0; j < q; j++)
		{
			facts[0][i] += t[j] * setup[j];
			work[j] = t[j];
		}
		pgcredit_fit_solve(q, factor, scale, work);
		for (int j = 0; j < q; j++)
			variance += t[j] * work[j];
		facts[1][i] = sqrt(variance);
		facts[2][i] = facts[0][i] / facts[1][i];
		facts[3][i] = erfc(fabs(facts[2][i]) / sqrt(2));
	}
	for (int k = 0; k < 4; k++)
		values[k] = array_of(facts[k], q);
	return row_of(fcinfo, values, nulls);
}

/*
 * credit._chi_square_tail(x float8, freedom integer) returns float8
 */
Datum
pgcredit_chi_square(PG_FUNCTION_ARGS)
{
	int32		freedom = PG_GETARG_INT32(1);

	if (freedom < 1)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(pgcredit_chi_square_tail(PG_GETARG_FLOAT8(0), freedom));
}
