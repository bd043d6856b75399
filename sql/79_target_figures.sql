-- ---------------------------------------------------------------------------
-- 79 target: figures of the ledgers in targets, and which figure goes first
-- ---------------------------------------------------------------------------

-- what no ledger gives ------------------------------------------------------------

-- Each metric that neither a ledger nor an operation gives is reported by a unit. The units are those that the documents
-- name with its targets, or with targets that are worked out from it; where a document names none, the office that leads it.
INSERT INTO credit.metric_source (source_id, metric, version, kind, reported_by, due_days, note, defined_by, shipped)
WITH RECURSIVE used(pack, unit, metric, depth) AS (
    SELECT t.pack, t.responsible_unit, t.metric, 0 FROM credit.target t WHERE t.shipped
    UNION
    SELECT u.pack, u.unit, o.code, u.depth + 1
      FROM used u JOIN credit.metric m ON m.code = u.metric
     CROSS JOIN LATERAL (VALUES (m.left_metric), (m.right_metric)) o(code) WHERE o.code IS NOT NULL AND u.depth < 8
), named AS (
    SELECT u.metric, pg_catalog.unnest(pg_catalog.string_to_array(u.unit, ';')) AS unit FROM used u WHERE u.unit IS NOT NULL
), led AS (
    SELECT x.metric, l.unit
      FROM (SELECT u.metric, u.pack FROM used u UNION SELECT f.metric, f.pack FROM credit.reported_figures f) x
      JOIN (VALUES ('ningbo-2020', '宁波市普惠金融改革试验区领导小组办公室'), ('wenzhou-2022', '温州市普惠金融发展示范区领导小组办公室'),
                   ('zhejiang-2020', '浙江银保监局'), ('qinghai-2016', '青海省普惠金融综合示范区试点工作领导小组办公室'),
                   ('yixing-2023', '宜兴市普惠金融试点工作领导小组办公室')) l(pack, unit) ON l.pack = x.pack
)
SELECT 1000 + pg_catalog.row_number() OVER (ORDER BY m.code COLLATE "C"), m.code, 1, 'reported',
       coalesce((SELECT pg_catalog.string_agg(DISTINCT n.unit, ';' ORDER BY n.unit) FROM named n WHERE n.metric = m.code),
                (SELECT pg_catalog.string_agg(DISTINCT l.unit, ';' ORDER BY l.unit) FROM led l WHERE l.metric = m.code)),
       CASE m.additivity WHEN 'flow' THEN 10 ELSE 15 END,
       CASE WHEN NOT EXISTS (SELECT FROM named n WHERE n.metric = m.code) THEN 'the document names no unit; the office that leads it' END,
       'pgcredit', true
  FROM credit.metric m
 WHERE m.shipped AND m.operation IS NULL
   AND NOT EXISTS (SELECT FROM credit.metric_source s WHERE s.metric = m.code)
 ORDER BY m.code COLLATE "C";

-- precedence ----------------------------------------------------------------------

CREATE TABLE credit.figure_precedence (
    metric          text PRIMARY KEY REFERENCES credit.metric,
    preferred       text NOT NULL CHECK (preferred IN ('measured', 'reported')),
    reason          text NOT NULL CHECK (btrim(reason) <> ''),
    set_by          text NOT NULL,
    set_at          timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE credit.figure_precedence IS
    'which figure counts where the ledgers and a unit both give one; no row: that of the ledgers (数据口径优先级)';

CREATE FUNCTION credit.set_precedence(metric text, preferred text, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF preferred IS NULL OR preferred NOT IN ('measured', 'reported') OR reason IS NULL OR btrim(reason) = '' THEN
        RAISE EXCEPTION 'a precedence is measured or reported, and has a reason' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (SELECT FROM credit.metric m WHERE m.code = set_precedence.metric) THEN
        RAISE EXCEPTION 'metric "%" does not exist', metric USING ERRCODE = 'undefined_object',
            HINT = 'Metrics are the rows of credit.metric.';
    END IF;
    INSERT INTO credit.figure_precedence AS p (metric, preferred, reason, set_by)
    VALUES (metric, preferred, reason, credit.calling_role()::text)
    ON CONFLICT ON CONSTRAINT figure_precedence_pkey DO UPDATE
       SET preferred = excluded.preferred, reason = excluded.reason, set_by = excluded.set_by, set_at = now();
END
$$;
COMMENT ON FUNCTION credit.set_precedence(text, text, text) IS
    'which figure of a metric counts where the ledgers and a unit both give one: measured or reported (设定数据口径优先级)';

-- A function of a view runs with the rights of who asks, hence of its own.
CREATE FUNCTION credit._conflicts()
    RETURNS TABLE (metric text, region credit.region_code, segment text, first_day date, last_day date, reported numeric,
                   measured numeric, difference numeric, used text, source text, observed_by text, observed_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT o.metric, o.region, o.segment, lower(o.period), upper(o.period) - 1, o.value, trim_scale(f.num / f.den),
               trim_scale(o.value - f.num / f.den),
               coalesce((SELECT p.preferred FROM credit.figure_precedence p WHERE p.metric = o.metric), 'measured'),
               o.source, o.observed_by, o.observed_at
          -- region by region, since the figures of a few are held
          FROM (SELECT x.* FROM credit.observation x ORDER BY x.region) o
         CROSS JOIN LATERAL credit._measured(o.metric, o.region, o.segment, o.period) f
         WHERE EXISTS (SELECT FROM credit.metric_source s WHERE s.metric = o.metric AND s.ledger IS NOT NULL)
           AND f.num IS NOT NULL AND o.value <> f.num / f.den;
    END;
CREATE VIEW credit.figure_conflict WITH (security_barrier) AS SELECT * FROM credit._conflicts();
COMMENT ON VIEW credit.figure_conflict IS
    'reported figures that differ from what the ledgers have, and which of the two is used (数据冲突)';

REVOKE ALL ON credit.figure_precedence, credit.figure_conflict FROM PUBLIC;
GRANT SELECT ON credit.figure_precedence, credit.figure_conflict TO credit_operator, credit_analyst;
REVOKE ALL ON FUNCTION credit._conflicts(), credit.set_precedence(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit._conflicts() TO credit_operator, credit_analyst;
GRANT EXECUTE ON FUNCTION credit.set_precedence(text, text, text) TO credit_operator;
SELECT pg_catalog.pg_extension_config_dump('credit.figure_precedence', '');
SELECT credit._audit_table('credit.figure_precedence');
CREATE TRIGGER figure_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credit.figure_precedence
    FOR EACH STATEMENT EXECUTE FUNCTION credit._figure_changed();
ALTER TABLE credit.figure_precedence ENABLE ALWAYS TRIGGER figure_changed;
