/*
 * history.h
 *		Which entries name a subject, as the files of the audit room share it.
 *
 * Everything is derived from the entries and covers them up to the number in
 * credit.audit_history_state; those after it are looked through one by one.
 *
 *	credit.audit_history	(token, entry) for each subject that an entry names
 *	credit.audit_bulk		entries that name theirs in a list, see list.h
 *	credit.audit_descriptor	what an entry says besides subjects and times; few
 *							are distinct
 */
#ifndef PGCREDIT_AUDIT_HISTORY_H
#define PGCREDIT_AUDIT_HISTORY_H

#include "lib/stringinfo.h"
#include "utils/rel.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "audit/entry_kernel.h"

/* Columns, from 1 */
#define HISTORY_TOKEN 1
#define HISTORY_SEQ 2
#define HISTORY_RECORDED 3
#define HISTORY_DESCRIPTOR 4
#define HISTORY_COLUMNS 4
#define DESCRIPTOR_ID 1
#define DESCRIPTOR_DIGEST 2
#define DESCRIPTOR_MEMBERS 3
#define DESCRIPTOR_COLUMNS 3
#define BULK_SEQ 1
#define BULK_LIST 2
#define BULK_RECORDED 3
#define BULK_DESCRIPTOR 4
#define BULK_UNKNOWN 5
#define BULK_COLUMNS 5
#define STATE_UPTO 1

/* What an entry says, as far as a history goes; spans point into the entry. */
typedef struct HistoryEntry
{
	TimestampTz recorded;
	PgcreditSpan subjects;		/* an array of tokens; at is NULL without any */
	bool		has_list;		/* subjects in a list */
	bool		has_unknown_list;	/* ids in a list */
	pg_uuid_t	list;
} HistoryEntry;

extern bool pgcredit_history_parse(PgcreditSpan entry, HistoryEntry *parsed, StringInfo members);
extern bool pgcredit_history_names(PgcreditSpan subjects, const char *token);
extern int64 pgcredit_history_upto(Snapshot snapshot);

/* history.c and history_drop.c, in the notary */
extern long pgcredit_history_turn(int slot, bool in_use);
extern void pgcredit_history_clean(void);

#endif							/* PGCREDIT_AUDIT_HISTORY_H */
