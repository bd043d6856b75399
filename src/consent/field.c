/*
 * field.c
 *		One field of a payload as a typed column, for the views by category.
 *
 * Ingestion stores each field in its own type, but a payload may be older than
 * its schema or written past ingestion, and one value that does not fit must not
 * break a query over all the others: what does not fit is null, and nothing here
 * raises.  All functions take (payload jsonb, field text, covered text[]) and are
 * immutable, strict and parallel safe; a field named in "covered" is shown as
 * mask.c says.  None is leakproof, so that a condition on a column is tried after
 * the guard only.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "consent/mask.h"

PG_FUNCTION_INFO_V1(pgcredit_field_text);
PG_FUNCTION_INFO_V1(pgcredit_field_code);
PG_FUNCTION_INFO_V1(pgcredit_field_integer);
PG_FUNCTION_INFO_V1(pgcredit_field_numeric);
PG_FUNCTION_INFO_V1(pgcredit_field_date);
PG_FUNCTION_INFO_V1(pgcredit_field_boolean);

/* Digits of a number that came as text, as at ingestion. */
#define MAX_DIGITS 40

/*
 * The field's value; false when the payload has none, or a null.
 */
static bool
get_field(FunctionCallInfo fcinfo, JsonbValue *value)
{
	Jsonb	   *payload = PG_GETARG_JSONB_P(0);
	text	   *field = PG_GETARG_TEXT_PP(1);

	return JB_ROOT_IS_OBJECT(payload) &&
		getKeyJsonValueFromContainer(&payload->root, VARDATA_ANY(field), VARSIZE_ANY_EXHDR(field), value) != NULL &&
		value->type != jbvNull;
}

static bool
is_covered(FunctionCallInfo fcinfo)
{
	ArrayType  *covered = PG_GETARG_ARRAYTYPE_P(2);
	text	   *field = PG_GETARG_TEXT_PP(1);
	int			n = ArrayGetNItems(ARR_NDIM(covered), ARR_DIMS(covered));
	char	   *p;

	if (n == 0)
		return false;
	if (ARR_HASNULL(covered))
		return true;
	p = ARR_DATA_PTR(covered);
	for (int k = 0; k < n; k++)
	{
		if (VARSIZE_ANY_EXHDR(p) == VARSIZE_ANY_EXHDR(field) &&
			memcmp(VARDATA_ANY(p), VARDATA_ANY(field), VARSIZE_ANY_EXHDR(field)) == 0)
			return true;
		p = att_addlength_pointer(p, -1, p);
		p = (char *) att_align_nominal(p, TYPALIGN_INT);
	}
	return false;
}

/*
 * The text of any value, as ->> gives it.
 */
static char *
value_text(const JsonbValue *value, int *len)
{
	char	   *str;

	switch (value->type)
	{
		case jbvString:
			*len = value->val.string.len;
			return value->val.string.val;
		case jbvNumeric:
			str = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			break;
		case jbvBool:
			str = value->val.boolean ? "true" : "false";
			break;
		default:
			str = JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
			break;
	}
	*len = strlen(str);
	return str;
}

Datum
pgcredit_field_text(PG_FUNCTION_ARGS)
{
	JsonbValue	value;
	char	   *str;
	int			len;

	if (!get_field(fcinfo, &value))
		PG_RETURN_NULL();
	if (is_covered(fcinfo))
	{
		if (value.type != jbvString)
			PG_RETURN_TEXT_P(cstring_to_text("***"));
		PG_RETURN_TEXT_P(cstring_to_text(pgcredit_cover_text(value.val.string.val, value.val.string.len)));
	}
	str = value_text(&value, &len);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(str, len));
}

/*
 * A code's first letter may be all of it, so nothing of it is shown.
 */
Datum
pgcredit_field_code(PG_FUNCTION_ARGS)
{
	JsonbValue	value;
	char	   *str;
	int			len;

	if (!get_field(fcinfo, &value))
		PG_RETURN_NULL();
	if (is_covered(fcinfo))
		PG_RETURN_TEXT_P(cstring_to_text("***"));
	str = value_text(&value, &len);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(str, len));
}

/*
 * A number of the value, or of a text that is one: an optional sign, digits, and
 * at most one point with digits on both sides.  False for anything else.
 */
static bool
get_number(const JsonbValue *value, Numeric *number)
{
	const char *str = value->val.string.val;
	int			len = value->val.string.len;
	int			digits = 0;
	int			points = 0;

	if (value->type == jbvNumeric)
	{
		*number = value->val.numeric;
		return true;
	}
	if (value->type != jbvString)
		return false;
	for (int k = (len > 0 && (str[0] == '-' || str[0] == '+')) ? 1 : 0; k < len; k++)
	{
		if (str[k] >= '0' && str[k] <= '9')
			digits++;
		else if (str[k] == '.' && digits > 0 && k < len - 1 && points == 0)
			points++;
		else
			return false;
	}
	if (digits == 0 || digits > MAX_DIGITS)
		return false;
	*number = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(pnstrdup(str, len)),
												  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	return true;
}

Datum
pgcredit_field_numeric(PG_FUNCTION_ARGS)
{
	JsonbValue	value;
	Numeric		number;

	if (!get_field(fcinfo, &value) || is_covered(fcinfo) || !get_number(&value, &number))
		PG_RETURN_NULL();
	/* a copy: the number lies inside the payload */
	PG_RETURN_DATUM(datumCopy(NumericGetDatum(number), false, -1));
}

/*
 * Whole numbers of up to 18 digits, as at ingestion; 12.0 is one.
 */
Datum
pgcredit_field_integer(PG_FUNCTION_ARGS)
{
	JsonbValue	value;
	Numeric		number;
	char	   *str;
	char	   *end;
	int64		result;

	if (!get_field(fcinfo, &value) || is_covered(fcinfo) || !get_number(&value, &number))
		PG_RETURN_NULL();
	str = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	end = str + strcspn(str, ".");
	if (end - str > (str[0] == '-' ? 19 : 18) ||
		strspn(str, "-0123456789") != end - str ||
		(*end == '.' && strspn(end + 1, "0") != strlen(end + 1)))
		PG_RETURN_NULL();
	result = strtoll(str, NULL, 10);
	PG_RETURN_INT64(result);
}

Datum
pgcredit_field_boolean(PG_FUNCTION_ARGS)
{
	JsonbValue	value;
	bool		result;

	if (!get_field(fcinfo, &value) || is_covered(fcinfo))
		PG_RETURN_NULL();
	if (value.type == jbvBool)
		PG_RETURN_BOOL(value.val.boolean);
	if (value.type == jbvString && parse_bool_with_len(value.val.string.val, value.val.string.len, &result))
		PG_RETURN_BOOL(result);
	PG_RETURN_NULL();
}

/*
 * A day written YYYY-MM-DD, as ingestion writes it.
 */
Datum
pgcredit_field_date(PG_FUNCTION_ARGS)
{
	JsonbValue	value;
	const char *str;
	int			part[3] = {0, 0, 0};
	int			n = 0;

	if (!get_field(fcinfo, &value) || is_covered(fcinfo) ||
		value.type != jbvString || value.val.string.len != 10)
		PG_RETURN_NULL();
	str = value.val.string.val;
	for (int k = 0; k < 10; k++)
	{
		if (k == 4 || k == 7)
		{
			if (str[k] != '-')
				PG_RETURN_NULL();
			n++;
		}
		else if (str[k] >= '0' && str[k] <= '9')
			part[n] = part[n] * 10 + (str[k] - '0');
		else
			PG_RETURN_NULL();
	}
	if (part[0] < 1 || part[1] < 1 || part[1] > MONTHS_PER_YEAR || part[2] < 1 ||
		part[2] > day_tab[isleap(part[0])][part[1] - 1])
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(date2j(part[0], part[1], part[2]) - POSTGRES_EPOCH_JDATE);
}
