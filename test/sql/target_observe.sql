-- Entering figures: corrections, history, retraction, batches with bad rows.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
SET client_min_messages = notice;
BEGIN;
DELETE FROM credit.observation;
DELETE FROM credit.observation_history;
DELETE FROM credit.observation_rejected;
-- the same cell again: nothing, then a correction, then only another source
SELECT credit.observe('bank_count', '320282', '2022-12-31', 31, 'report 1') AS first,
       credit.observe('bank_count', '320282', '2022-12-31', 31.00, 'report 1') AS again;
SELECT credit.observe('bank_count', '320282', '2022-12-31', 30, 'report 2');
SELECT credit.observe('bank_count', '320282', '2022-12-31', 30, 'report 3');
SELECT metric, region, segment, period, value, source, derived FROM credit.observation;
SELECT metric, value, source, reason FROM credit.observation_history ORDER BY history_id;
SELECT credit.retract_observation('bank_count', '320282', '2022-12-31', '2022-12-31', 'reported by mistake');
SELECT count(*) FROM credit.observation;
SELECT value, source, reason FROM credit.observation_history ORDER BY history_id;
-- a stock holds at a day, a flow over a period; a segment is another cell
SELECT credit.observe('direct_financing_amount', '330200', '2021-01-01', '2021-12-31', 1.5e11, 'r'),
       credit.observe('bank_count', '320282', '2022-12-31', 1, 'r', 'foreign');
-- a batch: good rows go in, bad rows are kept as given with their reason
CREATE TEMP TABLE batch AS SELECT $$ [
  {"metric": "bank_count", "region": "320282", "as_of": "2022-12-31", "value": 31, "source": "b"},
  {"metric": "pawnshop_count", "region": "320282", "as_of": "2022-12-31", "value": "7", "source": "b", "derived": false},
  {"metric": "pawnshop_count", "region": "320282", "as_of": "2022-12-31", "value": 7.0, "source": "b"},
  {"metric": "exchange_count", "region": "320282", "as_of": "2022-12-31", "value": 2, "source": "b"},
  {"metric": "exchange_count", "region": "320282", "as_of": "2022-12-31", "value": 1, "source": "b"},
  {"metric": "no_such_metric", "region": "320282", "as_of": "2022-12-31", "value": 1, "source": "b"},
  {"metric": "bank_count", "region": "999999", "as_of": "2022-12-31", "value": 1, "source": "b"},
  {"metric": "bank_count", "region": "320282", "as_of": "2022-02-30", "value": 1, "source": "b"},
  {"metric": "bank_count", "region": "320282", "as_of": "infinity", "value": 1, "source": "b"},
  {"metric": "bank_count", "region": "320282", "period_start": "2022-01-01", "period_end": "2022-12-31", "value": 1, "source": "b"},
  {"metric": "direct_financing_amount", "region": "320282", "period_start": "2022-12-31", "period_end": "2022-01-01", "value": 1, "source": "b"},
  {"metric": "bank_count", "region": "320282", "as_of": "2021-12-31", "value": "NaN", "source": "b"},
  {"metric": "bank_count", "region": "320282", "as_of": "2021-12-31", "value": "Infinity", "source": "b"},
  {"metric": "bank_count", "region": "320282", "as_of": "2021-12-31", "value": 1e30, "source": "b"},
  {"metric": "bank_count", "region": "320282", "as_of": "2021-12-31", "value": 1e-21, "source": "b"},
  {"metric": "bank_count", "region": "320282", "as_of": "2021-12-31", "value": "thirty", "source": "b"},
  {"metric": "bank_count", "region": "320282", "as_of": "2021-12-31", "value": null, "source": "b"},
  {"metric": "bank_count", "region": "320282", "as_of": "2021-12-31", "value": 1, "source": " "},
  {"metric": "bank_count", "region": "320282", "as_of": "2021-12-31", "value": 1},
  {"metric": "bank_count", "region": "320282", "value": 1, "source": "b"},
  {"metric": "bank_count", "region": "320282", "as_of": "2021-12-31", "value": 1, "source": "b", "unit": "banks"},
  "a string", null, [], {}, {}
] $$::jsonb AS rows;
SELECT r.* FROM batch CROSS JOIN LATERAL credit.observe(batch.rows) r;
SELECT reason_sqlstate, reason, given ->> 'value' AS value, times FROM credit.observation_rejected ORDER BY given::text COLLATE "C";
SELECT metric, segment, period, value FROM credit.observation ORDER BY metric, segment, period;
-- given twice, it changes nothing and doubles nothing
SELECT r.* FROM batch CROSS JOIN LATERAL credit.observe(batch.rows) r;
SELECT count(*) AS rejected, min(times) AS times FROM credit.observation_rejected;
SELECT count(*) FROM credit.observation;
SELECT count(*) FROM credit.observation_history;
SELECT * FROM credit.observe('[]');
-- the reader's date style is not the batch's
SET LOCAL datestyle = 'SQL, DMY';
SELECT * FROM credit.observe('[{"metric": "bank_count", "region": "320282", "as_of": "2020-03-04", "value": 29, "source": "b"}]');
RESET datestyle;
SELECT period FROM credit.observation WHERE value = 29;
ROLLBACK;
\set VERBOSITY sqlstate
SELECT credit.observe('bank_count', '320282', '2022-12-31', 'NaN', 'r');
SELECT credit.observe('bank_count', '320282', '2022-12-31', '-Infinity', 'r');
SELECT credit.observe('bank_count', '320282', '2022-12-31', NULL, 'r');
SELECT credit.observe('bank_count', '320282', '2022-12-31', 31, NULL);
SELECT credit.observe('bank_count', '320282', '2022-12-31', 31, '');
SELECT credit.observe('no_such_metric', '320282', '2022-12-31', 31, 'r');
SELECT credit.observe('bank_count', '999999', '2022-12-31', 31, 'r');
SELECT credit.observe('bank_count', '320282', '2022-01-01', '2022-12-31', 31, 'r');
SELECT credit.observe('direct_financing_amount', '320282', '2022-12-31', '2022-01-01', 31, 'r');
SELECT credit.observe('direct_financing_amount', '320282', '-infinity', '2022-01-01', 31, 'r');
SELECT * FROM credit.observe('{}'::jsonb);
SELECT * FROM credit.observe(NULL::jsonb);
SELECT credit.retract_observation('bank_count', '320282', '1999-12-31', '1999-12-31', 'never was');
SELECT credit.retract_observation('bank_count', '320282', '1999-12-31', '1999-12-31', '');
SELECT * FROM credit.observe_reported('no-such-pack');
