/*
 * audit_internal.h
 *		Shared between the files of the audit room only.
 */
#ifndef PGCREDIT_AUDIT_INTERNAL_H
#define PGCREDIT_AUDIT_INTERNAL_H

#include "nodes/pg_list.h"
#include "storage/block.h"
#include "storage/proc.h"
#include "utils/tuplestore.h"

#include "audit/audit.h"

/*
 * What the writer takes out of the ring for one waiting backend: an entry; an
 * entry that takes uses, whose prefix is what pgcredit_entry_takes made and whose
 * suffix is empty; or a row of credit.audit_list, whose prefix is a ListRow and
 * whose suffix has its elements.
 */
typedef enum QueueKind
{
	QUEUE_ENTRY,
	QUEUE_COUNTED,
	QUEUE_LIST_ROW
} QueueKind;

typedef struct QueueItem
{
	uint32		size;			/* of the whole item in the ring, MAXALIGNed */
	QueueKind	kind;
	bool		refused;		/* the writer found no use left */
	int			place;			/* of an entry that takes uses, in its request */
	int			procno;			/* whose waiter to answer */
	uint64		ticket;			/* which of its requests */
	uint32		prefix_len;
	uint32		suffix_len;
	/* prefix and suffix bytes follow */
} QueueItem;

#define QUEUE_ITEM_PREFIX(item) ((char *) (item) + MAXALIGN(sizeof(QueueItem)))
#define QUEUE_ITEM_SUFFIX(item) (QUEUE_ITEM_PREFIX(item) + (item)->prefix_len)

/* queue.c, the writer's side; "slot" is an index that pgcredit_queue_claim gave */
extern bool pgcredit_audit_preloaded(void);
extern int	pgcredit_queue_claim(Oid dbid);
extern void pgcredit_queue_release(int slot, bool forget);
typedef enum QueueSummons
{
	SUMMONS_NONE,
	SUMMONS_LEAVE,				/* somebody wants the database to itself */
	SUMMONS_RECHECK				/* the extension may have been dropped */
} QueueSummons;

extern QueueSummons pgcredit_queue_summons(int slot);
extern bool pgcredit_queue_take_outbox_flag(int slot);
extern BlockNumber pgcredit_queue_take_outbox_block(int slot);
extern Size pgcredit_queue_take(int slot, char *batch, Size batch_size, int *n_items);
extern int	pgcredit_queue_pending(int slot);
extern void pgcredit_queue_answer(const QueueItem *item, uint64 seq, int sqlstate);
extern void pgcredit_queue_count(int slot, int64 entries, int64 bytes);
extern uint64 pgcredit_queue_end(int slot);
extern void pgcredit_queue_set_end(int slot, uint64 end);
extern void pgcredit_queue_set_indexed(int slot, uint64 indexed, const PgcreditLogMark *mark);
extern void pgcredit_queue_forget_end(Oid dbid);

/* queue.c, the launcher's side */
extern void pgcredit_launcher_register_pid(void);
extern List *pgcredit_queue_databases_to_start(void);
extern bool pgcredit_queue_served(Oid dbid);

/* queue.c, requests of ordinary backends */
extern void pgcredit_queue_init(void);
extern int	pgcredit_queue_put(QueueKind kind, const PgcreditEntry *item, int place, uint64 ticket);
extern uint64 pgcredit_waiter_begin(int n);
extern int	pgcredit_waiter_outstanding(int *sqlstate, uint64 *seq);
extern uint64 pgcredit_waiter_refused(void);
extern void pgcredit_queue_request_writer(Oid dbid);
extern void pgcredit_queue_note_outbox(BlockNumber block);
extern void pgcredit_queue_flag_outbox(Oid dbid);
extern void pgcredit_queue_wake_writer(Oid dbid);
extern void pgcredit_queue_bar(Oid dbid);
extern void pgcredit_queue_unbar(Oid dbid, bool gone);
extern void pgcredit_queue_forget(Oid dbid);

/* record.c: pgcredit.audit_timeout, in milliseconds */
extern int	pgcredit_audit_timeout(void);

/* entry.c */
extern void pgcredit_entry_check_size(const PgcreditEntry *entry);

/* uses.c: an entry that takes uses as it goes through the ring */
typedef struct PgcreditUses
{
	int32		n;
	int32		prefix_len;		/* of the entry, then of the one written otherwise */
	int32		suffix_len;
	int32		otherwise_prefix_len;
	int32		otherwise_suffix_len;
	int32		refusal;		/* what the other is counted under */
	int32		size;			/* of all this; the bytes of the two entries follow the uses */
	PgcreditUse uses[FLEXIBLE_ARRAY_MEMBER];
} PgcreditUses;

typedef struct UseBatch UseBatch;

extern UseBatch *pgcredit_uses_open(void);
extern bool pgcredit_uses_take(UseBatch *batch, const PgcreditUses *uses, uint64 seq);
extern void pgcredit_uses_close(UseBatch *batch);

/* note.c */
typedef struct PgcreditMember
{
	const char *name;
	char	   *value;			/* canonical bytes */
} PgcreditMember;

#define PGCREDIT_NOTE_ADDS 3

extern void pgcredit_audit_note_members(PgcreditMember *members, int n);

/* row_digest.c */
typedef struct RowDigest RowDigest;

extern int	pgcredit_pin_text_forms(bool zone);
extern RowDigest *pgcredit_row_digest_begin(TupleDesc desc);
extern int64 pgcredit_row_digest_add(RowDigest *digest, Tuplestorestate *rows, TupleDesc desc);
extern void pgcredit_row_digest_end(RowDigest *digest, uint8 *hash);

/* code_digest.c: palloc'd, the second NULL when no entry has one */
extern char *pgcredit_code_digest(void);
extern char *pgcredit_code_expected(uint64 from, uint64 to);
extern const char *pgcredit_code_in_entry(const char *entry, Size len);

/* configuration_settings.c: settings of ours in force as canonical JSON, palloc'd */
extern char *pgcredit_configuration_settings(void);

/* transaction.c */
extern void pgcredit_audit_transaction_init(void);
extern void pgcredit_audit_hooks_init(void);
extern void pgcredit_audit_note_outbox(void);

/* worker entry points, found by name by the postmaster */
extern PGDLLEXPORT void pgcredit_launcher_main(Datum arg);
extern PGDLLEXPORT void pgcredit_writer_main(Datum arg);
extern void pgcredit_launcher_register(void);

extern bool pgcredit_extension_installed(void);

#endif							/* PGCREDIT_AUDIT_INTERNAL_H */
