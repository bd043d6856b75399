/*
 * audit.h
 *		The log, as other rooms see it.
 *
 * An entry is one JSON object in the canonical form of RFC 8785.  Two of its
 * members, "recorded" and "seq", are known only to the writer, and no member's
 * name sorts between them; so a room builds the bytes before them and the
 * bytes after them, and the writer puts the two in between.
 */
#ifndef PGCREDIT_AUDIT_H
#define PGCREDIT_AUDIT_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

/* C2SP tlog-tiles: an entry bundle has 16 bits for the length of an entry. */
#define PGCREDIT_ENTRY_MAX		65535

/* Length of a subject's token, unpadded base64url of 32 bytes. */
#define PGCREDIT_TOKEN_LEN		43

/* Kinds of refusal that are counted, see pgcredit_audit_name_refusal. */
#define PGCREDIT_REFUSAL_KINDS 32

typedef struct PgcreditEntry
{
	StringInfoData prefix;		/* '{' and the members before "recorded" */
	StringInfoData suffix;		/* the members after "seq" and '}' */
	int			refusal;		/* counted under this when it is durable; 0: none */
} PgcreditEntry;

extern void pgcredit_audit_init(void);
extern Size pgcredit_audit_shmem_size(void);
extern void pgcredit_audit_shmem_init(void);

/* Building an entry: members in the order of their names. */
extern void pgcredit_entry_begin(PgcreditEntry *entry);
extern void pgcredit_entry_middle(PgcreditEntry *entry);
extern void pgcredit_entry_end(PgcreditEntry *entry);
extern void pgcredit_json_name(StringInfo buf, const char *name);
extern void pgcredit_json_string(StringInfo buf, const char *value);
extern void pgcredit_json_time(StringInfo buf, TimestampTz value);

/* 'SHA-256(salt || subject_id)' in base64url: how a subject stands in the log. */
extern char *pgcredit_subject_token(int64 subject_id, const bytea *salt);

/* Immediate lane: nothing is shown before the second has returned. */
extern void pgcredit_audit_begin(PgcreditEntry *entries, int n);
extern uint64 pgcredit_audit_finish(void);

/* For credit.stat_audit_refusal: "refusal" from 1, below PGCREDIT_REFUSAL_KINDS. */
extern void pgcredit_audit_name_refusal(int refusal, const char *code);

/* Lane with the transaction: in the log if and only if it commits. */
extern void pgcredit_audit_write_entry(PgcreditEntry *entry);

#endif							/* PGCREDIT_AUDIT_H */
