# bench/20_guard.sh
# scan of guarded records against the same table unguarded and under the usual policies
#
# All tables hold the same rows; the bank may see all of them, so every row is
# tested and passes.  The usual policies ask a consent table: EXISTS with the
# conditions of a real consent (categories as a list, purpose, window), and IN
# over a sub-select, which the planner can hash once a statement.  One process
# each: the guard is parallel restricted.

sql -v subjects=$((rows / 100)) <<'SQL'
CREATE ROLE scan_bank LOGIN;
GRANT credit_institution TO scan_bank;
SELECT credit.register_institution('scan_bank', '银行', 'Bank', 'commercial_bank', 'scan_bank') AS bank \gset
INSERT INTO credit.subject (kind, code) SELECT 'village', 'scan-' || g FROM generate_series(1, :subjects) g;
CREATE TEMP TABLE chosen AS
SELECT row_number() OVER (ORDER BY subject_id) - 1 AS n, subject_id FROM credit.subject WHERE code LIKE 'scan-%';
CREATE TEMP TABLE kinds AS
SELECT row_number() OVER (ORDER BY category_id) - 1 AS n, category_id FROM credit.category
 WHERE code IN ('tax_payment', 'social_insurance', 'court_record', 'electricity_use', 'water_use');
CREATE SCHEMA scan;
CREATE TABLE scan.rows AS
SELECT s.subject_id, k.category_id, 1 AS provider_id, DATE '2026-01-01' AS dated, 'neutral'::text AS polarity,
       'scan-' || g AS source_key, '{"amount_paid": 1}'::jsonb AS payload, 0::bigint AS batch_id
  FROM generate_series(0, :rows - 1) g
  JOIN chosen s ON s.n = g % :subjects JOIN kinds k ON k.n = (g / :subjects) % 5;
SET session_replication_role = replica;		-- rows for measuring, not a delivery
TRUNCATE credit.record;
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id) SELECT * FROM scan.rows;
INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, granted_by)
SELECT subject_id, :bank, (SELECT array_agg(category_id) FROM kinds), '{pre_loan,in_loan}', now() - interval '1 day',
       now() + interval '1 year', 'bench' FROM chosen;
RESET session_replication_role;

CREATE TABLE scan.consent AS SELECT * FROM credit.consent WHERE institution_id = :bank;
CREATE INDEX ON scan.consent (subject_id, institution_id);
CREATE TABLE scan.granted AS SELECT subject_id, unnest(categories) AS category_id FROM scan.consent;
CREATE UNIQUE INDEX ON scan.granted (subject_id, category_id);
CREATE TABLE scan.unguarded (LIKE credit.record INCLUDING INDEXES);
INSERT INTO scan.unguarded SELECT * FROM credit.record;
CREATE TABLE scan.by_exists (LIKE credit.record INCLUDING INDEXES);
INSERT INTO scan.by_exists SELECT * FROM credit.record;
CREATE TABLE scan.by_hash (LIKE credit.record INCLUDING INDEXES);
INSERT INTO scan.by_hash SELECT * FROM credit.record;
ALTER TABLE scan.by_exists ENABLE ROW LEVEL SECURITY;
CREATE POLICY guarded ON scan.by_exists USING (EXISTS (
    SELECT FROM scan.consent c JOIN credit.institution i USING (institution_id)
     WHERE c.subject_id = by_exists.subject_id AND by_exists.category_id = ANY (c.categories) AND i.db_role = current_user::regrole
       AND 'pre_loan' = ANY (c.purposes) AND c.revoked_at IS NULL AND now() >= c.valid_from AND now() < c.valid_to));
ALTER TABLE scan.by_hash ENABLE ROW LEVEL SECURITY;
CREATE POLICY guarded ON scan.by_hash USING ((subject_id, category_id) IN (SELECT subject_id, category_id FROM scan.granted));
GRANT USAGE ON SCHEMA scan TO scan_bank;
GRANT SELECT ON ALL TABLES IN SCHEMA scan TO scan_bank;
GRANT SELECT ON credit.institution TO scan_bank;
VACUUM ANALYZE;
SQL

# The seconds of one scan as the bank, after access to all subjects is open; opening is not part of it.
scan_seconds()
{
	sql -At -U scan_bank -v table="$1" -v expression="$2" <<'SQL' | tail -n 1
SET max_parallel_workers_per_gather = 0;
SET work_mem = '64MB';
BEGIN;
SELECT count(*) FROM credit.open_access((SELECT array_agg(DISTINCT subject_id) FROM scan.granted), 'pre_loan',
                                        '{tax_payment,social_insurance,court_record,electricity_use,water_use}') WHERE granted;
SELECT extract(epoch FROM clock_timestamp()) AS started \gset
SELECT :expression FROM :table;
SELECT extract(epoch FROM clock_timestamp()) - :started;
COMMIT;
SQL
}

# In the sum the work on the payload is the same for all; only against the unguarded scan there is a wish.
for expression in "count(*)" "sum((payload ->> 'amount_paid')::numeric)"; do
	exists_wanted=">= 5" hashed_wanted=">= 1"
	[ "$expression" = "count(*)" ] || exists_wanted="-" hashed_wanted="-"
	guarded="" unguarded="" exists="" hashed=""
	for _ in $(seq "$rounds"); do
		guarded="$guarded $(scan_seconds credit.record "$expression")"
		unguarded="$unguarded $(scan_seconds scan.unguarded "$expression")"
		exists="$exists $(scan_seconds scan.by_exists "$expression")"
		hashed="$hashed $(scan_seconds scan.by_hash "$expression")"
	done
	compare "$rows rows, ${expression%%(*}: guarded / unguarded, s" "$guarded" "$unguarded" "<= 3"
	compare "$rows rows, ${expression%%(*}: EXISTS policy / guarded, s" "$exists" "$guarded" "$exists_wanted"
	compare "$rows rows, ${expression%%(*}: hashed IN policy / guarded, s" "$hashed" "$guarded" "$hashed_wanted"
done
