/*
 * restore.c
 *		Loading a dumped log into a fresh database.
 *
 * Only the writer adds entries, and it does so below SQL.  An INSERT or COPY
 * into credit.audit_entry is therefore a restore, and allowed while the
 * database has recorded no access of its own.  But the same restore also loads
 * the audited tables, whose triggers leave entries that the writer may have
 * numbered before the old log arrives, or between two INSERTs of it.  These go
 * back to the outbox, and get numbers after the restored ones (P10).  A session
 * remembers how far it has restored, so that a dump of INSERTs, each its own
 * transaction, is told from what the writer added in between.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "audit/audit_internal.h"
#include "audit/tree.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_restore_log);
PG_FUNCTION_INFO_V1(pgcredit_restore_rows);

static Oid	restored_relid = InvalidOid;	/* the log this session restores */
static int64 restored_to = 0;	/* its last entry */
static TransactionId restored_by = InvalidTransactionId;	/* who inserted that */

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
 * Scan the entries with a number of at least "from" by the index.
 */
typedef struct EntryScan
{
	Relation	rel;
	Relation	index;
	SysScanDesc scan;
} EntryScan;

static void
entries_begin(EntryScan *entries, Relation rel, int64 from)
{
	ScanKeyData key;

	PushActiveSnapshot(GetLatestSnapshot());
	ScanKeyInit(&key, ENTRY_SEQ, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from));
	entries->rel = rel;
	entries->index = index_open(pgcredit_relation_oid("audit_entry_pkey", false), AccessShareLock);
	entries->scan = systable_beginscan_ordered(rel, entries->index, GetActiveSnapshot(), 1, &key);
}

static void
entries_end(EntryScan *entries)
{
	systable_endscan_ordered(entries->scan);
	index_close(entries->index, AccessShareLock);
	PopActiveSnapshot();
}

static int64
entry_seq(Relation rel, HeapTuple tuple)
{
	bool		isnull;

	return DatumGetInt64(heap_getattr(tuple, ENTRY_SEQ, RelationGetDescr(rel), &isnull));
}

/*
 * Has this session restored the log up to restored_to, and is that entry still
 * there?  What it restored may have been rolled back.
 */
static bool
restored_is_there(Relation rel)
{
	EntryScan	entries;
	HeapTuple	tuple;
	bool		there;

	if (restored_relid != RelationGetRelid(rel))
		return false;
	entries_begin(&entries, rel, restored_to);
	tuple = systable_getnext_ordered(entries.scan, ForwardScanDirection);
	there = tuple != NULL && entry_seq(rel, tuple) == restored_to &&
		TransactionIdEquals(HeapTupleHeaderGetXmin(tuple->t_data), restored_by);
	entries_end(&entries);
	return there;
}

static void
remember_restored(Relation rel)
{
	EntryScan	entries;
	HeapTuple	tuple;

	CommandCounterIncrement();	/* see what was just inserted */
	entries_begin(&entries, rel, 0);
	tuple = systable_getnext_ordered(entries.scan, BackwardScanDirection);
	restored_relid = tuple ? RelationGetRelid(rel) : InvalidOid;
	if (tuple)
	{
		restored_to = entry_seq(rel, tuple);
		restored_by = HeapTupleHeaderGetXmin(tuple->t_data);
	}
	entries_end(&entries);
}

/*
 * Delete the rows of a derived table; of credit.audit_leaf those that cover
 * entries from "from" on.  The writer makes anew what is missing.
 */
static void
delete_derived(const char *name, int64 from)
{
	Relation	rel = table_open(pgcredit_relation_oid(name, false), RowExclusiveLock);
	TableScanDesc scan;
	TupleTableSlot *slot = table_slot_create(rel, NULL);

	PushActiveSnapshot(GetLatestSnapshot());
	scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;

		if (from == 0 ||
			(DatumGetInt64(slot_getattr(slot, LEAF_N, &isnull)) + 1) * LEAF_ROW >= from)
			simple_table_tuple_delete(rel, &slot->tts_tid, GetActiveSnapshot());
	}
	table_endscan(scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, RowExclusiveLock);
}

static void
move_to_outbox(Relation rel, int64 from)
{
	EntryScan	entries;
	HeapTuple	tuple;
	int64		moved = 0;

	entries_begin(&entries, rel, from);
	while ((tuple = systable_getnext_ordered(entries.scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;

		back_to_outbox(TextDatumGetCString(heap_getattr(tuple, ENTRY_TEXT, RelationGetDescr(rel), &isnull)));
		simple_table_tuple_delete(rel, &tuple->t_self, GetActiveSnapshot());
		moved++;
	}
	entries_end(&entries);
	if (moved > 0)
	{
		delete_derived("audit_leaf", from);
		delete_derived("audit_node", 0);
		delete_derived("audit_history", 0);
		delete_derived("audit_bulk", 0);
		delete_derived("audit_history_state", 0);
	}
}

/*
 * credit._restore_log() returns trigger: statement trigger of
 * credit.audit_entry, before and after INSERT.
 */
Datum
pgcredit_restore_log(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Relation	rel;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		RelationGetRelid(trigger->tg_relation) != pgcredit_relation_oid("audit_entry", false))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("credit._restore_log() must be called as an INSERT statement trigger of credit.audit_entry")));
	rel = trigger->tg_relation;
	/* Keeps the writer out until the end of the transaction. */
	LockRelation(rel, ShareRowExclusiveLock);
	pgcredit_queue_forget_end(MyDatabaseId);
	if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		move_to_outbox(rel, restored_is_there(rel) ? restored_to + 1 : 0);
	else
	{
		remember_restored(rel);
		CacheInvalidateRelcache(rel);	/* the writer reads the last number again */
	}
	return PointerGetDatum(NULL);
}

/*
 * credit._restore_rows() returns trigger: BEFORE INSERT statement trigger of
 * tables that only the platform's processes write.  The first INSERT of a
 * session needs the table empty; those that follow, as a dump of INSERTs has
 * them, go on.
 */
Datum
pgcredit_restore_rows(PG_FUNCTION_ARGS)
{
	static List *restoring = NIL;	/* tables, by oid */
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Relation	rel;
	TableScanDesc scan;
	TupleTableSlot *slot;
	bool		empty;
	MemoryContext old;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		trigger->tg_relation->rd_rel->relkind != RELKIND_RELATION ||
		RelationGetNamespace(trigger->tg_relation) != pgcredit_schema_oid(false))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("credit._restore_rows() must be called as a BEFORE INSERT statement trigger of a table of the log")));
	rel = trigger->tg_relation;
	if (list_member_oid(restoring, RelationGetRelid(rel)))
		return PointerGetDatum(NULL);
	LockRelation(rel, ShareRowExclusiveLock);
	PushActiveSnapshot(GetLatestSnapshot());
	slot = table_slot_create(rel, NULL);
	scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	empty = !table_scan_getnextslot(scan, ForwardScanDirection, slot);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	PopActiveSnapshot();
	if (!empty)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"credit.%s\" has rows of its own", RelationGetRelationName(rel)),
				 errdetail("Only the platform's own processes add to it; an INSERT is taken for the restore of a dump."),
				 errhint("Restore into a database in which the extension was just created.")));
	old = MemoryContextSwitchTo(TopMemoryContext);
	restoring = lappend_oid(restoring, RelationGetRelid(rel));
	MemoryContextSwitchTo(old);
	return PointerGetDatum(NULL);
}
