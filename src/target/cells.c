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
#include "executor/executor.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"

#include "core/core.h"
#include "target/measure.h"

/* Cells held in memory before they are appended, and rows appended at once. */
#define CELLS_MOST	100000
#define ROWS_AT_ONCE 500

/* Columns of credit._measure_delta. */
#define DELTA_COLUMNS 10

typedef struct CellKey
{
	int64		subject_id;		/* 0 unless the metric counts subjects */
	int32		source;			/* index of Ledger.sources */
	DateADT		month;
	int32		region;
	int32		institution;
	int32		segment;		/* index of Changes.names */
	int32		product;
} CellKey;

typedef struct Cell
{
	CellKey		key;
	int64		n;
	int128		value;
	int128		weight;
} Cell;

struct Changes
{
	Ledger	   *ledger;
	MemoryContext context;
	MemoryContext row;			/* reset for each row */
	HTAB	   *cells;
	int			n_names;
	int			max_names;
	text	  **names;			/* segments and products met */
	int64	   *numbers;		/* of the row at hand, by index of Ledger.numbers */
	bool	   *nulls;
	Datum		factors[19];	/* powers of ten, numeric */
};

static HTAB *
new_cells(MemoryContext context)
{
	HASHCTL		ctl = {.keysize = sizeof(CellKey), .entrysize = sizeof(Cell), .hcxt = context};

	return hash_create("pgcredit changed cells", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
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
	changes->cells = new_cells(context);
	changes->max_names = 16;
	changes->names = palloc(sizeof(text *) * changes->max_names);
	changes->numbers = palloc(sizeof(int64) * Max(changes->ledger->n_numbers, 1));
	changes->nulls = palloc(sizeof(bool) * Max(changes->ledger->n_numbers, 1));
	changes->factors[0] = NumericGetDatum(int64_to_numeric(1));
	for (int i = 1; i < lengthof(changes->factors); i++)
		changes->factors[i] = DirectFunctionCall2(numeric_mul, changes->factors[i - 1],
												  NumericGetDatum(int64_to_numeric(10)));
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
fill(Changes *changes, const Cell *cell, TupleTableSlot *slot)
{
	const Source *source = &changes->ledger->sources[cell->key.source];
	int			scale = scale_of(changes->ledger, source->weight);

	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, sizeof(bool) * DELTA_COLUMNS);
	slot->tts_values[0] = Int32GetDatum(source->source_id);
	slot->tts_values[1] = DateADTGetDatum(cell->key.month);
	slot->tts_values[2] = Int32GetDatum(cell->key.region);
	slot->tts_values[3] = Int32GetDatum(cell->key.institution);
	slot->tts_values[4] = PointerGetDatum(changes->names[cell->key.segment]);
	slot->tts_values[5] = PointerGetDatum(changes->names[cell->key.product]);
	slot->tts_values[6] = Int64GetDatum(cell->key.subject_id);
	slot->tts_values[7] = Int64GetDatum(cell->n);
	slot->tts_values[8] = scaled(cell->value, scale + scale_of(changes->ledger, source->value));
	slot->tts_values[9] = scaled(cell->weight, scale);
	ExecStoreVirtualTuple(slot);
}

/*
 * Append what was gathered.  The rows become visible with the statement's, at the
 * next command.
 */
static void
append(Changes *changes)
{
	Relation	delta = table_open(pgcredit_relation_oid("_measure_delta", false), RowExclusiveLock);
	BulkInsertState bulk = GetBulkInsertState();
	MemoryContext old = MemoryContextSwitchTo(changes->row);
	TupleTableSlot *slots[ROWS_AT_ONCE];
	int			made = 0;
	int			n = 0;
	HASH_SEQ_STATUS scan;
	Cell	   *cell;

	Assert(RelationGetNumberOfAttributes(delta) == DELTA_COLUMNS);
	hash_seq_init(&scan, changes->cells);
	while ((cell = hash_seq_search(&scan)) != NULL)
	{
		/* What a statement takes away here and adds here again is no change. */
		if (cell->n == 0 && cell->value == 0 && cell->weight == 0)
			continue;
		if (n == made)
		{
			MemoryContextSwitchTo(changes->context);
			slots[made++] = MakeSingleTupleTableSlot(RelationGetDescr(delta), table_slot_callbacks(delta));
			MemoryContextSwitchTo(changes->row);
		}
		fill(changes, cell, slots[n]);
		if (++n == ROWS_AT_ONCE)
		{
			table_multi_insert(delta, slots, n, GetCurrentCommandId(true), 0, bulk);
			n = 0;
			for (int i = 0; i < made; i++)
				ExecClearTuple(slots[i]);
			MemoryContextReset(changes->row);
		}
	}
	if (n > 0)
		table_multi_insert(delta, slots, n, GetCurrentCommandId(true), 0, bulk);
	for (int i = 0; i < made; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	MemoryContextSwitchTo(old);
	MemoryContextReset(changes->row);
	FreeBulkInsertState(bulk);
	table_close(delta, NoLock);
	pgcredit_folder_wanted();
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
	int64		subject;

	if (ledger->n_sources == 0)
		return;
	slot_getallattrs(slot);
	MemoryContextReset(changes->row);
	old = MemoryContextSwitchTo(changes->row);
	for (int i = 0; i < ledger->n_numbers; i++)
	{
		int			column = ledger->numbers[i].attno - 1;

		changes->nulls[i] = slot->tts_isnull[column];
		changes->numbers[i] = slot->tts_isnull[column] ? 0 :
			DatumGetInt64(DirectFunctionCall1(numeric_int8,
											  DirectFunctionCall2(numeric_mul, slot->tts_values[column],
																  changes->factors[ledger->numbers[i].scale])));
	}
	memset(&key, 0, sizeof(key));
	key.month = DatumGetDateADT(slot->tts_values[ledger->month - 1]);
	key.region = DatumGetInt32(slot->tts_values[ledger->region - 1]);
	key.institution = DatumGetInt32(slot->tts_values[ledger->institution - 1]);
	key.segment = name_of(changes, slot, ledger->segment);
	key.product = name_of(changes, slot, ledger->product);
	subject = slot->tts_isnull[ledger->subject - 1] ? 0 : DatumGetInt64(slot->tts_values[ledger->subject - 1]);
	MemoryContextSwitchTo(old);

	for (int i = 0; i < ledger->n_sources; i++)
	{
		const Source *source = &ledger->sources[i];
		Cell	   *cell;
		bool		found;

		if (!counts(changes, source, slot))
			continue;
		if ((source->kind == SOURCE_DISTINCT && subject == 0) ||
			(source->value >= 0 && changes->nulls[source->value]) ||
			(source->weight >= 0 && changes->nulls[source->weight]))
			continue;
		key.source = i;
		key.subject_id = source->kind == SOURCE_DISTINCT ? subject : 0;
		cell = hash_search(changes->cells, &key, HASH_ENTER, &found);
		if (!found)
			cell->n = 0, cell->value = 0, cell->weight = 0;
		cell->n += sign;
		if (source->kind == SOURCE_SUM)
			cell->value += (int128) sign * changes->numbers[source->value];
		else if (source->kind == SOURCE_WEIGHTED)
		{
			cell->value += (int128) sign * changes->numbers[source->value] * changes->numbers[source->weight];
			cell->weight += (int128) sign * changes->numbers[source->weight];
		}
	}
	if (hash_get_num_entries(changes->cells) >= CELLS_MOST)
	{
		append(changes);
		hash_destroy(changes->cells);
		changes->cells = new_cells(changes->context);
	}
}

void
pgcredit_changes_end(Changes *changes)
{
	if (hash_get_num_entries(changes->cells) > 0)
		append(changes);
	MemoryContextDelete(changes->context);
}
