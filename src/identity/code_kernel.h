/*
 * code_kernel.h
 *		What the kernels of the three identifiers share: how they report a fault.
 *
 * The kernels (uscc_kernel.c, resident_kernel.c, region_kernel.c) are plain C:
 * no server header, no allocation, no global state.  They take a string with
 * its length, which need not end in NUL, and read nothing beyond it.
 */
#ifndef PGCREDIT_CODE_KERNEL_H
#define PGCREDIT_CODE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum PgcreditCodeFault
{
	PGCREDIT_CODE_OK = 0,
	PGCREDIT_CODE_LENGTH,		/* not as many bytes as the code has */
	PGCREDIT_CODE_CHARACTER,	/* "position" holds one that cannot stand there */
	PGCREDIT_CODE_DATE,			/* resident_id only: no plausible date of birth */
	PGCREDIT_CODE_CHECK			/* the check character should be "expected" */
} PgcreditCodeFault;

typedef struct PgcreditCodeError
{
	PgcreditCodeFault fault;
	int			position;		/* from 1; set for PGCREDIT_CODE_CHARACTER */
	char		expected;		/* set for PGCREDIT_CODE_CHECK */
} PgcreditCodeError;

#endif							/* PGCREDIT_CODE_KERNEL_H */
