/*
 * crypto_kernel.h
 *		What the room does with bytes alone: plain C over libsodium, nothing of
 *		PostgreSQL, so that known answers can be checked without a server.
 */
#ifndef PGCREDIT_CRYPTO_KERNEL_H
#define PGCREDIT_CRYPTO_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGCREDIT_KEY_BYTES 32
#define PGCREDIT_KEY_DIGITS (2 * PGCREDIT_KEY_BYTES)
#define PGCREDIT_KEY_ID_DIGITS 16

/* Sealed value: version byte, nonce, ciphertext as long as the data, tag. */
#define PGCREDIT_SEAL_VERSION 1
#define PGCREDIT_SEAL_NONCE 24
#define PGCREDIT_SEAL_TAG 16
#define PGCREDIT_SEAL_OVERHEAD (1 + PGCREDIT_SEAL_NONCE + PGCREDIT_SEAL_TAG)

typedef enum PgcreditKeyText
{
	PGCREDIT_KEY_TEXT_OK,
	PGCREDIT_KEY_TEXT_EMPTY,
	PGCREDIT_KEY_TEXT_SHORT,
	PGCREDIT_KEY_TEXT_LONG,
	PGCREDIT_KEY_TEXT_NOT_HEX
} PgcreditKeyText;

extern bool pgcredit_kernel_start(void);
extern PgcreditKeyText pgcredit_kernel_key_text(const char *text, size_t len,
												uint8_t key[PGCREDIT_KEY_BYTES]);
extern void pgcredit_kernel_subkey(uint64_t use, const uint8_t master[PGCREDIT_KEY_BYTES],
								   uint8_t subkey[PGCREDIT_KEY_BYTES]);
extern void pgcredit_kernel_key_id(const uint8_t subkey[PGCREDIT_KEY_BYTES],
								   char id[PGCREDIT_KEY_ID_DIGITS + 1]);
extern void pgcredit_kernel_sha256(const void *data, size_t len, uint8_t out[32]);
extern void pgcredit_kernel_keyed_hash(const uint8_t key[PGCREDIT_KEY_BYTES],
									   const void *data, size_t len, uint8_t out[32]);
extern size_t pgcredit_kernel_base64url_size(size_t len);
extern void pgcredit_kernel_base64url(const void *data, size_t len, char *out, size_t outsize);
extern void pgcredit_kernel_seal(const uint8_t key[PGCREDIT_KEY_BYTES],
								 const void *data, size_t len,
								 const void *ad, size_t adlen, uint8_t *sealed);
extern bool pgcredit_kernel_unseal(const uint8_t key[PGCREDIT_KEY_BYTES],
								   const uint8_t *sealed, size_t sealedlen,
								   const void *ad, size_t adlen, uint8_t *data);

#endif							/* PGCREDIT_CRYPTO_KERNEL_H */
