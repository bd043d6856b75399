# The scanner of entries below PostgreSQL: values, and bytes that are no entry, under the compiler's sanitizers where it
# has them.  Needs no server.

use strict;
use warnings;

use File::Basename;
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = dirname(dirname(dirname(File::Spec->rel2abs(__FILE__))));
my $dir  = PostgreSQL::Test::Utils::tempdir;

plan skip_all => 'no C compiler' if system('cc --version >/dev/null 2>&1') != 0;

my @cc = ('cc', '-O1', '-g', '-Wall', '-o', "$dir/entry_test", "-I$root/src", "$root/test/unit/entry_test.c",
	"$root/src/audit/entry_kernel.c");
my $sanitized = IPC::Run::run([ @cc, '-fsanitize=address,undefined', '-fno-sanitize-recover=all' ], '>&', \my $log);
note('without sanitizers') unless $sanitized;
ok($sanitized || IPC::Run::run(\@cc, '>&', \$log), 'it compiles without PostgreSQL') or diag($log);
my ($out, $err) = ('', '');
ok(IPC::Run::run([ "$dir/entry_test" ], '>', \$out, '2>', \$err), 'its answers are right') or diag(join "\n", $err, grep { /^(not|#)/ } split /\n/, $out);
is((() = $out =~ /^ok /mg), 16, 'all of them');

done_testing();
