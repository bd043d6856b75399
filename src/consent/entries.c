/*
 * entries.c
 *		From the decisions of a request to the log.
 *
 * Subjects with the same outcome for the same categories are a group and share
 * an entry.  A few stand in it; many stand in a list, of which the entry has the
 * root (audit/list.h), so an access to 100,000 subjects is an entry or two all
 * the same.  Members: see doc/reference/30_audit.md.
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
#include "crypto/crypto.h"

/* More subjects than this stand in a list, and so do some that take more bytes. */
#define INLINE_MOST 64
#define INLINE_BYTES 56000

typedef struct GroupKey
{
	CategorySet columns;		/* which of the request's categories, by position */
	int32		reason;
	int32		unknown;		/* the platform has no such subjects */
} GroupKey;

typedef struct EntryGroup
{
	GroupKey	key;
	int		   *places;			/* its subjects, by their place in the request */
	int			n;
	int			size;
} EntryGroup;

typedef struct Gathering
{
	HTAB	   *groups;
	List	   *in_order;		/* of EntryGroup, as they were met */
} Gathering;

/*
 * A word of the caller as the log has it: a code, or "?" for what can be none.
 * The caller was told in full; the log keeps no names that somebody typed in the
 * place of a code.
 */
static const char *
word_for_log(const char *word)
{
	return strspn(word, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(word) &&
		word[0] >= 'a' && word[0] <= 'z' ? word : "?";
}

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
		pgcredit_json_string(buf, word_for_log(request->category_codes[c]));
	}
	appendStringInfoChar(buf, ']');
}

/*
 * The consents that granted the group's categories to a subject, each once, in
 * their order of first use; returns how many.
 */
static int
consents_used(const Request *request, const EntryGroup *group, int s, int64 *consents)
{
	const Decision *d = &request->decisions[(Size) s * request->n_categories];
	int			n = 0;

	for (int c = 0; c < request->n_categories && group->key.reason == REASON_GRANTED; c++)
	{
		bool		seen = !category_set_has(&group->key.columns, c) || d[c].consent_id == 0;

		for (int k = 0; k < n && !seen; k++)
			seen = consents[k] == d[c].consent_id;
		if (!seen)
			consents[n++] = d[c].consent_id;
	}
	return n;
}

/*
 * The subjects of a group as arrays of the entry; false when they are too many
 * or too long for that.
 */
static bool
inline_subjects(const Request *request, const EntryGroup *group, StringInfo subjects, StringInfo consents)
{
	int64		used[MAX_CATEGORY];

	if (group->n > INLINE_MOST)
		return false;
	for (int k = 0; k < group->n; k++)
	{
		int			s = group->places[k];
		int			n = consents_used(request, group, s, used);

		if (k > 0)
			appendStringInfoChar(subjects, ',');
		if (group->key.unknown)
			appendStringInfo(subjects, "\"" INT64_FORMAT "\"", request->subject_ids[s]);
		else
			pgcredit_json_string(subjects, pgcredit_subject_token(request->subject_ids[s], request->salts[s]));
		appendStringInfoString(consents, k > 0 ? ",[" : "[");
		for (int c = 0; c < n; c++)
			appendStringInfo(consents, "%s" INT64_FORMAT, c > 0 ? "," : "", used[c]);
		appendStringInfoChar(consents, ']');
	}
	return subjects->len + consents->len <= INLINE_BYTES;
}

/*
 * The subjects of a group in a list, which is durable when this returns: its
 * name in the entry.
 */
static char *
list_subjects(const Request *request, const EntryGroup *group, int number)
{
	PgcreditList *list = pgcredit_list_begin(&request->access, number, group->key.unknown);
	int64		used[MAX_CATEGORY];

	for (int k = 0; k < group->n; k++)
	{
		int			s = group->places[k];
		uint8		token[PGCREDIT_HASH_BYTES];

		CHECK_FOR_INTERRUPTS();
		if (group->key.unknown)
		{
			pgcredit_list_add_unknown(list, request->subject_ids[s]);
			continue;
		}
		pgcredit_subject_hash(request->subject_ids[s], request->salts[s], token);
		pgcredit_list_add_subject(list, token, used, consents_used(request, group, s, used));
	}
	return pgcredit_list_store(list);
}

/*
 * Turn a group, the number-th of the request, into its entry.
 */
static void
build_entry(const Request *request, const EntryGroup *group, int number, PgcreditEntry *entry)
{
	bool		granted = group->key.reason == REASON_GRANTED;
	const char *listed = group->key.unknown ? "unknown" : "subjects";
	char	   *list = NULL;
	StringInfoData subjects;
	StringInfoData consents;

	initStringInfo(&subjects);
	initStringInfo(&consents);
	if (!inline_subjects(request, group, &subjects, &consents))
		list = list_subjects(request, group, number);
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
	if (granted && !list)
	{
		pgcredit_json_name(&entry->prefix, "consents");
		appendStringInfo(&entry->prefix, "[%s]", consents.data);
	}
	if (list)
	{
		pgcredit_json_name(&entry->prefix, "count");
		appendStringInfo(&entry->prefix, "%d", group->n);
	}
	if (request->institution)
	{
		pgcredit_json_name(&entry->prefix, "institution");
		pgcredit_json_string(&entry->prefix, request->institution);
	}
	pgcredit_json_name(&entry->prefix, "kind");
	pgcredit_json_string(&entry->prefix, granted ? "access" : "refusal");
	if (list)
	{
		pgcredit_json_name(&entry->prefix, "list");
		pgcredit_json_string(&entry->prefix, list);
		pgcredit_json_name(&entry->prefix, "listed");
		pgcredit_json_string(&entry->prefix, listed);
	}
	pgcredit_json_name(&entry->prefix, "purpose");
	pgcredit_json_string(&entry->prefix, word_for_log(request->purpose));
	if (!granted)
	{
		pgcredit_json_name(&entry->prefix, "reason");
		pgcredit_json_string(&entry->prefix, pgcredit_reasons[group->key.reason].code);
	}
	pgcredit_entry_middle(entry);
	pgcredit_json_name(&entry->suffix, "session_user");
	pgcredit_json_string(&entry->suffix, GetUserNameFromId(GetSessionUserId(), false));
	if (!list)
	{
		pgcredit_json_name(&entry->suffix, listed);
		appendStringInfo(&entry->suffix, "[%s]", subjects.data);
	}
	pgcredit_entry_end(entry);
}

static void
add_to_group(const Request *request, Gathering *g, int s, Reason reason,
			 const CategorySet *columns)
{
	GroupKey	key;
	EntryGroup *group;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.columns = *columns;
	key.reason = reason;
	key.unknown = request->salts[s] == NULL;
	group = hash_search(g->groups, &key, HASH_ENTER, &found);
	if (!found)
	{
		group->n = 0;
		group->size = 4;
		group->places = palloc(group->size * sizeof(int));
		g->in_order = lappend(g->in_order, group);
	}
	if (group->n == group->size)
	{
		group->size *= 2;
		group->places = repalloc_huge(group->places, group->size * sizeof(int));
	}
	group->places[group->n++] = s;
}

/*
 * Hand every decision of the request to the log; pgcredit_access_finish waits
 * until they are durable.  Lists are when this returns.
 */
void
pgcredit_record_request(Request *request)
{
	HASHCTL		ctl = {.keysize = sizeof(GroupKey),.entrysize = sizeof(EntryGroup),.hcxt = CurrentMemoryContext};
	Gathering	g = {NULL, NIL};
	PgcreditEntry *entries;
	ListCell   *lc;

	g.groups = hash_create("groups of an access", 16, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
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
	entries = palloc(list_length(g.in_order) * sizeof(PgcreditEntry));
	foreach(lc, g.in_order)
		build_entry(request, (EntryGroup *) lfirst(lc), foreach_current_index(lc),
					&entries[foreach_current_index(lc)]);
	pgcredit_audit_begin(entries, list_length(g.in_order));
}
