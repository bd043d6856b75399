/*
 * bootstrap_kernel.c
 *		Resampling of counted cases.
 *
 * The generator is xoshiro256++ (Blackman and Vigna 2019), its state filled by
 * splitmix64 from the seed and the number of the replicate.  What is drawn
 * depends on these two and on the counts in the order of the scores alone:
 * neither on the order of the rows nor on the plan.
 */
#include "rating/bootstrap_kernel.h"

#include <math.h>

/* Cases are drawn one by one as long as they are at most so many a run. */
#define DIRECT_CASES_PER_RUN 8

/* Below this mean, counting up is cheaper than rejection. */
#define SMALL_MEAN 10

static uint64_t
split_mix(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/*
 * Start the stream of a replicate: streams of neighbouring seeds or replicates
 * have nothing in common, since the seed goes through splitmix64 first.
 */
void
pgcredit_random_start(PgcreditRandom *random, uint64_t seed, uint64_t replicate)
{
	uint64_t	state = split_mix(&seed) ^ replicate;

	for (int i = 0; i < 4; i++)
		random->s[i] = split_mix(&state);
}

static inline uint64_t
rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static inline uint64_t
next(PgcreditRandom *random)
{
	uint64_t   *s = random->s;
	uint64_t	result = rotate(s[0] + s[3], 23) + s[0];
	uint64_t	t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

/* In [0, 1). */
static inline double
unit(PgcreditRandom *random)
{
	return (double) (next(random) >> 11) * 0x1p-53;
}

/* In [0, n); what 2^64 leaves over n shifts a chance by less than n / 2^64. */
static inline uint64_t
below(PgcreditRandom *random, uint64_t n)
{
	__extension__ typedef unsigned __int128 wide;

	return (uint64_t) (((wide) next(random) * n) >> 64);
}

/*
 * Transformed rejection (Hoermann 1993, algorithm BTRS) for p <= 1/2 and n p
 * not small.
 */
static int64_t
binomial_by_rejection(PgcreditRandom *random, int64_t n, double p)
{
	double		spread = sqrt((double) n * p * (1 - p));
	double		b = 1.15 + 2.53 * spread;
	double		a = -0.0873 + 0.0248 * b + 0.01 * p;
	double		c = (double) n * p + 0.5;
	double		quick = 0.92 - 4.2 / b;
	double		alpha = (2.83 + 5.1 / b) * spread;
	double		odds = log(p / (1 - p));
	double		mode = floor((double) (n + 1) * p);
	double		h = lgamma(mode + 1) + lgamma((double) n - mode + 1);

	for (;;)
	{
		double		u = unit(random) - 0.5;
		double		v = unit(random);
		double		room = 0.5 - fabs(u);
		double		k = floor((2 * a / room + b) * u + c);

		if (k < 0 || k > (double) n)
			continue;
		if (room >= 0.07 && v <= quick)
			return (int64_t) k;
		v = log(v * alpha / (a / (room * room) + b));
		if (v <= h - lgamma(k + 1) - lgamma((double) n - k + 1) + (k - mode) * odds)
			return (int64_t) k;
	}
}

/*
 * Number of successes in n trials of chance p.
 */
int64_t
pgcredit_binomial(PgcreditRandom *random, int64_t n, double p)
{
	double		u;
	double		chance;
	double		ratio;
	int64_t		x = 0;

	if (n <= 0 || p <= 0)
		return 0;
	if (p >= 1)
		return n;
	if (p > 0.5)
		return n - pgcredit_binomial(random, n, 1 - p);
	if ((double) n * p >= SMALL_MEAN)
		return binomial_by_rejection(random, n, p);
	u = unit(random);
	chance = exp((double) n * log1p(-p));
	ratio = p / (1 - p);
	while (u > chance && x < n)
	{
		u -= chance;
		x++;
		chance *= ratio * (double) (n - x + 1) / (double) x;
	}
	return x;
}

static int64_t
class_count(const PgcreditRankRun *run, bool bad)
{
	return bad ? run->bad : run->good;
}

/*
 * Cases of a class if they are few enough a run to be drawn one by one, else 0.
 */
int64_t
pgcredit_direct_cases(const PgcreditRankRun *runs, size_t n, bool bad)
{
	int64_t		cases = 0;

	for (size_t i = 0; i < n; i++)
		cases += class_count(&runs[i], bad);
	return n < UINT32_MAX && cases / DIRECT_CASES_PER_RUN <= (int64_t) n ? cases : 0;
}

/*
 * Prepare for a class; room is for what pgcredit_direct_cases says, and stays
 * the caller's.
 */
void
pgcredit_resample_start(PgcreditResample *resample, const PgcreditRankRun *runs,
						size_t n, bool bad, uint32_t *room)
{
	resample->n = n;
	resample->cases = 0;
	resample->run_of = room;
	for (size_t i = 0; i < n; i++)
	{
		if (room != NULL)
			for (int64_t k = 0; k < class_count(&runs[i], bad); k++)
				room[resample->cases + k] = (uint32_t) i;
		resample->cases += class_count(&runs[i], bad);
	}
}

/*
 * Draw as many cases of the class as there are, with replacement, into the
 * counts of drawn.  Their distribution is multinomial either way: case by case,
 * or run by run with binomial counts of what is left.
 */
void
pgcredit_resample(const PgcreditResample *resample, PgcreditRandom *random,
				  const PgcreditRankRun *runs, bool bad, PgcreditRankRun *drawn)
{
	int64_t		left = resample->cases;
	int64_t		behind = resample->cases;

	for (size_t i = 0; i < resample->n; i++)
	{
		int64_t		count = class_count(&runs[i], bad);
		int64_t		k = 0;

		if (resample->run_of == NULL && count > 0)
		{
			k = pgcredit_binomial(random, left, (double) count / (double) behind);
			left -= k;
			behind -= count;
		}
		if (bad)
			drawn[i].bad = k;
		else
			drawn[i].good = k;
	}
	if (resample->run_of == NULL)
		return;
	for (int64_t i = 0; i < resample->cases; i++)
	{
		PgcreditRankRun *run = &drawn[resample->run_of[below(random, (uint64_t) resample->cases)]];

		if (bad)
			run->bad++;
		else
			run->good++;
	}
}

/*
 * The same for counts of bins.
 */
void
pgcredit_draw_counts(PgcreditRandom *random, const double *counts, size_t n, double *drawn)
{
	double		behind = 0;
	int64_t		left;

	for (size_t i = 0; i < n; i++)
		behind += counts[i];
	left = (int64_t) behind;
	for (size_t i = 0; i < n; i++)
	{
		int64_t		k = counts[i] > 0 ? pgcredit_binomial(random, left, counts[i] / behind) : 0;

		drawn[i] = (double) k;
		left -= k;
		behind -= counts[i];
	}
}

/*
 * Quantile of n > 0 sorted values, interpolated between neighbours (type 7 of
 * Hyndman and Fan 1996, R's default).
 */
double
pgcredit_quantile(const double *sorted, size_t n, double p)
{
	double		place = (double) (n - 1) * p;
	size_t		i = (size_t) place;

	if (i + 1 >= n || place == (double) i)
		return sorted[i];
	return sorted[i] + (place - (double) i) * (sorted[i + 1] - sorted[i]);
}
