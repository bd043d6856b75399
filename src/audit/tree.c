/*
 * tree.c
 *		Reading the tree over the log: tiles, perfect subtrees, roots.
 *
 * Works from the tables under one snapshot.  Since entries and their tiles are
 * written in one transaction, a snapshot that sees an entry sees the tiles over
 * it.  What is read is trusted here as far as its shape goes; whether it is the
 * truth is what credit.verify_log and the external verifier are for.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "access/table.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "audit/append.h"
#include "audit/tree.h"
#include "core/core.h"

void
pgcredit_tree_corrupted(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the log and its tree do not fit each other"),
			 errdetail("%s", detail),
			 errhint("Somebody changed the log's tables below the extension; credit.verify_log() says where. Restore them from a backup.")));
}

const PgcreditMerkleHash *
pgcredit_hashes_of(Datum value, int *n, const char *table, int64 row)
{
	bytea	   *bytes = DatumGetByteaPP(value);
	Size		len = VARSIZE_ANY_EXHDR(bytes);

	if (len == 0 || len % sizeof(PgcreditMerkleHash) != 0 ||
		len > TILE_WIDTH * sizeof(PgcreditMerkleHash))
		pgcredit_tree_corrupted(psprintf("Row " INT64_FORMAT " of credit.%s has %zu bytes.", row, table, len));
	*n = len / sizeof(PgcreditMerkleHash);
	return (const PgcreditMerkleHash *) VARDATA_ANY(bytes);
}

/*
 * Start to read under the snapshot, in the current memory context; the tables
 * stay locked as after a query.  The caller sets the size, or takes that of
 * pgcredit_tree_end.
 */
Tree *
pgcredit_tree_open(Snapshot snapshot)
{
	Tree	   *tree = palloc0(sizeof(Tree));

	tree->snapshot = RegisterSnapshot(snapshot);
	tree->entry = table_open(pgcredit_relation_oid("audit_entry", false), AccessShareLock);
	tree->leaf = table_open(pgcredit_relation_oid("audit_leaf", false), AccessShareLock);
	tree->node = table_open(pgcredit_relation_oid("audit_node", false), AccessShareLock);
	tree->pruned = table_open(pgcredit_relation_oid("audit_pruned", false), AccessShareLock);
	return tree;
}

/*
 * Number of entries that the snapshot sees, which becomes the tree's size.
 */
uint64
pgcredit_tree_end(Tree *tree)
{
	tree->size = (uint64) pgcredit_seek_last(tree->entry, "audit_entry_pkey", tree->snapshot, 0);
	return tree->size;
}

/*
 * Number of the first entry that the retention policy has not dropped, or 0.
 */
uint64
pgcredit_tree_first(Tree *tree)
{
	Seek		seek;
	HeapTuple	tuple;
	uint64		seq = 0;

	pgcredit_seek_begin(&seek, tree->entry, "audit_entry_pkey", 0, NULL, tree->snapshot);
	tuple = pgcredit_seek_next(&seek, ForwardScanDirection);
	if (tuple != NULL)
		seq = (uint64) DatumGetInt64(pgcredit_seek_column(&seek, tuple, ENTRY_SEQ));
	pgcredit_seek_end(&seek);
	return seq;
}

void
pgcredit_tree_close(Tree *tree)
{
	table_close(tree->pruned, NoLock);
	table_close(tree->node, NoLock);
	table_close(tree->leaf, NoLock);
	table_close(tree->entry, NoLock);
	UnregisterSnapshot(tree->snapshot);
	for (int level = 0; level < TREE_LEVELS; level++)
		for (int k = 0; k < 2; k++)
			if (tree->tiles[level][k])
				pfree(tree->tiles[level][k]);
	pfree(tree);
}

/* ---------------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------------
 */

/*
 * Copy the hashes of leaf rows [from, to) of a table to out, as far as they
 * are there one after the other; returns how many rows.
 */
static int
copy_leaf_rows(Tree *tree, Relation rel, const char *index, uint64 from, uint64 to,
			   PgcreditMerkleHash *out)
{
	ScanKeyData keys[2];
	Seek		seek;
	HeapTuple	tuple;
	int			found = 0;

	ScanKeyInit(&keys[0], LEAF_N, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum((int64) from));
	ScanKeyInit(&keys[1], LEAF_N, BTLessStrategyNumber, F_INT8LT, Int64GetDatum((int64) to));
	pgcredit_seek_begin(&seek, rel, index, 2, keys, tree->snapshot);
	while ((tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
	{
		int64		row = DatumGetInt64(pgcredit_seek_column(&seek, tuple, LEAF_N));
		int			n;
		const PgcreditMerkleHash *hashes;

		if ((uint64) row != from + found)
			break;
		hashes = pgcredit_hashes_of(pgcredit_seek_column(&seek, tuple, LEAF_HASHES), &n,
									RelationGetRelationName(rel), row);
		if (n != LEAF_ROW)
			pgcredit_tree_corrupted(psprintf("Row " INT64_FORMAT " of credit.%s has %d hashes.",
											 row, RelationGetRelationName(rel), n));
		memcpy(out + found * LEAF_ROW, hashes, LEAF_ROW * sizeof(PgcreditMerkleHash));
		found++;
	}
	pgcredit_seek_end(&seek);
	return found;
}

/*
 * The hashes of one leaf row, also of dropped entries; false when there is none.
 */
bool
pgcredit_tree_leaf_row(Tree *tree, uint64 n, PgcreditMerkleHash *out)
{
	return copy_leaf_rows(tree, tree->leaf, "audit_leaf_pkey", n, n + 1, out) == 1 ||
		copy_leaf_rows(tree, tree->pruned, "audit_pruned_pkey", n, n + 1, out) == 1;
}

/*
 * Compute the hashes of leaves [from, to) from their entries.  Raises
 * data_corrupted when one is missing.
 */
void
pgcredit_tree_entry_leaves(Tree *tree, uint64 from, uint64 to, PgcreditMerkleHash *out)
{
	ScanKeyData keys[2];
	Seek		seek;
	uint64		next = from;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], ENTRY_SEQ, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum((int64) from));
	ScanKeyInit(&keys[1], ENTRY_SEQ, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum((int64) to));
	pgcredit_seek_begin(&seek, tree->entry, "audit_entry_pkey", 2, keys, tree->snapshot);
	while ((tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
	{
		text	   *entry;

		if (DatumGetInt64(pgcredit_seek_column(&seek, tuple, ENTRY_SEQ)) != (int64) next + 1)
			break;
		entry = DatumGetTextPP(pgcredit_seek_column(&seek, tuple, ENTRY_TEXT));
		pgcredit_merkle_leaf(VARDATA_ANY(entry), VARSIZE_ANY_EXHDR(entry), out[next - from]);
		next++;
	}
	pgcredit_seek_end(&seek);
	if (next != to)
		pgcredit_tree_corrupted(psprintf("Entry " UINT64_FORMAT " is missing.", next + 1));
}

/* ---------------------------------------------------------------------------
 * Tiles
 * ---------------------------------------------------------------------------
 */

/*
 * Fill a tile of level 0 with its first "width" hashes, those of the last row
 * from the entries where the row is not full.
 */
static bool
fill_leaf_tile(Tree *tree, TreeTile *tile, int width)
{
	uint64		first = tile->n * (TILE_WIDTH / LEAF_ROW);
	int			rows = (width + LEAF_ROW - 1) / LEAF_ROW;
	int			found;

	found = copy_leaf_rows(tree, tree->leaf, "audit_leaf_pkey", first, first + rows, tile->hashes);
	if (found == 0)
		found = copy_leaf_rows(tree, tree->pruned, "audit_pruned_pkey", first, first + rows, tile->hashes);
	tile->width = Min(found * LEAF_ROW, width);
	if (width - tile->width >= LEAF_ROW)
		return false;
	if (width > tile->width)
		pgcredit_tree_entry_leaves(tree, tile->n * TILE_WIDTH + tile->width, tile->n * TILE_WIDTH + width,
								   tile->hashes + tile->width);
	tile->width = width;
	return true;
}

static bool
fill_node_tile(Tree *tree, int level, TreeTile *tile, int width)
{
	const int	rows_per_tile = TILE_WIDTH / NODE_ROW;
	uint64		first = tile->n * rows_per_tile;
	ScanKeyData keys[3];
	Seek		seek;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], NODE_LEVEL, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(level));
	ScanKeyInit(&keys[1], NODE_N, BTGreaterEqualStrategyNumber, F_INT4GE, Int32GetDatum((int32) first));
	ScanKeyInit(&keys[2], NODE_N, BTLessStrategyNumber, F_INT4LT, Int32GetDatum((int32) first + rows_per_tile));
	pgcredit_seek_begin(&seek, tree->node, "audit_node_pkey", 3, keys, tree->snapshot);
	tile->width = 0;
	while (tile->width < width && (tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
	{
		int32		row = DatumGetInt32(pgcredit_seek_column(&seek, tuple, NODE_N));
		int			n;
		const PgcreditMerkleHash *hashes;

		hashes = pgcredit_hashes_of(pgcredit_seek_column(&seek, tuple, NODE_HASHES), &n,
									RelationGetRelationName(tree->node), row);
		if (n > NODE_ROW || (uint64) row != first + tile->width / NODE_ROW || tile->width % NODE_ROW != 0)
			break;
		memcpy(tile->hashes + tile->width, hashes, n * sizeof(PgcreditMerkleHash));
		tile->width += n;
	}
	pgcredit_seek_end(&seek);
	return tile->width >= width;
}

/*
 * Tile n of a level with at least its first "width" hashes, valid until the
 * next calls for this level; NULL when the tables do not have it.  The caller
 * asks for no more than the tree has.
 */
const TreeTile *
pgcredit_tree_tile(Tree *tree, int level, uint64 n, int width)
{
	/* the last tile of a level, which all paths share, and the one asked for before */
	bool		last = n == tree->size >> (TILE_HEIGHT * level) >> TILE_HEIGHT;
	TreeTile   *tile = tree->tiles[level][last];

	Assert(width > 0 && width <= TILE_WIDTH);
	/* a path needs all of a full tile, though not in one call */
	if (!last)
		width = TILE_WIDTH;
	if (tile == NULL)
		tile = tree->tiles[level][last] = palloc0(sizeof(TreeTile));
	if (tile->valid && tile->n == n && tile->width >= width)
		return tile;
	tile->n = n;
	tile->valid = false;
	if (!(level == 0 ? fill_leaf_tile(tree, tile, width) : fill_node_tile(tree, level, tile, width)))
		return NULL;
	tile->valid = true;
	return tile;
}

/* ---------------------------------------------------------------------------
 * Subtrees and roots
 * ---------------------------------------------------------------------------
 */

/*
 * PgcreditMerkleRead over the tables; raises data_corrupted for what is not
 * there.
 */
bool
pgcredit_tree_read(void *arg, unsigned int height, uint64 index, PgcreditMerkleHash out)
{
	Tree	   *tree = arg;
	int			level = height / TILE_HEIGHT;
	unsigned int within = height % TILE_HEIGHT;
	uint64		first = index << within;
	int			offset = first % TILE_WIDTH;
	int			n = 1 << within;
	const TreeTile *tile;
	PgcreditMerkleHash hashes[TILE_WIDTH / 2];

	if ((tree->peaks_size >> height & 1) == 1 && index == (tree->peaks_size >> height) - 1)
	{
		int			k = height == 63 ? 0 : pg_popcount64(tree->peaks_size >> (height + 1));

		memcpy(out, tree->peaks[k], sizeof(PgcreditMerkleHash));
		return true;
	}
	tile = pgcredit_tree_tile(tree, level, first / TILE_WIDTH, offset + n);
	if (tile == NULL)
		pgcredit_tree_corrupted(psprintf("Tile " UINT64_FORMAT " of level %d is missing or too short.",
										 first / TILE_WIDTH, level));
	memcpy(hashes, tile->hashes + offset, n * sizeof(PgcreditMerkleHash));
	pgcredit_merkle_fold(hashes, within, out);
	return true;
}

/*
 * Root of the tree over the first "size" entries.
 */
void
pgcredit_tree_root(Tree *tree, uint64 size, PgcreditMerkleHash out)
{
	if (!pgcredit_merkle_root(size, pgcredit_tree_read, tree, out))
		elog(ERROR, "could not compute the root of the log");
}

/*
 * The perfect subtrees that make up the tree of a size, largest first: enough
 * to know its root and the end of every path in it.  Returns their number.
 */
int
pgcredit_tree_peaks(Tree *tree, uint64 size, PgcreditMerkleHash *out)
{
	int			n = 0;

	for (int height = 63; height >= 0; height--)
		if ((size >> height & 1) == 1)
			(void) pgcredit_tree_read(tree, height, (size >> height) - 1, out[n++]);
	return n;
}

/*
 * Take the peaks of a size from a checkpoint instead of reading the end of the
 * tree; what has another shape is not taken.
 */
void
pgcredit_tree_use_peaks(Tree *tree, uint64 size, const bytea *peaks)
{
	int			n = pg_popcount64(size);

	if (VARSIZE_ANY_EXHDR(peaks) != n * sizeof(PgcreditMerkleHash))
		return;
	memcpy(tree->peaks, VARDATA_ANY(peaks), n * sizeof(PgcreditMerkleHash));
	tree->peaks_size = size;
}
