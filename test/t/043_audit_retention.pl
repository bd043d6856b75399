# Retention: old entries are dropped by policy, whole tiles below a published checkpoint, never by hand; every proof of
# what remains and of what was dropped stays valid, through restart, crash, dump and failover; a dropping is an entry.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Digest::SHA qw(sha256);
use MIME::Base64 qw(encode_base64url);
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('retention', allows_streaming => 1, conf => "
pgcredit.audit_retention_least = 1s
pgcredit.checkpoint_interval = 0
max_prepared_transactions = 2
");
platform($node);

sub one
{
	my ($sql, $db, $at) = @_;
	return ($at // $node)->safe_psql($db // 'postgres', $sql);
}

sub set
{
	my (%setting) = @_;

	one("ALTER SYSTEM SET $_ = '$setting{$_}'") foreach sort keys %setting;
	one('SELECT pg_reload_conf()');
	foreach my $name (sort keys %setting)
	{
		$node->poll_query_until('postgres', "SELECT current_setting('$name') = '$setting{$name}'");
	}
	return;
}

sub look
{
	my ($db, $subject) = @_;
	return $node->safe_psql($db, open_sql($subject // 1), extra_params => [ '-U', 'bank_a' ]);
}

# Notes of the owner's; they are in the log when this returns.
sub notes
{
	my ($n, $db) = @_;

	one("SELECT count(credit._audit_note(jsonb_build_object('kind', 'note', 'nested', jsonb_build_object('recorded', '1999-01-01T00:00:00.000000Z'), 'n', g))) FROM generate_series(1, $n) g", $db);
	$node->poll_query_until($db // 'postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
	return;
}

# When this returns all entries are older than a second, and the notary has had a whole turn since the call: a
# checkpoint is answered in the next turn at the earliest, and what goes takes at most 32 tiles a turn.
sub turns
{
	my ($db, $n) = @_;

	$node->poll_query_until($db // 'postgres', q{
		SELECT (entry::jsonb ->> 'recorded')::timestamptz < clock_timestamp() - interval '1.1 s' FROM credit.audit_entry ORDER BY seq DESC LIMIT 1});
	one('SELECT credit._sign_checkpoint()', $db) foreach (1 .. ($n // 3));
	return;
}

sub kept_from { my ($db, $at) = @_; return one('SELECT kept_from FROM credit.stat_audit', $db, $at); }
sub size_of   { my ($db, $at) = @_; return one('SELECT credit.log_size()', $db, $at); }
sub newest    { my ($db, $at) = @_; return one('SELECT max(size) FROM credit.audit_checkpoint', $db, $at); }

# ---------------------------------------------------------------------------
# RFC 6962 by itself: from bytes, nothing of the extension's
# ---------------------------------------------------------------------------

sub node_hash { return sha256("\x01", @_); }

sub tree_hash
{
	my (@hashes) = @_;
	my $k = 1;

	return $hashes[0] if @hashes == 1;
	$k *= 2 while $k * 2 < @hashes;
	return node_hash(tree_hash(@hashes[ 0 .. $k - 1 ]), tree_hash(@hashes[ $k .. $#hashes ]));
}

sub root_of_path
{
	my ($index, $size, $hash, @path) = @_;
	my $last = $size - 1;

	foreach my $p (@path)
	{
		if ($index & 1 || $index == $last)
		{
			$hash = node_hash($p, $hash);
			until ($index & 1 || $index == 0) { $index >>= 1; $last >>= 1; }
		}
		else
		{
			$hash = node_hash($hash, $p);
		}
		$index >>= 1;
		$last >>= 1;
	}
	return $last == 0 ? $hash : 'wrong length';
}

sub hashes { my ($text) = @_; return map { pack('H*', $_) } $text =~ /([0-9a-f]{64})/g; }

sub root { my ($size, $db, $at) = @_; return (hashes(one("SELECT credit.log_root($size)", $db, $at)))[0]; }

# Is the entry with these bytes in the log of this size?
sub proves
{
	my ($seq, $bytes, $size, $db, $at) = @_;
	my @path = hashes(one("SELECT credit.inclusion_proof($seq, $size)", $db, $at));

	return root_of_path($seq - 1, $size, sha256("\x00", $bytes), @path) eq root($size, $db, $at);
}

# Does the proof lead from one root to the other? RFC 9162 section 2.1.4.2.
sub continues
{
	my ($old, $old_root, $new, $db, $at) = @_;
	my @path = hashes(one("SELECT credit.consistency_proof($old, $new)", $db, $at));
	my ($f, $s) = ($old - 1, $new - 1);

	unshift(@path, $old_root) if ($old & ($old - 1)) == 0;
	while ($f & 1) { $f >>= 1; $s >>= 1; }
	my ($one, $two) = ($path[0], $path[0]);
	foreach my $p (@path[ 1 .. $#path ])
	{
		if ($f & 1 || $f == $s)
		{
			($one, $two) = (node_hash($p, $one), node_hash($p, $two));
			until ($f & 1 || $f == 0) { $f >>= 1; $s >>= 1; }
		}
		else
		{
			$two = node_hash($two, $p);
		}
		$f >>= 1;
		$s >>= 1;
	}
	return $s == 0 && $one eq $old_root && $two eq root($new, $db, $at);
}

# What any outsider may have asked for; it must not change.
sub answers
{
	my ($size, $db, $at) = @_;

	return one("
		SELECT md5(string_agg(x, ' ')) FROM (
			SELECT credit.log_root(s)::text AS x FROM generate_series(1, $size, 97) s
			UNION ALL SELECT credit.inclusion_proof(s, $size)::text FROM generate_series(1, $size, 53) s
			UNION ALL SELECT credit.consistency_proof(s, $size)::text FROM generate_series(1, $size, 61) s
			UNION ALL SELECT credit.tile(0, s)::text FROM generate_series(0, $size / 256 - 1) s
			UNION ALL SELECT credit.tile(1, 0, $size / 256)::text) q", $db, $at);
}

# The entries of droppings say all that is gone, once, and their digests are the roots of what went.
sub droppings_add_up
{
	my ($name, $db, $at) = @_;
	my $next = 1;
	my $bad  = 0;

	foreach my $line (split /\n/, one(q{
		SELECT concat_ws(' ', e ->> 'from', e ->> 'to', e ->> 'count', e ->> 'digest') FROM (
			SELECT seq, entry::jsonb AS e FROM credit.audit_entry WHERE entry LIKE '%"kind":"retention"%') r ORDER BY seq}, $db, $at))
	{
		my ($from, $to, $count, $digest) = split / /, $line;
		my $first = ($from - 1) / 256;
		my $last  = $to / 256 - 1;
		my @leaves = hashes(one("SELECT string_agg(encode(credit.tile(0, n), 'hex'), '' ORDER BY n) FROM generate_series($first, $last) n", $db, $at));

		$bad++ if $from != $next || $to - $from + 1 != $count || @leaves != $count || encode_base64url(tree_hash(@leaves)) ne $digest;
		$next = $to + 1;
	}
	is($bad, 0, "$name: each dropping goes on where the one before ended, and its digest is the root of what went");
	is(kept_from($db, $at), $next, "$name: and they say all that went");
	return;
}

# ---------------------------------------------------------------------------
# A setting that cannot have been meant
# ---------------------------------------------------------------------------

my $plain = new_node('plain');
my ($code, $out, $err) = $plain->psql('postgres', "ALTER SYSTEM SET pgcredit.audit_retention = 30");
like($err, qr/invalid value .* "pgcredit.audit_retention": 30.*for at least 86400 s/s, 'thirty seconds that were to be days are refused');
is($plain->psql('postgres', "ALTER SYSTEM SET pgcredit.audit_retention = '1095d'"), 0, 'three years are not');
$plain->stop;

# ---------------------------------------------------------------------------
# What keeps entries
# ---------------------------------------------------------------------------

look('postgres');
notes(1400);
look('postgres', $_) foreach (1 .. 5);
one('SELECT credit.checkpoint()');
my $size = size_of();
my $root = root($size);
my %bytes = map { $_ => one("SELECT entry FROM credit.audit_entry WHERE seq = $_") } (1, 2, 255, 256, 257, 700, 1024, 1300);
my $answers = answers($size);
cmp_ok($size, '>', 1400, "a log of $size entries");

foreach my $statement ('DELETE FROM credit.audit_entry WHERE seq = 1', 'TRUNCATE credit.audit_entry', 'TRUNCATE credit.audit_leaf',
	'DELETE FROM credit.audit_leaf', 'UPDATE credit.audit_entry SET entry = entry', 'DELETE FROM credit.audit_pruned', 'TRUNCATE credit.audit_pruned')
{
	is((fails_with($node, 'postgres', 'postgres', $statement))[0], '42501', "by hand: $statement");
}

set('pgcredit.audit_retention' => '1h');
turns();
is(kept_from(), 1, 'young entries are kept');
set('pgcredit.audit_retention' => '1s', 'pgcredit.witness_quorum' => '1');
turns();
is(kept_from(), 1, 'what no published checkpoint covers is kept');

set('pgcredit.audit_retention' => '0', 'pgcredit.witness_quorum' => '0');
one(q{DO $$BEGIN PERFORM set_config('session_replication_role', 'replica', false); END$$; UPDATE credit.audit_entry SET entry = replace(entry, 'note', 'nota') WHERE seq = 700});
set('pgcredit.audit_retention' => '1s');
turns();
is(kept_from(), 1, 'entries that somebody has bent are kept');
is(one('SELECT failure_sqlstate, notary_failures > 0 FROM credit.stat_audit'), 'XX001|t', 'and the failure shows');
set('pgcredit.audit_retention' => '0');
one(q{DO $$BEGIN PERFORM set_config('session_replication_role', 'replica', false); END$$; UPDATE credit.audit_entry SET entry = replace(entry, 'nota', 'note') WHERE seq = 700});
# A hash that somebody has bent would be all that is left of its entry.
my $bend_hash = q{DO $$BEGIN PERFORM set_config('session_replication_role', 'replica', false); END$$;
	UPDATE credit.audit_leaf SET hashes = set_byte(hashes, 7, get_byte(hashes, 7) # 1) WHERE n = 3};
one($bend_hash);
set('pgcredit.audit_retention' => '1s');
turns();
is(kept_from(), 1, 'entries whose hash somebody has bent are kept');
set('pgcredit.audit_retention' => '0');
one($bend_hash);
one(q{CREATE TABLE gone AS SELECT * FROM credit.audit_entry WHERE seq <= 256;
	DO $$BEGIN PERFORM set_config('session_replication_role', 'replica', false); END$$; DELETE FROM credit.audit_entry WHERE seq <= 256});
set('pgcredit.audit_retention' => '1s');
turns();
is(kept_from(), 257, 'where entries went otherwise than by policy, nothing goes by it');
set('pgcredit.audit_retention' => '0');
one(q{DO $$BEGIN PERFORM set_config('session_replication_role', 'replica', false); END$$; INSERT INTO credit.audit_entry SELECT * FROM gone; DROP TABLE gone});
one(q{INSERT INTO credit.audit_conflict (note, what) SELECT origin || E'\n', 'ahead' FROM credit.audit_origin});
set('pgcredit.audit_retention' => '1s');
# such a log signs nothing, so turns are counted otherwise
my $failures = one('SELECT notary_failures FROM credit.stat_audit');
$node->psql('postgres', 'SELECT credit._sign_checkpoint()') foreach (1 .. 3);
cmp_ok(one('SELECT notary_failures FROM credit.stat_audit'), '>=', $failures + 3, 'a log that was set back signs nothing');
sleep(3);		# turns in which nothing is signed, one a second
is(kept_from(), 1, 'and keeps its entries');

# ---------------------------------------------------------------------------
# What goes
# ---------------------------------------------------------------------------

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

# In the middle of a dropping, which nothing hinders any more: rows are moved, its entry is not written.
my $holder = session($node, 'postgres');
ask($holder, 'BEGIN; LOCK TABLE credit.audit_outbox IN SHARE MODE;');
one(q{DO $$BEGIN PERFORM set_config('session_replication_role', 'replica', false); END$$; DELETE FROM credit.audit_conflict});
$node->poll_query_until('postgres', q{
	SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
	 WHERE NOT l.granted AND l.relation = 'credit.audit_outbox'::regclass AND a.backend_type = 'pgcredit notary'});
my $notary = one('SELECT notary_pid FROM credit.stat_audit');
kill('KILL', $notary);
eval { $holder->quit; 1 } or note('the session went with the server');
wait_until_up($node);
is(kept_from(), 1, 'killed in the middle of a dropping: nothing went');
is(one('SELECT count(*) FROM credit.audit_pruned'), 0, 'nothing was moved');
wait_for_writer($node);
log_is_whole($node, 'killed');
is(answers($size), $answers, 'killed: all answers are the same');
turns();
is(kept_from(), 1, 'after a start nothing goes before an access: the database may be a dump that is just being loaded');
look('postgres');
turns();

my $from = kept_from();
my $covered = int($size / 256) * 256;
is($from, $covered + 1, "dropped: entries 1 to $covered, whole tiles");
log_is_whole($node, 'dropped', 'postgres', from => $from);
is(one("SELECT count(*) FROM credit.audit_log WHERE seq < $from"), 0, 'they are not in the log any more');
is((fails_with($node, 'postgres', 'postgres', 'SELECT credit.entry_bundle(0)'))[0], 'PC004', 'nor is their bundle');
is(answers($size), $answers, 'dropped: all answers are the same');
is(one('SELECT count(DISTINCT n) || \' \' || count(*) FROM (SELECT n FROM credit.audit_leaf UNION ALL SELECT n FROM credit.audit_pruned) l'),
	join(' ', (int(size_of() / 32)) x 2), 'each hash stands in one place');
droppings_add_up('dropped');
is(one(q{SELECT count(*) FROM credit.audit_log WHERE kind = 'retention' AND entry::jsonb ?& '{actor,at,before,checkpoint,session_user,version}'::text[]}),
	one(q{SELECT count(*) FROM credit.audit_log WHERE kind = 'retention'}), 'an entry says who, when and below which checkpoint');
one('SELECT credit.checkpoint()');
my $size2 = newest();
cmp_ok($size2, '>', $size, 'the next checkpoint');
sub all_proofs
{
	my ($name, $db, $at) = @_;
	my $now = newest($db, $at);

	is(join(' ', grep { !proves($_, $bytes{$_}, $size, $db, $at) } keys %bytes), '', "$name: entries prove to the checkpoint from before");
	is(join(' ', grep { !proves($_, $bytes{$_}, $now, $db, $at) } keys %bytes), '', "$name: and to that of now");
	ok(!proves(700, $bytes{700} . ' ', $now, $db, $at), "$name: other bytes do not");
	ok(continues($size, $root, $now, $db, $at), "$name: the log continues the checkpoint from before");
	return;
}
all_proofs('dropped');
foreach my $statement ('DELETE FROM credit.audit_pruned', 'TRUNCATE credit.audit_pruned', q{UPDATE credit.audit_pruned SET hashes = ''})
{
	is((fails_with($node, 'postgres', 'postgres', $statement))[0], '42501', "by hand: $statement");
}
is((fails_with($node, 'postgres', 'postgres', q{INSERT INTO credit.audit_pruned VALUES (99999, '')}))[0], '55000', 'nor is anything added by hand');

# The last tile stays, full or not.
# A setting that changes is an entry, so the policy is in force before the tile is filled.
set('pgcredit.audit_retention' => '1s');
turns();
notes(256 - size_of() % 256);
is(size_of() % 256, 0, 'the last tile is full');
sleep(2);
turns();
is(newest(), size_of(), 'and signed');
is(size_of() - kept_from(), 255, 'it is kept');
set('pgcredit.audit_retention' => '0');
log_is_whole($node, 'full tile', 'postgres', from => kept_from());

# ---------------------------------------------------------------------------
# After it
# ---------------------------------------------------------------------------

$node->restart;
wait_for_writer($node);
is(look('postgres'), one('SELECT max(seq) FROM credit.audit_entry'), 'restarted: a read is recorded');
log_is_whole($node, 'restarted', 'postgres', from => kept_from());
is(answers($size), $answers, 'restarted: all answers are the same');
$node->stop('immediate');
$node->start;
wait_for_writer($node);
look('postgres');
one('SELECT credit.checkpoint()');
all_proofs('crashed');
is(answers($size), $answers, 'crashed: all answers are the same');

my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
my $last = size_of();
my $last_root = root($last);
$node->command_ok([ 'pg_dump', '-f', "$dump.sql", '-d', $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'pg_dump', '--inserts', '-f', "$dump.inserts", '-d', $node->connstr('postgres') ], 'pg_dump --inserts');
set('pgcredit.audit_retention' => '1s');
foreach my $how ('sql', 'inserts')
{
	$node->safe_psql('postgres', "CREATE DATABASE $how TEMPLATE template0");
	$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($how), '-f', "$dump.$how" ], "$how: restored, with the policy on");
	$node->poll_query_until($how, 'SELECT count(*) = 0 FROM credit.audit_outbox');
	log_is_whole($node, $how, $how, from => ($from = kept_from($how)));
	ok(root($last, $how) eq $last_root, "$how: the same root");
	is(answers($size, $how), $answers, "$how: all answers are the same");
	is(look($how), size_of($how), "$how: a read is recorded");
	# Two databases of a server do not sign as one log.
	is((fails_with($node, $how, 'postgres', 'SELECT credit.checkpoint()'))[0], 'PC005', "$how: a copy beside the log does not sign as it");
	one("SELECT credit.set_log_origin('$how.example/log', anew => true)", $how);
	one('SELECT credit.checkpoint()', $how);
	all_proofs($how, $how);
	notes(600, $how);
	turns($how, 4);
	cmp_ok(kept_from($how), '>', $from, "$how: the policy goes on");
	log_is_whole($node, "$how, dropped", $how, from => kept_from($how));
	all_proofs("$how, dropped", $how);
}

look('postgres');
notes(600);
turns('postgres', 4);
$node->wait_for_catchup($standby, 'replay');
is(kept_from('postgres', $standby), kept_from(), 'standby: the same entries are kept');
is(one('SELECT writer_pid IS NULL AND entries IS NULL AND outbox_rows = 0 AND checkpoint_size > 0 FROM credit.stat_audit', 'postgres', $standby), 't', 'standby: what can be seen is shown');
is(answers($size, 'postgres', $standby), $answers, 'standby: all answers are the same');
$node->stop('immediate');
$standby->promote;
wait_for_writer($standby);
is($standby->safe_psql('postgres', open_sql(1), extra_params => [ '-U', 'bank_a' ]), size_of('postgres', $standby), 'promoted: a read is recorded');
one('SELECT credit.checkpoint()', 'postgres', $standby);
all_proofs('promoted', 'postgres', $standby);
is(answers($size, 'postgres', $standby), $answers, 'promoted: all answers are the same');
log_is_whole($standby, 'promoted', 'postgres', from => kept_from('postgres', $standby));
$standby->stop;
done_testing();
