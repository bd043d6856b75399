# Watching the log: what credit.stat_audit counts is what happened; counts outlive the writer; a server that does not
# preload the library shows nothing and raises nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('stat', conf => "
pgcredit.audit_queue_size = 256kB
pgcredit.checkpoint_interval = 0
");
platform($node);
wait_for_writer($node);
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox');

sub one { return $node->safe_psql('postgres', $_[0]); }
sub shown { return one("SELECT $_[0] FROM credit.stat_audit"); }
sub refused { return one(qq{SELECT coalesce(string_agg(reason || ' ' || refused, ', ' ORDER BY reason), '') FROM credit.stat_audit_refusal WHERE kind = '$_[0]' AND refused > 0}); }

# A statement that waits for its entry.
sub start
{
	my ($timeout, $sql) = @_;
	my $reader = session($node, 'bank_a');

	$reader->query_safe("SET pgcredit.audit_timeout = '$timeout'");
	$reader->{stdin} .= "$sql\n";
	$reader->{run}->pump_nb;
	return $reader;
}

is(shown('writer_starts'), 1, 'one writer so far');
is(shown('writer_pid'), writer_pid($node), 'this one');
$node->poll_query_until('postgres', 'SELECT notary_pid IS NOT NULL FROM credit.stat_audit');
is(shown('notary_pid'), one(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgcredit notary'}), 'and this notary');
is(shown('writer_started <= notary_started AND notary_started <= clock_timestamp()'), 't', 'started in this order');
is(shown(q{entries = log_size AND kept_from = 1}), 't', 'all entries of the log were counted');

# ---------------------------------------------------------------------------
# Reads and refusals
# ---------------------------------------------------------------------------

one('SELECT credit.stat_audit_reset()');
is(shown('entries + bytes + batches + batch_largest + waits + refusals + failures + notary_failures'), 0, 'a reset: all begins anew');
is(shown('batch_mean IS NULL AND failure IS NULL AND wait_ms = 0 AND writer_starts = 1'), 't', 'what did not happen is null');
$node->safe_psql('postgres', join(' ', map { open_sql($_) } 1 .. 20), extra_params => [ '-U', 'bank_a' ]);
is(shown('waits'), 20, 'twenty reads waited');
is(shown('entries >= 20 AND batches BETWEEN 1 AND entries AND batch_largest BETWEEN 1 AND 20'), 't', 'in at most as many batches');
is(shown('batch_mean = entries::float8 / batches AND bytes > entries * 100'), 't', 'mean and bytes');
is(shown('entries_per_second > 0 AND entries_per_second <= entries'), 't', 'entries in a second');
is(one('SELECT sum(waits) FROM credit.stat_audit_wait'), 20, 'the histogram has them all');
is(one(q{SELECT sum(w.waits * w.from_us) <= s.wait_ms * 1000 + 20 AND s.wait_ms * 1000 <= sum(w.waits * w.below_us)
	FROM credit.stat_audit_wait w, credit.stat_audit s GROUP BY s.wait_ms}), 't', 'and their sum lies within its bounds');
is(one('SELECT max(share_below) FROM credit.stat_audit_wait'), 1, 'the shares go up to all');
$node->psql('postgres', join("\n", (open_sql(41)) x 3, open_sql(1, 'electricity_use')), extra_params => [ '-U', 'bank_a' ], on_error_stop => 0);
is($node->safe_psql('postgres', q{SELECT count(DISTINCT subject_id) FROM credit.open_access('{1,45,46,900}'::bigint[], 'pre_loan', '{tax_payment}')}, extra_params => [ '-U', 'bank_a' ]), 4, 'many at once');
is(refused('refusal'), 'category_refused 1, no_consent 4, unknown_subject 1', 'entries of refusals by their reasons');
is(shown('refusals'), 6, 'and all together');
is(refused('failure'), '', 'nothing failed');
is(shown('waits'), 25, 'a call waits once');

# ---------------------------------------------------------------------------
# The queue, and what cannot be recorded
# ---------------------------------------------------------------------------

my $writer = writer_pid($node);
kill('STOP', $writer);
my @readers = map { start('60s', open_sql($_)) } (1 .. 3);
ok($node->poll_query_until('postgres', 'SELECT queue_items = 3 FROM credit.stat_audit'), 'three in the ring');
is(shown('queue_bytes BETWEEN 300 AND 10000 AND queue_share = queue_bytes / (256 * 1024.0)'), 't', 'with their bytes');
is(one(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event_type = 'Extension' AND wait_event IN ('Extension', 'PgcreditAuditDurable')}),
	3, 'and wait');
is((fails_with($node, 'postgres', 'bank_a', "SET pgcredit.audit_timeout = '100ms'; " . open_sql(1)))[0], 'PC002', 'one gives up');
is((fails_with($node, 'postgres', 'bank_a', q{SET pgcredit.audit_timeout = '100ms'; SELECT count(*) FROM credit.open_access(ARRAY(SELECT generate_series(1000, 61000)), 'pre_loan', '{tax_payment}')}))[0],
	'PC003', 'one finds no room');
is(shown('queue_share > 0.2 AND queue_share < 0.35'), 't', 'lists fill a quarter of the ring');
is(refused('failure'), 'PC002 1, PC003 1', 'failures by their SQLSTATE');
is(shown('waits'), 25, 'who was not answered is no wait');
is(shown('refusals'), 6, 'nor a refusal with an entry');
one('SELECT credit._audit_note(\'{"kind": "note"}\')');
cmp_ok(shown('outbox_rows'), '>=', 1, 'a write waits in the outbox');
kill('CONT', $writer);
is((ask($_, 'SELECT 1'))[1], '', 'the writer goes on, a reader is answered') foreach @readers;
$_->quit foreach @readers;
$node->poll_query_until('postgres', 'SELECT outbox_rows = 0 AND queue_items = 0 FROM credit.stat_audit');
is(shown('waits'), 28, 'three more waits');
cmp_ok(shown('batch_largest'), '>=', 4, 'in one batch');
is(one(q{SELECT sum(waits) > 0 FROM credit.stat_audit_wait WHERE from_us >= 100000}), 't', 'that took long');

my $holder = session($node, 'postgres');
ask($holder, 'BEGIN; LOCK TABLE credit.audit_entry IN SHARE MODE;');
is((fails_with($node, 'postgres', 'bank_a', "SET pgcredit.audit_timeout = '60s'; " . open_sql(1)))[0], 'PC001', 'the writer cannot write');
is(refused('failure'), 'PC001 1, PC002 1, PC003 1', 'which is counted');
ask($holder, 'ROLLBACK;');
$holder->quit;

# ---------------------------------------------------------------------------
# Processes and checkpoints
# ---------------------------------------------------------------------------

one("SELECT pg_terminate_backend($writer)");
$node->poll_query_until('postgres', "SELECT writer_pid <> $writer FROM credit.stat_audit");
is(shown('writer_starts'), 2, 'a second writer');
is(shown('waits'), 28, 'the counts go on');
is(shown('writer_pid'), writer_pid($node), 'its pid');

is(shown('checkpoint_size IS NULL AND checkpoint_behind = log_size'), 't', 'nothing is signed');
one('SELECT credit.checkpoint()');
is(shown('checkpoint_size > 0 AND checkpoint_behind = log_size - checkpoint_size AND checkpoint_signed <= clock_timestamp()'), 't', 'now it is');
is(shown('notary_failures'), 0, 'without a failure');
one(q{ALTER SYSTEM SET pgcredit.checkpoint_command = 'false'; });
one('SELECT pg_reload_conf()');
$node->poll_query_until('postgres', 'SELECT notary_failures > 0 FROM credit.stat_audit');
is(shown(q{failure_sqlstate || ' ' || failure}), '38000 pgcredit.checkpoint_command failed', 'a command that fails');
is(shown('failed BETWEEN counted_since AND clock_timestamp()'), 't', 'when');
$node->stop;

# ---------------------------------------------------------------------------
# Without preloading
# ---------------------------------------------------------------------------

my $bare = new_node('bare', preload => 0);
$bare->safe_psql('postgres', 'CREATE EXTENSION pgcredit');
is($bare->safe_psql('postgres', 'SELECT queue_items IS NULL AND entries IS NULL AND writer_pid IS NULL AND log_size = 0 AND outbox_rows >= 0 FROM credit.stat_audit'), 't',
	'not preloaded: a row of what the tables know');
is($bare->safe_psql('postgres', 'SELECT (SELECT count(*) FROM credit.stat_audit_wait) + (SELECT count(*) FROM credit.stat_audit_refusal)'), '0', 'no counts');
is($bare->safe_psql('postgres', 'SELECT credit.stat_audit_reset()'), '', 'nothing to reset');
$bare->stop;
done_testing();
