# What credit.security_check says of a server: its settings, libraries, key and workers, which a transaction cannot change.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub findings
{
	my ($node, $where) = @_;

	return $node->safe_psql('postgres', q{SELECT concat_ws(' ', severity, check_name, object) FROM credit.security_check() WHERE } . ($where // 'true'));
}

# Restarts with other settings; the words of all findings then.
sub with
{
	my ($node, %set) = @_;

	$node->append_conf('postgresql.conf', "$_ = $set{$_}\n") foreach (sort keys %set);
	$node->restart;
	wait_for_writer($node) unless ($set{shared_preload_libraries} // 'pgcredit') !~ /pgcredit/;
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit notary'})
	  unless ($set{shared_preload_libraries} // 'pgcredit') !~ /pgcredit/;
	return findings($node);
}

my $node = new_node('check', conf => "fsync = on\nlog_statement = none\n");
platform($node);
# the platform of the tests has a role for a pooler, which security_check names
$node->safe_psql('postgres', 'REVOKE bank_b FROM app');
is(with($node), '', 'a sound server: nothing is found');

# Settings, each alone.
my %bad = (
	'fsync'                             => [ 'off', 'critical setting fsync = off' ],
	'full_page_writes'                  => [ 'off', 'critical setting full_page_writes = off' ],
	'synchronous_commit'                => [ 'off', 'warning setting synchronous_commit = off' ],
	'session_replication_role'          => [ 'replica', 'critical setting session_replication_role = replica' ],
	'ignore_checksum_failure'           => [ 'on', 'warning setting ignore_checksum_failure = on' ],
	'zero_damaged_pages'                => [ 'on', 'critical setting zero_damaged_pages = on' ],
	'allow_system_table_mods'           => [ 'on', 'warning setting allow_system_table_mods = on' ],
	'log_statement'                     => [ 'mod', 'warning setting log_statement = mod' ],
	'log_min_duration_statement'        => [ '0', 'warning setting log_min_duration_statement = 0' ],
	'log_parameter_max_length_on_error' => [ '-1', 'warning setting log_parameter_max_length_on_error = -1' ],
	'log_transaction_sample_rate'       => [ '0.1', 'warning setting log_transaction_sample_rate = 0.1' ],
	'debug_print_plan'                  => [ 'on', 'warning setting debug_print_plan = on' ]);
my %good = (fsync => 'on', full_page_writes => 'on', synchronous_commit => 'on', session_replication_role => 'origin', log_statement => 'none',
	log_min_duration_statement => '-1', log_parameter_max_length_on_error => '0', log_transaction_sample_rate => '0');
foreach my $name (sort keys %bad)
{
	is(with($node, $name => $bad{$name}->[0]), $bad{$name}->[1], "$name = $bad{$name}->[0]");
	with($node, $name => $good{$name} // 'off');
}
# Libraries: what is loaded later is called first.
$node->safe_psql('postgres', 'CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher');
is(with($node, shared_preload_libraries => "'auto_explain,pg_stat_statements,pgcredit'"), 'notice statements role watcher', 'libraries before pgcredit');
is(with($node, shared_preload_libraries => "'pgcredit,auto_explain,pg_stat_statements'"),
	"notice preload_order auto_explain\nnotice preload_order pg_stat_statements\nnotice statements role watcher", 'libraries after it');
is(with($node, shared_preload_libraries => "'auto_explain,pgcredit'", 'auto_explain.log_min_duration' => '0'), 'warning setting auto_explain.log_min_duration = 0', 'plans in the log');
with($node, 'auto_explain.log_min_duration' => '-1', shared_preload_libraries => "'pgcredit'");
is(findings($node), '', 'all is well again');

# The key and the library.
with($node, 'pgcredit.key_file' => "''");
is(findings($node, q{check_name = 'key'}), 'critical key pgcredit.key_file', 'no key');
my $without = with($node, shared_preload_libraries => "''");
like($without, qr/^critical library pgcredit$/m, 'not preloaded');
like($without, qr/^critical writer postgres$/m, 'no writer');
like($without, qr/^warning notary postgres$/m, 'no notary');
with($node, shared_preload_libraries => "'pgcredit'", 'pgcredit.key_file' => "'" . $node->basedir . "/key'");
is(findings($node), '', 'all is well again');

# Whom the server trusts to be who he says; only asked where others can reach it.
append_to_file($node->data_dir . '/pg_hba.conf', "host all all 10.0.0.0/8 trust\nhost all all 127.0.0.1/32 trust\nhost all all 192.168.0.0/16 scram-sha-256\n");
my $listen = $node->safe_psql('postgres', 'SHOW listen_addresses');
is(with($node), '', 'trust without a network') if $listen eq '';
with($node, listen_addresses => "'127.0.0.1'");
like(findings($node), qr/^critical authentication pg_hba.conf line \d+$/, 'trust over a network');

$node->stop;
done_testing();
