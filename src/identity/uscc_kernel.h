/*
 * uscc_kernel.h
 *		Unified social credit code, GB 32100-2015: form and check character.
 */
#ifndef PGCREDIT_USCC_KERNEL_H
#define PGCREDIT_USCC_KERNEL_H

#include "identity/code_kernel.h"

#define PGCREDIT_USCC_LEN 18

extern bool pgcredit_uscc_parse(const char *str, size_t len,
								char code[PGCREDIT_USCC_LEN], PgcreditCodeError *error);
extern char pgcredit_uscc_check_character(const char *str, size_t len,
										  PgcreditCodeError *error);
extern bool pgcredit_uscc_is_pilot(const char *str, size_t len);
extern int32_t pgcredit_uscc_region(const char code[PGCREDIT_USCC_LEN]);
extern uint64_t pgcredit_uscc_prefix(const char code[PGCREDIT_USCC_LEN]);

#endif							/* PGCREDIT_USCC_KERNEL_H */
