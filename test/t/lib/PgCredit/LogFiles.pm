# Files of a log that the kernels write without a server (test/unit/log_write.c), and ways to damage them.
package PgCredit::LogFiles;

use strict;
use warnings;

use Exporter qw(import);
use File::Basename;
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(top compile_kernels write_log read_bytes write_bytes run_program);

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
		map({ "$top/src/crypto/${_}_kernel.c" } 'merkle', 'note', 'crypto'), '-lsodium' ];
}

# A new folder with a log of these sizes, the last one first, and perhaps padding; see log_write.c.
sub write_log
{
	my (@arguments) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir;
	my @padding = $arguments[0] eq '-p' ? splice(@arguments, 0, 2) : ();

	if (!defined $writer)
	{
		$writer = PostgreSQL::Test::Utils::tempdir . '/log_write';
		system(@{ compile_kernels('log_write', $writer) }) == 0 or die 'log_write does not compile';
	}
	system($writer, @padding, $dir, @arguments) == 0 or die 'log_write failed';
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
