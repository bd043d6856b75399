# P1 for accesses to many: whatever is killed in the middle, an entry that names a list has all of it; what was shown is in
# the log; rows of lists whose entry never came go. P10: lists are dumped, what is derived is made anew after a restore.
# A hundred thousand subjects in one call, and readers beside it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Digest::SHA qw(sha256);
use IPC::Run;
use MIME::Base64 qw(encode_base64url);
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('history', allows_streaming => 1, conf => "pgcredit.audit_retention_least = 1s\n");
platform($node);
wait_for_writer($node);

# Subjects 51 to 100,050 with a consent each, without a trigger's entry for each.
$node->safe_psql('postgres', q{
	SET session_replication_role = replica;
	INSERT INTO credit.subject (kind, code) SELECT 'village', 'many' || g FROM generate_series(51, 100050) g;
	INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, granted_by)
	SELECT s.subject_id, 1, c.categories, c.purposes, c.valid_from, c.valid_to, 'test'
	  FROM credit.subject s, (SELECT * FROM credit.consent ORDER BY consent_id LIMIT 1) c WHERE s.code LIKE 'many%'});

sub many_sql
{
	my ($from, $to) = @_;

	return "SELECT min(entry), count(*) FILTER (WHERE granted) FROM credit.open_access(ARRAY(SELECT g FROM generate_series($from, $to) g), 'pre_loan', '{tax_payment}');\n";
}

# Merkle tree hash of RFC 6962 section 2.1.
sub tree_hash
{
	my @hashes = @_;
	my $k = 1;

	return $hashes[0] if @hashes == 1;
	$k *= 2 while $k * 2 < @hashes;
	return sha256("\x01" . tree_hash(@hashes[ 0 .. $k - 1 ]) . tree_hash(@hashes[ $k .. $#hashes ]));
}

# Every entry that has a list has all of it.
sub lists_are_whole
{
	my ($name, $db) = @_;
	my $bad = 0;
	my @entries = split /\n/, $node->safe_psql($db // 'postgres',
		q{SELECT seq || ' ' || count || ' ' || (entry::jsonb ->> 'list') FROM credit.audit_log WHERE entry::jsonb ? 'list' ORDER BY seq});

	foreach my $entry (@entries)
	{
		my ($seq, $count, $root) = split / /, $entry;
		my @elements = split /\n/, $node->safe_psql($db // 'postgres', "SELECT encode(element, 'hex') FROM credit.listed($seq) ORDER BY index");

		$bad++ if @elements != $count + 1 || encode_base64url(tree_hash(map { sha256("\x00" . pack('H*', $_)) } @elements)) ne $root;
	}
	is($bad, 0, "$name: each of " . scalar(@entries) . ' lists is whole');
	return scalar @entries;
}

sub orphans
{
	return $node->safe_psql('postgres', q{
		SELECT count(DISTINCT l.list) FROM credit.audit_list l
		 WHERE NOT EXISTS (SELECT FROM credit.audit_log a
							WHERE a.entry::jsonb ? 'list'
							  AND substr(decode(translate(a.entry::jsonb ->> 'list', '-_', '+/') || '=', 'base64'), 1, 16) = uuid_send(l.list))});
}

sub wait_for_index
{
	my ($db) = @_;

	return $node->poll_query_until($db // 'postgres', q{
		SELECT NOT EXISTS (SELECT FROM credit.audit_outbox)
		   AND (SELECT max(seq) FROM credit.audit_entry) = (SELECT upto FROM credit.audit_history_state)});
}

sub history
{
	my ($subject, $db) = @_;

	return $node->safe_psql($db // 'postgres',
		"SELECT seq, recorded, kind, operation, actor, institution, purposes, categories, reason, listed FROM credit.access_history($subject)",
		extra_params => [ '-U', 'portal' ]);
}

# ---------------------------------------------------------------------------
# Killed in the middle
# ---------------------------------------------------------------------------

my $dir = PostgreSQL::Test::Utils::tempdir;
my ($shown, $cut) = (0, 0);

open(my $fh, '>', "$dir/many.sql") or die "$dir/many.sql: $!";
print $fh many_sql(1 + $_, 4000 + $_) foreach (100 .. 300);
close($fh);

my %kill = (
	'a backend killed'     => sub { kill('KILL', $_[0]); },
	'a backend terminated' => sub { $node->safe_psql('postgres', "SELECT pg_terminate_backend($_[0])"); },
	'the writer killed'    => sub { kill('KILL', writer_pid($node)); },
	'the server stopped'   => sub { $node->stop('immediate'); $node->start; });

foreach my $what (sort keys %kill)
{
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-U', 'bank_a', '-c', 'SELECT pg_backend_pid()', '-f', "$dir/many.sql" ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

	$run->pump while (() = $out =~ /\n/g) < 3 + $cut && $run->pumpable;
	my ($pid) = $out =~ /^(\d+)\n/;
	# as soon as rows of a list are there whose entry is not
	$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND state = 'active')");
	$kill{$what}->($pid);
	eval { $run->finish };
	wait_until_up($node);
	wait_for_writer($node);
	my @got = $out =~ /^(\d+)\|4000$/mg;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM credit.audit_log WHERE count = 4000 AND kind = \'access\' AND seq = ANY (ARRAY['
				. join(',', @got) . ']::bigint[])'), scalar(@got), "$what: each access that was shown has its entry");
	lists_are_whole($what);
	log_is_whole($node, $what);
	$shown += @got;
	$cut++;
}
note("$shown accesses to 4000 shown");
cmp_ok($shown, '>', 4, 'there were accesses');

# Rows without an entry: as a killed backend leaves them. Young ones stay, old ones go, and those of entries stay.
$node->safe_psql('postgres', q{
	SET session_replication_role = replica;
	INSERT INTO credit.audit_list SELECT '00000000-0000-4000-8000-000000000001', '00000000-0000-0000-0000-000000000000', now(), 'x';
	INSERT INTO credit.audit_list SELECT '00000000-0000-4000-8000-000000000002', '00000000-0000-0000-0000-000000000000', now(), 'x';
	UPDATE credit.audit_list SET made = made - interval '2 hours' WHERE list <> '00000000-0000-4000-8000-000000000001'});
cmp_ok(orphans(), '>=', 2, 'there are rows without an entry');
wait_for_index();
my $notary = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgcredit notary' AND datname = 'postgres'};
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 5000) FROM ($notary) n");
ok($node->poll_query_until('postgres', q{SELECT count(DISTINCT list) = 1 FROM credit.audit_list l WHERE list IN ('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002')}),
	'the old ones go');
is(orphans(), 1, 'and nothing else is left but the young one');
lists_are_whole('after that');

# ---------------------------------------------------------------------------
# Huge
# ---------------------------------------------------------------------------

# Readers beside it: each gets its row.
open($fh, '>', "$dir/read.sql") or die "$dir/read.sql: $!";
print $fh "\\set VERBOSITY sqlstate\n", map { open_sql(1 + $_ % 40) . "\n" } (1 .. 300);
close($fh);
my @readers;
foreach my $k (1 .. 4)
{
	my %reader = (out => '', err => '');

	$reader{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-U', 'bank_a', '-f', "$dir/read.sql" ],
		'<', \undef, '>', \$reader{out}, '2>', \$reader{err}, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	push @readers, \%reader;
}
my ($entry, $granted) = split /\|/, $node->safe_psql('postgres', many_sql(51, 100050), extra_params => [ '-U', 'bank_a' ]);
is($granted, 100000, 'a hundred thousand subjects at once');
foreach my $reader (@readers)
{
	$reader->{run}->finish;
	is($reader->{err}, '', 'a reader beside it is refused nothing');
	is((() = $reader->{out} =~ /^\d+$/mg), 300, 'and gets every answer');
}
is($node->safe_psql('postgres', "SELECT kind || count || (length(entry) < 500) FROM credit.audit_log WHERE seq = $entry"), 'access100000true', 'one entry');
my $bytes = $node->safe_psql('postgres', "SELECT sum(length(element)) FROM credit.listed($entry)");
cmp_ok($bytes, '<', 25 * 100000, "$bytes bytes in the list");
lists_are_whole('huge');
foreach my $subject (51, 4242, 100050)
{
	like(history($subject), qr/^$entry\|.*\|access\|\|bank_a\|bank_a\|\{pre_loan\}\|\{tax_payment\}\|\|t$/m, "subject $subject sees it");
}
unlike(history(50), qr/^$entry\|/m, 'subject 50 does not');

# ---------------------------------------------------------------------------
# Elsewhere
# ---------------------------------------------------------------------------

wait_for_index();
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('history_standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
is((fails_with($standby, 'postgres', 'portal', 'SELECT * FROM credit.access_history(1)'))[0], '25006', 'a standby shows no history');
is($standby->safe_psql('postgres', "SELECT count(*) FROM credit.listed($entry)"), '100001', 'but has the lists');
$standby->stop;

my @subjects = (1, 40, 41, 150, 4000, 100050);
my $last = $node->safe_psql('postgres', 'SELECT max(seq) FROM credit.audit_entry');
my %before = map { $_ => history($_) } @subjects;
my $lists = q{SELECT count(*) || ' ' || md5(string_agg(l::text, E'\n' ORDER BY list, first)) FROM credit.audit_list l};
my $source = $node->safe_psql('postgres', $lists);
$node->command_ok([ 'pg_dump', '-f', "$dir/dump.sql", '-d', $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere TEMPLATE template0');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('elsewhere'), '-f', "$dir/dump.sql" ], 'restored');
is($node->safe_psql('elsewhere', $lists), $source, 'the lists are the same');
# before it is indexed, and after
foreach my $when ('at once', 'indexed')
{
	foreach my $subject (@subjects)
	{
		is(join("\n", grep { /^(\d+)/ && $1 <= $last && !/\|history\|/ } split(/\n/, history($subject, 'elsewhere'))),
			join("\n", grep { /^(\d+)/ && $1 <= $last && !/\|history\|/ } split(/\n/, $before{$subject})), "$when: subject $subject has the same history");
	}
	wait_for_index('elsewhere');
}
lists_are_whole('restored', 'elsewhere');
$node->safe_psql('elsewhere', "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE backend_type = 'pgcredit notary' AND datname = 'elsewhere'");
$node->safe_psql('elsewhere', read_sql(5), extra_params => [ '-U', 'bank_a' ]);
wait_for_index('elsewhere');
like(history(5, 'elsewhere'), qr/^\d+\|[^|]*\|access\|/, 'and it goes on');

# A log that comes late, into a database whose own entries are indexed already, which then get other numbers.
$node->safe_psql('postgres', 'CREATE DATABASE late TEMPLATE template0');
platform($node, 'late');
wait_for_index('late');
$node->safe_psql('postgres', "COPY (SELECT * FROM credit.audit_entry WHERE seq <= $last ORDER BY seq) TO '$dir/log'");
$node->safe_psql('late', "COPY credit.audit_entry FROM '$dir/log'");
wait_for_index('late');
is($node->safe_psql('late', q{
	SELECT count(*) || ' lines, ' || count(*) FILTER (WHERE h.token IS NULL OR e.token IS NULL) || ' wrong'
	  FROM credit.audit_history h
	  FULL JOIN (SELECT DISTINCT seq, encode(substr(decode(translate(token, '-_', '+/') || '=', 'base64'), 1, 16), 'hex')::uuid AS token
				   FROM credit.audit_entry, jsonb_array_elements_text(entry::jsonb -> 'subjects') token) e USING (seq, token)}) =~ s/^[1-9]\d*//r,
	' lines, 0 wrong', 'a log that comes late: every line, and no other');

# ---------------------------------------------------------------------------
# Dropped
# ---------------------------------------------------------------------------

# What the retention policy drops takes its lines and its lists along, and no others.
$node->safe_psql('postgres', q{SELECT count(credit._audit_note(jsonb_build_object('kind', 'note', 'n', g))) FROM generate_series(1, 600) g});
wait_for_index();
$node->safe_psql('postgres', read_sql(5), extra_params => [ '-U', 'bank_a' ]);
my ($kept_entry) = split /\|/, $node->safe_psql('postgres', many_sql(51, 200), extra_params => [ '-U', 'bank_a' ]);
$node->safe_psql('postgres', q{SELECT credit.checkpoint()});
$node->safe_psql('postgres', q{ALTER SYSTEM SET pgcredit.audit_retention = '1s'});
$node->safe_psql('postgres', q{SELECT pg_reload_conf()});
$node->poll_query_until('postgres', "SELECT kept_from > $entry FROM credit.stat_audit");
wait_for_index();
my $kept = $node->safe_psql('postgres', 'SELECT kept_from FROM credit.stat_audit');
is($node->safe_psql('postgres', "SELECT count(*) FROM credit.audit_history WHERE seq < $kept"), '0', 'no line of a dropped entry is left');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM credit.audit_history'), '>', 0, 'others are');
is($node->safe_psql('postgres', 'SELECT string_agg(seq::text, $$,$$) FROM credit.audit_bulk'), $kept_entry, 'the kept list is named');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT list) FROM credit.audit_list'), '2', 'it, and the young one without an entry, are the lists left');
lists_are_whole('dropped');
like(history(51), qr/^(\d+\|[^\n]*\n)*$kept_entry\|[^\n]*\|t\z/, 'the history begins with what is kept');

$node->stop;
done_testing();
