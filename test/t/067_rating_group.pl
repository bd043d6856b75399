# A dump has packs, adoptions, grades of groups, sessions, limits and indexes as they were, and they are kept as well there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('group');
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';

$node->safe_psql('postgres', 'SET client_min_messages = error; CREATE EXTENSION pgcredit');
$node->safe_psql('postgres', q{
SET client_min_messages = error;
CREATE ROLE second LOGIN;
GRANT credit_operator TO second;
SELECT credit.load_regions(rows => '[{"code": "990501101", "name_zh": "x", "level": "township"}, {"code": "990501101201", "name_zh": "y", "level": "village"}]');
INSERT INTO credit.subject (kind, code, region) VALUES ('household', 'h', '990501101201'), ('enterprise', 'e', NULL);
SELECT credit.adopt_rating_pack('R-10', '{"base_share": 1, "income_multiple": 1, "character_low": 1, "character_high": 1}', 'test');
SELECT credit.adopt_rating_pack('R-10', '{"base_share": 0.5, "income_multiple": 1, "character_low": 1, "character_high": 1}', 'again');
SELECT credit.adopt_rating_pack('R-13', '{"weights": {"ability": 0.5, "output": 0.3, "integration": 0.2}}', 'test');
SELECT credit.create_rating_pack('{"pack_id": "own", "title_zh": "x", "title_en": "x", "method": "rollup", "level": "village", "scale": ["yes", "no"]}');
SELECT credit.create_model('{"name": "hh", "use_reason_codes": false, "grades": [{"grade": "not_recognised", "high": 1}, {"grade": "recognised", "low": 1}],
    "characteristics": [{"name": "x", "data_type": "number", "attributes": [{"kind": "other", "points": 1}]}]}');
SELECT credit.publish_model('hh');
SELECT credit.adopt_rating_pack('R-05.household', '{"model": "hh"}', 'test');
SELECT credit.adopt_rating_pack('own', '{"members": "R-05.household", "good_grades": ["recognised"], "least_graded": 1, "least_graded_share": 0,
    "bands": [{"grade": "yes", "from": 0.5}, {"grade": "no", "from": 0}]}', 'test');
SELECT credit.rate('hh', subject_id, row) FROM credit.subject, (SELECT 1 AS x) row WHERE code = 'h';
SELECT credit.rate_group('own', '990501101201');
SELECT credit.adopt_rating_pack('R-13', '{"weights": {"ability": 1, "output": 0, "integration": 0}}', 'the township''s own', '990501101', '2024-01-01');
SELECT credit.enter_group_figure('990501101201', 'party', '2024-01-01', 80.5, 'report');
SELECT credit.set_approval('hh', '{recognised}');
SELECT credit.set_rating_category('hh', 'household_income');
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s.subject_id, c.category_id, 1, '2024-01-01', 'neutral', 'd', p.payload::jsonb, 0
  FROM credit.subject s JOIN (VALUES ('h', 'household_assets_debts', '{"assets": 5, "debts": 1}'), ('h', 'household_income', '{"year": 2023, "income": 9}'),
       ('e', 'innovation_dimensions', '{"period": "2023-01-01", "ability": 1, "output": 2, "integration": 3}')) p(code, category, payload) USING (code)
  JOIN credit.category c ON c.code = p.category;
SELECT credit.enter_village_result(credit.open_village_session('R-10', '990501101201', '2024-01-01', '{"party_branch": 1, "village_committee": 1}'), subject_id, 3, 1)
  FROM credit.subject WHERE code = 'h';
SET SESSION AUTHORIZATION second;
SELECT credit.confirm_village_session(session_id) FROM credit.village_session;
RESET SESSION AUTHORIZATION;
SELECT credit.rate_household(subject_id) FROM credit.subject WHERE code = 'h';
SELECT credit.rate_index(subject_id) FROM credit.subject WHERE code = 'e';
});
my @tables = qw(rating_pack rating_adoption group_grade group_figure village_session village_result household_limit index_value approval_rule rating rating_category);
my $rows = join(' UNION ALL ', map { "SELECT '$_', count(*), md5(string_agg(x::text, '/' ORDER BY x::text)) FROM credit.$_ x" } @tables);

$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'dumped');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'restored', '-f', $dump ], 'restored');
my $kept = $node->safe_psql('postgres', $rows);
is($node->safe_psql('restored', $rows), $kept, 'each row is what it was');
unlike($kept, qr/\|0\|/, 'and no table was empty');
is($node->safe_psql('restored', q{SELECT grade, good_share FROM credit.group_grade g WHERE g.grade_id = (SELECT credit.rate_group('own', '990501101201') - 1)}), 'yes|1.00000000000000000000', 'numbers go on');
is($node->safe_psql('restored', q{SELECT c.grade, c.score_grade FROM credit.subject s, credit.current_rating(s.subject_id, 'hh') c WHERE s.code = 'h'}), 'recognised|recognised', 'the current rating');
is($node->safe_psql('restored', q{SELECT adopted_by_region, adopted_from, parameters -> 'weights' ->> 'ability' FROM credit.adopted_rating_packs('990501101201') WHERE pack_id = 'R-13'}), '990501101|2024-01-01|1', 'what a region adopted');
is($node->safe_psql('restored', q{SELECT amount FROM credit.household_limit}), '2', 'the limit: half of the net assets');
my ($result, $out, $error) = $node->psql('restored', '\set VERBOSITY verbose' . "\n" . 'UPDATE credit.village_session SET held_on = held_on - 1');
like($error, qr/PC434/, 'what was confirmed there cannot be changed here');

$node->stop;
done_testing();
