-- ---------------------------------------------------------------------------
-- 36 audit: watching the log
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._stat_audit(
    OUT queue_items integer, OUT queue_bytes bigint, OUT queue_share double precision,
    OUT batches bigint, OUT batch_largest bigint, OUT entries bigint, OUT bytes bigint, OUT entries_per_second double precision,
    OUT wait_histogram bigint[], OUT waits bigint, OUT wait_ms double precision, OUT refusals bigint, OUT failures bigint,
    OUT notary_failures bigint, OUT failed timestamptz, OUT failure_sqlstate text, OUT failure text,
    OUT writer_pid integer, OUT writer_started timestamptz, OUT writer_starts bigint,
    OUT notary_pid integer, OUT notary_started timestamptz, OUT counted_since timestamptz)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'pgcredit_stat_audit' LANGUAGE C VOLATILE PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION credit._stat_audit() IS 'what the server counts of this database''s log; no row where nobody counts (审计统计)';

CREATE FUNCTION credit._stat_audit_refusals(OUT kind text, OUT reason text, OUT refused bigint) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'pgcredit_stat_audit_refusals' LANGUAGE C VOLATILE PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION credit._stat_audit_refusals() IS 'refused accesses by reason; no row where nobody counts (拒绝统计)';

CREATE FUNCTION credit.stat_audit_reset() RETURNS void
    AS 'MODULE_PATHNAME', 'pgcredit_stat_audit_reset' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION credit.stat_audit_reset() IS 'begins the counts of credit.stat_audit anew (审计统计清零)';

-- The log's own tables are read as the owner of the view: two ends of an index, the newest checkpoint, the outbox.
CREATE VIEW credit.stat_audit WITH (security_barrier) AS
SELECT s.queue_items, s.queue_bytes, s.queue_share,
       (SELECT count(*) FROM credit.audit_outbox) AS outbox_rows,
       s.entries, s.bytes, s.entries_per_second,
       s.batches, s.entries::double precision / NULLIF(s.batches, 0) AS batch_mean, s.batch_largest,
       s.waits, s.wait_ms, s.wait_histogram,
       s.refusals, s.failures,
       e.kept_from, e.log_size,
       c.size AS checkpoint_size, c.signed AS checkpoint_signed, e.log_size - coalesce(c.size, 0) AS checkpoint_behind,
       s.notary_failures, s.failed, s.failure_sqlstate, s.failure,
       s.writer_pid, s.writer_started, s.writer_starts, s.notary_pid, s.notary_started,
       s.counted_since
  FROM (SELECT (SELECT min(seq) FROM credit.audit_entry) AS kept_from,
               coalesce((SELECT max(seq) FROM credit.audit_entry), 0) AS log_size) e
  LEFT JOIN LATERAL (SELECT k.size, k.signed FROM credit.audit_checkpoint k ORDER BY k.size DESC LIMIT 1) c ON true
  LEFT JOIN credit._stat_audit() s ON true;
COMMENT ON VIEW credit.stat_audit IS 'how the log of this database is doing: one row (审计运行状态)';
COMMENT ON COLUMN credit.stat_audit.queue_items IS 'entries in the ring, not taken by the writer yet (队列条数)';
COMMENT ON COLUMN credit.stat_audit.queue_share IS 'share of the ring that they fill (队列占用率)';
COMMENT ON COLUMN credit.stat_audit.outbox_rows IS 'entries of committed writes not numbered yet (待入日志条数)';
COMMENT ON COLUMN credit.stat_audit.wait_histogram IS 'waits of readers, by time: see credit.stat_audit_wait (等待时间分布)';
COMMENT ON COLUMN credit.stat_audit.refusals IS 'entries of refused accesses: see credit.stat_audit_refusal (拒绝条数)';
COMMENT ON COLUMN credit.stat_audit.failures IS 'accesses refused because they could not be recorded (无法留痕次数)';
COMMENT ON COLUMN credit.stat_audit.kept_from IS 'first entry that the retention policy has not dropped (最早保留序号)';
COMMENT ON COLUMN credit.stat_audit.checkpoint_behind IS 'entries that the newest checkpoint does not cover (未签名条数)';
COMMENT ON COLUMN credit.stat_audit.failure IS 'message of the notary''s last failure (公证进程最近错误)';

CREATE VIEW credit.stat_audit_wait WITH (security_barrier) AS
SELECT h.bucket::integer AS bucket,
       CASE WHEN h.bucket = 1 THEN 0 ELSE 2::bigint ^ (h.bucket - 2) END::bigint AS from_us,
       CASE WHEN h.bucket < array_length(s.wait_histogram, 1) THEN 2::bigint ^ (h.bucket - 1) END::bigint AS below_us,
       h.waits,
       (sum(h.waits) OVER (ORDER BY h.bucket) / NULLIF(sum(h.waits) OVER (), 0))::double precision AS share_below
  FROM credit._stat_audit() s CROSS JOIN LATERAL unnest(s.wait_histogram) WITH ORDINALITY h(waits, bucket);
COMMENT ON VIEW credit.stat_audit_wait IS 'how long readers waited until their entries were durable, by powers of two of a microsecond (读者等待时间)';
COMMENT ON COLUMN credit.stat_audit_wait.share_below IS 'share of all waits that were shorter than below_us (累计占比)';

CREATE VIEW credit.stat_audit_refusal WITH (security_barrier) AS
SELECT r.kind, r.reason, r.refused FROM credit._stat_audit_refusals() r;
COMMENT ON VIEW credit.stat_audit_refusal IS
    'refused accesses: kind "refusal" by the reason in their entry, kind "failure" (not recorded) by SQLSTATE (拒绝统计)';

REVOKE ALL ON credit.stat_audit, credit.stat_audit_wait, credit.stat_audit_refusal FROM PUBLIC;
REVOKE ALL ON FUNCTION credit._stat_audit(), credit._stat_audit_refusals(), credit.stat_audit_reset() FROM PUBLIC;
-- Whoever watches the server's other statistics may watch these; the schema shows him nothing else.
GRANT USAGE ON SCHEMA credit TO pg_monitor;
GRANT SELECT ON credit.stat_audit, credit.stat_audit_wait, credit.stat_audit_refusal TO credit_operator, credit_auditor, pg_monitor;
GRANT EXECUTE ON FUNCTION credit._stat_audit(), credit._stat_audit_refusals() TO credit_operator, credit_auditor, pg_monitor;
GRANT EXECUTE ON FUNCTION credit.stat_audit_reset() TO credit_operator;
