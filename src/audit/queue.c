/*
 * queue.c
 *		The ring between backends that record an access and the one writer of
 *		their database.
 *
 * A request is n items put into the ring under one ticket.  The writer copies
 * items out, makes them durable and answers each; when the last is answered
 * the backend's latch is set.  A backend that gives up (timeout, cancel) takes
 * a new ticket for its next request, so a late answer finds no one.
 *
 * The writer that leaves, however it leaves short of a crash, answers every
 * item it took and every item in the ring with "unavailable", so that no
 * reader hangs (P8).  Locks: see shared.h.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "audit/shared.h"
#include "core/core.h"

/*
 * Bytes of lists that may be in the ring at a time, if that is less than a
 * quarter of it: who comes after them waits for one batch of that size, however
 * long the list.
 */
#define BULK_BYTES (128 * 1024)

static void
ring_copy_out(int i, uint64 pos, char *dst, Size len)
{
	char	   *ring = pgcredit_audit.rings + (Size) i * pgcredit_audit.header->ring_size;
	Size		at = pos % pgcredit_audit.header->ring_size;
	Size		first = Min(len, pgcredit_audit.header->ring_size - at);

	memcpy(dst, ring + at, first);
	memcpy(dst + first, ring, len - first);
}

static void
ring_copy_in(int i, uint64 pos, const char *src, Size len)
{
	char	   *ring = pgcredit_audit.rings + (Size) i * pgcredit_audit.header->ring_size;
	Size		at = pos % pgcredit_audit.header->ring_size;
	Size		first = Min(len, pgcredit_audit.header->ring_size - at);

	memcpy(ring + at, src, first);
	memcpy(ring, src + first, len - first);
}

/*
 * Give up the slot: nobody can enter the ring any more, and who waits in it is
 * answered.  With "forget" the slot itself is free again.  Safe to call twice
 * and from a process exit callback.
 */
void
pgcredit_queue_release(int i, bool forget)
{
	uint64		pos;
	uint64		end;
	Oid			dbid;

	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (pgcredit_audit.slots[i].writer_pid != MyProcPid)
	{
		LWLockRelease(SLOT_LOCK(i));
		return;
	}
	dbid = pgcredit_audit.slots[i].dbid;
	pgcredit_audit.slots[i].writer_pid = 0;
	pgcredit_audit.slots[i].writer_procno = -1;
	pos = pgcredit_audit.slots[i].tail;
	end = pgcredit_audit.slots[i].head;
	while (pos < end)
	{
		QueueItem	item;

		ring_copy_out(i, pos, (char *) &item, sizeof(QueueItem));
		pgcredit_queue_answer(&item, 0, ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE);
		pos += item.size;
	}
	pgcredit_audit.slots[i].tail = end;
	pgcredit_audit.slots[i].pending = 0;
	pgcredit_audit.slots[i].bulk = 0;
	LWLockRelease(SLOT_LOCK(i));
	if (forget)
		pgcredit_slot_free(i, dbid, false);
}

/*
 * Move whole items into batch, as many as fit; they leave the ring, so its
 * room is free for others while these are made durable.  Returns the bytes.
 */
Size
pgcredit_queue_take(int i, char *batch, Size batch_size, int *n_items)
{
	Size		used = 0;

	*n_items = 0;
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	while (pgcredit_audit.slots[i].tail < pgcredit_audit.slots[i].head)
	{
		QueueItem	item;

		ring_copy_out(i, pgcredit_audit.slots[i].tail, (char *) &item, sizeof(QueueItem));
		if (used + item.size > batch_size)
			break;
		ring_copy_out(i, pgcredit_audit.slots[i].tail, batch + used, item.size);
		used += item.size;
		pgcredit_audit.slots[i].tail += item.size;
		if (item.kind == QUEUE_LIST_ROW)
			pgcredit_audit.slots[i].bulk -= item.size;
		(*n_items)++;
	}
	pgcredit_audit.slots[i].pending -= *n_items;
	LWLockRelease(SLOT_LOCK(i));
	return used;
}

int
pgcredit_queue_pending(int i)
{
	int			pending;

	LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
	pending = pgcredit_audit.slots[i].pending;
	LWLockRelease(SLOT_LOCK(i));
	return pending;
}

/*
 * Tell the backend that put the item in what became of it, unless it has gone
 * on to another request.
 */
void
pgcredit_queue_answer(const QueueItem *item, uint64 seq, int sqlstate)
{
	AuditWaiter *w = &pgcredit_audit.waiters[item->procno];
	bool		complete = false;

	SpinLockAcquire(&w->mutex);
	if (w->ticket == item->ticket && w->outstanding > 0)
	{
		if (sqlstate != 0)
			w->sqlstate = sqlstate;
		else if (w->seq == 0 || seq < w->seq)
			w->seq = seq;
		if (item->refused)
			w->refused |= UINT64CONST(1) << item->place;
		w->outstanding--;
		complete = w->outstanding == 0;
	}
	SpinLockRelease(&w->mutex);
	if (complete)
		pgcredit_wake(item->procno);
}

/*
 * Try to put one item into the ring of this database, under the ticket of
 * pgcredit_waiter_begin.  Returns 0, or the SQLSTATE that says what is in the
 * way.  Takes no lock but the slot's and allocates nothing, so that it can be
 * called while a transaction aborts.
 */
int
pgcredit_queue_put(QueueKind kind, const PgcreditEntry *entry, int place, uint64 ticket)
{
	int			i = pgcredit_slot_find(MyDatabaseId, false);
	AuditSlot  *slot;
	QueueItem	item;
	uint64		pos;
	int			writer;
	Size		bulk_most = Min(BULK_BYTES, pgcredit_audit.header->ring_size / 4);

	if (i < 0)
		return ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE;
	memset(&item, 0, sizeof(item));
	item.kind = kind;
	item.place = place;
	item.prefix_len = entry->prefix.len;
	item.suffix_len = entry->suffix.len;
	item.size = MAXALIGN(MAXALIGN(sizeof(QueueItem)) + item.prefix_len + item.suffix_len);
	item.procno = pgcredit_my_procno();
	item.ticket = ticket;

	slot = &pgcredit_audit.slots[i];
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (slot->dbid != MyDatabaseId || slot->writer_pid == 0 || slot->barred_by != 0)
	{
		LWLockRelease(SLOT_LOCK(i));
		return ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE;
	}
	if (slot->head - slot->tail + item.size > pgcredit_audit.header->ring_size ||
		(kind == QUEUE_LIST_ROW && slot->bulk + item.size > bulk_most))
	{
		LWLockRelease(SLOT_LOCK(i));
		return ERRCODE_PGCREDIT_AUDIT_QUEUE_FULL;
	}
	pos = slot->head;
	ring_copy_in(i, pos, (char *) &item, sizeof(QueueItem));
	pos += MAXALIGN(sizeof(QueueItem));
	ring_copy_in(i, pos, entry->prefix.data, entry->prefix.len);
	pos += entry->prefix.len;
	ring_copy_in(i, pos, entry->suffix.data, entry->suffix.len);
	slot->head += item.size;
	slot->pending++;
	if (kind == QUEUE_LIST_ROW)
		slot->bulk += item.size;
	slot->accessed = true;
	writer = slot->writer_procno;
	LWLockRelease(SLOT_LOCK(i));
	pgcredit_wake(writer);
	return 0;
}

/*
 * Start a request of n items; returns its ticket.
 */
uint64
pgcredit_waiter_begin(int n)
{
	AuditWaiter *w = &pgcredit_audit.waiters[pgcredit_my_procno()];
	uint64		ticket;

	SpinLockAcquire(&w->mutex);
	ticket = ++w->ticket;
	w->outstanding = n;
	w->sqlstate = 0;
	w->seq = 0;
	w->refused = 0;
	SpinLockRelease(&w->mutex);
	return ticket;
}

/*
 * How the present request stands: items not answered yet, 0 or the SQLSTATE of
 * one that failed, and the lowest sequence number given so far.
 */
int
pgcredit_waiter_outstanding(int *sqlstate, uint64 *seq)
{
	AuditWaiter *w = &pgcredit_audit.waiters[pgcredit_my_procno()];
	int			outstanding;

	SpinLockAcquire(&w->mutex);
	outstanding = w->outstanding;
	*sqlstate = w->sqlstate;
	*seq = w->seq;
	SpinLockRelease(&w->mutex);
	return outstanding;
}

/*
 * Which entries of the present request the writer did not write because a use
 * was not left, by their place.
 */
uint64
pgcredit_waiter_refused(void)
{
	AuditWaiter *w = &pgcredit_audit.waiters[pgcredit_my_procno()];
	uint64		refused;

	SpinLockAcquire(&w->mutex);
	refused = w->refused;
	SpinLockRelease(&w->mutex);
	return refused;
}

/*
 * The writer says before it commits a batch what will be the last entry of the
 * log.  So who takes a snapshot and then asks knows that it sees no entry after
 * the answer, which may be of a batch that failed.  0: not known, and anything
 * may be there; so it is after a start, and when somebody else adds entries.
 */
void
pgcredit_queue_set_end(int i, uint64 end)
{
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	pgcredit_audit.slots[i].end = end;
	LWLockRelease(SLOT_LOCK(i));
}

uint64
pgcredit_queue_end(int i)
{
	uint64		end;

	LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
	end = pgcredit_audit.slots[i].dbid == MyDatabaseId ? pgcredit_audit.slots[i].end : 0;
	LWLockRelease(SLOT_LOCK(i));
	return end;
}

/*
 * The notary says after its commit how far the history goes, unless there was a
 * restore since the mark, which it took under its lock.
 */
void
pgcredit_queue_set_indexed(int i, uint64 indexed, const PgcreditLogMark *mark)
{
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	if (pgcredit_audit.slots[i].restores == mark->restores)
		pgcredit_audit.slots[i].indexed = indexed;
	LWLockRelease(SLOT_LOCK(i));
}

static void
read_mark(PgcreditLogMark *mark)
{
	int			i = pgcredit_audit.header ? pgcredit_slot_find(MyDatabaseId, false) : -1;

	memset(mark, 0, sizeof(PgcreditLogMark));
	if (i < 0)
		return;
	LWLockAcquire(SLOT_LOCK(i), LW_SHARED);
	if (pgcredit_audit.slots[i].dbid == MyDatabaseId)
	{
		mark->end = pgcredit_audit.slots[i].end;
		mark->indexed = pgcredit_audit.slots[i].indexed;
		mark->restores = pgcredit_audit.slots[i].restores;
	}
	LWLockRelease(SLOT_LOCK(i));
}

/*
 * What the history covers is asked before the snapshot, which then sees it; where
 * the log ends after it.  A restore in between makes both unknown.
 */
void
pgcredit_mark_before_snapshot(PgcreditLogMark *mark)
{
	read_mark(mark);
}

void
pgcredit_mark_after_snapshot(PgcreditLogMark *mark)
{
	PgcreditLogMark now;

	read_mark(&now);
	mark->end = now.end;
	if (mark->restores != now.restores)
		mark->end = mark->indexed = 0;
}

/*
 * Somebody else than the writer is about to add entries.
 */
void
pgcredit_queue_forget_end(Oid dbid)
{
	int			i = pgcredit_audit.header ? pgcredit_slot_find(dbid, false) : -1;

	if (i < 0)
		return;
	LWLockAcquire(SLOT_LOCK(i), LW_EXCLUSIVE);
	pgcredit_audit.slots[i].end = pgcredit_audit.slots[i].indexed = 0;
	pgcredit_audit.slots[i].restores++;
	LWLockRelease(SLOT_LOCK(i));
}
