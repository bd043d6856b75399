/*
 * canonical.c
 *		jsonb in the canonical form of RFC 8785: what entries of the log and
 *		digests of models are made of.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "core/canonical.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_canonical_json_sql);

/*
 * Order of member names by UTF-16 code units, as RFC 8785 section 3.2.3 asks.
 * It differs from UTF-8 byte order only where a character beyond U+FFFF (a
 * surrogate pair, D800..DFFF) meets one of U+E000..U+FFFF.
 */
int
pgcredit_compare_names(const char *a, int alen, const char *b, int blen)
{
	const unsigned char *p = (const unsigned char *) a;
	const unsigned char *q = (const unsigned char *) b;
	int			least = Min(alen, blen);

	for (int i = 0; i < least; i++)
	{
		if (p[i] == q[i])
			continue;
		if (p[i] >= 0xEE && q[i] >= 0xEE && (p[i] >= 0xF0) != (q[i] >= 0xF0))
			return p[i] >= 0xF0 ? -1 : 1;
		return (int) p[i] - (int) q[i];
	}
	return alen - blen;
}

static int
compare_pairs(const void *a, const void *b)
{
	const JsonbPair *x = a;
	const JsonbPair *y = b;

	return pgcredit_compare_names(x->key.val.string.val, x->key.val.string.len,
								  y->key.val.string.val, y->key.val.string.len);
}

/*
 * A number as ECMAScript writes it.  Only those that a double holds exactly as
 * text and that need no exponent are taken: at most 15 significant digits, 0
 * or between 10^-6 and 10^15 in size.
 */
static void
canonical_number(StringInfo out, Numeric number, int sqlstate)
{
	Datum		trimmed = DirectFunctionCall1(numeric_trim_scale, NumericGetDatum(number));
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, trimmed));
	const char *p = text;
	int			digits = 0;
	int			whole = 0;
	int			zeros = 0;
	bool		point = false;

	for (; *p != '\0'; p++)
	{
		if (*p == '.')
			point = true;
		if (*p < '0' || *p > '9')
			continue;
		whole += !point && (*p != '0' || digits > 0);
		if (*p != '0' || digits > 0)
			digits++;
		else
			zeros += point;
	}
	/* trailing zeros of a whole number are not significant, but stay in range */
	if (digits > 15 || whole > 15 || zeros > 5)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("number %s cannot be written in canonical JSON", text),
				 errdetail("A number has at most 15 significant digits and is 0 or between 0.000001 and 10^15 in size.")));
	appendStringInfoString(out, text);
}

static void
canonical_value(StringInfo out, JsonbValue *value, int sqlstate)
{
	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(out, "null");
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		case jbvNumeric:
			canonical_number(out, value->val.numeric, sqlstate);
			break;
		case jbvString:
			/* escape_json writes what RFC 8785 section 3.2.2.2 asks */
			escape_json(out, pnstrdup(value->val.string.val, value->val.string.len));
			break;
		case jbvBinary:
			pgcredit_canonical_json(out, value->val.binary.data, sqlstate);
			break;
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) value->type);
	}
}

/*
 * Append the canonical form of an object or array.  Raises with the given
 * SQLSTATE for a number that has none.
 */
void
pgcredit_canonical_json(StringInfo out, JsonbContainer *container, int sqlstate)
{
	int			n = (int) JsonContainerSize(container);
	bool		object = JsonContainerIsObject(container);
	JsonbPair  *pairs = palloc(sizeof(JsonbPair) * Max(n, 1));
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbValue	value;
	JsonbIteratorToken token;
	int			filled = 0;

	check_stack_depth();
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			pairs[filled].key = value;
		else if (token == WJB_VALUE || token == WJB_ELEM)
			pairs[filled++].value = value;
	}
	Assert(filled == n);
	if (object)
		qsort(pairs, n, sizeof(JsonbPair), compare_pairs);
	if (!JsonContainerIsScalar(container))
		appendStringInfoChar(out, object ? '{' : '[');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		if (object)
		{
			canonical_value(out, &pairs[i].key, sqlstate);
			appendStringInfoChar(out, ':');
		}
		canonical_value(out, &pairs[i].value, sqlstate);
	}
	if (!JsonContainerIsScalar(container))
		appendStringInfoChar(out, object ? '}' : ']');
	pfree(pairs);
}

/*
 * credit._canonical_json(jsonb) returns text; 22003 for a number that has no
 * canonical form here.
 */
Datum
pgcredit_canonical_json_sql(PG_FUNCTION_ARGS)
{
	Jsonb	   *json = PG_GETARG_JSONB_P(0);
	StringInfoData out;

	initStringInfo(&out);
	pgcredit_canonical_json(&out, &json->root, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
