/*
 * woe_kernel.c
 *		Weight of evidence and information value of counts.
 */
#include "rating/woe_kernel.h"

#include <math.h>

/*
 * Weight and part of the information value of each of n bins.  Returns
 * PGCREDIT_WOE_DONE, PGCREDIT_WOE_ONE_CLASS, or the bin that the rules refuse.
 */
int
pgcredit_woe(const double *good, const double *bad, int n,
			 const PgcreditWoeRules *rules, double *woe, double *iv)
{
	double		goods = 0;
	double		bads = 0;
	double		filled_goods = 0;
	double		filled_bads = 0;

	for (int i = 0; i < n; i++)
	{
		goods += good[i];
		bads += bad[i];
		filled_goods += good[i] == 0 ? rules->fill : good[i];
		filled_bads += bad[i] == 0 ? rules->fill : bad[i];
	}
	if (goods == 0 || bads == 0)
		return PGCREDIT_WOE_ONE_CLASS;
	if (!rules->totals_before)
	{
		goods = filled_goods;
		bads = filled_bads;
	}
	for (int i = 0; i < n; i++)
	{
		double		g = good[i] == 0 ? rules->fill : good[i];
		double		b = bad[i] == 0 ? rules->fill : bad[i];
		double		evidence;

		if (rules->refuse && (good[i] == 0 || bad[i] == 0))
			return i;
		if (g == 0 || b == 0)
		{
			woe[i] = iv[i] = 0;
			continue;
		}
		evidence = log((b / bads) / (g / goods));
		woe[i] = rules->good_over_bad ? -evidence : evidence;
		iv[i] = (b / bads - g / goods) * evidence;
	}
	return PGCREDIT_WOE_DONE;
}
