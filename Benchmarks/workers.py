"""Measures what it costs that several workers of this host share each step of one run.

One worker with all threads and several with their share of them take the same
steps, by turns: a batch in as many parts as there are workers. How busy others
keep the machine meanwhile is measured too. Writes Benchmarks/RESULTS-workers.md.
"""

import argparse
import datetime
import os
import random
import sys
import time
from pathlib import Path

from compare import COLLAPSE, commit, own_libtorch, processor
from processes import MEASURING, ROOT, Failed, end_when_asked, finish, log, start, stop
from rounds import spread


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["wrn-16-2", "vit-ti-4"])
    parser.add_argument("--part", type=int, default=128, help="images of a part")
    parser.add_argument("--precision", choices=("fp32", "bf16", "auto"), default="auto")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--program", type=Path, default=COLLAPSE, help="the collapse program")
    parser.add_argument("--output", type=Path, default=ROOT / "Benchmarks" / "RESULTS-workers.md")
    arguments = parser.parse_args()
    arguments.program = arguments.program.resolve()
    return arguments


def busy():
    """Ticks that the processors have worked."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:8]]
    return sum(fields) - fields[3] - fields[4]


def own_ticks():
    times = os.times()
    return (times.children_user + times.children_system) * os.sysconf("SC_CLK_TCK")


def measure(arguments, model, workers):
    """What the first of so many workers found, and the share of the work meanwhile that was others'."""
    command = [
        str(arguments.program), "benchmark", "train", "--device", "cpu", "--model", model,
        "--batch", str(arguments.part * arguments.workers), "--precision", arguments.precision,
        "--threads", str(max(1, os.cpu_count() // workers)), "--steps", str(arguments.steps),
        "--set", f"gradient_accumulation={arguments.workers}", "--json",
    ]
    world = {"WORLD_SIZE": str(workers), "LOCAL_WORLD_SIZE": str(workers), "MASTER_ADDR": "127.0.0.1",
             "MASTER_PORT": str(random.randrange(20000, 32000))}
    all_before, own_before = busy(), own_ticks()
    processes = [start(command, {**world, "RANK": str(rank), "LOCAL_RANK": str(rank)} if workers > 1 else None)
                 for rank in range(workers)]
    until = time.monotonic() + MEASURING["cpu"]
    try:
        result = finish(processes[0], max(1, until - time.monotonic()))
        for process in processes[1:]:
            process.wait(timeout=60)
    finally:
        for process in processes:
            stop(process)
    all_ticks = busy() - all_before
    return result, max(0, all_ticks - (own_ticks() - own_before)) / max(1, all_ticks)


def rounds(arguments, model):
    found = []
    for index in range(arguments.rounds):
        one, others_one = measure(arguments, model, 1)
        many, others_many = measure(arguments, model, arguments.workers)
        found.append((one, many, max(others_one, others_many)))
        log(f"{model}, round {index + 1}: {many['images_per_second'] / one['images_per_second']:.3f}")
    return found


def row(model, found):
    rates = [(one["images_per_second"], many["images_per_second"]) for one, many, _ in found]
    exchanges = [1e3 * many["exchange_seconds"]["median"] for _, many, _ in found]
    shares = [100 * many["exchange_seconds"]["median"] / many["step_seconds"]["median"] for _, many, _ in found]
    return (
        f"| {model} | {found[0][0]['precision']} | {spread([one for one, _ in rates], 0)} "
        f"| {spread([many for _, many in rates], 0)} | {spread([many / one for one, many in rates], 3)} "
        f"| {spread(exchanges, 1)} | {spread(shares, 1)} % | {100 * max(others for _, _, others in found):.0f} % |")


def main():
    end_when_asked()
    arguments = parse_arguments()
    try:
        rows = [row(model, rounds(arguments, model)) for model in arguments.models]
    except Failed as failure:
        sys.exit(f"workers: {failure}")
    count = arguments.workers
    lines = [
        "# Workers that share each step",
        "",
        "Written by `Benchmarks/run workers`; the numbers of one machine on one day.",
        "",
        f"- {datetime.date.today().isoformat()}, commit {commit()}, libtorch {own_libtorch(arguments.program)}",
        f"- {processor()}, {os.cpu_count()} cores; 32×32×3 images, batches of {count} parts of {arguments.part} images",
        f"- one worker with {os.cpu_count()} threads, and {count} with {max(1, os.cpu_count() // count)} each that exchange by Gloo",
        f"- by turns, {arguments.rounds} rounds; medians (least to most) of what each round's {arguments.steps} steps gave, ratios",
        "  within rounds; what a step exchanges is timed by itself; others' work is the largest share of a measurement",
        "",
        f"| network | precision | one worker, images/s | {count} workers | ratio | exchange, ms | of a step | others' work |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    arguments.output.write_text("\n".join(lines))
    log(f"{arguments.output}")


if __name__ == "__main__":
    main()
