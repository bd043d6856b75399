/*
 * entry_kernel.c
 *		Reading the bytes of an entry, see entry_kernel.h.
 */
#include "audit/entry_kernel.h"

#include <string.h>

/*
 * End of the string that begins at its quote, or NULL.
 */
static const char *
skip_string(const char *at, const char *end)
{
	if (at >= end || *at != '"')
		return NULL;
	for (at++; at < end; at++)
	{
		if (*at == '"')
			return at + 1;
		if ((unsigned char) *at < 0x20)
			return NULL;
		if (*at == '\\' && ++at >= end)
			return NULL;
	}
	return NULL;
}

static const char *
skip_number(const char *at, const char *end)
{
	const char *digits;

	if (at < end && *at == '-')
		at++;
	digits = at;
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at > digits ? at : NULL;
}

static const char *
skip_word(const char *at, const char *end)
{
	static const char *const words[] = {"true", "false", "null"};

	for (int k = 0; k < 3; k++)
	{
		size_t		len = strlen(words[k]);

		if ((size_t) (end - at) >= len && memcmp(at, words[k], len) == 0)
			return at + len;
	}
	return NULL;
}

static const char *skip_value(const char *at, const char *end, int depth);

/*
 * The rest of an object or array after its opening bracket.
 */
static const char *
skip_members(const char *at, const char *end, char close, int depth)
{
	if (depth >= PGCREDIT_SCAN_DEPTH)
		return NULL;
	if (at < end && *at == close)
		return at + 1;
	for (;;)
	{
		if (close == '}')
		{
			at = skip_string(at, end);
			if (at == NULL || at >= end || *at++ != ':')
				return NULL;
		}
		at = skip_value(at, end, depth + 1);
		if (at == NULL || at >= end)
			return NULL;
		if (*at == close)
			return at + 1;
		if (*at++ != ',')
			return NULL;
	}
}

static const char *
skip_value(const char *at, const char *end, int depth)
{
	if (at >= end)
		return NULL;
	switch (*at)
	{
		case '"':
			return skip_string(at, end);
		case '{':
			return skip_members(at + 1, end, '}', depth);
		case '[':
			return skip_members(at + 1, end, ']', depth);
		case 't':
		case 'f':
		case 'n':
			return skip_word(at, end);
		default:
			return skip_number(at, end);
	}
}

static bool
scan_begin(PgcreditScan *scan, PgcreditSpan value, char open, char close)
{
	if (value.len < 2 || value.at[0] != open || value.at[value.len - 1] != close)
		return false;
	scan->at = value.at + 1;
	scan->end = value.at + value.len;
	scan->first = true;
	scan->close = close;
	return true;
}

bool
pgcredit_scan_object(PgcreditScan *scan, PgcreditSpan value)
{
	return scan_begin(scan, value, '{', '}');
}

bool
pgcredit_scan_array(PgcreditScan *scan, PgcreditSpan value)
{
	return scan_begin(scan, value, '[', ']');
}

/*
 * Past the comma to the next, or to the end, which must be that of the span.
 */
static int
scan_step(PgcreditScan *scan)
{
	if (scan->at >= scan->end)
		return -1;
	if (*scan->at == scan->close)
		return scan->at + 1 == scan->end ? 0 : -1;
	if (!scan->first && *scan->at++ != ',')
		return -1;
	scan->first = false;
	return 1;
}

static int
scan_value(PgcreditScan *scan, PgcreditSpan *value)
{
	const char *after = skip_value(scan->at, scan->end, 0);

	if (after == NULL)
		return -1;
	value->at = scan->at;
	value->len = after - scan->at;
	scan->at = after;
	return 1;
}

int
pgcredit_scan_member(PgcreditScan *scan, PgcreditSpan *name, PgcreditSpan *value)
{
	int			step = scan_step(scan);
	const char *after;

	if (step != 1)
		return step;
	after = skip_string(scan->at, scan->end);
	if (after == NULL || after >= scan->end || *after != ':')
		return -1;
	name->at = scan->at + 1;
	name->len = after - scan->at - 2;
	scan->at = after + 1;
	return scan_value(scan, value);
}

int
pgcredit_scan_element(PgcreditScan *scan, PgcreditSpan *value)
{
	int			step = scan_step(scan);

	return step == 1 ? scan_value(scan, value) : step;
}

bool
pgcredit_span_is(PgcreditSpan span, const char *text)
{
	return span.len == strlen(text) && memcmp(span.at, text, span.len) == 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * The character that an escape stands for, or -1; *used is its length.  In the
 * canonical form only control characters are written as hexadecimal digits.
 */
static int
unescape(const char *at, const char *end, int *used)
{
	static const char from[] = "\"\\bfnrt";
	static const char to[] = "\"\\\b\f\n\r\t";
	const char *found;

	if (end - at < 2)
		return -1;
	*used = 2;
	found = at[1] ? strchr(from, at[1]) : NULL;
	if (found != NULL)
		return (unsigned char) to[found - from];
	*used = 6;
	if (at[1] != 'u' || end - at < 6 || at[2] != '0' || at[3] != '0' ||
		hex_digit(at[4]) < 0 || hex_digit(at[4]) > 1 || hex_digit(at[5]) < 0)
		return -1;
	return hex_digit(at[4]) * 16 + hex_digit(at[5]);
}

long
pgcredit_span_text(PgcreditSpan value, char *out)
{
	const char *at = value.at + 1;
	const char *end = value.at + value.len - 1;
	long		n = 0;

	if (value.len < 2 || value.at[0] != '"' || *end != '"')
		return -1;
	while (at < end)
	{
		int			used = 1;
		int			c = *at == '\\' ? unescape(at, end, &used) : (unsigned char) *at;

		if (c < 0)
			return -1;
		out[n++] = (char) c;
		at += used;
	}
	return n;
}

bool
pgcredit_span_integer(PgcreditSpan value, int64_t *number)
{
	bool		negative = value.len > 0 && value.at[0] == '-';
	uint64_t	n = 0;

	if (value.len == (negative ? 1 : 0) || value.len > 20)
		return false;
	for (size_t k = negative ? 1 : 0; k < value.len; k++)
	{
		char		c = value.at[k];

		if (c < '0' || c > '9' || n > (INT64_MAX - (uint64_t) (c - '0')) / 10)
			return false;
		n = n * 10 + (uint64_t) (c - '0');
	}
	*number = negative ? -(int64_t) n : (int64_t) n;
	return true;
}

static int
base64url_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool
pgcredit_span_base64url(PgcreditSpan value, uint8_t *out, size_t n)
{
	size_t		digits = (n * 8 + 5) / 6;
	uint32_t	bits = 0;
	int			have = 0;
	size_t		done = 0;

	if (value.len < digits + 2 || value.at[0] != '"')
		return false;
	for (size_t k = 1; k <= digits; k++)
	{
		int			digit = base64url_digit(value.at[k]);

		if (digit < 0)
			return false;
		bits = (bits << 6) | (uint32_t) digit;
		have += 6;
		if (have >= 8 && done < n)
		{
			have -= 8;
			out[done++] = (uint8_t) (bits >> have);
			bits &= (1u << have) - 1;
		}
	}
	return done == n;
}

/*
 * Days from 2000-01-01 to a day of the Gregorian calendar.
 */
static int64_t
days_of(int year, int month, int day)
{
	int64_t		y = month > 2 ? year : year - 1;
	int64_t		m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 730425;
}

bool
pgcredit_span_time(PgcreditSpan value, int64_t *usecs)
{
	static const char form[] = "\"0000-00-00T00:00:00.000000Z\"";
	int			part[7] = {0};
	int			p = 0;

	if (value.len != sizeof(form) - 1)
		return false;
	for (size_t k = 0; k < value.len; k++)
	{
		char		c = value.at[k];

		if (form[k] != '0')
		{
			if (c != form[k])
				return false;
			p += k > 0;
			continue;
		}
		if (c < '0' || c > '9')
			return false;
		part[p] = part[p] * 10 + (c - '0');
	}
	if (part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > 31 || part[3] > 23 ||
		part[4] > 59 || part[5] > 60)
		return false;
	*usecs = ((days_of(part[0], part[1], part[2]) * 24 + part[3]) * 60 + part[4]) * INT64_C(60000000) +
		part[5] * INT64_C(1000000) + part[6];
	return true;
}
