/*
 * target.h
 *		Measures of the ledgers, as other rooms see them.
 */
#ifndef PGCREDIT_TARGET_H
#define PGCREDIT_TARGET_H

extern void pgcredit_target_init(void);
extern Size pgcredit_target_shmem_size(void);
extern void pgcredit_target_shmem_init(void);

#endif							/* PGCREDIT_TARGET_H */
