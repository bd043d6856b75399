-- 60,000 real codes and 1,471 that were printed wrongly; skipped without PGCREDIT_DATA (expected/registry_real_1.out)
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\getenv data PGCREDIT_DATA
\if :{?data}
\else
\echo skipped: PGCREDIT_DATA is not set
\quit
\endif
BEGIN;
CREATE TEMP TABLE enterprise (uscc text, registered_on text, type_zh text, province_zh text, city_zh text);
CREATE TEMP TABLE printed_wrong (uscc text);
CREATE TEMP TABLE division (code text, name_zh text, level text, parent text, current text);
\copy enterprise FROM PROGRAM 'gzip -dc "$PGCREDIT_DATA/enterprises.csv.gz"' (FORMAT csv, HEADER)
\copy printed_wrong FROM PROGRAM 'gzip -dc "$PGCREDIT_DATA/enterprise-codes-refused.csv.gz"' (FORMAT csv, HEADER)
\copy division FROM PROGRAM 'cat "$PGCREDIT_DATA/regions.csv"' (FORMAT csv, HEADER)
CREATE TEMP VIEW delivery AS SELECT uscc, registered_on FROM enterprise UNION ALL SELECT uscc, NULL FROM printed_wrong;
-- the whole list, retired codes with it
SELECT received, inserted + unchanged AS taken, refused FROM credit.load_regions('division'::regclass);
SELECT count(*) FILTER (WHERE NOT current::boolean) AS retired FROM division;
SELECT received, inserted, updated, unchanged, refused FROM credit.ingest_subjects('delivery'::regclass, 'real');
-- of the wrongly printed ones those in lower case are right once folded
SELECT count(*) AS folded FROM printed_wrong WHERE uscc <> upper(uscc) AND credit.is_valid_uscc(uscc);
SELECT f.sqlstate, count(*), count(DISTINCT f.reason) > 1 AS says_which
  FROM credit.refused_row f JOIN credit.batch b USING (batch_id) WHERE b.batch_key = 'real' GROUP BY 1;
-- Without this a plan for a handful of rows may be taken for all of them.
ANALYZE credit.subject;
SELECT kind, count(*) FROM credit.subject s WHERE EXISTS (SELECT FROM delivery d WHERE upper(d.uscc) = s.uscc::text) GROUP BY 1 ORDER BY 1;
-- without the retired codes one subject in ten would have no region; nobody is refused for that
SELECT round(100.0 * count(*) FILTER (WHERE r.code IS NULL) / count(*), 1) AS pct_unknown,
       round(100.0 * count(*) FILTER (WHERE r.code IS NULL OR r.retired) / count(*), 1) AS pct_without_retired
  FROM credit.subject s LEFT JOIN credit.region r ON r.code::text = s.region::text
 WHERE EXISTS (SELECT FROM delivery d WHERE upper(d.uscc) = s.uscc::text);
SELECT received, inserted, updated, unchanged, refused FROM credit.ingest_subjects('delivery'::regclass, 'real');
ROLLBACK;
