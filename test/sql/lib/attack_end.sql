-- What every attack ends with.
RESET ROLE;
RESET SESSION AUTHORIZATION;
RESET search_path;
SET client_min_messages = error;
DEALLOCATE ALL;
DROP SCHEMA :attack CASCADE;
DROP OWNED BY :bank, :other, :tax, :portal CASCADE;
DELETE FROM credit.record WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.consent WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.subject_attribute WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.subject WHERE subject_id IN (:s1, :s2);
DELETE FROM credit.category_provider WHERE institution_id IN (:bank_id, :other_id, :tax_id);
DELETE FROM credit.institution WHERE institution_id IN (:bank_id, :other_id, :tax_id);
DROP ROLE :bank, :other, :tax, :portal;
