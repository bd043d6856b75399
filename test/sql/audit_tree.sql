-- The tree over the log: roots, proofs, tiles, bundles; what they refuse; and credit.verify_log.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set VERBOSITY terse
SELECT count(credit._audit_note(jsonb_build_object('kind', 'test', 'n', g))) FROM generate_series(1, 600) g;
DO $$
BEGIN
    FOR turn IN 1 .. 1000 LOOP
        COMMIT;
        EXIT WHEN NOT EXISTS (SELECT FROM credit.audit_outbox);
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
SELECT credit.log_size() AS size \gset
SELECT :size = max(seq) AS same, :size > 600 AS more FROM credit.audit_entry;

-- RFC 6962, written down in SQL.
CREATE FUNCTION audit_tree_mth(l bigint, r bigint) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    k bigint := 1;
BEGIN
    IF r - l = 0 THEN RETURN sha256(''); END IF;
    IF r - l = 1 THEN RETURN sha256('\x00' || (SELECT convert_to(entry, 'UTF8') FROM credit.audit_entry WHERE seq = l + 1)); END IF;
    WHILE k * 2 < r - l LOOP k := k * 2; END LOOP;
    RETURN sha256('\x01' || audit_tree_mth(l, l + k) || audit_tree_mth(l + k, r));
END
$$;
CREATE FUNCTION audit_tree_path(m bigint, l bigint, r bigint) RETURNS bytea[] LANGUAGE plpgsql AS $$
DECLARE
    k bigint := 1;
BEGIN
    IF r - l = 1 THEN RETURN '{}'; END IF;
    WHILE k * 2 < r - l LOOP k := k * 2; END LOOP;
    IF m < l + k THEN RETURN audit_tree_path(m, l, l + k) || audit_tree_mth(l + k, r); END IF;
    RETURN audit_tree_path(m, l + k, r) || audit_tree_mth(l, l + k);
END
$$;
CREATE FUNCTION audit_tree_subproof(m bigint, l bigint, r bigint, b boolean) RETURNS bytea[] LANGUAGE plpgsql AS $$
DECLARE
    k bigint := 1;
BEGIN
    IF m = r THEN RETURN CASE WHEN b THEN '{}' ELSE ARRAY[audit_tree_mth(l, r)] END; END IF;
    WHILE k * 2 < r - l LOOP k := k * 2; END LOOP;
    IF m <= l + k THEN RETURN audit_tree_subproof(m, l, l + k, b) || audit_tree_mth(l + k, r); END IF;
    RETURN audit_tree_subproof(m, l + k, r, false) || audit_tree_mth(l, l + k);
END
$$;
SELECT count(*) AS sizes, bool_and(credit.log_root(s) = audit_tree_mth(0, s)) AS as_the_rfc
  FROM unnest(ARRAY[0, 1, 2, 3, 31, 32, 33, 255, 256, 257, 511, 512, 513, :size]) s;
SELECT credit.log_root() = credit.log_root(:size) AS of_all, credit.log_root(0) AS of_nothing;
SELECT count(*) AS pairs, bool_and(credit.inclusion_proof(m, s) = audit_tree_path(m - 1, 0, s)) AS as_the_rfc
  FROM unnest(ARRAY[1, 2, 3, 64, 255, 256, 257, 600]) m, unnest(ARRAY[1, 3, 256, 257, 600, :size]) s WHERE m <= s;
SELECT count(*) AS pairs, bool_and(credit.consistency_proof(m, s) = CASE WHEN m = 0 THEN '{}' ELSE audit_tree_subproof(m, 0, s, true) END) AS as_the_rfc
  FROM unnest(ARRAY[0, 1, 2, 3, 64, 255, 256, 257, 600]) m, unnest(ARRAY[1, 3, 256, 257, 600, :size]) s WHERE m <= s;
SELECT bool_and(leaf_hash = credit.leaf_hash(entry)) AS view, credit.leaf_hash('') = sha256('\x00') AS empty, credit.leaf_hash(NULL) FROM credit.audit_log;

-- Tiles and bundles.
SELECT credit.tile(0, 0) = string_agg(leaf_hash, '' ORDER BY seq) AS tile FROM credit.audit_log WHERE seq <= 256;
SELECT credit.tile(0, 1, 7) = string_agg(leaf_hash, '' ORDER BY seq) AS tile FROM credit.audit_log WHERE seq BETWEEN 257 AND 263;
SELECT credit.tile(1, 0, 2) = credit.log_root(256) || audit_tree_mth(256, 512) AS tile;
SELECT octet_length(credit.tile(0, :size / 256)) = :size % 256 * 32 AS as_many_as_there_are, octet_length(credit.tile(1, 0)) = :size / 256 * 32 AS also;
SELECT credit.entry_bundle(1, 3) = string_agg(int2send(octet_length(entry)::smallint) || convert_to(entry, 'UTF8'), '' ORDER BY seq) AS bundle
  FROM credit.audit_log WHERE seq BETWEEN 257 AND 259;

-- What there is not.
SELECT credit.log_root(-1);
SELECT credit.log_root(9223372036854775807) IS NULL;
SELECT credit.inclusion_proof(0, 3);
SELECT credit.inclusion_proof(4, 3);
SELECT credit.inclusion_proof(-9223372036854775808, 3);
SELECT credit.inclusion_proof(9223372036854775807, 3);
SELECT credit.inclusion_proof(1, 0);
SELECT credit.consistency_proof(3, 2);
SELECT credit.consistency_proof(-1, 2);
SELECT credit.consistency_proof(2, -9223372036854775808);
SELECT credit.inclusion_proof(NULL, 3), credit.inclusion_proof(NULL), credit.consistency_proof(NULL, 3), credit.consistency_proof(3, NULL),
       credit.tile(NULL, 0), credit.tile(0, NULL), credit.entry_bundle(NULL);
SELECT credit.tile(-1, 0);
SELECT credit.tile(64, 0);
SELECT credit.tile(9, 0);
SELECT credit.tile(63, 9223372036854775807);
SELECT credit.tile(0, -1);
SELECT credit.tile(0, 9223372036854775807);
SELECT credit.tile(0, 0, 0);
SELECT credit.tile(0, 0, 257);
SELECT credit.tile(0, 0, -2147483648);
SELECT credit.tile(1, 0, 256);
SELECT credit.entry_bundle(-1);
SELECT credit.entry_bundle(9223372036854775807);
SELECT credit.entry_bundle(0, 0);
SELECT credit.entry_bundle(0, 257);

-- Nobody writes the tables.
INSERT INTO credit.audit_leaf VALUES (0, '');
UPDATE credit.audit_leaf SET n = n;
DELETE FROM credit.audit_node;
TRUNCATE credit.audit_pruned;
INSERT INTO credit.audit_node VALUES (1, 1, '');

-- Verification.
SELECT ok, wrong_seq, problem, detail, first_seq, last_seq = :size AS last, entries = :size AS entries, dropped, size = :size AS size, root = credit.log_root(:size) AS root,
       tiles = (SELECT count(*) FROM credit.audit_leaf) + (SELECT count(*) FROM credit.audit_node) AS tiles
  FROM credit.verify_log();
SELECT ok, first_seq, last_seq, entries, dropped FROM credit.verify_log(1, 1);
SELECT ok, first_seq, last_seq, entries, dropped FROM credit.verify_log(256, 257);
SELECT ok, first_seq, last_seq, entries, dropped FROM credit.verify_log(257, 512);
SELECT ok, first_seq, last_seq = :size AS last FROM credit.verify_log(300);
SELECT ok, first_seq, last_seq = :size AS last, entries = :size AS entries FROM credit.verify_log(resume => true);
SELECT ok, entries FROM credit.verify_log(NULL, 256, NULL);
SELECT ok, wrong_seq = :size + 1 AS wrong, problem FROM credit.verify_log(1, 9000000000000000000);
SELECT ok, wrong_seq = :size + 1 AS wrong, problem FROM credit.verify_log(9000000000000000000);
SELECT * FROM credit.verify_log(0);
SELECT * FROM credit.verify_log(2, 1);
SELECT * FROM credit.verify_log(1, 9223372036854775807);
SELECT * FROM credit.verify_log(-9223372036854775808, -1);
SELECT * FROM credit.verify_log(1, NULL, true);
SELECT count(*) FROM credit.stat_progress_verify;
-- What is wrong is a result, in the transaction that sees it.
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE credit.audit_entry SET entry = replace(entry, '"seq":300', '"seq":0300') WHERE seq = 300;
SELECT ok, wrong_seq, problem, detail, size, root FROM credit.verify_log();
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE credit.audit_entry SET entry = regexp_replace(entry, '"kind":"[a-z]+"', '"kind":{"recorded":"x","seq":300}') WHERE seq = 300;
SELECT ok, wrong_seq, problem, regexp_replace(detail, ' Nor are .*', '') AS detail FROM credit.verify_log();
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
ALTER TABLE credit.audit_entry ALTER entry DROP NOT NULL;
UPDATE credit.audit_entry SET entry = NULL WHERE seq = 300;
SELECT ok, wrong_seq, problem, regexp_replace(detail, ' Nor are .*', '') AS detail FROM credit.verify_log();
ROLLBACK;
-- A verification does not see what commits while it runs, and can be read only.
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT ok FROM credit.verify_log();
COMMIT;
SET ROLE credit_auditor;
SELECT ok FROM credit.verify_log();
SELECT count(*) FROM credit.stat_progress_verify;
RESET ROLE;
SET ROLE credit_operator;
SELECT ok FROM credit.verify_log();
RESET ROLE;
DROP FUNCTION audit_tree_mth, audit_tree_path, audit_tree_subproof;
