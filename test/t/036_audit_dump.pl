# P10: a dump restored elsewhere is the same platform: every entry of the log, every consent and record, the sequences;
# and the writer goes on after the last number.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('dump');
platform($node);
$node->safe_psql('postgres', read_sql($_), extra_params => [ '-U', 'bank_a' ]) foreach (1 .. 5);
$node->psql('postgres', read_sql($_), extra_params => [ '-U', 'bank_a' ]) foreach (41 .. 43);
$node->safe_psql('postgres', q{
	INSERT INTO credit.purpose VALUES ('own', '自定', 'our own');
	SELECT credit.revoke_consent(2, consent_id) FROM credit.consent WHERE subject_id = 2});
log_is_whole($node, 'source');

# Everything that a platform is, as text.
sub contents
{
	my ($db, $last) = @_;
	my %found;

	foreach my $table ('institution', 'subject', 'record', 'consent', 'purpose', 'category')
	{
		$found{$table} = $node->safe_psql($db, "SELECT count(*) || ' ' || md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\")) FROM credit.$table t");
	}
	$found{log} = $node->safe_psql($db, "SELECT count(*) || ' ' || md5(string_agg(t::text, E'\\n' ORDER BY seq)) FROM credit.audit_entry t WHERE seq <= $last");
	return \%found;
}

my $last   = $node->safe_psql('postgres', 'SELECT max(seq) FROM credit.audit_entry');
my $source = contents('postgres', $last);
my $dump   = PostgreSQL::Test::Utils::tempdir . '/dump';
my $consent = $node->safe_psql('postgres', 'SELECT max(consent_id) FROM credit.consent');
my $subject = $node->safe_psql('postgres', 'SELECT max(subject_id) FROM credit.subject');
my $record  = $node->safe_psql('postgres', 'SELECT max(record_id) FROM credit.record');

$node->command_ok([ 'pg_dump', '-f', "$dump.sql", '-d', $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dump.custom", '-d', $node->connstr('postgres') ], 'pg_dump -Fc');
my $serial = $node->safe_psql('postgres', 'SELECT max(seq) FROM credit.audit_entry');
is($serial, $last, 'a dump leaves the log as it is');

# Not with pg_restore -j: pg_dump keeps no order of an extension's tables for it, and foreign keys are there from the start.
my %restore = (
	plain    => sub { [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($_[0]), '-f', "$dump.sql" ] },
	single   => sub { [ 'pg_restore', '-1', '-d', $node->connstr($_[0]), "$dump.custom" ] });
foreach my $how (sort keys %restore)
{
	$node->safe_psql('postgres', "CREATE DATABASE $how TEMPLATE template0");
	$node->command_ok($restore{$how}->($how), "$how: restored");
	is_deeply(contents($how, $last), $source, "$how: everything is as it was");
	log_is_whole($node, $how, $how);
	$serial = $node->safe_psql($how, 'SELECT max(seq) FROM credit.audit_entry');
	note("$how: the restore itself left " . ($serial - $last) . ' entries');
	is($node->safe_psql($how, "SELECT count(*) FROM credit.audit_log WHERE seq > $last AND (kind, operation) = ('consent', 'grant')"), '0',
		"$how: no consent is given again");
	my $seq = $node->safe_psql($how, open_sql(3), extra_params => [ '-U', 'bank_a' ]);
	is($seq, $serial + 1, "$how: the numbers go on");
	is(entry_of($node, $seq, $how), 'access bank_a bank_a 3', "$how: a read is recorded");
	is((fails_with($node, $how, 'bank_a', open_sql(2)))[0], 'PC114', "$how: a revoked consent stays revoked");
	is($node->safe_psql($how, q{INSERT INTO credit.subject (kind, code) VALUES ('village', 'new') RETURNING subject_id}),
		$subject + 1, "$how: subjects are numbered on");
	is($node->safe_psql($how, q{SELECT credit.grant_consent(50, 'bank_a', '{tax_payment}', '{own}', now(), now() + interval '1 day')}),
		$consent + 1, "$how: consents are numbered on");
	is($node->safe_psql($how, q{INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
		SELECT 50, min(category_id), 3, date '2026-01-01', 'neutral', 'new', '{}', 0 FROM credit.record RETURNING record_id}),
		$record + 1, "$how: records are numbered on");
	log_is_whole($node, "$how, used", $how);
}

$node->stop;
done_testing();
