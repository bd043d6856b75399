/*
 * pgcredit.c
 *		Loads the module: each room sets up its own settings, shared memory,
 *		hooks and workers, in reading order.  The only file that knows every room.
 */
#include "postgres.h"

#include "fmgr.h"

#include "core/core.h"
#include "crypto/crypto.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	pgcredit_crypto_init();
}
