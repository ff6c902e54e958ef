# shellcheck shell=bash
# How workers are started, found and waited for, and what is looked for in their files; sourced by `run`.
#
# Whatever is started has a name; what it says is in $work/NAME.log. COLLAPSE_TEST_WORKERS in the surroundings of all its
# processes says $work/NAME: so they are found again, whatever has become of those that started them.

declare -A started=()
readonly patience=60  # seconds for what takes a few when nothing else runs

torch_version() { sed -n "s/^__version__ = '\(.*\)'/\1/p" "$("$(dirname "$torchrun")/python" -c '
import importlib.util; print(importlib.util.find_spec("torch").submodule_search_locations[0])')/version.py"; }

# ---- Starting ----------------------------------------------------------------------------------

# begin NAME COMMAND...
begin() {
  COLLAPSE_TEST_WORKERS=$work/$1 "${@:2}" >"$work/$1.log" 2>&1 &
  started[$1]=$!
}

# torchrun_of COUNT COMMAND...: with options of torchrun's own from `torchrun_options`
torchrun_of() {
  # Of runs at once, each needs a port of its own.
  exec "$torchrun" --no-python --standalone --nproc-per-node "$1" "${torchrun_options[@]}" "${@:2}"
}
torchrun_options=()

# train OUT SETTING...: the command that all workers are given, in `command`
train() {
  command=("$program" train --config "$work/configuration.yaml" --out "$work/$1")
  local setting
  for setting in "${@:2}"; do command+=(--set "$setting"); done
}

# begin_team NAME COUNT SETTING...: workers under torchrun, which make a run called NAME
begin_team() {
  train "$1" "${@:3}"
  begin "$1" torchrun_of "$2" "${command[@]}"
}

# begin_worker NAME RANK SIZE COMMAND...: one worker by hand, called NAME.RANK, at `address` and `port`
begin_worker() {
  begin "$1.$2" env RANK="$2" WORLD_SIZE="$3" LOCAL_RANK="${local_rank:-$2}" LOCAL_WORLD_SIZE="${local_size:-$3}" \
    MASTER_ADDR="${address:-127.0.0.1}" MASTER_PORT="$port" "${@:4}"
}

# new_port: in `port`, one that is free
new_port() { port=$(free_ports 1); }

# ---- Waiting -----------------------------------------------------------------------------------

# status_of NAME [SECONDS]: waits for its end; its status in `status`, 124 if it does not end
status_of() {
  local end=$((SECONDS + ${2:-$patience})) number=${started[$1]}
  status=124
  while kill -0 "$number" 2>/dev/null; do
    ((SECONDS < end && SECONDS < limit)) || return 0
    sleep 0.1
  done
  status=0
  wait "$number" || status=$?
}

# ends NAME STATUS [SECONDS]: whether it does so in time; its words if not
ends() {
  status_of "$1" "${3:-$patience}"
  [[ $status == "$2" ]] || {
    echo "status $status, not $2; it said:"
    tail -n 8 "$work/$1.log"
    return 1
  }
}

fails() {
  status_of "$1" "${2:-$patience}"
  [[ $status != 0 && $status != 124 ]] || {
    echo "status $status (124: it does not end); it said:"
    tail -n 8 "$work/$1.log"
    return 1
  }
}

# says NAME PATTERN: an extended regular expression. A line may be broken at any place.
says() {
  tr -s '\n ' '  ' <"$work/$1.log" | grep -Eq -- "$2" || {
    echo "there is no \"$2\" in:"
    grep -v '^W[0-9]* \|^E[0-9]* \|^ *$' "$work/$1.log" | tail -n 8
    return 1
  }
}

# ---- Processes ---------------------------------------------------------------------------------

# processes NAME [RANK PROGRAM]: of what was started so, or of all with the name *
processes() {
  local file pattern="COLLAPSE_TEST_WORKERS=$work/$1"
  if [[ $1 == '*' ]]; then pattern="COLLAPSE_TEST_WORKERS=$work/.*"; fi
  # Or what looks for them would find itself.
  local -x COLLAPSE_TEST_WORKERS=
  grep -lzx -- "$pattern" /proc/[0-9]*/environ 2>/dev/null | while read -r file; do
    [[ -z ${2:-} ]] || {
      grep -qzx "RANK=$2" "$file" 2>/dev/null && [[ $(cat "${file%environ}comm" 2>/dev/null) == "$3" ]]
    } || continue
    cut -d / -f 3 <<<"$file"
  done
}

# strike SIGNAL NAME RANK PROGRAM: sends it to a worker's process
strike() {
  local number
  number=$(processes "${@:2}" | head -n 1)
  [[ -n $number ]] || { echo "there is no $4 of rank $3" && return 1; }
  kill -s "$1" "$number"
}

all_gone() {
  within 10 nothing_runs || { echo "left:" && ps -o pid,args -p "$(processes '*' | paste -sd ,)" && return 1; }
}

nothing_runs() { [[ -z $(processes '*') ]]; }

end_all() {
  local signal numbers
  for signal in CONT TERM KILL KILL; do
    mapfile -t numbers < <(processes '*')
    ((${#numbers[@]})) || return 0
    kill -s "$signal" "${numbers[@]}" 2>/dev/null || true
    sleep 0.5
  done
  nothing_runs
}

# ---- Files -------------------------------------------------------------------------------------

# prepare: data, a configuration, and the run of one worker that others are compared with
prepare() {
  mkdir -p "$work/data"
  write_images "$work/data"
  cat >"$work/configuration.yaml" <<YAML
device: cpu
precision: fp32
threads: 1
data: {dataset: idx, path: "$work/data", padding: 1}
model: {name: wrn-10-1}
epochs: 10
batch_size: 16
gradient_accumulation: 4
engine: {bucket_mb: 0.04}  # several, of so small a network
capture: {samples: 60, batch_size: 30}
YAML
  alone short && alone long epochs=80
}

# alone NAME SETTING...: the run of one worker
alone() {
  train "$1" "${@:2}"
  "${command[@]}" >"$work/$1.log" 2>&1
}

# results RUN: what must be the same to the bit, by path
results() { (cd "$work/$1" && sha256sum metrics.jsonl checkpoints/*.safetensors captures/*.safetensors); }

# equal RUN RUN
equal() { diff <(results "$1") <(results "$2"); }

# epochs RUN: how many it has made so far
epochs() { wc -l 2>/dev/null <"$work/$1/metrics.jsonl" || echo 0; }

# has_trained RUN [EPOCHS]
has_trained() { (($(epochs "$1") >= ${2:-3})); }

# is_training NAME: it makes its way; its words if not
is_training() {
  within "$patience" has_trained "${2:-$1}" || {
    echo "$(epochs "${2:-$1}") epochs; it said:"
    tail -n 8 "$work/$1.log"
    return 1
  }
}
