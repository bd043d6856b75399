/*
 * refused_row.c
 *		Keeping a refused row without keeping a resident identity number in clear.
 *
 * A refused row is stored as given (P9), except that resident identity numbers
 * in it are covered.  So that nothing is lost by that, a row in which something
 * was covered is stored sealed as well, whole; credit.refused_rows opens it for
 * the one who delivered it.
 *
 * Under the key resident_id everything is covered, since a number with a typing
 * error is as telling as the right one; elsewhere every valid number is.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "core/core.h"
#include "crypto/crypto.h"
#include "identity/identity.h"
#include "registry/fit_schema.h"
#include "registry/registry.h"
#include "registry/text_kernel.h"

PG_FUNCTION_INFO_V1(pgcredit_mask_row);
PG_FUNCTION_INFO_V1(pgcredit_mask_text);
PG_FUNCTION_INFO_V1(pgcredit_seal_row);
PG_FUNCTION_INFO_V1(pgcredit_unseal_row);

/* The province of a resident identity number stays readable. */
#define SHOWN 2

/*
 * A copy of the text in which each valid resident identity number is covered
 * but for its province; with "all", everything after the first two bytes
 * (nothing is shown of a text whose third byte continues a character).  len is
 * kept.
 */
static char *
cover(const char *str, int len, bool all)
{
	char	   *copy = pnstrdup(str, len);
	size_t		at;

	if (all)
	{
		int			shown = (len > SHOWN && !IS_HIGHBIT_SET(str[0]) && !IS_HIGHBIT_SET(str[1])) ? SHOWN : 0;

		memset(copy + shown, '*', len - shown);
		return copy;
	}
	for (at = pgcredit_text_find_resident(str, len, 0);
		 at != PGCREDIT_NOT_FOUND;
		 at = pgcredit_text_find_resident(str, len, at + PGCREDIT_RESIDENT_LEN))
		memset(copy + at + SHOWN, '*', PGCREDIT_RESIDENT_LEN - SHOWN);
	return copy;
}

static void
cover_value(JsonbValue *value, bool all)
{
	char	   *str;
	int			len;

	if (value->type == jbvString)
		value->val.string.val = cover(value->val.string.val, value->val.string.len, all);
	else if (value->type == jbvNumeric)
	{
		str = pgcredit_fit_scalar_text(value, &len);
		if (all || pgcredit_text_find_resident(str, len, 0) != PGCREDIT_NOT_FOUND)
		{
			value->type = jbvString;
			value->val.string.val = cover(str, len, all);
			value->val.string.len = len;
		}
	}
}

/*
 * credit._mask_row(jsonb) returns jsonb: the row with resident identity numbers
 * covered, in keys and values at any depth.
 */
Datum
pgcredit_mask_row(PG_FUNCTION_ARGS)
{
	Jsonb	   *row = PG_GETARG_JSONB_P(0);
	JsonbIterator *it = JsonbIteratorInit(&row->root);
	JsonbParseState *state = NULL;
	JsonbValue *result = NULL;
	JsonbValue	item;
	JsonbIteratorToken token;
	int			depth = 0;
	int			all_depth = 0;	/* depth at which the key resident_id was met */
	bool		all = false;

	while ((token = JsonbIteratorNext(&it, &item, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
			case WJB_BEGIN_OBJECT:
				depth++;
				break;
			case WJB_END_ARRAY:
			case WJB_END_OBJECT:
				if (--depth < all_depth)
					all = false;
				break;
			case WJB_KEY:
				if (!all || depth <= all_depth)
				{
					all = item.val.string.len == (int) strlen(PGCREDIT_RESIDENT_KEY) &&
						memcmp(item.val.string.val, PGCREDIT_RESIDENT_KEY, item.val.string.len) == 0;
					all_depth = depth;
				}
				cover_value(&item, false);
				break;
			case WJB_VALUE:
			case WJB_ELEM:
				cover_value(&item, all && depth >= all_depth);
				break;
			default:
				break;
		}
		result = pushJsonbValue(&state, token,
								token < WJB_BEGIN_ARRAY || (token == WJB_BEGIN_ARRAY && item.val.array.rawScalar)
								? &item : NULL);
	}
	PG_RETURN_JSONB_P(JsonbValueToJsonb(result));
}

/*
 * credit._mask_text(text) returns text: valid resident identity numbers
 * covered.
 */
Datum
pgcredit_mask_text(PG_FUNCTION_ARGS)
{
	text	   *given = PG_GETARG_TEXT_PP(0);
	int			len = VARSIZE_ANY_EXHDR(given);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(cover(VARDATA_ANY(given), len, false), len));
}

/* What a sealed row is bound to, so that it cannot be moved to another place. */
static char *
seal_label(int64 batch_id, int64 row_no)
{
	return psprintf("refused_row/" INT64_FORMAT "/" INT64_FORMAT, batch_id, row_no);
}

/*
 * credit._seal_row(given jsonb, batch_id bigint, row_no bigint) returns bytea.
 * Raises PC201 without a key.
 */
Datum
pgcredit_seal_row(PG_FUNCTION_ARGS)
{
	Jsonb	   *row = PG_GETARG_JSONB_P(0);
	char	   *label = seal_label(PG_GETARG_INT64(1), PG_GETARG_INT64(2));
	char	   *str = JsonbToCString(NULL, &row->root, VARSIZE(row));

	PG_RETURN_BYTEA_P(pgcredit_seal(PGCREDIT_KEY_RESIDENT_SEAL, str, strlen(str),
									label, strlen(label)));
}

/*
 * credit._unseal_row(sealed bytea, batch_id bigint, row_no bigint) returns
 * jsonb.  Raises PC201 without a key, PC202 when the bytes are not those that
 * were sealed for this place.
 */
Datum
pgcredit_unseal_row(PG_FUNCTION_ARGS)
{
	char	   *label = seal_label(PG_GETARG_INT64(1), PG_GETARG_INT64(2));
	bytea	   *opened = pgcredit_unseal(PGCREDIT_KEY_RESIDENT_SEAL, PG_GETARG_BYTEA_PP(0),
										 label, strlen(label));

	char	   *str = text_to_cstring((text *) opened);
	Datum		row = DirectFunctionCall1(jsonb_in, CStringGetDatum(str));

	pgcredit_memzero(VARDATA_ANY(opened), VARSIZE_ANY_EXHDR(opened));
	pgcredit_memzero(str, strlen(str));
	PG_RETURN_DATUM(row);
}
