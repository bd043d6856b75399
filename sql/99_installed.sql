-- ---------------------------------------------------------------------------
-- 99 the end of the script: what was installed, kept and recorded
-- ---------------------------------------------------------------------------

SELECT credit._note_definitions();
SELECT credit._note_installed();
