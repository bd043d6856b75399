/*
 * record.c
 *		The immediate lane as a backend sees it: put the entries into the ring,
 *		wait until they are durable, or refuse.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "audit/audit_internal.h"
#include "audit/list.h"
#include "audit/notary.h"
#include "audit/retention.h"
#include "audit/stat.h"
#include "core/core.h"
#include "crypto/crypto.h"

static int	audit_timeout_ms = 5000;
static TimestampTz deadline;	/* of the entries begun last */
static int	refusals_if[PGCREDIT_COUNTED_MOST]; /* what they are counted under if no use is left */

/*
 * Settings, callbacks, hooks and the launcher of the room.
 */
void
pgcredit_audit_init(void)
{
	DefineCustomIntVariable("pgcredit.audit_timeout",
							"Longest time to wait until the entry of an access is durable.",
							"An access whose entry is not durable by then is refused.",
							&audit_timeout_ms, 5000, 1, 600000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	pgcredit_witness_init();
	pgcredit_notary_init();
	pgcredit_retention_init();
	pgcredit_audit_transaction_init();
	if (!process_shared_preload_libraries_in_progress)
		return;
	pgcredit_queue_init();
	if (IsBinaryUpgrade)
		return;
	pgcredit_audit_hooks_init();
	pgcredit_launcher_register();
}

int
pgcredit_audit_timeout(void)
{
	return audit_timeout_ms;
}

static void
wait_a_moment(long most_ms, AuditWait wait)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 Max(1L, Min(left, most_ms)), pgcredit_audit_wait(wait));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static void
refuse(int sqlstate)
{
	pgcredit_stat_refused(sqlstate == ERRCODE_PGCREDIT_AUDIT_TIMEOUT || sqlstate == ERRCODE_PGCREDIT_AUDIT_QUEUE_FULL ?
						  sqlstate : ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE);
	if (sqlstate == ERRCODE_PGCREDIT_AUDIT_TIMEOUT)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("the entry of this access did not become durable in time"),
				 errdetail("Nothing is shown; the entry may still appear in the log."),
				 errhint("See the server log, or raise pgcredit.audit_timeout (now %d ms).",
						 audit_timeout_ms)));
	if (sqlstate == ERRCODE_PGCREDIT_AUDIT_QUEUE_FULL)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("the queue of the audit writer is full"),
				 errhint("Try again, or raise pgcredit.audit_queue_size.")));
	if (sqlstate == ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("the audit writer of this database is not running"),
				 errdetail("An access that cannot be recorded is refused."),
				 errhint("See the server log; max_worker_processes and pgcredit.max_databases limit the number of writers.")));
	/* The caller branches on its own SQLSTATE, not on the writer's. */
	ereport(ERROR,
			(errcode(ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE),
			 errmsg("the entry of this access could not be written"),
			 errdetail("The audit writer failed with SQLSTATE %s. An access that cannot be recorded is refused.",
					   unpack_sql_state(sqlstate)),
			 errhint("See the server log for the writer's error.")));
}

static void
check_can_record(PgcreditEntry *entries, int n)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot record an access on a standby"),
				 errhint("Open the access on the primary.")));
	if (!pgcredit_audit_preloaded())
		pgcredit_require_preloaded("recording an access");
	/* A log that cannot be signed can be bent: no read without the key. */
	if (!pgcredit_key_loaded())
	{
		pgcredit_stat_refused(ERRCODE_PGCREDIT_KEY_UNAVAILABLE);
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_KEY_UNAVAILABLE),
				 errmsg("no key is loaded, so the log cannot be signed"),
				 errdetail("An access that cannot be recorded is refused."),
				 errhint("Set pgcredit.key_file or pgcredit.key_command and restart the server.")));
	}
	for (int k = 0; k < n; k++)
		pgcredit_entry_check_size(&entries[k]);
}

/*
 * An item as it goes through the ring: an entry that takes uses stands in what
 * pgcredit_entry_takes made.
 */
static int
put_one(QueueKind kind, const PgcreditEntry *item, int place, uint64 ticket)
{
	PgcreditEntry counted;

	if (kind != QUEUE_ENTRY || item->uses == NULL)
		return pgcredit_queue_put(kind, item, place, ticket);
	memset(&counted, 0, sizeof(counted));
	counted.prefix.data = (char *) item->uses;
	counted.prefix.len = item->uses->size;
	return pgcredit_queue_put(QUEUE_COUNTED, &counted, place, ticket);
}

/*
 * Put n items into the ring, waiting for room.  A list may have any number of
 * rows and only few of them may be in the ring, so each has its own time.
 */
static void
put_items(QueueKind kind, const PgcreditEntry *items, int n)
{
	uint64		ticket;
	int			put = 0;

	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), audit_timeout_ms);
	ticket = pgcredit_waiter_begin(n);
	while (put < n)
	{
		int			sqlstate = put_one(kind, &items[put], put, ticket);
		int			failed;
		uint64		seq;

		/* where one could not be written the others are for nothing */
		(void) pgcredit_waiter_outstanding(&failed, &seq);
		if (failed != 0)
			refuse(failed);
		if (sqlstate == 0)
		{
			put++;
			if (kind == QUEUE_LIST_ROW)
				deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), audit_timeout_ms);
			continue;
		}
		if (GetCurrentTimestamp() >= deadline)
			refuse(sqlstate);
		if (sqlstate == ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE)
		{
			pgcredit_queue_request_writer(MyDatabaseId);
			wait_a_moment(20L, AUDIT_WAIT_WRITER);
		}
		else
			wait_a_moment(1L, AUDIT_WAIT_ROOM);
	}
}

/*
 * Wait for the answers to all items put last; returns the lowest sequence number
 * among them.
 */
static uint64
await_answers(void)
{
	uint64		seq;
	int			sqlstate;

	while (pgcredit_waiter_outstanding(&sqlstate, &seq) > 0)
	{
		if (sqlstate != 0)
			break;
		if (GetCurrentTimestamp() >= deadline)
			refuse(ERRCODE_PGCREDIT_AUDIT_TIMEOUT);
		wait_a_moment(1000L, AUDIT_WAIT_DURABLE);
	}
	if (sqlstate != 0)
		refuse(sqlstate);
	return seq;
}

/*
 * Hand n entries to the writer; pgcredit_audit_finish waits for them.  What the
 * backend does in between overlaps with the flush, and must not reach a client.
 * Entries that were begun are recorded even if they are not waited for.
 */
void
pgcredit_audit_begin(PgcreditEntry *entries, int n)
{
	check_can_record(entries, n);
	pgcredit_stat_begin(entries, n);
	for (int k = 0; k < Min(n, PGCREDIT_COUNTED_MOST); k++)
		refusals_if[k] = entries[k].uses ? entries[k].uses->refusal : 0;
	put_items(QUEUE_ENTRY, entries, n);
}

/*
 * Return when rows of credit.audit_list are durable.  An entry that names a list
 * is begun after that, so none is in the log that lacks a row.
 */
void
pgcredit_audit_put_rows(const ListRow *rows, const StringInfoData *elements, int n)
{
	PgcreditEntry *items = palloc0(n * sizeof(PgcreditEntry));

	check_can_record(NULL, 0);
	for (int k = 0; k < n; k++)
	{
		items[k].prefix.data = (char *) &rows[k];
		items[k].prefix.len = sizeof(ListRow);
		items[k].suffix = elements[k];
	}
	put_items(QUEUE_LIST_ROW, items, n);
	(void) await_answers();
	pfree(items);
}

/*
 * Return when all entries begun last are durable, with the sequence number of
 * the first; raise when that cannot be had within pgcredit.audit_timeout, and
 * then show nothing.  The entries survive whatever becomes of the calling
 * transaction (P1).
 *
 * Who began entries that take uses must ask which were refused, bit k for the
 * k-th entry: of these the refusal was written and nothing may be shown.
 */
uint64
pgcredit_audit_finish(uint64 *refused)
{
	uint64		seq = await_answers();
	uint64		none_left = pgcredit_waiter_refused();

	for (int k = 0; k < PGCREDIT_COUNTED_MOST && none_left >> k != 0; k++)
		if ((none_left >> k) & 1)
			pgcredit_stat_also_refused(refusals_if[k]);
	if (refused)
		*refused = none_left;
	pgcredit_stat_answered();
	return seq;
}

/*
 * Hand entries to the writer without waiting for room or for the flush, and
 * without raising: for who is in no state to do either, as in the end of a
 * transaction that failed.  Returns how many it took, from the first on.
 */
int
pgcredit_audit_offer(const PgcreditEntry *entries, int n)
{
	uint64		ticket;
	int			put = 0;

	if (!pgcredit_audit_preloaded() || RecoveryInProgress())
		return 0;
	ticket = pgcredit_waiter_begin(n);
	Assert(n == 0 || entries[0].uses == NULL);
	while (put < n && pgcredit_queue_put(QUEUE_ENTRY, &entries[put], put, ticket) == 0)
		put++;
	return put;
}
