/*
 * bind.c
 *		Binding a card's characteristics to columns, matching values, and saying
 *		that a value matches nothing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "rating/card.h"
#include "rating/numeric_code.h"

static const char *const data_type_names[] = {"number", "text", "boolean", "date"};
static const char *const kind_type_names[] = {
	"int2", "int4", "int8", "float4", "float8", "numeric", "bool", "date", "text", "bpchar"
};

const char *
pgcredit_column_kind_name(PgcreditColumnKind kind)
{
	return kind_type_names[kind];
}

/*
 * How a column of the type is read for a characteristic of the data type;
 * false if it cannot be.
 */
bool
pgcredit_column_kind(PgcreditDataType wanted, Oid type, PgcreditColumnKind *kind)
{
	static const struct
	{
		Oid			type;
		PgcreditColumnKind kind;
		PgcreditDataType data_type;
	}			known[] = {
		{INT2OID, PGCREDIT_COLUMN_INT2, PGCREDIT_NUMBER},
		{INT4OID, PGCREDIT_COLUMN_INT4, PGCREDIT_NUMBER},
		{INT8OID, PGCREDIT_COLUMN_INT8, PGCREDIT_NUMBER},
		{FLOAT4OID, PGCREDIT_COLUMN_FLOAT4, PGCREDIT_NUMBER},
		{FLOAT8OID, PGCREDIT_COLUMN_FLOAT8, PGCREDIT_NUMBER},
		{NUMERICOID, PGCREDIT_COLUMN_NUMERIC, PGCREDIT_NUMBER},
		{BOOLOID, PGCREDIT_COLUMN_BOOL, PGCREDIT_BOOLEAN},
		{DATEOID, PGCREDIT_COLUMN_DATE, PGCREDIT_DATE},
		{TEXTOID, PGCREDIT_COLUMN_TEXT, PGCREDIT_TEXT},
		{VARCHAROID, PGCREDIT_COLUMN_TEXT, PGCREDIT_TEXT},
		{BPCHAROID, PGCREDIT_COLUMN_BPCHAR, PGCREDIT_TEXT},
	};

	type = getBaseType(type);
	for (int i = 0; i < (int) lengthof(known); i++)
	{
		if (known[i].type == type && known[i].data_type == wanted)
		{
			*kind = known[i].kind;
			return true;
		}
	}
	return false;
}

/*
 * Codes of a numeric column's cuts for the smallest fraction that holds every
 * bound exactly; -1 if there is none, or if the bounds' stored form does not
 * read as their text says.
 */
static int
numeric_codes(const PgcreditCharacteristic *c, int64 *codes)
{
	for (int fraction = 0; fraction <= PGCREDIT_NUMERIC_DIGITS; fraction++)
	{
		bool		fits = true;

		for (int i = 0; i < c->ncuts && fits; i++)
		{
			Numeric		number = c->bounds[c->cuts[i] / 2].number;
			char	   *decimal = DatumGetCString(DirectFunctionCall1(numeric_out,
																	  NumericGetDatum(number)));
			int64		scaled;
			int64		read;

			fits = pgcredit_decimal_scaled(decimal, 4 * fraction, &scaled);
			if (fits && (!pgcredit_numeric_code(VARDATA(number), VARSIZE(number) - VARHDRSZ,
												fraction, &read) || read != 2 * scaled))
				return -1;
			if (fits)
				codes[i] = 2 * scaled + c->cuts[i] % 2;
			pfree(decimal);
		}
		if (fits)
			return fraction;
	}
	return -1;
}

/*
 * The cuts as codes of the column's type: a value is past a cut when its code
 * is at or above the cut's.
 */
static void
bind_cuts(PgcreditBinding *binding)
{
	const PgcreditCharacteristic *c = binding->characteristic;
	int64	   *codes = palloc0(sizeof(int64) * Max(c->ncuts, 1));
	Numeric    *numbers = palloc0(sizeof(Numeric) * Max(c->ncuts, 1));
	bool	   *afters = palloc0(sizeof(bool) * Max(c->ncuts, 1));
	int		   *segments = palloc(sizeof(int) * (c->ncuts + 1));

	for (int i = 0; i <= c->ncuts; i++)
		segments[i] = c->segments[i] == PGCREDIT_NO_ATTRIBUTE ? c->other : c->segments[i];
	binding->fraction = binding->kind == PGCREDIT_COLUMN_NUMERIC ? numeric_codes(c, codes) : -1;
	binding->ncuts = c->ncuts;
	binding->codes = codes;
	binding->numbers = numbers;
	binding->after = afters;
	binding->segments = segments;
	for (int i = 0; i < c->ncuts; i++)
	{
		const PgcreditBound *bound = &c->bounds[c->cuts[i] / 2];
		bool		after = c->cuts[i] % 2 != 0;

		switch (binding->kind)
		{
			case PGCREDIT_COLUMN_FLOAT4:
			case PGCREDIT_COLUMN_FLOAT8:
				codes[i] = pgcredit_double_code(bound->real) + after;
				break;
			case PGCREDIT_COLUMN_NUMERIC:
				numbers[i] = bound->number;
				afters[i] = after;
				break;
			default:
				/* smallest integer at or past the cut */
				codes[i] = bound->floor + (after || !bound->exact);
				break;
		}
	}
}

static int
find_column(const PgcreditColumn *columns, int n, const char *name)
{
	int			column = 0;

	while (column < n && (columns[column].name == NULL || strcmp(columns[column].name, name) != 0))
		column++;
	return column;
}

/*
 * The columns that expressions read; those of conditions only for grading.
 */
static void
bind_fields(PgcreditBoundCard *bound, const PgcreditColumn *columns, int n, bool grading)
{
	const PgcreditCard *card = bound->card;
	int			wanted = PGCREDIT_READ_BY_POINTS | (grading ? PGCREDIT_READ_BY_GRADE : 0);

	bound->field_columns = palloc0(sizeof(int) * card->nfields);
	bound->field_kinds = palloc0(sizeof(PgcreditColumnKind) * card->nfields);
	for (int f = 0; f < card->nfields; f++)
	{
		const PgcreditExprField *field = &card->fields[f];
		int			column = find_column(columns, n, field->name);

		bound->field_columns[f] = -1;
		if ((card->readers[f] & wanted) == 0)
			continue;
		if (column == n)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("row has no column \"%s\"", field->name),
					 errdetail("%s of model \"%s\" version %d reads it.",
							   card->readers[f] & PGCREDIT_READ_BY_POINTS ? "An expression" : "A cap or override",
							   card->name, card->version)));
		if (!pgcredit_column_kind((PgcreditDataType) field->type, columns[column].type, &bound->field_kinds[f]))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" has type %s, but model \"%s\" version %d reads a %s",
							field->name, format_type_be(columns[column].type), card->name, card->version,
							data_type_names[field->type]),
					 errhint("Cast the column in a view or subquery.")));
		bound->field_columns[f] = column;
		bound->ncolumns = Max(bound->ncolumns, column + 1);
	}
}

/*
 * Bind a card to columns by name; for grading also those that only caps and
 * overrides read.  Allocates in the current memory context; the card must live
 * as long.  Raises undefined_column (42703) or datatype_mismatch (42804).
 */
PgcreditBoundCard *
pgcredit_card_bind(const PgcreditCard *card, const PgcreditColumn *columns, int n,
				   bool grading)
{
	PgcreditBoundCard *bound = palloc0(sizeof(PgcreditBoundCard));

	bound->card = card;
	bound->n = card->ncharacteristics;
	bound->bindings = palloc0(sizeof(PgcreditBinding) * bound->n);
	for (int i = 0; i < bound->n; i++)
	{
		const PgcreditCharacteristic *c = &card->characteristics[i];
		PgcreditBinding *binding = &bound->bindings[i];
		int64	   *points;
		int			column = find_column(columns, n, c->field);

		if (column == n)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("row has no column \"%s\"", c->field),
					 errdetail("Characteristic \"%s\" of model \"%s\" version %d reads it.",
							   c->name, card->name, card->version)));
		binding->characteristic = c;
		binding->column = column;
		if (!pgcredit_column_kind(c->type, columns[column].type, &binding->kind))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" has type %s, but characteristic \"%s\" reads a %s",
							c->field, format_type_be(columns[column].type), c->name,
							data_type_names[c->type]),
					 errhint("Cast the column in a view or subquery.")));
		bind_cuts(binding);
		binding->missing = c->missing;
		binding->other = c->other;
		binding->places = c->places;
		binding->words = c->words;
		points = palloc(sizeof(int64) * c->nattributes);
		for (int a = 0; a < c->nattributes; a++)
			points[a] = c->attributes[a].points;
		binding->points = points;
		bound->ncolumns = Max(bound->ncolumns, column + 1);
	}
	bind_fields(bound, columns, n, grading);
	return bound;
}

/*
 * Attribute of a numeric that is not NULL.
 */
int
pgcredit_match_numeric(const PgcreditBinding *binding, Datum value)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(value);
	int64		code;
	union
	{
		struct varlena header;
		int64		align;
		char		room[VARHDRSZ + VARATT_SHORT_MAX];
	}			unpacked;
	Datum		number;
	int			lo = 0;
	int			hi = binding->ncuts;

	if (binding->fraction >= 0 && !VARATT_IS_EXTERNAL(stored) && !VARATT_IS_COMPRESSED(stored) &&
		pgcredit_numeric_code(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored), binding->fraction, &code))
		return binding->segments[pgcredit_find_segment(binding->codes, binding->ncuts, code)];

	/* numeric_cmp would unpack a short header anew at each comparison */
	if (VARATT_IS_SHORT(stored) && !VARATT_IS_EXTERNAL(stored))
	{
		Size		len = VARSIZE_SHORT(stored) - VARHDRSZ_SHORT;

		SET_VARSIZE(&unpacked, VARHDRSZ + len);
		memcpy(unpacked.room + VARHDRSZ, VARDATA_SHORT(stored), len);
		number = PointerGetDatum(&unpacked);
	}
	else
		number = NumericGetDatum(DatumGetNumeric(value));
	if (numeric_is_nan(DatumGetNumeric(number)))
		return binding->other;
	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;
		int32		c = DatumGetInt32(DirectFunctionCall2(numeric_cmp, number,
														  NumericGetDatum(binding->numbers[mid])));

		if (binding->after[mid] ? c > 0 : c >= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return binding->segments[lo];
}

static char *
date_text(DateADT date)
{
	char		buffer[MAXDATELEN + 1];
	struct pg_tm tm = {0};

	if (DATE_NOT_FINITE(date))
		EncodeSpecialDate(date, buffer);
	else
	{
		j2date(date + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
		EncodeDateOnly(&tm, USE_ISO_DATES, buffer);
	}
	return pstrdup(buffer);
}

/*
 * Text from which the value's type reads back the very same value, whatever
 * DateStyle or extra_float_digits say.
 */
char *
pgcredit_value_text(PgcreditColumnKind kind, Datum value)
{
	char		buffer[Max(DOUBLE_SHORTEST_DECIMAL_LEN, FLOAT_SHORTEST_DECIMAL_LEN)];
	text	   *string;
	int			len;

	switch (kind)
	{
		case PGCREDIT_COLUMN_INT2:
			return psprintf("%d", DatumGetInt16(value));
		case PGCREDIT_COLUMN_INT4:
			return psprintf("%d", DatumGetInt32(value));
		case PGCREDIT_COLUMN_INT8:
			return psprintf(INT64_FORMAT, DatumGetInt64(value));
		case PGCREDIT_COLUMN_FLOAT4:
			float_to_shortest_decimal_buf(DatumGetFloat4(value), buffer);
			return pstrdup(buffer);
		case PGCREDIT_COLUMN_FLOAT8:
			double_to_shortest_decimal_buf(DatumGetFloat8(value), buffer);
			return pstrdup(buffer);
		case PGCREDIT_COLUMN_NUMERIC:
			return DatumGetCString(DirectFunctionCall1(numeric_out, value));
		case PGCREDIT_COLUMN_BOOL:
			return pstrdup(DatumGetBool(value) ? "true" : "false");
		case PGCREDIT_COLUMN_DATE:
			return date_text(DatumGetDateADT(value));
		case PGCREDIT_COLUMN_TEXT:
		case PGCREDIT_COLUMN_BPCHAR:
			string = DatumGetTextPP(value);
			len = VARSIZE_ANY_EXHDR(string);
			if (kind == PGCREDIT_COLUMN_BPCHAR)
				len = bpchartruelen(VARDATA_ANY(string), len);
			return pnstrdup(VARDATA_ANY(string), len);
	}
	elog(ERROR, "unexpected column kind %d", (int) kind);
	return NULL;				/* keep compiler quiet */
}

/*
 * Raise PC403: no attribute of the characteristic takes the value.
 */
void
pgcredit_no_attribute(const PgcreditCard *card, const PgcreditBinding *binding,
					  Datum value, bool isnull)
{
	const PgcreditCharacteristic *c = binding->characteristic;

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_NO_ATTRIBUTE),
				 errmsg("characteristic \"%s\" has no attribute for a missing value", c->name),
				 errdetail("Model \"%s\" version %d, column \"%s\".", card->name, card->version, c->field),
				 errhint("Publish a version with a \"missing\" attribute, or supply the value.")));
	ereport(ERROR,
			(errcode(ERRCODE_PGCREDIT_NO_ATTRIBUTE),
			 errmsg("characteristic \"%s\" has no attribute for value \"%s\"", c->name,
					pgcredit_value_text(binding->kind, value)),
			 errdetail("Model \"%s\" version %d, column \"%s\".", card->name, card->version, c->field),
			 errhint("Publish a version with an attribute for it or with an \"other\" attribute.")));
}

/*
 * Grade of a score, or NULL if the card has no grade for it.
 */
const char *
pgcredit_card_grade(const PgcreditCard *card, double score)
{
	for (int b = 0; b < card->nbands; b++)
	{
		if (score >= card->bands[b].low && score < card->bands[b].high)
			return card->bands[b].grade;
	}
	return NULL;
}
