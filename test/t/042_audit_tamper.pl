# P5: whoever bends the log is caught. A superuser does what a superuser can; after each, credit.verify_log names it, or,
# where nothing inside the server can, a checkpoint that was kept outside does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use File::Copy;
use File::Spec;
use IPC::Run qw(run);
use PgCredit::LogFiles;
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp    = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir);
my $verify = -x top() . '/bin/pgcredit-verify' ? top() . '/bin/pgcredit-verify' : 'pgcredit-verify';
my $signer = "$tmp/note_sign";
system(@{ compile_kernels('note_sign', $signer) }) == 0 or die 'note_sign does not compile';

my $node = new_node('tamper', allows_streaming => 1, conf => "pgcredit.checkpoint_interval = 0\nmax_wal_senders = 3\nallow_system_table_mods = on\n");
platform($node);

sub bytes
{
	my ($expression, $on) = @_;

	return pack 'H*', ($on // $node)->safe_psql('postgres', "SELECT encode($expression, 'hex')");
}

# A checkpoint, kept outside as NAME. Returns its size.
sub keep_checkpoint
{
	my ($name, $on) = @_;
	my $note = bytes(q{convert_to(credit.checkpoint(), 'UTF8')}, $on);

	write_bytes("$tmp/$name", $note);
	return (split /\n/, $note)[1];
}

sub sql_literal
{
	my ($path) = @_;

	return q{convert_from('\x} . unpack('H*', read_bytes($path)) . q{', 'UTF8')};
}

# Statements that write, one entry each.
sub grow
{
	my ($n, $on) = @_;

	($on // $node)->safe_psql('postgres', "SELECT count(credit._audit_note(jsonb_build_object('kind', 'test', 'n', g))) FROM generate_series(1, $n) g");
	($on // $node)->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');
	return;
}

# The writer reads the end of the log from the tables again, and has not had the time to note that it stopped.
sub crash
{
	$node->stop('immediate');
	$node->start;
	wait_for_writer($node);
	return;
}

my $result  = q{concat_ws(' ', CASE WHEN ok THEN 'ok' END, problem, wrong_seq)};
my $helped = 0;

sub verified
{
	my ($on) = @_;

	return (verify_both($on // $node, 'postgres', 'verified', result => $result))[0];
}

# The setting by a function: the command would be an entry.
# What verify_log says, in the transaction that does it and takes it back.
sub caught
{
	my ($name, $sql, $wanted, $arguments) = @_;
	my ($found, $workers) = verify_both($node, 'postgres', $name,
		sql => "SELECT set_config('session_replication_role', 'replica', false); BEGIN; $sql", after => 'ROLLBACK',
		arguments => $arguments, result => $result);

	$helped++ if $workers;
	return ref $wanted ? like($found, $wanted, $name) : is($found, $wanted, $name);
}

grow(700);
my $first = keep_checkpoint('first');
my $hashed = 32 * int($node->safe_psql('postgres', 'SELECT credit.log_size()') / 32);
caught('the newest entry under a checkpoint, with no row of hashes', "UPDATE credit.audit_entry SET entry = replace(entry, '\"kind\":\"test\"', '\"kind\":\"best\"') WHERE seq = $first",
	$first > $hashed ? 'log_rewritten 1' : "entry_changed $first");
grow(400);
my $second = keep_checkpoint('second');
copy($node->data_dir . '/' . $node->safe_psql('postgres', q{CHECKPOINT; SELECT pg_relation_filepath('credit.audit_entry')}), "$tmp/entry") or die $!;
$node->safe_psql('postgres', q{CREATE TABLE old_entry AS TABLE credit.audit_entry; CREATE TABLE old_leaf AS TABLE credit.audit_leaf; CREATE TABLE old_node AS TABLE credit.audit_node});
$node->backup('old');
grow(400);
my $third = keep_checkpoint('third');
grow(100);
my $size = $node->safe_psql('postgres', 'SELECT credit.log_size()');
write_bytes("$tmp/vkey", $node->safe_psql('postgres', 'SELECT credit.log_vkey()') . "\n");
is(verified(), 'ok', 'the log as it is');
# Pages that everybody sees are read by another way.
$node->safe_psql('postgres', 'VACUUM credit.audit_entry');
is($node->safe_psql('postgres', q{SELECT relallvisible > relpages / 2 FROM pg_class WHERE oid = 'credit.audit_entry'::regclass}), 't', 'most pages are visible to everybody');
is(verified(), 'ok', 'and the log is the same');
log_is_whole($node, 'as it is');

#
# Entries
#
my $entry = 'credit.audit_entry';
caught('a changed entry', "UPDATE $entry SET entry = replace(entry, '\"n\":100', '\"n\":107') WHERE entry LIKE '%\"n\":100,%' AND seq < $first",
	'entry_changed ' . $node->safe_psql('postgres', "SELECT min(seq) FROM $entry WHERE entry LIKE '%\"n\":100,%'"));
caught('a changed entry, its hash with it', "UPDATE $entry SET entry = entry || ' ' WHERE seq = 65;
	UPDATE credit.audit_leaf SET hashes = credit.leaf_hash((SELECT entry FROM $entry WHERE seq = 65)) || substr(hashes, 33) WHERE n = 2", 'entry_changed 1');
caught('a changed entry, seen in its range', "UPDATE $entry SET entry = entry || ' ' WHERE seq = 300", 'entry_changed 300', '299, 301');
caught('not seen in another range', "UPDATE $entry SET entry = entry || ' ' WHERE seq = 300", 'ok', '600, 601');
caught('an entry under a checkpoint in the middle of a row of hashes', "UPDATE $entry SET entry = replace(entry, '\"kind\":\"test\"', '\"kind\":\"best\"') WHERE seq = $third", "entry_changed $third");
caught('a changed number', "UPDATE $entry SET seq = $size + 1 WHERE seq = 400", 'entry_missing 400');
caught('contents of two entries swapped', "UPDATE $entry a SET entry = b.entry FROM $entry b WHERE a.seq IN (40, 41) AND b.seq = 81 - a.seq", 'entry_number 40');
caught('numbers of two entries swapped', "UPDATE $entry SET seq = -40 WHERE seq = 40; UPDATE $entry SET seq = 40 WHERE seq = 41; UPDATE $entry SET seq = 41 WHERE seq = -40", 'entry_number 40');
caught('an entry deleted', "DELETE FROM $entry WHERE seq = 500", 'entry_missing 500');
caught('the end deleted, below a checkpoint', "DELETE FROM $entry WHERE seq > $third - 10", 'entry_missing ' . ($third - 9));
caught('the end deleted, above the checkpoint', "DELETE FROM $entry WHERE seq > $third + 40", qr/^beyond_end @{[ $third + 41 ]}$/);
caught('an entry inserted at the end', "INSERT INTO $entry SELECT seq + 1, entry FROM $entry WHERE seq = $size", 'entry_number ' . ($size + 1));
caught('an entry inserted far behind', "INSERT INTO $entry SELECT 1000000, entry FROM $entry WHERE seq = $size", 'entry_missing ' . ($size + 1));
caught('an entry inserted before the first', "INSERT INTO $entry SELECT 0, entry FROM $entry WHERE seq = 1", 'entry_double');
caught('an entry twice', "ALTER TABLE $entry DROP CONSTRAINT audit_entry_pkey; INSERT INTO $entry SELECT * FROM $entry WHERE seq = 9; CREATE INDEX audit_entry_pkey ON $entry (seq)", 'setup');
caught('an entry that the index does not show', "INSERT INTO $entry SELECT $size + 1, entry FROM $entry WHERE seq = 1; SET allow_system_table_mods = on;
	UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'credit.audit_entry_pkey'::regclass", 'setup');
foreach my $hidden ([ "$size + 1", $size + 1 ], [ 'seq', 9 ])
{
	caught("an entry that the index does not show, seq = $hidden->[0]", "SET allow_system_table_mods = on;
		UPDATE pg_index SET indisready = false WHERE indexrelid = 'credit.audit_entry_pkey'::regclass;
		INSERT INTO $entry SELECT $hidden->[0], entry FROM $entry WHERE seq = 9;
		UPDATE pg_index SET indisready = true WHERE indexrelid = 'credit.audit_entry_pkey'::regclass", "entry_hidden $hidden->[1]");
}
# The index shows it as well, so that nothing but the order of the numbers can tell. Ranges of workers are of 256 here.
foreach my $twice (9, 256, 257, 512)
{
	caught("an entry that the index shows twice, $twice", "SET allow_system_table_mods = on;
		UPDATE pg_index SET indisunique = false WHERE indexrelid = 'credit.audit_entry_pkey'::regclass;
		INSERT INTO $entry SELECT * FROM $entry WHERE seq = $twice;
		UPDATE pg_index SET indisunique = true WHERE indexrelid = 'credit.audit_entry_pkey'::regclass", "entry_double $twice");
}
caught('two things: the first is told', "DELETE FROM $entry WHERE seq = 1300; UPDATE $entry SET seq = $size + 1 WHERE seq = 300", 'entry_missing 300');
caught('an entry that is none', "ALTER TABLE $entry ALTER entry DROP NOT NULL; UPDATE $entry SET entry = NULL WHERE seq = 300", 'unreadable 300');
caught('that and something before it', "ALTER TABLE $entry ALTER entry DROP NOT NULL; UPDATE $entry SET entry = NULL WHERE seq = 1300; DELETE FROM $entry WHERE seq = 300",
	'entry_missing 300');
caught('the log truncated', "TRUNCATE $entry", 'entry_missing 1');
caught('an old copy of the log', "TRUNCATE $entry; INSERT INTO $entry TABLE old_entry", 'entry_missing ' . ($second + 1));
caught('an old copy of the log and of its tree', "TRUNCATE $entry, credit.audit_leaf, credit.audit_node; INSERT INTO $entry TABLE old_entry;
	INSERT INTO credit.audit_leaf TABLE old_leaf; INSERT INTO credit.audit_node TABLE old_node", 'entry_missing ' . ($second + 1));
caught('another column', "ALTER TABLE $entry ADD COLUMN other text", 'setup');

#
# The tree
#
caught('a hash of an entry', 'UPDATE credit.audit_leaf SET hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1) WHERE n = 3', 'leaf_changed 98');
caught('a row of hashes deleted', 'DELETE FROM credit.audit_leaf WHERE n = 3', 'tile_missing 97');
caught('a row of hashes too short', 'UPDATE credit.audit_leaf SET hashes = substr(hashes, 2) WHERE n = 3', 'tile_changed 97');
caught('a row of hashes too many', 'INSERT INTO credit.audit_leaf SELECT 1000, hashes FROM credit.audit_leaf WHERE n = 3', 'beyond_end ' . ($size + 1));
caught('a row of hashes before the first', 'INSERT INTO credit.audit_leaf SELECT -1, hashes FROM credit.audit_leaf WHERE n = 3', 'tile_extra 1');
caught('a hash of a tile', 'UPDATE credit.audit_node SET hashes = set_byte(hashes, 32, get_byte(hashes, 32) # 1)', 'tile_changed 257');
caught('the hashes of a level deleted', 'DELETE FROM credit.audit_node', 'tile_missing 1');
caught('hashes of a level that there is not', q{INSERT INTO credit.audit_node VALUES (9, 0, '\x')}, 'tile_extra');
caught('hashes of a level that there is not yet', q{INSERT INTO credit.audit_node VALUES (2, 0, '\x')}, 'beyond_end ' . ($size + 1));
caught('entries said to be dropped', "INSERT INTO credit.audit_pruned SELECT * FROM credit.audit_leaf WHERE n = 20; DELETE FROM credit.audit_leaf WHERE n = 20;
	DELETE FROM $entry WHERE seq BETWEEN 641 AND 672", 'entry_missing 641');

#
# Checkpoints
#
my $checkpoint = 'credit.audit_checkpoint';
caught('peaks', "UPDATE $checkpoint SET peaks = set_byte(peaks, 0, get_byte(peaks, 0) # 1) WHERE size = $second", 'checkpoint_changed');
caught('a root', "UPDATE $checkpoint SET root = set_byte(root, 0, get_byte(root, 0) # 1) WHERE size = $second", 'checkpoint_changed');
caught('a root in the note', "UPDATE $checkpoint SET note = overlay(note PLACING 'AAAA' FROM strpos(note, encode(root, 'base64'))) WHERE size = $second", 'checkpoint_signature');
caught('a size in the note', "UPDATE $checkpoint SET note = replace(note, E'\\n$second\\n', E'\\n' || $second - 1 || E'\\n') WHERE size = $second", 'checkpoint_signature');
caught('another checkpoint in its place', "UPDATE $checkpoint SET note = (SELECT note FROM $checkpoint WHERE size = $first) WHERE size = $second", 'checkpoint_note');
caught('a line behind the note', "UPDATE $checkpoint SET note = note || '— x AAAAAAAA' || E'\\n' WHERE size = $second", 'checkpoint_note');
caught('a note that is none', "UPDATE $checkpoint SET note = 'x' WHERE size = $second", 'checkpoint_note');
caught('a checkpoint moved', "UPDATE $checkpoint SET size = size + 1 WHERE size = $second", 'checkpoint_note');
caught('the newest checkpoint deleted', "DELETE FROM $checkpoint WHERE size = $third", 'checkpoint_missing');
caught('all checkpoints deleted', "DELETE FROM $checkpoint", 'checkpoint_missing');
caught('an older checkpoint deleted: only who has it knows', "DELETE FROM $checkpoint WHERE size = $first", 'ok');
caught('a checkpoint of a longer log', "INSERT INTO $checkpoint SELECT 99999, root, peaks, note, signed FROM $checkpoint WHERE size = $third", 'checkpoint_note');
caught('the name of the log', q{UPDATE credit.audit_origin SET origin = 'other.example/log'}, 'checkpoint_origin');

# forged with another key, over the entries as they are
my ($origin) = split(/\n/, read_bytes("$tmp/first"));
my $root = $node->safe_psql('postgres', "SELECT encode(credit.log_root($first + 5), 'base64')");
my $forged;
run [ $signer, 'note', 'log', $origin, 'x' ], '<', \"$origin\n@{[ $first + 5 ]}\n$root\n", '>', \$forged;
write_bytes("$tmp/forged", $forged);
caught('a checkpoint of another key', "INSERT INTO $checkpoint SELECT $first + 5, credit.log_root($first + 5), peaks, " . sql_literal("$tmp/forged") . ", signed FROM $checkpoint WHERE size = $first", 'checkpoint_signature');
is((run_program($verify, 'checkpoint', '--key', "\@$tmp/vkey", "$tmp/forged"))[0], 1, 'and for who has the key outside');

#
# What keeps the log as it is
#
caught('a trigger disabled', "ALTER TABLE $entry DISABLE TRIGGER only_grows", 'setup');
caught('all triggers disabled', "ALTER TABLE $checkpoint DISABLE TRIGGER ALL", 'setup');
caught('a trigger dropped', "ALTER EXTENSION pgcredit DROP FUNCTION credit.audit_write(); DROP TRIGGER only_written ON credit.audit_leaf", 'setup');
caught('a trigger disabled in the catalogue', "UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = 'only_grows'", 'setup');
caught('a trigger with another function', "UPDATE pg_trigger SET tgfoid = 'suppress_redundant_updates_trigger'::regproc WHERE tgname = 'only_grows'", 'setup');
caught('a trigger that records writes disabled', 'ALTER TABLE credit.institution DISABLE TRIGGER audit_update', 'setup');
caught('a function replaced', q{CREATE OR REPLACE FUNCTION credit._refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'}, 'setup');
caught('a function bound to another one', q{UPDATE pg_proc SET prosrc = 'pgcredit_log_root' WHERE proname = 'leaf_hash'}, 'setup');
caught('a function from another library', q{UPDATE pg_proc SET probin = '$libdir/plpgsql' WHERE proname = 'read' AND pronamespace = 'credit'::regnamespace}, 'setup');
caught('row security off', 'ALTER TABLE credit.record DISABLE ROW LEVEL SECURITY', 'setup');
caught('a rule', "CREATE RULE r AS ON INSERT TO $entry DO INSTEAD NOTHING", 'setup');
SKIP:
{
	skip 'no digest of the code', 1 if $node->safe_psql('postgres', q{SELECT to_regprocedure('credit._code_digest()') IS NULL}) eq 't';
	caught('a function of another room changed in the catalogue', q{UPDATE pg_proc SET prosrc = prosrc || ' ' WHERE proname = 'check_checkpoint'}, 'setup');
}
is(verified(), 'ok', 'all taken back');
cmp_ok($helped, '>', 40, "workers read in $helped of these");

#
# A row that the index does not show, on a page that everybody sees
#
foreach my $hidden ('seq', "$size + 2000")
{
	my $ctid = $node->safe_psql('postgres', "SET session_replication_role = replica; SET allow_system_table_mods = on; BEGIN;
		UPDATE pg_index SET indisready = false WHERE indexrelid = 'credit.audit_entry_pkey'::regclass;
		INSERT INTO $entry SELECT $hidden, entry FROM $entry WHERE seq = 9 RETURNING ctid;
		UPDATE pg_index SET indisready = true WHERE indexrelid = 'credit.audit_entry_pkey'::regclass; COMMIT");

	$node->safe_psql('postgres', "VACUUM $entry");
	like(verified(), qr/^entry_hidden \d+$/, "on a page that everybody sees, seq = $hidden");
	$node->safe_psql('postgres', "SELECT set_config('session_replication_role', 'replica', false); DELETE FROM $entry WHERE ctid = '$ctid'");
	$node->safe_psql('postgres', "VACUUM $entry");
	is(verified(), 'ok', 'taken back');
}

#
# While the server was stopped: the file of an old table put in the place of the new one
#
my $file = $node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath('credit.audit_entry')});
$node->stop;
copy($file, "$tmp/newest") or die $!;
copy("$tmp/entry", $file) or die $!;
$node->start;
like(verified(), qr/^(?:unreadable|entry_missing) \d+$/, 'an old file in the place of the table');
$node->stop;
copy("$tmp/newest", $file) or die $!;
$node->start;
is(verified(), 'ok', 'the file put back');

#
# The end cut off, with its hashes still there: the writer adds nothing to such a log
#
wait_for_writer($node);
my $from = PgCredit::Node::log_size($node);
$node->safe_psql('postgres', "CREATE TABLE cut AS SELECT * FROM $entry WHERE seq > $size - 64; SELECT set_config('session_replication_role', 'replica', false); DELETE FROM $entry WHERE seq > $size - 64");
crash();
is((fails_with($node, 'postgres', 'bank_a', read_sql(1)))[0], 'PC001', 'the end cut off: no read is answered');
like(log_since($node, $from), qr/the log and its tree do not fit each other/, 'and the server log says why');
like(verified(), qr/^beyond_end @{[ $size - 63 ]}$/, 'and verify_log where');
$node->safe_psql('postgres', "SELECT set_config('session_replication_role', 'replica', false); INSERT INTO $entry TABLE cut; DROP TABLE cut");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit writer'});
is($node->safe_psql('postgres', read_sql(1), extra_params => [ '-U', 'bank_a' ]), '1|tax_payment', 'put back: reads are answered');

#
# Set back while the server runs: what it has signed since its start is in its memory
#
grow(50);
my $fourth = keep_checkpoint('fourth');
$node->safe_psql('postgres', "SELECT set_config('session_replication_role', 'replica', false); CREATE TABLE cut AS SELECT * FROM $entry WHERE seq > $third;
	CREATE TABLE cut_checkpoint AS SELECT * FROM $checkpoint WHERE size > $third;
	DELETE FROM $entry WHERE seq > $third; DELETE FROM credit.audit_leaf WHERE (n + 1) * 32 > $third; DELETE FROM $checkpoint WHERE size > $third");
is((fails_with($node, 'postgres', 'postgres', 'SELECT credit.checkpoint()'))[0], 'PC005', 'set back while the server runs: nothing is signed');
is(verified(), 'entry_missing ' . ($third + 1), 'and verify_log knows');

#
# After a restart nothing inside knows; a command that fetches the newest checkpoint does, or whoever brings one
#
$node->append_conf('postgresql.conf', "pgcredit.checkpoint_fetch_command = 'cat \"$tmp/fourth\"'");
crash();
is(verified(), 'ok', 'set back and restarted: nothing inside shows it');
is((fails_with($node, 'postgres', 'postgres', 'SELECT credit.checkpoint()'))[0], 'PC005', 'checkpoint_fetch_command does');
$node->append_conf('postgresql.conf', q{pgcredit.checkpoint_fetch_command = ''});
$node->restart;
is($node->safe_psql('postgres', 'SELECT credit.check_checkpoint(' . sql_literal("$tmp/$_->[0]") . ')'), $_->[1], "checkpoint $_->[0]: $_->[1]")
  foreach ([ 'first', 'consistent' ], [ 'third', 'consistent' ], [ 'fourth', 'ahead' ]);
is(verified(), 'conflict', 'then verify_log says so');
is((fails_with($node, 'postgres', 'postgres', 'SELECT credit.checkpoint()'))[0], 'PC005', 'and nothing is signed');
$node->append_conf('postgresql.conf', "pgcredit.checkpoint_fetch_command = 'cat \"$tmp/fourth\"'");
$node->restart;
$node->safe_psql('postgres', q{SELECT credit.set_log_origin('tamper.example/second')});
like($node->safe_psql('postgres', 'SELECT credit.checkpoint()'), qr{^tamper.example/second\n}, 'under a new name it signs again');
is(verified(), 'ok', 'and the log is what it is');
$node->append_conf('postgresql.conf', q{pgcredit.checkpoint_fetch_command = ''});
$node->restart;

#
# Everything made anew: an entry, the hashes, the tree; what was signed before shows it
#
sub rewrite
{
	my ($name, $more) = @_;

	$node->safe_psql('postgres', "SELECT set_config('session_replication_role', 'replica', false);
		UPDATE $entry SET entry = replace(entry, '\"kind\":\"test\"', '\"kind\":\"$name\"') WHERE seq = 650;
		DELETE FROM credit.audit_leaf; DELETE FROM credit.audit_node; $more");
	crash();
	grow(1);
	return;
}

rewrite('rest', '');
is(verified(), 'log_rewritten 1', 'all made anew: the checkpoints say it');
is((fails_with($node, 'postgres', 'postgres', 'SELECT credit.checkpoint()'))[0], 'PC005', 'and nothing is signed');
$node->safe_psql('postgres', "SELECT set_config('session_replication_role', 'replica', false); UPDATE $entry SET entry = replace(entry, '\"kind\":\"rest\"', '\"kind\":\"test\"') WHERE seq = 650;
	DELETE FROM credit.audit_leaf; DELETE FROM credit.audit_node");
crash();
grow(1);
is(verified(), 'ok', 'put back as it was');
keep_checkpoint('fifth');

# ... and the checkpoints too: only who kept one
rewrite('nest', "DELETE FROM $checkpoint");
is(verified(), 'ok', 'all made anew, no checkpoint left: nothing inside shows it');
my $new = keep_checkpoint('rewritten');
is(verified(), 'ok', 'not even when it is signed');
is($node->safe_psql('postgres', 'SELECT credit.check_checkpoint(' . sql_literal("$tmp/fifth") . ')'), 'inconsistent', 'who kept a checkpoint shows it: credit.check_checkpoint');
my $fifth = (split /\n/, read_bytes("$tmp/fifth"))[1];
write_bytes("$tmp/vkey2", $node->safe_psql('postgres', 'SELECT credit.log_vkey()') . "\n");
write_bytes("$tmp/proof", $node->safe_psql('postgres', "SELECT coalesce(string_agg(encode(h, 'base64') || E'\\n', '' ORDER BY n), '')
	FROM unnest(credit.consistency_proof($fifth, $new)) WITH ORDINALITY p(h, n)"));
my ($status, undef, $error) = run_program($verify, 'consistency', '--key', "\@$tmp/vkey2", "$tmp/fifth", "$tmp/rewritten", "$tmp/proof");
is($status, 1, 'and the program outside') or diag($error);

#
# verify_log itself replaced: only the program outside
#
my @bundles;
$node->safe_psql('postgres', "SELECT set_config('session_replication_role', 'replica', false); UPDATE $entry SET entry = replace(entry, '\"kind\":\"nest\"', '\"kind\":\"best\"') WHERE seq = 650");
like(verified(), qr/^entry_changed 650$/, 'an entry changed again');
$node->safe_psql('postgres', q{
	CREATE OR REPLACE FUNCTION credit.verify_log(first bigint DEFAULT NULL, last bigint DEFAULT NULL, resume boolean DEFAULT false,
		OUT ok boolean, OUT wrong_seq bigint, OUT problem text, OUT detail text, OUT first_seq bigint, OUT last_seq bigint,
		OUT entries bigint, OUT dropped bigint, OUT tiles bigint, OUT checkpoints bigint, OUT cosignatures bigint, OUT size bigint, OUT root bytea)
	LANGUAGE sql AS 'SELECT true, NULL::bigint, NULL, NULL, 1::bigint, 1::bigint, 1::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 1::bigint, NULL::bytea'});
is(verified(), 'ok', 'verify_log replaced: it says whatever it likes');
for (my $n = 0; $n * 256 < $new; $n++)
{
	my $width = $new - $n * 256 < 256 ? $new - $n * 256 : 256;

	push @bundles, write_bytes(sprintf('%s/bundle.%05d', $tmp, $n), bytes("credit.entry_bundle($n, $width)"));
}
($status, undef, $error) = run_program($verify, 'log', '--key', "\@$tmp/vkey2", "$tmp/rewritten", @bundles);
is($status, 1, 'the program outside does not');
like($error, qr/^invalid: the $new entries have the root/, 'and says what is wrong');
$node->stop;

#
# An old base backup of the whole server
#
my $old = PostgreSQL::Test::Cluster->new('old');
$old->init_from_backup($node, 'old');
$old->append_conf('postgresql.conf', "port = " . $old->port . "\npgcredit.checkpoint_fetch_command = ''");
$old->start;
wait_for_writer($old);
is(verified($old), 'ok', 'an old backup: nothing inside shows it');
is($old->safe_psql('postgres', 'SELECT credit.check_checkpoint(' . sql_literal("$tmp/second") . ')'), 'consistent', 'nor an old checkpoint');
is($old->safe_psql('postgres', 'SELECT credit.check_checkpoint(' . sql_literal("$tmp/third") . ')'), 'ahead', 'but a newer one');
is((fails_with($old, 'postgres', 'postgres', 'SELECT credit.checkpoint()'))[0], 'PC005', 'nothing is signed');
is($old->safe_psql('postgres', read_sql(2), extra_params => [ '-U', 'bank_a' ]), '2|tax_payment', 'reads go on');
$old->stop;
done_testing();
