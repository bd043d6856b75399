/*
 * consent_internal.h
 *		Shared between the files of the consent room only.
 */
#ifndef PGCREDIT_CONSENT_INTERNAL_H
#define PGCREDIT_CONSENT_INTERNAL_H

#include "access/genam.h"
#include "access/skey.h"
#include "executor/execdesc.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "audit/audit.h"
#include "consent/consent.h"
#include "consent/grants.h"
#include "core/compat.h"

/* Why a (subject, category) pair is not granted; part of the log: append only. */
typedef enum Reason
{
	REASON_NOT_ASKED = -1,		/* leaves nothing in the log */
	REASON_GRANTED,
	REASON_NO_INSTITUTION,
	REASON_INSTITUTION_SUSPENDED,
	REASON_UNKNOWN_PURPOSE,
	REASON_UNKNOWN_CATEGORY,
	REASON_UNKNOWN_SUBJECT,
	REASON_NO_CONSENT,
	/* conditions of a consent, in the order in which they are tested */
	REASON_CATEGORY_REFUSED,
	REASON_PURPOSE_REFUSED,
	REASON_UNCOMMITTED,
	REASON_REVOKED,
	REASON_NOT_STARTED,
	REASON_EXPIRED,
	REASON_REPLACED,
	REASON_PAUSED,
	REASON_BEYOND_TEMPLATE,
	REASON_USED_UP
} Reason;

#define REASON_LAST REASON_USED_UP

typedef struct ReasonInfo
{
	const char *code;			/* in the log and in results */
	int			sqlstate;
	const char *detail;			/* a sentence */
} ReasonInfo;

/* What a consent that grants says besides: days of the records, how often. */
typedef struct Terms
{
	DateADT		from;			/* records dated in [from, to) */
	DateADT		to;
	int32		in_all;			/* as in PgcreditUse, but for whose they are */
	int32		in_period;
	TimestampTz since;
	TimestampTz until;
} Terms;

typedef struct Decision
{
	Reason		reason;
	int			terms;			/* of the request's, when granted */
	int64		consent_id;		/* 0: public by law, or refused */
} Decision;

/* One call of open_access or read. */
typedef struct Request
{
	/* who */
	Oid			role;
	int32		institution_id; /* 0: the role is bound to none */
	char	   *actor;			/* names for the log, since they may be needed when */
	char	   *session_user;	/* nothing can be looked up any more */
	char	   *institution;	/* its code, or NULL */
	Reason		whole;			/* refuses every pair, or REASON_GRANTED */
	/* what for */
	char	   *purpose;
	TimestampTz at;				/* when the consents are checked */
	pg_uuid_t	access;
	/* categories, in the order asked, without doubles */
	int			n_categories;
	int16	   *category_ids;	/* 0 when unknown */
	char	  **category_codes;
	bool	   *category_public;
	/* subjects, in the order asked, without doubles */
	int			n_subjects;
	int64	   *subject_ids;
	bytea	  **salts;			/* NULL when unknown */
	char	   *salt_room;		/* SALT_SIZE for each, or NULL: allocated one by one */
	Decision   *decisions;		/* [subject * n_categories + category] */
	Terms	   *terms;			/* [0] is of all days and not counted */
	int			n_terms;
	int			max_terms;
	HTAB	   *terms_found;	/* NULL while there is only the first */
	bool		strict;			/* of one subject: all or nothing */
	const char *operation;		/* member of the entries, or NULL */
	int64		withheld;		/* member of the first, or -1 */
	bool		opened;			/* false: one pair was refused, so none is granted */
	uint64		first_seq;		/* lowest number of its entries, once recorded */
} Request;

/* A salt as a bytea with a short or long header, aligned. */
#define SALT_SIZE MAXALIGN(VARHDRSZ + 16)

static inline uint32
pgcredit_hash_subject(int64 subject_id)
{
	uint64		h = (uint64) subject_id * UINT64CONST(0x9e3779b97f4a7c15);

	return (uint32) (h >> 32);
}

/* directory.c */
typedef struct Institution
{
	int32		institution_id;
	Oid			role;
	const char *code;
	bool		active;
	int			clearance;		/* highest level that it sees uncovered */
} Institution;
typedef struct Category
{
	int16		category_id;
	const char *code;
	bool		public_by_law;
	int			highest;		/* level of its most sensitive field */
} Category;

/* Levels are 1 to 4; above all of them is what nobody is cleared for yet. */
#define MAX_LEVEL 4

extern void pgcredit_directory_init(void);
extern void pgcredit_directory_refresh(void);
extern const Institution *pgcredit_institution_of(Oid role);
extern const char *pgcredit_institution_code(int32 institution_id);
extern const Category *pgcredit_category(const char *code);
extern const Category *pgcredit_categories(int *n);
extern const char *pgcredit_category_code(int16 category_id);
extern int	pgcredit_category_highest(int16 category_id);
extern uint64 pgcredit_directory_version(void);
extern bool pgcredit_purpose_exists(const char *purpose);
extern bool pgcredit_any_template(void);

/* access.c */
extern const ReasonInfo pgcredit_reasons[];
extern Request *pgcredit_request_begin(const char *purpose);
extern Request *pgcredit_access_begin(FunctionCallInfo fcinfo, bool strict);
extern void pgcredit_access_finish(Request *request);

/* decide.c */
extern void pgcredit_decide(Request *request, Snapshot snapshot);

static inline bool
terms_are_counted(const Request *request, const Decision *decision)
{
	const Terms *terms = &request->terms[decision->terms];

	return terms->in_all > 0 || terms->in_period > 0;
}

/* fetch.c */
typedef struct TableScan
{
	Relation	rel;
	SysScanDesc scan;
	const AttrNumber *columns;	/* numbers of the columns asked for, in their order */
} TableScan;

/* What a kind of scan needs to know of its table; filled at first use. */
typedef struct TableInfo
{
	const char *table;
	const char *index;
	int			n_columns;
	const char *const *names;
	Oid			relid;
	Oid			indexid;
	AttrNumber	columns[20];
} TableInfo;

extern void pgcredit_scan_begin(TableScan *scan, TableInfo *info, int n_keys,
								ScanKey keys, Snapshot snapshot);
extern HeapTuple pgcredit_scan_next(TableScan *scan);
extern Datum pgcredit_scan_column(const TableScan *scan, HeapTuple tuple, int k, bool *isnull);
extern void pgcredit_scan_columns(const TableScan *scan, HeapTuple tuple, int n,
								  Datum *values, bool *nulls);
extern void pgcredit_scan_end(TableScan *scan);

/* entries.c */
extern void pgcredit_record_request(Request *request);
extern void pgcredit_record_finish(Request *request);
extern PgcreditEntry *pgcredit_build_entries(const Request *request, bool cut, int *n);
extern void pgcredit_build_bare_entry(const Request *request, const char *kind, Reason reason, PgcreditEntry *entry);

/* history.c */
extern bytea *pgcredit_subject_salt(int64 subject_id, Snapshot snapshot);

/* self.c */
extern void pgcredit_self_init(void);
extern int64 pgcredit_self_subject(void);
extern void pgcredit_self_record(const char *token, const char *kind, const char *operation,
								 const ArrayType *categories);

/* guard.c */
extern void pgcredit_guard_init(void);
extern void pgcredit_guard_apply(const Request *request);
extern bool pgcredit_guard_is_open(Oid role);
extern bool pgcredit_guard_asked_by(PlanState *state);
extern bool pgcredit_guard_asked_in(List *quals);
extern bool pgcredit_guard_may_be_asked(QueryDesc *query);
extern Oid	pgcredit_guard_table(QueryDesc *query);
extern bool pgcredit_guard_stands_in(QueryDesc *query);
pg_noreturn extern void pgcredit_guard_refuse(void);
extern bool pgcredit_grants_add_decisions(GrantSet *set, const Request *request, int s);

/* quiet.c */
extern void pgcredit_quiet_init(void);
extern void pgcredit_quiet_begin(Relation rel);
extern void pgcredit_quiet_end(Relation rel);
extern void pgcredit_quiet_enter(void);
extern void pgcredit_quiet_leave(void);

/* workers.c */
extern void pgcredit_workers_publish(const GrantSet *set, Oid role);
extern void pgcredit_workers_withdraw(void);
extern bool pgcredit_workers_find(GrantSet *set, Oid *role);

/* plain.c */
extern void pgcredit_plain_init(void);
extern bool pgcredit_plain_wanted(void);
extern bool pgcredit_plain_guard(int64 subject_id, int category_id, DateADT dated, bool whole);

#endif							/* PGCREDIT_CONSENT_INTERNAL_H */
