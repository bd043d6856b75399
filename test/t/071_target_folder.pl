# The folder is in nobody's way: who drops a database need not wait for it, though it makes partitions there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('folder', conf => "log_min_messages = warning\nmax_worker_processes = 16\n");

foreach my $turn (1 .. 3)
{
	$node->safe_psql('postgres', 'CREATE DATABASE gone');
	$node->safe_psql('gone', 'SET client_min_messages = error; CREATE EXTENSION pgcredit');
	$node->safe_psql('gone', "INSERT INTO credit.loan_balance (institution_id, key, month, region, balance) VALUES (1, 'x', '2024-01-01', '330203', 5)");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit folder' AND datname = 'gone'")
	  or die 'no folder came';
	my ($code, $out, $err) = $node->psql('postgres', 'DROP DATABASE gone');
	is($code, 0, "DROP DATABASE with a folder there, $turn") or diag $err;
}
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgcredit folder'"), '0', 'no folder is left');

done_testing();
