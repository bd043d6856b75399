/*
 * rate_all.c
 *		credit.rate_all: many subjects in batches, each a transaction.
 *
 * A procedure in C because it commits and must not depend on its caller's
 * search_path: what it runs is written with schemas and operators of pg_catalog.
 * It runs as the caller, who alone reads the source; the functions that it hands
 * rows to run as the owner.  What has been done stands in credit.rating_batch, so
 * whoever goes on with a run needs nothing from who began it.
 *
 * Workers are processes of the caller's role that take batches of the same run,
 * as another session that goes on with the run would.  The source is read under
 * the settings of settings.c by all of them, not under the caller's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "core/core.h"
#include "rating/settings.h"

PG_FUNCTION_INFO_V1(pgcredit_rate_all);
PG_FUNCTION_INFO_V1(pgcredit_row_subject);

PGDLLEXPORT void pgcredit_rate_all_worker_main(Datum arg);

#define MAX_WORKERS 64

enum
{
	ARG_MODEL, ARG_SOURCE, ARG_AS_OF, ARG_BATCH_SIZE, ARG_SKIP, ARG_WITHOUT_DISPUTED, ARG_KINDS, ARG_WORKERS, ARG_RUN, NARGS
};

typedef struct Run
{
	int64		id;
	char	   *source;			/* NULL: subjects by their indicators */
	int32		batch_size;
	bool		planned;
} Run;

/* What a worker is told, in bgw_extra. */
typedef struct WorkerOrder
{
	Oid			role;
	int64		run;
} WorkerOrder;

/*
 * credit._row_subject("row" record) returns bigint: its column subject_id.
 *
 * Not written in SQL: rows come from a caller's table into a function that runs
 * as the owner, and a cast of a type of the caller's would run the caller's code
 * there.  42703 without the column, 42804 unless it is an integer.
 */
Datum
pgcredit_row_subject(PG_FUNCTION_ARGS)
{
	HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row), HeapTupleHeaderGetTypMod(row));
	int			column = 0;
	Oid			type = InvalidOid;
	Datum		value;
	bool		isnull;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), "subject_id") == 0)
		{
			column = i + 1;
			type = att->atttypid;
		}
	}
	ReleaseTupleDesc(desc);
	if (column == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the rows to be rated have no column \"subject_id\"")));
	if (type != INT8OID && type != INT4OID && type != INT2OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"subject_id\" of the rows to be rated is of type %s", format_type_be(type)),
				 errhint("It must be smallint, integer or bigint.")));
	value = GetAttributeByNum(row, column, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_INT64(type == INT8OID ? DatumGetInt64(value) : type == INT4OID ? DatumGetInt32(value) : DatumGetInt16(value));
}

static Datum
result(int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, isnull);
}

/*
 * Open the run, or that which is to be gone on with.
 */
static void
open_run(FunctionCallInfo fcinfo, Run *run)
{
	Oid			types[NARGS - 1] = {TEXTOID, REGCLASSOID, DATEOID, INT4OID, BOOLOID, BOOLOID, TEXTARRAYOID, INT8OID};
	static const int places[NARGS - 1] = {ARG_MODEL, ARG_SOURCE, ARG_AS_OF, ARG_BATCH_SIZE, ARG_SKIP, ARG_WITHOUT_DISPUTED, ARG_KINDS, ARG_RUN};
	Datum		values[NARGS - 1];
	char		nulls[NARGS];
	bool		isnull;

	for (int i = 0; i < NARGS - 1; i++)
	{
		nulls[i] = PG_ARGISNULL(places[i]) ? 'n' : ' ';
		values[i] = PG_GETARG_DATUM(places[i]);
	}
	nulls[NARGS - 1] = '\0';
	if (SPI_execute_with_args("SELECT o.run, o.reads, o.planned, o.size FROM credit._rating_open($1, $2, $3, $4, $5, $6, $7, $8) o",
							  NARGS - 1, types, values, nulls, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not open a rating run");
	run->id = DatumGetInt64(result(1, &isnull));
	run->source = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	run->planned = DatumGetBool(result(3, &isnull));
	run->batch_size = DatumGetInt32(result(4, &isnull));
}

/*
 * Run what reads the source.  Settings end with this query, since a commit would
 * end them.
 */
static void
read_source(const char *query, int nargs, Oid *types, Datum *values, const char *failure)
{
	int			level = pgcredit_rating_settings();

	if (SPI_execute_with_args(query, nargs, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "%s", failure);
	AtEOXact_GUC(true, level);
}

/*
 * Cut the subjects into ranges.  The source is read as the caller.
 */
static void
plan_run(const Run *run)
{
	Oid			types[2] = {INT8OID, INT4OID};
	Datum		values[2] = {Int64GetDatum(run->id), Int32GetDatum(run->batch_size)};
	char	   *query = "SELECT credit._rating_plan($1, NULL, NULL, NULL, false)";

	if (run->source != NULL)
		query = psprintf("SELECT credit._rating_plan($1, pg_catalog.array_agg(b.low ORDER BY b.low), pg_catalog.array_agg(b.high ORDER BY b.low),"
						 " pg_catalog.array_agg(b.n ORDER BY b.low), pg_catalog.bool_or(b.twice))"
						 " FROM (SELECT pg_catalog.min(g.id) AS low, pg_catalog.max(g.id) AS high, CAST(pg_catalog.count(*) AS integer) AS n,"
						 "              pg_catalog.bool_or(g.twice OR g.id IS NULL) AS twice"
						 "         FROM (SELECT t.id, (pg_catalog.row_number() OVER o OPERATOR(pg_catalog.-) CAST(1 AS bigint)) OPERATOR(pg_catalog./) CAST($2 AS bigint) AS b,"
						 "                      COALESCE(pg_catalog.lag(t.id) OVER o OPERATOR(pg_catalog.=) t.id, false) AS twice"
						 "                 FROM (SELECT CAST(s.subject_id AS bigint) AS id FROM %s s) t"
						 "               WINDOW o AS (ORDER BY t.id)) g GROUP BY g.b) b", run->source);
	read_source(query, run->source != NULL ? 2 : 1, types, values, "could not plan a rating run");
}

/*
 * Do one batch in the present transaction; false when none is left to take.
 */
static bool
do_batch(const Run *run)
{
	Oid			types[4] = {INT8OID, INT4OID, INT8OID, INT8OID};
	Datum		values[4] = {Int64GetDatum(run->id)};
	bool		isnull;
	char	   *query = "SELECT credit._rating_take_subjects($1, $2)";

	if (SPI_execute_with_args("SELECT c.batch_no, c.low, c.high FROM credit._rating_claim($1) c",
							  1, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not take a batch");
	if (SPI_processed == 0)
		return false;
	for (int i = 1; i < 4; i++)
		values[i] = result(i, &isnull);
	if (run->source != NULL)
		query = psprintf("SELECT credit._rating_take_rows($1, $2, (SELECT pg_catalog.array_agg(q.t) FROM (SELECT t FROM %s t"
						 " WHERE t.subject_id OPERATOR(pg_catalog.>=) $3 AND t.subject_id OPERATOR(pg_catalog.<=) $4) q))", run->source);
	read_source(query, run->source != NULL ? 4 : 2, types, values, "could not rate a batch");
	return true;
}

static int64
close_run(const Run *run)
{
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(run->id)};
	bool		isnull;

	if (SPI_execute_with_args("SELECT credit._rating_close($1)", 1, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not close a rating run");
	return DatumGetInt64(result(1, &isnull));
}

/* ---------------------------------------------------------------------------
 * Workers
 * ---------------------------------------------------------------------------
 */

static int
start_workers(const Run *run, int n, BackgroundWorkerHandle **handles)
{
	WorkerOrder order = {.role = GetUserId(), .run = run->id};
	BackgroundWorker worker;
	int			started = 0;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	worker.bgw_notify_pid = MyProcPid;
	memcpy(worker.bgw_extra, &order, sizeof(order));
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "pgcredit");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "pgcredit_rate_all_worker_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "pgcredit rate_all run " INT64_FORMAT, run->id);
	snprintf(worker.bgw_type, BGW_MAXLEN, "pgcredit rate_all");
	while (started < n && RegisterDynamicBackgroundWorker(&worker, &handles[started]))
		started++;
	if (started < n)
		ereport(NOTICE,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("%d of %d workers could be started", started, n),
				 errhint("Raise max_worker_processes.")));
	return started;
}

void
pgcredit_rate_all_worker_main(Datum arg)
{
	WorkerOrder order;
	Run			run = {0};
	Oid			types[1] = {INT8OID};
	Datum		values[1];
	bool		more = true;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), order.role, 0);
	run.id = order.run;
	values[0] = Int64GetDatum(run.id);
	while (more)
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		pgstat_report_activity(STATE_RUNNING, "CALL credit.rate_all");
		if (SPI_connect() != SPI_OK_CONNECT ||
			SPI_execute_with_args("SELECT o.reads FROM credit._rating_open(NULL, NULL, NULL, NULL, NULL, NULL, NULL, $1) o",
								  1, types, values, NULL, false, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not open a rating run");
		run.source = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		more = do_batch(&run);
		SPI_finish();
		PopActiveSnapshot();
		CommitTransactionCommand();
		pgstat_report_stat(true);
	}
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* ---------------------------------------------------------------------------
 * The procedure
 * ---------------------------------------------------------------------------
 */

static void
do_batches(const Run *run)
{
	while (do_batch(run))
	{
		SPI_freetuptable(SPI_tuptable);
		SPI_commit();
		CHECK_FOR_INTERRUPTS();
	}
	SPI_commit();
}

/*
 * Work until no batch is left, wait for the workers, and do what one of them
 * had taken and failed to do, so that its error becomes the caller's.
 */
static void
work(const Run *run, int n)
{
	BackgroundWorkerHandle *handles[MAX_WORKERS];
	volatile int started = 0;

	PG_TRY();
	{
		started = start_workers(run, n, handles);
		do_batches(run);
		for (int i = 0; i < started; i++)
			(void) WaitForBackgroundWorkerShutdown(handles[i]);
		if (started > 0)
			do_batches(run);
	}
	PG_CATCH();
	{
		for (int i = 0; i < started; i++)
			TerminateBackgroundWorker(handles[i]);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * CALL credit.rate_all(model text, source regclass, as_of date, batch_size integer,
 * skip_unchanged boolean, without_disputed boolean, kinds text[], workers integer,
 * INOUT run_id bigint).  25001 in a transaction block, 0A000 for workers that cannot
 * read the source, PC422 for a run that cannot be gone on with, PC424 where a model
 * reads what is no indicator.
 */
Datum
pgcredit_rate_all(PG_FUNCTION_ARGS)
{
	Run			run = {0};
	int			workers = PG_ARGISNULL(ARG_WORKERS) ? 0 : PG_GETARG_INT32(ARG_WORKERS);
	TupleDesc	desc;
	Datum		value;
	bool		isnull = false;

	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) || castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("credit.rate_all commits each batch and cannot run in a transaction block")));
	if (workers < 0 || workers > MAX_WORKERS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("workers must be between 0 and %d", MAX_WORKERS)));
	if (workers > 0 && !PG_ARGISNULL(ARG_SOURCE) && get_rel_persistence(PG_GETARG_OID(ARG_SOURCE)) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("workers cannot read the temporary table or view \"%s\"", get_rel_name(PG_GETARG_OID(ARG_SOURCE))),
				 errhint("Use no workers, or a permanent table.")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	open_run(fcinfo, &run);
	if (!run.planned)
		plan_run(&run);
	SPI_commit();
	work(&run, workers);
	(void) close_run(&run);
	SPI_finish();
	value = Int64GetDatum(run.id);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, &value, &isnull)));
}
