SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set SHOW_CONTEXT never

-- any six digits are a code, of a region that is, was or never will be
SELECT '330281'::credit.region_code, '110103'::credit.region_code AS retired, '000000'::credit.region_code AS zeros,
       '999999'::credit.region_code AS nines;
SELECT count(*) FILTER (WHERE lpad(i::text, 6, '0')::credit.region_code::text = lpad(i::text, 6, '0')) AS same_again,
       count(*) FILTER (WHERE credit.is_valid_region_code(lpad(i::text, 6, '0'))) AS valid
  FROM generate_series(0, 999999, 7) i;

SELECT '33028'::credit.region_code;
SELECT '3302811'::credit.region_code;
SELECT ''::credit.region_code;
SELECT '33O281'::credit.region_code;
SELECT '-30281'::credit.region_code;
SELECT '33028市'::credit.region_code;
SELECT '33028 '::credit.region_code;
SELECT '３３０２８１'::credit.region_code;
SELECT v, credit.is_valid_region_code(v)
  FROM (VALUES ('330281'), (''), ('33028x'), ('33028'), ('3302811'), ('市市'), ('+30281'), (NULL)) AS t(v);

-- county, city, province
WITH RECURSIVE up AS (
    SELECT '330281'::credit.region_code AS region
    UNION ALL SELECT credit.region_parent(region) FROM up WHERE credit.region_parent(region) IS NOT NULL
)
SELECT * FROM up;
SELECT credit.region_parent('330000') IS NULL AS province_has_none, credit.region_parent('000001') AS of_nowhere;

-- townships of nine digits and villages of twelve; zeros at the end are the whole, the shortest form is printed
SELECT '330281102'::credit.region_code AS township, '330281102201'::credit.region_code AS village,
       '330281102000'::credit.region_code AS short_township, '330281000000'::credit.region_code AS short_county,
       '330281000'::credit.region_code AS shorter, '000000000000'::credit.region_code AS zeros, '999999999999'::credit.region_code AS nines;
SELECT '330281000000'::credit.region_code OPERATOR(credit.=) '330281' AS same,
       credit._region_code_hash('330281000000') = credit._region_code_hash('330281') AS same_hash,
       credit.region_of('330281199001010013'::credit.resident_id) OPERATOR(credit.=) '330281' AS same_of_a_number;
SELECT credit.region_level(r), r FROM unnest('{330281102201,330281102,330281,330200,330000,330281000001,441900003,000000}'::credit.region_code[]) r;
WITH RECURSIVE up AS (
    SELECT '330281102201'::credit.region_code AS region
    UNION ALL SELECT credit.region_parent(region) FROM up WHERE credit.region_parent(region) IS NOT NULL
)
SELECT * FROM up;
SELECT credit.region_parent('330281000001') AS no_township, credit.region_parent('441900003') AS no_county;
-- a region comes right before what lies in it
SELECT string_agg(r::text, ' ' ORDER BY r USING OPERATOR(credit.<)) FROM unnest(
    '{330282,330281102201,330281,330281103,330281102,330281102200,330200}'::credit.region_code[]) r;
SELECT '3302811022'::credit.region_code;
SELECT '33028110220１'::credit.region_code;
SELECT '33028110２'::credit.region_code;
SELECT '33028110220x'::credit.region_code;
SELECT '330281市'::credit.region_code;
SELECT '3302811022010'::credit.region_code;
SELECT v, credit.is_valid_region_code(v)
  FROM (VALUES ('330281102'), ('330281102201'), ('3302811022'), ('33028110220x'), ('330281市'), ('3302811022010'), ('330 81102201')) AS t(v);

-- casts
CREATE TEMP TABLE region_cast (t text, c credit.region_code);
INSERT INTO region_cast SELECT '330281'::credit.region_code, '330281'::text;
INSERT INTO region_cast SELECT '330281'::credit.region_code, '330281'::varchar;
SELECT t, c, t::credit.region_code OPERATOR(credit.=) c AS same FROM region_cast;
SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast
 WHERE 'credit.region_code'::regtype IN (castsource, casttarget) ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";

DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        EXECUTE $q$ DO $d$ BEGIN
            ASSERT pg_input_is_valid('330281', 'credit.region_code');
            ASSERT NOT pg_input_is_valid('33028', 'credit.region_code');
            ASSERT NOT pg_input_is_valid('33028x', 'credit.region_code');
        END $d$ $q$;
    END IF;
END
$$;
