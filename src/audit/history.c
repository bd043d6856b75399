/*
 * history.c
 *		Indexing which entries name which subject, in the notary.
 *
 * A page of a subject's history must not read the entries, which lie all over
 * the log.  So the notary takes what the writer has committed, in the order of
 * the log, sorts what it found by subject and adds it to credit.audit_history,
 * whose index has all columns; nobody waits for it.  How far it is stands in
 * the same transaction, so whoever sees one sees the other; who asks looks
 * through the entries after that by himself (history_page.c).
 *
 * All of it is made anew from the entries when it is gone.  Hence it needs no
 * flush of its own.  It holds a lock on credit.audit_entry that keeps a restore
 * out, as the writer does; it takes it first.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "audit/append.h"
#include "audit/history.h"
#include "audit/list.h"
#include "audit/shared.h"
#include "audit/tree.h"
#include "core/core.h"

/* Of a turn, so that signing need not wait long. */
#define ENTRIES_AT_ONCE 4096
#define BYTES_AT_ONCE (4 * 1024 * 1024)
/* Milliseconds to the next turn: while entries come, and else */
#define SOON_MS 200L
#define LATER_MS 1000L
/* Look even when shared memory says that there is nothing. */
#define LOOK_MS 10000
#define DESCRIPTORS_HELD 100000

/* Members that make a descriptor, in their order; few combinations exist. */
static const char *const described[] = {
	"actor", "categories", "institution", "kind", "operation", "purpose", "purposes", "reason",
	"session_user"
};

typedef struct HistoryRow
{
	pg_uuid_t	token;
	int64		seq;
	TimestampTz recorded;
	int32		descriptor;
} HistoryRow;

typedef struct DescriptorKey
{
	pg_uuid_t	digest;
	int32		id;
} DescriptorKey;

/* One turn. */
typedef struct Indexing
{
	Snapshot	snapshot;
	HistoryRow *rows;
	int			n_rows;
	int			size;
	Appender	bulk;
	Appender	descriptors;
	int64		last;			/* entry looked at */
} Indexing;

static HTAB *known = NULL;		/* descriptors by digest, in TopMemoryContext */
static int32 last_descriptor = 0;	/* highest number given */
static int64 indexed = -1;		/* as of the last turn */

/* ---------------------------------------------------------------------------
 * Entries
 * ---------------------------------------------------------------------------
 */

/*
 * What the entry says, its descriptor appended to members; false when its bytes
 * are not those of an entry: somebody changed them.
 */
bool
pgcredit_history_parse(PgcreditSpan entry, HistoryEntry *parsed, StringInfo members)
{
	PgcreditScan scan;
	PgcreditSpan name;
	PgcreditSpan value;
	int			next = 0;
	int			step;
	bool		timed = false;
	bool		listed = false;
	bool		of_subjects = false;

	memset(parsed, 0, sizeof(HistoryEntry));
	if (!pgcredit_scan_object(&scan, entry))
		return false;
	appendStringInfoChar(members, '{');
	while ((step = pgcredit_scan_member(&scan, &name, &value)) > 0)
	{
		if (pgcredit_span_is(name, "recorded"))
			timed = pgcredit_span_time(value, &parsed->recorded);
		else if (pgcredit_span_is(name, "subjects"))
			parsed->subjects = value;
		else if (pgcredit_span_is(name, "list"))
			listed = pgcredit_span_base64url(value, parsed->list.data, UUID_LEN);
		else if (pgcredit_span_is(name, "listed"))
			of_subjects = pgcredit_span_is(value, "\"subjects\"");
		for (int k = next; k < lengthof(described); k++)
		{
			if (!pgcredit_span_is(name, described[k]))
				continue;
			appendStringInfo(members, "%s\"%s\":", members->data[members->len - 1] == '{' ? "" : ",",
							 described[k]);
			appendBinaryStringInfo(members, value.at, value.len);
			next = k + 1;
			break;
		}
	}
	appendStringInfoChar(members, '}');
	parsed->has_list = listed && of_subjects;
	parsed->has_unknown_list = listed && !of_subjects;
	return step == 0 && timed;
}

/*
 * Is the token among these?
 */
bool
pgcredit_history_names(PgcreditSpan subjects, const char *token)
{
	PgcreditScan scan;
	PgcreditSpan subject;

	if (subjects.at == NULL || !pgcredit_scan_array(&scan, subjects))
		return false;
	while (pgcredit_scan_element(&scan, &subject) > 0)
		if (subject.len == PGCREDIT_TOKEN_LEN + 2 &&
			memcmp(subject.at + 1, token, PGCREDIT_TOKEN_LEN) == 0)
			return true;
	return false;
}

/*
 * Last entry that the index covers, as the snapshot sees it; 0 for none.
 */
int64
pgcredit_history_upto(Snapshot snapshot)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_history_state", false), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	int64		upto = 0;
	bool		isnull;

	if (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		upto = DatumGetInt64(slot_getattr(slot, STATE_UPTO, &isnull));
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return upto;
}

static void
set_upto(Snapshot snapshot, int64 upto)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_history_state", false), RowExclusiveLock);
	TupleTableSlot *old = table_slot_create(rel, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);

	ExecClearTuple(slot);
	slot->tts_values[STATE_UPTO - 1] = Int64GetDatum(upto);
	slot->tts_isnull[STATE_UPTO - 1] = false;
	ExecStoreVirtualTuple(slot);
	if (table_scan_getnextslot(scan, ForwardScanDirection, old))
		pgcredit_update_unindexed(rel, &old->tts_tid, slot, snapshot);
	else
		simple_table_tuple_insert(rel, slot);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(old);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
}

/* ---------------------------------------------------------------------------
 * Descriptors
 * ---------------------------------------------------------------------------
 */

/*
 * Begin to hold descriptors; the highest number is read at the same time.
 */
static void
know_descriptors(Indexing *ix)
{
	HASHCTL		ctl = {.keysize = sizeof(pg_uuid_t),.entrysize = sizeof(DescriptorKey),.hcxt = TopMemoryContext};

	if (known != NULL && hash_get_num_entries(known) < DESCRIPTORS_HELD)
		return;
	if (known != NULL)
		hash_destroy(known);
	known = hash_create("descriptors of entries", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	last_descriptor = (int32) pgcredit_seek_last(ix->descriptors.rel, "audit_descriptor_pkey", ix->snapshot, 0);
}

static int32
stored_descriptor(Indexing *ix, const pg_uuid_t *digest)
{
	ScanKeyData key;
	Seek		seek;
	HeapTuple	tuple;
	int32		id = 0;

	ScanKeyInit(&key, DESCRIPTOR_DIGEST, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(digest));
	pgcredit_seek_begin(&seek, ix->descriptors.rel, "audit_descriptor_digest_key", 1, &key, ix->snapshot);
	tuple = pgcredit_seek_next(&seek, ForwardScanDirection);
	if (tuple != NULL)
		id = DatumGetInt32(pgcredit_seek_column(&seek, tuple, DESCRIPTOR_ID));
	pgcredit_seek_end(&seek);
	return id;
}

/*
 * Number of the descriptor, which is added when it is new.
 */
static int32
descriptor_id(Indexing *ix, const StringInfo members)
{
	uint8		hash[PGCREDIT_HASH_BYTES];
	pg_uuid_t  *digest = palloc(sizeof(pg_uuid_t));
	DescriptorKey *held;
	bool		found;
	int32		id;

	pgcredit_sha256(members->data, members->len, hash);
	memcpy(digest->data, hash, UUID_LEN);
	held = hash_search(known, digest, HASH_FIND, NULL);
	if (held != NULL)
		return held->id;
	id = stored_descriptor(ix, digest);
	if (id == 0)
	{
		TupleTableSlot *slot = pgcredit_append_row(&ix->descriptors);

		if (last_descriptor == PG_INT32_MAX)
			elog(ERROR, "no number left for a descriptor");
		id = ++last_descriptor;
		slot->tts_values[DESCRIPTOR_ID - 1] = Int32GetDatum(id);
		slot->tts_values[DESCRIPTOR_DIGEST - 1] = UUIDPGetDatum(digest);
		slot->tts_values[DESCRIPTOR_MEMBERS - 1] =
			PointerGetDatum(cstring_to_text_with_len(members->data, members->len));
	}
	held = hash_search(known, digest, HASH_ENTER, &found);
	held->id = id;
	return id;
}

/* ---------------------------------------------------------------------------
 * A turn
 * ---------------------------------------------------------------------------
 */

static void
add_row(Indexing *ix, const pg_uuid_t *token, int64 seq, TimestampTz recorded, int32 descriptor)
{
	HistoryRow *row;

	if (ix->n_rows == ix->size)
	{
		ix->size *= 2;
		ix->rows = repalloc_huge(ix->rows, ix->size * sizeof(HistoryRow));
	}
	row = &ix->rows[ix->n_rows++];
	memset(row, 0, sizeof(HistoryRow));
	row->token = *token;
	row->seq = seq;
	row->recorded = recorded;
	row->descriptor = descriptor;
}

static void
add_bulk(Indexing *ix, int64 seq, const HistoryEntry *parsed, int32 descriptor)
{
	TupleTableSlot *slot = pgcredit_append_row(&ix->bulk);
	pg_uuid_t  *list = palloc(sizeof(pg_uuid_t));

	*list = parsed->list;
	slot->tts_values[BULK_SEQ - 1] = Int64GetDatum(seq);
	slot->tts_values[BULK_LIST - 1] = UUIDPGetDatum(list);
	slot->tts_values[BULK_RECORDED - 1] = TimestampTzGetDatum(parsed->recorded);
	slot->tts_values[BULK_DESCRIPTOR - 1] = Int32GetDatum(descriptor);
	slot->tts_values[BULK_UNKNOWN - 1] = BoolGetDatum(parsed->has_unknown_list);
}

/*
 * Take what an entry says of subjects.  One that cannot be read was changed;
 * it has no place in a history, and credit.verify_log() reports it.
 */
static void
index_entry(Indexing *ix, int64 seq, PgcreditSpan entry, StringInfo members)
{
	HistoryEntry parsed;
	PgcreditScan scan;
	PgcreditSpan subject;
	int32		descriptor;

	resetStringInfo(members);
	if (!pgcredit_history_parse(entry, &parsed, members) ||
		(parsed.subjects.at == NULL && !parsed.has_list && !parsed.has_unknown_list))
		return;
	descriptor = descriptor_id(ix, members);
	if (parsed.has_list || parsed.has_unknown_list)
		add_bulk(ix, seq, &parsed, descriptor);
	if (parsed.subjects.at == NULL || !pgcredit_scan_array(&scan, parsed.subjects))
		return;
	while (pgcredit_scan_element(&scan, &subject) > 0)
	{
		pg_uuid_t	token;

		if (pgcredit_span_base64url(subject, token.data, UUID_LEN))
			add_row(ix, &token, seq, parsed.recorded, descriptor);
	}
}

static int
by_token(const void *a, const void *b)
{
	const HistoryRow *x = a;
	const HistoryRow *y = b;
	int			order = memcmp(x->token.data, y->token.data, UUID_LEN);

	if (order != 0)
		return order;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/*
 * Sorted, so that the rows of a subject, and of subjects beside it in the
 * index, go in together.  An entry that names a subject twice counts once.
 */
static void
write_rows(Indexing *ix)
{
	Appender	history;

	pgcredit_append_open(&history, "audit_history", HISTORY_COLUMNS);
	qsort(ix->rows, ix->n_rows, sizeof(HistoryRow), by_token);
	for (int k = 0; k < ix->n_rows; k++)
	{
		HistoryRow *row = &ix->rows[k];
		TupleTableSlot *slot;

		if (k > 0 && by_token(row, row - 1) == 0)
			continue;
		slot = pgcredit_append_row(&history);
		slot->tts_values[HISTORY_TOKEN - 1] = UUIDPGetDatum(&row->token);
		slot->tts_values[HISTORY_SEQ - 1] = Int64GetDatum(row->seq);
		slot->tts_values[HISTORY_RECORDED - 1] = TimestampTzGetDatum(row->recorded);
		slot->tts_values[HISTORY_DESCRIPTOR - 1] = Int32GetDatum(row->descriptor);
	}
	pgcredit_append_close(&history);
}

/*
 * Look through the entries after "from"; false when all there are were.
 */
static bool
take_entries(Indexing *ix, Relation rel, int64 from)
{
	ScanKeyData key;
	Seek		seek;
	HeapTuple	tuple;
	int			n = 0;
	Size		bytes = 0;
	StringInfoData members;

	initStringInfo(&members);
	ScanKeyInit(&key, ENTRY_SEQ, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(from));
	pgcredit_seek_begin(&seek, rel, "audit_entry_pkey", 1, &key, ix->snapshot);
	ix->last = from;
	while (n < ENTRIES_AT_ONCE && bytes < BYTES_AT_ONCE &&
		   (tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
	{
		Datum		stored = pgcredit_seek_column(&seek, tuple, ENTRY_TEXT);
		text	   *entry = DatumGetTextPP(stored);
		PgcreditSpan span = {VARDATA_ANY(entry), VARSIZE_ANY_EXHDR(entry)};

		CHECK_FOR_INTERRUPTS();
		ix->last = DatumGetInt64(pgcredit_seek_column(&seek, tuple, ENTRY_SEQ));
		index_entry(ix, ix->last, span, &members);
		n++;
		bytes += span.len;
		if ((Pointer) entry != DatumGetPointer(stored))
			pfree(entry);
	}
	pgcredit_seek_end(&seek);
	return n == ENTRIES_AT_ONCE || bytes >= BYTES_AT_ONCE;
}

/*
 * One transaction of work; returns whether more is left.
 */
static bool
index_some(int slot)
{
	Indexing	ix;
	Relation	rel;
	int64		from;
	bool		more;
	PgcreditLogMark mark;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	/* What is derived can be lost in a crash: no reader's flush waits for it. */
	(void) set_config_option("synchronous_commit", "off", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	/*
	 * Give way at once to who wants the tables for itself, as DROP EXTENSION does,
	 * and before its deadlock_timeout: it would be told of a deadlock.
	 */
	(void) set_config_option("lock_timeout", "100ms", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	rel = table_open(pgcredit_relation_oid("audit_entry", false), RowExclusiveLock);
	pgcredit_mark_before_snapshot(&mark);
	PushActiveSnapshot(GetLatestSnapshot());
	memset(&ix, 0, sizeof(ix));
	ix.snapshot = GetActiveSnapshot();
	ix.size = 1024;
	ix.rows = palloc(ix.size * sizeof(HistoryRow));
	pgcredit_append_open(&ix.bulk, "audit_bulk", BULK_COLUMNS);
	pgcredit_append_open(&ix.descriptors, "audit_descriptor", DESCRIPTOR_COLUMNS);
	know_descriptors(&ix);
	from = pgcredit_history_upto(ix.snapshot);
	more = take_entries(&ix, rel, from);
	pgcredit_append_close(&ix.bulk);
	pgcredit_append_close(&ix.descriptors);
	if (ix.n_rows > 0)
		write_rows(&ix);
	if (ix.last > from)
		set_upto(ix.snapshot, ix.last);
	table_close(rel, NoLock);
	PopActiveSnapshot();
	CommitTransactionCommand();
	indexed = ix.last;
	pgcredit_queue_set_indexed(slot, (uint64) indexed, &mark);
	return more;
}

/*
 * Called by the notary between signatures.  Does a bounded part of what there
 * is to do and returns after how many milliseconds it wants to be called again.
 * A log that is not "in use" may be in the middle of a restore.
 * Errors are logged when they are new; then the next turn tries again.
 */
long
pgcredit_history_turn(int slot, bool in_use)
{
	static TimestampTz looked = 0;
	static int	last_failure = 0;
	MemoryContext context = CurrentMemoryContext;
	TimestampTz now = GetCurrentTimestamp();
	volatile long wait = LATER_MS;

	if (indexed >= 0 && pgcredit_queue_end(slot) == (uint64) indexed &&
		!TimestampDifferenceExceeds(looked, now, LOOK_MS))
		return LATER_MS;
	looked = now;
	PG_TRY();
	{
		int64		before = indexed;

		if (index_some(slot))
			wait = 0;
		else if (indexed != before)
			wait = SOON_MS;
		else if (in_use)
			pgcredit_history_clean();
		last_failure = 0;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		if (geterrcode() != last_failure)
			EmitErrorReport();
		last_failure = geterrcode();
		AbortCurrentTransaction();
		FlushErrorState();
		/* Numbers of this turn were not given. */
		if (known != NULL)
			hash_destroy(known);
		known = NULL;
		indexed = -1;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return wait;
}
