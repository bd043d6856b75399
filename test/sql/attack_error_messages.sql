-- Errors that carry what they failed on: unique violations, casts, domains, constraints, foreign keys, conflicts. An error
-- may only be about rows that were opened.
\set attack attack_error_messages
\set ECHO none
\getenv srcdir PG_ABS_SRCDIR
\set begin :srcdir /sql/lib/attack_begin.sql
\set end :srcdir /sql/lib/attack_end.sql
\i :begin
\set ECHO all
CREATE UNIQUE INDEX ON twin (subject_id, source_key);
CREATE UNIQUE INDEX ON twin (subject_id, record_id);
CREATE DOMAIN no_secret AS text CHECK (VALUE NOT LIKE 'SECRET%');
CREATE TYPE parsed AS (whose text, amount integer);
CREATE TABLE strict (whose text CHECK (whose <> 'SECRET'), n integer NOT NULL);
SELECT * FROM attack('unique index on an expression', 'CREATE UNIQUE INDEX ON @T@ ((payload ->> ''whose''))');
SELECT * FROM attack('unique violation', 'UPDATE @T@ SET source_key = payload ->> ''whose'' WHERE subject_id = @S2@');
SELECT * FROM attack('conflict', 'INSERT INTO @T@ OVERRIDING SYSTEM VALUE SELECT * FROM @T@ ON CONFLICT DO NOTHING', 'SELECT ''SECRET'' FROM @T@ WHERE subject_id = @S2@');
SELECT * FROM attack('conflict and RETURNING', 'WITH i AS (INSERT INTO @T@ OVERRIDING SYSTEM VALUE SELECT * FROM twin ON CONFLICT (subject_id, source_key) DO UPDATE SET payload = @T@.payload RETURNING *) SELECT * FROM i');
SELECT * FROM attack('UPDATE RETURNING', 'WITH u AS (UPDATE @T@ SET revision = 2 RETURNING *) SELECT * FROM u');
SELECT * FROM attack('DELETE RETURNING', 'WITH d AS (DELETE FROM @T@ RETURNING *) SELECT * FROM d');
SELECT * FROM attack('type of a column', 'ALTER TABLE @T@ ALTER payload TYPE integer USING (payload ->> ''amount'')::integer');
SELECT * FROM attack('check constraint', 'ALTER TABLE @T@ ADD CHECK (leak(payload))');
SELECT * FROM attack('exclusion constraint', 'ALTER TABLE @T@ ADD EXCLUDE USING btree ((payload ->> ''whose'') WITH =) WHERE (subject_id = @S2@)');
SELECT * FROM attack('cast', 'SELECT (payload ->> ''amount'')::integer FROM @T@');
SELECT * FROM attack('cast in a condition', 'SELECT FROM @T@ WHERE (payload ->> ''amount'')::integer > 0');
SELECT * FROM attack('cast to a date', 'SELECT (payload ->> ''amount'')::date FROM @T@ WHERE subject_id = @S2@');
SELECT * FROM attack('populated record', 'SELECT jsonb_populate_record(NULL::parsed, payload) FROM @T@');
SELECT * FROM attack('domain', 'SELECT source_key::no_secret FROM @T@ WHERE leak(source_key)');
SELECT * FROM attack('failing row', 'INSERT INTO strict SELECT payload ->> ''whose'', 1 FROM @T@');
SELECT * FROM attack('failing row, null', 'INSERT INTO strict SELECT source_key, NULL FROM @T@ ORDER BY source_key COLLATE "C" LIMIT 1');
SELECT * FROM attack('enum', 'CREATE TYPE colour AS ENUM (''plain'')', 'SELECT status_reason::colour FROM @T@');
SELECT * FROM attack('an error of one''s own', 'CREATE FUNCTION say(text) RETURNS int LANGUAGE plpgsql AS ''BEGIN IF $1 LIKE ''''SECRET%'''' THEN RAISE EXCEPTION ''''%'''', $1; END IF; RETURN 1; END''',
                     'SELECT say(source_key) FROM @T@');
SELECT * FROM attack('foreign key', 'CREATE TABLE pointer (s bigint, r bigint, FOREIGN KEY (s, r) REFERENCES @T@ (subject_id, record_id))', 'INSERT INTO pointer SELECT @S2@, min(record_id) FROM twin WHERE subject_id = @S2@', 'SELECT ''SECRET'' FROM pointer');
SELECT * FROM attack('foreign key to subjects', 'CREATE TABLE pointer (s bigint REFERENCES credit.subject)', 'SELECT ''SECRET''');
-- what our own functions say of rows of others
SELECT * FROM attack('read', 'SELECT * FROM credit.read(@S2@::bigint, ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('read of many', 'SELECT * FROM credit.read(ARRAY[@S1@, @S2@]::bigint[], ''pre_loan'', ''{tax_payment}'')');
SELECT * FROM attack('words that are taken into a message', 'SELECT credit.open_access(@S1@::bigint, (SELECT string_agg(source_key, '' '') FROM @T@), ''{tax_payment}'')');
SELECT * FROM attack('a category of words', 'SELECT credit.open_access(@S1@::bigint, ''pre_loan'', (SELECT array_agg(source_key ORDER BY source_key COLLATE "C") FROM @T@))');
SELECT * FROM attack('writing a record', 'INSERT INTO credit.record OVERRIDING SYSTEM VALUE SELECT * FROM twin WHERE subject_id = @S2@ LIMIT 1');
SELECT * FROM attack('writing a subject', 'INSERT INTO credit.subject (kind, code) VALUES (''village'', ''attack-error-messages-2'')');
-- who looks without the guard sees it
RESET ROLE;
SELECT attempt(ARRAY['SELECT (payload ->> ''amount'')::integer FROM credit.record'], false);
\set ECHO none
\i :end
