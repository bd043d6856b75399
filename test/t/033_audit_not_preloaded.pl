# Without preloading, and without a key. Not preloaded, the extension can be created and what needs no writer works, a read
# is refused and says what to do, writes keep their entries, which are in the log once after the server has been restarted
# with the library.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('later', preload => 0, conf => "pgcredit.audit_timeout = 3s\n");
platform($node);

is($node->safe_psql('postgres', q{SELECT credit.is_valid_uscc('91330200MA2AAAAA0X') IS NOT NULL}), 't', 'a pure function works');
foreach my $sql (open_sql(1), read_sql(1), read_sql(45))
{
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", extra_params => [ '-U', 'bank_a' ]);

	is($out, '', 'not preloaded: no row');
	like($err, qr/ERROR:  55000: /, 'not preloaded: SQLSTATE');
	like($err, qr/HINT:  .*shared_preload_libraries/, 'not preloaded: the hint names the setting');
}
my ($state) = fails_with($node, 'postgres', 'bank_a', 'SELECT count(*) FROM credit.record');
is($state, 'PC120', 'and nothing can be seen without it');

my $waiting = $node->safe_psql('postgres', 'SELECT count(*) FROM credit.audit_outbox');
cmp_ok($waiting, '>=', 43, 'writes have left their entries');
$node->restart;
is($node->safe_psql('postgres', 'SELECT count(*) FROM credit.audit_outbox'), $waiting, 'they wait');
is($node->safe_psql('postgres', 'SELECT count(*) FROM credit.audit_log'), '0', 'the log is empty');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pgcredit'");
$node->restart;
log_is_whole($node, 'preloaded');
is($node->safe_psql('postgres', q{SELECT count(*) FROM credit.audit_log WHERE kind <> 'writer'}), $waiting, 'each entry is in the log once');
is($node->safe_psql('postgres', q{SELECT count(DISTINCT consents) FROM credit.audit_log WHERE kind = 'consent' AND operation = 'grant'}),
	'40', 'all consents are');
is($node->safe_psql('postgres', read_sql(1), extra_params => [ '-U', 'bank_a' ]), '1|tax_payment', 'a row');
is(accesses_of($node, 1), 1, 'and its entry');

# Preloaded without a key: nothing is shown that could not be signed.
$node->append_conf('postgresql.conf', "pgcredit.key_file = ''");
$node->restart;
wait_for_writer($node);
foreach my $sql (open_sql(1), read_sql(1), read_sql(45))
{
	($state) = fails_with($node, 'postgres', 'bank_a', $sql);
	is($state, 'PC201', 'no key: refused');
}
is(accesses_of($node, 1), 1, 'no key: no entry');
is($node->safe_psql('postgres', q{SELECT count(*) FROM credit.audit_log WHERE kind = 'refusal'}), '0', 'nor one of a refusal');

# Preloaded once, then no more: refused again, not unrecorded.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
($state) = fails_with($node, 'postgres', 'bank_a', read_sql(1));
is($state, '55000', 'not preloaded any more: refused');

$node->stop;
done_testing();
