/*
 * card_cache.c
 *		Finding the card of a model by name, and when to look again.
 *
 * A published version never changes, so its card is compiled once per session
 * and kept.  Which version a bare name means does change; call sites compare
 * pgcredit_models_generation, which moves when anybody's change of
 * credit.model becomes visible here, and look up again.  Within a statement
 * the snapshot stands still, so the answer does too.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "core/canonical.h"
#include "rating/card.h"

PG_FUNCTION_INFO_V1(pgcredit_models_changed);

/* A compiled published version; lives as long as the session. */
typedef struct KeptCard
{
	struct KeptCard *next;
	uint8		digest[PGCREDIT_HASH_BYTES];
	PgcreditCard *card;
} KeptCard;

/* The row of credit.model that a name means. */
typedef struct ModelRow
{
	int64		model_id;
	int			version;
	char		status;
	bool		has_digest;
	uint8		digest[PGCREDIT_HASH_BYTES];
} ModelRow;

static const char find_query[] =
"SELECT m.model_id, m.version, m.status, m.digest FROM credit.model m"
" WHERE m.name OPERATOR(pg_catalog.=) $1"
" AND CASE WHEN $2 IS NULL THEN m.status OPERATOR(pg_catalog.=) 'published'"
" ELSE m.version OPERATOR(pg_catalog.=) $2 END"
" ORDER BY m.version DESC LIMIT 1";
static const char definition_query[] = "SELECT credit._definition($1)";

static SPIPlanPtr find_plan = NULL;
static SPIPlanPtr definition_plan = NULL;
static KeptCard *kept_cards = NULL;
static uint64 generation = 1;
static Oid	model_relid = InvalidOid;
static bool callback_registered = false;

static void
model_relation_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == model_relid)
		generation++;
}

/*
 * A number that differs from the last one when models may have changed.
 */
uint64
pgcredit_models_generation(void)
{
	return generation;
}

/*
 * credit._models_changed() returns trigger: tell every session to look again,
 * once this transaction has committed.
 */
Datum
pgcredit_models_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "_models_changed")));
	CacheInvalidateRelcacheByRelid(pgcredit_relation_oid("model", false));
	return PointerGetDatum(NULL);
}

static SPIPlanPtr
keep_plan(const char *query, int nargs, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare(query, nargs, types);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	return plan;
}

/*
 * Split "name" or "name@version".  Returns the version, 0 if none is given.
 */
static int
split_model(const char *model, int len, char **name)
{
	char	   *copy = pnstrdup(model, len);
	char	   *at = strchr(copy, '@');
	int			version = 0;

	*name = copy;
	if (at == NULL)
		return 0;
	*at = '\0';
	for (at++; *at >= '0' && *at <= '9' && version < 100000000; at++)
		version = version * 10 + (*at - '0');
	if (*at != '\0' || version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid model \"%.*s\"", len, model),
				 errhint("Write \"name\" for the newest published version or \"name@version\".")));
	return version;
}

/* Runs inside SPI, as the extension's owner. */
static bool
find_row(const char *name, int version, ModelRow *row)
{
	Oid			types[2] = {TEXTOID, INT4OID};
	Datum		values[2] = {CStringGetTextDatum(name), Int32GetDatum(version)};
	char		nulls[3] = {' ', version == 0 ? 'n' : ' ', '\0'};
	HeapTuple	tuple;
	TupleDesc	desc;
	bool		isnull;
	Datum		digest;

	if (find_plan == NULL)
		find_plan = keep_plan(find_query, 2, types);
	if (SPI_execute_plan(find_plan, values, nulls, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "look-up of a model failed");
	if (SPI_processed == 0)
		return false;
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	row->model_id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
	row->version = DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull));
	row->status = *SPI_getvalue(tuple, desc, 3);
	digest = SPI_getbinval(tuple, desc, 4, &isnull);
	row->has_digest = !isnull;
	if (!isnull)
	{
		bytea	   *bytes = DatumGetByteaPP(digest);

		if (VARSIZE_ANY_EXHDR(bytes) != PGCREDIT_HASH_BYTES)
			pgcredit_invalid(errmsg("digest of model \"%s\" version %d has the wrong length", name, row->version));
		memcpy(row->digest, VARDATA_ANY(bytes), PGCREDIT_HASH_BYTES);
	}
	return true;
}

/*
 * Read, check and compile a version into context.  The definition must have
 * the digest under which it was published: triggers keep the tables as they
 * were, and this notices when somebody got around them.
 */
static PgcreditCard *
load_card(const char *name, const ModelRow *row, MemoryContext context)
{
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(row->model_id)};
	bool		isnull;
	Datum		datum;
	Jsonb	   *definition;
	StringInfoData canonical;
	uint8		digest[PGCREDIT_HASH_BYTES];
	PgcreditCard *card;
	MemoryContext caller;

	if (definition_plan == NULL)
		definition_plan = keep_plan(definition_query, 1, types);
	if (SPI_execute_plan(definition_plan, values, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "reading the definition of a model failed");
	datum = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (isnull)
		elog(ERROR, "definition of model \"%s\" version %d is missing", name, row->version);
	definition = DatumGetJsonbP(datum);
	if (row->status != 'd')
	{
		initStringInfo(&canonical);
		pgcredit_canonical_json(&canonical, &definition->root, ERRCODE_PGCREDIT_MODEL_INVALID);
		pgcredit_sha256(canonical.data, canonical.len, digest);
		if (!row->has_digest || memcmp(digest, row->digest, PGCREDIT_HASH_BYTES) != 0)
			pgcredit_invalid(errmsg("definition of model \"%s\" version %d does not have the digest it was published with",
									name, row->version),
							 errhint("Its tables were changed behind the extension; restore them from a backup."));
	}
	caller = MemoryContextSwitchTo(context);
	card = pgcredit_card_parse(definition);
	MemoryContextSwitchTo(caller);
	card->model_id = row->model_id;
	card->version = row->version;
	card->status = row->status;
	return card;
}

/*
 * Compile a published version into a context of its own, which becomes part of
 * the session when all went well.
 */
static const PgcreditCard *
load_and_keep(const char *name, const ModelRow *row)
{
	MemoryContext own = AllocSetContextCreate(CurrentMemoryContext, "pgcredit card",
											  ALLOCSET_SMALL_SIZES);
	PgcreditCard *card = load_card(name, row, own);
	KeptCard   *kept = MemoryContextAllocZero(own, sizeof(KeptCard));

	memcpy(kept->digest, row->digest, PGCREDIT_HASH_BYTES);
	kept->card = card;
	kept->next = kept_cards;
	MemoryContextSetParent(own, CacheMemoryContext);
	kept_cards = kept;
	return card;
}

/*
 * The same version compiled before, if what it says has not changed.
 */
static const PgcreditCard *
find_kept(const char *name, const ModelRow *row)
{
	for (KeptCard *kept = kept_cards; kept != NULL; kept = kept->next)
	{
		if (kept->card->model_id == row->model_id && kept->card->version == row->version &&
			kept->card->status == row->status && strcmp(kept->card->name, name) == 0 &&
			row->has_digest &&
			memcmp(kept->digest, row->digest, PGCREDIT_HASH_BYTES) == 0)
			return kept->card;
	}
	return NULL;
}

/*
 * The card that a model name means to the active snapshot: "name" is the
 * newest published version, "name@version" that version in any status.
 *
 * A draft's card is allocated in context, a published one's lives as long as
 * the session.  Reads as the owner of the extension.  Raises undefined_object
 * (42704), or PC402 if what is stored is not what was published.
 */
const PgcreditCard *
pgcredit_card_find(const char *model, int len, MemoryContext context)
{
	char	   *name;
	int			version = split_model(model, len, &name);
	PgcreditOwner owner;
	ModelRow	row;
	const PgcreditCard *card;

	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(model_relation_changed, (Datum) 0);
		callback_registered = true;
	}
	model_relid = pgcredit_relation_oid("model", false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	pgcredit_owner_begin(&owner);
	if (!find_row(name, version, &row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 version == 0 ? errmsg("there is no published model \"%s\"", name) :
				 errmsg("model \"%s\" has no version %d", name, version),
				 errhint("See table credit.model.")));
	if (row.status == 'd')
		card = load_card(name, &row, context);
	else
	{
		card = find_kept(name, &row);
		if (card == NULL)
			card = load_and_keep(name, &row);
	}
	pgcredit_owner_end(&owner);
	SPI_finish();
	return card;
}
