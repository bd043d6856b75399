/*
 * quiet.c
 *		What a query would tell about rows that it does not show: their number.
 *
 * Equality and order of numbers, days and text are leakproof to the server, so a
 * condition on such a column is looked up in an index before the guard is asked,
 * and rows of others are met and then refused.  How many were met shows in four
 * places, which are closed here for every scan that asks the guard:
 *
 * - What EXPLAIN ANALYZE counts at a scan ("Rows Removed by Filter", the rows of a
 *   bitmap, heap blocks, buffers) is set back before it is printed.
 * - The statistics of the table and its indexes: while such a scan is open they
 *   are counted in a place of our own instead of the session's, which SQL reads
 *   (pg_stat_get_xact_tuples_fetched) and everybody's later.  Only the number of
 *   scans is handed on, so that pg_stat_user_indexes still says what is used.
 * - Predicate locks of SERIALIZABLE, which pg_locks shows: the table and the index
 *   are locked whole, and then nothing is locked by the row.
 * - Estimates: the planner gets no frequent values and no histogram of a column
 *   behind the guard, only how many distinct values there are.
 *
 * Time is left, and what is counted for a whole statement (blocks in
 * pg_stat_statements).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/xact.h"
#include "catalog/pg_statistic.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "consent/consent_internal.h"
#include "core/compat.h"
#include "core/core.h"

/*
 * Where a relation is counted while guarded scans of it are open.  Never freed:
 * the server may hold a pointer to it until the transaction has ended.  A write in
 * between is counted here as well, and is lost to autovacuum's count.
 */
typedef struct QuietCounts
{
	PgStat_TableStatus status;	/* .relation: who counts here now, kept by relcache */
	int			scans;			/* open */
	struct QuietCounts *next;
} QuietCounts;

static QuietCounts *quiet_counts = NULL;
static int	quiet_scans = 0;	/* open, of all relations */
static int	quiet_sections = 0; /* of our own code, see pgcredit_quiet_enter */

static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;
static ExecutorEnd_hook_type prev_executor_end = NULL;
static get_relation_stats_hook_type prev_relation_stats = NULL;

/* ---------------------------------------------------------------------------
 * Statistics of use
 * ---------------------------------------------------------------------------
 */

static QuietCounts *
counts_of(Oid relid)
{
	QuietCounts *counts;

	for (counts = quiet_counts; counts != NULL; counts = counts->next)
		if (counts->status.PGCREDIT_STAT(id) == relid)
			return counts;
	counts = MemoryContextAllocZero(TopMemoryContext, sizeof(QuietCounts));
	counts->status.PGCREDIT_STAT(id) = relid;
	counts->next = quiet_counts;
	quiet_counts = counts;
	return counts;
}

/*
 * From now on what is met in the relation is not counted where it can be seen.
 * Each call needs one of pgcredit_quiet_end; an error makes up for it.
 */
void
pgcredit_quiet_begin(Relation rel)
{
	QuietCounts *counts = counts_of(RelationGetRelid(rel));

	counts->scans++;
	quiet_scans++;
	if (rel->pgstat_info == &counts->status)
		return;
	pgstat_unlink_relation(rel);
	counts->status.relation = rel;
	rel->pgstat_info = &counts->status;
}

void
pgcredit_quiet_end(Relation rel)
{
	QuietCounts *counts = counts_of(RelationGetRelid(rel));
	PgStat_Counter scans;

	/* an error in between, caught by who goes on, has ended it */
	if (counts->scans == 0)
		return;
	quiet_scans--;
	if (--counts->scans > 0 || counts->status.relation == NULL)
		return;
	scans = counts->status.PGCREDIT_STAT(counts).PGCREDIT_STAT(numscans);
	counts->status.PGCREDIT_STAT(counts).PGCREDIT_STAT(numscans) = 0;
	pgstat_unlink_relation(counts->status.relation);
	if (scans > 0 && pgstat_should_count_relation(rel))
		rel->pgstat_info->PGCREDIT_STAT(counts).PGCREDIT_STAT(numscans) += scans;
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE ||
		quiet_scans == 0)
		return;
	quiet_scans = 0;
	for (QuietCounts *counts = quiet_counts; counts != NULL; counts = counts->next)
	{
		counts->scans = 0;
		/* no look at the catalogue here: relcache takes itself out when it forgets a relation */
		if (counts->status.relation)
			pgstat_unlink_relation(counts->status.relation);
	}
}

/*
 * Our own code reads records for an institution, by a query that no guard stands
 * in, and drops those that are not granted.
 */
void
pgcredit_quiet_enter(void)
{
	quiet_sections++;
}

void
pgcredit_quiet_leave(void)
{
	quiet_sections--;
}

/* ---------------------------------------------------------------------------
 * Scans of a query
 * ---------------------------------------------------------------------------
 */

typedef struct ScanWalk
{
	Oid			record;
	Snapshot	snapshot;		/* for predicate locks */
	void		(*visit) (Relation rel, struct ScanWalk *walk);
	bool		met;
} ScanWalk;

static bool
is_guarded_scan(PlanState *state, Oid record)
{
	switch (nodeTag(state))
	{
		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_IndexOnlyScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
			break;
		default:
			return false;
	}
	return ((ScanState *) state)->ss_currentRelation != NULL &&
		((quiet_sections > 0 && RelationGetRelid(((ScanState *) state)->ss_currentRelation) == record) ||
		 pgcredit_guard_asked_by(state));
}

/* Below the scan of a heap by bitmap are only those of indexes and what joins them. */
static bool
walk_bitmap(PlanState *state, ScanWalk *walk)
{
	if (IsA(state, BitmapIndexScanState) && ((BitmapIndexScanState *) state)->biss_RelationDesc)
		walk->visit(((BitmapIndexScanState *) state)->biss_RelationDesc, walk);
	return planstate_tree_walker(state, walk_bitmap, walk);
}

static bool
walk_scans(PlanState *state, ScanWalk *walk)
{
	if (state == NULL)
		return false;
	if (is_guarded_scan(state, walk->record))
	{
		walk->met = true;
		if (walk->visit)
		{
			walk->visit(((ScanState *) state)->ss_currentRelation, walk);
			/* an index is not opened for a plan that is only explained */
			if (IsA(state, IndexScanState) && ((IndexScanState *) state)->iss_RelationDesc)
				walk->visit(((IndexScanState *) state)->iss_RelationDesc, walk);
			else if (IsA(state, IndexOnlyScanState) && ((IndexOnlyScanState *) state)->ioss_RelationDesc)
				walk->visit(((IndexOnlyScanState *) state)->ioss_RelationDesc, walk);
			else if (IsA(state, BitmapHeapScanState))
				(void) walk_bitmap(outerPlanState(state), walk);
		}
	}
	return planstate_tree_walker(state, walk_scans, walk);
}

/*
 * Visit the table and indexes of each guarded scan; says whether there is any.
 */
static bool
visit_scans(QueryDesc *query, void (*visit) (Relation rel, ScanWalk *walk))
{
	ScanWalk	walk = {.record = pgcredit_guard_table(query),.visit = visit};

	if (!pgcredit_guard_may_be_asked(query))
		return false;
	walk.snapshot = query->estate->es_snapshot;
	(void) walk_scans(query->planstate, &walk);
	return walk.met;
}

static void
begin_scan(Relation rel, ScanWalk *walk)
{
	pgcredit_quiet_begin(rel);
	PredicateLockRelation(rel, walk->snapshot);
}

static void
end_scan(Relation rel, ScanWalk *walk)
{
	pgcredit_quiet_end(rel);
}

static void
start_query(QueryDesc *query, int eflags)
{
	if (prev_executor_start)
		prev_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		(void) visit_scans(query, begin_scan);
}

static void
end_query(QueryDesc *query)
{
	if (quiet_scans > 0)
		(void) visit_scans(query, end_scan);
	if (prev_executor_end)
		prev_executor_end(query);
	else
		standard_ExecutorEnd(query);
}

/* ---------------------------------------------------------------------------
 * EXPLAIN ANALYZE
 * ---------------------------------------------------------------------------
 */

/* "rows": also how many the node returned, which the guard has not seen. */
static void
clear_counts(PlanState *state, bool rows)
{
	int			workers = state->worker_instrument ? state->worker_instrument->num_workers : 0;

	for (int k = -1; k < workers; k++)
	{
		Instrumentation *counted = k < 0 ? state->instrument : &state->worker_instrument->instrument[k];

		if (counted == NULL)
			continue;
		counted->nfiltered1 = counted->nfiltered2 = counted->ntuples2 = 0;
		if (rows)
			counted->ntuples = counted->tuplecount = 0;
	}
}

static bool
clear_rows(PlanState *state, void *context)
{
	clear_counts(state, true);
	return planstate_tree_walker(state, clear_rows, context);
}

static bool
clear_scans(PlanState *state, Oid *record)
{
	if (state == NULL)
		return false;
	if (is_guarded_scan(state, *record))
	{
		clear_counts(state, false);
		if (IsA(state, BitmapHeapScanState))
		{
			pgcredit_clear_heap_blocks((BitmapHeapScanState *) state);
			(void) clear_rows(outerPlanState(state), NULL);
		}
	}
	return planstate_tree_walker(state, clear_scans, record);
}

/* A node's buffers are also those of the nodes below it. */
static bool
clear_buffers(PlanState *state, void *context)
{
	int			workers = state->worker_instrument ? state->worker_instrument->num_workers : 0;

	for (int k = -1; k < workers; k++)
	{
		Instrumentation *counted = k < 0 ? state->instrument : &state->worker_instrument->instrument[k];

		if (counted == NULL)
			continue;
		memset(&counted->bufusage, 0, sizeof(BufferUsage));
		memset(&counted->walusage, 0, sizeof(WalUsage));
	}
	return planstate_tree_walker(state, clear_buffers, context);
}

static void
finish_query(QueryDesc *query)
{
	if (prev_executor_finish)
		prev_executor_finish(query);
	else
		standard_ExecutorFinish(query);
	if (query->instrument_options != 0 && visit_scans(query, NULL))
	{
		Oid			record = pgcredit_guard_table(query);

		(void) clear_scans(query->planstate, &record);
		(void) clear_buffers(query->planstate, NULL);
	}
}

/* ---------------------------------------------------------------------------
 * Estimates
 * ---------------------------------------------------------------------------
 */

static void
free_statistics(HeapTuple tuple)
{
	heap_freetuple(tuple);
}

/*
 * For a column of the table behind a policy: its statistics without values.  Plans
 * are then made as for any value of average frequency.
 */
static bool
relation_stats(PlannerInfo *root, RangeTblEntry *rte, AttrNumber attnum, VariableStatData *vardata)
{
	HeapTuple	tuple;
	Form_pg_statistic stats;

	if (prev_relation_stats && prev_relation_stats(root, rte, attnum, vardata))
		return true;
	if (rte->rtekind != RTE_RELATION || rte->securityQuals == NIL ||
		(rte->relid != pgcredit_relation_oid("record", true) && !pgcredit_guard_asked_in(rte->securityQuals)))
		return false;
	tuple = SearchSysCacheCopy3(STATRELATTINH, ObjectIdGetDatum(rte->relid), Int16GetDatum(attnum),
								BoolGetDatum(rte->inh));
	if (!HeapTupleIsValid(tuple))
		return false;
	stats = (Form_pg_statistic) GETSTRUCT(tuple);
	for (int k = 0; k < STATISTIC_NUM_SLOTS; k++)
		if ((&stats->stakind1)[k] != STATISTIC_KIND_CORRELATION)
			(&stats->stakind1)[k] = 0;
	vardata->statsTuple = tuple;
	vardata->freefunc = free_statistics;
	return true;
}

void
pgcredit_quiet_init(void)
{
	RegisterXactCallback(end_of_transaction, NULL);
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = start_query;
	prev_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_query;
	prev_executor_end = ExecutorEnd_hook;
	ExecutorEnd_hook = end_query;
	prev_relation_stats = get_relation_stats_hook;
	get_relation_stats_hook = relation_stats;
}
