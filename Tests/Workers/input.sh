# shellcheck shell=bash
# What is different on one worker, or makes no sense; sourced by `run`.

check_input() {
  expect_differences
  expect_senseless_worlds
  train taken
  mkdir "$work/taken" && echo mine >"$work/taken/notes.txt"
  new_port
  begin_worker exists 0 2 "${command[@]}"
  begin_worker exists 1 2 "${command[@]}"
  expect "a directory that exists is refused" fails exists.0 30
  expect "by its name" says exists.0 "taken.*exists"
  expect "which ends the others" fails exists.1 30
  expect "and they say it too" says exists.1 "worker 0 .*exists"
  train no-device
  new_port
  begin_worker device 0 2 "${command[@]}"
  begin_worker device 1 2 "${command[@]}" --device cuda:7
  expect "a device that is not there ends its worker" fails device.1 30
  expect "which names it" says device.1 "cuda"
  expect "and the others" fails device.0 30
  expect "which name the worker" says device.0 "[Ww]orker 1 "
}

# expect_refusal WHAT NAME PATTERN: both workers end, and each says so
expect_refusal() {
  expect "$1: rank 0 ends" fails "$2.0" 30
  expect "as does rank 1" fails "$2.1" 30
  expect "rank 0 says what differs, and where" says "$2.0" "$3"
  expect "and so does rank 1" says "$2.1" "$3"
}

expect_differences() {
  train other-setting
  new_port
  begin_worker setting 0 2 "${command[@]}"
  begin_worker setting 1 2 "${command[@]}" --set optimizer.weight_decay=0.0007
  expect_refusal "another setting" setting \
    "[Ww]orker 1 .*weight_decay: (0\.0007|7e-0?4).*[Ww]orker 0 .*(0\.0001|1e-0?4)"
  expect "and no run was begun" not test -e "$work/other-setting"
  new_port
  begin_worker buckets 0 2 "${command[@]}"
  begin_worker buckets 1 2 "${command[@]}" --set engine.bucket_mb=2
  expect_refusal "other buckets" buckets "[Ww]orker 1 .*engine.bucket_mb: 2.*[Ww]orker 0 .*0\.04"
  if "$root/.collapse/venv/bin/python" -c 'import PIL' 2>/dev/null; then
    write_folders
    new_port
    train other-image data.dataset=folder data.padding=0 capture.class_count=0
    command=(env "COLLAPSE_PYTHON=$root/.collapse/venv/bin/python" "COLLAPSE_CACHE=$work/cache" "${command[@]}")
    begin_worker image 0 2 "${command[@]}" --set "data.path=$work/folder-0"
    begin_worker image 1 2 "${command[@]}" --set "data.path=$work/folder-1"
    expect_refusal "one image of a folder differs" image "[Ww]orker 1 .*other training images"
  else
    say "  skipped other images: there is no Pillow"
  fi
}

# Two directories of images, of which one differs by one point of one image.
write_folders() {
  "$root/.collapse/venv/bin/python" - "$work" <<'PYTHON'
import os, random, sys
from PIL import Image
for folder in (0, 1):
    stream = random.Random(2)
    for part, count in (("train", 16), ("test", 4)):
        for label in ("cats", "dogs"):
            directory = f"{sys.argv[1]}/folder-{folder}/{part}/{label}"
            os.makedirs(directory)
            for index in range(count):
                image = Image.frombytes("RGB", (12, 12), bytes(stream.randrange(256) for _ in range(432)))
                if folder and part == "train" and label == "dogs" and index == 9:
                    image.putpixel((3, 3), (1, 2, 3))
                image.save(f"{directory}/{index}.png")
PYTHON
}

expect_senseless_worlds() {
  train senseless
  begin no-size env RANK=0 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 "${command[@]}"
  expect "RANK without WORLD_SIZE is refused" fails no-size 20
  expect "by its name" says no-size "WORLD_SIZE is not"
  begin rank env RANK=2 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 "${command[@]}"
  expect "a rank beyond the world is refused" fails rank 20
  expect "with what it may be" says rank "RANK is \"2\".*from 0 to 1"
  begin_team parts 3
  expect "three workers cannot share four parts" fails parts 40
  expect "and it is said how many could" says parts "could be 1, 2, 4"
  expect_unreachable_places
}

expect_unreachable_places() {
  train unreachable
  python3 -c '
import socket, sys, time
held = socket.socket()
held.bind(("127.0.0.1", 0))
held.listen()
open(sys.argv[1], "w").write(str(held.getsockname()[1]))
time.sleep(120)' "$work/held-port" &
  local holder=$!
  within 10 test -s "$work/held-port"
  port=$(cat "$work/held-port")
  begin_worker held 0 2 "${command[@]}"
  expect "a port that another program has is refused" fails held.0 30
  expect "by its number" says held.0 "port $port.*(in use|EADDRINUSE)"
  kill "$holder"
  wait "$holder" 2>/dev/null || true
  new_port
  address=no-such-host.invalid begin_worker name 1 2 "${command[@]}"
  expect "an address that is no host's is refused" fails name.1 30
  expect "by its name" says name.1 "no-such-host.invalid.*MASTER_ADDR"
}
