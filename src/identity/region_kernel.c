/*
 * region_kernel.c
 *		Administrative division code, GB/T 2260: form and hierarchy.
 *
 * Two digits each for province, city and county; 00 stands for "the whole".
 * Any six digits are a code: which regions exist, and when, is for a table to
 * say, since identifiers go on carrying the codes of regions that are gone.
 */
#include "identity/region_kernel.h"

/*
 * Parse len bytes as a code.  Returns false and fills in *error (LENGTH or
 * CHARACTER) when they are none.
 */
bool
pgcredit_region_parse(const char *str, size_t len, int32_t *region,
					  PgcreditCodeError *error)
{
	int32_t		value = 0;
	int			i;

	if (len != PGCREDIT_REGION_LEN)
	{
		error->fault = PGCREDIT_CODE_LENGTH;
		return false;
	}
	for (i = 0; i < PGCREDIT_REGION_LEN; i++)
	{
		int			digit = str[i] - '0';

		if (digit < 0 || digit > 9)
		{
			error->fault = PGCREDIT_CODE_CHARACTER;
			error->position = i + 1;
			return false;
		}
		value = value * 10 + digit;
	}
	*region = value;
	return true;
}

/* The six digits of a code, no NUL after them. */
void
pgcredit_region_print(int32_t region, char code[PGCREDIT_REGION_LEN])
{
	int			i;

	for (i = PGCREDIT_REGION_LEN - 1; i >= 0; i--)
	{
		code[i] = (char) ('0' + region % 10);
		region /= 10;
	}
}

/* The city of a county, the province of a city; false for a province. */
bool
pgcredit_region_parent(int32_t region, int32_t *parent)
{
	if (region % 100 != 0)
		*parent = region - region % 100;
	else if (region % 10000 != 0)
		*parent = region - region % 10000;
	else
		return false;
	return true;
}
