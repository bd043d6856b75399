/*
 * log.c
 *		The end of the log: numbering entries and writing them with the tree over
 *		them, in the audit writer's transaction.
 *
 * Numbers are those of the tree's leaves: the next entry is leaf edge_size, so
 * a number is given twice only if the transaction that gave it was rolled back.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit/audit_internal.h"
#include "audit/log.h"
#include "audit/tree.h"
#include "core/core.h"

static Oid	log_relid = InvalidOid; /* the table that the edge was read from */

/*
 * A restore has put other entries into the log, see restore.c.  This comes at
 * any time, also for other reasons (ANALYZE) and in the middle of a batch, whose
 * numbers go on: its lock on the table keeps a restore out.
 */
static void
log_changed(Datum arg, Oid relid)
{
	if (relid == log_relid || !OidIsValid(relid))
		pgcredit_edge_forget();
}

/*
 * Once in the writer's life.
 */
void
pgcredit_log_watch(void)
{
	CacheRegisterRelcacheCallback(log_changed, (Datum) 0);
}

/*
 * Begin a batch in the present transaction.  The snapshot for the edge is newer
 * than the lock, which may have waited for a restore.
 */
void
pgcredit_log_open(Log *log)
{
	StringInfoData now;

	memset(log, 0, sizeof(Log));
	pgcredit_append_open(&log->entries, "audit_entry", ENTRY_COLUMNS);	/* also learns of a restore */
	if (log_relid != RelationGetRelid(log->entries.rel))
	{
		log_relid = RelationGetRelid(log->entries.rel);
		pgcredit_edge_forget();
	}
	PushActiveSnapshot(GetLatestSnapshot());
	pgcredit_edge_open(GetActiveSnapshot());
	PopActiveSnapshot();
	initStringInfo(&now);
	pgcredit_json_time(&now, GetCurrentTimestamp());
	strlcpy(log->recorded, now.data, sizeof(log->recorded));
}

uint64
pgcredit_log_next_seq(void)
{
	return pgcredit_edge_size() + 1;
}

/*
 * Put one entry at the end of the log.
 */
void
pgcredit_log_append(Log *log, const char *prefix, int prefix_len,
					const char *suffix, int suffix_len)
{
	uint64		seq = pgcredit_log_next_seq();
	StringInfoData entry;
	TupleTableSlot *slot;

	/* built behind the header that makes it a text */
	initStringInfo(&entry);
	appendStringInfoSpaces(&entry, VARHDRSZ);
	appendBinaryStringInfo(&entry, prefix, prefix_len);
	appendStringInfo(&entry, "\"recorded\":%s,\"seq\":" UINT64_FORMAT, log->recorded, seq);
	appendBinaryStringInfo(&entry, suffix, suffix_len);
	SET_VARSIZE(entry.data, entry.len);

	slot = pgcredit_append_row(&log->entries);
	slot->tts_values[ENTRY_SEQ - 1] = Int64GetDatum((int64) seq);
	slot->tts_values[ENTRY_TEXT - 1] = PointerGetDatum(entry.data);
	pgcredit_edge_append(entry.data + VARHDRSZ, entry.len - VARHDRSZ);
	log->n_entries++;
	log->n_bytes += entry.len - VARHDRSZ;
}

/*
 * Everything is in the tables when this returns; the commit is the caller's.
 */
void
pgcredit_log_close(Log *log)
{
	pgcredit_append_close(&log->entries);
	pgcredit_edge_close();
}

/*
 * The batch was rolled back.
 */
void
pgcredit_log_forget(void)
{
	pgcredit_edge_forget();
}
