# A resident identity number that is refused does not get into the server log: not by the statement, not by COPY's
# context, not by the error.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('quiet');
$node->init;
# The server's default; the test framework logs every statement.
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pgcredit; CREATE TABLE person (number credit.resident_id)');

# Numbers of an unassigned region with a wrong check character; each ends in a mark of its own.
my $file = PostgreSQL::Test::Utils::tempdir . '/numbers';
append_to_file($file, "990001194910010052\n");
my %attempt = (
	'990001194910010010' => "SELECT '990001194910010010'::credit.resident_id",
	'990001194910010029' => "SELECT '990001194910010029'::text::credit.resident_id FROM generate_series(1, 1)",
	'990001194910010036' => "INSERT INTO person VALUES ('990001194910010036')",
	'990001194910010044' => "DO \$\$ BEGIN PERFORM '990001194910010044'::text::credit.resident_id; END \$\$",
	'990001194910010052' => "COPY person FROM '$file'",
	'990001194910010060' => "SELECT credit.resident_id_check_character('990001194910010060.')");

foreach my $number (sort keys %attempt)
{
	my ($code, $out, $error) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$attempt{$number}", on_error_stop => 1);
	like($error, qr/22P02/, "$number is refused");
}

my $log = slurp_file($node->logfile);
my $errors = () = $log =~ /invalid input syntax for type resident_id/g;
is($errors, scalar(keys %attempt), 'each refusal is logged');
foreach my $number (sort keys %attempt)
{
	unlike($log, qr/$number/, "$number is not in the log");
}

# The same log does hold the statement and the context of an error that has nothing to hide.
$node->psql('postgres', "SELECT '91990001MA000000X0'::credit.uscc");
like(slurp_file($node->logfile), qr/STATEMENT:  SELECT '91990001MA000000X0'/, 'other statements are logged');

$node->stop;
done_testing();
