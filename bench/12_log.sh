# bench/12_log.sh
# the log when it is big: growth by the tree, proofs, a subject's history, verification
#
# The log of ten times $rows entries comes in as a restore does, so the tree and
# the history are made by the platform's own processes; each entry is one access
# to one of rows/10 subjects, in the bytes that the platform writes.

entries=$((rows * 10))
log_sql()
{
	local place_env=("${place_env[@]}" PGDATABASE=biglog)
	sql -v entries="$entries" -v subjects=$((rows / 10)) "$@"
}
log_value()
{
	log_sql -At -c "$1"
}

# log_until CONDITION: wait until the platform's processes got so far; prints the seconds.
log_until()
{
	local begin=$EPOCHREALTIME

	until [ "$(log_value "SELECT $1")" = t ]; do
		sleep 0.2
	done
	awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f\n", b - a }'
}

# What comes in entries that the notary has not indexed yet is looked for in them, which is five buffers more; on a machine
# that does other things it may lag by more than the half second that it is given.
indexed="DO 'BEGIN WHILE (SELECT upto FROM credit.audit_history_state) < (SELECT max(seq) FROM credit.audit_entry) LOOP PERFORM pg_sleep(0.1); END LOOP; END'"

# buffers_of WARM SQL: buffers that SQL reads in a session that has done WARM twice, half a second after it: catalogue
# caches are warm, and a look at a history, which is an entry itself, is indexed.
buffers_of()
{
	log_sql -At -c "$1" -c "$1" -c "$indexed" -c 'SELECT pg_sleep(0.5)' -c "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) $2" |
		awk '/Buffers: shared/ && !n { for (i = 1; i <= NF; i++) if (split($i, p, "=") == 2 && p[1] != "dirtied" && p[1] != "written") n += p[2] } END { print n + 0 }'
}

sql -c 'CREATE DATABASE biglog' -c '\connect biglog' -c 'CREATE EXTENSION pgcredit'
log_sql <<'SQL'
INSERT INTO credit.subject (kind, code) SELECT 'village', 'log-' || g FROM generate_series(1, :subjects) g;
CREATE TABLE token AS
    SELECT row_number() OVER (ORDER BY subject_id) - 1 AS n, subject_id, credit._subject_token(subject_id, log_salt) AS token FROM credit.subject;
CREATE UNIQUE INDEX ON token (n);
VACUUM ANALYZE token;
CREATE FUNCTION made(seq bigint, token text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('{"access":"%s","actor":"bench_bank_%s","at":"2026-01-01T00:00:00.000000Z","categories":["tax_payment","social_insurance"],"consents":[[%s]],"institution":"bench_bank_%s","kind":"access","purpose":"%s","recorded":"2026-01-01T00:00:00.000000Z","seq":%s,"session_user":"bench_bank_%s","subjects":["%s"],"version":1}',
                  md5(seq::text)::uuid, seq % 7, 100000 + seq % 900000, seq % 7, (ARRAY['pre_loan', 'post_loan', 'in_loan'])[1 + seq % 3], seq, seq % 7, token)
$$;
CREATE TABLE plain (seq bigint PRIMARY KEY, entry text NOT NULL);
SQL
plain=$(place_env+=(PGDATABASE=biglog); seconds_of "INSERT INTO plain SELECT g, made(g, token) FROM generate_series(1, $entries) g JOIN token ON n = g % $((rows / 10)) ORDER BY g")
log_sql -c 'CHECKPOINT'
log_sql -c 'INSERT INTO credit.audit_entry SELECT seq, entry FROM plain ORDER BY seq'
tree=$(log_until "coalesce(max(n), 0) >= $entries / 32 - 1 FROM credit.audit_leaf")
history=$(log_until "upto >= $entries FROM credit.audit_history_state")
printf '   %s entries: tree over them in %s s, history of them in %s s after it\n' "$entries" "$tree" "$history"
# The notary commits what is derived without a flush; VACUUM calls visible to all what is flushed.
log_sql -c 'SELECT pg_sleep(2)' -c 'VACUUM ANALYZE' -c 'SELECT length(credit.checkpoint())' > "$PLACE/log/biglog"

compare "log of $entries: (entries + tree) / plain table, MB" \
	"$(log_value "SELECT (pg_total_relation_size('credit.audit_entry') + pg_total_relation_size('credit.audit_leaf') + pg_total_relation_size('credit.audit_node')) / 1e6")" \
	"$(log_value "SELECT pg_total_relation_size('plain') / 1e6")" "<= 1.15"

# What the writer does for an entry that it takes from the outbox, against that without the tree's part in it: hashing,
# by the same code over the same bytes, and putting the rows of hashes away.
log_value "SELECT entry FROM credit.audit_entry WHERE seq <= $rows ORDER BY seq" > "$PLACE/tmp/entries"
for library in openssl sodium; do
	"${place_as[@]}" "${place_env[@]}" gcc -O2 -I"$PLACE/src/src" -o "$PLACE/tmp/leaf_hash_$library" "$PLACE/src/bench/leaf_hash.c" \
		"$PLACE/src/src/crypto/merkle_kernel.c" "$PLACE/src/src/crypto/sha256_${library}_kernel.c" -lsodium -lcrypto ||
		place_fail "leaf_hash does not compile"
done
log_sql -c 'CREATE TABLE leaf (LIKE credit.audit_leaf INCLUDING ALL)'
with="" without=""
for _ in $(seq 3); do
	log_sql -c "SELECT count(credit._audit_note(jsonb_build_object('kind', 'bench', 'details', repeat('x', 250), 'n', g))) FROM generate_series(1, $rows / 2) g" > "$PLACE/log/biglog"
	append=$(log_until "NOT EXISTS (SELECT FROM credit.audit_outbox)")
	hashing=$("$PLACE/tmp/leaf_hash_openssl" "$PLACE/tmp/entries" | awk '{ print $2 }')
	log_sql -c 'TRUNCATE leaf'
	storing=$(place_env+=(PGDATABASE=biglog); seconds_of "INSERT INTO leaf SELECT n, hashes FROM credit.audit_leaf WHERE n < $rows / 32 ORDER BY n")
	with="$with $(awk -v t="$append" -v n=$((rows / 2)) 'BEGIN { print t / n * 1e6 }')"
	without="$without $(awk -v t="$append" -v h="$hashing" -v s="$storing" -v n=$((rows / 2)) 'BEGIN { print (t / n - (h + s) / (2 * n)) * 1e6 }')"
done
compare "writer, an entry: with the tree / without, us" "$with" "$without" "<= 1.15"
compare "tree over $entries / INSERT of them into a plain table, s" "$tree" "$plain" "-"

worst=0 worst_history=0
for _ in $(seq 10); do
	at=$((1 + (RANDOM * 32768 + RANDOM) % entries))
	n=$(buffers_of 'SELECT credit.inclusion_proof(1)' "SELECT credit.inclusion_proof($at)")
	[ "$n" -le "$worst" ] || worst=$n
	subject=$(log_value "SELECT subject_id FROM token WHERE n = $((at % (rows / 10)))")
	n=$(buffers_of 'SELECT count(*) FROM credit.access_history((SELECT min(subject_id) FROM token))' \
		"SELECT count(*) FROM credit.access_history($subject)")
	[ "$n" -le "$worst_history" ] || worst_history=$n
done
compare "inclusion proof at $entries entries, worst of 10, buffers" "$worst" 1 "<= 16"
compare "a page of a subject's history, worst of 10, buffers" "$worst_history" 1 "<= 16"

# Processor seconds of the cluster's processes that have ended.
processor()
{
	awk -v hz="$(getconf CLK_TCK)" '{ print ($16 + $17) / hz }' "/proc/$(head -n 1 "$PLACE/data/postmaster.pid")/stat"
}

# verify_with WORKERS: prints wall and processor seconds of a verification.
verify_with()
{
	local before wall

	before=$(processor)
	wall=$(place_env+=(PGDATABASE=biglog); seconds_of "SET max_parallel_maintenance_workers = $1; SELECT 1 / (ok::int) FROM credit.verify_log(1, $entries)")
	sleep 0.5
	awk -v wall="$wall" -v a="$before" -v b="$(processor)" 'BEGIN { print wall, b - a }'
}

openssl="" sodium="" verified=("" "" "") processors=("" "" "")
for _ in $(seq 3); do
	openssl="$openssl $("$PLACE/tmp/leaf_hash_openssl" "$PLACE/tmp/entries" | awk -v f=10 '{ print $1 * f }')"
	sodium="$sodium $("$PLACE/tmp/leaf_hash_sodium" "$PLACE/tmp/entries" | awk -v f=10 '{ print $1 * f }')"
	for workers in 0 1 2; do
		read -r wall used <<< "$(verify_with $workers)"
		verified[workers]="${verified[workers]} $wall"
		processors[workers]="${processors[workers]} $used"
	done
done
compare "SHA-256 of OpenSSL / verify_log with 2 workers, s for the same bytes" "$openssl" "${verified[2]}" ">= 0.5"
compare "SHA-256 of OpenSSL / verify_log with 1 worker, s" "$openssl" "${verified[1]}" "-"
compare "SHA-256 of OpenSSL / verify_log alone, s" "$openssl" "${verified[0]}" "-"
compare "SHA-256 of libsodium / verify_log with 2 workers, s" "$sodium" "${verified[2]}" ">= 0.5"
compare "SHA-256 of libsodium / verify_log alone, s" "$sodium" "${verified[0]}" "-"
compare "processor: verify_log with 1 worker / alone, s" "${processors[1]}" "${processors[0]}" "<= 1.2"
compare "processor: verify_log with 2 workers / alone, s" "${processors[2]}" "${processors[0]}" "<= 1.2"
sql -c 'DROP DATABASE biglog'
