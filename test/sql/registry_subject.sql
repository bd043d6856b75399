SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
\set VERBOSITY default
SET DateStyle = 'ISO, YMD';
BEGIN;
-- identifiers of an unassigned region, number n of a kind of code
CREATE FUNCTION pg_temp.code(prefix text, n integer) RETURNS text LANGUAGE sql AS
    $$ SELECT b || credit.uscc_check_character(b) FROM (SELECT prefix || '990101' || lpad(n::text, 9, '0') AS b) s $$;
CREATE FUNCTION pg_temp.num(n integer) RETURNS text LANGUAGE sql AS
    $$ SELECT b || credit.resident_id_check_character(b) FROM (SELECT '99010119800101' || lpad(n::text, 3, '0') AS b) s $$;
CREATE ROLE registry_subject_op;
CREATE ROLE registry_subject_portal;
CREATE ROLE registry_subject_bank;
GRANT credit_operator TO registry_subject_op;
GRANT credit_portal TO registry_subject_portal;
GRANT credit_institution TO registry_subject_bank;
SELECT pg_temp.code('91', 1) AS ent1, pg_temp.code('92', 1) AS ib1, pg_temp.code('93', 1) AS coop1, pg_temp.code('51', 1) AS org1,
       pg_temp.num(1) AS num1, pg_temp.num(2) AS num2 \gset
SET ROLE registry_subject_portal;
-- the kind follows from the identifier
SELECT credit.register_subject(uscc => :'ent1', name => '甲公司') AS ent \gset
SELECT credit.register_subject(uscc => :'ib1') AS ib \gset
SELECT credit.register_subject(uscc => :'coop1', kind => 'cooperative', registered_on => '2012-03-04') AS coop \gset
SELECT credit.register_subject(uscc => :'org1') AS org \gset
SELECT credit.register_subject(resident_id => :'num1', name => '张三') AS person \gset
SELECT credit.register_subject(kind => 'village', code => '990101001001', name => '一村', region => '990101') AS village \gset
SELECT credit.register_subject(kind => 'farmer_household', resident_id => :'num2') AS household \gset
SELECT kind, uscc, code, name, region FROM credit.subject
 WHERE subject_id IN (:ent, :ib, :coop, :org, :person, :village, :household) ORDER BY subject_id;
SELECT s.kind, a.kind_code, a.valid_from <= (now() AT TIME ZONE 'Asia/Shanghai')::date AS started, a.valid_to, a.source FROM credit.subject_attribute a JOIN credit.subject s USING (subject_id)
 WHERE s.subject_id IN (:ent, :ib, :coop, :org, :person, :village, :household) ORDER BY s.subject_id;
-- the same again is the same subject, whatever case its code is in
SELECT credit.register_subject(uscc => lower(:'ent1')::credit.uscc) = :ent AS again,
       credit.register_subject(resident_id => :'num1') = :person AS again2,
       credit.register_subject(kind => 'area', code => '990101001001') = :village AS again3;
-- looking up
SELECT credit.subject_id(:'ent1'::credit.uscc) = :ent AS by_code, credit.subject_id(:'ent1') = :ent AS by_text,
       credit.subject_id(:'num1'::credit.resident_id) = :person AS by_number,
       credit.subject_id(pg_temp.code('91', 999)::credit.uscc) IS NULL AS unknown;
SELECT credit.subject_id('91990101000000001');
-- a subject without identifier, of an impossible kind, of a property
SELECT credit.register_subject(kind => 'enterprise', name => 'x');
SELECT credit.register_subject(name => 'x', code => 'c1');
SELECT credit.register_subject(kind => 'enterprise', uscc => :'ib1');
SELECT credit.register_subject(kind => 'high_tech_enterprise', uscc => :'ent1');
SELECT credit.register_subject(kind => 'green_project', uscc => :'ent1');
SELECT credit.register_subject(kind => 'no_such', uscc => :'ent1');
SELECT credit.register_subject(kind => 'enterprise', resident_id => :'num1');
SELECT credit.register_subject(kind => 'area', uscc => :'ent1');
\set VERBOSITY sqlstate
SELECT credit.register_subject(kind => 'organisation', uscc => :'ent1') IS NULL AS refused;
\set VERBOSITY default
SELECT credit.register_subject(kind => 'group', code => :'num1');
SELECT credit.register_subject(uscc => :'ent1', name => '甲 ' || :'num1');
-- the portal fills what is empty and changes nothing else
SELECT credit.register_subject(uscc => :'ent1', name => '乙公司', registered_on => '2001-01-01') = :ent AS filled;
SELECT name, registered_on, region FROM credit.subject WHERE subject_id = :ent;
\set VERBOSITY sqlstate
SELECT credit.register_subject(uscc => :'ib1', resident_id => pg_temp.num(3)::credit.resident_id);
\set VERBOSITY default
SET ROLE registry_subject_op;
SELECT credit.register_subject(uscc => :'ent1', name => '乙公司', region => '990102') = :ent AS changed;
SELECT credit.register_subject(uscc => :'ib1', resident_id => pg_temp.num(3)::credit.resident_id) = :ib AS joined;
SELECT name, registered_on, region FROM credit.subject WHERE subject_id = :ent;
-- two identifiers of two subjects
\set VERBOSITY sqlstate
SELECT count(credit.register_subject(uscc => :'ib1', resident_id => :'num1')) AS refused;
SELECT count(credit.register_subject(uscc => pg_temp.code('92', 2)::credit.uscc, resident_id => pg_temp.num(3)::credit.resident_id)) AS refused;
-- attributes
SELECT credit.set_subject_attribute(:ent, 'high_tech_enterprise', '2020-01-01', '2023-01-01', 'list 2020');
SELECT credit.set_subject_attribute(:ent, 'high_tech_enterprise', '2023-01-01');
SELECT credit.set_subject_attribute(:ent, 'high_tech_enterprise', '2024-01-01');
SELECT credit.set_subject_attribute(:ent, 'high_tech_enterprise', '2023-01-01', '2024-01-01');
SELECT credit.set_subject_attribute(:ent, 'graduate', '2024-01-01');
SELECT credit.set_subject_attribute(:ent, 'enterprise', '2024-01-01');
SELECT credit.set_subject_attribute(0, 'high_tech_enterprise', '2024-01-01');
SELECT credit.set_subject_attribute(:ent, 'reorganised_enterprise', '2024-01-01', '2024-01-01');
SELECT kind_code, valid_from, valid_to, source FROM credit.subject_attribute WHERE subject_id = :ent ORDER BY 1, 2;
-- what nobody may read, and what an institution may not ask
SELECT log_salt FROM credit.subject LIMIT 1;
SELECT resident_digest FROM credit.subject LIMIT 1;
SELECT resident_sealed FROM credit.subject LIMIT 1;
SET ROLE registry_subject_bank;
SELECT credit.subject_id(:'ent1'::credit.uscc) = :ent AS by_code;
SELECT credit.subject_id(:'num1'::credit.resident_id) = :person AS by_number;
SELECT name FROM credit.subject LIMIT 1;
SELECT credit.register_subject(uscc => :'ent1');
RESET ROLE;
-- never in clear, each with its own salt, and the seal opens
SELECT count(*) AS in_clear FROM credit.subject s WHERE s::text LIKE '%' || :'num1' || '%' OR encode(s.resident_sealed, 'escape') LIKE '%' || :'num1' || '%';
SELECT credit.unseal_resident_id(resident_sealed)::text = :'num1' AS opens, octet_length(log_salt) AS salt FROM credit.subject WHERE subject_id = :person;
SELECT count(DISTINCT log_salt) AS salts FROM credit.subject WHERE subject_id IN (:ent, :ib, :coop, :org, :person, :village, :household);
INSERT INTO credit.subject (kind, uscc) VALUES ('enterprise', pg_temp.code('92', 7)::credit.uscc);
INSERT INTO credit.subject (kind) VALUES ('enterprise');
ROLLBACK;
