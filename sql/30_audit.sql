-- ---------------------------------------------------------------------------
-- 30 audit
-- ---------------------------------------------------------------------------
CREATE FUNCTION credit._audit_table(audited regclass) RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$;
