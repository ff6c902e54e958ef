"""Compares training steps, evaluation and captures here with the same in PyTorch.

The machines that this runs on are shared, so times drift: all contestants of a
work take turns, once a round, and what counts is the ratio within each round
to whichever of PyTorch's ways was the fastest over all rounds. Writes
Benchmarks/RESULTS.md, or with --device cuda Benchmarks/RESULTS-cuda.md.

Contestants in bfloat16 take part where the processor multiplies it. On CUDA
those are the only ones; PyTorch's processes live through all rounds there,
since they take long to start and to compile.
"""

import argparse
import datetime
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLLAPSE = ROOT / ".build" / "release" / "collapse"
STEP = ROOT / "Benchmarks" / "pytorch" / "step.py"


@dataclass
class Contestant:
    """One way to do a work: a process a round."""

    name: str
    options: list
    ours: bool = False
    bf16: bool = False


@dataclass
class Aim:
    """What our fastest way is to reach against another."""

    least: float
    against: str = "best"  # or a contestant's name


@dataclass
class Work:
    title: str
    kind: str  # train, evaluate or capture
    options: list
    contestants: list
    aims: list = field(default_factory=list)
    steps: int = 10
    rounds: int = 0  # 0: as asked
    warmup: int = 3
    device: str = "cpu"
    # The model whose arithmetic is counted, and the share of the ceiling that is aimed at.
    share_aim: float = 0.0


DEFAULT = "PyTorch, default (fp32, contiguous)"


def pytorch(layouts, optimizer=(), tuned=()):
    """PyTorch's ways: precision × layout × compiled or not; all but the default have what is tuned."""
    ways = []
    for layout in layouts:
        for precision in ("fp32", "bf16"):
            for compiled in (False, True):
                if layout == "contiguous" and "channels_last" in layouts and (compiled or precision == "bf16"):
                    continue
                plain = layout == "contiguous" and not compiled and precision == "fp32"
                words = [precision if precision == "fp32" else "bf16 autocast"]
                words += ["channels-last"] if layout == "channels_last" else []
                words += ["compiled"] if compiled else []
                name = DEFAULT if plain else "PyTorch, " + ", ".join(words)
                options = ["--precision", precision, "--layout", layout, *optimizer]
                options += [] if plain else tuned
                ways.append(Contestant(name, options + ["--compile"] * compiled, bf16=precision == "bf16"))
    return ways


def collapse():
    return [
        Contestant("Collapse, fp32", ["--precision", "fp32"], ours=True),
        Contestant("Collapse, bf16", ["--precision", "bf16"], ours=True, bf16=True),
    ]


BOTH = ("contiguous", "channels_last")
WRN = ["--model", "wrn-16-2"]
VIT = ["--model", "vit-ti-4"]

WORKS = {
    "wrn": Work(
        "Training step, WRN-16-2, batch 128", "train", WRN + ["--batch", "128"],
        pytorch(BOTH, tuned=("--fused",)) + collapse(),
        [Aim(2.0, DEFAULT), Aim(1.15)], share_aim=0.80,
    ),
    "vit": Work(
        "Training step, ViT-Ti/4, batch 64, AdamW", "train",
        VIT + ["--batch", "64", "--optimizer", "adamw"],
        pytorch(("contiguous",), ("--fused",)) + collapse(), [Aim(1.5)], share_aim=0.65, steps=5,
    ),
    "evaluate-wrn": Work(
        "Evaluation, WRN-16-2, batch 500", "evaluate", WRN + ["--batch", "500"],
        pytorch(("channels_last",)) + collapse(), [Aim(1.2)], steps=5,
    ),
    "evaluate-vit": Work(
        "Evaluation, ViT-Ti/4, batch 500", "evaluate", VIT + ["--batch", "500"],
        pytorch(("contiguous",)) + collapse(), [Aim(1.2)], steps=3, warmup=1,
    ),
    "capture-wrn": Work(
        "Capture, WRN-16-2, batch 500", "capture", WRN + ["--batch", "500"],
        pytorch(("channels_last",)) + collapse(), [Aim(1.2)], steps=5,
    ),
    "capture-vit": Work(
        "Capture, ViT-Ti/4, batch 500", "capture", VIT + ["--batch", "500"],
        pytorch(("contiguous",)) + collapse(), [Aim(1.2)], steps=3, warmup=1,
    ),
    "large-wrn": Work(
        "Training step, WRN-40-10, batch 128", "train", ["--model", "wrn-40-10", "--batch", "128"],
        [way for way in pytorch(("channels_last",)) if "compiled" not in way.name] + collapse(),
        steps=1, rounds=1, warmup=1,
    ),
    "large-vit": Work(
        "Training step, ViT-B/4, batch 128, AdamW", "train",
        ["--model", "vit-b-4", "--batch", "128", "--optimizer", "adamw"],
        [way for way in pytorch(("contiguous",), ("--fused",)) if "compiled" not in way.name] + collapse(),
        steps=1, rounds=1, warmup=1,
    ),
}


def on_cuda(title, options, **rest):
    """A training step in bfloat16 on CUDA, with PyTorch's ways to do it."""
    tuned = ["--precision", "bf16", "--layout", "channels_last", "--fused"]
    contestants = [
        Contestant("PyTorch, bf16 autocast, channels-last", tuned),
        Contestant("PyTorch, bf16 autocast, channels-last, compiled", [*tuned, "--compile"]),
        Contestant("Collapse, bf16", ["--precision", "bf16"], ours=True),
    ]
    return Work(title, "train", options, contestants, steps=20, warmup=10, device="cuda", **rest)


CUDA_WORKS = {
    "wrn": on_cuda(
        "Training step, WRN-40-10, batch 128", ["--model", "wrn-40-10", "--batch", "128"], aims=[Aim(1.15)],
        share_aim=0.80,
    ),
    "vit": on_cuda(
        "Training step, ViT-B/4, batch 128, AdamW",
        ["--model", "vit-b-4", "--batch", "128", "--optimizer", "adamw"], aims=[Aim(1.5)], share_aim=0.65,
    ),
}

CEILING = """
import json, sys, time, torch
dtype, device, size = getattr(torch, sys.argv[1]), sys.argv[2], int(sys.argv[3])
wait = torch.cuda.synchronize if device == "cuda" else lambda: None
a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
print("ready", flush=True)
for _ in sys.stdin:
    a @ b
    wait()
    best = 0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(4):
            a @ b
        wait()
        best = max(best, 4 * 2 * size**3 / (time.perf_counter() - start))
    print(json.dumps({"operations_per_second": best}), flush=True)
"""

ARITHMETIC = """
import sys
sys.path[:0] = ["Tests/References", "Benchmarks/pytorch"]
import torch
from torch.utils.flop_counter import FlopCounterMode
from types import SimpleNamespace
from step import make_model
from torch.nn.attention import sdpa_kernel, SDPBackend
model = make_model(SimpleNamespace(model=sys.argv[1]), 32, 3, 10)
with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
    model(torch.randn(2, 3, 32, 32))[1].sum().backward()
print(counter.get_total_flops() / 2)
"""


def has_bf16():
    flags = Path("/proc/cpuinfo").read_text()
    return any(f" {flag}" in flags for flag in ("avx512_bf16", "amx_bf16", "bf16"))


def command_of(work, contestant, program):
    if contestant.ours:
        command = [str(program), "benchmark", work.kind, "--device", work.device]
    else:
        command = [sys.executable, str(STEP), "--work", work.kind, "--device", work.device]
    command += work.options + contestant.options
    return command + ["--steps", str(work.steps), "--warmup", str(work.warmup), "--json"]


def measure(work, contestant, program):
    """What one process says of its steps; None if it fails."""
    run = subprocess.run(
        command_of(work, contestant, program), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output = run.stdout
    if run.returncode != 0:
        reason = run.stderr.decode(errors="replace").strip().splitlines()[-1:]
        log(f"{contestant.name} failed with status {run.returncode}: {' '.join(reason)}")
        if contestant.ours:
            sys.exit(1)
        return None
    # torch.compile may print before the result.
    return json.loads(output if contestant.ours else output.splitlines()[-1])


class Server:
    """A process that measures whenever it is asked to."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def wait(self):
        """Until it is ready to measure, or has ended."""
        for line in self.process.stdout:
            if line.strip() == "ready":
                return

    def measure(self):
        """What it says; None if it has ended."""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                # torch.compile may print before the result.
                if line.startswith("{"):
                    return json.loads(line)
        except BrokenPipeError:
            pass
        log(f"{self.name} failed with status {self.process.wait()}")
        return None

    def stop(self):
        self.process.kill()
        self.process.wait()


class Servers:
    """The processes of a work that live through all its rounds."""

    def __init__(self, work, bf16):
        self.contestants = {}
        if work.device != "cpu":
            for contestant in work.contestants:
                if not contestant.ours:
                    command = [*command_of(work, contestant, None), "--serve"]
                    self.contestants[contestant.name] = Server(contestant.name, command)
        self.ceilings = {}
        if work.share_aim:
            size = "2048" if work.device == "cpu" else "8192"
            precisions = {"float32": work.device == "cpu", "bfloat16": bf16}
            for precision in (name for name, is_used in precisions.items() if is_used):
                command = [sys.executable, "-c", CEILING, precision, work.device, size]
                self.ceilings[precision] = Server(f"the {precision} ceiling", command)

    def wait(self):
        for server in [*self.contestants.values(), *self.ceilings.values()]:
            server.wait()

    def stop(self):
        for server in [*self.contestants.values(), *self.ceilings.values()]:
            server.stop()


def python(script, *arguments):
    command = [sys.executable, "-c", script, *arguments]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout)


@functools.cache
def arithmetic_of(model):
    """Operations of a training step on one image, with products as they are defined."""
    return python(ARITHMETIC, model)


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def text_of(command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout.strip()


def log(text):
    print(text, file=sys.stderr, flush=True)


def peak_memory(result):
    """On CUDA the device's, of tensors alone; elsewhere the process's."""
    return result.get("peak_device_memory_bytes") or result["peak_memory_bytes"]


class Results:
    """What all rounds of one work gave."""

    def __init__(self, work, servers, arguments, bf16):
        self.work = work
        contestants = [c for c in work.contestants if bf16 or not c.bf16]
        self.rounds = work.rounds or arguments.rounds
        self.results = {c.name: [] for c in contestants}
        self.ceilings = {precision: [] for precision in servers.ceilings}
        failed = set()
        for index in range(self.rounds):
            for contestant in contestants:
                if contestant.name in failed:
                    continue
                server = servers.contestants.get(contestant.name)
                result = server.measure() if server else measure(work, contestant, arguments.program)
                if result is None:
                    # Not every machine can compile, or has the memory.
                    failed.add(contestant.name)
                    continue
                self.results[contestant.name].append(result)
                rate = result["images_per_second"]
                log(f"{work.title}, {index + 1}/{self.rounds}: {contestant.name}: {rate:.1f} images/s")
            for precision, found in self.ceilings.items():
                answer = servers.ceilings[precision].measure()
                if answer is None:
                    sys.exit(1)
                found.append(answer["operations_per_second"])
        self.contestants = [c for c in contestants if c.name not in failed]
        self.failed = sorted(failed)

    def rates(self, name):
        return [result["images_per_second"] for result in self.results[name]]

    def fastest(self, ours):
        names = [c.name for c in self.contestants if c.ours == ours]
        return max(names, key=lambda name: statistics.median(self.rates(name)))

    def ratios(self, against):
        other = self.fastest(False) if against == "best" else against
        return other, [a / b for a, b in zip(self.rates(self.fastest(True)), self.rates(other))]

    def table(self):
        lines = [f"### {self.work.title}", "", "| contestant | images/s | peak memory, MB |", "|---|---|---|"]
        for name in (c.name for c in self.contestants):
            results = self.results[name]
            memory = [peak_memory(result) / 1e6 for result in results]
            lines.append(f"| {name} | {spread(self.rates(name), 1)} | {spread(memory, 0)} |")
        return lines + [f"\nFailed here: {'; '.join(self.failed)}." for _ in self.failed[:1]] + [""]

    def verdicts(self):
        """Rows of the summary: work, measure, found, aim, whether it is reached."""
        rows = []
        ours = self.fastest(True)
        for aim in self.work.aims:
            other, ratios = self.ratios(aim.against)
            reached = statistics.median(ratios) >= aim.least
            rows.append((self.work.title, f"{ours} / {other}", spread(ratios, 2), f"≥ {aim.least}", reached))
        if self.work.share_aim:
            arithmetic = arithmetic_of(self.work.options[1])
            precision = "bfloat16" if "bf16" in ours else "float32"
            tops = self.ceilings[precision]
            shares = [rate * arithmetic / top for rate, top in zip(self.rates(ours), tops)]
            reached = statistics.median(shares) >= self.work.share_aim
            ceiling = f"{precision} matrix-product ceiling ({statistics.median(tops) / 1e9:.0f} GFLOP/s)"
            # Minimal filtering needs fewer products than are counted, and can be above 1.
            what = f"share of the {ceiling}, by plain products"
            rows.append((self.work.title, what, spread(shares, 2), f"≥ {self.work.share_aim}", reached))
            inputs = [result["input_share"] for result in self.results[ours]]
            reached = statistics.median(inputs) <= 0.03
            rows.append((self.work.title, "share that is not the network", spread(inputs, 3), "≤ 0.03", reached))
        if not self.work.aims or self.work.device != "cpu":
            peaks = {c.ours: 0 for c in self.contestants}
            for mine in peaks:
                names = [c.name for c in self.contestants if c.ours == mine]
                peaks[mine] = min(peak_memory(self.results[name][0]) for name in names)
            ratio = peaks[True] / peaks[False]
            rows.append((self.work.title, "peak memory / PyTorch's least", f"{ratio:.2f}", "≤ 1", ratio <= 1))
        return rows


@functools.cache
def start_times(program, count=20):
    """Milliseconds that `collapse --help` takes."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        subprocess.run([str(program), "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(1e3 * (time.perf_counter() - start))
    return tuple(times)


def commit():
    try:
        return text_of(["git", "describe", "--always", "--dirty"])
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # a copy without its history


def conditions(arguments, bf16):
    """What the numbers depend on, as lines of a list."""
    torch = text_of([sys.executable, "-c", "import torch; print(torch.__version__)"])
    lines = [
        f"- {datetime.date.today().isoformat()}, commit {commit()}, PyTorch {torch}",
        f"- {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
    ]
    if arguments.device == "cpu":
        lines += [
            "- the processor multiplies bfloat16" if bf16 else
            "- the processor has no bfloat16 products, so that everything is in float32 here; the aims were set for\n"
            "  machines that have them",
            f"- {arguments.rounds} rounds in which the contestants take turns, a process each; the figures of a process are\n"
            "  from its median step; medians over rounds (least to most). WRN-40-10 and ViT-B/4: one round of one step,\n"
            "  for their memory",
        ]
    else:
        name = text_of([sys.executable, "-c", "import torch; print(torch.cuda.get_device_name())"])
        lines += [
            f"- {name}; bfloat16; optimisers fused and cuDNN's kernels chosen by trial in PyTorch, deterministic here",
            f"- {arguments.rounds} rounds in which the contestants take turns; each time from the median of 20 steps that are\n"
            "  waited for one by one; medians over rounds (least to most). Memory is the device's, of tensors",
        ]
    return lines + [
        "- 32×32×3 images, ten classes; a training step is crop, flip, normalisation, mixup, forward, backward, update"
    ]


def report(all_results, arguments, bf16):
    rows = [row for results in all_results for row in results.verdicts()]
    if arguments.device == "cpu":
        starts = start_times(arguments.program)
        rows.append(("`collapse --help`", "ms", spread(starts, 1), "≤ 30", statistics.median(starts) <= 30))
    lines = [
        "# Speed and memory beside PyTorch" + (", on CUDA" if arguments.device == "cuda" else ""),
        "",
        "Written by `make benchmark`; the numbers of one machine on one day."
        if arguments.device == "cpu" else
        "Written by `Benchmarks/run training --device cuda`; the numbers of one machine on one day.",
        "",
        *conditions(arguments, bf16),
        "",
        "| work | measure | found | aim | |",
        "|---|---|---|---|---|",
    ]
    for work, what, found, aim, reached in rows:
        lines.append(f"| {work} | {what} | {found} | {aim} | {'reached' if reached else 'missed'} |")
    lines.append("")
    for results in all_results:
        lines += results.table()
    return "\n".join(lines), [f"{work}: {what} is {found}, not {aim}" for work, what, found, aim, ok in rows if not ok]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--works", nargs="+", help="some of the comparisons, by their names in this file")
    parser.add_argument("--program", type=Path, default=COLLAPSE, help="the collapse program")
    parser.add_argument("--output", type=Path, help="where the table goes")
    arguments = parser.parse_args()
    works = WORKS if arguments.device == "cpu" else CUDA_WORKS
    chosen = arguments.works or list(works)
    if unknown := [name for name in chosen if name not in works]:
        parser.error(f"--works: there is no {unknown[0]} for {arguments.device}; there are {', '.join(works)}")
    results = "RESULTS.md" if arguments.device == "cpu" else "RESULTS-cuda.md"
    output = arguments.output or ROOT / "Benchmarks" / results
    bf16 = arguments.device == "cuda" or has_bf16()
    running = {}
    all_results = []
    try:
        # On CUDA all start at once, since each compiles for a minute; where processors compute, they would be in the way.
        for name in chosen if arguments.device == "cuda" else []:
            running[name] = Servers(works[name], bf16)
        for servers in running.values():
            servers.wait()
        for name in chosen:
            if name not in running:
                running[name] = Servers(works[name], bf16)
                running[name].wait()
            all_results.append(Results(works[name], running[name], arguments, bf16))
            running.pop(name).stop()
            # After each work, so that a run that is broken off leaves what it has measured.
            table, missed = report(all_results, arguments, bf16)
            output.write_text(table)
    finally:
        for servers in running.values():
            servers.stop()
    print(table)
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
