/*
 * suppress.c
 *		credit.suppress_cells: the kernel's table from arrays.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "consent/suppress_kernel.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_suppress_cells);

/* Rows times columns; seven ints each. */
#define MAX_NODES INT64CONST(20000000)

static void
malformed(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_PGCREDIT_STATISTICS_INVALID),
			 errmsg("not a table whose cells can be suppressed"),
			 errdetail("%s", detail)));
}

/*
 * The elements of an array without nulls, which is one-dimensional or empty.
 */
static const void *
elements(FunctionCallInfo fcinfo, int argno, int *n)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(argno);

	if (ARR_NDIM(array) > 1 || ARR_HASNULL(array))
		malformed("Every list is one-dimensional and has no null.");
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return ARR_DATA_PTR(array);
}

/*
 * Parents as the kernel has them, from 0; there is one root and no cycle.
 */
static int *
tree(const int32 *parents, int n)
{
	int		   *parent = palloc(Max(1, n) * sizeof(int));
	char	   *reached = palloc0(Max(1, n));
	int			root = -1;

	for (int r = 0; r < n; r++)
	{
		if (parents[r] < 0 || parents[r] > n)
			malformed("A row's parent is the number of a row, or 0 for the root.");
		parent[r] = parents[r] - 1;
		if (parents[r] == 0)
		{
			if (root >= 0)
				malformed("There is more than one root.");
			root = r;
		}
	}
	if (root < 0)
		malformed("There is no root.");
	/* 2: leads to the root; 1: on the way that is followed now */
	reached[root] = 2;
	for (int r = 0; r < n; r++)
	{
		int			at;

		for (at = r; reached[at] == 0; at = parent[at])
			reached[at] = 1;
		if (reached[at] == 1)
			malformed("The rows are no tree.");
		for (at = r; reached[at] == 1; at = parent[at])
			reached[at] = 2;
	}
	return parent;
}

/*
 * credit.suppress_cells(parents integer[], cell_rows integer[], cell_columns
 * integer[], counts bigint[], threshold bigint) returns boolean[]: for each cell
 * whether it must not be published.  Rows count from 1, a parent is 0 for the
 * root; column 0 is the total.  Raises PC150 where that is no table.
 */
Datum
pgcredit_suppress_cells(PG_FUNCTION_ARGS)
{
	PgcreditTable table = {.least = PG_GETARG_INT64(4)};
	int			n_rows,
				n[3];
	const int32 *parents = elements(fcinfo, 0, &n_rows);
	const int32 *rows = elements(fcinfo, 1, &n[0]);
	const int32 *columns = elements(fcinfo, 2, &n[1]);
	const int64 *counts = elements(fcinfo, 3, &n[2]);
	int		   *row,
			   *workspace;
	char	   *taken;
	bool	   *suppressed;
	Datum	   *result;

	if (n[0] != n[1] || n[0] != n[2])
		malformed("The lists of the cells' rows, columns and counts are of different lengths.");
	if (n[0] == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(BOOLOID));
	table.n_rows = n_rows;
	table.parent = tree(parents, n_rows);
	table.n_cells = n[0];
	row = palloc(n[0] * sizeof(int));
	for (int k = 0; k < n[0]; k++)
	{
		if (rows[k] < 1 || rows[k] > n_rows || columns[k] < 0 || columns[k] > MAX_NODES)
			malformed("A cell's row is the number of a row, and its column is 0 or more.");
		if (counts[k] < 1)
			malformed("A cell counts at least 1; zero cells are left out.");
		row[k] = rows[k] - 1;
		table.n_columns = Max(table.n_columns, columns[k]);
	}
	table.row = row;
	table.column = columns;
	table.count = counts;
	if (pgcredit_suppress_nodes(&table) > MAX_NODES)
		malformed("The table has too many rows and columns.");
	taken = palloc0(pgcredit_suppress_nodes(&table));
	for (int k = 0; k < n[0]; k++)
	{
		char	   *here = &taken[(Size) row[k] * (table.n_columns + 1) + columns[k]];

		if (*here)
			malformed("A cell is given twice.");
		*here = 1;
	}

	workspace = palloc_extended(pgcredit_suppress_workspace(&table) * sizeof(int), MCXT_ALLOC_HUGE);
	suppressed = palloc(n[0] * sizeof(bool));
	pgcredit_suppress(&table, workspace, suppressed);
	result = palloc(n[0] * sizeof(Datum));
	for (int k = 0; k < n[0]; k++)
		result[k] = BoolGetDatum(suppressed[k]);
	PG_RETURN_ARRAYTYPE_P(construct_array(result, n[0], BOOLOID, 1, true, TYPALIGN_CHAR));
}
