-- ---------------------------------------------------------------------------
-- 74 target: reading a figure
-- ---------------------------------------------------------------------------
-- A figure is carried as num / den with den > 0 until it is shown, so that shares, differences of shares and growth
-- compare with their target unrounded (D-02). num IS NULL means: not to be had, for the reason in lacking.
-- What judging calls some thousand times for a pack does not pin its search_path, which would be a fifth of the time: it has
-- that of the pinned function that calls it, and nobody but the owner may call it by itself.

CREATE TYPE credit._figure AS (
    num numeric, den numeric, period daterange, used jsonb, lacking text, lacking_zh text);

CREATE FUNCTION credit._lacking(reason text, reason_zh text) RETURNS credit._figure
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT ROW(NULL, NULL, NULL, '[]', reason, reason_zh)::credit._figure;
    END;

CREATE FUNCTION credit._period_text(period daterange) RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        -- Never a cast of date to text: that follows the reader's datestyle.
        SELECT CASE WHEN upper(period) - lower(period) = 1 THEN '' ELSE to_char(lower(period), 'YYYY-MM-DD') || '..' END
               || to_char(upper(period) - 1, 'YYYY-MM-DD');
    END;

-- The figure at exactly this period that is in force: of the ledgers where they have one, else as reported; the other way
-- round for a metric of which credit.figure_precedence says so.
CREATE FUNCTION credit._stored(metric text, region credit.region_code, segment text, period daterange) RETURNS credit._figure
    AS 'MODULE_PATHNAME', 'pgcredit_stored' LANGUAGE C STABLE STRICT;
-- That of the ledgers.
CREATE FUNCTION credit._measured(metric text, region credit.region_code, segment text, period daterange) RETURNS credit._figure
    AS 'MODULE_PATHNAME', 'pgcredit_measured' LANGUAGE C STABLE STRICT;
-- The longest figure that starts on the day and ends by the last.
CREATE FUNCTION credit._next_piece(metric text, region credit.region_code, segment text, first_day date, last_day date)
    RETURNS daterange
    AS 'MODULE_PATHNAME', 'pgcredit_next_piece' LANGUAGE C STABLE STRICT;
-- Periods at which the metric, or the metrics it is worked out from, have a figure that ends in the span; newest first,
-- of two that end together the longer first.
CREATE FUNCTION credit._periods(metric text, region credit.region_code, segment text, first_end date, last_end date)
    RETURNS daterange[]
    AS 'MODULE_PATHNAME', 'pgcredit_periods' LANGUAGE C STABLE STRICT;
-- Those of the ledgers, of the metric itself.
CREATE FUNCTION credit._ledger_periods(metric text, region credit.region_code, first_end date, last_end date) RETURNS daterange[]
    AS 'MODULE_PATHNAME', 'pgcredit_ledger_periods' LANGUAGE C STABLE STRICT;

-- Sum of a flow from the first day of the window on, over figures that follow each other without gap or overlap, the
-- longest first. The period of the answer tells how far they reach, which may be short of the window.
CREATE FUNCTION credit._sum_from(metric text, region credit.region_code, segment text, wanted daterange) RETURNS credit._figure
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    f credit._figure;
    piece credit._figure;
    next daterange;
    additive boolean;
    reached date := lower(wanted);
BEGIN
    SELECT m.additivity = 'flow' INTO additive FROM credit.metric m WHERE m.code = metric;
    f := ROW(0, 1, NULL, '[]', NULL, NULL)::credit._figure;
    LOOP
        next := credit._next_piece(metric, region, segment, reached, upper(wanted) - 1);
        EXIT WHEN next IS NULL OR (reached > lower(wanted) AND NOT additive);
        piece := credit._stored(metric, region, segment, next);
        f.num := f.num + piece.num;
        f.used := f.used || piece.used;
        reached := upper(next);
    END LOOP;
    IF reached = lower(wanted) THEN
        RETURN credit._lacking(
            format('no figure of %s for %s that starts on %s', metric, credit._place(region, segment),
                   to_char(lower(wanted), 'YYYY-MM-DD')),
            format('缺少指标 %s（%s）自 %s 起的数据', metric, credit._place(region, segment),
                   to_char(lower(wanted), 'YYYY-MM-DD')));
    END IF;
    f.period := daterange(lower(wanted), reached);
    RETURN f;
END
$$;

CREATE FUNCTION credit._place(region credit.region_code, segment text) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT region::text || CASE WHEN segment = '' THEN '' ELSE '/' || segment END;
    END;

-- Whole months between two days, NULL when they are not whole months apart. Ends of periods are exclusive, so the ends
-- of months fall on firsts and need no care.
CREATE FUNCTION credit._months(from_day date, to_day date) RETURNS integer
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT CASE WHEN extract(day FROM from_day) = extract(day FROM to_day)
                    THEN ((extract(year FROM to_day) - extract(year FROM from_day)) * 12
                          + extract(month FROM to_day) - extract(month FROM from_day))::integer END;
    END;

-- The period to compare with. A day's base is a day, found by its exclusive end; a longer period keeps its length.
CREATE FUNCTION credit._base_period(period daterange, base text, start_date date) RETURNS daterange
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    single boolean := upper(period) - lower(period) = 1;
    until date;
    months integer;
BEGIN
    until := CASE base
        WHEN 'previous_year' THEN (upper(period) - interval '1 year')::date
        WHEN 'year_start' THEN date_trunc('year', upper(period) - 1)::date
        WHEN 'start' THEN start_date END;
    IF single THEN
        RETURN daterange(until - 1, until);
    END IF;
    months := credit._months(lower(period), upper(period));
    IF months IS NULL THEN
        RETURN daterange(until - (upper(period) - lower(period)), until);
    END IF;
    RETURN daterange((until - make_interval(months => months))::date, until);
END
$$;

CREATE FUNCTION credit._growth(s credit._figure, b credit._figure) RETURNS credit._figure
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    base numeric;
BEGIN
    IF s.num IS NULL OR b.num IS NULL THEN
        RETURN credit._lacking(concat_ws('; ', s.lacking, b.lacking), concat_ws('；', s.lacking_zh, b.lacking_zh));
    END IF;
    IF b.num <= 0 THEN
        base := round(b.num / b.den, 12);
        RETURN credit._lacking(
            format('the base figure at %s is %s, growth needs a positive one', credit._period_text(b.period), trim_scale(base)),
            format('基期（%s）数值为 %s，不是正数，无法计算增速', credit._period_text(b.period), trim_scale(base)));
    END IF;
    RETURN ROW(s.num * b.den - b.num * s.den, s.den * b.num, s.period, s.used || b.used, NULL, NULL)::credit._figure;
END
$$;

-- Figure of a metric at exactly this period: worked out from its operands where they are there, since that is unrounded,
-- else as reported.
CREATE FUNCTION credit._figure_at(metric text, region credit.region_code, segment text, period daterange,
                                  other credit.region_code DEFAULT NULL, depth integer DEFAULT 0) RETURNS credit._figure
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    def credit.metric;
    f credit._figure;
    l credit._figure;
    r credit._figure;
    derived credit._figure;
BEGIN
    IF depth > 8 THEN
        RAISE EXCEPTION 'metric "%" is defined through too many others', metric USING ERRCODE = 'PC501';
    END IF;
    SELECT * INTO STRICT def FROM credit.metric m WHERE m.code = metric;
    IF def.operation IS NOT NULL THEN
        l := credit._figure_at(def.left_metric, region, coalesce(def.left_segment, segment), period, NULL, depth + 1);
        IF def.operation = 'growth' THEN
            r := credit._figure_at(def.left_metric, region, coalesce(def.left_segment, segment),
                                   credit._base_period(period, def.growth_base, NULL), NULL, depth + 1);
            derived := credit._growth(l, r);
        ELSE
            r := credit._figure_at(def.right_metric,
                                   CASE WHEN def.operation = 'difference' THEN coalesce(other, region) ELSE region END,
                                   coalesce(def.right_segment, segment), period, NULL, depth + 1);
            derived := CASE def.operation WHEN 'ratio' THEN credit._ratio(l, r, def.right_metric)
                                          ELSE credit._difference(l, r) END;
        END IF;
        IF derived.num IS NOT NULL THEN
            RETURN derived;
        END IF;
    END IF;
    f := credit._stored(metric, region, segment, period);
    IF f.num IS NULL AND def.additivity = 'flow' THEN
        f := credit._sum_from(metric, region, segment, period);
        IF upper(f.period) < upper(period) THEN
            f := NULL;
        END IF;
    END IF;
    IF f.num IS NOT NULL THEN
        RETURN f;
    END IF;
    IF derived.lacking IS NOT NULL AND derived.lacking <> '' THEN
        RETURN derived;
    END IF;
    RETURN credit._lacking(
        format('no figure of %s for %s at %s', metric, credit._place(region, segment), credit._period_text(period)),
        format('缺少指标 %s（%s，%s）的数据', metric, credit._place(region, segment), credit._period_text(period)));
END
$$;

CREATE FUNCTION credit._ratio(l credit._figure, r credit._figure, denominator text) RETURNS credit._figure
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF l.num IS NULL OR r.num IS NULL THEN
        RETURN credit._lacking(concat_ws('; ', l.lacking, r.lacking), concat_ws('；', l.lacking_zh, r.lacking_zh));
    END IF;
    IF r.num <= 0 THEN
        RETURN credit._lacking(
            format('the denominator %s is %s at %s', denominator, trim_scale(round(r.num / r.den, 12)),
                   credit._period_text(r.period)),
            format('分母 %s 在 %s 为 %s，无法计算比率', denominator, credit._period_text(r.period),
                   trim_scale(round(r.num / r.den, 12))));
    END IF;
    RETURN ROW(l.num * r.den, l.den * r.num, l.period, l.used || r.used, NULL, NULL)::credit._figure;
END
$$;

CREATE FUNCTION credit._difference(l credit._figure, r credit._figure) RETURNS credit._figure
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT CASE WHEN (l).num IS NULL OR (r).num IS NULL
                    THEN credit._lacking(concat_ws('; ', (l).lacking, (r).lacking),
                                         concat_ws('；', (l).lacking_zh, (r).lacking_zh))
                    ELSE ROW((l).num * (r).den - (r).num * (l).den, (l).den * (r).den, (l).period,
                             (l).used || (r).used, NULL, NULL)::credit._figure END;
    END;

-- The newest figure that ends in the span and, where a base is asked for, has one. Without one, s or b says what the
-- newest figure lacks.
CREATE FUNCTION credit._latest(metric text, region credit.region_code, segment text, first_end date, last_end date,
                               other credit.region_code, base text, start_date date, given_base credit._figure,
                               OUT s credit._figure, OUT b credit._figure)
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    p daterange;
    s_try credit._figure;
    b_try credit._figure;
    flow boolean;
    newest date;
    parts text;
BEGIN
    SELECT m.additivity = 'flow',
           ' (' || CASE m.operation WHEN 'ratio' THEN m.left_metric || ' / ' || m.right_metric
                                    WHEN 'difference' THEN m.left_metric || ' - ' || m.right_metric
                                    ELSE m.left_metric END || ')'
      INTO flow, parts FROM credit.metric m WHERE m.code = metric;
    FOR p IN SELECT unnest(credit._periods(metric, region, segment, first_end, last_end))
             UNION ALL
             -- a flow compared with the time before the window is taken by calendar years
             SELECT daterange((y - interval '1 year')::date, y)
               FROM (SELECT date_trunc('year', last_end + 1)::date AS y) v
              WHERE flow AND base = 'start' AND y - 1 >= first_end LOOP
        -- the base itself says nothing of what came after it
        CONTINUE WHEN base = 'start' AND upper(p) <= coalesce(upper(given_base.period), start_date);
        CONTINUE WHEN flow AND base = 'start' AND credit._months(lower(p), upper(p)) IS DISTINCT FROM 12;
        s_try := credit._figure_at(metric, region, segment, p, other);
        IF base IS NOT NULL AND s_try.num IS NOT NULL THEN
            b_try := CASE WHEN given_base.num IS NOT NULL THEN given_base
                          ELSE credit._figure_at(metric, region, segment, credit._base_period(p, base, start_date), other) END;
        END IF;
        IF s IS NULL THEN
            s := s_try;
            b := b_try;
        END IF;
        IF s_try.num IS NOT NULL AND (base IS NULL OR b_try.num IS NOT NULL) THEN
            s := s_try;
            b := b_try;
            RETURN;
        END IF;
    END LOOP;
    IF s IS NULL THEN
        newest := upper((credit._periods(metric, region, segment, '-infinity', first_end - 1))[1]) - 1;
        s := credit._lacking(
            format('no figure of %s for %s that ends from %s to %s', metric || coalesce(parts, ''), credit._place(region, segment),
                   to_char(first_end, 'YYYY-MM-DD'), to_char(last_end, 'YYYY-MM-DD'))
            || coalesce('; the newest one before ends on ' || to_char(newest, 'YYYY-MM-DD'), ''),
            format('缺少指标 %s（%s）在 %s 至 %s 之间的数据', metric || coalesce(parts, ''), credit._place(region, segment),
                   to_char(first_end, 'YYYY-MM-DD'), to_char(last_end, 'YYYY-MM-DD'))
            || coalesce('，此前最近一期截至 ' || to_char(newest, 'YYYY-MM-DD'), ''));
    END IF;
END
$$;

CREATE FUNCTION credit._power(base numeric, exponent integer) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result numeric := 1;
    square numeric := base;
    rest integer := exponent;
BEGIN
    -- ^ rounds to about 16 digits even for whole exponents; a product does not.
    WHILE rest > 0 LOOP
        IF rest % 2 = 1 THEN
            result := result * square;
        END IF;
        rest := rest / 2;
        IF rest > 0 THEN
            square := square * square;
        END IF;
    END LOOP;
    RETURN result;
END
$$;

-- Which side (1 + rate)^(months / 12) is on: -1 when end / base is below it, 0 when exactly on it, 1 above. No root is
-- taken: both sides are raised to whole powers.
CREATE FUNCTION credit.compare_annual_rate(end_value numeric, base_value numeric, months integer, rate numeric)
    RETURNS integer
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    shared integer;
BEGIN
    IF end_value = 'NaN' OR base_value = 'NaN' OR rate = 'NaN'
       OR abs(end_value) = 'Infinity' OR abs(base_value) = 'Infinity' OR abs(rate) = 'Infinity' THEN
        RAISE EXCEPTION 'annual rates compare finite numbers only' USING ERRCODE = 'numeric_value_out_of_range';
    END IF;
    IF base_value <= 0 OR end_value < 0 OR rate < -1 OR months NOT BETWEEN 1 AND 1200 THEN
        RAISE EXCEPTION 'annual rate is not defined for % against % over % months at %',
            end_value, base_value, months, rate USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'The base is positive, the end not negative, the rate at least -1, the months 1 to 1200.';
    END IF;
    shared := gcd(months, 12);
    RETURN sign(credit._power(end_value, 12 / shared)
                - credit._power(base_value, 12 / shared) * credit._power(1 + rate, months / shared))::integer;
END
$$;
COMMENT ON FUNCTION credit.compare_annual_rate(numeric, numeric, integer, numeric) IS
    'compares a compound annual rate with a wanted one exactly: -1 below, 0 met exactly, 1 above (年均增速比较)';

CREATE FUNCTION credit.annual_rate(end_value numeric, base_value numeric, months integer) RETURNS numeric
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    BEGIN ATOMIC
        SELECT CASE WHEN base_value > 0 AND end_value >= 0 AND months > 0
                    THEN round(power(end_value / base_value, 12::numeric / months) - 1, 10) END;
    END;
COMMENT ON FUNCTION credit.annual_rate(numeric, numeric, integer) IS
    'compound annual rate to 10 decimals, for showing only; compare with credit.compare_annual_rate (年均增速)';

CREATE FUNCTION credit.base_of_growth(end_value numeric, growth numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    BEGIN ATOMIC
        SELECT end_value / nullif(1 + growth, 0);
    END;
COMMENT ON FUNCTION credit.base_of_growth(numeric, numeric) IS
    'base figure behind a level and its growth, NULL for a growth of -1 (由增速推算基期值)';
