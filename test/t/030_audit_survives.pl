# P1: the entry of a read is in the log whatever happens after the row has arrived: ROLLBACK, an error, the end of the
# backend by any means, an immediate shutdown of the server. Each time what the client saw is compared with the log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# It is asked whether an entry is there, not how soon: a machine under load may flush slowly.
my $node = new_node('survives', conf => "pgcredit.audit_timeout = 60s\n");
platform($node);

# ROLLBACK, and an error later in the same transaction or statement.
my $client = session($node, 'bank_a');
is($client->query_safe('BEGIN; ' . read_sql(1) . ' ROLLBACK'), '1|tax_payment', 'a row came');
is(accesses_of($node, 1), 1, 'ROLLBACK: the entry is there');

my ($rows, $state) = ask($client, 'BEGIN; ' . read_sql(2) . ' SELECT 1/0; COMMIT');
is("$rows $state", '2|tax_payment 22012', 'a row came, then an error');
is(accesses_of($node, 2), 1, 'error in the transaction: the entry is there');

($rows, $state) = ask($client, q{SELECT 1 / (count(*) - 1) FROM credit.read(3, 'pre_loan', '{tax_payment}')});
is($state, '22012', 'error in the statement that reads');
is(accesses_of($node, 3), 1, 'error in the statement: the entry is there');

is($client->query_safe('BEGIN; SAVEPOINT a; ' . read_sql(4) . ' ROLLBACK TO a; RELEASE a; COMMIT'),
	'4|tax_payment', 'a row came');
is(accesses_of($node, 4), 1, 'ROLLBACK TO SAVEPOINT: the entry is there');
$client->quit;

# Each way for a session to end in the middle of a transaction.
$client = session($node, 'bank_a');
my $pid = $client->query_safe('SELECT pg_backend_pid()');
is($client->query_safe('BEGIN; ' . read_sql(5)), '5|tax_payment', 'a row came');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
eval { $client->quit };
is(accesses_of($node, 5), 1, 'pg_terminate_backend: the entry is there');

$client = session($node, 'bank_a');
is($client->query_safe('BEGIN; ' . read_sql(8)), '8|tax_payment', 'a row came');
$client->quit;
is(accesses_of($node, 8), 1, 'connection closed: the entry is there');

# A refusal is an entry too, and stays.
($state) = fails_with($node, 'postgres', 'bank_a', 'BEGIN; ' . read_sql(45));
is($state, 'PC110', 'no consent');
is($node->safe_psql('postgres', q{SELECT kind || ' ' || reason FROM credit.audit_log ORDER BY seq DESC LIMIT 1}),
	'refusal no_consent', 'the refusal is in the log');

# Who it was: the role that SET ROLE left, and who logged in; nothing that a session sets changes that.
my $app = session($node, 'app');
$app->query_safe("SET ROLE bank_a; SET application_name = 'bank_b'");
my $seq = $app->query_safe(open_sql(6));
is(entry_of($node, $seq), 'access bank_a app 6', 'the entry names both roles');
$app->query_safe('RESET ROLE');
($rows, $state) = ask($app, 'BEGIN; ' . open_sql(6) . ' ROLLBACK');
is("$rows $state", ' PC101', 'the login role is no institution');

$app->query_safe('SET ROLE bank_a; BEGIN; ' . open_sql(7));
is($app->query_safe('SELECT count(*) FROM credit.record'), '1', 'bank_a sees what it opened');
($rows, $state) = ask($app, 'SET LOCAL ROLE bank_b; SELECT count(*) FROM credit.record; ROLLBACK');
is("$rows $state", ' PC120', 'bank_b does not');
($rows, $state) = ask($app, 'SET ROLE bank_b; ' . read_sql(7));
is("$rows $state", ' PC110', 'and has no consent');
$app->quit;
is(accesses_of($node, 7), 1, 'the access of the transaction that was rolled back is there');
log_is_whole($node, 'after errors');

# kill -9 of the backend right after the row arrived; the postmaster then restarts everybody.
foreach my $subject (11 .. 13)
{
	$client = session($node, 'bank_a');
	$pid    = $client->query_safe('SELECT pg_backend_pid()');

	$client->query_safe('BEGIN') if $subject > 11;
	is($client->query_safe(read_sql($subject)), "$subject|tax_payment", 'a row came');
	kill('KILL', $pid) or die "kill: $!";
	eval { $client->{run}->finish };
	wait_until_up($node);
	is(accesses_of($node, $subject), 1, "kill -9 of the backend: entry $subject is there");
}

# Immediate shutdown right after the row arrived.
foreach my $subject (21 .. 23)
{
	$client = session($node, 'bank_a');

	$client->query_safe('BEGIN') if $subject > 21;
	is($client->query_safe(read_sql($subject)), "$subject|tax_payment", 'a row came');
	$node->stop('immediate');
	eval { $client->{run}->finish };
	$node->start;
	is(accesses_of($node, $subject), 1, "immediate shutdown: entry $subject is there");
}

# The entry that the client was told of is the entry in the log.
$client = session($node, 'bank_a');
$seq = $client->query_safe('BEGIN; ' . open_sql(31));
$node->stop('immediate');
eval { $client->{run}->finish };
$node->start;
is(entry_of($node, $seq), 'access bank_a bank_a 31', 'entry by the number that the client was told');
log_is_whole($node, 'after crashes');

# No setting of the database or of a role makes the writer's commits lazy.
$node->safe_psql('postgres', q{
	ALTER SYSTEM SET synchronous_commit = off;
	ALTER DATABASE postgres SET synchronous_commit = off;
	ALTER ROLE ALL SET synchronous_commit = off;
	SELECT pg_reload_conf()});
$node->restart;
$client = session($node, 'bank_a');
is($client->query_safe('SHOW synchronous_commit'), 'off', 'commits are lazy');
is($client->query_safe(read_sql(32)), '32|tax_payment', 'a row came');
$node->stop('immediate');
eval { $client->{run}->finish };
$node->start;
is(accesses_of($node, 32), 1, 'synchronous_commit = off: the entry is there');

# Also not when it is turned off while the writer runs that began with more.
$node->safe_psql('postgres', q{
	ALTER SYSTEM SET synchronous_commit = remote_apply;
	ALTER DATABASE postgres RESET synchronous_commit;
	ALTER ROLE ALL RESET synchronous_commit});
$node->restart;
wait_for_writer($node);
$client = session($node, 'bank_a');
is($client->query_safe(read_sql(33)), '33|tax_payment', 'a row came');
$node->safe_psql('postgres', 'ALTER SYSTEM SET synchronous_commit = off');
my $from = log_size($node);
$node->reload;
$node->wait_for_log(qr/parameter "synchronous_commit" changed/, $from);
is($client->query_safe(read_sql(34)), '34|tax_payment', 'a row came');
is($client->query_safe(read_sql(34)), '34|tax_payment', 'a row came');
$node->stop('immediate');
eval { $client->{run}->finish };
$node->start;
is(accesses_of($node, 34), 2, 'synchronous_commit turned off by reload: the entries are there');
log_is_whole($node, 'in the end');

$node->stop;
done_testing();
