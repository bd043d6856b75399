/*
 * given.c
 *		What a plain SELECT was given, into the log: at the end of the statement,
 *		when it fails, and when the session ends.
 *
 * A transaction that fails can look nothing up, wait for nothing and raise
 * nothing, so everything that the entries need is kept from before, and what the
 * writer cannot take at that moment is owed: it is paid before the session reads
 * again, or when it ends.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "consent/plain.h"
#include "core/core.h"

PlainAccess pgcredit_plain;

/* Entries of a statement that failed which the writer could not take then. */
static PgcreditEntry *owed = NULL;
static int	n_owed = 0;

void
pgcredit_met_forget(void)
{
	MemoryContextReset(pgcredit_plain.met_context);
	pgcredit_plain.met = met_create(pgcredit_plain.met_context, 64, NULL);
	pgcredit_plain.last = NULL;
	pgcredit_plain.withheld = 0;
}

const MetGrant *
pgcredit_met_grant(const MetSubject *subject, int category_id)
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
	const Request *all = pgcredit_plain.request;
	CategorySet given = {{0, 0}};
	met_iterator iterator;
	MetSubject *subject;

	*r = *all;
	r->operation = "returned";
	r->withheld = pgcredit_plain.withheld;
	r->opened = true;
	r->terms = palloc(sizeof(Terms));
	r->terms[0] = all->terms[0];
	r->n_terms = 1;
	r->n_subjects = 0;
	r->n_categories = 0;
	r->subject_ids = palloc(pgcredit_plain.met->members * sizeof(int64));
	r->salts = palloc(pgcredit_plain.met->members * sizeof(bytea *));
	met_start_iterate(pgcredit_plain.met, &iterator);
	while ((subject = met_iterate(pgcredit_plain.met, &iterator)) != NULL)
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
	r->decisions = palloc((Size) pgcredit_plain.met->members * r->n_categories * sizeof(Decision));
	met_start_iterate(pgcredit_plain.met, &iterator);
	while ((subject = met_iterate(pgcredit_plain.met, &iterator)) != NULL)
	{
		Decision   *d = &r->decisions[(Size) r->n_subjects * r->n_categories];

		if (subject->given.words[0] == 0 && subject->given.words[1] == 0)
			continue;
		for (int c = 0; c < r->n_categories; c++)
		{
			const MetGrant *grant = pgcredit_met_grant(subject, r->category_ids[c]);

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
void
pgcredit_given_record(void)
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
	pgcredit_plain.recorded = true;
	pgcredit_met_forget();
}

static void
end_access(bool aborting)
{
	if (!aborting)
		UnregisterSnapshotFromOwner(pgcredit_plain.snapshot, TopTransactionResourceOwner);
	pgcredit_plain.role = InvalidOid;
	pgcredit_plain.snapshot = NULL;
	pgcredit_plain.request = NULL;
	pgcredit_plain.met = NULL;
	pgcredit_plain.last = NULL;
	MemoryContextReset(pgcredit_plain.context);
}

/*
 * The statement is over.
 */
void
pgcredit_plain_close(void)
{
	if (!OidIsValid(pgcredit_plain.role))
		return;
	if (pgcredit_plain.met->members > 0 || !pgcredit_plain.recorded)
		pgcredit_given_record();
	end_access(false);
}

/*
 * Try to hand over what is owed.  With "wait" raises when that cannot be done:
 * nobody reads on who owes entries.
 */
void
pgcredit_plain_pay(bool wait)
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
		MemoryContextReset(pgcredit_plain.owed_context);
		owed = NULL;
	}
}

/*
 * The statement failed, and its transaction with it; nothing can be looked up or
 * waited for.  What the writer cannot take now is owed: before the session reads
 * again, or when it ends.
 */
void
pgcredit_plain_abandon(void)
{
	MemoryContext saved;
	PgcreditEntry *entries;
	PgcreditEntry *all;
	int			n;

	if (!OidIsValid(pgcredit_plain.role))
		return;
	saved = MemoryContextSwitchTo(pgcredit_plain.owed_context);
	entries = given_entries(true, &n);
	all = palloc((n_owed + n) * sizeof(PgcreditEntry));
	if (n_owed > 0)
		memcpy(all, owed, n_owed * sizeof(PgcreditEntry));
	memcpy(all + n_owed, entries, n * sizeof(PgcreditEntry));
	MemoryContextSwitchTo(saved);
	owed = all;
	n_owed += n;
	end_access(true);
	pgcredit_plain_pay(false);
}
