# shellcheck shell=bash
# Expectations of test programmes in bash; sourced by them. They set `work` (a directory of theirs), `details` (a file
# for what commands say) and `limit` (seconds for all of it).
# shellcheck disable=SC2154

failures=0

say() { printf '%s\n' "$*"; }

# expect WHAT COMMAND...: says whether it succeeds, and what it said if it does not
expect() {
  local said=$work/said
  if "${@:2}" >"$said" 2>&1; then
    say "  ok      $1 (${SECONDS} s)"
  else
    say "  FAILED  $1 (${SECONDS} s)"
    tail -n 12 "$said" | cut -c 1-200 | sed 's/^/          /'
    failures=$((failures + 1))
  fi
  cat "$said" >>"$details"
}

# within SECONDS COMMAND...: whether it succeeds in so long, tried again and again
within() {
  local end=$((SECONDS + $1))
  ((end <= limit)) || end=$limit
  until "${@:2}"; do
    ((SECONDS < end)) || return 1
    sleep 0.3
  done
}

not() { ! "$@"; }
