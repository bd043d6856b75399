# P1, P2: the subject itself, by a signed session token: which tokens count and how long, that nothing of another subject is
# to be had with one, that nothing is carried over to whoever uses the connection next, and that each look is in the log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use File::Spec;
use IPC::Run qw(run);
use PgCredit::LogFiles;
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp    = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir);
my $signer = "$tmp/token_sign";
system(@{ compile_kernels('token_sign', $signer) }) == 0 or die 'token_sign does not compile';

my $node = new_node('self', conf => "max_prepared_transactions = 5\n");
platform($node);
wait_for_writer($node);

# Subject 1 is who signs in, subject 2 is somebody else, whose every record says so.
sub key_of { my ($seed) = @_; my $out; run([ $signer, 'key', $seed ], '>', \$out) or die 'no key'; return "'\\x$out'"; }
$node->safe_psql('postgres', q{
	CREATE ROLE self_app LOGIN;
	CREATE ROLE self_other LOGIN;
	CREATE ROLE self_both LOGIN;
	CREATE ROLE operator LOGIN;
	GRANT credit_self TO self_app, self_other;
	GRANT self_app, self_other TO self_both;
	GRANT credit_operator TO operator;
	UPDATE credit.record SET payload = '{"secret": "of_another"}' WHERE subject_id <> 1;
	UPDATE credit.record SET payload = '{"secret": "of_mine"}' WHERE subject_id = 1;});
$node->safe_psql('postgres', 'SELECT credit.register_issuer(\'gate\', ' . key_of('g') . q{, 'city', valid_from => now() - interval '1 day'), }
	  . 'credit.register_issuer(\'short\', ' . key_of('s') . q{, 'city', '10 s'), }
	  . 'credit.register_issuer(\'later\', ' . key_of('l') . q{, 'city', valid_from => now() + interval '1 day'), }
	  . 'credit.register_issuer(\'over\', ' . key_of('o') . q{, 'city', valid_from => now() - interval '2 days', valid_to => now() - interval '1 day'), }
	  . 'credit.register_issuer(\'fired\', ' . key_of('f') . q{, 'city')},
	extra_params => [ '-U', 'operator' ]);

# A token: members as given, canonical unless "text" is, signed by the seed.
my $tokens = 0;
sub token
{
	my (%member) = @_;
	my $seed = delete $member{seed} // 'g';
	my $text = delete $member{text};
	my $now  = time;
	my $out;

	%member = (audience => 'city', id => sprintf('token-of-test-%04d', ++$tokens), issuer => 'gate', subject => '1',
		issued => $now, expires => $now + 300, %member);
	$text //= '{' . join(',', map { qq{"$_":} . (/^(issued|expires)$/ ? $member{$_} : qq{"$member{$_}"}) } sort keys %member) . '}';
	run([ $signer, 'token', $seed ], '<', \$text, '>', \$out) or die 'no token';
	return $out;
}

# What a role gets: rows and SQLSTATE ('' where all went well).
sub as_role
{
	my ($role, $sql) = @_;
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", extra_params => [ '-U', $role ], on_error_stop => 1);

	return ($out, $err =~ /(?:ERROR|FATAL):  (\w{5})/ ? $1 : '', $err);
}

sub look
{
	my ($token, $role) = @_;

	return as_role($role // 'self_app', qq{BEGIN; SELECT credit.as_subject('$token'); SELECT payload ->> 'secret' FROM credit.my_records(); COMMIT;});
}

sub refused
{
	my ($name, $token, $state, $why, $role) = @_;
	my ($out, $got, $err) = look($token, $role);

	is("$got $out", "$state ", "$name: refused");
	like($err, qr/DETAIL:  $why/, "$name: and says why");
	return;
}

# ------------------------------------------------------------------ tokens that count, and that do not

my ($out, $state) = look(token());
is($out, "1\nof_mine\nof_mine\nof_mine", 'a token shows its subject\'s records');
($out, $state) = look(token(role => 'self_app'));
is($state, '', 'one for a role, too');
my $twice = token();
look($twice);
($out, $state) = look($twice);
is($state, '', 'a token may be used in many transactions');

my $now = time;
refused('expired', token(issued => $now - 600, expires => $now - 300), 'PC141', 'It was good until');
refused('another audience', token(audience => 'village'), 'PC140', 'It is for another platform');
refused('another role', token(role => 'self_other'), 'PC140', 'It is for another role');
refused('a role that is none', token(role => ''), 'PC140', 'It is for another role');
refused('unknown issuer', token(issuer => 'gates'), 'PC140', 'Its issuer is not registered');
refused('another issuer\'s key', token(issuer => 'gate', seed => 's'), 'PC140', 'The signature is not');
refused('a key of nobody', token(seed => 'x'), 'PC140', 'The signature is not');
refused('too long a life', token(expires => $now + 1000), 'PC140', 'It is to live');
refused('too long for this issuer', token(issuer => 'short', seed => 's', expires => $now + 30), 'PC140', 'It is to live');
refused('expires before it was issued', token(issued => $now, expires => $now - 10), 'PC140', 'It is to live');
refused('issued in the future', token(issued => $now + 200, expires => $now + 300), 'PC140', 'It was issued in the future');
refused('issuer not valid yet', token(issuer => 'later', seed => 'l'), 'PC140', 'It was issued before');
refused('issuer valid no more', token(issuer => 'over', seed => 'o'), 'PC140', 'Its issuer is not valid');
refused('no such subject', token(subject => '4711'), 'PC140', 'There is no such subject');
refused('a subject that is no number', token(subject => '1 OR true'), 'PC140', 'Its members');
refused('a subject beyond numbers', token(subject => '9' x 30), 'PC140', 'Its members');
refused('another member', token(admin => 'true'), 'PC140', 'Its members');
refused('times as words', token(text => '{"audience":"city","expires":"4102444800","id":"token-of-test-x001","issued":"1","issuer":"gate","subject":"1"}'), 'PC140', 'Its members');
refused('an id too short to be one', token(id => 'x'), 'PC140', 'Its members');
refused('members in another order', token(text => qq({"subject":"1","audience":"city","expires":@{[$now + 300]},"id":"token-of-test-x002","issued":$now,"issuer":"gate"})), 'PC140', 'It is not canonical');
refused('a member twice', token(text => qq({"audience":"city","expires":@{[$now + 300]},"id":"token-of-test-x003","issued":$now,"issuer":"gate","subject":"2","subject":"1"})), 'PC140', 'It is not canonical');
refused('a null character', token(text => '{"subject":"\\u0000"}'), 'PC140', 'It is not canonical');
refused('a list', token(text => '[]'), 'PC140', 'It is not canonical');
# what the subject signs for another use
refused('a consent', token(text => '{"categories":["tax_payment"],"subject":"1"}'), 'PC140', 'Its members');

# changed after it was signed: another subject, a later end
foreach my $change ([ '"subject":"1"', '"subject":"2"' ], [ qr/"expires":\d+/, '"expires":' . ($now + 400) ])
{
	my ($payload, $signature) = split /\./, token();
	(my $padded = $payload) =~ tr{-_}{+/};
	my $text = `printf %s '$padded==' | base64 -d 2>/dev/null`;
	my $before = $text;
	$text =~ s/$change->[0]/$change->[1]/;
	isnt($text, $before, 'something was changed');
	my $changed = (split /\./, token(text => $text, seed => 'x'))[0];
	refused("changed: $change->[1]", "$changed.$signature", 'PC140', 'The signature is not');
}

# replay: the same token, good and then not
my $brief = token(expires => time + 3);
is((look($brief))[1], '', 'a brief token is good');
my $waiting = session($node, 'self_app');
ask($waiting, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
is(join('|', ask($waiting, "SELECT credit.as_subject('$brief')")), '1|', 'a transaction acts by it');
sleep 4;
refused('replayed after its end', $brief, 'PC141', 'It was good until');
is((ask($waiting, 'SELECT count(*) FROM credit.my_records()'))[1], 'PC141', 'the transaction that acts by it sees nothing more either');
ask($waiting, 'ROLLBACK');
is($node->safe_psql('postgres', q{
	SELECT count(*) || ' ' || bool_and(subjects ? credit._subject_token(s.subject_id, s.log_salt))
	  FROM credit.audit_log a, credit.subject s WHERE a.reason = 'token_expired' AND s.subject_id = 1}), '3 true', 'each is a refusal in the log, of that subject');

# ------------------------------------------------------------------ withdrawn while it is used

ask($waiting, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
my $fired = token(issuer => 'fired', seed => 'f');
ask($waiting, "SELECT credit.as_subject('$fired')");
is((ask($waiting, 'SELECT count(*) FROM credit.my_records()'))[0], '3', 'seen');
$node->safe_psql('postgres', q{SELECT credit.revoke_issuer('fired')}, extra_params => [ '-U', 'operator' ]);
is((ask($waiting, 'SELECT count(*) FROM credit.my_records()'))[1], 'PC140', 'a revoked issuer binds at once, in an old snapshot');
ask($waiting, 'ROLLBACK');
refused('of a revoked issuer', $fired, 'PC140', 'Its issuer was revoked');
ask($waiting, 'BEGIN ISOLATION LEVEL SERIALIZABLE');
my $lost = token(id => 'token-that-was-lost');
ask($waiting, "SELECT credit.as_subject('$lost')");
is((ask($waiting, 'SELECT count(*) FROM credit.my_consents()'))[0], '1', 'seen');
$node->safe_psql('postgres', q{SELECT credit.revoke_token('token-that-was-lost')}, extra_params => [ '-U', 'operator' ]);
is((ask($waiting, 'SELECT count(*) FROM credit.my_consents()'))[1], 'PC140', 'so does a revoked token');
ask($waiting, 'ROLLBACK');
refused('a revoked token', $lost, 'PC140', 'It was revoked');

# ------------------------------------------------------------------ nothing of another subject

my $mine = token();
my $other_consent = $node->safe_psql('postgres', 'SELECT consent_id FROM credit.consent WHERE subject_id = 2');
$node->safe_psql('postgres', read_sql(2), extra_params => [ '-U', 'bank_a' ]);
my $other_entry = $node->safe_psql('postgres', q{SELECT max(seq) FROM credit.audit_log WHERE kind = 'access' AND institution = 'bank_a'});
my %attempt = (
	'SELECT * FROM credit.record' => '42501', 'SELECT * FROM credit.consent' => '42501', 'SELECT * FROM credit.subject' => '42501',
	'SELECT * FROM credit.rating' => '42501', 'SELECT * FROM credit.audit_log' => '42501', 'SELECT * FROM credit.audit_use' => '42501',
	'SELECT * FROM credit.revoked_token' => '42501', 'SELECT * FROM credit.token_issuer' => '42501',
	'COPY credit.record TO STDOUT' => '42501', "SELECT * FROM credit.read(2::bigint, 'self', '{tax_payment}')" => '42501',
	"SELECT * FROM credit.open_access(2::bigint, 'self', '{tax_payment}')" => '42501', 'SELECT credit.guard(2, 1::smallint, current_date)' => '42501',
	'SELECT * FROM credit.access_history(2)' => '42501', "SELECT credit.history_proof(2, $other_entry)" => '42501',
	"SELECT credit.my_history_proof($other_entry)" => 'P0002', "SELECT credit.my_revoke($other_consent)" => 'P0002',
	"SELECT credit.revoke_consent(2, $other_consent)" => '42501', "SELECT credit.explain_access(2, 'bank_a', 'pre_loan')" => '42501',
	q{SELECT credit.register_issuer('mine', '\x00')} => '42501', q{SELECT credit.revoke_token('token-of-test-0001')} => '42501',
	q{SELECT credit._self_look('access', 'records', NULL)} => '42501', q{SELECT credit._explain(2, 'bank_a', 'pre_loan', NULL, 'en')} => '42501',
	'SELECT credit._consent_uses(2, 1, NULL, now())' => '42501', 'SET ROLE portal' => '42501', 'SET ROLE self_other' => '42501',
	'SET SESSION AUTHORIZATION postgres' => '42501',
	"SELECT credit.as_subject('" . token(subject => '2') . q{')} => '55000');
foreach my $sql (sort keys %attempt)
{
	my ($rows, $got) = as_role('self_app', qq{BEGIN; SELECT credit.as_subject('$mine'); $sql; COMMIT;});
	is($got, $attempt{$sql}, "not allowed: $sql");
	unlike($rows, qr/another/, 'and nothing shown');
}
# what is allowed shows the subject's own, whatever stands around it
foreach my $sql ('SELECT string_agg(DISTINCT payload::text, $$,$$) FROM credit.my_records()',
	'WITH r AS (SELECT * FROM credit.my_records()) SELECT string_agg(DISTINCT payload::text, $$,$$) FROM r, generate_series(1, 3)',
	'SELECT string_agg(DISTINCT r.payload::text, $$,$$) FROM generate_series(1, 5) g, LATERAL credit.my_records() r WHERE r.subject_id = 1 OR r.subject_id = g')
{
	($out) = as_role('self_app', qq{BEGIN; SELECT credit.as_subject('$mine'); $sql; COMMIT;});
	is($out, qq(1\n{"secret": "of_mine"}), 'own records only');
}
is($node->safe_psql('postgres', qq{SELECT status FROM credit.consent WHERE consent_id = $other_consent}), 'active', 'the other\'s consent stands');

# the owner of a function that somebody trusts does not become a subject by it, nor the other way round
$node->safe_psql('postgres', q{
	CREATE SCHEMA wrapped;
	GRANT USAGE ON SCHEMA wrapped TO PUBLIC;
	GRANT CREATE ON SCHEMA wrapped TO self_other;
	SET ROLE self_other;
	CREATE FUNCTION wrapped.records() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN (SELECT count(*) FROM credit.my_history()); END';
	CREATE FUNCTION wrapped.enter(token text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN credit.as_subject(token); END'});
(undef, $state) = as_role('self_app', qq{BEGIN; SELECT credit.as_subject('$mine'); SELECT wrapped.records();});
is($state, 'PC142', 'a definer\'s function does not see whom its caller acts for');
(undef, $state) = as_role('self_app', q{BEGIN; SELECT wrapped.enter('} . token() . q{'); SELECT * FROM credit.my_records();});
is($state, 'PC142', 'and what it enters is not its caller\'s');

# ------------------------------------------------------------------ a key that the subject enrolled

$node->safe_psql('postgres', 'SELECT credit.checkpoint()');
my $platform = $node->safe_psql('postgres', 'SELECT origin FROM credit.audit_origin ORDER BY since DESC LIMIT 1');
my %key;
foreach my $who ([ 3, 'k' ], [ 4, 'j' ])
{
	my ($subject, $seed) = @$who;
	my $statement = $node->safe_psql('postgres', "SELECT credit.key_statement($subject, " . key_of($seed) . ')', extra_params => [ '-U', 'portal' ]);
	my $proof = (split /\./, token(text => $statement, seed => $seed))[1] =~ tr{-_}{+/}r;
	$key{$subject} = $node->safe_psql('postgres',
		"SELECT credit.enroll_key($subject, " . key_of($seed) . ", \$x\$$statement\$x\$, decode('$proof==', 'base64'))",
		extra_params => [ '-U', 'portal' ]);
	# what was signed to enrol the key is no token
	refused('a statement of enrolment', token(text => $statement, seed => $seed), 'PC140', 'Its members');
}
sub own_token { my (%member) = @_; return token(audience => $platform, issuer => "subject-key:$key{3}", subject => '3', seed => 'k', %member); }
is((look(own_token()))[0], "3\nof_another\nof_another\nof_another", 'a subject\'s own key signs its token');
refused('for another subject', own_token(subject => '4'), 'PC140', 'Its issuer is not registered');
refused('by another subject\'s key', own_token(issuer => "subject-key:$key{4}"), 'PC140', 'Its issuer is not registered');
refused('by another key', own_token(seed => 'j'), 'PC140', 'The signature is not');
refused('for another platform', own_token(audience => 'city'), 'PC140', 'It is for another platform');
refused('too long a life', own_token(expires => time + 1000), 'PC140', 'It is to live');
refused('a key that is none', own_token(issuer => 'subject-key:1 OR true'), 'PC140', 'Its issuer is not registered');
# a second key counts once it was confirmed
my $second = $node->safe_psql('postgres', 'SELECT credit.key_statement(3, ' . key_of('i') . ')', extra_params => [ '-U', 'portal' ]);
my $second_proof = (split /\./, token(text => $second, seed => 'i'))[1] =~ tr{-_}{+/}r;
my $second_key = $node->safe_psql('postgres', 'SELECT credit.enroll_key(3, ' . key_of('i') . ", \$x\$$second\$x\$, decode('$second_proof==', 'base64'))",
	extra_params => [ '-U', 'portal' ]);
refused('not confirmed yet', own_token(issuer => "subject-key:$second_key", seed => 'i'), 'PC140', 'Its issuer is not registered');
my $own = own_token();
my $acting = session($node, 'self_app');
ask($acting, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
is(join('|', ask($acting, "SELECT credit.as_subject('$own')")), '3|', 'a transaction acts by it');
$node->safe_psql('postgres', "SELECT credit.revoke_key(3, $key{3}, 'lost')", extra_params => [ '-U', 'portal' ]);
is((ask($acting, 'SELECT count(*) FROM credit.my_records()'))[1], 'PC140', 'a revoked key shows nothing more');
ask($acting, 'ROLLBACK');
$acting->quit;
refused('a revoked key', $own, 'PC140', 'Its issuer was revoked');

# ------------------------------------------------------------------ transactions, savepoints, roles

my $both = session($node, 'self_both');
ask($both, 'SET ROLE self_app');
ask($both, 'PREPARE p AS SELECT count(*) FROM credit.my_records()');
ask($both, 'BEGIN');
ask($both, "SELECT credit.as_subject('$mine')");
is(join('|', ask($both, 'EXECUTE p')), '3|', 'a prepared statement');
ask($both, 'SET ROLE self_other');
is((ask($both, 'SELECT credit.current_subject()'))[1], 'PC142', 'another role acts for nobody');
ask($both, 'ROLLBACK');
is((ask($both, 'EXECUTE p'))[1], 'PC142', 'nor does the next transaction, with a plan from before');
ask($both, 'SET ROLE self_app');
is((ask($both, 'EXECUTE p'))[1], 'PC142', 'in the role that did');
ask($both, 'BEGIN; SAVEPOINT a');
ask($both, "SELECT credit.as_subject('$mine')");
ask($both, 'ROLLBACK TO a');
is((ask($both, 'SELECT credit.current_subject()'))[1], 'PC142', 'a savepoint that is rolled back takes it along');
ask($both, 'ROLLBACK; BEGIN');
ask($both, "SELECT credit.as_subject('$mine')");
ask($both, 'SET ROLE self_other; RESET ROLE; SET ROLE self_app');
is(join('|', ask($both, 'SELECT credit.current_subject()')), '1|', 'who comes back to the role still acts');
ask($both, q{PREPARE TRANSACTION 'self'});
is((ask($both, 'SELECT credit.current_subject()'))[1], 'PC142', 'nobody after PREPARE TRANSACTION');
is((ask($both, q{COMMIT PREPARED 'self'; SELECT credit.current_subject()}))[1], 'PC142', 'nor after its end');
ask($both, 'BEGIN');
ask($both, "SELECT credit.as_subject('$mine')");
is((ask($both, q{DECLARE c CURSOR WITH HOLD FOR SELECT payload ->> 'secret' FROM credit.my_records(); COMMIT; FETCH ALL FROM c}))[0],
	"of_mine\nof_mine\nof_mine", 'what was looked up before the commit is shown after it');
is((ask($both, 'SELECT credit.current_subject()'))[1], 'PC142', 'and no more');
ask($both, 'DISCARD ALL');
$both->quit;
$waiting->quit;

# ------------------------------------------------------------------ the log: durable before, also if nobody commits

my $before = accesses_of($node, 1);
$node->safe_psql('postgres', qq{BEGIN; SELECT credit.as_subject('$mine'); SELECT * FROM credit.my_records(); SELECT * FROM credit.my_ratings(); ROLLBACK;}, extra_params => [ '-U', 'self_app' ]);
is(accesses_of($node, 1), $before + 2, 'a rollback leaves the entries');
my $crashed = session($node, 'self_app');
ask($crashed, 'BEGIN');
ask($crashed, "SELECT credit.as_subject('$mine')");
ask($crashed, 'SELECT count(*) FROM credit.my_records()');
$node->stop('immediate');
eval { $crashed->quit };
$node->start;
wait_for_writer($node);
is(accesses_of($node, 1), $before + 3, 'so does a crash');
like($node->safe_psql('postgres', q{SELECT actor || ' ' || purpose || ' ' || operation || ' ' || (entry::jsonb ->> 'issuer') || ' ' || (entry::jsonb ->> 'session_token')
	FROM credit.audit_log WHERE kind = 'access' ORDER BY seq DESC LIMIT 1}), qr/^self_app self records gate token-of-test-\d+$/, 'which says by whose word');
my $writer = writer_pid($node);
kill 'STOP', $writer;
($out, $state) = as_role('self_app', qq{SET pgcredit.audit_timeout = '1s'; BEGIN; SELECT credit.as_subject('$mine'); SELECT payload FROM credit.my_records();});
kill 'CONT', $writer;
is("$state $out", 'PC002 1', 'no row while nothing can be recorded');

# ------------------------------------------------------------------ a pool

SKIP:
{
	my ($bouncer) = grep { -x } '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer';
	skip 'no PgBouncer', 5 if !$bouncer;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $dir  = PostgreSQL::Test::Utils::tempdir_short();
	append_to_file("$tmp/users", qq{"self_app" ""\n});
	append_to_file("$tmp/pool.ini", "[databases]\npostgres = host=@{[$node->host]} port=@{[$node->port]}\n[pgbouncer]\nlisten_addr =\n"
		. "unix_socket_dir = $dir\nlisten_port = $port\nauth_type = trust\nauth_file = $tmp/users\npool_mode = transaction\n"
		. "default_pool_size = 1\nlogfile = $tmp/pool.log\npidfile = $tmp/pool.pid\n");
	my $pool = IPC::Run::start([ $bouncer, "$tmp/pool.ini" ], '>', "$tmp/pool.out", '2>&1');
	my @client;
	foreach (1 .. 100)
	{
		last if -S "$dir/.s.PGSQL.$port";
		select(undef, undef, undef, 0.1);
	}
	@client = map { session($node, 'self_app', undef, "host=$dir port=$port user=self_app dbname=postgres") } 0, 1;
	my ($pid) = ask($client[0], 'SELECT pg_backend_pid()');
	is(join('|', ask($client[1], 'SELECT pg_backend_pid()')), "$pid|", 'two clients, one connection');
	my ($first) = ask($client[0], "BEGIN; SELECT credit.as_subject('$mine'); SELECT count(*) FROM credit.my_records(); COMMIT");
	is($first, "1\n3", 'one looks');
	is((ask($client[1], 'SELECT count(*) FROM credit.my_records()'))[1], 'PC142', 'the other has nothing of it');
	is((ask($client[0], 'SELECT count(*) FROM credit.my_records()'))[1], 'PC142', 'nor has the one, in the next transaction');
	is((ask($client[1], "BEGIN; SELECT credit.as_subject('" . token(subject => '2') . "'); SELECT DISTINCT payload ->> 'secret' FROM credit.my_records(); COMMIT"))[0],
		"2\nof_another", 'who may look for another');
	$_->quit foreach @client;
	$pool->kill_kill;
}

log_is_whole($node, 'after all of this');
done_testing();
