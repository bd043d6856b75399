/*
 * indicator.c
 *		Running the query that an administrator registered for an indicator, and
 *		holding it to its contract.
 *
 * The query runs as the role credit_indicator, which can read nothing but the
 * views credit.record_as_of, credit.attribute_as_of and credit.subject_as_of
 * and what an administrator granted it besides.  Those views show rows only
 * while a computation runs here, and none that is dated after its day: that a
 * query cannot look into the future is a matter of what it is shown, not of how
 * it is written.  The clock is refused for the same reason.
 *
 * The contract is checked at each run, not only at registration: what a name
 * means may have changed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/core.h"
#include "rating/settings.h"

PG_FUNCTION_INFO_V1(pgcredit_indicator_check);
PG_FUNCTION_INFO_V1(pgcredit_indicator_compute);
PG_FUNCTION_INFO_V1(pgcredit_indicator_day);
PG_FUNCTION_INFO_V1(pgcredit_indicator_disputed);

#define indicator_invalid(...) \
	ereport(ERROR, (errcode(ERRCODE_PGCREDIT_INDICATOR_INVALID), __VA_ARGS__))

/* The computation under way in this backend. */
static bool computing = false;
static DateADT computed_day;
static bool disputed_left_out;

/* Functions of pg_catalog that are not volatile and still no part of a value as of a day. */
static const char *const refused_functions[] = {
	"now", "transaction_timestamp", "statement_timestamp", "current_setting"
};

typedef struct Requested
{
	int64		subject;
	bool		seen;
} Requested;

/* ---------------------------------------------------------------------------
 * The contract
 * ---------------------------------------------------------------------------
 */

static bool
function_refused(Oid function, void *context)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;
	char	   *name;
	bool		system;
	bool		ours;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	name = pstrdup(NameStr(proc->proname));
	system = proc->pronamespace == PG_CATALOG_NAMESPACE;
	ours = proc->pronamespace == pgcredit_schema_oid(false);
	if (proc->prosecdef || (!system && !ours))
		indicator_invalid(errmsg("an indicator cannot call function \"%s\"", name),
						  errdetail("It may call functions of pg_catalog, and those of pgcredit that run as the caller."));
	ReleaseSysCache(tuple);
	for (int i = 0; system && i < (int) lengthof(refused_functions); i++)
	{
		if (strcmp(name, refused_functions[i]) == 0)
			indicator_invalid(errmsg("an indicator cannot call function \"%s\"", name),
							  errdetail("Its value depends on the records and the day alone, which is $2."));
	}
	return false;
}

static void
check_relation(Oid relid)
{
	char		kind = get_rel_relkind(relid);
	bool		ours = get_rel_namespace(relid) == pgcredit_schema_oid(false);

	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP ||
		!(kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || (ours && kind == RELKIND_VIEW)))
		indicator_invalid(errmsg("an indicator cannot read \"%s\"", get_rel_name(relid)),
						  errdetail("It may read tables, and views of pgcredit. Other views read with the rights of their owner."));
}

/*
 * Raise PC420 for whatever an indicator's query may not hold.  Runs over the
 * query as parsed, before views are expanded.
 */
static bool
contract_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction))
		indicator_invalid(errmsg("an indicator cannot ask for the present time or role"),
						  errdetail("Its value depends on the records and the day alone, which is $2."));
	(void) check_functions_in_node(node, function_refused, NULL);
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		if (query->commandType != CMD_SELECT || query->hasModifyingCTE || query->rowMarks != NIL)
			indicator_invalid(errmsg("the query of an indicator only reads"),
							  errdetail("It is one SELECT that neither writes nor locks."));
		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			if (rte->rtekind == RTE_RELATION)
				check_relation(rte->relid);
		}
		return query_tree_walker(query, contract_walker, context, 0);
	}
	return expression_tree_walker(node, contract_walker, context);
}

static bool
type_fits(const char *type, Oid found)
{
	switch (found)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case FLOAT4OID:
		case FLOAT8OID:
			return strcmp(type, "number") == 0;
		case TEXTOID:
		case VARCHAROID:
			return strcmp(type, "text") == 0;
		case BOOLOID:
			return strcmp(type, "boolean") == 0;
		case DATEOID:
			return strcmp(type, "date") == 0;
		default:
			return false;
	}
}

/*
 * Parse the query and hold it to the contract.  Raises PC420, or what the parser raises.
 */
static void
check_contract(const char *sql, const char *type)
{
	static const Oid params[2] = {INT8ARRAYOID, DATEOID};
	List	   *raw = pg_parse_query(sql);
	Query	   *query;
	Oid			found[3] = {InvalidOid, InvalidOid, InvalidOid};
	int			n = 0;
	ListCell   *lc;

	if (list_length(raw) != 1)
		indicator_invalid(errmsg("an indicator has one query"), errdetail("The text has %d statements.", list_length(raw)));
	query = parse_analyze_fixedparams(linitial_node(RawStmt, raw), sql, params, 2, NULL);
	if (query->commandType != CMD_SELECT)
		indicator_invalid(errmsg("the query of an indicator only reads"),
						  errdetail("It is one SELECT that neither writes nor locks."));
	(void) contract_walker((Node *) query, NULL);
	if (contain_volatile_functions((Node *) query))
		indicator_invalid(errmsg("an indicator cannot call volatile functions"),
						  errdetail("Its value depends on the records and the day alone."));
	foreach(lc, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);

		if (entry->resjunk)
			continue;
		if (n < 3)
			found[n] = exprType((Node *) entry->expr);
		n++;
	}
	if (n != 3 || found[0] != INT8OID || found[2] != INT8ARRAYOID || !type_fits(type, found[1]))
		indicator_invalid(errmsg("the query of an indicator of type \"%s\" has the wrong columns", type),
						  errdetail("It returns three: the subject (bigint), the value (%s) and the numbers of the records used (bigint[]).",
									strcmp(type, "number") == 0 ? "integer, bigint, numeric or float8" : type));
}

/* ---------------------------------------------------------------------------
 * Running it
 * ---------------------------------------------------------------------------
 */

/*
 * Become credit_indicator with settings that make a value's text the same
 * everywhere; pgcredit_owner_end with what is saved ends it.
 */
static void
indicator_begin(PgcreditOwner *saved)
{
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	saved->guc_level = pgcredit_rating_settings();
	SetUserIdAndSecContext(get_role_oid("credit_indicator", false),
						   saved->sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

/*
 * Execute the query inside SPI as credit_indicator; its rows are in SPI_tuptable.
 */
static void
run_query(const char *sql, const char *type, Datum subjects, DateADT day, bool without_disputed)
{
	Oid			types[2] = {INT8ARRAYOID, DATEOID};
	Datum		values[2] = {subjects, DateADTGetDatum(day)};
	PgcreditOwner saved;

	if (computing)
		elog(ERROR, "an indicator is being computed already");
	indicator_begin(&saved);
	check_contract(sql, type);
	PG_TRY();
	{
		computing = true;
		computed_day = day;
		disputed_left_out = without_disputed;
		if (SPI_execute_with_args(sql, 2, types, values, NULL, true, 0) != SPI_OK_SELECT)
			elog(ERROR, "the query of an indicator returned no rows");
	}
	PG_FINALLY();
	{
		computing = false;
	}
	PG_END_TRY();
	pgcredit_owner_end(&saved);
}

static int
by_subject(const void *a, const void *b)
{
	int64		x = ((const Requested *) a)->subject;
	int64		y = ((const Requested *) b)->subject;

	return x < y ? -1 : x > y;
}

static Requested *
requested_subjects(ArrayType *array, int *n)
{
	Datum	   *subjects;
	bool	   *nulls;
	Requested  *requested;

	deconstruct_array(array, INT8OID, 8, true, TYPALIGN_DOUBLE, &subjects, &nulls, n);
	requested = palloc0(sizeof(Requested) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		requested[i].subject = nulls[i] ? 0 : DatumGetInt64(subjects[i]);
	qsort(requested, *n, sizeof(Requested), by_subject);
	return requested;
}

/*
 * A row's subject was asked for, and only once is there a row for it.
 */
static void
check_subject(Requested *requested, int n, int64 subject)
{
	Requested	key = {.subject = subject};
	Requested  *found = bsearch(&key, requested, n, sizeof(Requested), by_subject);

	if (found == NULL || found->seen)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_INDICATOR_BROKEN),
				 errmsg(found == NULL ? "an indicator returned a subject that was not asked for" :
						"an indicator returned a subject twice"),
				 errdetail("Subject %lld.", (long long) subject),
				 errhint("The query keeps to subject_id = ANY ($1) and groups by the subject.")));
	found->seen = true;
}

/*
 * The records named as used are the subjects' own, and such as the query was
 * shown.  As the owner, by primary key.
 */
static void
check_lineage(Datum *subjects, Datum *records, int n, DateADT day, bool without_disputed)
{
	Oid			types[4] = {INT8ARRAYOID, INT8ARRAYOID, DATEOID, BOOLOID};
	Datum		values[4];
	PgcreditOwner saved;

	if (n == 0)
		return;
	values[0] = PointerGetDatum(construct_array(subjects, n, INT8OID, 8, true, TYPALIGN_DOUBLE));
	values[1] = PointerGetDatum(construct_array(records, n, INT8OID, 8, true, TYPALIGN_DOUBLE));
	values[2] = DateADTGetDatum(day);
	values[3] = BoolGetDatum(without_disputed);
	pgcredit_owner_begin(&saved);
	if (SPI_execute_with_args("SELECT u.s, u.r FROM unnest($1, $2) u(s, r)"
							  " WHERE NOT EXISTS (SELECT FROM credit.record t WHERE t.subject_id = u.s AND t.record_id = u.r"
							  " AND t.dated <= $3 AND t.status IN ('active', 'disputed') AND NOT ($4 AND t.status = 'disputed'))"
							  " LIMIT 1", 4, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not check the records of an indicator");
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_INDICATOR_BROKEN),
				 errmsg("an indicator names a record that it cannot have used"),
				 errdetail("Subject %s has no record %s that counts as of this day.",
						   SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1),
						   SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2))));
	pgcredit_owner_end(&saved);
}

static int
by_number(const void *a, const void *b)
{
	int64		x = DatumGetInt64(*(const Datum *) a);
	int64		y = DatumGetInt64(*(const Datum *) b);

	return (x > y) - (x < y);
}

/*
 * The records that a row names, in order, each once: a query that is planned
 * otherwise names them in another order, and has used the same.  NULL becomes 0,
 * which no record has.
 */
static int
take_records(ArrayType *array, Datum **used)
{
	bool	   *nulls;
	int			n;
	int			kept = 0;

	deconstruct_array(array, INT8OID, 8, true, TYPALIGN_DOUBLE, used, &nulls, &n);
	for (int k = 0; k < n; k++)
		if (nulls[k])
			(*used)[k] = Int64GetDatum(0);
	qsort(*used, n, sizeof(Datum), by_number);
	for (int k = 0; k < n; k++)
		if (kept == 0 || (*used)[kept - 1] != (*used)[k])
			(*used)[kept++] = (*used)[k];
	return kept;
}

/*
 * Take the rows over: check each, keep (subject, text of the value, records).
 */
static void
take_rows(ReturnSetInfo *result, ArrayType *asked, DateADT day, bool without_disputed)
{
	SPITupleTable *table = SPI_tuptable;
	uint64		nrows = SPI_processed;
	int			n;
	Requested  *requested = requested_subjects(asked, &n);
	int			npairs = 0;
	int			room = 1024;
	Datum	   *subjects = palloc(sizeof(Datum) * room);
	Datum	   *records = palloc(sizeof(Datum) * room);

	for (uint64 k = 0; k < nrows; k++)
	{
		bool		nulls[3];
		Datum		values[3];
		Datum	   *used;
		int			nused = 0;

		for (int c = 0; c < 3; c++)
			values[c] = SPI_getbinval(table->vals[k], table->tupdesc, c + 1, &nulls[c]);
		check_subject(requested, n, nulls[0] ? 0 : DatumGetInt64(values[0]));
		if (!nulls[1])
			values[1] = CStringGetTextDatum(SPI_getvalue(table->vals[k], table->tupdesc, 2));
		if (!nulls[2])
			nused = take_records(DatumGetArrayTypeP(values[2]), &used);
		values[2] = PointerGetDatum(nused > 0 ? construct_array(used, nused, INT8OID, 8, true, TYPALIGN_DOUBLE) :
									construct_empty_array(INT8OID));
		nulls[2] = false;
		for (int u = 0; u < nused; u++)
		{
			if (npairs == room)
			{
				room *= 2;
				subjects = repalloc_huge(subjects, sizeof(Datum) * room);
				records = repalloc_huge(records, sizeof(Datum) * room);
			}
			subjects[npairs] = values[0];
			records[npairs++] = used[u];
		}
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	check_lineage(subjects, records, npairs, day, without_disputed);
}

/*
 * credit._indicator_compute(sql text, type text, subjects bigint[], as_of date,
 * without_disputed boolean) returns rows (subject_id, value text, record_ids).
 * PC420 or PC421 when the query breaks its contract.
 */
Datum
pgcredit_indicator_compute(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	PgcreditOwner forms;
	DateADT		day = PG_GETARG_DATEADT(3);
	bool		without_disputed = PG_GETARG_BOOL(4);

	InitMaterializedSRF(fcinfo, 0);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	run_query(text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)),
			  PG_GETARG_DATUM(2), day, without_disputed);
	/* texts of values under the same settings */
	indicator_begin(&forms);
	SetUserIdAndSecContext(forms.userid, forms.sec_context);
	take_rows(result, PG_GETARG_ARRAYTYPE_P(2), day, without_disputed);
	pgcredit_owner_end(&forms);
	SPI_finish();
	return (Datum) 0;
}

/*
 * credit._indicator_check(sql text, type text) returns void: raise unless the
 * query keeps the contract and its role may run it.
 */
Datum
pgcredit_indicator_check(PG_FUNCTION_ARGS)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	run_query(text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)),
			  PointerGetDatum(construct_empty_array(INT8OID)), 0, false);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * credit._indicator_day() returns date: NULL while nothing is computed, so that
 * the views show nothing then.
 */
Datum
pgcredit_indicator_day(PG_FUNCTION_ARGS)
{
	if (!computing)
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(computed_day);
}

/*
 * credit._indicator_shows_disputed() returns boolean
 */
Datum
pgcredit_indicator_disputed(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(computing && !disputed_left_out);
}
