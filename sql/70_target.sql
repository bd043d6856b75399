-- ---------------------------------------------------------------------------
-- 70 target: what is counted, what it should reach, the figures
-- ---------------------------------------------------------------------------
-- 70 tables, 71 the shipped metrics and packs, 72 the figures the documents report, 73 observing, 74 reading a figure,
-- 75 judging a target, 76 packs and settings of the operator, rights, dumps, audit.

CREATE FUNCTION credit._is_figure(value numeric) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        -- The bounds keep every product and power that judging a target forms inside what numeric holds exactly.
        SELECT value IS NULL OR (value <> 'NaN' AND abs(value) < 1e30 AND scale(value) <= 20);
    END;
COMMENT ON FUNCTION credit._is_figure(numeric) IS 'true for NULL and for a finite number below 1e30 with at most 20 decimals';

CREATE TABLE credit.metric (
    code            text PRIMARY KEY CHECK (code ~ '^[a-z][a-z0-9_]{0,79}$'),
    unit            text NOT NULL CHECK (unit <> ''),
    additivity      text NOT NULL CHECK (additivity IN ('stock', 'flow', 'distinct', 'ratio')),
    name_zh         text NOT NULL CHECK (name_zh <> ''),
    name_en         text NOT NULL CHECK (name_en <> ''),
    operation       text CHECK (operation IN ('ratio', 'difference', 'growth')),
    left_metric     text,
    right_metric    text,
    left_segment    text,
    right_segment   text,
    growth_base     text CHECK (growth_base IN ('previous_year', 'year_start')),
    shipped         boolean NOT NULL DEFAULT false,
    CHECK ((operation IS NULL) = (left_metric IS NULL)),
    CHECK (coalesce(operation IN ('ratio', 'difference'), false) = (right_metric IS NOT NULL)),
    CHECK (coalesce(operation = 'growth', false) = (growth_base IS NOT NULL)),
    CHECK (operation IS NULL OR additivity = 'ratio'),
    CHECK (code <> left_metric AND code <> right_metric)
);
COMMENT ON TABLE credit.metric IS 'what is counted (指标)';
COMMENT ON COLUMN credit.metric.additivity IS
    'stock: holds at a day; flow: adds up over time; distinct: counted over a period, never added up; ratio: neither (可加性)';
COMMENT ON COLUMN credit.metric.operation IS
    'how the metric follows from others: left / right, left - right, or growth of left; NULL: only ever reported (计算方式)';
COMMENT ON COLUMN credit.metric.left_metric IS
    'first operand; no foreign key, since a table that refers to itself makes pg_dump warn; create_pack checks it';
COMMENT ON COLUMN credit.metric.left_segment IS 'segment of the left operand; NULL: the segment that is asked for';
COMMENT ON COLUMN credit.metric.growth_base IS 'growth against the same day one year before, or against the last 31 December';

CREATE TABLE credit.pack (
    pack_id         text PRIMARY KEY CHECK (pack_id ~ '^[a-z0-9][a-z0-9._-]{0,79}$'),
    title_zh        text NOT NULL CHECK (title_zh <> ''),
    title_en        text NOT NULL CHECK (title_en <> ''),
    region          credit.region_code NOT NULL,
    document_number text,
    document_date   date,
    notice_date     date,
    draft           boolean NOT NULL DEFAULT false,
    start_date      date NOT NULL,
    valid_until     date,
    seed            text,
    note            text,
    shipped         boolean NOT NULL DEFAULT false,
    CHECK (isfinite(document_date) AND isfinite(notice_date) AND isfinite(start_date) AND isfinite(valid_until))
);
COMMENT ON TABLE credit.pack IS 'set of targets of one policy document (政策目标包)';
COMMENT ON COLUMN credit.pack.document_date IS 'date the document itself prints as its date of writing (成文日期), decision D-33';
COMMENT ON COLUMN credit.pack.notice_date IS 'date under the notice that issues the document (落款日期), decision D-33';
COMMENT ON COLUMN credit.pack.draft IS 'the text is a draft for comment (征求意见稿)';
COMMENT ON COLUMN credit.pack.start_date IS 'first day that counts where a target names none (起算日)';

CREATE TABLE credit.target (
    pack            text NOT NULL REFERENCES credit.pack,
    code            text NOT NULL CHECK (code ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$'),
    position        integer NOT NULL,
    clause          text NOT NULL,
    name_zh         text NOT NULL CHECK (name_zh <> ''),
    name_en         text NOT NULL CHECK (name_en <> ''),
    metric          text NOT NULL REFERENCES credit.metric,
    form            text NOT NULL CHECK (form IN ('level', 'flow', 'share', 'growth', 'cagr', 'cumulative', 'gap', 'count',
                                                  'coverage', 'reduction', 'average')),
    comparator      text CHECK (comparator IN ('>=', '>', '<=', '<', '=')),
    value           numeric CHECK (credit._is_figure(value) AND scale(value) <= 10),
    unit            text,
    baseline        numeric CHECK (credit._is_figure(baseline)),
    baseline_date   date CHECK (isfinite(baseline_date)),
    due_date        date CHECK (isfinite(due_date)),
    scope           text,
    responsible_unit text,
    tag             text NOT NULL DEFAULT 'stated' CHECK (tag IN ('stated', 'all', 'directional', 'cadence', 'population',
                                                                 'achieved', 'milestone', 'composite', 'qualitative')),
    note            text,
    segment         text NOT NULL DEFAULT '',
    base            text CHECK (base IN ('previous_year', 'year_start', 'start', 'zero')),
    rule            text CHECK (rule IN ('total', 'average', 'each')),
    per             text CHECK (per IN ('year', 'quarter', 'month')),
    yearly          boolean NOT NULL DEFAULT false,
    start_date      date CHECK (isfinite(start_date)),
    assumed_due     date CHECK (isfinite(assumed_due)),
    comparison_region credit.region_code,
    max_age_days    integer NOT NULL DEFAULT 366 CHECK (max_age_days BETWEEN 0 AND 36600),
    decision        text,
    shipped         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (pack, code),
    UNIQUE (pack, position),
    CHECK ((comparator IS NULL) = (value IS NULL)),
    CHECK (form NOT IN ('growth', 'cagr', 'reduction') OR base IS NOT NULL),
    CHECK (form <> 'cumulative' OR (base IS NULL) <> (rule IS NULL)),
    CHECK (form <> 'flow' OR rule IS NOT NULL),
    CHECK (rule <> 'each' OR per IS NOT NULL)
);
COMMENT ON TABLE credit.target IS 'what a metric should reach, clause by clause (目标)';
COMMENT ON COLUMN credit.target.form IS 'how the metric becomes the compared figure (指标形式)';
COMMENT ON COLUMN credit.target.due_date IS 'date in the clause; empty where the clause has none (截止日期)';
COMMENT ON COLUMN credit.target.assumed_due IS 'date used where the clause has none; the decision is named in column decision';
COMMENT ON COLUMN credit.target.tag IS 'how the number was read from the document (目标性质)';
COMMENT ON COLUMN credit.target.segment IS 'part of the population the figure is of; empty: all of it (细分)';
COMMENT ON COLUMN credit.target.base IS
    'what the figure is compared with: a year before, the last 31 December, the day before start_date, or zero (基期)';
COMMENT ON COLUMN credit.target.rule IS
    'flows: the total of the window, the average per year, or each calendar period of the window (考核口径)';
COMMENT ON COLUMN credit.target.yearly IS 'reduction: the average per year, compounded, instead of the whole';
COMMENT ON COLUMN credit.target.start_date IS 'first day of the window; empty: that of the pack (起算日)';
COMMENT ON COLUMN credit.target.comparison_region IS 'region of the subtrahend of a difference; empty: the same region (比较地区)';
COMMENT ON COLUMN credit.target.max_age_days IS 'oldest figure that still speaks before the due date (数据最大时效)';
COMMENT ON COLUMN credit.target.decision IS 'decision that settles what the document leaves open';

CREATE TABLE credit.target_member (
    pack            text NOT NULL,
    code            text NOT NULL,
    goal            integer NOT NULL,
    member          text NOT NULL,
    shipped         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (pack, code, goal, member),
    FOREIGN KEY (pack, code) REFERENCES credit.target,
    FOREIGN KEY (pack, member) REFERENCES credit.target (pack, code),
    CHECK (code <> member)
);
COMMENT ON TABLE credit.target_member IS
    'members of a composite target: a goal is reached when all its members are met (组合目标的构成)';

CREATE TABLE credit.target_setting (
    pack            text NOT NULL,
    code            text NOT NULL,
    settings        jsonb NOT NULL CHECK (jsonb_typeof(settings) = 'object'),
    reason          text NOT NULL CHECK (reason <> ''),
    set_by          text NOT NULL,
    set_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pack, code),
    FOREIGN KEY (pack, code) REFERENCES credit.target ON DELETE CASCADE
);
COMMENT ON TABLE credit.target_setting IS
    'what this platform decided otherwise than the shipped pack, kept apart so that it survives dump and upgrade (目标参数)';

CREATE VIEW credit.effective_target WITH (security_invoker) AS
    SELECT e.*
      FROM credit.target t
      LEFT JOIN credit.target_setting s ON s.pack = t.pack AND s.code = t.code
     CROSS JOIN LATERAL jsonb_populate_record(t, coalesce(s.settings, '{}')) e;
COMMENT ON VIEW credit.effective_target IS 'targets as they are judged: the pack with the settings of this platform (生效目标)';

CREATE TABLE credit.observation (
    metric          text NOT NULL REFERENCES credit.metric,
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '',
    period          daterange NOT NULL CHECK (NOT isempty(period) AND NOT lower_inf(period) AND NOT upper_inf(period)
                                              AND isfinite(lower(period)) AND isfinite(upper(period))),
    value           numeric NOT NULL CHECK (credit._is_figure(value)),
    source          text NOT NULL CHECK (source <> ''),
    derived         boolean NOT NULL DEFAULT false,
    observed_by     text NOT NULL,
    observed_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (metric, region, segment, period)
);
COMMENT ON TABLE credit.observation IS 'figure of a metric in a region over a period (观测值); the one in force';
COMMENT ON COLUMN credit.observation.period IS 'days the figure speaks of; a stock has the one day it holds at (统计期)';
COMMENT ON COLUMN credit.observation.derived IS 'worked out from reported figures, not reported itself (推算值)';

CREATE TABLE credit.observation_history (
    history_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metric          text NOT NULL,
    region          credit.region_code NOT NULL,
    segment         text NOT NULL,
    period          daterange NOT NULL,
    value           numeric NOT NULL,
    source          text NOT NULL,
    derived         boolean NOT NULL,
    observed_by     text NOT NULL,
    observed_at     timestamptz NOT NULL,
    superseded_by   text NOT NULL,
    superseded_at   timestamptz NOT NULL DEFAULT now(),
    reason          text
);
CREATE INDEX ON credit.observation_history (metric, region, segment, period);
COMMENT ON TABLE credit.observation_history IS 'figures that a correction replaced or a retraction took back (观测值历史)';

CREATE TABLE credit.observation_rejected (
    digest          bytea PRIMARY KEY,
    given           jsonb NOT NULL,
    reason          text NOT NULL,
    reason_sqlstate text NOT NULL,
    times           bigint NOT NULL DEFAULT 1,
    first_at        timestamptz NOT NULL DEFAULT now(),
    last_at         timestamptz NOT NULL DEFAULT now(),
    given_by        text NOT NULL
);
COMMENT ON TABLE credit.observation_rejected IS 'rows of batches that were not taken, as given, with the reason (被拒观测值)';

CREATE TABLE credit.reported_figures (
    pack            text NOT NULL REFERENCES credit.pack,
    position        integer NOT NULL,
    clause          text NOT NULL,
    phrase          text NOT NULL,
    metric          text NOT NULL REFERENCES credit.metric,
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '',
    period          daterange NOT NULL,
    value           numeric NOT NULL CHECK (credit._is_figure(value)),
    kind            text NOT NULL CHECK (kind IN ('reported', 'derived', 'approximate', 'lower_bound', 'upper_bound')),
    derivation      text,
    shipped         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (pack, position),
    UNIQUE (metric, region, segment, period),
    CHECK ((kind = 'derived') = (derivation IS NOT NULL))
);
COMMENT ON TABLE credit.reported_figures IS 'figures that the documents themselves report, with the clause (文件自报数据)';
COMMENT ON COLUMN credit.reported_figures.kind IS
    'reported; derived by the arithmetic in column derivation; approximate (约); lower or upper bound (以上、余, 以内)';
