/*
 * plain.c
 *		Plain SELECT: a statement opens access by itself.
 *
 * Where pgcredit.purpose is set and the transaction has opened nothing, a
 * statement that will ask the guard opens access when it begins to run: an entry
 * of what is intended, durable before anything is shown (P1); then each subject is
 * decided when its first row is met, by the consents as they were when access was
 * opened (P2).  At the end of the statement, also when it fails, an entry says of
 * which subjects and categories rows were given to the query, and how many
 * subjects were withheld.
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
#include "consent/mask.h"
#include "consent/plain.h"
#include "core/core.h"

/* Subjects met before they are recorded and forgotten. */
#define MET_MOST 4096

static char *purpose_setting = NULL;
static int	closed_queries = 0; /* that run and may ask the guard before anything is open */
static bool asked_closed = false;	/* the guard was asked then */
static int	depth = 0;			/* of running queries */

static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;

/* ---------------------------------------------------------------------------
 * Opening
 * ---------------------------------------------------------------------------
 */

static void
at_exit(int code, Datum arg)
{
	pgcredit_plain_abandon();
	pgcredit_plain_pay(false);
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
	if (pgcredit_plain.context != NULL)
		return;
	pgcredit_plain.context = AllocSetContextCreate(TopMemoryContext, "pgcredit plain access", ALLOCSET_DEFAULT_SIZES);
	pgcredit_plain.owed_context = AllocSetContextCreate(TopMemoryContext, "pgcredit owed entries", ALLOCSET_DEFAULT_SIZES);
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
	MemoryContextReset(pgcredit_plain.context);	/* of an opening that failed */
	pgcredit_plain_pay(true);
	saved = MemoryContextSwitchTo(pgcredit_plain.context);
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
	pgcredit_covered_categories(r, &pgcredit_plain.covered);
	pgcredit_plain.request = r;
	pgcredit_plain.met_context = AllocSetContextCreate(pgcredit_plain.context, "pgcredit subjects met", ALLOCSET_DEFAULT_SIZES);
	pgcredit_plain.decide_context = AllocSetContextCreate(pgcredit_plain.context, "pgcredit decision", ALLOCSET_DEFAULT_SIZES);
	pgcredit_plain.recorded = false;
	pgcredit_met_forget();
	pgcredit_plain.snapshot = RegisterSnapshotOnOwner(GetLatestSnapshot(), TopTransactionResourceOwner);
	pgcredit_plain.role = r->role;
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

	*r = *pgcredit_plain.request;
	r->subject_ids = palloc(sizeof(int64));
	r->subject_ids[0] = subject_id;
	r->salts = palloc0(sizeof(bytea *));
	r->salt_room = NULL;
	r->n_subjects = 1;
	r->decisions = NULL;
	r->n_terms = 1;
	r->max_terms = 4;
	r->terms = palloc(r->max_terms * sizeof(Terms));
	r->terms[0] = pgcredit_plain.request->terms[0];
	r->terms_found = NULL;
	return r;
}

/*
 * The number of these terms in the access.
 */
static int
keep_terms(const Terms *terms)
{
	Request    *all = pgcredit_plain.request;

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
	saved = MemoryContextSwitchTo(pgcredit_plain.met_context);
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
	MetSubject *subject = met_lookup(pgcredit_plain.met, subject_id);
	MemoryContext saved;
	Request    *r;
	bool		found;

	if (subject)
		return subject;
	if (pgcredit_plain.met->members >= MET_MOST)
		pgcredit_given_record();
	saved = MemoryContextSwitchTo(pgcredit_plain.decide_context);
	r = request_for(subject_id);
	pgcredit_decide(r, pgcredit_plain.snapshot);
	subject = met_insert(pgcredit_plain.met, subject_id, &found);
	subject->withheld = false;
	subject->salt = NULL;
	memset(&subject->given, 0, sizeof(CategorySet));
	take_grants(subject, r);
	MemoryContextSwitchTo(saved);
	MemoryContextReset(pgcredit_plain.decide_context);
	return subject;
}

static bool
is_counted(const MetGrant *grant)
{
	const Terms *terms = &pgcredit_plain.request->terms[grant->terms];

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
	MemoryContext saved = MemoryContextSwitchTo(pgcredit_plain.decide_context);
	Request    *r = request_for(subject->subject_id);
	int			kept = 0;

	r->strict = true;
	r->opened = true;
	r->decisions = palloc0(r->n_categories * sizeof(Decision));
	r->salts[0] = subject->salt;
	for (int c = 0; c < r->n_categories; c++)
	{
		const MetGrant *grant = pgcredit_met_grant(subject, r->category_ids[c]);

		r->decisions[c].reason = REASON_NOT_ASKED;
		if (grant == NULL || grant->consent_id != consent_id)
			continue;
		r->decisions[c] = (Decision) {REASON_GRANTED, 1, consent_id};
		r->terms[1] = pgcredit_plain.request->terms[grant->terms];
		r->n_terms = 2;
	}
	pgcredit_record_request(r);
	pgcredit_record_finish(r);
	for (int k = 0; k < subject->n_grants; k++)
	{
		MetGrant	grant = subject->grants[k];

		if (grant.consent_id == consent_id)
		{
			Terms		terms = pgcredit_plain.request->terms[grant.terms];

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
	MemoryContextReset(pgcredit_plain.decide_context);
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
 * Have access open for the current role.
 */
static void
ensure_open(void)
{
	if (pgcredit_plain.role == GetUserId())
		return;
	pgcredit_plain_close();
	open_access();
}

/*
 * May this row be given to the query, with nothing open by name?  Notes what is
 * given.
 */
bool
pgcredit_plain_guard(int64 subject_id, int category_id, DateADT dated, bool whole)
{
	MetSubject *subject;
	const MetGrant *grant;
	const Terms *terms;

	if (IsParallelWorker() || !pgcredit_plain_wanted())
	{
		/* told at the end of the query, whatever it met; there may be none */
		if (closed_queries == 0 && !IsParallelWorker())
			pgcredit_guard_refuse();
		asked_closed = true;
		return false;
	}
	ensure_open();
	subject = pgcredit_plain.last;
	if (subject == NULL || subject->subject_id != subject_id)
		subject = pgcredit_plain.last = meet(subject_id);
	grant = pgcredit_met_grant(subject, category_id);
	if (whole && category_set_has(&pgcredit_plain.covered, category_id))
		grant = NULL;
	if (grant && is_counted(grant) &&
		pgcredit_dated_within(dated, pgcredit_plain.request->terms[grant->terms].from, pgcredit_plain.request->terms[grant->terms].to))
	{
		take_use(subject, grant->consent_id);
		grant = pgcredit_met_grant(subject, category_id);
	}
	terms = grant ? &pgcredit_plain.request->terms[grant->terms] : NULL;
	if (terms && pgcredit_dated_within(dated, terms->from, terms->to))
	{
		category_set_add(&subject->given, category_id);
		return true;
	}
	if (!subject->withheld)
		pgcredit_plain.withheld++;
	subject->withheld = true;
	return false;
}

/* ---------------------------------------------------------------------------
 * Statements and transactions
 * ---------------------------------------------------------------------------
 */

/*
 * A query was started that will ask the guard, and nothing is open by name.  With
 * a purpose access is opened when it runs, so that a cursor is checked by each
 * FETCH, but where it runs inside of another, or is only explained, at once.
 */
static void
started_guarded(int eflags)
{
	bool		explained = (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;

	if (!pgcredit_plain_wanted())
	{
		if (explained)
			pgcredit_guard_refuse();
		return;
	}
	if (depth == 0 && !explained)
		return;
	ensure_open();
	if (depth == 0)
		pgcredit_plain_close();
}

/*
 * A query ran that would ask the guard, and began with nothing open.  It may have
 * opened access itself; else it is told so, also if it met no row: whether it did
 * must not show, or rows of others could be counted, and their columns tried out
 * by conditions that are looked up in an index before the guard is asked.
 */
static void
ran_closed(void)
{
	if (!pgcredit_guard_is_open(GetUserId()) || asked_closed)
		pgcredit_guard_refuse();
}

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
	if (!IsParallelWorker() && !pgcredit_guard_is_open(GetUserId()) && pgcredit_guard_stands_in(query))
		started_guarded(eflags);
}

static void
run_query(PGCREDIT_RUN_PARAMETERS)
{
	bool		guarded = !IsParallelWorker() && !pgcredit_guard_is_open(GetUserId()) &&
		pgcredit_guard_stands_in(query);
	bool		closed = guarded && !pgcredit_plain_wanted();
	bool		asked_before = asked_closed;

	if (guarded && !closed && depth == 0)
		ensure_open();
	depth++;
	if (closed)
	{
		closed_queries++;
		asked_closed = false;
	}
	PG_TRY();
	{
		if (prev_executor_run)
			prev_executor_run(PGCREDIT_RUN_ARGUMENTS);
		else
			standard_ExecutorRun(PGCREDIT_RUN_ARGUMENTS);
		if (closed)
			ran_closed();
	}
	PG_FINALLY();
	{
		depth--;
		if (closed)
		{
			closed_queries--;
			asked_closed = asked_before;
		}
	}
	PG_END_TRY();
	if (depth == 0)
		pgcredit_plain_close();
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
		pgcredit_plain_close();
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			pgcredit_plain_close();
			break;
		case XACT_EVENT_ABORT:
			depth = closed_queries = 0;
			pgcredit_plain_abandon();
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
	if (event == SUBXACT_EVENT_ABORT_SUB && depth == 0 && OidIsValid(pgcredit_plain.role))
	{
		Snapshot	snapshot = pgcredit_plain.snapshot;

		pgcredit_plain_abandon();
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
