/*
 * retention.h
 *		Dropping old entries, as the files of the audit room share it.
 */
#ifndef PGCREDIT_AUDIT_RETENTION_H
#define PGCREDIT_AUDIT_RETENTION_H

extern void pgcredit_retention_init(void);
extern bool pgcredit_retention_step(void);

#endif							/* PGCREDIT_AUDIT_RETENTION_H */
