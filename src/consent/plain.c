/*
 * plain.c
 *		Plain SELECT: a statement opens access by itself.
 *
 * Where pgcredit.purpose is set and the transaction has opened nothing, the first
 * row that a statement meets opens access: an entry of what is intended, durable
 * before anything is shown (P1); then each subject is decided when its first row
 * is met, by the consents as they were when access was opened (P2).  At the end of
 * the statement, also when it fails, an entry says of which subjects and
 * categories rows were given to the query, and how many subjects were withheld.
 *
 * A consent that is counted is used when the first row that needs it is met, by an
 * access of its own, which the writer decides.
 *
 * A "statement" is what runs at no depth: one message of the client, one FETCH, one
 * statement of a DO block or procedure.  The setting says what for, never who: it
 * can be set by anyone, is in the log, and grants nothing that no consent grants.
 *
 * What is given to the query is what passed the guard; the query's own conditions
 * may drop such rows again, so the entry may name more subjects than the client
 * saw, never fewer.
 *
 * Memory is bounded: when many subjects were met, they are recorded and forgotten,
 * and decided anew if they are met again.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "consent/consent_internal.h"
#include "core/core.h"

/* Subjects met before they are recorded and forgotten. */
#define MET_MOST 4096

typedef struct MetGrant
{
	int16		category_id;
	int			terms;			/* of the access's request */
	int64		consent_id;
} MetGrant;

typedef struct MetSubject
{
	int64		subject_id;
	char		status;			/* of simplehash */
	bool		withheld;		/* a row of it was met and not given */
	CategorySet given;			/* categories of which rows were given */
	int			n_grants;
	MetGrant   *grants;
	bytea	   *salt;
} MetSubject;

static inline uint32
hash_subject(int64 subject_id)
{
	uint64		h = (uint64) subject_id * UINT64CONST(0x9e3779b97f4a7c15);

	return (uint32) (h >> 32);
}

#define SH_PREFIX met
#define SH_ELEMENT_TYPE MetSubject
#define SH_KEY_TYPE int64
#define SH_KEY subject_id
#define SH_HASH_KEY(tb, key) hash_subject(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* The access that is open, if any.  All of it is in the context. */
typedef struct PlainAccess
{
	Oid			role;			/* whose it is; InvalidOid when none is open */
	MemoryContext context;
	MemoryContext met_context;	/* subjects */
	MemoryContext decide_context;	/* for one decision */
	Request    *request;		/* all categories, no subjects */
	Snapshot	snapshot;		/* of the consents */
	met_hash   *met;
	MetSubject *last;			/* met last, or NULL */
	int64		withheld;		/* subjects, since the last entry */
	bool		recorded;		/* an entry of given subjects was written */
} PlainAccess;

static char *purpose_setting = NULL;
static PlainAccess plain;
static int	depth = 0;			/* of running queries */

/* Entries of a statement that failed which the writer could not take then. */
static MemoryContext owed_context = NULL;
static PgcreditEntry *owed = NULL;
static int	n_owed = 0;

static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;

/* ---------------------------------------------------------------------------
 * Recording what was given
 * ---------------------------------------------------------------------------
 */

static void
forget_met(void)
{
	MemoryContextReset(plain.met_context);
	plain.met = met_create(plain.met_context, 64, NULL);
	plain.last = NULL;
	plain.withheld = 0;
}

static const MetGrant *
grant_of(const MetSubject *subject, int category_id)
{
	for (int k = 0; k < subject->n_grants; k++)
		if (subject->grants[k].category_id == category_id)
			return &subject->grants[k];
	return NULL;
}

/*
 * What was given since the last entry as a request of which everything is
 * granted, in the current memory context.  Looks nothing up.
 */
static Request *
given_request(void)
{
	Request    *r = palloc(sizeof(Request));
	const Request *all = plain.request;
	CategorySet given = {{0, 0}};
	met_iterator iterator;
	MetSubject *subject;

	*r = *all;
	r->operation = "returned";
	r->withheld = plain.withheld;
	r->opened = true;
	r->terms = palloc(sizeof(Terms));
	r->terms[0] = all->terms[0];
	r->n_terms = 1;
	r->n_subjects = 0;
	r->n_categories = 0;
	r->subject_ids = palloc(plain.met->members * sizeof(int64));
	r->salts = palloc(plain.met->members * sizeof(bytea *));
	met_start_iterate(plain.met, &iterator);
	while ((subject = met_iterate(plain.met, &iterator)) != NULL)
	{
		given.words[0] |= subject->given.words[0];
		given.words[1] |= subject->given.words[1];
	}
	r->category_ids = palloc(all->n_categories * sizeof(int16));
	r->category_codes = palloc(all->n_categories * sizeof(char *));
	for (int c = 0; c < all->n_categories; c++)
		if (category_set_has(&given, all->category_ids[c]))
		{
			r->category_ids[r->n_categories] = all->category_ids[c];
			r->category_codes[r->n_categories++] = all->category_codes[c];
		}
	r->decisions = palloc((Size) plain.met->members * r->n_categories * sizeof(Decision));
	met_start_iterate(plain.met, &iterator);
	while ((subject = met_iterate(plain.met, &iterator)) != NULL)
	{
		Decision   *d = &r->decisions[(Size) r->n_subjects * r->n_categories];

		if (subject->given.words[0] == 0 && subject->given.words[1] == 0)
			continue;
		for (int c = 0; c < r->n_categories; c++)
		{
			const MetGrant *grant = grant_of(subject, r->category_ids[c]);

			d[c] = (Decision) {REASON_NOT_ASKED, 0, 0};
			if (grant && category_set_has(&subject->given, r->category_ids[c]))
				d[c] = (Decision) {REASON_GRANTED, 0, grant->consent_id};
		}
		r->subject_ids[r->n_subjects] = subject->subject_id;
		r->salts[r->n_subjects++] = subject->salt;
	}
	return r;
}

/*
 * The entries of what was given since the last; without subjects one that says
 * so.  With "cut" as in pgcredit_build_entries.
 */
static PgcreditEntry *
given_entries(bool cut, int *n)
{
	Request    *r = given_request();
	PgcreditEntry *entries;

	if (r->n_subjects > 0)
		return pgcredit_build_entries(r, cut, n);
	entries = palloc(sizeof(PgcreditEntry));
	pgcredit_build_bare_entry(r, "access", REASON_GRANTED, entries);
	*n = 1;
	return entries;
}

/*
 * Record what was given and wait until that is durable.
 */
static void
record_given(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pgcredit given subjects",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext saved = MemoryContextSwitchTo(context);
	int			n;
	PgcreditEntry *entries = given_entries(false, &n);

	pgcredit_audit_begin(entries, n);
	(void) pgcredit_audit_finish(NULL);
	MemoryContextSwitchTo(saved);
	MemoryContextDelete(context);
	plain.recorded = true;
	forget_met();
}

static void
end_access(bool aborting)
{
	if (!aborting)
		UnregisterSnapshotFromOwner(plain.snapshot, TopTransactionResourceOwner);
	plain.role = InvalidOid;
	plain.snapshot = NULL;
	plain.request = NULL;
	plain.met = NULL;
	plain.last = NULL;
	MemoryContextReset(plain.context);
}

/*
 * The statement is over.
 */
static void
close_access(void)
{
	if (!OidIsValid(plain.role))
		return;
	if (plain.met->members > 0 || !plain.recorded)
		record_given();
	end_access(false);
}

/*
 * Try to hand over what is owed.  With "wait" raises when that cannot be done:
 * nobody reads on who owes entries.
 */
static void
pay(bool wait)
{
	int			taken = 0;

	if (n_owed == 0)
		return;
	if (wait)
	{
		while (taken < n_owed)
		{
			int			n = Min(n_owed - taken, 64);

			pgcredit_audit_begin(owed + taken, n);
			(void) pgcredit_audit_finish(NULL);
			taken += n;
		}
	}
	else
		taken = pgcredit_audit_offer(owed, n_owed);
	n_owed -= taken;
	owed += taken;
	if (n_owed == 0)
	{
		MemoryContextReset(owed_context);
		owed = NULL;
	}
}

/*
 * The statement failed, and its transaction with it; nothing can be looked up or
 * waited for.  What the writer cannot take now is owed: before the session reads
 * again, or when it ends.
 */
static void
abandon_access(void)
{
	MemoryContext saved;
	PgcreditEntry *entries;
	PgcreditEntry *all;
	int			n;

	if (!OidIsValid(plain.role))
		return;
	saved = MemoryContextSwitchTo(owed_context);
	entries = given_entries(true, &n);
	all = palloc((n_owed + n) * sizeof(PgcreditEntry));
	if (n_owed > 0)
		memcpy(all, owed, n_owed * sizeof(PgcreditEntry));
	memcpy(all + n_owed, entries, n * sizeof(PgcreditEntry));
	MemoryContextSwitchTo(saved);
	owed = all;
	n_owed += n;
	end_access(true);
	pay(false);
}

/* ---------------------------------------------------------------------------
 * Opening
 * ---------------------------------------------------------------------------
 */

static void
at_exit(int code, Datum arg)
{
	abandon_access();
	pay(false);
}

static void
take_all_categories(Request *r)
{
	int			n;
	const Category *categories = pgcredit_categories(&n);

	r->category_ids = palloc(n * sizeof(int16));
	r->category_codes = palloc(n * sizeof(char *));
	r->category_public = palloc(n * sizeof(bool));
	for (int k = 0; k < n; k++)
	{
		r->category_ids[k] = categories[k].category_id;
		r->category_codes[k] = pstrdup(categories[k].code);
		r->category_public[k] = categories[k].public_by_law;
	}
	r->n_categories = n;
}

static void
make_contexts(void)
{
	if (plain.context != NULL)
		return;
	plain.context = AllocSetContextCreate(TopMemoryContext, "pgcredit plain access", ALLOCSET_DEFAULT_SIZES);
	owed_context = AllocSetContextCreate(TopMemoryContext, "pgcredit owed entries", ALLOCSET_DEFAULT_SIZES);
	before_shmem_exit(at_exit, (Datum) 0);
}

/*
 * Open access for the current role: its intent is durable when this returns.
 * Raises when the role may ask for nothing, which is an entry then.
 */
static void
open_access(void)
{
	MemoryContext saved;
	PgcreditEntry entry;
	Request    *r;

	make_contexts();
	MemoryContextReset(plain.context);	/* of an opening that failed */
	pay(true);
	saved = MemoryContextSwitchTo(plain.context);
	r = pgcredit_request_begin(purpose_setting);
	take_all_categories(r);
	if (r->whole != REASON_GRANTED)
	{
		pgcredit_build_bare_entry(r, "refusal", r->whole, &entry);
		pgcredit_audit_begin(&entry, 1);
		r->first_seq = pgcredit_audit_finish(NULL);
		ereport(ERROR,
				(errcode(pgcredit_reasons[r->whole].sqlstate),
				 errmsg("access for purpose \"%s\" is refused", r->purpose),
				 errdetail("%s", pgcredit_reasons[r->whole].detail),
				 errhint("pgcredit.purpose names the purpose. The refusal is entry " UINT64_FORMAT " of the log.",
						 r->first_seq)));
	}
	pgcredit_build_bare_entry(r, "intent", REASON_GRANTED, &entry);
	pgcredit_audit_begin(&entry, 1);
	(void) pgcredit_audit_finish(NULL);
	plain.request = r;
	plain.met_context = AllocSetContextCreate(plain.context, "pgcredit subjects met", ALLOCSET_DEFAULT_SIZES);
	plain.decide_context = AllocSetContextCreate(plain.context, "pgcredit decision", ALLOCSET_DEFAULT_SIZES);
	plain.recorded = false;
	forget_met();
	plain.snapshot = RegisterSnapshotOnOwner(GetLatestSnapshot(), TopTransactionResourceOwner);
	plain.role = r->role;
	MemoryContextSwitchTo(saved);
}

/* ---------------------------------------------------------------------------
 * Deciding
 * ---------------------------------------------------------------------------
 */

/*
 * The access's request for one subject, in the current memory context; its terms
 * are the access's, which grow with it.
 */
static Request *
request_for(int64 subject_id)
{
	Request    *r = palloc(sizeof(Request));

	*r = *plain.request;
	r->subject_ids = palloc(sizeof(int64));
	r->subject_ids[0] = subject_id;
	r->salts = palloc0(sizeof(bytea *));
	r->n_subjects = 1;
	r->decisions = NULL;
	r->n_terms = 1;
	r->max_terms = 4;
	r->terms = palloc(r->max_terms * sizeof(Terms));
	r->terms[0] = plain.request->terms[0];
	r->terms_found = NULL;
	return r;
}

/*
 * The number of these terms in the access.
 */
static int
keep_terms(const Terms *terms)
{
	Request    *all = plain.request;

	for (int k = all->n_terms - 1; k >= 0; k--)
		if (memcmp(&all->terms[k], terms, sizeof(Terms)) == 0)
			return k;
	if (all->n_terms == all->max_terms)
	{
		all->max_terms *= 2;
		all->terms = repalloc(all->terms, all->max_terms * sizeof(Terms));
	}
	all->terms[all->n_terms] = *terms;
	return all->n_terms++;
}

static void
take_grants(MetSubject *subject, const Request *r)
{
	MemoryContext saved;
	int			n = 0;

	for (int c = 0; c < r->n_categories; c++)
		n += r->decisions[c].reason == REASON_GRANTED;
	saved = MemoryContextSwitchTo(plain.met_context);
	subject->grants = palloc(Max(n, 1) * sizeof(MetGrant));
	subject->n_grants = 0;
	for (int c = 0; c < r->n_categories; c++)
	{
		const Decision *d = &r->decisions[c];

		if (d->reason != REASON_GRANTED)
			continue;
		subject->grants[subject->n_grants++] =
			(MetGrant) {r->category_ids[c], keep_terms(&r->terms[d->terms]), d->consent_id};
	}
	if (subject->salt == NULL && r->salts[0] != NULL)
		subject->salt = DatumGetByteaPCopy(PointerGetDatum(r->salts[0]));
	MemoryContextSwitchTo(saved);
}

/*
 * A subject's first row: decide all its categories.
 */
static MetSubject *
meet(int64 subject_id)
{
	MetSubject *subject = met_lookup(plain.met, subject_id);
	MemoryContext saved;
	Request    *r;
	bool		found;

	if (subject)
		return subject;
	if (plain.met->members >= MET_MOST)
		record_given();
	saved = MemoryContextSwitchTo(plain.decide_context);
	r = request_for(subject_id);
	pgcredit_decide(r, NULL, plain.snapshot);
	subject = met_insert(plain.met, subject_id, &found);
	subject->withheld = false;
	subject->salt = NULL;
	memset(&subject->given, 0, sizeof(CategorySet));
	take_grants(subject, r);
	MemoryContextSwitchTo(saved);
	MemoryContextReset(plain.decide_context);
	return subject;
}

static bool
is_counted(const MetGrant *grant)
{
	const Terms *terms = &plain.request->terms[grant->terms];

	return terms->in_all > 0 || terms->in_period > 0;
}

/*
 * The first row that needs a consent which is counted: take the use, for all
 * categories that it grants, in an access of its own.  Then they are granted for
 * the rest of the statement, or not at all.
 */
static void
take_use(MetSubject *subject, int64 consent_id)
{
	MemoryContext saved = MemoryContextSwitchTo(plain.decide_context);
	Request    *r = request_for(subject->subject_id);
	int			kept = 0;

	r->strict = true;
	r->opened = true;
	r->decisions = palloc0(r->n_categories * sizeof(Decision));
	r->salts[0] = subject->salt;
	for (int c = 0; c < r->n_categories; c++)
	{
		const MetGrant *grant = grant_of(subject, r->category_ids[c]);

		r->decisions[c].reason = REASON_NOT_ASKED;
		if (grant == NULL || grant->consent_id != consent_id)
			continue;
		r->decisions[c] = (Decision) {REASON_GRANTED, 1, consent_id};
		r->terms[1] = plain.request->terms[grant->terms];
		r->n_terms = 2;
	}
	pgcredit_record_request(r);
	pgcredit_record_finish(r);
	for (int k = 0; k < subject->n_grants; k++)
	{
		MetGrant	grant = subject->grants[k];

		if (grant.consent_id == consent_id)
		{
			Terms		terms = plain.request->terms[grant.terms];

			if (!r->opened)
				continue;
			terms.in_all = terms.in_period = 0;
			terms.since = DT_NOBEGIN;
			terms.until = DT_NOEND;
			grant.terms = keep_terms(&terms);
		}
		subject->grants[kept++] = grant;
	}
	subject->n_grants = kept;
	MemoryContextSwitchTo(saved);
	MemoryContextReset(plain.decide_context);
}

/*
 * Is plain SELECT to open access for the current role?
 */
bool
pgcredit_plain_wanted(void)
{
	return purpose_setting != NULL && purpose_setting[0] != '\0' && !pgcredit_guard_is_open(GetUserId());
}

/*
 * May this row be given to the query?  Opens access if the statement has not, and
 * notes what is given.
 */
bool
pgcredit_plain_guard(int64 subject_id, int category_id, DateADT dated)
{
	MetSubject *subject;
	const MetGrant *grant;
	const Terms *terms;

	if (plain.role != GetUserId())
	{
		close_access();
		open_access();
	}
	subject = plain.last;
	if (subject == NULL || subject->subject_id != subject_id)
		subject = plain.last = meet(subject_id);
	grant = grant_of(subject, category_id);
	if (grant && is_counted(grant) &&
		pgcredit_dated_within(dated, plain.request->terms[grant->terms].from, plain.request->terms[grant->terms].to))
	{
		take_use(subject, grant->consent_id);
		grant = grant_of(subject, category_id);
	}
	terms = grant ? &plain.request->terms[grant->terms] : NULL;
	if (terms && pgcredit_dated_within(dated, terms->from, terms->to))
	{
		category_set_add(&subject->given, category_id);
		return true;
	}
	if (!subject->withheld)
		plain.withheld++;
	subject->withheld = true;
	return false;
}

/* ---------------------------------------------------------------------------
 * Statements and transactions
 * ---------------------------------------------------------------------------
 */

/*
 * Workers cannot open access nor tell the leader what they were given, so such a
 * statement runs in one process, whatever its plan, which others may share.
 */
static void
start_query(QueryDesc *query, int eflags)
{
	if (query->plannedstmt->parallelModeNeeded && !IsParallelWorker() && pgcredit_plain_wanted())
	{
		PlannedStmt *serial = palloc(sizeof(PlannedStmt));

		*serial = *query->plannedstmt;
		serial->parallelModeNeeded = false;
		query->plannedstmt = serial;
	}
	if (prev_executor_start)
		prev_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

static void
run_query(PGCREDIT_RUN_PARAMETERS)
{
	depth++;
	PG_TRY();
	{
		if (prev_executor_run)
			prev_executor_run(PGCREDIT_RUN_ARGUMENTS);
		else
			standard_ExecutorRun(PGCREDIT_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
	if (depth == 0)
		close_access();
}

static void
finish_query(QueryDesc *query)
{
	depth++;
	PG_TRY();
	{
		if (prev_executor_finish)
			prev_executor_finish(query);
		else
			standard_ExecutorFinish(query);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
	if (depth == 0)
		close_access();
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			close_access();
			break;
		case XACT_EVENT_ABORT:
			depth = 0;
			abandon_access();
			break;
		default:
			break;
	}
}

/*
 * A statement that failed behind a savepoint; one that goes on, as a function that
 * caught an error does, keeps its access.
 */
static void
end_of_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && depth == 0 && OidIsValid(plain.role))
	{
		Snapshot	snapshot = plain.snapshot;

		abandon_access();
		UnregisterSnapshotFromOwner(snapshot, TopTransactionResourceOwner);
	}
}

void
pgcredit_plain_init(void)
{
	DefineCustomStringVariable("pgcredit.purpose",
							   "Purpose for which plain SELECT opens access by itself; empty for none.",
							   "Of a role that is an institution; credit.purpose lists the purposes.",
							   &purpose_setting, "", PGC_USERSET, 0, NULL, NULL, NULL);
	RegisterXactCallback(end_of_transaction, NULL);
	RegisterSubXactCallback(end_of_subtransaction, NULL);
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = start_query;
	prev_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = run_query;
	prev_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_query;
}
