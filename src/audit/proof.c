/*
 * proof.c
 *		What SQL may ask of the tree: roots, proofs, tiles and entry bundles.
 *
 * Everything is read under the caller's snapshot.  For the size of a checkpoint
 * the end of the tree comes from the checkpoint's own row, so a proof reads the
 * tiles over one leaf and nothing else.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "audit/append.h"
#include "audit/audit_internal.h"
#include "audit/tree.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_leaf_hash);
PG_FUNCTION_INFO_V1(pgcredit_log_size);
PG_FUNCTION_INFO_V1(pgcredit_log_root);
PG_FUNCTION_INFO_V1(pgcredit_inclusion_proof);
PG_FUNCTION_INFO_V1(pgcredit_consistency_proof);
PG_FUNCTION_INFO_V1(pgcredit_tile);
PG_FUNCTION_INFO_V1(pgcredit_entry_bundle);

static bytea *
bytea_of(const void *data, Size len)
{
	bytea	   *value = palloc(VARHDRSZ + len);

	SET_VARSIZE(value, VARHDRSZ + len);
	memcpy(VARDATA(value), data, len);
	return value;
}

/*
 * The path as bytea[], '{}' when it has no hash.
 */
static ArrayType *
path_array(PgcreditMerkleHash *path, int n)
{
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));

	if (n < 0)
		elog(ERROR, "could not compute a proof");
	for (int k = 0; k < n; k++)
		values[k] = PointerGetDatum(bytea_of(path[k], sizeof(PgcreditMerkleHash)));
	return construct_array(values, n, BYTEAOID, -1, false, TYPALIGN_INT);
}

/*
 * Set the size of the tree to look at: that of a checkpoint where there is one
 * (*its peaks come along), else any up to the end of the log.
 */
static void
take_size(Tree *tree, int64 size)
{
	if (size >= 0 && pgcredit_checkpoint_take(tree, (uint64) size))
		return;
	if (size < 0 || (uint64) size > pgcredit_tree_end(tree))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the log has no size " INT64_FORMAT, size),
				 errdetail("It has " UINT64_FORMAT " entries.", pgcredit_tree_end(tree))));
	tree->size = (uint64) size;
}

/*
 * credit.leaf_hash(entry text) returns bytea: SHA-256(0x00 || entry).
 */
Datum
pgcredit_leaf_hash(PG_FUNCTION_ARGS)
{
	text	   *entry = PG_GETARG_TEXT_PP(0);
	PgcreditMerkleHash hash;

	pgcredit_merkle_leaf(VARDATA_ANY(entry), VARSIZE_ANY_EXHDR(entry), hash);
	PG_RETURN_BYTEA_P(bytea_of(hash, sizeof(hash)));
}

/*
 * credit.log_size() returns bigint.
 */
Datum
pgcredit_log_size(PG_FUNCTION_ARGS)
{
	Tree	   *tree = pgcredit_tree_open(GetActiveSnapshot());
	uint64		size = pgcredit_tree_end(tree);

	pgcredit_tree_close(tree);
	PG_RETURN_INT64((int64) size);
}

/*
 * credit.log_root(size bigint) returns bytea: MTH(D[size]), of the whole log
 * for null.  22023 for a size that the log does not have.
 */
Datum
pgcredit_log_root(PG_FUNCTION_ARGS)
{
	Tree	   *tree = pgcredit_tree_open(GetActiveSnapshot());
	PgcreditMerkleHash root;

	if (PG_ARGISNULL(0))
		(void) pgcredit_tree_end(tree);
	else
		take_size(tree, PG_GETARG_INT64(0));
	pgcredit_tree_root(tree, tree->size, root);
	pgcredit_tree_close(tree);
	PG_RETURN_BYTEA_P(bytea_of(root, sizeof(root)));
}

/*
 * credit.inclusion_proof(seq bigint, size bigint) returns bytea[]: PATH(seq -
 * 1, D[size]), for null the size of the newest checkpoint; null for a null seq.
 * 22023 when the log has no such size, or the entry comes after it; 55000
 * without a checkpoint to default to.
 */
Datum
pgcredit_inclusion_proof(PG_FUNCTION_ARGS)
{
	Tree	   *tree;
	int64		seq;
	ArrayType  *result;
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	seq = PG_GETARG_INT64(0);
	tree = pgcredit_tree_open(GetActiveSnapshot());
	if (!PG_ARGISNULL(1))
		take_size(tree, PG_GETARG_INT64(1));
	else if (!pgcredit_checkpoint_newest(tree))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the log has no checkpoint yet"),
				 errhint("Call credit.checkpoint(), or give the size that the proof is to be for.")));
	if (seq < 1 || (uint64) seq > tree->size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entry " INT64_FORMAT " is not among the first " UINT64_FORMAT " entries", seq, tree->size),
				 errhint("Entries are numbered from 1; call credit.checkpoint() for a checkpoint that covers all of them.")));
	result = path_array(path, pgcredit_merkle_inclusion((uint64) seq - 1, tree->size,
														pgcredit_tree_read, tree, path));
	pgcredit_tree_close(tree);
	PG_RETURN_ARRAYTYPE_P(result);
}

/*
 * credit.consistency_proof(old_size bigint, new_size bigint) returns bytea[]:
 * PROOF(old, D[new]), '{}' where they are equal or the old one is 0.  22023 for
 * sizes that the log does not have, or in the wrong order.
 */
Datum
pgcredit_consistency_proof(PG_FUNCTION_ARGS)
{
	Tree	   *tree;
	int64		old_size;
	ArrayType  *result;
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	old_size = PG_GETARG_INT64(0);
	tree = pgcredit_tree_open(GetActiveSnapshot());
	take_size(tree, PG_GETARG_INT64(1));
	if (old_size < 0 || (uint64) old_size > tree->size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a log of " UINT64_FORMAT " entries is no continuation of one of " INT64_FORMAT, tree->size, old_size),
				 errhint("The first size must not be greater than the second.")));
	result = path_array(path, pgcredit_merkle_consistency((uint64) old_size, tree->size,
														  pgcredit_tree_read, tree, path));
	pgcredit_tree_close(tree);
	PG_RETURN_ARRAYTYPE_P(result);
}

/*
 * Width of a tile of which "complete" hashes of its level exist: that asked
 * for, or all.
 */
static int
take_width(FunctionCallInfo fcinfo, int argument, const char *what, int64 n, uint64 complete)
{
	int64		first = n < 0 || n > PG_INT64_MAX / TILE_WIDTH ? PG_INT64_MAX : n * TILE_WIDTH;
	int			most = (uint64) first >= complete ? 0 : (int) Min(complete - first, TILE_WIDTH);
	int			width = PG_ARGISNULL(argument) ? Max(most, 1) : PG_GETARG_INT32(argument);

	if (width < 1 || width > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s " INT64_FORMAT " has no width %d", what, n, width),
				 errdetail("It has %d of %d.", most, TILE_WIDTH)));
	return width;
}

/*
 * credit.tile(level integer, n bigint, width integer) returns bytea: width
 * hashes of 32 bytes, see C2SP tlog-tiles.  22023 for a tile that is not there,
 * or not that wide, yet.
 */
Datum
pgcredit_tile(PG_FUNCTION_ARGS)
{
	Tree	   *tree;
	int32		level;
	int64		n;
	int			width;
	const TreeTile *tile;
	bytea	   *result;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	level = PG_GETARG_INT32(0);
	n = PG_GETARG_INT64(1);
	if (level < 0 || level > 63)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("level of a tile out of range: %d", level),
				 errdetail("It is from 0 to 63.")));
	tree = pgcredit_tree_open(GetActiveSnapshot());
	(void) pgcredit_tree_end(tree);
	width = take_width(fcinfo, 2, "tile", n,
					   level < TREE_LEVELS ? tree->size >> (TILE_HEIGHT * level) : 0);
	tile = pgcredit_tree_tile(tree, level, (uint64) n, width);
	if (tile == NULL)
		pgcredit_tree_corrupted(psprintf("Tile " INT64_FORMAT " of level %d is missing or too short.", n, level));
	result = bytea_of(tile->hashes, width * sizeof(PgcreditMerkleHash));
	pgcredit_tree_close(tree);
	PG_RETURN_BYTEA_P(result);
}

/*
 * credit.entry_bundle(n bigint, width integer) returns bytea: each entry after
 * its length, 16 bits big endian.  22023 for one that is not there, or not that
 * wide, yet; PC004 when its entries were dropped by the retention policy.
 */
Datum
pgcredit_entry_bundle(PG_FUNCTION_ARGS)
{
	Tree	   *tree;
	ScanKeyData keys[2];
	Seek		seek;
	HeapTuple	tuple;
	int64		n;
	int			width;
	int			found = 0;
	StringInfoData bundle;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	n = PG_GETARG_INT64(0);
	tree = pgcredit_tree_open(GetActiveSnapshot());
	width = take_width(fcinfo, 1, "entry bundle", n, pgcredit_tree_end(tree));

	initStringInfo(&bundle);
	appendStringInfoSpaces(&bundle, VARHDRSZ);
	ScanKeyInit(&keys[0], ENTRY_SEQ, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(n * TILE_WIDTH));
	ScanKeyInit(&keys[1], ENTRY_SEQ, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(n * TILE_WIDTH + width));
	pgcredit_seek_begin(&seek, tree->entry, "audit_entry_pkey", 2, keys, tree->snapshot);
	while ((tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
	{
		text	   *entry = DatumGetTextPP(pgcredit_seek_column(&seek, tuple, ENTRY_TEXT));
		uint16		len = pg_hton16((uint16) VARSIZE_ANY_EXHDR(entry));

		if (VARSIZE_ANY_EXHDR(entry) > PGCREDIT_ENTRY_MAX)
			pgcredit_tree_corrupted(psprintf("Entry " INT64_FORMAT " is too long.", n * TILE_WIDTH + found + 1));
		appendBinaryStringInfo(&bundle, (char *) &len, sizeof(len));
		appendBinaryStringInfo(&bundle, VARDATA_ANY(entry), VARSIZE_ANY_EXHDR(entry));
		found++;
	}
	pgcredit_seek_end(&seek);
	if (found == 0)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_ENTRY_DROPPED),
				 errmsg("the entries of bundle " INT64_FORMAT " are not kept any more", n),
				 errdetail("The retention policy dropped them; credit.tile(0, " INT64_FORMAT ") has their hashes.", n)));
	if (found != width)
		pgcredit_tree_corrupted(psprintf("Bundle " INT64_FORMAT " has %d entries, %d are expected.", n, found, width));
	pgcredit_tree_close(tree);
	SET_VARSIZE(bundle.data, bundle.len);
	PG_RETURN_BYTEA_P((bytea *) bundle.data);
}
