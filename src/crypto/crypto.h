/*
 * crypto.h
 *		libsodium behind a small interface; the only room that includes sodium.h.
 */
#ifndef PGCREDIT_CRYPTO_H
#define PGCREDIT_CRYPTO_H

/* Plain C that other rooms call too; those in turn start with pgcredit_crypto_init. */
#include "crypto/merkle_kernel.h"
#include "crypto/note_kernel.h"

#define PGCREDIT_HASH_BYTES 32

/*
 * What a subkey is for.  Each purpose has its own key derived from the master
 * key, so that a value made for one says nothing about another.  Numbers are
 * part of stored data: append only.
 */
typedef enum PgcreditKeyUse
{
	PGCREDIT_KEY_RESIDENT_DIGEST = 1,	/* look-up of resident identity numbers */
	PGCREDIT_KEY_RESIDENT_SEAL = 2, /* their sealed values */
	PGCREDIT_KEY_NAME = 3,		/* credit.key_id() */
	PGCREDIT_KEY_LOG = 4,		/* seed of the log's Ed25519 key */
	PGCREDIT_KEY_RECEIPT = 5	/* seed of the platform's Ed25519 key: receipts, the counter's consents */
} PgcreditKeyUse;

#define PGCREDIT_KEY_USE_LAST PGCREDIT_KEY_RECEIPT

/*
 * Starts libsodium in every process.  While the library is preloaded also
 * defines pgcredit.key_file and pgcredit.key_command and reads the key, and
 * ends the server's start with FATAL when that cannot be done.
 */
extern void pgcredit_crypto_init(void);

/* len bytes from the operating system's generator, fit for keys and salts. */
extern void pgcredit_random(void *out, size_t len);
extern void pgcredit_sha256(const void *data, size_t len,
							uint8 out[PGCREDIT_HASH_BYTES]);

/* Unpadded base64url of len bytes, palloc'd, NUL-terminated. */
extern char *pgcredit_base64url(const void *data, size_t len);

/* Zeroes a buffer that held something secret; not optimised away. */
extern void pgcredit_memzero(void *buf, size_t len);

/* Whether this server has a key; never raises. */
extern bool pgcredit_key_loaded(void);

/*
 * These three need the key.  Without one they raise PC201, and 55000 when the
 * library is not preloaded.
 *
 * keyed_hash: 32 bytes, the same for the same data, use and key.
 *
 * seal: palloc'd; the same data gives another value each time.  The associated
 * data ad (adlen may be 0) binds the value to its place, such as the kind and
 * the row it belongs to; it is not stored.
 *
 * unseal: palloc'd; sealed must be detoasted, a short header is fine.  Raises
 * PC202 when the value was changed, cut, put in another place or sealed under
 * another key.  The caller wipes the result with pgcredit_memzero as soon as
 * it can.
 */
extern void pgcredit_keyed_hash(PgcreditKeyUse use, const void *data, size_t len,
								uint8 out[PGCREDIT_HASH_BYTES]);
extern bytea *pgcredit_seal(PgcreditKeyUse use, const void *data, size_t len,
							const void *ad, size_t adlen);
extern bytea *pgcredit_unseal(PgcreditKeyUse use, const bytea *sealed,
							  const void *ad, size_t adlen);

/*
 * The key that the log signs with under this name, and a signature line of it
 * over text (C2SP signed-note); length of the line, which ends in a newline.
 * Both need the key, as those above.  A name that is no key's name raises 22023.
 */
extern void pgcredit_log_key(const char *name, PgcreditNoteKey *key);
extern size_t pgcredit_log_sign(const PgcreditNoteKey *key, const char *text, size_t len,
								char line[PGCREDIT_NOTE_LINE_SIZE]);

#endif							/* PGCREDIT_CRYPTO_H */
