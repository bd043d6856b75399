-- ---------------------------------------------------------------------------
-- 65 rating: ratings read by institutions, under consent
-- ---------------------------------------------------------------------------
-- A rating is credit information of the category that its model is assigned to, and the guard of the consent room stands in
-- front of it as it does in front of records: access is opened, which decides and makes the entry durable, and only then a row
-- passes. Nothing here decides on a consent. Inputs are values of other categories, so an institution has no right to them.

CREATE TABLE credit.rating_category (
    model text PRIMARY KEY,
    category_id smallint NOT NULL REFERENCES credit.category,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE credit.rating_category IS
    'category whose consents cover the ratings by a model; without a row no institution reads them (评级所属信息类别)';
SELECT pg_catalog.pg_extension_config_dump('credit.rating_category', '');
SELECT credit._audit_table('credit.rating_category');

-- Asked by the policy for each row; NULL, which the guard never lets through, for a model that is assigned to nothing. What the law
-- makes public needs no consent, and no law makes a rating public, whatever becomes of the category.
CREATE FUNCTION credit._rating_category(model text) RETURNS smallint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT r.category_id FROM credit.rating_category r JOIN credit.category c ON c.category_id = r.category_id
             WHERE r.model = _rating_category.model AND NOT c.public_by_law);
END
$$;
COMMENT ON FUNCTION credit._rating_category(text) IS 'category that the ratings by a model are read under; NULL: none (评级所属信息类别)';

CREATE FUNCTION credit.set_rating_category(model text, category text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted credit.category;
BEGIN
    IF set_rating_category.model IS NULL THEN
        RAISE EXCEPTION 'model cannot be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF set_rating_category.category IS NULL THEN
        DELETE FROM credit.rating_category r WHERE r.model = set_rating_category.model;
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM credit.model m WHERE m.name = set_rating_category.model) THEN
        RAISE EXCEPTION 'there is no model "%"', set_rating_category.model
            USING ERRCODE = 'undefined_object', HINT = 'Give its name without a version: consents cover all versions.';
    END IF;
    wanted := credit._category(set_rating_category.category);
    IF wanted.public_by_law THEN
        RAISE EXCEPTION 'ratings cannot be read under category "%"', wanted.code
            USING ERRCODE = 'PC417', DETAIL = 'The law makes its records public, so it would be read without a consent; no law makes a rating public.',
                  HINT = 'Choose a category that needs consent, or define one with credit.define_category.';
    END IF;
    INSERT INTO credit.rating_category AS r (model, category_id, set_by)
    VALUES (set_rating_category.model, wanted.category_id, credit.calling_role()::text)
    ON CONFLICT ON CONSTRAINT rating_category_pkey DO UPDATE
       SET category_id = EXCLUDED.category_id, set_by = EXCLUDED.set_by, set_at = clock_timestamp();
END
$$;
COMMENT ON FUNCTION credit.set_rating_category(text, text) IS
    'say which category a consent must cover for an institution to read ratings by a model; category NULL: nobody reads them (设置评级所属信息类别)';

-- Everybody who could read ratings before still can; institutions come in by the guard alone.
ALTER TABLE credit.rating ENABLE ROW LEVEL SECURITY;
CREATE POLICY operated ON credit.rating FOR SELECT TO credit_operator USING (true);
CREATE POLICY guarded ON credit.rating FOR SELECT TO credit_institution
    USING (credit.guard(subject_id, credit._rating_category(model), (rated_at AT TIME ZONE 'Asia/Shanghai')::date));

-- What is read of ratings by a model under its category's code; raises when nothing is.
CREATE FUNCTION credit._rating_category_code(model text) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    code text := (SELECT c.code FROM credit.category c WHERE c.category_id = credit._rating_category(model));
BEGIN
    IF code IS NULL THEN
        RAISE EXCEPTION 'ratings by model "%" are read by no institution', model
            USING ERRCODE = 'PC416', DETAIL = 'The model is assigned to no category that needs consent.',
                  HINT = 'An operator assigns it with credit.set_rating_category.';
    END IF;
    RETURN code;
END
$$;
COMMENT ON FUNCTION credit._rating_category_code(text) IS 'code of the category that the ratings by a model are read under (评级所属信息类别代码)';

CREATE TYPE credit.shown_rating AS (
    subject_id bigint, rating_id bigint, version integer, score float8, grade text, score_grade text, grade_rule text,
    rule_zh text, rule_en text, reasons jsonb, rated_at timestamptz, valid_until date, review_on date, masked text[]);
COMMENT ON TYPE credit.shown_rating IS 'a rating as credit.read_rating returns it (评级查询结果)';

-- The ratings that access is open to, covered for a role whose clearance is below a level of the category, as records are: that there
-- is one, and of when, is shown, what it says is not. Whole where credit.guard lets the row pass as it is.
CREATE VIEW credit._rating_shown WITH (security_barrier) AS
SELECT r.subject_id, r.rating_id, r.model_id, r.model, w.whole, CASE WHEN w.whole THEN r.score END AS score,
       CASE WHEN w.whole OR r.grade IS NULL THEN r.grade ELSE '***' END AS grade,
       CASE WHEN w.whole OR r.score_grade IS NULL THEN r.score_grade ELSE '***' END AS score_grade,
       CASE WHEN w.whole THEN r.grade_rule END AS grade_rule, CASE WHEN w.whole THEN r.reasons END AS reasons,
       r.rated_at, r.valid_until, r.review_on
  FROM credit.rating r
 CROSS JOIN LATERAL (SELECT COALESCE(credit.guard(r.subject_id, credit._rating_category(r.model), (r.rated_at AT TIME ZONE 'Asia/Shanghai')::date), false) AS whole) w
 WHERE credit._guard_masked(r.subject_id, credit._rating_category(r.model), (r.rated_at AT TIME ZONE 'Asia/Shanghai')::date);
COMMENT ON VIEW credit._rating_shown IS 'ratings that access is open to, covered above the role''s clearance (评级，脱敏)';

-- After access is opened; the guard asks for each row again.
CREATE FUNCTION credit._shown_ratings(subjects bigint[], model text) RETURNS SETOF credit.shown_rating
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT n.subject_id, n.rating_id, m.version, n.score, n.grade, n.score_grade, n.grade_rule,
           COALESCE(k.title_zh, k.condition), COALESCE(k.title_en, k.condition), n.reasons, n.rated_at, n.valid_until, n.review_on,
           CASE WHEN n.whole THEN '{}' ELSE '{score,grade,score_grade,grade_rule,reasons}'::text[] END
      FROM (SELECT DISTINCT u.id FROM unnest(subjects) u(id)) s
     CROSS JOIN LATERAL (SELECT r.subject_id, r.rating_id, r.model_id, r.score, r.grade, r.score_grade, r.grade_rule, r.reasons,
                                r.rated_at, r.valid_until, r.review_on, r.whole
                           FROM credit._rating_shown r
                          WHERE r.subject_id = s.id AND r.model = _shown_ratings.model
                          ORDER BY r.rating_id DESC NULLS LAST LIMIT 1) n
      JOIN credit.model m ON m.model_id = n.model_id
      LEFT JOIN credit.grade_rule k ON k.model_id = n.model_id AND k.kind || ' ' || k.ordinal::text = n.grade_rule
     ORDER BY n.subject_id;
END
$$;

CREATE FUNCTION credit.read_rating(subject bigint, purpose text, model text) RETURNS SETOF credit.shown_rating
    LANGUAGE plpgsql VOLATILE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM credit.open_access(subject, purpose, ARRAY[credit._rating_category_code(model)]);
    RETURN QUERY SELECT * FROM credit._shown_ratings(ARRAY[subject], model);
END
$$;
COMMENT ON FUNCTION credit.read_rating(bigint, text, text) IS
    'opens access to the category that a model is assigned to and returns the newest rating by it that the consent covers; raises if refused (查询评级)';

CREATE FUNCTION credit.read_rating(subjects bigint[], purpose text, model text) RETURNS SETOF credit.shown_rating
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM credit.open_access(subjects, purpose, ARRAY[credit._rating_category_code(model)]);
    RETURN QUERY SELECT * FROM credit._shown_ratings(subjects, model);
END
$$;
COMMENT ON FUNCTION credit.read_rating(bigint[], text, text) IS
    'the same for many subjects: returns what is granted, the refusals are in the log (批量查询评级)';

REVOKE ALL ON credit.rating_category, credit._rating_shown FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._rating_category(text), credit._rating_category_code(text), credit.set_rating_category(text, text),
    credit._shown_ratings(bigint[], text), credit.read_rating(bigint, text, text), credit.read_rating(bigint[], text, text) FROM PUBLIC;
GRANT SELECT ON credit.rating_category TO credit_operator, credit_institution, credit_auditor;
GRANT SELECT ON credit._rating_shown TO credit_institution;
GRANT SELECT (subject_id, rating_id, model_id, model, score, grade, score_grade, grade_rule, reasons, rated_at, valid_until, review_on)
    ON credit.rating TO credit_institution;
GRANT EXECUTE ON FUNCTION credit.set_rating_category(text, text) TO credit_operator;
-- the policy asks as whoever selects
GRANT EXECUTE ON FUNCTION credit._rating_category(text), credit._rating_category_code(text), credit._shown_ratings(bigint[], text),
    credit.read_rating(bigint, text, text), credit.read_rating(bigint[], text, text) TO credit_institution;
