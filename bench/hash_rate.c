/*
 * hash_rate.c
 *		Seconds that libsodium takes for the leaf hashes of entries, and for nothing
 *		else: the bound of credit.verify_log.
 *
 *   hash_rate FILE     entries, one a line
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int
main(int argc, char **argv)
{
	FILE	   *file = argc == 2 ? fopen(argv[1], "r") : NULL;
	struct timespec begin;
	struct timespec end;
	char	   *bytes;
	char	   *at;
	char	   *newline;
	long		size;

	if (file == NULL || sodium_init() < 0 || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
		return 2;
	rewind(file);
	bytes = malloc(size + 1);
	if (bytes == NULL || fread(bytes, 1, size, file) != (size_t) size)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (at = bytes; (newline = memchr(at, '\n', bytes + size - at)) != NULL; at = newline + 1)
	{
		static const unsigned char prefix = 0;
		static unsigned char hash[crypto_hash_sha256_BYTES];
		crypto_hash_sha256_state state;

		crypto_hash_sha256_init(&state);
		crypto_hash_sha256_update(&state, &prefix, 1);
		crypto_hash_sha256_update(&state, (unsigned char *) at, newline - at);
		crypto_hash_sha256_final(&state, hash);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.4f\n", (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9);
	return 0;
}
