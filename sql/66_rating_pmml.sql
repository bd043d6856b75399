-- ---------------------------------------------------------------------------
-- 66 rating: scorecards in and out as PMML 4.4
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._xml_tree(document text) RETURNS jsonb
    AS 'MODULE_PATHNAME', 'pgcredit_xml_tree' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION credit._pmml_refuse(node jsonb, what text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'line % of the document: %', node ->> 'line', what
        USING ERRCODE = 'PC406', DETAIL = format('Element %s.', node ->> 'tag');
END
$$;

-- An element may have these attributes and children; any other would be a rule that silently does not hold.
CREATE FUNCTION credit._pmml_only(node jsonb, attributes text[], children text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text;
    child jsonb;
BEGIN
    SELECT k INTO unknown FROM jsonb_object_keys(node -> 'at') k WHERE k <> ALL (attributes) LIMIT 1;
    IF FOUND THEN
        PERFORM credit._pmml_refuse(node, format('attribute "%s" cannot be represented', unknown));
    END IF;
    FOR child IN SELECT c FROM jsonb_array_elements(node -> 'children') c WHERE c ->> 'tag' <> ALL (children) LOOP
        PERFORM credit._pmml_refuse(child, format('%s cannot be represented', child ->> 'tag'));
    END LOOP;
END
$$;

-- A value of a predicate as JSON of the field's type.
CREATE FUNCTION credit._pmml_value(node jsonb, data_type text, value text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF value IS NULL THEN
        PERFORM credit._pmml_refuse(node, 'there is no value');
    END IF;
    IF data_type = 'number' AND value ~ '^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?\s*$' THEN
        RETURN to_jsonb(value::numeric);
    ELSIF data_type = 'boolean' AND value IN ('true', 'false') THEN
        RETURN to_jsonb(value::boolean);
    ELSIF data_type IN ('text', 'date') THEN
        RETURN to_jsonb(value);
    END IF;
    PERFORM credit._pmml_refuse(node, format('"%s" is not a %s', value, data_type));
END
$$;

-- The values of an Array: separated by spaces, quoted where they need it, \" within quotes.
CREATE FUNCTION credit._pmml_array(node jsonb, data_type text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rest text := node ->> 'text';
    item text;
    found_values jsonb := '[]';
BEGIN
    LOOP
        rest := ltrim(rest, E' \t\r\n');
        EXIT WHEN rest = '';
        item := substring(rest FROM '^"(?:[^"\\]|\\.)*"|^[^\s"]+');
        IF item IS NULL THEN
            PERFORM credit._pmml_refuse(node, 'a quote is not closed');
        END IF;
        rest := substr(rest, length(item) + 1);
        IF item LIKE '"%' THEN
            item := regexp_replace(substr(item, 2, length(item) - 2), '\\(.)', '\1', 'g');
        END IF;
        found_values := found_values || jsonb_build_array(credit._pmml_value(node, data_type, item));
    END LOOP;
    IF node -> 'at' ? 'n' AND node -> 'at' ->> 'n' <> jsonb_array_length(found_values)::text THEN
        PERFORM credit._pmml_refuse(node, format('the array has %s values, not %s', jsonb_array_length(found_values), node -> 'at' ->> 'n'));
    END IF;
    RETURN found_values;
END
$$;

-- Both of two of our attributes at once; NULL if nothing is in both.
CREATE FUNCTION credit._pmml_both(a jsonb, b jsonb, data_type text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    low jsonb := a -> 'low';
    high jsonb := a -> 'high';
    low_closed boolean := a ->> 'closure' LIKE 'closed%';
    high_closed boolean := a ->> 'closure' LIKE '%Closed';
    kept jsonb;
BEGIN
    IF a ->> 'kind' = 'missing' OR b ->> 'kind' = 'missing' THEN
        RETURN CASE WHEN a = b THEN a END;
    ELSIF a ->> 'kind' = 'other' THEN
        RETURN b;
    ELSIF b ->> 'kind' = 'other' THEN
        RETURN a;
    ELSIF a ->> 'kind' = 'set' AND b ->> 'kind' = 'set' THEN
        SELECT jsonb_agg(v ORDER BY n) INTO kept FROM jsonb_array_elements(a -> 'values') WITH ORDINALITY x(v, n) WHERE b -> 'values' @> v;
        RETURN CASE WHEN kept IS NOT NULL THEN jsonb_build_object('kind', 'set', 'values', kept) END;
    ELSIF a ->> 'kind' = 'set' THEN
        RETURN credit._pmml_both(b, a, data_type);
    ELSIF b ->> 'kind' = 'set' THEN
        -- dates are ISO 8601: their text has their order
        SELECT jsonb_agg(v ORDER BY n) INTO kept
          FROM jsonb_array_elements(b -> 'values') WITH ORDINALITY x(v, n)
         WHERE (low IS NULL OR credit._pmml_order(v, low) >= CASE WHEN low_closed THEN 0 ELSE 1 END)
           AND (high IS NULL OR credit._pmml_order(v, high) <= CASE WHEN high_closed THEN 0 ELSE -1 END);
        RETURN CASE WHEN kept IS NOT NULL THEN jsonb_build_object('kind', 'set', 'values', kept) END;
    END IF;
    IF b ? 'low' AND (low IS NULL OR credit._pmml_order(b -> 'low', low) > 0
                      OR credit._pmml_order(b -> 'low', low) = 0 AND b ->> 'closure' NOT LIKE 'closed%') THEN
        low := b -> 'low';
        low_closed := b ->> 'closure' LIKE 'closed%';
    END IF;
    IF b ? 'high' AND (high IS NULL OR credit._pmml_order(b -> 'high', high) < 0
                       OR credit._pmml_order(b -> 'high', high) = 0 AND b ->> 'closure' NOT LIKE '%Closed') THEN
        high := b -> 'high';
        high_closed := b ->> 'closure' LIKE '%Closed';
    END IF;
    IF low IS NOT NULL AND high IS NOT NULL AND (credit._pmml_order(low, high) > 0
        OR credit._pmml_order(low, high) = 0 AND NOT (low_closed AND high_closed)) THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object('kind', 'interval', 'low', low, 'high', high,
        'closure', CASE WHEN low_closed THEN 'closed' ELSE 'open' END || CASE WHEN high_closed THEN 'Closed' ELSE 'Open' END));
END
$$;

CREATE FUNCTION credit._pmml_order(a jsonb, b jsonb) RETURNS integer LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN jsonb_typeof(a) = 'number' THEN sign((a #>> '{}')::numeric - (b #>> '{}')::numeric)::integer
            ELSE (a #>> '{}' COLLATE "C" > b #>> '{}')::integer - (a #>> '{}' COLLATE "C" < b #>> '{}')::integer END;

-- A predicate as a list of our attributes, any of which may hold.
CREATE FUNCTION credit._pmml_predicate(node jsonb, field text, data_type text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    operator CONSTANT text := coalesce(node -> 'at' ->> 'operator', node -> 'at' ->> 'booleanOperator');
    constant_value jsonb;
    parts jsonb[];
    child jsonb;
    result jsonb;
BEGIN
    CASE node ->> 'tag'
    WHEN 'True' THEN
        RETURN '[{"kind": "other"}, {"kind": "missing"}]';
    WHEN 'False' THEN
        RETURN '[]';
    WHEN 'SimplePredicate', 'SimpleSetPredicate' THEN
        IF node -> 'at' ->> 'field' IS DISTINCT FROM field THEN
            PERFORM credit._pmml_refuse(node, 'the attributes of a characteristic read more than one field');
        END IF;
    ELSE
        NULL;
    END CASE;
    IF node ->> 'tag' = 'SimpleSetPredicate' THEN
        PERFORM credit._pmml_only(node, '{field,booleanOperator}', '{Array}');
        IF operator IS DISTINCT FROM 'isIn' OR jsonb_array_length(node -> 'children') <> 1 THEN
            PERFORM credit._pmml_refuse(node, format('operator "%s" cannot be represented', operator));
        END IF;
        RETURN jsonb_build_array(jsonb_build_object('kind', 'set', 'values', credit._pmml_array(node #> '{children,0}', data_type)));
    ELSIF node ->> 'tag' = 'SimplePredicate' THEN
        PERFORM credit._pmml_only(node, '{field,operator,value}', '{}');
        CASE operator
        WHEN 'isMissing' THEN RETURN '[{"kind": "missing"}]';
        WHEN 'isNotMissing' THEN RETURN '[{"kind": "other"}]';
        ELSE constant_value := credit._pmml_value(node, data_type, node -> 'at' ->> 'value');
        END CASE;
        CASE
        WHEN operator = 'equal' THEN
            RETURN jsonb_build_array(jsonb_build_object('kind', 'set', 'values', jsonb_build_array(constant_value)));
        WHEN data_type IN ('number', 'date') AND operator IN ('lessThan', 'lessOrEqual') THEN
            RETURN jsonb_build_array(jsonb_build_object('kind', 'interval', 'high', constant_value,
                'closure', CASE operator WHEN 'lessThan' THEN 'openOpen' ELSE 'openClosed' END));
        WHEN data_type IN ('number', 'date') AND operator IN ('greaterThan', 'greaterOrEqual') THEN
            RETURN jsonb_build_array(jsonb_build_object('kind', 'interval', 'low', constant_value,
                'closure', CASE operator WHEN 'greaterThan' THEN 'openOpen' ELSE 'closedOpen' END));
        WHEN data_type IN ('number', 'date') AND operator = 'notEqual' THEN
            RETURN jsonb_build_array(jsonb_build_object('kind', 'interval', 'high', constant_value, 'closure', 'openOpen'),
                                     jsonb_build_object('kind', 'interval', 'low', constant_value, 'closure', 'openOpen'));
        WHEN data_type = 'boolean' AND operator = 'notEqual' THEN
            RETURN jsonb_build_array(jsonb_build_object('kind', 'set', 'values', jsonb_build_array(NOT constant_value::boolean)));
        ELSE
            PERFORM credit._pmml_refuse(node, format('operator "%s" on a %s cannot be represented', operator, data_type));
        END CASE;
    ELSIF node ->> 'tag' <> 'CompoundPredicate' THEN
        PERFORM credit._pmml_refuse(node, format('%s is no predicate', node ->> 'tag'));
    END IF;
    PERFORM credit._pmml_only(node, '{booleanOperator}', '{SimplePredicate,SimpleSetPredicate,CompoundPredicate,True,False}');
    FOR child IN SELECT c FROM jsonb_array_elements(node -> 'children') c LOOP
        parts := parts || credit._pmml_predicate(child, field, data_type);
    END LOOP;
    IF coalesce(cardinality(parts), 0) < 2 THEN
        PERFORM credit._pmml_refuse(node, 'a compound predicate has two or more parts');
    END IF;
    result := parts[1];
    FOR i IN 2..cardinality(parts) LOOP
        CASE operator
        WHEN 'or' THEN
            result := result || parts[i];
        WHEN 'and' THEN
            SELECT coalesce(jsonb_agg(credit._pmml_both(a, b, data_type) ORDER BY n, m) FILTER (WHERE credit._pmml_both(a, b, data_type) IS NOT NULL), '[]')
              INTO result
              FROM jsonb_array_elements(result) WITH ORDINALITY x(a, n), jsonb_array_elements(parts[i]) WITH ORDINALITY y(b, m);
        WHEN 'xor' THEN
            -- of parts that never hold together, one or the other; a missing value leaves it unknown
            IF (result || parts[i])::text ~ '"kind": "(missing|other)"' OR EXISTS (
                SELECT FROM jsonb_array_elements(result) a, jsonb_array_elements(parts[i]) b
                 WHERE credit._pmml_both(a, b, data_type) IS NOT NULL) THEN
                PERFORM credit._pmml_refuse(node, 'xor of parts that overlap, or that know missing values, cannot be represented');
            END IF;
            result := result || parts[i];
        WHEN 'surrogate' THEN
            -- all read one field: with a missing value the first part is unknown and the constant at the end counts
            IF i < cardinality(parts) OR parts[1]::text ~ '"kind": "(missing|other)"' OR parts[1] = '[]'
               OR node #>> ARRAY['children', (i - 1)::text, 'tag'] NOT IN ('True', 'False') THEN
                PERFORM credit._pmml_refuse(node, 'a surrogate other than one predicate with True or False behind it cannot be represented');
            END IF;
            result := result || CASE WHEN parts[i] = '[]' THEN '[]' ELSE '[{"kind": "missing"}]'::jsonb END;
        ELSE
            PERFORM credit._pmml_refuse(node, format('operator "%s" cannot be represented', operator));
        END CASE;
    END LOOP;
    RETURN result;
END
$$;

-- What of ours PMML has no place for, written by model_pmml: only the keys named may come from there.
CREATE FUNCTION credit._pmml_own(node jsonb, allowed text[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    extension jsonb;
    own jsonb := '{}';
    bad text;
BEGIN
    FOR extension IN SELECT c FROM jsonb_array_elements(node -> 'children') c WHERE c ->> 'tag' = 'Extension' LOOP
        IF extension #>> '{at,name}' IS DISTINCT FROM 'pgcredit' THEN
            RAISE NOTICE 'line % of the document: an extension of another producer is left out', extension ->> 'line';
            CONTINUE;
        END IF;
        BEGIN
            own := (extension #>> '{at,value}')::jsonb;
        EXCEPTION WHEN data_exception THEN
            PERFORM credit._pmml_refuse(extension, 'the extension is no JSON');
        END;
        IF jsonb_typeof(own) IS DISTINCT FROM 'object' THEN
            PERFORM credit._pmml_refuse(extension, 'the extension is no JSON object');
        END IF;
        SELECT k INTO bad FROM jsonb_object_keys(own) k WHERE k <> ALL (allowed) LIMIT 1;
        IF FOUND THEN
            PERFORM credit._pmml_refuse(extension, format('"%s" has no place in the extension', bad));
        END IF;
    END LOOP;
    RETURN own;
END
$$;

-- An EXPRESSION of PMML as text of ours, in more parentheses than it needs. At the root, the value that PMML puts in place of a
-- missing one is left to the caller, as the attribute's default.
CREATE FUNCTION credit._pmml_expression(node jsonb, root boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    called text := node #>> '{at,function}';
    arguments text[];
    joined text;
    named text;
BEGIN
    IF node ->> 'tag' = 'FieldRef' THEN
        PERFORM credit._pmml_only(node, '{field,mapMissingTo}', '{Extension}');
        IF node #>> '{at,field}' IS NULL THEN
            PERFORM credit._pmml_refuse(node, 'there is no field');
        END IF;
        named := '"' || replace(node #>> '{at,field}', '"', '""') || '"';
        IF root OR NOT node -> 'at' ? 'mapMissingTo' THEN
            RETURN named;
        END IF;
        RETURN format('if(is_missing(%s), %s, %s)', named, credit._pmml_value(node, 'number', node #>> '{at,mapMissingTo}'), named);
    ELSIF node ->> 'tag' = 'Constant' THEN
        PERFORM credit._pmml_only(node, '{dataType}', '{}');
        IF node #>> '{at,dataType}' IN ('string', 'date') THEN
            RETURN '''' || replace(node ->> 'text', '''', '''''') || '''';
        END IF;
        named := trim(node ->> 'text', E' \t\r\n');
        PERFORM credit._pmml_value(node, CASE node #>> '{at,dataType}' WHEN 'boolean' THEN 'boolean' ELSE 'number' END, named);
        RETURN ltrim(named, '+');
    ELSIF node ->> 'tag' <> 'Apply' THEN
        PERFORM credit._pmml_refuse(node, format('%s cannot be represented', node ->> 'tag'));
    END IF;
    PERFORM credit._pmml_only(node, '{function,invalidValueTreatment}'::text[] || CASE WHEN root THEN '{defaultValue}' ELSE '{}'::text[] END,
                              '{Extension,FieldRef,Constant,Apply}');
    IF coalesce(node #>> '{at,invalidValueTreatment}', 'returnInvalid') <> 'returnInvalid' THEN
        PERFORM credit._pmml_refuse(node, 'a treatment of invalid values cannot be represented');
    END IF;
    arguments := ARRAY(SELECT credit._pmml_expression(c, false) FROM jsonb_array_elements(node -> 'children') WITH ORDINALITY x(c, n)
                        WHERE c ->> 'tag' <> 'Extension' ORDER BY n);
    joined := array_to_string(arguments, ', ');
    CASE
    WHEN called = 'not' AND cardinality(arguments) = 1 THEN
        RETURN 'not (' || joined || ')';
    WHEN called = 'isMissing' THEN
        RETURN 'is_missing(' || joined || ')';
    WHEN called = 'isNotMissing' THEN
        RETURN 'not is_missing(' || joined || ')';
    WHEN called IN ('if', 'min', 'max', 'abs', 'exp', 'ln', 'log10', 'sqrt', 'pow', 'floor', 'ceil', 'round', 'rint') THEN
        RETURN called || '(' || joined || ')';
    WHEN called IN ('+', '-', '*', '/', 'equal', 'notEqual', 'lessThan', 'lessOrEqual', 'greaterThan', 'greaterOrEqual') AND cardinality(arguments) = 2
         OR called IN ('and', 'or') AND cardinality(arguments) > 1 THEN
        called := CASE called WHEN 'equal' THEN '=' WHEN 'notEqual' THEN '<>' WHEN 'lessThan' THEN '<' WHEN 'lessOrEqual' THEN '<='
                              WHEN 'greaterThan' THEN '>' WHEN 'greaterOrEqual' THEN '>=' ELSE called END;
        RETURN '(' || array_to_string(arguments, ') ' || called || ' (') || ')';
    ELSE
        PERFORM credit._pmml_refuse(node, format('function "%s" with %s arguments cannot be represented', called, cardinality(arguments)));
    END CASE;
END
$$;

-- The points of an Attribute: a number, or a ComplexPartialScore as expression and default.
CREATE FUNCTION credit._pmml_points(attribute jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    complex CONSTANT jsonb := jsonb_path_query_first(attribute, '$.children[*] ? (@.tag == "ComplexPartialScore")');
    node CONSTANT jsonb := jsonb_path_query_first(complex, '$.children[*] ? (@.tag != "Extension")');
    missing CONSTANT text := coalesce(node #>> '{at,mapMissingTo}', node #>> '{at,defaultValue}');
    written text;
BEGIN
    IF (complex IS NULL) <> (attribute -> 'at' ? 'partialScore') THEN
        PERFORM credit._pmml_refuse(attribute, 'an attribute needs either a partialScore or a ComplexPartialScore');
    ELSIF complex IS NULL THEN
        RETURN jsonb_build_object('points', credit._pmml_value(attribute, 'number', attribute #>> '{at,partialScore}'));
    ELSIF node IS NULL OR jsonb_array_length(complex -> 'children') > 1 THEN
        PERFORM credit._pmml_refuse(complex, 'a ComplexPartialScore holds one expression');
    END IF;
    BEGIN
        written := credit._expression_text(credit._pmml_expression(node, true));
    EXCEPTION WHEN SQLSTATE 'PC402' THEN
        PERFORM credit._pmml_refuse(complex, SQLERRM);
    END;
    RETURN jsonb_build_object('expression', written)
        || CASE WHEN missing IS NULL THEN '{}' ELSE jsonb_build_object('default', credit._pmml_value(node, 'number', missing)) END;
END
$$;

CREATE FUNCTION credit._pmml_characteristic(node jsonb, fields jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- what the predicates read; where all are True, what the first expression reads
    field text := coalesce(jsonb_path_query_first(node, '$.children[*].children[*] ? (@.tag != "ComplexPartialScore").**.at.field'),
                           jsonb_path_query_first(node, '$.children[*].**.at.field')) #>> '{}';
    declared CONSTANT jsonb := fields -> field;
    own jsonb;
    attribute jsonb;
    predicate jsonb;
    part jsonb;
    points jsonb;
    attributes jsonb := '[]';
    before integer;
BEGIN
    PERFORM credit._pmml_only(node, '{name,reasonCode,baselineScore}', '{Extension,Attribute}');
    IF field IS NULL THEN
        PERFORM credit._pmml_refuse(node, 'the characteristic reads no field');
    ELSIF declared IS NULL THEN
        PERFORM credit._pmml_refuse(node, format('field "%s" is not in the data dictionary', field));
    END IF;
    FOR attribute IN SELECT c FROM jsonb_array_elements(node -> 'children') c WHERE c ->> 'tag' = 'Attribute' LOOP
        PERFORM credit._pmml_only(attribute, '{reasonCode,partialScore}',
                                  '{Extension,SimplePredicate,SimpleSetPredicate,CompoundPredicate,True,False,ComplexPartialScore}');
        SELECT c INTO predicate FROM jsonb_array_elements(attribute -> 'children') c WHERE c ->> 'tag' NOT IN ('Extension', 'ComplexPartialScore');
        IF predicate IS NULL THEN
            PERFORM credit._pmml_refuse(attribute, 'an attribute needs a predicate');
        END IF;
        points := credit._pmml_points(attribute);
        predicate := credit._pmml_predicate(predicate, field, declared ->> 'data_type');
        own := credit._pmml_own(attribute, '{closure}');
        before := jsonb_array_length(attributes);
        FOR part IN SELECT p FROM jsonb_array_elements(predicate) p LOOP
            -- the first that takes all missing values, or all others, leaves later ones nothing of them
            CONTINUE WHEN part ->> 'kind' = 'missing' AND attributes @> '[{"kind": "missing"}]'
                       OR part ->> 'kind' <> 'missing' AND attributes @> '[{"kind": "other"}]';
            IF own ? 'closure' THEN
                IF part ->> 'kind' = 'other' THEN
                    part := '{"kind": "interval"}';
                ELSIF part ->> 'kind' <> 'interval'
                      OR part ? 'low' AND left(own ->> 'closure', 4) <> left(part ->> 'closure', 4)
                      OR part ? 'high' AND right(own ->> 'closure', 4) <> right(part ->> 'closure', 4) THEN
                    PERFORM credit._pmml_refuse(attribute, 'the closure in the extension is not that of the predicate');
                END IF;
                part := part || own;
            END IF;
            attributes := attributes || (part || points || jsonb_strip_nulls(jsonb_build_object('reason_code', attribute #> '{at,reasonCode}')));
        END LOOP;
        IF jsonb_array_length(attributes) = before THEN
            RAISE NOTICE 'line % of the document: an attribute that can never match is left out', attribute ->> 'line';
        END IF;
    END LOOP;
    -- a value outside those declared makes PMML's result invalid; here a value that nothing takes raises an error
    IF declared ? 'values' AND EXISTS (
        SELECT FROM jsonb_array_elements(attributes) a
         WHERE a ->> 'kind' NOT IN ('set', 'missing') OR a ->> 'kind' = 'set' AND NOT declared -> 'values' @> (a -> 'values')) THEN
        PERFORM credit._pmml_refuse(node, format('field "%s" has declared values, but attributes take others', field));
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object('name', coalesce(node #> '{at,name}', to_jsonb(field)), 'field', field,
        'data_type', declared -> 'data_type', 'reason_code', node #> '{at,reasonCode}', 'attributes', attributes,
        'baseline_score', CASE WHEN node -> 'at' ? 'baselineScore' THEN credit._pmml_value(node, 'number', node #>> '{at,baselineScore}') END))
        || credit._pmml_own(node, '{title_zh,title_en}');
END
$$;

-- The fields that the model may read: name to data type and, where others are invalid, declared values.
CREATE FUNCTION credit._pmml_fields(dictionary jsonb, schema jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node jsonb;
    mining jsonb;
    kind text;
    fields jsonb := '{}';
BEGIN
    FOR mining IN SELECT c FROM jsonb_array_elements(schema -> 'children') c WHERE c ->> 'tag' <> 'Extension' LOOP
        PERFORM credit._pmml_only(mining, '{name,usageType,optype,importance,invalidValueTreatment,missingValueTreatment,outliers}', '{Extension}');
        CONTINUE WHEN coalesce(mining #>> '{at,usageType}', 'active') NOT IN ('active');
        IF coalesce(mining #>> '{at,outliers}', 'asIs') <> 'asIs'
           OR coalesce(mining #>> '{at,missingValueTreatment}', 'asIs') <> 'asIs' THEN
            PERFORM credit._pmml_refuse(mining, 'a treatment of missing or outlying values cannot be represented');
        END IF;
        SELECT c INTO node FROM jsonb_array_elements(dictionary -> 'children') c WHERE c #>> '{at,name}' = mining #>> '{at,name}';
        IF NOT FOUND THEN
            PERFORM credit._pmml_refuse(mining, format('field "%s" is not in the data dictionary', mining #>> '{at,name}'));
        END IF;
        PERFORM credit._pmml_only(node, '{name,displayName,dataType,optype}', '{Extension,Value}');
        kind := CASE WHEN node #>> '{at,dataType}' IN ('integer', 'float', 'double') THEN 'number'
                     WHEN node #>> '{at,dataType}' = 'string' THEN 'text'
                     WHEN node #>> '{at,dataType}' IN ('boolean', 'date') THEN node #>> '{at,dataType}' END;
        IF kind IS NULL THEN
            PERFORM credit._pmml_refuse(node, format('data type "%s" cannot be represented', node #>> '{at,dataType}'));
        END IF;
        fields := fields || jsonb_build_object(node #>> '{at,name}', jsonb_build_object('data_type', kind));
        IF node -> 'children' @> '[{"tag": "Value"}]' AND coalesce(mining #>> '{at,invalidValueTreatment}', 'returnInvalid') <> 'asIs' THEN
            IF coalesce(mining #>> '{at,invalidValueTreatment}', 'returnInvalid') <> 'returnInvalid'
               OR jsonb_path_exists(node, '$.children[*].at.property ? (@ != "valid")') THEN
                PERFORM credit._pmml_refuse(node, 'a treatment of declared values cannot be represented');
            END IF;
            fields := jsonb_set(fields, ARRAY[node #>> '{at,name}', 'values'],
                (SELECT jsonb_agg(credit._pmml_value(c, kind, c #>> '{at,value}')) FROM jsonb_array_elements(node -> 'children') c WHERE c ->> 'tag' = 'Value'));
        END IF;
    END LOOP;
    RETURN fields;
END
$$;

-- Columns that expressions and conditions read and characteristics do not, in the order of the schema.
CREATE FUNCTION credit._pmml_extra_fields(card jsonb, characteristics jsonb, own jsonb, fields jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- one statement each: joined, they look so dear to the planner that it compiles them
    expressions CONSTANT jsonb := coalesce(jsonb_path_query_array(characteristics, '$[*].attributes[*].expression'), '[]')
        || jsonb_path_query_array(own, '$.overrides[*].when') || jsonb_path_query_array(own, '$.caps[*].when');
    read_names jsonb := '[]';
    extra jsonb := '[]';
    name text;
    written text;
BEGIN
    FOR written IN SELECT jsonb_array_elements_text(expressions) LOOP
        read_names := read_names || jsonb_path_query_array(credit._expression_tree(written), '$.**.field');
    END LOOP;
    FOR name IN SELECT jsonb_array_elements_text(jsonb_path_query_array(card, '$.children[*] ? (@.tag == "MiningSchema").children[*].at.name')) LOOP
        IF read_names ? name AND fields ? name AND NOT jsonb_path_query_array(characteristics, '$[*].field') ? name THEN
            extra := extra || jsonb_build_object('name', name, 'data_type', fields -> name -> 'data_type');
        END IF;
    END LOOP;
    RETURN nullif(extra, '[]');
END
$$;

CREATE FUNCTION credit._pmml_definition(document text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    root CONSTANT jsonb := credit._xml_tree(document);
    card jsonb;
    fields jsonb;
    part record;
    descriptive CONSTANT text[] := '{Output,ModelStats,ModelExplanation,ModelVerification}';
    characteristics jsonb;
    codes jsonb;
    own jsonb;
BEGIN
    IF root ->> 'tag' <> 'PMML' THEN
        PERFORM credit._pmml_refuse(root, 'the document is no PMML');
    END IF;
    PERFORM credit._pmml_only(root, '{version}', '{Header,Extension,DataDictionary,TransformationDictionary,Scorecard}');
    IF coalesce(root #>> '{at,version}', '') !~ '^4\.[0-4]' THEN
        PERFORM credit._pmml_refuse(root, 'PMML of this version is not known');
    END IF;
    IF (SELECT count(*) FROM jsonb_array_elements(root -> 'children') c WHERE c ->> 'tag' = 'Scorecard') <> 1 THEN
        PERFORM credit._pmml_refuse(root, 'there must be one scorecard');
    END IF;
    SELECT c INTO card FROM jsonb_array_elements(root -> 'children') c WHERE c ->> 'tag' = 'Scorecard';
    PERFORM credit._pmml_only(card, '{modelName,functionName,algorithmName,initialScore,useReasonCodes,reasonCodeAlgorithm,baselineMethod,baselineScore}',
                              '{Extension,MiningSchema,LocalTransformations,Characteristics}' || descriptive);
    IF card #>> '{at,functionName}' IS DISTINCT FROM 'regression' THEN
        PERFORM credit._pmml_refuse(card, 'functionName of a scorecard is regression');
    END IF;
    FOR part IN SELECT c FROM (SELECT jsonb_array_elements(root -> 'children') UNION ALL SELECT jsonb_array_elements(card -> 'children')) x(c) LOOP
        IF part.c ->> 'tag' IN ('TransformationDictionary', 'LocalTransformations') AND part.c -> 'children' <> '[]' THEN
            PERFORM credit._pmml_refuse(part.c #> '{children,0}', 'a derived field cannot be represented');
        ELSIF part.c ->> 'tag' = ANY (descriptive) THEN
            RAISE NOTICE 'line % of the document: % changes no score and is left out', part.c ->> 'line', part.c ->> 'tag';
        END IF;
    END LOOP;
    fields := credit._pmml_fields((SELECT c FROM jsonb_array_elements(root -> 'children') c WHERE c ->> 'tag' = 'DataDictionary'),
                                  (SELECT c FROM jsonb_array_elements(card -> 'children') c WHERE c ->> 'tag' = 'MiningSchema'));
    SELECT jsonb_agg(credit._pmml_characteristic(c, fields) ORDER BY n) INTO characteristics
      FROM jsonb_array_elements(card -> 'children') l(list), jsonb_array_elements(list -> 'children') WITH ORDINALITY x(c, n)
     WHERE list ->> 'tag' = 'Characteristics' AND c ->> 'tag' = 'Characteristic';
    SELECT jsonb_agg(jsonb_build_object('code', code) ORDER BY n) INTO codes
      FROM (SELECT code, min(n) AS n FROM jsonb_path_query(characteristics, '$[*].**.reason_code') WITH ORDINALITY x(code, n) GROUP BY code) y;
    own := credit._pmml_own(card, '{title_zh,title_en,reasons,grades,valid_months,review_months,outside_grades,overrides,caps,conventions}');
    -- PMML's round takes a half up; ours does what the model says
    IF root @? '$.**.at.function ? (@ == "round")' AND NOT root @? '$.children[*] ? (@.tag == "Header").children[*].at ? (@.name == "pgcredit")' THEN
        own := own || '{"conventions": {"rounding": "half_up"}}';
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object('name', card #> '{at,modelName}', 'characteristics', coalesce(characteristics, '[]'), 'reasons', codes,
        'fields', credit._pmml_extra_fields(card, characteristics, own, fields),
        'initial_score', credit._pmml_value(card, 'number', coalesce(card #>> '{at,initialScore}', '0')),
        'use_reason_codes', credit._pmml_value(card, 'boolean', coalesce(card #>> '{at,useReasonCodes}', 'true')),
        'reason_code_algorithm', card #> '{at,reasonCodeAlgorithm}', 'baseline_method', card #> '{at,baselineMethod}',
        'baseline_score', CASE WHEN card -> 'at' ? 'baselineScore' THEN credit._pmml_value(card, 'number', card #>> '{at,baselineScore}') END))
        || own;
END
$$;

CREATE FUNCTION credit.import_pmml(document text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF document IS NULL THEN
        RAISE EXCEPTION 'document is null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    RETURN credit.create_model(credit._pmml_definition(document));
END
$$;
COMMENT ON FUNCTION credit.import_pmml(text) IS
    'store the scorecard of a PMML 4.x document as a draft and return its version; what cannot be represented is refused (导入 PMML)';

-- ---------------------------------------------------------------------------
-- Out
-- ---------------------------------------------------------------------------

CREATE FUNCTION credit._xml_text(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF value ~ E'[\u0001-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]' THEN
        RAISE EXCEPTION 'a text of the model has a character that XML cannot hold: %', to_json(value)
            USING ERRCODE = 'PC406';
    END IF;
    RETURN replace(replace(replace(replace(replace(replace(replace(value, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'),
                   E'\n', '&#10;'), E'\t', '&#9;'), E'\r', '&#13;');
END
$$;

-- One attribute of an element with a space before it; nothing for NULL.
CREATE FUNCTION credit._xml_at(name text, value text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN value IS NULL THEN '' ELSE ' ' || name || '="' || credit._xml_text(value) || '"' END;

CREATE FUNCTION credit._xml_own(own jsonb) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN jsonb_strip_nulls(own) = '{}' THEN ''
            ELSE '<Extension name="pgcredit"' || credit._xml_at('value', jsonb_strip_nulls(own)::text) || '/>' END;

-- An expression's tree as PMML; at the root with what stands in place of a missing value.
CREATE FUNCTION credit._pmml_apply(tree jsonb, missing text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF tree ? 'field' THEN
        RETURN '<FieldRef' || credit._xml_at('field', tree ->> 'field') || credit._xml_at('mapMissingTo', missing) || '/>';
    ELSIF tree ? 'constant' THEN
        RETURN '<Constant' || credit._xml_at('dataType', tree ->> 'type') || '>' || credit._xml_text(tree ->> 'constant') || '</Constant>';
    END IF;
    RETURN '<Apply' || credit._xml_at('function', tree ->> 'apply') || credit._xml_at('defaultValue', missing) || '>'
        || (SELECT string_agg(credit._pmml_apply(t), '' ORDER BY n) FROM jsonb_array_elements(tree -> 'arguments') WITH ORDINALITY x(t, n)) || '</Apply>';
END
$$;

CREATE FUNCTION credit._pmml_attribute(a jsonb, field text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    named CONSTANT text := credit._xml_at('field', field);
    low text := '<SimplePredicate' || named || ' operator="' || CASE WHEN a ->> 'closure' LIKE 'closed%' THEN 'greaterOrEqual' ELSE 'greaterThan' END
                || '"' || credit._xml_at('value', a ->> 'low') || '/>';
    high text := '<SimplePredicate' || named || ' operator="' || CASE WHEN a ->> 'closure' LIKE '%Closed' THEN 'lessOrEqual' ELSE 'lessThan' END
                || '"' || credit._xml_at('value', a ->> 'high') || '/>';
    own jsonb := '{}';
    predicate text;
BEGIN
    CASE a ->> 'kind'
    WHEN 'missing' THEN
        predicate := '<SimplePredicate' || named || ' operator="isMissing"/>';
    WHEN 'other' THEN
        predicate := '<SimplePredicate' || named || ' operator="isNotMissing"/>';
    WHEN 'set' THEN
        predicate := '<SimpleSetPredicate' || named || ' booleanOperator="isIn"><Array n="' || jsonb_array_length(a -> 'values')
            || '" type="' || CASE jsonb_typeof(a #> '{values,0}') WHEN 'number' THEN 'real' ELSE 'string' END || '">'
            || (SELECT string_agg(CASE jsonb_typeof(v) WHEN 'string' THEN
                    credit._xml_text('"' || regexp_replace(v #>> '{}', '(["\\])', '\\\1', 'g') || '"') ELSE v #>> '{}' END, ' ' ORDER BY n)
                  FROM jsonb_array_elements(a -> 'values') WITH ORDINALITY x(v, n))
            || '</Array></SimpleSetPredicate>';
    ELSE
        predicate := CASE WHEN a ? 'low' AND a ? 'high' THEN '<CompoundPredicate booleanOperator="and">' || low || high || '</CompoundPredicate>'
                          WHEN a ? 'low' THEN low WHEN a ? 'high' THEN high
                          ELSE '<SimplePredicate' || named || ' operator="isNotMissing"/>' END;
        -- the side that is open to infinity has a closure too, which a predicate does not say
        IF (a ? 'low' AND a ? 'high') IS NOT TRUE THEN
            own := jsonb_build_object('closure', a -> 'closure');
        END IF;
    END CASE;
    RETURN '<Attribute' || credit._xml_at('reasonCode', a ->> 'reason_code') || credit._xml_at('partialScore', a ->> 'points') || '>'
        || credit._xml_own(own) || predicate
        || CASE WHEN a ? 'expression' THEN '<ComplexPartialScore>' || credit._pmml_apply(credit._expression_tree(a ->> 'expression'), a ->> 'default')
                                           || '</ComplexPartialScore>' ELSE '' END
        || '</Attribute>';
END
$$;

CREATE FUNCTION credit.model_pmml(name text, version integer DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    d CONSTANT jsonb := credit.model_definition(name, version);
    bad text;
BEGIN
    IF d IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT c ->> 'field' INTO bad FROM jsonb_array_elements(d -> 'characteristics') c
     GROUP BY c ->> 'field' HAVING count(DISTINCT c ->> 'data_type') > 1;
    IF FOUND THEN
        RAISE EXCEPTION 'field "%" is read with two data types, which PMML cannot say', bad USING ERRCODE = 'PC406';
    END IF;
    RETURN '<?xml version="1.0" encoding="UTF-8"?>' || E'\n<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">\n<Header><Application name="pgcredit"/></Header>\n<DataDictionary>\n'
        || (SELECT string_agg('<DataField' || credit._xml_at('name', f.field) || CASE f.data_type
                WHEN 'number' THEN ' optype="continuous" dataType="double"/>' WHEN 'text' THEN ' optype="categorical" dataType="string"/>'
                WHEN 'boolean' THEN ' optype="categorical" dataType="boolean"/>' ELSE ' optype="ordinal" dataType="date"/>' END, E'\n' ORDER BY f.n)
              FROM (SELECT c ->> 'field' AS field, c ->> 'data_type' AS data_type, min(n) AS n
                      FROM jsonb_array_elements(d -> 'characteristics') WITH ORDINALITY x(c, n) GROUP BY 1, 2
                     UNION ALL
                    SELECT c ->> 'name', c ->> 'data_type', 1000 + n FROM jsonb_array_elements(d -> 'fields') WITH ORDINALITY x(c, n)) f)
        || E'\n</DataDictionary>\n<Scorecard functionName="regression"' || credit._xml_at('modelName', d ->> 'name')
        || credit._xml_at('initialScore', d ->> 'initial_score') || credit._xml_at('useReasonCodes', d ->> 'use_reason_codes')
        || credit._xml_at('reasonCodeAlgorithm', d ->> 'reason_code_algorithm') || credit._xml_at('baselineMethod', d ->> 'baseline_method')
        || credit._xml_at('baselineScore', d ->> 'baseline_score') || E'>\n'
        || credit._xml_own(jsonb_build_object('title_zh', d -> 'title_zh', 'title_en', d -> 'title_en', 'reasons', d -> 'reasons', 'grades', d -> 'grades',
                                              'valid_months', d -> 'valid_months', 'review_months', d -> 'review_months',
                                              'outside_grades', d -> 'outside_grades', 'overrides', d -> 'overrides', 'caps', d -> 'caps',
                                              'conventions', d -> 'conventions'))
        || E'\n<MiningSchema>\n'
        || (SELECT string_agg('<MiningField' || credit._xml_at('name', f.field) || ' invalidValueTreatment="asIs"/>', E'\n' ORDER BY f.n)
              FROM (SELECT c ->> 'field' AS field, min(n) AS n FROM jsonb_array_elements(d -> 'characteristics') WITH ORDINALITY x(c, n) GROUP BY 1
                     UNION ALL
                    SELECT c ->> 'name', 1000 + n FROM jsonb_array_elements(d -> 'fields') WITH ORDINALITY x(c, n)) f)
        || E'\n</MiningSchema>\n<Characteristics>\n'
        || (SELECT string_agg('<Characteristic' || credit._xml_at('name', c ->> 'name') || credit._xml_at('reasonCode', c ->> 'reason_code')
                    || credit._xml_at('baselineScore', c ->> 'baseline_score') || E'>\n'
                    || credit._xml_own(jsonb_build_object('title_zh', c -> 'title_zh', 'title_en', c -> 'title_en'))
                    || (SELECT string_agg(credit._pmml_attribute(a, c ->> 'field'), E'\n' ORDER BY m)
                          FROM jsonb_array_elements(c -> 'attributes') WITH ORDINALITY y(a, m))
                    || E'\n</Characteristic>', E'\n' ORDER BY n)
              FROM jsonb_array_elements(d -> 'characteristics') WITH ORDINALITY x(c, n))
        || E'\n</Characteristics>\n</Scorecard>\n</PMML>\n';
END
$$;
COMMENT ON FUNCTION credit.model_pmml(text, integer) IS
    'a version (the newest published one if none is given) as a PMML 4.4 document; import_pmml gives the same definition again (导出 PMML)';

REVOKE ALL ON FUNCTION credit._xml_tree(text), credit._pmml_refuse(jsonb, text), credit._pmml_only(jsonb, text[], text[]),
    credit._pmml_value(jsonb, text, text), credit._pmml_array(jsonb, text), credit._pmml_both(jsonb, jsonb, text),
    credit._pmml_order(jsonb, jsonb), credit._pmml_predicate(jsonb, text, text), credit._pmml_own(jsonb, text[]),
    credit._pmml_expression(jsonb, boolean), credit._pmml_points(jsonb), credit._pmml_extra_fields(jsonb, jsonb, jsonb, jsonb),
    credit._pmml_apply(jsonb, text), credit._pmml_characteristic(jsonb, jsonb), credit._pmml_fields(jsonb, jsonb), credit._pmml_definition(text),
    credit.import_pmml(text), credit._xml_text(text), credit._xml_at(text, text), credit._xml_own(jsonb),
    credit._pmml_attribute(jsonb, text), credit.model_pmml(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.import_pmml(text) TO credit_operator;
GRANT EXECUTE ON FUNCTION credit.model_pmml(text, integer) TO credit_operator, credit_analyst, credit_institution, credit_auditor;
