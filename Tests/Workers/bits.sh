# shellcheck shell=bash
# How many workers there are changes no bit; sourced by `run`.

check_bits() {
  expect_bits "float32, mixup" short
  alone vit model.name=vit-xs-4 mixup.kind=cutmix optimizer.gradient_clip=0.5 epochs=3
  expect_bits "a transformer, cutmix, gradients clipped" vit \
    model.name=vit-xs-4 mixup.kind=cutmix optimizer.gradient_clip=0.5 epochs=3
  # Where the processor has no such operations, this takes long, and is computed in another way.
  if grep -q avx512_bf16 /proc/cpuinfo; then
    alone half precision=bf16 gradient_sums=bf16 optimizer.gradient_clip=0.5 epochs=5
    expect_bits "bfloat16, gradients clipped, sums in bfloat16" half \
      precision=bf16 gradient_sums=bf16 optimizer.gradient_clip=0.5 epochs=5
  else
    say "  skipped bfloat16: this processor has no avx512_bf16"
  fi
  alone two-parts gradient_accumulation=2
  expect "another number of parts gives others" not equal short two-parts
  begin_team becomes 2 gradient_accumulation=1
  expect "with one part a batch, two workers" ends becomes 0
  expect "make two of it" equal two-parts becomes
  expect "and write so" grep -qx "gradient_accumulation: 2" "$work/becomes/config.yaml"
  alone one-norm gradient_accumulation=1 batch_norm=whole
  begin_team whole 2 gradient_accumulation=1 batch_norm=whole
  expect "two workers that share batch statistics" ends whole 0
  expect "train as one does, but for rounding" first_loss_is_near one-norm whole
}

# expect_bits WHAT RUN SETTING...: two and four workers give the files of a run of one
expect_bits() {
  local count
  for count in 2 4; do
    begin_team "$2-$count" "$count" "${@:3}"
    expect "$1: $count workers" ends "$2-$count" 0
    expect "give what one gives" equal "$2" "$2-$count"
  done
}

# first_loss_is_near RUN RUN: that of the first epoch, since rounding grows from there
first_loss_is_near() {
  python3 - "$work/$1/metrics.jsonl" "$work/$2/metrics.jsonl" <<'PYTHON'
import json, sys
one, other = (json.loads(open(path).readline())["train_loss"] for path in sys.argv[1:])
print(one, other)
sys.exit(not abs(one - other) < 1e-3 * one)
PYTHON
}

check_resume() {
  local count
  begin_team long-resumed 2 epochs=80
  expect "two workers train" is_training long-resumed
  kill -TERM "${started[long-resumed]}"
  expect "torchrun is told to stop, and stops" fails long-resumed
  expect "rank 0 says how to go on" says long-resumed "collapse resume"
  expect "not all epochs were made" not has_trained long-resumed 80
  # Four go on a little, and one makes the rest.
  begin resumed-4 torchrun_of 4 "$program" resume "$work/long-resumed"
  count=$(epochs long-resumed)
  expect "four go on" within "$patience" has_trained long-resumed $((count + 2))
  kill -TERM "${started[resumed-4]}"
  expect "and are stopped" fails resumed-4
  begin resumed-1 "$program" resume "$work/long-resumed"
  expect "one makes the rest" ends resumed-1 0
  expect "with the bits of a run that nobody stopped" equal long long-resumed
}
