/*
 * compat.h
 *		What differs between PostgreSQL 15 and 18, and nothing else.
 *
 * This is the only file that looks at PG_VERSION_NUM.  A room that meets a
 * difference adds a macro or an inline function here, under the name and with
 * the meaning of the newest version.
 */
#ifndef PGCREDIT_COMPAT_H
#define PGCREDIT_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "pgcredit needs PostgreSQL 15 or newer"
#endif

#if PG_VERSION_NUM < 160000
#include "utils/builtins.h"
#endif
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#endif							/* PGCREDIT_COMPAT_H */
