# bench/32_rate.sh
# rating 1,000,000 subjects by ten characteristics: credit.rate_all against INSERT ... SELECT of the same rows with a constant score
#
# The insert goes into the same table with the same triggers, keys and inputs, which it finds ready made in a table; what it
# saves is matching, making the inputs, their digest, reasons and grade.

sql -f "$place_top/bench/rate.sql" > /dev/null
sql -c "CALL credit.rate_all('rate', 'rate.applicant', batch_size => 50000)" > /dev/null
sql <<'SQL'
CREATE TABLE rate.kept AS SELECT r.* FROM credit.rating r JOIN credit.model m USING (model_id) WHERE m.name = 'rate';
VACUUM ANALYZE rate.kept;
SQL
forget_ratings() { sql -c "SET session_replication_role = replica; TRUNCATE credit.rating_basis, credit.grade_notice, credit.rating; CHECKPOINT"; }

all="" shared="" constant=""
for _ in $(seq "$rounds"); do
	forget_ratings
	all="$all $(seconds_of "CALL credit.rate_all('rate', 'rate.applicant', batch_size => 50000)")"
	forget_ratings
	shared="$shared $(seconds_of "CALL credit.rate_all('rate', 'rate.applicant', batch_size => 50000, workers => 1)")"
	forget_ratings
	constant="$constant $(seconds_of "INSERT INTO credit.rating (subject_id, model_id, score, grade, inputs, inputs_digest, reasons, rated_by, model)
		SELECT subject_id, model_id, 400, grade, inputs, inputs_digest, reasons, rated_by, model FROM rate.kept")"
done
compare "$rows subjects: rate_all / INSERT ... SELECT of a constant, s" "$all" "$constant" "<= 2"
compare "$rows subjects, a worker beside: rate_all / INSERT ... SELECT, s" "$shared" "$constant" "<= 2"
