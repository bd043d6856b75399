/*
 * uscc_kernel.c
 *		Unified social credit code, GB 32100-2015: form and check character.
 *
 * Characters 1 and 2 name the registering authority and the kind of holder,
 * 3 to 8 the region (six digits), 9 to 17 the organisation (GB 11714), 18 is
 * the check character.  All but the region use 31 symbols: the digits and the
 * letters without I, O, S, V and Z, which look like digits.
 *
 * The check character makes the sum of value * 3^(position-1), plus its own
 * value, divisible by the prime 31.  No weight is 0 and no two neighbours have
 * the same, so every single wrong character and every swap of two neighbours
 * is found.  Whether the organisation part satisfies the check digit of its own
 * is not asked: codes that do not have been issued.
 */
#include "identity/uscc_kernel.h"

#define FIRST_REGION	2		/* offsets of the six digits of the region */
#define END_REGION		8
#define MODULUS			31
#define XX				-1		/* not a symbol */

static const char symbols[] = "0123456789ABCDEFGHJKLMNPQRTUWXY?";

/* Value of a symbol; both cases of a letter have the same. */
static const int8_t value_of[256] = {
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, XX, XX, XX, XX, XX, XX,
	XX, 10, 11, 12, 13, 14, 15, 16, 17, XX, 18, 19, 20, 21, 22, XX,
	23, 24, 25, XX, 26, 27, XX, 28, 29, 30, XX, XX, XX, XX, XX, XX,
	XX, 10, 11, 12, 13, 14, 15, 16, 17, XX, 18, 19, 20, 21, 22, XX,
	23, 24, 25, XX, 26, 27, XX, 28, 29, 30, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX
};

/* 3^i modulo 31; the check character itself weighs 1. */
static const int8_t weight[PGCREDIT_USCC_LEN - 1] = {
	1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28
};

/* For the check character, by the sum of the others modulo 31. */
static char
check_character(int sum)
{
	return symbols[(MODULUS - sum % MODULUS) % MODULUS];
}

/*
 * Weighted sum of the first n characters, or -1 when one of them cannot stand
 * where it is.  Branch-free over the characters, since nearly all input is good.
 */
static inline int
weighted_sum(const unsigned char *str, int n)
{
	int			sum = 0;
	int			bad = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		int			value = value_of[str[i]];

		bad |= value;
		if (i >= FIRST_REGION && i < END_REGION)
			bad |= 9 - value;
		sum += value * weight[i];
	}
	return bad < 0 ? -1 : sum;
}

/* Position, from 1, of the first character that cannot stand where it is. */
static int
find_bad(const unsigned char *str, int n)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		int			value = value_of[str[i]];

		if (value < 0 || (i >= FIRST_REGION && i < END_REGION && value > 9))
			return i + 1;
	}
	return 0;
}

/*
 * Parse len bytes into the 18 upper-case characters of a code.  Returns false
 * and fills in *error (LENGTH, CHARACTER or CHECK) when they are none; code is
 * then undefined.
 */
bool
pgcredit_uscc_parse(const char *str, size_t len, char code[PGCREDIT_USCC_LEN],
					PgcreditCodeError *error)
{
	const unsigned char *s = (const unsigned char *) str;
	int			sum;
	int			value;
	int			i;

	if (len != PGCREDIT_USCC_LEN)
	{
		error->fault = PGCREDIT_CODE_LENGTH;
		return false;
	}
	sum = weighted_sum(s, PGCREDIT_USCC_LEN - 1);
	value = value_of[s[PGCREDIT_USCC_LEN - 1]];
	if (sum < 0 || value < 0)
	{
		error->fault = PGCREDIT_CODE_CHARACTER;
		error->position = find_bad(s, PGCREDIT_USCC_LEN);
		return false;
	}
	if ((sum + value) % MODULUS != 0)
	{
		error->fault = PGCREDIT_CODE_CHECK;
		error->expected = check_character(sum);
		return false;
	}
	for (i = 0; i < PGCREDIT_USCC_LEN; i++)
		code[i] = symbols[value_of[s[i]]];
	return true;
}

/*
 * The check character for the first 17 characters of a string of 17 or 18; an
 * 18th is not looked at.  Returns 0 and fills in *error (LENGTH or CHARACTER)
 * when there is none.
 */
char
pgcredit_uscc_check_character(const char *str, size_t len, PgcreditCodeError *error)
{
	const unsigned char *s = (const unsigned char *) str;
	int			sum;

	if (len != PGCREDIT_USCC_LEN && len != PGCREDIT_USCC_LEN - 1)
	{
		error->fault = PGCREDIT_CODE_LENGTH;
		return 0;
	}
	sum = weighted_sum(s, PGCREDIT_USCC_LEN - 1);
	if (sum < 0)
	{
		error->fault = PGCREDIT_CODE_CHARACTER;
		error->position = find_bad(s, PGCREDIT_USCC_LEN - 1);
		return 0;
	}
	return check_character(sum);
}

/*
 * Does the string have the form of the codes issued before the standard, with
 * M000 in characters 9 to 12 and a last character that is no check character?
 * A string that passes the check is an ordinary code and no pilot code.
 */
bool
pgcredit_uscc_is_pilot(const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *) str;
	char		code[PGCREDIT_USCC_LEN];
	PgcreditCodeError error;

	if (pgcredit_uscc_parse(str, len, code, &error) || error.fault != PGCREDIT_CODE_CHECK)
		return false;
	return value_of[s[8]] == value_of['M'] &&
		s[9] == '0' && s[10] == '0' && s[11] == '0';
}

/* The region, characters 3 to 8 of a valid code, as a number. */
int32_t
pgcredit_uscc_region(const char code[PGCREDIT_USCC_LEN])
{
	int32_t		region = 0;
	int			i;

	for (i = FIRST_REGION; i < END_REGION; i++)
		region = region * 10 + (code[i] - '0');
	return region;
}

/*
 * The first 14 characters and four fifths of the 15th as a number that sorts as
 * they do: 5 bits a symbol, 20 bits the region.  The first eight bytes as they
 * are would hardly tell one code of a county from the next.
 */
uint64_t
pgcredit_uscc_prefix(const char code[PGCREDIT_USCC_LEN])
{
	const unsigned char *s = (const unsigned char *) code;
	uint64_t	prefix;
	int			i;

	prefix = (uint64_t) value_of[s[0]] << 5 | (uint64_t) value_of[s[1]];
	prefix = prefix << 20 | (uint64_t) pgcredit_uscc_region(code);
	for (i = END_REGION; i < 14; i++)
		prefix = prefix << 5 | (uint64_t) value_of[s[i]];
	return prefix << 4 | (uint64_t) value_of[s[14]] >> 1;
}
