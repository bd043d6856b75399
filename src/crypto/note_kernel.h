/*
 * note_kernel.h
 *		Signed notes, checkpoints and cosignatures of C2SP (signed-note v1,
 *		tlog-checkpoint v1, tlog-cosignature v1), byte for byte.  Plain C, nothing
 *		of PostgreSQL; the caller gives all memory.
 */
#ifndef PGCREDIT_NOTE_KERNEL_H
#define PGCREDIT_NOTE_KERNEL_H

#include "crypto/merkle_kernel.h"

#define PGCREDIT_NOTE_PUBLIC 32	/* Ed25519 public key */
#define PGCREDIT_NOTE_SEED 32
#define PGCREDIT_NOTE_SIGNATURE 64
#define PGCREDIT_NOTE_KEY_ID 4

/* Types of signatures: the byte that key ids are made with. */
#define PGCREDIT_NOTE_ED25519 0x01
#define PGCREDIT_NOTE_COSIGNATURE 0x04

/* The longest name of a key that we take, and what its texts need with a NUL. */
#define PGCREDIT_NOTE_NAME_MAX 255
#define PGCREDIT_NOTE_VKEY_SIZE (PGCREDIT_NOTE_NAME_MAX + 1 + 8 + 1 + 44 + 1)
#define PGCREDIT_NOTE_LINE_SIZE (4 + PGCREDIT_NOTE_NAME_MAX + 1 + 104 + 1 + 1)
/* Origin, size, root, each with its newline, and a NUL. */
#define PGCREDIT_CHECKPOINT_SIZE (PGCREDIT_NOTE_NAME_MAX + 1 + 20 + 1 + 44 + 1 + 1)

typedef struct PgcreditNoteKey
{
	char		name[PGCREDIT_NOTE_NAME_MAX + 1];
	uint8_t		type;			/* PGCREDIT_NOTE_ED25519 or PGCREDIT_NOTE_COSIGNATURE */
	uint8_t		id[PGCREDIT_NOTE_KEY_ID];
	uint8_t		public_key[PGCREDIT_NOTE_PUBLIC];
} PgcreditNoteKey;

/* A note taken apart; pointers are into the text given. */
typedef struct PgcreditNote
{
	const char *text;			/* what is signed, with its last newline */
	size_t		text_len;
	const char *signatures;		/* the lines after the empty one */
	size_t		signatures_len;
} PgcreditNote;

/* A cosignature is made and checked of no text longer than this. */
#define PGCREDIT_NOTE_COSIGNED_MAX 16384

/*
 * One signature line, decoded.  A signature may be longer than any that we
 * check (post-quantum ones have 2,428 bytes); then bytes holds its beginning.
 */
typedef struct PgcreditNoteSignature
{
	const char *name;
	size_t		name_len;
	uint8_t		id[PGCREDIT_NOTE_KEY_ID];
	uint8_t		bytes[256];
	size_t		len;			/* without the id; may be more than bytes holds */
} PgcreditNoteSignature;

typedef struct PgcreditCheckpoint
{
	char		origin[PGCREDIT_NOTE_NAME_MAX + 1];
	uint64_t	size;
	PgcreditMerkleHash root;
} PgcreditCheckpoint;

/* Decimal digits without leading zeroes that fit 64 bits. */
extern bool pgcredit_note_number(const char *text, size_t len, uint64_t *out);

/* Standard padded base64.  Decoding is strict; returns the length, or -1. */
extern size_t pgcredit_note_base64_size(size_t len);	/* with the NUL */
extern void pgcredit_note_base64(const void *data, size_t len, char *out);
extern int	pgcredit_note_base64_decode(const char *text, size_t len, uint8_t *out, size_t out_size);

/*
 * A key's name: not empty, no space of Unicode, no '+', no control, at most
 * PGCREDIT_NOTE_NAME_MAX bytes of UTF-8.
 */
extern bool pgcredit_note_name_valid(const char *name, size_t len);
/* Fills key; false when the name is no key's name. */
extern bool pgcredit_note_key(const char *name, uint8_t type, const uint8_t public_key[PGCREDIT_NOTE_PUBLIC],
							  PgcreditNoteKey *key);
/* <name>+<hex id>+<base64 type and key>; reading checks the id. */
extern void pgcredit_note_vkey(const PgcreditNoteKey *key, char out[PGCREDIT_NOTE_VKEY_SIZE]);
extern bool pgcredit_note_parse_vkey(const char *vkey, size_t len, PgcreditNoteKey *key);

/* Ed25519 (RFC 8032). */
extern void pgcredit_note_public_key(const uint8_t seed[PGCREDIT_NOTE_SEED],
									 uint8_t public_key[PGCREDIT_NOTE_PUBLIC]);
extern void pgcredit_note_sign(const uint8_t seed[PGCREDIT_NOTE_SEED], const void *data, size_t len,
							   uint8_t signature[PGCREDIT_NOTE_SIGNATURE]);
extern bool pgcredit_note_verify(const uint8_t public_key[PGCREDIT_NOTE_PUBLIC], const void *data, size_t len,
								 const uint8_t signature[PGCREDIT_NOTE_SIGNATURE]);

/*
 * A signature line with its newline: the log's own over text, and a witness's
 * (type PGCREDIT_NOTE_COSIGNATURE) over text at a time in seconds since 1970.
 * Return its length; that of a cosignature is 0 when the text is longer than
 * PGCREDIT_NOTE_COSIGNED_MAX or the time more than 2^63-1.
 */
extern size_t pgcredit_note_signature_line(const PgcreditNoteKey *key, const uint8_t seed[PGCREDIT_NOTE_SEED],
										   const char *text, size_t len, char out[PGCREDIT_NOTE_LINE_SIZE]);
extern size_t pgcredit_note_cosignature_line(const PgcreditNoteKey *key, const uint8_t seed[PGCREDIT_NOTE_SEED],
											 const char *text, size_t len, uint64_t seconds,
											 char out[PGCREDIT_NOTE_LINE_SIZE]);

/*
 * Take a note apart: false when it is none, that is, when it has a control
 * character or a NUL, is not UTF-8, has no empty line, no signature line, more
 * than 100 of them, or a malformed one.  No signature is checked.
 */
extern bool pgcredit_note_open(const char *note, size_t len, PgcreditNote *out);
/*
 * The next signature line from *at (begin with 0); false at the end or, with
 * *bad, when the line is malformed, which it is not after pgcredit_note_open.
 */
extern bool pgcredit_note_next(const PgcreditNote *note, size_t *at, PgcreditNoteSignature *out, bool *bad);
/*
 * Is this line a valid signature of the key, by its type, over the text?  A
 * cosignature's time goes to *seconds.  False also for a line of another key.
 */
extern bool pgcredit_note_line_is_of(const PgcreditNoteSignature *line, const PgcreditNoteKey *key);
extern bool pgcredit_note_check(const PgcreditNoteSignature *line, const PgcreditNoteKey *key,
								const char *text, size_t len, uint64_t *seconds);

/*
 * Text of a checkpoint (what is signed); returns its length.  Parsing takes
 * extension lines as the format allows them, and forgets them.
 */
extern size_t pgcredit_checkpoint_text(const PgcreditCheckpoint *checkpoint, char out[PGCREDIT_CHECKPOINT_SIZE]);
extern bool pgcredit_checkpoint_parse(const char *text, size_t len, PgcreditCheckpoint *out);

#endif							/* PGCREDIT_NOTE_KERNEL_H */
