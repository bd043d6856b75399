-- No entry holds a name, an identity number or a payload: the platform is filled with marked values by every function that
-- takes any, and the whole log is searched for the marks.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
CREATE ROLE personal_bank;
CREATE ROLE personal_tax;
CREATE ROLE personal_portal;
CREATE ROLE personal_operator;
CREATE ROLE personal_analyst;
GRANT credit_institution TO personal_bank;
GRANT credit_provider TO personal_tax;
GRANT credit_portal TO personal_portal;
GRANT credit_operator TO personal_operator;
GRANT credit_analyst TO personal_analyst;
\set VERBOSITY terse
SELECT max(seq) AS start FROM credit.audit_entry \gset

-- The marks: names, codes and numbers of the region 99, which is not assigned.
SELECT b || credit.uscc_check_character(b) AS u1 FROM (SELECT '9199010188811100Q' AS b) x \gset
SELECT b || credit.uscc_check_character(b) AS u2 FROM (SELECT '9199010188811200Q' AS b) x \gset
SELECT b || credit.resident_id_check_character(b) AS n1 FROM (SELECT '99010119780704771' AS b) x \gset
SELECT b || credit.resident_id_check_character(b) AS n2 FROM (SELECT '99010119780704772' AS b) x \gset
CREATE TEMP TABLE mark (word text NOT NULL);
INSERT INTO mark VALUES ('标记'), ('888111'), ('888112'), ('1978070477'), ('mark'), ('7777123'), ('2001-02-03'), ('20010203');

SET ROLE personal_operator;
SELECT credit.register_institution('personal_bank', '甲银行', 'Bank', 'commercial_bank', 'personal_bank') > 0 AS bank,
       credit.register_institution('personal_tax', '税务局', 'Tax', 'tax', 'personal_tax') > 0 AS tax;
SELECT credit.assign_category('tax_payment', 'personal_tax');
SELECT credit.register_subject(uscc => :'u1', name => '标记甲公司', registered_on => '2001-02-03') AS s1 \gset
SELECT credit.register_subject(uscc => :'u1', name => '标记乙公司') = :s1 AS renamed;
SELECT credit.register_subject(resident_id => :'n1', name => '标记丙') AS s2 \gset
SELECT credit.set_subject_attribute(:s1, 'high_tech_enterprise', '2001-02-03', source => '标记来源');
SELECT received, inserted, refused
  FROM credit.ingest_subjects(rows => jsonb_build_array(jsonb_build_object('uscc', :'u2', 'name', '标记丁'),
                                                        jsonb_build_object('resident_id', :'n2', 'name', '标记戊'),
                                                        jsonb_build_object('uscc', 'mark 888112', 'name', '标记己')), batch_key => 'mark-batch');
SET ROLE personal_tax;
SELECT received, inserted, refused
  FROM credit.ingest('tax_payment', jsonb_build_array(jsonb_build_object('uscc', :'u1', 'dated', '2001-02-03', 'tax_type', '标记税', 'amount_paid', 7777123, 'source_key', 'mark-1'),
                                                      jsonb_build_object('uscc', :'u1', 'dated', '标记日', 'tax_type', '标记税'),
                                                      jsonb_build_object('uscc', :'u2', 'dated', '2001-02-03', 'tax_type', '标记税', 'amount_paid', 7777123)), 'mark-batch');
RESET ROLE;
SELECT record_id AS r1 FROM credit.record WHERE subject_id = :s1 \gset
SET ROLE personal_tax;
SELECT credit.set_record_status(:s1, :r1, 'disputed', '标记理由');
SET ROLE personal_portal;
SELECT credit.grant_consent(:s1, 'personal_bank', '{tax_payment}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') > 0 AS consent,
       credit.grant_consent(:s2, 'personal_bank', '{tax_payment}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') > 0 AS consent;
SET ROLE personal_bank;
SELECT count(*) FROM credit.read(:s1, 'pre_loan', '{tax_payment}');
SELECT count(*) FROM credit.read(ARRAY[:s1, :s2]::bigint[], 'pre_loan', '{tax_payment}');
\set VERBOSITY sqlstate
SELECT credit.read(:s1, '标记甲公司', '{tax_payment}');
SELECT credit.read(:s1, :'u1', '{tax_payment}');
SELECT credit.read(:s1, 'pre_loan', ARRAY['标记甲公司', :'n1', 'tax_payment']);
SELECT count(*) FROM credit.open_access(ARRAY(SELECT g FROM generate_series(1, 100) g), '标记', '{标记,tax_payment}');
\set VERBOSITY terse
SET ROLE personal_portal;
SELECT count(*) > 0 AS history FROM credit.access_history(:s1);
RESET ROLE;
UPDATE credit.subject SET name = '标记庚' WHERE subject_id = :s2;
INSERT INTO credit.rating (subject_id, model_id, score, inputs, inputs_digest, reasons, rated_by)
SELECT :s1, m.model_id, 1, '{"name": "标记甲"}', repeat('x', 32)::bytea, '[]', 'personal_test' FROM credit.model m LIMIT 1;

INSERT INTO credit.audit_use VALUES (:s1, 1, now(), 1);

-- ------------------------------------------------------------------ the log

CREATE FUNCTION personal_wait() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR turn IN 1 .. 2000 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM credit.audit_outbox);
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
SELECT personal_wait();
SELECT count(*) > 20 AS entries, count(*) FILTER (WHERE kind = 'write') > 10 AS writes FROM credit.audit_log WHERE seq > :start;
SELECT DISTINCT word, a.entry FROM credit.audit_entry a JOIN mark ON strpos(a.entry, word) > 0 WHERE seq > :start;
-- what the history and the lists make of them
SELECT members FROM credit.audit_descriptor JOIN mark ON strpos(members, word) > 0;
-- The search finds what is there.
SELECT count(*) > 0 AS found FROM credit.audit_entry a WHERE seq > :start AND strpos(a.entry, 'personal_bank') > 0;

-- ------------------------------------------------------------------ erased

SET ROLE personal_operator;
SELECT credit.erase_subject(:s1), credit.erase_subject(:s2);
RESET ROLE;
-- No table has a mark of them any more; those of the subject that stays and of what was refused without a code remain.
SELECT personal_wait();
CREATE FUNCTION personal_find(words text[]) RETURNS TABLE (relation text, rows bigint) LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    FOR relation IN SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r' ORDER BY 1 LOOP
        EXECUTE format('SELECT count(*) FROM %s t, unnest($1) w WHERE strpos(t::text, w) > 0', relation) INTO rows USING words;
        IF rows > 0 THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
SELECT * FROM personal_find(ARRAY['标记甲', '标记乙', '标记丙', '标记庚', '888111', '19780704771', '标记来源', '标记理由']);
SELECT * FROM personal_find(ARRAY['标记丁']);
SELECT count(*) FROM credit.record WHERE subject_id IN (:s1, :s2);
SELECT count(*) FROM credit.rating WHERE subject_id IN (:s1, :s2);
SELECT count(*) FROM credit.audit_use WHERE subject_id IN (:s1, :s2);

SET client_min_messages = warning;
DROP FUNCTION personal_wait();
DROP FUNCTION personal_find(text[]);
DELETE FROM credit.record WHERE provider_id IN (SELECT institution_id FROM credit.institution WHERE code LIKE 'personal%');
DELETE FROM credit.subject_attribute WHERE subject_id >= :s1;
DELETE FROM credit.subject WHERE subject_id >= :s1;
DELETE FROM credit.refused_row WHERE batch_id IN (SELECT batch_id FROM credit.batch WHERE delivered_by LIKE 'personal%');
DELETE FROM credit.batch WHERE delivered_by LIKE 'personal%';
DELETE FROM credit.category_provider WHERE institution_id IN (SELECT institution_id FROM credit.institution WHERE code LIKE 'personal%');
DELETE FROM credit.institution WHERE code LIKE 'personal%';
DROP ROLE personal_bank;
DROP ROLE personal_tax;
DROP ROLE personal_portal;
DROP ROLE personal_operator;
DROP ROLE personal_analyst;
