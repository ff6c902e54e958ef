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


class Training:
    """A training that is let go on and stopped again, so that two of them can take turns on a machine that others use."""

    def __init__(self, folder, cache, options):
        self.directory = tempfile.mkdtemp(dir=cache)
        command = [PROGRAM, "train", "--out", f"{self.directory}/run", "--set", "data.dataset=folder"]
        for setting in [f"data.path={folder}", *options]:
            command += ["--set", setting]
        # Progress is told more often to a terminal.
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command, env=environment(cache), stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        self.text, self.step, self.worker, self.peak, self.anonymous = b"", 0, None, 0, 0

    def read(self, step):
        """Looks at progress until some steps are done."""
        while self.step < step:
            if not select.select([self.terminal], [], [], 300)[0]:
                raise RuntimeError(f"no progress: {self.text[-500:]!r}")
            try:
                self.text = self.text[-2000:] + os.read(self.terminal, 65536)
            except OSError:
                raise RuntimeError(f"training ended: {self.text[-500:]!r}") from None
            steps = PROGRESS.findall(self.text)
            self.step = int(steps[-1]) if steps else self.step
            self.look_at_memory()

    def look_at_memory(self):
        """Peak memory, and the most anonymous memory that was seen, of the process that trains, in MB."""
        if self.worker is None:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            self.worker = int(children[0]) if children else None
        if self.worker:
            lines = Path(f"/proc/{self.worker}/status").read_text().splitlines()
            fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            self.peak = int(fields["VmHWM"].split()[0]) / 1000
            self.anonymous = max(self.anonymous, int(fields["RssAnon"].split()[0]) / 1000)

    def reach(self, step):
        """Seconds until some steps are done; it is stopped then."""
        start = time.perf_counter()
        self.read(step)
        os.kill(self.worker, signal.SIGSTOP)
        return time.perf_counter() - start

    def processor_seconds(self):
        """Time of all processors that the process has used, its reading thread's too."""
        fields = Path(f"/proc/{self.worker}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def go_on(self, steps):
        """Steps that are done, and the seconds and the processors' seconds that they take."""
        before, used, start = self.step, self.processor_seconds(), time.perf_counter()
        os.kill(self.worker, signal.SIGCONT)
        # Progress is told of every ten or more, at once.
        self.read(before + steps)
        seconds = time.perf_counter() - start
        os.kill(self.worker, signal.SIGSTOP)
        return np.array([self.step - before, seconds, self.processor_seconds() - used])

    def end(self):
        if self.worker:
            os.kill(self.worker, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)
        shutil.rmtree(self.directory)


def compare_packing(size, few, arguments, place):
    """A small folder, packed on one core and on two."""
    test = 200
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


def measure(size, arguments, place):
    """One folder: how it is packed, and how it is trained on."""
    image_bytes = 3 * size * size
    training, few = int(arguments.gigabytes * 1e9 / image_bytes), int(arguments.packed * 1e9 / image_bytes)
    test = 200
    print(f"\n### {size}×{size} pixels\n")

    if few:
        compare_packing(size, few, arguments, place)
    log(f"{size}: making and packing {training} images")
    folder, cache = place / "many", place / "cache"
    make_folder(folder, size, training, test)
    taken = pack(folder, cache, "0,1")
    pack_bytes = sum(path.stat().st_size for path in (cache / "packed").iterdir())
    print(f"\n{training:,} images became a pack of {pack_bytes / 1e9:.2f} GB in {taken:.0f} s.")

    # Of small images, streamed training reads and checks a whole block for most of them until then.
    begin, batch, turn_steps = (200, 64, 60) if size < 100 else (30, 16, 20)
    options = [
        "model.name=wrn-10-1", "epochs=1", f"batch_size={batch}", "device=cpu", f"threads={arguments.threads}",
        f"data.augmentation={arguments.augmentation}",
    ]
    ways = {"resident": "1000", "streamed": "0.5"}
    trainings, ready, found = {}, {}, {way: [] for way in ways}
    try:
        for way, setting in ways.items():
            trainings[way] = Training(folder, cache, [*options, f"data.memory={setting}"])
            ready[way] = trainings[way].reach(begin)
            log(f"{size}: {way}: step {begin} after {ready[way]:.0f} s")
        for _ in range(arguments.rounds):
            sums = dict.fromkeys(ways, 0)
            # Each goes first as often as the other.
            for turn in range(arguments.turns):
                for way in list(ways)[:: 1 if turn % 2 == 0 else -1]:
                    sums[way] = sums[way] + trainings[way].go_on(turn_steps)
            for way in ways:
                steps, seconds, used = sums[way]
                found[way].append((steps * batch / seconds, steps * batch / used))
            log(f"{size}: {found}")
    finally:
        for training in trainings.values():
            training.end()
    shutil.rmtree(folder)
    shutil.rmtree(cache)
    print(f"\nwrn-10-1, batch {batch}, {arguments.augmentation}, mixup, {arguments.threads} threads; {arguments.rounds} "
          f"rounds of {arguments.turns} turns of {turn_steps} steps for each:\n")
    print(f"| | images/s | images a second of a processor | s to step {begin} | peak memory, MB "
          "| anonymous memory, MB |\n|---|---|---|---|---|---|")
    for way, setting in ways.items():
        rates = [spread(values) for values in zip(*found[way])]
        print(f"| {way}, `data.memory: {setting}` | {rates[0]} | {rates[1]} | {ready[way]:.0f} "
              f"| {trainings[way].peak:,.0f} | {trainings[way].anonymous:,.0f} |")
    for kind, what in enumerate(("by the clock", "by the processors' time")):
        ratio = [b[kind] / a[kind] for a, b in zip(found["resident"], found["streamed"])]
        print(f"\nStreamed over resident, {what}, round by round: {spread(ratio, 3)}.", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 224], help="pixels a side")
    parser.add_argument("--gigabytes", type=float, default=6, help="decoded training images")
    parser.add_argument("--packed", type=float, default=0.2, help="gigabytes that packing is timed with; 0: not")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=2, help="of each training in a round")
    parser.add_argument("--threads", type=int, default=1, help="of a training")
    parser.add_argument("--augmentation", default="crop-flip")
    parser.add_argument("--directory", help="where folders and packs are made, about 10 GB")
    arguments = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    print("# Data larger than memory\n")
    print(f"Written by `{' '.join(['Benchmarks/run', 'data', *sys.argv[1:]])}`.\n")
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
