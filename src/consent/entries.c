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
/* Where there can be no lists; a consent for each category of each still fits. */
#define INLINE_CUT 16

typedef struct GroupKey
{
	CategorySet columns;		/* which of the request's categories, by position */
	int32		reason;
	int32		unknown;		/* the platform has no such subjects */
	int32		part;			/* of groups that are cut */
	int32		unused;
} GroupKey;

typedef struct EntryGroup
{
	GroupKey	key;
	int		   *places;			/* its subjects, by their place in the request */
	int			n;
	int			size;
	int			parts;			/* number of the last one after it */
} EntryGroup;

typedef struct Gathering
{
	HTAB	   *groups;
	List	   *in_order;		/* of EntryGroup, as they were met */
	int			cut;			/* most subjects of a group, 0 for any number */
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
 * The end of the number-th entry of the request; "version" sorts before "withheld".
 */
static void
end_entry(const Request *request, int number, PgcreditEntry *entry)
{
	pgcredit_entry_end(entry);
	if (number != 0 || request->withheld < 0)
		return;
	entry->suffix.len--;		/* the brace */
	entry->suffix.data[entry->suffix.len] = '\0';
	pgcredit_json_name(&entry->suffix, "withheld");
	appendStringInfo(&entry->suffix, INT64_FORMAT "}", request->withheld);
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
	pgcredit_json_string(&entry->prefix, request->actor);
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
	if (request->operation)
	{
		pgcredit_json_name(&entry->prefix, "operation");
		pgcredit_json_string(&entry->prefix, request->operation);
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
	pgcredit_json_string(&entry->suffix, request->session_user);
	if (!list)
	{
		pgcredit_json_name(&entry->suffix, listed);
		appendStringInfo(&entry->suffix, "[%s]", subjects.data);
	}
	end_entry(request, number, entry);
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
	for (;;)
	{
		group = hash_search(g->groups, &key, HASH_ENTER, &found);
		if (!found || g->cut == 0 || group->n < g->cut)
			break;
		key.part = ++group->parts;
	}
	if (!found)
	{
		group->n = 0;
		group->parts = key.part;
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
 * The entries of every decision of the request that is not counted; those that
 * name a list are complete when it is durable, which is when this returns.  With
 * "cut" there are no lists but more entries, and nothing is looked up, raised or
 * waited for.
 */
PgcreditEntry *
pgcredit_build_entries(const Request *request, bool cut, int *n)
{
	HASHCTL		ctl = {.keysize = sizeof(GroupKey),.entrysize = sizeof(EntryGroup),.hcxt = CurrentMemoryContext};
	Gathering	g = {NULL, NIL, cut ? INLINE_CUT : 0};
	PgcreditEntry *entries;
	ListCell   *lc;

	g.groups = hash_create("groups of an access", 16, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int s = 0; s < request->n_subjects; s++)
	{
		const Decision *d = &request->decisions[(Size) s * request->n_categories];
		CategorySet done = {{0, 0}};

		if (!cut)
			CHECK_FOR_INTERRUPTS();
		for (int c = 0; c < request->n_categories; c++)
		{
			CategorySet same = {{0, 0}};

			if (category_set_has(&done, c))
				continue;
			for (int k = c; k < request->n_categories; k++)
				if (d[k].reason == d[c].reason && !(request->opened && terms_are_counted(request, &d[k])))
					category_set_add(&same, k);
			category_set_add(&done, c);
			done.words[0] |= same.words[0];
			done.words[1] |= same.words[1];
			if (!category_set_has(&same, c) || d[c].reason == REASON_NOT_ASKED)
				continue;
			if (request->opened || d[c].reason != REASON_GRANTED)
				add_to_group(request, &g, s, d[c].reason, &same);
		}
	}
	*n = list_length(g.in_order);
	entries = palloc(*n * sizeof(PgcreditEntry));
	foreach(lc, g.in_order)
		build_entry(request, (EntryGroup *) lfirst(lc), foreach_current_index(lc),
					&entries[foreach_current_index(lc)]);
	return entries;
}

/* ---------------------------------------------------------------------------
 * Consents that are counted
 * ---------------------------------------------------------------------------
 */

/*
 * Columns of a subject that are granted, and those among them by a consent that
 * is counted.
 */
static void
granted_columns(const Request *request, int s, CategorySet *granted, CategorySet *counted)
{
	const Decision *d = &request->decisions[(Size) s * request->n_categories];

	memset(granted, 0, sizeof(CategorySet));
	memset(counted, 0, sizeof(CategorySet));
	for (int c = 0; c < request->n_categories; c++)
	{
		if (d[c].reason != REASON_GRANTED)
			continue;
		category_set_add(granted, c);
		if (terms_are_counted(request, &d[c]))
			category_set_add(counted, c);
	}
}

static bool
is_counted(const Request *request, int s)
{
	CategorySet granted;
	CategorySet counted;

	granted_columns(request, s, &granted, &counted);
	return counted.words[0] != 0 || counted.words[1] != 0;
}

/*
 * The entry of one subject and these granted columns, which takes a use of each
 * consent that is counted and becomes a refusal of the counted columns if one is
 * not left.
 */
static void
build_counted(const Request *request, int s, const CategorySet *columns, const CategorySet *counted,
			  PgcreditEntry *entry)
{
	const Decision *d = &request->decisions[(Size) s * request->n_categories];
	EntryGroup	group = {.places = &s,.n = 1};
	PgcreditUse uses[MAX_CATEGORY];
	PgcreditEntry otherwise;
	int			n = 0;

	for (int c = 0; c < request->n_categories; c++)
	{
		const Terms *terms = &request->terms[d[c].terms];
		bool		seen = !category_set_has(counted, c);

		for (int k = 0; k < n && !seen; k++)
			seen = uses[k].consent_id == d[c].consent_id;
		if (!seen)
			uses[n++] = (PgcreditUse) {request->subject_ids[s], d[c].consent_id, request->at,
			terms->since, terms->until, terms->in_all, terms->in_period};
	}
	group.key.columns = *columns;
	group.key.reason = REASON_GRANTED;
	build_entry(request, &group, 0, entry);
	group.key.columns = *counted;
	group.key.reason = REASON_USED_UP;
	build_entry(request, &group, 0, &otherwise);
	pgcredit_entry_takes(entry, uses, n, &otherwise);
}

/*
 * The writer found no use left for the counted columns of a subject.
 */
static void
refuse_counted(Request *request, int s)
{
	Decision   *d = &request->decisions[(Size) s * request->n_categories];

	for (int c = 0; c < request->n_categories; c++)
		if (d[c].reason == REASON_GRANTED && terms_are_counted(request, &d[c]))
		{
			d[c].reason = REASON_USED_UP;
			d[c].consent_id = 0;
		}
}

/*
 * Of many subjects, record those whose consent is counted, each by itself since
 * it may be used up while the others are not.  They are decided when this returns.
 */
static void
record_counted(Request *request)
{
	PgcreditEntry *entries = palloc(PGCREDIT_COUNTED_MOST * sizeof(PgcreditEntry));
	int			places[PGCREDIT_COUNTED_MOST];
	int			n = 0;

	for (int s = 0; s <= request->n_subjects; s++)
	{
		if (s < request->n_subjects && is_counted(request, s))
		{
			CategorySet granted;
			CategorySet counted;

			granted_columns(request, s, &granted, &counted);
			build_counted(request, s, &counted, &counted, &entries[n]);
			places[n++] = s;
		}
		if (n == PGCREDIT_COUNTED_MOST || (s == request->n_subjects && n > 0))
		{
			uint64		refused;
			uint64		seq;

			pgcredit_audit_begin(entries, n);
			seq = pgcredit_audit_finish(&refused);
			if (request->first_seq == 0)
				request->first_seq = seq;
			for (int k = 0; k < n; k++)
				if ((refused >> k) & 1)
					refuse_counted(request, places[k]);
			n = 0;
		}
	}
	pfree(entries);
}

/* ---------------------------------------------------------------------------
 * Into the log
 * ---------------------------------------------------------------------------
 */

/*
 * Hand every decision of the request to the log; pgcredit_record_finish waits
 * until they are durable.  Lists are when this returns, and uses of many subjects'
 * consents are taken.
 */
void
pgcredit_record_request(Request *request)
{
	PgcreditEntry *entries;
	int			n;

	if (request->strict && request->opened && is_counted(request, 0))
	{
		PgcreditEntry entry;
		CategorySet granted;
		CategorySet counted;

		granted_columns(request, 0, &granted, &counted);
		build_counted(request, 0, &granted, &counted, &entry);
		pgcredit_audit_begin(&entry, 1);
		return;
	}
	if (request->opened)
		record_counted(request);
	entries = pgcredit_build_entries(request, false, &n);
	pgcredit_audit_begin(entries, n);
}

/*
 * Return when all of it is durable.  A request for one subject whose consent had
 * no use left is not opened then.
 */
void
pgcredit_record_finish(Request *request)
{
	uint64		refused;
	uint64		seq = pgcredit_audit_finish(&refused);

	if (request->first_seq == 0)
		request->first_seq = seq;
	if (refused != 0)
	{
		refuse_counted(request, 0);
		request->opened = false;
	}
}

/*
 * An entry of this kind that names no subject: what a statement is about to do,
 * why it may not, or that it did nothing.
 */
void
pgcredit_build_bare_entry(const Request *request, const char *kind, Reason reason, PgcreditEntry *entry)
{
	pgcredit_entry_begin(entry);
	entry->refusal = Max(reason, 0);
	pgcredit_json_name(&entry->prefix, "access");
	pgcredit_json_string(&entry->prefix,
						 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&request->access))));
	pgcredit_json_name(&entry->prefix, "actor");
	pgcredit_json_string(&entry->prefix, request->actor);
	pgcredit_json_name(&entry->prefix, "at");
	pgcredit_json_time(&entry->prefix, request->at);
	if (request->institution)
	{
		pgcredit_json_name(&entry->prefix, "institution");
		pgcredit_json_string(&entry->prefix, request->institution);
	}
	pgcredit_json_name(&entry->prefix, "kind");
	pgcredit_json_string(&entry->prefix, kind);
	if (request->operation)
	{
		pgcredit_json_name(&entry->prefix, "operation");
		pgcredit_json_string(&entry->prefix, request->operation);
	}
	pgcredit_json_name(&entry->prefix, "purpose");
	pgcredit_json_string(&entry->prefix, word_for_log(request->purpose));
	if (reason > REASON_GRANTED)
	{
		pgcredit_json_name(&entry->prefix, "reason");
		pgcredit_json_string(&entry->prefix, pgcredit_reasons[reason].code);
	}
	pgcredit_entry_middle(entry);
	pgcredit_json_name(&entry->suffix, "session_user");
	pgcredit_json_string(&entry->suffix, request->session_user);
	end_entry(request, 0, entry);
}
