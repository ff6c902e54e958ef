"""Training that takes long, for what grows with it."""

import os
import statistics
import time

import bench
import kills

EPOCHS, STEPS, EVALUATIONS, CAPTURES = 8334, 12, 500, 200


class Endurance(bench.Cases):
    """Each case is 100,000 steps of a small network with 500 evaluations and 200 captures: memory and descriptors stay."""

    def prepare(self):
        self.told = []

    def run(self, number):
        directory = self.bench.directory / f"long-{number}"
        base = bench.CONFIGURATION.format(data=self.bench.data).replace("\n  ", "\n").strip()
        file = self.bench.directory / "long.yaml"
        fractions = ", ".join(f"{(index + 0.5) / CAPTURES:.5f}" for index in range(CAPTURES))
        file.write_text(
            base.replace("epochs: 4", f"epochs: {EPOCHS}").replace("batch_size: 16", f"batch_size: {96 // STEPS}", 1)
            .replace("{every_epochs: 2, every_minutes: 1e-9}", "{every_epochs: 100, every_minutes: 0}")
            .replace("collapse_every_epochs: 2", f"collapse_every_epochs: {EPOCHS // EVALUATIONS}")
            .replace("batch_size: 30}", f"batch_size: 30, at: [{fractions}]}}")
            + f"\nseed: {number}\nevaluation: {{every_epochs: {EPOCHS // EVALUATIONS}}}\n")
        process = self.bench.start(self.bench.command("train", "--config", file, "--out", directory, "--json"))
        samples = self.watch(process)
        result = self.bench.finish(process)
        bench.expect_orderly(result, ["train"])
        captures = len(list((directory / "captures").glob("*.safetensors")))
        if result.status != 0 or captures < CAPTURES:
            raise bench.Failed(f"status {result.status}, {captures} captures: {result.said()}")
        self.compare(samples)

    def watch(self, process):
        """Resident KiB and open descriptors of the worker, once a second."""
        samples, worker = [], None
        while not bench.has_ended(process):
            # The first child; what draws the figure comes later.
            worker = worker or next(iter(kills.children(process.pid)), None)
            if worker:
                try:
                    with open(f"/proc/{worker}/statm", encoding="ascii") as file:
                        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 10
                    samples.append((resident, len(os.listdir(f"/proc/{worker}/fd"))))
                except (OSError, IndexError):
                    pass
            time.sleep(1)
        return samples

    def compare(self, samples):
        quarter = len(samples) // 4
        if quarter < 3:
            raise bench.Failed(f"{len(samples)} seconds are too few to tell")
        early, late = samples[quarter:2 * quarter], samples[-quarter:]
        before, after = (statistics.median(resident for resident, _ in part) for part in (early, late))
        files = [statistics.median(count for _, count in part) for part in (early, late)]
        self.told.append(f"{before / 1024:.0f} MB and {files[0]:.0f} descriptors in the second quarter, "
                         f"{after / 1024:.0f} MB and {files[1]:.0f} in the last, {len(samples)} s")
        if after > 1.02 * before:
            raise bench.Failed(f"memory grows: {self.told[-1]}")
        if files[1] > files[0]:
            raise bench.Failed(f"descriptors are left open: {self.told[-1]}")

    def summary(self):
        return "; ".join(self.told)
