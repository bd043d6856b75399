/*
 * verify_tree.c
 *		The tree made anew from its leaves, and compared with the stored one.
 *
 * A difference between a hash made anew and a stored one says that one of the
 * two sides was changed, not which.  It is kept as pending: when the next signed
 * root is that of the hashes made anew, the stored one is wrong, else what it
 * was made of.
 */
#include "postgres.h"

#include "access/skey.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "audit/verify.h"

/*
 * Root over the leaves so far.
 */
void
pgcredit_verify_root(const Verify *verify, PgcreditMerkleHash out)
{
	int			n = verify->n_peaks;

	if (n == 0)
	{
		(void) pgcredit_merkle_root(0, NULL, NULL, out);
		return;
	}
	memcpy(out, verify->peaks[--n], sizeof(PgcreditMerkleHash));
	while (n > 0)
		pgcredit_merkle_node(verify->peaks[--n], out, out);
}

/*
 * Start to read the tables of hashes at the first leaf of this call.
 */
void
pgcredit_verify_tree_begin(Verify *verify)
{
	Tree	   *tree = verify->tree;
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], LEAF_N, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum((int64) (verify->begin / LEAF_ROW)));
	/* from the beginning also what comes before it, which nothing may */
	pgcredit_rows_begin(&verify->leaf_rows, tree->leaf, "audit_leaf_pkey", verify->begin > 0 ? 1 : 0, keys, tree->snapshot);
	pgcredit_rows_begin(&verify->pruned_rows, tree->pruned, "audit_pruned_pkey", verify->begin > 0 ? 1 : 0, keys, tree->snapshot);
	for (int level = 1; level < TREE_LEVELS; level++)
	{
		VerifyLevel *l = &verify->levels[level];
		uint64		first = verify->begin >> (TILE_HEIGHT * level);

		ScanKeyInit(&keys[0], NODE_LEVEL, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(level));
		ScanKeyInit(&keys[1], NODE_N, BTGreaterEqualStrategyNumber, F_INT4GE, Int32GetDatum((int32) (first / NODE_ROW)));
		pgcredit_rows_begin(&l->rows, tree->node, "audit_node_pkey", verify->begin > 0 ? 2 : 1, keys, tree->snapshot);
		l->from = l->width = first % NODE_ROW;
	}
}

/*
 * Something does not fit; the first is kept until the next checkpoint.
 */
static void
suspect(Verify *verify, const char *code, uint64 seq, char *detail)
{
	if (verify->pending.code)
		return;
	verify->pending.code = code;
	verify->pending.seq = (int64) seq;
	verify->pending.detail = detail;
}

/*
 * Bring a scan to row n and give its hashes, or NULL, when it is not there or
 * has another shape; then the problem stands.
 */
static const PgcreditMerkleHash *
take_row(Verify *verify, RowScan *rows, const char *table, AttrNumber column, uint64 n,
		 uint64 seq, int *width)
{
	int64		found = rows->tuple ? DatumGetInt64(pgcredit_rows_column(rows, column - 1)) : PG_INT64_MAX;
	bytea	   *bytes;

	if (found < (int64) n)
		(void) pgcredit_verify_wrong(verify, "tile_extra", seq, "Row " INT64_FORMAT " of credit.%s is there twice, or should not be there.",
									 found, table);
	else if (found > (int64) n)
		(void) pgcredit_verify_wrong(verify, "tile_missing", seq, "Row " UINT64_FORMAT " of credit.%s is missing.", n, table);
	else
	{
		bytes = DatumGetByteaPP(pgcredit_rows_column(rows, column));
		*width = VARSIZE_ANY_EXHDR(bytes) / sizeof(PgcreditMerkleHash);
		if (VARSIZE_ANY_EXHDR(bytes) % sizeof(PgcreditMerkleHash) == 0)
			return (const PgcreditMerkleHash *) VARDATA_ANY(bytes);
		(void) pgcredit_verify_wrong(verify, "tile_changed", seq, "Row " UINT64_FORMAT " of credit.%s has %zu bytes.",
									 n, table, (Size) VARSIZE_ANY_EXHDR(bytes));
	}
	return NULL;
}

static void
suspect_leaf(Verify *verify, uint64 n, int k)
{
	suspect(verify, "leaf", n * LEAF_ROW + k + 1,
			psprintf("Hash %d of row " UINT64_FORMAT " of credit.audit_leaf is not that of the entry's bytes.", k, n));
}

/*
 * The row of leaves that a checkpoint stands in the middle of is stored once the
 * log has grown past it.
 */
static void
narrow_leaves(Verify *verify)
{
	uint64		n = verify->next / LEAF_ROW;
	bytea	   *bytes;

	if (verify->leaf_rows.tuple == NULL || DatumGetInt64(pgcredit_rows_column(&verify->leaf_rows, LEAF_N)) != (int64) n)
		return;
	bytes = DatumGetByteaPP(pgcredit_rows_column(&verify->leaf_rows, LEAF_HASHES));
	for (int k = 0; k < Min(verify->next % LEAF_ROW, VARSIZE_ANY_EXHDR(bytes) / sizeof(PgcreditMerkleHash)); k++)
		if (memcmp(VARDATA_ANY(bytes) + k * sizeof(PgcreditMerkleHash), verify->leaves[k], sizeof(PgcreditMerkleHash)) != 0)
		{
			suspect_leaf(verify, n, k);
			break;
		}
}

/*
 * Look among the hashes that are not compared yet for one that does not fit, so
 * that more can be said of a root that is wrong.
 */
void
pgcredit_verify_narrow(Verify *verify)
{
	narrow_leaves(verify);
	for (int level = 1; level < TREE_LEVELS && verify->pending.code == NULL; level++)
	{
		VerifyLevel *l = &verify->levels[level];
		uint64		first = (verify->next >> (TILE_HEIGHT * level)) - l->width;
		bytea	   *bytes;

		if (l->width == l->from || l->rows.tuple == NULL ||
			(uint64) DatumGetInt32(pgcredit_rows_column(&l->rows, NODE_N)) != first / NODE_ROW)
			continue;
		bytes = DatumGetByteaPP(pgcredit_rows_column(&l->rows, NODE_HASHES));
		for (int k = l->from; k < Min(l->width, VARSIZE_ANY_EXHDR(bytes) / sizeof(PgcreditMerkleHash)); k++)
			if (memcmp(VARDATA_ANY(bytes) + k * sizeof(PgcreditMerkleHash), l->hashes[k], sizeof(PgcreditMerkleHash)) != 0)
			{
				suspect(verify, "tile_changed", ((first + k) << (TILE_HEIGHT * level)) + 1,
						psprintf("Hash %d of row " UINT64_FORMAT " of level %d of credit.audit_node is not that of the entries below.",
								 k, first / NODE_ROW, level));
				break;
			}
	}
}

/*
 * Compare the hashes of a level that were made anew with the row that has them;
 * "last" is the last one there may be.
 */
static bool
compare_node_row(Verify *verify, int level, bool last)
{
	VerifyLevel *l = &verify->levels[level];
	const unsigned int shift = TILE_HEIGHT * level;
	uint64		n = ((verify->next >> shift) - 1) / NODE_ROW;
	uint64		first = n * NODE_ROW + l->from;
	int			width = 0;
	const PgcreditMerkleHash *stored;

	stored = take_row(verify, &l->rows, "audit_node", NODE_HASHES, n, (first << shift) + 1, &width);
	if (stored == NULL)
		return false;
	if (width < l->width)
		return pgcredit_verify_wrong(verify, "tile_missing", ((n * NODE_ROW + width) << shift) + 1,
									 "Row " UINT64_FORMAT " of level %d of credit.audit_node has %d hashes, it lacks %d.",
									 n, level, width, l->width - width);
	for (int k = l->from; k < l->width; k++)
		if (memcmp(stored[k], l->hashes[k], sizeof(PgcreditMerkleHash)) != 0)
		{
			suspect(verify, "tile_changed", ((n * NODE_ROW + k) << shift) + 1,
					psprintf("Hash %d of row " UINT64_FORMAT " of level %d of credit.audit_node is not that of the entries below.",
							 k, n, level));
			break;
		}
	if (width > l->width && last)
		return pgcredit_verify_wrong(verify, "beyond_end", verify->next + 1,
									 "Row " UINT64_FORMAT " of level %d of credit.audit_node has hashes over entries that are not there.",
									 n, level);
	verify->count.tiles++;
	l->from = l->width = 0;
	pgcredit_rows_next(&l->rows);
	return true;
}

/*
 * Put a perfect subtree to the right of what is there, which its height allows;
 * "ours" was made anew, with all that it completes.
 */
void
pgcredit_verify_push(Verify *verify, unsigned int height, const PgcreditMerkleHash hash, bool ours)
{
	PgcreditMerkleHash h;

	memcpy(h, hash, sizeof(h));
	verify->next += UINT64CONST(1) << height;
	while (verify->n_peaks > 0 && verify->heights[verify->n_peaks - 1] == height)
	{
		pgcredit_merkle_node(verify->peaks[--verify->n_peaks], h, h);
		height++;
		if (ours && height % TILE_HEIGHT == 0 && height / TILE_HEIGHT < TREE_LEVELS)
		{
			VerifyLevel *l = &verify->levels[height / TILE_HEIGHT];

			memcpy(l->hashes[l->width++], h, sizeof(h));
		}
	}
	verify->heights[verify->n_peaks] = height;
	memcpy(verify->peaks[verify->n_peaks++], h, sizeof(h));
}

/*
 * Compare a full row of leaves, the last LEAF_ROW ones.
 */
static bool
compare_leaf_row(Verify *verify)
{
	uint64		n = verify->next / LEAF_ROW - 1;
	int			width = 0;
	const PgcreditMerkleHash *stored;

	stored = take_row(verify, &verify->leaf_rows, "audit_leaf", LEAF_HASHES, n, n * LEAF_ROW + 1, &width);
	if (stored == NULL)
		return false;
	if (width != LEAF_ROW)
		return pgcredit_verify_wrong(verify, "tile_changed", n * LEAF_ROW + 1,
									 "Row " UINT64_FORMAT " of credit.audit_leaf has %d hashes.", n, width);
	if (memcmp(stored, verify->leaves, sizeof(verify->leaves)) != 0)
	{
		int			k = 0;

		while (memcmp(stored[k], verify->leaves[k], sizeof(PgcreditMerkleHash)) == 0)
			k++;
		suspect_leaf(verify, n, k);
	}
	verify->count.tiles++;
	pgcredit_rows_next(&verify->leaf_rows);
	return true;
}

/*
 * Take the next leaf, and compare the rows that it completes.
 */
bool
pgcredit_verify_leaf(Verify *verify, const PgcreditMerkleHash hash)
{
	memcpy(verify->leaves[verify->next % LEAF_ROW], hash, sizeof(PgcreditMerkleHash));
	pgcredit_verify_push(verify, 0, hash, true);
	if (verify->next % LEAF_ROW == 0 && !verify->dropped && !compare_leaf_row(verify))
		return false;
	if (verify->next % TILE_WIDTH == 0)
		for (int level = 1; level < TREE_LEVELS && verify->levels[level].width == NODE_ROW; level++)
			if (!compare_node_row(verify, level, false))
				return false;
	return true;
}

/*
 * At the end of what is taken: the rows that are not full, and that no row is
 * left over.
 */
bool
pgcredit_verify_tree_end(Verify *verify)
{
	for (int level = 1; level < TREE_LEVELS; level++)
		/* also a row of which nothing is ours: it must end where we do */
		if (verify->levels[level].width > 0 && !compare_node_row(verify, level, verify->to_end))
			return false;
	if (!verify->to_end)
		return true;
	if (verify->leaf_rows.tuple)
		return pgcredit_verify_wrong(verify, "beyond_end", verify->next + 1,
									 "Row " INT64_FORMAT " of credit.audit_leaf has hashes of entries that are not there.",
									 DatumGetInt64(pgcredit_rows_column(&verify->leaf_rows, LEAF_N)));
	if (verify->pruned_rows.tuple)
		return pgcredit_verify_wrong(verify, "tile_extra", 0,
									 "Row " INT64_FORMAT " of credit.audit_pruned has hashes of entries that are there, or never were.",
									 DatumGetInt64(pgcredit_rows_column(&verify->pruned_rows, LEAF_N)));
	for (int level = 1; level < TREE_LEVELS; level++)
		if (verify->levels[level].rows.tuple)
			return pgcredit_verify_wrong(verify, "beyond_end", verify->next + 1,
										 "Row " INT64_FORMAT " of level %d of credit.audit_node has hashes over entries that are not there.",
										 (int64) DatumGetInt32(pgcredit_rows_column(&verify->levels[level].rows, NODE_N)), level);
	return true;
}
