/*
 * log.h
 *		The end of the log, for the audit writer: entries and the tree over them.
 */
#ifndef PGCREDIT_AUDIT_LOG_H
#define PGCREDIT_AUDIT_LOG_H

#include "audit/append.h"

/* One batch. */
typedef struct Log
{
	Appender	entries;
	char		recorded[64];	/* this batch's "recorded", with quotes */
	int64		n_entries;
	int64		n_bytes;
} Log;

extern void pgcredit_log_watch(void);
extern void pgcredit_log_open(Log *log);
extern uint64 pgcredit_log_next_seq(void);
extern void pgcredit_log_append(Log *log, const char *prefix, int prefix_len,
								const char *suffix, int suffix_len);
extern void pgcredit_log_close(Log *log);
extern void pgcredit_log_forget(void);

#endif							/* PGCREDIT_AUDIT_LOG_H */
