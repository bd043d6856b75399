# A server with pgcredit and a small platform in it, and the questions that every test of the log asks.
package PgCredit::Node;

use strict;
use warnings;

use Exporter qw(import);
use IPC::Run;
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(new_node write_key platform read_sql open_sql session ask fails_with accesses_of entry_of
  wait_for_writer writer_pid wait_for_no_writer wait_until_up log_mark log_is_whole log_size log_since
  with_workers verify_both);

# Writes a key file into the node's data directory and returns its path.
sub write_key
{
	my ($node) = @_;
	my $path = $node->basedir . '/key';

	open(my $fh, '>', $path) or die "$path: $!";
	print $fh '5a' x 32, "\n";
	close($fh) or die "$path: $!";
	chmod(0600, $path) or die "$path: $!";
	return $path;
}

# A started server that preloads the library. conf: text for postgresql.conf, preload => 0: not preloaded; everything
# else goes to init().
sub new_node
{
	my ($name, %option) = @_;
	my $node    = PostgreSQL::Test::Cluster->new($name);
	my $conf    = delete $option{conf} // '';
	my $preload = delete $option{preload} // 1;

	$node->init(%option);
	my $key = write_key($node);
	# The framework turns log_statement on and restart_after_crash off. A slow WAL writer: what the log's writer does
	# not flush itself is lost in a crash.
	$node->append_conf('postgresql.conf', "
pgcredit.key_file = '$key'
log_statement = none
restart_after_crash = on
wal_writer_delay = 10s
autovacuum = off
max_connections = 60
$conf");
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pgcredit'") if $preload;
	$node->start;
	return $node;
}

# The extension with bank_a and bank_b, a department, subjects 1 to 50, three records of each, and the consent of
# subjects 1 to 40 to bank_a for tax_payment and social_insurance.
sub platform
{
	my ($node, $db) = @_;

	$db //= 'postgres';
	$node->safe_psql($db, q{
		SET client_min_messages = warning;
		CREATE EXTENSION pgcredit;
		DO $$
		DECLARE
			r text;
		BEGIN
			FOREACH r IN ARRAY '{bank_a,bank_b,tax_office,portal,app}'::text[] LOOP
				IF to_regrole(r) IS NULL THEN
					EXECUTE format('CREATE ROLE %I LOGIN', r);
				END IF;
			END LOOP;
		END $$;
		GRANT credit_institution TO bank_a, bank_b;
		GRANT credit_portal TO portal;
		GRANT bank_a, bank_b TO app;
		INSERT INTO credit.institution (code, name_zh, kind, db_role) VALUES
			('bank_a', '甲银行', 'commercial_bank', 'bank_a'),
			('bank_b', '乙银行', 'commercial_bank', 'bank_b'),
			('tax_office', '税务局', 'tax', 'tax_office');
		INSERT INTO credit.subject (kind, code) SELECT 'village', 'v' || g FROM generate_series(1, 50) g;
		INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
		SELECT s.subject_id, c.category_id, 3, date '2026-01-01', 'neutral', s.code || c.code, '{"a": 1}', 0
		  FROM credit.subject s, credit.category c
		 WHERE c.code IN ('tax_payment', 'social_insurance', 'electricity_use');
		SET ROLE portal;
		SELECT count(credit.grant_consent(s, 'bank_a', '{tax_payment,social_insurance}', '{pre_loan}',
										  now() - interval '1 day', now() + interval '1 year'))
		  FROM generate_series(1, 40) s;
	});
	return;
}

sub read_sql
{
	my ($subject, $categories) = @_;

	$categories //= 'tax_payment';
	return "SELECT subject_id, category FROM credit.read($subject, 'pre_loan', '{$categories}');";
}

sub open_sql
{
	my ($subject, $categories) = @_;

	$categories //= 'tax_payment';
	return "SELECT entry FROM credit.open_access($subject, 'pre_loan', '{$categories}');";
}

# A psql that stays; errors show their SQLSTATE only. via: a connection string to another server in front of the node.
sub session
{
	my ($node, $user, $db, $via) = @_;
	my $psql = $node->background_psql($db // 'postgres', on_error_stop => 0,
		extra_params => [ '-U', $user, defined $via ? ('-d', $via) : () ]);

	$psql->set_query_timer_restart();
	$psql->query_safe('\set VERBOSITY sqlstate');
	return $psql;
}

# What a session answers to a query: rows and SQLSTATE ('' where it succeeded).
sub ask
{
	my ($psql, $sql) = @_;
	my ($rows) = $psql->query($sql);
	my ($state) = $psql->{stderr} =~ /(?:ERROR|FATAL):  (\w{5})/;

	$state //= $psql->{stderr};
	$psql->{stderr} = '';
	return ($rows, $state);
}

# "SQLSTATE" or 'none' of a query that must not return a row, and how many seconds it took.
sub fails_with
{
	my ($node, $db, $user, $sql) = @_;
	my $begin = time;
	my ($code, $out, $err) = $node->psql($db, "\\set VERBOSITY sqlstate\n$sql",
		extra_params => [ '-U', $user ], on_error_stop => 1);
	my $took = time - $begin;

	is($out, '', 'no row came') if $code != 0;
	return ($code == 0 ? 'none' : $err =~ /(?:ERROR|FATAL):  (\w{5})/ ? $1 : $err, $took);
}

# Number of entries of recorded accesses of a subject in the log.
sub accesses_of
{
	my ($node, $subject, $db) = @_;

	return $node->safe_psql($db // 'postgres', qq{
		SELECT count(*) FROM credit.audit_log a, credit.subject s
		 WHERE s.subject_id = $subject AND a.kind = 'access' AND a.subjects ? credit._subject_token(s.subject_id, s.log_salt)});
}

# "kind actor session_user subject" of an entry; the subject by its id.
sub entry_of
{
	my ($node, $seq, $db) = @_;

	return $node->safe_psql($db // 'postgres', qq{
		SELECT concat_ws(' ', kind, actor, session_user_name,
			(SELECT string_agg(s.subject_id::text, ',') FROM credit.subject s
			  WHERE a.subjects ? credit._subject_token(s.subject_id, s.log_salt)))
		  FROM credit.audit_log a WHERE seq = $seq});
}

sub writer_pid
{
	my ($node, $db) = @_;

	$db //= 'postgres';
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgcredit writer' AND datname = '$db'");
}

sub wait_for_writer
{
	my ($node, $db) = @_;

	$db //= 'postgres';
	return $node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgcredit writer' AND datname = '$db'");
}

sub wait_for_no_writer
{
	my ($node, $db) = @_;

	$db //= 'postgres';
	return $node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pgcredit writer' AND datname = '$db'");
}

# After a crash of the server: until it takes connections again.
sub wait_until_up
{
	my ($node) = @_;

	return $node->poll_query_until('postgres', 'SELECT true');
}

# What the log is now, for log_is_whole to compare with later: how long, a digest of every byte, and a checkpoint.
sub log_mark
{
	my ($node, $db) = @_;
	my ($size, $digest) = split /\|/, $node->safe_psql($db // 'postgres', q{
		SELECT count(*), encode(sha256(convert_to(coalesce(string_agg(entry, E'\n' ORDER BY seq), ''), 'UTF8')), 'hex')
		  FROM credit.audit_entry});

	return { size => $size, digest => $digest, checkpoint => checkpoint($node, $db) };
}

# The checkpoint's bytes, which end in one newline.
sub checkpoint
{
	my ($node, $db) = @_;

	return $node->safe_psql($db // 'postgres', 'SELECT credit.checkpoint()') =~ s/\n*\z/\n/r;
}

# Does the log of now continue the checkpoint? Asked of a program without a server.
sub continues
{
	my ($node, $old, $db) = @_;
	my $dir   = PostgreSQL::Test::Utils::tempdir;
	my $new   = checkpoint($node, $db);
	my %file  = (old => $old, new => $new, vkey => $node->safe_psql($db, 'SELECT credit.log_vkey()'));
	my @sizes = map { (split /\n/)[1] } ($old, $new);

	$file{proof} = $node->safe_psql($db, qq{
		SELECT string_agg(encode(h, 'base64') || E'\\n', '' ORDER BY n)
		  FROM unnest(credit.consistency_proof($sizes[0], $sizes[1])) WITH ORDINALITY p(h, n)});
	$file{proof} =~ s/\n*\z/\n/ if $file{proof} ne '';
	append_to_file("$dir/$_", $file{$_}) foreach (keys %file);
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'pgcredit-verify', 'consistency', '--key', "\@$dir/vkey", "$dir/old", "$dir/new", "$dir/proof" ],
		'>', \$out, '2>', \$err);
	return $out =~ /^valid: / ? '' : ", $err";
}

# Settings by a function, since commands that set something are entries: credit.verify_log with workers that read all of a
# log, however small, or with none.
sub with_workers
{
	my ($n) = @_;

	return qq{SELECT set_config(name, value, false) FROM (VALUES ('max_parallel_maintenance_workers', '$n'),
		('min_parallel_table_scan_size', '0'), ('parallel_leader_participation', 'off')) s (name, value);\n};
}

# What credit.verify_log says in the session, after "sql" and before "after", as "result", an expression over its row v.
# It is asked with workers and without, which must be the same to the letter. Returns the result and the number of workers
# that took part.
sub verify_both
{
	my ($node, $db, $name, %option) = @_;
	my $call = 'credit.verify_log(' . ($option{arguments} // '') . ') v';
	my ($out, $err, $workers, $alone);

	# An entry may come between the two calls, so what differs is asked again, unless that would do something twice.
	foreach my $turn (1 .. ($option{sql} || $option{after} ? 1 : 3))
	{
		($out, $err) = ('', '');
		$node->psql($db, with_workers(2) . ($option{sql} // '') . qq{;
			SELECT count(set_config('client_min_messages', 'debug1', false));
			SELECT 'workers: ' || v::text FROM $call;
			SELECT count(set_config('client_min_messages', 'notice', false));
			@{[ with_workers(0) ]}
			SELECT 'alone: ' || v::text || E'\nresult: ' || $option{result} FROM $call;
			} . ($option{after} // ''), stdout => \$out, stderr => \$err, on_error_die => 1, on_error_stop => 1);
		($workers) = $out =~ /^workers: (.*)$/m;
		($alone)   = $out =~ /^alone: (.*)$/m;
		last if $workers eq $alone;
	}
	my ($result) = $out =~ /^result: (.*)$/m;
	is($workers, $alone, "$name: the same with workers") if $workers ne $alone;
	return ($result, $err =~ /(\d+) workers made (\d+) of/ && $2 > 0 ? $1 : 0);
}

# Every committed write is numbered, numbers run from 1 (or "from" the first that is kept) without gap or double, an entry
# says its own number, and the tree is over its bytes. With a "mark" of log_mark: what was in the log then is in it now,
# byte for byte, and the checkpoint of now continues that of then. And credit.verify_log finds nothing.
sub log_is_whole
{
	my ($node, $name, $db, %option) = @_;
	my $from = $option{from} // 1;
	my $mark = $option{mark};

	$db //= 'postgres';
	$node->poll_query_until($db, 'SELECT count(*) = 0 FROM credit.audit_outbox')
	  or diag('the outbox is not empty');
	my $found = $node->safe_psql($db, qq{
		SELECT CASE WHEN min(seq) = $from AND max(seq) = $from + count(*) - 1 AND count(DISTINCT seq) = count(*)
					THEN 'whole' ELSE format('%s to %s, %s rows', min(seq), max(seq), count(*)) END
			|| ', ' || (SELECT count(*) FROM (SELECT (seq - 1) / 256 AS n, string_agg(credit.leaf_hash(entry), '' ORDER BY seq) AS hashes
										   FROM credit.audit_entry GROUP BY 1) t
						 WHERE credit.tile(0, n) <> hashes) || ' bad tiles, '
			|| count(*) FILTER (WHERE (entry::jsonb ->> 'seq')::bigint IS DISTINCT FROM seq) || ' bad numbers'
		  FROM credit.audit_entry});
	$found .= $node->safe_psql($db, qq{
		SELECT CASE WHEN encode(sha256(convert_to(coalesce(string_agg(entry, E'\\n' ORDER BY seq), ''), 'UTF8')), 'hex') = '$mark->{digest}'
					THEN '' ELSE ', not what it was' END
		  FROM credit.audit_entry WHERE seq <= $mark->{size}}) . continues($node, $mark->{checkpoint}, $db) if $mark;
	is($found, 'whole, 0 bad tiles, 0 bad numbers', "$name: the log is whole");
	return is((verify_both($node, $db, $name, result => q{concat_ws(' ', ok, problem, wrong_seq, detail)}))[0], 't', "$name: and is verified");
}

sub log_size
{
	my ($node) = @_;

	return -s $node->logfile // 0;
}

sub log_since
{
	my ($node, $from) = @_;

	return substr(slurp_file($node->logfile), $from);
}

1;
