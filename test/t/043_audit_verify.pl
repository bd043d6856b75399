# credit.verify_log beside a log in use: it is seen while it runs, can be cancelled and ended, and goes on from where it
# was; it sees one state of the log, whatever is added meanwhile. Parallel workers, which take part by default, change none
# of that, and none is left behind.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run qw(start);
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('verify', conf => "pgcredit.checkpoint_interval = 0\nmax_worker_processes = 16\n");
platform($node);

# Pages of one row each, so that the entry behind a range is alone on its page: it counts once.
$node->safe_psql('postgres', q{SELECT count(credit._audit_note(jsonb_build_object('kind', 'test', 'pad', repeat('x', 500), 'n', g))) FROM generate_series(1, 1000) g});
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
$node->safe_psql('postgres', $_) foreach ('ALTER TABLE credit.audit_entry SET (fillfactor = 10)', 'VACUUM FULL credit.audit_entry', 'VACUUM credit.audit_entry');
is(join(' ', verify_both($node, 'postgres', 'one row a page', result => q{concat_ws(' ', ok, detail)})), 't 2', 'one row a page');
$node->safe_psql('postgres', q{SELECT count(credit._audit_note(jsonb_build_object('kind', 'test', 'n', g))) FROM generate_series(1, 150000) g});
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
$node->safe_psql('postgres', 'SELECT credit.checkpoint()');
my $size = $node->safe_psql('postgres', 'SELECT credit.log_size()');

# The last line: what a statement before it shows does not count.
sub last_line { return (split /\n/, $node->safe_psql('postgres', $_[0]))[-1]; }

my $helpers = q{pg_stat_activity h WHERE backend_type = 'parallel worker'};
sub answer { return $node->safe_psql('postgres', "SELECT concat_ws(' ', ok, problem, entries, size) FROM credit.verify_log($_[0])"); }

# Starts a verification and, when it is in the middle, another statement. Returns what that gave and what the verification
# said.
sub amid
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	my $run = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{SELECT concat_ws(' ', ok, problem, detail) FROM credit.verify_log()} ], '>', \$out, '2>', \$err);
	my $given = $node->safe_psql('postgres', qq{
		DO \$\$
		BEGIN
			FOR turn IN 1 .. 20000 LOOP
				PERFORM pg_sleep(0.001);
				EXIT WHEN EXISTS (SELECT FROM credit.stat_progress_verify WHERE entries_done > 20000);
			END LOOP;
		END
		\$\$;
		$sql});
	$run->finish;
	chomp $out;
	return ($given, $out . $err);
}

# Does something to its backend. Returns what was seen of it, or '' when it was too fast.
sub interrupted
{
	my ($what) = @_;
	my ($seen, $said) = amid(qq{
		SELECT concat_ws(' ', phase, datname, entries_done > 20000, entries_total, started < now(), workers, (SELECT count(*) FROM $helpers), $what) FROM credit.stat_progress_verify});

	return $said =~ /canceling|terminating|terminated/ ? $seen : '';
}

is(answer(''), "t $size $size", 'the whole log');
is(join(' ', verify_both($node, 'postgres', 'all ranges by workers', result => q{concat_ws(' ', ok, entries, size)})), "t $size $size 2", 'all of it by workers');

# Pages that EXPLAIN counts.
sub pages_read
{
	my ($workers) = @_;
	my ($plan) = $node->safe_psql('postgres', with_workers($workers) . 'EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM credit.verify_log()') =~ /^\s*Buffers: shared(.*)/m;
	my $n = 0;

	$n += $1 while $plan =~ /(?:hit|read)=(\d+)/g;
	return $n;
}

my ($by_workers, $alone) = map { pages_read($_) } (2, 0);
ok(abs($by_workers / $alone - 1) < 0.1, 'EXPLAIN counts the pages that workers read') or diag("$by_workers, and alone $alone");

my %interrupt = (
	cancelled          => 'pg_cancel_backend(pid)',
	terminated         => 'pg_terminate_backend(pid)',
	'its workers lost' => "(SELECT bool_and(pg_terminate_backend(h.pid)) FROM $helpers)");
foreach my $what (sort keys %interrupt)
{
	my $seen = '';

	foreach (1 .. 20)
	{
		$seen = interrupted($interrupt{$what}) and last;
	}
	is($seen, "verifying entries postgres t $size t 2 2 t", "$what: it was seen");
	ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.stat_progress_verify'), "$what: it is seen no more");
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM $helpers"), "$what: nor are its workers");

	# What comes before is not looked at again; that it was not exchanged is.
	is(last_line(qq{SELECT set_config('session_replication_role', 'replica', false); BEGIN; UPDATE credit.audit_entry SET entry = entry || ' ' WHERE seq = 5;
		SELECT concat_ws(' ', ok, entries, size) FROM credit.verify_log(resume => true); ROLLBACK}), "t $size $size", "$what: it goes on from there");
	is(answer(''), "t $size $size", "$what: or from the beginning");
	next if $what ne 'cancelled';
	is(last_line(qq{SELECT set_config('session_replication_role', 'replica', false); BEGIN; UPDATE credit.audit_node SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1);
		SELECT problem FROM credit.verify_log(resume => true); ROLLBACK}), 'tile_changed', 'resumed on another tree: it is not the one verified before');
}

# Where there are none to have, and in transactions of any kind.
foreach my $case ([ "SELECT set_config('max_parallel_workers', '0', false)", '0' ], [ 'BEGIN ISOLATION LEVEL SERIALIZABLE', '2' ], [ 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', '2' ],
	[ 'BEGIN; CREATE TABLE written AS SELECT 1; SAVEPOINT s', '2' ], [ 'BEGIN; SAVEPOINT s; CREATE TEMP TABLE written AS SELECT 1', '2' ])
{
	is(join(' ', verify_both($node, 'postgres', $case->[0], sql => $case->[0], result => q{concat_ws(' ', ok, entries, size)})), "t $size $size $case->[1]", $case->[0]);
}

# A change of the code meanwhile is in the log, though behind what is verified.
foreach my $fillfactor (50, 60, 70)
{
	is((amid("ALTER TABLE credit.subject SET (fillfactor = $fillfactor)"))[1], 't', 'the code was changed meanwhile');
}

# Entries come in meanwhile.
my $log = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
	q{SELECT count(credit._audit_note(jsonb_build_object('kind', 'test', 'n', g))) FROM generate_series(1, 20000) g}, '-c', 'SELECT credit.checkpoint()' ], '>', \my $ignored);
foreach (1 .. 5)
{
	like(answer(''), qr/^t \d+ \d+$/, 'beside a writer');
}
$log->finish;
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
like(answer('resume => true'), qr/^t (\d+) \1$/, 'resumed later: what came since');

# A restart forgets where it was: then it is the whole log again.
$node->restart;
my $new = $node->safe_psql('postgres', 'SELECT credit.log_size()');
is(last_line(q{SELECT set_config('session_replication_role', 'replica', false); BEGIN; UPDATE credit.audit_entry SET entry = entry || ' ' WHERE seq = 5;
	SELECT concat_ws(' ', problem, wrong_seq) FROM credit.verify_log(resume => true); ROLLBACK}), 'entry_changed 5', 'restarted: from the beginning');
is($node->safe_psql('postgres', "SELECT concat_ws(' ', ok, first_seq, last_seq = size, size >= $new) FROM credit.verify_log(first => 100000)"), 't 99841 t t', 'or from where one says');
log_is_whole($node, 'at the end');
$node->stop;
done_testing();
