/*
 * card_parse.c
 *		From a model's jsonb definition to a card, checking every part of it.
 *
 * The same code checks a definition that comes in and compiles one that is
 * scored, so what was refused there cannot be evaluated here.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"

#include "rating/card.h"

static const char *const card_keys[] = {
	"name", "title_zh", "title_en", "initial_score", "use_reason_codes",
	"reason_code_algorithm", "baseline_method", "baseline_score",
	"characteristics", "reasons", "grades", "valid_months", "review_months",
	"fields", "outside_grades", "overrides", "caps", "conventions", NULL
};
static const char *const characteristic_keys[] = {
	"name", "field", "data_type", "baseline_score", "reason_code",
	"title_zh", "title_en", "attributes", NULL
};
static const char *const field_keys[] = {"name", "data_type", NULL};
static const char *const data_types[] = {"number", "text", "boolean", "date", NULL};
static const char *const reason_keys[] = {"code", "text_zh", "text_en", NULL};
static const char *const grade_keys[] = {
	"grade", "low", "high", "title_zh", "title_en", NULL
};

static const char *const baseline_methods[] = {
	"max", "min", "mean", "neutral", "other", NULL
};

static void
check_text(JsonbContainer *object, const char *key, const char *where)
{
	char	   *text = pgcredit_json_text(object, key, where, false);

	if (text != NULL)
		pfree(text);
}

/*
 * A number of months, 1 to 120, if it is given.
 */
static void
check_months(JsonbContainer *object, const char *key, const char *where)
{
	Numeric		number = pgcredit_json_number(object, key, where);
	char	   *decimal;

	if (number == NULL)
		return;
	decimal = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	if (strspn(decimal, "0123456789") != strlen(decimal) || strlen(decimal) > 3 ||
		atoi(decimal) < 1 || atoi(decimal) > 120)
		pgcredit_invalid(errmsg("\"%s\" of %s is not a number of months from 1 to 120: %s", key, where, decimal));
}

static void
parse_reasons(PgcreditCard *card, JsonbContainer *list)
{
	card->nreasons = list == NULL ? 0 : (int) JsonContainerSize(list);
	card->reasons = palloc0(sizeof(PgcreditReason) * Max(card->nreasons, 1));
	for (int i = 0; i < card->nreasons; i++)
	{
		PgcreditReason *reason = &card->reasons[i];
		char	   *where = psprintf("reason %d", i + 1);
		JsonbContainer *object = pgcredit_json_element(list, i, where);

		pgcredit_json_only(object, where, reason_keys);
		reason->code = pgcredit_json_text(object, "code", where, true);
		reason->text_zh = pgcredit_json_text(object, "text_zh", where, false);
		reason->text_en = pgcredit_json_text(object, "text_en", where, false);
		for (int j = 0; j < i; j++)
		{
			if (strcmp(card->reasons[j].code, reason->code) == 0)
				pgcredit_invalid(errmsg("reason code \"%s\" is given twice", reason->code));
		}
	}
}

/*
 * Index of an object's reason code among the card's reasons, fallback if it
 * names none.
 */
static int
find_reason(const PgcreditCard *card, JsonbContainer *object, const char *where,
			int fallback)
{
	char	   *code = pgcredit_json_text(object, "reason_code", where, false);

	if (code == NULL)
		return fallback;
	for (int i = 0; i < card->nreasons; i++)
	{
		if (strcmp(card->reasons[i].code, code) == 0)
			return i;
	}
	pgcredit_invalid(errmsg("reason code \"%s\" of %s is not among the reasons", code, where));
	return -1;					/* keep compiler quiet */
}

static double
band_edge(JsonbContainer *object, const char *key, const char *where, double open)
{
	Numeric		number = pgcredit_json_number(object, key, where);

	if (number == NULL)
		return open;
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(number)));
}

static int
compare_bands(const void *a, const void *b)
{
	double		x = ((const PgcreditBand *) a)->low;
	double		y = ((const PgcreditBand *) b)->low;

	return (x > y) - (x < y);
}

static void
parse_bands(PgcreditCard *card, JsonbContainer *list)
{
	card->nbands = list == NULL ? 0 : (int) JsonContainerSize(list);
	card->bands = palloc0(sizeof(PgcreditBand) * Max(card->nbands, 1));
	for (int i = 0; i < card->nbands; i++)
	{
		PgcreditBand *band = &card->bands[i];
		char	   *where = psprintf("grade %d", i + 1);
		JsonbContainer *object = pgcredit_json_element(list, i, where);

		pgcredit_json_only(object, where, grade_keys);
		band->grade = pgcredit_json_text(object, "grade", where, true);
		where = psprintf("grade \"%s\"", band->grade);
		check_text(object, "title_zh", where);
		check_text(object, "title_en", where);
		band->low = band_edge(object, "low", where, -get_float8_infinity());
		band->high = band_edge(object, "high", where, get_float8_infinity());
		if (!(band->low < band->high))
			pgcredit_invalid(errmsg("%s is empty", where),
							 errdetail("A grade takes scores from low, included, to high, not included."));
		for (int j = 0; j < i; j++)
		{
			if (strcmp(card->bands[j].grade, band->grade) == 0)
				pgcredit_invalid(errmsg("%s is given twice", where));
		}
	}
	qsort(card->bands, card->nbands, sizeof(PgcreditBand), compare_bands);
}

static void
parse_characteristic(PgcreditCard *card, int i, JsonbContainer *object,
					 bool has_baseline, int64 baseline)
{
	PgcreditCharacteristic *c = &card->characteristics[i];
	char	   *where = psprintf("characteristic %d", i + 1);
	JsonbContainer *list;
	int			fallback;

	pgcredit_json_only(object, where, characteristic_keys);
	c->name = pgcredit_json_text(object, "name", where, true);
	where = psprintf("characteristic \"%s\"", c->name);
	for (int j = 0; j < i; j++)
	{
		if (strcmp(card->characteristics[j].name, c->name) == 0)
			pgcredit_invalid(errmsg("%s is given twice", where));
	}
	c->field = pgcredit_json_text(object, "field", where, false);
	if (c->field == NULL)
		c->field = c->name;
	if (strlen(c->field) >= NAMEDATALEN)
		pgcredit_invalid(errmsg("\"field\" of %s is too long for a column name", where));
	check_text(object, "title_zh", where);
	check_text(object, "title_en", where);
	c->type = (PgcreditDataType) pgcredit_json_one_of(pgcredit_json_text(object, "data_type", where, true),
										data_types, "data_type", where);
	if (!pgcredit_json_points(object, "baseline_score", where, &c->baseline))
	{
		c->baseline = baseline;
		if (card->use_reasons && !has_baseline)
			pgcredit_invalid(errmsg("%s has no baseline score", where),
							 errhint("Give \"baseline_score\" to the characteristic or the model, or set \"use_reason_codes\" to false."));
	}
	fallback = find_reason(card, object, where, -1);
	list = pgcredit_json_array(object, "attributes", where, true);
	pgcredit_characteristic_build(c, where, list);
	for (int a = 0; a < c->nattributes; a++)
	{
		char	   *at = psprintf("attribute %d of %s", a + 1, where);

		c->attributes[a].reason = find_reason(card, pgcredit_json_element(list, a, at),
											  at, fallback);
		if (card->use_reasons && c->attributes[a].reason < 0)
			pgcredit_invalid(errmsg("%s has no reason code", at),
							 errhint("Give \"reason_code\" to the attribute or the characteristic, or set \"use_reason_codes\" to false."));
	}
}

static void
add_field(PgcreditCard *card, const char *name, PgcreditDataType type)
{
	for (int f = 0; f < card->nfields; f++)
	{
		if (strcmp(card->fields[f].name, name) == 0)
		{
			if (card->fields[f].type != (PgcreditExprType) type)
				card->ambiguous[f] = true;
			return;
		}
	}
	card->fields[card->nfields].name = name;
	card->fields[card->nfields++].type = (PgcreditExprType) type;
}

/*
 * The columns that expressions may read: those of characteristics, and those
 * named in "fields", of which each must be needed.
 */
static void
parse_expressions(PgcreditCard *card, JsonbContainer *root)
{
	JsonbContainer *list = pgcredit_json_array(root, "fields", "the model", false);
	int			n = list == NULL ? 0 : (int) JsonContainerSize(list);
	int			room = card->ncharacteristics + n;
	int			declared;

	if (n > PGCREDIT_MAX_CHARACTERISTICS)
		pgcredit_invalid(errmsg("the model has more than %d fields", PGCREDIT_MAX_CHARACTERISTICS));
	card->fields = palloc0(sizeof(PgcreditExprField) * room);
	card->ambiguous = palloc0(sizeof(bool) * room);
	card->readers = palloc0(sizeof(int) * room);
	for (int i = 0; i < card->ncharacteristics; i++)
		add_field(card, card->characteristics[i].field, card->characteristics[i].type);
	declared = card->nfields;
	for (int i = 0; i < n; i++)
	{
		char	   *where = psprintf("field %d", i + 1);
		JsonbContainer *object = pgcredit_json_element(list, i, where);
		char	   *name;

		pgcredit_json_only(object, where, field_keys);
		name = pgcredit_json_text(object, "name", where, true);
		if (strlen(name) >= NAMEDATALEN)
			pgcredit_invalid(errmsg("\"name\" of %s is too long for a column name", where));
		add_field(card, name, (PgcreditDataType)
				  pgcredit_json_one_of(pgcredit_json_text(object, "data_type", where, true),
									   data_types, "data_type", where));
		if (card->nfields != declared + i + 1)
			pgcredit_invalid(errmsg("field \"%s\" is given twice", name),
							 errdetail("Columns that characteristics read are not named in \"fields\"."));
	}
	for (int i = 0; i < card->ncharacteristics; i++)
	{
		PgcreditCharacteristic *c = &card->characteristics[i];

		for (int a = 0; a < c->nattributes; a++)
		{
			if (c->attributes[a].expression == NULL)
				continue;
			card->expressions = true;
			pgcredit_expression_compile(card, c->attributes[a].expression, PGCREDIT_EXPR_NUMBER, PGCREDIT_READ_BY_POINTS,
										psprintf("attribute %d of characteristic \"%s\"", a + 1, c->name));
		}
	}
	pgcredit_grade_rules_parse(card, root);
	for (int f = declared; f < card->nfields; f++)
	{
		if (card->readers[f] == 0)
			pgcredit_invalid(errmsg("field \"%s\" is read by no expression", card->fields[f].name));
	}
}

/*
 * Read and check a definition.  Everything is allocated in the current memory
 * context; the caller fills in model_id, version and status.  Raises PC402
 * with the place of the mistake.
 */
PgcreditCard *
pgcredit_card_parse(Jsonb *definition)
{
	static const char *const algorithms[] = {"pointsBelow", "pointsAbove", NULL};
	const char *where = "the model";
	JsonbContainer *root = &definition->root;
	PgcreditCard *card = palloc0(sizeof(PgcreditCard));
	JsonbContainer *list;
	char	   *text;
	int64		baseline = 0;
	bool		has_baseline;

	pgcredit_json_only(root, where, card_keys);
	card->name = pgcredit_json_text(root, "name", where, true);
	if (strlen(card->name) > PGCREDIT_MAX_NAME || strchr(card->name, '@') != NULL)
		pgcredit_invalid(errmsg("model name \"%s\" is longer than %d bytes or contains \"@\"",
								card->name, PGCREDIT_MAX_NAME));
	check_text(root, "title_zh", where);
	check_text(root, "title_en", where);
	check_months(root, "valid_months", where);
	check_months(root, "review_months", where);
	if (!pgcredit_json_points(root, "initial_score", where, &card->initial))
		card->initial = 0;
	card->use_reasons = pgcredit_json_bool(root, "use_reason_codes", where, true);
	text = pgcredit_json_text(root, "reason_code_algorithm", where, false);
	card->points_above = text != NULL &&
		pgcredit_json_one_of(text, algorithms, "reason_code_algorithm", where) == 1;
	text = pgcredit_json_text(root, "baseline_method", where, false);
	if (text != NULL)
		pgcredit_json_one_of(text, baseline_methods, "baseline_method", where);
	has_baseline = pgcredit_json_points(root, "baseline_score", where, &baseline);
	parse_reasons(card, pgcredit_json_array(root, "reasons", where, false));
	parse_bands(card, pgcredit_json_array(root, "grades", where, false));

	list = pgcredit_json_array(root, "characteristics", where, true);
	card->ncharacteristics = (int) JsonContainerSize(list);
	if (card->ncharacteristics < 1 || card->ncharacteristics > PGCREDIT_MAX_CHARACTERISTICS)
		pgcredit_invalid(errmsg("the model has %d characteristics", card->ncharacteristics),
						 errdetail("A model has 1 to %d characteristics.", PGCREDIT_MAX_CHARACTERISTICS));
	card->characteristics = palloc0(sizeof(PgcreditCharacteristic) * card->ncharacteristics);
	for (int i = 0; i < card->ncharacteristics; i++)
		parse_characteristic(card, i,
							 pgcredit_json_element(list, i, psprintf("characteristic %d", i + 1)),
							 has_baseline, baseline);
	pgcredit_conventions_parse(card, root);
	parse_expressions(card, root);
	pgcredit_card_finish(card);
	return card;
}
