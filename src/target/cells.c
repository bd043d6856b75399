/*
 * cells.c
 *		What a change of a ledger adds to the cells of its metrics.
 *
 * A statement's rows are summed up in memory by cell and appended to
 * credit._measure_delta in the statement's transaction.  That table is only ever
 * inserted into by writers: no two of them meet in a row, and what is rolled back
 * is gone with its rows.  Sums are in integers, the numeric columns of ledgers
 * having a fixed scale; they cannot overflow 128 bits before 2^64 rows.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"

#include "core/core.h"
#include "identity/identity.h"
#include "target/measure.h"

/* Memory that changes take before they are appended, and rows appended at once. */
#define GATHERED_MOST	(32 * 1024 * 1024)
#define ROWS_AT_ONCE 500

/* Columns of credit._measure_delta. */
#define DELTA_COLUMNS 10

typedef struct CellKey
{
	int64		region;			/* first: no padding */
	DateADT		month;
	int32		institution;
	int32		segment;		/* index of Changes.names */
	int32		product;
} CellKey;

typedef struct Sum
{
	int64		n;
	int128		value;
	int128		weight;
} Sum;

/* One cell of all sources. */
typedef struct Cell
{
	CellKey		key;
	Sum			sums[FLEXIBLE_ARRAY_MEMBER];	/* by index of Ledger.sources */
} Cell;

typedef struct CellEntry
{
	CellKey		key;
	Cell	   *cell;
	char		status;
} CellEntry;

typedef struct SubjectKey
{
	int64		subject_id;
	Cell	   *cell;
	int64		source;			/* index of Ledger.sources; no padding */
} SubjectKey;

typedef struct Subject
{
	SubjectKey	key;
	int64		n;
	char		status;
} Subject;

#define KEY_BYTES(key) ((const unsigned char *) &(key))

#define SH_PREFIX cells
#define SH_ELEMENT_TYPE CellEntry
#define SH_KEY_TYPE CellKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) hash_bytes(KEY_BYTES(key), sizeof(CellKey))
#define SH_EQUAL(tb, a, b) (memcmp(&(a), &(b), sizeof(CellKey)) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define SH_PREFIX subjects
#define SH_ELEMENT_TYPE Subject
#define SH_KEY_TYPE SubjectKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) hash_bytes(KEY_BYTES(key), sizeof(SubjectKey))
#define SH_EQUAL(tb, a, b) (memcmp(&(a), &(b), sizeof(SubjectKey)) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct Changes
{
	Ledger	   *ledger;
	MemoryContext context;
	MemoryContext gathered;		/* cells and subjects, reset when they are appended */
	MemoryContext row;			/* reset for each row */
	cells_hash *cells;
	subjects_hash *subjects;
	Size		taken;			/* about as much memory is in gathered */
	Cell	   *last;			/* the cell of the row before, or NULL */
	int			n_names;
	int			max_names;
	text	  **names;			/* segments and products met */
	int64	   *numbers;		/* of the row at hand, by index of Ledger.numbers */
	bool	   *nulls;
};

/* Powers of ten, numeric, in TopMemoryContext. */
static Datum factors[19];

static void
gather_anew(Changes *changes)
{
	MemoryContextReset(changes->gathered);
	/* Most statements write one row: what is made for each of them is small. */
	changes->cells = cells_create(changes->gathered, 8, NULL);
	changes->subjects = subjects_create(changes->gathered, 8, NULL);
	changes->taken = 0;
	changes->last = NULL;
}

static void
make_factors(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	for (int i = 1; i < lengthof(factors); i++)
		factors[i] = DirectFunctionCall2(numeric_mul, i == 1 ? NumericGetDatum(int64_to_numeric(1)) : factors[i - 1],
										 NumericGetDatum(int64_to_numeric(10)));
	factors[0] = NumericGetDatum(int64_to_numeric(1));
	MemoryContextSwitchTo(old);
}

/*
 * Begin to gather changes of rows of the table, for pgcredit_ledger.  Everything is in a context below
 * the current one; pgcredit_changes_end frees it.
 */
Changes *
pgcredit_changes_begin(Relation rel, Oid root)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pgcredit changes", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Changes    *changes = palloc0(sizeof(Changes));

	changes->ledger = pgcredit_ledger(rel, root);
	changes->context = context;
	changes->row = AllocSetContextCreate(context, "pgcredit changed row", ALLOCSET_SMALL_SIZES);
	changes->gathered = AllocSetContextCreate(context, "pgcredit gathered changes", ALLOCSET_DEFAULT_SIZES);
	gather_anew(changes);
	changes->max_names = 16;
	changes->names = palloc(sizeof(text *) * changes->max_names);
	changes->numbers = palloc(sizeof(int64) * Max(changes->ledger->n_numbers, 1));
	changes->nulls = palloc(sizeof(bool) * Max(changes->ledger->n_numbers, 1));
	if (factors[0] == (Datum) 0)
		make_factors();
	MemoryContextSwitchTo(old);
	return changes;
}

static bool
same_text(const text *a, const text *b)
{
	Size		size = VARSIZE_ANY_EXHDR(a);

	return size == VARSIZE_ANY_EXHDR(b) && memcmp(VARDATA_ANY(a), VARDATA_ANY(b), size) == 0;
}

/*
 * A number for the text; there are few.
 */
static int32
name_of(Changes *changes, TupleTableSlot *slot, AttrNumber attno)
{
	bool		isnull = slot->tts_isnull[attno - 1];
	text	   *name = isnull ? cstring_to_text("") : DatumGetTextPP(slot->tts_values[attno - 1]);
	MemoryContext old;

	for (int i = changes->n_names - 1; i >= 0; i--)
		if (same_text(changes->names[i], name))
			return i;
	old = MemoryContextSwitchTo(changes->context);
	if (changes->n_names == changes->max_names)
	{
		changes->max_names *= 2;
		changes->names = repalloc(changes->names, sizeof(text *) * changes->max_names);
	}
	changes->names[changes->n_names] = cstring_to_text_with_len(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	MemoryContextSwitchTo(old);
	return changes->n_names++;
}

static bool
counts(const Changes *changes, const Source *source, TupleTableSlot *slot)
{
	for (int i = 0; i < source->n_conditions; i++)
	{
		const Condition *c = &source->conditions[i];

		if (c->kind == CONDITION_BETWEEN)
		{
			int64		number = changes->numbers[c->column];

			if (changes->nulls[c->column] || (c->has_low && number < c->low) || (c->has_high && number > c->high))
				return false;
			continue;
		}
		if (slot->tts_isnull[c->column - 1])
			return false;
		if (c->kind == CONDITION_IS)
		{
			if (DatumGetBool(slot->tts_values[c->column - 1]) != c->truth)
				return false;
		}
		else
		{
			text	   *value = DatumGetTextPP(slot->tts_values[c->column - 1]);
			int			k = 0;

			while (k < c->n_values && !same_text(value, c->values[k]))
				k++;
			if (k == c->n_values)
				return false;
		}
	}
	return true;
}

/*
 * A sum of the given scale as numeric.
 */
static Datum
scaled(int128 value, int scale)
{
	char		digits[64];
	char	   *p = digits + sizeof(digits);
	bool		negative = value < 0;
	int			n = 0;

	if (value >= PG_INT64_MIN && value <= PG_INT64_MAX)
		return NumericGetDatum(int64_div_fast_to_numeric((int64) value, scale));
	*--p = '\0';
	while (value != 0 || n <= scale)
	{
		int			digit = (int) (value % 10);

		if (n++ == scale && scale > 0)
			*--p = '.';
		*--p = '0' + (negative ? -digit : digit);
		value /= 10;
	}
	if (negative)
		*--p = '-';
	return DirectFunctionCall3(numeric_in, CStringGetDatum(p), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

static int
scale_of(const Ledger *ledger, int number)
{
	return number < 0 ? 0 : ledger->numbers[number].scale;
}

static void
fill(Changes *changes, const Source *source, const CellKey *key, int64 subject_id, const Sum *sum, TupleTableSlot *slot)
{
	int			scale = scale_of(changes->ledger, source->weight);

	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, sizeof(bool) * DELTA_COLUMNS);
	slot->tts_values[0] = Int32GetDatum(source->source_id);
	slot->tts_values[1] = DateADTGetDatum(key->month);
	slot->tts_values[2] = RegionCodeGetDatum(key->region);
	slot->tts_values[3] = Int32GetDatum(key->institution);
	slot->tts_values[4] = PointerGetDatum(changes->names[key->segment]);
	slot->tts_values[5] = PointerGetDatum(changes->names[key->product]);
	slot->tts_values[6] = Int64GetDatum(subject_id);
	slot->tts_values[7] = Int64GetDatum(sum->n);
	slot->tts_values[8] = scaled(sum->value, scale + scale_of(changes->ledger, source->value));
	slot->tts_values[9] = scaled(sum->weight, scale);
	ExecStoreVirtualTuple(slot);
}

/* Rows on their way into credit._measure_delta. */
typedef struct Appending
{
	Relation	delta;
	BulkInsertState bulk;
	TupleTableSlot *slots[ROWS_AT_ONCE];
	int			made;
	int			n;
} Appending;

static void
send(Changes *changes, Appending *a)
{
	/* Its ring of buffers is worth its making only for many. */
	if (a->n == ROWS_AT_ONCE && a->bulk == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(changes->context);

		a->bulk = GetBulkInsertState();
		MemoryContextSwitchTo(old);
	}
	if (a->n > 0)
		table_multi_insert(a->delta, a->slots, a->n, GetCurrentCommandId(true), 0, a->bulk);
	for (int i = 0; i < a->n; i++)
		ExecClearTuple(a->slots[i]);
	a->n = 0;
	MemoryContextReset(changes->row);
}

static void
add(Changes *changes, Appending *a, int source, const CellKey *key, int64 subject_id, const Sum *sum)
{
	/* What a statement takes away here and adds here again is no change. */
	if (sum->n == 0 && sum->value == 0 && sum->weight == 0)
		return;
	if (a->n == a->made)
	{
		MemoryContext old = MemoryContextSwitchTo(changes->context);

		a->slots[a->made++] = MakeSingleTupleTableSlot(RelationGetDescr(a->delta), table_slot_callbacks(a->delta));
		MemoryContextSwitchTo(old);
	}
	fill(changes, &changes->ledger->sources[source], key, subject_id, sum, a->slots[a->n]);
	if (++a->n == ROWS_AT_ONCE)
		send(changes, a);
}

/*
 * Appending what was gathered.  The rows become visible with the statement's, at the
 * next command.
 */
static void
append(Changes *changes)
{
	static PgcreditKnown delta = {"_measure_delta"};
	Appending	a = {.delta = table_open(pgcredit_known_oid(&delta), RowExclusiveLock)};
	MemoryContext old = MemoryContextSwitchTo(changes->row);
	cells_iterator cell_scan;
	subjects_iterator subject_scan;
	CellEntry  *entry;
	Subject    *subject;

	Assert(RelationGetNumberOfAttributes(a.delta) == DELTA_COLUMNS);
	cells_start_iterate(changes->cells, &cell_scan);
	while ((entry = cells_iterate(changes->cells, &cell_scan)) != NULL)
		for (int i = 0; i < changes->ledger->n_sources; i++)
			add(changes, &a, i, &entry->key, 0, &entry->cell->sums[i]);
	subjects_start_iterate(changes->subjects, &subject_scan);
	while ((subject = subjects_iterate(changes->subjects, &subject_scan)) != NULL)
	{
		Sum			sum = {.n = subject->n};

		add(changes, &a, (int) subject->key.source, &subject->key.cell->key, subject->key.subject_id, &sum);
	}
	send(changes, &a);
	for (int i = 0; i < a.made; i++)
		ExecDropSingleTupleTableSlot(a.slots[i]);
	MemoryContextSwitchTo(old);
	if (a.bulk != NULL)
		FreeBulkInsertState(a.bulk);
	table_close(a.delta, NoLock);
	pgcredit_folder_wanted();
}

static void
count_subject(Changes *changes, Cell *cell, int source, int64 subject_id, int sign)
{
	SubjectKey	key = {.subject_id = subject_id, .cell = cell, .source = source};
	bool		found;
	Subject    *subject = subjects_insert(changes->subjects, key, &found);

	if (!found)
	{
		subject->n = 0;
		changes->taken += 2 * sizeof(Subject);
	}
	subject->n += sign;
}

static Cell *
cell_of(Changes *changes, const CellKey *key)
{
	bool		found;
	CellEntry  *entry;

	if (changes->last != NULL && memcmp(&changes->last->key, key, sizeof(CellKey)) == 0)
		return changes->last;
	entry = cells_insert(changes->cells, *key, &found);
	if (!found)
	{
		Size		size = offsetof(Cell, sums) + sizeof(Sum) * changes->ledger->n_sources;

		entry->cell = MemoryContextAllocZero(changes->gathered, size);
		entry->cell->key = *key;
		changes->taken += 2 * sizeof(CellEntry) + size;
	}
	changes->last = entry->cell;
	return entry->cell;
}

/*
 * The numeric columns of the row at hand.
 */
static void
read_numbers(Changes *changes, TupleTableSlot *slot)
{
	const Ledger *ledger = changes->ledger;

	for (int i = 0; i < ledger->n_numbers; i++)
	{
		int			column = ledger->numbers[i].attno - 1;

		changes->nulls[i] = slot->tts_isnull[column];
		changes->numbers[i] = slot->tts_isnull[column] ? 0 :
			DatumGetInt64(DirectFunctionCall1(numeric_int8,
											  DirectFunctionCall2(numeric_mul, slot->tts_values[column],
																  factors[ledger->numbers[i].scale])));
	}
}

/*
 * A row that the change adds (sign 1) or takes away (-1).
 */
void
pgcredit_changes_row(Changes *changes, TupleTableSlot *slot, int sign)
{
	const Ledger *ledger = changes->ledger;
	MemoryContext old;
	CellKey		key;
	Cell	   *cell;
	int64		subject;

	if (ledger->n_sources == 0)
		return;
	slot_getallattrs(slot);
	MemoryContextReset(changes->row);
	old = MemoryContextSwitchTo(changes->row);
	read_numbers(changes, slot);
	key.month = DatumGetDateADT(slot->tts_values[ledger->month - 1]);
	key.region = DatumGetRegionCode(slot->tts_values[ledger->region - 1]);
	key.institution = DatumGetInt32(slot->tts_values[ledger->institution - 1]);
	key.segment = name_of(changes, slot, ledger->segment);
	key.product = name_of(changes, slot, ledger->product);
	subject = slot->tts_isnull[ledger->subject - 1] ? 0 : DatumGetInt64(slot->tts_values[ledger->subject - 1]);
	MemoryContextSwitchTo(old);

	cell = cell_of(changes, &key);
	for (int i = 0; i < ledger->n_sources; i++)
	{
		const Source *source = &ledger->sources[i];
		Sum		   *sum = &cell->sums[i];

		if (!counts(changes, source, slot) ||
			(source->value >= 0 && changes->nulls[source->value]) ||
			(source->weight >= 0 && changes->nulls[source->weight]))
			continue;
		if (source->kind == SOURCE_DISTINCT)
		{
			if (subject != 0)
				count_subject(changes, cell, i, subject, sign);
			continue;
		}
		sum->n += sign;
		if (source->kind == SOURCE_SUM)
			sum->value += (int128) sign * changes->numbers[source->value];
		else if (source->kind == SOURCE_WEIGHTED)
		{
			sum->value += (int128) sign * changes->numbers[source->value] * changes->numbers[source->weight];
			sum->weight += (int128) sign * changes->numbers[source->weight];
		}
	}
	if (changes->taken >= GATHERED_MOST)
	{
		append(changes);
		gather_anew(changes);
	}
}

void
pgcredit_changes_end(Changes *changes)
{
	if (changes->cells->members > 0)
		append(changes);
	MemoryContextDelete(changes->context);
}
