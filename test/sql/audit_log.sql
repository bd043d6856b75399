-- The log: entries of writes, canonical bytes, and that it only grows.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set VERBOSITY terse

-- The writer takes committed rows out of the outbox within a turn; its first entry is that of its own start.
CREATE FUNCTION audit_wait() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR turn IN 1 .. 1000 LOOP
        IF NOT EXISTS (SELECT FROM credit.audit_outbox) AND EXISTS (SELECT FROM credit.audit_entry) THEN
            RETURN;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE EXCEPTION 'the outbox is not drained';
END
$$;
SELECT audit_wait();
SELECT coalesce(max(seq), 0) AS start FROM credit.audit_log \gset

-- One entry for each statement that wrote, none for one that wrote nothing, none for what was rolled back.
CREATE TABLE audited (a int, b text, c numeric);
SELECT credit._audit_table('audited');
INSERT INTO audited SELECT g, 'row ' || g, g / 3.0 FROM generate_series(1, 1000) g;
UPDATE audited SET b = 'x' WHERE a <= 7;
UPDATE audited SET b = 'x' WHERE false;
DELETE FROM audited WHERE a > 990;
BEGIN;
DELETE FROM audited;
ROLLBACK;
BEGIN;
INSERT INTO audited VALUES (2001, 'kept', 1);
SAVEPOINT s;
INSERT INTO audited VALUES (2002, 'not kept', 1);
ROLLBACK TO s;
INSERT INTO audited VALUES (2003, 'kept', 1);
COMMIT;
COPY audited FROM stdin;
3001	copied	\N
3002	copied	2.5
\.
TRUNCATE audited;
SELECT audit_wait();
SELECT row_number() OVER (ORDER BY seq) AS n, kind, operation, table_name, count, actor = current_user AS actor
  FROM credit.audit_log WHERE seq > :start AND kind <> 'writer' ORDER BY seq;

-- No gap, no double; the hash is that of the bytes as a leaf; the bytes are canonical: members in the order of their names.
SELECT count(*) = max(seq) - :start AS dense,
       bool_and(leaf_hash = sha256('\x00' || convert_to(entry, 'UTF8'))) AS hashed
  FROM credit.audit_log WHERE seq > :start;
SELECT bool_and(names = sorted) AS canonical
  FROM (SELECT array_agg(k ORDER BY ordinality) AS names, array_agg(k ORDER BY k COLLATE "C") AS sorted
          FROM credit.audit_log, json_object_keys(entry::json) WITH ORDINALITY AS t(k, ordinality)
         WHERE seq > :start GROUP BY seq) x;
SELECT bool_and(entry !~ '[[:space:]]') AS no_space FROM credit.audit_log WHERE seq > :start;

-- A digest is the same whatever the session's settings.
CREATE TABLE audited_forms (t timestamptz, d interval, f float8, y bytea);
SELECT credit._audit_table('audited_forms');
INSERT INTO audited_forms VALUES ('2026-01-02 03:04:05.678+08', '1 day 2 hours', 0.1, '\xdeadbeef');
SET datestyle = 'German';
SET timezone = 'Asia/Shanghai';
SET intervalstyle = 'iso_8601';
SET extra_float_digits = -10;
SET bytea_output = 'escape';
INSERT INTO audited_forms SELECT * FROM audited_forms;
RESET ALL;
SELECT audit_wait();
SELECT count(DISTINCT entry::json ->> 'digest') AS digests, count(*) AS entries
  FROM credit.audit_log WHERE table_name = 'audited_forms' AND operation = 'INSERT' AND seq > :start;

-- Notes: any member, canonical; what the writer adds cannot be given.
SELECT credit._audit_note(jsonb_build_object('kind', 'test', 'a', E'q"\\\b\f\n\r\t\u0001/é中', 'zero', 0,
                                             'nested', '{"b": [1, -2, true, null, {"y": "z", "x": ""}], "a": {}}'::jsonb) - 'zero');
SELECT audit_wait();
SELECT regexp_replace(regexp_replace(entry, '"(at|recorded)":"[^"]*"', '"\1":"T"', 'g'), '"seq":\d+', '"seq":N') AS entry
  FROM credit.audit_log WHERE kind = 'test' AND seq > :start;
SELECT credit._audit_note('{"seq": 1}');
SELECT credit._audit_note('{"recorded": "2020-01-01"}');
SELECT credit._audit_note('{"role": "between the two"}');
SELECT credit._audit_note('{"actor": "somebody else"}');
SELECT credit._audit_note('{"zebra": "after version"}');
SELECT credit._audit_note('{"n": 0.5}');
SELECT credit._audit_note('{"n": 9007199254740993}');
SELECT credit._audit_note('[1]');
SELECT credit._audit_note(jsonb_build_object('long', repeat('x', 70000)));

-- It only grows, also for a superuser who goes the ordinary way.
UPDATE credit.audit_entry SET entry = 'x';
DELETE FROM credit.audit_entry;
TRUNCATE credit.audit_entry;
UPDATE credit.audit_log SET entry = 'x';
SELECT credit.audit_write();
-- A big statement is one entry, a bounded one.
INSERT INTO audited SELECT g, repeat('x', 200), g FROM generate_series(1, 100000) g;
SELECT audit_wait();
SELECT count, length(entry) < 400 AS small FROM credit.audit_log
 WHERE seq > :start AND table_name = 'audited' ORDER BY seq DESC LIMIT 1;

DROP TABLE audited, audited_forms;
DROP FUNCTION audit_wait();
