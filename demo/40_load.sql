-- load: roles, institutions, regions, 1,000 applicants, their records by category
-- Real: the 1,000 applications with 20 attributes and outcome. Generated: identifiers, names of institutions, days.
SET client_min_messages = warning;
CREATE SCHEMA demo;
GRANT USAGE ON SCHEMA demo TO PUBLIC;

-- Each claim of the demo is checked; a claim that does not hold ends the run.
CREATE FUNCTION demo.expect(holds boolean, what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF holds IS NOT TRUE THEN
        RAISE EXCEPTION 'the demo expected this to hold: %', what;
    END IF;
    RETURN '   ok: ' || what;
END
$$;

-- Entries of committed writes wait in the outbox until the log's writer takes them, a moment later.
CREATE FUNCTION demo.settle() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..200 LOOP
        IF NOT EXISTS (SELECT FROM credit.audit_outbox) THEN
            RETURN;
        END IF;
        PERFORM pg_sleep(0.05);
    END LOOP;
    RAISE EXCEPTION 'the writer of the log has left entries in the outbox for ten seconds';
END
$$;

CREATE TABLE demo.csv (
    application integer PRIMARY KEY, checking_status text, duration integer, credit_history text, purpose text, credit_amount numeric,
    savings_status text, employment text, installment_commitment integer, personal_status text, other_parties text,
    residence_since integer, property_magnitude text, age integer, other_payment_plans text, housing text,
    existing_credits integer, job text, num_dependents integer, own_telephone text, foreign_worker text, class text);
COPY demo.csv FROM :'credit_csv' (FORMAT csv, HEADER match);

-- Region 990101 is assigned to nobody, so no real person or firm is hit. The birthday gives the age that the data has.
CREATE TABLE demo.applicant AS
WITH born AS (
    SELECT c.*, ((now() AT TIME ZONE 'Asia/Shanghai')::date - 30) AS applied_on,
           (now() AT TIME ZONE 'Asia/Shanghai')::date - 30 - c.age * interval '1 year' - c.application % 360 * interval '1 day' AS birthday,
           (c.personal_status NOT LIKE 'female%')::integer AS male
      FROM demo.csv c
), numbered AS (
    SELECT b.*, '990101' || to_char(birthday, 'YYYYMMDD')
                || lpad((2 * row_number() OVER (PARTITION BY birthday, male ORDER BY application) + male)::text, 3, '0') AS person,
           '92990101MAGEN' || lpad(application::text, 4, '0') AS trader
      FROM born b
)
SELECT n.*,
       CASE WHEN purpose = 'business' THEN (trader || credit.uscc_check_character(trader))::credit.uscc END AS uscc,
       CASE WHEN purpose <> 'business' THEN (person || credit.resident_id_check_character(person))::credit.resident_id END AS resident_id
  FROM numbered n ORDER BY application;

\echo
\echo '   Each "ok:" below is a check in SQL that would end the demo if it did not hold. Each ERROR below is asked for.'
\echo
\echo '   The applicants of the German credit data are persons and sole traders. Each gets a GENERATED identifier of region 990101,'
\echo '   which is assigned to nobody: who borrows for a business a unified social credit code (统一社会信用代码), everybody else a'
\echo '   resident identity number (公民身份号码). Check characters are right, or the types would refuse them.'
\echo '   The data has no days either: the day of application, 30 days ago, is GENERATED. Amounts are Deutsche Mark, as given.'
SELECT application, purpose, age, uscc, resident_id, credit.birth_date(resident_id)
  FROM demo.applicant WHERE application IN (1, 2) OR application = (SELECT min(application) FROM demo.applicant WHERE purpose = 'business') ORDER BY 1;
\set ON_ERROR_STOP off
SELECT '990101199001010018'::credit.resident_id;
\set got :SQLSTATE
\set ON_ERROR_STOP on
SELECT demo.expect(:'got' = '22P02', 'a wrong check character is refused with SQLSTATE 22P02') \g (format=unaligned tuples_only=on)

\echo
\echo '-- Institutions (机构): each is one database role. Names are GENERATED.'
CREATE ROLE platform_staff LOGIN IN ROLE credit_operator;
CREATE ROLE portal LOGIN IN ROLE credit_portal, credit_provider;
CREATE ROLE bank_a LOGIN IN ROLE credit_institution;
CREATE ROLE bank_b LOGIN IN ROLE credit_institution, credit_provider;
CREATE ROLE central_bank LOGIN IN ROLE credit_provider;
CREATE ROLE hr_bureau LOGIN IN ROLE credit_provider;
CREATE ROLE data_bureau LOGIN IN ROLE credit_provider;
CREATE ROLE market_bureau LOGIN IN ROLE credit_provider;
CREATE ROLE rating_centre LOGIN IN ROLE credit_institution, credit_operator;
CREATE ROLE model_reviewer LOGIN IN ROLE credit_operator;
CREATE ROLE analyst LOGIN IN ROLE credit_analyst;
CREATE ROLE auditor LOGIN IN ROLE credit_auditor;

-- What each provider has at hand to deliver, and nothing else.
CREATE VIEW demo.subjects AS
    SELECT CASE WHEN uscc IS NULL THEN 'person' ELSE 'individual_business' END AS kind, uscc, resident_id,
           'generated applicant ' || application AS name
      FROM demo.applicant;
CREATE VIEW demo.of_bank_b AS
    SELECT uscc, resident_id, applied_on AS dated, 'application-' || application AS source_key, application, purpose,
           credit_amount, duration AS duration_months, installment_commitment, other_parties, other_payment_plans
      FROM demo.applicant;
CREATE VIEW demo.outcome_of_bank_b AS
    SELECT uscc, resident_id, applied_on AS dated, 'outcome-' || application AS source_key, application, class AS outcome,
           CASE class WHEN 'bad' THEN 'adverse' ELSE 'positive' END AS polarity
      FROM demo.applicant;
CREATE VIEW demo.of_central_bank AS
    SELECT uscc, resident_id, applied_on AS dated, application || '-' || item AS source_key, item, value
      FROM demo.applicant CROSS JOIN LATERAL (VALUES ('checking_status', checking_status), ('savings_status', savings_status),
           ('credit_history', credit_history), ('existing_credits', existing_credits::text)) v (item, value);
CREATE VIEW demo.of_hr_bureau AS
    SELECT uscc, resident_id, applied_on AS dated, application || '-' || item AS source_key, item, value
      FROM demo.applicant CROSS JOIN LATERAL (VALUES ('employment', employment), ('job', job)) v (item, value);
CREATE VIEW demo.of_data_bureau AS
    SELECT uscc, resident_id, applied_on AS dated, application || '-' || item AS source_key, item, value
      FROM demo.applicant CROSS JOIN LATERAL (VALUES ('property_magnitude', property_magnitude), ('housing', housing)) v (item, value);
CREATE VIEW demo.of_portal AS
    SELECT uscc, resident_id, applied_on AS dated, application || '-' || item AS source_key, item, value
      FROM demo.applicant CROSS JOIN LATERAL (VALUES ('age', age::text), ('personal_status', personal_status),
           ('residence_since', residence_since::text), ('num_dependents', num_dependents::text),
           ('own_telephone', own_telephone), ('foreign_worker', foreign_worker)) v (item, value);
GRANT SELECT ON demo.subjects TO platform_staff;
GRANT SELECT ON demo.of_bank_b, demo.outcome_of_bank_b TO bank_b;
GRANT SELECT ON demo.of_central_bank TO central_bank;
GRANT SELECT ON demo.of_hr_bureau TO hr_bureau;
GRANT SELECT ON demo.of_data_bureau TO data_bureau;
GRANT SELECT ON demo.of_portal, demo.applicant TO portal;
-- The portal tells banks and the rating centre under which number they find an applicant.
CREATE TABLE demo.customer (application integer PRIMARY KEY, subject_id bigint NOT NULL UNIQUE);
GRANT INSERT ON demo.customer TO portal;
GRANT SELECT ON demo.customer TO portal, bank_a, bank_b, rating_centre, market_bureau;
-- What the demo remembers from one step to the next.
CREATE TABLE demo.memory (name text PRIMARY KEY, value text NOT NULL);

\connect - platform_staff
SET client_min_messages = warning;
SELECT credit.register_institution('bank_a', '甲银行', 'Bank A', 'commercial_bank', 'bank_a'),
       credit.register_institution('bank_b', '乙银行', 'Bank B', 'rural_bank', 'bank_b'),
       credit.register_institution('rating_centre', '平台评级中心', 'Rating centre', 'credit_service_agency', 'rating_centre'),
       credit.register_institution('portal', '融资服务平台', 'Platform portal', 'financing_platform', 'portal'),
       credit.register_institution('central_bank', '人民银行分行', 'Central bank branch', 'people_bank', 'central_bank'),
       credit.register_institution('hr_bureau', '人力社保局', 'Human resources bureau', 'human_resources', 'hr_bureau'),
       credit.register_institution('data_bureau', '大数据局', 'Data bureau', 'big_data', 'data_bureau'),
       credit.register_institution('market_bureau', '市场监督管理局', 'Market regulation bureau', 'market_regulation', 'market_bureau') \g /dev/null
SELECT i.code, i.name_zh, i.name_en, k.name_zh AS kind_zh, k.is_department AS department, i.db_role, i.status
  FROM credit.institution i JOIN credit.institution_kind k ON k.code = i.kind ORDER BY i.institution_id;

\echo '-- Categories (信息类别): 108 are shipped, each with its source and schema. Two of our own hold what only this data set has.'
SELECT credit.define_category('loan_application', '贷款申请', 'loan applications', 'banks', '{person,person_in_business}',
           credit.category_schema('application integer!, purpose text!, credit_amount numeric!, duration_months integer!, '
               'installment_commitment integer!, other_parties (none|co applicant|guarantor)!, other_payment_plans (none|bank|stores)!')),
       credit.define_category('loan_outcome', '贷款结果', 'outcomes of loans', 'banks', '{person,person_in_business}',
           credit.category_schema('application integer!, outcome (good|bad)!')),
       credit.set_category_kinds('self_report', '{enterprise,organisation,person,person_in_business}') \g /dev/null
SELECT credit.assign_category(category, institution, interval '1 year')
  FROM (VALUES ('loan_application', 'bank_b'), ('loan_outcome', 'bank_b'), ('financial_credit_information', 'central_bank'),
               ('non_bank_information', 'hr_bureau'), ('non_bank_information', 'data_bureau'), ('self_report', 'portal'),
               ('administrative_penalty', 'market_bureau')) v (category, institution) \g /dev/null
SELECT c.category_id AS no, c.code, c.name_zh, c.public_by_law AS public, string_agg(i.code, ', ' ORDER BY i.code) AS provider,
       (SELECT string_agg(f.key, ', ') FROM jsonb_each(c.schema -> 'fields') f) AS fields
  FROM credit.category c JOIN credit.category_provider p USING (category_id) JOIN credit.institution i USING (institution_id)
 GROUP BY c.category_id ORDER BY 1;

SELECT :'regions_csv' <> '' AS have_regions \gset
\if :have_regions
\connect - postgres
CREATE TABLE demo.region_list (code text, name_zh text, level text, parent text, current text);
COPY demo.region_list FROM :'regions_csv' (FORMAT csv, HEADER match);
GRANT SELECT ON demo.region_list TO platform_staff;
\connect - platform_staff
\echo '-- Regions (行政区划, GB/T 2260), retired codes among them, from the list beside the checkout:'
SELECT * FROM credit.load_regions('demo.region_list'::regclass, 'regions');
\else
\echo '-- Regions (行政区划): the provinces are shipped; no longer list is at hand here, so the rest is left out.'
\endif

\echo '-- Subjects (信用主体). Numbers of persons are kept as keyed digest and sealed box, never in clear:'
SELECT * FROM credit.ingest_subjects('demo.subjects'::regclass, 'applicants');
\connect - postgres
SELECT subject_id, kind, uscc, left(encode(resident_digest, 'hex'), 16) || '…' AS resident_digest,
       octet_length(resident_sealed) AS sealed_bytes, name
  FROM credit.subject WHERE name IN ('generated applicant 1', 'generated applicant 2', (SELECT 'generated applicant ' || min(application) FROM demo.applicant WHERE purpose = 'business'))
 ORDER BY 1;
SELECT demo.expect(count(*) = 1000, '1,000 subjects') FROM credit.subject \g (format=unaligned tuples_only=on)

\connect - portal
INSERT INTO demo.customer (application, subject_id)
SELECT application, CASE WHEN uscc IS NULL THEN credit.subject_id(resident_id) ELSE credit.subject_id(uscc) END FROM demo.applicant;

\echo
\echo '-- Each provider delivers its categories (归集), every batch twice: the second time must change nothing.'
\connect - bank_b
SELECT credit.ingest('loan_application', 'demo.of_bank_b'::regclass, 'applications'), credit.ingest('loan_outcome', 'demo.outcome_of_bank_b'::regclass, 'outcomes') FROM generate_series(1, 2) \g /dev/null
\connect - central_bank
SELECT credit.ingest('financial_credit_information', 'demo.of_central_bank'::regclass, 'accounts') FROM generate_series(1, 2) \g /dev/null
\connect - hr_bureau
SELECT credit.ingest('non_bank_information', 'demo.of_hr_bureau'::regclass, 'employment') FROM generate_series(1, 2) \g /dev/null
\connect - data_bureau
SELECT credit.ingest('non_bank_information', 'demo.of_data_bureau'::regclass, 'property') FROM generate_series(1, 2) \g /dev/null
\connect - portal
SELECT credit.ingest('self_report', 'demo.of_portal'::regclass, 'forms') FROM generate_series(1, 2) \g /dev/null
\connect - platform_staff
SELECT b.batch_id, b.delivered_by, c.code AS category, b.batch_key, b.received, b.inserted, b.updated, b.unchanged, b.refused
  FROM credit.batch b JOIN credit.category c USING (category_id) ORDER BY 1;

\echo '-- Bad rows lose nothing: five GENERATED penalties (行政处罚), four of them spoilt, given as JSON.'
\connect - market_bureau
SELECT jsonb_build_array(
    jsonb_build_object('subject_id', (SELECT subject_id FROM demo.customer WHERE application = 1), 'dated', '2025-11-03', 'decision_no', 'generated-1', 'penalty_kind', 'fine', 'fine', 500),
    jsonb_build_object('uscc', '92990101MAGEN00018', 'dated', '2025-11-04', 'decision_no', 'generated-2', 'fine', 300),
    jsonb_build_object('resident_id', '99010119900101999' || credit.resident_id_check_character('99010119900101999'), 'dated', '2025-11-05', 'decision_no', 'generated-3'),
    jsonb_build_object('subject_id', (SELECT subject_id FROM demo.customer WHERE application = 2), 'dated', '2025-11-06', 'fine', 200),
    jsonb_build_object('subject_id', (SELECT subject_id FROM demo.customer WHERE application = 2), 'dated', '2025-11-07', 'decision_no', 'generated-5', 'fine', 'much')) AS penalties \gset
SELECT * FROM credit.ingest('administrative_penalty', :'penalties'::jsonb, 'penalties') \gset
SELECT :received AS received, :inserted AS inserted, :refused AS refused;
SELECT row_no, sqlstate, reason, detail FROM credit.refused_rows(:batch_id);
SELECT demo.expect(:received = 5 AND :inserted = 1 AND :refused = 4, 'one went in, four are kept with reason and SQLSTATE') \g (format=unaligned tuples_only=on)
\connect - postgres
SELECT row_no, row_given FROM credit.refused_row WHERE batch_id = :batch_id AND row_no = 3;
SELECT demo.expect(count(*) = 16001 AND bool_and(revision = 1), '16,001 records, none doubled and none revised by the second delivery') FROM credit.record \g (format=unaligned tuples_only=on)
SELECT demo.expect(NOT EXISTS (SELECT FROM credit.record r WHERE to_jsonb(r)::text ~ '990101[0-9]{11}')
               AND NOT EXISTS (SELECT FROM credit.subject s WHERE to_jsonb(s)::text ~ '990101[0-9]{11}' AND s.uscc IS NULL)
               AND NOT EXISTS (SELECT FROM credit.refused_row r WHERE r.row_given::text ~ '990101[0-9]{11}'),
               'no resident identity number stands in clear in subjects, records or refused rows') \g (format=unaligned tuples_only=on)
