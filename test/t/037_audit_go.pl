# What the kernels write is checked by programs of others: test/go/logcheck.go,
# which is x/mod's sumdb/note and sumdb/tlog with a command line.  And each kind
# of file, damaged, is refused by it: a check that says yes to all is none.

use strict;
use warnings;

use File::Spec;
use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

use lib "$FindBin::RealBin/lib";
use PgCredit::LogFiles;

my $tmp     = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir);
my $program = "$tmp/logcheck";

plan skip_all => 'no C compiler' if system('cc --version >/dev/null 2>&1') != 0;
plan skip_all => 'go or golang.org/x/mod is not installed' unless compile_logcheck($program);

# Sizes around a tile's edge, and one with a third level.
my $dir = write_log(66100, 0, 1, 2, 3, 255, 256, 257, 300, 65535, 65536);
my ($status, $stdout, $stderr) = run_program($program, $dir);
is($status, 0, 'all files of a log hold') or diag(grep { /^not/ } split /^/, $stdout, $stderr);
like($stdout, qr/^checked 1 checkpoint, 11 checkpoints, 14 proofs, 55 consistency, 66100 entries, 262 tiles$/m,
	'and all of them were looked at');

# Changes a file as told and wants logcheck to name the given one.
sub refused
{
	my ($what, $name, $change, $named) = @_;
	my $path   = "$dir/$name";
	my $before = read_bytes($path);
	my $after  = $change->($before);

	BAIL_OUT("$what changes nothing") if $after eq $before;
	write_bytes($path, $after);
	my ($status, $stdout) = run_program($program, $dir);
	write_bytes($path, $before);
	is($status, 1, "$what: refused");
	like($stdout, qr/^not ok \Q$named\E: /m, "$what: $named is named");
	return;
}

# One bit of the byte at this place.
sub flip
{
	my ($bytes, $at) = @_;

	substr($bytes, $at, 1) = chr(ord(substr($bytes, $at, 1)) ^ 1);
	return $bytes;
}

refused('a changed entry', '256.entry', sub { flip($_[0], 10) }, '256.tlog-proof');
refused('a changed path', '256.tlog-proof', sub { $_[0] =~ s/(index \d+\n).*\n/$1 . 'A' x 43 . "=\n"/er }, '256.tlog-proof');
refused('a path with a hash less', '256.tlog-proof', sub { $_[0] =~ s/(index \d+\n).*\n/$1/r }, '256.tlog-proof');
refused('another index', '256.tlog-proof', sub { $_[0] =~ s/index 255/index 254/r }, '256.tlog-proof');
refused('another size in a checkpoint', '300.checkpoint', sub { $_[0] =~ s/\n300\n/\n301\n/r }, '300.checkpoint');
refused('a checkpoint without the log', '300.checkpoint', sub { $_[0] =~ s/\x{e2}\x{80}\x{94} example.*\n//r }, '300.checkpoint');
refused('a checkpoint without the witness', 'checkpoint', sub { $_[0] =~ s/\x{e2}\x{80}\x{94} witness.*\n//r }, 'checkpoint');
refused('a hash less in a consistency proof', '257-66100.consistency', sub { $_[0] =~ s/^.*\n//r }, '257-66100.consistency');
refused('a consistency proof of others', '257-300.consistency', sub { read_bytes("$dir/257-66100.consistency") }, '257-300.consistency');
refused('a changed bundle', 'tile/entries/100', sub { flip($_[0], 20) }, 'tile');
refused('a changed tile', 'tile/0/100', sub { flip($_[0], 100) }, 'tile');
refused('a changed tile of level 1', 'tile/1/000', sub { flip($_[0], 8191) }, 'tile');
refused('a changed tile of level 2', 'tile/2/000.p/1', sub { flip($_[0], 0) }, 'tile');

is((run_program($program, $dir))[0], 0, 'and all hold again when nothing is changed');

done_testing();
