/*
 * verify.h
 *		What the files of bin/pgcredit-verify share.  No PostgreSQL here: the
 *		program is for people who have files and public keys, and no server.
 */
#ifndef PGCREDIT_VERIFY_H
#define PGCREDIT_VERIFY_H

#include "crypto/merkle_kernel.h"
#include "crypto/note_kernel.h"

/* Checkpoints and proofs are small; what is longer is none. */
#define PGCREDIT_VERIFY_FILE_MAX (256 * 1024)
#define PGCREDIT_VERIFY_WITNESSES 64

/* Whose signatures a checkpoint must have. */
typedef struct PgcreditVerifyPolicy
{
	PgcreditNoteKey log;
	PgcreditNoteKey witness[PGCREDIT_VERIFY_WITNESSES];
	int			witnesses;
	int			quorum;			/* how many of them */
} PgcreditVerifyPolicy;

/* Root as 44 characters of base64. */
typedef char PgcreditVerifyRoot[45];

/*
 * Says on standard error what is wrong, and returns false for the caller to
 * return: the files do not prove what they should.
 */
extern bool pgcredit_verify_invalid(const char *format,...) __attribute__((format(printf, 1, 2)));
/* The same for what cannot be checked at all, such as a missing file; ends the program with status 2. */
extern void pgcredit_verify_unable(const char *format,...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * The contents of a file, which the caller frees, with a NUL after them.  NULL,
 * said as invalid, when there are more than max bytes.
 */
extern char *pgcredit_verify_file(const char *path, size_t max, size_t *len);

/*
 * A checkpoint with the signatures that policy wants; name is that of its file.
 * cosigned may be NULL, else it gets the number of the witnesses that signed.
 */
extern bool pgcredit_verify_checkpoint(const char *name, const char *note, size_t len,
									   const PgcreditVerifyPolicy *policy,
									   PgcreditCheckpoint *out, int *cosigned);
extern bool pgcredit_verify_checkpoint_file(const char *path, const PgcreditVerifyPolicy *policy,
											PgcreditCheckpoint *out, int *cosigned);

/* The commands, after their options; true when all is well. */
extern bool pgcredit_verify_proof(const PgcreditVerifyPolicy *policy, const char *entry_path,
								  const char *proof_path);
extern bool pgcredit_verify_consistency(const PgcreditVerifyPolicy *policy, const char *old_path,
										const char *new_path, const char *proof_path);
extern bool pgcredit_verify_log(const PgcreditVerifyPolicy *policy, const char *checkpoint_path,
								uint64_t from, char *const *files, int count);

#endif							/* PGCREDIT_VERIFY_H */
