# bench/31_fit.sh
# credit.fit_logistic of 20 columns, and credit.auc against the same by window functions
#
# A fit by another program has to read the rows first: the second pair is that reading alone, as text.

sql -c 'DROP TABLE IF EXISTS fit_case' \
	-c "CREATE TABLE fit_case AS
	    SELECT random() + $(seq -s ' + ' -f 'x%g * 0.1' 1 20) > 1.5 AS bad, x.*
	      FROM generate_series(1, $rows) i,
	           LATERAL (SELECT $(seq -s ', ' -f 'random() + i * 0 AS x%g' 1 20)) x" -c 'VACUUM ANALYZE fit_case' ||
	place_fail "the sample cannot be made" "the error is above"
fitted="" copied="" ranked="" windowed=""
for _ in $(seq "$rounds"); do
	fitted="$fitted $(seconds_of "SELECT credit.fit_logistic('fit_case', 'bad', ARRAY(SELECT 'x' || i FROM generate_series(1, 20) i))")"
	copied="$copied $(seconds_of "COPY fit_case TO '/dev/null'")"
	ranked="$ranked $(seconds_of 'SELECT credit.auc(x1, bad) FROM fit_case')"
	windowed="$windowed $(seconds_of 'SELECT sum(good * (below + bad / 2.0)) / (max(goods) * max(bads))
		FROM (SELECT good, bad, sum(bad) OVER (ORDER BY x1) - bad AS below, sum(good) OVER () AS goods, sum(bad) OVER () AS bads
		        FROM (SELECT x1, count(*) FILTER (WHERE NOT bad) AS good, count(*) FILTER (WHERE bad) AS bad FROM fit_case GROUP BY x1) g) w')"
done
compare "auc: window functions / credit.auc, s" "$windowed" "$ranked" ">= 5"
compare "fit of 20 columns / COPY of the rows out, s" "$fitted" "$copied" "-"
