# P5: what a server exports of its log is checked without it, by bin/pgcredit-verify and by test/go/logcheck.go, which is
# not ours. And what a superuser does to the log afterwards is seen by who has the files, or only kept a checkpoint.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use File::Path qw(make_path);
use File::Spec;
use PgCredit::LogFiles;
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp    = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir);
my $verify = -x top() . '/bin/pgcredit-verify' ? top() . '/bin/pgcredit-verify' : 'pgcredit-verify';
my $dir    = "$tmp/export";
my $node   = new_node('export');

platform($node);

# The bytes of an SQL expression: psql would add a newline to text.
sub bytes
{
	my ($expression) = @_;

	return pack 'H*', $node->safe_psql('postgres', "SELECT encode($expression, 'hex')");
}

# The newest checkpoint, kept as N.checkpoint too. Returns N.
sub keep_checkpoint
{
	my ($where) = @_;
	my $note = bytes(q{convert_to(credit.checkpoint(), 'UTF8')});
	my ($size) = $note =~ /\A.+\n(\d+)\n/;

	write_bytes("$where/checkpoint", $note);
	return write_bytes("$where/$size.checkpoint", $note) && $size;
}

sub keep_consistency
{
	my ($where, $older, $newer) = @_;

	write_bytes("$where/$older-$newer.consistency", $node->safe_psql('postgres',
		"SELECT coalesce(string_agg(encode(h, 'base64') || E'\\n', '' ORDER BY n), '')
		   FROM unnest(credit.consistency_proof($older, $newer)) WITH ORDINALITY p(h, n)"));
	return;
}

sub tile_path
{
	my ($level, $n, $width) = @_;
	my $name = sprintf('%03d', $n % 1000);

	$name = sprintf('x%03d/', $n % 1000) . $name while $n = int($n / 1000);
	return "tile/$level/$name" . ($width < 256 ? ".p/$width" : '');
}

sub write_below
{
	my ($where, $path, $bytes) = @_;

	make_path("$where/" . ($path =~ s{/[^/]*$}{}r));
	write_bytes("$where/$path", $bytes);
	return;
}

# Every tile and every bundle of a log of this size.
sub export_tiles
{
	my ($where, $size) = @_;

	for (my ($level, $count) = (0, $size); $count > 0; $level++, $count = int($count / 256))
	{
		for (my $n = 0; $n * 256 < $count; $n++)
		{
			my $width = $count - $n * 256 < 256 ? $count - $n * 256 : 256;

			write_below($where, tile_path($level, $n, $width), bytes("credit.tile($level, $n, $width)"));
			write_below($where, tile_path('entries', $n, $width), bytes("credit.entry_bundle($n, $width)")) if $level == 0;
		}
	}
	return;
}

# Statements that write, one entry each, and reads and a refusal.
sub grow
{
	my ($writes, $name) = @_;

	$node->safe_psql('postgres', "DO \$\$ BEGIN FOR i IN 1..$writes LOOP
		INSERT INTO credit.purpose VALUES ('$name' || i, '自定', 'our own'); END LOOP; END \$\$");
	$node->safe_psql('postgres', read_sql($_), extra_params => [ '-U', 'bank_a' ]) foreach (1 .. 3);
	$node->psql('postgres', read_sql(41), extra_params => [ '-U', 'bank_a' ]);
	return;
}

make_path($dir);
grow(10, 'a');
my $first = keep_checkpoint($dir);
grow(300, 'b');
my $second = keep_checkpoint($dir);
grow(300, 'c');
my $size = keep_checkpoint($dir);
cmp_ok($size, '>', 512, 'the log has more than two tiles');

write_bytes("$dir/vkey", $node->safe_psql('postgres', 'SELECT credit.log_vkey()') . "\n");
keep_consistency($dir, @$_) foreach ([ $first, $second ], [ $first, $size ], [ $second, $size ], [ $size, $size ]);
my %proven = map { $_ => 1 } (1, 2, $first, $first + 1, 255 .. 257, 512, 513, $second, $size - 1, $size);
foreach my $seq (keys %proven)
{
	write_bytes("$dir/$seq.entry", bytes("(SELECT convert_to(entry, 'UTF8') FROM credit.audit_log WHERE seq = $seq)"));
	write_bytes("$dir/$seq.tlog-proof", bytes("convert_to(credit.tlog_proof($seq), 'UTF8')"));
}
export_tiles($dir, $size);

my @key = ('--key', "\@$dir/vkey");
is((run_program($verify, 'checkpoint', @key, "$dir/$_.checkpoint"))[0], 0, "checkpoint $_") foreach ($first, $second, $size);
is((run_program($verify, 'proof', @key, '--entry', "$dir/$_.entry", "$dir/$_.tlog-proof"))[2], '', "entry $_ is proven")
  foreach (sort { $a <=> $b } keys %proven);
is((run_program($verify, 'consistency', @key, "$dir/$_->[0].checkpoint", "$dir/$_->[1].checkpoint",
	"$dir/$_->[0]-$_->[1].consistency"))[2], '', "from $_->[0] to $_->[1]")
  foreach ([ $first, $second ], [ $first, $size ], [ $second, $size ], [ $size, $size ]);
is((run_program($verify, 'log', @key, "$dir/$_.checkpoint", $dir))[2], '', "the export is the log of $_ entries")
  foreach ($first, $second, $size);

SKIP:
{
	my $program = "$tmp/logcheck";

	skip 'go or golang.org/x/mod is not installed', 2 unless compile_logcheck($program);
	my ($status, $stdout) = run_program($program, $dir);
	my $proofs = keys %proven;
	is($status, 0, 'the program of others agrees') or diag(grep { /^not/ } split /^/, $stdout);
	like($stdout, qr/^checked 1 checkpoint, 3 checkpoints, $proofs proofs, 4 consistency, $size entries, \d+ tiles$/m,
		'and looked at everything');
}

#
# A superuser changes an entry
#
# not the last: hashes of the newest entries are stored in full rows only
my $changed = $node->safe_psql('postgres',
	q{SELECT seq FROM credit.audit_log WHERE kind = 'refusal' ORDER BY seq DESC OFFSET 1 LIMIT 1});
$node->safe_psql('postgres', qq{
	SET session_replication_role = replica;
	UPDATE credit.audit_entry SET entry = replace(entry, '"kind":"refusal"', '"kind":"access"') WHERE seq = $changed});
make_path("$tmp/after");
export_tiles("$tmp/after", $size);
like((run_program($verify, 'log', @key, "$dir/checkpoint", "$tmp/after"))[2],
	qr/^invalid: entry $changed in .* is not the one whose hash is in tile\/0$/, 'an export after it names the entry');
my @bundles = map { "$tmp/after/" . tile_path('entries', $_, $_ < int($size / 256) ? 256 : $size % 256) } (0 .. int($size / 256));
like((run_program($verify, 'log', @key, "$dir/checkpoint", @bundles))[2],
	qr/^invalid: the $size entries have the root .*, the checkpoint says/, 'without tiles the checkpoint still convicts it');

$node->stop;
done_testing();
