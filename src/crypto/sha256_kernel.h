/*
 * sha256_kernel.h
 *		SHA-256 (FIPS 180-4), which one of two files brings.
 *
 * The server hashes each entry it writes and each it verifies, so it takes
 * OpenSSL's, which uses the processor's instructions for it and is there wherever
 * PostgreSQL is; libsodium's does without them and needs four times as long.  The
 * verifier takes libsodium's: it depends on nothing else.
 */
#ifndef PGCREDIT_SHA256_KERNEL_H
#define PGCREDIT_SHA256_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#define PGCREDIT_SHA256_BYTES 32

/* Of len bytes behind head_len others, as if they were one value; either may be none. */
extern void pgcredit_kernel_sha256_of(const void *head, size_t head_len, const void *data, size_t len,
									  uint8_t out[PGCREDIT_SHA256_BYTES]);

#endif							/* PGCREDIT_SHA256_KERNEL_H */
