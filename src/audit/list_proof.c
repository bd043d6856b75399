/*
 * list_proof.c
 *		What may be asked of the list of an access to many: its elements, and the
 *		proof that one of them is there.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "audit/append.h"
#include "audit/audit_internal.h"
#include "audit/history.h"
#include "audit/list.h"
#include "audit/tree.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_listed);
PG_FUNCTION_INFO_V1(pgcredit_list_proof);

/* Called for each element of a list in its order, the header first. */
typedef void (*Visit) (void *arg, int64 index, const ListElement *element);

/*
 * Returns the number of elements.
 */
static int64
walk_list(Snapshot snapshot, const pg_uuid_t *list, bool unknown, Visit visit, void *arg)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_list", false), AccessShareLock);
	ScanKeyData key;
	Seek		seek;
	HeapTuple	tuple;
	int64		index = 0;

	ScanKeyInit(&key, LIST_LIST, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(list));
	pgcredit_seek_begin(&seek, rel, "audit_list_pkey", 1, &key, snapshot);
	while ((tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
	{
		bytea	   *elements = DatumGetByteaPP(pgcredit_seek_column(&seek, tuple, LIST_ELEMENTS));
		const char *at = VARDATA_ANY(elements);
		const char *end = at + VARSIZE_ANY_EXHDR(elements);

		CHECK_FOR_INTERRUPTS();
		while (at < end)
		{
			ListElement element;

			pgcredit_list_element(at, end, index == 0 ? LIST_HEADER : unknown ? LIST_ID : LIST_SUBJECT, &element);
			visit(arg, index++, &element);
			at += element.len;
		}
	}
	pgcredit_seek_end(&seek);
	table_close(rel, NoLock);
	return index;
}

/*
 * The bytes of an entry, palloc'd; false when there is none with this number.
 */
static bool
read_entry(Snapshot snapshot, int64 seq, PgcreditSpan *entry)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_entry", false), AccessShareLock);
	ScanKeyData key;
	Seek		seek;
	HeapTuple	tuple;

	ScanKeyInit(&key, ENTRY_SEQ, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(seq));
	pgcredit_seek_begin(&seek, rel, "audit_entry_pkey", 1, &key, snapshot);
	tuple = pgcredit_seek_next(&seek, ForwardScanDirection);
	if (tuple != NULL)
	{
		text	   *stored = DatumGetTextPCopy(pgcredit_seek_column(&seek, tuple, ENTRY_TEXT));

		entry->at = VARDATA_ANY(stored);
		entry->len = VARSIZE_ANY_EXHDR(stored);
	}
	pgcredit_seek_end(&seek);
	table_close(rel, NoLock);
	return tuple != NULL;
}

/*
 * The list of an entry: false when it has none.
 */
static bool
list_of_entry(Snapshot snapshot, int64 seq, pg_uuid_t *list, bool *unknown)
{
	PgcreditSpan entry;
	HistoryEntry parsed;
	StringInfoData members;

	initStringInfo(&members);
	if (!read_entry(snapshot, seq, &entry) ||
		!pgcredit_history_parse(entry, &parsed, &members) ||
		!(parsed.has_list || parsed.has_unknown_list))
		return false;
	*list = parsed.list;
	*unknown = parsed.has_unknown_list;
	return true;
}

pg_noreturn static void no_list(int64 seq);

static void
no_list(int64 seq)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("entry " INT64_FORMAT " has no list", seq),
			 errdetail("An entry of few subjects names them itself; one that was dropped names nobody.")));
}

/* ---------------------------------------------------------------------------
 * Proofs
 * ---------------------------------------------------------------------------
 */

typedef struct Proving
{
	pg_uuid_t	key;			/* what is looked for */
	PgcreditMerkleHash *hashes;
	int64		size;			/* of that array */
	int64		index;			/* where it was found, or -1 */
	bytea	   *element;
} Proving;

static bytea *
bytea_of(const void *data, Size len)
{
	return (bytea *) cstring_to_text_with_len(data, len);
}

static void
visit_to_prove(void *arg, int64 index, const ListElement *element)
{
	Proving    *p = arg;

	if (index == p->size)
	{
		p->size *= 2;
		p->hashes = repalloc_huge(p->hashes, p->size * sizeof(PgcreditMerkleHash));
	}
	pgcredit_merkle_leaf(element->at, element->len, p->hashes[index]);
	if (index > 0 && memcmp(element->key.data, p->key.data, UUID_LEN) == 0)
	{
		p->index = index;
		p->element = bytea_of(element->at, element->len);
	}
}

/*
 * The element of the list with this key and its inclusion proof; false when it
 * is not there.  Hashes the whole list.
 */
static bool
prove(Snapshot snapshot, const pg_uuid_t *list, bool unknown, const pg_uuid_t *key,
	  PgcreditListProof *proof)
{
	Proving		p = {.key = *key,.size = 1024,.index = -1};
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	Datum		values[PGCREDIT_MERKLE_PATH_MAX];
	int			n;

	p.hashes = palloc(p.size * sizeof(PgcreditMerkleHash));
	proof->size = walk_list(snapshot, list, unknown, visit_to_prove, &p);
	proof->index = p.index;
	proof->element = p.element;
	if (p.index < 0)
		return false;
	n = pgcredit_merkle_inclusion((uint64) p.index, (uint64) proof->size, pgcredit_list_fold, p.hashes, path);
	if (n < 0)
		elog(ERROR, "could not compute a proof");
	for (int k = 0; k < n; k++)
		values[k] = PointerGetDatum(bytea_of(path[k], sizeof(PgcreditMerkleHash)));
	proof->path = construct_array(values, n, BYTEAOID, -1, false, TYPALIGN_INT);
	pfree(p.hashes);
	return true;
}

/*
 * Has credit.audit_list, where the entry has a list, the elements that the entry
 * has the root of?
 */
bool
pgcredit_list_is_whole(Snapshot snapshot, PgcreditSpan entry)
{
	HistoryEntry parsed;
	StringInfoData members;
	Proving		p = {.size = 1024};
	PgcreditMerkleHash root;
	int64		n;
	char	   *named;

	initStringInfo(&members);
	if (!pgcredit_history_parse(entry, &parsed, &members) ||
		!(parsed.has_list || parsed.has_unknown_list))
		return true;
	p.hashes = palloc(p.size * sizeof(PgcreditMerkleHash));
	n = walk_list(snapshot, &parsed.list, parsed.has_unknown_list, visit_to_prove, &p);
	if (!pgcredit_merkle_root((uint64) n, pgcredit_list_fold, p.hashes, root))
		elog(ERROR, "could not compute the root of a list");
	pfree(p.hashes);
	named = psprintf("\"list\":\"%s\"", pgcredit_base64url(root, sizeof(root)));
	return memmem(entry.at, entry.len, named, strlen(named)) != NULL;
}

/*
 * Does the entry name the subject with this token?  Then its bytes are in
 * proof->entry, and where it does so in a list, the proof of that, else
 * proof->element is NULL.
 */
bool
pgcredit_history_proof(Snapshot snapshot, int64 seq, const char *token, PgcreditListProof *proof)
{
	PgcreditSpan entry;
	HistoryEntry parsed;
	StringInfoData members;
	pg_uuid_t	key;
	char	   *quoted = psprintf("\"%s\"", token);

	memset(proof, 0, sizeof(PgcreditListProof));
	initStringInfo(&members);
	if (!read_entry(snapshot, seq, &entry) ||
		!pgcredit_history_parse(entry, &parsed, &members) ||
		!pgcredit_span_base64url((PgcreditSpan) {quoted, strlen(quoted)}, key.data, UUID_LEN))
		return false;
	proof->entry = cstring_to_text_with_len(entry.at, entry.len);
	if (pgcredit_history_names(parsed.subjects, token))
		return true;
	return parsed.has_list && prove(snapshot, &parsed.list, false, &key, proof);
}

/*
 * credit.list_proof(seq bigint, token text) returns record: element, index, size,
 * path, for the subject with this token; P0002 when the entry has no list or the
 * list not the subject, 22023 for what is no token.
 */
Datum
pgcredit_list_proof(PG_FUNCTION_ARGS)
{
	int64		seq = PG_GETARG_INT64(0);
	char	   *quoted = psprintf("\"%s\"", text_to_cstring(PG_GETARG_TEXT_PP(1)));
	TupleDesc	desc;
	pg_uuid_t	list;
	pg_uuid_t	key;
	bool		unknown;
	PgcreditListProof proof;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!pgcredit_span_base64url((PgcreditSpan) {quoted, strlen(quoted)}, key.data, UUID_LEN))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a subject's token has %d characters of base64url", PGCREDIT_TOKEN_LEN)));
	if (!list_of_entry(GetActiveSnapshot(), seq, &list, &unknown))
		no_list(seq);
	if (unknown || !prove(GetActiveSnapshot(), &list, false, &key, &proof))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("the list of entry " INT64_FORMAT " does not have this subject", seq)));
	values[0] = PointerGetDatum(proof.element);
	values[1] = Int64GetDatum(proof.index);
	values[2] = Int64GetDatum(proof.size);
	values[3] = PointerGetDatum(proof.path);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* ---------------------------------------------------------------------------
 * Elements
 * ---------------------------------------------------------------------------
 */

static void
visit_to_show(void *arg, int64 index, const ListElement *element)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = Int64GetDatum(index);
	values[1] = PointerGetDatum(bytea_of(element->at, element->len));
	nulls[2] = nulls[3] = element->kind != LIST_SUBJECT;
	nulls[4] = element->kind != LIST_ID;
	if (element->kind == LIST_SUBJECT)
	{
		Datum	   *ids = palloc(Max(element->n_consents, 1) * sizeof(Datum));

		for (int k = 0; k < element->n_consents; k++)
			ids[k] = Int64GetDatum(element->consents[k]);
		values[2] = PointerGetDatum(bytea_of(element->key.data, UUID_LEN));
		values[3] = PointerGetDatum(construct_array(ids, element->n_consents, INT8OID, sizeof(int64),
													FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	}
	else if (element->kind == LIST_ID)
		values[4] = Int64GetDatum(element->id);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * credit.listed(seq bigint): the elements of an entry's list, in order, as they
 * are hashed and what they say; P0002 when the entry has no list.
 */
Datum
pgcredit_listed(PG_FUNCTION_ARGS)
{
	int64		seq = PG_GETARG_INT64(0);
	pg_uuid_t	list;
	bool		unknown;

	if (!list_of_entry(GetActiveSnapshot(), seq, &list, &unknown))
		no_list(seq);
	InitMaterializedSRF(fcinfo, 0);
	(void) walk_list(GetActiveSnapshot(), &list, unknown, visit_to_show, fcinfo->resultinfo);
	return (Datum) 0;
}
