"""Times the solver of Theorem 3.1 and the command around it. Writes Benchmarks/RESULTS-theory.md."""

import datetime
import json
import os
import platform
import time

from compare import COLLAPSE, ROOT, processor, spread, text_of

COMMAND = ["theory", "solve", "--classes", "10", "--multiplier", "3", "--feature-decay", "1e-6", "--lambda", "0.1,0.5"]


def main():
    timed = json.loads(text_of([str(COLLAPSE), "benchmark", "theory", "--json"]))
    whole = []
    for _ in range(31):  # the first is not counted
        begin = time.perf_counter()
        text_of([str(COLLAPSE), *COMMAND, "--json"])
        whole.append(1e3 * (time.perf_counter() - begin))
    lines = [
        "# Speed of the theory",
        "",
        "Written by `make benchmark`; the numbers of one machine on one day.",
        "",
        f"- {datetime.date.today().isoformat()}, commit {text_of(['git', 'describe', '--always', '--dirty'])}",
        f"- {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; one core is used",
        "",
        f"Theorem 3.1 for {timed[0]['values']} values of λ at once, m = 3, λ_H = 1e-6; {timed[0]['rounds']} rounds"
        " in turn, median (least to most):",
        "",
        "| classes | ms | promised |",
        "|---|---|---|",
    ]
    for row in timed:
        ms = row["milliseconds"]
        promise = "at most 5" if row["classes"] == 10 else ""
        lines.append(f"| {row['classes']} | {ms['median']:.2f} ({ms['min']:.2f} to {ms['max']:.2f}) | {promise} |")
    lines += [
        "",
        f"`collapse {' '.join(COMMAND)} --json`, the whole process {len(whole) - 1} times: {spread(whole[1:], 1)} ms;"
        " at most 50 are promised.",
    ]
    table = "\n".join(lines) + "\n"
    (ROOT / "Benchmarks" / "RESULTS-theory.md").write_text(table)
    print(table)


if __name__ == "__main__":
    main()
