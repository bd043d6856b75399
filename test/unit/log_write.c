/*
 * log_write.c
 *		Writes the files of a log that our kernels make, for others to check:
 *
 *   log_write [-p BYTES] [-o ORIGIN] [-x] DIR SIZE [OLD...]
 *
 * A log of SIZE entries, each with BYTES of padding, and, by the way, what it was
 * at the sizes OLD, ascending.  A log that lies signs for another ORIGIN than the
 * name of its key, or, with -x, for roots with a bit changed.  Its key is that of seed 00..1f, its witness's that of seed 20..3f.  In DIR, which
 * exists and is empty:
 *
 *   vkey, witness-vkeys         public keys, one a line
 *   checkpoint                  of SIZE, with the witness's cosignature
 *   N.checkpoint                of SIZE and of each OLD
 *   OLD-NEW.consistency         from each OLD to each larger one and to SIZE
 *   N.entry, N.tlog-proof       of some entries, by number (from 1)
 *   tile/...                    tiles and entry bundles
 *
 * test/go/logcheck.go and bin/pgcredit-verify read this layout.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto_kernel.h"
#include "crypto/note_kernel.h"

#define LOG_NAME "example.com/pgcredit-log"
#define WITNESS_NAME "witness.example/w1"
#define HEIGHTS 33
#define PADDING_MAX 65000
#define ENTRY_SIZE (PADDING_MAX + 512)

static const char *dir;
static uint64_t size;
static int	padding = 0;
static const char *origin = LOG_NAME;
static bool wrong_root = false;
static char entry[ENTRY_SIZE];
static PgcreditMerkleHash *levels[HEIGHTS];
static PgcreditNoteKey log_key;
static PgcreditNoteKey witness_key;
static uint8_t log_seed[PGCREDIT_NOTE_SEED];
static uint8_t witness_seed[PGCREDIT_NOTE_SEED];

static void *
memory(size_t bytes)
{
	void	   *result = calloc(1, bytes > 0 ? bytes : 1);

	if (result == NULL)
	{
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return result;
}

/* A new file below dir; folders on the way are made. */
static FILE *
create(const char *format,...)
{
	char		path[4096];
	size_t		len = snprintf(path, sizeof(path), "%s/", dir);
	va_list		args;
	char	   *slash;
	FILE	   *file;

	va_start(args, format);
	vsnprintf(path + len, sizeof(path) - len, format, args);
	va_end(args);
	for (slash = path + len; (slash = strchr(slash, '/')) != NULL; slash++)
	{
		*slash = '\0';
		if (mkdir(path, 0777) != 0 && errno != EEXIST)
			perror(path);
		*slash = '/';
	}
	file = fopen(path, "wb");
	if (file == NULL)
	{
		perror(path);
		exit(1);
	}
	return file;
}

static void
finish(FILE *file)
{
	if (fclose(file) != 0)
	{
		perror("write");
		exit(1);
	}
}

/*
 * The entry with this number; canonical JSON, with members and strings that a
 * careless reader takes for the number.  Its length.
 */
static size_t
make_entry(uint64_t number)
{
	return sprintf(entry, "{\"actor\":\"bank_%" PRIu64 "\",\"detail\":{\"seq\":1},\"kind\":\"access\",\"padding\":\"%0*d\","
				   "\"reason\":\"a \\\"seq\\\":7 in \\\\\",\"recorded\":\"2026-01-01T00:00:00.%06" PRIu64 "Z\","
				   "\"seq\":%" PRIu64 ",\"version\":1}", number % 7, padding, 0, number % 1000000, number);
}

static bool
read_level(void *arg, unsigned int height, uint64_t index, PgcreditMerkleHash out)
{
	(void) arg;
	memcpy(out, levels[height][index], PGCREDIT_MERKLE_BYTES);
	return true;
}

static void
grow_tree(void)
{
	unsigned int height;
	uint64_t	i;

	levels[0] = memory(size * sizeof(PgcreditMerkleHash));
	for (i = 0; i < size; i++)
	{
		size_t		len = make_entry(i + 1);

		pgcredit_merkle_leaf(entry, len, levels[0][i]);
	}
	for (height = 1; height < HEIGHTS; height++)
	{
		levels[height] = memory((size >> height) * sizeof(PgcreditMerkleHash));
		for (i = 0; i < size >> height; i++)
			pgcredit_merkle_node(levels[height - 1][2 * i], levels[height - 1][2 * i + 1], levels[height][i]);
	}
}

static void
put_checkpoint(FILE *file, uint64_t at)
{
	PgcreditCheckpoint checkpoint;
	char		text[PGCREDIT_CHECKPOINT_SIZE];
	char		line[PGCREDIT_NOTE_LINE_SIZE];
	size_t		len;

	snprintf(checkpoint.origin, sizeof(checkpoint.origin), "%s", origin);
	checkpoint.size = at;
	pgcredit_merkle_root(at, read_level, NULL, checkpoint.root);
	checkpoint.root[0] ^= wrong_root;
	len = pgcredit_checkpoint_text(&checkpoint, text);
	fprintf(file, "%s\n", text);
	pgcredit_note_signature_line(&log_key, log_seed, text, len, line);
	fputs(line, file);
	pgcredit_note_cosignature_line(&witness_key, witness_seed, text, len, 1700000000 + at, line);
	fputs(line, file);
}

static void
put_hashes(FILE *file, const PgcreditMerkleHash *path, int n)
{
	char		text[45];
	int			i;

	for (i = 0; i < n; i++)
	{
		pgcredit_note_base64(path[i], PGCREDIT_MERKLE_BYTES, text);
		fprintf(file, "%s\n", text);
	}
}

static void
write_proof(uint64_t number)
{
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	FILE	   *file;

	if (number < 1 || number > size)
		return;
	file = create("%" PRIu64 ".entry", number);
	fwrite(entry, 1, make_entry(number), file);
	finish(file);
	file = create("%" PRIu64 ".tlog-proof", number);
	fprintf(file, "c2sp.org/tlog-proof@v1\nindex %" PRIu64 "\n", number - 1);
	put_hashes(file, path, pgcredit_merkle_inclusion(number - 1, size, read_level, NULL, path));
	fputc('\n', file);
	put_checkpoint(file, size);
	finish(file);
}

static void
write_checkpoint(uint64_t at)
{
	FILE	   *file = create("%" PRIu64 ".checkpoint", at);

	put_checkpoint(file, at);
	finish(file);
}

static void
write_consistency(uint64_t older, uint64_t newer)
{
	PgcreditMerkleHash path[PGCREDIT_MERKLE_PATH_MAX];
	FILE	   *file = create("%" PRIu64 "-%" PRIu64 ".consistency", older, newer);

	put_hashes(file, path, pgcredit_merkle_consistency(older, newer, read_level, NULL, path));
	finish(file);
}

/* Enough for 999,999 tiles. */
static FILE *
create_tile(const char *level, uint64_t number, uint64_t width)
{
	char		partial[16] = "";

	if (width < 256)
		sprintf(partial, ".p/%d", (int) width);
	if (number >= 1000)
		return create("tile/%s/x%03d/%03d%s", level, (int) (number / 1000), (int) (number % 1000), partial);
	return create("tile/%s/%03d%s", level, (int) number, partial);
}

static void
write_tiles(void)
{
	char		name[16];
	uint64_t	number;
	uint64_t	i;
	unsigned int level;
	FILE	   *file;

	for (level = 0; size >> (8 * level) > 0; level++)
	{
		uint64_t	count = size >> (8 * level);

		sprintf(name, "%u", level);
		for (number = 0; number * 256 < count; number++)
		{
			uint64_t	width = count - number * 256 < 256 ? count - number * 256 : 256;

			file = create_tile(name, number, width);
			fwrite(levels[8 * level][number * 256], PGCREDIT_MERKLE_BYTES, width, file);
			finish(file);
			if (level > 0)
				continue;
			file = create_tile("entries", number, width);
			for (i = number * 256; i < number * 256 + width; i++)
			{
				size_t		len = make_entry(i + 1);

				fputc((int) (len >> 8), file);
				fputc((int) (len & 0xff), file);
				fwrite(entry, 1, len, file);
			}
			finish(file);
		}
	}
}

static void
write_keys(void)
{
	char		vkey[PGCREDIT_NOTE_VKEY_SIZE];
	uint8_t		public_key[PGCREDIT_NOTE_PUBLIC];
	FILE	   *file;
	int			i;

	for (i = 0; i < PGCREDIT_NOTE_SEED; i++)
	{
		log_seed[i] = i;
		witness_seed[i] = 0x20 + i;
	}
	pgcredit_note_public_key(log_seed, public_key);
	pgcredit_note_key(LOG_NAME, PGCREDIT_NOTE_ED25519, public_key, &log_key);
	pgcredit_note_public_key(witness_seed, public_key);
	pgcredit_note_key(WITNESS_NAME, PGCREDIT_NOTE_COSIGNATURE, public_key, &witness_key);
	file = create("vkey");
	pgcredit_note_vkey(&log_key, vkey);
	fprintf(file, "%s\n", vkey);
	finish(file);
	file = create("witness-vkeys");
	pgcredit_note_vkey(&witness_key, vkey);
	fprintf(file, "%s\n", vkey);
	finish(file);
}

int
main(int argc, char **argv)
{
	FILE	   *file;
	int			i;
	int			j;

	while ((i = getopt(argc, argv, "p:o:x")) != -1)
	{
		if (i == 'p')
			padding = atoi(optarg);
		else if (i == 'o')
			origin = optarg;
		else if (i == 'x')
			wrong_root = true;
	}
	argc -= optind - 1;
	argv += optind - 1;
	if (argc < 3 || padding > PADDING_MAX || !pgcredit_kernel_start())
	{
		fprintf(stderr, "usage: log_write [-p BYTES] [-o ORIGIN] [-x] DIR SIZE [OLD...]\n");
		return 2;
	}
	dir = argv[1];
	size = strtoull(argv[2], NULL, 10);
	grow_tree();
	write_keys();
	file = create("checkpoint");
	put_checkpoint(file, size);
	finish(file);
	write_checkpoint(size);
	for (i = 3; i < argc; i++)
	{
		uint64_t	older = strtoull(argv[i], NULL, 10);

		write_checkpoint(older);
		write_consistency(older, size);
		for (j = i + 1; j < argc; j++)
			write_consistency(older, strtoull(argv[j], NULL, 10));
		write_proof(older);
		write_proof(older + 1);
	}
	write_proof(1);
	write_proof(size);
	write_tiles();
	return 0;
}
