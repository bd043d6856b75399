-- Tables and the model of bench/32_rate.sh; :rows subjects.
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS rate;
SET session_replication_role = replica;
INSERT INTO credit.subject (kind, code) SELECT 'enterprise', 'rate-' || g FROM generate_series(1, :rows) g;
RESET session_replication_role;
CREATE TABLE rate.applicant AS
SELECT subject_id, (random() * 60)::integer AS age, (random() * 1000000)::numeric(12,2) AS turnover, random() AS ratio,
       (random() * 20)::integer AS staff, (ARRAY['trade', 'farm', 'build', 'serve'])[1 + (random() * 3)::integer] AS branch,
       random() < 0.1 AS late, date '2015-01-01' + (random() * 3650)::integer AS founded, (random() * 10)::integer AS loans,
       (random() * 100000)::numeric(12,2) AS tax, (random() * 5)::integer AS cases
  FROM credit.subject WHERE code LIKE 'rate-%' ORDER BY subject_id;
ALTER TABLE rate.applicant ADD PRIMARY KEY (subject_id);
VACUUM ANALYZE rate.applicant, credit.subject;
SELECT credit.create_model(jsonb_build_object('name', 'rate', 'initial_score', 300, 'baseline_score', 20,
    'reasons', (SELECT jsonb_agg(jsonb_build_object('code', 'R' || i)) FROM generate_series(1, 4) i),
    'grades', '[{"grade": "A", "low": 450}, {"grade": "B", "low": 400, "high": 450}, {"grade": "C", "high": 400}]'::jsonb,
    'characteristics', (
        SELECT jsonb_agg(jsonb_build_object('name', f, 'data_type', t, 'reason_code', 'R' || 1 + n % 4, 'attributes', a))
          FROM (VALUES
            (1, 'age', 'number', '[{"kind": "interval", "high": 20, "closure": "openOpen", "points": 5}, {"kind": "interval", "low": 20, "high": 40, "closure": "closedOpen", "points": 15}, {"kind": "other", "points": 25}]'::jsonb),
            (2, 'turnover', 'number', '[{"kind": "interval", "high": 100000.5, "closure": "openOpen", "points": 5}, {"kind": "other", "points": 25}]'),
            (3, 'ratio', 'number', '[{"kind": "interval", "high": 0.5, "closure": "openOpen", "points": 5}, {"kind": "other", "points": 25}]'),
            (4, 'staff', 'number', '[{"kind": "interval", "high": 5, "closure": "openOpen", "points": 5}, {"kind": "other", "points": 25}]'),
            (5, 'branch', 'text', '[{"kind": "set", "values": ["trade", "farm"], "points": 5}, {"kind": "other", "points": 25}]'),
            (6, 'late', 'boolean', '[{"kind": "set", "values": [true], "points": 0}, {"kind": "other", "points": 25}]'),
            (7, 'founded', 'date', '[{"kind": "interval", "high": "2020-01-01", "closure": "openOpen", "points": 25}, {"kind": "other", "points": 5}]'),
            (8, 'loans', 'number', '[{"kind": "interval", "high": 3, "closure": "openOpen", "points": 25}, {"kind": "other", "points": 5}]'),
            (9, 'tax', 'number', '[{"kind": "interval", "high": 1000, "closure": "openOpen", "points": 5}, {"kind": "other", "points": 25}]'),
            (10, 'cases', 'number', '[{"kind": "set", "values": [0], "points": 25}, {"kind": "other", "points": 5}]')) v(n, f, t, a))));
SELECT credit.publish_model('rate');
