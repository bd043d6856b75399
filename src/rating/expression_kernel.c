/*
 * expression_kernel.c
 *		Checking, compiling and running an expression, in plain C.
 */
#include "rating/expression_kernel.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {"number", "text", "boolean", "date"};

/*
 * Put a mistake into error, unless there is an earlier one; always false.
 */
bool
pgcredit_expr_fail(PgcreditExprError *error, int pos, const char *hint, const char *format,...)
{
	va_list		args;

	if (error->message[0] != '\0')
		return false;
	error->pos = pos;
	error->hint = hint;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return false;
}

/*
 * Round to an integer.
 */
double
pgcredit_round(double value, PgcreditRounding rounding)
{
	double		below;

	if (rounding == PGCREDIT_HALF_AWAY)
		return round(value);
	if (rounding == PGCREDIT_HALF_EVEN)
		return rint(value);
	/* floor(value + 0.5) would round up the largest number below a half */
	below = floor(value);
	return value - below >= 0.5 ? below + 1 : below;
}

/*
 * Days from 2000-01-01 of a date written YYYY-MM-DD; false if it is none.
 */
static bool
date_days(const char *bytes, int len, double *days)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int			part[3] = {0, 0, 0};
	int			p = 0;
	bool		leap;
	int64_t		y;
	int64_t		day;

	if (len != 10 || bytes[4] != '-' || bytes[7] != '-')
		return false;
	for (int i = 0; i < len; i++)
	{
		if (i == 4 || i == 7)
			p++;
		else if (bytes[i] < '0' || bytes[i] > '9')
			return false;
		else
			part[p] = part[p] * 10 + (bytes[i] - '0');
	}
	leap = (part[0] % 4 == 0 && part[0] % 100 != 0) || part[0] % 400 == 0;
	if (part[0] < 1 || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
		part[2] > month_days[part[1] - 1] + (part[1] == 2 && leap))
		return false;
	/* years begin with March, so that the leap day is their last */
	y = part[0] - (part[1] <= 2);
	day = (153 * (part[1] + (part[1] > 2 ? -3 : 9)) + 2) / 5 + part[2] - 1;
	*days = (double) (y * 365 + y / 4 - y / 100 + y / 400 + day - 730425);
	return true;
}

static bool
wrong_type(const PgcreditExprNode *node, PgcreditExprType wanted, PgcreditExprError *error)
{
	return pgcredit_expr_fail(error, node->pos, NULL, "a %s stands where a %s is needed",
							  type_names[node->type], type_names[wanted]);
}

/* A text constant beside a date is a date. */
static bool
as_date(PgcreditExprNode *node, const PgcreditExprNode *other, PgcreditExprError *error)
{
	if (other->type != PGCREDIT_EXPR_DATE || node->op != PGCREDIT_EXPR_STRING)
		return true;
	if (!date_days(node->bytes, node->len, &node->number))
		return pgcredit_expr_fail(error, node->pos, "Write dates as YYYY-MM-DD.", "'%.*s' is not a date", node->len, node->bytes);
	node->type = PGCREDIT_EXPR_DATE;
	return true;
}

static bool
check_field(PgcreditExprNode *node, const PgcreditExprField *fields, int nfields,
			PgcreditExprError *error)
{
	for (int f = 0; f < nfields; f++)
	{
		if (strlen(fields[f].name) == (size_t) node->len && memcmp(fields[f].name, node->bytes, (size_t) node->len) == 0)
		{
			node->field = f;
			node->type = fields[f].type;
			return true;
		}
	}
	return pgcredit_expr_fail(error, node->pos, "Name columns that no characteristic reads in \"fields\".",
							  "the model reads no column \"%.*s\"", node->len, node->bytes);
}

static bool
check_comparison(PgcreditExprTree *tree, PgcreditExprNode *node, PgcreditExprError *error)
{
	PgcreditExprNode *left = &tree->nodes[node->first];
	PgcreditExprNode *right = &tree->nodes[left->next];

	if (!as_date(left, right, error) || !as_date(right, left, error))
		return false;
	if (left->type != right->type)
		return pgcredit_expr_fail(error, node->pos, NULL, "a %s is compared with a %s",
								  type_names[left->type], type_names[right->type]);
	if (node->op != PGCREDIT_EXPR_EQ && node->op != PGCREDIT_EXPR_NE &&
		(left->type == PGCREDIT_EXPR_TEXT_TYPE || left->type == PGCREDIT_EXPR_BOOLEAN))
		return pgcredit_expr_fail(error, node->pos, "Use = or <>.", "a %s has no order", type_names[left->type]);
	node->type = PGCREDIT_EXPR_BOOLEAN;
	return true;
}

static bool
check_node(PgcreditExprTree *tree, int which, const PgcreditExprField *fields, int nfields,
		   PgcreditExprError *error)
{
	PgcreditExprNode *node = &tree->nodes[which];
	PgcreditExprType wanted = PGCREDIT_EXPR_NUMBER;

	for (int a = node->first; a >= 0; a = tree->nodes[a].next)
	{
		if (!check_node(tree, a, fields, nfields, error))
			return false;
	}
	node->type = PGCREDIT_EXPR_NUMBER;
	switch (node->op)
	{
		case PGCREDIT_EXPR_CONSTANT:
			return true;
		case PGCREDIT_EXPR_STRING:
			node->type = PGCREDIT_EXPR_TEXT_TYPE;
			return true;
		case PGCREDIT_EXPR_TRUTH:
			node->type = PGCREDIT_EXPR_BOOLEAN;
			return true;
		case PGCREDIT_EXPR_FIELD:
			return check_field(node, fields, nfields, error);
		case PGCREDIT_EXPR_EQ:
		case PGCREDIT_EXPR_NE:
		case PGCREDIT_EXPR_LT:
		case PGCREDIT_EXPR_LE:
		case PGCREDIT_EXPR_GT:
		case PGCREDIT_EXPR_GE:
			return check_comparison(tree, node, error);
		case PGCREDIT_EXPR_IS_MISSING:
			node->type = PGCREDIT_EXPR_BOOLEAN;
			return tree->nodes[node->first].op == PGCREDIT_EXPR_FIELD ||
				pgcredit_expr_fail(error, tree->nodes[node->first].pos, NULL, "is_missing takes a column");
		case PGCREDIT_EXPR_IF:
			{
				const PgcreditExprNode *condition = &tree->nodes[node->first];
				const PgcreditExprNode *yes = &tree->nodes[condition->next];
				const PgcreditExprNode *no = &tree->nodes[yes->next];

				if (condition->type != PGCREDIT_EXPR_BOOLEAN)
					return wrong_type(condition, PGCREDIT_EXPR_BOOLEAN, error);
				if (yes->type != PGCREDIT_EXPR_BOOLEAN && yes->type != PGCREDIT_EXPR_NUMBER)
					return wrong_type(yes, PGCREDIT_EXPR_NUMBER, error);
				node->type = yes->type;
				return no->type == yes->type || wrong_type(no, yes->type, error);
			}
		case PGCREDIT_EXPR_OR:
		case PGCREDIT_EXPR_AND:
		case PGCREDIT_EXPR_NOT:
			node->type = wanted = PGCREDIT_EXPR_BOOLEAN;
			break;
		default:
			break;
	}
	for (int a = node->first; a >= 0; a = tree->nodes[a].next)
	{
		if (tree->nodes[a].type != wanted)
			return wrong_type(&tree->nodes[a], wanted, error);
	}
	return true;
}

/*
 * Look up the columns and check that types fit and the whole is of the type
 * wanted.  False with error filled in otherwise.
 */
bool
pgcredit_expr_check(PgcreditExprTree *tree, const PgcreditExprField *fields, int nfields,
					PgcreditExprType wanted, PgcreditExprError *error)
{
	memset(error, 0, sizeof(*error));
	return check_node(tree, tree->root, fields, nfields, error) &&
		(tree->nodes[tree->root].type == wanted || wrong_type(&tree->nodes[tree->root], wanted, error));
}

static int
input_place(PgcreditExprProgram *program, int field)
{
	for (int i = 0; i < program->ninputs; i++)
	{
		if (program->inputs[i] == field)
			return i;
	}
	if (program->ninputs == PGCREDIT_EXPRESSION_FIELDS)
		return -1;
	program->inputs[program->ninputs] = field;
	return program->ninputs++;
}

/* Arguments first, then the operator; depth is what stands below on the stack. */
static bool
compile_node(const PgcreditExprTree *tree, int which, int depth,
			 PgcreditExprProgram *program, PgcreditExprError *error)
{
	const PgcreditExprNode *node = &tree->nodes[which];
	PgcreditExprStep *step;
	int			below = depth;

	for (int a = node->first; a >= 0; a = tree->nodes[a].next)
	{
		if (!compile_node(tree, a, below++, program, error))
			return false;
	}
	if (depth >= PGCREDIT_EXPRESSION_STACK)
		return pgcredit_expr_fail(error, node->pos, NULL, "the expression needs too many values at once");
	step = &program->steps[program->nsteps++];
	memset(step, 0, sizeof(*step));
	step->op = node->op;
	step->count = node->count;
	step->text = node->count > 0 && tree->nodes[node->first].type == PGCREDIT_EXPR_TEXT_TYPE;
	step->value.number = node->number;
	step->value.bytes = node->bytes;
	step->value.len = node->len;
	if (node->op == PGCREDIT_EXPR_FIELD)
	{
		step->input = input_place(program, node->field);
		if (step->input < 0)
			return pgcredit_expr_fail(error, node->pos, NULL, "the expression reads more than %d columns",
									  PGCREDIT_EXPRESSION_FIELDS);
	}
	return true;
}

/*
 * Make a program of a checked tree.  program->steps has room for as many as
 * the tree has nodes; texts of constants stay where the tree has them.
 */
bool
pgcredit_expr_compile(const PgcreditExprTree *tree, PgcreditExprProgram *program,
					  PgcreditExprError *error)
{
	memset(error, 0, sizeof(*error));
	program->nsteps = program->ninputs = 0;
	return compile_node(tree, tree->root, 0, program, error);
}

static bool
compare(PgcreditExprOp op, bool text, const PgcreditExprValue *a, const PgcreditExprValue *b)
{
	if (text)
	{
		bool		same = a->len == b->len && memcmp(a->bytes, b->bytes, (size_t) a->len) == 0;

		return same == (op == PGCREDIT_EXPR_EQ);
	}
	switch (op)
	{
		case PGCREDIT_EXPR_EQ:
			return a->number == b->number;
		case PGCREDIT_EXPR_NE:
			return a->number != b->number;
		case PGCREDIT_EXPR_LT:
			return a->number < b->number;
		case PGCREDIT_EXPR_LE:
			return a->number <= b->number;
		case PGCREDIT_EXPR_GT:
			return a->number > b->number;
		default:
			return a->number >= b->number;
	}
}

/*
 * "and" and "or" of three-valued logic: one false, or one true, decides.
 */
static PgcreditExprValue
join_truths(PgcreditExprOp op, const PgcreditExprValue *a, const PgcreditExprValue *b)
{
	double		decides = op == PGCREDIT_EXPR_OR ? 1 : 0;

	if (a->state == PGCREDIT_EXPR_KNOWN && a->number == decides)
		return *a;
	if (b->state == PGCREDIT_EXPR_KNOWN && b->number == decides)
		return *b;
	return a->state != PGCREDIT_EXPR_KNOWN ? *a : *b;
}

/*
 * Least or most of what is not missing, as PMML has it.
 */
static PgcreditExprValue
extreme(PgcreditExprOp op, const PgcreditExprValue *args, int n)
{
	PgcreditExprValue found = {.state = PGCREDIT_EXPR_MISSING};

	for (int i = 0; i < n; i++)
	{
		if (args[i].state == PGCREDIT_EXPR_MISSING)
			continue;
		if (args[i].state != PGCREDIT_EXPR_KNOWN)
			return args[i];
		if (found.state == PGCREDIT_EXPR_MISSING ||
			(op == PGCREDIT_EXPR_MIN ? args[i].number < found.number : args[i].number > found.number))
			found = args[i];
	}
	return found;
}

/*
 * An operator over known numbers.
 */
static PgcreditExprValue
compute(PgcreditExprOp op, double a, double b, PgcreditRounding rounding)
{
	PgcreditExprValue value = {.state = PGCREDIT_EXPR_KNOWN};

	switch (op)
	{
		case PGCREDIT_EXPR_ADD:
			value.number = a + b;
			break;
		case PGCREDIT_EXPR_SUB:
			value.number = a - b;
			break;
		case PGCREDIT_EXPR_MUL:
			value.number = a * b;
			break;
		case PGCREDIT_EXPR_DIV:
			if (b == 0)
				value.state = PGCREDIT_EXPR_DIVISION;
			else
				value.number = a / b;
			break;
		case PGCREDIT_EXPR_ABS:
			value.number = fabs(a);
			break;
		case PGCREDIT_EXPR_EXP:
			value.number = exp(a);
			break;
		case PGCREDIT_EXPR_LN:
		case PGCREDIT_EXPR_LOG10:
			if (a <= 0)
				value.state = PGCREDIT_EXPR_DOMAIN;
			else
				value.number = op == PGCREDIT_EXPR_LN ? log(a) : log10(a);
			break;
		case PGCREDIT_EXPR_SQRT:
			if (a < 0)
				value.state = PGCREDIT_EXPR_DOMAIN;
			else
				value.number = sqrt(a);
			break;
		case PGCREDIT_EXPR_POW:
			if ((a < 0 && b != floor(b)) || (a == 0 && b < 0))
				value.state = PGCREDIT_EXPR_DOMAIN;
			else
				value.number = pow(a, b);
			break;
		case PGCREDIT_EXPR_FLOOR:
			value.number = floor(a);
			break;
		case PGCREDIT_EXPR_CEIL:
			value.number = ceil(a);
			break;
		case PGCREDIT_EXPR_RINT:
			value.number = rint(a);
			break;
		default:
			value.number = pgcredit_round(a, rounding);
			break;
	}
	if (value.state == PGCREDIT_EXPR_KNOWN && !isfinite(value.number))
		value.state = PGCREDIT_EXPR_OVERFLOW;
	return value;
}

/*
 * An operator that is no operand over its arguments.
 */
static PgcreditExprValue
apply(const PgcreditExprStep *step, const PgcreditExprValue *args, PgcreditRounding rounding)
{
	PgcreditExprValue value = {.state = PGCREDIT_EXPR_KNOWN};

	switch (step->op)
	{
		case PGCREDIT_EXPR_IS_MISSING:
			value.number = args[0].state == PGCREDIT_EXPR_MISSING;
			return value;
		case PGCREDIT_EXPR_AND:
		case PGCREDIT_EXPR_OR:
			return join_truths(step->op, &args[0], &args[1]);
		case PGCREDIT_EXPR_MIN:
		case PGCREDIT_EXPR_MAX:
			return extreme(step->op, args, step->count);
		case PGCREDIT_EXPR_IF:
			if (args[0].state != PGCREDIT_EXPR_KNOWN)
				return args[0];
			return args[0].number != 0 ? args[1] : args[2];
		default:
			break;
	}
	for (int i = 0; i < step->count; i++)
	{
		if (args[i].state != PGCREDIT_EXPR_KNOWN)
			return args[i];
	}
	if (step->op == PGCREDIT_EXPR_NOT)
		value.number = args[0].number == 0;
	else if (step->op >= PGCREDIT_EXPR_EQ && step->op <= PGCREDIT_EXPR_GE)
		value.number = compare(step->op, step->text, &args[0], &args[1]);
	else
		return compute(step->op, args[0].number, step->count > 1 ? args[1].number : 0, rounding);
	return value;
}

/*
 * Run a program over the values of its inputs.
 */
PgcreditExprValue
pgcredit_expr_run(const PgcreditExprProgram *program, const PgcreditExprValue *inputs)
{
	PgcreditExprValue stack[PGCREDIT_EXPRESSION_STACK];
	int			top = 0;

	for (int s = 0; s < program->nsteps; s++)
	{
		const PgcreditExprStep *step = &program->steps[s];

		if (step->op == PGCREDIT_EXPR_FIELD)
			stack[top++] = inputs[step->input];
		else if (step->count == 0)
			stack[top++] = step->value;
		else
		{
			top -= step->count;
			stack[top] = apply(step, &stack[top], program->rounding);
			top++;
		}
	}
	return stack[0];
}
