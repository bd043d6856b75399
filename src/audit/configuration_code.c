/*
 * configuration_code.c
 *		Which commands change the code, so that their entry has its digest.
 *
 * The digest is over members of the extension and what hangs on member tables
 * (code_digest.c) and takes a tenth of a second.  A command that cannot have
 * changed what it is over has an entry without one: the newest entry with a digest
 * then still says what the code is.  Where this file does not know, it says yes.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "audit/configuration.h"

/*
 * Can the definition of an object that is there now be in the digest of the code?
 * A table of ours that is no member, as a partition of a ledger, is not in it, nor
 * are its constraints and triggers.
 */
static bool
in_code_digest(const ObjectAddress *address, Oid extension)
{
	Relation	rel;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		in = false;
	int			n = 0;

	if (getExtensionOfObject(address->classId, address->objectId) == extension)
		return true;
	if (address->classId == RelationRelationId)
	{
		char		kind = get_rel_relkind(address->objectId);

		if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
			return getExtensionOfObject(RelationRelationId, IndexGetRelation(address->objectId, true)) == extension;
		return kind == '\0';
	}
	if (address->classId != ConstraintRelationId && address->classId != TriggerRelationId &&
		address->classId != AttrDefaultRelationId && address->classId != TypeRelationId)
		return true;
	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(address->classId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(address->objectId));
	scan = systable_beginscan(rel, DependDependerIndexId, true, NULL, 2, key);
	for (; !in && HeapTupleIsValid(tuple = systable_getnext(scan)); n++)
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress whole;

		ObjectAddressSet(whole, depend->refclassid, depend->refobjid);
		if (whole.classId == RelationRelationId || whole.classId == ConstraintRelationId ||
			(whole.classId == TypeRelationId && depend->deptype != DEPENDENCY_NORMAL))
			in = in_code_digest(&whole, extension);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return in || n == 0;
}

/*
 * Is this ALTER TABLE ... ATTACH PARTITION of a table that is no member, which
 * leaves the definition of the partitioned one as it was?
 */
static bool
attaches_partition(Node *stmt, Oid extension)
{
	AlterTableCmd *action;
	Oid			part;

	if (!IsA(stmt, AlterTableStmt) || list_length(((AlterTableStmt *) stmt)->cmds) != 1)
		return false;
	action = linitial_node(AlterTableCmd, ((AlterTableStmt *) stmt)->cmds);
	if (action->subtype != AT_AttachPartition)
		return false;
	part = RangeVarGetRelid(castNode(PartitionCmd, action->def)->name, NoLock, true);
	return OidIsValid(part) && getExtensionOfObject(RelationRelationId, part) != extension;
}

/*
 * Did the command change code, so that the digest is to be taken anew?
 */
bool
pgcredit_configuration_changes_code(ConfigurationCommand *command)
{
	ListCell   *lc;
	Oid			attached_to = InvalidOid;

	if (IsA(command->stmt, RenameStmt))
		return true;			/* also of a role, which policies name */
	if (attaches_partition(command->stmt, command->extension))
		attached_to = RangeVarGetRelid(((AlterTableStmt *) command->stmt)->relation, NoLock, true);
	foreach(lc, command->touched)
	{
		TouchedObject *object = lfirst(lc);

		if (object->change == OBJECT_NAMED ||
			object->address.classId == PublicationRelRelationId ||
			object->address.classId == PublicationNamespaceRelationId ||
			(object->address.classId == RelationRelationId && object->address.objectId == attached_to))
			continue;
		if (object->change == OBJECT_DROPPED || in_code_digest(&object->address, command->extension))
			return true;
	}
	return false;
}
