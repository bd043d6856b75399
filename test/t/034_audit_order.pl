# The order of write entries: those of a transaction that committed before another left its own come first, those of one
# transaction as they were left; also when more wait than the writer takes in a turn, and the table of the outbox has room
# before them in which later ones come.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('order', conf => "maintenance_work_mem = 1MB\nmax_prepared_transactions = 2\n");
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
platform($node);
log_is_whole($node, 'at the start');

my %session = map { $_ => session($node, $superuser) } ('first', 'later', 'gate', 'row');
my $seen;

# Entries numbered by their member n.
sub notes
{
	my ($from, $to) = @_;

	return "SELECT count(credit._audit_note(jsonb_build_object('kind', 'ordered', 'n', g))) FROM generate_series($from, $to) g;";
}

# An SQL condition for the outbox's rows with these n; the members before "recorded" are in column prefix.
sub n_is
{
	my ($condition) = @_;

	return "(substring(prefix FROM '\"n\":(\\d+)'))::int $condition";
}

sub begin_round
{
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
	$seen = $node->safe_psql('postgres', 'SELECT max(seq) FROM credit.audit_log');
	return;
}

sub ordered
{
	return $node->safe_psql('postgres', qq{
		SELECT count(*) || ' ' || count(DISTINCT n) || ' ' || count(*) FILTER (WHERE n < before) FROM (
		    SELECT (entry::jsonb ->> 'n')::int AS n, lag((entry::jsonb ->> 'n')::int, 1, 0) OVER (ORDER BY seq) AS before
		      FROM credit.audit_entry WHERE seq > $seen AND entry LIKE '%"kind":"ordered"%') e});
}

# Wait until so many ask for a lock in vain.
sub waits
{
	my ($what) = @_;

	return $node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND $what");
}

# Commit entries 1 to "n" of session "first" with room for "room" rows before them in the table, and hold the writer up in its
# second turn, at entry 1500, until session "row" ends its transaction.
sub backlog
{
	my ($n, $room) = @_;
	my $writer = writer_pid($node);
	my $outbox = "relation = 'credit.audit_outbox'::regclass";

	begin_round();
	$node->safe_psql('postgres', 'BEGIN; ' . notes(1, $room) . ' ROLLBACK');
	$session{first}->query_safe("BEGIN; LOCK TABLE credit.audit_outbox IN ROW EXCLUSIVE MODE; " . notes(1, $n));
	$node->safe_psql('postgres', 'VACUUM credit.audit_outbox');
	# A lock that waits for the first transaction is there before the writer is told of its commit.
	$session{gate}->{stdin} .= "BEGIN; LOCK TABLE credit.audit_outbox IN SHARE MODE;\n";
	$session{gate}->{run}->pump_nb;
	waits("$outbox AND mode = 'ShareLock'");
	$session{first}->query_safe('COMMIT');
	is($session{row}->query_safe('BEGIN; SELECT count(*) FROM (SELECT FROM credit.audit_outbox WHERE ' . n_is('= 1500') . ' FOR UPDATE) r'),
		'1', "$n entries wait");
	$session{gate}->query_safe('COMMIT');
	waits("pid = $writer AND locktype = 'transactionid'");
	return is(ordered(), '1000 1000 0', 'a turn is taken, and the second held up');
}

# Those of later transactions come into the room in front, and behind, and all before another writes.
backlog(3000, 500);
$session{later}->query_safe(notes(3001, 5000));
is($node->safe_psql('postgres', "SELECT count(*) > 100 FROM credit.audit_outbox
	 WHERE " . n_is('> 3000') . " AND ctid < (SELECT min(ctid) FROM credit.audit_outbox WHERE " . n_is('<= 3000') . ")"),
	't', 'rows came into the room in front');
$session{later}->query_safe("INSERT INTO credit.purpose VALUES ('between', '测试', 'test')");
$session{first}->query_safe('BEGIN; ' . notes(5001, 5700) . ' COMMIT');
$session{later}->query_safe(notes(5701, 6000));
$session{row}->query_safe('ROLLBACK');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
is(ordered(), '6000 6000 0', 'each once, in the order of the transactions');
is($node->safe_psql('postgres', qq{
	SELECT (SELECT entry::jsonb ->> 'n' FROM credit.audit_entry WHERE seq > a.seq AND entry LIKE '%"kind":"ordered"%' ORDER BY seq LIMIT 1)
	  FROM credit.audit_log a WHERE seq > $seen AND table_name = 'purpose'}), '5001', 'a statement between them stands between them');

# The table is written anew while they wait, so that every row is elsewhere; and one that waits is taken away by hand.
backlog(5000, 500);
my $full = session($node, $superuser);
$node->safe_psql('postgres', 'DELETE FROM credit.audit_outbox WHERE ' . n_is('= 3333'));
$full->{stdin} .= "VACUUM FULL credit.audit_outbox;\n";
$full->{run}->pump_nb;
waits("mode = 'AccessExclusiveLock'");
$session{row}->query_safe('ROLLBACK');
is((ask($full, 'SELECT 1'))[0], '1', 'written anew');
$session{later}->query_safe(notes(5001, 6000));
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
is(ordered(), '5999 5999 0', 'each that is left once, in order');
$full->quit;

# More than the writer remembers at once: 65,536 in this maintenance_work_mem.
backlog(150000, 70000);
$session{later}->query_safe(notes(150001, 300000));
$session{row}->query_safe('ROLLBACK');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
is(ordered(), '300000 300000 0', 'more than the writer remembers: each once, in order');

# An error in the middle of it: the writer begins anew.
backlog(5000, 500);
$session{later}->query_safe(notes(5001, 7000));
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . writer_pid($node) . ')');
$session{row}->query_safe('ROLLBACK');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
is(ordered(), '7000 7000 0', 'after an error: each once, in order');

# One that is left early and commits late, when the writer has long taken what is behind it in the table.
foreach my $how ('COMMIT', 'COMMIT PREPARED')
{
	begin_round();
	$session{first}->query_safe('BEGIN; ' . notes(1, 2));
	$session{first}->query_safe("PREPARE TRANSACTION 'late'") if $how ne 'COMMIT';
	foreach my $times (1 .. 4)
	{
		$session{later}->query_safe(notes(1, 1500));
		$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
	}
	$seen = $node->safe_psql('postgres', 'SELECT max(seq) FROM credit.audit_log');
	$session{first}->query_safe($how eq 'COMMIT' ? $how : "$how 'late'");
	$session{later}->query_safe(notes(3, 4));
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
	is(ordered(), '4 4 0', "a late $how stands before what came after it");
}

# The same with many at once.
begin_round();
my $chain = PostgreSQL::Test::Utils::tempdir . '/chain.sql';
append_to_file($chain, q{\set ms random(0, 20)
BEGIN;
SELECT credit._audit_note(jsonb_build_object('kind', 'chain', 'client', :client_id, 'n', nextval('chain')));
\sleep :ms ms
COMMIT;
SELECT credit._audit_note(jsonb_build_object('kind', 'chain', 'client', :client_id, 'n', nextval('chain')));
});
$node->safe_psql('postgres', 'CREATE SEQUENCE chain');
$node->command_ok([ 'pgbench', '-n', '-c', '20', '-j', '2', '-t', '100', '-f', $chain, 'postgres' ], 'transactions of various length');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
is($node->safe_psql('postgres', qq{
	SELECT count(*) || ' ' || count(*) FILTER (WHERE n < before) FROM (
	    SELECT n, lag(n, 1, 0::bigint) OVER (PARTITION BY client ORDER BY seq) AS before FROM (
	        SELECT seq, (entry::jsonb ->> 'n')::bigint AS n, entry::jsonb ->> 'client' AS client
	          FROM credit.audit_entry WHERE seq > $seen AND entry LIKE '%"kind":"chain"%') e) e}), '4000 0', 'each after the one before it');

# A write that committed before an access was asked for stands before it, whatever the writer is at: each client leaves an
# entry, asks for an access, and so on.
begin_round();
my $clients = 8;
my $script  = PostgreSQL::Test::Utils::tempdir . '/turns.sql';
append_to_file($script, q{\set subject :client_id + 1
SELECT credit._audit_note(jsonb_build_object('kind', 'turn', 'n', :subject));
SET ROLE bank_a;
} . open_sql(':subject') . q{
RESET ROLE;
});
$node->command_ok([ 'pgbench', '-n', '-c', $clients, '-j', '2', '-t', '500', '-f', $script, 'postgres' ], 'writes and accesses in turns');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
is($node->safe_psql('postgres', qq{
	SELECT count(*) || ' ' || count(*) FILTER (WHERE kind IS NOT DISTINCT FROM before) FROM (
	    SELECT kind, lag(kind, 1, 'access') OVER (PARTITION BY subject ORDER BY seq) AS before FROM (
	        SELECT seq, kind, CASE kind WHEN 'turn' THEN (entry::jsonb ->> 'n')::bigint ELSE
	            (SELECT s.subject_id FROM credit.subject s WHERE entry::jsonb -> 'subjects' ? credit._subject_token(s.subject_id, s.log_salt)) END AS subject
	          FROM (SELECT seq, entry, entry::jsonb ->> 'kind' AS kind FROM credit.audit_entry WHERE seq > $seen) e
	         WHERE kind IN ('turn', 'access')) e) e}), 2 * 500 * $clients . ' 0', 'each write before the access that followed it');
log_is_whole($node, 'in the end');

$_->quit foreach (values %session);
$node->stop;
done_testing();
