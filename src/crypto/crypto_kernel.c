/*
 * crypto_kernel.c
 *		Key text, subkeys, hashes, base64url and sealing over libsodium.
 *
 * Nothing here allocates, fails for lack of anything, or leaves key bytes
 * behind: callers own every buffer.  pgcredit_kernel_start comes first.
 */
#include "crypto/crypto_kernel.h"

#include <sodium.h>

#include "crypto/sha256_kernel.h"

#if crypto_kdf_KEYBYTES != PGCREDIT_KEY_BYTES || \
	crypto_generichash_KEYBYTES != PGCREDIT_KEY_BYTES || \
	crypto_aead_xchacha20poly1305_ietf_KEYBYTES != PGCREDIT_KEY_BYTES
#error "a key of libsodium is not 32 bytes long"
#endif
#if crypto_aead_xchacha20poly1305_ietf_NPUBBYTES != PGCREDIT_SEAL_NONCE || \
	crypto_aead_xchacha20poly1305_ietf_ABYTES != PGCREDIT_SEAL_TAG
#error "a nonce or tag of libsodium does not have the size of the sealed format"
#endif

/* Part of stored data: another context would be another set of subkeys. */
static const char kdf_context[crypto_kdf_CONTEXTBYTES] = {'p', 'g', 'c', 'r', 'e', 'd', 'i', 't'};
static const char key_id_label[] = "pgcredit key id";

/*
 * Must succeed before anything else here; may be called again.  False when
 * libsodium finds no source of random numbers.
 */
bool
pgcredit_kernel_start(void)
{
	return sodium_init() >= 0;
}

/*
 * Reads a master key: 64 hexadecimal digits of either case, with or without
 * one newline at the end.  On anything but OK the contents of key mean nothing,
 * and the caller wipes it as it would a key.
 */
PgcreditKeyText
pgcredit_kernel_key_text(const char *text, size_t len, uint8_t key[PGCREDIT_KEY_BYTES])
{
	size_t		got;

	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len == 0)
		return PGCREDIT_KEY_TEXT_EMPTY;
	if (len < PGCREDIT_KEY_DIGITS)
		return PGCREDIT_KEY_TEXT_SHORT;
	if (len > PGCREDIT_KEY_DIGITS)
		return PGCREDIT_KEY_TEXT_LONG;
	/* without an end pointer it fails unless every character is a digit */
	if (sodium_hex2bin(key, PGCREDIT_KEY_BYTES, text, len, NULL, &got, NULL) != 0 ||
		got != PGCREDIT_KEY_BYTES)
		return PGCREDIT_KEY_TEXT_NOT_HEX;
	return PGCREDIT_KEY_TEXT_OK;
}

/*
 * The subkey of one use: crypto_kdf, which is BLAKE2b keyed with the master
 * key, the number as salt and the context as personalisation.
 */
void
pgcredit_kernel_subkey(uint64_t use, const uint8_t master[PGCREDIT_KEY_BYTES],
					   uint8_t subkey[PGCREDIT_KEY_BYTES])
{
	crypto_kdf_derive_from_key(subkey, PGCREDIT_KEY_BYTES, use, kdf_context, master);
}

/*
 * A public name of the key: the first 8 bytes, in hexadecimal, of the keyed
 * hash of a fixed label under a subkey that serves nothing else.
 */
void
pgcredit_kernel_key_id(const uint8_t subkey[PGCREDIT_KEY_BYTES],
					   char id[PGCREDIT_KEY_ID_DIGITS + 1])
{
	uint8_t		hash[32];

	pgcredit_kernel_keyed_hash(subkey, key_id_label, sizeof(key_id_label) - 1, hash);
	sodium_bin2hex(id, PGCREDIT_KEY_ID_DIGITS + 1, hash, PGCREDIT_KEY_ID_DIGITS / 2);
}

/* SHA-256, FIPS 180-4. */
void
pgcredit_kernel_sha256(const void *data, size_t len, uint8_t out[32])
{
	pgcredit_kernel_sha256_of(NULL, 0, data, len, out);
}

/* Keyed BLAKE2b with 32 bytes of output, RFC 7693. */
void
pgcredit_kernel_keyed_hash(const uint8_t key[PGCREDIT_KEY_BYTES],
						   const void *data, size_t len, uint8_t out[32])
{
	crypto_generichash(out, 32, data, len, key, PGCREDIT_KEY_BYTES);
}

/* Bytes that pgcredit_kernel_base64url writes for len bytes, with the NUL. */
size_t
pgcredit_kernel_base64url_size(size_t len)
{
	return sodium_base64_encoded_len(len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* base64url of RFC 4648 section 5, without padding, NUL-terminated. */
void
pgcredit_kernel_base64url(const void *data, size_t len, char *out, size_t outsize)
{
	sodium_bin2base64(out, outsize, data, len,
					  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/*
 * Seals len bytes with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under a
 * random nonce into len + PGCREDIT_SEAL_OVERHEAD bytes.  The associated data
 * (adlen may be 0) is not stored: whoever opens the value must give it again.
 *
 * The version byte stands outside of the authenticated data, so another
 * version must derive its keys from other numbers of PgcreditKeyUse; then a
 * changed byte cannot make one format be read as another.
 */
void
pgcredit_kernel_seal(const uint8_t key[PGCREDIT_KEY_BYTES],
					 const void *data, size_t len,
					 const void *ad, size_t adlen, uint8_t *sealed)
{
	uint8_t    *nonce = sealed + 1;

	sealed[0] = PGCREDIT_SEAL_VERSION;
	randombytes_buf(nonce, PGCREDIT_SEAL_NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + PGCREDIT_SEAL_NONCE, NULL,
											   data, len, ad, adlen, NULL, nonce, key);
}

/*
 * Opens what pgcredit_kernel_seal made into sealedlen - PGCREDIT_SEAL_OVERHEAD
 * bytes.  False when the value is too short, of another version, changed, or
 * sealed under another key or other associated data; data then holds nothing
 * of the value.
 */
bool
pgcredit_kernel_unseal(const uint8_t key[PGCREDIT_KEY_BYTES],
					   const uint8_t *sealed, size_t sealedlen,
					   const void *ad, size_t adlen, uint8_t *data)
{
	const uint8_t *nonce = sealed + 1;
	const uint8_t *box = nonce + PGCREDIT_SEAL_NONCE;

	if (sealedlen < PGCREDIT_SEAL_OVERHEAD || sealed[0] != PGCREDIT_SEAL_VERSION)
		return false;
	return crypto_aead_xchacha20poly1305_ietf_decrypt(data, NULL, NULL, box,
													  sealedlen - 1 - PGCREDIT_SEAL_NONCE,
													  ad, adlen, nonce, key) == 0;
}
