"""Compares training steps, evaluation and captures here with the same in PyTorch.

The machines that this runs on are shared, so times drift: all contestants of a
work take turns, once a round, and what counts is the ratio within each round
to whichever of PyTorch's ways was the fastest over all rounds. Writes
Benchmarks/RESULTS.md, or with --device cuda Benchmarks/RESULTS-cuda.md, again
after every round: a comparison that is cut short leaves what it has measured.

Contestants in bfloat16 take part where the processor multiplies it. On CUDA
PyTorch's processes live through all rounds, since they take long to start and
to compile; each of them chooses its kernels, and records its graph, when
nothing else runs on the device. A way that fails, or takes too long, is left
out, and the table says so.
"""

import argparse
import datetime
import functools
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from processes import ROOT, Ceilings, end_when_asked, log, python, text_of
from rounds import Results, Row, Setting, StartResults, spread

COLLAPSE = ROOT / ".build" / "release" / "collapse"
START = time.monotonic()


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

    least: float | None = None  # None: a ratio that is told, without an aim
    against: str = "best"  # or a contestant's name
    of: str = ""  # a contestant's name; none: our fastest


@dataclass
class Work:
    results = Results
    title: str
    kind: str  # train, evaluate or capture
    options: list
    contestants: list
    aims: list = field(default_factory=list)
    steps: int = 10
    rounds: int = 0  # 0: as asked
    warmup: int = 3
    device: str = "cpu"
    # The share of the ceiling that is aimed at; 0: it is told, without an aim; None: it is not.
    share_aim: float | None = None

    @property
    def model(self):
        return self.options[1]


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


EAGER = "PyTorch, bf16 autocast, channels-last"
COMPILED = f"{EAGER}, compiled"


def on_cuda(title, options, aims):
    """A training step in bfloat16 on CUDA, with PyTorch's ways to do it."""
    tuned = ["--precision", "bf16", "--layout", "channels_last", "--fused"]
    contestants = [
        Contestant(EAGER, tuned),
        Contestant(f"{EAGER}, graph", [*tuned, "--graph"]),
        Contestant(COMPILED, [*tuned, "--compile"]),
        Contestant(f"{COMPILED}, graph", [*tuned, "--compile", "--graph"]),
        Contestant("Collapse, bf16", ["--precision", "bf16"], ours=True),
    ]
    return Work(title, "train", options, contestants, aims, steps=20, warmup=10, device="cuda", share_aim=0.0)


def recorded_or_not(title, options):
    """Our own training step in float32, replayed as a graph and operator by operator."""
    contestants = [
        Contestant(name, ["--precision", "fp32", "--set", f"engine.graph={graph}"], ours=True)
        for name, graph in (("Collapse, fp32, graph", "on"), ("Collapse, fp32, no graph", "off"))
    ]
    aim = Aim(1.5, against=contestants[1].name, of=contestants[0].name)
    return Work(title, "train", options, contestants, [aim], steps=20, rounds=3, warmup=10, device="cuda")


@dataclass
class Start:
    """How long a run takes from the start of its process to the end of its first step."""

    results = StartResults
    title: str
    options: list
    rounds: int = 1
    device: str = "cuda"


WRN_40_10 = ["--model", "wrn-40-10", "--batch", "128"]
WRN_16_4 = ["--model", "wrn-16-4", "--batch", "128"]
VIT_B = ["--model", "vit-b-4", "--batch", "128", "--optimizer", "adamw"]
VIT_TI = ["--model", "vit-ti-4", "--batch", "128", "--optimizer", "adamw"]

CUDA_WORKS = {
    "wrn": on_cuda("Training step, WRN-40-10, batch 128", WRN_40_10, [Aim(1.15)]),
    "vit": on_cuda("Training step, ViT-B/4, batch 128, AdamW", VIT_B, [Aim(1.15)]),
    "small-wrn": on_cuda("Training step, WRN-16-4, batch 128", WRN_16_4, [Aim(1.5, COMPILED), Aim()]),
    "small-vit": on_cuda("Training step, ViT-Ti/4, batch 128, AdamW", VIT_TI, [Aim(3.0, COMPILED), Aim()]),
    "fp32-wrn": recorded_or_not("Training step in float32, WRN-16-4, batch 128", WRN_16_4),
    "fp32-vit": recorded_or_not("Training step in float32, ViT-Ti/4, batch 128, AdamW", VIT_TI),
    "start": Start("Starting a run: to the first step, WRN-40-10", [*WRN_40_10, "--precision", "bf16"]),
}

ARITHMETIC = """
import json, sys
sys.path[:0] = ["Tests/References", "Benchmarks/pytorch"]
import torch
from torch.utils.flop_counter import FlopCounterMode
from types import SimpleNamespace
from step import make_model
from torch.nn.attention import sdpa_kernel, SDPBackend
found = {}
for name in sys.argv[1:]:
    with torch.device("meta"):
        model = make_model(SimpleNamespace(model=name), 32, 3, 10)
        images = torch.empty(2, 3, 32, 32)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(images)[1].sum().backward()
    found[name] = counter.get_total_flops() / 2
print(json.dumps(found))
"""

VERSIONS = """
import json, torch
found = {"torch": torch.__version__, "CUDA": torch.version.cuda}
if torch.cuda.is_available():
    found["device"] = torch.cuda.get_device_name()
    version = torch.backends.cudnn.version()
    found["cuDNN"] = f"{version // 10000}.{version // 100 % 100}.{version % 100}"
try:
    import triton
    found["Triton"] = triton.__version__
except ImportError:
    pass
print(json.dumps(found))
"""


def has_bf16():
    flags = Path("/proc/cpuinfo").read_text()
    return any(f" {flag}" in flags for flag in ("avx512_bf16", "amx_bf16", "bf16"))


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


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


@functools.cache
def operations():
    """Of a training step on one image, with products as they are defined, by model."""
    works = [*WORKS.values(), *CUDA_WORKS.values()]
    models = {work.model for work in works if isinstance(work, Work) and work.share_aim is not None}
    return python(ARITHMETIC, *sorted(models))


@functools.cache
def versions():
    return python(VERSIONS)


@functools.cache
def own_libtorch(program):
    """The libtorch that our program uses."""
    try:
        found = json.loads(text_of([str(program), "doctor", "--json"]))
    except (OSError, ValueError, subprocess.CalledProcessError):
        return "unknown"
    return next((row["finding"] for row in found if row["name"] == "libtorch"), "unknown")


def clocks_of(all_results):
    """What nvidia-smi said, once a round."""
    found = [clock for results in all_results for clock in results.clocks if clock]
    if not found:
        return "clock and driver unknown (no nvidia-smi)"
    now = spread([clock["now"] for clock in found], 0)
    return f"driver {found[0]['driver']}, clock after the products {now} MHz of {found[0]['most']:.0f}"


def conditions(all_results, arguments, setting):
    """What the numbers depend on, as lines of a list."""
    found = versions()
    lines = [
        f"- {datetime.date.today().isoformat()}, commit {commit()}, PyTorch {found['torch']}",
        f"- {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
    ]
    if arguments.device == "cpu":
        lines += [
            "- the processor multiplies bfloat16" if setting.bf16 else
            "- the processor has no bfloat16 products, so that everything is in float32 here; the aims were set for\n"
            "  machines that have them",
            f"- {arguments.rounds} rounds in which the contestants take turns, a process each; the figures of a process are\n"
            "  from its median step; medians over rounds (least to most). WRN-40-10 and ViT-B/4: one round of one step,\n"
            "  for their memory",
        ]
    else:
        parts = [f"{name} {found[name]}" for name in ("CUDA", "cuDNN", "Triton") if found.get(name)]
        parts += [f"Collapse with libtorch {own_libtorch(arguments.program)}"]
        lines += [
            f"- {found.get('device', 'no device')}; {clocks_of(all_results)}; {', '.join(parts)}",
            f"- {arguments.rounds} rounds in which the contestants take turns, at most 3 of those in float32; each time from the\n"
            "  median of 20 steps that are waited for one by one; medians over rounds (least to most)",
            "- PyTorch: fused optimisers, cuDNN's kernels chosen by trial once nothing else ran on the device; all that is\n"
            "  random is drawn on the host, while the device computes the step before, and copied at once. \"Compiled\":\n"
            "  network and assembly of batches by torch.compile. \"Graph\": all of a step, from the choice of its images\n"
            "  over crop, flip, normalisation and mixup to the update, replayed as one CUDA graph",
            "- TF32 is off everywhere. Memory: the most that tensors had, and the most that the allocator had reserved of\n"
            "  the device, a graph's pool with it; PyTorch's from when its kernels were chosen",
        ]
    return lines + [
        "- 32×32×3 images, ten classes; a training step is crop, flip, normalisation, mixup, forward, backward, update"
    ]


def report(all_results, arguments, setting):
    """The table, and the aims that are missed."""
    begun = [results for results in all_results if results.done]
    rows = [row for results in begun for row in results.verdicts()]
    if arguments.device == "cpu":
        starts = start_times(arguments.program)
        is_reached = statistics.median(starts) <= 30
        rows.append(Row("`collapse --help`", "ms", spread(starts, 1), "≤ 30", is_reached))
    lines = [
        "# Speed and memory beside PyTorch" + (", on CUDA" if arguments.device == "cuda" else ""),
        "",
        "Written by `make benchmark`; the numbers of one machine on one day."
        if arguments.device == "cpu" else
        "Written by `Benchmarks/run training --device cuda`; the numbers of one machine on one day.",
        "",
        *conditions(all_results, arguments, setting),
        "",
        "| work | measure | found | aim | |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {row.title} | {row.what} | {row.found} | {row.aim} | {row.verdict} |" for row in rows]
    lines.append("")
    missed = [f"{row.title}: {row.what}: {row.found}, not {row.aim}" for row in rows if row.is_reached is False]
    if rest := [results.work.title for results in all_results if not results.done]:
        lines += [f"Not measured: {'; '.join(rest)}.", ""]
        missed += [f"{title}: not measured" for title in rest]
    for results in begun:
        lines += results.table()
    return "\n".join(lines), missed


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--works", nargs="+", help="some of the comparisons, by their names in this file")
    parser.add_argument("--program", type=Path, default=COLLAPSE, help="the collapse program")
    parser.add_argument("--output", type=Path, help="where the table goes")
    parser.add_argument("--raw", type=Path, help="where all that was measured goes, as JSON")
    parser.add_argument("--limit", type=float, default=math.inf, help="seconds, after which no round is started")
    parser.add_argument("--begin", type=Path, help="load everything, but measure only when this file is there")
    arguments = parser.parse_args()
    works = WORKS if arguments.device == "cpu" else CUDA_WORKS
    arguments.works = arguments.works or list(works)
    if unknown := [name for name in arguments.works if name not in works]:
        parser.error(f"--works: there is no {unknown[0]} for {arguments.device}; there are {', '.join(works)}")
    arguments.program = arguments.program.resolve()
    results = "RESULTS.md" if arguments.device == "cpu" else "RESULTS-cuda.md"
    arguments.output = arguments.output or ROOT / "Benchmarks" / results
    return arguments


def in_turn(all_results, device):
    """Whose round is next: on CUDA all have one before any has another, so that a limit takes as much from each."""
    turns = [(index, results) for results in all_results for index in range(results.rounds)]
    if device == "cuda":
        turns.sort(key=lambda turn: turn[0])
    return [results for _, results in turns]


class Limit:
    """When to start no more rounds: as soon as one like the last of its work would go beyond."""

    def __init__(self, seconds):
        self.end = START + seconds
        self.taken = {}

    def allows(self, results):
        return time.monotonic() + self.taken.get(results.work.title, 0) <= self.end

    def turn(self, results):
        begin = time.monotonic()
        results.turn()
        self.taken[results.work.title] = time.monotonic() - begin


def compare(arguments, setting, all_results):
    """Does the rounds and writes the table after each; returns it, and the aims that are missed."""
    try:
        setting.operations.update(operations())  # while others load
    except subprocess.CalledProcessError as failure:
        log(f"the arithmetic of the networks is not known: {failure}")
    versions(), own_libtorch(arguments.program)
    for results in all_results:
        results.wait()
    log(f"all loaded after {time.monotonic() - START:.0f} s")
    while arguments.begin and not arguments.begin.exists():
        time.sleep(0.2)
    limit = Limit(arguments.limit)
    table, missed = report(all_results, arguments, setting)
    for results in in_turn(all_results, arguments.device):
        if not limit.allows(results):
            log(f"{results.work.title}: no time for a round after {results.done} of {results.rounds}")
            continue
        limit.turn(results)
        if results.done == results.rounds:
            results.stop()
        table, missed = report(all_results, arguments, setting)
        arguments.output.write_text(table)
        if arguments.raw:
            found = {results.work.title: results.raw() for results in all_results}
            arguments.raw.write_text(json.dumps({"versions": versions(), **found}, indent=1))
    return table, missed


def main():
    end_when_asked()
    arguments = parse_arguments()
    bf16 = arguments.device == "cuda" or has_bf16()
    precisions = {"float32": arguments.device == "cpu", "bfloat16": bf16}
    used = [name for name, is_used in precisions.items() if is_used]
    setting = Setting(arguments.program, arguments.rounds, bf16, Ceilings(used, arguments.device), {})
    works = WORKS if arguments.device == "cpu" else CUDA_WORKS
    all_results = []
    try:
        for work in (works[name] for name in arguments.works):
            all_results.append(work.results(work, setting))
        table, missed = compare(arguments, setting, all_results)
    finally:
        for results in all_results:
            results.stop()
        setting.ceilings.stop()
    print(table)
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
