/*
 * kept.h
 *		What a session holds of the figures of regions: see kept.c.
 */
#ifndef PGCREDIT_TARGET_KEPT_H
#define PGCREDIT_TARGET_KEPT_H

#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/hsearch.h"

/* Bytes of a metric's code, which the table of metrics limits. */
#define METRIC_MOST		84

/* What credit._metric_definitions() says of a metric. */
typedef struct Metric
{
	char		code[METRIC_MOST];	/* key */
	int32		number;
	bool		reported_first; /* a reported figure counts before that of a ledger */
	char		left[METRIC_MOST];	/* what it is worked out from, or "" */
	text	   *left_segment;	/* NULL: the same */
	text	   *ledger;			/* NULL: none has it, and nothing of what follows */
	int32		source_id;
	int32		widest;			/* source of the same ledger that counts most rows */
	int32		version;
	char		kind;			/* first letter of it */
	bool		of_day;
} Metric;

typedef struct Span
{
	DateADT		from;
	DateADT		until;			/* exclusive */
} Span;

/* A figure that is reported. */
typedef struct Told
{
	struct Told *next;			/* not newer; of two that end together the shorter */
	Span		span;
	Datum		value;			/* numeric */
	text	   *source;
	bool		derived;
} Told;

typedef struct SumKey
{
	int32		source_id;
	int32		month;			/* months since the year 0 */
	int32		segment;		/* index of Region.segments; 0: all */
} SumKey;

typedef struct KeptSum
{
	SumKey		key;
	int64		n;
	int64		subjects;
	Datum		value;			/* numeric */
	Datum		weight;
} KeptSum;

typedef struct Region
{
	MemoryContext context;		/* NULL: free */
	int64		code;
	int			oldest;			/* months that have a sum */
	int			newest;
	int			n_segments;
	int			max_segments;
	text	  **segments;
	HTAB	   *sums;
	HTAB	   *counts;
	HTAB	   *told;
} Region;

extern Region *pgcredit_kept_region(int64 region_code);
extern Metric *pgcredit_kept_metric(const char *code);
extern int	pgcredit_kept_segment(Region *region, const text *segment, bool add);
extern KeptSum *pgcredit_kept_sum(Region *region, int32 source_id, int month, int segment);
extern Datum pgcredit_kept_distinct(Region *region, const Metric *metric, int first, int last, int segment);
extern Told *pgcredit_kept_told(Region *region, const Metric *metric, const text *segment);

/* Months are counted from the year 0. */
static inline int
month_of(DateADT day)
{
	int			year,
				month,
				mday;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	return year * 12 + month - 1;
}

static inline DateADT
month_start(int month)
{
	return date2j(month / 12, month % 12 + 1, 1) - POSTGRES_EPOCH_JDATE;
}

static inline bool
is_first(DateADT day)
{
	return !DATE_NOT_FINITE(day) && month_start(month_of(day)) == day;
}

#endif
