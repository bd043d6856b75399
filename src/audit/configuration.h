/*
 * configuration.h
 *		Shared between the files that record configuration.
 */
#ifndef PGCREDIT_CONFIGURATION_H
#define PGCREDIT_CONFIGURATION_H

#include "catalog/objectaccess.h"
#include "catalog/objectaddress.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"

#include "audit/audit_internal.h"

typedef enum ObjectChange
{
	OBJECT_NAMED,				/* the command names it: GRANT, COMMENT */
	OBJECT_CREATED,
	OBJECT_ALTERED,
	OBJECT_DROPPED
} ObjectChange;

/* An object that a command touched; what it was called before and is after. */
typedef struct TouchedObject
{
	ObjectAddress address;		/* InvalidOid where there is none, as for a parameter */
	ObjectChange change;
	bool		ours;			/* was before, or is now */
	char	   *type;
	char	   *before;			/* NULL when it was not there, or was not ours */
	char	   *after;			/* NULL when it is not there */
} TouchedObject;

/* A command under way; all it points to is in its context. */
typedef struct ConfigurationCommand
{
	struct ConfigurationCommand *outer;
	MemoryContext context;
	Node	   *stmt;			/* a copy: running the command may change the tree */
	const char *operation;		/* its tag */
	Oid			extension;		/* InvalidOid while there is none */
	Oid			schema;
	char	   *from_version;	/* of ALTER EXTENSION pgcredit UPDATE */
	bool		concerns;		/* to be recorded whatever it touched */
	List	   *touched;		/* TouchedObjects */
	List	   *created;		/* ObjectAddresses, ours or not */
} ConfigurationCommand;

#define MEMBERS_MAX 20

typedef struct EntryMembers
{
	int			n;
	PgcreditMember items[MEMBERS_MAX + PGCREDIT_NOTE_ADDS];
} EntryMembers;

/* configuration.c; the first four are called by the hooks in transaction.c */
extern ConfigurationCommand *pgcredit_configuration_begin(Node *stmt, ProcessUtilityContext context);
extern void pgcredit_configuration_leave(ConfigurationCommand *command);
extern void pgcredit_configuration_finish(ConfigurationCommand *command);
extern void pgcredit_configuration_note(ObjectAccessType access, Oid classId, Oid objectId, int subId);
extern bool pgcredit_configuration_ours(const ObjectAddress *address, Oid extension, Oid schema);
extern TouchedObject *pgcredit_configuration_touch(ConfigurationCommand *command,
												   const ObjectAddress *address, ObjectChange change);
extern void pgcredit_configuration_name(ConfigurationCommand *command, const char *type, const char *identity);

/* configuration_code.c */
extern bool pgcredit_configuration_changes_code(ConfigurationCommand *command);

/* configuration_entry.c */
extern char *pgcredit_configuration_json(const char *value);
extern void pgcredit_configuration_text(EntryMembers *members, const char *name, const char *value);
extern void pgcredit_configuration_true(EntryMembers *members, const char *name);
extern void pgcredit_configuration_list(EntryMembers *members, const char *name, List *values);
extern void pgcredit_configuration_objects(EntryMembers *members, List *touched);

/* configuration_stmt.c */
extern bool pgcredit_configuration_sets_triggers(Node *stmt);
extern void pgcredit_configuration_stmt_before(ConfigurationCommand *command);
extern void pgcredit_configuration_stmt_after(ConfigurationCommand *command, EntryMembers *members);

/* configuration_role.c */
extern bool pgcredit_configuration_roles_concern(Node *stmt, Oid extension, Oid schema);
extern bool pgcredit_configuration_describe_roles(Node *stmt, EntryMembers *members);
extern char *pgcredit_configuration_role_name(RoleSpec *role);
extern List *pgcredit_configuration_role_names(List *specs);

#endif							/* PGCREDIT_CONFIGURATION_H */
