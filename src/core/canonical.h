/*
 * canonical.h
 *		Canonical JSON, RFC 8785.
 */
#ifndef PGCREDIT_CANONICAL_H
#define PGCREDIT_CANONICAL_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

extern int	pgcredit_compare_names(const char *a, int alen, const char *b, int blen);
extern void pgcredit_canonical_json(StringInfo out, JsonbContainer *container, int sqlstate);

#endif							/* PGCREDIT_CANONICAL_H */
