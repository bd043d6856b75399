/*
 * figure.c
 *		Figures of a metric in a region, of the ledgers or as reported.
 *
 * They are made of what kept.c holds.  Sums over months are made here, exactly as
 * SQL makes them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#include "core/core.h"
#include "identity/identity.h"
#include "target/kept.h"

PG_FUNCTION_INFO_V1(pgcredit_measured);
PG_FUNCTION_INFO_V1(pgcredit_stored);
PG_FUNCTION_INFO_V1(pgcredit_ledger_periods);
PG_FUNCTION_INFO_V1(pgcredit_periods);
PG_FUNCTION_INFO_V1(pgcredit_next_piece);

/* Metrics that a metric is worked out from, one from the other, at most. */
#define DEPTH_MOST		8

typedef struct Spans
{
	int			n;
	int			max;
	Span	   *spans;
} Spans;

/*
 * Whether the ledger has rows of the region in a month.
 */
static bool
has_rows(Region *region, const Metric *metric, int month)
{
	KeptSum    *own = pgcredit_kept_sum(region, metric->source_id, month, 0);
	KeptSum    *widest = pgcredit_kept_sum(region, metric->widest, month, 0);

	return (own && (own->n > 0 || own->subjects > 0)) || (widest && (widest->n > 0 || widest->subjects > 0));
}

/*
 * The figure over months; 0 for NULL, which an average without weight is.
 */
static Datum
figure_over(Region *region, const Metric *metric, int first, int last, const text *name)
{
	int			segment = pgcredit_kept_segment(region, name, metric->kind == 'd' && first < last);
	int64		n = 0;
	Datum		value = NumericGetDatum(int64_to_numeric(0));
	Datum		weight = value;

	if (metric->kind == 'd' && first < last)
		return pgcredit_kept_distinct(region, metric, first, last, segment);
	for (int month = first; month <= last && segment >= 0; month++)
	{
		KeptSum    *sum = pgcredit_kept_sum(region, metric->source_id, month, segment);

		if (sum == NULL)
			continue;
		n += metric->kind == 'd' ? sum->subjects : sum->n;
		value = DirectFunctionCall2(numeric_add, value, sum->value);
		weight = DirectFunctionCall2(numeric_add, weight, sum->weight);
	}
	if (metric->kind == 'd' || metric->kind == 'c')
		return NumericGetDatum(int64_to_numeric(n));
	if (metric->kind == 's')
		return value;
	if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, weight, NumericGetDatum(int64_to_numeric(0)))) == 0)
		return (Datum) 0;
	return DirectFunctionCall2(numeric_div, value, weight);
}

/*
 * The days of a period, false if it is empty or without end.
 */
static bool
span_of(RangeType *period, Span *span)
{
	RangeBound	lower,
				upper;
	bool		empty;

	range_deserialize(lookup_type_cache(DATERANGEOID, TYPECACHE_RANGE_INFO), period, &lower, &upper, &empty);
	if (empty || lower.infinite || upper.infinite)
		return false;
	span->from = DatumGetDateADT(lower.val);
	span->until = DatumGetDateADT(upper.val);
	return !DATE_NOT_FINITE(span->from) && !DATE_NOT_FINITE(span->until);
}

static RangeType *
range_of(Span span)
{
	RangeBound	lower = {.val = DateADTGetDatum(span.from), .inclusive = true, .lower = true};
	RangeBound	upper = {.val = DateADTGetDatum(span.until)};

	return pgcredit_range(lookup_type_cache(DATERANGEOID, TYPECACHE_RANGE_INFO), &lower, &upper);
}

/*
 * A period for the eye, as credit._period_text writes it.
 */
static char *
span_text(Span span)
{
	DateADT		days[2] = {span.from, span.until - 1};
	char		text[2][32];

	for (int i = 0; i < 2; i++)
	{
		int			year,
					month,
					mday;

		j2date(days[i] + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
		snprintf(text[i], sizeof(text[i]), "%04d-%02d-%02d", year, month, mday);
	}
	return days[0] == days[1] ? pstrdup(text[0]) : psprintf("%s..%s", text[0], text[1]);
}

/*
 * The figure of a ledger over exactly these days; 0: there is none.  A stock has
 * one at the end of a month, a flow over whole months none of which is without rows.
 */
static Datum
ledger_figure(Region *region, const Metric *metric, Span span, const text *segment)
{
	int			first,
				last;

	if (metric->ledger == NULL || !is_first(span.until) || metric->of_day != (span.until - span.from == 1))
		return (Datum) 0;
	last = month_of(span.until) - 1;
	first = metric->of_day ? last : month_of(span.from);
	if (!metric->of_day && !is_first(span.from))
		return (Datum) 0;
	for (int month = first; month <= last; month++)
		if (!has_rows(region, metric, month))
			return (Datum) 0;
	return figure_over(region, metric, first, last, segment);
}

static void
push_text(JsonbParseState **state, const char *key, const char *value)
{
	JsonbValue	k = {.type = jbvString, .val.string = {.len = strlen(key), .val = unconstify(char *, key)}};
	JsonbValue	v = {.type = jbvString, .val.string = {.len = strlen(value), .val = unconstify(char *, value)}};

	pushJsonbValue(state, WJB_KEY, &k);
	pushJsonbValue(state, WJB_VALUE, &v);
}

static void
push_value(JsonbParseState **state, const char *key, JsonbValue value)
{
	JsonbValue	k = {.type = jbvString, .val.string = {.len = strlen(key), .val = unconstify(char *, key)}};

	pushJsonbValue(state, WJB_KEY, &k);
	pushJsonbValue(state, WJB_VALUE, &value);
}

/*
 * A credit._figure that names what it was made of: what is told, or, where that is
 * NULL, the value of a ledger.
 */
static Datum
make_figure(FunctionCallInfo fcinfo, const Region *region, const Metric *metric, const text *segment, Span span, Datum value,
			const Told *told)
{
	Datum		values[6] = {0};
	bool		nulls[6] = {false, false, false, false, true, true};
	TupleDesc	desc;
	JsonbParseState *state = NULL;
	char		code[PGCREDIT_REGION_LEN + 1];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != lengthof(values))
		elog(ERROR, "return type must be credit._figure");
	code[pgcredit_region_print(region->code, code)] = '\0';
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, "metric", metric->code);
	push_text(&state, "region", code);
	push_text(&state, "segment", text_to_cstring(segment));
	push_text(&state, "period", span_text(span));
	push_value(&state, "value", (JsonbValue) {.type = jbvNumeric, .val.numeric = DatumGetNumeric(value)});
	push_text(&state, "source", told ? text_to_cstring(told->source) : psprintf("ledger %s", text_to_cstring(metric->ledger)));
	push_value(&state, "derived", (JsonbValue) {.type = jbvBool, .val.boolean = told && told->derived});
	if (!told)
		push_value(&state, "version", (JsonbValue) {.type = jbvNumeric, .val.numeric = int64_to_numeric(metric->version)});
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	values[0] = value;
	values[1] = NumericGetDatum(int64_to_numeric(1));
	values[2] = RangeTypePGetDatum(range_of(span));
	values[3] = JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL)));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * credit._measured(metric text, region credit.region_code, segment text, period daterange) returns credit._figure
 *
 * The figure of the ledgers at exactly this period; null when there is none.
 */
Datum
pgcredit_measured(PG_FUNCTION_ARGS)
{
	text	   *segment = PG_GETARG_TEXT_PP(2);
	Region	   *region = pgcredit_kept_region(PG_GETARG_REGION_CODE(1));
	Metric	   *metric = pgcredit_kept_metric(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Span		span;
	Datum		value = (Datum) 0;

	if (metric != NULL && span_of(PG_GETARG_RANGE_P(3), &span))
		value = ledger_figure(region, metric, span, segment);
	if (value == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(make_figure(fcinfo, region, metric, segment, span, value, NULL));
}

/*
 * credit._stored(metric text, region credit.region_code, segment text, period daterange) returns credit._figure
 *
 * The figure at exactly this period that is in force, null when there is none: of
 * the ledgers where they have one, else as reported; the other way round for a
 * metric of which credit.figure_precedence says so.
 */
Datum
pgcredit_stored(PG_FUNCTION_ARGS)
{
	text	   *segment = PG_GETARG_TEXT_PP(2);
	Region	   *region = pgcredit_kept_region(PG_GETARG_REGION_CODE(1));
	Metric	   *metric = pgcredit_kept_metric(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Told	   *told;
	Span		span;
	Datum		value = (Datum) 0;

	if (metric == NULL || !span_of(PG_GETARG_RANGE_P(3), &span))
		PG_RETURN_NULL();
	for (told = pgcredit_kept_told(region, metric, segment); told != NULL; told = told->next)
		if (told->span.from == span.from && told->span.until == span.until)
			break;
	if (told == NULL || !metric->reported_first)
		value = ledger_figure(region, metric, span, segment);
	if (value != (Datum) 0)
		PG_RETURN_DATUM(make_figure(fcinfo, region, metric, segment, span, value, NULL));
	if (told == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(make_figure(fcinfo, region, metric, segment, span, told->value, told));
}

static void
add_span(Spans *found, Span span)
{
	if (found->n == found->max)
	{
		found->max = Max(16, found->max * 2);
		found->spans = found->spans == NULL ? palloc(sizeof(Span) * found->max) : repalloc(found->spans, sizeof(Span) * found->max);
	}
	found->spans[found->n++] = span;
}

/*
 * Newest first; of two that end together the longer first.
 */
static int
compare_spans(const void *a, const void *b)
{
	const Span *x = a;
	const Span *y = b;

	if (x->until != y->until)
		return x->until > y->until ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

/*
 * Adds the periods at which the ledgers have a figure that ends in the span, newest
 * first.
 */
static void
add_ledger_spans(Spans *found, Region *region, const Metric *metric, DateADT first_end, DateADT last_end)
{
	int			newest = region->newest;

	if (metric->ledger == NULL || region->newest < region->oldest)
		return;
	if (!DATE_NOT_FINITE(last_end))
		newest = Min(newest, month_of(last_end));
	for (int month = newest; month >= region->oldest && month_start(month + 1) - 1 >= first_end; month--)
	{
		Span		span = {.until = month_start(month + 1)};

		span.from = metric->of_day ? span.until - 1 : month_start(month);
		if (span.until - 1 <= last_end && has_rows(region, metric, month))
			add_span(found, span);
	}
}

static ArrayType *
array_of(const Spans *found)
{
	Datum	   *periods = palloc(sizeof(Datum) * Max(found->n, 1));
	int16		typlen;
	bool		typbyval;
	char		typalign;

	get_typlenbyvalalign(DATERANGEOID, &typlen, &typbyval, &typalign);
	for (int i = 0; i < found->n; i++)
		periods[i] = RangeTypePGetDatum(range_of(found->spans[i]));
	return construct_array(periods, found->n, DATERANGEOID, typlen, typbyval, typalign);
}

/*
 * credit._ledger_periods(metric text, region credit.region_code, first_end date, last_end date)
 * returns daterange[]
 */
Datum
pgcredit_ledger_periods(PG_FUNCTION_ARGS)
{
	Region	   *region = pgcredit_kept_region(PG_GETARG_REGION_CODE(1));
	Metric	   *metric = pgcredit_kept_metric(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Spans		found = {0};

	if (metric != NULL)
		add_ledger_spans(&found, region, metric, PG_GETARG_DATEADT(2), PG_GETARG_DATEADT(3));
	PG_RETURN_ARRAYTYPE_P(array_of(&found));
}

/*
 * credit._periods(metric text, region credit.region_code, segment text, first_end date, last_end date)
 * returns daterange[]
 *
 * Periods at which the metric, or the metrics it is worked out from, have a figure
 * that ends in the span, each once; newest first, of two that end together the
 * longer first.
 */
Datum
pgcredit_periods(PG_FUNCTION_ARGS)
{
	text	   *segment = PG_GETARG_TEXT_PP(2);
	DateADT		first_end = PG_GETARG_DATEADT(3);
	DateADT		last_end = PG_GETARG_DATEADT(4);
	Region	   *region = pgcredit_kept_region(PG_GETARG_REGION_CODE(1));
	Metric	   *metric = pgcredit_kept_metric(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Spans		found = {0};
	int			n = 0;

	for (int depth = 0; metric != NULL && depth <= DEPTH_MOST; depth++)
	{
		for (Told *told = pgcredit_kept_told(region, metric, segment); told != NULL; told = told->next)
			if (told->span.until - 1 >= first_end && told->span.until - 1 <= last_end)
				add_span(&found, told->span);
		add_ledger_spans(&found, region, metric, first_end, last_end);
		if (metric->left_segment != NULL)
			segment = metric->left_segment;
		metric = pgcredit_kept_metric(metric->left);
	}
	if (found.n > 1)
		qsort(found.spans, found.n, sizeof(Span), compare_spans);
	for (int i = 0; i < found.n; i++)
		if (i == 0 || compare_spans(&found.spans[i - 1], &found.spans[i]) != 0)
			found.spans[n++] = found.spans[i];
	found.n = n;
	PG_RETURN_ARRAYTYPE_P(array_of(&found));
}

/*
 * credit._next_piece(metric text, region credit.region_code, segment text, first_day date, last_day date)
 * returns daterange
 *
 * The longest figure that starts on the day and ends by the last: over the months
 * that have rows one after the other, or as reported.  Null when there is none.
 */
Datum
pgcredit_next_piece(PG_FUNCTION_ARGS)
{
	text	   *segment = PG_GETARG_TEXT_PP(2);
	DateADT		first = PG_GETARG_DATEADT(3);
	DateADT		last = PG_GETARG_DATEADT(4);
	Region	   *region = pgcredit_kept_region(PG_GETARG_REGION_CODE(1));
	Metric	   *metric = pgcredit_kept_metric(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Told	   *told;
	Span		reached = {.from = first, .until = first};

	if (metric == NULL)
		PG_RETURN_NULL();
	for (told = pgcredit_kept_told(region, metric, segment); told != NULL; told = told->next)
		if (told->span.from == first && told->span.until - 1 <= last)
			break;
	if (metric->ledger != NULL && !metric->of_day && is_first(first) && !(told != NULL && metric->reported_first))
		for (int month = month_of(first); month_start(month + 1) - 1 <= last && has_rows(region, metric, month); month++)
			reached.until = month_start(month + 1);
	if (told != NULL && told->span.until > reached.until)
		PG_RETURN_RANGE_P(range_of(told->span));
	if (reached.until == first)
		PG_RETURN_NULL();
	PG_RETURN_RANGE_P(range_of(reached));
}
