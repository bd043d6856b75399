/*
 * consent.c
 *		Sets up the room.
 */
#include "postgres.h"

#include "audit/audit.h"
#include "consent/consent_internal.h"

void
pgcredit_consent_init(void)
{
	for (int k = REASON_GRANTED + 1; k <= REASON_LAST; k++)
		pgcredit_audit_name_refusal(k, pgcredit_reasons[k].code);
	pgcredit_directory_init();
	pgcredit_guard_init();
	pgcredit_self_init();
	pgcredit_plain_init();
	pgcredit_quiet_init();
}
