/*
 * stat.c
 *		Watching the log: counts of each database in shared memory, the functions
 *		behind credit.stat_audit and its sisters, names of waits.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "portability/instr_time.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "audit/audit_internal.h"
#include "audit/shared.h"
#include "audit/stat.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_stat_audit);
PG_FUNCTION_INFO_V1(pgcredit_stat_audit_refusals);
PG_FUNCTION_INFO_V1(pgcredit_stat_audit_reset);

#define MINUTE 60

static const int failure_sqlstates[FAILURE_KINDS] = {
	[FAILURE_UNAVAILABLE] = ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE,
	[FAILURE_TIMEOUT] = ERRCODE_PGCREDIT_AUDIT_TIMEOUT,
	[FAILURE_QUEUE_FULL] = ERRCODE_PGCREDIT_AUDIT_QUEUE_FULL,
	[FAILURE_OTHER] = 0
};

static const char *refusal_codes[PGCREDIT_REFUSAL_KINDS];

/* The request that this backend began last. */
static instr_time begun_at;
static uint32 begun_refusals[PGCREDIT_REFUSAL_KINDS];
static bool any_refusal = false;

/*
 * What a room above calls its reasons to refuse; PgcreditEntry.refusal is an
 * index into these.  0 is no refusal.  The strings must stay.
 */
void
pgcredit_audit_name_refusal(int refusal, const char *code)
{
	if (refusal <= 0 || refusal >= PGCREDIT_REFUSAL_KINDS)
		elog(ERROR, "no place for refusal %d", refusal);
	refusal_codes[refusal] = code;
}

uint32
pgcredit_audit_wait(AuditWait wait)
{
	static const char *const names[AUDIT_WAITS] = {
		[AUDIT_WAIT_DURABLE] = "PgcreditAuditDurable",
		[AUDIT_WAIT_ROOM] = "PgcreditAuditRoom",
		[AUDIT_WAIT_WRITER] = "PgcreditAuditWriter",
		[AUDIT_WAIT_CHECKPOINT] = "PgcreditCheckpoint",
		[AUDIT_WAIT_LEAVE] = "PgcreditWriterLeave",
		[AUDIT_WAIT_WRITER_IDLE] = "PgcreditWriterIdle",
		[AUDIT_WAIT_NOTARY_IDLE] = "PgcreditNotaryIdle",
		[AUDIT_WAIT_LAUNCHER_IDLE] = "PgcreditLauncherIdle",
		[AUDIT_WAIT_VERIFY] = "PgcreditVerify"
	};
	static uint32 known[AUDIT_WAITS];

	if (known[wait] == 0)
		known[wait] = pgcredit_wait_event_new(names[wait]);
	return known[wait];
}

/* ---------------------------------------------------------------------------
 * Counting
 * ---------------------------------------------------------------------------
 */

/*
 * Set the counts to nothing; the caller holds the slot's lock.  What a reader
 * adds meanwhile may be lost.
 */
static void
clear_counts(AuditStat *stat)
{
	for (int k = 0; k < STAT_WAITS; k++)
		pg_atomic_write_u64(&stat->waits[k], 0);
	pg_atomic_write_u64(&stat->wait_us, 0);
	for (int k = 0; k < PGCREDIT_REFUSAL_KINDS; k++)
		pg_atomic_write_u64(&stat->refusals[k], 0);
	for (int k = 0; k < FAILURE_KINDS; k++)
		pg_atomic_write_u64(&stat->failures[k], 0);
	stat->since = GetCurrentTimestamp();
	stat->entries = stat->bytes = stat->batches = stat->largest = 0;
	stat->second = 0;
	memset(stat->per_second, 0, sizeof(stat->per_second));
	stat->notary_failures = 0;
	stat->failed_at = 0;
	stat->failed_sqlstate = 0;
	stat->failed_message[0] = '\0';
}

/*
 * For a slot that is given to a database; everything else is zero already.
 */
void
pgcredit_stat_init(AuditStat *stat)
{
	for (int k = 0; k < STAT_WAITS; k++)
		pg_atomic_init_u64(&stat->waits[k], 0);
	pg_atomic_init_u64(&stat->wait_us, 0);
	for (int k = 0; k < PGCREDIT_REFUSAL_KINDS; k++)
		pg_atomic_init_u64(&stat->refusals[k], 0);
	for (int k = 0; k < FAILURE_KINDS; k++)
		pg_atomic_init_u64(&stat->failures[k], 0);
	clear_counts(stat);
}

/*
 * A batch is durable; the caller holds the slot's lock.
 */
void
pgcredit_stat_batch(AuditStat *stat, int64 entries, int64 bytes)
{
	int64		now = GetCurrentTimestamp() / USECS_PER_SEC;

	if (entries == 0)
		return;
	stat->entries += entries;
	stat->bytes += bytes;
	stat->batches++;
	stat->largest = Max(stat->largest, entries);
	/* a clock that was set back: all goes to the newest second */
	if (now - stat->second >= STAT_SECONDS)
	{
		memset(stat->per_second, 0, sizeof(stat->per_second));
		stat->second = now;
	}
	while (stat->second < now)
		stat->per_second[++stat->second % STAT_SECONDS] = 0;
	stat->per_second[stat->second % STAT_SECONDS] += entries;
}

/*
 * Entries in a second, over the last minute or as long as there are counts.
 */
static double
entries_per_second(const AuditStat *stat)
{
	TimestampTz now_us = GetCurrentTimestamp();
	int64		now = now_us / USECS_PER_SEC;
	double		seconds = Min((double) (now_us - stat->since) / USECS_PER_SEC, MINUTE);
	double		entries = 0;

	for (int64 s = Max(now - MINUTE + 1, stat->second - STAT_SECONDS + 1); s <= Min(now, stat->second); s++)
		entries += stat->per_second[s % STAT_SECONDS];
	return entries / Max(seconds, 1);
}

/*
 * A turn of the notary failed.
 */
void
pgcredit_stat_notary_failed(int i, int sqlstate, const char *message)
{
	AuditStat  *stat = &pgcredit_audit.slots[i].stat;

	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	stat->notary_failures++;
	stat->failed_at = GetCurrentTimestamp();
	stat->failed_sqlstate = sqlstate;
	strlcpy(stat->failed_message, message, sizeof(stat->failed_message));
	LWLockRelease(SLOT_LOCK(i));
}

/*
 * The counts of this database, or NULL.  Its slot is looked up once: a look at
 * whose it is may go without the lock, since a slot changes hands only when the
 * extension or the database is dropped.
 */
static AuditStat *
my_stat(void)
{
	static int	my_slot = -1;

	if (!pgcredit_audit_preloaded())
		return NULL;
	if (my_slot < 0 || pgcredit_audit.slots[my_slot].dbid != MyDatabaseId)
		my_slot = pgcredit_slot_find(MyDatabaseId, false);
	return my_slot < 0 ? NULL : &pgcredit_audit.slots[my_slot].stat;
}

/*
 * The backend begins to wait for these entries.
 */
void
pgcredit_stat_begin(const PgcreditEntry *entries, int n)
{
	INSTR_TIME_SET_CURRENT(begun_at);
	if (any_refusal)
		memset(begun_refusals, 0, sizeof(begun_refusals));
	any_refusal = false;
	for (int k = 0; k < n; k++)
		if (entries[k].refusal > 0 && entries[k].refusal < PGCREDIT_REFUSAL_KINDS)
		{
			begun_refusals[entries[k].refusal]++;
			any_refusal = true;
		}
}

/*
 * One of them became a refusal.
 */
void
pgcredit_stat_also_refused(int refusal)
{
	if (refusal <= 0 || refusal >= PGCREDIT_REFUSAL_KINDS)
		return;
	begun_refusals[refusal]++;
	any_refusal = true;
}

/*
 * They are durable.
 */
void
pgcredit_stat_answered(void)
{
	AuditStat  *stat = my_stat();
	instr_time	now;
	uint64		us;
	int			bucket;

	if (stat == NULL)
		return;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, begun_at);
	us = INSTR_TIME_GET_MICROSEC(now);
	bucket = us == 0 ? 0 : pg_leftmost_one_pos64(us) + 1;
	pg_atomic_fetch_add_u64(&stat->waits[Min(bucket, STAT_WAITS - 1)], 1);
	pg_atomic_fetch_add_u64(&stat->wait_us, us);
	for (int k = 0; any_refusal && k < PGCREDIT_REFUSAL_KINDS; k++)
		if (begun_refusals[k] > 0)
			pg_atomic_fetch_add_u64(&stat->refusals[k], begun_refusals[k]);
}

/*
 * An access is refused because it could not be recorded, with this SQLSTATE.
 */
void
pgcredit_stat_refused(int sqlstate)
{
	AuditStat  *stat = my_stat();
	int			kind = 0;

	if (stat == NULL)
		return;
	while (kind < FAILURE_OTHER && failure_sqlstates[kind] != sqlstate)
		kind++;
	pg_atomic_fetch_add_u64(&stat->failures[kind], 1);
}

/* ---------------------------------------------------------------------------
 * Showing
 * ---------------------------------------------------------------------------
 */

typedef enum StatColumn
{
	STAT_QUEUE_ITEMS, STAT_QUEUE_BYTES, STAT_QUEUE_SHARE,
	STAT_BATCHES, STAT_LARGEST, STAT_ENTRIES, STAT_BYTES, STAT_PER_SECOND,
	STAT_WAIT_HISTOGRAM, STAT_WAIT_COUNT, STAT_WAIT_MS, STAT_REFUSALS, STAT_FAILURES,
	STAT_NOTARY_FAILURES, STAT_FAILED_AT, STAT_FAILED_SQLSTATE, STAT_FAILED_MESSAGE,
	STAT_WRITER_PID, STAT_WRITER_STARTED, STAT_WRITER_STARTS, STAT_NOTARY_PID, STAT_NOTARY_STARTED,
	STAT_SINCE,
	STAT_COLUMNS
} StatColumn;

static uint64
sum_of(pg_atomic_uint64 *counts, int n)
{
	uint64		sum = 0;

	for (int k = 0; k < n; k++)
		sum += pg_atomic_read_u64(&counts[k]);
	return sum;
}

/*
 * A copy of the slot as it is now; false when the database has none.
 */
static bool
copy_slot(AuditSlot *copy)
{
	int			i = pgcredit_audit_preloaded() ? pgcredit_slot_find(MyDatabaseId, false) : -1;

	if (i < 0)
		return false;
	LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
	memcpy(copy, &pgcredit_audit.slots[i], sizeof(AuditSlot));
	LWLockRelease(SLOT_LOCK(i));
	return copy->dbid == MyDatabaseId;
}

static void
show_processes(const AuditSlot *slot, Datum *values, bool *nulls)
{
	const AuditStat *stat = &slot->stat;

	nulls[STAT_FAILED_AT] = nulls[STAT_FAILED_SQLSTATE] = nulls[STAT_FAILED_MESSAGE] = stat->notary_failures == 0;
	values[STAT_NOTARY_FAILURES] = Int64GetDatum(stat->notary_failures);
	values[STAT_FAILED_AT] = TimestampTzGetDatum(stat->failed_at);
	values[STAT_FAILED_SQLSTATE] = CStringGetTextDatum(unpack_sql_state(stat->failed_sqlstate));
	values[STAT_FAILED_MESSAGE] = CStringGetTextDatum(stat->failed_message);
	nulls[STAT_WRITER_PID] = nulls[STAT_WRITER_STARTED] = slot->writer_pid == 0;
	values[STAT_WRITER_PID] = Int32GetDatum(slot->writer_pid);
	values[STAT_WRITER_STARTED] = TimestampTzGetDatum(stat->writer_started);
	values[STAT_WRITER_STARTS] = Int64GetDatum(stat->writer_starts);
	nulls[STAT_NOTARY_PID] = nulls[STAT_NOTARY_STARTED] = slot->notary_pid == 0;
	values[STAT_NOTARY_PID] = Int32GetDatum(slot->notary_pid);
	values[STAT_NOTARY_STARTED] = TimestampTzGetDatum(stat->notary_started);
	values[STAT_SINCE] = TimestampTzGetDatum(stat->since);
}

/*
 * credit._stat_audit(): one row, or none where nobody counts: the library is not
 * preloaded, or no writer has come yet (on a standby, none comes).
 */
Datum
pgcredit_stat_audit(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	AuditSlot  *slot = palloc(sizeof(AuditSlot));
	AuditStat  *stat = &slot->stat;
	Datum		values[STAT_COLUMNS];
	bool		nulls[STAT_COLUMNS] = {false};
	Datum		waits[STAT_WAITS];
	uint64		queued;

	InitMaterializedSRF(fcinfo, 0);
	if (!copy_slot(slot))
		return (Datum) 0;
	for (int k = 0; k < STAT_WAITS; k++)
		waits[k] = Int64GetDatum((int64) pg_atomic_read_u64(&stat->waits[k]));
	queued = slot->head - slot->tail;
	values[STAT_QUEUE_ITEMS] = Int32GetDatum(slot->pending);
	values[STAT_QUEUE_BYTES] = Int64GetDatum((int64) queued);
	values[STAT_QUEUE_SHARE] = Float8GetDatum((double) queued / pgcredit_audit.header->ring_size);
	values[STAT_BATCHES] = Int64GetDatum(stat->batches);
	values[STAT_LARGEST] = Int64GetDatum(stat->largest);
	values[STAT_ENTRIES] = Int64GetDatum(stat->entries);
	values[STAT_BYTES] = Int64GetDatum(stat->bytes);
	values[STAT_PER_SECOND] = Float8GetDatum(entries_per_second(stat));
	values[STAT_WAIT_HISTOGRAM] = PointerGetDatum(construct_array(waits, STAT_WAITS, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[STAT_WAIT_COUNT] = Int64GetDatum((int64) sum_of(stat->waits, STAT_WAITS));
	values[STAT_WAIT_MS] = Float8GetDatum(pg_atomic_read_u64(&stat->wait_us) / 1000.0);
	values[STAT_REFUSALS] = Int64GetDatum((int64) sum_of(stat->refusals, PGCREDIT_REFUSAL_KINDS));
	values[STAT_FAILURES] = Int64GetDatum((int64) sum_of(stat->failures, FAILURE_KINDS));
	show_processes(slot, values, nulls);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	return (Datum) 0;
}

/*
 * credit._stat_audit_refusals(): kind, reason, refused; also what was never
 * counted, so that a monitor sees a series from its beginning.
 */
Datum
pgcredit_stat_audit_refusals(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	AuditSlot  *slot = palloc(sizeof(AuditSlot));
	Datum		values[3];
	bool		nulls[3] = {false};

	InitMaterializedSRF(fcinfo, 0);
	if (!copy_slot(slot))
		return (Datum) 0;
	values[0] = CStringGetTextDatum("refusal");
	for (int k = 1; k < PGCREDIT_REFUSAL_KINDS; k++)
	{
		if (refusal_codes[k] == NULL)
			continue;
		values[1] = CStringGetTextDatum(refusal_codes[k]);
		values[2] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->stat.refusals[k]));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	values[0] = CStringGetTextDatum("failure");
	for (int k = 0; k < FAILURE_KINDS; k++)
	{
		values[1] = CStringGetTextDatum(failure_sqlstates[k] ? unpack_sql_state(failure_sqlstates[k]) : "other");
		values[2] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->stat.failures[k]));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * credit.stat_audit_reset() returns void: counts of this database begin anew.
 */
Datum
pgcredit_stat_audit_reset(PG_FUNCTION_ARGS)
{
	int			i = pgcredit_audit_preloaded() ? pgcredit_slot_find(MyDatabaseId, false) : -1;

	if (i >= 0)
	{
		LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
		if (pgcredit_audit.slots[i].dbid == MyDatabaseId)
			clear_counts(&pgcredit_audit.slots[i].stat);
		LWLockRelease(SLOT_LOCK(i));
	}
	PG_RETURN_VOID();
}
