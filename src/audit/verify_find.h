/*
 * verify_find.h
 *		The search for a name in an entry's bytes, which each entry of a log goes
 *		through: inlined with the name, so that its bytes are constants.
 */
#ifndef PGCREDIT_AUDIT_VERIFY_FIND_H
#define PGCREDIT_AUDIT_VERIFY_FIND_H

/* Places that are looked at together: FIND_ROWS times as many as a processor compares at once */
#define FIND_ROWS 4
#define FIND_ROW 16
#define FIND_AT_ONCE (FIND_ROWS * FIND_ROW)

/*
 * A name to look for: two of its bytes that are rare beside each other.
 */
typedef struct SoughtName
{
	const char *text;
	uint8		len;
	uint8		pair;			/* where they stand in it */
} SoughtName;

/*
 * Do two bytes stand beside each other at one of FIND_AT_ONCE places?  Written so
 * that compilers make a few instructions of it.
 */
static pg_attribute_always_inline bool
has_pair(const char *at, char first, char second)
{
	uint8		found[FIND_ROW];
	uint64		halves[FIND_ROW / sizeof(uint64)];

	for (int k = 0; k < FIND_ROW; k++)
		found[k] = ((at[k] == first) & (at[k + 1] == second)) |
			((at[k + FIND_ROW] == first) & (at[k + FIND_ROW + 1] == second)) |
			((at[k + 2 * FIND_ROW] == first) & (at[k + 2 * FIND_ROW + 1] == second)) |
			((at[k + 3 * FIND_ROW] == first) & (at[k + 3 * FIND_ROW + 1] == second));
	memcpy(halves, found, sizeof(halves));
	return (halves[0] | halves[1]) != 0;
}

/*
 * First place of a name from "from" on and before "stop"; it may go on behind
 * that, up to "end".  memmem takes several times as long.
 */
static pg_attribute_always_inline const char *
find_name(SoughtName name, const char *from, const char *stop, const char *end)
{
	for (const char *at = from; at < stop && end - at >= name.len;)
	{
		const char *next = at + 1;

		if (end - at > FIND_AT_ONCE + name.len)
		{
			next = at + FIND_AT_ONCE;
			if (likely(!has_pair(at + name.pair, name.text[name.pair], name.text[name.pair + 1])))
			{
				at = next;
				continue;
			}
		}
		for (; at < Min(next, stop); at++)
			if (at[name.pair] == name.text[name.pair] && at[name.pair + 1] == name.text[name.pair + 1] &&
				memcmp(at, name.text, name.len) == 0)
				return at;
	}
	return NULL;
}

#endif							/* PGCREDIT_AUDIT_VERIFY_FIND_H */
