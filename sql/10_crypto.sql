-- ---------------------------------------------------------------------------
-- 10 crypto: what SQL may ask of the key, which is its name and its public half, and signatures
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
    AS 'MODULE_PATHNAME', 'pgcredit_verify_ed25519' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._verify_ed25519(bytea, bytea, bytea) IS 'does the signature fit key and message, Ed25519, RFC 8032 (验签)';

CREATE FUNCTION credit.platform_key() RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_platform_key' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION credit.platform_key() IS
    'public Ed25519 key, 32 bytes, that the platform signs receipts and the counter''s consents with (平台公钥)';

CREATE FUNCTION credit._platform_sign(message bytea) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_platform_sign' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit._platform_sign(bytea) IS 'the platform''s signature, 64 bytes (平台签名)';

REVOKE ALL ON FUNCTION credit.random_bytes(integer), credit.key_id(), credit._verify_ed25519(bytea, bytea, bytea),
    credit.platform_key(), credit._platform_sign(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.platform_key()
    TO credit_operator, credit_portal, credit_provider, credit_institution, credit_analyst, credit_auditor;
GRANT EXECUTE ON FUNCTION credit.key_id() TO credit_operator, credit_auditor;
