/*
 * history_drop.c
 *		What is not needed any more: lines and lists of entries that the retention
 *		policy drops, and lists whose entry never came.  In the notary.
 */
#include "postgres.h"

#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit/append.h"
#include "audit/audit_internal.h"
#include "audit/history.h"
#include "audit/list.h"
#include "audit/tree.h"
#include "core/core.h"

#define CLEAN_MS (10 * 60 * 1000)

/*
 * Delete what the key finds in a table by its index, if it is there.
 */
static void
delete_found(Relation rel, const char *index, int n_keys, ScanKey keys)
{
	Seek		seek;
	HeapTuple	tuple;

	pgcredit_seek_begin(&seek, rel, index, n_keys, keys, GetActiveSnapshot());
	while ((tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
		simple_table_tuple_delete(rel, &tuple->t_self, GetActiveSnapshot());
	pgcredit_seek_end(&seek);
}

/*
 * An entry is dropped: so are its lines in histories, and its list.
 */
static void
drop_entry(Relation history, Relation bulk, int64 seq, PgcreditSpan entry, StringInfo members)
{
	HistoryEntry parsed;
	PgcreditScan scan;
	PgcreditSpan subject;
	ScanKeyData keys[2];

	resetStringInfo(members);
	if (!pgcredit_history_parse(entry, &parsed, members))
		return;
	if (parsed.has_list || parsed.has_unknown_list)
	{
		(void) pgcredit_list_drop(&parsed.list);
		ScanKeyInit(&keys[0], BULK_SEQ, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(seq));
		delete_found(bulk, "audit_bulk_pkey", 1, keys);
	}
	if (parsed.subjects.at == NULL || !pgcredit_scan_array(&scan, parsed.subjects))
		return;
	while (pgcredit_scan_element(&scan, &subject) > 0)
	{
		pg_uuid_t	token;

		if (!pgcredit_span_base64url(subject, token.data, UUID_LEN))
			continue;
		ScanKeyInit(&keys[0], HISTORY_TOKEN, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&token));
		ScanKeyInit(&keys[1], HISTORY_SEQ, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(seq));
		delete_found(history, "audit_history_pkey", 2, keys);
	}
}

/*
 * For the retention policy: entries up to "upto" go in the present transaction,
 * and with them what is derived of them and their lists.  To be called by the
 * notary while the active snapshot still sees the entries: before they are
 * deleted, or in the command that does.
 */
void
pgcredit_history_drop(int64 upto)
{
	Relation	entries = table_open(pgcredit_relation_oid("audit_entry", false), AccessShareLock);
	Relation	history = table_open(pgcredit_relation_oid("audit_history", false), RowExclusiveLock);
	Relation	bulk = table_open(pgcredit_relation_oid("audit_bulk", false), RowExclusiveLock);
	StringInfoData members;
	ScanKeyData key;
	Seek		seek;
	HeapTuple	tuple;

	initStringInfo(&members);
	ScanKeyInit(&key, ENTRY_SEQ, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(upto));
	pgcredit_seek_begin(&seek, entries, "audit_entry_pkey", 1, &key, GetActiveSnapshot());
	while ((tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
	{
		Datum		stored = pgcredit_seek_column(&seek, tuple, ENTRY_TEXT);
		text	   *entry = DatumGetTextPP(stored);

		CHECK_FOR_INTERRUPTS();
		drop_entry(history, bulk, DatumGetInt64(pgcredit_seek_column(&seek, tuple, ENTRY_SEQ)),
				   (PgcreditSpan) {VARDATA_ANY(entry), VARSIZE_ANY_EXHDR(entry)}, &members);
		if ((Pointer) entry != DatumGetPointer(stored))
			pfree(entry);
	}
	pgcredit_seek_end(&seek);
	table_close(bulk, NoLock);
	table_close(history, NoLock);
	table_close(entries, NoLock);
}

/*
 * Lists that entries name, by their id: a hash table of pg_uuid_t.
 */
static HTAB *
named_lists(Snapshot snapshot)
{
	HASHCTL		ctl = {.keysize = sizeof(pg_uuid_t),.entrysize = sizeof(pg_uuid_t),.hcxt = CurrentMemoryContext};
	HTAB	   *lists = hash_create("lists of the log", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	Relation	rel = table_open(pgcredit_relation_oid("audit_bulk", false), AccessShareLock);
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	bool		isnull;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		(void) hash_search(lists, DatumGetUUIDP(slot_getattr(slot, BULK_LIST, &isnull)), HASH_ENTER, NULL);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(rel, NoLock);
	return lists;
}

/*
 * Remove the rows of lists without an entry, now and then, once everything is
 * indexed.
 */
void
pgcredit_history_clean(void)
{
	static TimestampTz cleaned = 0;
	TimestampTz now = GetCurrentTimestamp();
	HTAB	   *named;

	if (!TimestampDifferenceExceeds(cleaned, now, CLEAN_MS))
		return;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	named = named_lists(GetActiveSnapshot());
	(void) pgcredit_list_clean(named);
	PopActiveSnapshot();
	CommitTransactionCommand();
	cleaned = now;
}
