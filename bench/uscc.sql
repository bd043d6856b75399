-- COPY of 1,000,000 codes into uscc, against text alone, text with the regular expression that says what a code looks
-- like, and text with the check character verified in PL/pgSQL. Each round loads all four in turn.
-- psql variables: dir, a folder the server can write; rounds (default 5); codes (default 1000000).
\set ON_ERROR_STOP on
\set QUIET on
\if :{?rounds} \else \set rounds 5
\endif
\if :{?codes} \else \set codes 1000000
\endif
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
DROP SCHEMA IF EXISTS bench_uscc CASCADE;
CREATE SCHEMA bench_uscc;

CREATE FUNCTION bench_uscc.check_digit_is_right(code text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    symbols constant text := '0123456789ABCDEFGHJKLMNPQRTUWXY';
    weights constant int[] := '{1,3,9,27,19,26,16,17,20,29,25,13,8,24,10,30,28}';
    total int := 0;
    value int;
BEGIN
    IF length(code) <> 18 THEN
        RETURN false;
    END IF;
    FOR i IN 1..17 LOOP
        value := strpos(symbols, substr(code, i, 1)) - 1;
        IF value < 0 THEN
            RETURN false;
        END IF;
        total := total + value * weights[i];
    END LOOP;
    RETURN substr(code, 18, 1) = substr(symbols, (31 - total % 31) % 31 + 1, 1);
END
$$;

CREATE TABLE bench_uscc.plain (code text);
CREATE TABLE bench_uscc.regex (code text CHECK (code ~ '^[0-9A-HJ-NP-RTUWXY]{2}[0-9]{6}[0-9A-HJ-NP-RTUWXY]{10}$'));
CREATE TABLE bench_uscc.plpgsql (code text CHECK (bench_uscc.check_digit_is_right(code)));
CREATE TABLE bench_uscc.uscc (code credit.uscc);
CREATE TABLE bench_uscc.measured (variant text, seconds double precision);

-- Generated codes of an unassigned region (990000 and up), organisation parts that begin with MA.
CREATE TABLE bench_uscc.made AS
    SELECT code || credit.uscc_check_character(code) AS code
      FROM (SELECT '9199' || lpad((i % 10000)::text, 4, '0') || 'MA' || lpad(i::text, 7, '0') AS code
              FROM generate_series(1, :codes) i) s
     ORDER BY hashtext(code);
SELECT format('COPY bench_uscc.made TO %L', :'dir' || '/uscc.copy') AS command \gset
:command;
SELECT set_config('bench_uscc.dir', :'dir', false), set_config('bench_uscc.rounds', :'rounds', false) \gset ignored_
CHECKPOINT;

DO $$
DECLARE
    started timestamptz;
    variant text;
BEGIN
    FOR round IN 0..current_setting('bench_uscc.rounds')::int LOOP
        FOREACH variant IN ARRAY ARRAY['plain', 'uscc', 'regex', 'plpgsql'] LOOP
            EXECUTE format('TRUNCATE bench_uscc.%I', variant);
            COMMIT;
            started := clock_timestamp();
            EXECUTE format('COPY bench_uscc.%I FROM %L', variant, current_setting('bench_uscc.dir') || '/uscc.copy');
            -- round 0 warms up
            IF round > 0 THEN
                INSERT INTO bench_uscc.measured
                    VALUES (variant, extract(epoch FROM clock_timestamp() - started));
            END IF;
            COMMIT;
        END LOOP;
    END LOOP;
END
$$;

\pset footer off
\pset title 'COPY of generated codes: median of the rounds, and ratio to text without a check'
WITH median AS (
    SELECT variant, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds, min(seconds) AS fastest
      FROM bench_uscc.measured GROUP BY variant
)
SELECT label AS "column", round(m.seconds::numeric, 3) AS "median s", round(m.fastest::numeric, 3) AS "fastest s",
       round((m.seconds / p.seconds)::numeric, 2) AS "times plain text"
  FROM (VALUES (1, 'plain', 'text'), (2, 'uscc', 'credit.uscc'), (3, 'regex', 'text, CHECK regular expression'),
               (4, 'plpgsql', 'text, CHECK check digit in PL/pgSQL')) AS v(n, variant, label)
  JOIN median m USING (variant), (SELECT seconds FROM median WHERE variant = 'plain') p
 ORDER BY n;
\pset title
DROP SCHEMA bench_uscc CASCADE;
