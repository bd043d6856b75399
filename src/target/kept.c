/*
 * kept.c
 *		Figures of the ledgers for who judges targets.
 *
 * Judging the targets of a pack asks for some hundred figures of one region.  At
 * the first question all sums of the region are read in one query, with what is
 * not folded yet, and held for as long as the snapshots of the questions show the
 * same and this transaction goes on.  Sums over months are made here, exactly as SQL makes them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rangetypes.h"
#include "utils/snapmgr.h"
#include "utils/snapshot.h"
#include "utils/typcache.h"

#include "core/core.h"
#include "identity/identity.h"
#include "target/measure.h"

PG_FUNCTION_INFO_V1(pgcredit_ledger_figure);
PG_FUNCTION_INFO_V1(pgcredit_ledger_periods);
PG_FUNCTION_INFO_V1(pgcredit_ledger_reach);

/* Regions held at a time. */
#define REGIONS_MOST	16

/* Bytes of a metric's code, which the table of metrics limits. */
#define METRIC_MOST		84

/* What credit._ledger_metrics() says of a metric. */
typedef struct Metric
{
	char		code[METRIC_MOST];	/* key */
	int32		source_id;
	int32		widest;			/* source of the same ledger that counts most rows */
	int32		version;
	char		kind;			/* first letter of it */
	bool		of_day;
	text	   *ledger;
} Metric;

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

/* A distinct count over several months, counted when it was first asked for. */
typedef struct CountKey
{
	int32		source_id;
	int32		first;
	int32		last;
	int32		segment;
} CountKey;

typedef struct KeptCount
{
	CountKey	key;
	Datum		value;
} KeptCount;

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
} Region;

static MemoryContext held = NULL;	/* metrics, and above the contexts of regions */
static SnapshotData held_for;	/* what tells what it shows */
static HTAB *metrics;
static ArrayType *sources;		/* those of metrics */
static Region regions[REGIONS_MOST];
static int	next_region;

static void
forget(void)
{
	if (held == NULL)
		return;
	MemoryContextDelete(held);
	held = NULL;
	memset(regions, 0, sizeof(regions));
}

static void
at_xact(XactEvent event, void *arg)
{
	forget();
}

static void
at_subxact(SubXactEvent event, SubTransactionId me, SubTransactionId parent, void *arg)
{
	/* What it wrote is gone, and no command counter tells. */
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget();
}

void
pgcredit_kept_init(void)
{
	RegisterXactCallback(at_xact, NULL);
	RegisterSubXactCallback(at_subxact, NULL);
}

static int
month_of(DateADT day)
{
	int			year,
				month,
				mday;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	return year * 12 + month - 1;
}

static DateADT
first_day(int month)
{
	return date2j(month / 12, month % 12 + 1, 1) - POSTGRES_EPOCH_JDATE;
}

static bool
is_first(DateADT day)
{
	return !DATE_NOT_FINITE(day) && first_day(month_of(day)) == day;
}

/*
 * The rows of a query, read with the active snapshot by the owner of the extension;
 * the caller ends it with pgcredit_owner_end and SPI_finish.
 */
static SPITupleTable *
rows_of(SPIPlanPtr *plan, const char *query, int n, Oid *types, Datum *values)
{
	if (*plan == NULL)
	{
		*plan = SPI_prepare(query, n, types);
		if (*plan == NULL || SPI_keepplan(*plan) != 0)
			elog(ERROR, "cannot prepare \"%s\"", query);
	}
	if (SPI_execute_plan(*plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "cannot execute \"%s\"", query);
	return SPI_tuptable;
}

static Datum
column(SPITupleTable *rows, uint64 row, int n)
{
	bool		isnull;
	Datum		value = SPI_getbinval(rows->vals[row], rows->tupdesc, n, &isnull);

	if (isnull)
		elog(ERROR, "unexpected null");
	return value;
}

static text *
text_in(MemoryContext context, Datum value)
{
	text	   *given = DatumGetTextPP(value);
	MemoryContext old = MemoryContextSwitchTo(context);
	text	   *copy = cstring_to_text_with_len(VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given));

	MemoryContextSwitchTo(old);
	return copy;
}

static void
read_metrics(void)
{
	static SPIPlanPtr plan = NULL;
	HASHCTL		ctl = {.keysize = METRIC_MOST, .entrysize = sizeof(Metric)};
	SPITupleTable *rows;
	PgcreditOwner saved;
	Datum	   *ids;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pgcredit kept figures", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;

	ctl.hcxt = context;
	metrics = hash_create("pgcredit metrics of ledgers", 128, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	pgcredit_owner_begin(&saved);
	SPI_connect();
	rows = rows_of(&plan, "SELECT metric, source_id, widest, kind, ledger, version, of_day FROM credit._ledger_metrics()",
				   0, NULL, NULL);
	ids = palloc(sizeof(Datum) * (SPI_processed * 2 + 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *code = TextDatumGetCString(column(rows, i, 1));
		Metric	   *metric = hash_search(metrics, code, HASH_ENTER, NULL);

		metric->source_id = DatumGetInt32(ids[2 * i] = column(rows, i, 2));
		metric->widest = DatumGetInt32(ids[2 * i + 1] = column(rows, i, 3));
		metric->kind = *TextDatumGetCString(column(rows, i, 4));
		metric->ledger = text_in(context, column(rows, i, 5));
		metric->version = DatumGetInt32(column(rows, i, 6));
		metric->of_day = DatumGetBool(column(rows, i, 7));
	}
	old = MemoryContextSwitchTo(context);
	sources = construct_array(ids, SPI_processed * 2, INT4OID, sizeof(int32), true, TYPALIGN_INT);
	MemoryContextSwitchTo(old);
	SPI_finish();
	pgcredit_owner_end(&saved);
	/* Only now is it whole: it must not be found half made after an error. */
	MemoryContextSetParent(context, TopTransactionContext);
	held = context;
}

/*
 * Index of a segment, which is added when "add" says so; else -1.  The empty one,
 * at 0, is all of them.
 */
static int
segment_of(Region *region, const text *segment, bool add)
{
	Size		size = VARSIZE_ANY_EXHDR(segment);

	for (int i = 0; i < region->n_segments; i++)
		if (VARSIZE_ANY_EXHDR(region->segments[i]) == size &&
			memcmp(VARDATA_ANY(region->segments[i]), VARDATA_ANY(segment), size) == 0)
			return i;
	if (!add)
		return -1;
	if (region->n_segments == region->max_segments)
	{
		region->max_segments *= 2;
		region->segments = repalloc(region->segments, sizeof(text *) * region->max_segments);
	}
	region->segments[region->n_segments] = text_in(region->context, PointerGetDatum(segment));
	return region->n_segments++;
}

static Datum
code_of(const Region *region)
{
	char		code[PGCREDIT_REGION_LEN];

	return PointerGetDatum(cstring_to_text_with_len(code, pgcredit_region_print(region->code, code)));
}

static void
read_sums(Region *region)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, INT4ARRAYOID};
	Datum		values[] = {code_of(region), PointerGetDatum(sources)};
	SPITupleTable *rows;
	PgcreditOwner saved;

	pgcredit_owner_begin(&saved);
	SPI_connect();
	rows = rows_of(&plan, "SELECT source_id, month, segment, n, subjects, value, weight"
				   "  FROM credit._measures_of($1::credit.region_code, $2, '-infinity', 'infinity')", 2, types, values);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old;
		bool		found;
		SumKey		key = {
			.source_id = DatumGetInt32(column(rows, i, 1)),
			.month = month_of(DatumGetDateADT(column(rows, i, 2))),
			.segment = segment_of(region, DatumGetTextPP(column(rows, i, 3)), true)
		};
		KeptSum    *sum = hash_search(region->sums, &key, HASH_ENTER, &found);

		Assert(!found);
		sum->n = DatumGetInt64(column(rows, i, 4));
		sum->subjects = DatumGetInt64(column(rows, i, 5));
		old = MemoryContextSwitchTo(region->context);
		sum->value = NumericGetDatum(DatumGetNumericCopy(column(rows, i, 6)));
		sum->weight = NumericGetDatum(DatumGetNumericCopy(column(rows, i, 7)));
		MemoryContextSwitchTo(old);
		region->oldest = Min(region->oldest, key.month);
		region->newest = Max(region->newest, key.month);
	}
	SPI_finish();
	pgcredit_owner_end(&saved);
}

static Region *
read_region(int64 code)
{
	HASHCTL		sums = {.keysize = sizeof(SumKey), .entrysize = sizeof(KeptSum)};
	HASHCTL		counts = {.keysize = sizeof(CountKey), .entrysize = sizeof(KeptCount)};
	Region		region = {.code = code, .oldest = PG_INT32_MAX, .newest = PG_INT32_MIN, .max_segments = 8};
	Region	   *place = &regions[next_region];

	region.context = AllocSetContextCreate(CurrentMemoryContext, "pgcredit kept figures of a region", ALLOCSET_DEFAULT_SIZES);
	sums.hcxt = counts.hcxt = region.context;
	region.segments = MemoryContextAlloc(region.context, sizeof(text *) * region.max_segments);
	(void) segment_of(&region, cstring_to_text(""), true);
	region.sums = hash_create("pgcredit kept sums", 2048, &sums, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	region.counts = hash_create("pgcredit kept counts", 16, &counts, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	read_sums(&region);
	if (place->context != NULL)
		MemoryContextDelete(place->context);
	MemoryContextSetParent(region.context, held);
	*place = region;
	next_region = (next_region + 1) % REGIONS_MOST;
	return place;
}

static TransactionId *
xids_in(MemoryContext context, const TransactionId *xids, int n)
{
	TransactionId *copy = MemoryContextAlloc(context, sizeof(TransactionId) * Max(n, 1));

	if (n > 0)
		memcpy(copy, xids, sizeof(TransactionId) * n);
	return copy;
}

static void
hold_for(const SnapshotData *snapshot)
{
	held_for = *snapshot;
	held_for.xip = xids_in(held, snapshot->xip, snapshot->xcnt);
	held_for.subxip = xids_in(held, snapshot->subxip, snapshot->subxcnt);
}

/*
 * Whether it shows what was read: of the same transactions it takes the same for
 * finished.
 */
static bool
shows_the_same(const SnapshotData *snapshot)
{
	return snapshot->xmin == held_for.xmin && snapshot->xmax == held_for.xmax && snapshot->curcid == held_for.curcid &&
		snapshot->xcnt == held_for.xcnt && snapshot->subxcnt == held_for.subxcnt &&
		snapshot->suboverflowed == held_for.suboverflowed && snapshot->takenDuringRecovery == held_for.takenDuringRecovery &&
		(snapshot->xcnt == 0 || memcmp(snapshot->xip, held_for.xip, sizeof(TransactionId) * snapshot->xcnt) == 0) &&
		(snapshot->subxcnt <= 0 || memcmp(snapshot->subxip, held_for.subxip, sizeof(TransactionId) * snapshot->subxcnt) == 0);
}

/*
 * What is held of a metric and a region, read if need be; false when no ledger
 * has the metric.
 */
static bool
look_up(const text *code, int64 region_code, Metric **metric, Region **region)
{
	Snapshot	snapshot = GetActiveSnapshot();

	if (held != NULL && !shows_the_same(snapshot))
		forget();
	if (held == NULL)
	{
		read_metrics();
		hold_for(snapshot);
	}
	*metric = hash_search(metrics, text_to_cstring(code), HASH_FIND, NULL);
	if (*metric == NULL)
		return false;
	for (int i = 0; i < REGIONS_MOST; i++)
		if (regions[i].context != NULL && regions[i].code == region_code)
		{
			*region = &regions[i];
			return true;
		}
	*region = read_region(region_code);
	return true;
}

static KeptSum *
sum_of(Region *region, int32 source_id, int month, int segment)
{
	SumKey		key = {.source_id = source_id, .month = month, .segment = segment};

	return hash_search(region->sums, &key, HASH_FIND, NULL);
}

/*
 * Whether the ledger has rows of the region in a month.
 */
static bool
has_rows(Region *region, const Metric *metric, int month)
{
	KeptSum    *own = sum_of(region, metric->source_id, month, 0);
	KeptSum    *widest = sum_of(region, metric->widest, month, 0);

	return (own && (own->n > 0 || own->subjects > 0)) || (widest && (widest->n > 0 || widest->subjects > 0));
}

static Datum
distinct_count(Region *region, const Metric *metric, int first, int last, int segment)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT4OID, DATEOID, DATEOID, TEXTOID, TEXTOID};
	CountKey	key = {.source_id = metric->source_id, .first = first, .last = last, .segment = segment};
	KeptCount  *count = hash_search(region->counts, &key, HASH_FIND, NULL);
	SPITupleTable *rows;
	PgcreditOwner saved;
	Datum		value;
	MemoryContext old;

	if (count != NULL)
		return count->value;
	pgcredit_owner_begin(&saved);
	SPI_connect();
	rows = rows_of(&plan, "SELECT credit._measure_distinct($1, $2, $3, $4::credit.region_code, $5)", 5, types,
				   (Datum[]) {Int32GetDatum(metric->source_id), DateADTGetDatum(first_day(first)), DateADTGetDatum(first_day(last)),
							  code_of(region), PointerGetDatum(region->segments[segment])});
	old = MemoryContextSwitchTo(region->context);
	value = NumericGetDatum(DatumGetNumericCopy(column(rows, 0, 1)));
	MemoryContextSwitchTo(old);
	SPI_finish();
	pgcredit_owner_end(&saved);
	count = hash_search(region->counts, &key, HASH_ENTER, NULL);
	count->value = value;
	return value;
}

/*
 * The figure over months; 0 for NULL, which an average without weight is.
 */
static Datum
figure_over(Region *region, const Metric *metric, int first, int last, const text *name)
{
	int			segment = segment_of(region, name, metric->kind == 'd' && first < last);
	int64		n = 0;
	Datum		value = NumericGetDatum(int64_to_numeric(0));
	Datum		weight = value;

	if (metric->kind == 'd' && first < last)
		return distinct_count(region, metric, first, last, segment);
	for (int month = first; month <= last && segment >= 0; month++)
	{
		KeptSum    *sum = sum_of(region, metric->source_id, month, segment);

		if (sum == NULL)
			continue;
		n += metric->kind == 'd' ? sum->subjects : sum->n;
		value = DirectFunctionCall2(numeric_add, value, sum->value);
		weight = DirectFunctionCall2(numeric_add, weight, sum->weight);
	}
	if (metric->kind == 'd' || metric->kind == 'c')
		return NumericGetDatum(int64_to_numeric(n));
	if (metric->kind == 's')
		return value;
	if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, weight, NumericGetDatum(int64_to_numeric(0)))) == 0)
		return (Datum) 0;
	return DirectFunctionCall2(numeric_div, value, weight);
}

/*
 * The months of a period that the metric can have a figure of, false if it is none.
 */
static bool
months_of(const Metric *metric, RangeType *period, int *first, int *last)
{
	TypeCacheEntry *type = lookup_type_cache(DATERANGEOID, TYPECACHE_RANGE_INFO);
	RangeBound	lower,
				upper;
	bool		empty;
	DateADT		from,
				until;

	range_deserialize(type, period, &lower, &upper, &empty);
	if (empty || lower.infinite || upper.infinite)
		return false;
	from = DatumGetDateADT(lower.val);
	until = DatumGetDateADT(upper.val);
	if (!is_first(until) || DATE_NOT_FINITE(from) || metric->of_day != (until - from == 1))
		return false;
	*last = month_of(until) - 1;
	*first = metric->of_day ? *last : month_of(from);
	return metric->of_day || is_first(from);
}

/*
 * credit._ledger_figure(metric text, region credit.region_code, segment text, period daterange,
 *		OUT value numeric, OUT ledger text, OUT version integer)
 */
Datum
pgcredit_ledger_figure(PG_FUNCTION_ARGS)
{
	Datum		values[3] = {0};
	bool		nulls[3] = {true, true, true};
	TupleDesc	desc;
	Metric	   *metric;
	Region	   *region;
	int			first,
				last,
				month;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (look_up(PG_GETARG_TEXT_PP(0), PG_GETARG_REGION_CODE(1), &metric, &region) &&
		months_of(metric, PG_GETARG_RANGE_P(3), &first, &last))
	{
		for (month = first; month <= last && has_rows(region, metric, month); month++)
			;
		if (month > last)
		{
			values[0] = figure_over(region, metric, first, last, PG_GETARG_TEXT_PP(2));
			values[1] = PointerGetDatum(metric->ledger);
			values[2] = Int32GetDatum(metric->version);
			nulls[0] = nulls[1] = nulls[2] = values[0] == (Datum) 0;
		}
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * credit._ledger_periods(metric text, region credit.region_code, first_end date, last_end date)
 * returns daterange[]
 */
Datum
pgcredit_ledger_periods(PG_FUNCTION_ARGS)
{
	DateADT		first_end = PG_GETARG_DATEADT(2);
	DateADT		last_end = PG_GETARG_DATEADT(3);
	TypeCacheEntry *type = lookup_type_cache(DATERANGEOID, TYPECACHE_RANGE_INFO);
	Metric	   *metric;
	Region	   *region;
	Datum	   *periods;
	int			n = 0;

	if (!look_up(PG_GETARG_TEXT_PP(0), PG_GETARG_REGION_CODE(1), &metric, &region) || region->newest < region->oldest)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(DATERANGEOID));
	periods = palloc(sizeof(Datum) * (region->newest - region->oldest + 1));
	for (int month = region->newest; month >= region->oldest; month--)
	{
		DateADT		until = first_day(month + 1);
		RangeBound	lower = {.val = DateADTGetDatum(metric->of_day ? until - 1 : first_day(month)), .inclusive = true, .lower = true};
		RangeBound	upper = {.val = DateADTGetDatum(until)};

		if (until - 1 >= first_end && until - 1 <= last_end && has_rows(region, metric, month))
			periods[n++] = RangeTypePGetDatum(pgcredit_range(type, &lower, &upper));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(periods, n, DATERANGEOID, type->typlen, type->typbyval, type->typalign));
}

/*
 * credit._ledger_reach(metric text, region credit.region_code, first_day date, last_day date) returns date
 */
Datum
pgcredit_ledger_reach(PG_FUNCTION_ARGS)
{
	DateADT		from = PG_GETARG_DATEADT(2);
	DateADT		until = PG_GETARG_DATEADT(3);
	Metric	   *metric;
	Region	   *region;
	int			month;

	if (!is_first(from) || !look_up(PG_GETARG_TEXT_PP(0), PG_GETARG_REGION_CODE(1), &metric, &region) || metric->of_day)
		PG_RETURN_NULL();
	for (month = month_of(from); first_day(month + 1) - 1 <= until && has_rows(region, metric, month); month++)
		;
	if (month == month_of(from))
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(first_day(month));
}
