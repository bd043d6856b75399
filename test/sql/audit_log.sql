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

-- The same of each type by itself, also within others, and it is the digest that the reference says; also after the type changed.
CREATE TYPE audited_pair AS (a timestamptz, b float8);
CREATE TYPE audited_word AS ENUM ('one', 'two');
CREATE DOMAIN audited_moment AS timestamptz;
CREATE TEMP TABLE audited_type (n int PRIMARY KEY, type text, value text);
INSERT INTO audited_type VALUES (1, 'timestamptz', '2026-01-02 03:04:05.678+08'), (2, 'timestamp', '2026-01-02 03:04:05'),
    (3, 'date', '2026-01-02'), (4, 'timetz', '03:04:05+08'), (5, 'interval', '1 day 2 hours'), (6, 'float4[]', '{0.1,NULL,1e30}'),
    (7, 'bytea', '\xdeadbeef00'), (8, 'audited_pair', '("2026-01-02 03:04:05+08",0.3)'), (9, 'audited_moment', '2026-01-02 03:04:05+08'),
    (10, 'tstzrange', '[2026-01-02 03:04:05+08,2026-02-02 03:04:05+08)'), (11, 'date[]', '{2026-01-02,2026-01-03}'),
    (12, 'audited_word', 'two'), (13, 'jsonb', '{"a": [1, 2]}'), (14, 'numeric', '1.50'), (15, 'text', NULL);
DO $$
DECLARE
    t audited_type;
BEGIN
    FOR t IN SELECT * FROM audited_type ORDER BY n LOOP
        EXECUTE format('CREATE TABLE audited_form_%s (v %s)', t.n, t.type);
        PERFORM credit._audit_table(format('audited_form_%s', t.n)::regclass);
    END LOOP;
END $$;
CREATE FUNCTION insert_forms() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t audited_type;
BEGIN
    FOR t IN SELECT * FROM audited_type ORDER BY n LOOP
        EXECUTE format('INSERT INTO audited_form_%s VALUES (%L)', t.n, t.value);
    END LOOP;
END $$;
CREATE FUNCTION form_digest(type text, value text) RETURNS text LANGUAGE plpgsql
SET datestyle = 'ISO' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    form text;
BEGIN
    EXECUTE format('SELECT %L::%s::text', value, type) INTO form;
    RETURN rtrim(translate(encode(sha256(coalesce(int4send(octet_length(form)) || convert_to(form, 'UTF8'), '\xffffffff')), 'base64'), '+/', '-_'), '=');
END $$;
SELECT insert_forms();
SET datestyle = 'SQL, DMY';
SET timezone = 'Asia/Shanghai';
SET intervalstyle = 'iso_8601';
SET extra_float_digits = -10;
SET bytea_output = 'escape';
SELECT insert_forms();
RESET ALL;
SELECT audit_wait();
SELECT t.n, t.type, count(*) AS entries, bool_and(a.entry::json ->> 'digest' = form_digest(t.type, t.value)) AS as_documented
  FROM audited_type t JOIN credit.audit_log a ON a.table_name = 'audited_form_' || t.n
 WHERE a.operation = 'INSERT' AND a.seq > :start GROUP BY t.n, t.type ORDER BY t.n;
ALTER TYPE audited_word RENAME VALUE 'two' TO 'three';
ALTER TYPE audited_pair ADD ATTRIBUTE c interval;
UPDATE audited_type SET value = CASE n WHEN 12 THEN 'three' ELSE '("2026-01-02 03:04:05+08",0.3,"1 day")' END WHERE n IN (8, 12);
DELETE FROM audited_type WHERE n NOT IN (8, 12);
SELECT insert_forms();
SELECT audit_wait();
SELECT DISTINCT ON (t.n) t.n, a.entry::json ->> 'digest' = form_digest(t.type, t.value) AS as_documented
  FROM audited_type t JOIN credit.audit_log a ON a.table_name = 'audited_form_' || t.n
 WHERE a.operation = 'INSERT' AND a.seq > :start ORDER BY t.n, a.seq DESC;

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
