-- ---------------------------------------------------------------------------
-- 59 consent: requests of institutions, papers at the counter
-- ---------------------------------------------------------------------------

-- A request for a subject that does not exist is kept like any other: the institution that asked must not see a difference.
CREATE TABLE credit.consent_request (
    request_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_id      bigint REFERENCES credit.subject,
    asked_subject   bigint NOT NULL,
    institution_id  integer NOT NULL REFERENCES credit.institution,
    reference       text CHECK (pg_catalog.length(reference) BETWEEN 1 AND 64),
    categories      smallint[] NOT NULL,
    purposes        text[] NOT NULL,
    valid_from      timestamptz NOT NULL,
    valid_to        timestamptz NOT NULL,
    kind            text NOT NULL,
    use_limit       integer,
    frequency_unit  text,
    frequency_count integer,
    data_from       date,
    data_to         date,
    data_life       interval,
    channel         text NOT NULL CHECK (channel IN ('online', 'paper')),
    document_digest bytea CHECK (pg_catalog.octet_length(document_digest) = 32),
    language        text NOT NULL,
    legal_text      text,
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected', 'withdrawn', 'expired')),
    requested_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    requested_by    text NOT NULL,
    expires_at      timestamptz NOT NULL,
    decided_at      timestamptz,
    decided_by      text,
    consent_id      bigint,
    UNIQUE (institution_id, reference),
    CHECK (subject_id = asked_subject),
    CHECK ((channel = 'paper') = (document_digest IS NOT NULL)),
    CHECK ((status = 'pending') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)),
    CHECK ((status = 'approved') = (consent_id IS NOT NULL))
);
CREATE INDEX consent_request_of_subject ON credit.consent_request (subject_id) WHERE subject_id IS NOT NULL;
CREATE UNIQUE INDEX consent_request_paper ON credit.consent_request (document_digest) WHERE status IN ('pending', 'approved');
COMMENT ON TABLE credit.consent_request IS
    'consents that wait for an answer: of the subject where an institution asks, of a second person where a paper came in (授权申请)';
COMMENT ON COLUMN credit.consent_request.subject_id IS 'NULL when there was no such subject (信用主体)';
COMMENT ON COLUMN credit.consent_request.asked_subject IS 'number that was asked for (所申请主体编号)';
COMMENT ON COLUMN credit.consent_request.reference IS 'number that the institution gave it, which it may use once (机构申请号)';
COMMENT ON COLUMN credit.consent_request.status IS 'whether it has expired the clock says; it is written where the same paper came again afterwards (申请状态)';
COMMENT ON COLUMN credit.consent_request.requested_by IS 'role that asked; of a paper, the login that entered it (申请人)';

SELECT pg_catalog.pg_extension_config_dump('credit.consent_request', '');
SELECT pg_catalog.pg_extension_config_dump('credit.consent_request_request_id_seq', '');

-- The consent that a request asks for.
CREATE FUNCTION credit._requested_consent(r credit.consent_request) RETURNS credit.consent
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.consent;
BEGIN
    c.subject_id := r.subject_id;
    c.institution_id := r.institution_id;
    c.categories := r.categories;
    c.purposes := r.purposes;
    c.valid_from := r.valid_from;
    c.valid_to := r.valid_to;
    c.kind := r.kind;
    c.use_limit := r.use_limit;
    c.frequency_unit := r.frequency_unit;
    c.frequency_count := r.frequency_count;
    c.data_from := r.data_from;
    c.data_to := r.data_to;
    c.data_life := r.data_life;
    c.channel := r.channel;
    c.document_digest := r.document_digest;
    c.language := r.language;
    c.legal_text := r.legal_text;
    RETURN c;
END
$$;
COMMENT ON FUNCTION credit._requested_consent(credit.consent_request) IS 'the consent that a request asks for (所申请授权)';

CREATE FUNCTION credit._request_status(r credit.consent_request, instant timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN r.status = 'pending' AND instant >= r.expires_at THEN 'expired' ELSE r.status END
$$;
COMMENT ON FUNCTION credit._request_status(credit.consent_request, timestamptz) IS 'status of a request at an instant (申请状态)';

CREATE FUNCTION credit._request_trail() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r credit.consent_request;
    what text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        r := OLD;
        what := 'delete';
    ELSE
        r := NEW;
        IF TG_OP = 'INSERT' THEN
            what := CASE WHEN NEW.requested_at < now() THEN 'restore' WHEN NEW.channel = 'paper' THEN 'enter' ELSE 'request' END;
        ELSIF OLD.status = 'pending' AND NEW.status <> 'pending' THEN
            what := CASE NEW.status WHEN 'approved' THEN 'approve' WHEN 'rejected' THEN 'reject' WHEN 'withdrawn' THEN 'withdraw' ELSE 'expire' END;
        ELSE
            what := 'change';
        END IF;
    END IF;
    PERFORM credit._audit_note(credit._consent_members(credit._requested_consent(r)) - 'legal_text' || jsonb_strip_nulls(jsonb_build_object(
        'kind', 'consent_request',
        'operation', what,
        'consent_request', r.request_id,
        'subjects', (SELECT jsonb_build_array(credit._subject_token(s.subject_id, s.log_salt))
                       FROM credit.subject s WHERE s.subject_id = r.subject_id),
        'consents', CASE WHEN r.consent_id IS NOT NULL THEN jsonb_build_array(jsonb_build_array(r.consent_id)) END)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._request_trail() IS 'trigger: one log entry for each request made, answered or withdrawn (申请留痕)';
CREATE TRIGGER request_trail AFTER INSERT OR UPDATE OR DELETE ON credit.consent_request
    FOR EACH ROW EXECUTE FUNCTION credit._request_trail();
CREATE TRIGGER audit_truncate AFTER TRUNCATE ON credit.consent_request
    FOR EACH STATEMENT EXECUTE FUNCTION credit.audit_write();

CREATE FUNCTION credit._put_request(c credit.consent, known boolean, requested_by text, reference text, answer_within interval) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    IF answer_within IS NULL OR answer_within <= '0' OR answer_within > '1 year' THEN
        RAISE EXCEPTION 'time to answer the request is out of range'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'answer_within: it is positive and at most one year.';
    END IF;
    IF c.valid_to <= clock_timestamp() THEN
        RAISE EXCEPTION 'window of the consent is over'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = format('valid_to: it ends at %s.', c.valid_to);
    END IF;
    PERFORM credit._check_template(c);
    IF length(reference) NOT BETWEEN 1 AND 64 THEN
        RAISE EXCEPTION 'reference is too long or empty'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'reference: it has 1 to 64 characters.';
    END IF;
    INSERT INTO credit.consent_request (subject_id, asked_subject, institution_id, reference, categories, purposes, valid_from,
                                        valid_to, kind, use_limit, frequency_unit, frequency_count, data_from, data_to, data_life,
                                        channel, document_digest, language, legal_text, requested_by, expires_at)
    VALUES (CASE WHEN known THEN c.subject_id END, c.subject_id, c.institution_id, _put_request.reference, c.categories, c.purposes,
            c.valid_from, c.valid_to, c.kind, c.use_limit, c.frequency_unit, c.frequency_count, c.data_from, c.data_to, c.data_life,
            c.channel, c.document_digest, c.language, c.legal_text, _put_request.requested_by,
            least(clock_timestamp() + answer_within, c.valid_to))
    ON CONFLICT DO NOTHING
    RETURNING request_id INTO made;
    IF made IS NULL AND c.channel = 'paper' THEN
        RAISE EXCEPTION 'paper was entered before' USING ERRCODE = 'unique_violation', DETAIL = 'document_digest: a paper gives one consent.';
    ELSIF made IS NULL THEN
        RAISE EXCEPTION 'reference "%" was used before', reference USING ERRCODE = 'unique_violation';
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION credit._put_request(credit.consent, boolean, text, text, interval) IS 'enters a checked request (登记申请)';

-- A pending request, locked. Whoever it is not for is told that there is none.
CREATE FUNCTION credit._open_request(subject_id bigint, request_id bigint, channel text) RETURNS credit.consent_request
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r credit.consent_request;
    status text;
BEGIN
    SELECT * INTO r FROM credit.consent_request t
     WHERE t.request_id = _open_request.request_id AND t.subject_id = _open_request.subject_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subject % has no request %', subject_id, request_id USING ERRCODE = 'no_data_found';
    END IF;
    status := credit._request_status(r, clock_timestamp());
    IF status <> 'pending' THEN
        RAISE EXCEPTION 'request % is %', request_id, status USING ERRCODE = 'PC133', DETAIL = 'It cannot be answered any more.';
    END IF;
    IF r.channel <> channel THEN
        RAISE EXCEPTION 'request % came %', request_id, CASE r.channel WHEN 'paper' THEN 'on paper' ELSE 'online' END
            USING ERRCODE = 'PC133',
                  HINT = CASE r.channel WHEN 'paper' THEN 'credit.confirm_paper_consent is for it.' ELSE 'credit.decide_consent is for it.' END;
    END IF;
    RETURN r;
END
$$;
COMMENT ON FUNCTION credit._open_request(bigint, bigint, text) IS 'a pending request of a subject, locked (待处理申请)';

CREATE FUNCTION credit._close_request(request_id bigint, status text, decided_by text, consent_id bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE credit.consent_request r
       SET status = _close_request.status, decided_at = clock_timestamp(), decided_by = _close_request.decided_by,
           consent_id = _close_request.consent_id
     WHERE r.request_id = _close_request.request_id
$$;
COMMENT ON FUNCTION credit._close_request(bigint, text, text, bigint) IS 'ends a request (办结申请)';

-- ---------------------------------------------------------------------------
-- An institution asks, the subject answers
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit.request_consent(subject_id bigint, categories text[], purposes text[], valid_from timestamptz,
                                       valid_to timestamptz, kind text DEFAULT 'standing', use_limit integer DEFAULT NULL,
                                       frequency_unit text DEFAULT NULL, frequency_count integer DEFAULT NULL,
                                       data_from date DEFAULT NULL, data_to date DEFAULT NULL, data_life interval DEFAULT NULL,
                                       language text DEFAULT 'zh', legal_text text DEFAULT NULL, reference text DEFAULT NULL,
                                       answer_within interval DEFAULT '30 days') RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    asking credit.institution;
BEGIN
    SELECT * INTO asking FROM credit.institution i WHERE i.institution_id = credit.calling_institution();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" is no institution', credit.calling_role()
            USING ERRCODE = 'PC101', HINT = 'credit.register_institution binds a role to an institution.';
    END IF;
    IF asking.status <> 'active' THEN
        RAISE EXCEPTION 'institution "%" is suspended', asking.code USING ERRCODE = 'PC102';
    END IF;
    RETURN credit._put_request(
        credit._consent_draft(subject_id, asking.code, categories, purposes, valid_from, valid_to, kind, use_limit,
                              frequency_unit, frequency_count, data_from, data_to, data_life, language, legal_text),
        EXISTS (SELECT FROM credit.subject s WHERE s.subject_id = request_consent.subject_id),
        credit.calling_role()::text, reference, answer_within);
END
$$;
COMMENT ON FUNCTION credit.request_consent(bigint, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text, text, interval) IS
    'an institution asks a subject for consent; the answer is the same whether or not there is such a subject (申请授权)';

CREATE FUNCTION credit.withdraw_request(request_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r credit.consent_request;
BEGIN
    SELECT * INTO r FROM credit.consent_request t
     WHERE t.request_id = withdraw_request.request_id AND t.institution_id = credit.calling_institution() AND t.channel = 'online'
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'you have made no request %', request_id USING ERRCODE = 'no_data_found';
    END IF;
    IF credit._request_status(r, clock_timestamp()) <> 'pending' THEN
        RAISE EXCEPTION 'request % is %', request_id, credit._request_status(r, clock_timestamp()) USING ERRCODE = 'PC133';
    END IF;
    PERFORM credit._close_request(request_id, 'withdrawn', credit.calling_role()::text, NULL);
END
$$;
COMMENT ON FUNCTION credit.withdraw_request(bigint) IS 'an institution takes a request back (撤回申请)';

CREATE FUNCTION credit.my_requests()
    RETURNS TABLE (request_id bigint, status text, subject_id bigint, reference text, categories text[], purposes text[],
                   valid_from timestamptz, valid_to timestamptz, kind text, use_limit integer, frequency_unit text,
                   frequency_count integer, data_from date, data_to date, data_life interval, language text, legal_text text,
                   requested_at timestamptz, expires_at timestamptz, decided_at timestamptz, consent_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.request_id, credit._request_status(r, clock_timestamp()), r.asked_subject, r.reference,
           (SELECT array_agg(k.code ORDER BY k.category_id) FROM credit.category k WHERE k.category_id = ANY (r.categories)),
           r.purposes, r.valid_from, r.valid_to, r.kind, r.use_limit, r.frequency_unit, r.frequency_count, r.data_from, r.data_to,
           r.data_life, r.language, r.legal_text, r.requested_at, r.expires_at, r.decided_at, r.consent_id
      FROM credit.consent_request r
     WHERE r.institution_id = credit.calling_institution() AND r.channel = 'online'
     ORDER BY r.request_id
$$;
COMMENT ON FUNCTION credit.my_requests() IS 'requests that the calling institution has made (我的申请)';

CREATE FUNCTION credit.consent_requests(subject_id bigint)
    RETURNS TABLE (request_id bigint, status text, institution text, institution_name text, categories text[], purposes text[],
                   valid_from timestamptz, valid_to timestamptz, kind text, use_limit integer, frequency_unit text,
                   frequency_count integer, data_from date, data_to date, data_life interval, channel text, language text,
                   legal_text text, requested_at timestamptz, requested_by text, expires_at timestamptz, decided_at timestamptz,
                   consent_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.request_id, credit._request_status(r, clock_timestamp()), i.code, i.name_zh,
           (SELECT array_agg(k.code ORDER BY k.category_id) FROM credit.category k WHERE k.category_id = ANY (r.categories)),
           r.purposes, r.valid_from, r.valid_to, r.kind, r.use_limit, r.frequency_unit, r.frequency_count, r.data_from, r.data_to,
           r.data_life, r.channel, r.language, r.legal_text, r.requested_at, r.requested_by, r.expires_at, r.decided_at, r.consent_id
      FROM credit.consent_request r JOIN credit.institution i USING (institution_id)
     WHERE r.subject_id = consent_requests.subject_id
     ORDER BY r.request_id
$$;
COMMENT ON FUNCTION credit.consent_requests(bigint) IS 'what a subject was asked for, and papers in its name (向我申请的授权)';

CREATE FUNCTION credit.request_statement(subject_id bigint, request_id bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN credit._text_to_sign(credit._requested_consent(credit._open_request(subject_id, request_id, 'online')));
END
$$;
COMMENT ON FUNCTION credit.request_statement(bigint, bigint) IS 'what the subject signs to approve a request (同意申请签名文本)';

CREATE FUNCTION credit.decide_consent(subject_id bigint, request_id bigint, approve boolean, key_id bigint DEFAULT NULL,
                                      statement text DEFAULT NULL, signature bytea DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r credit.consent_request;
    granted bigint;
BEGIN
    IF approve IS NULL THEN
        RAISE EXCEPTION 'a decision is yes or no' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    r := credit._open_request(subject_id, request_id, 'online');
    IF approve THEN
        granted := credit._give_consent(credit._requested_consent(r), key_id, statement, signature);
    END IF;
    PERFORM credit._close_request(request_id, CASE WHEN approve THEN 'approved' ELSE 'rejected' END, credit.calling_role()::text, granted);
    RETURN granted;
END
$$;
COMMENT ON FUNCTION credit.decide_consent(bigint, bigint, boolean, bigint, text, bytea) IS
    'a subject answers a request, once; returns the number of the consent that it gave (审批授权申请)';

-- ---------------------------------------------------------------------------
-- A paper comes to the counter: one person enters it, another one looks at it again
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit.enter_paper_consent(subject_id bigint, institution text, document_digest bytea, categories text[],
                                           purposes text[], valid_from timestamptz, valid_to timestamptz,
                                           kind text DEFAULT 'standing', use_limit integer DEFAULT NULL,
                                           frequency_unit text DEFAULT NULL, frequency_count integer DEFAULT NULL,
                                           data_from date DEFAULT NULL, data_to date DEFAULT NULL, data_life interval DEFAULT NULL,
                                           language text DEFAULT 'zh', legal_text text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c credit.consent;
BEGIN
    c := credit._consent_draft(subject_id, institution, categories, purposes, valid_from, valid_to, kind, use_limit,
                               frequency_unit, frequency_count, data_from, data_to, data_life, language, legal_text);
    IF octet_length(document_digest) IS DISTINCT FROM 32 THEN
        RAISE EXCEPTION 'a paper consent needs the digest of the paper'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'document_digest: SHA-256 of the scan, 32 bytes.';
    END IF;
    IF NOT EXISTS (SELECT FROM credit.subject s WHERE s.subject_id = enter_paper_consent.subject_id) THEN
        RAISE EXCEPTION 'subject % does not exist', subject_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    UPDATE credit.consent_request r SET status = 'expired', decided_at = clock_timestamp(), decided_by = session_user
     WHERE r.document_digest = enter_paper_consent.document_digest AND credit._request_status(r, clock_timestamp()) = 'expired'
       AND r.status = 'pending';
    c.channel := 'paper';
    c.document_digest := document_digest;
    RETURN credit._put_request(c, true, session_user, NULL, '30 days');
END
$$;
COMMENT ON FUNCTION credit.enter_paper_consent(bigint, text, bytea, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text) IS
    'a clerk enters a consent that was signed on paper; another one must confirm it; returns the request''s number (录入纸质授权)';

CREATE FUNCTION credit.confirm_paper_consent(subject_id bigint, request_id bigint, document_digest bytea, approve boolean DEFAULT true)
    RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r credit.consent_request;
    c credit.consent;
    granted bigint;
BEGIN
    IF approve IS NULL THEN
        RAISE EXCEPTION 'a decision is yes or no' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    r := credit._open_request(subject_id, request_id, 'paper');
    IF r.requested_by = session_user THEN
        RAISE EXCEPTION 'whoever entered a paper cannot confirm it'
            USING ERRCODE = 'PC134', HINT = 'Another person must, logged in as another role.';
    END IF;
    IF approve AND r.document_digest IS DISTINCT FROM confirm_paper_consent.document_digest THEN
        RAISE EXCEPTION 'this is not the paper that was entered'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = 'document_digest: it differs from the one entered.';
    END IF;
    IF approve THEN
        c := credit._requested_consent(r);
        c.granted_by := r.requested_by;
        c.approved_by := session_user;
        granted := credit._give_consent(c, NULL, NULL, NULL);
    END IF;
    PERFORM credit._close_request(request_id, CASE WHEN approve THEN 'approved' ELSE 'rejected' END, session_user, granted);
    RETURN granted;
END
$$;
COMMENT ON FUNCTION credit.confirm_paper_consent(bigint, bigint, bytea, boolean) IS
    'a second clerk has looked at the paper, and says yes or no; the platform signs; returns the consent''s number (复核纸质授权)';

REVOKE ALL ON credit.consent_request FROM PUBLIC;
REVOKE ALL ON SEQUENCE credit.consent_request_request_id_seq FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._requested_consent(credit.consent_request), credit._request_status(credit.consent_request, timestamptz),
    credit._request_trail(), credit._put_request(credit.consent, boolean, text, text, interval),
    credit._open_request(bigint, bigint, text), credit._close_request(bigint, text, text, bigint),
    credit.request_consent(bigint, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text, text, interval),
    credit.withdraw_request(bigint), credit.my_requests(), credit.consent_requests(bigint), credit.request_statement(bigint, bigint),
    credit.decide_consent(bigint, bigint, boolean, bigint, text, bytea),
    credit.enter_paper_consent(bigint, text, bytea, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text),
    credit.confirm_paper_consent(bigint, bigint, bytea, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    credit.request_consent(bigint, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text, text, interval),
    credit.withdraw_request(bigint), credit.my_requests() TO credit_institution;
GRANT EXECUTE ON FUNCTION credit.consent_requests(bigint), credit.request_statement(bigint, bigint),
    credit.decide_consent(bigint, bigint, boolean, bigint, text, bytea),
    credit.enter_paper_consent(bigint, text, bytea, text[], text[], timestamptz, timestamptz, text, integer, text, integer, date, date, interval, text, text),
    credit.confirm_paper_consent(bigint, bigint, bytea, boolean) TO credit_portal;
