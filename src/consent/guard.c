/*
 * guard.c
 *		The access set of a transaction, and the function that row-level security
 *		asks about each row.
 *
 * The set holds the (subject, category) pairs granted in this transaction to
 * one role.  It is filled only after the entries are durable, belongs to the
 * role that opened access, and ends with the transaction; a savepoint that is
 * rolled back does not shrink it, since what was recorded was granted; a later
 * refusal does.  The policy on credit.record asks it and nothing else: one probe of a hash table
 * for each row, none when the row has the same subject as the one before.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "consent/consent_internal.h"
#include "consent/mask.h"
#include "core/core.h"

typedef struct GrantedSubject
{
	int64		subject_id;
	CategorySet categories;
	char		status;
} GrantedSubject;

/* The finaliser of MurmurHash3: ids are dense, a table wants them spread. */
static inline uint32
hash_subject(int64 subject_id)
{
	uint64		h = (uint64) subject_id;

	h ^= h >> 33;
	h *= UINT64CONST(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64CONST(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return (uint32) h;
}

#define SH_PREFIX granted
#define SH_ELEMENT_TYPE GrantedSubject
#define SH_KEY_TYPE int64
#define SH_KEY subject_id
#define SH_HASH_KEY(tb, key) hash_subject(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

PG_FUNCTION_INFO_V1(pgcredit_guard);
PG_FUNCTION_INFO_V1(pgcredit_guard_masked);

static granted_hash *access_set = NULL; /* in TopTransactionContext */
static Oid	access_role = InvalidOid;	/* whose set it is */
static CategorySet access_covered;	/* of which it may not see whole payloads */
static int64 last_subject;
static CategorySet last_categories;

static void
forget_access(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			access_set = NULL;
			access_role = InvalidOid;
			break;
		default:
			break;
	}
}

void
pgcredit_guard_init(void)
{
	RegisterXactCallback(forget_access, NULL);
}

/*
 * Bring the set of this transaction to what the request decided: what it was
 * granted goes in, unless "opened" is false, and what it was refused goes out,
 * also if an earlier request was granted it.  A role that opens access after
 * another did starts a set of its own.
 */
void
pgcredit_guard_apply(const Request *request)
{
	if (access_set == NULL || access_role != request->role)
	{
		access_set = granted_create(TopTransactionContext, request->n_subjects, NULL);
		access_role = request->role;
	}
	for (int s = 0; s < request->n_subjects; s++)
	{
		const Decision *d = &request->decisions[(Size) s * request->n_categories];
		GrantedSubject *subject = granted_lookup(access_set, request->subject_ids[s]);

		for (int c = 0; c < request->n_categories; c++)
		{
			bool		found;

			if (d[c].reason != REASON_GRANTED)
			{
				if (subject && request->category_ids[c] != 0)
					category_set_remove(&subject->categories, request->category_ids[c]);
				continue;
			}
			if (!request->opened)
				continue;
			if (subject == NULL)
			{
				subject = granted_insert(access_set, request->subject_ids[s], &found);
				memset(&subject->categories, 0, sizeof(CategorySet));
			}
			category_set_add(&subject->categories, request->category_ids[c]);
		}
	}
	pgcredit_covered_categories(request, &access_covered);
	last_subject = 0;
	memset(&last_categories, 0, sizeof(last_categories));
}

/*
 * Is the pair in the access set of the current role?
 *
 * Raises PC120 when the role has opened no access in this transaction: a query
 * that forgot to is told so and does not look like one without rows.
 */
static inline bool
is_granted(int64 subject_id, int category_id)
{
	if (unlikely(access_set == NULL || access_role != GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_ACCESS_NOT_OPEN),
				 errmsg("no access is open for role \"%s\" in this transaction",
						GetUserNameFromId(GetUserId(), true)),
				 errhint("Call credit.open_access() in the same transaction first, or credit.read().")));
	if (subject_id != last_subject)
	{
		GrantedSubject *subject = granted_lookup(access_set, subject_id);

		last_subject = subject_id;
		if (subject)
			last_categories = subject->categories;
		else
			memset(&last_categories, 0, sizeof(last_categories));
	}
	return category_id >= 0 && category_id <= MAX_CATEGORY &&
		category_set_has(&last_categories, category_id);
}

/*
 * credit.guard(subject_id bigint, category_id smallint) returns boolean: may
 * the current role see a row of this subject and category now, whole?
 */
Datum
pgcredit_guard(PG_FUNCTION_ARGS)
{
	int			category_id = PG_GETARG_INT16(1);

	PG_RETURN_BOOL(is_granted(PG_GETARG_INT64(0), category_id) &&
				   !category_set_has(&access_covered, category_id));
}

/*
 * credit._guard_masked(subject_id bigint, category_id smallint, dated date)
 * returns boolean: the same for a row whose fields above the role's clearance
 * are covered.
 */
Datum
pgcredit_guard_masked(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_granted(PG_GETARG_INT64(0), PG_GETARG_INT16(1)));
}
