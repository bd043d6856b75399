/*
 * verify.c
 *		credit.verify_log: is the log what it says it is?
 *
 * One pass over the entries in their order, with the rows of hashes and the
 * checkpoints read beside it; memory does not grow with the log.  What is wrong
 * is a result: also what cannot be read, so all reading is done in a
 * subtransaction, and errors that say that storage is damaged end there.
 *
 * Nothing that is found ends up in a table, so nothing has to be undone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "audit/audit_internal.h"
#include "audit/verify.h"
#include "core/core.h"

/* Leaves after which the progress is told; a multiple of TILE_WIDTH. */
#define MARK_EVERY 4096
#define RESULT_COLUMNS 13

PG_FUNCTION_INFO_V1(pgcredit_verify_log);

/*
 * Note what is wrong first, and return false.  With something pending it is
 * that, whatever came of it later.
 */
bool
pgcredit_verify_wrong(Verify *verify, const char *code, uint64 seq, const char *format,...)
{
	MemoryContext old;
	StringInfoData detail;

	if (verify->problem.code)
		return false;
	if (verify->pending.code)
	{
		verify->problem = verify->pending;
		if (strcmp(verify->problem.code, "leaf") == 0)
			verify->problem.code = "entry_changed";
		return false;
	}
	old = MemoryContextSwitchTo(GetMemoryChunkContext(verify));
	initStringInfo(&detail);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&detail, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&detail, needed);
	}
	MemoryContextSwitchTo(old);
	verify->problem.code = code;
	verify->problem.seq = (int64) seq;
	verify->problem.detail = detail.data;
	return false;
}

/* ---------------------------------------------------------------------------
 * Entries
 * ---------------------------------------------------------------------------
 */

static bool
take_entry(Verify *verify)
{
	uint64		seq = verify->next + 1;
	PgcreditMerkleHash hash;
	Size		len;

	switch (pgcredit_verify_entry(&verify->entries, seq, hash, &len))
	{
		case LEAF_GOOD:
			break;
		case LEAF_TOO_LONG:
			return pgcredit_verify_wrong(verify, "entry_changed", seq, "It has %zu bytes, no entry has more than %d.", len, PGCREDIT_ENTRY_MAX);
		case LEAF_OTHER_NUMBER:
			return pgcredit_verify_wrong(verify, "entry_number", seq, "Its bytes do not say this number.");
		case LEAF_OTHER_LIST:
			return pgcredit_verify_wrong(verify, "list_changed", seq, "The rows of credit.audit_list are not those that it has the root of.");
	}
	verify->code = Max(verify->code, verify->entries.code);
	pgcredit_entries_next(&verify->entries);
	verify->count.entries++;
	verify->dropped = false;
	return pgcredit_verify_leaf(verify, hash);
}

/*
 * Take the hashes of entries that the retention policy dropped: it drops from
 * the beginning, and its rows take the place of those of credit.audit_leaf.
 */
static bool
take_dropped(Verify *verify)
{
	const PgcreditMerkleHash *stored;
	PgcreditMerkleHash hashes[LEAF_ROW];
	bytea	   *bytes = DatumGetByteaPP(pgcredit_rows_column(&verify->pruned_rows, LEAF_HASHES));

	if (VARSIZE_ANY_EXHDR(bytes) != sizeof(hashes))
		return pgcredit_verify_wrong(verify, "tile_changed", verify->next + 1, "Row " UINT64_FORMAT " of credit.audit_pruned has %zu bytes.",
									 verify->next / LEAF_ROW, (Size) VARSIZE_ANY_EXHDR(bytes));
	stored = (const PgcreditMerkleHash *) VARDATA_ANY(bytes);
	memcpy(hashes, stored, sizeof(hashes));
	pgcredit_rows_next(&verify->pruned_rows);
	verify->dropped = true;
	verify->count.entries += LEAF_ROW;
	verify->count.dropped += LEAF_ROW;
	verify->count.tiles++;
	for (int k = 0; k < LEAF_ROW; k++)
		if (!pgcredit_verify_leaf(verify, hashes[k]) ||
			(verify->next == verify->checkpoint_size && !pgcredit_verify_checkpoint(verify)))
			return false;
	return true;
}

/*
 * Begin a range.  What a worker has made of it counts if it was all as it should
 * be, and begins where the entries that were read here before have ended; what
 * does not is read here, so that it is told what is wrong as if nobody had helped.
 */
static void
begin_range(Verify *verify)
{
	EntryScan  *entries = &verify->entries;
	bool		reading = entries->scan != NULL && verify->ready == NULL;
	const VerifyRange *made = pgcredit_workers_take(verify->workers);

	pgcredit_shown_take(&verify->shown, entries->pages);
	pgcredit_pages_empty(entries->pages, &verify->shown);
	verify->range_end = Min(verify->next + verify->range, verify->end);
	verify->ready = NULL;
	if (made && !(reading && entries->seq != (int64) verify->next + 1))
	{
		verify->ready = made->leaves;
		verify->code = Max(verify->code, made->code);
		pgcredit_shown_take(&verify->shown, &made->pages);
	}
	else if (!reading)
		pgcredit_entries_seek(entries, verify->next + 1);
}

/*
 * Take the next entry, or the next row of dropped ones.
 */
static bool
take_next(Verify *verify)
{
	int64		expected = (int64) verify->next + 1;
	int64		seq;

	if (verify->next >= verify->range_end)
		begin_range(verify);
	if (verify->ready)
	{
		verify->count.entries++;
		verify->dropped = false;
		return pgcredit_verify_leaf(verify, *verify->ready++);
	}
	seq = verify->entries.seq;
	if (seq == expected)
		return take_entry(verify);
	if (seq < expected)
		return pgcredit_verify_wrong(verify, "entry_double", seq, "Entry " INT64_FORMAT " is in the log twice, or has a number that none has.", seq);
	if (verify->next % LEAF_ROW == 0 &&
		(verify->dropped || verify->next == verify->begin) &&
		verify->pruned_rows.tuple &&
		DatumGetInt64(pgcredit_rows_column(&verify->pruned_rows, LEAF_N)) == (int64) (verify->next / LEAF_ROW))
		return take_dropped(verify);
	if (verify->entries.tuple)
		return pgcredit_verify_wrong(verify, "entry_missing", expected, "The next one in the log is " INT64_FORMAT ".", seq);
	return pgcredit_verify_wrong(verify, "entry_missing", expected, "The log should have " UINT64_FORMAT " entries.", verify->end);
}

static void
keep_mark(const Verify *verify)
{
	VerifyMark	mark;

	pgcredit_progress(VERIFY_ENTRIES, verify->next - verify->start, verify->end - verify->start,
					  pgcredit_workers_launched(verify->workers));
	if (verify->pending.code)
		return;
	mark.valid = true;
	mark.start = verify->start;
	mark.next = verify->next;
	mark.signed_size = verify->signed_size;
	mark.origin = verify->origin;
	mark.count = verify->count;
	pgcredit_verify_root(verify, mark.root);
	pgcredit_mark_keep(&mark);
}

static bool
take_leaves(Verify *verify)
{
	for (;;)
	{
		if (verify->next == verify->checkpoint_size && !pgcredit_verify_checkpoint(verify))
			return false;
		if (verify->next == verify->known.size && verify->next > verify->begin)
		{
			PgcreditMerkleHash root;

			pgcredit_verify_root(verify, root);
			if (memcmp(root, verify->known.root, sizeof(root)) != 0)
				return pgcredit_verify_wrong(verify, "log_rewritten", verify->signed_size == verify->next ? 0 : verify->signed_size + 1,
											 "Since its start the server has signed another root over " UINT64_FORMAT " entries.", verify->next);
		}
		if (verify->next >= verify->end)
			return true;
		CHECK_FOR_INTERRUPTS();
		if (!take_next(verify))
			return false;
		if (verify->next % MARK_EVERY == 0)
			keep_mark(verify);
	}
}

static bool
take_entries(Verify *verify)
{
	bool		good;

	pgcredit_entries_begin(&verify->entries, verify->tree->entry, verify->tree->snapshot);
	verify->entries.pages = palloc(sizeof(EntryPages));
	pgcredit_shown_begin(&verify->shown, verify->tree->entry);
	pgcredit_pages_empty(verify->entries.pages, &verify->shown);
	verify->range = VERIFY_RANGE;
	pgcredit_workers_begin(verify);
	good = take_leaves(verify);
	pgcredit_shown_take(&verify->shown, verify->entries.pages);
	pgcredit_workers_end(verify);
	return good;
}

/* ---------------------------------------------------------------------------
 * Before and after
 * ---------------------------------------------------------------------------
 */

/*
 * Take the stored subtrees before the first leaf of this call; what is verified
 * on top of them has a signed root only if they are right.
 */
static bool
take_beginning(Verify *verify, const VerifyMark *mark)
{
	PgcreditMerkleHash root;

	if (verify->begin == 0)
		return true;
	verify->tree->size = verify->end;
	verify->n_peaks = pgcredit_tree_peaks(verify->tree, verify->begin, verify->peaks);
	verify->next = verify->begin;
	for (int height = 63, k = 0; height >= 0; height--)
		if ((verify->begin >> height & 1) == 1)
			verify->heights[k++] = height;
	pgcredit_verify_root(verify, root);
	if (mark->valid && memcmp(mark->root, root, sizeof(root)) != 0)
		return pgcredit_verify_wrong(verify, "tile_changed", 0,
									 "The hashes over the first " UINT64_FORMAT " entries are not those that were verified before.", verify->begin);
	return true;
}

/*
 * Where the end of the log was not asked for: go on with stored subtrees to the
 * newest checkpoint, whose root then says whether all of it fits.
 */
static bool
take_rest(Verify *verify)
{
	int64		newest = pgcredit_seek_last(verify->checkpoint, "audit_checkpoint_pkey", verify->tree->snapshot, -1);
	ScanKeyData key;

	if (newest <= (int64) verify->next)
		return true;
	verify->tree->size = (uint64) newest;
	while (verify->next < (uint64) newest)
	{
		unsigned int height = 0;
		PgcreditMerkleHash hash;

		while (height < 62 && (verify->next & ((UINT64CONST(2) << height) - 1)) == 0 &&
			   verify->next + (UINT64CONST(2) << height) <= (uint64) newest)
			height++;
		(void) pgcredit_tree_read(verify->tree, height, verify->next >> height, hash);
		pgcredit_verify_push(verify, height, hash, false);
	}
	ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(newest));
	pgcredit_rows_end(&verify->checkpoint_rows);
	pgcredit_rows_begin(&verify->checkpoint_rows, verify->checkpoint, "audit_checkpoint_pkey", 1, &key, verify->tree->snapshot);
	pgcredit_rows_end(&verify->cosignature_rows);
	pgcredit_rows_begin(&verify->cosignature_rows, verify->cosignature, "audit_cosignature_pkey", 1, &key, verify->tree->snapshot);
	verify->checkpoint_size = (uint64) newest;
	return pgcredit_verify_checkpoint(verify);
}

/*
 * Have the tables rows that their indexes do not show?
 */
static bool
count_rows(Verify *verify)
{
	Tree	   *tree = verify->tree;
	uint64		entries = (uint64) (verify->count.entries - verify->count.dropped);
	uint64		dropped = (uint64) verify->count.dropped;
	int64		sum;
	uint64		counted;

	pgcredit_progress(VERIFY_ROWS, verify->next, verify->end, 0);
	counted = pgcredit_entries_count(&verify->entries, &verify->shown, &sum);
	if (counted != entries)
		return pgcredit_verify_wrong(verify, "entry_hidden",
									 counted != entries + 1 ? 0 :
									 (uint64) sum - (verify->next * (verify->next + 1) / 2 - dropped * (dropped + 1) / 2),
									 "credit.audit_entry has " UINT64_FORMAT " rows, of which its index shows " UINT64_FORMAT ".", counted, entries);
	counted = pgcredit_rows_count(tree->leaf, tree->snapshot) +
		pgcredit_rows_count(tree->node, tree->snapshot) +
		pgcredit_rows_count(tree->pruned, tree->snapshot);
	if (counted != (uint64) verify->count.tiles)
		return pgcredit_verify_wrong(verify, "tile_extra", 0, "The tables of hashes have " UINT64_FORMAT " rows, " INT64_FORMAT " belong there.",
									 counted, verify->count.tiles);
	counted = pgcredit_rows_count(verify->checkpoint, tree->snapshot);
	if (counted != (uint64) verify->count.checkpoints)
		return pgcredit_verify_wrong(verify, "checkpoint_changed", 0, "credit.audit_checkpoint has " UINT64_FORMAT " rows, of which its index shows " INT64_FORMAT ".",
									 counted, verify->count.checkpoints);
	return true;
}

/*
 * What somebody showed us of the outside.
 */
static bool
check_conflicts(Verify *verify)
{
	Oid			types[1] = {TEXTOID};
	Datum		args[1];
	char	   *what = NULL;

	if (verify->n_origins == 0)
		return true;
	args[0] = CStringGetTextDatum(verify->origins[verify->n_origins - 1].name);
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args("SELECT what FROM credit.audit_conflict"
							  " WHERE pg_catalog.split_part(note, E'\\n', 1) OPERATOR(pg_catalog.=) $1 LIMIT 1",
							  1, types, args, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read credit.audit_conflict");
	if (SPI_processed > 0)
		what = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (what)
		(void) pgcredit_verify_wrong(verify, "conflict", 0, "The log is no continuation of a checkpoint known outside (%s), see credit.audit_conflict.", what);
	SPI_finish();
	return what == NULL;
}

static bool
take_log(Verify *verify, const VerifyMark *mark)
{
	if (!take_beginning(verify, mark))
		return false;
	if (!pgcredit_verify_notes_begin(verify))
		return false;
	pgcredit_verify_tree_begin(verify);
	if (!take_entries(verify) ||
		(verify->to_end && !pgcredit_verify_notes_end(verify)) ||
		!pgcredit_verify_tree_end(verify) ||
		(!verify->to_end && !take_rest(verify)))
		return false;
	if (verify->pending.code)
		return pgcredit_verify_wrong(verify, verify->pending.code, 0, "%s", "");
	if (verify->start == 0 && verify->to_end)
	{
		if (verify->count.dropped > (int64) verify->signed_size)
			return pgcredit_verify_wrong(verify, "dropped_unsigned", verify->signed_size + 1,
										 "Entries were dropped that no checkpoint is over.");
		if (!count_rows(verify))
			return false;
	}
	return !verify->to_end || (check_conflicts(verify) && pgcredit_verify_code(verify));
}

/*
 * Verify the entries from first to last, 0 for the end of the log; or go on.
 */
static void
run(Verify *verify, int64 first, int64 last, const VerifyMark *mark)
{
	uint64		size;

	pgcredit_progress(VERIFY_SETUP, 0, 0, 0);
	pgcredit_known_checkpoint(&verify->known);
	PushActiveSnapshot(GetLatestSnapshot());
	if (pgcredit_verify_setup(verify))
	{
		verify->tree = pgcredit_tree_open(GetActiveSnapshot());
		size = pgcredit_tree_end(verify->tree);
		verify->start = mark->valid ? mark->start : (uint64) (first - 1) / TILE_WIDTH * TILE_WIDTH;
		verify->begin = mark->valid ? mark->next : verify->start;
		if (mark->valid)
		{
			verify->count = mark->count;
			verify->signed_size = mark->signed_size;
			verify->origin = mark->origin;
		}
		verify->dropped = verify->begin == verify->start || verify->count.dropped == verify->count.entries;
		verify->end = last == 0 ? size : Min(size, ((uint64) last + TILE_WIDTH - 1) / TILE_WIDTH * TILE_WIDTH);
		verify->to_end = verify->end == size;
		if (verify->begin > size || (last > 0 && (uint64) last > size) || (size > 0 && first > 0 && (uint64) first > size))
			(void) pgcredit_verify_wrong(verify, "entry_missing", size + 1, "The log has " UINT64_FORMAT " entries.", size);
		else if (verify->begin <= verify->end)
			(void) take_log(verify, mark);
	}
	pgcredit_progress(VERIFY_IDLE, 0, 0, 0);
}

/*
 * Run in a subtransaction, which is always rolled back: it closes whatever is
 * open, also where an error says that storage is damaged.  False when it says so
 * while workers read ahead: then something else may be wrong before.
 */
static bool
run_guarded(Verify *verify, int64 first, int64 last, const VerifyMark *mark)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		run(verify, first, last, mark);
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		pgcredit_progress(VERIFY_IDLE, 0, 0, 0);
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (category != ERRCODE_TO_CATEGORY(ERRCODE_DATA_CORRUPTED) &&
			category != ERRCODE_TO_CATEGORY(ERRCODE_IO_ERROR))
			ReThrowError(error);
		(void) pgcredit_verify_wrong(verify, "unreadable", verify->next + 1, "%s%s%s", error->message,
									 error->detail ? ": " : ".", error->detail ? error->detail : "");
		FreeErrorData(error);
	}
	PG_END_TRY();
	return verify->workers == NULL;
}

/*
 * credit.verify_log(first bigint, last bigint, resume boolean): one row.
 * 22023 for a range that is none, or one beside resume.
 */
Datum
pgcredit_verify_log(PG_FUNCTION_ARGS)
{
	Verify	   *verify = palloc0(sizeof(Verify));
	VerifyMark	mark = {0};
	bool		resume = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	int64		first = PG_ARGISNULL(0) ? 1 : PG_GETARG_INT64(0);
	int64		last = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	TupleDesc	desc;
	PgcreditMerkleHash root;
	bytea	   *root_value = palloc(VARHDRSZ + sizeof(root));
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != RESULT_COLUMNS)
		elog(ERROR, "credit.verify_log must return a row of %d columns", RESULT_COLUMNS);
	if (first < 1 || (!PG_ARGISNULL(1) && last < first) || last > PG_INT64_MAX - TILE_WIDTH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are no entries from " INT64_FORMAT " to " INT64_FORMAT, first, last),
				 errhint("Entries are numbered from 1; leave out the last to verify up to the end.")));
	if (resume && !PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a verification that is resumed has its first entry already"),
				 errhint("Leave out one of first and resume.")));
	if (resume)
		(void) pgcredit_mark_get(&mark);
	if (!run_guarded(verify, first, last, &mark))
	{
		verify = palloc0(sizeof(Verify));
		verify->alone = true;
		(void) run_guarded(verify, first, last, &mark);
	}

	pgcredit_verify_root(verify, root);
	SET_VARSIZE(root_value, VARHDRSZ + sizeof(root));
	memcpy(VARDATA(root_value), root, sizeof(root));
	values[0] = BoolGetDatum(verify->problem.code == NULL);
	values[1] = Int64GetDatum(verify->problem.seq);
	nulls[1] = verify->problem.seq == 0;
	nulls[2] = nulls[3] = verify->problem.code == NULL;
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(verify->problem.code);
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(verify->problem.detail);
	values[4] = Int64GetDatum((int64) verify->start + 1);
	values[5] = Int64GetDatum((int64) verify->start + verify->count.entries);
	values[6] = Int64GetDatum(verify->count.entries);
	values[7] = Int64GetDatum(verify->count.dropped);
	values[8] = Int64GetDatum(verify->count.tiles);
	values[9] = Int64GetDatum(verify->count.checkpoints);
	values[10] = Int64GetDatum(verify->count.cosignatures);
	/* of a wrong log there is no root */
	values[11] = Int64GetDatum((int64) verify->next);
	values[12] = PointerGetDatum(root_value);
	nulls[11] = nulls[12] = verify->problem.code != NULL;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
