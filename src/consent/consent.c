/*
 * consent.c
 *		Sets up the room.
 */
#include "postgres.h"

#include "consent/consent_internal.h"

void
pgcredit_consent_init(void)
{
	pgcredit_directory_init();
	pgcredit_guard_init();
}
