/*
 * note_test.c
 *		src/crypto/note_kernel.c without a server; TAP on standard output.  Built
 *		and run by test/t/021_crypto_tree.pl.
 *
 * Sources: the example of C2SP signed-note; a key of x/mod's sumdb/note tests;
 * the log of torchwood's litewitness test; a log and a witness of our own with
 * seeds 00..1f and 20..3f, whose signatures x/mod made; base64 of RFC 4648.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto_kernel.h"
#include "crypto/note_kernel.h"

#define LOG_VKEY "example.com/pgcredit-log+7ac4a506+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
#define WITNESS_VKEY "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
#define LOG_TEXT_8 "example.com/pgcredit-log\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"
#define LOG_LINE_8 "\xe2\x80\x94 example.com/pgcredit-log esSlBkYj674oUeH+nsGi258J67j/LVpkZyxUcSkjjymorqEhfC37cteBiBQ6j9DNMEgH5KR7jAUvtk7Ni07pJ2m5Cg8=\n"
#define LOG_LINE_5 "\xe2\x80\x94 example.com/pgcredit-log esSlBrb90zsFJMrKSnUb4QOPfwYMjiC0ll0ZC3iA7Cmy+jrWH+FalRWk3npypL/fiS9yoWABlM0FdBNqeGuV5GJciwo=\n"
#define WITNESS_LINE_8 "\xe2\x80\x94 witness.example/w1 IDJKvgAAAABlU/EAyYrOveZPZQl/Os0JvoX0DZfAdsvsV5Yx/8f3ET1XNT6OjRjMi3CgSv0mFoO3SpjNUZhGgZ8RF4DZK3e2Qcx5Bg==\n"

static int	tests = 0;
static int	failed = 0;

static void
ok(int passed, const char *what)
{
	printf("%sok %d - %s\n", passed ? "" : "not ", ++tests, what);
	failed += !passed;
}

static void
is_text(const char *got, const char *expected, const char *what)
{
	ok(strcmp(got, expected) == 0, what);
	if (strcmp(got, expected) != 0)
		printf("# got      %s\n# expected %s\n", got, expected);
}

/* A copy that ends where its length does, so that reading on is seen by tools. */
static char *
exact(const char *text, size_t len)
{
	char	   *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, text, len);
	return copy;
}

static bool
opens(const char *text, size_t len)
{
	PgcreditNote note;
	char	   *copy = exact(text, len);
	bool		result = pgcredit_note_open(copy, len, &note);

	free(copy);
	return result;
}

static bool
key_of(const char *vkey, PgcreditNoteKey *key)
{
	char	   *copy = exact(vkey, strlen(vkey));
	bool		result = pgcredit_note_parse_vkey(copy, strlen(vkey), key);

	free(copy);
	return result;
}

static bool
parses(const char *text, size_t len)
{
	PgcreditCheckpoint checkpoint;
	char	   *copy = exact(text, len);
	bool		result = pgcredit_checkpoint_parse(copy, len, &checkpoint);

	free(copy);
	return result;
}

/* Does one line of this note hold under the key? */
static bool
signed_by(const char *text, size_t len, const char *vkey, uint64_t *seconds)
{
	PgcreditNote note;
	PgcreditNoteKey key;
	PgcreditNoteSignature line;
	size_t		at = 0;
	bool		bad;
	bool		found = false;

	if (!key_of(vkey, &key) || !pgcredit_note_open(text, len, &note))
		return false;
	while (!found && pgcredit_note_next(&note, &at, &line, &bad))
		found = pgcredit_note_check(&line, &key, note.text, note.text_len, seconds);
	return found;
}

static void
test_base64(void)
{
	static const char *const vectors[][2] = {
		{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xfb\xef\xff", "++//"}
	};
	static const char *const wrong[] = {
		"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "=", "--__", "Zm9v\n", "Zm9v ", " Zm9v", "Zm\n9v", "Zm9v=", "Zm9v====", "Zg==Zg=="
	};
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t		back[16];
	char		out[16];
	size_t		i;
	int			byte;
	int			surprises = 0;

	/* every byte in every place; '=' is none in the places where Zm9v has it not */
	for (byte = 0; byte < 256; byte++)
	{
		for (i = 0; i < 4; i++)
		{
			char		text[] = "Zm9v";
			bool		digit = byte != 0 && strchr(digits, byte) != NULL;

			text[i] = (char) byte;
			surprises += (pgcredit_note_base64_decode(text, 4, back, sizeof(back)) == 3) != digit;
			surprises += digit != (pgcredit_note_base64_decode(text, 4, back, sizeof(back)) != -1);
		}
	}
	ok(surprises == 0, "the 64 digits are digits and no other byte is");

	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
	{
		size_t		len = strlen(vectors[i][0]);

		pgcredit_note_base64(vectors[i][0], len, out);
		is_text(out, vectors[i][1], "base64 of a known answer");
		ok(pgcredit_note_base64_size(len) == strlen(out) + 1, "its size is as announced");
		ok(pgcredit_note_base64_decode(out, strlen(out), back, sizeof(back)) == (int) len &&
		   memcmp(back, vectors[i][0], len) == 0, "and back");
	}
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
	{
		ok(pgcredit_note_base64_decode(wrong[i], strlen(wrong[i]), back, sizeof(back)) == -1, "no base64 is refused");
		if (pgcredit_note_base64_decode(wrong[i], strlen(wrong[i]), back, sizeof(back)) != -1)
			printf("# %s\n", wrong[i]);
	}
	ok(pgcredit_note_base64_decode("Zm9v", 4, back, 2) == -1, "too small a buffer is refused");
	ok(pgcredit_note_base64_decode("Zm\0v", 4, back, 4) == -1, "a NUL is refused");
}

static void
test_names(void)
{
	static const char *const good[] = {
		"a", "example.com/foo", "\xe4\xbf\xa1\xe7\x94\xa8", "sigsum.org/v1/tree/4d6d", "\xf0\x9f\x98\x80"
	};
	static const char *const bad[] = {
		"", "a b", "a+b", "+", "a\nb", "a\tb", "a\x7f", "a\xc2\x85", "a\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\x80",
		"\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
		"\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xbf", "\x80"
	};
	char		longest[PGCREDIT_NOTE_NAME_MAX + 2];
	size_t		i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(pgcredit_note_name_valid(good[i], strlen(good[i])), "a name is one");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!pgcredit_note_name_valid(bad[i], strlen(bad[i])), "what is no name is none");
	ok(!pgcredit_note_name_valid("a\0b", 3), "a NUL is in no name");
	memset(longest, 'a', sizeof(longest));
	ok(pgcredit_note_name_valid(longest, PGCREDIT_NOTE_NAME_MAX), "255 bytes are a name");
	ok(!pgcredit_note_name_valid(longest, PGCREDIT_NOTE_NAME_MAX + 1), "256 are not");
}

static void
test_keys(void)
{
	static const char *const vkeys[] = {
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		LOG_VKEY, WITNESS_VKEY
	};
	static const char *const bad[] = {
		"", "+", "a", "a+", "a+b", "a+b+c", "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2l",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2kAAAA",
		"example.com/foo+530d903a-AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530d903+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530d903a+/+kyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
	};
	PgcreditNoteKey key;
	PgcreditNoteKey made;
	char		vkey[PGCREDIT_NOTE_VKEY_SIZE];
	uint8_t		seed[PGCREDIT_NOTE_SEED];
	uint8_t		public_key[PGCREDIT_NOTE_PUBLIC];
	size_t		i;

	for (i = 0; i < sizeof(vkeys) / sizeof(vkeys[0]); i++)
	{
		ok(key_of(vkeys[i], &key), "a known key is read");
		pgcredit_note_vkey(&key, vkey);
		is_text(vkey, vkeys[i], "and written again");
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!key_of(bad[i], &key), "no key is refused");
	ok(!pgcredit_note_parse_vkey(vkeys[0], strlen(vkeys[0]) - 1, &key), "a cut one too");

	for (i = 0; i < sizeof(seed); i++)
		seed[i] = i;
	pgcredit_note_public_key(seed, public_key);
	ok(pgcredit_note_key("example.com/pgcredit-log", PGCREDIT_NOTE_ED25519, public_key, &made), "a key of a seed");
	pgcredit_note_vkey(&made, vkey);
	is_text(vkey, LOG_VKEY, "is the known one");
	ok(!pgcredit_note_key("a b", PGCREDIT_NOTE_ED25519, public_key, &made), "a key has a valid name");
	ok(!pgcredit_note_key("a", 0x02, public_key, &made), "and a type that we know");
}

static void
test_litewitness(void)
{
	static const char origin[] = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562";
	static const char hex[] = "ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f";
	static const uint8_t id[4] = {0x52, 0x02, 0x28, 0x9b};
	PgcreditNoteKey key;
	PgcreditMerkleHash root_1;
	PgcreditMerkleHash root_3;
	PgcreditMerkleHash proof[2];
	uint8_t		public_key[PGCREDIT_NOTE_PUBLIC];
	int			i;

	for (i = 0; i < 32; i++)
	{
		unsigned int byte;

		sscanf(hex + 2 * i, "%2x", &byte);
		public_key[i] = byte;
	}
	ok(pgcredit_note_key(origin, PGCREDIT_NOTE_ED25519, public_key, &key) &&
	   memcmp(key.id, id, sizeof(id)) == 0, "a witness's test log has its key id");
	pgcredit_note_base64_decode("KgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 44, root_1, 32);
	pgcredit_note_base64_decode("RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=", 44, root_3, 32);
	memset(proof, 0, sizeof(proof));
	proof[0][0] = proof[1][0] = 0x2a;
	proof[0][1] = 1;
	proof[1][1] = 2;
	ok(pgcredit_merkle_check_consistency(1, root_1, 3, root_3, proof, 2), "and its proof from 1 to 3 holds");
}

static void
test_sign(void)
{
	static const char text_5[] = "example.com/pgcredit-log\n5\nTju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=\n";
	PgcreditCheckpoint checkpoint;
	PgcreditNoteKey log_key;
	PgcreditNoteKey witness_key;
	char		line[PGCREDIT_NOTE_LINE_SIZE];
	char		text[PGCREDIT_CHECKPOINT_SIZE];
	char	   *long_text = calloc(1, PGCREDIT_NOTE_COSIGNED_MAX + 1);
	uint8_t		log_seed[PGCREDIT_NOTE_SEED];
	uint8_t		witness_seed[PGCREDIT_NOTE_SEED];
	int			i;

	for (i = 0; i < 32; i++)
	{
		log_seed[i] = i;
		witness_seed[i] = 0x20 + i;
	}
	key_of(LOG_VKEY, &log_key);
	key_of(WITNESS_VKEY, &witness_key);
	strcpy(checkpoint.origin, log_key.name);
	checkpoint.size = 8;
	pgcredit_note_base64_decode("XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=", 44, checkpoint.root, 32);
	ok(pgcredit_checkpoint_text(&checkpoint, text) == strlen(LOG_TEXT_8), "length of a checkpoint");
	is_text(text, LOG_TEXT_8, "text of a checkpoint");
	ok(pgcredit_note_signature_line(&log_key, log_seed, text, strlen(text), line) == strlen(LOG_LINE_8), "length of a signature line");
	is_text(line, LOG_LINE_8, "signature of the log, size 8");
	pgcredit_note_signature_line(&log_key, log_seed, text_5, strlen(text_5), line);
	is_text(line, LOG_LINE_5, "signature of the log, size 5");
	ok(pgcredit_note_cosignature_line(&witness_key, witness_seed, text, strlen(text), 1700000000, line) == strlen(WITNESS_LINE_8),
	   "length of a cosignature line");
	is_text(line, WITNESS_LINE_8, "cosignature of the witness");
	ok(pgcredit_note_cosignature_line(&witness_key, witness_seed, text, strlen(text), (uint64_t) INT64_MAX + 1, line) == 0,
	   "a time after 2^63-1 is refused");
	ok(pgcredit_note_cosignature_line(&witness_key, witness_seed, long_text, PGCREDIT_NOTE_COSIGNED_MAX + 1, 1, line) == 0,
	   "too long a text is refused");
	ok(pgcredit_note_cosignature_line(&witness_key, witness_seed, long_text, PGCREDIT_NOTE_COSIGNED_MAX, INT64_MAX, line) > 0,
	   "one of just the length is taken");
	free(long_text);

	/* every buffer holds the longest that can be */
	memset(log_key.name, 'n', PGCREDIT_NOTE_NAME_MAX);
	log_key.name[PGCREDIT_NOTE_NAME_MAX] = '\0';
	ok(pgcredit_note_cosignature_line(&log_key, log_seed, text, strlen(text), INT64_MAX, line) == PGCREDIT_NOTE_LINE_SIZE - 1,
	   "the longest line just fits");
	strcpy(checkpoint.origin, log_key.name);
	checkpoint.size = UINT64_MAX;
	ok(pgcredit_checkpoint_text(&checkpoint, text) == PGCREDIT_CHECKPOINT_SIZE - 1, "the longest checkpoint just fits");
	ok(parses(text, strlen(text)), "and is read");
}

static void
test_verify(void)
{
	static const char example[] = "This is an example message.\n\n"
		"\xe2\x80\x94 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
	static const char example_key[] = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
	static const char both[] = LOG_TEXT_8 "\n" LOG_LINE_8 WITNESS_LINE_8;
	char		copy[sizeof(both)];
	uint64_t	seconds = 7;
	int			by_log = 0;
	int			by_witness = 0;
	size_t		i;

	ok(signed_by(example, strlen(example), example_key, NULL), "the example of the specification holds");
	ok(!signed_by(example, strlen(example), LOG_VKEY, NULL), "but not under another key");
	ok(signed_by(both, strlen(both), LOG_VKEY, &seconds) && seconds == 0, "the log's signature holds");
	ok(signed_by(both, strlen(both), WITNESS_VKEY, &seconds) && seconds == 1700000000, "the witness's too, and has its time");

	memcpy(copy, both, sizeof(both));
	for (i = 0; i < strlen(LOG_TEXT_8) - 1; i++)
	{
		copy[i] ^= 1;
		by_log += signed_by(copy, strlen(both), LOG_VKEY, NULL);
		by_witness += signed_by(copy, strlen(both), WITNESS_VKEY, NULL);
		copy[i] ^= 1;
	}
	ok(by_log == 0 && by_witness == 0, "a changed character of the text breaks both");
	by_log = by_witness = 0;
	for (i = strlen(LOG_TEXT_8) + 1; i < strlen(both); i++)
	{
		bool		log_line = i <= strlen(LOG_TEXT_8) + strlen(LOG_LINE_8);

		copy[i] ^= 1;
		by_log += log_line && signed_by(copy, strlen(both), LOG_VKEY, NULL);
		by_witness += !log_line && signed_by(copy, strlen(both), WITNESS_VKEY, NULL);
		copy[i] ^= 1;
	}
	ok(by_log == 0 && by_witness == 0, "a changed character of a line breaks its signature");
}

static void
test_malformed(void)
{
	static const char good[] = "t\n\n\xe2\x80\x94 n AAAAAAA=\n";
	static const struct
	{
		const char *what;
		const char *note;
	}			bad[] = {
		{"nothing", ""},
		{"a newline", "\n"},
		{"two", "\n\n"},
		{"three", "\n\n\n"},
		{"no empty line", "t\n\xe2\x80\x94 n AAAAAAA=\n"},
		{"no signature", "t\n\n"},
		{"no newline at the end", "t\n\n\xe2\x80\x94 n AAAAAAA="},
		{"an empty line after", "t\n\n\xe2\x80\x94 n AAAAAAA=\n\n"},
		{"a control character in the text", "t\x01\n\n\xe2\x80\x94 n AAAAAAA=\n"},
		{"a carriage return", "t\r\n\n\xe2\x80\x94 n AAAAAAA=\n"},
		{"a tab", "\tt\n\n\xe2\x80\x94 n AAAAAAA=\n"},
		{"a control character in a line", "t\n\n\xe2\x80\x94 n AAAAAAA=\r\n"},
		{"no UTF-8", "t\xff\n\n\xe2\x80\x94 n AAAAAAA=\n"},
		{"a hyphen for the dash", "t\n\n- n AAAAAAA=\n"},
		{"a line that is none", "t\n\n\xe2\x80\x94 n AAAAAAA=\nx\n"},
		{"no space after the dash", "t\n\n\xe2\x80\x94n AAAAAAA=\n"},
		{"no name", "t\n\n\xe2\x80\x94  AAAAAAA=\n"},
		{"a plus in the name", "t\n\n\xe2\x80\x94 n+m AAAAAAA=\n"},
		{"no signature after the name", "t\n\n\xe2\x80\x94 n\n"},
		{"nothing after the name's space", "t\n\n\xe2\x80\x94 n \n"},
		{"an id alone", "t\n\n\xe2\x80\x94 n AAAAAA==\n"},
		{"no padding", "t\n\n\xe2\x80\x94 n AAAAAAA\n"},
		{"bits that carry nothing", "t\n\n\xe2\x80\x94 n AAAAAAB=\n"},
		{"base64url", "t\n\n\xe2\x80\x94 n -_AAAAA=\n"},
		{"two spaces", "t\n\n\xe2\x80\x94 n  AAAAAAA=\n"},
		{"a space at the end", "t\n\n\xe2\x80\x94 n AAAAAAA= \n"},
	};
	char		long_name[400];
	char	   *many = malloc(101 * strlen(good));
	size_t		i;
	size_t		line = strlen(good) - 3;

	ok(opens(good, strlen(good)), "a note opens");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!opens(bad[i].note, strlen(bad[i].note)), bad[i].what);
	ok(!opens("t\0\n\n\xe2\x80\x94 n AAAAAAA=\n", strlen(good) + 1), "a NUL in the text");
	ok(!opens("t\n\n\xe2\x80\x94 n AAAAAAA=\n\0", strlen(good) + 1), "a NUL at the end");
	for (i = 0; i < strlen(good); i++)
	{
		if (opens(good, i))
			break;
	}
	ok(i == strlen(good), "no beginning of a note is a note");
	for (i = 1; i < 0x20; i++)
	{
		char		text[64];

		sprintf(text, "t%c%s", (int) i, good + 1);
		if (opens(text, strlen(text)) != (i == '\n'))
			break;
	}
	ok(i == 0x20, "no control character but the newline is in a note");
	sprintf(long_name, "t\n\n\xe2\x80\x94 %0*d AAAAAAA=\n", PGCREDIT_NOTE_NAME_MAX + 1, 0);
	ok(!opens(long_name, strlen(long_name)), "too long a name");

	memcpy(many, good, strlen(good));
	for (i = 0; i < 100; i++)
		memcpy(many + 3 + i * line, good + 3, line);
	ok(opens(many, 3 + 100 * line), "a hundred signatures");
	memcpy(many + 3 + 100 * line, good + 3, line);
	ok(!opens(many, 3 + 101 * line), "one more");
	free(many);
}

/* What a note may have besides. */
static void
test_odd_notes(void)
{
	static const char two_blank[] = "a\n\nb\n\n\xe2\x80\x94 n AAAAAAA=\n";
	char		big[4096] = "t\n\n\xe2\x80\x94 n ";
	uint8_t		signature[2432];
	PgcreditNote note;
	PgcreditNoteSignature line;
	PgcreditNoteKey key;
	size_t		at = 0;
	bool		bad;
	size_t		i;

	ok(pgcredit_note_open(two_blank, strlen(two_blank), &note) && note.text_len == 5 && note.text == two_blank,
	   "the last empty line divides");
	ok(pgcredit_note_next(&note, &at, &line, &bad) && !bad && line.len == 1 && line.name_len == 1,
	   "a line is taken apart");
	ok(!pgcredit_note_next(&note, &at, &line, &bad) && !bad, "and is the only one");

	for (i = 0; i < sizeof(signature); i++)
		signature[i] = i * 7;
	pgcredit_note_base64(signature, sizeof(signature), big + strlen(big));
	strcat(big, "\n");
	at = 0;
	ok(pgcredit_note_open(big, strlen(big), &note) && pgcredit_note_next(&note, &at, &line, &bad),
	   "a signature of another kind may be long");
	ok(line.len == 2428 && memcmp(line.id, signature, 4) == 0 && memcmp(line.bytes, signature + 4, 256) == 0,
	   "its beginning is there");
	key_of(LOG_VKEY, &key);
	strcpy(key.name, "n");
	memcpy(key.id, signature, 4);
	ok(pgcredit_note_line_is_of(&line, &key) && !pgcredit_note_check(&line, &key, note.text, note.text_len, NULL),
	   "and does not verify");
	/* in every group of four that could end a piece of it */
	for (i = 9 + 3; i + 4 < strlen(big); i += 4)
	{
		char		was[2] = {big[i - 1], big[i]};

		big[i - 1] = 'A';
		big[i] = '=';
		if (opens(big, strlen(big)))
			break;
		big[i - 1] = was[0];
		big[i] = was[1];
	}
	ok(i + 4 >= strlen(big) && i > 3000 && opens(big, strlen(big)), "padding inside of it is refused");
}

static void
test_checkpoints(void)
{
#define ROOT "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg="
	static const struct
	{
		bool		good;
		const char *what;
		const char *text;
	}			cases[] = {
		{true, "size 0", "o\n0\n" ROOT "\n"},
		{true, "the largest size", "o\n18446744073709551615\n" ROOT "\n"},
		{true, "an extension line", "o\n1\n" ROOT "\nsomething\n"},
		{true, "two", "o\n1\n" ROOT "\na\nb\n"},
		{false, "nothing", ""},
		{false, "no origin", "\n1\n" ROOT "\n"},
		{false, "an empty extension line", "o\n1\n" ROOT "\n\n"},
		{false, "no newline at the end", "o\n1\n" ROOT},
		{false, "an extension without one", "o\n1\n" ROOT "\nx"},
		{false, "no root", "o\n1\n"},
		{false, "a leading zero", "o\n01\n" ROOT "\n"},
		{false, "two zeroes", "o\n00\n" ROOT "\n"},
		{false, "a plus", "o\n+1\n" ROOT "\n"},
		{false, "a minus", "o\n-1\n" ROOT "\n"},
		{false, "a space", "o\n1 \n" ROOT "\n"},
		{false, "hexadecimal", "o\n0x1\n" ROOT "\n"},
		{false, "no size", "o\n\n" ROOT "\n"},
		{false, "a size of 2^64", "o\n18446744073709551616\n" ROOT "\n"},
		{false, "a much longer one", "o\n99999999999999999999999\n" ROOT "\n"},
		{false, "a short root", "o\n1\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQw==\n"},
		{false, "a long root", "o\n1\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQygA\n"},
		{false, "an unpadded root", "o\n1\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg\n"},
		{false, "a carriage return", "o\n1\r\n" ROOT "\n"},
		{false, "a control character in the origin", "o\x02\n1\n" ROOT "\n"},
		{false, "no UTF-8", "\xc3\x28\n1\n" ROOT "\n"}
	};
	PgcreditCheckpoint checkpoint;
	char		long_origin[400];
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok(parses(cases[i].text, strlen(cases[i].text)) == cases[i].good, cases[i].what);
	ok(!parses("o\0\n1\n" ROOT "\n", 50), "a NUL");
	sprintf(long_origin, "%0*d\n1\n" ROOT "\n", PGCREDIT_NOTE_NAME_MAX + 1, 0);
	ok(!parses(long_origin, strlen(long_origin)), "too long an origin");
	ok(pgcredit_checkpoint_parse(LOG_TEXT_8, strlen(LOG_TEXT_8), &checkpoint) && checkpoint.size == 8 &&
	   strcmp(checkpoint.origin, "example.com/pgcredit-log") == 0 && checkpoint.root[0] == 0x5d, "a checkpoint's parts are read");
}

int
main(void)
{
	ok(pgcredit_kernel_start(), "libsodium starts");
	test_base64();
	test_names();
	test_keys();
	test_litewitness();
	test_sign();
	test_verify();
	test_malformed();
	test_odd_notes();
	test_checkpoints();
	printf("1..%d\n", tests);
	return failed != 0;
}
