/*
 * entry_kernel.h
 *		Reading the bytes of an entry.  Plain C, nothing of PostgreSQL.
 *
 * An entry is one JSON object in the canonical form of RFC 8785, see entry.c;
 * what is read here is that form and no other: no white space, no number but an
 * integer.  Nothing is copied: members and elements point into the entry.
 */
#ifndef PGCREDIT_ENTRY_KERNEL_H
#define PGCREDIT_ENTRY_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct PgcreditSpan
{
	const char *at;
	size_t		len;
} PgcreditSpan;

/* What is left of an object or an array that is being read. */
typedef struct PgcreditScan
{
	const char *at;
	const char *end;
	bool		first;
	char		close;
} PgcreditScan;

/* Objects and arrays in each other; ours have three. */
#define PGCREDIT_SCAN_DEPTH 16

/*
 * Begin an object or an array: false when the span is none.  Then the next
 * member or element until there is none: 1, 0 at the end, -1 when the bytes are
 * not canonical.  A member's name is without its quotes, and as it stands: ours
 * have no escapes.
 */
extern bool pgcredit_scan_object(PgcreditScan *scan, PgcreditSpan value);
extern bool pgcredit_scan_array(PgcreditScan *scan, PgcreditSpan value);
extern int	pgcredit_scan_member(PgcreditScan *scan, PgcreditSpan *name, PgcreditSpan *value);
extern int	pgcredit_scan_element(PgcreditScan *scan, PgcreditSpan *value);

extern bool pgcredit_span_is(PgcreditSpan span, const char *text);

/*
 * What a string value stands for, into out, which has room for value.len bytes;
 * its length, or -1 when the value is no string.
 */
extern long pgcredit_span_text(PgcreditSpan value, char *out);

/* A number that fits 63 bits, or false. */
extern bool pgcredit_span_integer(PgcreditSpan value, int64_t *number);

/*
 * First n bytes, n at most 32,
 * of a string value in base64url, or false when it has fewer or is none.
 */
extern bool pgcredit_span_base64url(PgcreditSpan value, uint8_t *out, size_t n);

/*
 * A string value with a time as entries have it, RFC 3339 in UTC with six digits
 * of the second: microseconds since 2000-01-01 00:00 UTC, or false.
 */
extern bool pgcredit_span_time(PgcreditSpan value, int64_t *usecs);

#endif							/* PGCREDIT_ENTRY_KERNEL_H */
