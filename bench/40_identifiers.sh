# bench/40_identifiers.sh
# COPY of codes: credit.uscc against text without a check, with a regular expression, with the check digit in PL/pgSQL
#
# The script loads all in turn itself and gives the medians.

copied=$(sql -At -F '|' -v dir="$PLACE/tmp" -v rounds="$rounds" -v codes="$rows" -f "$place_top/bench/uscc.sql") ||
	place_fail "bench/uscc.sql fails" "the error is above"
copied_seconds() { printf '%s\n' "$copied" | awk -F '|' -v name="$1" '$1 == name { print $2 }'; }

compare "COPY: credit.uscc / text, s" "$(copied_seconds credit.uscc)" "$(copied_seconds text)" "<= 1.3"
compare "COPY: text with regular expression / credit.uscc, s" "$(copied_seconds 'text, CHECK regular expression')" "$(copied_seconds credit.uscc)" "-"
compare "COPY: text with PL/pgSQL check digit / credit.uscc, s" "$(copied_seconds 'text, CHECK check digit in PL/pgSQL')" "$(copied_seconds credit.uscc)" "-"
