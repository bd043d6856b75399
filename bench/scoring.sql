-- Table, model and queries of bench/30_score.sh; :rows rows, 20 characteristics. Needs a database that has the extension.
--
-- The CASE adds integers, the fastest that CASE can do, and tests each bound once. Python gets each column in a fixed width,
-- so that numpy reads a whole buffer in one call.
SET client_min_messages = warning;
SET timezone = 'Asia/Shanghai';

DROP SCHEMA IF EXISTS scoring_bench CASCADE;
CREATE SCHEMA scoring_bench;
CREATE TABLE scoring_bench.applicant (
    id bigint PRIMARY KEY,
    age integer, years_in_business integer, employees integer, open_loans smallint,
    revenue numeric(14,2), tax_paid numeric(14,2), debt_ratio float8, utilisation float8,
    industry text, ownership text, on_list boolean, registered date,
    insured integer, invoices integer, late_bills smallint, power_use numeric(12,1), export_share float8, tax_grade text,
    in_park boolean, last_return date);
SELECT setseed(0.5) \g /dev/null
INSERT INTO scoring_bench.applicant
SELECT i, 18 + (random() * 60)::integer,
       CASE WHEN random() < 0.95 THEN (random() * 30)::integer END,
       (random() * random() * 500)::integer,
       (random() * 8)::smallint,
       (random() * random() * 20000000)::numeric(14,2),
       CASE WHEN random() < 0.9 THEN (random() * random() * 1000000)::numeric(14,2) END,
       random() * 1.5,
       CASE WHEN random() < 0.97 THEN random() END,
       (ARRAY['farming','manufacturing','retail','catering','transport','software','construction','services'])[1 + (random() * 7.99)::integer % 8],
       (ARRAY['private','individual','collective','state','foreign'])[1 + (random() * 4.99)::integer % 5],
       random() < 0.03,
       DATE '1995-01-01' + (random() * 10000)::integer,
       (random() * random() * 400)::integer,
       CASE WHEN random() < 0.98 THEN (random() * random() * 2000)::integer END,
       (random() * random() * 12)::smallint,
       CASE WHEN random() < 0.9 THEN (random() * random() * 300000)::numeric(12,1) END,
       random() * random(),
       (ARRAY['A','B','C','D','M'])[1 + (random() * 4.99)::integer % 5],
       random() < 0.2,
       CASE WHEN random() < 0.97 THEN DATE '2024-01-01' + (random() * 700)::integer END
  FROM generate_series(1, :rows) i;
VACUUM (ANALYZE, FREEZE) scoring_bench.applicant;

-- one list of rules, from which all are made
CREATE TABLE scoring_bench.rule (c text, place integer, kind text, high text, vals text[], points integer);
INSERT INTO scoring_bench.rule VALUES
 ('age',1,'interval','23',NULL,5), ('age',2,'interval','30',NULL,18), ('age',3,'interval','40',NULL,27),
 ('age',4,'interval','50',NULL,33), ('age',5,'interval','60',NULL,38), ('age',6,'interval',NULL,NULL,31),
 ('years_in_business',1,'missing',NULL,NULL,12), ('years_in_business',2,'interval','1',NULL,3), ('years_in_business',3,'interval','3',NULL,14),
 ('years_in_business',4,'interval','5',NULL,25), ('years_in_business',5,'interval','10',NULL,36), ('years_in_business',6,'interval',NULL,NULL,45),
 ('employees',1,'interval','5',NULL,10), ('employees',2,'interval','20',NULL,18), ('employees',3,'interval','50',NULL,26),
 ('employees',4,'interval','200',NULL,33), ('employees',5,'interval',NULL,NULL,39),
 ('open_loans',1,'interval','1',NULL,30), ('open_loans',2,'interval','2',NULL,38), ('open_loans',3,'interval','4',NULL,25),
 ('open_loans',4,'interval','6',NULL,12), ('open_loans',5,'interval',NULL,NULL,2),
 ('revenue',1,'interval','100000',NULL,6), ('revenue',2,'interval','500000',NULL,15), ('revenue',3,'interval','2000000',NULL,27),
 ('revenue',4,'interval','10000000',NULL,38), ('revenue',5,'interval',NULL,NULL,47),
 ('tax_paid',1,'missing',NULL,NULL,8), ('tax_paid',2,'interval','1000',NULL,5), ('tax_paid',3,'interval','20000',NULL,17),
 ('tax_paid',4,'interval','100000',NULL,29), ('tax_paid',5,'interval','400000',NULL,38), ('tax_paid',6,'interval',NULL,NULL,44),
 ('debt_ratio',1,'interval','0.2',NULL,48), ('debt_ratio',2,'interval','0.4',NULL,40), ('debt_ratio',3,'interval','0.6',NULL,29),
 ('debt_ratio',4,'interval','0.8',NULL,17), ('debt_ratio',5,'interval','1',NULL,7), ('debt_ratio',6,'interval',NULL,NULL,0),
 ('utilisation',1,'missing',NULL,NULL,15), ('utilisation',2,'interval','0.1',NULL,35), ('utilisation',3,'interval','0.3',NULL,41),
 ('utilisation',4,'interval','0.5',NULL,30), ('utilisation',5,'interval','0.75',NULL,18), ('utilisation',6,'interval',NULL,NULL,4),
 ('industry',1,'set',NULL,'{software}',37), ('industry',2,'set',NULL,'{manufacturing,services}',30),
 ('industry',3,'set',NULL,'{farming,transport}',22), ('industry',4,'set',NULL,'{retail,catering,construction}',14),
 ('ownership',1,'set',NULL,'{state,collective}',30), ('ownership',2,'set',NULL,'{private,foreign}',24), ('ownership',3,'other',NULL,NULL,16),
 ('on_list',1,'set',NULL,'{true}',-120), ('on_list',2,'set',NULL,'{false}',0),
 ('registered',1,'interval','2000-01-01',NULL,40), ('registered',2,'interval','2008-01-01',NULL,33), ('registered',3,'interval','2014-01-01',NULL,25),
 ('registered',4,'interval','2019-01-01',NULL,16), ('registered',5,'interval',NULL,NULL,9),
 ('insured',1,'interval','3',NULL,4), ('insured',2,'interval','10',NULL,13), ('insured',3,'interval','50',NULL,24),
 ('insured',4,'interval','150',NULL,31), ('insured',5,'interval',NULL,NULL,36),
 ('invoices',1,'missing',NULL,NULL,7), ('invoices',2,'interval','10',NULL,3), ('invoices',3,'interval','60',NULL,12),
 ('invoices',4,'interval','240',NULL,22), ('invoices',5,'interval','900',NULL,30), ('invoices',6,'interval',NULL,NULL,35),
 ('late_bills',1,'interval','1',NULL,34), ('late_bills',2,'interval','2',NULL,21), ('late_bills',3,'interval','4',NULL,9),
 ('late_bills',4,'interval',NULL,NULL,-15),
 ('power_use',1,'missing',NULL,NULL,10), ('power_use',2,'interval','500.5',NULL,6), ('power_use',3,'interval','5000',NULL,14),
 ('power_use',4,'interval','40000',NULL,23), ('power_use',5,'interval','120000',NULL,29), ('power_use',6,'interval',NULL,NULL,33),
 ('export_share',1,'interval','0.05',NULL,11), ('export_share',2,'interval','0.25',NULL,18), ('export_share',3,'interval','0.5',NULL,22),
 ('export_share',4,'interval','0.75',NULL,19), ('export_share',5,'interval',NULL,NULL,13),
 ('tax_grade',1,'set',NULL,'{A}',45), ('tax_grade',2,'set',NULL,'{B,M}',28), ('tax_grade',3,'set',NULL,'{C}',10), ('tax_grade',4,'other',NULL,NULL,-30),
 ('in_park',1,'set',NULL,'{true}',12), ('in_park',2,'set',NULL,'{false}',5),
 ('last_return',1,'missing',NULL,NULL,-20), ('last_return',2,'interval','2024-07-01',NULL,0), ('last_return',3,'interval','2025-01-01',NULL,9),
 ('last_return',4,'interval','2025-07-01',NULL,18), ('last_return',5,'interval',NULL,NULL,26);

CREATE VIEW scoring_bench.characteristic AS
SELECT a.attnum AS place, a.attname::text AS c, a.atttypid::regtype::text AS type,
       CASE a.atttypid::regtype::text WHEN 'text' THEN 'text' WHEN 'boolean' THEN 'boolean' WHEN 'date' THEN 'date' ELSE 'number' END AS data_type
  FROM pg_attribute a WHERE attrelid = 'scoring_bench.applicant'::regclass AND attnum > 1 AND NOT attisdropped;

-- the model
SELECT credit.create_model(jsonb_build_object('name', 'scoring_bench', 'use_reason_codes', false, 'initial_score', 200,
    'characteristics', (SELECT jsonb_agg(jsonb_build_object('name', k.c, 'data_type', k.data_type, 'attributes',
        (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('kind', r.kind, 'points', r.points,
            'closure', CASE r.kind WHEN 'interval' THEN 'closedOpen' END,
            'low', CASE k.data_type WHEN 'date' THEN to_jsonb(r.low) ELSE to_jsonb(r.low::numeric) END,
            'high', CASE k.data_type WHEN 'date' THEN to_jsonb(r.high) ELSE to_jsonb(r.high::numeric) END,
            'values', CASE k.data_type WHEN 'boolean' THEN to_jsonb(r.vals::boolean[]) ELSE to_jsonb(r.vals) END)) ORDER BY r.place)
           FROM (SELECT r.*, lag(high) OVER (ORDER BY r.place) AS low FROM scoring_bench.rule r WHERE r.c = k.c) r)) ORDER BY k.place)
      FROM scoring_bench.characteristic k))) \g /dev/null
SELECT credit.publish_model('scoring_bench') \g /dev/null

-- the CASE expression and the function
SELECT '200 + ' || string_agg(format('CASE %s END', w.whens), ' + ' ORDER BY k.place) AS case_expression
  FROM scoring_bench.characteristic k,
       LATERAL (SELECT string_agg(CASE r.kind
                    WHEN 'missing' THEN format('WHEN %s IS NULL THEN %s', k.c, r.points)
                    WHEN 'other' THEN format('ELSE %s', r.points)
                    WHEN 'set' THEN CASE WHEN k.type = 'boolean' THEN format('WHEN %s%s THEN %s', CASE r.vals[1] WHEN 'false' THEN 'NOT ' END, k.c, r.points)
                                         ELSE format('WHEN %s IN (%s) THEN %s', k.c, (SELECT string_agg(quote_literal(v), ', ') FROM unnest(r.vals) v), r.points) END
                    ELSE CASE WHEN r.high IS NULL THEN format('ELSE %s', r.points)
                              ELSE format('WHEN %s < %s THEN %s', k.c, CASE WHEN k.data_type = 'date' THEN quote_literal(r.high) ELSE r.high END, r.points) END
                    END, ' ' ORDER BY r.place) AS whens
                  FROM scoring_bench.rule r WHERE r.c = k.c) w \gset

SELECT format($f$CREATE FUNCTION scoring_bench.plpgsql_score(%s) RETURNS integer LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $b$
DECLARE score integer := 200;
BEGIN
%s
    RETURN score;
END $b$ $f$, string_agg(format('%I %s', k.c, k.type), ', ' ORDER BY k.place),
       string_agg(w.ifs, E'\n' ORDER BY k.place))
  FROM scoring_bench.characteristic k,
       LATERAL (SELECT string_agg(format('%s THEN score := score + %s;', CASE r.kind
                    WHEN 'missing' THEN format('%s %s IS NULL', CASE r.place WHEN 1 THEN 'IF' ELSE 'ELSIF' END, k.c)
                    WHEN 'other' THEN 'ELSE'
                    WHEN 'set' THEN CASE WHEN k.type = 'boolean' THEN format('%s %s%s', CASE r.place WHEN 1 THEN 'IF' ELSE 'ELSIF' END, CASE r.vals[1] WHEN 'false' THEN 'NOT ' END, k.c)
                                         ELSE format('%s %s IN (%s)', CASE r.place WHEN 1 THEN 'IF' ELSE 'ELSIF' END, k.c, (SELECT string_agg(quote_literal(v), ', ') FROM unnest(r.vals) v)) END
                    ELSE CASE WHEN r.high IS NULL THEN 'ELSE'
                              ELSE format('%s %s < %s', CASE r.place WHEN 1 THEN 'IF' ELSE 'ELSIF' END, k.c, CASE WHEN k.data_type = 'date' THEN quote_literal(r.high) ELSE r.high END) END
                    END, r.points), E'\n' ORDER BY r.place) || E'\nEND IF;' AS ifs
                  FROM scoring_bench.rule r WHERE r.c = k.c) w \gset f_
SELECT replace(:'f_format', 'ELSE THEN', 'ELSE') AS create_function \gset
:create_function;

-- What Python gets: numbers as float8, NaN where there is none (days for dates), texts in a width that holds them.
CREATE TABLE scoring_bench.query (name text PRIMARY KEY, query text);
INSERT INTO scoring_bench.query VALUES
 ('bare', 'SELECT sum(age) FROM scoring_bench.applicant a'),
 ('score', 'SELECT sum(credit.score(''scoring_bench'', a)) FROM scoring_bench.applicant a'),
 ('case', format('SELECT sum(%s) FROM scoring_bench.applicant a', :'case_expression')),
 ('plpgsql', (SELECT format('SELECT sum(scoring_bench.plpgsql_score(%s)) FROM scoring_bench.applicant a', string_agg(c, ', ' ORDER BY place))
                FROM scoring_bench.characteristic)),
 ('copy', (SELECT format('COPY (SELECT %s FROM scoring_bench.applicant a) TO STDOUT (FORMAT binary)', string_agg(CASE k.data_type
                             WHEN 'text' THEN format('COALESCE(%I, '''')::character(16)', c)
                             WHEN 'date' THEN format('COALESCE((%I - DATE ''2000-01-01'')::float8, ''NaN'')', c)
                             WHEN 'boolean' THEN format('COALESCE(%I::integer::float8, ''NaN'')', c)
                             ELSE format('COALESCE(%I::float8, ''NaN'')', c) END, ', ' ORDER BY place))
             FROM scoring_bench.characteristic k)),
 ('rules', (SELECT jsonb_build_object('initial', 200, 'characteristics', jsonb_agg(jsonb_build_object(
                'text', k.data_type = 'text',
                'missing', (SELECT r.points FROM scoring_bench.rule r WHERE r.c = k.c AND r.kind = 'missing'),
                'other', (SELECT r.points FROM scoring_bench.rule r WHERE r.c = k.c AND r.kind = 'other'),
                'edges', (SELECT jsonb_agg(CASE k.data_type WHEN 'date' THEN r.high::date - DATE '2000-01-01' ELSE r.high::numeric END ORDER BY r.place)
                            FROM scoring_bench.rule r WHERE r.c = k.c AND r.kind = 'interval' AND r.high IS NOT NULL),
                'points', (SELECT jsonb_agg(r.points ORDER BY r.place) FROM scoring_bench.rule r WHERE r.c = k.c AND r.kind = 'interval'),
                'words', (SELECT jsonb_object_agg(CASE v WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE v END, r.points)
                            FROM scoring_bench.rule r, unnest(r.vals) v WHERE r.c = k.c AND r.kind = 'set')) ORDER BY k.place))::text
             FROM scoring_bench.characteristic k));
