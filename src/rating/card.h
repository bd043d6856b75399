/*
 * card.h
 *		A scorecard ready for evaluation, and its binding to a row's columns.
 *		Private to the rating room.
 */
#ifndef PGCREDIT_RATING_CARD_H
#define PGCREDIT_RATING_CARD_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "core/core.h"
#include "crypto/crypto.h"
#include "rating/card_kernel.h"
#include "rating/expression_kernel.h"

/*
 * Limits that keep a score below 10^9 with 6 decimals: 15 significant digits,
 * so that score (a double) and its decimal text say exactly the same.
 */
#define PGCREDIT_MAX_POINTS		(INT64_C(1000000) * PGCREDIT_MICRO)
#define PGCREDIT_MAX_CHARACTERISTICS 500
#define PGCREDIT_MAX_ATTRIBUTES 10000
#define PGCREDIT_MAX_NAME		63

typedef enum PgcreditDataType
{
	PGCREDIT_NUMBER,
	PGCREDIT_TEXT,
	PGCREDIT_BOOLEAN,
	PGCREDIT_DATE
} PgcreditDataType;

typedef enum PgcreditAttributeKind
{
	PGCREDIT_INTERVAL,
	PGCREDIT_SET,
	PGCREDIT_MISSING,
	PGCREDIT_OTHER
} PgcreditAttributeKind;

/*
 * A bound or set value of a number, date or boolean characteristic.  For a
 * date, floor is the day number; for a boolean, 0 or 1; number is then NULL.
 */
typedef struct PgcreditBound
{
	Numeric		number;
	double		real;
	int64		floor;			/* largest integer <= the bound */
	bool		exact;			/* the bound is that integer */
} PgcreditBound;

/* A text and its program; the program is made when the whole card is read. */
typedef struct PgcreditExpression
{
	char	   *text;
	PgcreditExprProgram program;
} PgcreditExpression;

typedef struct PgcreditAttribute
{
	PgcreditAttributeKind kind;
	int64		points;			/* millionths; of an expression its default */
	PgcreditExpression *expression; /* NULL where the points are a number */
	bool		has_default;
	int			reason;			/* index into the card's reasons, or -1 */
	char	   *label;			/* such as "[18, 30)" or "{own, free}" */
} PgcreditAttribute;

typedef struct PgcreditCharacteristic
{
	char	   *name;
	char	   *field;
	PgcreditDataType type;
	int64		baseline;		/* millionths; 0 if the card has no reasons */
	int			nattributes;
	PgcreditAttribute *attributes;
	int			missing;		/* attribute for SQL NULL, or NO_ATTRIBUTE */
	int			other;			/* attribute for what no other one covers */
	int			nbounds;
	PgcreditBound *bounds;		/* ascending, distinct */
	int			ncuts;
	int		   *cuts;			/* keys: 2 * bound + (1 = right after it) */
	int		   *segments;		/* attribute of each of ncuts + 1 segments */
	int			places;			/* of the table of set values of a text */
	PgcreditWord *words;
	int			overlaps;		/* attributes that an earlier one hides in part */
	bool		gaps;			/* some value has no attribute */
} PgcreditCharacteristic;

typedef struct PgcreditReason
{
	char	   *code;
	char	   *text_zh;		/* NULL if not given */
	char	   *text_en;
} PgcreditReason;

typedef struct PgcreditBand
{
	char	   *grade;
	double		low;			/* -infinity if open; inclusive */
	double		high;			/* infinity if open; exclusive */
} PgcreditBand;

/* What happens to a condition that cannot be decided. */
typedef enum PgcreditUnknown
{
	PGCREDIT_UNKNOWN_REFUSE,
	PGCREDIT_UNKNOWN_APPLY,
	PGCREDIT_UNKNOWN_SKIP
} PgcreditUnknown;

/* A cap or an override. */
typedef struct PgcreditGradeRule
{
	bool		cap;
	int			ordinal;		/* among those of its kind, from 1 */
	PgcreditExpression when;
	PgcreditUnknown unknown;
	char	   *grade;
	int			band;			/* -1 for a grade outside of the order */
} PgcreditGradeRule;

/* What a row gets: the score's own grade, the one that counts, and why. */
typedef struct PgcreditGraded
{
	const char *own;			/* NULL if the card has no grades */
	const char *grade;
	const PgcreditGradeRule *rule;	/* that decided, NULL if none did */
} PgcreditGraded;

/* What reads a column beside characteristics. */
#define PGCREDIT_READ_BY_POINTS	1
#define PGCREDIT_READ_BY_GRADE	2

typedef struct PgcreditCard
{
	int64		model_id;		/* 0 for a definition that is only checked */
	char	   *name;
	int			version;
	char		status;			/* 'd'raft, 's'ubmitted, 'p'ublished, 'r'etired */
	int64		initial;		/* millionths */
	bool		use_reasons;
	bool		points_above;
	int			ncharacteristics;
	PgcreditCharacteristic *characteristics;
	int			nreasons;
	PgcreditReason *reasons;
	int			nbands;
	PgcreditBand *bands;		/* ascending */
	int			noutside;
	char	  **outside;		/* grades outside of the order */
	int			nrules;
	PgcreditGradeRule *rules;	/* overrides in order, then caps */
	PgcreditRounding rounding;
	bool		expressions;	/* some attribute has one */
	int			nfields;
	PgcreditExprField *fields;	/* columns that expressions may read */
	bool	   *ambiguous;		/* read with two data types */
	int		   *readers;		/* PGCREDIT_READ_BY_... */
	int64		least;			/* lowest and highest score it can give */
	int64		most;
} PgcreditCard;

/* How a column's values are read. */
typedef enum PgcreditColumnKind
{
	PGCREDIT_COLUMN_INT2,
	PGCREDIT_COLUMN_INT4,
	PGCREDIT_COLUMN_INT8,
	PGCREDIT_COLUMN_FLOAT4,
	PGCREDIT_COLUMN_FLOAT8,
	PGCREDIT_COLUMN_NUMERIC,
	PGCREDIT_COLUMN_BOOL,
	PGCREDIT_COLUMN_DATE,
	PGCREDIT_COLUMN_TEXT,
	PGCREDIT_COLUMN_BPCHAR
} PgcreditColumnKind;

/*
 * One characteristic bound to one column: all that scoring a value needs, in
 * one place.
 */
typedef struct PgcreditBinding
{
	PgcreditColumnKind kind;
	int			column;			/* index into the row's values, from 0 */
	int			missing;		/* attribute for SQL NULL */
	int			other;			/* attribute for what no other one covers */
	int			ncuts;
	int			places;			/* of words */
	int			fraction;		/* of a numeric's codes; -1: compare numbers */
	const int64 *codes;			/* cuts as codes of the column's type */
	const int  *segments;		/* attribute of each segment, "other" filled in */
	const PgcreditWord *words;
	const int64 *points;		/* of each attribute */
	const Numeric *numbers;		/* cuts of a numeric column */
	const bool *after;			/* numeric cut lies right after its number */
	const PgcreditCharacteristic *characteristic;
} PgcreditBinding;

typedef struct PgcreditBoundCard
{
	const PgcreditCard *card;
	int			ncolumns;		/* columns up to the last one used */
	int			n;
	PgcreditBinding *bindings;
	int		   *field_columns;	/* of the card's fields, -1 if not bound */
	PgcreditColumnKind *field_kinds;
} PgcreditBoundCard;

/* A row's values: a function's arguments, or if that is NULL a deformed row. */
typedef struct PgcreditValues
{
	const NullableDatum *args;
	const Datum *values;
	const bool *isnull;
} PgcreditValues;

/* A column offered to a card. */
typedef struct PgcreditColumn
{
	const char *name;			/* NULL if dropped */
	Oid			type;
} PgcreditColumn;

/* card_parse.c */
extern PgcreditCard *pgcredit_card_parse(Jsonb *definition);

/* card_build.c */
extern void pgcredit_characteristic_build(PgcreditCharacteristic *c,
										  const char *where, JsonbContainer *list);
extern void pgcredit_card_finish(PgcreditCard *card);

/* expression.c */
extern PgcreditExpression *pgcredit_expression_read(JsonbContainer *object, const char *key,
													const char *where);
extern void pgcredit_expression_compile(PgcreditCard *card, PgcreditExpression *expression,
										PgcreditExprType wanted, int reader, const char *where);
extern PgcreditExprValue pgcredit_expression_run(const PgcreditBoundCard *bound,
												 const PgcreditExprProgram *program,
												 const PgcreditValues *row);
extern const char *pgcredit_expression_reason(const PgcreditBoundCard *bound,
											  const PgcreditExprProgram *program,
											  const PgcreditValues *row,
											  PgcreditExprState state);
extern int64 pgcredit_expression_points(const PgcreditBoundCard *bound,
										const PgcreditCharacteristic *c, int attribute,
										const PgcreditValues *row);

/* grade_rule.c */
extern void pgcredit_conventions_parse(PgcreditCard *card, JsonbContainer *root);
extern void pgcredit_grade_rules_parse(PgcreditCard *card, JsonbContainer *root);
extern PgcreditGraded pgcredit_row_grade(const PgcreditBoundCard *bound,
										 const PgcreditValues *row, double score);

/* json.c */
extern int	pgcredit_json_one_of(const char *text, const char *const *allowed,
								 const char *key, const char *where);
extern JsonbValue *pgcredit_json_key(JsonbContainer *object, const char *key,
									 const char *where, JsonbValue *value);
extern char *pgcredit_json_text(JsonbContainer *object, const char *key,
								const char *where, bool required);
extern bool pgcredit_json_bool(JsonbContainer *object, const char *key,
							   const char *where, bool fallback);
extern Numeric pgcredit_json_number(JsonbContainer *object, const char *key,
									const char *where);
extern bool pgcredit_json_points(JsonbContainer *object, const char *key,
								 const char *where, int64 *points);
extern JsonbContainer *pgcredit_json_array(JsonbContainer *object, const char *key,
										   const char *where, bool required);
extern JsonbContainer *pgcredit_json_element(JsonbContainer *list, uint32 i,
											 const char *where);
extern void pgcredit_json_only(JsonbContainer *object, const char *where,
							   const char *const *allowed);

/* card_cache.c */
extern uint64 pgcredit_models_generation(void);
extern const PgcreditCard *pgcredit_card_find(const char *model, int len,
											  MemoryContext context);

/* bind.c */
extern PgcreditBoundCard *pgcredit_card_bind(const PgcreditCard *card,
											 const PgcreditColumn *columns, int n,
											 bool grading);
extern int	pgcredit_match_numeric(const PgcreditBinding *binding, Datum value);
extern void pgcredit_no_attribute(const PgcreditCard *card,
								  const PgcreditBinding *binding,
								  Datum value, bool isnull);
extern char *pgcredit_value_text(PgcreditColumnKind kind, Datum value);
extern bool pgcredit_column_kind(PgcreditDataType wanted, Oid type,
								 PgcreditColumnKind *kind);
extern const char *pgcredit_column_kind_name(PgcreditColumnKind kind);
extern const char *pgcredit_card_grade(const PgcreditCard *card, double score);

/*
 * The score as a double: the one nearest to the exact sum of millionths.
 */
static inline double
pgcredit_score_real(int64 micro)
{
	return (double) micro / (double) PGCREDIT_MICRO;
}

#define pgcredit_invalid(...) \
	ereport(ERROR, (errcode(ERRCODE_PGCREDIT_MODEL_INVALID), __VA_ARGS__))

#endif							/* PGCREDIT_RATING_CARD_H */
