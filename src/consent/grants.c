/*
 * grants.c
 *		A set of grants: which categories of which subjects, of which days.
 *
 * It is asked once for each row of a scan and may hold millions of subjects, so
 * a subject takes 12 bytes of an open-addressed table that is between half and
 * three quarters full: its number and the first of its clauses.  A clause is a
 * set of categories with a range of days; subjects that are granted the same
 * share their clauses, of which there are few.  Clauses are never changed: what
 * is added to a subject is another chain of them.
 *
 * All of it is in three arrays without pointers between them, so it can be laid
 * out in shared memory for parallel workers as it is.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "consent/consent_internal.h"

/* The place in the clauses is left out of what tells two apart. */
#define CLAUSE_KEY_SIZE sizeof(GrantClause)

typedef struct InternedClause
{
	GrantClause clause;
	uint32		number;
} InternedClause;

/* The head of a subject's place: 0 for an empty place, or one of these and up. */
#define HEAD_NOTHING 1

/* What is laid out; the arrays follow in this order, each aligned. */
typedef struct FlatGrants
{
	uint32		capacity;
	uint32		used;
	uint32		n_clauses;
	Oid			role;
	CategorySet covered;
} FlatGrants;

static Size
flat_subjects_at(void)
{
	return MAXALIGN(sizeof(FlatGrants));
}

static Size
flat_clauses_at(uint32 capacity)
{
	return flat_subjects_at() + MAXALIGN((Size) capacity * sizeof(int64));
}

static Size
flat_heads_at(uint32 capacity, uint32 n_clauses)
{
	return flat_clauses_at(capacity) + MAXALIGN((Size) n_clauses * sizeof(GrantClause));
}

static void
make_places(GrantSet *set, uint32 capacity)
{
	set->capacity = capacity;
	set->used = 0;
	set->subjects = MemoryContextAllocHuge(set->context, (Size) capacity * sizeof(int64));
	set->heads = MemoryContextAllocExtended(set->context, (Size) capacity * sizeof(uint32),
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/*
 * A set for about n subjects in the context; it grows as needed and is given back
 * with the context.
 */
GrantSet *
pgcredit_grants_create(MemoryContext context, Size n)
{
	HASHCTL		ctl = {.keysize = CLAUSE_KEY_SIZE,.entrysize = sizeof(InternedClause),.hcxt = context};
	GrantSet   *set = MemoryContextAllocZero(context, sizeof(GrantSet));

	set->context = context;
	make_places(set, (uint32) Min(n + n / 2 + 16, (Size) PG_UINT32_MAX / 2));
	set->interned = hash_create("clauses of a set of grants", 16, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	set->max_clauses = 16;
	set->n_clauses = HEAD_NOTHING + 1;
	set->clauses = MemoryContextAllocZero(context, set->max_clauses * sizeof(GrantClause));
	return set;
}

/*
 * Where the subject is, or where it would be put.
 */
static uint32
place_of(const GrantSet *set, int64 subject_id)
{
	uint32		place = pgcredit_grants_first_place(set, subject_id);

	while (set->heads[place] != 0 && set->subjects[place] != subject_id)
		place = place + 1 == set->capacity ? 0 : place + 1;
	return place;
}

static void
grow(GrantSet *set)
{
	int64	   *subjects = set->subjects;
	uint32	   *heads = set->heads;
	uint32		capacity = set->capacity;

	if (capacity > PG_UINT32_MAX / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many subjects are open in one transaction"),
				 errhint("Open access in several transactions.")));
	make_places(set, capacity + capacity / 2);
	for (uint32 k = 0; k < capacity; k++)
		if (heads[k] != 0)
		{
			uint32		place = place_of(set, subjects[k]);

			set->subjects[place] = subjects[k];
			set->heads[place] = heads[k];
			set->used++;
		}
	pfree(subjects);
	pfree(heads);
}

/*
 * The number of this clause, which is made if there is none yet.
 */
static uint32
intern(GrantSet *set, const GrantClause *clause)
{
	bool		found;
	InternedClause *entry = hash_search(set->interned, clause, HASH_ENTER, &found);

	if (found)
		return entry->number;
	if (set->n_clauses == set->max_clauses)
	{
		set->clauses = repalloc_huge(set->clauses, (Size) set->max_clauses * 2 * sizeof(GrantClause));
		set->max_clauses *= 2;
	}
	entry->number = set->n_clauses++;
	set->clauses[entry->number] = *clause;
	return entry->number;
}

static bool
is_empty(const CategorySet *categories)
{
	return categories->words[0] == 0 && categories->words[1] == 0;
}

/*
 * A chain like "head" in which the clause of this range has these categories
 * besides its own; ranges stand in order, so that equal grants are equal chains.
 * The recursion is as deep as a subject has consents with different ranges.
 */
static uint32
chain_with(GrantSet *set, uint32 head, const CategorySet *categories, DateADT from, DateADT to)
{
	GrantClause clause;

	memset(&clause, 0, sizeof(clause));
	if (head > HEAD_NOTHING)
	{
		clause = set->clauses[head];
		if (clause.from == from && clause.to == to)
		{
			clause.categories.words[0] |= categories->words[0];
			clause.categories.words[1] |= categories->words[1];
			return intern(set, &clause);
		}
		if (clause.from < from || (clause.from == from && clause.to < to))
		{
			clause.next = chain_with(set, clause.next, categories, from, to);
			return intern(set, &clause);
		}
	}
	clause.categories = *categories;
	clause.from = from;
	clause.to = to;
	clause.next = head > HEAD_NOTHING ? head : 0;
	return intern(set, &clause);
}

static uint32
chain_without(GrantSet *set, uint32 head, const CategorySet *categories)
{
	GrantClause clause;

	if (head <= HEAD_NOTHING)
		return 0;
	clause = set->clauses[head];
	clause.next = chain_without(set, clause.next, categories);
	clause.categories.words[0] &= ~categories->words[0];
	clause.categories.words[1] &= ~categories->words[1];
	return is_empty(&clause.categories) ? clause.next : intern(set, &clause);
}

/*
 * Grant these categories of the subject's records dated in [from, to), which may
 * be DATEVAL_NOBEGIN and DATEVAL_NOEND.
 */
void
pgcredit_grants_add(GrantSet *set, int64 subject_id, const CategorySet *categories, DateADT from, DateADT to)
{
	uint32		place = place_of(set, subject_id);

	if (set->heads[place] == 0)
	{
		if (set->used >= set->capacity - set->capacity / 4)
		{
			grow(set);
			place = place_of(set, subject_id);
		}
		set->subjects[place] = subject_id;
		set->used++;
	}
	set->heads[place] = chain_with(set, set->heads[place], categories, from, to);
}

/*
 * Take these categories of the subject out, of all days.
 */
void
pgcredit_grants_remove(GrantSet *set, int64 subject_id, const CategorySet *categories)
{
	uint32		place = place_of(set, subject_id);

	if (set->heads[place] > HEAD_NOTHING)
		set->heads[place] = Max(HEAD_NOTHING, chain_without(set, set->heads[place], categories));
}

/*
 * Bytes that pgcredit_grants_lay_out writes.
 */
Size
pgcredit_grants_size(const GrantSet *set)
{
	return flat_heads_at(set->capacity, set->n_clauses) + (Size) set->capacity * sizeof(uint32);
}

void
pgcredit_grants_lay_out(const GrantSet *set, Oid role, char *at)
{
	FlatGrants *flat = (FlatGrants *) at;

	flat->capacity = set->capacity;
	flat->used = set->used;
	flat->n_clauses = set->n_clauses;
	flat->role = role;
	flat->covered = set->covered;
	memcpy(at + flat_subjects_at(), set->subjects, (Size) set->capacity * sizeof(int64));
	memcpy(at + flat_clauses_at(set->capacity), set->clauses, (Size) set->n_clauses * sizeof(GrantClause));
	memcpy(at + flat_heads_at(set->capacity, set->n_clauses), set->heads, (Size) set->capacity * sizeof(uint32));
}

/*
 * A set to be asked, not changed, over what was laid out at "at", and whose it is.
 */
void
pgcredit_grants_found(GrantSet *set, Oid *role, char *at)
{
	const FlatGrants *flat = (const FlatGrants *) at;

	memset(set, 0, sizeof(GrantSet));
	set->capacity = flat->capacity;
	set->used = flat->used;
	set->n_clauses = flat->n_clauses;
	set->covered = flat->covered;
	set->subjects = (int64 *) (at + flat_subjects_at());
	set->clauses = (GrantClause *) (at + flat_clauses_at(flat->capacity));
	set->heads = (uint32 *) (at + flat_heads_at(flat->capacity, flat->n_clauses));
	*role = flat->role;
}
