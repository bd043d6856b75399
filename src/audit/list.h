/*
 * list.h
 *		Subjects of an access to many, as the files of the audit room share them.
 *
 * The entry has the root of a Merkle tree (RFC 6962) over the elements of its
 * list, which stand in credit.audit_list.  Element 0 is the access (its UUID,
 * and a number of four bytes that tells the lists of one access apart), so no
 * two lists have one root.  The others are in the order of their bytes:
 *
 *	a subject	first 16 bytes of its token, number of consents, their ids
 *	an id that no subject has	8 bytes, big endian
 *
 * Numbers are base 128, lowest seven bits first, as protocol buffers have them.
 */
#ifndef PGCREDIT_AUDIT_LIST_H
#define PGCREDIT_AUDIT_LIST_H

#include "utils/hsearch.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

#include "audit/audit.h"
#include "audit/entry_kernel.h"
#include "crypto/crypto.h"

/* Columns, from 1 */
#define LIST_LIST 1
#define LIST_FIRST 2
#define LIST_MADE 3
#define LIST_ELEMENTS 4
#define LIST_COLUMNS 4

/* Bytes of elements in a row, which must fit a page; and the longest element. */
#define LIST_ROW 6000
#define LIST_ELEMENT_MAX 1500
/* Consents of an element: a category each at most. */
#define LIST_CONSENTS_MAX 127

/* A row as it goes through the ring; its elements follow. */
typedef struct ListRow
{
	pg_uuid_t	list;
	pg_uuid_t	first;
} ListRow;

typedef enum ListElementKind
{
	LIST_HEADER,
	LIST_SUBJECT,
	LIST_ID
} ListElementKind;

/* An element, read. */
typedef struct ListElement
{
	ListElementKind kind;
	const char *at;				/* its bytes, which are what is hashed */
	int			len;
	pg_uuid_t	key;			/* where it stands in the order */
	int			n_consents;
	int64		consents[LIST_CONSENTS_MAX];
	int64		id;
} ListElement;

extern void pgcredit_list_element(const char *at, const char *end, ListElementKind kind, ListElement *element);
extern bool pgcredit_list_fold(void *hashes, unsigned int height, uint64 index, PgcreditMerkleHash out);
extern bool pgcredit_list_has(Snapshot snapshot, const pg_uuid_t *list, const pg_uuid_t *key);
extern bool pgcredit_list_is_whole(Snapshot snapshot, PgcreditSpan entry);
extern int64 pgcredit_list_drop(const pg_uuid_t *list);
extern int64 pgcredit_list_clean(HTAB *named);

/* record.c: returns when the rows are durable */
extern void pgcredit_audit_put_rows(const ListRow *rows, const StringInfoData *elements, int n);

#endif							/* PGCREDIT_AUDIT_LIST_H */
