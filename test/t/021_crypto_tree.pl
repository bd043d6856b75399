# The Merkle tree and signed notes below PostgreSQL: known answers, every proof
# of every size up to 100 and its damaged forms, and the proofs that
# transparency-dev/merkle tests its own checks with.  Needs no server.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use JSON::PP;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;

use lib "$FindBin::RealBin/lib";
use PgCredit::LogFiles;

my $dir = PostgreSQL::Test::Utils::tempdir;

plan skip_all => 'no C compiler' if system('cc --version >/dev/null 2>&1') != 0;

foreach my $name ('merkle', 'note')
{
	my $stdout;

	command_ok(compile_kernels("${name}_test", "$dir/${name}_test"),
		"the $name kernel compiles without PostgreSQL");
	my $result = IPC::Run::run([ "$dir/${name}_test" ], '>', \$stdout);
	ok($result, 'its answers are right') or diag(join "\n", grep { /^(not|#)/ } split /\n/, $stdout);
}

# Proofs of others.  Where a root or hash in them is not 32 bytes long it is
# filled up: only so can our check, which takes 32 bytes, be asked at all.  An
# empty one is filled with a byte of its place, so that two of them differ.
sub hash_hex
{
	my ($base64, $fill) = @_;
	my $bytes = decode_base64($base64);

	return unpack 'H*', substr($bytes . ($bytes eq '' ? chr($fill) : "\0") x 32, 0, 32);
}

# Three of them begin at size 0, which transparency-dev/merkle refuses to speak
# of and C2SP tlog-witness takes with an empty proof.  So do we, but only with
# the root that an empty tree has.
my %differs = (
	'additional/size1-is-zero-and-size2-is-not-zero.json'            => 'accepted',
	'additional/size1-is-zero-and-does-not-equal-size2.json'         => 'refused',
	'additional/sizes-are-equal-zero-and-proof-is-empty.json'        => 'refused');

SKIP:
{
	my $file = ($ENV{PGCREDIT_DATA} // '') . '/merkle-probes.json';
	my (@lines, @wanted, $stdout);

	skip 'no merkle-probes.json in PGCREDIT_DATA', 7 unless -r $file;
	my $probes = decode_json(slurp_file($file));
	is(scalar(@$probes), 196, 'there are 196 probes');
	foreach my $probe (@$probes)
	{
		my @words = $probe->{kind} eq 'inclusion'
		  ? (@$probe{qw(leafIdx treeSize)}, hash_hex($probe->{leafHash}, 1), hash_hex($probe->{root}, 2))
		  : (@$probe{qw(size1 size2)}, hash_hex($probe->{root1}, 1), hash_hex($probe->{root2}, 2));

		push @lines, join ' ', $probe->{kind}, @words, map { hash_hex($_, 3) } @{ $probe->{proof} // [] };
		push @wanted, $probe->{wantErr} ? 'refused' : 'accepted';
	}
	ok(IPC::Run::run([ "$dir/merkle_test", 'probes' ], '<', \join('', map { "$_\n" } @lines), '>', \$stdout),
		'all are answered');
	my @got = split /\n/, $stdout;
	is(scalar(@got), 196, 'each of them');
	my @other;
	foreach my $i (0 .. $#$probes)
	{
		my ($kind, $name) = @{ $probes->[$i] }{qw(kind name)};

		if (defined $differs{$name} && $kind eq 'consistency')
		{
			is($got[$i], $differs{$name}, "size 0: $name is $differs{$name}");
			next;
		}
		push @other, "$kind $name: $got[$i]" if $got[$i] ne $wanted[$i];
	}
	is_deeply(\@other, [], 'the other 193 as their authors have it');
}

done_testing();
