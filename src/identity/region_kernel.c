/*
 * region_kernel.c
 *		Administrative division code: form and hierarchy.
 *
 * GB/T 2260 has two digits each for province, city and county; the statistical
 * division code adds three for the township and three for the village.  Zeros
 * stand for "the whole", so the county 330281 is the village code 330281000000:
 * a code is held as the number of twelve digits, which orders a region before
 * all that lie in it, and printed in the shortest of the three forms.
 * Any digits are a code: which regions exist, and when, is for a table to say,
 * since identifiers go on carrying the codes of regions that are gone.
 */
#include "identity/region_kernel.h"

/* What one more of a level adds to the number of twelve digits. */
#define TOWNSHIP INT64_C(1000)
#define COUNTY INT64_C(1000000)
#define CITY INT64_C(100000000)
#define PROVINCE INT64_C(10000000000)

/*
 * Parse len bytes as a code.  Returns false and fills in *error (LENGTH or
 * CHARACTER) when they are none.
 */
bool
pgcredit_region_parse(const char *str, size_t len, int64_t *region,
					  PgcreditCodeError *error)
{
	int64_t		value = 0;
	size_t		i;

	if (len != PGCREDIT_REGION_COUNTY_LEN && len != PGCREDIT_REGION_TOWNSHIP_LEN &&
		len != PGCREDIT_REGION_LEN)
	{
		error->fault = PGCREDIT_CODE_LENGTH;
		return false;
	}
	for (i = 0; i < len; i++)
	{
		int			digit = str[i] - '0';

		if (digit < 0 || digit > 9)
		{
			error->fault = PGCREDIT_CODE_CHARACTER;
			error->position = (int) i + 1;
			return false;
		}
		value = value * 10 + digit;
	}
	if (len == PGCREDIT_REGION_COUNTY_LEN)
		value *= COUNTY;
	else if (len == PGCREDIT_REGION_TOWNSHIP_LEN)
		value *= TOWNSHIP;
	*region = value;
	return true;
}

/* The six, nine or twelve digits of a code, no NUL after them; returns how many. */
int
pgcredit_region_print(int64_t region, char code[PGCREDIT_REGION_LEN])
{
	int			len = PGCREDIT_REGION_LEN;
	int			i;

	if (region % COUNTY == 0)
	{
		region /= COUNTY;
		len = PGCREDIT_REGION_COUNTY_LEN;
	}
	else if (region % TOWNSHIP == 0)
	{
		region /= TOWNSHIP;
		len = PGCREDIT_REGION_TOWNSHIP_LEN;
	}
	for (i = len - 1; i >= 0; i--)
	{
		code[i] = (char) ('0' + region % 10);
		region /= 10;
	}
	return len;
}

/* The code of a region given by the number of its six digits. */
int64_t
pgcredit_region_of_county(int32_t county)
{
	return county * COUNTY;
}

/* The lowest level at which the code has other digits than zeros. */
PgcreditRegionLevel
pgcredit_region_level(int64_t region)
{
	if (region % TOWNSHIP != 0)
		return PGCREDIT_REGION_VILLAGE;
	if (region % COUNTY != 0)
		return PGCREDIT_REGION_TOWNSHIP;
	if (region % CITY != 0)
		return PGCREDIT_REGION_COUNTY;
	if (region % PROVINCE != 0)
		return PGCREDIT_REGION_CITY;
	return PGCREDIT_REGION_PROVINCE;
}

/* The region one level above; false for a province. */
bool
pgcredit_region_parent(int64_t region, int64_t *parent)
{
	static const int64_t above[] = {
		[PGCREDIT_REGION_CITY] = PROVINCE,
		[PGCREDIT_REGION_COUNTY] = CITY,
		[PGCREDIT_REGION_TOWNSHIP] = COUNTY,
		[PGCREDIT_REGION_VILLAGE] = TOWNSHIP
	};
	PgcreditRegionLevel level = pgcredit_region_level(region);

	if (level == PGCREDIT_REGION_PROVINCE)
		return false;
	*parent = region - region % above[level];
	return true;
}
