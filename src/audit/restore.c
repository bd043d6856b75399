/*
 * restore.c
 *		Loading a dumped log into a fresh database.
 *
 * Only the writer adds entries, and it does so below SQL.  An INSERT or COPY
 * into credit.audit_entry is therefore a restore, and allowed while the
 * database has recorded no access of its own.  But the same restore also loads
 * the audited tables, whose triggers leave entries that the writer may have
 * numbered before the old log arrives.  These go back to the outbox, and get
 * numbers after the restored ones (P10).
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "audit/audit_internal.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_restore_log);

/* Columns of credit.audit_entry */
#define ENTRY_TEXT 2
#define ENTRY_NATTS 3

/*
 * Put a numbered entry back into the outbox, without what the writer added.
 * Raises when it is an access or a refusal: then this is no fresh database.
 */
static void
back_to_outbox(const char *text)
{
	PgcreditEntry entry;
	const char *recorded = strstr(text, "\"recorded\":\"");
	const char *seq = recorded ? strstr(recorded, ",\"seq\":") : NULL;

	if (seq == NULL)
		elog(ERROR, "entry of the log cannot be read: %s", text);
	if (strstr(text, "\"kind\":\"access\"") || strstr(text, "\"kind\":\"refusal\""))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database has a log of its own"),
				 errhint("Restore into a database in which the extension was just created.")));
	seq += strlen(",\"seq\":");
	seq += strspn(seq, "0123456789");
	initStringInfo(&entry.prefix);
	initStringInfo(&entry.suffix);
	appendBinaryStringInfo(&entry.prefix, text, recorded - text);
	appendStringInfoString(&entry.suffix, seq);
	pgcredit_audit_write_entry(&entry);
}

/*
 * credit._restore_log() returns trigger: BEFORE INSERT statement trigger of
 * credit.audit_entry.  Locks out the writer until the end of the transaction.
 */
Datum
pgcredit_restore_log(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Relation	rel;
	TableScanDesc scan;
	TupleTableSlot *slot;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		RelationGetRelid(trigger->tg_relation) != pgcredit_relation_oid("audit_entry", false))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("credit._restore_log() must be called as a BEFORE INSERT statement trigger of credit.audit_entry")));
	rel = trigger->tg_relation;
	if (RelationGetDescr(rel)->natts != ENTRY_NATTS)
		elog(ERROR, "unexpected columns in credit.audit_entry");
	LockRelation(rel, ShareRowExclusiveLock);
	PushActiveSnapshot(GetLatestSnapshot());
	scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	slot = table_slot_create(rel, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;

		back_to_outbox(TextDatumGetCString(slot_getattr(slot, ENTRY_TEXT + 1, &isnull)));
		simple_table_tuple_delete(rel, &slot->tts_tid, GetActiveSnapshot());
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	PopActiveSnapshot();
	CacheInvalidateRelcache(rel);	/* the writer reads the last number again */
	return PointerGetDatum(NULL);
}
