/*
 * plain.h
 *		The access that a plain SELECT opened, as plain.c and given.c share it.
 */
#ifndef PGCREDIT_CONSENT_PLAIN_H
#define PGCREDIT_CONSENT_PLAIN_H

#include "consent/consent_internal.h"

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

#define SH_PREFIX met
#define SH_ELEMENT_TYPE MetSubject
#define SH_KEY_TYPE int64
#define SH_KEY subject_id
#define SH_HASH_KEY(tb, key) pgcredit_hash_subject(key)
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
	MemoryContext owed_context; /* entries that are owed; not in the context */
	MemoryContext met_context;	/* subjects */
	MemoryContext decide_context;	/* for one decision */
	Request    *request;		/* all categories, no subjects */
	Snapshot	snapshot;		/* of the consents */
	met_hash   *met;
	MetSubject *last;			/* met last, or NULL */
	CategorySet covered;		/* categories of which no row is shown whole */
	int64		withheld;		/* subjects, since the last entry */
	bool		recorded;		/* an entry of given subjects was written */
} PlainAccess;

extern PlainAccess pgcredit_plain;

/* given.c */
extern const MetGrant *pgcredit_met_grant(const MetSubject *subject, int category_id);
extern void pgcredit_met_forget(void);
extern void pgcredit_given_record(void);
extern void pgcredit_plain_close(void);
extern void pgcredit_plain_abandon(void);
extern void pgcredit_plain_pay(bool wait);

#endif							/* PGCREDIT_CONSENT_PLAIN_H */
