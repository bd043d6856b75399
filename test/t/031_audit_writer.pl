# P8: the writer is killed, blocked or slow, and readers succeed or fail closed, none hangs; P1 and P5: every row that a
# client received has its entry, numbers have no gap and no double.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run;
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $clients = 6;
my $calls   = 1200;
my $timeout = 3;		# seconds, pgcredit.audit_timeout
my $margin  = 2;		# seconds: a busy machine

my $node = new_node('writer', conf => "pgcredit.audit_timeout = ${timeout}s\npgcredit.audit_queue_size = 256kB\n");
platform($node);
wait_for_writer($node);

# Clients that open access again and again, to one subject each time, and keep what they got: the entry's number, the
# subject, the row itself. psql goes on after an error, and says how long each call took.
my $dir = PostgreSQL::Test::Utils::tempdir;

sub start_clients
{
	my ($wave) = @_;
	my @running;

	foreach my $k (1 .. $clients)
	{
		my $script = "$dir/$wave-$k.sql";
		my %client = (out => '', err => '');

		open(my $fh, '>', $script) or die "$script: $!";
		print $fh "\\set VERBOSITY sqlstate\n\\timing on\n";
		foreach my $n (1 .. $calls)
		{
			my $subject = 1 + ($k * 7 + $n) % 40;

			print $fh "WITH a AS MATERIALIZED (SELECT entry, subject_id FROM credit.open_access($subject, 'pre_loan', '{tax_payment}')) "
			  . "SELECT 'got', a.entry, r.subject_id FROM a, LATERAL (SELECT subject_id FROM credit.record WHERE subject_id = a.subject_id OFFSET 0) r;\n";
		}
		close($fh);
		$client{run} = IPC::Run::start(
			[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-U', 'bank_a', '-f', $script ],
			'<', \undef, '>', \$client{out}, '2>', \$client{err},
			IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
		push @running, \%client;
	}
	return @running;
}

# Until each client got at least so many rows.
sub wait_for_rows
{
	my ($n, @running) = @_;

	foreach my $client (@running)
	{
		while ((() = $client->{out} =~ /^got/mg) < $n && $client->{run}->pumpable)
		{
			$client->{run}->pump;
		}
	}
	return;
}

# Ends the clients and checks what they got against the log. Returns numbers of rows and of refusals.
sub settle
{
	my ($name, $lost_ok, @running) = @_;
	my ($rows, $refused, $worst, $wrong, $list) = (0, 0, 0, '', '');

	foreach my $client (@running)
	{
		eval { $client->{run}->finish };
		diag($@) if $@;
		foreach my $line (split /\n/, $client->{out})
		{
			if ($line =~ /^got\|(\d+)\|(\d+)$/)
			{
				$list .= "($1, $2),";
				$rows++;
			}
			elsif ($line =~ /^Time: ([\d.]+) ms/)
			{
				$worst = $1 if $1 > $worst;
			}
			else
			{
				$wrong .= "$line\n";
			}
		}
		foreach my $line (split /\n/, $client->{err})
		{
			if ($line =~ /ERROR:  PC00\d$/) { $refused++; }
			elsif (!$lost_ok || $line !~ /57P02|57P01|FATAL|server closed|connection|terminated|before or while|commanded|command|another server process/)
			{
				$wrong .= "$line\n";
			}
		}
	}
	is(substr($wrong, 0, 1000), '', "$name: rows, refusals, nothing else");
	cmp_ok($worst / 1000, '<', $timeout + $margin, "$name: no call took longer than the timeout");
	$list =~ s/,$//;
	is($node->safe_psql('postgres', qq{
		SELECT count(*) FROM (VALUES $list) g(entry, subject_id)
		  LEFT JOIN credit.subject s USING (subject_id)
		  LEFT JOIN credit.audit_log a ON a.seq = g.entry AND a.kind = 'access' AND a.actor = 'bank_a'
			AND a.subjects ? credit._subject_token(s.subject_id, s.log_salt)
		 WHERE a.seq IS NULL}), '0', "$name: each of the $rows rows has its entry");
	log_is_whole($node, $name);
	return ($rows, $refused);
}

# SIGTERM, again and again: the writer comes back by itself.
my @running = start_clients('term');
my %pids;
foreach my $turn (1 .. 5)
{
	wait_for_writer($node);
	my $pid = writer_pid($node);
	$pids{$pid} = 1;
	wait_for_rows($turn * 100, @running);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
}
my ($rows, $refused) = settle('SIGTERM', 0, @running);
is(keys %pids, 5, 'each time another writer');
is($rows + $refused, $clients * $calls, 'SIGTERM: every call was answered');
note("SIGTERM: $rows rows, $refused refusals");

# SIGKILL: the postmaster restarts everybody, clients lose their connections, rows that arrived have entries.
@running = start_clients('kill');
wait_for_rows(50, @running);
kill('KILL', writer_pid($node)) or die "kill: $!";
($rows, $refused) = (0, 0);
foreach my $client (@running) { eval { $client->{run}->finish } }
wait_until_up($node);
wait_for_writer($node);
($rows, $refused) = settle('SIGKILL', 1, @running);
note("SIGKILL: $rows rows, $refused refusals");
cmp_ok($rows, '<', $clients * $calls, 'SIGKILL: it came in the middle of the load');

@running = start_clients('after');
($rows, $refused) = settle('after the crash', 0, @running);
is($rows, $clients * $calls, 'after the crash: every call got its row');

# The launcher killed: it comes back and so does its care for the writer.
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pgcredit launcher'});
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit launcher'});
my $old = writer_pid($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($old)");
$node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit writer' AND pid <> $old});
is($node->safe_psql('postgres', read_sql(1), extra_params => [ '-U', 'bank_a' ]), '1|tax_payment', 'a new launcher, a new writer, a row');

# The log's table locked by a superuser: reads are refused in time, and work again after. A locked outbox keeps entries
# of writes waiting; a read may go through.
my $reader = session($node, 'bank_a');
my $locker = session($node, $node->safe_psql('postgres', 'SELECT current_user'));
foreach my $table ('credit.audit_entry', 'credit.audit_outbox')
{
	$locker->query_safe("BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");
	foreach my $turn (1 .. 3)
	{
		my $begin = time;
		my ($got, $state) = ask($reader, open_sql(2));
		my $took = time - $begin;

		like("$got$state", $table =~ /entry/ ? qr/^PC00\d$/ : qr/^(PC00\d|\d+)$/, "$table locked: refused");
		cmp_ok($took, '<', $timeout + $margin, "$table locked: in time");
	}
	# The writer waits for no lock longer than a second, so it can be sent away.
	$old = writer_pid($node);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($old, 3000)");
	isnt(writer_pid($node), $old, "$table locked: the writer goes when it is told to");
	ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_locks
		 WHERE NOT granted AND clock_timestamp() - waitstart > interval '1.5 s')}),
		"$table locked: the writer does not wait for ever");
	$locker->query_safe('ROLLBACK');
	is($reader->query_safe(read_sql(2)), '2|tax_payment', "$table unlocked: a row");
}

# pgcredit.audit_timeout is each caller's own; statement_timeout and a cancel end the wait as any other.
$locker->query_safe('BEGIN; LOCK TABLE credit.audit_entry IN ACCESS EXCLUSIVE MODE');
my $begin = time;
my ($got, $state) = ask($reader, 'SET pgcredit.audit_timeout = 300; ' . open_sql(3));
my $took = time - $begin;
is("$got$state", 'PC002', 'short audit_timeout: PC002');
cmp_ok($took, '<', 0.3 + $margin / 2, 'short audit_timeout: honoured');
($got, $state) = ask($reader, "SET pgcredit.audit_timeout = '60s'; SET statement_timeout = 300; " . open_sql(3));
is("$got$state", '57014', 'statement_timeout ends the wait');
my $pid = $reader->query_safe('RESET statement_timeout; SELECT pg_backend_pid()');
$reader->{stdin} .= open_sql(4) . "\n";
$reader->{run}->pump_nb;
$node->poll_query_until('postgres',
	"SELECT state = 'active' AND wait_event_type = 'Extension' AND query LIKE '%open_access(4%' FROM pg_stat_activity WHERE pid = $pid")
  or diag('the reader does not wait');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
($got, $state) = ask($reader, 'SELECT 5');
is("$got $state", '5 57014', 'pg_cancel_backend ends the wait');
$locker->query_safe('ROLLBACK');
is($reader->query_safe('RESET pgcredit.audit_timeout; ' . read_sql(3)), '3|tax_payment', 'and the session reads again');
log_is_whole($node, 'after locks and cancels');

# A request that was given up does not answer the next one: the number that the client gets is its own entry's.
$locker->query_safe('BEGIN; LOCK TABLE credit.audit_entry IN ACCESS EXCLUSIVE MODE');
($got, $state) = ask($reader, 'SET pgcredit.audit_timeout = 100; ' . open_sql(5));
is("$got$state", 'PC002', 'given up');
$locker->query_safe('ROLLBACK');
my $seq = $reader->query_safe('RESET pgcredit.audit_timeout; ' . open_sql(6));
is(entry_of($node, $seq), 'access bank_a bank_a 6', 'a late answer finds no one');

# A writer that hangs: reads time out; when the queue is full they say so. Both end when it goes on.
$old = writer_pid($node);
kill('STOP', $old) or die "kill: $!";
$begin = time;
($got, $state) = ask($reader, read_sql(9));
$took = time - $begin;
is("$got$state", 'PC002', 'the writer hangs: PC002');
cmp_ok($took, '<', $timeout + $margin, 'the writer hangs: in time');
$got = $reader->query_safe(q{
	SET pgcredit.audit_timeout = 20;
	CREATE TEMP TABLE word AS SELECT array_agg(rpad('w' || g, 100, 'x')) AS list FROM generate_series(1, 120) g;
	CREATE FUNCTION pg_temp.refusals() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		states text[];
	BEGIN
		FOR k IN 1 .. 30 LOOP
			BEGIN
				PERFORM credit.open_access(9, 'pre_loan', list) FROM word;
			EXCEPTION WHEN OTHERS THEN
				states := states || SQLSTATE::text;
			END;
		END LOOP;
		RETURN (SELECT string_agg(DISTINCT s, ' ' ORDER BY s) || ', last ' || states[30] FROM unnest(states) s);
	END $$;
	SELECT pg_temp.refusals()});
is($got, 'PC002 PC003, last PC003', 'the queue is full: PC003');
kill('CONT', $old) or die "kill: $!";
is($reader->query_safe('RESET pgcredit.audit_timeout; ' . read_sql(9)), '9|tax_payment', 'the writer goes on: a row');
is(writer_pid($node), $old, 'from the same writer');
log_is_whole($node, 'after a writer that hung');

# A batch that fails in the middle: its readers are told, and its numbers are used again. An index whose function fails
# on demand, without a change of the table itself, of which the writer would hear.
$node->safe_psql('postgres', q{
	CREATE TABLE public.fault (present boolean);
	CREATE FUNCTION public.fails(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		IF EXISTS (SELECT FROM public.fault) THEN
			RAISE EXCEPTION 'on demand';
		END IF;
		RETURN $1;
	END $$;
	CREATE INDEX failing ON credit.audit_entry (public.fails(seq))});
my $last = $node->safe_psql('postgres', 'SELECT max(seq) FROM credit.audit_entry');
is($reader->query_safe(open_sql(7)), $last + 1, 'an entry before the fault');
$node->safe_psql('postgres', 'INSERT INTO public.fault VALUES (true)');
foreach my $turn (1 .. 3)
{
	($got, $state) = ask($reader, read_sql(8));
	is("$got$state", 'PC001', 'the fault: refused');
}
$node->safe_psql('postgres', 'DELETE FROM public.fault');
is($reader->query_safe(open_sql(7)), $last + 2, 'an entry after it has the next number');
log_is_whole($node, 'after a batch that failed');
$node->safe_psql('postgres', 'DROP INDEX credit.failing');

# pg_cancel_backend of the writer is of no effect.
$old = writer_pid($node);
$node->safe_psql('postgres', "SELECT pg_cancel_backend($old)");
is($reader->query_safe(read_sql(6)), '6|tax_payment', 'a row after a cancel of the writer');
is(writer_pid($node), $old, 'from the same writer');

$reader->quit;
$locker->quit;
log_is_whole($node, 'in the end');

# When nothing could be recorded shows in the log: the writer's starts and orderly stops, and a reload that changed a setting.
sub life_since
{
	my ($seq) = @_;

	return $node->safe_psql('postgres', qq{SELECT string_agg(operation, ' ' ORDER BY seq) FROM credit.audit_log
		WHERE seq > $seq AND kind = 'writer'});
}
my $newest = 'SELECT max(seq) FROM credit.audit_log';
my $from = $node->safe_psql('postgres', $newest);
$node->restart;
log_is_whole($node, 'after a stop');
is(life_since($from), 'stop start', 'a stop and a start');
$from = $node->safe_psql('postgres', $newest);
$node->stop('immediate');
$node->start;
log_is_whole($node, 'after a crash');
is(life_since($from), 'start', 'a crash: a start without a stop before it');
$from = $node->safe_psql('postgres', $newest);
$node->reload;
$node->safe_psql('postgres', open_sql(6), extra_params => [ '-U', 'bank_a' ]);
$node->append_conf('postgresql.conf', "pgcredit.audit_timeout = 4s\n");
$node->reload;
ok($node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM credit.audit_log WHERE seq > $from AND kind = 'writer'}), 'a reload that changed a setting');
is(life_since($from), 'reload', 'and none that did not');
$node->stop;
done_testing();
