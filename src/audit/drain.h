/*
 * drain.h
 *		Moving the outbox into the log, for the audit writer.
 */
#ifndef PGCREDIT_AUDIT_DRAIN_H
#define PGCREDIT_AUDIT_DRAIN_H

#include "audit/log.h"

extern bool pgcredit_drain_outbox(Log *log, int slot, bool whole);
extern void pgcredit_drain_forget(void);

#endif							/* PGCREDIT_AUDIT_DRAIN_H */
