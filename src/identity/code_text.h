/*
 * code_text.h
 *		What the fmgr faces of the three identifiers share.
 */
#ifndef PGCREDIT_CODE_TEXT_H
#define PGCREDIT_CODE_TEXT_H

#include "lib/stringinfo.h"
#include "identity/code_kernel.h"

extern bool pgcredit_code_text(Datum value, int min_len, int max_len, text **result);
extern int	pgcredit_code_settle(const char *str, size_t len, int code_len,
								 PgcreditCodeError *error);
extern char *pgcredit_code_quote(const char *str, size_t len);
extern char *pgcredit_code_symbol(const char *str, size_t len, int position);
extern bytea *pgcredit_code_send(const char *code, int len);

#endif							/* PGCREDIT_CODE_TEXT_H */
