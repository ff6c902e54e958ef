"""Compares a training step here with the same one in PyTorch.

The machines that this runs on are shared, so times drift: all contestants take
turns, once a round, and what counts is the ratio within each round. Writes
Benchmarks/RESULTS.md.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLLAPSE = ROOT / ".build" / "release" / "collapse"

# Name, command, environment. Each is one process a round.
CONTESTANTS = {
    "PyTorch, default (fp32, contiguous)": ("step.py", ["--precision", "fp32", "--layout", "contiguous"], {}),
    "PyTorch, channels-last, fp32": ("step.py", ["--precision", "fp32", "--layout", "channels_last"], {}),
    "Collapse, fp32": ("collapse", ["--precision", "fp32"], {}),
    "PyTorch, channels-last, bf16 autocast": ("step.py", ["--precision", "bf16", "--layout", "channels_last"], {}),
    "Collapse, bf16": ("collapse", ["--precision", "bf16"], {}),
    "Collapse, bf16, the system's allocator": (
        "collapse",
        ["--precision", "bf16"],
        {"COLLAPSE_ALLOCATOR": "system"},
    ),
}

# Ours, theirs, and the ratio that is promised.
COMPARISONS = [
    ("Collapse, fp32", "PyTorch, default (fp32, contiguous)", 1.0),
    ("Collapse, fp32", "PyTorch, channels-last, fp32", 1.0),
    ("Collapse, bf16", "PyTorch, channels-last, bf16 autocast", 1.0),
    ("Collapse, bf16", "PyTorch, default (fp32, contiguous)", None),
    ("Collapse, bf16", "Collapse, bf16, the system's allocator", None),
]


def measure(name, common):
    program, options, environment = CONTESTANTS[name]
    if program == "collapse":
        command = [str(COLLAPSE), "benchmark", "train"]
    else:
        command = [sys.executable, str(ROOT / "Benchmarks" / "pytorch" / program)]
    output = subprocess.run(
        command + common + options + ["--json"],
        env=os.environ | environment,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    return json.loads(output)


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def text_of(command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout.strip()


def report(results, arguments):
    rounds = arguments.rounds
    commit = text_of(["git", "describe", "--always", "--dirty"])
    torch = text_of([sys.executable, "-c", "import torch; print(torch.__version__)"])
    lines = [
        "# Speed of a training step",
        "",
        "Written by `make benchmark`; the numbers of one machine on one day.",
        "",
        f"- {datetime.date.today().isoformat()}, commit {commit}, PyTorch {torch}, {text_of([str(COLLAPSE), '--version'])} of Collapse",
        f"- {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        f"- {arguments.model}, batch {arguments.batch}, 32×32×3, ten classes; a step is crop, flip, normalisation, mixup,",
        "  forward, backward and update",
        f"- {rounds} rounds in turn, {arguments.steps} timed steps each after 3 others; median (least to most) over rounds",
        "",
        "| contestant | images/s | peak memory, MB |",
        "|---|---|---|",
    ]
    for name in CONTESTANTS:
        rates = [r["images_per_second"] for r in results[name]]
        memory = [r["peak_memory_bytes"] / 1e6 for r in results[name]]
        lines.append(f"| {name} | {spread(rates, 0)} | {spread(memory, 0)} |")
    lines += ["", "| ratio of images/s, round by round | measured | promised |", "|---|---|---|"]
    missed = []
    for ours, theirs, promise in COMPARISONS:
        ratios = [
            a["images_per_second"] / b["images_per_second"] for a, b in zip(results[ours], results[theirs])
        ]
        promised = "" if promise is None else f"at least {promise:.1f}"
        lines.append(f"| {ours} / {theirs} | {spread(ratios, 2)} | {promised} |")
        if promise is not None and statistics.median(ratios) < promise:
            missed.append(f"{ours} / {theirs}")
    return "\n".join(lines) + "\n", missed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--model", default="wrn-16-2")
    parser.add_argument("--batch", type=int, default=128)
    arguments = parser.parse_args()
    common = ["--model", arguments.model, "--batch", str(arguments.batch), "--steps", str(arguments.steps)]

    results = {name: [] for name in CONTESTANTS}
    for index in range(arguments.rounds):
        for name in CONTESTANTS:
            result = measure(name, common)
            results[name].append(result)
            rate = result["images_per_second"]
            print(f"round {index + 1}/{arguments.rounds}: {name}: {rate:.0f} images/s", file=sys.stderr, flush=True)
    table, missed = report(results, arguments)
    (ROOT / "Benchmarks" / "RESULTS.md").write_text(table)
    print(table)
    if missed:
        sys.exit("slower than promised: " + "; ".join(missed))


if __name__ == "__main__":
    main()
