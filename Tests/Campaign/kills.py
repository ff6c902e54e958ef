"""Training that is killed at any instant."""

import os
import signal
import time

import bench


class Kills(bench.Cases):
    """Each case is one kill of a training; some kills later it is left to end, and compared."""

    def prepare(self):
        self.reference = self.whole()
        self.directory = self.bench.directory / "killed"
        self.ends, self.targets = 0, {"all": 0, "program": 0, "worker": 0}

    def run(self, number):
        random = self.random(number)
        process = self.bench.start(self.bench.command("sweep", self.bench.sweep, "--out", self.directory))
        time.sleep(random.uniform(0, 1.1 * self.seconds))
        self.kill(process, random.choice(list(self.targets)))
        self.bench.finish(process)
        # One whose program was killed alone makes a checkpoint, and lets the run go.
        if random.random() < 0.3:
            self.end()

    def kill(self, process, target):
        worker = children(process.pid)[:1]
        if target == "all" or (target == "worker" and not worker):
            bench.kill(process)
        else:
            signal_one(worker[0] if target == "worker" else process.pid)
        self.targets[target] += 1

    def end(self):
        """Goes on to the end, and starts anew."""
        deadline = time.monotonic() + 30
        while True:
            result = self.bench.train(self.directory)
            if result.status == 0:
                break
            if time.monotonic() > deadline:
                raise bench.Failed(f"the run does not go on: {result.said()}")
            # The worker of a program that was killed is still at its checkpoint.
            time.sleep(0.1)
        self.ends += 1
        try:
            if "damaged" in result.errors:
                raise bench.Failed(f"a kill has damaged a file: {result.said()}")
            self.bench.expect_equal(self.directory, self.reference)
        finally:
            self.bench.remove(self.directory)

    def summary(self):
        self.end()
        targets = ", ".join(f"{count} of {name}" for name, count in self.targets.items())
        return f"kills: {targets}; {self.ends} runs ended, all with the bits of one that was not killed"


def children(process):
    try:
        with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def signal_one(process):
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass
