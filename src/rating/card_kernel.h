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

/*
 * A value of a set attribute, in an open-addressing table.  The head is made of
 * its first 8 bytes and says all of a string of at most 8.
 */
typedef struct PgcreditWord
{
	uint64_t	head;
	const char *bytes;
	int			len;			/* -1 in a free place */
	int			attribute;
} PgcreditWord;

extern int	pgcredit_build_segments(const PgcreditSpan *spans, int nspans,
									int *cuts, int *attributes);
extern int	pgcredit_word_places(int nwords);
extern bool pgcredit_add_word(PgcreditWord *table, int places, const char *bytes,
							  int len, int attribute);
extern bool pgcredit_parse_micro(const char *decimal, int64_t limit,
								 int64_t *micro);
extern bool pgcredit_decimal_floor(const char *decimal, int64_t *floor,
								   bool *exact);
extern bool pgcredit_decimal_scaled(const char *decimal, int decimals,
									int64_t *scaled);
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
 * Up to 8 bytes of a string as a number, by loads that overlap instead of a
 * loop; strings of one length have one head only if their first 8 bytes agree.
 */
static inline uint64_t
pgcredit_word_head(const char *bytes, int len)
{
	if (len >= 8)
	{
		uint64_t	all;

		memcpy(&all, bytes, 8);
		return all;
	}
	if (len >= 4)
	{
		uint32_t	first;
		uint32_t	last;

		memcpy(&first, bytes, 4);
		memcpy(&last, bytes + len - 4, 4);
		return first | (uint64_t) last << 32;
	}
	if (len >= 2)
		return (uint64_t) (unsigned char) bytes[0] |
			(uint64_t) (unsigned char) bytes[1] << 8 |
			(uint64_t) (unsigned char) bytes[len - 1] << 16;
	return len == 1 ? (unsigned char) bytes[0] : 0;
}

/* First place to look at in a table of a power of two. */
static inline int
pgcredit_word_place(uint64_t head, int len, int places)
{
	uint64_t	mixed = (head + (uint64_t) len) * UINT64_C(0x9E3779B97F4A7C15);

	return (int) (mixed >> 32) & (places - 1);
}

/*
 * Attribute whose set holds the string, or PGCREDIT_NO_ATTRIBUTE.  The table
 * has a free place, so the search ends.
 */
static inline int
pgcredit_find_word(const PgcreditWord *table, int places, const char *bytes, int len)
{
	uint64_t	head = pgcredit_word_head(bytes, len);
	int			at = pgcredit_word_place(head, len, places);

	for (;; at = (at + 1) & (places - 1))
	{
		const PgcreditWord *word = &table[at];

		if (word->len < 0)
			return PGCREDIT_NO_ATTRIBUTE;
		if (word->head == head && word->len == len &&
			(len <= 8 || memcmp(word->bytes, bytes, (size_t) len) == 0))
			return word->attribute;
	}
}

#endif							/* PGCREDIT_CARD_KERNEL_H */
