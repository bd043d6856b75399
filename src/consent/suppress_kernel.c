/*
 * suppress_kernel.c
 *		Primary and complementary suppression of cells.
 *
 * Primary: cells that count fewer units than the least.  Then cells are added
 * until
 *	- no line has exactly one suppressed cell, and where a line's total is
 *	  published its suppressed cells count at least the least together;
 *	- no suppressed cell follows from the published ones by any combination of
 *	  lines.
 * The second is not a consequence of the first: two groups of cells, each with
 * two in every line, may hang together by one cell only, and that one is then
 * the difference of totals.  To find such cells, see each line as a node and
 * each cell as an edge between the two lines that it stands in, once as a part
 * and once as a whole: a tree of rows with flat columns is a network.  Published
 * edges are known; what the others must be is the cycle space of their graph,
 * and an edge is determined exactly when it is on no cycle, a bridge.
 *
 * A row of the tree is a line over the columns too, but for rows with children
 * that follows from the children's and the columns' lines, so only the leaves'
 * are nodes, and the root's, whose line follows from all the others, is the
 * ground where the network closes.
 *
 * Zero cells are not in the table: they are known to be zero here, which only
 * makes more cells determined than an outsider could find who cannot tell a zero
 * from a suppressed cell.  Of cells that may be added the one with the fewest
 * units is taken, of equals the first, so the same table gives the same answer.
 */
#include <string.h>

#include "consent/suppress_kernel.h"

#define NONE (-1)

/* The table, unfolded; everything is an index, NONE where there is none. */
typedef struct Work
{
	const PgcreditTable *table;
	bool	   *suppressed;
	int			stride;			/* columns with the total */
	int			root;
	int		   *child;			/* first child of each row */
	int		   *sibling;		/* next child of its parent */
	int		   *cell;			/* [row * stride + column] */
	int		   *seen;			/* [node]: order of the search, and of the search's turn */
	int		   *low;			/* [node] */
	int		   *edge;			/* [node]: first of its edges */
	int		   *next;			/* [2 * cell + end]: next edge of the node at that end */
	int		   *stack;			/* [node]: edges on the way here */
	int		   *turn;			/* [node]: edge to try next */
	int		   *touched;		/* [node] */
} Work;

/* One line: its total and, by next_member, its members. */
typedef struct Line
{
	int			row;
	int			column;			/* the line of a row over the columns when NONE */
	int			total;			/* cell */
} Line;

/*
 * Number of nodes; the caller bounds it.
 */
int64_t
pgcredit_suppress_nodes(const PgcreditTable *table)
{
	return (int64_t) table->n_rows * (table->n_columns + 1) + 1;
}

/*
 * Number of ints that pgcredit_suppress needs to work in.
 */
int64_t
pgcredit_suppress_workspace(const PgcreditTable *table)
{
	return 2 * (int64_t) table->n_rows + 7 * pgcredit_suppress_nodes(table) + 2 * (int64_t) table->n_cells;
}

static void
unfold(Work *w, int *workspace)
{
	const PgcreditTable *t = w->table;
	int			nodes = (int) pgcredit_suppress_nodes(t);

	w->stride = t->n_columns + 1;
	w->child = workspace;
	w->sibling = w->child + t->n_rows;
	w->cell = w->sibling + t->n_rows;
	w->seen = w->cell + nodes;
	w->low = w->seen + nodes;
	w->edge = w->low + nodes;
	w->stack = w->edge + nodes;
	w->turn = w->stack + nodes;
	w->touched = w->turn + nodes;
	w->next = w->touched + nodes;

	for (int r = 0; r < t->n_rows; r++)
		w->child[r] = w->sibling[r] = NONE;
	for (int r = t->n_rows - 1; r >= 0; r--)
	{
		if (t->parent[r] == NONE)
		{
			w->root = r;
			continue;
		}
		w->sibling[r] = w->child[t->parent[r]];
		w->child[t->parent[r]] = r;
	}
	for (int n = 0; n < nodes; n++)
		w->cell[n] = NONE;
	for (int k = 0; k < t->n_cells; k++)
	{
		w->cell[t->row[k] * w->stride + t->column[k]] = k;
		w->suppressed[k] = t->count[k] < t->least;
	}
}

/* The place of a line's next member after place, 0 for the first; NONE at the end. */
static inline int
next_member(const Work *w, const Line *line, int place)
{
	if (line->column == NONE)
		return place + 1 < w->stride ? place + 1 : NONE;
	return place == 0 ? w->child[line->row] : w->sibling[place - 1];
}

/*
 * The cells of a line one after the other; *place begins with 0.  NONE at the
 * end.  Zero cells are left out.
 */
static int
next_cell(const Work *w, const Line *line, int *place)
{
	for (;;)
	{
		int			next = next_member(w, line, *place);
		int			cell;

		if (next == NONE)
			return NONE;
		if (line->column == NONE)
		{
			*place = next;
			cell = w->cell[line->row * w->stride + next];
		}
		else
		{
			*place = next + 1;	/* so that 0 is the beginning */
			cell = w->cell[next * w->stride + line->column];
		}
		if (cell != NONE)
			return cell;
	}
}

static bool
better(const Work *w, int cell, int than)
{
	return than == NONE || w->table->count[cell] < w->table->count[than];
}

/*
 * Suppress more of a line until its own sums give nothing away.  True when
 * something was added.
 */
static bool
protect_line(Work *w, const Line *line)
{
	bool		added = false;

	for (;;)
	{
		int			unknown = 0;
		int64_t		sum = 0;
		int			best = NONE;
		int			place = 0;
		int			cell;
		bool		total_known = line->total == NONE || !w->suppressed[line->total];

		while ((cell = next_cell(w, line, &place)) != NONE)
		{
			if (w->suppressed[cell])
			{
				unknown++;
				sum += w->table->count[cell];
			}
			else if (better(w, cell, best))
				best = cell;
		}
		if (unknown + !total_known == 0)
			return added;
		if (unknown + !total_known > 1 && !(total_known && sum < w->table->least))
			return added;
		if (best == NONE && total_known)
			best = line->total;
		if (best == NONE)
			return added;
		w->suppressed[best] = true;
		added = true;
	}
}

static bool
protect_lines(Work *w)
{
	bool		added = false;

	for (int r = 0; r < w->table->n_rows; r++)
	{
		Line		line = {.row = r,.column = NONE,.total = w->cell[r * w->stride]};

		if (w->stride > 1)
			added |= protect_line(w, &line);
		if (w->child[r] == NONE)
			continue;
		for (line.column = 0; line.column < w->stride; line.column++)
		{
			line.total = w->cell[r * w->stride + line.column];
			added |= protect_line(w, &line);
		}
	}
	return added;
}

/*
 * The node at an end of a cell: 0, where it is the whole (or, of a leaf, a part
 * of its row); 1, where it is a part of what is above it.
 */
static int
node_of(const Work *w, int cell, int end)
{
	int			row = w->table->row[cell];
	int			column = w->table->column[cell];
	int			ground = w->table->n_rows * w->stride;

	if (end == 0)
	{
		if (w->child[row] != NONE)
			return row * w->stride + column;
		return w->stride > 1 ? row * w->stride : ground;
	}
	return row == w->root ? ground : w->table->parent[row] * w->stride + column;
}

/*
 * Suppress the published cell with the fewest units of the lines that a cell
 * stands in.  False when there is none.
 */
static bool
protect_cell(Work *w, int cell)
{
	int			row = w->table->row[cell];
	int			column = w->table->column[cell];
	Line		lines[3];
	int			n = 0;
	int			best = NONE;

	if (w->stride > 1)
		lines[n++] = (Line) {row, NONE, w->cell[row * w->stride]};
	if (w->child[row] != NONE)
		lines[n++] = (Line) {row, column, cell};
	if (row != w->root)
		lines[n++] = (Line) {w->table->parent[row], column, w->cell[w->table->parent[row] * w->stride + column]};
	for (int k = 0; k < n; k++)
	{
		int			place = 0;
		int			other;

		while ((other = next_cell(w, &lines[k], &place)) != NONE)
			if (!w->suppressed[other] && better(w, other, best))
				best = other;
		other = lines[k].total;
		if (other != NONE && !w->suppressed[other] && better(w, other, best))
			best = other;
	}
	if (best != NONE)
		w->suppressed[best] = true;
	return best != NONE;
}

/*
 * A bridge was found: protect its cell, unless this pass did so next to it
 * already and the graph is no longer what was searched.
 */
static bool
protect_bridge(Work *w, int cell, bool *stuck)
{
	int			a = node_of(w, cell, 0);
	int			b = node_of(w, cell, 1);

	if (w->touched[a] || w->touched[b])
		return false;
	w->touched[a] = w->touched[b] = 1;
	if (protect_cell(w, cell))
		return true;
	*stuck = true;
	return false;
}

/*
 * Depth-first from a node; a tree edge below which nothing leads back above it
 * is a bridge.  True when something was added.
 */
static bool
search(Work *w, int start, int *clock, bool *stuck)
{
	bool		added = false;
	int			node = start;

	w->stack[start] = NONE;
	w->seen[start] = w->low[start] = ++*clock;
	w->turn[start] = w->edge[start];
	for (;;)
	{
		int			half = w->turn[node];

		if (half != NONE)
		{
			int			other = node_of(w, half / 2, 1 - half % 2);

			w->turn[node] = w->next[half];
			if (w->stack[node] != NONE && half / 2 == w->stack[node] / 2)
				continue;		/* the edge that led here */
			if (w->seen[other])
			{
				if (w->seen[other] < w->low[node])
					w->low[node] = w->seen[other];
				continue;
			}
			w->stack[other] = half;
			w->seen[other] = w->low[other] = ++*clock;
			w->turn[other] = w->edge[other];
			node = other;
			continue;
		}
		if (node == start)
			return added;
		half = w->stack[node];
		{
			int			back = node_of(w, half / 2, half % 2);

			if (w->low[node] < w->low[back])
				w->low[back] = w->low[node];
			if (w->low[node] > w->seen[back])
				added |= protect_bridge(w, half / 2, stuck);
			node = back;
		}
	}
}

/*
 * Look for cells that follow from the published ones, and protect them.  True
 * when something was added.
 */
static bool
protect_combinations(Work *w)
{
	int			nodes = (int) pgcredit_suppress_nodes(w->table);
	bool		added = false;
	bool		stuck = false;
	int			clock = 0;

	for (int n = 0; n < nodes; n++)
	{
		w->seen[n] = w->touched[n] = 0;
		w->edge[n] = NONE;
	}
	for (int k = 0; k < w->table->n_cells; k++)
	{
		if (!w->suppressed[k])
			continue;
		for (int end = 0; end < 2; end++)
		{
			int			node = node_of(w, k, end);

			w->next[2 * k + end] = w->edge[node];
			w->edge[node] = 2 * k + end;
		}
	}
	for (int n = 0; n < nodes; n++)
		if (!w->seen[n] && w->edge[n] != NONE)
			added |= search(w, n, &clock, &stuck);
	if (stuck && !added)
	{
		/* nothing next to it is left to take: publish nothing */
		for (int k = 0; k < w->table->n_cells; k++)
		{
			added |= !w->suppressed[k];
			w->suppressed[k] = true;
		}
	}
	return added;
}

/*
 * Fill suppressed, one for each cell.  workspace has pgcredit_suppress_workspace
 * ints; the table is well formed: one root, no cycle, every row, column and cell
 * in range and once.
 */
void
pgcredit_suppress(const PgcreditTable *table, int *workspace, bool *suppressed)
{
	Work		w = {.table = table,.suppressed = suppressed};

	unfold(&w, workspace);
	do
	{
		while (protect_lines(&w))
			;
	} while (protect_combinations(&w));
}
