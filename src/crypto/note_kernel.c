/*
 * note_kernel.c
 *		Signed notes, checkpoints and cosignatures of C2SP.
 *
 * What is read comes from anywhere.  It is read strictly, so that there is one
 * text for each meaning: two readers never disagree about what was signed.
 * Nothing here allocates; the secret half of a key is wiped where it was used.
 */
#include "crypto/note_kernel.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#if crypto_sign_PUBLICKEYBYTES != 32 || crypto_sign_SEEDBYTES != 32 || crypto_sign_BYTES != 64
#error "a key or signature of libsodium does not have the size of Ed25519"
#endif

#define SIGNATURE_LINES_MAX 100
#define TIMESTAMP_BYTES 8
#define COSIGNATURE_BYTES (TIMESTAMP_BYTES + PGCREDIT_NOTE_SIGNATURE)

/* U+2014 and a space */
static const char dash[] = "\xe2\x80\x94 ";

#define DASH_LEN (sizeof(dash) - 1)

/*
 * Length of the UTF-8 character at s, which has len bytes left and at least one,
 * or 0 when there is none: overlong forms, surrogates and what lies above
 * U+10FFFF are none.
 */
static size_t
utf8_char(const char *s, size_t len, uint32_t *code)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	const uint8_t *byte = (const uint8_t *) s;
	size_t		n;
	size_t		i;

	if (byte[0] < 0x80)
		n = 1;
	else if (byte[0] >= 0xc2 && byte[0] < 0xe0)
		n = 2;
	else if (byte[0] >= 0xe0 && byte[0] < 0xf0)
		n = 3;
	else if (byte[0] >= 0xf0 && byte[0] < 0xf5)
		n = 4;
	else
		return 0;
	if (n > len)
		return 0;
	*code = n == 1 ? byte[0] : byte[0] & (0x7f >> n);
	for (i = 1; i < n; i++)
	{
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (byte[i] & 0x3f);
	}
	if (*code < smallest[n] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
		return 0;
	return n;
}

/* UTF-8 with no control character below U+0020 but, if allowed, newlines? */
static bool
text_valid(const char *text, size_t len, bool newlines)
{
	size_t		n;
	uint32_t	code;

	for (; len > 0; text += n, len -= n)
	{
		n = utf8_char(text, len, &code);
		if (n == 0 || (code < 0x20 && !(newlines && code == '\n')))
			return false;
	}
	return true;
}

/* White_Space of Unicode, and controls */
static bool
space_or_control(uint32_t code)
{
	return code <= 0x20 || (code >= 0x7f && code <= 0xa0) || code == 0x1680 ||
		(code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
		code == 0x202f || code == 0x205f || code == 0x3000;
}

size_t
pgcredit_note_base64_size(size_t len)
{
	return (len + 2) / 3 * 4 + 1;
}

void
pgcredit_note_base64(const void *data, size_t len, char *out)
{
	sodium_bin2base64(out, pgcredit_note_base64_size(len), data, len, sodium_base64_VARIANT_ORIGINAL);
}

/* -1 also when out is too small.  Bits of the last character that carry nothing must be 0. */
int
pgcredit_note_base64_decode(const char *text, size_t len, uint8_t *out, size_t out_size)
{
	size_t		n;

	/* libsodium 1.0.18 takes some bytes above 0x7f for digits */
	for (n = 0; n < len; n++)
	{
		if ((text[n] & 0x80) != 0)
			return -1;
	}
	/* without an end pointer it fails unless every character was taken */
	if (len % 4 != 0 ||
		sodium_base642bin(out, out_size, text, len, NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return -1;
	return (int) n;
}

bool
pgcredit_note_name_valid(const char *name, size_t len)
{
	size_t		n;
	uint32_t	code;

	if (len == 0 || len > PGCREDIT_NOTE_NAME_MAX)
		return false;
	for (; len > 0; name += n, len -= n)
	{
		n = utf8_char(name, len, &code);
		if (n == 0 || code == '+' || space_or_control(code))
			return false;
	}
	return true;
}

/* The id is the first bytes of SHA-256(name || newline || type || public key). */
bool
pgcredit_note_key(const char *name, uint8_t type, const uint8_t public_key[PGCREDIT_NOTE_PUBLIC],
				  PgcreditNoteKey *key)
{
	crypto_hash_sha256_state state;
	uint8_t		hash[crypto_hash_sha256_BYTES];
	size_t		len = strlen(name);

	if (!pgcredit_note_name_valid(name, len) ||
		(type != PGCREDIT_NOTE_ED25519 && type != PGCREDIT_NOTE_COSIGNATURE))
		return false;
	memcpy(key->name, name, len + 1);
	key->type = type;
	memcpy(key->public_key, public_key, PGCREDIT_NOTE_PUBLIC);

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, (const uint8_t *) name, len);
	crypto_hash_sha256_update(&state, (const uint8_t *) "\n", 1);
	crypto_hash_sha256_update(&state, &type, 1);
	crypto_hash_sha256_update(&state, public_key, PGCREDIT_NOTE_PUBLIC);
	crypto_hash_sha256_final(&state, hash);
	memcpy(key->id, hash, PGCREDIT_NOTE_KEY_ID);
	return true;
}

void
pgcredit_note_vkey(const PgcreditNoteKey *key, char out[PGCREDIT_NOTE_VKEY_SIZE])
{
	uint8_t		typed[1 + PGCREDIT_NOTE_PUBLIC];
	char		encoded[44 + 1];

	typed[0] = key->type;
	memcpy(typed + 1, key->public_key, PGCREDIT_NOTE_PUBLIC);
	pgcredit_note_base64(typed, sizeof(typed), encoded);
	snprintf(out, PGCREDIT_NOTE_VKEY_SIZE, "%s+%02x%02x%02x%02x+%s", key->name,
			 key->id[0], key->id[1], key->id[2], key->id[3], encoded);
}

/* False also for a key of a type that we do not check. */
bool
pgcredit_note_parse_vkey(const char *vkey, size_t len, PgcreditNoteKey *key)
{
	char		name[PGCREDIT_NOTE_NAME_MAX + 1];
	char		again[PGCREDIT_NOTE_VKEY_SIZE];
	uint8_t		typed[1 + PGCREDIT_NOTE_PUBLIC];
	const char *plus = memchr(vkey, '+', len);
	const size_t id_digits = 2 * PGCREDIT_NOTE_KEY_ID;
	size_t		name_len;
	size_t		before;

	if (plus == NULL)
		return false;
	name_len = plus - vkey;
	before = name_len + 1 + id_digits + 1;
	if (!pgcredit_note_name_valid(vkey, name_len) || len < before ||
		pgcredit_note_base64_decode(vkey + before, len - before, typed, sizeof(typed)) != (int) sizeof(typed))
		return false;
	memcpy(name, vkey, name_len);
	name[name_len] = '\0';
	if (!pgcredit_note_key(name, typed[0], typed + 1, key))
		return false;
	/* the id, in small digits, and both plus signs must be what we would write */
	pgcredit_note_vkey(key, again);
	return strlen(again) == len && memcmp(again, vkey, len) == 0;
}

void
pgcredit_note_public_key(const uint8_t seed[PGCREDIT_NOTE_SEED],
						 uint8_t public_key[PGCREDIT_NOTE_PUBLIC])
{
	uint8_t		secret[crypto_sign_SECRETKEYBYTES];

	crypto_sign_seed_keypair(public_key, secret, seed);
	sodium_memzero(secret, sizeof(secret));
}

void
pgcredit_note_sign(const uint8_t seed[PGCREDIT_NOTE_SEED], const void *data, size_t len,
				   uint8_t signature[PGCREDIT_NOTE_SIGNATURE])
{
	uint8_t		public_key[crypto_sign_PUBLICKEYBYTES];
	uint8_t		secret[crypto_sign_SECRETKEYBYTES];

	crypto_sign_seed_keypair(public_key, secret, seed);
	crypto_sign_detached(signature, NULL, data, len, secret);
	sodium_memzero(secret, sizeof(secret));
}

bool
pgcredit_note_verify(const uint8_t public_key[PGCREDIT_NOTE_PUBLIC], const void *data, size_t len,
					 const uint8_t signature[PGCREDIT_NOTE_SIGNATURE])
{
	return crypto_sign_verify_detached(signature, data, len, public_key) == 0;
}

/* Dash, name, base64 of id and signature, newline, NUL. */
static size_t
write_line(const PgcreditNoteKey *key, const uint8_t *signature, size_t len, char out[PGCREDIT_NOTE_LINE_SIZE])
{
	uint8_t		raw[PGCREDIT_NOTE_KEY_ID + COSIGNATURE_BYTES];
	size_t		name_len = strlen(key->name);
	char	   *at = out;

	memcpy(raw, key->id, PGCREDIT_NOTE_KEY_ID);
	memcpy(raw + PGCREDIT_NOTE_KEY_ID, signature, len);
	memcpy(at, dash, DASH_LEN);
	at += DASH_LEN;
	memcpy(at, key->name, name_len);
	at += name_len;
	*at++ = ' ';
	pgcredit_note_base64(raw, PGCREDIT_NOTE_KEY_ID + len, at);
	at += strlen(at);
	*at++ = '\n';
	*at = '\0';
	return at - out;
}

size_t
pgcredit_note_signature_line(const PgcreditNoteKey *key, const uint8_t seed[PGCREDIT_NOTE_SEED],
							 const char *text, size_t len, char out[PGCREDIT_NOTE_LINE_SIZE])
{
	uint8_t		signature[PGCREDIT_NOTE_SIGNATURE];

	pgcredit_note_sign(seed, text, len, signature);
	return write_line(key, signature, sizeof(signature), out);
}

/*
 * What a cosignature signs: two lines, and the checkpoint's text after them.
 * The buffer has room for both; 0 when they do not fit the format.
 */
#define COSIGNED_SIZE (64 + PGCREDIT_NOTE_COSIGNED_MAX)

static size_t
cosigned_message(const char *text, size_t len, uint64_t seconds, char message[COSIGNED_SIZE])
{
	int			head;

	if (len > PGCREDIT_NOTE_COSIGNED_MAX || seconds > INT64_MAX)
		return 0;
	head = snprintf(message, 64, "cosignature/v1\ntime %" PRIu64 "\n", seconds);
	memcpy(message + head, text, len);
	return head + len;
}

size_t
pgcredit_note_cosignature_line(const PgcreditNoteKey *key, const uint8_t seed[PGCREDIT_NOTE_SEED],
							   const char *text, size_t len, uint64_t seconds,
							   char out[PGCREDIT_NOTE_LINE_SIZE])
{
	char		message[COSIGNED_SIZE];
	size_t		message_len = cosigned_message(text, len, seconds, message);
	uint8_t		signature[COSIGNATURE_BYTES];
	int			i;

	if (message_len == 0)
		return 0;
	for (i = 0; i < TIMESTAMP_BYTES; i++)
		signature[i] = (uint8_t) (seconds >> (8 * (TIMESTAMP_BYTES - 1 - i)));
	pgcredit_note_sign(seed, message, message_len, signature + TIMESTAMP_BYTES);
	return write_line(key, signature, sizeof(signature), out);
}

bool
pgcredit_note_open(const char *note, size_t len, PgcreditNote *out)
{
	PgcreditNoteSignature line;
	size_t		i;
	size_t		at = 0;
	int			lines = 0;
	bool		bad = false;

	if (len < 3 || note[len - 1] != '\n' || !text_valid(note, len, true))
		return false;
	/* the last empty line: signature lines have none */
	for (i = len - 1; i > 0; i--)
	{
		if (note[i] == '\n' && note[i - 1] == '\n')
			break;
	}
	if (i == 0)
		return false;
	out->text = note;
	out->text_len = i;
	out->signatures = note + i + 1;
	out->signatures_len = len - i - 1;
	while (pgcredit_note_next(out, &at, &line, &bad))
	{
		if (++lines > SIGNATURE_LINES_MAX)
			return false;
	}
	return !bad && lines > 0;
}

/*
 * Decodes a signature of any length.  What does not fit line->bytes must be
 * base64 too, but is not kept.
 */
static bool
decode_signature(const char *text, size_t len, PgcreditNoteSignature *line)
{
	uint8_t		piece[192];
	size_t		total = 0;

	while (len > 0)
	{
		size_t		take = len > 256 ? 256 : len;
		int			got = pgcredit_note_base64_decode(text, take, piece, sizeof(piece));
		int			i;

		if (got < 0 || (take < len && got != (int) sizeof(piece)))
			return false;
		for (i = 0; i < got; i++, total++)
		{
			if (total < PGCREDIT_NOTE_KEY_ID)
				line->id[total] = piece[i];
			else if (total - PGCREDIT_NOTE_KEY_ID < sizeof(line->bytes))
				line->bytes[total - PGCREDIT_NOTE_KEY_ID] = piece[i];
		}
		text += take;
		len -= take;
	}
	if (total <= PGCREDIT_NOTE_KEY_ID)
		return false;
	line->len = total - PGCREDIT_NOTE_KEY_ID;
	return true;
}

bool
pgcredit_note_next(const PgcreditNote *note, size_t *at, PgcreditNoteSignature *out, bool *bad)
{
	const char *line = note->signatures + *at;
	size_t		left = note->signatures_len - *at;
	const char *end;
	const char *space;

	*bad = false;
	if (left == 0)
		return false;
	*bad = true;
	end = memchr(line, '\n', left);
	if (end == NULL || (size_t) (end - line) < DASH_LEN || memcmp(line, dash, DASH_LEN) != 0)
		return false;
	*at += end - line + 1;
	line += DASH_LEN;
	space = memchr(line, ' ', end - line);
	if (space == NULL || !pgcredit_note_name_valid(line, space - line) ||
		!decode_signature(space + 1, end - space - 1, out))
		return false;
	out->name = line;
	out->name_len = space - line;
	*bad = false;
	return true;
}

bool
pgcredit_note_line_is_of(const PgcreditNoteSignature *line, const PgcreditNoteKey *key)
{
	return line->name_len == strlen(key->name) &&
		memcmp(line->name, key->name, line->name_len) == 0 &&
		memcmp(line->id, key->id, PGCREDIT_NOTE_KEY_ID) == 0;
}

/* seconds may be NULL, and is 0 for a signature that has no time. */
bool
pgcredit_note_check(const PgcreditNoteSignature *line, const PgcreditNoteKey *key,
					const char *text, size_t len, uint64_t *seconds)
{
	char		message[COSIGNED_SIZE];
	size_t		message_len;
	uint64_t	time = 0;
	int			i;

	if (seconds != NULL)
		*seconds = 0;
	if (!pgcredit_note_line_is_of(line, key))
		return false;
	if (key->type == PGCREDIT_NOTE_ED25519)
		return line->len == PGCREDIT_NOTE_SIGNATURE &&
			pgcredit_note_verify(key->public_key, text, len, line->bytes);
	if (key->type != PGCREDIT_NOTE_COSIGNATURE || line->len != COSIGNATURE_BYTES)
		return false;
	for (i = 0; i < TIMESTAMP_BYTES; i++)
		time = time << 8 | line->bytes[i];
	message_len = cosigned_message(text, len, time, message);
	if (message_len == 0 ||
		!pgcredit_note_verify(key->public_key, message, message_len, line->bytes + TIMESTAMP_BYTES))
		return false;
	if (seconds != NULL)
		*seconds = time;
	return true;
}

size_t
pgcredit_checkpoint_text(const PgcreditCheckpoint *checkpoint, char out[PGCREDIT_CHECKPOINT_SIZE])
{
	char		root[44 + 1];

	pgcredit_note_base64(checkpoint->root, PGCREDIT_MERKLE_BYTES, root);
	return snprintf(out, PGCREDIT_CHECKPOINT_SIZE, "%s\n%" PRIu64 "\n%s\n",
					checkpoint->origin, checkpoint->size, root);
}

bool
pgcredit_note_number(const char *text, size_t len, uint64_t *out)
{
	uint64_t	value = 0;
	size_t		i;

	if (len == 0 || (len > 1 && text[0] == '0'))
		return false;
	for (i = 0; i < len; i++)
	{
		unsigned int digit = (unsigned char) text[i] - '0';

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

bool
pgcredit_checkpoint_parse(const char *text, size_t len, PgcreditCheckpoint *out)
{
	const char *line[3];
	size_t		line_len[3];
	int			n;

	if (!text_valid(text, len, true))
		return false;
	for (n = 0; len > 0; n++)
	{
		const char *end = memchr(text, '\n', len);

		/* every line, of the extensions too, has something and a newline */
		if (end == NULL || end == text)
			return false;
		if (n < 3)
		{
			line[n] = text;
			line_len[n] = end - text;
		}
		len -= end + 1 - text;
		text = end + 1;
	}
	if (n < 3 || line_len[0] > PGCREDIT_NOTE_NAME_MAX ||
		!pgcredit_note_number(line[1], line_len[1], &out->size) ||
		pgcredit_note_base64_decode(line[2], line_len[2], out->root, PGCREDIT_MERKLE_BYTES) != PGCREDIT_MERKLE_BYTES)
		return false;
	memcpy(out->origin, line[0], line_len[0]);
	out->origin[line_len[0]] = '\0';
	return true;
}
