/*
 * numeric_code.h
 *		A numeric as an order-preserving integer, read from its stored form.
 *
 * numeric_cmp through the function manager is most of what scoring a numeric
 * column would cost.  The stored short form (sign, weight and base-10000
 * digits, as numeric.c documents it) has been the same since PostgreSQL 9.1,
 * but it is not an interface: a binding uses this only after it read its own
 * bounds this way and got what their text says, and any other form of a value
 * goes to numeric_cmp.
 */
#ifndef PGCREDIT_NUMERIC_CODE_H
#define PGCREDIT_NUMERIC_CODE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Base-10000 digits that a code holds: 10^16, doubled, is within an int64. */
#define PGCREDIT_NUMERIC_DIGITS 4

/*
 * Code of a numeric whose bytes after the varlena header are given: twice the
 * floor of value * 10000^fraction, plus 1 if something was cut off.  A value
 * beyond 10^16 after scaling gets a code beyond all others.  False if the
 * value is not in the short form.
 */
static inline bool
pgcredit_numeric_code(const char *data, int len, int fraction, int64_t *code)
{
	uint16_t	header;
	int			ndigits = (len - (int) sizeof(header)) / 2;
	int			places;
	bool		negative;
	bool		rest = false;
	int64_t		value = 0;

	if (len < (int) sizeof(header))
		return false;
	memcpy(&header, data, sizeof(header));
	if ((header & 0xC000) != 0x8000)
		return false;
	negative = (header & 0x2000) != 0;
	/* digits at or before the last one that counts */
	places = ((header & 0x3F) - (header & 0x40)) + 1 + fraction;
	data += sizeof(header);
	if (ndigits > 0 && places > PGCREDIT_NUMERIC_DIGITS)
	{
		*code = negative ? INT64_MIN : INT64_MAX;
		return true;
	}
	for (int i = 0; i < places; i++)
	{
		int16_t		digit = 0;

		if (i < ndigits)
			memcpy(&digit, data + 2 * i, sizeof(digit));
		value = value * 10000 + digit;
	}
	/* stored digits end with one that is not 0 */
	rest = ndigits > (places > 0 ? places : 0);
	if (negative)
		value = -value - (rest ? 1 : 0);
	*code = 2 * value + (rest ? 1 : 0);
	return true;
}

#endif							/* PGCREDIT_NUMERIC_CODE_H */
