"""Processes that measure: one each time, or one that lives through all rounds; none without a limit of its time."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# The most seconds that a process may take to measure, and one that lives through all rounds to be ready.
MEASURING = {"cpu": 1800, "cuda": 120}
LOADING = {"cpu": 300, "cuda": 240}

CEILING = """
import json, sys, time, torch
dtype, device, size = getattr(torch, sys.argv[1]), sys.argv[2], int(sys.argv[3])
wait = torch.cuda.synchronize if device == "cuda" else lambda: None
a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
print("ready", flush=True)
for _ in sys.stdin:
    a @ b
    wait()
    best = 0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(4):
            a @ b
        wait()
        best = max(best, 4 * 2 * size**3 / (time.perf_counter() - start))
    print(json.dumps({"operations_per_second": best}), flush=True)
"""


class Failed(Exception):
    """A process that gave no result, and why."""


def log(text):
    print(text, file=sys.stderr, flush=True)


def text_of(command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout.strip()


def python(script, *arguments):
    """The JSON that a script prints."""
    return json.loads(text_of([sys.executable, "-c", script, *arguments]))


def last_line(text):
    return ([line.strip() for line in text.splitlines() if line.strip()] or ["no message"])[-1]


def reason_of(errors):
    """What a program gave as its reason: our own go on with remedies, Python's end with it."""
    own = [line for line in errors.splitlines() if line.startswith("collapse: ")]
    return own[0] if own else last_line(errors)


def stop(process):
    """Ends a process and all that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def end_when_asked():
    """Has SIGTERM end this process as an exception does, so that it can end those that it has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def start(command, environment=None):
    """A process whose results can be read, in a group of its own."""
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", cwd=ROOT,
        env={**os.environ, **(environment or {})}, start_new_session=True,
    )


def finish(process, seconds):
    """The JSON that it prints last."""
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {seconds:.0f} s") from None
    finally:
        stop(process)
    if process.returncode != 0:
        raise Failed(f"status {process.returncode}: {reason_of(errors)}")
    try:
        # torch.compile may print before the result; ours is more than a line.
        return json.loads(output if output.startswith("{") else last_line(output))
    except ValueError:
        raise Failed(f"no JSON but {last_line(output)!r}") from None


def result_of(command, seconds, environment=None):
    return finish(start(command, environment), seconds)


class Server:
    """A process that measures whenever it is asked to."""

    def __init__(self, command, device):
        self.errors = tempfile.TemporaryFile("w+", errors="replace")
        # So many compile at once that each is better off with few helpers.
        environment = {"TORCHINDUCTOR_COMPILE_THREADS": "4", **os.environ}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=ROOT,
            env=environment, start_new_session=True,
        )
        self.device = device
        self.begin = time.monotonic()
        self.is_ready = False
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def line(self, is_wanted, begin, seconds, what):
        """The first line that is wanted: torch.compile may print others before."""
        while True:
            try:
                line = self.lines.get(timeout=max(0, begin + seconds - time.monotonic()))
            except queue.Empty:
                raise Failed(f"not {what} after {seconds} s") from None
            if line is None:
                self.errors.seek(0)
                raise Failed(f"status {self.process.wait()}: {last_line(self.errors.read())}")
            if is_wanted(line):
                return line

    def wait(self):
        """Until it is ready to measure."""
        if not self.is_ready:
            self.line(lambda line: line == "ready", self.begin, LOADING[self.device], "ready")
            self.is_ready = True

    def measure(self):
        self.wait()
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and is asked why
        found = self.line(
            lambda line: line.startswith("{"), time.monotonic(), MEASURING[self.device], "done"
        )
        return json.loads(found)

    def stop(self):
        stop(self.process)


class Ceilings:
    """What matrix products alone reach on this machine, by precision."""

    def __init__(self, precisions, device):
        size = "2048" if device == "cpu" else "8192"
        self.servers = {
            precision: Server([sys.executable, "-c", CEILING, precision, device, size], device)
            for precision in precisions
        }

    def measure(self):
        """Operations a second now, of those that can be measured."""
        found = {}
        for precision, server in list(self.servers.items()):
            try:
                found[precision] = server.measure()["operations_per_second"]
            except Failed as failure:
                log(f"the {precision} ceiling: {failure}")
                server.stop()
                del self.servers[precision]
        return found

    def stop(self):
        for server in self.servers.values():
            server.stop()


def clock():
    """What nvidia-smi says of the first device: driver, clock now and at most."""
    command = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm,clocks.max.sm"]
    command += ["--format=csv,noheader,nounits"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        driver, now, most = (part.strip() for part in run.stdout.splitlines()[0].split(","))
        return {"driver": driver, "now": float(now), "most": float(most)}
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return None
