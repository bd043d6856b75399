# bench/31_fit.sh
# credit.fit_logistic and credit.fit_scorecard of 20 columns against R's glm, and credit.auc against window functions
#
# R has the rows in memory before its clock starts, which a database's user has not: the last pair is that reading alone, as text.
# Its glm is given 20 columns, and their weights of evidence in 10 quantiles.  Without R (r-base-core, installed here by root) its
# pairs are left out.

columns=$(seq -s ', ' -f 'x%g' 1 20)
sql -c 'DROP TABLE IF EXISTS fit_case, rank_case' \
	-c "CREATE TABLE fit_case AS
	    SELECT random() + $(seq -s ' + ' -f 'x%g * 0.1' 1 20) > 1.5 AS bad, x.*
	      FROM generate_series(1, $rows) i,
	           LATERAL (SELECT $(seq -s ', ' -f 'random() + i * 0 AS x%g' 1 20)) x" \
	-c "CREATE TABLE rank_case AS SELECT random() AS score, random() < 0.1 AS bad FROM generate_series(1, 10 * $rows)" \
	-c 'VACUUM ANALYZE fit_case' -c 'VACUUM ANALYZE rank_case' ||
	place_fail "the sample cannot be made" "the error is above"
command -v Rscript > /dev/null || [ "$(id -u)" != 0 ] ||
	{ place_apt update && place_apt install --no-install-recommends -y r-base-core; } || true
with_r=""
if command -v Rscript > /dev/null; then
	with_r=yes
	sql -c "COPY (SELECT bad, $columns FROM fit_case) TO '$PLACE/tmp/fit_case.csv' (FORMAT csv, HEADER)"
	place_do Rscript "$place_top/bench/31_fit.R" "$PLACE/tmp/fit_case.csv" > /dev/null || place_fail "R fails" "the error is above"
else
	printf '   R is not there: no pairs with glm\n'
fi

fitted="" carded="" plain="" binned="" copied="" ranked="" windowed=""
for _ in $(seq "$rounds"); do
	if [ -n "$with_r" ]; then
		read -r one two < <(place_do Rscript "$place_top/bench/31_fit.R" "$PLACE/tmp/fit_case.csv")
		plain="$plain $one" binned="$binned $two"
	fi
	fitted="$fitted $(seconds_of "SELECT credit.fit_logistic('fit_case', 'bad', '{$columns}')")"
	carded="$carded $(seconds_of "SELECT credit.fit_scorecard('fit', 'fit_case', 'bad', '{$columns}')")"
	copied="$copied $(seconds_of "COPY fit_case TO '/dev/null'")"
	windowed="$windowed $(seconds_of 'SELECT sum(good * (below + bad / 2.0)) / (max(goods) * max(bads))
		FROM (SELECT good, bad, sum(bad) OVER (ORDER BY score) - bad AS below, sum(good) OVER () AS goods, sum(bad) OVER () AS bads
		        FROM (SELECT score, count(*) FILTER (WHERE NOT bad) AS good, count(*) FILTER (WHERE bad) AS bad
		                FROM rank_case GROUP BY score) g) w')"
	ranked="$ranked $(seconds_of 'SELECT credit.auc(score, bad) FROM rank_case')"
done
compare "auc of 10 x rows: window functions / credit.auc, s" "$windowed" "$ranked" ">= 5"
if [ -n "$with_r" ]; then
	compare "fit of 20 columns: R glm in memory / fit_logistic, s" "$plain" "$fitted" "-"
	compare "scorecard of 20: R bins, glm in memory / fit_scorecard, s" "$binned" "$carded" "-"
fi
compare "fit of 20 columns / COPY of the rows out, s" "$fitted" "$copied" "-"
