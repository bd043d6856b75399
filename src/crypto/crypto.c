/*
 * crypto.c
 *		The room's face to the other rooms and to SQL: memory from palloc,
 *		errors by ereport, the key borrowed from key.c for one call at a time.
 */
#include "postgres.h"

#include <sodium.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/core.h"
#include "crypto/crypto.h"
#include "crypto/key.h"

/* credit.random_bytes is for salts and tokens, not for bulk data. */
#define RANDOM_BYTES_MAX 1024

PG_FUNCTION_INFO_V1(pgcredit_random_bytes);
PG_FUNCTION_INFO_V1(pgcredit_key_id_sql);

void
pgcredit_crypto_init(void)
{
	if (!pgcredit_kernel_start())
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not start libsodium"),
				 errdetail("It found no source of random numbers.")));
	pgcredit_key_init();
}

void
pgcredit_random(void *out, size_t len)
{
	randombytes_buf(out, len);
}

void
pgcredit_sha256(const void *data, size_t len, uint8 out[PGCREDIT_HASH_BYTES])
{
	pgcredit_kernel_sha256(data, len, out);
}

void
pgcredit_memzero(void *buf, size_t len)
{
	sodium_memzero(buf, len);
}

/*
 * Raises program_limit_exceeded unless a value of len bytes plus extra can be
 * palloc'd.
 */
static void
check_length(size_t len, size_t extra)
{
	if (len > MaxAllocSize - extra)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value of %zu bytes is too long", len)));
}

char *
pgcredit_base64url(const void *data, size_t len)
{
	size_t		size;
	char	   *out;

	/* Four characters for three bytes; half the limit leaves room for them. */
	check_length(len, MaxAllocSize / 2);
	size = pgcredit_kernel_base64url_size(len);
	out = palloc(size);
	pgcredit_kernel_base64url(data, len, out, size);
	return out;
}

void
pgcredit_keyed_hash(PgcreditKeyUse use, const void *data, size_t len,
					uint8 out[PGCREDIT_HASH_BYTES])
{
	const uint8 *key = pgcredit_key_begin(use);

	pgcredit_kernel_keyed_hash(key, data, len, out);
	pgcredit_key_end();
}

bytea *
pgcredit_seal(PgcreditKeyUse use, const void *data, size_t len,
			  const void *ad, size_t adlen)
{
	bytea	   *sealed;
	const uint8 *key;

	check_length(len, VARHDRSZ + PGCREDIT_SEAL_OVERHEAD);
	sealed = palloc(VARHDRSZ + len + PGCREDIT_SEAL_OVERHEAD);
	SET_VARSIZE(sealed, VARHDRSZ + len + PGCREDIT_SEAL_OVERHEAD);
	key = pgcredit_key_begin(use);
	pgcredit_kernel_seal(key, data, len, ad, adlen, (uint8 *) VARDATA(sealed));
	pgcredit_key_end();
	return sealed;
}

bytea *
pgcredit_unseal(PgcreditKeyUse use, const bytea *sealed,
				const void *ad, size_t adlen)
{
	size_t		sealedlen = VARSIZE_ANY_EXHDR(sealed);
	size_t		len = sealedlen > PGCREDIT_SEAL_OVERHEAD ? sealedlen - PGCREDIT_SEAL_OVERHEAD : 0;
	bytea	   *data = palloc(VARHDRSZ + len);
	const uint8 *key = pgcredit_key_begin(use);
	bool		opened;

	opened = pgcredit_kernel_unseal(key, (const uint8 *) VARDATA_ANY(sealed), sealedlen,
									ad, adlen, (uint8 *) VARDATA(data));
	pgcredit_key_end();
	if (!opened)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_SEAL_BROKEN),
				 errmsg("sealed value cannot be opened"),
				 errdetail("It was changed, belongs to another place, or was sealed under another key."),
				 errhint("Compare credit.key_id() with that of the server that wrote the value.")));
	SET_VARSIZE(data, VARHDRSZ + len);
	return data;
}

void
pgcredit_log_key(const char *name, PgcreditNoteKey *key)
{
	uint8_t		public_key[PGCREDIT_NOTE_PUBLIC];

	pgcredit_note_public_key(pgcredit_key_begin(PGCREDIT_KEY_LOG), public_key);
	pgcredit_key_end();
	if (!pgcredit_note_key(name, PGCREDIT_NOTE_ED25519, public_key, key))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" cannot be the name of a log", name),
				 errdetail("It must have 1 to %d bytes and no space, control character or \"+\".",
						   PGCREDIT_NOTE_NAME_MAX)));
}

size_t
pgcredit_log_sign(const PgcreditNoteKey *key, const char *text, size_t len,
				  char line[PGCREDIT_NOTE_LINE_SIZE])
{
	size_t		result = pgcredit_note_signature_line(key, pgcredit_key_begin(PGCREDIT_KEY_LOG),
													  text, len, line);

	pgcredit_key_end();
	return result;
}

/*
 * credit.random_bytes(length integer) returns bytea: 1 to 1024 random bytes,
 * else invalid_parameter_value.
 */
Datum
pgcredit_random_bytes(PG_FUNCTION_ARGS)
{
	int32		len = PG_GETARG_INT32(0);
	bytea	   *result;

	if (len < 1 || len > RANDOM_BYTES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of random bytes out of range: %d", len),
				 errdetail("It must be from 1 to %d.", RANDOM_BYTES_MAX)));
	result = palloc(VARHDRSZ + len);
	SET_VARSIZE(result, VARHDRSZ + len);
	pgcredit_random(VARDATA(result), len);
	PG_RETURN_BYTEA_P(result);
}

/*
 * credit.key_id() returns text: the public name of the server's key, or NULL
 * when it has none.
 */
Datum
pgcredit_key_id_sql(PG_FUNCTION_ARGS)
{
	if (!pgcredit_key_loaded())
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(pgcredit_key_id()));
}
