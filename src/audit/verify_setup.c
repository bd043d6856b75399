/*
 * verify_setup.c
 *		What keeps the log as it is, for credit.verify_log: tables, indexes,
 *		triggers and functions of the audit room, as sql/30 to 33 make them.
 *
 * What should be there is written here, in the library, and not in a table or a
 * function that could be changed with the rest.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "audit/audit_internal.h"
#include "audit/verify.h"
#include "core/core.h"

/*
 * Each row of the result is something wrong.
 *
 * Triggers: tgtype has bits 1 row, 2 before, 4 insert, 8 delete, 16 update, 32
 * truncate.
 */
static const char setup_query[] =
"WITH tab (name, columns) AS (VALUES ('audit_entry', 'seq bigint, entry text'), ('audit_leaf', 'n bigint, hashes bytea'),"
"    ('audit_node', 'level smallint, n integer, hashes bytea'), ('audit_pruned', 'n bigint, hashes bytea'),"
"    ('audit_origin', 'origin text, since timestamp with time zone'),"
"    ('audit_checkpoint', 'size bigint, root bytea, peaks bytea, note text, signed timestamp with time zone'),"
"    ('audit_witness', 'name text, vkey text'),"
"    ('audit_cosignature', 'size bigint, witness text, made timestamp with time zone, line text'),"
"    ('audit_conflict', 'note text, found timestamp with time zone, what text'), ('audit_outbox', 'id bigint, prefix text, suffix text')),"
" rel AS (SELECT t.name, t.columns, c.oid, c.relkind, c.relpersistence, c.relhasrules, c.relhassubclass, c.relrowsecurity"
"    FROM tab t LEFT JOIN pg_class c ON c.relname = t.name AND c.relnamespace = 'credit'::regnamespace),"
" trigger (tab, name, function, kind) AS (VALUES"
"    ('audit_entry', 'only_grows', '_refuse_change', 58), ('audit_entry', 'only_restored', '_restore_log', 6),"
"    ('audit_entry', 'restored', '_restore_log', 4),"
"    ('audit_leaf', 'only_grows', '_refuse_change', 58), ('audit_leaf', 'only_written', '_refuse_change', 6),"
"    ('audit_node', 'only_grows', '_refuse_change', 58), ('audit_node', 'only_written', '_refuse_change', 6),"
"    ('audit_pruned', 'only_grows', '_refuse_change', 58), ('audit_pruned', 'only_restored', '_restore_rows', 6),"
"    ('audit_origin', 'only_grows', '_refuse_change', 58), ('audit_checkpoint', 'only_grows', '_refuse_change', 58),"
"    ('audit_checkpoint', 'only_restored', '_restore_rows', 6), ('audit_cosignature', 'only_grows', '_refuse_change', 58),"
"    ('audit_conflict', 'only_grows', '_refuse_change', 58),"
"    ('audit_origin', 'audit_insert', 'audit_write', 4), ('audit_origin', 'audit_update', 'audit_write', 16),"
"    ('audit_origin', 'audit_delete', 'audit_write', 8), ('audit_origin', 'audit_truncate', 'audit_write', 32),"
"    ('audit_witness', 'audit_insert', 'audit_write', 4), ('audit_witness', 'audit_update', 'audit_write', 16),"
"    ('audit_witness', 'audit_delete', 'audit_write', 8), ('audit_witness', 'audit_truncate', 'audit_write', 32),"
"    ('audit_conflict', 'audit_insert', 'audit_write', 4), ('audit_conflict', 'audit_update', 'audit_write', 16),"
"    ('audit_conflict', 'audit_delete', 'audit_write', 8), ('audit_conflict', 'audit_truncate', 'audit_write', 32)),"
" function (name, symbol) AS (VALUES"
"    ('_refuse_change', 'pgcredit_refuse_change'), ('_restore_log', 'pgcredit_restore_log'),"
"    ('_restore_rows', 'pgcredit_restore_rows'), ('audit_write', 'pgcredit_audit_write'), ('_audit_note', 'pgcredit_audit_note'),"
"    ('_subject_token', 'pgcredit_subject_token_sql'), ('_start_writer', 'pgcredit_start_writer'),"
"    ('leaf_hash', 'pgcredit_leaf_hash'), ('log_size', 'pgcredit_log_size'), ('log_root', 'pgcredit_log_root'),"
"    ('inclusion_proof', 'pgcredit_inclusion_proof'), ('consistency_proof', 'pgcredit_consistency_proof'),"
"    ('tile', 'pgcredit_tile'), ('entry_bundle', 'pgcredit_entry_bundle'), ('_log_vkey', 'pgcredit_log_vkey'),"
"    ('_sign_checkpoint', 'pgcredit_sign_checkpoint'), ('_cosignatures', 'pgcredit_cosignatures'),"
"    ('_note_text', 'pgcredit_note_text'), ('_own_note', 'pgcredit_own_note'), ('_vkey_name', 'pgcredit_vkey_name'),"
"    ('_witness_quorum', 'pgcredit_witness_quorum_sql'), ('verify_log', 'pgcredit_verify_log'),"
"    ('_verify_progress', 'pgcredit_verify_progress')),"
" member AS (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e"
"    ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pgcredit' WHERE d.deptype = 'e'),"
" found (place, what) AS ("
" SELECT 1, format('Table credit.%s is missing, or no plain table.', name) FROM rel"
"    WHERE relkind IS DISTINCT FROM 'r' OR relpersistence <> 'p'"
" UNION ALL SELECT 2, format('Index credit.%s_pkey is missing, not valid or not unique.', r.name) FROM rel r"
"    WHERE r.name NOT IN ('audit_conflict', 'audit_outbox') AND NOT EXISTS (SELECT FROM pg_index i"
"        JOIN pg_class c ON c.oid = i.indexrelid AND c.relname = r.name || '_pkey' AND c.relnamespace = 'credit'::regnamespace"
"        WHERE i.indrelid = r.oid AND i.indisunique AND i.indisvalid AND i.indisready AND i.indislive)"
" UNION ALL SELECT 3, format('Table credit.%s has rules, children or row security of its own.', name) FROM rel"
"    WHERE relhasrules OR relrowsecurity OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = rel.oid)"
" UNION ALL SELECT 3, format('Table credit.%s has other columns.', name) FROM rel WHERE columns IS DISTINCT FROM"
"    (SELECT string_agg(format('%s %s', a.attname, format_type(a.atttypid, NULL)), ', ' ORDER BY a.attnum) FROM pg_attribute a"
"        WHERE a.attrelid = rel.oid AND a.attnum > 0)"
" UNION ALL SELECT 4, format('Trigger %s of credit.%s is missing, disabled, or not ours.', t.name, t.tab) FROM trigger t"
"    WHERE NOT EXISTS (SELECT FROM pg_trigger g JOIN rel r ON r.oid = g.tgrelid AND r.name = t.tab"
"        JOIN pg_proc p ON p.oid = g.tgfoid AND p.proname = t.function AND p.pronamespace = 'credit'::regnamespace"
"        WHERE g.tgname = t.name AND g.tgenabled IN ('O', 'A') AND g.tgtype = t.kind AND g.tgqual IS NULL)"
" UNION ALL SELECT 5, format('Trigger %s of credit.%s is not ours.', g.tgname, r.name) FROM pg_trigger g JOIN rel r ON r.oid = g.tgrelid"
"    WHERE NOT g.tgisinternal AND NOT EXISTS (SELECT FROM trigger t WHERE t.tab = r.name AND t.name = g.tgname)"
" UNION ALL SELECT 6, format('Trigger %s of %s does not record what is written.', g.tgname, g.tgrelid::regclass) FROM pg_trigger g"
"    JOIN pg_proc p ON p.oid = g.tgfoid AND p.proname = 'audit_write' AND p.pronamespace = 'credit'::regnamespace"
"    WHERE g.tgenabled NOT IN ('O', 'A') OR g.tgqual IS NOT NULL"
" UNION ALL SELECT 6, format('Table %s has lost some of the triggers that record what is written.', g.tgrelid::regclass) FROM pg_trigger g"
"    JOIN pg_proc p ON p.oid = g.tgfoid AND p.proname = 'audit_write' AND p.pronamespace = 'credit'::regnamespace"
"    GROUP BY g.tgrelid HAVING bit_or(g.tgtype) NOT IN (32, 60)"
" UNION ALL SELECT 7, format('Function credit.%s is missing, or not the one of the library.', f.name) FROM function f"
"    WHERE NOT EXISTS (SELECT FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'c'"
"        WHERE p.proname = f.name AND p.pronamespace = 'credit'::regnamespace AND p.prosrc = f.symbol)"
" UNION ALL SELECT 8, format('Function %s is not in the library of the extension.', p.oid::regprocedure) FROM pg_proc p"
"    JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'c'"
"    WHERE p.probin <> '$libdir/pgcredit' OR p.prosrc NOT LIKE 'pgcredit\\_%'"
" UNION ALL SELECT 9, format('Table %s has policies, and its row security is off.', c.oid::regclass) FROM pg_class c"
"    JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid"
"    WHERE NOT c.relrowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))"
" SELECT what FROM found ORDER BY place, what COLLATE \"C\" LIMIT 1";

static bool
objects_are_there(Verify *verify)
{
	if (SPI_execute(setup_query, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the catalogue");
	return SPI_processed == 0 ||
		pgcredit_verify_wrong(verify, "setup", 0, "%s", SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
}

/*
 * Are the extension's objects those of the newest entry that says what they
 * are?  Asked of the library: the functions of SQL could be others by now.
 */
static bool
code_is_as_recorded(const Verify *verify)
{
	char	   *expected = pgcredit_code_expected(Max(verify->code, verify->begin), verify->next);

	/* The retention policy may have dropped the entry of the installation. */
	if (expected == NULL &&
		SPI_execute("SELECT FROM credit.audit_entry WHERE seq = 1", true, 1) == SPI_OK_SELECT &&
		SPI_processed == 0)
		return true;
	return expected != NULL && strcmp(expected, pgcredit_code_digest()) == 0;
}

/*
 * Before all: what the others rely on.
 */
bool
pgcredit_verify_setup(Verify *verify)
{
	bool		good;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	good = objects_are_there(verify);
	SPI_finish();
	return good;
}

/*
 * After all, when the entries that say what the code was are known to be true: is
 * it so now?  A change that commits while this looks at the log and the catalogue
 * may be seen in one of them only, so who finds a difference looks again.
 */
bool
pgcredit_verify_code(Verify *verify)
{
	bool		good = false;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	for (int k = 0; k < 3 && !good; k++)
	{
		PushActiveSnapshot(GetLatestSnapshot());
		good = code_is_as_recorded(verify);
		PopActiveSnapshot();
	}
	SPI_finish();
	return good || pgcredit_verify_wrong(verify, "setup", 0,
										 "The code of the extension's objects is not that of the newest entry that records a change of it.");
}
