/*
 * checkpoint.h
 *		Signed checkpoints, as the files of the audit room share them.
 */
#ifndef PGCREDIT_AUDIT_CHECKPOINT_H
#define PGCREDIT_AUDIT_CHECKPOINT_H

#include "crypto/crypto.h"

extern bool pgcredit_checkpoint_sign(PgcreditCheckpoint *known, const char *outside);
extern char *pgcredit_checkpoint_newest_note(void);
extern bool pgcredit_checkpoint_exists(void);
extern void pgcredit_checkpoint_parse_own(const char *text, Size len, const PgcreditNoteKey *key,
										  PgcreditCheckpoint *out);

#endif							/* PGCREDIT_AUDIT_CHECKPOINT_H */
