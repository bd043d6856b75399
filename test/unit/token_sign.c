/*
 * token_sign.c
 *		Makes session tokens, as an issuer does that is no part of the platform:
 *
 *   token_sign key   SEED            public key in hexadecimal
 *   token_sign token SEED            canonical JSON -> token
 *
 * SEED is one character, 32 times.  What it reads is signed as it stands, right
 * or wrong.
 */
#include <stdio.h>
#include <string.h>

#include "crypto/crypto_kernel.h"
#include "crypto/note_kernel.h"

int
main(int argc, char **argv)
{
	static char payload[100000];
	static char encoded[200000];
	uint8_t		seed[PGCREDIT_NOTE_SEED];
	uint8_t		public_key[PGCREDIT_NOTE_PUBLIC];
	uint8_t		signature[PGCREDIT_NOTE_SIGNATURE];
	size_t		len;

	if (argc < 3 || !pgcredit_kernel_start())
		return 2;
	memset(seed, argv[2][0], sizeof(seed));
	if (strcmp(argv[1], "key") == 0)
	{
		pgcredit_note_public_key(seed, public_key);
		for (size_t k = 0; k < sizeof(public_key); k++)
			printf("%02x", public_key[k]);
		return 0;
	}
	len = fread(payload, 1, sizeof(payload), stdin);
	pgcredit_note_sign(seed, payload, len, signature);
	pgcredit_kernel_base64url(payload, len, encoded, sizeof(encoded));
	printf("%s.", encoded);
	pgcredit_kernel_base64url(signature, sizeof(signature), encoded, sizeof(encoded));
	printf("%s", encoded);
	return 0;
}
