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

#include "audit/audit_internal.h"
#include "core/canonical.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_audit_note);
PG_FUNCTION_INFO_V1(pgcredit_subject_token_sql);

static int
by_name(const void *a, const void *b)
{
	const PgcreditMember *x = a;
	const PgcreditMember *y = b;

	return pgcredit_compare_names(x->name, strlen(x->name), y->name, strlen(y->name));
}

/*
 * The members of the details, with room for "extra" more; *n is their number.
 * A member's value is the canonical form of an array of it alone, without the
 * brackets.
 */
static PgcreditMember *
take_members(Jsonb *details, int extra, int *n)
{
	PgcreditMember *members = palloc((JB_ROOT_COUNT(details) + extra) * sizeof(PgcreditMember));
	JsonbIterator *it = JsonbIteratorInit(&details->root);
	JsonbValue	v;
	JsonbIteratorToken token;

	*n = 0;
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			members[*n].name = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE)
		{
			JsonbParseState *state = NULL;
			StringInfoData buf;

			initStringInfo(&buf);
			(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
			(void) pushJsonbValue(&state, WJB_ELEM, &v);
			pgcredit_canonical_json(&buf, &JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL))->root,
									ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
			buf.data[buf.len - 1] = '\0';
			members[(*n)++].value = buf.data + 1;
		}
	}
	return members;
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
 * Leave an entry with these members, in any order, in the outbox; the array has
 * room for PGCREDIT_NOTE_ADDS more than its n.  actor, at, session_user and
 * version are added.  Raises for a member with the name of one of these or of
 * what the writer adds, or that sorts between "recorded" and "seq".
 */
void
pgcredit_audit_note_members(PgcreditMember *members, int n)
{
	PgcreditEntry entry;
	StringInfoData at;
	bool		middle = false;

	initStringInfo(&at);
	pgcredit_json_time(&at, GetCurrentTransactionStartTimestamp());
	members[n].name = "actor";
	members[n++].value = as_json(GetUserNameFromId(pgcredit_calling_role(), false));
	members[n].name = "at";
	members[n++].value = at.data;
	members[n].name = "session_user";
	members[n++].value = as_json(GetUserNameFromId(GetSessionUserId(), false));
	qsort(members, n, sizeof(PgcreditMember), by_name);

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
}

/*
 * credit._audit_note(details jsonb) returns void: leaves an entry with these
 * members in the outbox, so it is in the log if the transaction commits.
 */
Datum
pgcredit_audit_note(PG_FUNCTION_ARGS)
{
	Jsonb	   *details = PG_GETARG_JSONB_P(0);
	PgcreditMember *members;
	int			n;

	if (!JB_ROOT_IS_OBJECT(details))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("details of an audit entry must be a JSON object")));
	members = take_members(details, PGCREDIT_NOTE_ADDS, &n);
	pgcredit_audit_note_members(members, n);
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
