/*
 * checkpoint.c
 *		What the log signs: the rows of credit.audit_checkpoint, and making one.
 *
 * A log must never sign two checkpoints of which neither continues the other.
 * So before it signs, the notary computes the root at the size of the newest
 * checkpoint anew from the tiles and compares; does the same with the newest
 * that this server has signed since its start, which is in shared memory, out of
 * reach of SQL; and with the newest that is known outside, where
 * pgcredit.checkpoint_fetch_command says it.  What only somebody outside can
 * know comes by credit.check_checkpoint.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "access/table.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit/append.h"
#include "audit/audit_internal.h"
#include "audit/checkpoint.h"
#include "audit/notary.h"
#include "audit/tree.h"
#include "core/core.h"

/* Columns of credit.audit_checkpoint, from 1 */
enum
{
	CHECKPOINT_LOG_SIZE = 1, CHECKPOINT_ROOT, CHECKPOINT_PEAKS, CHECKPOINT_NOTE, CHECKPOINT_SIGNED,
	CHECKPOINT_COLUMNS = CHECKPOINT_SIGNED
};

/* Random bytes in the name of a log that got none. */
#define DEFAULT_NAME_BYTES 16

/* ---------------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------------
 */

/*
 * The checkpoint of a size, or with size 0 the newest; false when there is
 * none.  root and note (palloc'd) may be NULL, as may tree, which otherwise
 * takes the size and the peaks.
 */
static bool
find_checkpoint(Snapshot snapshot, uint64 size, Tree *tree, PgcreditMerkleHash root,
				uint64 *found_size, char **note)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_checkpoint", false), AccessShareLock);
	ScanKeyData key;
	Seek		seek;
	HeapTuple	tuple;

	ScanKeyInit(&key, CHECKPOINT_LOG_SIZE, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum((int64) size));
	pgcredit_seek_begin(&seek, rel, "audit_checkpoint_pkey", size > 0 ? 1 : 0, &key, snapshot);
	tuple = pgcredit_seek_next(&seek, BackwardScanDirection);
	if (tuple != NULL)
	{
		bytea	   *stored = DatumGetByteaPP(pgcredit_seek_column(&seek, tuple, CHECKPOINT_ROOT));

		size = (uint64) DatumGetInt64(pgcredit_seek_column(&seek, tuple, CHECKPOINT_LOG_SIZE));
		if (VARSIZE_ANY_EXHDR(stored) != sizeof(PgcreditMerkleHash))
			pgcredit_tree_corrupted(psprintf("The checkpoint of size " UINT64_FORMAT " has no root.", size));
		if (root)
			memcpy(root, VARDATA_ANY(stored), sizeof(PgcreditMerkleHash));
		if (found_size)
			*found_size = size;
		if (note)
			*note = TextDatumGetCString(pgcredit_seek_column(&seek, tuple, CHECKPOINT_NOTE));
		if (tree)
		{
			tree->size = size;
			pgcredit_tree_use_peaks(tree, size,
									DatumGetByteaPP(pgcredit_seek_column(&seek, tuple, CHECKPOINT_PEAKS)));
		}
	}
	pgcredit_seek_end(&seek);
	table_close(rel, NoLock);
	return tuple != NULL;
}

bool
pgcredit_checkpoint_take(Tree *tree, uint64 size)
{
	return size > 0 && find_checkpoint(tree->snapshot, size, tree, NULL, NULL, NULL);
}

bool
pgcredit_checkpoint_newest(Tree *tree)
{
	return find_checkpoint(tree->snapshot, 0, tree, NULL, NULL, NULL);
}

/*
 * The newest checkpoint's note, palloc'd, or NULL.
 */
char *
pgcredit_checkpoint_newest_note(void)
{
	char	   *note = NULL;

	PushActiveSnapshot(GetLatestSnapshot());
	(void) find_checkpoint(GetActiveSnapshot(), 0, NULL, NULL, NULL, &note);
	PopActiveSnapshot();
	return note;
}

/*
 * Has anything been signed?
 */
bool
pgcredit_checkpoint_exists(void)
{
	return pgcredit_checkpoint_newest_note() != NULL;
}

/* ---------------------------------------------------------------------------
 * Refusing to sign
 * ---------------------------------------------------------------------------
 */

static void
refuse_behind(const char *what, uint64 size, uint64 known)
{
	ereport(ERROR,
			(errcode(ERRCODE_PGCREDIT_LOG_BEHIND),
			 errmsg("the log is no continuation of a checkpoint that it has signed"),
			 errdetail("It has " UINT64_FORMAT " entries; %s is over " UINT64_FORMAT ".", size, what, known),
			 errhint("If the database was restored from a backup, recover it to its end; to go on from here, give the log a new name with credit.set_log_origin.")));
}

/*
 * Raise unless the tree is a continuation of a checkpoint.
 */
static void
check_continues(Tree *tree, const char *what, uint64 known_size, const PgcreditMerkleHash known_root)
{
	PgcreditMerkleHash root;

	if (known_size > tree->size)
		refuse_behind(what, tree->size, known_size);
	pgcredit_tree_root(tree, known_size, root);
	if (memcmp(root, known_root, sizeof(root)) != 0)
		refuse_behind(psprintf("%s has another root and", what), tree->size, known_size);
}

/*
 * Is this a checkpoint that this log has signed under the name?  Raises when it
 * is anything else.
 */
void
pgcredit_checkpoint_parse_own(const char *text, Size len, const PgcreditNoteKey *key, PgcreditCheckpoint *out)
{
	PgcreditNote note;
	PgcreditNoteSignature line;
	Size		at = 0;
	bool		bad = false;
	bool		ours = false;

	if (!pgcredit_note_open(text, len, &note) ||
		!pgcredit_checkpoint_parse(note.text, note.text_len, out))
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_NOTE_INVALID),
				 errmsg("this is no signed checkpoint"),
				 errhint("See C2SP signed-note and tlog-checkpoint.")));
	while (!ours && pgcredit_note_next(&note, &at, &line, &bad))
		ours = pgcredit_note_line_is_of(&line, key) &&
			pgcredit_note_check(&line, key, note.text, note.text_len, NULL);
	if (!ours || strcmp(out->origin, key->name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_NOTE_INVALID),
				 errmsg("the checkpoint was not signed by this log"),
				 errdetail("It is of \"%s\", this log signs as \"%s\".", out->origin, key->name)));
}

/*
 * Raise when somebody showed us a checkpoint under the present name that the
 * log is no continuation of.
 */
static void
check_no_conflict(const char *origin)
{
	Oid			types[1] = {TEXTOID};
	Datum		args[1] = {CStringGetTextDatum(origin)};

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args("SELECT what FROM credit.audit_conflict"
							  " WHERE pg_catalog.split_part(note, E'\\n', 1) OPERATOR(pg_catalog.=) $1 LIMIT 1",
							  1, types, args, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read credit.audit_conflict");
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_LOG_BEHIND),
				 errmsg("the log is no continuation of a checkpoint that is known outside"),
				 errdetail("credit.audit_conflict has it."),
				 errhint("If the database was restored from a backup, recover it to its end; to go on from here, give the log a new name with credit.set_log_origin.")));
	SPI_finish();
}

/*
 * The name to sign under, palloc'd; a log that has none gets one.
 */
static char *
take_origin(void)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *origin = NULL;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute("SELECT origin FROM credit.audit_origin ORDER BY since DESC LIMIT 1", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read credit.audit_origin");
	if (SPI_processed > 0)
		origin = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	if (origin == NULL)
	{
		Appender	origins;
		TupleTableSlot *slot;
		uint8		random[DEFAULT_NAME_BYTES];
		char		name[sizeof("credit-log.invalid/") + 2 * DEFAULT_NAME_BYTES] = "credit-log.invalid/";

		pgcredit_random(random, sizeof(random));
		for (int k = 0; k < DEFAULT_NAME_BYTES; k++)
			sprintf(name + strlen(name), "%02x", random[k]);
		origin = pstrdup(name);
		pgcredit_append_open(&origins, "audit_origin", 2);
		slot = pgcredit_append_row(&origins);
		slot->tts_values[0] = CStringGetTextDatum(origin);
		slot->tts_values[1] = TimestampTzGetDatum(GetCurrentTimestamp());
		pgcredit_append_close(&origins);
	}
	return origin;
}

/* ---------------------------------------------------------------------------
 * Signing, in the notary's transaction
 * ---------------------------------------------------------------------------
 */

static void
put_row(Tree *tree, const PgcreditCheckpoint *checkpoint, const char *note)
{
	PgcreditMerkleHash peaks[PEAKS_MAX];
	int			n = pgcredit_tree_peaks(tree, checkpoint->size, peaks);
	Appender	checkpoints;
	TupleTableSlot *slot;
	bytea	   *root = palloc(VARHDRSZ + sizeof(PgcreditMerkleHash));
	bytea	   *peaks_value = palloc(VARHDRSZ + n * sizeof(PgcreditMerkleHash));

	SET_VARSIZE(root, VARHDRSZ + sizeof(PgcreditMerkleHash));
	memcpy(VARDATA(root), checkpoint->root, sizeof(PgcreditMerkleHash));
	SET_VARSIZE(peaks_value, VARHDRSZ + n * sizeof(PgcreditMerkleHash));
	memcpy(VARDATA(peaks_value), peaks, n * sizeof(PgcreditMerkleHash));
	pgcredit_append_open(&checkpoints, "audit_checkpoint", CHECKPOINT_COLUMNS);
	slot = pgcredit_append_row(&checkpoints);
	slot->tts_values[CHECKPOINT_LOG_SIZE - 1] = Int64GetDatum((int64) checkpoint->size);
	slot->tts_values[CHECKPOINT_ROOT - 1] = PointerGetDatum(root);
	slot->tts_values[CHECKPOINT_PEAKS - 1] = PointerGetDatum(peaks_value);
	slot->tts_values[CHECKPOINT_NOTE - 1] = CStringGetTextDatum(note);
	slot->tts_values[CHECKPOINT_SIGNED - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	pgcredit_append_close(&checkpoints);
}

/*
 * Is this a note under a name that the log had before its present one?  Then
 * credit.set_log_origin has said that the log is no continuation of it.
 */
static bool
was_given_up(const char *note, const char *origin)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		args[2] = {CStringGetTextDatum(note), CStringGetTextDatum(origin)};
	bool		given_up;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args("SELECT FROM credit.audit_origin"
							  " WHERE origin OPERATOR(pg_catalog.=) pg_catalog.split_part($1, E'\n', 1)"
							  " AND origin OPERATOR(pg_catalog.<>) $2",
							  2, types, args, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read credit.audit_origin");
	given_up = SPI_processed > 0;
	SPI_finish();
	return given_up;
}

/*
 * Sign what the active snapshot sees of the log, unless its newest checkpoint
 * is over all of it and under the present name.  *known is the newest that this
 * server signed before (size 0: none), and becomes the newest; outside, a note
 * known outside, may be NULL.  Returns whether there is a new one; the caller
 * commits, and lets nobody have it before.
 */
bool
pgcredit_checkpoint_sign(PgcreditCheckpoint *known, const char *outside)
{
	Tree	   *tree = pgcredit_tree_open(GetActiveSnapshot());
	char	   *origin = take_origin();
	PgcreditCheckpoint newest;
	PgcreditCheckpoint checkpoint;
	PgcreditNoteKey key;
	char	   *old_note;
	char		text[PGCREDIT_CHECKPOINT_SIZE];
	char		line[PGCREDIT_NOTE_LINE_SIZE];
	Size		len;

	memset(&checkpoint, 0, sizeof(checkpoint));
	pgcredit_notary_hold_origin(origin);
	pgcredit_log_key(origin, &key);
	check_no_conflict(origin);
	checkpoint.size = pgcredit_tree_end(tree);
	/* what it signed under another name is of a log that was given up */
	if (known->size > 0 && strcmp(known->origin, origin) == 0)
		check_continues(tree, "the newest checkpoint that this server has signed", known->size, known->root);
	if (outside != NULL && !was_given_up(outside, origin))
	{
		PgcreditCheckpoint published;

		pgcredit_checkpoint_parse_own(outside, strlen(outside), &key, &published);
		check_continues(tree, "the checkpoint of pgcredit.checkpoint_fetch_command", published.size, published.root);
	}
	strlcpy(checkpoint.origin, origin, sizeof(checkpoint.origin));
	if (find_checkpoint(tree->snapshot, 0, NULL, newest.root, &newest.size, &old_note))
	{
		check_continues(tree, "its newest checkpoint", newest.size, newest.root);
		if (newest.size == checkpoint.size)
		{
			memcpy(checkpoint.root, newest.root, sizeof(newest.root));
			*known = checkpoint;
			pgcredit_tree_close(tree);
			return false;
		}
	}
	pgcredit_tree_root(tree, checkpoint.size, checkpoint.root);
	len = pgcredit_checkpoint_text(&checkpoint, text);
	(void) pgcredit_log_sign(&key, text, len, line);
	put_row(tree, &checkpoint, psprintf("%s\n%s", text, line));
	*known = checkpoint;
	pgcredit_tree_close(tree);
	return true;
}
