# bench/10_access.sh
# recorded read of one subject: credit.read against five usual ways to record a read
#
# (a) PL/pgSQL: what one finds in such platforms, one function that looks for a
#     consent (EXISTS), inserts a row into an audit table and returns the
#     records, in one transaction.  A ROLLBACK takes its audit row away.
# (b) the same with a hash chain: the tail's row is locked, the new row hashed
#     with it, so that the audit table shows changes.
# (c) the same with the audit row inserted by dblink, the usual autonomous
#     transaction: it survives a ROLLBACK.  As it is mostly written, with a
#     connection for each call, and at its best, with one kept for each session.
# (d) pgaudit: the consent checked in the statement, which pgaudit writes to the
#     server's log; that is not flushed.
# (e) bare: the INSERT and the SELECT without any check, as two statements in
#     one transaction.
#
# How far any recorded read could get ahead of (c) at its best is bounded by the
# SELECT of the same rows that nobody checks or records; so it is measured, too.
#
# All read the same rows of the same subjects; audit tables have a primary key
# and nothing else.

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

-- (b): the lock on the tail's row is what the others wait for.
CREATE TABLE usual.chain (
    id bigint PRIMARY KEY, at timestamptz NOT NULL, who text NOT NULL, subject_id bigint NOT NULL, purpose text NOT NULL,
    categories text[] NOT NULL, granted boolean NOT NULL, hash bytea NOT NULL);
CREATE TABLE usual.chain_tail (id bigint NOT NULL, hash bytea NOT NULL) WITH (fillfactor = 10);
INSERT INTO usual.chain_tail VALUES (0, '\x');
CREATE FUNCTION usual.read_chained(subject bigint, purpose text, categories text[]) RETURNS SETOF usual.record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids smallint[];
    bank integer;
    allowed boolean;
    tail usual.chain_tail;
    now timestamptz := clock_timestamp();
BEGIN
    SELECT array_agg(c.category_id) INTO ids FROM credit.category c WHERE c.code = ANY (read_chained.categories);
    SELECT i.institution_id INTO bank FROM credit.institution i WHERE i.db_role = session_user::regrole AND i.status = 'active';
    allowed := EXISTS (SELECT FROM usual.consent c
                        WHERE c.subject_id = read_chained.subject AND c.institution_id = bank AND c.categories @> ids
                          AND read_chained.purpose = ANY (c.purposes) AND c.revoked_at IS NULL
                          AND clock_timestamp() >= c.valid_from AND clock_timestamp() < c.valid_to);
    SELECT * INTO tail FROM usual.chain_tail FOR UPDATE;
    tail.id := tail.id + 1;
    tail.hash := sha256(tail.hash || convert_to(concat_ws('|', tail.id, now, session_user, read_chained.subject, read_chained.purpose,
                                                           read_chained.categories, allowed), 'UTF8'));
    INSERT INTO usual.chain VALUES (tail.id, now, session_user, read_chained.subject, read_chained.purpose,
                                    read_chained.categories, allowed, tail.hash);
    UPDATE usual.chain_tail SET id = tail.id, hash = tail.hash;
    IF allowed THEN
        RETURN QUERY SELECT * FROM usual.record r WHERE r.subject_id = read_chained.subject AND r.category_id = ANY (ids);
    END IF;
END
$$;

-- (c), at its best: one connection back to the database is kept for each session.
CREATE EXTENSION dblink SCHEMA usual;
CREATE FUNCTION usual.read_autonomous(subject bigint, purpose text, categories text[]) RETURNS SETOF usual.record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids smallint[];
    bank integer;
    allowed boolean;
BEGIN
    SELECT array_agg(c.category_id) INTO ids FROM credit.category c WHERE c.code = ANY (read_autonomous.categories);
    SELECT i.institution_id INTO bank FROM credit.institution i WHERE i.db_role = session_user::regrole AND i.status = 'active';
    allowed := EXISTS (SELECT FROM usual.consent c
                        WHERE c.subject_id = read_autonomous.subject AND c.institution_id = bank AND c.categories @> ids
                          AND read_autonomous.purpose = ANY (c.purposes) AND c.revoked_at IS NULL
                          AND clock_timestamp() >= c.valid_from AND clock_timestamp() < c.valid_to);
    IF coalesce(NOT 'audit' = ANY (usual.dblink_get_connections()), true) THEN
        PERFORM usual.dblink_connect('audit', format('dbname=%I host=%s port=%s user=postgres', current_database(),
                                     current_setting('unix_socket_directories'), current_setting('port')));
    END IF;
    PERFORM usual.dblink_exec('audit', format(
        'INSERT INTO usual.audit (who, subject_id, purpose, categories, granted) VALUES (%L, %s, %L, %L, %L)',
        session_user, read_autonomous.subject, read_autonomous.purpose, read_autonomous.categories, allowed));
    IF allowed THEN
        RETURN QUERY SELECT * FROM usual.record r WHERE r.subject_id = read_autonomous.subject AND r.category_id = ANY (ids);
    END IF;
END
$$;

-- (c), as it is mostly written.
CREATE FUNCTION usual.read_connecting(subject bigint, purpose text, categories text[]) RETURNS SETOF usual.record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids smallint[];
    bank integer;
    allowed boolean;
BEGIN
    SELECT array_agg(c.category_id) INTO ids FROM credit.category c WHERE c.code = ANY (read_connecting.categories);
    SELECT i.institution_id INTO bank FROM credit.institution i WHERE i.db_role = session_user::regrole AND i.status = 'active';
    allowed := EXISTS (SELECT FROM usual.consent c
                        WHERE c.subject_id = read_connecting.subject AND c.institution_id = bank AND c.categories @> ids
                          AND read_connecting.purpose = ANY (c.purposes) AND c.revoked_at IS NULL
                          AND clock_timestamp() >= c.valid_from AND clock_timestamp() < c.valid_to);
    PERFORM usual.dblink_exec(format('dbname=%I host=%s port=%s user=postgres', current_database(),
                                     current_setting('unix_socket_directories'), current_setting('port')), format(
        'INSERT INTO usual.audit (who, subject_id, purpose, categories, granted) VALUES (%L, %s, %L, %L, %L)',
        session_user, read_connecting.subject, read_connecting.purpose, read_connecting.categories, allowed));
    IF allowed THEN
        RETURN QUERY SELECT * FROM usual.record r WHERE r.subject_id = read_connecting.subject AND r.category_id = ANY (ids);
    END IF;
END
$$;

-- (d)
CREATE EXTENSION pgaudit;
CREATE ROLE bench_pgaudit LOGIN;
ALTER ROLE bench_pgaudit SET pgaudit.log = 'read';
ALTER ROLE bench_pgaudit SET pgaudit.log_parameter = on;
GRANT USAGE ON SCHEMA usual TO bench_bank, bench_pgaudit;
GRANT SELECT ON usual.record, usual.consent TO bench_pgaudit;
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
cat > "$PLACE/tmp/read_chained.sql" <<E
\\set s random(1, $subjects)
SELECT * FROM usual.read_chained(:s, 'pre_loan', '{tax_payment,social_insurance}');
E
cat > "$PLACE/tmp/read_autonomous.sql" <<E
\\set s random(1, $subjects)
SELECT * FROM usual.read_autonomous(:s, 'pre_loan', '{tax_payment,social_insurance}');
E
cat > "$PLACE/tmp/read_connecting.sql" <<E
\\set s random(1, $subjects)
SELECT * FROM usual.read_connecting(:s, 'pre_loan', '{tax_payment,social_insurance}');
E
cat > "$PLACE/tmp/read_pgaudit.sql" <<E
\\set s random(1, $subjects)
SELECT r.* FROM usual.record r
 WHERE r.subject_id = :s AND r.category_id = ANY ('$(cat "$PLACE/tmp/categories")')
   AND EXISTS (SELECT FROM usual.consent c WHERE c.subject_id = r.subject_id AND c.categories @> '$(cat "$PLACE/tmp/categories")'
                  AND 'pre_loan' = ANY (c.purposes) AND c.revoked_at IS NULL
                  AND clock_timestamp() >= c.valid_from AND clock_timestamp() < c.valid_to);
E
cat > "$PLACE/tmp/read_bare.sql" <<E
\\set s random(1, $subjects)
BEGIN;
INSERT INTO usual.audit (who, subject_id, purpose, categories, granted)
VALUES (session_user, :s, 'pre_loan', '{tax_payment,social_insurance}', true);
SELECT * FROM usual.record WHERE subject_id = :s AND category_id = ANY ('$(cat "$PLACE/tmp/categories")');
COMMIT;
E
cat > "$PLACE/tmp/read_unrecorded.sql" <<E
\\set s random(1, $subjects)
SELECT * FROM usual.record WHERE subject_id = :s AND category_id = ANY ('$(cat "$PLACE/tmp/categories")');
E

# As the bank from here on; the last of two settings of a variable counts.
as_owner=("${place_env[@]}")
place_env+=(PGUSER=bench_bank)
reads_of()
{
	tps_of "$1" "$PLACE/tmp/read_$2.sql"
}
for clients in 1 8 32 64; do
	credit="" usual="" chained="" autonomous="" connecting="" pgaudit="" bare="" unrecorded=""
	for _ in $(seq "$rounds"); do
		credit="$credit $(reads_of "$clients" credit)"
		usual="$usual $(reads_of "$clients" usual)"
		chained="$chained $(reads_of "$clients" chained)"
		autonomous="$autonomous $(reads_of "$clients" autonomous)"
		connecting="$connecting $(reads_of "$clients" connecting)"
		pgaudit="$pgaudit $(place_env+=(PGUSER=bench_pgaudit); reads_of "$clients" pgaudit)"
		bare="$bare $(reads_of "$clients" bare)"
		[ "$clients" -ne 32 ] || unrecorded="$unrecorded $(reads_of "$clients" unrecorded)"
	done
	chain_wanted="-" dblink_wanted="-"
	# One client waits for one flush whatever it does; what the chain and dblink cost shows under load.
	[ "$clients" -lt 32 ] || chain_wanted=">= 3" dblink_wanted=">= 5"
	compare "recorded read, $clients clients: / (a) PL/pgSQL" "$credit" "$usual" ">= 1"
	compare "recorded read, $clients clients: / (b) hash chain" "$credit" "$chained" "$chain_wanted"
	compare "recorded read, $clients clients: / (c) dblink" "$credit" "$connecting" "$dblink_wanted"
	compare "recorded read, $clients clients: / (c) dblink, kept connection" "$credit" "$autonomous" "$dblink_wanted"
	compare "recorded read, $clients clients: / (d) pgaudit, not durable" "$credit" "$pgaudit" "-"
	compare "recorded read, $clients clients: / (e) bare INSERT" "$credit" "$bare" ">= 0.9"
	[ "$clients" -ne 32 ] ||
		compare "upper bound, 32 clients: SELECT alone / (c) kept connection" "$unrecorded" "$autonomous" "-"
done
place_env=("${as_owner[@]}")
