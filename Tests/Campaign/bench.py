"""What all kinds of cases need: data, programs that are started and watched, runs that are compared."""

import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

import images

# As the program documents them: success, what sysexits calls usage, data, missing, internal and temporary failures, and
# an interruption.
STATUSES = {0, 64, 65, 66, 70, 75, 130}
# What no message of ours says.
LAST_WORDS = ("Fatal error", "Backtrace", "terminate called", "Traceback", "ended by signal", "c10::Error")

CONFIGURATION = """\
  device: cpu
  precision: fp32
  threads: 1
  data: {{dataset: idx, path: "{data}", padding: 1}}
  model: {{name: wrn-10-1}}
  epochs: 4
  batch_size: 16
  checkpoint: {{every_epochs: 2, every_minutes: 1e-9}}
  metrics: {{collapse_every_epochs: 2, collapse_samples: 60}}
  capture: {{samples: 60, batch_size: 30}}
"""


class Failed(Exception):
    """A promise that was not kept."""


class Result:
    """How a program has ended."""

    def __init__(self, status, output, errors, seconds, peak):
        self.status, self.output, self.errors = status, output, errors
        self.seconds, self.peak = seconds, peak

    def said(self):
        return (self.errors or self.output)[-600:]


class Bench:
    """A directory with data, in which programs are run."""

    # Other work on the machine may make everything slow.
    patience = 3

    def __init__(self, program, directory):
        self.program, self.directory = program, pathlib.Path(directory)
        self.data = self.directory / "data"
        images.write(self.data)
        self.sweep = self.directory / "one.yaml"
        self.sweep.write_text("base:\n" + CONFIGURATION.format(data=self.data) + "vary:\n  - {optimizer.weight_decay: [0.0001]}\n")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COLLAPSE_")},
            "COLLAPSE_CACHE": str(self.directory / "cache"), "HOME": str(self.directory)}

    def command(self, *arguments):
        return [self.program, *map(str, arguments)]

    def start(self, command, environment=None, limits=None, cwd=None, streams=None):
        """A process and all that it starts, as a group of its own; what it says goes to files."""
        output, errors = (open((streams or self.directory) / name, "w+b") for name in ("output", "errors"))
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=cwd or self.directory,
            env={**self.environment, **(environment or {})}, start_new_session=True, preexec_fn=limits)
        process.streams, process.began = (output, errors), time.monotonic()
        return process

    def finish(self, process, seconds=60):
        """Waits for its end; a process that takes longer is killed, with all that it has started, and has failed."""
        end = time.monotonic() + seconds
        ended, hangs = 0, False
        while not ended:
            # wait4 says how much memory this process has had, and those that it has waited for.
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if not ended:
                time.sleep(0.002)
                if not hangs and time.monotonic() > end:
                    hangs = True
                    kill(process)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - process.began
        texts = []
        for stream in process.streams:
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
            stream.close()
        result = Result(process.returncode, *texts, took, usage.ru_maxrss)
        if hangs:
            raise Failed(f"{' '.join(process.args)} has not ended after {seconds} s: {result.said()}")
        return result

    def run(self, *arguments, seconds=60, **others):
        """Runs the program to its end, which must be an orderly one."""
        result = self.finish(self.start(self.command(*arguments), **others), seconds)
        expect_orderly(result, arguments)
        return result

    def train(self, directory, seconds=60):
        """The one command by which training is begun, gone on with, and found done."""
        return self.run("sweep", self.sweep, "--out", directory, seconds=seconds)

    def pictures(self):
        """A run that was trained on a folder of images."""
        folders, run = self.directory / "folders", self.directory / "pictures"
        images.write_folders(folders)
        file = self.directory / "pictures.yaml"
        text = CONFIGURATION.format(data=folders).replace("\n  ", "\n").strip() + "\n"
        file.write_text(text.replace("dataset: idx", "dataset: folder").replace("epochs: 4", "epochs: 1"))
        result = self.run("train", "--config", file, "--out", run, seconds=120)
        if not (run / "summary.json").exists():
            raise Failed(f"nothing can be trained on images here: {result.said()}")
        return run

    def run_in(self, directory):
        """The run of the sweep's only cell."""
        runs = sorted((directory / "runs").glob("*"))
        if len(runs) != 1:
            raise Failed(f"{directory} has {len(runs)} runs")
        return runs[0]

    def expect_equal(self, directory, whole, but=None):
        """Expects that two runs have come to the same bits, in all files but one."""
        mine, other = fingerprints(self.run_in(directory)), fingerprints(self.run_in(whole))
        for name in sorted(mine.keys() | other.keys()):
            if name != but and mine.get(name) != other.get(name):
                raise Failed(f"{name} is not what a run without faults gives")

    def remove(self, path):
        shutil.rmtree(path, ignore_errors=True)


def fingerprints(run):
    """Of every file that equal runs have equal."""
    names = ["metrics.jsonl", *(f"{place}/{path.name}" for place in ("checkpoints", "captures")
                                for path in sorted((run / place).glob("*.safetensors")))]
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in names}


def expect_orderly(result, what):
    """Expects an end that is documented, in words of ours."""
    what = " ".join(map(str, what))
    if result.status not in STATUSES:
        raise Failed(f"{what} ended with status {result.status}: {result.said()}")
    for words in LAST_WORDS:
        if words in result.errors:
            raise Failed(f"{what} said \"{words}\": {result.said()}")
    if result.status != 0 and not result.errors.strip():
        raise Failed(f"{what} ended with status {result.status} and no word")


def kill(process, number=signal.SIGKILL):
    """Sends a signal to a process and all that it has started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def has_ended(process):
    """Whether it has, without taking its end away."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class Cases:
    """Cases of a kind: each follows from seed and number alone."""

    def __init__(self, surroundings, seed):
        self.bench, self.seed = surroundings, seed

    def missing(self):
        """What these cases need and this machine lacks; None if it has all."""

    def prepare(self):
        """What all cases share."""

    def go_on(self, what, tries=1):
        """Expects that training goes on by the same command, to the bits of the run without faults."""
        for _ in range(tries):
            result = self.bench.train(self.directory)
            if result.status == 0:
                break
        else:
            raise Failed(f"{what}: the run does not go on: {result.said()}")
        try:
            self.bench.expect_equal(self.directory, self.reference)
        except Failed as error:
            raise Failed(f"{what}: {error}") from None

    def random(self, number):
        return random.Random(f"{type(self).__name__} {self.seed} {number}")

    def whole(self):
        """A run without faults, to compare with."""
        directory = self.bench.directory / "whole"
        start = time.monotonic()
        result = self.bench.train(directory)
        if result.status != 0:
            raise Failed(f"nothing can be trained here: {result.said()}")
        self.seconds = time.monotonic() - start
        return directory
