/*
 * configuration_settings.c
 *		The settings of ours that are in force, as an entry of the log has them.
 *
 * Commands that change a setting have entries of their own; this is for those
 * that come by editing a file.  The command that brings the key is said to be
 * set or not, and no more; of what only superusers may see, as other commands,
 * a digest shows that it changed.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "audit/audit_internal.h"
#include "core/core.h"
#include "crypto/crypto.h"

PG_FUNCTION_INFO_V1(pgcredit_configuration_settings_sql);

static int
by_setting_name(const void *a, const void *b)
{
	return strcmp((*(struct config_generic *const *) a)->name,
				  (*(struct config_generic *const *) b)->name);
}

static char *
digest_of(const char *value)
{
	uint8		hash[PGCREDIT_HASH_BYTES];

	pgcredit_sha256(value, strlen(value), hash);
	return psprintf("sha256:%s", pgcredit_base64url(hash, sizeof(hash)));
}

/*
 * A JSON object with a member for each setting, in the order of their names,
 * each value as text in the setting's base unit; palloc'd.  Needs no
 * transaction.
 */
char *
pgcredit_configuration_settings(void)
{
	int			n;
	int			ours = 0;
	struct config_generic **all = pgcredit_guc_variables(&n);
	struct config_generic **list = palloc(n * sizeof(struct config_generic *));
	StringInfoData buf;

	for (int k = 0; k < n; k++)
	{
		if (strncmp(all[k]->name, "pgcredit.", strlen("pgcredit.")) == 0 &&
			(all[k]->flags & GUC_CUSTOM_PLACEHOLDER) == 0)
			list[ours++] = all[k];
	}
	qsort(list, ours, sizeof(struct config_generic *), by_setting_name);
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int k = 0; k < ours; k++)
	{
		const char *value = GetConfigOption(list[k]->name, true, false);

		if (value == NULL)
			value = "";
		else if ((list[k]->flags & GUC_NO_SHOW_ALL) && value[0] != '\0')
			value = "(not shown)";
		else if ((list[k]->flags & GUC_SUPERUSER_ONLY) && value[0] != '\0')
			value = digest_of(value);
		pgcredit_json_name(&buf, list[k]->name);
		pgcredit_json_string(&buf, value);
	}
	appendStringInfoChar(&buf, '}');
	pfree(list);
	return buf.data;
}

/*
 * credit._settings() returns text: those of this session.
 */
Datum
pgcredit_configuration_settings_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(pgcredit_configuration_settings()));
}
