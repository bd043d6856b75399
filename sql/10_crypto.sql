-- ---------------------------------------------------------------------------
-- 10 crypto: what SQL may ask of the key, which is its name and nothing else
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit.random_bytes(length integer) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_random_bytes' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.random_bytes(integer) IS
    '1 to 1024 bytes from the operating system''s random generator, fit for salts and tokens (随机字节)';

CREATE FUNCTION credit.key_id() RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_key_id_sql' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION credit.key_id() IS
    'public name of the key the server holds, 16 hexadecimal digits; NULL without a key (密钥标识)';

CREATE FUNCTION credit._verify_ed25519(public_key bytea, message bytea, signature bytea) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_verify_ed25519_sql' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._verify_ed25519(bytea, bytea, bytea) IS
    'is this the key''s signature over the message (RFC 8032); false for a key or signature of another length (验签)';

REVOKE ALL ON FUNCTION credit.random_bytes(integer), credit.key_id(), credit._verify_ed25519(bytea, bytea, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.key_id() TO credit_operator, credit_auditor;
