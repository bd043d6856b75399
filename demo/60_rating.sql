-- rating: a scorecard fitted on one half, all 1,000 rated, judged on the other half
\connect - postgres
INSERT INTO credit.purpose (code, name_zh, name_en) VALUES ('rating', '信用评级', 'rating of the subject');
\connect - portal
\echo
\echo '-- The rating centre (平台评级中心) is an institution like a bank: it reads what subjects consented to, in a recorded access.'
\echo '   All 1,000 consent to it, for a purpose (查询原因) of our own, rating. GENERATED.'
SELECT count(credit.grant_consent(subject_id, 'rating_centre', '{loan_application,financial_credit_information,non_bank_information,self_report,loan_outcome}',
                                  '{rating}', now(), now() + interval '1 year')) AS consents_given FROM demo.customer;

\connect - rating_centre
SET client_min_messages = warning;
-- A row for each applicant, put together from the payloads of the records; it lives in this session only.
BEGIN;
SELECT granted, count(*) AS pairs_of_subject_and_category
  FROM (SELECT array_agg(subject_id) AS all_of_them FROM demo.customer) c,
       credit.open_access(c.all_of_them, 'rating', '{loan_application,financial_credit_information,non_bank_information,self_report,loan_outcome}')
 GROUP BY 1;
CREATE TEMP TABLE applicant AS
WITH item AS (
    SELECT r.subject_id, c.code AS category, r.payload AS p, r.payload ->> 'item' AS item, r.payload ->> 'value' AS value
      FROM credit.record r JOIN credit.category c USING (category_id) WHERE r.status = 'active'
)
SELECT subject_id,
       max((p ->> 'application')::integer) FILTER (WHERE category = 'loan_application') AS application,
       max(p ->> 'purpose') AS purpose,
       max((p ->> 'duration_months')::integer) AS duration,
       max((p ->> 'credit_amount')::numeric) AS credit_amount,
       max((p ->> 'installment_commitment')::integer) AS installment_commitment,
       max(p ->> 'other_parties') AS other_parties,
       max(p ->> 'other_payment_plans') AS other_payment_plans,
       max(value) FILTER (WHERE item = 'checking_status') AS checking_status,
       max(value) FILTER (WHERE item = 'savings_status') AS savings_status,
       max(value) FILTER (WHERE item = 'credit_history') AS credit_history,
       max(value) FILTER (WHERE item = 'existing_credits')::integer AS existing_credits,
       max(value) FILTER (WHERE item = 'employment') AS employment,
       max(value) FILTER (WHERE item = 'job') AS job,
       max(value) FILTER (WHERE item = 'property_magnitude') AS property_magnitude,
       max(value) FILTER (WHERE item = 'housing') AS housing,
       max(value) FILTER (WHERE item = 'age')::integer AS age,
       max(value) FILTER (WHERE item = 'residence_since')::integer AS residence_since,
       max(value) FILTER (WHERE item = 'num_dependents')::integer AS num_dependents,
       max(value) FILTER (WHERE item = 'own_telephone') AS own_telephone,
       bool_or(p ->> 'outcome' = 'bad') FILTER (WHERE category = 'loan_outcome') AS bad
  FROM item GROUP BY subject_id;
COMMIT;
-- Odd applications are for fitting; the even ones are not looked at before the end.
ALTER TABLE applicant ADD half text GENERATED ALWAYS AS (CASE WHEN application % 2 = 1 THEN 'fitting' ELSE 'judging' END) STORED;
SELECT half, count(*) AS applicants, count(*) FILTER (WHERE bad) AS bad FROM applicant GROUP BY 1 ORDER BY 1;
SELECT demo.expect(count(*) = 1000 AND count(*) FILTER (WHERE bad) = 300 AND count(a.checking_status) = 1000 AND count(a.age) = 1000,
                   '1,000 rows out of 16,000 records, 300 of them bad') FROM applicant a \g (format=unaligned tuples_only=on)

-- The only thing that is given: where the bins are cut, [low, high) or a set of values. Marital status, sex and nationality
-- are in the data; they are not for a score.
CREATE TEMP TABLE characteristic (name text PRIMARY KEY, title_en text, title_zh text);
INSERT INTO characteristic VALUES
    ('checking_status', 'balance of the account', '账户余额'), ('duration', 'months of the loan', '贷款期限'),
    ('credit_history', 'credit history', '信用历史'), ('purpose', 'purpose of the loan', '贷款用途'),
    ('credit_amount', 'amount of the loan', '贷款金额'), ('savings_status', 'savings', '储蓄'),
    ('employment', 'years in employment', '就业年限'), ('installment_commitment', 'instalment against income', '还款收入比'),
    ('other_parties', 'guarantors', '担保人'), ('residence_since', 'years at the address', '居住年限'),
    ('property_magnitude', 'property', '财产'), ('age', 'age', '年龄'), ('other_payment_plans', 'other instalments', '其他分期'),
    ('housing', 'housing', '住房'), ('existing_credits', 'loans at the bank', '现有贷款数'), ('job', 'occupation', '职业'),
    ('num_dependents', 'dependants', '赡养人数'), ('own_telephone', 'telephone', '电话');
CREATE TEMP TABLE bin (name text, bin integer, low numeric, high numeric, members text[], PRIMARY KEY (name, bin));
INSERT INTO bin (name, bin, low, high)
SELECT name, n, lag(edge) OVER edges, edge
  FROM (SELECT e.name, u.edge, u.n
          FROM (VALUES ('duration', '{8,16,36,NULL}'::numeric[]), ('credit_amount', '{1400,1800,4000,9200,NULL}'), ('age', '{26,35,40,NULL}'),
                       ('installment_commitment', '{2,3,4,NULL}'), ('existing_credits', '{2,NULL}'), ('residence_since', '{2,3,4,NULL}'),
                       ('num_dependents', '{2,NULL}')) e (name, edges), unnest(e.edges) WITH ORDINALITY u (edge, n)) v
WINDOW edges AS (PARTITION BY name ORDER BY n);
INSERT INTO bin (name, bin, members)
SELECT name, n, members::text[]
  FROM (VALUES
    ('checking_status', '{<0} | {0<=X<200} | {>=200} | {no checking}'),
    ('credit_history', '{no credits/all paid,all paid} | {existing paid} | {delayed previously} | {critical/other existing credit}'),
    ('purpose', '{used car,retraining} | {radio/tv} | {furniture/equipment,domestic appliance,business,repairs} | {new car,education,other,vacation}'),
    ('savings_status', '{<100} | {100<=X<500} | {500<=X<1000,>=1000} | {no known savings}'),
    ('employment', '{unemployed,<1} | {1<=X<4} | {4<=X<7} | {>=7}'),
    ('other_parties', '{none} | {co applicant} | {guarantor}'),
    ('property_magnitude', '{real estate} | {life insurance,car} | {no known property}'),
    ('other_payment_plans', '{none} | {bank,stores}'),
    ('housing', '{own} | {rent} | {for free}'),
    ('job', '{unskilled resident,unemp/unskilled non res} | {skilled} | {high qualif/self emp/mgmt}'),
    ('own_telephone', '{none} | {yes}')) v (name, groups), unnest(string_to_array(groups, ' | ')) WITH ORDINALITY u (members, n);

CREATE TEMP TABLE binned AS
SELECT a.application, a.half, a.bad, b.name, b.bin
  FROM applicant a
 CROSS JOIN LATERAL jsonb_each_text(to_jsonb(a)) f
  JOIN bin b ON b.name = f.key
 WHERE CASE WHEN b.members IS NULL THEN (b.low IS NULL OR f.value::numeric >= b.low) AND (b.high IS NULL OR f.value::numeric < b.high)
            ELSE f.value = ANY (b.members) END;
SELECT demo.expect(count(*) = 18 * 1000 AND count(DISTINCT (application, name)) = 18 * 1000, 'each of 18 attributes of each applicant falls into one bin') FROM binned
  \g (format=unaligned tuples_only=on)
-- Are we binning the data that everybody knows? The documentation of the R package scorecard prints these two, for all 1,000 rows.
SELECT demo.expect(round(sum((good - bad) * ln(good / bad)) FILTER (WHERE name = 'credit_amount'), 7) = 0.1812204
                   AND round(sum((good - bad) * ln(good / bad)) FILTER (WHERE name = 'housing'), 8) = 0.08329343,
                   'information values of amount (0.1812204) and housing (0.08329343) are those published for this data')
  FROM (SELECT name, bin, count(*) FILTER (WHERE NOT bad)::numeric / 700 AS good, count(*) FILTER (WHERE bad)::numeric / 300 AS bad
          FROM binned WHERE name IN ('credit_amount', 'housing') GROUP BY 1, 2) t
  \g (format=unaligned tuples_only=on)

-- Fitting: weight of evidence of each bin, half a case added to each count; 20 points double the odds of good to bad, 500
-- points are even odds. Characteristics with an information value of 0.02 and more on the fitting half come in.
CREATE TEMP TABLE fitted AS
WITH counted AS (
    SELECT b.name, b.bin, count(*) FILTER (WHERE NOT x.bad) + 0.5 AS good, count(*) FILTER (WHERE x.bad) + 0.5 AS bad
      FROM bin b LEFT JOIN binned x ON x.name = b.name AND x.bin = b.bin AND x.half = 'fitting' GROUP BY 1, 2
), weighed AS (
    SELECT c.*, good / sum(good) OVER w AS good_share, bad / sum(bad) OVER w AS bad_share FROM counted c WINDOW w AS (PARTITION BY name)
)
SELECT name, bin, good - 0.5 AS good, bad - 0.5 AS bad, ln(good_share / bad_share) AS woe,
       round(20 / ln(2.0) * ln(good_share / bad_share)) AS points,
       sum((good_share - bad_share) * ln(good_share / bad_share)) OVER (PARTITION BY name) AS information_value
  FROM weighed;
SELECT round(500 + 20 / ln(2.0) * ln(count(*) FILTER (WHERE NOT bad)::numeric / count(*) FILTER (WHERE bad))) AS initial_score
  FROM applicant WHERE half = 'fitting' \gset

\echo
\echo '-- Fitted on one half: what each characteristic says about the outcome (信息值), and the points of its bins (分值).'
SELECT c.name AS characteristic, c.title_zh, round(f.information_value, 3) AS information_value, f.information_value >= 0.02 AS comes_in,
       string_agg(to_char(f.points, 'SG999'), ' ' ORDER BY f.bin) AS points
  FROM fitted f JOIN characteristic c USING (name) GROUP BY c.name, f.information_value ORDER BY f.information_value DESC;
DELETE FROM fitted WHERE information_value < 0.02;
\echo '-- The strongest one in full:'
SELECT b.members AS values_of_balance, f.good, f.bad, round(100 * f.bad / (f.good + f.bad), 1) AS bad_percent, round(f.woe, 4) AS weight_of_evidence, f.points
  FROM fitted f JOIN bin b USING (name, bin) WHERE f.name = 'checking_status' ORDER BY f.bin;

-- The score as plain SQL adds it up; quintiles of the fitting half make the grades.
CREATE TEMP TABLE added AS
SELECT x.application, x.half, x.bad, :initial_score + sum(f.points) AS score FROM binned x JOIN fitted f USING (name, bin) GROUP BY 1, 2, 3;
SELECT percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY score) AS cuts FROM added WHERE half = 'fitting' \gset
SELECT jsonb_build_object(
           'name', 'german_credit', 'title_en', 'German credit, weights of evidence', 'title_zh', '德国信贷评分卡',
           'initial_score', :initial_score, 'baseline_method', 'max', 'reason_code_algorithm', 'pointsBelow',
           'characteristics', (
               SELECT jsonb_agg(jsonb_build_object('name', t.name, 'data_type', t.data_type, 'title_en', t.title_en, 'title_zh', t.title_zh,
                                                   'baseline_score', t.best, 'reason_code', t.name, 'attributes', t.attributes) ORDER BY t.information_value DESC)
                 FROM (SELECT c.name, c.title_en, c.title_zh, f.information_value, max(f.points) AS best,
                              CASE WHEN bool_and(b.members IS NULL) THEN 'number' ELSE 'text' END AS data_type,
                              jsonb_agg(CASE WHEN b.members IS NULL
                                             THEN jsonb_strip_nulls(jsonb_build_object('kind', 'interval', 'low', b.low, 'high', b.high, 'closure', 'closedOpen', 'points', f.points))
                                             ELSE jsonb_build_object('kind', 'set', 'values', b.members, 'points', f.points) END ORDER BY b.bin)
                              || '[{"kind": "missing", "points": 0}, {"kind": "other", "points": 0}]' AS attributes
                         FROM fitted f JOIN bin b USING (name, bin) JOIN characteristic c USING (name)
                        GROUP BY c.name, f.information_value) t),
           'reasons', (SELECT jsonb_agg(jsonb_build_object('code', c.name, 'text_en', c.title_en, 'text_zh', c.title_zh) ORDER BY c.name)
                         FROM characteristic c WHERE EXISTS (SELECT FROM fitted f WHERE f.name = c.name)),
           'grades', (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('grade', g.grade, 'title_zh', g.title_zh, 'low', g.low, 'high', g.high)))
                        FROM (SELECT (:'cuts'::numeric[])[1] AS c1, (:'cuts'::numeric[])[2] AS c2, (:'cuts'::numeric[])[3] AS c3, (:'cuts'::numeric[])[4] AS c4) q,
                             LATERAL (VALUES ('E', '差', NULL, c1), ('D', '较差', c1, c2), ('C', '一般', c2, c3), ('B', '良好', c3, c4), ('A', '优秀', c4, NULL)) g (grade, title_zh, low, high))
       ) AS definition \gset
SELECT credit.create_model(:'definition') AS version \gset
SELECT encode(credit.submit_model('german_credit', :version), 'hex') AS submitted \gset
\echo '-- The centre submits it; a second person (复核人) publishes what was submitted, by its digest.'
\setenv VERSION :version
\set digest `psql -X -q -A -t -v ON_ERROR_STOP=1 -U model_reviewer -c "SELECT encode(credit.publish_model('german_credit', $VERSION), 'hex')"`
SELECT demo.expect(:'digest' = :'submitted', 'what was published is what was submitted') \g (format=unaligned tuples_only=on)
\echo '-- Published as a scorecard (评分卡); from here on it cannot be changed:'
SELECT m.name, m.version, m.status, m.initial_score, m.part_counts[1] AS characteristics, m.part_counts[2] AS attributes, left(:'digest', 16) || '…' AS digest,
       (SELECT string_agg(grade || coalesce(' from ' || low, ' below ' || high), ', ' ORDER BY ordinal DESC) FROM credit.grade_band g WHERE g.model_id = m.model_id) AS grades
  FROM credit.model m WHERE m.name = 'german_credit';

\echo '-- All 1,000 are rated (评级) and the ratings stored with their inputs:'
SELECT count(credit.rate('german_credit', a.subject_id, a)) AS rated FROM applicant a;
SELECT unnest(ARRAY[
           demo.expect(count(*) = 1000 AND bool_and(r.score = d.score), 'the engine in C and the sum in plain SQL agree on all 1,000 scores'),
           demo.expect(bool_and(r.score = (SELECT sum(e.points) FROM credit.explain('german_credit', a) e)), 'all 1,000 explanations add up to their score'),
           demo.expect(bool_and((credit.replay(r.subject_id, r.rating_id)).equal), 'all 1,000 ratings replay bit for bit from their stored inputs')])
  FROM credit.rating r JOIN applicant a USING (subject_id) JOIN added d USING (application) \g (format=unaligned tuples_only=on)

\echo
\echo '-- How well it tells good from bad (AUC, KS, Gini). The half for judging was not used for fitting.'
SELECT a.half, count(*) AS applicants, round(credit.auc(r.score, a.bad)::numeric, 4) AS auc, round(credit.ks(r.score, a.bad)::numeric, 4) AS ks,
       round(credit.gini(r.score, a.bad)::numeric, 4) AS gini
  FROM credit.rating r JOIN applicant a USING (subject_id) GROUP BY 1 ORDER BY 1;
SELECT demo.expect(abs(credit.auc(r.score, a.bad) - (SELECT avg((g.score > b.score)::integer + 0.5 * (g.score = b.score)::integer)::float8
                                                       FROM added g, added b WHERE g.half = 'judging' AND b.half = 'judging' AND NOT g.bad AND b.bad)) < 1e-12,
                   'AUC is the share of pairs, good and bad, that the score puts right, counted one by one')
  FROM credit.rating r JOIN applicant a USING (subject_id) WHERE a.half = 'judging' \g (format=unaligned tuples_only=on)
SELECT demo.expect(credit.auc(r.score, a.bad) > 0.7 AND credit.ks(r.score, a.bad) > 0.3, 'on the half for judging AUC is above 0.7 and KS above 0.3')
  FROM credit.rating r JOIN applicant a USING (subject_id) WHERE a.half = 'judging' \g (format=unaligned tuples_only=on)

\echo
\echo '-- Grades (信用等级) with the real outcomes of the half for judging:'
SELECT r.grade, b.title_zh, min(r.score) AS lowest, max(r.score) AS highest, count(*) FILTER (WHERE a.half = 'fitting') AS fitting,
       count(*) FILTER (WHERE a.half = 'judging') AS judging, count(*) FILTER (WHERE a.half = 'judging' AND a.bad) AS of_which_bad,
       round(100.0 * count(*) FILTER (WHERE a.half = 'judging' AND a.bad) / count(*) FILTER (WHERE a.half = 'judging'), 1) AS bad_percent
  FROM credit.rating r JOIN applicant a USING (subject_id) JOIN credit.grade_band b ON b.model_id = r.model_id AND b.grade = r.grade
 GROUP BY r.grade, b.title_zh ORDER BY 1;
SELECT demo.expect(avg(a.bad::integer) FILTER (WHERE r.grade = 'A') < avg(a.bad::integer) FILTER (WHERE r.grade = 'C')
                   AND avg(a.bad::integer) FILTER (WHERE r.grade = 'C') < avg(a.bad::integer) FILTER (WHERE r.grade = 'E'),
                   'loans of grade A went bad less often than those of C, those of C less often than those of E')
  FROM credit.rating r JOIN applicant a USING (subject_id) WHERE a.half = 'judging' \g (format=unaligned tuples_only=on)
SELECT round(credit.psi(r.grade, a.half = 'judging')::numeric, 4) AS psi_between_the_halves, 'below 0.1: the halves are alike (群体稳定性指数)' AS reading
  FROM credit.rating r JOIN applicant a USING (subject_id);

\echo '-- Why (评分解释): the lowest score of the half for judging. Points add up to the score; reason_rank 1 cost most against the best.'
SELECT r.subject_id AS explained, r.score AS explained_score, r.grade AS explained_grade, a.bad AS explained_bad
  FROM credit.rating r JOIN applicant a USING (subject_id) WHERE a.half = 'judging' ORDER BY r.score, r.subject_id LIMIT 1 \gset
SELECT e.characteristic, e.reason_zh, e.value, e.attribute, e.points, e.baseline, e.difference, e.reason_rank
  FROM applicant a, credit.explain('german_credit', a) e WHERE a.subject_id = :explained ORDER BY e.ordinal;
SELECT demo.expect(sum(e.points) = :explained_score,
                   'the points add up to ' || sum(e.points) || ', the stored score; grade ' || :'explained_grade'
                   || CASE WHEN :'explained_bad'::boolean THEN ', and the loan did go bad' ELSE ', yet the loan was repaid' END)
  FROM applicant a, credit.explain('german_credit', a) e WHERE a.subject_id = :explained \g (format=unaligned tuples_only=on)

\echo
\echo '-- What was published stays, against the owner of the tables too; and the rating centre''s own look is in the log.'
\connect - postgres
\set SHOW_CONTEXT never
\set ON_ERROR_STOP off
UPDATE credit.attribute SET points = points + 50 WHERE characteristic = 1;
\set changed :SQLSTATE
\set ON_ERROR_STOP on
\set SHOW_CONTEXT errors
SELECT demo.expect(:'changed' = 'PC401', 'a published scorecard is not changed: PC401') \g (format=unaligned tuples_only=on)
SELECT demo.expect(sum(coalesce(jsonb_array_length(subjects), count)) = 1000, 'the log has the look of the rating centre at 1,000 subjects')
  FROM credit.audit_log WHERE kind = 'access' AND institution = 'rating_centre' \g (format=unaligned tuples_only=on)
