/*
 * sha256_sodium_kernel.c
 *		SHA-256 by libsodium.
 */
#include "crypto/sha256_kernel.h"

#include <sodium.h>

#if crypto_hash_sha256_BYTES != PGCREDIT_SHA256_BYTES
#error "a SHA-256 of libsodium is not 32 bytes long"
#endif

void
pgcredit_kernel_sha256_of(const void *head, size_t head_len, const void *data, size_t len,
						  uint8_t out[PGCREDIT_SHA256_BYTES])
{
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	if (head_len > 0)
		crypto_hash_sha256_update(&state, head, head_len);
	if (len > 0)
		crypto_hash_sha256_update(&state, data, len);
	crypto_hash_sha256_final(&state, out);
}
