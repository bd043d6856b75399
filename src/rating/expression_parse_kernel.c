/*
 * expression_parse_kernel.c
 *		From the text of an expression to a tree, in plain C.
 *
 *	or:    and { "or" and }			and:   not { "and" not }
 *	not:   "not" not | compared		compared: sum [ = <> < <= > >= sum ]
 *	sum:   product { + - product }	product: signed { * / signed }
 *	signed: "-" signed | primary
 *	primary: number | 'text' | true | false | column | function(...) | ( or )
 *
 * Words are taken in either case, columns as they are written.
 */
#include "rating/expression_kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct ExprReader
{
	const char *text;
	const char *at;
	PgcreditExprTree *tree;
	PgcreditExprError *error;
	int			depth;
} ExprReader;

/* One line per operator, in the order of PgcreditExprOp. */
static const struct
{
	const char *name;
	const char *pmml;
	int			precedence;		/* 0: a function or an operand */
	int			least;			/* arguments */
	int			most;
}			operators[] = {
	{NULL, NULL, 0, 0, 0}, {NULL, NULL, 0, 0, 0}, {NULL, NULL, 0, 0, 0}, {NULL, NULL, 0, 0, 0},
	{"or", "or", 1, 2, 2}, {"and", "and", 2, 2, 2}, {"not", "not", 3, 1, 1},
	{"=", "equal", 4, 2, 2}, {"<>", "notEqual", 4, 2, 2}, {"<", "lessThan", 4, 2, 2},
	{"<=", "lessOrEqual", 4, 2, 2}, {">", "greaterThan", 4, 2, 2}, {">=", "greaterOrEqual", 4, 2, 2},
	{"+", "+", 5, 2, 2}, {"-", "-", 5, 2, 2}, {"*", "*", 6, 2, 2}, {"/", "/", 6, 2, 2},
	{"if", "if", 0, 3, 3}, {"is_missing", "isMissing", 0, 1, 1},
	{"min", "min", 0, 1, 32}, {"max", "max", 0, 1, 32}, {"abs", "abs", 0, 1, 1},
	{"exp", "exp", 0, 1, 1}, {"ln", "ln", 0, 1, 1}, {"log10", "log10", 0, 1, 1},
	{"sqrt", "sqrt", 0, 1, 1}, {"pow", "pow", 0, 2, 2}, {"floor", "floor", 0, 1, 1},
	{"ceil", "ceil", 0, 1, 1}, {"round", "round", 0, 1, 1}, {"rint", "rint", 0, 1, 1},
};

#define NOPERATORS ((int) (sizeof(operators) / sizeof(operators[0])))

static const char *const hint_functions =
"Functions are if, is_missing, min, max, abs, exp, ln, log10, sqrt, pow, floor, ceil, round and rint.";

static int	read_or(ExprReader *r);

const char *
pgcredit_expr_name(PgcreditExprOp op)
{
	return operators[op].name;
}

const char *
pgcredit_expr_pmml_name(PgcreditExprOp op)
{
	return operators[op].pmml;
}

/* How tight an operator binds; operands and functions bind tightest. */
int
pgcredit_expr_precedence(PgcreditExprOp op)
{
	return operators[op].precedence == 0 ? 7 : operators[op].precedence;
}

static int
fail(ExprReader *r, const char *hint, const char *message)
{
	pgcredit_expr_fail(r->error, (int) (r->at - r->text), hint, "%s", message);
	return -1;
}

static bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char) c >= 0x80;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
same_word(const char *bytes, int len, const char *word)
{
	for (int i = 0; i < len; i++)
	{
		char		c = bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char) (bytes[i] + 32) : bytes[i];

		if (word[i] == '\0' || c != word[i])
			return false;
	}
	return word[len] == '\0';
}

static bool
is_reserved(const char *bytes, int len)
{
	return same_word(bytes, len, "or") || same_word(bytes, len, "and") || same_word(bytes, len, "not") ||
		same_word(bytes, len, "true") || same_word(bytes, len, "false");
}

/*
 * May the name of a column stand without quotes?
 */
bool
pgcredit_expr_bare_name(const char *name, int len)
{
	if (len == 0 || !is_name_start(name[0]) || is_reserved(name, len))
		return false;
	for (int i = 1; i < len; i++)
	{
		if (!is_name_start(name[i]) && !is_digit(name[i]))
			return false;
	}
	return true;
}

static void
skip_space(ExprReader *r)
{
	while (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')
		r->at++;
}

/* Length of the word that comes next, 0 if there is none. */
static int
word_length(ExprReader *r)
{
	int			len = 0;

	skip_space(r);
	if (is_name_start(r->at[0]))
	{
		while (is_name_start(r->at[len]) || is_digit(r->at[len]))
			len++;
	}
	return len;
}

static bool
take_word(ExprReader *r, const char *word)
{
	int			len = word_length(r);

	if (len == 0 || !same_word(r->at, len, word))
		return false;
	r->at += len;
	return true;
}

static int
new_node(ExprReader *r, PgcreditExprOp op, const char *where)
{
	PgcreditExprNode *node;

	if (r->tree->nnodes == PGCREDIT_EXPRESSION_NODES)
		return fail(r, "Make several characteristics of it.", "the expression is too long");
	node = &r->tree->nodes[r->tree->nnodes];
	memset(node, 0, sizeof(*node));
	node->op = op;
	node->pos = (int) (where - r->text);
	node->first = node->next = -1;
	return r->tree->nnodes++;
}

/* An operator over one or two arguments, which may be failures already. */
static int
operator_node(ExprReader *r, PgcreditExprOp op, const char *where, int left, int right)
{
	int			node;

	if (left < 0)
		return -1;
	node = new_node(r, op, where);
	if (node < 0)
		return -1;
	r->tree->nodes[node].first = left;
	r->tree->nodes[node].count = right < 0 ? 1 : 2;
	r->tree->nodes[left].next = right;
	return node;
}

/*
 * What stands between quotes, a doubled one meaning one, into the pool.
 */
static int
read_quoted(ExprReader *r, PgcreditExprOp op)
{
	const char *start = r->at;
	char		quote = *r->at++;
	int			node = new_node(r, op, start);
	char	   *out = r->tree->pool + r->tree->npool;
	int			len = 0;

	if (node < 0)
		return -1;
	for (;; r->at++)
	{
		if (*r->at == '\0')
		{
			r->at = start;
			return fail(r, NULL, "a quote is not closed");
		}
		if (*r->at == quote && *++r->at != quote)
			break;
		/* decoded text is never longer than its source, so it has room */
		out[len++] = *r->at;
	}
	if (op == PGCREDIT_EXPR_FIELD && len == 0)
	{
		r->at = start;
		return fail(r, NULL, "a column has no name");
	}
	r->tree->npool += len;
	r->tree->nodes[node].bytes = out;
	r->tree->nodes[node].len = len;
	return node;
}

/*
 * A number as it is written, from start, where its sign may stand.
 */
static int
read_number(ExprReader *r, const char *start)
{
	int			node = new_node(r, PGCREDIT_EXPR_CONSTANT, start);
	const char *digits = r->at;
	PgcreditExprNode *n;
	char		copy[64];

	if (node < 0)
		return -1;
	while (is_digit(*r->at))
		r->at++;
	if (*r->at == '.')
	{
		for (r->at++; is_digit(*r->at);)
			r->at++;
	}
	if (*r->at == 'e' || *r->at == 'E')
	{
		r->at++;
		if (*r->at == '+' || *r->at == '-')
			r->at++;
		if (!is_digit(*r->at))
			return fail(r, NULL, "an exponent has no digits");
		while (is_digit(*r->at))
			r->at++;
	}
	if (is_name_start(*r->at) || *r->at == '.')
		return fail(r, NULL, "a number is followed by something else");
	n = &r->tree->nodes[node];
	n->bytes = r->tree->pool + r->tree->npool;
	n->len = (int) (r->at - digits) + (digits > start);
	if (n->len >= (int) sizeof(copy))
		return fail(r, NULL, "a number has too many digits");
	memcpy(copy, "-", 1);
	memcpy(copy + (digits > start), digits, (size_t) (r->at - digits));
	copy[n->len] = '\0';
	memcpy(r->tree->pool + r->tree->npool, copy, (size_t) n->len);
	r->tree->npool += n->len;
	n->number = strtod(copy, NULL);
	if (!isfinite(n->number))
		return fail(r, NULL, "a number is too large");
	return node;
}

static int
read_arguments(ExprReader *r, PgcreditExprOp op, const char *start)
{
	int			node = new_node(r, op, start);
	int			last = -1;
	int			count = 0;

	for (;;)
	{
		int			argument = node < 0 ? -1 : read_or(r);

		if (argument < 0)
			return -1;
		if (last < 0)
			r->tree->nodes[node].first = argument;
		else
			r->tree->nodes[last].next = argument;
		last = argument;
		count++;
		skip_space(r);
		if (*r->at != ',')
			break;
		r->at++;
	}
	if (*r->at != ')')
		return fail(r, NULL, "\")\" or \",\" is missing");
	r->at++;
	if (count < operators[op].least || count > operators[op].most)
	{
		pgcredit_expr_fail(r->error, (int) (start - r->text), NULL, "%s takes %d%s argument%s, not %d", operators[op].name,
						   operators[op].least, operators[op].most > operators[op].least ? " or more" : "",
						   operators[op].most > 1 ? "s" : "", count);
		return -1;
	}
	r->tree->nodes[node].count = count;
	return node;
}

/*
 * A word: true or false, a function, or the bare name of a column.
 */
static int
read_word(ExprReader *r)
{
	const char *start = r->at;
	int			len = word_length(r);
	bool		truth = same_word(start, len, "true");
	int			node;

	r->at += len;
	skip_space(r);
	if (*r->at == '(')
	{
		for (int op = PGCREDIT_EXPR_IF; op < NOPERATORS; op++)
		{
			if (same_word(start, len, operators[op].name))
			{
				r->at++;
				return read_arguments(r, (PgcreditExprOp) op, start);
			}
		}
		pgcredit_expr_fail(r->error, (int) (start - r->text), hint_functions, "there is no function \"%.*s\"", len, start);
		return -1;
	}
	if (truth || same_word(start, len, "false"))
	{
		node = new_node(r, PGCREDIT_EXPR_TRUTH, start);
		if (node >= 0)
			r->tree->nodes[node].number = truth;
		return node;
	}
	if (is_reserved(start, len))
	{
		r->at = start;
		return fail(r, "A column of this name is written in double quotes.", "an operand is missing");
	}
	node = new_node(r, PGCREDIT_EXPR_FIELD, start);
	if (node < 0)
		return -1;
	r->tree->nodes[node].bytes = r->tree->pool + r->tree->npool;
	r->tree->nodes[node].len = len;
	memcpy(r->tree->pool + r->tree->npool, start, (size_t) len);
	r->tree->npool += len;
	return node;
}

static int
read_primary(ExprReader *r)
{
	int			node;

	skip_space(r);
	if (is_digit(*r->at) || (*r->at == '.' && is_digit(r->at[1])))
		return read_number(r, r->at);
	if (*r->at == '\'')
		return read_quoted(r, PGCREDIT_EXPR_STRING);
	if (*r->at == '"')
		return read_quoted(r, PGCREDIT_EXPR_FIELD);
	if (is_name_start(*r->at))
		return read_word(r);
	if (*r->at != '(')
		return fail(r, NULL, *r->at == '\0' ? "the expression ends too early" : "an operand is missing");
	r->at++;
	node = read_or(r);
	if (node < 0)
		return -1;
	skip_space(r);
	if (*r->at != ')')
		return fail(r, NULL, "\")\" is missing");
	r->at++;
	return node;
}

/*
 * A sign before a number is part of it; before anything else it is "0 - ".
 */
static int
read_signed(ExprReader *r)
{
	const char *start;
	int			zero;
	int			node;

	skip_space(r);
	if (*r->at != '-')
		return read_primary(r);
	start = r->at++;
	skip_space(r);
	if (is_digit(*r->at) || (*r->at == '.' && is_digit(r->at[1])))
		return read_number(r, start);
	if (++r->depth > PGCREDIT_EXPRESSION_DEPTH)
		return fail(r, NULL, "the expression is nested too deep");
	zero = new_node(r, PGCREDIT_EXPR_CONSTANT, start);
	if (zero < 0)
		return -1;
	r->tree->nodes[zero].bytes = "0";
	r->tree->nodes[zero].len = 1;
	node = read_signed(r);
	r->depth--;
	return node < 0 ? -1 : operator_node(r, PGCREDIT_EXPR_SUB, start, zero, node);
}

/* Operators of one character, left to right. */
static int
read_chain(ExprReader *r, const char *signs, PgcreditExprOp first, int (*operand) (ExprReader *))
{
	int			left = operand(r);

	for (;;)
	{
		const char *start;
		const char *sign;
		int			right;

		skip_space(r);
		start = r->at;
		sign = *start == '\0' ? NULL : strchr(signs, *start);
		if (left < 0 || sign == NULL)
			return left;
		r->at++;
		right = operand(r);
		if (right < 0)
			return -1;
		left = operator_node(r, (PgcreditExprOp) (first + (sign - signs)), start, left, right);
	}
}

static int
read_product(ExprReader *r)
{
	return read_chain(r, "*/", PGCREDIT_EXPR_MUL, read_signed);
}

static int
read_sum(ExprReader *r)
{
	return read_chain(r, "+-", PGCREDIT_EXPR_ADD, read_product);
}

static int
read_compared(ExprReader *r)
{
	/* longer ones first */
	static const PgcreditExprOp comparisons[] = {
		PGCREDIT_EXPR_LE, PGCREDIT_EXPR_GE, PGCREDIT_EXPR_NE, PGCREDIT_EXPR_EQ, PGCREDIT_EXPR_LT, PGCREDIT_EXPR_GT
	};
	int			left = read_sum(r);
	const char *start = r->at;

	for (int i = 0; left >= 0 && i < 6; i++)
	{
		const char *name = operators[comparisons[i]].name;
		int			right;

		if (strncmp(start, name, strlen(name)) != 0)
			continue;
		r->at += strlen(name);
		right = read_sum(r);
		if (right < 0)
			return -1;
		skip_space(r);
		if (*r->at == '<' || *r->at == '>' || *r->at == '=')
			return fail(r, "Join two comparisons by \"and\".", "a comparison is followed by another one");
		return operator_node(r, comparisons[i], start, left, right);
	}
	return left;
}

static int
read_not(ExprReader *r)
{
	const char *start;
	int			node;

	skip_space(r);
	start = r->at;
	if (!take_word(r, "not"))
		return read_compared(r);
	if (++r->depth > PGCREDIT_EXPRESSION_DEPTH)
		return fail(r, NULL, "the expression is nested too deep");
	node = operator_node(r, PGCREDIT_EXPR_NOT, start, read_not(r), -1);
	r->depth--;
	return node;
}

static int
read_and(ExprReader *r)
{
	int			left = read_not(r);

	while (left >= 0)
	{
		const char *start;
		int			right;

		skip_space(r);
		start = r->at;
		if (!take_word(r, "and"))
			break;
		right = read_not(r);
		left = right < 0 ? -1 : operator_node(r, PGCREDIT_EXPR_AND, start, left, right);
	}
	return left;
}

static int
read_or(ExprReader *r)
{
	int			left;

	if (++r->depth > PGCREDIT_EXPRESSION_DEPTH)
		return fail(r, NULL, "the expression is nested too deep");
	left = read_and(r);
	while (left >= 0)
	{
		const char *start;
		int			right;

		skip_space(r);
		start = r->at;
		if (!take_word(r, "or"))
			break;
		right = read_and(r);
		left = right < 0 ? -1 : operator_node(r, PGCREDIT_EXPR_OR, start, left, right);
	}
	r->depth--;
	return left;
}

/* Levels of operators below and with a node. */
static int
height(const PgcreditExprTree *tree, int node)
{
	int			most = 0;

	for (int a = tree->nodes[node].first; a >= 0; a = tree->nodes[a].next)
	{
		int			h = height(tree, a);

		most = h > most ? h : most;
	}
	return most + 1;
}

/*
 * Parse a text that ends with a zero byte; false with error filled in if it is
 * no expression.  Names are not looked up and types not looked at.
 */
bool
pgcredit_expr_parse(const char *text, PgcreditExprTree *tree, PgcreditExprError *error)
{
	ExprReader	r = {0};

	memset(error, 0, sizeof(*error));
	tree->nnodes = tree->npool = 0;
	r.text = r.at = text;
	r.tree = tree;
	r.error = error;
	if (strlen(text) > PGCREDIT_EXPRESSION_TEXT)
		return pgcredit_expr_fail(error, 0, NULL, "the expression has more than %d bytes", PGCREDIT_EXPRESSION_TEXT);
	tree->root = read_or(&r);
	if (tree->root < 0)
		return false;
	skip_space(&r);
	if (*r.at != '\0')
		return pgcredit_expr_fail(error, (int) (r.at - text), NULL, "an operator is missing");
	if (height(tree, tree->root) > PGCREDIT_EXPRESSION_DEPTH)
		return pgcredit_expr_fail(error, 0, "Put parts of long sums and products into parentheses.",
								  "the expression is nested too deep");
	return true;
}
