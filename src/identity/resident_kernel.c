/*
 * resident_kernel.c
 *		Resident identity number, GB 11643-1999: form, date of birth, check
 *		character.
 *
 * Six digits of the region of first registration, eight of the date of birth,
 * three of a sequence (odd for men) and a check character, ISO 7064 MOD 11-2:
 * a digit, or X for 10.  Since it follows from the 17 digits, a number is kept
 * as those: an integer below 10^17, which sorts as the printed form does.
 */
#include "identity/resident_kernel.h"

#define DIGITS			17
#define FIRST_YEAR		1850
#define LAST_YEAR		2099

/* 2^(17-i) modulo 11 */
static const int weight[DIGITS] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};

/* by the weighted sum modulo 11 */
static const char check_symbols[] = "10X98765432";

static bool
is_date(int year, int month, int day)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (month < 1 || month > 12 || day < 1)
		return false;
	return day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/*
 * Read the 17 digits that str starts with: their value in *packed, the
 * character that checks them as result; 0, with *error filled in, when one of
 * them is not a digit.
 */
static char
read_digits(const char *str, int64_t *packed, PgcreditCodeError *error)
{
	int64_t		value = 0;
	int			sum = 0;
	int			i;

	for (i = 0; i < DIGITS; i++)
	{
		int			digit = str[i] - '0';

		if (digit < 0 || digit > 9)
		{
			error->fault = PGCREDIT_CODE_CHARACTER;
			error->position = i + 1;
			return 0;
		}
		value = value * 10 + digit;
		sum += digit * weight[i];
	}
	*packed = value;
	return check_symbols[sum % 11];
}

/*
 * Parse len bytes as a number; a lower-case x is read as X.  Returns false and
 * fills in *error when they are none.  The date of birth must be one of the
 * calendar between 1850 and 2099: the people it was given to from 1984 on were
 * born after the one, and a limit that moves with the clock would make the
 * validity of stored values depend on when they are read.
 */
bool
pgcredit_resident_parse(const char *str, size_t len, int64_t *packed,
						PgcreditCodeError *error)
{
	char		expected;
	char		last;
	int			year;
	int			month;
	int			day;

	if (len != PGCREDIT_RESIDENT_LEN)
	{
		error->fault = PGCREDIT_CODE_LENGTH;
		return false;
	}
	expected = read_digits(str, packed, error);
	if (expected == 0)
		return false;
	last = str[DIGITS] == 'x' ? 'X' : str[DIGITS];
	if (last != 'X' && (last < '0' || last > '9'))
	{
		error->fault = PGCREDIT_CODE_CHARACTER;
		error->position = PGCREDIT_RESIDENT_LEN;
		return false;
	}
	pgcredit_resident_birth(*packed, &year, &month, &day);
	if (year < FIRST_YEAR || year > LAST_YEAR || !is_date(year, month, day))
	{
		error->fault = PGCREDIT_CODE_DATE;
		return false;
	}
	if (last != expected)
	{
		error->fault = PGCREDIT_CODE_CHECK;
		error->expected = expected;
		return false;
	}
	return true;
}

/* The 18 characters of a number, no NUL after them. */
void
pgcredit_resident_print(int64_t packed, char number[PGCREDIT_RESIDENT_LEN])
{
	int			sum = 0;
	int			i;

	for (i = DIGITS - 1; i >= 0; i--)
	{
		int			digit = (int) (packed % 10);

		number[i] = (char) ('0' + digit);
		sum += digit * weight[i];
		packed /= 10;
	}
	number[DIGITS] = check_symbols[sum % 11];
}

/*
 * The check character for the first 17 digits of a string of 17 or 18; an 18th
 * is not looked at, nor is the date.  Returns 0 and fills in *error (LENGTH or
 * CHARACTER) when there is none.
 */
char
pgcredit_resident_check_character(const char *str, size_t len, PgcreditCodeError *error)
{
	int64_t		ignored;

	if (len != PGCREDIT_RESIDENT_LEN && len != DIGITS)
	{
		error->fault = PGCREDIT_CODE_LENGTH;
		return 0;
	}
	return read_digits(str, &ignored, error);
}

/* The region of first registration, as a number. */
int32_t
pgcredit_resident_region(int64_t packed)
{
	return (int32_t) (packed / INT64_C(100000000000));
}

void
pgcredit_resident_birth(int64_t packed, int *year, int *month, int *day)
{
	int			date = (int) (packed / 1000 % 100000000);

	*year = date / 10000;
	*month = date / 100 % 100;
	*day = date % 100;
}

bool
pgcredit_resident_is_male(int64_t packed)
{
	return packed % 2 == 1;
}
