# P4 for configuration: one entry for an installation and for an update, with a digest that is the same in every database
# and after a restore; two-phase commit; what is recorded never stands in the way of what is not ours, of a standby, of
# DROP EXTENSION, nor of the ways out of trouble.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('configuration', allows_streaming => 1, conf => "max_prepared_transactions = 2\nautovacuum = off\n");

sub sql { return $node->safe_psql(@_) }

# Entries of configuration after number $from, as "operation first-object", in order.
sub entries
{
	my ($db, $from) = @_;

	$node->poll_query_until($db, 'SELECT count(*) = 0 FROM credit.audit_outbox') or die 'the outbox is not drained';
	return sql($db, qq{
		SELECT string_agg(concat_ws(' ', operation, entry::json #>> '{objects,0,identity}', entry::json ->> 'setting'), ', ' ORDER BY seq)
		  FROM credit.audit_log WHERE kind = 'configuration' AND seq > $from});
}
sub last_seq { return sql($_[0], 'SELECT coalesce(max(seq), 0) FROM credit.audit_entry') }
sub as_recorded { return sql($_[0], 'SELECT credit._code_digest() = credit._code_expected()') }

# ------------------------------------------------------------------ installing

sql('postgres', 'CREATE EXTENSION pgcredit');
is(entries('postgres', 0), 'CREATE EXTENSION', 'installed: one entry');
is(sql('postgres', q{SELECT entry::json ->> 'to_version' = extversion AND entry::json ->> 'code' = credit._code_digest()
	FROM credit.audit_log, pg_extension WHERE extname = 'pgcredit' AND kind = 'configuration'}), 't', 'with the version and the digest');
my $digest = sql('postgres', 'SELECT credit._code_digest()');
sql('postgres', q{CREATE ROLE other_owner SUPERUSER LOGIN; CREATE DATABASE second TEMPLATE template0 LOCALE 'C'});
$node->safe_psql('second', q{CREATE TABLE shifts_oids AS SELECT 1 AS a; SET quote_all_identifiers = on; SET datestyle = 'German'; CREATE EXTENSION pgcredit},
	extra_params => [ '-U', 'other_owner' ]);
is(sql('second', 'SELECT credit._code_digest()'), $digest, 'another database, another owner: the same digest');
is(as_recorded('second'), 't', 'and recorded so');

# ------------------------------------------------------------------ dump and restore

sql('second', q{CREATE ROLE reader; GRANT SELECT ON credit.region TO reader; ALTER FUNCTION credit.version() COST 9; ALTER FUNCTION credit.version() COST 1});
entries('second', 0);
my $dump = PostgreSQL::Test::Utils::tempdir . '/second.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('second') ], 'pg_dump');
sql('postgres', 'CREATE DATABASE third TEMPLATE template0');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-U', 'other_owner', '-d', $node->connstr('third'), '-f', $dump ], 'restored');
is(sql('third', 'SELECT credit._code_digest()'), $digest, 'restored: the same digest');
is(as_recorded('third'), 't', 'and recorded so');
log_is_whole($node, 'restored', 'third');

# ------------------------------------------------------------------ updating

my $version = sql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'pgcredit'});
my $folder  = sql('postgres', q{SELECT setting FROM pg_config WHERE name = 'SHAREDIR'}) . '/extension';
my $script  = "$folder/pgcredit--$version--9.9.9.sql";
SKIP:
{
	skip 'the extension folder is not ours to write', 4 unless -w $folder && !-e $script;
	append_to_file($script, q{CREATE FUNCTION credit._added() RETURNS integer LANGUAGE sql RETURN 1;
GRANT EXECUTE ON FUNCTION credit._added() TO credit_operator; SELECT credit._note_installed();});
	my $from = last_seq('postgres');
	sql('postgres', q{ALTER EXTENSION pgcredit UPDATE TO '9.9.9'});
	unlink $script;
	is(entries('postgres', $from), 'ALTER EXTENSION', 'updated: one entry');
	is(sql('postgres', qq{SELECT concat_ws(' ', entry::json ->> 'from_version', entry::json ->> 'to_version', entry::json ->> 'code' <> '$digest')
		FROM credit.audit_log WHERE seq > $from}), "$version 9.9.9 t", 'from, to, another digest');
	is(as_recorded('postgres'), 't', 'updated: as recorded');
	sql('postgres', 'ALTER EXTENSION pgcredit DROP FUNCTION credit._added(); DROP FUNCTION credit._added()');
	is(sql('postgres', 'SELECT credit._code_digest()'), $digest, 'what was added is gone again');
}

# ------------------------------------------------------------------ two-phase commit

my $from = last_seq('postgres');
sql('postgres', q{BEGIN; GRANT SELECT ON credit.region TO reader; PREPARE TRANSACTION 'one'});
sql('postgres', q{BEGIN; GRANT SELECT ON credit.category TO reader; PREPARE TRANSACTION 'two'});
is(entries('postgres', $from), '', 'prepared: no entry yet');
sql('postgres', q{COMMIT PREPARED 'one'});
sql('postgres', q{ROLLBACK PREPARED 'two'});
$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM credit.audit_log WHERE seq > $from");
is(entries('postgres', $from), 'GRANT credit.region', 'the one that committed');

# ------------------------------------------------------------------ nothing of ours

sql('postgres', 'CREATE DATABASE without TEMPLATE template0');
sql('without', q{CREATE SCHEMA credit; CREATE TABLE credit.audit_outbox (a int); CREATE ROLE without_role IN ROLE credit_operator;
	GRANT SELECT ON credit.audit_outbox TO without_role; ALTER SYSTEM SET pgcredit.audit_timeout = '6s'; ALTER SYSTEM RESET pgcredit.audit_timeout;
	DROP OWNED BY without_role; DROP ROLE without_role});
is(sql('without', 'SELECT count(*) FROM credit.audit_outbox'), '0', 'a database without the extension: nothing is written');

# ------------------------------------------------------------------ where no entry can be written

$from = last_seq('second');
sql('second', 'ALTER EXTENSION pgcredit DROP TABLE credit.audit_outbox');
sql('second', 'SET session_replication_role = replica; SET allow_system_table_mods = on; UPDATE pg_class SET relname = \'hidden\' WHERE relname = \'audit_outbox\'');
my ($code, $out, $err) = $node->psql('second', "\\set VERBOSITY verbose\nGRANT SELECT ON credit.category TO reader");
like($err, qr/ERROR:  42P01: .*audit_outbox/, 'no outbox: the configuration cannot be changed');
is(sql('second', q{SELECT has_table_privilege('reader', 'credit.category', 'SELECT')}), 'f', 'and was not');
sql('second', 'CREATE TABLE not_ours (a int); GRANT SELECT ON not_ours TO reader; COMMENT ON TABLE not_ours IS \'x\'; DROP TABLE not_ours; ALTER SYSTEM SET work_mem = \'5MB\'');
pass('what is not ours can be changed all the same');
sql('second', 'DROP EXTENSION pgcredit CASCADE; DROP SCHEMA credit CASCADE');
is(sql('second', q{SELECT count(*) FROM pg_extension WHERE extname = 'pgcredit'}), '0', 'DROP EXTENSION works');
sql('third', 'DROP SCHEMA credit CASCADE');
is(sql('third', q{SELECT count(*) FROM pg_extension WHERE extname = 'pgcredit'}), '0', 'so does dropping it with its schema');

# ------------------------------------------------------------------ a standby, and the way out of a standby that is gone

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('configuration_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$standby->safe_psql('postgres', q{ALTER SYSTEM SET pgcredit.audit_timeout = '6s'});
pass('ALTER SYSTEM on a standby works; it cannot be recorded there');
$standby->stop;

$from = last_seq('postgres');
sql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = 'gone'});
sql('postgres', q{SELECT pg_reload_conf()});
$node->poll_query_until('postgres', q{SELECT current_setting('synchronous_standby_names') = 'gone'});
my $hangs;
$node->psql('postgres', 'ALTER SYSTEM RESET synchronous_standby_names',
	timeout => $PostgreSQL::Test::Utils::timeout_default, timed_out => \$hangs);
ok(!$hangs, 'ALTER SYSTEM does not wait for a standby that is gone') or die 'and nothing else will work';
sql('postgres', q{SELECT pg_reload_conf()});
is(entries('postgres', $from), 'ALTER SYSTEM synchronous_standby_names, ALTER SYSTEM synchronous_standby_names',
	'and is recorded');

log_is_whole($node, 'at the end', 'postgres');
is(as_recorded('postgres'), 't', 'the code is as recorded');

# ------------------------------------------------------------------ not preloaded

my $later = new_node('configuration_later', preload => 0);
$later->safe_psql('postgres', 'CREATE EXTENSION pgcredit');
is($later->safe_psql('postgres', q{SELECT count(*) || ' ' || min(substring(prefix from '"operation":"([^"]*)"')) FROM credit.audit_outbox WHERE prefix ~ '"kind":"configuration"'}),
	'1 CREATE EXTENSION', 'not preloaded: the installation has its entry');
is($later->safe_psql('postgres', 'SELECT credit._code_digest() = credit._code_expected()'), 't', 'with the digest');
is($later->safe_psql('postgres', 'SELECT credit._code_digest()'), $digest, 'the same one');
$later->stop;
$node->stop;
done_testing();
