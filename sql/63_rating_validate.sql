-- ---------------------------------------------------------------------------
-- 63 rating: validation of scores and probabilities
-- ---------------------------------------------------------------------------

CREATE TYPE credit.estimate AS (value float8, std_error float8, low float8, high float8);
COMMENT ON TYPE credit.estimate IS 'a statistic with its standard error and the bounds of its 95 % interval (区间估计)';

CREATE FUNCTION credit._brier_final(internal) RETURNS float8
    AS 'MODULE_PATHNAME', 'pgcredit_brier_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._auc_interval_final(internal) RETURNS credit.estimate
    AS 'MODULE_PATHNAME', 'pgcredit_auc_interval_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._chi_square_tail(x float8, freedom integer) RETURNS float8
    AS 'MODULE_PATHNAME', 'pgcredit_chi_square' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE AGGREGATE credit.brier(probability float8, bad boolean) (
    SFUNC = credit._rank_transition, STYPE = internal, SSPACE = 1048576, FINALFUNC = credit._brier_final,
    COMBINEFUNC = credit._rank_combine, SERIALFUNC = credit._rank_serialize, DESERIALFUNC = credit._rank_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.brier(float8, boolean) IS 'mean squared distance of probabilities from outcomes (Brier 分数)';
CREATE AGGREGATE credit.auc_interval(score float8, bad boolean) (
    SFUNC = credit._rank_transition, STYPE = internal, SSPACE = 1048576, FINALFUNC = credit._auc_interval_final,
    COMBINEFUNC = credit._rank_combine, SERIALFUNC = credit._rank_serialize, DESERIALFUNC = credit._rank_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.auc_interval(float8, boolean) IS 'auc with DeLong''s standard error and 95 % interval (AUC 置信区间)';

-- The index of a characteristic's attributes is that of a score's bins.
CREATE AGGREGATE credit.csi(attribute text, actual boolean) (
    SFUNC = credit._psi_transition, STYPE = internal, FINALFUNC = credit._psi_final,
    COMBINEFUNC = credit._psi_combine, SERIALFUNC = credit._psi_serialize, DESERIALFUNC = credit._psi_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.csi(text, boolean) IS
    'characteristic stability index, expected (false) against actual (true); an empty attribute is refused (指标稳定性指数)';
CREATE AGGREGATE credit.csi(attribute text, actual boolean, empty_attribute text) (
    SFUNC = credit._psi_transition, STYPE = internal, FINALFUNC = credit._psi_final,
    COMBINEFUNC = credit._psi_combine, SERIALFUNC = credit._psi_serialize, DESERIALFUNC = credit._psi_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.csi(text, boolean, text) IS
    'characteristic stability index, with a rule for empty attributes as credit.psi has (指标稳定性指数)';

CREATE FUNCTION credit.model_psi(model text, relation regclass, bin name, actual name) RETURNS float8
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    answer float8;
BEGIN
    EXECUTE format('SELECT credit.psi(t.%I::text, t.%I, $1) FROM %s t', bin, actual, relation)
       INTO answer USING credit.model_conventions(model) ->> 'psi_empty_bin';
    RETURN answer;
END
$$;
COMMENT ON FUNCTION credit.model_psi(text, regclass, name, name) IS
    'population stability index of a table''s bins, empty ones treated as the model says (按模型约定的群体稳定性指数)';

-- Resampling with a seed. What is drawn depends on the seed and on the counts of each score, so neither the order of rows nor
-- the plan changes a bit.
CREATE FUNCTION credit._bootstrap_transition(internal, float8, boolean, bigint) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_bootstrap_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._bootstrap_transition(internal, float8, boolean, bigint, jsonb) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_bootstrap_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._psi_bootstrap_transition(internal, text, boolean, bigint) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_psi_bootstrap_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._psi_bootstrap_transition(internal, text, boolean, bigint, jsonb) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_psi_bootstrap_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._psi_bootstrap_transition(internal, float8, boolean, bigint) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_psi_bootstrap_number' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._psi_bootstrap_transition(internal, float8, boolean, bigint, jsonb) RETURNS internal
    AS 'MODULE_PATHNAME', 'pgcredit_psi_bootstrap_number' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._auc_bootstrap_final(internal) RETURNS credit.estimate
    AS 'MODULE_PATHNAME', 'pgcredit_auc_bootstrap_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._gini_bootstrap_final(internal) RETURNS credit.estimate
    AS 'MODULE_PATHNAME', 'pgcredit_gini_bootstrap_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._ks_bootstrap_final(internal) RETURNS credit.estimate
    AS 'MODULE_PATHNAME', 'pgcredit_ks_bootstrap_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION credit._psi_bootstrap_final(internal) RETURNS credit.estimate
    AS 'MODULE_PATHNAME', 'pgcredit_psi_bootstrap_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE AGGREGATE credit.auc_bootstrap(score float8, bad boolean, seed bigint) (
    SFUNC = credit._bootstrap_transition, STYPE = internal, SSPACE = 1048576, FINALFUNC = credit._auc_bootstrap_final,
    COMBINEFUNC = credit._rank_combine, SERIALFUNC = credit._rank_serialize, DESERIALFUNC = credit._rank_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.auc_bootstrap(float8, boolean, bigint) IS
    'auc with standard error and interval by resampling, 1,000 replicates and 95 % (AUC 自助法区间)';
CREATE AGGREGATE credit.auc_bootstrap(score float8, bad boolean, seed bigint, options jsonb) (
    SFUNC = credit._bootstrap_transition, STYPE = internal, SSPACE = 1048576, FINALFUNC = credit._auc_bootstrap_final,
    COMBINEFUNC = credit._rank_combine, SERIALFUNC = credit._rank_serialize, DESERIALFUNC = credit._rank_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.auc_bootstrap(float8, boolean, bigint, jsonb) IS
    'auc with standard error and interval by resampling, with options (AUC 自助法区间)';
CREATE AGGREGATE credit.gini_bootstrap(score float8, bad boolean, seed bigint) (
    SFUNC = credit._bootstrap_transition, STYPE = internal, SSPACE = 1048576, FINALFUNC = credit._gini_bootstrap_final,
    COMBINEFUNC = credit._rank_combine, SERIALFUNC = credit._rank_serialize, DESERIALFUNC = credit._rank_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.gini_bootstrap(float8, boolean, bigint) IS
    'gini with standard error and interval by resampling, 1,000 replicates and 95 % (基尼系数 自助法区间)';
CREATE AGGREGATE credit.gini_bootstrap(score float8, bad boolean, seed bigint, options jsonb) (
    SFUNC = credit._bootstrap_transition, STYPE = internal, SSPACE = 1048576, FINALFUNC = credit._gini_bootstrap_final,
    COMBINEFUNC = credit._rank_combine, SERIALFUNC = credit._rank_serialize, DESERIALFUNC = credit._rank_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.gini_bootstrap(float8, boolean, bigint, jsonb) IS
    'gini with standard error and interval by resampling, with options (基尼系数 自助法区间)';
CREATE AGGREGATE credit.ks_bootstrap(score float8, bad boolean, seed bigint) (
    SFUNC = credit._bootstrap_transition, STYPE = internal, SSPACE = 1048576, FINALFUNC = credit._ks_bootstrap_final,
    COMBINEFUNC = credit._rank_combine, SERIALFUNC = credit._rank_serialize, DESERIALFUNC = credit._rank_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.ks_bootstrap(float8, boolean, bigint) IS
    'ks with standard error and interval by resampling, 1,000 replicates and 95 % (KS 自助法区间)';
CREATE AGGREGATE credit.ks_bootstrap(score float8, bad boolean, seed bigint, options jsonb) (
    SFUNC = credit._bootstrap_transition, STYPE = internal, SSPACE = 1048576, FINALFUNC = credit._ks_bootstrap_final,
    COMBINEFUNC = credit._rank_combine, SERIALFUNC = credit._rank_serialize, DESERIALFUNC = credit._rank_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.ks_bootstrap(float8, boolean, bigint, jsonb) IS
    'ks with standard error and interval by resampling, with options (KS 自助法区间)';
CREATE AGGREGATE credit.psi_bootstrap(bin text, actual boolean, seed bigint) (
    SFUNC = credit._psi_bootstrap_transition, STYPE = internal, FINALFUNC = credit._psi_bootstrap_final,
    COMBINEFUNC = credit._psi_combine, SERIALFUNC = credit._psi_serialize, DESERIALFUNC = credit._psi_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.psi_bootstrap(text, boolean, bigint) IS
    'psi with standard error and interval by resampling, 1,000 replicates and 95 % (PSI 自助法区间)';
CREATE AGGREGATE credit.psi_bootstrap(bin text, actual boolean, seed bigint, options jsonb) (
    SFUNC = credit._psi_bootstrap_transition, STYPE = internal, FINALFUNC = credit._psi_bootstrap_final,
    COMBINEFUNC = credit._psi_combine, SERIALFUNC = credit._psi_serialize, DESERIALFUNC = credit._psi_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.psi_bootstrap(text, boolean, bigint, jsonb) IS
    'psi with standard error and interval by resampling, with options (PSI 自助法区间)';
CREATE AGGREGATE credit.psi_bootstrap(value float8, actual boolean, seed bigint) (
    SFUNC = credit._psi_bootstrap_transition, STYPE = internal, FINALFUNC = credit._psi_bootstrap_final,
    COMBINEFUNC = credit._psi_combine, SERIALFUNC = credit._psi_serialize, DESERIALFUNC = credit._psi_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.psi_bootstrap(float8, boolean, bigint) IS
    'the same of bins that are numbers, as width_bucket() gives them (PSI 自助法区间)';
CREATE AGGREGATE credit.psi_bootstrap(value float8, actual boolean, seed bigint, options jsonb) (
    SFUNC = credit._psi_bootstrap_transition, STYPE = internal, FINALFUNC = credit._psi_bootstrap_final,
    COMBINEFUNC = credit._psi_combine, SERIALFUNC = credit._psi_serialize, DESERIALFUNC = credit._psi_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.psi_bootstrap(float8, boolean, bigint, jsonb) IS
    'the same of numbers, which the option breaks cuts into bins (PSI 自助法区间)';

-- Groups of cases of nearly equal number by falling or rising value; equal values stay together.
CREATE FUNCTION credit.gains(relation regclass, score name, bad name, groups integer DEFAULT 10)
    RETURNS TABLE ("group" integer, low float8, high float8, cases bigint, bad_count bigint, bad_rate float8, lift float8,
                   bad_captured float8, good_captured float8, mean_value float8)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF groups IS NULL OR groups NOT BETWEEN 2 AND 1000 THEN
        RAISE EXCEPTION 'groups is not between 2 and 1000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY EXECUTE format('
        WITH c AS (SELECT v, count(*) AS n, count(*) FILTER (WHERE b) AS bad
                     FROM (SELECT t.%I::float8 AS v, t.%I AS b FROM %s t) x WHERE v IS NOT NULL AND b IS NOT NULL GROUP BY v),
             q AS (SELECT v, n, bad, ceil(sum(n) OVER (ORDER BY v) * $1 / sum(n) OVER ()) AS q FROM c),
             g AS (SELECT q, min(v) AS low, max(v) AS high, sum(n) AS n, sum(bad) AS bad, sum(v * n ORDER BY v) / sum(n) AS mean FROM q GROUP BY q)
        SELECT (row_number() OVER w)::integer, low, high, n::bigint, bad::bigint, (bad / n)::float8, (bad / n)::float8 / nullif((sum(bad) OVER () / sum(n) OVER ())::float8, 0),
               (sum(bad) OVER w)::float8 / nullif((sum(bad) OVER ())::float8, 0), (sum(n - bad) OVER w)::float8 / nullif((sum(n - bad) OVER ())::float8, 0), mean::float8
          FROM g WINDOW w AS (ORDER BY q) ORDER BY q', score, bad, relation) USING groups;
END
$$;
COMMENT ON FUNCTION credit.gains(regclass, name, name, integer) IS
    'gains table: groups of cases by rising score with bad rate, lift and shares captured so far (增益表)';

CREATE FUNCTION credit.calibration(relation regclass, probability name, bad name, groups integer DEFAULT 10)
    RETURNS TABLE ("group" integer, low float8, high float8, cases bigint, expected float8, observed bigint,
                   expected_rate float8, observed_rate float8)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    g record;
BEGIN
    FOR g IN SELECT * FROM credit.gains(relation, probability, bad, groups) LOOP
        IF g.low < 0 OR g.high > 1 THEN     -- NaN is above 1
            RAISE EXCEPTION 'a probability is outside of 0 to 1' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        "group" := g."group"; low := g.low; high := g.high; cases := g.cases;
        expected := g.mean_value * g.cases; observed := g.bad_count;
        expected_rate := g.mean_value; observed_rate := g.bad_rate;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION credit.calibration(regclass, name, name, integer) IS
    'calibration table: expected and observed bad cases in groups of rising probability (校准表)';

CREATE FUNCTION credit.hosmer_lemeshow(relation regclass, probability name, bad name, groups integer DEFAULT 10,
        OUT statistic float8, OUT freedom integer, OUT p float8) RETURNS record
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT s.statistic, s.freedom, credit._chi_square_tail(s.statistic, s.freedom)
      FROM (SELECT sum((c.observed - c.expected) ^ 2 / nullif(c.expected * (1 - c.expected_rate), 0) ORDER BY c."group") AS statistic,
                   (count(*) - 2)::integer AS freedom
              FROM credit.calibration(hosmer_lemeshow.relation, hosmer_lemeshow.probability, hosmer_lemeshow.bad, hosmer_lemeshow.groups) c) s;
END;
COMMENT ON FUNCTION credit.hosmer_lemeshow(regclass, name, name, integer) IS
    'test of calibration over groups of rising probability, groups - 2 degrees of freedom (Hosmer-Lemeshow 检验)';

REVOKE ALL ON FUNCTION credit._brier_final(internal), credit._auc_interval_final(internal), credit._chi_square_tail(float8, integer),
    credit.brier(float8, boolean), credit.auc_interval(float8, boolean), credit.gains(regclass, name, name, integer),
    credit.calibration(regclass, name, name, integer), credit.hosmer_lemeshow(regclass, name, name, integer),
    credit._bootstrap_transition(internal, float8, boolean, bigint), credit._bootstrap_transition(internal, float8, boolean, bigint, jsonb),
    credit._psi_bootstrap_transition(internal, text, boolean, bigint), credit._psi_bootstrap_transition(internal, text, boolean, bigint, jsonb),
    credit._psi_bootstrap_transition(internal, float8, boolean, bigint), credit._psi_bootstrap_transition(internal, float8, boolean, bigint, jsonb),
    credit._auc_bootstrap_final(internal), credit._gini_bootstrap_final(internal), credit._ks_bootstrap_final(internal), credit._psi_bootstrap_final(internal),
    credit.auc_bootstrap(float8, boolean, bigint), credit.auc_bootstrap(float8, boolean, bigint, jsonb),
    credit.gini_bootstrap(float8, boolean, bigint), credit.gini_bootstrap(float8, boolean, bigint, jsonb),
    credit.ks_bootstrap(float8, boolean, bigint), credit.ks_bootstrap(float8, boolean, bigint, jsonb),
    credit.psi_bootstrap(text, boolean, bigint), credit.psi_bootstrap(text, boolean, bigint, jsonb),
    credit.psi_bootstrap(float8, boolean, bigint), credit.psi_bootstrap(float8, boolean, bigint, jsonb),
    credit.model_psi(text, regclass, name, name), credit.csi(text, boolean), credit.csi(text, boolean, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit._chi_square_tail(float8, integer), credit.brier(float8, boolean), credit.auc_interval(float8, boolean),
    credit.gains(regclass, name, name, integer), credit.calibration(regclass, name, name, integer),
    credit.hosmer_lemeshow(regclass, name, name, integer),
    credit.auc_bootstrap(float8, boolean, bigint), credit.auc_bootstrap(float8, boolean, bigint, jsonb),
    credit.gini_bootstrap(float8, boolean, bigint), credit.gini_bootstrap(float8, boolean, bigint, jsonb),
    credit.ks_bootstrap(float8, boolean, bigint), credit.ks_bootstrap(float8, boolean, bigint, jsonb),
    credit.psi_bootstrap(text, boolean, bigint), credit.psi_bootstrap(text, boolean, bigint, jsonb),
    credit.psi_bootstrap(float8, boolean, bigint), credit.psi_bootstrap(float8, boolean, bigint, jsonb),
    credit.model_psi(text, regclass, name, name), credit.csi(text, boolean), credit.csi(text, boolean, text) TO credit_operator, credit_analyst, credit_institution, credit_auditor;
