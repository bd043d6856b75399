/*
 * change.c
 *		Triggers on the ledgers, and counting of whole partitions.
 *
 * PostgreSQL fires the statement triggers of the table that a statement names and
 * of no other, with all rows that it changed, in whatever partition.  So the
 * ledger has the triggers and each of its partitions has them too.  TRUNCATE
 * names the partitions as well, and only a table that has rows of its own has a
 * trigger for it.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "core/core.h"
#include "target/measure.h"

PG_FUNCTION_INFO_V1(pgcredit_measure_change);
PG_FUNCTION_INFO_V1(pgcredit_measure_partition);
PG_FUNCTION_INFO_V1(pgcredit_watch_partition);

static void
add_rows(Changes *changes, Tuplestorestate *rows, TupleTableSlot *slot, int sign)
{
	if (rows == NULL)
		return;
	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		pgcredit_changes_row(changes, slot, sign);
	}
	ExecClearTuple(slot);
	tuplestore_select_read_pointer(rows, 0);
}

/*
 * All rows of a table that the caller has locked against writers.  The snapshot is
 * the newest: the transaction's may be older than rows that are there now.
 */
static void
add_table(Relation rel, Oid root, int sign)
{
	Changes    *changes = pgcredit_changes_begin(rel, root);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		pgcredit_changes_row(changes, slot, sign);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	pgcredit_changes_end(changes);
}

/*
 * credit._measure_change() returns trigger: appends what a statement changes in the
 * cells.  After INSERT, UPDATE, DELETE for each statement with transition tables,
 * before TRUNCATE.
 */
Datum
pgcredit_measure_change(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	Changes    *changes;
	TupleTableSlot *slot;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("credit._measure_change is a trigger for each statement on a ledger")));
	if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event))
	{
		add_table(data->tg_relation, InvalidOid, -1);
		return PointerGetDatum(NULL);
	}
	changes = pgcredit_changes_begin(data->tg_relation, InvalidOid);
	slot = MakeSingleTupleTableSlot(RelationGetDescr(data->tg_relation), &TTSOpsMinimalTuple);
	add_rows(changes, data->tg_oldtable, slot, -1);
	add_rows(changes, data->tg_newtable, slot, 1);
	ExecDropSingleTupleTableSlot(slot);
	pgcredit_changes_end(changes);
	return PointerGetDatum(NULL);
}

/*
 * credit._measure_partition(part regclass, ledger regclass, sign integer): adds the
 * rows of a table that became a partition of a ledger, or takes away those of one
 * that was.
 */
Datum
pgcredit_measure_partition(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), AccessShareLock);

	if (rel->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is no table with rows of its own", RelationGetRelationName(rel))));
	add_table(rel, PG_GETARG_OID(1), PG_GETARG_INT32(2));
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

static void
add_trigger(Oid part, const char *name, Oid function, int16 timing, int16 event, List *args)
{
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);
	static const struct
	{
		int16		event;
		const char *name;
		bool		is_new;
	}			tables[] = {
		{TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE, "old_rows", false},
		{TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE, "new_rows", true}
	};

	stmt->trigname = pstrdup(name);
	stmt->args = args;
	stmt->timing = timing;
	stmt->events = event;
	for (int k = 0; k < lengthof(tables); k++)
		if (tables[k].event & event)
		{
			TriggerTransition *table = makeNode(TriggerTransition);

			table->name = pstrdup(tables[k].name);
			table->isNew = tables[k].is_new;
			table->isTable = true;
			stmt->transitionRels = lappend(stmt->transitionRels, table);
		}
	(void) CreateTrigger(stmt, NULL, part, InvalidOid, InvalidOid, InvalidOid, function, InvalidOid, NULL, true, false);
}

/*
 * credit._watch_partition(part regclass): gives a partition that is no member of
 * the extension the triggers that a ledger has.
 *
 * They are internal ones: pg_dump leaves those out, so that they are made as the
 * partition of a restored dump is attached, and are there once.  An ordinary
 * trigger would be in the dump too, and fail to be created or be there twice.
 */
Datum
pgcredit_watch_partition(PG_FUNCTION_ARGS)
{
	Oid			part = PG_GETARG_OID(0);
	char		kind = get_rel_relkind(part);
	Oid			measure;
	Oid			audit;
	static const struct
	{
		int16		event;
		const char *measure;
		const char *audit;
	}			events[] = {
		{TRIGGER_TYPE_INSERT, "measure_insert", "audit_insert"},
		{TRIGGER_TYPE_UPDATE, "measure_update", "audit_update"},
		{TRIGGER_TYPE_DELETE, "measure_delete", "audit_delete"},
		{TRIGGER_TYPE_TRUNCATE, "measure_truncate", "audit_truncate"}
	};

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation %u cannot be a partition of a ledger", part)));
	measure = LookupFuncName(list_make2(makeString("credit"), makeString("_measure_change")), 0, NULL, false);
	audit = LookupFuncName(list_make2(makeString("credit"), makeString("audit_write")), 0, NULL, false);
	for (int k = 0; k < lengthof(events); k++)
	{
		bool		truncate = events[k].event == TRIGGER_TYPE_TRUNCATE;

		if (kind == RELKIND_RELATION || !truncate)
			add_trigger(part, events[k].measure, measure,
						truncate ? TRIGGER_TYPE_BEFORE : TRIGGER_TYPE_AFTER, events[k].event, NIL);
		add_trigger(part, events[k].audit, audit, TRIGGER_TYPE_AFTER, events[k].event,
					list_make1(makeString(pstrdup("bulk"))));
	}
	CommandCounterIncrement();
	PG_RETURN_VOID();
}
