# shellcheck shell=bash
# Runs of several workers, started by srun; sourced by `run`.

check_workers() {
  local sweep=$work/workers job options
  # Names of the nodes are Slurm's own here, and no host's.
  export MASTER_ADDR=127.0.0.1
  write_configuration_of_run "$work/run.yaml" 3
  expect "one worker trains a run" timeout 60 "$program" train --config "$work/run.yaml" --out "$work/one"
  expect "srun's two, on two nodes, train it too" \
    timeout 60 srun --nodes=2 --ntasks=2 "$program" train --config "$work/run.yaml" --out "$work/two"
  expect "to the same bits" equal_runs "$work/one" "$work/two"

  make_sweep "$work/workers-sweep.yaml" 1 10
  sed -i 's/^  batch_size: .*/&\n  gradient_accumulation: 2/' "$work/workers-sweep.yaml"
  options=$(profile workers 'prefix: [srun]' 'options: {ntasks: 2}')
  expect "a sweep of one cell with two tasks is submitted" submit "$work/workers-sweep.yaml" "$sweep" "$options"
  job=$(jobs_of "$sweep" cells)
  expect "it has begun" within 40 has_begun "$sweep" 0
  expect "with two workers" grep -q "2 workers (srun)" "$(run_of "$sweep" 0)/log.txt"
  timeout 5 scancel --signal=USR1 --batch "${job}_0" >>"$details" 2>&1 || true
  expect "told to make a checkpoint, it is put back into the queue" within 30 was_put_back "$sweep" "$job"
  cp "$(run_of "$sweep" 0)/metrics.jsonl" "$work/before-workers"
  expect "and goes on and ends" within 120 is_done "$sweep" 0
  expect "nothing that was done is lost" goes_on "$work/before-workers" "$sweep" 0
  expect "it was begun twice" test "$(starts "$sweep" 0)" = 2
  expect "and has every epoch once" is_whole "$sweep" 0
  unset MASTER_ADDR
}

# write_configuration_of_run FILE EPOCHS: two parts a batch
write_configuration_of_run() {
  write_sweep "$1.sweep" 1 "$2"
  sed -n '/^base:/,/^vary:/s/^  //p' "$1.sweep" >"$1"
  echo "gradient_accumulation: 2" >>"$1"
}

# equal_runs DIR DIR
equal_runs() {
  local file
  for file in metrics.jsonl checkpoints/last.safetensors captures/all-classes.safetensors; do
    cmp "$1/$file" "$2/$file" || return 1
  done
}
