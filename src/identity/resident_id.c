/*
 * resident_id.c
 *		Type credit.resident_id: input, output and accessors.  It compares and
 *		hashes as int8, by the server's own functions.
 *
 * The number of a person is a secret that must not end up where it was not put:
 * errors do not repeat it, they keep the statement and the context (COPY's
 * holds the value) out of the server log, and ANALYZE samples no value into the
 * statistics of a column.  The type is for passing a number; it is stored as
 * digest and seal, see resident_seal.c.
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"

#include "core/core.h"
#include "identity/code_text.h"
#include "identity/identity.h"

PG_FUNCTION_INFO_V1(pgcredit_resident_id_in);
PG_FUNCTION_INFO_V1(pgcredit_resident_id_out);
PG_FUNCTION_INFO_V1(pgcredit_resident_id_recv);
PG_FUNCTION_INFO_V1(pgcredit_resident_id_send);
PG_FUNCTION_INFO_V1(pgcredit_resident_id_analyze);
PG_FUNCTION_INFO_V1(pgcredit_is_valid_resident_id);
PG_FUNCTION_INFO_V1(pgcredit_resident_id_check_character);
PG_FUNCTION_INFO_V1(pgcredit_region_of_resident_id);
PG_FUNCTION_INFO_V1(pgcredit_birth_date);
PG_FUNCTION_INFO_V1(pgcredit_sex);

/*
 * Say in an error of the given SQLSTATE why str is no number of "wanted"
 * characters, without repeating it.  Returns only if escontext catches soft
 * errors.
 */
static void
report_fault(Node *escontext, int sqlstate, const char *str, size_t len, int wanted,
			 PgcreditCodeError *error)
{
	int			characters = pgcredit_code_settle(str, len, wanted, error);

	errsave(escontext,
			(errcode(sqlstate),
			 errmsg("invalid input syntax for type %s", "resident_id"),
			 error->fault == PGCREDIT_CODE_LENGTH && wanted < PGCREDIT_RESIDENT_LEN ?
			 errdetail("The check character follows from %d characters, this value has %d.",
					   wanted, characters) :
			 error->fault == PGCREDIT_CODE_LENGTH ?
			 errdetail("A resident identity number has %d characters, this value has %d.",
					   wanted, characters) :
			 error->fault == PGCREDIT_CODE_DATE ?
			 errdetail("Characters 7 to 14 are no date of birth between 1850-01-01 and 2099-12-31.") :
			 error->fault == PGCREDIT_CODE_CHECK ?
			 errdetail("The check character should be \"%c\".", error->expected) :
			 error->position == PGCREDIT_RESIDENT_LEN ?
			 errdetail("Character %d must be a digit or X.", error->position) :
			 errdetail("Character %d must be a digit.", error->position),
			 error->fault == PGCREDIT_CODE_LENGTH && characters == 15 ?
			 errhint("Numbers of 15 digits are no longer issued; use the 18 characters of the present card.") : 0,
			 errhidestmt(true),
			 errhidecontext(true)));
}

/* Parse; after a soft error the result means nothing. */
static Datum
parse_resident(const char *str, size_t len, int sqlstate, Node *escontext)
{
	int64		packed = 0;
	PgcreditCodeError error;

	if (unlikely(!pgcredit_resident_parse(str, len, &packed, &error)))
		report_fault(escontext, sqlstate, str, len, PGCREDIT_RESIDENT_LEN, &error);
	return ResidentIdGetDatum(packed);
}

Datum
pgcredit_resident_id_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);

	return parse_resident(str, strlen(str), ERRCODE_INVALID_TEXT_REPRESENTATION,
						  fcinfo->context);
}

Datum
pgcredit_resident_id_out(PG_FUNCTION_ARGS)
{
	char	   *result = palloc(PGCREDIT_RESIDENT_LEN + 1);

	pgcredit_resident_print(PG_GETARG_RESIDENT_ID(0), result);
	result[PGCREDIT_RESIDENT_LEN] = '\0';
	PG_RETURN_CSTRING(result);
}

/* The binary form is the 18 characters. */
Datum
pgcredit_resident_id_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			len;
	char	   *str = pq_getmsgtext(buf, buf->len - buf->cursor, &len);

	return parse_resident(str, len, ERRCODE_INVALID_BINARY_REPRESENTATION, NULL);
}

Datum
pgcredit_resident_id_send(PG_FUNCTION_ARGS)
{
	char		number[PGCREDIT_RESIDENT_LEN];

	pgcredit_resident_print(PG_GETARG_RESIDENT_ID(0), number);
	PG_RETURN_BYTEA_P(pgcredit_code_send(number, PGCREDIT_RESIDENT_LEN));
}

/*
 * The type's ANALYZE function: no statistics.  Most common values and
 * histograms are numbers of persons, in a catalogue that others may read.
 */
Datum
pgcredit_resident_id_analyze(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(false);
}

/* credit.is_valid_resident_id(text) returns boolean: would the cast succeed? */
Datum
pgcredit_is_valid_resident_id(PG_FUNCTION_ARGS)
{
	int64		packed;
	PgcreditCodeError error;
	text	   *value;

	PG_RETURN_BOOL(pgcredit_code_text(PG_GETARG_DATUM(0), PGCREDIT_RESIDENT_LEN,
									  PGCREDIT_RESIDENT_LEN, &value) &&
				   pgcredit_resident_parse(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
										   &packed, &error));
}

/*
 * credit.resident_id_check_character(text) returns text: the 18th character for
 * the first 17.  Raises 22P02 when these are not digits, or the value has not
 * 17 or 18 characters.
 */
Datum
pgcredit_resident_id_check_character(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);
	const char *str = VARDATA_ANY(value);
	size_t		len = VARSIZE_ANY_EXHDR(value);
	PgcreditCodeError error;
	char		check = pgcredit_resident_check_character(str, len, &error);

	if (check == 0)
		report_fault(NULL, ERRCODE_INVALID_TEXT_REPRESENTATION, str, len,
					 len == PGCREDIT_RESIDENT_LEN ? PGCREDIT_RESIDENT_LEN : PGCREDIT_RESIDENT_LEN - 1,
					 &error);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(&check, 1));
}

/*
 * credit.region_of(credit.resident_id) returns credit.region_code: where the
 * number was first registered.
 */
Datum
pgcredit_region_of_resident_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_REGION_CODE(pgcredit_region_of_county(
						  pgcredit_resident_region(PG_GETARG_RESIDENT_ID(0))));
}

/* credit.birth_date(credit.resident_id) returns date. */
Datum
pgcredit_birth_date(PG_FUNCTION_ARGS)
{
	int			year;
	int			month;
	int			day;

	pgcredit_resident_birth(PG_GETARG_RESIDENT_ID(0), &year, &month, &day);
	PG_RETURN_DATEADT(date2j(year, month, day) - POSTGRES_EPOCH_JDATE);
}

/* credit.sex(credit.resident_id) returns text: male or female. */
Datum
pgcredit_sex(PG_FUNCTION_ARGS)
{
	bool		male = pgcredit_resident_is_male(PG_GETARG_RESIDENT_ID(0));

	PG_RETURN_TEXT_P(cstring_to_text(male ? "male" : "female"));
}
