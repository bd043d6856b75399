/*
 * signature.c
 *		Ed25519 signatures (RFC 8032) for SQL: the check of anybody's, and the
 *		platform's own, made with a key that no other use has.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "core/core.h"
#include "crypto/crypto.h"
#include "crypto/key.h"

PG_FUNCTION_INFO_V1(pgcredit_verify_ed25519);
PG_FUNCTION_INFO_V1(pgcredit_platform_key);
PG_FUNCTION_INFO_V1(pgcredit_platform_sign);

static bytea *
bytea_of(const void *data, size_t len)
{
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), data, len);
	return result;
}

/*
 * credit._verify_ed25519(public_key bytea, message bytea, signature bytea)
 * returns boolean.  A key or signature of a wrong length is false like any
 * other that does not fit; so are keys of small order and signatures whose
 * numbers are not reduced, of which there would be several for one message.
 */
Datum
pgcredit_verify_ed25519(PG_FUNCTION_ARGS)
{
	bytea	   *public_key = PG_GETARG_BYTEA_PP(0);
	bytea	   *message = PG_GETARG_BYTEA_PP(1);
	bytea	   *signature = PG_GETARG_BYTEA_PP(2);

	if (VARSIZE_ANY_EXHDR(public_key) != PGCREDIT_NOTE_PUBLIC ||
		VARSIZE_ANY_EXHDR(signature) != PGCREDIT_NOTE_SIGNATURE)
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(pgcredit_note_verify((const uint8_t *) VARDATA_ANY(public_key),
										VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message),
										(const uint8_t *) VARDATA_ANY(signature)));
}

/*
 * credit.platform_key() returns bytea: the public half, 32 bytes.  Without a
 * key PC201.
 */
Datum
pgcredit_platform_key(PG_FUNCTION_ARGS)
{
	uint8_t		public_key[PGCREDIT_NOTE_PUBLIC];

	pgcredit_note_public_key(pgcredit_key_begin(PGCREDIT_KEY_RECEIPT), public_key);
	pgcredit_key_end();
	PG_RETURN_BYTEA_P(bytea_of(public_key, sizeof(public_key)));
}

/*
 * credit._platform_sign(message bytea) returns bytea: 64 bytes.  Whoever calls
 * it decides what the platform vouches for, so only our own functions do.
 */
Datum
pgcredit_platform_sign(PG_FUNCTION_ARGS)
{
	bytea	   *message = PG_GETARG_BYTEA_PP(0);
	uint8_t		signature[PGCREDIT_NOTE_SIGNATURE];

	pgcredit_note_sign(pgcredit_key_begin(PGCREDIT_KEY_RECEIPT),
					   VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message), signature);
	pgcredit_key_end();
	PG_RETURN_BYTEA_P(bytea_of(signature, sizeof(signature)));
}
