# bench/50_verify.sh
# credit.verify_log: against libsodium's SHA-256 alone over the same entries
#
# The entries are of the length of an access; hash_rate.c reads them from memory.

sql > /dev/null <<'SQL'
SELECT count(credit._audit_note(jsonb_build_object('kind', 'test', 'n', g, 'padding', repeat('x', 300)))) FROM generate_series(1, :rows) g;
DO $$
BEGIN
    WHILE EXISTS (SELECT FROM credit.audit_outbox) LOOP
        COMMIT;
        PERFORM pg_sleep(0.1);
    END LOOP;
END
$$;
SELECT credit.checkpoint();
VACUUM credit.audit_entry;
SQL
sql -c "COPY (SELECT entry FROM credit.audit_entry ORDER BY seq) TO '$PLACE/tmp/entries'"
place_do cc -O2 -o "$PLACE/tmp/hash_rate" "$PLACE/src/bench/hash_rate.c" -lsodium
verified="" hashed=""
for _ in $(seq "$rounds"); do
	verified="$verified $(seconds_of 'SELECT 1 / ok::integer FROM credit.verify_log()')"
	hashed="$hashed $(place_do "$PLACE/tmp/hash_rate" "$PLACE/tmp/entries")"
done
compare "$rows entries and more: verify_log / SHA-256 alone, s" "$verified" "$hashed" "<= 2"
