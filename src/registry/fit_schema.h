/*
 * fit_schema.h
 *		A category's schema, compiled, and the fitting of one value to a field.
 */
#ifndef PGCREDIT_FIT_SCHEMA_H
#define PGCREDIT_FIT_SCHEMA_H

#include "utils/date.h"
#include "utils/jsonb.h"

typedef enum FitType
{
	FIT_TEXT,
	FIT_INTEGER,
	FIT_NUMERIC,
	FIT_DATE,
	FIT_BOOLEAN,
	FIT_CODE					/* text, one of a list */
} FitType;

typedef struct FitField
{
	char	   *name;
	int			len;
	FitType		type;
	bool		required;
	int			ncodes;
	char	  **codes;			/* NUL-terminated */
} FitField;

typedef struct FitSchema
{
	int			nfields;
	FitField   *fields;			/* in the order of jsonb keys: length, then bytes */
	bool		open;			/* fields that it does not name are kept */
} FitSchema;

/* Why a row is refused; sqlstate NULL while nothing is wrong.  Values are never quoted. */
typedef struct FitFault
{
	const char *sqlstate;
	char	   *reason;
	const char *detail;
} FitFault;

extern FitSchema *pgcredit_fit_schema_compile(const Jsonb *schema);
extern int	pgcredit_fit_schema_find(const FitSchema *schema, const char *name, int len);
extern bool pgcredit_fit_value(const FitField *field, const JsonbValue *given,
					  JsonbValue *fitted, FitFault *fault);
extern char *pgcredit_fit_scalar_text(const JsonbValue *given, int *len);
extern bool pgcredit_fit_date(const char *name, int namelen, const JsonbValue *given,
					 DateADT *day, FitFault *fault);
extern bool pgcredit_fit_holds_resident(const JsonbValue *given);
extern void pgcredit_fit_refuse(FitFault *fault, const char *sqlstate, const char *detail,
					   const char *fmt,...) pg_attribute_printf(4, 5);

#endif							/* PGCREDIT_FIT_SCHEMA_H */
