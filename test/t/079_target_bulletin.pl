# The page of a bulletin in a real browser: nothing wider than the window, text that can be read, the same on paper. The
# figures are generated and say so. With PGCREDIT_PICTURES the screenshots are left in that folder.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::RealBin/lib";

use Encode qw(decode encode);
use File::Copy qw(copy);
use IPC::Run;
use JSON::PP;
use PgCredit::Node;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($chromium) = grep { -x } map { ("$_/chromium", "$_/chromium-browser") } split /:/, $ENV{PATH};
plan skip_all => 'no Chromium here' unless $chromium;

my $node = new_node('bulletin');
my $dir  = PostgreSQL::Test::Utils::tempdir;
my $runs = 0;

$node->safe_psql('postgres', 'SET client_min_messages = error; CREATE EXTENSION pgcredit');
$node->safe_psql('postgres', PostgreSQL::Test::Utils::slurp_file("$FindBin::RealBin/lib/generated_bulletin.sql"));

sub page
{
	my ($call) = @_;
	return decode('UTF-8', $node->safe_psql('postgres', "SELECT $call"));
}

sub spew
{
	my ($file, $text) = @_;
	open(my $handle, '>', $file) or die "$file: $!";
	print $handle encode('UTF-8', $text);
	close($handle) or die "$file: $!";
}

# Runs the browser on a file of ours, with a profile of its own and no way to any other host; returns its standard output.
sub browse
{
	my ($file, @option) = @_;
	my ($out, $err) = ('', '');

	local $ENV{HOME} = "$dir/home" . ++$runs;
	mkdir $ENV{HOME};
	IPC::Run::run(
		[ $chromium, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--hide-scrollbars',
			'--disable-background-networking', '--disable-extensions', '--host-resolver-rules=MAP * ~NOTFOUND', "--user-data-dir=$ENV{HOME}/profile",
			@option, "file://$file" ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(120)) or diag($err);
	return decode('UTF-8', $out);
}

# A frame of this width around the page, which itself stays as it is, and outside of the frame the script that measures.
sub framed
{
	my ($html, $width, $height) = @_;
	my $text = JSON::PP->new->allow_nonref->encode($html);

	$text =~ s/</\\u003c/g;
	return "<!DOCTYPE html><meta charset='utf-8'><body style='margin:0'><iframe id='f' style='border:0;width:${width}px;height:${height}px'></iframe><script>"
	  . "const page = $text;" . <<'SCRIPT';
const f = document.getElementById('f');
const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const colour = s => s.match(/[\d.]+/g).map(Number);
f.onload = () => {
	const d = f.contentDocument, w = f.contentWindow, root = d.documentElement;
	const r = {scroll: root.scrollWidth, client: root.clientWidth, height: root.scrollHeight, font: 999, contrast: 99, texts: 0, wide: [], clipped: []};
	const walk = d.createTreeWalker(d.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const t = walk.currentNode, e = t.parentElement;
		if (!t.data.trim() || e.closest('svg')) continue;
		const range = d.createRange();
		range.selectNodeContents(t);
		for (const box of range.getClientRects())
			if (box.width > 1 && (box.right > root.clientWidth + 0.5 || box.left < -0.5)) r.clipped.push(t.data);
		const style = w.getComputedStyle(e);
		let b = e;
		while (b && w.getComputedStyle(b).backgroundColor === 'rgba(0, 0, 0, 0)') b = b.parentElement;
		const back = light(b ? colour(w.getComputedStyle(b).backgroundColor) : [255, 255, 255]), fore = light(colour(style.color));
		r.texts++;
		r.font = Math.min(r.font, parseFloat(style.fontSize));
		r.contrast = Math.min(r.contrast, (Math.max(back, fore) + 0.05) / (Math.min(back, fore) + 0.05));
	}
	for (const e of d.querySelectorAll('body *'))
		if (e.getBoundingClientRect().right > root.clientWidth + 0.5) r.wide.push(e.tagName + '.' + e.getAttribute('class'));
	r.digits = w.getComputedStyle(d.body).fontVariantNumeric;
	r.drawn = [...d.querySelectorAll('svg.bar rect, svg.progress rect:first-of-type')].every(e => e.getBoundingClientRect().width > 0.5);
	const out = document.createElement('pre');
	out.id = 'measured';
	out.textContent = JSON.stringify(r);
	document.body.appendChild(out);
};
f.srcdoc = page;
</script></body>
SCRIPT
}

sub measured
{
	my ($name, $html, $width) = @_;
	my $file = "$dir/$name.html";

	spew($file, framed($html, $width, 900));
	my $dom = browse($file, '--dump-dom', '--virtual-time-budget=10000', '--window-size=1400,1000');
	my ($json) = $dom =~ m{<pre id="measured">(.*?)</pre>}s or die "nothing measured: $dom";
	$json =~ s/&lt;/</g;
	$json =~ s/&gt;/>/g;
	$json =~ s/&amp;/&/g;
	return JSON::PP->new->decode($json);
}

my %page = (
	generated_zh => page("credit.bulletin('sample-2022', '2023Q4', 'zh', note => '生成数据，仅供测试')"),
	generated_en => page("credit.bulletin_page('sample-2022', '2023Q4', 'en')"));
$node->safe_psql('postgres', q{SELECT credit.observe('s_npl', '990100', date '2023-12-31', 0.0161, 'generated')});
$page{second_issue_zh} = page("credit.bulletin('sample-2022', '2023Q4', 'zh', note => '更正，生成数据')");
$page{second_issue_en} = page("credit.bulletin_page('sample-2022', '2023Q4', 'en')");
$page{without_figures_zh} = page("credit.bulletin('wenzhou-2022', '2023Q4', 'zh')");
$page{without_figures_en} = page("credit.bulletin_page('wenzhou-2022', '2023Q4', 'en')");
# names without a place to break, longer than a phone is wide
$node->safe_psql('postgres', q{SELECT credit.create_pack(jsonb_build_object('pack_id', 'long', 'title_zh', repeat('长', 90), 'title_en', repeat('Title', 30),
	'region', '990100', 'start_date', '2022-01-01', 'targets', jsonb_build_array(jsonb_build_object('code', repeat('C', 40), 'clause', '一', 'name_zh', repeat('W', 120),
	'name_en', repeat('W', 120), 'metric', 's_inclusive_balance', 'form', 'level', 'comparator', '>=', 'value', 999999999999999999999999999, 'unit', 'CNY', 'due_date', '2024-12-31',
	'responsible_unit', repeat('U', 90)))))});
$page{long_en} = page("credit.bulletin('long', '2023Q4', 'en')");

for my $name (sort keys %page)
{
	unlike($page{$name}, qr/<script|<link|https?:/i, "$name: no script, nothing from elsewhere");
	for my $width (1280, 390)
	{
		my $r = measured("${name}_$width", $page{$name}, $width);
		is($r->{client}, $width, "$name at $width: laid out at that width");
		cmp_ok($r->{scroll}, '<=', $width, "$name at $width: no sideways scrolling");
		is_deeply([ $r->{wide}, $r->{clipped} ], [ [], [] ], "$name at $width: nothing beyond the edge");
		cmp_ok($r->{font}, '>=', 11, "$name at $width: smallest text $r->{font} px");
		cmp_ok($r->{contrast}, '>=', 4.5, sprintf('%s at %d: contrast %.1f', $name, $width, $r->{contrast}));
		cmp_ok($r->{texts}, '>', 20, "$name at $width: $r->{texts} texts");
		ok($r->{digits} eq 'tabular-nums' && $r->{drawn}, "$name at $width: digits stand under each other, bars are drawn");

		my $picture = "$dir/${name}_$width.png";
		spew("$dir/shot.html", framed($page{$name}, $width, $r->{height}));
		browse("$dir/shot.html", "--screenshot=$picture", '--virtual-time-budget=10000', '--window-size=' . ($width < 500 ? 500 : $width) . ",$r->{height}");
		my $png = -e $picture ? PostgreSQL::Test::Utils::slurp_file($picture) : '';
		like($png, qr/^\x89PNG\r\n/, "$name at $width: screenshot");
		cmp_ok(length($png), '>', 20000, "$name at $width: not blank");
		copy($picture, "$ENV{PGCREDIT_PICTURES}/${name}_$width.png") if $ENV{PGCREDIT_PICTURES};
	}
}

# what shows without colour: each status has a word beside it
for my $word ('已完成', '进度正常', '进度滞后', '未完成', '缺少数据')
{
	like($page{generated_zh}, qr{</svg>$word</span>}, "status in words: $word");
}

spew("$dir/paper.html", $page{generated_en});
browse("$dir/paper.html", "--print-to-pdf=$dir/paper.pdf", '--no-pdf-header-footer');
my $pdf = -e "$dir/paper.pdf" ? PostgreSQL::Test::Utils::slurp_file("$dir/paper.pdf") : '';
my $sheets = () = $pdf =~ m{/Type\s*/Page\b(?!s)}g;
like($pdf, qr/^%PDF/, 'prints');
cmp_ok($sheets, '>=', 2, "on $sheets sheets");
cmp_ok($sheets, '<=', 8, 'and no more than eight');

# P10: restored elsewhere an issue is what it was, and there is nothing to correct
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", $node->connstr('postgres') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), "$dir/dump" ], 'restored');
is($node->safe_psql('restored', 'SELECT count(*), bool_and(credit.verify_bulletin(bulletin_id)) FROM credit.bulletin'), '4|t', 'all issues there, each with its digest');
is(decode('UTF-8', $node->safe_psql('restored', "SELECT credit.bulletin('sample-2022', '2023Q4', 'en')")), $page{second_issue_en}, 'no new issue of the same figures');

$node->stop;
done_testing();
