/*
 * expression_kernel.h
 *		Small expressions over the columns of a row, in plain C, without
 *		PostgreSQL: points that are computed, and conditions on a grade.
 *
 * A text is parsed into a tree, the tree is checked against the columns' types
 * and compiled into a postfix program, which runs on a small stack.  No step
 * jumps: a value that cannot be had (missing input, division by zero) is a
 * state of the value, and "if", "and" and "or" pass it on only if they need it.
 */
#ifndef PGCREDIT_EXPRESSION_KERNEL_H
#define PGCREDIT_EXPRESSION_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#define PGCREDIT_EXPRESSION_TEXT 4000	/* bytes */
#define PGCREDIT_EXPRESSION_NODES 256
#define PGCREDIT_EXPRESSION_DEPTH 40	/* of parentheses and operators */
#define PGCREDIT_EXPRESSION_STACK 64
#define PGCREDIT_EXPRESSION_FIELDS 64

#ifdef __GNUC__
#define PGCREDIT_LIKE_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define PGCREDIT_LIKE_PRINTF(text, first)
#endif

/* In the order of PgcreditDataType. */
typedef enum PgcreditExprType
{
	PGCREDIT_EXPR_NUMBER,
	PGCREDIT_EXPR_TEXT_TYPE,
	PGCREDIT_EXPR_BOOLEAN,
	PGCREDIT_EXPR_DATE
} PgcreditExprType;

typedef enum PgcreditExprOp
{
	PGCREDIT_EXPR_CONSTANT,
	PGCREDIT_EXPR_STRING,
	PGCREDIT_EXPR_TRUTH,		/* true or false */
	PGCREDIT_EXPR_FIELD,
	PGCREDIT_EXPR_OR,
	PGCREDIT_EXPR_AND,
	PGCREDIT_EXPR_NOT,
	PGCREDIT_EXPR_EQ,
	PGCREDIT_EXPR_NE,
	PGCREDIT_EXPR_LT,
	PGCREDIT_EXPR_LE,
	PGCREDIT_EXPR_GT,
	PGCREDIT_EXPR_GE,
	PGCREDIT_EXPR_ADD,
	PGCREDIT_EXPR_SUB,
	PGCREDIT_EXPR_MUL,
	PGCREDIT_EXPR_DIV,
	PGCREDIT_EXPR_IF,
	PGCREDIT_EXPR_IS_MISSING,
	PGCREDIT_EXPR_MIN,
	PGCREDIT_EXPR_MAX,
	PGCREDIT_EXPR_ABS,
	PGCREDIT_EXPR_EXP,
	PGCREDIT_EXPR_LN,
	PGCREDIT_EXPR_LOG10,
	PGCREDIT_EXPR_SQRT,
	PGCREDIT_EXPR_POW,
	PGCREDIT_EXPR_FLOOR,
	PGCREDIT_EXPR_CEIL,
	PGCREDIT_EXPR_ROUND,		/* by the model's rounding */
	PGCREDIT_EXPR_RINT			/* half to even, whatever the model says */
} PgcreditExprOp;

/* Whether there is a value, and why not. */
typedef enum PgcreditExprState
{
	PGCREDIT_EXPR_KNOWN,
	PGCREDIT_EXPR_MISSING,		/* an input is missing */
	PGCREDIT_EXPR_NAN,			/* an input is NaN */
	PGCREDIT_EXPR_DIVISION,		/* division by zero */
	PGCREDIT_EXPR_DOMAIN,		/* such as ln(0) */
	PGCREDIT_EXPR_OVERFLOW
} PgcreditExprState;

/* What is done with a tie; models name it. */
typedef enum PgcreditRounding
{
	PGCREDIT_HALF_AWAY,
	PGCREDIT_HALF_EVEN,
	PGCREDIT_HALF_UP
} PgcreditRounding;

typedef struct PgcreditExprNode
{
	PgcreditExprOp op;
	PgcreditExprType type;		/* after the check */
	int			pos;			/* byte of the text */
	int			first;			/* argument, or -1 */
	int			next;			/* argument of the same operator, or -1 */
	int			count;			/* of arguments */
	int			field;			/* index into the fields, after the check */
	double		number;			/* constant, truth, or day of a date */
	const char *bytes;			/* constant as written; string or name decoded */
	int			len;
} PgcreditExprNode;

typedef struct PgcreditExprTree
{
	int			nnodes;
	int			root;
	PgcreditExprNode nodes[PGCREDIT_EXPRESSION_NODES];
	int			npool;
	char		pool[PGCREDIT_EXPRESSION_TEXT];	/* decoded strings and names */
} PgcreditExprTree;

typedef struct PgcreditExprError
{
	int			pos;			/* byte of the text */
	char		message[200];
	const char *hint;			/* NULL if there is none */
} PgcreditExprError;

/* A column that may be read. */
typedef struct PgcreditExprField
{
	const char *name;
	PgcreditExprType type;
} PgcreditExprField;

typedef struct PgcreditExprValue
{
	PgcreditExprState state;
	int			len;
	double		number;			/* truths are 0 or 1, dates days */
	const char *bytes;			/* of a text */
} PgcreditExprValue;

typedef struct PgcreditExprStep
{
	PgcreditExprOp op;
	int			count;			/* arguments taken from the stack */
	bool		text;			/* a comparison of texts */
	int			input;			/* place among the program's inputs */
	PgcreditExprValue value;	/* of a constant */
} PgcreditExprStep;

typedef struct PgcreditExprProgram
{
	int			nsteps;
	PgcreditExprStep *steps;
	int			ninputs;
	int			inputs[PGCREDIT_EXPRESSION_FIELDS];	/* index into the fields */
	PgcreditRounding rounding;
} PgcreditExprProgram;

/* expression_parse_kernel.c */
extern bool pgcredit_expr_parse(const char *text, PgcreditExprTree *tree,
								PgcreditExprError *error);
extern const char *pgcredit_expr_name(PgcreditExprOp op);
extern const char *pgcredit_expr_pmml_name(PgcreditExprOp op);
extern int	pgcredit_expr_precedence(PgcreditExprOp op);
extern bool pgcredit_expr_bare_name(const char *name, int len);

/* expression_kernel.c */
extern bool pgcredit_expr_fail(PgcreditExprError *error, int pos, const char *hint,
							   const char *format,...) PGCREDIT_LIKE_PRINTF(4, 5);
extern bool pgcredit_expr_check(PgcreditExprTree *tree, const PgcreditExprField *fields,
								int nfields, PgcreditExprType wanted,
								PgcreditExprError *error);
extern bool pgcredit_expr_compile(const PgcreditExprTree *tree, PgcreditExprProgram *program,
								  PgcreditExprError *error);
extern PgcreditExprValue pgcredit_expr_run(const PgcreditExprProgram *program,
										   const PgcreditExprValue *inputs);
extern double pgcredit_round(double value, PgcreditRounding rounding);

#endif							/* PGCREDIT_EXPRESSION_KERNEL_H */
