/*
 * retention.c
 *		Dropping old entries by policy, in the notary.
 *
 * What goes are whole tiles from the beginning of the log on, whose entries are
 * all older than pgcredit.audit_retention and which a published checkpoint
 * covers that still holds; never the tile with the newest entry, so that the end
 * of the log is always there.  The rows of credit.audit_leaf over them move to
 * credit.audit_pruned in the same transaction: every tile stays, and with it
 * every proof, also of what was dropped to whoever kept its bytes.
 *
 * Before a tile goes its entries are hashed again and compared with the tree,
 * and the checkpoint's root is computed again: what was bent is not dropped,
 * it is evidence.  The same for a log that is no continuation of a checkpoint
 * known outside.
 *
 * Each dropping leaves an entry by the lane with the transaction, so it is in
 * the log if and only if the dropping committed.  All rows are written below
 * SQL; the triggers of the tables refuse everybody else.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit/append.h"
#include "audit/audit_internal.h"
#include "audit/history.h"
#include "audit/notary.h"
#include "audit/retention.h"
#include "audit/tree.h"
#include "core/core.h"

/* Most tiles that one transaction drops: a power of two. */
#define TILES_AT_ONCE 32
#define LEAF_ROWS_IN_TILE (TILE_WIDTH / LEAF_ROW)
#define DAY_S (24 * 60 * 60)

static int	retention_s = 0;
static int	retention_least_s = DAY_S;

/* What one transaction drops. */
typedef struct Dropping
{
	Tree	   *tree;
	MemoryContext scratch;		/* for entries, reset for each tile */
	char		before[64];		/* entries recorded before this go; with quotes */
	uint64		first;			/* tile */
	uint64		covered;		/* entries that the published checkpoint covers */
	int			n;				/* tiles so far */
	PgcreditMerkleHash roots[TILES_AT_ONCE];
	Appender	pruned;
} Dropping;

/*
 * A number without its unit is seconds: 30 that was meant to be days must not
 * cost a log.
 */
static bool
check_retention(int *newval, void **extra, GucSource source)
{
	if (*newval == 0 || *newval >= retention_least_s)
		return true;
	GUC_check_errdetail("Entries are kept for ever (0) or for at least %d s.", retention_least_s);
	GUC_check_errhint("Give the unit: pgcredit.audit_retention = '1095d'.");
	return false;
}

void
pgcredit_retention_init(void)
{
	/* before the other, whose value is checked against it */
	if (process_shared_preload_libraries_in_progress)
		DefineCustomIntVariable("pgcredit.audit_retention_least",
								"Shortest time that pgcredit.audit_retention may be set to.",
								"Less than a day is for tests.",
								&retention_least_s, DAY_S, 1, INT_MAX,
								PGC_POSTMASTER, GUC_UNIT_S | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	DefineCustomIntVariable("pgcredit.audit_retention",
							"Time after which entries of the log are dropped.",
							"0 keeps them for ever. Proofs stay valid.",
							&retention_s, 0, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, check_retention, NULL, NULL);
}

/* ---------------------------------------------------------------------------
 * What may be dropped
 * ---------------------------------------------------------------------------
 */

/*
 * Is the entry older than the policy?  Members stand for themselves: text in
 * others could look like one.
 */
static bool
entry_is_old(const Dropping *d, const char *entry)
{
	Jsonb	   *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(entry)));
	JsonbValue	value;
	Size		len = strlen(d->before) - 2;

	if (!JB_ROOT_IS_OBJECT(json) ||
		getKeyJsonValueFromContainer(&json->root, "recorded", strlen("recorded"), &value) == NULL ||
		value.type != jbvString || value.val.string.len != len)
		pgcredit_tree_corrupted("An entry does not say when it was recorded.");
	/* RFC 3339 in UTC, always as long: their order is that of the times */
	return memcmp(value.val.string.val, d->before + 1, len) < 0;
}

static void
tile_begin(Seek *seek, const Dropping *d, uint64 tile)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], ENTRY_SEQ, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum((int64) (tile * TILE_WIDTH)));
	ScanKeyInit(&keys[1], ENTRY_SEQ, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum((int64) ((tile + 1) * TILE_WIDTH)));
	pgcredit_seek_begin(seek, d->tree->entry, "audit_entry_pkey", 2, keys, d->tree->snapshot);
}

/*
 * Are the tile's entries all older than the policy?  The first alone says no
 * most of the time.
 */
static bool
tile_is_old(const Dropping *d, uint64 tile)
{
	Seek		seek;
	HeapTuple	tuple;
	int			n = 0;
	bool		old = true;
	MemoryContext context = MemoryContextSwitchTo(d->scratch);

	tile_begin(&seek, d, tile);
	while (old && (tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
	{
		old = entry_is_old(d, TextDatumGetCString(pgcredit_seek_column(&seek, tuple, ENTRY_TEXT)));
		n++;
	}
	pgcredit_seek_end(&seek);
	MemoryContextSwitchTo(context);
	if (old && n != TILE_WIDTH)
		pgcredit_tree_corrupted(psprintf("Tile " UINT64_FORMAT " has %d entries.", tile, n));
	return old;
}

/*
 * Size of the newest published checkpoint, which must still be one of this log;
 * 0 when there is none, or when the log is no continuation of one known outside.
 */
static uint64
published_size(Tree *tree)
{
	uint64		size = 0;
	bool		isnull;
	Oid			types[1] = {INT4OID};
	Datum		args[1] = {Int32GetDatum(pgcredit_witness_quorum())};
	PgcreditMerkleHash signed_root = {0};
	PgcreditMerkleHash root;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args("SELECT c.size, c.root FROM credit.audit_checkpoint c"
							  " WHERE NOT EXISTS (SELECT FROM credit.audit_conflict f WHERE split_part(f.note, E'\\n', 1) ="
							  "       (SELECT o.origin FROM credit.audit_origin o ORDER BY o.since DESC LIMIT 1))"
							  "   AND ($1 = 0 OR c.size = (SELECT s.size FROM credit.audit_cosignature s"
							  "         JOIN credit.audit_witness w ON w.name = s.witness"
							  "        GROUP BY s.size HAVING count(*) >= $1 ORDER BY s.size DESC LIMIT 1))"
							  " ORDER BY c.size DESC LIMIT 1", 1, types, args, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read credit.audit_checkpoint");
	if (SPI_processed > 0)
	{
		bytea	   *stored;

		size = (uint64) DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		stored = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
		if (VARSIZE_ANY_EXHDR(stored) == sizeof(signed_root))
			memcpy(signed_root, VARDATA_ANY(stored), sizeof(signed_root));
	}
	/* the tree keeps what it reads in the context of its caller */
	SPI_finish();
	if (size == 0)
		return 0;
	if (size > tree->size)
		pgcredit_tree_corrupted("The log is shorter than its newest published checkpoint.");
	pgcredit_tree_root(tree, size, root);
	if (memcmp(signed_root, root, sizeof(root)) != 0)
		pgcredit_tree_corrupted("The root of the newest published checkpoint is not that of the log.");
	return size;
}

/*
 * Raise data_corrupted unless the tile's entries are those that the tree has.
 */
static void
check_tile(Dropping *d, uint64 tile)
{
	PgcreditMerkleHash hashes[TILE_WIDTH];
	const TreeTile *stored;
	MemoryContext old = MemoryContextSwitchTo(d->scratch);

	pgcredit_tree_entry_leaves(d->tree, tile * TILE_WIDTH, (tile + 1) * TILE_WIDTH, hashes);
	MemoryContextSwitchTo(old);
	stored = pgcredit_tree_tile(d->tree, 0, tile, TILE_WIDTH);
	if (stored == NULL || memcmp(stored->hashes, hashes, sizeof(hashes)) != 0)
		pgcredit_tree_corrupted(psprintf("The entries of tile " UINT64_FORMAT " are not those that the tree was built over.", tile));
	pgcredit_merkle_fold(hashes, TILE_HEIGHT, d->roots[d->n]);
	stored = pgcredit_tree_tile(d->tree, 1, tile / TILE_WIDTH, tile % TILE_WIDTH + 1);
	if (stored == NULL || memcmp(stored->hashes[tile % TILE_WIDTH], d->roots[d->n], sizeof(PgcreditMerkleHash)) != 0)
		pgcredit_tree_corrupted(psprintf("The root of tile " UINT64_FORMAT " is not that of its hashes.", tile));
}

/* ---------------------------------------------------------------------------
 * Dropping
 * ---------------------------------------------------------------------------
 */

static void
drop_entries(Dropping *d, uint64 tile)
{
	Seek		seek;
	HeapTuple	tuple;

	tile_begin(&seek, d, tile);
	while ((tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
		simple_table_tuple_delete(d->tree->entry, &tuple->t_self, d->tree->snapshot);
	pgcredit_seek_end(&seek);
}

/*
 * Move the tile's leaf rows to credit.audit_pruned.
 */
static void
move_leaf_rows(Dropping *d, uint64 tile)
{
	ScanKeyData keys[2];
	Seek		seek;
	HeapTuple	tuple;
	int			moved = 0;

	ScanKeyInit(&keys[0], LEAF_N, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum((int64) (tile * LEAF_ROWS_IN_TILE)));
	ScanKeyInit(&keys[1], LEAF_N, BTLessStrategyNumber, F_INT8LT, Int64GetDatum((int64) ((tile + 1) * LEAF_ROWS_IN_TILE)));
	pgcredit_seek_begin(&seek, d->tree->leaf, "audit_leaf_pkey", 2, keys, d->tree->snapshot);
	while ((tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
	{
		TupleTableSlot *slot = pgcredit_append_row(&d->pruned);

		slot->tts_values[LEAF_N - 1] = pgcredit_seek_column(&seek, tuple, LEAF_N);
		slot->tts_values[LEAF_HASHES - 1] = datumCopy(pgcredit_seek_column(&seek, tuple, LEAF_HASHES), false, -1);
		simple_table_tuple_delete(d->tree->leaf, &tuple->t_self, d->tree->snapshot);
		moved++;
	}
	pgcredit_seek_end(&seek);
	pgcredit_append_flush(&d->pruned);
	if (moved != LEAF_ROWS_IN_TILE)
		pgcredit_tree_corrupted(psprintf("Tile " UINT64_FORMAT " has %d of %d rows.", tile, moved, LEAF_ROWS_IN_TILE));
}

/*
 * PgcreditMerkleRead over the tiles that go, as if they were a log of their own.
 */
static bool
read_roots(void *arg, unsigned int height, uint64 index, PgcreditMerkleHash out)
{
	Dropping   *d = arg;
	PgcreditMerkleHash roots[TILES_AT_ONCE];
	unsigned int above = height - TILE_HEIGHT;

	if (height < TILE_HEIGHT || (index + 1) << above > d->n)
		return false;
	memcpy(roots, d->roots + (index << above), (Size) sizeof(PgcreditMerkleHash) << above);
	pgcredit_merkle_fold(roots, above, out);
	return true;
}

/*
 * The entry of the dropping, in the present transaction.
 */
static void
leave_entry(Dropping *d)
{
	PgcreditEntry entry;
	PgcreditMerkleHash root;
	char	   *me = GetUserNameFromId(GetUserId(), false);
	uint64		count = (uint64) d->n * TILE_WIDTH;
	uint64		from = d->first * TILE_WIDTH + 1;

	if (!pgcredit_merkle_root(count, read_roots, d, root))
		elog(ERROR, "could not compute the root of the dropped entries");
	pgcredit_entry_begin(&entry);
	pgcredit_json_name(&entry.prefix, "actor");
	pgcredit_json_string(&entry.prefix, me);
	pgcredit_json_name(&entry.prefix, "at");
	pgcredit_json_time(&entry.prefix, GetCurrentTimestamp());
	pgcredit_json_name(&entry.prefix, "before");
	appendStringInfoString(&entry.prefix, d->before);
	pgcredit_json_name(&entry.prefix, "checkpoint");
	appendStringInfo(&entry.prefix, UINT64_FORMAT, d->covered);
	pgcredit_json_name(&entry.prefix, "count");
	appendStringInfo(&entry.prefix, UINT64_FORMAT, count);
	pgcredit_json_name(&entry.prefix, "digest");
	pgcredit_json_string(&entry.prefix, pgcredit_base64url(root, sizeof(root)));
	pgcredit_json_name(&entry.prefix, "from");
	appendStringInfo(&entry.prefix, UINT64_FORMAT, from);
	pgcredit_json_name(&entry.prefix, "kind");
	pgcredit_json_string(&entry.prefix, "retention");
	pgcredit_json_name(&entry.prefix, "operation");
	pgcredit_json_string(&entry.prefix, "drop");
	pgcredit_entry_middle(&entry);
	pgcredit_json_name(&entry.suffix, "session_user");
	pgcredit_json_string(&entry.suffix, me);
	pgcredit_json_name(&entry.suffix, "to");
	appendStringInfo(&entry.suffix, UINT64_FORMAT, from + count - 1);
	pgcredit_entry_end(&entry);
	pgcredit_audit_write_entry(&entry);
}

/*
 * May the tile go?  What it takes to know is looked up when the first tile is
 * old enough.
 */
static bool
may_drop(Dropping *d, uint64 tile)
{
	if (tile >= (d->tree->size - 1) / TILE_WIDTH || !tile_is_old(d, tile))
		return false;
	if (d->n == 0)
		d->covered = published_size(d->tree);
	if ((tile + 1) * TILE_WIDTH > d->covered)
		return false;
	check_tile(d, tile);
	return true;
}

/*
 * Drop what may be dropped, in the present transaction and under the active
 * snapshot.
 */
static void
drop(Dropping *d)
{
	uint64		first;
	uint64		pruned;

	d->tree = pgcredit_tree_open(GetActiveSnapshot());
	first = pgcredit_tree_end(d->tree) > 0 ? pgcredit_tree_first(d->tree) : 0;
	pruned = (uint64) (pgcredit_seek_last(d->tree->pruned, "audit_pruned_pkey", d->tree->snapshot, -1) + 1) * LEAF_ROW;
	if (first > 0 && (first - 1 != pruned || pruned % TILE_WIDTH != 0))
		pgcredit_tree_corrupted(psprintf("The log begins with entry " UINT64_FORMAT ", the policy has dropped " UINT64_FORMAT ".", first, pruned));
	d->first = (first - 1) / TILE_WIDTH;
	while (first > 0 && d->n < TILES_AT_ONCE && may_drop(d, d->first + d->n))
	{
		CHECK_FOR_INTERRUPTS();
		if (d->n == 0)
		{
			/* rows go by the lock that keeps a restore out */
			LockRelationOid(RelationGetRelid(d->tree->entry), RowExclusiveLock);
			LockRelationOid(RelationGetRelid(d->tree->leaf), RowExclusiveLock);
			pgcredit_append_open(&d->pruned, "audit_pruned", LEAF_COLUMNS);
		}
		move_leaf_rows(d, d->first + d->n);
		drop_entries(d, d->first + d->n);
		MemoryContextReset(d->scratch);
		d->n++;
	}
	if (d->n > 0)
	{
		pgcredit_append_close(&d->pruned);
		pgcredit_history_drop((int64) ((d->first + d->n) * TILE_WIDTH));
		leave_entry(d);
	}
	pgcredit_tree_close(d->tree);
}

/*
 * One step of the policy, in a transaction of its own; the caller is in none.
 * Returns whether there may be more to drop at once.
 */
bool
pgcredit_retention_step(void)
{
	Dropping	d;
	StringInfoData before;

	if (retention_s == 0)
		return false;
	memset(&d, 0, sizeof(d));
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	initStringInfo(&before);
	pgcredit_json_time(&before, GetCurrentTimestamp() - retention_s * USECS_PER_SEC);
	strlcpy(d.before, before.data, sizeof(d.before));
	d.scratch = AllocSetContextCreate(CurrentMemoryContext, "pgcredit retention", ALLOCSET_DEFAULT_SIZES);
	drop(&d);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return d.n == TILES_AT_ONCE;
}
