-- targets: 157 targets of five policy documents against the figures that the documents report
\connect - platform_staff
SET client_min_messages = warning;
\echo
\echo '-- Five packs (政策目标包) are shipped. An operator enters the figures that the documents themselves report (文件自报数据):'
CREATE TEMP TABLE entered AS
SELECT p.pack_id, o.* FROM credit.pack p CROSS JOIN LATERAL credit.observe_reported(p.pack_id) o;
SELECT p.pack_id, p.title_zh, p.title_en, p.region, coalesce(p.notice_date, p.document_date) AS published, count(*) AS targets, e.observed AS figures
  FROM credit.pack p JOIN entered e USING (pack_id) JOIN credit.target t ON t.pack = p.pack_id
 GROUP BY p.pack_id, e.observed ORDER BY 5, 1;
SELECT demo.expect((SELECT count(*) FROM credit.target) = 157 AND sum(observed) = 60 AND count(*) = 5, '157 targets in five packs, 60 reported figures entered')
  FROM entered \g (format=unaligned tuples_only=on)

\connect - analyst
SET client_min_messages = warning;
\echo
\echo '-- The analyst asks for the status of all targets (目标进度): as of the day of Yixing''s notice, and today.'
\set days 'VALUES (date ''2023-07-17''), ((now() AT TIME ZONE ''Asia/Shanghai'')::date)'
CREATE TEMP TABLE status AS
SELECT p.pack_id, d.as_of, s.* FROM credit.pack p CROSS JOIN (:days) d (as_of) CROSS JOIN LATERAL credit.target_status(p.pack_id, d.as_of) s;
SELECT pack_id, as_of, count(*) AS targets, count(*) FILTER (WHERE status = 'met') AS "met 已完成", count(*) FILTER (WHERE status = 'on_track') AS "on_track 进度正常",
       count(*) FILTER (WHERE status = 'behind') AS "behind 进度滞后", count(*) FILTER (WHERE status = 'missed') AS "missed 未完成", count(*) FILTER (WHERE status = 'no_data') AS "no_data 缺少数据"
  FROM status GROUP BY 1, 2 ORDER BY 2, 1;
SELECT (SELECT count(*) FROM credit.observation) AS figures, count(DISTINCT (pack_id, code)) FILTER (WHERE status <> 'no_data') AS answered,
       count(DISTINCT (pack_id, code)) AS targets FROM status \gset
\echo '   Plainly: the documents set targets and report few figures of what they set them for. They report' :figures 'figures, and these'
\echo '   answer' :answered 'of' :targets 'targets. The platform says so instead of guessing, and says of each what is lacking. A figure more'
\echo '   than a year old (max_age_days) speaks no more, so today not even those are answered: departments would have to report on.'
\echo
\echo '-- The targets that have figures:'
SELECT as_of, code, name_zh, name_en, actual, target, gap, unit, status, status_zh, why FROM status WHERE status <> 'no_data' ORDER BY as_of, code;
\echo '-- Where one comes from:'
SELECT f ->> 'metric' AS metric, f ->> 'period' AS day, f ->> 'value' AS value, f ->> 'source' AS source
  FROM status, jsonb_array_elements(figures) f WHERE status <> 'no_data' ORDER BY as_of, code LIMIT 1;
\echo '-- What is lacking elsewhere, three of Yixing as of its day:'
SELECT code, name_zh, target, unit, due_date, status_zh, why FROM status WHERE pack_id = 'yixing-2023' AND as_of = '2023-07-17' AND code IN ('YX-23', 'YX-26', 'YX-28') ORDER BY code;
SELECT demo.expect(count(*) = 314 AND count(*) FILTER (WHERE status = 'met' AND pack_id = 'yixing-2023' AND as_of = '2023-07-17') = 2
                   AND bool_and(status <> 'no_data' OR why <> ''), 'each of 157 targets has a status on both days, each without data the reason why')
  FROM status \g (format=unaligned tuples_only=on)

\echo
\echo '-- What figures do: Yixing wants 60% of its banks on the platform by 30 November 2023. GENERATED figures, rolled back afterwards.'
\connect - platform_staff
BEGIN;
SELECT credit.observe('bank_count', '320282', date '2023-11-30', 31, 'generated') AS banks, credit.observe('bank_platform_entered_count', '320282', date '2023-11-30', 18, 'generated') AS entered \g /dev/null
CREATE TEMP TABLE tried ON COMMIT DROP AS
SELECT 1 AS n, '18 of 31, on the day'::text AS given, s.* FROM credit.target_status('yixing-2023', '2023-11-30') s WHERE code = 'YX-23';
INSERT INTO tried SELECT 2, '18 of 31, a fortnight later', s.* FROM credit.target_status('yixing-2023', '2023-12-14') s WHERE code = 'YX-23';
SELECT credit.observe('bank_platform_entered_count', '320282', date '2023-11-30', 19, 'generated') \g /dev/null
INSERT INTO tried SELECT 3, '19 of 31', s.* FROM credit.target_status('yixing-2023', '2023-11-30') s WHERE code = 'YX-23';
SELECT code, name_zh, t.given AS generated_figures, actual, target, gap, status, status_zh, why FROM tried t ORDER BY n;
SELECT demo.expect(array_agg(status ORDER BY n) = '{behind,missed,met}', '18 of 31 banks are behind, then missed; 19 are met') FROM tried \g (format=unaligned tuples_only=on)
ROLLBACK;

\connect - postgres
\echo
\echo '-- The log at the end of the demo:'
SELECT demo.settle() \g /dev/null
SELECT kind, count(*) AS entries, sum(count) AS rows_written FROM credit.audit_log GROUP BY 1 ORDER BY 1;
SELECT demo.expect(count(*) = max(seq) AND min(seq) = 1
                   AND count(*) FILTER (WHERE entry LIKE '%bank_platform_entered_count%') = 0 AND NOT EXISTS (SELECT FROM credit.audit_outbox),
                   count(*) || ' entries, numbers dense, nothing waiting')
  FROM credit.audit_log \g (format=unaligned tuples_only=on)
