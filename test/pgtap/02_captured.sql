-- A caller who owns a schema with operators, types and functions named like the server's, and puts it first in his
-- search_path: nothing of it may ever run with the rights of the owner of the extension.
SET client_min_messages = warning;
CREATE ROLE captured_caller;
CREATE ROLE captured_second;
GRANT credit_operator, credit_portal, credit_provider, credit_institution, credit_analyst, credit_auditor, credit_self TO captured_caller;
CREATE SCHEMA captured AUTHORIZATION captured_caller;
SELECT credit.register_institution('captured', '甲银行', 'Bank', 'commercial_bank', 'captured_caller');
SELECT credit.assign_category('tax_payment', 'captured');
SELECT b || credit.uscc_check_character(b) AS u FROM (SELECT '9199000199010100C' AS b) x \gset
SELECT credit.register_subject(uscc => :'u', name => '甲公司') AS s \gset
SELECT credit.grant_consent(:s, 'captured', '{tax_payment}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') AS c \gset

-- What the caller's device would sign: its key is the platform's here.
CREATE FUNCTION public.captured_sign(statement text) RETURNS bytea LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT credit._platform_sign(convert_to(statement, 'UTF8')) $$;
-- The subject of a token that was signed beforehand, see test/sql/consent_self.sql.
INSERT INTO credit.subject (subject_id, kind, code) OVERRIDING SYSTEM VALUE VALUES (560000001, 'village', 'captured-self');
SELECT credit.grant_consent(560000001, 'captured', '{tax_payment}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') AS own \gset

-- Whoever else calls one of these, was captured.
SET ROLE captured_caller;
CREATE FUNCTION captured.check_caller() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF current_user <> 'captured_caller' THEN
        RAISE EXCEPTION 'captured as %', current_user USING ERRCODE = 'P9999';
    END IF;
    RETURN true;
END
$$;
DO $$
DECLARE
    o record;
    f record;
    n integer := 0;
BEGIN
    -- every operator between the server's common types
    FOR o IN SELECT oprname, oprleft::regtype AS l, oprright::regtype AS r, oprresult::regtype AS result, row_number() OVER () AS k
               FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprkind = 'b'
                AND oprleft = ANY ('{text,name,"char",bigint,integer,smallint,numeric,float8,boolean,date,timestamptz,interval,daterange,jsonb,bytea,oid,regrole,regclass,xid8,text[]}'::regtype[])
                AND oprright = ANY ('{text,name,"char",bigint,integer,smallint,numeric,float8,boolean,date,timestamptz,interval,daterange,jsonb,bytea,oid,regrole,regclass,xid8,text[]}'::regtype[]) LOOP
        EXECUTE format('CREATE FUNCTION captured.o%s(l %s, r %s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM captured.check_caller(); RETURN l OPERATOR(pg_catalog.%s) r; END $f$',
                       o.k, o.l, o.r, o.result, o.oprname);
        EXECUTE format('CREATE OPERATOR captured.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = captured.o%s)', o.oprname, o.l, o.r, o.k);
        n := n + 1;
    END LOOP;
    -- generic ones have no better match in the server
    CREATE FUNCTION captured.any_equal(anyarray, anyarray) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN RETURN captured.check_caller(); END $f$;
    CREATE OPERATOR captured.@> (LEFTARG = anyarray, RIGHTARG = anyarray, FUNCTION = captured.any_equal);
    CREATE OPERATOR captured.&& (LEFTARG = anyarray, RIGHTARG = anyarray, FUNCTION = captured.any_equal);
    -- functions that our own use, with the server's arguments
    FOR f IN SELECT p.oid, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, p.prorettype::regtype AS result,
                    (SELECT string_agg('$' || k, ', ' ORDER BY k) FROM generate_series(1, p.pronargs) k) AS passed
               FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset AND p.provariadic = 0
                AND NOT EXISTS (SELECT FROM unnest(p.proargtypes::oid[]) t WHERE t IN ('internal'::regtype, 'cstring'::regtype, '"any"'::regtype))
                AND p.prorettype <> ALL ('{internal,cstring,void}'::regtype[])
                AND p.proname IN ('now', 'clock_timestamp', 'lower', 'upper', 'length', 'btrim', 'octet_length', 'sha256', 'convert_to', 'to_jsonb',
                                  'jsonb_typeof', 'jsonb_array_length', 'cardinality', 'array_position', 'array_to_string', 'substr', 'substring',
                                  'to_char', 'round', 'power', 'isempty', 'daterange', 'string_to_array', 'pg_has_role', 'has_table_privilege',
                                  'current_setting', 'set_config', 'gen_random_uuid', 'nextval', 'regexp_match', 'int8', 'text', 'numeric', 'date') LOOP
        EXECUTE format('CREATE FUNCTION captured.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM captured.check_caller(); RETURN pg_catalog.%I(%s); END $f$',
                       f.proname, f.arguments, f.result, f.proname, f.passed);
        n := n + 1;
    END LOOP;
    IF n < 300 THEN
        RAISE EXCEPTION 'only % traps are set', n;
    END IF;
END
$$;
CREATE DOMAIN captured.text AS pg_catalog.text CHECK (captured.check_caller());
CREATE DOMAIN captured.oid AS pg_catalog.oid CHECK (captured.check_caller());
CREATE DOMAIN captured.regrole AS pg_catalog.regrole CHECK (captured.check_caller());
CREATE DOMAIN captured.date AS pg_catalog.date CHECK (captured.check_caller());
CREATE DOMAIN captured.jsonb AS pg_catalog.jsonb CHECK (captured.check_caller());
CREATE DOMAIN captured.timestamptz AS pg_catalog.timestamptz CHECK (captured.check_caller());
-- tables that hide ours in a session, and what a staging table can do
CREATE TEMP TABLE subject (subject_id bigint, log_salt bytea);
CREATE TEMP TABLE record AS SELECT 1 AS x;
CREATE TABLE captured.staging (uscc pg_catalog.text, dated pg_catalog.text, tax_type pg_catalog.text, amount_paid pg_catalog.text);
INSERT INTO captured.staging VALUES (:'u', '2024-01-01', 'vat', '1'), ('x', '', NULL, '-');

-- One call after the other, each as an application gives it; what it says is not judged, except that nothing was captured.
CREATE TEMP TABLE outcome (n serial, statement pg_catalog.text, sqlstate pg_catalog.text, message pg_catalog.text);
CREATE FUNCTION captured.call(statement pg_catalog.text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    state pg_catalog.text := '00000';
    said pg_catalog.text;
BEGIN
    BEGIN
        EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN
        state := SQLSTATE;
        said := SQLERRM;
    END;
    INSERT INTO pg_temp.outcome (statement, sqlstate, message) VALUES (statement, state, said);
END
$$;
SET search_path = captured, pg_temp, credit, pg_catalog;
SELECT captured.call(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(s, '@U@', :'u'), '@S@', :'s'), '@C@', :'c')) FROM pg_catalog.unnest(ARRAY[
    -- institution
    $$SELECT * FROM credit.open_access(@S@::bigint, 'pre_loan', '{tax_payment}')$$,
    $$SELECT * FROM credit.open_access('{@S@,2,3}'::bigint[], 'pre_loan', '{tax_payment,administrative_penalty}')$$,
    $$SELECT * FROM credit.read(@S@::bigint, 'pre_loan', '{administrative_penalty}')$$,
    $$SELECT * FROM credit.read('{@S@,2,3}'::bigint[], 'pre_loan', '{tax_payment,administrative_penalty}')$$,
    $$SELECT count(*) FROM credit.record$$,
    $$SELECT credit.calling_institution()$$, $$SELECT credit.calling_role()$$, $$SELECT credit.version()$$,
    $$SELECT credit.subject_id('@U@')$$, $$SELECT credit.subject_id(credit.uscc('@U@'))$$,
    -- portal, provider
    $$SELECT credit.register_subject(kind => 'village', code => 'captured-1', name => '甲村')$$,
    $$SELECT credit.register_subject(uscc => '@U@', name => '甲公司')$$,
    $$SELECT credit.register_subject(resident_id => '11010519491231002X', kind => 'person_in_business', name => '甲')$$,
    $$SELECT credit.subject_id('11010519491231002X'::credit.resident_id)$$,
    $$SELECT credit.grant_consent(@S@, 'captured', '{tax_payment}', '{pre_loan}', pg_catalog.now(), pg_catalog.now() + interval '1 day')$$,
    $$SELECT credit.ingest('tax_payment', rows => '[{"uscc": "@U@", "dated": "2024-01-01", "tax_type": "vat", "amount_paid": 1}, {"uscc": "x"}]'::pg_catalog.jsonb)$$,
    $$SELECT credit.ingest('tax_payment', staging => 'captured.staging')$$,
    $$SELECT credit.ingest_subjects(rows => '[{"kind": "village", "code": "captured-2"}]'::pg_catalog.jsonb)$$,
    $$SELECT * FROM credit.refused_rows((SELECT pg_catalog.max(batch_id) FROM credit.batch))$$,
    $$SELECT credit.set_record_status(@S@, (SELECT record_id FROM credit.read(@S@::bigint, 'pre_loan', '{tax_payment}') LIMIT 1), 'disputed', 'because')$$,
    $$SELECT credit.pause_consent(@S@, @C@), credit.resume_consent(@S@, @C@)$$,
    $$SELECT credit.renew_consent(@S@, @C@, pg_catalog.now(), pg_catalog.now() + interval '2 days')$$,
    $$SELECT credit.revoke_consent(@S@, (SELECT pg_catalog.max(consent_id) FROM credit.consents(@S@)))$$,
    $$SELECT credit.set_consent_template('commercial_bank', 'pre_loan', interval '1 year', interval '3 years', interval '1 year', '{periodic}', 100, 1, 2, 3, 4)$$,
    $$SELECT credit.request_consent(@S@, '{tax_payment}', '{pre_loan}', pg_catalog.now(), pg_catalog.now() + interval '1 day', 'periodic', 10, 'day', 1,
        '2024-01-01', '2025-01-01', interval '1 month', 'zh', 'x', 'captured', interval '1 day')$$,
    $$SELECT credit.request_consent(@S@, '{tax_payment}', '{in_loan}', pg_catalog.now(), pg_catalog.now() + interval '1 day')$$,
    $$SELECT count(*) FROM credit.my_requests()$$, $$SELECT count(*) FROM credit.consent_requests(@S@)$$,
    $$SELECT credit.withdraw_request((SELECT pg_catalog.max(request_id) FROM credit.my_requests()))$$,
    $$SELECT credit.decide_consent(@S@, (SELECT pg_catalog.min(request_id) FROM credit.my_requests()), true)$$,
    $$SELECT credit.remove_consent_template('commercial_bank', 'pre_loan')$$, $$SELECT count(*) FROM credit.consent_template$$,
    $$SELECT credit.enter_paper_consent(@S@, 'captured', pg_catalog.sha256('x'), '{tax_payment}', '{pre_loan}', pg_catalog.now(), pg_catalog.now() + interval '1 day')$$,
    $$SELECT credit.confirm_paper_consent(@S@, (SELECT pg_catalog.max(request_id) FROM credit.consent_requests(@S@)), pg_catalog.sha256('x'), false)$$,
    $$SELECT credit.set_log_origin('captured.example/log')$$,
    $$SELECT credit.consent_statement(@S@, 'captured', '{tax_payment}', '{pre_loan}', pg_catalog.now(), pg_catalog.now() + interval '1 day')$$,
    $$SELECT credit.enroll_key(@S@, credit.platform_key(), st, public.captured_sign(st)) FROM credit.key_statement(@S@, credit.platform_key()) st$$,
    $$SELECT credit.grant_consent(@S@, 'captured', '{tax_payment}', '{pre_loan}', '2026-01-01', '2030-01-01',
        key_id => 1, statement => st, signature => public.captured_sign(st))
        FROM credit.consent_statement(@S@, 'captured', '{tax_payment}', '{pre_loan}', '2026-01-01', '2030-01-01') st$$,
    $$SELECT credit.verify_consent(@S@, (SELECT pg_catalog.max(consent_id) FROM credit.consents(@S@)))$$,
    $$SELECT credit.verify_receipt(credit.consent_receipt(@S@, (SELECT pg_catalog.max(consent_id) FROM credit.consents(@S@))))$$,
    $$SELECT credit.renewal_statement(@S@, (SELECT pg_catalog.min(consent_id) FROM credit.consents(@S@) WHERE status = 'active'), pg_catalog.now(), pg_catalog.now() + interval '1 day')$$,
    $$SELECT credit.confirm_key(@S@, 1)$$, $$SELECT credit.revoke_key(@S@, 1, 'lost')$$, $$SELECT count(*) FROM credit.subject_keys(@S@)$$,
    $$SELECT credit.verify_consent(@S@, @C@)$$, $$SELECT credit.verify_receipt(credit.consent_receipt(@S@, @C@))$$,
    $$SELECT credit.set_consent_policy(true)$$,
    -- operator
    $$SELECT credit.register_institution('captured-2', '乙', 'B', 'commercial_bank', 'captured_second')$$,
    $$SELECT credit.set_institution_status('captured-2', 'suspended')$$,
    $$SELECT credit.define_category('captured', '甲', 'A', 'x', '{enterprise}', credit.category_schema('a text!, b (x|y)'))$$,
    $$SELECT credit.set_category_public('captured', true, 'a law')$$, $$SELECT credit.set_category_level('captured', 2)$$,
    $$SELECT credit.rebuild_category_views(true)$$,
    $$SELECT credit.set_category_schema('captured', credit.category_schema('a date'))$$,
    $$SELECT credit.set_category_kinds('captured', '{enterprise}')$$,
    $$SELECT credit.assign_category('captured', 'captured', interval '1 day')$$, $$SELECT credit.unassign_category('captured', 'captured')$$,
    $$SELECT credit.set_subject_attribute(@S@, 'sme', '2024-01-01', '2025-01-01', 'x')$$,
    $$SELECT credit.load_regions(rows => '[{"code": "990001", "name_zh": "甲", "level": "county"}]'::pg_catalog.jsonb)$$,
    $$SELECT credit.key_id()$$, $$SELECT credit.resident_digest('11010519491231002X')$$,
    $$SELECT credit.unseal_resident_id(credit.seal_resident_id('11010519491231002X'))$$,
    -- the subject itself
    $$SELECT credit.register_issuer('regress_self', '\xaf06a3e3291714e4f356c19c9b15cd1951ec6e6662aa77be07547f289383341d', 'regress', interval '100 years', '2000-01-01')$$,
    $$SELECT credit.as_subject('eyJhdWRpZW5jZSI6InJlZ3Jlc3MiLCJleHBpcmVzIjo0MTAyNDQ0ODAwLCJpZCI6InJlZ3Jlc3Mtc2VsZi0wMDAxIiwiaXNzdWVkIjoxNTc3ODM2ODAwLCJpc3N1ZXIiOiJyZWdyZXNzX3NlbGYiLCJzdWJqZWN0IjoiNTYwMDAwMDAxIn0.uGSlDDAI7NZ1lg7DGM0vo_K9Rwgyi-ZLeXGU-yoOfAyedFBvr4Azg4JQcNG3DpjTgOErPrn1pioEQNGaKqioBg')$$,
    $$SELECT credit.current_subject(), credit.my_records(), credit.my_records('{tax_payment}')$$, $$SELECT credit.my_consents()$$,
    $$SELECT credit.my_history()$$, $$SELECT credit.my_ratings()$$, $$SELECT credit.explain_my_access('captured', 'pre_loan')$$,
    $$SELECT credit.my_pause((SELECT pg_catalog.max(consent_id) FROM credit.my_consents()))$$,
    $$SELECT credit.my_resume((SELECT pg_catalog.max(consent_id) FROM credit.my_consents()))$$,
    $$SELECT credit.my_revoke((SELECT pg_catalog.max(consent_id) FROM credit.my_consents()))$$,
    $$SELECT credit.explain_access(@S@, 'captured', 'pre_loan')$$,
    $$SELECT credit.as_subject('eyJhdWRpZW5jZSI6InJlZ3Jlc3MiLCJleHBpcmVzIjo0MTAyNDQ0ODAwLCJpZCI6InJlZ3Jlc3Mtc2VsZi0wMDAxIiwiaXNzdWVkIjoxNTc3ODM2ODAwLCJpc3N1ZXIiOiJyZWdyZXNzX3NlbGYiLCJzdWJqZWN0IjoiNTYwMDAwMDAxIn0.AuGSlDDAI7NZ1lg7DGM0vo_K9Rwgyi-ZLeXGU-yoOfAyedFBvr4Azg4JQcNG3DpjTgOErPrn1pioEQNGaKqioB')$$, $$SELECT credit.revoke_token('captured-token-0001'), credit.revoke_issuer('regress_self')$$,
    -- rating
    $$SELECT credit.create_model('{"name": "captured", "initial_score": 1, "use_reason_codes": false, "characteristics": [
        {"name": "age", "data_type": "number", "attributes": [{"kind": "interval", "high": 40, "closure": "openOpen", "points": 5},
                                                              {"kind": "other", "points": 1}, {"kind": "missing", "points": 0}]}],
        "grades": [{"grade": "A", "low": 0}]}'::pg_catalog.jsonb)$$,
    $$SELECT credit.submit_model('captured', 1)$$, $$SELECT credit.return_model('captured', 1)$$, $$SELECT credit.forbid_attribute('captured', 'x')$$,
    $$SELECT credit.publish_model('captured', 1)$$, $$SELECT credit.score('captured@1', ROW(1))$$,
    $$SELECT credit.score('captured', r) FROM (SELECT 30 AS age) r$$, $$SELECT credit.explain('captured', r) FROM (SELECT 30 AS age) r$$,
    $$SELECT credit.grade('captured', 5)$$, $$SELECT credit.rate('captured', @S@, r) FROM (SELECT 30 AS age) r$$, $$SELECT credit.replay(@S@, 1)$$, $$SELECT credit.explain(max(rating_id)) FROM credit.rating$$,
    $$SELECT credit.import_pmml(credit.model_pmml('captured', 1))$$,
    $$SELECT credit.model_definition('captured', 1)$$, $$SELECT credit.retire_model('captured', 1)$$, $$SELECT credit.discard_model('captured', 1)$$,
    $$SELECT credit.psi(1, true), credit.psi('x', true), credit.auc(1, true), credit.ks(1, true), credit.gini(1, true)$$,
    -- target
    $$SELECT credit.extend_ledgers('2024-01-01', '2024-01-01')$$,
    $$INSERT INTO credit.loan_balance (institution_id, key, month, subject_id, region, balance, small_micro) VALUES (1, 'captured', '2024-01-01', 1, '330000', 5, true)$$,
    $$SELECT credit.measure('npl_ratio', '330000', '2024-01-01'), credit.measure('small_micro_borrower_count', NULL, '2024-01-01', segment => '')$$,
    $$SELECT count(*) FROM credit.measure_now$$, $$SELECT credit.fold_measures()$$, $$SELECT count(*) FROM credit.check_measures()$$,
    $$SELECT credit.define_source('bid_bond_tender_count', 'count', 'loan_balance', '[{"column": "balance", ">=": 1}]'::pg_catalog.jsonb)$$,
    $$SELECT credit.rebuild_measures()$$,
    $$SELECT * FROM credit.target_status('wenzhou-2022', '2022-12-31')$$, $$SELECT * FROM credit.target_status('qinghai-2016', '2018-12-31', '630000')$$,
    $$SELECT credit.observe('bank_count', '330000', '2022-12-31', 1, 'x')$$, $$SELECT credit.observe_reported('wenzhou-2022')$$,
    $$SELECT credit.observe('[{"metric": "bank_count", "region": "330000", "as_of": "2021-12-31", "value": 1, "source": "x"}, {"metric": 1}]'::pg_catalog.jsonb)$$,
    $$SELECT credit.retract_observation('bank_count', '330000', '2022-12-31', '2022-12-31', 'wrong', '')$$,
    $$SELECT credit.create_pack('{"pack_id": "captured", "title_zh": "甲", "title_en": "A", "region": "120000", "document_number": "x", "start_date": "2030-01-01",
        "metrics": [{"code": "captured_count", "unit": "count", "additivity": "stock", "name_zh": "数", "name_en": "Count"}],
        "targets": [{"code": "C-01", "clause": "x", "name_zh": "数", "name_en": "Count", "metric": "captured_count", "form": "count", "comparator": ">=",
                     "value": 100, "unit": "count", "due_date": "2030-12-31", "baseline": 60, "baseline_date": "2029-12-31"}]}'::pg_catalog.jsonb)$$,
    $$SELECT * FROM credit.target_status('captured', '2030-03-15')$$, $$SELECT credit.check_pack('{"targets": [{"id": 1}]}'::pg_catalog.jsonb)$$,
    $$SELECT credit.set_target('captured', 'C-01', '{"value": 101}'::pg_catalog.jsonb, 'because')$$, $$SELECT credit.drop_pack('captured')$$,
    $$SELECT credit.annual_rate(1, 2, 3), credit.compare_annual_rate(1, 2, 3, 0.1), credit.base_of_growth(3, 0.1)$$,
    -- the log's tree
    $$SELECT credit.checkpoint()$$, $$SELECT credit.log_vkey()$$,
    $$SELECT credit.tlog_proof(1, '\x01')$$, $$SELECT credit.witness_request(0)$$, $$SELECT credit.check_checkpoint(credit.checkpoint())$$,
    $$SELECT credit.inclusion_proof(1), credit.consistency_proof(1, 2), credit.log_root(), credit.log_size(), credit.tile(0, 0), credit.entry_bundle(0)$$,
    $$SELECT credit.add_witness('witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X')$$,
    $$SELECT credit.add_cosignature(note) FROM credit.checkpoint_log$$, $$SELECT credit.remove_witness('witness.example/w1')$$,
    -- views
    $$SELECT count(*) FROM credit.audit_log$$, $$SELECT count(*) FROM credit.checkpoint_log$$, $$SELECT count(*) FROM credit.audit_witness$$, $$SELECT count(*) FROM credit.data_quality$$, $$SELECT count(*) FROM credit.unknown_region$$,
    $$SELECT count(*) FROM credit.stat_record$$, $$SELECT count(*) FROM credit.stat_subject$$, $$SELECT count(*) FROM credit.stat_consent$$,
    $$SELECT count(*) FROM credit.stat_access$$, $$SELECT credit.set_minimum_cell(5)$$,
    $$SELECT count(*) FROM credit.effective_target$$, $$SELECT count(*) FROM credit.security_check()$$]) s;
RESET search_path;
RESET ROLE;

SELECT plan(5);
SELECT is((SELECT string_agg(statement || ': ' || message, E'\n') FROM outcome WHERE sqlstate = 'P9999' OR message ~ 'captured as'), NULL,
    'nothing of the caller''s schema ran with the rights of the owner');
SELECT cmp_ok((SELECT count(*) FROM outcome), '>=', 108::bigint, 'all calls were made');
-- what is called must also work: a call that stops at its arguments proves nothing
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE sqlstate = '00000'), '>=', 103::bigint, 'most of them did their work');
SELECT is((SELECT string_agg(statement || ': ' || message, E'\n') FROM outcome WHERE sqlstate ~ '^(XX|42883|42725|42P13|54001)'), NULL,
    'none met a fault of the server or a function that is not there');
-- the traps are sharp: the same call by somebody else is caught
SELECT throws_ok($$ SELECT 1::bigint OPERATOR(captured.=) 1::bigint $$, 'P9999', NULL, 'the traps work');
SELECT * FROM finish();

DROP EXTENSION pgcredit CASCADE;
DROP SCHEMA captured CASCADE;
DROP FUNCTION public.captured_sign(text);
DROP OWNED BY captured_caller;
DROP ROLE captured_caller, captured_second;
