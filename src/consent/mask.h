/*
 * mask.h
 *		Covering fields above a clearance; in the consent room only.
 */
#ifndef PGCREDIT_CONSENT_MASK_H
#define PGCREDIT_CONSENT_MASK_H

#include "consent/consent_internal.h"
#include "utils/datum.h"
#include "utils/jsonb.h"

/* How a covered value is shown: text by its first character, a code by stars, anything else as null. */
typedef enum FieldSort
{
	FIELD_TEXT,
	FIELD_CODE,
	FIELD_OTHER
} FieldSort;

extern void pgcredit_covered_categories(const Request *request, CategorySet *set);
extern char *pgcredit_cover_text(const char *str, int len);
extern Datum pgcredit_mask_payload(Oid role, int16 category_id, Datum payload);

#endif							/* PGCREDIT_CONSENT_MASK_H */
