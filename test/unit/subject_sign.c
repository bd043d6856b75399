/*
 * subject_sign.c
 *		What a subject's device and whoever checks a receipt do, without a server:
 *
 *   subject_sign key    SEED                   public key, in hexadecimal digits
 *   subject_sign sign   SEED                   signature of what it reads
 *   subject_sign check  PUBLIC_KEY SIGNATURE   exits with 0 when they fit what it reads
 *
 * SEED is one character, 32 times.
 */
#include <stdio.h>
#include <string.h>

#include "crypto/crypto_kernel.h"
#include "crypto/note_kernel.h"

static bool
from_digits(const char *digits, uint8_t *out, size_t len)
{
	if (strlen(digits) != 2 * len)
		return false;
	for (size_t k = 0; k < len; k++)
	{
		unsigned int byte;

		if (sscanf(digits + 2 * k, "%2x", &byte) != 1)
			return false;
		out[k] = (uint8_t) byte;
	}
	return true;
}

static int
print_digits(const uint8_t *bytes, size_t len)
{
	for (size_t k = 0; k < len; k++)
		printf("%02x", bytes[k]);
	return 0;
}

int
main(int argc, char **argv)
{
	static char text[100000];
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
		return print_digits(public_key, sizeof(public_key));
	}
	len = fread(text, 1, sizeof(text), stdin);
	if (strcmp(argv[1], "sign") == 0)
	{
		pgcredit_note_sign(seed, text, len, signature);
		return print_digits(signature, sizeof(signature));
	}
	if (argc < 4 || !from_digits(argv[2], public_key, sizeof(public_key)) ||
		!from_digits(argv[3], signature, sizeof(signature)))
		return 2;
	return pgcredit_note_verify(public_key, text, len, signature) ? 0 : 1;
}
