/*
 * identity.h
 *		The identifiers as other rooms' C code meets them.
 *
 * credit.uscc is passed by reference: 18 upper-case ASCII characters, no NUL.
 * They are not packed (they would fit in 10 bytes): input and output are then
 * little more than a copy, memcmp orders them, and a page can be read by eye.
 *
 * credit.resident_id is passed like int8: the 17 digits; the check character
 * follows from them.  credit.region_code is passed like int8: twelve digits, see
 * region_kernel.h.  Comparison, sorting and hashing of both are the server's own for integers.
 */
#ifndef PGCREDIT_IDENTITY_H
#define PGCREDIT_IDENTITY_H

#include "identity/region_kernel.h"
#include "identity/resident_kernel.h"
#include "identity/uscc_kernel.h"

typedef struct PgcreditUscc
{
	char		code[PGCREDIT_USCC_LEN];
} PgcreditUscc;

#define DatumGetUsccP(X)			((PgcreditUscc *) DatumGetPointer(X))
#define PG_GETARG_USCC_P(n)			DatumGetUsccP(PG_GETARG_DATUM(n))

#define DatumGetResidentId(X)		DatumGetInt64(X)
#define ResidentIdGetDatum(X)		Int64GetDatum(X)
#define PG_GETARG_RESIDENT_ID(n)	DatumGetResidentId(PG_GETARG_DATUM(n))
#define PG_RETURN_RESIDENT_ID(x)	return ResidentIdGetDatum(x)

#define DatumGetRegionCode(X)		DatumGetInt64(X)
#define RegionCodeGetDatum(X)		Int64GetDatum(X)
#define PG_GETARG_REGION_CODE(n)	DatumGetRegionCode(PG_GETARG_DATUM(n))
#define PG_RETURN_REGION_CODE(x)	return RegionCodeGetDatum(x)

#endif							/* PGCREDIT_IDENTITY_H */
