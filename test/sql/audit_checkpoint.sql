-- Signed checkpoints, witnesses, proofs to take away: what they are, and what is refused.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set VERBOSITY terse
SELECT credit._audit_note('{"kind": "test"}');
DO $$
BEGIN
    FOR turn IN 1 .. 1000 LOOP
        COMMIT;
        EXIT WHEN NOT EXISTS (SELECT FROM credit.audit_outbox) AND credit.log_size() > 0;
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
CREATE FUNCTION audit_checkpoint_fails(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SELECT credit.checkpoint() AS note \gset
SELECT split_part(:'note', E'\n', 1) = origin AS origin, split_part(:'note', E'\n', 2)::bigint AS size FROM credit.audit_origin ORDER BY since DESC LIMIT 1 \gset
SELECT :'origin' AS named, split_part(:'note', E'\n', 3) = encode(credit.log_root(:size), 'base64') AS root,
       :'note' ~ '^[^\n]+\n\d+\n[A-Za-z0-9+/]{43}=\n\n— [^ \n]+ [A-Za-z0-9+/]+={0,2}\n$' AS form,
       credit._note_text(:'note') || E'\n' = substring(:'note' FROM '^(.*\n)— ') AS text;
SELECT size = :size AS size, root = credit.log_root(:size) AS root, note = :'note' AS note, cosignatures, published
  FROM credit.checkpoint_log ORDER BY size DESC LIMIT 1;
SELECT credit.log_vkey() = credit._log_vkey(split_part(:'note', E'\n', 1)) AS vkey, credit._vkey_name(credit.log_vkey(), false) = split_part(:'note', E'\n', 1) AS named,
       credit._own_note(:'note', split_part(:'note', E'\n', 1)) = :size AS own;
SELECT credit.inclusion_proof(1) = credit.inclusion_proof(1, :size) AS newest;
-- Signed under a name that is none, or another one.
SELECT credit._log_vkey('');
SELECT credit._log_vkey('a b');
SELECT credit._log_vkey('a+b');
SELECT credit._log_vkey(repeat('x', 256));
SELECT audit_checkpoint_fails(format('SELECT credit._own_note(%L, %L)', :'note', 'other.example/log')) ~ '^PC007 ' AS other_name;

-- A proof to take away.
SELECT credit.tlog_proof(1) LIKE 'c2sp.org/tlog-proof@v1' || E'\n' || 'index 0' || E'\n%' || E'\n\n' || :'note' AS proof,
       credit.tlog_proof(1, 'abc') LIKE 'c2sp.org/tlog-proof@v1' || E'\n' || 'extra YWJj' || E'\n' || 'index 0' || E'\n%' AS extra,
       credit.tlog_proof(NULL) IS NULL AS of_none;
SELECT length(substring(credit.tlog_proof(1, decode(repeat('ab', 1000), 'hex')) FROM E'\nextra ([^\n]*)\n')) AS extra_in_one_line;
SELECT audit_checkpoint_fails('SELECT credit.tlog_proof(0)') ~ '^22023 ' AS zero, audit_checkpoint_fails('SELECT credit.tlog_proof(-5)') ~ '^22023 ' AS negative,
       audit_checkpoint_fails('SELECT credit.tlog_proof(9223372036854775807)');

-- For witnesses.
SELECT credit.witness_request(0) = E'old 0\n\n' || :'note' AS at_first, credit.witness_request(:size) = E'old ' || :size || E'\n\n' || :'note' AS nothing_new,
       credit.witness_request(1) LIKE E'old 1\n%\n\n' || :'note' OR :size = 1 AS later, credit.witness_request(NULL);
SELECT audit_checkpoint_fails('SELECT credit.witness_request(-1)') ~ '^22023 ' AS negative;
SELECT audit_checkpoint_fails(format('SELECT credit.witness_request(%s + 1)', :size)) ~ '^22023 ' AS too_far;
SELECT credit.add_witness(NULL);
SELECT credit.add_witness('');
SELECT credit.add_witness('x');
SELECT credit.add_witness(repeat('x', 100000));
SELECT audit_checkpoint_fails(format('SELECT credit.add_witness(%L)', credit.log_vkey()));
SELECT credit.add_witness('witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X');
SELECT credit.add_witness('witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X');
SELECT credit.add_witness('witness.example/w1+20324abf+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X');
SELECT name, vkey FROM credit.audit_witness;
SELECT credit.add_cosignature(NULL);
SELECT credit.add_cosignature('');
SELECT credit.add_cosignature(E'a\n1\nb\n\n');
SELECT credit.add_cosignature('— witness.example/w1 AAAA', 1);
SELECT credit.add_cosignature('— witness.example/w1 AAAA');
SELECT audit_checkpoint_fails(format('SELECT credit.add_cosignature(%L)', :'note'));
SELECT audit_checkpoint_fails(format('SELECT credit.add_cosignature(%L, %s + 1)', :'note', :size));
SELECT audit_checkpoint_fails(format('SELECT credit.add_cosignature(%L)', :'note' || E'— witness.example/w1 IDJKvgAAAABlU/EAyYrOveZPZQl/Os0JvoX0DZfAdsvsV5Yx/8f3ET1XNT6OjRjMi3CgSv0mFoO3SpjNUZhGgZ8RF4DZK3e2Qcx5Bg==\n'));
SELECT credit.remove_witness('witness.example/w1'), credit.remove_witness('witness.example/w1'), credit.remove_witness(NULL);

-- Known outside.
SELECT credit.check_checkpoint(:'note');
SELECT credit.check_checkpoint('');
SELECT credit.check_checkpoint(NULL);
SELECT audit_checkpoint_fails(format('SELECT credit.check_checkpoint(%L)', replace(:'note', E'\n' || :size || E'\n', E'\n' || :size + 1 || E'\n'))) ~ '^PC007 ' AS changed;
SELECT count(*) AS conflicts FROM credit.audit_conflict;

-- A name is for a new log.
SELECT credit.set_log_origin('other.example/log');
SELECT credit.set_log_origin(NULL);
SELECT credit.set_log_origin('');
SELECT audit_checkpoint_fails(format('SELECT credit.set_log_origin(%L)', split_part(:'note', E'\n', 1))) ~ '^23505 ' AS same;

-- Nobody writes the tables.
UPDATE credit.audit_checkpoint SET size = size;
DELETE FROM credit.audit_cosignature;
TRUNCATE credit.audit_checkpoint CASCADE;
DELETE FROM credit.audit_conflict;
UPDATE credit.audit_origin SET origin = 'x';
INSERT INTO credit.audit_checkpoint SELECT size + 1, root, peaks, note, signed FROM credit.audit_checkpoint ORDER BY size DESC LIMIT 1;
SELECT ok, problem FROM credit.verify_log();
-- Whoever is not named has no right.
SET ROLE credit_institution;
SELECT credit.log_vkey() IS NOT NULL AS key_is_public;
SELECT credit.checkpoint();
SELECT * FROM credit.checkpoint_log;
SELECT credit.tlog_proof(1);
SELECT credit.add_witness('x');
RESET ROLE;
SET ROLE credit_portal;
SELECT credit.tlog_proof(1) IS NOT NULL AS proof;
SELECT credit.inclusion_proof(1);
RESET ROLE;
SET ROLE credit_auditor;
SELECT count(*) > 0 AS seen, bool_and(published) AS published FROM credit.checkpoint_log;
SELECT credit.set_log_origin('x');
RESET ROLE;
DROP FUNCTION audit_checkpoint_fails;
