# bench/30_score.sh
# scoring rows by 20 characteristics: credit.score against one SQL CASE, with and without JIT, PL/pgSQL, and Python with numpy
#
# Each is the whole query as a user sees it, the sum of the scores over the table, in one process. Python's is the time from
# the COPY to the printed sum. All must come to the same sum.

scored=$PLACE/score
mkdir -p "$scored"
sql -f "$place_top/bench/scoring.sql" > /dev/null
query_of() { sql -At -c "SELECT query FROM scoring_bench.query WHERE name = '$1'"; }
for name in bare score case plpgsql copy rules; do
	query_of "$name" > "$scored/$name"
done
chmod -R a+rX "$scored"
score_settings="SET timezone = 'Asia/Shanghai'; SET max_parallel_workers_per_gather = 0"
jit_on="SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0"
# sum_of NAME: what the query comes to; seconds_to NAME [SETTING]: what it takes
sum_of() { place_do psql -X -q -At -v ON_ERROR_STOP=1 -c "$score_settings" -f "$scored/$1"; }
seconds_to() { place_do psql -X -q -v ON_ERROR_STOP=1 -c "$score_settings" -c "${2:-SELECT}" -c '\timing on' -f "$scored/$1" | awk '/^Time: / { printf "%.4f\n", $2 / 1000 }'; }
by_python() { place_do psql -X -q -v ON_ERROR_STOP=1 -c "$score_settings" -f "$scored/copy" | /usr/bin/python3 "$place_top/bench/score.py" "$(< "$scored/rules")"; }

expected=$(sum_of score)
for got in "$(sum_of case)" "$(sum_of plpgsql)" "$(by_python)"; do
	[ "$got" = "$expected" ] || place_fail "the ways to score do not come to one sum" "$expected is credit.score's, $got another's"
done
bare="" score="" score_jit="" case="" case_jit="" plpgsql="" python=""
for _ in $(seq "$rounds"); do
	bare="$bare $(seconds_to bare)"
	score="$score $(seconds_to score)"
	case="$case $(seconds_to case)"
	score_jit="$score_jit $(seconds_to score "$jit_on")"
	case_jit="$case_jit $(seconds_to case "$jit_on")"
	plpgsql="$plpgsql $(seconds_to plpgsql)"
	began=$(date +%s.%N)
	by_python > /dev/null
	python="$python $(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.4f", b - a }')"
done
compare "$rows rows: SQL CASE / credit.score, s" "$case" "$score" ">= 3"
compare "$rows rows: SQL CASE with JIT / credit.score, s" "$case_jit" "$score" ">= 1"
compare "$rows rows: SQL CASE with JIT / credit.score with JIT, s" "$case_jit" "$score_jit" ">= 1"
compare "$rows rows: PL/pgSQL / credit.score, s" "$plpgsql" "$score" ">= 15"
compare "$rows rows: Python with numpy, through COPY / credit.score, s" "$python" "$score" ">= 1"
compare "$rows rows: credit.score / bare scan, s" "$score" "$bare" "-"
sql -c "DROP SCHEMA scoring_bench CASCADE" -c "SELECT credit.retire_model('scoring_bench', 1)" > /dev/null 2>&1
