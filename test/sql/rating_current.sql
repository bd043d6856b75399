-- The newest rating of a subject by any version of a model is one look-up in one index.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
\pset format unaligned
\set VERBOSITY terse
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO credit.subject (kind, code) SELECT 'enterprise', 'current-' || i FROM generate_series(1, 3) i;
SELECT subject_id AS s1 FROM credit.subject WHERE code = 'current-1' \gset
SELECT subject_id AS s2 FROM credit.subject WHERE code = 'current-2' \gset
SELECT subject_id AS s3 FROM credit.subject WHERE code = 'current-3' \gset
CREATE FUNCTION pg_temp.publish(name text, low integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM credit.create_model(jsonb_build_object('name', name, 'use_reason_codes', false, 'fields', '[{"name": "court", "data_type": "number"}]'::jsonb,
        'characteristics', '[{"name": "age", "data_type": "number", "attributes": [{"kind": "other", "expression": "age"}, {"kind": "missing", "points": 0}]}]'::jsonb,
        'grades', format('[{"grade": "A", "low": %s}, {"grade": "B", "high": %1$s}]', low)::jsonb,
        'caps', '[{"when": "court > 0", "grade": "B", "title_zh": "有诉讼"}]'::jsonb));
    PERFORM credit.publish_model(name);
END
$$;
-- five versions of one model, and another model that has rated the same subjects more often and later
SELECT count(pg_temp.publish('current', 10 + g)) AS versions FROM generate_series(1, 5) g;
SELECT pg_temp.publish('current_other', 10);
SELECT count(credit.rate('current@' || v, s, r)) FROM unnest(ARRAY[:s1, :s2]) s, generate_series(1, 5) v, (SELECT 12 AS age, 1 AS court) r;
SELECT credit.rate('current@2', :s1, r) > 0 AS an_old_version_again FROM (SELECT 30 AS age, 0 AS court) r;
SELECT credit.rate('current@4', :s2, r) > 0 AS an_old_version_again FROM (SELECT 30 AS age, 1 AS court) r;
SELECT count(credit.rate('current_other', :s1, r)) FROM generate_series(1, 500), (SELECT 1 AS age, 0 AS court) r;
-- the newest, whatever its version, with the grade of the score alone and the rule that made another of it
SELECT n, c.version, c.score, c.grade, c.score_grade, c.grade_rule
  FROM (VALUES (1, :s1, 'current'), (2, :s2, 'current'), (3, :s1, 'current_other'), (4, :s3, 'current'), (5, :s1, 'none'), (6, NULL, 'current'), (7, :s1, NULL)) v(n, s, m),
       credit.current_rating(s, m) c ORDER BY n;
SELECT bool_and(c.rating_id = (SELECT max(rating_id) FROM credit.rating r JOIN credit.model m USING (model_id) WHERE r.subject_id = s AND m.name = 'current')) AS the_newest
  FROM unnest(ARRAY[:s1, :s2]) s, credit.current_rating(s, 'current') c;
-- one look-up: a scan of this index that reads one entry of it, none of another index or of the table, whatever versions and ratings there are
ANALYZE credit.rating;
ANALYZE credit.model;
CREATE FUNCTION pg_temp.use_of() RETURNS TABLE (name text, scans bigint, read bigint) LANGUAGE sql AS $$
    SELECT c.relname::text, pg_stat_get_xact_numscans(c.oid), CASE c.relkind WHEN 'i' THEN pg_stat_get_xact_tuples_returned(c.oid) ELSE 0 END
      FROM pg_class c WHERE c.oid = 'credit.rating'::regclass OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'credit.rating'::regclass)
$$;
-- the session's plans are made first
SELECT count(*) FROM generate_series(1, 8), credit.current_rating(:s1, 'current');
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.use_of();
SELECT rating_id > 0 AS found FROM credit.current_rating(:s1, 'current');
SELECT name, a.scans - b.scans AS scans, a.read - b.read AS read FROM pg_temp.use_of() a JOIN before b USING (name) WHERE (a.scans, a.read) <> (b.scans, b.read);
-- its name comes with the rating, and is the model's
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'credit.rating'::regclass AND confrelid = 'credit.model'::regclass;
INSERT INTO credit.rating (subject_id, model_id, score, inputs, inputs_digest, reasons, rated_by)
SELECT :s3, model_id, 1, '{}', sha256(''), '[]', 'test' FROM credit.model WHERE name = 'current' AND version = 3 RETURNING model;
INSERT INTO credit.rating (subject_id, model_id, model, score, inputs, inputs_digest, reasons, rated_by)
SELECT :s3, model_id, 'current_other', 1, '{}', sha256(''), '[]', 'test' FROM credit.model WHERE name = 'current' AND version = 3;
INSERT INTO credit.rating (subject_id, model_id, score, inputs, inputs_digest, reasons, rated_by) VALUES (:s3, -1, 1, '{}', sha256(''), '[]', 'test');
ROLLBACK;
