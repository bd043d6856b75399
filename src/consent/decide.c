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
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

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
	Reason		status;			/* REASON_GRANTED when it is active */
	bool		uncommitted;	/* written by this transaction */
	Terms		terms;
} Consent;

/* What is read of a consent, in this order by both ways of reading it. */
#define CONSENT_COLUMNS "consent_id", "categories", "purposes", "valid_from", "valid_to", "status", \
	"use_limit", "frequency_unit", "frequency_count", "data_from", "data_to"

enum
{
	C_ID, C_CATEGORIES, C_PURPOSES, C_FROM, C_TO, C_STATUS, C_USE_LIMIT, C_UNIT, C_COUNT,
	C_DATA_FROM, C_DATA_TO, C_COLUMNS
};

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
 * The calendar hour, day, month or year that "at" lies in, in Asia/Shanghai, which
 * is UTC+8 all year.
 */
static void
period_of(const char *unit, TimestampTz at, TimestampTz *since, TimestampTz *until)
{
	const int64 offset = 8 * USECS_PER_HOUR;
	struct pg_tm tm;
	fsec_t		fsec;
	Timestamp	local;

	if (timestamp2tm(at + offset, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	tm.tm_min = tm.tm_sec = 0;
	if (strcmp(unit, "hour") != 0)
		tm.tm_hour = 0;
	if (strcmp(unit, "month") == 0 || strcmp(unit, "year") == 0)
		tm.tm_mday = 1;
	if (strcmp(unit, "year") == 0)
		tm.tm_mon = 1;
	(void) tm2timestamp(&tm, 0, NULL, &local);
	*since = local - offset;
	if (strcmp(unit, "hour") == 0)
		*until = *since + USECS_PER_HOUR;
	else if (strcmp(unit, "day") == 0)
		*until = *since + USECS_PER_DAY;
	else
	{
		if (strcmp(unit, "year") == 0)
			tm.tm_year++;
		else if (++tm.tm_mon > MONTHS_PER_YEAR)
		{
			tm.tm_mon = 1;
			tm.tm_year++;
		}
		(void) tm2timestamp(&tm, 0, NULL, &local);
		*until = local - offset;
	}
}

/*
 * A consent from the values of CONSENT_COLUMNS.
 */
static void
take_values(const Request *r, Datum *values, bool *nulls, TransactionId xmin, Consent *consent)
{
	char	   *status = TextDatumGetCString(values[C_STATUS]);

	memset(consent, 0, sizeof(Consent));
	consent->consent_id = DatumGetInt64(values[C_ID]);
	consent->categories = DatumGetArrayTypeP(values[C_CATEGORIES]);
	consent->purposes = DatumGetArrayTypeP(values[C_PURPOSES]);
	consent->valid_from = DatumGetTimestampTz(values[C_FROM]);
	consent->valid_to = DatumGetTimestampTz(values[C_TO]);
	consent->status = strcmp(status, "active") == 0 ? REASON_GRANTED :
		strcmp(status, "paused") == 0 ? REASON_PAUSED :
		strcmp(status, "replaced") == 0 ? REASON_REPLACED : REASON_REVOKED;
	consent->uncommitted = TransactionIdIsCurrentTransactionId(xmin);
	consent->terms.from = nulls[C_DATA_FROM] ? DATEVAL_NOBEGIN : DatumGetDateADT(values[C_DATA_FROM]);
	consent->terms.to = nulls[C_DATA_TO] ? DATEVAL_NOEND : DatumGetDateADT(values[C_DATA_TO]);
	consent->terms.in_all = nulls[C_USE_LIMIT] ? 0 : DatumGetInt32(values[C_USE_LIMIT]);
	consent->terms.since = DT_NOBEGIN;
	consent->terms.until = DT_NOEND;
	if (!nulls[C_UNIT])
	{
		consent->terms.in_period = DatumGetInt32(values[C_COUNT]);
		period_of(TextDatumGetCString(values[C_UNIT]), r->at, &consent->terms.since, &consent->terms.until);
	}
}

/*
 * Does the consent go beyond its template as it is now?  The rule is in SQL, in
 * one place for this and for giving consents; here the active snapshot counts.
 */
static bool
is_beyond_template(const Request *r, int64 subject_id, const Consent *consent)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {INT8OID, INT8OID, TEXTOID};
	Datum		args[3] = {Int64GetDatum(subject_id), Int64GetDatum(consent->consent_id),
	CStringGetTextDatum(r->purpose)};
	PgcreditOwner saved;
	bool		isnull;
	bool		beyond;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare("SELECT credit._beyond_template($1, $2, $3)", 3, types);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare: %s", SPI_result_code_string(SPI_result));
		plan = made;
	}
	pgcredit_owner_begin(&saved);
	if (SPI_execute_plan(plan, args, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not look at the template");
	pgcredit_owner_end(&saved);
	beyond = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return beyond || isnull;
}

/*
 * The first condition that fails for a consent and a category that it covers,
 * or REASON_GRANTED, in the order of the reasons.  A consent is in force from
 * valid_from on and no more at valid_to (D-24).  That it is used up is said here
 * only where the snapshot sees it; else the writer finds out.
 */
static Reason
check_consent(const Request *r, int64 subject_id, const Consent *consent)
{
	if (!has_purpose(consent->purposes, r->purpose))
		return REASON_PURPOSE_REFUSED;
	if (consent->uncommitted)
		return REASON_UNCOMMITTED;
	if (consent->status == REASON_REVOKED)
		return REASON_REVOKED;
	if (r->at < consent->valid_from)
		return REASON_NOT_STARTED;
	if (r->at >= consent->valid_to)
		return REASON_EXPIRED;
	if (consent->status != REASON_GRANTED)
		return consent->status;
	if (pgcredit_any_template() && is_beyond_template(r, subject_id, consent))
		return REASON_BEYOND_TEMPLATE;
	if (consent->terms.in_all > 0 || consent->terms.in_period > 0)
	{
		PgcreditUse use = {subject_id, consent->consent_id, r->at, consent->terms.since,
		consent->terms.until, consent->terms.in_all, consent->terms.in_period};

		if (!pgcredit_use_left(&use, GetActiveSnapshot()))
			return REASON_USED_UP;
	}
	return REASON_GRANTED;
}

/*
 * The number of these terms among those of the request.
 */
static int
number_of_terms(Request *r, const Terms *terms)
{
	typedef struct FoundTerms
	{
		Terms		terms;
		int			number;
	} FoundTerms;
	HASHCTL		ctl = {.keysize = sizeof(Terms),.entrysize = sizeof(FoundTerms),.hcxt = GetMemoryChunkContext(r)};
	FoundTerms *entry;
	bool		found;

	if (memcmp(terms, &r->terms[0], sizeof(Terms)) == 0)
		return 0;
	if (r->terms_found == NULL)
		r->terms_found = hash_create("terms of an access", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	entry = hash_search(r->terms_found, terms, HASH_ENTER, &found);
	if (!found)
	{
		if (r->n_terms == r->max_terms)
		{
			r->max_terms *= 2;
			r->terms = repalloc_huge(r->terms, r->max_terms * sizeof(Terms));
		}
		entry->number = r->n_terms++;
		r->terms[entry->number] = *terms;
	}
	return entry->number;
}

/*
 * Of two consents that both grant, one that is not counted is used before one
 * that is, then the one with the longer range of days.
 */
static bool
is_better(const Terms *a, const Terms *b)
{
	bool		a_counted = a->in_all > 0 || a->in_period > 0;
	bool		b_counted = b->in_all > 0 || b->in_period > 0;

	if (a_counted != b_counted)
		return b_counted;
	return (int64) a->to - a->from > (int64) b->to - b->from;
}

/*
 * A subject that exists: keep its salt, and decide what needs no consent.
 */
static void
meet_subject(Request *r, int place, Datum salt)
{
	Decision   *d = &r->decisions[(Size) place * r->n_categories];

	bytea	   *bytes = DatumGetByteaPP(salt);

	/* what is not as long as a salt is not one of ours, and is kept by itself */
	if (r->salt_room && VARSIZE_ANY(bytes) <= SALT_SIZE)
		r->salts[place] = memcpy(r->salt_room + place * SALT_SIZE, bytes, VARSIZE_ANY(bytes));
	else
	{
		MemoryContext saved = MemoryContextSwitchTo(GetMemoryChunkContext(r));

		r->salts[place] = DatumGetByteaPCopy(salt);
		MemoryContextSwitchTo(saved);
	}
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
	Reason		reason = REASON_CATEGORY_REFUSED;
	bool		checked = false;

	for (int c = 0; c < r->n_categories; c++)
	{
		if (r->category_ids[c] == 0 || r->category_public[c])
			continue;
		if (!has_category(consent->categories, r->category_ids[c]))
		{
			if (d[c].reason != REASON_GRANTED && REASON_CATEGORY_REFUSED > d[c].reason)
				d[c].reason = REASON_CATEGORY_REFUSED;
			continue;
		}
		if (!checked)
			reason = check_consent(r, r->subject_ids[place], consent);
		checked = true;
		if (reason == REASON_GRANTED)
		{
			if (d[c].reason == REASON_GRANTED && !is_better(&consent->terms, &r->terms[d[c].terms]))
				continue;
			d[c].reason = REASON_GRANTED;
			d[c].consent_id = consent->consent_id;
			d[c].terms = number_of_terms(r, &consent->terms);
		}
		else if (d[c].reason != REASON_GRANTED && reason > d[c].reason)
			d[c].reason = reason;
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
	.table = "consent",.index = "consent_of_institution",.n_columns = C_COLUMNS + 2,
	.names = (const char *const[]) {CONSENT_COLUMNS, "subject_id", "institution_id"}
};

static void
take_consents(Request *r, Snapshot snapshot)
{
	ScanKeyData keys[2];
	TableScan	scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], C_COLUMNS + 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(r->subject_ids[0]));
	ScanKeyInit(&keys[1], C_COLUMNS + 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(r->institution_id));
	pgcredit_scan_begin(&scan, &consent_info, 2, keys, snapshot);
	while ((tuple = pgcredit_scan_next(&scan)) != NULL)
	{
		Datum		values[C_COLUMNS];
		bool		nulls[C_COLUMNS];
		Consent		consent;

		pgcredit_scan_columns(&scan, tuple, C_COLUMNS, values, nulls);
		take_values(r, values, nulls, HeapTupleHeaderGetXmin(tuple->t_data), &consent);
		weigh_consent(r, 0, &consent);
	}
	pgcredit_scan_end(&scan);
}

static void
decide_one(Request *r, Snapshot snapshot)
{
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
 * Many subjects: some at a time, by a query and a cursor, since the rows take
 * more memory than the decisions
 * ---------------------------------------------------------------------------
 */

#define ROWS_AT_ONCE 1000
#define SUBJECTS_AT_ONCE 100000

/* A subject's place in the request, found by its id. */
typedef struct SubjectPlace
{
	int64		subject_id;
	int			place;
} SubjectPlace;

#define CONSENT_QUERY \
	"SELECT c.consent_id, c.categories, c.purposes, c.valid_from, c.valid_to, c.status," \
	" c.use_limit, c.frequency_unit, c.frequency_count, c.data_from, c.data_to," \
	" s.subject_id, s.log_salt, c.xmin" \
	" FROM credit.subject s" \
	" LEFT JOIN credit.consent c ON c.subject_id = s.subject_id AND c.institution_id = $2" \
	" WHERE s.subject_id = ANY ($1)"

enum
{
	COL_SUBJECT = C_COLUMNS, COL_SALT, COL_XMIN, COL_COLUMNS
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

static void
take_row(Request *r, HTAB *places, HeapTuple tuple)
{
	Datum		values[COL_COLUMNS];
	bool		nulls[COL_COLUMNS];
	int64		id;
	SubjectPlace *place;
	Consent		consent;

	heap_deform_tuple(tuple, SPI_tuptable->tupdesc, values, nulls);
	id = DatumGetInt64(values[COL_SUBJECT]);
	place = hash_search(places, &id, HASH_FIND, NULL);
	if (place == NULL)
		elog(ERROR, "subject " INT64_FORMAT " was not asked for", id);
	if (r->salts[place->place] == NULL)
		meet_subject(r, place->place, values[COL_SALT]);
	if (nulls[C_ID])
		return;
	take_values(r, values, nulls, DatumGetTransactionId(values[COL_XMIN]), &consent);
	weigh_consent(r, place->place, &consent);
}

/*
 * Decide the n subjects of the request from the first on; what it takes is given
 * back at the end.
 */
static void
decide_some(Request *r, int first, int n)
{
	MemoryContext some = AllocSetContextCreate(CurrentMemoryContext, "pgcredit consents", ALLOCSET_DEFAULT_SIZES);
	MemoryContext row = AllocSetContextCreate(some, "pgcredit consent", ALLOCSET_SMALL_SIZES);
	MemoryContext saved_context = MemoryContextSwitchTo(some);
	HASHCTL		ctl = {.keysize = sizeof(int64),.entrysize = sizeof(SubjectPlace),.hcxt = some};
	HTAB	   *places = hash_create("subjects of an access", n, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	Datum	   *ids = palloc(n * sizeof(Datum));
	Datum		args[2];
	PgcreditOwner saved;
	Portal		portal;

	for (int s = 0; s < n; s++)
	{
		SubjectPlace *place = hash_search(places, &r->subject_ids[first + s], HASH_ENTER, NULL);

		place->place = first + s;
		ids[s] = Int64GetDatum(place->subject_id);
	}
	args[0] = PointerGetDatum(construct_array(ids, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	args[1] = Int32GetDatum(r->institution_id);
	MemoryContextSwitchTo(saved_context);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	pgcredit_owner_begin(&saved);
	portal = SPI_cursor_open(NULL, consent_plan(), args, NULL, true);
	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, ROWS_AT_ONCE);
		saved_context = MemoryContextSwitchTo(row);
		for (uint64 k = 0; k < SPI_processed; k++)
		{
			take_row(r, places, SPI_tuptable->vals[k]);
			MemoryContextReset(row);
		}
		MemoryContextSwitchTo(saved_context);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed == ROWS_AT_ONCE);
	SPI_cursor_close(portal);
	pgcredit_owner_end(&saved);
	MemoryContextDelete(some);
	SPI_finish();
}

/*
 * Fill the decisions of the request, and the salts of the subjects that exist, as
 * the snapshot sees them.  It must be newer than the call that asks, whatever the
 * isolation level, so that everything committed before counts (P2).
 */
void
pgcredit_decide(Request *r, Snapshot snapshot)
{
	Size		n = (Size) r->n_subjects * r->n_categories;

	if (r->decisions == NULL)
		r->decisions = palloc_extended(n * sizeof(Decision), MCXT_ALLOC_HUGE);

	/*
	 * Of a subject that does not exist the same is said as of one that has given
	 * no consent, or ids could be tried out: what is wrong with the question, and
	 * that what is public by law may be seen, of which there is nothing.
	 */
	for (Size k = 0; k < n; k++)
	{
		int			c = k % r->n_categories;

		r->decisions[k] = (Decision) {r->category_ids[c] == 0 ? REASON_UNKNOWN_CATEGORY :
			r->category_public[c] ? REASON_GRANTED : REASON_UNKNOWN_SUBJECT, 0, 0};
	}

	PushActiveSnapshot(snapshot);
	if (r->n_subjects == 1)
		decide_one(r, GetActiveSnapshot());
	else
		for (int first = 0; first < r->n_subjects; first += SUBJECTS_AT_ONCE)
			decide_some(r, first, Min(SUBJECTS_AT_ONCE, r->n_subjects - first));
	PopActiveSnapshot();

	for (Size k = 0; r->whole != REASON_GRANTED && k < n; k++)
	{
		r->decisions[k].reason = r->whole;
		r->decisions[k].consent_id = 0;
		r->decisions[k].terms = 0;
	}
}
