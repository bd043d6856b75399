/*
 * rating.h
 *		Scorecards and ratings, as other rooms see them.
 */
#ifndef PGCREDIT_RATING_H
#define PGCREDIT_RATING_H

extern void pgcredit_rating_init(void);
extern Size pgcredit_rating_shmem_size(void);
extern void pgcredit_rating_shmem_init(void);

#endif							/* PGCREDIT_RATING_H */
