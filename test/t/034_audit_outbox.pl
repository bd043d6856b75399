# P4: a write is in the log if and only if it commits, and once: savepoints, prepared transactions, COPY, a crash between
# commit and numbering, many writers at once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use IPC::Run;
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('outbox', conf => "max_prepared_transactions = 4\n");
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
platform($node);
log_is_whole($node, 'at the start');

# credit.purpose is a table with statement triggers; each insert below is one statement of so many rows.
sub insert
{
	my ($name, $rows) = @_;

	$rows //= 1;
	return "INSERT INTO credit.purpose SELECT '$name' || g, '测试', 'test' FROM generate_series(1, $rows) g;";
}

# Entries of writes to credit.purpose since the last call, as "operation count", in order.
my $seen = $node->safe_psql('postgres', 'SELECT max(seq) FROM credit.audit_log');

sub new_entries
{
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
	my $list = $node->safe_psql('postgres', qq{
		SELECT string_agg(operation || ' ' || count, ', ' ORDER BY seq) FROM credit.audit_log
		 WHERE seq > $seen AND kind = 'write' AND table_name = 'purpose'});
	$seen = $node->safe_psql('postgres', 'SELECT max(seq) FROM credit.audit_log');
	return $list;
}

my $psql = session($node, $superuser);
$psql->query_safe(insert('a', 3));
is(new_entries(), 'INSERT 3', 'a statement that commits');
$psql->query_safe('BEGIN; ' . insert('b') . ' ROLLBACK');
is(new_entries(), '', 'one that is rolled back');
$psql->query_safe('BEGIN; ' . insert('c', 1) . ' SAVEPOINT a; ' . insert('d', 2)
	  . ' SAVEPOINT b; ' . insert('e', 4) . ' RELEASE b; ROLLBACK TO a; ' . insert('f', 8)
	  . ' SAVEPOINT c; ' . insert('g', 16) . ' RELEASE c; COMMIT');
is(new_entries(), 'INSERT 1, INSERT 8, INSERT 16', 'savepoints: what was released, not what was rolled back');
$psql->query_safe('DO $$ BEGIN ' . insert('h') . ' BEGIN ' . insert('i', 2) . " PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END; END \$\$");
is(new_entries(), 'INSERT 1', 'a block that caught an error');
$psql->query_safe(q{UPDATE credit.purpose SET name_en = 'changed' WHERE code LIKE 'a%'; DELETE FROM credit.purpose WHERE code LIKE 'a%'; DELETE FROM credit.purpose WHERE code = 'none'});
is(new_entries(), 'UPDATE 3, DELETE 3', 'UPDATE and DELETE; nothing for a statement without rows');
my $file = PostgreSQL::Test::Utils::tempdir . '/purposes';
append_to_file($file, "x1\t测试\ttest\nx2\t测试\ttest\n");
$psql->query_safe("COPY credit.purpose FROM '$file'");
is(new_entries(), 'INSERT 2', 'COPY');

# Two-phase commit: nothing while it is prepared, also over a restart, then one entry, or none.
$psql->query_safe('BEGIN; ' . insert('p', 1) . " PREPARE TRANSACTION 'one'");
$psql->query_safe('BEGIN; ' . insert('q', 2) . " PREPARE TRANSACTION 'two'");
$psql->query_safe('BEGIN; ' . insert('r', 4) . " PREPARE TRANSACTION 'three'");
$psql->query_safe(insert('s', 8));
is(new_entries(), 'INSERT 8', 'prepared: not in the log yet');
$psql->query_safe("COMMIT PREPARED 'one'");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM credit.audit_log WHERE seq > $seen AND table_name = 'purpose'"),
	'COMMIT PREPARED: in the log');
is(new_entries(), 'INSERT 1', 'COMMIT PREPARED: once');
$psql->quit;
$node->stop('immediate');
$node->start;
$psql = session($node, $superuser);
is(new_entries(), '', 'prepared: not after a crash either');
$psql->query_safe("COMMIT PREPARED 'two'; ROLLBACK PREPARED 'three'");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM credit.audit_log WHERE seq > $seen AND table_name = 'purpose'"),
	'COMMIT PREPARED after the crash: in the log');
is(new_entries(), 'INSERT 2', 'once, and nothing of the one that was rolled back');

# Crash between commit and numbering. The writer is kept from the outbox by a lock, so the order is certain.
foreach my $how ('immediate', 'fast')
{
	my $locker = session($node, $superuser);

	$locker->query_safe('BEGIN; LOCK TABLE credit.audit_entry IN ACCESS EXCLUSIVE MODE');
	$psql->query_safe(insert("crash_$how", 5));
	is($node->safe_psql('postgres', 'SELECT count(*) FROM credit.audit_outbox'), '1', "$how shutdown: committed, not numbered");
	$node->stop($how);
	eval { $_->{run}->finish } foreach ($locker, $psql);
	$node->start;
	is(new_entries(), 'INSERT 5', "$how shutdown: numbered once after the restart");
	$psql = session($node, $superuser);
}
log_is_whole($node, 'after crashes');

# The writer ended in the middle of numbering: each entry once.
$psql->query_safe('DO $$ BEGIN FOR k IN 1 .. 3000 LOOP INSERT INTO credit.purpose VALUES (\'many\' || k, \'测试\', \'test\'); END LOOP; END $$');
my $pid = writer_pid($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)") if $pid ne '';
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
is($node->safe_psql('postgres', qq{SELECT count(*) || ' ' || sum(count) FROM credit.audit_log WHERE seq > $seen AND table_name = 'purpose'}),
	'3000 3000', 'the writer ended: each entry once');
new_entries();

# Many at once; half of them roll back.
my $script = PostgreSQL::Test::Utils::tempdir . '/load.sql';
append_to_file($script, q{\set n random(1, 1000000000)
\set odd :n % 2
BEGIN;
INSERT INTO credit.purpose VALUES ('load' || :client_id || '_' || :n, '测试', 'test') ON CONFLICT DO NOTHING;
\if :odd
COMMIT;
\else
ROLLBACK;
\endif
});
$node->command_ok([ 'pgbench', '-n', '-c', '8', '-j', '2', '-t', '250', '-f', $script, 'postgres' ], 'many writers');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
is($node->safe_psql('postgres', qq{SELECT (SELECT sum(count) FROM credit.audit_log WHERE seq > $seen AND table_name = 'purpose')
	= (SELECT count(*) FROM credit.purpose WHERE code LIKE 'load%')}), 't', 'many writers: as many entries as rows that committed');
log_is_whole($node, 'in the end');

# More than the writer takes in a turn keeps its order over the turns; also with rows before them that are gone, and room
# in which others come while the first are taken.
foreach my $round (1, 2)
{
	my $note = qq{SELECT count(credit._audit_note(jsonb_build_object('kind', 'ordered', 'n', g))) FROM};

	$psql->query_safe("BEGIN; $note generate_series(1, 3500) g; COMMIT; VACUUM credit.audit_outbox; $note generate_series(3501, 8000) g");
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
	is($node->safe_psql('postgres', qq{
		SELECT count(*), count(*) FILTER (WHERE n > before) FROM (
		    SELECT (entry::jsonb ->> 'n')::int AS n, lag((entry::jsonb ->> 'n')::int, 1, 0) OVER (ORDER BY seq) AS before
		      FROM credit.audit_entry WHERE seq > $seen AND entry LIKE '%"kind":"ordered"%') e}),
		'8000|8000', "more than a turn's, round $round: each once, in order");
	new_entries();
}

# The log analyzed and vacuumed again and again while it is written: that sends the writer's session news of the table in
# the middle of a batch.
my $maintain = PostgreSQL::Test::Utils::tempdir . '/maintain.sql';
append_to_file($maintain, "ANALYZE credit.audit_entry;\nVACUUM credit.audit_entry;\n" x 150);
my $single = PostgreSQL::Test::Utils::tempdir . '/single.sql';
append_to_file($single, "INSERT INTO credit.purpose VALUES ('single' || gen_random_uuid(), '测试', 'test');\n");
my $maintenance = IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr('postgres'), '-f', $maintain ]);
$node->command_ok([ 'pgbench', '-n', '-c', '2', '-t', '400', '-f', $single, 'postgres' ], 'writes while the log is maintained');
ok($maintenance->finish, 'the log was maintained');
log_is_whole($node, 'maintained while written');
new_entries();

# What was written before an access was asked for has the lower number, also when the writer comes to both at once.
my $reader = session($node, 'bank_a');
my $writer = writer_pid($node);
$reader->query_safe("SET pgcredit.audit_timeout = '60s'");
kill('STOP', $writer) or die "kill: $!";
$psql->query_safe(insert('before'));
$reader->{stdin} .= open_sql(7) . "\n";
$reader->{run}->pump_nb;
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE state = 'active' AND wait_event_type = 'Extension' AND query LIKE '%open_access(7%' AND backend_type = 'client backend'});
kill('CONT', $writer) or die "kill: $!";
like($reader->query_safe('SELECT 1'), qr/^\d+\n1$/, 'the access is open');
$reader->quit;
is($node->safe_psql('postgres', qq{SELECT string_agg(kind, ' ' ORDER BY seq) FROM credit.audit_log WHERE seq > $seen AND kind IN ('write', 'access')}),
	'write access', 'the write that was before the access is before it in the log');
new_entries();

# Consents say who granted what, one entry each, and only if it commits.
my $portal = session($node, 'portal');
$portal->query_safe(q{BEGIN; SELECT credit.grant_consent(41, 'bank_a', '{tax_payment}', '{pre_loan}', now(), now() + interval '1 day'); ROLLBACK});
my $consent = $portal->query_safe(q{SELECT credit.grant_consent(42, 'bank_a', '{tax_payment}', '{pre_loan}', now(), now() + interval '1 day')});
$portal->query_safe("BEGIN; SELECT credit.revoke_consent(42, $consent); ROLLBACK");
$portal->query_safe("SELECT credit.revoke_consent(42, $consent)");
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
is($node->safe_psql('postgres', qq{
	SELECT string_agg(operation || ' ' || actor || ' ' || institution || ' ' || (consents ->> 0), ', ' ORDER BY a.seq)
	  FROM credit.audit_log a WHERE seq > $seen AND kind = 'consent'}),
	"grant portal bank_a [$consent], revoke portal bank_a [$consent]", 'consents given and taken back');

$portal->quit;
$psql->quit;
$node->stop;
done_testing();
