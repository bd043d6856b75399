# The worker that rates marked subjects: within the delay, once for each change, whatever is killed meanwhile; and
# credit.rate_all, which goes on after a crash where it stopped.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $node = new_node('rating', conf => "pgcredit.rating_delay = 2s\nmax_worker_processes = 24\n");
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

sub sql { return $node->safe_psql('postgres', @_); }
sub worker_pid { return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgcredit rating' AND datname = '" . ($_[0] // 'postgres') . "'"); }
sub wait_for_worker { return $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit rating' AND datname = '" . ($_[0] // 'postgres') . "'"); }

# Ratings of a subject, oldest first, as "scores".
sub scores { return sql("SELECT string_agg(score::text, ' ' ORDER BY rating_id) FROM credit.rating WHERE subject_id = $_[0]"); }

my $model = q{
	SELECT credit.register_indicator('taxes', 'number', 'SELECT subject_id, count(*), array_agg(record_id) FROM credit.record_as_of WHERE subject_id = ANY ($1) AND category = ''tax_payment'' GROUP BY 1');
	SELECT credit.create_model('{"name": "live", "use_reason_codes": false, "characteristics": [{"name": "n", "field": "taxes", "data_type": "number",
		"attributes": [{"kind": "set", "values": [1], "points": 10}, {"kind": "set", "values": [2], "points": 20}, {"kind": "other", "points": 30}, {"kind": "missing", "points": 0}]}],
		"grades": [{"grade": "A", "low": 20}, {"grade": "B", "low": 10, "high": 20}, {"grade": "C", "high": 10}]}');
	SELECT credit.publish_model('live')};
my $n = 0;

sub bring
{
	my ($subject) = @_;

	$n++;
	return "INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
		SELECT $subject, category_id, 3, date '2026-01-01', 'neutral', 'more $n', '{}', 0 FROM credit.category WHERE code = 'tax_payment';";
}

platform($node);
sql($model);

# ------------------------------------------------------------------ there when there is something to do

sleep(3);
is(worker_pid(), '', 'no dynamic model: no worker');
sql(q{BEGIN; SELECT credit.set_dynamic('live', true); ROLLBACK});
sleep(2);
is(worker_pid(), '', 'rolled back: no worker');
sql(q{SELECT credit.set_dynamic('live', true)});
ok(wait_for_worker(), 'a dynamic model: the worker comes');

# ------------------------------------------------------------------ within the delay, once

my $began = time;
sql(bring(1));
ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM credit.rating WHERE subject_id = 1'), 'a change is rated');
cmp_ok(time - $began, '<', 2.5, 'within the delay');
sql(bring(2) . bring(2) . bring(2)) ;
sql('BEGIN;' . bring(3) . 'ROLLBACK');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.rating_mark');
sleep(2.5);
is(scores(1), '20', 'once');
is(scores(2), '30', 'three changes in the delay are one rating');
is(scores(3), '', 'what was rolled back is not rated');

# ------------------------------------------------------------------ told to who may know

sql(q{SELECT credit.set_grade_notice('live', 'tax_payment', '{pre_loan}')});
my $listener = session($node, 'bank_a');
$listener->query_safe('LISTEN pgcredit_grade');
my $record = sql(q{SELECT record_id FROM credit.record WHERE subject_id = 1 AND source_key LIKE 'more%'});
sql("SELECT credit.set_record_status(1, $record, 'repaired', 'test')");
$node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM credit.rating WHERE subject_id = 1');
is(scores(1), '20 10', 'a repaired record has no effect any more');
my $told = $listener->query_safe('SELECT 1');
like($told, qr/Asynchronous notification "pgcredit_grade" with payload "\d+" received/, 'who listens is told, with a number alone');
my $before = accesses_of($node, 1);
is($node->safe_psql('postgres', q{SELECT subject_id, previous_grade, grade FROM credit.grade_notices('pre_loan')}, extra_params => [ '-U', 'bank_a' ]),
	'1|A|B', 'the bank with a consent reads the notice');
is(accesses_of($node, 1), $before + 1, 'and its look is an access in the log');
is($node->safe_psql('postgres', q{SELECT count(*) FROM credit.grade_notices('pre_loan')}, extra_params => [ '-U', 'bank_b' ]), '0', 'another bank has none');
sql(q{SET ROLE portal; SELECT credit.revoke_consent(subject_id, consent_id) FROM (SELECT 1::bigint AS subject_id, 1::bigint AS consent_id) x})
  if sql('SELECT count(*) FROM credit.consent WHERE subject_id = 1 AND consent_id = 1') eq '1';
is($node->safe_psql('postgres', q{SELECT count(*) FROM credit.grade_notices('pre_loan')}, extra_params => [ '-U', 'bank_a' ]), '0', 'after a revocation it reads none');

# Taken back between the change and the rating: rated, and nobody is told.
sql(bring(10));
$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM credit.rating WHERE subject_id = 10');
$listener->query('SELECT 1');
sql(bring(10) . q{SET ROLE portal; SELECT credit.revoke_consent(10, 10)});
sql(bring(11));
$node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM credit.rating WHERE subject_id = 10');
is(scores(10), '20 30', 'rated');
is(sql('SELECT count(*) FROM credit.grade_notice WHERE subject_id = 10'), '0', 'no notice after the revocation');
unlike($listener->query('SELECT 1'), qr/Asynchronous/, 'nor a notification');

# ------------------------------------------------------------------ killed, crashed

my $pid = worker_pid();
sql("SELECT pg_terminate_backend($pid)");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit rating' AND pid <> $pid"), 'terminated: another comes');
sql(bring(4));
$node->stop('immediate');
$node->start;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM credit.rating WHERE subject_id = 4'), 'marks survive a crash of the server');
$pid = worker_pid();
kill('KILL', $pid);
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit rating' AND pid <> $pid");
sql(bring(5));
ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM credit.rating WHERE subject_id = 5'), 'the worker killed: a change is rated all the same');
sleep(2.5);
is(sql('SELECT count(*) FROM credit.rating WHERE subject_id IN (4, 5)'), '2', 'and once');

# Killed in the middle of a rating, which takes long here: the server restarts, and each subject is rated once.
sql(q{SELECT credit.register_indicator('taxes', 'number', 'SELECT r.subject_id, count(*) + 0 * min(slow.n), array_agg(record_id) FROM credit.record_as_of r, (SELECT count(*) AS n FROM generate_series(1, 8000000)) slow WHERE subject_id = ANY ($1) AND category = ''tax_payment'' GROUP BY 1')});
sql(bring(20) . bring(21) . bring(22));
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit rating' AND query = 'rating marked subjects' AND state = 'active'}), 'it rates');
$pid = worker_pid();
kill('KILL', $pid);
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit rating' AND pid <> $pid");
ok($node->poll_query_until('postgres', 'SELECT count(*) = 3 FROM credit.rating WHERE subject_id IN (20, 21, 22)'), 'all are rated');
sql(q{SELECT credit.register_indicator('taxes', 'number', 'SELECT subject_id, count(*), array_agg(record_id) FROM credit.record_as_of WHERE subject_id = ANY ($1) AND category = ''tax_payment'' GROUP BY 1')});
sleep(2.5);
is(sql('SELECT count(*), count(DISTINCT subject_id) FROM credit.rating WHERE subject_id IN (20, 21, 22)'), '3|3', 'and once');

# An indicator that fails keeps the marks; they are rated when it is mended.
my $from = log_size($node);
sql(q{SELECT credit.register_indicator('taxes', 'number', 'SELECT subject_id, 1 / (count(*) - count(*)), NULL::bigint[] FROM credit.record_as_of WHERE subject_id = ANY ($1) GROUP BY 1')});
sql(bring(6));
sleep(5);
my $lines = () = log_since($node, $from) =~ /ERROR:  division by zero/g;
is($lines, 1, 'a failure is logged, once');
is(sql('SELECT count(*) FROM credit.rating_mark'), '1', 'the mark is kept');
ok(worker_pid(), 'the worker is there');
sql(q{SELECT credit.register_indicator('taxes', 'number', 'SELECT subject_id, count(*), array_agg(record_id) FROM credit.record_as_of WHERE subject_id = ANY ($1) AND category = ''tax_payment'' GROUP BY 1')});
ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM credit.rating WHERE subject_id = 6'), 'mended: it is rated');

# Off and on.
$node->append_conf('postgresql.conf', 'pgcredit.rating_delay = 0');
$node->reload;
sleep(1.5);
sql(bring(7));
sleep(3);
is(scores(7), '', 'rating_delay = 0: nothing is rated');
$node->append_conf('postgresql.conf', 'pgcredit.rating_delay = 200ms');
$node->reload;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM credit.rating WHERE subject_id = 7'), 'set again: it is');

# ------------------------------------------------------------------ rate_all, crashed in the middle

sql(q{SELECT credit.set_dynamic('live', false)});
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pgcredit rating'"), 'no dynamic model any more: the worker goes');
# Seconds that a row takes: long where a run is to be caught in the middle.
sub row_takes
{
	my ($seconds) = @_;
	sql("CREATE OR REPLACE FUNCTION public.slow(integer) RETURNS numeric LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep($seconds); RETURN \$1; END'");
	return;
}
row_takes(0.1);
sql(q{
	CREATE TABLE public.applicant AS SELECT g AS subject_id, g AS amount FROM generate_series(1, 50) g;
	CREATE VIEW public.slowly AS SELECT subject_id, public.slow(amount) AS taxes FROM public.applicant;
	DELETE FROM credit.rating});
sub start_run
{
	my ($workers) = @_;
	my $session = session($node, $superuser);

	row_takes(0.1);
	$session->{stdin} .= "CALL credit.rate_all('live', 'slowly', batch_size => 5, workers => $workers);\n";
	$session->{run}->pump_nb;
	return $session;
}
my $caller = start_run(0);
ok($node->poll_query_until('postgres', 'SELECT batches_done BETWEEN 2 AND 8 FROM credit.stat_progress_rating ORDER BY run_id DESC LIMIT 1'), 'progress shows');
$node->stop('immediate');
eval { $caller->quit };
$node->start;
my $run = sql('SELECT max(run_id) FROM credit.rating_run');
my $done = sql("SELECT subjects_done FROM credit.stat_progress_rating WHERE run_id = $run AND status = 'running'");
cmp_ok($done, '>', 0, 'what was done is kept');
cmp_ok($done, '<', 50, 'the rest is not');
is(sql('SELECT count(*) FROM credit.rating'), $done, 'a rating for each that is done');
row_takes(0);
sql("CALL credit.rate_all(NULL, run_id => $run)");
is(sql('SELECT count(*), count(DISTINCT subject_id) FROM credit.rating'), '50|50', 'gone on with: each subject once');
is(sql("SELECT status, batches, batches_done, rated FROM credit.stat_progress_rating WHERE run_id = $run"), 'finished|10|10|50', 'finished');

# Cancelled with its workers: they go, the run goes on later with more of them.
sql('DELETE FROM credit.rating');
$caller = start_run(2);
ok($node->poll_query_until('postgres', "SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'pgcredit rate_all'"), 'two workers');
$node->poll_query_until('postgres', 'SELECT batches_done > 2 FROM credit.stat_progress_rating ORDER BY run_id DESC LIMIT 1');
sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL credit.rate_all%' AND backend_type = 'client backend'});
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pgcredit rate_all'"), 'cancelled: its workers go');
eval { $caller->quit };
$run = sql('SELECT max(run_id) FROM credit.rating_run');
is(sql('SELECT count(*) FROM credit.rating'), sql("SELECT subjects_done FROM credit.stat_progress_rating WHERE run_id = $run"), 'a rating for each that is done');
row_takes(0);
sql("CALL credit.rate_all(NULL, run_id => $run, workers => 3)");
is(sql('SELECT count(*), count(DISTINCT subject_id) FROM credit.rating'), '50|50', 'gone on with by four: each subject once');

# A worker that fails: what it had taken is done by the caller after it. One that is told to go: the same.
sub rated_once { return is(sql('SELECT count(*), count(DISTINCT subject_id) FROM credit.rating'), '50|50', $_[0] . ': each subject once'); }
sub last_run { return sql('SELECT status, batches_done, rated FROM credit.stat_progress_rating ORDER BY run_id DESC LIMIT 1'); }
sql(q{
	DELETE FROM credit.rating;
	CREATE FUNCTION public.fragile(integer) RETURNS numeric LANGUAGE plpgsql AS $$
	BEGIN
		IF (SELECT backend_type FROM pg_stat_activity WHERE pid = pg_backend_pid()) = 'pgcredit rate_all' THEN
			PERFORM pg_sleep(1.5);
			RAISE feature_not_supported;
		END IF;
		PERFORM pg_sleep(0.01);
		RETURN $1;
	END $$;
	CREATE VIEW public.fragilely AS SELECT subject_id, public.fragile(amount) AS taxes FROM public.applicant});
sql(q{CALL credit.rate_all('live', 'fragilely', batch_size => 5, workers => 2)});
is(last_run(), 'finished|10|50', 'workers that fail: the run is finished all the same');
rated_once('workers failed');
sql('DELETE FROM credit.rating');
$caller = start_run(2);
$node->poll_query_until('postgres', "SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'pgcredit rate_all'");
sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pgcredit rate_all' LIMIT 1});
ok($node->poll_query_until('postgres', q{SELECT status = 'finished' FROM credit.rating_run ORDER BY run_id DESC LIMIT 1}), 'a worker terminated: finished');
eval { $caller->quit };
rated_once('a worker terminated');

# Killed: a worker, then the caller. The server restarts each time, and the run is gone on with.
for my $victim ('a worker', 'the caller')
{
	sql('DELETE FROM credit.rating');
	$caller = start_run(2);
	$node->poll_query_until('postgres', 'SELECT batches_done BETWEEN 2 AND 8 FROM credit.stat_progress_rating ORDER BY run_id DESC LIMIT 1');
	$pid = sql($victim eq 'a worker' ? q{SELECT min(pid) FROM pg_stat_activity WHERE backend_type = 'pgcredit rate_all'} :
		  q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL credit.rate_all%' AND backend_type = 'client backend'});
	kill('KILL', $pid);
	eval { $caller->quit };
	wait_until_up($node);
	is(sql('SELECT status FROM credit.rating_run ORDER BY run_id DESC LIMIT 1'), 'running', "$victim killed: the run can be gone on with");
	$run = sql('SELECT max(run_id) FROM credit.rating_run');
	is(sql('SELECT count(*) FROM credit.rating'), sql("SELECT subjects_done FROM credit.stat_progress_rating WHERE run_id = $run"), 'a rating for each that is done');
	row_takes(0);
	sql("CALL credit.rate_all(NULL, run_id => $run, workers => 1)");
	rated_once("$victim killed, gone on with");
}

# Ended for good by another session: batches under way are done, and no other one.
sql('DELETE FROM credit.rating');
$caller = start_run(1);
$node->poll_query_until('postgres', 'SELECT batches_done BETWEEN 2 AND 8 FROM credit.stat_progress_rating ORDER BY run_id DESC LIMIT 1');
$run = sql('SELECT max(run_id) FROM credit.rating_run');
sql("SELECT credit.cancel_rating_run($run)");
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pgcredit rate_all' OR query LIKE 'CALL credit.rate_all%' AND state = 'active'}), 'cancelled by another session: all stop');
eval { $caller->quit };
cmp_ok(sql('SELECT count(*) FROM credit.rating'), '<', 50, 'before the end');
is(sql('SELECT count(*) FROM credit.rating'), sql("SELECT subjects_done FROM credit.stat_progress_rating WHERE run_id = $run AND status = 'cancelled'"), 'a rating for each that is done');
sql('DROP VIEW public.fragilely');

# ------------------------------------------------------------------ a dump

sql(q{SELECT credit.set_dynamic('live', true); SELECT credit.set_grade_terms('live', 'loan', '{"A": {"limit": 5, "rate": 0.04}, "B": {"limit": 3, "rate": 0.05}}')});
sql(bring(8));
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.rating_mark');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'dumped');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'restored', '-f', $dump ], 'restored');
my $counts = q{SELECT (SELECT count(*) FROM credit.rating), (SELECT count(*) FROM credit.grade_notice), (SELECT count(*) FROM credit.grade_terms), (SELECT count(*) FROM credit.indicator_value)};
is($node->safe_psql('restored', $counts), sql($counts), 'ratings, notices, terms and values are what they were: nothing was noticed anew');
ok($node->poll_query_until('restored', 'SELECT count(*) = 0 FROM credit.rating_mark'), 'the worker of the new database comes and looks through the subjects that came in');
my $old = $node->safe_psql('restored', q{SELECT count(*) FROM credit.rating WHERE subject_id = 8});
is($old, sql('SELECT count(*) FROM credit.rating WHERE subject_id = 8'), 'and rates nobody for whom nothing changed');
$node->safe_psql('postgres', 'DROP DATABASE restored');
sql(q{SELECT credit.set_dynamic('live', false)});

# ------------------------------------------------------------------ databases

$node->safe_psql('postgres', 'CREATE DATABASE other');
platform($node, 'other');
$node->safe_psql('other', $model);
$node->safe_psql('other', q{SELECT credit.set_dynamic('live', true)});
ok(wait_for_worker('other'), 'another database has its own worker');
$began = time;
$node->safe_psql('postgres', 'DROP DATABASE other');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname = 'other'}), '0', 'which does not stop DROP DATABASE');
cmp_ok(time - $began, '<', 5, 'nor hold it up');
sql(q{SELECT credit.set_dynamic('live', true)});
wait_for_worker();
sql('SET client_min_messages = error; DROP VIEW public.slowly; DROP EXTENSION pgcredit CASCADE');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pgcredit rating'"), 'DROP EXTENSION: the worker goes');

$node->stop;
done_testing();
