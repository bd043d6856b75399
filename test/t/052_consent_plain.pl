# P1 for plain SELECT: its intent is durable before the first row, and what it was given is in the log whatever becomes of
# the statement: finished, cancelled, failed, its session terminated, the writer unable to take it just then.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('plain', conf => "pgcredit.audit_queue_size = 256kB\n");
platform($node);
$node->safe_psql('postgres', q{ALTER ROLE bank_a SET pgcredit.purpose = 'pre_loan'});
my $tax = q{category_id = (SELECT category_id FROM credit.category WHERE code = 'tax_payment')};
$node->safe_psql('postgres', 'GRANT SELECT ON credit.category TO bank_a');

# "kind operation subjects withheld" of what accesses left since the last call, a line each, those of one access together.
my $seen = $node->safe_psql('postgres', 'SELECT max(seq) FROM credit.audit_entry');

sub new_entries
{
	my $found = $node->safe_psql('postgres', qq{
		SELECT concat_ws(' ', kind, operation, coalesce(
				(SELECT string_agg(s.subject_id::text, ',' ORDER BY s.subject_id) FROM credit.subject s WHERE a.subjects ? credit._subject_token(s.subject_id, s.log_salt)),
				count::text), entry::jsonb ->> 'withheld', reason)
		  FROM credit.audit_log a WHERE seq > $seen AND kind IN ('access', 'intent', 'refusal') ORDER BY seq});

	$seen = $node->safe_psql('postgres', 'SELECT max(seq) FROM credit.audit_entry');
	return $found;
}

# ------------------------------------------------------------------ a statement that ends as it should

is($node->safe_psql('postgres', "SELECT subject_id FROM credit.record WHERE subject_id IN (7, 45) AND $tax", extra_params => [ '-U', 'bank_a' ]), '7', 'a row that a consent covers');
is(new_entries(), "intent\naccess returned 7 1", 'an intent, and who was given; one subject was withheld');

# ------------------------------------------------------------------ one that does not

my ($code, $out, $err) = $node->psql('postgres', "SELECT pg_sleep(60) FROM credit.record WHERE subject_id = 8 AND $tax",
	extra_params => [ '-U', 'bank_a', '-v', 'VERBOSITY=sqlstate' ], connstr => $node->connstr('postgres') . " options='-c statement_timeout=300'");
like($err, qr/57014/, 'a statement is cancelled');
is(new_entries(), "intent\naccess returned 8 0", 'what it was given is in the log');

my $bank = session($node, 'bank_a');
my $pid = $bank->query_safe('SELECT pg_backend_pid()');
$bank->query_safe("BEGIN; DECLARE c CURSOR FOR SELECT subject_id FROM credit.record WHERE $tax ORDER BY subject_id");
is($bank->query_safe('FETCH 2 FROM c'), "1\n2", 'a cursor gives two rows');
like(new_entries(), qr/^intent\naccess returned 1,2\b/, 'recorded with the FETCH, though the transaction goes on');
$bank->query_safe('CLOSE c');
new_entries();

# In the middle of a row: the function that the row is given to waits.
$bank->{stdin} .= "COMMIT; SELECT pg_sleep(60) FROM credit.record WHERE subject_id = 9 AND $tax;\n";
$bank->{run}->pump_nb;
$node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid");
is(new_entries(), 'intent', 'the intent is durable while the statement runs');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
$node->poll_query_until('postgres', "SELECT max(seq) > $seen FROM credit.audit_entry");
is(new_entries(), 'access returned 9 0', 'terminated: what it was given is in the log');
eval { $bank->quit };

$bank = session($node, 'bank_a');
$pid = $bank->query_safe('SELECT pg_backend_pid()');
$bank->{stdin} .= "SELECT pg_sleep(60) FROM credit.record WHERE subject_id = 10 AND $tax;\n";
$bank->{run}->pump_nb;
$node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid");
kill('KILL', $pid);
eval { $bank->quit };
wait_until_up($node);
wait_for_writer($node);
is(new_entries(), 'intent', 'killed: the intent is there');

# ------------------------------------------------------------------ the writer cannot take it just then

$bank = session($node, 'bank_a');
$bank->query_safe('SELECT 1');
my $writer = writer_pid($node);
$bank->{stdin} .= "SELECT 1 / (CASE WHEN pg_sleep(4) IS NULL THEN 1 ELSE 0 END) FROM credit.record WHERE subject_id = 11 AND $tax;\n";
$bank->{run}->pump_nb;
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
kill('STOP', $writer);
# Fill the queue with what others ask for and are refused.
my $full = $node->safe_psql('postgres', q{
	SET pgcredit.audit_timeout = 1;
	CREATE FUNCTION try(n bigint) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM FROM credit.open_access(ARRAY(SELECT generate_series(1000, 1000 + n))::bigint[], 'pre_loan', ARRAY['tax_payment']);
		RETURN '';
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE;
	END $$;
	DO $$
	BEGIN
		FOR turn IN 1 .. 2000 LOOP
			EXIT WHEN try(60) = 'PC003';
		END LOOP;
		FOR turn IN 1 .. 2000 LOOP
			EXIT WHEN try(0) = 'PC003';
		END LOOP;
	END $$;
	SELECT try(0)});
is($full, 'PC003', 'the queue is full');
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
my (undef, $state) = ask($bank, 'SELECT 2');
is($state, '22012', 'the statement fails');
kill('CONT', $writer);
$node->poll_query_until('postgres', "SELECT count(*) >= 1 FROM credit.audit_entry WHERE seq > $seen");
my ($rows) = ask($bank, "SELECT subject_id FROM credit.record WHERE subject_id = 12 AND $tax");
is($rows, '12', 'the session reads on');
like(join("\n", grep { !/refusal/ } split /\n/, new_entries()), qr/^intent\naccess returned 11 0\nintent\naccess returned 12 0$/,
	'and before that it left what it owed');
$bank->quit;

# ------------------------------------------------------------------ many

$node->safe_psql('postgres', q{
	SET session_replication_role = replica;
	INSERT INTO credit.subject (kind, code) SELECT 'village', 'many' || g FROM generate_series(1, 10000) g;
	INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
	SELECT subject_id, (SELECT category_id FROM credit.category WHERE code = 'tax_payment'), 3, '2026-01-01', 'neutral', code, '{}', 0
	  FROM credit.subject WHERE code LIKE 'many%';
	INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, granted_by)
	SELECT subject_id, 1, ARRAY(SELECT category_id FROM credit.category WHERE code = 'tax_payment'), '{pre_loan}', now() - interval '1 day', now() + interval '1 day', 'test'
	  FROM credit.subject WHERE code LIKE 'many%';});
is($node->safe_psql('postgres', "SELECT count(*) FROM credit.record WHERE $tax", extra_params => [ '-U', 'bank_a' ]), '10040', 'ten thousand subjects in one statement');
is($node->safe_psql('postgres', "SELECT sum(coalesce(count, jsonb_array_length(subjects))) FROM credit.audit_log WHERE seq > $seen AND operation = 'returned' AND categories ? 'tax_payment'"),
	'10040', 'and all of them in the log');
is($node->safe_psql('postgres', 'SELECT ok FROM credit.verify_log()'), 't', 'the log is whole');

$node->stop;
done_testing();
