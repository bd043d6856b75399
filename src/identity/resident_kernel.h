/*
 * resident_kernel.h
 *		Resident identity number, GB 11643-1999: form, date of birth, check
 *		character.
 */
#ifndef PGCREDIT_RESIDENT_KERNEL_H
#define PGCREDIT_RESIDENT_KERNEL_H

#include "identity/code_kernel.h"

#define PGCREDIT_RESIDENT_LEN 18

extern bool pgcredit_resident_parse(const char *str, size_t len,
									int64_t *packed, PgcreditCodeError *error);
extern void pgcredit_resident_print(int64_t packed, char number[PGCREDIT_RESIDENT_LEN]);
extern char pgcredit_resident_check_character(const char *str, size_t len,
											  PgcreditCodeError *error);
extern int32_t pgcredit_resident_region(int64_t packed);
extern void pgcredit_resident_birth(int64_t packed, int *year, int *month, int *day);
extern bool pgcredit_resident_is_male(int64_t packed);

#endif							/* PGCREDIT_RESIDENT_KERNEL_H */
