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
#include "utils/array.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

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
	struct PgcreditUses *uses;	/* NULL, or what it takes; set by pgcredit_entry_takes */
} PgcreditEntry;

/*
 * One use of a consent that is limited: it may be used in_all times, and in_period
 * times in [since, until), which "at" lies in; 0 is no limit.
 */
typedef struct PgcreditUse
{
	int64		subject_id;
	int64		consent_id;
	TimestampTz at;
	TimestampTz since;
	TimestampTz until;
	int32		in_all;
	int32		in_period;
} PgcreditUse;

/* Entries that take uses, of one pgcredit_audit_begin. */
#define PGCREDIT_COUNTED_MOST 64

extern void pgcredit_audit_init(void);
extern Size pgcredit_audit_shmem_size(void);
extern void pgcredit_audit_shmem_init(void);

/*
 * For a background worker of another room.  The companion is called by the writer
 * of each database now and then, outside of a transaction, to see that its worker
 * is there.  A worker connects like the writer does, says when a transaction is under
 * way, and leaves when its database is not open: a command wants it for itself.
 */
extern void pgcredit_audit_set_companion(void (*ensure) (void));
extern void pgcredit_audit_worker_connect(Oid dbid);
extern void pgcredit_audit_worker_busy(bool busy);
extern bool pgcredit_audit_database_open(void);

/* Building an entry: members in the order of their names. */
extern void pgcredit_entry_begin(PgcreditEntry *entry);
extern void pgcredit_entry_middle(PgcreditEntry *entry);
extern void pgcredit_entry_end(PgcreditEntry *entry);
extern void pgcredit_entry_takes(PgcreditEntry *entry, const PgcreditUse *uses, int n,
								 PgcreditEntry *otherwise);
extern void pgcredit_json_name(StringInfo buf, const char *name);
extern void pgcredit_json_string(StringInfo buf, const char *value);
extern void pgcredit_json_time(StringInfo buf, TimestampTz value);

/*
 * 'SHA-256(salt || subject_id)': how a subject stands in the log, in base64url in
 * entries, its first bytes in lists.
 */
extern void pgcredit_subject_hash(int64 subject_id, const bytea *salt, uint8 *hash);
extern char *pgcredit_subject_token(int64 subject_id, const bytea *salt);

/*
 * Subjects of an access to many.  Storing makes the list durable and returns how
 * its entry names it ("list"); the entry must be begun after that.
 */
typedef struct PgcreditList PgcreditList;

extern PgcreditList *pgcredit_list_begin(const pg_uuid_t *access, int number, bool unknown);
extern void pgcredit_list_add_subject(PgcreditList *list, const uint8 *token, const int64 *consents, int n);
extern void pgcredit_list_add_unknown(PgcreditList *list, int64 id);
extern int	pgcredit_list_count(const PgcreditList *list);
extern char *pgcredit_list_store(PgcreditList *list);

/* Immediate lane: nothing is shown before the second has returned. */
extern void pgcredit_audit_begin(PgcreditEntry *entries, int n);
extern uint64 pgcredit_audit_finish(uint64 *refused);
extern int	pgcredit_audit_offer(const PgcreditEntry *entries, int n);

/* For who decides before the writer does: may the use still be taken? */
extern bool pgcredit_use_left(const PgcreditUse *use, Snapshot snapshot);

/* For credit.stat_audit_refusal: "refusal" from 1, below PGCREDIT_REFUSAL_KINDS. */
extern void pgcredit_audit_name_refusal(int refusal, const char *code);

/* Lane with the transaction: in the log if and only if it commits. */
extern void pgcredit_audit_write_entry(PgcreditEntry *entry);

/* What entries have in common; NULL for what one does not have. */
typedef struct PgcreditDescription
{
	char	   *kind;
	char	   *operation;
	char	   *actor;
	char	   *session_user;
	char	   *institution;
	char	   *reason;
	ArrayType  *purposes;		/* text[] */
	ArrayType  *categories;
} PgcreditDescription;

/* An entry that names a subject. */
typedef struct PgcreditHistoryLine
{
	int64		seq;
	TimestampTz recorded;
	bool		listed;			/* in its list, see credit.list_proof */
	int32		descriptor;
	const PgcreditDescription *what;
} PgcreditHistoryLine;

/*
 * Where the log and its history end, without reading either: one is asked before
 * a snapshot is taken, the other after.
 */
typedef struct PgcreditLogMark
{
	uint64		end;			/* no entry after it is seen; 0: not known */
	uint64		indexed;		/* these are all in the history; 0: not known */
	uint64		restores;
} PgcreditLogMark;

extern void pgcredit_mark_before_snapshot(PgcreditLogMark *mark);
extern void pgcredit_mark_after_snapshot(PgcreditLogMark *mark);
extern int	pgcredit_history_page(Snapshot snapshot, const PgcreditLogMark *mark, const char *token,
								  int64 before, int most, PgcreditHistoryLine **lines);

/* What a subject takes away of an entry that names it. */
typedef struct PgcreditListProof
{
	text	   *entry;
	bytea	   *element;		/* of the entry's list, or NULL when it has none */
	int64		index;			/* of the element, from 0 */
	int64		size;			/* of the list, in elements */
	ArrayType  *path;			/* bytea[] */
} PgcreditListProof;

extern bool pgcredit_history_proof(Snapshot snapshot, int64 seq, const char *token, PgcreditListProof *proof);

/* Deletes what is derived of dropped entries, see history_drop.c. */
extern void pgcredit_history_drop(int64 upto);

#endif							/* PGCREDIT_AUDIT_H */
