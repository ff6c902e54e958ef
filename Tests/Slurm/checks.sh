# shellcheck shell=bash
# What is expected of sweeps on Slurm; sourced by `run`.

# ---- Jobs --------------------------------------------------------------------------------------

# state JOB: words of squeue, one a task; nothing for a job that is forgotten
state() { squeue --noheader --array --states=all --format=%T --jobs="$1" 2>/dev/null || true; }

is_running() { [[ $(state "$1") == RUNNING ]]; }

has_left() { [[ ! $(state "$1") =~ PENDING|RUNNING|COMPLETING|CONFIGURING ]]; }

# profile NAME LINE...: writes a profile and gives its path
profile() {
  printf '%s\n' 'time: 10' 'gpus: 1' 'cpus: 1' "setup: 'echo \"gpus: \$CUDA_VISIBLE_DEVICES\"'" "${@:2}" \
    >"$work/$1.yaml"
  echo "$work/$1.yaml"
}

# has_begun DIR CELL: it has a row of metrics, and time left
has_begun() { (($(epochs "$@") > 0)); }

all_done() {
  local cell
  for cell in $(seq 0 "$2"); do is_done "$1" "$cell" || return 1; done
}

# ---- Limits of time: the signal comes from Slurm's own clock ------------------------------------

start_limit() {
  make_sweep "$work/limit-sweep.yaml" 1 66
  # Slurm looks once a minute: the signal comes within the first one.
  local options
  options=$(profile limit 'signal_seconds: 59' 'constraint: only-node2')
  sed -i 's/^time: .*/time: 2/' "$options"
  expect "a cell with a limit of two minutes is submitted" submit "$work/limit-sweep.yaml" "$work/limit" "$options"
}

finish_limit() {
  local job
  job=$(jobs_of "$work/limit" cells)
  expect "before its limit of time, a cell is told to make a checkpoint, and put back into the queue" \
    within 90 was_put_back "$work/limit" "$job"
  expect "it ends" within 120 is_done "$work/limit" 0
  # On a busy machine its second start takes too long, too.
  expect "it was begun twice, or more often" test "$(starts "$work/limit" 0)" -ge 2
  expect "it has every epoch once" is_whole "$work/limit" 0
}

# ---- Signals -----------------------------------------------------------------------------------

start_signals() {
  make_sweep "$work/signals-sweep.yaml" 2 18
  expect "a sweep of two cells is submitted" \
    submit "$work/signals-sweep.yaml" "$work/signals" "$(profile signals)"
}

finish_signals() {
  local sweep=$work/signals job again
  job=$(jobs_of "$sweep" cells)
  expect "both have begun" within 40 both_begun "$sweep"
  expect "which the status of the sweep says" grep -q "2 running" <("$program" sweep status "$sweep")
  # scancel waits for answers that do not come when a task leaves at once.
  timeout 5 scancel --signal=USR1 --batch "${job}_0" >>"$details" 2>&1 || true
  expect "told to make a checkpoint, a cell is put back into the queue" within 40 was_put_back "$sweep" "$job"
  cp "$(run_of "$sweep" 0)/metrics.jsonl" "$work/before-signal"
  scancel "${job}_1"
  expect "a cell that is cancelled leaves" within 15 has_left "${job}_1"
  expect "with a checkpoint" has_checkpoint "$sweep" 1
  expect "and is not done" not is_done "$sweep" 1
  expect "the same command" submit "$work/signals-sweep.yaml" "$sweep" "$(profile signals)"
  again=$(jobs_of "$sweep" cells | tail -n 1)
  expect "submits the cancelled cell alone" test "$(list_of "$sweep" "$again")" = 1
  expect "which goes on and ends" within 60 is_done "$sweep" 1
  expect "as does the other" within 60 is_done "$sweep" 0
  expect "of which nothing that was done is lost" goes_on "$work/before-signal" "$sweep" 0
  expect "both were begun twice" test "$(starts "$sweep" 0)$(starts "$sweep" 1)" = 22
  expect "and have every epoch once" eval 'is_whole "$sweep" 0 && is_whole "$sweep" 1'
}

both_begun() { has_begun "$1" 0 && has_begun "$1" 1; }

# was_put_back DIR JOB: its first cell, which has begun again
was_put_back() { grep -q ": start 2" "$1/slurm/logs/$2_0.txt" && has_checkpoint "$1" 0; }

# list_of DIR JOB: the cells of an array
list_of() {
  python3 -c 'import json, sys
print(*(job["cells"] for job in json.load(open(sys.argv[1] + "/slurm/jobs.json"))["jobs"] if job["id"] == sys.argv[2]))' "$@"
}

# ---- Arrays, one failing cell, and what follows ------------------------------------------------

start_arrays() {
  make_sweep "$work/arrays-sweep.yaml" 10 2 failing
  expect "a sweep of ten cells and one that fails is submitted" \
    submit "$work/arrays-sweep.yaml" "$work/arrays" "$(profile arrays 'max_parallel: 2')"
  watch_arrays &
}

# The most cells that run at once, until the job that follows begins.
watch_arrays() {
  local sweep=$work/arrays jobs most=0 now log
  mapfile -t jobs < <(jobs_of "$sweep" cells)
  log=$sweep/slurm/logs/$(jobs_of "$sweep" follow-up).txt
  until [[ -f $log || ! -d $work ]] || ((SECONDS >= limit)); do
    now=$(squeue --noheader --array --states=RUNNING --jobs="$(IFS=,; echo "${jobs[*]}")" 2>/dev/null | wc -l)
    if ((now > most)); then
      most=$now
      echo "$most" >"$work/most"
    fi
    sleep 0.3
  done
}

finish_arrays() {
  local sweep=$work/arrays jobs follow
  mapfile -t jobs < <(jobs_of "$sweep" cells)
  follow=$(jobs_of "$sweep" follow-up)
  local log=$sweep/slurm/logs/$follow.txt
  expect "as two arrays, since indices go to 7" test "${#jobs[@]}" = 2
  expect "and a job that follows" test -n "$follow"
  expect "which begins" within 90 test -f "$log"
  expect "after all but the failing cell are done" all_done "$sweep" 9
  expect "the failing cell is not" not is_done "$sweep" 10
  expect "two cells ran at once, and never more" test "$(cat "$work/most")" = 2
  expect "cell 9 was task 1 of the second array" grep -q "cell 9, task ${jobs[1]}_1" "$sweep/slurm/logs/${jobs[1]}_1.txt"
  expect "each had one of the GPUs" grep -qx "gpus: [01]" "$sweep/slurm/logs/${jobs[0]}_0.txt"
  expect "what follows ends well" within 30 eval '[[ $(state "$follow") == COMPLETED ]]'
  local before
  before=$(jobs_of "$sweep" cells | wc -l)
  expect "the same command" submit "$work/arrays-sweep.yaml" "$sweep" "$(profile arrays 'max_parallel: 2')"
  expect "tries the failed cell alone again" test "$(list_of "$sweep" "$(jobs_of "$sweep" cells | tail -n 1)")" = 10
  expect "in one more array" test "$(jobs_of "$sweep" cells | wc -l)" = $((before + 1))
}

# ---- Refusals ----------------------------------------------------------------------------------

check_refusal() {
  local output status=0 script=$work/refused/slurm/cells-0.sh
  make_sweep "$work/refused-sweep.yaml" 1 1
  output=$(submit "$work/refused-sweep.yaml" "$work/refused" "$(profile refused 'partition: none')" 2>&1) || status=$?
  printf '%s\n' "$output" >>"$details"
  expect "what sbatch refuses fails" test "$status" != 0
  expect "with its message" grep -q "nvalid partition" <<<"$output"
  # A message may be broken into lines.
  expect "and the place of the script" eval '[[ $(tr -d " \n" <<<"$output") == *"$script"* && -f $script ]]'
}

# ---- More urgent jobs --------------------------------------------------------------------------

check_preemption() {
  local sweep=$work/preemption job
  make_sweep "$work/preemption-sweep.yaml" 1 8
  expect "a sweep of one cell is submitted" \
    submit "$work/preemption-sweep.yaml" "$sweep" "$(profile preemption 'constraint: only-node1')"
  job=$(jobs_of "$sweep" cells)
  expect "it has begun" within 30 has_begun "$sweep" 0
  sbatch --partition=urgent --nodelist=node1 --exclusive --output=/dev/null --wrap 'sleep 2' >>"$details" 2>&1
  expect "a more urgent job takes its node; it makes a checkpoint" \
    within 20 grep -q "status 130" "$sweep/slurm/logs/${job}_0.txt"
  cp "$(run_of "$sweep" 0)/metrics.jsonl" "$work/before-preemption"
  expect "and is started again after it, and ends" within 60 is_done "$sweep" 0
  expect "nothing that was done is lost" goes_on "$work/before-preemption" "$sweep" 0
  expect "it was begun twice" test "$(starts "$sweep" 0)" = 2
}

# ---- A node that fails -------------------------------------------------------------------------

check_node() {
  local sweep=$work/node job node
  make_sweep "$work/node-sweep.yaml" 1 12
  expect "a sweep of one cell is submitted" submit "$work/node-sweep.yaml" "$sweep" "$(profile node)"
  job=$(jobs_of "$sweep" cells)
  expect "it has begun" within 30 has_begun "$sweep" 0
  node=$(squeue --noheader --format=%N --jobs="$job")
  expect "on the node that is taken first" test "$node" = node1
  kill_node "$node"
  say "          $node is killed (${SECONDS} s)"
  expect "its cell is put back into the queue, and begins on the other node" \
    within 60 grep -q "node2: start 2" "$sweep/slurm/logs/${job}_0.txt"
  expect "and ends there" within 60 is_done "$sweep" 0
  expect "with every epoch once" is_whole "$sweep" 0
}
