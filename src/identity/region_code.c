/*
 * region_code.c
 *		Type credit.region_code: input, output and hierarchy.  It compares and
 *		hashes as int8, by the server's own functions.
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "core/core.h"
#include "identity/code_text.h"
#include "identity/identity.h"

PG_FUNCTION_INFO_V1(pgcredit_region_code_in);
PG_FUNCTION_INFO_V1(pgcredit_region_code_out);
PG_FUNCTION_INFO_V1(pgcredit_region_code_recv);
PG_FUNCTION_INFO_V1(pgcredit_region_code_send);
PG_FUNCTION_INFO_V1(pgcredit_is_valid_region_code);
PG_FUNCTION_INFO_V1(pgcredit_region_parent_sql);
PG_FUNCTION_INFO_V1(pgcredit_region_level_sql);

/* Parse; after a soft error the result means nothing. */
static Datum
parse_region(const char *str, size_t len, int sqlstate, Node *escontext)
{
	int64		region = 0;
	PgcreditCodeError error;
	int			characters,
				code_len;

	if (likely(pgcredit_region_parse(str, len, &region, &error)))
		return RegionCodeGetDatum(region);
	/* Of the three lengths the one that it has, if any: then a character is at fault. */
	characters = pg_mbstrlen_with_len(str, (int) len);
	code_len = (characters == PGCREDIT_REGION_TOWNSHIP_LEN || characters == PGCREDIT_REGION_LEN) ?
		characters : PGCREDIT_REGION_COUNTY_LEN;
	pgcredit_code_settle(str, len, code_len, &error);
	ereturn(escontext, (Datum) 0,
			(errcode(sqlstate),
			 errmsg("invalid input syntax for type %s: \"%s\"", "region_code",
					pgcredit_code_quote(str, len)),
			 error.fault == PGCREDIT_CODE_LENGTH ?
			 errdetail("A region code has %d digits, one of a township %d, of a village %d; this value has %d characters.",
					   PGCREDIT_REGION_COUNTY_LEN, PGCREDIT_REGION_TOWNSHIP_LEN,
					   PGCREDIT_REGION_LEN, characters) :
			 errdetail("Character %d is \"%s\", but must be a digit.", error.position,
					   pgcredit_code_symbol(str, len, error.position))));
}

Datum
pgcredit_region_code_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);

	return parse_region(str, strlen(str), ERRCODE_INVALID_TEXT_REPRESENTATION,
						fcinfo->context);
}

Datum
pgcredit_region_code_out(PG_FUNCTION_ARGS)
{
	char	   *result = palloc(PGCREDIT_REGION_LEN + 1);

	result[pgcredit_region_print(PG_GETARG_REGION_CODE(0), result)] = '\0';
	PG_RETURN_CSTRING(result);
}

/* The binary form is the digits of the text form. */
Datum
pgcredit_region_code_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			len;
	char	   *str = pq_getmsgtext(buf, buf->len - buf->cursor, &len);

	return parse_region(str, len, ERRCODE_INVALID_BINARY_REPRESENTATION, NULL);
}

Datum
pgcredit_region_code_send(PG_FUNCTION_ARGS)
{
	char		code[PGCREDIT_REGION_LEN];

	PG_RETURN_BYTEA_P(pgcredit_code_send(code, pgcredit_region_print(PG_GETARG_REGION_CODE(0),
																	 code)));
}

/* credit.is_valid_region_code(text) returns boolean: would the cast succeed? */
Datum
pgcredit_is_valid_region_code(PG_FUNCTION_ARGS)
{
	int64		region;
	PgcreditCodeError error;
	text	   *value;

	PG_RETURN_BOOL(pgcredit_code_text(PG_GETARG_DATUM(0), PGCREDIT_REGION_COUNTY_LEN,
									  PGCREDIT_REGION_LEN, &value) &&
				   pgcredit_region_parse(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
										 &region, &error));
}

/*
 * credit.region_parent(credit.region_code) returns credit.region_code: the
 * township of a village, the county of a township, the city of a county, the
 * province of a city, NULL for a province.
 */
Datum
pgcredit_region_parent_sql(PG_FUNCTION_ARGS)
{
	int64		parent;

	if (!pgcredit_region_parent(PG_GETARG_REGION_CODE(0), &parent))
		PG_RETURN_NULL();
	PG_RETURN_REGION_CODE(parent);
}

/* credit.region_level(credit.region_code) returns text: province to village. */
Datum
pgcredit_region_level_sql(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {
		[PGCREDIT_REGION_PROVINCE] = "province",
		[PGCREDIT_REGION_CITY] = "city",
		[PGCREDIT_REGION_COUNTY] = "county",
		[PGCREDIT_REGION_TOWNSHIP] = "township",
		[PGCREDIT_REGION_VILLAGE] = "village"
	};

	PG_RETURN_TEXT_P(cstring_to_text(names[pgcredit_region_level(PG_GETARG_REGION_CODE(0))]));
}
