/*
 * stat.h
 *		What the audit room counts for who watches it.
 *
 * Readers add to atomics and take no lock; the rest is changed where the slot's
 * lock is held anyway.  Counts begin with the server, or with
 * credit.stat_audit_reset.
 */
#ifndef PGCREDIT_AUDIT_STAT_H
#define PGCREDIT_AUDIT_STAT_H

#include "datatype/timestamp.h"
#include "port/atomics.h"

#include "audit/audit.h"

/* 2^30 microseconds are more than the longest pgcredit.audit_timeout. */
#define STAT_WAITS 32
#define STAT_SECONDS 64			/* a power of two, more than a minute */

typedef enum AuditFailure
{
	FAILURE_UNAVAILABLE,
	FAILURE_TIMEOUT,
	FAILURE_QUEUE_FULL,
	FAILURE_OTHER,
	FAILURE_KINDS
} AuditFailure;

typedef struct AuditStat
{
	/* without a lock */
	pg_atomic_uint64 waits[STAT_WAITS]; /* [k]: less than 2^k us, not less than half of that */
	pg_atomic_uint64 wait_us;	/* sum */
	pg_atomic_uint64 refusals[PGCREDIT_REFUSAL_KINDS];
	pg_atomic_uint64 failures[FAILURE_KINDS];

	/* the slot's lock protects all that follows */
	TimestampTz since;			/* of the counts */
	int64		entries;
	int64		bytes;
	int64		batches;		/* that had an entry */
	int64		largest;		/* entries of a batch */
	int64		second;			/* newest of per_second, since the epoch of timestamps */
	uint32		per_second[STAT_SECONDS];	/* entries, [second % STAT_SECONDS] */
	int64		notary_failures;
	TimestampTz failed_at;
	int			failed_sqlstate;
	char		failed_message[256];

	/* likewise, and not set back by a reset */
	int64		writer_starts;
	TimestampTz writer_started;
	TimestampTz notary_started;
} AuditStat;

extern void pgcredit_stat_init(AuditStat *stat);
extern void pgcredit_stat_batch(AuditStat *stat, int64 entries, int64 bytes);
extern void pgcredit_stat_notary_failed(int slot, int sqlstate, const char *message);

/* in the reading backend */
extern void pgcredit_stat_begin(const PgcreditEntry *entries, int n);
extern void pgcredit_stat_also_refused(int refusal);
extern void pgcredit_stat_answered(void);
extern void pgcredit_stat_refused(int sqlstate);

/* Where the room's processes and readers wait, for pg_stat_activity. */
typedef enum AuditWait
{
	AUDIT_WAIT_DURABLE,			/* a reader, for its entry */
	AUDIT_WAIT_ROOM,			/* a reader, for room in the ring */
	AUDIT_WAIT_WRITER,			/* a reader, for a writer */
	AUDIT_WAIT_CHECKPOINT,		/* who asked for one */
	AUDIT_WAIT_LEAVE,			/* who wants the database alone */
	AUDIT_WAIT_WRITER_IDLE,
	AUDIT_WAIT_NOTARY_IDLE,
	AUDIT_WAIT_LAUNCHER_IDLE,
	AUDIT_WAIT_VERIFY,			/* credit.verify_log and its workers, for each other */
	AUDIT_WAITS
} AuditWait;

extern uint32 pgcredit_audit_wait(AuditWait wait);

#endif							/* PGCREDIT_AUDIT_STAT_H */
