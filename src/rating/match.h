/*
 * match.h
 *		The inner loop of scoring: one value against one characteristic.
 */
#ifndef PGCREDIT_RATING_MATCH_H
#define PGCREDIT_RATING_MATCH_H

#include <math.h>

#include "utils/builtins.h"

#include "rating/card.h"

/*
 * Attribute of the characteristic that takes the value, or NO_ATTRIBUTE.  A
 * SQL NULL is taken by "missing" alone; NaN by "other" alone.
 */
static pg_attribute_always_inline int
pgcredit_match(const PgcreditBinding *binding, Datum value, bool isnull)
{
	int64		code;

	if (unlikely(isnull))
		return binding->missing;
	switch (binding->kind)
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
				double		real = binding->kind == PGCREDIT_COLUMN_FLOAT8 ?
					DatumGetFloat8(value) : (double) DatumGetFloat4(value);

				if (unlikely(isnan(real)))
					return binding->other;
				code = pgcredit_double_code(real);
				break;
			}
		case PGCREDIT_COLUMN_TEXT:
		case PGCREDIT_COLUMN_BPCHAR:
			{
				text	   *string = (text *) DatumGetPointer(value);
				int			len;
				int			attribute;

				if (VARATT_IS_EXTERNAL(string) || VARATT_IS_COMPRESSED(string))
					string = DatumGetTextPP(value);
				len = VARSIZE_ANY_EXHDR(string);
				if (binding->kind == PGCREDIT_COLUMN_BPCHAR)
					len = bpchartruelen(VARDATA_ANY(string), len);
				attribute = pgcredit_find_word(binding->words, binding->places,
											   VARDATA_ANY(string), len);
				return attribute < 0 ? binding->other : attribute;
			}
		default:
			return pgcredit_match_numeric(binding, value);
	}
	return binding->segments[pgcredit_find_segment(binding->codes, binding->ncuts, code)];
}

#endif							/* PGCREDIT_RATING_MATCH_H */
