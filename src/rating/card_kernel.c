/*
 * card_kernel.c
 *		Compilation and ranking steps of a scorecard in plain C.
 */
#include "rating/card_kernel.h"

#include <stdlib.h>

static int
compare_int(const void *a, const void *b)
{
	int			x = *(const int *) a;
	int			y = *(const int *) b;

	return (x > y) - (x < y);
}

/*
 * Turn spans in card order into segments where the first span wins.
 *
 * cuts has room for 2 * nspans keys, attributes for one more.  Returns the
 * number of cuts, ascending and distinct; attributes[i] covers the keys from
 * cuts[i - 1] to before cuts[i].  Neighbours of one attribute are joined.
 */
int
pgcredit_build_segments(const PgcreditSpan *spans, int nspans,
						int *cuts, int *attributes)
{
	int			ncuts = 0;
	int			kept = 0;

	for (int i = 0; i < nspans; i++)
	{
		if (spans[i].lo != PGCREDIT_SPAN_MIN)
			cuts[ncuts++] = spans[i].lo;
		if (spans[i].hi != PGCREDIT_SPAN_MAX)
			cuts[ncuts++] = spans[i].hi;
	}
	qsort(cuts, (size_t) ncuts, sizeof(int), compare_int);
	for (int c = -1; c < ncuts; c++)
	{
		int			start = c < 0 ? PGCREDIT_SPAN_MIN : cuts[c];
		int			winner = PGCREDIT_NO_ATTRIBUTE;

		if (c + 1 < ncuts && c >= 0 && cuts[c + 1] == start)
			continue;
		for (int i = 0; i < nspans; i++)
		{
			if (spans[i].lo <= start && start < spans[i].hi)
			{
				winner = spans[i].attribute;
				break;
			}
		}
		if (c < 0)
			attributes[0] = winner;
		else if (winner != attributes[kept])
		{
			cuts[kept++] = start;
			attributes[kept] = winner;
		}
	}
	return kept;
}

/*
 * Places that a table for so many words needs: a power of two, at most half
 * full, and an eighth where that takes little, so that few words are looked for
 * in a second place.
 */
int
pgcredit_word_places(int nwords)
{
	int			wanted = (nwords <= 128 ? 8 : 2) * nwords;
	int			places = 2;

	while (places < wanted)
		places *= 2;
	return places;
}

/*
 * Add a string, which must outlive the table.  False if it is there already:
 * the attribute that came first keeps it.
 */
bool
pgcredit_add_word(PgcreditWord *table, int places, const char *bytes, int len,
				  int attribute)
{
	uint64_t	head = pgcredit_word_head(bytes, len);
	int			at = pgcredit_word_place(head, len, places);

	if (pgcredit_find_word(table, places, bytes, len) != PGCREDIT_NO_ATTRIBUTE)
		return false;
	while (table[at].len >= 0)
		at = (at + 1) & (places - 1);
	table[at].head = head;
	table[at].bytes = bytes;
	table[at].len = len;
	table[at].attribute = attribute;
	return true;
}

/*
 * Read a plain decimal ("-12.5", no exponent) as millionths.  False if it has
 * a seventh decimal other than 0, is not a plain decimal, or is beyond limit
 * millionths in size.
 */
bool
pgcredit_parse_micro(const char *decimal, int64_t limit, int64_t *micro)
{
	const char *p = decimal;
	bool		negative = *p == '-';
	int64_t		value = 0;
	int			decimals = -1;

	if (negative)
		p++;
	if (*p == '\0')
		return false;
	for (; *p != '\0'; p++)
	{
		if (*p == '.' && decimals < 0)
		{
			decimals = 0;
			continue;
		}
		if (*p < '0' || *p > '9')
			return false;
		if (decimals >= 6)
		{
			if (*p != '0')
				return false;
			continue;
		}
		value = value * 10 + (*p - '0');
		if (decimals >= 0)
			decimals++;
		if (value > limit)
			return false;
	}
	for (decimals = decimals < 0 ? 0 : decimals; decimals < 6; decimals++)
	{
		value *= 10;
		if (value > limit)
			return false;
	}
	*micro = negative ? -value : value;
	return true;
}

/*
 * Largest integer at or below a plain decimal, and whether the two are equal.
 * False if it is no plain decimal or has more than 17 digits before the point.
 */
bool
pgcredit_decimal_floor(const char *decimal, int64_t *floor, bool *exact)
{
	const char *p = decimal;
	bool		negative = *p == '-';
	int64_t		value = 0;
	bool		fraction = false;

	if (negative)
		p++;
	if (*p == '\0')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
	{
		if (value >= INT64_C(10000000000000000))
			return false;
		value = value * 10 + (*p - '0');
	}
	if (*p == '.')
	{
		for (p++; *p >= '0' && *p <= '9'; p++)
			fraction = fraction || *p != '0';
	}
	if (*p != '\0')
		return false;
	*exact = !fraction;
	*floor = negative ? -value - (fraction ? 1 : 0) : value;
	return true;
}

/*
 * Read a plain decimal as an integer count of 10^-decimals.  False if that is
 * not exact, or the count is 10^16 or more in size.
 */
bool
pgcredit_decimal_scaled(const char *decimal, int decimals, int64_t *scaled)
{
	const char *p = decimal;
	bool		negative = *p == '-';
	bool		point = false;
	int64_t		value = 0;

	if (negative)
		p++;
	for (; *p != '\0' || decimals > 0; p += *p != '\0')
	{
		if (*p == '.' && !point)
		{
			point = true;
			continue;
		}
		if (*p != '\0' && (*p < '0' || *p > '9'))
			return false;
		if (*p == '\0' || point)
		{
			if (decimals == 0)
			{
				if (*p != '0')
					return false;
				continue;
			}
			decimals--;
		}
		value = value * 10 + (*p == '\0' ? 0 : *p - '0');
		if (value >= INT64_C(10000000000000000))
			return false;
	}
	*scaled = negative ? -value : value;
	return true;
}

/*
 * Rank reason codes as PMML's Scorecard asks: differences are summed per code,
 * negative sums are dropped, the rest is in descending order; equal sums keep
 * the order in which the codes come first on the card.
 *
 * codes[i] in [0, ncodes) is the reason of characteristic i, or negative for
 * none.  sums and order have room for ncodes.  Returns the number of ranked
 * codes; order[0] is the first reason.
 */
int
pgcredit_rank_reasons(const int *codes, const int64_t *differences, int n,
					  int ncodes, int64_t *sums, int *order)
{
	int			nranked = 0;

	for (int c = 0; c < ncodes; c++)
		sums[c] = 0;
	for (int i = 0; i < n; i++)
	{
		if (codes[i] >= 0)
			sums[codes[i]] += differences[i];
	}
	for (int i = 0; i < n; i++)
	{
		int			code = codes[i];
		int			at;
		bool		seen = code < 0 || sums[code] < 0;

		for (int r = 0; r < nranked && !seen; r++)
			seen = order[r] == code;
		if (seen)
			continue;
		for (at = nranked; at > 0 && sums[order[at - 1]] < sums[code]; at--)
			order[at] = order[at - 1];
		order[at] = code;
		nranked++;
	}
	return nranked;
}
