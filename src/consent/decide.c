/*
 * decide.c
 *		Which (subject, category) pairs of a request the consents cover, by the
 *		latest snapshot.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "consent/consent_internal.h"
#include "core/core.h"

/* One consent of a subject to the institution that asks. */
typedef struct Consent
{
	int64		consent_id;
	ArrayType  *categories;
	ArrayType  *purposes;
	TimestampTz valid_from;
	TimestampTz valid_to;
	bool		revoked;
	bool		uncommitted;	/* written by this transaction */
} Consent;

static bool
has_category(const ArrayType *categories, int16 id)
{
	const int16 *ids = (const int16 *) ARR_DATA_PTR(categories);
	int			n = ArrayGetNItems(ARR_NDIM(categories), ARR_DIMS(categories));

	for (int k = 0; k < n; k++)
		if (ids[k] == id)
			return true;
	return false;
}

static bool
has_purpose(const ArrayType *purposes, const char *purpose)
{
	int			n = ArrayGetNItems(ARR_NDIM(purposes), ARR_DIMS(purposes));
	char	   *p = ARR_DATA_PTR(purposes);
	Size		len = strlen(purpose);

	for (int k = 0; k < n; k++)
	{
		if (VARSIZE_ANY_EXHDR(p) == len && memcmp(VARDATA_ANY(p), purpose, len) == 0)
			return true;
		p = att_addlength_pointer(p, -1, p);
		p = (char *) att_align_nominal(p, TYPALIGN_INT);
	}
	return false;
}

/*
 * The first condition that fails for a consent and a category that it covers,
 * or REASON_GRANTED.  A consent is in force from valid_from on and no more at
 * valid_to (D-24).
 */
static Reason
check_consent(const Request *r, const Consent *consent)
{
	if (!has_purpose(consent->purposes, r->purpose))
		return REASON_PURPOSE_REFUSED;
	if (consent->uncommitted)
		return REASON_UNCOMMITTED;
	if (consent->revoked)
		return REASON_REVOKED;
	if (r->at < consent->valid_from)
		return REASON_NOT_STARTED;
	if (r->at >= consent->valid_to)
		return REASON_EXPIRED;
	return REASON_GRANTED;
}

/*
 * A subject that exists: keep its salt, and decide what needs no consent.
 */
static void
meet_subject(Request *r, int place, Datum salt)
{
	Decision   *d = &r->decisions[(Size) place * r->n_categories];

	r->salts[place] = DatumGetByteaPCopy(salt);
	for (int c = 0; c < r->n_categories; c++)
		d[c].reason = r->category_ids[c] == 0 ? REASON_UNKNOWN_CATEGORY :
			r->category_public[c] ? REASON_GRANTED : REASON_NO_CONSENT;
}

/*
 * Let a consent improve the decisions on its subject.  Of several consents the
 * one that passes most conditions counts, of equals the first met.
 */
static void
weigh_consent(Request *r, int place, const Consent *consent)
{
	Decision   *d = &r->decisions[(Size) place * r->n_categories];
	Reason		reason = check_consent(r, consent);

	for (int c = 0; c < r->n_categories; c++)
	{
		Reason		here = REASON_CATEGORY_REFUSED;

		if (r->category_ids[c] == 0 || r->category_public[c] ||
			d[c].reason == REASON_GRANTED)
			continue;
		if (has_category(consent->categories, r->category_ids[c]))
			here = reason;
		if (here == REASON_GRANTED)
			d[c].consent_id = consent->consent_id;
		if (here == REASON_GRANTED || here > d[c].reason)
			d[c].reason = here;
	}
}

/* ---------------------------------------------------------------------------
 * One subject: by the indexes
 * ---------------------------------------------------------------------------
 */

static TableInfo subject_info = {
	.table = "subject",.index = "subject_pkey",.n_columns = 2,
	.names = (const char *const[]) {"subject_id", "log_salt"}
};

static TableInfo consent_info = {
	.table = "consent",.index = "consent_of_institution",.n_columns = 8,
	.names = (const char *const[]) {
		"subject_id", "institution_id", "consent_id", "categories", "purposes",
		"valid_from", "valid_to", "revoked_at"
	}
};

static void
take_consents(Request *r, Snapshot snapshot)
{
	ScanKeyData keys[2];
	TableScan	scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(r->subject_ids[0]));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(r->institution_id));
	pgcredit_scan_begin(&scan, &consent_info, 2, keys, snapshot);
	while ((tuple = pgcredit_scan_next(&scan)) != NULL)
	{
		Consent		consent;
		bool		isnull;

		consent.consent_id = DatumGetInt64(pgcredit_scan_column(&scan, tuple, 2, &isnull));
		consent.categories = DatumGetArrayTypeP(pgcredit_scan_column(&scan, tuple, 3, &isnull));
		consent.purposes = DatumGetArrayTypeP(pgcredit_scan_column(&scan, tuple, 4, &isnull));
		consent.valid_from = DatumGetTimestampTz(pgcredit_scan_column(&scan, tuple, 5, &isnull));
		consent.valid_to = DatumGetTimestampTz(pgcredit_scan_column(&scan, tuple, 6, &isnull));
		(void) pgcredit_scan_column(&scan, tuple, 7, &isnull);
		consent.revoked = !isnull;
		consent.uncommitted =
			TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
		weigh_consent(r, 0, &consent);
	}
	pgcredit_scan_end(&scan);
}

static void
decide_one(Request *r)
{
	Snapshot	snapshot = GetActiveSnapshot();
	ScanKeyData key;
	TableScan	scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(r->subject_ids[0]));
	pgcredit_scan_begin(&scan, &subject_info, 1, &key, snapshot);
	tuple = pgcredit_scan_next(&scan);
	if (tuple != NULL)
	{
		bool		isnull;

		meet_subject(r, 0, pgcredit_scan_column(&scan, tuple, 1, &isnull));
	}
	pgcredit_scan_end(&scan);
	if (r->salts[0] != NULL)
		take_consents(r, snapshot);
}

/* ---------------------------------------------------------------------------
 * Many subjects: one query
 * ---------------------------------------------------------------------------
 */

#define CONSENT_QUERY \
	"SELECT s.subject_id, s.log_salt, c.consent_id, c.categories, c.purposes," \
	" c.valid_from, c.valid_to, c.revoked_at IS NOT NULL, c.xmin" \
	" FROM credit.subject s" \
	" LEFT JOIN credit.consent c ON c.subject_id = s.subject_id AND c.institution_id = $2" \
	" WHERE s.subject_id = ANY ($1)"

enum
{
	COL_SUBJECT = 1, COL_SALT, COL_CONSENT, COL_CATEGORIES, COL_PURPOSES,
	COL_FROM, COL_TO, COL_REVOKED, COL_XMIN
};

static SPIPlanPtr
consent_plan(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {INT8ARRAYOID, INT4OID};

	if (plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare_cursor(CONSENT_QUERY, 2, types, CURSOR_OPT_CUSTOM_PLAN);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare: %s", SPI_result_code_string(SPI_result));
		plan = made;
	}
	return plan;
}

static Datum
column(HeapTuple tuple, int number)
{
	bool		isnull;

	return SPI_getbinval(tuple, SPI_tuptable->tupdesc, number, &isnull);
}

static void
take_row(Request *r, HTAB *places, HeapTuple tuple)
{
	int64		id = DatumGetInt64(column(tuple, COL_SUBJECT));
	SubjectPlace *place = hash_search(places, &id, HASH_FIND, NULL);
	bool		none;
	Consent		consent;

	if (place == NULL)
		elog(ERROR, "subject " INT64_FORMAT " was not asked for", id);
	if (r->salts[place->place] == NULL)
		meet_subject(r, place->place, column(tuple, COL_SALT));
	consent.consent_id = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, COL_CONSENT, &none));
	if (none)
		return;
	consent.categories = DatumGetArrayTypeP(column(tuple, COL_CATEGORIES));
	consent.purposes = DatumGetArrayTypeP(column(tuple, COL_PURPOSES));
	consent.valid_from = DatumGetTimestampTz(column(tuple, COL_FROM));
	consent.valid_to = DatumGetTimestampTz(column(tuple, COL_TO));
	consent.revoked = DatumGetBool(column(tuple, COL_REVOKED));
	consent.uncommitted =
		TransactionIdIsCurrentTransactionId(DatumGetTransactionId(column(tuple, COL_XMIN)));
	weigh_consent(r, place->place, &consent);
}

static void
decide_many(Request *r, HTAB *places)
{
	MemoryContext context = CurrentMemoryContext;
	Datum	   *ids = palloc_extended(r->n_subjects * sizeof(Datum), MCXT_ALLOC_HUGE);
	Datum		args[2];
	PgcreditOwner saved;
	int			ret;

	for (int s = 0; s < r->n_subjects; s++)
		ids[s] = Int64GetDatum(r->subject_ids[s]);
	args[0] = PointerGetDatum(construct_array(ids, r->n_subjects, INT8OID,
											  sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	args[1] = Int32GetDatum(r->institution_id);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	pgcredit_owner_begin(&saved);
	ret = SPI_execute_plan(consent_plan(), args, NULL, true, 0);
	pgcredit_owner_end(&saved);
	if (ret != SPI_OK_SELECT)
		elog(ERROR, "could not read consents: %s", SPI_result_code_string(ret));
	MemoryContextSwitchTo(context); /* salts outlive SPI */
	for (uint64 k = 0; k < SPI_processed; k++)
		take_row(r, places, SPI_tuptable->vals[k]);
	SPI_finish();
}

/*
 * Fill the decisions of the request, and the salts of the subjects that exist.
 * The snapshot is taken here, whatever the isolation level, so that everything
 * committed before counts (P2).
 */
void
pgcredit_decide(Request *r, HTAB *places)
{
	Size		n = (Size) r->n_subjects * r->n_categories;

	r->decisions = palloc_extended(n * sizeof(Decision), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	/* What is wrong with the question is said of any subject, or ids could be tried out. */
	for (Size k = 0; k < n; k++)
		r->decisions[k].reason = r->category_ids[k % r->n_categories] == 0 ?
			REASON_UNKNOWN_CATEGORY : REASON_UNKNOWN_SUBJECT;

	PushActiveSnapshot(GetLatestSnapshot());
	if (r->n_subjects == 1)
		decide_one(r);
	else
		decide_many(r, places);
	PopActiveSnapshot();

	for (Size k = 0; r->whole != REASON_GRANTED && k < n; k++)
	{
		r->decisions[k].reason = r->whole;
		r->decisions[k].consent_id = 0;
	}
}
