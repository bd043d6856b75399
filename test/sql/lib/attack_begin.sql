-- What every attack begins with: :attack is the name of the file. Two banks, a department, two subjects; the bank has the
-- consent of the first and not of the second, whose records say SECRET in every column that can. "twin" has the same rows
-- as credit.record and no guard: what an attack gets there shows that it would work.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
\set bank :attack '_bank'
\set other :attack '_other'
\set tax :attack '_tax'
\set portal :attack '_portal'
CREATE ROLE :bank LOGIN;
CREATE ROLE :other;
CREATE ROLE :tax;
CREATE ROLE :portal;
GRANT credit_institution TO :bank, :other;
GRANT credit_provider TO :tax;
GRANT credit_portal TO :portal;
CREATE SCHEMA :attack AUTHORIZATION :bank;
GRANT ALL ON SCHEMA :attack TO PUBLIC;
SELECT credit.register_institution(:'bank', '甲银行', 'Bank A', 'commercial_bank', :'bank') AS bank_id,
       credit.register_institution(:'other', '乙银行', 'Bank B', 'commercial_bank', :'other') AS other_id,
       credit.register_institution(:'tax', '税务局', 'Tax office', 'tax', :'tax') AS tax_id,
       credit.register_subject(kind => 'village', code => replace(:'attack', '_', '-') || '-1', name => '甲村') AS s1,
       credit.register_subject(kind => 'village', code => replace(:'attack', '_', '-') || '-2', name => 'SECRET村') AS s2 \gset
SELECT credit.assign_category('tax_payment', :'tax') AS assigned \gset
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, status_reason, source_key, payload, batch_id)
SELECT s, c.category_id, :tax_id, DATE '2026-03-01' + n, CASE s WHEN :s1 THEN 'neutral' ELSE 'adverse' END,
       CASE s WHEN :s1 THEN 'plain' ELSE 'SECRET' END, CASE s WHEN :s1 THEN 'plain-' ELSE 'SECRET-' END || n,
       jsonb_build_object('whose', CASE s WHEN :s1 THEN 'open' ELSE 'SECRET' END, 'n', n,
                          'amount', CASE s WHEN :s1 THEN '1' ELSE 'SECRET' END), 0
  FROM unnest(ARRAY[:s1, :s2]::bigint[]) s, credit.category c, generate_series(1, 20) n
 WHERE c.code = 'tax_payment' AND (s = :s2 OR n <= 2);
ANALYZE credit.record;
SET ROLE :portal;
SELECT credit.grant_consent(:s1, :'bank', '{tax_payment}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') AS consent1,
       credit.grant_consent(:s2, :'other', '{tax_payment}', '{pre_loan}', now() - interval '1 hour', now() + interval '1 day') AS consent2 \gset
RESET ROLE;
-- A plain table of its own, not a child: nothing of ours may hang on it.
CREATE TABLE :attack.twin AS SELECT * FROM credit.record WHERE subject_id IN (:s1, :s2);
ANALYZE :attack.twin;
ALTER TABLE :attack.twin OWNER TO :bank;
GRANT SELECT ON :attack.twin TO PUBLIC;
SELECT set_config('search_path', :'attack' || ', public, pg_catalog', false) AS path,
       set_config('attack.s1', :'s1', false), set_config('attack.s2', :'s2', false) \gset
-- What saw a secret says so here, whatever becomes of its transaction.
CREATE SEQUENCE leaks;
GRANT ALL ON SEQUENCE leaks TO PUBLIC;
ALTER SEQUENCE leaks OWNER TO :bank;
CREATE FUNCTION leak(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$
BEGIN
    IF $1::text LIKE '%SECRET%' OR $1::text = current_setting('attack.s2') THEN
        PERFORM nextval(current_setting('attack.leaks')::regclass);
    END IF;
    RETURN true;
END
$$;
SELECT set_config('attack.leaks', :'attack' || '.leaks', false) AS path \gset
-- Runs statements as the current role and says how it ended and whether anything secret was seen: in a row, in an error
-- with its detail and hint, or by a function on the way. Access to the first subject is open.
CREATE FUNCTION attempt(statements text[], open_it boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s text;
    r pg_catalog.record;
    n bigint;
    seen boolean := false;
    ended text;
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM pg_catalog.setval(current_setting('attack.leaks')::regclass, 1, false);
    BEGIN
        IF open_it THEN
            PERFORM credit.open_access(current_setting('attack.s1')::bigint, 'pre_loan', '{tax_payment}');
        END IF;
        FOREACH s IN ARRAY statements LOOP
            IF s ~* '^\s*(SELECT|WITH|TABLE|VALUES|EXPLAIN|FETCH|EXECUTE|SHOW)' THEN
                n := 0;
                FOR r IN EXECUTE s LOOP
                    n := n + 1;
                    seen := seen OR r::text LIKE '%SECRET%';
                END LOOP;
                ended := CASE WHEN s ~* '^EXPLAIN' THEN 'planned' ELSE n || ' rows' END;
            ELSE
                EXECUTE s;
                ended := 'done';
            END IF;
        END LOOP;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'P9998';
    EXCEPTION
        WHEN SQLSTATE 'P9998' THEN NULL;
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS ended = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
                                    hint = PG_EXCEPTION_HINT;
            seen := seen OR concat(message, detail, hint) LIKE '%SECRET%';
    END;
    EXECUTE format('SELECT $1 OR is_called FROM %s', current_setting('attack.leaks')) INTO seen USING seen;
    RETURN ended || CASE WHEN seen THEN ', SECRET SEEN' ELSE ', nothing seen' END;
END
$$;
-- How one statement ends: the first row, or the SQLSTATE.
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r pg_catalog.record;
    first text;
BEGIN
    IF statement ~* '^(SELECT|FETCH|EXECUTE)' THEN
        FOR r IN EXECUTE statement LOOP
            first := coalesce(first, trim(r::text, '()'));
        END LOOP;
        RETURN coalesce(first, 'no row');
    END IF;
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
-- The same on the guarded table and on its twin: @T@ stands for the table, @S1@ and @S2@ for the subjects, @A@ for the schema, @N@ is another name each time.
CREATE FUNCTION attack(what text, VARIADIC statements text[]) RETURNS TABLE (attack text, guarded text, twin text) LANGUAGE plpgsql AS $$
DECLARE
    filled text[];
BEGIN
    SELECT array_agg(replace(replace(replace(s, '@S1@', current_setting('attack.s1')), '@S2@', current_setting('attack.s2')),
                             '@A@', split_part(current_setting('attack.leaks'), '.', 1)) ORDER BY n)
      INTO filled FROM unnest(statements) WITH ORDINALITY u(s, n);
    attack := what;
    guarded := attempt((SELECT array_agg(replace(replace(s, '@T@', 'credit.record'), '@N@', 'guarded') ORDER BY n) FROM unnest(filled) WITH ORDINALITY u(s, n)), true);
    IF array_to_string(statements, ' ') LIKE '%@T@%' THEN
        twin := attempt((SELECT array_agg(replace(replace(s, '@T@', 'twin'), '@N@', 'twin') ORDER BY n) FROM unnest(filled) WITH ORDINALITY u(s, n)), false);
    END IF;
    RETURN NEXT;
END
$$;
ALTER FUNCTION leak(anyelement) OWNER TO :bank;
SET ROLE :bank;
RESET client_min_messages;
\set VERBOSITY terse
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
