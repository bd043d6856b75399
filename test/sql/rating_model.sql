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

-- definitions that are refused: code and place of the mistake
SELECT pg_temp.fails(format('SELECT credit.create_model(%L)', d)) FROM (VALUES
    (1, '[]'::jsonb),
    (2, '{"characteristics": []}'),
    (3, '{"name": "", "characteristics": []}'),
    (4, '{"name": "a@1", "characteristics": []}'),
    (5, '{"name": "t", "characteristics": []}'),
    (6, '{"name": "t", "initial": 1, "characteristics": []}'),
    (7, '{"name": "t", "initial_score": "1", "characteristics": []}'),
    (8, '{"name": "t", "initial_score": 0.0000001, "characteristics": []}'),
    (9, '{"name": "t", "initial_score": 1000001, "characteristics": []}'),
    (10, pg_temp.card('t', 'money', '[{"kind": "other", "points": 1}]')),
    (11, pg_temp.card('t', 'number', '[]')),
    (12, pg_temp.card('t', 'number', '[{"kind": "other"}]')),
    (13, pg_temp.card('t', 'number', '[{"kind": "others", "points": 1}]')),
    (14, pg_temp.card('t', 'number', '[{"kind": "interval", "low": 1, "points": 1}]')),
    (15, pg_temp.card('t', 'number', '[{"kind": "interval", "low": 1, "closure": "closed", "points": 1}]')),
    (16, pg_temp.card('t', 'number', '[{"kind": "interval", "low": 2, "high": 1, "closure": "closedOpen", "points": 1}]')),
    (17, pg_temp.card('t', 'number', '[{"kind": "interval", "low": 1, "high": 1, "closure": "closedOpen", "points": 1}]')),
    (18, pg_temp.card('t', 'number', '[{"kind": "interval", "low": "1", "closure": "closedOpen", "points": 1}]')),
    (19, pg_temp.card('t', 'text', '[{"kind": "interval", "low": 1, "closure": "closedOpen", "points": 1}]')),
    (20, pg_temp.card('t', 'text', '[{"kind": "set", "values": [], "points": 1}]')),
    (21, pg_temp.card('t', 'text', '[{"kind": "set", "values": [1], "points": 1}]')),
    (22, pg_temp.card('t', 'boolean', '[{"kind": "set", "values": ["true"], "points": 1}]')),
    (23, pg_temp.card('t', 'date', '[{"kind": "set", "values": ["2024-02-30"], "points": 1}]')),
    (24, pg_temp.card('t', 'date', '[{"kind": "set", "values": ["01/02/2024"], "points": 1}]')),
    (25, pg_temp.card('t', 'text', '[{"kind": "missing", "points": 1}, {"kind": "missing", "points": 2}]')),
    (26, pg_temp.card('t', 'text', '[{"kind": "other", "points": 1}, {"kind": "set", "values": ["a"], "points": 2}]')),
    (27, pg_temp.card('t', 'text', '[{"kind": "set", "values": ["a", "b"], "points": 1}, {"kind": "set", "values": ["b"], "points": 2}]')),
    (28, pg_temp.card('t', 'number', '[{"kind": "interval", "high": 5, "closure": "openOpen", "points": 1}, {"kind": "interval", "low": 1, "high": 5, "closure": "closedOpen", "points": 2}]')),
    (29, pg_temp.card('t', 'text', '[{"kind": "other", "low": 1, "points": 1}]')),
    (30, pg_temp.card('t', 'text', '[{"kind": "other", "values": ["a"], "points": 1}]')),
    (31, pg_temp.card('t', 'text', '[{"kind": "other", "points": 1, "point": 2}]')),
    (32, pg_temp.card('t', 'number', '[{"kind": "set", "values": [1234567890.1234567], "points": 1}]')),
    (33, pg_temp.card('t', 'text', '[{"kind": "other", "points": 1}]', ', "grades": [{"grade": "A", "low": 1, "high": 1}]')),
    (34, pg_temp.card('t', 'text', '[{"kind": "other", "points": 1}]', ', "grades": [{"grade": "A", "low": 5}, {"grade": "B", "high": 4}]')),
    (35, pg_temp.card('t', 'text', '[{"kind": "other", "points": 1}]', ', "grades": [{"grade": "A", "low": 4}, {"grade": "B", "high": 5}]')),
    (36, pg_temp.card('t', 'text', '[{"kind": "other", "points": 10}, {"kind": "missing", "points": 0}]', ', "grades": [{"grade": "A", "low": 5, "high": 10}, {"grade": "B", "high": 5}]')),
    (37, pg_temp.card('t', 'text', '[{"kind": "other", "points": 1}]', ', "grades": [{"grade": "A", "low": 0}, {"grade": "A", "high": 0}]')),
    (38, '{"name": "t", "characteristics": [{"name": "x", "data_type": "text", "reason_code": "R", "attributes": [{"kind": "other", "points": 1}]}], "reasons": [{"code": "R"}]}'),
    (39, '{"name": "t", "baseline_score": 1, "characteristics": [{"name": "x", "data_type": "text", "attributes": [{"kind": "other", "points": 1}]}], "reasons": [{"code": "R"}]}'),
    (40, '{"name": "t", "baseline_score": 1, "characteristics": [{"name": "x", "data_type": "text", "reason_code": "S", "attributes": [{"kind": "other", "points": 1}]}], "reasons": [{"code": "R"}]}'),
    (41, '{"name": "t", "use_reason_codes": false, "characteristics": [{"name": "x", "data_type": "text", "attributes": [{"kind": "other", "points": 1}]}, {"name": "x", "data_type": "text", "attributes": [{"kind": "other", "points": 1}]}]}'),
    (42, NULL)
) v(n, d) ORDER BY n;
SELECT count(*) AS models_left_behind FROM credit.model WHERE name = 't';

-- round trip: what comes out goes in again and comes out the same, scale of numbers and characters beyond ASCII included
CREATE TEMP TABLE full_definition AS SELECT $j${
    "name": "round trip", "title_zh": "小微企业信用评分", "title_en": "SME \"score\" \\ \u0001", "initial_score": 600.50,
    "use_reason_codes": true, "reason_code_algorithm": "pointsAbove", "baseline_method": "neutral", "baseline_score": -0.000001,
    "characteristics": [
        {"name": "年龄", "field": "age", "data_type": "number", "baseline_score": 3, "reason_code": "R1", "title_zh": "年龄", "title_en": "age",
         "attributes": [{"kind": "set", "values": [-999, 1.50], "points": -1.25},
                        {"kind": "interval", "high": 18.0, "closure": "openClosed", "points": 1},
                        {"kind": "interval", "low": 18, "high": 30, "closure": "openOpen", "points": 2, "reason_code": "R2"},
                        {"kind": "interval", "low": 30, "closure": "closedClosed", "points": 3},
                        {"kind": "missing", "points": 0}]},
        {"name": "listed", "field": "listed", "data_type": "boolean", "reason_code": "R2",
         "attributes": [{"kind": "set", "values": [true], "points": 1}, {"kind": "other", "points": 0}]},
        {"name": "since", "field": "since", "data_type": "date", "reason_code": "R2",
         "attributes": [{"kind": "interval", "low": "2000-02-29", "high": "2020-01-01", "closure": "closedOpen", "points": 1},
                        {"kind": "set", "values": ["1999-12-31"], "points": 7}, {"kind": "other", "points": 0}]},
        {"name": "kind", "field": "kind", "data_type": "text", "reason_code": "R2",
         "attributes": [{"kind": "set", "values": ["農戶", "𠮷", ""], "points": 1}, {"kind": "other", "points": 0}]}],
    "reasons": [{"code": "R1", "text_zh": "年龄", "text_en": "age"}, {"code": "R2"}],
    "grades": [{"grade": "AAA", "low": 606.5, "title_zh": "优", "title_en": "best"}, {"grade": "AA", "high": 606.5}]}$j$::jsonb AS d;
SELECT credit.create_model(d) FROM full_definition;
SELECT credit.model_definition('round trip', 1) = d AND credit.model_definition('round trip', 1)::text = d::text AS same FROM full_definition;
SELECT credit.create_model(credit.model_definition('round trip', 1));
SELECT credit.publish_model('round trip', 1) = credit.publish_model('round trip') AS same_content_same_digest;
-- defaults are written out, the digest knows no difference
SELECT credit.create_model(pg_temp.card('defaults', 'text', '[{"kind": "other", "points": 1}]'));
SELECT credit.model_definition('defaults', 1);
SELECT encode(credit.publish_model('defaults'), 'hex');
SELECT encode(sha256(convert_to('{"baseline_method":"other","characteristics":[{"attributes":[{"kind":"other","points":1}],"data_type":"text","field":"x","name":"x"}],"initial_score":0,"name":"defaults","reason_code_algorithm":"pointsBelow","use_reason_codes":false}', 'UTF8')), 'hex');

-- RFC 8785: order of names by UTF-16 (section 3.2.3), escapes, numbers
SELECT credit._canonical_json('{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}')
     = E'{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","\U0001F600":"Emoji: Grinning Face","\uFB33":"Hebrew Letter Dalet With Dagesh"}' AS rfc_8785_order;
SELECT credit._canonical_json('{"b": [1.0, -0.0, 100, 0.000001, 123456789012345, {}, []], "a": ["\u0001\"\\/\b\f\n\r\t\u007f", null, true]}');
SELECT credit._canonical_json('"scalar"'), credit._canonical_json('7.50');
SELECT pg_temp.fails(format('SELECT credit._canonical_json(%L)', n)) FROM (VALUES ('[0.0000001]'), ('[1234567890123456]'), ('[1e15]'), ('[0.1234567890123456]')) v(n);

-- publishing: warnings, versions, what cannot be done twice
SELECT credit.create_model(pg_temp.card('overlap', 'number', '[{"kind": "interval", "high": 5, "closure": "openClosed", "points": 1}, {"kind": "interval", "low": 5, "high": 10, "closure": "closedOpen", "points": 2}]'));
SELECT length(credit.publish_model('overlap', 1));
SELECT pg_temp.fails('SELECT credit.publish_model(''overlap'', 1)');
SELECT pg_temp.fails('SELECT credit.publish_model(''overlap'')');
SELECT pg_temp.fails('SELECT credit.publish_model(''overlap'', 7)');
SELECT pg_temp.fails('SELECT credit.discard_model(''overlap'', 1)');
SELECT credit.create_model(pg_temp.card('overlap', 'number', '[{"kind": "other", "points": 9}]'));
SELECT credit.discard_model('overlap', 2);
SELECT version, status, published_by = current_user AS by_me, part_counts FROM credit.model WHERE name = 'overlap';

-- immutable, to the owner and superuser too
SET LOCAL client_min_messages = warning;
SELECT pg_temp.fails(q) FROM (VALUES
    (1, 'UPDATE credit.model SET initial_score = 1 WHERE name = ''overlap'''),
    (2, 'UPDATE credit.model SET status = ''draft'' WHERE name = ''overlap'''),
    (3, 'UPDATE credit.model SET status = ''retired'', version = 5 WHERE name = ''overlap'''),
    (4, 'DELETE FROM credit.model WHERE name = ''overlap'''),
    (5, 'UPDATE credit.attribute a SET points = 100 FROM credit.model m WHERE m.model_id = a.model_id AND m.name = ''overlap'''),
    (6, 'DELETE FROM credit.characteristic c USING credit.model m WHERE m.model_id = c.model_id AND m.name = ''overlap'''),
    (7, 'INSERT INTO credit.attribute SELECT model_id, 1, 3, ''other'', NULL, NULL, NULL, NULL, NULL, NULL, 5 FROM credit.model WHERE name = ''overlap'''),
    (8, 'INSERT INTO credit.characteristic SELECT model_id, 2, ''y'', ''y'', ''text'' FROM credit.model WHERE name = ''overlap'''),
    (9, 'INSERT INTO credit.reason SELECT model_id, 1, ''R'' FROM credit.model WHERE name = ''overlap'''),
    (10, 'INSERT INTO credit.grade_band SELECT model_id, 1, ''A'' FROM credit.model WHERE name = ''overlap'''),
    (11, 'UPDATE credit.attribute a SET model_id = (SELECT model_id FROM credit.model WHERE name = ''defaults'') FROM credit.model m WHERE m.model_id = a.model_id AND m.name = ''overlap'''),
    (12, 'TRUNCATE credit.attribute'),
    (13, 'TRUNCATE credit.model CASCADE')
) v(n, q) ORDER BY n;
-- around the triggers: scoring notices that this is not what was published
SAVEPOINT tampered;
SET LOCAL session_replication_role = replica;
UPDATE credit.attribute a SET points = 100 FROM credit.model m WHERE m.model_id = a.model_id AND m.name = 'overlap' AND a.ordinal = 1;
SET LOCAL session_replication_role = origin;
SELECT pg_temp.fails('SELECT credit.score(''overlap'', v) FROM (SELECT 5 AS x) v');
ROLLBACK TO tampered;
SELECT pg_temp.fails('SELECT credit.score(''overlap'', v) FROM (SELECT 5 AS x) v');

-- what a restore does: the model first, its parts afterwards, none beyond what was published
INSERT INTO credit.model (name, version, status, use_reason_codes, digest, part_counts, created_by)
SELECT 'defaults', 2, 'published', false, digest, part_counts, 'somebody' FROM credit.model WHERE name = 'defaults';
INSERT INTO credit.characteristic SELECT model_id, 1, 'x', 'x', 'text' FROM credit.model WHERE name = 'defaults' AND version = 2;
SELECT pg_temp.fails('SELECT credit.score(''defaults'', v) FROM (SELECT ''a''::text AS x) v');
INSERT INTO credit.attribute SELECT model_id, 1, 1, 'other', NULL, NULL, NULL, NULL, NULL, NULL, 1 FROM credit.model WHERE name = 'defaults' AND version = 2;
SELECT pg_temp.fails('INSERT INTO credit.attribute SELECT model_id, 1, 2, ''missing'', NULL, NULL, NULL, NULL, NULL, NULL, 5 FROM credit.model WHERE name = ''defaults'' AND version = 1');
SELECT pg_temp.fails('SELECT credit.score(''defaults'', v) FROM (SELECT ''a''::text AS x) v');
ROLLBACK;
