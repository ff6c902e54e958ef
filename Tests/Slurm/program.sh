# shellcheck shell=bash
# How the program is asked, and what is looked for in its files; sourced by `run`.

# prepare_program DIR: data to train on, and how many epochs a second takes at best: work beside it makes cells only
# longer, never too short to be told something on the way
prepare_program() {
  data=$1/data rate=1
  mkdir -p "$data"
  write_images "$data"
  # The time of a start comes out in the difference.
  local few=4 many=64 try count start first second found
  write_sweep "$1/few.yaml" 1 "$few"
  write_sweep "$1/many.yaml" 1 "$many"
  for try in 1 2 3; do
    first="" second=""
    for count in few many; do
      start=$(milliseconds)
      timeout 60 "$program" sweep "$1/$count.yaml" --out "$1/$count-$try" >>"$details" 2>&1 || return 1
      first=${second:-0} second=$(($(milliseconds) - start))
    done
    found=$(((many - few) * 1000 / (second > first ? second - first : 1000)))
    ((found <= rate)) || rate=$found
  done
  say "  a second is $rate epochs"
}

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# write_sweep FILE CELLS EPOCHS [failing]: so many cells, and then one that fails
write_sweep() {
  local decays
  decays=$(seq --separator=', ' --format='%g' 0.0001 0.0001 "$(printf '0.%04d' "$2")")
  cat >"$1" <<YAML
base:
  device: cpu
  precision: fp32
  threads: 1
  data: {dataset: idx, path: "$data", padding: 1}
  model: {name: wrn-10-1}
  epochs: $3
  batch_size: 16
  capture: {samples: 60, batch_size: 30}
vary:
  - {optimizer.weight_decay: [$decays]}
YAML
  if [[ ${4:-} == failing ]]; then echo "  - {data.path: [\"$data/none\"]}" >>"$1"; fi
}

# make_sweep FILE CELLS SECONDS [failing]: cells that take about so long each
make_sweep() { write_sweep "$1" "$2" $(($3 * rate)) "${@:4}"; }

# submit FILE DIR PROFILE: gives a sweep to Slurm; the same command goes on with it
submit() { timeout 60 "$program" sweep "$1" --out "$2" --launcher slurm --profile "$3"; }

# run_of DIR CELL: the directory of a cell's run; nothing before it has begun
run_of() {
  local identity
  identity=$(python3 -c 'import json, sys
print(json.load(open(sys.argv[1] + "/plan.json"))["cells"][int(sys.argv[2])]["identity"][:12])' "$@") || return 0
  compgen -G "$1/runs/*-$identity" || true
}

is_done() { [[ -f $(run_of "$@")/summary.json ]]; }

# epochs DIR CELL: how many it has made so far
epochs() { wc -l 2>/dev/null <"$(run_of "$@")/metrics.jsonl" || echo 0; }

# has_checkpoint DIR CELL
has_checkpoint() { compgen -G "$(run_of "$@")/checkpoints/state*" >/dev/null; }

# starts DIR CELL: how often it was begun or gone on with
starts() {
  python3 -c 'import json, sys
print(len(json.load(open(sys.argv[1]))["stretches"]))' "$(run_of "$@")/manifest.json" 2>/dev/null || echo 0
}

# is_whole DIR CELL: every epoch is there once, in order
is_whole() {
  python3 -c 'import json, sys
rows = [json.loads(line)["epoch"] for line in open(sys.argv[1])]
sys.exit(rows != list(range(1, len(rows) + 1)))' "$(run_of "$@")/metrics.jsonl"
}

# goes_on FILE DIR CELL: the rows of metrics that a file has are still there
goes_on() {
  [[ -s $1 ]] && cmp --silent --bytes="$(stat --format=%s "$1")" "$1" "$(run_of "$2" "$3")/metrics.jsonl"
}

# jobs_of DIR CELLS|follow-up: numbers of the arrays, or of the jobs that run the command again; oldest first
jobs_of() {
  python3 -c 'import json, sys
for job in json.load(open(sys.argv[1] + "/slurm/jobs.json"))["jobs"]:
    if ("cells" in job) == (sys.argv[2] == "cells"):
        print(job["id"])' "$@"
}
