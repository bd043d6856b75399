/*
 * note.c
 *		Entries that a room writes from SQL: jsonb to canonical JSON.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "audit/audit_internal.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_audit_note);
PG_FUNCTION_INFO_V1(pgcredit_subject_token_sql);

/* RFC 8785 takes numbers as IEEE doubles: integers are exact up to here. */
#define JSON_INTEGER_MAX INT64CONST(9007199254740991)

typedef struct Member
{
	char	   *name;
	char	   *value;			/* canonical bytes */
} Member;

static void append_value(StringInfo buf, JsonbValue *value);

/*
 * Names are compared as UTF-16 code units, which for what we use, and for all
 * below U+10000, is the order of the UTF-8 bytes.
 */
static int
by_name(const void *a, const void *b)
{
	return strcmp(((const Member *) a)->name, ((const Member *) b)->name);
}

/*
 * Members of an object in canonical order; *n is their number.
 */
static Member *
sorted_members(JsonbContainer *object, int extra, int *n)
{
	Member	   *members = palloc((JsonContainerSize(object) + extra) * sizeof(Member));
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	v;
	JsonbIteratorToken token;

	*n = 0;
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			members[*n].name = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE)
		{
			StringInfoData buf;

			initStringInfo(&buf);
			append_value(&buf, &v);
			members[(*n)++].value = buf.data;
		}
	}
	qsort(members, *n, sizeof(Member), by_name);
	return members;
}

static void
append_container(StringInfo buf, JsonbContainer *container)
{
	check_stack_depth();
	if (JsonContainerIsObject(container))
	{
		int			n;
		Member	   *members = sorted_members(container, 0, &n);

		appendStringInfoChar(buf, '{');
		for (int k = 0; k < n; k++)
		{
			if (k > 0)
				appendStringInfoChar(buf, ',');
			pgcredit_json_string(buf, members[k].name);
			appendStringInfo(buf, ":%s", members[k].value);
		}
		appendStringInfoChar(buf, '}');
	}
	else
	{
		JsonbIterator *it = JsonbIteratorInit(container);
		JsonbValue	v;
		JsonbIteratorToken token;
		bool		first = true;

		appendStringInfoChar(buf, '[');
		while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
		{
			if (token != WJB_ELEM)
				continue;
			if (!first)
				appendStringInfoChar(buf, ',');
			first = false;
			append_value(buf, &v);
		}
		appendStringInfoChar(buf, ']');
	}
}

static void
append_value(StringInfo buf, JsonbValue *value)
{
	char	   *text;
	int64		number;

	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(buf, "null");
			break;
		case jbvBool:
			appendStringInfoString(buf, value->val.boolean ? "true" : "false");
			break;
		case jbvString:
			text = pnstrdup(value->val.string.val, value->val.string.len);
			pgcredit_json_string(buf, text);
			pfree(text);
			break;
		case jbvNumeric:
			text = numeric_normalize(value->val.numeric);
			if (strchr(text, '.') != NULL || strlen(text) > 17 ||
				(number = strtoll(text, NULL, 10)) > JSON_INTEGER_MAX || number < -JSON_INTEGER_MAX)
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("number %s cannot stand in an audit entry", text),
						 errdetail("Entries hold integers up to 9007199254740991; other numbers go in as strings.")));
			appendStringInfo(buf, INT64_FORMAT, number);
			break;
		case jbvBinary:
			append_container(buf, value->val.binary.data);
			break;
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) value->type);
	}
}

static char *
as_json(const char *value)
{
	StringInfoData buf;

	initStringInfo(&buf);
	pgcredit_json_string(&buf, value);
	return buf.data;
}

/*
 * credit._audit_note(details jsonb) returns void: leaves an entry with these
 * members in the outbox, so it is in the log if the transaction commits.
 * actor, at, session_user and version are added; a detail may not have the
 * name of one of these or of what the writer adds, nor sort between
 * "recorded" and "seq".
 */
Datum
pgcredit_audit_note(PG_FUNCTION_ARGS)
{
	Jsonb	   *details = PG_GETARG_JSONB_P(0);
	PgcreditEntry entry;
	StringInfoData at;
	Member	   *members;
	int			n;
	bool		middle = false;

	if (!JB_ROOT_IS_OBJECT(details))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("details of an audit entry must be a JSON object")));
	members = sorted_members(&details->root, 3, &n);
	initStringInfo(&at);
	pgcredit_json_time(&at, GetCurrentTransactionStartTimestamp());
	members[n].name = "actor";
	members[n++].value = as_json(GetUserNameFromId(pgcredit_calling_role(), false));
	members[n].name = "at";
	members[n++].value = at.data;
	members[n].name = "session_user";
	members[n++].value = as_json(GetUserNameFromId(GetSessionUserId(), false));
	qsort(members, n, sizeof(Member), by_name);

	pgcredit_entry_begin(&entry);
	for (int k = 0; k < n; k++)
	{
		if ((k > 0 && strcmp(members[k].name, members[k - 1].name) == 0) ||
			strcmp(members[k].name, "version") >= 0 ||
			(strcmp(members[k].name, "recorded") >= 0 && strcmp(members[k].name, "seq") <= 0))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("audit entry cannot have a member \"%s\" here", members[k].name)));
		if (!middle && strcmp(members[k].name, "seq") > 0)
		{
			pgcredit_entry_middle(&entry);
			middle = true;
		}
		pgcredit_json_name(middle ? &entry.suffix : &entry.prefix, members[k].name);
		appendStringInfoString(middle ? &entry.suffix : &entry.prefix, members[k].value);
	}
	pgcredit_entry_end(&entry);
	pgcredit_audit_write_entry(&entry);
	PG_RETURN_VOID();
}

/*
 * credit._subject_token(subject_id bigint, salt bytea) returns text: see
 * pgcredit_subject_token.
 */
Datum
pgcredit_subject_token_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(pgcredit_subject_token(PG_GETARG_INT64(0),
															PG_GETARG_BYTEA_PP(1))));
}
