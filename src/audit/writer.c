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

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit/audit_internal.h"
#include "audit/drain.h"
#include "audit/list.h"
#include "audit/log.h"
#include "audit/notary.h"
#include "audit/stat.h"
#include "audit/worker.h"
#include "core/core.h"
#include "crypto/crypto.h"

#define BATCH_BYTES (512 * 1024)
/* Looked at without a wake-up as well: one is lost with a process that dies after its commit. */
#define OUTBOX_LOOK_MS 1000L
/* All of it at least this often, however busy its end is. */
#define OUTBOX_WHOLE_MS 10000L
/* Rows of the outbox, which nobody waits for, gather for so long. */
#define OUTBOX_GATHER_MS 100L

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

/* When to look at the outbox */
typedef struct OutboxClock
{
	TimestampTz turn;			/* not before, unless a reader waits */
	TimestampTz look;			/* also without being told */
	TimestampTz whole;			/* at all of it */
} OutboxClock;

typedef enum OutboxLook
{
	OUTBOX_NO_LOOK, OUTBOX_LOOK, OUTBOX_LOOK_WHOLE
} OutboxLook;

static int	my_slot = -1;
static Gathering gathering;
static const char *life = "start";	/* the writer's own entry that is due, or NULL */
static bool started = false;	/* that of the start is written */
static char *settings = NULL;	/* in force when it last was, in TopMemoryContext */

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
	{
		if (item->kind != QUEUE_LIST_ROW)
			pgcredit_queue_answer(item, first_seq++, sqlstate);
		else
			pgcredit_queue_answer(item, 0, sqlstate);
	}
	batch_items = 0;
}

static void
writer_gone(int code, Datum arg)
{
	answer_batch(0, ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE);
	if (my_slot >= 0)
		pgcredit_queue_release(my_slot, false);
}

/*
 * An entry of the writer's own: that it starts or stops, so that a time in
 * which nothing could be recorded shows in the log, or that settings changed by
 * a reload.  A start without a stop before it tells of a crash.
 */
static void
append_life(Log *log, const char *operation)
{
	PgcreditEntry entry;
	char	   *me = GetUserNameFromId(GetUserId(), false);

	pgcredit_entry_begin(&entry);
	pgcredit_json_name(&entry.prefix, "actor");
	pgcredit_json_string(&entry.prefix, me);
	pgcredit_json_name(&entry.prefix, "at");
	pgcredit_json_time(&entry.prefix, GetCurrentTimestamp());
	pgcredit_json_name(&entry.prefix, "kind");
	pgcredit_json_string(&entry.prefix, "writer");
	pgcredit_json_name(&entry.prefix, "library");
	pgcredit_json_string(&entry.prefix, PGCREDIT_VERSION);
	pgcredit_json_name(&entry.prefix, "operation");
	pgcredit_json_string(&entry.prefix, operation);
	pgcredit_entry_middle(&entry);
	pgcredit_json_name(&entry.suffix, "session_user");
	pgcredit_json_string(&entry.suffix, me);
	pgcredit_json_name(&entry.suffix, "settings");
	appendStringInfoString(&entry.suffix, settings);
	pgcredit_entry_end(&entry);
	pgcredit_log_append(log, entry.prefix.data, entry.prefix.len, entry.suffix.data, entry.suffix.len);
}

/*
 * The rows of lists in the batch.
 */
static void
write_list_rows(void)
{
	QueueItem  *item = (QueueItem *) batch;
	Appender	rows;
	bool		open = false;

	for (int k = 0; k < batch_items; k++, item = next_item(item))
	{
		TupleTableSlot *slot;
		ListRow    *row = (ListRow *) QUEUE_ITEM_PREFIX(item);

		if (item->kind != QUEUE_LIST_ROW)
			continue;
		if (!open)
			pgcredit_append_open(&rows, "audit_list", LIST_COLUMNS);
		open = true;
		slot = pgcredit_append_row(&rows);
		slot->tts_values[LIST_LIST - 1] = UUIDPGetDatum(&row->list);
		slot->tts_values[LIST_FIRST - 1] = UUIDPGetDatum(&row->first);
		slot->tts_values[LIST_MADE - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
		slot->tts_values[LIST_ELEMENTS - 1] =
			PointerGetDatum(cstring_to_text_with_len(QUEUE_ITEM_SUFFIX(item), item->suffix_len));
	}
	if (open)
		pgcredit_append_close(&rows);
}

/*
 * An entry that takes uses of consents: whether they are left is decided here, in
 * its own transaction and by the one process that takes any, so a consent is used
 * exactly as often as it may be (P2).  If not, the refusal is written in its place.
 */
static void
write_counted(Log *log, UseBatch *batch_uses, QueueItem *item)
{
	const PgcreditUses *uses = (const PgcreditUses *) QUEUE_ITEM_PREFIX(item);
	const char *at = (const char *) &uses->uses[uses->n];

	if (pgcredit_uses_take(batch_uses, uses, pgcredit_log_next_seq()))
		pgcredit_log_append(log, at, uses->prefix_len, at + uses->prefix_len, uses->suffix_len);
	else
	{
		item->refused = true;
		at += uses->prefix_len + uses->suffix_len;
		pgcredit_log_append(log, at, uses->otherwise_prefix_len,
							at + uses->otherwise_prefix_len, uses->otherwise_suffix_len);
	}
}

/*
 * Write the batch and the outbox in one transaction; when this returns, they
 * are durable.  Returns whether the outbox may hold more.  An "own"
 * entry of the writer, as start or stop, goes before all.
 */
static bool
write_batch(const char *own, OutboxLook outbox, volatile uint64 *first_seq)
{
	QueueItem  *item = (QueueItem *) batch;
	bool		more = false;
	UseBatch   *uses = NULL;
	Log			log;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgcredit_log_open(&log);
	if (own)
		append_life(&log, own);
	/* A write that committed before an access was asked for comes before it. */
	if (outbox != OUTBOX_NO_LOOK)
		more = pgcredit_drain_outbox(&log, my_slot, outbox == OUTBOX_LOOK_WHOLE);
	*first_seq = pgcredit_log_next_seq();
	for (int k = 0; k < batch_items; k++, item = next_item(item))
	{
		if (item->kind == QUEUE_ENTRY)
			pgcredit_log_append(&log, QUEUE_ITEM_PREFIX(item), item->prefix_len,
					   QUEUE_ITEM_SUFFIX(item), item->suffix_len);
		else if (item->kind == QUEUE_COUNTED)
		{
			if (uses == NULL)
				uses = pgcredit_uses_open();
			write_counted(&log, uses, item);
		}
	}
	if (uses)
		pgcredit_uses_close(uses);
	write_list_rows();
	pgcredit_queue_set_end(my_slot, pgcredit_log_next_seq() - 1);
	pgcredit_log_close(&log);
	PopActiveSnapshot();
	CommitTransactionCommand();
	/* A commit that was told to go while it waited for a standby is not one. */
	CHECK_FOR_INTERRUPTS();
	pgcredit_queue_count(my_slot, log.n_entries, log.n_bytes);
	return more;
}

/*
 * write_batch, with an error turned into an answer to the readers.  Returns
 * whether it was written.
 */
static bool
try_write_batch(const char *own, OutboxLook outbox, bool *more_left)
{
	MemoryContext context = CurrentMemoryContext;
	volatile uint64 first_seq = 0;
	volatile bool more = false;
	volatile bool written = false;
	volatile int sqlstate = 0;

	PG_TRY();
	{
		pgcredit_worker_busy = true;
		more = write_batch(own, outbox, &first_seq);
		written = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		sqlstate = geterrcode();
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		pgcredit_log_forget();
		pgcredit_drain_forget();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	pgcredit_worker_busy = false;
	MemoryContextSwitchTo(context);
	answer_batch(first_seq, sqlstate);
	if (more_left)
		*more_left = more;
	return written;
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

static bool
extension_is_here(void)
{
	bool		here;

	StartTransactionCommand();
	here = pgcredit_extension_installed();
	CommitTransactionCommand();
	return here;
}

/*
 * After a reload: leave an entry if one of our settings is another now.
 */
static void
look_at_settings(void)
{
	char	   *now = pgcredit_configuration_settings();

	if (settings != NULL && strcmp(settings, now) == 0)
		return;
	if (settings != NULL)
	{
		pfree(settings);
		if (life == NULL)
			life = "reload";
	}
	settings = MemoryContextStrdup(TopMemoryContext, now);
}

/*
 * Is the outbox to be looked at now?  To be asked after the batch was taken from the
 * ring: a write that committed before one of the batch was put in is then seen.
 */
static OutboxLook
outbox_due(OutboxClock *clock, bool more)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		due = more;
	bool		whole;

	if (batch_items > 0 || now >= clock->turn)
		due |= pgcredit_queue_take_outbox_flag(my_slot);
	whole = now >= clock->look || (due && now >= clock->whole);
	if (!due && !whole)
		return OUTBOX_NO_LOOK;
	clock->turn = TimestampTzPlusMilliseconds(now, OUTBOX_GATHER_MS);
	clock->look = TimestampTzPlusMilliseconds(now, OUTBOX_LOOK_MS);
	if (whole)
		clock->whole = TimestampTzPlusMilliseconds(now, OUTBOX_WHOLE_MS);
	return whole ? OUTBOX_LOOK_WHOLE : OUTBOX_LOOK;
}

static void
writer_loop(void)
{
	MemoryContext turn = AllocSetContextCreate(TopMemoryContext, "pgcredit writer",
											   ALLOCSET_DEFAULT_SIZES);
	OutboxClock clock = {0};
	bool		more = false;

	for (;;)
	{
		TimestampTz now;
		OutboxLook	outbox;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ShutdownRequestPending)
			return;
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			look_at_settings();
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
		pgcredit_notary_ensure(my_slot);
		pgcredit_worker_companion();
		gather();
		(void) pgcredit_queue_take(my_slot, batch, BATCH_BYTES, &batch_items);
		outbox = outbox_due(&clock, more);
		now = GetCurrentTimestamp();
		if (batch_items > 0 || outbox != OUTBOX_NO_LOOK || life)
		{
			int			n_items = batch_items;

			if (try_write_batch(life, outbox, &more))
			{
				started = true;
				life = NULL;
			}
			batch_answered(n_items, now);
			pgstat_report_stat(false);
			continue;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 now < clock.turn ? TimestampDifferenceMilliseconds(now, clock.turn) + 1 : OUTBOX_LOOK_MS,
						 pgcredit_audit_wait(AUDIT_WAIT_WRITER_IDLE));
	}
}

/*
 * The entry of an orderly stop.
 */
static void
leave(void)
{
	if (started && my_slot >= 0)
		(void) try_write_batch("stop", OUTBOX_NO_LOOK, NULL);
}

void
pgcredit_writer_main(Datum arg)
{
	Oid			dbid = DatumGetObjectId(arg);

	pgcredit_worker_connect(dbid);
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
	pgcredit_log_watch();
	pgstat_report_activity(STATE_IDLE, NULL);
	look_at_settings();
	writer_loop();
	leave();
	proc_exit(0);
}
