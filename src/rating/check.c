/*
 * check.c
 *		Checking a definition before it is stored or published.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "core/canonical.h"
#include "rating/card.h"

PG_FUNCTION_INFO_V1(pgcredit_check_definition);

/*
 * credit._check_definition(definition jsonb, publishing boolean) returns bytea
 *
 * Raises PC402 unless the definition is a complete card; returns the SHA-256
 * of its canonical form.  When publishing, warns of what is allowed but may
 * not be meant: overlapping attributes, and values that will raise PC403.
 */
Datum
pgcredit_check_definition(PG_FUNCTION_ARGS)
{
	Jsonb	   *definition = PG_GETARG_JSONB_P(0);
	bool		publishing = PG_GETARG_BOOL(1);
	PgcreditCard *card = pgcredit_card_parse(definition);
	StringInfoData canonical;
	bytea	   *digest = palloc(VARHDRSZ + PGCREDIT_HASH_BYTES);

	for (int i = 0; i < card->ncharacteristics && publishing; i++)
	{
		const PgcreditCharacteristic *c = &card->characteristics[i];

		if (c->overlaps > 0)
			ereport(WARNING,
					(errmsg("attributes of characteristic \"%s\" overlap", c->name),
					 errdetail("Where they do, the first one in card order is taken.")));
		if (c->gaps)
			ereport(NOTICE,
					(errmsg("characteristic \"%s\" has no attribute for some values", c->name),
					 errdetail("Scoring such a value raises an error.")));
	}
	initStringInfo(&canonical);
	pgcredit_canonical_json(&canonical, &definition->root, ERRCODE_PGCREDIT_MODEL_INVALID);
	SET_VARSIZE(digest, VARHDRSZ + PGCREDIT_HASH_BYTES);
	pgcredit_sha256(canonical.data, canonical.len, (uint8 *) VARDATA(digest));
	PG_RETURN_BYTEA_P(digest);
}
