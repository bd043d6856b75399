-- ---------------------------------------------------------------------------
-- 77 target: the ledgers
-- ---------------------------------------------------------------------------
-- What institutions report of their business, month by month. Each row stands for itself: what it is counted by (region,
-- segment, product, features) is in it as it was in that month, so a metric needs no join, and a later change of an
-- enterprise does not change last year's figures. A stock (balance at the end of the month) has a row for each month, a
-- flow has one in the month in which it happened. Amounts are CNY unless the metric says otherwise.
--
-- A key is unique within its month, hence in each partition; the ledger as a whole has no index for it, since a restored
-- partition would then get one from the ledger and one from the dump.
--
-- institution_id refers to no table: a delivery takes it from who delivers, and a check for each of ten million rows is
-- not worth what it costs. The same holds for subject_id, which a delivery looks up.

CREATE TABLE credit.loan_balance (
    institution_id  integer NOT NULL,
    key             text NOT NULL CHECK (key <> '' AND octet_length(key) <= 200),
    month           date NOT NULL CHECK (extract(day FROM month) = 1),
    subject_id      bigint CHECK (subject_id > 0),
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '' CHECK (octet_length(segment) <= 200),
    product         text NOT NULL DEFAULT '' CHECK (octet_length(product) <= 200),
    balance         numeric(18,2) NOT NULL CHECK (balance <> 'NaN'),
    rate            numeric(9,6) CHECK (rate <> 'NaN'),
    class           text CHECK (class IN ('normal', 'special_mention', 'substandard', 'doubtful', 'loss')),
    enterprise      boolean NOT NULL DEFAULT false,
    private         boolean NOT NULL DEFAULT false,
    small_micro     boolean NOT NULL DEFAULT false,
    inclusive       boolean NOT NULL DEFAULT false,
    agricultural    boolean NOT NULL DEFAULT false,
    farmer          boolean NOT NULL DEFAULT false,
    green           boolean NOT NULL DEFAULT false,
    manufacturing   boolean NOT NULL DEFAULT false,
    long_term       boolean NOT NULL DEFAULT false,
    unsecured       boolean NOT NULL DEFAULT false,
    renewal         boolean NOT NULL DEFAULT false,
    platform        boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (month);
CREATE TABLE credit.loan_balance_other PARTITION OF credit.loan_balance (PRIMARY KEY (institution_id, key, month)) DEFAULT;
COMMENT ON TABLE credit.loan_balance IS 'month-end balances of loans, one row for each loan and month (贷款余额月报)';
COMMENT ON COLUMN credit.loan_balance.month IS 'first day of the month (月份)';
COMMENT ON COLUMN credit.loan_balance.key IS 'the institution''s own number of it (业务编号)';
COMMENT ON TABLE credit.loan_balance_other IS 'rows of months that have no partition of their own (其他月份)';

CREATE TABLE credit.loan_issue (
    institution_id  integer NOT NULL,
    key             text NOT NULL CHECK (key <> '' AND octet_length(key) <= 200),
    month           date NOT NULL CHECK (extract(day FROM month) = 1),
    subject_id      bigint CHECK (subject_id > 0),
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '' CHECK (octet_length(segment) <= 200),
    product         text NOT NULL DEFAULT '' CHECK (octet_length(product) <= 200),
    amount          numeric(18,2) NOT NULL CHECK (amount <> 'NaN'),
    rate            numeric(9,6) CHECK (rate <> 'NaN'),
    all_in_cost     numeric(9,6) CHECK (all_in_cost <> 'NaN'),
    enterprise      boolean NOT NULL DEFAULT false,
    private         boolean NOT NULL DEFAULT false,
    small_micro     boolean NOT NULL DEFAULT false,
    inclusive       boolean NOT NULL DEFAULT false,
    agricultural    boolean NOT NULL DEFAULT false,
    farmer          boolean NOT NULL DEFAULT false,
    green           boolean NOT NULL DEFAULT false,
    manufacturing   boolean NOT NULL DEFAULT false,
    long_term       boolean NOT NULL DEFAULT false,
    unsecured       boolean NOT NULL DEFAULT false,
    first_loan      boolean NOT NULL DEFAULT false,
    annual_review   boolean NOT NULL DEFAULT false,
    ip_pledge       boolean NOT NULL DEFAULT false,
    insured         boolean NOT NULL DEFAULT false,
    policy_financing boolean NOT NULL DEFAULT false,
    platform        boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (month);
CREATE TABLE credit.loan_issue_other PARTITION OF credit.loan_issue (PRIMARY KEY (institution_id, key, month)) DEFAULT;
COMMENT ON TABLE credit.loan_issue IS 'loans paid out, one row for each payment (贷款发放)';
COMMENT ON COLUMN credit.loan_issue.month IS 'first day of the month (月份)';
COMMENT ON COLUMN credit.loan_issue.key IS 'the institution''s own number of it (业务编号)';
COMMENT ON TABLE credit.loan_issue_other IS 'rows of months that have no partition of their own (其他月份)';

CREATE TABLE credit.line_of_credit (
    institution_id  integer NOT NULL,
    key             text NOT NULL CHECK (key <> '' AND octet_length(key) <= 200),
    month           date NOT NULL CHECK (extract(day FROM month) = 1),
    subject_id      bigint CHECK (subject_id > 0),
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '' CHECK (octet_length(segment) <= 200),
    product         text NOT NULL DEFAULT '' CHECK (octet_length(product) <= 200),
    credit_limit    numeric(18,2) NOT NULL CHECK (credit_limit <> 'NaN'),
    used            numeric(18,2) CHECK (used <> 'NaN'),
    private         boolean NOT NULL DEFAULT false,
    small_micro     boolean NOT NULL DEFAULT false,
    farmer          boolean NOT NULL DEFAULT false,
    innovation      boolean NOT NULL DEFAULT false,
    worker          boolean NOT NULL DEFAULT false,
    preapproved     boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (month);
CREATE TABLE credit.line_of_credit_other PARTITION OF credit.line_of_credit (PRIMARY KEY (institution_id, key, month)) DEFAULT;
COMMENT ON TABLE credit.line_of_credit IS 'credit lines held at the end of a month (授信)';
COMMENT ON COLUMN credit.line_of_credit.month IS 'first day of the month (月份)';
COMMENT ON COLUMN credit.line_of_credit.key IS 'the institution''s own number of it (业务编号)';
COMMENT ON TABLE credit.line_of_credit_other IS 'rows of months that have no partition of their own (其他月份)';

CREATE TABLE credit.guarantee (
    institution_id  integer NOT NULL,
    key             text NOT NULL CHECK (key <> '' AND octet_length(key) <= 200),
    month           date NOT NULL CHECK (extract(day FROM month) = 1),
    subject_id      bigint CHECK (subject_id > 0),
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '' CHECK (octet_length(segment) <= 200),
    product         text NOT NULL DEFAULT '' CHECK (octet_length(product) <= 200),
    balance         numeric(18,2) NOT NULL CHECK (balance <> 'NaN'),
    fee_rate        numeric(9,6) CHECK (fee_rate <> 'NaN'),
    government      boolean NOT NULL DEFAULT false,
    inclusive       boolean NOT NULL DEFAULT false,
    new_borrower    boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (month);
CREATE TABLE credit.guarantee_other PARTITION OF credit.guarantee (PRIMARY KEY (institution_id, key, month)) DEFAULT;
COMMENT ON TABLE credit.guarantee IS 'guarantees in force at the end of a month (担保业务)';
COMMENT ON COLUMN credit.guarantee.month IS 'first day of the month (月份)';
COMMENT ON COLUMN credit.guarantee.key IS 'the institution''s own number of it (业务编号)';
COMMENT ON TABLE credit.guarantee_other IS 'rows of months that have no partition of their own (其他月份)';

CREATE TABLE credit.insurance_policy (
    institution_id  integer NOT NULL,
    key             text NOT NULL CHECK (key <> '' AND octet_length(key) <= 200),
    month           date NOT NULL CHECK (extract(day FROM month) = 1),
    subject_id      bigint CHECK (subject_id > 0),
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '' CHECK (octet_length(segment) <= 200),
    product         text NOT NULL DEFAULT '' CHECK (octet_length(product) <= 200),
    insured_amount  numeric(18,2) NOT NULL CHECK (insured_amount <> 'NaN'),
    premium         numeric(18,2) CHECK (premium <> 'NaN'),
    kind            text NOT NULL CHECK (kind IN ('export_credit', 'environmental_liability', 'loan_guarantee', 'agriculture',
                                                  'other')),
    platform        boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (month);
CREATE TABLE credit.insurance_policy_other PARTITION OF credit.insurance_policy (PRIMARY KEY (institution_id, key, month)) DEFAULT;
COMMENT ON TABLE credit.insurance_policy IS 'insurance policies taken out (保险业务)';
COMMENT ON COLUMN credit.insurance_policy.month IS 'first day of the month (月份)';
COMMENT ON COLUMN credit.insurance_policy.key IS 'the institution''s own number of it (业务编号)';
COMMENT ON TABLE credit.insurance_policy_other IS 'rows of months that have no partition of their own (其他月份)';

CREATE TABLE credit.product_offer (
    institution_id  integer NOT NULL,
    key             text NOT NULL CHECK (key <> '' AND octet_length(key) <= 200),
    month           date NOT NULL CHECK (extract(day FROM month) = 1),
    subject_id      bigint CHECK (subject_id > 0),
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '' CHECK (octet_length(segment) <= 200),
    product         text NOT NULL DEFAULT '' CHECK (octet_length(product) <= 200),
    kind            text,
    supermarket     boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (month);
CREATE TABLE credit.product_offer_other PARTITION OF credit.product_offer (PRIMARY KEY (institution_id, key, month)) DEFAULT;
COMMENT ON TABLE credit.product_offer IS 'financing products on offer at the end of a month (金融产品)';
COMMENT ON COLUMN credit.product_offer.month IS 'first day of the month (月份)';
COMMENT ON COLUMN credit.product_offer.key IS 'the institution''s own number of it (业务编号)';
COMMENT ON TABLE credit.product_offer_other IS 'rows of months that have no partition of their own (其他月份)';

CREATE TABLE credit.financing_demand (
    institution_id  integer NOT NULL,
    key             text NOT NULL CHECK (key <> '' AND octet_length(key) <= 200),
    month           date NOT NULL CHECK (extract(day FROM month) = 1),
    subject_id      bigint CHECK (subject_id > 0),
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '' CHECK (octet_length(segment) <= 200),
    product         text NOT NULL DEFAULT '' CHECK (octet_length(product) <= 200),
    amount          numeric(18,2) NOT NULL CHECK (amount <> 'NaN'),
    matched_amount  numeric(18,2) CHECK (matched_amount <> 'NaN'),
    state           text NOT NULL CHECK (state IN ('open', 'matched', 'financed', 'withdrawn')),
    online          boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (month);
CREATE TABLE credit.financing_demand_other PARTITION OF credit.financing_demand (PRIMARY KEY (institution_id, key, month)) DEFAULT;
COMMENT ON TABLE credit.financing_demand IS 'demands for financing published in a month (融资需求)';
COMMENT ON COLUMN credit.financing_demand.month IS 'first day of the month (月份)';
COMMENT ON COLUMN credit.financing_demand.key IS 'the institution''s own number of it (业务编号)';
COMMENT ON TABLE credit.financing_demand_other IS 'rows of months that have no partition of their own (其他月份)';

CREATE TABLE credit.platform_registration (
    institution_id  integer NOT NULL,
    key             text NOT NULL CHECK (key <> '' AND octet_length(key) <= 200),
    month           date NOT NULL CHECK (extract(day FROM month) = 1),
    subject_id      bigint CHECK (subject_id > 0),
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '' CHECK (octet_length(segment) <= 200),
    product         text NOT NULL DEFAULT '' CHECK (octet_length(product) <= 200),
    enterprise      boolean NOT NULL DEFAULT false,
    real_name       boolean NOT NULL DEFAULT false,
    served          boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (month);
CREATE TABLE credit.platform_registration_other PARTITION OF credit.platform_registration (PRIMARY KEY (institution_id, key, month)) DEFAULT;
COMMENT ON TABLE credit.platform_registration IS 'enterprises registered on the platform at the end of a month (平台注册)';
COMMENT ON COLUMN credit.platform_registration.month IS 'first day of the month (月份)';
COMMENT ON COLUMN credit.platform_registration.key IS 'the institution''s own number of it (业务编号)';
COMMENT ON TABLE credit.platform_registration_other IS 'rows of months that have no partition of their own (其他月份)';

CREATE TABLE credit.park (
    institution_id  integer NOT NULL,
    key             text NOT NULL CHECK (key <> '' AND octet_length(key) <= 200),
    month           date NOT NULL CHECK (extract(day FROM month) = 1),
    subject_id      bigint CHECK (subject_id > 0),
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '' CHECK (octet_length(segment) <= 200),
    product         text NOT NULL DEFAULT '' CHECK (octet_length(product) <= 200),
    star            numeric(2,0) CHECK (star BETWEEN 0 AND 5),
    filed           boolean NOT NULL DEFAULT false,
    digital         boolean NOT NULL DEFAULT false,
    standard        boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (month);
CREATE TABLE credit.park_other PARTITION OF credit.park (PRIMARY KEY (institution_id, key, month)) DEFAULT;
COMMENT ON TABLE credit.park IS 'parks of small and micro enterprises at the end of a month (小微企业园)';
COMMENT ON COLUMN credit.park.month IS 'first day of the month (月份)';
COMMENT ON COLUMN credit.park.key IS 'the institution''s own number of it (业务编号)';
COMMENT ON TABLE credit.park_other IS 'rows of months that have no partition of their own (其他月份)';

CREATE TABLE credit.park_tenant (
    institution_id  integer NOT NULL,
    key             text NOT NULL CHECK (key <> '' AND octet_length(key) <= 200),
    month           date NOT NULL CHECK (extract(day FROM month) = 1),
    subject_id      bigint CHECK (subject_id > 0),
    region          credit.region_code NOT NULL,
    segment         text NOT NULL DEFAULT '' CHECK (octet_length(segment) <= 200),
    product         text NOT NULL DEFAULT '' CHECK (octet_length(product) <= 200),
    park            text NOT NULL,
    star            numeric(2,0) CHECK (star BETWEEN 0 AND 5),
    credited        boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (month);
CREATE TABLE credit.park_tenant_other PARTITION OF credit.park_tenant (PRIMARY KEY (institution_id, key, month)) DEFAULT;
COMMENT ON TABLE credit.park_tenant IS 'tenants of parks at the end of a month (入园企业)';
COMMENT ON COLUMN credit.park_tenant.month IS 'first day of the month (月份)';
COMMENT ON COLUMN credit.park_tenant.key IS 'the institution''s own number of it (业务编号)';
COMMENT ON TABLE credit.park_tenant_other IS 'rows of months that have no partition of their own (其他月份)';

COMMENT ON COLUMN credit.loan_balance.class IS 'five-class status; the last three are non-performing (五级分类)';
COMMENT ON COLUMN credit.loan_balance.renewal IS 'renewed without repayment of the principal (无还本续贷)';
COMMENT ON COLUMN credit.loan_balance.long_term IS 'runs for more than a year (中长期)';
COMMENT ON COLUMN credit.loan_issue.all_in_cost IS 'rate with all fees that the borrower bears (综合融资成本)';

CREATE TABLE credit.ledger (
    ledger          text PRIMARY KEY,
    nature          text NOT NULL CHECK (nature IN ('stock', 'flow'))
);
COMMENT ON TABLE credit.ledger IS 'the ledgers (业务台账)';
COMMENT ON COLUMN credit.ledger.nature IS 'stock: rows hold at the end of their month; flow: they happened in it';
INSERT INTO credit.ledger VALUES
    ('loan_balance', 'stock'),
    ('loan_issue', 'flow'),
    ('line_of_credit', 'stock'),
    ('guarantee', 'stock'),
    ('insurance_policy', 'flow'),
    ('product_offer', 'stock'),
    ('financing_demand', 'flow'),
    ('platform_registration', 'stock'),
    ('park', 'stock'),
    ('park_tenant', 'stock');

CREATE TABLE credit.ledger_correction (
    ledger          text NOT NULL,
    institution_id  integer NOT NULL,
    month           date NOT NULL,
    key             text NOT NULL,
    batch_id        bigint NOT NULL,
    operation       text NOT NULL CHECK (operation IN ('changed', 'removed')),
    given_before    jsonb NOT NULL
);
CREATE INDEX ON credit.ledger_correction (ledger, institution_id, month);
COMMENT ON TABLE credit.ledger_correction IS 'rows of ledgers as they were before a later delivery changed or removed them (台账更正)';
COMMENT ON COLUMN credit.ledger_correction.batch_id IS 'the delivery that corrected it';

-- partitions ------------------------------------------------------------------

CREATE FUNCTION credit._has_partition(ledger text, first date) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN to_regclass(format('credit.%I', format('%s_%s', ledger, to_char(first, 'YYYY_MM')))) IS NOT NULL
        OR EXISTS (SELECT FROM credit.ledger_partition p WHERE p.ledger = _has_partition.ledger AND NOT p.is_default
                      AND p.first_month <= first AND p.end_month > first);
END
$$;

-- Give a ledger a partition for a month, where none has it: returns whether it did. Rows of the month that are already in the
-- partition for others are moved; nobody writes to the ledger meanwhile. The lock comes before all that takes a weaker one:
-- two who make partitions at once, a user and the folder, wait for each other instead of ending in a deadlock.
CREATE FUNCTION credit._extend_ledger(ledger text, first date) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part text := format('%s_%s', ledger, to_char(first, 'YYYY_MM'));
BEGIN
    IF credit._has_partition(ledger, first) THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE credit.%I IN ACCESS EXCLUSIVE MODE', ledger);
    IF credit._has_partition(ledger, first) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE credit.%I (LIKE credit.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS, '
                   'PRIMARY KEY (institution_id, key, month))', part, ledger);
    EXECUTE format('WITH moved AS (DELETE FROM credit.%I WHERE month = %L RETURNING *) '
                   'INSERT INTO credit.%I SELECT * FROM moved', ledger || '_other', first, part);
    EXECUTE format('ALTER TABLE credit.%I ATTACH PARTITION credit.%I FOR VALUES FROM (%L) TO (%L)',
                   ledger, part, first, (first + interval '1 month')::date);
    RETURN true;
END
$$;

CREATE FUNCTION credit.extend_ledgers(from_day date, until_day date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    l text;
    first date;
    made integer := 0;
BEGIN
    IF from_day IS NULL OR until_day IS NULL OR NOT isfinite(from_day) OR NOT isfinite(until_day)
       OR until_day < from_day OR until_day - from_day > 3660 THEN
        RAISE EXCEPTION 'from % to % is no span of months to make partitions for', from_day, until_day
            USING ERRCODE = 'PC510', DETAIL = 'It has a beginning and an end at most ten years later.';
    END IF;
    FOR l IN SELECT g.ledger FROM credit.ledger g ORDER BY g.ledger LOOP
        FOR first IN SELECT generate_series(date_trunc('month', from_day::timestamp), until_day::timestamp, '1 month')::date LOOP
            made := made + credit._extend_ledger(l, first)::integer;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION credit.extend_ledgers(date, date) IS
    'give every ledger a partition for each month of the span; returns how many were made (台账分区)';

-- Make one of the partitions of this month and the two to come that is missing: returns whether it did. The folder calls it,
-- each time in a transaction of its own, so that no lock is held while another is waited for. What hinders it, a writer that
-- goes on for longer than the folder waits for a lock, hinders no folding.
CREATE FUNCTION credit._extend_ahead() RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    l text;
    first date;
BEGIN
    FOR l, first IN
        SELECT g.ledger, (date_trunc('month', now()) + k * interval '1 month')::date
          FROM credit.ledger g CROSS JOIN generate_series(0, 2) k ORDER BY 2, 1
    LOOP
        IF credit._extend_ledger(l, first) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
EXCEPTION WHEN OTHERS THEN
    RAISE LOG 'partition of ledger "%" for % was not made: %', l, first, sqlerrm;
    RETURN false;
END
$$;

-- delivering ------------------------------------------------------------------

-- Rows of a chunk as rows of the ledger: inserted, changed, or as they were. Raises for a row that cannot be.
CREATE FUNCTION credit._take_ledger(batch bigint, ledger text, institution integer, month date, given jsonb[],
                                    OUT inserted bigint, OUT updated bigint, OUT unchanged bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD' SET jit = off AS $$
DECLARE
    names text;
    sets text;
    known text[];
    stranger text;
BEGIN
    SELECT string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum),
           string_agg(format('%1$I = (m.row).%1$I', a.attname), ', ' ORDER BY a.attnum)
               FILTER (WHERE a.attname NOT IN ('institution_id', 'key', 'month')),
           array_agg(a.attname::text) FILTER (WHERE a.attname NOT IN ('institution_id', 'month'))
      INTO names, sets, known
      FROM pg_attribute a
     WHERE a.attrelid = format('credit.%I', ledger)::regclass AND a.attnum > 0 AND NOT a.attisdropped;
    SELECT k INTO stranger
      FROM unnest(given) g(row), jsonb_object_keys(g.row) k
     WHERE k <> ALL (known || '{uscc}'::text[]) LIMIT 1;
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION 'ledger "%" has no column "%"', ledger, left(stranger, 60) USING ERRCODE = 'PC301';
    END IF;
    EXECUTE format($q$
        WITH defaults AS (
            SELECT jsonb_object_agg(a.attname, CASE WHEN a.atttypid = 'boolean'::regtype THEN 'false'::jsonb ELSE '""'::jsonb END) AS d
              FROM pg_attribute a
             WHERE a.attrelid = %1$L::regclass AND a.atthasdef AND NOT a.attisdropped
        ), given AS MATERIALIZED (
            SELECT r.*
              FROM unnest($4) WITH ORDINALITY g(row, no), defaults,
                   jsonb_populate_record(NULL::%1$s, defaults.d || jsonb_strip_nulls(g.row) ||
                       jsonb_build_object('institution_id', $2, 'month', $3) ||
                       CASE WHEN g.row ? 'uscc' THEN jsonb_build_object('subject_id', credit._ledger_subject(g.row ->> 'uscc'))
                            ELSE '{}' END) r
             WHERE credit._ledger_row_fits(r.region, r.subject_id)
        ), met AS MATERIALIZED (
            SELECT g AS row, o AS old FROM given g
              LEFT JOIN %1$s o ON o.institution_id = $2 AND o.month = $3 AND o.key = g.key
        ), kept AS (
            INSERT INTO credit.ledger_correction (ledger, institution_id, month, key, batch_id, operation, given_before)
            SELECT $5, $2, $3, (m.old).key, $1, 'changed', to_jsonb(m.old)
              FROM met m WHERE (m.old).key IS NOT NULL AND m.row IS DISTINCT FROM m.old
        ), new AS (
            INSERT INTO %1$s (%2$s) SELECT (m.row).* FROM met m WHERE (m.old).key IS NULL
        ), changed AS (
            UPDATE %1$s l SET %3$s FROM met m
             WHERE l.institution_id = $2 AND l.month = $3 AND l.key = (m.old).key AND m.row IS DISTINCT FROM m.old
        )
        SELECT count(*) FILTER (WHERE (m.old).key IS NULL),
               count(*) FILTER (WHERE (m.old).key IS NOT NULL AND m.row IS DISTINCT FROM m.old),
               count(*) FILTER (WHERE m.row IS NOT DISTINCT FROM m.old)
          FROM met m $q$, format('credit.%I', ledger), names, sets)
       INTO inserted, updated, unchanged USING batch, institution, month, given, ledger;
END
$$;

CREATE FUNCTION credit._ledger_subject(code text) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint;
BEGIN
    SELECT s.subject_id INTO id FROM credit.subject s WHERE s.uscc OPERATOR(credit.=) _ledger_subject.code::credit.uscc;
    IF id IS NULL THEN
        RAISE EXCEPTION 'unknown subject' USING ERRCODE = 'PC301', DETAIL = 'Register it, then give the row again.';
    END IF;
    RETURN id;
END
$$;

CREATE FUNCTION credit._ledger_row_fits(place credit.region_code, subject bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF place IS NOT NULL AND NOT EXISTS (SELECT FROM credit.region r WHERE r.code OPERATOR(credit.=) place) THEN
        RAISE EXCEPTION 'region "%" does not exist', place USING ERRCODE = 'foreign_key_violation',
            HINT = 'Regions are the rows of credit.region; credit.load_regions adds more.';
    END IF;
    IF subject IS NOT NULL AND NOT EXISTS (SELECT FROM credit.subject s WHERE s.subject_id = subject) THEN
        RAISE EXCEPTION 'unknown subject' USING ERRCODE = 'PC301', DETAIL = 'Register it, then give the row again.';
    END IF;
    RETURN true;
END
$$;

-- Deliver rows of a ledger for a month. Lock order: the institution's row, so that two deliveries of one institution follow
-- each other, then rows of the ledger.
CREATE FUNCTION credit.deliver(ledger text, month date, rows jsonb, batch_key text DEFAULT NULL, complete boolean DEFAULT false)
    RETURNS credit.batch_summary
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    caller credit.institution;
    first date := date_trunc('month', month::timestamp)::date;
    batch bigint;
    chunk jsonb[];
    no bigint := 0;
    part record;
    got credit.batch_summary;
    keys text[] := '{}';
    gone bigint := 0;
    state text;
    message text;
    explanation text;
    seen jsonb := '{}';
BEGIN
    IF NOT EXISTS (SELECT FROM credit.ledger l WHERE l.ledger = deliver.ledger) THEN
        RAISE EXCEPTION 'ledger "%" does not exist', ledger USING ERRCODE = 'undefined_object',
            HINT = 'Ledgers are the rows of credit.ledger.';
    END IF;
    IF first IS NULL OR NOT isfinite(month) OR first > date_trunc('month', now()) THEN
        RAISE EXCEPTION 'month % cannot be reported', month USING ERRCODE = 'PC510',
            DETAIL = 'It is given by any of its days and does not lie in the future.';
    END IF;
    IF jsonb_typeof(rows) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'rows are not an array'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a jsonb array of objects, one for each row.';
    END IF;
    IF octet_length(batch_key) > 500 THEN
        RAISE EXCEPTION 'batch key is too long' USING ERRCODE = 'string_data_right_truncation', DETAIL = 'It has at most 500 bytes.';
    END IF;
    SELECT * INTO caller FROM credit.institution i WHERE i.db_role = credit.calling_role() FOR NO KEY UPDATE;
    IF caller.institution_id IS NULL THEN
        RAISE EXCEPTION 'role "%" is no institution', credit.calling_role()
            USING ERRCODE = 'PC101', HINT = 'An operator enters it with credit.register_institution.';
    END IF;
    IF caller.status = 'suspended' THEN
        RAISE EXCEPTION 'institution "%" is suspended', caller.code USING ERRCODE = 'PC102';
    END IF;
    INSERT INTO credit.batch AS b (content, ledger, provider_id, delivered_by, batch_key)
    VALUES ('ledger', deliver.ledger, caller.institution_id, credit.calling_role()::text, credit._mask_text(batch_key))
    RETURNING b.batch_id INTO batch;
    got := ROW(batch, 0, 0, 0, 0, 0)::credit.batch_summary;
    FOR chunk IN
        SELECT array_agg(e.value ORDER BY e.ordinality)
          FROM jsonb_array_elements(rows) WITH ORDINALITY e
         GROUP BY (e.ordinality - 1) / 5000 ORDER BY (e.ordinality - 1) / 5000
    LOOP
        BEGIN
            -- a key that is given twice has the rows taken one by one
            part := credit._take_ledger(batch, ledger, caller.institution_id, first, chunk);
            IF EXISTS (SELECT FROM unnest(chunk) c(row) WHERE c.row ->> 'key' = ANY (keys))
               OR (SELECT count(DISTINCT c.row ->> 'key') FROM unnest(chunk) c(row)) < cardinality(chunk) THEN
                RAISE EXCEPTION 'a key is given twice' USING ERRCODE = 'unique_violation';
            END IF;
            got.inserted := got.inserted + part.inserted;
            got.updated := got.updated + part.updated;
            got.unchanged := got.unchanged + part.unchanged;
            keys := keys || ARRAY(SELECT c.row ->> 'key' FROM unnest(chunk) c(row));
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR SQLSTATE 'PC301' THEN
            FOR i IN 1 .. cardinality(chunk) LOOP
                BEGIN
                    IF jsonb_typeof(chunk[i]) IS DISTINCT FROM 'object' THEN
                        RAISE EXCEPTION 'row is no object' USING ERRCODE = 'PC301';
                    END IF;
                    IF seen ? (chunk[i] ->> 'key') OR chunk[i] ->> 'key' = ANY (keys) THEN
                        RAISE EXCEPTION 'row has the key of an earlier row of the batch'
                            USING ERRCODE = 'unique_violation', DETAIL = 'The earlier row was taken.';
                    END IF;
                    part := credit._take_ledger(batch, ledger, caller.institution_id, first, chunk[i:i]);
                    got.inserted := got.inserted + part.inserted;
                    got.updated := got.updated + part.updated;
                    got.unchanged := got.unchanged + part.unchanged;
                    seen := seen || jsonb_build_object(chunk[i] ->> 'key', true);
                EXCEPTION WHEN data_exception OR integrity_constraint_violation OR SQLSTATE 'PC301' THEN
                    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, explanation = PG_EXCEPTION_DETAIL;
                    PERFORM credit._refuse(batch, no + i, chunk[i], state, message, NULLIF(explanation, ''));
                    got.refused := got.refused + 1;
                END;
            END LOOP;
        END;
        no := no + cardinality(chunk);
    END LOOP;
    got.received := no;
    -- What a complete report of the month no longer has is taken away. A refused row may be one that is there: it stays.
    IF complete THEN
        EXECUTE format($q$
            WITH removed AS (
                DELETE FROM credit.%I l
                 WHERE l.institution_id = $1 AND l.month = $2
                   AND NOT EXISTS (SELECT FROM jsonb_array_elements($3) e WHERE e ->> 'key' = l.key)
                RETURNING l.key, to_jsonb(l) AS row
            )
            INSERT INTO credit.ledger_correction (ledger, institution_id, month, key, batch_id, operation, given_before)
            SELECT $4, $1, $2, r.key, $5, 'removed', r.row FROM removed r $q$, ledger)
        USING caller.institution_id, first, rows, ledger, batch;
    END IF;
    UPDATE credit.batch t
       SET received = got.received, inserted = got.inserted, updated = got.updated, unchanged = got.unchanged,
           refused = got.refused, newest_dated = first, finished_at = clock_timestamp()
     WHERE t.batch_id = batch;
    RETURN got;
END
$$;
COMMENT ON FUNCTION credit.deliver(text, date, jsonb, text, boolean) IS
    'deliver rows of a ledger for a month; again for a past month corrects it; complete: what is not given is removed (台账报送)';

REVOKE ALL ON credit.loan_balance, credit.loan_issue, credit.line_of_credit, credit.guarantee,
    credit.insurance_policy, credit.product_offer, credit.financing_demand, credit.platform_registration,
    credit.park, credit.park_tenant, credit.loan_balance_other, credit.loan_issue_other, credit.line_of_credit_other,
    credit.guarantee_other, credit.insurance_policy_other, credit.product_offer_other,
    credit.financing_demand_other, credit.platform_registration_other, credit.park_other, credit.park_tenant_other,
    credit.ledger, credit.ledger_correction FROM PUBLIC;
GRANT SELECT ON credit.ledger TO credit_operator, credit_provider, credit_institution, credit_analyst;
REVOKE ALL ON FUNCTION credit.extend_ledgers(date, date), credit._has_partition(text, date), credit._extend_ledger(text, date), credit._extend_ahead(), credit._take_ledger(bigint, text, integer, date, jsonb[]),
    credit._ledger_subject(text), credit._ledger_row_fits(credit.region_code, bigint),
    credit.deliver(text, date, jsonb, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.extend_ledgers(date, date) TO credit_operator;
GRANT EXECUTE ON FUNCTION credit.deliver(text, date, jsonb, text, boolean) TO credit_provider, credit_institution;

SELECT pg_catalog.pg_extension_config_dump('credit.loan_balance', '');
SELECT pg_catalog.pg_extension_config_dump('credit.loan_balance_other', '');
SELECT pg_catalog.pg_extension_config_dump('credit.loan_issue', '');
SELECT pg_catalog.pg_extension_config_dump('credit.loan_issue_other', '');
SELECT pg_catalog.pg_extension_config_dump('credit.line_of_credit', '');
SELECT pg_catalog.pg_extension_config_dump('credit.line_of_credit_other', '');
SELECT pg_catalog.pg_extension_config_dump('credit.guarantee', '');
SELECT pg_catalog.pg_extension_config_dump('credit.guarantee_other', '');
SELECT pg_catalog.pg_extension_config_dump('credit.insurance_policy', '');
SELECT pg_catalog.pg_extension_config_dump('credit.insurance_policy_other', '');
SELECT pg_catalog.pg_extension_config_dump('credit.product_offer', '');
SELECT pg_catalog.pg_extension_config_dump('credit.product_offer_other', '');
SELECT pg_catalog.pg_extension_config_dump('credit.financing_demand', '');
SELECT pg_catalog.pg_extension_config_dump('credit.financing_demand_other', '');
SELECT pg_catalog.pg_extension_config_dump('credit.platform_registration', '');
SELECT pg_catalog.pg_extension_config_dump('credit.platform_registration_other', '');
SELECT pg_catalog.pg_extension_config_dump('credit.park', '');
SELECT pg_catalog.pg_extension_config_dump('credit.park_other', '');
SELECT pg_catalog.pg_extension_config_dump('credit.park_tenant', '');
SELECT pg_catalog.pg_extension_config_dump('credit.park_tenant_other', '');
SELECT pg_catalog.pg_extension_config_dump('credit.ledger_correction', '');
