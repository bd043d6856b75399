-- ---------------------------------------------------------------------------
-- 76 target: packs and settings of the operator; rights, dumps, audit
-- ---------------------------------------------------------------------------

-- All that is wrong with one target. Names of metrics that come with the same definition are in fresh.
CREATE FUNCTION credit._target_problems(t credit.target, plan_start date, fresh jsonb) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind text := coalesce(fresh ->> t.metric, (SELECT m.additivity FROM credit.metric m WHERE m.code = t.metric));
    open boolean := t.tag IN ('qualitative', 'milestone');
BEGIN
    RETURN array_remove(ARRAY[
        CASE WHEN t.code IS NULL OR t.name_zh IS NULL OR t.name_en IS NULL OR t.clause IS NULL OR t.metric IS NULL OR t.form IS NULL
            THEN 'code, clause, name_zh, name_en, metric and form are required' END,
        CASE WHEN t.metric IS NOT NULL AND kind IS NULL THEN format('unknown metric "%s"', t.metric) END,
        CASE WHEN t.form NOT IN ('level', 'flow', 'share', 'growth', 'cagr', 'cumulative', 'gap', 'count', 'coverage', 'reduction',
                            'average') THEN format('unknown form "%s"', t.form) END,
        CASE WHEN t.comparator NOT IN ('>=', '>', '<=', '<', '=') THEN format('unknown comparator "%s"', t.comparator) END,
        CASE WHEN t.tag NOT IN ('stated', 'all', 'directional', 'cadence', 'population', 'achieved', 'milestone', 'composite',
                           'qualitative') THEN format('unknown tag "%s"', t.tag) END,
        CASE WHEN t.base NOT IN ('previous_year', 'year_start', 'start', 'zero') THEN format('unknown base "%s"', t.base) END,
        CASE WHEN t.rule NOT IN ('total', 'average', 'each') THEN format('unknown rule "%s"', t.rule) END,
        CASE WHEN t.per NOT IN ('year', 'quarter', 'month') THEN format('unknown per "%s"', t.per) END,
        CASE WHEN (t.comparator IS NULL) <> (t.value IS NULL) THEN 'comparator and value come together' END,
        CASE WHEN t.value IS NULL AND NOT open THEN format('a target tagged %s needs comparator and value', t.tag) END,
        CASE WHEN NOT credit._is_figure(t.value) OR scale(t.value) > 10
            THEN 'value must be finite, below 1e30 in size, with at most 10 decimals' END,
        CASE WHEN NOT credit._is_figure(t.baseline) THEN 'baseline must be finite, below 1e30 in size, with at most 20 decimals' END,
        CASE WHEN t.baseline IS NOT NULL AND t.baseline_date IS NULL THEN 'baseline needs baseline_date' END,
        CASE WHEN t.form IN ('growth', 'cagr', 'reduction') AND coalesce(t.base, 'zero') = 'zero'
            THEN format('form %s needs a base: previous_year, year_start or start', t.form) END,
        CASE WHEN t.form = 'cagr' AND t.value < -1 THEN 'a yearly rate below -1 cannot be reached' END,
        CASE WHEN t.form = 'reduction' AND t.yearly AND t.value > 1 THEN 'a yearly reduction above 1 cannot be reached' END,
        CASE WHEN t.form = 'cumulative' AND (t.base IS NULL) = (t.rule IS NULL)
            THEN 'form cumulative needs a base (of a stock) or a rule (of a flow)' END,
        CASE WHEN t.form = 'flow' AND t.rule IS NULL THEN 'form flow needs a rule: total, average or each' END,
        CASE WHEN t.rule IS NOT NULL AND kind NOT IN ('flow', 'distinct')
            THEN format('rule %s adds up over time, but metric "%s" is a %s', t.rule, t.metric, kind) END,
        CASE WHEN t.rule = 'each' AND t.per IS NULL THEN 'rule each needs per: year, quarter or month' END,
        CASE WHEN NOT isfinite(t.due_date) OR NOT isfinite(t.assumed_due) OR NOT isfinite(t.start_date)
             OR NOT isfinite(t.baseline_date) THEN 'dates must be finite' END,
        CASE WHEN coalesce(t.due_date, t.assumed_due) < coalesce(t.start_date, plan_start) THEN 'due before it starts' END,
        CASE WHEN t.max_age_days NOT BETWEEN 0 AND 36600 THEN 'max_age_days must be from 0 to 36600' END,
        CASE WHEN t.comparison_region IS NOT NULL AND NOT credit._region_known(t.comparison_region)
            THEN format('unknown comparison_region "%s"', t.comparison_region) END], NULL);
END
$$;

CREATE FUNCTION credit._target_problem(t credit.target, plan_start date, fresh jsonb) RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT (credit._target_problems(t, plan_start, fresh))[1];
    END;

CREATE FUNCTION credit._unknown_keys(given jsonb, known text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT 'unknown key ' || string_agg(to_json(k)::text, ', ' ORDER BY k)
          FROM jsonb_object_keys(given) k WHERE k <> ALL (known);
    END;

-- A target of a definition as a row, with what its form leaves to be understood.
CREATE FUNCTION credit._defined_target(given jsonb) RETURNS credit.target
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD'
    BEGIN ATOMIC
        SELECT jsonb_populate_record(NULL::credit.target,
            jsonb_build_object('tag', 'stated', 'segment', '', 'yearly', false, 'max_age_days', 366, 'shipped', false,
                'position', 0,
                'base', CASE given ->> 'form' WHEN 'growth' THEN 'previous_year' WHEN 'cagr' THEN 'start'
                             WHEN 'reduction' THEN 'start'
                             WHEN 'cumulative' THEN CASE WHEN given ? 'rule' THEN NULL ELSE 'start' END END,
                'rule', CASE given ->> 'form' WHEN 'flow' THEN 'total' END)
            || (given - ARRAY['members', 'position', 'shipped', 'pack']));
    END;

CREATE FUNCTION credit.check_pack(definition jsonb) RETURNS TABLE (path text, problem text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD' AS $$
DECLARE
    p credit.pack;
    m credit.metric;
    t credit.target;
    e jsonb;
    n bigint;
    fresh jsonb := '{}';
    codes text[];
    problems text[];
BEGIN
    IF jsonb_typeof(definition) IS DISTINCT FROM 'object' THEN
        RETURN QUERY SELECT '$'::text, 'a pack is a JSON object'::text;
        RETURN;
    END IF;
    path := '$';
    problems := ARRAY[credit._unknown_keys(definition, '{pack_id,title_zh,title_en,region,document_number,document_date,notice_date,draft,start_date,valid_until,seed,note,metrics,targets}')];
    BEGIN
        p := jsonb_populate_record(NULL::credit.pack, definition - ARRAY['metrics', 'targets']);
        problems := problems || ARRAY[
            CASE WHEN p.pack_id IS NULL OR p.title_zh IS NULL OR p.title_en IS NULL OR p.region IS NULL OR p.start_date IS NULL
                THEN 'pack_id, title_zh, title_en, region and start_date are required' END,
            CASE WHEN p.region IS NOT NULL AND NOT credit._region_known(p.region) THEN format('unknown region "%s"', p.region) END,
            CASE WHEN EXISTS (SELECT FROM credit.pack x WHERE x.pack_id = p.pack_id)
                THEN format('pack "%s" exists already', p.pack_id) END];
    EXCEPTION WHEN data_exception OR check_violation THEN
        problems := problems || sqlerrm;
    END;
    problems := problems || ARRAY[
        CASE WHEN jsonb_typeof(definition -> 'targets') IS DISTINCT FROM 'array' THEN 'targets must be an array' END,
        CASE WHEN jsonb_typeof(coalesce(definition -> 'metrics', '[]')) <> 'array' THEN 'metrics must be an array' END];
    FOREACH problem IN ARRAY array_remove(problems, NULL) LOOP
        RETURN NEXT;
    END LOOP;
    FOR e, n IN SELECT v.value, v.ordinality FROM jsonb_array_elements(CASE jsonb_typeof(definition -> 'metrics')
                    WHEN 'array' THEN definition -> 'metrics' ELSE '[]' END) WITH ORDINALITY v LOOP
        path := format('metrics[%s]', n - 1);
        IF jsonb_typeof(e) <> 'object' THEN
            problem := 'a metric is a JSON object';
            RETURN NEXT;
            CONTINUE;
        END IF;
        m := jsonb_populate_record(NULL::credit.metric, e - 'shipped');
        problems := ARRAY[
            credit._unknown_keys(e, '{code,unit,additivity,name_zh,name_en,operation,left_metric,right_metric,left_segment,right_segment,growth_base}'),
            CASE WHEN m.code IS NULL OR m.unit IS NULL OR m.additivity IS NULL OR m.name_zh IS NULL OR m.name_en IS NULL
                THEN 'code, unit, additivity, name_zh and name_en are required' END,
            CASE WHEN fresh ? m.code OR EXISTS (SELECT FROM credit.metric x WHERE x.code = m.code)
                THEN format('metric "%s" exists already', m.code) END,
            CASE WHEN m.additivity NOT IN ('stock', 'flow', 'distinct', 'ratio') THEN format('unknown additivity "%s"', m.additivity) END,
            CASE WHEN m.operation NOT IN ('ratio', 'difference', 'growth') THEN format('unknown operation "%s"', m.operation) END]
            || ARRAY(SELECT format('unknown metric "%s"', o) FROM unnest(ARRAY[m.left_metric, m.right_metric]) o
                      WHERE o IS NOT NULL AND NOT fresh ? o AND NOT EXISTS (SELECT FROM credit.metric x WHERE x.code = o));
        fresh := fresh || jsonb_build_object(coalesce(m.code, ''), m.additivity);
        FOREACH problem IN ARRAY array_remove(problems, NULL) LOOP
            RETURN NEXT;
        END LOOP;
    END LOOP;
    FOR e, n IN SELECT v.value, v.ordinality FROM jsonb_array_elements(CASE jsonb_typeof(definition -> 'targets')
                    WHEN 'array' THEN definition -> 'targets' ELSE '[]' END) WITH ORDINALITY v LOOP
        path := format('targets[%s]', n - 1);
        IF jsonb_typeof(e) <> 'object' THEN
            problem := 'a target is a JSON object';
            RETURN NEXT;
            CONTINUE;
        END IF;
        problems := ARRAY[credit._unknown_keys(e, '{code,clause,name_zh,name_en,metric,form,comparator,value,unit,baseline,baseline_date,due_date,scope,responsible_unit,tag,note,segment,base,rule,per,yearly,start_date,assumed_due,comparison_region,max_age_days,decision,members}')];
        BEGIN
            t := credit._defined_target(e);
            problems := problems || credit._target_problems(t, p.start_date, fresh)
                || CASE WHEN t.code = ANY (codes) THEN format('code "%s" stands twice', t.code) END;
        EXCEPTION WHEN data_exception OR check_violation THEN
            problems := problems || sqlerrm;
        END;
        codes := codes || (e ->> 'code');
        IF (coalesce(e ->> 'tag', '') = 'composite') <> (e ? 'members') THEN
            problems := problems || 'members belong to a target tagged composite, and it needs them'::text;
        ELSIF e ? 'members' THEN
            problems := problems || credit._members_problem(e -> 'members', definition -> 'targets', e ->> 'code');
        END IF;
        FOREACH problem IN ARRAY array_remove(problems, NULL) LOOP
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION credit.check_pack(jsonb) IS 'what is wrong with a pack written as JSON; no row: nothing (校验目标包)';

CREATE FUNCTION credit._members_problem(members jsonb, targets jsonb, own text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stray text;
BEGIN
    IF jsonb_typeof(members) <> 'array' OR jsonb_array_length(members) = 0
       OR EXISTS (SELECT FROM jsonb_array_elements(members) g WHERE jsonb_typeof(g) <> 'array') THEN
        RETURN 'members is an array of goals, each an array of codes';
    END IF;
    SELECT min(code #>> '{}') INTO stray
      FROM jsonb_array_elements(members) g CROSS JOIN LATERAL jsonb_array_elements(g) code
     WHERE code #>> '{}' = own
        OR NOT EXISTS (SELECT FROM jsonb_array_elements(targets) x
                        WHERE x ->> 'code' = code #>> '{}' AND x ->> 'tag' IS DISTINCT FROM 'composite');
    RETURN CASE WHEN stray IS NOT NULL
                THEN format('member "%s" is no other target of the pack, or composite itself', stray) END;
END
$$;

CREATE FUNCTION credit.create_pack(definition jsonb) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD' AS $$
DECLARE
    problems text;
    id text := definition ->> 'pack_id';
BEGIN
    SELECT string_agg(k.path || ': ' || k.problem, E'\n') INTO problems
      FROM (SELECT c.path, c.problem FROM credit.check_pack(definition) c LIMIT 20) k;
    IF problems IS NOT NULL THEN
        RAISE EXCEPTION 'pack "%" is not valid', id USING ERRCODE = 'PC501', DETAIL = problems;
    END IF;
    INSERT INTO credit.pack
    SELECT (jsonb_populate_record(NULL::credit.pack,
                '{"draft": false}' || (definition - ARRAY['metrics', 'targets']) || '{"shipped": false}')).*;
    INSERT INTO credit.metric
    SELECT m.* FROM jsonb_array_elements(coalesce(definition -> 'metrics', '[]')) e
     CROSS JOIN LATERAL jsonb_populate_record(NULL::credit.metric, e || '{"shipped": false}') m;
    INSERT INTO credit.target
    SELECT t.* FROM jsonb_array_elements(definition -> 'targets') WITH ORDINALITY e(given, ord)
     CROSS JOIN LATERAL jsonb_populate_record(credit._defined_target(e.given),
                                              jsonb_build_object('pack', id, 'position', e.ord)) t;
    INSERT INTO credit.target_member (pack, code, goal, member)
    SELECT DISTINCT id, e ->> 'code', g.ord::integer, x.code
      FROM jsonb_array_elements(definition -> 'targets') e
     CROSS JOIN LATERAL jsonb_array_elements(e -> 'members') WITH ORDINALITY g(members, ord)
     CROSS JOIN LATERAL jsonb_array_elements_text(g.members) x(code);
    RETURN id;
EXCEPTION WHEN check_violation THEN
    RAISE EXCEPTION 'pack "%" is not valid', id USING ERRCODE = 'PC501', DETAIL = sqlerrm;
END
$$;
COMMENT ON FUNCTION credit.create_pack(jsonb) IS 'adds a pack written as JSON, with metrics it brings along (新增目标包)';

CREATE FUNCTION credit.drop_pack(pack text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM credit._pack_region(pack);
    IF (SELECT p.shipped FROM credit.pack p WHERE p.pack_id = drop_pack.pack) THEN
        RAISE EXCEPTION 'pack "%" belongs to pgcredit', pack USING ERRCODE = 'PC501',
            HINT = 'Use credit.set_target to judge one of its targets otherwise.';
    END IF;
    IF EXISTS (SELECT FROM credit.pack_adoption a WHERE a.pack = drop_pack.pack AND a.adopted_until IS NULL) THEN
        RAISE EXCEPTION 'pack "%" is adopted by a region', pack USING ERRCODE = 'PC520',
            HINT = 'Let the region adopt another pack that replaces it.';
    END IF;
    DELETE FROM credit.pack_adoption a WHERE a.pack = drop_pack.pack;
    DELETE FROM credit.target_member m WHERE m.pack = drop_pack.pack;
    DELETE FROM credit.target_setting s WHERE s.pack = drop_pack.pack;
    DELETE FROM credit.target t WHERE t.pack = drop_pack.pack;
    DELETE FROM credit.reported_figures r WHERE r.pack = drop_pack.pack;
    DELETE FROM credit.pack p WHERE p.pack_id = drop_pack.pack;
END
$$;
COMMENT ON FUNCTION credit.drop_pack(text) IS 'takes away a pack that the operator made; its metrics and figures stay (删除目标包)';

CREATE FUNCTION credit.set_target(pack text, code text, settings jsonb, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD' AS $$
DECLARE
    t credit.target;
    problem text;
BEGIN
    PERFORM credit._pack_region(pack);
    SELECT * INTO t FROM credit.target x WHERE x.pack = set_target.pack AND x.code = set_target.code;
    IF t IS NULL OR t.code IS NULL THEN
        RAISE EXCEPTION 'pack "%" has no target "%"', pack, code USING ERRCODE = 'undefined_object';
    END IF;
    IF jsonb_typeof(settings) IS DISTINCT FROM 'object' OR reason IS NULL OR btrim(reason) = '' THEN
        RAISE EXCEPTION 'settings must be a JSON object and the reason must not be empty'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    problem := credit._unknown_keys(settings, '{comparator,value,baseline,baseline_date,assumed_due,segment,base,rule,per,yearly,start_date,comparison_region,max_age_days,responsible_unit,decision}');
    IF problem IS NULL THEN
        BEGIN
            t := jsonb_populate_record(t, settings);
            problem := credit._target_problem(t, (SELECT p.start_date FROM credit.pack p WHERE p.pack_id = set_target.pack), '{}');
            IF t.segment IS NULL OR t.yearly IS NULL OR t.max_age_days IS NULL THEN
                problem := 'segment, yearly and max_age_days must not be null';
            END IF;
        EXCEPTION WHEN data_exception OR check_violation THEN
            problem := sqlerrm;
        END;
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'settings of target "%" are not valid', code USING ERRCODE = 'PC501', DETAIL = problem;
    END IF;
    IF settings = '{}' THEN
        DELETE FROM credit.target_setting s WHERE s.pack = set_target.pack AND s.code = set_target.code;
        RETURN;
    END IF;
    INSERT INTO credit.target_setting AS s (pack, code, settings, reason, set_by)
    VALUES (pack, code, settings, reason, credit.calling_role()::text)
    ON CONFLICT ON CONSTRAINT target_setting_pkey DO UPDATE
       SET settings = excluded.settings, reason = excluded.reason, set_by = excluded.set_by, set_at = now();
END
$$;
COMMENT ON FUNCTION credit.set_target(text, text, jsonb, text) IS
    'judges a target with other parameters than its pack says; an empty object goes back to the pack (设定目标参数)';

-- Rights. Figures and targets are aggregates: operators and analysts read all of them, everybody else nothing.
DO $$
DECLARE
    f regprocedure;
BEGIN
    -- every function of this room; those of other rooms see to themselves
    FOR f IN SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p
              WHERE p.pronamespace = 'credit'::regnamespace
                AND p.proname IN ('_is_figure', '_region_known', '_check_figure', '_period', '_keep_observation', '_observe',
                    'observe', '_parse_observation', 'retract_observation', '_retract', 'observe_reported', '_lacking',
                    '_period_text', '_stored', '_next_piece', '_sum_from', '_place', '_months', '_base_period', '_growth',
                    '_figure_at', '_ratio', '_difference', '_periods', '_latest', '_power', 'compare_annual_rate',
                    'annual_rate', 'base_of_growth', '_pack_region', '_effective', '_compares', '_short', '_shown', '_on_path',
                    '_judge_point', '_judge_change', '_judge_sum', '_judge_each', '_judge_members', '_case_of', '_judge', '_why', '_projection', '_projected', '_statuses',
                    'target_status', '_target_problems', '_target_problem', '_unknown_keys', '_defined_target', 'check_pack',
                    '_members_problem', 'create_pack', 'drop_pack', 'set_target') LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
END
$$;
GRANT SELECT ON credit.metric, credit.pack, credit.target, credit.target_member, credit.target_setting,
                credit.effective_target, credit.observation, credit.observation_history, credit.reported_figures
    TO credit_operator, credit_analyst;
GRANT SELECT ON credit.observation_rejected TO credit_operator;
-- pure arithmetic, safe for everyone
GRANT EXECUTE ON FUNCTION credit._power(numeric, integer), credit.compare_annual_rate(numeric, numeric, integer, numeric),
                          credit.annual_rate(numeric, numeric, integer), credit.base_of_growth(numeric, numeric) TO PUBLIC;
GRANT EXECUTE ON FUNCTION credit.target_status(text, date, credit.region_code), credit.check_pack(jsonb)
    TO credit_operator, credit_analyst;
GRANT EXECUTE ON FUNCTION credit.observe(text, credit.region_code, date, date, numeric, text, text),
                          credit.observe(text, credit.region_code, date, numeric, text, text),
                          credit.observe(jsonb),
                          credit.retract_observation(text, credit.region_code, date, date, text, text),
                          credit.observe_reported(text), credit.create_pack(jsonb), credit.drop_pack(text),
                          credit.set_target(text, text, jsonb, text)
    TO credit_operator;

SELECT pg_catalog.pg_extension_config_dump('credit.metric', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('credit.pack', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('credit.target', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('credit.target_member', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('credit.target_setting', '');
SELECT pg_catalog.pg_extension_config_dump('credit.observation', '');
SELECT pg_catalog.pg_extension_config_dump('credit.observation_history', '');
SELECT pg_catalog.pg_extension_config_dump('credit.observation_history_history_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.observation_rejected', '');
SELECT pg_catalog.pg_extension_config_dump('credit.reported_figures', 'WHERE NOT shipped');

SELECT credit._audit_table('credit.metric');
SELECT credit._audit_table('credit.pack');
SELECT credit._audit_table('credit.target');
SELECT credit._audit_table('credit.target_member');
SELECT credit._audit_table('credit.target_setting');
SELECT credit._audit_table('credit.observation');
SELECT credit._audit_table('credit.observation_history');
SELECT credit._audit_table('credit.reported_figures');
