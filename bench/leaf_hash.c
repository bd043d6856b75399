/*
 * leaf_hash.c
 *		Raw rate of a library: seconds that it needs for the leaf hash of each line
 *		of a file, which is read into memory before.
 *
 * leaf_hash FILE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/merkle_kernel.h"

int
main(int argc, char **argv)
{
	FILE	   *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	char	   *data;
	long		size;
	struct timespec begin,
				end;
	unsigned char sum = 0;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) <= 0)
		return 1;
	rewind(file);
	data = malloc(size);
	if (data == NULL || fread(data, 1, size, file) != (size_t) size)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (char *line = data, *stop; line < data + size; line = stop + 1)
	{
		PgcreditMerkleHash hash;

		stop = memchr(line, '\n', data + size - line);
		if (stop == NULL)
			stop = data + size;
		pgcredit_merkle_leaf(line, stop - line, hash);
		sum ^= hash[0];
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	/* the sum is printed, so that no compiler leaves the work out */
	printf("%.6f %u\n", (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9, sum);
	return 0;
}
