SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set SHOW_CONTEXT never
-- All codes here are generated, of the unassigned region 99xxxx, but for the pilot code, which is an example in print.

-- input and output; lower case is folded
SELECT '91990001MA000000XG'::credit.uscc, '91990001ma000000xg'::credit.uscc AS folded;
SELECT credit.uscc_check_character('91990001MA000000X') AS check_character;

-- the independent checker of this test: the standard's formula in PL/pgSQL
CREATE FUNCTION pg_temp.expected(code text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    symbols constant text := '0123456789ABCDEFGHJKLMNPQRTUWXY';
    total numeric := 0;
BEGIN
    FOR i IN 1..17 LOOP
        total := total + (strpos(symbols, substr(code, i, 1)) - 1) * (3::numeric ^ (i - 1)) % 31;
    END LOOP;
    RETURN substr(symbols, ((31 - total % 31) % 31)::int + 1, 1);
END
$$;

-- every symbol in every position where it may stand: check character as by the formula; only that one accepted
CREATE TEMP TABLE made AS
SELECT position, symbol, body, pg_temp.expected(body) AS expected
  FROM generate_series(1, 17) position,
       unnest(string_to_array('0123456789ABCDEFGHJKLMNPQRTUWXY', NULL)) symbol,
       overlay('91990001MA0000072' PLACING symbol FROM position) body
 WHERE position NOT BETWEEN 3 AND 8 OR symbol BETWEEN '0' AND '9';
SELECT count(*) AS made, count(DISTINCT expected) AS check_characters,
       count(*) FILTER (WHERE credit.uscc_check_character(body) = expected) AS as_by_the_formula,
       count(*) FILTER (WHERE credit.is_valid_uscc(body || expected)) AS valid,
       count(*) FILTER (WHERE (body || expected)::credit.uscc::text = body || expected) AS same_again,
       count(*) FILTER (WHERE lower(body || expected)::credit.uscc::text = body || expected) AS folded
  FROM made;
SELECT count(*) AS tried, count(*) FILTER (WHERE credit.is_valid_uscc(body || c)) AS accepted
  FROM made, unnest(string_to_array('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', NULL)) c;

-- every single wrong character and every swap of two different neighbours is found
SELECT count(*) AS wrong_characters, count(*) FILTER (WHERE credit.is_valid_uscc(wrong)) AS accepted
  FROM (SELECT DISTINCT body || expected AS code FROM made WHERE position IN (9, 17)) m,
       generate_series(1, 18) p, unnest(string_to_array('0123456789ABCDEFGHJKLMNPQRTUWXY', NULL)) symbol,
       overlay(code PLACING symbol FROM p) wrong
 WHERE wrong <> code;
SELECT count(*) AS swaps, count(*) FILTER (WHERE credit.is_valid_uscc(wrong)) AS accepted
  FROM (SELECT DISTINCT body || expected AS code FROM made) m, generate_series(1, 17) p,
       overlay(code PLACING substr(code, p + 1, 1) || substr(code, p, 1) FROM p) wrong
 WHERE wrong <> code;

-- every ASCII character in every position: a symbol, or refused
SELECT p AS position, string_agg(chr(c), '' ORDER BY c) AS accepted
  FROM generate_series(1, 17) p, generate_series(1, 127) c, overlay('91990001MA0000072' PLACING chr(c) FROM p) body
 WHERE EXISTS (SELECT FROM unnest(string_to_array('0123456789ABCDEFGHJKLMNPQRTUWXY', NULL)) d
                WHERE credit.is_valid_uscc(body || d))
 GROUP BY p ORDER BY p;

-- errors say what is wrong and where
SELECT '91990001MA000000X0'::credit.uscc;
SELECT '91990001MA0I0000XK'::credit.uscc;
SELECT '9199000XMA000000XK'::credit.uscc;
SELECT '91990001MA000000X-'::credit.uscc;
SELECT ' 91990001MA000000X'::credit.uscc;
SELECT '9199000号MA000000XK'::credit.uscc;
SELECT '企独苏苏办字第0037'::credit.uscc;
SELECT '91990001号号号0'::credit.uscc; -- 18 bytes, 12 characters
SELECT '320100000015635'::credit.uscc;
SELECT ''::credit.uscc;
SELECT repeat('91990001MA', 100000)::credit.uscc;
SELECT repeat('号', 100)::text::credit.uscc;
SELECT credit.uscc_check_character('91990001MA00000');
SELECT credit.uscc_check_character('91990001MA00000OX');

-- a pilot code is legal but no uscc
SELECT '91350100M0001TGQXM'::credit.uscc;
SELECT v.code, credit.is_pilot_uscc(v.code), credit.is_valid_uscc(v.code)
  FROM (VALUES ('91350100M0001TGQXM'), ('91350100m0001tgqxm'), ('91350100M0001TGQX1'), ('91350100M0011TGQXM'),
               ('91350100M0001TGQXO'), ('9135010XM0001TGQXM'), ('91350100M0001TGQX'), (''), (NULL)) AS v(code);

-- is_valid_uscc raises for nothing
SELECT credit.is_valid_uscc(NULL) AS null_in;
SELECT credit.is_valid_uscc(v) FROM (VALUES (''), (' '), ('号'), (repeat('号', 6)), (repeat('号', 18)), (E'\u0001'), ('无'),
    (repeat('9', 17)), (repeat('9', 19)), (repeat('A', 10000000)), (U&'\+01F4A9' || '91990001MA0000')) AS t(v);
CREATE TEMP TABLE long_text (v text);
ALTER TABLE long_text ALTER v SET STORAGE EXTERNAL;
INSERT INTO long_text SELECT string_agg(md5(i::text), '') FROM generate_series(1, 100000) i;
ALTER TABLE long_text ALTER v SET STORAGE EXTENDED;
INSERT INTO long_text SELECT repeat('91990001MA000000XK', 200000);
SELECT credit.is_valid_uscc(v), credit.is_pilot_uscc(v), credit.is_valid_resident_id(v), credit.is_valid_region_code(v)
  FROM long_text;

-- parts: the region may be gone or never have been; 92 leads sole traders; the organisation's own check digit is free
CREATE TEMP TABLE parts AS
SELECT (body || credit.uscc_check_character(body))::credit.uscc AS code
  FROM (VALUES ('91990001MA000000X'), ('92990001MA000000X'), ('93110103MA0000000'), ('N2000000MF0000001'),
               ('91990001000000000'), ('91990001000000001')) AS v(body);
SELECT code, credit.region_of(code), credit.is_natural_person(code), credit.organization_code(code) FROM parts ORDER BY code;

-- casts: explicit and by assignment, never implicit, so = is not ambiguous
CREATE TEMP TABLE cast_target (t text, c credit.uscc);
INSERT INTO cast_target SELECT code, code::text FROM parts;
INSERT INTO cast_target SELECT code, code::text::varchar FROM parts;
SELECT count(*) FROM cast_target WHERE t = c::text AND t::credit.uscc OPERATOR(credit.=) c;
SET search_path = credit, public;
SELECT count(*) FROM cast_target WHERE c = '91990001ma000000xg';
\set VERBOSITY sqlstate
SELECT count(*) FROM cast_target WHERE c = t;
INSERT INTO cast_target (c) VALUES ('无'::text);
RESET search_path;
\set VERBOSITY default
SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast
 WHERE 'credit.uscc'::regtype IN (castsource, casttarget) ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";

-- soft errors from 16 on
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        EXECUTE $q$ DO $d$ BEGIN
            ASSERT pg_input_is_valid('91990001MA000000XG', 'credit.uscc') = credit.is_valid_uscc('91990001MA000000XG');
            ASSERT NOT pg_input_is_valid('91990001MA000000X0', 'credit.uscc');
            ASSERT NOT pg_input_is_valid('无', 'credit.uscc');
            ASSERT (SELECT sql_error_code FROM pg_input_error_info('', 'credit.uscc')) = '22P02';
        END $d$ $q$;
    END IF;
END
$$;
