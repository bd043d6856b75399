/*
 * shared.h
 *		The audit room's shared memory, for the files that work on it:
 *		shared.c, queue.c, notary.c, verify_progress.c.
 *
 * Shared memory holds, once per cluster, a small header, an array of slots and
 * an array of waiters.  A slot belongs to a database and owns one ring; a
 * waiter belongs to a backend (indexed by its PGPROC number) and holds the
 * answer to its present request.
 *
 * Lock order: header lock, slot lock, waiter spinlock; a slot's lock is never
 * taken while another's is held.  Nobody waits or allocates while holding any
 * of them.
 *
 *	header lock		which database a slot belongs to, requests to the launcher
 *	slot lock		everything else in a slot, and its ring
 *	waiter spinlock	the waiter
 *
 * After a crash the postmaster makes shared memory anew.
 */
#ifndef PGCREDIT_AUDIT_SHARED_H
#define PGCREDIT_AUDIT_SHARED_H

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#include "audit/audit_internal.h"
#include "audit/stat.h"
#include "audit/verify.h"
#include "crypto/crypto.h"

#define MAX_REQUESTS 32

typedef struct AuditSlot
{
	Oid			dbid;			/* header lock and slot lock to change, either to
								 * read; InvalidOid when free */

	pg_atomic_uint32 outbox_block;	/* no lock: the first block of the outbox in which a row was
								 * put since the writer asked, or InvalidBlockNumber */

	/* the slot's own lock protects all that follows */
	bool		served;			/* a writer has claimed it since it was given out */
	int			writer_pid;		/* 0 when no writer serves the ring */
	int			writer_procno;
	int			barred_by;		/* pid of a backend that wants the writer away */
	bool		recheck;		/* the extension may be gone */
	bool		outbox;			/* a transaction with outbox rows committed */
	uint64		head;			/* bytes ever put in */
	uint64		tail;			/* bytes ever taken out */
	int			pending;		/* items between the two */
	bool		accessed;		/* a read or refusal was recorded since the start */
	Size		bulk;			/* bytes of lists among them, see pgcredit_queue_put */
	uint64		end;			/* no entry after it is in the log; 0: not known */
	uint64		indexed;		/* the history covers these; 0: not known */
	uint64		restores;		/* times that the two were forgotten */

	/* between the notary and who wants a checkpoint */
	int			notary_pid;		/* 0 when there is none */
	int			notary_procno;
	uint64		sign_asked;		/* requests ever made */
	uint64		sign_done;		/* and answered */
	int			sign_sqlstate;	/* of the last answer, 0 for success */
	char		sign_message[256];
	uint64		signed_size;	/* newest checkpoint signed since the start, 0: none */
	PgcreditMerkleHash signed_root;
	char		signed_origin[PGCREDIT_NOTE_NAME_MAX + 1];	/* the name it was signed under */
	TimestampTz signed_at;
	char		origin[PGCREDIT_NOTE_NAME_MAX + 1]; /* it signs under this name; header lock
											 * and slot lock to change */
	ConditionVariable signed_cv;	/* has its own lock; told at each answer */

	AuditStat	stat;			/* says itself what needs the lock */
	VerifyMark	verified;		/* where the last credit.verify_log got to */
} AuditSlot;

/* What credit.verify_log of a backend is doing */
typedef struct AuditVerify
{
	VerifyPhase phase;
	int			pid;
	Oid			dbid;
	uint64		done;
	uint64		total;
	int			workers;
	TimestampTz started;
} AuditVerify;

typedef struct AuditWaiter
{
	slock_t		mutex;			/* protects all that follows */
	uint64		ticket;
	int			outstanding;	/* items not answered yet */
	int			sqlstate;		/* 0, or why one of them failed */
	uint64		seq;			/* lowest sequence number among them */
	uint64		refused;		/* places of entries for which no use was left */
	AuditVerify verify;
} AuditWaiter;

typedef struct AuditHeader
{
	int			launcher_procno;	/* header lock; -1 when none */
	Oid			requests[MAX_REQUESTS]; /* header lock */
	int			n_slots;
	int			n_waiters;
	Size		ring_size;
} AuditHeader;

typedef struct AuditShared
{
	AuditHeader *header;		/* NULL when the library is not preloaded */
	AuditSlot  *slots;
	AuditWaiter *waiters;
	char	   *rings;			/* one after the other, header->ring_size each */
	LWLockPadded *locks;		/* [0] header, [1 + i] slot i */
} AuditShared;

extern AuditShared pgcredit_audit;

#define HEADER_LOCK (&pgcredit_audit.locks[0].lock)
#define SLOT_LOCK(i) (&pgcredit_audit.locks[1 + (i)].lock)

extern int	pgcredit_slot_find(Oid dbid, bool make);
extern void pgcredit_slot_free(int slot, Oid dbid, bool only_unserved);
extern void pgcredit_wake(int procno);

#endif							/* PGCREDIT_AUDIT_SHARED_H */
