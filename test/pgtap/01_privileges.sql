-- Who may do what, for every object of the extension: the whole matrix as data.  What is not written here is a right
-- that nobody has; an object that is not written here fails the test, so that who adds one decides.
--
-- Seven marks stand for, in this order, PUBLIC, credit_operator, credit_portal, credit_provider, credit_institution,
-- credit_analyst, credit_auditor; a dot is no right.  An eighth mark stands for credit_self; where there is none it has what
-- PUBLIC has, which for nearly everything is nothing.  Functions, types: X, may use it.  Tables, views, sequences:
-- r, SELECT on the whole; c, on the columns listed further down; there is no other right but the owner's.
BEGIN;
SELECT plan(17);

CREATE TEMP TABLE caller (place integer PRIMARY KEY, role text NOT NULL);
INSERT INTO caller VALUES (1, 'public'), (2, 'credit_operator'), (3, 'credit_portal'), (4, 'credit_provider'),
                          (5, 'credit_institution'), (6, 'credit_analyst'), (7, 'credit_auditor'), (8, 'credit_self');
CREATE TEMP TABLE expected (object text PRIMARY KEY, marks text NOT NULL CHECK (length(marks) IN (7, 8)));
CREATE TEMP VIEW member AS
    SELECT d.classid, d.objid
      FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE d.deptype = 'e' AND e.extname = 'pgcredit'
       -- from 17 on the row types of tables and the arrays of types are members too; they have their table's and type's rights
       AND NOT (d.classid = 'pg_type'::regclass AND EXISTS (
                SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
                 WHERE t.oid = d.objid AND (c.relkind <> 'c' OR EXISTS (SELECT FROM pg_type el WHERE el.typarray = t.oid))));

-- ------------------------------------------------------------------ functions, procedures, aggregates

-- Everybody: what serves a type or an operator, and arithmetic on the arguments alone.
INSERT INTO expected SELECT trim(l), 'XXXXXXX' FROM string_to_table($$
    credit.annual_rate(numeric,numeric,integer)
    credit.base_of_growth(numeric,numeric)
    credit.birth_date(credit.resident_id)
    credit.compare_annual_rate(numeric,numeric,integer,numeric)
    credit.is_natural_person(credit.uscc)
    credit.is_pilot_uscc(text)
    credit.is_valid_region_code(text)
    credit.is_valid_resident_id(text)
    credit.is_valid_uscc(text)
    credit.organization_code(credit.uscc)
    credit.region_of(credit.resident_id)
    credit.region_of(credit.uscc)
    credit.region_level(credit.region_code)
    credit.region_parent(credit.region_code)
    credit._region_above(credit.region_code,credit.region_code,boolean,credit.region_code)
    credit.resident_id_check_character(text)
    credit.sex(credit.resident_id)
    credit.text(credit.uscc)
    credit.uscc(text)
    credit.uscc_check_character(text)
    credit._power(numeric,integer)
    credit._region_code_cmp(credit.region_code,credit.region_code)
    credit._region_code_eq(credit.region_code,credit.region_code)
    credit._region_code_ge(credit.region_code,credit.region_code)
    credit._region_code_gt(credit.region_code,credit.region_code)
    credit._region_code_hash(credit.region_code)
    credit._region_code_hash_extended(credit.region_code,bigint)
    credit._region_code_in(cstring)
    credit._region_code_le(credit.region_code,credit.region_code)
    credit._region_code_lt(credit.region_code,credit.region_code)
    credit._region_code_ne(credit.region_code,credit.region_code)
    credit._region_code_out(credit.region_code)
    credit._region_code_recv(internal)
    credit._region_code_send(credit.region_code)
    credit._resident_id_analyze(internal)
    credit._resident_id_cmp(credit.resident_id,credit.resident_id)
    credit._resident_id_eq(credit.resident_id,credit.resident_id)
    credit._resident_id_ge(credit.resident_id,credit.resident_id)
    credit._resident_id_gt(credit.resident_id,credit.resident_id)
    credit._resident_id_hash(credit.resident_id)
    credit._resident_id_hash_extended(credit.resident_id,bigint)
    credit._resident_id_in(cstring)
    credit._resident_id_le(credit.resident_id,credit.resident_id)
    credit._resident_id_lt(credit.resident_id,credit.resident_id)
    credit._resident_id_ne(credit.resident_id,credit.resident_id)
    credit._resident_id_out(credit.resident_id)
    credit._resident_id_recv(internal)
    credit._resident_id_send(credit.resident_id)
    credit._uscc_cmp(credit.uscc,credit.uscc)
    credit._uscc_eq(credit.uscc,credit.uscc)
    credit._uscc_ge(credit.uscc,credit.uscc)
    credit._uscc_gt(credit.uscc,credit.uscc)
    credit._uscc_hash(credit.uscc)
    credit._uscc_hash_extended(credit.uscc,bigint)
    credit._uscc_in(cstring)
    credit._uscc_le(credit.uscc,credit.uscc)
    credit._uscc_lt(credit.uscc,credit.uscc)
    credit._uscc_ne(credit.uscc,credit.uscc)
    credit._uscc_out(credit.uscc)
    credit._uscc_recv(internal)
    credit._uscc_send(credit.uscc)
    credit._uscc_sortsupport(internal)
$$, E'\n') l WHERE trim(l) <> '';
-- Every role of the platform.
INSERT INTO expected SELECT trim(l), '.XXXXXX' FROM string_to_table($$
    credit.calling_role()
    credit.platform_key()
    credit.verify_receipt(jsonb)
    credit.version()
$$, E'\n') l WHERE trim(l) <> '';
-- Institutions: ask for consent, open access, read, and the guard that the policy asks as them.
INSERT INTO expected SELECT trim(l), '....X..' FROM string_to_table($$
    credit.guard(bigint,smallint,date)
    credit.my_requests()
    credit._covered(smallint)
    credit._field_boolean(jsonb,text,text[])
    credit._field_code(jsonb,text,text[])
    credit._field_date(jsonb,text,text[])
    credit._field_integer(jsonb,text,text[])
    credit._field_numeric(jsonb,text,text[])
    credit._field_text(jsonb,text,text[])
    credit._guard_masked(bigint,smallint,date)
    credit.open_access(bigint,text,text[])
    credit.open_access(bigint[],text,text[])
    credit.read(bigint,text,text[])
    credit.read(bigint[],text,text[])
    credit.request_consent(bigint,text[],text[],timestamp with time zone,timestamp with time zone,text,integer,text,integer,date,date,interval,text,text,text,interval)
    credit.withdraw_request(bigint)
$$, E'\n') l WHERE trim(l) <> '';
-- Portal: what a subject does with its consents and keys, and what comes to the counter.
INSERT INTO expected SELECT trim(l), '..X....' FROM string_to_table($$
    credit.confirm_key(bigint,bigint)
    credit.confirm_paper_consent(bigint,bigint,bytea,boolean)
    credit.consent_receipt(bigint,bigint)
    credit.consent_requests(bigint)
    credit.consent_statement(bigint,text,text[],text[],timestamp with time zone,timestamp with time zone,text,integer,text,integer,date,date,interval,text,text)
    credit.consents(bigint)
    credit.decide_consent(bigint,bigint,boolean,bigint,text,bytea)
    credit.enroll_key(bigint,bytea,text,bytea,bigint,bytea)
    credit.enter_paper_consent(bigint,text,bytea,text[],text[],timestamp with time zone,timestamp with time zone,text,integer,text,integer,date,date,interval,text,text)
    credit.grant_consent(bigint,text,text[],text[],timestamp with time zone,timestamp with time zone,text,integer,text,integer,date,date,interval,text,text,bigint,text,bytea)
    credit.key_statement(bigint,bytea)
    credit.pause_consent(bigint,bigint)
    credit.renewal_statement(bigint,bigint,timestamp with time zone,timestamp with time zone)
    credit.renew_consent(bigint,bigint,timestamp with time zone,timestamp with time zone,bigint,text,bytea)
    credit.request_statement(bigint,bigint)
    credit.resume_consent(bigint,bigint)
    credit.revoke_consent(bigint,bigint)
    credit.revoke_key(bigint,bigint,text,timestamp with time zone)
    credit.subject_keys(bigint)
$$, E'\n') l WHERE trim(l) <> '';
-- Providers: deliver records.
INSERT INTO expected SELECT trim(l), '...X...' FROM string_to_table($$
    credit.ingest(text,jsonb,text)
    credit.ingest(text,regclass,text)
$$, E'\n') l WHERE trim(l) <> '';
-- What operators and providers deliver, own or correct; the steps of a delivery run as the caller, who reads the staging table.
INSERT INTO expected SELECT trim(l), '.X.X...' FROM string_to_table($$
    credit.ingest_subjects(jsonb,text)
    credit.ingest_subjects(regclass,text)
    credit.refused_rows(bigint)
    credit.set_record_status(bigint,bigint,text,text)
    credit._batch_close(bigint)
    credit._batch_open(text,text,text)
    credit._batch_take(bigint,jsonb[])
    credit._deliver(text,text,jsonb,text)
    credit._deliver(text,text,regclass,text)
$$, E'\n') l WHERE trim(l) <> '';
-- Whoever enters subjects by their identifiers.
INSERT INTO expected SELECT trim(l), '.XXX...' FROM string_to_table($$
    credit.register_subject(text,credit.uscc,credit.resident_id,text,credit.region_code,text,date)
    credit.subject_id(credit.resident_id)
$$, E'\n') l WHERE trim(l) <> '';
-- Whoever needs a subject's number by its public code, or to know who he is.
INSERT INTO expected SELECT trim(l), '.XXXX..' FROM string_to_table($$
    credit.calling_institution()
    credit.subject_id(credit.uscc)
    credit.subject_id(text)
$$, E'\n') l WHERE trim(l) <> '';
-- Scoring of rows that the caller has; _score_columns is what the planner makes of score.
INSERT INTO expected SELECT trim(l), '.X..XX.' FROM string_to_table($$
    credit.explain(text,record)
    credit.grade_row(text,record)
    credit.grade(text,double precision)
    credit.score(text,record)
    credit._score_columns(text,text[],"any")
$$, E'\n') l WHERE trim(l) <> '';
-- Models as data, statistics of rows that the caller has.
INSERT INTO expected SELECT trim(l), '.X..XXX' FROM string_to_table($$
    credit.auc(double precision,boolean)
    credit.gini(double precision,boolean)
    credit.ks(double precision,boolean)
    credit.model_definition(text,integer)
    credit.model_conventions(text)
    credit.model_pmml(text,integer)
    credit.psi(double precision[],double precision[],text)
    credit.psi(integer,boolean)
    credit.psi(integer,boolean,text)
    credit.psi(text,boolean)
    credit.psi(text,boolean,text)
$$, E'\n') l WHERE trim(l) <> '';
-- Deliveries of ledgers.
INSERT INTO expected VALUES ('credit.deliver(text,date,jsonb,text,boolean)', '...XX..');
-- Development of scorecards runs as the caller, who must be able to call its steps; _keep_fit stores a draft, which others publish.
INSERT INTO expected SELECT trim(l), '.X...X.' FROM string_to_table($$
    credit.check_fit(bigint)
    credit.fit_logistic(regclass,name,text[],name,integer)
    credit.fit_scorecard(text,regclass,name,text[],jsonb)
    credit.fit_terms(jsonb)
    credit.iv(regclass,name,name,jsonb)
    credit.woe_bins(regclass,name,name,jsonb)
    credit._fit(regclass,name,name,text[],text[],integer)
    credit._fit_coefficients(double precision[],double precision[])
    credit._fit_options(jsonb,text[])
    credit._bin_conventions(jsonb)
    credit._round(numeric,integer,text)
    credit._fit_step(double precision[],double precision[])
    credit._fit_sums(boolean,double precision,double precision[],double precision[])
    credit._bin_counts(double precision,boolean,integer,double precision[],boolean)
    credit._bound(double precision,double precision,boolean)
    credit._fit_card(regclass,name,text[],jsonb)
    credit._keep_fit(text,text,text,text[],jsonb,jsonb,jsonb,jsonb,jsonb)
    credit._monotone(double precision[],double precision[],double precision,text)
    credit._woe(double precision[],double precision[],jsonb)
    credit._woe_at(double precision,double precision[],boolean,double precision[])
    credit._woe_expression(jsonb,text,boolean)
    credit.iv_of(integer,boolean)
    credit.iv_of(integer,boolean,jsonb)
    credit.iv_of(text,boolean)
    credit.iv_of(text,boolean,jsonb)
    credit.woe_of(integer,boolean)
    credit.woe_of(integer,boolean,jsonb)
    credit.woe_of(text,boolean)
    credit.woe_of(text,boolean,jsonb)
$$, E'\n') l WHERE trim(l) <> '';
-- Validation of rows that the caller has.
INSERT INTO expected SELECT trim(l), '.X..XXX' FROM string_to_table($$
    credit.auc_interval(double precision,boolean)
    credit.auc_bootstrap(double precision,boolean,bigint)
    credit.auc_bootstrap(double precision,boolean,bigint,jsonb)
    credit.gini_bootstrap(double precision,boolean,bigint)
    credit.gini_bootstrap(double precision,boolean,bigint,jsonb)
    credit.ks_bootstrap(double precision,boolean,bigint)
    credit.ks_bootstrap(double precision,boolean,bigint,jsonb)
    credit.psi_bootstrap(text,boolean,bigint)
    credit.psi_bootstrap(text,boolean,bigint,jsonb)
    credit.psi_bootstrap(double precision,boolean,bigint)
    credit.psi_bootstrap(double precision,boolean,bigint,jsonb)
    credit.brier(double precision,boolean)
    credit.calibration(regclass,name,name,integer)
    credit.csi(text,boolean)
    credit.csi(text,boolean,text)
    credit.model_psi(text,regclass,name,name)
    credit.gains(regclass,name,name,integer)
    credit.hosmer_lemeshow(regclass,name,name,integer)
    credit._chi_square_tail(double precision,integer)
$$, E'\n') l WHERE trim(l) <> '';
INSERT INTO expected SELECT trim(l), '.......' FROM string_to_table($$
    credit._auc_bootstrap_final(internal)
    credit._auc_interval_final(internal)
    credit._bin_counts_final(internal)
    credit._bin_counts_transition(internal,double precision,boolean,integer,double precision[],boolean)
    credit._bootstrap_transition(internal,double precision,boolean,bigint)
    credit._bootstrap_transition(internal,double precision,boolean,bigint,jsonb)
    credit._brier_final(internal)
    credit._fit_definition(text,jsonb,jsonb,jsonb,jsonb)
    credit._gini_bootstrap_final(internal)
    credit._iv_final(internal)
    credit._ks_bootstrap_final(internal)
    credit._psi_bootstrap_final(internal)
    credit._psi_bootstrap_transition(internal,text,boolean,bigint)
    credit._psi_bootstrap_transition(internal,text,boolean,bigint,jsonb)
    credit._psi_bootstrap_transition(internal,double precision,boolean,bigint)
    credit._psi_bootstrap_transition(internal,double precision,boolean,bigint,jsonb)
    credit._woe_final(internal)
    credit._woe_transition(internal,integer,boolean)
    credit._woe_transition(internal,integer,boolean,jsonb)
    credit._woe_transition(internal,text,boolean)
    credit._woe_transition(internal,text,boolean,jsonb)
    credit._fit_combine(internal,internal)
    credit._fit_deserialize(bytea,internal)
    credit._fit_final(internal)
    credit._fit_serialize(internal)
    credit._fit_transition(internal,boolean,double precision,double precision[],double precision[])
$$, E'\n') l WHERE trim(l) <> '';
-- Monitoring is about ratings, whose operator runs it; its steps run as the caller.
INSERT INTO expected SELECT trim(l), '.X.....' FROM string_to_table($$
    credit.keep_monitor(text,date,date,date,date,regclass,jsonb)
    credit.monitor(text,date,date,date,date,regclass,jsonb)
    credit._keep_monitor(bigint,date,date,date,date,text,jsonb,jsonb)
    credit._monitor_attributes(bigint,jsonb,date,date,date,date)
    credit._monitor_versions(bigint,jsonb,boolean)
    credit._monitor_empty_bin(bigint,jsonb)
    credit._monitor_cases(bigint,date,date,date,date,regclass,jsonb)
    credit._monitor_check(text,regclass,jsonb)
    credit._monitor_light(jsonb,text,double precision)
    credit._monitor_performance(bigint,credit._monitor_case[],jsonb)
    credit._monitor_population(bigint,credit._monitor_case[],jsonb)
    credit._monitor_ratings(bigint[],date,date)
    credit._wilson(double precision,double precision)
$$, E'\n') l WHERE trim(l) <> '';
-- Targets and statistics: aggregates.
INSERT INTO expected SELECT trim(l), '.X...X.' FROM string_to_table($$
    credit.bulletin_changes(bigint)
    credit.bulletin_csv(text,text,text,credit.region_code,integer)
    credit.bulletin_page(text,text,text,credit.region_code,integer)
    credit.check_measures(text)
    credit.check_pack(jsonb)
    credit.diff_pack(jsonb,jsonb)
    credit.diff_pack(text,text)
    credit.minimum_cell()
    credit.pack_definition(text)
    credit.seasonal_path(text,text,credit.region_code,integer)
    credit.suppress_cells(integer[],integer[],integer[],bigint[],bigint)
    credit.measure(text,credit.region_code,date,text,text,text,date,integer)
    credit.regions_within(credit.region_code)
    credit.target_status(text,date,credit.region_code)
    credit.target_drivers(text,text,date,credit.region_code,text)
    credit.figures_due(date)
    credit._conflicts()
    credit._stat_access()
    credit._stat_consent()
    credit._stat_record()
    credit._stat_subject()
    credit.target_what_if(text,jsonb,date,credit.region_code)
    credit.verify_bulletin(bigint)
$$, E'\n') l WHERE trim(l) <> '';
-- The log and its proofs: what they are of is not in them.
INSERT INTO expected SELECT trim(l), '......X' FROM string_to_table($$
    credit.consistency_proof(bigint,bigint)
    credit.entry_bundle(bigint,integer)
    credit.inclusion_proof(bigint,bigint)
    credit.leaf_hash(text)
    credit.log_root(bigint)
    credit.log_size()
    credit.tile(integer,bigint,integer)
    credit.verify_log(bigint,bigint,boolean)
    credit._verify_progress()
$$, E'\n') l WHERE trim(l) <> '';
-- Checkpoints: for whoever takes them out.
INSERT INTO expected SELECT trim(l), '.X....X' FROM string_to_table($$
    credit.add_cosignature(text,bigint)
    credit.check_checkpoint(text)
    credit.checkpoint()
    credit.witness_request(bigint)
    credit._witness_quorum()
$$, E'\n') l WHERE trim(l) <> '';
-- A subject is given its proof by the portal; the log's key is public.
INSERT INTO expected VALUES ('credit.tlog_proof(bigint,bytea)', '.XX...X'), ('credit.log_vkey()', '.XXXXXX');
-- Is a consent what was signed: yes or no, and why; not the consent.
INSERT INTO expected VALUES ('credit.verify_consent(bigint,bigint)', '..X...X');
-- Which key is in use, not the key; what is set up wrong.
INSERT INTO expected SELECT trim(l), '.X....X' FROM string_to_table($$
    credit.key_id()
    credit.security_check()
$$, E'\n') l WHERE trim(l) <> '';
-- How the log is doing: what its views ask; they are the server's monitor's as well, see below.
INSERT INTO expected SELECT trim(l), '.X....X' FROM string_to_table($$
    credit._stat_audit()
    credit._stat_audit_refusals()
$$, E'\n') l WHERE trim(l) <> '';
-- Analysts: what leaves the platform.
INSERT INTO expected VALUES ('credit.release(text,date,text,credit.region_code)', '.....X.');
-- Operators: what changes the platform.
INSERT INTO expected SELECT trim(l), '.X.....' FROM string_to_table($$
    credit.add_witness(text)
    credit.adopt_pack(text,credit.region_code,date,text)
    credit.bulletin(text,text,text,credit.region_code,text)
    credit.remove_witness(text)
    credit.set_log_origin(text,boolean)
    credit.assign_category(text,text,interval)
    credit.category_schema(text,boolean)
    credit.create_model(jsonb)
    credit.create_pack(jsonb)
    credit.define_category(text,text,text,text,text[],jsonb,text)
    credit.define_source(text,text,text,jsonb,text,text,text,integer,text)
    credit.discard_model(text,integer)
    credit.drop_pack(text)
    credit.extend_ledgers(date,date)
    credit.fold_measures()
    credit.load_regions(jsonb,text)
    credit.load_regions(regclass,text)
    credit.observe(jsonb)
    credit.observe(text,credit.region_code,date,date,numeric,text,text)
    credit.observe(text,credit.region_code,date,numeric,text,text)
    credit.observe_reported(text)
    credit.publish_model(text,integer)
    credit.rate(text,bigint,record)
    credit.rebuild_category_views(boolean)
    credit.rebuild_measures()
    credit.register_institution(text,text,text,text,regrole,credit.uscc,credit.region_code)
    credit.remove_consent_template(text,text)
    credit.replay(bigint)
    credit.replay(bigint,bigint)
    credit.resident_digest(credit.resident_id)
    credit.retire_model(text,integer)
    credit.retract_observation(text,credit.region_code,date,date,text,text)
    credit.seal_resident_id(credit.resident_id)
    credit.set_category_kinds(text,text[])
    credit.set_category_level(text,integer)
    credit.set_category_public(text,boolean,text)
    credit.set_category_schema(text,jsonb)
    credit.set_consent_policy(boolean)
    credit.set_consent_template(text,text,interval,interval,interval,text[],integer,integer,integer,integer,integer)
    credit.set_institution_clearance(text,integer)
    credit.set_institution_status(text,text)
    credit.set_minimum_cell(integer)
    credit.set_disclosure(integer,integer,numeric,numeric)
    credit.set_path(text,text,jsonb,text)
    credit.set_precedence(text,text,text)
    credit.remind_figures(date)
    credit.target_lineage(text,text,date,credit.region_code,integer)
    credit.set_subject_attribute(bigint,text,date,date,text)
    credit.set_target(text,text,jsonb,text)
    credit.stat_audit_reset()
    credit.unassign_category(text,text)
    credit.unseal_resident_id(bytea)
$$, E'\n') l WHERE trim(l) <> '';
-- Nobody but the owner: steps of other functions, triggers, what aggregates are made of, random bytes.
INSERT INTO expected SELECT trim(l), '.......' FROM string_to_table($$
    credit._beyond_template(bigint,bigint,text)
    credit._bulletin_digest(credit.bulletin,jsonb)
    credit._bulletin_figures(text,credit.region_code,date)
    credit._bulletin_html(bigint,boolean)
    credit._bulletin_region(text,text,credit.region_code)
    credit._bulletin_regions(text,credit.region_code,date)
    credit._changes_html(credit.bulletin,boolean)
    credit._check_language(text)
    credit._counts(bigint,text)
    credit._csv_text(text)
    credit._day_text(date,boolean)
    credit._either(boolean,text,text)
    credit._escaped(text)
    credit._find_bulletin(text,text,credit.region_code,integer)
    credit._freeze_bulletin(text,text,credit.region_code,text)
    credit._guard_support(internal)
    credit._keys_html(boolean)
    credit._lacking_html(bigint,text,boolean)
    credit._lacking_metrics(credit.target,credit.region_code,date)
    credit._mark(text)
    credit._number(numeric,text,numeric,boolean,boolean)
    credit._pack_paths(jsonb)
    credit._page_style(boolean)
    credit._path_at(credit.target,date,date,numeric,date)
    credit._pattern(text)
    credit._progress(credit.bulletin_figure,boolean)
    credit._projection(jsonb,date,boolean)
    credit._quarter_end(text)
    credit._quarter_name(date)
    credit._quarter_text(text,boolean)
    credit._quarters_html(bigint,text,boolean)
    credit._reason(credit.bulletin_figure,boolean,text,text)
    credit._region_name(credit.region_code)
    credit._regions_html(bigint,text,boolean)
    credit._row_html(credit.bulletin_figure,boolean,boolean)
    credit._scale(text,numeric,boolean)
    credit._seasonal_shares(credit.target,credit.region_code,date,integer)
    credit._shares(jsonb,integer,boolean)
    credit._size_of(credit.bulletin_figure)
    credit._status_word(text,boolean)
    credit._stored_figures(bigint)
    credit._tag(text,boolean)
    credit._target_problems(credit.target,date,jsonb)
    credit._trend_line(credit.bulletin_figure,boolean)
    credit._units_html(bigint,text,boolean)
    credit.audit_write()
    credit.random_bytes(integer)
    credit._auc_final(internal)
    credit._audit_note(jsonb)
    credit._audit_table(regclass)
    credit._cosignatures(text,text[])
    credit._log_vkey(text)
    credit._note_text(text)
    credit._own_note(text,text)
    credit._published(bigint)
    credit._restore_rows()
    credit._sign_checkpoint()
    credit._vkey_name(text,boolean)
    credit._base_kind(text,credit.uscc,boolean)
    credit._base_period(daterange,text,date)
    credit._canonical_json(jsonb)
    credit._categories_changed()
    credit._category(text)
    credit._category_columns(jsonb)
    credit._category_query(smallint,jsonb)
    credit._category_view_name(smallint,text)
    credit._check_base_kinds(text[])
    credit._check_definitions()
    credit._check_rights()
    credit._check_roles()
    credit._check_server()
    credit._check_strangers()
    credit._check_definition(jsonb,boolean)
    credit._check_figure(text,credit.region_code,daterange,numeric,text,text)
    credit._check_signature(credit.consent,bigint,text,bytea)
    credit._check_source()
    credit._check_template(credit.consent)
    credit._close_request(bigint,text,text,bigint)
    credit._code_digest()
    credit._code_expected()
    credit._compares(numeric,text)
    credit._count_sources()
    credit._forget_sources(regclass)
    credit._ledger_altered()
    credit._ledger_dropped()
    credit._ledger_row_fits(credit.region_code,bigint)
    credit._ledger_subject(text)
    credit._measure(text,credit.region_code,date,date,integer,text,text,integer,integer)
    credit._measure_within(credit.metric_source,date,date,credit.region_code,integer,text,text)
    credit._measures_of(credit.region_code,integer[],date,date)
    credit._measures_by_tree(credit.region_code,integer[],date,date)
    credit._measure_distinct(integer,date,date,credit.region_code,text)
    credit._want_folder()
    credit._region_changed()
    credit._figure_changed()
    credit._metric_definitions()
    credit._region_tree()
    credit._roll_up(credit.region_code[],integer[])
    credit._fold_tree()
    credit._measure_change()
    credit._measure_partition(regclass,regclass,integer)
    credit._measure_condition(credit.metric_source)
    credit._measure_query(credit.metric_source)
    credit._disclosure_cells(credit.metric_source,credit.metric_source[],date,integer,integer,numeric,numeric)
    credit._disclosure_column(credit.metric_source)
    credit._disclosure_path(credit.region_code)
    credit._disclosure_relatives(credit.metric_source,date)
    credit._disclosure_suppress(jsonb,integer)
    credit._measure_source(credit.metric_source,date,date,credit.region_code[],integer,text,text)
    credit._places(credit.region_code)
    credit._ledger_source(text)
    credit._ledger_periods(text,credit.region_code,date,date)
    credit._measured(text,credit.region_code,text,daterange)
    credit._member_drivers(credit.target,credit.region_code,date)
    credit._part(text,text,daterange,credit.region_code[],text,text)
    credit._unversioned(jsonb)
    credit._versioned(jsonb)
    credit._without_versions(jsonb)
    credit._worst_period(credit._case)
    credit._members_of(text[],text[],daterange,credit.region_code[],text)
    credit._regions_below(credit.region_code)
    credit._part_figure(credit.metric,text,daterange,credit.region_code[],text,text,credit.region_code)
    credit._check_parts(credit.target,credit.metric,text)
    credit._one_target(text,text)
    credit._place_of(text,date,credit.region_code)
    credit._figures_owed(date)
    credit._case_of(credit.target,credit.region_code,date,boolean)
    credit._projected(credit.target,credit._judgement,credit.region_code,date)
    credit._statuses(text,date,credit.region_code,boolean)
    credit._need_read_committed(text)
    credit._reconcile_ledgers()
    credit._source_problem(credit.metric_source)
    credit._take_ledger(bigint,text,integer,date,jsonb[])
    credit._extend_ahead()
    credit._has_partition(text,date)
    credit._extend_ledger(text,date)
    credit._watch_table(regclass,boolean)
    credit._watch_partition(regclass)
    credit._consent_draft(bigint,text,text[],text[],timestamp with time zone,timestamp with time zone,text,integer,text,integer,date,date,interval,text,text)
    credit._consent_final()
    credit._consent_members(credit.consent)
    credit._consent_status(credit.consent,timestamp with time zone)
    credit._consent_text(credit.consent,text,text,bytea)
    credit._consent_trail()
    credit._defined_target(jsonb)
    credit._definition(bigint)
    credit._drop_category_view(name)
    credit._definitions()
    credit._difference(credit._figure,credit._figure)
    credit._difference_of(jsonb,jsonb)
    credit._effective(text)
    credit._evaluate(text,record)
    credit._figure_at(text,credit.region_code,text,daterange,credit.region_code,integer)
    credit._fit_rows(jsonb[],text,jsonb)
    credit._gini_final(internal)
    credit._give_consent(credit.consent,bigint,text,bytea)
    credit._growth(credit._figure,credit._figure)
    credit._input_fault(text,text)
    credit._is_figure(numeric)
    credit._is_operator()
    credit._judge(credit.target,credit.region_code,date)
    credit._judge_change(credit._case)
    credit._judge_each(credit._case)
    credit._judge_members(credit._case)
    credit._judge_point(credit._case)
    credit._judge_sum(credit._case)
    credit._keep_category()
    credit._keep_observation()
    credit._keep_referenced()
    credit._keep_region()
    credit._keep_signature(credit.consent,bigint,bigint,text,bytea)
    credit._key_text(bigint,bytea,text,text)
    credit._key_trail()
    credit._ks_final(internal)
    credit._lacking(text,text)
    credit._latest(text,credit.region_code,text,date,date,credit.region_code,text,date,credit._figure)
    credit._locked_consent(bigint,bigint)
    credit._make_category_view(credit.category)
    credit._mask_row(jsonb)
    credit._mask_text(text)
    credit._members_problem(jsonb,jsonb,text)
    credit._model_guard()
    credit._model_part_guard()
    credit._model_truncate_guard()
    credit._models_changed()
    credit._months(date,date)
    credit._next_piece(text,credit.region_code,text,date,date)
    credit._note_definitions()
    credit._note_installed()
    credit._observe(text,credit.region_code,daterange,numeric,text,text,boolean)
    credit._on_path(credit._outcome,credit._case,date,date,numeric,numeric)
    credit._open_batch(bigint)
    credit._open_request(bigint,bigint,text)
    credit._pack_region(text)
    credit._parse_observation(jsonb)
    credit._period(date,date)
    credit._period_text(daterange)
    credit._periods(text,credit.region_code,text,date,date)
    credit._place(credit.region_code,text)
    credit._platform_name()
    credit._platform_sign(bytea)
    credit._protected_relations()
    credit._psi_combine(internal,internal)
    credit._psi_deserialize(bytea,internal)
    credit._psi_final(internal)
    credit._psi_serialize(internal)
    credit._psi_transition(internal,integer,boolean)
    credit._psi_transition(internal,integer,boolean,text)
    credit._psi_transition(internal,text,boolean)
    credit._psi_transition(internal,text,boolean,text)
    credit._put_subject(text,credit.uscc,credit.resident_id,text,text,credit.region_code,date,boolean)
    credit._put_request(credit.consent,boolean,text,text,interval)
    credit._rank_combine(internal,internal)
    credit._rank_deserialize(bytea,internal)
    credit._rank_serialize(internal)
    credit._rank_transition(internal,double precision,boolean)
    credit._rating_guard()
    credit._rating_model()
    credit._monitor_reread(bigint,text,jsonb,jsonb)
    credit._published(credit._stat_cell[])
    credit._region_level(text[])
    credit._region_of_path(text[])
    credit._region_path(credit.region_code)
    credit._reachable_roles()
    credit._ratio(credit._figure,credit._figure,text)
    credit._read_statement(text,text)
    credit._refuse(bigint,bigint,jsonb,text,text,text)
    credit._refuse_change()
    credit._region_known(credit.region_code)
    credit._renewal_draft(credit.consent,timestamp with time zone,timestamp with time zone)
    credit._request_status(credit.consent_request,timestamp with time zone)
    credit._request_trail()
    credit._requested_consent(credit.consent_request)
    credit._restore_log()
    credit._retract(text,credit.region_code,daterange,text,text)
    credit._schema_fault(jsonb)
    credit._grade_inputs(text,jsonb)
    credit._expression_text(text)
    credit._expression_tree(text)
    credit._keep_rules(bigint,jsonb)
    credit._score_support(internal)
    credit._seal_row(jsonb,bigint,bigint)
    credit._settings()
    credit._short(text,text,jsonb)
    credit._shown(numeric,numeric)
    credit._start_writer()
    credit._stored(text,credit.region_code,text,daterange)
    credit._subject_token(bigint,bytea)
    credit._sum_from(text,credit.region_code,text,daterange)
    credit._switch_consent(bigint,bigint,text)
    credit._take_chunk(credit.batch,bigint,jsonb[])
    credit._take_records(credit.batch,bigint,jsonb[])
    credit._take_regions(credit.batch,bigint,jsonb[])
    credit._take_subjects(credit.batch,bigint,jsonb[])
    credit._target_problem(credit.target,date,jsonb)
    credit._template_fault(text,credit.consent)
    credit._template_of(text,text)
    credit._text_to_sign(credit.consent)
    credit._unknown_keys(jsonb,text[])
    credit._unseal_row(bytea,bigint,bigint)
    credit._usable_key(bigint,bigint)
    credit._utc(timestamp with time zone)
    credit._verify_ed25519(bytea,bytea,bytea)
    credit._why(credit._judgement,credit._case,credit._outcome)
$$, E'\n') l WHERE trim(l) <> '';

-- Who looked at me; accesses to many; erasure.
INSERT INTO expected VALUES
    ('credit.access_history(bigint,bigint,integer)', '..X....'),
    ('credit.history_proof(bigint,bigint)', '..X....'),
    ('credit.listed(bigint)', '......X'),
    ('credit.list_proof(bigint,text)', '......X'),
    ('credit.erase_subject(bigint,boolean)', '.X.....'),
    ('credit._erase_ratings()', '.......');

-- Scorecards as PMML.
INSERT INTO expected SELECT trim(l), '.......' FROM string_to_table($$
    credit._pmml_array(jsonb,text)
    credit._pmml_attribute(jsonb,text)
    credit._pmml_both(jsonb,jsonb,text)
    credit._pmml_characteristic(jsonb,jsonb)
    credit._pmml_definition(text)
    credit._pmml_fields(jsonb,jsonb)
    credit._pmml_only(jsonb,text[],text[])
    credit._pmml_order(jsonb,jsonb)
    credit._pmml_own(jsonb,text[])
    credit._pmml_predicate(jsonb,text,text)
    credit._pmml_refuse(jsonb,text)
    credit._pmml_value(jsonb,text,text)
    credit._pmml_expression(jsonb,boolean)
    credit._pmml_points(jsonb)
    credit._pmml_extra_fields(jsonb,jsonb,jsonb,jsonb)
    credit._pmml_apply(jsonb,text)
    credit._xml_at(text,text)
    credit._xml_own(jsonb)
    credit._xml_text(text)
    credit._xml_tree(text)
$$, E'\n') l WHERE trim(l) <> '';
INSERT INTO expected VALUES
    ('credit.import_pmml(text)', '.X.....'),
-- Review of models, and why a rating is what it is.
    ('credit.explain(bigint)', '.X.....'),
    ('credit._explain_inputs(text,jsonb)', '.......'),
    ('credit.forbid_attribute(text,text)', '.X.....'),
    ('credit.return_model(text,integer)', '.X.....'),
    ('credit.submit_model(text,integer)', '.X.....'),
    ('credit.set_publication_policy(text)', '.......'),
    ('credit._model_seal(bigint)', '.......'),
    ('credit._refuse_forbidden(jsonb)', '.......'),
    ('credit._unpublished(text,integer)', '.......'),
    ('table credit.forbidden_attribute', '.r..rrr'),
    ('table credit.model_policy', '.r..rrr');
INSERT INTO expected SELECT 'table credit.' || t, '.......'
  FROM unnest('{audit_history,audit_descriptor,audit_bulk,audit_history_state,audit_list}'::text[]) t;

-- Indicators, many ratings, marks, notices, terms.
INSERT INTO expected SELECT trim(l), '.X.....' FROM string_to_table($$
    credit.cancel_rating_run(bigint)
    credit.current_rating(bigint,text)
    credit.set_rating_category(text,text)
    credit.indicators_of(bigint,date,boolean)
    credit.rate_all(text,regclass,date,integer,boolean,boolean,text[],integer,bigint)
    credit.rating_lineage(bigint,bigint)
    credit.register_indicator(text,text,text,text,text)
    credit.retire_indicator(text)
    credit.set_dynamic(text,boolean,boolean,text[])
    credit.set_grade_notice(text,text,text[])
    credit.set_grade_terms(text,text,jsonb)
    credit.terms_of(bigint,text,text)
$$, E'\n') l WHERE trim(l) <> '';
-- What rate_all calls as its caller: each looks whose run it is, and takes rows, never scores.
INSERT INTO expected SELECT trim(l), '.X.....' FROM string_to_table($$
    credit._rating_claim(bigint)
    credit._rating_close(bigint)
    credit._rating_open(text,regclass,date,integer,boolean,boolean,text[],bigint)
    credit._rating_plan(bigint,bigint[],bigint[],integer[],boolean)
    credit._rating_take_rows(bigint,integer,anyarray)
    credit._rating_take_subjects(bigint,integer)
$$, E'\n') l WHERE trim(l) <> '';
-- Whom notices for the calling institution are about; what they say is behind the guard.
INSERT INTO expected VALUES ('credit.grade_notices(text,bigint,integer)', '....X..'), ('credit._grade_notice_subjects(bigint,integer)', '....X..');
-- Ratings for institutions: run as the caller, in whose way the guard is; the policy asks for the category as the caller too.
INSERT INTO expected VALUES ('credit.read_rating(bigint,text,text)', '....X..'), ('credit.read_rating(bigint[],text,text)', '....X..'),
    ('credit._shown_ratings(bigint[],text)', '....X..'), ('credit._rating_category(text)', '....X..'), ('credit._rating_category_code(text)', '....X..');
INSERT INTO expected SELECT trim(l), '.......' FROM string_to_table($$
    credit._check_terms()
    credit._compute_indicators(bigint[],bigint[],date,boolean,timestamp with time zone)
    credit._erase_indicators()
    credit._erase_rating_marks()
    credit._indicator_check(text,text)
    credit._indicator_compute(text,text,bigint[],date,boolean)
    credit._indicator_day()
    credit._indicator_shows_disputed()
    credit._mark_subjects()
    credit._notice_grades()
    credit._published_model(text)
    credit._rate_by_indicators(bigint,bigint,bigint[],boolean,date,boolean)
    credit._rate_computed(bigint,bigint,text,bigint[],text,bigint[],boolean,date,boolean,timestamp with time zone)
    credit._rate_marked(integer)
    credit._rating_ask_worker(boolean)
    credit._rating_batch_done(bigint,integer,integer,integer,integer)
    credit._rating_batch_run(bigint,integer)
    credit._rating_statement(text,boolean)
    credit._rating_try(bigint,text,bigint,text,text,anyelement,bigint[],boolean,date,boolean,timestamp with time zone)
    credit._row_subject(record)
    credit._today()
    view credit.record_as_of
    view credit.attribute_as_of
    view credit.subject_as_of
    sequence credit.grade_notice_notice_id_seq
    sequence credit.indicator_indicator_id_seq
    sequence credit.rating_failure_failure_id_seq
    sequence credit.rating_run_run_id_seq
$$, E'\n') l WHERE trim(l) <> '';
INSERT INTO expected VALUES
    ('table credit.indicator',              '.r...rr'),
    ('table credit.indicator_value',        '.r.....'),
    ('table credit.rating_run',             '.r....r'),
    ('table credit.rating_batch',           '.r.....'),
    ('table credit.rating_failure',         '.r.....'),
    ('table credit.rating_basis',           '.r.....'),
    ('table credit.rating_dynamic',         '.r....r'),
    ('table credit.rating_mark',            '.r.....'),
    ('table credit.grade_notice_rule',      '.r....r'),
    ('table credit.grade_notice',           '....r..'),
    ('table credit.grade_terms',            '.r..rrr'),
    ('view credit.stat_progress_rating',    '.r....r'),
    ('view credit._rating_shown',           '....r..');

-- Rating packs, groups, villages, approval by group.
INSERT INTO expected SELECT trim(l), '.X.....' FROM string_to_table($$
    credit.adopt_rating_pack(text,jsonb,text,credit.region_code,date)
    credit.enter_group_figure(credit.region_code,text,date,numeric,text,date)
    credit.check_rating_pack(jsonb)
    credit.confirm_village_session(bigint)
    credit.create_rating_pack(jsonb)
    credit.explain_group(bigint)
    credit.explain_index(bigint)
    credit.explain_limit(bigint)
    credit.rate_group(text,credit.region_code,date)
    credit.rate_household(bigint,date,text)
    credit.rate_index(bigint,date,text)
    credit.recognised_grade(text,bigint,date)
    credit.set_approval(text,text[])
    credit.white_list(text,credit.region_code,date)
$$, E'\n') l WHERE trim(l) <> '';
INSERT INTO expected VALUES
    ('credit.rating_parameters(text,credit.region_code,date)', '.X..XXX'),
    ('credit.adopted_rating_packs(credit.region_code,date)', '.X..XXX'),
    ('credit.group_grade_of(text,credit.region_code,date)', '.X..XX.'),
    ('credit.approval_by_group(text,text,date,date,text,numeric)', '.X...X.'),
    ('credit.open_village_session(text,credit.region_code,date,jsonb)', '.XX....'),
    ('credit.enter_village_result(bigint,bigint,numeric,numeric,text[])', '.XX....'),
    ('credit.discard_village_session(bigint)', '.XX....');
INSERT INTO expected SELECT trim(l), '.......' FROM string_to_table($$
    credit._adopted(text,text[],credit.region_code,date)
    credit._adoption_at(text,credit.region_code,date)
    credit._bound(jsonb)
    credit._criteria_problem(jsonb,text,text[])
    credit._criterion_problem(jsonb,text,text[])
    credit._grade_left(text,jsonb,jsonb,text[])
    credit._group_criteria(credit.rating_adoption,credit.region_code,date)
    credit._households(credit.region_code,date)
    credit._ratio_text(jsonb)
    credit._regions_above(credit.region_code)
    credit._adoption_guard()
    credit._approval_group(text,text,text,bigint,timestamp with time zone)
    credit._approval_key(text)
    credit._bands_problem(jsonb,text[])
    credit._day_end(date)
    credit._erase_household()
    credit._group_guard()
    credit._member_grades(credit.region_code,credit.rating_adoption,date)
    credit._method_parameters(text)
    credit._open_session(bigint)
    credit._parameter_problem(credit.rating_pack,text,jsonb)
    credit._parameter_problems(credit.rating_pack,jsonb,credit.region_code,date)
    credit._rating_day(date)
    credit._rating_pack(text)
    credit._share(jsonb,numeric)
    credit._share_text(numeric)
    credit._source_indicator(text,text,jsonb)
    credit._source_problem(text,jsonb)
    credit._source_values(credit.rating_adoption,bigint,date)
    credit._texts(jsonb)
    credit._village_guard()
    sequence credit.group_figure_figure_id_seq
    sequence credit.group_grade_grade_id_seq
    sequence credit.household_limit_limit_id_seq
    sequence credit.index_value_index_id_seq
    sequence credit.rating_adoption_adoption_id_seq
    sequence credit.village_session_session_id_seq
$$, E'\n') l WHERE trim(l) <> '';
INSERT INTO expected VALUES
    ('table credit.rating_pack',            '.r..rrr'),
    ('table credit.rating_adoption',        '.r..rrr'),
    ('table credit.approval_rule',          '.r...rr'),
    ('table credit.group_grade',            '.r.....'),
    ('table credit.group_figure',            '.r.....'),
    ('table credit.village_session',        '.r.....'),
    ('table credit.village_result',         '.r.....'),
    ('table credit.household_limit',        '.r.....'),
    ('table credit.index_value',            '.r.....');

-- The subject itself: who signs for it, what it sees and does; why an access is granted.
INSERT INTO expected SELECT trim(l), '.......X' FROM string_to_table($$
    credit.as_subject(text)
    credit.current_subject()
    credit.explain_my_access(text,text,text[],text)
    credit.my_consents()
    credit.my_history(bigint,integer)
    credit.my_history_proof(bigint)
    credit.my_ratings()
    credit.my_pause(bigint)
    credit.my_records(text[])
    credit.my_resume(bigint)
    credit.my_revoke(bigint)
$$, E'\n') l WHERE trim(l) <> '';
INSERT INTO expected VALUES
    ('credit.explain_access(bigint,text,text,text[],text)', '.XX...X'),
    ('credit.register_issuer(text,bytea,text,interval,timestamp with time zone,timestamp with time zone)', '.X.....'),
    ('credit.revoke_issuer(text)', '.X.....'),
    ('credit.revoke_token(text)', '.X.....'),
    ('credit._base64url(text)', '.......'),
    ('credit._check_token(text,oid)', '.......'),
    ('credit._conditions()', '.......'),
    ('credit._consent_uses(bigint,bigint,text,timestamp with time zone)', '.......'),
    ('credit._explain(bigint,text,text,text[],text)', '.......'),
    ('credit._self_look(text,text,text[])', '.......'),
    ('credit._token_key(text,bigint)', '.......'),
    ('credit._withdrawn(text,text,bigint)', '.......'),
    ('credit._written_here(bigint)', '.......'),
    ('table credit.token_issuer', '.r....r'),
    ('table credit.revoked_token', '.r....r');

-- ------------------------------------------------------------------ tables, views, sequences

INSERT INTO expected VALUES
-- What the platform is about, and the words that it uses.
    ('table credit.institution_kind',       '.rrrrrr'),
    ('table credit.subject_kind',           '.rrrrrr'),
    ('table credit.region',                 '.rrrrrr'),
    ('table credit.category',               '.rrrrrr'),
    ('table credit.purpose',                '.rr.rrr'),
    ('table credit.category_provider',      '.r...rr'),
-- Institutions; which role is one is for operators and auditors.
    ('table credit.institution',            '.rccccr'),
-- Subjects: never their salt, digest or sealed number.
    ('table credit.subject',                '.cc....'),
    ('table credit.subject_attribute',      '.rr....'),
-- Records: behind the guard.
    ('table credit.record',                 '....r..'),
    ('table credit.consent',                '.......'),
    ('table credit.consent_policy',         '.rr...r'),
    ('table credit.consent_request',        '.......'),
    ('table credit.consent_signature',      '.......'),
    ('table credit.consent_template',       '.rr.r.r'),
    ('table credit.subject_key',            '.......'),
    ('table credit.category_view',          '.r..r.r'),
-- Deliveries; rows as given are for the one who gave them, by credit.refused_rows.
    ('table credit.batch',                  '.r....r'),
    ('table credit.refused_row',            '.c.....'),
    ('table credit._batch_seen',            '.......'),
    ('view credit.data_quality',            '.r....r'),
    ('view credit.unknown_region',          '.r....r'),
-- Counts over all subjects, small cells left out.
    ('table credit.statistics_setting',     '.r....r'),
    ('view credit.stat_access',             '.r...r.'),
    ('view credit.stat_consent',            '.r...r.'),
    ('view credit.stat_record',             '.r...r.'),
    ('view credit.stat_subject',            '.r...r.'),
    ('table credit._installed',             '.......'),
-- The log: by its view.
    ('table credit.audit_entry',            '.......'),
    ('table credit.audit_outbox',           '.......'),
    ('table credit.audit_use',              '.......'),
    ('view credit.audit_log',               '......r'),
    ('table credit.audit_leaf',             '.......'),
    ('table credit.audit_node',             '.......'),
    ('table credit.audit_pruned',           '.......'),
    ('table credit.audit_origin',           '.......'),
    ('table credit.audit_checkpoint',       '.......'),
    ('table credit.audit_cosignature',      '.......'),
    ('table credit.audit_conflict',         '.......'),
    ('table credit.audit_witness',          '.r....r'),
    ('view credit.checkpoint_log',          '.r....r'),
    ('view credit.stat_audit',              '.r....r'),
    ('view credit.stat_audit_refusal',      '.r....r'),
    ('view credit.stat_audit_wait',         '.r....r'),
    ('view credit.stat_progress_verify',    '......r'),
-- Models are data; ratings are about subjects.
    ('table credit.model',                  '.r..rrr'),
    ('table credit.characteristic',         '.r..rrr'),
    ('table credit.attribute',              '.r..rrr'),
    ('table credit.reason',                 '.r..rrr'),
    ('table credit.grade_band',             '.r..rrr'),
    ('table credit.model_field',            '.r..rrr'),
    ('table credit.outside_grade',          '.r..rrr'),
    ('table credit.grade_rule',             '.r..rrr'),
    ('table credit.rating',                 '.r..c..'),
    ('table credit.rating_category',        '.r..r.r'),
    ('table credit.fit',                    '.r...rr'),
    ('table credit.monitor_run',            '.r....r'),
    ('view credit.monitor_figure',          '.r....r'),
-- Targets and figures are aggregates.
    ('table credit.metric',                 '.r...r.'),
    ('table credit.pack',                   '.r...r.'),
    ('table credit.target',                 '.r...r.'),
    ('table credit.target_member',          '.r...r.'),
    ('table credit.target_setting',         '.r...r.'),
    ('view credit.effective_target',        '.r...r.'),
    ('table credit.observation',            '.r...r.'),
    ('table credit.observation_history',    '.r...r.'),
    ('table credit.reported_figures',       '.r...r.'),
    ('table credit.observation_rejected',   '.r.....'),
    ('view credit.observation_version',     '.r...r.'),
    ('table credit.pack_adoption',          '.r...r.'),
    ('table credit.target_path',            '.r...r.'),
    ('table credit.figure_precedence',      '.r...r.'),
    ('table credit.figure_reminder',        '.r...r.'),
    ('view credit.figure_conflict',         '.r...r.'),
    ('table credit.bulletin',               '.r...r.'),
    ('table credit.bulletin_figure',        '.r...r.'),
    ('view credit.bulletin_data',           '.r...r.'),
-- Ledgers: by what is measured of them.
    ('table credit.loan_balance',           '.......'),
    ('table credit.loan_balance_other',     '.......'),
    ('table credit.loan_issue',             '.......'),
    ('table credit.loan_issue_other',       '.......'),
    ('table credit.line_of_credit',         '.......'),
    ('table credit.line_of_credit_other',   '.......'),
    ('table credit.guarantee',              '.......'),
    ('table credit.guarantee_other',        '.......'),
    ('table credit.insurance_policy',       '.......'),
    ('table credit.insurance_policy_other', '.......'),
    ('table credit.product_offer',          '.......'),
    ('table credit.product_offer_other',    '.......'),
    ('table credit.financing_demand',       '.......'),
    ('table credit.financing_demand_other', '.......'),
    ('table credit.platform_registration',  '.......'),
    ('table credit.platform_registration_other','.......'),
    ('table credit.park',                   '.......'),
    ('table credit.park_other',             '.......'),
    ('table credit.park_tenant',            '.......'),
    ('table credit.park_tenant_other',      '.......'),
    ('table credit.ledger',                 '.r.rrr.'),
    ('table credit.ledger_correction',      '.......'),
    ('table credit.ledger_partition',       '.r.....'),
    ('table credit.disclosure_setting',     '.r...rr'),
    ('table credit.disclosure',             '.......'),
    ('table credit._disclosure_cell',       '.......'),
    ('view credit.released',                '.r.rrr.'),
    ('table credit.metric_source',          '.r...r.'),
    ('view credit.metric_definition',       '.r...r.'),
    ('table credit._measure_delta',         '.......'),
    ('table credit._measure_cell',          '.......'),
    ('table credit._measure_total',         '.......'),
    ('table credit._measure_rollup',        '.......'),
    ('table credit._region_within',         '.......'),
    ('table credit._region_change',         '.......'),
    ('table credit._figure_change',         '.......'),
    ('table credit._measure_subject',       '.......'),
    ('table credit._measure_fold',          '.......'),
    ('view credit._measure_all',            '.......'),
    ('view credit.measure_now',             '.r...r.'),
    ('view credit.measure_state',           '.r.....'),
-- Sequences: how many there are is nobody's business.
    ('sequence credit.audit_outbox_id_seq',                 '.......'),
    ('sequence credit.batch_batch_id_seq',                  '.......'),
    ('sequence credit.consent_consent_id_seq',              '.......'),
    ('sequence credit.consent_request_request_id_seq',      '.......'),
    ('sequence credit.subject_key_key_id_seq',              '.......'),
    ('sequence credit.institution_institution_id_seq',      '.......'),
    ('sequence credit.disclosure_release_seq',              '.......'),
    ('sequence credit.metric_source_source_id_seq',         '.......'),
    ('sequence credit.model_model_id_seq',                  '.......'),
    ('sequence credit.bulletin_bulletin_id_seq',            '.......'),
    ('sequence credit.observation_history_history_id_seq',  '.......'),
    ('sequence credit.fit_fit_id_seq',                      '.......'),
    ('sequence credit.monitor_run_run_id_seq',              '.......'),
    ('sequence credit.rating_rating_id_seq',                '.......'),
    ('sequence credit.record_record_id_seq',                '.......'),
    ('sequence credit.subject_subject_id_seq',              '.......'),
-- Types: a value is worth nothing without the functions.
    ('type credit.uscc',                    'XXXXXXX'),
    ('type credit.resident_id',             'XXXXXXX'),
    ('type credit.region_code',             'XXXXXXX'),
    ('type credit.batch_summary',           'XXXXXXX'),
    ('type credit.opened_record',           'XXXXXXX'),
    ('type credit.shown_rating',            'XXXXXXX'),
    ('type credit.estimate',                'XXXXXXX'),
    ('type credit.bin_evidence',            'XXXXXXX'),
    ('type credit._bin_counts_row',         'XXXXXXX'),
    ('type credit._monitor_case',           'XXXXXXX'),
    ('type credit._observation_row',        'XXXXXXX'),
    ('type credit._figure',                 'XXXXXXX'),
    ('type credit._case',                   'XXXXXXX'),
    ('type credit._stat_cell',              'XXXXXXX'),
    ('type credit._outcome',                'XXXXXXX'),
    ('type credit._judgement',              'XXXXXXX'),
    ('type credit._driver',              'XXXXXXX'),
    ('schema credit',                       '.XXXXXXX');
UPDATE expected SET marks = marks || left(marks, 1) WHERE length(marks) = 7;

-- The view of each category: behind the guard, as the records are.
INSERT INTO expected SELECT format('view %s', format('credit.%I', v.view_name)::regclass), '....r...' FROM credit.category_view v;

-- The columns behind a c, the same for all who have one.
CREATE TEMP TABLE expected_column (object text PRIMARY KEY, columns text[] NOT NULL);
INSERT INTO expected_column VALUES
    ('table credit.institution', '{code,institution_id,kind,name_en,name_zh,region,status,uscc}'),
    ('table credit.subject',     '{changed_at,code,kind,name,region,registered_at,registered_on,subject_id,uscc}'),
    ('table credit.refused_row', '{batch_id,reason,row_no,sqlstate}'),
    ('table credit.rating',      '{grade,grade_rule,model,model_id,rated_at,rating_id,reasons,review_on,score,score_grade,subject_id,valid_until}');

-- ------------------------------------------------------------------ what there is

-- Rights as they work out, also those that a role has through PUBLIC or another role.
CREATE TEMP VIEW found AS
    SELECT p.oid::regprocedure::text AS object,
           (SELECT string_agg(CASE WHEN has_function_privilege(c.role, p.oid, 'EXECUTE') THEN 'X' ELSE '.' END, '' ORDER BY c.place)
              FROM caller c) AS marks
      FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
    UNION ALL
    SELECT CASE r.relkind WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view ' ELSE 'table ' END || r.oid::regclass,
           (SELECT string_agg(CASE WHEN r.relkind = 'S' THEN
                                        CASE WHEN has_sequence_privilege(c.role, r.oid, 'SELECT, UPDATE, USAGE') THEN '!' ELSE '.' END
                                   WHEN has_table_privilege(c.role, r.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                                     OR has_any_column_privilege(c.role, r.oid, 'INSERT, UPDATE, REFERENCES') THEN '!'
                                   WHEN has_table_privilege(c.role, r.oid, 'SELECT') THEN 'r'
                                   WHEN has_any_column_privilege(c.role, r.oid, 'SELECT') THEN 'c'
                                   ELSE '.' END, '' ORDER BY c.place)
              FROM caller c)
      FROM pg_class r JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = r.oid
    UNION ALL
    SELECT 'type ' || t.oid::regtype,
           (SELECT string_agg(CASE WHEN has_type_privilege(c.role, t.oid, 'USAGE') THEN 'X' ELSE '.' END, '' ORDER BY c.place)
              FROM caller c)
      FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
    UNION ALL
    SELECT 'schema credit',
           (SELECT string_agg(CASE WHEN has_schema_privilege(c.role, 'credit', 'CREATE') THEN '!'
                                   WHEN has_schema_privilege(c.role, 'credit', 'USAGE') THEN 'X' ELSE '.' END, '' ORDER BY c.place)
              FROM caller c);

-- Every right that is written down anywhere on an object of the extension.
CREATE TEMP VIEW written AS
    SELECT p.oid::regprocedure::text AS object, p.proowner AS owner, a.*
      FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid, aclexplode(p.proacl) a
    UNION ALL
    SELECT r.oid::regclass::text, r.relowner, a.*
      FROM pg_class r JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = r.oid, aclexplode(r.relacl) a
    UNION ALL
    SELECT r.oid::regclass::text || '.' || t.attname, r.relowner, a.*
      FROM pg_class r JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = r.oid
      JOIN pg_attribute t ON t.attrelid = r.oid, aclexplode(t.attacl) a
    UNION ALL
    SELECT t.oid::regtype::text, t.typowner, a.*
      FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid, aclexplode(t.typacl) a
    UNION ALL
    SELECT n.nspname, n.nspowner, a.* FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'credit';

-- ------------------------------------------------------------------ the matrix holds

SELECT cmp_ok((SELECT count(*) FROM found), '>', 250::bigint, 'the objects are found');

SELECT is_empty($$
    SELECT format('(%L, %L)', f.object, f.marks) FROM found f WHERE NOT EXISTS (SELECT FROM expected e WHERE e.object = f.object) $$,
    'every function, table, view, sequence and type has a line in the matrix');

SELECT is_empty($$
    SELECT e.object FROM expected e WHERE NOT EXISTS (SELECT FROM found f WHERE f.object = e.object) $$,
    'every line of the matrix has its object');

SELECT is_empty($$
    SELECT e.object, c.role, substr(e.marks, c.place, 1) AS expected, substr(f.marks, c.place, 1) AS found
      FROM expected e JOIN found f USING (object), caller c WHERE substr(e.marks, c.place, 1) <> substr(f.marks, c.place, 1) $$,
    'every role has on every object the right that the matrix says, no other');

SELECT is_empty($$
    SELECT e.object, c.role, t.attname
      FROM expected e JOIN caller c ON substr(e.marks, c.place, 1) = 'c'
      LEFT JOIN expected_column x USING (object)
      JOIN pg_attribute t ON t.attrelid = substr(e.object, 7)::regclass AND t.attnum <> 0 AND NOT t.attisdropped
     WHERE has_column_privilege(c.role, t.attrelid, t.attnum, 'SELECT') <> coalesce(t.attname = ANY (x.columns), false) $$,
    'where a role reads columns, these and no other');

SELECT is_empty($$ SELECT object FROM expected_column x WHERE NOT EXISTS (SELECT FROM expected e WHERE e.object = x.object AND e.marks ~ 'c') $$,
    'columns are listed only where somebody reads columns');

SELECT is_empty($$
    SELECT w.object, w.grantee::regrole, w.privilege_type FROM written w
     WHERE w.grantee NOT IN (0, w.owner) AND w.grantee::regrole::text NOT IN (SELECT role FROM caller)
       AND NOT (w.grantee = 'pg_monitor'::regrole AND (w.object, w.privilege_type) IN (
                ('credit', 'USAGE'), ('credit.stat_audit', 'SELECT'), ('credit.stat_audit_wait', 'SELECT'),
                ('credit.stat_audit_refusal', 'SELECT'), ('credit._stat_audit()', 'EXECUTE'), ('credit._stat_audit_refusals()', 'EXECUTE')))
       AND NOT (w.grantee = 'credit_indicator'::regrole AND (w.object, w.privilege_type) IN (
                ('credit', 'USAGE'), ('credit.record_as_of', 'SELECT'), ('credit.attribute_as_of', 'SELECT'), ('credit.subject_as_of', 'SELECT'),
                ('credit.region', 'SELECT'), ('credit._indicator_day()', 'EXECUTE'), ('credit._indicator_shows_disputed()', 'EXECUTE'))) $$,
    'nobody else was granted anything, but the server''s monitor what shows how the log is doing, and indicators what they are computed from');

SELECT is_empty($$ SELECT object, grantee::regrole, privilege_type FROM written WHERE is_grantable $$,
    'nobody may pass a right on');

SELECT is_empty($$
    SELECT object, grantee::regrole, privilege_type FROM written
     WHERE grantee NOT IN (0, owner) AND privilege_type NOT IN ('SELECT', 'EXECUTE', 'USAGE') $$,
    'what is granted is reading and calling, newer kinds of right included');

SELECT is_empty($$
    SELECT m.member::regrole, m.roleid::regrole FROM pg_auth_members m
     WHERE m.member IN (SELECT r.oid FROM pg_roles r JOIN caller c ON c.role = r.rolname) $$,
    'the platform''s roles are members of no other role');

SELECT is_empty($$
    SELECT DISTINCT m.classid::regclass FROM member m
     WHERE m.classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass,
                             'pg_operator'::regclass, 'pg_cast'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass,
                             -- nobody calls one
                             'pg_event_trigger'::regclass) $$,
    'there is no kind of object that the matrix does not know and that may carry rights');

-- ------------------------------------------------------------------ the owner

-- One owner, the one of the schema: pgcredit acts as the owner of the schema, and its functions must be able to.
SELECT is_empty($$
    SELECT object, owner FROM (
        SELECT p.oid::regprocedure::text AS object, p.proowner AS owner FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
        UNION ALL
        SELECT r.oid::regclass::text, r.relowner FROM pg_class r JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = r.oid
        UNION ALL
        SELECT t.oid::regtype::text, t.typowner FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid) o
     WHERE owner <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'credit')
        OR owner <> (SELECT extowner FROM pg_extension WHERE extname = 'pgcredit') $$,
    'everything belongs to the owner of the extension');

SELECT is_empty($$
    SELECT r.oid::regclass, k FROM pg_class r JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = r.oid,
           unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) k
     WHERE r.relkind IN ('r', 'v') AND NOT has_table_privilege(r.relowner, r.oid, k) $$,
    'who may do everything');

-- ------------------------------------------------------------------ rows

SELECT is((
    SELECT string_agg(format('%s, forced %s: %s for "%s", permissive %s, to %s, using %s, check %s', r.oid::regclass, r.relforcerowsecurity,
                             p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid),
                             coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'none')), E'\n' ORDER BY r.relname DESC, p.polname)
      FROM pg_class r JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = r.oid
      LEFT JOIN pg_policy p ON p.polrelid = r.oid
     WHERE r.relrowsecurity OR p.oid IS NOT NULL),
    E'credit.record, forced f: guarded for "r", permissive t, to {-}, using credit.guard(subject_id, category_id, dated), check none\n'
    'credit.rating, forced f: guarded for "r", permissive t, to {credit_institution}, using credit.guard(subject_id, credit._rating_category(model), ((rated_at AT TIME ZONE ''Asia/Shanghai''::text))::date), check none\n'
    'credit.rating, forced f: operated for "r", permissive t, to {credit_operator}, using true, check none\n'
    'credit.grade_notice, forced f: guarded for "r", permissive t, to {-}, using ((institution_id = credit.calling_institution()) AND credit.guard(subject_id, category_id, rated_on)), check none',
    'records have one policy, and it asks the guard alone, as that of ratings for institutions does; a notice is its institution''s besides');

SELECT is_empty($$
    SELECT r.oid::regclass FROM pg_class r JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = r.oid
     WHERE r.relkind = 'v' AND NOT coalesce(r.reloptions, '{}') && '{security_barrier=true,security_invoker=true}' $$,
    'a view shows a leaky condition its own rows only');

-- Salts, digests of persons, sealed values: by their names, whichever table they stand in.
SELECT is_empty($$
    SELECT r.oid::regclass, t.attname, c.role
      FROM pg_class r JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = r.oid
      JOIN pg_attribute t ON t.attrelid = r.oid AND t.attnum > 0, caller c
     WHERE (t.attname ~ '(salt|seal|secret|key_|_key$)' OR t.attname ~ 'digest' AND r.relname NOT IN ('model', 'rating', 'observation_rejected', 'bulletin'))
       AND t.attname NOT IN ('batch_key', 'source_key', 'public_key')
       AND has_column_privilege(c.role, r.oid, t.attnum, 'SELECT') $$,
    'nobody reads a salt, a digest of a person, a sealed value');

SELECT is_empty($$
    SELECT r.oid::regclass, c.role
      FROM pg_class r JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = r.oid
      JOIN pg_attribute t ON t.attrelid = r.oid AND t.attname = 'subject_id', caller c
     WHERE has_column_privilege(c.role, r.oid, t.attnum, 'SELECT')
       AND (c.role NOT IN ('credit_operator', 'credit_portal') AND (c.role, r.relname) NOT IN (('credit_institution', 'record'), ('credit_institution', 'rating'), ('credit_institution', 'grade_notice')))
       AND NOT (c.role = 'credit_institution' AND r.relname IN (SELECT v.view_name FROM credit.category_view v)
                AND pg_get_viewdef(r.oid) ~ 'WHERE .*credit\._guard_masked\(r\.subject_id, r\.category_id, r\.dated\)+;$')
       AND NOT (c.role = 'credit_institution' AND r.relname = '_rating_shown'
                AND pg_get_viewdef(r.oid) ~ 'WHERE \(*credit\._guard_masked\(r\.subject_id, credit\._rating_category\(r\.model\), \(+r\.rated_at AT TIME ZONE ''Asia/Shanghai''::text\)+::date\)+;$') $$,
    'no row about a subject is an analyst''s, an auditor''s or a provider''s to read, and an institution''s behind the guard only');

SELECT * FROM finish();
ROLLBACK;
