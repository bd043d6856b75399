-- ---------------------------------------------------------------------------
-- 61 rating: the subject's own ratings
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit.my_ratings()
    RETURNS TABLE (rating_id bigint, model text, version integer, title_zh text, title_en text, score float8, grade text,
                   score_grade text, grade_rule text, rule_zh text, rule_en text, reasons jsonb, inputs jsonb, rated_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me bigint := credit._self_look('access', 'ratings', NULL);
BEGIN
    RETURN QUERY
    SELECT r.rating_id, m.name, m.version, m.title_zh, m.title_en, r.score, r.grade,
           r.score_grade, r.grade_rule, COALESCE(k.title_zh, k.condition), COALESCE(k.title_en, k.condition), r.reasons, r.inputs, r.rated_at
      FROM credit.rating r JOIN credit.model m ON m.model_id = r.model_id
      LEFT JOIN credit.grade_rule k ON k.model_id = r.model_id AND k.kind || ' ' || k.ordinal::text = r.grade_rule
     WHERE r.subject_id = me
     ORDER BY r.rated_at DESC, r.rating_id DESC;
END
$$;
COMMENT ON FUNCTION credit.my_ratings() IS
    'ratings of the subject that this transaction acts for, newest first, with reasons, inputs and the rule that made the grade; the look is an entry (我的评级)';

REVOKE ALL ON FUNCTION credit.my_ratings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.my_ratings() TO credit_self;
