/*
 * json.c
 *		Reading a model's definition from jsonb with errors that say where.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "rating/card.h"

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
 * Place of a text in a NULL-ended list of those that a key may have.
 */
int
pgcredit_json_one_of(const char *text, const char *const *allowed, const char *key,
					 const char *where)
{
	for (int i = 0; allowed[i] != NULL; i++)
	{
		if (strcmp(text, allowed[i]) == 0)
			return i;
	}
	pgcredit_invalid(errmsg("\"%s\" of %s has an unknown value: \"%s\"", key, where, text));
	return -1;					/* keep compiler quiet */
}
