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
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"

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
	static PgcreditKnown outbox = {"audit_outbox"};
	static PgcreditKnown sequence = {"audit_outbox_id_seq"};
	Relation	rel;
	TupleTableSlot *slot;

	pgcredit_entry_check_size(entry);
	rel = table_open(pgcredit_known_oid(&outbox), RowExclusiveLock);
	slot = table_slot_create(rel, NULL);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, slot->tts_tupleDescriptor->natts * sizeof(bool));
	slot->tts_values[0] = Int64GetDatum(nextval_internal(pgcredit_known_oid(&sequence), false));
	slot->tts_values[1] = PointerGetDatum(cstring_to_text_with_len(entry->prefix.data, entry->prefix.len));
	slot->tts_values[2] = PointerGetDatum(cstring_to_text_with_len(entry->suffix.data, entry->suffix.len));
	ExecStoreVirtualTuple(slot);
	table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
	pgcredit_queue_note_outbox(ItemPointerGetBlockNumber(&slot->tts_tid));
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	pgcredit_audit_note_outbox();
}

/* ---------------------------------------------------------------------------
 * credit.audit_write(): one entry for each statement that wrote a table
 * ---------------------------------------------------------------------------
 */

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
build_write_entry(PgcreditEntry *entry, TriggerData *trigger, int64 rows, const uint8 *hash)
{
	pgcredit_entry_begin(entry);
	pgcredit_json_name(&entry->prefix, "actor");
	pgcredit_json_string(&entry->prefix, GetUserNameFromId(pgcredit_calling_role(), false));
	pgcredit_json_name(&entry->prefix, "at");
	pgcredit_json_time(&entry->prefix, GetCurrentTransactionStartTimestamp());
	pgcredit_json_name(&entry->prefix, "count");
	appendStringInfo(&entry->prefix, INT64_FORMAT, rows);
	pgcredit_json_name(&entry->prefix, "digest");
	pgcredit_json_string(&entry->prefix, pgcredit_base64url(hash, PGCREDIT_HASH_BYTES));
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
	TupleDesc	desc;
	RowDigest  *digest;
	uint8		hash[PGCREDIT_HASH_BYTES];
	int64		old_rows;
	int64		rows;
	PgcreditEntry entry;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("credit.audit_write() must be called as an AFTER statement trigger")));

	desc = RelationGetDescr(trigger->tg_relation);
	digest = pgcredit_row_digest_begin(desc);
	old_rows = pgcredit_row_digest_add(digest, trigger->tg_oldtable, desc);
	rows = pgcredit_row_digest_add(digest, trigger->tg_newtable, desc);
	pgcredit_row_digest_end(digest, hash);
	if (trigger->tg_newtable == NULL)
		rows = old_rows;
	if (rows > 0 || TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		build_write_entry(&entry, trigger, rows, hash);
		pgcredit_audit_write_entry(&entry);
		if (trigger->tg_trigger->tgnargs == 0)
			CacheInvalidateRelcache(trigger->tg_relation);
	}
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
