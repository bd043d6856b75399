SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET datestyle = ISO;
-- Generated numbers of the unassigned region 99xxxx.

-- the independent checker of this test: ISO 7064 MOD 11-2 by its recursion, not by weights
CREATE FUNCTION pg_temp.expected(number text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    p int := 0;
BEGIN
    FOR i IN 1..17 LOOP
        p := (p + substr(number, i, 1)::int) * 2 % 11;
    END LOOP;
    RETURN substr('0123456789X', (12 - p) % 11 + 1, 1);
END
$$;
CREATE TEMP TABLE made AS
SELECT body, pg_temp.expected(body) AS expected
  FROM generate_series(0, 4999) i,
       LATERAL (SELECT lpad((i * 7919 % 1000000)::text, 6, '0') || to_char(date '1850-01-01' + i * 18, 'YYYYMMDD')
                       || lpad((i * 31 % 1000)::text, 3, '0')) AS x(body);
SELECT count(*), count(DISTINCT expected) AS check_characters,
       count(*) FILTER (WHERE credit.resident_id_check_character(body) = expected) AS as_by_the_formula,
       count(*) FILTER (WHERE credit.is_valid_resident_id(body || expected)) AS valid,
       count(*) FILTER (WHERE (body || expected)::credit.resident_id::text = body || expected) AS same_again,
       count(*) FILTER (WHERE lower(body || expected)::credit.resident_id::text = body || expected) AS folded
  FROM made;
SELECT count(*) AS tried, count(*) FILTER (WHERE credit.is_valid_resident_id(body || c)) AS accepted
  FROM made, unnest(string_to_array('0123456789XY', NULL)) c;
SELECT count(*) AS wrong_digits, count(*) FILTER (WHERE credit.is_valid_resident_id(wrong)) AS accepted
  FROM (SELECT body || expected AS number FROM made LIMIT 100) m, generate_series(1, 17) p, generate_series(0, 9) d,
       overlay(number PLACING d::text FROM p) wrong
 WHERE wrong <> number;

-- dates of birth
SELECT birth, credit.is_valid_resident_id('990001' || birth || '001' || pg_temp.expected('990001' || birth || '001')) AS valid
  FROM unnest('{18491231,18500101,19000228,19000229,20000229,19230229,19240229,19490431,19490631,19491301,19490001,19490100,19490132,20991231,21000101,00000000}'::text[]) birth;

-- parts
SELECT credit.region_of(r), credit.birth_date(r), credit.sex(r)
  FROM (SELECT (b || credit.resident_id_check_character(b))::credit.resident_id
          FROM unnest('{99000119491001001,11010319991231002,00000018500101999}'::text[]) b) AS v(r);
SELECT count(*) AS wrong_birth_dates FROM made
 WHERE to_char(credit.birth_date((body || expected)::credit.resident_id), 'YYYYMMDD') <> substr(body, 7, 8);

-- errors say where, but never repeat the number
SELECT credit.resident_id_check_character('99000119491001001') AS check_character;
SELECT '990001194910010010'::text::credit.resident_id;
SELECT '99000119491301001X'::text::credit.resident_id;
SELECT '99000l194910010010'::text::credit.resident_id;
SELECT '99000119491001001Y'::text::credit.resident_id;
SELECT '99000119491001001'::text::credit.resident_id;
SELECT '990001491001001'::text::credit.resident_id;
SELECT '9900011949100号0010'::text::credit.resident_id;
SELECT ''::credit.resident_id;
SELECT credit.resident_id_check_character('9900011949100100O');
SELECT credit.resident_id_check_character('9900');
CREATE TEMP TABLE number_in (r credit.resident_id);
DO $$
DECLARE
    message text; detail text; hint text; bad text;
BEGIN
    FOREACH bad IN ARRAY ARRAY['990001194910010010', '99000119491301001X', '99000119491001001Y', '990001491001001',
                               '9900011949100100108', '990001194910010O10'] LOOP
        BEGIN
            INSERT INTO number_in VALUES (bad::credit.resident_id);
            RAISE EXCEPTION 'accepted';
        EXCEPTION WHEN invalid_text_representation THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            ASSERT concat(message, detail, hint) !~ '9900|1949';
        END;
    END LOOP;
END
$$;
SELECT v, credit.is_valid_resident_id(v)
  FROM (VALUES (''), ('号'), (repeat('号', 6)), ('99000119491001001'), ('990001194910010011'), (NULL)) AS t(v);

-- a number does not slip into a text column
INSERT INTO number_in SELECT (body || expected)::credit.resident_id FROM made;
CREATE TEMP TABLE number_out (t text, v varchar(18), b char(18));
\set VERBOSITY sqlstate
INSERT INTO number_out (t) SELECT r FROM number_in;
INSERT INTO number_out (v) SELECT r FROM number_in;
INSERT INTO number_out (b) SELECT r FROM number_in;
INSERT INTO number_in SELECT body FROM made;
\set VERBOSITY default
SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast
 WHERE 'credit.resident_id'::regtype IN (castsource, casttarget) ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";

-- nor into the statistics
ALTER TABLE number_in ADD other int DEFAULT 1;
ANALYZE number_in;
SELECT attname FROM pg_stats WHERE tablename = 'number_in';

DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        EXECUTE $q$ DO $d$ BEGIN
            ASSERT NOT pg_input_is_valid('990001194910010010', 'credit.resident_id')
               AND NOT pg_input_is_valid('9900', 'credit.resident_id');
            ASSERT pg_input_is_valid('99000119491001001' || credit.resident_id_check_character('99000119491001001'), 'credit.resident_id');
        END $d$ $q$;
    END IF;
END
$$;
