/*
 * writer.c
 *		The one process of a database that writes the log.
 *
 * It alone assigns sequence numbers, so no reader ever waits for a lock on the
 * end of the log.  Each turn is one transaction: the entries taken from the
 * ring and the rows that committed transactions left in the outbox go into
 * credit.audit_entry; when the commit record is flushed (and replicated, where
 * synchronous replication is on) the readers in the batch are answered.  While
 * one batch is flushed the next gathers in the ring.
 *
 * It reaches its tables by the table access method, never by SQL: it runs as
 * the bootstrap superuser, and nothing that a user can attach to a table
 * (trigger, rule, policy) may run with it.
 *
 * An error fails the batch: its readers are told and show nothing, the writer
 * goes on with the next.  Sequence numbers of a failed batch are used again.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "audit/audit_internal.h"
#include "core/core.h"
#include "crypto/crypto.h"

#define BATCH_BYTES (512 * 1024)
#define INSERT_AT_ONCE 64
#define OUTBOX_AT_ONCE 1000
/* Rows of prepared transactions come without a wake-up. */
#define OUTBOX_LOOK_MS 1000L

/* Columns of credit.audit_entry and credit.audit_outbox */
enum
{
	ENTRY_SEQ, ENTRY_HASH, ENTRY_ENTRY, ENTRY_NATTS
};
enum
{
	OUTBOX_ID, OUTBOX_PREFIX, OUTBOX_SUFFIX, OUTBOX_NATTS
};

typedef struct OutboxRow
{
	int64		id;
	ItemPointerData tid;
	char	   *prefix;
	char	   *suffix;
} OutboxRow;

/*
 * How long to gather before a flush.  Readers answered by the last batch come
 * back within their turnaround; a flush that leaves without them makes them
 * wait for two.  So the writer waits until as many wait as took part before,
 * but no longer than half a flush, and not at all for a while when that did
 * not help because turnaround is longer than a flush.
 */
typedef struct Gathering
{
	int			expected;		/* readers of the last batch, and who waited then */
	TimestampTz answered;		/* when the last batch was answered */
	int64		flush_us;		/* of a batch, running mean */
	int			misses;			/* in a row */
	int			skip;			/* batches yet to do without gathering */
} Gathering;

#define GATHER_MISSES 4
#define GATHER_SKIP 50
#define GATHER_NAP_US 40L

typedef struct Log
{
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *rri;
	TupleTableSlot *slots[INSERT_AT_ONCE];
	int			n_filled;
	char		recorded[64];	/* this batch's "recorded", with quotes */
	int64		entries;
	int64		bytes;
} Log;

static int	my_slot = -1;
static Gathering gathering;
static uint64 next_seq = 0;
static bool seq_known = false;	/* else read it from the table first */
static Oid	seq_relid = InvalidOid; /* the table next_seq was read from */

/* The batch whose readers are not answered yet; for the exit callback. */
static char *batch = NULL;
static int	batch_items = 0;

static QueueItem *
next_item(QueueItem *item)
{
	return (QueueItem *) ((char *) item + item->size);
}

/*
 * Answer every reader of the batch: entry numbers from first_seq on, or why
 * there are none.
 */
static void
answer_batch(uint64 first_seq, int sqlstate)
{
	QueueItem  *item = (QueueItem *) batch;

	for (int k = 0; k < batch_items; k++, item = next_item(item))
		pgcredit_queue_answer(item, first_seq + k, sqlstate);
	batch_items = 0;
}

/*
 * A restore has put other entries into the log, see restore.c.  This comes at
 * any time, also for other reasons (ANALYZE) and in the middle of a batch, whose
 * numbers go on: its lock on the table keeps a restore out.
 */
static void
log_changed(Datum arg, Oid relid)
{
	if (relid == seq_relid || !OidIsValid(relid))
		seq_known = false;
}

static void
writer_gone(int code, Datum arg)
{
	answer_batch(0, ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE);
	if (my_slot >= 0)
		pgcredit_queue_release(my_slot, false);
}

/*
 * The number after the last one in the table.  The caller has locked it; the
 * snapshot is newer than the lock, which may have waited for a restore.
 */
static uint64
read_next_seq(void)
{
	bool		isnull;
	Datum		last;

	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute("SELECT pg_catalog.max(seq) FROM credit.audit_entry", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the end of the log");
	last = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_finish();
	PopActiveSnapshot();
	return isnull ? 1 : (uint64) DatumGetInt64(last) + 1;
}

static void
log_open(Log *log)
{
	Oid			relid = pgcredit_relation_oid("audit_entry", false);
	StringInfoData now;

	memset(log, 0, sizeof(Log));
	log->rel = table_open(relid, RowExclusiveLock); /* also learns of a restore */
	if (!seq_known || relid != seq_relid)
	{
		seq_known = true;
		next_seq = read_next_seq();
		seq_relid = relid;
	}
	log->estate = CreateExecutorState();
	log->rri = makeNode(ResultRelInfo);
	InitResultRelInfo(log->rri, log->rel, 0, NULL, 0);
	ExecOpenIndices(log->rri, false);
	initStringInfo(&now);
	pgcredit_json_time(&now, GetCurrentTimestamp());
	strlcpy(log->recorded, now.data, sizeof(log->recorded));
}

static void
log_flush(Log *log)
{
	if (log->n_filled == 0)
		return;
	table_multi_insert(log->rel, log->slots, log->n_filled,
					   GetCurrentCommandId(true), 0, NULL);
	for (int k = 0; k < log->n_filled; k++)
	{
		pgcredit_insert_index_entries(log->rri, log->slots[k], log->estate);
		ExecClearTuple(log->slots[k]);
	}
	ResetPerTupleExprContext(log->estate);
	log->n_filled = 0;
}

/*
 * Put one entry at the end of the log.
 */
static void
log_append(Log *log, const char *prefix, int prefix_len,
		   const char *suffix, int suffix_len)
{
	StringInfoData entry;
	uint8		hash[PGCREDIT_HASH_BYTES];
	bytea	   *hash_datum = palloc(VARHDRSZ + PGCREDIT_HASH_BYTES);
	TupleTableSlot *slot;

	initStringInfo(&entry);
	appendBinaryStringInfo(&entry, prefix, prefix_len);
	appendStringInfo(&entry, "\"recorded\":%s,\"seq\":" UINT64_FORMAT,
					 log->recorded, next_seq);
	appendBinaryStringInfo(&entry, suffix, suffix_len);
	pgcredit_sha256(entry.data, entry.len, hash);
	SET_VARSIZE(hash_datum, VARHDRSZ + PGCREDIT_HASH_BYTES);
	memcpy(VARDATA(hash_datum), hash, PGCREDIT_HASH_BYTES);

	if (log->slots[log->n_filled] == NULL)
		log->slots[log->n_filled] = table_slot_create(log->rel, NULL);
	slot = log->slots[log->n_filled++];
	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, slot->tts_tupleDescriptor->natts * sizeof(bool));
	slot->tts_values[ENTRY_SEQ] = Int64GetDatum((int64) next_seq);
	slot->tts_values[ENTRY_HASH] = PointerGetDatum(hash_datum);
	slot->tts_values[ENTRY_ENTRY] =
		PointerGetDatum(cstring_to_text_with_len(entry.data, entry.len));
	ExecStoreVirtualTuple(slot);
	next_seq++;
	log->entries++;
	log->bytes += entry.len;
	if (log->n_filled == INSERT_AT_ONCE)
		log_flush(log);
}

static void
log_close(Log *log)
{
	log_flush(log);
	for (int k = 0; k < INSERT_AT_ONCE && log->slots[k]; k++)
		ExecDropSingleTupleTableSlot(log->slots[k]);
	ExecCloseIndices(log->rri);
	FreeExecutorState(log->estate);
	table_close(log->rel, RowExclusiveLock);
}

static int
by_id(const void *a, const void *b)
{
	int64		x = ((const OutboxRow *) a)->id;
	int64		y = ((const OutboxRow *) b)->id;

	return x < y ? -1 : x > y;
}

/*
 * Move the rows that committed transactions left in the outbox to the end of
 * the log, at most OUTBOX_AT_ONCE.  Returns whether some may be left.
 */
static bool
drain_outbox(Log *log)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_outbox", false),
								 RowExclusiveLock);
	TupleDesc	desc = RelationGetDescr(rel);
	OutboxRow  *rows = palloc(OUTBOX_AT_ONCE * sizeof(OutboxRow));
	int			n = 0;
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);

	while (n < OUTBOX_AT_ONCE && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		OutboxRow  *row = &rows[n++];

		slot_getallattrs(slot);
		if (desc->natts != OUTBOX_NATTS)
			elog(ERROR, "unexpected columns in credit.audit_outbox");
		row->id = DatumGetInt64(slot->tts_values[OUTBOX_ID]);
		row->prefix = TextDatumGetCString(slot->tts_values[OUTBOX_PREFIX]);
		row->suffix = TextDatumGetCString(slot->tts_values[OUTBOX_SUFFIX]);
		row->tid = slot->tts_tid;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);

	qsort(rows, n, sizeof(OutboxRow), by_id);
	for (int k = 0; k < n; k++)
	{
		log_append(log, rows[k].prefix, strlen(rows[k].prefix),
				   rows[k].suffix, strlen(rows[k].suffix));
		simple_table_tuple_delete(rel, &rows[k].tid, GetActiveSnapshot());
	}
	table_close(rel, RowExclusiveLock);
	return n == OUTBOX_AT_ONCE;
}

/*
 * Write the batch and the outbox in one transaction; when this returns, they
 * are durable.  Returns whether the outbox may hold more.
 */
static bool
write_batch(bool outbox, volatile uint64 *first_seq)
{
	QueueItem  *item = (QueueItem *) batch;
	bool		more = false;
	Log			log;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	log_open(&log);
	/* A write that committed before an access was asked for comes before it. */
	if (outbox)
		more = drain_outbox(&log);
	*first_seq = next_seq;
	for (int k = 0; k < batch_items; k++, item = next_item(item))
		log_append(&log, QUEUE_ITEM_PREFIX(item), item->prefix_len,
				   QUEUE_ITEM_SUFFIX(item), item->suffix_len);
	log_close(&log);
	PopActiveSnapshot();
	CommitTransactionCommand();
	/* A commit that was told to go while it waited for a standby is not one. */
	CHECK_FOR_INTERRUPTS();
	pgcredit_queue_count(my_slot, log.entries, log.bytes);
	return more;
}

/*
 * write_batch, with an error turned into an answer to the readers.
 */
static bool
try_write_batch(bool outbox)
{
	MemoryContext context = CurrentMemoryContext;
	volatile uint64 first_seq = 0;
	volatile bool more = false;
	volatile int sqlstate = 0;

	PG_TRY();
	{
		more = write_batch(outbox, &first_seq);
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		sqlstate = geterrcode();
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		seq_known = false;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	answer_batch(first_seq, sqlstate);
	return more;
}

/*
 * Note how long the batch took and who may come next.
 */
static void
batch_answered(int n_items, TimestampTz started)
{
	TimestampTz now = GetCurrentTimestamp();

	if (n_items == 0)
		return;
	gathering.flush_us = (gathering.flush_us * 7 + (now - started)) / 8;
	gathering.answered = now;
	gathering.expected = n_items + pgcredit_queue_pending(my_slot);
}

/*
 * Wait a little for the readers that are expected, see Gathering.
 */
static void
gather(void)
{
	TimestampTz until = gathering.answered + Min(gathering.flush_us / 2, 2000);
	bool		complete;

	if (gathering.skip > 0)
	{
		gathering.skip--;
		return;
	}
	for (;;)
	{
		int			pending = pgcredit_queue_pending(my_slot);

		complete = pending >= gathering.expected;
		if (pending == 0 || complete || GetCurrentTimestamp() >= until)
			break;
		pg_usleep(GATHER_NAP_US);
		CHECK_FOR_INTERRUPTS();
	}
	gathering.misses = complete ? 0 : gathering.misses + 1;
	if (gathering.misses >= GATHER_MISSES)
	{
		gathering.misses = 0;
		gathering.skip = GATHER_SKIP;
	}
}

/*
 * The promises hold whatever the configuration, the database or ALTER ROLE
 * say: commits are flushed, and replicated where that is set up; transactions
 * may write; a table locked by somebody makes a batch fail, not hang.
 */
static void
pin_settings(void)
{
	/* Also when it is as wanted now: a reload must not weaken it later. */
	SetConfigOption("synchronous_commit",
					synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_APPLY ? "remote_apply" : "on",
					PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "1s", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
}

static bool
extension_is_here(void)
{
	bool		here;

	StartTransactionCommand();
	here = pgcredit_extension_installed();
	CommitTransactionCommand();
	return here;
}

static void
writer_loop(void)
{
	MemoryContext turn = AllocSetContextCreate(TopMemoryContext, "pgcredit writer",
											   ALLOCSET_DEFAULT_SIZES);
	TimestampTz next_look = 0;
	bool		more = false;

	for (;;)
	{
		TimestampTz now;
		bool		outbox;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		switch (pgcredit_queue_summons(my_slot))
		{
			case SUMMONS_LEAVE:
				return;
			case SUMMONS_RECHECK:
				if (!extension_is_here())
				{
					pgcredit_queue_release(my_slot, true);
					my_slot = -1;
					return;
				}
				break;
			case SUMMONS_NONE:
				break;
		}
		MemoryContextReset(turn);
		MemoryContextSwitchTo(turn);
		now = GetCurrentTimestamp();
		outbox = pgcredit_queue_take_outbox_flag(my_slot) || more || now >= next_look;
		if (outbox)
			next_look = TimestampTzPlusMilliseconds(now, OUTBOX_LOOK_MS);
		gather();
		(void) pgcredit_queue_take(my_slot, batch, BATCH_BYTES, &batch_items);
		if (batch_items > 0 || outbox)
		{
			int			n_items = batch_items;

			now = GetCurrentTimestamp();
			more = try_write_batch(outbox);
			batch_answered(n_items, now);
			pgstat_report_stat(false);
			continue;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 OUTBOX_LOOK_MS, PG_WAIT_EXTENSION);
	}
}

/*
 * lock_timeout cancels by SIGINT to oneself.  A cancel that comes from anybody
 * else is ignored: it would end a wait for a standby unnoticed.
 */
static void
cancel_if_lock_timeout(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (get_timeout_indicator(LOCK_TIMEOUT, false))
	{
		InterruptPending = true;
		QueryCancelPending = true;
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

void
pgcredit_writer_main(Datum arg)
{
	Oid			dbid = DatumGetObjectId(arg);

	/*
	 * SIGTERM may end a wait for a standby, which then does not count as
	 * durable.
	 */
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, cancel_if_lock_timeout);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(dbid, InvalidOid, 0);
	if (!extension_is_here())
	{
		pgcredit_queue_forget(dbid);
		proc_exit(0);
	}
	my_slot = pgcredit_queue_claim(dbid);
	if (my_slot < 0)
		proc_exit(0);
	batch = MemoryContextAlloc(TopMemoryContext, BATCH_BYTES);
	before_shmem_exit(writer_gone, (Datum) 0);
	CacheRegisterRelcacheCallback(log_changed, (Datum) 0);
	pin_settings();
	pgstat_report_activity(STATE_IDLE, NULL);
	writer_loop();
	proc_exit(0);
}
