/*
 * consent_internal.h
 *		Shared between the files of the consent room only.
 */
#ifndef PGCREDIT_CONSENT_INTERNAL_H
#define PGCREDIT_CONSENT_INTERNAL_H

#include "access/genam.h"
#include "access/skey.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "consent/consent.h"

/* A set of categories; category_id is 1 to 127 (credit.category checks it). */
#define MAX_CATEGORY 127
typedef struct CategorySet
{
	uint64		words[2];
} CategorySet;

static inline bool
category_set_has(const CategorySet *set, int id)
{
	return (set->words[id >> 6] >> (id & 63)) & 1;
}

static inline void
category_set_add(CategorySet *set, int id)
{
	set->words[id >> 6] |= UINT64CONST(1) << (id & 63);
}

static inline void
category_set_remove(CategorySet *set, int id)
{
	set->words[id >> 6] &= ~(UINT64CONST(1) << (id & 63));
}

/* Why a (subject, category) pair is not granted; part of the log: append only. */
typedef enum Reason
{
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
	REASON_EXPIRED
} Reason;

typedef struct ReasonInfo
{
	const char *code;			/* in the log and in results */
	int			sqlstate;
	const char *detail;			/* a sentence */
} ReasonInfo;

typedef struct Decision
{
	Reason		reason;
	int64		consent_id;		/* 0: public by law, or refused */
} Decision;

/* One call of open_access or read. */
typedef struct Request
{
	/* who */
	Oid			role;
	int32		institution_id; /* 0: the role is bound to none */
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
	Decision   *decisions;		/* [subject * n_categories + category] */
	bool		opened;			/* false: one pair was refused, so none is granted */
	uint64		first_seq;		/* lowest number of its entries, once recorded */
} Request;

/* A subject's place in the request, found by its id. */
typedef struct SubjectPlace
{
	int64		subject_id;
	int			place;
} SubjectPlace;

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
extern const char *pgcredit_category_code(int16 category_id);
extern int	pgcredit_category_highest(int16 category_id);
extern uint64 pgcredit_directory_version(void);
extern bool pgcredit_purpose_exists(const char *purpose);

/* access.c */
extern const ReasonInfo pgcredit_reasons[];
extern Request *pgcredit_access_begin(FunctionCallInfo fcinfo, bool strict);
extern void pgcredit_access_finish(Request *request);

/* decide.c */
extern void pgcredit_decide(Request *request, HTAB *places);

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
	AttrNumber	columns[12];
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

/* history.c */
extern bytea *pgcredit_subject_salt(int64 subject_id, Snapshot snapshot);

/* guard.c */
extern void pgcredit_guard_init(void);
extern void pgcredit_guard_apply(const Request *request);

#endif							/* PGCREDIT_CONSENT_INTERNAL_H */
