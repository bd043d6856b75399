-- An objection and a repair reach the rating: spec's worked table, 100 points less 15 for each adverse record that counts.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\pset format unaligned
-- everything happens in a transaction that is rolled back: no worker sees the marks, they are rated by hand
BEGIN;
SET LOCAL client_min_messages = warning;
INSERT INTO credit.subject (kind, code) VALUES ('enterprise', 'repair-1');
SELECT subject_id AS s FROM credit.subject WHERE code = 'repair-1' \gset
SELECT credit.register_indicator('adverse_records', 'number', $$SELECT s.subject_id, count(r.record_id), array_agg(r.record_id ORDER BY r.record_id) FILTER (WHERE r.record_id IS NOT NULL)
    FROM credit.subject_as_of s LEFT JOIN credit.record_as_of r ON r.subject_id = s.subject_id AND r.polarity = 'adverse'
   WHERE s.subject_id = ANY ($1) GROUP BY s.subject_id$$);
SELECT credit.create_model(jsonb_build_object('name', v.name, 'use_reason_codes', false, 'initial_score', 100,
    'grades', '[{"grade": "AAA", "low": 90}, {"grade": "AA", "low": 75, "high": 90}, {"grade": "A", "low": 60, "high": 75}, {"grade": "B", "high": 60}]'::jsonb,
    'characteristics', jsonb_build_array(jsonb_build_object('name', 'adverse', 'field', 'adverse_records', 'data_type', 'number', 'title_zh', '不良记录', 'title_en', 'adverse records',
        'attributes', (SELECT jsonb_agg(jsonb_build_object('kind', 'set', 'values', jsonb_build_array(n), 'points', -15 * n)) FROM generate_series(0, 6) n))))) IS NOT NULL AS made
  FROM (VALUES ('repair'), ('repair_strict')) v(name);
SELECT length(credit.publish_model('repair')), length(credit.publish_model('repair_strict'));
SELECT credit.set_dynamic('repair', true), credit.set_dynamic('repair_strict', true, without_disputed => true);
CREATE ROLE repair_bank; CREATE ROLE repair_stranger;
INSERT INTO credit.institution (code, name_zh, kind, db_role) SELECT r, '银行', 'commercial_bank', r::regrole FROM unnest('{repair_bank,repair_stranger}'::text[]) r;
SELECT credit.grant_consent(:s, 'repair_bank', '{administrative_penalty}', '{post_loan}', now() - interval '1 day', now() + interval '1 year') IS NOT NULL AS granted;
SELECT credit.set_grade_notice('repair', 'administrative_penalty', '{post_loan}');
CREATE FUNCTION pg_temp.bring(subject bigint, key text) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO credit.record (subject_id, category_id, provider_id, dated, polarity, source_key, payload, batch_id)
    SELECT subject, c.category_id, 1, date '2026-01-01', 'adverse', key, '{}', 0 FROM credit.category c WHERE c.code = 'administrative_penalty'
    RETURNING record_id
$$;
-- what rating came of the change, and who was told
CREATE FUNCTION pg_temp.rated(subject bigint, model text DEFAULT 'repair', OUT score float8, OUT grade text, OUT ratings bigint, OUT told text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM credit._rate_marked(1000);
    SELECT c.score, c.grade INTO rated.score, rated.grade FROM credit.current_rating(subject, rated.model) c;
    SELECT count(*) INTO ratings FROM credit.rating r JOIN credit.model m USING (model_id) WHERE r.subject_id = subject AND m.name = rated.model;
    SELECT coalesce(string_agg(i.code || ' ' || n.previous_grade || '->' || n.grade, ', ' ORDER BY n.notice_id), 'nobody') INTO told
      FROM credit.grade_notice n JOIN credit.institution i USING (institution_id) WHERE n.subject_id = subject;
    DELETE FROM credit.grade_notice n WHERE n.subject_id = subject;
END
$$;
-- before
INSERT INTO credit.rating_mark (subject_id) VALUES (:s);
SELECT * FROM pg_temp.rated(:s);
-- two penalties entered
SELECT pg_temp.bring(:s, 'p1') AS p1 \gset
SELECT pg_temp.bring(:s, 'p2') AS p2 \gset
SELECT * FROM pg_temp.rated(:s);
SELECT rating_id AS early FROM credit.current_rating(:s, 'repair') \gset
-- an objection to the first: it counts, and shows as disputed; the model that leaves disputed records out does so
SELECT credit.set_record_status(:s, :p1, 'disputed', 'test');
SELECT * FROM pg_temp.rated(:s);
SELECT score, grade, ratings FROM pg_temp.rated(:s, 'repair_strict');
SELECT l.value, l.record_id = :p1 AS first, l.status, l.without_disputed FROM credit.current_rating(:s, 'repair') c, credit.rating_lineage(:s, c.rating_id) l ORDER BY l.record_id;
SELECT l.value, l.record_id = :p1 AS first, l.status, l.without_disputed FROM credit.current_rating(:s, 'repair_strict') c, credit.rating_lineage(:s, c.rating_id) l ORDER BY l.record_id;
-- the objection fails: it counts again everywhere
SELECT credit.set_record_status(:s, :p1, 'active', 'test');
SELECT * FROM pg_temp.rated(:s);
SELECT score, grade, ratings FROM pg_temp.rated(:s, 'repair_strict');
-- repair of the first completed, of the second completed
SELECT credit.set_record_status(:s, :p1, 'repaired', 'test');
SELECT * FROM pg_temp.rated(:s);
SELECT credit.set_record_status(:s, :p2, 'repaired', 'test');
SELECT * FROM pg_temp.rated(:s);
-- later penalty
SELECT pg_temp.bring(:s, 'p3') AS p3 \gset
SELECT * FROM pg_temp.rated(:s);
-- an earlier rating stays as it was, its records show what became of them, and it can still be replayed and explained
SELECT score, grade FROM credit.rating WHERE subject_id = :s AND rating_id = :early;
SELECT l.value, l.status FROM credit.rating_lineage(:s, :early) l ORDER BY l.record_id;
SELECT equal, stored_score, replayed_score, differences FROM credit.replay(:early);
SELECT text_zh, text_en FROM credit.explain(:early);
-- as of an earlier day a repaired record has no effect either: what counts is the day of the repair
SELECT v.indicator, v.value FROM credit.indicators_of(:s, '2026-06-01') v WHERE v.indicator = 'adverse_records';
-- taken back between the change and the rating: nobody is told
SELECT credit.set_record_status(:s, :p3, 'repaired', 'test');
SELECT count(credit.revoke_consent(:s, c.consent_id)) FROM credit.consent c WHERE c.subject_id = :s;
SELECT * FROM pg_temp.rated(:s);
ROLLBACK;
