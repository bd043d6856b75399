# bench/50_measures.sh
# ledgers with measures that maintain themselves, against the ledger without, recomputation, a materialized view, and triggers in PL/pgSQL
#
# The rows are loans of 36 months in 3,000 regions of 200 institutions; the other ledgers have some too.  100,000 loans go into
# the ledger with all of its metrics maintained and its entries left in the log, into the same ledger without triggers, and into
# a table of the same shape with the usual trigger that keeps one summary table for one metric, a row for each region and month.
# Then figures are read: from the measures, by recomputation, and from a materialized view that is refreshed; the targets of all
# packs in a session that has read them before, as a pool's have.  Single rows by many clients come last, and how long a change
# waits for the folder while 5,000 a second come in.

months=36
sql -v loans="$rows" -v months=$months <<'SQL'
INSERT INTO credit.region (code, name_zh, level)
SELECT (330000 + c * 100)::text::credit.region_code, 'city', 'city' FROM generate_series(1, 11) c ON CONFLICT DO NOTHING;
INSERT INTO credit.region (code, name_zh, level)
SELECT (330000 + c * 100 + k)::text::credit.region_code, 'county', 'county' FROM generate_series(1, 11) c, generate_series(1, 20) k
    ON CONFLICT DO NOTHING;
INSERT INTO credit.region (code, name_zh, level)
SELECT ((330000 + c * 100 + k)::bigint * 1000 + t)::text::credit.region_code, 'township', 'township'
  FROM generate_series(1, 11) c, generate_series(1, 20) k, generate_series(1, 13) t ON CONFLICT DO NOTHING;
SELECT credit.extend_ledgers('2022-01-01', '2025-02-01');
CREATE SCHEMA measures;
-- a number gives a loan: its month within the span, its town, what is true of it
CREATE FUNCTION measures.town(g integer) RETURNS credit.region_code LANGUAGE sql IMMUTABLE AS $$
	SELECT ((330100 + (g % 11) * 100 + 1 + g % 20)::bigint * 1000 + 1 + g % 13)::text::credit.region_code $$;
CREATE FUNCTION measures.loans(n integer, first date, span integer) RETURNS SETOF credit.loan_balance LANGUAGE sql AS $$
	SELECT 1 + g % 200, 'loan-' || g, (first + (g / 7 % span) * interval '1 month')::date, 1 + g % 50000, measures.town(g), '', '',
		   (g % 1000000)::numeric(18,2), 0.04::numeric(9,6), (ARRAY['normal', 'normal', 'normal', 'loss'])[1 + g % 4],
		   g % 2 = 0, g % 3 = 0, g % 5 = 0, g % 7 = 0, g % 11 = 0, g % 13 = 0, g % 17 = 0, g % 19 = 0, g % 4 = 0, g % 23 = 0,
		   g % 29 = 0, g % 31 = 0
	  FROM generate_series(1, n) g $$;
CREATE TABLE measures.given AS SELECT * FROM measures.loans(100000, '2025-01-01', 1);

CREATE TABLE measures.usual (LIKE credit.loan_balance INCLUDING DEFAULTS, PRIMARY KEY (institution_id, key, month));
CREATE TABLE measures.summary (month date, region credit.region_code, n bigint, balance numeric, PRIMARY KEY (month, region));
CREATE FUNCTION measures.summarize() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO measures.summary AS s VALUES (NEW.month, NEW.region, 1, NEW.balance)
	ON CONFLICT (month, region) DO UPDATE SET n = s.n + 1, balance = s.balance + excluded.balance;
	RETURN NULL;
END $$;
CREATE TRIGGER summarize AFTER INSERT ON measures.usual FOR EACH ROW EXECUTE FUNCTION measures.summarize();

SET session_replication_role = replica;
INSERT INTO credit.loan_balance SELECT * FROM measures.loans(:loans, '2022-01-01', :months);
-- the other ledgers: each column as its type has it
SELECT format('INSERT INTO credit.%I (%s) SELECT %s FROM generate_series(1, %s) g', l.ledger,
			  string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
			  string_agg(CASE a.attname
				  WHEN 'institution_id' THEN '1 + g % 200' WHEN 'key' THEN 'g::text' WHEN 'subject_id' THEN '1 + g % 50000'
				  WHEN 'month' THEN format('(date ''2022-01-01'' + (g / 7 %% %s) * interval ''1 month'')::date', :months)
				  WHEN 'region' THEN 'measures.town(g)' WHEN 'kind' THEN '''environmental_liability''' WHEN 'state' THEN '''matched'''
				  WHEN 'star' THEN '(g % 6)::numeric(2,0)'
				  ELSE CASE a.atttypid::regtype::text WHEN 'boolean' THEN format('g %% %s = 0', 2 + a.attnum % 4)
						   WHEN 'numeric' THEN '(g % 90 / 100.0)::numeric(9,2)' ELSE '''p''' END END, ', ' ORDER BY a.attnum),
			  :loans / 50)
  FROM credit.ledger l JOIN pg_attribute a ON a.attrelid = format('credit.%I', l.ledger)::regclass AND a.attnum > 0 AND NOT a.attisdropped
 WHERE l.ledger <> 'loan_balance' GROUP BY l.ledger \gexec
RESET session_replication_role;
SELECT credit.rebuild_measures();
CREATE MATERIALIZED VIEW measures.materialized AS
SELECT month, region, sum(balance) AS balance FROM credit.loan_balance GROUP BY month, region;
VACUUM ANALYZE;
SQL

# Until the folder, or this, has folded all, and the room of it is free again, for which autovacuum would care.
folded()
{
	until [ "$(sql -At -c 'SELECT credit.fold_measures()' -c 'SELECT waiting FROM credit.measure_state' | tail -n 1)" = 0 ]; do
		sleep 0.2
	done
	sql -c 'VACUUM credit._measure_delta' > /dev/null
}

with="" without="" usual=""
for _ in $(seq "$rounds"); do
	sql -c "TRUNCATE credit.loan_balance_2025_01, measures.usual, measures.summary"
	with="$with $(seconds_of 'INSERT INTO credit.loan_balance SELECT * FROM measures.given')"
	sql -c "TRUNCATE credit.loan_balance_2025_01" > /dev/null
	folded
	without="$without $(seconds_of 'SET session_replication_role = replica; INSERT INTO credit.loan_balance SELECT * FROM measures.given')"
	sql -c "SET session_replication_role = replica" -c "TRUNCATE credit.loan_balance_2025_01"
	usual="$usual $(seconds_of 'INSERT INTO measures.usual SELECT * FROM measures.given')"
done
compare "insert of 100,000 loans: all metrics and the entry / none, s" "$with" "$without" "<= 2"
compare "insert: PL/pgSQL summary of one metric / all metrics, s" "$usual" "$with" ">= 1"

folded
# What autovacuum, which is off here, would have done.
sql -c 'VACUUM ANALYZE' > /dev/null
measured="" counted="" refreshed=""
figure="SELECT credit.measure('npl_ratio', '330100', '2024-02-01')"
for _ in $(seq "$rounds"); do
	measured="$measured $(second_time_of "$figure")"
	counted="$counted $(seconds_of "SELECT sum(balance) FILTER (WHERE class IN ('substandard', 'doubtful', 'loss')) / sum(balance)
		FROM credit.loan_balance WHERE month = '2024-02-01' AND region OPERATOR(credit.=) ANY (ARRAY(SELECT credit.regions_within('330100')))")"
	refreshed="$refreshed $(seconds_of 'REFRESH MATERIALIZED VIEW measures.materialized')"
done
compare "a figure of a month of $rows loans: recomputed / measured, s" "$counted" "$measured" "-"
compare "figures of $rows loans: refresh of a view / measured, s" "$refreshed" "$measured" ">= 100"

# All targets of all packs from the measures, against one recomputation of every source from its ledger. A session that has
# asked before holds the figures as long as nothing changes; with a loan folded in between it reads them anew.
status="" first="" recounted="" changed=""
one_loan="UPDATE credit.loan_balance SET balance = balance + 1 WHERE institution_id = 2 AND key = 'loan-1' AND month = '2022-01-01'"
targets="SELECT count(s.*) FROM credit.pack p, credit.target_status(p.pack_id, '2024-02-29') s"
for _ in $(seq "$rounds"); do
	first="$first $(seconds_of "$targets")"
	status="$status $(second_time_of "$targets")"
	changed="$changed $(second_time_of "$targets" "$one_loan; SELECT credit.fold_measures()")"
done
for _ in 1 2; do
	recounted="$recounted $(seconds_of "DO \$\$ DECLARE s credit.metric_source; BEGIN
		FOR s IN SELECT t.* FROM credit.metric_source t WHERE t.ledger IS NOT NULL LOOP
			EXECUTE 'SELECT count(*) FROM (' || credit._measure_query(s) || ') q';
		END LOOP; END \$\$")"
done
compare "status of all targets of all packs / ms" "$status" "0.001" "<= 50"
compare "the same after a loan was folded / ms" "$changed" "0.001" "-"
compare "the same, the first time in a session / ms" "$first" "0.001" "-"
compare "status of all targets, $rows loans: recomputed / measured, s" "$recounted" "$status" ">= 1000"

# Single rows into one city by 32 clients: the usual summary has one row for it.
single="$PLACE/tmp/measure_single.sql" hot="$PLACE/tmp/measure_hot.sql" ten="$PLACE/tmp/measure_ten.sql"
row="1 + (random() * 200)::int, md5(random()::text || clock_timestamp()::text), '2025-02-01', 1 + (random() * 50000)::int, '330101', '', '', 100"
columns="(institution_id, key, month, subject_id, region, segment, product, balance)"
printf 'INSERT INTO credit.loan_balance %s VALUES (%s);\n' "$columns" "$row" > "$single"
printf 'INSERT INTO measures.usual %s VALUES (%s);\n' "$columns" "$row" > "$hot"
printf 'INSERT INTO credit.loan_balance %s SELECT %s FROM generate_series(1, 10);\n' "$columns" "$row" > "$ten"
with="" without="" usual="" recorded="" lag=""
for _ in $(seq "$rounds"); do
	with="$with $(tps_of 32 "$single")"
	folded
	without="$without $(place_env+=(PGOPTIONS='-c session_replication_role=replica'); tps_of 32 "$single")"
	# with the entry of each statement but no measures
	sql -c "ALTER TABLE credit.loan_balance DISABLE TRIGGER measure_insert"
	recorded="$recorded $(tps_of 32 "$single")"
	sql -c "ALTER TABLE credit.loan_balance ENABLE TRIGGER measure_insert"
	usual="$usual $(tps_of 32 "$hot")"
done
compare "single rows by 32 clients: all metrics and entries / none, per s" "$with" "$without" "-"
compare "single rows by 32 clients: all metrics / none, entries in both" "$with" "$recorded" ">= 0.8"
compare "single rows by 32 clients: all metrics / PL/pgSQL summary" "$with" "$usual" ">= 1"

# 5,000 changes a second, ten in a statement; meanwhile rows of another ledger, each watched until it is folded.
for _ in $(seq "$rounds"); do
	folded
	place_do pgbench -n -M prepared -c 8 -j 2 -T $((duration + 3)) --rate=500 -f "$ten" > "$PLACE/tmp/measure_rate.out" 2>&1 &
	load=$!
	sleep 1
	lag="$lag $(sql -At <<'SQL'
CREATE TEMP TABLE lag (seconds double precision);
DO $$
DECLARE
	began timestamptz;
BEGIN
	FOR i IN 1 .. 8 LOOP
		INSERT INTO credit.park (institution_id, key, month, region, product)
		VALUES (1, md5(clock_timestamp()::text), '2025-02-01', '330101', 'probe');
		COMMIT;
		began := clock_timestamp();
		WHILE EXISTS (SELECT FROM credit._measure_delta d WHERE d.product = 'probe') LOOP
			PERFORM pg_sleep(0.01);
		END LOOP;
		INSERT INTO lag VALUES (extract(epoch FROM clock_timestamp() - began));
		COMMIT;
	END LOOP;
END $$;
SELECT max(seconds) FROM lag;
SQL
)"
	wait $load || place_fail "pgbench at a rate fails" "$(tail -n 5 "$PLACE/tmp/measure_rate.out")"
	arrived="${arrived:-} $(awk '/^tps = / { print $3 * 10 }' "$PLACE/tmp/measure_rate.out")"
done
compare "changes a second / wanted" "$arrived" "5000" ">= 0.95"
compare "longest that one waits for the folder then / 1 s" "$lag" "1" "<= 1"
[ "$(sql -At -c "SET session_replication_role = origin" -c "SELECT credit.rebuild_measures() > 0" -c "SELECT count(*) FROM credit.check_measures()" | tail -n 1)" = 0 ] ||
	place_fail "measures differ from the ledger" "see credit.check_measures()"
