/*
 * list.c
 *		Accesses to many subjects: building a list, finding a subject in it,
 *		proving that it is there.  What a list is: list.h.
 *
 * The rows of a list are durable before its entry is handed to the writer, so
 * an entry never lacks them (P1).  Rows without an entry say nothing; they are
 * left when somebody dies in between, and the notary removes them.
 */
#include "postgres.h"

#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "audit/append.h"
#include "audit/audit_internal.h"
#include "audit/history.h"
#include "audit/list.h"
#include "audit/tree.h"
#include "core/core.h"
#include "crypto/crypto.h"

/* Rows whose entry has not come by then are nobody's. */
#define ORPHAN_MINUTES 60

/* Leaves that are hashed at a time: 2 to this. */
#define LEAVES_AT_ONCE 8

typedef struct Element
{
	uint64		order;			/* its first bytes, as a number */
	uint32		at;				/* in the builder's bytes */
	uint32		len;
} Element;

struct PgcreditList
{
	bool		unknown;		/* of ids, not of subjects */
	uint8		header[UUID_LEN + sizeof(uint32)];
	StringInfoData bytes;
	Element    *elements;
	int			n;
	int			size;
};

/* ---------------------------------------------------------------------------
 * Building
 * ---------------------------------------------------------------------------
 */

/*
 * A list of the access; "number" tells it from others of the same access.
 */
PgcreditList *
pgcredit_list_begin(const pg_uuid_t *access, int number, bool unknown)
{
	PgcreditList *list = palloc0(sizeof(PgcreditList));
	uint32		n = pg_hton32((uint32) number);

	memcpy(list->header, access->data, UUID_LEN);
	memcpy(list->header + UUID_LEN, &n, sizeof(n));
	list->unknown = unknown;
	list->size = 256;
	list->elements = palloc(list->size * sizeof(Element));
	initStringInfo(&list->bytes);
	return list;
}

static Element *
new_element(PgcreditList *list)
{
	Element    *element;

	if (list->n == list->size)
	{
		list->size *= 2;
		list->elements = repalloc_huge(list->elements, list->size * sizeof(Element));
	}
	element = &list->elements[list->n++];
	element->at = list->bytes.len;
	return element;
}

static void
end_element(PgcreditList *list, Element *element)
{
	uint64		order;

	memcpy(&order, list->bytes.data + element->at, sizeof(order));
	element->order = pg_ntoh64(order);
	element->len = list->bytes.len - element->at;
}

static void
append_number(StringInfo buf, uint64 n)
{
	while (n >= 0x80)
	{
		appendStringInfoCharMacro(buf, (char) (n | 0x80));
		n >>= 7;
	}
	appendStringInfoCharMacro(buf, (char) n);
}

/*
 * Add a subject by its token and the consents that were used.
 */
void
pgcredit_list_add_subject(PgcreditList *list, const uint8 *token, const int64 *consents, int n)
{
	Element    *element = new_element(list);

	appendBinaryStringInfo(&list->bytes, (const char *) token, UUID_LEN);
	append_number(&list->bytes, n);
	for (int k = 0; k < n; k++)
		append_number(&list->bytes, (uint64) consents[k]);
	end_element(list, element);
}

/*
 * The key of an id that no subject has: no token's, and not the header's.
 */
static void
unknown_key(pg_uuid_t *key, const char *id)
{
	memset(key, 0, sizeof(pg_uuid_t));
	key->data[0] = 1;
	memcpy(key->data + UUID_LEN - sizeof(uint64), id, sizeof(uint64));
}

void
pgcredit_list_add_unknown(PgcreditList *list, int64 id)
{
	Element    *element = new_element(list);
	uint64		bytes = pg_hton64((uint64) id);

	appendBinaryStringInfo(&list->bytes, (char *) &bytes, sizeof(bytes));
	end_element(list, element);
}

/*
 * In the order of their keys; an id is all of its bytes.
 */
static int
by_key(const void *a, const void *b, void *arg)
{
	const PgcreditList *list = arg;
	const Element *x = a;
	const Element *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return list->unknown ? 0 : memcmp(list->bytes.data + x->at, list->bytes.data + y->at, UUID_LEN);
}

/*
 * Hash of a perfect subtree for pgcredit_merkle_*, which ask for no leaf twice:
 * the hashes, arg, are used up.
 */
bool
pgcredit_list_fold(void *arg, unsigned int height, uint64 index, PgcreditMerkleHash out)
{
	PgcreditMerkleHash *hashes = arg;

	pgcredit_merkle_fold(hashes + (index << height), height, out);
	return true;
}

/*
 * Hash of a perfect subtree of the list's tree, whose first leaf is the header.
 */
static bool
hash_subtree(void *arg, unsigned int height, uint64 index, PgcreditMerkleHash out)
{
	const PgcreditList *list = arg;
	PgcreditMerkleHash leaves[1 << LEAVES_AT_ONCE];

	if (height > LEAVES_AT_ONCE)
	{
		(void) hash_subtree(arg, height - 1, 2 * index, leaves[0]);
		(void) hash_subtree(arg, height - 1, 2 * index + 1, leaves[1]);
		pgcredit_merkle_node(leaves[0], leaves[1], out);
		return true;
	}
	CHECK_FOR_INTERRUPTS();
	for (uint64 k = 0; k < UINT64CONST(1) << height; k++)
	{
		uint64		leaf = (index << height) + k;

		if (leaf == 0)
			pgcredit_merkle_leaf(list->header, sizeof(list->header), leaves[k]);
		else
			pgcredit_merkle_leaf(list->bytes.data + list->elements[leaf - 1].at, list->elements[leaf - 1].len, leaves[k]);
	}
	pgcredit_merkle_fold(leaves, height, out);
	return true;
}

/*
 * Bring the elements into their order; root is then that of the list.
 */
static void
sort_and_hash(PgcreditList *list, PgcreditMerkleHash root)
{
	qsort_arg(list->elements, list->n, sizeof(Element), by_key, list);
	if (!pgcredit_merkle_root((uint64) list->n + 1, hash_subtree, list, root))
		elog(ERROR, "could not compute the root of a list");
}

/*
 * Make the rows of the list durable and return how the entry names it, palloc'd
 * base64url.  Raises as pgcredit_audit_finish does.
 */
char *
pgcredit_list_store(PgcreditList *list)
{
	PgcreditMerkleHash root;
	int			most;
	ListRow    *rows;
	StringInfoData *elements;
	int			n = 1;

	sort_and_hash(list, root);
	most = 2 + list->bytes.len / (LIST_ROW - LIST_ELEMENT_MAX);
	rows = palloc0(most * sizeof(ListRow));
	elements = palloc0(most * sizeof(StringInfoData));
	initStringInfo(&elements[0]);
	appendBinaryStringInfo(&elements[0], (char *) list->header, sizeof(list->header));
	memcpy(rows[0].list.data, root, UUID_LEN);
	for (int k = 0; k < list->n; k++)
	{
		const Element *element = &list->elements[k];

		CHECK_FOR_INTERRUPTS();
		if (n == 1 || elements[n - 1].len + element->len > LIST_ROW)
		{
			Assert(n < most);
			memcpy(rows[n].list.data, root, UUID_LEN);
			if (list->unknown)
				unknown_key(&rows[n].first, list->bytes.data + element->at);
			else
				memcpy(rows[n].first.data, list->bytes.data + element->at, UUID_LEN);
			initStringInfo(&elements[n++]);
		}
		appendBinaryStringInfo(&elements[n - 1], list->bytes.data + element->at, element->len);
	}
	pgcredit_audit_put_rows(rows, elements, n);
	for (int k = 0; k < n; k++)
		pfree(elements[k].data);
	pfree(elements);
	pfree(rows);
	return pgcredit_base64url(root, sizeof(root));
}

int
pgcredit_list_count(const PgcreditList *list)
{
	return list->n;
}

/* ---------------------------------------------------------------------------
 * Reading
 * ---------------------------------------------------------------------------
 */

pg_noreturn static void list_corrupted(void);

static void
list_corrupted(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("credit.audit_list has a row that cannot be read"),
			 errhint("Somebody changed the log's tables; credit.verify_log() says where.")));
}

/*
 * The number at *at, which moves on.
 */
static uint64
take_number(const char **at, const char *end)
{
	uint64		n = 0;

	for (int shift = 0; shift < 64; shift += 7)
	{
		unsigned char c;

		if (*at >= end)
			list_corrupted();
		c = (unsigned char) *(*at)++;
		n |= (uint64) (c & 0x7f) << shift;
		if (c < 0x80)
			return n;
	}
	list_corrupted();
}

/*
 * Read the element at "at"; raises data_corrupted when there is none.
 */
void
pgcredit_list_element(const char *at, const char *end, ListElementKind kind, ListElement *element)
{
	const char *p = at + UUID_LEN;
	uint64		n;
	uint64		id;

	element->kind = kind;
	element->at = at;
	element->n_consents = 0;
	switch (kind)
	{
		case LIST_HEADER:
			memset(&element->key, 0, sizeof(pg_uuid_t));
			element->len = end - at;
			return;
		case LIST_ID:
			element->len = sizeof(uint64);
			if (end - at < element->len)
				list_corrupted();
			unknown_key(&element->key, at);
			memcpy(&id, at, sizeof(id));
			element->id = (int64) pg_ntoh64(id);
			return;
		case LIST_SUBJECT:
			break;
	}
	if (end - at <= UUID_LEN)
		list_corrupted();
	memcpy(element->key.data, at, UUID_LEN);
	n = take_number(&p, end);
	if (n > LIST_CONSENTS_MAX)
		list_corrupted();
	for (uint64 k = 0; k < n; k++)
		element->consents[k] = (int64) take_number(&p, end);
	element->n_consents = (int) n;
	element->len = p - at;
}

/*
 * Is there a subject with this beginning of its token in the list?  Reads one
 * row.
 */
bool
pgcredit_list_has(Snapshot snapshot, const pg_uuid_t *list, const pg_uuid_t *key)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_list", false), AccessShareLock);
	ScanKeyData keys[2];
	Seek		seek;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&keys[0], LIST_LIST, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(list));
	ScanKeyInit(&keys[1], LIST_FIRST, BTLessEqualStrategyNumber, F_UUID_LE, UUIDPGetDatum(key));
	pgcredit_seek_begin(&seek, rel, "audit_list_pkey", 2, keys, snapshot);
	tuple = pgcredit_seek_next(&seek, BackwardScanDirection);
	if (tuple != NULL)
	{
		static const pg_uuid_t header = {{0}};
		bytea	   *elements = DatumGetByteaPP(pgcredit_seek_column(&seek, tuple, LIST_ELEMENTS));
		const char *at = VARDATA_ANY(elements);
		const char *end = at + VARSIZE_ANY_EXHDR(elements);

		if (memcmp(DatumGetUUIDP(pgcredit_seek_column(&seek, tuple, LIST_FIRST))->data, header.data, UUID_LEN) == 0)
			at = end;
		while (at < end && !found)
		{
			ListElement element;

			pgcredit_list_element(at, end, LIST_SUBJECT, &element);
			found = memcmp(element.key.data, key->data, UUID_LEN) == 0;
			at += element.len;
		}
	}
	pgcredit_seek_end(&seek);
	table_close(rel, NoLock);
	return found;
}

/*
 * Delete the rows of a list in the present transaction; returns how many.
 */
int64
pgcredit_list_drop(const pg_uuid_t *list)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_list", false), RowExclusiveLock);
	ScanKeyData key;
	Seek		seek;
	HeapTuple	tuple;
	int64		n = 0;

	ScanKeyInit(&key, LIST_LIST, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(list));
	pgcredit_seek_begin(&seek, rel, "audit_list_pkey", 1, &key, GetActiveSnapshot());
	while ((tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
	{
		simple_table_tuple_delete(rel, &tuple->t_self, GetActiveSnapshot());
		n++;
	}
	pgcredit_seek_end(&seek);
	table_close(rel, NoLock);
	return n;
}

/*
 * Delete the rows of lists whose entry has not come, in the present transaction:
 * a backend died between the two, or gave up.  "named" are the ids of lists that
 * entries have, as a hash table; of young lists the entry may be on its way.
 * Returns how many lists it looked at.
 */
int64
pgcredit_list_clean(HTAB *named)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_list", false), RowExclusiveLock);
	TimestampTz old = GetCurrentTimestamp() - ORPHAN_MINUTES * USECS_PER_MINUTE;
	ScanKeyData key;
	Seek		seek;
	HeapTuple	tuple;
	pg_uuid_t	list;
	int64		n = 0;

	for (;;)
	{
		bool		orphan;

		/* the next list: its first row is its header */
		if (n > 0)
			ScanKeyInit(&key, LIST_LIST, BTGreaterStrategyNumber, F_UUID_GT, UUIDPGetDatum(&list));
		pgcredit_seek_begin(&seek, rel, "audit_list_pkey", n > 0 ? 1 : 0, &key, GetActiveSnapshot());
		tuple = pgcredit_seek_next(&seek, ForwardScanDirection);
		if (tuple != NULL)
		{
			pg_uuid_t	next = *DatumGetUUIDP(pgcredit_seek_column(&seek, tuple, LIST_LIST));

			orphan = hash_search(named, &next, HASH_FIND, NULL) == NULL &&
				DatumGetTimestampTz(pgcredit_seek_column(&seek, tuple, LIST_MADE)) < old;
			list = next;
		}
		pgcredit_seek_end(&seek);
		if (tuple == NULL)
			break;
		CHECK_FOR_INTERRUPTS();
		n++;
		if (orphan)
			(void) pgcredit_list_drop(&list);
	}
	table_close(rel, NoLock);
	return n;
}
