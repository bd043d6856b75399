-- ---------------------------------------------------------------------------
-- 75 target: judging
-- ---------------------------------------------------------------------------
-- Which figure counts. Before the due date: the newest that ends on or before as_of and not more than max_age_days
-- earlier. From the due date on: only one that ends in the month of the due date and not after it, whatever came later.
-- Sums count from the first day of their window and must be without gap.

CREATE TYPE credit._case AS (
    target credit.target, region credit.region_code, as_of date, due date, start_date date,
    first_end date, last_end date, final boolean);

-- holds: the comparison is true of the figures; complete: it may be called met, no later figure is part of it;
-- required: where the path stands at the figure's date.
CREATE TYPE credit._outcome AS (
    num numeric, den numeric, shown numeric, holds boolean, complete boolean, required numeric, on_path boolean,
    used jsonb, lacking text, lacking_zh text);

CREATE FUNCTION credit._pack_region(pack text) RETURNS credit.region_code
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home credit.region_code;
BEGIN
    SELECT p.region INTO home FROM credit.pack p WHERE p.pack_id = pack;
    IF home IS NULL THEN
        RAISE EXCEPTION 'pack "%" does not exist', pack USING ERRCODE = 'undefined_object',
            HINT = 'Packs are the rows of credit.pack.';
    END IF;
    RETURN home;
END
$$;

-- The rows of credit.effective_target as rows of credit.target.
CREATE FUNCTION credit._effective(p_pack text) RETURNS SETOF credit.target
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT t.* FROM credit.target t
         WHERE t.pack = p_pack AND NOT EXISTS (SELECT FROM credit.target_setting s WHERE s.pack = t.pack AND s.code = t.code)
        UNION ALL
        SELECT e.*
          FROM credit.target_setting s
          JOIN credit.target t ON t.pack = s.pack AND t.code = s.code
         CROSS JOIN LATERAL jsonb_populate_record(t, s.settings) e
         WHERE s.pack = p_pack;
    END;

CREATE FUNCTION credit._compares(difference numeric, comparator text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT CASE comparator WHEN '>=' THEN difference >= 0 WHEN '>' THEN difference > 0 WHEN '<=' THEN difference <= 0
                               WHEN '<' THEN difference < 0 WHEN '=' THEN difference = 0 END;
    END;

CREATE FUNCTION credit._short(reason text, reason_zh text, used jsonb DEFAULT '[]') RETURNS credit._outcome
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT ROW(NULL, NULL, NULL, NULL, NULL, NULL, NULL, used, reason, reason_zh)::credit._outcome;
    END;

-- A figure for the eye: exact where it was given, a quotient to 12 decimals, to 4 from 1000 on.
CREATE FUNCTION credit._shown(num numeric, den numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        -- the factor lends the quotient its decimals
        SELECT trim_scale(CASE WHEN den = 1 THEN num
                               ELSE round(num * 1.000000000000 / den, CASE WHEN abs(num) < den * 1000 THEN 12 ELSE 4 END) END);
    END;

-- Straight line from origin at from_day to the target at the due date, or through the points that credit.set_path gave. A
-- figure is measured at its own date.
CREATE FUNCTION credit._on_path(o credit._outcome, c credit._case, figure_day date, from_day date,
                                origin_num numeric, origin_den numeric) RETURNS credit._outcome
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    v numeric := (c.target).value;
    total integer := c.due - from_day;
    gone integer := greatest(figure_day - from_day, 0);
    req_num numeric;
    req_den numeric;
    upward boolean;
    given numeric;
BEGIN
    IF c.due IS NULL OR total <= 0 OR origin_num IS NULL OR v * origin_den = origin_num THEN
        RETURN o;
    END IF;
    req_num := origin_num * (total - gone) + v * origin_den * gone;
    req_den := origin_den * total;
    upward := CASE left((c.target).comparator, 1) WHEN '>' THEN true WHEN '<' THEN false ELSE v * origin_den > origin_num END;
    given := credit._path_at(c.target, figure_day, from_day, origin_num / origin_den, c.due);
    IF given IS NOT NULL THEN
        req_num := given;
        req_den := 1;
    END IF;
    o.required := credit._shown(req_num, req_den);
    o.on_path := CASE WHEN upward THEN o.num * req_den >= req_num * o.den ELSE o.num * req_den <= req_num * o.den END;
    RETURN o;
END
$$;

CREATE FUNCTION credit._judge_point(c credit._case) RETURNS credit._outcome
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    t credit.target := c.target;
    pair record;
    s credit._figure;
    b credit._figure;
    o credit._outcome;
BEGIN
    pair := credit._latest(t.metric, c.region, t.segment, c.first_end, c.last_end, t.comparison_region, NULL, NULL, NULL);
    s := pair.s;
    IF s.num IS NULL THEN
        RETURN credit._short(s.lacking, s.lacking_zh);
    END IF;
    IF t.form = 'coverage' AND (s.num < 0 OR s.num > s.den) THEN
        RETURN credit._short(
            format('coverage %s at %s is outside 0 to 1, the figures contradict each other', credit._shown(s.num, s.den),
                   credit._period_text(s.period)),
            format('覆盖率 %s（%s）不在 0 至 1 之间，数据相互矛盾', credit._shown(s.num, s.den), credit._period_text(s.period)),
            s.used);
    END IF;
    o.num := s.num;
    o.den := s.den;
    o.used := s.used;
    o.complete := true;
    o.holds := credit._compares(s.num - t.value * s.den, t.comparator);
    IF o.holds OR c.final OR c.due IS NULL THEN
        RETURN o;
    END IF;
    IF t.baseline IS NOT NULL THEN
        b := ROW(t.baseline, 1, daterange(t.baseline_date, t.baseline_date, '[]'), '[]', NULL, NULL)::credit._figure;
    ELSE
        b := credit._figure_at(t.metric, c.region, t.segment, daterange(c.start_date - 1, c.start_date), t.comparison_region);
    END IF;
    IF b.num IS NULL THEN
        RETURN o;
    END IF;
    IF upper(s.period) <= upper(b.period) THEN
        o.lacking := format('no figure of %s for %s after the base of %s', t.metric, credit._place(c.region, t.segment),
                            credit._period_text(b.period));
        o.lacking_zh := format('缺少指标 %s（%s）在基期 %s 之后的数据', t.metric, credit._place(c.region, t.segment),
                               credit._period_text(b.period));
        RETURN o;
    END IF;
    o := credit._on_path(o, c, upper(s.period) - 1, upper(b.period) - 1, b.num, b.den);
    o.used := o.used || b.used;
    RETURN o;
END
$$;

CREATE FUNCTION credit._judge_change(c credit._case) RETURNS credit._outcome
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    t credit.target := c.target;
    given credit._figure;
    pair record;
    s credit._figure;
    b credit._figure;
    g credit._figure;
    o credit._outcome;
    months integer;
    side integer;
BEGIN
    IF t.baseline IS NOT NULL AND t.base = 'start' THEN
        given := ROW(t.baseline, 1, daterange(t.baseline_date, t.baseline_date + 1), jsonb_build_array(jsonb_build_object(
                     'metric', t.metric, 'region', c.region::text, 'segment', t.segment,
                     'period', to_char(t.baseline_date, 'YYYY-MM-DD'), 'value', t.baseline,
                     'source', t.clause, 'derived', false)), NULL, NULL)::credit._figure;
    END IF;
    pair := credit._latest(t.metric, c.region, t.segment, c.first_end, c.last_end, t.comparison_region,
                            nullif(t.base, 'zero'), c.start_date, given);
    s := pair.s;
    b := pair.b;
    IF s.num IS NOT NULL AND t.base = 'zero' THEN
        b := ROW(0, 1, NULL, '[]', NULL, NULL)::credit._figure;
    END IF;
    IF s.num IS NULL OR b.num IS NULL THEN
        RETURN credit._short(coalesce(s.lacking, b.lacking), coalesce(s.lacking_zh, b.lacking_zh));
    END IF;
    o.used := s.used || b.used;
    o.complete := true;
    IF t.form = 'cagr' OR (t.form = 'reduction' AND t.yearly) THEN
        months := credit._months(upper(b.period), upper(s.period));
        IF months IS NULL OR months NOT BETWEEN 1 AND 1200 OR b.num <= 0 OR s.num < 0 THEN
            RETURN credit._short(
                format('no yearly rate from %s to %s: needs a positive base, no negative end, and whole months between',
                       credit._period_text(b.period), credit._period_text(s.period)),
                format('无法计算 %s 至 %s 的年均变化：基期须为正数、期末不得为负、间隔须为整月',
                       credit._period_text(b.period), credit._period_text(s.period)), o.used);
        END IF;
        side := CASE t.form WHEN 'cagr' THEN credit.compare_annual_rate(s.num * b.den, b.num * s.den, months, t.value)
                            ELSE -credit.compare_annual_rate(s.num * b.den, b.num * s.den, months, -t.value) END;
        o.holds := credit._compares(side, t.comparator);
        o.shown := CASE t.form WHEN 'cagr' THEN 1 ELSE -1 END
                   * credit.annual_rate(s.num * b.den, b.num * s.den, months);
        -- an average of years that are not over can still change
        o.complete := c.final OR c.due IS NULL;
        RETURN o;
    END IF;
    g := CASE WHEN t.form = 'growth' OR (t.form = 'reduction' AND t.unit = 'ratio') THEN credit._growth(s, b)
              ELSE credit._difference(s, b) END;
    IF g.num IS NULL THEN
        RETURN credit._short(g.lacking, g.lacking_zh, o.used);
    END IF;
    o.num := CASE t.form WHEN 'reduction' THEN -g.num ELSE g.num END;
    o.den := g.den;
    o.holds := credit._compares(o.num - t.value * o.den, t.comparator);
    IF t.base = 'start' AND NOT o.holds AND NOT c.final AND upper(s.period) > upper(b.period) THEN
        o := credit._on_path(o, c, upper(s.period) - 1, upper(b.period) - 1, 0, 1);
    END IF;
    RETURN o;
END
$$;

-- A sum over the window, or its average per year of the window.
CREATE FUNCTION credit._judge_sum(c credit._case) RETURNS credit._outcome
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    t credit.target := c.target;
    upward boolean := left(t.comparator, 1) = '>';
    f credit._figure;
    o credit._outcome;
    window_end date;
    part integer;       -- of the window that the figures cover: months for an average, else days
    whole integer;
BEGIN
    IF c.last_end < c.start_date THEN
        RETURN credit._short(format('the window starts on %s', to_char(c.start_date, 'YYYY-MM-DD')),
                             format('考核期自 %s 起', to_char(c.start_date, 'YYYY-MM-DD')));
    END IF;
    f := credit._sum_from(t.metric, c.region, t.segment, daterange(c.start_date, c.last_end, '[]'));
    IF f.num IS NULL THEN
        RETURN credit._short(f.lacking, f.lacking_zh);
    END IF;
    window_end := coalesce(c.due + 1, upper(f.period));
    o.used := f.used;
    o.complete := true;
    IF t.rule = 'average' THEN
        part := credit._months(c.start_date, upper(f.period));
        whole := credit._months(c.start_date, window_end);
        IF part IS NULL OR whole IS NULL OR part = 0 THEN
            RETURN credit._short('an average per year needs whole months from the start of its window on',
                                 '年均值须按整月计算', f.used);
        END IF;
        o.num := f.num * 12;
        o.den := part;
        o.holds := credit._compares(f.num * 12 - t.value * whole, t.comparator);
        o.on_path := CASE WHEN upward THEN o.num >= t.value * part ELSE o.num <= t.value * part END;
    ELSE
        part := upper(f.period) - c.start_date;
        whole := window_end - c.start_date;
        o.num := f.num;
        o.den := 1;
        o.holds := credit._compares(f.num - t.value, t.comparator);
        o.on_path := CASE WHEN upward THEN f.num * whole >= t.value * part ELSE f.num * whole <= t.value * part END;
        IF part < whole THEN
            o.required := coalesce(credit._path_at(t, upper(f.period) - 1, c.start_date - 1, 0, window_end - 1),
                                   credit._shown(t.value * part, whole));
            IF EXISTS (SELECT FROM credit.target_path p WHERE p.pack = t.pack AND p.code = t.code) THEN
                o.on_path := CASE WHEN upward THEN f.num >= o.required ELSE f.num <= o.required END;
            END IF;
        END IF;
    END IF;
    -- A sum that reached its target early stays there; one that must stay below is known at the end of the window.
    o.holds := o.holds AND (part = whole OR upward);
    IF NOT o.holds AND upper(f.period) - 1 < (CASE WHEN c.final THEN c.due ELSE c.first_end END) THEN
        RETURN credit._short(
            format('figures of %s for %s reach only to %s', t.metric, credit._place(c.region, t.segment),
                   to_char(upper(f.period) - 1, 'YYYY-MM-DD')),
            format('指标 %s（%s）的数据仅截至 %s', t.metric, credit._place(c.region, t.segment),
                   to_char(upper(f.period) - 1, 'YYYY-MM-DD')), f.used);
    END IF;
    RETURN o;
END
$$;

-- Every calendar year, quarter or month that lies in the window and is over. The one that does worst is shown.
CREATE FUNCTION credit._judge_each(c credit._case) RETURNS credit._outcome
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    t credit.target := c.target;
    step interval := CASE t.per WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || t.per)::interval END;
    first_day date := date_trunc(t.per, c.start_date)::date;
    next_day date;
    f credit._figure;
    o credit._outcome;
    gap text;
    gap_zh text;
BEGIN
    IF first_day < c.start_date THEN
        first_day := (first_day + step)::date;
    END IF;
    o.used := '[]';
    o.holds := true;
    LOOP
        next_day := (first_day + step)::date;
        EXIT WHEN next_day - 1 > c.last_end;
        f := credit._figure_at(t.metric, c.region, t.segment, daterange(first_day, next_day));
        IF f.num IS NULL THEN
            gap := coalesce(gap, f.lacking);
            gap_zh := coalesce(gap_zh, f.lacking_zh);
        ELSE
            o.used := o.used || f.used;
            o.holds := o.holds AND credit._compares(f.num - t.value * f.den, t.comparator);
            IF o.num IS NULL
               OR (CASE left(t.comparator, 1)
                       WHEN '>' THEN f.num * o.den < o.num * f.den
                       WHEN '<' THEN f.num * o.den > o.num * f.den
                       ELSE abs(f.num - t.value * f.den) * o.den > abs(o.num - t.value * o.den) * f.den END) THEN
                o.num := f.num;
                o.den := f.den;
            END IF;
        END IF;
        first_day := next_day;
    END LOOP;
    IF o.holds AND gap IS NOT NULL THEN
        RETURN credit._short(gap, gap_zh, o.used);
    ELSIF o.num IS NULL THEN
        RETURN credit._short(format('no %s of the window is over yet', t.per), '考核期内尚无完整的统计周期');
    END IF;
    o.complete := c.final OR c.due IS NULL;
    RETURN o;
END
$$;

CREATE FUNCTION credit._judge_members(c credit._case) RETURNS credit._outcome
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t credit.target := c.target;
    o credit._outcome;
    unknown text;
    members bigint;
BEGIN
    -- A goal is reached when all its members are met; one that has failed needs no figures of the others.
    SELECT count(*) FILTER (WHERE g.reached), bool_and(g.on_path), string_agg(g.unknown, ', ' ORDER BY g.goal),
           coalesce(sum(g.members), 0), coalesce(jsonb_agg(g.used ORDER BY g.goal), '[]')
      INTO o.num, o.on_path, unknown, members, o.used
      FROM (SELECT m.goal, bool_and(j.status = 'met') AS reached, bool_and(j.status IN ('met', 'on_track')) AS on_path,
                   count(*) AS members,
                   CASE WHEN NOT bool_or(j.status IN ('behind', 'missed'))
                        THEN string_agg(m.member, ', ' ORDER BY m.member) FILTER (WHERE j.status = 'no_data') END AS unknown,
                   jsonb_build_object('goal', m.goal, 'members', jsonb_object_agg(m.member, j.status)) AS used
              FROM credit.target_member m
              JOIN credit._effective(t.pack) e ON e.code = m.member AND e.tag <> 'composite'
             CROSS JOIN LATERAL credit._judge(e, c.region, c.as_of) j
             WHERE m.pack = t.pack AND m.code = t.code
             GROUP BY m.goal) g;
    o.den := 1;
    o.holds := credit._compares(o.num - t.value, t.comparator);
    o.complete := true;
    IF members = 0 THEN
        RETURN credit._short('no members are named', '未指定构成目标');
    ELSIF unknown IS NOT NULL AND NOT o.holds THEN
        o.lacking := 'no figures for ' || unknown;
        o.lacking_zh := '缺少数据：' || unknown;
        o.num := NULL;      -- how many are reached is not known
    END IF;
    RETURN o;
END
$$;

CREATE TYPE credit._judgement AS (
    actual numeric, target numeric, gap numeric, required numeric, figures jsonb, due_date date, status text,
    why text, why_zh text);

-- Which days a figure may end on, and what else judging needs to know.
CREATE FUNCTION credit._case_of(t credit.target, region credit.region_code, as_of date,
                                done_once boolean DEFAULT false) RETURNS credit._case
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    c credit._case;
BEGIN
    c.target := t;
    c.region := region;
    c.as_of := as_of;
    c.due := coalesce(t.due_date, t.assumed_due);
    c.start_date := coalesce(t.start_date, (SELECT p.start_date FROM credit.pack p WHERE p.pack_id = t.pack));
    c.last_end := least(as_of, c.due);
    c.final := coalesce(as_of >= c.due, false);
    c.first_end := CASE WHEN done_once THEN c.start_date
                        WHEN c.final THEN date_trunc('month', c.due)::date ELSE c.last_end - t.max_age_days END;
    RETURN c;
END
$$;

CREATE FUNCTION credit._judge(target credit.target, region credit.region_code, as_of date) RETURNS credit._judgement
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    c credit._case;
    t credit.target := target;
    o credit._outcome;
    j credit._judgement;
    done_once boolean := false;     -- what is done stays done, however long ago it was reported
BEGIN
    IF t.value IS NULL AND t.tag = 'milestone' THEN
        t.comparator := '>=';
        t.value := 1;
        done_once := true;
    END IF;
    c := credit._case_of(t, region, as_of, done_once);
    IF t.tag = 'composite' THEN
        o := credit._judge_members(c);
    ELSIF t.form IN ('growth', 'cagr', 'reduction') OR (t.form = 'cumulative' AND t.rule IS NULL) THEN
        o := credit._judge_change(c);
    ELSIF t.rule = 'each' THEN
        o := credit._judge_each(c);
    ELSIF t.rule IS NOT NULL THEN
        o := credit._judge_sum(c);
    ELSE
        o := credit._judge_point(c);
    END IF;
    IF t.value IS NULL AND o.lacking IS NULL THEN
        o.lacking := 'the document gives no threshold; credit.set_target can set one';
        o.lacking_zh := '文件未规定数值，可用 credit.set_target 设定';
    END IF;
    j.actual := coalesce(o.shown, credit._shown(o.num, o.den));
    j.target := t.value;
    j.gap := trim_scale(j.actual - j.target);
    j.required := o.required;
    j.figures := coalesce(o.used, '[]');
    j.due_date := c.due;
    j.status := CASE WHEN o.lacking IS NOT NULL THEN 'no_data'
                     WHEN o.holds AND o.complete THEN 'met'
                     WHEN o.holds THEN 'on_track'
                     WHEN as_of > c.due THEN 'missed'
                     WHEN NOT c.final AND o.on_path THEN 'on_track'
                     ELSE 'behind' END;
    SELECT w.en, w.zh INTO j.why, j.why_zh FROM credit._why(j, c, o) w;
    RETURN j;
END
$$;

CREATE FUNCTION credit._why(j credit._judgement, c credit._case, o credit._outcome, OUT en text, OUT zh text)
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    goal text := (c.target).comparator || ' ' || j.target;
BEGIN
    IF j.status = 'no_data' THEN
        en := o.lacking;
        zh := o.lacking_zh;
        RETURN;
    END IF;
    en := format(CASE WHEN o.holds THEN '%s is %s' ELSE '%s is not %s' END, j.actual, goal);
    zh := format(CASE WHEN o.holds THEN '%s 满足 %s' ELSE '%s 不满足 %s' END, j.actual, goal);
    IF j.status = 'on_track' THEN
        en := format('%s so far, in step with %s', j.actual, goal) || coalesce(' by ' || to_char(c.due, 'YYYY-MM-DD'), '');
        zh := format('目前为 %s，与目标 %s 的进度相符', j.actual, goal) || coalesce('，截止日期为 ' || to_char(c.due, 'YYYY-MM-DD'), '');
    END IF;
    IF j.status IN ('on_track', 'behind') AND o.required IS NOT NULL THEN
        en := en || '; the path stands at ' || o.required;
        zh := zh || '，按进度应达 ' || o.required;
    ELSIF j.status = 'behind' AND c.due IS NULL THEN
        en := en || '; no due date, so no path';
        zh := zh || '，无截止日期';
    ELSIF j.status = 'behind' AND NOT c.final AND o.on_path IS NULL THEN
        en := en || '; no base figure, so no path';
        zh := zh || '，缺少基期值，无法推算进度';
    ELSIF j.status = 'missed' THEN
        en := en || '; due on ' || to_char(c.due, 'YYYY-MM-DD');
        zh := zh || '，截止日期为 ' || to_char(c.due, 'YYYY-MM-DD');
    END IF;
END
$$;

-- Least squares through the figures of the last four quarters, at the due date; NULL with less than three of them. A share stays a share.
CREATE FUNCTION credit._projection(trend jsonb, due date, share boolean) RETURNS numeric
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        WITH point AS (
            SELECT ((p.value ->> 'day')::date - date '2000-01-01')::numeric AS x, (p.value ->> 'actual')::numeric AS y
              FROM jsonb_array_elements(trend) WITH ORDINALITY p(value, n)
             WHERE p.n > jsonb_array_length(trend) - 4 AND p.value ->> 'actual' IS NOT NULL
        ), sums AS (
            SELECT count(*)::numeric AS n, sum(x) AS sx, sum(y) AS sy, sum(x * x) AS sxx, sum(x * y) AS sxy FROM point
        ), ends AS (
            SELECT (sy + (n * sxy - sx * sy) / (n * sxx - sx * sx) * (n * (due - date '2000-01-01') - sx)) / n AS y FROM sums WHERE n >= 3
        )
        SELECT trim_scale(round(CASE WHEN share THEN greatest(least(y, 1), 0) ELSE y END, 6)) FROM ends;
    END;

-- Where the target arrives at its due date: from the ends of the three quarters before and from the day itself. NULL for
-- sums, composites and milestones, which no line goes through, and once the due date has come.
CREATE FUNCTION credit._projected(t credit.target, j credit._judgement, region credit.region_code, as_of date) RETURNS numeric
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    trend jsonb := '[]';
    first_day date := (SELECT p.start_date FROM credit.pack p WHERE p.pack_id = t.pack);
    this_quarter timestamp := date_trunc('quarter', as_of + 1);
    day date;
BEGIN
    IF j.actual IS NULL OR j.due_date IS NULL OR j.due_date <= as_of OR t.rule IS NOT NULL OR t.tag IN ('composite', 'milestone') THEN
        RETURN NULL;
    END IF;
    -- at the end of a quarter the day itself is one of the four
    FOR k IN REVERSE 3 .. 1 LOOP
        day := (this_quarter - make_interval(months => 3 * (CASE WHEN this_quarter = as_of + 1 THEN k ELSE k - 1 END)))::date - 1;
        CONTINUE WHEN day < first_day;
        trend := trend || jsonb_build_object('day', day, 'actual', (credit._judge(t, region, day)).actual);
    END LOOP;
    trend := trend || jsonb_build_object('day', as_of, 'actual', j.actual);
    RETURN credit._projection(trend, j.due_date, t.form IN ('coverage', 'share'));
END
$$;

CREATE FUNCTION credit._statuses(pack text, as_of date, region credit.region_code, projecting boolean)
    RETURNS TABLE (code text, name_zh text, name_en text, metric text, form text, comparator text, actual numeric,
                   target numeric, gap numeric, unit text, required numeric, figures jsonb, due_date date, status text,
                   status_zh text, why text, why_zh text, responsible_unit text, projected numeric)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
        SELECT e.code, e.name_zh, e.name_en, e.metric, e.form, e.comparator, j.actual, j.target, j.gap, e.unit, j.required,
               j.figures, j.due_date, j.status,
               CASE j.status WHEN 'met' THEN '已完成' WHEN 'on_track' THEN '进度正常' WHEN 'behind' THEN '进度滞后'
                             WHEN 'missed' THEN '未完成' ELSE '缺少数据' END,
               j.why, j.why_zh, e.responsible_unit,
               CASE WHEN projecting THEN credit._projected(e, j, region, _statuses.as_of) END
          FROM credit._effective(pack) e
         CROSS JOIN LATERAL credit._judge(e, region, _statuses.as_of) j
         ORDER BY e.position;
END
$$;

CREATE FUNCTION credit.target_status(pack text, as_of date DEFAULT (now() AT TIME ZONE 'Asia/Shanghai')::date,
                                     region credit.region_code DEFAULT NULL)
    RETURNS TABLE (code text, name_zh text, name_en text, metric text, form text, comparator text, actual numeric,
                   target numeric, gap numeric, unit text, required numeric, figures jsonb, due_date date, status text,
                   status_zh text, why text, why_zh text, responsible_unit text, projected numeric)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place credit.region_code := credit._pack_region(pack);
BEGIN
    IF as_of IS NULL OR NOT isfinite(as_of) THEN
        RAISE EXCEPTION 'as_of must be a day' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF region IS NOT NULL THEN
        IF NOT credit._region_known(region) THEN
            RAISE EXCEPTION 'region "%" does not exist', region USING ERRCODE = 'undefined_object';
        END IF;
        place := region;
    END IF;
    RETURN QUERY SELECT * FROM credit._statuses(pack, as_of, place, true);
END
$$;
COMMENT ON FUNCTION credit.target_status(text, date, credit.region_code) IS
    'status of each target of a pack at a day: met, on_track, behind, missed or no_data, with the figures used (目标完成情况)';
