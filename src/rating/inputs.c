/*
 * inputs.c
 *		The inputs that a rating keeps, as jsonb, with their digest.
 *
 * {"field": {"type": …, "value": …}, …}: the columns that the card reads, each
 * once, with type and exact text of the value, null for a missing one.  Most of
 * it is the same for every row, so it is put together from parts that are made
 * once: jsonb as stored (utils/jsonb.h, unchanged since 9.4), and the canonical
 * text for the digest.  Parsing text into jsonb and jsonb into canonical text
 * again took longer than all else that a rating does.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "core/canonical.h"
#include "crypto/crypto.h"
#include "rating/row.h"

#define TYPE_KEY "type"
#define VALUE_KEY "value"
/* of a field's object: header, two keys, two values */
#define FIELD_HEAD (sizeof(JsonbContainer) + 4 * sizeof(JEntry))

typedef struct Part
{
	PgcreditColumnKind kind;
	int			column;
	const char *name;
	int			name_len;
	const char *type;
	int			type_len;
	char	   *canonical;		/* what stands before the value: "name":{"type":"…","value": */
	int			canonical_len;
} Part;

/* A value's text while a row is put together; NULL for a missing one. */
typedef struct Text
{
	const char *bytes;
	int			len;
} Text;

struct PgcreditInputs
{
	int			n;
	Part	   *parts;			/* in jsonb's order of keys */
	int		   *canonical;		/* parts in the order of RFC 8785 */
	Text	   *texts;			/* of the row at hand */
	Size		fixed;			/* bytes of the jsonb that do not depend on the row */
};

/* jsonb's order: shorter names first. */
static int
by_length(const void *a, const void *b)
{
	const Part *x = a;
	const Part *y = b;

	return x->name_len != y->name_len ? (x->name_len > y->name_len ? 1 : -1) :
		memcmp(x->name, y->name, x->name_len);
}

static int
by_name(const void *a, const void *b, void *parts)
{
	const Part *x = (Part *) parts + *(const int *) a;
	const Part *y = (Part *) parts + *(const int *) b;

	return pgcredit_compare_names(x->name, x->name_len, y->name, y->name_len);
}

/*
 * Add a column to the form unless it is there.
 */
static void
add_part(PgcreditInputs *form, const char *name, PgcreditColumnKind kind, int column)
{
	Part	   *part = &form->parts[form->n];
	StringInfoData text;

	for (int i = 0; i < form->n; i++)
		if (form->parts[i].column == column)
			return;
	form->n++;
	part->kind = kind;
	part->column = column;
	part->name = name;
	part->name_len = strlen(part->name);
	part->type = pgcredit_column_kind_name(kind);
	part->type_len = strlen(part->type);
	initStringInfo(&text);
	escape_json(&text, part->name);
	appendStringInfo(&text, ":{\"" TYPE_KEY "\":\"%s\",\"" VALUE_KEY "\":", part->type);
	part->canonical = text.data;
	part->canonical_len = text.len;
}

/*
 * The form of a bound card's inputs, in the current memory context.
 */
PgcreditInputs *
pgcredit_inputs_form(const PgcreditRow *row)
{
	const PgcreditCard *card = row->card;
	const PgcreditBoundCard *bound = row->bound;
	PgcreditInputs *form = palloc0(sizeof(PgcreditInputs));

	form->parts = palloc0(sizeof(Part) * Max(bound->n + card->nfields, 1));
	for (int i = 0; i < bound->n; i++)
		add_part(form, bound->bindings[i].characteristic->field, bound->bindings[i].kind, bound->bindings[i].column);
	for (int f = 0; f < card->nfields; f++)
		if (bound->field_columns[f] >= 0)
			add_part(form, card->fields[f].name, bound->field_kinds[f], bound->field_columns[f]);
	qsort(form->parts, form->n, sizeof(Part), by_length);
	form->canonical = palloc(sizeof(int) * Max(form->n, 1));
	form->texts = palloc0(sizeof(Text) * Max(form->n, 1));
	form->fixed = VARHDRSZ + sizeof(JsonbContainer) + 2 * form->n * sizeof(JEntry);
	for (int i = 0; i < form->n; i++)
	{
		form->canonical[i] = i;
		/* an object may be preceded by padding */
		form->fixed += form->parts[i].name_len + FIELD_HEAD + strlen(TYPE_KEY) + strlen(VALUE_KEY) +
			form->parts[i].type_len + sizeof(int32);
	}
	qsort_arg(form->canonical, form->n, sizeof(int), by_name, form->parts);
	return form;
}

/* Whether no value of the kind needs an escape. */
static inline bool
plain(PgcreditColumnKind kind)
{
	return kind != PGCREDIT_COLUMN_TEXT && kind != PGCREDIT_COLUMN_BPCHAR;
}

static void
digest_inputs(const PgcreditInputs *form, uint8 *digest)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < form->n; i++)
	{
		const Part *part = &form->parts[form->canonical[i]];
		const Text *text = &form->texts[form->canonical[i]];

		appendStringInfoChar(&out, i == 0 ? '{' : ',');
		appendBinaryStringInfo(&out, part->canonical, part->canonical_len);
		if (text->bytes == NULL)
			appendBinaryStringInfo(&out, "null", 4);
		else if (plain(part->kind))
		{
			appendStringInfoChar(&out, '"');
			appendBinaryStringInfo(&out, text->bytes, text->len);
			appendStringInfoChar(&out, '"');
		}
		else
			escape_json(&out, text->bytes);
		appendStringInfoChar(&out, '}');
	}
	if (form->n == 0)
		appendStringInfoChar(&out, '{');
	appendStringInfoChar(&out, '}');
	pgcredit_sha256(out.data, out.len, digest);
	pfree(out.data);
}

/*
 * Set entry i of a container's entries; some say where they end instead of how
 * long they are, as convertJsonbObject() in jsonb_util.c has it.
 */
static inline void
set_entry(JEntry *entries, int i, uint32 type, uint32 len, uint32 *end)
{
	*end += len;
	entries[i] = type | (i % JB_OFFSET_STRIDE == 0 ? *end | JENTRY_HAS_OFF : len);
}

static inline char *
put(char *at, const char *bytes, int len)
{
	memcpy(at, bytes, len);
	return at + len;
}

/* The object of one field, aligned as its container is; returns where it ends. */
static char *
put_field(char *at, const Part *part, const Text *text)
{
	JsonbContainer *object = (JsonbContainer *) at;
	uint32		end = 0;

	object->header = 2 | JB_FOBJECT;
	set_entry(object->children, 0, JENTRY_ISSTRING, strlen(TYPE_KEY), &end);
	set_entry(object->children, 1, JENTRY_ISSTRING, strlen(VALUE_KEY), &end);
	set_entry(object->children, 2, JENTRY_ISSTRING, part->type_len, &end);
	set_entry(object->children, 3, text->bytes == NULL ? JENTRY_ISNULL : JENTRY_ISSTRING, text->len, &end);
	at += FIELD_HEAD;
	at = put(at, TYPE_KEY, strlen(TYPE_KEY));
	at = put(at, VALUE_KEY, strlen(VALUE_KEY));
	at = put(at, part->type, part->type_len);
	return text->bytes == NULL ? at : put(at, text->bytes, text->len);
}

static Jsonb *
build_jsonb(const PgcreditInputs *form)
{
	Size		size = form->fixed;
	Jsonb	   *jsonb;
	JEntry	   *entries;
	char	   *at;
	uint32		end = 0;

	for (int i = 0; i < form->n; i++)
		size += form->texts[i].len;
	if (size > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the inputs of a rating take more than %d bytes", JENTRY_OFFLENMASK)));
	jsonb = palloc0(size);
	jsonb->root.header = form->n | JB_FOBJECT;
	entries = jsonb->root.children;
	at = (char *) (entries + 2 * form->n);
	for (int i = 0; i < form->n; i++)
	{
		set_entry(entries, i, JENTRY_ISSTRING, form->parts[i].name_len, &end);
		at = put(at, form->parts[i].name, form->parts[i].name_len);
	}
	for (int i = 0; i < form->n; i++)
	{
		char	   *start = at;

		at = put_field((char *) INTALIGN(at), &form->parts[i], &form->texts[i]);
		set_entry(entries, form->n + i, JENTRY_ISCONTAINER, at - start, &end);
	}
	SET_VARSIZE(jsonb, at - (char *) jsonb);
	return jsonb;
}

#ifdef USE_ASSERT_CHECKING
/* That it is byte for byte what jsonb's own functions make of the same. */
static bool
as_jsonb_does(const PgcreditInputs *form, Jsonb *built, const uint8 *digest)
{
	StringInfoData text;
	StringInfoData canonical;
	uint8		expected[PGCREDIT_HASH_BYTES];
	Jsonb	   *read;

	initStringInfo(&text);
	initStringInfo(&canonical);
	appendStringInfoChar(&text, '{');
	for (int i = 0; i < form->n; i++)
	{
		appendStringInfoString(&text, i > 0 ? "," : "");
		escape_json(&text, form->parts[i].name);
		appendStringInfo(&text, ":{\"type\":\"%s\",\"value\":", form->parts[i].type);
		if (form->texts[i].bytes == NULL)
			appendStringInfoString(&text, "null");
		else
			escape_json(&text, form->texts[i].bytes);
		appendStringInfoChar(&text, '}');
	}
	appendStringInfoChar(&text, '}');
	read = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data)));
	pgcredit_canonical_json(&canonical, &read->root, ERRCODE_INTERNAL_ERROR);
	pgcredit_sha256(canonical.data, canonical.len, expected);
	return VARSIZE(read) == VARSIZE(built) && memcmp(read, built, VARSIZE(read)) == 0 &&
		memcmp(expected, digest, sizeof(expected)) == 0;
}
#endif

/*
 * The inputs of a row and the SHA-256 of their canonical form (RFC 8785).
 * Raises program_limit_exceeded (54000) beyond what a jsonb holds.
 */
Jsonb *
pgcredit_inputs_keep(const PgcreditRow *row, PgcreditInputs *form, uint8 *digest)
{
	Jsonb	   *jsonb;

	for (int i = 0; i < form->n; i++)
	{
		const Part *part = &form->parts[i];
		Text	   *text = &form->texts[i];

		text->bytes = row->isnull[part->column] ? NULL :
			pgcredit_value_text(part->kind, row->values[part->column]);
		text->len = text->bytes == NULL ? 0 : strlen(text->bytes);
	}
	digest_inputs(form, digest);
	jsonb = build_jsonb(form);
	Assert(as_jsonb_does(form, jsonb, digest));
	return jsonb;
}
