# P2: a consent that may be used n times is used n times, by whatever number of sessions at once, also when they roll back,
# are terminated, or the server crashes under them. Who was given a row has a use, and no use is without its entry.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run qw(start finish);
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $sessions = 100;
my $node = new_node('counts', conf => "max_connections = 130\npgcredit.audit_timeout = 60s\n");
platform($node);
my $dir = PostgreSQL::Test::Utils::tempdir;

# Subjects 1 to 40 have a standing consent to bank_a of the platform for pre_loan. Here the purpose is post_loan.
sub limit
{
	my ($first, $last, $columns, $values) = @_;

	return $node->safe_psql('postgres', "
		INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, granted_by, $columns)
		SELECT s, 1, ARRAY(SELECT category_id FROM credit.category WHERE code IN ('tax_payment', 'social_insurance')), '{post_loan}',
			   now() - interval '1 day', now() + interval '1 day', 'test', $values
		  FROM generate_series($first, $last) s");
}

sub read_counted
{
	my ($subject) = @_;

	return "SELECT 'got', subject_id FROM credit.read($subject, 'post_loan', '{tax_payment}');\n";
}

# Run these scripts in as many sessions at once, doing "meanwhile"; returns how often each subject was received.
sub at_once
{
	my ($scripts, $meanwhile) = @_;
	my (@runs, %received, $n);

	my $gate = $node->background_psql('postgres');
	$gate->query_safe('SELECT pg_advisory_lock(1)');
	foreach my $script (@$scripts)
	{
		my $k = ++$n;
		open(my $in, '>', "$dir/in$k") or die $!;
		print $in "SET client_min_messages = error;\nSELECT pg_advisory_lock_shared(1);\nSELECT pg_advisory_unlock_shared(1);\n$script";
		close $in;
		push @runs, start([ 'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-U', 'bank_a', '-f', "$dir/in$k", '-d', $node->connstr('postgres') ],
			'>', "$dir/out$k", '2>', "$dir/err$k");
	}
	$node->poll_query_until('postgres', "SELECT count(*) = " . scalar(@$scripts) . " FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
	  or die 'not all sessions came';
	$gate->query_safe('SELECT pg_advisory_unlock(1)');
	$meanwhile->() if $meanwhile;
	foreach my $run (@runs) { eval { finish $run } }
	$gate->quit;
	foreach my $k (1 .. $n)
	{
		$received{$_}++ foreach slurp_file("$dir/out$k") =~ /^got\|(\d+)$/mg;
	}
	return \%received;
}

sub uses
{
	my ($first, $last) = @_;

	return $node->safe_psql('postgres', "
		SELECT string_agg(n::text, ',' ORDER BY n) FROM (
			SELECT DISTINCT count(u.seq) AS n FROM generate_series($first, $last) s LEFT JOIN credit.audit_use u ON u.subject_id = s GROUP BY s) x");
}

# Every use has its entry, an access that names the consent, and every such access its use. What a plain SELECT was given is
# said once more at its end, which uses nothing.
sub uses_have_entries
{
	my ($what) = @_;

	is($node->safe_psql('postgres', q{
		SELECT count(*) FROM credit.audit_use u
		  FULL JOIN (SELECT a.seq, (c ->> 0)::bigint AS consent_id
					   FROM credit.audit_log a CROSS JOIN LATERAL jsonb_array_elements(a.consents) c
					  WHERE a.kind = 'access' AND a.purpose = 'post_loan' AND a.operation IS NULL) a USING (seq, consent_id)
		 WHERE u.subject_id IS NULL OR a.seq IS NULL OR a.seq IS DISTINCT FROM u.seq}), '0', "$what: uses and entries are the same");
}

sub shuffled
{
	my @list = @_;

	for (my $i = @list; --$i > 0;)
	{
		my $j = int(rand($i + 1));
		@list[ $i, $j ] = @list[ $j, $i ];
	}
	return @list;
}

my $seed = time;
srand($seed);
note "seed $seed";

# ------------------------------------------------------------------ one time

limit(1, 5, 'kind, use_limit', "'one_time', 1");
my $got = at_once([ map { join '', map { read_counted($_) } shuffled(1 .. 5) } 1 .. $sessions ]);
is_deeply($got, { map { $_ => 1 } 1 .. 5 }, "$sessions sessions at once: each one-time consent gave its record once");
is(uses(1, 5), '1', 'and was used once');
is($node->safe_psql('postgres', q{SELECT count(*) FROM credit.audit_log WHERE kind = 'refusal' AND reason = 'consent_used_up'}),
	5 * ($sessions - 1), 'everyone else has a refusal');
uses_have_entries('one time');

# ------------------------------------------------------------------ n times, half of the sessions roll back

limit(6, 8, 'kind, use_limit', "'standing', 7");
$got = at_once([ map { my $back = $_ % 2;
	join '', map { $back ? 'BEGIN;' . read_counted($_) . "ROLLBACK;\n" : read_counted($_) } shuffled(6 .. 8) } 1 .. $sessions ]);
is_deeply($got, { map { $_ => 7 } 6 .. 8 }, 'seven times, with rollbacks: each gave its record seven times');
is(uses(6, 8), '7', 'and was used seven times');
uses_have_entries('seven times');

# ------------------------------------------------------------------ so many a day, in the present day

limit(9, 10, 'kind, frequency_unit, frequency_count', "'periodic', 'day', 3");
$node->safe_psql('postgres', q{
	INSERT INTO credit.audit_use SELECT s, c.consent_id, now() - interval '1 day' - g * interval '1 minute', 0
	  FROM generate_series(9, 10) s, credit.consent c, generate_series(1, 3) g WHERE c.subject_id = s AND c.kind = 'periodic'});
$got = at_once([ map { join '', map { read_counted($_) } shuffled(9, 10) } 1 .. $sessions ]);
is_deeply($got, { map { $_ => 3 } 9, 10 }, "three a day: three today, yesterday's do not count");
$node->safe_psql('postgres', 'DELETE FROM credit.audit_use WHERE seq = 0');

# ------------------------------------------------------------------ many subjects in one call

limit(11, 40, 'kind, use_limit', "'one_time', 1");
$got = at_once([ map { "SELECT 'got', subject_id FROM credit.read(ARRAY(SELECT generate_series(11, 40))::bigint[], 'post_loan', '{tax_payment}');\n" } 1 .. $sessions ]);
is_deeply($got, { map { $_ => 1 } 11 .. 40 }, 'in calls for many: each subject was given to one session only');
is(uses(11, 40), '1', 'and used once');
uses_have_entries('many');

# ------------------------------------------------------------------ by opening, by plain SELECT

limit(47, 50, 'kind, use_limit', "'one_time', 1");
$got = at_once([ map { my $plain = $_ % 2;
	join '', map { my $where = "FROM credit.record WHERE subject_id = $_ AND category_id = (SELECT category_id FROM credit.category WHERE code = 'tax_payment');\n";
		$plain ? "SET pgcredit.purpose = 'post_loan';\nSELECT 'got', subject_id $where"
		  : "BEGIN;\nSELECT FROM credit.open_access($_, 'post_loan', '{tax_payment}');\nSELECT 'got', subject_id $where ROLLBACK;\n" }
	  shuffled(47 .. 50) } 1 .. $sessions ]);
is_deeply($got, { map { $_ => 1 } 47 .. 50 }, 'opened by name and by plain SELECT: once');
is(uses(47, 50), '1', 'and used once');

# ------------------------------------------------------------------ sessions are terminated

limit(41, 43, 'kind, use_limit', "'standing', 30");
$got = at_once([ map { join '', map { read_counted($_) } shuffled((41 .. 43) x 5) } 1 .. $sessions ], sub {
	foreach my $turn (1 .. 25)
	{
		$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bank_a' ORDER BY random() LIMIT 3});
		usleep(20_000);
	} });
is(uses(41, 43), '30', 'sessions terminated: used thirty times, not once more');
cmp_ok($got->{$_} // 0, '<=', 30, "subject $_: no more was received") foreach 41 .. 43;
uses_have_entries('terminated');

# ------------------------------------------------------------------ the server crashes

limit(44, 46, 'kind, use_limit', "'standing', 40");
my $given = {};
foreach my $turn (1 .. 3)
{
	my $part = at_once([ map { join '', map { read_counted($_) } shuffled((44 .. 46) x 3) } 1 .. 20 ], sub {
		usleep(30_000 + int(rand(50_000)));
		my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE usename = 'bank_a' OR backend_type = 'pgcredit writer' ORDER BY random() LIMIT 1});
		kill('KILL', $pid) if $pid; });
	$given->{$_} += $part->{$_} // 0 foreach 44 .. 46;
	wait_until_up($node);
	wait_for_writer($node);
}
my $rest = at_once([ map { join '', map { read_counted($_) } (44 .. 46) x 3 } 1 .. 40 ]);
is(uses(44, 46), '40', 'after crashes: used forty times, not once more');
cmp_ok($given->{$_} + ($rest->{$_} // 0), '<=', 40, "subject $_: no more was received") foreach 44 .. 46;
uses_have_entries('crashes');
is($node->safe_psql('postgres', 'SELECT ok FROM credit.verify_log()'), 't', 'the log is whole');

$node->stop;
done_testing();
