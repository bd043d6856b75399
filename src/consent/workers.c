/*
 * workers.c
 *		The access set of a leader, for its parallel workers.
 *
 * Workers are other processes and have none of the leader's memory.  The leader
 * lays its set out in a segment of dynamic shared memory and leaves the segment's
 * handle at its place in an array in shared memory, where the workers, which know
 * their leader, find it.  Nothing of that can be named in SQL, so nobody can hand
 * a worker another set.  The leader writes its place before it starts workers and
 * nobody else writes it, so no lock is needed.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/dsm.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#include "consent/consent_internal.h"
#include "core/core.h"

static dsm_handle *places = NULL;	/* [MaxBackends], by number of the process */
static dsm_segment *segment = NULL; /* the leader's own, or the one a worker found */

Size
pgcredit_consent_shmem_size(void)
{
	return mul_size(MaxBackends, sizeof(dsm_handle));
}

/*
 * At the start of the server, and in each process where they do not inherit memory.
 */
void
pgcredit_consent_shmem_init(void)
{
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	places = ShmemInitStruct("pgcredit access sets", pgcredit_consent_shmem_size(), &found);
	if (!found)
		for (int k = 0; k < MaxBackends; k++)
			places[k] = DSM_HANDLE_INVALID;
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Let workers that are started from now on find this set.
 */
void
pgcredit_workers_publish(const GrantSet *set, Oid role)
{
	if (places == NULL)
		return;
	pgcredit_workers_withdraw();
	segment = dsm_create(pgcredit_grants_size(set), 0);
	dsm_pin_mapping(segment);
	pgcredit_grants_lay_out(set, role, dsm_segment_address(segment));
	places[pgcredit_my_procno()] = dsm_segment_handle(segment);
}

/*
 * The end of a transaction, of a leader or a worker.  Workers that still map the
 * segment keep it until they end.
 */
void
pgcredit_workers_withdraw(void)
{
	if (segment == NULL)
		return;
	if (MyProc->lockGroupLeader == NULL || MyProc->lockGroupLeader == MyProc)
		places[pgcredit_my_procno()] = DSM_HANDLE_INVALID;
	dsm_detach(segment);
	segment = NULL;
}

/*
 * In a parallel worker: the leader's set, valid until the worker's transaction
 * ends; false when it has none.
 */
bool
pgcredit_workers_find(GrantSet *set, Oid *role)
{
	dsm_handle	handle;

	if (places == NULL || MyProc->lockGroupLeader == NULL || segment != NULL)
		return false;
	handle = places[pgcredit_procno_of(MyProc->lockGroupLeader)];
	if (handle == DSM_HANDLE_INVALID)
		return false;
	segment = dsm_attach(handle);
	if (segment == NULL)
		return false;
	dsm_pin_mapping(segment);
	pgcredit_grants_found(set, role, dsm_segment_address(segment));
	return true;
}
