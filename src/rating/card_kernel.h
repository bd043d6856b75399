/*
 * card_kernel.h
 *		Evaluation of a scorecard in plain C, without PostgreSQL.
 *
 * Every orderable value (number, date, boolean) is mapped to an int64 code that
 * keeps its order, and an interval with either closure becomes half-open over
 * codes.  The attributes of a characteristic, tried in card order with the
 * first match winning, are then the same as a sorted list of cuts with one
 * attribute per segment between them, also where attributes overlap.
 */
#ifndef PGCREDIT_CARD_KERNEL_H
#define PGCREDIT_CARD_KERNEL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Points are counted in millionths, so that sums are exact. */
#define PGCREDIT_MICRO INT64_C(1000000)

/* No attribute covers the value. */
#define PGCREDIT_NO_ATTRIBUTE (-1)

/* Keys of a span that is open to one side. */
#define PGCREDIT_SPAN_MIN INT_MIN
#define PGCREDIT_SPAN_MAX INT_MAX

/*
 * One attribute's reach in keys, [lo, hi).  The bound of rank r has key 2r at
 * the bound itself and 2r + 1 right after it.
 */
typedef struct PgcreditSpan
{
	int			lo;
	int			hi;
	int			attribute;
} PgcreditSpan;

/* A value of a set attribute. */
typedef struct PgcreditWord
{
	const char *bytes;
	int			len;
	int			attribute;
} PgcreditWord;

extern int	pgcredit_build_segments(const PgcreditSpan *spans, int nspans,
									int *cuts, int *attributes);
extern int	pgcredit_word_compare(const void *a, const void *b);
extern int	pgcredit_word_unique(PgcreditWord *words, int nwords);
extern bool pgcredit_parse_micro(const char *decimal, int64_t limit,
								 int64_t *micro);
extern bool pgcredit_decimal_floor(const char *decimal, int64_t *floor,
								   bool *exact);
extern int	pgcredit_rank_reasons(const int *codes, const int64_t *differences,
								  int n, int ncodes, int64_t *sums, int *order);

/*
 * Order-preserving code of a double that is not NaN; -0 and 0 have one code.
 */
static inline int64_t
pgcredit_double_code(double value)
{
	int64_t		bits;

	value += 0.0;				/* -0 becomes 0 */
	memcpy(&bits, &value, sizeof(bits));
	return bits < 0 ? bits ^ INT64_MAX : bits;
}

/*
 * Number of cuts at or below the code: the index of its segment.
 */
static inline int
pgcredit_find_segment(const int64_t *cuts, int ncuts, int64_t code)
{
	int			below = 0;

	/* invariant: the first "below" cuts are <= code, those from below + ncuts > code */
	while (ncuts > 8)
	{
		int			half = ncuts / 2;

		if (cuts[below + half - 1] <= code)
		{
			below += half;
			ncuts -= half;
		}
		else
			ncuts = half - 1;
	}
	cuts += below;
	for (int i = 0; i < ncuts; i++)
		below += cuts[i] <= code;
	return below;
}

/*
 * Attribute whose set holds the string, among words sorted by
 * pgcredit_word_compare, or PGCREDIT_NO_ATTRIBUTE.
 */
static inline int
pgcredit_find_word(const PgcreditWord *words, int nwords,
				   const char *bytes, int len)
{
	int			lo = 0;
	int			hi = nwords;

	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;
		int			c = words[mid].len - len;

		if (c == 0)
			c = memcmp(words[mid].bytes, bytes, (size_t) len);
		if (c == 0)
			return words[mid].attribute;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return PGCREDIT_NO_ATTRIBUTE;
}

#endif							/* PGCREDIT_CARD_KERNEL_H */
