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

#include "catalog/pg_type.h"
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
static Oid	watched[3];			/* institution, category, purpose */
static Oid	institution_role = InvalidOid;	/* whose is held; Oid, or InvalidOid */
static Institution institution;
static int	n_categories = 0;
static Category *categories = NULL;
static int	n_purposes = 0;
static char **purposes = NULL;

static void
note_change(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == watched[0] || relid == watched[1] || relid == watched[2])
		stale = true;
}

void
pgcredit_directory_init(void)
{
	CacheRegisterRelcacheCallback(note_change, (Datum) 0);
}

/*
 * Run a query as the owner of the extension with the latest snapshot.  SPI
 * leaves its own memory context current; the caller's is put back.
 */
static void
query(const char *sql, Oid argtype, Datum arg)
{
	MemoryContext context = CurrentMemoryContext;
	PgcreditOwner saved;
	int			ret;

	pgcredit_owner_begin(&saved);
	PushActiveSnapshot(GetLatestSnapshot());
	ret = SPI_execute_with_args(sql, OidIsValid(argtype) ? 1 : 0, &argtype, &arg, NULL, true, 0);
	PopActiveSnapshot();
	pgcredit_owner_end(&saved);
	MemoryContextSwitchTo(context);
	if (ret != SPI_OK_SELECT)
		elog(ERROR, "query failed: %s", SPI_result_code_string(ret));
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

static void
load_lists(void)
{
	query("SELECT category_id::bigint, code, public_by_law FROM credit.category", InvalidOid, 0);
	n_categories = SPI_processed;
	categories = MemoryContextAllocZero(directory, Max(1, n_categories) * sizeof(Category));
	for (int k = 0; k < n_categories; k++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[k];
		bool		isnull;

		categories[k].category_id = (int16) int_column(tuple, 1);
		categories[k].code = keep_text(tuple, 2);
		categories[k].public_by_law =
			DatumGetBool(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 3, &isnull));
	}
	query("SELECT code FROM credit.purpose", InvalidOid, 0);
	n_purposes = SPI_processed;
	purposes = MemoryContextAllocZero(directory, Max(1, n_purposes) * sizeof(char *));
	for (int k = 0; k < n_purposes; k++)
		purposes[k] = keep_text(SPI_tuptable->vals[k], 1);
}

/*
 * Bring the lists up to date with everything committed before this call.  The
 * caller is connected to SPI.
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
	institution_role = InvalidOid;
	n_categories = n_purposes = 0;
	watched[0] = pgcredit_relation_oid("institution", false);
	watched[1] = pgcredit_relation_oid("category", false);
	watched[2] = pgcredit_relation_oid("purpose", false);
	stale = false;
	PG_TRY();
	{
		load_lists();
	}
	PG_CATCH();
	{
		stale = true;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * The institution bound to the role, or NULL.  Only institutions are held, so
 * a role that is bound later is found.
 */
const Institution *
pgcredit_institution_of(Oid role)
{
	HeapTuple	tuple;

	if (institution_role == role && !stale)
		return &institution;
	query("SELECT institution_id::bigint, (status = 'active')::int::bigint, code"
		  " FROM credit.institution WHERE db_role = $1",
		  REGROLEOID, ObjectIdGetDatum(role));
	if (SPI_processed == 0)
		return NULL;
	tuple = SPI_tuptable->vals[0];
	institution.institution_id = (int32) int_column(tuple, 1);
	institution.active = int_column(tuple, 2) == 1;
	institution.code = keep_text(tuple, 3);
	institution_role = role;
	return &institution;
}

const Category *
pgcredit_category(const char *code)
{
	for (int k = 0; k < n_categories; k++)
		if (strcmp(categories[k].code, code) == 0)
			return &categories[k];
	return NULL;
}

const char *
pgcredit_category_code(int16 category_id)
{
	for (int k = 0; k < n_categories; k++)
		if (categories[k].category_id == category_id)
			return categories[k].code;
	return NULL;
}

bool
pgcredit_purpose_exists(const char *purpose)
{
	for (int k = 0; k < n_purposes; k++)
		if (strcmp(purposes[k], purpose) == 0)
			return true;
	return false;
}
