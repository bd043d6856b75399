/*
 * verify_note.c
 *		Checkpoints, .tlog-proof files and consistency proofs.
 *
 * A signature line of a key that was given and that does not verify makes the
 * whole invalid, also where enough others do: somebody has been at the file.
 * Lines of other keys are passed over, as C2SP signed-note wants it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/verify.h"

static const char proof_head[] = "c2sp.org/tlog-proof@v1\n";

/* The signature lines of a note under the keys of the policy. */
static bool
check_signatures(const char *name, const PgcreditNote *note, const PgcreditVerifyPolicy *policy,
				 int *cosigned)
{
	bool		by_log = false;
	bool		by_witness[PGCREDIT_VERIFY_WITNESSES] = {false};
	PgcreditNoteSignature line;
	size_t		at = 0;
	bool		bad;
	int			i;

	*cosigned = 0;
	while (pgcredit_note_next(note, &at, &line, &bad))
	{
		if (pgcredit_note_line_is_of(&line, &policy->log))
		{
			if (!pgcredit_note_check(&line, &policy->log, note->text, note->text_len, NULL))
				return pgcredit_verify_invalid("%s: the log's signature does not verify", name);
			by_log = true;
		}
		for (i = 0; i < policy->witnesses; i++)
		{
			if (!pgcredit_note_line_is_of(&line, &policy->witness[i]))
				continue;
			if (!pgcredit_note_check(&line, &policy->witness[i], note->text, note->text_len, NULL))
				return pgcredit_verify_invalid("%s: the signature of witness %s does not verify",
											   name, policy->witness[i].name);
			*cosigned += !by_witness[i];
			by_witness[i] = true;
		}
	}
	if (!by_log)
		return pgcredit_verify_invalid("%s: no signature by the key of %s", name, policy->log.name);
	if (*cosigned < policy->quorum)
		return pgcredit_verify_invalid("%s: %d of the witnesses signed, %d must", name, *cosigned, policy->quorum);
	return true;
}

bool
pgcredit_verify_checkpoint(const char *name, const char *note_text, size_t len,
						   const PgcreditVerifyPolicy *policy, PgcreditCheckpoint *out, int *cosigned)
{
	PgcreditNote note;
	PgcreditMerkleHash empty;
	int			signed_by = 0;

	if (!pgcredit_note_open(note_text, len, &note))
		return pgcredit_verify_invalid("%s: not a signed note", name);
	if (!check_signatures(name, &note, policy, &signed_by))
		return false;
	if (!pgcredit_checkpoint_parse(note.text, note.text_len, out))
		return pgcredit_verify_invalid("%s: what is signed is not a checkpoint", name);
	/* one key may sign for several logs, but its name is that of ours */
	if (strcmp(out->origin, policy->log.name) != 0)
		return pgcredit_verify_invalid("%s: a checkpoint of another log than %s", name, policy->log.name);
	pgcredit_merkle_root(0, NULL, NULL, empty);
	if (out->size == 0 && memcmp(out->root, empty, PGCREDIT_MERKLE_BYTES) != 0)
		return pgcredit_verify_invalid("%s: a log without entries has another root", name);
	if (cosigned != NULL)
		*cosigned = signed_by;
	return true;
}

bool
pgcredit_verify_checkpoint_file(const char *path, const PgcreditVerifyPolicy *policy,
								PgcreditCheckpoint *out, int *cosigned)
{
	size_t		len;
	char	   *note = pgcredit_verify_file(path, PGCREDIT_VERIFY_FILE_MAX, &len);
	bool		valid = note != NULL && pgcredit_verify_checkpoint(path, note, len, policy, out, cosigned);

	free(note);
	return valid;
}

/*
 * Reads lines with one hash each from *at until an empty line or the end, and
 * leaves *at behind them.  Their number, or -1 when a line is no hash or there
 * are more than a path can have.
 */
static int
read_hashes(const char **at, const char *end, PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX])
{
	int			n = 0;

	while (*at < end && **at != '\n')
	{
		const char *line_end = memchr(*at, '\n', end - *at);

		if (line_end == NULL)
			line_end = end;
		if (n == PGCREDIT_MERKLE_PATH_MAX ||
			pgcredit_note_base64_decode(*at, line_end - *at, path[n], PGCREDIT_MERKLE_BYTES) != PGCREDIT_MERKLE_BYTES)
			return -1;
		n++;
		*at = line_end < end ? line_end + 1 : end;
	}
	return n;
}

/* A line "word value\n" at *at; false when it is not there. */
static bool
read_line(const char **at, const char *end, const char *word, const char **value, size_t *len)
{
	size_t		word_len = strlen(word);
	const char *line_end;

	if ((size_t) (end - *at) < word_len || memcmp(*at, word, word_len) != 0)
		return false;
	*value = *at + word_len;
	line_end = memchr(*value, '\n', end - *value);
	if (line_end == NULL)
		return false;
	*len = line_end - *value;
	*at = line_end + 1;
	return true;
}

/* The parts of a .tlog-proof; at is left at the checkpoint. */
static bool
parse_proof(const char *path, const char **at, const char *end, uint64_t *index,
			PgcreditMerkleHash *hashes, int *n)
{
	const char *value;
	size_t		len;
	uint8_t    *extra;
	bool		extra_good = true;

	if ((size_t) (end - *at) < strlen(proof_head) || memcmp(*at, proof_head, strlen(proof_head)) != 0)
		return pgcredit_verify_invalid("%s: not a tlog-proof of version 1", path);
	*at += strlen(proof_head);
	if (read_line(at, end, "extra ", &value, &len))
	{
		/* nobody signed it: it must be base64 and means nothing */
		extra = malloc(len + 1);
		extra_good = extra != NULL && pgcredit_note_base64_decode(value, len, extra, len + 1) >= 0;
		free(extra);
	}
	if (!extra_good || !read_line(at, end, "index ", &value, &len) || !pgcredit_note_number(value, len, index))
		return pgcredit_verify_invalid("%s: no index where it should be", path);
	*n = read_hashes(at, end, hashes);
	if (*n < 0)
		return pgcredit_verify_invalid("%s: a line of the path is no hash, or there are too many", path);
	if (*at == end)
		return pgcredit_verify_invalid("%s: no checkpoint after the path", path);
	(*at)++;
	return true;
}

/* entry with its length is freed by the caller, as is proof. */
static bool
check_proof(const PgcreditVerifyPolicy *policy, const char *entry_path, const char *entry, size_t entry_len,
			const char *proof_path, const char *proof, size_t proof_len)
{
	const char *at = proof;
	const char *end = proof + proof_len;
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	PgcreditMerkleHash leaf;
	PgcreditCheckpoint checkpoint;
	uint64_t	index = 0;
	int			n = 0;

	if (!parse_proof(proof_path, &at, end, &index, path, &n) ||
		!pgcredit_verify_checkpoint(proof_path, at, end - at, policy, &checkpoint, NULL))
		return false;
	if (index >= checkpoint.size)
		return pgcredit_verify_invalid("%s: index %llu is not in a log of %llu entries", proof_path,
									   (unsigned long long) index, (unsigned long long) checkpoint.size);
	pgcredit_merkle_leaf(entry, entry_len, leaf);
	if (pgcredit_merkle_check_inclusion(leaf, index, checkpoint.size, path, n, checkpoint.root))
	{
		printf("valid: %s is entry %llu of the %llu entries of %s\n", entry_path,
			   (unsigned long long) index + 1, (unsigned long long) checkpoint.size, policy->log.name);
		return true;
	}
	if (entry_len > 0 && entry[entry_len - 1] == '\n')
	{
		pgcredit_merkle_leaf(entry, entry_len - 1, leaf);
		if (pgcredit_merkle_check_inclusion(leaf, index, checkpoint.size, path, n, checkpoint.root))
			return pgcredit_verify_invalid("%s: it would be entry %llu without the newline at its end", entry_path,
										   (unsigned long long) index + 1);
	}
	return pgcredit_verify_invalid("%s does not prove that %s is entry %llu of the log", proof_path, entry_path,
								   (unsigned long long) index + 1);
}

bool
pgcredit_verify_proof(const PgcreditVerifyPolicy *policy, const char *entry_path, const char *proof_path)
{
	size_t		entry_len;
	size_t		proof_len;
	char	   *entry = pgcredit_verify_file(entry_path, PGCREDIT_VERIFY_FILE_MAX, &entry_len);
	char	   *proof = pgcredit_verify_file(proof_path, PGCREDIT_VERIFY_FILE_MAX, &proof_len);
	bool		valid = entry != NULL && proof != NULL &&
		check_proof(policy, entry_path, entry, entry_len, proof_path, proof, proof_len);

	free(entry);
	free(proof);
	return valid;
}

bool
pgcredit_verify_consistency(const PgcreditVerifyPolicy *policy, const char *old_path,
							const char *new_path, const char *proof_path)
{
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	PgcreditCheckpoint older;
	PgcreditCheckpoint newer;
	size_t		len;
	char	   *proof;
	const char *at;
	int			n;

	if (!pgcredit_verify_checkpoint_file(old_path, policy, &older, NULL) ||
		!pgcredit_verify_checkpoint_file(new_path, policy, &newer, NULL))
		return false;
	if (older.size > newer.size)
		return pgcredit_verify_invalid("%s has %llu entries, %s only %llu", old_path, (unsigned long long) older.size,
									   new_path, (unsigned long long) newer.size);
	if (older.size == newer.size && memcmp(older.root, newer.root, PGCREDIT_MERKLE_BYTES) != 0)
		return pgcredit_verify_invalid("the log signed two different roots for %llu entries: it was forked or rewritten",
									   (unsigned long long) older.size);
	proof = pgcredit_verify_file(proof_path, PGCREDIT_VERIFY_FILE_MAX, &len);
	if (proof == NULL)
		return false;
	at = proof;
	n = read_hashes(&at, proof + len, path);
	if (at != proof + len)
		n = -1;
	free(proof);
	if (n < 0)
		return pgcredit_verify_invalid("%s: a line is no hash, or there are too many", proof_path);
	if (!pgcredit_merkle_check_consistency(older.size, older.root, newer.size, newer.root, path, n))
		return pgcredit_verify_invalid("%s does not prove that the log of %s only added to that of %s",
									   proof_path, new_path, old_path);
	printf("valid: the %llu entries of %s only add to the first %llu\n", (unsigned long long) newer.size,
		   policy->log.name, (unsigned long long) older.size);
	return true;
}
