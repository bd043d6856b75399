SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\pset format unaligned
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE FUNCTION pg_temp.fails(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    explanation text;
BEGIN
    EXECUTE query INTO answer;
    RETURN 'no error: ' || coalesce(answer, 'null');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS explanation = PG_EXCEPTION_DETAIL;
    RETURN regexp_replace(concat_ws(' / ', SQLSTATE || ' ' || SQLERRM, nullif(explanation, '')), '(Subject|record) \d+', '\1 N', 'g');
END
$$;
CREATE FUNCTION pg_temp.register(type text, query text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.fails(format('SELECT credit.register_indicator(%L, %L, %L)', 'ind_try', type, query))
$$;
CREATE ROLE ind_operator;
GRANT credit_operator TO ind_operator;
INSERT INTO credit.subject (kind, code) SELECT 'enterprise', 'ind-' || i FROM generate_series(1, 3) i;
CREATE TEMP TABLE s AS SELECT code, subject_id FROM credit.subject WHERE code LIKE 'ind-_';
GRANT SELECT ON s TO ind_operator;
INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
SELECT s.subject_id, c.category_id, 1, d, 'neutral', 'ind-' || d, jsonb_build_object('amount_paid', amount), 0
  FROM s, credit.category c, (VALUES (date '2026-01-10', 100), ('2026-02-10', 20), ('2026-03-10', 3)) v(d, amount)
 WHERE c.code = 'tax_payment' AND s.code <> 'ind-3';
-- ids stand as months in what is printed
CREATE FUNCTION pg_temp.months(ids bigint[]) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
    SELECT string_agg(to_char(dated, 'FMMM'), ',' ORDER BY dated) FROM credit.record WHERE record_id = ANY (ids)
$$;
-- registering: a version each time, by an operator
SET LOCAL ROLE ind_operator;
SELECT credit.register_indicator('ind_tax', 'number', $$SELECT subject_id, sum((payload ->> 'amount_paid')::numeric), array_agg(record_id)
    FROM credit.record_as_of WHERE subject_id = ANY ($1) AND category = 'tax_payment' AND dated > $2 - 365 GROUP BY subject_id$$, '纳税额', 'tax paid');
SELECT credit.register_indicator('ind_last', 'date', $$SELECT subject_id, max(dated), array_agg(record_id)
    FROM credit.record_as_of WHERE subject_id = ANY ($1) GROUP BY 1$$);
SELECT credit.register_indicator('ind_any', 'boolean', $$SELECT subject_id, true, NULL::bigint[] FROM credit.record_as_of WHERE subject_id = ANY ($1) GROUP BY 1$$);
SELECT credit.register_indicator('ind_kind', 'text', $$SELECT subject_id, kind, '{}'::bigint[] FROM credit.subject_as_of WHERE subject_id = ANY ($1)$$);
SELECT credit.register_indicator('ind_kind', 'text', $$SELECT subject_id, upper(kind), '{}'::bigint[] FROM credit.subject_as_of WHERE subject_id = ANY ($1)$$);
-- as of a day: nothing later counts, whatever the query says
SELECT s.code, d.day, i.indicator, i.version, i.type, i.value, pg_temp.months(i.record_ids) AS records
  FROM s, (VALUES (date '2026-01-09'), ('2026-02-10'), ('2026-03-31')) d(day), LATERAL credit.indicators_of(s.subject_id, d.day) i
 WHERE s.code IN ('ind-1', 'ind-3') AND i.indicator LIKE 'ind\_%' AND (s.code = 'ind-1' OR d.day = '2026-03-31') ORDER BY 1, 2, 3;
SELECT pg_temp.fails(format('SELECT value FROM credit.indicators_of(%s, current_date + 2)', (SELECT min(subject_id) FROM s)));
SELECT pg_temp.fails('SELECT value FROM credit.indicators_of(-1)');
RESET ROLE;
SELECT credit.register_indicator('ind_later', 'number', $$SELECT subject_id, count(*), array_agg(record_id) FROM credit.record_as_of
    WHERE subject_id = ANY ($1) AND dated > $2 GROUP BY 1$$);
SELECT count(*) FILTER (WHERE i.value IS NOT NULL) AS looks_into_the_future
  FROM s, LATERAL credit.indicators_of(s.subject_id, '2026-01-20') i WHERE i.indicator = 'ind_later';
SELECT credit.retire_indicator('ind_later');
SELECT pg_temp.fails('SELECT credit.retire_indicator(''ind_later'')');
-- disputed: shown as such, left out when asked; repaired and withdrawn: no effect; again active: as before
CREATE FUNCTION pg_temp.tax(leave_out boolean) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', i.value, pg_temp.months(i.record_ids), 'disputed: ' || pg_temp.months(i.disputed_ids))
      FROM s, LATERAL credit.indicators_of(s.subject_id, '2026-03-31', leave_out) i WHERE s.code = 'ind-1' AND i.indicator = 'ind_tax'
$$;
SELECT status, pg_temp.tax(false) AS with_disputed, pg_temp.tax(true) AS without FROM (VALUES ('disputed'), ('repaired'), ('withdrawn'), ('active')) v(status),
       LATERAL (SELECT credit.set_record_status(r.subject_id, r.record_id, v.status, 'test') FROM credit.record r JOIN s USING (subject_id)
                 WHERE s.code = 'ind-1' AND r.dated = '2026-02-10') c;
-- history: a row for each change, none for the same again
SELECT v.without_disputed, v.value, pg_temp.months(v.record_ids) AS records
  FROM credit.indicator_value v JOIN s USING (subject_id) JOIN credit.indicator i USING (indicator_id)
 WHERE s.code = 'ind-1' AND i.code = 'ind_tax' AND v.as_of = '2026-03-31' ORDER BY v.computed_at;
-- the order in which a query names its records says nothing
SELECT pg_temp.register('number', 'SELECT subject_id, 1, array_agg(record_id ORDER BY dated) || array_agg(record_id ORDER BY dated DESC) FROM credit.record_as_of WHERE subject_id = ANY ($1) GROUP BY 1');
SELECT i.record_ids = ARRAY(SELECT DISTINCT u FROM unnest(i.record_ids) u ORDER BY 1) AS in_order, cardinality(i.record_ids) > 1 AS many
  FROM s, LATERAL credit.indicators_of(s.subject_id, '2026-03-31') i WHERE s.code = 'ind-1' AND i.indicator = 'ind_try';
-- what a query may not do
SELECT pg_temp.register('number', 'SELECT 1::bigint, 1, NULL::bigint[]; SELECT 2');
SELECT pg_temp.register('number', 'DELETE FROM credit.record RETURNING 1::bigint, 1, NULL::bigint[]');
SELECT pg_temp.register('number', 'WITH d AS (DELETE FROM credit.record RETURNING 1) SELECT 1::bigint, 1, NULL::bigint[]');
SELECT pg_temp.register('number', 'SELECT subject_id, 1, NULL::bigint[] FROM credit.subject_as_of FOR UPDATE');
SELECT pg_temp.register('number', 'SELECT 1::bigint, random(), NULL::bigint[]');
SELECT pg_temp.register('number', 'SELECT 1::bigint, 1, NULL::bigint[] WHERE now() > $2');
SELECT pg_temp.register('number', 'SELECT 1::bigint, 1, NULL::bigint[] WHERE (SELECT CURRENT_DATE) > $2');
SELECT pg_temp.register('text', 'SELECT 1::bigint, current_user::text, NULL::bigint[]');
SELECT pg_temp.register('number', 'SELECT 1::bigint, 1, NULL::bigint[] WHERE nextval(''credit.record_record_id_seq'') > 0');
SELECT pg_temp.register('number', 'SELECT 1::bigint, 1, NULL::bigint[] WHERE credit._is_operator()');
SELECT pg_temp.register('number', 'SELECT 1, 1, NULL::bigint[]');
SELECT pg_temp.register('number', 'SELECT 1::bigint, ''x''::text, NULL::bigint[]');
SELECT pg_temp.register('date', 'SELECT 1::bigint, now(), NULL::bigint[]');
SELECT pg_temp.register('colour', 'SELECT 1');
SELECT pg_temp.register('number', 'SELECT subject_id, 1, NULL::bigint[] FROM credit.record');
SELECT pg_temp.register('number', 'SELECT subject_id, 1, NULL::bigint[] FROM credit.subject');
SELECT pg_temp.register('number', 'SELECT subject_id, 1, NULL::bigint[] FROM pg_temp.s');
CREATE FUNCTION public.ind_own() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE VIEW public.ind_view AS SELECT * FROM credit.record;
GRANT SELECT ON public.ind_view TO credit_indicator;
SELECT pg_temp.register('number', 'SELECT 1::bigint, public.ind_own(), NULL::bigint[]');
SELECT pg_temp.register('number', 'SELECT subject_id, 1, NULL::bigint[] FROM public.ind_view');
-- a table that an administrator opened to indicators, and a name that changes its meaning later
CREATE TABLE public.ind_loan (subject_id bigint, amount numeric);
GRANT SELECT ON public.ind_loan TO credit_indicator;
INSERT INTO public.ind_loan SELECT subject_id, 5000 FROM s;
SELECT pg_temp.register('number', 'SELECT subject_id, sum(amount), NULL::bigint[] FROM public.ind_loan WHERE subject_id = ANY ($1) GROUP BY 1');
SELECT i.value FROM s, LATERAL credit.indicators_of(s.subject_id) i WHERE s.code = 'ind-1' AND i.indicator = 'ind_try';
DROP TABLE public.ind_loan;
CREATE VIEW public.ind_loan AS SELECT subject_id, 1::numeric AS amount FROM credit.record;
GRANT SELECT ON public.ind_loan TO credit_indicator;
SELECT pg_temp.fails('SELECT i.value FROM s, LATERAL credit.indicators_of(s.subject_id) i WHERE i.indicator = ''ind_try''');
-- what it returns is checked: subjects not asked for, twice, records of others or from later
SELECT pg_temp.register('number', 'SELECT -1::bigint, 1, NULL::bigint[]');
SELECT pg_temp.fails('SELECT i.value FROM s, LATERAL credit.indicators_of(s.subject_id) i');
SELECT pg_temp.register('number', 'SELECT subject_id, 1, NULL::bigint[] FROM credit.subject_as_of, generate_series(1, 2) WHERE subject_id = ANY ($1)');
SELECT pg_temp.fails('SELECT i.value FROM s, LATERAL credit.indicators_of(s.subject_id) i');
SELECT pg_temp.register('number', 'SELECT subject_id, 1, ARRAY[0::bigint] FROM credit.subject_as_of WHERE subject_id = ANY ($1)');
SELECT pg_temp.fails('SELECT i.value FROM s, LATERAL credit.indicators_of(s.subject_id) i');
SELECT pg_temp.register('number', format('SELECT subject_id, 1, ARRAY[%s::bigint] FROM credit.subject_as_of WHERE subject_id = ANY ($1)', r.record_id))
  FROM credit.record r JOIN s USING (subject_id) WHERE s.code = 'ind-1' AND r.dated = '2026-03-10';
SELECT pg_temp.fails('SELECT i.value FROM s, LATERAL credit.indicators_of(s.subject_id, ''2026-02-01'') i WHERE s.code = ''ind-1''');
-- the views are empty for everybody at any other time, also after a failure; so they are for the role itself
SELECT (SELECT count(*) FROM credit.record_as_of) AS records, (SELECT count(*) FROM credit.attribute_as_of) AS attributes, (SELECT count(*) FROM credit.subject_as_of) AS subjects;
SET LOCAL ROLE credit_indicator;
SELECT count(*) FROM credit.record_as_of;
RESET ROLE;
-- attributes: what begins later is not there, and when it will end is not known
SELECT credit.set_subject_attribute(s.subject_id, 'high_tech_enterprise', '2026-02-01', '2026-06-01') FROM s, credit.subject_kind k WHERE s.code = 'ind-1' AND k.code = 'high_tech_enterprise';
SELECT pg_temp.register('text', $$SELECT subject_id, string_agg(concat_ws(' ', kind_code, valid_from, valid_to), ','), NULL::bigint[] FROM credit.attribute_as_of WHERE subject_id = ANY ($1) GROUP BY 1$$);
SELECT d.day, i.value FROM s, (VALUES (date '2026-01-31'), ('2026-03-01'), ('2026-07-01')) d(day), LATERAL credit.indicators_of(s.subject_id, d.day) i
 WHERE s.code = 'ind-1' AND i.indicator = 'ind_try' ORDER BY 1;
-- an erased subject has none
UPDATE credit.subject SET log_salt = '\x00112233445566778899aabbccddeeff' WHERE code = 'ind-1';
SELECT count(*) FROM credit.indicator_value JOIN s USING (subject_id) WHERE s.code = 'ind-1';
ROLLBACK;
