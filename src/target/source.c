/*
 * source.c
 *		The definitions of the metrics over a ledger, compiled and kept.
 *
 * Each process keeps what it compiled until credit.metric_source changes.  Who
 * adds a source locks the ledger against writers, invalidates its relcache entry
 * and counts what is in the ledger.  A writer takes its lock after that, and in
 * taking it learns of the invalidation; so each row is counted for a source once.
 * It reads the sources under the newest snapshot, not under its transaction's,
 * which may be older than the lock.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/core.h"
#include "target/measure.h"

PG_FUNCTION_INFO_V1(pgcredit_forget_sources);

static HTAB *ledgers = NULL;

static void
forget(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	Ledger	   *ledger;

	hash_seq_init(&scan, ledgers);
	while ((ledger = hash_seq_search(&scan)) != NULL)
		if (!OidIsValid(relid) || ledger->relid == relid || ledger->root == relid)
			ledger->valid = false;
}

static AttrNumber
column_of(Relation rel, const char *name, Oid type)
{
	AttrNumber	attno = get_attnum(RelationGetRelid(rel), name);

	if (attno <= 0 || (OidIsValid(type) && TupleDescAttr(RelationGetDescr(rel), attno - 1)->atttypid != type))
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_LEDGER_INVALID),
				 errmsg("ledger \"%s\" has no column \"%s\" of the type that measuring it needs",
						RelationGetRelationName(rel), name)));
	return attno;
}

/*
 * Index of a numeric column among those that are read.
 */
static int
number_of(Ledger *ledger, Relation rel, const char *name)
{
	AttrNumber	attno = column_of(rel, name, NUMERICOID);
	int32		typmod = TupleDescAttr(RelationGetDescr(rel), attno - 1)->atttypmod;
	int			precision = ((typmod - VARHDRSZ) >> 16) & 0xffff;

	if (typmod < VARHDRSZ || precision > 18)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_LEDGER_INVALID),
				 errmsg("column \"%s\" of ledger \"%s\" has no precision of at most 18 digits",
						name, RelationGetRelationName(rel))));
	for (int i = 0; i < ledger->n_numbers; i++)
		if (ledger->numbers[i].attno == attno)
			return i;
	ledger->numbers[ledger->n_numbers].attno = attno;
	ledger->numbers[ledger->n_numbers].scale = (typmod - VARHDRSZ) & 0x7ff;
	return ledger->n_numbers++;
}

/*
 * A bound of a condition in the units of the column, which the bound may be finer
 * than: a lower one goes up, an upper one down.
 */
static int64
bound_of(Datum bound, int scale, bool up)
{
	Datum		factor = NumericGetDatum(int64_to_numeric(1));
	Datum		scaled;

	for (int i = 0; i < scale; i++)
		factor = DirectFunctionCall2(numeric_mul, factor, NumericGetDatum(int64_to_numeric(10)));
	scaled = DirectFunctionCall2(numeric_mul, bound, factor);
	return DatumGetInt64(DirectFunctionCall1(numeric_int8,
											 DirectFunctionCall1(up ? numeric_ceil : numeric_floor, scaled)));
}

static void
read_condition(Ledger *ledger, Relation rel, Source *source, HeapTuple row, TupleDesc desc)
{
	Condition  *c = &source->conditions[source->n_conditions++];
	char	   *column = SPI_getvalue(row, desc, 2);
	bool		isnull;
	Datum		value;

	memset(c, 0, sizeof(Condition));
	value = SPI_getbinval(row, desc, 3, &isnull);
	if (!isnull)
	{
		c->kind = CONDITION_IS;
		c->truth = DatumGetBool(value);
		c->column = column_of(rel, column, BOOLOID);
		return;
	}
	value = SPI_getbinval(row, desc, 4, &isnull);
	if (!isnull)
	{
		Datum	   *values;

		c->kind = CONDITION_IN;
		c->column = column_of(rel, column, TEXTOID);
		deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &c->n_values);
		c->values = MemoryContextAlloc(ledger->context, sizeof(text *) * Max(c->n_values, 1));
		for (int i = 0; i < c->n_values; i++)
		{
			Size		size = VARSIZE_ANY_EXHDR(DatumGetPointer(values[i]));

			c->values[i] = MemoryContextAlloc(ledger->context, size + VARHDRSZ);
			SET_VARSIZE(c->values[i], size + VARHDRSZ);
			memcpy(VARDATA(c->values[i]), VARDATA_ANY(DatumGetPointer(values[i])), size);
		}
		return;
	}
	c->kind = CONDITION_BETWEEN;
	c->column = number_of(ledger, rel, column);
	value = SPI_getbinval(row, desc, 5, &isnull);
	if ((c->has_low = !isnull))
		c->low = bound_of(value, ledger->numbers[c->column].scale, true);
	value = SPI_getbinval(row, desc, 6, &isnull);
	if ((c->has_high = !isnull))
		c->high = bound_of(value, ledger->numbers[c->column].scale, false);
}

static SourceKind
kind_of(const char *kind)
{
	switch (kind[0])
	{
		case 's':
			return SOURCE_SUM;
		case 'c':
			return SOURCE_COUNT;
		case 'd':
			return SOURCE_DISTINCT;
		default:
			return SOURCE_WEIGHTED;
	}
}

static SPITupleTable *
select_of(const char *query, const char *ledger)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(ledger);
	SPIPlanPtr	plan = SPI_prepare(query, 1, &type);

	if (plan == NULL ||
		SPI_execute_snapshot(plan, &value, NULL, GetLatestSnapshot(), InvalidSnapshot, true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "cannot read the sources of a ledger");
	return SPI_tuptable;
}

static void
read_sources(Ledger *ledger, Relation rel)
{
	char	   *name = get_rel_name(ledger->root);
	PgcreditOwner saved;
	SPITupleTable *rows;
	uint64		n;
	Source	   *source = NULL;

	pgcredit_owner_begin(&saved);
	SPI_connect();
	rows = select_of("SELECT s.source_id, s.kind, s.value_column, s.weight_column, jsonb_array_length(s.filter)"
					 "  FROM credit.metric_source s WHERE s.ledger = $1 AND s.kind <> 'reported' ORDER BY s.source_id",
					 name);
	n = SPI_processed;
	ledger->numbers = MemoryContextAlloc(ledger->context, sizeof(Number) * RelationGetNumberOfAttributes(rel));
	ledger->sources = MemoryContextAllocZero(ledger->context, sizeof(Source) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	row = rows->vals[i];
		char	   *value = SPI_getvalue(row, rows->tupdesc, 3);
		char	   *weight = SPI_getvalue(row, rows->tupdesc, 4);
		bool		isnull;

		source = &ledger->sources[ledger->n_sources++];
		source->source_id = DatumGetInt32(SPI_getbinval(row, rows->tupdesc, 1, &isnull));
		source->kind = kind_of(SPI_getvalue(row, rows->tupdesc, 2));
		source->value = value ? number_of(ledger, rel, value) : -1;
		source->weight = weight ? number_of(ledger, rel, weight) : -1;
		source->conditions = MemoryContextAlloc(ledger->context, sizeof(Condition) *
												Max(DatumGetInt32(SPI_getbinval(row, rows->tupdesc, 5, &isnull)), 1));
	}
	rows = select_of("SELECT s.source_id, c ->> 'column', (c ->> 'is')::boolean,"
					 "       CASE WHEN c ? 'in' THEN ARRAY(SELECT jsonb_array_elements_text(c -> 'in')) END,"
					 "       (c ->> '>=')::numeric, (c ->> '<=')::numeric"
					 "  FROM credit.metric_source s, jsonb_array_elements(s.filter) c"
					 " WHERE s.ledger = $1 AND s.kind <> 'reported' ORDER BY s.source_id", name);
	n = SPI_processed;
	source = ledger->sources;
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		int32		source_id = DatumGetInt32(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull));

		while (source->source_id != source_id)
			source++;
		read_condition(ledger, rel, source, rows->vals[i], rows->tupdesc);
	}
	SPI_finish();
	pgcredit_owner_end(&saved);
}

/*
 * A table with the sources of the ledger that it is, is a partition of, or (root
 * given) was one of; kept by this file.  Raises PC510 for a table that lacks the
 * columns of a ledger.
 */
Ledger *
pgcredit_ledger(Relation rel, Oid root)
{
	Oid			relid = RelationGetRelid(rel);
	Ledger	   *ledger;
	bool		found;

	if (ledgers == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(Ledger), .hcxt = TopMemoryContext};

		ledgers = hash_create("pgcredit ledgers", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
	}
	ledger = hash_search(ledgers, &relid, HASH_ENTER, &found);
	if (!OidIsValid(root))
		root = rel->rd_rel->relispartition ? llast_oid(get_partition_ancestors(relid)) : relid;
	if (found && ledger->valid && ledger->root == root)
		return ledger;
	if (found && ledger->context)
		MemoryContextDelete(ledger->context);
	memset(ledger, 0, sizeof(Ledger));
	ledger->relid = relid;
	ledger->root = root;
	ledger->context = AllocSetContextCreate(TopMemoryContext, "pgcredit ledger", ALLOCSET_SMALL_SIZES);
	ledger->institution = column_of(rel, "institution_id", INT4OID);
	ledger->region = column_of(rel, "region", InvalidOid);
	ledger->segment = column_of(rel, "segment", TEXTOID);
	ledger->product = column_of(rel, "product", TEXTOID);
	ledger->month = column_of(rel, "month", DATEOID);
	ledger->subject = column_of(rel, "subject_id", INT8OID);
	read_sources(ledger, rel);
	ledger->valid = true;
	return ledger;
}

/*
 * credit._forget_sources(ledger regclass): have all processes compile the sources
 * of a ledger anew, from the moment on that this transaction commits.
 */
Datum
pgcredit_forget_sources(PG_FUNCTION_ARGS)
{
	CacheInvalidateRelcacheByRelid(PG_GETARG_OID(0));
	PG_RETURN_VOID();
}
