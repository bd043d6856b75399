/*
 * verify_note.c
 *		Checkpoints and cosignatures, compared with the tree made anew.
 *
 * A checkpoint holds when its note is, byte for byte, the text of the size and
 * the root that were found here, under a name of the log, with one signature of
 * the key that belongs to the name.  Only then does it say anything about the
 * entries: a note that is not signed by the log's key is wrong itself.
 */
#include "postgres.h"

#include "access/skey.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "audit/verify.h"
#include "core/core.h"

/*
 * Names of the log and keys of witnesses; where the server has no key, nothing
 * it signed can be checked.
 */
static bool
load_keys(Verify *verify)
{
	MemoryContext context = CurrentMemoryContext;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute("SELECT origin FROM credit.audit_origin ORDER BY since", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read credit.audit_origin");
	verify->n_origins = (int) SPI_processed;
	verify->origins = MemoryContextAllocZero(context, Max(SPI_processed, 1) * sizeof(VerifyOrigin));
	for (int k = 0; k < verify->n_origins; k++)
	{
		char	   *name = SPI_getvalue(SPI_tuptable->vals[k], SPI_tuptable->tupdesc, 1);

		verify->origins[k].name = MemoryContextStrdup(context, name ? name : "");
	}
	if (SPI_execute("SELECT vkey FROM credit.audit_witness ORDER BY name", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read credit.audit_witness");
	verify->witnesses = MemoryContextAllocZero(context, Max(SPI_processed, 1) * sizeof(PgcreditNoteKey));
	for (uint64 k = 0; k < SPI_processed; k++)
	{
		char	   *vkey = SPI_getvalue(SPI_tuptable->vals[k], SPI_tuptable->tupdesc, 1);

		if (vkey && pgcredit_note_parse_vkey(vkey, strlen(vkey), &verify->witnesses[verify->n_witnesses]))
			verify->n_witnesses++;
	}
	SPI_finish();
	for (int k = 0; k < verify->n_origins; k++)
	{
		if (!pgcredit_key_loaded())
			return pgcredit_verify_wrong(verify, "no_key", 0, "This server has no key, so what the log signed cannot be checked.");
		if (!pgcredit_note_name_valid(verify->origins[k].name, strlen(verify->origins[k].name)))
			return pgcredit_verify_wrong(verify, "checkpoint_origin", 0, "\"%s\" cannot be the name of a log.", verify->origins[k].name);
		pgcredit_log_key(verify->origins[k].name, &verify->origins[k].key);
	}
	/* what it signed under another name is of a log that was given up */
	if (verify->n_origins > 0 && strcmp(verify->known.origin, verify->origins[verify->n_origins - 1].name) != 0)
		verify->known.size = 0;
	return true;
}

/*
 * Look at the size of the next checkpoint.
 */
static bool
peek(Verify *verify)
{
	int64		size;

	verify->checkpoint_size = PG_UINT64_MAX;
	if (verify->checkpoint_rows.tuple == NULL)
		return true;
	size = DatumGetInt64(pgcredit_rows_column(&verify->checkpoint_rows, CHECKPOINT_SIZE));
	if (size < 0 || (uint64) size < verify->next || (verify->count.checkpoints > 0 && (uint64) size == verify->signed_size))
		return pgcredit_verify_wrong(verify, "checkpoint_changed", 0,
									 "credit.audit_checkpoint has a row of size " INT64_FORMAT " that has no place there.", size);
	verify->checkpoint_size = (uint64) size;
	return true;
}

/*
 * Start to read the checkpoints that come after the first leaf of this call.
 */
bool
pgcredit_verify_notes_begin(Verify *verify)
{
	ScanKeyData key;
	int			n_keys = verify->begin > 0 ? 1 : 0;

	verify->checkpoint = table_open(pgcredit_relation_oid("audit_checkpoint", false), AccessShareLock);
	verify->cosignature = table_open(pgcredit_relation_oid("audit_cosignature", false), AccessShareLock);
	verify->note = AllocSetContextCreate(CurrentMemoryContext, "pgcredit checkpoint", ALLOCSET_DEFAULT_SIZES);
	if (!load_keys(verify))
		return false;
	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum((int64) verify->begin));
	pgcredit_rows_begin(&verify->checkpoint_rows, verify->checkpoint, "audit_checkpoint_pkey",
						n_keys, &key, verify->tree->snapshot);
	pgcredit_rows_begin(&verify->cosignature_rows, verify->cosignature, "audit_cosignature_pkey",
						n_keys, &key, verify->tree->snapshot);
	return peek(verify);
}

/*
 * Is the note one that the log signed?  Then what it says is in *said.
 */
static bool
check_note(Verify *verify, text *value, PgcreditNote *note, PgcreditCheckpoint *said)
{
	uint64		size = verify->checkpoint_size;
	PgcreditNoteSignature line;
	Size		at = 0;
	bool		bad = false;
	char		canonical[PGCREDIT_CHECKPOINT_SIZE];
	int			k = verify->origin;

	if (!pgcredit_note_open(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), note) ||
		!pgcredit_checkpoint_parse(note->text, note->text_len, said) ||
		pgcredit_checkpoint_text(said, canonical) != note->text_len ||
		memcmp(canonical, note->text, note->text_len) != 0)
		return pgcredit_verify_wrong(verify, "checkpoint_note", 0,
									 "The note of the checkpoint of size " UINT64_FORMAT " is no signed checkpoint in canonical form.", size);
	while (k < verify->n_origins && strcmp(verify->origins[k].name, said->origin) != 0)
		k++;
	if (k == verify->n_origins)
		return pgcredit_verify_wrong(verify, "checkpoint_origin", 0,
									 "The checkpoint of size " UINT64_FORMAT " is of \"%s\", which the log was not called then.", size, said->origin);
	verify->origin = k;
	if (!pgcredit_note_next(note, &at, &line, &bad) ||
		!pgcredit_note_line_is_of(&line, &verify->origins[k].key) ||
		!pgcredit_note_check(&line, &verify->origins[k].key, note->text, note->text_len, NULL))
		return pgcredit_verify_wrong(verify, "checkpoint_signature", 0,
									 "The checkpoint of size " UINT64_FORMAT " is not signed with the log's key.", size);
	if (pgcredit_note_next(note, &at, &line, &bad))
		return pgcredit_verify_wrong(verify, "checkpoint_note", 0,
									 "The note of the checkpoint of size " UINT64_FORMAT " has another signature behind the log's.", size);
	if (said->size != size)
		return pgcredit_verify_wrong(verify, "checkpoint_note", 0,
									 "The note of the checkpoint of size " UINT64_FORMAT " is over " UINT64_FORMAT " entries.", size, said->size);
	return true;
}

/*
 * The signed root is another than that of the entries.
 */
static bool
rewritten(Verify *verify, uint64 size, const char *what)
{
	pgcredit_verify_narrow(verify);
	if (verify->pending.code == NULL)
		return pgcredit_verify_wrong(verify, "log_rewritten", Max(verify->signed_size, verify->begin) + 1,
									 "The entries from " UINT64_FORMAT " to " UINT64_FORMAT " are not those of %s.",
									 Max(verify->signed_size, verify->begin) + 1, size, what);
	verify->pending.code = "entry_changed";
	verify->pending.detail = psprintf("%s Nor are the entries those of %s over " UINT64_FORMAT " of them.",
									  verify->pending.detail, what, size);
	return pgcredit_verify_wrong(verify, "entry_changed", 0, "%s", "");
}

/*
 * Cosignatures of the checkpoint: those of witnesses that are still known must
 * be valid.
 */
static bool
check_cosignatures(Verify *verify, const PgcreditNote *note)
{
	for (; verify->cosignature_rows.tuple; pgcredit_rows_next(&verify->cosignature_rows))
	{
		int64		size = DatumGetInt64(pgcredit_rows_column(&verify->cosignature_rows, COSIGNATURE_SIZE));
		char	   *witness = TextDatumGetCString(pgcredit_rows_column(&verify->cosignature_rows, COSIGNATURE_WITNESS));
		char	   *stored = TextDatumGetCString(pgcredit_rows_column(&verify->cosignature_rows, COSIGNATURE_LINE));
		PgcreditNote cosigned;
		PgcreditNoteSignature line;
		Size		at = 0;
		uint64		seconds;
		bool		bad = false;
		StringInfoData whole;

		if (size > (int64) verify->checkpoint_size)
			break;
		if (size < (int64) verify->checkpoint_size)
			return pgcredit_verify_wrong(verify, "cosignature", 0,
										 "Witness \"%s\" signed a checkpoint of size " INT64_FORMAT ", which is missing.", witness, size);
		initStringInfo(&whole);
		appendBinaryStringInfo(&whole, note->text, note->text_len);
		appendStringInfo(&whole, "\n%s", stored);
		verify->count.cosignatures++;
		for (int k = 0; k < verify->n_witnesses; k++)
			if (strcmp(verify->witnesses[k].name, witness) == 0 &&
				(!pgcredit_note_open(whole.data, whole.len, &cosigned) ||
				 !pgcredit_note_next(&cosigned, &at, &line, &bad) ||
				 cosigned.signatures_len != at ||
				 !pgcredit_note_check(&line, &verify->witnesses[k], note->text, note->text_len, &seconds)))
				return pgcredit_verify_wrong(verify, "cosignature", 0,
											 "The signature of witness \"%s\" on the checkpoint of size " INT64_FORMAT " is not valid.", witness, size);
	}
	return true;
}

static bool
check_row(Verify *verify)
{
	uint64		size = verify->checkpoint_size;
	bytea	   *root = DatumGetByteaPP(pgcredit_rows_column(&verify->checkpoint_rows, CHECKPOINT_ROOT));
	bytea	   *peaks = DatumGetByteaPP(pgcredit_rows_column(&verify->checkpoint_rows, CHECKPOINT_PEAKS));
	text	   *value = DatumGetTextPP(pgcredit_rows_column(&verify->checkpoint_rows, CHECKPOINT_NOTE));
	PgcreditNote note;
	PgcreditCheckpoint said;
	PgcreditMerkleHash found;

	if (!check_note(verify, value, &note, &said))
		return false;
	pgcredit_verify_root(verify, found);
	if (memcmp(said.root, found, sizeof(found)) != 0)
		return rewritten(verify, size, "the checkpoint that the log has signed");
	if (VARSIZE_ANY_EXHDR(root) != sizeof(found) || memcmp(VARDATA_ANY(root), found, sizeof(found)) != 0)
		return pgcredit_verify_wrong(verify, "checkpoint_changed", 0,
									 "The root of the checkpoint of size " UINT64_FORMAT " is not that of its note.", size);
	if (VARSIZE_ANY_EXHDR(peaks) != verify->n_peaks * sizeof(found) ||
		memcmp(VARDATA_ANY(peaks), verify->peaks, verify->n_peaks * sizeof(found)) != 0)
		return pgcredit_verify_wrong(verify, "checkpoint_changed", 0,
									 "The peaks of the checkpoint of size " UINT64_FORMAT " are not those of its tree.", size);
	return check_cosignatures(verify, &note);
}

/*
 * The leaves so far are as many as the next checkpoint is over: compare, and
 * say of what is pending which side was wrong.
 */
bool
pgcredit_verify_checkpoint(Verify *verify)
{
	MemoryContext old = MemoryContextSwitchTo(verify->note);
	bool		good = check_row(verify);

	MemoryContextSwitchTo(old);
	if (good && verify->pending.code)
	{
		if (strcmp(verify->pending.code, "leaf") == 0)
			verify->pending.code = "leaf_changed";
		return pgcredit_verify_wrong(verify, verify->pending.code, 0, "%s", "");
	}
	if (!good)
		return false;
	MemoryContextReset(verify->note);
	verify->signed_size = verify->checkpoint_size;
	verify->count.checkpoints++;
	pgcredit_rows_next(&verify->checkpoint_rows);
	return peek(verify);
}

/*
 * At the end of the log: no signed checkpoint may be over more entries.
 */
bool
pgcredit_verify_notes_end(Verify *verify)
{
	PgcreditNote note;
	PgcreditCheckpoint said;

	if (verify->checkpoint_rows.tuple)
	{
		if (!check_note(verify, DatumGetTextPP(pgcredit_rows_column(&verify->checkpoint_rows, CHECKPOINT_NOTE)), &note, &said))
			return false;
		return pgcredit_verify_wrong(verify, "entry_missing", verify->next + 1,
									 "The log has signed a checkpoint over " UINT64_FORMAT " entries and has " UINT64_FORMAT ".",
									 said.size, verify->next);
	}
	if (verify->cosignature_rows.tuple)
		return pgcredit_verify_wrong(verify, "cosignature", 0, "A witness signed a checkpoint of size " INT64_FORMAT ", which is missing.",
									 DatumGetInt64(pgcredit_rows_column(&verify->cosignature_rows, COSIGNATURE_SIZE)));
	if (verify->known.size > verify->next)
		return pgcredit_verify_wrong(verify, "entry_missing", verify->next + 1,
									 "Since its start the server has signed a checkpoint over " UINT64_FORMAT " entries, the log has " UINT64_FORMAT ".",
									 verify->known.size, verify->next);
	if (verify->known.size > Max(verify->signed_size, verify->begin))
		return pgcredit_verify_wrong(verify, "checkpoint_missing", 0,
									 "Since its start the server has signed a checkpoint over " UINT64_FORMAT " entries, which is missing.",
									 verify->known.size);
	return true;
}
