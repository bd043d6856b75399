# A pooler in transaction mode: sessions that share a server connection share no access, what is taken back is gone from the
# next access on, and what one of them leaves behind on the connection makes nobody an institution without a trace.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run qw(start);
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my ($program) = grep { -x } map { "$_/pgbouncer" } qw(/usr/sbin /usr/local/sbin /usr/bin /usr/local/bin);
plan skip_all => 'there is no pgbouncer' unless defined $program;

my $node = new_node('bouncer');
platform($node);
wait_for_writer($node);
my $admin = session($node, $node->safe_psql('postgres', 'SELECT current_user'));
my ($rows, $state);

# One server connection for each user, or for all clients together where the database is entered with a "user".
my $port = 6543;
sub bouncer
{
	my (%conf) = @_;
	my $dir  = PostgreSQL::Test::Utils::tempdir_short();
	my $here = { dir => $dir, port => $port++ };

	$conf{$_->[0]} //= $_->[1] foreach ([ pool_mode => 'transaction' ], [ default_pool_size => 1 ], [ max_client_conn => 50 ]);
	append_to_file("$dir/users", join('', map { qq{"$_" ""\n} } qw(app bank_a bank_b portal)));
	append_to_file("$dir/ini", join("\n",
		'[databases]',
		'postgres = host=' . $node->host . ' port=' . $node->port . ' dbname=postgres',
		'[pgbouncer]', 'listen_addr =', "listen_port = $here->{port}", "unix_socket_dir = $dir", 'auth_type = trust',
		"auth_file = $dir/users", 'ignore_startup_parameters = extra_float_digits,options', "logfile = $dir/log",
		map { "$_ = $conf{$_}" } sort keys %conf) . "\n");
	$here->{run} = start([ $program, "$dir/ini" ], '<', \undef, '>', \$here->{out}, '2>', \$here->{err});
	foreach my $turn (1 .. 100)
	{
		last if -S "$dir/.s.PGSQL.$here->{port}";
		sleep(0.1);
	}
	return $here;
}

sub client
{
	my ($here, $user) = @_;
	my $psql = $node->background_psql('postgres', on_error_stop => 0,
		extra_params => [ '-d', "host=$here->{dir} port=$here->{port} dbname=postgres user=$user" ]);

	$psql->set_query_timer_restart();
	$psql->query_safe('\set VERBOSITY sqlstate');
	return $psql;
}

sub stop
{
	my ($here) = @_;

	$here->{run}->signal('TERM');
	$here->{run}->finish;
	return;
}

# The answer to several statements: what the last said, and the first SQLSTATE.
sub say_all { my ($psql, @statements) = @_; my ($r, $s, $first) = ('', '', ''); foreach (@statements) { ($r, $s) = ask($psql, $_); $first ||= $s; } return ($r, $first); }
my $count = 'SELECT count(*) FROM credit.record;';

my $pool = bouncer();
ok(-S "$pool->{dir}/.s.PGSQL.$pool->{port}", 'the pooler runs') or BAIL_OUT($pool->{err});
my $one = client($pool, 'app');
my $two = client($pool, 'app');

# The same server connection, one transaction after the other.
my ($pid) = ask($one, 'SELECT pg_backend_pid();');
($rows) = ask($two, 'SELECT pg_backend_pid();');
is($rows, $pid, 'both clients get the same server connection');
say_all($one, 'BEGIN;', 'SET LOCAL ROLE bank_a;', open_sql(1));
($rows, $state) = ask($one, $count);
is("$rows$state", '1', 'the first client sees what it opened');
say_all($one, 'COMMIT;');
($rows, $state) = say_all($two, 'BEGIN;', 'SET LOCAL ROLE bank_a;', $count);
is("$rows$state", 'PC120', 'the next transaction on the connection sees nothing of it');
say_all($two, 'ROLLBACK;');
($rows) = ask($two, 'SELECT pg_backend_pid();');
is($rows, $pid, 'and it was that connection');

# Ends of transactions that are not a commit.
say_all($one, 'BEGIN;', 'SET LOCAL ROLE bank_a;', open_sql(1), 'SELECT 1/0;', 'ROLLBACK;');
($rows, $state) = say_all($two, 'BEGIN;', 'SET LOCAL ROLE bank_a;', $count);
is("$rows$state", 'PC120', 'after an error of the first: nothing');
say_all($two, 'ROLLBACK;');
say_all($one, 'BEGIN;', 'SET LOCAL ROLE bank_a;', open_sql(1), 'SAVEPOINT s;', open_sql(2), 'ROLLBACK TO s;', 'ROLLBACK;');
($rows, $state) = say_all($two, 'BEGIN;', 'SET LOCAL ROLE bank_a;', $count);
is("$rows$state", 'PC120', 'after savepoints and a rollback: nothing');
say_all($two, 'ROLLBACK;');
my $gone = client($pool, 'app');
say_all($gone, 'BEGIN;', 'SET LOCAL ROLE bank_a;', open_sql(3));
$gone->{run}->kill_kill;
($rows, $state) = say_all($two, 'BEGIN;', 'SET LOCAL ROLE bank_a;', $count);
is("$rows$state", 'PC120', 'after a client that was killed in its transaction: nothing');
say_all($two, 'ROLLBACK;');
is(accesses_of($node, 3), 1, 'but its entry is in the log');

# What is taken back binds the next access, whatever the connection has seen before.
($rows, $state) = say_all($one, 'BEGIN ISOLATION LEVEL REPEATABLE READ;', 'SET LOCAL ROLE bank_a;', 'SELECT 1;', open_sql(4), $count);
is("$rows$state", '1', 'opened under an old snapshot');
$node->safe_psql('postgres', q{SET ROLE portal; SELECT credit.revoke_consent(4, 4)});
($rows, $state) = ask($one, 'SAVEPOINT s; ' . open_sql(4));
is($state, 'PC114', 'revoked by the portal: refused in the same old transaction');
($rows, $state) = say_all($one, 'ROLLBACK TO s;', $count);
is("$rows$state", '0', 'and what was open is closed');
say_all($one, 'COMMIT;');
($rows, $state) = say_all($two, 'BEGIN;', 'SET LOCAL ROLE bank_a;', open_sql(4));
is($state, 'PC114', 'and for the next client');
say_all($two, 'ROLLBACK;');
ask($admin, q{SELECT credit.set_institution_status('bank_a', 'suspended');});
($rows, $state) = say_all($one, 'BEGIN;', 'SET LOCAL ROLE bank_a;', open_sql(1));
is($state, 'PC102', 'suspended: refused on a connection that knew it as active');
say_all($one, 'ROLLBACK;');
ask($admin, q{SELECT credit.set_institution_status('bank_a', 'active');});
($rows, $state) = say_all($two, 'BEGIN;', 'SET LOCAL ROLE bank_a;', open_sql(1), 'COMMIT;');
is($state, '', 'active again: granted');

# What stays on a connection: SET without LOCAL and PREPARE are the next client's too. Who asks is the role all the same.
ask($one, 'SET ROLE bank_a;');
($rows) = ask($two, 'SELECT current_user;');
is($rows, 'bank_a', 'a role that was set without LOCAL stays on the connection');
($rows, $state) = ask($two, $count);
is("$rows$state", 'PC120', 'it opens nothing');
ask($two, 'RESET ROLE;');
ask($one, 'PREPARE p AS SELECT count(*) FROM credit.record;');
say_all($one, 'BEGIN;', 'SET LOCAL ROLE bank_a;', open_sql(1), 'EXECUTE p;', 'COMMIT;');
($rows, $state) = say_all($two, 'BEGIN;', 'SET LOCAL ROLE bank_b;', 'EXECUTE p;');
is("$rows$state", 'PC120', 'a statement that another prepared shows another institution nothing');
say_all($two, 'ROLLBACK;');
($rows, $state) = say_all($two, 'BEGIN;', 'SET LOCAL ROLE bank_a;', open_sql(2), 'EXECUTE p;');
is("$rows$state", '1', 'and the same institution what it has opened itself');
say_all($two, 'COMMIT;', 'DEALLOCATE ALL;');
say_all($one, 'BEGIN;', 'SET LOCAL ROLE bank_a;', open_sql(5), 'DECLARE c CURSOR WITH HOLD FOR SELECT subject_id FROM credit.record;', 'COMMIT;');
($rows, $state) = say_all($two, 'BEGIN;', 'SET LOCAL ROLE bank_b;', $count);
is("$rows$state", 'PC120', 'a held cursor of another opens nothing either');
say_all($two, 'ROLLBACK;', 'CLOSE ALL;');
($rows, $state) = ask($two, 'SET SESSION AUTHORIZATION bank_a;');
is($state, '42501', 'the user of the pool is nobody else');
($rows, $state) = ask($two, open_sql(1));
is($state, 'PC101', 'and no institution by itself');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT session_user_name, ',') FROM credit.audit_log WHERE kind = 'access' AND actor = 'bank_a'}),
	'app', 'the log says through whom');

# A user of its own for each institution: a pool each.
my $bank = client($pool, 'bank_a');
($rows, $state) = ask($bank, read_sql(1));
is("$rows$state", '1|tax_payment', 'an institution that connects as itself');
$_->quit foreach ($one, $two, $bank);
stop($pool);

# The connection is cleaned after each transaction: nothing stays.
$pool = bouncer(server_reset_query => 'DISCARD ALL', server_reset_query_always => 1);
$one  = client($pool, 'app');
$two  = client($pool, 'app');
say_all($one, 'SET ROLE bank_a;', 'PREPARE p AS SELECT 1;');
($rows) = ask($two, 'SELECT current_user;');
is($rows, 'app', 'with server_reset_query_always no role stays on the connection');
($rows, $state) = ask($two, 'EXECUTE p;');
is($state, '26000', 'and no prepared statement');
($rows, $state) = say_all($two, 'BEGIN;', 'SET LOCAL ROLE bank_a;', open_sql(1), $count);
is("$rows$state", '1', 'access works as before');
say_all($two, 'COMMIT;');
$_->quit foreach ($one, $two);
stop($pool);

$admin->quit;
log_is_whole($node, 'behind a pooler');
$node->stop;
done_testing();
