/*
 * merkle_kernel.c
 *		Hashes, paths and their checks of the Merkle tree of RFC 6962.
 *
 * A tree of any size is a row of perfect subtrees, one for each bit of the size,
 * the largest on the left.  Every range that a path needs is such a row too, and
 * begins at a multiple of a power of two that is at least its length, so each
 * perfect part of it is a node that the caller's function can name by height
 * and index.  Paths are found from the root down, and turned round at the end:
 * the RFC has the sibling of the leaf first.
 *
 * Nothing here allocates.
 */
#include "crypto/merkle_kernel.h"

#include <string.h>

#include "crypto/sha256_kernel.h"

/* First byte of what is hashed: a leaf can never be taken for a node. */
#define LEAF_PREFIX 0x00
#define NODE_PREFIX 0x01

/* SHA-256(0x00 || entry) */
void
pgcredit_merkle_leaf(const void *entry, size_t len, PgcreditMerkleHash out)
{
	static const uint8_t prefix = LEAF_PREFIX;

	pgcredit_kernel_sha256_of(&prefix, 1, entry, len, out);
}

/* SHA-256(0x01 || left || right) */
void
pgcredit_merkle_node(const PgcreditMerkleHash left, const PgcreditMerkleHash right,
					 PgcreditMerkleHash out)
{
	uint8_t		both[1 + 2 * PGCREDIT_MERKLE_BYTES];

	both[0] = NODE_PREFIX;
	memcpy(both + 1, left, PGCREDIT_MERKLE_BYTES);
	memcpy(both + 1 + PGCREDIT_MERKLE_BYTES, right, PGCREDIT_MERKLE_BYTES);
	pgcredit_kernel_sha256_of(NULL, 0, both, sizeof(both), out);
}

/* Height 0 is one hash, which is its own root. */
void
pgcredit_merkle_fold(PgcreditMerkleHash *hashes, unsigned int height, PgcreditMerkleHash out)
{
	uint64_t	width = (uint64_t) 1 << height;
	uint64_t	i;

	while (width > 1)
	{
		width /= 2;
		for (i = 0; i < width; i++)
			pgcredit_merkle_node(hashes[2 * i], hashes[2 * i + 1], hashes[i]);
	}
	memcpy(out, hashes[0], PGCREDIT_MERKLE_BYTES);
}

/*
 * Root over leaves [from, to), which are not none; from is a multiple of a power
 * of two that is at least their number.
 */
static bool
range_root(uint64_t from, uint64_t to, PgcreditMerkleRead read, void *arg, PgcreditMerkleHash out)
{
	uint64_t	count = to - from;
	bool		any = false;
	unsigned int height;

	for (height = 0; count >> height != 0; height++)
	{
		PgcreditMerkleHash part;

		if ((count >> height & 1) == 0)
			continue;
		to -= (uint64_t) 1 << height;
		if (!read(arg, height, to >> height, part))
			return false;
		if (any)
			pgcredit_merkle_node(part, out, out);
		else
			memcpy(out, part, PGCREDIT_MERKLE_BYTES);
		any = true;
		if (height == 63)
			break;
	}
	return true;
}

/* Largest power of two below n, which is at least 2. */
static uint64_t
split(uint64_t n)
{
	uint64_t	k = 1;

	while (k < n - k)
		k <<= 1;
	return k;
}

static int
turn_round(PgcreditMerkleHash *path, int n)
{
	int			i;

	for (i = 0; i < n / 2; i++)
	{
		PgcreditMerkleHash other;

		memcpy(other, path[i], PGCREDIT_MERKLE_BYTES);
		memcpy(path[i], path[n - 1 - i], PGCREDIT_MERKLE_BYTES);
		memcpy(path[n - 1 - i], other, PGCREDIT_MERKLE_BYTES);
	}
	return n;
}

bool
pgcredit_merkle_root(uint64_t size, PgcreditMerkleRead read, void *arg, PgcreditMerkleHash out)
{
	if (size == 0)
	{
		pgcredit_kernel_sha256_of(NULL, 0, NULL, 0, out);
		return true;
	}
	return range_root(0, size, read, arg, out);
}

int
pgcredit_merkle_inclusion(uint64_t leaf, uint64_t size, PgcreditMerkleRead read, void *arg,
						  PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX])
{
	uint64_t	from = 0;
	uint64_t	to = size;
	int			n = 0;

	if (leaf >= size)
		return -1;
	while (to - from > 1)
	{
		uint64_t	middle = from + split(to - from);

		if (leaf < middle)
		{
			if (!range_root(middle, to, read, arg, path[n++]))
				return -1;
			to = middle;
		}
		else
		{
			if (!range_root(from, middle, read, arg, path[n++]))
				return -1;
			from = middle;
		}
	}
	return turn_round(path, n);
}

int
pgcredit_merkle_consistency(uint64_t old, uint64_t size, PgcreditMerkleRead read, void *arg,
							PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX])
{
	uint64_t	from = 0;
	uint64_t	to = size;
	int			n = 0;

	if (old > size)
		return -1;
	if (old == 0)
		return 0;
	while (to != old)
	{
		uint64_t	middle = from + split(to - from);

		if (old <= middle)
		{
			if (!range_root(middle, to, read, arg, path[n++]))
				return -1;
			to = middle;
		}
		else
		{
			if (!range_root(from, middle, read, arg, path[n++]))
				return -1;
			from = middle;
		}
	}
	/* When the old tree is a whole subtree of the new, its root is known. */
	if (from > 0 && !range_root(from, to, read, arg, path[n++]))
		return -1;
	return turn_round(path, n);
}

static bool
same(const PgcreditMerkleHash a, const PgcreditMerkleHash b)
{
	return memcmp(a, b, PGCREDIT_MERKLE_BYTES) == 0;
}

bool
pgcredit_merkle_check_inclusion(const PgcreditMerkleHash leaf_hash, uint64_t leaf, uint64_t size,
								const PgcreditMerkleHash *path, int n,
								const PgcreditMerkleHash root)
{
	PgcreditMerkleHash r;
	uint64_t	fn = leaf;
	uint64_t	sn;
	int			i;

	if (leaf >= size || n < 0)
		return false;
	sn = size - 1;
	memcpy(r, leaf_hash, PGCREDIT_MERKLE_BYTES);
	for (i = 0; i < n; i++)
	{
		if (sn == 0)
			return false;
		if ((fn & 1) != 0 || fn == sn)
		{
			pgcredit_merkle_node(path[i], r, r);
			while ((fn & 1) == 0 && fn != 0)
			{
				fn >>= 1;
				sn >>= 1;
			}
		}
		else
			pgcredit_merkle_node(r, path[i], r);
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && same(r, root);
}

bool
pgcredit_merkle_check_consistency(uint64_t old, const PgcreditMerkleHash old_root,
								  uint64_t size, const PgcreditMerkleHash root,
								  const PgcreditMerkleHash *path, int n)
{
	PgcreditMerkleHash fr;
	PgcreditMerkleHash sr;
	uint64_t	fn = old - 1;
	uint64_t	sn = size - 1;
	int			i = 0;

	if (old > size || n < 0)
		return false;
	if (old == 0)
	{
		PgcreditMerkleHash empty;

		pgcredit_kernel_sha256_of(NULL, 0, NULL, 0, empty);
		if (!same(old_root, empty))
			return false;
	}
	if (old == size)
		return n == 0 && same(old_root, root);
	if (old == 0)
		return n == 0;
	/* An old tree that is one perfect subtree begins the path unsaid. */
	if ((old & (old - 1)) == 0)
		memcpy(fr, old_root, PGCREDIT_MERKLE_BYTES);
	else if (n > 0)
		memcpy(fr, path[i++], PGCREDIT_MERKLE_BYTES);
	else
		return false;
	memcpy(sr, fr, PGCREDIT_MERKLE_BYTES);
	while ((fn & 1) != 0)
	{
		fn >>= 1;
		sn >>= 1;
	}
	for (; i < n; i++)
	{
		if (sn == 0)
			return false;
		if ((fn & 1) != 0 || fn == sn)
		{
			pgcredit_merkle_node(path[i], fr, fr);
			pgcredit_merkle_node(path[i], sr, sr);
			while ((fn & 1) == 0 && fn != 0)
			{
				fn >>= 1;
				sn >>= 1;
			}
		}
		else
			pgcredit_merkle_node(sr, path[i], sr);
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && same(fr, old_root) && same(sr, root);
}
