SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcredit;
RESET client_min_messages;
\pset format unaligned
\set ON_ERROR_ROLLBACK on
-- everything happens in a transaction that is rolled back: published models cannot be deleted
BEGIN;
CREATE FUNCTION pg_temp.fails(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE query INTO answer;
    RETURN 'no error: ' || coalesce(answer, 'null');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
-- the sample card of the specification: reason codes on characteristics, one on an attribute
CREATE FUNCTION pg_temp.sample(department text DEFAULT '', age text DEFAULT '', income text DEFAULT '', card text DEFAULT '', field text DEFAULT '', schema text DEFAULT '', extra text DEFAULT '') RETURNS text LANGUAGE sql AS $$
SELECT format($x$<?xml version="1.0"?>
<!-- sample -->
<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <Header copyright="none"/>
 <DataDictionary numberOfFields="4">
  <DataField name="department" dataType="string" optype="categorical">%5$s</DataField>
  <DataField name="age" dataType="integer" optype="continuous"/>
  <DataField name="income" dataType="double" optype="continuous"/>
  <DataField name="overallScore" dataType="double" optype="continuous"/>
 </DataDictionary>
 <Scorecard modelName="pmml sample" functionName="regression" useReasonCodes="true" reasonCodeAlgorithm="pointsBelow" initialScore="0" baselineMethod="other"%4$s>
  <MiningSchema>
   <MiningField name="department" usageType="active" invalidValueTreatment="%8$s"/>
   <MiningField name="age" usageType="active" invalidValueTreatment="asMissing"/>
   <MiningField name="income" usageType="active" invalidValueTreatment="asMissing"/>
   <MiningField name="overallScore" usageType="predicted"/>%6$s
  </MiningSchema>
  %7$s
  <Characteristics>
   <Characteristic name="departmentScore" reasonCode="RC1" baselineScore="19">
    <Attribute partialScore="-9"><SimplePredicate field="department" operator="isMissing"/></Attribute>
    %1$s
    <Attribute partialScore="19"><SimplePredicate field="department" operator="equal" value="marketing"/></Attribute>
    <Attribute partialScore="3"><SimplePredicate field="department" operator="equal" value="engineering"/></Attribute>
    <Attribute partialScore="6"><SimplePredicate field="department" operator="equal" value="business"/></Attribute>
   </Characteristic>
   <Characteristic name="ageScore" reasonCode="RC2" baselineScore="18">
    <Attribute partialScore="-1"><SimplePredicate field="age" operator="isMissing"/></Attribute>
    <Attribute partialScore="-3"><SimplePredicate field="age" operator="lessOrEqual" value="18"/></Attribute>
    <Attribute partialScore="0"%2$s>
     <CompoundPredicate booleanOperator="and"><SimplePredicate field="age" operator="greaterThan" value="18"/><SimplePredicate field="age" operator="lessOrEqual" value="29"/></CompoundPredicate>
    </Attribute>
    <Attribute partialScore="12">
     <CompoundPredicate booleanOperator="and"><SimplePredicate field="age" operator="greaterThan" value="29"/><SimplePredicate field="age" operator="lessOrEqual" value="39"/></CompoundPredicate>
    </Attribute>
    <Attribute partialScore="18"><SimplePredicate field="age" operator="greaterThan" value="39"/></Attribute>
   </Characteristic>
   <Characteristic name="incomeScore" reasonCode="RC3" baselineScore="10">
    <Attribute partialScore="5"><SimplePredicate field="income" operator="isMissing"/></Attribute>
    <Attribute partialScore="26"><SimplePredicate field="income" operator="lessOrEqual" value="1000"/></Attribute>
    <Attribute partialScore="5">
     <CompoundPredicate booleanOperator="and"><SimplePredicate field="income" operator="greaterThan" value="1000"/><SimplePredicate field="income" operator="lessOrEqual" value="2500"/></CompoundPredicate>
    </Attribute>
    <Attribute partialScore="-3"><SimplePredicate field="income" operator="greaterThan" value="2500"/></Attribute>
    %3$s
   </Characteristic>
  </Characteristics>
 </Scorecard>
</PMML>$x$, department, age, income, card, field, schema, extra, CASE WHEN field = '' THEN 'asMissing' ELSE 'returnInvalid' END)
$$;
CREATE TABLE employee (department text, age integer, income float8);
INSERT INTO employee VALUES ('engineering', 25, 500), (NULL, NULL, NULL), ('marketing', 39, 2500), ('business', 18, 1000), ('business', 40, 2500.01);
SELECT credit.import_pmml(pg_temp.sample());
SELECT credit.score('pmml sample@1', e) FROM employee e;
SELECT DISTINCT reason_rank, reason_code, sum(difference) OVER (PARTITION BY reason_code) AS difference FROM credit.explain('pmml sample@1', (SELECT e FROM employee e WHERE age = 25)) WHERE ordinal > 0 ORDER BY 1;
-- a reason code on an attribute comes before that of the characteristic
SELECT credit.import_pmml(pg_temp.sample(age => ' reasonCode="RC2_3"'));
SELECT reason_rank, reason_code, difference FROM credit.explain('pmml sample@2', (SELECT e FROM employee e WHERE age = 25)) WHERE ordinal > 0 ORDER BY 1;
-- foreign PMML to ours to PMML to ours: the same scores and the same definition
SELECT credit.import_pmml(credit.model_pmml('pmml sample', 2));
SELECT credit.model_definition('pmml sample', 2) = credit.model_definition('pmml sample', 3) AS same_definition,
       (SELECT bool_and(credit.score('pmml sample@2', e) = credit.score('pmml sample@3', e)) FROM employee e) AS same_scores;

-- ours to PMML to ours, exactly: closures of open sides, numbers with their scale, quotes, markup, space and characters beyond ASCII
SELECT credit.create_model($j${
    "name": "round <trip> & \"pmml\"", "valid_months": 24, "review_months": 12, "title_zh": "小微企业信用评分", "title_en": "SME \"score\" \\ \u0001", "initial_score": 600.50,
    "use_reason_codes": true, "reason_code_algorithm": "pointsAbove", "baseline_method": "neutral", "baseline_score": -0.000001,
    "characteristics": [
        {"name": "年龄", "field": "age", "data_type": "number", "baseline_score": 3, "reason_code": "R1", "title_zh": "年龄", "title_en": "age",
         "attributes": [{"kind": "set", "values": [-999, 1.50], "points": -1.25},
                        {"kind": "interval", "high": 18.0, "closure": "openClosed", "points": 1},
                        {"kind": "interval", "low": 18, "high": 30, "closure": "openOpen", "points": 2, "reason_code": "R2"},
                        {"kind": "interval", "low": 30, "closure": "closedClosed", "points": 3},
                        {"kind": "missing", "points": 0}]},
        {"name": "any", "field": "age", "data_type": "number", "reason_code": "R1",
         "attributes": [{"kind": "missing", "points": 2}, {"kind": "interval", "closure": "openClosed", "points": -1.25}]},
        {"name": "listed", "field": "listed", "data_type": "boolean", "reason_code": "R2",
         "attributes": [{"kind": "set", "values": [true], "points": 1}, {"kind": "other", "points": 0}, {"kind": "missing", "points": 0}]},
        {"name": "since", "field": "since", "data_type": "date", "reason_code": "R2",
         "attributes": [{"kind": "interval", "low": "2000-02-29", "high": "2020-01-01", "closure": "closedOpen", "points": 1},
                        {"kind": "set", "values": ["1999-12-31"], "points": 7}, {"kind": "other", "points": 0}]},
        {"name": "kind", "field": "kind", "data_type": "text", "reason_code": "R2",
         "attributes": [{"kind": "set", "values": ["農戶", "𠮷", "", "a b\t\"c\" \\ <&>'\nd", "]]>"], "points": 1}, {"kind": "other", "points": 0}]}],
    "reasons": [{"code": "R1", "text_zh": "年龄", "text_en": "age"}, {"code": "R2"}, {"code": "unused"}],
    "grades": [{"grade": "AAA", "low": 606.5, "title_zh": "优", "title_en": "best"}, {"grade": "AA", "high": 606.5}]}$j$);
SELECT credit.import_pmml(credit.model_pmml('round <trip> & "pmml"', 1));
SELECT d1 = d2 AND d1::text = d2::text AS same FROM credit.model_definition('round <trip> & "pmml"', 1) d1, credit.model_definition('round <trip> & "pmml"', 2) d2;
SELECT credit.publish_model('round <trip> & "pmml"', 1) = credit.publish_model('round <trip> & "pmml"', 2) AS same_digest;
-- what goes out is XML to PostgreSQL too
SELECT (xpath('count(//p:Attribute)', credit.model_pmml('round <trip> & "pmml"')::xml, '{{p,http://www.dmg.org/PMML-4_4}}'))[1] AS attributes;
SELECT credit.model_pmml('nobody') IS NULL AS none;

-- predicates: each as a card of one field, scored for some values and for a missing one; 1 where it holds, 0 elsewhere
CREATE FUNCTION pg_temp.predicate(name text, data_type text, predicate text) RETURNS text LANGUAGE sql AS $$
SELECT format('<PMML version="4.3"><DataDictionary><DataField name="x" dataType="%s"/></DataDictionary><Scorecard modelName="%s" functionName="regression" useReasonCodes="false">
<MiningSchema><MiningField name="x"/></MiningSchema><Characteristics><Characteristic><Attribute partialScore="1">%s</Attribute>%s</Characteristic></Characteristics></Scorecard></PMML>',
    data_type, name, predicate, '<Attribute partialScore="0"><CompoundPredicate booleanOperator="or"><SimplePredicate field="x" operator="isNotMissing"/><SimplePredicate field="x" operator="isMissing"/></CompoundPredicate></Attribute>')
$$;
CREATE FUNCTION pg_temp.simple(operator text, value text) RETURNS text LANGUAGE sql AS $$ SELECT format('<SimplePredicate field="x" operator="%s" value="%s"/>', operator, value) $$;
CREATE FUNCTION pg_temp.compound(operator text, VARIADIC parts text[]) RETURNS text LANGUAGE sql AS $$ SELECT format('<CompoundPredicate booleanOperator="%s">%s</CompoundPredicate>', operator, array_to_string(parts, '')) $$;
CREATE TEMP TABLE predicate (n int, p text);
INSERT INTO predicate VALUES
    (1, pg_temp.simple('equal', '2')), (2, pg_temp.simple('notEqual', '2')), (3, pg_temp.simple('lessThan', '2')), (4, pg_temp.simple('lessOrEqual', '2e0')),
    (5, pg_temp.simple('greaterThan', '+2')), (6, pg_temp.simple('greaterOrEqual', '2.0')), (7, '<SimplePredicate field="x" operator="isMissing"/>'),
    (8, '<SimplePredicate field="x" operator="isNotMissing"/>'), (9, '<SimpleSetPredicate field="x" booleanOperator="isIn"><Array n="2" type="int">1 3</Array></SimpleSetPredicate>'),
    (10, pg_temp.compound('and', pg_temp.simple('greaterOrEqual', '1'), pg_temp.simple('notEqual', '2'), pg_temp.simple('lessThan', '4'))),
    (11, pg_temp.compound('or', pg_temp.simple('equal', '1'), pg_temp.simple('greaterThan', '3'), '<SimplePredicate field="x" operator="isMissing"/>')),
    (12, pg_temp.compound('xor', pg_temp.simple('lessThan', '1'), pg_temp.simple('greaterThan', '3'))),
    (13, pg_temp.compound('surrogate', pg_temp.simple('lessThan', '2'), '<True/>')), (14, pg_temp.compound('surrogate', pg_temp.simple('lessThan', '2'), '<False/>')),
    (15, '<True/>'), (16, pg_temp.compound('and', '<True/>', pg_temp.simple('lessThan', '2'))),
    (17, pg_temp.compound('and', '<SimpleSetPredicate field="x" booleanOperator="isIn"><Array type="int">0 2 4</Array></SimpleSetPredicate>', pg_temp.simple('greaterThan', '0'), pg_temp.simple('lessOrEqual', '4'))),
    (18, pg_temp.compound('and', '<SimplePredicate field="x" operator="isMissing"/>', '<True/>')), (19, '<False/>'),
    (20, pg_temp.compound('and', pg_temp.simple('lessThan', '1'), pg_temp.simple('greaterThan', '3')));
SET LOCAL client_min_messages = error;
SELECT sum(credit.import_pmml(pg_temp.predicate('predicate ' || n, 'double', p))) FROM predicate;
SELECT sum(credit.import_pmml(credit.model_pmml('predicate ' || n, 1))) FROM predicate;
SELECT n, string_agg(coalesce(x::text, 'missing') || ':' || credit.score('predicate ' || n || '@1', v), ' ' ORDER BY x) AS scores,
       bool_and(credit.score('predicate ' || n || '@1', v) = credit.score('predicate ' || n || '@2', v)) AS same
  FROM predicate, (VALUES (0), (1), (2), (3), (4), (NULL)) v(x) GROUP BY n ORDER BY n;
RESET client_min_messages;
-- what cannot be represented is refused with its line, never dropped
SELECT n, pg_temp.fails(format('SELECT credit.import_pmml(%L)', d)) FROM (VALUES
    (1, pg_temp.sample(income => '<Attribute><True/><ComplexPartialScore><NormContinuous field="income"/></ComplexPartialScore></Attribute>')),
    (2, pg_temp.sample(department => '<Attribute partialScore="1"><SimplePredicate field="age" operator="equal" value="1"/></Attribute>')),
    (3, pg_temp.sample(department => '<Attribute partialScore="1"><SimplePredicate field="department" operator="lessThan" value="a"/></Attribute>')),
    (4, pg_temp.sample(department => '<Attribute partialScore="1"><SimplePredicate field="department" operator="notEqual" value="a"/></Attribute>')),
    (5, pg_temp.sample(department => '<Attribute partialScore="1"><SimpleSetPredicate field="department" booleanOperator="isNotIn"><Array type="string">a</Array></SimpleSetPredicate></Attribute>')),
    (6, pg_temp.sample(income => '<Attribute partialScore="x"><True/></Attribute>')), (7, pg_temp.sample(income => '<Attribute partialScore="NaN"><True/></Attribute>')),
    (8, pg_temp.sample(income => '<Attribute partialScore="1"><SimplePredicate field="income" operator="lessThan" value="1"/><True/></Attribute>')),
    (9, pg_temp.sample(income => '<Attribute partialScore="1"/>')), (10, pg_temp.sample(card => ' isScorable="false"')),
    (11, pg_temp.sample(schema => '<MiningField name="bonus" missingValueReplacement="0"/>')), (12, pg_temp.sample(schema => '<MiningField name="bonus"/>')),
    (13, pg_temp.sample(extra => '<LocalTransformations><DerivedField name="d" dataType="double" optype="continuous"><FieldRef field="age"/></DerivedField></LocalTransformations>')),
    (14, pg_temp.sample(extra => '<Targets><Target field="overallScore" rescaleFactor="2"/></Targets>')),
    (15, pg_temp.sample(field => '<Value value="marketing"/><Value value="engineering"/>')),
    (16, pg_temp.sample(field => '<Value value="n/a" property="missing"/>')), (17, pg_temp.sample(income => '<Attribute partialScore="1"><SimplePredicate field="income" operator="lessThan" value="0"/></Attribute>')),
    (18, pg_temp.sample(extra => '<Extension name="pgcredit" value="{&quot;initial_score&quot;: 5}"/>')), (19, pg_temp.sample(extra => '<Extension name="pgcredit" value="[1]"/>')),
    (20, pg_temp.predicate('p', 'double', pg_temp.compound('xor', pg_temp.simple('lessThan', '2'), pg_temp.simple('greaterThan', '1')))),
    (21, pg_temp.predicate('p', 'double', pg_temp.compound('surrogate', pg_temp.simple('lessThan', '2'), pg_temp.simple('greaterThan', '1')))),
    (22, pg_temp.predicate('p', 'dateTime', '<True/>')), (23, pg_temp.predicate('p', 'string', '<SimpleSetPredicate field="x" booleanOperator="isIn"><Array n="3" type="string">a "b c"</Array></SimpleSetPredicate>')),
    (24, pg_temp.predicate('p', 'string', '<SimpleSetPredicate field="x" booleanOperator="isIn"><Array type="string">a "b c</Array></SimpleSetPredicate>')),
    (25, '<PMML version="4.4"/>'), (26, '<PMML version="3.2"/>'), (27, '<html/>'), (28, NULL)) v(n, d) ORDER BY n;
-- declared values that the attributes keep to are no obstacle
SELECT credit.import_pmml(pg_temp.sample(field => '<Value value="marketing"/><Value value="engineering"/><Value value="business"/>'));
-- hostile XML: entities, document types, depth, broken markup
SELECT n, pg_temp.fails(format('SELECT credit._xml_tree(%L)', d)) FROM (VALUES
    (1, '<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><a>&d;</a>'), (2, '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'), (3, '<a>&b;</a>'), (4, '<a b="&file;"/>'),
    (5, repeat('<a>', 65) || repeat('</a>', 65)), (6, repeat('<a>', 1000000)), (7, '<a'), (8, '<a>'), (9, '<a></b>'), (10, '<a></ab>'), (11, '<a/><b/>'), (12, ''), (13, 'text'),
    (14, '<a b="1" b="2"/>'), (15, '<a b=1/>'), (16, '<a b="<"/>'), (17, '<a b="1"c="2"/>'), (18, '<a>&#0;</a>'), (19, '<a>&#xD800;</a>'), (20, '<a>&#x110000;</a>'), (21, '<a>&#99999999999;</a>'),
    (22, '<!-- a'), (23, '<a><![CDATA[b</a>'), (24, '<a><!-- </a>'), (25, '<?xml'), (26, '<a b="'), (27, '< a/>'), (28, '<a><!ELEMENT b></a>'), (29, E'<a>\n<b>\n</a>'),
    (30, '<a ' || (SELECT string_agg(format('a%s="1"', i), ' ') FROM generate_series(1, 65) i) || '/>'), (31, '<a>&#x5c;&lt;&#20449;</a>'), (32, '<a b:c="1" d = ''"'' ><![CDATA[<&]]>x<!-- - --><?p?>y</a>'),
    (33, '<a>' || repeat('x', 17000000) || '</a>')) v(n, d) ORDER BY n;
ROLLBACK;
