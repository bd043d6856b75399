-- pgTAP: the rating room's functions and tables, who may use them, and that no definer function follows the caller's
-- search_path.
BEGIN;
SELECT plan(9);
CREATE TEMP VIEW room AS
SELECT p.oid, p.proname, p.prosecdef, p.proconfig, p.proacl, p.proparallel
  FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pgcredit'
 WHERE p.proname ~ '^_?(create_model|publish_model|retire_model|discard_model|model_.*|definition|check_definition|canonical_json|score.*|explain|grade|evaluate|rate|replay|rank_.*|auc.*|gini.*|ks.*|psi.*|rating_guard|models_changed)$';
SELECT cmp_ok((SELECT count(*) FROM room)::int, '>=', 40, 'the room has its functions');
SELECT is_empty('SELECT proname FROM room WHERE prosecdef AND (proconfig IS NULL OR NOT ''search_path=pg_catalog, pg_temp'' = ANY (proconfig))', 'definer functions pin search_path');
SELECT is_empty('SELECT proname FROM room r WHERE proacl IS NULL OR EXISTS (SELECT 1 FROM aclexplode(r.proacl) a WHERE a.grantee = 0)', 'PUBLIC may execute none of them');
SELECT is_empty('SELECT proname FROM room r, aclexplode(r.proacl) a WHERE proname ~ ''^_'' AND proname <> ''_score_columns'' AND a.grantee::regrole::text LIKE ''credit\_%''', 'internal functions are granted to nobody');
SELECT is((SELECT array_agg(DISTINCT a.grantee::regrole::text) FROM room r, aclexplode(r.proacl) a WHERE r.proname = 'score' AND a.grantee::regrole::text LIKE 'credit\_%'),
          (SELECT array_agg(DISTINCT a.grantee::regrole::text) FROM room r, aclexplode(r.proacl) a WHERE r.proname = '_score_columns' AND a.grantee::regrole::text LIKE 'credit\_%'),
          'who may call score may call what the planner makes of it');
SELECT is((SELECT array_agg(DISTINCT proparallel) FROM room WHERE proname IN ('score', '_score_columns', 'explain', 'grade', 'auc', 'ks', 'gini', 'psi')), '{s}'::"char"[], 'scoring and statistics are parallel safe');
SELECT is_empty($$SELECT c.relname, a.grantee::regrole, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.oid IN ('credit.model'::regclass, 'credit.characteristic'::regclass, 'credit.attribute'::regclass, 'credit.reason'::regclass, 'credit.grade_band'::regclass, 'credit.model_field'::regclass, 'credit.outside_grade'::regclass, 'credit.grade_rule'::regclass, 'credit.rating'::regclass)
      AND a.grantee <> c.relowner AND (a.privilege_type <> 'SELECT' OR a.grantee = 0)$$, 'nobody but the owner may write the tables');
SELECT is((SELECT array_agg(a.grantee::regrole::text) FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = 'credit.rating'::regclass AND a.grantee <> c.relowner), '{credit_operator}', 'only an operator reads ratings');
SELECT is_empty($$SELECT t FROM unnest('{model,characteristic,attribute,reason,grade_band,model_field,outside_grade,grade_rule,rating,model_model_id_seq,rating_rating_id_seq}'::text[]) t
    WHERE NOT EXISTS (SELECT 1 FROM pg_extension e WHERE e.extname = 'pgcredit' AND ('credit.' || t)::regclass = ANY (e.extconfig))$$, 'all of it is dumped');
SELECT * FROM finish();
ROLLBACK;
