"""Measures how training runs share one device: one of them, two and four at a time.

Each is a process of its own, as `collapse reproduce --jobs` starts them, and does
so many steps that they are at it together for most of the time; the figures are
from median steps. Writes Benchmarks/RESULTS-cuda-sharing.md, or RESULTS-sharing.md
on the CPU.
"""

import argparse
import datetime
import math
import os
import sys
import time
from pathlib import Path

from compare import COLLAPSE, commit, own_libtorch, processor, versions
from processes import MEASURING, ROOT, Failed, clock, end_when_asked, finish, log, result_of, start, stop
from rounds import peak_memory, spread


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--model", default="wrn-16-4")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4], help="how many at a time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="that one process alone is to train for, about")
    parser.add_argument("--limit", type=float, default=math.inf, help="seconds, after which no round is started")
    parser.add_argument("--program", type=Path, default=COLLAPSE, help="the collapse program")
    parser.add_argument("--output", type=Path, help="where the table goes")
    arguments = parser.parse_args()
    name = "RESULTS-cuda-sharing.md" if arguments.device == "cuda" else "RESULTS-sharing.md"
    arguments.output = arguments.output or ROOT / "Benchmarks" / name
    arguments.program = arguments.program.resolve()
    return arguments


def command(arguments, steps, threads):
    return [
        str(arguments.program), "benchmark", "train", "--device", arguments.device, "--model", arguments.model,
        "--batch", str(arguments.batch), "--precision", arguments.precision, "--threads", str(threads),
        "--warmup", "10", "--steps", str(steps), "--json",
    ]


def together(arguments, count, step_seconds):
    """Images a second of each of so many processes that train at the same time, and the memory of all."""
    steps = max(5, round(arguments.seconds / step_seconds / max(1, count / 2)))
    threads = max(1, os.cpu_count() // count)
    processes = [start(command(arguments, steps, threads)) for _ in range(count)]
    until = time.monotonic() + MEASURING[arguments.device]
    try:
        results = [finish(process, max(1, until - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            stop(process)
    return [result["images_per_second"] for result in results], sum(map(peak_memory, results))


def measure(arguments):
    """By number of processes: what the rounds gave; and what stood in the way."""
    end = time.monotonic() + arguments.limit
    found = {count: [] for count in arguments.processes}
    problems = {}
    # What a step takes, and kernels in the cache for all that follow.
    first = result_of(command(arguments, 10, 0), MEASURING[arguments.device])
    taken = 0
    for index in range(arguments.rounds):
        begin = time.monotonic()
        if begin + taken > end:
            break
        for count in arguments.processes:
            if count in problems:
                continue
            try:
                rates, memory = together(arguments, count, first["step_seconds"]["median"])
            except Failed as failure:
                problems[count] = f"{count} at a time: {failure}"
                log(problems[count])
                continue
            found[count].append((rates, memory))
            log(f"round {index + 1}: {count} at a time: {sum(rates):.0f} images/s")
        taken = time.monotonic() - begin
    return found, list(problems.values())


def rows(arguments, found):
    alone = [sum(rates) for rates, _ in found[arguments.processes[0]]]
    for count, results in found.items():
        if not results:
            continue
        totals = [sum(rates) for rates, _ in results]
        ratios = [total / one for total, one in zip(totals, alone)]
        each = [rate for rates, _ in results for rate in rates]
        memory = max(memory for _, memory in results) / 1e6
        ratio = spread(ratios, 2) if ratios else "–"
        yield f"| {count} | {spread(totals, 0)} | {ratio} | {spread(each, 0)} | {memory:.0f} |"


def conditions(arguments):
    found = versions()
    state = clock()
    driver = f", driver {state['driver']}" if state else ""
    device = f"{found.get('device', 'no device')}{driver}, " if arguments.device == "cuda" else ""
    return [
        f"- {datetime.date.today().isoformat()}, commit {commit()}, libtorch {own_libtorch(arguments.program)}",
        f"- {device}{processor()}, {os.cpu_count()} cores",
        f"- {arguments.model}, batch {arguments.batch}, {arguments.precision}, 32×32×3 images; a process each, all at",
        f"  once; {arguments.rounds} rounds at most, medians over rounds (least to most), ratios within rounds",
    ]


def main():
    end_when_asked()
    arguments = parse_arguments()
    try:
        found, problems = measure(arguments)
    except Failed as failure:
        sys.exit(f"{arguments.model} on {arguments.device}: {failure}")
    name = {"cuda": "a GPU", "cpu": "a processor"}[arguments.device]
    lines = [
        f"# Runs that share {name}",
        "",
        f"Written by `Benchmarks/run sharing --device {arguments.device}`; the numbers of one machine on one day.",
        "",
        *conditions(arguments),
        "",
        f"| processes | images/s, all together | of {arguments.processes[0]} | images/s, each | peak memory, all, MB |",
        "|---|---|---|---|---|",
        *rows(arguments, found),
        *([f"\nNot measured: {'; '.join(problems)}."] if problems else []),
    ]
    table = "\n".join(lines) + "\n"
    arguments.output.write_text(table)
    print(table)
    if problems:
        sys.exit("; ".join(problems))


if __name__ == "__main__":
    main()
