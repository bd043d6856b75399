/*
 * history_page.c
 *		A page of a subject's history: the newest entries that name it.
 *
 * Three sources, newest first: entries that the notary has not indexed yet,
 * looked through one by one for the bytes of the token; the index, of which one
 * page is a run of its leaves (no row of the table is read where VACUUM has been);
 * and accesses to many, each of which is asked for the subject.  Everything is
 * read under one snapshot, so nothing is missing and nothing is there twice.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "audit/append.h"
#include "audit/history.h"
#include "audit/list.h"
#include "audit/shared.h"
#include "audit/tree.h"
#include "core/core.h"

#define DESCRIPTIONS_HELD 4096

/* A descriptor, read. */
typedef struct Held
{
	int32		id;
	PgcreditDescription what;
} Held;

typedef struct HistoryPage
{
	Snapshot	snapshot;
	const char *token;			/* as it stands in entries */
	pg_uuid_t	key;			/* its first bytes */
	int			most;
	int			n;
	PgcreditHistoryLine *lines; /* [most] */
} HistoryPage;

static MemoryContext held_context = NULL;
static HTAB *held = NULL;		/* in held_context */
static Oid	held_relid = InvalidOid;	/* the table that they were read from */

/* ---------------------------------------------------------------------------
 * Descriptions
 * ---------------------------------------------------------------------------
 */

static char *
take_string(PgcreditSpan value)
{
	char	   *out = palloc(value.len + 1);
	long		n = pgcredit_span_text(value, out);

	if (n < 0)
		return NULL;
	out[n] = '\0';
	return out;
}

/*
 * A string, or an array of strings, as text[].
 */
static ArrayType *
take_strings(PgcreditSpan value)
{
	PgcreditScan scan;
	PgcreditSpan element;
	Datum	   *texts = palloc((value.len / 2 + 1) * sizeof(Datum));
	int			n = 0;

	if (pgcredit_scan_array(&scan, value))
	{
		while (pgcredit_scan_element(&scan, &element) > 0)
		{
			char	   *string = take_string(element);

			if (string)
				texts[n++] = CStringGetTextDatum(string);
		}
	}
	else
	{
		char	   *string = take_string(value);

		if (string)
			texts[n++] = CStringGetTextDatum(string);
	}
	return construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT);
}

/*
 * Read a descriptor in the current memory context.
 */
static void
describe(PgcreditSpan members, PgcreditDescription *what)
{
	PgcreditScan scan;
	PgcreditSpan name;
	PgcreditSpan value;

	memset(what, 0, sizeof(PgcreditDescription));
	if (!pgcredit_scan_object(&scan, members))
		return;
	while (pgcredit_scan_member(&scan, &name, &value) > 0)
	{
		if (pgcredit_span_is(name, "actor"))
			what->actor = take_string(value);
		else if (pgcredit_span_is(name, "categories"))
			what->categories = take_strings(value);
		else if (pgcredit_span_is(name, "institution"))
			what->institution = take_string(value);
		else if (pgcredit_span_is(name, "kind"))
			what->kind = take_string(value);
		else if (pgcredit_span_is(name, "operation"))
			what->operation = take_string(value);
		else if (pgcredit_span_is(name, "purpose") || pgcredit_span_is(name, "purposes"))
			what->purposes = take_strings(value);
		else if (pgcredit_span_is(name, "reason"))
			what->reason = take_string(value);
		else if (pgcredit_span_is(name, "session_user"))
			what->session_user = take_string(value);
	}
}

/*
 * Descriptors never change, so a session holds those that it has met, until
 * they are many.  Called before a page, whose lines point to them.
 */
static void
hold_descriptions(void)
{
	HASHCTL		ctl = {.keysize = sizeof(int32),.entrysize = sizeof(Held)};
	Oid			relid = pgcredit_relation_oid("audit_descriptor", false);

	if (held != NULL && relid == held_relid && hash_get_num_entries(held) < DESCRIPTIONS_HELD)
		return;
	if (held_context == NULL)
		held_context = AllocSetContextCreate(TopMemoryContext, "pgcredit descriptions",
											 ALLOCSET_DEFAULT_SIZES);
	held = NULL;
	MemoryContextReset(held_context);
	ctl.hcxt = held_context;
	held = hash_create("descriptions of entries", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	held_relid = relid;
}

static const PgcreditDescription *
find_description(const HistoryPage *page, int32 id)
{
	Held	   *known = hash_search(held, &id, HASH_FIND, NULL);
	PgcreditDescription what = {0};
	Relation	rel;
	ScanKeyData key;
	Seek		seek;
	HeapTuple	tuple;

	if (known != NULL)
		return &known->what;
	rel = table_open(held_relid, AccessShareLock);
	ScanKeyInit(&key, DESCRIPTOR_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(id));
	pgcredit_seek_begin(&seek, rel, "audit_descriptor_pkey", 1, &key, page->snapshot);
	tuple = pgcredit_seek_next(&seek, ForwardScanDirection);
	if (tuple != NULL)
	{
		text	   *members = DatumGetTextPP(pgcredit_seek_column(&seek, tuple, DESCRIPTOR_MEMBERS));
		MemoryContext old = MemoryContextSwitchTo(held_context);

		describe((PgcreditSpan) {VARDATA_ANY(members), VARSIZE_ANY_EXHDR(members)}, &what);
		MemoryContextSwitchTo(old);
	}
	pgcredit_seek_end(&seek);
	table_close(rel, NoLock);
	if (tuple == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("descriptor %d of credit.audit_descriptor is missing", id),
				 errhint("Somebody changed the log's tables; credit.verify_log() says where.")));
	known = hash_search(held, &id, HASH_ENTER, NULL);
	known->what = what;
	return &known->what;
}

/* ---------------------------------------------------------------------------
 * Entries that are not indexed
 * ---------------------------------------------------------------------------
 */

static bool
contains(PgcreditSpan where, const char *what, Size len)
{
	const char *at = where.at;
	const char *end = where.at + where.len;

	while (end - at >= (ptrdiff_t) len &&
		   (at = memchr(at, what[0], end - at - len + 1)) != NULL)
	{
		if (memcmp(at, what, len) == 0)
			return true;
		at++;
	}
	return false;
}

/*
 * Add the entry if it names the subject.  Most do not have the bytes of the
 * token, nor a list, and are not looked at further.
 */
static void
look_at_entry(HistoryPage *page, int64 seq, PgcreditSpan entry)
{
	static const char list[] = "\"list\":\"";
	HistoryEntry parsed;
	StringInfoData members;
	PgcreditDescription *what;
	PgcreditHistoryLine *line;
	bool		listed = false;

	if (!contains(entry, page->token, PGCREDIT_TOKEN_LEN) &&
		!contains(entry, list, sizeof(list) - 1))
		return;
	initStringInfo(&members);
	if (!pgcredit_history_parse(entry, &parsed, &members))
		return;
	if (!pgcredit_history_names(parsed.subjects, page->token))
	{
		listed = parsed.has_list && pgcredit_list_has(page->snapshot, &parsed.list, &page->key);
		if (!listed)
			return;
	}
	what = palloc(sizeof(PgcreditDescription));
	describe((PgcreditSpan) {members.data, members.len}, what);
	line = &page->lines[page->n++];
	line->seq = seq;
	line->recorded = parsed.recorded;
	line->listed = listed;
	line->what = what;
}

static void
take_unindexed(HistoryPage *page, int64 upto, int64 before)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_entry", false), AccessShareLock);
	ScanKeyData keys[2];
	Seek		seek;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], ENTRY_SEQ, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(upto));
	ScanKeyInit(&keys[1], ENTRY_SEQ, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(before));
	pgcredit_seek_begin(&seek, rel, "audit_entry_pkey", 2, keys, page->snapshot);
	while (page->n < page->most && (tuple = pgcredit_seek_next(&seek, BackwardScanDirection)) != NULL)
	{
		Datum		stored = pgcredit_seek_column(&seek, tuple, ENTRY_TEXT);
		text	   *entry = DatumGetTextPP(stored);

		CHECK_FOR_INTERRUPTS();
		look_at_entry(page, DatumGetInt64(pgcredit_seek_column(&seek, tuple, ENTRY_SEQ)),
					  (PgcreditSpan) {VARDATA_ANY(entry), VARSIZE_ANY_EXHDR(entry)});
		if ((Pointer) entry != DatumGetPointer(stored))
			pfree(entry);
	}
	pgcredit_seek_end(&seek);
	table_close(rel, NoLock);
}

/* ---------------------------------------------------------------------------
 * The index
 * ---------------------------------------------------------------------------
 */

static void
take_index_tuple(HistoryPage *page, IndexScanDesc scan)
{
	PgcreditHistoryLine *line = &page->lines[page->n++];
	Datum		values[HISTORY_COLUMNS];
	bool		nulls[HISTORY_COLUMNS];

	index_deform_tuple(scan->xs_itup, scan->xs_itupdesc, values, nulls);
	line->seq = DatumGetInt64(values[HISTORY_SEQ - 1]);
	line->recorded = DatumGetTimestampTz(values[HISTORY_RECORDED - 1]);
	line->listed = false;
	line->descriptor = DatumGetInt32(values[HISTORY_DESCRIPTOR - 1]);
	line->what = NULL;
}

/*
 * Lines before an entry from the index alone: the table is looked at only for
 * rows of pages that are not known to be visible to all.
 */
static void
take_indexed(HistoryPage *page, int64 before)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_history", false), AccessShareLock);
	Relation	index = index_open(pgcredit_relation_oid("audit_history_pkey", false), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	Buffer		map = InvalidBuffer;
	IndexScanDesc scan;
	ScanKeyData keys[2];
	ItemPointer tid;

	ScanKeyInit(&keys[0], HISTORY_TOKEN, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&page->key));
	ScanKeyInit(&keys[1], HISTORY_SEQ, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(before));
	scan = pgcredit_index_beginscan(rel, index, page->snapshot, 2);
	scan->xs_want_itup = true;
	index_rescan(scan, keys, 2, NULL, 0);
	while (page->n < page->most && (tid = index_getnext_tid(scan, BackwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (!VM_ALL_VISIBLE(rel, ItemPointerGetBlockNumber(tid), &map))
		{
			if (!index_fetch_heap(scan, slot))
				continue;
			ExecClearTuple(slot);
		}
		take_index_tuple(page, scan);
	}
	if (BufferIsValid(map))
		ReleaseBuffer(map);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(rel, NoLock);
}

/* ---------------------------------------------------------------------------
 * Accesses to many
 * ---------------------------------------------------------------------------
 */

/*
 * Those between two entries whose list has the subject, newest first.
 */
static void
take_bulk(HistoryPage *page, int64 after, int64 before)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_bulk", false), AccessShareLock);
	ScanKeyData keys[2];
	Seek		seek;
	HeapTuple	tuple;

	/* most logs have none; an empty index would be read to see that */
	if (RelationGetNumberOfBlocks(rel) == 0)
	{
		table_close(rel, NoLock);
		return;
	}
	ScanKeyInit(&keys[0], BULK_SEQ, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
	ScanKeyInit(&keys[1], BULK_SEQ, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(before));
	pgcredit_seek_begin(&seek, rel, "audit_bulk_pkey", 2, keys, page->snapshot);
	while (page->n < page->most && (tuple = pgcredit_seek_next(&seek, BackwardScanDirection)) != NULL)
	{
		PgcreditHistoryLine *line = &page->lines[page->n];

		CHECK_FOR_INTERRUPTS();
		if (DatumGetBool(pgcredit_seek_column(&seek, tuple, BULK_UNKNOWN)) ||
			!pgcredit_list_has(page->snapshot, DatumGetUUIDP(pgcredit_seek_column(&seek, tuple, BULK_LIST)),
							   &page->key))
			continue;
		line->seq = DatumGetInt64(pgcredit_seek_column(&seek, tuple, BULK_SEQ));
		line->recorded = DatumGetTimestampTz(pgcredit_seek_column(&seek, tuple, BULK_RECORDED));
		line->listed = true;
		line->descriptor = DatumGetInt32(pgcredit_seek_column(&seek, tuple, BULK_DESCRIPTOR));
		line->what = NULL;
		page->n++;
	}
	pgcredit_seek_end(&seek);
	table_close(rel, NoLock);
}

/*
 * Newest first.  An entry is in one source only.
 */
static int
by_newest(const void *a, const void *b)
{
	int64		x = ((const PgcreditHistoryLine *) a)->seq;
	int64		y = ((const PgcreditHistoryLine *) b)->seq;

	return x > y ? -1 : x < y;
}

/*
 * The newest "most" entries before "before" that name the subject with this
 * token, newest first; returns how many.  *lines is palloc'd; what they point to
 * lives until the next call.  Asks for no right: the caller decides.  The mark is
 * of the snapshot.
 */
int
pgcredit_history_page(Snapshot snapshot, const PgcreditLogMark *mark, const char *token,
					  int64 before, int most, PgcreditHistoryLine **lines)
{
	int64		upto = mark->indexed > 0 ? (int64) mark->indexed : pgcredit_history_upto(snapshot);
	int64		indexed_before = Min(before, upto + 1);
	int			fresh;
	int			n_indexed;
	HistoryPage page;
	char	   *quoted = psprintf("\"%s\"", token);

	memset(&page, 0, sizeof(page));
	page.snapshot = snapshot;
	page.token = token;
	page.most = most;
	/* room for a page of each source */
	page.lines = palloc0(2 * (Size) most * sizeof(PgcreditHistoryLine));
	if (!pgcredit_span_base64url((PgcreditSpan) {quoted, strlen(quoted)}, page.key.data, UUID_LEN))
		elog(ERROR, "\"%s\" is no token", token);
	hold_descriptions();

	if (before > upto + 1 && (mark->end == 0 || mark->end > (uint64) upto))
		take_unindexed(&page, upto, before);
	fresh = page.n;
	take_indexed(&page, indexed_before);
	n_indexed = page.n - fresh;
	page.most = page.n + most - fresh;
	take_bulk(&page, fresh + n_indexed == most && page.n > 0 ? page.lines[page.n - 1].seq : 0, indexed_before);
	qsort(page.lines, page.n, sizeof(PgcreditHistoryLine), by_newest);
	page.n = Min(page.n, most);
	for (int k = 0; k < page.n; k++)
		if (page.lines[k].what == NULL)
			page.lines[k].what = find_description(&page, page.lines[k].descriptor);
	*lines = page.lines;
	return page.n;
}
