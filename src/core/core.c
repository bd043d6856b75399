/*
 * core.c
 *		Catalogue look-ups and identity that every room shares.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_calling_role_sql);
PG_FUNCTION_INFO_V1(pgcredit_version);

/*
 * Oid of schema credit.  Raises undefined_schema unless missing_ok, then
 * returns InvalidOid.
 */
Oid
pgcredit_schema_oid(bool missing_ok)
{
	return get_namespace_oid("credit", missing_ok);
}

/*
 * Oid of a table, index or sequence of schema credit, found by name each time
 * so that it is right again after DROP and CREATE EXTENSION.  Raises
 * undefined_table unless missing_ok, then returns InvalidOid.
 */
Oid
pgcredit_relation_oid(const char *name, bool missing_ok)
{
	Oid			nsp = pgcredit_schema_oid(missing_ok);
	Oid			rel = OidIsValid(nsp) ? get_relname_relid(name, nsp) : InvalidOid;

	if (!OidIsValid(rel) && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"credit.%s\" does not exist", name),
				 errhint("Create the extension with CREATE EXTENSION pgcredit.")));
	return rel;
}

static uint64 names_as_of = 0;	/* 0: not watched yet */

static void
names_changed(Datum arg, int cache, uint32 hash)
{
	names_as_of++;
}

/*
 * As pgcredit_relation_oid, kept until a relation or schema is created, renamed or
 * dropped; for what must be cheap.
 */
Oid
pgcredit_known_oid(PgcreditKnown *known)
{
	uint64		now;

	if (names_as_of == 0)
	{
		CacheRegisterSyscacheCallback(RELNAMENSP, names_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACENAME, names_changed, (Datum) 0);
		names_as_of = 1;
	}
	if (known->as_of != names_as_of)
	{
		/* a change that comes in while looking is not missed */
		now = names_as_of;
		known->as_of = 0;
		known->oid = pgcredit_relation_oid(known->name, false);
		known->as_of = now;
	}
	return known->oid;
}

/*
 * The owner of schema credit, who owns every object of the extension.
 */
Oid
pgcredit_owner_oid(void)
{
	Oid			nsp = pgcredit_schema_oid(false);
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(nsp));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", nsp);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * The role on whose behalf we act: the current role, as SET ROLE left it.
 *
 * Inside one of our SECURITY DEFINER functions the current role is the owner
 * of the extension; the caller is then the role of the session, as SET ROLE
 * left it.  So who calls somebody's definer function that calls one of ours
 * lends it his identity, as with any function he trusts enough to call; the
 * right to execute ours is still that of its owner.  open_access and read are
 * no definer functions: inside somebody's wrapper they act as its owner.  A GUC
 * never counts: anyone who can run SQL can set one.
 */
Oid
pgcredit_calling_role(void)
{
	Oid			current = GetUserId();

	if (InLocalUserIdChange() && current == pgcredit_owner_oid())
		return GetOuterUserId();
	return current;
}

/*
 * Act as the owner of the extension until pgcredit_owner_end, for reading and
 * writing our own tables on behalf of a role that has no right on them.  What
 * we run meanwhile must not find the caller's operators or types, whose
 * functions would act as the owner too, so search_path is ours until then.  An
 * error in between restores both with the (sub)transaction.
 */
void
pgcredit_owner_begin(PgcreditOwner *saved)
{
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	saved->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(pgcredit_owner_oid(),
						   saved->sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
}

void
pgcredit_owner_end(const PgcreditOwner *saved)
{
	AtEOXact_GUC(false, saved->guc_level);
	SetUserIdAndSecContext(saved->userid, saved->sec_context);
}

/*
 * Raise object_not_in_prerequisite_state: "what" (the start of a sentence,
 * such as "recording an access") needs shared memory or the writer.
 */
void
pgcredit_require_preloaded(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s needs pgcredit to be preloaded", what),
			 errhint("Add pgcredit to shared_preload_libraries and restart the server.")));
}

/*
 * credit.calling_role() returns regrole: see pgcredit_calling_role.
 */
Datum
pgcredit_calling_role_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(pgcredit_calling_role());
}

/*
 * credit.version() returns text: the version of the loaded library, which
 * differs from the installed extension's between an upgrade of the package and
 * ALTER EXTENSION pgcredit UPDATE.
 */
Datum
pgcredit_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(PGCREDIT_VERSION));
}
