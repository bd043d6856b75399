# What a source or an indicator yields does not depend on the settings of the session, of the role or of a worker: rate_all gives
# the same ratings in a session with strange ones, with workers and without.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('settings', conf => "max_worker_processes = 24\n");

sub sql { return $node->safe_psql('postgres', @_); }

sql(q{SET client_min_messages = error; CREATE EXTENSION pgcredit;
	INSERT INTO credit.subject (kind, code) SELECT 'enterprise', 'e' || g FROM generate_series(1, 20) g});
sql(q{
	CREATE FUNCTION told() RETURNS text STABLE LANGUAGE plpgsql AS $$
	BEGIN
		RETURN concat_ws('|', date '2024-03-01', timestamptz '2024-01-01 00:00+00', interval '-1 day 2 hours', 0.1::float8 + 0.2::float8, '\x41'::bytea,
			to_char(1234.5, 'L9G999D9'), to_char(date '2024-03-01', 'TMMonth'), to_tsvector('the cats'), current_setting('search_path'));
	END $$;
	CREATE VIEW tells AS SELECT s.subject_id, public.told() AS text FROM credit.subject s, pg_sleep(0.02) WHERE s.kind = 'enterprise' AND s.subject_id < 1000000;
	SELECT credit.create_model('{"name": "told", "use_reason_codes": false, "characteristics": [{"name": "text", "data_type": "text", "attributes": [{"kind": "other", "points": 1}]}]}');
	SELECT credit.publish_model('told');
	SELECT credit.register_indicator('text', 'text', $$SELECT u.id, concat_ws('|', date '2024-03-01', timestamptz '2024-01-01 00:00+00', interval '-1 day 2 hours', 0.1::float8 + 0.2::float8, '\x41'::bytea,
		to_char(1234.5, 'L9G999D9'), to_tsvector('the cats')), NULL::bigint[] FROM unnest($1) u(id)$$)});
sql(q{ALTER DATABASE postgres SET datestyle = 'German'; ALTER DATABASE postgres SET timezone = 'UTC'});
my $strange = q{SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601'; SET timezone = 'America/New_York'; SET extra_float_digits = -5; SET bytea_output = 'escape';
	SET lc_numeric = 'C.UTF-8'; SET lc_time = 'C.UTF-8'; SET default_text_search_config = 'english'; SET array_nulls = off; SET transform_null_equals = on; SET standard_conforming_strings = off; SET search_path = public;};
for my $source ("source => 'public.tells', batch_size => 2, ", '')
{
	sql("TRUNCATE credit.rating_mark; DELETE FROM credit.rating WHERE model = 'told'");
	for my $call ("$strange CALL credit.rate_all('told', ${source}workers => 0)", "$strange CALL credit.rate_all('told', ${source}workers => 2)",
		"CALL credit.rate_all('told', ${source}workers => 2)")
	{
		my ($status, $out, $error) = $node->psql('postgres', join(";
", split(/; *
?	*/, $call)));
		is($status, 0, 'rated') or diag($error);
	}
	is(sql(q{SELECT count(DISTINCT inputs), count(*) > 2 FROM credit.rating WHERE model = 'told'}), '1|t', 'the same inputs: ' . ($source || 'indicators'));
}
like(sql(q{SELECT inputs FROM credit.rating WHERE model = 'told' LIMIT 1}), qr/2024-03-01\|2024-01-01 08:00:00\+08\|-1 days \+02:00:00\|0\.30000000000000004\|/, 'as they are pinned');

$node->stop;
done_testing();
