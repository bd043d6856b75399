# Files of a log that the kernels write without a server (test/unit/log_write.c), and ways to damage them.
package PgCredit::LogFiles;

use strict;
use warnings;

use Exporter qw(import);
use File::Basename;
use File::Spec;
use File::Temp;
use IPC::Run;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(top compile_kernels compile_logcheck write_log read_bytes write_bytes run_program);

my $writer;

# The folder with the sources.
sub top
{
	return dirname(dirname(dirname(dirname(dirname(File::Spec->rel2abs(__FILE__))))));
}

# Compiles test/unit/NAME.c with the kernels, without PostgreSQL, to the given path.
sub compile_kernels
{
	my ($name, $program) = @_;
	my $top = top();

	return [ 'cc', '-O2', '-Wall', '-o', $program, "-I$top/src", "$top/test/unit/$name.c",
		map({ "$top/src/crypto/${_}_kernel.c" } 'merkle', 'note', 'crypto', 'sha256_sodium'), '-lsodium' ];
}

# Builds test/go/logcheck.go at this absolute path. False when there is no Go, or no golang.org/x/mod, to do it with;
# dies when there is and it does not compile.
sub compile_logcheck
{
	my ($program) = @_;
	my $cache = File::Temp->newdir;

	return 0 if system('go version >/dev/null 2>&1') != 0 || !-e '/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog/tlog.go';
	local @ENV{qw(GO111MODULE GOPATH GOCACHE GOFLAGS GOTOOLCHAIN)} = ('off', '/usr/share/gocode', "$cache", '', 'local');
	system('go', 'build', '-o', $program, top() . '/test/go/logcheck.go') == 0 or die 'logcheck does not compile';
	return 1;
}

# A new folder with a log, by the options and sizes of log_write.c.
sub write_log
{
	my (@arguments) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir;
	my @options;

	push @options, shift @arguments while $arguments[0] !~ /^\d/ || @options && $options[-1] =~ /^-[po]/;

	if (!defined $writer)
	{
		$writer = PostgreSQL::Test::Utils::tempdir . '/log_write';
		system(@{ compile_kernels('log_write', $writer) }) == 0 or die 'log_write does not compile';
	}
	system($writer, @options, $dir, @arguments) == 0 or die 'log_write failed';
	return $dir;
}

sub read_bytes
{
	my ($path) = @_;

	open(my $file, '<:raw', $path) or die "$path: $!";
	local $/;
	my $bytes = <$file>;
	close($file);
	return $bytes // '';
}

sub write_bytes
{
	my ($path, $bytes) = @_;

	open(my $file, '>:raw', $path) or die "$path: $!";
	print $file $bytes;
	close($file) or die "$path: $!";
	return $path;
}

# Exit status (128 and the signal where one killed it), standard output and error.
sub run_program
{
	my (@command) = @_;
	my ($stdout, $stderr) = ('', '');

	IPC::Run::run(\@command, '<', \undef, '>', \$stdout, '2>', \$stderr);
	return (($? & 127) ? 128 + ($? & 127) : $? >> 8, $stdout, $stderr);
}

1;
