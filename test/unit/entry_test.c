/*
 * entry_test.c
 *		The scanner of entries against entries, pieces of entries and bytes that
 *		are none.  Prints TAP; exits 1 when an answer is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/entry_kernel.h"

static int	tests = 0;
static int	failed = 0;

static void
ok(bool good, const char *name)
{
	tests++;
	failed += !good;
	printf("%sok %d - %s\n", good ? "" : "not ", tests, name);
}

static PgcreditSpan
span(const char *text)
{
	return (PgcreditSpan) {text, strlen(text)};
}

static const char *const entry =
"{\"access\":\"22db4ee8\",\"categories\":[\"tax_payment\",\"a\\\"b\\\\\"],\"consents\":[[5,-1],[]],"
"\"nested\":{\"a\":{},\"b\":[true,false,null]},\"recorded\":\"2026-11-25T19:31:08.913802Z\",\"seq\":61004,"
"\"subjects\":[\"IC918SZzcB44WeQqhA9gmc8qMbhJvuJcP6QE0BNR0CE\"],\"version\":1}";

/*
 * Walk everything; the number of members, or -1.
 */
static int
walk(PgcreditSpan object)
{
	PgcreditScan scan;
	PgcreditSpan name;
	PgcreditSpan value;
	int			step;
	int			n = 0;

	if (!pgcredit_scan_object(&scan, object))
		return -1;
	while ((step = pgcredit_scan_member(&scan, &name, &value)) > 0)
	{
		PgcreditScan inner;
		PgcreditSpan element;
		uint8_t		bytes[32];
		int64_t		number;
		char	   *text = malloc(value.len + 1);

		n++;
		(void) pgcredit_span_text(value, text);
		(void) pgcredit_span_integer(value, &number);
		(void) pgcredit_span_base64url(value, bytes, sizeof(bytes));
		(void) pgcredit_span_time(value, &number);
		if (pgcredit_scan_array(&inner, value))
			while (pgcredit_scan_element(&inner, &element) > 0)
				(void) pgcredit_span_base64url(element, bytes, 16);
		free(text);
	}
	return step < 0 ? -1 : n;
}

/*
 * A copy that ends where it ends, so that a tool sees who reads on.
 */
static int
walk_copy(const char *bytes, size_t len)
{
	char	   *copy = malloc(len > 0 ? len : 1);
	int			n;

	memcpy(copy, bytes, len);
	n = walk((PgcreditSpan) {copy, len});
	free(copy);
	return n;
}

static void
test_damage(void)
{
	size_t		len = strlen(entry);
	bool		cut = true;
	bool		white = true;
	unsigned int seed = 1;
	char	   *copy = malloc(len + 1);

	for (size_t k = 0; k < len; k++)
		cut &= walk_copy(entry, k) == -1;
	ok(cut, "no beginning of an entry is one");
	for (size_t k = 0; k <= len; k++)
	{
		/* white space is canonical inside strings only */
		bool		inside = false;

		for (size_t j = 0; j < k; j++)
			if (entry[j] == '"' && (j == 0 || entry[j - 1] != '\\' || entry[j - 2] == '\\'))
				inside = !inside;
		memcpy(copy, entry, k);
		copy[k] = ' ';
		memcpy(copy + k + 1, entry + k, len - k);
		white &= inside || walk_copy(copy, len + 1) == -1;
		copy = realloc(copy, len + 2);
	}
	ok(white, "white space between tokens is refused");
	for (int round = 0; round < 200000; round++)
	{
		size_t		n = 1 + rand_r(&seed) % 4;

		memcpy(copy, entry, len);
		while (n-- > 0)
			copy[rand_r(&seed) % len] = (char) rand_r(&seed);
		(void) walk_copy(copy, len - rand_r(&seed) % 8);
	}
	ok(true, "any bytes are survived");
	free(copy);
}

static void
test_values(void)
{
	char		text[100];
	int64_t		number;
	uint8_t		bytes[32];
	static const uint8_t known[4] = {0x20, 0x2f, 0x75, 0xf1};

	ok(pgcredit_span_text(span("\"a\\\"b\\\\\\n\\u001f\""), text) == 6 &&
	   memcmp(text, "a\"b\\\n\x1f", 6) == 0, "escapes");
	ok(pgcredit_span_text(span("\"\\u0041\""), text) == -1, "an escape that nobody needs is refused");
	ok(pgcredit_span_text(span("\"\\x\""), text) == -1 && pgcredit_span_text(span("\"\\u00\""), text) == -1 &&
	   pgcredit_span_text(span("5"), text) == -1 && pgcredit_span_text(span("\""), text) == -1, "no string");
	ok(pgcredit_span_integer(span("9223372036854775807"), &number) && number == INT64_MAX &&
	   pgcredit_span_integer(span("-17"), &number) && number == -17, "integers");
	ok(!pgcredit_span_integer(span("9223372036854775808"), &number) && !pgcredit_span_integer(span("-"), &number) &&
	   !pgcredit_span_integer(span(""), &number) && !pgcredit_span_integer(span("1.5"), &number), "no integer");
	ok(pgcredit_span_base64url(span("\"IC918SZzcB44WeQqhA9gmc8qMbhJvuJcP6QE0BNR0CE\""), bytes, 32) &&
	   memcmp(bytes, known, 4) == 0 && bytes[31] == 0x21, "base64url");
	ok(!pgcredit_span_base64url(span("\"IC918SZzcB44WeQqhA9g\""), bytes, 16) &&
	   !pgcredit_span_base64url(span("\"IC91+SZzcB44WeQqhA9gmc\""), bytes, 16) &&
	   !pgcredit_span_base64url(span("IC918SZzcB44WeQqhA9gmc8qMbhJ"), bytes, 16), "no base64url");
	ok(pgcredit_span_time(span("\"2000-01-01T00:00:00.000000Z\""), &number) && number == 0 &&
	   pgcredit_span_time(span("\"2026-11-25T19:31:08.913802Z\""), &number) && number == INT64_C(848950268913802) &&
	   pgcredit_span_time(span("\"2000-02-29T23:59:59.999999Z\""), &number) && number == INT64_C(5183999999999) &&
	   pgcredit_span_time(span("\"1999-12-31T23:59:59.999999Z\""), &number) && number == -1, "times");
	ok(!pgcredit_span_time(span("\"2026-13-25T19:31:08.913802Z\""), &number) &&
	   !pgcredit_span_time(span("\"2026-11-25 19:31:08.913802Z\""), &number) &&
	   !pgcredit_span_time(span("\"infinity\""), &number), "no time");
}

int
main(void)
{
	char		deep[200];

	ok(walk(span(entry)) == 8, "an entry has its members");
	ok(walk(span("{}")) == 0 && walk(span("{\"a\":1}")) == 1, "small ones too");
	ok(walk(span("{\"a\":1,}")) == -1 && walk(span("{,\"a\":1}")) == -1 && walk(span("{\"a\":1}}")) == -1 &&
	   walk(span("{\"a\"1}")) == -1 && walk(span("{\"a\":}")) == -1 && walk(span("{\"a\":tru}")) == -1 &&
	   walk(span("[1]")) == -1 && walk(span("")) == -1 && walk(span("{\"a\":01x}")) == -1 &&
	   walk(span("{\"a\":1\"b\":2}")) == -1, "what is none is refused");
	memset(deep, '[', sizeof(deep));
	memcpy(deep, "{\"a\":", 5);
	ok(walk((PgcreditSpan) {deep, sizeof(deep)}) == -1, "depth has an end");
	test_values();
	test_damage();
	printf("1..%d\n", tests);
	return failed != 0;
}
