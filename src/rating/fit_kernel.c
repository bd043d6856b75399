/*
 * fit_kernel.c
 *		Logistic regression by iteratively reweighted least squares.
 *
 * Columns are centred and scaled before they are multiplied, and the
 * information matrix is brought to a diagonal of ones before it is factored:
 * so what a small pivot says is how little of a column the columns before it
 * leave unexplained, whatever its unit.
 */
#include "rating/fit_kernel.h"

#include <math.h>

/* 1 - R squared of a column on those before it; below this it is one of them. */
#define SMALLEST_PIVOT 1e-10

#define PACKED(i, j) ((i) * ((i) + 1) / 2 + (j))

void
pgcredit_fit_clear(int p, double *sums)
{
	for (int i = 0; i < pgcredit_fit_sums(p); i++)
		sums[i] = 0;
	sums[PGCREDIT_FIT_LOWEST_BAD] = INFINITY;
	sums[PGCREDIT_FIT_HIGHEST_GOOD] = -INFINITY;
}

/*
 * Add a case with values x[p] and a positive weight, at the coefficients of
 * setup; spare has room for p + 1.
 */
void
pgcredit_fit_add(int p, const double *setup, const double *x, bool bad,
				 double weight, double *spare, double *sums)
{
	const double *centre = setup + p + 1;
	const double *scale = centre + p;
	double	   *gradient = sums + PGCREDIT_FIT_GRADIENT;
	double	   *information = gradient + p + 1;
	double		eta = setup[0];
	double		small;
	double		probability;
	double		residual;
	double		w;

	spare[0] = 1;
	for (int j = 0; j < p; j++)
	{
		spare[j + 1] = (x[j] - centre[j]) / scale[j];
		eta += setup[j + 1] * spare[j + 1];
	}
	/* e^-|eta| neither overflows nor cancels */
	small = exp(-fabs(eta));
	probability = eta >= 0 ? 1 / (1 + small) : small / (1 + small);
	w = weight * small / ((1 + small) * (1 + small));
	sums[PGCREDIT_FIT_LOG_LIKELIHOOD] -= weight * (log1p(small) + (bad == (eta >= 0) ? 0 : fabs(eta)));
	sums[PGCREDIT_FIT_WEIGHT] += weight;
	if (bad)
	{
		sums[PGCREDIT_FIT_WEIGHT_BAD] += weight;
		if (eta < sums[PGCREDIT_FIT_LOWEST_BAD])
			sums[PGCREDIT_FIT_LOWEST_BAD] = eta;
		residual = weight * (eta >= 0 ? small / (1 + small) : 1 / (1 + small));
	}
	else
	{
		if (eta > sums[PGCREDIT_FIT_HIGHEST_GOOD])
			sums[PGCREDIT_FIT_HIGHEST_GOOD] = eta;
		residual = -weight * probability;
	}
	for (int i = 0; i <= p; i++)
	{
		double		wx = w * spare[i];

		gradient[i] += residual * spare[i];
		for (int j = 0; j <= i; j++)
			information[j] += wx * spare[j];
		information += i + 1;
	}
}

void
pgcredit_fit_merge(int p, double *sums, const double *other)
{
	for (int i = 0; i < pgcredit_fit_sums(p); i++)
	{
		if (i == PGCREDIT_FIT_LOWEST_BAD)
			sums[i] = fmin(sums[i], other[i]);
		else if (i == PGCREDIT_FIT_HIGHEST_GOOD)
			sums[i] = fmax(sums[i], other[i]);
		else
			sums[i] += other[i];
	}
}

/*
 * Cholesky factor of the information after scaling; both triangles packed.
 * Returns -1, or the first term that the terms before it determine.
 */
int
pgcredit_fit_factor(int q, const double *information, double *factor, double *scale)
{
	for (int i = 0; i < q; i++)
	{
		double		diagonal = information[PACKED(i, i)];

		if (!(diagonal > 0))
			return i;
		scale[i] = 1 / sqrt(diagonal);
	}
	for (int i = 0; i < q; i++)
	{
		for (int j = 0; j <= i; j++)
		{
			double		sum = information[PACKED(i, j)] * scale[i] * scale[j];

			for (int k = 0; k < j; k++)
				sum -= factor[PACKED(i, k)] * factor[PACKED(j, k)];
			if (i > j)
				factor[PACKED(i, j)] = sum / factor[PACKED(j, j)];
			else if (!(sum > SMALLEST_PIVOT))
				return i;
			else
				factor[PACKED(i, i)] = sqrt(sum);
		}
	}
	return -1;
}

/*
 * Replace vector by the inverse of the information times it.
 */
void
pgcredit_fit_solve(int q, const double *factor, const double *scale, double *vector)
{
	for (int i = 0; i < q; i++)
	{
		vector[i] *= scale[i];
		for (int k = 0; k < i; k++)
			vector[i] -= factor[PACKED(i, k)] * vector[k];
		vector[i] /= factor[PACKED(i, i)];
	}
	for (int i = q - 1; i >= 0; i--)
	{
		for (int k = i + 1; k < q; k++)
			vector[i] -= factor[PACKED(k, i)] * vector[k];
		vector[i] /= factor[PACKED(i, i)];
	}
	for (int i = 0; i < q; i++)
		vector[i] *= scale[i];
}
