/*
 * guard.c
 *		The access set of a transaction, and the function that row-level security
 *		asks about each row.
 *
 * The set holds the (subject, category) pairs granted in this transaction to
 * one role, with the days of records that each is for.  It is filled only after
 * the entries are durable, belongs to the role that opened access, and ends with
 * the transaction; a savepoint that is rolled back does not shrink it, since what
 * was recorded was granted; a later refusal does.  The policy on credit.record
 * asks it and nothing else: one probe of a table in memory for each row, none
 * when the row has the same subject as the one before.
 *
 * Where nothing was opened, a statement may open by itself: see plain.c.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "consent/consent_internal.h"
#include "consent/mask.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_guard);
PG_FUNCTION_INFO_V1(pgcredit_guard_masked);
PG_FUNCTION_INFO_V1(pgcredit_guard_support);

static GrantSet *access_set = NULL; /* in TopTransactionContext */
static Oid	access_role = InvalidOid;	/* whose set it is */
static bool published = false;	/* parallel workers find it as it is */
static GrantSet leaders_set;	/* in a parallel worker */

/* The subject asked about last. */
static int64 last_subject;
static uint32 last_clause;
static bool last_known = false;

static ExecutorStart_hook_type prev_executor_start = NULL;

static void
forget_access(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			access_set = NULL;
			access_role = InvalidOid;
			published = last_known = false;
			pgcredit_workers_withdraw();
			break;
		default:
			break;
	}
}

/*
 * A plan that may run in parallel is about to: its workers are to find the set.
 */
static void
before_statement(QueryDesc *query, int eflags)
{
	if (query->plannedstmt->parallelModeNeeded && access_set && !published && !IsParallelWorker())
	{
		pgcredit_workers_publish(access_set, access_role);
		published = true;
	}
	if (prev_executor_start)
		prev_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

void
pgcredit_guard_init(void)
{
	RegisterXactCallback(forget_access, NULL);
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = before_statement;
}

bool
pgcredit_guard_is_open(Oid role)
{
	return access_set != NULL && access_role == role;
}

/*
 * Add to the set what the request grants of its s-th subject; false if that is
 * nothing.
 */
bool
pgcredit_grants_add_decisions(GrantSet *set, const Request *r, int s)
{
	const Decision *d = &r->decisions[(Size) s * r->n_categories];
	bool		any = false;

	for (int c = 0; c < r->n_categories; c++)
	{
		const Terms *terms = &r->terms[d[c].terms];
		CategorySet same = {{0, 0}};
		bool		first = d[c].reason == REASON_GRANTED;

		/* categories with the same range of days at once, at the first of them */
		for (int k = 0; k < r->n_categories && first; k++)
		{
			const Terms *other = &r->terms[d[k].terms];

			if (d[k].reason != REASON_GRANTED || other->from != terms->from || other->to != terms->to)
				continue;
			if (k < c)
				first = false;
			else
				category_set_add(&same, r->category_ids[k]);
		}
		if (first)
			pgcredit_grants_add(set, r->subject_ids[s], &same, terms->from, terms->to);
		any |= first;
	}
	return any;
}

/*
 * Bring the set of this transaction to what the request decided: what it was
 * granted goes in, unless "opened" is false, and what it was refused goes out,
 * also if an earlier request was granted it.  A role that opens access after
 * another did starts a set of its own.
 */
void
pgcredit_guard_apply(const Request *request)
{
	if (access_set == NULL || access_role != request->role)
	{
		access_set = pgcredit_grants_create(TopTransactionContext, request->n_subjects);
		access_role = request->role;
	}
	for (int s = 0; s < request->n_subjects; s++)
	{
		const Decision *d = &request->decisions[(Size) s * request->n_categories];
		CategorySet refused = {{0, 0}};
		bool		any = false;

		for (int c = 0; c < request->n_categories; c++)
			if (d[c].reason > REASON_GRANTED && request->category_ids[c] != 0)
			{
				category_set_add(&refused, request->category_ids[c]);
				any = true;
			}
		if (any)
			pgcredit_grants_remove(access_set, request->subject_ids[s], &refused);
		if (request->opened)
			pgcredit_grants_add_decisions(access_set, request, s);
	}
	pgcredit_covered_categories(request, &access_set->covered);
	published = last_known = false;
}

/*
 * Raise PC120.
 */
void
pgcredit_guard_refuse(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PGCREDIT_ACCESS_NOT_OPEN),
			 errmsg("no access is open for role \"%s\" in this transaction",
					GetUserNameFromId(GetUserId(), true)),
			 errhint("Call credit.open_access() in the same transaction first, or credit.read(), or set pgcredit.purpose.")));
}

/*
 * No set of this role's is at hand: in a parallel worker it is the leader's.
 * Returns false when there is none, and plain.c answers.
 */
static bool
find_set(void)
{
	if (IsParallelWorker())
	{
		if (pgcredit_workers_find(&leaders_set, &access_role) && access_role == GetUserId())
		{
			access_set = &leaders_set;
			last_known = false;
			return true;
		}
	}
	return false;
}

/*
 * May the current role see a row of this subject, category and day now?  "whole":
 * with all its fields, also those above its clearance.
 */
static inline bool
is_granted(FunctionCallInfo fcinfo, bool whole)
{
	int64		subject_id = PG_GETARG_INT64(0);
	int			category_id = PG_GETARG_INT16(1);
	DateADT		dated = PG_GETARG_DATEADT(2);

	if (unlikely(category_id < 0 || category_id > MAX_CATEGORY))
		category_id = 0;		/* nobody's */
	if (unlikely(access_set == NULL || access_role != GetUserId()) && !find_set())
		return pgcredit_plain_guard(subject_id, category_id, dated, whole);
	if (subject_id != last_subject || !last_known)
	{
		last_clause = pgcredit_grants_of(access_set, subject_id);
		last_subject = subject_id;
		last_known = true;
	}
	if (whole && category_set_has(&access_set->covered, category_id))
		return false;
	return pgcredit_grants_allow(access_set, last_clause, category_id, dated);
}

/*
 * credit.guard(subject_id bigint, category_id smallint, dated date) returns
 * boolean: is the row the current role's to see, as it is?
 */
Datum
pgcredit_guard(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_granted(fcinfo, true));
}

/*
 * credit._guard_masked(subject_id bigint, category_id smallint, dated date)
 * returns boolean: the same for who covers the fields above the role's clearance.
 */
Datum
pgcredit_guard_masked(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_granted(fcinfo, false));
}

/*
 * credit._guard_support(internal): the planner takes a boolean function for one
 * that a third of the rows pass, and then prefers a bitmap for a point read.  Who
 * asks for rows mostly asks for those that were opened: plans are as they would be
 * without the guard.
 */
Datum
pgcredit_guard_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (!IsA(request, SupportRequestSelectivity))
		PG_RETURN_POINTER(NULL);
	((SupportRequestSelectivity *) request)->selectivity = 1.0;
	PG_RETURN_POINTER(request);
}

/* ---------------------------------------------------------------------------
 * Statements that will ask the guard
 * ---------------------------------------------------------------------------
 */

/*
 * What a plan is searched for, at the start of each query: found by name once, and
 * again when a table, a function or a schema has changed.
 */
typedef struct Sought
{
	bool		found;
	Oid			record;			/* InvalidOid without the extension */
	Oid			guards[2];
} Sought;

static Sought sought;

static void
forget_sought(Datum arg, int cache, uint32 hash)
{
	sought.found = false;
}

static Oid
guard_oid(const char *name, Oid schema)
{
	Oid			types[3] = {INT8OID, INT2OID, DATEOID};

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
						   PointerGetDatum(buildoidvector(types, lengthof(types))), ObjectIdGetDatum(schema));
}

static const Sought *
seek(void)
{
	static bool watched = false;
	Oid			schema;

	if (sought.found)
		return &sought;
	if (!watched)
	{
		CacheRegisterSyscacheCallback(RELNAMENSP, forget_sought, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCNAMEARGSNSP, forget_sought, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACENAME, forget_sought, (Datum) 0);
		watched = true;
	}
	/* before looking: a change that comes in meanwhile is not missed */
	sought.found = true;
	schema = pgcredit_schema_oid(true);
	sought.record = pgcredit_relation_oid("record", true);
	sought.guards[0] = OidIsValid(schema) ? guard_oid("guard", schema) : InvalidOid;
	sought.guards[1] = OidIsValid(schema) ? guard_oid("_guard_masked", schema) : InvalidOid;
	return &sought;
}

static bool
calls_guard(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr))
	{
		const Sought *s = context;
		Oid			function = ((FuncExpr *) node)->funcid;

		if (function == s->guards[0] || function == s->guards[1])
			return true;
	}
	return expression_tree_walker(node, calls_guard, context);
}

/*
 * Does this node of a plan ask the guard?
 */
bool
pgcredit_guard_asked_by(PlanState *state)
{
	return calls_guard((Node *) state->plan->qual, (void *) seek());
}

/*
 * Do these conditions of a policy?
 */
bool
pgcredit_guard_asked_in(List *quals)
{
	return calls_guard((Node *) quals, (void *) seek());
}

static bool
plan_calls_guard(PlanState *state, void *context)
{
	if (state == NULL)
		return false;
	return calls_guard((Node *) state->plan->qual, context) ||
		planstate_tree_walker(state, plan_calls_guard, context);
}

/*
 * credit.record, if this query, which has been started, reads it; else InvalidOid.
 */
Oid
pgcredit_guard_table(QueryDesc *query)
{
	Oid			record;
	ListCell   *lc;

	if (query->planstate == NULL)
		return InvalidOid;
	record = seek()->record;
	if (!OidIsValid(record))
		return InvalidOid;
	foreach(lc, query->plannedstmt->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->relid == record)
			return record;
	}
	return InvalidOid;
}

/*
 * Does this query, which has been started, read records or another table that has
 * policies?  Those of higher rooms may ask the guard as well.
 */
bool
pgcredit_guard_may_be_asked(QueryDesc *query)
{
	ListCell   *lc;

	if (OidIsValid(pgcredit_guard_table(query)))
		return true;
	if (query->planstate == NULL)
		return false;
	foreach(lc, query->plannedstmt->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		HeapTuple	tuple;
		bool		has_policies;

		/* a catalogue, as most of who asks the server itself, has none */
		if (rte->rtekind != RTE_RELATION || rte->relid < FirstNormalObjectId)
			continue;
		tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(rte->relid));
		if (!HeapTupleIsValid(tuple))
			continue;
		has_policies = ((Form_pg_class) GETSTRUCT(tuple))->relrowsecurity;
		ReleaseSysCache(tuple);
		if (has_policies)
			return true;
	}
	return false;
}

/*
 * Will this query, which has been started, ask the guard if it meets a row?
 */
bool
pgcredit_guard_stands_in(QueryDesc *query)
{
	return OidIsValid(pgcredit_guard_table(query)) && !superuser() &&
		plan_calls_guard(query->planstate, (void *) seek());
}
