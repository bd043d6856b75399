/*
 * explain.c
 *		Why a score is what it is: points, differences to the baseline and
 *		ranked reasons per characteristic; and what a stored rating keeps.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "rating/match.h"
#include "rating/row.h"

PG_FUNCTION_INFO_V1(pgcredit_explain);
PG_FUNCTION_INFO_V1(pgcredit_evaluate);
PG_FUNCTION_INFO_V1(pgcredit_grade_row);
PG_FUNCTION_INFO_V1(pgcredit_grade_inputs);
PG_FUNCTION_INFO_V1(pgcredit_explain_inputs);

#define EXPLAIN_COLUMNS 11

/* One row against the card, characteristic by characteristic. */
typedef struct Explanation
{
	int		   *attributes;		/* per characteristic */
	int64	   *points;			/* per characteristic, in millionths */
	int64	   *differences;	/* millionths, in the reason algorithm's sense */
	int		   *codes;			/* reason, -1 for none */
	int64		sum;			/* the score in millionths */
	int			nranked;
	int		   *ranked;			/* reasons, first one first */
	int64	   *reason_sums;	/* per reason */
	int		   *rank;			/* per reason, 0 if not ranked */
} Explanation;

static Datum
micro_numeric(int64 micro)
{
	return DirectFunctionCall1(numeric_trim_scale,
							   NumericGetDatum(int64_div_fast_to_numeric(micro, 6)));
}

/*
 * Evaluate keeping every step.  Raises PC403 and PC408 as scoring does.
 */
static Explanation *
explain_row(const PgcreditRow *row)
{
	const PgcreditCard *card = row->card;
	Explanation *e = palloc0(sizeof(Explanation));
	PgcreditValues given = {NULL, row->values, row->isnull};
	int			n = card->ncharacteristics;

	e->attributes = palloc0(sizeof(int) * n);
	e->points = palloc0(sizeof(int64) * n);
	e->differences = palloc0(sizeof(int64) * n);
	e->codes = palloc0(sizeof(int) * n);
	e->ranked = palloc0(sizeof(int) * Max(card->nreasons, 1));
	e->reason_sums = palloc0(sizeof(int64) * Max(card->nreasons, 1));
	e->rank = palloc0(sizeof(int) * Max(card->nreasons, 1));
	e->sum = card->initial;
	for (int i = 0; i < n; i++)
	{
		const PgcreditBinding *binding = &row->bound->bindings[i];
		const PgcreditCharacteristic *c = binding->characteristic;
		Datum		value = row->values[binding->column];
		bool		isnull = row->isnull[binding->column];
		int			a = pgcredit_match(binding, value, isnull);

		if (a < 0)
			pgcredit_no_attribute(card, binding, value, isnull);
		e->attributes[i] = a;
		e->points[i] = c->attributes[a].expression == NULL ? c->attributes[a].points :
			pgcredit_expression_points(row->bound, c, a, &given);
		e->sum += e->points[i];
		e->differences[i] = card->points_above ? e->points[i] - c->baseline : c->baseline - e->points[i];
		e->codes[i] = card->use_reasons ? c->attributes[a].reason : -1;
	}
	e->nranked = pgcredit_rank_reasons(e->codes, e->differences, n, card->nreasons,
									   e->reason_sums, e->ranked);
	for (int r = 0; r < e->nranked; r++)
		e->rank[e->ranked[r]] = r + 1;
	return e;
}

static void
set_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* "cap 2", as credit.rating.grade_rule has it. */
static char *
rule_name(const PgcreditGradeRule *rule)
{
	return psprintf("%s %d", rule->cap ? "cap" : "override", rule->ordinal);
}

static PgcreditGraded
grade_row(const PgcreditRow *row, int64 sum)
{
	PgcreditValues given = {NULL, row->values, row->isnull};

	return pgcredit_row_grade(row->bound, &given, pgcredit_score_real(sum));
}

/*
 * The row for a cap or override that decided the grade: behind the others, with
 * the rule's name, what became of which grade, and the condition; no points.
 */
static void
put_rule(ReturnSetInfo *result, const PgcreditRow *row, const PgcreditGraded *graded)
{
	Datum		values[EXPLAIN_COLUMNS];
	bool		nulls[EXPLAIN_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	values[0] = Int32GetDatum(row->card->ncharacteristics + 1);
	nulls[0] = false;
	set_text(values, nulls, 1, rule_name(graded->rule));
	set_text(values, nulls, 2, psprintf("%s -> %s", graded->own, graded->grade));
	set_text(values, nulls, 3, graded->rule->when.text);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * A row for the initial score, one per characteristic, and one for what changed
 * the grade, if anything did; points add up to the score.
 */
static void
put_explanation(ReturnSetInfo *result, const PgcreditRow *row)
{
	const PgcreditCard *card = row->card;
	Explanation *e = explain_row(row);
	PgcreditGraded graded = grade_row(row, e->sum);
	Datum		values[EXPLAIN_COLUMNS];
	bool		nulls[EXPLAIN_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	values[0] = Int32GetDatum(0);
	values[4] = micro_numeric(card->initial);
	nulls[0] = nulls[4] = false;
	set_text(values, nulls, 1, "initial score");
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);

	for (int i = 0; i < card->ncharacteristics; i++)
	{
		const PgcreditBinding *binding = &row->bound->bindings[i];
		const PgcreditCharacteristic *c = binding->characteristic;
		const PgcreditAttribute *a = &c->attributes[e->attributes[i]];
		int			code = e->codes[i];
		bool		ranked = code >= 0 && e->rank[code] > 0;

		memset(nulls, false, sizeof(nulls));
		values[0] = Int32GetDatum(i + 1);
		set_text(values, nulls, 1, c->name);
		set_text(values, nulls, 2, row->isnull[binding->column] ? NULL :
				 pgcredit_value_text(binding->kind, row->values[binding->column]));
		set_text(values, nulls, 3, a->label);
		values[4] = micro_numeric(e->points[i]);
		values[5] = micro_numeric(c->baseline);
		values[6] = micro_numeric(e->differences[i]);
		nulls[5] = nulls[6] = !card->use_reasons;
		set_text(values, nulls, 7, code < 0 ? NULL : card->reasons[code].code);
		values[8] = Int32GetDatum(ranked ? e->rank[code] : 0);
		nulls[8] = !ranked;
		set_text(values, nulls, 9, code < 0 ? NULL : card->reasons[code].text_zh);
		set_text(values, nulls, 10, code < 0 ? NULL : card->reasons[code].text_en);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	if (graded.rule != NULL)
		put_rule(result, row, &graded);
}

/*
 * credit.explain(model text, "row" record): see put_explanation.  No rows for
 * a NULL row or model.
 */
Datum
pgcredit_explain(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	if (!PG_ARGISNULL(0) && !PG_ARGISNULL(1))
		put_explanation((ReturnSetInfo *) fcinfo->resultinfo,
						&pgcredit_site_row(fcinfo, 0, 1, true)->row);
	return (Datum) 0;
}

static void
put_input(StringInfo out, const PgcreditRow *row, const char *name, PgcreditColumnKind kind, int column)
{
	if (out->len > 1)
		appendStringInfoChar(out, ',');
	escape_json(out, name);
	appendStringInfo(out, ":{\"type\":\"%s\",\"value\":", pgcredit_column_kind_name(kind));
	if (row->isnull[column])
		appendStringInfoString(out, "null");
	else
		escape_json(out, pgcredit_value_text(kind, row->values[column]));
	appendStringInfoChar(out, '}');
}

/*
 * The columns that the card reads, as a JSON object: name to type and exact
 * text of the value, null for a missing one.  A column that several
 * characteristics read stands there once.
 */
static char *
inputs_json(const PgcreditRow *row)
{
	const PgcreditCard *card = row->card;
	const PgcreditBoundCard *bound = row->bound;
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	for (int i = 0; i < bound->n; i++)
	{
		const PgcreditBinding *binding = &bound->bindings[i];
		bool		seen = false;

		for (int j = 0; j < i && !seen; j++)
			seen = bound->bindings[j].column == binding->column;
		if (!seen)
			put_input(&out, row, binding->characteristic->field, binding->kind, binding->column);
	}
	for (int f = 0; f < card->nfields; f++)
	{
		bool		seen = bound->field_columns[f] < 0;

		for (int j = 0; j < bound->n && !seen; j++)
			seen = bound->bindings[j].column == bound->field_columns[f];
		if (!seen)
			put_input(&out, row, card->fields[f].name, bound->field_kinds[f], bound->field_columns[f]);
	}
	appendStringInfoChar(&out, '}');
	return out.data;
}

static char *
reasons_json(const PgcreditCard *card, const Explanation *e)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '[');
	for (int r = 0; r < e->nranked; r++)
	{
		int			reason = e->ranked[r];

		appendStringInfoString(&out, r == 0 ? "{\"code\":" : ",{\"code\":");
		escape_json(&out, card->reasons[reason].code);
		appendStringInfo(&out, ",\"difference\":%s}",
						 DatumGetCString(DirectFunctionCall1(numeric_out,
															 micro_numeric(e->reason_sums[reason]))));
	}
	appendStringInfoChar(&out, ']');
	return out.data;
}

/*
 * The row type of a call site's result, looked up once: it takes longer than
 * the evaluation.
 */
static void
remember_result(FunctionCallInfo fcinfo, PgcreditSite *site)
{
	MemoryContext caller;
	TupleDesc	desc;

	if (site->result != NULL)
		return;
	caller = MemoryContextSwitchTo(site->context);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	site->result = BlessTupleDesc(desc);
	MemoryContextSwitchTo(caller);
}

/*
 * credit._evaluate(model text, "row" record): everything that a stored rating
 * keeps.  Grades are NULL if the model has none.
 */
Datum
pgcredit_evaluate(PG_FUNCTION_ARGS)
{
	PgcreditSite *site = pgcredit_site_row(fcinfo, 0, 1, true);
	const PgcreditCard *card = site->row.card;
	Explanation *e = explain_row(&site->row);
	PgcreditGraded graded = grade_row(&site->row, e->sum);
	Datum		values[8];
	bool		nulls[8] = {false};

	remember_result(fcinfo, site);
	values[0] = Int64GetDatum(card->model_id);
	values[1] = CStringGetTextDatum(card->status == 'p' ? "published" :
									card->status == 'd' ? "draft" :
									card->status == 's' ? "submitted" : "retired");
	values[2] = Float8GetDatum(pgcredit_score_real(e->sum));
	set_text(values, nulls, 3, graded.grade);
	values[4] = CStringGetTextDatum(inputs_json(&site->row));
	values[5] = CStringGetTextDatum(reasons_json(card, e));
	set_text(values, nulls, 6, graded.own);
	set_text(values, nulls, 7, graded.rule == NULL ? NULL : rule_name(graded.rule));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(site->result, values, nulls)));
}

/*
 * A stored input back as a value of its type.
 */
static Datum
input_value(PgcreditColumnKind kind, char *text)
{
	switch (kind)
	{
		case PGCREDIT_COLUMN_INT2:
			return DirectFunctionCall1(int2in, CStringGetDatum(text));
		case PGCREDIT_COLUMN_INT4:
			return DirectFunctionCall1(int4in, CStringGetDatum(text));
		case PGCREDIT_COLUMN_INT8:
			return DirectFunctionCall1(int8in, CStringGetDatum(text));
		case PGCREDIT_COLUMN_FLOAT4:
			return DirectFunctionCall1(float4in, CStringGetDatum(text));
		case PGCREDIT_COLUMN_FLOAT8:
			return DirectFunctionCall1(float8in, CStringGetDatum(text));
		case PGCREDIT_COLUMN_NUMERIC:
			return DirectFunctionCall3(numeric_in, CStringGetDatum(text),
									   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
		case PGCREDIT_COLUMN_BOOL:
			return DirectFunctionCall1(boolin, CStringGetDatum(text));
		case PGCREDIT_COLUMN_DATE:
			return DirectFunctionCall1(date_in, CStringGetDatum(text));
		case PGCREDIT_COLUMN_TEXT:
		case PGCREDIT_COLUMN_BPCHAR:
			return CStringGetTextDatum(text);
	}
	elog(ERROR, "unexpected column kind %d", (int) kind);
	return (Datum) 0;			/* keep compiler quiet */
}

/*
 * One member of the stored inputs into a column.
 */
static void
read_input(JsonbContainer *object, const char *name, PgcreditColumn *column,
		   Datum *value, bool *isnull)
{
	static const Oid types[] = {
		INT2OID, INT4OID, INT8OID, FLOAT4OID, FLOAT8OID, NUMERICOID, BOOLOID, DATEOID, TEXTOID, BPCHAROID
	};
	JsonbValue	buffer;
	JsonbValue *text;
	char	   *type = pgcredit_json_text(object, "type", name, true);
	int			kind = 0;

	while (kind < (int) lengthof(types) &&
		   strcmp(type, pgcredit_column_kind_name((PgcreditColumnKind) kind)) != 0)
		kind++;
	if (kind == (int) lengthof(types))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("input \"%s\" has an unknown type \"%s\"", name, type)));
	column->name = name;
	column->type = types[kind];
	text = pgcredit_json_key(object, "value", name, &buffer);
	*isnull = text == NULL;
	*value = (Datum) 0;
	if (text == NULL)
		return;
	if (text->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of input \"%s\" is not a string", name)));
	*value = input_value((PgcreditColumnKind) kind,
						 pnstrdup(text->val.string.val, text->val.string.len));
}

/*
 * The inputs that a rating kept as a row bound to the card.  Everything is
 * allocated in the current memory context.
 */
static PgcreditRow
inputs_row(const PgcreditCard *card, Jsonb *inputs, bool grading)
{
	int			n;
	int			i = 0;
	PgcreditColumn *columns;
	Datum	   *values;
	bool	   *isnull;
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;
	PgcreditRow row;

	if (!JB_ROOT_IS_OBJECT(inputs))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("inputs are not a JSON object")));
	n = (int) JsonContainerSize(&inputs->root);
	columns = palloc0(sizeof(PgcreditColumn) * Max(n, 1));
	values = palloc0(sizeof(Datum) * Max(n, 1));
	isnull = palloc0(sizeof(bool) * Max(n, 1));
	it = JsonbIteratorInit(&inputs->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			columns[i].name = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE)
		{
			if (v.type != jbvBinary)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("input \"%s\" is not a JSON object", columns[i].name)));
			read_input(v.val.binary.data, columns[i].name, &columns[i], &values[i], &isnull[i]);
			i++;
		}
	}
	row.card = card;
	row.bound = pgcredit_card_bind(row.card, columns, n, grading);
	row.values = values;
	row.isnull = isnull;
	return row;
}

/*
 * Score and grades as a row of score, score_grade, grade and rule.
 */
static Datum
graded_result(FunctionCallInfo fcinfo, PgcreditSite *site, const PgcreditRow *row)
{
	int64		sum = pgcredit_row_score(row);
	PgcreditGraded graded = grade_row(row, sum);
	Datum		values[4];
	bool		nulls[4] = {false};

	remember_result(fcinfo, site);
	values[0] = Float8GetDatum(pgcredit_score_real(sum));
	set_text(values, nulls, 1, graded.own);
	set_text(values, nulls, 2, graded.grade);
	set_text(values, nulls, 3, graded.rule == NULL ? NULL : rule_name(graded.rule));
	return HeapTupleGetDatum(heap_form_tuple(site->result, values, nulls));
}

/*
 * credit.grade_row(model text, "row" record): score and grade a row.
 */
Datum
pgcredit_grade_row(PG_FUNCTION_ARGS)
{
	PgcreditSite *site = pgcredit_site_row(fcinfo, 0, 1, true);

	PG_RETURN_DATUM(graded_result(fcinfo, site, &site->row));
}

/*
 * credit._grade_inputs(model text, inputs jsonb): score and grade the inputs
 * that a rating kept.
 */
Datum
pgcredit_grade_inputs(PG_FUNCTION_ARGS)
{
	PgcreditSite *site = pgcredit_site(fcinfo, 0);
	PgcreditRow row = inputs_row(site->row.card, PG_GETARG_JSONB_P(1), true);

	PG_RETURN_DATUM(graded_result(fcinfo, site, &row));
}

/*
 * credit._explain_inputs(model text, inputs jsonb): explain the inputs that a
 * rating kept, as credit.explain does a row.
 */
Datum
pgcredit_explain_inputs(PG_FUNCTION_ARGS)
{
	PgcreditSite *site = pgcredit_site(fcinfo, 0);
	PgcreditRow row = inputs_row(site->row.card, PG_GETARG_JSONB_P(1), true);

	InitMaterializedSRF(fcinfo, 0);
	put_explanation((ReturnSetInfo *) fcinfo->resultinfo, &row);
	return (Datum) 0;
}
