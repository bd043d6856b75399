-- ---------------------------------------------------------------------------
-- 99 the end of the script: the entry that says what was installed
-- ---------------------------------------------------------------------------

SELECT credit._note_installed();
