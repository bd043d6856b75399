/*
 * key.h
 *		Inside of the room: borrowing a subkey for one call of the kernel.
 */
#ifndef PGCREDIT_KEY_H
#define PGCREDIT_KEY_H

#include "crypto/crypto.h"
#include "crypto/crypto_kernel.h"

extern void pgcredit_key_init(void);
extern const uint8 *pgcredit_key_begin(PgcreditKeyUse use);
extern void pgcredit_key_end(void);
extern const char *pgcredit_key_id(void);

#endif							/* PGCREDIT_KEY_H */
