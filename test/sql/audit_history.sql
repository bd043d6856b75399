-- Who looked at me: every entry that names the subject, newest first, page by page, whether it is indexed yet or not; an
-- access to many names its subjects in a list; what is erased is nobody's any more.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE history_bank;
CREATE ROLE history_portal;
CREATE ROLE history_operator;
GRANT credit_institution TO history_bank;
GRANT credit_portal TO history_portal;
GRANT credit_operator TO history_operator;
\set VERBOSITY terse
SELECT credit.register_institution('history_bank', '甲银行', 'Bank', 'commercial_bank', 'history_bank') > 0 AS bank;
SELECT array_agg(credit.register_subject(kind => 'village', code => 'history-' || n, name => '村' || n)) AS subjects
  FROM generate_series(1, 100) n \gset
SELECT (:'subjects'::bigint[])[1] AS s1, (:'subjects'::bigint[])[2] AS s2 \gset
SET ROLE history_portal;
SELECT count(credit.grant_consent(s, 'history_bank', '{tax_payment,social_insurance}', '{pre_loan}',
                                  now() - interval '1 hour', now() + interval '1 day'))
  FROM unnest(:'subjects'::bigint[]) s;
RESET ROLE;
RESET client_min_messages;

-- Until what is committed is in the log, and in the index.
CREATE FUNCTION history_wait() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR turn IN 1 .. 2000 LOOP
        IF NOT EXISTS (SELECT FROM credit.audit_outbox)
           AND (SELECT max(seq) FROM credit.audit_entry) = (SELECT upto FROM credit.audit_history_state) THEN
            RETURN;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE EXCEPTION 'the log is not indexed';
END
$$;
-- What the log says, without any index, of a subject; entries with a list are not looked into.
CREATE FUNCTION history_truth(subject bigint) RETURNS bigint[] LANGUAGE sql AS $$
    SELECT array_agg(a.seq ORDER BY a.seq DESC)
      FROM credit.audit_log a JOIN credit.subject s ON s.subject_id = subject
     WHERE a.subjects ? credit._subject_token(s.subject_id, s.log_salt);
$$;
SELECT history_wait();

-- ------------------------------------------------------------------ looks

SET ROLE history_bank;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SELECT granted, reason FROM credit.open_access(ARRAY[:s1, :s2]::bigint[], 'pre_loan', '{social_insurance,tax_payment,court_ruling}');
\set VERBOSITY sqlstate
SELECT count(*) FROM credit.open_access(:s1, 'post_loan', '{tax_payment}');
-- no word of the caller that could be a name
SELECT count(*) FROM credit.open_access(:s1, '张三 "的"', '{tax_payment}');
SELECT count(*) FROM credit.open_access(:s1, 'pre_loan', '{李四}');
\set VERBOSITY terse
RESET ROLE;
SET ROLE history_portal;
SELECT kind, operation, actor, institution, purposes, categories, reason, listed FROM credit.access_history(:s1);
-- the look before is a line now
SELECT kind, operation, actor, institution, purposes, categories, reason, listed FROM credit.access_history(:s1, most => 2);
RESET ROLE;
SELECT history_wait();
-- The same out of the index as out of the log; a page goes on where the last ended.
SET ROLE history_portal;
SELECT array_agg(seq) AS answer FROM credit.access_history(:s1) \gset
RESET ROLE;
SELECT (history_truth(:s1))[2:] = :'answer'::bigint[] AS complete, cardinality(:'answer'::bigint[]) AS lines;
SET ROLE history_portal;
SELECT array_agg(seq ORDER BY seq DESC) = (:'answer'::bigint[])[4:6] AS next_page
  FROM credit.access_history(:s1, (:'answer'::bigint[])[3], 3);
SELECT count(*) AS before_all FROM credit.access_history(:s1, (:'answer'::bigint[])[cardinality(:'answer'::bigint[])]);
SELECT count(*) AS of_another FROM credit.access_history(:s2) h WHERE h.kind = 'refusal' AND 'tax_payment' = ANY (h.categories);

-- ------------------------------------------------------------------ odd arguments

\set VERBOSITY sqlstate
SELECT * FROM credit.access_history(NULL);
SELECT * FROM credit.access_history(:s1, NULL, 0);
SELECT * FROM credit.access_history(:s1, NULL, 1001);
SELECT * FROM credit.access_history(-5);
SELECT credit.history_proof(-5, 1);
SELECT credit.history_proof(:s1, -1);
SELECT credit.history_proof(:s1, 9223372036854775807);
\set VERBOSITY terse
SELECT count(*) FROM credit.access_history(:s1, -9223372036854775808);
SELECT count(*) FROM credit.access_history(:s1, 9223372036854775807, NULL) WHERE seq = ANY (:'answer'::bigint[]);
SELECT credit.history_proof(NULL, 1);
RESET ROLE;
SELECT kind, entry::jsonb ->> 'operation' AS operation, entry::jsonb -> 'unknown' AS unknown
  FROM credit.audit_log WHERE kind = 'history' AND entry::jsonb ? 'unknown' ORDER BY seq;

-- ------------------------------------------------------------------ many at once

-- RFC 9162 section 2.1.3.2.
CREATE FUNCTION history_check(leaf bytea, index bigint, size bigint, path bytea[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    fn bigint := index;
    sn bigint := size - 1;
    r bytea := sha256('\x00' || leaf);
    p bytea;
BEGIN
    FOREACH p IN ARRAY path LOOP
        IF sn = 0 THEN
            RETURN 'too long';
        END IF;
        IF fn & 1 = 1 OR fn = sn THEN
            r := sha256('\x01' || p || r);
            WHILE fn & 1 = 0 AND fn <> 0 LOOP
                fn := fn >> 1;
                sn := sn >> 1;
            END LOOP;
        ELSE
            r := sha256('\x01' || r || p);
        END IF;
        fn := fn >> 1;
        sn := sn >> 1;
    END LOOP;
    RETURN CASE WHEN sn = 0 THEN rtrim(translate(encode(r, 'base64'), '+/', '-_'), '=') ELSE 'too short' END;
END
$$;
SELECT max(seq) AS start FROM credit.audit_entry \gset
SET ROLE history_bank;
SELECT granted, reason, count(*) FROM credit.open_access(:'subjects'::bigint[] || ARRAY(SELECT -n FROM generate_series(1, 70) n),
                                                         'pre_loan', '{tax_payment,court_ruling}') GROUP BY 1, 2 ORDER BY 1, 2;
RESET ROLE;
-- One entry for each outcome; 64 subjects still stand in it.
SELECT kind, categories, count, reason, entry::jsonb ->> 'listed' AS listed, jsonb_array_length(subjects) AS subjects, length(entry) < 450 AS short
  FROM credit.audit_log WHERE seq > :start AND kind IN ('access', 'refusal') ORDER BY seq;
SET ROLE history_bank;
SELECT count(*) FROM credit.open_access((:'subjects'::bigint[])[1:64], 'pre_loan', '{tax_payment}');
SELECT count(*) FROM credit.open_access((:'subjects'::bigint[])[1:65], 'pre_loan', '{tax_payment}');
RESET ROLE;
SELECT count, jsonb_array_length(subjects) AS subjects FROM credit.audit_log WHERE seq > :start AND kind = 'access' ORDER BY seq DESC LIMIT 2;

-- The lists: the access first, then who was asked for, each once, in order; consents are those that were used.
SELECT min(seq) FILTER (WHERE kind = 'access') AS many, min(seq) FILTER (WHERE entry::jsonb ->> 'listed' = 'unknown') AS nobody
  FROM credit.audit_log WHERE seq > :start \gset
SELECT l.index, l.token IS NOT NULL AS token, cardinality(l.consents) AS consents, l.unknown, length(l.element) AS bytes,
       substr(l.element, 1, 16) = uuid_send((SELECT access FROM credit.audit_log WHERE seq = :many)) AS access
  FROM credit.listed(:many) l ORDER BY l.index LIMIT 1;
SELECT count(*) AS listed, bool_and(l.token IS NOT DISTINCT FROM substr(l.element, 1, 16)) AS tokens,
       count(*) FILTER (WHERE l.consents = ARRAY[c.consent_id]) AS consents, count(DISTINCT s.subject_id) AS subjects
  FROM credit.listed(:many) l
  JOIN credit.subject s ON substr(decode(translate(credit._subject_token(s.subject_id, s.log_salt), '-_', '+/') || '=', 'base64'), 1, 16) = l.token
  JOIN credit.consent c ON c.subject_id = s.subject_id;
SELECT count(*), min(unknown), max(unknown), bool_and(token IS NULL) AS no_token FROM credit.listed(:nobody) WHERE index > 0;
SELECT bool_and(before < element) AS in_order FROM (SELECT index, element, lag(element) OVER (ORDER BY index) AS before FROM credit.listed(:many)) t WHERE index > 1;
-- Every subject of it is proved to the entry; nothing else is.
SELECT count(*) AS proved
  FROM unnest(:'subjects'::bigint[]) i JOIN credit.subject s ON s.subject_id = i,
       LATERAL credit.list_proof(:many, credit._subject_token(s.subject_id, s.log_salt)) p
 WHERE history_check(p.element, p.index, p.size, p.proof) = (SELECT entry::jsonb ->> 'list' FROM credit.audit_entry WHERE seq = :many);
SELECT history_check(p.element || '\x00', p.index, p.size, p.proof) = (SELECT entry::jsonb ->> 'list' FROM credit.audit_entry WHERE seq = :many) AS other_element,
       history_check(p.element, p.index - 1, p.size, p.proof) = (SELECT entry::jsonb ->> 'list' FROM credit.audit_entry WHERE seq = :many) AS other_place
  FROM credit.subject s, LATERAL credit.list_proof(:many, credit._subject_token(s.subject_id, s.log_salt)) p WHERE s.subject_id = :s1;
\set VERBOSITY sqlstate
SELECT credit.list_proof(:many, repeat('A', 43));
SELECT credit.list_proof(:nobody, repeat('A', 43));
SELECT credit.list_proof(:many, 'no token');
SELECT credit.list_proof(:start, repeat('A', 43));
SELECT credit.listed(:start);
SELECT credit.listed(-1);
\set VERBOSITY terse
-- A list that somebody bends does not fit the root in its entry.
BEGIN;
SELECT set_config('session_replication_role', 'replica', true);
UPDATE credit.audit_list SET elements = set_byte(elements, length(elements) - 1, (get_byte(elements, length(elements) - 1) + 1) % 128)
 WHERE list = (SELECT encode(substr(decode(translate(entry::jsonb ->> 'list', '-_', '+/') || '=', 'base64'), 1, 16), 'hex')::uuid
                 FROM credit.audit_entry WHERE seq = :many);
SELECT ok, wrong_seq = :many AS that_entry, problem, detail FROM credit.verify_log();
-- ... also where parallel workers read the entries.
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL parallel_leader_participation = off;
SELECT ok, wrong_seq = :many AS that_entry, problem, detail FROM credit.verify_log();
SELECT max(seq) > 256 AS more_than_a_range FROM credit.audit_entry;
ROLLBACK;

-- The history has it, before it is indexed and after, and the subject can take the proof away.
SET ROLE history_portal;
SELECT kind, purposes, categories, reason, listed FROM credit.access_history(:s2, most => 4);
RESET ROLE;
SELECT history_wait();
SET ROLE history_portal;
SELECT kind, purposes, categories, reason, listed FROM credit.access_history(:s2, most => 5);
SELECT count(*) AS other FROM credit.access_history((:'subjects'::bigint[])[100]) WHERE listed;
SELECT p.element IS NOT NULL AS list, history_check(p.element, p.index, p.size, p.proof) = p.entry::jsonb ->> 'list' AS proved
  FROM credit.access_history(:s2) h, LATERAL credit.history_proof(:s2, h.seq) p WHERE h.listed;
SELECT bool_and(p.element IS NULL AND (p.entry::jsonb ->> 'seq')::bigint = h.seq) AS entries
  FROM credit.access_history(:s2) h, LATERAL credit.history_proof(:s2, h.seq) p WHERE NOT h.listed;
\set VERBOSITY sqlstate
-- an entry of somebody else
SELECT credit.history_proof((:'subjects'::bigint[])[3], (:'answer'::bigint[])[1]);
SELECT credit.history_proof(:s1, :nobody);
-- who may not ask
RESET ROLE;
SET ROLE history_bank;
SELECT * FROM credit.access_history(:s1);
SELECT credit.history_proof(:s1, 1);
SELECT credit.listed(:many);
SELECT credit.erase_subject(:s1);
RESET ROLE;
-- Not even a superuser changes what was listed.
INSERT INTO credit.audit_history VALUES (gen_random_uuid(), 1, now(), 1);
DELETE FROM credit.audit_history;
UPDATE credit.audit_descriptor SET members = '{}';
DELETE FROM credit.audit_bulk;
TRUNCATE credit.audit_history_state;
DELETE FROM credit.audit_list;
INSERT INTO credit.audit_list VALUES (gen_random_uuid(), gen_random_uuid(), now(), '');
\set VERBOSITY terse

-- ------------------------------------------------------------------ erasure

SELECT credit._subject_token(subject_id, log_salt) AS token FROM credit.subject WHERE subject_id = :s2 \gset
SET ROLE history_operator;
SELECT credit.erase_subject(:s2), credit.erase_subject(:s2) AS again;
\set VERBOSITY sqlstate
SELECT credit.erase_subject(NULL);
SELECT credit.erase_subject(-1);
\set VERBOSITY terse
RESET ROLE;
SELECT history_wait();
SET ROLE history_portal;
SELECT count(*) AS lines FROM credit.access_history(:s2);
SELECT kind, operation FROM credit.access_history(:s2);
RESET ROLE;
SELECT kind, name IS NULL AS nameless, code ~ '^erased-' AS code, uscc, resident_digest, region,
       credit._subject_token(subject_id, log_salt) <> :'token' AS other_token
  FROM credit.subject WHERE subject_id = :s2;
SELECT count(*) FROM credit.consent WHERE subject_id = :s2;
-- The entries stay, and so do the proofs; the erasure is under the old token, and no entry has both.
SELECT kind, operation, count FROM credit.audit_log WHERE subjects ? :'token' AND kind IN ('erasure', 'consent') ORDER BY seq DESC LIMIT 2;
SELECT count(*) AS both FROM credit.audit_entry e, credit.subject s
 WHERE s.subject_id = :s2 AND strpos(entry, :'token') > 0 AND strpos(entry, credit._subject_token(s.subject_id, s.log_salt)) > 0;
SELECT history_check(p.element, p.index, p.size, p.proof) = (SELECT entry::jsonb ->> 'list' FROM credit.audit_entry WHERE seq = :many) AS proved
  FROM credit.list_proof(:many, :'token') p;

SET client_min_messages = warning;
DROP FUNCTION history_wait();
DROP FUNCTION history_truth(bigint);
DROP FUNCTION history_check(bytea, bigint, bigint, bytea[]);
DELETE FROM credit.consent WHERE subject_id = ANY (:'subjects'::bigint[]);
DELETE FROM credit.subject_attribute WHERE subject_id = ANY (:'subjects'::bigint[]);
DELETE FROM credit.subject WHERE subject_id = ANY (:'subjects'::bigint[]);
DELETE FROM credit.institution WHERE code = 'history_bank';
DROP ROLE history_bank;
DROP ROLE history_portal;
DROP ROLE history_operator;
