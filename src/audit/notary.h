/*
 * notary.h
 *		The process that signs, as the files of the audit room share it.
 */
#ifndef PGCREDIT_AUDIT_NOTARY_H
#define PGCREDIT_AUDIT_NOTARY_H

extern void pgcredit_notary_init(void);
extern void pgcredit_witness_init(void);
extern void pgcredit_notary_ensure(int slot);
extern int	pgcredit_witness_quorum(void);
extern PGDLLEXPORT void pgcredit_notary_main(Datum arg);

#endif							/* PGCREDIT_AUDIT_NOTARY_H */
