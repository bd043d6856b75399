-- Which subjects there are, and which have records, is not told to who has no consent: a subject that does not exist, one
-- without consent and one whose consent does not suffice are refused alike. Timing is left aside.
\set attack attack_enumeration
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set begin :srcdir /sql/lib/attack_begin.sql
\set end :srcdir /sql/lib/attack_end.sql
\i :begin
\set ECHO all
-- An error with its words, without the numbers that are the caller's own.
CREATE FUNCTION words(statement text, subject bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail text;
    hint text;
    r pg_catalog.record;
    all_rows text := '';
BEGIN
    FOR r IN EXECUTE replace(statement, '@S@', subject::text) LOOP
        all_rows := all_rows || r::text || ';';
    END LOOP;
    RETURN 'rows ' || regexp_replace(replace(all_rows, subject::text, 'S'), '\d{3,}', 'N', 'g');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, regexp_replace(message, '\d+', 'N', 'g'), detail, regexp_replace(hint, '\d+', 'N', 'g'));
END
$$;
CREATE TEMP TABLE asked (n serial, statement text);
INSERT INTO asked (statement) VALUES
    ('SELECT * FROM credit.read(@S@::bigint, ''pre_loan'', ''{tax_payment}'')'),
    ('SELECT * FROM credit.open_access(@S@::bigint, ''pre_loan'', ''{tax_payment}'')'),
    ('SELECT * FROM credit.open_access(@S@::bigint, ''pre_loan'', ''{tax_payment,social_insurance}'')'),
    ('SELECT * FROM credit.open_access(@S@::bigint, ''no such'', ''{tax_payment}'')'),
    ('SELECT * FROM credit.open_access(@S@::bigint, ''pre_loan'', ''{no_such}'')'),
    ('SELECT subject_id = @S@ AS same, category, granted, reason, consent_id FROM credit.open_access(ARRAY[@S@]::bigint[], ''pre_loan'', ''{tax_payment}'')'),
    ('SELECT * FROM credit.read(ARRAY[@S@]::bigint[], ''pre_loan'', ''{tax_payment}'')'),
    ('SELECT count(*) FROM credit.read(ARRAY[@S@]::bigint[], ''pre_loan'', ''{tax_payment}'')'),
    ('SELECT * FROM credit.rating WHERE subject_id = @S@'),
    ('SELECT * FROM credit.subject WHERE subject_id = @S@'),
    ('SELECT credit.access_history(@S@)'),
    ('SELECT credit.erase_subject(@S@)'),
    ('WITH i AS (INSERT INTO credit.record (subject_id) VALUES (@S@) RETURNING 1) SELECT * FROM i'),
    ('WITH i AS (INSERT INTO credit.consent (subject_id) VALUES (@S@) RETURNING 1) SELECT * FROM i'),
    ('WITH i AS (INSERT INTO credit.subject_attribute (subject_id) VALUES (@S@) RETURNING 1) SELECT * FROM i'),
    ('SELECT credit.grant_consent(@S@, ''attack_enumeration_bank'', ''{tax_payment}'', ''{pre_loan}'', now(), now() + interval ''1 day'')'),
    ('SELECT credit.set_record_status(@S@, 1, ''disputed'', ''x'')');
SELECT statement, words(statement, :s2) AS without_consent, words(statement, :s2) = words(statement, 8999999999) AS as_unknown,
       words(statement, :s2) = words(statement, 9223372036854775807) AS as_the_last
  FROM asked ORDER BY n;
-- the instrument can tell: the subject that it has consent of
SELECT words(statement, :s1) = words(statement, :s2) AS the_same FROM asked ORDER BY n LIMIT 1;
-- with access to another subject open, and with the subject asked for among others
BEGIN;
SELECT granted FROM credit.open_access(:s1, 'pre_loan', '{tax_payment}');
SELECT n, words(s, :s2) = words(s, 8999999999) AS as_unknown
  FROM unnest(ARRAY['SELECT count(*) FROM credit.record WHERE subject_id = @S@',
                    'SELECT count(*) FROM credit.record WHERE subject_id = @S@ AND polarity = ''adverse''',
                    'SELECT count(*) FROM credit.record WHERE subject_id = @S@ AND source_key = ''SECRET-1''',
                    'SELECT EXISTS (SELECT FROM credit.record WHERE subject_id = @S@)',
                    'SELECT * FROM credit.record WHERE subject_id = @S@ FOR UPDATE',
                    'SELECT count(*) FROM credit.read(ARRAY[@S@, -2]::bigint[], ''pre_loan'', ''{tax_payment}'')']) WITH ORDINALITY u(s, n);
ROLLBACK;
-- with no access open at all: a query that finds no row says the same as one that finds some, whatever its plan
CREATE FUNCTION by_plan(plan text, OUT as_unknown boolean) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
            set_config('enable_indexonlyscan', 'off', true), set_config(plan, 'on', true);
    SELECT bool_and(words(s, current_setting('attack.s2')::bigint) = words(s, 8999999999)) INTO as_unknown
      FROM unnest(ARRAY['SELECT count(*) FROM credit.record WHERE subject_id = @S@',
                        'SELECT count(*) FROM credit.record WHERE subject_id = @S@ AND polarity = ''adverse''',
                        'SELECT EXISTS (SELECT FROM credit.record WHERE subject_id = @S@ AND dated = ''2026-03-02'')']) s;
END
$$;
SELECT p, by_plan(p) FROM unnest('{enable_seqscan,enable_indexscan,enable_bitmapscan,enable_indexonlyscan}'::text[]) p;
SELECT words('SELECT count(*) FROM credit.record WHERE subject_id = @S@', 8999999999) AS without_access;
-- of a category that is public by law every number is granted, and of one that is nobody's there is nothing
SELECT words(s, :s2) = words(s, 8999999999) AS as_unknown
  FROM (SELECT 'SELECT granted FROM credit.open_access(ARRAY[@S@]::bigint[], ''pre_loan'', ''{administrative_penalty}'')') x(s);
-- the same of a provider: another's record is as one that is not there
RESET ROLE;
SELECT min(record_id) AS theirs FROM credit.record WHERE subject_id = :s2 \gset
GRANT credit_provider TO :other;
SET ROLE :other;
SELECT words(format('SELECT credit.set_record_status(@S@, %s, ''disputed'', ''x'')', :theirs), :s2) = words('SELECT credit.set_record_status(@S@, 9000000000, ''disputed'', ''x'')', :s2) AS as_unknown,
       words('SELECT count(*) FROM credit.refused_rows(1)', 1) = words('SELECT count(*) FROM credit.refused_rows(9000000000)', 1) AS batch_as_unknown;
-- what the log says of it is for the auditor, and there the difference is
RESET ROLE;
SELECT reason, count(*) > 0 AS recorded FROM credit.audit_log WHERE actor = :'bank' AND kind = 'refusal' AND reason IN ('no_consent', 'unknown_subject') GROUP BY 1 ORDER BY 1;
\set ECHO none
\i :end
