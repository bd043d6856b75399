/*
 * row.c
 *		What a call site remembers between rows, and taking rows apart.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "rating/row.h"

/*
 * The call site's state for the model in an argument that is not NULL: looked
 * up on the first call, when the argument changes, and when models change.
 * row.bound is NULL after each look-up.
 */
PgcreditSite *
pgcredit_site(FunctionCallInfo fcinfo, int model_arg)
{
	PgcreditSite *site = fcinfo->flinfo->fn_extra;
	text	   *model = PG_GETARG_TEXT_PP(model_arg);
	int			len = VARSIZE_ANY_EXHDR(model);
	MemoryContext context;
	PgcreditSite *fresh;

	if (likely(site != NULL && site->generation == pgcredit_models_generation() &&
			   site->model_len == len && memcmp(site->model, VARDATA_ANY(model), len) == 0))
		return site;

	/* joins the call site when all went well, so that errors leave nothing */
	context = AllocSetContextCreate(CurrentMemoryContext, "pgcredit scoring", ALLOCSET_SMALL_SIZES);
	fresh = MemoryContextAllocZero(context, sizeof(PgcreditSite));
	fresh->context = context;
	fresh->model_len = len;
	fresh->model = MemoryContextAlloc(context, Max(len, 1));
	memcpy(fresh->model, VARDATA_ANY(model), len);
	fresh->row.card = pgcredit_card_find(fresh->model, len, context);
	/* changes that the look-up itself made us notice are in what it found */
	fresh->generation = pgcredit_models_generation();
	MemoryContextSetParent(context, fcinfo->flinfo->fn_mcxt);
	fcinfo->flinfo->fn_extra = fresh;
	if (site != NULL)
		MemoryContextDelete(site->context);
	return fresh;
}

/*
 * Bind the site to a row type: by name, dropped columns left out.
 */
static void
bind_row_type(PgcreditSite *site, Oid type, int32 typmod, bool grading)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(type, typmod);
	PgcreditColumn *columns = palloc0(sizeof(PgcreditColumn) * Max(desc->natts, 1));
	MemoryContext caller;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		columns[i].name = att->attisdropped ? NULL : NameStr(att->attname);
		columns[i].type = att->atttypid;
	}
	caller = MemoryContextSwitchTo(site->context);
	site->row.bound = pgcredit_card_bind(site->row.card, columns, desc->natts, grading);
	site->slot = MakeSingleTupleTableSlot(CreateTupleDescCopyConstr(desc), &TTSOpsHeapTuple);
	MemoryContextSwitchTo(caller);
	site->row.values = site->slot->tts_values;
	site->row.isnull = site->slot->tts_isnull;
	site->row_type = type;
	site->row_typmod = typmod;
	site->row_entry = NULL;
	if (type != RECORDOID)
	{
		site->row_entry = lookup_type_cache(type, TYPECACHE_TUPDESC);
		site->row_identifier = site->row_entry->tupDesc_identifier;
	}
	FreeTupleDesc(desc);
	pfree(columns);
}

/*
 * The call site's state with the row in an argument that is not NULL taken
 * apart in site->row, up to the last column that the card reads; for grading,
 * with those of caps and overrides.
 */
PgcreditSite *
pgcredit_site_row(FunctionCallInfo fcinfo, int model_arg, int row_arg, bool grading)
{
	PgcreditSite *site = pgcredit_site(fcinfo, model_arg);
	HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(row_arg);
	Oid			type = HeapTupleHeaderGetTypeId(header);
	int32		typmod = HeapTupleHeaderGetTypMod(header);

	if (unlikely(site->row.bound == NULL || site->row_type != type || site->row_typmod != typmod ||
				 (site->row_entry != NULL &&
				  site->row_entry->tupDesc_identifier != site->row_identifier)))
	{
		/* a fresh site, so that repeated changes of the type cannot pile up */
		if (site->row.bound != NULL)
		{
			site->generation = 0;
			site = pgcredit_site(fcinfo, model_arg);
		}
		bind_row_type(site, type, typmod, grading);
	}
	site->tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&site->tuple.t_self);
	site->tuple.t_tableOid = InvalidOid;
	site->tuple.t_data = header;
	ExecStoreHeapTuple(&site->tuple, site->slot, false);
	slot_getsomeattrs(site->slot, site->row.bound->ncolumns);
	return site;
}
