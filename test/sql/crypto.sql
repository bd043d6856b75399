-- random bytes, the name of the key, signatures: results, refusals, rights. The sources of the key and what happens without one
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

-- Ed25519 by the vectors of RFC 8032, section 7.1; then what must not pass: another message, a key or signature that is too
-- short, a number S that is not reduced (S plus the order of the group), a key of small order.
SELECT n, credit._verify_ed25519(decode(k, 'hex'), decode(m, 'hex'), decode(s, 'hex')) AS fits,
       credit._verify_ed25519(decode(k, 'hex'), decode(m || '00', 'hex'), decode(s, 'hex')) AS other_message
  FROM (VALUES
    (1, 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', '',
     'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b'),
    (2, '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', '72',
     '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'),
    (3, 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025', 'af82',
     '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a'))
    v(n, k, m, s);
SELECT credit._verify_ed25519('\xd75a', '', '\x00') AS too_short,
       credit._verify_ed25519('\xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', '',
           '\xe5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901554c8c7872aa064e049dbb3013fbf29380d25bf5f0595bbe24655141438e7a101b') AS not_reduced,
       credit._verify_ed25519('\x0100000000000000000000000000000000000000000000000000000000000000', 'x',
           '\x01000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000') AS small_order;

SELECT credit._verify_ed25519(NULL, '', '') IS NULL AS null_in_null_out;
-- the platform's own: a key that is not the log's, the same in every session, and signatures that fit it and nothing else
SELECT octet_length(credit.platform_key()) AS bytes, octet_length(credit._platform_sign('x')) AS signature,
       credit._verify_ed25519(credit.platform_key(), 'x', credit._platform_sign('x')) AS fits,
       credit._verify_ed25519(credit.platform_key(), 'y', credit._platform_sign('x')) AS other_message,
       credit._platform_sign('') = credit._platform_sign('') AS deterministic;
SELECT strpos(encode(decode(right(credit._log_vkey('x.example'), 44), 'base64'), 'hex'), encode(credit.platform_key(), 'hex')) = 0 AS not_the_logs;
SELECT credit.platform_key() AS platform_key \gset
\c
SELECT credit.platform_key() = :'platform_key' AS same_in_another_session;
\set VERBOSITY terse

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
