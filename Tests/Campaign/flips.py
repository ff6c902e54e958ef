"""Bits of files that the project has written, changed one at a time."""

import collections
import json
import shutil

import bench


class Flips(bench.Cases):
    """Each case is one bit: whatever reads the file says so, or gives what it gives without."""

    def prepare(self):
        self.reference = self.whole()
        self.copy = self.bench.directory / "copy"
        run = self.bench.run_in(self.reference)
        self.files = self.places(run)
        self.answers, self.counts = {}, collections.Counter()

    def places(self, run):
        """Each file, and the command that reads it; {} is the copy, {run} its run."""
        name = run.relative_to(self.reference)
        packing = ["evaluate", str(self.bench.pictures()), "--json"]
        found = {}
        for path in sorted(run.rglob("*")):
            file = path.relative_to(run)
            if path.suffix == ".safetensors" and path.parent.name == "captures":
                found[name / file] = ["measure", f"{{run}}/{file}", "--json"]
            elif path.name in ("last.safetensors", "best.safetensors"):
                which = path.stem
                found[name / file] = ["evaluate", "{run}", "--weights", which, "--json"]
            elif path.name.startswith("state-"):
                found[name / file] = ["resume", "{run}", "--json"]
            elif path.name in ("metrics.jsonl", "summary.json", "manifest.json", "config.yaml"):
                found[name / file] = ["runs", "show", "{run}", "--json"]
        for path in sorted(self.reference.glob("*.json")) + sorted((self.reference / "plans").glob("*.json")):
            command = ["sweep", "status", "{}", "--json"]
            if path.parent.name == "plans":
                command = ["sweep", "cell", "--plan", "{}/plans/" + path.name, "--cell", "0", "--json"]
            found[path.relative_to(self.reference)] = command
        for path in sorted((self.bench.directory / "cache").rglob("*")):
            if path.is_file() and path.stat().st_size > 0:
                found[path] = packing
        return found

    def run(self, number):
        random = self.random(number)
        file, command = random.choice(sorted(self.files.items(), key=lambda item: str(item[0])))
        self.renew(file, command)
        path = self.copy / file
        data = bytearray(path.read_bytes())
        bit = random.randrange(8 * len(data))
        if file not in self.answers:
            self.answers[file] = self.answer(command)
            self.renew(file, command)
        kept = bytes(data)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            self.compare(file, command, bit)
        finally:
            if file.is_absolute():
                path.write_bytes(kept)
            self.bench.remove(self.copy)

    def renew(self, file, command):
        self.bench.remove(self.copy)
        shutil.copytree(self.reference, self.copy)
        if command[0] == "resume":
            # A run that is done goes on with nothing.
            (self.bench.run_in(self.copy) / "summary.json").unlink()

    def answer(self, command):
        run = self.bench.run_in(self.copy)
        words = [word.replace("{run}", str(run)).replace("{}", str(self.copy)) for word in command]
        # A picture is not what this is about.
        result = self.bench.run(*words, environment={"COLLAPSE_PYTHON": "/bin/false"} if words[0] == "resume" else None)
        return result.status, self.numbers(result.output), result

    def numbers(self, output):
        """What a command gives, without times and what only tells of this copy."""
        try:
            value = json.loads(output)
        except ValueError:
            return output
        if isinstance(value, dict):
            for key in ("seconds", "stretches", "damage", "state", "age"):
                value.pop(key, None)
            # Where a run is computed, its data lie and what it is called may be changed.
            for key in ("data.path", "device", "threads", "name"):
                value.get("settings", {}).pop(key, None)
            value.pop("name", None)
        return value

    def compare(self, file, command, bit):
        status, expected, _ = self.answers[file]
        found, numbers, result = self.answer(command)
        what = f"bit {bit} of {file}: {' '.join(command)}"
        if found == status and numbers == expected:
            self.counts["the same"] += 1
            if command[0] == "resume":
                # The state before the last is there for when the last is damaged, and else not read.
                self.bench.expect_equal(self.copy, self.reference, but=f"checkpoints/{file.name}")
        elif found in (64, 65, 66):
            self.counts["refused"] += 1
        elif self.is_said(result, file):
            self.counts["said"] += 1
        else:
            raise bench.Failed(f"{what} gives other numbers and status {found}: {result.output[-200:]} {result.said()}")

    def is_said(self, result, file):
        """`runs show` goes on without what a damaged file would have told, and says which."""
        try:
            return file.name in " ".join(json.loads(result.output).get("damage") or [])
        except (ValueError, AttributeError):
            return False

    def summary(self):
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
        return f"{counts}; in {len(self.answers)} of {len(self.files)} files"
