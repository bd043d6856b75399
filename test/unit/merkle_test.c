/*
 * merkle_test.c
 *		src/crypto/merkle_kernel.c without a server; TAP on standard output.  Built
 *		and run by test/t/021_crypto_tree.pl.
 *
 * With the argument "probes" it reads cases from standard input instead, one a
 * line, and answers each with a line, "accepted" or "refused":
 *
 *   inclusion LEAF SIZE LEAF-HASH ROOT HASH...
 *   consistency OLD SIZE OLD-ROOT ROOT HASH...
 *
 * Sources: hashes and leaves of RFC 6962's reference tests; the roots and the
 * tile crossing were worked out with x/mod's sumdb/tlog.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/merkle_kernel.h"
#include "crypto/note_kernel.h"

#define LEAVES 300
#define SIZES 100

static int	tests = 0;
static int	failed = 0;

/* levels[h][i] is the perfect subtree i of height h over all the leaves. */
static PgcreditMerkleHash levels[9][LEAVES];
static unsigned long reads;
static unsigned long refuse_after;	/* the read with this number fails; 0: none does */

static void
ok(int passed, const char *what)
{
	printf("%sok %d - %s\n", passed ? "" : "not ", ++tests, what);
	failed += !passed;
}

static void
ok_hex(const PgcreditMerkleHash got, const char *expected, const char *what)
{
	char		hex[65];
	int			i;

	for (i = 0; i < 32; i++)
		sprintf(hex + 2 * i, "%02x", got[i]);
	ok(strcmp(hex, expected) == 0, what);
	if (strcmp(hex, expected) != 0)
		printf("# got %s\n", hex);
}

static void
ok_base64(const PgcreditMerkleHash got, const char *expected, const char *what)
{
	char		text[45];

	pgcredit_note_base64(got, 32, text);
	ok(strcmp(text, expected) == 0, what);
	if (strcmp(text, expected) != 0)
		printf("# got %s\n", text);
}

static bool
read_level(void *arg, unsigned int height, uint64_t index, PgcreditMerkleHash out)
{
	uint64_t	size = *(uint64_t *) arg;

	reads++;
	if (reads == refuse_after)
		return false;
	if (height > 8 || (index + 1) << height > size)
	{
		printf("# asked for a subtree that does not exist: height %u, index %" PRIu64 "\n", height, index);
		failed++;
		return false;
	}
	memcpy(out, levels[height][index], PGCREDIT_MERKLE_BYTES);
	return true;
}

static void
fill_levels(void)
{
	unsigned int height;
	int			i;

	for (height = 1; height <= 8; height++)
	{
		for (i = 0; i < LEAVES >> height; i++)
			pgcredit_merkle_node(levels[height - 1][2 * i], levels[height - 1][2 * i + 1], levels[height][i]);
	}
}

/* MTH(D[from:to]) as the RFC writes it, as slow as that is. */
static void
slow_root(int from, int to, PgcreditMerkleHash out)
{
	PgcreditMerkleHash left;
	PgcreditMerkleHash right;
	int			k = 1;

	if (to - from == 1)
	{
		memcpy(out, levels[0][from], PGCREDIT_MERKLE_BYTES);
		return;
	}
	while (2 * k < to - from)
		k *= 2;
	slow_root(from, from + k, left);
	slow_root(from + k, to, right);
	pgcredit_merkle_node(left, right, out);
}

static void
test_known(void)
{
	static const char *const leaves[8] = {
		"", "\x00", "\x10", "\x20\x21", "\x30\x31", "\x40\x41\x42\x43",
		"\x50\x51\x52\x53\x54\x55\x56\x57", "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"
	};
	static const size_t lens[8] = {0, 1, 1, 2, 2, 4, 8, 16};
	static const char *const roots[9] = {
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
	};
	static const char *const path_5_8[4] = {
		"vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=", "QnGia+DYqE8L1UyMMC58s6O10fpngKQLzOKHNHfatlg=",
		"yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=", "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc="
	};
	static const int of_inclusion[3] = {0, 2, 3};	/* leaf 5 of 8 has these of them */
	PgcreditMerkleHash hash;
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	uint64_t	size;
	int			i;

	pgcredit_merkle_leaf(NULL, 0, hash);
	ok_hex(hash, roots[1], "leaf of nothing");
	pgcredit_merkle_leaf("L123456", 7, hash);
	ok_hex(hash, "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56", "leaf L123456");

	for (i = 0; i < 8; i++)
		pgcredit_merkle_leaf(leaves[i], lens[i], levels[0][i]);
	fill_levels();
	for (size = 0; size <= 8; size++)
	{
		char		what[32];

		sprintf(what, "root of size %" PRIu64, size);
		ok(pgcredit_merkle_root(size, read_level, &size, hash), "a root can be had");
		ok_hex(hash, roots[size], what);
	}
	size = 8;
	ok(pgcredit_merkle_consistency(5, 8, read_level, &size, path) == 4, "the proof from 5 to 8 has 4 hashes");
	for (i = 0; i < 4; i++)
		ok_base64(path[i], path_5_8[i], "a hash of the proof from 5 to 8");
	ok(pgcredit_merkle_inclusion(5, 8, read_level, &size, path) == 3, "leaf 5 of 8 has a path of 3");
	for (i = 0; i < 3; i++)
		ok_base64(path[i], path_5_8[of_inclusion[i]], "a hash of the path of leaf 5");
}

/*
 * The reference tests' own node has parts of 4 bytes, which ours cannot have;
 * nodes are known by the roots above.
 */
static void
test_node(void)
{
	PgcreditMerkleHash hashes[4];
	PgcreditMerkleHash out;
	PgcreditMerkleHash pair[2];
	int			i;

	for (i = 0; i < 4; i++)
		memcpy(hashes[i], levels[0][i], PGCREDIT_MERKLE_BYTES);
	pgcredit_merkle_fold(hashes, 2, out);
	ok(memcmp(out, levels[2][0], 32) == 0, "a fold of 4 is their root");
	memcpy(hashes[0], levels[0][0], PGCREDIT_MERKLE_BYTES);
	pgcredit_merkle_fold(hashes, 0, out);
	ok(memcmp(out, levels[0][0], 32) == 0, "a fold of 1 is that");

	memcpy(pair[0], levels[0][0], PGCREDIT_MERKLE_BYTES);
	memcpy(pair[1], levels[0][1], PGCREDIT_MERKLE_BYTES);
	pgcredit_merkle_node(pair[0], pair[1], pair[0]);
	ok(memcmp(pair[0], levels[1][0], 32) == 0, "a node may overwrite its left part");
	memcpy(pair[0], levels[0][0], PGCREDIT_MERKLE_BYTES);
	pgcredit_merkle_node(pair[0], pair[1], pair[1]);
	ok(memcmp(pair[1], levels[1][0], 32) == 0, "or its right part");
}

static void
test_crossing(void)
{
	PgcreditMerkleHash hash;
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	uint64_t	size;
	char		text[16];
	int			i;

	for (i = 0; i < LEAVES; i++)
		pgcredit_merkle_leaf(text, sprintf(text, "leaf %d", i), levels[0][i]);
	fill_levels();
	size = 256;
	pgcredit_merkle_root(size, read_level, &size, hash);
	ok_base64(hash, "z17/2xHQknou31Ow5zx4N/ZZQU4AU32l2Q61xMSf8nQ=", "root of 256");
	size = 300;
	pgcredit_merkle_root(size, read_level, &size, hash);
	ok_base64(hash, "56/ILTiUT8eTBUUygJHUWCMojB9zTL2sBjlnE+vUtdU=", "root of 300");
	ok(pgcredit_merkle_consistency(256, 300, read_level, &size, path) == 1, "the proof from 256 to 300 has one hash");
	ok_base64(path[0], "d3QiiY7L9//1QBZZ1AvIEHfvfsF/o9uNqPnP6JKjWfg=", "which is the known one");
}

/* Runs check(path, n) on every damaged form of a path; all must fail. */
typedef bool (*Check) (const PgcreditMerkleHash *path, int n, void *arg);

static int
damaged_accepted(const PgcreditMerkleHash *path, int n, Check check, void *arg)
{
	PgcreditMerkleHash other[PGCREDIT_MERKLE_PATH_MAX + 1];
	int			accepted = 0;
	int			i;
	int			bit;

	memcpy(other, path, n * sizeof(other[0]));
	for (i = 0; i < n; i++)
	{
		for (bit = 0; bit < 256; bit += 37)
		{
			other[i][bit / 8] ^= 1 << (bit % 8);
			accepted += check(other, n, arg);
			other[i][bit / 8] ^= 1 << (bit % 8);
		}
	}
	for (i = 0; i < n; i++)
	{
		memcpy(other, path, i * sizeof(other[0]));
		memcpy(other + i, path + i + 1, (n - i - 1) * sizeof(other[0]));
		accepted += check(other, n - 1, arg);
	}
	for (i = 0; i <= n; i++)
	{
		memcpy(other, path, i * sizeof(other[0]));
		memcpy(other[i], levels[0][i], sizeof(other[0]));
		memcpy(other + i + 1, path + i, (n - i) * sizeof(other[0]));
		accepted += check(other, n + 1, arg);
	}
	accepted += check(path, -1, arg);
	return accepted;
}

typedef struct Inclusion
{
	uint64_t	leaf;
	uint64_t	size;
	PgcreditMerkleHash root;
} Inclusion;

static bool
check_inclusion(const PgcreditMerkleHash *path, int n, void *arg)
{
	Inclusion  *it = arg;

	return pgcredit_merkle_check_inclusion(levels[0][it->leaf], it->leaf, it->size, path, n, it->root);
}

static void
test_every_inclusion(void)
{
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	Inclusion	it;
	int			wrong = 0;
	int			accepted = 0;
	int			elsewhere = 0;
	unsigned long proofs = 0;

	for (it.size = 1; it.size <= SIZES; it.size++)
	{
		PgcreditMerkleHash fast;

		slow_root(0, it.size, it.root);
		wrong += !pgcredit_merkle_root(it.size, read_level, &it.size, fast) || memcmp(fast, it.root, 32) != 0;
		for (it.leaf = 0; it.leaf < it.size; it.leaf++)
		{
			int			n = pgcredit_merkle_inclusion(it.leaf, it.size, read_level, &it.size, path);
			uint64_t	other;

			proofs++;
			wrong += n < 0 || !check_inclusion(path, n, &it);
			accepted += damaged_accepted(path, n, check_inclusion, &it);
			for (other = 0; other <= it.size; other++)
				elsewhere += other != it.leaf &&
					pgcredit_merkle_check_inclusion(levels[0][it.leaf], other, it.size, path, n, it.root);
			elsewhere += pgcredit_merkle_check_inclusion(levels[0][it.leaf + 1], it.leaf, it.size, path, n, it.root);
		}
		wrong += pgcredit_merkle_inclusion(it.size, it.size, read_level, &it.size, path) != -1;
	}
	ok(proofs == SIZES * (SIZES + 1) / 2, "every leaf of every size was proven");
	ok(wrong == 0, "every path proves its leaf, every root is that of the RFC's recursion");
	ok(accepted == 0, "no path with a flipped bit, a hash less or a hash more does");
	ok(elsewhere == 0, "nor does one prove another place or another leaf");
}

typedef struct Consistency
{
	uint64_t	old;
	uint64_t	size;
	PgcreditMerkleHash old_root;
	PgcreditMerkleHash root;
} Consistency;

static bool
check_consistency(const PgcreditMerkleHash *path, int n, void *arg)
{
	Consistency *it = arg;

	return pgcredit_merkle_check_consistency(it->old, it->old_root, it->size, it->root, path, n);
}

static void
test_every_consistency(void)
{
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	Consistency it;
	int			wrong = 0;
	int			accepted = 0;
	int			other_root = 0;
	unsigned long proofs = 0;

	for (it.size = 1; it.size <= SIZES; it.size++)
	{
		slow_root(0, it.size, it.root);
		for (it.old = 1; it.old <= it.size; it.old++)
		{
			int			n = pgcredit_merkle_consistency(it.old, it.size, read_level, &it.size, path);

			proofs++;
			slow_root(0, it.old, it.old_root);
			wrong += n < 0 || !check_consistency(path, n, &it);
			accepted += damaged_accepted(path, n, check_consistency, &it);
			it.old_root[31] ^= 1;
			other_root += check_consistency(path, n, &it);
			it.old_root[31] ^= 1;
			it.root[0] ^= 0x80;
			other_root += check_consistency(path, n, &it);
			it.root[0] ^= 0x80;
		}
		wrong += pgcredit_merkle_consistency(it.size + 1, it.size, read_level, &it.size, path) != -1;
	}
	ok(proofs == SIZES * (SIZES + 1) / 2, "every pair of sizes was proven");
	ok(wrong == 0, "every consistency proof holds");
	ok(accepted == 0, "none with a flipped bit, a hash less or a hash more does");
	ok(other_root == 0, "nor with another root of either size");
}

static void
test_size_zero(void)
{
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	PgcreditMerkleHash empty;
	PgcreditMerkleHash root;
	uint64_t	size = 8;

	pgcredit_merkle_root(0, read_level, &size, empty);
	pgcredit_merkle_root(8, read_level, &size, root);
	ok(pgcredit_merkle_consistency(0, 8, read_level, &size, path) == 0, "the proof from size 0 is empty");
	ok(pgcredit_merkle_consistency(0, 0, read_level, &size, path) == 0, "also to size 0");
	ok(pgcredit_merkle_check_consistency(0, empty, 8, root, path, 0), "and holds");
	ok(pgcredit_merkle_check_consistency(0, empty, 0, empty, path, 0), "and holds there");
	memcpy(path[0], root, sizeof(root));
	ok(!pgcredit_merkle_check_consistency(0, empty, 8, root, path, 1), "one with a hash does not");
	ok(!pgcredit_merkle_check_consistency(0, root, 8, root, path, 0), "size 0 has one root");
	ok(!pgcredit_merkle_check_consistency(0, root, 0, root, path, 0), "also when both sizes are 0");
	ok(!pgcredit_merkle_check_consistency(1, root, 0, empty, path, 0), "a log does not shrink to nothing");
	ok(!pgcredit_merkle_check_inclusion(empty, 0, 0, path, 0, empty), "nothing is in an empty tree");
}

/* Any subtree reads as a hash of its place: only the shape is looked at. */
static bool
read_place(void *arg, unsigned int height, uint64_t index, PgcreditMerkleHash out)
{
	(void) arg;
	memset(out, 0, PGCREDIT_MERKLE_BYTES);
	out[0] = height;
	memcpy(out + 1, &index, sizeof(index));
	return true;
}

static void
test_huge(void)
{
	static const uint64_t sizes[] = {
		UINT64_MAX, UINT64_MAX - 1, (UINT64_C(1) << 63) + 1, UINT64_C(1) << 63, (UINT64_C(1) << 63) - 1,
		UINT64_C(0x8000000100000001), UINT64_C(0x5555555555555555)
	};
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	PgcreditMerkleHash old_root;
	PgcreditMerkleHash leaf_hash;
	PgcreditMerkleHash root;
	int			wrong = 0;
	size_t		i;
	int			n;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		uint64_t	last = sizes[i] - 1;

		pgcredit_merkle_root(sizes[i], read_place, NULL, root);
		n = pgcredit_merkle_consistency(last, sizes[i], read_place, NULL, path);
		wrong += n < 0 || n > PGCREDIT_MERKLE_PATH_MAX;
		n = pgcredit_merkle_inclusion(last, sizes[i], read_place, NULL, path);
		wrong += n < 0 || n > PGCREDIT_MERKLE_PATH_MAX;
		/* the last leaf of an odd size hangs below perfect subtrees only */
		read_place(NULL, 0, last, leaf_hash);
		if (sizes[i] % 2 == 1)
			wrong += !pgcredit_merkle_check_inclusion(leaf_hash, last, sizes[i], path, n, root);
		pgcredit_merkle_root(last, read_place, NULL, old_root);
		n = pgcredit_merkle_consistency(last, sizes[i], read_place, NULL, path);
		if (sizes[i] % 2 == 1)
			wrong += !pgcredit_merkle_check_consistency(last, old_root, sizes[i], root, path, n);
	}
	ok(wrong == 0, "paths of trees of up to 2^64 - 1 leaves fit and hold");
}

/* Whatever read fails, so does the whole. */
static void
test_failing_reads(void)
{
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	PgcreditMerkleHash hash;
	uint64_t	size = 87;
	unsigned long total;
	int			wrong = 0;

	reads = 0;
	wrong += pgcredit_merkle_inclusion(21, size, read_level, &size, path) < 0;
	wrong += pgcredit_merkle_consistency(21, size, read_level, &size, path) < 0;
	wrong += !pgcredit_merkle_root(size, read_level, &size, hash);
	total = reads;
	for (refuse_after = 1; refuse_after <= total; refuse_after++)
	{
		int			fell = 0;

		reads = 0;
		fell += pgcredit_merkle_inclusion(21, size, read_level, &size, path) < 0;
		fell += pgcredit_merkle_consistency(21, size, read_level, &size, path) < 0;
		fell += !pgcredit_merkle_root(size, read_level, &size, hash);
		wrong += fell != 1;
	}
	refuse_after = 0;
	ok(total > 10 && wrong == 0, "a read that fails makes its proof or root fail");
}

static int
hash_of(const char *hex, PgcreditMerkleHash out)
{
	int			i;

	if (hex == NULL || strlen(hex) != 64)
		return 0;
	for (i = 0; i < 32; i++)
	{
		unsigned int byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return 0;
		out[i] = byte;
	}
	return 1;
}

static int
answer_probes(void)
{
	static char line[1 << 16];

	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		PgcreditMerkleHash first;
		PgcreditMerkleHash second;
		PgcreditMerkleHash path[256];
		const char *kind = strtok(line, " \n");
		const char *number = strtok(NULL, " \n");
		uint64_t	a = strtoull(number, NULL, 10);
		uint64_t	b = strtoull(strtok(NULL, " \n"), NULL, 10);
		const char *word;
		int			n = 0;
		bool		accepted;

		if (!hash_of(strtok(NULL, " \n"), first) || !hash_of(strtok(NULL, " \n"), second))
			return 2;
		while ((word = strtok(NULL, " \n")) != NULL)
		{
			if (n == 256 || !hash_of(word, path[n++]))
				return 2;
		}
		if (strcmp(kind, "inclusion") == 0)
			accepted = pgcredit_merkle_check_inclusion(first, a, b, path, n, second);
		else
			accepted = pgcredit_merkle_check_consistency(a, first, b, second, path, n);
		puts(accepted ? "accepted" : "refused");
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "probes") == 0)
		return answer_probes();
	test_known();
	test_node();
	test_crossing();
	test_every_inclusion();
	test_every_consistency();
	test_size_zero();
	test_huge();
	test_failing_reads();
	printf("1..%d\n", tests);
	return failed != 0;
}
