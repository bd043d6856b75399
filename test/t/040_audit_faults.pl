# P1, P4 and P8 under faults. Sixteen clients read and write without pause and keep their own list of what they were given, while
# processes are killed, servers are stopped and replaced, the disk is full, the log is locked, the queue is full. After each
# fault every list is compared with the log: every row that any client received has its entry with its number, subject and
# role, numbers have no gap and no double, every committed write has one entry and no other has any, and nobody waited
# longer than the timeout.
#
# PGCREDIT_FAULT_ROUNDS  how often each fault is repeated (3); every fault comes in each round
# PGCREDIT_FAULT_SEED    makes the same choices again
# PGCREDIT_FAULT_ONLY    a pattern: only faults whose name it matches

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use List::Util qw(shuffle);
use PgCredit::Load;
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $rounds  = $ENV{PGCREDIT_FAULT_ROUNDS} // 3;
my $seed    = $ENV{PGCREDIT_FAULT_SEED} // time % 100000;
my $only    = $ENV{PGCREDIT_FAULT_ONLY} // '.';
my $timeout = 2;		# seconds, pgcredit.audit_timeout
my $most    = $timeout + 4;	# a busy machine
my ($readers, $writers) = (16, 2);

plan skip_all => 'there is no C compiler' if !PgCredit::Load::compiler();
srand($seed);
note("PGCREDIT_FAULT_SEED=$seed");

# The servers, one after the other the primary. Each runs with a library that makes its disk full on demand.
my $disk = PostgreSQL::Test::Utils::tempdir . '/disk';
append_to_file($disk, '-');
my $shim = PgCredit::Load::build('disk_full.c', '-shared', '-fPIC', '-ldl');

sub start
{
	my ($node) = @_;
	local $ENV{LD_PRELOAD}        = $shim;
	local $ENV{DISK_FULL_CONTROL} = $disk;

	return $node->start;
}

sub disk
{
	my ($what) = @_;

	open(my $fh, '+<', $disk) or die "$disk: $!";
	syswrite($fh, $what) == 1 or die "$disk: $!";
	close($fh);
	return;
}

my $node = new_node('n0', allows_streaming => 1, extra => ['--wal-segsize=1'], conf => "
pgcredit.audit_timeout = ${timeout}s
pgcredit.audit_queue_size = 256kB
max_prepared_transactions = 20
shared_buffers = 16MB
min_wal_size = 2MB
wal_keep_size = 32MB
");
platform($node);
PgCredit::Load::prepare($node, $readers, $writers);
$node->stop;
start($node);
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my @nodes = ($node, map { PostgreSQL::Test::Cluster->new("n$_") } 1 .. $rounds);
my $load = PgCredit::Load->new($node, readers => $readers, writers => $writers,
	conninfo => 'dbname=postgres target_session_attrs=primary host=' . join(',', map { $_->host } @nodes) . ' port=' . join(',', map { $_->port } @nodes));

# ---------------------------------------------------------------------------
# Helpers
# ---------------------------------------------------------------------------

sub sql
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# Server processes of clients at random.
sub backends
{
	my ($n) = @_;

	return split /\n/, sql("SELECT pid FROM pg_stat_activity WHERE usename LIKE 'client%' ORDER BY random() LIMIT $n");
}

# SIGKILL for one process of the server: the postmaster ends all others and recovers.
sub kill_one
{
	my ($pid) = @_;
	my $from = log_size($node);

	kill('KILL', $pid) or die "kill $pid: $!";
	$node->wait_for_log(qr/all server processes terminated; reinitializing.*database system is ready to accept connections/s, $from);
	return;
}

sub postmaster
{
	my ($pid) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');

	return $pid;
}

# Nothing of a server whose postmaster was killed lives on.
sub children
{
	my ($parent) = @_;
	my @found;

	foreach my $stat (glob('/proc/[0-9]*/stat'))
	{
		open(my $fh, '<', $stat) or next;
		my $line = <$fh> // '';
		push @found, $1 if $line =~ /^(\d+) \(.*\) \S (\d+) / && $2 == $parent;
		close($fh);
	}
	return @found;
}

sub kill_postmaster
{
	my $pid      = postmaster();
	my @children = children($pid);
	my $until    = time + 20;

	$node->kill9;
	while (time < $until && grep { kill(0, $_) } $pid, @children)
	{
		sleep(0.02);
	}
	is(join(' ', grep { kill(0, $_) } @children), '', 'killed postmaster: every process of the server leaves');
	return;
}

sub until_true
{
	my ($name, $condition) = @_;
	my $until = time + 20;

	while (time < $until)
	{
		return 1 if $condition->();
		sleep(0.02);
	}
	return fail("$name: it came");
}

# The log's table locked for a moment; calls what is to happen meanwhile.
sub while_locked
{
	my ($work) = @_;
	my $locker = session($node, $superuser);

	$locker->query_safe('BEGIN; LOCK TABLE credit.audit_entry IN ACCESS EXCLUSIVE MODE');
	$work->();
	$locker->query_safe('ROLLBACK');
	$locker->quit;
	return;
}

# ---------------------------------------------------------------------------
# Faults
# ---------------------------------------------------------------------------

my %fault = (
	'kill -9 of a backend'  => sub { kill_one((backends(1))[0]) },
	'kill -9 of the writer' => sub { kill_one(writer_pid($node)) },
	'kill -9 of the launcher' => sub {
		kill_one(sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgcredit launcher'}));
	},
	'kill -9 of the postmaster' => sub {
		kill_postmaster();
		start($node);
	},
	'kill -9 of the postmaster while it recovers' => sub {
		$node->stop('immediate');
		{
			local $ENV{LD_PRELOAD}        = $shim;
			local $ENV{DISK_FULL_CONTROL} = $disk;
			system_or_bail('pg_ctl', '-s', '-W', '-D', $node->data_dir, '-l', $node->logfile, 'start');
		}
		until_true('a postmaster', sub { -s $node->data_dir . '/postmaster.pid' });
		sleep(rand(0.1));
		$node->_update_pid(1);
		kill_postmaster();
		start($node);
	},
	'immediate shutdown' => sub {
		$node->stop('immediate');
		start($node);
	},
	'backends terminated' => sub {
		my $before = $load->ended('57P01') + $load->ended('lost');

		foreach my $turn (1 .. 3)
		{
			sql("SELECT pg_terminate_backend($_)") foreach (backends(5));
			$load->wait_for_answers(1);
		}
		cmp_ok($load->ended('57P01') + $load->ended('lost'), '>', $before, 'clients saw it');
	},
	'writer terminated' => sub {
		foreach my $turn (1 .. 3)
		{
			my $old = writer_pid($node);

			sql("SELECT pg_terminate_backend($old)");
			$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit writer' AND pid <> $old");
			$load->wait_for_answers(1);
		}
	},
	'clients killed' => sub {
		foreach my $k (map { int(rand($readers + $writers)) } 1 .. 4)
		{
			my $pid = $load->pid($k);

			kill('KILL', $pid) or die "kill $pid: $!";
			until_true('another process for the client', sub { $load->pid($k) != $pid });
		}
	},
	'waits cancelled' => sub {
		my $before = $load->ended('57014');

		while_locked(sub {
			until_true('a cancel', sub {
				sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity
					 WHERE usename LIKE 'client%' AND state = 'active' AND wait_event_type = 'Extension' AND random() < 0.5});
				return $load->ended('57014') > $before + 3;
			});
		});
	},
	'statement timeout in a wait' => sub {
		my $before = $load->ended('57014');

		while_locked(sub { until_true('a timeout', sub { $load->ended('57014') > $before + 3 }) });
	},
	'queue full' => sub {
		my $writer = writer_pid($node);
		my $before = $load->ended('PC003');
		my $filler = session($node, 'bank_a');

		$filler->query_safe(q{
			SET pgcredit.audit_timeout = 20;
			CREATE TEMP TABLE word AS SELECT array_agg(rpad('w' || g, 100, 'x')) AS list FROM generate_series(1, 120) g;
			CREATE FUNCTION pg_temp.refusals() RETURNS void LANGUAGE plpgsql AS $$
			BEGIN
				FOR k IN 1 .. 30 LOOP
					BEGIN
						PERFORM credit.open_access(9, 'pre_loan', list) FROM word;
					EXCEPTION WHEN OTHERS THEN
						NULL;
					END;
				END LOOP;
			END $$});
		kill('STOP', $writer) or die "kill $writer: $!";
		$filler->query_safe('SELECT pg_temp.refusals()');
		until_true('a queue that is full', sub { $load->ended('PC003') > $before + 3 });
		kill('CONT', $writer) or die "kill $writer: $!";
		$filler->quit;
	},
	'disk full: tables' => sub {
		my $from   = log_size($node);
		my $before = $load->ended('PC001');

		disk('b');
		until_true('a refusal', sub { $load->ended('PC001') > $before + $readers });
		disk('-');
		like(log_since($node, $from), qr/ERROR:  could not extend file.*No space left on device/, 'disk full: the server says so');
	},
	'disk full: WAL' => sub {
		my $from = log_size($node);
		my $pid  = postmaster();

		disk(rand() < 0.5 ? 'w' : 'a');
		until_true('the end of the server', sub {
			$node->psql('postgres', q{
				DO $$ BEGIN FOR k IN 1 .. 100 LOOP
					PERFORM pg_logical_emit_message(false, 'fill', 'fill'), pg_switch_wal();
				END LOOP; END $$});
			return log_since($node, $from) =~ /PANIC:.*No space left on device/;
		});
		sleep(rand(0.5));
		disk('-');
		come_back($pid, $from);
	},
);

# A server that had no room for its WAL comes back by itself, or gave up and is started.
sub come_back
{
	my ($pid, $from) = @_;

	until_true('an end of the crash', sub {
		return !kill(0, $pid) || log_since($node, $from) =~ /reinitializing.*database system is ready to accept connections/s;
	});
	if (!kill(0, $pid))
	{
		$node->_update_pid(0);
		start($node);
	}
	return;
}

my %done;

sub one_fault
{
	my ($name, $work) = @_;

	# What is broken is broken for all that follow.
	return if $name !~ /$only/ || !Test::More->builder->is_passing;
	my $begin = time;
	ok($load->wait_for_answers(2), "$name: the load runs before");
	$work->();
	wait_until_up($node);
	wait_for_writer($node);
	ok($load->wait_for_answers(2), "$name: the load runs after");
	$load->{node} = $node;
	$load->judge($name, $most);
	$load->resume;
	$done{$name}++;
	note(sprintf('%s: %.1f s, entries %d', $name, time - $begin, $#{ $load->{log} }));
	return;
}

foreach my $round (1 .. $rounds)
{
	foreach my $name (shuffle(sort keys %fault))
	{
		one_fault($name, $fault{$name});
	}
}

# ---------------------------------------------------------------------------
# Servers that are lost: each time the standby goes on
# ---------------------------------------------------------------------------

# The standby gone, the writer told to go while it waits for it: what it had written is on the primary only, and does not
# count.
sub cut_off
{
	my ($standby) = @_;
	my $before = $load->ended('PC001');

	$standby->stop('immediate');
	foreach my $turn (1 .. 2)
	{
		$node->poll_query_until('postgres',
			q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'pgcredit writer'});
		sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pgcredit writer'});
	}
	until_true('a refusal', sub { $load->ended('PC001') > $before + 3 });
	return;
}

foreach my $round (1 .. $rounds)
{
	my $standby = $nodes[$round];

	last if 'failover to the standby' !~ /$only/ || !Test::More->builder->is_passing;
	$node->backup("b$round");
	$standby->init_from_backup($node, "b$round", has_streaming => 1);
	start($standby);
	sql(q{ALTER SYSTEM SET synchronous_standby_names = '*'; SELECT pg_reload_conf()});
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'});

	one_fault('standby lost', sub {
		my $before = $load->ended('PC002');

		$standby->stop('immediate');
		until_true('a refusal', sub { $load->ended('PC002') > $before + 3 });
		start($standby);
		$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'});
	});
	one_fault('failover to the standby', sub {
		if ($round % 3 == 2)
		{
			$node->stop('immediate');
		}
		else
		{
			cut_off($standby) if $round % 3 == 0;
			kill_postmaster();
			start($standby) if $round % 3 == 0;
		}
		$standby->promote;
		$node = $standby;
	});
}

$load->judge('in the end', $most);
is($load->{mark}{digest}, $load->{sha}->clone->hexdigest, 'the log is what was read of it, piece by piece');
$load->finish;
my $faults = 0;
$faults += $_ foreach (values %done);
cmp_ok($faults, '>=', 30, 'thirty faults at least') if !defined $ENV{PGCREDIT_FAULT_ROUNDS} && $only eq '.';
note("$_: $done{$_}") foreach (sort keys %done);
diag(sprintf('%d faults, %d rows given to %d clients, %d writes committed, %d reads refused (%d for want of consent besides), '
		. '%d entries, longest access %.1f s, lost = %d',
	$faults, $load->{figures}{rows}, $readers, $load->{figures}{writes}, $load->{figures}{refusals}, $load->{figures}{no_consent},
	$#{ $load->{log} }, $load->{worst_ever} / 1e6, $load->{figures}{lost}));
note('calls ended: ' . join ', ', map { "$_ $load->{ends}{$_}" } sort keys %{ $load->{ends} });
is($load->{figures}{lost}, 0, 'no row without its entry');
$node->stop;
done_testing();
