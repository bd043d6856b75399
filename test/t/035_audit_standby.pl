# P1 and P8 with a standby: a read on it is refused, the log is replicated and goes on after promotion; where synchronous
# replication is on, no row leaves before its entry is on the standby.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $primary = new_node('primary', allows_streaming => 1, conf => "pgcredit.audit_timeout = 2s\n");
platform($primary);
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

is($primary->safe_psql('postgres', read_sql(1), extra_params => [ '-U', 'bank_a' ]), '1|tax_payment', 'a row from the primary');
$primary->wait_for_catchup($standby, 'replay');
is(accesses_of($standby, 1), 1, 'its entry is on the standby');
foreach my $sql (read_sql(1), open_sql(1), read_sql(45), 'BEGIN ISOLATION LEVEL REPEATABLE READ; ' . read_sql(2))
{
	my ($state) = fails_with($standby, 'postgres', 'bank_a', $sql);
	is($state, '25006', 'refused on the standby');
}
my ($state) = fails_with($standby, 'postgres', 'bank_a', 'SELECT count(*) FROM credit.record');
is($state, 'PC120', 'nothing can be seen on the standby');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pgcredit%'}), '0', 'no writer on the standby');

# Synchronous: with the standby gone, a read is not answered and no row leaves.
$primary->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = '*'; SELECT pg_reload_conf()});
$primary->poll_query_until('postgres', q{SELECT sync_state = 'sync' FROM pg_stat_replication});
is($primary->safe_psql('postgres', read_sql(3), extra_params => [ '-U', 'bank_a' ]), '3|tax_payment', 'synchronous: a row');
$standby->stop;
# The entry is written here and waits for the standby. A cancel of the writer does not end its wait.
my $reader = session($primary, 'bank_a');
my $pid = writer_pid($primary);
$reader->query_safe("SET pgcredit.audit_timeout = '30s'");
$reader->{stdin} .= read_sql(5) . "\n";
$reader->{run}->pump_nb;
$primary->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'pgcredit writer'});
$primary->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%read(5%' AND backend_type = 'client backend' AND pid <> pg_backend_pid()});
$primary->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
# SIGTERM does, and its batch does not count.
$primary->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
my ($rows, $answer) = ask($reader, 'SELECT 1');
is("$rows $answer", '1 PC001', 'writer ended while it waits for the standby: refused');
$reader->quit;

# Read after read; the caller's own setting does not count.
foreach my $setting ('on', 'local', 'off')
{
	my $took;

	($state, $took) = fails_with($primary, 'postgres', 'bank_a', "SET synchronous_commit = $setting; " . read_sql(4));
	is($state, 'PC002', "standby gone, synchronous_commit = $setting: refused");
	cmp_ok($took, '<', 5, 'in time');
}
$standby->start;
$primary->poll_query_until('postgres', q{SELECT sync_state = 'sync' FROM pg_stat_replication});
wait_for_writer($primary);
is($primary->safe_psql('postgres', read_sql(6), extra_params => [ '-U', 'bank_a' ]), '6|tax_payment', 'the standby is back: a row');
log_is_whole($primary, 'primary');

# The entry is on the standby when the row is here, even if the primary is never seen again.
my @rows;
foreach my $subject (11 .. 20)
{
	push @rows, $primary->safe_psql('postgres', read_sql($subject), extra_params => [ '-U', 'bank_a' ]);
}
is(join(' ', @rows), join(' ', map { "$_|tax_payment" } 11 .. 20), 'rows');
$primary->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', q{ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()});
is(join(' ', map { accesses_of($standby, $_) } 11 .. 20), join(' ', (1) x 10), 'each has its entry on the standby');
ok(wait_for_writer($standby), 'promoted: the writer starts');
my $last = $standby->safe_psql('postgres', 'SELECT max(seq) FROM credit.audit_log');
my $seq = $standby->safe_psql('postgres', open_sql(21), extra_params => [ '-U', 'bank_a' ]);
is($seq, $last + 1, 'promoted: the numbers go on');
log_is_whole($standby, 'promoted');

$standby->stop;
done_testing();
