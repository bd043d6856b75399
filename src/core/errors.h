/*
 * errors.h
 *		SQLSTATEs of pgcredit.
 *
 * Class PC is ours.  Where the standard or PostgreSQL has a fitting code it is
 * used instead: 22P02 for a malformed identifier, 22023 for an argument out of
 * range, 55000 when the library is not preloaded, 25006 on a standby.  Every
 * code here stands in doc/reference.md; applications branch on them.
 */
#ifndef PGCREDIT_ERRORS_H
#define PGCREDIT_ERRORS_H

#include "utils/elog.h"

/* PC0: the audit log cannot take the entry, so nothing is shown (P8) */
#define ERRCODE_PGCREDIT_AUDIT_UNAVAILABLE	MAKE_SQLSTATE('P','C','0','0','1')
#define ERRCODE_PGCREDIT_AUDIT_TIMEOUT		MAKE_SQLSTATE('P','C','0','0','2')
#define ERRCODE_PGCREDIT_AUDIT_QUEUE_FULL	MAKE_SQLSTATE('P','C','0','0','3')

/* PC0, from 4: reading, signing and checking the log */
#define ERRCODE_PGCREDIT_ENTRY_DROPPED		MAKE_SQLSTATE('P','C','0','0','4')
#define ERRCODE_PGCREDIT_LOG_BEHIND			MAKE_SQLSTATE('P','C','0','0','5')
#define ERRCODE_PGCREDIT_NOT_PUBLISHED		MAKE_SQLSTATE('P','C','0','0','6')
#define ERRCODE_PGCREDIT_NOTE_INVALID		MAKE_SQLSTATE('P','C','0','0','7')

/* PC1: an access is refused; one code for each condition that can fail (P3) */
#define ERRCODE_PGCREDIT_NO_INSTITUTION		MAKE_SQLSTATE('P','C','1','0','1')
#define ERRCODE_PGCREDIT_INSTITUTION_SUSPENDED MAKE_SQLSTATE('P','C','1','0','2')
#define ERRCODE_PGCREDIT_UNKNOWN_CATEGORY	MAKE_SQLSTATE('P','C','1','0','3')
#define ERRCODE_PGCREDIT_UNKNOWN_PURPOSE	MAKE_SQLSTATE('P','C','1','0','4')
#define ERRCODE_PGCREDIT_NO_CONSENT			MAKE_SQLSTATE('P','C','1','1','0')
#define ERRCODE_PGCREDIT_CONSENT_UNCOMMITTED MAKE_SQLSTATE('P','C','1','1','1')
#define ERRCODE_PGCREDIT_CATEGORY_REFUSED	MAKE_SQLSTATE('P','C','1','1','2')
#define ERRCODE_PGCREDIT_PURPOSE_REFUSED	MAKE_SQLSTATE('P','C','1','1','3')
#define ERRCODE_PGCREDIT_CONSENT_REVOKED	MAKE_SQLSTATE('P','C','1','1','4')
#define ERRCODE_PGCREDIT_CONSENT_NOT_STARTED MAKE_SQLSTATE('P','C','1','1','5')
#define ERRCODE_PGCREDIT_CONSENT_EXPIRED	MAKE_SQLSTATE('P','C','1','1','6')
#define ERRCODE_PGCREDIT_CONSENT_PAUSED		MAKE_SQLSTATE('P','C','1','1','7')
#define ERRCODE_PGCREDIT_CONSENT_USED_UP	MAKE_SQLSTATE('P','C','1','1','8')
#define ERRCODE_PGCREDIT_BEYOND_TEMPLATE	MAKE_SQLSTATE('P','C','1','1','9')
#define ERRCODE_PGCREDIT_ACCESS_NOT_OPEN	MAKE_SQLSTATE('P','C','1','2','0')
#define ERRCODE_PGCREDIT_CONSENT_REPLACED	MAKE_SQLSTATE('P','C','1','2','1')
#define ERRCODE_PGCREDIT_TOKEN_INVALID		MAKE_SQLSTATE('P','C','1','4','0')
#define ERRCODE_PGCREDIT_TOKEN_EXPIRED		MAKE_SQLSTATE('P','C','1','4','1')
#define ERRCODE_PGCREDIT_NO_SUBJECT			MAKE_SQLSTATE('P','C','1','4','2')

/* PC13: a consent, its signature or a request for it cannot be taken */
#define ERRCODE_PGCREDIT_TEMPLATE_EXCEEDED	MAKE_SQLSTATE('P','C','1','3','0')
#define ERRCODE_PGCREDIT_SIGNATURE_REFUSED	MAKE_SQLSTATE('P','C','1','3','1')
#define ERRCODE_PGCREDIT_KEY_REFUSED		MAKE_SQLSTATE('P','C','1','3','2')
#define ERRCODE_PGCREDIT_NOT_IN_STATE		MAKE_SQLSTATE('P','C','1','3','3')
#define ERRCODE_PGCREDIT_SECOND_PERSON		MAKE_SQLSTATE('P','C','1','3','4')

/* PC2: keys */
#define ERRCODE_PGCREDIT_KEY_UNAVAILABLE	MAKE_SQLSTATE('P','C','2','0','1')
#define ERRCODE_PGCREDIT_SEAL_BROKEN		MAKE_SQLSTATE('P','C','2','0','2')

/* PC3: records and batches */
#define ERRCODE_PGCREDIT_RECORD_INVALID		MAKE_SQLSTATE('P','C','3','0','1')
#define ERRCODE_PGCREDIT_NOT_PROVIDER		MAKE_SQLSTATE('P','C','3','0','2')

/* PC4: scorecards */
#define ERRCODE_PGCREDIT_MODEL_IMMUTABLE	MAKE_SQLSTATE('P','C','4','0','1')
#define ERRCODE_PGCREDIT_MODEL_INVALID		MAKE_SQLSTATE('P','C','4','0','2')
#define ERRCODE_PGCREDIT_NO_ATTRIBUTE		MAKE_SQLSTATE('P','C','4','0','3')
#define ERRCODE_PGCREDIT_REVIEW_NEEDED		MAKE_SQLSTATE('P','C','4','0','5')
#define ERRCODE_PGCREDIT_PMML_REFUSED		MAKE_SQLSTATE('P','C','4','0','6')
#define ERRCODE_PGCREDIT_ATTRIBUTE_FORBIDDEN MAKE_SQLSTATE('P','C','4','0','7')

/* PC5: metrics and targets */
#define ERRCODE_PGCREDIT_TARGET_INVALID		MAKE_SQLSTATE('P','C','5','0','1')

#endif							/* PGCREDIT_ERRORS_H */
