/*
 * grade_rule.c
 *		What comes after the score: overrides, caps and grades outside of the
 *		order; and the model's conventions.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "rating/card.h"

#define MAX_RULES 200

static const char *const convention_keys[] = {
	"woe_sign", "zero_cell", "interval_closure", "psi_empty_bin", "rounding", NULL
};
static const char *const outside_keys[] = {"grade", "title_zh", "title_en", NULL};
static const char *const rule_keys[] = {
	"when", "grade", "unknown", "title_zh", "title_en", NULL
};

/*
 * A convention that is a word, or where a count may stand instead a positive
 * number.
 */
static void
check_convention(JsonbContainer *object, const char *key, const char *const *words, bool count)
{
	const char *where = "\"conventions\"";
	JsonbValue	buffer;
	JsonbValue *value = pgcredit_json_key(object, key, where, &buffer);

	if (value == NULL)
		return;
	if (count && value->type == jbvNumeric)
	{
		Numeric		zero = int64_to_numeric(0);

		if (DatumGetBool(DirectFunctionCall2(numeric_le, NumericGetDatum(value->val.numeric), NumericGetDatum(zero))))
			pgcredit_invalid(errmsg("\"%s\" of %s is not a positive count", key, where));
		return;
	}
	pgcredit_json_one_of(pgcredit_json_text(object, key, where, true), words, key, where);
}

/*
 * Check the conventions of a model and take the one that scoring needs.
 */
void
pgcredit_conventions_parse(PgcreditCard *card, JsonbContainer *root)
{
	static const char *const signs[] = {"bad_over_good", "good_over_bad", NULL};
	static const char *const cells[] = {"refuse", "zero", NULL};
	static const char *const closures[] = {"closedOpen", "openClosed", NULL};
	static const char *const bins[] = {"refuse", "infinity", "drop", NULL};
	static const char *const roundings[] = {"half_away", "half_even", "half_up", NULL};
	JsonbValue	buffer;
	JsonbValue *value = pgcredit_json_key(root, "conventions", "the model", &buffer);
	JsonbContainer *object;
	char	   *rounding;

	if (value == NULL)
		return;
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		pgcredit_invalid(errmsg("\"conventions\" of the model is not an object"));
	object = value->val.binary.data;
	pgcredit_json_only(object, "\"conventions\"", convention_keys);
	check_convention(object, "woe_sign", signs, false);
	check_convention(object, "zero_cell", cells, true);
	check_convention(object, "interval_closure", closures, false);
	check_convention(object, "psi_empty_bin", bins, true);
	rounding = pgcredit_json_text(object, "rounding", "\"conventions\"", false);
	if (rounding != NULL)
		card->rounding = (PgcreditRounding) pgcredit_json_one_of(rounding, roundings, "rounding", "\"conventions\"");
}

static int
find_band(const PgcreditCard *card, const char *grade)
{
	for (int b = 0; b < card->nbands; b++)
	{
		if (strcmp(card->bands[b].grade, grade) == 0)
			return b;
	}
	return -1;
}

static void
parse_outside(PgcreditCard *card, JsonbContainer *list)
{
	int			n = list == NULL ? 0 : (int) JsonContainerSize(list);

	if (n > MAX_RULES)
		pgcredit_invalid(errmsg("the model has more than %d grades outside of the order", MAX_RULES));
	card->outside = palloc0(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		char	   *where = psprintf("outside grade %d", i + 1);
		JsonbContainer *object = pgcredit_json_element(list, i, where);
		char	   *grade;

		pgcredit_json_only(object, where, outside_keys);
		grade = pgcredit_json_text(object, "grade", where, true);
		pgcredit_json_text(object, "title_zh", where, false);
		pgcredit_json_text(object, "title_en", where, false);
		if (find_band(card, grade) >= 0)
			pgcredit_invalid(errmsg("grade \"%s\" is inside and outside of the order", grade));
		for (int j = 0; j < i; j++)
		{
			if (strcmp(card->outside[j], grade) == 0)
				pgcredit_invalid(errmsg("%s is given twice: \"%s\"", where, grade));
		}
		card->outside[card->noutside++] = grade;
	}
}

static void
parse_rule(PgcreditCard *card, PgcreditGradeRule *rule, JsonbContainer *object, const char *where)
{
	static const char *const unknowns[] = {"refuse", "apply", "skip", NULL};
	char	   *unknown;
	bool		known = false;

	pgcredit_json_only(object, where, rule_keys);
	pgcredit_json_text(object, "title_zh", where, false);
	pgcredit_json_text(object, "title_en", where, false);
	rule->grade = pgcredit_json_text(object, "grade", where, true);
	rule->band = find_band(card, rule->grade);
	for (int i = 0; i < card->noutside && !rule->cap; i++)
		known = known || strcmp(card->outside[i], rule->grade) == 0;
	if (rule->band < 0 && !known)
		pgcredit_invalid(errmsg("grade \"%s\" of %s is not among the grades%s", rule->grade, where,
								rule->cap ? "" : " or the outside grades"),
						 rule->cap ? errdetail("A cap needs a grade that has an order.") : 0);
	unknown = pgcredit_json_text(object, "unknown", where, false);
	if (unknown != NULL)
		rule->unknown = (PgcreditUnknown) pgcredit_json_one_of(unknown, unknowns, "unknown", where);
	rule->when.text = pgcredit_json_text(object, "when", where, true);
	pgcredit_expression_compile(card, &rule->when, PGCREDIT_EXPR_BOOLEAN, PGCREDIT_READ_BY_GRADE, where);
}

/*
 * Read overrides, caps and outside grades of a card whose grades and fields are
 * known.  Raises PC402.
 */
void
pgcredit_grade_rules_parse(PgcreditCard *card, JsonbContainer *root)
{
	JsonbContainer *lists[2];
	int			n = 0;

	parse_outside(card, pgcredit_json_array(root, "outside_grades", "the model", false));
	lists[0] = pgcredit_json_array(root, "overrides", "the model", false);
	lists[1] = pgcredit_json_array(root, "caps", "the model", false);
	for (int k = 0; k < 2; k++)
		n += lists[k] == NULL ? 0 : (int) JsonContainerSize(lists[k]);
	if (n > MAX_RULES)
		pgcredit_invalid(errmsg("the model has more than %d caps and overrides", MAX_RULES));
	if (n + card->noutside > 0 && card->nbands == 0)
		pgcredit_invalid(errmsg("the model has caps, overrides or outside grades, but no grades"));
	card->rules = palloc0(sizeof(PgcreditGradeRule) * Max(n, 1));
	for (int k = 0; k < 2; k++)
	{
		for (int i = 0; lists[k] != NULL && i < (int) JsonContainerSize(lists[k]); i++)
		{
			char	   *where = psprintf("%s %d", k == 0 ? "override" : "cap", i + 1);
			PgcreditGradeRule *rule = &card->rules[card->nrules++];

			rule->cap = k == 1;
			rule->ordinal = i + 1;
			parse_rule(card, rule, pgcredit_json_element(lists[k], i, where), where);
		}
	}
}

/*
 * Does a rule's condition hold for a row?  Raises PC409 if that cannot be
 * said and the rule does not say what then.
 */
static bool
holds(const PgcreditBoundCard *bound, const PgcreditGradeRule *rule, const PgcreditValues *row)
{
	PgcreditExprValue value = pgcredit_expression_run(bound, &rule->when.program, row);

	if (value.state == PGCREDIT_EXPR_KNOWN)
		return value.number != 0;
	if (rule->unknown == PGCREDIT_UNKNOWN_REFUSE)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_RULE_UNKNOWN),
				 errmsg("%s %d cannot be decided: %s", rule->cap ? "cap" : "override", rule->ordinal,
						pgcredit_expression_reason(bound, &rule->when.program, row, value.state)),
				 errdetail("Model \"%s\" version %d, condition \"%s\".", bound->card->name, bound->card->version,
						   rule->when.text),
				 errhint("Publish a version that says \"unknown\": \"apply\" or \"skip\", or supply the value.")));
	return rule->unknown == PGCREDIT_UNKNOWN_APPLY;
}

/*
 * The grade of a row with a score: that of the first override that holds, or
 * else the score's own, no better than any cap that holds allows.
 */
PgcreditGraded
pgcredit_row_grade(const PgcreditBoundCard *bound, const PgcreditValues *row, double score)
{
	const PgcreditCard *card = bound->card;
	PgcreditGraded graded = {0};
	int			band;

	graded.own = graded.grade = pgcredit_card_grade(card, score);
	if (graded.own == NULL)
		return graded;
	band = find_band(card, graded.own);
	for (int r = 0; r < card->nrules; r++)
	{
		const PgcreditGradeRule *rule = &card->rules[r];

		/* what a cap that changes nothing would need to know is not asked for */
		if ((rule->cap && rule->band >= band) || !holds(bound, rule, row))
			continue;
		graded.grade = rule->grade;
		graded.rule = rule;
		if (!rule->cap)
			break;
		band = rule->band;
	}
	return graded;
}
