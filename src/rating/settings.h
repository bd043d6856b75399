/*
 * settings.h
 *		Settings under which queries of users are run for ratings.
 */
#ifndef PGCREDIT_RATING_SETTINGS_H
#define PGCREDIT_RATING_SETTINGS_H

extern int	pgcredit_rating_settings(void);

#endif							/* PGCREDIT_RATING_SETTINGS_H */
