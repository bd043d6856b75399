-- ---------------------------------------------------------------------------
-- 67 rating: approval rates by group
-- ---------------------------------------------------------------------------
-- Which grades are an approval is the operator's to say, not the asker's: who could choose them could take the answers for two
-- choices from each other. Cells are suppressed as everywhere in the statistics, see 55.

CREATE TABLE credit.approval_rule (
    model text PRIMARY KEY,
    grades text[] NOT NULL CHECK (cardinality(grades) > 0),
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE credit.approval_rule IS 'grades of a model that count as an approval in reports by group (视为通过的等级)';
SELECT pg_catalog.pg_extension_config_dump('credit.approval_rule', '');
SELECT credit._audit_table('credit.approval_rule');

CREATE FUNCTION credit.set_approval(model text, grades text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id CONSTANT bigint := credit._published_model(model);
    stray text;
BEGIN
    IF model ~ '@' THEN
        RAISE EXCEPTION 'an approval holds for all versions of a model' USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the name alone.';
    END IF;
    IF grades IS NULL OR cardinality(grades) = 0 THEN
        DELETE FROM credit.approval_rule a WHERE a.model = set_approval.model;
        RETURN;
    END IF;
    SELECT COALESCE(g, 'NULL') INTO stray FROM unnest(grades) g
     WHERE NOT EXISTS (SELECT FROM credit.grade_band b WHERE b.model_id = id AND b.grade = g) LIMIT 1;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'model "%" has no grade "%"', model, stray USING ERRCODE = 'PC438', HINT = 'credit.grade_band lists its grades.';
    END IF;
    INSERT INTO credit.approval_rule AS a (model, grades, set_by) VALUES (set_approval.model, grades, credit.calling_role()::text)
    ON CONFLICT ON CONSTRAINT approval_rule_pkey DO UPDATE SET grades = excluded.grades, set_by = excluded.set_by, set_at = excluded.set_at;
END
$$;
COMMENT ON FUNCTION credit.set_approval(text, text[]) IS
    'say which grades of a model count as an approval; none: it has no report (设定视为通过的等级)';

-- What subjects are grouped by, in its parts; raises when there is no such thing.
CREATE FUNCTION credit._approval_key(by text, OUT kind text, OUT code text, OUT field text) RETURNS record
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part CONSTANT text[] := regexp_match(by, '^(?:(kind|region)|(attribute|indicator):([^.]+)|(field):([^.]+)\.([^.]+))$');
BEGIN
    kind := COALESCE(part[1], part[2], part[4]);
    code := COALESCE(part[3], part[5]);
    field := part[6];
    IF kind IS NULL
       OR kind = 'attribute' AND NOT EXISTS (SELECT FROM credit.subject_kind k WHERE k.code = _approval_key.code AND k.nature <> 'base')
       OR kind = 'indicator' AND NOT EXISTS (SELECT FROM credit.indicator i WHERE i.code = _approval_key.code AND i.type IN ('text', 'boolean'))
       OR kind = 'field' AND NOT EXISTS (SELECT FROM credit.category c WHERE c.code = _approval_key.code
                                            AND c.schema -> 'fields' -> field ->> 'type' IN ('text', 'code', 'boolean')) THEN
        RAISE EXCEPTION 'subjects cannot be grouped by "%"', by
            USING ERRCODE = 'PC438',
                  HINT = 'Give kind, region (counties), attribute:CODE of credit.subject_kind, indicator:CODE or field:CATEGORY.FIELD; '
                         'an indicator or field must be a text, a code or a boolean.';
    END IF;
END
$$;

-- The group that a subject was in at a moment; NULL: not known.
CREATE FUNCTION credit._approval_group(kind text, code text, field text, subject bigint, at timestamptz) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE kind
        WHEN 'kind' THEN (SELECT s.kind FROM credit.subject s WHERE s.subject_id = subject)
        WHEN 'region' THEN (SELECT left(s.region::text, 6) FROM credit.subject s WHERE s.subject_id = subject)
        WHEN 'attribute' THEN (SELECT EXISTS (SELECT FROM credit.subject_attribute a
                                               WHERE a.subject_id = subject AND a.kind_code = code AND a.valid_from <= d.day
                                                 AND COALESCE(a.valid_to > d.day, true))::text)
        WHEN 'indicator' THEN (SELECT v.value FROM credit.indicator_value v JOIN credit.indicator i ON i.indicator_id = v.indicator_id
                                WHERE v.subject_id = subject AND i.code = _approval_group.code AND v.as_of <= d.day AND NOT v.without_disputed
                                ORDER BY v.as_of DESC, v.computed_at DESC LIMIT 1)
        ELSE (SELECT r.payload ->> field FROM credit.record r JOIN credit.category c ON c.category_id = r.category_id
               WHERE r.subject_id = subject AND c.code = _approval_group.code AND r.dated <= d.day AND r.status IN ('active', 'disputed')
               ORDER BY r.dated DESC, r.record_id DESC LIMIT 1) END
      FROM (SELECT (at AT TIME ZONE 'Asia/Shanghai')::date AS day) d
$$;

CREATE FUNCTION credit.approval_by_group(model text, by text, from_day date, to_day date, reference text DEFAULT NULL,
                                         least_ratio numeric DEFAULT NULL)
    RETURNS TABLE (group_value text, subjects bigint, approvals bigint, rate numeric, ratio numeric, below boolean)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    key record;
    good text[];
    cells credit._stat_cell[];
    groups bigint;
BEGIN
    IF model IS NULL OR by IS NULL OR from_day IS NULL OR to_day IS NULL THEN
        RAISE EXCEPTION 'model, grouping and days of a report cannot be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF NOT isfinite(from_day) OR NOT isfinite(to_day) OR from_day > to_day OR extract(day FROM from_day) <> 1 OR extract(day FROM to_day + 1) <> 1 THEN
        RAISE EXCEPTION 'a report is over whole months' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Give the first day of a month and the last day of the same or a later one.';
    END IF;
    IF least_ratio IS NOT NULL AND NOT (least_ratio > 0 AND least_ratio <= 1) THEN
        RAISE EXCEPTION 'a least ratio of % cannot be asked for', least_ratio
            USING ERRCODE = 'invalid_parameter_value', HINT = 'It is above 0, at most 1: 0.8 is the four-fifths rule.';
    END IF;
    key := credit._approval_key(by);
    SELECT a.grades INTO good FROM credit.approval_rule a WHERE a.model = approval_by_group.model;
    IF good IS NULL THEN
        RAISE EXCEPTION 'nothing says which grades of model "%" are an approval', model
            USING ERRCODE = 'PC438', HINT = 'An operator says it with credit.set_approval.';
    END IF;
    -- the newest rating of each subject in these months; who asks, and what, is in the log
    PERFORM credit._audit_note(jsonb_build_object('kind', 'report', 'operation', 'approval_by_group', 'model', model, 'by', by,
                                                  'from', from_day, 'to', to_day));
    WITH newest AS MATERIALIZED (
        SELECT DISTINCT ON (r.subject_id) r.subject_id, r.rated_at,
               CASE WHEN r.grade = ANY (good) THEN 'approved' ELSE 'refused' END AS outcome
          FROM credit.rating r JOIN credit.model m ON m.model_id = r.model_id
         WHERE m.name = approval_by_group.model AND r.rated_at >= from_day::timestamp AT TIME ZONE 'Asia/Shanghai' AND r.rated_at < credit._day_end(to_day)
         ORDER BY r.subject_id, r.rating_id DESC
    ), counted AS MATERIALIZED (
        SELECT COALESCE(credit._approval_group(key.kind, key.code, key.field, n.subject_id, n.rated_at), '') AS value, n.outcome, count(*) AS n
          FROM newest n GROUP BY 1, 2
    ), cell AS (
        SELECT CASE WHEN c.value IS NULL THEN '{}'::text[] ELSE ARRAY[c.value] END AS path, c.outcome AS col, sum(c.n)::bigint AS n
          FROM counted c GROUP BY CUBE (c.value, c.outcome))
    SELECT array_agg(ROW(x.path, x.col, x.n, x.n)::credit._stat_cell ORDER BY x.path, x.col NULLS FIRST), count(DISTINCT x.path) - 1
      INTO cells, groups FROM cell x WHERE x.n > 0;
    IF groups > 1000 THEN
        RAISE EXCEPTION 'there are % groups, 1000 are allowed', groups USING ERRCODE = 'PC438', HINT = 'Group by something coarser.';
    END IF;
    RETURN QUERY
    WITH shown AS MATERIALIZED (
        SELECT p.path[1] AS value, p.col, p.subjects AS n FROM credit._published(cells) p WHERE p.path <> '{}'
    ), line AS MATERIALIZED (
        -- what is not approved follows from what is refused, when both the sum and that are shown
        SELECT t.value, t.n, COALESCE(a.n, t.n - f.n) AS approved
          FROM shown t
          LEFT JOIN shown a ON a.value = t.value AND a.col = 'approved'
          LEFT JOIN shown f ON f.value = t.value AND f.col = 'refused'
         WHERE t.col IS NULL
    ), base AS MATERIALIZED (
        SELECT l.n, l.approved FROM line l
         WHERE l.approved IS NOT NULL AND (reference IS NULL OR l.value = reference)
         ORDER BY l.approved::numeric / l.n DESC LIMIT 1)
    SELECT NULLIF(l.value, ''), l.n, l.approved, round(l.approved::numeric / l.n, 6),
           round(l.approved::numeric * b.n / NULLIF(l.n::numeric * b.approved, 0), 6),
           l.approved::numeric * b.n < least_ratio * b.approved * l.n
      FROM line l LEFT JOIN base b ON true
     ORDER BY l.value COLLATE "C";
    IF reference IS NOT NULL AND NOT EXISTS (SELECT FROM credit._published(cells) p WHERE p.path = ARRAY[reference] AND p.col IS NULL) THEN
        RAISE EXCEPTION 'group "%" is not shown, so nothing is compared with it', reference
            USING ERRCODE = 'PC438', DETAIL = 'There is no such group, or it has fewer subjects than the smallest cell.';
    END IF;
END
$$;
COMMENT ON FUNCTION credit.approval_by_group(text, text, date, date, text, numeric) IS
    'share of approvals by group and its ratio to a group of reference, the best one when none is named; small cells are not shown (分组通过率)';
