# P10 and the views by category: a dump leaves them to the restored categories, the code digest is the same there, covered
# fields stay covered; a change of clearance binds old snapshots; the extension goes without CASCADE.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('views');
platform($node);
$node->safe_psql('postgres', q{
	SELECT credit.define_category('own_one', '自有', 'own', 'x', '{area}', '{"fields": {"name": {"type": "text", "level": 4, "name_zh": "名称"},
	                              "status": {"type": "integer"}}}'),
	       credit.define_category('record', '记录', 'a taken name', 'x', '{area}', '{"fields": {"n": {"type": "numeric"}}}');
	SELECT credit.set_category_schema('water_use', '{"fields": {"changed": {"type": "boolean", "level": 1}}}'),
	       credit.set_category_level('gas_use', 2), credit.set_institution_clearance('bank_b', 3);
	INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
	SELECT 1, c.category_id, 3, date '2026-01-01', 'neutral', 'own', '{"name": "张三", "status": 7}', 0
	  FROM credit.category c WHERE c.code = 'own_one'});
$node->safe_psql('postgres', q{SELECT credit.grant_consent(1, b, '{own_one,tax_payment}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 year')
	  FROM unnest('{bank_a,bank_b}'::text[]) b});

# What the views are: names, columns, comments, rights, membership.
my $views = q{
	SELECT md5(string_agg(concat_ws(' ', v.category_id, v.view_name, v.definition, pg_get_viewdef(r.oid), r.relacl::text, r.reloptions::text,
	                                obj_description(r.oid, 'pg_class'), a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
	                                col_description(r.oid, a.attnum),
	                                (SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
	                                  WHERE d.objid = r.oid AND d.deptype = 'e')), E'\n' ORDER BY v.category_id, a.attnum)) || ' ' || count(*)
	  FROM credit.category_view v JOIN pg_class r ON r.oid = format('credit.%I', v.view_name)::regclass
	  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0};
my $look = q{BEGIN; SELECT FROM credit.open_access(1, 'pre_loan', '{own_one}'); SELECT name, payload_status, masked FROM credit.own_one; COMMIT;};

sub looks
{
	my ($db) = @_;
	return join ' | ', map { my $r = $node->safe_psql($db, $look, extra_params => [ '-U', $_ ]); $r =~ s/^\n+//r } qw(bank_a bank_b);
}

my $source = $node->safe_psql('postgres', $views);
my $digest = $node->safe_psql('postgres', 'SELECT credit._code_digest()');
is(looks('postgres'), '张三|7|{} | 张***|7|{name}', 'one sees it, the other sees it covered');
is($node->safe_psql('postgres', 'SELECT credit._code_expected() = credit._code_digest()'), 't', 'the log knows the code with the new views');

my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok([ 'pg_dump', '-f', "$dump.sql", '-d', $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dump.custom", '-d', $node->connstr('postgres') ], 'pg_dump -Fc');
unlike(slurp_file("$dump.sql"), qr/^CREATE VIEW/m, 'the dump makes no view of the extension');

my %restore = (
	plain  => [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$dump.sql" ],
	custom => [ 'pg_restore', '-1', '-d', $node->connstr('custom'), "$dump.custom" ]);
foreach my $how (sort keys %restore)
{
	$node->safe_psql('postgres', "CREATE DATABASE $how TEMPLATE template0");
	$node->command_ok($restore{$how}, "$how: restored");
	is($node->safe_psql($how, $views), $source, "$how: the same views");
	is($node->safe_psql($how, 'SELECT credit._code_digest()'), $digest, "$how: the same code");
	is(looks($how), '张三|7|{} | 张***|7|{name}', "$how: covered for the same institution");
	is($node->safe_psql($how, 'SELECT credit.rebuild_category_views()'), '0', "$how: nothing is left to make");
}

# Data restored with the triggers off: the views are missing until they are made.
$node->safe_psql('custom', q{SET session_replication_role = replica; ALTER TABLE credit.category DISABLE TRIGGER category_views;
	INSERT INTO credit.category (category_id, code, name_zh, name_en, category_group, source_department, subject_kinds, schema, modified_at)
	VALUES (120, 'quiet', 'x', 'x', 'own', 'x', '{area}', '{"fields": {"a": {"type": "date"}}}', now());
	ALTER TABLE credit.category ENABLE ALWAYS TRIGGER category_views});
is($node->safe_psql('custom', q{SELECT to_regclass('credit.quiet') IS NULL}), 't', 'no trigger, no view');
is($node->safe_psql('custom', 'SELECT credit.rebuild_category_views()'), '1', 'one view is made');
is($node->safe_psql('custom', q{SELECT to_regclass('credit.quiet')}), 'credit.quiet', 'it is there');

# A snapshot from before, a prepared statement from before: the clearance of now counts at what is opened now.
my $bank = session($node, 'bank_a');
ask($bank, q{PREPARE p AS SELECT name FROM credit.own_one});
ask($bank, q{BEGIN ISOLATION LEVEL REPEATABLE READ});
ask($bank, q{SELECT FROM credit.open_access(1, 'pre_loan', '{own_one}')});
is((ask($bank, q{EXECUTE p}))[0], '张三', 'uncovered at first');
is((ask($bank, q{SELECT count(*) FROM credit.record}))[0], '1', 'the raw row is there');
$node->safe_psql('postgres', q{SELECT credit.set_institution_clearance('bank_a', 3)});
ask($bank, q{SELECT FROM credit.open_access(1, 'pre_loan', '{own_one}')});
is((ask($bank, q{EXECUTE p}))[0], '张***', 'covered, under the snapshot from before and by the plan from before');
is((ask($bank, q{SELECT count(*) FROM credit.record}))[0], '0', 'the raw row is not there');
is((ask($bank, q{SELECT payload ->> 'name' FROM credit.read(1, 'pre_loan', '{own_one}')}))[0], '张***', 'nor uncovered by credit.read');
# A reader keeps no operator from raising a level.
is($node->safe_psql('postgres', q{SET lock_timeout = '5s'; SELECT credit.set_category_level('own_one', 4); SELECT 'done'}) =~ /done/ ? 1 : 0, 1,
	'a level is set while a transaction that reads the view is open');
ask($bank, q{SELECT FROM credit.open_access(1, 'pre_loan', '{own_one}')});
is((ask($bank, q{SELECT payload_status IS NULL FROM credit.own_one}))[0], 't', 'and binds it');
ask($bank, q{COMMIT});
$bank->quit;

$node->safe_psql('plain', 'DROP EXTENSION pgcredit');
is($node->safe_psql('plain', q{SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'credit'}), '0',
	'the extension goes with its views, without CASCADE');

$node->stop;
done_testing();
