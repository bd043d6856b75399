/*
 * note_sign.c
 *		Signs what it reads, as a log with another key than ours and as a witness:
 *
 *   note_sign vkey    log|witness NAME SEED
 *   note_sign note    log         NAME SEED            text -> signed note
 *   note_sign line    witness     NAME SEED SECONDS    note -> cosignature line
 *
 * SEED is one character, 32 times.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto_kernel.h"
#include "crypto/note_kernel.h"

int
main(int argc, char **argv)
{
	static char text[100000];
	char		line[PGCREDIT_NOTE_LINE_SIZE];
	char		vkey[PGCREDIT_NOTE_VKEY_SIZE];
	uint8_t		seed[PGCREDIT_NOTE_SEED];
	uint8_t		public_key[PGCREDIT_NOTE_PUBLIC];
	PgcreditNoteKey key;
	PgcreditNote note;
	size_t		len;

	if (argc < 5 || !pgcredit_kernel_start())
		return 2;
	memset(seed, argv[4][0], sizeof(seed));
	pgcredit_note_public_key(seed, public_key);
	if (!pgcredit_note_key(argv[3], strcmp(argv[2], "log") == 0 ? PGCREDIT_NOTE_ED25519 : PGCREDIT_NOTE_COSIGNATURE,
						   public_key, &key))
		return 2;
	if (strcmp(argv[1], "vkey") == 0)
	{
		pgcredit_note_vkey(&key, vkey);
		printf("%s", vkey);
		return 0;
	}
	len = fread(text, 1, sizeof(text), stdin);
	if (strcmp(argv[1], "note") == 0)
	{
		pgcredit_note_signature_line(&key, seed, text, len, line);
		printf("%.*s\n%s", (int) len, text, line);
		return 0;
	}
	if (argc < 6 || !pgcredit_note_open(text, len, &note) ||
		pgcredit_note_cosignature_line(&key, seed, note.text, note.text_len, strtoull(argv[5], NULL, 10), line) == 0)
		return 2;
	printf("%s", line);
	return 0;
}
