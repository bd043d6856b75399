/*
 * support.c
 *		Planner support of credit.score: pass a table row's columns one by one.
 *
 * A whole-row reference makes the executor form a tuple for every row, which
 * score then takes apart.  Where the row is that of a plain table, or of a view
 * or subquery that was pulled up, the call becomes
 * credit._score_columns(model, names, column, column, ...).  The names are
 * fixed in the plan; a change of the table makes a new plan.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "rating/card.h"

PG_FUNCTION_INFO_V1(pgcredit_score_support);

/* model and names take two of a function's arguments */
#define MAX_COLUMNS (FUNC_MAX_ARGS - 2)

/* The columns as they are gathered. */
typedef struct Columns
{
	List	   *args;
	Datum		names[MAX_COLUMNS];
	int			n;
} Columns;

static bool
has_outer_join(Node *node)
{
	if (node == NULL || IsA(node, RangeTblRef))
		return false;
	if (IsA(node, FromExpr))
	{
		ListCell   *cell;

		foreach(cell, ((FromExpr *) node)->fromlist)
		{
			if (has_outer_join(lfirst(cell)))
				return true;
		}
		return false;
	}
	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;

		return join->jointype != JOIN_INNER || has_outer_join(join->larg) || has_outer_join(join->rarg);
	}
	return true;
}

/*
 * May a whole-row reference of this query be replaced by its columns?  Not
 * where the row as a whole may be NULL while its columns are not known to be
 * one NULL row (outer joins, OLD and NEW), nor where it may be nulled as a
 * grouping expression.
 */
static bool
query_allows(PlannerInfo *root)
{
	Query	   *query;

	if (root == NULL || root->parse == NULL)
		return false;
	query = root->parse;
	return (query->commandType == CMD_SELECT || query->commandType == CMD_INSERT ||
			query->commandType == CMD_UPDATE || query->commandType == CMD_DELETE) &&
		query->returningList == NIL && query->onConflict == NULL &&
		query->groupingSets == NIL && !has_outer_join((Node *) query->jointree);
}

static bool
add_column(Columns *columns, const char *name, Expr *expr)
{
	if (columns->n == MAX_COLUMNS)
		return false;
	columns->names[columns->n++] = CStringGetTextDatum(name);
	columns->args = lappend(columns->args, expr);
	return true;
}

static bool
columns_of_table(PlannerInfo *root, Var *whole, Columns *columns)
{
	RangeTblEntry *rte;
	Relation	rel;
	bool		fits = true;

	if (whole->varattno != InvalidAttrNumber || whole->varlevelsup != 0 ||
		whole->varno < 1 || whole->varno > list_length(root->parse->rtable))
		return false;
	rte = rt_fetch(whole->varno, root->parse->rtable);
	if (rte->rtekind != RTE_RELATION)
		return false;
	/* the parser or plan cache holds a lock already */
	rel = table_open(rte->relid, NoLock);
	for (int i = 0; i < RelationGetNumberOfAttributes(rel) && fits; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		Var		   *var;

		if (att->attisdropped)
			continue;
		var = copyObject(whole);
		var->varattno = att->attnum;
		var->vartype = att->atttypid;
		var->vartypmod = att->atttypmod;
		var->varcollid = att->attcollation;
		var->varattnosyn = 0;
		var->varnosyn = 0;
		fits = add_column(columns, NameStr(att->attname), (Expr *) var);
	}
	table_close(rel, NoLock);
	return fits;
}

static bool
columns_of_row(RowExpr *row, Columns *columns)
{
	TupleDesc	desc = NULL;
	ListCell   *cell;
	int			i = 0;
	bool		fits = true;

	if (row->row_typeid != RECORDOID)
		desc = lookup_rowtype_tupdesc_copy(row->row_typeid, -1);
	else if (list_length(row->colnames) != list_length(row->args))
		return false;
	foreach(cell, row->args)
	{
		bool		dropped = desc != NULL &&
			(i >= desc->natts || TupleDescAttr(desc, i)->attisdropped);

		if (!dropped && fits)
			fits = add_column(columns,
							  desc != NULL ? NameStr(TupleDescAttr(desc, i)->attname) :
							  strVal(list_nth(row->colnames, i)), lfirst(cell));
		i++;
	}
	return fits;
}

static Oid
score_columns_oid(void)
{
	Oid			types[3] = {TEXTOID, TEXTARRAYOID, ANYOID};
	oidvector  *vector = buildoidvector(types, 3);

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum("_score_columns"), PointerGetDatum(vector),
						   ObjectIdGetDatum(pgcredit_schema_oid(false)));
}

static Node *
simplify(SupportRequestSimplify *request)
{
	List	   *args = request->fcall->args;
	Node	   *row;
	Columns		columns = {0};
	Oid			function;
	ArrayType  *names;
	Const	   *names_const;

	if (list_length(args) != 2 || !query_allows(request->root))
		return NULL;
	row = lsecond(args);
	if (IsA(row, Var))
	{
		if (!columns_of_table(request->root, (Var *) row, &columns))
			return NULL;
	}
	else if (!IsA(row, RowExpr) || !columns_of_row((RowExpr *) row, &columns))
		return NULL;
	function = score_columns_oid();
	if (!OidIsValid(function) || columns.n == 0)
		return NULL;
	names = construct_array(columns.names, columns.n, TEXTOID, -1, false, TYPALIGN_INT);
	names_const = makeConst(TEXTARRAYOID, -1, DEFAULT_COLLATION_OID, -1,
							PointerGetDatum(names), false, false);
	return (Node *) makeFuncExpr(function, FLOAT8OID,
								 lcons(linitial(args), lcons(names_const, columns.args)),
								 InvalidOid, DEFAULT_COLLATION_OID, COERCE_EXPLICIT_CALL);
}

/*
 * credit._score_support(internal) returns internal
 */
Datum
pgcredit_score_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestSimplify))
		PG_RETURN_POINTER(simplify((SupportRequestSimplify *) request));
	PG_RETURN_POINTER(NULL);
}
