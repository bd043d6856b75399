/*
 * text_kernel.h
 *		How dates, numbers and resident identity numbers stand in the text that
 *		departments deliver.
 *
 * Plain C: no server header, no allocation, no global state.  Strings come with
 * their length, need not end in NUL, and nothing beyond it is read.
 */
#ifndef PGCREDIT_TEXT_KERNEL_H
#define PGCREDIT_TEXT_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

typedef enum PgcreditDateFault
{
	PGCREDIT_DATE_OK = 0,
	PGCREDIT_DATE_FORM,			/* not written as a date */
	PGCREDIT_DATE_RANGE			/* written as one, but no day of the calendar */
} PgcreditDateFault;

#define PGCREDIT_NOT_FOUND ((size_t) -1)

extern PgcreditDateFault pgcredit_text_date(const char *str, size_t len,
											int *year, int *month, int *day);
extern bool pgcredit_text_is_number(const char *str, size_t len, bool whole);
extern size_t pgcredit_text_find_resident(const char *str, size_t len, size_t from);

#endif							/* PGCREDIT_TEXT_KERNEL_H */
