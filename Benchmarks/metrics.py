"""Times `collapse measure` beside NumPy in float64 on the same features.

    .collapse/venv/bin/python Benchmarks/metrics.py [--samples 1000000] [--dimension 640] [--classes 100]

Both sides read one npy file of float32 features, labels and a classifier, compute the same measures of neural
collapse (docs/metrics.md), and are run in turn. NumPy's side follows the definitions with whole matrices, as one
writes them down: the d×d scatters, and a pseudo-inverse. The other NumPy side avoids the d×d scatter as ours does, and
goes through the features in chunks. Prints medians with their spread and the peak of resident memory.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent


def etf_distance(gram):
    import numpy as np

    count = len(gram)
    ideal = (np.eye(count) - 1 / count) / np.sqrt(count - 1)
    return np.linalg.norm(gram / np.linalg.norm(gram) - ideal)


def about_means(np, means, centre, w, d):
    """What follows from the class means alone."""
    a = means - centre
    norms = np.linalg.norm(a, axis=1)
    unit = a / norms[:, None]
    upper = np.triu_indices(len(a), 1)
    cosines = (unit @ unit.T)[upper]
    distances = np.sqrt(np.maximum(0, 2 - 2 * cosines))
    rows = w / np.linalg.norm(w, axis=1)[:, None]
    dual = (rows * unit).sum(1)
    log = -np.log(distances)
    return a, {
        "nc2_etf_error": etf_distance(a @ a.T), "mean_norm_cov": norms.std() / norms.mean(),
        "nc2_cosine_std": cosines.std(), "nc2_equiangularity": np.abs(cosines + 1 / (len(a) - 1)).mean(),
        "gnc2_dist_mean": distances.mean(), "gnc2_dist_var": distances.var(), "gnc2_log_mean": log.mean(),
        "gnc2_log_var": log.var(), "nc3_self_duality_error": etf_distance(w @ a.T),
        "nc3_distance_norms_mean": np.linalg.norm(rows - unit, axis=1).mean(), "nc3_cosine_mean": dual.mean(),
    }


def plain(folder):
    """The definitions, on whole arrays."""
    import numpy as np

    x = np.load(folder + "/features.npy").astype(np.float64)
    y, w, b = (np.load(f"{folder}/{name}.npy") for name in ("labels", "classifier", "bias"))
    count, d = w.shape
    w = w.astype(np.float64)
    means = np.stack([x[y == c].mean(0) for c in range(count)])
    nearest = np.concatenate([
        ((means**2).sum(1) - 2 * part @ means.T).argmin(1) for part in np.array_split(x, 100)])
    logits = np.concatenate([part @ w.T for part in np.array_split(x, 100)])
    out = {
        "nc4_ncc_accuracy": (nearest == y).mean(),
        "nc4_ncc_agreement_no_bias": (nearest == logits.argmax(1)).mean(),
        "nc4_ncc_agreement_bias": (nearest == (logits + b).argmax(1)).mean(),
    }
    overall = x.mean(0)
    x -= means[y]
    variances = np.array([(x[y == c] ** 2).sum(1).mean() for c in range(count)])
    within = x.T @ x / len(x)
    i, j = np.triu_indices(count, 1)
    out["cdnv"] = ((variances[i] + variances[j]) / (2 * ((means[i] - means[j]) ** 2).sum(1))).mean()
    for name, centre in (("unweighted", means.mean(0)), ("weighted", overall)):
        a, numbers = about_means(np, means, centre, w, d)
        between = a.T @ a / count
        numbers["nc1_pinv"] = np.trace(np.linalg.pinv(between) @ within) / count
        numbers["nc1_quotient"] = np.trace(within) / np.trace(between)
        out[name] = numbers
    return out


def careful(folder):
    """In chunks, and without d×d matrices: what an expert would write."""
    import numpy as np

    x = np.load(folder + "/features.npy", mmap_mode="r")
    y, w, b = (np.load(f"{folder}/{name}.npy") for name in ("labels", "classifier", "bias"))
    count, d = w.shape
    w = w.astype(np.float64)
    step = 8192
    counts = np.bincount(y, minlength=count)
    sums = np.zeros((count, d))
    for start in range(0, len(x), step):
        part = x[start:start + step].astype(np.float64)
        member = np.zeros((len(part), count))
        member[np.arange(len(part)), y[start:start + step]] = 1
        sums += member.T @ part
    means = sums / counts[:, None]
    centre = means.mean(0)
    a = means - centre
    gram = a @ a.T
    squares = np.zeros(count)
    scatter = np.zeros((count, count))
    hits = np.zeros(3)
    directions = np.concatenate([a, w]).T
    for start in range(0, len(x), step):
        labels = y[start:start + step]
        part = x[start:start + step].astype(np.float64)
        squares += np.bincount(labels, ((part - means[labels]) ** 2).sum(1), count)
        products = (part - centre) @ directions
        along, logits = products[:, :count], products[:, count:] + centre @ w.T
        nearest = (along - np.diag(gram) / 2).argmax(1)
        hits += [(nearest == labels).sum(), (nearest == logits.argmax(1)).sum(), (nearest == (logits + b).argmax(1)).sum()]
        residual = along - gram[labels]
        scatter += residual.T @ residual
    variances = squares / counts
    i, j = np.triu_indices(count, 1)
    out = dict(zip(("nc4_ncc_accuracy", "nc4_ncc_agreement_no_bias", "nc4_ncc_agreement_bias"), hits / len(x)))
    out["cdnv"] = ((variances[i] + variances[j]) / (2 * ((means[i] - means[j]) ** 2).sum(1))).mean()
    weights = counts / len(x)
    for name, mean in (("unweighted", centre), ("weighted", weights @ means)):
        centred, numbers = about_means(np, means, mean, w, d)
        turn = np.eye(count) - (np.outer(np.ones(count), weights) if name == "weighted" else 0)
        inverse = np.linalg.pinv(centred @ centred.T, hermitian=True, rcond=1e-12)
        numbers["nc1_pinv"] = np.trace(inverse @ turn @ scatter @ turn.T @ inverse) / len(x)
        numbers["nc1_quotient"] = squares.sum() / len(x) / ((centred**2).sum() / count)
        out[name] = numbers
    return out


def side(name, folder):
    """One run in a process of its own: its numbers, seconds and peak memory in MB."""
    if name == "collapse":
        command = [str(ROOT / ".build/release/collapse"), "measure", folder + "/features.npy", "--json"]
        for array in ("labels", "classifier", "bias"):
            command += ["--array", f"{array}={folder}/{array}.npy"]
    else:
        command = [sys.executable, __file__, "--only", name, "--folder", folder]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if status != 0:
        sys.exit(f"{name} failed")
    # The largest of the process and of those that it has waited for.
    return json.loads(output), seconds, usage.ru_maxrss / 1024


def differences(ours, theirs, prefix=""):
    for name, value in theirs.items():
        if isinstance(value, dict):
            yield from differences(ours[name], value, prefix + name + ".")
        else:
            yield abs(ours[name] - value) / max(1e-300, abs(value)), prefix + name


def make(folder, samples, dimension, classes):
    import numpy as np

    generator = np.random.default_rng(1)
    means = generator.normal(size=(classes, dimension)).astype(np.float32)
    y = generator.integers(0, classes, samples)
    features = np.lib.format.open_memmap(
        folder + "/features.npy", mode="w+", dtype=np.float32, shape=(samples, dimension))
    for start in range(0, samples, 50_000):
        labels = y[start:start + 50_000]
        noise = generator.standard_normal((len(labels), dimension), dtype=np.float32)
        features[start:start + 50_000] = np.maximum(0, means[labels] + 2 * noise)
    features.flush()
    np.save(folder + "/labels.npy", y)
    np.save(folder + "/classifier.npy", (means + 0.5 * generator.normal(size=means.shape)).astype(np.float32))
    np.save(folder + "/bias.npy", generator.normal(size=classes).astype(np.float32))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--samples", type=int, default=1_000_000)
    arguments.add_argument("--dimension", type=int, default=640)
    arguments.add_argument("--classes", type=int, default=100)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--folder")
    arguments.add_argument("--only", choices=["plain", "careful"])
    options = arguments.parse_args()
    if options.only:
        print(json.dumps({"plain": plain, "careful": careful}[options.only](options.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: the memory of this one would count as that of those it starts.
        maker = multiprocessing.Process(
            target=make, args=(folder, options.samples, options.dimension, options.classes))
        maker.start()
        maker.join()
        names = ["collapse", "plain", "careful"]
        found = {name: [] for name in names}
        numbers = {}
        for run in range(options.runs):
            for name in names[run % 3:] + names[:run % 3]:
                result, seconds, memory = side(name, folder)
                numbers[name] = result
                found[name].append((seconds, memory))
                print(f"{name}: {seconds:.1f} s, {memory:.0f} MB", file=sys.stderr)
    shape = f"{options.samples} features of dimension {options.dimension} in {options.classes} classes"
    print(f"{shape}, {os.cpu_count()} cores, {options.runs} runs each\n")
    print("| side | seconds, median (range) | peak memory, MB | time of collapse times |\n|---|---|---|---|")
    base = [seconds for seconds, _ in found["collapse"]]
    for name in names:
        seconds = [seconds for seconds, _ in found[name]]
        ratio = statistics.median(a / b for a, b in zip(seconds, base))
        print(
            f"| {name} | {statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f}) "
            f"| {max(memory for _, memory in found[name]):.0f} | {ratio:.2f} |")
    for name in names[1:]:
        worst = max(differences(numbers["collapse"], numbers[name]))
        print(f"\nlargest relative difference from {name}: {worst[0]:.1e} ({worst[1]})")


if __name__ == "__main__":
    main()
