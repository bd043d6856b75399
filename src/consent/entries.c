/*
 * entries.c
 *		From the decisions of a request to the log.
 *
 * Subjects with the same outcome for the same categories share an entry, as
 * many as its size allows; so an access to one subject is one entry, and an
 * access to 100,000 is a few dozen.  Members: see doc/reference/30_audit.md.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "audit/audit.h"
#include "consent/consent_internal.h"
#include "core/core.h"

/* An entry is closed when it is this long; one more subject always fits. */
#define ENTRY_FULL 56000

typedef struct GroupKey
{
	CategorySet columns;		/* which of the request's categories, by position */
	int32		reason;
	int32		unknown;		/* the platform has no such subjects */
} GroupKey;

typedef struct EntryGroup
{
	GroupKey	key;
	StringInfo	consents;
	StringInfo	subjects;
} EntryGroup;

/* What a request turns into: groups still open, entries already closed. */
typedef struct Gathering
{
	HTAB	   *groups;
	List	   *in_order;		/* of EntryGroup, as they were met */
	PgcreditEntry *entries;
	int			n;
	int			size;
} Gathering;

static void
append_code_list(StringInfo buf, const Request *request, const CategorySet *columns)
{
	bool		first = true;

	appendStringInfoChar(buf, '[');
	for (int c = 0; c < request->n_categories; c++)
	{
		if (!category_set_has(columns, c))
			continue;
		if (!first)
			appendStringInfoChar(buf, ',');
		first = false;
		pgcredit_json_string(buf, request->category_codes[c]);
	}
	appendStringInfoChar(buf, ']');
}

/*
 * Turn what a group has gathered into an entry and empty it.
 */
static void
close_group(const Request *request, EntryGroup *group, Gathering *g)
{
	PgcreditEntry *entry;
	bool		granted = group->key.reason == REASON_GRANTED;

	if (group->subjects->len == 0)
		return;
	if (g->n == g->size)
	{
		g->size *= 2;
		g->entries = repalloc_huge(g->entries, g->size * sizeof(PgcreditEntry));
	}
	entry = &g->entries[g->n++];
	pgcredit_entry_begin(entry);
	entry->refusal = group->key.reason;
	pgcredit_json_name(&entry->prefix, "access");
	pgcredit_json_string(&entry->prefix,
						 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&request->access))));
	pgcredit_json_name(&entry->prefix, "actor");
	pgcredit_json_string(&entry->prefix, GetUserNameFromId(request->role, false));
	pgcredit_json_name(&entry->prefix, "at");
	pgcredit_json_time(&entry->prefix, request->at);
	pgcredit_json_name(&entry->prefix, "categories");
	append_code_list(&entry->prefix, request, &group->key.columns);
	if (granted)
	{
		pgcredit_json_name(&entry->prefix, "consents");
		appendStringInfo(&entry->prefix, "[%s]", group->consents->data);
	}
	if (request->institution)
	{
		pgcredit_json_name(&entry->prefix, "institution");
		pgcredit_json_string(&entry->prefix, request->institution);
	}
	pgcredit_json_name(&entry->prefix, "kind");
	pgcredit_json_string(&entry->prefix, granted ? "access" : "refusal");
	pgcredit_json_name(&entry->prefix, "purpose");
	pgcredit_json_string(&entry->prefix, request->purpose);
	if (!granted)
	{
		pgcredit_json_name(&entry->prefix, "reason");
		pgcredit_json_string(&entry->prefix, pgcredit_reasons[group->key.reason].code);
	}
	pgcredit_entry_middle(entry);
	pgcredit_json_name(&entry->suffix, "session_user");
	pgcredit_json_string(&entry->suffix, GetUserNameFromId(GetSessionUserId(), false));
	pgcredit_json_name(&entry->suffix,
					   group->key.unknown ? "unknown" : "subjects");
	appendStringInfo(&entry->suffix, "[%s]", group->subjects->data);
	pgcredit_entry_end(entry);
	resetStringInfo(group->consents);
	resetStringInfo(group->subjects);
}

/*
 * The consents that granted the columns, each once, in their order of first use.
 */
static void
append_consents(StringInfo buf, const Decision *decisions, const CategorySet *columns, int n)
{
	bool		first = true;

	appendStringInfoChar(buf, '[');
	for (int c = 0; c < n; c++)
	{
		bool		seen = !category_set_has(columns, c) || decisions[c].consent_id == 0;

		for (int k = 0; k < c && !seen; k++)
			seen = category_set_has(columns, k) &&
				decisions[k].consent_id == decisions[c].consent_id;
		if (seen)
			continue;
		appendStringInfo(buf, "%s" INT64_FORMAT, first ? "" : ",", decisions[c].consent_id);
		first = false;
	}
	appendStringInfoChar(buf, ']');
}

static void
add_to_group(const Request *request, Gathering *g, int s, Reason reason,
			 const CategorySet *columns)
{
	GroupKey	key;
	EntryGroup	   *group;
	bool		found;
	const char *separator;

	memset(&key, 0, sizeof(key));
	key.columns = *columns;
	key.reason = reason;
	key.unknown = request->salts[s] == NULL;
	group = hash_search(g->groups, &key, HASH_ENTER, &found);
	if (!found)
	{
		group->consents = makeStringInfo();
		group->subjects = makeStringInfo();
		g->in_order = lappend(g->in_order, group);
	}
	separator = group->subjects->len ? "," : "";
	appendStringInfoString(group->subjects, separator);
	if (!key.unknown)
		pgcredit_json_string(group->subjects,
							 pgcredit_subject_token(request->subject_ids[s], request->salts[s]));
	else
		appendStringInfo(group->subjects, "\"" INT64_FORMAT "\"", request->subject_ids[s]);
	if (reason == REASON_GRANTED)
	{
		appendStringInfoString(group->consents, separator);
		append_consents(group->consents, &request->decisions[(Size) s * request->n_categories],
						columns, request->n_categories);
	}
	if (group->subjects->len + group->consents->len > ENTRY_FULL)
		close_group(request, group, g);
}

/*
 * Hand every decision of the request to the log; pgcredit_access_finish waits
 * until they are durable.
 */
void
pgcredit_record_request(Request *request)
{
	HASHCTL		ctl = {.keysize = sizeof(GroupKey),.entrysize = sizeof(EntryGroup),.hcxt = CurrentMemoryContext};
	Gathering	g = {.n = 0,.size = 8};
	ListCell   *lc;

	g.groups = hash_create("groups of an access", 16, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	g.entries = palloc(g.size * sizeof(PgcreditEntry));
	for (int s = 0; s < request->n_subjects; s++)
	{
		const Decision *d = &request->decisions[(Size) s * request->n_categories];
		CategorySet done = {{0, 0}};

		CHECK_FOR_INTERRUPTS();
		for (int c = 0; c < request->n_categories; c++)
		{
			CategorySet same = {{0, 0}};

			if (category_set_has(&done, c))
				continue;
			for (int k = c; k < request->n_categories; k++)
				if (d[k].reason == d[c].reason)
					category_set_add(&same, k);
			done.words[0] |= same.words[0];
			done.words[1] |= same.words[1];
			if (request->opened || d[c].reason != REASON_GRANTED)
				add_to_group(request, &g, s, d[c].reason, &same);
		}
	}
	foreach(lc, g.in_order)
		close_group(request, (EntryGroup *) lfirst(lc), &g);
	pgcredit_audit_begin(g.entries, g.n);
}
