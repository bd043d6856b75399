/*
 * settings.c
 *		Settings under which queries of users are run for ratings.
 *
 * The query of an indicator and the view that rate_all reads are run by the
 * session that calls, by background workers and by whoever goes on with a run.
 * Each has settings of its own, and many change what a query yields, so those are
 * the same for all.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "rating/settings.h"

static const char *const settings[][2] = {
	{"search_path", "pg_catalog, credit, pg_temp"},
	{"datestyle", "ISO, YMD"},
	{"intervalstyle", "postgres"},
	{"timezone", "Asia/Shanghai"},
	{"timezone_abbreviations", "Default"},
	{"lc_monetary", "C"},
	{"lc_numeric", "C"},
	{"lc_time", "C"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"xmlbinary", "base64"},
	{"xmloption", "content"},
	{"default_text_search_config", "pg_catalog.simple"},
	{"array_nulls", "on"},
	{"transform_null_equals", "off"},
	{"standard_conforming_strings", "on"},
	{"quote_all_identifiers", "off"},
};

/*
 * Set them until AtEOXact_GUC(true, <returned level>), or until the transaction
 * is aborted.  Only what differs is set: some read a file to be set.
 */
int
pgcredit_rating_settings(void)
{
	int			level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		if (strcmp(GetConfigOption(settings[i][0], false, false), settings[i][1]) != 0)
			(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}
