/*
 * crypto_test.c
 *		Known answers for src/crypto/crypto_kernel.c, without a server; TAP on
 *		standard output.  Built and run by test/t/020_crypto_key.pl.
 *
 * Sources: SHA-256 of FIPS 180-4's examples; base64url from RFC 4648 section 10;
 * XChaCha20-Poly1305 from draft-irtf-cfrg-xchacha-03 appendix A.3.1; subkeys and
 * keyed hash recomputed with Python's hashlib.blake2b.
 */
#include <stdio.h>
#include <string.h>

#include "crypto/crypto_kernel.h"

static int	tests = 0;
static int	failed = 0;

static void
ok(int passed, const char *what)
{
	printf("%sok %d - %s\n", passed ? "" : "not ", ++tests, what);
	failed += !passed;
}

static void
ok_hex(const uint8_t *got, size_t len, const char *expected, const char *what)
{
	char		hex[1024];
	size_t		i;

	for (i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", got[i]);
	ok(strcmp(hex, expected) == 0, what);
	if (strcmp(hex, expected) != 0)
		printf("# got %s\n", hex);
}

static void
test_key_text(void)
{
	static const char digits[] = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n\n";
	uint8_t		key[PGCREDIT_KEY_BYTES];
	char		text[sizeof(digits)];

	ok(pgcredit_kernel_key_text(digits, 64, key) == PGCREDIT_KEY_TEXT_OK, "64 digits are a key");
	ok_hex(key, 32, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "digits in order, either case");
	ok(pgcredit_kernel_key_text(digits, 65, key) == PGCREDIT_KEY_TEXT_OK, "one newline is allowed");
	ok(pgcredit_kernel_key_text(digits, 66, key) == PGCREDIT_KEY_TEXT_LONG, "two are not");
	ok(pgcredit_kernel_key_text(digits, 63, key) == PGCREDIT_KEY_TEXT_SHORT, "63 digits are too few");
	ok(pgcredit_kernel_key_text(digits, 0, key) == PGCREDIT_KEY_TEXT_EMPTY, "no byte is empty");
	ok(pgcredit_kernel_key_text("\n", 1, key) == PGCREDIT_KEY_TEXT_EMPTY, "a newline alone is empty");
	memcpy(text, digits, sizeof(text));
	text[63] = 'g';
	ok(pgcredit_kernel_key_text(text, 64, key) == PGCREDIT_KEY_TEXT_NOT_HEX, "a letter after f is refused");
	text[63] = '\0';
	ok(pgcredit_kernel_key_text(text, 64, key) == PGCREDIT_KEY_TEXT_NOT_HEX, "a NUL is refused");
	text[63] = '\n';
	text[64] = 'f';
	ok(pgcredit_kernel_key_text(text, 64, key) == PGCREDIT_KEY_TEXT_SHORT, "the newline is no digit");
	ok(pgcredit_kernel_key_text(text, 65, key) == PGCREDIT_KEY_TEXT_LONG, "nor may digits go on after it");
}

static void
test_hashes(void)
{
	uint8_t		master[PGCREDIT_KEY_BYTES];
	uint8_t		key[PGCREDIT_KEY_BYTES];
	uint8_t		out[32];
	char		id[PGCREDIT_KEY_ID_DIGITS + 1];
	char		million[1000];
	int			i;

	pgcredit_kernel_sha256("", 0, out);
	ok_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "SHA-256 of nothing");
	pgcredit_kernel_sha256("abc", 3, out);
	ok_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "SHA-256 of one block");
	pgcredit_kernel_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, out);
	ok_hex(out, 32, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", "SHA-256 of two blocks");
	memset(million, 'a', sizeof(million));
	pgcredit_kernel_sha256(million, sizeof(million), out);
	ok_hex(out, 32, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3", "SHA-256 of 1000 times a");

	for (i = 0; i < PGCREDIT_KEY_BYTES; i++)
		master[i] = i;
	pgcredit_kernel_subkey(1, master, key);
	ok_hex(key, 32, "8d47967b538c97ca006ade10ac79ce19b6da609ceff650c38e5b298721d26d2c", "subkey 1");
	pgcredit_kernel_keyed_hash(key, "abc", 3, out);
	ok_hex(out, 32, "4589a74141764d9303c500462b9dc713b2ae3c99baab02828a40d0ba6aa4be79", "keyed hash under subkey 1");
	pgcredit_kernel_subkey(3, master, key);
	pgcredit_kernel_key_id(key, id);
	ok(strcmp(id, "05a037596157cbb3") == 0, "name of the key from subkey 3");
}

static void
test_base64url(void)
{
	static const char *const vectors[][2] = {
		{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"},
		{"\xfb\xef\xff", "--__"}
	};
	char		out[16];
	size_t		i;

	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
	{
		size_t		len = strlen(vectors[i][0]);

		pgcredit_kernel_base64url(vectors[i][0], len, out, sizeof(out));
		ok(strcmp(out, vectors[i][1]) == 0, vectors[i][1][0] ? vectors[i][1] : "base64url of nothing");
		ok(pgcredit_kernel_base64url_size(len) >= strlen(vectors[i][1]) + 1, "the announced size is enough");
	}
}

static void
test_seal_vector(void)
{
	static const char plain[] =
		"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
	static const uint8_t ad[] = {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7};
	static const char box[] =
		"bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
		"731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
		"2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
		"21f9664c97637da9768812f615c68b13b52e"
		"c0875924c1c7987947deafd8780acf49";
	uint8_t		key[PGCREDIT_KEY_BYTES];
	uint8_t		sealed[256];
	uint8_t		data[256];
	size_t		len = sizeof(plain) - 1;
	size_t		i;

	for (i = 0; i < sizeof(key); i++)
		key[i] = 0x80 + i;
	sealed[0] = 1;
	for (i = 0; i < 24; i++)
		sealed[1 + i] = 0x40 + i;
	for (i = 0; i < len + 16; i++)
	{
		unsigned int byte;

		sscanf(box + 2 * i, "%2x", &byte);
		sealed[25 + i] = byte;
	}
	ok(pgcredit_kernel_unseal(key, sealed, len + PGCREDIT_SEAL_OVERHEAD, ad, sizeof(ad), data) &&
	   memcmp(data, plain, len) == 0, "the draft's vector opens");
}

static void
test_seal_tampering(void)
{
	static const char plain[] = "330106199001011234";
	uint8_t		key[PGCREDIT_KEY_BYTES] = {7};
	uint8_t		sealed[64 + PGCREDIT_SEAL_OVERHEAD];
	uint8_t		again[64 + PGCREDIT_SEAL_OVERHEAD];
	uint8_t		data[64];
	size_t		len = sizeof(plain) - 1;
	size_t		size = len + PGCREDIT_SEAL_OVERHEAD;
	size_t		i;
	int			opened;

	pgcredit_kernel_seal(key, plain, len, "ad", 2, sealed);
	ok(pgcredit_kernel_unseal(key, sealed, size, "ad", 2, data) && memcmp(data, plain, len) == 0,
	   "what was sealed opens");
	pgcredit_kernel_seal(key, plain, len, "ad", 2, again);
	ok(memcmp(sealed, again, size) != 0, "the same value seals differently");

	for (opened = 0, i = 0; i < size * 8; i++)
	{
		sealed[i / 8] ^= 1 << (i % 8);
		opened += pgcredit_kernel_unseal(key, sealed, size, "ad", 2, data);
		sealed[i / 8] ^= 1 << (i % 8);
	}
	ok(opened == 0, "no single changed bit opens");
	for (opened = 0, i = 0; i < size; i++)
		opened += pgcredit_kernel_unseal(key, sealed, i, "ad", 2, data);
	ok(opened == 0, "no cut value opens");
	ok(!pgcredit_kernel_unseal(key, sealed, size, "aD", 2, data), "other associated data does not open");
	ok(!pgcredit_kernel_unseal(key, sealed, size, NULL, 0, data), "nor none");
	key[31] ^= 1;
	ok(!pgcredit_kernel_unseal(key, sealed, size, "ad", 2, data), "nor another key");
	key[31] ^= 1;
	ok(pgcredit_kernel_unseal(key, sealed, size, "ad", 2, data), "and the unchanged value still does");

	pgcredit_kernel_seal(key, NULL, 0, NULL, 0, sealed);
	ok(pgcredit_kernel_unseal(key, sealed, PGCREDIT_SEAL_OVERHEAD, NULL, 0, data), "an empty value seals and opens");
}

int
main(void)
{
	ok(pgcredit_kernel_start(), "libsodium starts");
	test_key_text();
	test_hashes();
	test_base64url();
	test_seal_vector();
	test_seal_tampering();
	printf("1..%d\n", tests);
	return failed != 0;
}
