"""Hostile files of every format that is read."""

import collections
import json

import bench
import formats

SECONDS, MEMORY = 10, 1 << 20  # KiB


class Files(bench.Cases):
    """Each case is a file: it is read or refused, in time, in bounded memory, and nothing is executed or written."""

    def prepare(self):
        self.reference = self.whole()
        self.trained = self.bench.run_in(self.reference)
        self.pictures = self.bench.pictures()
        self.place = self.bench.directory / "here"
        self.counts, self.peak, self.longest = collections.Counter(), 0, 0.0
        self.kinds = [self.safetensors, self.npy, self.npz, self.csv, self.yaml, self.sweep, self.idx, self.folder,
                      self.archive, self.documents, self.plans, self.pickles, self.bombs, self.captures]

    def run(self, number):
        random = self.random(number)
        self.bench.remove(self.place)
        self.place.mkdir()
        # Python must not take what lies where a user happens to be.
        for module in ("vl_convert", "importlib", "json", "numpy", "PIL", "zipfile", "sitecustomize"):
            self.put(f"{module}.py", b"open('executed', 'w')")
        # One after another, so that none is left out of a short campaign.
        kind = self.kinds[number % len(self.kinds)]
        command = kind(random)
        result = self.bench.finish(
            self.bench.start(
                self.bench.command(*command), cwd=self.place, environment={"PYTHONPATH": str(self.place)}), SECONDS * self.bench.patience)
        bench.expect_orderly(result, command)
        self.counts["read" if result.status == 0 else "refused"] += 1
        self.peak, self.longest = max(self.peak, result.peak), max(self.longest, result.seconds)
        if result.peak > MEMORY:
            raise bench.Failed(f"{' '.join(map(str, command))} took {result.peak >> 10} MB")
        for path in [*self.bench.directory.rglob("*escaped*"), *self.bench.directory.rglob("executed")]:
            raise bench.Failed(f"{' '.join(map(str, command))} has made {path}")

    def put(self, name, content):
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def measured(self, name, content):
        return ["measure", self.put(name, content), "--json"]

    def safetensors(self, random):
        content = formats.safetensors()
        if random.random() < 0.3:
            content = (self.trained / "captures/activations.safetensors").read_bytes()
        return self.measured("x.safetensors", formats.mutated(content, random))

    def npy(self, random):
        self.put("y.npy", formats.npy("<i8", (formats.ROWS,), formats.labels()))
        return [*self.measured("x.npy", formats.mutated(formats.npy(), random)), "--array", "labels=y.npy"]

    def npz(self, random):
        content = formats.npz(random)
        return self.measured("x.npz", formats.mutated(content, random) if random.random() < 0.5 else content)

    def csv(self, random):
        return self.measured("x.csv", formats.mutated(formats.csv(), random))

    def yaml(self, random):
        base = bench.CONFIGURATION.format(data=self.bench.data).replace("\n  ", "\n").strip()
        path = self.put("x.yaml", formats.mutated(base.encode(), random))
        # What is right is refused for its directory, before anything is trained.
        return ["train", "--config", path, "--out", self.trained]

    def sweep(self, random):
        path = self.put("x.yaml", formats.mutated(self.bench.sweep.read_bytes(), random))
        return ["sweep", path, "--out", self.place / "sweep", "--dry-run"]

    def others(self, kind, place):
        return ["evaluate", self.trained if kind == "idx" else self.pictures, "--data", kind, "--data-path", place, "--json"]

    def idx(self, random):
        for path in self.bench.data.iterdir():
            content = path.read_bytes()
            self.put(f"idx/{path.name}", formats.mutated(content, random) if random.random() < 0.5 else content)
        return self.others("idx", self.place / "idx")

    def folder(self, random):
        for split in ("train", "test"):
            for index in range(6):
                content = formats.png()
                if random.random() < 0.4:
                    content = formats.mutated(content, random)
                if random.random() < 0.5:
                    content = formats.crc_mended(content)
                name = random.choice([f"{index}.png", f"{index}.png", f"{index}.jpg", f"{index}.tiff", f"{index}.bmp"])
                self.put(f"folder/{split}/{'abc'[index % 3]}/{name}", content)
        return self.others("folder", self.place / "folder")

    def archive(self, random):
        content = formats.tar(random)
        if random.random() < 0.5:
            content = formats.mutated(content, random)
        if random.random() < 0.5:
            content = formats.checksum_mended(content)
        kind = random.choice(["folder", "cifar10", "cifar100"])
        return self.others(kind, self.put(random.choice(["x.tar", "x.tar.gz", "cifar-10-binary.tar.gz", "x.zip"]), content))

    def documents(self, random):
        for name in ("config.yaml", "metrics.jsonl", "summary.json", "manifest.json"):
            content = (self.trained / name).read_bytes()
            # Without their seals, so that what is read is what was changed.
            content = content.replace(b'"seal"', b'"feal"') if random.random() < 0.7 else content
            self.put(f"run/{name}", formats.mutated(content, random) if random.random() < 0.5 else content)
        return random.choice([["runs", "show", "run", "--json"], ["runs", "list", "run", "--csv"],
                              ["evaluate", "run"], ["resume", "run"]])

    def plans(self, random):
        path = next((self.reference / "plans").glob("*.json"))
        value = json.loads(path.read_bytes())
        content = formats.mutated(json.dumps(value, indent=random.choice([None, 2])).encode(), random)
        plan = self.put(f"plans/{path.name}", content)
        self.put("plan.json", content)
        return random.choice([["sweep", "status", "."], ["sweep", "cell", "--plan", plan, "--cell", str(random.randint(-1, 2))]])

    def captures(self, random):
        content = (self.trained / "captures/activations.safetensors").read_bytes()
        if random.random() < 0.7:
            content = formats.mutated(content, random)
        capture = self.put("x.safetensors", content)
        return random.choice([["figure", "activations", capture, "--out", self.place], ["doctor"]])

    def pickles(self, random):
        return self.measured(*formats.pickled(random))

    def bombs(self, random):
        name, content = formats.bomb(random)
        if name.endswith(".npy"):
            return self.npy_alone(name, content)
        if name.endswith(".yaml"):
            return ["train", "--config", self.put(name, content), "--out", self.trained]
        if name.endswith(".png"):
            self.put(f"folder/train/a/{name}", content)
            for place in ("train/b", "test/a", "test/b"):
                self.put(f"folder/{place}/x.png", formats.png())
            return self.others("folder", self.place / "folder")
        for path in self.bench.data.iterdir():
            self.put(f"idx/{path.name}", path.read_bytes())
        (self.place / "idx/train-images-idx3-ubyte").unlink()
        self.put(f"idx/{name}", content)
        return self.others("idx", self.place / "idx")

    def npy_alone(self, name, content):
        self.put("y.npy", formats.npy("<i8", (formats.ROWS,), formats.labels()))
        return [*self.measured(name, content), "--array", "labels=y.npy"]

    def summary(self):
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
        return f"{counts}; at most {self.longest:.1f} s and {self.peak >> 10} MB"
