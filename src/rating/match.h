/*
 * match.h
 *		The inner loop of scoring: one value against one characteristic.
 */
#ifndef PGCREDIT_RATING_MATCH_H
#define PGCREDIT_RATING_MATCH_H

#include <math.h>

#include "utils/builtins.h"

#include "rating/card.h"
#include "rating/numeric_code.h"

/* Cuts are counted in groups of so many, up to a number of cuts from which on they are searched. */
#define PGCREDIT_CUTS_AT_ONCE 4
#define PGCREDIT_CUTS_COUNTED 16

/*
 * Number of a binding's cuts at or below the code: the slot of its segment.
 *
 * Counting in groups without a branch costs less than a search up to a few
 * dozens of cuts, since no branch in it depends on the value.  The last group is
 * filled up with the largest code, which only a value of that code counts.
 */
static pg_attribute_always_inline int
pgcredit_slot_of_code(const PgcreditBinding *binding, int64 code)
{
	const int64 *cuts = binding->codes;
	int			ncuts = binding->ncuts;
	int			left = ncuts;
	int			below = 0;

	if (unlikely(ncuts > PGCREDIT_CUTS_COUNTED))
		return pgcredit_find_segment(cuts, ncuts, code);
	do
	{
		below += (cuts[0] <= code) + (cuts[1] <= code) + (cuts[2] <= code) + (cuts[3] <= code);
		cuts += PGCREDIT_CUTS_AT_ONCE;
		left -= PGCREDIT_CUTS_AT_ONCE;
	} while (left > 0);
	return below;
}

/*
 * Slot of a value, see PgcreditBinding, whose kind a caller may know beforehand.
 * A SQL NULL is taken by "missing" alone; NaN by "other" alone.
 */
static pg_attribute_always_inline int
pgcredit_slot(const PgcreditBinding *binding, PgcreditColumnKind kind, Datum value, bool isnull)
{
	int64		code;

	if (unlikely(isnull))
		return binding->last + PGCREDIT_SLOT_MISSING;
	switch (kind)
	{
		case PGCREDIT_COLUMN_INT2:
			code = DatumGetInt16(value);
			break;
		case PGCREDIT_COLUMN_INT4:
			code = DatumGetInt32(value);
			break;
		case PGCREDIT_COLUMN_INT8:
			code = DatumGetInt64(value);
			break;
		case PGCREDIT_COLUMN_DATE:
			code = DatumGetInt32(value);
			break;
		case PGCREDIT_COLUMN_BOOL:
			code = DatumGetBool(value);
			break;
		case PGCREDIT_COLUMN_FLOAT4:
		case PGCREDIT_COLUMN_FLOAT8:
			{
				double		real = kind == PGCREDIT_COLUMN_FLOAT8 ?
					DatumGetFloat8(value) : (double) DatumGetFloat4(value);

				if (unlikely(isnan(real)))
					return binding->last + PGCREDIT_SLOT_OTHER;
				code = pgcredit_double_code(real);
				break;
			}
		case PGCREDIT_COLUMN_TEXT:
			{
				const void *string = DatumGetPointer(value);
				int			attribute;

				if (unlikely(VARATT_IS_EXTENDED(string) && !(VARATT_IS_SHORT(string) && !VARATT_IS_EXTERNAL(string))))
					return pgcredit_slot_odd_text(binding, value);
				attribute = pgcredit_find_word(binding->words, binding->places,
											   VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
				return binding->last + (attribute < 0 ? PGCREDIT_SLOT_OTHER : PGCREDIT_SLOT_FIRST + attribute);
			}
		case PGCREDIT_COLUMN_BPCHAR:
			return pgcredit_slot_odd_text(binding, value);
		default:
			{
				const void *number = DatumGetPointer(value);

				if (likely(binding->fraction >= 0 && VARATT_IS_SHORT(number) && !VARATT_IS_EXTERNAL(number) &&
						   pgcredit_numeric_code(VARDATA_SHORT(number), VARSIZE_SHORT(number) - VARHDRSZ_SHORT,
												 binding->fraction, &code)))
					break;
				return pgcredit_slot_numeric(binding, value);
			}
	}
	return pgcredit_slot_of_code(binding, code);
}

/*
 * Attribute of the characteristic that takes the value, or NO_ATTRIBUTE.
 */
static inline int
pgcredit_match(const PgcreditBinding *binding, Datum value, bool isnull)
{
	return binding->attributes[pgcredit_slot(binding, binding->kind, value, isnull)];
}

#endif							/* PGCREDIT_RATING_MATCH_H */
