-- ---------------------------------------------------------------------------
-- 79 target: what drives the gap of a target
-- ---------------------------------------------------------------------------

-- now and base as numerators and denominators; a metric that is no ratio has the denominator NULL
CREATE TYPE credit._driver AS (member text, name text, num numeric, den numeric, base_num numeric, base_den numeric);

-- The sums of a metric over a part of it. For an average the weighted sum and its weight.
CREATE FUNCTION credit._part(metric text, segment text, period daterange, places credit.region_code[], dimension text,
                             member text, OUT num numeric, OUT den numeric)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s credit.metric_source := (credit._ledger_source(metric)).source;
    last date := (upper(period) - interval '1 month')::date;
    first date := least(date_trunc('month', lower(period))::date, last);
    who integer := CASE dimension WHEN 'institution' THEN member::integer END;
    part text := CASE WHEN dimension = 'segment' THEN member ELSE nullif(segment, '') END;
    what text := CASE dimension WHEN 'product' THEN member END;
BEGIN
    IF dimension = 'star' THEN
        -- cells do not have it, the ledgers of parks do, and they are short
        EXECUTE format('SELECT %s, %s FROM credit.%I WHERE month BETWEEN $1 AND $2 AND region OPERATOR(credit.=) ANY ($3) '
                       'AND ($4 IS NULL OR segment = $4) AND star = $5::numeric AND %s',
                       CASE s.kind WHEN 'sum' THEN format('sum(%I)', s.value_column)
                                   WHEN 'weighted' THEN format('sum(%I * %I)', s.value_column, s.weight_column)
                                   WHEN 'count' THEN 'count(*)' ELSE 'count(DISTINCT subject_id)' END,
                       CASE s.kind WHEN 'weighted' THEN format('coalesce(sum(%I), 0)', s.weight_column) ELSE 'NULL::numeric' END,
                       s.ledger, credit._measure_condition(s))
           INTO num, den USING first, last, places, part, member;
        num := coalesce(num, 0);
        RETURN;
    END IF;
    IF s.kind <> 'weighted' THEN
        num := credit._measure_source(s, first, last, places, who, part, what);
        RETURN;
    END IF;
    SELECT coalesce(sum(x.value), 0), coalesce(sum(x.weight), 0) INTO num, den
      FROM credit._measure_all x
     WHERE x.source_id = s.source_id AND x.month BETWEEN first AND last AND x.region OPERATOR(credit.=) ANY (places)
       AND (who IS NULL OR x.institution_id = who) AND (part IS NULL OR x.segment = part) AND (what IS NULL OR x.product = what);
END
$$;

-- Members of a dimension of the ledgers that metrics have in a period.
CREATE FUNCTION credit._members_of(metrics text[], segments text[], period daterange, places credit.region_code[], dimension text)
    RETURNS SETOF text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last date := (upper(period) - interval '1 month')::date;
    first date := least(date_trunc('month', lower(period))::date, last);
    parks text;
BEGIN
    IF dimension = 'star' THEN
        FOR parks IN SELECT DISTINCT (x.source).ledger FROM unnest(metrics) u CROSS JOIN LATERAL credit._ledger_source(u) x LOOP
            RETURN QUERY EXECUTE format('SELECT DISTINCT star::text FROM credit.%I WHERE month BETWEEN $1 AND $2 AND star IS NOT NULL '
                                        'AND region OPERATOR(credit.=) ANY ($3)', parks) USING first, last, places;
        END LOOP;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT DISTINCT CASE dimension WHEN 'institution' THEN x.institution_id::text WHEN 'segment' THEN x.segment ELSE x.product END
          FROM unnest(metrics, segments) u(metric, segment)
         CROSS JOIN LATERAL credit._ledger_source(u.metric) l
          JOIN credit._measure_all x ON x.source_id = (l.source).source_id
         WHERE x.month BETWEEN first AND last AND x.region OPERATOR(credit.=) ANY (places)
           AND (u.segment = '' OR x.segment = u.segment);
END
$$;

-- Regions right below one; a city that nobody has loaded is passed over.
CREATE FUNCTION credit._regions_below(home credit.region_code) RETURNS SETOF credit.region
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT r.* FROM credit.region r
         WHERE NOT (r.retired AND r.successor IS NOT NULL)
           AND (credit._region_above(r.code, r.parent, r.retired, r.successor) = home
                OR (credit.region_parent(credit._region_above(r.code, r.parent, r.retired, r.successor)) = home
                    AND NOT EXISTS (SELECT FROM credit.region a
                                     WHERE a.code = credit._region_above(r.code, r.parent, r.retired, r.successor))));
    END;

-- One part of a metric at a period: of a region below, or of a member of the ledgers' other dimensions.
CREATE FUNCTION credit._part_figure(m credit.metric, segment text, period daterange, places credit.region_code[],
                                    dimension text, member text, home credit.region_code, OUT num numeric, OUT den numeric)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place credit.region_code := CASE WHEN dimension = 'region' THEN coalesce(member::credit.region_code, home) ELSE home END;
    within credit.region_code[] := places;
    l credit._figure;
    r credit._figure;
    weighted boolean := (credit._ledger_source(m.code)).source IS NOT NULL
                        AND ((credit._ledger_source(m.code)).source).kind = 'weighted';
BEGIN
    IF period IS NULL THEN
        RETURN;
    END IF;
    IF dimension = 'region' AND member IS NOT NULL THEN
        within := credit._places(place);
    END IF;
    IF member IS NOT NULL AND dimension <> 'region' OR weighted THEN
        SELECT p.num, p.den INTO num, den
          FROM credit._part(CASE WHEN m.operation IS NULL THEN m.code ELSE m.left_metric END,
                            coalesce(m.left_segment, segment), period, within, dimension,
                            CASE WHEN dimension <> 'region' THEN member END) p;
        IF m.operation = 'ratio' THEN
            SELECT p.num INTO den
              FROM credit._part(m.right_metric, coalesce(m.right_segment, segment), period, within, dimension, member) p;
        END IF;
        RETURN;
    END IF;
    l := credit._figure_at(CASE WHEN m.operation IS NULL THEN m.code ELSE m.left_metric END, place,
                           coalesce(m.left_segment, segment), period);
    num := l.num / l.den;
    IF m.operation = 'ratio' THEN
        r := credit._figure_at(m.right_metric, place, coalesce(m.right_segment, segment), period);
        den := r.num / r.den;
    END IF;
END
$$;

-- Raises for a metric that has no parts to be broken down into.
CREATE FUNCTION credit._check_parts(t credit.target, m credit.metric, dimension text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    leaf text;
    kind text;
    problem text;
BEGIN
    IF t.tag = 'composite' THEN
        problem := 'It is composite: dimension member tells which of its targets make the gap.';
    ELSIF dimension = 'member' THEN
        problem := 'Only a composite target has members.';
    ELSIF t.value IS NULL THEN
        problem := 'The document gives no number; credit.set_target can set one.';
    ELSIF m.operation = 'difference' THEN
        problem := format('Metric %s is a difference.', m.code);
    ELSIF m.operation = 'growth' AND t.base IS NOT NULL THEN
        problem := format('It asks for a change of %s, which is a growth already.', m.code);
    END IF;
    FOREACH leaf IN ARRAY array_remove(CASE WHEN m.operation IS NULL THEN ARRAY[m.code] ELSE ARRAY[m.left_metric, m.right_metric] END, NULL) LOOP
        EXIT WHEN problem IS NOT NULL;
        kind := ((credit._ledger_source(leaf)).source).kind;
        IF dimension <> 'region' AND kind IS NULL THEN
            problem := format('No ledger has %s, so it is known by region only.', leaf);
        ELSIF dimension = 'star'
              AND NOT EXISTS (SELECT FROM pg_attribute a
                               WHERE a.attrelid = format('credit.%I', ((credit._ledger_source(leaf)).source).ledger)::regclass
                                 AND a.attname = 'star' AND NOT a.attisdropped) THEN
            problem := format('Ledger %s of %s has no stars; those of parks have.', ((credit._ledger_source(leaf)).source).ledger, leaf);
        ELSIF kind IS DISTINCT FROM 'weighted' AND (SELECT x.additivity = 'ratio' FROM credit.metric x WHERE x.code = leaf)
              OR kind = 'weighted' AND m.operation IS NOT NULL THEN
            problem := format('%s is a ratio of which the parts are not known.', leaf);
        END IF;
    END LOOP;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'target "%" cannot be broken down by %', t.code, dimension USING ERRCODE = 'PC523', DETAIL = problem;
    END IF;
END
$$;

CREATE FUNCTION credit._one_target(pack text, code text) RETURNS credit.target
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t credit.target;
BEGIN
    PERFORM credit._pack_region(pack);
    SELECT * INTO t FROM credit._effective(pack) e WHERE e.code = _one_target.code;
    IF t.code IS NULL THEN
        RAISE EXCEPTION 'pack "%" has no target "%"', pack, code USING ERRCODE = 'undefined_object',
            HINT = 'Targets are the rows of credit.target.';
    END IF;
    RETURN t;
END
$$;

CREATE FUNCTION credit._place_of(pack text, as_of date, region credit.region_code) RETURNS credit.region_code
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF as_of IS NULL OR NOT isfinite(as_of) THEN
        RAISE EXCEPTION 'as_of must be a day' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF region IS NOT NULL AND NOT credit._region_known(region) THEN
        RAISE EXCEPTION 'region "%" does not exist', region USING ERRCODE = 'undefined_object';
    END IF;
    RETURN coalesce(region, credit._pack_region(pack));
END
$$;

-- Of the periods that each have to reach the target the one that does worst: what credit._judge_each shows.
CREATE FUNCTION credit._worst_period(c credit._case) RETURNS credit._figure
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t credit.target := c.target;
    step interval := CASE t.per WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || t.per)::interval END;
    first_day date := date_trunc(t.per, c.start_date)::date;
    f credit._figure;
    worst credit._figure;
BEGIN
    IF first_day < c.start_date THEN
        first_day := (first_day + step)::date;
    END IF;
    WHILE (first_day + step)::date - 1 <= c.last_end LOOP
        f := credit._figure_at(t.metric, c.region, t.segment, daterange(first_day, (first_day + step)::date));
        IF worst.num IS NULL
           OR (CASE left(t.comparator, 1)
                   WHEN '>' THEN f.num * worst.den < worst.num * f.den
                   WHEN '<' THEN f.num * worst.den > worst.num * f.den
                   ELSE abs(f.num - t.value * f.den) * worst.den > abs(worst.num - t.value * worst.den) * f.den END) THEN
            worst := f;
        END IF;
        first_day := (first_day + step)::date;
    END LOOP;
    RETURN worst;
END
$$;

-- Each goal of a composite target is asked for its part of the number of goals. Of a goal that is reached all members have the
-- same part of what it gives, of another those that are not met have what it lacks.
CREATE FUNCTION credit._member_drivers(t credit.target, place credit.region_code, as_of date)
    RETURNS TABLE (member text, name text, actual numeric, gap numeric)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    j credit._judgement := credit._judge(t, place, as_of);
BEGIN
    IF j.actual IS NULL OR j.gap IS NULL THEN
        RAISE EXCEPTION 'target "%" has no figure at %', t.code, to_char(as_of, 'YYYY-MM-DD') USING ERRCODE = 'PC524', DETAIL = j.why;
    END IF;
    RETURN QUERY
        WITH part AS (
            SELECT m.goal, m.member, e.name_zh, (x.status = 'met')::integer AS met
              FROM credit.target_member m
              JOIN credit._effective(t.pack) e ON e.code = m.member AND e.tag <> 'composite'
             CROSS JOIN LATERAL credit._judge(e, place, as_of) x
             WHERE m.pack = t.pack AND m.code = t.code
        ), goal AS (
            SELECT p.goal, min(p.met) AS reached, count(*) AS members, count(*) FILTER (WHERE p.met = 0) AS unmet,
                   min(p.met) - j.target / count(*) OVER () AS gap
              FROM part p GROUP BY p.goal
        ), told AS (
            SELECT p.member, p.name_zh, min(p.met) AS met,
                   round(sum(CASE WHEN g.reached = 1 THEN g.gap / g.members WHEN p.met = 0 THEN g.gap / g.unmet ELSE 0 END), 12) AS gap
              FROM part p JOIN goal g ON g.goal = p.goal GROUP BY p.member, p.name_zh
        ), ranked AS (
            SELECT o.*, row_number() OVER (ORDER BY abs(o.gap) DESC, o.member COLLATE "C") AS n, sum(o.gap) OVER () AS whole FROM told o
        )
        SELECT r.member, r.name_zh, r.met::numeric, trim_scale(r.gap + CASE r.n WHEN 1 THEN round(j.gap, 12) - r.whole ELSE 0 END)
          FROM ranked r ORDER BY r.n;
END
$$;

-- Each member is asked for the part of the expected figure that it had of the base (or has now, where there is no base); of a
-- ratio, for the expected ratio. The change of a ratio is told by the midpoint formula: with shares w of the denominator,
-- rates r and the whole ratio R, the mean of both days marked by a bar, rate = w̄ Δr and mix = (r̄ - R̄) Δw. What the members
-- leave over (rows of no member, subjects that two of them have) is the row without member. Rounding goes to the largest row.
-- A compound yearly rate is no sum; the figure less the one that the rate asks for is, and each part of it stands for the same
-- part of the gap of the rate.
CREATE FUNCTION credit.target_drivers(pack text, code text, as_of date DEFAULT (now() AT TIME ZONE 'Asia/Shanghai')::date,
                                      region credit.region_code DEFAULT NULL, dimension text DEFAULT NULL)
    RETURNS TABLE (member text, name text, base numeric, actual numeric, change numeric, rate_effect numeric,
                   mix_effect numeric, gap numeric)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_variable
DECLARE
    place credit.region_code := credit._place_of(pack, as_of, region);
    t credit.target := credit._one_target(pack, code);
    m credit.metric;
    c credit._case;
    s credit._figure;
    j credit._judgement;
    base_name text;
    now_period daterange;
    base_period daterange;
    total credit._driver;
    d credit._driver;
    all_parts credit._driver[] := '{}';
    one record;
    p record;
    is_ratio boolean;
    now_level numeric;
    base_level numeric;
    expected numeric;
    scale numeric := 1;
    months integer;
    whole_gap numeric;
    places credit.region_code[];
BEGIN
    dimension := coalesce(dimension, CASE t.tag WHEN 'composite' THEN 'member' ELSE 'region' END);
    IF dimension NOT IN ('region', 'institution', 'segment', 'product', 'star', 'member') THEN
        RAISE EXCEPTION 'there is no dimension "%"', dimension USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Dimensions are region, institution, segment, product and star, and member for composite targets.';
    END IF;
    IF t.tag = 'composite' AND dimension = 'member' THEN
        RETURN QUERY
            SELECT x.member, x.name, NULL::numeric, x.actual, NULL::numeric, NULL::numeric, NULL::numeric, x.gap
              FROM credit._member_drivers(t, place, as_of) x;
        RETURN;
    END IF;
    SELECT * INTO m FROM credit.metric x WHERE x.code = t.metric;
    PERFORM credit._check_parts(t, m, dimension);
    places := credit._places(place);
    c := credit._case_of(t, place, as_of);
    j := credit._judge(t, place, as_of);
    base_name := CASE WHEN m.operation = 'growth' THEN m.growth_base ELSE nullif(t.base, 'zero') END;
    IF t.rule = 'each' THEN
        s := credit._worst_period(c);
    ELSIF t.rule IS NOT NULL THEN
        s := credit._sum_from(t.metric, place, t.segment, daterange(c.start_date, greatest(c.last_end, c.start_date), '[]'));
    ELSE
        s := (credit._latest(t.metric, place, t.segment, c.first_end, c.last_end, NULL, CASE WHEN m.operation IS DISTINCT FROM 'growth'
              THEN base_name END, c.start_date, NULL)).s;
    END IF;
    IF s.num IS NULL OR j.actual IS NULL THEN
        RAISE EXCEPTION 'target "%" has no figure at %', t.code, to_char(as_of, 'YYYY-MM-DD') USING ERRCODE = 'PC524',
            DETAIL = coalesce(s.lacking, j.why);
    END IF;
    now_period := s.period;
    base_period := CASE WHEN t.base = 'zero' THEN NULL
                        WHEN base_name IS NOT NULL THEN credit._base_period(now_period, base_name, c.start_date)
                        WHEN t.rule IS NOT NULL THEN credit._base_period(now_period, 'previous_year', NULL)
                        ELSE daterange(c.start_date - 1, c.start_date) END;

    SELECT f.num, f.den INTO total.num, total.den FROM credit._part_figure(m, t.segment, now_period, places, dimension, NULL, place) f;
    SELECT f.num, f.den INTO total.base_num, total.base_den
      FROM credit._part_figure(m, t.segment, base_period, places, dimension, NULL, place) f;
    is_ratio := total.den IS NOT NULL;
    IF total.num IS NULL OR total.den = 0 OR (m.operation = 'ratio' AND NOT is_ratio) THEN
        RAISE EXCEPTION 'target "%" cannot be broken down by %', t.code, dimension USING ERRCODE = 'PC523',
            DETAIL = format('The parts of %s at %s are not known.', m.code, credit._period_text(now_period));
    END IF;
    -- a base that is not whole says nothing
    IF total.base_num IS NULL OR (is_ratio AND coalesce(total.base_den, 0) = 0) THEN
        total.base_num := NULL;
        total.base_den := NULL;
    END IF;
    now_level := total.num / coalesce(total.den, 1);
    base_level := coalesce(CASE WHEN t.base = 'start' THEN t.baseline END, total.base_num / coalesce(total.base_den, 1));
    months := CASE WHEN t.form = 'cagr' OR t.yearly
                   THEN credit._months(CASE WHEN t.base = 'start' AND t.baseline IS NOT NULL THEN t.baseline_date + 1
                                            ELSE upper(base_period) END, upper(now_period)) END;
    IF t.form = 'cagr' OR (t.form = 'reduction' AND t.yearly) THEN
        expected := base_level * power(CASE t.form WHEN 'cagr' THEN 1 + t.value ELSE 1 - t.value END, months::numeric / 12);
        -- nearly on it both are rounded too much: the slope there
        scale := CASE WHEN abs(j.gap) > 1e-8 THEN j.gap / nullif(now_level - expected, 0)
                      ELSE CASE t.form WHEN 'cagr' THEN 12.0 ELSE -12.0 END / months
                           * power(now_level / base_level, 12::numeric / months) / nullif(now_level, 0) END;
    ELSIF t.form = 'growth' OR m.operation = 'growth' THEN
        expected := base_level * (1 + t.value);
        scale := 1 / base_level;
    ELSIF t.form = 'reduction' THEN
        expected := CASE t.unit WHEN 'ratio' THEN base_level * (1 - t.value) ELSE base_level - t.value END;
        scale := CASE t.unit WHEN 'ratio' THEN -1 / base_level ELSE -1 END;
    ELSIF t.form = 'cumulative' AND t.rule IS NULL THEN
        expected := CASE t.base WHEN 'zero' THEN t.value ELSE base_level + t.value END;
    ELSIF t.rule = 'average' THEN
        months := credit._months(lower(now_period), upper(now_period));
        expected := t.value * months / 12;
        scale := 12::numeric / months;
    ELSE
        expected := t.value;
    END IF;
    IF expected IS NULL OR scale IS NULL THEN
        RAISE EXCEPTION 'target "%" has no base figure', t.code USING ERRCODE = 'PC524',
            DETAIL = format('Its base is of %s.', credit._period_text(base_period));
    END IF;
    whole_gap := j.gap;

    FOR one IN
        SELECT r.code::text AS member, r.name_zh AS name FROM credit._regions_below(place) r WHERE dimension = 'region'
        UNION ALL
        SELECT x.member, coalesce((SELECT i.name_zh FROM credit.institution i WHERE dimension = 'institution'
                                      AND i.institution_id = CASE WHEN dimension = 'institution' THEN x.member::integer END), x.member)
          FROM (SELECT DISTINCT y AS member
                  FROM unnest(ARRAY[now_period, base_period]) q(period)
                 CROSS JOIN LATERAL credit._members_of(
                      array_remove(CASE WHEN m.operation IS NULL THEN ARRAY[m.code] ELSE ARRAY[m.left_metric, m.right_metric] END, NULL),
                      CASE WHEN m.right_metric IS NULL THEN ARRAY[coalesce(m.left_segment, t.segment)]
                           ELSE ARRAY[coalesce(m.left_segment, t.segment), coalesce(m.right_segment, t.segment)] END,
                      q.period, places, dimension) y
                 WHERE dimension <> 'region' AND q.period IS NOT NULL) x
    LOOP
        d := ROW(one.member, one.name, NULL, NULL, NULL, NULL)::credit._driver;
        SELECT f.num, f.den INTO p FROM credit._part_figure(m, t.segment, now_period, places, dimension, one.member, place) f;
        d.num := coalesce(p.num, 0);
        d.den := CASE WHEN is_ratio THEN coalesce(p.den, 0) END;
        IF total.base_num IS NOT NULL THEN
            SELECT f.num, f.den INTO p FROM credit._part_figure(m, t.segment, base_period, places, dimension, one.member, place) f;
            d.base_num := coalesce(p.num, 0);
            d.base_den := CASE WHEN is_ratio THEN coalesce(p.den, 0) END;
        END IF;
        CONTINUE WHEN d.num = 0 AND coalesce(d.den, 0) = 0 AND coalesce(d.base_num, 0) = 0 AND coalesce(d.base_den, 0) = 0;
        all_parts := all_parts || d;
    END LOOP;
    SELECT NULL, NULL, total.num - coalesce(sum(x.num), 0), total.den - coalesce(sum(x.den), 0),
           total.base_num - coalesce(sum(x.base_num), 0), total.base_den - coalesce(sum(x.base_den), 0)
      INTO d FROM unnest(all_parts) x;
    -- where nothing is anywhere, all of the gap is nobody's
    IF d.num <> 0 OR d.den <> 0 OR d.base_num <> 0 OR d.base_den <> 0 OR all_parts = '{}' THEN
        all_parts := all_parts || d;
    END IF;

    RETURN QUERY
        WITH rated AS (
            -- a member without denominator on one of the days has the rate of the other: all of its effect is mix
            SELECT x.*, x.num / nullif(x.den, 0) AS r1, x.base_num / nullif(x.base_den, 0) AS r0,
                   x.den / total.den AS w1, x.base_den / total.base_den AS w0
              FROM unnest(all_parts) x
        ), told AS (
            SELECT r.member, r.name,
                   CASE WHEN is_ratio THEN r.r0 ELSE r.base_num END AS base,
                   CASE WHEN is_ratio THEN r.r1 ELSE r.num END AS actual,
                   CASE WHEN is_ratio THEN (r.num - expected * r.den) / total.den
                        WHEN total.base_num <> 0 THEN r.num - expected * r.base_num / total.base_num
                        WHEN total.num <> 0 THEN r.num - expected * r.num / total.num
                        ELSE -expected / cardinality(all_parts) END * scale AS gap,
                   (r.w1 + r.w0) / 2 * (coalesce(r.r1, r.r0, 0) - coalesce(r.r0, r.r1, 0)) AS rate,
                   (r.w1 - r.w0) * ((coalesce(r.r1, r.r0, 0) + coalesce(r.r0, r.r1, 0)) / 2 - (now_level + total.base_num / total.base_den) / 2) AS mix,
                   r.num - r.base_num AS plain
              FROM rated r
        ), rounded AS (
            SELECT o.member, o.name, o.base, o.actual, round(o.gap, 12) AS gap, round(o.rate, 12) AS rate, round(o.mix, 12) AS mix, o.plain,
                   row_number() OVER (ORDER BY abs(o.gap) DESC, o.member COLLATE "C") AS n
              FROM told o
        ), fitted AS (
            SELECT r.member, r.name, r.base, r.actual, r.rate, r.plain, r.n,
                   r.gap + CASE WHEN r.n = 1 THEN round(whole_gap, 12) - sum(r.gap) OVER () ELSE 0 END AS gap,
                   r.mix + CASE WHEN r.n = 1 AND is_ratio
                                THEN round(now_level - total.base_num / total.base_den, 12) - sum(r.rate + r.mix) OVER () ELSE 0 END AS mix
              FROM rounded r
        )
        SELECT f.member, f.name, trim_scale(round(f.base, 12)), trim_scale(round(f.actual, 12)),
               trim_scale(CASE WHEN is_ratio THEN f.rate + f.mix ELSE f.plain END), trim_scale(f.rate), trim_scale(f.mix), trim_scale(f.gap)
          FROM fitted f ORDER BY f.n;
END
$$;
COMMENT ON FUNCTION credit.target_drivers(text, text, date, credit.region_code, text) IS
    'which regions, institutions, segments, products, stars of parks or members make the gap of a target, largest first; gaps add up to it (目标缺口归因)';

REVOKE ALL ON FUNCTION credit._part(text, text, daterange, credit.region_code[], text, text),
    credit._members_of(text[], text[], daterange, credit.region_code[], text), credit._regions_below(credit.region_code),
    credit._part_figure(credit.metric, text, daterange, credit.region_code[], text, text, credit.region_code),
    credit._check_parts(credit.target, credit.metric, text), credit._one_target(text, text),
    credit._worst_period(credit._case), credit._member_drivers(credit.target, credit.region_code, date),
    credit._place_of(text, date, credit.region_code),
    credit.target_drivers(text, text, date, credit.region_code, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.target_drivers(text, text, date, credit.region_code, text) TO credit_operator, credit_analyst;
