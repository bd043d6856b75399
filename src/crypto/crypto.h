/*
 * crypto.h
 *		libsodium behind a small interface; the only room that includes sodium.h.
 */
#ifndef PGCREDIT_CRYPTO_H
#define PGCREDIT_CRYPTO_H

#define PGCREDIT_HASH_BYTES 32

/*
 * What a subkey is for.  Each purpose has its own key derived from the master
 * key, so that a value made for one says nothing about another.  Numbers are
 * part of stored data: append only.
 */
typedef enum PgcreditKeyUse
{
	PGCREDIT_KEY_RESIDENT_DIGEST = 1,	/* look-up of resident identity numbers */
	PGCREDIT_KEY_RESIDENT_SEAL = 2	/* their sealed values */
} PgcreditKeyUse;

/* Defines pgcredit.key_file and pgcredit.key_command; reads the key. */
extern void pgcredit_crypto_init(void);

extern void pgcredit_random(void *out, size_t len);
extern void pgcredit_sha256(const void *data, size_t len,
							uint8 out[PGCREDIT_HASH_BYTES]);

/* Unpadded base64url of len bytes, palloc'd, NUL-terminated. */
extern char *pgcredit_base64url(const void *data, size_t len);

extern bool pgcredit_key_loaded(void);
extern void pgcredit_keyed_hash(PgcreditKeyUse use, const void *data, size_t len,
								uint8 out[PGCREDIT_HASH_BYTES]);
extern bytea *pgcredit_seal(PgcreditKeyUse use, const void *data, size_t len,
							const void *ad, size_t adlen);
extern bytea *pgcredit_unseal(PgcreditKeyUse use, const bytea *sealed,
							  const void *ad, size_t adlen);

#endif							/* PGCREDIT_CRYPTO_H */
