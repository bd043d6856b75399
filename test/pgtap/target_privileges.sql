-- Who may do what with targets and figures; definer functions are pinned.
CREATE EXTENSION IF NOT EXISTS pgtap;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
BEGIN;
SELECT * FROM no_plan();

CREATE TEMP VIEW room_table AS
    SELECT unnest(ARRAY['metric', 'pack', 'target', 'target_member', 'target_setting', 'effective_target', 'observation',
                        'observation_history', 'observation_rejected', 'reported_figures']) AS name;
SELECT ok(NOT has_table_privilege(r, 'credit.' || t.name, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'),
          format('%s does not write credit.%s', r, t.name))
  FROM room_table t CROSS JOIN unnest(ARRAY['credit_operator', 'credit_analyst', 'credit_institution', 'credit_portal',
                                            'credit_provider', 'credit_auditor']) r;
SELECT is(has_table_privilege('credit_analyst', 'credit.' || t.name, 'SELECT'), t.name <> 'observation_rejected',
          'analyst reads credit.' || t.name) FROM room_table t;
SELECT ok(has_table_privilege('credit_operator', 'credit.' || t.name, 'SELECT'), 'operator reads credit.' || t.name) FROM room_table t;
SELECT ok(NOT has_table_privilege(r, 'credit.' || t.name, 'SELECT'), format('%s does not read credit.%s', r, t.name))
  FROM room_table t CROSS JOIN unnest(ARRAY['credit_institution', 'credit_portal', 'credit_provider']) r;

-- functions of this room, found by what they touch and by name, so that a new one cannot be forgotten
CREATE TEMP VIEW room_function AS
    SELECT p.oid, p.proname FROM pg_proc p
     WHERE p.pronamespace = 'credit'::regnamespace
       AND (coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~ 'credit\.(metric|pack|target|observation|reported_figures|_figure|_outcome|_case)\M'
            OR p.proname ~ '(^_?observe|_observation$|(?<!_rating)_pack$|_target$|^target_|^_judge|_annual_rate$|^annual_rate$|_of_growth$)');
SELECT cmp_ok((SELECT count(*) FROM room_function), '>', 30::bigint, 'the functions are found');
SELECT is(has_function_privilege('public', f.oid, 'EXECUTE'), f.proname IN ('annual_rate', 'base_of_growth', 'compare_annual_rate'),
          'PUBLIC and ' || f.oid::regprocedure)
  FROM room_function f;
SELECT is(array_agg(DISTINCT f.proname::text ORDER BY f.proname::text),
          ARRAY['_conflicts', 'annual_rate', 'base_of_growth', 'check_pack', 'compare_annual_rate', 'diff_pack', 'figures_due', 'pack_definition', 'seasonal_path',
                'target_drivers', 'target_status', 'target_what_if'],
          'what an analyst may call')
  FROM room_function f WHERE has_function_privilege('credit_analyst', f.oid, 'EXECUTE');
SELECT is(array_agg(DISTINCT f.proname::text ORDER BY f.proname::text),
          ARRAY['_conflicts', 'adopt_pack', 'annual_rate', 'base_of_growth', 'check_pack', 'compare_annual_rate', 'create_pack', 'define_source', 'diff_pack',
                'drop_pack', 'figures_due', 'observe', 'observe_reported', 'pack_definition', 'retract_observation', 'seasonal_path', 'set_path', 'set_precedence', 'set_target',
                'target_drivers', 'target_lineage', 'target_status', 'target_what_if'],
          'what an operator may call')
  FROM room_function f WHERE has_function_privilege('credit_operator', f.oid, 'EXECUTE');
SELECT ok(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], 'pinned: ' || p.oid::regprocedure)
  FROM pg_proc p JOIN room_function f ON f.oid = p.oid WHERE p.prosecdef;
SELECT ok(obj_description(f.oid, 'pg_proc') ~ '[一-龥]', 'described in both languages: ' || f.oid::regprocedure)
  FROM room_function f WHERE f.proname NOT LIKE '\_%';
SELECT ok(obj_description(('credit.' || t.name)::regclass, 'pg_class') ~ '[一-龥]', 'described in both languages: ' || t.name)
  FROM room_table t;

-- and for real, as these roles
SET LOCAL ROLE credit_analyst;
SELECT is((SELECT count(*) FROM credit.target_status('wenzhou-2022', '2022-12-31')), 20::bigint, 'analyst asks for the status');
SELECT throws_ok($$ SELECT credit.observe('bank_count', '330000', '2022-12-31', 1, 'x') $$, '42501', NULL, 'analyst does not observe');
SELECT throws_ok($$ INSERT INTO credit.observation VALUES ('bank_count', '330000', '', '[2022-12-31,2022-12-31]', 1, 'x') $$, '42501');
SELECT throws_ok($$ SELECT credit._judge(NULL, '330000', '2022-12-31') $$, '42501');
RESET ROLE;
SET LOCAL ROLE credit_operator;
SELECT is(credit.observe('bank_count', '330000', '2001-12-31', 1, 'x'), 'new', 'operator observes');
SELECT is((SELECT observed_by FROM credit.observation WHERE metric = 'bank_count' AND period = '[2001-12-31,2001-12-31]'),
          'credit_operator', 'and is named');
SELECT throws_ok($$ UPDATE credit.observation SET value = 2 $$, '42501');
SELECT throws_ok($$ DELETE FROM credit.observation_history $$, '42501');
RESET ROLE;
SET LOCAL ROLE credit_institution;
SELECT throws_ok($$ SELECT * FROM credit.target_status('wenzhou-2022', '2022-12-31') $$, '42501');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
