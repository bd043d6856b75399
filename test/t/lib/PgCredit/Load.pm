# Clients that keep their own list of what a server gave them (audit_load.c), and the judge who compares these lists with
# the log. The log is read as bytes: nothing here believes a view, a function or another column of the extension.
package PgCredit::Load;

use strict;
use warnings;

use Digest::SHA qw(sha256_base64 sha256);
use File::Basename;
use IPC::Run;
use PgCredit::Node;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $here = dirname(__FILE__) . '/..';

# SQLSTATEs that a call may end with while faults go on: the server's end (57P0x), a cancel, and our own refusals. A write
# may find the disk full by itself (53100), an access is told by the log.
my %may_fail = map { $_ => 1 } qw(ok lost PC001 PC002 PC003 57014 57P01 57P02 57P03);

# The compiler, or undef where there is none.
sub compiler
{
	my ($found) = grep { -x "$_/cc" } split(/:/, $ENV{PATH});
	return $found && "$found/cc";
}

# Builds a program or a library beside the test's data; returns its path.
sub build
{
	my ($source, @flags) = @_;
	my $target = PostgreSQL::Test::Utils::tempdir . '/' . basename($source, '.c');
	my ($include, $lib) = map { my $d = `pg_config --$_`; chomp $d; $d } qw(includedir libdir);

	system_or_bail(compiler(), '-O1', '-o', $target, "-I$include", '-I/usr/include/postgresql', "$here/$source", "-L$lib", @flags);
	return $target;
}

# What the clients need in the database: a role and an institution for each, every subject's consent to each, and an
# audited table that the writing ones may write.
sub prepare
{
	my ($node, $readers, $writers) = @_;
	my $last = $readers + $writers - 1;

	$node->safe_psql('postgres', qq{
		CREATE TABLE public.ledger (code text PRIMARY KEY, n bigint);
		SELECT credit._audit_table('public.ledger');
		DO \$\$
		BEGIN
			FOR k IN 0 .. $last LOOP
				EXECUTE format('CREATE ROLE client_%s LOGIN', k);
				IF k < $readers THEN
					EXECUTE format('GRANT credit_institution TO client_%s', k);
					INSERT INTO credit.institution (code, name_zh, kind, db_role) VALUES ('client_' || k, '银行', 'commercial_bank', ('client_' || k)::regrole);
				ELSE
					EXECUTE format('GRANT INSERT ON public.ledger TO client_%s', k);
				END IF;
			END LOOP;
		END \$\$;
		SET ROLE portal;
		SELECT count(credit.grant_consent(s, 'client_' || k, '{tax_payment}', '{pre_loan}', now() - interval '1 day', now() + interval '1 year'))
		  FROM generate_series(1, 40) s, generate_series(0, $readers - 1) k});
	return;
}

# Starts the load. conninfo leads to whichever server is the primary.
sub new
{
	my ($class, $node, %option) = @_;
	my $self = bless { node => $node, readers => 16, writers => 2, think => 15, %option }, $class;
	my $dir  = PostgreSQL::Test::Utils::tempdir;
	my $all  = $self->{readers} + $self->{writers};

	$self->{lists}   = $dir;
	$self->{control} = "$dir/control";
	append_to_file($self->{control}, 'r' . 'c' x 200);
	$self->{offset}[$_] = 0 foreach (0 .. $all - 1);
	$self->{answers}[$_] = 0 foreach (0 .. $all - 1);
	$self->{log}   = [undef];		# what entry n says, from 1
	$self->{sha}   = Digest::SHA->new(256);
	$self->{worst} = 0;
	$self->{ends}  = {};
	$self->{figures} = { rows => 0, writes => 0, refusals => 0, no_consent => 0 };

	# Who is who, from the tables and not from the log.
	foreach my $line (split /\n/, $node->safe_psql('postgres', q{SELECT subject_id, encode(log_salt, 'hex') FROM credit.subject}))
	{
		my ($id, $salt) = split /\|/, $line;
		my $token = sha256_base64(pack('H*', $salt) . pack('Q>', $id));

		$token =~ tr{+/}{-_};
		$self->{subject_of}{$token} = $id;
	}
	foreach my $line (split /\n/, $node->safe_psql('postgres', q{
		SELECT r.record_id, r.subject_id FROM credit.record r JOIN credit.category USING (category_id) WHERE code = 'tax_payment'}))
	{
		my ($record, $id) = split /\|/, $line;
		$self->{record_of}{$record} = $id;
	}
	$self->{run} = IPC::Run::start(
		[ build('audit_load.c', '-lpq'), $self->{conninfo}, $self->{control}, $dir, $self->{readers}, $self->{writers}, $self->{think} * 1000 ],
		'<', \undef);
	return $self;
}

sub clients
{
	my ($self) = @_;

	return 0 .. $self->{readers} + $self->{writers} - 1;
}

sub command
{
	my ($self, $byte) = @_;

	open(my $fh, '+<', $self->{control}) or die "$self->{control}: $!";
	syswrite($fh, $byte) == 1 or die "$self->{control}: $!";
	close($fh);
	return;
}

# No call is under way when this returns.
sub pause
{
	my ($self) = @_;
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;

	$self->command('p');
	while (substr(slurp_file($self->{control}), 1, scalar(@{ $self->{offset} })) =~ /[^p]/)
	{
		die 'clients do not pause: ' . slurp_file($self->{control}) if time > $until;
		sleep(0.01);
	}
	return;
}

sub resume
{
	my ($self) = @_;

	$self->command('r');
	return;
}

sub finish
{
	my ($self) = @_;

	$self->command('q');
	$self->{run}->finish or die "audit_load ended with $?";
	return;
}

# The present process of a client.
sub pid
{
	my ($self, $k) = @_;

	$self->collect;
	return $self->{pid}[$k];
}

# Reads what the clients have added to their lists.
sub collect
{
	my ($self) = @_;

	foreach my $k ($self->clients)
	{
		open(my $fh, '<', "$self->{lists}/$k") or next;
		seek($fh, $self->{offset}[$k], 0);
		while (my $line = <$fh>)
		{
			last if $line !~ /\n$/;
			$self->{offset}[$k] += length $line;
			chomp $line;
			$self->take($k, split / /, $line);
		}
		close($fh);
	}
	return;
}

sub take
{
	my ($self, $k, $what, @word) = @_;

	if ($what eq 'G' || $what eq 'R')
	{
		push @{ $self->{given} }, [ $k, $what eq 'G' ? @word : (undef, @word) ];
		$self->{figures}{rows}++;
		$self->{rows}[$k]++;
	}
	elsif ($what eq 'W' || $what eq 'X')
	{
		$self->{"write_$what"}{ $word[0] } = $k;
		$self->{figures}{writes}++ if $what eq 'W';
	}
	elsif ($what eq 'E')
	{
		my ($call, $state, $us) = @word;
		my $rows = delete $self->{rows}[$k] // 0;

		$self->{ends}{$state}++;
		# A commit may wait for a standby as long as it likes; an access may not.
		$self->{worst} = $us if $us > $self->{worst} && $call =~ /[otmrnz]/;
		if ($call eq 'n' && $state eq 'PC110')
		{
			$self->{refused}[$k]++;
			$self->{figures}{no_consent}++;
			$self->{answers}[$k]++;
		}
		elsif ($state eq 'ok' || $call eq 'z' && $state eq '22012')
		{
			push @{ $self->{wrong} }, "client $k: call $call succeeded without a row" if $call =~ /[otmrz]/ && $rows == 0;
			push @{ $self->{wrong} }, "client $k: an access without consent was granted" if $call eq 'n';
			$self->{answers}[$k]++;
		}
		elsif (!$may_fail{$state} && !($state eq '53100' && $call =~ /[wvpkxyY]/))
		{
			push @{ $self->{wrong} }, "client $k: call $call ended with $state";
		}
		$self->{figures}{refusals}++ if $state =~ /^PC00/;
	}
	elsif ($what eq 'H')
	{
		push @{ $self->{wrong} }, "client $k: call $word[0] had no answer";
	}
	elsif ($what eq 'C')
	{
		$self->{pid}[$k]  = $word[0];
		$self->{rows}[$k] = 0;
	}
	return;
}

# How many calls have ended so since the beginning.
sub ended
{
	my ($self, $state) = @_;

	$self->collect;
	return $self->{ends}{$state} // 0;
}

# Until each client has had so many more answers: it is connected, and its calls succeed.
sub wait_for_answers
{
	my ($self, $n) = @_;
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;

	$self->collect;
	my @goal = map { $_ + $n } @{ $self->{answers} };
	while (grep { $self->{answers}[$_] < $goal[$_] } $self->clients)
	{
		if (time > $until)
		{
			diag('still waiting: ' . join ' ', grep { $self->{answers}[$_] < $goal[$_] } $self->clients);
			return 0;
		}
		sleep(0.02);
		$self->collect;
	}
	return 1;
}

# The entries that came since the last look, and whether they follow on it.
sub read_log
{
	my ($self, $wrong) = @_;
	my $last = $#{ $self->{log} };
	my $text = $self->{node}->safe_psql('postgres', qq{\\pset fieldsep ' '
		SELECT seq, entry FROM credit.audit_entry WHERE seq > $last ORDER BY seq});

	foreach my $line (split /\n/, $text)
	{
		my ($seq, $entry) = $line =~ /^(\d+) (.*)$/;
		my ($kind)     = $entry =~ /"kind":"(\w+)"/;
		my ($actor)    = $entry =~ /"actor":"(\w+)"/;
		my ($session)  = $entry =~ /"session_user":"(\w+)"/;
		my ($own)      = $entry =~ /"seq":(\d+)/;
		my ($subjects) = $entry =~ /"subjects":\[([^\]]*)\]/;
		my @ids        = map { $self->{subject_of}{$_} // '?' } ($subjects // '') =~ /"([^"]*)"/g;

		push @$wrong, "entry $seq comes after $last" if $seq != $last + 1;
		push @$wrong, "entry $seq says it is $own"   if $own != $seq;
		$last = $seq;
		$self->{log}[$seq] = "$kind $actor $session " . join(',', '', @ids, '');
		$self->{sha}->add($seq == 1 ? $entry : "\n$entry");
		my ($k) = $actor =~ /^client_(\d+)$/ or next;
		if ($kind eq 'access')
		{
			$self->{accesses}{"$k $_"}++ foreach (@ids);
		}
		elsif ($kind eq 'refusal' && $entry =~ /"reason":"no_consent"/)
		{
			$self->{refusals}[$k]++;
		}
		elsif ($kind eq 'write')
		{
			my ($digest) = $entry =~ /"digest":"([^"]*)"/;

			push @$wrong, "entry $seq is not of one row of ledger" if $entry !~ /"count":1,.*"operation":"INSERT".*"table":"ledger"/;
			$self->{written}{$digest}++;
		}
	}
	return;
}

# Transactions whose clients were interrupted between the two phases are ended here, one way or the other.
sub end_prepared
{
	my ($self) = @_;

	foreach my $gid (split /\n/, $self->{node}->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts ORDER BY gid'))
	{
		my $keep = rand() < 0.5;

		$self->{node}->safe_psql('postgres', ($keep ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$gid'");
		$self->{ $keep ? 'write_W' : 'write_X' }{$gid} = 'prepared';
	}
	return;
}

# Each row of public.ledger has exactly one entry, and each entry its row.
sub judge_writes
{
	my ($self, $wrong) = @_;
	my (%ledger, %rows);

	foreach my $line (split /\n/, $self->{node}->safe_psql('postgres', 'SELECT code, n FROM public.ledger'))
	{
		my ($code, $n) = split /\|/, $line;
		my $digest = sha256_base64(join '', map { pack('N', length) . $_ } $code, $n);

		$digest =~ tr{+/}{-_};
		$ledger{$code} = 1;
		$rows{$digest} = $code;
	}
	foreach my $digest (keys %{ $self->{written} })
	{
		push @$wrong, 'an entry of a write without its row' if !$rows{$digest};
		push @$wrong, "write $rows{$digest} has $self->{written}{$digest} entries" if $rows{$digest} && $self->{written}{$digest} > 1;
	}
	foreach my $digest (keys %rows)
	{
		push @$wrong, "write $rows{$digest} has no entry" if !$self->{written}{$digest};
	}
	foreach my $code (keys %{ $self->{write_W} })
	{
		push @$wrong, "write $code was committed and is gone" if !$ledger{$code};
	}
	foreach my $code (keys %{ $self->{write_X} })
	{
		push @$wrong, "write $code was rolled back and is there" if $ledger{$code};
	}
	return;
}

# Each row that a client was given has its entry.
sub judge_rows
{
	my ($self, $wrong) = @_;
	my $lost = 0;

	foreach my $given (@{ $self->{given} })
	{
		my ($k, $entry, $subject, $record) = @$given;

		push @$wrong, "client $k: record $record is not of subject $subject" if ($self->{record_of}{$record} // 0) != $subject;
		if (!defined $entry)
		{
			$self->{owed}{"$k $subject"}++;
		}
		elsif (($self->{log}[$entry] // 'nothing') !~ /^access client_$k client_$k .*,$subject,/)
		{
			$lost++;
			push @$wrong, "client $k: subject $subject by entry $entry, which is " . ($self->{log}[$entry] // 'not there');
		}
		else
		{
			$self->{owed}{"$k $subject"}++ if !$self->{known}{"$k $subject"}{$entry}++;
		}
	}
	$self->{given} = [];
	# credit.read tells no number: there must be an entry for each.
	foreach my $pair (keys %{ $self->{owed} })
	{
		my $missing = $self->{owed}{$pair} - ($self->{accesses}{$pair} // 0);

		next if $missing <= 0;
		$lost += $missing;
		$self->{owed}{$pair} -= $missing;
		push @$wrong, "client and subject $pair: $missing rows more than entries";
	}
	foreach my $k ($self->clients)
	{
		push @$wrong, "client $k: more refusals than entries" if ($self->{refused}[$k] // 0) > ($self->{refusals}[$k] // 0);
	}
	$self->{figures}{lost} += $lost;
	return;
}

# Compares all lists with the log, and the log with what it was the last time; leaves the load paused. "most" is the longest that an access may take, in seconds.
sub judge
{
	my ($self, $name, $most) = @_;
	my @wrong;

	$self->pause;
	$self->end_prepared;
	$self->{node}->poll_query_until('postgres', 'SELECT count(*) = 0 FROM credit.audit_outbox')
	  or push @wrong, 'the outbox is not empty';
	$self->collect;
	$self->read_log(\@wrong);
	$self->judge_rows(\@wrong);
	$self->judge_writes(\@wrong);
	push @wrong, @{ delete $self->{wrong} // [] };
	push @wrong, sprintf('an access took %.1f s', $self->{worst} / 1e6) if $self->{worst} > $most * 1e6;
	$self->{worst_ever} = $self->{worst} if $self->{worst} > ($self->{worst_ever} // 0);
	$self->{worst} = 0;
	is(join("\n", @wrong > 10 ? (@wrong[ 0 .. 9 ], '...') : @wrong), '', "$name: rows, writes and refusals have their entries");
	log_is_whole($self->{node}, $name, 'postgres', mark => $self->{mark});
	$self->{mark} = log_mark($self->{node});
	return;
}

1;
