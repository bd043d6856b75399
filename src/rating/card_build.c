/*
 * card_build.c
 *		Compiling a characteristic's attributes into segments and words.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"

#include "rating/card.h"

static const char *const attribute_keys[] = {
	"kind", "low", "high", "closure", "values", "points", "expression", "default",
	"reason_code", NULL
};
static const char *const kind_names[] = {"interval", "set", "missing", "other", NULL};
static const char *const closures[] = {
	"closedOpen", "openClosed", "openOpen", "closedClosed", NULL
};

/* An interval or one set value, its bounds not yet ranked. */
typedef struct RawSpan
{
	PgcreditBound low;
	PgcreditBound high;
	bool		has_low;
	bool		has_high;
	bool		low_after;		/* starts right after low */
	bool		high_after;		/* ends right after high */
	int			attribute;
} RawSpan;

/* What collects while a characteristic's attributes are read. */
typedef struct AttributeReader
{
	PgcreditCharacteristic *c;
	const char *where;			/* the attribute, for errors */
	RawSpan    *spans;
	int			nspans;
	int			spans_room;
	PgcreditWord *words;		/* set values of a text, in card order */
	int			nwords;
	int			words_room;
} AttributeReader;

/*
 * Number of a bound, with everything that the column types compare.
 */
static PgcreditBound
number_bound(Numeric number, const char *where)
{
	PgcreditBound bound = {0};
	char	   *decimal = DatumGetCString(DirectFunctionCall1(numeric_out,
															  NumericGetDatum(number)));

	if (!pgcredit_decimal_floor(decimal, &bound.floor, &bound.exact))
		pgcredit_invalid(errmsg("bound %s of %s is out of range", decimal, where));
	bound.number = number;
	bound.real = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(number)));
	return bound;
}

static int
compare_bounds(const void *a, const void *b)
{
	const PgcreditBound *x = a;
	const PgcreditBound *y = b;

	if (x->number != NULL)
		return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(x->number),
												 NumericGetDatum(y->number)));
	return (x->floor > y->floor) - (x->floor < y->floor);
}

/*
 * A bound or set value of the characteristic's type.  A date must be written
 * as ISO 8601 has it (YYYY-MM-DD), whatever DateStyle says.
 */
static PgcreditBound
json_bound(const AttributeReader *g, JsonbValue *value)
{
	PgcreditBound bound = {0};

	if (g->c->type == PGCREDIT_NUMBER && value->type == jbvNumeric)
		return number_bound(DatumGetNumericCopy(NumericGetDatum(value->val.numeric)), g->where);
	bound.exact = true;
	if (g->c->type == PGCREDIT_BOOLEAN && value->type == jbvBool)
	{
		bound.floor = value->val.boolean;
		return bound;
	}
	if (g->c->type == PGCREDIT_DATE && value->type == jbvString)
	{
		char	   *text = pnstrdup(value->val.string.val, value->val.string.len);
		int			y = 0;
		int			m = 0;
		int			d = 0;

		if (strlen(text) == 10 && strspn(text, "0123456789") == 4 && text[4] == '-' &&
			strspn(text + 5, "0123456789") == 2 && text[7] == '-' &&
			strspn(text + 8, "0123456789") == 2)
		{
			y = atoi(text);
			m = atoi(text + 5);
			d = atoi(text + 8);
		}
		if (y >= 1 && m >= 1 && m <= 12 && d >= 1 && d <= day_tab[isleap(y)][m - 1])
		{
			bound.floor = date2j(y, m, d) - POSTGRES_EPOCH_JDATE;
			return bound;
		}
		pgcredit_invalid(errmsg("\"%s\" of %s is not a date", text, g->where),
						 errhint("Write dates as YYYY-MM-DD."));
	}
	pgcredit_invalid(errmsg("a value of %s does not fit the characteristic's data type", g->where));
	return bound;				/* keep compiler quiet */
}

static RawSpan *
add_span(AttributeReader *g, int attribute)
{
	if (g->nspans == g->spans_room)
	{
		g->spans_room = Max(16, g->spans_room * 2);
		g->spans = g->spans == NULL ? palloc(sizeof(RawSpan) * g->spans_room) :
			repalloc(g->spans, sizeof(RawSpan) * g->spans_room);
	}
	memset(&g->spans[g->nspans], 0, sizeof(RawSpan));
	g->spans[g->nspans].attribute = attribute;
	return &g->spans[g->nspans++];
}

static char *
json_label(JsonbValue *value)
{
	if (value == NULL)
		return NULL;
	if (value->type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out,
												   NumericGetDatum(value->val.numeric)));
	if (value->type == jbvBool)
		return pstrdup(value->val.boolean ? "true" : "false");
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static void
read_interval(AttributeReader *g, int attribute, JsonbContainer *object)
{
	PgcreditCharacteristic *c = g->c;
	JsonbValue	low_buffer;
	JsonbValue	high_buffer;
	JsonbValue *low = pgcredit_json_key(object, "low", g->where, &low_buffer);
	JsonbValue *high = pgcredit_json_key(object, "high", g->where, &high_buffer);
	char	   *closure = pgcredit_json_text(object, "closure", g->where, true);
	RawSpan    *span;
	int			which = 0;
	bool		low_closed;
	bool		high_closed;
	int			order = -1;

	if (c->type != PGCREDIT_NUMBER && c->type != PGCREDIT_DATE)
		pgcredit_invalid(errmsg("%s is an interval, but its characteristic is no number or date", g->where));
	while (closures[which] != NULL && strcmp(closures[which], closure) != 0)
		which++;
	if (closures[which] == NULL)
		pgcredit_invalid(errmsg("\"closure\" of %s has an unknown value: \"%s\"", g->where, closure),
						 errhint("Closures are closedOpen, openClosed, openOpen and closedClosed."));
	low_closed = which == 0 || which == 3;
	high_closed = which == 1 || which == 3;
	span = add_span(g, attribute);
	span->has_low = low != NULL;
	span->has_high = high != NULL;
	if (low != NULL)
		span->low = json_bound(g, low);
	if (high != NULL)
		span->high = json_bound(g, high);
	span->low_after = !low_closed;
	span->high_after = high_closed;
	if (low != NULL && high != NULL)
		order = compare_bounds(&span->low, &span->high);
	if (order > 0 || (order == 0 && which != 3))
		pgcredit_invalid(errmsg("%s is an empty interval", g->where));
	c->attributes[attribute].label =
		psprintf("%c%s, %s%c", low_closed && low != NULL ? '[' : '(',
				 low == NULL ? "-inf" : json_label(low),
				 high == NULL ? "inf" : json_label(high),
				 high_closed && high != NULL ? ']' : ')');
}

static void
read_set(AttributeReader *g, int attribute, JsonbContainer *object)
{
	PgcreditCharacteristic *c = g->c;
	JsonbContainer *list = pgcredit_json_array(object, "values", g->where, true);
	uint32		n = JsonContainerSize(list);
	StringInfoData label;

	if (n == 0)
		pgcredit_invalid(errmsg("%s is an empty set", g->where));
	initStringInfo(&label);
	for (uint32 i = 0; i < n; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(list, i);

		CHECK_FOR_INTERRUPTS();
		if (c->type == PGCREDIT_TEXT)
		{
			PgcreditWord *word;

			if (value->type != jbvString)
				pgcredit_invalid(errmsg("a value of %s does not fit the characteristic's data type", g->where));
			if (g->nwords == g->words_room)
			{
				g->words_room = Max(16, g->words_room * 2);
				g->words = g->words == NULL ? palloc(sizeof(PgcreditWord) * g->words_room) :
					repalloc(g->words, sizeof(PgcreditWord) * g->words_room);
			}
			word = &g->words[g->nwords++];
			word->bytes = pnstrdup(value->val.string.val, value->val.string.len);
			word->len = value->val.string.len;
			word->attribute = attribute;
		}
		else
		{
			PgcreditBound bound = json_bound(g, value);
			RawSpan    *span = add_span(g, attribute);

			span->has_low = span->has_high = true;
			span->low = span->high = bound;
			span->high_after = true;
		}
		appendStringInfo(&label, "%s%s", i == 0 ? "{" : ", ", json_label(value));
	}
	appendStringInfoChar(&label, '}');
	c->attributes[attribute].label = label.data;
}

static int
find_bound(const PgcreditCharacteristic *c, const PgcreditBound *bound)
{
	const PgcreditBound *found = bsearch(bound, c->bounds, c->nbounds,
										 sizeof(PgcreditBound), compare_bounds);

	Assert(found != NULL);
	return (int) (found - c->bounds);
}

/*
 * Does a later span reach into an earlier one?  Marks what the analyst should
 * look at before publishing; first match wins all the same.
 */
static void
note_overlaps(PgcreditCharacteristic *c, const PgcreditSpan *spans, int n)
{
	for (int i = 1; i < n; i++)
	{
		for (int j = 0; j < i; j++)
		{
			if (spans[i].attribute != spans[j].attribute &&
				spans[i].lo < spans[j].hi && spans[j].lo < spans[i].hi)
			{
				c->overlaps++;
				break;
			}
		}
	}
}

/*
 * Rank the bounds and turn the spans into segments.
 */
static void
build_segments(AttributeReader *g)
{
	PgcreditCharacteristic *c = g->c;
	PgcreditSpan *spans = palloc(sizeof(PgcreditSpan) * Max(g->nspans, 1));
	int			n = 0;

	c->bounds = palloc(sizeof(PgcreditBound) * Max(2 * g->nspans, 1));
	for (int i = 0; i < g->nspans; i++)
	{
		if (g->spans[i].has_low)
			c->bounds[n++] = g->spans[i].low;
		if (g->spans[i].has_high)
			c->bounds[n++] = g->spans[i].high;
	}
	qsort(c->bounds, n, sizeof(PgcreditBound), compare_bounds);
	for (int i = 0; i < n; i++)
	{
		if (c->nbounds == 0 || compare_bounds(&c->bounds[c->nbounds - 1], &c->bounds[i]) != 0)
			c->bounds[c->nbounds++] = c->bounds[i];
	}
	for (int i = 0; i < g->nspans; i++)
	{
		const RawSpan *raw = &g->spans[i];

		CHECK_FOR_INTERRUPTS();
		spans[i].lo = raw->has_low ? 2 * find_bound(c, &raw->low) + raw->low_after : PGCREDIT_SPAN_MIN;
		spans[i].hi = raw->has_high ? 2 * find_bound(c, &raw->high) + raw->high_after : PGCREDIT_SPAN_MAX;
		spans[i].attribute = raw->attribute;
	}
	c->cuts = palloc(sizeof(int) * Max(2 * g->nspans, 1));
	c->segments = palloc(sizeof(int) * (2 * g->nspans + 1));
	c->ncuts = pgcredit_build_segments(spans, g->nspans, c->cuts, c->segments);
	note_overlaps(c, spans, g->nspans);
}

static void
build_words(AttributeReader *g)
{
	PgcreditCharacteristic *c = g->c;

	c->places = pgcredit_word_places(g->nwords);
	c->words = palloc0(sizeof(PgcreditWord) * c->places);
	for (int p = 0; p < c->places; p++)
		c->words[p].len = -1;
	for (int w = 0; w < g->nwords; w++)
	{
		if (!pgcredit_add_word(c->words, c->places, g->words[w].bytes, g->words[w].len,
							   g->words[w].attribute) &&
			pgcredit_find_word(c->words, c->places, g->words[w].bytes,
							   g->words[w].len) != g->words[w].attribute)
			c->overlaps++;
	}
}

static void
note_gaps(PgcreditCharacteristic *c)
{
	if (c->other != PGCREDIT_NO_ATTRIBUTE)
		return;
	if (c->type == PGCREDIT_TEXT)
		c->gaps = true;
	else if (c->type == PGCREDIT_BOOLEAN)
		c->gaps = c->nbounds < 2;
	else
	{
		for (int s = 0; s <= c->ncuts; s++)
			c->gaps = c->gaps || c->segments[s] == PGCREDIT_NO_ATTRIBUTE;
	}
}

/*
 * Points are a number or an expression, which may have a default.
 */
static void
read_points(PgcreditAttribute *attribute, JsonbContainer *object, const char *where)
{
	bool		fixed = pgcredit_json_points(object, "points", where, &attribute->points);
	JsonbValue	buffer;

	if (pgcredit_json_key(object, "expression", where, &buffer) == NULL)
	{
		if (!fixed)
			pgcredit_invalid(errmsg("%s has no \"points\"", where));
		if (pgcredit_json_key(object, "default", where, &buffer) != NULL)
			pgcredit_invalid(errmsg("%s has a \"default\", but no expression", where));
		return;
	}
	if (fixed)
		pgcredit_invalid(errmsg("%s has both points and an expression", where));
	attribute->expression = pgcredit_expression_read(object, "expression", where);
	attribute->has_default = pgcredit_json_points(object, "default", where, &attribute->points);
}

static void
read_attribute(AttributeReader *g, int a, JsonbContainer *object)
{
	PgcreditCharacteristic *c = g->c;
	PgcreditAttribute *attribute = &c->attributes[a];
	char	   *kind;
	int			which = 0;
	JsonbValue	buffer;

	pgcredit_json_only(object, g->where, attribute_keys);
	kind = pgcredit_json_text(object, "kind", g->where, true);
	while (kind_names[which] != NULL && strcmp(kind_names[which], kind) != 0)
		which++;
	if (kind_names[which] == NULL)
		pgcredit_invalid(errmsg("\"kind\" of %s has an unknown value: \"%s\"", g->where, kind),
						 errhint("Kinds are interval, set, missing and other."));
	attribute->kind = (PgcreditAttributeKind) which;
	read_points(attribute, object, g->where);
	if (which != PGCREDIT_INTERVAL &&
		(pgcredit_json_key(object, "low", g->where, &buffer) != NULL ||
		 pgcredit_json_key(object, "high", g->where, &buffer) != NULL ||
		 pgcredit_json_key(object, "closure", g->where, &buffer) != NULL))
		pgcredit_invalid(errmsg("%s has a bound or closure, but is no interval", g->where));
	if (which != PGCREDIT_SET && pgcredit_json_key(object, "values", g->where, &buffer) != NULL)
		pgcredit_invalid(errmsg("%s has values, but is no set", g->where));
	if (c->other != PGCREDIT_NO_ATTRIBUTE && which != PGCREDIT_MISSING)
		pgcredit_invalid(errmsg("%s stands after \"other\" and can never match", g->where));
	attribute->label = kind;
	if (which == PGCREDIT_INTERVAL)
		read_interval(g, a, object);
	else if (which == PGCREDIT_SET)
		read_set(g, a, object);
	else if (which == PGCREDIT_OTHER)
		c->other = a;
	else if (c->missing == PGCREDIT_NO_ATTRIBUTE)
		c->missing = a;
	else
		pgcredit_invalid(errmsg("%s is a second \"missing\" and can never match", g->where));
	if (attribute->expression != NULL)
		attribute->label = psprintf("%s: %s", attribute->label, attribute->expression->text);
}

/*
 * Read the attributes of a characteristic whose name and type are set, and
 * compile them.  Reason codes are the caller's.  Raises PC402.
 */
void
pgcredit_characteristic_build(PgcreditCharacteristic *c, const char *where,
							  JsonbContainer *list)
{
	AttributeReader		g = {0};
	bool	   *reached;

	c->nattributes = (int) JsonContainerSize(list);
	if (c->nattributes < 1 || c->nattributes > PGCREDIT_MAX_ATTRIBUTES)
		pgcredit_invalid(errmsg("%s has %d attributes", where, c->nattributes),
						 errdetail("A characteristic has 1 to %d attributes.", PGCREDIT_MAX_ATTRIBUTES));
	c->attributes = palloc0(sizeof(PgcreditAttribute) * c->nattributes);
	c->missing = c->other = PGCREDIT_NO_ATTRIBUTE;
	g.c = c;
	for (int a = 0; a < c->nattributes; a++)
	{
		g.where = psprintf("attribute %d of %s", a + 1, where);
		read_attribute(&g, a, pgcredit_json_element(list, a, g.where));
	}
	if (g.nspans > PGCREDIT_MAX_ATTRIBUTES)
		pgcredit_invalid(errmsg("%s has more than %d values", where, PGCREDIT_MAX_ATTRIBUTES));
	build_segments(&g);
	build_words(&g);
	note_gaps(c);

	/* an attribute behind others that cover it whole is a mistake in the card */
	reached = palloc0(sizeof(bool) * c->nattributes);
	for (int s = 0; s <= c->ncuts; s++)
	{
		if (c->segments[s] != PGCREDIT_NO_ATTRIBUTE)
			reached[c->segments[s]] = true;
	}
	for (int p = 0; p < c->places; p++)
	{
		if (c->words[p].len >= 0)
			reached[c->words[p].attribute] = true;
	}
	for (int a = 0; a < c->nattributes; a++)
	{
		if (!reached[a] && (c->attributes[a].kind == PGCREDIT_INTERVAL ||
							c->attributes[a].kind == PGCREDIT_SET))
			pgcredit_invalid(errmsg("attribute %d of %s can never match", a + 1, where),
							 errdetail("Attributes before it take all of its values."));
	}
}

/*
 * What needs the whole card: the scores it can give, and grade bands that
 * leave none of them out and take none twice.
 */
void
pgcredit_card_finish(PgcreditCard *card)
{
	card->least = card->most = card->initial;
	for (int i = 0; i < card->ncharacteristics; i++)
	{
		PgcreditCharacteristic *c = &card->characteristics[i];
		int64		least = PGCREDIT_MAX_POINTS;
		int64		most = -PGCREDIT_MAX_POINTS;

		for (int a = 0; a < c->nattributes; a++)
		{
			bool		computed = c->attributes[a].expression != NULL;

			least = Min(least, computed ? -PGCREDIT_MAX_POINTS : c->attributes[a].points);
			most = Max(most, computed ? PGCREDIT_MAX_POINTS : c->attributes[a].points);
		}
		card->least += least;
		card->most += most;
	}
	for (int b = 1; b < card->nbands; b++)
	{
		if (card->bands[b - 1].high != card->bands[b].low)
			pgcredit_invalid(errmsg("grades \"%s\" and \"%s\" %s", card->bands[b - 1].grade,
									card->bands[b].grade,
									card->bands[b - 1].high > card->bands[b].low ? "overlap" : "leave a gap"));
	}
	if (card->nbands > 0 &&
		(card->bands[0].low > pgcredit_score_real(card->least) ||
		 card->bands[card->nbands - 1].high <= pgcredit_score_real(card->most)))
		pgcredit_invalid(errmsg("the grades do not cover every score of the model"),
						 errdetail("Its scores lie between %g and %g.",
								   pgcredit_score_real(card->least), pgcredit_score_real(card->most)),
						 errhint("Leave out \"low\" of the lowest grade and \"high\" of the highest."));
}
