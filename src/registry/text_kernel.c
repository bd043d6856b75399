/*
 * text_kernel.c
 *		Dates, numbers and resident identity numbers in delivered text.
 *
 * Each function answers whether the text is well formed, so that a batch of a
 * million rows is checked without raising and catching an error for each bad
 * one.
 */
#include "registry/text_kernel.h"

#include "identity/identity.h"

/* Digits of a numeric value that a record may hold, and of its exponent. */
#define MAX_DIGITS		40
#define MAX_EXP_DIGITS	2

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Value of the n digits at str, or -1 when one of them is none.
 */
static int
digits(const char *str, int n)
{
	int			value = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		if (!is_digit(str[i]))
			return -1;
		value = value * 10 + (str[i] - '0');
	}
	return value;
}

/*
 * A day written YYYY-MM-DD, YYYY/MM/DD or YYYYMMDD of the Gregorian calendar,
 * years 0001 to 9999.  The three results are set for PGCREDIT_DATE_OK only.
 */
PgcreditDateFault
pgcredit_text_date(const char *str, size_t len, int *year, int *month, int *day)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		parted = (len == 10);
	int			y,
				m,
				d;
	bool		leap;

	if (len != 8 && len != 10)
		return PGCREDIT_DATE_FORM;
	if (parted && ((str[4] != '-' && str[4] != '/') || str[7] != str[4]))
		return PGCREDIT_DATE_FORM;
	y = digits(str, 4);
	m = digits(str + (parted ? 5 : 4), 2);
	d = digits(str + (parted ? 8 : 6), 2);
	if (y < 0 || m < 0 || d < 0)
		return PGCREDIT_DATE_FORM;
	leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	if (y < 1 || m < 1 || m > 12 || d < 1 ||
		d > month_days[m - 1] + (leap && m == 2 ? 1 : 0))
		return PGCREDIT_DATE_RANGE;
	*year = y;
	*month = m;
	*day = d;
	return PGCREDIT_DATE_OK;
}

/*
 * Whether the text is a decimal number that numeric_in takes: a sign, at most
 * MAX_DIGITS digits, and unless "whole" a point and an exponent of at most
 * MAX_EXP_DIGITS digits.  No separators, no NaN, no infinity.
 */
bool
pgcredit_text_is_number(const char *str, size_t len, bool whole)
{
	size_t		i = 0;
	int			before = 0;
	int			after = 0;
	int			exponent = 0;

	if (i < len && (str[i] == '-' || str[i] == '+'))
		i++;
	for (; i < len && is_digit(str[i]); i++)
		before++;
	if (!whole && i < len && str[i] == '.')
	{
		for (i++; i < len && is_digit(str[i]); i++)
			after++;
	}
	if (before + after == 0 || before + after > MAX_DIGITS)
		return false;
	if (!whole && i < len && (str[i] == 'e' || str[i] == 'E'))
	{
		i++;
		if (i < len && (str[i] == '-' || str[i] == '+'))
			i++;
		for (; i < len && is_digit(str[i]); i++)
			exponent++;
		if (exponent == 0 || exponent > MAX_EXP_DIGITS)
			return false;
	}
	return i == len;
}

/*
 * Where the first valid resident identity number at or after "from" starts, or
 * PGCREDIT_NOT_FOUND.  A longer run of digits (an account number) holds none:
 * the number must not be preceded by a digit nor followed by a letter or digit.
 */
size_t
pgcredit_text_find_resident(const char *str, size_t len, size_t from)
{
	size_t		i;

	for (i = from; i + PGCREDIT_RESIDENT_LEN <= len; i++)
	{
		const char *end = str + i + PGCREDIT_RESIDENT_LEN;
		PgcreditCodeError error;
		int64_t		packed;

		if (!is_digit(str[i]) || (i > 0 && is_digit(str[i - 1])))
			continue;
		if (end < str + len &&
			(is_digit(*end) || (*end >= 'A' && *end <= 'Z') || (*end >= 'a' && *end <= 'z')))
			continue;
		if (pgcredit_resident_parse(str + i, PGCREDIT_RESIDENT_LEN, &packed, &error))
			return i;
	}
	return PGCREDIT_NOT_FOUND;
}
