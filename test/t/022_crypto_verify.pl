# bin/pgcredit-verify: says yes to the files of a whole log, and no, with one
# line that names what is wrong, to everything that somebody could have done to
# them.  Needs no server.

use strict;
use warnings;

use Digest::SHA qw(sha256 sha256_hex);
use File::Copy;
use FindBin;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;

use lib "$FindBin::RealBin/lib";
use PgCredit::LogFiles;

plan skip_all => 'no C compiler' if system('cc --version >/dev/null 2>&1') != 0;

# What was built here, else what is installed.
my $verify = -x top() . '/bin/pgcredit-verify' ? top() . '/bin/pgcredit-verify' : 'pgcredit-verify';
my $tmp    = PostgreSQL::Test::Utils::tempdir;
my $dash   = "\x{e2}\x{80}\x{94}";

# Whoever has no PostgreSQL compiles it so.
command_ok(
	[ 'cc', '-O2', '-Wall', '-o', "$tmp/by_hand", '-I' . top() . '/src', glob(top() . '/src/bin/*.c'),
		map({ top() . "/src/crypto/${_}_kernel.c" } 'merkle', 'note', 'crypto', 'sha256_sodium'), '-lsodium' ],
	'the program compiles without PostgreSQL');

sub valid
{
	my ($what, $says, @arguments) = @_;
	my ($status, $stdout, $stderr) = run_program($verify, @arguments);

	is($status, 0, "$what: valid") or diag($stderr);
	like($stdout, qr/\Avalid: [^\n]*$says[^\n]*\n\z/, "$what: in one line");
	return;
}

sub invalid
{
	my ($what, $says, @arguments) = @_;
	my ($status, $stdout, $stderr) = run_program($verify, @arguments);

	is($status, 1, "$what: invalid") or diag($stdout, $stderr);
	like($stderr, qr/\Ainvalid: [^\n]*$says[^\n]*\n\z/, "$what: says so in one line");
	is($stdout, '', "$what: and nothing else") if $stdout ne '';
	return;
}

sub unable
{
	my ($what, $says, @arguments) = @_;
	my ($status, $stdout, $stderr) = run_program($verify, @arguments);

	is($status, 2, "$what: cannot be checked") or diag($stdout, $stderr);
	like($stderr, $says, "$what: says why");
	return;
}

# A copy of a file with a change, in a place of its own.
my $copies = 0;
sub changed
{
	my ($path, $change) = @_;
	my $before = read_bytes($path);
	my $after  = $change->($before);

	BAIL_OUT("nothing is changed in $path") if $after eq $before;
	return write_bytes("$tmp/changed." . ++$copies, $after);
}

# How many of the copies with one changed bit, or cut short, are called valid.
sub wrongly_valid
{
	my ($path, @arguments) = @_;
	my $bytes = read_bytes($path);
	my $copy  = "$tmp/damaged";
	my @wrong;

	foreach my $at (0 .. length($bytes) - 1)
	{
		my $other = $bytes;

		substr($other, $at, 1) = chr(ord(substr($other, $at, 1)) ^ (1 << ($at % 7)));
		write_bytes($copy, $other);
		my ($status) = run_program($verify, map { $_ eq $path ? $copy : $_ } @arguments);
		push @wrong, "bit in byte $at: $status" if $status != 1;
		next if $at % 7;
		write_bytes($copy, substr($bytes, 0, $at));
		($status) = run_program($verify, map { $_ eq $path ? $copy : $_ } @arguments);
		push @wrong, "cut at $at: $status" if $status != 1;
	}
	return \@wrong;
}

#
# The worked example: a log that x/mod signed, and its proof of leaf 5
#
my $log_key = 'example.com/pgcredit-log+7ac4a506+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4';
my $witness = 'witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X';
my @leaves  = map { pack 'H*', $_ } '', '00', '10', '2021', '3031', '40414243', '5051525354555657',
  '606162636465666768696a6b6c6d6e6f';
my $proof = write_bytes("$tmp/example.tlog-proof", <<"EOT");
c2sp.org/tlog-proof\@v1
index 5
vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=
yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=
037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=

example.com/pgcredit-log
8
XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=

$dash example.com/pgcredit-log esSlBkYj674oUeH+nsGi258J67j/LVpkZyxUcSkjjymorqEhfC37cteBiBQ6j9DNMEgH5KR7jAUvtk7Ni07pJ2m5Cg8=
$dash witness.example/w1 IDJKvgAAAABlU/EAyYrOveZPZQl/Os0JvoX0DZfAdsvsV5Yx/8f3ET1XNT6OjRjMi3CgSv0mFoO3SpjNUZhGgZ8RF4DZK3e2Qcx5Bg==
EOT
my $leaf    = write_bytes("$tmp/leaf5", $leaves[5]);
my $example = write_bytes("$tmp/example.checkpoint", (split /\n\n/, read_bytes($proof), 2)[1]);
my $bundle  = write_bytes("$tmp/example.bundle", join '', map { pack 'n/a*', $_ } @leaves);
my $signed_5 = write_bytes("$tmp/example.5", <<"EOT");
example.com/pgcredit-log
5
Tju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=

$dash example.com/pgcredit-log esSlBrb90zsFJMrKSnUb4QOPfwYMjiC0ll0ZC3iA7Cmy+jrWH+FalRWk3npypL/fiS9yoWABlM0FdBNqeGuV5GJciwo=
EOT
my $from_5 = write_bytes("$tmp/example.5-8", <<'EOT');
vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=
QnGia+DYqE8L1UyMMC58s6O10fpngKQLzOKHNHfatlg=
yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=
037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=
EOT
my @keys = ('--key', $log_key, '--witness', $witness);

is(sha256_hex(read_bytes($proof)), '0bf9828002bbff94663dd03222a9efe0393248371c7898347ed9df0031ae4f29',
	'the example is the known file');
is(unpack('H*', read_bytes($bundle)),
	'00000001000001100002202100023031000440414243000850515253545556570010606162636465666768696a6b6c6d6e6f',
	'its bundle too');
valid('the example', 'is entry 6 of the 8 entries', 'proof', @keys, '--entry', $leaf, $proof);
valid('its checkpoint', '8 entries, root XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz\+Nw7/RgQyg=, signed by the log and 1 of 1',
	'checkpoint', @keys, $example);
valid('without the witness', '0 of 0', 'checkpoint', '--key', $log_key, $example);
valid('from 5 to 8', 'only add to the first 5', 'consistency', '--key', $log_key, $signed_5, $example, $from_5);
invalid('leaves that are no entries', 'entry 1 in .* is not a JSON object', 'log', '--key', $log_key, $example, $bundle);

is_deeply(wrongly_valid($proof, 'proof', @keys, '--entry', $leaf, $proof), [], 'no changed or cut proof is valid');
is_deeply(wrongly_valid($leaf, 'proof', @keys, '--entry', $leaf, $proof), [], 'nor one of a changed entry');
is_deeply(wrongly_valid($example, 'checkpoint', @keys, $example), [], 'no changed or cut checkpoint is');
is_deeply(wrongly_valid($from_5, 'consistency', '--key', $log_key, $signed_5, $example, $from_5), [],
	'no changed or cut consistency proof is');

#
# Signatures
#
my $other_key = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
# the log's name and a key that is not its own, with the right id for both
my $forged_raw = "\x01" . decode_base64('GlzZBxQ8OExB6DDFvOEqqIF+xWSaqr8sMTiLNbLXRNY=');
my $forged = 'example.com/pgcredit-log+' . substr(sha256_hex("example.com/pgcredit-log\n$forged_raw"), 0, 8) . '+'
  . encode_base64($forged_raw, '');
my @lines = (read_bytes($example) =~ /^($dash .*\n)/mg);

invalid('another log', 'no signature by the key of PeterNeumann', 'checkpoint', '--key', $other_key, $example);
invalid('another key with the name', 'no signature by the key of example', 'checkpoint', '--key', $forged, $example);
invalid('no witness signed', '0 of the witnesses signed, 1 must', 'checkpoint', @keys, $signed_5);
valid('a quorum of none', '0 of 1 witnesses', 'checkpoint', @keys, '--quorum', 0, $signed_5);
invalid('a witness line twice does not count twice', '1 of the witnesses signed, 2 must', 'checkpoint', @keys,
	'--witness', 'w' . '+' . substr(sha256_hex("w\n\x04" . substr($forged_raw, 1)), 0, 8) . '+'
	  . encode_base64("\x04" . substr($forged_raw, 1), ''),
	changed($example, sub { $_[0] . $lines[1] }));
invalid('a bad signature beside a good one', "the log's signature does not verify", 'checkpoint', '--key', $log_key,
	changed($example, sub { $_[0] . $lines[0] =~ s/esSlBk/esSlBl/r }));
valid('a line of somebody else', '8 entries', 'checkpoint', @keys,
	changed($example, sub { $_[0] . "$dash somebody AAAAAAAA\n" }));
valid('a long one', '8 entries', 'checkpoint', @keys,
	changed($example, sub { $_[0] . "$dash somebody " . encode_base64('x' x 2432, '') . "\n" }));
invalid('too long a file', 'is longer than', 'checkpoint', @keys, changed($example, sub { $_[0] . ' ' x 300000 }));
invalid('an empty file', 'not a signed note', 'checkpoint', @keys, write_bytes("$tmp/empty", ''));
valid('keys from files', '1 of 1', 'checkpoint', '--key', '@' . write_bytes("$tmp/key", "$log_key\n"),
	'--witness', '@' . write_bytes("$tmp/witness", $witness), $example);

# A key may sign things that are no checkpoint of its log.
my $foo = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
invalid('a signed text', 'not a checkpoint', 'checkpoint', '--key', $foo, write_bytes("$tmp/message",
	"This is an example message.\n\n$dash example.com/foo "
	  . "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"));

# A key of that name, which signs for another log, or for what cannot be.
invalid('another origin', 'a checkpoint of another log', 'checkpoint', '--key', $log_key,
	write_log('-o', 'example.com/other', 3) . '/checkpoint');
invalid('no entries and another root', 'without entries has another root', 'checkpoint', '--key', $log_key,
	write_log('-x', 0) . '/checkpoint');
{
	my $liar = write_log('-x', 300);

	invalid('a log that signs another root', 'have the root', 'log', '--key', $log_key, "$liar/checkpoint", $liar);
}

#
# Proofs and consistency
#
invalid('a newline at the end of an entry', 'would be entry 6 without the newline', 'proof', @keys,
	'--entry', changed($leaf, sub { "$_[0]\n" }), $proof);
valid('an extra line', 'is entry 6', 'proof', @keys, '--entry', $leaf,
	changed($proof, sub { $_[0] =~ s/index/extra AAAA\nindex/r }));
invalid('an extra line that is none', 'no index', 'proof', @keys, '--entry', $leaf,
	changed($proof, sub { $_[0] =~ s/index/extra !\nindex/r }));
invalid('two of them', 'no index', 'proof', @keys, '--entry', $leaf,
	changed($proof, sub { $_[0] =~ s/index/extra AAAA\nextra AAAA\nindex/r }));
invalid('an index beyond the log', 'index 8 is not in', 'proof', @keys, '--entry', $leaf,
	changed($proof, sub { $_[0] =~ s/index 5/index 8/r }));
invalid('an index with a zero before it', 'no index', 'proof', @keys, '--entry', $leaf,
	changed($proof, sub { $_[0] =~ s/index 5/index 05/r }));
invalid('seventy hashes', 'too many', 'proof', @keys, '--entry', $leaf,
	changed($proof, sub { $_[0] =~ s/(index 5\n)(.*\n)/$1 . $2 x 70/er }));
invalid('the checkpoints the wrong way round', 'has 8 entries, .* only 5', 'consistency', '--key', $log_key,
	$example, $signed_5, $from_5);
invalid('no proof', 'does not prove', 'consistency', '--key', $log_key, $signed_5, $example, "$tmp/empty");
valid('the same checkpoint', 'add to the first 8', 'consistency', '--key', $log_key, $example, $example, "$tmp/empty");

#
# A log that forked: the same sizes, the same key, other entries
#
our $dir = write_log(700, 0, 255, 256, 300, 600);
my $fork = write_log('-p', 5, 700, 0, 255, 256, 300, 600);
my @key  = ('--key', $log_key);
invalid('two roots for one size', 'signed two different roots for 300 entries', 'consistency', @key,
	"$dir/300.checkpoint", "$fork/300.checkpoint", "$tmp/empty");
invalid('a rewritten log', 'does not prove', 'consistency', @key,
	"$dir/300.checkpoint", "$fork/700.checkpoint", "$fork/300-700.consistency");
valid('the log itself', 'add to the first 300', 'consistency', @key,
	"$dir/300.checkpoint", "$dir/700.checkpoint", "$dir/300-700.consistency");
valid('from nothing', 'add to the first 0', 'consistency', @key,
	"$dir/0.checkpoint", "$dir/700.checkpoint", "$dir/0-700.consistency");
invalid('its export against the fork', 'have the root .*, the checkpoint says', 'log', @key, "$fork/checkpoint", $dir);

#
# Exports
#
my @bundles = map { "$dir/tile/entries/$_" } '000', '001', '002.p/188';
valid('an export', 'the 700 entries', 'log', @keys, "$dir/checkpoint", $dir);
valid('its bundles by name', 'the 700 entries', 'log', @keys, "$dir/checkpoint", @bundles);
foreach my $size (0, 255, 256, 300, 600)
{
	valid("an older checkpoint, $size", "the $size entries", 'log', @key, "$dir/$size.checkpoint", $dir);
}
invalid('too few bundles', '2 files are not all', 'log', @key, "$dir/checkpoint", @bundles[ 0, 1 ]);
invalid('too many', 'is one more than', 'log', @key, "$dir/checkpoint", @bundles, $bundles[0]);
invalid('in another order', 'entry 1 in .*/001 calls itself 257', 'log', @key, "$dir/checkpoint", @bundles[ 1, 0, 2 ]);
invalid('a bundle left out', 'entry 257 in .*188 calls itself 513', 'log', @key, "$dir/checkpoint", @bundles[ 0, 2 ]);

# Runs the export with one file changed; undef takes it away.
sub with_change
{
	my ($file, $change, $check, $what, $says, @options) = @_;
	my $path   = "$dir/$file";
	my $before = read_bytes($path);

	if (defined $change) { copy(changed($path, $change), $path) or die "$path: $!" }
	else                 { unlink $path or die "$path: $!" }
	$check->($what, $says, 'log', @key, @options, "$dir/checkpoint", $dir);
	write_bytes($path, $before);
	return;
}

sub entries { return unpack '(n/a*)*', $_[0] }
sub packed  { return pack '(n/a*)*', @_ }

# Of an export without tiles only the root says that an entry is another.
with_change('tile/entries/001', sub { $_[0] =~ s/bank_3/bank_4/r }, \&invalid, 'a changed entry',
	'entry 262 in .*/001 is not the one whose hash is in tile/0');
with_change('tile/entries/001', sub { my @e = entries($_[0]); packed(@e[ 1, 0, 2 .. $#e ]) }, \&invalid,
	'two entries swapped', 'entry 257 in .*/001 is not the one');
with_change('tile/entries/001', sub { my @e = entries($_[0]); packed(@e[ 1 .. $#e ]) }, \&invalid,
	'an entry taken out', 'entry 257 in');
with_change('tile/entries/002.p/188', sub { my @e = entries($_[0]); packed(@e[ 0 .. 186 ]) }, \&invalid,
	'the last one taken away', 'ends within its entry 188');
with_change('tile/entries/002.p/188', sub { $_[0] . packed('{}') }, \&invalid, 'one added', 'more than 188 entries');
with_change('tile/entries/000', sub { $_[0] . "\0" }, \&invalid, 'a byte added', 'more than 256 entries');
with_change('tile/entries/000', sub { substr($_[0], 0, -1) }, \&invalid, 'a byte less', 'ends within its entry 256');
with_change('tile/entries/000', undef, \&invalid, 'a bundle missing', '/entries/000 is missing');
with_change('tile/entries/002.p/188', undef, \&invalid, 'the last bundle missing', '/entries/002.p/188 is missing');
with_change('tile/0/001', sub { substr($_[0], 0, 40) . 'x' . substr($_[0], 41) }, \&invalid, 'a changed tile',
	'entry 258 in .*/001 is not the one');
with_change('tile/0/001', sub { substr($_[0], 0, 8000) }, \&invalid, 'a short tile', '/0/001 does not have the 8192 bytes');
with_change('tile/0/002.p/188', sub { $_[0] . 'x' }, \&invalid, 'a long tile', 'does not have the 6016 bytes');
with_change('tile/1/000.p/2', sub { substr($_[0], 0, 32) . substr($_[0], 0, 32) }, \&invalid, 'a changed tile of level 1',
	'1/000.p/2: hash 1 is not that of the tile below');
with_change('tile/0/001', undef, \&valid, 'a tile missing', 'the 700 entries');

# A tile of level 1 that is full is looked at when its last hash comes.
{
	local $dir = write_log(65600);

	valid('a log with three levels', 'the 65600 entries', 'log', @key, "$dir/checkpoint", $dir);
	with_change('tile/1/000', sub { substr($_[0], 0, 8000) . 'x' . substr($_[0], 8001) }, \&invalid,
		'a changed full tile of level 1', '1/000: hash 250 is not that of the tile below');
	with_change('tile/2/000.p/1', sub { 'x' . substr($_[0], 1) }, \&invalid, 'a changed tile of level 2',
		'2/000.p/1: hash 0 is not that of the tile below');
}

# Numbers of entries, in an export of one entry that hashes as it should.
foreach my $case (
	[ '{"seq":2}',                        'calls itself 2' ],
	[ '{"seq":01}',                       'one "seq"' ],
	[ '{"seq":"1"}',                      'one "seq"' ],
	[ '{"seq":1.0}',                      'one "seq"' ],
	[ '{"seq":18446744073709551617}',     'one "seq"' ],
	[ '{"seq":1,"seq":1}',                'one "seq"' ],
	[ '{"a":{"seq":1}}',                  'one "seq"' ],
	[ '{"a":"\"seq\":1,"}',               'one "seq"' ],
	[ '{"a":"x","seq":1',                 'one "seq"' ],
	[ '{"seq":1}}',                       'one "seq"' ],
	[ '{"seq":1}{}',                      'one "seq"' ],
	[ ' {"seq":1}',                       'one "seq"' ],
	[ '["seq",1]',                        'one "seq"' ],
	[ '{"a":"\\\\","seq":2}',             'calls itself 2' ],
	[ '',                                 'one "seq"' ],
	[ '{"a":"\\\\\"","b":[{"seq":9}],"seq":1}', 'have the root' ],
	[ '{"recorded":"now","seq":1,"z":2}', 'have the root' ])
{
	my ($entry, $says) = @$case;

	invalid("an entry $entry", $says, 'log', @key, write_log(1) . '/checkpoint',
		write_bytes("$tmp/one", packed($entry)));
}

#
# Pruned exports: hashes in place of old entries
#
unlink "$dir/tile/entries/000";
invalid('a pruned export', '/entries/000 is missing', 'log', @key, "$dir/checkpoint", $dir);
valid('with --from', '256 of them are here by their hashes only', 'log', @key, '--from', 257, "$dir/checkpoint", $dir);
invalid('more pruned than was said', '/entries/000 is missing', 'log', @key, '--from', 256, "$dir/checkpoint", $dir);
with_change('tile/0/000', undef, \&invalid, 'without the hashes', 'and so is its tile', '--from', 257);
with_change('tile/0/000', sub { substr($_[0], 0, 40) . 'x' . substr($_[0], 41) }, \&invalid, 'a changed hash of it',
	'1/000.p/2: hash 0 is not', '--from', 257);
unlink "$dir/tile/1/000.p/2";
with_change('tile/0/000', sub { substr($_[0], 0, 40) . 'x' . substr($_[0], 41) }, \&invalid, 'and without level 1',
	'have the root', '--from', 257);
unlink "$dir/tile/entries/001", "$dir/tile/entries/002.p/188";
valid('nothing but hashes', '700 of them are here by their hashes only', 'log', @key, '--from', 701, "$dir/checkpoint", $dir);

#
# Large exports: entries of 60 kB, 60 MB in all, in 24 MB of address space
#
SKIP:
{
	my $limited = 'ulimit -v 24000 && exec "$@"';

	skip 'the program does not start in 24 MB', 2
	  if (run_program('sh', '-c', $limited, 'sh', $verify, '--version'))[0] != 0;
	my $large = write_log('-p', 60000, 1000);
	my ($status, $stdout, $stderr) =
	  run_program('sh', '-c', $limited, 'sh', $verify, 'log', @key, "$large/checkpoint", $large);
	is($status, 0, 'a large export needs little memory') or diag($stderr);
	cmp_ok(-s "$large/tile/entries/000", '>', 15_000_000, 'one of its bundles is over half of that');
}

#
# What cannot be checked
#
unable('no command', qr/Exit status/);
unable('an unknown command', qr/no command "chekpoint"/, 'chekpoint', @key, $example);
unable('no key', qr/--key is missing/, 'checkpoint', $example);
unable('no file', qr/takes 1 files, 0 are given/, 'checkpoint', @key);
unable('a missing file', qr/cannot open .*: No such file/, 'checkpoint', @key, "$tmp/missing");
unable('a directory for a file', qr/cannot (read|open) /, 'checkpoint', @key, $tmp);
unable('a key that is none', qr/--key x is not a key/, 'checkpoint', '--key', 'x', $example);
unable('a key with a wrong id', qr/is not a key/, 'checkpoint', '--key', $log_key =~ s/7ac4/7ac5/r, $example);
unable('a witness for a log', qr/is the key of a witness/, 'checkpoint', '--key', $witness, $example);
unable('a log for a witness', qr/is the key of a log/, 'checkpoint', @key, '--witness', $log_key, $example);
unable('a witness twice', qr/was given already/, 'checkpoint', @keys, '--witness', $witness, $example);
unable('a quorum that cannot be', qr/quorum of 2 needs/, 'checkpoint', @keys, '--quorum', 2, $example);
unable('a quorum of -1', qr/wants a number/, 'checkpoint', @keys, '--quorum', -1, $example);
unable('no entry', qr/--entry is missing/, 'proof', @key, $proof);
unable('an option of another command', qr/consistency does not take --witness/, 'consistency', @keys, $example, $example, $proof);
unable('an unknown option', qr/--help/, 'checkpoint', @key, '--trust-me', $example);
unable('--from without tiles', qr/needs a directory/, 'log', @key, '--from', 1, "$dir/checkpoint", $bundle);
unable('--from 0', qr/numbered from 1/, 'log', @key, '--from', 0, "$dir/checkpoint", $dir);
unable('two directories', qr/one directory/, 'log', @key, "$dir/checkpoint", $dir, $dir);
is((run_program($verify, '--help'))[0],    0, '--help helps');
is((run_program($verify, '--version'))[1] =~ /^pgcredit-verify \d/, 1, '--version has one');
SKIP:
{
	skip 'no /dev/full', 1 unless -c '/dev/full';
	is(system("$verify checkpoint --key '$log_key' '$example' > /dev/full 2> /dev/null") >> 8, 2,
		'an answer that cannot be written is none');
}

done_testing();
