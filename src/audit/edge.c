/*
 * edge.c
 *		The growing end of the tree, in the audit writer.
 *
 * The writer holds, for each level of tiles, the hashes of the tile that is not
 * full yet.  An appended entry adds its leaf hash to level 0; a full tile adds
 * its root to the level above.  Rows go into the tables with the entries, in
 * the same transaction, so whoever sees an entry sees the tree over it.
 *
 * What is held is a copy: after an error, a restart or a restore it is read
 * anew.  Then entries that the tables have no hashes of yet (restored from a
 * dump, which holds no derived rows) are hashed, however many; and node rows
 * that do not fit the leaf rows are made again from those.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "audit/append.h"
#include "audit/tree.h"
#include "core/core.h"

typedef struct EdgeLevel
{
	int			width;			/* hashes of the tile that is not full */
	int			stored;			/* of them, those that the tables have */
	PgcreditMerkleHash hashes[TILE_WIDTH];
} EdgeLevel;

static EdgeLevel *edge = NULL;	/* [TREE_LEVELS], in TopMemoryContext */
static uint64 edge_size = 0;	/* leaves */
static bool edge_known = false;

/* Only while a transaction has rows to write. */
static Appender leaves;
static bool leaves_open = false;
static Appender nodes;
static bool nodes_open = false;

/* Number of complete hashes at a level. */
static uint64
level_count(int level)
{
	return edge_size >> (TILE_HEIGHT * level);
}

static Datum
hashes_datum(const PgcreditMerkleHash *hashes, int n)
{
	bytea	   *value = palloc(VARHDRSZ + n * sizeof(PgcreditMerkleHash));

	SET_VARSIZE(value, VARHDRSZ + n * sizeof(PgcreditMerkleHash));
	memcpy(VARDATA(value), hashes, n * sizeof(PgcreditMerkleHash));
	return PointerGetDatum(value);
}

static void
put_leaf_row(uint64 n, const PgcreditMerkleHash *hashes)
{
	TupleTableSlot *slot;

	if (!leaves_open)
		pgcredit_append_open(&leaves, "audit_leaf", LEAF_COLUMNS);
	leaves_open = true;
	slot = pgcredit_append_row(&leaves);
	slot->tts_values[LEAF_N - 1] = Int64GetDatum((int64) n);
	slot->tts_values[LEAF_HASHES - 1] = hashes_datum(hashes, LEAF_ROW);
}

/*
 * Delete a row of credit.audit_node if it is there.
 */
static void
delete_node_row(Relation rel, int level, uint64 n)
{
	ScanKeyData keys[2];
	Seek		seek;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], NODE_LEVEL, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(level));
	ScanKeyInit(&keys[1], NODE_N, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum((int32) n));
	pgcredit_seek_begin(&seek, rel, "audit_node_pkey", 2, keys, SnapshotSelf);
	tuple = pgcredit_seek_next(&seek, ForwardScanDirection);
	if (tuple != NULL)
		simple_table_tuple_delete(rel, &tuple->t_self, InvalidSnapshot);
	pgcredit_seek_end(&seek);
}

/*
 * Bring the row with the newest hashes of a level to what is held.
 */
static void
put_node_row(int level)
{
	EdgeLevel  *l = &edge[level];
	int			first = (l->width - 1) / NODE_ROW * NODE_ROW;
	uint64		n = (level_count(level) - 1) / NODE_ROW;
	TupleTableSlot *slot;

	if (!nodes_open)
		pgcredit_append_open(&nodes, "audit_node", NODE_COLUMNS);
	nodes_open = true;
	if (l->stored > first)
	{
		/* one of this command cannot be deleted by it */
		pgcredit_append_flush(&nodes);
		CommandCounterIncrement();
		delete_node_row(nodes.rel, level, n);
	}
	slot = pgcredit_append_row(&nodes);
	slot->tts_values[NODE_LEVEL - 1] = Int16GetDatum(level);
	slot->tts_values[NODE_N - 1] = Int32GetDatum((int32) n);
	slot->tts_values[NODE_HASHES - 1] = hashes_datum(l->hashes + first, l->width - first);
	l->stored = l->width;
}

/*
 * A hash is complete at a level; edge_size counts its leaves already.
 */
static void
add_node(int level, const PgcreditMerkleHash hash)
{
	EdgeLevel  *l = &edge[level];

	memcpy(l->hashes[l->width++], hash, sizeof(PgcreditMerkleHash));
	if (l->width % NODE_ROW == 0)
		put_node_row(level);
	if (l->width == TILE_WIDTH)
	{
		PgcreditMerkleHash root;

		pgcredit_merkle_fold(l->hashes, TILE_HEIGHT, root);
		l->width = l->stored = 0;
		if (level + 1 < TREE_LEVELS)
			add_node(level + 1, root);
	}
}

/*
 * "stored": the leaf is one of a row that the tables have.
 */
static void
add_leaf(const PgcreditMerkleHash hash, bool stored)
{
	EdgeLevel  *l = &edge[0];

	memcpy(l->hashes[l->width++], hash, sizeof(PgcreditMerkleHash));
	edge_size++;
	if (l->width % LEAF_ROW == 0 && !stored)
		put_leaf_row(edge_size / LEAF_ROW - 1, l->hashes + l->width - LEAF_ROW);
	if (l->width == TILE_WIDTH)
	{
		PgcreditMerkleHash root;

		pgcredit_merkle_fold(l->hashes, TILE_HEIGHT, root);
		l->width = 0;
		add_node(1, root);
	}
}

/* ---------------------------------------------------------------------------
 * Reading what the tables have
 * ---------------------------------------------------------------------------
 */

/*
 * Read the newest tile of each level, whose first "count" leaves are in leaf
 * rows.  Returns false when the node rows are not those of that many leaves.
 */
static bool
read_tiles(Tree *tree, uint64 count)
{
	edge_size = count;
	tree->size = count;
	for (int level = 0; level < TREE_LEVELS; level++)
	{
		EdgeLevel  *l = &edge[level];
		uint64		complete = level_count(level);
		const TreeTile *tile;

		l->width = l->stored = complete % TILE_WIDTH;
		if (l->width == 0)
		{
			/* a full row before, or none */
			if (level > 0 && complete > 0 &&
				pgcredit_tree_tile(tree, level, complete / TILE_WIDTH - 1, TILE_WIDTH) == NULL)
				return false;
			continue;
		}
		tile = pgcredit_tree_tile(tree, level, complete / TILE_WIDTH, l->width);
		if (tile == NULL)
			return false;
		memcpy(l->hashes, tile->hashes, l->width * sizeof(PgcreditMerkleHash));
	}
	return true;
}

/*
 * Make the node rows anew from the leaf rows.
 */
static void
rebuild_nodes(Tree *tree, uint64 count)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_node", false), RowExclusiveLock);
	TableScanDesc scan = table_beginscan(rel, tree->snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	PgcreditMerkleHash row[LEAF_ROW];

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		simple_table_tuple_delete(rel, &slot->tts_tid, tree->snapshot);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(rel, RowExclusiveLock);

	memset(edge, 0, TREE_LEVELS * sizeof(EdgeLevel));
	edge_size = 0;
	for (uint64 n = 0; n < count / LEAF_ROW; n++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!pgcredit_tree_leaf_row(tree, n, row))
			pgcredit_tree_corrupted(psprintf("Row " UINT64_FORMAT " of credit.audit_leaf is missing.", n));
		for (int k = 0; k < LEAF_ROW; k++)
			add_leaf(row[k], true);
	}
}

/*
 * Hash the entries that no leaf row has.
 */
static void
catch_up(Tree *tree, uint64 size)
{
	while (edge_size < size)
	{
		PgcreditMerkleHash hashes[TILE_WIDTH];
		uint64		to = Min(size, edge_size + TILE_WIDTH);
		int			n = (int) (to - edge_size);

		CHECK_FOR_INTERRUPTS();
		pgcredit_tree_entry_leaves(tree, edge_size, to, hashes);
		for (int k = 0; k < n; k++)
			add_leaf(hashes[k], false);
	}
}

/*
 * Make the edge that of the tables, as the snapshot sees them; the caller has
 * locked credit.audit_entry against restores.  Raises data_corrupted when the
 * tree has more leaves than the log has entries, or lacks some: then the log
 * was bent, and nothing may be added to it.
 */
void
pgcredit_edge_open(Snapshot snapshot)
{
	Tree	   *tree;
	uint64		size;
	uint64		in_rows;
	int64		last;

	leaves_open = nodes_open = false;
	if (edge_known)
		return;
	if (edge == NULL)
		edge = MemoryContextAllocZero(TopMemoryContext, TREE_LEVELS * sizeof(EdgeLevel));
	tree = pgcredit_tree_open(snapshot);
	size = pgcredit_tree_end(tree);
	last = pgcredit_seek_last(tree->leaf, "audit_leaf_pkey", snapshot, -1);
	if (last < 0)
		last = pgcredit_seek_last(tree->pruned, "audit_pruned_pkey", snapshot, -1);
	in_rows = (uint64) (last + 1) * LEAF_ROW;
	if (in_rows > size)
		pgcredit_tree_corrupted(psprintf("The log has " UINT64_FORMAT " entries, the tree at least " UINT64_FORMAT " leaves.",
										 size, in_rows));
	/* a dump loads the entries before credit.audit_pruned */
	if (in_rows == 0 && size > 0 && pgcredit_tree_first(tree) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the hashes of dropped entries are missing"),
				 errdetail("The log begins with entry " UINT64_FORMAT " and credit.audit_pruned is empty.", pgcredit_tree_first(tree)),
				 errhint("While a dump is being restored this passes; else restore credit.audit_pruned from a backup.")));
	tree->size = in_rows;
	if (!read_tiles(tree, in_rows))
		rebuild_nodes(tree, in_rows);
	tree->size = size;
	catch_up(tree, size);
	pgcredit_tree_close(tree);
	edge_known = true;
}

/*
 * Number of leaves; the next entry's sequence number is one more.
 */
uint64
pgcredit_edge_size(void)
{
	return edge_size;
}

/*
 * The entry was put at the end of the log.
 */
void
pgcredit_edge_append(const char *entry, Size len)
{
	PgcreditMerkleHash hash;

	pgcredit_merkle_leaf(entry, len, hash);
	add_leaf(hash, false);
}

/*
 * Write what the tables lack of the tiles, before the commit.
 */
void
pgcredit_edge_close(void)
{
	for (int level = 1; level < TREE_LEVELS; level++)
		if (edge[level].width > edge[level].stored)
			put_node_row(level);
	if (leaves_open)
		pgcredit_append_close(&leaves);
	if (nodes_open)
		pgcredit_append_close(&nodes);
	leaves_open = nodes_open = false;
}

/*
 * The tables may be other than what is held: an error, or a restore.
 */
void
pgcredit_edge_forget(void)
{
	edge_known = false;
}
