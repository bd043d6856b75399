-- ---------------------------------------------------------------------------
-- 67 rating: sessions of villages, limits of households, indexes of aspects
-- ---------------------------------------------------------------------------
-- What a village finds of a household is entered by one person and confirmed by another, and is used only then. A session
-- counts its members by role; it holds no names and no text about anybody.
--
-- Lock order: a row of credit.village_session, then its results.

CREATE TABLE credit.village_session (
    session_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    adoption_id bigint NOT NULL REFERENCES credit.rating_adoption,
    village credit.region_code NOT NULL,
    held_on date NOT NULL CHECK (isfinite(held_on)),
    members jsonb NOT NULL,
    written_by text NOT NULL,
    written_sessions text[] NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    confirmed_by text,
    confirmed_session text,
    confirmed_at timestamptz,
    CHECK ((confirmed_at IS NULL) = (confirmed_session IS NULL)),
    CHECK (confirmed_session <> ALL (written_sessions))
);
COMMENT ON TABLE credit.village_session IS 'sessions of village committees and councils on households (村两委、协商议事会评议会议)';
COMMENT ON COLUMN credit.village_session.members IS 'how many were present, by role: party_branch, village_committee, consultation_council (到会人员)';
COMMENT ON COLUMN credit.village_session.written_sessions IS 'who was logged in when it was opened or a result entered; who confirms is another one (录入人会话)';
COMMENT ON COLUMN credit.village_session.confirmed_at IS 'when a second person confirmed it; before that nothing of it is used (确认时间)';

CREATE TABLE credit.village_result (
    subject_id bigint NOT NULL REFERENCES credit.subject,
    session_id bigint NOT NULL REFERENCES credit.village_session,
    village_limit numeric CHECK (village_limit >= 0 AND village_limit < 1e15),
    character_factor numeric CHECK (character_factor > 0 AND character_factor < 1e6),
    failed text[],
    entered_by text NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject_id, session_id),
    CHECK ((village_limit IS NULL) = (character_factor IS NULL) AND (village_limit IS NULL) <> (failed IS NULL))
);
CREATE INDEX village_result_session_idx ON credit.village_result (session_id);
COMMENT ON TABLE credit.village_result IS 'what a session found of each household (逐户评议结果)';
COMMENT ON COLUMN credit.village_result.village_limit IS 'limit that the village suggests, yuan (公议授信额度)';
COMMENT ON COLUMN credit.village_result.character_factor IS 'factor of character and standing (人品资信系数)';
COMMENT ON COLUMN credit.village_result.failed IS 'codes of the conditions that are not met; none: on the white list (未满足条件)';

CREATE TABLE credit.household_limit (
    subject_id bigint NOT NULL REFERENCES credit.subject,
    limit_id bigint GENERATED ALWAYS AS IDENTITY,
    adoption_id bigint NOT NULL REFERENCES credit.rating_adoption,
    session_id bigint NOT NULL REFERENCES credit.village_session,
    as_of date NOT NULL,
    assets numeric NOT NULL,
    debts numeric NOT NULL,
    net_assets numeric NOT NULL,
    income numeric NOT NULL,
    character_factor numeric NOT NULL,
    by_assets numeric NOT NULL,
    by_income numeric NOT NULL,
    village_limit numeric NOT NULL,
    amount numeric NOT NULL CHECK (amount >= 0),
    record_ids bigint[] NOT NULL,
    computed_by text NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject_id, limit_id),
    CHECK (net_assets = assets - debts)
);
CREATE UNIQUE INDEX household_limit_by_id ON credit.household_limit (limit_id);
COMMENT ON TABLE credit.household_limit IS 'limits of households by their balance sheets and the opinion of their village; the newest counts (农户授信额度)';
COMMENT ON COLUMN credit.household_limit.by_assets IS 'share of the net assets, times the factor of character (按净资产)';
COMMENT ON COLUMN credit.household_limit.by_income IS 'multiple of the yearly income (按年收入)';
COMMENT ON COLUMN credit.household_limit.amount IS 'smallest of by_assets, by_income and village_limit; 0 without net assets (额度)';
COMMENT ON COLUMN credit.household_limit.record_ids IS 'records that assets, debts and income came from';

CREATE TABLE credit.index_value (
    subject_id bigint NOT NULL REFERENCES credit.subject,
    index_id bigint GENERATED ALWAYS AS IDENTITY,
    adoption_id bigint NOT NULL REFERENCES credit.rating_adoption,
    as_of date NOT NULL,
    aspects jsonb NOT NULL,
    value numeric NOT NULL,
    record_ids bigint[] NOT NULL,
    computed_by text NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject_id, index_id)
);
CREATE UNIQUE INDEX index_value_by_id ON credit.index_value (index_id);
COMMENT ON TABLE credit.index_value IS 'indexes of subjects: weighted sums of their aspects; the newest counts (科创指数)';
COMMENT ON COLUMN credit.index_value.aspects IS 'value of each aspect (各方面取值)';

-- A session changes until it is confirmed, its results too.
CREATE FUNCTION credit._village_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    closed boolean;
BEGIN
    IF TG_TABLE_NAME = 'village_session' THEN
        closed := OLD.confirmed_at IS NOT NULL;
    ELSE
        SELECT s.confirmed_at IS NOT NULL INTO closed FROM credit.village_session s WHERE s.session_id = OLD.session_id;
    END IF;
    IF closed THEN
        RAISE EXCEPTION 'session % is confirmed and cannot be changed', OLD.session_id
            USING ERRCODE = 'PC434', HINT = 'Open another session; the newest confirmed one counts.';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON credit.village_session FOR EACH ROW EXECUTE FUNCTION credit._village_guard();
CREATE TRIGGER guard BEFORE UPDATE ON credit.village_result FOR EACH ROW EXECUTE FUNCTION credit._village_guard();
CREATE TRIGGER guard BEFORE UPDATE ON credit.household_limit FOR EACH ROW EXECUTE FUNCTION credit._group_guard();
CREATE TRIGGER guard BEFORE UPDATE ON credit.index_value FOR EACH ROW EXECUTE FUNCTION credit._group_guard();

-- Erasure of a subject, see credit.erase_subject: a new salt.
CREATE FUNCTION credit._erase_household() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM credit.household_limit l WHERE l.subject_id = NEW.subject_id;
    DELETE FROM credit.village_result r WHERE r.subject_id = NEW.subject_id;
    DELETE FROM credit.index_value v WHERE v.subject_id = NEW.subject_id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credit._erase_household() IS 'trigger: removes limits, results and indexes of a subject that is erased (注销主体额度与评议)';
CREATE TRIGGER erase_household AFTER UPDATE OF log_salt ON credit.subject
    FOR EACH ROW WHEN (OLD.log_salt <> NEW.log_salt) EXECUTE FUNCTION credit._erase_household();

SELECT pg_catalog.pg_extension_config_dump('credit.village_session', '');
SELECT pg_catalog.pg_extension_config_dump('credit.village_session_session_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.village_result', '');
SELECT pg_catalog.pg_extension_config_dump('credit.household_limit', '');
SELECT pg_catalog.pg_extension_config_dump('credit.household_limit_limit_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.index_value', '');
SELECT pg_catalog.pg_extension_config_dump('credit.index_value_index_id_seq', '');
SELECT credit._audit_table('credit.village_session');
SELECT credit._audit_table('credit.village_result');
SELECT credit._audit_table('credit.household_limit');
SELECT credit._audit_table('credit.index_value');

-- sessions --------------------------------------------------------------------

CREATE FUNCTION credit.open_village_session(scheme text, village credit.region_code, held_on date, members jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    day CONSTANT date := credit._rating_day(held_on);
    a CONSTANT credit.rating_adoption := credit._adopted(scheme, '{balance_sheet,conditions}', village, day);
    -- the committees are two: of the party branch and of the villagers; a white list needs the council as well
    needed CONSTANT text[] := '{party_branch,village_committee}'::text[]
        || CASE WHEN a.parameters ? 'conditions' THEN '{consultation_council}'::text[] END;
    absent text;
    id bigint;
BEGIN
    IF village IS NULL OR held_on IS NULL OR members IS NULL THEN
        RAISE EXCEPTION 'village, day and members of a session cannot be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF credit.region_level(village) <> 'village' OR NOT EXISTS (SELECT FROM credit.region x WHERE x.code OPERATOR(credit.=) village) THEN
        RAISE EXCEPTION 'region % is no village that is known', village USING ERRCODE = 'PC433', HINT = 'credit.load_regions adds villages.';
    END IF;
    IF jsonb_typeof(members) <> 'object'
       OR EXISTS (SELECT FROM jsonb_each(members) m
                   WHERE m.key NOT IN ('party_branch', 'village_committee', 'consultation_council')
                      OR jsonb_typeof(m.value) <> 'number' OR m.value #>> '{}' !~ '^[0-9]{1,4}$') THEN
        RAISE EXCEPTION 'members of a session are not written as such'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give how many were present by role: {"party_branch": 3, "village_committee": 5, "consultation_council": 7}.';
    END IF;
    SELECT string_agg(r, ', ') INTO absent FROM unnest(needed) r WHERE COALESCE((members ->> r)::integer, 0) = 0;
    IF absent IS NOT NULL THEN
        RAISE EXCEPTION 'session has nobody of: %', absent
            USING ERRCODE = 'PC435', DETAIL = format('Rating pack "%s" rests on the opinion of each of them.', scheme);
    END IF;
    INSERT INTO credit.village_session (adoption_id, village, held_on, members, written_by, written_sessions)
    VALUES (a.adoption_id, village, day, members, credit.calling_role()::text, ARRAY[session_user::text])
    RETURNING session_id INTO id;
    RETURN id;
END
$$;
COMMENT ON FUNCTION credit.open_village_session(text, credit.region_code, date, jsonb) IS
    'enter a session of a village''s committees, for results to be entered, and return its session_id (登记评议会议)';

-- A session that is open, locked.
CREATE FUNCTION credit._open_session(session_id bigint) RETURNS credit.village_session
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s credit.village_session;
BEGIN
    SELECT * INTO s FROM credit.village_session x WHERE x.session_id = _open_session.session_id FOR UPDATE;
    IF s.session_id IS NULL OR s.confirmed_at IS NOT NULL THEN
        RAISE EXCEPTION 'session % is not open', session_id
            USING ERRCODE = 'PC435', DETAIL = CASE WHEN s.session_id IS NULL THEN 'There is no such session.' ELSE 'It is confirmed.' END;
    END IF;
    RETURN s;
END
$$;

CREATE FUNCTION credit.enter_village_result(session_id bigint, subject_id bigint, village_limit numeric DEFAULT NULL,
                                            character_factor numeric DEFAULT NULL, failed text[] DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s CONSTANT credit.village_session := credit._open_session(session_id);
    a credit.rating_adoption;
    who credit.subject;
    problem text;
BEGIN
    SELECT * INTO a FROM credit.rating_adoption x WHERE x.adoption_id = s.adoption_id;
    SELECT x.* INTO who FROM credit.subject x WHERE x.subject_id = enter_village_result.subject_id;
    IF who.subject_id IS NULL THEN
        RAISE EXCEPTION 'unknown subject %', subject_id USING ERRCODE = 'PC103';
    END IF;
    IF who.region::text IS DISTINCT FROM s.village::text OR who.kind NOT IN ('household', 'person', 'person_in_business')
       OR who.kind <> 'household' AND a.parameters ? 'base_share' THEN
        RAISE EXCEPTION 'subject % is not of village %', subject_id, s.village
            USING ERRCODE = 'PC433', DETAIL = 'A session decides on households, a white list on villagers too, whose region is the village.';
    END IF;
    IF a.parameters ? 'base_share' THEN
        problem := CASE WHEN failed IS NOT NULL THEN 'Rating pack has no conditions.'
                        WHEN village_limit IS NULL OR village_limit < 0 OR village_limit >= 1e15 OR scale(village_limit) > 20
                        THEN 'The village''s limit is from 0 to below 1e15 yuan.'
                        WHEN character_factor IS NULL OR scale(character_factor) > 20
                          OR character_factor < (a.parameters -> 'character_low')::numeric
                          OR character_factor > (a.parameters -> 'character_high')::numeric
                        THEN format('The factor of character is from %s to %s.', a.parameters -> 'character_low', a.parameters -> 'character_high') END;
    ELSE
        problem := CASE WHEN village_limit IS NOT NULL OR character_factor IS NOT NULL THEN 'Rating pack has neither limit nor factor.'
                        WHEN failed IS NULL OR NOT failed <@ credit._texts(a.parameters -> 'conditions')
                          OR cardinality(failed) <> (SELECT count(DISTINCT f) FROM unnest(failed) f)
                        THEN format('Of %s, those that are not met, or none.', array_to_string(credit._texts(a.parameters -> 'conditions'), ', ')) END;
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'result of subject % is not valid', subject_id USING ERRCODE = 'invalid_parameter_value', DETAIL = problem;
    END IF;
    INSERT INTO credit.village_result AS r (subject_id, session_id, village_limit, character_factor, failed, entered_by)
    VALUES (subject_id, session_id, village_limit, character_factor, failed, credit.calling_role()::text)
    ON CONFLICT ON CONSTRAINT village_result_pkey DO UPDATE
       SET village_limit = excluded.village_limit, character_factor = excluded.character_factor, failed = excluded.failed,
           entered_by = excluded.entered_by, entered_at = excluded.entered_at;
    UPDATE credit.village_session x SET written_sessions = x.written_sessions || session_user::text
     WHERE x.session_id = s.session_id AND session_user <> ALL (x.written_sessions);
END
$$;
COMMENT ON FUNCTION credit.enter_village_result(bigint, bigint, numeric, numeric, text[]) IS
    'enter or correct what an open session found of a household (录入逐户评议结果)';

CREATE FUNCTION credit.confirm_village_session(session_id bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s CONSTANT credit.village_session := credit._open_session(session_id);
    results bigint;
BEGIN
    IF session_user = ANY (s.written_sessions) THEN
        RAISE EXCEPTION 'session % needs a second person to confirm it', session_id
            USING ERRCODE = 'PC436', DETAIL = format('"%s" wrote part of it.', session_user),
                  HINT = 'Somebody logged in as another role confirms it.';
    END IF;
    SELECT count(*) INTO results FROM credit.village_result r WHERE r.session_id = s.session_id;
    IF results = 0 THEN
        RAISE EXCEPTION 'session % has no result', session_id USING ERRCODE = 'PC435', HINT = 'Enter results, or discard it.';
    END IF;
    UPDATE credit.village_session x
       SET confirmed_by = credit.calling_role()::text, confirmed_session = session_user, confirmed_at = clock_timestamp()
     WHERE x.session_id = s.session_id;
    RETURN results;
END
$$;
COMMENT ON FUNCTION credit.confirm_village_session(bigint) IS
    'a second person confirms a session; from then on its results are used and nothing of it changes (确认评议会议)';

CREATE FUNCTION credit.discard_village_session(session_id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s CONSTANT credit.village_session := credit._open_session(session_id);
BEGIN
    DELETE FROM credit.village_result r WHERE r.session_id = s.session_id;
    DELETE FROM credit.village_session x WHERE x.session_id = s.session_id;
END
$$;
COMMENT ON FUNCTION credit.discard_village_session(bigint) IS 'take away a session that is not confirmed, with its results (删除未确认会议)';

CREATE FUNCTION credit.white_list(scheme text, village credit.region_code, as_of date DEFAULT NULL)
    RETURNS TABLE (subject_id bigint, session_id bigint, held_on date)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT n.subject_id, n.session_id, n.held_on
      FROM (SELECT DISTINCT ON (r.subject_id) r.subject_id, s.session_id, s.held_on, r.failed
              FROM credit.village_session s JOIN credit.village_result r ON r.session_id = s.session_id
              JOIN credit.rating_adoption a ON a.adoption_id = s.adoption_id
             WHERE s.village OPERATOR(credit.=) white_list.village AND a.pack_id = (credit._adopted(scheme, '{conditions}', white_list.village, credit._rating_day(as_of))).pack_id
               AND s.held_on <= credit._rating_day(as_of) AND s.confirmed_at < credit._day_end(credit._rating_day(as_of))
             ORDER BY r.subject_id, s.held_on DESC, s.session_id DESC) n
     WHERE n.failed = '{}' ORDER BY 1
$$;
COMMENT ON FUNCTION credit.white_list(text, credit.region_code, date) IS
    'villagers whose newest confirmed result meets all conditions (授信白名单)';

-- limits ----------------------------------------------------------------------

CREATE FUNCTION credit.rate_household(subject_id bigint, as_of date DEFAULT NULL, scheme text DEFAULT 'R-10') RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    day CONSTANT date := credit._rating_day(as_of);
    a CONSTANT credit.rating_adoption := credit._adopted(scheme, '{balance_sheet}',
        (SELECT s.region FROM credit.subject s WHERE s.subject_id = rate_household.subject_id), day);
    sheet record;
    opinion record;
    net numeric;
    id bigint;
BEGIN
    -- who computes it at the same time does so after this one: the newest row is never of older records
    PERFORM FROM credit.subject s WHERE s.subject_id = rate_household.subject_id FOR NO KEY UPDATE;
    WITH v AS MATERIALIZED (SELECT * FROM credit._source_values(a, subject_id, day))
    SELECT (min(v.value) FILTER (WHERE v.source = 'assets'))::numeric AS assets, (min(v.value) FILTER (WHERE v.source = 'debts'))::numeric AS debts,
           (min(v.value) FILTER (WHERE v.source = 'income'))::numeric AS income,
           string_agg(v.source, ', ' ORDER BY v.source) FILTER (WHERE v.value IS NULL) AS missing,
           ARRAY(SELECT DISTINCT u FROM v w, unnest(w.record_ids) u ORDER BY 1) AS records
      INTO sheet FROM v;
    IF sheet.missing IS NOT NULL THEN
        RAISE EXCEPTION 'household % has no %', subject_id, sheet.missing
            USING ERRCODE = 'PC437', DETAIL = format('No record as of %s says it, and what is missing is not zero.', day);
    END IF;
    IF sheet.assets < 0 OR sheet.debts < 0 THEN
        RAISE EXCEPTION 'assets and debts of household % are below zero', subject_id
            USING ERRCODE = 'PC437', HINT = 'Correct the record.';
    END IF;
    SELECT r.village_limit, r.character_factor, s.session_id INTO opinion
      FROM credit.village_result r JOIN credit.village_session s ON s.session_id = r.session_id
      JOIN credit.rating_adoption x ON x.adoption_id = s.adoption_id
     WHERE r.subject_id = rate_household.subject_id AND x.pack_id = scheme AND s.held_on <= day AND s.confirmed_at < credit._day_end(day)
     ORDER BY s.held_on DESC, s.session_id DESC LIMIT 1;
    IF opinion.session_id IS NULL THEN
        RAISE EXCEPTION 'household % has no opinion of its village', subject_id
            USING ERRCODE = 'PC435', DETAIL = 'There is no limit before the village committees gave theirs and a second person confirmed it.';
    END IF;
    IF opinion.character_factor < (a.parameters -> 'character_low')::numeric OR opinion.character_factor > (a.parameters -> 'character_high')::numeric THEN
        RAISE EXCEPTION 'opinion on household % has a factor of character outside the adopted range', subject_id
            USING ERRCODE = 'PC435', DETAIL = format('It is %s; the range is %s to %s.', opinion.character_factor,
                                                     a.parameters -> 'character_low', a.parameters -> 'character_high'),
                  HINT = 'The range was changed after the session; hold another one.';
    END IF;
    net := sheet.assets - sheet.debts;
    INSERT INTO credit.household_limit (subject_id, adoption_id, session_id, as_of, assets, debts, net_assets, income, character_factor,
                                        by_assets, by_income, village_limit, amount, record_ids, computed_by)
    SELECT subject_id, a.adoption_id, opinion.session_id, day, sheet.assets, sheet.debts, net, sheet.income, opinion.character_factor,
           c.by_assets, c.by_income, opinion.village_limit, greatest(least(c.by_assets, c.by_income, opinion.village_limit), 0),
           sheet.records, credit.calling_role()::text
      FROM (SELECT trim_scale(greatest(net, 0) * (a.parameters -> 'base_share')::numeric * opinion.character_factor) AS by_assets,
                   trim_scale(sheet.income * (a.parameters -> 'income_multiple')::numeric) AS by_income) c
    RETURNING limit_id INTO id;
    RETURN id;
END
$$;
COMMENT ON FUNCTION credit.rate_household(bigint, date, text) IS
    'limit of a household by its balance sheet, income, character and the opinion of its village; stored, returns limit_id (农户授信额度核定)';

CREATE FUNCTION credit.explain_limit(limit_id bigint) RETURNS TABLE (ordinal integer, item text, value numeric, text_zh text, text_en text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    l credit.household_limit;
    a credit.rating_adoption;
    s credit.village_session;
BEGIN
    SELECT * INTO l FROM credit.household_limit x WHERE x.limit_id = explain_limit.limit_id;
    IF l.limit_id IS NULL THEN
        RAISE EXCEPTION 'there is no limit %', limit_id USING ERRCODE = 'no_data_found', HINT = 'credit.household_limit lists them.';
    END IF;
    SELECT * INTO a FROM credit.rating_adoption x WHERE x.adoption_id = l.adoption_id;
    SELECT * INTO s FROM credit.village_session x WHERE x.session_id = l.session_id;
    RETURN QUERY VALUES
        (1, 'net_assets', l.net_assets, format('净资产＝资产 %s－负债 %s＝%s 元', l.assets, l.debts, l.net_assets),
         format('net assets: assets %s less debts %s, %s yuan', l.assets, l.debts, l.net_assets)),
        (2, 'by_assets', l.by_assets, format('净资产的 %s 倍，乘以人品资信系数 %s：%s 元', a.parameters -> 'base_share', l.character_factor, l.by_assets),
         format('%s of the net assets, times %s for character: %s yuan', a.parameters -> 'base_share', l.character_factor, l.by_assets)),
        (3, 'by_income', l.by_income, format('至多为年收入 %s 的 %s 倍：%s 元', l.income, a.parameters -> 'income_multiple', l.by_income),
         format('at most %s times the yearly income %s: %s yuan', a.parameters -> 'income_multiple', l.income, l.by_income)),
        (4, 'village_limit', l.village_limit, format('村两委 %s 公议额度：%s 元', to_char(s.held_on, 'YYYY-MM-DD'), l.village_limit),
         format('the village committees'' limit of %s: %s yuan', to_char(s.held_on, 'YYYY-MM-DD'), l.village_limit)),
        (5, 'limit', l.amount, CASE WHEN l.net_assets <= 0 THEN '没有净资产，额度为 0' ELSE format('取其中最小者：%s 元', l.amount) END,
         CASE WHEN l.net_assets <= 0 THEN 'no net assets: the limit is 0' ELSE format('the smallest of them: %s yuan', l.amount) END);
END
$$;
COMMENT ON FUNCTION credit.explain_limit(bigint) IS 'how a household''s limit came about, in Chinese and English (额度解释)';

-- indexes ---------------------------------------------------------------------

CREATE FUNCTION credit.rate_index(subject_id bigint, as_of date DEFAULT NULL, scheme text DEFAULT 'R-13') RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    day CONSTANT date := credit._rating_day(as_of);
    a CONSTANT credit.rating_adoption := credit._adopted(scheme, '{index}',
        (SELECT s.region FROM credit.subject s WHERE s.subject_id = rate_index.subject_id), day);
    id bigint;
    v record;
BEGIN
    PERFORM FROM credit.subject s WHERE s.subject_id = rate_index.subject_id FOR NO KEY UPDATE;
    WITH x AS MATERIALIZED (SELECT * FROM credit._source_values(a, subject_id, day))
    SELECT string_agg(x.source, ', ' ORDER BY x.source) FILTER (WHERE x.value IS NULL) AS missing,
           jsonb_object_agg(x.source, x.value::numeric) AS aspects,
           trim_scale(sum(x.value::numeric * (a.parameters -> 'weights' -> x.source)::numeric)) AS value,
           ARRAY(SELECT DISTINCT u FROM x w, unnest(w.record_ids) u ORDER BY 1) AS records
      INTO v FROM x;
    IF v.missing IS NOT NULL THEN
        RAISE EXCEPTION 'subject % has no %', subject_id, v.missing
            USING ERRCODE = 'PC437', DETAIL = format('No record as of %s says it, and what is missing is not zero.', day);
    END IF;
    INSERT INTO credit.index_value (subject_id, adoption_id, as_of, aspects, value, record_ids, computed_by)
    VALUES (subject_id, a.adoption_id, day, v.aspects, v.value, v.records, credit.calling_role()::text)
    RETURNING index_id INTO id;
    RETURN id;
END
$$;
COMMENT ON FUNCTION credit.rate_index(bigint, date, text) IS
    'index of a subject: the weighted sum of its aspects on a day; stored, returns index_id (科创指数计算)';

CREATE FUNCTION credit.explain_index(index_id bigint) RETURNS TABLE (aspect text, value numeric, weight numeric, points numeric, text_zh text, text_en text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM credit.index_value x WHERE x.index_id = explain_index.index_id) THEN
        RAISE EXCEPTION 'there is no index %', explain_index.index_id USING ERRCODE = 'no_data_found', HINT = 'credit.index_value lists them.';
    END IF;
    RETURN QUERY
    SELECT c.aspect, c.value, c.weight, c.points,
           format('“%s”取值 %s，权重 %s，计 %s', c.name_zh, c.value, c.weight, c.points),
           format('%s is %s, of weight %s: %s', c.aspect, c.value, c.weight, c.points)
      FROM (SELECT e.key AS aspect, e.value::numeric AS value, (a.parameters -> 'weights' -> e.key)::numeric AS weight,
                   trim_scale(e.value::numeric * (a.parameters -> 'weights' -> e.key)::numeric) AS points,
                   CASE e.key WHEN 'ability' THEN '创新能力' WHEN 'output' THEN '创新产出' WHEN 'integration' THEN '创新融合' ELSE e.key END AS name_zh
              FROM credit.index_value x JOIN credit.rating_adoption a ON a.adoption_id = x.adoption_id
             CROSS JOIN LATERAL jsonb_each(x.aspects) e
             WHERE x.index_id = explain_index.index_id) c
     ORDER BY c.aspect COLLATE "C";
END
$$;
COMMENT ON FUNCTION credit.explain_index(bigint) IS 'what each aspect adds to an index, in Chinese and English; points add up to the index (指数解释)';
