# bench/50_measures.sh
# ledgers with measures that maintain themselves, against the ledger without, recomputation, a materialized view, and triggers in PL/pgSQL
#
# The same loans go into the ledger with all of its metrics maintained and its entries left in the log, into the same
# ledger without triggers, and into a table of the same shape with the usual trigger that keeps one summary table for one
# metric, a row for each region and month.  Then a figure is read: from the measures, by recomputation, and from a materialized view that is refreshed.
# Single rows by many clients come last, and how far the folder is behind.

sql -v loans=$((rows / 10)) <<'SQL'
INSERT INTO credit.region (code, name_zh, level)
SELECT (330000 + c * 100)::text::credit.region_code, 'city', 'city' FROM generate_series(1, 11) c ON CONFLICT DO NOTHING;
INSERT INTO credit.region (code, name_zh, level)
SELECT (330000 + c * 100 + k)::text::credit.region_code, 'county', 'county' FROM generate_series(1, 11) c, generate_series(1, 20) k
    ON CONFLICT DO NOTHING;
SELECT credit.extend_ledgers('2024-01-01', '2024-03-01');
CREATE SCHEMA measures;
CREATE FUNCTION measures.loans(n integer, month date) RETURNS SETOF credit.loan_balance LANGUAGE sql AS $$
	SELECT 1 + g % 200, 'loan-' || g, month, 1 + g % 50000, (330100 + (g % 11) * 100 + 1 + g % 20)::text::credit.region_code, '', '',
		   (g % 1000000)::numeric(18,2), 0.04::numeric(9,6), (ARRAY['normal', 'normal', 'normal', 'loss'])[1 + g % 4],
		   g % 2 = 0, g % 3 = 0, g % 5 = 0, g % 7 = 0, g % 11 = 0, g % 13 = 0, g % 17 = 0, g % 19 = 0, g % 4 = 0, g % 23 = 0,
		   g % 29 = 0, g % 31 = 0
	  FROM generate_series(1, n) g $$;
CREATE TABLE measures.given AS SELECT * FROM measures.loans(:loans, '2024-01-01');

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
INSERT INTO credit.loan_balance SELECT * FROM measures.loans(:rows, '2024-02-01');
RESET session_replication_role;
SELECT credit.rebuild_measures();
CREATE MATERIALIZED VIEW measures.materialized AS
SELECT month, region, sum(balance) AS balance FROM credit.loan_balance GROUP BY month, region;
VACUUM ANALYZE;
SQL

with="" without="" usual=""
for _ in $(seq "$rounds"); do
	sql -c "TRUNCATE credit.loan_balance_2024_01, measures.usual, measures.summary"
	with="$with $(seconds_of 'INSERT INTO credit.loan_balance SELECT * FROM measures.given')"
	sql -c "TRUNCATE credit.loan_balance_2024_01" -c 'VACUUM credit._measure_delta'
	without="$without $(seconds_of 'SET session_replication_role = replica; INSERT INTO credit.loan_balance SELECT * FROM measures.given')"
	sql -c "SET session_replication_role = replica" -c "TRUNCATE credit.loan_balance_2024_01"
	usual="$usual $(seconds_of 'INSERT INTO measures.usual SELECT * FROM measures.given')"
done
compare "insert of $((rows / 10)) loans: all metrics and the entry / none, s" "$with" "$without" "<= 2"
compare "insert: PL/pgSQL summary of one metric / all metrics, s" "$usual" "$with" ">= 1"

measured="" counted="" refreshed=""
for _ in $(seq "$rounds"); do
	measured="$measured $(seconds_of "SELECT credit.measure('npl_ratio', '330100', '2024-02-01')")"
	counted="$counted $(seconds_of "SELECT sum(balance) FILTER (WHERE class IN ('substandard', 'doubtful', 'loss')) / sum(balance)
		FROM credit.loan_balance WHERE month = '2024-02-01' AND region OPERATOR(credit.=) ANY (ARRAY(SELECT credit.regions_within('330100')))")"
	refreshed="$refreshed $(seconds_of 'REFRESH MATERIALIZED VIEW measures.materialized')"
done
compare "a figure of $rows loans: recomputed / measured, s" "$counted" "$measured" ">= 10"
compare "figures of $rows loans: refresh of a view / measured, s" "$refreshed" "$measured" ">= 100"

# All targets of all packs from the measures, against one recomputation of every source from its ledger.
status="" recounted=""
for _ in $(seq "$rounds"); do
	status="$status $(seconds_of "SELECT count(s.*) FROM credit.pack p, credit.target_status(p.pack_id, '2024-02-29') s")"
	recounted="$recounted $(seconds_of "DO \$\$ DECLARE s credit.metric_source; BEGIN
		FOR s IN SELECT t.* FROM credit.metric_source t WHERE t.ledger IS NOT NULL LOOP
			EXECUTE 'SELECT count(*) FROM (' || credit._measure_query(s) || ') q';
		END LOOP; END \$\$")"
done
compare "status of all targets of all packs, ms" "$status" "0.001" "<= 50"
compare "status of all targets, $rows loans: recomputed / measured, s" "$recounted" "$status" ">= 1000"

# Single rows into one city by 32 clients: the usual summary has one row for it.
single="$PLACE/tmp/measure_single.sql" hot="$PLACE/tmp/measure_hot.sql"
row="1 + (random() * 200)::int, md5(random()::text || clock_timestamp()::text), '2024-03-01', 1 + (random() * 50000)::int, '330101', '', '', 100"
columns="(institution_id, key, month, subject_id, region, segment, product, balance)"
printf 'INSERT INTO credit.loan_balance %s VALUES (%s);\n' "$columns" "$row" > "$single"
printf 'INSERT INTO measures.usual %s VALUES (%s);\n' "$columns" "$row" > "$hot"
with="" without="" usual="" lag=""
for _ in $(seq "$rounds"); do
	with="$with $(tps_of 32 "$single")"
	lag="$lag $(sql -At -c 'SELECT GREATEST(extract(epoch FROM clock_timestamp() - folded_at), 0.001) FROM credit.measure_state')"
	without="$without $(place_env+=(PGOPTIONS='-c session_replication_role=replica'); tps_of 32 "$single")"
	usual="$usual $(tps_of 32 "$hot")"
done
compare "single rows by 32 clients: all metrics and entries / none, per s" "$with" "$without" ">= 0.8"
compare "single rows by 32 clients: all metrics / PL/pgSQL summary" "$with" "$usual" ">= 1"
compare "seconds since the last fold, under that load" "$lag" "1" "<= 1"
[ "$(sql -At -c "SET session_replication_role = origin" -c "SELECT credit.rebuild_measures() > 0" -c "SELECT count(*) FROM credit.check_measures()" | tail -n 1)" = 0 ] ||
	place_fail "measures differ from the ledger" "see credit.check_measures()"
