"""What the rounds of a comparison give, and what follows from it for its aims."""

import statistics
import sys
import tempfile
from dataclasses import dataclass

from processes import MEASURING, ROOT, Ceilings, Failed, Server, clock, log, result_of

STEP = ROOT / "Benchmarks" / "pytorch" / "step.py"

# The most that the share of a step which is not the network may be.
INPUT_SHARE = {"cpu": 0.03, "cuda": 0.01}


@dataclass
class Setting:
    """What all works have in common."""

    program: object  # path of ours
    rounds: int
    bf16: bool  # whether contestants in bfloat16 take part
    ceilings: Ceilings
    operations: dict  # of a training step on one image, by model


def command_of(work, contestant, program):
    if contestant.ours:
        command = [str(program), "benchmark", work.kind, "--device", work.device]
    else:
        command = [sys.executable, str(STEP), "--work", work.kind, "--device", work.device]
    command += work.options + contestant.options
    return command + ["--steps", str(work.steps), "--warmup", str(work.warmup), "--json"]


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def megabytes(bytes_each):
    """A spread in MB; a dash where some were not told."""
    values = list(bytes_each)
    return spread([value / 1e6 for value in values], 0) if values and all(values) else "–"


def peak_memory(result):
    """On CUDA the device's, of tensors alone; elsewhere the process's."""
    return result.get("peak_device_memory_bytes") or result["peak_memory_bytes"]


def reserved_memory(result):
    """What the allocator held of the device's memory, graphs' pools with it; None where that is not told."""
    return result.get("peak_device_reserved_bytes")


@dataclass
class Row:
    """Of the summary."""

    title: str
    what: str
    found: str
    aim: str
    is_reached: bool | None  # None: there is no aim

    @property
    def verdict(self):
        return {True: "reached", False: "missed", None: ""}[self.is_reached]


class Results:
    """What the rounds of one work have given so far."""

    def __init__(self, work, setting):
        self.work = work
        self.setting = setting
        self.contestants = [c for c in work.contestants if setting.bf16 or not c.bf16]
        self.rounds = min(work.rounds or setting.rounds, setting.rounds)
        self.done = 0
        self.results = {c.name: [] for c in self.contestants}
        has_share = work.share_aim is not None
        self.ceilings = {precision: [] for precision in setting.ceilings.servers} if has_share else {}
        self.clocks = []
        self.failures = {}
        self.servers = {}
        if work.device != "cpu":
            for contestant in self.contestants:
                if not contestant.ours:
                    command = [*command_of(work, contestant, None), "--serve"]
                    self.servers[contestant.name] = Server(command, work.device)

    def fail(self, contestant, failure):
        """Not every machine can compile, or has the memory: the others go on."""
        log(f"{self.work.title}: {contestant.name} failed: {failure}")
        self.failures[contestant.name] = str(failure)
        self.contestants.remove(contestant)
        if contestant.name in self.servers:
            self.servers.pop(contestant.name).stop()

    def wait(self):
        """Until all processes that live through the rounds are ready, or have failed."""
        for contestant in list(self.contestants):
            try:
                if contestant.name in self.servers:
                    self.servers[contestant.name].wait()
            except Failed as failure:
                self.fail(contestant, failure)

    def turn(self):
        """One round."""
        for contestant in list(self.contestants):
            try:
                if server := self.servers.get(contestant.name):
                    result = server.measure()
                else:
                    command = command_of(self.work, contestant, self.setting.program)
                    result = result_of(command, MEASURING[self.work.device])
            except Failed as failure:
                self.fail(contestant, failure)
                continue
            self.results[contestant.name].append(result)
            rate = result["images_per_second"]
            log(f"{self.work.title}, {self.done + 1}/{self.rounds}: {contestant.name}: {rate:.1f} images/s")
        if self.ceilings:
            for precision, found in self.setting.ceilings.measure().items():
                self.ceilings[precision].append(found)
            if self.work.device != "cpu":
                self.clocks += [clock()]
        self.done += 1

    def stop(self):
        for server in self.servers.values():
            server.stop()
        self.servers = {}

    def rates(self, name):
        return [result["images_per_second"] for result in self.results[name]]

    def names(self, ours):
        """Of the contestants that have finished every round so far, if there was one."""
        return [c.name for c in self.contestants if c.ours == ours and self.done]

    def fastest(self, ours):
        return max(self.names(ours), key=lambda name: statistics.median(self.rates(name)), default=None)

    def table(self):
        on_device = self.work.device != "cpu"
        lines = [
            f"### {self.work.title}",
            "",
            "| contestant | images/s |" + (" tensors, MB | reserved, MB |" if on_device else " peak memory, MB |"),
            "|---|---|---|" + ("---|" if on_device else ""),
        ]
        for name in (c.name for c in self.contestants):
            results = self.results[name]
            columns = [name, spread(self.rates(name), 1), megabytes(map(peak_memory, results))]
            columns += [megabytes(map(reserved_memory, results))] if on_device else []
            lines.append(f"| {' | '.join(columns)} |")
        for name in self.names(True):
            found = {note for result in self.results[name] for note in result.get("notes") or []}
            if self.results[name][-1].get("is_recorded") is False and "no graph" not in name and on_device:
                found.add("steps were not recorded")
            lines += [f"\n{name}: {'; '.join(sorted(found))}."] if found else []
        if self.done < self.rounds:
            lines.append(f"\nRounds done: {self.done} of {self.rounds}.")
        if self.failures:
            failed = "; ".join(f"{name} ({reason})" for name, reason in sorted(self.failures.items()))
            lines.append(f"\nFailed here: {failed}.")
        return [*lines, ""]

    def row(self, what, values, digits, aim, is_reached):
        """A row, if there are values; `is_reached` tells of their median."""
        if not values:
            return Row(self.work.title, what, "not measured", aim, False if aim != "–" else None)
        reached = is_reached(statistics.median(values)) if aim != "–" else None
        return Row(self.work.title, what, spread(values, digits), aim, reached)

    def verdicts(self):
        """Rows of the summary."""
        rows = [self.ratio(aim) for aim in self.work.aims]
        ours = self.fastest(True)
        if self.work.share_aim is not None:
            rows += [self.share(ours), self.input_share(ours)]
        if self.work.device != "cpu" and any(not c.ours for c in self.work.contestants):
            rows.append(self.device_memory(ours))
        elif not self.work.aims:
            rows.append(self.least_memory())
        return rows

    def ratio(self, aim):
        ours = aim.of or self.fastest(True)
        other = self.fastest(False) if aim.against == "best" else aim.against
        is_known = ours and other and not {ours, other} & self.failures.keys()
        found = [self.rates(name) if is_known else [] for name in (ours, other)]
        ratios = [a / b for a, b in zip(*found)]
        what = f"{ours or 'Collapse'} / {other or 'PyTorch'}"
        if aim.against == "best":
            what += " (PyTorch's best of those that did not fail)" if self.failures else " (PyTorch's best)"
        return self.row(what, ratios, 2, f"≥ {aim.least}" if aim.least else "–", lambda found: found >= aim.least)

    def share(self, ours):
        precision = "bfloat16" if "bf16" in (ours or self.work.contestants[-1].name) else "float32"
        tops = self.ceilings.get(precision, [])
        operations = self.setting.operations.get(self.work.model)
        rates = self.rates(ours) if ours and operations else []
        shares = [rate * operations / top for rate, top in zip(rates, tops)]
        reached = f" ({statistics.median(tops) / 1e9:.0f} GFLOP/s)" if tops else ""
        # Minimal filtering needs fewer products than are counted, and can be above 1.
        what = f"share of the {precision} matrix-product ceiling{reached}, by plain products"
        aim = self.work.share_aim
        return self.row(what, shares, 2, f"≥ {aim}" if aim else "–", lambda share: share >= aim)

    def input_share(self, ours):
        aim = INPUT_SHARE[self.work.device]
        shares = [result["input_share"] for result in self.results[ours]] if ours else []
        return self.row("share that is not the network", shares, 3, f"≤ {aim}", lambda share: share <= aim)

    def device_memory(self, ours):
        """Of the fastest ways: a slower way may need less."""
        other = self.fastest(False)
        found = [self.results[name] if ours and other else [] for name in (ours, other)]
        is_reserved = all(reserved_memory(result) for results in found for result in results)
        memory = reserved_memory if is_reserved else peak_memory
        ratios = [memory(a) / memory(b) for a, b in zip(*found)]
        kind = "reserved, with graphs' pools" if is_reserved else "of tensors"
        what = f"peak device memory, {kind} / that of PyTorch's fastest way"
        return self.row(what, ratios, 2, "≤ 1.0", lambda ratio: ratio <= 1)

    def least_memory(self):
        least = [
            min((peak_memory(self.results[name][0]) for name in self.names(ours)), default=None)
            for ours in (True, False)
        ]
        ratios = [least[0] / least[1]] if all(least) else []
        row = self.row("peak memory / PyTorch's least", ratios, 2, "≤ 1", lambda ratio: ratio <= 1)
        row.found = f"{ratios[0]:.2f}" if ratios else row.found
        return row

    def raw(self):
        parts = ("results", "failures", "ceilings", "clocks")
        return {part: getattr(self, part) for part in parts}


class StartResults:
    """What starting a run with an empty cache, and again with what it has left there, has taken."""

    AIMS = (("kernels not cached", 20), ("kernels cached", 5))

    def __init__(self, work, setting):
        self.work = work
        self.program = setting.program
        self.rounds = work.rounds
        self.done = 0
        self.clocks = []
        self.found = []

    def wait(self):
        pass

    def stop(self):
        pass

    def turn(self):
        command = [str(self.program), "benchmark", "train", "--device", self.work.device, *self.work.options]
        command += ["--steps", "1", "--warmup", "0", "--json"]
        with tempfile.TemporaryDirectory() as cache:
            for what, _ in self.AIMS:
                try:
                    result = result_of(command, MEASURING[self.work.device], {"COLLAPSE_CACHE": cache})
                    self.found.append(result.get("startup_seconds"))
                except Failed as failure:
                    log(f"{self.work.title}: {failure}")
                    self.found.append(None)
                log(f"{self.work.title}, {what}: {self.found[-1]} s")
        self.done += 1

    def table(self):
        return []

    def verdicts(self):
        found = self.found or [None] * len(self.AIMS)
        return [
            Row(self.work.title, what, f"{seconds:.1f} s" if seconds else "not measured", f"≤ {most} s",
                bool(seconds) and seconds <= most)
            for (what, most), seconds in zip(self.AIMS, found)
        ]

    def raw(self):
        return {"startup_seconds": self.found}
