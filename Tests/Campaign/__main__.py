"""Injects faults into the programs, thousands of them, and looks whether what the README promises holds.

  scripts/campaign [KIND...] [--minutes M] [--seed S] [--cases FIRST[-LAST]] [--program PATH] [--keep]

  kills         training is killed at any instant, and begun again by the same command, to the same bits
  calls         a system call within its directory fails, or is the last one; then the same (with strace)
  flips         a bit of any sealed file is changed: it is told, or what comes out is the same
  files         hostile files of every format that is read
  limits        few descriptors, little memory, short files, a full disk (as root)
  concurrency   several processes at one run, one sweep, one pack
  endurance     100,000 steps, 500 evaluations, 200 captures: memory and descriptors stay (minutes; only if it is named)

Each case follows from the seed, its kind and its number, and can be tried alone: --cases 17. A kind ends with its
minutes, or after --cases. Exit status: 0 nothing failed, 1 something did, 64 wrong usage, 66 no program.
"""

import argparse
import pathlib
import shutil
import sys
import tempfile
import time

import bench
import calls
import concurrency
import endurance
import files
import flips
import kills
import limits

KINDS = {
    "kills": kills.Kills, "calls": calls.Calls, "flips": flips.Flips, "files": files.Files,
    "limits": limits.Limits, "concurrency": concurrency.Concurrency, "endurance": endurance.Endurance,
}


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/campaign", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="all of them, if none is named")
    parser.add_argument("--minutes", type=float, default=20, help="for all kinds together (20)")
    parser.add_argument("--seed", type=int, default=1, help="of all cases (1)")
    parser.add_argument("--cases", help="numbers of cases of each kind, FIRST-LAST or one; else as time allows")
    parser.add_argument("--program", help="the program (.build/release/collapse, or the one in .build/debug)")
    parser.add_argument("--keep", action="store_true", help="leave the files of cases that failed, and say where")
    chosen = parser.parse_args()
    kinds = [kind for name in chosen.kinds or ["all"] for kind in ([each for each in KINDS if each != "endurance"] if name == "all" else [name])]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        usage(f"{unknown[0]} is no kind; there are {', '.join(KINDS)}, and all")
    chosen.kinds = list(dict.fromkeys(kinds))
    chosen.numbers = numbers(chosen.cases)
    chosen.program = program(chosen.program)
    return chosen


def usage(what, status=64):
    print(f"campaign: {what}", file=sys.stderr)
    sys.exit(status)


def numbers(text):
    """The cases of FIRST-LAST; None for as many as there is time for."""
    if text is None:
        return None
    first, _, last = text.partition("-")
    if not first.isdigit() or (last and not last.isdigit()):
        usage(f"--cases {text}: a number, or two as in 10-20, is needed")
    return range(int(first), int(last or first) + 1)


def program(path):
    root = pathlib.Path(__file__).resolve().parents[2]
    places = [pathlib.Path(path).resolve()] if path else [root / ".build" / kind / "collapse" for kind in ("release", "debug")]
    for place in places:
        if place.is_file():
            return str(place)
    usage(f"there is no program {places[0]}; make build, or --program PATH", 66)


def main():
    chosen = arguments()
    failures = 0
    for kind in chosen.kinds:
        directory = tempfile.mkdtemp(prefix="collapse-campaign-")
        try:
            surroundings = bench.Bench(chosen.program, directory)
            failures += campaign(KINDS[kind](surroundings, chosen.seed), kind, chosen)
        finally:
            if failures and chosen.keep:
                print(f"  files: {directory}")
            else:
                shutil.rmtree(directory, ignore_errors=True)
    sys.exit(1 if failures else 0)


def campaign(cases, kind, chosen):
    """Runs cases of a kind one after another; gives how many failed."""
    missing = cases.missing()
    if missing:
        print(f"{kind:12} skipped: {missing}", flush=True)
        return 0
    end = time.monotonic() + 60 * chosen.minutes / len(chosen.kinds)
    failures, done = 0, 0

    def attempt(body, again):
        nonlocal failures
        try:
            return body()
        except bench.Failed as error:
            failures += 1
            print(f"{kind} FAILED: {error}\n  again: scripts/campaign {kind} --seed {chosen.seed}{again}", flush=True)

    cases.prepare()
    for number in chosen.numbers if chosen.numbers is not None else iter(lambda: done, None):
        if chosen.numbers is None and time.monotonic() >= end:
            break
        attempt(lambda: cases.run(number), f" --cases {number} --keep")
        done += 1
    summary = attempt(cases.summary, "")
    print(f"{kind:12} {done} cases, {failures} failed; {summary}", flush=True)
    return failures


if __name__ == "__main__":
    main()
