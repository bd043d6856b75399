/*
 * fit_rows.c
 *		credit._fit_rows: split delivered rows into identifiers, dates and a
 *		payload that fits the category's schema, or say why they do not fit.
 *
 * A row that is wrong comes back with its reason in place of an error, so that
 * a whole chunk is one set-based statement and no subtransaction is needed for
 * the bad ones.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/core.h"
#include "registry/fit_schema.h"
#include "registry/registry.h"
#include "registry/text_kernel.h"

PG_FUNCTION_INFO_V1(pgcredit_fit_rows);

/* Result columns of credit._fit_rows, in order. */
enum
{
	COL_ROW_NO,
	COL_SQLSTATE,
	COL_REASON,
	COL_DETAIL,
	COL_USCC,
	COL_RESIDENT,
	COL_SUBJECT,
	COL_DATED,
	COL_FROM,
	COL_TO,
	COL_POLARITY,
	COL_SOURCE_KEY,
	COL_PAYLOAD,
	NCOLS
};

/* What the rows are about; decides which keys are ours and not the schema's. */
#define OF_RECORD	0x01
#define OF_SUBJECT	0x02
#define OF_REGION	0x04

static const struct
{
	const char *name;
	int			col;
	int			modes;
}			reserved[] = {
	{"uscc", COL_USCC, OF_RECORD | OF_SUBJECT},
	{PGCREDIT_RESIDENT_KEY, COL_RESIDENT, OF_RECORD | OF_SUBJECT},
	{"subject_id", COL_SUBJECT, OF_RECORD},
	{"dated", COL_DATED, OF_RECORD},
	{"valid_from", COL_FROM, OF_RECORD | OF_REGION},
	{"valid_to", COL_TO, OF_RECORD | OF_REGION},
	{"polarity", COL_POLARITY, OF_RECORD},
	{"source_key", COL_SOURCE_KEY, OF_RECORD},
	{"payload", COL_PAYLOAD, OF_RECORD},
};

/* Bytes: source_key is part of a btree key; a payload is a fact, not a file. */
#define MAX_SOURCE_KEY	500
#define MAX_PAYLOAD		65536

typedef struct FitState
{
	const FitSchema *schema;
	int			mode;
	bool	   *seen;			/* one per field of the schema */
	FitFault	fault;
	JsonbParseState *payload;
	Datum		values[NCOLS];
	bool		nulls[NCOLS];
} FitState;

static void
put_text(FitState *state, int col, const char *str, int len)
{
	state->values[col] = PointerGetDatum(cstring_to_text_with_len(str, len));
	state->nulls[col] = false;
}

/*
 * A field of the payload: fitted to the schema, or kept as it is when the
 * schema is open and does not name it.
 */
static void
fit_field(FitState *state, JsonbValue *name, JsonbValue *given)
{
	int			at = pgcredit_fit_schema_find(state->schema, name->val.string.val,
											  name->val.string.len);
	JsonbValue	fitted;

	if (at >= 0)
	{
		if (state->seen[at])
			pgcredit_fit_refuse(&state->fault, "PC301", "It stands in the row and in its payload.",
								"field \"%s\" is given twice", state->schema->fields[at].name);
		else if (pgcredit_fit_value(&state->schema->fields[at], given, &fitted, &state->fault))
		{
			state->seen[at] = true;
			pushJsonbValue(&state->payload, WJB_KEY, name);
			pushJsonbValue(&state->payload, WJB_VALUE, &fitted);
		}
		return;
	}
	if (!state->schema->open)
	{
		/* an empty column of a staging table is no fault */
		if (given->type != jbvNull)
			pgcredit_fit_refuse(&state->fault, "PC301", "The schema is closed: it names every field that a row may have.",
								"field \"%.*s\" is unknown", name->val.string.len, name->val.string.val);
		return;
	}
	if (given->type == jbvNull)
		return;
	if (pgcredit_fit_holds_resident(given) || pgcredit_fit_holds_resident(name))
	{
		pgcredit_fit_refuse(&state->fault, "PC301",
							"Resident identity numbers are given under the key resident_id only; they are never stored in clear.",
							"field \"%.*s\" carries a resident identity number",
							name->val.string.len, name->val.string.val);
		return;
	}
	pushJsonbValue(&state->payload, WJB_KEY, name);
	pushJsonbValue(&state->payload, WJB_VALUE, given);
}

static void
fit_nested_payload(FitState *state, JsonbValue *given)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	name;
	JsonbValue	value;

	if (given->type == jbvNull)
		return;
	if (given->type != jbvBinary || !JsonContainerIsObject(given->val.binary.data))
	{
		pgcredit_fit_refuse(&state->fault, "PC301", NULL, "field \"payload\" must be an object");
		return;
	}
	it = JsonbIteratorInit(given->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &name, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &value, true);
		fit_field(state, &name, &value);
	}
}

/*
 * One of our own keys.  Identifiers come back as text: whether they are valid
 * is asked of their types, by the statement that looks the subject up.
 */
static void
fit_reserved(FitState *state, int which, JsonbValue *given)
{
	int			col = reserved[which].col;
	const char *name = reserved[which].name;
	int			len;
	char	   *str;
	DateADT		day;

	if (col == COL_PAYLOAD)
	{
		fit_nested_payload(state, given);
		return;
	}
	if (given->type == jbvBinary)
	{
		pgcredit_fit_refuse(&state->fault, "PC301", NULL, "field \"%s\" must be a single value", name);
		return;
	}
	str = pgcredit_fit_scalar_text(given, &len);
	if (str == NULL)
		return;
	switch (col)
	{
		case COL_DATED:
		case COL_FROM:
		case COL_TO:
			if (!pgcredit_fit_date(name, strlen(name), given, &day, &state->fault))
				return;
			state->values[col] = DateADTGetDatum(day);
			state->nulls[col] = false;
			return;
		case COL_SUBJECT:
			if (!pgcredit_text_is_number(str, len, true) || len > 18)
			{
				pgcredit_fit_refuse(&state->fault, "22P02", NULL, "field \"%s\" is not a subject number", name);
				return;
			}
			state->values[col] = Int64GetDatum(strtoi64(pnstrdup(str, len), NULL, 10));
			state->nulls[col] = false;
			return;
		case COL_SOURCE_KEY:
			if (len > MAX_SOURCE_KEY)
				pgcredit_fit_refuse(&state->fault, "22001", "A source key has at most 500 bytes.",
									"field \"%s\" is too long", name);
			else if (pgcredit_text_find_resident(str, len, 0) != PGCREDIT_NOT_FOUND)
				pgcredit_fit_refuse(&state->fault, "PC301",
									"Resident identity numbers are given under the key resident_id only; they are never stored in clear.",
									"field \"%s\" carries a resident identity number", name);
			break;
		case COL_POLARITY:
			if (!(len == 8 && memcmp(str, "positive", len) == 0) &&
				!(len == 7 && (memcmp(str, "neutral", len) == 0 || memcmp(str, "adverse", len) == 0)))
				pgcredit_fit_refuse(&state->fault, "PC301", "Polarity is positive, neutral or adverse.",
									"field \"%s\" has a value outside its code list", name);
			break;
	}
	put_text(state, col, str, len);
}

static int
find_reserved(const JsonbValue *name, int mode)
{
	int			i;

	for (i = 0; i < (int) lengthof(reserved); i++)
	{
		if ((reserved[i].modes & mode) != 0 &&
			(int) strlen(reserved[i].name) == name->val.string.len &&
			memcmp(reserved[i].name, name->val.string.val, name->val.string.len) == 0)
			return i;
	}
	return -1;
}

static void
check_whole_row(FitState *state)
{
	int			i;

	for (i = 0; i < state->schema->nfields; i++)
	{
		if (state->schema->fields[i].required && !state->seen[i])
			pgcredit_fit_refuse(&state->fault, "PC301", NULL,
								"field \"%s\" is required", state->schema->fields[i].name);
	}
	if (state->mode == OF_RECORD && state->nulls[COL_DATED])
		pgcredit_fit_refuse(&state->fault, "PC301", "A record is a dated fact.", "field \"dated\" is required");
	if (!state->nulls[COL_FROM] && !state->nulls[COL_TO] &&
		DatumGetDateADT(state->values[COL_TO]) <= DatumGetDateADT(state->values[COL_FROM]))
		pgcredit_fit_refuse(&state->fault, "PC301", "Validity is the half-open interval [valid_from, valid_to).",
							"field \"valid_to\" is not after \"valid_from\"");
}

/*
 * Fit one row into state->values.  Everything is allocated in the current
 * context, which the caller resets for each row.
 */
static void
fit_row(FitState *state, const Jsonb *row)
{
	JsonbContainer *root = (JsonbContainer *) &row->root;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	name;
	JsonbValue	value;

	if (!JsonContainerIsObject(root))
	{
		pgcredit_fit_refuse(&state->fault, "PC301", NULL, "row is not an object");
		return;
	}
	pushJsonbValue(&state->payload, WJB_BEGIN_OBJECT, NULL);
	it = JsonbIteratorInit(root);
	while ((token = JsonbIteratorNext(&it, &name, true)) != WJB_DONE)
	{
		int			which;

		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &value, true);
		which = find_reserved(&name, state->mode);
		if (which >= 0)
			fit_reserved(state, which, &value);
		else
			fit_field(state, &name, &value);
	}
	check_whole_row(state);
	if (state->fault.sqlstate == NULL)
	{
		Jsonb	   *payload = JsonbValueToJsonb(pushJsonbValue(&state->payload, WJB_END_OBJECT, NULL));

		if (VARSIZE(payload) > MAX_PAYLOAD)
			pgcredit_fit_refuse(&state->fault, "54000", "The payload of a record has at most 64 kB.",
								"row is too large");
		state->values[COL_PAYLOAD] = JsonbPGetDatum(payload);
		state->nulls[COL_PAYLOAD] = false;
	}
}

static int
mode_of_name(const text *name)
{
	const char *str = text_to_cstring(name);

	if (strcmp(str, "record") == 0)
		return OF_RECORD;
	if (strcmp(str, "subject") == 0)
		return OF_SUBJECT;
	if (strcmp(str, "region") == 0)
		return OF_REGION;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown kind of rows \"%s\"", str)));
}

/*
 * credit._fit_rows(given jsonb[], about text, schema jsonb) returns a table:
 * one line for each row, numbered from 1, with either sqlstate, reason and
 * detail, or the fitted columns (both may be set: what was fitted before the
 * fault was met).  Raises only for a broken schema or an unknown "about".
 */
Datum
pgcredit_fit_rows(PG_FUNCTION_ARGS)
{
	ArrayType  *given = PG_GETARG_ARRAYTYPE_P(0);
	int			mode = mode_of_name(PG_GETARG_TEXT_PP(1));
	FitSchema  *schema = pgcredit_fit_schema_compile(PG_GETARG_JSONB_P(2));
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool	   *seen = palloc_array(bool, Max(schema->nfields, 1));
	MemoryContext row_context;
	ArrayIterator it;
	Datum		row;
	bool		isnull;
	int32		row_no = 0;

	InitMaterializedSRF(fcinfo, 0);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "credit._fit_rows row",
										ALLOCSET_DEFAULT_SIZES);
	it = array_create_iterator(given, 0, NULL);
	while (array_iterate(it, &row, &isnull))
	{
		MemoryContext old = MemoryContextSwitchTo(row_context);
		FitState	state;

		CHECK_FOR_INTERRUPTS();
		memset(&state, 0, sizeof(state));
		memset(state.nulls, true, sizeof(state.nulls));
		memset(seen, 0, sizeof(bool) * schema->nfields);
		state.schema = schema;
		state.mode = mode;
		state.seen = seen;

		if (isnull)
			pgcredit_fit_refuse(&state.fault, "PC301", NULL, "row is not an object");
		else
			fit_row(&state, DatumGetJsonbP(row));
		state.values[COL_ROW_NO] = Int32GetDatum(++row_no);
		state.nulls[COL_ROW_NO] = false;
		if (state.fault.sqlstate != NULL)
		{
			put_text(&state, COL_SQLSTATE, state.fault.sqlstate, strlen(state.fault.sqlstate));
			put_text(&state, COL_REASON, state.fault.reason, strlen(state.fault.reason));
			if (state.fault.detail != NULL)
				put_text(&state, COL_DETAIL, state.fault.detail, strlen(state.fault.detail));
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, state.values, state.nulls);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_context);
	}
	array_free_iterator(it);
	return (Datum) 0;
}
