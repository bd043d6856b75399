-- ---------------------------------------------------------------------------
-- 35 audit: the digest of the platform's code, the settings in force
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._code_digest() RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_code_digest_sql' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION credit._code_digest() IS
    'SHA-256, base64url, over the definitions of everything that belongs to the extension, as the catalogue has them (程序摘要)';

CREATE FUNCTION credit._code_expected() RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_code_expected_sql' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION credit._code_expected() IS
    'the digest that the newest entry has which records a change of the code; NULL when none has (应有程序摘要)';

CREATE FUNCTION credit._settings() RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_configuration_settings_sql' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION credit._settings() IS 'the settings pgcredit.* of this session as canonical JSON, without secrets (生效参数)';

CREATE FUNCTION credit._note_installed() RETURNS void
    AS 'MODULE_PATHNAME', 'pgcredit_note_installed' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION credit._note_installed() IS
    'last line of a script that installs or updates the extension: its entry, where no hook writes it (安装留痕)';

REVOKE ALL ON FUNCTION credit._code_digest(), credit._code_expected(), credit._settings(), credit._note_installed() FROM PUBLIC;
