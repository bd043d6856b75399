/*
 * mask.c
 *		Which fields of a category are above the clearance of an institution, and
 *		what is shown instead.
 *
 * A field has the level that the schema gives it, or its category's.  A member
 * of a payload that the schema does not name has its category's.  Rules are
 * kept by each session until the directory is read again; a change of levels or
 * of a clearance binds every access opened after its commit, like the rest of
 * the directory.  What this transaction changed itself and could take back
 * permits nothing: such a category is covered whole.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "consent/consent_internal.h"
#include "consent/mask.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_covered);

typedef struct MaskField
{
	const char *name;
	int			len;
	bool		covered;
	FieldSort	sort;
} MaskField;

typedef struct MaskRule
{
	int16		category_id;
	int			clearance;
	bool		covers_rest;	/* members that the schema does not name */
	int			n_fields;
	MaskField  *fields;
	ArrayType  *covered;		/* names of the covered fields */
	struct MaskRule *next;
} MaskRule;

static MemoryContext rules_context = NULL;
static MaskRule *rules = NULL;
static uint64 rules_version = 0;

/*
 * The clearance of the institution that the role is; 0, so that everything is
 * covered, when it is none.
 */
static int
clearance_of(Oid role)
{
	const Institution *institution = pgcredit_institution_of(role);

	return institution ? institution->clearance : 0;
}

static FieldSort
sort_of(const char *type)
{
	if (strcmp(type, "text") == 0)
		return FIELD_TEXT;
	if (strcmp(type, "code") == 0)
		return FIELD_CODE;
	return FIELD_OTHER;
}

/*
 * Read a rule, as the owner and with the latest snapshot, in SPI.
 */
static void
load_rule(MaskRule *rule, bool whole)
{
	static const char *const sql =
		"SELECT f.key, f.value ->> 'type', $3 OR coalesce((f.value -> 'level')::smallint, c.level) > $2, $3 OR c.level > $2"
		" FROM credit.category c LEFT JOIN LATERAL jsonb_each(c.schema -> 'fields') f ON true"
		" WHERE c.category_id = $1 ORDER BY f.key COLLATE \"C\"";
	Oid			types[3] = {INT2OID, INT4OID, BOOLOID};
	Datum		args[3];
	Datum	   *covered;
	int			n_covered = 0;
	PgcreditOwner saved;
	MemoryContext old;
	int			ret;

	args[0] = Int16GetDatum(rule->category_id);
	args[1] = Int32GetDatum(rule->clearance);
	args[2] = BoolGetDatum(whole);
	pgcredit_owner_begin(&saved);
	PushActiveSnapshot(IsInParallelMode() ? GetActiveSnapshot() : GetLatestSnapshot());
	ret = SPI_execute_with_args(sql, 3, types, args, NULL, true, 0);
	PopActiveSnapshot();
	pgcredit_owner_end(&saved);
	if (ret != SPI_OK_SELECT)
		elog(ERROR, "could not read the levels of a category: %s", SPI_result_code_string(ret));

	rule->covers_rest = true;
	old = MemoryContextSwitchTo(rules_context);
	rule->fields = palloc0(Max(1, SPI_processed) * sizeof(MaskField));
	covered = palloc(Max(1, SPI_processed) * sizeof(Datum));
	for (uint64 k = 0; k < SPI_processed; k++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[k];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *name = SPI_getvalue(tuple, desc, 1);
		char	   *type = SPI_getvalue(tuple, desc, 2);
		MaskField  *field = &rule->fields[rule->n_fields];
		bool		isnull;

		rule->covers_rest = DatumGetBool(SPI_getbinval(tuple, desc, 4, &isnull));
		if (name == NULL)
			continue;			/* a schema without fields */
		field->name = pstrdup(name);
		field->len = strlen(name);
		field->covered = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
		field->sort = sort_of(type ? type : "");
		if (field->covered)
			covered[n_covered++] = CStringGetTextDatum(name);
		rule->n_fields++;
	}
	rule->covered = construct_array(covered, n_covered, TEXTOID, -1, false, TYPALIGN_INT);
	MemoryContextSwitchTo(old);
}

/*
 * The rule for a category and a clearance; owned by this file, valid until the
 * directory is read again.
 */
static const MaskRule *
find_rule(int16 category_id, int clearance)
{
	MaskRule   *rule;

	if (rules_version != pgcredit_directory_version())
	{
		if (rules_context == NULL)
			rules_context = AllocSetContextCreate(TopMemoryContext, "pgcredit masks", ALLOCSET_SMALL_SIZES);
		MemoryContextReset(rules_context);
		rules = NULL;
		rules_version = pgcredit_directory_version();
	}
	for (rule = rules; rule != NULL; rule = rule->next)
		if (rule->category_id == category_id && rule->clearance == clearance)
			return rule;

	rule = MemoryContextAllocZero(rules_context, sizeof(MaskRule));
	rule->category_id = category_id;
	rule->clearance = clearance;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	load_rule(rule, pgcredit_category_highest(category_id) > MAX_LEVEL);
	SPI_finish();
	rule->next = rules;
	rules = rule;
	return rule;
}

/*
 * The categories of which the role that asks may not see whole payloads.  What
 * the request is about is read now, with the directory fresh: while a statement
 * runs in parallel nothing can be read with a newer snapshot.
 */
void
pgcredit_covered_categories(const Request *request, CategorySet *set)
{
	int			clearance = clearance_of(request->role);

	memset(set, 0, sizeof(CategorySet));
	for (int id = 1; id <= MAX_CATEGORY; id++)
		if (pgcredit_category_highest(id) > clearance)
			category_set_add(set, id);
	for (int c = 0; c < request->n_categories; c++)
		if (category_set_has(set, request->category_ids[c]))
			(void) find_rule(request->category_ids[c], clearance);
}

/*
 * credit._covered(category_id smallint) returns text[]: the fields of the
 * category that are above the clearance of the current role; all of them when
 * the role is no institution.
 */
Datum
pgcredit_covered(PG_FUNCTION_ARGS)
{
	int16		category_id = PG_GETARG_INT16(0);
	int			clearance;

	if (!IsInParallelMode())
		pgcredit_directory_refresh();
	clearance = clearance_of(GetUserId());
	if (category_id < 1 || category_id > MAX_CATEGORY || pgcredit_category_highest(category_id) <= clearance)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(TEXTOID));
	/* a copy: the rule may go before the value does */
	PG_RETURN_DATUM(datumCopy(PointerGetDatum(find_rule(category_id, clearance)->covered), false, -1));
}

/*
 * What is shown of a text that is covered: its first character, unless that is
 * all of it, and three stars.  Palloc'd.
 */
char *
pgcredit_cover_text(const char *str, int len)
{
	int			first = len > 0 ? pg_utf_mblen((const unsigned char *) str) : 0;

	if (first >= len)
		first = 0;
	return psprintf("%.*s***", first, str);
}

static void
mask_value(JsonbValue *value, FieldSort sort)
{
	char	   *shown = NULL;

	if (value->type == jbvNull)
		return;
	if (sort == FIELD_CODE)
		shown = "***";
	else if (sort == FIELD_TEXT && value->type == jbvString)
		shown = pgcredit_cover_text(value->val.string.val, value->val.string.len);
	else if (sort == FIELD_TEXT)
		shown = "***";
	if (shown)
	{
		value->type = jbvString;
		value->val.string.val = shown;
		value->val.string.len = strlen(shown);
	}
	else
		value->type = jbvNull;
}

static void
mask_member(const MaskRule *rule, const JsonbValue *key, JsonbValue *value)
{
	for (int k = 0; k < rule->n_fields; k++)
	{
		const MaskField *field = &rule->fields[k];

		if (field->len == key->val.string.len &&
			memcmp(field->name, key->val.string.val, field->len) == 0)
		{
			if (field->covered)
				mask_value(value, field->sort);
			return;
		}
	}
	if (rule->covers_rest)
		mask_value(value, value->type == jbvString ? FIELD_TEXT : FIELD_OTHER);
}

/*
 * The payload of a record as the role may see it: itself, or a copy with the
 * covered members replaced.  A payload that is no object is shown
 * as an empty one.
 */
Datum
pgcredit_mask_payload(Oid role, int16 category_id, Datum payload)
{
	int			clearance = clearance_of(role);
	const MaskRule *rule;
	Jsonb	   *given;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;
	JsonbParseState *state = NULL;

	if (pgcredit_category_highest(category_id) <= clearance)
		return payload;
	rule = find_rule(category_id, clearance);
	given = DatumGetJsonbP(payload);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	it = JsonbIteratorInit(&given->root);
	token = JsonbIteratorNext(&it, &key, true);
	while (token == WJB_BEGIN_OBJECT && JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		if (JsonbIteratorNext(&it, &value, true) != WJB_VALUE)
			elog(ERROR, "jsonb object key without a value");
		mask_member(rule, &key, &value);
		pushJsonbValue(&state, WJB_KEY, &key);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}
