/*
 * self.c
 *		The subject that a transaction acts for, and what explains an access.
 *
 * An application proves by a signed token which subject it acts for.  That is
 * kept here, for the rest of the transaction and for the role that showed the
 * token, and nowhere that SQL reaches: no setting can make anybody a subject,
 * and the next transaction on a pooled connection begins with none.  A
 * savepoint that is rolled back takes what was proved after it along.  Each
 * look asks again whether the token is still good, so an issuer or a token that
 * was revoked shows nothing from the commit on (P2).
 *
 * A transaction acts for one subject only: nothing of two ever meets in it.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "audit/audit.h"
#include "consent/consent_internal.h"
#include "core/core.h"

PG_FUNCTION_INFO_V1(pgcredit_as_subject);
PG_FUNCTION_INFO_V1(pgcredit_current_subject);
PG_FUNCTION_INFO_V1(pgcredit_self_look);
PG_FUNCTION_INFO_V1(pgcredit_written_here);
PG_FUNCTION_INFO_V1(pgcredit_explain_access);
PG_FUNCTION_INFO_V1(pgcredit_explain_my_access);

/* Counted under these in credit.stat_audit_refusal; the reasons of accesses count from 1. */
#define REFUSAL_TOKEN_INVALID 30
#define REFUSAL_TOKEN_EXPIRED 31

/* What a token is at most, see credit._check_token; with room for a NUL. */
#define TOKEN_ID_SIZE 65
#define ISSUER_SIZE 129

typedef struct Acting
{
	int64		subject_id;
	Oid			role;			/* who showed the token */
	TimestampTz expires;
	char		issuer[ISSUER_SIZE];
	char		token_id[TOKEN_ID_SIZE];
	SubTransactionId since;
} Acting;

static bool is_acting = false;
static Acting acting;

/* The one subject of this transaction, once there was one; 0 is none. */
static int64 only_subject = 0;

static void
forget_subject(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			is_acting = false;
			only_subject = 0;
			break;
		default:
			break;
	}
}

static void
forget_savepoint(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (!is_acting || acting.since != mine)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		is_acting = false;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		acting.since = parent;
}

void
pgcredit_self_init(void)
{
	pgcredit_audit_name_refusal(REFUSAL_TOKEN_INVALID, "token_invalid");
	pgcredit_audit_name_refusal(REFUSAL_TOKEN_EXPIRED, "token_expired");
	RegisterXactCallback(forget_subject, NULL);
	RegisterSubXactCallback(forget_savepoint, NULL);
}

/* ---------------------------------------------------------------------------
 * Asking SQL
 * ---------------------------------------------------------------------------
 */

/*
 * Run a query of ours as the owner of the extension, with the latest snapshot:
 * what committed before counts, whatever the isolation level.  Between SPI_connect
 * and SPI_finish of the caller.
 */
static void
ask(const char *query, int n, Oid *types, Datum *values, const char *nulls)
{
	PgcreditOwner saved;
	int			ret;

	pgcredit_owner_begin(&saved);
	PushActiveSnapshot(GetLatestSnapshot());
	ret = SPI_execute_with_args(query, n, types, values, nulls, true, 0);
	PopActiveSnapshot();
	pgcredit_owner_end(&saved);
	if (ret != SPI_OK_SELECT)
		elog(ERROR, "query failed: %s", SPI_result_code_string(ret));
}

static void
connect(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/* What credit._check_token says; in the caller's memory. */
typedef struct Checked
{
	char	   *fault;			/* a sentence, or NULL */
	bool		expired;
	bool		vouched;		/* what follows is the issuer's word */
	Acting		acting;
	char	   *subject_token;	/* in the log; NULL when there is no such subject */
} Checked;

enum
{
	COL_FAULT = 1, COL_EXPIRED, COL_SUBJECT, COL_SALT, COL_ISSUER, COL_TOKEN_ID, COL_EXPIRES
};

static void
take_checked(Checked *checked, MemoryContext context)
{
	HeapTuple	tuple = SPI_tuptable->vals[0];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	char	   *fault = SPI_getvalue(tuple, desc, COL_FAULT);
	bool		none;
	Datum		value;

	checked->fault = fault ? MemoryContextStrdup(context, fault) : NULL;
	value = SPI_getbinval(tuple, desc, COL_EXPIRED, &none);
	checked->expired = !none && DatumGetBool(value);
	value = SPI_getbinval(tuple, desc, COL_SUBJECT, &none);
	if (none)
		return;
	checked->vouched = true;
	checked->acting.subject_id = DatumGetInt64(value);
	strlcpy(checked->acting.issuer, SPI_getvalue(tuple, desc, COL_ISSUER), ISSUER_SIZE);
	strlcpy(checked->acting.token_id, SPI_getvalue(tuple, desc, COL_TOKEN_ID), TOKEN_ID_SIZE);
	checked->acting.expires = DatumGetTimestampTz(SPI_getbinval(tuple, desc, COL_EXPIRES, &none));
	value = SPI_getbinval(tuple, desc, COL_SALT, &none);
	if (!none)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		checked->subject_token = pgcredit_subject_token(checked->acting.subject_id, DatumGetByteaPP(value));
		MemoryContextSwitchTo(old);
	}
}

static void
check_token(text *token, Oid role, Checked *checked)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {TEXTOID, OIDOID};
	Datum		values[2] = {PointerGetDatum(token), ObjectIdGetDatum(role)};

	memset(checked, 0, sizeof(Checked));
	connect();
	ask("SELECT fault, expired, subject_id, salt, issuer, token_id, expires FROM credit._check_token($1, $2)",
		2, types, values, NULL);
	take_checked(checked, context);
	SPI_finish();
	checked->acting.role = role;
	checked->acting.since = GetCurrentSubTransactionId();
}

/*
 * Why the token that this transaction acts by is good no more, or NULL.
 */
static char *
fault_now(void)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[3] = {TEXTOID, TEXTOID, INT8OID};
	Datum		values[3];
	char	   *fault;

	values[0] = CStringGetTextDatum(acting.issuer);
	values[1] = CStringGetTextDatum(acting.token_id);
	values[2] = Int64GetDatum(acting.subject_id);
	connect();
	ask("SELECT credit._withdrawn($1, $2, $3)", 3, types, values, NULL);
	fault = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (fault)
		fault = MemoryContextStrdup(context, fault);
	SPI_finish();
	return fault;
}

/* ---------------------------------------------------------------------------
 * The log
 * ---------------------------------------------------------------------------
 */

static void
begin_entry(PgcreditEntry *entry, const ArrayType *categories)
{
	pgcredit_entry_begin(entry);
	pgcredit_json_name(&entry->prefix, "actor");
	pgcredit_json_string(&entry->prefix, GetUserNameFromId(pgcredit_calling_role(), false));
	pgcredit_json_name(&entry->prefix, "at");
	pgcredit_json_time(&entry->prefix, GetCurrentTimestamp());
	if (categories)
	{
		Datum	   *codes;
		bool	   *nulls;
		int			n;

		deconstruct_array((ArrayType *) categories, TEXTOID, -1, false, TYPALIGN_INT, &codes, &nulls, &n);
		pgcredit_json_name(&entry->prefix, "categories");
		appendStringInfoChar(&entry->prefix, '[');
		for (int k = 0; k < n; k++)
		{
			if (nulls[k])
				elog(ERROR, "a category is null");
			if (k > 0)
				appendStringInfoChar(&entry->prefix, ',');
			pgcredit_json_string(&entry->prefix, TextDatumGetCString(codes[k]));
		}
		appendStringInfoChar(&entry->prefix, ']');
	}
}

static void
end_entry(PgcreditEntry *entry, const Acting *by, const char *subject_token)
{
	pgcredit_entry_middle(entry);
	if (by)
	{
		pgcredit_json_name(&entry->suffix, "session_token");
		pgcredit_json_string(&entry->suffix, by->token_id);
	}
	pgcredit_json_name(&entry->suffix, "session_user");
	pgcredit_json_string(&entry->suffix, GetUserNameFromId(GetSessionUserId(), false));
	if (subject_token)
	{
		pgcredit_json_name(&entry->suffix, "subjects");
		appendStringInfo(&entry->suffix, "[\"%s\"]", subject_token);
	}
	pgcredit_entry_end(entry);
	pgcredit_audit_begin(entry, 1);
}

/*
 * Hand the entry of a look to the log, which is made by the subject itself
 * ("token": how it stands in the log).  pgcredit_audit_finish waits for it.
 */
void
pgcredit_self_record(const char *token, const char *kind, const char *operation,
					 const ArrayType *categories)
{
	PgcreditEntry entry;

	begin_entry(&entry, categories);
	pgcredit_json_name(&entry.prefix, "issuer");
	pgcredit_json_string(&entry.prefix, acting.issuer);
	pgcredit_json_name(&entry.prefix, "kind");
	pgcredit_json_string(&entry.prefix, kind);
	pgcredit_json_name(&entry.prefix, "operation");
	pgcredit_json_string(&entry.prefix, operation);
	pgcredit_json_name(&entry.prefix, "purpose");
	pgcredit_json_string(&entry.prefix, "self");
	end_entry(&entry, &acting, token);
}

/*
 * Record that a token is refused, then raise.  "by" is NULL unless its issuer has
 * signed it: what else it says is anybody's word, and stays out of the log.
 */
pg_noreturn static void refuse_token(const char *fault, bool expired, const Acting *by, const char *subject_token);

static void
refuse_token(const char *fault, bool expired, const Acting *by, const char *subject_token)
{
	PgcreditEntry entry;
	uint64		seq;

	begin_entry(&entry, NULL);
	entry.refusal = expired ? REFUSAL_TOKEN_EXPIRED : REFUSAL_TOKEN_INVALID;
	if (by)
	{
		pgcredit_json_name(&entry.prefix, "issuer");
		pgcredit_json_string(&entry.prefix, by->issuer);
	}
	pgcredit_json_name(&entry.prefix, "kind");
	pgcredit_json_string(&entry.prefix, "refusal");
	pgcredit_json_name(&entry.prefix, "purpose");
	pgcredit_json_string(&entry.prefix, "self");
	pgcredit_json_name(&entry.prefix, "reason");
	pgcredit_json_string(&entry.prefix, expired ? "token_expired" : "token_invalid");
	end_entry(&entry, by, subject_token);
	seq = pgcredit_audit_finish(NULL);
	ereport(ERROR,
			(errcode(expired ? ERRCODE_PGCREDIT_TOKEN_EXPIRED : ERRCODE_PGCREDIT_TOKEN_INVALID),
			 errmsg(expired ? "the session token has expired" : "the session token is not valid"),
			 errdetail("%s", fault),
			 errhint("The refusal is entry " UINT64_FORMAT " of the log. Get a new token of the subject.", seq)));
}

/* ---------------------------------------------------------------------------
 * Who this transaction acts for
 * ---------------------------------------------------------------------------
 */

/*
 * The subject that this transaction acts for, for the calling role.  PC142 when
 * there is none; PC141, PC140 when the token that proved it has expired or was
 * withdrawn since, which is recorded.
 */
int64
pgcredit_self_subject(void)
{
	Oid			role = pgcredit_calling_role();
	char	   *fault;
	bool		expired;

	if (!is_acting || acting.role != role)
		ereport(ERROR,
				(errcode(ERRCODE_PGCREDIT_NO_SUBJECT),
				 errmsg("role \"%s\" acts for no subject in this transaction", GetUserNameFromId(role, true)),
				 errhint("Call credit.as_subject() with the subject's session token in the same transaction first.")));
	expired = GetCurrentTimestamp() >= acting.expires;
	fault = expired ? "It was good when the transaction began to act for the subject." : fault_now();
	if (fault)
	{
		bytea	   *salt;

		PushActiveSnapshot(GetLatestSnapshot());
		salt = pgcredit_subject_salt(acting.subject_id, GetActiveSnapshot());
		PopActiveSnapshot();
		is_acting = false;
		refuse_token(fault, expired, &acting, salt ? pgcredit_subject_token(acting.subject_id, salt) : NULL);
	}
	return acting.subject_id;
}

/*
 * credit.as_subject(token text) returns bigint: from now on this transaction acts
 * for the subject of the token, which is returned.  PC140 for a token that is not
 * valid here, PC141 for one that has expired, both recorded; 55000 when the
 * transaction has acted for another subject.  Whoever the transaction acted for,
 * after a refusal it acts for nobody.
 */
Datum
pgcredit_as_subject(PG_FUNCTION_ARGS)
{
	Checked		checked;

	is_acting = false;
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("session token must not be null")));
	check_token(PG_GETARG_TEXT_PP(0), pgcredit_calling_role(), &checked);
	if (checked.fault)
		refuse_token(checked.fault, checked.expired, checked.vouched ? &checked.acting : NULL,
					 checked.subject_token);
	if (only_subject != 0 && only_subject != checked.acting.subject_id)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this transaction has acted for another subject"),
				 errhint("Begin a transaction for each subject.")));
	only_subject = checked.acting.subject_id;
	acting = checked.acting;
	is_acting = true;
	PG_RETURN_INT64(acting.subject_id);
}

/*
 * credit.current_subject() returns bigint: see pgcredit_self_subject.
 */
Datum
pgcredit_current_subject(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(pgcredit_self_subject());
}

/*
 * How a subject stands in the log; P0002 when there is none.
 */
static char *
token_of(int64 subject_id)
{
	bytea	   *salt;

	PushActiveSnapshot(GetLatestSnapshot());
	salt = pgcredit_subject_salt(subject_id, GetActiveSnapshot());
	PopActiveSnapshot();
	if (salt == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("subject " INT64_FORMAT " does not exist", subject_id)));
	return pgcredit_subject_token(subject_id, salt);
}

/*
 * credit._self_look(kind text, operation text, categories text[]) returns bigint:
 * the subject that this transaction acts for, once its look is durable in the log.
 * Raises what pgcredit_self_subject does, and what a read does when it cannot be
 * recorded.  For functions of ours that show something to the subject itself.
 */
Datum
pgcredit_self_look(PG_FUNCTION_ARGS)
{
	int64		subject_id = pgcredit_self_subject();

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		elog(ERROR, "kind and operation of a look must not be null");
	pgcredit_self_record(token_of(subject_id), text_to_cstring(PG_GETARG_TEXT_PP(0)),
						 text_to_cstring(PG_GETARG_TEXT_PP(1)),
						 PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2));
	(void) pgcredit_audit_finish(NULL);
	PG_RETURN_INT64(subject_id);
}

/*
 * credit._written_here(xmin bigint) returns boolean: is a row with this xmin one
 * of this transaction, so that what it permits does not count yet?
 */
Datum
pgcredit_written_here(PG_FUNCTION_ARGS)
{
	int64		xmin = PG_GETARG_INT64(0);

	PG_RETURN_BOOL(xmin >= FirstNormalTransactionId && xmin <= MaxTransactionId &&
				   TransactionIdIsCurrentTransactionId((TransactionId) xmin));
}

/* ---------------------------------------------------------------------------
 * Explaining
 * ---------------------------------------------------------------------------
 */

/*
 * Rows of credit._explain, whose arguments after the subject stand from the given
 * one on, in the result of this call.
 */
static void
put_explanation(FunctionCallInfo fcinfo, int64 subject_id, int argument)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[5] = {INT8OID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID};
	Datum		values[5];
	char		nulls[] = "     ";

	values[0] = Int64GetDatum(subject_id);
	for (int k = 1; k < 5; k++)
	{
		values[k] = PG_GETARG_DATUM(argument + k - 1);
		if (PG_ARGISNULL(argument + k - 1))
			nulls[k] = 'n';
	}
	InitMaterializedSRF(fcinfo, 0);
	connect();
	ask("SELECT * FROM credit._explain($1, $2, $3, $4, $5)", 5, types, values, nulls);
	for (uint64 k = 0; k < SPI_processed; k++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[k]);
	SPI_finish();
}

/*
 * credit.explain_access(subject bigint, institution text, purpose text,
 * categories text[], language text): for the portal, operators and auditors.
 * 22004 for a null, P0002 when there is no such subject, 42501 when the role is
 * an institution's, which could find out about subjects that are none of its
 * business; what a read raises when the look cannot be recorded.
 */
Datum
pgcredit_explain_access(PG_FUNCTION_ARGS)
{
	PgcreditEntry entry;
	int64		subject_id;
	char	   *token;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("subject must not be null")));
	pgcredit_directory_refresh();
	if (pgcredit_institution_of(pgcredit_calling_role()) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("an institution cannot have accesses explained"),
				 errhint("credit.open_access() tells it why it is refused.")));
	subject_id = PG_GETARG_INT64(0);
	token = token_of(subject_id);
	put_explanation(fcinfo, subject_id, 1);

	begin_entry(&entry, NULL);
	pgcredit_json_name(&entry.prefix, "kind");
	pgcredit_json_string(&entry.prefix, "history");
	pgcredit_json_name(&entry.prefix, "operation");
	pgcredit_json_string(&entry.prefix, "explain");
	end_entry(&entry, NULL, token);
	(void) pgcredit_audit_finish(NULL);
	return (Datum) 0;
}

/*
 * credit.explain_my_access(institution text, purpose text, categories text[],
 * language text): the same of the subject that this transaction acts for.
 */
Datum
pgcredit_explain_my_access(PG_FUNCTION_ARGS)
{
	int64		subject_id = pgcredit_self_subject();

	put_explanation(fcinfo, subject_id, 0);
	pgcredit_self_record(token_of(subject_id), "history", "explain", NULL);
	(void) pgcredit_audit_finish(NULL);
	return (Datum) 0;
}
