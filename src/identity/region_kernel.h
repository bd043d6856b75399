/*
 * region_kernel.h
 *		Administrative division code: six digits down to the county (GB/T 2260),
 *		nine for a township, twelve for a village (statistical division codes).
 *		Held as the number of its twelve digits, filled up with zeros.
 */
#ifndef PGCREDIT_REGION_KERNEL_H
#define PGCREDIT_REGION_KERNEL_H

#include "identity/code_kernel.h"

#define PGCREDIT_REGION_COUNTY_LEN 6
#define PGCREDIT_REGION_TOWNSHIP_LEN 9
#define PGCREDIT_REGION_LEN 12	/* of the longest, a village */

typedef enum PgcreditRegionLevel
{
	PGCREDIT_REGION_PROVINCE,
	PGCREDIT_REGION_CITY,
	PGCREDIT_REGION_COUNTY,
	PGCREDIT_REGION_TOWNSHIP,
	PGCREDIT_REGION_VILLAGE
} PgcreditRegionLevel;

extern bool pgcredit_region_parse(const char *str, size_t len, int64_t *region,
								  PgcreditCodeError *error);
extern int	pgcredit_region_print(int64_t region, char code[PGCREDIT_REGION_LEN]);
extern int64_t pgcredit_region_of_county(int32_t county);
extern PgcreditRegionLevel pgcredit_region_level(int64_t region);
extern bool pgcredit_region_parent(int64_t region, int64_t *parent);

#endif							/* PGCREDIT_REGION_KERNEL_H */
