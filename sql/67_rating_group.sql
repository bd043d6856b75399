-- ---------------------------------------------------------------------------
-- 67 rating: packs of methods; grades of villages, townships and counties
-- ---------------------------------------------------------------------------
-- A rating pack is a method of a document with what the document fixes. What it leaves open is the user's to say, once, when
-- adopting it: no threshold, weight or factor comes with the extension. What a pack reads of subjects are indicators over
-- records, registered at adoption, so that a day, a repair and an objection count here as they do everywhere.

CREATE TABLE credit.rating_pack (
    pack_id text PRIMARY KEY CHECK (pack_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$'),
    title_zh text NOT NULL CHECK (title_zh <> ''),
    title_en text NOT NULL CHECK (title_en <> ''),
    method text NOT NULL CHECK (method IN ('scorecard', 'rollup', 'balance_sheet', 'index', 'recognised', 'conditions')),
    level text CHECK (level IN ('village', 'township', 'county')),
    scale text[] CHECK (cardinality(scale) > 0),
    parameters jsonb NOT NULL DEFAULT '{}',
    sources jsonb NOT NULL DEFAULT '{}',
    clause text,
    note text,
    shipped boolean NOT NULL DEFAULT false,
    CHECK ((method = 'rollup') = (level IS NOT NULL))
);
COMMENT ON TABLE credit.rating_pack IS 'methods of rating with what their documents fix (评级方案包)';
COMMENT ON COLUMN credit.rating_pack.level IS 'what a roll-up grades: village, township or county (层级)';
COMMENT ON COLUMN credit.rating_pack.scale IS 'grades, best first; NULL where no document gives them (等级序列)';
COMMENT ON COLUMN credit.rating_pack.parameters IS 'parameters that the document fixes; nobody can adopt the pack with others (文件所定参数)';
COMMENT ON COLUMN credit.rating_pack.sources IS 'what is read of a subject: a field of a category, or an indicator (数据来源)';
COMMENT ON COLUMN credit.rating_pack.shipped IS 'came with the extension and is not in a dump (内置)';

CREATE TABLE credit.rating_adoption (
    adoption_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pack_id text NOT NULL REFERENCES credit.rating_pack,
    version integer NOT NULL CHECK (version > 0),
    region credit.region_code,
    adopted_from date CHECK (isfinite(adopted_from)),
    parameters jsonb NOT NULL,
    indicators jsonb NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    adopted_by text NOT NULL,
    adopted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    replaced_at timestamptz,
    UNIQUE (pack_id, version)
);
CREATE UNIQUE INDEX rating_adoption_in_force ON credit.rating_adoption (pack_id, region, adopted_from) NULLS NOT DISTINCT
    WHERE replaced_at IS NULL;
COMMENT ON TABLE credit.rating_adoption IS 'parameters with which a rating pack was adopted, one row per version (评级方案采用)';
COMMENT ON COLUMN credit.rating_adoption.region IS 'where it holds, with the regions below; NULL: wherever no region has one of its own (采用地区)';
COMMENT ON COLUMN credit.rating_adoption.adopted_from IS 'first day for which it holds; NULL: for every day (起用日)';
COMMENT ON COLUMN credit.rating_adoption.parameters IS 'all of them: the document''s and the user''s (全部参数)';
COMMENT ON COLUMN credit.rating_adoption.indicators IS 'indicator that each source of the pack is read by (指标)';
COMMENT ON COLUMN credit.rating_adoption.reason IS 'what the parameters rest on (依据)';
COMMENT ON COLUMN credit.rating_adoption.replaced_at IS 'when another version took its place; NULL is in force';

CREATE TABLE credit.group_grade (
    grade_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    adoption_id bigint NOT NULL REFERENCES credit.rating_adoption,
    region credit.region_code NOT NULL,
    as_of date NOT NULL,
    members bigint NOT NULL CHECK (members >= 0),
    graded bigint NOT NULL CHECK (graded BETWEEN 0 AND members),
    good bigint NOT NULL CHECK (good BETWEEN 0 AND graded),
    graded_share numeric,
    good_share numeric,
    tally jsonb NOT NULL,
    share_grade text,
    criteria jsonb NOT NULL DEFAULT '[]',
    grade text,
    computed_by text NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (members = 0 OR graded_share IS NOT NULL),
    CHECK (graded = 0 OR good_share IS NOT NULL)
);
CREATE INDEX group_grade_region_idx ON credit.group_grade (region, as_of, grade_id);
CREATE INDEX region_below_idx ON credit.region ((COALESCE(parent, credit.region_parent(code))));
CREATE INDEX subject_household_region_idx ON credit.subject (region) WHERE kind = 'household';
COMMENT ON TABLE credit.group_grade IS 'grades of villages, townships and counties with the shares that they rest on; the newest counts (信用村镇县评定结果)';
COMMENT ON COLUMN credit.group_grade.members IS 'households, villages or townships in the region on the day (成员数)';
COMMENT ON COLUMN credit.group_grade.graded IS 'of them, those with a grade that was valid on the day (有等级成员数)';
COMMENT ON COLUMN credit.group_grade.good IS 'of these, those with one of the good grades (达标成员数)';
COMMENT ON COLUMN credit.group_grade.tally IS 'how many members have each grade (各等级成员数)';
COMMENT ON COLUMN credit.group_grade.share_grade IS 'grade by the share alone; NULL: too few members have a grade (按份额等级)';
COMMENT ON COLUMN credit.group_grade.criteria IS 'what each further criterion found: numerator, denominator, whether met; JSON null: not known (其他条件)';
COMMENT ON COLUMN credit.group_grade.grade IS 'share_grade, or what criteria that are not met leave of it; NULL: no grade (等级)';

CREATE TABLE credit.group_figure (
    figure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    region credit.region_code NOT NULL,
    code text NOT NULL CHECK (code ~ '^[a-z][a-z0-9_]{0,31}$'),
    dated date NOT NULL CHECK (isfinite(dated)),
    valid_until date CHECK (isfinite(valid_until) AND valid_until >= dated),
    value numeric NOT NULL CHECK (abs(value) < 1e15 AND scale(value) <= 20),
    basis text NOT NULL CHECK (btrim(basis) <> ''),
    entered_by text NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX group_figure_region_idx ON credit.group_figure (region, code, dated, figure_id);
COMMENT ON TABLE credit.group_figure IS 'figures of a village, township or county that its own criteria look at; the newest counts (村镇县自身指标)';
COMMENT ON COLUMN credit.group_figure.code IS 'code of the criterion that looks at it (条件代码)';
COMMENT ON COLUMN credit.group_figure.valid_until IS 'last day on which it counts; NULL: until a newer one (有效期至)';
COMMENT ON COLUMN credit.group_figure.basis IS 'where it is from (依据)';

CREATE FUNCTION credit._group_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of %.% is refused', lower(TG_OP), TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'PC434', DETAIL = 'What was adopted, confirmed or computed stays as it was.',
              HINT = 'Do it again; the newest row counts.';
END
$$;
-- An adoption ends once, and changes in nothing else.
CREATE FUNCTION credit._adoption_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.replaced_at IS NULL AND NEW.replaced_at IS NOT NULL
       AND pg_catalog.to_jsonb(OLD) - 'replaced_at' = pg_catalog.to_jsonb(NEW) - 'replaced_at' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'adoption % of rating pack "%" cannot be changed', OLD.version, OLD.pack_id
        USING ERRCODE = 'PC434', HINT = 'Adopt the pack again with credit.adopt_rating_pack.';
END
$$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON credit.group_grade FOR EACH ROW EXECUTE FUNCTION credit._group_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON credit.group_grade EXECUTE FUNCTION credit._group_guard();
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON credit.group_figure FOR EACH ROW EXECUTE FUNCTION credit._group_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON credit.group_figure EXECUTE FUNCTION credit._group_guard();
CREATE TRIGGER guard BEFORE UPDATE ON credit.rating_adoption FOR EACH ROW EXECUTE FUNCTION credit._adoption_guard();
CREATE TRIGGER guard_delete BEFORE DELETE ON credit.rating_adoption FOR EACH ROW EXECUTE FUNCTION credit._group_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON credit.rating_adoption EXECUTE FUNCTION credit._group_guard();

SELECT pg_catalog.pg_extension_config_dump('credit.rating_pack', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_adoption', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_adoption_adoption_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.group_grade', '');
SELECT pg_catalog.pg_extension_config_dump('credit.group_grade_grade_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.group_figure', '');
SELECT pg_catalog.pg_extension_config_dump('credit.group_figure_figure_id_seq', '');
SELECT credit._audit_table('credit.rating_pack');
SELECT credit._audit_table('credit.rating_adoption');
SELECT credit._audit_table('credit.group_grade');
SELECT credit._audit_table('credit.group_figure');

-- parameters ------------------------------------------------------------------

CREATE FUNCTION credit._method_parameters(method text, OUT name text, OUT what_zh text, OUT what_en text, OUT optional boolean) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT v.name, v.zh, v.en, v.name = 'criteria' FROM (VALUES
            ('scorecard', 'model', '已发布的评分模型', 'name of a published model'),
            ('rollup', 'members', '成员所用的评级方案', 'rating pack that grades the members'),
            ('rollup', 'good_grades', '计为达标的成员等级', 'grades of members that count as good'),
            ('rollup', 'bands', '各等级所需的达标份额（含）', 'share of good members from which each grade is given, that share included'),
            ('rollup', 'least_graded', '有等级成员的最少数量', 'least number of members with a grade'),
            ('rollup', 'least_graded_share', '有等级成员的最小份额', 'least share of members with a grade'),
            ('rollup', 'criteria', '份额以外的条件，可不设', 'criteria besides the shares, if there are any'),
            ('balance_sheet', 'base_share', '以净资产的多大份额为基础', 'share of the net assets that the limit is based on'),
            ('balance_sheet', 'income_multiple', '至多为年收入的倍数', 'multiple of the yearly income that is the most'),
            ('balance_sheet', 'character_low', '人品资信系数下限', 'lowest factor of character and standing'),
            ('balance_sheet', 'character_high', '人品资信系数上限', 'highest factor of character and standing'),
            ('index', 'weights', '各方面权重，合计为 1', 'weight of each aspect; they add up to 1'),
            ('conditions', 'conditions', '条件的代码，逐条列出', 'codes of the conditions, all of them')
        ) AS v (method, name, zh, en) WHERE v.method = _method_parameters.method;
    END;

CREATE FUNCTION credit._share(v jsonb, most numeric) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(CASE WHEN jsonb_typeof(v) = 'number' THEN v::numeric BETWEEN 0 AND most AND scale(v::numeric) <= 20 END, false)
$$;

CREATE FUNCTION credit._texts(v jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN jsonb_typeof(v) = 'array' AND jsonb_array_length(v) > 0
                 AND NOT EXISTS (SELECT FROM jsonb_array_elements(v) e WHERE jsonb_typeof(e) <> 'string' OR e #>> '{}' = '')
                 AND jsonb_array_length(v) = (SELECT count(DISTINCT e) FROM jsonb_array_elements(v) e)
                THEN ARRAY(SELECT e #>> '{}' FROM jsonb_array_elements(v) WITH ORDINALITY x(e, n) ORDER BY n) END
$$;
COMMENT ON FUNCTION credit._texts(jsonb) IS 'the texts of an array of different ones that are not empty; NULL for anything else';

-- Bands name each grade of the scale once, best first, and end at 0: each share has a grade.
CREATE FUNCTION credit._bands_problem(bands jsonb, scale text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(bands) <> 'array'
       OR EXISTS (SELECT FROM jsonb_array_elements(bands) b
                   WHERE jsonb_typeof(b) <> 'object' OR jsonb_typeof(b -> 'grade') IS DISTINCT FROM 'string'
                      OR NOT credit._share(b -> 'from', 1) OR (SELECT count(*) FROM jsonb_object_keys(b)) <> 2) THEN
        RETURN 'bands is an array of objects with a grade and the share, 0 to 1, that it is given from';
    END IF;
    IF ARRAY(SELECT b ->> 'grade' FROM jsonb_array_elements(bands) WITH ORDINALITY x(b, n) ORDER BY n) IS DISTINCT FROM scale THEN
        RETURN format('bands must name the grades %s, once and in this order', array_to_string(scale, ', '));
    END IF;
    IF EXISTS (SELECT FROM (SELECT (b -> 'from')::numeric AS low, lag((b -> 'from')::numeric) OVER (ORDER BY n) AS above
                              FROM jsonb_array_elements(bands) WITH ORDINALITY x(b, n)) s WHERE s.low >= s.above)
       OR (bands -> -1 -> 'from')::numeric <> 0 THEN
        RETURN 'the shares of bands must fall, and the last one must be 0';
    END IF;
    RETURN NULL;
END
$$;

-- A criterion besides the shares: a figure of the region itself, or, of a village, the sum of an indicator over its households,
-- by itself or divided by another sum or by their number. What follows when it is not met, or not known, is said in each.
CREATE FUNCTION credit._criterion_problem(c jsonb, level text, scale text[]) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(c) <> 'object' OR jsonb_typeof(c -> 'code') IS DISTINCT FROM 'string' OR c ->> 'code' !~ '^[a-z][a-z0-9_]{0,31}$' THEN
        RETURN 'each is an object with a code of lower-case letters, digits and _';
    END IF;
    RETURN (SELECT format('%s: %s', c ->> 'code', v.problem) FROM (VALUES
        (1, (SELECT format('unknown key %s', to_json(min(k))) FROM jsonb_object_keys(c) k
              WHERE k <> ALL ('{code,title_zh,title_en,sum,per,least,most,otherwise,unknown}') HAVING count(*) > 0)),
        (2, CASE WHEN jsonb_typeof(c -> 'title_zh') IS DISTINCT FROM 'string' OR c ->> 'title_zh' = ''
                   OR jsonb_typeof(c -> 'title_en') IS DISTINCT FROM 'string' OR c ->> 'title_en' = '' THEN 'needs title_zh and title_en' END),
        (3, CASE WHEN c ? 'sum' AND level <> 'village' THEN 'sum is of households, so for villages only' END),
        (4, CASE WHEN c ? 'per' AND NOT c ? 'sum' THEN 'per needs a sum to be divided' END),
        (5, (SELECT format('there is no indicator %s of type number', min(n::text)) FROM (VALUES (c -> 'sum'), (c -> 'per')) w(n)
              WHERE n <> '"members"' IS NOT DISTINCT FROM true
                AND NOT EXISTS (SELECT FROM credit.indicator i WHERE to_jsonb(i.code) = n AND i.type = 'number' AND i.replaced_at IS NULL)
             HAVING count(*) > 0)),
        (6, CASE WHEN c -> 'sum' = '"members"' THEN 'sum names an indicator' END),
        (7, CASE WHEN NOT (c ? 'least' OR c ? 'most') OR c ? 'least' AND NOT credit._bound(c -> 'least') OR c ? 'most' AND NOT credit._bound(c -> 'most')
                 THEN 'needs least or most, numbers below 1e15' END),
        (8, CASE WHEN (c ->> 'least')::numeric > (c ->> 'most')::numeric THEN 'least is above most' END),
        (9, CASE WHEN NOT c ? 'otherwise' OR c -> 'otherwise' <> 'null' AND NOT (jsonb_typeof(c -> 'otherwise') = 'string' AND c ->> 'otherwise' = ANY (scale))
                 THEN format('otherwise must be one of %s, the best that is left, or null, no grade', array_to_string(scale, ', ')) END),
        (10, CASE WHEN COALESCE(c ->> 'unknown', '') NOT IN ('met', 'not_met') THEN 'unknown must be met or not_met' END)) v(place, problem)
      WHERE v.problem IS NOT NULL ORDER BY v.place LIMIT 1);
END
$$;

CREATE FUNCTION credit._bound(v jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(CASE WHEN jsonb_typeof(v) = 'number' THEN abs(v::numeric) < 1e15 AND scale(v::numeric) <= 20 END, false)
$$;

CREATE FUNCTION credit._criteria_problem(v jsonb, level text, scale text[]) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(v) <> 'array' THEN
        RETURN 'criteria must be an array of objects';
    END IF;
    RETURN (SELECT 'criteria: ' || q.problem FROM (
        SELECT n, credit._criterion_problem(e, level, scale) FROM jsonb_array_elements(v) WITH ORDINALITY x(e, n)
        UNION ALL
        SELECT 1000000, format('code %s is given twice', to_json(e ->> 'code')) FROM jsonb_array_elements(v) e
         GROUP BY e ->> 'code' HAVING count(*) > 1) q(n, problem)
      WHERE q.problem IS NOT NULL ORDER BY q.n, q.problem LIMIT 1);
END
$$;

-- What is wrong with one parameter of a pack, NULL when nothing is.
CREATE FUNCTION credit._parameter_problem(p credit.rating_pack, name text, v jsonb) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    other credit.rating_pack;
    grades text[];
BEGIN
    CASE name
        WHEN 'model' THEN
            SELECT array_agg(g.grade ORDER BY g.low DESC NULLS LAST) INTO grades
              FROM credit.grade_band g
             WHERE g.model_id = (SELECT m.model_id FROM credit.model m WHERE to_jsonb(m.name) = v AND m.status = 'published'
                                  ORDER BY m.version DESC LIMIT 1);
            RETURN CASE WHEN grades IS NULL THEN format('model: %s is no published model with grades', v)
                        WHEN p.scale IS NOT NULL AND p.scale <> grades
                        THEN format('model: its grades are %s, the pack''s are %s', array_to_string(grades, ', '),
                                    array_to_string(p.scale, ', ')) END;
        WHEN 'members' THEN
            SELECT * INTO other FROM credit.rating_pack x WHERE to_jsonb(x.pack_id) = v;
            RETURN CASE WHEN other.pack_id IS NULL THEN format('members: there is no rating pack %s', v)
                        WHEN CASE p.level WHEN 'village' THEN other.method <> 'scorecard'
                                          WHEN 'township' THEN other.level IS DISTINCT FROM 'village'
                                          ELSE other.level IS DISTINCT FROM 'township' END
                        THEN format('members: rating pack %s does not grade %s', v,
                                    CASE p.level WHEN 'village' THEN 'households by a model' WHEN 'township' THEN 'villages' ELSE 'townships' END) END;
        WHEN 'good_grades', 'conditions' THEN
            RETURN CASE WHEN credit._texts(v) IS NULL THEN name || ' must be an array of different texts' END;
        WHEN 'bands' THEN
            RETURN credit._bands_problem(v, p.scale);
        WHEN 'criteria' THEN
            RETURN credit._criteria_problem(v, p.level, p.scale);
        WHEN 'least_graded' THEN
            RETURN CASE WHEN NOT credit._share(v, 1000000000) OR v::numeric < 1 OR v::numeric <> trunc(v::numeric)
                        THEN 'least_graded must be a whole number from 1' END;
        WHEN 'least_graded_share', 'base_share' THEN
            RETURN CASE WHEN NOT credit._share(v, 1) THEN name || ' must be a number from 0 to 1' END;
        WHEN 'weights' THEN
            RETURN CASE WHEN jsonb_typeof(v) <> 'object'
                          OR ARRAY(SELECT k FROM jsonb_object_keys(v) k ORDER BY k) <> ARRAY(SELECT k FROM jsonb_object_keys(p.sources) k ORDER BY k)
                        THEN 'weights must name each of ' || (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(p.sources) k)
                        WHEN EXISTS (SELECT FROM jsonb_each(v) w WHERE NOT credit._share(w.value, 1))
                        THEN 'weights must be numbers from 0 to 1'
                        WHEN (SELECT sum(w.value::numeric) FROM jsonb_each(v) w) <> 1
                        THEN format('weights add up to %s, not to 1', (SELECT trim_scale(sum(w.value::numeric)) FROM jsonb_each(v) w)) END;
        ELSE
            RETURN CASE WHEN NOT credit._share(v, 1000000) OR v::numeric = 0 THEN name || ' must be a number above 0, at most 1000000' END;
    END CASE;
END
$$;

-- A region and those above it, nearest first.
CREATE FUNCTION credit._regions_above(region credit.region_code) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place credit.region_code := region;
    above text[] := '{}';
BEGIN
    -- parents are data that nobody checked for circles
    WHILE place IS NOT NULL AND place::text <> ALL (above) LOOP
        above := above || place::text;
        place := COALESCE((SELECT r.parent FROM credit.region r WHERE r.code OPERATOR(credit.=) place), credit.region_parent(place));
    END LOOP;
    RETURN above;
END
$$;

-- The adoption of a pack that holds in a region on a day; NULL: none. That of the nearest region counts, of one region the newest
-- that has begun.
CREATE FUNCTION credit._adoption_at(scheme text, region credit.region_code, day date) RETURNS credit.rating_adoption
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    above CONSTANT text[] := credit._regions_above(region);
    a credit.rating_adoption;
BEGIN
    SELECT * INTO a FROM credit.rating_adoption x
     WHERE x.pack_id = scheme AND x.replaced_at IS NULL AND COALESCE(x.adopted_from <= day, true)
       AND (x.region IS NULL OR x.region::text = ANY (above))
     ORDER BY array_position(above, x.region::text) NULLS LAST, x.adopted_from DESC NULLS LAST LIMIT 1;
    RETURN a;
END
$$;

-- All that is wrong with parameters of a pack, as far as they are given.
CREATE FUNCTION credit._parameter_problems(p credit.rating_pack, given jsonb, region credit.region_code DEFAULT NULL, day date DEFAULT NULL)
    RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    problems text[];
    grades text[];
BEGIN
    IF jsonb_typeof(given) IS DISTINCT FROM 'object' THEN
        RETURN '{"parameters must be a JSON object"}';
    END IF;
    SELECT array_agg(q.problem ORDER BY q.key) INTO problems
      FROM (SELECT g.key, CASE WHEN g.key IN (SELECT m.name FROM credit._method_parameters(p.method) m)
                               THEN credit._parameter_problem(p, g.key, g.value)
                               ELSE format('method %s has no parameter %s', p.method, to_json(g.key)) END AS problem
              FROM jsonb_each(given) g) q
     WHERE q.problem IS NOT NULL;
    IF problems IS NOT NULL THEN
        RETURN problems;
    END IF;
    IF (given -> 'character_low')::numeric > (given -> 'character_high')::numeric THEN
        problems := problems || 'character_low is above character_high'::text;
    END IF;
    IF given ? 'members' AND given ? 'good_grades' THEN
        SELECT COALESCE(x.scale, (SELECT array_agg(DISTINCT g.grade) FROM credit.grade_band g JOIN credit.model m USING (model_id)
                                   WHERE m.name = (credit._adoption_at(x.pack_id, _parameter_problems.region, day)).parameters ->> 'model'))
          INTO grades FROM credit.rating_pack x WHERE x.pack_id = given ->> 'members';
        IF NOT credit._texts(given -> 'good_grades') <@ grades THEN
            problems := problems || format('good_grades must be grades of the members: %s', array_to_string(grades, ', '));
        END IF;
    END IF;
    IF p.parameters ? 'count' AND given ? 'conditions' AND jsonb_array_length(given -> 'conditions') <> (p.parameters -> 'count')::integer THEN
        problems := problems || format('conditions must be %s', p.parameters -> 'count');
    END IF;
    RETURN problems;
END
$$;

-- What is wrong with a source, NULL when nothing is.
CREATE FUNCTION credit._source_problem(name text, source jsonb) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN name !~ '^[a-z][a-z0-9_]{0,15}$' THEN format('source %s is badly named', to_json(name))
                WHEN jsonb_typeof(source) <> 'object' THEN format('source "%s" is no object', name)
                WHEN ARRAY(SELECT k FROM jsonb_object_keys(source) k ORDER BY k) NOT IN ('{category,field}', '{indicator}')
                THEN format('source "%s" needs a category and a field, or an indicator', name)
                WHEN source ? 'indicator' AND NOT EXISTS (SELECT FROM credit.indicator i WHERE i.code = source ->> 'indicator' AND i.replaced_at IS NULL)
                THEN format('source "%s": there is no indicator %s', name, source -> 'indicator')
                WHEN source ? 'field' AND NOT EXISTS (SELECT FROM credit.category c WHERE c.code = source ->> 'category'
                                                         AND c.schema -> 'fields' ? (source ->> 'field'))
                THEN format('source "%s": there is no field %s in a category %s', name, source -> 'field', source -> 'category') END
$$;

-- packs -----------------------------------------------------------------------

CREATE FUNCTION credit.check_rating_pack(definition jsonb) RETURNS TABLE (path text, problem text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p credit.rating_pack;
    needed text[];
BEGIN
    IF jsonb_typeof(definition) IS DISTINCT FROM 'object' THEN
        RETURN QUERY SELECT '$'::text, 'a rating pack is a JSON object'::text;
        RETURN;
    END IF;
    RETURN QUERY SELECT '$'::text, 'unknown key ' || to_json(k)::text FROM jsonb_object_keys(definition) k
                  WHERE k <> ALL ('{pack_id,title_zh,title_en,method,level,scale,parameters,sources,clause,note}');
    IF jsonb_typeof(COALESCE(definition -> 'sources', '{}')) <> 'object' OR jsonb_typeof(COALESCE(definition -> 'parameters', '{}')) <> 'object'
       OR definition ? 'scale' AND credit._texts(definition -> 'scale') IS NULL THEN
        RETURN QUERY SELECT '$'::text, 'parameters and sources are objects, scale is an array of different texts'::text;
        RETURN;
    END IF;
    BEGIN
        p := jsonb_populate_record(NULL::credit.rating_pack, '{"parameters": {}, "sources": {}}' || (definition - 'shipped'));
    EXCEPTION WHEN data_exception THEN
        RETURN QUERY SELECT '$'::text, sqlerrm;
        RETURN;
    END;
    needed := CASE p.method WHEN 'balance_sheet' THEN '{assets,debts,income}' WHEN 'recognised' THEN '{grade}' END;
    RETURN QUERY
    SELECT '$'::text, v.problem FROM (VALUES
        (CASE WHEN p.pack_id IS NULL OR p.title_zh IS NULL OR p.title_en IS NULL OR p.method IS NULL
              THEN 'pack_id, title_zh, title_en and method are required' END),
        -- their indicators would have one name
        ((SELECT format('rating pack "%s" exists already', min(x.pack_id)) FROM credit.rating_pack x
           WHERE regexp_replace(lower(x.pack_id), '[^a-z0-9]', '_', 'g') = regexp_replace(lower(p.pack_id), '[^a-z0-9]', '_', 'g')
          HAVING count(*) > 0)),
        (CASE WHEN p.method NOT IN ('scorecard', 'rollup', 'balance_sheet', 'index', 'recognised', 'conditions')
              THEN format('unknown method "%s"', p.method) END),
        (CASE WHEN (p.method = 'rollup') <> COALESCE(p.level IN ('village', 'township', 'county'), false) OR (p.method <> 'rollup' AND p.level IS NOT NULL)
              THEN 'level, village, township or county, belongs to method rollup, and it needs it' END),
        (CASE WHEN p.method IN ('rollup', 'recognised') AND p.scale IS NULL THEN format('method %s needs a scale', p.method) END),
        (CASE WHEN p.method IN ('balance_sheet', 'index', 'conditions') AND p.scale IS NOT NULL THEN format('method %s has no scale', p.method) END),
        (CASE WHEN needed IS NOT NULL AND ARRAY(SELECT k FROM jsonb_object_keys(p.sources) k ORDER BY k) <> needed
              THEN format('method %s reads the sources %s', p.method, array_to_string(needed, ', ')) END),
        (CASE WHEN p.method IN ('scorecard', 'rollup', 'conditions') AND p.sources <> '{}' THEN format('method %s has no sources', p.method) END),
        (CASE WHEN p.method = 'index' AND p.sources = '{}' THEN 'method index needs sources' END)) AS v (problem)
     WHERE v.problem IS NOT NULL;
    RETURN QUERY SELECT 'sources'::text, credit._source_problem(s.key, s.value) FROM jsonb_each(p.sources) s
                  WHERE credit._source_problem(s.key, s.value) IS NOT NULL;
    RETURN QUERY SELECT 'parameters'::text, u FROM unnest(credit._parameter_problems(p, p.parameters - CASE WHEN p.method = 'conditions' THEN 'count' ELSE '' END)) u;
    IF p.method = 'conditions' AND p.parameters ? 'count' AND (NOT credit._share(p.parameters -> 'count', 1000) OR p.parameters ->> 'count' !~ '^[1-9][0-9]*$') THEN
        RETURN QUERY SELECT 'parameters'::text, 'count must be a whole number from 1'::text;
    END IF;
END
$$;
COMMENT ON FUNCTION credit.check_rating_pack(jsonb) IS 'what is wrong with a rating pack written as JSON; no row: nothing (校验评级方案包)';

CREATE FUNCTION credit.create_rating_pack(definition jsonb) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    problems text;
BEGIN
    SELECT string_agg(k.path || ': ' || k.problem, E'\n') INTO problems
      FROM (SELECT c.path, c.problem FROM credit.check_rating_pack(definition) c LIMIT 20) k;
    IF problems IS NULL THEN
        BEGIN
            INSERT INTO credit.rating_pack
            SELECT (jsonb_populate_record(NULL::credit.rating_pack, '{"parameters": {}, "sources": {}}' || definition || '{"shipped": false}')).*;
        EXCEPTION WHEN check_violation OR unique_violation THEN
            problems := sqlerrm;
        END;
    END IF;
    IF problems IS NOT NULL THEN
        RAISE EXCEPTION 'rating pack "%" is not valid', definition ->> 'pack_id' USING ERRCODE = 'PC430', DETAIL = problems;
    END IF;
    RETURN definition ->> 'pack_id';
END
$$;
COMMENT ON FUNCTION credit.create_rating_pack(jsonb) IS 'adds a rating pack written as JSON (新增评级方案包)';

CREATE FUNCTION credit._rating_pack(scheme text) RETURNS credit.rating_pack
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p credit.rating_pack;
BEGIN
    SELECT * INTO p FROM credit.rating_pack x WHERE x.pack_id = scheme;
    IF p.pack_id IS NULL THEN
        RAISE EXCEPTION 'there is no rating pack "%"', scheme USING ERRCODE = 'undefined_object', HINT = 'credit.rating_pack lists them.';
    END IF;
    RETURN p;
END
$$;

CREATE FUNCTION credit.rating_parameters(scheme text, region credit.region_code DEFAULT NULL, as_of date DEFAULT NULL,
                                         OUT parameter text, OUT fixed jsonb, OUT adopted jsonb, OUT what_zh text, OUT what_en text,
                                         OUT optional boolean) RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.name, p.parameters -> m.name, a.parameters -> m.name, m.what_zh, m.what_en, m.optional
      FROM credit._rating_pack(scheme) p
     CROSS JOIN LATERAL credit._method_parameters(p.method) m
     CROSS JOIN LATERAL credit._adoption_at(p.pack_id, region, COALESCE(as_of, credit._today())) a
$$;
COMMENT ON FUNCTION credit.rating_parameters(text, credit.region_code, date) IS
    'parameters of a rating pack: what its document fixes, what holds in a region on a day, and what each is (评级方案参数)';

CREATE FUNCTION credit.adopted_rating_packs(region credit.region_code DEFAULT NULL, as_of date DEFAULT NULL)
    RETURNS TABLE (pack_id text, title_zh text, title_en text, version integer, adopted_by_region credit.region_code, adopted_from date,
                   parameters jsonb, reason text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.pack_id, p.title_zh, p.title_en, a.version, a.region, a.adopted_from, a.parameters, a.reason
      FROM credit.rating_pack p
     CROSS JOIN LATERAL credit._adoption_at(p.pack_id, adopted_rating_packs.region, COALESCE(as_of, credit._today())) a
     WHERE a.adoption_id IS NOT NULL ORDER BY p.pack_id COLLATE "C"
$$;
COMMENT ON FUNCTION credit.adopted_rating_packs(credit.region_code, date) IS
    'rating packs that hold in a region on a day, with which parameters, and which region adopted each (地区采用的评级方案)';

-- The indicator by which a source is read; a field gets one, or a new version of it, where the one in force is another.
CREATE FUNCTION credit._source_indicator(pack_id text, name text, source jsonb) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    indicator CONSTANT text := regexp_replace(lower(pack_id), '[^a-z0-9]', '_', 'g') || '_' || name;
    kind text;
    wanted text;
BEGIN
    IF source ? 'indicator' THEN
        RETURN source ->> 'indicator';
    END IF;
    SELECT CASE f ->> 'type' WHEN 'integer' THEN 'number' WHEN 'numeric' THEN 'number' WHEN 'code' THEN 'text' ELSE f ->> 'type' END
      INTO kind FROM credit.category c, LATERAL (SELECT c.schema -> 'fields' -> (source ->> 'field')) x(f) WHERE c.code = source ->> 'category';
    -- the newest that has begun; where that one has ended there is none, whatever an older one says
    wanted := format('SELECT subject_id, value, ARRAY[record_id] FROM (SELECT DISTINCT ON (subject_id) subject_id, record_id, valid_to, '
                     '(payload ->> %L)::%s AS value FROM credit.record_as_of WHERE subject_id = ANY ($1) AND category = %L '
                     'AND payload ->> %1$L IS NOT NULL AND COALESCE(valid_from <= $2, true) '
                     'ORDER BY subject_id, dated DESC, record_id DESC) n WHERE COALESCE(valid_to > $2, true)',
                     source ->> 'field', CASE kind WHEN 'number' THEN 'numeric' ELSE kind END, source ->> 'category');
    IF NOT EXISTS (SELECT FROM credit.indicator i WHERE i.code = indicator AND i.replaced_at IS NULL AND i.query = wanted AND i.type = kind) THEN
        PERFORM credit.register_indicator(indicator, kind, wanted);
    END IF;
    RETURN indicator;
END
$$;

CREATE FUNCTION credit._adopted(scheme text, methods text[], region credit.region_code, day date) RETURNS credit.rating_adoption
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p CONSTANT credit.rating_pack := credit._rating_pack(scheme);
    a credit.rating_adoption;
BEGIN
    IF p.method <> ALL (methods) THEN
        RAISE EXCEPTION 'rating pack "%" is not one for this', scheme
            USING ERRCODE = 'PC432', DETAIL = format('Its method is %s.', p.method);
    END IF;
    a := credit._adoption_at(scheme, region, day);
    IF a.adoption_id IS NULL THEN
        RAISE EXCEPTION 'rating pack "%" is not adopted', scheme
            USING ERRCODE = 'PC432', DETAIL = format('No adoption holds %s on %s.', COALESCE('in region ' || region, 'everywhere'), to_char(day, 'YYYY-MM-DD')),
                  HINT = 'Adopt it with credit.adopt_rating_pack; credit.rating_parameters says what it needs.';
    END IF;
    RETURN a;
END
$$;

CREATE FUNCTION credit.adopt_rating_pack(scheme text, parameters jsonb, reason text, region credit.region_code DEFAULT NULL,
                                         adopted_from date DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    p CONSTANT credit.rating_pack := credit._rating_pack(scheme);
    levels CONSTANT text[] := '{province,city,county,township,village}';
    day CONSTANT date := COALESCE(adopted_from, credit._today());
    problems text[] := credit._parameter_problems(p, parameters, region, day);
    missing text;
    indicators jsonb;
    next_version integer;
BEGIN
    IF reason IS NULL OR btrim(reason) = '' THEN
        RAISE EXCEPTION 'an adoption needs a reason' USING ERRCODE = 'invalid_parameter_value', HINT = 'Say what its parameters rest on.';
    END IF;
    IF NOT isfinite(adopted_from) THEN
        RAISE EXCEPTION 'a rating pack is adopted from a day on' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (SELECT FROM credit.region x WHERE x.code OPERATOR(credit.=) region) AND region IS NOT NULL THEN
        RAISE EXCEPTION 'region % is not known', region USING ERRCODE = 'PC433', HINT = 'credit.load_regions adds regions.';
    END IF;
    IF array_position(levels, credit.region_level(region)) > array_position(levels, p.level) THEN
        RAISE EXCEPTION 'region % cannot adopt rating pack "%"', region, scheme
            USING ERRCODE = 'PC433', DETAIL = format('It has no %s below it that the pack could grade.', p.level);
    END IF;
    IF problems IS NULL THEN
        SELECT array_agg(format('%s is fixed by the document', k) ORDER BY k) INTO problems
          FROM jsonb_object_keys(parameters) k WHERE p.parameters ? k;
    END IF;
    IF problems IS NOT NULL THEN
        RAISE EXCEPTION 'parameters of rating pack "%" are not valid', scheme USING ERRCODE = 'PC430', DETAIL = array_to_string(problems, E'\n');
    END IF;
    SELECT string_agg(format('%s: %s (%s)', m.name, m.what_en, m.what_zh), E'\n') INTO missing
      FROM credit._method_parameters(p.method) m WHERE NOT m.optional AND NOT (p.parameters || parameters) ? m.name;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'rating pack "%" needs parameters that its document does not give', scheme
            USING ERRCODE = 'PC431', DETAIL = missing, HINT = 'Who adopts the pack decides on them; there are no defaults.';
    END IF;
    problems := credit._parameter_problems(p, (p.parameters - 'count') || parameters, region, day);
    IF problems IS NOT NULL THEN
        RAISE EXCEPTION 'parameters of rating pack "%" are not valid', scheme USING ERRCODE = 'PC430', DETAIL = array_to_string(problems, E'\n');
    END IF;
    -- a region that decides for itself decides on the whole: from the members up
    IF region IS NOT NULL AND p.method = 'rollup' THEN
        PERFORM credit._adopted((p.parameters || parameters) ->> 'members', '{scorecard,rollup}', region, day);
    END IF;
    LOCK TABLE credit.rating_adoption IN SHARE ROW EXCLUSIVE MODE;
    SELECT COALESCE(jsonb_object_agg(s.key, credit._source_indicator(p.pack_id, s.key, s.value)), '{}') INTO indicators FROM jsonb_each(p.sources) s;
    -- earlier ones hold for the days before; those that would begin on this day or later give way
    UPDATE credit.rating_adoption a SET replaced_at = clock_timestamp()
     WHERE a.pack_id = scheme AND a.replaced_at IS NULL AND a.region::text IS NOT DISTINCT FROM region::text
       AND COALESCE(a.adopted_from >= adopted_from, adopted_from IS NULL);
    SELECT COALESCE(max(a.version), 0) + 1 INTO next_version FROM credit.rating_adoption a WHERE a.pack_id = scheme;
    INSERT INTO credit.rating_adoption (pack_id, version, region, adopted_from, parameters, indicators, reason, adopted_by)
    VALUES (scheme, next_version, region, adopted_from, p.parameters || parameters, indicators, reason, credit.calling_role()::text);
    RETURN next_version;
END
$$;
COMMENT ON FUNCTION credit.adopt_rating_pack(text, jsonb, text, credit.region_code, date) IS
    'put a rating pack into force with the parameters that its document leaves open, in a region and from a day or everywhere and for all, and return the version (采用评级方案包)';

-- A day that something is computed for, today when none is given.
CREATE FUNCTION credit._rating_day(as_of date) RETURNS date
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF as_of > credit._today() OR as_of < '1900-01-01' THEN
        RAISE EXCEPTION 'nothing is computed as of %', as_of
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give today, in Asia/Shanghai, or a day before.';
    END IF;
    RETURN COALESCE(as_of, credit._today());
END
$$;

-- The first moment after a day.
CREATE FUNCTION credit._day_end(day date) RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT (day + 1)::timestamp AT TIME ZONE 'Asia/Shanghai';
    END;

CREATE FUNCTION credit._source_values(a credit.rating_adoption, subject bigint, day date)
    RETURNS TABLE (source text, indicator text, value text, record_ids bigint[])
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    missing text;
BEGIN
    SELECT min(s.value) INTO missing FROM jsonb_each_text(a.indicators) s
     WHERE NOT EXISTS (SELECT FROM credit.indicator i WHERE i.code = s.value AND i.replaced_at IS NULL);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'there is no indicator "%"', missing
            USING ERRCODE = 'PC424', DETAIL = format('Rating pack "%s" reads it.', a.pack_id), HINT = 'Adopt the pack again.';
    END IF;
    IF NOT EXISTS (SELECT FROM credit.subject s WHERE s.subject_id = subject) THEN
        RAISE EXCEPTION 'unknown subject %', subject USING ERRCODE = 'PC103';
    END IF;
    RETURN QUERY
    SELECT s.key, s.value, v.value, v.record_ids
      FROM jsonb_each_text(a.indicators) s
      JOIN credit.indicator i ON i.code = s.value AND i.replaced_at IS NULL
      JOIN credit._compute_indicators(ARRAY(SELECT k.indicator_id FROM credit.indicator k JOIN jsonb_each_text(a.indicators) t ON t.value = k.code
                                             WHERE k.replaced_at IS NULL),
                                      ARRAY[subject], day, false, clock_timestamp()) v ON v.indicator_id = i.indicator_id;
END
$$;

CREATE FUNCTION credit.recognised_grade(scheme text, subject_id bigint, as_of date DEFAULT NULL,
                                        OUT grade text, OUT record_id bigint) RETURNS record
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    day CONSTANT date := credit._rating_day(as_of);
    a CONSTANT credit.rating_adoption := credit._adopted(scheme, '{recognised}',
        (SELECT s.region FROM credit.subject s WHERE s.subject_id = recognised_grade.subject_id), day);
    known CONSTANT text[] := (credit._rating_pack(scheme)).scale;
    given text;
BEGIN
    SELECT v.value, v.record_ids[1] INTO given, record_id
      FROM credit._source_values(a, recognised_grade.subject_id, day) v;
    grade := CASE WHEN given = ANY (known) THEN given WHEN given IS NOT NULL AND 'other' = ANY (known) THEN 'other' END;
    IF given IS NOT NULL AND grade IS NULL THEN
        RAISE EXCEPTION 'grade "%" is not one of scheme "%"', given, scheme
            USING ERRCODE = 'PC437', DETAIL = format('Its grades are %s.', array_to_string(known, ', ')),
                  HINT = format('Correct record %s.', record_id);
    END IF;
END
$$;
COMMENT ON FUNCTION credit.recognised_grade(text, bigint, date) IS
    'grade that a department reported of a subject and that is valid on the day, with its record; NULL: none (部门认定等级)';

-- groups ----------------------------------------------------------------------

-- The households of a village on a day.
CREATE FUNCTION credit._households(village credit.region_code, day date) RETURNS bigint[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(array_agg(s.subject_id), '{}') FROM credit.subject s
     WHERE s.kind = 'household' AND s.region OPERATOR(credit.=) village AND s.registered_at < credit._day_end(day)
$$;

-- Grades of the members of a region on a day, one row for each, NULL without one. A household's newest rating by the
-- members' model counts while it is valid; a region's newest grade by the members' pack.
CREATE FUNCTION credit._member_grades(region credit.region_code, members credit.rating_adoption, day date) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    below CONSTANT text := (credit._rating_pack(members.pack_id)).level;
BEGIN
    IF below IS NULL THEN
        RETURN QUERY
        SELECT CASE WHEN COALESCE(n.valid_until >= day, true) THEN n.grade END
          FROM unnest(credit._households(region, day)) s(subject_id)
          LEFT JOIN LATERAL (
               SELECT r.grade, r.valid_until FROM credit.rating r
                WHERE r.subject_id = s.subject_id AND r.model = members.parameters ->> 'model' AND r.rated_at < credit._day_end(day)
                ORDER BY r.rating_id DESC NULLS LAST LIMIT 1) n ON true;
    ELSE
        RETURN QUERY
        SELECT n.grade
          FROM credit.region g
          LEFT JOIN LATERAL (
               SELECT x.grade FROM credit.group_grade x JOIN credit.rating_adoption a ON a.adoption_id = x.adoption_id
                WHERE x.region OPERATOR(credit.=) g.code AND a.pack_id = members.pack_id AND x.as_of <= day
                ORDER BY x.as_of DESC, x.grade_id DESC LIMIT 1) n ON true
         WHERE COALESCE(g.parent, credit.region_parent(g.code)) OPERATOR(credit.=) region AND g.level = below
           AND COALESCE(g.valid_from <= day, true) AND (NOT g.retired OR COALESCE(g.valid_to > day, false));
    END IF;
END
$$;

-- What the criteria of an adoption find in a region, in their order: numerator and denominator, or JSON null where one is not
-- known; met as compared by products, or as the criterion says for what is not known.
CREATE FUNCTION credit._group_criteria(a credit.rating_adoption, region credit.region_code, day date) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    households bigint[];
    sums jsonb := '{}';
    missing text;
    answer jsonb := '[]';
    c jsonb;
    num numeric;
    den numeric;
BEGIN
    IF jsonb_path_exists(a.parameters, '$.criteria[*].sum') THEN
        households := credit._households(region, day);
        WITH named AS (
            SELECT DISTINCT w.code FROM jsonb_array_elements(a.parameters -> 'criteria') e, LATERAL (VALUES (e ->> 'sum'), (e ->> 'per')) w(code)
             WHERE w.code <> 'members'
        ), known AS (
            SELECT n.code, i.indicator_id FROM named n LEFT JOIN credit.indicator i ON i.code = n.code AND i.type = 'number' AND i.replaced_at IS NULL
        )
        SELECT (SELECT min(k.code) FROM known k WHERE k.indicator_id IS NULL),
               (SELECT jsonb_object_agg(k.code, t.total)
                  FROM known k
                  LEFT JOIN (SELECT v.indicator_id, sum(v.value::numeric) AS total
                               FROM credit._compute_indicators(ARRAY(SELECT x.indicator_id FROM known x WHERE x.indicator_id IS NOT NULL),
                                                               households, day, false, clock_timestamp()) v
                              GROUP BY 1) t ON t.indicator_id = k.indicator_id
                 -- JSON has no such numbers, and a sum with one says nothing
                 WHERE t.total NOT IN ('NaN', 'Infinity', '-Infinity'))
          INTO missing, sums;
        IF missing IS NOT NULL THEN
            RAISE EXCEPTION 'there is no indicator "%"', missing
                USING ERRCODE = 'PC424', DETAIL = format('Criteria of rating pack "%s" read it.', a.pack_id), HINT = 'Adopt the pack again.';
        END IF;
    END IF;
    FOR c IN SELECT e FROM jsonb_array_elements(COALESCE(a.parameters -> 'criteria', '[]')) WITH ORDINALITY x(e, n) ORDER BY n LOOP
        IF c ? 'sum' THEN
            num := (sums ->> (c ->> 'sum'))::numeric;
            den := CASE WHEN NOT c ? 'per' THEN 1 WHEN c ->> 'per' = 'members' THEN cardinality(households) ELSE (sums ->> (c ->> 'per'))::numeric END;
        ELSE
            den := 1;
            SELECT CASE WHEN COALESCE(f.valid_until >= day, true) THEN f.value END INTO num FROM credit.group_figure f
             WHERE f.region OPERATOR(credit.=) region AND f.code = c ->> 'code' AND f.dated <= day ORDER BY f.dated DESC, f.figure_id DESC LIMIT 1;
        END IF;
        answer := answer || jsonb_build_object('code', c ->> 'code', 'numerator', num, 'denominator', den, 'known', num IS NOT NULL AND COALESCE(den > 0, false), 'met',
            CASE WHEN num IS NOT NULL AND den > 0
                 THEN COALESCE(num >= (c -> 'least')::numeric * den, true) AND COALESCE(num <= (c -> 'most')::numeric * den, true)
                 ELSE c ->> 'unknown' = 'met' END);
    END LOOP;
    RETURN answer;
END
$$;

-- What criteria leave of a grade: no better than what each that is not met allows, and none where one allows none.
CREATE FUNCTION credit._grade_left(grade text, criteria jsonb, found jsonb, scale text[]) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN grade IS NULL OR bool_or(c ->> 'otherwise' IS NULL) THEN NULL
                ELSE scale[greatest(array_position(scale, grade), max(array_position(scale, c ->> 'otherwise')))] END
      FROM jsonb_array_elements(found) f JOIN jsonb_array_elements(criteria) c ON c -> 'code' = f -> 'code'
     WHERE NOT (f -> 'met')::boolean
$$;

CREATE FUNCTION credit.enter_group_figure(region credit.region_code, code text, dated date, value numeric, basis text, valid_until date DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id bigint;
BEGIN
    IF region IS NULL OR credit.region_level(region) NOT IN ('village', 'township', 'county')
       OR NOT EXISTS (SELECT FROM credit.region x WHERE x.code OPERATOR(credit.=) region) THEN
        RAISE EXCEPTION 'region % is no village, township or county that is known', region
            USING ERRCODE = 'PC433', HINT = 'credit.load_regions adds regions.';
    END IF;
    IF dated IS NULL OR NOT isfinite(dated) OR dated > credit._today() THEN
        RAISE EXCEPTION 'a figure is of today or a day before' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    BEGIN
        INSERT INTO credit.group_figure (region, code, dated, value, basis, valid_until, entered_by)
        VALUES (region, code, dated, value, basis, valid_until, credit.calling_role()::text)
        RETURNING figure_id INTO id;
    EXCEPTION WHEN check_violation OR not_null_violation THEN
        RAISE EXCEPTION 'figure "%" of region % is not valid', code, region USING ERRCODE = 'invalid_parameter_value', DETAIL = sqlerrm,
            HINT = 'A code has lower-case letters, digits and _; a value is below 1e15; a basis says where it is from; it holds to its day or longer.';
    END;
    RETURN id;
END
$$;
COMMENT ON FUNCTION credit.enter_group_figure(credit.region_code, text, date, numeric, text, date) IS
    'enter a figure of a village, township or county, which criteria of that code look at (录入村镇县自身指标)';

CREATE FUNCTION credit.rate_group(scheme text, region credit.region_code, as_of date DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    day CONSTANT date := credit._rating_day(as_of);
    a CONSTANT credit.rating_adoption := credit._adopted(scheme, '{rollup}', region, day);
    p CONSTANT credit.rating_pack := credit._rating_pack(scheme);
    below CONSTANT credit.rating_adoption := credit._adopted(a.parameters ->> 'members', '{scorecard,rollup}', region, day);
    n record;
    found jsonb;
    given text;
    id bigint;
BEGIN
    IF region IS NULL THEN
        RAISE EXCEPTION 'region of a group cannot be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF credit.region_level(region) <> p.level OR NOT EXISTS (SELECT FROM credit.region x WHERE x.code OPERATOR(credit.=) region) THEN
        RAISE EXCEPTION 'region % is no % that is known', region, p.level
            USING ERRCODE = 'PC433', DETAIL = format('Rating pack "%s" grades by level: %s.', scheme, p.level),
                  HINT = 'Regions are the rows of credit.region; credit.load_regions adds more.';
    END IF;
    -- who rates the same group at the same time reads after this one's commit: the newest row is never of older grades
    PERFORM pg_advisory_xact_lock(hashtextextended('credit.group_grade ' || scheme || ' ' || region::text, 0));
    SELECT COALESCE(sum(t.n), 0)::bigint AS members, COALESCE(sum(t.n) FILTER (WHERE t.grade IS NOT NULL), 0)::bigint AS graded,
           COALESCE(sum(t.n) FILTER (WHERE a.parameters -> 'good_grades' ? t.grade), 0)::bigint AS good,
           COALESCE(jsonb_object_agg(t.grade, t.n) FILTER (WHERE t.grade IS NOT NULL), '{}') AS tally INTO n
      FROM (SELECT m.grade, count(*) AS n FROM credit._member_grades(region, below, day) m (grade) GROUP BY 1) t;
    -- by products, not quotients: an edge is met exactly
    IF n.graded >= (a.parameters -> 'least_graded')::bigint AND n.graded >= (a.parameters -> 'least_graded_share')::numeric * n.members THEN
        SELECT b ->> 'grade' INTO given FROM jsonb_array_elements(a.parameters -> 'bands') WITH ORDINALITY x(b, place)
         WHERE n.good >= (b -> 'from')::numeric * n.graded ORDER BY place LIMIT 1;
    END IF;
    found := credit._group_criteria(a, region, day);
    INSERT INTO credit.group_grade (adoption_id, region, as_of, members, graded, good, graded_share, good_share, tally, share_grade, criteria,
                                    grade, computed_by)
    VALUES (a.adoption_id, region, day, n.members, n.graded, n.good, n.graded::numeric / NULLIF(n.members, 0),
            n.good::numeric / NULLIF(n.graded, 0), n.tally, given, found, credit._grade_left(given, a.parameters -> 'criteria', found, p.scale),
            credit.calling_role()::text)
    RETURNING grade_id INTO id;
    RETURN id;
END
$$;
COMMENT ON FUNCTION credit.rate_group(text, credit.region_code, date) IS
    'grade a village, township or county by the shares of its members'' grades on a day, store it and return its grade_id (信用村镇县评定)';

CREATE FUNCTION credit.group_grade_of(scheme text, region credit.region_code, as_of date DEFAULT NULL) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT g.grade FROM credit.group_grade g JOIN credit.rating_adoption a ON a.adoption_id = g.adoption_id
     WHERE g.region OPERATOR(credit.=) group_grade_of.region AND a.pack_id = (credit._rating_pack(scheme)).pack_id
       AND g.as_of <= COALESCE(group_grade_of.as_of, credit._today())
     ORDER BY g.as_of DESC, g.grade_id DESC LIMIT 1
$$;
COMMENT ON FUNCTION credit.group_grade_of(text, credit.region_code, date) IS
    'newest grade of a village, township or county up to a day; NULL: none (信用村镇县等级)';

-- A share as people read it: four decimals at most, marked where there are more.
CREATE FUNCTION credit._share_text(share numeric) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN trim_scale(round(share, 4)) = share THEN '' ELSE '≈' END || trim_scale(round(share, 4))::text
$$;

-- What a criterion found: a figure as it is, a quotient with its parts.
CREATE FUNCTION credit._ratio_text(found jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN found -> 'denominator' = '1' THEN found ->> 'numerator'
                ELSE format('%s / %s = %s', found ->> 'numerator', found ->> 'denominator',
                            credit._share_text((found -> 'numerator')::numeric / (found -> 'denominator')::numeric)) END
$$;

CREATE FUNCTION credit.explain_group(grade_id bigint) RETURNS TABLE (ordinal integer, item text, value text, text_zh text, text_en text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    g credit.group_grade;
    a credit.rating_adoption;
    least bigint;
    least_share numeric;
    band jsonb;
    next_band jsonb;
BEGIN
    SELECT * INTO g FROM credit.group_grade x WHERE x.grade_id = explain_group.grade_id;
    IF g.grade_id IS NULL THEN
        RAISE EXCEPTION 'there is no grade %', grade_id USING ERRCODE = 'no_data_found', HINT = 'credit.group_grade lists them.';
    END IF;
    SELECT * INTO a FROM credit.rating_adoption x WHERE x.adoption_id = g.adoption_id;
    least := (a.parameters -> 'least_graded')::bigint;
    least_share := (a.parameters -> 'least_graded_share')::numeric;
    SELECT b INTO band FROM jsonb_array_elements(a.parameters -> 'bands') b WHERE b ->> 'grade' = g.share_grade;
    SELECT b INTO next_band FROM jsonb_array_elements(a.parameters -> 'bands') b
     WHERE (b -> 'from')::numeric > (band -> 'from')::numeric ORDER BY (b -> 'from')::numeric LIMIT 1;
    RETURN QUERY VALUES
        (1, 'members', g.members::text, format('截至 %s，%s 共有成员 %s 个', to_char(g.as_of, 'YYYY-MM-DD'), g.region, g.members),
         format('as of %s, %s has %s members', to_char(g.as_of, 'YYYY-MM-DD'), g.region, g.members)),
        (2, 'graded', g.graded::text,
         format('其中 %s 个有有效等级，份额 %s；方案要求至少 %s 个，份额不低于 %s', g.graded, COALESCE(credit._share_text(g.graded_share), '无'), least, least_share),
         format('%s of them have a valid grade, a share of %s; the scheme needs at least %s and a share of %s', g.graded,
                COALESCE(credit._share_text(g.graded_share), 'none'), least, least_share)),
        (3, 'good', g.good::text,
         format('有等级的成员中 %s 个达到 %s，份额 %s', g.good, array_to_string(credit._texts(a.parameters -> 'good_grades'), '、'), COALESCE(credit._share_text(g.good_share), '无')),
         format('of those with a grade %s have %s, a share of %s', g.good, array_to_string(credit._texts(a.parameters -> 'good_grades'), ', '),
                COALESCE(credit._share_text(g.good_share), 'none')));
    RETURN QUERY
    SELECT 3 + f.n::integer, 'criterion ' || (c ->> 'code'),
           CASE WHEN (f.e -> 'known')::boolean THEN credit._share_text((f.e -> 'numerator')::numeric / (f.e -> 'denominator')::numeric) END,
           format('条件“%s”：%s；要求%s；%s', c ->> 'title_zh',
                  CASE WHEN NOT (f.e -> 'known')::boolean THEN '无数据' ELSE credit._ratio_text(f.e) END,
                  concat_ws('、', '不低于 ' || (c ->> 'least'), '不高于 ' || (c ->> 'most')),
                  CASE WHEN (f.e -> 'met')::boolean THEN '满足' WHEN c ->> 'otherwise' IS NULL THEN '不满足，不予评定'
                       ELSE format('不满足，至多评为“%s”', c ->> 'otherwise') END),
           format('criterion "%s": %s; needed %s; %s', c ->> 'title_en',
                  CASE WHEN NOT (f.e -> 'known')::boolean THEN 'not known' ELSE credit._ratio_text(f.e) END,
                  concat_ws(' and ', 'at least ' || (c ->> 'least'), 'at most ' || (c ->> 'most')),
                  CASE WHEN (f.e -> 'met')::boolean THEN 'met' WHEN c ->> 'otherwise' IS NULL THEN 'not met: no grade'
                       ELSE format('not met: grade "%s" at best', c ->> 'otherwise') END)
      FROM jsonb_array_elements(g.criteria) WITH ORDINALITY f(e, n)
      JOIN jsonb_array_elements(a.parameters -> 'criteria') c ON c -> 'code' = f.e -> 'code';
    RETURN QUERY
    SELECT 4 + jsonb_array_length(g.criteria), 'grade'::text, g.grade,
           CASE WHEN g.share_grade IS NULL THEN '有等级的成员不足，不予评定'
                ELSE format('达标份额不低于 %s%s，评为“%s”', band ->> 'from', COALESCE('、低于 ' || (next_band ->> 'from'), ''), g.share_grade)
                     || CASE WHEN g.grade IS NULL THEN '；有条件不满足，不予评定'
                             WHEN g.grade <> g.share_grade THEN format('；有条件不满足，评为“%s”', g.grade) ELSE '' END END,
           CASE WHEN g.share_grade IS NULL THEN 'too few members have a grade: no grade'
                ELSE format('a share of at least %s%s is grade "%s"', band ->> 'from', COALESCE(' and below ' || (next_band ->> 'from'), ''), g.share_grade)
                     || CASE WHEN g.grade IS NULL THEN '; criteria are not met: no grade'
                             WHEN g.grade <> g.share_grade THEN format('; criteria are not met: grade "%s"', g.grade) ELSE '' END END;
END
$$;
COMMENT ON FUNCTION credit.explain_group(bigint) IS
    'why a village, township or county has its grade, in Chinese and English, from what was stored with it (评定结果解释)';
