/*
 * measure.h
 *		What the files of the measures share.
 *
 * A source is one version of a metric's definition over a ledger: which rows
 * count, and what is summed up of them.  A ledger is a table partitioned by month.
 */
#ifndef PGCREDIT_TARGET_MEASURE_H
#define PGCREDIT_TARGET_MEASURE_H

#include "executor/tuptable.h"
#include "utils/relcache.h"

#ifndef HAVE_INT128
#error "pgcredit sums up in integers of 128 bits"
#endif

typedef enum SourceKind
{
	SOURCE_SUM,
	SOURCE_COUNT,
	SOURCE_DISTINCT,
	SOURCE_WEIGHTED
} SourceKind;

typedef enum ConditionKind
{
	CONDITION_IS,				/* a boolean column */
	CONDITION_IN,				/* a text column, one of these */
	CONDITION_BETWEEN			/* a numeric column */
} ConditionKind;

typedef struct Condition
{
	ConditionKind kind;
	int			column;			/* CONDITION_BETWEEN: index of Ledger.numbers, else attribute number */
	bool		truth;
	int			n_values;
	text	  **values;
	bool		has_low;
	bool		has_high;
	int64		low;			/* scaled as the column is, inclusive */
	int64		high;
} Condition;

typedef struct Source
{
	int32		source_id;
	SourceKind	kind;
	int			value;			/* index of Ledger.numbers, or -1 */
	int			weight;
	int			n_conditions;
	Condition  *conditions;
} Source;

/* A numeric(p, s) column with p <= 18: its values are integers of 10^-s. */
typedef struct Number
{
	AttrNumber	attno;
	int			scale;
} Number;

/* A ledger, or one of its partitions, with its sources. */
typedef struct Ledger
{
	Oid			relid;			/* key of the cache, first */
	Oid			root;
	bool		valid;
	MemoryContext context;
	AttrNumber	institution;
	AttrNumber	region;
	AttrNumber	segment;
	AttrNumber	product;
	AttrNumber	month;
	AttrNumber	subject;
	int			n_numbers;
	Number	   *numbers;
	int			n_sources;
	Source	   *sources;
} Ledger;

/* source.c */
extern Ledger *pgcredit_ledger(Relation rel, Oid root);

/* cells.c: what a change adds to the cells, gathered and appended */
typedef struct Changes Changes;

extern Changes *pgcredit_changes_begin(Relation rel, Oid root);
extern void pgcredit_changes_row(Changes *changes, TupleTableSlot *slot, int sign);
extern void pgcredit_changes_end(Changes *changes);

/* folder.c */
extern void pgcredit_folder_wanted(void);

/* kept.c */
extern void pgcredit_kept_init(void);

#endif							/* PGCREDIT_TARGET_MEASURE_H */
