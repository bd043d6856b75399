-- ---------------------------------------------------------------------------
-- 79 target: figures that units owe, and reminders
-- ---------------------------------------------------------------------------

-- The period that a unit owes: the newest that is over and whose day has come, by the period that its targets ask for
-- (quarters where they ask for none).
CREATE FUNCTION credit._figures_owed(as_of date)
    RETURNS TABLE (metric text, region credit.region_code, segment text, period daterange, unit text, due_day date)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH RECURSIVE judged(pack, region) AS (
            SELECT p.pack_id, p.region FROM credit.pack p
             WHERE NOT EXISTS (SELECT FROM credit.pack_adoption a WHERE a.pack = p.pack_id AND a.region = p.region)
            UNION
            SELECT a.pack, a.region FROM credit.pack_adoption a
             WHERE a.adopted_from <= as_of AND coalesce(a.adopted_until > as_of, true)
        ), used(region, metric, segment, per, first_day, last_day, depth) AS (
            SELECT j.region, e.metric, e.segment, coalesce(e.per, 'quarter'), coalesce(e.start_date, p.start_date),
                   coalesce(e.due_date, e.assumed_due, p.valid_until), 0
              FROM judged j JOIN credit.pack p ON p.pack_id = j.pack JOIN credit.effective_target e ON e.pack = j.pack
             WHERE e.tag NOT IN ('composite', 'milestone')
            UNION
            SELECT u.region, o.code, coalesce(o.segment, u.segment), u.per, u.first_day, u.last_day, u.depth + 1
              FROM used u JOIN credit.metric m ON m.code = u.metric
             CROSS JOIN LATERAL (VALUES (m.left_metric, m.left_segment), (m.right_metric, m.right_segment)) o(code, segment)
             WHERE o.code IS NOT NULL AND u.depth < 8
        ), owed AS (
            SELECT DISTINCT u.region, u.metric, u.segment, s.reported_by, s.due_days, u.first_day, u.last_day,
                   ('1 ' || CASE u.per WHEN 'quarter' THEN 'month' ELSE u.per END)::interval
                       * CASE u.per WHEN 'quarter' THEN 3 ELSE 1 END AS step,
                   date_trunc(u.per, as_of - s.due_days + 1)::date AS until
              FROM used u
             CROSS JOIN LATERAL (SELECT x.* FROM credit.metric_source x WHERE x.metric = u.metric ORDER BY x.version DESC LIMIT 1) s
             WHERE s.kind = 'reported' AND s.reported_by IS NOT NULL AND s.due_days IS NOT NULL
        )
        SELECT DISTINCT o.metric, o.region, o.segment, daterange((o.until - o.step)::date, o.until), o.reported_by,
               o.until - 1 + o.due_days
          FROM owed o
         WHERE o.until > o.first_day AND coalesce((o.until - o.step)::date <= o.last_day, true);
    END;

CREATE FUNCTION credit.figures_due(as_of date DEFAULT (now() AT TIME ZONE 'Asia/Shanghai')::date)
    RETURNS TABLE (metric text, name_zh text, name_en text, unit text, region credit.region_code, segment text, first_day date,
                   last_day date, due_day date, days_late integer)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF as_of IS NULL OR NOT isfinite(as_of) THEN
        RAISE EXCEPTION 'as_of must be a day' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
        SELECT o.metric, m.name_zh, m.name_en, o.unit, o.region, o.segment, lower(o.period), upper(o.period) - 1, o.due_day,
               figures_due.as_of - o.due_day
          FROM credit._figures_owed(figures_due.as_of) o JOIN credit.metric m ON m.code = o.metric
         WHERE NOT EXISTS (SELECT FROM credit.observation x
                            WHERE x.metric = o.metric AND x.region OPERATOR(credit.=) o.region AND x.segment = o.segment
                              AND upper(x.period) > lower(o.period)
                              AND (upper(x.period) >= upper(o.period) OR m.additivity <> 'flow'))
         ORDER BY o.due_day, o.unit COLLATE "C", o.metric COLLATE "C", o.region::text COLLATE "C", o.segment COLLATE "C";
END
$$;
COMMENT ON FUNCTION credit.figures_due(date) IS
    'figures that units should have reported by a day and have not: unit, period, due day, days late (应报未报数据)';

CREATE TABLE credit.figure_reminder (
    metric          text NOT NULL,
    region          credit.region_code NOT NULL,
    segment         text NOT NULL,
    period          daterange NOT NULL,
    unit            text NOT NULL,
    due_day         date NOT NULL,
    sent_by         text NOT NULL,
    sent_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (metric, region, segment, period)
);
COMMENT ON TABLE credit.figure_reminder IS 'reminders of due figures, each written once; what sends them on reads them here (催报记录)';

-- The key lets only one of two calls at the same time write a reminder, and NOTIFY is sent with the commit of that one.
CREATE FUNCTION credit.remind_figures(as_of date DEFAULT (now() AT TIME ZONE 'Asia/Shanghai')::date) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sent bigint := 0;
    r credit.figure_reminder;
BEGIN
    IF as_of > (now() AT TIME ZONE 'Asia/Shanghai')::date THEN
        RAISE EXCEPTION 'nothing is due on % yet', to_char(as_of, 'YYYY-MM-DD') USING ERRCODE = 'PC525',
            HINT = 'credit.figures_due shows what will be.';
    END IF;
    FOR r IN
        INSERT INTO credit.figure_reminder (metric, region, segment, period, unit, due_day, sent_by)
        SELECT f.metric, f.region, f.segment, daterange(f.first_day, f.last_day, '[]'), f.unit, f.due_day, credit.calling_role()::text
          FROM credit.figures_due(as_of) f
         ORDER BY f.metric, f.region::text, f.segment, f.first_day, f.last_day
        ON CONFLICT ON CONSTRAINT figure_reminder_pkey DO NOTHING
        RETURNING *
    LOOP
        PERFORM pg_notify('credit_figure_due', jsonb_build_object('metric', r.metric, 'region', r.region::text, 'segment', left(r.segment, 200),
            'period', credit._period_text(r.period), 'unit', left(r.unit, 1000), 'due_day', to_char(r.due_day, 'YYYY-MM-DD'))::text);
        sent := sent + 1;
    END LOOP;
    RETURN sent;
END
$$;
COMMENT ON FUNCTION credit.remind_figures(date) IS
    'writes a reminder for each due figure that has none, and tells channel credit_figure_due; returns how many (催报)';

REVOKE ALL ON credit.figure_reminder FROM PUBLIC;
GRANT SELECT ON credit.figure_reminder TO credit_operator, credit_analyst;
REVOKE ALL ON FUNCTION credit._figures_owed(date), credit.figures_due(date), credit.remind_figures(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.figures_due(date) TO credit_operator, credit_analyst;
GRANT EXECUTE ON FUNCTION credit.remind_figures(date) TO credit_operator;
SELECT pg_catalog.pg_extension_config_dump('credit.figure_reminder', '');
SELECT credit._audit_table('credit.figure_reminder');
