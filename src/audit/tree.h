/*
 * tree.h
 *		The Merkle tree over the log, as the files of the audit room share it.
 *
 * Leaf i (from 0) is entry i + 1; its hash is SHA-256(0x00 || entry's bytes).
 * Stored are the hashes of tiles as C2SP tlog-tiles has them, 256 to a tile:
 *
 *	credit.audit_leaf	level 0, LEAF_ROW hashes a row, rows only when full; row
 *						n has leaves n * LEAF_ROW on.  The hashes of the last
 *						entries, fewer than LEAF_ROW, stand nowhere: they are
 *						computed from the entries.
 *	credit.audit_node	levels 1 and up, NODE_ROW hashes a row, the last row of a
 *						level grows.  Its number is 32 bits wide, which do for
 *						2^46 entries, so that the index of 10 million is one page.
 *	credit.audit_pruned	rows of credit.audit_leaf whose entries were dropped by
 *						the retention policy: all that is left of them.
 *
 * So nothing is rewritten as the log grows but one row in 256 entries, and the
 * path of any leaf is in a fixed number of rows for each level.
 */
#ifndef PGCREDIT_AUDIT_TREE_H
#define PGCREDIT_AUDIT_TREE_H

#include "utils/rel.h"
#include "utils/snapshot.h"

#include "core/compat.h"
#include "crypto/crypto.h"

#define TILE_HEIGHT 8
#define TILE_WIDTH 256
#define TREE_LEVELS 8			/* 2^64 leaves */
#define LEAF_ROW 32
#define NODE_ROW 128

/* Columns, from 1 */
#define ENTRY_SEQ 1
#define ENTRY_TEXT 2
#define ENTRY_COLUMNS 2
#define LEAF_N 1
#define LEAF_HASHES 2
#define LEAF_COLUMNS 2
#define NODE_LEVEL 1
#define NODE_N 2
#define NODE_HASHES 3
#define NODE_COLUMNS 3

/* edge.c: the growing end, in the writer */
extern void pgcredit_edge_open(Snapshot snapshot);
extern uint64 pgcredit_edge_size(void);
extern void pgcredit_edge_append(const char *entry, Size len);
extern void pgcredit_edge_close(void);
extern void pgcredit_edge_forget(void);

/* tree.c: reading, in any backend */
#define PEAKS_MAX 64

typedef struct TreeTile
{
	bool		valid;
	uint64		n;
	int			width;
	PgcreditMerkleHash hashes[TILE_WIDTH];
} TreeTile;

typedef struct Tree
{
	Snapshot	snapshot;		/* registered */
	Relation	entry;
	Relation	leaf;
	Relation	node;
	Relation	pruned;
	uint64		size;			/* leaves that may be looked at */
	uint64		peaks_size;		/* size that peaks belong to, or 0 */
	int			n_peaks;		/* perfect subtrees of that size, left to right */
	PgcreditMerkleHash peaks[PEAKS_MAX];
	TreeTile   *tiles[TREE_LEVELS][2];	/* those read last */
} Tree;

extern Tree *pgcredit_tree_open(Snapshot snapshot);
extern uint64 pgcredit_tree_end(Tree *tree);
extern uint64 pgcredit_tree_first(Tree *tree);
extern void pgcredit_tree_close(Tree *tree);
extern bool pgcredit_tree_leaf_row(Tree *tree, uint64 n, PgcreditMerkleHash *out);
extern void pgcredit_tree_entry_leaves(Tree *tree, uint64 from, uint64 to, PgcreditMerkleHash *out);
extern const TreeTile *pgcredit_tree_tile(Tree *tree, int level, uint64 n, int width);
extern bool pgcredit_tree_read(void *tree, unsigned int height, uint64 index, PgcreditMerkleHash out);
extern void pgcredit_tree_root(Tree *tree, uint64 size, PgcreditMerkleHash out);
extern int	pgcredit_tree_peaks(Tree *tree, uint64 size, PgcreditMerkleHash *out);
extern void pgcredit_tree_use_peaks(Tree *tree, uint64 size, const bytea *peaks);

/* checkpoint.c: sizes whose peaks are kept; false when there is no such row */
extern bool pgcredit_checkpoint_take(Tree *tree, uint64 size);
extern bool pgcredit_checkpoint_newest(Tree *tree);

/* The hashes of a row, checked to be "n" of them; raises data_corrupted. */
extern const PgcreditMerkleHash *pgcredit_hashes_of(Datum value, int *n, const char *table, int64 row);
pg_noreturn extern void pgcredit_tree_corrupted(const char *detail);

#endif							/* PGCREDIT_AUDIT_TREE_H */
