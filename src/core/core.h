/*
 * core.h
 *		What every room may use: SQLSTATEs, version differences, acting as the
 *		owner of the extension, and saying that the library is not preloaded.
 */
#ifndef PGCREDIT_CORE_H
#define PGCREDIT_CORE_H

#include "core/compat.h"
#include "core/errors.h"

/* Saved by pgcredit_owner_begin, given back to pgcredit_owner_end. */
typedef struct PgcreditOwner
{
	Oid			userid;
	int			sec_context;
	int			guc_level;
} PgcreditOwner;

/* A table, index or sequence of schema credit that each statement of some sort looks for. */
typedef struct PgcreditKnown
{
	const char *name;
	Oid			oid;
	uint64		as_of;			/* 0: never found */
} PgcreditKnown;

extern Oid	pgcredit_schema_oid(bool missing_ok);
extern Oid	pgcredit_relation_oid(const char *name, bool missing_ok);
extern Oid	pgcredit_known_oid(PgcreditKnown *known);
extern Oid	pgcredit_owner_oid(void);
extern Oid	pgcredit_calling_role(void);
extern void pgcredit_owner_begin(PgcreditOwner *saved);
extern void pgcredit_owner_end(const PgcreditOwner *saved);
extern void pgcredit_require_preloaded(const char *what);

#endif							/* PGCREDIT_CORE_H */
