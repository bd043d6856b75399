/*
 * audit_load.c
 *		Clients for the tests of the log that keep their own list of what the
 *		server gave them.  Built and run by PgCredit::Load.
 *
 * One process for each client, and a parent that starts anew whichever dies.
 * A client appends each row to its list the moment it arrives, before it asks
 * for anything else; so the list is whole up to the client's own death, by
 * whatever means.  It reconnects for ever, to whichever server of the
 * connection string takes it.
 *
 * The control file is shared by all: its first byte is the command, 'r' run,
 * 'p' pause, 'q' quit; byte 1 + k is what client k is doing, 'c' connecting,
 * 'w' working, 'p' paused.  A paused client has no call under way.
 *
 * A line of a list has words with spaces between:
 *
 *	C pid						the client begins
 *	G entry subject record		a row, and the entry's number that came with it
 *	R subject record			a row of credit.read, which tells no number
 *	W code						a write that the server said was committed
 *	X code						a write that was rolled back
 *	E call state us				end of a call: its letter, its SQLSTATE, "ok" or
 *								"lost" (the connection), how long it took
 *	H call						no answer in time: the server hangs
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libpq-fe.h"

#define MAX_CLIENTS 200
#define HANG_US 30000000LL
#define SUBJECTS 40				/* have given consent; the next ten have not */

static const char *conninfo;
static volatile char *control;
static long think_us;
static int	me;					/* which client this process is */
static int	list;				/* its file */
static PGconn *conn;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static long long
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void
note(const char *format,...)
{
	char		line[200];
	int			len;
	va_list		args;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (write(list, line, len) != len)
		die("list");
}

/*
 * Rows as they come, before the server has finished.
 */
static void
note_row(char call, const PGresult *res)
{
	if (call == 'r')
		note("R %s %s\n", PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1));
	else if (PQnfields(res) == 3)
		note("G %s %s %s\n", PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2));
}

/*
 * Run a query; true when it succeeded.  Else state has its SQLSTATE, or "lost".
 */
static bool
run(char call, const char *sql, char state[6])
{
	long long	until = now_us() + HANG_US;
	PGresult   *res;

	strcpy(state, "ok");
	if (!PQsendQuery(conn, sql) || !PQsetSingleRowMode(conn))
	{
		strcpy(state, "lost");
		return false;
	}
	for (;;)
	{
		while (PQisBusy(conn))
		{
			struct pollfd p = {.fd = PQsocket(conn),.events = POLLIN};

			if (now_us() > until)
			{
				note("H %c\n", call);
				strcpy(state, "lost");
				return false;
			}
			if (poll(&p, 1, 1000) > 0 && !PQconsumeInput(conn))
				break;
		}
		res = PQgetResult(conn);
		if (res == NULL)
			break;
		if (PQresultStatus(res) == PGRES_SINGLE_TUPLE)
			note_row(call, res);
		else if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
		{
			const char *code = PQresultErrorField(res, PG_DIAG_SQLSTATE);

			snprintf(state, 6, "%s", code ? code : "lost");
		}
		PQclear(res);
		if (PQstatus(conn) == CONNECTION_BAD)
			break;
	}
	if (PQstatus(conn) == CONNECTION_BAD && strcmp(state, "ok") == 0)
		strcpy(state, "lost");
	return strcmp(state, "ok") == 0;
}

/*
 * One query as a call of its own, with its time.
 */
static bool
call(char letter, const char *sql)
{
	char		state[6];
	long long	begin = now_us();
	bool		ok = run(letter, sql, state);

	note("E %c %s %lld\n", letter, state, now_us() - begin);
	return ok;
}

static void
connect_anew(void)
{
	char		full[2000];
	char		state[6];

	snprintf(full, sizeof(full), "%s user=client_%d connect_timeout=10", conninfo, me);
	for (;;)
	{
		if (control[0] == 'q')
			exit(0);
		control[1 + me] = control[0] == 'p' ? 'p' : 'c';
		conn = PQconnectdb(full);
		/* Some give up early, one by the log's timeout, one by the server's. */
		if (PQstatus(conn) == CONNECTION_OK &&
			run('c', me % 4 == 1 ? "SET pgcredit.audit_timeout = '300ms'" :
				me % 4 == 3 ? "SET statement_timeout = '400ms'" : "SELECT 1", state))
			return;
		PQfinish(conn);
		usleep(50000);
	}
}

/* An access to one or more subjects and the rows that it opened. */
#define OPEN_AND_SEE \
	"WITH a AS MATERIALIZED (SELECT entry, subject_id FROM credit.open_access(%s, 'pre_loan', '{tax_payment}')) " \
	"SELECT a.entry, r.subject_id, r.record_id FROM a, LATERAL " \
	"(SELECT subject_id, record_id FROM credit.record WHERE subject_id = a.subject_id OFFSET 0) r"

static void
read_once(long n)
{
	char		sql[1000];
	char		who[100];
	int			subject = 1 + random() % SUBJECTS;

	snprintf(who, sizeof(who), "%d", subject);
	switch (n % 10)
	{
		case 5:
			if (!call('b', "BEGIN"))
				break;
			snprintf(sql, sizeof(sql), OPEN_AND_SEE, who);
			call('t', sql);
			call('a', "ROLLBACK");
			break;
		case 6:
			snprintf(sql, sizeof(sql), "SELECT subject_id, record_id FROM credit.read(%d, 'pre_loan', '{tax_payment}')", subject);
			call('r', sql);
			break;
		case 7:
			snprintf(who, sizeof(who), "ARRAY[%d, %d]::bigint[]", subject, 1 + subject % SUBJECTS);
			snprintf(sql, sizeof(sql), OPEN_AND_SEE, who);
			call('m', sql);
			break;
		case 8:
			snprintf(who, sizeof(who), "%d", SUBJECTS + 1 + subject % 10);
			snprintf(sql, sizeof(sql), OPEN_AND_SEE, who);
			call('n', sql);
			break;
		case 9:
			snprintf(sql, sizeof(sql), OPEN_AND_SEE "; SELECT 1 / 0", who);
			call('z', sql);
			break;
		default:
			snprintf(sql, sizeof(sql), OPEN_AND_SEE, who);
			call('o', sql);
	}
}

/*
 * A row of the audited table public.ledger, committed or rolled back, in one
 * phase or two.  The code is new whatever this client did before.
 */
static void
write_once(long n)
{
	char		sql[1000];
	char		code[60];
	bool		keep = random() % 3 > 0;

	snprintf(code, sizeof(code), "w%d_%ld_%lld", me, n, now_us());
	if (n % 4 < 2)
	{
		snprintf(sql, sizeof(sql), "INSERT INTO public.ledger VALUES ('%s', %ld)", code, n);
		if (call('w', sql))
			note("W %s\n", code);
		return;
	}
	snprintf(sql, sizeof(sql), "BEGIN; SAVEPOINT a; INSERT INTO public.ledger VALUES ('%s_s', %ld); ROLLBACK TO a; "
			 "INSERT INTO public.ledger VALUES ('%s', %ld)", code, n, code, n);
	if (!call('v', sql))
		return;
	if (n % 4 == 2)
	{
		if (call(keep ? 'k' : 'x', keep ? "COMMIT" : "ROLLBACK"))
			note("%c %s\n", keep ? 'W' : 'X', code);
	}
	else
	{
		snprintf(sql, sizeof(sql), "PREPARE TRANSACTION '%s'", code);
		if (!call('p', sql))
			return;
		snprintf(sql, sizeof(sql), "%s PREPARED '%s'", keep ? "COMMIT" : "ROLLBACK", code);
		if (call(keep ? 'y' : 'Y', sql))
			note("%c %s\n", keep ? 'W' : 'X', code);
	}
	note("X %s_s\n", code);
}

static void
client(const char *dir, bool writes)
{
	char		path[1000];
	long		n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "%s/%d", dir, me);
	list = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
	if (list < 0)
		die(path);
	srandom((unsigned) (getpid() ^ now_us()));
	note("C %d\n", (int) getpid());
	connect_anew();
	for (n = random() % 10; control[0] != 'q'; n++)
	{
		if (PQstatus(conn) == CONNECTION_BAD || PQtransactionStatus(conn) != PQTRANS_IDLE)
		{
			PQfinish(conn);
			connect_anew();
		}
		while (control[0] == 'p')
		{
			control[1 + me] = 'p';
			usleep(5000);
		}
		control[1 + me] = 'w';
		/* A pause ordered since then shows only if this client sees it, too. */
		__sync_synchronize();
		if (control[0] == 'p')
			continue;
		if (writes)
			write_once(n);
		else
			read_once(n);
		usleep(think_us / 2 + random() % (think_us + 1));
	}
	exit(0);
}

static pid_t
start(int k, const char *dir, int readers)
{
	pid_t		pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0)
	{
		me = k;
		client(dir, k >= readers);
	}
	return pid;
}

int
main(int argc, char **argv)
{
	pid_t		pids[MAX_CLIENTS];
	int			readers,
				n,
				status,
				fd;
	pid_t		pid;

	if (argc != 7 || (n = atoi(argv[4]) + atoi(argv[5])) > MAX_CLIENTS)
	{
		fprintf(stderr, "usage: audit_load CONNINFO CONTROL LISTS READERS WRITERS THINK_US\n");
		return 1;
	}
	conninfo = argv[1];
	readers = atoi(argv[4]);
	think_us = atol(argv[6]);
	fd = open(argv[2], O_RDWR);
	control = mmap(NULL, 1 + MAX_CLIENTS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || control == MAP_FAILED)
		die(argv[2]);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int k = 0; k < n; k++)
		pids[k] = start(k, argv[3], readers);
	while ((pid = wait(&status)) > 0)
	{
		for (int k = 0; k < n; k++)
			if (pids[k] == pid && control[0] != 'q')
				pids[k] = start(k, argv[3], readers);
	}
	return 0;
}
