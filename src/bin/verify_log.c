/*
 * verify_log.c
 *		An export of the log, as C2SP tlog-tiles lay it out, against a checkpoint.
 *
 * Entries are read once, in order, one at a time.  What is kept of them is the
 * last, unfinished tile of each level, 64 kB in all: a level's tile that becomes
 * full is one hash of the level above.  The bits of a size are the widths of its
 * unfinished tiles, so the perfect subtrees that make up the root are all there
 * at the end.
 *
 * Tiles in the export are not needed, but where they are they must agree: so
 * the first wrong entry is named, and not only that the root is another.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bin/verify.h"

#define TILE_HEIGHT 8
#define TILE_WIDTH 256
#define LEVELS 8
#define ENTRY_MAX 65535
#define ENTRIES (-1)			/* instead of a level: the bundles */

/* The unfinished tile of a level. */
typedef struct Tile
{
	PgcreditMerkleHash hash[TILE_WIDTH];
	unsigned int width;
	uint64_t	number;
} Tile;

typedef struct Export
{
	const char *dir;			/* NULL when bundles are named one by one */
	char *const *bundle;
	int			bundles;
	uint64_t	size;			/* of the checkpoint */
	uint64_t	from;			/* entries from this number on must be there */
	uint64_t	by_hash;		/* entries of which only the hash was there */
	Tile		level[LEVELS];
	char		path[4096];		/* of the file that was opened last */
	uint8_t		entry[ENTRY_MAX + 1];
} Export;

/* Number of a tile in groups of three digits, all but the last with an x before it. */
static size_t
tile_number(uint64_t number, char *out, size_t size)
{
	size_t		len = 0;

	if (number >= 1000)
	{
		len = tile_number(number / 1000, out, size);
		/* what was last until now gets its x */
		memmove(out + len - 3 + 1, out + len - 3, 3);
		out[len - 3] = 'x';
		len++;
		out[len++] = '/';
	}
	return len + snprintf(out + len, size - len, "%03u", (unsigned int) (number % 1000));
}

/* Opens dir/tile/LEVEL/NUMBER or, with a width below 256, its .p/WIDTH. */
static FILE *
try_tile(Export *export, int level, uint64_t number, unsigned int width)
{
	char		name[64];
	char		folder[16];
	char		partial[16] = "";
	FILE	   *file;

	tile_number(number, name, sizeof(name));
	if (level == ENTRIES)
		strcpy(folder, "entries");
	else
		snprintf(folder, sizeof(folder), "%d", level);
	if (width < TILE_WIDTH)
		snprintf(partial, sizeof(partial), ".p/%u", width);
	if (snprintf(export->path, sizeof(export->path), "%s/tile/%s/%s%s", export->dir, folder, name, partial) >=
		(int) sizeof(export->path))
		pgcredit_verify_unable("the name of the directory is too long");
	file = fopen(export->path, "rb");
	if (file == NULL && errno != ENOENT && errno != ENOTDIR)
		pgcredit_verify_unable("cannot open %s: %s", export->path, strerror(errno));
	return file;
}

/*
 * Opens the tile or bundle that has at least its first "width" parts: an export
 * that was made after the checkpoint may have a wider one.  has gets the width
 * of what was found.  NULL when there is none; export->path is then the name
 * that it should have.
 */
static FILE *
open_tile(Export *export, int level, uint64_t number, unsigned int width, unsigned int *has)
{
	FILE	   *file = try_tile(export, level, number, width);
	unsigned int wider;

	*has = width;
	if (file == NULL && width < TILE_WIDTH)
	{
		*has = TILE_WIDTH;
		file = try_tile(export, level, number, TILE_WIDTH);
		for (wider = width + 1; file == NULL && wider < TILE_WIDTH; wider++)
		{
			*has = wider;
			file = try_tile(export, level, number, wider);
		}
		if (file == NULL)
			(void) try_tile(export, level, number, width);
	}
	return file;
}

static void
stop_on_read_error(const Export *export, FILE *file)
{
	if (ferror(file))
		pgcredit_verify_unable("cannot read %s: %s", export->path, strerror(errno));
}

/* The first hashes of a tile, if it is there. */
static bool
read_tile(Export *export, int level, uint64_t number, unsigned int width, PgcreditMerkleHash *out, bool *found)
{
	unsigned int has;
	FILE	   *file = open_tile(export, level, number, width, &has);
	bool		good;

	*found = file != NULL;
	if (file == NULL)
		return true;
	good = fread(out, PGCREDIT_MERKLE_BYTES, width, file) == width &&
		(has != width || fgetc(file) == EOF);
	stop_on_read_error(export, file);
	fclose(file);
	return good ||
		pgcredit_verify_invalid("%s does not have the %u bytes of its width", export->path, has * PGCREDIT_MERKLE_BYTES);
}

/* Where the tile is in the export, it is the one that the entries give. */
static bool
compare_tile(Export *export, int level)
{
	Tile	   *tile = &export->level[level];
	PgcreditMerkleHash hash[TILE_WIDTH];
	bool		found;
	unsigned int i;

	if (export->dir == NULL)
		return true;
	if (!read_tile(export, level, tile->number, tile->width, hash, &found))
		return false;
	for (i = 0; found && i < tile->width; i++)
	{
		if (memcmp(hash[i], tile->hash[i], PGCREDIT_MERKLE_BYTES) != 0)
			return pgcredit_verify_invalid("%s: hash %u is not that of the tile below it", export->path, i);
	}
	return true;
}

static bool
push(Export *export, int level, const PgcreditMerkleHash hash)
{
	Tile	   *tile = &export->level[level];
	PgcreditMerkleHash root;

	memcpy(tile->hash[tile->width++], hash, PGCREDIT_MERKLE_BYTES);
	if (tile->width < TILE_WIDTH)
		return true;
	/* tiles of level 0 were compared entry by entry */
	if (level > 0 && !compare_tile(export, level))
		return false;
	pgcredit_merkle_fold(tile->hash, TILE_HEIGHT, root);
	tile->width = 0;
	tile->number++;
	return push(export, level + 1, root);
}

/* A perfect subtree at the right edge of the tree, for pgcredit_merkle_root. */
static bool
read_edge(void *arg, unsigned int height, uint64_t index, PgcreditMerkleHash out)
{
	const Export *export = arg;
	const Tile *tile = &export->level[height / TILE_HEIGHT];
	unsigned int inner = height % TILE_HEIGHT;
	unsigned int start = (unsigned int) (index << inner) % TILE_WIDTH;
	unsigned int count = 1u << inner;
	PgcreditMerkleHash hash[TILE_WIDTH];

	if (start + count > tile->width)
		return false;
	memcpy(hash, tile->hash[start], count * sizeof(hash[0]));
	pgcredit_merkle_fold(hash, inner, out);
	return true;
}

/* Digits after "seq": at text; true when a member or the object ends after them. */
static bool
member_number(const uint8_t *text, size_t len, uint64_t *out)
{
	size_t		digits = 0;

	while (digits < len && text[digits] >= '0' && text[digits] <= '9')
		digits++;
	return digits < len && (text[digits] == ',' || text[digits] == '}') &&
		pgcredit_note_number((const char *) text, digits, out);
}

/*
 * The number that an entry gives itself: the one member "seq" of a JSON object
 * in canonical form, which has no white space.  Members of inner objects and
 * whatever strings hold do not count.
 */
static bool
entry_number(const uint8_t *entry, size_t len, uint64_t *out)
{
	static const char member[] = "\"seq\":";
	bool		in_string = false;
	int			depth = 0;
	int			found = 0;
	size_t		i;

	if (len == 0 || entry[0] != '{')
		return false;
	for (i = 0; i < len; i++)
	{
		uint8_t		c = entry[i];

		if (in_string)
		{
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"')
		{
			in_string = true;
			if (depth == 1 && (entry[i - 1] == '{' || entry[i - 1] == ',') && len - i >= sizeof(member) &&
				memcmp(entry + i, member, sizeof(member) - 1) == 0)
			{
				found++;
				if (!member_number(entry + i + sizeof(member) - 1, len - i - (sizeof(member) - 1), out))
					return false;
			}
		}
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0 && i != len - 1)
			return false;
	}
	return found == 1 && depth == 0 && !in_string;
}

/* The next entry of a bundle into export->entry; false, said, when it is cut short. */
static bool
read_entry(Export *export, FILE *file, unsigned int i, size_t *len)
{
	uint8_t		prefix[2];
	bool		good = fread(prefix, 1, 2, file) == 2;

	*len = 0;
	if (good)
	{
		*len = (size_t) prefix[0] << 8 | prefix[1];
		good = fread(export->entry, 1, *len, file) == *len;
	}
	stop_on_read_error(export, file);
	return good || pgcredit_verify_invalid("%s ends within its entry %u", export->path, i + 1);
}

/*
 * Entries of a bundle: their numbers, their hashes against tile when that is
 * not NULL, and into the tree.
 */
static bool
take_entries(Export *export, FILE *file, uint64_t first, unsigned int width, const PgcreditMerkleHash *tile)
{
	unsigned int i;

	for (i = 0; i < width; i++)
	{
		unsigned long long number = first + i + 1;
		PgcreditMerkleHash leaf;
		uint64_t	seq;
		size_t		len;

		if (!read_entry(export, file, i, &len))
			return false;
		pgcredit_merkle_leaf(export->entry, len, leaf);
		if (tile != NULL && memcmp(leaf, tile[i], PGCREDIT_MERKLE_BYTES) != 0)
			return pgcredit_verify_invalid("entry %llu in %s is not the one whose hash is in tile/0", number, export->path);
		if (!entry_number(export->entry, len, &seq))
			return pgcredit_verify_invalid("entry %llu in %s is not a JSON object with one \"seq\"", number, export->path);
		if (seq != number)
			return pgcredit_verify_invalid("entry %llu in %s calls itself %llu", number, export->path, (unsigned long long) seq);
		if (!push(export, 0, leaf))
			return false;
	}
	return true;
}

/* Hashes of a tile in place of entries that are not there. */
static bool
take_hashes(Export *export, unsigned int width, const PgcreditMerkleHash *tile)
{
	unsigned int i;

	for (i = 0; i < width; i++)
	{
		if (!push(export, 0, tile[i]))
			return false;
	}
	export->by_hash += width;
	return true;
}

static bool
take_file(Export *export, FILE *file, uint64_t first, unsigned int width, bool all, const PgcreditMerkleHash *tile)
{
	bool		valid = take_entries(export, file, first, width, tile);

	if (valid && all && fgetc(file) != EOF)
		valid = pgcredit_verify_invalid("%s has more than %u entries", export->path, width);
	fclose(file);
	return valid;
}

/* The bundle with this number, of a directory. */
static bool
take_tile(Export *export, uint64_t number, unsigned int width)
{
	PgcreditMerkleHash hash[TILE_WIDTH];
	uint64_t	first = number * TILE_WIDTH;
	bool		hashes;
	unsigned int has;
	FILE	   *file;

	if (!read_tile(export, 0, number, width, hash, &hashes))
		return false;
	file = open_tile(export, ENTRIES, number, width, &has);
	if (file != NULL)
		return take_file(export, file, first, width, has == width, hashes ? hash : NULL);
	if (first + width >= export->from)
		return pgcredit_verify_invalid("%s is missing", export->path);
	if (!hashes)
		return pgcredit_verify_invalid("%s is missing, and so is its tile of hashes", export->path);
	return take_hashes(export, width, hash);
}

/* The bundle with this number, of those that were named. */
static bool
take_bundle(Export *export, uint64_t number, unsigned int width)
{
	FILE	   *file;

	if (number >= (uint64_t) export->bundles)
		return pgcredit_verify_invalid("%d files are not all of the log: it has %llu entries, 256 to a file",
									   export->bundles, (unsigned long long) export->size);
	snprintf(export->path, sizeof(export->path), "%s", export->bundle[number]);
	file = fopen(export->bundle[number], "rb");
	if (file == NULL)
		pgcredit_verify_unable("cannot open %s: %s", export->path, strerror(errno));
	/* the last one may have been exported after the checkpoint */
	return take_file(export, file, number * TILE_WIDTH, width, width == TILE_WIDTH, NULL);
}

static bool
take_all(Export *export)
{
	uint64_t	number;
	int			level;

	for (number = 0; number <= (export->size - 1) / TILE_WIDTH && export->size > 0; number++)
	{
		uint64_t	left = export->size - number * TILE_WIDTH;
		unsigned int width = left < TILE_WIDTH ? (unsigned int) left : TILE_WIDTH;

		if (!(export->dir != NULL ? take_tile : take_bundle) (export, number, width))
			return false;
	}
	if (export->dir == NULL && number < (uint64_t) export->bundles)
		return pgcredit_verify_invalid("%s is one more than the %llu entries of the checkpoint need",
									   export->bundle[number], (unsigned long long) export->size);
	for (level = 1; level < LEVELS; level++)
	{
		if (export->level[level].width > 0 && !compare_tile(export, level))
			return false;
	}
	return true;
}

static bool
check_root(Export *export, const PgcreditVerifyPolicy *policy, const PgcreditCheckpoint *checkpoint)
{
	PgcreditMerkleHash root;
	PgcreditVerifyRoot ours;
	PgcreditVerifyRoot theirs;

	if (!pgcredit_merkle_root(export->size, read_edge, export, root))
		return pgcredit_verify_invalid("the entries are not all there");
	pgcredit_note_base64(root, PGCREDIT_MERKLE_BYTES, ours);
	pgcredit_note_base64(checkpoint->root, PGCREDIT_MERKLE_BYTES, theirs);
	if (memcmp(root, checkpoint->root, PGCREDIT_MERKLE_BYTES) != 0)
		return pgcredit_verify_invalid("the %llu entries have the root %s, the checkpoint says %s",
									   (unsigned long long) export->size, ours, theirs);
	printf("valid: the %llu entries of %s have the root of the checkpoint, %s", (unsigned long long) export->size,
		   policy->log.name, theirs);
	if (export->by_hash > 0)
		printf("; %llu of them are here by their hashes only", (unsigned long long) export->by_hash);
	putchar('\n');
	return true;
}

/* from is 0 when every entry must be there. */
bool
pgcredit_verify_log(const PgcreditVerifyPolicy *policy, const char *checkpoint_path,
					uint64_t from, char *const *files, int count)
{
	PgcreditCheckpoint checkpoint;
	struct stat status;
	Export	   *export;
	bool		valid;

	if (stat(files[0], &status) != 0)
		pgcredit_verify_unable("cannot open %s: %s", files[0], strerror(errno));
	if (S_ISDIR(status.st_mode) && count > 1)
		pgcredit_verify_unable("give one directory, or files");
	if (!S_ISDIR(status.st_mode) && from > 0)
		pgcredit_verify_unable("--from needs a directory with tile/0");
	if (!pgcredit_verify_checkpoint_file(checkpoint_path, policy, &checkpoint, NULL))
		return false;
	export = calloc(1, sizeof(*export));
	if (export == NULL)
		pgcredit_verify_unable("out of memory");
	if (S_ISDIR(status.st_mode))
		export->dir = files[0];
	export->bundle = files;
	export->bundles = count;
	export->size = checkpoint.size;
	export->from = from;
	valid = take_all(export) && check_root(export, policy, &checkpoint);
	free(export);
	return valid;
}
