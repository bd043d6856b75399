/*
 * verify_leaf.c
 *		From an entry's row to its leaf, for credit.verify_log and its workers.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "audit/audit_internal.h"
#include "audit/list.h"
#include "audit/verify.h"
#include "audit/verify_find.h"

static const SoughtName recorded_name = {"\"recorded\":", 11, 0};
static const SoughtName configuration_name = {"\"kind\":\"configuration\"", 22, 10};
static const SoughtName list_name = {",\"list\":", 8, 1};

/*
 * Does "seq" after this "recorded" say the number?
 */
static bool
says_number(const char *recorded, const char *end, uint64 seq)
{
	static const char name[] = ",\"seq\":";
	char		number[32];
	int			len = pg_ulltoa_n(seq, number);
	const char *p = recorded + recorded_name.len;

	if (p == end || *p++ != '"')
		return false;
	p = memchr(p, '"', end - p);
	if (p == NULL || end - p <= (ptrdiff_t) sizeof(name) + len || memcmp(p + 1, name, sizeof(name) - 1) != 0)
		return false;
	p += sizeof(name);
	return memcmp(p, number, len) == 0 && (p[len] == ',' || p[len] == '}');
}

/*
 * Where the entry says its number, as the writer puts it, directly after
 * "recorded" of the outermost object; NULL if it does not.  A quoted name cannot
 * stand in a string; a member of an inner object is told by the braces before it.
 */
static const char *
find_number(const char *entry, Size len, uint64 seq)
{
	const char *end = entry + len;
	const char *at = entry;
	const char *seen = entry;
	int			depth = 0;
	bool		quoted = false;

	while ((at = find_name(recorded_name, at, end, end)) != NULL)
	{
		/* most entries have no inner object before it */
		if (seen == entry && at > entry && memchr(entry + 1, '{', at - entry - 1) == NULL)
			return says_number(at, end, seq) ? at : NULL;
		for (; seen < at; seen++)
		{
			if (quoted && *seen == '\\')
				seen++;
			else if (*seen == '"')
				quoted = !quoted;
			else if (!quoted)
				depth += (*seen == '{' || *seen == '[') - (*seen == '}' || *seen == ']');
		}
		if (depth == 1 && !quoted)
			return says_number(at, end, seq) ? at : NULL;
		at++;
	}
	return NULL;
}

/*
 * Is the list of an access to many, if it has one, what the entry has the root
 * of?  Its name sorts before "recorded".
 */
static bool
list_is_whole(Snapshot snapshot, const char *entry, Size len, const char *recorded)
{
	return find_name(list_name, entry, recorded, entry + len) == NULL ||
		pgcredit_list_is_whole(snapshot, (PgcreditSpan) {entry, len});
}

/*
 * The leaf of the entry that the scan is at, which has to say that it is entry
 * "seq"; *len is its length.  Only of a good entry there is a hash, and note is
 * taken of a digest of the code in it.
 */
VerifyLeaf
pgcredit_verify_entry(EntryScan *entries, uint64 seq, PgcreditMerkleHash hash, Size *len)
{
	static const char access[] = "{\"access\":";
	MemoryContext old = MemoryContextSwitchTo(entries->context);
	text	   *entry = DatumGetTextPP(pgcredit_column(entries->rel, entries->tuple, ENTRY_TEXT));
	const char *bytes = VARDATA_ANY(entry);
	const char *recorded;
	bool		is_access;
	VerifyLeaf	leaf = LEAF_GOOD;

	*len = VARSIZE_ANY_EXHDR(entry);
	is_access = *len >= sizeof(access) && memcmp(bytes, access, sizeof(access) - 1) == 0;
	if (*len > PGCREDIT_ENTRY_MAX)
		leaf = LEAF_TOO_LONG;
	else if ((recorded = find_number(bytes, *len, seq)) == NULL)
		leaf = LEAF_OTHER_NUMBER;
	else if (is_access && !list_is_whole(entries->snapshot, bytes, *len, recorded))
		leaf = LEAF_OTHER_LIST;
	else
	{
		pgcredit_merkle_leaf(bytes, *len, hash);
		/* "kind" sorts before "recorded" as well */
		if (!is_access && find_name(configuration_name, bytes, recorded, bytes + *len) &&
			pgcredit_code_in_entry(bytes, *len))
			entries->code = seq;
	}
	MemoryContextSwitchTo(old);
	if (seq % TILE_WIDTH == 0)
		MemoryContextReset(entries->context);
	return leaf;
}
