-- ---------------------------------------------------------------------------
-- 55 consent: statistics over all subjects, without consent
-- ---------------------------------------------------------------------------

-- What analysts see of subjects is here and nothing else: counts in cells that are large enough, and never so many of them
-- that the others follow. A cell that is not shown is zero or suppressed; which of the two is not said.

-- the smallest cell ---------------------------------------------------------------

CREATE TABLE credit.statistics_setting (
    minimum_cell integer NOT NULL CHECK (minimum_cell BETWEEN 2 AND 1000000),
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one)
);
COMMENT ON TABLE credit.statistics_setting IS 'the operator''s setting of the smallest cell; without a row it is 10 (统计最小单元)';
COMMENT ON COLUMN credit.statistics_setting.minimum_cell IS 'subjects that a published cell counts at least (最小单元主体数)';
SELECT pg_catalog.pg_extension_config_dump('credit.statistics_setting', '');

CREATE FUNCTION credit.minimum_cell() RETURNS integer
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT COALESCE((SELECT s.minimum_cell FROM credit.statistics_setting s), 10);
    END;
COMMENT ON FUNCTION credit.minimum_cell() IS 'subjects that a published cell of the statistics counts at least (最小单元主体数)';

CREATE FUNCTION credit.set_minimum_cell(subjects integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF subjects IS NULL OR subjects NOT BETWEEN 2 AND 1000000 THEN
        RAISE EXCEPTION 'a smallest cell of % subjects cannot be set', subjects
            USING ERRCODE = 'PC150', DETAIL = 'It is 2 to 1000000: a cell of one subject is that subject''s record.';
    END IF;
    INSERT INTO credit.statistics_setting AS s (minimum_cell, changed_at, changed_by)
    VALUES (subjects, clock_timestamp(), credit.calling_role()::text)
    ON CONFLICT ON CONSTRAINT statistics_setting_pkey
    DO UPDATE SET minimum_cell = EXCLUDED.minimum_cell, changed_at = EXCLUDED.changed_at, changed_by = EXCLUDED.changed_by;
END
$$;
COMMENT ON FUNCTION credit.set_minimum_cell(integer) IS 'set how many subjects a published cell counts at least (设置最小单元)';

-- suppression -----------------------------------------------------------------------

CREATE FUNCTION credit.suppress_cells(parents integer[], cell_rows integer[], cell_columns integer[], counts bigint[], threshold bigint)
    RETURNS boolean[]
    AS 'MODULE_PATHNAME', 'pgcredit_suppress_cells' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.suppress_cells(integer[], integer[], integer[], bigint[], bigint) IS
    'which cells of a table, whose rows form a tree and whose column 0 is the total, must not be published so that no cell below the threshold follows from the others (单元抑制)';

-- A cell of a table: where in the tree of rows (the root is {}), which column (NULL is the total), the subjects that it
-- counts, and what it is about.
CREATE TYPE credit._stat_cell AS (path text[], col text, subjects bigint, amount bigint);

-- The cells that may be published of a table given with all its totals.
CREATE FUNCTION credit._published(cells credit._stat_cell[]) RETURNS SETOF credit._stat_cell
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hidden boolean[];
BEGIN
    WITH cell AS (
        SELECT c.path, c.col, c.subjects, c.ord FROM unnest(cells) WITH ORDINALITY c (path, col, subjects, amount, ord)),
    place AS (
        SELECT d.path, row_number() OVER (ORDER BY d.path)::integer AS number FROM (SELECT DISTINCT c.path FROM cell c) d),
    col AS (
        SELECT d.col, row_number() OVER (ORDER BY d.col COLLATE "C")::integer AS number
          FROM (SELECT DISTINCT c.col FROM cell c WHERE c.col IS NOT NULL) d)
    SELECT credit.suppress_cells(
               (SELECT array_agg(COALESCE(above.number, 0) ORDER BY p.number)
                  FROM place p LEFT JOIN place above
                    ON p.path <> '{}' AND above.path = p.path[:cardinality(p.path) - 1]),
               array_agg(p.number ORDER BY c.ord), array_agg(COALESCE(k.number, 0) ORDER BY c.ord),
               array_agg(c.subjects ORDER BY c.ord), credit.minimum_cell())
      INTO hidden
      FROM cell c JOIN place p ON p.path = c.path LEFT JOIN col k ON k.col = c.col;
    RETURN QUERY
        SELECT c.path, c.col, c.subjects, c.amount
          FROM unnest(cells) WITH ORDINALITY c (path, col, subjects, amount, ord)
          JOIN unnest(hidden) WITH ORDINALITY h (hidden, ord) USING (ord)
         WHERE NOT h.hidden;
END
$$;

-- The way from the country to a region, by the digits of its code. Subjects that are said to be in a city or a province and no
-- further are a part of it like its counties are: "rest". Townships and villages are counted in their county: cells below it
-- would mostly be too small to show.
CREATE FUNCTION credit._region_path(region credit.region_code) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN region IS NULL THEN '{rest}'::text[]
                WHEN p.code LIKE '%0000' THEN ARRAY[p.code, 'rest']
                WHEN p.code LIKE '%00' THEN ARRAY[left(p.code, 2) || '0000', p.code, 'rest']
                ELSE ARRAY[left(p.code, 2) || '0000', left(p.code, 4) || '00', p.code] END
      FROM (SELECT left(region::text, 6) AS code) p
$$;

-- What a path of regions is, for people.
CREATE FUNCTION credit._region_level(path text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN path[cardinality(path)] = 'rest' THEN 'rest'
                ELSE (ARRAY['country', 'province', 'city', 'county'])[cardinality(path) + 1] END
$$;
CREATE FUNCTION credit._region_of_path(path text[]) RETURNS credit.region_code
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN path[cardinality(path)] = 'rest' THEN path[cardinality(path) - 1] ELSE path[cardinality(path)] END::credit.region_code
$$;

-- the tables ------------------------------------------------------------------------

CREATE FUNCTION credit._stat_record(OUT category text, OUT level text, OUT region credit.region_code, OUT month date,
                                    OUT records bigint, OUT subjects bigint) RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH fact AS MATERIALIZED (
        SELECT r.category_id, r.subject_id, date_trunc('month', r.dated::timestamp)::date AS month, count(*) AS records
          FROM credit.record r WHERE r.status <> 'withdrawn' GROUP BY 1, 2, 3),
    whole AS (
        SELECT f.category_id, f.subject_id, f.month, f.records FROM fact f
        UNION ALL
        SELECT f.category_id, f.subject_id, NULL, sum(f.records) FROM fact f GROUP BY 1, 2),
    leaf AS (
        SELECT w.category_id, s.region, w.month, count(*) AS subjects, sum(w.records)::bigint AS records
          FROM whole w JOIN credit.subject s ON s.subject_id = w.subject_id GROUP BY 1, 2, 3),
    cell AS (
        SELECT l.category_id, l.month, p.path[:n.n] AS path, sum(l.subjects)::bigint AS subjects, sum(l.records)::bigint AS records
          FROM leaf l CROSS JOIN LATERAL credit._region_path(l.region) p (path)
         CROSS JOIN LATERAL generate_series(0, cardinality(p.path)) n (n)
         GROUP BY 1, 2, 3)
    SELECT c.code, credit._region_level(p.path), credit._region_of_path(p.path), p.col::date, p.amount, p.subjects
      FROM (SELECT x.category_id, array_agg(ROW(x.path, x.month::text, x.subjects, x.records)::credit._stat_cell
                                            ORDER BY x.path, x.month NULLS FIRST) AS cells
              FROM cell x GROUP BY 1) t
      JOIN credit.category c ON c.category_id = t.category_id
     CROSS JOIN LATERAL credit._published(t.cells) p
$$;

CREATE FUNCTION credit._stat_subject(OUT kind text, OUT level text, OUT region credit.region_code, OUT subjects bigint)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH leaf AS (
        SELECT s.region, s.kind, count(*) AS subjects
          FROM credit.subject s
         WHERE NOT COALESCE(s.code ~ '^erased-[0-9a-f]{32}$' AND s.name IS NULL AND s.uscc IS NULL, false)
         GROUP BY GROUPING SETS ((s.region, s.kind), (s.region))),
    cell AS (
        SELECT l.kind, p.path[:n.n] AS path, sum(l.subjects)::bigint AS subjects
          FROM leaf l CROSS JOIN LATERAL credit._region_path(l.region) p (path)
         CROSS JOIN LATERAL generate_series(0, cardinality(p.path)) n (n)
         GROUP BY 1, 2)
    SELECT p.col, credit._region_level(p.path), credit._region_of_path(p.path), p.subjects
      FROM (SELECT array_agg(ROW(x.path, x.kind, x.subjects, x.subjects)::credit._stat_cell ORDER BY x.path, x.kind NULLS FIRST) AS cells
              FROM cell x) t
     CROSS JOIN LATERAL credit._published(t.cells) p
$$;

-- A consent for two purposes stands under each, so that purposes do not add up and are tables of their own.
CREATE FUNCTION credit._stat_consent(OUT purpose text, OUT institution_kind text, OUT month date,
                                     OUT consents bigint, OUT subjects bigint) RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH fact AS (
        SELECT u.purpose, i.kind, date_trunc('month', c.granted_at AT TIME ZONE 'Asia/Shanghai')::date AS month, c.subject_id
          FROM credit.consent c JOIN credit.institution i ON i.institution_id = c.institution_id
         CROSS JOIN LATERAL (SELECT DISTINCT x.purpose FROM unnest(c.purposes) x (purpose)) u),
    cell AS (
        SELECT f.purpose, CASE WHEN f.kind IS NULL THEN '{}'::text[] ELSE ARRAY[f.kind] END AS path, f.month,
               count(*) AS consents, count(DISTINCT f.subject_id) AS subjects
          FROM fact f
         GROUP BY GROUPING SETS ((f.purpose, f.kind, f.month), (f.purpose, f.kind), (f.purpose, f.month), (f.purpose)))
    SELECT t.purpose, p.path[1], p.col::date, p.amount, p.subjects
      FROM (SELECT x.purpose, array_agg(ROW(x.path, x.month::text, x.subjects, x.consents)::credit._stat_cell
                                        ORDER BY x.path, x.month NULLS FIRST) AS cells
              FROM cell x GROUP BY 1) t
     CROSS JOIN LATERAL credit._published(t.cells) p
$$;

-- From the index of the histories, not from the entries: it is narrow and has the accesses to few subjects; those to many
-- have their subjects in lists.
CREATE FUNCTION credit._stat_access(OUT purpose text, OUT institution text, OUT month date,
                                    OUT accesses bigint, OUT subjects bigint) RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH what AS MATERIALIZED (
        SELECT d.id, d.members::jsonb ->> 'purpose' AS purpose, d.members::jsonb ->> 'institution' AS institution
          FROM credit.audit_descriptor d WHERE d.members::jsonb ->> 'kind' = 'access'),
    look AS (
        SELECT h.seq, h.recorded, h.descriptor, h.token FROM credit.audit_history h
        UNION ALL
        SELECT b.seq, b.recorded, b.descriptor,
               encode(substring(l.token FROM 1 FOR 16), 'hex')::uuid
          FROM credit.audit_bulk b JOIN what w ON w.id = b.descriptor
         CROSS JOIN LATERAL credit.listed(b.seq) l WHERE NOT b.unknown),
    fact AS (
        SELECT w.purpose, w.institution, date_trunc('month', l.recorded AT TIME ZONE 'Asia/Shanghai')::date AS month, l.seq, l.token
          FROM look l JOIN what w ON w.id = l.descriptor
         WHERE w.purpose IS NOT NULL AND w.institution IS NOT NULL),
    cell AS (
        SELECT f.purpose, CASE WHEN f.institution IS NULL THEN '{}'::text[] ELSE ARRAY[f.institution] END AS path, f.month,
               count(DISTINCT f.seq) AS accesses, count(DISTINCT f.token) AS subjects
          FROM fact f
         GROUP BY GROUPING SETS ((f.purpose, f.institution, f.month), (f.purpose, f.institution), (f.purpose, f.month), (f.purpose)))
    SELECT t.purpose, p.path[1], p.col::date, p.amount, p.subjects
      FROM (SELECT x.purpose, array_agg(ROW(x.path, x.month::text, x.subjects, x.accesses)::credit._stat_cell
                                        ORDER BY x.path, x.month NULLS FIRST) AS cells
              FROM cell x GROUP BY 1) t
     CROSS JOIN LATERAL credit._published(t.cells) p
$$;

-- Which cells are published does not depend on what is asked: a condition only chooses among them.
CREATE VIEW credit.stat_record WITH (security_barrier) AS
    SELECT s.category, s.level, s.region, s.month, s.records, s.subjects FROM credit._stat_record() s;
COMMENT ON VIEW credit.stat_record IS 'records and subjects by category, region and month, over all subjects; small cells are not shown (信用信息统计)';
COMMENT ON COLUMN credit.stat_record.level IS
    'country, province, city, county; rest: the part of the region above that is in no smaller one (行政层级)';
COMMENT ON COLUMN credit.stat_record.region IS 'NULL for the country and for subjects without a region (行政区划)';
COMMENT ON COLUMN credit.stat_record.month IS 'first day of the month that the records are dated in; NULL for all months (月份)';
COMMENT ON COLUMN credit.stat_record.subjects IS 'different subjects; over months they do not add up (主体数)';

CREATE VIEW credit.stat_subject WITH (security_barrier) AS
    SELECT s.kind, s.level, s.region, s.subjects FROM credit._stat_subject() s;
COMMENT ON VIEW credit.stat_subject IS 'subjects by kind and region; small cells are not shown (信用主体统计)';
COMMENT ON COLUMN credit.stat_subject.kind IS 'base kind; NULL for all kinds (主体类型)';
COMMENT ON COLUMN credit.stat_subject.level IS 'as in credit.stat_record (行政层级)';

CREATE VIEW credit.stat_consent WITH (security_barrier) AS
    SELECT s.purpose, s.institution_kind, s.month, s.consents, s.subjects FROM credit._stat_consent() s;
COMMENT ON VIEW credit.stat_consent IS 'consents given, by purpose, kind of institution and month; small cells are not shown (授权统计)';
COMMENT ON COLUMN credit.stat_consent.institution_kind IS 'NULL for all kinds (机构类型)';
COMMENT ON COLUMN credit.stat_consent.month IS 'first day of the month that it was given in, Asia/Shanghai; NULL for all months (月份)';

CREATE VIEW credit.stat_access WITH (security_barrier) AS
    SELECT s.purpose, s.institution, s.month, s.accesses, s.subjects FROM credit._stat_access() s;
COMMENT ON VIEW credit.stat_access IS 'accesses by purpose, institution and month; small cells are not shown (查询统计)';
COMMENT ON COLUMN credit.stat_access.institution IS 'code; NULL for all institutions (机构)';
COMMENT ON COLUMN credit.stat_access.month IS 'first day of the month that it was recorded in, Asia/Shanghai; NULL for all months (月份)';
COMMENT ON COLUMN credit.stat_access.accesses IS 'entries of the log (查询次数)';

-- rights ------------------------------------------------------------------------------

-- Their numbers have no smallest cell, and would tell what a suppressed one is.
REVOKE SELECT ON credit.data_quality, credit.unknown_region FROM credit_analyst;

REVOKE ALL ON credit.statistics_setting, credit.stat_record, credit.stat_subject, credit.stat_consent, credit.stat_access FROM PUBLIC;
REVOKE ALL ON FUNCTION credit.minimum_cell(), credit.set_minimum_cell(integer),
    credit.suppress_cells(integer[], integer[], integer[], bigint[], bigint), credit._published(credit._stat_cell[]),
    credit._region_path(credit.region_code), credit._region_level(text[]), credit._region_of_path(text[]),
    credit._stat_record(), credit._stat_subject(), credit._stat_consent(), credit._stat_access() FROM PUBLIC;
GRANT SELECT ON credit.statistics_setting TO credit_operator, credit_auditor;
GRANT SELECT ON credit.stat_record, credit.stat_subject, credit.stat_consent, credit.stat_access TO credit_operator, credit_analyst;
GRANT EXECUTE ON FUNCTION credit.minimum_cell(), credit.suppress_cells(integer[], integer[], integer[], bigint[], bigint),
    credit._stat_record(), credit._stat_subject(), credit._stat_consent(), credit._stat_access()
    TO credit_operator, credit_analyst;
GRANT EXECUTE ON FUNCTION credit.set_minimum_cell(integer) TO credit_operator;
SELECT credit._audit_table('credit.statistics_setting');
