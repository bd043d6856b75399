# The identity types on real codes: 60,000 that are valid, 1,471 that were printed wrong, the regions of GB/T 2260.
# The environment variable PGCREDIT_DATA names the folder that holds them; they are not part of the source.
use strict;
use warnings;

use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = $ENV{PGCREDIT_DATA};
plan skip_all => 'PGCREDIT_DATA does not name the folder with the real codes'
  unless defined $data && -r "$data/enterprises.csv.gz" && -r "$data/enterprise-codes-refused.csv.gz"
  && -r "$data/regions.csv";

my $node = PostgreSQL::Test::Cluster->new('codes');
$node->init;
$node->start;

my $folder = PostgreSQL::Test::Utils::tempdir;
foreach my $file ('enterprises', 'enterprise-codes-refused')
{
	gunzip("$data/$file.csv.gz" => "$folder/$file.csv") or die "gunzip of $file: $GunzipError";
}

# The types need no preloading and no key.
$node->safe_psql('postgres', 'CREATE EXTENSION pgcredit; ALTER DATABASE postgres SET search_path = credit, public');
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE public.enterprise (code text, registered_on date, type_zh text, province_zh text, city_zh text);
	COPY public.enterprise FROM '$folder/enterprises.csv' (FORMAT csv, HEADER);
	CREATE TABLE public.printed (code text);
	COPY public.printed FROM '$folder/enterprise-codes-refused.csv' (FORMAT csv, HEADER);
	CREATE TABLE public.region (code region_code PRIMARY KEY, name_zh text, level text, parent region_code, current boolean);
	COPY public.region FROM '$data/regions.csv' (FORMAT csv, HEADER);
	CREATE TABLE public.taken (code uscc PRIMARY KEY);
	INSERT INTO public.taken SELECT code FROM public.enterprise;
	-- what is wrong with a text, in the order in which the type looks
	CREATE FUNCTION public.fault(code text) RETURNS text LANGUAGE plpgsql AS \$\$
	DECLARE
		detail text;
	BEGIN
		RETURN 'none: ' || (code::uscc::text = upper(code));
	EXCEPTION WHEN invalid_text_representation THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
		RETURN CASE WHEN detail LIKE 'A unified social credit code has 18 characters, this value has ' || length(code) || '.'
		                 THEN 'length'
		            WHEN detail = format('The check character is "%s", but should be "%s".', right(code, 1),
		                                 uscc_check_character(code)) THEN 'check'
		            ELSE detail END;
	END
	\$\$;
});

sub is_sql
{
	my ($sql, $expected, $name) = @_;
	return is($node->safe_psql('postgres', $sql), $expected, $name);
}

is_sql(q{SELECT count(*), count(*) FILTER (WHERE is_valid_uscc(code)), count(*) FILTER (WHERE code::uscc::text = code)
           FROM public.enterprise}, '60000|60000|60000', 'all real codes are valid and come back as they were');
is_sql('SELECT count(*) FROM public.taken JOIN public.enterprise e ON e.code::uscc = taken.code', '60000',
	'and are found by the primary key');
is_sql(q{SELECT string_agg(code::text, ',' ORDER BY code) = string_agg(code::text, ',' ORDER BY code::text COLLATE "C")
           FROM public.taken}, 't', 'they sort as their text does');

# Checked once with python-stdnum: after upper-casing the 45 codes with lower-case letters pass, and no other.
is_sql(q{SELECT public.fault(code), count(*) FROM public.printed GROUP BY 1 ORDER BY 1},
	"check|27\nlength|1399\nnone: true|45", 'the refused codes fail as they must');
is_sql(q{SELECT count(*), count(*) FILTER (WHERE code ~ '[a-z]'), count(*) FILTER (WHERE is_valid_uscc(code)),
                count(*) FILTER (WHERE is_valid_uscc(code) AND code !~ '[a-z]'),
                count(*) FILTER (WHERE is_valid_uscc(code) <> (public.fault(code) LIKE 'none%'))
           FROM public.printed}, '1471|45|45|0|0', 'lower case is the only thing that is put right');
is_sql(q{SELECT length(code), count(*) FROM public.printed WHERE public.fault(code) = 'length' GROUP BY 1 ORDER BY 1},
	"1|1\n10|1\n11|1\n13|29\n15|1367", 'lengths are counted in characters');
is_sql('SELECT count(*) FROM public.printed WHERE is_pilot_uscc(code)', '0', 'none of them is a pilot code');

# A code's region may be retired, or on no list at all.
is_sql(q{SELECT count(r.code), count(r.code) FILTER (WHERE r.current), count(*)
           FROM public.taken t LEFT JOIN public.region r ON r.code = region_of(t.code)}, '58307|54130|60000',
	'regions of real codes: known with the retired ones, current, all');
is_sql(q{SELECT string_agg(code || ' ' || parent, ', ' ORDER BY code) FROM public.region
          WHERE region_parent(code) IS DISTINCT FROM parent}, '441900 441900, 442000 442000, 460400 460400',
	'the hierarchy by digits is the list\'s, but for three cities without counties that stand under themselves');

# GB 11714's own check digit, which two of the real codes do not satisfy.
is_sql(q{SELECT count(*) FROM public.taken,
         LATERAL (SELECT 11 - sum(w * (strpos('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', substr(organization_code(code), i::int, 1)) - 1)) % 11
                    FROM unnest('{3,7,9,10,5,8,4,2}'::int[]) WITH ORDINALITY AS weight(w, i)) AS x(c)
         WHERE right(organization_code(code), 1) <> CASE c WHEN 10 THEN 'X' WHEN 11 THEN '0' ELSE c::text END},
	'2', 'the organisation code\'s own check digit is not required');
is_sql('SELECT count(*) FROM public.taken WHERE is_natural_person(code)', '0', 'the list has no sole traders');

$node->stop;
done_testing();
