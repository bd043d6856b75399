SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET search_path = credit, public;
-- Needs a server with a key (pgcredit.key_file).

CREATE TEMP TABLE person AS
SELECT (b || credit.resident_id_check_character(b))::credit.resident_id AS number
  FROM generate_series(1, 1000) i,
       LATERAL (SELECT '990001' || to_char(date '1950-01-01' + i * 20, 'YYYYMMDD') || lpad((i % 1000)::text, 3, '0')) AS x(b);
CREATE TEMP TABLE stored AS
SELECT number, credit.resident_digest(number) AS digest, credit.seal_resident_id(number) AS sealed FROM person;

-- digest: 32 bytes, the same each time, different for each number, no plain hash of it
SELECT count(*), count(DISTINCT digest) AS digests, min(length(digest)) AS shortest, max(length(digest)) AS longest,
       count(*) FILTER (WHERE digest = credit.resident_digest(number)) AS same_again,
       count(*) FILTER (WHERE digest = sha256(number::text::bytea)) AS plain_hash
  FROM stored;
-- seal: comes back, differs each time, shows nothing
SELECT count(*) FILTER (WHERE credit.unseal_resident_id(sealed) = number) AS came_back,
       count(DISTINCT sealed) AS seals,
       count(*) FILTER (WHERE credit.seal_resident_id(number) = sealed) AS same_again,
       count(*) FILTER (WHERE position(number::text::bytea IN sealed) > 0) AS clear
  FROM stored;
-- a number read in lower case has the digest of the upper
SELECT credit.resident_digest(lower(number::text)::credit.resident_id) = digest AS same FROM stored WHERE number::text LIKE '%X' LIMIT 1;

-- every changed byte, a shortened and a lengthened seal, and no seal at all are refused with PC202
CREATE FUNCTION pg_temp.unseal(sealed bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM credit.unseal_resident_id(sealed);
    RETURN 'unsealed';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
SELECT pg_temp.unseal(set_byte(sealed, i, get_byte(sealed, i) # 1)) AS changed_byte, count(*) = min(length(sealed)) AS every_byte
  FROM (SELECT sealed FROM stored ORDER BY number LIMIT 1) s, generate_series(0, length(sealed) - 1) i GROUP BY 1;
SELECT pg_temp.unseal(substr(sealed, 1, length(sealed) - 1)) AS shorter, pg_temp.unseal(sealed || '\x00') AS longer,
       pg_temp.unseal('') AS empty, pg_temp.unseal('\x0123') AS tiny, pg_temp.unseal(digest) AS digest,
       credit.unseal_resident_id(NULL) IS NULL AS null_in
  FROM stored LIMIT 1;

-- who may: the operator and nobody else
SELECT r.rolname, p.oid::regprocedure AS function
  FROM pg_proc p, pg_roles r
 WHERE p.oid IN ('credit.resident_digest(credit.resident_id)'::regprocedure, 'credit.seal_resident_id(credit.resident_id)'::regprocedure,
                 'credit.unseal_resident_id(bytea)'::regprocedure)
   AND r.rolname LIKE 'credit\_%' AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
 ORDER BY 1, 2::text;
SELECT count(*) AS public_may FROM pg_proc p, aclexplode(p.proacl) a
 WHERE p.oid IN ('credit.resident_digest(credit.resident_id)'::regprocedure, 'credit.seal_resident_id(credit.resident_id)'::regprocedure,
                 'credit.unseal_resident_id(bytea)'::regprocedure) AND a.grantee = 0;
GRANT SELECT ON stored TO credit_institution, credit_operator;
\set VERBOSITY sqlstate
SET ROLE credit_institution;
SELECT credit.unseal_resident_id(sealed) FROM stored LIMIT 1;
SELECT credit.resident_digest(number) FROM stored LIMIT 1;
SET ROLE credit_operator;
SELECT count(credit.unseal_resident_id(sealed)) FROM stored;
RESET ROLE;
