/*
 * json.c
 *		Reading a model's definition from jsonb with errors that say where, and
 *		the canonical form (RFC 8785) whose SHA-256 is a model's digest.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "rating/card.h"

PG_FUNCTION_INFO_V1(pgcredit_canonical_json_sql);

/*
 * The value of a key, or NULL if it is absent or JSON null.  "where" names the
 * object in errors.
 */
JsonbValue *
pgcredit_json_key(JsonbContainer *object, const char *key, const char *where,
				  JsonbValue *value)
{
	if (!JsonContainerIsObject(object))
		pgcredit_invalid(errmsg("%s is not a JSON object", where));
	value = getKeyJsonValueFromContainer(object, key, (int) strlen(key), value);
	return value == NULL || value->type == jbvNull ? NULL : value;
}

/*
 * A text value, palloc'd; NULL if absent and not required.  Empty counts as a
 * mistake: a name or code that cannot be seen.
 */
char *
pgcredit_json_text(JsonbContainer *object, const char *key, const char *where,
				   bool required)
{
	JsonbValue	buffer;
	JsonbValue *value = pgcredit_json_key(object, key, where, &buffer);

	if (value == NULL && !required)
		return NULL;
	if (value == NULL)
		pgcredit_invalid(errmsg("%s has no \"%s\"", where, key));
	if (value->type != jbvString || value->val.string.len == 0)
		pgcredit_invalid(errmsg("\"%s\" of %s is not a non-empty string", key, where));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

bool
pgcredit_json_bool(JsonbContainer *object, const char *key, const char *where,
				   bool fallback)
{
	JsonbValue	buffer;
	JsonbValue *value = pgcredit_json_key(object, key, where, &buffer);

	if (value == NULL)
		return fallback;
	if (value->type != jbvBool)
		pgcredit_invalid(errmsg("\"%s\" of %s is not true or false", key, where));
	return value->val.boolean;
}

/*
 * A number, palloc'd; NULL if absent.
 */
Numeric
pgcredit_json_number(JsonbContainer *object, const char *key, const char *where)
{
	JsonbValue	buffer;
	JsonbValue *value = pgcredit_json_key(object, key, where, &buffer);

	if (value == NULL)
		return NULL;
	if (value->type != jbvNumeric)
		pgcredit_invalid(errmsg("\"%s\" of %s is not a number", key, where));
	return DatumGetNumericCopy(NumericGetDatum(value->val.numeric));
}

/*
 * Points in millionths; false if absent.
 */
bool
pgcredit_json_points(JsonbContainer *object, const char *key, const char *where,
					 int64 *points)
{
	Numeric		number = pgcredit_json_number(object, key, where);
	char	   *decimal;

	if (number == NULL)
		return false;
	decimal = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	if (!pgcredit_parse_micro(decimal, PGCREDIT_MAX_POINTS, points))
		pgcredit_invalid(errmsg("\"%s\" of %s is out of range: %s", key, where, decimal),
						 errdetail("Points have at most 6 decimals and lie between -1000000 and 1000000, so that every sum is exact."));
	return true;
}

/*
 * An array; NULL if absent and not required.
 */
JsonbContainer *
pgcredit_json_array(JsonbContainer *object, const char *key, const char *where,
					bool required)
{
	JsonbValue	buffer;
	JsonbValue *value = pgcredit_json_key(object, key, where, &buffer);

	if (value == NULL && !required)
		return NULL;
	if (value == NULL)
		pgcredit_invalid(errmsg("%s has no \"%s\"", where, key));
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		pgcredit_invalid(errmsg("\"%s\" of %s is not an array", key, where));
	return value->val.binary.data;
}

/*
 * Element i of an array, which must be an object.
 */
JsonbContainer *
pgcredit_json_element(JsonbContainer *list, uint32 i, const char *where)
{
	JsonbValue *value = getIthJsonbValueFromContainer(list, i);

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		pgcredit_invalid(errmsg("%s is not a JSON object", where));
	return value->val.binary.data;
}

/*
 * Refuse keys that are not in the NULL-ended list: a misspelt key would
 * otherwise be a rule that silently does not hold.
 */
void
pgcredit_json_only(JsonbContainer *object, const char *where,
				   const char *const *allowed)
{
	JsonbIterator *it;
	JsonbValue	value;
	JsonbIteratorToken token;

	if (!JsonContainerIsObject(object))
		pgcredit_invalid(errmsg("%s is not a JSON object", where));
	it = JsonbIteratorInit(object);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		const char *const *a = allowed;

		if (token != WJB_KEY)
			continue;
		while (*a != NULL && (strlen(*a) != (size_t) value.val.string.len ||
							  memcmp(*a, value.val.string.val, value.val.string.len) != 0))
			a++;
		if (*a == NULL)
			pgcredit_invalid(errmsg("%s has an unknown key \"%s\"", where,
									pnstrdup(value.val.string.val, value.val.string.len)));
	}
}

/*
 * Order of member names by UTF-16 code units, as RFC 8785 section 3.2.3 asks.
 * It differs from UTF-8 byte order only where a character beyond U+FFFF (a
 * surrogate pair, D800..DFFF) meets one of U+E000..U+FFFF.
 */
static int
compare_names(const void *a, const void *b)
{
	const JsonbPair *x = a;
	const JsonbPair *y = b;
	const unsigned char *p = (const unsigned char *) x->key.val.string.val;
	const unsigned char *q = (const unsigned char *) y->key.val.string.val;
	int			least = Min(x->key.val.string.len, y->key.val.string.len);

	for (int i = 0; i < least; i++)
	{
		if (p[i] == q[i])
			continue;
		if (p[i] >= 0xEE && q[i] >= 0xEE && (p[i] >= 0xF0) != (q[i] >= 0xF0))
			return p[i] >= 0xF0 ? -1 : 1;
		return (int) p[i] - (int) q[i];
	}
	return x->key.val.string.len - y->key.val.string.len;
}

/*
 * A number as ECMAScript writes it.  Only those that a double holds exactly as
 * text and that need no exponent are taken: at most 15 significant digits, 0
 * or between 10^-6 and 10^15 in size.
 */
static void
canonical_number(StringInfo out, Numeric number)
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
		pgcredit_invalid(errmsg("number %s cannot be written in canonical JSON", text),
						 errdetail("A number has at most 15 significant digits and is 0 or between 0.000001 and 10^15 in size."));
	appendStringInfoString(out, text);
}

static void
canonical_value(StringInfo out, JsonbValue *value)
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
			canonical_number(out, value->val.numeric);
			break;
		case jbvString:
			/* escape_json writes what RFC 8785 section 3.2.2.2 asks */
			escape_json(out, pnstrdup(value->val.string.val, value->val.string.len));
			break;
		case jbvBinary:
			pgcredit_canonical_json(out, value->val.binary.data);
			break;
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) value->type);
	}
}

/*
 * Append the canonical form of an object or array.  Raises PC402 for a number
 * that has none.
 */
void
pgcredit_canonical_json(StringInfo out, JsonbContainer *container)
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
		qsort(pairs, n, sizeof(JsonbPair), compare_names);
	if (!JsonContainerIsScalar(container))
		appendStringInfoChar(out, object ? '{' : '[');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		if (object)
		{
			canonical_value(out, &pairs[i].key);
			appendStringInfoChar(out, ':');
		}
		canonical_value(out, &pairs[i].value);
	}
	if (!JsonContainerIsScalar(container))
		appendStringInfoChar(out, object ? '}' : ']');
	pfree(pairs);
}

/*
 * credit._canonical_json(jsonb) returns text
 */
Datum
pgcredit_canonical_json_sql(PG_FUNCTION_ARGS)
{
	Jsonb	   *json = PG_GETARG_JSONB_P(0);
	StringInfoData out;

	initStringInfo(&out);
	pgcredit_canonical_json(&out, &json->root);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
