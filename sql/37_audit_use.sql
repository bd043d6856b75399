-- ---------------------------------------------------------------------------
-- 37 audit: uses of consents that are limited
-- ---------------------------------------------------------------------------

-- The writer adds a row with the entry that it belongs to, and nobody else does. Its key is in the order in which uses are
-- counted: of a consent, in a period.
CREATE TABLE credit.audit_use (
    subject_id bigint NOT NULL,
    consent_id bigint NOT NULL,
    used_at    timestamptz NOT NULL,
    seq        bigint NOT NULL,
    PRIMARY KEY (subject_id, consent_id, used_at, seq)
);
COMMENT ON TABLE credit.audit_use IS 'each use of a consent that may be used a limited number of times (授权使用记录)';
COMMENT ON COLUMN credit.audit_use.used_at IS 'when the access was asked for, which tells the period it counts in';
COMMENT ON COLUMN credit.audit_use.seq IS 'its entry in the log';

SELECT pg_catalog.pg_extension_config_dump('credit.audit_use', '');
SELECT credit._audit_table('credit.audit_use');
REVOKE ALL ON credit.audit_use FROM PUBLIC;
