/*
 * resident_seal.c
 *		How a resident identity number is stored: a keyed hash to find it by and
 *		an AEAD seal to get it back, both under subkeys of the master key.
 *
 * Both are over the 18 characters in upper case.  Without the key the hash says
 * nothing, although there are few enough numbers to try them all on a plain
 * one.  Two seals of one number differ, so they cannot be compared.  A seal does
 * not know whose row it is in: who unseals compares the digest with the row's.
 */
#include "postgres.h"

#include "fmgr.h"

#include "core/core.h"
#include "crypto/crypto.h"
#include "identity/identity.h"

PG_FUNCTION_INFO_V1(pgcredit_resident_digest);
PG_FUNCTION_INFO_V1(pgcredit_seal_resident_id);
PG_FUNCTION_INFO_V1(pgcredit_unseal_resident_id);

/*
 * credit.resident_digest(credit.resident_id) returns bytea of 32 bytes.  Raises
 * KEY_UNAVAILABLE.
 */
Datum
pgcredit_resident_digest(PG_FUNCTION_ARGS)
{
	char		number[PGCREDIT_RESIDENT_LEN];
	bytea	   *result = palloc(VARHDRSZ + PGCREDIT_HASH_BYTES);

	pgcredit_resident_print(PG_GETARG_RESIDENT_ID(0), number);
	SET_VARSIZE(result, VARHDRSZ + PGCREDIT_HASH_BYTES);
	pgcredit_keyed_hash(PGCREDIT_KEY_RESIDENT_DIGEST, number, sizeof(number),
						(uint8 *) VARDATA(result));
	pgcredit_memzero(number, sizeof(number));
	PG_RETURN_BYTEA_P(result);
}

/*
 * credit.seal_resident_id(credit.resident_id) returns bytea.  Raises
 * KEY_UNAVAILABLE.
 */
Datum
pgcredit_seal_resident_id(PG_FUNCTION_ARGS)
{
	char		number[PGCREDIT_RESIDENT_LEN];
	bytea	   *result;

	pgcredit_resident_print(PG_GETARG_RESIDENT_ID(0), number);
	result = pgcredit_seal(PGCREDIT_KEY_RESIDENT_SEAL, number, sizeof(number), NULL, 0);
	pgcredit_memzero(number, sizeof(number));
	PG_RETURN_BYTEA_P(result);
}

/*
 * credit.unseal_resident_id(bytea) returns credit.resident_id.  Raises
 * KEY_UNAVAILABLE, and SEAL_BROKEN when the bytes were not sealed under this
 * key, were changed, or hold no number.
 */
Datum
pgcredit_unseal_resident_id(PG_FUNCTION_ARGS)
{
	bytea	   *sealed = PG_GETARG_BYTEA_P(0);
	bytea	   *plain = pgcredit_unseal(PGCREDIT_KEY_RESIDENT_SEAL, sealed, NULL, 0);
	int64		packed = 0;
	PgcreditCodeError error;
	bool		valid;

	valid = pgcredit_resident_parse(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain),
									&packed, &error);
	pgcredit_memzero(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
	pfree(plain);
	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_SEAL_BROKEN),
				 errmsg("sealed value holds no resident identity number")));
	PG_RETURN_RESIDENT_ID(packed);
}
