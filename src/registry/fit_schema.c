/*
 * fit_schema.c
 *		A category's schema, compiled, and the fitting of one value to a field.
 *
 * Values come from jsonb that an application built or from a staging table
 * whose columns may all be text, so a number, date or boolean is taken from its
 * text too and stored in the payload in its own type: the same fact gives the
 * same payload whichever way it was delivered.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/errcodes.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "core/core.h"
#include "registry/fit_schema.h"
#include "registry/text_kernel.h"

/* Characters of a text field, counted in bytes: 4,000 Chinese characters. */
#define MAX_TEXT_BYTES 12000

/*
 * Record the first fault of a row; later ones are dropped.  The reason is
 * palloc'd in the current context, detail must be a constant or NULL.
 */
void
pgcredit_fit_refuse(FitFault *fault, const char *sqlstate, const char *detail,
					const char *fmt,...)
{
	StringInfoData buf;

	if (fault->sqlstate != NULL)
		return;
	initStringInfo(&buf);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, fmt);
		needed = appendStringInfoVA(&buf, fmt, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&buf, needed);
	}
	fault->sqlstate = sqlstate;
	fault->reason = buf.data;
	fault->detail = detail;
}

static void
schema_broken(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("category schema is not usable"),
			 errdetail("%s", why)));
}

static FitType
type_of_name(const JsonbValue *name)
{
	static const struct
	{
		const char *name;
		FitType		type;
	}			types[] = {
		{"text", FIT_TEXT}, {"integer", FIT_INTEGER}, {"numeric", FIT_NUMERIC},
		{"date", FIT_DATE}, {"boolean", FIT_BOOLEAN}, {"code", FIT_CODE}
	};
	size_t		i;

	if (name != NULL && name->type == jbvString)
	{
		for (i = 0; i < lengthof(types); i++)
		{
			if ((int) strlen(types[i].name) == name->val.string.len &&
				memcmp(types[i].name, name->val.string.val, name->val.string.len) == 0)
				return types[i].type;
		}
	}
	schema_broken("A field's type is text, integer, numeric, date, boolean or code.");
	return FIT_TEXT;			/* not reached */
}

static void
compile_codes(FitField *field, const JsonbValue *codes)
{
	uint32		n;
	uint32		i;

	if (codes == NULL || codes->type != jbvBinary ||
		!JsonContainerIsArray(codes->val.binary.data))
		schema_broken("A field of type code has an array \"codes\".");
	n = JsonContainerSize(codes->val.binary.data);
	field->codes = palloc_array(char *, Max(n, 1));
	for (i = 0; i < n; i++)
	{
		JsonbValue *code = getIthJsonbValueFromContainer(codes->val.binary.data, i);

		if (code == NULL || code->type != jbvString)
			schema_broken("The codes of a field are strings.");
		field->codes[i] = pnstrdup(code->val.string.val, code->val.string.len);
	}
	field->ncodes = (int) n;
}

static void
compile_field(FitField *field, const JsonbValue *name, const JsonbValue *def)
{
	JsonbContainer *props;
	JsonbValue	buf;
	JsonbValue *required;

	if (def->type != jbvBinary || !JsonContainerIsObject(def->val.binary.data))
		schema_broken("A field is described by an object.");
	props = def->val.binary.data;
	field->name = pnstrdup(name->val.string.val, name->val.string.len);
	field->len = name->val.string.len;
	field->type = type_of_name(getKeyJsonValueFromContainer(props, "type", 4, &buf));
	required = getKeyJsonValueFromContainer(props, "required", 8, &buf);
	field->required = required != NULL && required->type == jbvBool && required->val.boolean;
	if (field->type == FIT_CODE)
		compile_codes(field, getKeyJsonValueFromContainer(props, "codes", 5, &buf));
}

/*
 * Compile {"fields": {name: {"type", "required", "codes"}}, "open": bool} into
 * the current context.  Raises invalid_parameter_value on anything else.
 */
FitSchema *
pgcredit_fit_schema_compile(const Jsonb *schema)
{
	JsonbContainer *root = (JsonbContainer *) &schema->root;
	FitSchema  *compiled = palloc0_object(FitSchema);
	JsonbContainer *fields;
	JsonbValue	buf;
	JsonbValue	name;
	JsonbValue	def;
	JsonbValue *found;
	JsonbIterator *it;
	JsonbIteratorToken token;

	if (!JsonContainerIsObject(root))
		schema_broken("A schema is an object.");
	found = getKeyJsonValueFromContainer(root, "open", 4, &buf);
	compiled->open = found != NULL && found->type == jbvBool && found->val.boolean;
	found = getKeyJsonValueFromContainer(root, "fields", 6, &buf);
	if (found == NULL || found->type != jbvBinary ||
		!JsonContainerIsObject(found->val.binary.data))
		schema_broken("A schema has an object \"fields\".");
	fields = found->val.binary.data;
	compiled->fields = palloc0_array(FitField, Max(JsonContainerSize(fields), 1));

	it = JsonbIteratorInit(fields);
	while ((token = JsonbIteratorNext(&it, &name, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		if (JsonbIteratorNext(&it, &def, true) != WJB_VALUE)
			elog(ERROR, "jsonb object key without a value");
		compile_field(&compiled->fields[compiled->nfields++], &name, &def);
	}
	return compiled;
}

/*
 * Index of the named field, or -1.
 */
int
pgcredit_fit_schema_find(const FitSchema *schema, const char *name, int len)
{
	int			low = 0;
	int			high = schema->nfields - 1;

	while (low <= high)
	{
		int			mid = (low + high) / 2;
		const FitField *field = &schema->fields[mid];
		int			cmp = (field->len != len) ? (field->len > len ? 1 : -1)
			: memcmp(field->name, name, len);

		if (cmp == 0)
			return mid;
		if (cmp > 0)
			high = mid - 1;
		else
			low = mid + 1;
	}
	return -1;
}

/*
 * Text of a scalar without the blanks around it, not NUL-terminated; NULL for
 * null, a blank string (how COPY delivers an empty cell in quotes), an array or
 * an object.
 */
char *
pgcredit_fit_scalar_text(const JsonbValue *given, int *len)
{
	char	   *str;
	int			n;

	switch (given->type)
	{
		case jbvString:
			str = given->val.string.val;
			n = given->val.string.len;
			break;
		case jbvNumeric:
			str = DatumGetCString(DirectFunctionCall1(numeric_out,
													  NumericGetDatum(given->val.numeric)));
			n = strlen(str);
			break;
		case jbvBool:
			str = given->val.boolean ? "true" : "false";
			n = strlen(str);
			break;
		default:
			return NULL;
	}
	while (n > 0 && (str[n - 1] == ' ' || str[n - 1] == '\t' || str[n - 1] == '\r'))
		n--;
	while (n > 0 && (*str == ' ' || *str == '\t'))
	{
		str++;
		n--;
	}
	if (n == 0)
		return NULL;
	*len = n;
	return str;
}

/*
 * Whether a string or number anywhere in the value, or a key in it, holds a
 * valid resident identity number.
 */
bool
pgcredit_fit_holds_resident(const JsonbValue *given)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	item;

	if (given->type != jbvBinary)
	{
		int			len;
		char	   *str = pgcredit_fit_scalar_text(given, &len);

		return str != NULL &&
			pgcredit_text_find_resident(str, len, 0) != PGCREDIT_NOT_FOUND;
	}
	check_stack_depth();
	it = JsonbIteratorInit(given->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &item, false)) != WJB_DONE)
	{
		if ((token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM) &&
			item.type != jbvBinary && pgcredit_fit_holds_resident(&item))
			return true;
	}
	return false;
}

/*
 * The day that a value names.  False with the fault recorded when it names none.
 */
bool
pgcredit_fit_date(const char *name, int namelen, const JsonbValue *given,
				  DateADT *day, FitFault *fault)
{
	int			len;
	char	   *str = pgcredit_fit_scalar_text(given, &len);
	PgcreditDateFault bad = PGCREDIT_DATE_FORM;
	int			y,
				m,
				d;

	if (str != NULL)
		bad = pgcredit_text_date(str, len, &y, &m, &d);
	if (bad == PGCREDIT_DATE_OK)
	{
		*day = date2j(y, m, d) - POSTGRES_EPOCH_JDATE;
		return true;
	}
	if (bad == PGCREDIT_DATE_FORM)
		pgcredit_fit_refuse(fault, "22007", "A date is written YYYY-MM-DD, YYYY/MM/DD or YYYYMMDD.",
							"field \"%.*s\" is not a date", namelen, name);
	else
		pgcredit_fit_refuse(fault, "22008", "The value is written as a date, but the calendar has no such day.",
							"field \"%.*s\" is out of the calendar", namelen, name);
	return false;
}

static bool
fit_number(const FitField *field, const JsonbValue *given, const char *str, int len,
		   JsonbValue *fitted, FitFault *fault)
{
	bool		whole = (field->type == FIT_INTEGER);

	if (given->type == jbvBool || !pgcredit_text_is_number(str, len, whole))
	{
		pgcredit_fit_refuse(fault, "PC301", "At most 40 digits, without separators or units.",
							whole ? "field \"%s\" is not a whole number" : "field \"%s\" is not a number",
							field->name);
		return false;
	}
	if (whole && len > 18)
	{
		pgcredit_fit_refuse(fault, "22003", NULL, "field \"%s\" is too large for a whole number", field->name);
		return false;
	}
	fitted->type = jbvNumeric;
	fitted->val.numeric = (given->type == jbvNumeric) ? given->val.numeric :
		DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(pnstrdup(str, len)),
											ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	return true;
}

static bool
fit_boolean(const FitField *field, const JsonbValue *given, const char *str, int len,
			JsonbValue *fitted, FitFault *fault)
{
	bool		value;

	fitted->type = jbvBool;
	if (given->type == jbvString && len == strlen("是") &&
		(memcmp(str, "是", len) == 0 || memcmp(str, "否", len) == 0))
		fitted->val.boolean = (memcmp(str, "是", len) == 0);
	else if (given->type != jbvNumeric && parse_bool_with_len(str, len, &value))
		fitted->val.boolean = value;
	else
	{
		pgcredit_fit_refuse(fault, "PC301", "A boolean is true or false, t or f, yes or no, 1 or 0 as text, 是 or 否.",
							"field \"%s\" is not a boolean", field->name);
		return false;
	}
	return true;
}

static bool
fit_code(const FitField *field, const char *str, int len,
		 JsonbValue *fitted, FitFault *fault)
{
	int			i;

	for (i = 0; i < field->ncodes; i++)
	{
		if ((int) strlen(field->codes[i]) == len && memcmp(field->codes[i], str, len) == 0)
		{
			fitted->type = jbvString;
			fitted->val.string.val = field->codes[i];
			fitted->val.string.len = len;
			return true;
		}
	}
	pgcredit_fit_refuse(fault, "PC301", "The category's schema lists the codes.",
						"field \"%s\" has a value outside its code list", field->name);
	return false;
}

/*
 * Fit a given value to a field.  True with "fitted" set (it may point into
 * "given" or the current context); false when the value is absent, or with the
 * fault recorded when it does not fit.
 */
bool
pgcredit_fit_value(const FitField *field, const JsonbValue *given,
				   JsonbValue *fitted, FitFault *fault)
{
	int			len;
	char	   *str;
	DateADT		day;

	if (given->type == jbvBinary)
	{
		pgcredit_fit_refuse(fault, "PC301", NULL, "field \"%s\" must be a single value", field->name);
		return false;
	}
	str = pgcredit_fit_scalar_text(given, &len);
	if (str == NULL)
		return false;
	if (pgcredit_text_find_resident(str, len, 0) != PGCREDIT_NOT_FOUND)
	{
		pgcredit_fit_refuse(fault, "PC301",
							"Resident identity numbers are given under the key resident_id only; they are never stored in clear.",
							"field \"%s\" carries a resident identity number", field->name);
		return false;
	}
	switch (field->type)
	{
		case FIT_INTEGER:
		case FIT_NUMERIC:
			return fit_number(field, given, str, len, fitted, fault);
		case FIT_BOOLEAN:
			return fit_boolean(field, given, str, len, fitted, fault);
		case FIT_CODE:
			return fit_code(field, str, len, fitted, fault);
		case FIT_DATE:
			if (!pgcredit_fit_date(field->name, field->len, given, &day, fault))
				return false;
			str = palloc(MAXDATELEN + 1);
			{
				struct pg_tm tm = {0};

				j2date(day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
				EncodeDateOnly(&tm, USE_ISO_DATES, str);
			}
			len = strlen(str);
			break;
		case FIT_TEXT:
			if (len > MAX_TEXT_BYTES)
			{
				pgcredit_fit_refuse(fault, "22001", "A text field holds at most 12000 bytes.",
									"field \"%s\" is too long", field->name);
				return false;
			}
			break;
	}
	fitted->type = jbvString;
	fitted->val.string.val = str;
	fitted->val.string.len = len;
	return true;
}
