/*
 * uses.c
 *		Consents that may be used a limited number of times: entries that take a
 *		use, and how the writer counts them.
 *
 * Each use is a row of credit.audit_use, written with its entry.  The writer is
 * the only one that adds any, so what it sees under its snapshot and what it has
 * added to the same batch is all there is; nobody locks anything.
 */
#include "postgres.h"

#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit/append.h"
#include "audit/audit_internal.h"
#include "core/core.h"

/* Columns of credit.audit_use, from 1; all of them are its key */
#define USE_SUBJECT 1
#define USE_CONSENT 2
#define USE_AT 3
#define USE_SEQ 4
#define USE_COLUMNS 4

/* Uses of one consent in the present batch. */
typedef struct UseKey
{
	int64		subject_id;
	int64		consent_id;
} UseKey;

typedef struct BatchUse
{
	UseKey		key;
	int			n;
	int			size;
	TimestampTz *at;
} BatchUse;

struct UseBatch
{
	Appender	rows;
	HTAB	   *taken;
};

/*
 * Make "entry" one that takes n uses and is written only if all are left; if one
 * is not, "otherwise" is written and none is taken.  Both are complete.  Lives in
 * the current memory context; the writer's copy of the two is bounded as any entry.
 */
void
pgcredit_entry_takes(PgcreditEntry *entry, const PgcreditUse *uses, int n, PgcreditEntry *otherwise)
{
	Size		head = offsetof(PgcreditUses, uses) + n * sizeof(PgcreditUse);
	Size		size = head + entry->prefix.len + entry->suffix.len + otherwise->prefix.len + otherwise->suffix.len;
	PgcreditUses *made = palloc0(size);
	char	   *at = (char *) made + head;

	pgcredit_entry_check_size(otherwise);
	made->n = n;
	made->size = size;
	made->refusal = otherwise->refusal;
	made->prefix_len = entry->prefix.len;
	made->suffix_len = entry->suffix.len;
	made->otherwise_prefix_len = otherwise->prefix.len;
	made->otherwise_suffix_len = otherwise->suffix.len;
	memcpy(made->uses, uses, n * sizeof(PgcreditUse));
	memcpy(at, entry->prefix.data, entry->prefix.len);
	at += entry->prefix.len;
	memcpy(at, entry->suffix.data, entry->suffix.len);
	at += entry->suffix.len;
	memcpy(at, otherwise->prefix.data, otherwise->prefix.len);
	at += otherwise->prefix.len;
	memcpy(at, otherwise->suffix.data, otherwise->suffix.len);
	entry->uses = made;
}

/*
 * Count the rows of a use's consent from "since" on, all and those in its period.
 */
static void
count_rows(Relation rel, const PgcreditUse *use, Snapshot snapshot, int64 *in_all, int64 *in_period)
{
	ScanKeyData keys[3];
	Seek		seek;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], USE_SUBJECT, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(use->subject_id));
	ScanKeyInit(&keys[1], USE_CONSENT, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(use->consent_id));
	ScanKeyInit(&keys[2], USE_AT, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE,
				TimestampTzGetDatum(use->in_all > 0 ? DT_NOBEGIN : use->since));
	*in_all = *in_period = 0;
	pgcredit_seek_begin(&seek, rel, "audit_use_pkey", 3, keys, snapshot);
	while ((tuple = pgcredit_seek_next(&seek, ForwardScanDirection)) != NULL)
	{
		TimestampTz at = DatumGetTimestampTz(pgcredit_seek_column(&seek, tuple, USE_AT));

		(*in_all)++;
		if (at >= use->since && at < use->until)
			(*in_period)++;
	}
	pgcredit_seek_end(&seek);
}

static bool
is_left(const PgcreditUse *use, int64 in_all, int64 in_period)
{
	return (use->in_all == 0 || in_all < use->in_all) &&
		(use->in_period == 0 || in_period < use->in_period);
}

/*
 * Is the use left, as far as the snapshot sees?  Only the writer can say for
 * certain; who knows that it is not need not ask it.
 */
bool
pgcredit_use_left(const PgcreditUse *use, Snapshot snapshot)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_use", false), AccessShareLock);
	int64		in_all;
	int64		in_period;

	count_rows(rel, use, snapshot, &in_all, &in_period);
	table_close(rel, NoLock);
	return is_left(use, in_all, in_period);
}

/*
 * Begin to take uses in the writer's present transaction; everything lives in
 * the current memory context.
 */
UseBatch *
pgcredit_uses_open(void)
{
	HASHCTL		ctl = {.keysize = sizeof(UseKey),.entrysize = sizeof(BatchUse),.hcxt = CurrentMemoryContext};
	UseBatch   *batch = palloc0(sizeof(UseBatch));

	pgcredit_append_open(&batch->rows, "audit_use", USE_COLUMNS);
	batch->taken = hash_create("uses in this batch", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return batch;
}

static BatchUse *
batch_use(UseBatch *batch, const PgcreditUse *use, HASHACTION action)
{
	UseKey		key = {use->subject_id, use->consent_id};
	bool		found;
	BatchUse   *taken = hash_search(batch->taken, &key, action, &found);

	if (action == HASH_ENTER && !found)
	{
		taken->n = 0;
		taken->size = 4;
		taken->at = palloc(taken->size * sizeof(TimestampTz));
	}
	return taken;
}

/*
 * Take all uses of the entry with number seq, or none when one is not left.
 */
bool
pgcredit_uses_take(UseBatch *batch, const PgcreditUses *uses, uint64 seq)
{
	for (int k = 0; k < uses->n; k++)
	{
		const PgcreditUse *use = &uses->uses[k];
		const BatchUse *taken = batch_use(batch, use, HASH_FIND);
		int64		in_all;
		int64		in_period;

		count_rows(batch->rows.rel, use, GetActiveSnapshot(), &in_all, &in_period);
		for (int j = 0; taken && j < taken->n; j++)
		{
			in_all++;
			if (taken->at[j] >= use->since && taken->at[j] < use->until)
				in_period++;
		}
		if (!is_left(use, in_all, in_period))
			return false;
	}
	for (int k = 0; k < uses->n; k++)
	{
		const PgcreditUse *use = &uses->uses[k];
		BatchUse   *taken = batch_use(batch, use, HASH_ENTER);
		TupleTableSlot *slot = pgcredit_append_row(&batch->rows);

		if (taken->n == taken->size)
		{
			taken->size *= 2;
			taken->at = repalloc(taken->at, taken->size * sizeof(TimestampTz));
		}
		taken->at[taken->n++] = use->at;
		slot->tts_values[USE_SUBJECT - 1] = Int64GetDatum(use->subject_id);
		slot->tts_values[USE_CONSENT - 1] = Int64GetDatum(use->consent_id);
		slot->tts_values[USE_AT - 1] = TimestampTzGetDatum(use->at);
		slot->tts_values[USE_SEQ - 1] = Int64GetDatum((int64) seq);
	}
	return true;
}

void
pgcredit_uses_close(UseBatch *batch)
{
	pgcredit_append_close(&batch->rows);
}
