/*
 * code_digest.c
 *		What the platform's code is, in 32 bytes: a digest over the definitions of
 *		all functions, tables, triggers, policies, rules and so on that belong to
 *		the extension, or hang on its tables.
 *
 * Each definition is a line of JSON, and the digest is over the lines in the
 * order of their bytes, so that neither Oids nor the order of creation count: a
 * dump restored elsewhere, and another database with the same version, have the
 * same digest.  Owners and rights do not count either: they differ from one
 * platform to the next and have entries of their own.  Text that PostgreSQL
 * makes out of a stored expression can differ between its majors, so the digest
 * may as well.
 *
 * An entry that records a change of the code holds the digest after it.  Where
 * the catalogue's digest is another than the newest such entry's, somebody
 * changed the catalogue past the log.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "audit/audit_internal.h"
#include "audit/tree.h"
#include "core/core.h"
#include "crypto/crypto.h"

PG_FUNCTION_INFO_V1(pgcredit_code_digest_sql);
PG_FUNCTION_INFO_V1(pgcredit_code_expected_sql);

/* Columns of credit.audit_outbox, from 1 */
#define OUTBOX_ID 1
#define OUTBOX_PREFIX 2

static const char *const members =
	"WITH m AS MATERIALIZED (SELECT d.classid, d.objid FROM pg_depend d"
	" JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid"
	" WHERE d.deptype = 'e' AND e.extname = 'pgcredit'),"
	" r AS MATERIALIZED (SELECT c.* FROM m JOIN pg_class c ON c.oid = m.objid WHERE m.classid = 'pg_class'::regclass) ";

/* One query for each sort of definition; columns exist in every supported version. */
static const char *const definitions[] = {
	"SELECT json_build_array('function', p.oid::regprocedure, l.lanname, p.prokind, p.prosecdef, p.proleakproof, p.proisstrict,"
	" p.proretset, p.provolatile, p.proparallel, p.procost, p.prorows, p.prosupport, pg_get_function_result(p.oid),"
	" pg_get_function_arguments(p.oid), p.prosrc, substring(p.probin from '[^/]*$'), pg_get_function_sqlbody(p.oid),"
	/* written so where the script ran with quote_all_identifiers */
	" (SELECT json_agg(replace(c, '\"pg_catalog\", \"pg_temp\"', 'pg_catalog, pg_temp') ORDER BY o)"
	" FROM unnest(p.proconfig) WITH ORDINALITY AS u (c, o)))"
	" FROM m JOIN pg_proc p ON p.oid = m.objid JOIN pg_language l ON l.oid = p.prolang WHERE m.classid = 'pg_proc'::regclass",

	"SELECT json_build_array('aggregate', a.aggfnoid::regprocedure, a.aggkind, a.aggnumdirectargs, a.aggtransfn, a.aggfinalfn,"
	" a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, a.aggfinalextra,"
	" a.aggfinalmodify, a.aggsortop::regoperator, a.aggtranstype::regtype, a.aggmtranstype::regtype, a.agginitval, a.aggminitval)"
	" FROM m JOIN pg_aggregate a ON a.aggfnoid = m.objid WHERE m.classid = 'pg_proc'::regclass",

	"SELECT json_build_array('relation', r.oid::regclass, r.relkind, r.relpersistence, r.relrowsecurity, r.relforcerowsecurity,"
	" r.relreplident, r.reloptions, CASE WHEN r.relkind IN ('v', 'm') THEN pg_get_viewdef(r.oid) END) FROM r",

	"SELECT json_build_array('column', a.attrelid::regclass, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum),"
	" a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity,"
	" a.attgenerated, CASE WHEN a.attcollation <> 0 THEN a.attcollation::regcollation END)"
	" FROM r JOIN pg_attribute a ON a.attrelid = r.oid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
	" WHERE a.attnum > 0 AND NOT a.attisdropped",

	"SELECT json_build_array('sequence', s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin,"
	" s.seqmax, s.seqcache, s.seqcycle) FROM r JOIN pg_sequence s ON s.seqrelid = r.oid",

	"SELECT json_build_array('constraint', c.conrelid::regclass, c.contypid::regtype, c.conname, pg_get_constraintdef(c.oid),"
	" c.convalidated) FROM pg_constraint c WHERE c.conrelid IN (SELECT oid FROM r)"
	" OR c.contypid IN (SELECT objid FROM m WHERE classid = 'pg_type'::regclass)",

	"SELECT json_build_array('index', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready, i.indisreplident)"
	" FROM r JOIN pg_index i ON i.indrelid = r.oid",

	"SELECT json_build_array('trigger', t.tgrelid::regclass, t.tgname, pg_get_triggerdef(t.oid), t.tgenabled)"
	" FROM r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal",

	/* a foreign key's triggers, whose names are Oids; not those of a user's table that refers to ours */
	"SELECT json_build_array('constraint trigger', t.tgrelid::regclass, c.conrelid::regclass, c.conname, t.tgfoid::regproc,"
	" t.tgtype, t.tgenabled) FROM r JOIN pg_trigger t ON t.tgrelid = r.oid JOIN pg_constraint c ON c.oid = t.tgconstraint"
	" WHERE t.tgisinternal AND c.conrelid IN (SELECT oid FROM r)",

	"SELECT json_build_array('policy', p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive,"
	" (SELECT json_agg(n ORDER BY n) FROM (SELECT CASE o WHEN 0 THEN 'public' ELSE pg_get_userbyid(o)::text END COLLATE \"C\" AS n"
	" FROM unnest(p.polroles) o) x), pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))"
	" FROM r JOIN pg_policy p ON p.polrelid = r.oid",

	"SELECT json_build_array('rule', w.ev_class::regclass, w.rulename, w.ev_enabled,"
	" CASE WHEN w.rulename <> '_RETURN' THEN pg_get_ruledef(w.oid) END) FROM r JOIN pg_rewrite w ON w.ev_class = r.oid",

	"SELECT json_build_array('type', t.oid::regtype, t.typtype, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory,"
	" t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typanalyze, t.typnotnull,"
	" format_type(NULLIF(t.typbasetype, 0), t.typtypmod), t.typdefault)"
	" FROM m JOIN pg_type t ON t.oid = m.objid WHERE m.classid = 'pg_type'::regclass AND t.typtype IN ('b', 'd', 'e', 'r')"
	" AND NOT EXISTS (SELECT FROM pg_type x WHERE x.typarray = t.oid)",

	"SELECT json_build_array('operator', o.oid::regoperator, o.oprresult::regtype, o.oprcode, o.oprrest, o.oprjoin,"
	" o.oprcom::regoperator, o.oprnegate::regoperator, o.oprcanmerge, o.oprcanhash)"
	" FROM m JOIN pg_operator o ON o.oid = m.objid WHERE m.classid = 'pg_operator'::regclass",

	"SELECT json_build_array('cast', c.castsource::regtype, c.casttarget::regtype, c.castfunc::regprocedure, c.castcontext,"
	" c.castmethod) FROM m JOIN pg_cast c ON c.oid = m.objid WHERE m.classid = 'pg_cast'::regclass",

	"SELECT json_build_array('operator class', c.opcname, a.amname, c.opcintype::regtype, c.opckeytype::regtype, c.opcdefault)"
	" FROM m JOIN pg_opclass c ON c.oid = m.objid JOIN pg_am a ON a.oid = c.opcmethod WHERE m.classid = 'pg_opclass'::regclass",

	"SELECT json_build_array('operator of a family', f.opfname, a.amopopr::regoperator, a.amopstrategy, a.amoppurpose)"
	" FROM m JOIN pg_opfamily f ON f.oid = m.objid JOIN pg_amop a ON a.amopfamily = f.oid WHERE m.classid = 'pg_opfamily'::regclass",

	"SELECT json_build_array('function of a family', f.opfname, a.amproc::regprocedure, a.amprocnum, a.amproclefttype::regtype,"
	" a.amprocrighttype::regtype)"
	" FROM m JOIN pg_opfamily f ON f.oid = m.objid JOIN pg_amproc a ON a.amprocfamily = f.oid WHERE m.classid = 'pg_opfamily'::regclass"
};

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * Settings that decide how a definition is written; undone by AtEOXact_GUC.
 */
static int
pin_definition_forms(void)
{
	static const char *const forms[][2] = {
		{"search_path", "pg_catalog, pg_temp"}, {"quote_all_identifiers", "off"},
		{"standard_conforming_strings", "on"}, {"jit", "off"}
	};
	int			level = pgcredit_pin_text_forms(true);

	for (int k = 0; k < lengthof(forms); k++)
		(void) set_config_option(forms[k][0], forms[k][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/*
 * The lines of all definitions in SPI's memory; *n is their number.  Uses the
 * latest snapshot, with what this command did.
 */
static char **
definition_lines(int *n)
{
	StringInfoData sql;
	char	  **lines;

	initStringInfo(&sql);
	appendStringInfo(&sql, "%sSELECT j::text FROM (", members);
	for (int k = 0; k < lengthof(definitions); k++)
		appendStringInfo(&sql, "%s%s", k == 0 ? "" : " UNION ALL ", definitions[k]);
	appendStringInfoString(&sql, ") AS line (j)");
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute(sql.data, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the catalogue");
	PopActiveSnapshot();
	*n = (int) SPI_processed;
	lines = palloc(Max(*n, 1) * sizeof(char *));
	for (int k = 0; k < *n; k++)
	{
		lines[k] = SPI_getvalue(SPI_tuptable->vals[k], SPI_tuptable->tupdesc, 1);
		if (lines[k] == NULL)
			elog(ERROR, "a definition is null");
	}
	qsort(lines, *n, sizeof(char *), by_bytes);
	return lines;
}

/*
 * Digest of the code as it is, base64url, palloc'd: SHA-256 over the lines,
 * each after its length in four bytes, big endian.
 */
char *
pgcredit_code_digest(void)
{
	MemoryContext caller = CurrentMemoryContext;
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);
	uint8		hash[PG_SHA256_DIGEST_LENGTH];
	int			level = pin_definition_forms();
	char	  **lines;
	int			n;

	if (ctx == NULL || pg_cryptohash_init(ctx) < 0)
		elog(ERROR, "could not compute a digest");
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	lines = definition_lines(&n);
	for (int k = 0; k < n; k++)
	{
		uint32		len = strlen(lines[k]);
		uint32		prefix = pg_hton32(len);

		if (pg_cryptohash_update(ctx, (const uint8 *) &prefix, sizeof(prefix)) < 0 ||
			pg_cryptohash_update(ctx, (const uint8 *) lines[k], len) < 0)
			elog(ERROR, "could not compute a digest");
	}
	if (pg_cryptohash_final(ctx, hash, sizeof(hash)) < 0)
		elog(ERROR, "could not compute a digest");
	pg_cryptohash_free(ctx);
	SPI_finish();
	AtEOXact_GUC(false, level);
	MemoryContextSwitchTo(caller);
	return pgcredit_base64url(hash, sizeof(hash));
}

/* ---------------------------------------------------------------------------
 * What the log says that it should be
 * ---------------------------------------------------------------------------
 */

/*
 * Where in an entry's bytes its digest begins, NULL when it has none.  Within a
 * string every quotation mark has a backslash before it, so these patterns are
 * members.
 */
const char *
pgcredit_code_in_entry(const char *entry, Size len)
{
	static const char kind[] = "\"kind\":\"configuration\"";
	static const char name[] = ",\"code\":\"";
	const char *found;

	if (memmem(entry, len, kind, sizeof(kind) - 1) == NULL)
		return NULL;
	found = memmem(entry, len, name, sizeof(name) - 1);
	return found ? found + sizeof(name) - 1 : NULL;
}

/*
 * The digest, palloc'd, or NULL.
 */
static char *
digest_of_entry(const char *text)
{
	const char *found = pgcredit_code_in_entry(text, strlen(text));

	return found ? pnstrdup(found, strcspn(found, "\"")) : NULL;
}

/*
 * From the entries that have no number yet, which are newer than all others.
 */
static char *
expected_in_outbox(void)
{
	Relation	rel = table_open(pgcredit_relation_oid("audit_outbox", false), AccessShareLock);
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	char	   *newest = NULL;
	int64		newest_id = PG_INT64_MIN;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		int64		id = DatumGetInt64(slot_getattr(slot, OUTBOX_ID, &isnull));
		char	   *found;

		if (id <= newest_id)
			continue;
		found = digest_of_entry(TextDatumGetCString(slot_getattr(slot, OUTBOX_PREFIX, &isnull)));
		if (found == NULL)
			continue;
		newest = found;
		newest_id = id;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return newest;
}

/*
 * From the entries of the log that the key has, newest first.  Entries of
 * accesses, which are the many and the long, are told by their first bytes.
 */
static char *
expected_in_log(int n_keys, ScanKey key)
{
	static const char access[] = "{\"access\":";
	Relation	rel = table_open(pgcredit_relation_oid("audit_entry", false), AccessShareLock);
	Relation	index = index_open(pgcredit_relation_oid("audit_entry_pkey", false), AccessShareLock);
	SysScanDesc scan = systable_beginscan_ordered(rel, index, GetActiveSnapshot(), n_keys, key);
	MemoryContext per_entry = AllocSetContextCreate(CurrentMemoryContext, "entry of the log",
													ALLOCSET_DEFAULT_SIZES);
	HeapTuple	tuple;
	char	   *found = NULL;

	while (found == NULL &&
		   (tuple = systable_getnext_ordered(scan, BackwardScanDirection)) != NULL)
	{
		bool		isnull;
		Datum		entry = heap_getattr(tuple, ENTRY_TEXT, RelationGetDescr(rel), &isnull);
		/* not around the scan, which keeps what it allocates on its way */
		MemoryContext caller = MemoryContextSwitchTo(per_entry);
		text	   *start = DatumGetTextPSlice(entry, 0, strlen(access));

		if (VARSIZE_ANY_EXHDR(start) != strlen(access) ||
			memcmp(VARDATA_ANY(start), access, strlen(access)) != 0)
			found = digest_of_entry(TextDatumGetCString(entry));
		if (found)
			found = MemoryContextStrdup(caller, found);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(per_entry);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextDelete(per_entry);
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * The digest in the newest entry that has one, palloc'd; NULL when none has.
 * It is looked for in the log itself: a table that remembers where it stands
 * would be one more that somebody can change.  Entries behind number "from", up
 * to "to", are known to have none.
 */
char *
pgcredit_code_expected(uint64 from, uint64 to)
{
	char	   *found;
	ScanKeyData key;

	PushActiveSnapshot(GetLatestSnapshot());
	found = expected_in_outbox();
	if (found == NULL)
	{
		ScanKeyInit(&key, ENTRY_SEQ, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum((int64) to));
		found = expected_in_log(1, &key);
	}
	if (found == NULL)
	{
		ScanKeyInit(&key, ENTRY_SEQ, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum((int64) from));
		found = expected_in_log(1, &key);
	}
	PopActiveSnapshot();
	return found;
}

/*
 * credit._code_digest() returns text: see pgcredit_code_digest.
 */
Datum
pgcredit_code_digest_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(pgcredit_code_digest()));
}

/*
 * credit._code_expected() returns text: see pgcredit_code_expected.
 */
Datum
pgcredit_code_expected_sql(PG_FUNCTION_ARGS)
{
	char	   *expected = pgcredit_code_expected(0, 0);

	if (expected == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(expected));
}
