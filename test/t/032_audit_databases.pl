# One writer per database that has the extension: it appears by itself after CREATE EXTENSION and goes with DROP EXTENSION
# and DROP DATABASE; two databases do not mix; a limit that is too small makes reads fail closed and is logged.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('databases', conf => "pgcredit.audit_timeout = 3s\n");
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my ($rows, $state, $took, $from);

# CREATE EXTENSION: nobody asks for the writer. Rolled back: there is none.
my $admin = session($node, $superuser);
$admin->query_safe("SET client_min_messages = warning");
$admin->query_safe('BEGIN; CREATE EXTENSION pgcredit; ROLLBACK');
$admin->query_safe('BEGIN; SAVEPOINT a; CREATE EXTENSION pgcredit; ROLLBACK TO a; COMMIT');
is(writer_pid($node), '', 'CREATE EXTENSION rolled back: no writer');
$admin->query_safe('CREATE EXTENSION pgcredit');
ok(wait_for_writer($node), 'CREATE EXTENSION: the writer appears by itself');
$admin->query_safe('BEGIN; DROP EXTENSION pgcredit; ROLLBACK');
$admin->query_safe('DROP EXTENSION pgcredit');
ok(wait_for_no_writer($node), 'DROP EXTENSION: the writer goes');

# In the same session at once after the drop, several times: the writer that leaves and the one that comes do not miss
# each other.
my $missed = 0;
foreach my $turn (1 .. 8)
{
	$admin->query_safe('CREATE EXTENSION pgcredit');
	$missed++ unless wait_for_writer($node);
	$admin->query_safe('DROP EXTENSION pgcredit');
	last if $missed;
}
is($missed, 0, 'DROP and CREATE EXTENSION in turn: the writer is there each time');
$admin->query_safe('CREATE EXTENSION pgcredit');
wait_for_writer($node);
$admin->query_safe('BEGIN; DROP EXTENSION pgcredit; CREATE EXTENSION pgcredit; COMMIT');
$admin->query_safe('DROP EXTENSION pgcredit');
platform($node);
is($node->safe_psql('postgres', read_sql(1), extra_params => [ '-U', 'bank_a' ]), '1|tax_payment', 'a row from the new extension');
log_is_whole($node, 'created again');

# Two databases at once: each has its writer, entries do not mix.
$node->safe_psql('postgres', 'CREATE DATABASE other');
platform($node, 'other');
wait_for_writer($node, 'other');
isnt(writer_pid($node), writer_pid($node, 'other'), 'each database has its writer');
my $here  = session($node, 'bank_a');
my $there = session($node, 'bank_a', 'other');
my %kept = (postgres => [], other => []);
foreach my $n (1 .. 20)
{
	push @{ $kept{postgres} }, $here->query_safe(open_sql($n)) . ' ' . $n;
	push @{ $kept{other} }, $there->query_safe(open_sql(41 - $n)) . ' ' . (41 - $n);
}
foreach my $db (sort keys %kept)
{
	my @differ = grep { my ($seq, $subject) = split; entry_of($node, $seq, $db) ne "access bank_a bank_a $subject" } @{ $kept{$db} };
	is_deeply(\@differ, [], "$db: its entries and no others");
	log_is_whole($node, $db, $db);
}
my $log = $node->safe_psql('other', 'SELECT md5(string_agg(entry, $$$$ ORDER BY seq)) FROM credit.audit_entry WHERE seq <= 40');

# Commands that need a database for themselves: the writer goes, and comes back where there is a database to serve.
($state) = fails_with($node, 'postgres', $superuser, 'DROP DATABASE other');
is($state, '55006', 'DROP DATABASE while somebody is connected fails');
ok(wait_for_writer($node, 'other'), 'and the writer comes back');
is($there->query_safe(read_sql(1)), '1|tax_payment', 'and serves');

# A role that may not drop it cannot send the writer away.
my $pid = writer_pid($node, 'other');
foreach my $command ('DROP DATABASE other', 'ALTER DATABASE other RENAME TO mine', 'CREATE DATABASE mine TEMPLATE other')
{
	($state) = fails_with($node, 'postgres', 'bank_b', $command);
	is($state, '42501', "$command by a role that may not");
}
is(writer_pid($node, 'other'), $pid, 'the writer stayed');

# A DROP DATABASE that is cancelled while the writer is busy lets it come back, though the session stays.
my $locker = session($node, $superuser, 'other');
$there->quit;
$locker->query_safe('BEGIN; LOCK TABLE credit.audit_entry IN ACCESS EXCLUSIVE MODE');
($state) = fails_with($node, 'other', 'bank_a', 'SET pgcredit.audit_timeout = 100; ' . open_sql(1));
is($state, 'PC002', 'the writer waits for a lock');
($rows, $state) = ask($admin, "SET statement_timeout = '300ms'; DROP DATABASE other");
like($state, qr/^(57014|55006)$/, 'DROP DATABASE gives up');
$locker->query_safe('ROLLBACK');
$locker->quit;
is(join(' ', fails_with($node, 'other', 'bank_a', open_sql(1))) =~ /^(\w+)/ && $1, 'none', 'reads work while that session is still there');
$admin->query_safe('RESET statement_timeout');

$node->safe_psql('postgres', 'ALTER DATABASE other RENAME TO renamed');
ok(wait_for_writer($node, 'renamed'), 'RENAME: the writer comes back');
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE renamed');
ok(wait_for_writer($node, 'renamed'), 'TEMPLATE: the writer of the template comes back');
is(join(' ', fails_with($node, 'copied', 'bank_a', read_sql(2))) =~ /^(\w+)/ && $1, 'none', 'reads work in the copy');
is($node->safe_psql('copied', 'SELECT md5(string_agg(entry, $$$$ ORDER BY seq)) FROM credit.audit_entry WHERE seq <= 40'),
	$log, 'the copy has the log of the template');
foreach my $db ('renamed', 'copied')
{
	log_is_whole($node, $db, $db);
	$node->safe_psql('postgres', "DROP DATABASE $db");
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = '$db'"), '0', "DROP DATABASE $db while its writer runs");
}
is($here->query_safe(read_sql(3)), '3|tax_payment', 'the other database is served throughout');

# A database that refuses connections: the sessions it has are served on, by its own writer.
$node->safe_psql('postgres', 'CREATE DATABASE closed');
platform($node, 'closed');
$there = session($node, 'bank_a', 'closed');
is($there->query_safe(read_sql(1)), '1|tax_payment', 'a row from a database');
$node->safe_psql('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS false');
# Makes the launcher look at all databases.
$node->safe_psql('postgres', 'CREATE DATABASE next');
platform($node, 'next');
is($node->safe_psql('next', read_sql(1), extra_params => [ '-U', 'bank_a' ]), '1|tax_payment', 'a row from the next database');
is($there->query_safe(read_sql(2)), '2|tax_payment', 'a row from the database that refuses connections');
$there->quit;
$node->safe_psql('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS true');
is(accesses_of($node, 2, 'closed'), 1, 'its entry is in its own log');
is(accesses_of($node, 2, 'next'), 0, 'and not in the next one');
log_is_whole($node, 'closed', 'closed');
log_is_whole($node, 'next', 'next');
$node->safe_psql('postgres', 'DROP DATABASE next');
$node->safe_psql('postgres', 'DROP DATABASE closed');

# After a restart writers come without anybody asking.
$here->quit;
$admin->quit;
$node->safe_psql('postgres', 'CREATE DATABASE other');
platform($node, 'other');
$node->restart;
ok(wait_for_writer($node, $_), "restart: the writer of $_ comes by itself") foreach ('postgres', 'other');
$node->stop('immediate');
$node->start;
ok(wait_for_writer($node, $_), "immediate shutdown: the writer of $_ comes by itself") foreach ('postgres', 'other');
log_is_whole($node, $_, $_) foreach ('postgres', 'other');

# Room for one database only: the other one fails closed, and the log says what to raise, without flooding it.
$node->append_conf('postgresql.conf', 'pgcredit.max_databases = 1');
$node->restart;
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit writer'});
my $served = $node->safe_psql('postgres', q{SELECT datname FROM pg_stat_activity WHERE backend_type = 'pgcredit writer'});
my $unserved = $served eq 'other' ? 'postgres' : 'other';
$from = log_size($node);
is($node->safe_psql($served, read_sql(4), extra_params => [ '-U', 'bank_a' ]), '4|tax_payment', 'max_databases = 1: one is served');
($state, $took) = fails_with($node, $unserved, 'bank_a', read_sql(4));
is($state, 'PC001', 'max_databases = 1: the other one is refused');
cmp_ok($took, '<', 6, 'max_databases = 1: in time');
$log = log_since($node, $from);
like($log, qr/no place left for the audit writer of database \d+\n.*HINT:  Raise pgcredit\.max_databases/, 'max_databases = 1: logged with a hint');
my $lines = () = $log =~ /no place left/g;
cmp_ok($lines, '<=', 25, 'max_databases = 1: the log is not flooded');

# A database that is made or renamed without the extension takes no place.
$node->safe_psql('postgres', 'DROP DATABASE other');
$node->append_conf('postgresql.conf', "pgcredit.max_databases = 2");
$node->restart;
wait_for_writer($node);
$node->safe_psql('postgres', 'CREATE DATABASE plain TEMPLATE template0');
$node->safe_psql('postgres', 'ALTER DATABASE plain RENAME TO simple');
$node->safe_psql('postgres', 'CREATE DATABASE other TEMPLATE simple');
platform($node, 'other');
($state) = fails_with($node, 'other', 'bank_a', read_sql(4));
is($state, 'none', 'databases without the extension take no place');
# nor does one whose extension went while its writer was away
$node->safe_psql('postgres', 'DROP DATABASE other');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgcredit writer' AND datname <> 'postgres'}),
	'0', 'and no writer');

# No background worker left.
$node->append_conf('postgresql.conf', "max_worker_processes = 2\nmax_logical_replication_workers = 0\nmax_parallel_workers = 0");
platform($node, 'simple');
$node->restart;
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit writer'});
$served = $node->safe_psql('postgres', q{SELECT datname FROM pg_stat_activity WHERE backend_type = 'pgcredit writer'});
$unserved = $served eq 'simple' ? 'postgres' : 'simple';
$from = log_size($node);
is($node->safe_psql($served, read_sql(5), extra_params => [ '-U', 'bank_a' ]), '5|tax_payment', 'max_worker_processes: one is served');
($state, $took) = fails_with($node, $unserved, 'bank_a', read_sql(5));
is($state, 'PC001', 'max_worker_processes: the other one is refused');
cmp_ok($took, '<', 6, 'max_worker_processes: in time');
$log = log_since($node, $from);
like($log, qr/no background worker left for the audit writer of database \d+\n.*HINT:  Raise max_worker_processes/, 'max_worker_processes: logged with a hint');
$lines = () = $log =~ /no background worker left/g;
cmp_ok($lines, '<=', 25, 'max_worker_processes: the log is not flooded');

$node->stop;
done_testing();
