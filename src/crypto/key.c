/*
 * key.c
 *		The master key: where it comes from, where it lies, who may touch it.
 *
 * The postmaster reads the key once, while it preloads the library, from
 * pgcredit.key_file or from the standard output of pgcredit.key_command.  It
 * derives one subkey for each PgcreditKeyUse and wipes the master key, so that
 * from then on no process of the server holds the master key itself.
 *
 * The subkeys lie in one allocation of libsodium: guard pages around it, locked
 * (mlock) so that it is never swapped out, left out of core dumps
 * (MADV_DONTDUMP), and without any access except during a call of the kernel,
 * when it is readable.  Nothing writes to it after the start.
 *
 * Children get it by fork.  The mapping, its protection and its exclusion from
 * core dumps are inherited; the lock is not, but the pages are: they are shared
 * copy-on-write, nobody writes to them, and the postmaster's lock keeps a page
 * in memory for all who map it.  A restart of the children after a crash keeps
 * the postmaster, and with it the key.  A platform that starts children by exec
 * instead of fork would read the key again in each of them; it is not supported.
 */
#include "postgres.h"

#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/guc.h"

#include "core/core.h"
#include "crypto/key.h"

#ifdef EXEC_BACKEND
#error "pgcredit needs children that inherit the postmaster's memory by fork"
#endif

/* A new key in place of a lost one would be worse than no server. */
#define KEY_HINT "Put back the key that the data was sealed under; only for a new platform make one: (umask 077; openssl rand -hex 32 > FILE)."

/* One byte more than the longest key text, so that a longer one is noticed. */
#define KEY_TEXT_SIZE (PGCREDIT_KEY_DIGITS + 2)

typedef struct KeyMemory
{
	uint8		subkey[PGCREDIT_KEY_USE_LAST + 1][PGCREDIT_KEY_BYTES];	/* by use; 0 unused */
	/* only while the key is read */
	uint8		master[PGCREDIT_KEY_BYTES];
	char		text[KEY_TEXT_SIZE];
} KeyMemory;

static char *key_file = NULL;
static char *key_command = NULL;

static bool preloaded = false;
static KeyMemory *keys = NULL;	/* from sodium_malloc; NULL when there is no key */
static char key_id[PGCREDIT_KEY_ID_DIGITS + 1];

/*
 * Reads to the end of fd or until buf is full, whichever comes first.  Unlike
 * stdio it leaves no copy in a buffer.  Returns the number of bytes, or -1 with
 * errno set.
 */
static ssize_t
read_to_end(int fd, char *buf, size_t size)
{
	size_t		got = 0;

	while (got < size)
	{
		ssize_t		n = read(fd, buf + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		got += n;
	}
	return got;
}

/*
 * Raises config_file_error when the key file lies in the data directory, where
 * every physical backup would carry it beside the values that it protects.
 */
static void
check_outside_data_directory(void)
{
	char		file[PATH_MAX];
	char		dir[PATH_MAX];
	size_t		len;

	if (realpath(key_file, file) == NULL || realpath(DataDir, dir) == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not resolve the path of key file \"%s\": %m", key_file)));
	len = strlen(dir);
	if (strncmp(file, dir, len) == 0 && file[len] == '/')
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("key file \"%s\" lies in the data directory", key_file),
				 errdetail("A physical backup would hold the key together with the values it protects."),
				 errhint("Move the file to a directory that is not backed up with the database and set pgcredit.key_file to it.")));
}

/*
 * Fills text from pgcredit.key_file and returns the number of bytes.  What is
 * checked is the file that was opened, not whatever has its name by then.
 */
static size_t
read_key_file(char *text)
{
	struct stat st;
	ssize_t		len;
	int			fd;

	/* A FIFO without a writer would block open() for ever. */
	fd = OpenTransientFile(key_file, O_RDONLY | O_NONBLOCK | O_NOCTTY | PG_BINARY);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open key file \"%s\": %m", key_file),
				 errdetail("pgcredit.key_file names it."),
				 errhint(KEY_HINT)));
	if (fstat(fd, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat key file \"%s\": %m", key_file)));
	if (!S_ISREG(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("key file \"%s\" is not a regular file", key_file),
				 errhint("Use pgcredit.key_command for a key that is not in a file.")));
	if (st.st_uid != geteuid() && st.st_uid != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("key file \"%s\" has the wrong owner", key_file),
				 errdetail("It must be owned by the operating system user that runs the server, or by root.")));
	/* An access control list shows in the group's bits, so it is refused too. */
	if ((st.st_mode & 07777 & ~(S_IRUSR | S_IWUSR)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("key file \"%s\" has mode %04o", key_file,
						(unsigned int) (st.st_mode & 07777)),
				 errdetail("Nobody but its owner may have any right on it: mode 0600 or less."),
				 errhint("Run chmod 600 on it.")));
	check_outside_data_directory();
	len = read_to_end(fd, text, KEY_TEXT_SIZE);
	if (len < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read key file \"%s\": %m", key_file)));
	CloseTransientFile(fd);
	return len;
}

/*
 * Fills text from the output of pgcredit.key_command and returns the number of
 * bytes.  No message shows the command: somebody may have put a secret in it.
 */
static size_t
read_key_command(char *text)
{
	FILE	   *pipe;
	ssize_t		len;
	int			read_errno;
	int			status;

	fflush(NULL);
	pipe = OpenPipeStream(key_command, "r");
	if (pipe == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not start pgcredit.key_command: %m")));
	len = read_to_end(fileno(pipe), text, KEY_TEXT_SIZE);
	read_errno = errno;
	status = ClosePipeStream(pipe);
	if (len < 0)
	{
		errno = read_errno;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read the output of pgcredit.key_command: %m")));
	}
	if (status == -1)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not wait for pgcredit.key_command: %m")));
	/* When it wrote too much we hung up on it, and its status says only that. */
	if (status != 0 && len < KEY_TEXT_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("pgcredit.key_command failed"),
				 errdetail("%s.", wait_result_to_str(status)),
				 errhint("What the command wrote to its standard error is in the server's log.")));
	return len;
}

/*
 * Turns keys->text, len bytes, into keys->master, or raises config_file_error.
 * The messages tell nothing of the text but what is wrong with its shape.
 */
static void
parse_key_text(size_t len)
{
	const char *wrong = NULL;

	switch (pgcredit_kernel_key_text(keys->text, len, keys->master))
	{
		case PGCREDIT_KEY_TEXT_OK:
			return;
		case PGCREDIT_KEY_TEXT_EMPTY:
			wrong = "It is empty";
			break;
		case PGCREDIT_KEY_TEXT_SHORT:
			wrong = "It is too short";
			break;
		case PGCREDIT_KEY_TEXT_LONG:
			wrong = "It is too long";
			break;
		case PGCREDIT_KEY_TEXT_NOT_HEX:
			wrong = "It has a character that is not a hexadecimal digit";
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("key from %s is malformed",
					key_file[0] != '\0' ? "pgcredit.key_file" : "pgcredit.key_command"),
			 errdetail("%s; a key is %d hexadecimal digits, with or without one newline after them.",
					   wrong, PGCREDIT_KEY_DIGITS),
			 errhint(KEY_HINT)));
}

/*
 * Takes locked memory for the key, or raises.  A key that may be swapped out is
 * not accepted: one page can be locked nearly everywhere, and where it cannot,
 * that is to be put right rather than to be warned about.
 */
static void
allocate_keys(void)
{
	keys = sodium_malloc(sizeof(KeyMemory));
	if (keys == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not allocate protected memory for the key: %m")));
	/* sodium_malloc locks too, but says nothing when that fails */
	if (sodium_mlock(keys, sizeof(KeyMemory)) != 0)
	{
		int			lock_errno = errno;

		sodium_free(keys);
		keys = NULL;
		errno = lock_errno;
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not lock the memory that holds the key: %m"),
				 errhint("Let the server lock at least 64 kB: ulimit -l, or LimitMEMLOCK of its systemd unit.")));
	}
}

/*
 * Reads the key, derives the subkeys and wipes what they came from, also on
 * every error, which in the postmaster becomes FATAL as it leaves here.
 */
static void
load_key(void)
{
	allocate_keys();
	PG_TRY();
	{
		size_t		len;
		int			use;

		len = key_file[0] != '\0' ? read_key_file(keys->text) : read_key_command(keys->text);
		parse_key_text(len);
		for (use = 1; use <= PGCREDIT_KEY_USE_LAST; use++)
			pgcredit_kernel_subkey(use, keys->master, keys->subkey[use]);
		sodium_memzero(keys->master, sizeof(keys->master));
		sodium_memzero(keys->text, sizeof(keys->text));
		pgcredit_kernel_key_id(keys->subkey[PGCREDIT_KEY_NAME], key_id);
		if (sodium_mprotect_noaccess(keys) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_SYSTEM_ERROR),
					 errmsg("could not protect the memory that holds the key: %m")));
	}
	PG_CATCH();
	{
		sodium_free(keys);		/* wipes it */
		keys = NULL;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * Defines the settings and reads the key, in the postmaster only: settings of
 * this kind cannot come later, and neither may the key.  pg_upgrade's servers
 * run no function that needs it, so they need not be able to get it.
 */
void
pgcredit_key_init(void)
{
	int			flags = GUC_SUPERUSER_ONLY | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_AUTO_FILE;

	if (!process_shared_preload_libraries_in_progress)
		return;
	preloaded = true;
	DefineCustomStringVariable("pgcredit.key_file",
							   "File with the master key, mode 0600.",
							   "64 hexadecimal digits; outside of the data directory. Empty means none.",
							   &key_file, "", PGC_POSTMASTER, flags,
							   NULL, NULL, NULL);
	DefineCustomStringVariable("pgcredit.key_command",
							   "Shell command that writes the master key to its standard output.",
							   "Run once, when the server starts. Empty means none.",
							   &key_command, "", PGC_POSTMASTER, flags | GUC_NO_SHOW_ALL,
							   NULL, NULL, NULL);
	if (IsBinaryUpgrade)
		return;
	if (key_file[0] != '\0' && key_command[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("pgcredit.key_file and pgcredit.key_command are both set"),
				 errhint("Set the one that the key is to come from.")));
	if (key_file[0] != '\0' || key_command[0] != '\0')
		load_key();
}

bool
pgcredit_key_loaded(void)
{
	return keys != NULL;
}

/*
 * Makes the subkeys readable and returns the one for this use, until
 * pgcredit_key_end.  Nothing in between may raise an error: it would leave them
 * readable.  Raises without a key, so callers allocate first.
 */
const uint8 *
pgcredit_key_begin(PgcreditKeyUse use)
{
	Assert(use >= 1 && use <= PGCREDIT_KEY_USE_LAST);
	if (!preloaded)
		pgcredit_require_preloaded("using the key");
	if (keys == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_KEY_UNAVAILABLE),
				 errmsg("no key is loaded"),
				 errhint("Set pgcredit.key_file or pgcredit.key_command and restart the server.")));
	if (sodium_mprotect_readonly(keys) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not get access to the memory that holds the key: %m")));
	return keys->subkey[use];
}

/* Takes all access to the subkeys away again. */
void
pgcredit_key_end(void)
{
	if (sodium_mprotect_noaccess(keys) != 0)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not protect the memory that holds the key: %m")));
}

/* The public name of the key, "" when there is none. */
const char *
pgcredit_key_id(void)
{
	return key_id;
}
