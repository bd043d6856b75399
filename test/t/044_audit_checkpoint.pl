# P5: checkpoints leave the server as they are signed, whatever becomes of the command that takes them, of the notary, of
# the server, of a standby; witnesses count when they are known and right; a dump and a standby have them too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use File::Spec;
use IPC::Run qw(run start);
use PgCredit::LogFiles;
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp    = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir);
my $verify = -x top() . '/bin/pgcredit-verify' ? top() . '/bin/pgcredit-verify' : 'pgcredit-verify';
my $signer = "$tmp/note_sign";
system(@{ compile_kernels('note_sign', $signer) }) == 0 or die 'note_sign does not compile';

sub bytes
{
	my ($on, $expression, $db) = @_;

	return pack 'H*', $on->safe_psql($db // 'postgres', "SELECT encode($expression, 'hex')");
}

sub sql_literal
{
	my ($text) = @_;

	return q{convert_from('\x} . unpack('H*', $text) . q{', 'UTF8')};
}

sub size_of
{
	my ($note) = @_;

	return (split /\n/, $note)[1];
}

# Until a condition on the files holds: what the notary does, it does within a second or two.
sub wait_for
{
	my ($condition) = @_;

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $condition->();
		select(undef, undef, undef, 0.1);
	}
	return 0;
}

sub set
{
	my ($on, %settings) = @_;

	$on->append_conf('postgresql.conf', join('', map { "pgcredit.$_ = '$settings{$_}'\n" } keys %settings));
	$on->reload;
	return;
}

sub grow
{
	my ($on) = @_;

	return $on->safe_psql('postgres', open_sql(1), extra_params => [ '-U', 'bank_a' ]);
}

sub notary_pid
{
	my ($on) = @_;

	$on->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit notary'});
	return $on->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgcredit notary'});
}

my $node = new_node('checkpoint', allows_streaming => 1,
	conf => "pgcredit.checkpoint_interval = 0\npgcredit.audit_timeout = 5s\npgcredit.checkpoint_command = 'cat >> \"$tmp/all\"'\n");
platform($node);
sub checkpoint { return bytes($node, q{convert_to(credit.checkpoint(), 'UTF8')}); }

#
# The command
#
my @notes;
foreach (1 .. 3)
{
	grow($node);
	push @notes, checkpoint();
	ok(wait_for(sub { -e "$tmp/all" && read_bytes("$tmp/all") eq join('', @notes) }), "checkpoint $_ was given to the command")
	  or diag(read_bytes("$tmp/all"));
}
is(checkpoint(), $notes[2], 'nothing new: the same checkpoint');

# it fails, then does not
set($node, checkpoint_command => "test -e \"$tmp/go\" && cat > \"$tmp/after\"");
my $from = PgCredit::Node::log_size($node);
my $seq  = grow($node);
my $note = checkpoint();
ok(wait_for(sub { log_since($node, $from) =~ /pgcredit.checkpoint_command failed/ }), 'a command that fails is in the server log');
ok(!-e "$tmp/after", 'and has got nothing');
cmp_ok(size_of(checkpoint()), '>=', $seq, 'checkpoints are signed all the same');
write_bytes("$tmp/go", '');
ok(wait_for(sub { -e "$tmp/after" && read_bytes("$tmp/after") eq $note }), 'it is tried again');

# it hangs
set($node, checkpoint_command => "touch \"$tmp/hangs\"; exec sleep 1000");
grow($node);
checkpoint();
ok(wait_for(sub { -e "$tmp/hangs" }), 'the command hangs');
cmp_ok(grow($node), '>', $seq, 'reads do not wait for it');
is((fails_with($node, 'postgres', 'postgres', 'SELECT credit.checkpoint()'))[0], 'PC002', 'who wants a checkpoint does, no longer than pgcredit.audit_timeout');
set($node, checkpoint_command => '');
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . notary_pid($node) . ')');
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit notary' AND backend_start > now() - interval '1 minute'});
cmp_ok(size_of(checkpoint()), '>', $seq, 'the notary is ended: another one signs');

#
# At an interval, and on demand from many
#
set($node, checkpoint_interval => 1);
$seq = grow($node);
ok($node->poll_query_until('postgres', "SELECT max(size) >= $seq FROM credit.checkpoint_log"), 'signed at the interval, unasked');
set($node, checkpoint_interval => 0);
my (@running, @out);
foreach my $k (0 .. 7)
{
	push @running, start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-U', 'postgres', '-c',
		"SELECT count(*) FROM generate_series(1, 20) g, LATERAL (SELECT credit.checkpoint() WHERE g > 0) c" ], '>', \$out[$k]);
}
foreach (1 .. 10) { $seq = grow($node); }
$_->finish foreach @running;
is(join(' ', map { chomp(my $o = $_); $o } @out), join(' ', (20) x 8), 'eight sessions ask at once, each is answered each time');
cmp_ok(size_of(checkpoint()), '>=', $seq, 'and the newest covers all');
log_is_whole($node, 'many');

#
# Witnesses
#
my %vkey;
foreach my $w ('w1', 'w2', 'w3')
{
	run [ $signer, 'vkey', 'witness', "$w.example", substr($w, 1) ], '>', \$vkey{$w};
}
sub cosign
{
	my ($w, $what, $seed) = @_;
	my $line;

	run [ $signer, 'line', 'witness', "$w.example", $seed // substr($w, 1), 1700000000 ], '<', \$what, '>', \$line;
	return $line;
}
set($node, witness_quorum => 2);
$node->poll_query_until('postgres', q{SELECT credit._witness_quorum() = 2});
is($node->safe_psql('postgres', "SELECT credit.add_witness('$vkey{$_}')"), "$_.example", "$_ is a witness") foreach ('w1', 'w2');
is((fails_with($node, 'postgres', 'postgres', 'SELECT credit.checkpoint()'))[0], 'PC006', 'no checkpoint counts before two have signed');
is((fails_with($node, 'postgres', 'postgres', 'SELECT credit.tlog_proof(1)'))[0], 'PC006', 'nor is there a proof');
$note = bytes($node, q{(SELECT convert_to(note, 'UTF8') FROM credit.audit_checkpoint ORDER BY size DESC LIMIT 1)});
my $size = size_of($note);
sub add { return $node->safe_psql('postgres', 'SELECT credit.add_cosignature(' . sql_literal($_[0]) . ($_[1] ? ", $_[1]" : '') . ')'); }
sub refused { return (fails_with($node, 'postgres', 'postgres', 'SELECT credit.add_cosignature(' . sql_literal($_[0]) . ($_[1] ? ", $_[1]" : '') . ')'))[0]; }
is(add($note . cosign('w3', $note)), 0, 'an unknown witness is passed over');
is(add($note . cosign('w1', $note)), 1, 'the first');
is(add($note . cosign('w1', $note)), 0, 'twice is once');
is((fails_with($node, 'postgres', 'postgres', 'SELECT credit.checkpoint()'))[0], 'PC006', 'one is not enough');
my $wrong = cosign('w2', $note);
substr($wrong, -20, 1) = substr($wrong, -20, 1) eq 'A' ? 'B' : 'A';
is(refused($note . $wrong), 'PC007', 'a cosignature with a changed bit');
is(refused($note . cosign('w2', $notes[0])), 'PC007', 'a cosignature on another checkpoint');
is(add($note . cosign('w2', $note, 'x')), 0, 'a cosignature of another key under a known name: of a stranger');
is(refused("x\n1\nAAAA\n\n" . cosign('w2', $note)), 'PC007', 'on what the log has not signed');
is(add(cosign('w2', $note), $size), 1, 'the second, its line alone');
my $published = checkpoint();
like($published, qr/^\Q$note\E.* w1.example .*\n.* w2.example .*\n\z/, 'with both it is published');
write_bytes("$tmp/vkey", $node->safe_psql('postgres', 'SELECT credit.log_vkey()') . "\n");
write_bytes("$tmp/published", $published);
is((run_program($verify, 'checkpoint', '--key', "\@$tmp/vkey", '--witness', $vkey{w1}, '--witness', $vkey{w2}, '--quorum', 2, "$tmp/published"))[2], '', 'the program outside counts both');
write_bytes("$tmp/entry", bytes($node, q{(SELECT convert_to(entry, 'UTF8') FROM credit.audit_log WHERE seq = 9)}));
write_bytes("$tmp/proof", bytes($node, q{convert_to(credit.tlog_proof(9), 'UTF8')}));
is((run_program($verify, 'proof', '--key', "\@$tmp/vkey", '--witness', $vkey{w1}, '--witness', $vkey{w2}, '--entry', "$tmp/entry", "$tmp/proof"))[2], '', 'and an entry is proven to it');
grow($node);
is(checkpoint(), $published, 'the newer one is not published yet: the older one is given');
is($node->safe_psql('postgres', q{SELECT cosignatures FROM credit.verify_log()}), '2', 'verify_log has checked the cosignatures');
like($node->safe_psql('postgres', q{SELECT set_config('session_replication_role', 'replica', false); BEGIN; UPDATE credit.audit_cosignature SET line = replace(line, 'w2.example', 'w1.example') WHERE witness = 'w2.example';
	SELECT problem FROM credit.verify_log()}), qr/^cosignature$/m, 'and finds one that is wrong');
set($node, witness_quorum => 0);
$node->poll_query_until('postgres', q{SELECT credit._witness_quorum() = 0});

#
# kill -9 of the notary
#
$seq = grow($node);
my $before = size_of(checkpoint());
kill 'KILL', notary_pid($node);
wait_until_up($node);
notary_pid($node);
grow($node);
cmp_ok(size_of(checkpoint()), '>', $before, 'kill -9 of the notary: it signs again');
log_is_whole($node, 'kill -9 of the notary');

#
# A dump, with what was signed
#
$node->command_ok([ 'pg_dump', '-f', "$tmp/dump.sql", '-d', $node->connstr('postgres') ], 'pg_dump');
# elsewhere: two databases of a server do not sign under one name
my $elsewhere = new_node('elsewhere', conf => "pgcredit.checkpoint_interval = 0\n");
platform($elsewhere);
$elsewhere->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$elsewhere->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $elsewhere->connstr('restored'), '-f', "$tmp/dump.sql" ], 'restored');
my $all = q{SELECT string_agg(size || note || cosignatures, '' ORDER BY size) FROM credit.checkpoint_log};
is($elsewhere->safe_psql('restored', $all), $node->safe_psql('postgres', $all), 'the restored log has its checkpoints and cosignatures');
is($elsewhere->safe_psql('restored', 'SELECT credit.check_checkpoint(' . sql_literal($note) . ')'), 'consistent', 'and continues what was signed');
is($elsewhere->safe_psql('restored', 'SELECT credit.log_vkey()') . "\n", read_bytes("$tmp/vkey"), 'under the same name');
log_is_whole($elsewhere, 'restored', 'restored');
$elsewhere->safe_psql('restored', open_sql(3), extra_params => [ '-U', 'bank_a' ]);
write_bytes("$tmp/restored", bytes($elsewhere, q{convert_to(credit.checkpoint(), 'UTF8')}, 'restored'));
write_bytes("$tmp/consistency", $elsewhere->safe_psql('restored', "SELECT string_agg(encode(h, 'base64') || E'\\n', '' ORDER BY n)
	FROM unnest(credit.consistency_proof($size, " . size_of(read_bytes("$tmp/restored")) . ')) WITH ORDINALITY p(h, n)'));
is((run_program($verify, 'consistency', '--key', "\@$tmp/vkey", "$tmp/published", "$tmp/restored", "$tmp/consistency"))[2], '', 'a checkpoint from before the dump is proven to one after it');
is((run_program($verify, 'proof', '--key', "\@$tmp/vkey", '--entry', "$tmp/entry", "$tmp/proof"))[2], '', 'a proof from before the dump holds');
$elsewhere->stop;

#
# A standby
#
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('checkpoint_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$note = checkpoint();
$node->wait_for_catchup($standby, 'replay');
is(bytes($standby, q{convert_to(credit.checkpoint(), 'UTF8')}), $note, 'a standby gives the checkpoint of the primary');
is($standby->safe_psql('postgres', "SELECT $_"), $node->safe_psql('postgres', "SELECT $_"), "a standby: $_")
  foreach ('credit.tlog_proof(5)', 'credit.tile(0, 0)', 'credit.entry_bundle(0)', 'credit.log_root()', 'credit.log_vkey()');
# with workers, for which a log must have more than two tiles
$node->safe_psql('postgres', q{SELECT count(credit._audit_note(jsonb_build_object('kind', 'test', 'n', g))) FROM generate_series(1, 600) g});
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
checkpoint();
$node->wait_for_catchup($standby, 'replay');
like(join(' ', verify_both($standby, 'postgres', 'a standby', result => q{concat_ws(' ', ok, size > 512, detail)})), qr/^t t [12]$/, 'a standby verifies the log');
is((fails_with($standby, 'postgres', 'postgres', 'SELECT credit._sign_checkpoint()'))[0], '25006', 'and signs nothing');

# synchronous, and away: nothing is handed out
$node->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = '*'});
set($node, checkpoint_command => "cat > \"$tmp/sync\"");
$node->poll_query_until('postgres', q{SELECT sync_state = 'sync' FROM pg_stat_replication});
grow($node);
$note = checkpoint();
ok(wait_for(sub { -e "$tmp/sync" && read_bytes("$tmp/sync") eq $note }), 'synchronous: given out');
$seq = grow($node);
$standby->stop;
# nor when the notary is told to go while it waits for the standby to have the checkpoint
my $asker = session($node, 'postgres');
my $notary = notary_pid($node);
$asker->query_safe("SET pgcredit.audit_timeout = '6s'");
$asker->{stdin} .= "SELECT credit.checkpoint() IS NULL;\n";
$asker->{run}->pump_nb;
$node->poll_query_until('postgres', qq{SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $notary});
$node->safe_psql('postgres', "SELECT pg_terminate_backend($notary)");
my ($row, $answer) = ask($asker, 'SELECT 1');
is("$row $answer", '1 PC001', 'the notary was ended while it waits for the standby: no checkpoint');
$asker->quit;
is((fails_with($node, 'postgres', 'postgres', "SET pgcredit.audit_timeout = '1s'; SELECT credit.checkpoint()"))[0], 'PC002', 'the standby is away: no checkpoint');
# a commit that was cut short stands in the table, and is no more replicated than before
kill 'KILL', notary_pid($node);
wait_until_up($node);
notary_pid($node);
is($node->safe_psql('postgres', "SELECT max(size) >= $seq FROM credit.audit_checkpoint"), 't', 'after a crash the checkpoint stands in the table');
is((fails_with($node, 'postgres', 'postgres', "SET pgcredit.audit_timeout = '1s'; SELECT credit.checkpoint()"))[0], 'PC002', 'and is still not handed out');
is(read_bytes("$tmp/sync"), $note, 'nor given to the command');
$standby->start;
$node->poll_query_until('postgres', q{SELECT sync_state = 'sync' FROM pg_stat_replication});
$note = checkpoint();
cmp_ok(size_of($note), '>=', $seq, 'the standby is back: it is');
ok(wait_for(sub { read_bytes("$tmp/sync") eq $note }), 'and given to the command');

# the standby takes over
$node->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', q{ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()});
wait_for_writer($standby);
notary_pid($standby);
grow($standby);
my $new = bytes($standby, q{convert_to(credit.checkpoint(), 'UTF8')});
cmp_ok(size_of($new), '>', size_of($note), 'promoted: it signs');
is((split /\n/, $new)[0], (split /\n/, $note)[0], 'under the same name');
is($standby->safe_psql('postgres', 'SELECT credit.check_checkpoint(' . sql_literal($note) . ')'), 'consistent', 'and continues what the old primary had signed');
log_is_whole($standby, 'promoted');
$standby->stop;
done_testing();
