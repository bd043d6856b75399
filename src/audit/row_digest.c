/*
 * row_digest.c
 *		Digest of the rows that a statement wrote.
 *
 * A row is the text form of its columns in order, each after its length in four
 * bytes, big endian; NULL is the length 0xFFFFFFFF alone.  The form is the same
 * for every session, whatever it has set.
 *
 * This runs in every statement on an audited table, mostly for one row.  So what
 * there is to know of a type is kept, and a setting is touched only where the
 * session's differs from ours and a column can show it: setting five of them and
 * taking that back costs more than all else here.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "audit/audit_internal.h"

/* How values of a type become text. */
typedef struct TypeForm
{
	Oid			type;			/* key of the table, first */
	uint64		made;			/* in this generation of the catalogue */
	bool		zoned;			/* the time zone may show */
	MemoryContext context;		/* of what the function keeps between calls */
	FmgrInfo	out;
} TypeForm;

struct RowDigest
{
	pg_cryptohash_ctx *ctx;
	int			guc_level;
	TypeForm  **forms;			/* of each column, NULL where it is dropped */
	StringInfoData row;			/* what is digested of one */
};

static HTAB *forms = NULL;
static uint64 generation = 1;

/* ---------------------------------------------------------------------------
 * Text that is the same for every session
 * ---------------------------------------------------------------------------
 */

static bool
zone_is_pinned(void)
{
	return strcmp(pg_get_timezone_name(session_timezone), "UTC") == 0;
}

static void
pin(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Settings that decide the text form of a value; the time zone only for who asks
 * for it.  The caller undoes them by AtEOXact_GUC.
 */
int
pgcredit_pin_text_forms(bool zone)
{
	int			level = NewGUCNestLevel();

	if (DateStyle != USE_ISO_DATES)
		pin("datestyle", "ISO");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		pin("intervalstyle", "postgres");
	/* above nought it is always the shortest form that is exact */
	if (extra_float_digits <= 0)
		pin("extra_float_digits", "1");
	if (bytea_output != BYTEA_OUTPUT_HEX)
		pin("bytea_output", "hex");
	if (zone && !zone_is_pinned())
		pin("timezone", "UTC");
	return level;
}

static void
forget_forms(Datum arg, int cache, uint32 hash)
{
	generation++;
}

/*
 * Only a function that is not immutable may look at the time zone, and that of
 * dates does not.
 */
static TypeForm *
form_of(Oid type)
{
	TypeForm   *form;
	bool		found;

	if (forms == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(TypeForm), .hcxt = TopMemoryContext};

		forms = hash_create("pgcredit text forms", 32, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		CacheRegisterSyscacheCallback(TYPEOID, forget_forms, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCOID, forget_forms, (Datum) 0);
	}
	form = hash_search(forms, &type, HASH_ENTER, &found);
	if (!found)
	{
		form->made = 0;
		form->context = NULL;
	}
	if (form->made != generation)
	{
		uint64		now = generation;
		Oid			function;
		bool		varlena;

		form->made = 0;
		/* a digest further up may be in the function that was known before */
		if (form->context)
			MemoryContextSetParent(form->context, TopTransactionContext);
		form->context = NULL;
		form->context = AllocSetContextCreate(TopMemoryContext, "pgcredit text form", ALLOCSET_SMALL_SIZES);
		getTypeOutputInfo(type, &function, &varlena);
		fmgr_info_cxt(function, &form->out, form->context);
		form->zoned = function != F_DATE_OUT && func_volatile(function) != PROVOLATILE_IMMUTABLE;
		form->made = now;
	}
	return form;
}

/* ---------------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------------
 */

/*
 * Begin a digest of rows of this form, in the current memory context.
 */
RowDigest *
pgcredit_row_digest_begin(TupleDesc desc)
{
	RowDigest  *digest = palloc(sizeof(RowDigest));
	Oid			last = InvalidOid;
	TypeForm   *form = NULL;
	bool		zoned = false;

	digest->forms = palloc0(desc->natts * sizeof(TypeForm *));
	for (int k = 0; k < desc->natts; k++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, k);

		if (column->attisdropped)
			continue;
		if (column->atttypid != last)
			form = form_of(last = column->atttypid);
		digest->forms[k] = form;
		zoned |= form->zoned;
	}
	initStringInfo(&digest->row);
	digest->ctx = pg_cryptohash_create(PG_SHA256);
	if (digest->ctx == NULL || pg_cryptohash_init(digest->ctx) < 0)
		elog(ERROR, "could not compute a digest");
	digest->guc_level = pgcredit_pin_text_forms(zoned);
	return digest;
}

static void
append_length(StringInfo row, uint32 len)
{
	uint32		prefix = pg_hton32(len);

	appendBinaryStringInfo(row, (const char *) &prefix, sizeof(prefix));
}

static void
digest_row(RowDigest *digest, TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;

	resetStringInfo(&digest->row);
	slot_getallattrs(slot);
	for (int k = 0; k < desc->natts; k++)
	{
		if (digest->forms[k] == NULL)
			continue;
		if (slot->tts_isnull[k])
			append_length(&digest->row, PG_UINT32_MAX);
		else
		{
			char	   *text = OutputFunctionCall(&digest->forms[k]->out, slot->tts_values[k]);
			uint32		len = strlen(text);

			append_length(&digest->row, len);
			appendBinaryStringInfo(&digest->row, text, len);
		}
	}
	if (pg_cryptohash_update(digest->ctx, (const uint8 *) digest->row.data, digest->row.len) < 0)
		elog(ERROR, "could not compute a digest");
}

/*
 * Add the rows of a transition table, which may be NULL; returns how many there
 * are.
 */
int64
pgcredit_row_digest_add(RowDigest *digest, Tuplestorestate *rows, TupleDesc desc)
{
	TupleTableSlot *slot;
	MemoryContext per_row;
	int64		n = 0;

	if (rows == NULL)
		return 0;
	slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	per_row = AllocSetContextCreate(CurrentMemoryContext, "row digest", ALLOCSET_DEFAULT_SIZES);
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		MemoryContext old = MemoryContextSwitchTo(per_row);

		digest_row(digest, slot);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_row);
		n++;
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextDelete(per_row);
	ExecDropSingleTupleTableSlot(slot);
	return n;
}

/*
 * The digest over all rows added, PGCREDIT_HASH_BYTES.
 */
void
pgcredit_row_digest_end(RowDigest *digest, uint8 *hash)
{
	AtEOXact_GUC(false, digest->guc_level);
	if (pg_cryptohash_final(digest->ctx, hash, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute a digest");
	pg_cryptohash_free(digest->ctx);
}
