# P7: measures equal their recomputation at every moment: under many writers, while the folder is killed, after crashes,
# with partitions that come and go, and for readers who hold one snapshot.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run qw(start finish);
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $node = new_node('measures', conf => "log_min_messages = warning\n");
my $dir  = PostgreSQL::Test::Utils::tempdir;

$node->safe_psql('postgres', q{
	SET client_min_messages = error;
	CREATE EXTENSION pgcredit;
	INSERT INTO credit.region (code, name_zh, level) VALUES ('330200', '宁波市', 'city'), ('330203', '海曙区', 'county'),
		('330205', '江北区', 'county'), ('330300', '温州市', 'city'), ('330302', '鹿城区', 'county') ON CONFLICT DO NOTHING;
	SELECT credit.extend_ledgers('2024-01-01', '2024-06-30');
	CREATE FUNCTION public.some_loans(first integer, n integer, month date) RETURNS void LANGUAGE sql AS $$
		DELETE FROM credit.loan_balance l USING generate_series(first, first + n - 1) g
		 WHERE l.institution_id = 1 + g % 4 AND l.key = 'k' || g AND l.month = some_loans.month;
		INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, segment, product, balance, rate, class,
			enterprise, private, small_micro, inclusive, renewal, unsecured)
		SELECT 1 + g % 4, 'k' || g, month, nullif(g % 50, 0), (ARRAY['330203', '330205', '330302', '330300'])[1 + g % 4]::credit.region_code,
			   CASE g % 3 WHEN 0 THEN '' ELSE 's' || g % 3 END, 'p' || g % 2, (random() * 1e6)::numeric(18,2),
			   CASE WHEN g % 7 > 0 THEN (random() * 0.1)::numeric(9,6) END,
			   (ARRAY['normal', 'special_mention', 'substandard', 'doubtful', 'loss', NULL])[1 + g % 6],
			   random() < 0.5, random() < 0.5, random() < 0.5, random() < 0.5, random() < 0.3, random() < 0.3
		  FROM generate_series(first, first + n - 1) g $$;
});

# The lock keeps partitions from coming, going and being truncated between the snapshot and the scan, and no writer waits.
my $check = 'BEGIN; LOCK TABLE credit.loan_balance IN SHARE UPDATE EXCLUSIVE MODE; '
  . "SELECT count(*) FROM credit.check_measures(); COMMIT;";

sub differences
{
	my ($database) = @_;
	return $node->safe_psql($database // 'postgres', $check);
}

sub folder
{
	return $node->safe_psql('postgres', "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE backend_type = 'pgcredit folder'");
}

# ---- the folder comes by itself, folds within a second, and leaves

$node->safe_psql('postgres', "SELECT public.some_loans(1, 500, '2024-01-01')");
ok($node->poll_query_until('postgres', 'SELECT waiting = 0 AND folded > 0 FROM credit.measure_state'), 'deltas are folded by themselves');
is(differences(), 0, 'measures equal the ledger when all is folded');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pgcredit folder'"),
	'a folder without work leaves');

# ---- rollback, savepoints, own changes, COPY

is($node->safe_psql('postgres', q{
	BEGIN;
	SELECT public.some_loans(1000, 50, '2024-02-01');
	SAVEPOINT a;
	DELETE FROM credit.loan_balance;
	SELECT 'inside ' || count(*) FROM credit.check_measures();
	ROLLBACK TO a;
	SELECT 'after ' || count(*) FROM credit.check_measures();
	ROLLBACK;
	COPY credit.loan_balance (institution_id, key, month, region, balance) FROM stdin;
9	copied	2024-03-01	330203	12.34
\.
	SELECT credit.measure('loan_balance', '330000', '2024-03-01', NULL);
}) =~ s/^\n+//mgr, "inside 0\nafter 0\n12.34", 'in a transaction, after savepoints, and with COPY');
is(differences(), 0, 'what is rolled back is not measured');

# ---- many writers, with partitions that come and go, while the folder is killed

my $writers = 8;
my $seconds = 12;

sub writer
{
	my ($k) = @_;
	my @month = map { "2024-0$_-01" } 1 .. 6;
	my $script = "SET client_min_messages = error;\nSET lock_timeout = '3s';\nSET statement_timeout = '8s';\n";

	srand(1000 + $k);
	foreach my $turn (1 .. 2000)
	{
		my $m     = $month[ int rand 6 ];
		my $first = 1 + int rand 3000;
		my $what  = int(rand 1000) / 10;
		my $isolation = int(rand 3) ? '' : ' ISOLATION LEVEL REPEATABLE READ';
		my $end   = int(rand 5) ? 'COMMIT' : 'ROLLBACK';
		my $part  = 'credit.loan_balance_' . ($m =~ s/^(\d+)-(\d+).*/$1_$2/r);
		my $to    = $m =~ s/-0(\d)-/'-0' . ($1 + 1) . '-'/er;

		$script .=
		    $what < 40 ? "BEGIN$isolation; SELECT public.some_loans($first, 30, '$m'); $end;\n"
		  : $what < 55 ? "BEGIN$isolation; UPDATE credit.loan_balance SET balance = balance + 1, class = 'loss' WHERE month = '$m' AND subject_id = $turn % 50; $end;\n"
		  : $what < 65 ? "DELETE FROM $part WHERE subject_id = $turn % 50;\n"
		  : $what < 72 ? "UPDATE credit.loan_balance SET month = '2024-01-01', key = key || '-$k-$turn' WHERE month = '$m' AND subject_id = $turn % 50;\n"
		  : $what < 80 ? "BEGIN; SELECT public.some_loans($first, 20, '$m'); SAVEPOINT s; DELETE FROM credit.loan_balance WHERE month = '$m' AND subject_id < 9; ROLLBACK TO s; $end;\n"
		  : $what < 96 ? "INSERT INTO $part (institution_id, key, month, region, balance) VALUES (7, 'direct-$k-$turn', '$m', '330205', $turn) ON CONFLICT DO NOTHING;\n"
		  : $what < 97 ? "BEGIN$isolation; TRUNCATE $part; $end;\n"
		  : $what < 97.2 ? "TRUNCATE credit.loan_balance;\n"
		  : $what < 98.5 ? "BEGIN$isolation; ALTER TABLE credit.loan_balance DETACH PARTITION $part; DELETE FROM $part WHERE subject_id < 20; "
		  . "ALTER TABLE credit.loan_balance ATTACH PARTITION $part FOR VALUES FROM ('$m') TO ('$to'); $end;\n"
		  : $what < 98.8 ? "BEGIN; DROP TABLE $part; $end;\nCREATE TABLE $part PARTITION OF credit.loan_balance (PRIMARY KEY (institution_id, key, month)) FOR VALUES FROM ('$m') TO ('$to');\n"
		  : "SELECT credit.fold_measures();\n";
	}
	return $script;
}

# Runs the writers for some seconds, doing "each" again and again meanwhile.
sub run_writers
{
	my ($for, $each) = @_;
	my @runs;

	foreach my $k (1 .. $writers)
	{
		my $file = "$dir/writer$k";
		open(my $out, '>', $file) or die $!;
		print $out writer($k);
		close $out;
		push @runs, start([ 'psql', '-XAtq', '-v', 'VERBOSITY=terse', '-f', $file, '-d', $node->connstr('postgres') ],
			'>', "$file.out", '2>', "$file.err");
	}
	my $until = time + $for;
	while (time < $until)
	{
		$each->();
		usleep(50000);
	}
	$_->kill_kill foreach @runs;
	eval { finish $_ } foreach @runs;
	my %errors;
	foreach my $k (1 .. $writers)
	{
		$errors{ s/^psql:\S+ //r =~ s/[0-9]+/N/gr }++ foreach grep { /ERROR|FATAL|PANIC/ } split /\n/, slurp_file("$dir/writer$k.err");
	}
	return \%errors;
}

my ($checks, $wrong, $killed, $snapshots, $moved) = (0, 0, 0, 0, 0);
my $errors = run_writers($seconds, sub {
	my ($out, $err);
	$node->psql('postgres', "SET lock_timeout = '8s'; $check", stdout => \$out, stderr => \$err, on_error_stop => 0);
	if ($out =~ /^(\d+)$/) { $checks++; $wrong += $1 }
	# who holds a snapshot is told the same whatever is folded meanwhile
	my $twice = "SELECT md5(string_agg(x::text, ',' ORDER BY x::text COLLATE \"C\")) FROM credit.measure_now x";
	$out = '';
	$node->psql('postgres', "BEGIN ISOLATION LEVEL REPEATABLE READ; $twice; SELECT pg_sleep(0.3); $twice; COMMIT", stdout => \$out, stderr => \$err);
	my @sums = $out =~ /^(\w{32})$/mg;
	if (@sums == 2) { $snapshots++; $moved++ if $sums[0] ne $sums[1] }
	my $pid = folder();
	if ($pid && $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)") eq 't') { $killed++ }
});
cmp_ok($checks, '>', 3, "measures were compared while $writers writers ran: $checks times");
is($wrong, 0, 'and never differed from the ledger');
cmp_ok($snapshots, '>', 3, 'readers held snapshots');
is($moved, 0, 'and what they read did not move under them');
cmp_ok($killed, '>', 3, "the folder was killed $killed times");
# A script that is cut when its time is over may end in the middle of a statement.
my @unexpected = grep { !/deadlock|lock timeout|statement timeout|could not serialize|(?:relation|table|savepoint) "\S+" does not exist|already exists|is not a partition|would overlap|already a partition|PCN|READ COMMITTED|terminating|connection|no partition|violat|transaction is aborted|duplicate key|already moved|syntax error at or near "N"/ } sort keys %$errors;
is("@unexpected", '', 'writers met no errors but those of concurrency') or diag explain $errors;
is(differences(), 0, 'no difference when the writers are gone');
my $folded = $node->safe_psql('postgres', 'SELECT folded FROM credit.measure_state');
cmp_ok($folded, '>', 1000, "there was something to fold: $folded deltas");

# ---- crashes: of a backend in the middle, and of the server

foreach my $turn (1 .. 3)
{
	run_writers(3, sub {
		my $pid = folder();
		if ($pid && $turn < 3) { kill 9, $pid; usleep(1500000) }
	});
	$node->stop('immediate'), $node->start if $turn == 3;
	$node->poll_query_until('postgres', 'SELECT 1', '1') or die 'the server did not come back';
	is(differences(), 0, "no difference after crash $turn");
}
$node->safe_psql('postgres', "SELECT public.some_loans(1, 10, '2024-05-01')");
ok($node->poll_query_until('postgres', 'SELECT waiting = 0 FROM credit.measure_state'), 'what waited at the crash is folded');
is(differences(), 0, 'and equals the ledger');

# ---- a difference is found where there is one, and repaired

$node->safe_psql('postgres', q{
	SET session_replication_role = replica;
	INSERT INTO credit.loan_balance (institution_id, key, month, region, balance) VALUES (1, 'unseen', '2024-04-01', '330203', 5)});
cmp_ok(differences(), '>', 0, 'a row past the triggers is found');
$node->safe_psql('postgres', 'SELECT credit.rebuild_measures()');
is(differences(), 0, 'and rebuilding repairs');

# ---- who makes partitions at once waits, a folder among them, which a change of regions has started

append_to_file("$dir/extend.sql", "UPDATE credit.region SET parent = parent WHERE code::text = '330203';\n"
	  . "SELECT credit.extend_ledgers('2031-01-01', '2031-02-01');\n");
$node->command_ok([ 'pgbench', '-n', '-c', '4', '-t', '2', '-f', "$dir/extend.sql", $node->connstr('postgres') ],
	'four who make the same partitions: none ends in a deadlock');
is($node->safe_psql('postgres', "SELECT count(*) = 2 * (SELECT count(*) FROM credit.ledger) FROM credit.ledger_partition WHERE first_month >= '2031-01-01'"),
	't', 'and each partition is made once');
is(differences(), 0, 'and measured');

# ---- dump and restore, partitions included

$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), "$dir/dump" ], 'restore');
is($node->safe_psql('restored', 'SELECT count(*) FROM credit.loan_balance'),
	$node->safe_psql('postgres', 'SELECT count(*) FROM credit.loan_balance'), 'the ledger is restored');
is(differences('restored'), 0, 'and measured');
$node->safe_psql('restored', "INSERT INTO credit.loan_balance_2024_01 (institution_id, key, month, region, balance) VALUES (8, 'later', '2024-01-01', '330203', 5)");
is(differences('restored'), 0, 'also what comes later, into a partition by its name');

ok($node->poll_query_until('postgres', q{SELECT count(*) = 3 * (SELECT count(*) FROM credit.ledger) FROM credit.ledger_partition
	WHERE first_month >= date_trunc('month', now()) AND end_month <= date_trunc('month', now()) + interval '3 months'}),
	'the folder has made partitions for this month and the two to come');

# The triggers of partitions are made as they are attached and are in no dump, so that they are there once, and the code is
# the same.
my $triggers = q{SELECT t.tgrelid::regclass || ' ' || t.tgtype || ' ' || t.tgfoid::regproc, count(*) FROM pg_trigger t
	JOIN credit.ledger_partition p ON p.part = t.tgrelid GROUP BY 1 ORDER BY 1};
is($node->safe_psql('restored', $triggers), $node->safe_psql('postgres', $triggers), 'partitions have the same triggers');
unlike($node->safe_psql('restored', $triggers), qr/\|[^1]/, 'each of them once');
is($node->safe_psql('restored', 'SELECT credit._code_digest()'), $node->safe_psql('postgres', 'SELECT credit._code_digest()'),
	'the digest of the code is the same');

done_testing();
