/*
 * publish.c
 *		Where the notary meets the world outside of the server: the commands that
 *		take checkpoints out of it and that say what is known there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "storage/fd.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "audit/notary.h"
#include "core/core.h"

/* A checkpoint with a hundred cosignatures of the longest names fits. */
#define FETCH_MAX (64 * 1024)

static char *checkpoint_command = NULL;
static char *checkpoint_fetch_command = NULL;

static bool fetched = false;	/* what is known outside has been asked for */
static char *outside = NULL;	/* in TopMemoryContext */
static char *delivered = NULL;	/* likewise: given to checkpoint_command last */

void
pgcredit_publish_init(void)
{
	DefineCustomStringVariable("pgcredit.checkpoint_command",
							   "Shell command that is given each new checkpoint on its standard input.",
							   "It is to bring it where the database's administrators cannot change it.",
							   &checkpoint_command, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("pgcredit.checkpoint_fetch_command",
							   "Shell command that writes the newest checkpoint known outside to its standard output.",
							   "Run before the first checkpoint after a start; nothing is signed that does not continue it.",
							   &checkpoint_fetch_command, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
}

/*
 * Raise when a command failed; no message shows it: a secret may be in it.
 */
static void
check_command(int status, const char *setting)
{
	if (status == -1)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not wait for %s: %m", setting)));
	if (status != 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("%s failed", setting),
				 errdetail("%s.", wait_result_to_str(status)),
				 errhint("What the command wrote to its standard error is in the server's log.")));
}

/*
 * The newest checkpoint known outside, asked for once after a start, or NULL
 * when none is.  A command that fails raises: without knowing, nothing is
 * signed.
 */
const char *
pgcredit_publish_known(void)
{
	FILE	   *pipe;
	char	   *buffer;
	size_t		len;

	if (fetched)
		return outside;
	if (checkpoint_fetch_command != NULL && checkpoint_fetch_command[0] != '\0')
	{
		fflush(NULL);
		pipe = OpenPipeStream(checkpoint_fetch_command, "r");
		if (pipe == NULL)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not start pgcredit.checkpoint_fetch_command: %m")));
		buffer = palloc(FETCH_MAX + 1);
		len = fread(buffer, 1, FETCH_MAX, pipe);
		buffer[len] = '\0';
		check_command(ClosePipeStream(pipe), "pgcredit.checkpoint_fetch_command");
		if (len > 0)
			outside = MemoryContextStrdup(TopMemoryContext, buffer);
	}
	fetched = true;
	return outside;
}

/*
 * The newest checkpoint with its cosignatures, palloc'd in the caller's context,
 * or NULL.
 */
static char *
newest_note(void)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *note = NULL;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute("SELECT c.note || coalesce((SELECT string_agg(s.line, '' ORDER BY s.made, s.witness)"
					" FROM credit.audit_cosignature s WHERE s.size = c.size), '')"
					" FROM credit.audit_checkpoint c ORDER BY c.size DESC LIMIT 1", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read credit.audit_checkpoint");
	if (SPI_processed > 0)
		note = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return note;
}

/*
 * Wait until what is flushed is replicated, where that is asked for: a checkpoint
 * stands in the table also when the wait of its commit was cut short, as by a
 * crash.
 */
void
pgcredit_publish_wait(void)
{
	HOLD_INTERRUPTS();
	SyncRepWaitForLSN(GetFlushRecPtr(NULL), true);
	RESUME_INTERRUPTS();
	CHECK_FOR_INTERRUPTS();
}

/*
 * Give the newest checkpoint to pgcredit.checkpoint_command, each time that it
 * is another or has got another cosignature.  After a start it is given again.
 */
void
pgcredit_publish_deliver(void)
{
	char	   *note;
	FILE	   *pipe;

	if (checkpoint_command == NULL || checkpoint_command[0] == '\0')
		return;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	note = newest_note();
	if (note != NULL && (delivered == NULL || strcmp(note, delivered) != 0))
	{
		pgcredit_publish_wait();
		fflush(NULL);
		pipe = OpenPipeStream(checkpoint_command, "w");
		if (pipe == NULL)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not start pgcredit.checkpoint_command: %m")));
		/* a command that does not read to the end has failed by its status, or by its own will */
		(void) fputs(note, pipe);
		check_command(ClosePipeStream(pipe), "pgcredit.checkpoint_command");
		if (delivered)
			pfree(delivered);
		delivered = MemoryContextStrdup(TopMemoryContext, note);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
}
