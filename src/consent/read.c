/*
 * read.c
 *		credit.read: open access and return the records, in one call.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "consent/consent_internal.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_read_one);
PG_FUNCTION_INFO_V1(pgcredit_read_many);

#define ROWS_AT_ONCE 1000

/* Columns of the result; the query gives the same, category_id for category */
#define READ_COLUMNS 10
#define READ_QUERY(condition) \
	"SELECT r.subject_id, r.category_id, r.record_id, r.dated, r.valid_from, r.valid_to," \
	" r.polarity, r.status," \
	" (SELECT i.code FROM credit.institution i WHERE i.institution_id = r.provider_id), r.payload" \
	" FROM credit.record r WHERE r.subject_id " condition " AND r.category_id = ANY ($2)"

static SPIPlanPtr
read_plan(bool many)
{
	static SPIPlanPtr plans[2] = {NULL, NULL};
	Oid			types[2] = {many ? INT8ARRAYOID : INT8OID, INT2ARRAYOID};

	if (plans[many] == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare_cursor(many ? READ_QUERY("= ANY ($1)") : READ_QUERY("= $1"),
											  2, types,
											  many ? CURSOR_OPT_CUSTOM_PLAN : CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL)
			elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
		if (SPI_keepplan(plan) != 0)
			elog(ERROR, "SPI_keepplan failed");
		plans[many] = plan;
	}
	return plans[many];
}

/*
 * Subjects with at least one granted category, and what each was granted.
 */
static HTAB *
granted_subjects(const Request *r, Datum *ids)
{
	HASHCTL		ctl = {.keysize = sizeof(int64),.entrysize = sizeof(int64) + sizeof(CategorySet),.hcxt = CurrentMemoryContext};
	HTAB	   *granted = hash_create("granted subjects", r->n_subjects, &ctl,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	Datum	   *list = palloc_extended(r->n_subjects * sizeof(Datum), MCXT_ALLOC_HUGE);
	int			n = 0;

	for (int s = 0; s < r->n_subjects; s++)
	{
		CategorySet set = {{0, 0}};
		char	   *entry;

		for (int c = 0; c < r->n_categories; c++)
			if (r->decisions[(Size) s * r->n_categories + c].reason == REASON_GRANTED)
				category_set_add(&set, r->category_ids[c]);
		if (set.words[0] == 0 && set.words[1] == 0)
			continue;
		entry = hash_search(granted, &r->subject_ids[s], HASH_ENTER, NULL);
		memcpy(entry + sizeof(int64), &set, sizeof(set));
		list[n++] = Int64GetDatum(r->subject_ids[s]);
	}
	*ids = PointerGetDatum(construct_array(list, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	return granted;
}

static bool
was_granted(HTAB *granted, int64 subject_id, int16 category_id)
{
	char	   *entry = hash_search(granted, &subject_id, HASH_FIND, NULL);
	CategorySet set;

	if (entry == NULL)
		return false;
	memcpy(&set, entry + sizeof(int64), sizeof(set));
	return category_set_has(&set, category_id);
}

static void
put_row(ReturnSetInfo *rsinfo, HTAB *granted, HeapTuple tuple, TupleDesc desc)
{
	Datum		values[READ_COLUMNS];
	bool		nulls[READ_COLUMNS];
	int16		category_id;

	heap_deform_tuple(tuple, desc, values, nulls);
	category_id = DatumGetInt16(values[1]);
	if (granted && !was_granted(granted, DatumGetInt64(values[0]), category_id))
		return;
	values[1] = CStringGetTextDatum(pgcredit_category_code(category_id));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Put the rows that SPI has in hand, and free them.
 */
static void
put_rows(ReturnSetInfo *rsinfo, HTAB *granted)
{
	for (uint64 k = 0; k < SPI_processed; k++)
		put_row(rsinfo, granted, SPI_tuptable->vals[k], SPI_tuptable->tupdesc);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * The records of many subjects may not fit in memory.
 */
static void
put_rows_by_cursor(ReturnSetInfo *rsinfo, HTAB *granted, Datum *args)
{
	Portal		portal = SPI_cursor_open(NULL, read_plan(true), args, NULL, true);

	do
	{
		SPI_cursor_fetch(portal, true, ROWS_AT_ONCE);
		put_rows(rsinfo, granted);
	} while (SPI_processed == ROWS_AT_ONCE);
	SPI_cursor_close(portal);
}

/*
 * Return the records of what the request was granted, as the statement's own
 * snapshot sees them.
 */
static void
return_records(FunctionCallInfo fcinfo, const Request *r, bool many)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	HTAB	   *granted = NULL;
	Datum		args[2];
	Datum	   *ids = palloc(r->n_categories * sizeof(Datum));
	int			n = 0;
	PgcreditOwner saved;

	InitMaterializedSRF(fcinfo, 0);
	if (many)
		granted = granted_subjects(r, &args[0]);
	else
		args[0] = Int64GetDatum(r->subject_ids[0]);
	for (int c = 0; c < r->n_categories; c++)
		if (r->category_ids[c] != 0)
			ids[n++] = Int16GetDatum(r->category_ids[c]);
	args[1] = PointerGetDatum(construct_array(ids, n, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	pgcredit_owner_begin(&saved);
	if (many)
		put_rows_by_cursor(rsinfo, granted, args);
	else
	{
		if (SPI_execute_plan(read_plan(false), args, NULL, true, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not read records");
		put_rows(rsinfo, NULL);
	}
	pgcredit_owner_end(&saved);
	SPI_finish();
}

/*
 * credit.read(subject_id bigint, purpose text, categories text[]): raises when
 * any category is refused, and then returns nothing.
 */
Datum
pgcredit_read_one(PG_FUNCTION_ARGS)
{
	return_records(fcinfo, pgcredit_open_access(fcinfo, true), false);
	return (Datum) 0;
}

/*
 * credit.read(subject_ids bigint[], purpose text, categories text[]): returns
 * what may be read and leaves out the rest; the log has both.
 */
Datum
pgcredit_read_many(PG_FUNCTION_ARGS)
{
	return_records(fcinfo, pgcredit_open_access(fcinfo, false), true);
	return (Datum) 0;
}
