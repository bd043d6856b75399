/*
 * compat.h
 *		What differs between PostgreSQL 15 and 18, and nothing else.
 *
 * This is the only file that looks at PG_VERSION_NUM.  A room that meets a
 * difference adds a macro or an inline function here, under the name and with
 * the meaning of the newest version.
 */
#ifndef PGCREDIT_COMPAT_H
#define PGCREDIT_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "pgcredit needs PostgreSQL 15 or newer"
#endif

#include "access/genam.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/wait_event.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 160000
/* Before 16 there are no soft errors: input functions raise. */
#define errsave(context, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)
#define ereturn(context, dummy_value, ...) \
	do { \
		errsave(context, __VA_ARGS__); \
		return dummy_value; \
	} while (0)
#endif

#ifndef pg_noreturn
#define pg_noreturn _Noreturn
#endif

/* Index of this process in ProcGlobal->allProcs. */
static inline int
pgcredit_my_procno(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProcNumber;
#else
	return MyProc->pgprocno;
#endif
}

static inline int
pgcredit_procno_of(PGPROC *proc)
{
#if PG_VERSION_NUM >= 170000
	return GetNumberFromPGProc(proc);
#else
	return proc->pgprocno;
#endif
}

/* Running a query, for hooks that pass it on; 18 has one argument less. */
#if PG_VERSION_NUM >= 180000
#define PGCREDIT_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count
#define PGCREDIT_RUN_ARGUMENTS query, direction, count
#else
#define PGCREDIT_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count, bool once
#define PGCREDIT_RUN_ARGUMENTS query, direction, count, once
#endif

/* The number of a wait of ours in pg_stat_activity; before 17 they have no names. */
static inline uint32
pgcredit_wait_event_new(const char *name)
{
#if PG_VERSION_NUM >= 170000
	return WaitEventExtensionNew(name);
#else
	(void) name;
	return PG_WAIT_EXTENSION;
#endif
}

/* All settings in no particular order; *n is their number. */
static inline struct config_generic **
pgcredit_guc_variables(int *n)
{
#if PG_VERSION_NUM >= 160000
	return get_guc_variables(n);
#else
	*n = GetNumConfigOptions();
	return get_guc_variables();
#endif
}

/* Does GRANT or REVOKE of roles speak of the admin option? */
static inline bool
pgcredit_grants_admin(GrantRoleStmt *stmt)
{
#if PG_VERSION_NUM >= 160000
	ListCell   *lc;

	foreach(lc, stmt->opt)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, "admin") == 0)
			return stmt->is_grant ? defGetBoolean(lfirst_node(DefElem, lc)) : true;
	}
	return false;
#else
	return stmt->admin_opt;
#endif
}

static inline bool
pgcredit_owns_database(Oid dbid, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, dbid, role);
#else
	return pg_database_ownercheck(dbid, role);
#endif
}

static inline void
pgcredit_insert_index_entries(ResultRelInfo *rri, TupleTableSlot *slot, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	(void) ExecInsertIndexTuples(rri, slot, estate, false, false, NULL, NIL, false);
#else
	(void) ExecInsertIndexTuples(rri, slot, estate, false, false, NULL, NIL);
#endif
}

static inline IndexScanDesc
pgcredit_index_beginscan(Relation heap, Relation index, Snapshot snapshot, int n_keys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(heap, index, snapshot, NULL, n_keys, 0);
#else
	return index_beginscan(heap, index, snapshot, n_keys, 0);
#endif
}

/* Fields of PgStat_TableStatus and PgStat_TableCounts, which begin with t_ before 16. */
#if PG_VERSION_NUM >= 160000
#define PGCREDIT_STAT(field) field
#else
#define PGCREDIT_STAT(field) t_##field
#endif

/* What EXPLAIN ANALYZE prints as "Heap Blocks". */
static inline void
pgcredit_clear_heap_blocks(BitmapHeapScanState *state)
{
#if PG_VERSION_NUM >= 180000
	memset(&state->stats, 0, sizeof(state->stats));
	if (state->sinstrument)
		memset(state->sinstrument->sinstrument, 0,
			   state->sinstrument->num_workers * sizeof(state->sinstrument->sinstrument[0]));
#else
	state->exact_pages = state->lossy_pages = 0;
#endif
}

/* Of a table without indexes. */
static inline void
pgcredit_update_unindexed(Relation rel, ItemPointer tid, TupleTableSlot *slot, Snapshot snapshot)
{
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes update_indexes;
#else
	bool		update_indexes;
#endif

	simple_table_tuple_update(rel, tid, slot, snapshot, &update_indexes);
}

/* A range that is known to be well formed. */
#if PG_VERSION_NUM >= 160000
#define pgcredit_range(type, lower, upper) range_serialize(type, lower, upper, false, NULL)
#else
#define pgcredit_range(type, lower, upper) range_serialize(type, lower, upper, false)
#endif

#endif							/* PGCREDIT_COMPAT_H */
