/*
 * expression.c
 *		Expressions of a model: read from its definition, compiled, run over a
 *		row; their one way of being written.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "rating/card.h"

PG_FUNCTION_INFO_V1(pgcredit_expression_text);
PG_FUNCTION_INFO_V1(pgcredit_expression_tree);

/*
 * Raise PC402 for a mistake in an expression, with the character where it is.
 */
static void
refuse(const char *text, const char *where, const PgcreditExprError *error)
{
	pgcredit_invalid(errmsg("the expression of %s is not valid: %s", where, error->message),
					 errdetail("At character %d of \"%s\".", pg_mbstrlen_with_len(text, error->pos) + 1, text),
					 error->hint != NULL ? errhint("%s", error->hint) : 0);
}

/*
 * The expression that a key has, as text; compiled later, when the columns are
 * known.
 */
PgcreditExpression *
pgcredit_expression_read(JsonbContainer *object, const char *key, const char *where)
{
	PgcreditExpression *expression = palloc0(sizeof(PgcreditExpression));

	expression->text = pgcredit_json_text(object, key, where, true);
	return expression;
}

/*
 * Check and compile, and note that the columns are read.  Raises PC402.
 */
void
pgcredit_expression_compile(PgcreditCard *card, PgcreditExpression *expression,
							PgcreditExprType wanted, int reader, const char *where)
{
	PgcreditExprTree *tree = palloc(sizeof(PgcreditExprTree));
	PgcreditExprProgram *program = &expression->program;
	PgcreditExprError error;

	if (!pgcredit_expr_parse(expression->text, tree, &error) ||
		!pgcredit_expr_check(tree, card->fields, card->nfields, wanted, &error))
		refuse(expression->text, where, &error);
	program->steps = palloc0(sizeof(PgcreditExprStep) * tree->nnodes);
	program->rounding = card->rounding;
	if (!pgcredit_expr_compile(tree, program, &error))
		refuse(expression->text, where, &error);
	if (program->ninputs == 0)
		pgcredit_invalid(errmsg("the expression of %s reads no column", where));
	for (int i = 0; i < program->ninputs; i++)
	{
		int			f = program->inputs[i];

		if (card->ambiguous[f])
			pgcredit_invalid(errmsg("the expression of %s reads column \"%s\", which characteristics read with two data types",
									where, card->fields[f].name));
		card->readers[f] |= reader;
	}
	for (int s = 0; s < program->nsteps; s++)
	{
		PgcreditExprValue *value = &program->steps[s].value;

		if (value->bytes != NULL)
			value->bytes = pnstrdup(value->bytes, value->len);
	}
	pfree(tree);
}

/*
 * A column's value as expressions take it.
 */
static PgcreditExprValue
input_value(PgcreditColumnKind kind, Datum datum)
{
	PgcreditExprValue value = {.state = PGCREDIT_EXPR_KNOWN};
	text	   *string;

	switch (kind)
	{
		case PGCREDIT_COLUMN_INT2:
			value.number = DatumGetInt16(datum);
			break;
		case PGCREDIT_COLUMN_INT4:
			value.number = DatumGetInt32(datum);
			break;
		case PGCREDIT_COLUMN_INT8:
			value.number = (double) DatumGetInt64(datum);
			break;
		case PGCREDIT_COLUMN_FLOAT4:
			value.number = DatumGetFloat4(datum);
			break;
		case PGCREDIT_COLUMN_FLOAT8:
			value.number = DatumGetFloat8(datum);
			break;
		case PGCREDIT_COLUMN_NUMERIC:
			value.number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, datum));
			break;
		case PGCREDIT_COLUMN_BOOL:
			value.number = DatumGetBool(datum);
			break;
		case PGCREDIT_COLUMN_DATE:
			value.number = DatumGetDateADT(datum);
			if (DATE_NOT_FINITE(DatumGetDateADT(datum)))
				value.number = DATE_IS_NOBEGIN(DatumGetDateADT(datum)) ? -HUGE_VAL : HUGE_VAL;
			break;
		case PGCREDIT_COLUMN_TEXT:
		case PGCREDIT_COLUMN_BPCHAR:
			string = DatumGetTextPP(datum);
			value.bytes = VARDATA_ANY(string);
			value.len = VARSIZE_ANY_EXHDR(string);
			if (kind == PGCREDIT_COLUMN_BPCHAR)
				value.len = bpchartruelen(VARDATA_ANY(string), value.len);
			break;
	}
	if (isnan(value.number))
		value.state = PGCREDIT_EXPR_NAN;
	return value;
}

/*
 * Run a program over a row that the card is bound to.
 */
PgcreditExprValue
pgcredit_expression_run(const PgcreditBoundCard *bound, const PgcreditExprProgram *program,
						const PgcreditValues *row)
{
	PgcreditExprValue inputs[PGCREDIT_EXPRESSION_FIELDS];

	for (int i = 0; i < program->ninputs; i++)
	{
		int			f = program->inputs[i];
		int			column = bound->field_columns[f];
		bool		isnull = row->args != NULL ? row->args[column].isnull : row->isnull[column];

		if (isnull)
			inputs[i] = (PgcreditExprValue) {.state = PGCREDIT_EXPR_MISSING};
		else
			inputs[i] = input_value(bound->field_kinds[f],
									row->args != NULL ? row->args[column].value : row->values[column]);
	}
	return pgcredit_expr_run(program, inputs);
}

/*
 * Why an expression has no value, for an error: "column x is missing".
 */
const char *
pgcredit_expression_reason(const PgcreditBoundCard *bound, const PgcreditExprProgram *program,
						   const PgcreditValues *row, PgcreditExprState state)
{
	switch (state)
	{
		case PGCREDIT_EXPR_MISSING:
		case PGCREDIT_EXPR_NAN:
			for (int i = 0; i < program->ninputs; i++)
			{
				int			f = program->inputs[i];
				int			column = bound->field_columns[f];
				bool		isnull = row->args != NULL ? row->args[column].isnull : row->isnull[column];
				Datum		datum = row->args != NULL ? row->args[column].value : row->values[column];

				if (state == PGCREDIT_EXPR_MISSING ? isnull :
					!isnull && input_value(bound->field_kinds[f], datum).state == PGCREDIT_EXPR_NAN)
					return psprintf("column \"%s\" is %s", bound->card->fields[f].name,
									state == PGCREDIT_EXPR_MISSING ? "missing" : "NaN");
			}
			return "a value is missing";
		case PGCREDIT_EXPR_DIVISION:
			return "division by zero";
		case PGCREDIT_EXPR_DOMAIN:
			return "a function is not defined there";
		case PGCREDIT_EXPR_OVERFLOW:
		case PGCREDIT_EXPR_KNOWN:
			break;
	}
	return "it is out of range";
}

/*
 * Points in millionths that an attribute's expression gives: its value rounded
 * to 6 decimals, or the attribute's default where there is none.  Raises PC408
 * where there is no default either.
 */
int64
pgcredit_expression_points(const PgcreditBoundCard *bound, const PgcreditCharacteristic *c,
						   int attribute, const PgcreditValues *row)
{
	const PgcreditAttribute *a = &c->attributes[attribute];
	const PgcreditExprProgram *program = &a->expression->program;
	PgcreditExprValue value = pgcredit_expression_run(bound, program, row);
	double		most = (double) PGCREDIT_MAX_POINTS / PGCREDIT_MICRO;

	if (value.state == PGCREDIT_EXPR_KNOWN && fabs(value.number) <= most)
		return (int64) pgcredit_round(value.number * PGCREDIT_MICRO, program->rounding);
	if (!a->has_default)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_NO_VALUE),
				 errmsg("the points of characteristic \"%s\" have no value: %s", c->name,
						pgcredit_expression_reason(bound, program, row, value.state)),
				 errdetail("Model \"%s\" version %d, attribute %d, expression \"%s\".", bound->card->name,
						   bound->card->version, attribute + 1, a->expression->text),
				 errhint("Publish a version whose attribute has a \"default\", or supply the value.")));
	return a->points;
}

static void
write_quoted(StringInfo out, const PgcreditExprNode *node, char quote)
{
	appendStringInfoChar(out, quote);
	for (int i = 0; i < node->len; i++)
	{
		if (node->bytes[i] == quote)
			appendStringInfoChar(out, quote);
		appendStringInfoChar(out, node->bytes[i]);
	}
	appendStringInfoChar(out, quote);
}

/*
 * A node as text, in parentheses only where the tree needs them.
 */
static void
write_text(StringInfo out, const PgcreditExprTree *tree, int which)
{
	const PgcreditExprNode *node = &tree->nodes[which];
	int			precedence = pgcredit_expr_precedence(node->op);
	const char *name = pgcredit_expr_name(node->op);

	check_stack_depth();
	if (node->op == PGCREDIT_EXPR_CONSTANT)
		appendBinaryStringInfo(out, node->bytes, node->len);
	else if (node->op == PGCREDIT_EXPR_STRING)
		write_quoted(out, node, '\'');
	else if (node->op == PGCREDIT_EXPR_TRUTH)
		appendStringInfoString(out, node->number != 0 ? "true" : "false");
	else if (node->op == PGCREDIT_EXPR_FIELD && pgcredit_expr_bare_name(node->bytes, node->len))
		appendBinaryStringInfo(out, node->bytes, node->len);
	else if (node->op == PGCREDIT_EXPR_FIELD)
		write_quoted(out, node, '"');
	else if (node->op >= PGCREDIT_EXPR_IF)
		appendStringInfo(out, "%s(", name);
	else if (node->op == PGCREDIT_EXPR_NOT)
		appendStringInfo(out, "%s ", name);
	for (int a = node->first; a >= 0; a = tree->nodes[a].next)
	{
		/* operators take equals on their left, comparisons on neither side */
		bool		left_of_two = a == node->first && node->op != PGCREDIT_EXPR_NOT;
		int			least = precedence + (precedence == 4 || !left_of_two);
		bool		inside = node->op < PGCREDIT_EXPR_IF &&
			pgcredit_expr_precedence(tree->nodes[a].op) < (node->op == PGCREDIT_EXPR_NOT ? precedence : least);

		if (a != node->first && node->op >= PGCREDIT_EXPR_IF)
			appendStringInfoString(out, ", ");
		else if (a != node->first)
			appendStringInfo(out, " %s ", name);
		if (inside)
			appendStringInfoChar(out, '(');
		write_text(out, tree, a);
		if (inside)
			appendStringInfoChar(out, ')');
	}
	if (node->op >= PGCREDIT_EXPR_IF)
		appendStringInfoChar(out, ')');
}

static void
write_json_text(StringInfo out, const PgcreditExprNode *node)
{
	char	   *text = pnstrdup(node->bytes, node->len);

	escape_json(out, text);
	pfree(text);
}

/*
 * A node as JSON with PMML's names of functions.
 */
static void
write_tree(StringInfo out, const PgcreditExprTree *tree, int which)
{
	const PgcreditExprNode *node = &tree->nodes[which];

	check_stack_depth();
	if (node->op == PGCREDIT_EXPR_FIELD)
	{
		appendStringInfoString(out, "{\"field\": ");
		write_json_text(out, node);
	}
	else if (node->op == PGCREDIT_EXPR_TRUTH)
		appendStringInfo(out, "{\"type\": \"boolean\", \"constant\": \"%s\"", node->number != 0 ? "true" : "false");
	else if (node->op == PGCREDIT_EXPR_CONSTANT || node->op == PGCREDIT_EXPR_STRING)
	{
		appendStringInfo(out, "{\"type\": \"%s\", \"constant\": ", node->op == PGCREDIT_EXPR_STRING ? "string" : "double");
		write_json_text(out, node);
	}
	else
	{
		appendStringInfo(out, "{\"apply\": \"%s\", \"arguments\": [", pgcredit_expr_pmml_name(node->op));
		for (int a = node->first; a >= 0; a = tree->nodes[a].next)
		{
			appendStringInfoString(out, a == node->first ? "" : ", ");
			write_tree(out, tree, a);
		}
		appendStringInfoChar(out, ']');
	}
	appendStringInfoChar(out, '}');
}

static PgcreditExprTree *
parse_argument(FunctionCallInfo fcinfo)
{
	char	   *source = text_to_cstring(PG_GETARG_TEXT_PP(0));
	PgcreditExprTree *tree = palloc(sizeof(PgcreditExprTree));
	PgcreditExprError error;

	if (!pgcredit_expr_parse(source, tree, &error))
		refuse(source, "the model", &error);
	return tree;
}

/*
 * credit._expression_text(expression text) returns text: the one way in which
 * it is stored, so that what means the same by form has one digest.
 */
Datum
pgcredit_expression_text(PG_FUNCTION_ARGS)
{
	PgcreditExprTree *tree = parse_argument(fcinfo);
	StringInfoData out;

	initStringInfo(&out);
	write_text(&out, tree, tree->root);
	if (out.len > PGCREDIT_EXPRESSION_TEXT)
		pgcredit_invalid(errmsg("an expression has more than %d bytes", PGCREDIT_EXPRESSION_TEXT));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/*
 * credit._expression_tree(expression text) returns jsonb: nested objects of
 * field, constant with type, or apply with arguments.
 */
Datum
pgcredit_expression_tree(PG_FUNCTION_ARGS)
{
	PgcreditExprTree *tree = parse_argument(fcinfo);
	StringInfoData out;

	initStringInfo(&out);
	write_tree(&out, tree, tree->root);
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(out.data)));
}
