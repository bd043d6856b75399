SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\pset format unaligned
\set ON_ERROR_ROLLBACK on
-- everything happens in a transaction that is rolled back: published models cannot be deleted
BEGIN;
CREATE FUNCTION pg_temp.fails(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE query INTO answer;
    RETURN 'no error: ' || coalesce(answer, 'null');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
-- a model of one characteristic "x"
CREATE FUNCTION pg_temp.card(name text, data_type text, attributes text, extra text DEFAULT '') RETURNS jsonb LANGUAGE sql AS $$
    SELECT format('{"name": %s, "use_reason_codes": false%s, "characteristics": [{"name": "x", "data_type": "%s", "attributes": %s}]}',
                  to_json(name), extra, data_type, attributes)::jsonb
$$;
SET LOCAL client_min_messages = error;
-- Random cards, overlapping and in any order, against the same card written as CASE expressions that try the attributes
-- one after the other: the compiled segments must give what "first match wins" says, for each type of column, and an
-- error where no attribute matches.
SELECT setseed(0.25);
CREATE TABLE random_row AS
SELECT i AS id, CASE WHEN random() > 0.1 THEN (random() * 12 - 6)::int2 END AS c_int2, CASE WHEN random() > 0.1 THEN (random() * 12 - 6)::int4 END AS c_int4,
       CASE WHEN random() > 0.1 THEN (random() * 12 - 6)::int8 END AS c_int8, CASE WHEN random() > 0.1 THEN (round((random() * 48 - 24)) / 4)::float4 END AS c_float4,
       CASE WHEN random() > 0.1 THEN round((random() * 48 - 24)) / 4 + (ARRAY[0, 1e-15, -1e-15])[1 + floor(random() * 3)] END AS c_float8,
       CASE WHEN random() > 0.1 THEN (round((random() * 48 - 24)) / 4)::numeric + (ARRAY[0, 1e-20, -1e-20])[1 + floor(random() * 3)] END AS c_numeric,
       CASE WHEN random() > 0.1 THEN (ARRAY['', 'a', 'b', 'ab', 'abc', 'abcd', 'abcdefgh', 'abcdefghi', '信用', '信用信用信用'])[1 + floor(random() * 10)] END AS c_text,
       CASE WHEN random() > 0.1 THEN random() > 0.5 END AS c_bool, CASE WHEN random() > 0.1 THEN date '2024-01-01' + (random() * 10)::int END AS c_date
  FROM generate_series(1, 300) i;

-- one random attribute list for a column: its definition and the CASE that says the same
CREATE FUNCTION pg_temp.random_attributes(c text, t text, OUT definition jsonb, OUT expression text) LANGUAGE plpgsql AS $$
DECLARE
    kind text;
    lo text;
    hi text;
    closure text;
    vals text[];
    points numeric;
    compared text := CASE WHEN t IN ('float4', 'float8') THEN c || '::float8' ELSE c END;
    cast_to text := CASE WHEN t IN ('float4', 'float8') THEN '::float8' WHEN t = 'date' THEN '::date' WHEN t = 'text' THEN '::text' WHEN t = 'bool' THEN '::bool' ELSE '::numeric' END;
    a jsonb;
BEGIN
    definition := '[]';
    expression := 'CASE';
    FOR i IN 1..1 + floor(random() * 7)::int LOOP
        kind := CASE WHEN t IN ('text', 'bool') OR random() < 0.3 THEN 'set' ELSE 'interval' END;
        points := (round(random() * 2000000 - 1000000) / 1000)::numeric;
        a := jsonb_build_object('kind', kind, 'points', points);
        IF kind = 'set' THEN
            SELECT array_agg(DISTINCT CASE t WHEN 'text' THEN (ARRAY['', 'a', 'b', 'ab', 'abc', 'abcd', 'abcdefgh', 'abcdefghi', '信用', '信用信用信用'])[1 + floor(random() * 10 + j * 0)]
                                      WHEN 'bool' THEN (random() + j * 0 > 0.5)::text WHEN 'date' THEN to_char(date '2024-01-01' + floor(random() * 11 + j * 0)::int, 'YYYY-MM-DD')
                                      ELSE (round(random() * 24 - 12 + j * 0) / 2)::numeric::text END)
              INTO vals FROM generate_series(1, 1 + floor(random() * 3)::int) j;
            a := a || jsonb_build_object('values', (SELECT jsonb_agg(CASE WHEN t IN ('text', 'date') THEN to_jsonb(v) ELSE v::jsonb END) FROM unnest(vals) v));
            expression := expression || format(' WHEN %s IN (%s) THEN %s', compared, (SELECT string_agg(quote_literal(v) || cast_to, ', ') FROM unnest(vals) v), points);
        ELSE
            IF t = 'date' THEN
                lo := to_char(date '2024-01-01' + floor(random() * 10)::int, 'YYYY-MM-DD');
                hi := to_char(lo::date + 1 + floor(random() * 5)::int, 'YYYY-MM-DD');
            ELSE
                lo := (round(random() * 24 - 12) / 2)::numeric::text;
                hi := (lo::numeric + 0.5 + round(random() * 12) / 2)::numeric::text;
            END IF;
            closure := (ARRAY['closedOpen', 'openClosed', 'openOpen', 'closedClosed'])[1 + floor(random() * 4)];
            a := a || jsonb_build_object('closure', closure);
            expression := expression || format(' WHEN %s IS NOT NULL', c);
            IF random() < 0.8 THEN
                a := a || jsonb_build_object('low', CASE t WHEN 'date' THEN to_jsonb(lo) ELSE lo::jsonb END);
                expression := expression || format(' AND %s %s %L%s', compared, CASE WHEN closure LIKE 'closed%' THEN '>=' ELSE '>' END, lo, cast_to);
            END IF;
            IF random() < 0.8 THEN
                a := a || jsonb_build_object('high', CASE t WHEN 'date' THEN to_jsonb(hi) ELSE hi::jsonb END);
                expression := expression || format(' AND %s %s %L%s', compared, CASE WHEN closure LIKE '%Closed' THEN '<=' ELSE '<' END, hi, cast_to);
            END IF;
            expression := expression || format(' THEN %s', points);
        END IF;
        definition := definition || a;
    END LOOP;
    IF random() < 0.9 THEN
        definition := definition || '[{"kind": "missing", "points": 0.5}]';
        expression := expression || format(' WHEN %s IS NULL THEN 0.5', c);
    END IF;
    IF random() < 0.9 THEN
        definition := definition || '[{"kind": "other", "points": -7}]';
        expression := expression || format(' WHEN %s IS NOT NULL THEN -7', c);
    END IF;
    expression := expression || ' END';
END
$$;
CREATE FUNCTION pg_temp.data_type(t text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE t WHEN 'text' THEN 'text' WHEN 'bool' THEN 'boolean' WHEN 'date' THEN 'date' ELSE 'number' END
$$;
CREATE FUNCTION pg_temp.score_or_null(model text, r random_row) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
    RETURN credit.score(model, r);
EXCEPTION WHEN SQLSTATE 'PC403' THEN
    RETURN NULL;
END
$$;
CREATE TABLE outcome (cards int, refused int, compared int, unmatched int, wrong int, wrong_by_columns int, wrong_explained int);
DO $$
DECLARE
    col record;
    attrs record;
    definition jsonb;
    expression text;
    model text;
    o outcome := (0, 0, 0, 0, 0, 0, 0);
    n record;
BEGIN
    FOR i IN 1..120 LOOP
        definition := '[]';
        expression := '3';
        FOR col IN SELECT attname::text AS c, atttypid::regtype::text AS full_type, substr(attname, 3) AS t FROM pg_attribute
                    WHERE attrelid = 'random_row'::regclass AND attnum > 1 AND random() < 0.4 LOOP
            LOOP
                attrs := pg_temp.random_attributes(col.c, col.t);
                BEGIN
                    PERFORM credit._check_definition(pg_temp.card('t', pg_temp.data_type(col.t), attrs.definition::text), false);
                    EXIT;
                EXCEPTION WHEN SQLSTATE 'PC402' THEN
                    -- an attribute that can never match
                    o.refused := o.refused + 1;
                END;
            END LOOP;
            definition := definition || jsonb_build_object('name', col.c, 'attributes', attrs.definition,
                'data_type', pg_temp.data_type(col.t));
            expression := expression || ' + ' || attrs.expression;
        END LOOP;
        CONTINUE WHEN definition = '[]';
        model := 'random ' || i;
        PERFORM credit.create_model(jsonb_build_object('name', model, 'use_reason_codes', false, 'initial_score', 3, 'characteristics', definition));
        PERFORM credit.publish_model(model);
        o.cards := o.cards + 1;
        EXECUTE format('SELECT count(*) AS compared, count(*) FILTER (WHERE expected IS NULL) AS unmatched,
                               count(*) FILTER (WHERE expected::float8 IS DISTINCT FROM got) AS wrong
                          FROM (SELECT (%s)::numeric AS expected, pg_temp.score_or_null(%L, r) AS got FROM random_row r) x', expression, model) INTO n;
        o.compared := o.compared + n.compared;
        o.unmatched := o.unmatched + n.unmatched;
        o.wrong := o.wrong + n.wrong;
        EXECUTE format('SELECT count(*) FILTER (WHERE x.e::float8 <> credit.score(%1$L, r)) AS by_columns,
                               count(*) FILTER (WHERE x.e <> (SELECT sum(points) FROM credit.explain(%1$L, r))) AS explained
                          FROM random_row r JOIN (SELECT id, (%2$s)::numeric AS e FROM random_row OFFSET 0) x USING (id) WHERE x.e IS NOT NULL', model, expression) INTO n;
        o.wrong_by_columns := o.wrong_by_columns + n.by_columns;
        o.wrong_explained := o.wrong_explained + n.explained;
    END LOOP;
    INSERT INTO outcome SELECT o.*;
END
$$;
SELECT cards > 40 AS enough_cards, refused > 0 AS some_refused, compared > 10000 AS enough_rows, unmatched > 1000 AS some_unmatched, compared - unmatched > 1000 AS some_matched,
       wrong, wrong_by_columns, wrong_explained FROM outcome;
ROLLBACK;
