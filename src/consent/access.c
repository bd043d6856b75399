/*
 * access.c
 *		Opening access: check against the latest snapshot, record, then grant.
 *
 * The order is the promise.  Consents are read with a snapshot taken inside
 * the call, whatever the isolation level, so a revocation that committed
 * before the call binds it (P2); the outcome, also a refusal, is in the log
 * and durable before anything is granted (P1, P3); the access set is filled
 * last, and credit.record shows a row only if the set has its pair.
 *
 * Who asks is the current role, see pgcredit_calling_role.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "audit/audit.h"
#include "consent/consent_internal.h"
#include "core/core.h"
#include "crypto/crypto.h"

PG_FUNCTION_INFO_V1(pgcredit_open_access_one);
PG_FUNCTION_INFO_V1(pgcredit_open_access_many);

/* Words of the caller go into the log no longer than this. */
#define WORD_MAX 100

const ReasonInfo pgcredit_reasons[] = {
	[REASON_GRANTED] = {NULL, 0, NULL},
	[REASON_NO_INSTITUTION] = {"no_institution", ERRCODE_PGCREDIT_NO_INSTITUTION,
	"No institution is bound to the role."},
	[REASON_INSTITUTION_SUSPENDED] = {"institution_suspended", ERRCODE_PGCREDIT_INSTITUTION_SUSPENDED,
	"The institution is suspended."},
	[REASON_UNKNOWN_PURPOSE] = {"unknown_purpose", ERRCODE_PGCREDIT_UNKNOWN_PURPOSE,
	"credit.purpose does not have this purpose."},
	[REASON_UNKNOWN_CATEGORY] = {"unknown_category", ERRCODE_PGCREDIT_UNKNOWN_CATEGORY,
	"credit.category does not have this category."},
	[REASON_UNKNOWN_SUBJECT] = {"unknown_subject", 0, NULL},
	[REASON_NO_CONSENT] = {"no_consent", ERRCODE_PGCREDIT_NO_CONSENT,
	"The subject has given this institution no consent."},
	[REASON_CATEGORY_REFUSED] = {"category_refused", ERRCODE_PGCREDIT_CATEGORY_REFUSED,
	"No consent of the subject covers this category."},
	[REASON_PURPOSE_REFUSED] = {"purpose_refused", ERRCODE_PGCREDIT_PURPOSE_REFUSED,
	"No consent of the subject for this category covers this purpose."},
	[REASON_UNCOMMITTED] = {"consent_uncommitted", ERRCODE_PGCREDIT_CONSENT_UNCOMMITTED,
	"The consent was given in this transaction, which may still be rolled back."},
	[REASON_REVOKED] = {"consent_revoked", ERRCODE_PGCREDIT_CONSENT_REVOKED,
	"The subject has revoked the consent."},
	[REASON_NOT_STARTED] = {"consent_not_started", ERRCODE_PGCREDIT_CONSENT_NOT_STARTED,
	"The consent is not in force yet."},
	[REASON_EXPIRED] = {"consent_expired", ERRCODE_PGCREDIT_CONSENT_EXPIRED,
	"The consent is not in force any more."},
	[REASON_REPLACED] = {"consent_replaced", ERRCODE_PGCREDIT_CONSENT_REPLACED,
	"The consent was replaced by a renewal, which does not cover this."},
	[REASON_PAUSED] = {"consent_paused", ERRCODE_PGCREDIT_CONSENT_PAUSED,
	"The subject has paused the consent."},
	[REASON_BEYOND_TEMPLATE] = {"beyond_template", ERRCODE_PGCREDIT_BEYOND_TEMPLATE,
	"The consent goes beyond what its template allows now."},
	[REASON_USED_UP] = {"consent_used_up", ERRCODE_PGCREDIT_CONSENT_USED_UP,
	"The consent has been used as often as it may be."},
};

/*
 * What the caller is told.  A subject that does not exist is one that has given
 * no consent; only the log says which, or ids could be tried out.
 */
static const ReasonInfo *
told(Reason reason)
{
	return &pgcredit_reasons[reason == REASON_UNKNOWN_SUBJECT ? REASON_NO_CONSENT : reason];
}

/* ---------------------------------------------------------------------------
 * What is asked
 * ---------------------------------------------------------------------------
 */

static void
refuse_null(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s must not be null or empty", what)));
}

static char *
clipped(const char *word)
{
	return pnstrdup(word, pg_mbcliplen(word, strlen(word), WORD_MAX));
}

typedef struct SeenSubject
{
	int64		subject_id;
	char		status;			/* of simplehash */
} SeenSubject;

#define SH_PREFIX seen
#define SH_ELEMENT_TYPE SeenSubject
#define SH_KEY_TYPE int64
#define SH_KEY subject_id
#define SH_HASH_KEY(tb, key) pgcredit_hash_subject(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/*
 * Subjects in the order given, each once.
 */
static void
take_subjects(Request *r, const int64 *ids, int n)
{
	seen_hash  *seen;

	r->subject_ids = palloc_extended(n * sizeof(int64), MCXT_ALLOC_HUGE);
	r->subject_ids[0] = ids[0];
	r->n_subjects = 1;
	if (n > 1)
	{
		bool		found;

		r->n_subjects = 0;
		seen = seen_create(CurrentMemoryContext, n, NULL);
		for (int k = 0; k < n; k++)
		{
			(void) seen_insert(seen, ids[k], &found);
			if (!found)
				r->subject_ids[r->n_subjects++] = ids[k];
		}
		seen_destroy(seen);
		r->salt_room = palloc_extended(r->n_subjects * SALT_SIZE, MCXT_ALLOC_HUGE);
	}
	r->salts = palloc_extended(r->n_subjects * sizeof(bytea *), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/*
 * Categories in the order given, each once; one that is not known keeps its
 * word and has number 0.
 */
static void
take_categories(Request *r, ArrayType *array)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	if (n == 0)
		refuse_null("categories");
	if (n > MAX_CATEGORY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("too many categories: %d", n),
				 errdetail("There are at most %d.", MAX_CATEGORY)));
	r->category_ids = palloc0(n * sizeof(int16));
	r->category_codes = palloc0(n * sizeof(char *));
	r->category_public = palloc0(n * sizeof(bool));
	for (int k = 0; k < n; k++)
	{
		const Category *category;
		char	   *code;
		bool		seen = false;

		if (nulls[k])
			refuse_null("a category");
		code = clipped(TextDatumGetCString(values[k]));
		for (int j = 0; j < r->n_categories; j++)
			seen |= strcmp(r->category_codes[j], code) == 0;
		if (seen)
			continue;
		category = pgcredit_category(code);
		r->category_codes[r->n_categories] = code;
		r->category_ids[r->n_categories] = category ? category->category_id : 0;
		r->category_public[r->n_categories] = category && category->public_by_law;
		r->n_categories++;
	}
}

/*
 * A role's name for the log; "?" for one that has been dropped.
 */
static char *
role_name(Oid role)
{
	char	   *name = GetUserNameFromId(role, true);

	return name ? name : pstrdup("?");
}

/*
 * Begin a request: who asks and what for.  A role that was dropped while its
 * session goes on is bound to no institution.
 */
Request *
pgcredit_request_begin(const char *purpose)
{
	Request    *r = palloc0(sizeof(Request));
	const Institution *institution;

	pgcredit_directory_refresh();
	r->role = pgcredit_calling_role();
	r->actor = role_name(r->role);
	r->session_user = role_name(GetSessionUserId());
	institution = SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(r->role)) ? pgcredit_institution_of(r->role) : NULL;
	r->purpose = clipped(purpose);
	r->withheld = -1;
	r->at = GetCurrentTimestamp();
	r->max_terms = 4;
	r->n_terms = 1;
	r->terms = palloc0(r->max_terms * sizeof(Terms));
	r->terms[0] = (Terms) {.from = DATEVAL_NOBEGIN,.to = DATEVAL_NOEND,.since = DT_NOBEGIN,.until = DT_NOEND};
	pgcredit_random(&r->access, sizeof(r->access));
	r->access.data[6] = (r->access.data[6] & 0x0f) | 0x40;	/* RFC 4122, version 4 */
	r->access.data[8] = (r->access.data[8] & 0x3f) | 0x80;

	if (institution == NULL)
		r->whole = REASON_NO_INSTITUTION;
	else
	{
		r->institution_id = institution->institution_id;
		r->institution = pstrdup(institution->code);
		if (!institution->active)
			r->whole = REASON_INSTITUTION_SUSPENDED;
		else if (!pgcredit_purpose_exists(r->purpose))
			r->whole = REASON_UNKNOWN_PURPOSE;
	}
	return r;
}

/* ---------------------------------------------------------------------------
 * Opening
 * ---------------------------------------------------------------------------
 */

/*
 * The first pair that was refused, or NULL.
 */
static const Decision *
first_refused(const Request *r)
{
	for (Size k = 0; k < (Size) r->n_subjects * r->n_categories; k++)
		if (r->decisions[k].reason != REASON_GRANTED)
			return &r->decisions[k];
	return NULL;
}

/*
 * Raise for a pair that was refused.  Its entry is durable, so it stays
 * whatever becomes of the transaction.
 */
static void
raise_refusal(const Request *r, const Decision *refused)
{
	Size		k = refused - r->decisions;
	const ReasonInfo *reason = told(refused->reason);

	ereport(ERROR,
			(errcode(reason->sqlstate),
			 errmsg("access to category \"%s\" of subject " INT64_FORMAT " for purpose \"%s\" is refused",
					r->category_codes[k % r->n_categories],
					r->subject_ids[k / r->n_categories], r->purpose),
			 errdetail("%s", reason->detail),
			 errhint("The refusal is recorded in the log from entry " UINT64_FORMAT " on.", r->first_seq)));
}

/*
 * Arguments: subject (bigint, or bigint[]), purpose text, categories text[].
 * Check, and hand the outcome to the log; with "strict" nothing is opened if
 * any pair is refused.  The result lives in the caller's memory context.  Until
 * pgcredit_access_finish has returned nothing is granted, and what is read
 * meanwhile must stay inside.
 */
Request *
pgcredit_access_begin(FunctionCallInfo fcinfo, bool strict)
{
	Request    *r;
	int64		one = 0;
	int64	   *ids = &one;
	int			n = 1;

	if (PG_ARGISNULL(0))
		refuse_null("subject");
	if (PG_ARGISNULL(1))
		refuse_null("purpose");
	if (PG_ARGISNULL(2))
		refuse_null("categories");
	if (strict)
		one = PG_GETARG_INT64(0);
	else
	{
		ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);

		if (array_contains_nulls(array))
			refuse_null("a subject");
		n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		ids = (int64 *) ARR_DATA_PTR(array);
		if (n == 0)
			refuse_null("subjects");
	}

	r = pgcredit_request_begin(TextDatumGetCString(PG_GETARG_DATUM(1)));
	r->strict = strict;
	take_categories(r, PG_GETARG_ARRAYTYPE_P(2));
	take_subjects(r, ids, n);
	pgcredit_decide(r, GetLatestSnapshot());

	r->opened = !strict || first_refused(r) == NULL;
	pgcredit_record_request(r);
	return r;
}

/*
 * Wait until the request is in the log, then grant what it decided, or raise
 * for what it was refused.
 */
void
pgcredit_access_finish(Request *r)
{
	pgcredit_record_finish(r);
	pgcredit_guard_apply(r);
	if (!r->opened)
		raise_refusal(r, first_refused(r));
}

/*
 * One row for each (subject, category) pair: subject_id, category, granted,
 * reason, consent_id, entry.
 */
static void
return_decisions(FunctionCallInfo fcinfo, const Request *r)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int s = 0; s < r->n_subjects; s++)
		for (int c = 0; c < r->n_categories; c++)
		{
			const Decision *d = &r->decisions[(Size) s * r->n_categories + c];
			Datum		values[6];
			bool		nulls[6] = {false};
			bool		granted = d->reason == REASON_GRANTED;

			values[0] = Int64GetDatum(r->subject_ids[s]);
			values[1] = CStringGetTextDatum(r->category_codes[c]);
			values[2] = BoolGetDatum(granted);
			nulls[3] = granted;
			values[3] = granted ? (Datum) 0 : CStringGetTextDatum(told(d->reason)->code);
			nulls[4] = d->consent_id == 0;
			values[4] = Int64GetDatum(d->consent_id);
			values[5] = Int64GetDatum((int64) r->first_seq);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
}

/*
 * credit.open_access(subject_id bigint, purpose text, categories text[]): all
 * or nothing; raises with the SQLSTATE of the first condition that fails.
 */
Datum
pgcredit_open_access_one(PG_FUNCTION_ARGS)
{
	Request    *r = pgcredit_access_begin(fcinfo, true);

	pgcredit_access_finish(r);
	return_decisions(fcinfo, r);
	return (Datum) 0;
}

/*
 * credit.open_access(subject_ids bigint[], purpose text, categories text[]):
 * grants the pairs that may be granted and says of the others why not.
 */
Datum
pgcredit_open_access_many(PG_FUNCTION_ARGS)
{
	Request    *r = pgcredit_access_begin(fcinfo, false);

	pgcredit_access_finish(r);
	return_decisions(fcinfo, r);
	return (Datum) 0;
}
