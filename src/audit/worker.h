/*
 * worker.h
 *		What the writer and the notary have in common as processes.
 */
#ifndef PGCREDIT_AUDIT_WORKER_H
#define PGCREDIT_AUDIT_WORKER_H

#include <signal.h>

/* Set while a transaction is under way: the wait for its end may be cut short. */
extern volatile sig_atomic_t pgcredit_worker_busy;

extern void pgcredit_worker_connect(Oid dbid);
extern void pgcredit_worker_companion(void);

#endif							/* PGCREDIT_AUDIT_WORKER_H */
