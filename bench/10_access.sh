# bench/10_access.sh
# recorded read of one subject: credit.read against the PL/pgSQL way and against a bare INSERT + SELECT
#
# The PL/pgSQL way is what one finds in such platforms: one function that looks
# for a consent (EXISTS), inserts a row into an audit table and returns the
# records, in one transaction.  It promises less: a ROLLBACK takes its audit
# row away.  "Bare" is the same INSERT and SELECT without any check, sent as
# two statements in one transaction.  All three read the same rows of the same
# subjects; audit tables have a primary key and nothing else.

subjects=$((rows / 100))
sql -v subjects="$subjects" <<'SQL'
CREATE ROLE bench_bank LOGIN;
CREATE ROLE bench_tax;
GRANT credit_institution TO bench_bank;
SELECT credit.register_institution('bench_bank', '银行', 'Bank', 'commercial_bank', 'bench_bank'),
       credit.register_institution('bench_tax', '税务局', 'Tax office', 'tax', 'bench_tax') \gset ignored_
INSERT INTO credit.subject (kind, code) SELECT 'village', 'bench-' || g FROM generate_series(1, :subjects) g;
SET session_replication_role = replica;		-- rows for measuring, not a delivery
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s.subject_id, c.category_id, i.institution_id, DATE '2026-01-01' + n, 'neutral', 'bench-' || n, '{"amount_paid": 1}', 0
  FROM credit.subject s, credit.category c, credit.institution i, generate_series(1, 3) n
 WHERE c.code IN ('tax_payment', 'social_insurance', 'court_record') AND i.code = 'bench_tax';
RESET session_replication_role;
INSERT INTO credit.consent (subject_id, institution_id, categories, purposes, valid_from, valid_to, granted_by)
SELECT s.subject_id, i.institution_id, (SELECT array_agg(category_id) FROM credit.category WHERE code IN ('tax_payment', 'social_insurance')),
       '{pre_loan,in_loan}', now() - interval '1 day', now() + interval '1 year', 'bench'
  FROM credit.subject s, credit.institution i WHERE i.code = 'bench_bank';

CREATE SCHEMA usual;
CREATE TABLE usual.consent AS SELECT * FROM credit.consent;
ALTER TABLE usual.consent ADD PRIMARY KEY (subject_id, consent_id);
CREATE INDEX ON usual.consent (subject_id, institution_id);
CREATE TABLE usual.record AS SELECT * FROM credit.record;
ALTER TABLE usual.record ADD PRIMARY KEY (subject_id, record_id);
CREATE INDEX ON usual.record (subject_id, category_id, dated);
CREATE TABLE usual.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), who text NOT NULL,
    subject_id bigint NOT NULL, purpose text NOT NULL, categories text[] NOT NULL, granted boolean NOT NULL);
CREATE FUNCTION usual.read(subject bigint, purpose text, categories text[]) RETURNS SETOF usual.record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids smallint[];
    bank integer;
    allowed boolean;
BEGIN
    SELECT array_agg(c.category_id) INTO ids FROM credit.category c WHERE c.code = ANY (read.categories);
    SELECT i.institution_id INTO bank FROM credit.institution i WHERE i.db_role = session_user::regrole AND i.status = 'active';
    allowed := EXISTS (SELECT FROM usual.consent c
                        WHERE c.subject_id = read.subject AND c.institution_id = bank AND c.categories @> ids
                          AND read.purpose = ANY (c.purposes) AND c.revoked_at IS NULL
                          AND clock_timestamp() >= c.valid_from AND clock_timestamp() < c.valid_to);
    INSERT INTO usual.audit (who, subject_id, purpose, categories, granted)
    VALUES (session_user, read.subject, read.purpose, read.categories, allowed);
    IF allowed THEN
        RETURN QUERY SELECT * FROM usual.record r WHERE r.subject_id = read.subject AND r.category_id = ANY (ids);
    END IF;
END
$$;
GRANT USAGE ON SCHEMA usual TO bench_bank;
GRANT SELECT ON usual.record TO bench_bank;
GRANT INSERT ON usual.audit TO bench_bank;
VACUUM ANALYZE;
CHECKPOINT;
SQL
sql -At -c "SELECT array_agg(category_id) FROM credit.category WHERE code IN ('tax_payment', 'social_insurance')" > "$PLACE/tmp/categories"

cat > "$PLACE/tmp/read_credit.sql" <<E
\\set s random(1, $subjects)
SELECT * FROM credit.read(:s::bigint, 'pre_loan', '{tax_payment,social_insurance}');
E
cat > "$PLACE/tmp/read_usual.sql" <<E
\\set s random(1, $subjects)
SELECT * FROM usual.read(:s, 'pre_loan', '{tax_payment,social_insurance}');
E
cat > "$PLACE/tmp/read_bare.sql" <<E
\\set s random(1, $subjects)
BEGIN;
INSERT INTO usual.audit (who, subject_id, purpose, categories, granted)
VALUES (session_user, :s, 'pre_loan', '{tax_payment,social_insurance}', true);
SELECT * FROM usual.record WHERE subject_id = :s AND category_id = ANY ('$(cat "$PLACE/tmp/categories")');
COMMIT;
E

# As the bank from here on; the last of two settings of a variable counts.
as_owner=("${place_env[@]}")
place_env+=(PGUSER=bench_bank)
for clients in 1 8 32; do
	credit="" usual="" bare=""
	for _ in $(seq "$rounds"); do
		credit="$credit $(tps_of "$clients" "$PLACE/tmp/read_credit.sql")"
		usual="$usual $(tps_of "$clients" "$PLACE/tmp/read_usual.sql")"
		bare="$bare $(tps_of "$clients" "$PLACE/tmp/read_bare.sql")"
	done
	wanted=">= 1.5"
	[ "$clients" -gt 1 ] || wanted=">= 1"
	compare "recorded read, $clients clients: credit.read / PL/pgSQL, tps" "$credit" "$usual" "$wanted"
	compare "recorded read, $clients clients: credit.read / bare INSERT, tps" "$credit" "$bare" ">= 0.9"
done
place_env=("${as_owner[@]}")
