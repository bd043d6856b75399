/*
 * verify.h
 *		credit.verify_log, as its files share it.
 *
 * Leaves are taken one after the other and put together in a row of perfect
 * subtrees, largest first, as they make up a tree of any size: all that must be
 * held to know the root at each size and each hash of each tile.  What is stored
 * is compared with these as it comes up and never used, but for two things that
 * a signed root then vouches for: hashes of dropped entries, and, where only a
 * part of the log is verified, the subtrees beside that part.
 */
#ifndef PGCREDIT_AUDIT_VERIFY_H
#define PGCREDIT_AUDIT_VERIFY_H

#include "datatype/timestamp.h"

#include "audit/append.h"
#include "audit/tree.h"

/* Columns of credit.audit_checkpoint and credit.audit_cosignature, from 1 */
#define CHECKPOINT_SIZE 1
#define CHECKPOINT_ROOT 2
#define CHECKPOINT_PEAKS 3
#define CHECKPOINT_NOTE 4
#define COSIGNATURE_SIZE 1
#define COSIGNATURE_WITNESS 2
#define COSIGNATURE_LINE 4

typedef struct Problem
{
	const char *code;			/* NULL: none */
	int64		seq;			/* first wrong entry, 0 when it is none of one */
	char	   *detail;
} Problem;

/* What a verification has done so far; kept in shared memory to go on from. */
typedef struct VerifyCount
{
	int64		entries;
	int64		dropped;		/* of them known by their hashes only */
	int64		tiles;			/* rows of the tables of hashes */
	int64		checkpoints;
	int64		cosignatures;
} VerifyCount;

typedef struct VerifyMark
{
	bool		valid;
	uint64		start;			/* where it had begun */
	uint64		next;			/* leaves up to here are verified, a multiple of TILE_WIDTH */
	PgcreditMerkleHash root;	/* of so many leaves */
	uint64		signed_size;	/* newest checkpoint among them */
	int			origin;			/* and its name */
	VerifyCount count;
} VerifyMark;

/* Rows of a table in the order of its index, one ahead. */
typedef struct RowScan
{
	bool		open;
	Seek		seek;
	HeapTuple	tuple;			/* NULL at the end */
} RowScan;

/*
 * Entries are read in ranges of so many at most: what a worker does at a time.
 * A multiple of TILE_WIDTH.
 */
#define VERIFY_RANGE 8192

/* Pages of credit.audit_entry all of whose rows the index has shown. */
typedef struct EntryPages
{
	BlockNumber end;			/* those from here on are not noted */
	uint64		rows;			/* in them */
	uint64		sum;			/* of the numbers of these */
	int			n;
	BlockNumber blocks[VERIFY_RANGE];
} EntryPages;

/* All of them, for the count of the table without the index */
typedef struct EntryShown
{
	uint8	   *whole;			/* a bit for each block */
	BlockNumber n_blocks;
	uint64		rows;
	uint64		sum;
} EntryShown;

/* Entries in the order of the index, one ahead, see verify_entries.c. */
typedef struct EntryScan
{
	Relation	rel;
	Relation	index;
	Snapshot	snapshot;
	IndexScanDesc scan;			/* NULL until the first seek */
	TupleTableSlot *slot;
	MemoryContext context;		/* what an entry needs, reset after some */
	HeapTuple	tuple;			/* NULL at the end */
	int64		seq;			/* its number, PG_INT64_MAX at the end */
	uint64		code;			/* newest that had a digest of the code, 0: none */

	bool		may_copy;
	BufferAccessStrategy strategy;
	BlockNumber block;			/* looked at last */
	bool		copied;			/* it is in page */
	int			present;		/* rows of the copy */
	int			shown;			/* of them, those that the index led to */
	uint64		sum;			/* of the numbers of these */
	HeapTupleData row;			/* in page */
	PGAlignedBlock page;
	EntryPages *pages;			/* where to note it, when all of it was shown */
} EntryScan;

/* Hashes of a level that are not compared yet */
typedef struct VerifyLevel
{
	RowScan		rows;
	int			from;			/* first in the row that is ours */
	int			width;			/* end of them */
	PgcreditMerkleHash hashes[NODE_ROW];
} VerifyLevel;

typedef struct VerifyOrigin
{
	char	   *name;
	PgcreditNoteKey key;
} VerifyOrigin;

/* What was made of a range of entries by somebody else. */
typedef struct VerifyRange
{
	EntryPages	pages;
	uint64		code;			/* as EntryScan has it */
	PgcreditMerkleHash leaves[VERIFY_RANGE];
} VerifyRange;

typedef struct VerifyWorkers VerifyWorkers;

typedef struct Verify
{
	bool		alone;			/* no workers */
	Tree	   *tree;
	MemoryContext note;			/* reset after each checkpoint */

	uint64		start;			/* leaves that are not looked at, a multiple of TILE_WIDTH */
	uint64		begin;			/* first leaf of this call: start, or where another one stopped */
	uint64		end;			/* leaves to take */
	bool		to_end;			/* that is the end of the log */

	/* the row of perfect subtrees over the leaves so far */
	uint64		next;
	int			n_peaks;
	uint8		heights[PEAKS_MAX];
	PgcreditMerkleHash peaks[PEAKS_MAX];

	PgcreditMerkleHash leaves[LEAF_ROW];	/* of the row that is not full */
	bool		dropped;		/* that row's entries were dropped */
	EntryScan	entries;
	EntryShown	shown;
	uint64		code;			/* newest entry of this call that has a digest of the code, 0: none */
	VerifyWorkers *workers;		/* NULL: none */
	uint64		range;			/* leaves of a range */
	uint64		range_end;		/* of the present one */
	const PgcreditMerkleHash *ready;	/* its next leaf, NULL: read its entries here */
	RowScan		leaf_rows;
	RowScan		pruned_rows;
	VerifyLevel levels[TREE_LEVELS];

	Relation	checkpoint;
	Relation	cosignature;
	RowScan		checkpoint_rows;
	RowScan		cosignature_rows;
	uint64		checkpoint_size;	/* of the next checkpoint, PG_UINT64_MAX: none */
	uint64		signed_size;	/* newest checkpoint that held */
	int			n_origins;
	VerifyOrigin *origins;		/* oldest first */
	int			origin;			/* of the newest checkpoint that held */
	int			n_witnesses;
	PgcreditNoteKey *witnesses;

	PgcreditCheckpoint known;	/* newest that this server signed since its start; size 0: none */

	VerifyCount count;
	Problem		pending;		/* something is wrong, the next checkpoint says what */
	Problem		problem;
} Verify;

/* verify.c */
extern bool pgcredit_verify_wrong(Verify *verify, const char *code, uint64 seq, const char *format,...) pg_attribute_printf(4, 5);

/* verify_rows.c */
extern void pgcredit_rows_begin(RowScan *rows, Relation rel, const char *index, int n_keys,
								ScanKey keys, Snapshot snapshot);
extern void pgcredit_rows_next(RowScan *rows);
extern Datum pgcredit_rows_column(const RowScan *rows, AttrNumber number);
extern void pgcredit_rows_end(RowScan *rows);
extern uint64 pgcredit_rows_count(Relation rel, Snapshot snapshot);

/* verify_entries.c */
extern void pgcredit_entries_begin(EntryScan *entries, Relation rel, Snapshot snapshot);
extern void pgcredit_entries_seek(EntryScan *entries, uint64 from);
extern void pgcredit_entries_next(EntryScan *entries);
extern void pgcredit_entries_end(EntryScan *entries);
extern void pgcredit_shown_begin(EntryShown *shown, Relation rel);
extern void pgcredit_shown_take(EntryShown *shown, const EntryPages *pages);
extern void pgcredit_pages_empty(EntryPages *pages, const EntryShown *shown);
extern uint64 pgcredit_entries_count(const EntryScan *entries, const EntryShown *shown, int64 *sum);

/* verify_leaf.c */
typedef enum VerifyLeaf
{
	LEAF_GOOD,
	LEAF_TOO_LONG,
	LEAF_OTHER_NUMBER,
	LEAF_OTHER_LIST
} VerifyLeaf;

extern VerifyLeaf pgcredit_verify_entry(EntryScan *entries, uint64 seq, PgcreditMerkleHash hash, Size *len);

/* verify_workers.c */
extern void pgcredit_workers_begin(Verify *verify);
extern const VerifyRange *pgcredit_workers_take(VerifyWorkers *workers);
extern int	pgcredit_workers_launched(const VerifyWorkers *workers);
extern void pgcredit_workers_end(Verify *verify);

/* verify_tree.c */
extern void pgcredit_verify_root(const Verify *verify, PgcreditMerkleHash out);
extern void pgcredit_verify_tree_begin(Verify *verify);
extern void pgcredit_verify_push(Verify *verify, unsigned int height, const PgcreditMerkleHash hash, bool ours);
extern void pgcredit_verify_narrow(Verify *verify);
extern bool pgcredit_verify_leaf(Verify *verify, const PgcreditMerkleHash hash);
extern bool pgcredit_verify_tree_end(Verify *verify);

/* verify_note.c */
extern bool pgcredit_verify_notes_begin(Verify *verify);
extern bool pgcredit_verify_checkpoint(Verify *verify);
extern bool pgcredit_verify_notes_end(Verify *verify);

/* verify_setup.c */
extern bool pgcredit_verify_setup(Verify *verify);
extern bool pgcredit_verify_code(Verify *verify);

/* verify_progress.c */
typedef enum VerifyPhase
{
	VERIFY_IDLE, VERIFY_SETUP, VERIFY_ENTRIES, VERIFY_ROWS
} VerifyPhase;

extern void pgcredit_progress(VerifyPhase phase, uint64 done, uint64 total, int workers);
extern void pgcredit_mark_keep(const VerifyMark *mark);
extern bool pgcredit_mark_get(VerifyMark *mark);
extern void pgcredit_known_checkpoint(PgcreditCheckpoint *known);

#endif							/* PGCREDIT_AUDIT_VERIFY_H */
