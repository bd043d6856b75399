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
		const Terms *terms = &r->terms[r->decisions[c].terms];
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
			if (!pgcredit_dated_within(DatumGetDateADT(values[OUT_DATED]), terms->from, terms->to))
				continue;
			put_row(rsinfo, r, values, nulls);
			CHECK_FOR_INTERRUPTS();
		}
		pgcredit_scan_end(&scan);
	}
}

/*
 * What the request was granted, and the subjects that were granted anything.
 */
static GrantSet *
granted_subjects(const Request *r, Datum *ids)
{
	GrantSet   *granted = pgcredit_grants_create(CurrentMemoryContext, r->n_subjects);
	Datum	   *list = palloc_extended(r->n_subjects * sizeof(Datum), MCXT_ALLOC_HUGE);
	int			n = 0;

	for (int s = 0; s < r->n_subjects; s++)
		if (pgcredit_grants_add_decisions(granted, r, s))
			list[n++] = Int64GetDatum(r->subject_ids[s]);
	*ids = PointerGetDatum(construct_array(list, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	return granted;
}

static void
put_rows_of(ReturnSetInfo *rsinfo, const Request *r, const GrantSet *granted, Datum *args)
{
	Portal		portal = SPI_cursor_open(NULL, read_plan(), args, NULL, true);

	do
	{
		SPI_cursor_fetch(portal, true, ROWS_AT_ONCE);
		for (uint64 k = 0; k < SPI_processed; k++)
		{
			Datum		values[OUT_COLUMNS];
			bool		nulls[OUT_COLUMNS];

			heap_deform_tuple(SPI_tuptable->vals[k], SPI_tuptable->tupdesc, values, nulls);
			if (pgcredit_grants_allow(granted, pgcredit_grants_of(granted, DatumGetInt64(values[OUT_SUBJECT])),
									  DatumGetInt16(values[OUT_CATEGORY]), DatumGetDateADT(values[OUT_DATED])))
				put_row(rsinfo, r, values, nulls);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed == ROWS_AT_ONCE);
	SPI_cursor_close(portal);
}

/*
 * Many subjects: by a cursor, since the rows may not fit in memory.
 */
static void
put_records_of_many(ReturnSetInfo *rsinfo, const Request *r)
{
	Datum		args[2];
	GrantSet   *granted = granted_subjects(r, &args[0]);
	Datum	   *ids = palloc(r->n_categories * sizeof(Datum));
	int			n = 0;
	PgcreditOwner saved;

	for (int c = 0; c < r->n_categories; c++)
		if (r->category_ids[c] != 0)
			ids[n++] = Int16GetDatum(r->category_ids[c]);
	args[1] = PointerGetDatum(construct_array(ids, n, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	pgcredit_owner_begin(&saved);
	pgcredit_quiet_enter();		/* days that no consent covers are met as well */
	PG_TRY();
	{
		put_rows_of(rsinfo, r, granted, args);
	}
	PG_FINALLY();
	{
		pgcredit_quiet_leave();
	}
	PG_END_TRY();
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
