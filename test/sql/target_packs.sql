-- The five packs as shipped: all rows, unchanged.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
SET client_min_messages = notice;
-- digests were computed over the source table, columns joined by |, rows by newline
SELECT t.pack, count(*) AS targets,
       encode(sha256(convert_to(string_agg(concat_ws('|', t.code, t.pack, t.clause, t.name_zh, t.name_en, t.metric, t.form,
           coalesce(t.comparator, ''), coalesce(t.value::text, ''), coalesce(t.unit, ''), coalesce(t.baseline::text, ''),
           coalesce(to_char(t.baseline_date, 'YYYY-MM-DD'), ''), coalesce(to_char(t.due_date, 'YYYY-MM-DD'), ''),
           coalesce(t.scope, ''), coalesce(t.responsible_unit, ''), '[' || t.tag || '] ' || t.note),
           E'\n' ORDER BY t.position), 'UTF8')), 'hex') AS digest
  FROM credit.target t WHERE t.shipped GROUP BY t.pack ORDER BY t.pack;
SELECT count(*) AS targets, count(DISTINCT metric) AS metrics, count(*) FILTER (WHERE value IS NULL) AS without_number
  FROM credit.target WHERE shipped;
SELECT form, count(*) FROM credit.target WHERE shipped GROUP BY form ORDER BY form;
SELECT pack_id, region, document_date, notice_date, draft, start_date, valid_until FROM credit.pack WHERE shipped ORDER BY pack_id;
-- every shipped row would pass the check that a user's row must pass
SELECT t.code, credit._target_problem(t, p.start_date, '{}') AS problem
  FROM credit.target t JOIN credit.pack p ON p.pack_id = t.pack
 WHERE t.shipped AND credit._target_problem(t, p.start_date, '{}') IS NOT NULL;
-- what a document leaves open is settled by a named decision
SELECT code, assumed_due, segment, decision FROM credit.target
 WHERE shipped AND (assumed_due IS NOT NULL OR decision IS NOT NULL) ORDER BY pack, position;
-- every target answers, at any time, without any figure: all no_data, each with its reason in both languages
BEGIN;
DELETE FROM credit.observation;
SELECT p.pack_id, s.status, count(*), count(s.why) AS why, count(s.why_zh) AS why_zh
  FROM credit.pack p CROSS JOIN (VALUES (date '2016-01-01'), ('2022-12-31'), ('2030-06-15')) d(as_of)
 CROSS JOIN LATERAL credit.target_status(p.pack_id, d.as_of) s
 WHERE p.shipped GROUP BY p.pack_id, s.status ORDER BY p.pack_id, s.status;
-- and against the figures that the documents report
SELECT p.pack_id, r.* FROM credit.pack p CROSS JOIN LATERAL credit.observe_reported(p.pack_id) r WHERE p.shipped ORDER BY 1;
SELECT code, name_zh, actual, target, status, status_zh FROM credit.target_status('yixing-2023', '2023-07-17') WHERE status <> 'no_data';
-- growth that is reported and growth that follows from reported balances agree, and so do the shares
SELECT credit._shown((g).num, (g).den) AS growth FROM credit._figure_at('loan_growth', '320282', '', '[2022-12-31,2022-12-31]') g;
SELECT round(credit._shown((g).num, (g).den), 6) AS growth FROM credit._figure_at('green_loan_growth', '320282', '', '[2022-12-31,2022-12-31]') g;
SELECT round(credit._shown((g).num, (g).den), 6) AS share FROM credit._figure_at('green_loan_share', '320282', '', '[2022-12-31,2022-12-31]') g;
SELECT round(credit._shown((g).num, (g).den), 2) AS average FROM credit._figure_at('online_farmer_loan_per_household', '320282', '', '[2023-07-17,2023-07-17]') g;
SELECT round(credit._shown((g).num, (g).den), 4) AS gap FROM credit._figure_at('loan_growth_gap', '320282', '', '[2022-12-31,2022-12-31]', '320000') g;
SELECT metric, value, kind, derivation FROM credit.reported_figures WHERE kind = 'derived' ORDER BY pack, position;
SELECT count(*) FILTER (WHERE derived) AS derived, count(*) AS figures FROM credit.observation;
ROLLBACK;
