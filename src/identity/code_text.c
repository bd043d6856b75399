/*
 * code_text.c
 *		What the fmgr faces of the three identifiers share: fetching a text
 *		that may be far too long, and putting what is wrong into words.
 *
 * Text is UTF-8: CREATE EXTENSION refuses databases of any other encoding.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "libpq/pqformat.h"

#include "core/core.h"
#include "identity/code_text.h"

/* Characters of a refused value that are repeated in the error. */
#define QUOTED_CHARACTERS 40

static inline bool
starts_character(char c)
{
	return ((unsigned char) c & 0xC0) != 0x80;
}

/*
 * The text behind a datum, if it has min_len to max_len bytes.  One of another
 * length is not even fetched from its toast table.
 */
bool
pgcredit_code_text(Datum value, int min_len, int max_len, text **result)
{
	Size		len = toast_raw_datum_size(value) - VARHDRSZ;

	if (len < (Size) min_len || len > (Size) max_len)
		return false;
	*result = DatumGetTextPP(value);
	return true;
}

/*
 * Kernels count bytes; errors speak of characters.  Turns the fault into the
 * one a reader sees, and returns the number of characters: a value of the right
 * number of bytes but fewer characters is too short, and one of the right
 * number of characters but more bytes holds one that is not ASCII.
 */
int
pgcredit_code_settle(const char *str, size_t len, int code_len, PgcreditCodeError *error)
{
	int			characters = 0;
	size_t		i;

	for (i = 0; i < len; i++)
		characters += starts_character(str[i]);
	if (characters != code_len)
		error->fault = PGCREDIT_CODE_LENGTH;
	else if (error->fault == PGCREDIT_CODE_LENGTH)
	{
		error->fault = PGCREDIT_CODE_CHARACTER;
		for (i = 0; i < len && !((unsigned char) str[i] & 0x80); i++)
			 /* count */ ;
		error->position = (int) i + 1;
	}
	return characters;
}

/* The value for an error message, cut short when it is long; palloc'd. */
char *
pgcredit_code_quote(const char *str, size_t len)
{
	StringInfoData quoted;
	int			characters = 0;
	size_t		i;

	for (i = 0; i < len; i++)
	{
		characters += starts_character(str[i]);
		if (characters > QUOTED_CHARACTERS)
			break;
	}
	initStringInfo(&quoted);
	appendBinaryStringInfo(&quoted, str, (int) i);
	if (i < len)
		appendStringInfoString(&quoted, "...");
	return quoted.data;
}

/*
 * The character at a position, from 1, as a string; palloc'd.  All before it
 * must be ASCII.
 */
char *
pgcredit_code_symbol(const char *str, size_t len, int position)
{
	size_t		end = (size_t) position;

	while (end < len && !starts_character(str[end]))
		end++;
	return pnstrdup(str + position - 1, end - (size_t) position + 1);
}

/* The binary form of a code, which is its text form. */
bytea *
pgcredit_code_send(const char *code, int len)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbytes(&buf, code, len);
	return pq_endtypsend(&buf);
}
