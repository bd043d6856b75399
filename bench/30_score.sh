# bench/30_score.sh
# scoring 1,000,000 rows: credit.score against one SQL CASE expression and a PL/pgSQL function
#
# The script runs the queries in turn itself and gives the medians.

scored=$(sql -At -F '|' -f "$place_top/bench/scoring.sql") || place_fail "bench/scoring.sql fails" "the error is above"
scored_seconds() { printf '%s\n' "$scored" | awk -F '|' -v name="$1" '$1 == name { print $2 }'; }

compare "scoring: SQL CASE / credit.score, s" "$(scored_seconds 'SQL CASE')" "$(scored_seconds credit.score)" ">= 2"
compare "scoring: PL/pgSQL / credit.score, s" "$(scored_seconds PL/pgSQL)" "$(scored_seconds credit.score)" ">= 10"
compare "scoring: credit.score / bare scan, s" "$(scored_seconds credit.score)" "$(scored_seconds 'bare scan')" "-"
