-- ---------------------------------------------------------------------------
-- 20 identity: the identifiers of enterprises, persons and regions
-- ---------------------------------------------------------------------------

-- Casts are never implicit: with one, "code = some_text" would compare as text and pass by the index, or raise where a
-- plain false was meant. Operators are leakproof (comparing raises nothing), so conditions on a code are tried before
-- a policy's and can use an index below it.

-- region_code ---------------------------------------------------------------

CREATE TYPE credit.region_code;

CREATE FUNCTION credit._region_code_in(cstring) RETURNS credit.region_code
    AS 'MODULE_PATHNAME', 'pgcredit_region_code_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._region_code_out(credit.region_code) RETURNS cstring
    AS 'MODULE_PATHNAME', 'pgcredit_region_code_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._region_code_recv(internal) RETURNS credit.region_code
    AS 'MODULE_PATHNAME', 'pgcredit_region_code_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._region_code_send(credit.region_code) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_region_code_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE credit.region_code (
    INPUT = credit._region_code_in, OUTPUT = credit._region_code_out,
    RECEIVE = credit._region_code_recv, SEND = credit._region_code_send,
    LIKE = pg_catalog.int8);
COMMENT ON TYPE credit.region_code IS
    'administrative division code, six digits, nine of a township, twelve of a village; whether and when the region existed is not asked (行政区划代码, 统计用区划代码)';

CREATE FUNCTION credit._region_code_eq(credit.region_code, credit.region_code) RETURNS boolean
    AS 'int8eq' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._region_code_ne(credit.region_code, credit.region_code) RETURNS boolean
    AS 'int8ne' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._region_code_lt(credit.region_code, credit.region_code) RETURNS boolean
    AS 'int8lt' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._region_code_le(credit.region_code, credit.region_code) RETURNS boolean
    AS 'int8le' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._region_code_gt(credit.region_code, credit.region_code) RETURNS boolean
    AS 'int8gt' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._region_code_ge(credit.region_code, credit.region_code) RETURNS boolean
    AS 'int8ge' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._region_code_cmp(credit.region_code, credit.region_code) RETURNS integer
    AS 'btint8cmp' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._region_code_hash(credit.region_code) RETURNS integer
    AS 'hashint8' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._region_code_hash_extended(credit.region_code, bigint) RETURNS bigint
    AS 'hashint8extended' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;

CREATE OPERATOR credit.= (
    FUNCTION = credit._region_code_eq, LEFTARG = credit.region_code, RIGHTARG = credit.region_code,
    COMMUTATOR = OPERATOR(credit.=), NEGATOR = OPERATOR(credit.<>),
    RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES, MERGES);
CREATE OPERATOR credit.<> (
    FUNCTION = credit._region_code_ne, LEFTARG = credit.region_code, RIGHTARG = credit.region_code,
    COMMUTATOR = OPERATOR(credit.<>), NEGATOR = OPERATOR(credit.=),
    RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel);
CREATE OPERATOR credit.< (
    FUNCTION = credit._region_code_lt, LEFTARG = credit.region_code, RIGHTARG = credit.region_code,
    COMMUTATOR = OPERATOR(credit.>), NEGATOR = OPERATOR(credit.>=),
    RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel);
CREATE OPERATOR credit.<= (
    FUNCTION = credit._region_code_le, LEFTARG = credit.region_code, RIGHTARG = credit.region_code,
    COMMUTATOR = OPERATOR(credit.>=), NEGATOR = OPERATOR(credit.>),
    RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel);
CREATE OPERATOR credit.> (
    FUNCTION = credit._region_code_gt, LEFTARG = credit.region_code, RIGHTARG = credit.region_code,
    COMMUTATOR = OPERATOR(credit.<), NEGATOR = OPERATOR(credit.<=),
    RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel);
CREATE OPERATOR credit.>= (
    FUNCTION = credit._region_code_ge, LEFTARG = credit.region_code, RIGHTARG = credit.region_code,
    COMMUTATOR = OPERATOR(credit.<=), NEGATOR = OPERATOR(credit.<),
    RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel);

CREATE OPERATOR CLASS credit.region_code_ops DEFAULT FOR TYPE credit.region_code USING btree AS
    OPERATOR 1 credit.<, OPERATOR 2 credit.<=, OPERATOR 3 credit.=, OPERATOR 4 credit.>=, OPERATOR 5 credit.>,
    FUNCTION 1 credit._region_code_cmp(credit.region_code, credit.region_code),
    FUNCTION 2 pg_catalog.btint8sortsupport(internal),
    FUNCTION 4 pg_catalog.btequalimage(oid);
CREATE OPERATOR CLASS credit.region_code_ops DEFAULT FOR TYPE credit.region_code USING hash AS
    OPERATOR 1 credit.=,
    FUNCTION 1 credit._region_code_hash(credit.region_code),
    FUNCTION 2 credit._region_code_hash_extended(credit.region_code, bigint);

CREATE CAST (credit.region_code AS text) WITH INOUT AS ASSIGNMENT;
CREATE CAST (text AS credit.region_code) WITH INOUT AS ASSIGNMENT;
CREATE CAST (varchar AS credit.region_code) WITH INOUT AS ASSIGNMENT;

CREATE FUNCTION credit.is_valid_region_code(code text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_is_valid_region_code' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.is_valid_region_code(text) IS
    'true when the text is six, nine or twelve digits; never raises (行政区划代码格式校验)';
CREATE FUNCTION credit.region_parent(region credit.region_code) RETURNS credit.region_code
    AS 'MODULE_PATHNAME', 'pgcredit_region_parent_sql' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.region_parent(credit.region_code) IS
    'township of a village, county of a township, city of a county, province of a city, NULL for a province; by the digits alone (上级行政区划)';
CREATE FUNCTION credit.region_level(region credit.region_code) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_region_level_sql' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.region_level(credit.region_code) IS
    'province, city, county, township or village, by the digits alone (行政层级)';

-- uscc ------------------------------------------------------------------------

CREATE TYPE credit.uscc;

CREATE FUNCTION credit._uscc_in(cstring) RETURNS credit.uscc
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._uscc_out(credit.uscc) RETURNS cstring
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._uscc_recv(internal) RETURNS credit.uscc
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._uscc_send(credit.uscc) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE credit.uscc (
    INPUT = credit._uscc_in, OUTPUT = credit._uscc_out,
    RECEIVE = credit._uscc_recv, SEND = credit._uscc_send,
    INTERNALLENGTH = 18, ALIGNMENT = char, STORAGE = plain);
COMMENT ON TYPE credit.uscc IS
    'unified social credit code with its check character verified, in upper case (统一社会信用代码, GB 32100-2015)';

CREATE FUNCTION credit._uscc_eq(credit.uscc, credit.uscc) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_eq' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._uscc_ne(credit.uscc, credit.uscc) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_ne' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._uscc_lt(credit.uscc, credit.uscc) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_lt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._uscc_le(credit.uscc, credit.uscc) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_le' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._uscc_gt(credit.uscc, credit.uscc) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_gt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._uscc_ge(credit.uscc, credit.uscc) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_ge' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._uscc_cmp(credit.uscc, credit.uscc) RETURNS integer
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_cmp' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._uscc_sortsupport(internal) RETURNS void
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_sortsupport' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._uscc_hash(credit.uscc) RETURNS integer
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_hash' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._uscc_hash_extended(credit.uscc, bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_hash_extended' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;

CREATE OPERATOR credit.= (
    FUNCTION = credit._uscc_eq, LEFTARG = credit.uscc, RIGHTARG = credit.uscc,
    COMMUTATOR = OPERATOR(credit.=), NEGATOR = OPERATOR(credit.<>),
    RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES, MERGES);
CREATE OPERATOR credit.<> (
    FUNCTION = credit._uscc_ne, LEFTARG = credit.uscc, RIGHTARG = credit.uscc,
    COMMUTATOR = OPERATOR(credit.<>), NEGATOR = OPERATOR(credit.=),
    RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel);
CREATE OPERATOR credit.< (
    FUNCTION = credit._uscc_lt, LEFTARG = credit.uscc, RIGHTARG = credit.uscc,
    COMMUTATOR = OPERATOR(credit.>), NEGATOR = OPERATOR(credit.>=),
    RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel);
CREATE OPERATOR credit.<= (
    FUNCTION = credit._uscc_le, LEFTARG = credit.uscc, RIGHTARG = credit.uscc,
    COMMUTATOR = OPERATOR(credit.>=), NEGATOR = OPERATOR(credit.>),
    RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel);
CREATE OPERATOR credit.> (
    FUNCTION = credit._uscc_gt, LEFTARG = credit.uscc, RIGHTARG = credit.uscc,
    COMMUTATOR = OPERATOR(credit.<), NEGATOR = OPERATOR(credit.<=),
    RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel);
CREATE OPERATOR credit.>= (
    FUNCTION = credit._uscc_ge, LEFTARG = credit.uscc, RIGHTARG = credit.uscc,
    COMMUTATOR = OPERATOR(credit.<=), NEGATOR = OPERATOR(credit.<),
    RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel);

CREATE OPERATOR CLASS credit.uscc_ops DEFAULT FOR TYPE credit.uscc USING btree AS
    OPERATOR 1 credit.<, OPERATOR 2 credit.<=, OPERATOR 3 credit.=, OPERATOR 4 credit.>=, OPERATOR 5 credit.>,
    FUNCTION 1 credit._uscc_cmp(credit.uscc, credit.uscc),
    FUNCTION 2 credit._uscc_sortsupport(internal),
    FUNCTION 4 pg_catalog.btequalimage(oid);
CREATE OPERATOR CLASS credit.uscc_ops DEFAULT FOR TYPE credit.uscc USING hash AS
    OPERATOR 1 credit.=,
    FUNCTION 1 credit._uscc_hash(credit.uscc),
    FUNCTION 2 credit._uscc_hash_extended(credit.uscc, bigint);

CREATE FUNCTION credit.uscc(text) RETURNS credit.uscc
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_from_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.uscc(text) IS 'the code a text holds; raises 22P02 when it holds none (转换为统一社会信用代码)';
CREATE FUNCTION credit.text(credit.uscc) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_to_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.text(credit.uscc) IS 'the 18 characters of a code (统一社会信用代码文本)';
CREATE CAST (credit.uscc AS text) WITH FUNCTION credit.text(credit.uscc) AS ASSIGNMENT;
CREATE CAST (text AS credit.uscc) WITH FUNCTION credit.uscc(text) AS ASSIGNMENT;
CREATE CAST (varchar AS credit.uscc) WITH FUNCTION credit.uscc(text) AS ASSIGNMENT;

CREATE FUNCTION credit.is_valid_uscc(code text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_is_valid_uscc' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.is_valid_uscc(text) IS
    'true when the text is a unified social credit code, in either case; never raises (统一社会信用代码校验)';
CREATE FUNCTION credit.is_pilot_uscc(code text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_is_pilot_uscc' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.is_pilot_uscc(text) IS
    'true for a code issued before the standard, with M000 in characters 9 to 12 and no check character: legal, but no uscc; never raises (标准发布前的试点代码)';
CREATE FUNCTION credit.uscc_check_character(code text) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_uscc_check_character_sql' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.uscc_check_character(text) IS
    'the 18th character for the first 17 (统一社会信用代码校验码)';
CREATE FUNCTION credit.region_of(code credit.uscc) RETURNS credit.region_code
    AS 'MODULE_PATHNAME', 'pgcredit_region_of_uscc' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.region_of(credit.uscc) IS
    'region of registration, characters 3 to 8; it may be retired since (登记机关行政区划)';
CREATE FUNCTION credit.is_natural_person(code credit.uscc) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_is_natural_person' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.is_natural_person(credit.uscc) IS
    'true for a sole trader (leading 92), whose data is that of a natural person (个体工商户)';
CREATE FUNCTION credit.organization_code(code credit.uscc) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_organization_code' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.organization_code(credit.uscc) IS
    'organization code, characters 9 to 17; its own check digit is not verified (组织机构代码, GB 11714)';

-- resident_id -----------------------------------------------------------------

CREATE TYPE credit.resident_id;

CREATE FUNCTION credit._resident_id_in(cstring) RETURNS credit.resident_id
    AS 'MODULE_PATHNAME', 'pgcredit_resident_id_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_out(credit.resident_id) RETURNS cstring
    AS 'MODULE_PATHNAME', 'pgcredit_resident_id_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_recv(internal) RETURNS credit.resident_id
    AS 'MODULE_PATHNAME', 'pgcredit_resident_id_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_send(credit.resident_id) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_resident_id_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_analyze(internal) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_resident_id_analyze' LANGUAGE C STRICT;

CREATE TYPE credit.resident_id (
    INPUT = credit._resident_id_in, OUTPUT = credit._resident_id_out,
    RECEIVE = credit._resident_id_recv, SEND = credit._resident_id_send,
    ANALYZE = credit._resident_id_analyze,
    LIKE = pg_catalog.int8);
COMMENT ON TYPE credit.resident_id IS
    'resident identity number, for passing only: what is stored is its digest and its seal (公民身份号码, GB 11643-1999)';

CREATE FUNCTION credit._resident_id_eq(credit.resident_id, credit.resident_id) RETURNS boolean
    AS 'int8eq' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_ne(credit.resident_id, credit.resident_id) RETURNS boolean
    AS 'int8ne' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_lt(credit.resident_id, credit.resident_id) RETURNS boolean
    AS 'int8lt' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_le(credit.resident_id, credit.resident_id) RETURNS boolean
    AS 'int8le' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_gt(credit.resident_id, credit.resident_id) RETURNS boolean
    AS 'int8gt' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_ge(credit.resident_id, credit.resident_id) RETURNS boolean
    AS 'int8ge' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_cmp(credit.resident_id, credit.resident_id) RETURNS integer
    AS 'btint8cmp' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_hash(credit.resident_id) RETURNS integer
    AS 'hashint8' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION credit._resident_id_hash_extended(credit.resident_id, bigint) RETURNS bigint
    AS 'hashint8extended' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;

CREATE OPERATOR credit.= (
    FUNCTION = credit._resident_id_eq, LEFTARG = credit.resident_id, RIGHTARG = credit.resident_id,
    COMMUTATOR = OPERATOR(credit.=), NEGATOR = OPERATOR(credit.<>),
    RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES, MERGES);
CREATE OPERATOR credit.<> (
    FUNCTION = credit._resident_id_ne, LEFTARG = credit.resident_id, RIGHTARG = credit.resident_id,
    COMMUTATOR = OPERATOR(credit.<>), NEGATOR = OPERATOR(credit.=),
    RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel);
CREATE OPERATOR credit.< (
    FUNCTION = credit._resident_id_lt, LEFTARG = credit.resident_id, RIGHTARG = credit.resident_id,
    COMMUTATOR = OPERATOR(credit.>), NEGATOR = OPERATOR(credit.>=),
    RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel);
CREATE OPERATOR credit.<= (
    FUNCTION = credit._resident_id_le, LEFTARG = credit.resident_id, RIGHTARG = credit.resident_id,
    COMMUTATOR = OPERATOR(credit.>=), NEGATOR = OPERATOR(credit.>),
    RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel);
CREATE OPERATOR credit.> (
    FUNCTION = credit._resident_id_gt, LEFTARG = credit.resident_id, RIGHTARG = credit.resident_id,
    COMMUTATOR = OPERATOR(credit.<), NEGATOR = OPERATOR(credit.<=),
    RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel);
CREATE OPERATOR credit.>= (
    FUNCTION = credit._resident_id_ge, LEFTARG = credit.resident_id, RIGHTARG = credit.resident_id,
    COMMUTATOR = OPERATOR(credit.<=), NEGATOR = OPERATOR(credit.<),
    RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel);

CREATE OPERATOR CLASS credit.resident_id_ops DEFAULT FOR TYPE credit.resident_id USING btree AS
    OPERATOR 1 credit.<, OPERATOR 2 credit.<=, OPERATOR 3 credit.=, OPERATOR 4 credit.>=, OPERATOR 5 credit.>,
    FUNCTION 1 credit._resident_id_cmp(credit.resident_id, credit.resident_id),
    FUNCTION 2 pg_catalog.btint8sortsupport(internal),
    FUNCTION 4 pg_catalog.btequalimage(oid);
CREATE OPERATOR CLASS credit.resident_id_ops DEFAULT FOR TYPE credit.resident_id USING hash AS
    OPERATOR 1 credit.=,
    FUNCTION 1 credit._resident_id_hash(credit.resident_id),
    FUNCTION 2 credit._resident_id_hash_extended(credit.resident_id, bigint);

-- Without these the server would let a number slip into a text column by assignment.
CREATE CAST (credit.resident_id AS text) WITH INOUT;
CREATE CAST (credit.resident_id AS varchar) WITH INOUT;
CREATE CAST (credit.resident_id AS bpchar) WITH INOUT;

CREATE FUNCTION credit.is_valid_resident_id(number text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'pgcredit_is_valid_resident_id' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.is_valid_resident_id(text) IS
    'true when the text is a resident identity number with a possible date of birth; never raises (公民身份号码校验)';
CREATE FUNCTION credit.resident_id_check_character(number text) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_resident_id_check_character' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.resident_id_check_character(text) IS
    'the 18th character for the first 17 (公民身份号码校验码)';
CREATE FUNCTION credit.region_of(number credit.resident_id) RETURNS credit.region_code
    AS 'MODULE_PATHNAME', 'pgcredit_region_of_resident_id' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.region_of(credit.resident_id) IS
    'region of first registration, characters 1 to 6; it may be retired since (户籍地行政区划)';
CREATE FUNCTION credit.birth_date(number credit.resident_id) RETURNS date
    AS 'MODULE_PATHNAME', 'pgcredit_birth_date' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.birth_date(credit.resident_id) IS
    'date of birth, characters 7 to 14 (出生日期)';
CREATE FUNCTION credit.sex(number credit.resident_id) RETURNS text
    AS 'MODULE_PATHNAME', 'pgcredit_sex' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.sex(credit.resident_id) IS
    'male or female, by character 17 (性别)';

-- How a number is stored. Needs the key (pgcredit.key_file or pgcredit.key_command).
CREATE FUNCTION credit.resident_digest(number credit.resident_id) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_resident_digest' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.resident_digest(credit.resident_id) IS
    'keyed hash of 32 bytes to find a number by, without the number (公民身份号码摘要)';
CREATE FUNCTION credit.seal_resident_id(number credit.resident_id) RETURNS bytea
    AS 'MODULE_PATHNAME', 'pgcredit_seal_resident_id' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.seal_resident_id(credit.resident_id) IS
    'number encrypted and authenticated for storage, different each time (公民身份号码密封)';
CREATE FUNCTION credit.unseal_resident_id(sealed bytea) RETURNS credit.resident_id
    AS 'MODULE_PATHNAME', 'pgcredit_unseal_resident_id' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION credit.unseal_resident_id(bytea) IS
    'number from its seal; raises PC202 when the seal is broken (公民身份号码启封)';
REVOKE ALL ON FUNCTION credit.resident_digest(credit.resident_id), credit.seal_resident_id(credit.resident_id),
                       credit.unseal_resident_id(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credit.resident_digest(credit.resident_id), credit.seal_resident_id(credit.resident_id),
                          credit.unseal_resident_id(bytea) TO credit_operator;
