/*
 * registry.h
 *		The registry's C: fitting delivered rows to a category's schema, and
 *		hiding resident identity numbers in the rows that are refused.
 *
 * SQL face only (credit._fit_rows, credit._mask_row, credit._mask_text,
 * credit._seal_row, credit._unseal_row); other rooms call none of it.
 */
#ifndef PGCREDIT_REGISTRY_H
#define PGCREDIT_REGISTRY_H

/* The key of a row whose value is a resident identity number. */
#define PGCREDIT_RESIDENT_KEY "resident_id"

#endif							/* PGCREDIT_REGISTRY_H */
