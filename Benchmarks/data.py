"""Packing folders of images, and training on more of them than data.memory, beside training with all of them resident.

Makes folders of synthetic JPEGs in a directory of its own, which is removed afterwards. Contestants take turns. Prints
Markdown; `Benchmarks/RESULTS-data.md` is what it gave.
"""

import argparse
import datetime
import io
import multiprocessing
import os
import platform
import pty
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / ".build" / "release" / "collapse"
CLASSES = 10
PROGRESS = re.compile(rb"step (\d+)/\d+")


def log(text):
    print(text, file=sys.stderr, flush=True)


def spread(values, digits=0):
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def make_folder(path, size, training, test):
    """JPEGs of colour gradients with noise, as many different ones as matter, as often as is asked for."""
    noise = np.random.default_rng(size)
    files = []
    for _ in range(256):
        coarse = Image.fromarray(noise.integers(0, 256, (8, 8, 3), np.uint8))
        image = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)).astype(np.int16)
        image += noise.integers(-12, 13, image.shape, np.int16)
        buffer = io.BytesIO()
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
        files.append(buffer.getvalue())
    for split, count in (("train", training), ("test", test)):
        for label in range(CLASSES):
            (path / split / f"c{label}").mkdir(parents=True)
        for number in range(count):
            name = path / split / f"c{number % CLASSES}" / f"{number:07}.jpg"
            with open(name, "wb") as file:
                file.write(files[number % len(files)])
    return statistics.mean(map(len, files))


def environment(cache):
    return os.environ | {"COLLAPSE_CACHE": str(cache)}


def pack(folder, cache, cores):
    """Seconds that a folder takes to be packed on some cores."""
    shutil.rmtree(cache, ignore_errors=True)
    command = ["taskset", "-c", cores, PROGRAM, "data", "verify", "folder", "--path", folder, "--json"]
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment(cache), stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def decoded(path):
    with Image.open(path) as image:
        return len(image.convert("RGB").tobytes())


def decode(paths):
    return sum(map(decoded, paths))


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare_pools(folder, rounds):
    """Images a second decoded by two threads of one process, and by two processes."""
    paths = sorted(str(path) for path in (folder / "train").rglob("*.jpg"))
    parts = [paths[start:start + 100] for start in range(0, len(paths), 100)]
    found = {"threads": [], "processes": []}
    for _ in range(rounds):
        with ThreadPoolExecutor(2) as pool:
            found["threads"].append(len(paths) / seconds(lambda: list(pool.map(decoded, paths))))
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found["processes"].append(len(paths) / seconds(lambda: list(pool.imap_unordered(decode, parts))))
    return found


def memory(process):
    """Peak memory and anonymous memory of the process that trains, in MB."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "status").read_text()
        except OSError:
            continue
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        if fields.get("PPid") == str(process.pid) and fields["Name"].startswith("collapse-worke"):
            return [int(fields[name].split()[0]) / 1000 for name in ("VmHWM", "RssAnon")]
    return None


def train(folder, cache, options, measured, begin):
    """Steps a second from a step on, seconds to that step, and memory of a training that is ended after some time."""
    runs = tempfile.mkdtemp(dir=cache)
    command = [PROGRAM, "train", "--out", f"{runs}/run", "--set", "data.dataset=folder"]
    for setting in [f"data.path={folder}", *options]:
        command += ["--set", setting]
    # Progress is told more often to a terminal.
    ours, theirs = pty.openpty()
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment(cache), stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    first, last, peak, anonymous, tail, text = None, None, 0, 0, b"", b""
    try:
        while not (first and last[0] - first[0] >= measured):
            if not select.select([ours], [], [], 300)[0]:
                raise RuntimeError(f"no progress: {text[-500:]!r}")
            try:
                text = tail + os.read(ours, 65536)
            except OSError:
                raise RuntimeError(f"training ended: {tail[-500:]!r}") from None
            now, tail = time.perf_counter(), text[-2000:]
            steps = PROGRESS.findall(text)
            if not steps:
                continue
            last = now, int(steps[-1])
            if first is None and last[1] >= begin:
                first, ready = last, now - start
            used = memory(process)
            if used:
                peak, anonymous = max(peak, used[0]), max(anonymous, used[1])
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)
        time.sleep(1)
        shutil.rmtree(runs)
    return (last[1] - first[1]) / (last[0] - first[0]), ready, peak, anonymous


def measure(size, arguments, place):
    """One folder: how it is packed, and how it is trained on."""
    image_bytes = 3 * size * size
    training, few = int(arguments.gigabytes * 1e9 / image_bytes), int(arguments.packed * 1e9 / image_bytes)
    test = 200
    print(f"\n### {size}×{size} pixels\n")

    log(f"{size}: packing {few} images")
    folder, cache = place / "few", place / "cache"
    file_bytes = make_folder(folder, size, few, test)
    times = {"0": [], "0,1": []}
    for _ in range(arguments.rounds):
        for cores, taken in times.items():
            taken.append((few + test) / pack(folder, cache, cores))
    pools = compare_pools(folder, arguments.rounds)
    shutil.rmtree(folder)
    ratio = [two / one for one, two in zip(times["0"], times["0,1"])]
    print(f"JPEGs of {file_bytes:,.0f} bytes; {few:,} of them packed, {arguments.rounds} rounds:\n")
    print("| | images/s |\n|---|---|")
    print(f"| packed on one core | {spread(times['0'])} |")
    print(f"| packed on two cores | {spread(times['0,1'])} |")
    print(f"| ratio in a round | {spread(ratio, 2)} |")
    print(f"| decoded alone, two threads of one process | {spread(pools['threads'])} |")
    print(f"| decoded alone, two processes | {spread(pools['processes'])} |")

    log(f"{size}: making and packing {training} images")
    folder = place / "many"
    make_folder(folder, size, training, test)
    taken = pack(folder, cache, "0,1")
    pack_bytes = sum(path.stat().st_size for path in (cache / "packed").iterdir())
    print(f"\n{training:,} images became a pack of {pack_bytes / 1e9:.2f} GB in {taken:.0f} s.")

    # Of small images, streamed training reads and checks a whole block for most of them until then.
    begin = 200 if size < 100 else 20
    options = [
        "model.name=wrn-10-1", "epochs=1", f"batch_size={arguments.batch_size}", "device=cpu",
        f"data.augmentation={arguments.augmentation}",
    ]
    ways = {"resident": "1000", "streamed": "0.5"}
    results = {way: [] for way in ways}
    for round_number in range(arguments.rounds):
        # Each goes first as often as the other, but for one.
        for way in list(ways)[:: 1 if round_number % 2 == 0 else -1]:
            found = train(folder, cache, [*options, f"data.memory={ways[way]}"], arguments.seconds, begin)
            log(f"{size}: {way}: {found[0]:.2f} steps/s, {found[2]:.0f} MB")
            results[way].append(found)
    shutil.rmtree(folder)
    shutil.rmtree(cache)
    print(f"\n{options[0].split('=')[1]}, batch {arguments.batch_size}, {arguments.augmentation}, mixup; "
          f"{arguments.rounds} pairs of {arguments.seconds} s:\n")
    print(f"| | images/s | s to step {begin} | peak memory, MB | anonymous memory, MB |\n|---|---|---|---|---|")
    for way, memory_setting in ways.items():
        rates, ready, peak, anonymous = zip(*results[way])
        rates = [rate * arguments.batch_size for rate in rates]
        print(f"| {way}, `data.memory: {memory_setting}` | {spread(rates)} | {spread(ready, 1)} "
              f"| {spread(peak)} | {spread(anonymous)} |")
    ratio = [b[0] / a[0] for a, b in zip(results["resident"], results["streamed"])]
    print(f"\nStreamed over resident, pair by pair: {spread(ratio, 3)}.", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 224], help="pixels a side")
    parser.add_argument("--gigabytes", type=float, default=6, help="decoded training images")
    parser.add_argument("--packed", type=float, default=0.2, help="gigabytes that packing is timed with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20, help="of training that are timed")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--augmentation", default="crop-flip")
    parser.add_argument("--directory", help="where folders and packs are made, about 10 GB")
    arguments = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    print("# Data larger than memory\n")
    print(f"Written by `Benchmarks/run data {' '.join(sys.argv[1:])}`.\n".replace(" `", "`"))
    print(f"- {datetime.date.today()}, commit {commit}, Pillow {PIL.__version__}")
    print(f"- {platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}; medians (least to most)")
    print(f"- load of the machine before: {os.getloadavg()[0]:.1f}")
    place = Path(tempfile.mkdtemp(prefix="collapse-data-", dir=arguments.directory))
    try:
        for size in arguments.sizes:
            measure(size, arguments, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f"\nLoad of the machine after: {os.getloadavg()[0]:.1f}")


main()
