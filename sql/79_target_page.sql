-- ---------------------------------------------------------------------------
-- 79 target: the page of a bulletin
-- ---------------------------------------------------------------------------
-- One HTML file without script and without anything from elsewhere, drawn from frozen rows alone. Every text goes through
-- credit._escaped. A status is told by word, shape and pattern; colour only adds to it. Drawings have no text of their own, so
-- they stretch with the page and their words stay as large as the others.

CREATE FUNCTION credit._escaped(words text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        -- without control characters and those that turn the direction of writing
        SELECT replace(replace(replace(replace(replace(
                   regexp_replace(coalesce(words, ''), '[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]', '', 'g'),
                   '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;');
    END;

CREATE FUNCTION credit._either(zh boolean, chinese text, english text) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT CASE WHEN zh THEN chinese ELSE english END;
    END;

CREATE FUNCTION credit._status_word(status text, zh boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT CASE status WHEN 'met' THEN credit._either(zh, '已完成', 'met')
                           WHEN 'on_track' THEN credit._either(zh, '进度正常', 'on track')
                           WHEN 'behind' THEN credit._either(zh, '进度滞后', 'behind')
                           WHEN 'missed' THEN credit._either(zh, '未完成', 'missed')
                           ELSE credit._either(zh, '缺少数据', 'no data') END;
    END;

CREATE FUNCTION credit._day_text(day date, zh boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT CASE WHEN zh THEN to_char(day, 'YYYY"年"FMMM"月"FMDD"日"') ELSE to_char(day, 'FMDD FMMon YYYY') END;
    END;

CREATE FUNCTION credit._quarter_text(quarter text, zh boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT CASE WHEN zh THEN left(quarter, 4) || '年第' || right(quarter, 1) || '季度'
                    ELSE 'Q' || right(quarter, 1) || ' ' || left(quarter, 4) END;
    END;

-- How figures of a unit are written when the largest of them is of this size, so that those of one row have one scale.
CREATE FUNCTION credit._scale(unit text, size numeric, zh boolean, OUT factor numeric, OUT label text, OUT decimals integer)
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT CASE WHEN unit IN ('ratio', 'ratio_points') THEN 100
                    WHEN unit NOT IN ('CNY', 'USD') THEN 1
                    WHEN zh THEN CASE WHEN size >= 1e8 THEN 1e-8 WHEN size >= 1e4 THEN 1e-4 ELSE 1 END
                    ELSE CASE WHEN size >= 1e9 THEN 1e-9 WHEN size >= 1e6 THEN 1e-6 ELSE 1 END END,
               CASE unit WHEN 'ratio' THEN '%'
                         WHEN 'ratio_points' THEN CASE WHEN zh THEN ' 个百分点' ELSE ' pp' END
                         WHEN 'count' THEN ''
                         WHEN 'households' THEN CASE WHEN zh THEN ' 户' ELSE ' households' END
                         WHEN 'working_days' THEN CASE WHEN zh THEN ' 个工作日' ELSE ' working days' END
                         WHEN 'CNY' THEN CASE WHEN zh THEN CASE WHEN size >= 1e8 THEN ' 亿元' WHEN size >= 1e4 THEN ' 万元' ELSE ' 元' END
                                              ELSE CASE WHEN size >= 1e9 THEN ' bn yuan' WHEN size >= 1e6 THEN ' m yuan' ELSE ' yuan' END END
                         WHEN 'USD' THEN CASE WHEN zh THEN CASE WHEN size >= 1e8 THEN ' 亿美元' WHEN size >= 1e4 THEN ' 万美元' ELSE ' 美元' END
                                              ELSE CASE WHEN size >= 1e9 THEN ' bn USD' WHEN size >= 1e6 THEN ' m USD' ELSE ' USD' END END
                         ELSE coalesce(' ' || unit, '') END,
               CASE WHEN unit IN ('ratio', 'ratio_points', 'CNY', 'USD') THEN 2 ELSE 0 END;
    END;

CREATE FUNCTION credit._number(figure numeric, unit text, size numeric, zh boolean, signed boolean DEFAULT false) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT CASE WHEN figure IS NULL THEN '–' ELSE
               CASE WHEN round(figure * s.factor, d.decimals) < 0 THEN '−' WHEN signed AND figure > 0 THEN '+' ELSE '' END
               || to_char(abs(round(figure * s.factor, d.decimals)),
                          'FM' || repeat('999,', 11) || '990' || CASE d.decimals WHEN 0 THEN '' ELSE '.' || repeat('0', d.decimals) END)
               || credit._escaped(s.label) END
          FROM credit._scale(coalesce(unit, ''), abs(size), zh) s
         CROSS JOIN LATERAL (SELECT CASE WHEN s.decimals = 0 AND figure <> round(figure) AND abs(figure) < 100 THEN 2 ELSE s.decimals END AS decimals) d;
    END;

CREATE FUNCTION credit._size_of(f credit.bulletin_figure) RETURNS numeric
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT greatest(abs((f).actual), abs((f).target), abs((f).required), 0);
    END;

-- drawings ----------------------------------------------------------------------

CREATE FUNCTION credit._pattern(status text) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT CASE status WHEN 'met' THEN 'fill="#0b5a73"' WHEN 'on_track' THEN 'fill="url(#track)"'
                           WHEN 'behind' THEN 'fill="url(#behind)"' WHEN 'missed' THEN 'fill="#20262d"'
                           ELSE 'fill="url(#none)"' END;
    END;

-- Five shapes that differ in outline, not only in shade.
CREATE FUNCTION credit._mark(status text) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT '<svg class="mark" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">' || CASE status
            WHEN 'met' THEN '<circle cx="8" cy="8" r="7.5" fill="#0b5a73"/><path d="M4.4 8.3l2.5 2.5 4.8-5.2" fill="none" stroke="#fff" stroke-width="1.8"/>'
            WHEN 'on_track' THEN '<circle cx="8" cy="8" r="6.8" fill="#fff" stroke="#0b5a73" stroke-width="1.5"/><path d="M8 12V4.6M4.9 7.4L8 4.3l3.1 3.1" fill="none" stroke="#0b5a73" stroke-width="1.6"/>'
            WHEN 'behind' THEN '<path d="M8 1.2L15.2 14.6H.8z" fill="#fff" stroke="#20262d" stroke-width="1.5"/><path d="M8 6v4.4M8 11.6v1.6" stroke="#20262d" stroke-width="1.6"/>'
            WHEN 'missed' THEN '<rect x=".8" y=".8" width="14.4" height="14.4" fill="#20262d"/><path d="M4.7 4.7l6.6 6.6M11.3 4.7l-6.6 6.6" stroke="#fff" stroke-width="1.8"/>'
            ELSE '<circle cx="8" cy="8" r="6.8" fill="#fff" stroke="#5b6570" stroke-width="1.4" stroke-dasharray="2.6 2"/>' END || '</svg>';
    END;

CREATE FUNCTION credit._tag(status text, zh boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT '<span class="tag ' || status || '">' || credit._mark(status) || credit._status_word(status, zh) || '</span>';
    END;

-- How many of each status as one bar; counts is {"met": 3, ...}.
CREATE FUNCTION credit._shares(counts jsonb, height integer, zh boolean) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        WITH part AS (
            SELECT s.status, s.ord, coalesce((counts ->> s.status)::numeric, 0) AS n
              FROM unnest('{met,on_track,behind,missed,no_data}'::text[]) WITH ORDINALITY s(status, ord)
        ), placed AS (
            SELECT p.*, sum(n) OVER () AS total, coalesce(sum(n) OVER (ORDER BY ord ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM part p
        )
        SELECT format('<svg class="bar" width="100%%" height="%s" role="img" aria-label="%s">', height,
                      string_agg(credit._status_word(p.status, zh) || ' ' || p.n, ', ' ORDER BY p.ord) FILTER (WHERE p.n > 0))
               || string_agg(format('<rect x="%s%%" width="%s%%" height="%s" %s stroke="#fff" stroke-width="1"/>',
                      trim_scale(round(100 * p.before / p.total, 3)), trim_scale(round(100 * p.n / p.total, 3)), height, credit._pattern(p.status)),
                      '' ORDER BY p.ord) FILTER (WHERE p.n > 0) || '</svg>'
          FROM placed p;
    END;

-- The figure as a bar from zero; a thin line where the path stands, a thick one at the target.
CREATE FUNCTION credit._progress(f credit.bulletin_figure, zh boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    low numeric := least(0, f.actual, f.target, f.required);
    high numeric := greatest(0, f.actual, f.target, f.required);
    size numeric := credit._size_of(f);
    zero numeric;
    tip numeric;
    spots numeric[];
BEGIN
    IF f.actual IS NULL OR f.target IS NULL OR high = low THEN
        RETURN '';
    END IF;
    -- a little room on both sides, for the lines to be seen whole
    spots := ARRAY(SELECT trim_scale(round(1 + 98 * (x - low) / (high - low), 3)) FROM unnest(ARRAY[0, f.actual, f.target, f.required]) WITH ORDINALITY v(x, n) ORDER BY n);
    zero := spots[1];
    tip := spots[2];
    RETURN format('<svg class="progress" width="100%%" height="26" role="img" aria-label="%s">',
               credit._either(zh, '实际 ', 'actual ') || credit._number(f.actual, f.unit, size, zh) || ', '
               || credit._either(zh, '目标 ', 'target ') || credit._number(f.target, f.unit, size, zh)
               || CASE WHEN f.required IS NULL THEN '' ELSE ', ' || credit._either(zh, '应达 ', 'path ') || credit._number(f.required, f.unit, size, zh) END)
        || '<rect x="1%" y="7" width="98%" height="12" fill="#e9edf1"/>'
        || format('<rect x="%s%%" y="7" width="%s%%" height="12" %s/>', least(zero, tip), abs(tip - zero), credit._pattern(f.status))
        || CASE WHEN low < 0 THEN format('<line x1="%s%%" x2="%1$s%%" y1="5" y2="21" stroke="#5b6570"/>', zero) ELSE '' END
        || CASE WHEN spots[4] IS NULL THEN '' ELSE format('<line x1="%s%%" x2="%1$s%%" y1="2" y2="24" stroke="#fff" stroke-width="5"/><line x1="%1$s%%" x2="%1$s%%" y1="2" y2="24" stroke="#20262d" stroke-width="1.6" stroke-dasharray="3 2"/>', spots[4]) END
        || format('<line x1="%s%%" x2="%1$s%%" y1="1" y2="25" stroke="#fff" stroke-width="7"/><line x1="%1$s%%" x2="%1$s%%" y1="1" y2="25" stroke="#20262d" stroke-width="3"/></svg>', spots[3]);
END
$$;

-- Figures of the quarters as a line with dots, the path dashed, the target as a level.
CREATE FUNCTION credit._trend_line(f credit.bulletin_figure, zh boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n integer := jsonb_array_length(f.trend);
    low numeric;
    high numeric;
    answer text;
BEGIN
    SELECT min(v), max(v) INTO low, high
      FROM jsonb_array_elements(f.trend) p CROSS JOIN LATERAL (VALUES ((p ->> 'actual')::numeric), ((p ->> 'required')::numeric), (f.target)) x(v)
     WHERE p ->> 'actual' IS NOT NULL;
    IF low IS NULL OR n < 2 OR (SELECT count(*) FROM jsonb_array_elements(f.trend) p WHERE p ->> 'actual' IS NOT NULL) < 2 THEN
        RETURN '';
    END IF;
    IF low = high THEN
        low := low - 1;
        high := high + 1;
    END IF;
    SELECT format('<svg class="trend" width="196" height="60" viewBox="0 0 196 60" role="img" aria-label="%s">',
               credit._either(zh, '季度走势：', 'by quarter: ') || string_agg((v.p ->> 'quarter') || ' ' || credit._number((v.p ->> 'actual')::numeric, f.unit, credit._size_of(f), zh), ', ' ORDER BY v.i))
        || format('<line x1="4" x2="192" y1="%s" y2="%1$s" stroke="#8a949e" stroke-width="1"/>', round(54 - 48 * (f.target - low) / (high - low), 1))
        || coalesce('<polyline fill="none" stroke="#20262d" stroke-width="1.2" stroke-dasharray="4 3" points="'
               || string_agg(v.x || ',' || round(54 - 48 * ((v.p ->> 'required')::numeric - low) / (high - low), 1), ' ' ORDER BY v.i) FILTER (WHERE v.p ->> 'required' IS NOT NULL) || '"/>', '')
        || '<polyline fill="none" stroke="#0b5a73" stroke-width="2.2" points="'
               || string_agg(v.x || ',' || round(54 - 48 * ((v.p ->> 'actual')::numeric - low) / (high - low), 1), ' ' ORDER BY v.i) FILTER (WHERE v.p ->> 'actual' IS NOT NULL) || '"/>'
        || string_agg(format('<circle cx="%s" cy="%s" r="%s" fill="#0b5a73"/>', v.x, round(54 - 48 * ((v.p ->> 'actual')::numeric - low) / (high - low), 1),
               CASE WHEN v.i = n THEN '4' ELSE '2.4' END), '' ORDER BY v.i) FILTER (WHERE v.p ->> 'actual' IS NOT NULL) || '</svg>'
      INTO answer
      FROM (SELECT e.p, e.i, round(6 + 184.0 * (e.i - 1) / (n - 1), 1) AS x FROM jsonb_array_elements(f.trend) WITH ORDINALITY e(p, i)) v;
    RETURN answer;
END
$$;

-- sections ----------------------------------------------------------------------

CREATE FUNCTION credit._page_style(zh boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT 'body{margin:0;background:#fff;color:#20262d;font:16px/1.6 '
            || CASE WHEN zh THEN '"PingFang SC","Hiragino Sans GB","Microsoft YaHei","Noto Sans CJK SC","Source Han Sans SC","WenQuanYi Micro Hei",sans-serif'
                    ELSE '"Helvetica Neue","Segoe UI",Arial,"Liberation Sans","Noto Sans","PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif' END
            || $css$;font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%;overflow-wrap:anywhere;-webkit-print-color-adjust:exact;print-color-adjust:exact}
main{max-width:1040px;margin:0 auto;padding:56px 32px 72px}
h1,h2,h3,p,ul,ol,dl,dd{margin:0;padding:0}
h1{font-size:34px;line-height:1.25;font-weight:700;letter-spacing:-.01em;margin-bottom:10px}
h2{font-size:22px;line-height:1.35;font-weight:700;margin:72px 0 6px;padding-top:20px;border-top:2px solid #20262d}
h3{font-size:16px;line-height:1.45;font-weight:700}
.over{color:#0b5a73;font-weight:700;font-size:15px;margin-bottom:10px}
.soft{color:#525c67;font-size:14px}
.lead{font-size:20px;line-height:1.6;margin:28px 0 24px;max-width:46em}
.lead b{color:#0b5a73}
.sub{color:#525c67;font-size:14px;margin-bottom:24px;max-width:60em}
svg{display:block}
.defs{position:absolute}
.mark{flex:none}
.tag{display:inline-flex;align-items:center;gap:7px;font-size:14px;font-weight:700;white-space:nowrap}
.tag.no_data{font-weight:400;color:#525c67}
.totals{display:grid;grid-template-columns:repeat(5,1fr);gap:20px;list-style:none;margin:22px 0 0}
.totals b{display:block;font-size:34px;line-height:1.2;font-weight:700}
.box{border-left:4px solid #0b5a73;background:#f3f6f8;padding:16px 20px;margin-top:28px;font-size:15px}
.keys{display:flex;flex-wrap:wrap;gap:6px 24px;list-style:none;font-size:14px;color:#525c67;margin:0 0 8px}
.keys li{display:flex;align-items:center;gap:8px}
.row{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,6fr) 196px;gap:8px 32px;padding:22px 0;border-bottom:1px solid #d5dae0;align-items:start;break-inside:avoid}
.row .soft{margin-top:2px}
.row .tag{margin-top:8px}
.nums{display:flex;flex-wrap:wrap;gap:2px 18px;font-size:14px;color:#525c67}
.nums b{color:#20262d;font-size:22px;line-height:1.25;font-weight:700}
.nums span{white-space:nowrap;align-self:baseline}
.why{font-size:14px;margin-top:6px}
.ends{display:flex;justify-content:space-between;font-size:12px;color:#525c67;width:196px}
table{width:100%;border-collapse:collapse;font-size:15px}
th{font-size:13px;font-weight:700;color:#525c67;text-align:left;padding:8px 12px 8px 0;border-bottom:1px solid #20262d;vertical-align:bottom}
td{padding:11px 12px 11px 0;border-bottom:1px solid #d5dae0;vertical-align:top}
tr{break-inside:avoid}
td:last-child,th:last-child{padding-right:0}
.n{text-align:right;white-space:nowrap;width:1%;padding-left:12px}
.w{width:34%}
.w svg{margin-top:5px}
.columns{display:grid;grid-auto-flow:column;grid-auto-columns:minmax(0,112px);gap:14px;align-items:end;margin-top:8px}
.columns div{font-size:12px;color:#525c67;text-align:center;line-height:1.4}
.columns b{display:block;color:#20262d;font-size:14px}
.lacks{list-style:none}
.lacks>li{padding:16px 0;border-bottom:1px solid #d5dae0;display:grid;grid-template-columns:minmax(0,4fr) minmax(0,7fr);gap:4px 32px;break-inside:avoid}
.lacks ul{list-style:none;font-size:14px}
.lacks li li{display:flex;justify-content:space-between;gap:4px 24px;flex-wrap:wrap;padding-bottom:6px}
.silent{margin-top:22px;font-size:15px;line-height:1.75}
.unit{margin:32px 0 0;font-size:17px}
footer{margin-top:72px;padding-top:20px;border-top:2px solid #20262d;color:#525c67;font-size:13px;display:grid;gap:8px}
code{font:12px/1.5 ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
@media screen and (max-width:720px){
main{padding:32px 20px 48px}h1{font-size:27px}.lead{font-size:18px;margin:22px 0}h2{margin-top:52px;font-size:20px}
.totals{grid-template-columns:repeat(3,1fr);gap:16px 12px}.totals b{font-size:28px}
.row{grid-template-columns:minmax(0,1fr);gap:10px}.row>div:empty{display:none}
.lacks>li{grid-template-columns:minmax(0,1fr)}
.columns{gap:5px}.columns b{font-size:13px}
table,tbody,tr{display:block}thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tr{display:grid;grid-template-columns:repeat(4,minmax(0,1fr));align-items:end;gap:2px 10px;padding:14px 0;border-bottom:1px solid #d5dae0}
td,td:last-child{padding:0;border:0;display:block;width:auto;text-align:left;white-space:normal}
td,td:last-child{grid-column:span 2}td.n,td.n:last-child{padding:0;width:auto;text-align:left;grid-column:auto}td.w,td.w:last-child{width:auto}td.name,td.w{grid-column:1/-1}td.name{font-weight:700}td.w{padding:4px 0}td.w svg{margin-top:2px}
td.n::before{content:attr(data-label);display:block;font-size:12px;color:#525c67}
}
@media print{@page{size:A4;margin:16mm 14mm}body{font-size:10.5pt}main{max-width:none;padding:0}h2{margin-top:34px}h2,.sub,.unit,.keys,thead{break-after:avoid}.row{padding:13px 0;gap:6px 20px}.nums{gap:1px 12px}.lead{font-size:13pt;margin:16px 0}h1{font-size:22pt}.box{margin-top:18px}}
$css$;
    END;

CREATE FUNCTION credit._counts(p_bulletin bigint, p_region text) RETURNS jsonb
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT jsonb_object_agg(c.status, c.n)
          FROM (SELECT f.status, count(*) AS n FROM credit.bulletin_figure f
                 WHERE f.bulletin_id = p_bulletin AND f.region::text = p_region GROUP BY f.status) c;
    END;

CREATE FUNCTION credit._row_html(f credit.bulletin_figure, zh boolean, full_why boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    size numeric := credit._size_of(f);
    line text := credit._trend_line(f, zh);
    sign text := CASE f.comparator WHEN '>=' THEN '≥ ' WHEN '<=' THEN '≤ ' WHEN '>' THEN '&gt; ' WHEN '<' THEN '&lt; ' ELSE '= ' END;
    unit text := CASE WHEN f.form IN ('gap') AND f.unit = 'ratio' THEN 'ratio_points' ELSE f.unit END;
    points text := CASE unit WHEN 'ratio' THEN 'ratio_points' ELSE unit END;
    version integer := (SELECT max((e ->> 'figure_version')::integer) FROM jsonb_array_elements(f.figures) e);
BEGIN
    RETURN '<div class="row"><div><h3>' || credit._escaped(CASE WHEN zh THEN f.name_zh ELSE f.name_en END) || '</h3><p class="soft">'
        || credit._escaped(concat_ws(' · ', f.code, CASE WHEN full_why THEN coalesce(replace(f.responsible_unit, ';', credit._either(zh, '、', '; ')), credit._either(zh, '文件未写明责任单位', 'no unit named in the document')) END))
        || '</p>' || credit._tag(f.status, zh) || '</div><div><div class="nums"><span><b>' || credit._number(f.actual, unit, size, zh) || '</b></span><span>'
        || credit._either(zh, '目标 ', 'target ') || sign || credit._number(f.target, unit, size, zh) || '</span>'
        || CASE WHEN f.required IS NULL THEN '' ELSE '<span>' || credit._either(zh, '进度应达 ', 'path ') || credit._number(f.required, unit, size, zh) || '</span>' END
        || CASE WHEN f.status IN ('behind', 'missed') THEN '<span>' || credit._either(zh, '差 ', 'gap ') || credit._number(f.gap, points, size, zh, true) || '</span>' ELSE '' END
        || '</div>' || credit._progress(f, zh)
        || '<div class="nums">'
        || coalesce('<span>' || credit._either(zh, '截止 ', 'due ') || credit._day_text(f.due_date, zh) || '</span>', '')
        || CASE WHEN f.projected IS NULL THEN '' ELSE '<span>' || credit._either(zh, '按近四季走势届时约 ', 'heading for ') || credit._number(f.projected, unit, size, zh) || '</span>' END
        || CASE WHEN version > 1 THEN '<span>' || credit._either(zh, '填报数据经更正，第 ' || version || ' 版',
                                                                 'reported figure corrected, version ' || version) || '</span>' ELSE '' END
        || '</div>'
        || CASE WHEN full_why THEN '<p class="why">' || credit._reason(f, zh, unit, sign) || '</p>' ELSE '' END
        || '</div><div>' || CASE WHEN line = '' THEN '' ELSE line || '<div class="ends"><span>' || credit._escaped(f.trend -> 0 ->> 'quarter') || '</span><span>'
            || credit._escaped(f.trend -> -1 ->> 'quarter') || '</span></div>' END || '</div></div>';
END
$$;

-- Why a target falls short, in the units of the row.
CREATE FUNCTION credit._reason(f credit.bulletin_figure, zh boolean, unit text, sign text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT CASE
            WHEN (f).form IN ('count', 'composite') AND (f).figures -> 0 ? 'goal' THEN credit._escaped(CASE WHEN zh THEN (f).why_zh ELSE (f).why END)
            WHEN (f).status = 'missed' THEN format(credit._either(zh, '到期日（%s）为 %s，未达到 %s。', 'On the due date, %s, it was %s and not %s.'),
                     credit._day_text((f).due_date, zh), credit._number((f).actual, unit, credit._size_of(f), zh), sign || credit._number((f).target, unit, credit._size_of(f), zh))
            WHEN (f).required IS NOT NULL THEN format(credit._either(zh, '与进度应达值相差 %s。', '%s from where the path stands.'),
                     credit._number((f).actual - (f).required, CASE unit WHEN 'ratio' THEN 'ratio_points' ELSE unit END, credit._size_of(f), zh, true))
            WHEN (f).due_date IS NULL THEN credit._either(zh, '目标无截止日期，目前未达到。', 'The target has no due date and does not hold now.')
            ELSE credit._either(zh, '缺少基期值，无法推算进度；目前未达到目标值。', 'Without a base figure there is no path; the target does not hold now.') END;
    END;

CREATE FUNCTION credit._changes_html(b credit.bulletin, zh boolean) RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT '<h2>' || credit._either(zh, '与上一期相比的更正', 'What changed against the issue before') || '</h2><p class="sub">'
            || CASE WHEN zh THEN format('本通报为第 %s 期，替代第 %s 期。', (b).issue, (b).issue - 1) ELSE format('This is issue %s; it replaces issue %s.', (b).issue, (b).issue - 1) END
            || '</p>' || coalesce('<table><thead><tr><th>' || credit._either(zh, '目标', 'Target') || '</th><th class="n">' || credit._either(zh, '上期', 'Before') || '</th><th class="n">'
                 || credit._either(zh, '本期', 'Now') || '</th><th>' || credit._either(zh, '状态', 'Status') || '</th></tr></thead><tbody>'
                 || string_agg('<tr><td class="name">' || credit._escaped(CASE WHEN zh THEN c.name_zh ELSE c.name_en END) || ' <span class="soft">'
                        || credit._escaped(concat_ws(' · ', c.code, CASE WHEN c.region::text <> (b).region::text THEN c.region_name END)) || '</span></td><td class="n" data-label="' || credit._either(zh, '上期', 'Before') || '">'
                        || credit._number(c.old_actual, c.unit, greatest(abs(c.old_actual), abs(c.new_actual)), zh) || '</td><td class="n" data-label="' || credit._either(zh, '本期', 'Now') || '">'
                        || credit._number(c.new_actual, c.unit, greatest(abs(c.old_actual), abs(c.new_actual)), zh) || '</td><td>'
                        || CASE WHEN c.old_status = c.new_status THEN credit._tag(c.new_status, zh)
                                ELSE coalesce(credit._tag(c.old_status, zh), '–') || ' → ' || coalesce(credit._tag(c.new_status, zh), '–') END
                        || '</td></tr>', '') || '</tbody></table>',
                 '<p>' || credit._either(zh, '数值与状态未变，仅说明性内容有更正。', 'Figures and statuses are the same; what explains them was corrected.') || '</p>')
          FROM credit.bulletin_changes((b).bulletin_id) c;
    END;

-- Each unit that a target names, with how its targets stand, best first; those without any figure in a sentence.
CREATE FUNCTION credit._units_html(p_bulletin bigint, p_region text, zh boolean) RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH named AS (
            SELECT coalesce(btrim(u.unit), credit._either(zh, '文件未写明责任单位', 'No unit named in the document')) AS unit, u.unit IS NULL AS nobody, f.status
              FROM credit.bulletin_figure f
              LEFT JOIN LATERAL regexp_split_to_table(f.responsible_unit, '[;；]') u(unit) ON btrim(u.unit) <> ''
             WHERE f.bulletin_id = p_bulletin AND f.region::text = p_region
        ), standing AS (
            SELECT n.unit, n.nobody, count(*) AS targets, count(*) FILTER (WHERE n.status IN ('met', 'on_track')) AS good,
                   count(*) FILTER (WHERE n.status <> 'no_data') AS answered,
                   jsonb_build_object('met', count(*) FILTER (WHERE n.status = 'met'), 'on_track', count(*) FILTER (WHERE n.status = 'on_track'),
                       'behind', count(*) FILTER (WHERE n.status = 'behind'), 'missed', count(*) FILTER (WHERE n.status = 'missed'),
                       'no_data', count(*) FILTER (WHERE n.status = 'no_data')) AS counts
              FROM named n GROUP BY n.unit, n.nobody
        )
        SELECT coalesce('<table><thead><tr><th>' || credit._either(zh, '责任单位', 'Responsible unit') || '</th><th class="w">' || credit._either(zh, '构成', 'Its targets')
            || '</th><th class="n">' || credit._either(zh, '完成或正常', 'Met or on track') || '</th><th class="n">' || credit._either(zh, '有数据', 'With data')
            || '</th><th class="n">' || credit._either(zh, '目标数', 'Targets') || '</th></tr></thead><tbody>'
            || string_agg('<tr><td class="name">' || credit._escaped(s.unit) || '</td><td class="w">' || credit._shares(s.counts, 14, zh)
                   || '</td><td class="n" data-label="' || credit._either(zh, '完成或正常', 'Met or on track') || '">'
                   || CASE s.answered WHEN 0 THEN '–' ELSE round(100.0 * s.good / s.answered) || '%' END || '</td><td class="n" data-label="' || credit._either(zh, '有数据', 'With data') || '">' || s.answered
                   || '</td><td class="n" data-label="' || credit._either(zh, '目标数', 'Targets') || '">' || s.targets || '</td></tr>', ''
                   ORDER BY s.nobody, s.good::numeric / greatest(s.answered, 1) DESC, s.answered DESC, s.targets DESC, s.unit COLLATE "C") FILTER (WHERE s.answered > 0)
                   || '</tbody></table>', '')
            || coalesce('<p class="silent"><b>' || credit._either(zh, '所有目标均缺少数据的单位（目标数）：', 'Units of whose targets none has data (targets): ') || '</b>'
                   || string_agg(credit._escaped(s.unit) || ' (' || s.targets || ')', credit._either(zh, '、', ', ')
                                 ORDER BY s.nobody, s.targets DESC, s.unit COLLATE "C") FILTER (WHERE s.answered = 0) || '</p>', '')
          FROM standing s;
    END;

CREATE FUNCTION credit._regions_html(p_bulletin bigint, home text, zh boolean) RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT '<table><thead><tr><th>' || credit._either(zh, '地区', 'Region') || '</th><th class="w">' || credit._either(zh, '构成', 'Targets with figures')
            || '</th><th class="n">' || credit._either(zh, '已完成', 'Met') || '</th><th class="n">' || credit._either(zh, '进度正常', 'On track') || '</th><th class="n">'
            || credit._either(zh, '滞后或未完成', 'Behind or missed') || '</th><th class="n">' || credit._either(zh, '缺少数据', 'No data') || '</th></tr></thead><tbody>'
            || string_agg('<tr><td class="name">' || credit._escaped(r.region_name) || '</td><td class="w">' || coalesce(credit._shares(r.counts, 14, zh), '') || '</td>'
                 || '<td class="n" data-label="' || credit._either(zh, '已完成', 'Met') || '">' || r.met || '</td><td class="n" data-label="' || credit._either(zh, '进度正常', 'On track') || '">' || r.track
                 || '</td><td class="n" data-label="' || credit._either(zh, '滞后或未完成', 'Behind or missed') || '">' || r.short || '</td><td class="n" data-label="' || credit._either(zh, '缺少数据', 'No data') || '">' || r.none || '</td></tr>', ''
                 ORDER BY r.region <> home, r.met + r.track DESC, r.short, r.region COLLATE "C") || '</tbody></table>'
          FROM (SELECT f.region::text AS region, f.region_name, count(*) FILTER (WHERE f.status = 'met') AS met, count(*) FILTER (WHERE f.status = 'on_track') AS track,
                       count(*) FILTER (WHERE f.status IN ('behind', 'missed')) AS short, count(*) FILTER (WHERE f.status = 'no_data') AS none,
                       jsonb_build_object('met', count(*) FILTER (WHERE f.status = 'met'), 'on_track', count(*) FILTER (WHERE f.status = 'on_track'),
                           'behind', count(*) FILTER (WHERE f.status = 'behind'), 'missed', count(*) FILTER (WHERE f.status = 'missed')) AS counts
                  FROM credit.bulletin_figure f WHERE f.bulletin_id = p_bulletin GROUP BY 1, 2) r;
    END;

-- What is lacking, by who should report it.
CREATE FUNCTION credit._lacking_html(p_bulletin bigint, home text, zh boolean) RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT string_agg('<h3 class="unit">' || credit._escaped(g.unit) || ' <span class="soft">' || g.n || credit._either(zh, ' 项', CASE g.n WHEN 1 THEN ' target' ELSE ' targets' END) || '</span></h3><ul class="lacks">' || g.items || '</ul>', ''
                   ORDER BY g.nobody, g.n DESC, g.unit COLLATE "C")
          FROM (SELECT coalesce(replace(f.responsible_unit, ';', credit._either(zh, '、', '; ')), credit._either(zh, '文件未写明责任单位', 'No unit named in the document')) AS unit,
                       f.responsible_unit IS NULL AS nobody, count(*) AS n,
                       string_agg('<li><div><h3>' || credit._escaped(CASE WHEN zh THEN f.name_zh ELSE f.name_en END) || '</h3><p class="soft">' || credit._escaped(f.code)
                           || CASE WHEN f.target IS NULL THEN '' ELSE ' · ' || credit._either(zh, '目标 ', 'target ')
                              || CASE f.comparator WHEN '>=' THEN '≥ ' WHEN '<=' THEN '≤ ' WHEN '>' THEN '&gt; ' WHEN '<' THEN '&lt; ' ELSE '= ' END
                              || credit._number(f.target, f.unit, abs(f.target), zh) END
                           || coalesce(' · ' || credit._either(zh, '截止 ', 'due ') || credit._day_text(f.due_date, zh), '') || '</p></div><ul>'
                           || coalesce((SELECT string_agg('<li><span>' || credit._escaped(CASE WHEN zh THEN l ->> 'name_zh' ELSE l ->> 'name_en' END)
                                  || CASE WHEN l ? 'segment' THEN ' (' || credit._escaped(l ->> 'segment') || ')' ELSE '' END || '</span><span class="soft">'
                                  || CASE WHEN l ->> 'from' <> coalesce(f.responsible_unit, '') THEN credit._escaped(l ->> 'from') || ' · ' ELSE '' END
                                  || CASE WHEN l ? 'newest' THEN credit._either(zh, '最近一期 ', 'newest ') || credit._day_text((l ->> 'newest')::date, zh)
                                          ELSE credit._either(zh, '从未报送', 'never reported') END
                                  || coalesce(credit._either(zh, '，应报日 ', ', due since ') || credit._day_text((l ->> 'since')::date, zh), '') || '</span></li>', '' ORDER BY n)
                                FROM jsonb_array_elements(f.lacking) WITH ORDINALITY x(l, n)),
                              '<li><span class="soft">' || credit._escaped(CASE WHEN f.target IS NULL THEN credit._either(zh, '文件未规定数值，无法判断', 'The document gives no number, so there is nothing to judge by')
                                                                               WHEN zh THEN f.why_zh ELSE f.why END) || '</span></li>')
                           || '</ul></li>', '' ORDER BY f.position) AS items
                  FROM credit.bulletin_figure f
                 WHERE f.bulletin_id = p_bulletin AND f.region::text = home AND f.status = 'no_data'
                 GROUP BY f.responsible_unit) g;
    END;

-- Columns of the last quarters: how many targets stood how.
CREATE FUNCTION credit._quarters_html(p_bulletin bigint, home text, zh boolean) RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        WITH one AS (
            SELECT t.p ->> 'quarter' AS quarter, s.status, s.ord, count(*) FILTER (WHERE t.p ->> 'status' = s.status)::numeric AS n
              FROM credit.bulletin_figure f CROSS JOIN LATERAL jsonb_array_elements(f.trend) t(p)
             CROSS JOIN unnest('{no_data,missed,behind,on_track,met}'::text[]) WITH ORDINALITY s(status, ord)
             WHERE f.bulletin_id = p_bulletin AND f.region::text = home GROUP BY 1, 2, 3
        ), placed AS (
            SELECT o.*, sum(n) OVER (PARTITION BY quarter) AS total, coalesce(sum(n) OVER (PARTITION BY quarter ORDER BY ord ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM one o
        ), drawn AS (
            SELECT p.quarter, sum(p.n) FILTER (WHERE p.status IN ('met', 'on_track')) AS good, max(p.total) AS total,
                   format('<svg width="100%%" height="150" role="img" aria-label="%s">', string_agg(credit._status_word(p.status, zh) || ' ' || p.n, ', ' ORDER BY p.ord DESC) FILTER (WHERE p.n > 0))
                   || string_agg(format('<rect width="100%%" y="%s" height="%s" %s stroke="#fff" stroke-width="1"/>', round(150 * p.before / p.total, 2), round(150 * p.n / p.total, 2), credit._pattern(p.status)), '' ORDER BY p.ord) FILTER (WHERE p.n > 0)
                   || '</svg>' AS drawing
              FROM placed p GROUP BY p.quarter
        )
        SELECT CASE WHEN count(*) > 1 THEN '<div class="columns">' || string_agg('<div><b>' || d.good || '/' || d.total || '</b>' || d.drawing || left(d.quarter, 4) || '<br>' || right(d.quarter, 2) || '</div>', '' ORDER BY d.quarter) || '</div>' END
          FROM drawn d;
    END;

CREATE FUNCTION credit._bulletin_html(p_bulletin bigint, zh boolean) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    b credit.bulletin;
    home text;
    title text;
    counts jsonb;
    total integer;
    answered integer;
    good integer;
    short integer;
    list text;
    standing text;
    html text;
BEGIN
    SELECT * INTO b FROM credit.bulletin x WHERE x.bulletin_id = p_bulletin;
    home := b.region::text;
    title := CASE WHEN zh THEN b.title_zh ELSE b.title_en END;
    counts := credit._counts(b.bulletin_id, home);
    SELECT sum(v.value::integer) INTO total FROM jsonb_each_text(counts) v;
    good := coalesce((counts ->> 'met')::integer, 0) + coalesce((counts ->> 'on_track')::integer, 0);
    short := coalesce((counts ->> 'behind')::integer, 0) + coalesce((counts ->> 'missed')::integer, 0);
    answered := good + short;

    html := '<!DOCTYPE html><html lang="' || credit._either(zh, 'zh-CN', 'en') || '"><head><meta charset="utf-8">'
        || '<meta name="viewport" content="width=device-width,initial-scale=1">'
        || '<meta http-equiv="Content-Security-Policy" content="default-src ''none''; style-src ''unsafe-inline''">'
        || '<title>' || credit._escaped(title) || ' · ' || credit._quarter_text(b.quarter, zh) || '</title><style>' || credit._page_style(zh) || '</style></head><body>'
        || '<svg class="defs" width="0" height="0" aria-hidden="true"><defs>'
        || '<pattern id="track" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="7" height="7" fill="#cfe3ea"/><rect width="3.5" height="7" fill="#0b5a73"/></pattern>'
        || '<pattern id="behind" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="#fff"/><circle cx="3" cy="3" r="1.7" fill="#20262d"/></pattern>'
        || '<pattern id="none" width="8" height="8" patternUnits="userSpaceOnUse"><rect width="8" height="8" fill="#eef1f4"/><path d="M0 8L8 0" stroke="#9aa4ae" stroke-width="1"/></pattern>'
        || '</defs></svg><main>';

    -- head
    html := html || '<header><p class="over">' || credit._escaped(b.region_name) || ' · ' || credit._quarter_text(b.quarter, zh) || ' · '
        || CASE WHEN zh THEN '第 ' || b.issue || ' 期' ELSE 'issue ' || b.issue END || '</p><h1>' || credit._escaped(title) || '</h1><p class="soft">'
        || credit._escaped(concat_ws(' · ', nullif(b.document, ''), credit._either(zh, '数据截至 ', 'figures as of ') || credit._day_text(b.as_of, zh))) || '</p>'
        || '<p class="lead">' || CASE
            WHEN answered = 0 AND zh THEN format('%s 项目标本季度均缺少数据，尚无法判断。下文列出所缺指标、报送单位与应报日期。', total)
            WHEN answered = 0 THEN format('None of the %s targets has a figure this quarter. What is lacking, from whom and since when stands below.', total)
            WHEN zh THEN format('%s 项目标中，<b>%s 项已完成或进度正常</b>，%s 项滞后或未完成，%s 项缺少数据。', total, good, short, total - answered)
            ELSE format('Of %s targets, <b>%s are met or on track</b>, %s behind or missed; %s %s no data.', total, good, short, total - answered,
                        CASE total - answered WHEN 1 THEN 'has' ELSE 'have' END) END || '</p>'
        || coalesce(credit._shares(counts, 30, zh), '') || '<ul class="totals">';
    FOREACH standing IN ARRAY '{met,on_track,behind,missed,no_data}'::text[] LOOP
        html := html || '<li><b>' || coalesce(counts ->> standing, '0') || '</b>' || credit._tag(standing, zh) || '</li>';
    END LOOP;
    html := html || '</ul>' || CASE WHEN b.note IS NULL THEN '' ELSE '<p class="box">' || credit._escaped(b.note) || '</p>' END || '</header>';

    IF b.issue > 1 THEN
        html := html || credit._changes_html(b, zh);
    END IF;

    -- what falls short, and why
    SELECT string_agg(credit._row_html(f, zh, true), '' ORDER BY f.status = 'behind', f.position) INTO list
      FROM credit.bulletin_figure f WHERE f.bulletin_id = b.bulletin_id AND f.region::text = home AND f.status IN ('behind', 'missed');
    IF list IS NOT NULL THEN
        html := html || '<h2>' || credit._either(zh, '滞后与未完成的目标', 'Targets that fall short, and why') || '</h2>' || credit._keys_html(zh) || list;
    END IF;
    list := credit._quarters_html(b.bulletin_id, home, zh);
    IF list IS NOT NULL AND answered > 0 THEN
        html := html || '<h2>' || credit._either(zh, '近八个季度', 'The last eight quarters') || '</h2><p class="sub">'
            || credit._either(zh, '每季度各状态的目标数；柱上为已完成或进度正常的目标数与总数。', 'Targets by status at the end of each quarter; above each column, how many were met or on track of all.') || '</p>' || list;
    END IF;
    SELECT string_agg(credit._row_html(f, zh, false), '' ORDER BY f.position) INTO list
      FROM credit.bulletin_figure f WHERE f.bulletin_id = b.bulletin_id AND f.region::text = home AND f.status IN ('met', 'on_track');
    IF list IS NOT NULL THEN
        html := html || '<h2>' || credit._either(zh, '已完成与进度正常的目标', 'Targets met or on track') || '</h2>' || CASE short WHEN 0 THEN credit._keys_html(zh) ELSE '' END || list;
    END IF;
    html := html || '<h2>' || credit._either(zh, '责任单位', 'Responsible units') || '</h2><p class="sub">'
        || credit._either(zh, '按有数据的目标中已完成或进度正常的比例排列；一项目标由多个单位负责的，分别计入。',
                          'By the share that is met or on track of the targets that have data; a target of several units counts for each of them.') || '</p>'
        || coalesce(credit._units_html(b.bulletin_id, home, zh), '');
    IF EXISTS (SELECT FROM credit.bulletin_figure f WHERE f.bulletin_id = b.bulletin_id AND f.region::text <> home) THEN
        html := html || '<h2>' || credit._either(zh, '各地区', 'Regions') || '</h2><p class="sub">'
            || credit._either(zh, '各地区以同一目标值衡量，条形只含有数据的目标。', 'Each region is judged by the same targets; bars show those that have figures.') || '</p>' || credit._regions_html(b.bulletin_id, home, zh);
    END IF;
    list := credit._lacking_html(b.bulletin_id, home, zh);
    IF list IS NOT NULL THEN
        html := html || '<h2>' || credit._either(zh, '缺少的数据', 'What is lacking') || '</h2><p class="sub">'
            || credit._either(zh, '按责任单位列出。应报日：从未报送的自起算日起，其余自上一数据失效之日起。',
                              'By responsible unit. Due since: the first day that counts where nothing was ever reported, else the day after the newest figure ceased to speak.') || '</p>' || list;
    END IF;
    RETURN html || '<footer><p>' || credit._either(zh, '实线为目标值，虚线为当前进度应达值。比较均以未舍入的数值进行。',
                   'The solid mark is the target, the dashed one where the path stands. All comparisons are made on unrounded figures.')
        || '</p><p>' || credit._either(zh, '发布时间 ', 'Published ') || to_char(b.frozen_at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD HH24:MI') || ' (UTC+8)</p><p>SHA-256 <code>'
        || encode(b.digest, 'hex') || '</code></p></footer></main></body></html>';
END
$$;

CREATE FUNCTION credit._keys_html(zh boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT '<ul class="keys"><li><svg width="10" height="20" aria-hidden="true"><line x1="5" x2="5" y1="1" y2="19" stroke="#20262d" stroke-width="3"/></svg>' || credit._either(zh, '目标值', 'target')
            || '</li><li><svg width="10" height="20" aria-hidden="true"><line x1="5" x2="5" y1="1" y2="19" stroke="#20262d" stroke-width="1.6" stroke-dasharray="3 2"/></svg>' || credit._either(zh, '当前进度应达', 'where the path stands now')
            || '</li><li><svg width="28" height="12" aria-hidden="true"><polyline points="2,9 14,6 26,3" fill="none" stroke="#0b5a73" stroke-width="2.2"/><circle cx="26" cy="3" r="2.6" fill="#0b5a73"/></svg>' || credit._either(zh, '近八季走势，灰线为目标值，虚线为进度', 'last eight quarters; grey the target, dashed the path') || '</li></ul>';
    END;

DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p
              WHERE p.pronamespace = 'credit'::regnamespace
                AND p.proname IN ('_escaped', '_either', '_status_word', '_day_text', '_quarter_text', '_scale', '_number', '_size_of',
                    '_pattern', '_mark', '_tag', '_shares', '_progress', '_trend_line', '_page_style', '_counts', '_row_html', '_reason',
                    '_changes_html', '_units_html', '_regions_html', '_lacking_html', '_quarters_html', '_bulletin_html', '_keys_html') LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
END
$$;
