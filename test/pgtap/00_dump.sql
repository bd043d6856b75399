-- What users fill is dumped (P10): pg_dump leaves out the rows of an extension's tables, unless registered.
BEGIN;
SELECT plan(3);

CREATE TEMP VIEW rel AS
    SELECT c.* FROM pg_class c
      JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE e.extname = 'pgcredit';
CREATE TEMP VIEW registered AS
    SELECT unnest(extconfig) AS oid FROM pg_extension WHERE extname = 'pgcredit';

-- Vocabularies that come with the release and that nobody may add to.
CREATE TEMP VIEW vocabulary AS
    SELECT unnest(ARRAY['credit.institution_kind', 'credit.subject_kind', 'credit.ledger'])::regclass AS oid;

-- What the platform makes anew from what is dumped, or at its installation.
CREATE TEMP VIEW derived AS
    SELECT unnest(ARRAY['credit.audit_leaf', 'credit.audit_node', 'credit.audit_history', 'credit.audit_history_state',
                        'credit.audit_descriptor', 'credit.audit_bulk', 'credit.category_view', 'credit._installed', 'credit.ledger_partition',
                        'credit._measure_delta', 'credit._measure_cell', 'credit._measure_total', 'credit._measure_subject',
                        'credit._measure_rollup', 'credit._region_within', 'credit._region_change', 'credit._figure_change', 'credit._measure_fold'])::regclass AS oid;

SELECT is_empty($$
    SELECT r.oid::regclass FROM rel r
     WHERE r.relkind IN ('r', 'p') AND r.relpersistence = 'p'
       AND r.oid NOT IN (SELECT oid FROM registered UNION ALL SELECT oid FROM vocabulary UNION ALL SELECT oid FROM derived) $$,
    'every table is registered for pg_dump');

SELECT is_empty($$
    SELECT r.oid::regclass FROM rel r
     WHERE r.relkind = 'S' AND r.oid NOT IN (SELECT oid FROM registered) $$,
    'every sequence is registered for pg_dump: numbers must not start again after a restore');

SELECT is_empty($$
    SELECT g.oid::regclass FROM registered g WHERE NOT EXISTS (SELECT 1 FROM rel r WHERE r.oid = g.oid) $$,
    'nothing else is registered');

SELECT * FROM finish();
ROLLBACK;
