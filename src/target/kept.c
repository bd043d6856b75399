/*
 * kept.c
 *		Figures of the ledgers for who judges targets.
 *
 * Judging the targets of a pack asks for some hundred figures of one region.  At
 * the first question all sums of the ledgers of the region are read in one query,
 * with what is not folded yet, and all figures that are reported of it in another,
 * and held for as long as the snapshots of the questions show the same.  Other
 * snapshots show the same when in both nothing waits for a folder and both see
 * the same turn as the last: folders take turns, and each row that figures are
 * made of changes in one, or who changes it leaves a row that waits for one.  So a
 * session that asks again, in whatever transaction, reads one row.
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
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rangetypes.h"
#include "utils/snapmgr.h"
#include "utils/snapshot.h"
#include "utils/typcache.h"

#include "core/core.h"
#include "identity/identity.h"
#include "target/kept.h"
#include "target/measure.h"

/* Regions held at a time. */
#define REGIONS_MOST	16

/* Figures that are reported of a metric and a segment. */
typedef struct ToldKey
{
	int32		metric;			/* Metric.number */
	int32		segment;
} ToldKey;

typedef struct ToldOfMetric
{
	ToldKey		key;
	Told	   *newest;
} ToldOfMetric;

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

/* A turn of folding, by what a transaction that is rolled back cannot repeat. */
typedef struct Turn
{
	bool		known;			/* false: something waits, or nothing is held */
	int64		number;
	TimestampTz at;
	TransactionId xid;
} Turn;

static MemoryContext held = NULL;	/* metrics, and above the contexts of regions */
static SnapshotData held_for;	/* what tells what it shows */
static bool held_for_ends;		/* the transaction of it, or a part of it, is over */
static Turn held_turn;			/* last one that it shows */
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
	held_turn.known = false;
	memset(regions, 0, sizeof(regions));
}

static void
at_xact(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	held_for_ends = true;
	if (!held_turn.known)
		forget();
}

static void
at_subxact(SubXactEvent event, SubTransactionId me, SubTransactionId parent, void *arg)
{
	/* What it wrote is gone, and no command counter tells. */
	if (event == SUBXACT_EVENT_ABORT_SUB)
		held_for_ends = true;
}

void
pgcredit_kept_init(void)
{
	RegisterXactCallback(at_xact, NULL);
	RegisterSubXactCallback(at_subxact, NULL);
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

static bool
is_null(SPITupleTable *rows, uint64 row, int n)
{
	bool		isnull;

	(void) SPI_getbinval(rows->vals[row], rows->tupdesc, n, &isnull);
	return isnull;
}

static void
read_metrics(void)
{
	static SPIPlanPtr plan = NULL;
	HASHCTL		ctl = {.keysize = METRIC_MOST, .entrysize = sizeof(Metric)};
	SPITupleTable *rows;
	PgcreditOwner saved;
	Datum	   *ids;
	int			n_ids = 0;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pgcredit kept figures", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;

	ctl.hcxt = context;
	metrics = hash_create("pgcredit metrics", 256, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	pgcredit_owner_begin(&saved);
	SPI_connect();
	rows = rows_of(&plan, "SELECT d.metric, d.left_metric, d.left_segment, d.ledger, d.source_id, d.widest, d.kind, d.version, d.of_day,"
				   " EXISTS (SELECT FROM credit.figure_precedence p WHERE p.metric = d.metric AND p.preferred = 'reported')"
				   " FROM credit._metric_definitions() d", 0, NULL, NULL);
	ids = palloc(sizeof(Datum) * (SPI_processed * 2 + 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *code = TextDatumGetCString(column(rows, i, 1));
		Metric	   *metric = hash_search(metrics, code, HASH_ENTER, NULL);

		memset((char *) metric + offsetof(Metric, number), 0, sizeof(Metric) - offsetof(Metric, number));
		metric->number = i;
		metric->reported_first = DatumGetBool(column(rows, i, 10));
		if (!is_null(rows, i, 2))
			strlcpy(metric->left, TextDatumGetCString(column(rows, i, 2)), METRIC_MOST);
		if (!is_null(rows, i, 3))
			metric->left_segment = text_in(context, column(rows, i, 3));
		if (is_null(rows, i, 4))
			continue;
		metric->ledger = text_in(context, column(rows, i, 4));
		metric->source_id = DatumGetInt32(ids[n_ids++] = column(rows, i, 5));
		metric->widest = DatumGetInt32(ids[n_ids++] = column(rows, i, 6));
		metric->kind = *TextDatumGetCString(column(rows, i, 7));
		metric->version = DatumGetInt32(column(rows, i, 8));
		metric->of_day = DatumGetBool(column(rows, i, 9));
	}
	old = MemoryContextSwitchTo(context);
	sources = construct_array(ids, n_ids, INT4OID, sizeof(int32), true, TYPALIGN_INT);
	MemoryContextSwitchTo(old);
	SPI_finish();
	pgcredit_owner_end(&saved);
	/* Only now is it whole: it must not be found half made after an error. */
	MemoryContextSetParent(context, CacheMemoryContext);
	held = context;
	held_for.xip = held_for.subxip = NULL;
}

/*
 * The last turn that the active snapshot shows.
 */
static Turn
last_turn(void)
{
	static SPIPlanPtr plan = NULL;
	Turn		turn = {0};
	SPITupleTable *rows;
	PgcreditOwner saved;

	pgcredit_owner_begin(&saved);
	SPI_connect();
	rows = rows_of(&plan, "SELECT f.turns, coalesce(f.folded_at, '-infinity'), f.xmin FROM credit._measure_fold f"
				   " WHERE NOT EXISTS (SELECT FROM credit._measure_delta) AND NOT EXISTS (SELECT FROM credit._region_change)"
				   "   AND NOT EXISTS (SELECT FROM credit._figure_change)", 0, NULL, NULL);
	if (SPI_processed == 1)
	{
		turn.known = true;
		turn.number = DatumGetInt64(column(rows, 0, 1));
		turn.at = DatumGetTimestampTz(column(rows, 0, 2));
		turn.xid = DatumGetTransactionId(column(rows, 0, 3));
	}
	SPI_finish();
	pgcredit_owner_end(&saved);
	return turn;
}

static bool
same_turn(const Turn *a, const Turn *b)
{
	return a->known && b->known && a->number == b->number && a->at == b->at && a->xid == b->xid;
}

/*
 * Index of a segment, which is added when "add" says so; else -1.  The empty one,
 * at 0, is all of them.
 */
int
pgcredit_kept_segment(Region *region, const text *segment, bool add)
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
			.segment = pgcredit_kept_segment(region, DatumGetTextPP(column(rows, i, 3)), true)
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

Metric *
pgcredit_kept_metric(const char *code)
{
	return hash_search(metrics, code, HASH_FIND, NULL);
}

static void
read_told(Region *region)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID};
	Datum		values[] = {code_of(region)};
	SPITupleTable *rows;
	PgcreditOwner saved;

	pgcredit_owner_begin(&saved);
	SPI_connect();
	/* each goes before those that are there */
	rows = rows_of(&plan, "SELECT metric, segment, lower(period), upper(period), value, source, derived FROM credit.observation"
				   " WHERE region OPERATOR(credit.=) $1::credit.region_code ORDER BY upper(period), lower(period) DESC",
				   1, types, values);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		ToldKey		key = {
			.metric = pgcredit_kept_metric(TextDatumGetCString(column(rows, i, 1)))->number,
			.segment = pgcredit_kept_segment(region, DatumGetTextPP(column(rows, i, 2)), true)
		};
		bool		found;
		ToldOfMetric *of = hash_search(region->told, &key, HASH_ENTER, &found);
		Told	   *told = MemoryContextAlloc(region->context, sizeof(Told));
		MemoryContext old = MemoryContextSwitchTo(region->context);

		told->next = found ? of->newest : NULL;
		told->span.from = DatumGetDateADT(column(rows, i, 3));
		told->span.until = DatumGetDateADT(column(rows, i, 4));
		told->value = NumericGetDatum(DatumGetNumericCopy(column(rows, i, 5)));
		told->source = text_in(region->context, column(rows, i, 6));
		told->derived = DatumGetBool(column(rows, i, 7));
		of->newest = told;
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	pgcredit_owner_end(&saved);
}

static Region *
read_region(int64 code)
{
	HASHCTL		sums = {.keysize = sizeof(SumKey), .entrysize = sizeof(KeptSum)};
	HASHCTL		counts = {.keysize = sizeof(CountKey), .entrysize = sizeof(KeptCount)};
	HASHCTL		told = {.keysize = sizeof(ToldKey), .entrysize = sizeof(ToldOfMetric)};
	Region		region = {.code = code, .oldest = PG_INT32_MAX, .newest = PG_INT32_MIN, .max_segments = 8};
	Region	   *place = &regions[next_region];

	region.context = AllocSetContextCreate(CurrentMemoryContext, "pgcredit kept figures of a region", ALLOCSET_DEFAULT_SIZES);
	sums.hcxt = counts.hcxt = told.hcxt = region.context;
	region.segments = MemoryContextAlloc(region.context, sizeof(text *) * region.max_segments);
	(void) pgcredit_kept_segment(&region, cstring_to_text(""), true);
	region.sums = hash_create("pgcredit kept sums", 2048, &sums, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	region.counts = hash_create("pgcredit kept counts", 16, &counts, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	region.told = hash_create("pgcredit reported figures", 256, &told, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	read_sums(&region);
	read_told(&region);
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
	TransactionId *xip = held_for.xip;
	TransactionId *subxip = held_for.subxip;

	held_for = *snapshot;
	held_for.xip = xids_in(held, snapshot->xip, snapshot->xcnt);
	held_for.subxip = xids_in(held, snapshot->subxip, snapshot->subxcnt);
	held_for_ends = false;
	if (xip != NULL)
	{
		pfree(xip);
		pfree(subxip);
	}
}

/*
 * Whether it shows what was read: of the same transactions it takes the same for
 * finished.
 */
static bool
shows_the_same(const SnapshotData *snapshot)
{
	return !held_for_ends && snapshot->xmin == held_for.xmin && snapshot->xmax == held_for.xmax && snapshot->curcid == held_for.curcid &&
		snapshot->xcnt == held_for.xcnt && snapshot->subxcnt == held_for.subxcnt &&
		snapshot->suboverflowed == held_for.suboverflowed && snapshot->takenDuringRecovery == held_for.takenDuringRecovery &&
		(snapshot->xcnt == 0 || memcmp(snapshot->xip, held_for.xip, sizeof(TransactionId) * snapshot->xcnt) == 0) &&
		(snapshot->subxcnt <= 0 || memcmp(snapshot->subxip, held_for.subxip, sizeof(TransactionId) * snapshot->subxcnt) == 0);
}

/*
 * What is held of a region, read if need be.  Pointers into it are good until the
 * next call.
 */
Region *
pgcredit_kept_region(int64 region_code)
{
	Snapshot	snapshot = GetActiveSnapshot();

	if (held == NULL || !shows_the_same(snapshot))
	{
		Turn		turn = last_turn();

		if (held == NULL || !same_turn(&turn, &held_turn))
		{
			forget();
			read_metrics();
			held_turn = turn;
		}
		hold_for(snapshot);
	}
	for (int i = 0; i < REGIONS_MOST; i++)
		if (regions[i].context != NULL && regions[i].code == region_code)
			return &regions[i];
	return read_region(region_code);
}

KeptSum *
pgcredit_kept_sum(Region *region, int32 source_id, int month, int segment)
{
	SumKey		key = {.source_id = source_id, .month = month, .segment = segment};

	return hash_search(region->sums, &key, HASH_FIND, NULL);
}

Datum
pgcredit_kept_distinct(Region *region, const Metric *metric, int first, int last, int segment)
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
				   (Datum[]) {Int32GetDatum(metric->source_id), DateADTGetDatum(month_start(first)), DateADTGetDatum(month_start(last)),
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

Told *
pgcredit_kept_told(Region *region, const Metric *metric, const text *segment)
{
	ToldKey		key = {.metric = metric->number, .segment = pgcredit_kept_segment(region, segment, false)};
	ToldOfMetric *of = key.segment < 0 ? NULL : hash_search(region->told, &key, HASH_FIND, NULL);

	return of == NULL ? NULL : of->newest;
}

