/*
 * leaf_hash.c
 *		Raw rate of a library: seconds that it needs for the leaf hash of each line
 *		of a file, which is read into memory before, and for the tree over them as
 *		the writer builds it, tile by tile.
 *
 * leaf_hash FILE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/merkle_kernel.h"

#define TILE_HEIGHT 8
#define TILE_WIDTH 256
#define LEVELS 8

static PgcreditMerkleHash tiles[LEVELS][TILE_WIDTH];
static int	widths[LEVELS];

/*
 * Put a hash at the end of a level, and the roots of the tiles that it completes above.
 */
static void
add(int level, const PgcreditMerkleHash hash)
{
	memcpy(tiles[level][widths[level]++], hash, sizeof(PgcreditMerkleHash));
	if (widths[level] == TILE_WIDTH && level + 1 < LEVELS)
	{
		PgcreditMerkleHash root;

		pgcredit_merkle_fold(tiles[level], TILE_HEIGHT, root);
		widths[level] = 0;
		add(level + 1, root);
	}
}

/*
 * Hash each line; returns the seconds.  The sum goes into the output, so that no
 * compiler leaves the work out.
 */
static double
hash_lines(const char *data, const char *end, int tree, unsigned char *sum)
{
	struct timespec begin,
				stop;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (const char *line = data, *newline; line < end; line = newline + 1)
	{
		PgcreditMerkleHash hash;

		newline = memchr(line, '\n', end - line);
		if (newline == NULL)
			newline = end;
		pgcredit_merkle_leaf(line, newline - line, hash);
		if (tree)
			add(0, hash);
		*sum ^= hash[0] ^ tiles[1][0][0];
	}
	clock_gettime(CLOCK_MONOTONIC, &stop);
	return (stop.tv_sec - begin.tv_sec) + (stop.tv_nsec - begin.tv_nsec) / 1e9;
}

int
main(int argc, char **argv)
{
	FILE	   *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	char	   *data;
	long		size;
	double		leaves;
	double		tree;
	unsigned char sum = 0;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) <= 0)
		return 1;
	rewind(file);
	data = malloc(size);
	if (data == NULL || fread(data, 1, size, file) != (size_t) size)
		return 1;
	leaves = hash_lines(data, data + size, 0, &sum);
	tree = hash_lines(data, data + size, 1, &sum);
	printf("%.6f %.6f %u\n", leaves, tree, sum);
	return 0;
}
