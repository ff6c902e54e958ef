"""System calls that fail, or are the last ones."""

import re
import shutil
import collections

import bench

# What each call may fail with.
ERRORS = {
    "openat": ["ENOSPC", "EACCES", "EMFILE", "EIO", "EINTR", "EROFS"],
    "write": ["ENOSPC", "EIO", "EINTR", "EDQUOT"],
    "pwrite64": ["ENOSPC", "EIO"],
    "fsync": ["EIO", "ENOSPC"],
    "rename": ["ENOSPC", "EACCES", "EIO"],
    "mkdir": ["ENOSPC", "EACCES", "EROFS"],
    "unlink": ["EACCES", "EIO"],
    "ftruncate": ["EIO", "EINTR"],
    "fchmod": ["EPERM", "EIO"],
    "close": ["EIO", "EINTR"],
    "read": ["EIO", "EINTR"],
    "pread64": ["EIO", "EINTR"],
    "getdents64": ["EIO"],
    "newfstatat": ["EIO", "EACCES"],
    "flock": ["ENOLCK", "EINTR"],
}
# After these a program tries again, as POSIX has it.
RETRIED = {("write", "EINTR"), ("openat", "EINTR"), ("read", "EINTR"), ("pread64", "EINTR"), ("flock", "EINTR"),
           ("ftruncate", "EINTR")}
CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed)")


class Calls(bench.Cases):
    """Each case is a run of which one call within its directory fails, or is the one at which all is killed; what goes
    on from there must come to the same bits."""

    def missing(self):
        return None if shutil.which("strace") else "there is no strace here"

    def prepare(self):
        self.reference = self.whole()
        self.directory = self.bench.directory / "failing"
        self.plan = self.calls()
        self.hit, self.counts = set(), collections.Counter()

    def strace(self, *options):
        return ["strace", "-f", "-y", "-q", "--seccomp-bpf", *options,
                *self.bench.command("sweep", self.bench.sweep, "--out", self.directory)]

    def calls(self):
        """The calls within the run's directory, each with its number among those of its process that are called so."""
        log = self.bench.directory / "trace"
        options = ["-o", str(log), "-e", "trace=" + ",".join(ERRORS)]
        result = self.bench.finish(self.bench.start(self.strace(*options)), 120)
        bench.expect_orderly(result, ["strace", "collapse"])
        found, counts = collections.defaultdict(list), collections.Counter()
        for line in log.read_text(errors="replace").splitlines():
            match = CALL.match(line)
            if not match or "<... " in line:
                continue
            counts[match.groups()] += 1
            kind = self.kind(match[2], line)
            if kind:
                found[kind].append(counts[match.groups()])
        self.bench.remove(self.directory)
        return found

    def kind(self, name, line):
        """A call and the file that it is about, without what differs from run to run; None for one elsewhere."""
        place = re.search(re.escape(str(self.directory)) + r"([^\s\">,)]*)", line)
        if not place:
            return None
        file = re.sub(r"runs/[^/]+", "RUN", place[1]).replace(".partial", " partial")
        file = re.sub(r"-?\d[\d.vm-]*(-\d+)*", "#", file)
        return name, file

    def run(self, number):
        random = self.random(number)
        # Those that no case has come to yet, first.
        kinds = sorted(set(self.plan) - self.hit) or sorted(self.plan)
        name, file = random.choice(kinds)
        place = random.choice(self.plan[name, file])
        fault = random.choice(ERRORS[name] + ["KILL"])
        action = "signal=KILL" if fault == "KILL" else f"error={fault}"
        log = self.bench.directory / "injected"
        options = ["-o", str(log), "-e", "trace=" + name, "-e", f"inject={name}:{action}:when={place}"]
        process = self.bench.start(self.strace(*options))
        try:
            result = self.bench.finish(process, 60)
            # A worker whose program is gone makes a checkpoint.
            bench.kill(process)
            hits, is_elsewhere = self.hits(log, name, fault)
            what = f"{fault} at call {place} of {name} ({', '.join(sorted({hit[1] for hit in hits})) or 'elsewhere'})"
            self.counts[fault] += 1
            if fault != "KILL":
                # The same number is of another call in another process, such as of the one that loads a library.
                self.check(result, what, hits, must_go_on=(name, fault) in RETRIED and not is_elsewhere)
            self.go_on(what, tries=3)
        finally:
            bench.kill(process)
            self.bench.remove(self.directory)

    def hits(self, log, name, fault):
        """Which files' calls were hit, and whether one elsewhere was."""
        mark = "(INJECTED)" if fault != "KILL" else "killed by SIGKILL"
        last, kinds, is_elsewhere = {}, set(), False
        for line in log.read_text(errors="replace").splitlines():
            process = line.split(" ", 1)[0]
            if f" {name}(" in line:
                last[process] = line
            if mark in line and process in last:
                kind = self.kind(name, last[process])
                if kind:
                    kinds.add(kind)
                else:
                    is_elsewhere = True
        self.hit |= kinds
        return kinds, is_elsewhere

    def check(self, result, what, hits, must_go_on):
        try:
            bench.expect_orderly(result, ["collapse"])
        except bench.Failed as error:
            # A fault in what a program does before it is ours, or in its end, has the system's words.
            if hits:
                raise bench.Failed(f"{what}: {error}") from None
        if hits and result.status != 0 and must_go_on:
            raise bench.Failed(f"{what}: the call was not tried again: {result.said()}")

    def summary(self):
        faults = ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
        left = sorted(set(self.plan) - self.hit)
        text = f"{faults}; {len(self.hit & set(self.plan))} of {len(self.plan)} kinds of calls hit"
        return text + (f", not {', '.join(' '.join(kind) for kind in left[:8])}" if left else "")
