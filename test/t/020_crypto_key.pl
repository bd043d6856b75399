# The master key: which sources the server accepts, that it refuses to start on
# the others, that the same key is the same key after a restart and a crash, and
# that neither SQL, dumps, files, logs nor memory show it.

use strict;
use warnings;

use File::Basename;
use File::Find;
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX ();
use Test::More;

# Two keys whose names and subkeys Python's hashlib.blake2b gave, and whose bytes
# occur nowhere else; the platform's public key is OpenSSL's for subkey 5 as seed.
my $key        = '1ac7d72024afd353ab04c28ed0c2a88622fc89df11914d46d11f24dd3ef18a17';
my $key_id     = 'a7b956dee9f58152';
my $other_key  = 'f' x 64;
my $other_id   = '3644e7b0b96dce61';
my %platform_key = (
	$key_id   => '9d99b8f96aba9b69875e1601a14072283462733ddcdfbd36d2f1da8bbf157713',
	$other_id => '1d520b115f3cd9d1a9a2b0186fb3700d433bc0fcea0c58a3d52d50645619af68');
my $subkey_one = 'e1f71a94e8074acfb7026dab7273605bda02bb0909fb92778989e0936f0b2e27';

my $dir  = PostgreSQL::Test::Utils::tempdir;
my $path = "$dir/key";
my $node = PostgreSQL::Test::Cluster->new('key');

$node->init;
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'pgcredit'
restart_after_crash = on
include_if_exists = 'key.conf'
});

# Writes a file of the given content and mode and returns its path.
sub write_file
{
	my ($name, $content, $mode) = @_;

	unlink $name;
	open(my $fh, '>', $name) or die "$name: $!";
	print $fh $content;
	close($fh) or die "$name: $!";
	chmod($mode, $name) or die "$name: $!";
	return $name;
}

# Settings for the next start; values are quoted here.
sub configure
{
	my (%setting) = @_;
	my $conf = '';

	foreach my $name (sort keys %setting)
	{
		(my $value = $setting{$name}) =~ s/'/''/g;
		$conf .= "pgcredit.$name = '$value'\n";
	}
	write_file($node->data_dir . '/key.conf', $conf, 0600);
	return;
}

sub log_size { return -s $node->logfile // 0; }

# The server must not start with these settings, and must say why.
sub refused
{
	my ($what, $setting, $reason) = @_;
	my $from = log_size();
	my $log;

	configure(%$setting);
	ok(!$node->start(fail_ok => 1), "$what: the server does not start");
	$log = substr(slurp_file($node->logfile), $from);
	like($log, qr/FATAL:  $reason/, "$what: the log says why");
	# Whatever was started in spite of it would disturb all that follows.
	$node->stop('immediate') if -e $node->data_dir . '/postmaster.pid';
	return;
}

# The server must start with these settings and name its key so ('' is none).
sub accepted
{
	my ($what, $setting, $id) = @_;

	configure(%$setting);
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS pgcredit');
	is($node->safe_psql('postgres', 'SELECT credit.key_id()'), $id, "$what: key_id");
	foreach my $call ('credit.platform_key()', q{credit._platform_sign('x')})
	{
		my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT encode($call, 'hex')");

		is($out, $platform_key{$id}, "$what: platform_key") if $id ne '' && $call =~ /platform_key/;
		like($err, $what eq 'not preloaded' ? qr/ERROR:  55000/ : qr/ERROR:  PC201/, "$what: no $call") if $id eq '';
	}
	$node->stop;
	return;
}

#
# Known answers of the code below PostgreSQL
#
SKIP:
{
	my $root    = dirname(dirname(dirname(File::Spec->rel2abs(__FILE__))));
	my $program = "$dir/crypto_test";

	skip 'no C compiler', 4 if system('cc --version >/dev/null 2>&1') != 0;
	foreach my $sha256 ('sodium', 'openssl')
	{
		my $stdout;

		command_ok(
			[ 'cc', '-Wall', '-o', $program, "-I$root/src", "$root/test/unit/crypto_test.c",
				map({ "$root/src/crypto/${_}_kernel.c" } 'crypto', "sha256_$sha256"), '-lsodium', '-lcrypto' ],
			"the kernel compiles without PostgreSQL, SHA-256 by $sha256");
		my $result = IPC::Run::run([$program], '>', \$stdout);
		ok($result, "its known answers are right, SHA-256 by $sha256") or diag(grep { /^(not|#)/m } $stdout);
	}
}

#
# Which keys are accepted
#
accepted('no key', {}, '');
write_file($path, "$key\n", 0600);
accepted('a file with a newline', { key_file => $path }, $key_id);
accepted('the same file again', { key_file => $path }, $key_id);
accepted('a path from the data directory',
	{ key_file => File::Spec->abs2rel($path, $node->data_dir) }, $key_id);
write_file($path, $key, 0400);
accepted('a file without a newline, mode 0400', { key_file => $path }, $key_id);
write_file($path, uc($key), 0600);
accepted('capital digits', { key_file => $path }, $key_id);
write_file($path, "$other_key\n", 0600);
accepted('another key', { key_file => $path }, $other_id);
accepted('a command', { key_command => "echo $key" }, $key_id);
accepted('a command with a pipe and quotes', { key_command => "printf '%s' '$key' | cat" }, $key_id);

#
# Which are refused
#
write_file($path, "$key\n", 0600);
refused('both set', { key_file => $path, key_command => "echo $key" },
	qr/pgcredit\.key_file and pgcredit\.key_command are both set/);
foreach my $mode (0644, 0640, 0604, 0620, 0660, 0700)
{
	chmod($mode, $path);
	refused(sprintf('mode %04o', $mode), { key_file => $path },
		sprintf('key file "%s" has mode %04o', $path, $mode));
}
refused('a missing file', { key_file => "$path.missing" },
	qr/could not open key file .*: No such file or directory/);
refused('a directory', { key_file => $dir }, qr/key file .* is not a regular file/);
POSIX::mkfifo("$dir/fifo", 0600) or die "mkfifo: $!";
refused('a FIFO', { key_file => "$dir/fifo" }, qr/key file .* is not a regular file/);
refused('a device', { key_file => '/dev/zero' }, qr/key file .* is not a regular file/);

write_file($node->data_dir . '/key', "$key\n", 0600);
refused('a file in the data directory', { key_file => 'key' }, qr/key file "key" lies in the data directory/);
symlink($node->data_dir . '/key', "$dir/link") or die "symlink: $!";
refused('a link into it', { key_file => "$dir/link" }, qr/key file .* lies in the data directory/);
unlink $node->data_dir . '/key';

foreach my $case (
	[ 'an empty file', '', 'It is empty' ],
	[ 'a short key', substr($key, 2), 'It is too short' ],
	[ 'a long key', $key . '00', 'It is too long' ],
	[ 'a key and two newlines', "$key\n\n", 'It is too long' ],
	[ 'a letter that is no digit', substr($key, 1) . 'g', 'It has a character that is not' ],
	[ 'a space before', ' ' . substr($key, 1), 'It has a character that is not' ])
{
	my ($what, $content, $detail) = @$case;

	write_file($path, $content, 0600);
	refused($what, { key_file => $path },
		qr/key from pgcredit\.key_file is malformed\n.*DETAIL:  $detail/);
}

refused('a failing command', { key_command => "echo $key; exit 3" },
	qr/pgcredit\.key_command failed\n.*DETAIL:  child process exited with exit code 3/);
refused('a killed command', { key_command => "echo $key; kill -9 \$\$" },
	qr/pgcredit\.key_command failed\n.*DETAIL:  child process was terminated by signal 9/);
refused('a command that does not exist', { key_command => 'pgcredit-no-such-command' },
	qr/pgcredit\.key_command failed\n.*DETAIL:  command not found/);
refused('a command that hangs, under timeout', { key_command => 'timeout -s KILL 1 sleep 600' },
	qr/pgcredit\.key_command failed\n.*DETAIL:  child process exited with exit code 137/);
refused('a silent command', { key_command => 'true' },
	qr/key from pgcredit\.key_command is malformed\n.*DETAIL:  It is empty/);
refused('an endless command', { key_command => 'yes' },
	qr/key from pgcredit\.key_command is malformed\n.*DETAIL:  It is too long/);

# Memory that cannot be locked: pg_ctl is called by hand to lower the limit.
write_file($path, "$key\n", 0600);
SKIP:
{
	my $from = log_size();
	my @command = ('sh', '-c', 'ulimit -l 0 && exec "$@"', 'sh', 'pg_ctl', '-w', '-D',
		$node->data_dir, '-l', $node->logfile, 'start');

	skip 'the superuser may lock any memory', 2 if $> == 0;
	configure(key_file => $path);
	{
		local %ENV = $node->_get_env();
		command_fails(\@command, 'no memory may be locked: the server does not start');
	}
	like(substr(slurp_file($node->logfile), $from),
		qr/FATAL:  could not lock the memory that holds the key/, 'and says why');
	system('pg_ctl', '-D', $node->data_dir, '-m', 'immediate', 'stop')
	  if -e $node->data_dir . '/postmaster.pid';
}

# pg_upgrade starts servers that need no key.
{
	local %ENV = $node->_get_env();
	configure(key_file => "$path.missing");
	command_ok(
		[ 'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', '-b', 'start' ],
		'a server of pg_upgrade starts without the key');
	command_ok([ 'pg_ctl', '-w', '-D', $node->data_dir, 'stop' ], 'and stops');
}

#
# What a running server shows of its key
#
configure(key_file => $path);
$node->start;

my ($stdout, $stderr);
my $settings = "SELECT name, setting, reset_val, boot_val FROM pg_settings WHERE name ~ '^pgcredit'";
my $file_settings = 'SELECT name, setting FROM pg_file_settings';

is($node->safe_psql('postgres', 'SHOW pgcredit.key_file'), $path, 'a superuser sees the path');
$node->safe_psql('postgres', 'CREATE ROLE nobody LOGIN');
$node->psql('postgres', 'SHOW pgcredit.key_file', extra_params => [ '-U', 'nobody' ], stderr => \$stderr);
like($stderr, qr/must be superuser|permission denied/, 'others do not');
$node->psql('postgres', 'SHOW pgcredit.key_command', extra_params => [ '-U', 'nobody' ], stderr => \$stderr);
like($stderr, qr/must be superuser|permission denied/, 'nor the command');
foreach my $statement ('SET pgcredit.key_file = \'x\'', 'ALTER SYSTEM SET pgcredit.key_file = \'x\'',
	'ALTER SYSTEM SET pgcredit.key_command = \'x\'', 'ALTER DATABASE postgres SET pgcredit.key_file = \'x\'')
{
	$node->psql('postgres', "\\set VERBOSITY sqlstate\n$statement", stderr => \$stderr);
	like($stderr, qr/ERROR:  55P02/, "SQL cannot change where the key comes from: $statement");
}
foreach my $call ('credit.key_id()', 'credit.random_bytes(16)')
{
	$node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT $call",
		extra_params => [ '-U', 'nobody' ], stderr => \$stderr);
	like($stderr, qr/ERROR:  42501/, "PUBLIC may not call $call");
}
unlike($node->safe_psql('postgres', "$settings; $file_settings; SHOW ALL"),
	qr/$key/i, 'no setting holds the key');
unlike($node->safe_psql('postgres', 'SELECT * FROM pg_proc, LATERAL pg_get_functiondef(pg_proc.oid) d '
		  . "WHERE pronamespace = 'credit'::regnamespace AND prokind = 'f'"),
	qr/$key/i, 'no function holds it');

($stdout, $stderr) = run_command([ 'pg_dumpall', '-h', $node->host, '-p', $node->port ]);
like($stdout, qr/CREATE EXTENSION IF NOT EXISTS pgcredit/, 'a dump has the extension');
unlike($stdout, qr/$key|\Q$path\E/i, 'a dump has neither the key nor its path');

# The children that are started after a crash have it from the postmaster,
# which does not read it again.
unlink $path;
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $backend = $session->query_safe('SELECT pg_backend_pid()');
my $from    = log_size();
kill 'KILL', $backend;
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
sleep 1
  until substr(slurp_file($node->logfile), $from) =~ /all server processes terminated; reinitializing/
  or time > $deadline;
ok(time <= $deadline, 'the server went through a crash');
eval { $session->quit };
ok($node->poll_query_until('postgres', "SELECT credit.key_id() = '$key_id'"),
	'the key is there after it, although its file is gone');

# Every place where one of the byte strings lies in the memory of a process, as
# "name rights", or undef when the system does not let us look.
sub search_memory
{
	my ($pid, %needle) = @_;
	my (@found, @maps);

	open(my $maps, '<', "/proc/$pid/maps") or return;
	@maps = <$maps>;
	close($maps);
	open(my $mem, '<:raw', "/proc/$pid/mem") or return;
	foreach my $line (@maps)
	{
		my ($start, $end, $rights) = $line =~ /^([0-9a-f]+)-([0-9a-f]+) (\S+)/;
		my $bytes;

		next if $line =~ /\[v/;
		($start, $end) = (hex $start, hex $end);
		sysseek($mem, $start, 0) or next;
		sysread($mem, $bytes, $end - $start) or next;
		foreach my $name (sort keys %needle)
		{
			my $at = -1;
			push @found, "$name $rights"
			  while ($at = index($bytes, $needle{$name}, $at + 1)) >= 0;
		}
	}
	return \@found;
}

# The flags of the mappings without any access that core dumps leave out.
sub protected_flags
{
	my ($pid) = @_;
	my ($rights, @flags) = ('');

	open(my $smaps, '<', "/proc/$pid/smaps") or return;
	while (my $line = <$smaps>)
	{
		$rights = $1 if $line =~ /^[0-9a-f]+-[0-9a-f]+ (\S+)/;
		push @flags, $1 if $rights eq '---p' && $line =~ /^VmFlags:(.* dd\b.*)/;
	}
	return \@flags;
}

# In memory the text and the master key are nowhere, and a subkey, which proves
# that the search sees what is there, is in one place that nothing may touch.
$session = $node->background_psql('postgres');
$backend = $session->query_safe('SELECT pg_backend_pid()');
my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
foreach my $process ([ postmaster => $postmaster ], [ backend => $backend ])
{
	my ($name, $pid) = @$process;
  SKIP:
	{
		my $found = search_memory($pid, text => $key, half => substr($key, 0, 32),
			master => pack('H*', $key), subkey => pack('H*', $subkey_one));
		skip "cannot read the memory of the $name", 1 unless defined $found;
		is_deeply($found, ['subkey ---p'], "memory of the $name holds nothing of the key but the protected subkeys");
	}
  SKIP:
	{
		my $flags = protected_flags($pid);
		skip 'no /proc/PID/smaps', 1 unless defined $flags;
		is(scalar(@$flags), 1, "they are left out of a core dump of the $name");
		like($flags->[0], qr/\blo\b/, 'and locked') if $name eq 'postmaster';
	}
}
$session->quit;
$node->stop;

# Neither the log nor any file of the cluster holds the text of the key; the
# settings file of this test, in which a command spelt it out, is written anew.
configure(key_file => $path);
my @holders;
find(
	sub {
		push @holders, $File::Find::name if -f $_ && slurp_file($_) =~ /$key|\Q@{[ pack 'H*', $key ]}\E/i;
	},
	$node->data_dir);
is_deeply(\@holders, [], 'no file of the data directory holds the key');
unlike(slurp_file($node->logfile), qr/$key|@{[ substr $key, 0, 20 ]}/i, 'nor does the log');

# The same, with the library loaded on demand only.
write_file($path, "$key\n", 0600);
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
accepted('not preloaded', { key_file => $path }, '');

done_testing();
