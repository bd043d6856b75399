-- random bytes and the name of the key: results, refusals, rights. The sources of the key and what happens without one
-- are in test/t/020_crypto_key.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set VERBOSITY terse

-- as many as asked for, never the same
SELECT n, length(credit.random_bytes(n)) FROM (VALUES (1), (16), (1024)) v(n);
SELECT count(DISTINCT credit.random_bytes(16)) FROM generate_series(1, 1000);
-- all 256 values occur, about equally often: of 204,800 bytes each is expected 800 times, with standard deviation 28
SELECT count(*) AS byte_values, min(n) > 600 AND max(n) < 1000 AS even
  FROM (SELECT get_byte(b, i) AS v, count(*) AS n
          FROM (SELECT credit.random_bytes(1024) AS b FROM generate_series(1, 200)) r, generate_series(0, 1023) i
         GROUP BY 1) c;
SELECT credit.random_bytes(NULL) IS NULL AS null_in_null_out;
SELECT credit.random_bytes(0);
SELECT credit.random_bytes(1025);
SELECT credit.random_bytes(-2147483648);
\set VERBOSITY sqlstate
SELECT credit.random_bytes(0);
\set VERBOSITY terse
-- a volatile default gives every row its own
CREATE TEMP TABLE salted (id int, salt bytea NOT NULL DEFAULT credit.random_bytes(16));
INSERT INTO salted (id) SELECT generate_series(1, 100);
SELECT count(DISTINCT salt), min(length(salt)), max(length(salt)) FROM salted;

-- 16 hexadecimal digits, the same in every session
SELECT credit.key_id() ~ '^[0-9a-f]{16}$' AS shape, credit.key_id() = credit.key_id() AS stable;
SELECT credit.key_id() AS key_id \gset
\c
SELECT credit.key_id() = :'key_id' AS same_in_another_session;

-- rights: the key's name is for operators and auditors, random bytes are the extension's own
SELECT p.proname, r.rolname, has_function_privilege(r.oid, p.oid, 'EXECUTE')
  FROM pg_proc p, pg_roles r
 WHERE p.oid IN ('credit.key_id()'::regprocedure, 'credit.random_bytes(integer)'::regprocedure)
   AND r.rolname ~ '^credit_(operator|portal|provider|institution|analyst|auditor)$'
 ORDER BY 1, r.rolname COLLATE "C";
CREATE ROLE crypto_test_nobody;
GRANT USAGE ON SCHEMA credit TO crypto_test_nobody;
SET ROLE crypto_test_nobody;
\set VERBOSITY sqlstate
SELECT credit.key_id();
SELECT credit.random_bytes(16);
SHOW pgcredit.key_file;
SHOW pgcredit.key_command;
SELECT count(*) AS visible_settings FROM pg_settings WHERE name ~ '^pgcredit\.key';
RESET ROLE;
REVOKE USAGE ON SCHEMA credit FROM crypto_test_nobody;
DROP ROLE crypto_test_nobody;
-- where the key comes from cannot be changed by SQL, and of a running server not at all
SET pgcredit.key_file = '/tmp/other';
ALTER SYSTEM SET pgcredit.key_file = '/tmp/other';
ALTER SYSTEM SET pgcredit.key_command = 'cat /tmp/other';
-- a command may have been written with a secret in it, so listings leave it out
SELECT name FROM pg_settings WHERE name ~ '^pgcredit\.key' ORDER BY 1;
