/*
 * rank_kernel.c
 *		AUC, KS and PSI, exact where counts allow it.
 *
 * Sums of products of counts are kept in 128 bits, so neither the order of
 * the input nor the way it was split over workers changes a bit of a result.
 */
#include "rating/rank_kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;
__extension__ typedef __int128 signed_wide;

/*
 * Sort codes ascending by radix, leaving out bytes that are the same in all of
 * them; spare has room for n codes.
 */
void
pgcredit_sort_codes(int64_t *codes, int64_t *spare, size_t n)
{
	uint64_t   *from = (uint64_t *) codes;
	uint64_t   *to = (uint64_t *) spare;
	uint64_t	differ = 0;

	for (size_t i = 0; i < n; i++)
	{
		from[i] ^= UINT64_C(1) << 63;
		differ |= from[i] ^ from[0];
	}
	for (int shift = 0; shift < 64; shift += 8)
	{
		size_t		start[257] = {0};
		uint64_t   *swap;

		if (((differ >> shift) & 255) == 0)
			continue;
		for (size_t i = 0; i < n; i++)
			start[((from[i] >> shift) & 255) + 1]++;
		for (int b = 0; b < 256; b++)
			start[b + 1] += start[b];
		for (size_t i = 0; i < n; i++)
			to[start[(from[i] >> shift) & 255]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	for (size_t i = 0; i < n; i++)
		to[i] = from[i] ^ (UINT64_C(1) << 63);
	if (to != (uint64_t *) codes)
		memcpy(codes, to, n * sizeof(int64_t));
}

/*
 * Merge sorted codes of both classes into sorted runs.  out has room for
 * nruns + ngood + nbad runs and overlaps none of the inputs.  Returns the
 * number of distinct scores.
 */
size_t
pgcredit_merge_runs(const PgcreditRankRun *runs, size_t nruns,
					const int64_t *good, size_t ngood,
					const int64_t *bad, size_t nbad, PgcreditRankRun *out)
{
	size_t		r = 0;
	size_t		g = 0;
	size_t		b = 0;
	size_t		n = 0;

	while (r < nruns || g < ngood || b < nbad)
	{
		int64_t		code = INT64_MAX;
		PgcreditRankRun run;

		if (r < nruns && runs[r].code < code)
			code = runs[r].code;
		if (g < ngood && good[g] < code)
			code = good[g];
		if (b < nbad && bad[b] < code)
			code = bad[b];
		run.code = code;
		run.good = run.bad = 0;
		if (r < nruns && runs[r].code == code)
			run = runs[r++];
		for (; g < ngood && good[g] == code; g++)
			run.good++;
		for (; b < nbad && bad[b] == code; b++)
			run.bad++;
		out[n++] = run;
	}
	return n;
}

/*
 * Merge two sorted arrays of runs; out has room for na + nb and overlaps
 * neither.  Returns the number of distinct scores.
 */
size_t
pgcredit_join_runs(const PgcreditRankRun *a, size_t na,
				   const PgcreditRankRun *b, size_t nb, PgcreditRankRun *out)
{
	size_t		i = 0;
	size_t		j = 0;
	size_t		n = 0;

	while (i < na || j < nb)
	{
		if (j >= nb || (i < na && a[i].code < b[j].code))
			out[n++] = a[i++];
		else if (i >= na || b[j].code < a[i].code)
			out[n++] = b[j++];
		else
		{
			out[n] = a[i++];
			out[n].good += b[j].good;
			out[n++].bad += b[j++].bad;
		}
	}
	return n;
}

static void
class_totals(const PgcreditRankRun *runs, size_t n, int64_t *good, int64_t *bad)
{
	*good = *bad = 0;
	for (size_t i = 0; i < n; i++)
	{
		*good += runs[i].good;
		*bad += runs[i].bad;
	}
}

/*
 * Area under the ROC curve: the share of (good, bad) pairs in which the good
 * case has the higher score, ties counting half (Mann-Whitney U / pairs).
 * False if one class is empty.
 */
bool
pgcredit_auc(const PgcreditRankRun *runs, size_t n, double *auc)
{
	int64_t		good;
	int64_t		bad;
	int64_t		bad_below = 0;
	wide		twice = 0;

	class_totals(runs, n, &good, &bad);
	if (good == 0 || bad == 0)
		return false;
	for (size_t i = 0; i < n; i++)
	{
		twice += (wide) runs[i].good * (wide) (2 * bad_below + runs[i].bad);
		bad_below += runs[i].bad;
	}
	*auc = (double) twice / (double) ((wide) 2 * (wide) good * (wide) bad);
	return true;
}

/*
 * Kolmogorov-Smirnov distance: the largest gap between the two classes' shares
 * at or below a score, looked at after all cases of that score only.  False if
 * one class is empty.
 */
bool
pgcredit_ks(const PgcreditRankRun *runs, size_t n, double *ks)
{
	int64_t		good;
	int64_t		bad;
	int64_t		good_below = 0;
	int64_t		bad_below = 0;
	signed_wide largest = 0;

	class_totals(runs, n, &good, &bad);
	if (good == 0 || bad == 0)
		return false;
	for (size_t i = 0; i < n; i++)
	{
		signed_wide gap;

		good_below += runs[i].good;
		bad_below += runs[i].bad;
		gap = (signed_wide) good_below * bad - (signed_wide) bad_below * good;
		if (gap < 0)
			gap = -gap;
		if (gap > largest)
			largest = gap;
	}
	*ks = (double) largest / (double) ((signed_wide) good * bad);
	return true;
}

/*
 * Mean of (score - outcome)^2, outcome 1 for a bad case; at least one run.
 */
double
pgcredit_brier(const PgcreditRankRun *runs, size_t n)
{
	double		sum = 0;
	int64_t		good;
	int64_t		bad;

	class_totals(runs, n, &good, &bad);
	for (size_t i = 0; i < n; i++)
	{
		int64_t		bits = runs[i].code < 0 ? runs[i].code ^ INT64_MAX : runs[i].code;
		double		score;

		memcpy(&score, &bits, sizeof(score));
		sum += (double) runs[i].good * score * score +
			(double) runs[i].bad * (1 - score) * (1 - score);
	}
	return sum / (double) (good + bad);
}

/*
 * Standard error of the area under the ROC curve (DeLong, DeLong and
 * Clarke-Pearson 1988): from the variance, over the cases of each class, of
 * their share of pairs won.  False without two cases of each class.
 */
bool
pgcredit_delong(const PgcreditRankRun *runs, size_t n, double auc, double *error)
{
	int64_t		good;
	int64_t		bad;
	int64_t		good_below = 0;
	int64_t		bad_below = 0;
	double		of_good = 0;
	double		of_bad = 0;

	class_totals(runs, n, &good, &bad);
	if (good < 2 || bad < 2)
		return false;
	for (size_t i = 0; i < n; i++)
	{
		double		won_by_good = ((double) bad_below + (double) runs[i].bad / 2) / (double) bad - auc;
		double		won_by_bad = ((double) (good - good_below) - (double) runs[i].good / 2) / (double) good - auc;

		of_good += (double) runs[i].good * won_by_good * won_by_good;
		of_bad += (double) runs[i].bad * won_by_bad * won_by_bad;
		good_below += runs[i].good;
		bad_below += runs[i].bad;
	}
	*error = sqrt(of_good / (double) (good - 1) / (double) good +
				  of_bad / (double) (bad - 1) / (double) bad);
	return true;
}

/*
 * Chance that a chi-square variable is above x; freedom > 0.  The finite sums
 * for even and odd degrees (Abramowitz and Stegun 26.4.4, 26.4.5).
 */
double
pgcredit_chi_square_tail(double x, int freedom)
{
	bool		odd = freedom % 2 == 1;
	double		sum = odd ? erfc(sqrt(x / 2)) : 0;
	double		term = odd ? sqrt(2 * x / 3.14159265358979323846) * exp(-x / 2) : exp(-x / 2);

	if (x <= 0)
		return 1;
	for (int k = odd ? 1 : 0; k < freedom - 1; k += 2)
	{
		sum += term;
		term *= x / (k + 2);
	}
	return sum;
}

/*
 * Population stability index over n bins of non-negative counts:
 * sum (a - e) ln(a / e) of the bins' shares a and e.
 *
 * A bin that is empty on both sides says nothing and is left out.  One that is
 * empty on one side follows the rule: REFUSE returns false; INFINITY makes the
 * result infinite; DROP leaves the bin's term out and the totals as they are;
 * COUNT puts count in place of 0 before the totals are taken.  Also false when
 * one side has nothing at all.
 */
bool
pgcredit_psi(const double *expected, const double *actual, size_t n,
			 PgcreditEmptyBin rule, double count, double *psi)
{
	double		total_expected = 0;
	double		total_actual = 0;
	double		sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		bool		fill = rule == PGCREDIT_EMPTY_COUNT && (expected[i] > 0) != (actual[i] > 0);

		total_expected += fill && expected[i] == 0 ? count : expected[i];
		total_actual += fill && actual[i] == 0 ? count : actual[i];
	}
	if (total_expected <= 0 || total_actual <= 0)
		return false;
	for (size_t i = 0; i < n; i++)
	{
		double		e = expected[i];
		double		a = actual[i];

		if (e == 0 && a == 0)
			continue;
		if (e == 0 || a == 0)
		{
			if (rule == PGCREDIT_EMPTY_REFUSE)
				return false;
			if (rule == PGCREDIT_EMPTY_DROP)
				continue;
			if (rule == PGCREDIT_EMPTY_INFINITY)
			{
				*psi = INFINITY;
				return true;
			}
			e = e == 0 ? count : e;
			a = a == 0 ? count : a;
		}
		e /= total_expected;
		a /= total_actual;
		sum += (a - e) * log(a / e);
	}
	*psi = sum;
	return true;
}
