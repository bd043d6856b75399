/*
 * grants.h
 *		A set of grants, see grants.c; what a scan asks for each row is here.
 */
#ifndef PGCREDIT_CONSENT_GRANTS_H
#define PGCREDIT_CONSENT_GRANTS_H

#include "utils/date.h"
#include "utils/hsearch.h"
#include "utils/palloc.h"

/* A set of categories; category_id is 1 to 127 (credit.category checks it). */
#define MAX_CATEGORY 127
typedef struct CategorySet
{
	uint64		words[2];
} CategorySet;

static inline bool
category_set_has(const CategorySet *set, int id)
{
	return (set->words[id >> 6] >> (id & 63)) & 1;
}

static inline void
category_set_add(CategorySet *set, int id)
{
	set->words[id >> 6] |= UINT64CONST(1) << (id & 63);
}

typedef struct GrantClause
{
	CategorySet categories;
	DateADT		from;			/* records dated in [from, to) */
	DateADT		to;
	uint32		next;			/* clause, or 0 */
	uint32		unused;			/* 0: clauses are compared as bytes */
} GrantClause;

typedef struct GrantSet
{
	uint32		capacity;
	uint32		used;
	int64	   *subjects;		/* [capacity] */
	uint32	   *heads;			/* [capacity], the subject's first clause; 0: free place */
	uint32		n_clauses;
	uint32		max_clauses;
	GrantClause *clauses;
	CategorySet covered;		/* categories of which no row is shown whole */
	HTAB	   *interned;		/* NULL in a set that is only asked */
	MemoryContext context;
} GrantSet;

extern GrantSet *pgcredit_grants_create(MemoryContext context, Size n);
extern void pgcredit_grants_add(GrantSet *set, int64 subject_id, const CategorySet *categories,
								DateADT from, DateADT to);
extern void pgcredit_grants_remove(GrantSet *set, int64 subject_id, const CategorySet *categories);
extern Size pgcredit_grants_size(const GrantSet *set);
extern void pgcredit_grants_lay_out(const GrantSet *set, Oid role, char *at);
extern void pgcredit_grants_found(GrantSet *set, Oid *role, char *at);

/* The finaliser of MurmurHash3: ids are dense, a table wants them spread. */
static inline uint32
pgcredit_grants_first_place(const GrantSet *set, int64 subject_id)
{
	uint64		h = (uint64) subject_id;

	h ^= h >> 33;
	h *= UINT64CONST(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64CONST(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return (uint32) (((h >> 32) * set->capacity) >> 32);
}

/*
 * The subject's first clause, or 0 when nothing of it is granted.
 */
static inline uint32
pgcredit_grants_of(const GrantSet *set, int64 subject_id)
{
	uint32		place = pgcredit_grants_first_place(set, subject_id);

	while (set->heads[place] != 0)
	{
		if (set->subjects[place] == subject_id)
			return set->heads[place];
		place = place + 1 == set->capacity ? 0 : place + 1;
	}
	return 0;
}

static inline bool
pgcredit_dated_within(DateADT dated, DateADT from, DateADT to)
{
	return dated >= from && (dated < to || to == DATEVAL_NOEND);
}

/*
 * Does a chain of clauses grant a record of this category and day?
 */
static inline bool
pgcredit_grants_allow(const GrantSet *set, uint32 clause, int category_id, DateADT dated)
{
	for (; clause != 0; clause = set->clauses[clause].next)
	{
		const GrantClause *c = &set->clauses[clause];

		if (category_set_has(&c->categories, category_id) && pgcredit_dated_within(dated, c->from, c->to))
			return true;
	}
	return false;
}

#endif							/* PGCREDIT_CONSENT_GRANTS_H */
