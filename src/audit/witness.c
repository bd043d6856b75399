/*
 * witness.c
 *		What SQL needs of signed notes: keys, texts, signatures of witnesses.
 *
 * Kept apart from any table, so that the rules about who may store what stand
 * in SQL where they can be read, and the bytes are handled in C.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "audit/audit_internal.h"
#include "audit/checkpoint.h"
#include "audit/notary.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_log_vkey);
PG_FUNCTION_INFO_V1(pgcredit_vkey_name);
PG_FUNCTION_INFO_V1(pgcredit_note_text);
PG_FUNCTION_INFO_V1(pgcredit_own_note);
PG_FUNCTION_INFO_V1(pgcredit_cosignatures);
PG_FUNCTION_INFO_V1(pgcredit_witness_quorum_sql);

static int	witness_quorum = 0;

void
pgcredit_witness_init(void)
{
	DefineCustomIntVariable("pgcredit.witness_quorum",
							"Number of witnesses whose cosignatures make a checkpoint published.",
							"0 publishes what the log has signed.",
							&witness_quorum, 0, 0, 100,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
}

/*
 * Cosignatures that make a checkpoint published.
 */
int
pgcredit_witness_quorum(void)
{
	return witness_quorum;
}

/*
 * credit._log_vkey(origin text) returns text: the verifier key of the log under
 * that name.  22023 for what cannot be a name, PC201 without a key.
 */
Datum
pgcredit_log_vkey(PG_FUNCTION_ARGS)
{
	PgcreditNoteKey key;
	char		vkey[PGCREDIT_NOTE_VKEY_SIZE];

	pgcredit_log_key(text_to_cstring(PG_GETARG_TEXT_PP(0)), &key);
	pgcredit_note_vkey(&key, vkey);
	PG_RETURN_TEXT_P(cstring_to_text(vkey));
}

/*
 * Take a verifier key apart, which must be a witness's (cosignature/v1) or a
 * log's, or raise PC007.
 */
static void
parse_vkey(text *vkey, bool cosigner, PgcreditNoteKey *key)
{
	if (!pgcredit_note_parse_vkey(VARDATA_ANY(vkey), VARSIZE_ANY_EXHDR(vkey), key) ||
		key->type != (cosigner ? PGCREDIT_NOTE_COSIGNATURE : PGCREDIT_NOTE_ED25519))
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_NOTE_INVALID),
				 errmsg("this is no verifier key of a %s", cosigner ? "witness" : "log"),
				 errhint("It reads <name>+<key id>+<base64 of type %d and an Ed25519 public key>, C2SP signed-note.",
						 cosigner ? PGCREDIT_NOTE_COSIGNATURE : PGCREDIT_NOTE_ED25519)));
}

/*
 * credit._vkey_name(vkey text, cosigner boolean) returns text.
 */
Datum
pgcredit_vkey_name(PG_FUNCTION_ARGS)
{
	PgcreditNoteKey key;

	parse_vkey(PG_GETARG_TEXT_PP(0), PG_GETARG_BOOL(1), &key);
	PG_RETURN_TEXT_P(cstring_to_text(key.name));
}

static void
open_note(text *value, PgcreditNote *note)
{
	if (!pgcredit_note_open(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), note))
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_NOTE_INVALID),
				 errmsg("this is no signed note"),
				 errhint("See C2SP signed-note: a text, an empty line, one or more signature lines.")));
}

/*
 * credit._note_text(note text) returns text: what the signatures are over.
 * PC007 for what is no note.
 */
Datum
pgcredit_note_text(PG_FUNCTION_ARGS)
{
	PgcreditNote note;

	open_note(PG_GETARG_TEXT_PP(0), &note);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(note.text, note.text_len));
}

/*
 * credit._own_note(note text, origin text) returns bigint: size of a checkpoint
 * that this server's key signed under the name; PC007 for any other.
 */
Datum
pgcredit_own_note(PG_FUNCTION_ARGS)
{
	text	   *note = PG_GETARG_TEXT_PP(0);
	PgcreditNoteKey key;
	PgcreditCheckpoint checkpoint;

	pgcredit_log_key(text_to_cstring(PG_GETARG_TEXT_PP(1)), &key);
	pgcredit_checkpoint_parse_own(VARDATA_ANY(note), VARSIZE_ANY_EXHDR(note), &key, &checkpoint);
	if (checkpoint.size > (uint64) PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("size of the checkpoint is out of range"),
				 errdetail("It is " UINT64_FORMAT ".", checkpoint.size)));
	PG_RETURN_INT64((int64) checkpoint.size);
}

/*
 * credit._cosignatures(note text, vkeys text[]): each signature line of the note
 * that is of one of the keys: witness, made, line.  A line that carries the
 * name and id of a key and does not verify raises PC007, as does a malformed
 * note; lines of others are passed over.
 */
Datum
pgcredit_cosignatures(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PgcreditNote note;
	PgcreditNoteSignature line;
	Size		at = 0;
	Size		begin = 0;
	bool		bad = false;
	Datum	   *vkeys;
	bool	   *vkey_nulls;
	int			n;

	open_note(PG_GETARG_TEXT_PP(0), &note);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &vkeys, &vkey_nulls, &n);
	InitMaterializedSRF(fcinfo, 0);
	while (pgcredit_note_next(&note, &at, &line, &bad))
	{
		for (int k = 0; k < n; k++)
		{
			PgcreditNoteKey key;
			uint64		seconds;
			Datum		values[3];
			bool		nulls[3] = {false};

			if (vkey_nulls[k])
				continue;
			parse_vkey(DatumGetTextPP(vkeys[k]), true, &key);
			if (!pgcredit_note_line_is_of(&line, &key))
				continue;
			if (!pgcredit_note_check(&line, &key, note.text, note.text_len, &seconds))
				ereport(ERROR,
						(errcode(ERRCODE_PGCREDIT_NOTE_INVALID),
						 errmsg("cosignature of \"%s\" is not valid", key.name),
						 errdetail("It is not over this checkpoint, or was changed.")));
			values[0] = CStringGetTextDatum(key.name);
			values[1] = TimestampTzGetDatum(time_t_to_timestamptz((pg_time_t) Min(seconds, UINT64CONST(253402300799))));
			values[2] = PointerGetDatum(cstring_to_text_with_len(note.signatures + begin, at - begin));
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
		begin = at;
	}
	return (Datum) 0;
}

/*
 * credit._witness_quorum() returns integer: pgcredit.witness_quorum, which no
 * session can set.
 */
Datum
pgcredit_witness_quorum_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(witness_quorum);
}
