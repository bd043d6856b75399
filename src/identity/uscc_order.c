/*
 * uscc_order.c
 *		Type credit.uscc: comparison, sorting, hashing.
 *
 * The order is that of the printed codes in collation "C".  Comparisons never
 * raise, so the operators are leakproof and may be pushed below policies.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/sortsupport.h"

#include "core/core.h"
#include "identity/identity.h"

PG_FUNCTION_INFO_V1(pgcredit_uscc_eq);
PG_FUNCTION_INFO_V1(pgcredit_uscc_ne);
PG_FUNCTION_INFO_V1(pgcredit_uscc_lt);
PG_FUNCTION_INFO_V1(pgcredit_uscc_le);
PG_FUNCTION_INFO_V1(pgcredit_uscc_gt);
PG_FUNCTION_INFO_V1(pgcredit_uscc_ge);
PG_FUNCTION_INFO_V1(pgcredit_uscc_cmp);
PG_FUNCTION_INFO_V1(pgcredit_uscc_sortsupport);
PG_FUNCTION_INFO_V1(pgcredit_uscc_hash);
PG_FUNCTION_INFO_V1(pgcredit_uscc_hash_extended);

static inline int
compare(Datum a, Datum b)
{
	return memcmp(DatumGetUsccP(a)->code, DatumGetUsccP(b)->code, PGCREDIT_USCC_LEN);
}

Datum
pgcredit_uscc_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)) == 0);
}

Datum
pgcredit_uscc_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)) != 0);
}

Datum
pgcredit_uscc_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)) < 0);
}

Datum
pgcredit_uscc_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)) <= 0);
}

Datum
pgcredit_uscc_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)) > 0);
}

Datum
pgcredit_uscc_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)) >= 0);
}

Datum
pgcredit_uscc_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)));
}

static int
sort_full(Datum a, Datum b, SortSupport ssup)
{
	return compare(a, b);
}

#if SIZEOF_DATUM >= 8

static Datum
sort_abbreviate(Datum original, SortSupport ssup)
{
	return (Datum) pgcredit_uscc_prefix(DatumGetUsccP(original)->code);
}

/* Abbreviating is cheap and tells nearly all codes apart: never give it up. */
static bool
sort_abort(int memtupcount, SortSupport ssup)
{
	return false;
}

#endif

Datum
pgcredit_uscc_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport ssup = (SortSupport) PG_GETARG_POINTER(0);

	ssup->comparator = sort_full;
#if SIZEOF_DATUM >= 8
	if (ssup->abbreviate)
	{
		ssup->comparator = ssup_datum_unsigned_cmp;
		ssup->abbrev_converter = sort_abbreviate;
		ssup->abbrev_abort = sort_abort;
		ssup->abbrev_full_comparator = sort_full;
	}
#endif
	PG_RETURN_VOID();
}

Datum
pgcredit_uscc_hash(PG_FUNCTION_ARGS)
{
	return hash_any((const unsigned char *) PG_GETARG_USCC_P(0)->code, PGCREDIT_USCC_LEN);
}

Datum
pgcredit_uscc_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_any_extended((const unsigned char *) PG_GETARG_USCC_P(0)->code,
							 PGCREDIT_USCC_LEN, PG_GETARG_INT64(1));
}
