/*
 * notary.h
 *		The process that signs, as the files of the audit room share it.
 */
#ifndef PGCREDIT_AUDIT_NOTARY_H
#define PGCREDIT_AUDIT_NOTARY_H

extern void pgcredit_notary_init(void);
extern void pgcredit_witness_init(void);
extern void pgcredit_publish_init(void);
extern const char *pgcredit_publish_known(void);
extern void pgcredit_publish_deliver(void);
extern void pgcredit_publish_wait(void);
extern void pgcredit_notary_ensure(int slot);
extern void pgcredit_notary_hold_origin(const char *origin);
extern int	pgcredit_witness_quorum(void);
extern PGDLLEXPORT void pgcredit_notary_main(Datum arg);

#endif							/* PGCREDIT_AUDIT_NOTARY_H */
