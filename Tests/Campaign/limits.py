"""Few descriptors, little memory, short files, a full disk."""

import collections
import errno
import os
import resource
import subprocess

import bench

KINDS = {
    "descriptors": (resource.RLIMIT_NOFILE, lambda random: random.choice([*range(3, 24), 32, 64])),
    "stack": (resource.RLIMIT_STACK, lambda random: random.choice([16, 64, 128, 256, 1024, 4096]) << 10),
    "memory": (resource.RLIMIT_AS, lambda random: random.choice([50, 200, 500, 800, 1200, 2000]) << 20),
    "file size": (resource.RLIMIT_FSIZE, lambda random: random.choice([0, 1, 100, 4096, 50_000, 200_000, 700_000])),
    "processor time": (resource.RLIMIT_CPU, lambda random: 1),
}


class Limits(bench.Cases):
    """Each case is training under one limit, which then goes on without it, to the same bits."""

    def prepare(self):
        self.reference = self.whole()
        self.directory = self.bench.directory / "limited"
        self.counts = collections.Counter()
        self.kinds = sorted(KINDS) + (["disk"] if os.geteuid() == 0 else [])

    def run(self, number):
        random = self.random(number)
        kind = self.kinds[number % len(self.kinds)]
        try:
            self.under_full_disk(random) if kind == "disk" else self.under_limit(kind, random)
        finally:
            self.bench.remove(self.directory)

    def under_limit(self, kind, random):
        which, choose = KINDS[kind]
        amount = choose(random)
        process = self.bench.start(
            self.bench.command("sweep", self.bench.sweep, "--out", self.directory),
            limits=lambda: resource.setrlimit(which, (amount, amount)))
        self.check(process, f"{kind} {amount}")

    def check(self, process, what):
        result = self.bench.finish(process, 60)
        self.counts["ended well" if result.status == 0 else "gave up"] += 1
        # What the system does before the program's first line is not the program's.
        if not result.errors.strip() or "error while loading shared libraries" in result.errors:
            self.counts["not begun" if result.status else "silent"] += 1
        else:
            try:
                bench.expect_orderly(result, ["collapse"])
            except bench.Failed as error:
                raise bench.Failed(f"{what}: {error}") from None
        self.go_on(what)

    def under_full_disk(self, random):
        """A file system of its own, which becomes larger in time."""
        size = random.choice([16, 64, 200, 500, 800, 1200, 2000])
        self.directory.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", self.directory], check=True)
        try:
            process = self.bench.start(self.bench.command("sweep", self.bench.sweep, "--out", self.directory))
            result = self.bench.finish(process, 60)
            try:
                bench.expect_orderly(result, ["collapse"])
                if result.status != 0 and os.strerror(errno.ENOSPC) not in result.errors:
                    raise bench.Failed(f"the reason is not said: {result.said()}")
            except bench.Failed as error:
                raise bench.Failed(f"a disk of {size} KB: {error}") from None
            self.counts["ended well" if result.status == 0 else "gave up"] += 1
            subprocess.run(["mount", "-o", "remount,size=64m", self.directory], check=True)
            self.go_on(f"a disk of {size} KB")
        finally:
            subprocess.run(["umount", "-l", self.directory], check=True)

    def summary(self):
        return ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
