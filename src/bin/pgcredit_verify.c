/*
 * pgcredit_verify.c
 *		bin/pgcredit-verify: checks checkpoints, proofs and exports of the log
 *		against public keys, without a server and without trusting one.
 *
 * Exit status: 0 all that was asked for holds, 1 it does not (one line on
 * standard error says what is wrong), 2 it could not be checked: wrong usage, a
 * file that cannot be read.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/verify.h"
#include "crypto/crypto_kernel.h"

#ifndef PGCREDIT_VERSION
#define PGCREDIT_VERSION "unknown"
#endif

static const char usage_text[] =
"pgcredit-verify checks the log of a pgcredit server without trusting the server.\n"
"\n"
"  pgcredit-verify checkpoint --key VKEY [--witness VKEY]... [--quorum N] FILE\n"
"      a signed checkpoint\n"
"  pgcredit-verify proof --key VKEY [--witness VKEY]... [--quorum N] --entry FILE PROOF\n"
"      a .tlog-proof: the entry, to the byte, is in the log of its checkpoint\n"
"  pgcredit-verify consistency --key VKEY OLD NEW PROOF\n"
"      of two checkpoints the new one only adds to the old one\n"
"  pgcredit-verify log --key VKEY [--witness VKEY]... [--quorum N] [--from N] CHECKPOINT DIR\n"
"  pgcredit-verify log --key VKEY [--witness VKEY]... [--quorum N] CHECKPOINT BUNDLE...\n"
"      exported entries, as a directory with tile/entries/ or as bundles in order, are\n"
"      the whole log of the checkpoint; with --from, entries before number N may be\n"
"      there by their hashes only, in tile/0/\n"
"\n"
"  --key VKEY       public key of the log, or @FILE that holds it\n"
"  --witness VKEY   public key of a witness, or @FILE\n"
"  --quorum N       how many of the witnesses must have signed; all, if not given\n"
"\n"
"Exit status: 0 valid, 1 invalid, 2 could not be checked.\n";

typedef struct Options
{
	PgcreditVerifyPolicy policy;
	bool		has_key;
	int			quorum;			/* -1: not given */
	uint64_t	from;			/* 0: not given */
	const char *entry;
} Options;

bool
pgcredit_verify_invalid(const char *format,...)
{
	va_list		args;

	fputs("invalid: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return false;
}

void
pgcredit_verify_unable(const char *format,...)
{
	va_list		args;

	fputs("pgcredit-verify: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

char *
pgcredit_verify_file(const char *path, size_t max, size_t *len)
{
	FILE	   *file = fopen(path, "rb");
	char	   *data;

	if (file == NULL)
		pgcredit_verify_unable("cannot open %s: %s", path, strerror(errno));
	data = malloc(max + 2);
	if (data == NULL)
		pgcredit_verify_unable("out of memory");
	*len = fread(data, 1, max + 1, file);
	if (ferror(file))
		pgcredit_verify_unable("cannot read %s: %s", path, strerror(errno));
	fclose(file);
	if (*len > max)
	{
		free(data);
		pgcredit_verify_invalid("%s is longer than %zu bytes", path, max);
		return NULL;
	}
	data[*len] = '\0';
	return data;
}

/* VKEY or @FILE; a file may end with a newline. */
static void
read_key(const char *option, const char *argument, uint8_t type, PgcreditNoteKey *key)
{
	char	   *from_file = NULL;
	size_t		len = strlen(argument);

	if (argument[0] == '@')
	{
		from_file = pgcredit_verify_file(argument + 1, 4096, &len);
		if (from_file == NULL)
			exit(2);
		if (len > 0 && from_file[len - 1] == '\n')
			len--;
	}
	if (!pgcredit_note_parse_vkey(from_file ? from_file : argument, len, key))
		pgcredit_verify_unable("--%s %s is not a key in the form NAME+ID+BASE64", option, argument);
	if (key->type != type)
		pgcredit_verify_unable("--%s %s is the key of a %s", option, argument,
							   type == PGCREDIT_NOTE_ED25519 ? "witness" : "log");
	free(from_file);
}

static uint64_t
read_count(const char *option, const char *argument, uint64_t max)
{
	uint64_t	value;

	if (!pgcredit_note_number(argument, strlen(argument), &value) || value > max)
		pgcredit_verify_unable("--%s wants a number, not \"%s\"", option, argument);
	return value;
}

static void
add_witness(PgcreditVerifyPolicy *policy, const char *argument)
{
	PgcreditNoteKey *key = &policy->witness[policy->witnesses];
	int			i;

	if (policy->witnesses == PGCREDIT_VERIFY_WITNESSES)
		pgcredit_verify_unable("more than %d witnesses", PGCREDIT_VERIFY_WITNESSES);
	read_key("witness", argument, PGCREDIT_NOTE_COSIGNATURE, key);
	/* one that is named twice must not count twice, under whatever name */
	for (i = 0; i < policy->witnesses; i++)
	{
		if (memcmp(policy->witness[i].public_key, key->public_key, PGCREDIT_NOTE_PUBLIC) == 0)
			pgcredit_verify_unable("--witness %s: that key was given already", argument);
	}
	policy->witnesses++;
}

/* Options may stand anywhere between the command and the end. */
static void
read_options(int argc, char **argv, const char *allowed, Options *options)
{
	static const struct option table[] = {
		{"key", required_argument, NULL, 'k'},
		{"witness", required_argument, NULL, 'w'},
		{"quorum", required_argument, NULL, 'q'},
		{"entry", required_argument, NULL, 'e'},
		{"from", required_argument, NULL, 'f'},
		{NULL, 0, NULL, 0}
	};
	int			c;
	int			index;

	memset(options, 0, sizeof(*options));
	options->quorum = -1;
	while ((c = getopt_long(argc, argv, "", table, &index)) != -1)
	{
		if (c == '?')
			pgcredit_verify_unable("try pgcredit-verify --help");
		if (strchr(allowed, c) == NULL)
			pgcredit_verify_unable("pgcredit-verify %s does not take --%s", argv[0], table[index].name);
		switch (c)
		{
			case 'k':
				read_key("key", optarg, PGCREDIT_NOTE_ED25519, &options->policy.log);
				options->has_key = true;
				break;
			case 'w':
				add_witness(&options->policy, optarg);
				break;
			case 'q':
				options->quorum = (int) read_count("quorum", optarg, PGCREDIT_VERIFY_WITNESSES);
				break;
			case 'e':
				options->entry = optarg;
				break;
			case 'f':
				options->from = read_count("from", optarg, UINT64_MAX);
				if (options->from == 0)
					pgcredit_verify_unable("entries are numbered from 1");
				break;
		}
	}
	if (!options->has_key)
		pgcredit_verify_unable("--key is missing: whose log should it be?");
	options->policy.quorum = options->quorum < 0 ? options->policy.witnesses : options->quorum;
	if (options->policy.quorum > options->policy.witnesses)
		pgcredit_verify_unable("a quorum of %d needs as many witnesses, %d are given",
							   options->policy.quorum, options->policy.witnesses);
}

static bool
checkpoint_command(const PgcreditVerifyPolicy *policy, const char *path)
{
	PgcreditCheckpoint checkpoint;
	PgcreditVerifyRoot root;
	int			cosigned;

	if (!pgcredit_verify_checkpoint_file(path, policy, &checkpoint, &cosigned))
		return false;
	pgcredit_note_base64(checkpoint.root, PGCREDIT_MERKLE_BYTES, root);
	printf("valid: checkpoint of %s: %llu entries, root %s, signed by the log and %d of %d witnesses\n",
		   policy->log.name, (unsigned long long) checkpoint.size, root, cosigned, policy->witnesses);
	return true;
}

/* A command's arguments without its name are argv[optind] and what follows. */
static bool
run(int argc, char **argv)
{
	const char *command = argv[0];
	Options		options;
	bool		is_log = strcmp(command, "log") == 0;
	int			wanted = is_log ? 2 : strcmp(command, "consistency") == 0 ? 3 : 1;
	const char *allowed;

	if (strcmp(command, "checkpoint") == 0)
		allowed = "kwq";
	else if (strcmp(command, "proof") == 0)
		allowed = "kwqe";
	else if (strcmp(command, "consistency") == 0)
		allowed = "k";
	else if (is_log)
		allowed = "kwqf";
	else
		pgcredit_verify_unable("there is no command \"%s\"; try pgcredit-verify --help", command);

	read_options(argc, argv, allowed, &options);
	argc -= optind;
	argv += optind;
	if (argc < wanted || (argc > wanted && !is_log))
		pgcredit_verify_unable("%s takes %s%d files, %d are given; try pgcredit-verify --help",
							   command, is_log ? "at least " : "", wanted, argc);
	switch (command[0])
	{
		case 'p':
			if (options.entry == NULL)
				pgcredit_verify_unable("--entry is missing: the file with the entry that is to be proven");
			return pgcredit_verify_proof(&options.policy, options.entry, argv[0]);
		case 'l':
			return pgcredit_verify_log(&options.policy, argv[0], options.from, argv + 1, argc - 1);
		default:
			if (wanted == 1)
				return checkpoint_command(&options.policy, argv[0]);
			return pgcredit_verify_consistency(&options.policy, argv[0], argv[1], argv[2]);
	}
}

int
main(int argc, char **argv)
{
	bool		valid;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
	{
		fputs(usage_text, stdout);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--version") == 0)
	{
		puts("pgcredit-verify " PGCREDIT_VERSION);
		return 0;
	}
	if (argc < 2)
	{
		fputs(usage_text, stderr);
		return 2;
	}
	if (!pgcredit_kernel_start())
		pgcredit_verify_unable("libsodium does not start");
	valid = run(argc - 1, argv + 1);
	/* a full disk must not make a program that reads the line see half of it */
	if (fflush(stdout) != 0)
		pgcredit_verify_unable("cannot write: %s", strerror(errno));
	return valid ? 0 : 1;
}
