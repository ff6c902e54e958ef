"""Measures what it costs that several workers share each step of one run.

On this host, one worker with all threads and several with their share of them
take the same steps, by turns: a batch in as many parts as there are workers.
Then two workers take them over links of several rates, gradients being exchanged
in one piece or in buckets, by turns. How busy others keep the machine meanwhile is
measured too. Writes Benchmarks/RESULTS-workers.md.
"""

import argparse
import datetime
import os
import random
import sys
import time
from pathlib import Path

from compare import COLLAPSE, commit, own_libtorch, processor
from links import Loopback, link_of
from processes import MEASURING, ROOT, Failed, end_when_asked, finish, log, start, stop
from rounds import spread


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=["wrn-16-2", "vit-ti-4"], help="of the first comparison")
    parser.add_argument("--links", nargs="*", default=["loopback", "1000", "200"],
                        help="of the second: loopback, or Mbit/s, which need root")
    parser.add_argument("--buckets", nargs="+", type=float, default=[0, 0.5],
                        help="MB of a bucket, 0: one piece; others are compared with the first")
    parser.add_argument("--link-model", default="wrn-16-2")
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


def measure(arguments, model, workers, link=Loopback(), parts=None, bucket=None):
    """What the first of so many workers found, and the share of the work meanwhile that was others'."""
    parts = parts or workers
    command = [
        str(arguments.program), "benchmark", "train", "--device", "cpu", "--model", model,
        "--batch", str(arguments.part * parts), "--precision", arguments.precision,
        "--threads", str(max(1, os.cpu_count() // workers)), "--steps", str(arguments.steps),
        "--set", f"gradient_accumulation={parts}", "--json",
    ]
    if bucket is not None:
        command += ["--set", f"engine.bucket_mb={bucket:g}"]
    world = {"WORLD_SIZE": str(workers), "LOCAL_WORLD_SIZE": str(workers // link.hosts), "MASTER_ADDR": link.address,
             "MASTER_PORT": str(random.randrange(20000, 32000))}
    all_before, own_before = busy(), own_ticks()
    processes = [start(link.on(rank, command),
                       {**world, "RANK": str(rank), "LOCAL_RANK": str(rank // link.hosts)} if workers > 1 else None)
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
        one, others_one = measure(arguments, model, 1, parts=arguments.workers)
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


def bucket_rounds(arguments, link):
    """Of each size of buckets, what each round gave, and the most that others worked meanwhile."""
    found, most = {bucket: [] for bucket in arguments.buckets}, 0
    for index in range(arguments.rounds):
        for bucket in arguments.buckets:
            result, others = measure(arguments, arguments.link_model, 2, link, bucket=bucket)
            found[bucket].append(result)
            most = max(most, others)
        rates = [found[bucket][-1]["images_per_second"] for bucket in arguments.buckets]
        log(f"{link.name}, round {index + 1}: " + ", ".join(f"{rate / rates[0]:.3f}" for rate in rates))
    return found, most


def bucket_rows(arguments, link, found, most):
    def rates(bucket):
        return [result["images_per_second"] for result in found[bucket]]

    first = rates(arguments.buckets[0])
    for bucket in arguments.buckets:
        left = [1e3 * result["exchange_seconds"]["median"] for result in found[bucket]]
        steps = [1e3 * result["step_seconds"]["median"] for result in found[bucket]]
        ratios = [rate / other for rate, other in zip(rates(bucket), first)]
        size = f"{bucket:g} MB" if bucket else "one piece"
        yield (f"| {link.name} | {size} | {spread(rates(bucket), 0)} | {spread(steps, 0)} | {spread(left, 1)} "
               f"| {spread(ratios, 3)} | {100 * most:.0f} % |")


def sharing(arguments):
    """The lines of the first comparison."""
    count = arguments.workers
    return [
        "",
        f"One worker with {os.cpu_count()} threads, and {count} with {max(1, os.cpu_count() // count)} each that exchange by Gloo on this host;",
        f"batches of {count} parts:",
        "",
        f"| network | precision | one worker, images/s | {count} workers | ratio | left of the exchange, ms | of a step | others' work |",
        "|---|---|---|---|---|---|---|---|",
        *[row(model, rounds(arguments, model)) for model in arguments.models],
    ]


def links(arguments):
    """The lines of the second."""
    lines = [
        "",
        f"Two workers that have {max(1, os.cpu_count() // 2)} of the {os.cpu_count()} cores each, {arguments.link_model}, over a link of so many Mbit/s each way between two hosts that",
        "network namespaces play; gradients in one piece after the backward pass, or in buckets beside it (`engine.bucket_mb`):",
        "",
        "| link | buckets | images/s | step, ms | left of the exchange, ms | ratio to one piece | others' work |",
        "|---|---|---|---|---|---|---|",
    ]
    for text in arguments.links:
        with link_of(text) as link:
            lines += bucket_rows(arguments, link, *bucket_rounds(arguments, link))
    return lines


def main():
    end_when_asked()
    arguments = parse_arguments()
    try:
        tables = (sharing(arguments) if arguments.models else []) + (links(arguments) if arguments.links else [])
    except Failed as failure:
        sys.exit(f"workers: {failure}")
    lines = [
        "# Workers that share each step",
        "",
        "Written by `Benchmarks/run workers`; the numbers of one machine on one day.",
        "",
        f"- {datetime.date.today().isoformat()}, commit {commit()}, libtorch {own_libtorch(arguments.program)}",
        f"- {processor()}, {os.cpu_count()} cores; 32×32×3 images, parts of {arguments.part} images",
        f"- by turns, {arguments.rounds} rounds; medians (least to most) of what each round's {arguments.steps} steps gave, ratios",
        "  within rounds; what is left of the exchange when the backward pass has ended is timed in steps of its own;",
        "  others' work is the largest share of a measurement",
        *tables,
        "",
    ]
    arguments.output.write_text("\n".join(lines))
    log(f"{arguments.output}")


if __name__ == "__main__":
    main()
