/*
 * sha256_openssl_kernel.c
 *		SHA-256 by OpenSSL's libcrypto.
 *
 * By the functions that OpenSSL 3 calls deprecated: those it wants instead
 * allocate, may fail, and take half as long again for 65 bytes, which is what a
 * node of the tree hashes.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/sha256_kernel.h"

#include <openssl/sha.h>

#if SHA256_DIGEST_LENGTH != PGCREDIT_SHA256_BYTES
#error "a SHA-256 of OpenSSL is not 32 bytes long"
#endif

void
pgcredit_kernel_sha256_of(const void *head, size_t head_len, const void *data, size_t len,
						  uint8_t out[PGCREDIT_SHA256_BYTES])
{
	SHA256_CTX	state;

	/* with a state of the caller's they return 1, always */
	(void) SHA256_Init(&state);
	if (head_len > 0)
		(void) SHA256_Update(&state, head, head_len);
	if (len > 0)
		(void) SHA256_Update(&state, data, len);
	(void) SHA256_Final(out, &state);
}
