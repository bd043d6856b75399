/*
 * configuration_entry.c
 *		The members of an entry of kind "configuration", within the size that an
 *		entry may have.
 *
 * Names in a command are the user's: there may be thousands, each with sixty
 * characters that JSON writes as six.  A string is cut at STRING_MAX and ends
 * with the digest of the whole; a list is cut at LIST_MAX, and a member
 * "..._cut" then has its length and a digest over all of it.  So whatever a
 * command says, its entry fits, and what is not in it can still be proven.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"

#include "audit/configuration.h"
#include "crypto/crypto.h"

/* Bytes; an entry has at most four lists and six strings of somebody's choice. */
#define STRING_MAX 1024
#define LIST_MAX 9000

/*
 * A string as JSON, palloc'd.
 */
char *
pgcredit_configuration_json(const char *value)
{
	StringInfoData text;
	StringInfoData json;
	Size		len = strlen(value);

	initStringInfo(&json);
	if (len > STRING_MAX)
	{
		uint8		hash[PGCREDIT_HASH_BYTES];

		pgcredit_sha256(value, len, hash);
		initStringInfo(&text);
		appendBinaryStringInfo(&text, value, pg_mbcliplen(value, (int) len, STRING_MAX));
		appendStringInfo(&text, "… sha256:%s", pgcredit_base64url(hash, sizeof(hash)));
		value = text.data;
	}
	pgcredit_json_string(&json, value);
	return json.data;
}

static void
add(EntryMembers *members, const char *name, char *value)
{
	if (members->n >= MEMBERS_MAX)
		elog(ERROR, "too many members in an entry of configuration");
	members->items[members->n].name = name;
	members->items[members->n].value = value;
	members->n++;
}

void
pgcredit_configuration_text(EntryMembers *members, const char *name, const char *value)
{
	add(members, name, pgcredit_configuration_json(value));
}

void
pgcredit_configuration_true(EntryMembers *members, const char *name)
{
	add(members, name, pstrdup("true"));
}

/*
 * SHA-256 over the elements' JSON, each after its length in four bytes, big
 * endian.
 */
static char *
digest_of_list(List *values)
{
	StringInfoData all;
	uint8		hash[PGCREDIT_HASH_BYTES];
	ListCell   *lc;

	initStringInfo(&all);
	foreach(lc, values)
	{
		uint32		len = pg_hton32((uint32) strlen(lfirst(lc)));

		appendBinaryStringInfo(&all, (char *) &len, sizeof(len));
		appendStringInfoString(&all, lfirst(lc));
	}
	pgcredit_sha256(all.data, all.len, hash);
	pfree(all.data);
	return pgcredit_base64url(hash, sizeof(hash));
}

/*
 * A list of values that are JSON already.  An empty one is no member.
 */
void
pgcredit_configuration_list(EntryMembers *members, const char *name, List *values)
{
	StringInfoData json;
	ListCell   *lc;
	bool		cut = false;

	if (values == NIL)
		return;
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	foreach(lc, values)
	{
		if (json.len + strlen(lfirst(lc)) > LIST_MAX)
		{
			cut = true;
			break;
		}
		if (json.len > 1)
			appendStringInfoChar(&json, ',');
		appendStringInfoString(&json, lfirst(lc));
	}
	appendStringInfoChar(&json, ']');
	add(members, name, json.data);
	if (cut)
		add(members, psprintf("%s_cut", name),
			psprintf("{\"count\":%d,\"digest\":\"%s\"}", list_length(values), digest_of_list(values)));
}

/*
 * "objects": each with its type and identity, what the command did to it where
 * its tag does not say so, and what it was called before where that changed.
 */
void
pgcredit_configuration_objects(EntryMembers *members, List *touched)
{
	static const char *const change[] = {NULL, "create", "alter", "drop"};
	List	   *values = NIL;
	ListCell   *lc;

	foreach(lc, touched)
	{
		TouchedObject *object = lfirst(lc);
		StringInfoData json;

		initStringInfo(&json);
		appendStringInfoChar(&json, '{');
		if (change[object->change])
		{
			pgcredit_json_name(&json, "change");
			pgcredit_json_string(&json, change[object->change]);
		}
		pgcredit_json_name(&json, "identity");
		appendStringInfoString(&json, pgcredit_configuration_json(object->after ? object->after : object->before));
		pgcredit_json_name(&json, "type");
		pgcredit_json_string(&json, object->type);
		if (object->before && object->after && strcmp(object->before, object->after) != 0)
		{
			pgcredit_json_name(&json, "was");
			appendStringInfoString(&json, pgcredit_configuration_json(object->before));
		}
		appendStringInfoChar(&json, '}');
		values = lappend(values, json.data);
	}
	pgcredit_configuration_list(members, "objects", values);
}
