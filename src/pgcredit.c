/*
 * pgcredit.c
 *		Loads the module: each room sets up its own settings, shared memory,
 *		hooks and workers, in reading order.  The only file that knows every room.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/guc.h"

#include "audit/audit.h"
#include "consent/consent.h"
#include "core/core.h"
#include "crypto/crypto.h"
#include "rating/rating.h"
#include "target/target.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

static void
request_shared_memory(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	RequestAddinShmemSpace(pgcredit_audit_shmem_size() + pgcredit_consent_shmem_size() +
						   pgcredit_rating_shmem_size() + pgcredit_target_shmem_size());
}

static void
start_shared_memory(void)
{
	if (prev_shmem_startup)
		prev_shmem_startup();
	pgcredit_audit_shmem_init();
	pgcredit_consent_shmem_init();
	pgcredit_rating_shmem_init();
	pgcredit_target_shmem_init();
}

/*
 * Without preloading, everything works that needs no shared memory: types,
 * registry, scoring, targets.  What needs it says so when it is called.
 */
void
_PG_init(void)
{
	pgcredit_crypto_init();
	pgcredit_audit_init();
	pgcredit_consent_init();
	pgcredit_rating_init();
	pgcredit_target_init();

	/* Elsewhere the settings that need a start of the server are not known. */
	if (!process_shared_preload_libraries_in_progress)
		return;
	MarkGUCPrefixReserved("pgcredit");
	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shared_memory;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_shared_memory;
}
