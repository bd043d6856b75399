-- the log: every look, every refusal, every committed write
\connect - postgres
SET client_min_messages = warning;
SELECT max(value) FILTER (WHERE name = 'rolled back') AS rolled_back, max(value) FILTER (WHERE name = 'before reads') AS before_reads
  FROM demo.memory \gset
SELECT demo.settle() \g /dev/null

\connect - auditor
\echo
\echo '-- The auditor reads the log (审计日志). All of it, counted:'
SELECT kind, operation, table_name, coalesce(purpose, '-') AS purpose, count(*) AS entries, sum(count) AS rows_written, min(seq) AS first, max(seq) AS last
  FROM credit.audit_log GROUP BY 1, 2, 3, 4 ORDER BY min(seq);

\echo '-- Each look and each refusal since the 700 consents, and the consent taken back. Subjects stand as tokens, which tell'
\echo '   nothing to whoever has not the subject''s salt; those of the bulk read in a list, of which the entry has the Merkle root.'
SELECT seq, to_char(recorded, 'HH24:MI:SS.MS') AS recorded, kind, actor, coalesce(purpose, operation) AS purpose,
       (SELECT string_agg(c, ', ') FROM jsonb_array_elements_text(categories) c) AS categories,
       CASE jsonb_array_length(subjects) WHEN 1 THEN left(subjects ->> 0, 8) || '…' ELSE coalesce(jsonb_array_length(subjects), count) || ' subjects' END AS subject,
       reason, left(access::text, 8) AS access,
       CASE WHEN seq = :rolled_back THEN '<== rolled back (已回滚), and here it is' ELSE '' END AS " "
  FROM credit.audit_log WHERE kind IN ('access', 'refusal', 'consent') AND seq > :before_reads ORDER BY seq;

\echo '-- The entry of the read that was rolled back, in the bytes that are hashed (canonical JSON, RFC 8785), and its hash in the tree:'
SELECT entry, encode(leaf_hash, 'hex') AS leaf_hash FROM credit.audit_log WHERE seq = :rolled_back \gx
\setenv SEQ :rolled_back
\set outside `(printf '\000'; psql -X -A -t -U auditor -c "SELECT entry FROM credit.audit_log WHERE seq = $SEQ" | tr -d '\n') | sha256sum | cut -c 1-64`
SELECT demo.expect(encode(leaf_hash, 'hex') = :'outside', 'sha256sum, outside the database, finds the same') FROM credit.audit_log WHERE seq = :rolled_back \g (format=unaligned tuples_only=on)
SELECT demo.expect(kind = 'access' AND actor = 'bank_a' AND purpose = 'in_loan' AND categories = '["non_bank_information"]',
                   'the entry of the read that was rolled back is in the log')
  FROM credit.audit_log WHERE seq = :rolled_back \g (format=unaligned tuples_only=on)
SELECT unnest(ARRAY[
           demo.expect(count(*) = max(seq) AND min(seq) = 1, 'numbers are dense: ' || count(*) || ' entries, from 1 to ' || max(seq)),
           demo.expect(count(*) FILTER (WHERE kind = 'consent' AND operation = 'grant') = 703
                       AND count(*) FILTER (WHERE kind = 'consent' AND operation = 'revoke') = 1, '703 consents given and 1 taken back are entries'),
           demo.expect(sum(count) FILTER (WHERE kind = 'write' AND table_name = 'record') = 16001, '16,001 records written are in entries, no more')])
  FROM credit.audit_log \g (format=unaligned tuples_only=on)
SELECT demo.expect(array_agg(DISTINCT reason ORDER BY reason) = '{category_refused,consent_expired,consent_not_started,consent_revoked,consent_used_up,no_consent,purpose_refused}',
                   'each kind of refusal is an entry that says its reason')
  FROM credit.audit_log WHERE kind = 'refusal' \g (format=unaligned tuples_only=on)
SELECT demo.expect(sum(coalesce(jsonb_array_length(subjects), count)) FILTER (WHERE kind = 'access') = 699
                   AND sum(coalesce(jsonb_array_length(subjects), count)) FILTER (WHERE kind = 'refusal') = 301, 'the bulk read: 699 subjects in entries of access, 301 in entries of refusal')
  FROM credit.audit_log WHERE access = (SELECT access FROM credit.audit_log WHERE kind IN ('access', 'refusal') ORDER BY seq DESC LIMIT 1) \g (format=unaligned tuples_only=on)

\echo
\echo '-- A signed checkpoint over everything until now (检查点), and a proof that the entry is in it. Both are files that can be'
\echo '   taken away; pgcredit-verify checks them with the log''s public key, without this server:'
SELECT credit.checkpoint() \g (format=unaligned tuples_only=on)
\set verified `d=$(mktemp -d) && cd "$d" && q() { psql -X -A -t -U auditor -c "$1" | head -c -1; } && q "SELECT credit.log_vkey()" > vkey && q "SELECT credit.tlog_proof($SEQ)" > proof && q "SELECT entry FROM credit.audit_log WHERE seq = $SEQ" > entry && pgcredit-verify proof --key @vkey --entry entry proof; rm -r "$d"`
SELECT demo.expect(:'verified' LIKE 'valid: %', :'verified') \g (format=unaligned tuples_only=on)

\connect - portal
\echo
\echo '-- Who looked at me (谁查询过我)? The portal asks for subject 1; that it asked is an entry, too:'
SELECT seq, to_char(recorded, 'HH24:MI:SS.MS') AS recorded, kind, operation, institution, purposes, categories, reason, listed
  FROM credit.access_history(1, most => 8);
\echo '-- Others ask as well, and the log grows past the checkpoint:'
SELECT count(DISTINCT s) AS subjects, count(*) AS looks_shown FROM generate_series(2, 41) s, credit.access_history(s);

\echo
\echo '-- Nobody rewrites it: not the auditor, and the superuser only by disabling a trigger first. Then it shows.'
\connect - auditor
\set ON_ERROR_STOP off
DELETE FROM credit.audit_entry WHERE seq = :rolled_back;
\set auditor :SQLSTATE
\connect - postgres
DELETE FROM credit.audit_entry WHERE seq = :rolled_back;
\set superuser :SQLSTATE
\set ON_ERROR_STOP on
SELECT demo.expect((:'auditor', :'superuser') = ('42501', '42501'), 'both were refused, by privilege and by trigger') \g (format=unaligned tuples_only=on)
SELECT demo.expect(ok, 'credit.verify_log() computed the log anew: ' || entries || ' entries, ' || checkpoints || ' checkpoints, all as signed') FROM credit.verify_log() \g (format=unaligned tuples_only=on)
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE credit.audit_entry SET entry = replace(entry, '"actor":"bank_a"', '"actor":"bank_b"') WHERE seq = :rolled_back;
SELECT ok, wrong_seq, problem, detail FROM credit.verify_log();
SELECT demo.expect(NOT ok AND wrong_seq = :rolled_back, 'the superuser put the blame on another bank, and the log says which entry was bent') FROM credit.verify_log() \g (format=unaligned tuples_only=on)
ROLLBACK;
