# P4: an entry of a write is in the log if and only if its transaction committed, one for each statement and table that it
# touched, with the number of rows and a digest that is recomputed here from the rows. What 034_audit_outbox.pl asks of
# simple statements, savepoints and crashes is asked here of everything else by which a row can come or go.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Digest::SHA qw(sha256_base64);
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('lanes', allows_streaming => 1, conf => "max_prepared_transactions = 20\nautovacuum = off\n");
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
platform($node);
$node->safe_psql('postgres', q{
	CREATE ROLE clerk LOGIN;
	CREATE TABLE t (a int PRIMARY KEY, b text);
	CREATE TABLE u (a int PRIMARY KEY, b text);
	SELECT credit._audit_table('t'), credit._audit_table('u');
	GRANT ALL ON t, u TO clerk});

# The digest of rows, each a list of texts, undef for null: old ones, then new ones.
sub digest
{
	my $digest = sha256_base64(join '', map { map { defined $_ ? pack('N', length) . $_ : pack('N', 0xFFFFFFFF) } @$_ } @_);

	$digest =~ tr{+/}{-_};
	return $digest;
}

# What the log has got of writes to tables of ours since the last call: "actor operation table count digest", in order.
my $seen = 0;

sub new_entries
{
	my @found;

	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox')
	  or diag('the outbox is not empty');
	foreach my $entry (split /\n/, $node->safe_psql('postgres', "SELECT entry FROM credit.audit_entry WHERE seq > $seen ORDER BY seq"))
	{
		my %member = $entry =~ /"(\w+)":"?([^",}]*)/g;

		$seen = $member{seq};
		push @found, "$member{actor} $member{operation} $member{table} $member{count} $member{digest}" if $member{kind} eq 'write';
	}
	return join("\n", @found);
}

# The entries of one statement have no order among them.
our $unordered = 0;

# The entries wanted, each [operation, table, number of rows, rows for the digest...], written by the superuser or by
# whom "by" names.
sub expect
{
	my ($name, $by, @wanted) = @_;
	my @line;

	foreach my $entry (@wanted)
	{
		my ($operation, $table, $count, @rows) = @$entry;

		push @line, "$by $operation $table $count " . digest(@rows);
	}
	my $got = new_entries();

	if ($unordered)
	{
		$got  = join("\n", sort split(/\n/, $got));
		@line = sort @line;
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($got, join("\n", @line), $name);
}

sub own_session
{
	my $psql = session($node, $superuser);

	$psql->query_safe('SET client_min_messages = warning');
	return $psql;
}

my $psql = own_session();

# Runs statements, then says what the log must have got.
sub writes
{
	my ($name, $sql, @wanted) = @_;

	$psql->query_safe($sql);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return expect($name, $superuser, @wanted);
}

sub one_statement_writes
{
	local $unordered = 1;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return writes(@_);
}

sub fails
{
	my ($name, $state, $sql, @wanted) = @_;
	my (undef, $got) = ask($psql, $sql);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($got, $state, "$name: SQLSTATE");
	return expect($name, $superuser, @wanted);
}

new_entries();

# One statement that does several things.
writes('INSERT', q{INSERT INTO t VALUES (1, 'one'), (2, NULL)}, [ 'INSERT', 't', 2, [ 1, 'one' ], [ 2, undef ] ]);
one_statement_writes('ON CONFLICT DO UPDATE', q{INSERT INTO t VALUES (1, 'new'), (3, 'three') ON CONFLICT (a) DO UPDATE SET b = excluded.b},
	[ 'UPDATE', 't', 1, [ 1, 'one' ], [ 1, 'new' ] ], [ 'INSERT', 't', 1, [ 3, 'three' ] ]);
writes('ON CONFLICT DO NOTHING, some', q{INSERT INTO t VALUES (1, 'no'), (4, 'four') ON CONFLICT DO NOTHING},
	[ 'INSERT', 't', 1, [ 4, 'four' ] ]);
writes('ON CONFLICT DO NOTHING, none', q{INSERT INTO t VALUES (1, 'no') ON CONFLICT DO NOTHING});
writes('ON CONFLICT DO UPDATE whose condition fails', q{INSERT INTO t VALUES (1, 'no') ON CONFLICT (a) DO UPDATE SET b = 'no' WHERE false});
one_statement_writes('MERGE', q{
	MERGE INTO t USING (VALUES (1), (2), (5)) s(a) ON t.a = s.a
	 WHEN MATCHED AND s.a = 1 THEN DELETE
	 WHEN MATCHED THEN UPDATE SET b = 'merged'
	 WHEN NOT MATCHED THEN INSERT VALUES (s.a, 'five')},
	[ 'INSERT', 't', 1, [ 5, 'five' ] ],
	[ 'UPDATE', 't', 1, [ 2, undef ], [ 2, 'merged' ] ],
	[ 'DELETE', 't', 1, [ 1, 'new' ] ]);
writes('MERGE that does nothing', q{MERGE INTO t USING (VALUES (2)) s(a) ON t.a = s.a WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT VALUES (9, 'no')});
one_statement_writes('a CTE that moves rows', q{WITH d AS (DELETE FROM t WHERE a > 3 RETURNING *) INSERT INTO u SELECT * FROM d},
	[ 'INSERT', 'u', 2, [ 4, 'four' ], [ 5, 'five' ] ], [ 'DELETE', 't', 2, [ 4, 'four' ], [ 5, 'five' ] ]);
writes('two CTEs of one table', q{
	WITH x AS (INSERT INTO t VALUES (11, 'x') RETURNING a), y AS (INSERT INTO t VALUES (12, 'y') RETURNING a)
	SELECT a FROM x UNION ALL SELECT a FROM y}, [ 'INSERT', 't', 2, [ 11, 'x' ], [ 12, 'y' ] ]);
writes('a CTE whose result nobody reads', q{WITH x AS (DELETE FROM t WHERE a > 10) SELECT 1}, [ 'DELETE', 't', 2, [ 11, 'x' ], [ 12, 'y' ] ]);
writes('an updatable view', q{
	CREATE VIEW v AS SELECT a, b FROM t WHERE a > 0;
	UPDATE v SET b = 'by view' WHERE a = 2}, [ 'UPDATE', 't', 1, [ 2, 'merged' ], [ 2, 'by view' ] ]);
writes('a rule', q{
	CREATE RULE also AS ON INSERT TO v DO ALSO INSERT INTO u VALUES (new.a, 'also ' || new.b);
	INSERT INTO v VALUES (21, 'r')}, [ 'INSERT', 't', 1, [ 21, 'r' ] ], [ 'INSERT', 'u', 1, [ 21, 'also r' ] ]);
writes('UPDATE that changes nothing', q{UPDATE t SET b = b WHERE a = 21}, [ 'UPDATE', 't', 1, [ 21, 'r' ], [ 21, 'r' ] ]);
writes('a statement prepared and executed twice', q{
	PREPARE ins(int) AS INSERT INTO t VALUES ($1, 'p'); EXECUTE ins(31); EXECUTE ins(32)},
	[ 'INSERT', 't', 1, [ 31, 'p' ] ], [ 'INSERT', 't', 1, [ 32, 'p' ] ]);
writes('cursor', q{BEGIN; DECLARE c CURSOR FOR SELECT * FROM t WHERE a > 30 ORDER BY a FOR UPDATE; FETCH c; DELETE FROM t WHERE CURRENT OF c; COMMIT},
	[ 'DELETE', 't', 1, [ 31, 'p' ] ]);

# Bulk: one entry a statement.
my $file = PostgreSQL::Test::Utils::tempdir . '/rows';
append_to_file($file, join('', map { "$_\trow $_\n" } 1001 .. 6000));
writes('COPY of 5000 rows', "COPY t FROM '$file'", [ 'INSERT', 't', 5000, map { [ $_, "row $_" ] } 1001 .. 6000 ]);
writes('UPDATE of 5000 rows', q{UPDATE t SET b = 'u' || a WHERE a > 1000},
	[ 'UPDATE', 't', 5000, (map { [ $_, "row $_" ] } 1001 .. 6000), (map { [ $_, "u$_" ] } 1001 .. 6000) ]);
writes('DELETE of 5000 rows', q{DELETE FROM t WHERE a > 1000}, [ 'DELETE', 't', 5000, map { [ $_, "u$_" ] } 1001 .. 6000 ]);
append_to_file($file, "7001\tgood\nbad\tbad\n");
fails('COPY that fails at its end', '22P02', "COPY t FROM '$file'");

# TRUNCATE has no rows to count, and empties more tables than it names.
writes('TRUNCATE', q{TRUNCATE u}, [ 'TRUNCATE', 'u', 0 ]);
writes('TRUNCATE of an empty table', q{TRUNCATE u}, [ 'TRUNCATE', 'u', 0 ]);
writes('TRUNCATE rolled back', q{BEGIN; TRUNCATE t, u; ROLLBACK});
writes('TRUNCATE rolled back to a savepoint', q{BEGIN; SAVEPOINT s; TRUNCATE t; ROLLBACK TO s; TRUNCATE u; COMMIT}, [ 'TRUNCATE', 'u', 0 ]);

# Foreign keys: what the database does by itself is recorded as what the role did that set it off, though it runs as the
# owner of the table.
$psql->query_safe(q{
	CREATE TABLE parent (id int PRIMARY KEY);
	CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
	CREATE TABLE grandchild (child int REFERENCES child ON DELETE SET NULL);
	SELECT credit._audit_table('parent'), credit._audit_table('child'), credit._audit_table('grandchild');
	GRANT SELECT, DELETE, UPDATE ON parent TO clerk;
	INSERT INTO parent SELECT generate_series(1, 4);
	INSERT INTO child VALUES (10, 1), (11, 1), (20, 2), (30, 3);
	INSERT INTO grandchild VALUES (11), (11), (30)});
new_entries();
my $clerk = session($node, 'clerk');
$clerk->query_safe('DELETE FROM parent WHERE id = 1');
expect('ON DELETE CASCADE, then SET NULL', 'clerk',
	[ 'DELETE', 'parent', 1, [1] ],
	[ 'DELETE', 'child', 2, [ 10, 1 ], [ 11, 1 ] ],
	[ 'UPDATE', 'grandchild', 2, [11], [11], [undef], [undef] ]);
$clerk->query_safe('UPDATE parent SET id = 40 WHERE id = 3');
expect('ON UPDATE CASCADE', 'clerk', [ 'UPDATE', 'parent', 1, [3], [40] ], [ 'UPDATE', 'child', 1, [ 30, 3 ], [ 30, 40 ] ]);
$clerk->query_safe('DELETE FROM parent WHERE id = 4');
expect('a cascade that finds nothing', 'clerk', [ 'DELETE', 'parent', 1, [4] ]);
one_statement_writes('TRUNCATE CASCADE', 'TRUNCATE parent CASCADE', map { [ 'TRUNCATE', $_, 0 ] } qw(parent child grandchild));
$psql->query_safe(q{
	CREATE TABLE late (id int PRIMARY KEY, parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	SELECT credit._audit_table('late')});
fails('a constraint that fails at COMMIT', '23503', q{BEGIN; INSERT INTO late VALUES (1, 99); INSERT INTO t VALUES (50, 'x'); COMMIT});

# Triggers of others that write our tables, also at COMMIT.
$psql->query_safe(q{
	CREATE TABLE plain (a int);
	CREATE FUNCTION copy_row() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN INSERT INTO public.u VALUES (NEW.a, TG_ARGV[0]); RETURN NULL; END $$;
	CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON plain DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION copy_row('at commit');
	TRUNCATE u});
new_entries();
writes('a deferred trigger', q{BEGIN; INSERT INTO plain VALUES (1); INSERT INTO t VALUES (51, 'x'); COMMIT},
	[ 'INSERT', 't', 1, [ 51, 'x' ] ], [ 'INSERT', 'u', 1, [ 1, 'at commit' ] ]);
writes('a deferred trigger, rolled back', q{BEGIN; INSERT INTO plain VALUES (2); ROLLBACK});
fails('a deferred trigger that fails', '23505', q{BEGIN; INSERT INTO plain VALUES (3); INSERT INTO plain VALUES (3); COMMIT});

# Through a function of the extension's owner it is the caller who wrote.
$psql->query_safe(q{CREATE FUNCTION add(int) RETURNS void SECURITY DEFINER LANGUAGE sql BEGIN ATOMIC INSERT INTO public.t VALUES ($1, 'for you'); END});
$clerk->query_safe('SELECT add(55)');
expect('a SECURITY DEFINER function', 'clerk', [ 'INSERT', 't', 1, [ 55, 'for you' ] ]);

# Blocks that catch errors, loops of them, procedures that commit.
writes('blocks in blocks', q{DO $$ BEGIN
	INSERT INTO t VALUES (60, 'a');
	BEGIN
		INSERT INTO t VALUES (61, 'b');
		BEGIN
			INSERT INTO t VALUES (62, 'c');
			PERFORM 1 / 0;
		EXCEPTION WHEN division_by_zero THEN
			INSERT INTO t VALUES (63, 'd');
		END;
		INSERT INTO t VALUES (60, 'again');
	EXCEPTION WHEN unique_violation THEN
		INSERT INTO t VALUES (64, 'e');
	END;
	BEGIN
		INSERT INTO t VALUES (65, 'f');
	EXCEPTION WHEN others THEN NULL;
	END;
END $$}, [ 'INSERT', 't', 1, [ 60, 'a' ] ], [ 'INSERT', 't', 1, [ 64, 'e' ] ], [ 'INSERT', 't', 1, [ 65, 'f' ] ]);
writes('every other turn of a loop', q{DO $$ BEGIN
	FOR k IN 1 .. 200 LOOP
		BEGIN
			INSERT INTO t VALUES (100 + k, 'loop');
			IF k % 2 = 0 THEN PERFORM 1 / 0; END IF;
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	END LOOP;
END $$}, map { [ 'INSERT', 't', 1, [ 99 + 2 * $_, 'loop' ] ] } 1 .. 100);
$psql->query_safe(q{CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO public.t VALUES (400, 'first'); COMMIT;
	INSERT INTO public.t VALUES (401, 'second'); ROLLBACK;
	INSERT INTO public.t VALUES (402, 'third'); COMMIT;
	INSERT INTO public.t VALUES (400, 'fourth');
END $$});
fails('a procedure that commits, rolls back, commits and fails', '23505', 'CALL steps()',
	[ 'INSERT', 't', 1, [ 400, 'first' ] ], [ 'INSERT', 't', 1, [ 402, 'third' ] ]);
fails('an error after many statements', '22012', q{BEGIN; INSERT INTO t VALUES (410, 'x'); DELETE FROM t WHERE a = 402; SELECT 1 / 0; COMMIT});
writes('deep savepoints', 'BEGIN; ' . join('', map { "SAVEPOINT s$_; INSERT INTO t VALUES (500 + $_, 'deep'); " } 1 .. 100)
	  . 'ROLLBACK TO s51; RELEASE s50; COMMIT', map { [ 'INSERT', 't', 1, [ 500 + $_, 'deep' ] ] } 1 .. 50);

# Partitions: by way of the table they are parts of, and directly. One has its columns in another order.
$psql->query_safe(q{
	CREATE TABLE part (a int, b text) PARTITION BY RANGE (a);
	CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (100);
	CREATE TABLE part_high (b text, gone int, a int);
	ALTER TABLE part_high DROP COLUMN gone;
	ALTER TABLE part ATTACH PARTITION part_high FOR VALUES FROM (100) TO (200);
	SELECT credit._audit_table('part')});
new_entries();
writes('rows for two partitions', q{INSERT INTO part VALUES (1, 'low'), (101, 'high')}, [ 'INSERT', 'part', 2, [ 1, 'low' ], [ 101, 'high' ] ]);
writes('a row that moves', q{UPDATE part SET a = a + 100 WHERE a = 1}, [ 'UPDATE', 'part', 1, [ 1, 'low' ], [ 101, 'low' ] ]);
writes('rows gone from a partition', q{DELETE FROM part WHERE b = 'high'}, [ 'DELETE', 'part', 1, [ 101, 'high' ] ]);
writes('a row into a partition', q{INSERT INTO part_high (a, b) VALUES (102, 'direct')}, [ 'INSERT', 'part_high', 1, [ 'direct', 102 ] ]);
writes('COPY into a partition', "COPY part_low FROM PROGRAM 'printf \"7\\\\tcopied\\\\n\"'", [ 'INSERT', 'part_low', 1, [ 7, 'copied' ] ]);
writes('TRUNCATE of a partition', q{TRUNCATE part_low}, [ 'TRUNCATE', 'part_low', 0 ]);
one_statement_writes('TRUNCATE of all', q{TRUNCATE part}, map { [ 'TRUNCATE', $_, 0 ] } qw(part part_low part_high));
$psql->query_safe(q{
	CREATE TABLE part_later PARTITION OF part FOR VALUES FROM (200) TO (300);
	SELECT credit._audit_table('part')});
writes('asked again, a new partition is recorded, once', q{INSERT INTO part_later VALUES (200, 'later'); INSERT INTO part VALUES (201, 'later'); INSERT INTO part_low VALUES (8, 'once')},
	[ 'INSERT', 'part_later', 1, [ 200, 'later' ] ], [ 'INSERT', 'part', 1, [ 201, 'later' ] ], [ 'INSERT', 'part_low', 1, [ 8, 'once' ] ]);

# The same with children of the older kind: a statement that names the parent reaches them, one that names them is theirs.
$psql->query_safe(q{
	CREATE TABLE old (a int, b text);
	CREATE TABLE young (c int) INHERITS (old);
	SELECT credit._audit_table('old')});
new_entries();
writes('a row into a child', q{INSERT INTO young VALUES (1, 'child', 2)}, [ 'INSERT', 'young', 1, [ 1, 'child', 2 ] ]);
writes('a row of a child, by the parent', q{UPDATE old SET a = 3}, [ 'UPDATE', 'old', 1, [ 1, 'child' ], [ 3, 'child' ] ]);
writes('the parent only', q{DELETE FROM ONLY old});

# Two phases: nothing while prepared, whatever was rolled back inside never, the rest when it is committed, by whomever.
sub prepare
{
	my ($gid, $a) = @_;

	return "BEGIN; SAVEPOINT s; INSERT INTO t VALUES ($a + 1, 'no'); ROLLBACK TO s; INSERT INTO t VALUES ($a, '$gid'); "
	  . "SAVEPOINT r; UPDATE u SET b = '$gid' WHERE a = 1; RELEASE r; PREPARE TRANSACTION '$gid';";
}

$psql->query_safe(q{TRUNCATE u; INSERT INTO u VALUES (1, '-')});
new_entries();
writes('prepared', prepare('p1', 600));
$clerk->query_safe(q{INSERT INTO t VALUES (690, 'other')});
expect('another goes ahead of it', 'clerk', [ 'INSERT', 't', 1, [ 690, 'other' ] ]);
writes('ROLLBACK PREPARED', q{ROLLBACK PREPARED 'p1'});
$psql->query_safe(prepare('p2', 600));
my $other = session($node, $superuser);
$other->query_safe(q{COMMIT PREPARED 'p2'});
expect('COMMIT PREPARED in another session', $superuser, [ 'INSERT', 't', 1, [ 600, 'p2' ] ], [ 'UPDATE', 'u', 1, [ 1, '-' ], [ 1, 'p2' ] ]);
$other->quit;

# A write that committed before an access was asked for has the lower number, by each way to commit.
my $bank = session($node, 'bank_a');
my $k    = 700;
foreach my $way (
	[ 'a statement', sub { $psql->query_safe("INSERT INTO t VALUES ($_[0], 'order')") } ],
	[ 'COMMIT PREPARED', sub { $psql->query_safe("BEGIN; INSERT INTO t VALUES ($_[0], 'order'); PREPARE TRANSACTION 'order'; COMMIT PREPARED 'order'") } ],
	[ 'a procedure', sub { $psql->query_safe("DO \$\$ BEGIN INSERT INTO t VALUES ($_[0], 'order'); COMMIT; END \$\$") } ])
{
	my ($name, $write) = @$way;
	my $late = 0;

	foreach my $turn (1 .. 20)
	{
		$write->(++$k);
		my $seq = $bank->query_safe(open_sql(1));
		my $entry = $node->safe_psql('postgres', "SELECT entry FROM credit.audit_entry WHERE seq = $seq - 1");
		my $digest = digest([ $k, 'order' ]);

		$late++ if $entry !~ /"digest":"$digest"/;
	}
	is($late, 0, "$name, then an access: in this order in the log");
}
new_entries();

# Prepared transactions over a restart, a crash, a crash right after their commit, and at a standby that took over.
sub crash
{
	my @sessions = (@_, $psql);

	$node->stop('immediate');
	eval { $_->{run}->finish } foreach (@sessions);
	$node->start;
	$psql = own_session();
	return;
}

$psql->query_safe(prepare('r1', 800));
$_->quit foreach ($psql, $clerk, $bank);
$node->restart;
$psql = own_session();
expect('prepared, then a restart', $superuser);
writes('COMMIT PREPARED after the restart', q{COMMIT PREPARED 'r1'}, [ 'INSERT', 't', 1, [ 800, 'r1' ] ], [ 'UPDATE', 'u', 1, [ 1, 'p2' ], [ 1, 'r1' ] ]);
$psql->query_safe(prepare('c1', 810));
crash();
expect('prepared, then a crash', $superuser);
writes('ROLLBACK PREPARED after the crash', q{ROLLBACK PREPARED 'c1'});
$psql->query_safe(prepare('c2', 820));
my $locker = session($node, $superuser);
$locker->query_safe('BEGIN; LOCK TABLE credit.audit_entry IN ACCESS EXCLUSIVE MODE');
$psql->query_safe(q{COMMIT PREPARED 'c2'});
is($node->safe_psql('postgres', 'SELECT count(*) FROM credit.audit_outbox'), '2', 'COMMIT PREPARED: committed, not numbered');
crash($locker);
expect('a crash between COMMIT PREPARED and numbering', $superuser, [ 'INSERT', 't', 1, [ 820, 'c2' ] ], [ 'UPDATE', 'u', 1, [ 1, 'r1' ], [ 1, 'c2' ] ]);
log_is_whole($node, 'after crashes');

# A server that is started while a psql runs inherits its pipe, and psql then sees no end of input.
$psql->quit;
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$psql = own_session();
$psql->query_safe(prepare('s1', 830));
$psql->query_safe(q{BEGIN; INSERT INTO t VALUES (840, 's2'); PREPARE TRANSACTION 's2'});
my $mark = log_mark($node);
$locker = session($node, $superuser);
$locker->query_safe('BEGIN; LOCK TABLE credit.audit_entry IN ACCESS EXCLUSIVE MODE');
$psql->query_safe(q{INSERT INTO t VALUES (850, 'not numbered')});
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
$node->stop('immediate');
eval { $_->{run}->finish } foreach ($locker, $psql);
$standby->promote;
$node = $standby;
$psql = own_session();
expect('promoted: what was committed and not numbered is numbered', $superuser, [ 'INSERT', 't', 1, [ 850, 'not numbered' ] ]);
writes('promoted: COMMIT PREPARED and ROLLBACK PREPARED', q{COMMIT PREPARED 's1'; ROLLBACK PREPARED 's2'},
	[ 'INSERT', 't', 1, [ 830, 's1' ] ], [ 'UPDATE', 'u', 1, [ 1, 'c2' ], [ 1, 's1' ] ]);
log_is_whole($node, 'in the end', 'postgres', mark => $mark);

# The extension itself created and dropped in two phases: the writer comes and goes with it.
$node->safe_psql('postgres', 'CREATE DATABASE two_phases');
my $there = session($node, $superuser, 'two_phases');
$there->query_safe(q{SET client_min_messages = warning; BEGIN; CREATE EXTENSION pgcredit; PREPARE TRANSACTION 'create'});
is(writer_pid($node, 'two_phases'), '', 'CREATE EXTENSION prepared: no writer');
$there->query_safe(q{COMMIT PREPARED 'create'});
ok(wait_for_writer($node, 'two_phases'), 'CREATE EXTENSION committed: a writer');
$there->query_safe(q{BEGIN; DROP EXTENSION pgcredit; PREPARE TRANSACTION 'drop'});
isnt(writer_pid($node, 'two_phases'), '', 'DROP EXTENSION prepared: the writer is there');
$there->query_safe(q{COMMIT PREPARED 'drop'});
ok(wait_for_no_writer($node, 'two_phases'), 'DROP EXTENSION committed: no writer');
$there->quit;

$psql->quit;
$node->stop;
done_testing();
