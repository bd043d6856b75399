-- ---------------------------------------------------------------------------
-- 53 consent: erasure of a subject
-- ---------------------------------------------------------------------------

-- The log names a subject by a token made with its salt. A new salt cuts that thread for ever and leaves every entry, and
-- every proof, as it is. So must everything else go that leads from the log to the subject: a consent's number stands in
-- entries, so consents go, while the salt is still the old one: their entries belong to the old token. The entry of the
-- erasure does too, and none has both. Rooms above take what is theirs by a trigger on the change of the salt.
CREATE FUNCTION credit.erase_subject(subject bigint, keep_records boolean DEFAULT false) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old credit.subject;
    removed bigint := 0;
BEGIN
    IF subject IS NULL OR keep_records IS NULL THEN
        RAISE EXCEPTION 'subject must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT s.* INTO old FROM credit.subject s WHERE s.subject_id = erase_subject.subject FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject % does not exist', subject USING ERRCODE = 'no_data_found';
    END IF;
    IF old.code ~ '^erased-[0-9a-f]{32}$' AND old.name IS NULL AND old.uscc IS NULL AND old.resident_digest IS NULL
       AND NOT EXISTS (SELECT FROM credit.consent c WHERE c.subject_id = erase_subject.subject)
       AND NOT EXISTS (SELECT FROM credit.consent_request r WHERE r.subject_id = erase_subject.subject)
       AND NOT EXISTS (SELECT FROM credit.subject_key k WHERE k.subject_id = erase_subject.subject)
       AND (keep_records OR NOT EXISTS (SELECT FROM credit.record r WHERE r.subject_id = erase_subject.subject)) THEN
        RETURN false;
    END IF;
    IF NOT keep_records THEN
        DELETE FROM credit.record r WHERE r.subject_id = erase_subject.subject;
        GET DIAGNOSTICS removed = ROW_COUNT;
    END IF;
    DELETE FROM credit.consent_request r WHERE r.subject_id = erase_subject.subject;
    DELETE FROM credit.consent c WHERE c.subject_id = erase_subject.subject;     -- and its signature
    DELETE FROM credit.subject_key k WHERE k.subject_id = erase_subject.subject;
    DELETE FROM credit.audit_use u WHERE u.subject_id = erase_subject.subject;
    DELETE FROM credit.subject_attribute a WHERE a.subject_id = erase_subject.subject;
    UPDATE credit.refused_row r SET row_given = '{}', row_sealed = NULL, detail = NULL
     WHERE r.row_given ->> 'uscc' = old.uscc::text OR r.row_given ->> 'name' = old.name;
    PERFORM credit._audit_note(jsonb_build_object(
        'kind', 'erasure',
        'operation', CASE WHEN keep_records THEN 'keep_records' ELSE 'erase' END,
        'count', removed,
        'subjects', jsonb_build_array(credit._subject_token(old.subject_id, old.log_salt))));
    UPDATE credit.subject s
       SET uscc = NULL, resident_digest = NULL, resident_sealed = NULL, name = NULL, region = NULL, registered_on = NULL,
           code = 'erased-' || encode(credit.random_bytes(16), 'hex'),
           log_salt = credit.random_bytes(16), changed_at = clock_timestamp()
     WHERE s.subject_id = erase_subject.subject;
    RETURN true;
END
$$;
COMMENT ON FUNCTION credit.erase_subject(bigint, boolean) IS
    'removes who a subject is, its consents, requests, keys and, unless they must stay, its records; its entries in the log stay and name nobody any more; false if that was done before (主体注销、去标识化)';

REVOKE ALL ON FUNCTION credit.erase_subject(bigint, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.erase_subject(bigint, boolean) TO credit_operator;
