-- ---------------------------------------------------------------------------
-- 62 rating: development of a scorecard: bins and their weight of evidence, logistic regression, a draft
-- ---------------------------------------------------------------------------

-- All of this runs with the rights of the caller: names of relations come as regclass, columns are quoted, values are
-- parameters or quoted literals.

CREATE FUNCTION credit._fit_options(options jsonb, known text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text;
BEGIN
    IF options IS NULL OR jsonb_typeof(options) <> 'object' THEN
        RAISE EXCEPTION 'options are not a JSON object' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT k INTO unknown FROM jsonb_object_keys(options) k WHERE k <> ALL (known) ORDER BY k LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'unknown option "%"', unknown
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Options are ' || array_to_string(known, ', ') || '.';
    END IF;
END
$$;

-- WOE and IV of counts.  The rule for a bin without good or without bad cases is one on which tools differ.
CREATE FUNCTION credit._woe(good float8[], bad float8[], options jsonb, OUT woe float8[], OUT iv float8[]) RETURNS record
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule text := coalesce(options ->> 'zero_cell', 'refuse');
    sign float8 := CASE coalesce(options ->> 'woe_sign', 'bad_over_good') WHEN 'bad_over_good' THEN 1 WHEN 'good_over_bad' THEN -1 END;
    after boolean := CASE coalesce(options ->> 'zero_cell_totals', 'after') WHEN 'after' THEN true WHEN 'before' THEN false END;
    fill float8;
    goods float8 := (SELECT sum(v) FROM unnest(good) v);
    bads float8 := (SELECT sum(v) FROM unnest(bad) v);
    g float8;
    b float8;
BEGIN
    IF sign IS NULL OR after IS NULL OR rule !~ '^(refuse|zero|[0-9]+(\.[0-9]+)?)$' OR rule ~ '^[0.]+$' THEN
        RAISE EXCEPTION 'invalid option woe_sign, zero_cell_totals or zero_cell' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'woe_sign is bad_over_good or good_over_bad, zero_cell_totals after or before, zero_cell refuse, zero or a positive count.';
    END IF;
    IF coalesce(goods, 0) = 0 OR coalesce(bads, 0) = 0 THEN
        RAISE EXCEPTION 'the sample has one class only' USING ERRCODE = 'PC413';
    END IF;
    IF rule NOT IN ('refuse', 'zero') THEN
        fill := rule::float8;
        IF after THEN
            goods := (SELECT sum(CASE v WHEN 0 THEN fill ELSE v END) FROM unnest(good) v);
            bads := (SELECT sum(CASE v WHEN 0 THEN fill ELSE v END) FROM unnest(bad) v);
        END IF;
    END IF;
    FOR i IN 1 .. cardinality(good) LOOP
        g := good[i];
        b := bad[i];
        IF g = 0 OR b = 0 THEN
            IF rule = 'refuse' THEN
                RAISE EXCEPTION 'bin % has % good and % bad cases', i, g, b USING ERRCODE = 'division_by_zero',
                    DETAIL = 'Its weight of evidence is infinite, and tools differ in what they put instead.',
                    HINT = 'Give the option zero_cell: zero, or the count to put in place of 0, such as 0.99.';
            END IF;
            g := CASE g WHEN 0 THEN fill ELSE g END;
            b := CASE b WHEN 0 THEN fill ELSE b END;
        END IF;
        IF g IS NULL OR b IS NULL THEN
            woe[i] := 0;
            iv[i] := 0;
        ELSE
            woe[i] := sign * ln((b / bads) / (g / goods));
            iv[i] := (b / bads - g / goods) * ln((b / bads) / (g / goods));
        END IF;
    END LOOP;
END
$$;

-- Join neighbouring atoms (in order) into bins with strictly monotone bad rates, each with at smallest the least share and
-- both classes, so that the IV is the largest that such bins can have: best[i][j] is the most IV of the atoms up to j when
-- the last bin is i to j.  Returns the last atom of each bin.
CREATE FUNCTION credit._monotone(good float8[], bad float8[], smallest float8, direction text) RETURNS integer[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n CONSTANT integer := cardinality(good);
    goods float8[] := ARRAY[0];
    bads float8[] := ARRAY[0];
    rate float8[];
    best float8[];
    before integer[];
    part float8;
    g float8;
    b float8;
    sign integer;
    answer integer[];
    answer_iv float8 := -1;
    at integer;
    last_i integer;
    top float8;
BEGIN
    FOR i IN 1 .. n LOOP
        goods[i + 1] := goods[i] + good[i];
        bads[i + 1] := bads[i] + bad[i];
    END LOOP;
    FOREACH sign IN ARRAY CASE direction WHEN 'ascending' THEN '{1}' WHEN 'descending' THEN '{-1}' ELSE '{1,-1}' END::integer[] LOOP
        best := array_fill(NULL::float8, ARRAY[n * n]);
        before := array_fill(0, ARRAY[n * n]);
        rate := array_fill(NULL::float8, ARRAY[n * n]);
        FOR j IN 1 .. n LOOP
            FOR i IN 1 .. j LOOP
                g := goods[j + 1] - goods[i];
                b := bads[j + 1] - bads[i];
                CONTINUE WHEN g = 0 OR b = 0 OR g + b < smallest * (goods[n + 1] + bads[n + 1]);
                rate[(i - 1) * n + j] := b / (g + b);
                part := (b / bads[n + 1] - g / goods[n + 1]) * ln((b / bads[n + 1]) / (g / goods[n + 1]));
                IF i = 1 THEN
                    best[j] := part;
                ELSE
                    FOR h IN 1 .. i - 1 LOOP
                        at := (h - 1) * n + i - 1;
                        CONTINUE WHEN best[at] IS NULL OR sign * (rate[(i - 1) * n + j] - rate[at]) <= 0;
                        IF best[(i - 1) * n + j] IS NULL OR best[at] + part > best[(i - 1) * n + j] THEN
                            best[(i - 1) * n + j] := best[at] + part;
                            before[(i - 1) * n + j] := h;
                        END IF;
                    END LOOP;
                END IF;
            END LOOP;
        END LOOP;
        last_i := NULL;
        top := answer_iv;
        FOR i IN 1 .. n LOOP
            IF best[(i - 1) * n + n] > top THEN
                top := best[(i - 1) * n + n];
                last_i := i;
            END IF;
        END LOOP;
        CONTINUE WHEN last_i IS NULL;
        answer_iv := top;
        answer := ARRAY[n];
        at := n;
        WHILE last_i > 1 LOOP
            answer := (last_i - 1) || answer;
            SELECT before[(last_i - 1) * n + at], last_i - 1 INTO last_i, at;
        END LOOP;
    END LOOP;
    RETURN coalesce(answer, ARRAY[n]);
END
$$;

-- Conventions of a model as options of bins.
CREATE FUNCTION credit._bin_conventions(conventions jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT jsonb_strip_nulls(jsonb_build_object('woe_sign', conventions -> 'woe_sign', 'zero_cell', conventions -> 'zero_cell',
                                                'closure', conventions -> 'interval_closure'));
END;

-- Round to so many decimals.
CREATE FUNCTION credit._round(value numeric, digits integer, rounding text) RETURNS numeric
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT CASE WHEN rounding = 'half_up' THEN round(floor(value * 10::numeric ^ digits + 0.5) / 10::numeric ^ digits, digits)
                WHEN rounding = 'half_even' AND abs(value * 10::numeric ^ digits) % 1 = 0.5
                THEN round(2 * round(value * 10::numeric ^ digits / 2) / 10::numeric ^ digits, digits)
                ELSE round(value, digits) END;
END;

CREATE FUNCTION credit.woe_bins(relation regclass, field name, bad name, options jsonb DEFAULT '{}')
    RETURNS TABLE (bin integer, kind text, low float8, high float8, closure text, "values" text[],
                   good_count bigint, bad_count bigint, share float8, woe float8, iv float8)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    -- of a model that is given, what the options themselves do not say
    conventions CONSTANT jsonb := CASE WHEN options ->> 'model' IS NOT NULL
                                       THEN credit._bin_conventions(credit.model_conventions(options ->> 'model')) ELSE '{}' END;
    type_of regtype;
    numeric_field boolean;
    method text;
    closing text := coalesce(options ->> 'closure', conventions ->> 'closure', 'closedOpen');
    missing text := coalesce(options ->> 'missing', 'own');
    bins integer := coalesce((options ->> 'bins')::integer, 10);
    smallest float8 := coalesce((options ->> 'min_share')::float8, 0.05);
    breaks float8[] := ARRAY(SELECT v::float8 FROM jsonb_array_elements_text(options -> 'breaks') v ORDER BY 1);
    special text[] := ARRAY(SELECT v FROM jsonb_array_elements_text(options -> 'special') v);
    expression text;
    lows float8[]; highs float8[]; sets jsonb; goods float8[]; bads float8[];
    fixed record;
    ends integer[];
    result jsonb := '[]';
    counted record;
    first integer := 1;
BEGIN
    PERFORM credit._fit_options(options, '{method,bins,breaks,groups,closure,woe_sign,zero_cell,zero_cell_totals,missing,special,min_share,direction,model}');
    SELECT a.atttypid::regtype INTO type_of FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = field AND a.attnum > 0;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'column "%" of % does not exist', field, relation USING ERRCODE = 'undefined_column';
    END IF;
    numeric_field := type_of IN ('smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric');
    IF NOT numeric_field AND type_of NOT IN ('text', 'character varying', 'character', 'boolean') THEN
        RAISE EXCEPTION 'column "%" has type %, which cannot be binned', field, type_of USING ERRCODE = 'datatype_mismatch',
            HINT = 'Use a view with a number or a text in its place.';
    END IF;
    method := coalesce(options ->> 'method', CASE WHEN options ? 'breaks' THEN 'breaks' WHEN options ? 'groups' THEN 'groups'
                                                  WHEN numeric_field THEN 'quantile' ELSE 'levels' END);
    IF closing NOT IN ('closedOpen', 'openClosed') OR missing NOT IN ('own', 'drop', 'refuse') OR bins NOT BETWEEN 2 AND 50
       OR NOT smallest BETWEEN 0 AND 0.5 OR coalesce(options ->> 'direction', 'auto') NOT IN ('auto', 'ascending', 'descending')
       OR method <> ALL (CASE WHEN numeric_field THEN '{quantile,breaks,monotone}' ELSE '{levels,groups,monotone}' END::text[]) THEN
        RAISE EXCEPTION 'invalid option for column "%" of type %', field, type_of USING ERRCODE = 'invalid_parameter_value',
            HINT = 'method is quantile, breaks, monotone or levels, groups, monotone; closure closedOpen or openClosed; '
                || 'missing own, drop or refuse; bins 2 to 50; min_share 0 to 0.5; direction auto, ascending or descending.';
    END IF;
    expression := format(CASE WHEN numeric_field THEN 't.%I::float8' ELSE 't.%I::text' END, field);
    -- missing and special values first: bins of their own, whatever the others are
    FOR fixed IN EXECUTE format('SELECT CASE WHEN v IS NOT NULL THEN v::text END AS v, count(*) FILTER (WHERE NOT b) AS g, count(*) FILTER (WHERE b) AS b
                                   FROM (SELECT %s AS v, t.%I AS b FROM %s t) x
                                  WHERE b IS NOT NULL AND (v IS NULL OR v = ANY ($1::%s[])) GROUP BY v ORDER BY v IS NOT NULL, v',
                                expression, bad, relation, CASE WHEN numeric_field THEN 'float8' ELSE 'text' END) USING special
    LOOP
        IF fixed.v IS NULL THEN
            CONTINUE WHEN missing = 'drop';
            IF missing = 'refuse' THEN
                RAISE EXCEPTION 'column "%" has % missing values', field, fixed.g + fixed.b USING ERRCODE = 'PC413';
            END IF;
        END IF;
        result := result || jsonb_build_object('kind', CASE WHEN fixed.v IS NULL THEN 'missing' ELSE 'special' END,
                                               'values', CASE WHEN fixed.v IS NOT NULL THEN jsonb_build_array(fixed.v) END,
                                               'good', fixed.g, 'bad', fixed.b);
    END LOOP;
    IF numeric_field THEN
        EXECUTE format('
            WITH c AS (SELECT v, count(*) FILTER (WHERE NOT b) AS g, count(*) FILTER (WHERE b) AS b
                         FROM (SELECT %s AS v, t.%I AS b FROM %s t) x
                        WHERE v IS NOT NULL AND b IS NOT NULL AND v <> ALL ($1) GROUP BY v),
                 n AS (SELECT v, g, b, CASE WHEN $2 = ''breaks'' THEN (SELECT count(*) FROM unnest($3) k WHERE CASE $4 WHEN ''closedOpen'' THEN k <= v ELSE k < v END)
                                            ELSE ceil(sum(g + b) OVER (ORDER BY v) * $5 / sum(g + b) OVER ()) END AS atom FROM c),
                 a AS (SELECT atom, min(v) AS lo, max(v) AS hi, sum(g)::float8 AS g, sum(b)::float8 AS b FROM n GROUP BY atom)
            SELECT array_agg(lo ORDER BY atom), array_agg(hi ORDER BY atom), array_agg(g ORDER BY atom), array_agg(b ORDER BY atom), array_agg(atom::integer ORDER BY atom)
              FROM a', expression, bad, relation)
           INTO lows, highs, goods, bads, ends
          USING special::float8[], method, breaks, closing, CASE method WHEN 'monotone' THEN greatest(bins, 20) ELSE bins END;
        IF highs[cardinality(highs)] = 'NaN' THEN
            RAISE EXCEPTION 'column "%" has NaN', field USING ERRCODE = 'PC413', HINT = 'Make it NULL in a view, or name it as special.';
        END IF;
        IF method = 'breaks' THEN
            FOR i IN 0 .. cardinality(breaks) LOOP
                result := result || jsonb_build_object('kind', 'interval', 'low', breaks[i], 'high', breaks[i + 1],
                    'good', coalesce(goods[array_position(ends, i)], 0), 'bad', coalesce(bads[array_position(ends, i)], 0));
            END LOOP;
        ELSE
            ends := CASE method WHEN 'monotone' THEN credit._monotone(goods, bads, smallest, options ->> 'direction')
                                ELSE ARRAY(SELECT generate_series(1, cardinality(goods))) END;
            FOR i IN 1 .. cardinality(ends) LOOP
                SELECT sum(goods[k]) AS g, sum(bads[k]) AS b INTO counted FROM generate_series(first, ends[i]) k;
                result := result || jsonb_build_object('kind', 'interval',
                    'low', CASE WHEN first > 1 THEN CASE closing WHEN 'closedOpen' THEN lows[first] ELSE highs[first - 1] END END,
                    'high', CASE WHEN ends[i] < cardinality(goods) THEN CASE closing WHEN 'closedOpen' THEN lows[ends[i] + 1] ELSE highs[ends[i]] END END,
                    'good', counted.g, 'bad', counted.b);
                first := ends[i] + 1;
            END LOOP;
        END IF;
    ELSE
        EXECUTE format('
            WITH c AS (SELECT v, count(*) FILTER (WHERE NOT b) AS g, count(*) FILTER (WHERE b) AS b
                         FROM (SELECT %s COLLATE "C" AS v, t.%I AS b FROM %s t) x
                        WHERE v IS NOT NULL AND b IS NOT NULL AND v <> ALL ($1) GROUP BY v),
                 n AS (SELECT v, g, b, CASE $2 WHEN ''levels'' THEN row_number() OVER (ORDER BY v)
                                               WHEN ''groups'' THEN (SELECT min(p) FROM jsonb_array_elements($3) WITH ORDINALITY q(j, p) WHERE j ? v)
                                               ELSE ceil(sum(g + b) OVER (ORDER BY b / (g + b)::numeric, v) * 20 / sum(g + b) OVER ()) END AS atom FROM c),
                 a AS (SELECT atom, jsonb_agg(v ORDER BY v) AS vs, sum(g)::float8 AS g, sum(b)::float8 AS b FROM n GROUP BY atom)
            SELECT jsonb_agg(vs ORDER BY atom), array_agg(g ORDER BY atom), array_agg(b ORDER BY atom), array_agg(atom::integer ORDER BY atom) FROM a',
            expression, bad, relation)
           INTO sets, goods, bads, ends USING special, method, options -> 'groups';
        IF NULL = ANY (ends) OR array_position(ends, NULL) IS NOT NULL THEN
            RAISE EXCEPTION 'values of column "%" are in no group: %', field, sets -> -1 USING ERRCODE = 'PC413';
        END IF;
        ends := CASE method WHEN 'monotone' THEN credit._monotone(goods, bads, smallest, 'ascending')
                            ELSE ARRAY(SELECT generate_series(1, cardinality(goods))) END;
        FOR i IN 1 .. cardinality(ends) LOOP
            SELECT sum(goods[k]) AS g, sum(bads[k]) AS b INTO counted FROM generate_series(first, ends[i]) k;
            result := result || jsonb_build_object('kind', 'set',
                'values', (SELECT jsonb_agg(v) FROM generate_series(first, ends[i]) k, jsonb_array_elements(sets -> (k - 1)) v),
                'good', counted.g, 'bad', counted.b);
            first := ends[i] + 1;
        END LOOP;
    END IF;
    RETURN QUERY
    WITH r AS MATERIALIZED (SELECT p::integer AS p, j, (j ->> 'good')::float8 AS g, (j ->> 'bad')::float8 AS b
                              FROM jsonb_array_elements(result) WITH ORDINALITY e(j, p)),
         w AS MATERIALIZED (SELECT (credit._woe(array_agg(g ORDER BY p), array_agg(b ORDER BY p), conventions || options)).* FROM r)
    SELECT r.p, r.j ->> 'kind', (r.j ->> 'low')::float8, (r.j ->> 'high')::float8,
           CASE WHEN r.j ->> 'kind' = 'interval' THEN closing END,
           CASE WHEN jsonb_typeof(r.j -> 'values') = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(r.j -> 'values')) END,
           r.g::bigint, r.b::bigint, (r.g + r.b) / sum(r.g + r.b) OVER (), w.woe[r.p], w.iv[r.p]
      FROM r, w ORDER BY r.p;
END
$$;
COMMENT ON FUNCTION credit.woe_bins(regclass, name, name, jsonb) IS
    'bins of a column with counts, weight of evidence and information value; conventions are options (分箱与证据权重)';

CREATE FUNCTION credit.iv(relation regclass, field name, bad name, options jsonb DEFAULT '{}') RETURNS float8
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT sum(b.iv ORDER BY b.bin) FROM credit.woe_bins(iv.relation, iv.field, iv.bad, iv.options) b;
END;
COMMENT ON FUNCTION credit.iv(regclass, name, name, jsonb) IS 'information value of a column, binned as credit.woe_bins does (信息值)';

-- ---------------------------------------------------------------------------
-- Logistic regression
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._fit_transition(internal, boolean, float8, float8[], float8[]) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_fit_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._fit_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_fit_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._fit_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_fit_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._fit_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_fit_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._fit_final(internal) RETURNS float8[]
    AS 'MODULE_PATHNAME', 'pgcredit_fit_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._fit_step(sums float8[], setup float8[], OUT step float8[], OUT dependent integer) RETURNS record
    AS 'MODULE_PATHNAME', 'pgcredit_fit_step' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._fit_coefficients(sums float8[], setup float8[],
        OUT estimate float8[], OUT std_error float8[], OUT z float8[], OUT p float8[]) RETURNS record
    AS 'MODULE_PATHNAME', 'pgcredit_fit_coefficients' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE AGGREGATE credit._fit_sums(bad boolean, weight float8, x float8[], setup float8[]) (
    SFUNC = credit._fit_transition, STYPE = internal, SSPACE = 8192, FINALFUNC = credit._fit_final,
    COMBINEFUNC = credit._fit_combine, SERIALFUNC = credit._fit_serialize, DESERIALFUNC = credit._fit_deserialize,
    PARALLEL = SAFE);

-- The fit of expressions over t, which callers made of quoted names and literals.
CREATE FUNCTION credit._fit(relation regclass, outcome name, weight name, expressions text[], terms text[], most integer)
    RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p CONSTANT integer := cardinality(terms);
    query CONSTANT text := format('SELECT credit._fit_sums(t.%I, %s, ARRAY[%s]::float8[], $1) FROM %s t', outcome,
                                  CASE WHEN weight IS NULL THEN '1' ELSE format('t.%I::float8', weight) END,
                                  array_to_string(expressions, ', '), relation);
    seen float8[];
    sums float8[];
    setup float8[];
    beta float8[];
    earlier float8[];
    units float8[] := '{}';
    stepped record;
    halved integer := 0;
    likelihood float8;
    null_likelihood float8;
    largest float8;
    iterations integer := 0;
    answer record;
BEGIN
    IF most NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'max_iterations is not between 1 and 1000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE query INTO seen USING '{}'::float8[];
    IF seen IS NULL OR seen[1] + seen[3] = 0 THEN
        RAISE EXCEPTION '% has no rows to fit', relation USING ERRCODE = 'PC413';
    END IF;
    IF seen[3] > 0 THEN
        RAISE EXCEPTION '% rows of % have no outcome or no usable weight', seen[3], relation USING ERRCODE = 'PC413',
            HINT = 'Outcomes are not null; weights are finite and not negative.';
    END IF;
    IF seen[2] = 0 OR seen[2] = seen[1] THEN
        RAISE EXCEPTION 'the sample has one class only' USING ERRCODE = 'PC413', DETAIL = format('%s of %s cases are bad.', seen[2], seen[1]);
    END IF;
    FOR j IN 1 .. p LOOP
        IF seen[4 * j + 1] > 0 THEN
            RAISE EXCEPTION 'column "%" has % values that are NULL, NaN or infinite', terms[j], seen[4 * j + 1] USING ERRCODE = 'PC413',
                HINT = 'Fit weights of evidence, where missing values have a bin, or leave such rows out in a view.';
        END IF;
        IF seen[4 * j + 3] = seen[4 * j + 4] THEN
            RAISE EXCEPTION 'column "%" has one value only', terms[j] USING ERRCODE = 'PC411';
        END IF;
        units := units || (seen[4 * j + 2] / seen[1]);
    END LOOP;
    FOR j IN 1 .. p LOOP
        units := units || greatest(seen[4 * j + 4] - units[j], units[j] - seen[4 * j + 3]);
    END LOOP;
    beta := array_fill(0::float8, ARRAY[p + 1]);
    LOOP
        setup := beta || units;
        EXECUTE query INTO sums USING setup;
        IF iterations = 0 THEN
            null_likelihood := sums[9] * ln(sums[9] / sums[8]) + (sums[8] - sums[9]) * ln(1 - sums[9] / sums[8]);
        ELSIF sums[5] < likelihood - 1e-9 * abs(likelihood) AND halved < 30 THEN
            -- Newton went too far: half the way
            halved := halved + 1;
            beta := ARRAY(SELECT (a + b) / 2 FROM unnest(earlier, beta) WITH ORDINALITY u(a, b, place) ORDER BY place);
            CONTINUE;
        END IF;
        IF sums[6] > sums[7] THEN
            RAISE EXCEPTION 'the classes are perfectly separated' USING ERRCODE = 'PC410',
                DETAIL = 'A combination of the columns tells every bad case from every good one; no finite coefficients exist.',
                HINT = 'Look for a column that knows the outcome, or use fewer columns.';
        END IF;
        likelihood := sums[5];
        stepped := credit._fit_step(sums, setup);
        IF stepped.dependent IS NOT NULL THEN
            IF iterations < 5 THEN
                RAISE EXCEPTION 'column "%" is a combination of the columns before it', coalesce(terms[stepped.dependent], 'intercept')
                    USING ERRCODE = 'PC411', HINT = 'Leave it out.';
            END IF;
            largest := 1;
            EXIT;
        END IF;
        iterations := iterations + 1;
        largest := (SELECT max(abs(s) / (1 + abs(b))) FROM unnest(stepped.step, beta) u(s, b));
        EXIT WHEN largest < 1e-9 OR iterations > most;
        earlier := beta;
        halved := 0;
        beta := ARRAY(SELECT b + s FROM unnest(stepped.step, beta) WITH ORDINALITY u(s, b, place) ORDER BY place);
    END LOOP;
    IF largest >= 1e-9 THEN
        -- steps that do not shrink while nothing is gained: the likelihood has no highest point
        IF stepped.dependent IS NOT NULL OR abs((SELECT sum(s * g) FROM unnest(stepped.step, sums[10 : 10 + p]) u(s, g))) < 1e-4 THEN
            RAISE EXCEPTION 'some cases are perfectly separated' USING ERRCODE = 'PC410',
                DETAIL = format('The coefficient of "%s" grows without bound.', (SELECT (ARRAY['intercept'] || terms)[place]
                    FROM unnest(beta) WITH ORDINALITY u(b, place) WHERE place > 1 ORDER BY abs(b) DESC LIMIT 1)),
                HINT = 'Join bins that have one class only, or leave the column out.';
        END IF;
        RAISE EXCEPTION 'the fit did not converge in % iterations', most USING ERRCODE = 'PC412';
    END IF;
    -- the last step is below what can be told apart, and still makes the coefficients better
    setup := ARRAY(SELECT b + s FROM unnest(stepped.step, beta) WITH ORDINALITY u(s, b, place) ORDER BY place) || units;
    answer := credit._fit_coefficients(sums, setup);
    RETURN jsonb_build_object('n', seen[1], 'bad', seen[2], 'log_likelihood', likelihood, 'null_log_likelihood', null_likelihood,
        'aic', 2 * (p + 1) - 2 * likelihood, 'iterations', iterations, 'partial_states', sums[4], 'terms',
        (SELECT jsonb_agg(jsonb_build_object('term', t, 'estimate', e, 'std_error', s, 'z', z, 'p', v) ORDER BY place)
           FROM unnest(ARRAY['intercept'] || terms, answer.estimate, answer.std_error, answer.z, answer.p) WITH ORDINALITY u(t, e, s, z, v, place)));
END
$$;

CREATE FUNCTION credit.fit_logistic(relation regclass, outcome name, fields text[], weight name DEFAULT NULL, max_iterations integer DEFAULT 25)
    RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(cardinality(fields), 0) = 0 OR array_position(fields, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'no columns to fit' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN credit._fit(relation, outcome, weight, ARRAY(SELECT format('t.%I::float8', f) FROM unnest(fields) WITH ORDINALITY u(f, place) ORDER BY place),
                       fields, max_iterations);
END
$$;
COMMENT ON FUNCTION credit.fit_logistic(regclass, name, text[], name, integer) IS
    'logistic regression of an outcome on numeric columns, with intercept, standard errors, z and p (逻辑回归)';

CREATE FUNCTION credit.fit_terms(fit jsonb) RETURNS TABLE (term text, estimate float8, std_error float8, z float8, p float8)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT t.* FROM jsonb_to_recordset(fit_terms.fit -> 'terms') AS t(term text, estimate float8, std_error float8, z float8, p float8);
END;
COMMENT ON FUNCTION credit.fit_terms(jsonb) IS 'coefficients of a fit as rows (回归系数)';

-- ---------------------------------------------------------------------------
-- A scorecard from bins: regression on their weights of evidence, points by doubling of the odds
-- ---------------------------------------------------------------------------

CREATE TABLE credit.fit (
    fit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id bigint NOT NULL REFERENCES credit.model ON DELETE CASCADE,
    sample text NOT NULL,
    outcome text NOT NULL,
    options jsonb NOT NULL,
    bins jsonb NOT NULL,
    fit jsonb NOT NULL,
    steps jsonb NOT NULL,
    fitted_by text NOT NULL,
    fitted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE credit.fit IS 'how the draft of a model was fitted: sample, options, bins, coefficients, steps of the selection (建模记录)';
COMMENT ON COLUMN credit.fit.bins IS 'bins of each column offered, with counts, weight of evidence and IV, by column';
COMMENT ON COLUMN credit.fit.fit IS 'what credit.fit_logistic returns for the columns kept; credit.fit_terms makes rows of it';
SELECT pg_catalog.pg_extension_config_dump('credit.fit', '');
SELECT pg_catalog.pg_extension_config_dump('credit.fit_fit_id_seq', '');
SELECT credit._audit_table('credit.fit');

-- The only step of a fit that needs more rights than the caller has: a draft, which a second look must publish.
CREATE FUNCTION credit._keep_fit(definition jsonb, sample text, outcome text, options jsonb, bins jsonb, fit jsonb, steps jsonb,
        OUT fit_id bigint, OUT version integer) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    version := credit.create_model(definition);
    INSERT INTO credit.fit AS f (model_id, sample, outcome, options, bins, fit, steps, fitted_by)
    SELECT m.model_id, sample, outcome, options, bins, fit, steps, credit.calling_role()::text
      FROM credit.model m WHERE m.name = definition ->> 'name' AND m.version = version
    RETURNING f.fit_id INTO fit_id;
END
$$;

-- The weight of evidence of a column as an SQL expression over t, all of it quoted.
CREATE FUNCTION credit._woe_expression(bins jsonb, field text, is_number boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT format('CASE %s END', string_agg(format('WHEN %s THEN %L::float8',
        CASE b.kind WHEN 'missing' THEN format('t.%I IS NULL', field)
                    WHEN 'interval' THEN
                        CASE WHEN b.high IS NULL THEN format('t.%I IS NOT NULL', field)
                             ELSE format(CASE b.closure WHEN 'closedOpen' THEN 't.%I::float8 < %L::float8' ELSE 't.%I::float8 <= %L::float8' END, field, b.high) END
                    ELSE CASE WHEN is_number THEN format('t.%I::float8 = ANY (%L::float8[])', field, b."values")
                              ELSE format('t.%I::text = ANY (%L::text[])', field, b."values") END END,
        b.woe), ' ' ORDER BY b.bin))
      FROM jsonb_to_recordset(bins) AS b(bin integer, kind text, high float8, closure text, "values" text[], woe float8);
END;

CREATE FUNCTION credit.fit_scorecard(name text, relation regclass, outcome name, fields text[], options jsonb DEFAULT '{}',
        OUT fit_id bigint, OUT version integer) RETURNS record
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    weight CONSTANT name := options ->> 'weight';
    selection CONSTANT text := coalesce(options ->> 'selection', 'none');
    min_iv CONSTANT float8 := coalesce((options ->> 'min_iv')::float8, 0);
    p_enter CONSTANT float8 := coalesce((options ->> 'p_enter')::float8, 0.05);
    p_remove CONSTANT float8 := coalesce((options ->> 'p_remove')::float8, 0.05);
    most CONSTANT integer := coalesce((options ->> 'max_iterations')::integer, 25);
    digits CONSTANT integer := coalesce((options ->> 'digits')::integer, 0);
    conventions jsonb := CASE WHEN options ->> 'model' IS NOT NULL THEN credit.model_conventions(options ->> 'model') ELSE '{}' END
                         || coalesce(options -> 'conventions', '{}');
    rounding CONSTANT text := coalesce(conventions ->> 'rounding', 'half_away');
    factor CONSTANT float8 := coalesce((options ->> 'pdo')::float8, 20) / ln(2::float8);
    "offset" CONSTANT float8 := coalesce((options ->> 'score')::float8, 600) - factor * ln(coalesce((options ->> 'odds')::float8, 50));
    field text;
    numbers jsonb := '{}';
    binned jsonb;
    bins jsonb := '{}';
    expressions jsonb := '{}';
    ivs jsonb := '{}';
    ordered text[];
    kept text[] := '{}';
    fit jsonb;
    trial jsonb;
    worst record;
    steps jsonb := '[]';
    definition jsonb;
BEGIN
    PERFORM credit._fit_options(options, '{bins,fields,weight,selection,min_iv,p_enter,p_remove,max_iterations,pdo,score,odds,digits,unseen,conventions,model}');
    IF selection NOT IN ('none', 'forward', 'backward', 'both') OR digits NOT BETWEEN 0 AND 6 OR NOT (factor > 0 AND p_enter <= p_remove)
       OR coalesce((options ->> 'odds')::float8, 50) <= 0 OR coalesce(options ->> 'unseen', 'refuse') NOT IN ('refuse', 'worst')
       OR coalesce(cardinality(fields), 0) = 0 OR array_position(fields, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'invalid option or no columns to fit' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'selection is none, forward, backward or both; digits 0 to 6; pdo and odds positive; p_enter at most p_remove; unseen refuse or worst.';
    END IF;
    FOREACH field IN ARRAY fields LOOP
        SELECT jsonb_agg(to_jsonb(b) ORDER BY b.bin) INTO binned
          FROM credit.woe_bins(relation, field, outcome, credit._bin_conventions(conventions) || coalesce(options -> 'bins', '{}') || coalesce(options -> 'fields' -> field, '{}')) b;
        bins := bins || jsonb_build_object(field, binned);
        ivs := ivs || jsonb_build_object(field, (SELECT sum((b ->> 'iv')::float8) FROM jsonb_array_elements(binned) b));
        numbers := numbers || jsonb_build_object(field, (SELECT a.atttypid::regtype::text FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = field));
        expressions := expressions || jsonb_build_object(field, credit._woe_expression(binned, field,
            numbers ->> field NOT IN ('text', 'character varying', 'character', 'boolean')));
    END LOOP;
    SELECT array_agg(f ORDER BY (ivs ->> f)::float8 DESC, place) FILTER (WHERE (ivs ->> f)::float8 >= min_iv),
           coalesce(jsonb_agg(jsonb_build_object('column', f, 'step', 'left out', 'iv', ivs -> f)) FILTER (WHERE (ivs ->> f)::float8 < min_iv), '[]')
      INTO ordered, steps FROM unnest(fields) WITH ORDINALITY u(f, place);
    IF ordered IS NULL THEN
        RAISE EXCEPTION 'no column has an information value of at least %', min_iv USING ERRCODE = 'PC413';
    END IF;
    IF selection IN ('forward', 'both') THEN
        FOREACH field IN ARRAY ordered LOOP
            trial := credit._fit(relation, outcome, weight, ARRAY(SELECT expressions ->> f FROM unnest(kept || field) WITH ORDINALITY u(f, place) ORDER BY place), kept || field, most);
            IF (trial -> 'terms' -> -1 ->> 'p')::float8 <= p_enter THEN
                kept := kept || field;
                fit := trial;
            END IF;
            steps := steps || jsonb_build_object('column', field, 'step', CASE kept[cardinality(kept)] WHEN field THEN 'entered' ELSE 'not entered' END,
                                                 'iv', ivs -> field, 'p', trial -> 'terms' -> -1 -> 'p');
        END LOOP;
    ELSE
        kept := ordered;
    END IF;
    LOOP
        IF cardinality(kept) = 0 THEN
            RAISE EXCEPTION 'no column has a p value of at most %', p_enter USING ERRCODE = 'PC413';
        END IF;
        fit := credit._fit(relation, outcome, weight, ARRAY(SELECT expressions ->> f FROM unnest(kept) WITH ORDINALITY u(f, place) ORDER BY place), kept, most);
        EXIT WHEN selection IN ('none', 'forward');
        SELECT t.term, t.p INTO worst FROM credit.fit_terms(fit) t WHERE t.term <> 'intercept' ORDER BY abs(t.z), t.term LIMIT 1;
        EXIT WHEN worst.p <= p_remove;
        kept := array_remove(kept, worst.term);
        steps := steps || jsonb_build_object('column', worst.term, 'step', 'removed', 'iv', ivs -> worst.term, 'p', worst.p);
    END LOOP;
    -- score = offset - factor * (intercept + sum of coefficient * woe), so that pdo points double the odds good to bad
    WITH t AS MATERIALIZED (SELECT t.term, t.estimate, row_number() OVER () - 1 AS place FROM credit.fit_terms(fit) t),
         a AS MATERIALIZED (
            SELECT t.term, t.place, b.*, credit._round((-factor * t.estimate * b.woe)::numeric, digits, rounding) AS points
              FROM t, jsonb_to_recordset(bins -> t.term) AS b(bin integer, kind text, low float8, high float8, closure text, "values" jsonb, woe float8)
             WHERE t.place > 0)
    SELECT jsonb_build_object('name', name,
               'initial_score', credit._round(("offset" - factor * (SELECT estimate FROM t WHERE place = 0))::numeric, digits, rounding),
               'baseline_method', 'max',
               'characteristics', jsonb_agg(c.j ORDER BY c.place),
               'reasons', jsonb_agg(jsonb_build_object('code', 'R' || c.place, 'text_en', c.term, 'text_zh', c.term) ORDER BY c.place))
      INTO definition
      FROM (SELECT a.place, a.term, jsonb_build_object('name', a.term, 'field', a.term, 'reason_code', 'R' || a.place,
                'data_type', CASE WHEN numbers ->> a.term = 'boolean' THEN 'boolean'
                                  WHEN numbers ->> a.term IN ('text', 'character varying', 'character') THEN 'text' ELSE 'number' END,
                'baseline_score', max(a.points),
                'attributes', jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                    'kind', CASE WHEN a.kind = 'special' THEN 'set' ELSE a.kind END, 'points', a.points,
                    'low', a.low, 'high', a.high,
                    'closure', CASE WHEN a.kind = 'interval' THEN a.closure END,
                    'values', CASE WHEN jsonb_typeof(a."values") <> 'array' THEN NULL
                                   WHEN numbers ->> a.term IN ('text', 'character varying', 'character') THEN a."values"
                                   ELSE (SELECT jsonb_agg(v::jsonb) FROM jsonb_array_elements_text(a."values") v) END)) ORDER BY a.bin)
                || CASE WHEN options ->> 'unseen' = 'worst' THEN
                       jsonb_build_array(jsonb_build_object('kind', 'other', 'points', min(a.points)))
                       || CASE WHEN bool_or(a.kind = 'missing') THEN '[]'::jsonb
                               ELSE jsonb_build_array(jsonb_build_object('kind', 'missing', 'points', min(a.points))) END
                   ELSE '[]'::jsonb END) AS j
              FROM a GROUP BY a.place, a.term) c;
    -- what all bins were made by is part of the model, as far as it is not the default
    conventions := conventions || jsonb_strip_nulls(jsonb_build_object('woe_sign', options #> '{bins,woe_sign}',
                       'zero_cell', options #> '{bins,zero_cell}', 'interval_closure', options #> '{bins,closure}'));
    SELECT jsonb_object_agg(c.key, c.value) INTO conventions
      FROM jsonb_each(conventions) c
     WHERE c.value <> ALL (ARRAY['"bad_over_good"', '"refuse"', '"closedOpen"', '"half_away"']::jsonb[]);
    IF conventions IS NOT NULL THEN
        definition := definition || jsonb_build_object('conventions', conventions);
    END IF;
    SELECT k.fit_id, k.version INTO fit_id, version
      FROM credit._keep_fit(definition, relation::text, outcome::text, options, bins, fit, steps) k;
END
$$;
COMMENT ON FUNCTION credit.fit_scorecard(text, regclass, name, text[], jsonb) IS
    'bin columns, fit their weights of evidence, scale to points, and keep the result as the draft of a model (评分卡建模)';

REVOKE ALL ON FUNCTION credit._bin_conventions(jsonb), credit._round(numeric, integer, text), credit._fit_options(jsonb, text[]), credit._woe(float8[], float8[], jsonb),
    credit._monotone(float8[], float8[], float8, text), credit.woe_bins(regclass, name, name, jsonb),
    credit.iv(regclass, name, name, jsonb),
    credit._fit_transition(internal, boolean, float8, float8[], float8[]), credit._fit_combine(internal, internal),
    credit._fit_serialize(internal), credit._fit_deserialize(bytea, internal), credit._fit_final(internal),
    credit._fit_step(float8[], float8[]), credit._fit_coefficients(float8[], float8[]),
    credit._fit_sums(boolean, float8, float8[], float8[]), credit._fit(regclass, name, name, text[], text[], integer),
    credit.fit_logistic(regclass, name, text[], name, integer), credit.fit_terms(jsonb),
    credit._keep_fit(jsonb, text, text, jsonb, jsonb, jsonb, jsonb), credit._woe_expression(jsonb, text, boolean),
    credit.fit_scorecard(text, regclass, name, text[], jsonb) FROM PUBLIC;
-- the steps run as the caller, who must be able to call them
GRANT EXECUTE ON FUNCTION credit._bin_conventions(jsonb), credit._round(numeric, integer, text), credit._fit_options(jsonb, text[]), credit._woe(float8[], float8[], jsonb),
    credit._monotone(float8[], float8[], float8, text), credit.woe_bins(regclass, name, name, jsonb),
    credit.iv(regclass, name, name, jsonb), credit._fit_step(float8[], float8[]), credit._fit_coefficients(float8[], float8[]),
    credit._fit_sums(boolean, float8, float8[], float8[]), credit._fit(regclass, name, name, text[], text[], integer),
    credit.fit_logistic(regclass, name, text[], name, integer), credit.fit_terms(jsonb),
    credit._keep_fit(jsonb, text, text, jsonb, jsonb, jsonb, jsonb), credit._woe_expression(jsonb, text, boolean),
    credit.fit_scorecard(text, regclass, name, text[], jsonb) TO credit_operator, credit_analyst;
REVOKE ALL ON credit.fit FROM PUBLIC;
GRANT SELECT ON credit.fit TO credit_operator, credit_analyst, credit_auditor;
