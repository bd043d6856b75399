/*
 * region_kernel.h
 *		Administrative division code, GB/T 2260: form and hierarchy.
 */
#ifndef PGCREDIT_REGION_KERNEL_H
#define PGCREDIT_REGION_KERNEL_H

#include "identity/code_kernel.h"

#define PGCREDIT_REGION_LEN 6

extern bool pgcredit_region_parse(const char *str, size_t len, int32_t *region,
								  PgcreditCodeError *error);
extern void pgcredit_region_print(int32_t region, char code[PGCREDIT_REGION_LEN]);
extern bool pgcredit_region_parent(int32_t region, int32_t *parent);

#endif							/* PGCREDIT_REGION_KERNEL_H */
