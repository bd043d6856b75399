/*
 * directory.c
 *		What opening access needs to know of institutions, categories and
 *		purposes, kept by each session.
 *
 * These tables change seldom and are asked at every access.  Statement
 * triggers on them (audit/outbox.c) send a relation cache invalidation with
 * the commit, so a change binds every access opened after it, and a session
 * that holds nothing newer asks the tables again, with the latest snapshot.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "consent/consent_internal.h"
#include "core/core.h"

static MemoryContext directory = NULL;
static bool stale = true;
static Oid	watched[4];			/* institution, category, purpose, consent_template */
static int	n_institutions = 0;
static Institution *institutions = NULL;
static int	n_categories = 0;
static Category *categories = NULL;
static int	n_purposes = 0;
static char **purposes = NULL;
static bool any_template = false;
static uint64 version = 0;		/* how often the lists were read */

static void
note_change(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == watched[0] || relid == watched[1] || relid == watched[2] || relid == watched[3])
		stale = true;
}

void
pgcredit_directory_init(void)
{
	CacheRegisterRelcacheCallback(note_change, (Datum) 0);
}

/*
 * Run a query as the owner of the extension with the latest snapshot.
 */
static uint64
query(const char *sql)
{
	PgcreditOwner saved;
	int			ret;

	pgcredit_owner_begin(&saved);
	PushActiveSnapshot(GetLatestSnapshot());
	ret = SPI_execute(sql, true, 0);
	PopActiveSnapshot();
	pgcredit_owner_end(&saved);
	if (ret != SPI_OK_SELECT)
		elog(ERROR, "query failed: %s", SPI_result_code_string(ret));
	return SPI_processed;
}

static char *
keep_text(HeapTuple tuple, int column)
{
	char	   *value = SPI_getvalue(tuple, SPI_tuptable->tupdesc, column);

	return value ? MemoryContextStrdup(directory, value) : NULL;
}

static int64
int_column(HeapTuple tuple, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/*
 * Did this transaction write the row, so that it may still be rolled back?
 * What such a row permits does not count yet.
 */
static bool
is_uncommitted(HeapTuple tuple, int xmin_column)
{
	bool		isnull;
	Datum		xmin = SPI_getbinval(tuple, SPI_tuptable->tupdesc, xmin_column, &isnull);

	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
}

static void *
new_list(int n, Size size)
{
	return MemoryContextAllocZero(directory, Max(1, n) * size);
}

static void
load_lists(void)
{
	int			n;

	n = query("SELECT institution_id::bigint, (status = 'active')::int::bigint, db_role::oid::bigint, code, xmin,"
			  " clearance::bigint FROM credit.institution");
	institutions = new_list(n, sizeof(Institution));
	for (int k = 0; k < n; k++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[k];

		institutions[k].institution_id = (int32) int_column(tuple, 1);
		institutions[k].active = int_column(tuple, 2) == 1;
		institutions[k].role = is_uncommitted(tuple, 5) ? InvalidOid : (Oid) int_column(tuple, 3);
		institutions[k].code = keep_text(tuple, 4);
		institutions[k].clearance = (int) int_column(tuple, 6);
	}
	n_institutions = n;

	n = query("SELECT category_id::bigint, public_by_law::int::bigint, code, xmin,"
			  " greatest(level, (SELECT max((f.value -> 'level')::smallint)"
			  " FROM jsonb_each(schema -> 'fields') f))::bigint FROM credit.category");
	categories = new_list(n, sizeof(Category));
	for (int k = 0; k < n; k++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[k];

		categories[k].category_id = (int16) int_column(tuple, 1);
		categories[k].public_by_law = int_column(tuple, 2) == 1 && !is_uncommitted(tuple, 4);
		categories[k].code = keep_text(tuple, 3);
		categories[k].highest = is_uncommitted(tuple, 4) ? MAX_LEVEL + 1 : (int) int_column(tuple, 5);
	}
	n_categories = n;

	n = query("SELECT code FROM credit.purpose");
	purposes = new_list(n, sizeof(char *));
	for (int k = 0; k < n; k++)
		purposes[k] = keep_text(SPI_tuptable->vals[k], 1);
	n_purposes = n;
	any_template = query("SELECT FROM credit.consent_template LIMIT 1") > 0;
}

/*
 * Bring the lists up to date with everything committed before this call.  The
 * mark is taken back first: a change that arrives while the lists are read
 * sets it again.  So does the end of this transaction, if it wrote them.
 */
void
pgcredit_directory_refresh(void)
{
	AcceptInvalidationMessages();
	if (!stale)
		return;
	if (directory == NULL)
		directory = AllocSetContextCreate(TopMemoryContext, "pgcredit directory",
										  ALLOCSET_SMALL_SIZES);
	MemoryContextReset(directory);
	n_institutions = n_categories = n_purposes = 0;
	watched[0] = pgcredit_relation_oid("institution", false);
	watched[1] = pgcredit_relation_oid("category", false);
	watched[2] = pgcredit_relation_oid("purpose", false);
	watched[3] = pgcredit_relation_oid("consent_template", false);
	version++;
	stale = false;
	PG_TRY();
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		load_lists();
		SPI_finish();
	}
	PG_CATCH();
	{
		stale = true;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * The institution bound to the role, or NULL.
 */
const Institution *
pgcredit_institution_of(Oid role)
{
	for (int k = 0; k < n_institutions; k++)
		if (institutions[k].role == role)
			return &institutions[k];
	return NULL;
}

const char *
pgcredit_institution_code(int32 institution_id)
{
	for (int k = 0; k < n_institutions; k++)
		if (institutions[k].institution_id == institution_id)
			return institutions[k].code;
	return NULL;
}

const Category *
pgcredit_category(const char *code)
{
	for (int k = 0; k < n_categories; k++)
		if (strcmp(categories[k].code, code) == 0)
			return &categories[k];
	return NULL;
}

/*
 * All of them, until the next refresh.
 */
const Category *
pgcredit_categories(int *n)
{
	*n = n_categories;
	return categories;
}

const char *
pgcredit_category_code(int16 category_id)
{
	for (int k = 0; k < n_categories; k++)
		if (categories[k].category_id == category_id)
			return categories[k].code;
	return NULL;
}

/*
 * The level of the category's most sensitive field; above all levels when there
 * is no such category.
 */
int
pgcredit_category_highest(int16 category_id)
{
	for (int k = 0; k < n_categories; k++)
		if (categories[k].category_id == category_id)
			return categories[k].highest;
	return MAX_LEVEL + 1;
}

/*
 * Another number whenever the lists were read again.
 */
uint64
pgcredit_directory_version(void)
{
	return version;
}

bool
pgcredit_purpose_exists(const char *purpose)
{
	for (int k = 0; k < n_purposes; k++)
		if (strcmp(purposes[k], purpose) == 0)
			return true;
	return false;
}

/*
 * Are there templates that may bind a consent?
 */
bool
pgcredit_any_template(void)
{
	return any_template;
}
