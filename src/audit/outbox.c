/*
 * outbox.c
 *		The lane with the transaction: entries of writes.
 *
 * The entry is a row of credit.audit_outbox in the writing transaction, so it
 * is there if and only if that commits (P4); the writer moves it into the log
 * afterwards.  The row goes in by the table access method: the writing role
 * needs no right on the outbox and nothing attached to it can run.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "audit/audit_internal.h"
#include "core/core.h"
#include "crypto/crypto.h"

PG_FUNCTION_INFO_V1(pgcredit_audit_write);
PG_FUNCTION_INFO_V1(pgcredit_refuse_change);

/*
 * Leave a finished entry in the outbox, or raise when it is too long.  The lock
 * on it is kept to the end of the transaction, as on any table written to.
 */
void
pgcredit_audit_write_entry(PgcreditEntry *entry)
{
	Relation	rel;
	TupleTableSlot *slot;

	pgcredit_entry_check_size(entry);
	rel = table_open(pgcredit_relation_oid("audit_outbox", false), RowExclusiveLock);
	slot = table_slot_create(rel, NULL);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, slot->tts_tupleDescriptor->natts * sizeof(bool));
	slot->tts_values[0] = Int64GetDatum(nextval_internal(pgcredit_relation_oid("audit_outbox_id_seq", false), false));
	slot->tts_values[1] = PointerGetDatum(cstring_to_text_with_len(entry->prefix.data, entry->prefix.len));
	slot->tts_values[2] = PointerGetDatum(cstring_to_text_with_len(entry->suffix.data, entry->suffix.len));
	ExecStoreVirtualTuple(slot);
	table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	pgcredit_audit_note_outbox();
}

/* ---------------------------------------------------------------------------
 * credit.audit_write(): one entry for each statement that wrote a table
 * ---------------------------------------------------------------------------
 */

typedef struct RowDigest
{
	pg_cryptohash_ctx *ctx;
	FmgrInfo   *out;			/* output function of each column */
	StringInfoData row;			/* what is digested of one */
	int64		rows;
} RowDigest;

static void
append_length(StringInfo row, uint32 len)
{
	uint32		prefix = pg_hton32(len);

	appendBinaryStringInfo(row, (const char *) &prefix, sizeof(prefix));
}

/*
 * A row is the text form of its columns in order, each after its length in
 * four bytes, big endian; NULL is the length 0xFFFFFFFF alone.  The settings
 * of pgcredit_pin_text_forms hold.
 */
static void
digest_row(RowDigest *digest, TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;

	resetStringInfo(&digest->row);
	slot_getallattrs(slot);
	for (int k = 0; k < desc->natts; k++)
	{
		if (TupleDescAttr(desc, k)->attisdropped)
			continue;
		if (slot->tts_isnull[k])
			append_length(&digest->row, PG_UINT32_MAX);
		else
		{
			char	   *text = OutputFunctionCall(&digest->out[k], slot->tts_values[k]);
			uint32		len = strlen(text);

			append_length(&digest->row, len);
			appendBinaryStringInfo(&digest->row, text, len);
		}
	}
	if (pg_cryptohash_update(digest->ctx, (const uint8 *) digest->row.data, digest->row.len) < 0)
		elog(ERROR, "could not compute a digest");
	digest->rows++;
}

/*
 * Digest of the rows in a transition table, which may be NULL.
 */
static void
digest_rows(RowDigest *digest, Tuplestorestate *rows, TupleDesc desc)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "row digest",
												  ALLOCSET_DEFAULT_SIZES);

	digest->out = palloc(desc->natts * sizeof(FmgrInfo));
	for (int k = 0; k < desc->natts; k++)
	{
		Oid			function;
		bool		varlena;

		if (TupleDescAttr(desc, k)->attisdropped)
			continue;
		getTypeOutputInfo(TupleDescAttr(desc, k)->atttypid, &function, &varlena);
		fmgr_info(function, &digest->out[k]);
	}
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		MemoryContext old = MemoryContextSwitchTo(per_row);

		digest_row(digest, slot);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_row);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextDelete(per_row);
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * Settings that decide the text form of a value, the same for every session;
 * the caller undoes them by AtEOXact_GUC.
 */
int
pgcredit_pin_text_forms(void)
{
	static const char *const forms[][2] = {
		{"datestyle", "ISO"}, {"intervalstyle", "postgres"}, {"timezone", "UTC"},
		{"extra_float_digits", "1"}, {"bytea_output", "hex"}
	};
	int			level = NewGUCNestLevel();

	for (int k = 0; k < lengthof(forms); k++)
		(void) set_config_option(forms[k][0], forms[k][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

static const char *
operation_name(TriggerEvent event)
{
	if (TRIGGER_FIRED_BY_INSERT(event))
		return "INSERT";
	if (TRIGGER_FIRED_BY_DELETE(event))
		return "DELETE";
	return TRIGGER_FIRED_BY_UPDATE(event) ? "UPDATE" : "TRUNCATE";
}

static void
build_write_entry(PgcreditEntry *entry, TriggerData *trigger, const RowDigest *digest)
{
	uint8		hash[PG_SHA256_DIGEST_LENGTH];

	if (pg_cryptohash_final(digest->ctx, hash, sizeof(hash)) < 0)
		elog(ERROR, "could not compute a digest");
	pgcredit_entry_begin(entry);
	pgcredit_json_name(&entry->prefix, "actor");
	pgcredit_json_string(&entry->prefix, GetUserNameFromId(pgcredit_calling_role(), false));
	pgcredit_json_name(&entry->prefix, "at");
	pgcredit_json_time(&entry->prefix, GetCurrentTransactionStartTimestamp());
	pgcredit_json_name(&entry->prefix, "count");
	appendStringInfo(&entry->prefix, INT64_FORMAT, digest->rows);
	pgcredit_json_name(&entry->prefix, "digest");
	pgcredit_json_string(&entry->prefix, pgcredit_base64url(hash, sizeof(hash)));
	pgcredit_json_name(&entry->prefix, "kind");
	pgcredit_json_string(&entry->prefix, "write");
	pgcredit_json_name(&entry->prefix, "operation");
	pgcredit_json_string(&entry->prefix, operation_name(trigger->tg_event));
	pgcredit_entry_middle(entry);
	pgcredit_json_name(&entry->suffix, "session_user");
	pgcredit_json_string(&entry->suffix, GetUserNameFromId(GetSessionUserId(), false));
	pgcredit_json_name(&entry->suffix, "table");
	pgcredit_json_string(&entry->suffix, RelationGetRelationName(trigger->tg_relation));
	pgcredit_entry_end(entry);
}

/*
 * credit.audit_write() returns trigger: AFTER statement trigger that leaves one
 * entry with the operation, the number of rows and a digest of them (old rows,
 * then new rows).  A statement that touched no row leaves none.
 *
 * It also makes other sessions forget what they hold of the table, see
 * consent/access.c; not where the trigger has an argument, "bulk": of such a
 * table nobody holds anything, and it is written too often.
 */
Datum
pgcredit_audit_write(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	RowDigest	digest = {0};
	PgcreditEntry entry;
	int			guc_level;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("credit.audit_write() must be called as an AFTER statement trigger")));

	initStringInfo(&digest.row);
	digest.ctx = pg_cryptohash_create(PG_SHA256);
	if (digest.ctx == NULL || pg_cryptohash_init(digest.ctx) < 0)
		elog(ERROR, "could not compute a digest");
	guc_level = pgcredit_pin_text_forms();
	if (trigger->tg_oldtable)
		digest_rows(&digest, trigger->tg_oldtable, RelationGetDescr(trigger->tg_relation));
	if (trigger->tg_newtable)
	{
		if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
			digest.rows = 0;
		digest_rows(&digest, trigger->tg_newtable, RelationGetDescr(trigger->tg_relation));
	}
	AtEOXact_GUC(false, guc_level);
	if (digest.rows > 0 || TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		build_write_entry(&entry, trigger, &digest);
		pgcredit_audit_write_entry(&entry);
		if (trigger->tg_trigger->tgnargs == 0)
			CacheInvalidateRelcache(trigger->tg_relation);
	}
	pg_cryptohash_free(digest.ctx);
	return PointerGetDatum(NULL);
}

/*
 * credit._refuse_change() returns trigger: for tables that only grow.
 */
Datum
pgcredit_refuse_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("credit._refuse_change() must be called as a trigger")));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("%s on \"credit.%s\" is not allowed",
					operation_name(trigger->tg_event),
					RelationGetRelationName(trigger->tg_relation)),
			 errdetail("The log only grows; nobody may change what it holds.")));
	return PointerGetDatum(NULL);
}
