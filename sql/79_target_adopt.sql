-- ---------------------------------------------------------------------------
-- 79 target: versions of a pack, adoption by regions, paths of given points, what-if
-- ---------------------------------------------------------------------------

CREATE TABLE credit.pack_adoption (
    region          credit.region_code NOT NULL,
    pack            text NOT NULL REFERENCES credit.pack,
    adopted_from    date NOT NULL CHECK (isfinite(adopted_from)),
    adopted_until   date CHECK (isfinite(adopted_until)),
    replaces        text CHECK (replaces <> pack),
    adopted_by      text NOT NULL,
    adopted_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, pack),
    CHECK (adopted_until >= adopted_from)
);
COMMENT ON TABLE credit.pack_adoption IS 'which region is judged by which pack, from when to when (目标包采用)';
COMMENT ON COLUMN credit.pack_adoption.adopted_until IS 'first day on which it holds no more; NULL: it holds (停用日)';
COMMENT ON COLUMN credit.pack_adoption.replaces IS 'the pack that it took the place of (所替代的目标包)';

CREATE FUNCTION credit.pack_definition(pack text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    answer jsonb;
BEGIN
    PERFORM credit._pack_region(pack);
    SELECT jsonb_strip_nulls(to_jsonb(p) - 'shipped') INTO answer FROM credit.pack p WHERE p.pack_id = pack_definition.pack;
    RETURN answer || jsonb_build_object(
        'metrics', coalesce((
            WITH RECURSIVE used(code) AS (
                SELECT t.metric FROM credit.target t WHERE t.pack = pack_definition.pack
                UNION
                SELECT o.code FROM used u JOIN credit.metric m ON m.code = u.code
                 CROSS JOIN LATERAL (VALUES (m.left_metric), (m.right_metric)) o(code) WHERE o.code IS NOT NULL
            )
            -- operands stand before what is worked out from them
            SELECT jsonb_agg(jsonb_strip_nulls(to_jsonb(m) - 'shipped') ORDER BY m.operation IS NOT NULL, m.code)
              FROM used u JOIN credit.metric m ON m.code = u.code WHERE NOT m.shipped), '[]'),
        'targets', coalesce((
            SELECT jsonb_agg(jsonb_strip_nulls(to_jsonb(t) - ARRAY['pack', 'position', 'shipped'])
                             || CASE WHEN g.goals IS NULL THEN '{}' ELSE jsonb_build_object('members', g.goals) END
                             ORDER BY t.position)
              FROM credit.target t
              LEFT JOIN LATERAL (
                  SELECT jsonb_agg(x.members ORDER BY x.goal) AS goals
                    FROM (SELECT m.goal, jsonb_agg(m.member ORDER BY m.member) AS members FROM credit.target_member m
                           WHERE m.pack = t.pack AND m.code = t.code GROUP BY m.goal) x) g ON true
             WHERE t.pack = pack_definition.pack), '[]'));
END
$$;
COMMENT ON FUNCTION credit.pack_definition(text) IS 'a pack as the JSON that credit.create_pack takes (导出目标包)';

-- What a definition says, each thing at its path. Metrics and targets go by their code: where they stand says nothing.
CREATE FUNCTION credit._pack_paths(definition jsonb) RETURNS TABLE (path text, said jsonb, whole boolean)
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT k.key, k.value, false FROM jsonb_each(definition - ARRAY['metrics', 'targets']) k
        UNION ALL
        SELECT format('%s[%s]', part.name, e ->> 'code'), e, true
          FROM (VALUES ('metrics'), ('targets')) part(name)
         CROSS JOIN LATERAL jsonb_array_elements(coalesce(definition -> part.name, '[]')) e
        UNION ALL
        SELECT format('%s[%s].%s', part.name, e ->> 'code', k.key), k.value, false
          FROM (VALUES ('metrics'), ('targets')) part(name)
         CROSS JOIN LATERAL jsonb_array_elements(coalesce(definition -> part.name, '[]')) e
         CROSS JOIN LATERAL jsonb_each(e) k;
    END;

CREATE FUNCTION credit.diff_pack(old jsonb, new jsonb) RETURNS TABLE (path text, change text, old_value jsonb, new_value jsonb)
    LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    d jsonb;
BEGIN
    FOREACH d IN ARRAY ARRAY[old, new] LOOP
        IF jsonb_typeof(d) IS DISTINCT FROM 'object'
           OR jsonb_typeof(coalesce(d -> 'metrics', '[]')) <> 'array' OR jsonb_typeof(coalesce(d -> 'targets', '[]')) <> 'array'
           OR jsonb_path_exists(d, '$.metrics[*] ? (@.type() != "object")')
           OR jsonb_path_exists(d, '$.targets[*] ? (@.type() != "object")') THEN
            RAISE EXCEPTION 'a pack is a JSON object with arrays of objects as metrics and targets'
                USING ERRCODE = 'invalid_parameter_value', HINT = 'credit.check_pack says what is wrong with it.';
        END IF;
    END LOOP;
    RETURN QUERY
        WITH o AS (SELECT DISTINCT ON (p.path) p.* FROM credit._pack_paths(old) p ORDER BY p.path, p.said),
             n AS (SELECT DISTINCT ON (p.path) p.* FROM credit._pack_paths(new) p ORDER BY p.path, p.said),
             both_sides AS (SELECT coalesce(o.path, n.path) AS path, o.said AS was, n.said AS is_now,
                                   coalesce(o.whole, n.whole) AS whole
                              FROM o FULL JOIN n ON n.path = o.path)
        SELECT b.path, CASE WHEN b.was IS NULL THEN 'added' WHEN b.is_now IS NULL THEN 'removed' ELSE 'changed' END,
               b.was, b.is_now
          FROM both_sides b
         WHERE b.was IS DISTINCT FROM b.is_now
           -- a metric or target that is on both sides differs by its members, a new or lost one as a whole
           AND NOT (b.whole AND b.was IS NOT NULL AND b.is_now IS NOT NULL)
           AND NOT EXISTS (SELECT FROM both_sides w
                            WHERE w.whole AND (w.was IS NULL OR w.is_now IS NULL) AND w.path = substring(b.path FROM '^(.*\])\.'))
         ORDER BY b.path COLLATE "C";
END
$$;
COMMENT ON FUNCTION credit.diff_pack(jsonb, jsonb) IS 'what differs between two packs written as JSON, by path (对比目标包)';

CREATE FUNCTION credit.diff_pack(old text, new text) RETURNS TABLE (path text, change text, old_value jsonb, new_value jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT d.* FROM credit.diff_pack(credit.pack_definition(old), credit.pack_definition(new)) d;
    END;
COMMENT ON FUNCTION credit.diff_pack(text, text) IS 'what differs between two packs of this platform, by path (对比目标包)';

CREATE FUNCTION credit.adopt_pack(pack text, region credit.region_code, adopted_from date, replaces text DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p credit.pack;
    known credit.pack_adoption;
BEGIN
    PERFORM credit._pack_region(pack);
    SELECT * INTO p FROM credit.pack x WHERE x.pack_id = adopt_pack.pack FOR KEY SHARE;
    IF region IS NULL OR NOT credit._region_known(region) THEN
        RAISE EXCEPTION 'region "%" does not exist', region USING ERRCODE = 'undefined_object';
    END IF;
    IF adopted_from IS NULL OR NOT isfinite(adopted_from) THEN
        RAISE EXCEPTION 'a region adopts a pack from a day on' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF adopted_from > p.valid_until THEN
        RAISE EXCEPTION 'pack "%" cannot be adopted from %', pack, to_char(adopted_from, 'YYYY-MM-DD') USING ERRCODE = 'PC520',
            DETAIL = format('It is valid until %s.', to_char(p.valid_until, 'YYYY-MM-DD'));
    END IF;
    SELECT * INTO known FROM credit.pack_adoption a WHERE a.region::text = adopt_pack.region::text AND a.pack = adopt_pack.pack;
    IF known.pack IS NOT NULL THEN
        IF known.adopted_until IS NULL AND known.adopted_from = adopt_pack.adopted_from
           AND known.replaces IS NOT DISTINCT FROM adopt_pack.replaces THEN
            RETURN;
        END IF;
        RAISE EXCEPTION 'region % has adopted pack "%" already', region, pack USING ERRCODE = 'PC520',
            DETAIL = format('From %s%s.', to_char(known.adopted_from, 'YYYY-MM-DD'),
                            coalesce(' until ' || to_char(known.adopted_until, 'YYYY-MM-DD'), ''));
    END IF;
    IF replaces IS NOT NULL THEN
        UPDATE credit.pack_adoption a SET adopted_until = adopt_pack.adopted_from
         WHERE a.region::text = adopt_pack.region::text AND a.pack = adopt_pack.replaces AND a.adopted_until IS NULL
           AND a.adopted_from <= adopt_pack.adopted_from;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'region % has no pack "%" to be replaced', region, replaces USING ERRCODE = 'PC520',
                HINT = 'credit.pack_adoption says what a region has adopted.';
        END IF;
    END IF;
    INSERT INTO credit.pack_adoption (region, pack, adopted_from, replaces, adopted_by)
    VALUES (region, pack, adopted_from, replaces, credit.calling_role()::text);
END
$$;
COMMENT ON FUNCTION credit.adopt_pack(text, credit.region_code, date, text) IS
    'a region is judged by a pack from a day on, in place of another where that is named (采用目标包)';

-- paths -------------------------------------------------------------------------

CREATE TABLE credit.target_path (
    pack            text NOT NULL,
    code            text NOT NULL,
    day             date NOT NULL CHECK (isfinite(day)),
    value           numeric NOT NULL CHECK (credit._is_figure(value)),
    reason          text NOT NULL CHECK (reason <> ''),
    set_by          text NOT NULL,
    set_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pack, code, day),
    FOREIGN KEY (pack, code) REFERENCES credit.target ON DELETE CASCADE
);
COMMENT ON TABLE credit.target_path IS 'points that the required path of a target goes through; none: a straight line (进度节点)';

-- Where a path of given points stands at a day, NULL without points. It goes from the origin through them to the target.
CREATE FUNCTION credit._path_at(t credit.target, at_day date, from_day date, origin numeric, due date) RETURNS numeric
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    l record;
    r record;
BEGIN
    IF NOT EXISTS (SELECT FROM credit.target_path p WHERE p.pack = t.pack AND p.code = t.code) THEN
        RETURN NULL;
    END IF;
    SELECT p.day, p.value INTO l
      FROM (SELECT from_day AS day, origin AS value
            UNION ALL
            SELECT x.day, x.value FROM credit.target_path x
             WHERE x.pack = t.pack AND x.code = t.code AND x.day > from_day AND x.day < due) p
     WHERE p.day <= greatest(at_day, from_day) ORDER BY p.day DESC LIMIT 1;
    SELECT p.day, p.value INTO r
      FROM (SELECT due AS day, t.value AS value
            UNION ALL
            SELECT x.day, x.value FROM credit.target_path x
             WHERE x.pack = t.pack AND x.code = t.code AND x.day > from_day AND x.day < due) p
     WHERE p.day > greatest(at_day, from_day) ORDER BY p.day LIMIT 1;
    RETURN CASE WHEN r.day IS NULL THEN t.value
                ELSE trim_scale(round((l.value * (r.day - at_day) + r.value * (at_day - l.day)) / (r.day - l.day), 12)) END;
END
$$;

CREATE FUNCTION credit.set_path(pack text, code text, points jsonb, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD' AS $$
BEGIN
    PERFORM credit._pack_region(pack);
    IF NOT EXISTS (SELECT FROM credit.target t WHERE t.pack = set_path.pack AND t.code = set_path.code) THEN
        RAISE EXCEPTION 'pack "%" has no target "%"', pack, code USING ERRCODE = 'undefined_object';
    END IF;
    IF jsonb_typeof(points) IS DISTINCT FROM 'object' OR reason IS NULL OR btrim(reason) = ''
       OR EXISTS (SELECT FROM jsonb_each(points) p
                   WHERE p.key !~ '^\d{4}-\d\d-\d\d$' OR jsonb_typeof(p.value) <> 'number') THEN
        RAISE EXCEPTION 'points are a JSON object of numbers by day, and the reason must not be empty'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'For example {"2024-06-30": 0.4}.';
    END IF;
    DELETE FROM credit.target_path p WHERE p.pack = set_path.pack AND p.code = set_path.code;
    INSERT INTO credit.target_path (pack, code, day, value, reason, set_by)
    SELECT set_path.pack, set_path.code, p.key::date, p.value::numeric, set_path.reason, credit.calling_role()::text
      FROM jsonb_each(points) p;
EXCEPTION WHEN datetime_field_overflow OR check_violation THEN
    RAISE EXCEPTION 'points of target "%" are not valid', code USING ERRCODE = 'invalid_parameter_value', DETAIL = sqlerrm;
END
$$;
COMMENT ON FUNCTION credit.set_path(text, text, jsonb, text) IS
    'the required path of a target goes through these points; an empty object goes back to the straight line (设定进度节点)';

-- How far a year is, by its quarters, in the years before the window: the mean of each year's cumulative shares. Index 0 to 4.
CREATE FUNCTION credit._seasonal_shares(t credit.target, region credit.region_code, first_day date, years integer)
    RETURNS numeric[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    flow boolean := t.rule IS NOT NULL;
    f credit._figure;
    level numeric[];
    shares numeric[] := '{0,0,0,0,0}';
    used integer := 0;
    day date;
BEGIN
    FOR y IN REVERSE extract(year FROM first_day)::integer - 1 .. extract(year FROM first_day)::integer - years LOOP
        level := CASE WHEN flow THEN ARRAY[0::numeric] ELSE '{}' END;
        FOR q IN (CASE WHEN flow THEN 1 ELSE 0 END) .. 4 LOOP
            day := make_date(y, 1, 1) + make_interval(months => 3 * q);
            f := credit._figure_at(t.metric, region, t.segment,
                     CASE WHEN flow THEN daterange((day - interval '3 months')::date, day) ELSE daterange(day - 1, day) END,
                     t.comparison_region);
            EXIT WHEN f.num IS NULL;
            level := level || CASE WHEN flow THEN level[q] ELSE 0 END + f.num / f.den;
        END LOOP;
        CONTINUE WHEN cardinality(level) < 5 OR level[5] = level[1];
        used := used + 1;
        FOR q IN 1 .. 5 LOOP
            shares[q] := shares[q] + (level[q] - level[1]) / (level[5] - level[1]);
        END LOOP;
    END LOOP;
    RETURN CASE WHEN used > 0 THEN ARRAY(SELECT x / used FROM unnest(shares) WITH ORDINALITY v(x, n) ORDER BY n) END;
END
$$;

CREATE FUNCTION credit.seasonal_path(pack text, code text, region credit.region_code DEFAULT NULL, years integer DEFAULT 3)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place credit.region_code := coalesce(region, credit._pack_region(pack));
    t credit.target;
    first_day date;
    due date;
    origin numeric := 0;
    f credit._figure;
    shares numeric[];
    answer jsonb := '{}';
    day date;
    start_at numeric;
    span numeric;
BEGIN
    SELECT * INTO t FROM credit._effective(pack) e WHERE e.code = seasonal_path.code;
    IF t.code IS NULL THEN
        RAISE EXCEPTION 'pack "%" has no target "%"', pack, code USING ERRCODE = 'undefined_object';
    END IF;
    first_day := coalesce(t.start_date, (SELECT p.start_date FROM credit.pack p WHERE p.pack_id = seasonal_path.pack));
    due := coalesce(t.due_date, t.assumed_due);
    IF t.value IS NULL OR t.tag = 'composite' OR t.form IN ('growth', 'cagr') OR t.yearly OR t.rule IN ('average', 'each') OR due IS NULL
       OR first_day <> date_trunc('quarter', first_day::timestamp)::date
       OR due + 1 <> date_trunc('quarter', (due + 1)::timestamp)::date OR years NOT BETWEEN 1 AND 20 OR years IS NULL THEN
        RAISE EXCEPTION 'target "%" has no seasonal path', code USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It needs a value, a form with a path, and a window of whole quarters; years are from 1 to 20.';
    END IF;
    IF t.rule IS NULL AND t.form NOT IN ('cumulative', 'reduction') THEN
        f := credit._figure_at(t.metric, place, t.segment, daterange(first_day - 1, first_day), t.comparison_region);
        origin := coalesce(t.baseline, f.num / f.den);
    END IF;
    shares := credit._seasonal_shares(t, place, first_day, years);
    IF origin IS NULL OR shares IS NULL THEN
        RAISE EXCEPTION 'there is no whole year of figures of "%" before %', t.metric, to_char(first_day, 'YYYY-MM-DD')
            USING ERRCODE = 'no_data_found', HINT = 'A year needs the figures of its four quarters, and a base.';
    END IF;
    start_at := extract(year FROM first_day) + shares[extract(quarter FROM first_day)::integer];
    span := extract(year FROM due) + shares[extract(quarter FROM due)::integer + 1] - start_at;
    day := (first_day + interval '3 months')::date - 1;
    WHILE day < due AND span <> 0 LOOP
        answer := answer || jsonb_build_object(to_char(day, 'YYYY-MM-DD'), trim_scale(round(origin + (t.value - origin)
            * (extract(year FROM day) + shares[extract(quarter FROM day)::integer + 1] - start_at) / span, 6)));
        day := (day + 1 + interval '3 months')::date - 1;
    END LOOP;
    RETURN answer;
END
$$;
COMMENT ON FUNCTION credit.seasonal_path(text, text, credit.region_code, integer) IS
    'points for credit.set_path, by which each year goes as the years before did, quarter by quarter (季节性进度)';

-- what-if -----------------------------------------------------------------------

-- The figures are entered, judged and taken back again, so a what-if judges by the very code that judges what is so.
CREATE FUNCTION credit.target_what_if(pack text, figures jsonb, as_of date DEFAULT (now() AT TIME ZONE 'Asia/Shanghai')::date,
                                      region credit.region_code DEFAULT NULL)
    RETURNS TABLE (code text, name_zh text, name_en text, actual numeric, status text, what_if_actual numeric,
                   what_if_status text, target numeric, unit text, why text, why_zh text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before jsonb;
    after jsonb;
    taken record;
    refused text;
BEGIN
    SELECT jsonb_object_agg(s.code, to_jsonb(s)) INTO before FROM credit.target_status(pack, as_of, region) s;
    BEGIN
        SELECT * INTO taken FROM credit.observe(figures);
        IF taken.rejected > 0 THEN
            SELECT p.reason INTO refused FROM jsonb_array_elements(figures) e
             CROSS JOIN LATERAL credit._parse_observation(e) p WHERE p.reason IS NOT NULL LIMIT 1;
            refused := coalesce(refused, 'two figures for one cell');
        ELSE
            SELECT jsonb_object_agg(s.code, to_jsonb(s)) INTO after FROM credit.target_status(pack, as_of, region) s;
        END IF;
        RAISE EXCEPTION 'taken back' USING ERRCODE = 'PC529';
    EXCEPTION WHEN SQLSTATE 'PC529' THEN
        NULL;
    END;
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION 'figures of a what-if are not valid' USING ERRCODE = 'invalid_parameter_value', DETAIL = refused;
    END IF;
    RETURN QUERY
        SELECT a.key, a.value ->> 'name_zh', a.value ->> 'name_en', (b.value ->> 'actual')::numeric, b.value ->> 'status',
               (a.value ->> 'actual')::numeric, a.value ->> 'status', (a.value ->> 'target')::numeric, a.value ->> 'unit',
               a.value ->> 'why', a.value ->> 'why_zh'
          FROM jsonb_each(after) a JOIN jsonb_each(before) b ON b.key = a.key
         WHERE a.value IS DISTINCT FROM b.value
         ORDER BY a.key COLLATE "C";
END
$$;
COMMENT ON FUNCTION credit.target_what_if(text, jsonb, date, credit.region_code) IS
    'targets that would stand otherwise with these figures (as credit.observe takes them), which are not kept (情景测算)';

REVOKE ALL ON credit.pack_adoption, credit.target_path FROM PUBLIC;
GRANT SELECT ON credit.pack_adoption, credit.target_path TO credit_operator, credit_analyst;
REVOKE ALL ON FUNCTION credit.pack_definition(text), credit._pack_paths(jsonb), credit.diff_pack(jsonb, jsonb),
    credit.diff_pack(text, text), credit.adopt_pack(text, credit.region_code, date, text),
    credit._path_at(credit.target, date, date, numeric, date), credit.set_path(text, text, jsonb, text),
    credit._seasonal_shares(credit.target, credit.region_code, date, integer),
    credit.seasonal_path(text, text, credit.region_code, integer),
    credit.target_what_if(text, jsonb, date, credit.region_code) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.pack_definition(text), credit.diff_pack(jsonb, jsonb), credit.diff_pack(text, text),
    credit.seasonal_path(text, text, credit.region_code, integer),
    credit.target_what_if(text, jsonb, date, credit.region_code) TO credit_operator, credit_analyst;
GRANT EXECUTE ON FUNCTION credit.adopt_pack(text, credit.region_code, date, text), credit.set_path(text, text, jsonb, text)
    TO credit_operator;
SELECT pg_catalog.pg_extension_config_dump('credit.pack_adoption', '');
SELECT pg_catalog.pg_extension_config_dump('credit.target_path', '');
SELECT credit._audit_table('credit.pack_adoption');
SELECT credit._audit_table('credit.target_path');
