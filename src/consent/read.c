/*
 * read.c
 *		credit.read: open access and return the records, in one call.
 *
 * The records of one subject are fetched while its entry is being flushed; the
 * function returns them, and so shows them, only when the entry is durable, and
 * no code of a user runs in between.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "consent/consent_internal.h"
#include "consent/mask.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_read_one);
PG_FUNCTION_INFO_V1(pgcredit_read_many);

#define ROWS_AT_ONCE 1000

/* Columns of the result, and of what is read for it in the same places. */
enum
{
	OUT_SUBJECT, OUT_CATEGORY, OUT_RECORD, OUT_DATED, OUT_FROM, OUT_TO, OUT_POLARITY,
	OUT_STATUS, OUT_PROVIDER, OUT_PAYLOAD, OUT_COLUMNS
};

static TableInfo record_info = {
	.table = "record",.index = "record_dated_idx",.n_columns = OUT_COLUMNS,
	.names = (const char *const[]) {
		"subject_id", "category_id", "record_id", "dated", "valid_from", "valid_to",
		"polarity", "status", "provider_id", "payload"
	}
};

static SPIPlanPtr
read_plan(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {INT8ARRAYOID, INT2ARRAYOID};

	if (plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare_cursor("SELECT subject_id, category_id, record_id, dated, valid_from,"
											  " valid_to, polarity, status, provider_id, payload"
											  " FROM credit.record"
											  " WHERE subject_id = ANY ($1) AND category_id = ANY ($2)",
											  2, types, CURSOR_OPT_CUSTOM_PLAN);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare: %s", SPI_result_code_string(SPI_result));
		plan = made;
	}
	return plan;
}

/*
 * Put a row of what was read, with codes instead of numbers, and covered what is
 * above the clearance of who asks.
 */
static void
put_row(ReturnSetInfo *rsinfo, const Request *r, Datum *values, bool *nulls)
{
	const char *provider = pgcredit_institution_code(DatumGetInt32(values[OUT_PROVIDER]));

	values[OUT_PAYLOAD] =
		pgcredit_mask_payload(r->role, DatumGetInt16(values[OUT_CATEGORY]), values[OUT_PAYLOAD]);
	values[OUT_CATEGORY] =
		CStringGetTextDatum(pgcredit_category_code(DatumGetInt16(values[OUT_CATEGORY])));
	nulls[OUT_PROVIDER] = provider == NULL;
	values[OUT_PROVIDER] = provider ? CStringGetTextDatum(provider) : (Datum) 0;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * One subject, all of whose categories were granted: by the index, as the
 * statement's own snapshot sees it.
 */
static void
put_records_of_one(ReturnSetInfo *rsinfo, const Request *r)
{
	for (int c = 0; c < r->n_categories; c++)
	{
		ScanKeyData keys[2];
		TableScan	scan;
		HeapTuple	tuple;

		ScanKeyInit(&keys[0], OUT_SUBJECT + 1, BTEqualStrategyNumber, F_INT8EQ,
					Int64GetDatum(r->subject_ids[0]));
		ScanKeyInit(&keys[1], OUT_CATEGORY + 1, BTEqualStrategyNumber, F_INT2EQ,
					Int16GetDatum(r->category_ids[c]));
		pgcredit_scan_begin(&scan, &record_info, 2, keys, GetActiveSnapshot());
		while ((tuple = pgcredit_scan_next(&scan)) != NULL)
		{
			Datum		values[OUT_COLUMNS];
			bool		nulls[OUT_COLUMNS];

			pgcredit_scan_columns(&scan, tuple, OUT_COLUMNS, values, nulls);
			put_row(rsinfo, r, values, nulls);
			CHECK_FOR_INTERRUPTS();
		}
		pgcredit_scan_end(&scan);
	}
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

/*
 * Many subjects: by a cursor, since the rows may not fit in memory.
 */
static void
put_records_of_many(ReturnSetInfo *rsinfo, const Request *r)
{
	Datum		args[2];
	HTAB	   *granted = granted_subjects(r, &args[0]);
	Datum	   *ids = palloc(r->n_categories * sizeof(Datum));
	int			n = 0;
	PgcreditOwner saved;
	Portal		portal;

	for (int c = 0; c < r->n_categories; c++)
		if (r->category_ids[c] != 0)
			ids[n++] = Int16GetDatum(r->category_ids[c]);
	args[1] = PointerGetDatum(construct_array(ids, n, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	pgcredit_owner_begin(&saved);
	portal = SPI_cursor_open(NULL, read_plan(), args, NULL, true);
	do
	{
		SPI_cursor_fetch(portal, true, ROWS_AT_ONCE);
		for (uint64 k = 0; k < SPI_processed; k++)
		{
			Datum		values[OUT_COLUMNS];
			bool		nulls[OUT_COLUMNS];

			heap_deform_tuple(SPI_tuptable->vals[k], SPI_tuptable->tupdesc, values, nulls);
			if (was_granted(granted, DatumGetInt64(values[OUT_SUBJECT]),
							DatumGetInt16(values[OUT_CATEGORY])))
				put_row(rsinfo, r, values, nulls);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed == ROWS_AT_ONCE);
	SPI_cursor_close(portal);
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
	Request    *r = pgcredit_access_begin(fcinfo, true);

	InitMaterializedSRF(fcinfo, 0);
	if (r->opened)
		put_records_of_one((ReturnSetInfo *) fcinfo->resultinfo, r);
	pgcredit_access_finish(r);
	return (Datum) 0;
}

/*
 * credit.read(subject_ids bigint[], purpose text, categories text[]): returns
 * what may be read and leaves out the rest; the log has both.
 */
Datum
pgcredit_read_many(PG_FUNCTION_ARGS)
{
	Request    *r = pgcredit_access_begin(fcinfo, false);

	pgcredit_access_finish(r);
	InitMaterializedSRF(fcinfo, 0);
	put_records_of_many((ReturnSetInfo *) fcinfo->resultinfo, r);
	return (Datum) 0;
}
