/*
 * suppress_kernel.h
 *		Which cells of a table of counts are not published, in plain C.
 *
 * The table has rows that form a tree (a region and the regions in it) and
 * columns that add up to a total.  Its lines are: a row's cells over the columns
 * with their total, and in each column the children of a row with that row.  All
 * cells of all lines are published, or not, and whoever reads them can solve for
 * the others.
 */
#ifndef PGCREDIT_SUPPRESS_KERNEL_H
#define PGCREDIT_SUPPRESS_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct PgcreditTable
{
	int			n_rows;
	const int  *parent;			/* of each row; -1 for the one root */
	int			n_columns;		/* besides column 0, the total; 0: there is the total only */
	int			n_cells;		/* cells that are not zero, totals and all rows of the tree among them */
	const int  *row;
	const int  *column;
	const int64_t *count;		/* units that a cell counts, at least 1 */
	int64_t		least;			/* units that a cell must count to be published */
} PgcreditTable;

extern int64_t pgcredit_suppress_nodes(const PgcreditTable *table);
extern int64_t pgcredit_suppress_workspace(const PgcreditTable *table);
extern void pgcredit_suppress(const PgcreditTable *table, int *workspace, bool *suppressed);

#endif							/* PGCREDIT_SUPPRESS_KERNEL_H */
