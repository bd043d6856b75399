/*
 * consent.h
 *		Opening access and guarding rows, as other rooms see it.
 */
#ifndef PGCREDIT_CONSENT_H
#define PGCREDIT_CONSENT_H

extern void pgcredit_consent_init(void);
extern Size pgcredit_consent_shmem_size(void);
extern void pgcredit_consent_shmem_init(void);

#endif							/* PGCREDIT_CONSENT_H */
