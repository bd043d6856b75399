-- ---------------------------------------------------------------------------
-- 79 target: bulletins, the figures of a quarter as they were published
-- ---------------------------------------------------------------------------
-- A bulletin is frozen: whatever figures come later, it says what it said. Where they differ from what it froze, the next
-- call of credit.bulletin makes a new issue, which shows what changed. A page is drawn from frozen rows and nothing else, so
-- an old issue looks next year as it looks today, in either language.

CREATE TABLE credit.bulletin (
    bulletin_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pack            text NOT NULL,
    region          credit.region_code NOT NULL,
    quarter         text NOT NULL CHECK (quarter ~ '^\d{4}Q[1-4]$'),
    issue           integer NOT NULL CHECK (issue > 0),
    as_of           date NOT NULL,
    title_zh        text NOT NULL,
    title_en        text NOT NULL,
    region_name     text NOT NULL,
    document        text NOT NULL,
    note            text,
    digest          bytea NOT NULL,
    frozen_by       text NOT NULL,
    frozen_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (pack, region, quarter, issue)
);
COMMENT ON TABLE credit.bulletin IS 'issues of bulletins; a correction is a new issue (通报)';
COMMENT ON COLUMN credit.bulletin.digest IS 'SHA-256 of what the issue says, also in its entry of the log (摘要)';

CREATE TABLE credit.bulletin_figure (
    bulletin_id     bigint NOT NULL REFERENCES credit.bulletin,
    region          credit.region_code NOT NULL,
    position        integer NOT NULL,
    region_name     text NOT NULL,
    code            text NOT NULL,
    clause          text NOT NULL,
    name_zh         text NOT NULL,
    name_en         text NOT NULL,
    metric          text NOT NULL,
    form            text NOT NULL,
    comparator      text,
    target          numeric,
    unit            text,
    actual          numeric,
    gap             numeric,
    required        numeric,
    projected       numeric,
    due_date        date,
    status          text NOT NULL,
    why             text,
    why_zh          text,
    responsible_unit text,
    lacking         jsonb NOT NULL,
    trend           jsonb NOT NULL,
    figures         jsonb NOT NULL,
    PRIMARY KEY (bulletin_id, region, position)
);
COMMENT ON TABLE credit.bulletin_figure IS 'each target of a bulletin, for its region and those within (通报数据)';
COMMENT ON COLUMN credit.bulletin_figure.projected IS 'where the line through the last four quarters arrives at the due date (预计值)';
COMMENT ON COLUMN credit.bulletin_figure.lacking IS
    'metrics without a figure that speaks: who reports them, the newest figure, since when one is due (缺报指标)';
COMMENT ON COLUMN credit.bulletin_figure.trend IS 'the last eight quarters: figure, path, status (季度走势)';

CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.bulletin
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();
CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.bulletin_figure
    FOR EACH STATEMENT EXECUTE FUNCTION credit._refuse_change();

CREATE FUNCTION credit._quarter_end(quarter text) RETURNS date
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF quarter IS NULL OR quarter !~ '^[12]\d{3}Q[1-4]$' THEN
        RAISE EXCEPTION 'a quarter is written like 2023Q4' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN (make_date(left(quarter, 4)::integer, 3 * right(quarter, 1)::integer, 1) + interval '1 month')::date - 1;
END
$$;

CREATE FUNCTION credit._quarter_name(day date) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT to_char(day, 'YYYY"Q"Q');
    END;

CREATE FUNCTION credit._region_name(p_region credit.region_code) RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT coalesce((SELECT r.name_zh FROM credit.region r WHERE r.code = p_region), p_region::text);
    END;

-- What a metric is worked out from in the end, and which of that has no figure that speaks at the day.
CREATE FUNCTION credit._lacking_metrics(t credit.target, p_region credit.region_code, as_of date) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH RECURSIVE used(code, segment, depth) AS (
            SELECT (t).metric, (t).segment, 0 WHERE (t).tag <> 'composite'
            UNION
            SELECT o.code, coalesce(o.segment, u.segment), u.depth + 1
              FROM used u JOIN credit.metric m ON m.code = u.code
             CROSS JOIN LATERAL (VALUES (m.left_metric, m.left_segment), (m.right_metric, m.right_segment)) o(code, segment)
             WHERE o.code IS NOT NULL AND u.depth < 8
        ), day AS (
            SELECT coalesce((t).due_date, (t).assumed_due) AS due,
                   coalesce((t).start_date, (SELECT p.start_date FROM credit.pack p WHERE p.pack_id = (t).pack)) AS start_date
        ), leaf AS (
            SELECT DISTINCT m.code, m.name_zh, m.name_en, u.segment,
                   upper((credit._periods(u.code, p_region, u.segment, '-infinity', least(as_of, d.due)))[1]) - 1 AS newest
              FROM used u JOIN credit.metric m ON m.code = u.code CROSS JOIN day d WHERE m.operation IS NULL
        )
        SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                   'metric', l.code, 'name_zh', l.name_zh, 'name_en', l.name_en, 'segment', nullif(l.segment, ''),
                   'newest', l.newest,
                   'from', coalesce((SELECT s.reported_by FROM credit.metric_source s WHERE s.metric = l.code
                                      ORDER BY s.version DESC LIMIT 1), (t).responsible_unit),
                   'since', CASE WHEN d.due <= as_of THEN d.due
                                 WHEN l.newest IS NULL THEN d.start_date
                                 ELSE l.newest + (t).max_age_days + 1 END)) ORDER BY l.code, l.segment), '[]')
          FROM leaf l CROSS JOIN day d
         WHERE l.newest IS NULL
            OR l.newest < CASE WHEN d.due <= as_of THEN date_trunc('month', d.due)::date ELSE as_of - (t).max_age_days END;
    END;

-- What a bulletin would freeze now. The trend goes back eight quarters, as far as the pack does.
CREATE FUNCTION credit._bulletin_figures(pack text, region credit.region_code, as_of date)
    RETURNS SETOF credit.bulletin_figure
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    trends jsonb := '{}';
    first_day date := (SELECT p.start_date FROM credit.pack p WHERE p.pack_id = pack);
    quarter date;
BEGIN
    FOR k IN REVERSE 7..0 LOOP
        quarter := (date_trunc('quarter', as_of::timestamp) - make_interval(months => 3 * k - 3))::date - 1;
        CONTINUE WHEN quarter < first_day;
        SELECT jsonb_object_agg(s.code, coalesce(trends -> s.code, '[]') || jsonb_build_object(
                   'quarter', credit._quarter_name(quarter), 'day', quarter, 'actual', s.actual, 'required', s.required,
                   'status', s.status))
          INTO trends FROM credit._statuses(pack, quarter, region, false) s;
    END LOOP;
    RETURN QUERY
        SELECT NULL::bigint, place.region, e.position, credit._region_name(place.region), s.code, e.clause, s.name_zh, s.name_en,
               s.metric, s.form, s.comparator, s.target, s.unit, s.actual, s.gap, s.required,
               s.projected,
               s.due_date, s.status, s.why, s.why_zh, s.responsible_unit,
               CASE WHEN place.own AND s.status = 'no_data' AND s.target IS NOT NULL
                    THEN credit._lacking_metrics(e, place.region, as_of) ELSE '[]' END,
               CASE WHEN place.own THEN coalesce(trends -> s.code, '[]') ELSE '[]' END, credit._versioned(s.figures)
          FROM credit._bulletin_regions(pack, region, as_of) place
         CROSS JOIN LATERAL credit._statuses(pack, as_of, place.region, place.own) s
          JOIN credit._effective(pack) e ON e.code = s.code;
END
$$;

-- The region itself, those within it that have figures, and those that adopted the pack. What ledgers have of villages counts in
-- the regions right below: nobody wants a page with a thousand villages.
CREATE FUNCTION credit._bulletin_regions(pack text, home credit.region_code, as_of date)
    RETURNS TABLE (region credit.region_code, own boolean)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    used text[];
BEGIN
    used := ARRAY(
        WITH RECURSIVE u(code) AS (
            SELECT t.metric FROM credit.target t WHERE t.pack = _bulletin_regions.pack
            UNION
            SELECT o.code FROM u JOIN credit.metric m ON m.code = u.code
             CROSS JOIN LATERAL (VALUES (m.left_metric), (m.right_metric)) o(code) WHERE o.code IS NOT NULL
        )
        SELECT u.code FROM u);
    RETURN QUERY
        SELECT home, true
        UNION
        SELECT o.region, false FROM credit.observation o
          JOIN credit.regions_within(home) w(code) ON w.code OPERATOR(credit.=) o.region
         WHERE o.metric = ANY (used) AND o.region OPERATOR(credit.<>) home AND upper(o.period) - 1 <= as_of
        UNION
        SELECT b.code, false FROM credit._regions_below(home) b
         WHERE b.code OPERATOR(credit.<>) home
           AND EXISTS (SELECT FROM unnest(used) c
                        WHERE credit._ledger_periods(c, b.code, (as_of - interval '10 years')::date, as_of) <> '{}')
        UNION
        SELECT a.region, false FROM credit.pack_adoption a
         WHERE a.pack = _bulletin_regions.pack AND a.region OPERATOR(credit.<>) home AND a.adopted_from <= as_of
           AND coalesce(a.adopted_until > as_of, true)
           AND home OPERATOR(credit.=) (SELECT p.region FROM credit.pack p WHERE p.pack_id = _bulletin_regions.pack);
END
$$;

-- As text: the numbers of jsonb are exact, those of RFC 8785 are not.
CREATE FUNCTION credit._bulletin_digest(b credit.bulletin, figures jsonb) RETURNS bytea
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT sha256(convert_to(jsonb_build_object(
            'pack', (b).pack, 'region', (b).region::text, 'quarter', (b).quarter, 'as_of', to_char((b).as_of, 'YYYY-MM-DD'),
            'title_zh', (b).title_zh, 'title_en', (b).title_en, 'region_name', (b).region_name, 'document', (b).document,
            'figures', figures)::text, 'UTF8'));
    END;

CREATE FUNCTION credit._stored_figures(p_bulletin bigint) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT coalesce(jsonb_agg(to_jsonb(f) - 'bulletin_id' ORDER BY f.region::text COLLATE "C", f.position), '[]')
          FROM credit.bulletin_figure f WHERE f.bulletin_id = p_bulletin;
    END;

CREATE FUNCTION credit._without_versions(rows jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(r.e || jsonb_build_object('figures', credit._unversioned(r.e -> 'figures')) ORDER BY r.n), '[]')
              FROM jsonb_array_elements(rows) WITH ORDINALITY r(e, n));
END
$$;

-- The newest issue, after a new one was made if there is none or the figures differ from it.
CREATE FUNCTION credit._freeze_bulletin(pack text, quarter text, region credit.region_code, note text) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    b credit.bulletin;
    last credit.bulletin;
    p credit.pack;
    figures jsonb;
BEGIN
    -- one at a time, so that numbers of issues follow each other
    LOCK TABLE credit.bulletin IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO p FROM credit.pack x WHERE x.pack_id = _freeze_bulletin.pack;
    b.pack := pack;
    b.region := region;
    b.quarter := quarter;
    b.as_of := credit._quarter_end(quarter);
    b.title_zh := p.title_zh;
    b.title_en := p.title_en;
    b.region_name := credit._region_name(region);
    b.document := concat_ws(' · ', p.document_number, to_char(coalesce(p.notice_date, p.document_date), 'YYYY-MM-DD'));
    SELECT coalesce(jsonb_agg(to_jsonb(f) - 'bulletin_id' ORDER BY f.region::text COLLATE "C", f.position), '[]') INTO figures
      FROM credit._bulletin_figures(pack, region, b.as_of) f;
    b.digest := credit._bulletin_digest(b, figures);
    SELECT * INTO last FROM credit.bulletin x
     WHERE x.pack = b.pack AND x.region::text = b.region::text AND x.quarter = b.quarter ORDER BY x.issue DESC LIMIT 1;
    -- a figure that was corrected and corrected back has another version and says the same
    IF last.bulletin_id IS NOT NULL
       AND credit._bulletin_digest(last, credit._without_versions(credit._stored_figures(last.bulletin_id)))
           = credit._bulletin_digest(b, credit._without_versions(figures)) THEN
        RETURN last.bulletin_id;
    END IF;
    INSERT INTO credit.bulletin (pack, region, quarter, issue, as_of, title_zh, title_en, region_name, document, note, digest,
                                 frozen_by)
    VALUES (b.pack, b.region, b.quarter, coalesce(last.issue, 0) + 1, b.as_of, b.title_zh, b.title_en, b.region_name, b.document,
            nullif(btrim(note), ''), b.digest, credit.calling_role()::text)
    RETURNING * INTO b;
    INSERT INTO credit.bulletin_figure
    SELECT (jsonb_populate_record(NULL::credit.bulletin_figure, e || jsonb_build_object('bulletin_id', b.bulletin_id))).*
      FROM jsonb_array_elements(figures) e;
    PERFORM credit._audit_note(jsonb_build_object('kind', 'bulletin', 'operation', 'publish', 'pack', b.pack,
        'area', b.region::text, 'quarter', b.quarter, 'issue', b.issue,
        'digest', rtrim(translate(encode(b.digest, 'base64'), '+/', '-_'), '=')));
    RETURN b.bulletin_id;
END
$$;

-- Which region a call means; refused where the pack does not hold there, or the quarter is not over.
CREATE FUNCTION credit._bulletin_region(pack text, quarter text, region credit.region_code) RETURNS credit.region_code
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home credit.region_code := credit._pack_region(pack);
    day date := credit._quarter_end(quarter);
    a credit.pack_adoption;
BEGIN
    IF day >= (now() AT TIME ZONE 'Asia/Shanghai')::date THEN
        RAISE EXCEPTION 'quarter % is not over', quarter USING ERRCODE = 'PC521';
    END IF;
    SELECT * INTO a FROM credit.pack_adoption x WHERE x.pack = _bulletin_region.pack AND x.region::text = coalesce(_bulletin_region.region, home)::text;
    IF a.pack IS NOT NULL AND (a.adopted_from > day OR a.adopted_until <= day)
       OR a.pack IS NULL AND region IS NOT NULL AND region::text <> home::text
          AND NOT EXISTS (SELECT FROM credit.regions_within(home) w WHERE w::text = region::text) THEN
        RAISE EXCEPTION 'pack "%" does not hold in region % at %', pack, coalesce(region, home), to_char(day, 'YYYY-MM-DD')
            USING ERRCODE = 'PC520', HINT = 'credit.adopt_pack lets a region adopt a pack from a day on.';
    END IF;
    RETURN coalesce(region, home);
END
$$;

CREATE FUNCTION credit.bulletin(pack text, quarter text, language text DEFAULT 'zh', region credit.region_code DEFAULT NULL,
                                note text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    PERFORM credit._check_language(language);
    -- a statement of its own, so that the page sees what it wrote
    id := credit._freeze_bulletin(pack, quarter, credit._bulletin_region(pack, quarter, region), note);
    RETURN credit._bulletin_html(id, language = 'zh');
END
$$;
COMMENT ON FUNCTION credit.bulletin(text, text, text, credit.region_code, text) IS
    'freezes the figures of a quarter, as a new issue where they differ from the last, and returns the page (发布季度通报)';

CREATE FUNCTION credit._check_language(language text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF language IS NULL OR language NOT IN ('zh', 'en') THEN
        RAISE EXCEPTION 'there is no language "%"', language USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Bulletins are written in zh and en.';
    END IF;
END
$$;

CREATE FUNCTION credit._find_bulletin(pack text, quarter text, region credit.region_code, issue integer) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    SELECT b.bulletin_id INTO id FROM credit.bulletin b
     WHERE b.pack = _find_bulletin.pack AND b.quarter = _find_bulletin.quarter
       AND b.region::text = coalesce(_find_bulletin.region::text, credit._pack_region(_find_bulletin.pack)::text)
       AND b.issue = coalesce(_find_bulletin.issue, b.issue)
     ORDER BY b.issue DESC LIMIT 1;
    IF id IS NULL THEN
        RAISE EXCEPTION 'there is no such bulletin of pack "%" for %', pack, quarter USING ERRCODE = 'PC522',
            HINT = 'credit.bulletin makes it.';
    END IF;
    RETURN id;
END
$$;

CREATE FUNCTION credit.bulletin_page(pack text, quarter text, language text DEFAULT 'zh', region credit.region_code DEFAULT NULL,
                                     issue integer DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM credit._check_language(language);
    RETURN credit._bulletin_html(credit._find_bulletin(pack, quarter, region, issue), language = 'zh');
END
$$;
COMMENT ON FUNCTION credit.bulletin_page(text, text, text, credit.region_code, integer) IS
    'the page of an issue that was published, the newest by default (通报页面)';

CREATE FUNCTION credit.bulletin_changes(bulletin_id bigint)
    RETURNS TABLE (region credit.region_code, region_name text, code text, name_zh text, name_en text, unit text,
                   old_actual numeric, new_actual numeric, old_target numeric, new_target numeric, old_status text, new_status text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        WITH issues AS (
            SELECT b.bulletin_id AS now_id, o.bulletin_id AS old_id
              FROM credit.bulletin b
              JOIN credit.bulletin o ON o.pack = b.pack AND o.region OPERATOR(credit.=) b.region AND o.quarter = b.quarter
                                    AND o.issue = b.issue - 1
             WHERE b.bulletin_id = bulletin_changes.bulletin_id
        ), n AS (SELECT f.* FROM issues i JOIN credit.bulletin_figure f ON f.bulletin_id = i.now_id),
        o AS (SELECT f.* FROM issues i JOIN credit.bulletin_figure f ON f.bulletin_id = i.old_id)
        SELECT coalesce(n.region, o.region), coalesce(n.region_name, o.region_name), coalesce(n.code, o.code),
               coalesce(n.name_zh, o.name_zh), coalesce(n.name_en, o.name_en), coalesce(n.unit, o.unit),
               o.actual, n.actual, o.target, n.target, o.status, n.status
          FROM n FULL JOIN o ON o.region::text = n.region::text AND o.code = n.code
         WHERE (o.actual, o.target, o.status) IS DISTINCT FROM (n.actual, n.target, n.status)
         ORDER BY coalesce(n.region, o.region)::text COLLATE "C", coalesce(n.position, o.position);
    END;
COMMENT ON FUNCTION credit.bulletin_changes(bigint) IS 'what an issue says otherwise than the issue before (更正内容)';

CREATE FUNCTION credit.verify_bulletin(bulletin_id bigint) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT b.digest = credit._bulletin_digest(b, credit._stored_figures(b.bulletin_id))
          FROM credit.bulletin b WHERE b.bulletin_id = verify_bulletin.bulletin_id;
    END;
COMMENT ON FUNCTION credit.verify_bulletin(bigint) IS
    'true: the rows of an issue have the digest it was published with; NULL: no such issue (核验通报)';

-- CSV ---------------------------------------------------------------------------

-- A spreadsheet runs a cell that begins like a formula, also after blanks; numbers are no text and stay as they are. What is left
-- out is left out first: behind a mark of direction a formula would be none, and without it one.
CREATE FUNCTION credit._csv_text(cell text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT '"' || CASE WHEN t.words ~ '^[\s\u0085\u00a0\u00ad\u2000-\u200f\u2028\u2029\u202f\u205f-\u206f\u3000\ufeff]*[=+@\u2212\uff1d\uff0b\uff0d\uff20-]'
                                OR t.words ~ '^[\t\r\n]' THEN '''' ELSE '' END || replace(t.words, '"', '""') || '"'
          FROM (SELECT regexp_replace(coalesce(cell, ''), '[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f\u200e\u200f\u202a-\u202e\u2066-\u2069]',
                                      '', 'g')) t(words);
    END;

CREATE FUNCTION credit.bulletin_csv(pack text, quarter text, language text DEFAULT 'zh', region credit.region_code DEFAULT NULL,
                                    issue integer DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint := credit._find_bulletin(pack, quarter, region, issue);
    zh boolean := language = 'zh';
BEGIN
    PERFORM credit._check_language(language);
    -- the mark at the start lets spreadsheets read UTF-8
    RETURN chr(65279)
        || CASE WHEN zh THEN '地区代码,地区,编号,条款,目标,指标,比较,目标值,单位,实际值,差额,进度值,预计值,截止日期,状态,原因,责任单位'
                ELSE 'region,region_name,code,clause,target_name,metric,comparator,target,unit,actual,gap,required,projected,due_date,status,why,responsible_unit' END
        || E'\r\n'
        || coalesce((SELECT string_agg(concat_ws(',', f.region::text, credit._csv_text(f.region_name), credit._csv_text(f.code),
                   credit._csv_text(f.clause), credit._csv_text(CASE WHEN zh THEN f.name_zh ELSE f.name_en END),
                   credit._csv_text(f.metric), credit._csv_text(f.comparator),
                   coalesce(f.target::text, ''), credit._csv_text(f.unit), coalesce(f.actual::text, ''), coalesce(f.gap::text, ''),
                   coalesce(f.required::text, ''), coalesce(f.projected::text, ''), coalesce(to_char(f.due_date, 'YYYY-MM-DD'), ''),
                   CASE WHEN zh THEN credit._status_word(f.status, true) ELSE f.status END,
                   credit._csv_text(CASE WHEN zh THEN f.why_zh ELSE f.why END), credit._csv_text(f.responsible_unit)),
                   E'\r\n' ORDER BY f.region::text COLLATE "C", f.position) || E'\r\n'
              FROM credit.bulletin_figure f WHERE f.bulletin_id = id), '');
END
$$;
COMMENT ON FUNCTION credit.bulletin_csv(text, text, text, credit.region_code, integer) IS
    'the figures of an issue as CSV; text that a spreadsheet would take for a formula is marked as text (通报数据 CSV)';

CREATE VIEW credit.bulletin_data WITH (security_barrier) AS
    SELECT b.pack, b.region AS bulletin_region, b.quarter, b.as_of, b.issue,
           b.issue = max(b.issue) OVER (PARTITION BY b.pack, b.region::text, b.quarter) AS newest,
           f.region, f.region_name, f.code, f.clause, f.name_zh, f.name_en, f.metric, f.form, f.comparator, f.target, f.unit,
           f.actual, f.gap, f.required, f.projected, f.due_date, f.status, f.why, f.why_zh, f.responsible_unit,
           b.frozen_by, b.frozen_at
      FROM credit.bulletin b JOIN credit.bulletin_figure f ON f.bulletin_id = b.bulletin_id;
COMMENT ON VIEW credit.bulletin_data IS 'all issues, one row for each region and target, without JSON, for any tool that reads tables (通报数据视图)';

REVOKE ALL ON credit.bulletin, credit.bulletin_figure, credit.bulletin_data FROM PUBLIC;
GRANT SELECT ON credit.bulletin, credit.bulletin_figure, credit.bulletin_data TO credit_operator, credit_analyst;
REVOKE ALL ON FUNCTION credit._quarter_end(text), credit._quarter_name(date), credit._region_name(credit.region_code),
    credit._lacking_metrics(credit.target, credit.region_code, date),
    credit._bulletin_figures(text, credit.region_code, date), credit._bulletin_regions(text, credit.region_code, date),
    credit._bulletin_digest(credit.bulletin, jsonb), credit._stored_figures(bigint), credit._without_versions(jsonb),
    credit._freeze_bulletin(text, text, credit.region_code, text), credit._bulletin_region(text, text, credit.region_code),
    credit.bulletin(text, text, text, credit.region_code, text), credit._check_language(text),
    credit._find_bulletin(text, text, credit.region_code, integer),
    credit.bulletin_page(text, text, text, credit.region_code, integer), credit.bulletin_changes(bigint),
    credit.verify_bulletin(bigint), credit._csv_text(text),
    credit.bulletin_csv(text, text, text, credit.region_code, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.bulletin_page(text, text, text, credit.region_code, integer), credit.bulletin_changes(bigint),
    credit.verify_bulletin(bigint), credit.bulletin_csv(text, text, text, credit.region_code, integer)
    TO credit_operator, credit_analyst;
GRANT EXECUTE ON FUNCTION credit.bulletin(text, text, text, credit.region_code, text) TO credit_operator;
SELECT pg_catalog.pg_extension_config_dump('credit.bulletin', '');
SELECT pg_catalog.pg_extension_config_dump('credit.bulletin_bulletin_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.bulletin_figure', '');
SELECT credit._audit_table('credit.bulletin');
SELECT credit._audit_table('credit.bulletin_figure');
