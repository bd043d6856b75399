/*
 * score.c
 *		credit.score: one row, one model, one number.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "rating/match.h"
#include "rating/row.h"

PG_FUNCTION_INFO_V1(pgcredit_score);
PG_FUNCTION_INFO_V1(pgcredit_score_columns);
PG_FUNCTION_INFO_V1(pgcredit_grade);

/*
 * Exact sum over the card in millionths.  Values are either a function's
 * arguments (args) or a deformed row (values, isnull); each caller passes a
 * constant NULL for the other, so the choice costs nothing, and a constant for
 * whether attributes may have expressions, so that cards without pay nothing.
 */
static pg_attribute_always_inline int64
evaluate(const PgcreditBoundCard *bound, const NullableDatum *args,
		 const Datum *values, const bool *isnull, bool expressions)
{
	int64		sum = bound->card->initial;

	for (int i = 0; i < bound->n; i++)
	{
		const PgcreditBinding *binding = &bound->bindings[i];
		int			column = binding->column;
		Datum		value = args != NULL ? args[column].value : values[column];
		bool		missing = args != NULL ? args[column].isnull : isnull[column];
		int			attribute = pgcredit_match(binding, value, missing);

		if (unlikely(attribute < 0))
			pgcredit_no_attribute(bound->card, binding, value, missing);
		if (expressions && binding->characteristic->attributes[attribute].expression != NULL)
		{
			PgcreditValues row = {args, values, isnull};

			sum += pgcredit_expression_points(bound, binding->characteristic, attribute, &row);
		}
		else
			sum += binding->points[attribute];
	}
	return sum;
}

/* Kept out of line, so that the usual loop stays as small as it is. */
static pg_noinline int64
evaluate_expressions(const PgcreditBoundCard *bound, const NullableDatum *args,
					 const Datum *values, const bool *isnull)
{
	return args != NULL ? evaluate(bound, args, NULL, NULL, true) : evaluate(bound, NULL, values, isnull, true);
}

int64
pgcredit_row_score(const PgcreditRow *row)
{
	if (unlikely(row->card->expressions))
		return evaluate_expressions(row->bound, NULL, row->values, row->isnull);
	return evaluate(row->bound, NULL, row->values, row->isnull, false);
}

/*
 * credit.score(model text, "row" record) returns float8
 *
 * NULL for a NULL row (not a row of NULLs) or model.
 */
Datum
pgcredit_score(PG_FUNCTION_ARGS)
{
	PgcreditSite *site;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	site = pgcredit_site_row(fcinfo, 0, 1, false);
	PG_RETURN_FLOAT8(pgcredit_score_real(pgcredit_row_score(&site->row)));
}

/*
 * Bind the columns of credit._score_columns: their names are the second
 * argument, their types those of the call.
 */
static void
bind_columns(FunctionCallInfo fcinfo, PgcreditSite *site)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(1);
	int			n = PG_NARGS() - 2;
	PgcreditColumn *columns = palloc0(sizeof(PgcreditColumn) * Max(n, 1));
	Datum	   *names;
	bool	   *nulls;
	int			nnames;
	MemoryContext caller;

	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("columns cannot be passed as a VARIADIC array")));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &nnames);
	if (nnames != n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d names are given for %d columns", nnames, n)));
	for (int i = 0; i < n; i++)
	{
		columns[i].name = nulls[i] ? NULL : TextDatumGetCString(names[i]);
		columns[i].type = get_fn_expr_argtype(fcinfo->flinfo, i + 2);
	}
	caller = MemoryContextSwitchTo(site->context);
	site->row.bound = pgcredit_card_bind(site->row.card, columns, n, false);
	MemoryContextSwitchTo(caller);
}

/*
 * credit._score_columns(model text, names text[], VARIADIC "any") returns
 * float8: what the planner makes of credit.score when the row is a whole table
 * row, so that no tuple is formed only to be taken apart again.  The names are
 * constant in a plan and looked at on the first call only.
 */
Datum
pgcredit_score_columns(PG_FUNCTION_ARGS)
{
	PgcreditSite *site;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	site = pgcredit_site(fcinfo, 0);
	if (site->row.bound == NULL)
		bind_columns(fcinfo, site);
	if (unlikely(site->row.card->expressions))
		PG_RETURN_FLOAT8(pgcredit_score_real(evaluate_expressions(site->row.bound, fcinfo->args + 2, NULL, NULL)));
	PG_RETURN_FLOAT8(pgcredit_score_real(evaluate(site->row.bound, fcinfo->args + 2, NULL, NULL, false)));
}

/*
 * credit.grade(model text, score float8) returns text
 *
 * Raises 22023 if the model has no grade for the score.
 */
Datum
pgcredit_grade(PG_FUNCTION_ARGS)
{
	PgcreditSite *site = pgcredit_site(fcinfo, 0);
	double		score = PG_GETARG_FLOAT8(1);
	const char *grade = pgcredit_card_grade(site->row.card, score);

	if (grade == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" version %d has no grade for score %g",
						site->row.card->name, site->row.card->version, score)));
	PG_RETURN_TEXT_P(cstring_to_text(grade));
}
