/*
 * history.c
 *		Who looked at a subject, for the subject.
 *
 * The portal, which has authenticated the subject, asks for one subject at a
 * time.  That look is an entry as well, durable before the first line is shown
 * (P1).  The lines are gathered while it is being flushed, under a snapshot from
 * before it, so a look never shows itself; the next one does.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "audit/audit.h"
#include "consent/consent_internal.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_access_history);
PG_FUNCTION_INFO_V1(pgcredit_history_proof_sql);
PG_FUNCTION_INFO_V1(pgcredit_my_history);
PG_FUNCTION_INFO_V1(pgcredit_my_history_proof);

#define MOST_LINES 1000

/* Columns of credit.access_history */
enum
{
	LINE_SEQ, LINE_RECORDED, LINE_KIND, LINE_OPERATION, LINE_ACTOR, LINE_INSTITUTION, LINE_PURPOSES,
	LINE_CATEGORIES, LINE_REASON, LINE_SESSION_USER, LINE_LISTED, LINE_COLUMNS
};

static TableInfo subject_info = {
	.table = "subject",.index = "subject_pkey",.n_columns = 2,
	.names = (const char *const[]) {"subject_id", "log_salt"}
};

/*
 * The subject's salt in the current memory context, or NULL when there is no such
 * subject.
 */
bytea *
pgcredit_subject_salt(int64 subject_id, Snapshot snapshot)
{
	ScanKeyData key;
	TableScan	scan;
	HeapTuple	tuple;
	bytea	   *salt = NULL;
	bool		isnull;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(subject_id));
	pgcredit_scan_begin(&scan, &subject_info, 1, &key, snapshot);
	tuple = pgcredit_scan_next(&scan);
	if (tuple != NULL)
		salt = DatumGetByteaPCopy(pgcredit_scan_column(&scan, tuple, 1, &isnull));
	pgcredit_scan_end(&scan);
	return salt;
}

/*
 * Hand the entry of a look at a history to the log: by the subject's token, or by
 * the id that was asked for when there is no such subject.
 */
static void
record_look(int64 subject_id, const char *token, const char *operation)
{
	PgcreditEntry entry;

	pgcredit_entry_begin(&entry);
	pgcredit_json_name(&entry.prefix, "actor");
	pgcredit_json_string(&entry.prefix, GetUserNameFromId(pgcredit_calling_role(), false));
	pgcredit_json_name(&entry.prefix, "at");
	pgcredit_json_time(&entry.prefix, GetCurrentTimestamp());
	pgcredit_json_name(&entry.prefix, "kind");
	pgcredit_json_string(&entry.prefix, "history");
	pgcredit_json_name(&entry.prefix, "operation");
	pgcredit_json_string(&entry.prefix, operation);
	pgcredit_entry_middle(&entry);
	pgcredit_json_name(&entry.suffix, "session_user");
	pgcredit_json_string(&entry.suffix, GetUserNameFromId(GetSessionUserId(), false));
	if (token)
	{
		pgcredit_json_name(&entry.suffix, "subjects");
		appendStringInfo(&entry.suffix, "[\"%s\"]", token);
	}
	else
	{
		pgcredit_json_name(&entry.suffix, "unknown");
		appendStringInfo(&entry.suffix, "[\"" INT64_FORMAT "\"]", subject_id);
	}
	pgcredit_entry_end(&entry);
	pgcredit_audit_begin(&entry, 1);
}

pg_noreturn static void no_such_subject(int64 subject_id);

static void
no_such_subject(int64 subject_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("subject " INT64_FORMAT " does not exist", subject_id),
			 errhint("The look is in the log all the same.")));
}

static void
set_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
set_array(Datum *values, bool *nulls, int column, const ArrayType *array)
{
	nulls[column] = array == NULL;
	values[column] = PointerGetDatum(array);
}

static void
put_lines(FunctionCallInfo fcinfo, const PgcreditHistoryLine *lines, int n)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int k = 0; k < n; k++)
	{
		const PgcreditDescription *what = lines[k].what;
		Datum		values[LINE_COLUMNS];
		bool		nulls[LINE_COLUMNS] = {false};

		values[LINE_SEQ] = Int64GetDatum(lines[k].seq);
		values[LINE_RECORDED] = TimestampTzGetDatum(lines[k].recorded);
		set_text(values, nulls, LINE_KIND, what->kind);
		set_text(values, nulls, LINE_OPERATION, what->operation);
		set_text(values, nulls, LINE_ACTOR, what->actor);
		set_text(values, nulls, LINE_INSTITUTION, what->institution);
		set_array(values, nulls, LINE_PURPOSES, what->purposes);
		set_array(values, nulls, LINE_CATEGORIES, what->categories);
		set_text(values, nulls, LINE_REASON, what->reason);
		set_text(values, nulls, LINE_SESSION_USER, what->session_user);
		values[LINE_LISTED] = BoolGetDatum(lines[k].listed);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/*
 * A page of a subject's history: arguments before and most stand from the given
 * one on.  "self": it is the subject itself that looks.
 */
static void
show_history(FunctionCallInfo fcinfo, int64 subject_id, int argument, bool self)
{
	int64		before = PG_ARGISNULL(argument) ? PG_INT64_MAX : PG_GETARG_INT64(argument);
	int			most = PG_ARGISNULL(argument + 1) ? 50 : PG_GETARG_INT32(argument + 1);
	bytea	   *salt;
	char	   *token;
	PgcreditLogMark mark;
	int			n;
	PgcreditHistoryLine *lines;

	if (most < 1 || most > MOST_LINES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a page of a history has 1 to %d lines, not %d", MOST_LINES, most),
				 errhint("Ask for the next page with \"before\", the lowest number of the last one.")));

	pgcredit_mark_before_snapshot(&mark);
	PushActiveSnapshot(GetLatestSnapshot());
	pgcredit_mark_after_snapshot(&mark);
	salt = pgcredit_subject_salt(subject_id, GetActiveSnapshot());
	token = salt ? pgcredit_subject_token(subject_id, salt) : NULL;
	if (self && token)
		pgcredit_self_record(token, "history", "list", NULL);
	else
		record_look(subject_id, token, "list");
	n = token ? pgcredit_history_page(GetActiveSnapshot(), &mark, token, before, most, &lines) : 0;
	PopActiveSnapshot();
	(void) pgcredit_audit_finish(NULL);
	if (token == NULL)
		no_such_subject(subject_id);
	put_lines(fcinfo, lines, n);
}

/*
 * credit.access_history(subject bigint, before bigint, most integer): the newest
 * entries before that number that name the subject.  22004 for a null subject,
 * 22023 for a page of no or too many lines, P0002 when there is no such subject;
 * what a read raises when the look cannot be recorded.
 */
Datum
pgcredit_access_history(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("subject must not be null")));
	show_history(fcinfo, PG_GETARG_INT64(0), 1, false);
	return (Datum) 0;
}

/*
 * credit.my_history(before bigint, most integer): the same of the subject that
 * this transaction acts for; PC142 when it acts for none.
 */
Datum
pgcredit_my_history(PG_FUNCTION_ARGS)
{
	show_history(fcinfo, pgcredit_self_subject(), 0, true);
	return (Datum) 0;
}

/*
 * The row of history_proof.
 */
static Datum
show_proof(FunctionCallInfo fcinfo, int64 subject_id, int64 seq, bool self)
{
	bytea	   *salt;
	char	   *token;
	bool		found;
	PgcreditListProof proof;
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PushActiveSnapshot(GetLatestSnapshot());
	salt = pgcredit_subject_salt(subject_id, GetActiveSnapshot());
	token = salt ? pgcredit_subject_token(subject_id, salt) : NULL;
	if (self && token)
		pgcredit_self_record(token, "history", "proof", NULL);
	else
		record_look(subject_id, token, "proof");
	found = token && pgcredit_history_proof(GetActiveSnapshot(), seq, token, &proof);
	PopActiveSnapshot();
	(void) pgcredit_audit_finish(NULL);
	if (token == NULL)
		no_such_subject(subject_id);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("entry " INT64_FORMAT " does not name subject " INT64_FORMAT, seq, subject_id)));
	memset(nulls, proof.element == NULL, sizeof(nulls));
	nulls[0] = false;
	values[0] = PointerGetDatum(proof.entry);
	values[1] = PointerGetDatum(proof.element);
	values[2] = Int64GetDatum(proof.index);
	values[3] = Int64GetDatum(proof.size);
	values[4] = PointerGetDatum(proof.path);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * credit.history_proof(subject bigint, seq bigint): an entry that names the
 * subject, to take away: its bytes, and where it has a list, the subject's
 * element of that and the proof.  P0002 when there is no such subject, or the
 * entry does not name it; what a read raises when the look cannot be recorded.
 */
Datum
pgcredit_history_proof_sql(PG_FUNCTION_ARGS)
{
	return show_proof(fcinfo, PG_GETARG_INT64(0), PG_GETARG_INT64(1), false);
}

/*
 * credit.my_history_proof(seq bigint): the same of the subject that this
 * transaction acts for; PC142 when it acts for none.
 */
Datum
pgcredit_my_history_proof(PG_FUNCTION_ARGS)
{
	return show_proof(fcinfo, pgcredit_self_subject(), PG_GETARG_INT64(0), true);
}
