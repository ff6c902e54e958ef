# shellcheck shell=bash
# Workers that are killed, that stand still, or that are told to stop; sourced by `run`.

readonly endless="epochs=100000"

# Both the program of rank 1 and the one that works for it.
check_restarts() {
  local victim run
  for victim in collapse-worker collapse; do
    run=restarted-$victim
    torchrun_options=(--max-restarts 1)
    begin_team "$run" 2 epochs=80
    torchrun_options=()
    expect "two workers train" is_training "$run"
    expect "$victim of rank 1 is killed" strike KILL "$run" 1 "$victim"
    expect "torchrun starts both again, and they end" ends "$run" 0
    expect "the run was begun and gone on with" test "$(stretches "$run")" = 2
    expect "with the bits of a run that nobody stopped" equal long "$run"
  done
}

# stretches RUN: how often it was begun or gone on with
stretches() {
  python3 -c 'import json, sys
print(len(json.load(open(sys.argv[1]))["stretches"]))' "$work/$1/manifest.json" 2>/dev/null || echo 0
}

check_dead() {
  local rank
  for rank in 1 0; do
    new_port
    begin_pair "dead-$rank" "$endless"
    expect "two workers train" is_training "dead-$rank.0" "dead-$rank"
    expect "collapse-worker of rank $rank is killed" strike KILL "dead-$rank.$rank" "$rank" collapse-worker
    expect "its program ends within seconds" fails "dead-$rank.$rank" 10
    expect "as does the other" fails "dead-$rank.$((1 - rank))" 10
    expect "the first says what killed it" says "dead-$rank.$rank" "signal 9"
    expect "the other who is gone" says "dead-$rank.$((1 - rank))" "worker.* is gone"
  done
  begin_team dead 2 "$endless"
  expect "under torchrun, two workers train" is_training dead
  expect "collapse of rank 1 is killed" strike KILL dead 1 collapse
  expect "torchrun ends" fails dead 20
}

# begin_pair NAME SETTING...: two workers by hand
begin_pair() {
  train "$@"
  begin_worker "$1" 0 2 "${command[@]}"
  begin_worker "$1" 1 2 "${command[@]}"
}

check_hung() {
  local rank
  for rank in 1 0; do
    new_port
    begin_pair "hung-$rank" "$endless" engine.timeout_minutes=0.1
    expect "two workers train" is_training "hung-$rank.0" "hung-$rank"
    expect "rank $rank stands still" strike STOP "hung-$rank.$rank" "$rank" collapse-worker
  done
  for rank in 1 0; do
    expect "a tenth of a minute after rank $rank, the other has given up" fails "hung-$rank.$((1 - rank))" 25
    expect "and says why" says "hung-$rank.$((1 - rank))" "worker.*(is gone or does not answer|has said nothing)"
    strike CONT "hung-$rank.$rank" "$rank" collapse-worker >>"$details" || true
    expect "when rank $rank moves again, it ends too" fails "hung-$rank.$rank" 25
  done
}

check_signals() {
  new_port
  begin_pair signals "$endless"
  expect "two workers train" is_training signals.0 signals
  expect "rank 1 alone is told that time runs out" strike USR1 signals.1 1 collapse
  expect "it ends with the status that asks for another start" ends signals.1 75 20
  expect "as does rank 0" ends signals.0 75 20
  expect "which has made a checkpoint" says signals.0 "checkpoint was made"
  new_port
  begin_worker signals-again 0 2 "$program" resume "$work/signals"
  begin_worker signals-again 1 2 "$program" resume "$work/signals"
  local count
  count=$(epochs signals)
  expect "both go on" within "$patience" has_trained signals $((count + 2))
  expect "rank 0 is told to stop" strike TERM signals-again.0 0 collapse
  expect "and does" ends signals-again.0 130 20
  expect "as does rank 1" ends signals-again.1 130 20
}
