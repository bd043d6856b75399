/*
 * uscc.c
 *		Type credit.uscc: input, output, casts and accessors.
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#include "core/core.h"
#include "identity/code_text.h"
#include "identity/identity.h"

PG_FUNCTION_INFO_V1(pgcredit_uscc_in);
PG_FUNCTION_INFO_V1(pgcredit_uscc_out);
PG_FUNCTION_INFO_V1(pgcredit_uscc_recv);
PG_FUNCTION_INFO_V1(pgcredit_uscc_send);
PG_FUNCTION_INFO_V1(pgcredit_uscc_from_text);
PG_FUNCTION_INFO_V1(pgcredit_uscc_to_text);
PG_FUNCTION_INFO_V1(pgcredit_is_valid_uscc);
PG_FUNCTION_INFO_V1(pgcredit_is_pilot_uscc);
PG_FUNCTION_INFO_V1(pgcredit_uscc_check_character_sql);
PG_FUNCTION_INFO_V1(pgcredit_region_of_uscc);
PG_FUNCTION_INFO_V1(pgcredit_is_natural_person);
PG_FUNCTION_INFO_V1(pgcredit_organization_code);

/* Characters 9 to 17, the code of the organisation (GB 11714). */
#define ORGANIZATION_OFFSET	8
#define ORGANIZATION_LEN	9

/*
 * Say in an error of the given SQLSTATE why str is no code of "wanted"
 * characters.  Returns only if escontext catches soft errors.
 */
static void
report_fault(Node *escontext, int sqlstate, const char *str, size_t len, int wanted,
			 PgcreditCodeError *error)
{
	int			characters = pgcredit_code_settle(str, len, wanted, error);

	errsave(escontext,
			(errcode(sqlstate),
			 errmsg("invalid input syntax for type %s: \"%s\"", "uscc",
					pgcredit_code_quote(str, len)),
			 error->fault == PGCREDIT_CODE_LENGTH && wanted < PGCREDIT_USCC_LEN ?
			 errdetail("The check character follows from %d characters, this value has %d.",
					   wanted, characters) :
			 error->fault == PGCREDIT_CODE_LENGTH ?
			 errdetail("A unified social credit code has %d characters, this value has %d.",
					   wanted, characters) :
			 error->fault == PGCREDIT_CODE_CHECK ?
			 errdetail("The check character is \"%c\", but should be \"%c\".",
					   str[PGCREDIT_USCC_LEN - 1], error->expected) :
			 error->position > 2 && error->position < 9 ?
			 errdetail("Character %d is \"%s\", but characters 3 to 8 must be digits.",
					   error->position,
					   pgcredit_code_symbol(str, len, error->position)) :
			 errdetail("Character %d is \"%s\", but must be a digit or a letter other than I, O, S, V and Z.",
					   error->position,
					   pgcredit_code_symbol(str, len, error->position)),
			 error->fault == PGCREDIT_CODE_CHECK && pgcredit_uscc_is_pilot(str, len) ?
			 errhint("This is a pilot code from before the standard (see credit.is_pilot_uscc); it has no check character. Use the code that has replaced it, or keep it as text.") : 0));
}

/*
 * Parse into a palloc'd value; NULL after a soft error.
 */
static PgcreditUscc *
parse_uscc(const char *str, size_t len, int sqlstate, Node *escontext)
{
	PgcreditUscc *result = palloc(sizeof(PgcreditUscc));
	PgcreditCodeError error;

	if (likely(pgcredit_uscc_parse(str, len, result->code, &error)))
		return result;
	report_fault(escontext, sqlstate, str, len, PGCREDIT_USCC_LEN, &error);
	return NULL;
}

Datum
pgcredit_uscc_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);

	/* after a soft error the caller looks at its own context, not at this NULL */
	PG_RETURN_POINTER(parse_uscc(str, strlen(str), ERRCODE_INVALID_TEXT_REPRESENTATION,
								 fcinfo->context));
}

Datum
pgcredit_uscc_out(PG_FUNCTION_ARGS)
{
	PgcreditUscc *uscc = PG_GETARG_USCC_P(0);
	char	   *result = palloc(PGCREDIT_USCC_LEN + 1);

	memcpy(result, uscc->code, PGCREDIT_USCC_LEN);
	result[PGCREDIT_USCC_LEN] = '\0';
	PG_RETURN_CSTRING(result);
}

/*
 * The binary form is the 18 characters.  What is no code as it stands is
 * converted as text first, which refuses bytes that are none, so that the error
 * can quote it.
 */
Datum
pgcredit_uscc_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	PgcreditUscc *result = palloc(sizeof(PgcreditUscc));
	PgcreditCodeError error;
	int			len = buf->len - buf->cursor;
	char	   *str;

	if (pgcredit_uscc_parse(buf->data + buf->cursor, len, result->code, &error))
	{
		buf->cursor += len;
		PG_RETURN_POINTER(result);
	}
	str = pq_getmsgtext(buf, len, &len);
	PG_RETURN_POINTER(parse_uscc(str, len, ERRCODE_INVALID_BINARY_REPRESENTATION, NULL));
}

Datum
pgcredit_uscc_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(pgcredit_code_send(PG_GETARG_USCC_P(0)->code, PGCREDIT_USCC_LEN));
}

/* credit.uscc(text) returns credit.uscc: the cast.  Errors as the input's. */
Datum
pgcredit_uscc_from_text(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);

	PG_RETURN_POINTER(parse_uscc(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
								 ERRCODE_INVALID_TEXT_REPRESENTATION, NULL));
}

/* credit.text(credit.uscc) returns text: the cast. */
Datum
pgcredit_uscc_to_text(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text_with_len(PG_GETARG_USCC_P(0)->code, PGCREDIT_USCC_LEN));
}

/* credit.is_valid_uscc(text) returns boolean: would the cast succeed? */
Datum
pgcredit_is_valid_uscc(PG_FUNCTION_ARGS)
{
	PgcreditUscc uscc;
	PgcreditCodeError error;
	text	   *value;

	PG_RETURN_BOOL(pgcredit_code_text(PG_GETARG_DATUM(0), PGCREDIT_USCC_LEN,
									  PGCREDIT_USCC_LEN, &value) &&
				   pgcredit_uscc_parse(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
									   uscc.code, &error));
}

/* credit.is_pilot_uscc(text) returns boolean: see pgcredit_uscc_is_pilot. */
Datum
pgcredit_is_pilot_uscc(PG_FUNCTION_ARGS)
{
	text	   *value;

	PG_RETURN_BOOL(pgcredit_code_text(PG_GETARG_DATUM(0), PGCREDIT_USCC_LEN,
									  PGCREDIT_USCC_LEN, &value) &&
				   pgcredit_uscc_is_pilot(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)));
}

/*
 * credit.uscc_check_character(text) returns text: the 18th character for the
 * first 17.  Raises 22P02 when the value has not 17 or 18 legal characters.
 */
Datum
pgcredit_uscc_check_character_sql(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);
	const char *str = VARDATA_ANY(value);
	size_t		len = VARSIZE_ANY_EXHDR(value);
	PgcreditCodeError error;
	char		check = pgcredit_uscc_check_character(str, len, &error);

	if (check == 0)
		report_fault(NULL, ERRCODE_INVALID_TEXT_REPRESENTATION, str, len,
					 len == PGCREDIT_USCC_LEN ? PGCREDIT_USCC_LEN : PGCREDIT_USCC_LEN - 1,
					 &error);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(&check, 1));
}

/* credit.region_of(credit.uscc) returns credit.region_code: characters 3 to 8. */
Datum
pgcredit_region_of_uscc(PG_FUNCTION_ARGS)
{
	PG_RETURN_REGION_CODE(pgcredit_region_of_county(
						  pgcredit_uscc_region(PG_GETARG_USCC_P(0)->code)));
}

/*
 * credit.is_natural_person(credit.uscc) returns boolean: 92 leads the codes of
 * sole traders, whose data is a person's.
 */
Datum
pgcredit_is_natural_person(PG_FUNCTION_ARGS)
{
	const char *code = PG_GETARG_USCC_P(0)->code;

	PG_RETURN_BOOL(code[0] == '9' && code[1] == '2');
}

/* credit.organization_code(credit.uscc) returns text: characters 9 to 17. */
Datum
pgcredit_organization_code(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text_with_len(PG_GETARG_USCC_P(0)->code + ORGANIZATION_OFFSET,
											  ORGANIZATION_LEN));
}
