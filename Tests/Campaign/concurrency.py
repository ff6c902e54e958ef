"""Several processes at the same files."""

import collections
import os
import shutil
import signal
import time

import bench


class Concurrency(bench.Cases):
    """Each case is several processes that want the same: one does it, all others wait, are refused, or see a whole state."""

    def prepare(self):
        self.reference = self.whole()
        self.pictures = self.bench.pictures()
        self.directory = self.bench.directory / "shared"
        self.counts = collections.Counter()
        self.kinds = [self.one_sweep, self.one_directory, self.one_run, self.readers, self.one_pack]

    def run(self, number):
        kind = self.kinds[number % len(self.kinds)]
        self.counts[kind.__name__.replace("_", " ")] += 1
        try:
            kind(self.random(number))
        finally:
            self.bench.remove(self.directory)

    def at_once(self, random, *commands, apart=0.3):
        """Starts commands a little apart, and gives how they have ended."""
        processes = []
        for index, command in enumerate(commands):
            place = self.bench.directory / f"process-{index}"
            place.mkdir(exist_ok=True)
            processes.append(self.bench.start(self.bench.command(*command), streams=place))
            time.sleep(random.uniform(0, apart))
        results = [self.bench.finish(process, 90) for process in processes]
        for command, result in zip(commands, results):
            bench.expect_orderly(result, command)
        return results

    def one_sweep(self, random):
        """The same command, two or three times at once."""
        command = ["sweep", self.bench.sweep, "--out", self.directory]
        self.at_once(random, *[command] * random.choice([2, 3]))
        self.go_on("several at once")

    def one_directory(self, random):
        """Two trainings into one directory: one is refused."""
        file = self.bench.directory / "pictures.yaml"
        command = ["train", "--config", file, "--out", self.directory, "--json"]
        results = self.at_once(random, command, command, apart=0.05)
        if sorted(result.status == 0 for result in results) != [False, True]:
            raise bench.Failed(f"of two trainings in one directory {[result.status for result in results]} are their ends")

    def one_run(self, random):
        """A run that was stopped, gone on with by two at once."""
        process = self.bench.start(self.bench.command("sweep", self.bench.sweep, "--out", self.directory))
        time.sleep(random.uniform(0.3, 0.9) * self.seconds)
        bench.kill(process, random.choice([signal.SIGKILL, signal.SIGTERM]))
        self.bench.finish(process)
        try:
            run = self.bench.run_in(self.directory)
        except bench.Failed:
            return self.go_on("a run that was stopped before it was there")
        if (run / "config.yaml").exists():
            self.at_once(random, ["resume", run, "--json"], ["resume", run, "--json"], apart=0.05)
        self.go_on("several at once")

    def readers(self, random):
        """What is read while it is written is whole."""
        process = self.bench.start(self.bench.command("sweep", self.bench.sweep, "--out", self.directory))
        reads = 0
        while not bench.has_ended(process) and reads < 200:
            place = self.bench.directory / "reader"
            place.mkdir(exist_ok=True)
            command = random.choice([["sweep", "status", self.directory], ["runs", "list", self.directory, "--json"]])
            result = self.bench.finish(self.bench.start(self.bench.command(*command), streams=place))
            bench.expect_orderly(result, command)
            if "is not as it was written" in result.output + result.errors:
                raise bench.Failed(f"{command[0]} has seen a file that is half written: {result.said()}")
            reads += 1
        self.bench.finish(process)
        self.counts["reads"] += reads
        self.go_on("several at once")

    def one_pack(self, random):
        """A folder that is packed by several at once."""
        shutil.rmtree(self.bench.directory / "cache", ignore_errors=True)
        results = self.at_once(random, *[["evaluate", self.pictures, "--json"]] * 3, apart=0.1)
        if len({result.output for result in results}) != 1 or any(result.status for result in results):
            raise bench.Failed(f"three that read one folder end with {[result.status for result in results]}")
        for name in os.listdir(self.bench.directory / "cache"):
            if "partial" in name or name.startswith("fetching"):
                raise bench.Failed(f"{name} is left in the cache")

    def summary(self):
        return ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
