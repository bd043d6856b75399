/*
 * merkle_kernel.h
 *		Merkle tree hash of RFC 6962 section 2.1 with SHA-256: hashes, paths and
 *		their checks.  Plain C, nothing of PostgreSQL.
 *
 * Leaves are numbered from 0.  What stores a tree is the caller's affair: it
 * gives a function that returns the hash of a perfect subtree.
 */
#ifndef PGCREDIT_MERKLE_KERNEL_H
#define PGCREDIT_MERKLE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGCREDIT_MERKLE_BYTES 32
/* The longest path: one hash for each bit of a leaf's number, and one more. */
#define PGCREDIT_MERKLE_PATH_MAX 65

typedef uint8_t PgcreditMerkleHash[PGCREDIT_MERKLE_BYTES];

/*
 * Hash of the perfect subtree over leaves [index << height, (index + 1) <<
 * height); all of them exist when it is called.  false when it cannot be had,
 * and then so is the result of the caller.
 */
typedef bool (*PgcreditMerkleRead) (void *arg, unsigned int height, uint64_t index,
									PgcreditMerkleHash out);

extern void pgcredit_merkle_leaf(const void *entry, size_t len, PgcreditMerkleHash out);
/* out may be left or right */
extern void pgcredit_merkle_node(const PgcreditMerkleHash left, const PgcreditMerkleHash right,
								 PgcreditMerkleHash out);
/* Root of a perfect tree over 2^height hashes, which are overwritten. */
extern void pgcredit_merkle_fold(PgcreditMerkleHash *hashes, unsigned int height,
								 PgcreditMerkleHash out);

/*
 * Root of the tree over the first "size" leaves; SHA-256 of nothing for 0.
 */
extern bool pgcredit_merkle_root(uint64_t size, PgcreditMerkleRead read, void *arg,
								 PgcreditMerkleHash out);

/*
 * PATH(leaf, D[size]) and PROOF(old, D[size]): number of hashes in path, in the
 * order of the RFC, or -1 when leaf >= size, old > size, or read failed.  A
 * consistency proof from 0 is empty, as tlog-witness has it.
 */
extern int	pgcredit_merkle_inclusion(uint64_t leaf, uint64_t size,
									  PgcreditMerkleRead read, void *arg,
									  PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX]);
extern int	pgcredit_merkle_consistency(uint64_t old, uint64_t size,
										PgcreditMerkleRead read, void *arg,
										PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX]);

/*
 * Do these prove it?  The algorithms of RFC 9162 sections 2.1.3.2 and 2.1.4.2;
 * n may be anything, also negative or more than a path can have.  The root of
 * size 0 is SHA-256 of nothing, and from there the only proof is the empty one:
 * it says nothing about the newer root, as everything begins with nothing.
 */
extern bool pgcredit_merkle_check_inclusion(const PgcreditMerkleHash leaf_hash,
											uint64_t leaf, uint64_t size,
											const PgcreditMerkleHash *path, int n,
											const PgcreditMerkleHash root);
extern bool pgcredit_merkle_check_consistency(uint64_t old, const PgcreditMerkleHash old_root,
											  uint64_t size, const PgcreditMerkleHash root,
											  const PgcreditMerkleHash *path, int n);

#endif							/* PGCREDIT_MERKLE_KERNEL_H */
