# Signed consents with keys that the server does not have: enrolment, rotation, lost keys with a second person; a signature
# serves once also where two sessions use it at once; a dump restored elsewhere verifies everything and takes nothing twice;
# receipts and statements are checked by a program without a server.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use File::Spec;
use IPC::Run;
use JSON::PP;
use PgCredit::LogFiles;
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'no C compiler' if system('cc --version >/dev/null 2>&1') != 0;

my $tmp    = File::Spec->rel2abs(PostgreSQL::Test::Utils::tempdir);
my $signer = "$tmp/subject_sign";
system(@{ compile_kernels('subject_sign', $signer) }) == 0 or die 'subject_sign does not compile';

my $node = new_node('signature');
platform($node);
$node->safe_psql('postgres', q{
	CREATE ROLE clerk_1 LOGIN; CREATE ROLE clerk_2 LOGIN; CREATE ROLE operator LOGIN;
	GRANT credit_portal TO clerk_1, clerk_2;
	GRANT credit_operator TO operator;
	SELECT credit.set_log_origin('credit.example/log')});

# What the subject's device says to a text.
sub signer
{
	my ($text, @arguments) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ $signer, @arguments ], '<', \$text, '>', \$out, '2>', \$err);
	return ($out, $? >> 8);
}

sub public_key { return (signer('', 'key', $_[0]))[0]; }
sub signature  { return (signer($_[1], 'sign', $_[0]))[0]; }

# One value of a query, as the portal or as somebody else.
sub value
{
	my ($sql, $user, $db) = @_;

	return $node->safe_psql($db // 'postgres', $sql, extra_params => [ '-U', $user // 'portal' ]);
}

# SQLSTATE, or 'none'.
sub fails
{
	my ($sql, $user, $db) = @_;

	return (fails_with($node, $db // 'postgres', $user // 'portal', $sql))[0];
}

sub quote
{
	my ($text) = @_;

	return "'" . $text =~ s/'/''/gr . "'";
}

sub enroll_sql
{
	my ($subject, $seed, $old, $old_seed, $proof_seed) = @_;
	my $key       = public_key($seed);
	my $statement = value("SELECT credit.key_statement($subject, '\\x$key')");
	my $sql       = "SELECT credit.enroll_key($subject, '\\x$key', " . quote($statement) . ", '\\x" . signature($proof_seed // $seed, $statement) . "'";

	$sql .= ", $old, '\\x" . signature($old_seed, $statement) . "'" if defined $old;
	return "$sql)";
}

my $window = q{'2026-01-01', '2035-01-01'};

sub statement_of
{
	my ($subject, $db) = @_;

	return value("SELECT credit.consent_statement($subject, 'bank_b', '{tax_payment}', '{pre_loan}', $window, kind => 'one_time', legal_text => '授权书 \"甲\"')", 'portal', $db);
}

sub grant_sql
{
	my ($subject, $seed, $key, $statement) = @_;

	return "SELECT credit.grant_consent($subject, 'bank_b', '{tax_payment}', '{pre_loan}', $window, kind => 'one_time', legal_text => '授权书 \"甲\"', "
	  . "key_id => $key, statement => " . quote($statement) . ", signature => '\\x" . signature($seed, $statement) . "')";
}

sub grant
{
	my ($subject, $seed, $key) = @_;

	return value(grant_sql($subject, $seed, $key, statement_of($subject)));
}

sub verdict
{
	my ($subject, $consent, $db) = @_;

	return value("SELECT concat_ws(' ', valid, fault) FROM credit.verify_consent($subject, $consent)", 'portal', $db);
}

#
# Keys: the first, another by the old one's signature, a lost one by two persons
#
my $first = value(enroll_sql(1, 'a'));
my $c1    = grant(1, 'a', $first);
is(verdict(1, $c1), 't', 'a consent signed with the first key');
is(fails(grant_sql(1, 'b', $first, statement_of(1))), 'PC131', 'another key has signed');
is(fails(enroll_sql(1, 'b', undef, undef, 'a')), 'PC131', 'whoever enrols a key must have it');
is(fails(enroll_sql(1, 'b', $first, 'c')), 'PC131', 'an endorsement must be the old key\'s');
is(fails(enroll_sql(2, 'b', $first, 'a')), 'PC132', 'the old key is no key of another subject');

my $second = value(enroll_sql(1, 'b', $first, 'a'));
is(value("SELECT credit.revoke_key(1, $first, 'replaced')"), 't', 'the old key goes');
my $c2 = grant(1, 'b', $second);
is(verdict(1, $c2), 't', 'signed with the new key');
is(verdict(1, $c1), 't', 'what the old one signed before stays signed');
is(fails(grant_sql(1, 'a', $first, statement_of(1))), 'PC132', 'the old one signs no more');
is(fails(enroll_sql(1, 'c', $first, 'a')), 'PC132', 'nor for another key');

my $third = value(enroll_sql(1, 'c'), 'clerk_1');
is(value("SELECT status FROM credit.subject_keys(1) WHERE key_id = $third"), 'unconfirmed', 'a key that no older one signed for waits');
is(fails(grant_sql(1, 'c', $third, statement_of(1))), 'PC132', 'and cannot sign yet');
is(fails("SELECT credit.confirm_key(1, $third)", 'clerk_1'), 'PC134', 'whoever enrolled it does not confirm it');
is(fails("SET ROLE credit_portal; SELECT credit.confirm_key(1, $third)", 'clerk_1'), 'PC134', 'in another role neither');
is(fails("SELECT credit.confirm_key(2, $third)", 'clerk_2'), 'P0002', 'it is no key of another subject');
value("SELECT credit.confirm_key(1, $third)", 'clerk_2');
my $c3 = grant(1, 'c', $third);
is(verdict(1, $c3), 't', 'a second person confirmed it');
is(fails("SELECT credit.confirm_key(1, $third)", 'clerk_2'), 'PC133', 'once');

# Stolen: what was signed after that does not count, what was signed before does.
my $stolen_at = value('SELECT clock_timestamp()');
my $c4        = grant(1, 'c', $third);
value("SELECT credit.revoke_key(1, $third, 'stolen', " . quote($stolen_at) . ')');
is(verdict(1, $c4), 'f key_revoked', 'signed by the thief');
is(verdict(1, $c3), 't', 'signed before the theft');

#
# Once, also where two do it at once; a key that goes meanwhile
#
my $statement = statement_of(1);
my @both      = map { session($node, 'portal') } 1 .. 2;
ask($both[0], 'BEGIN');
my ($granted) = ask($both[0], grant_sql(1, 'b', $second, $statement));
like($granted, qr/^\d+$/, 'one session uses a signature');
my $pid = (ask($both[1], 'SELECT pg_backend_pid()'))[0];
$both[1]->query_until(qr/asked/, "\\echo asked\n" . grant_sql(1, 'b', $second, $statement) . ";\n");
$node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid");
ask($both[0], 'COMMIT');
is((ask($both[1], 'SELECT 1'))[1], 'PC131', 'the other one waits and is refused');
is($node->safe_psql('postgres', 'SELECT count(*) FROM credit.consent_signature WHERE statement = ' . quote($statement)), '1', 'it is used once');

value(enroll_sql(2, 'a'));
my $key_2 = value('SELECT key_id FROM credit.subject_keys(2)');
ask($both[0], 'BEGIN');
($granted) = ask($both[0], grant_sql(2, 'a', $key_2, statement_of(2)));
$pid = (ask($both[1], 'SELECT pg_backend_pid()'))[0];
$both[1]->query_until(qr/asked/, "\\echo asked\nSELECT credit.revoke_key(2, $key_2, 'lost');\n");
$node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid");
ask($both[0], 'COMMIT');
ask($both[1], 'SELECT 1');
is(value('SELECT status FROM credit.subject_keys(2)'), 'revoked', 'a revocation waits for a grant that uses the key');
is(verdict(2, $granted), 't', 'and the grant was before it');
$_->quit foreach @both;

#
# Without a server: statement and receipt
#
my $text = statement_of(1);
is(JSON::PP->new->canonical->latin1(0)->utf8(0)->encode(JSON::PP->new->utf8(0)->decode($text)), $text, 'a statement is in the form of RFC 8785');
my $platform_key = value(q{SELECT encode(credit.platform_key(), 'hex')}, 'bank_a');
my $paper = value(q{SELECT credit.enter_paper_consent(3, 'bank_b', sha256('scan'), '{tax_payment}', '{pre_loan}', '2026-01-01', '2035-01-01')}, 'clerk_1');
is(fails(qq{SET ROLE portal; SELECT credit.confirm_paper_consent(3, $paper, sha256('scan'))}, 'clerk_1'), '42501', 'a clerk is no other clerk');
is(fails(qq{SET ROLE credit_portal; SELECT credit.confirm_paper_consent(3, $paper, sha256('scan'))}, 'clerk_1'), 'PC134', 'nor in another role');
my $c5 = value(qq{SELECT credit.confirm_paper_consent(3, $paper, sha256('scan'))}, 'clerk_2');
is(verdict(3, $c5), 't', 'a paper is signed for the counter');

sub receipt_fits
{
	my ($bytes) = @_;
	my $receipt = decode_json($bytes);
	my $value   = delete $receipt->{signature};

	return (signer(JSON::PP->new->canonical->utf8->encode($receipt), 'check', $receipt->{publicKey}, $value))[1];
}
my %receipt = map { my ($s, $c) = @$_; ($c => pack 'H*', value("SELECT encode(convert_to(credit.consent_receipt($s, $c)::text, 'UTF8'), 'hex')")) } [ 1, $c1 ], [ 3, $c5 ];
foreach my $consent ($c1, $c5)
{
	my $receipt = decode_json($receipt{$consent});

	is(receipt_fits($receipt{$consent}), 0, 'a receipt is checked without a server');
	is($receipt->{publicKey}, $platform_key, 'against the key that anybody can ask for');
	isnt(receipt_fits($receipt{$consent} =~ s/"tax_payment"/"tax_payments"/r), 0, 'and tells of a change');
	utf8::encode(my $signed = $receipt->{statement});
	is((signer($signed, 'check', $receipt->{statementKey}, $receipt->{statementSignature}))[1], 0, 'what was signed is in it, with its signature');
}
is(decode_json($receipt{$c1})->{statementKey}, public_key('a'), 'by the subject');
is(decode_json($receipt{$c5})->{statementKey}, $platform_key, 'by the platform where it came on paper');

#
# P10: restored elsewhere
#
value(q{SELECT credit.set_consent_template('commercial_bank', 'post_loan', longest_window => '1 year'), credit.set_consent_policy(false)}, 'operator');
my $request = value(q{SELECT credit.request_consent(4, '{tax_payment}', '{in_loan}', '2026-01-01', '2035-01-01', reference => 'R-1')}, 'bank_b');
$statement = statement_of(1);
my $once = grant_sql(1, 'b', $second, $statement);
value($once);
my $late = grant_sql(1, 'b', $second, statement_of(1));
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$tmp/dump", '-d', $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'pg_restore', '-1', '-d', $node->connstr('restored'), "$tmp/dump" ], 'pg_restore');
foreach my $table ('consent', 'consent_signature', 'subject_key', 'consent_request', 'consent_template', 'consent_policy')
{
	my $sql = "SELECT count(*) || ' ' || md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\")) FROM credit.$table t";

	is($node->safe_psql('restored', $sql), $node->safe_psql('postgres', $sql), "restored: $table is as it was");
}
is(join(',', map { verdict(@$_, 'restored') } [ 1, $c1 ], [ 1, $c2 ], [ 1, $c4 ], [ 3, $c5 ]), 't,t,f key_revoked,t', 'restored: every signature verifies as before');
is(value('SELECT credit.verify_receipt(convert_from(' . quote('\x' . unpack('H*', $receipt{$c1})) . "::bytea, 'UTF8')::jsonb)", 'bank_a', 'restored'), 't', 'restored: and a receipt');
is(fails($once, 'portal', 'restored'), 'PC131', 'restored: a signature that was used is used');
is(fails(q{SELECT credit.grant_consent(5, 'bank_b', '{tax_payment}', '{pre_loan}', now(), now() + interval '1 day')}, 'portal', 'restored'), 'PC131', 'restored: the policy holds');
is(fails(q{SELECT credit.request_consent(5, '{tax_payment}', '{post_loan}', '2026-01-01', '2035-01-01')}, 'bank_b', 'restored'), 'PC130', 'restored: a template too');
is(fails(q{SELECT credit.request_consent(4, '{tax_payment}', '{in_loan}', '2026-01-01', '2035-01-01', reference => 'R-1')}, 'bank_b', 'restored'), '23505', 'restored: and a reference');
is(value(q{SELECT credit.request_consent(4, '{tax_payment}', '{in_loan}', '2026-01-01', '2035-01-01')}, 'bank_b', 'restored') > $request, 1, 'restored: requests are numbered on');
# the copy goes on under a name of its own: what is signed for the one is nothing to the other
$node->safe_psql('restored', q{SELECT credit.set_log_origin('copy.example/log', true)});
is(fails($late, 'portal', 'restored'), 'PC131', 'a copy takes no signature made for the original');
is(verdict(1, $c1, 'restored'), 't', 'and keeps those from before it was one');
is(fails($late), 'none', 'which the original takes');
log_is_whole($node, 'signatures');

#
# Another master key: the platform has another key, and says so
#
append_to_file($node->basedir . '/key2', 'a5' x 32 . "\n");
chmod(0600, $node->basedir . '/key2');
$node->append_conf('postgresql.conf', "pgcredit.key_file = '" . $node->basedir . "/key2'");
$node->restart;
is(verdict(3, $c5), 'f platform_key', 'the counter\'s consents were signed by another key');
is(verdict(1, $c1), 't', 'the subject\'s own verify as before');
is(value('SELECT credit.verify_receipt(convert_from(' . quote('\x' . unpack('H*', $receipt{$c1})) . "::bytea, 'UTF8')::jsonb)", 'bank_a'), 'f', 'a receipt is not this platform\'s');
is(receipt_fits($receipt{$c1}), 0, 'whoever kept the key can check it still');

$node->stop;
done_testing();
