SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
\set VERBOSITY default
BEGIN;
CREATE ROLE registry_inst_op;
CREATE ROLE registry_inst_bank;
CREATE ROLE registry_inst_tax;
CREATE ROLE registry_inst_super SUPERUSER;
CREATE ROLE registry_inst_heir;
CREATE ROLE registry_inst_bypass BYPASSRLS;
CREATE ROLE registry_inst_reader;
GRANT registry_inst_super TO registry_inst_heir;
GRANT pg_read_all_data TO registry_inst_reader;
GRANT credit_operator TO registry_inst_op;
SET ROLE registry_inst_op;
SELECT credit.register_institution('bank-a', '甲银行', 'Bank A', 'commercial_bank', 'registry_inst_bank') > 0 AS entered;
RESET ROLE;
GRANT credit_institution TO registry_inst_bank;
GRANT credit_provider TO registry_inst_tax;
SET ROLE registry_inst_op;
SELECT credit.register_institution('tax-a', '甲税务', 'Tax A', 'tax', 'registry_inst_tax') > 0 AS entered;
-- refused
SELECT credit.register_institution('x', 'x', 'x', 'commercial_bank', 'registry_inst_super');
SELECT credit.register_institution('x', 'x', 'x', 'commercial_bank', 'registry_inst_heir');
SELECT credit.register_institution('x', 'x', 'x', 'commercial_bank', 'registry_inst_bypass');
SELECT credit.register_institution('x', 'x', 'x', 'commercial_bank', 'registry_inst_reader');
SELECT credit.register_institution('x', 'x', 'x', 'commercial_bank', 'credit_institution');
SELECT credit.register_institution('x', 'x', 'x', 'no_such_kind', 'registry_inst_op');
SELECT credit.register_institution('x', 'x', 'x', 'commercial_bank', 4294967295::oid::regrole);
\set VERBOSITY sqlstate
SELECT credit.register_institution('bank-a', 'x', 'x', 'commercial_bank', 'registry_inst_op');
SELECT credit.register_institution('bank-b', 'x', 'x', 'commercial_bank', 'registry_inst_bank');
\set VERBOSITY default
-- status
SELECT credit.set_institution_status('bank-a', 'suspended');
SELECT code, status, status_changed_at IS NOT NULL AS changed FROM credit.institution WHERE db_role = 'registry_inst_bank'::regrole;
SELECT credit.set_institution_status('bank-a', 'closed');
SELECT credit.set_institution_status('bank-z', 'active');
SELECT credit.assign_category('tax_payment', 'tax-a', '1 month');
SELECT credit.assign_category('public_credit_information', 'tax-a');
SELECT credit.assign_category('tax_payment', 'nobody');
-- who am I
SET ROLE registry_inst_bank;
SELECT credit.calling_institution() = (SELECT institution_id FROM credit.institution WHERE code = 'bank-a') AS me;
SELECT credit.register_institution('y', 'y', 'y', 'commercial_bank', 'registry_inst_bank');
SELECT db_role FROM credit.institution;
SET ROLE registry_inst_op;
SELECT credit.calling_institution() IS NULL AS nobody;
SELECT credit.unassign_category('tax_payment', 'tax-a');
SELECT credit.unassign_category('tax_payment', 'tax-a');
ROLLBACK;
