/*
 * entry.c
 *		The bytes of an entry: JSON in the canonical form of RFC 8785, version 1.
 *
 * Members in the order of their names, no white space, strings with the
 * shortest escapes, numbers only integers below 2^53.  The server encoding is
 * UTF-8 (the install script sees to it), so strings are copied as they are.
 * These bytes are what the tree is built over: a change of meaning takes a new
 * "version".
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "audit/audit_internal.h"
#include "core/core.h"
#include "crypto/crypto.h"

/* "recorded" with its time and "seq" with twenty digits, generously */
#define WRITER_ADDS 128

/*
 * Start an entry; the caller then appends the members that sort before
 * "recorded", each by pgcredit_json_name and a value.
 */
void
pgcredit_entry_begin(PgcreditEntry *entry)
{
	initStringInfo(&entry->prefix);
	initStringInfo(&entry->suffix);
	entry->refusal = 0;
	entry->uses = NULL;
	appendStringInfoChar(&entry->prefix, '{');
}

/*
 * From here on members go into entry->suffix: those that sort after "seq".
 */
void
pgcredit_entry_middle(PgcreditEntry *entry)
{
	appendStringInfoChar(&entry->prefix, ',');
}

/*
 * The last member is the same in every entry.
 */
void
pgcredit_entry_end(PgcreditEntry *entry)
{
	appendStringInfoString(&entry->suffix, ",\"version\":1}");
}

/*
 * Raise program_limit_exceeded when a finished entry would not fit the log's
 * format with what the writer adds.
 */
void
pgcredit_entry_check_size(const PgcreditEntry *entry)
{
	int			length = entry->prefix.len + entry->suffix.len + WRITER_ADDS;

	if (length > PGCREDIT_ENTRY_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("audit entry is too long"),
				 errdetail("It would have up to %d bytes; the log's format allows %d.",
						   length, PGCREDIT_ENTRY_MAX)));
}

/*
 * A member's name and its colon, with the comma that separates it from the
 * member before.  Names are ours and need no escape.
 */
void
pgcredit_json_name(StringInfo buf, const char *name)
{
	if (buf->len == 0 || buf->data[buf->len - 1] != '{')
		appendStringInfoChar(buf, ',');
	appendStringInfoChar(buf, '"');
	appendStringInfoString(buf, name);
	appendBinaryStringInfo(buf, "\":", 2);
}

void
pgcredit_json_string(StringInfo buf, const char *value)
{
	appendStringInfoChar(buf, '"');
	for (const unsigned char *p = (const unsigned char *) value; *p; p++)
	{
		const unsigned char *plain = p;

		while (*p >= 0x20 && *p != '"' && *p != '\\')
			p++;
		appendBinaryStringInfo(buf, (const char *) plain, p - plain);
		if (*p == '\0')
			break;
		switch (*p)
		{
			case '"':
				appendStringInfoString(buf, "\\\"");
				break;
			case '\\':
				appendStringInfoString(buf, "\\\\");
				break;
			case '\b':
				appendStringInfoString(buf, "\\b");
				break;
			case '\t':
				appendStringInfoString(buf, "\\t");
				break;
			case '\n':
				appendStringInfoString(buf, "\\n");
				break;
			case '\f':
				appendStringInfoString(buf, "\\f");
				break;
			case '\r':
				appendStringInfoString(buf, "\\r");
				break;
			default:
				appendStringInfo(buf, "\\u%04x", *p);
		}
	}
	appendStringInfoChar(buf, '"');
}

/*
 * A point in time as RFC 3339 in UTC with six digits of the second, so that
 * order of strings is order of time.
 */
void
pgcredit_json_time(StringInfo buf, TimestampTz value)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char		text[32];
	char	   *end = text;

	if (TIMESTAMP_NOT_FINITE(value))
	{
		pgcredit_json_string(buf, TIMESTAMP_IS_NOBEGIN(value) ? "-infinity" : "infinity");
		return;
	}
	if (timestamp2tm(value, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	if (tm.tm_year < 0 || tm.tm_year > 9999)
		end += sprintf(end, "%04d", tm.tm_year);
	else
		end = pg_ultostr_zeropad(end, (uint32) tm.tm_year, 4);
	*end++ = '-';
	end = pg_ultostr_zeropad(end, (uint32) tm.tm_mon, 2);
	*end++ = '-';
	end = pg_ultostr_zeropad(end, (uint32) tm.tm_mday, 2);
	*end++ = 'T';
	end = pg_ultostr_zeropad(end, (uint32) tm.tm_hour, 2);
	*end++ = ':';
	end = pg_ultostr_zeropad(end, (uint32) tm.tm_min, 2);
	*end++ = ':';
	end = pg_ultostr_zeropad(end, (uint32) tm.tm_sec, 2);
	*end++ = '.';
	end = pg_ultostr_zeropad(end, (uint32) fsec, 6);
	*end++ = 'Z';
	appendStringInfoChar(buf, '"');
	appendBinaryStringInfo(buf, text, end - text);
	appendStringInfoChar(buf, '"');
}

/*
 * SHA-256 over a subject's salt and its id (eight bytes, big endian), 32 bytes.
 */
void
pgcredit_subject_hash(int64 subject_id, const bytea *salt, uint8 *hash)
{
	uint8		input[64 + sizeof(uint64)];
	Size		len = VARSIZE_ANY_EXHDR(salt);
	uint64		id = pg_hton64((uint64) subject_id);

	if (len > 64)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("salt of subject " INT64_FORMAT " is too long", subject_id)));
	memcpy(input, VARDATA_ANY(salt), len);
	memcpy(input + len, &id, sizeof(id));
	pgcredit_sha256(input, len + sizeof(id), hash);
}

/*
 * How a subject stands in the log: that hash in base64url, palloc'd.  Who has the
 * salt can find a subject's entries; without it they say nothing about whom.
 */
char *
pgcredit_subject_token(int64 subject_id, const bytea *salt)
{
	uint8		hash[PGCREDIT_HASH_BYTES];

	pgcredit_subject_hash(subject_id, salt, hash);
	return pgcredit_base64url(hash, sizeof(hash));
}
