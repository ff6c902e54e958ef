"""Makes Tests/GeometryTests/Fixtures: neural-collapse metrics by plain NumPy, calibration by torchmetrics.

    pip install torchmetrics==1.9.0
    python Tests/References/make_metrics.py

Written from the definitions of docs/metrics.md, with every d×d matrix spelt out, in float64.
`published.safetensors` and `published.json` are not made here: they are features and what published
libraries give for them, with their tolerances.
"""

import json
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torchmetrics.functional.classification import multiclass_calibration_error

OUT = pathlib.Path(__file__).parent.parent / "GeometryTests" / "Fixtures"


def etf_distance(gram):
    count = len(gram)
    ideal = (np.eye(count) - 1 / count) / np.sqrt(count - 1)
    return np.linalg.norm(gram / np.linalg.norm(gram) - ideal)


def pairs(values):
    return values[np.triu_indices(len(values), 1)]


def collapse(x, y, w, b):
    count, d = len(w), x.shape[1]
    means = np.stack([x[y == c].mean(0) for c in range(count)])
    variances = np.array([((x[y == c] - means[c]) ** 2).sum(1).mean() for c in range(count)])
    residual = x - means[y]
    within = residual.T @ residual / len(x)
    out = {}
    for name, centre in [("unweighted", means.mean(0)), ("weighted", x.mean(0))]:
        a = means - centre
        between = a.T @ a / count
        u, s, vt = np.linalg.svd(between)
        kept = min(count - 1, d)
        truncated = vt[:kept].T @ np.diag(1 / s[:kept]) @ u[:, :kept].T
        norms = np.linalg.norm(a, axis=1)
        unit = a / norms[:, None]
        cosines = pairs(unit @ unit.T)
        distances = pairs(np.linalg.norm(unit[:, None] - unit[None], axis=2))
        rows = w / np.linalg.norm(w, axis=1)[:, None]
        dual = (rows * unit).sum(1)
        singular = np.linalg.svd(a, compute_uv=False)
        share = singular[singular > 0] / singular.sum()
        out[name] = {
            "nc1_pinv": np.trace(np.linalg.pinv(between) @ within) / count,
            "nc1_svd": np.trace(truncated @ within) / count,
            "nc1_quotient": np.trace(within) / np.trace(between),
            "nc2_etf_error": etf_distance(a @ a.T),
            "mean_norm_cov": norms.std() / norms.mean(),
            "nc2_cosine_std": cosines.std(),
            "nc2_equiangularity": np.abs(cosines + 1 / (count - 1)).mean(),
            "gnc2_dist_mean": distances.mean(), "gnc2_dist_var": distances.var(),
            "gnc2_dist_min": distances.min(),
            "gnc2_log_mean": np.log(1 / distances).mean(), "gnc2_log_var": np.log(1 / distances).var(),
            "gnc2_riesz1_mean": (1 / distances).mean(), "gnc2_riesz1_var": (1 / distances).var(),
            "gnc2_riesz_log_energy": np.log((distances ** -(d - 2.0)).mean()) / (d - 2),
            "nc3_self_duality_error": etf_distance(w @ a.T),
            "nc3_distance_norms_mean": np.linalg.norm(rows - unit, axis=1).mean(),
            "nc3_cosine_mean": dual.mean(), "nc3_cosine_var": dual.var(),
            "nc3_frobenius_distance": np.linalg.norm(w / np.linalg.norm(w) - a / np.linalg.norm(a)),
            "mean_rank": int(np.linalg.matrix_rank(a.astype(np.float32))),
            "mean_stable_rank": (singular**2).sum() / singular[0] ** 2,
            "mean_effective_rank": np.exp(-(share * np.log(share)).sum()),
        }
    nearest = np.linalg.norm(x[:, None] - means[None], axis=2).argmin(1)
    i, j = np.triu_indices(count, 1)
    squares = ((means[i] - means[j]) ** 2).sum(1)
    unit = w / np.linalg.norm(w, axis=1)[:, None]
    cosines = pairs(unit @ unit.T)
    centred = w - w.mean(0)
    singular = np.linalg.svd(w, compute_uv=False)
    share = singular / singular.sum()
    out["cdnv"] = ((variances[i] + variances[j]) / (2 * squares)).mean()
    out["nc4_ncc_accuracy"] = (nearest == y).mean()
    out["nc4_ncc_agreement_bias"] = (nearest == (x @ w.T + b).argmax(1)).mean()
    out["nc4_ncc_agreement_no_bias"] = (nearest == (x @ w.T).argmax(1)).mean()
    out["classifier"] = {
        "norm_cov": np.linalg.norm(w, axis=1).std() / np.linalg.norm(w, axis=1).mean(),
        "cosine_std": cosines.std(), "cosine_mean": cosines.mean(),
        "equiangularity": np.abs(cosines + 1 / (count - 1)).mean(),
        "etf_error": etf_distance(centred @ centred.T), "etf_error_uncentred": etf_distance(w @ w.T),
        "rank": int(np.linalg.matrix_rank(w.astype(np.float32))),
        "stable_rank": (singular**2).sum() / singular[0] ** 2,
        "effective_rank": np.exp(-(share * np.log(share)).sum()),
    }
    return out


def collapse_cases(tensors, values):
    generator = np.random.default_rng(7)
    # Classes, dimension, samples, spread: balanced, imbalanced, wide, fewer dimensions than classes, collapsed far
    # from the origin.
    cases = [(4, 9, 200, 1.0), (7, 30, 500, 0.3), (5, 60, 90, 1.0), (9, 4, 300, 0.5), (6, 40, 400, 1e-5)]
    for number, (count, d, samples, spread) in enumerate(cases):
        shares = np.ones(count) / count if number == 0 else generator.dirichlet(np.ones(count) * 4)
        y = np.concatenate([np.arange(count).repeat(3), generator.choice(count, samples, p=shares)])
        means = generator.normal(size=(count, d)) + (1000 if number == 4 else 1)
        x = means[y] + spread * generator.normal(size=(len(y), d))
        w = means - means.mean(0) + 0.3 * generator.normal(size=(count, d))
        b = generator.normal(size=count)
        for name, array in [("features", x), ("labels", y), ("classifier", w), ("bias", b)]:
            tensors[f"collapse.{number}.{name}"] = np.ascontiguousarray(array)
        values.append(collapse(x, y, w, b))


def calibration_draws(tensors, values):
    generator = np.random.default_rng(11)
    for number in range(50):
        count = int(generator.integers(2, 9))
        samples = int(generator.integers(1, 300)) if number % 10 else 1
        kind = number % 5
        p = generator.dirichlet(np.ones(count) * generator.choice([0.1, 0.5, 2.0]), samples)
        if kind == 1:  # many equal confidences, none on an edge of a bin
            p = p[generator.integers(0, max(1, samples // 20 + 1), samples)]
        elif kind == 2:  # one class only, and few bins with anything in them
            p = np.tile(p[:1], (samples, 1))
        elif kind == 3:  # certain predictions, right and wrong
            certain = generator.random(samples) < 0.4
            p[certain] = np.eye(count)[generator.integers(0, count, certain.sum())]
        elif kind == 4:  # on the edges of bins
            p[:, :] = 0
            p[:, 0] = generator.choice([0.5, 0.6, 0.8, 1.0], samples)
            p[:, 1] = 1 - p[:, 0]
        y = np.zeros(samples, int) if kind == 2 else np.array([generator.choice(count, p=q / q.sum()) for q in p])
        flip = generator.random(samples) < 0.2
        if kind != 2:
            y[flip] = generator.integers(0, count, flip.sum())
        p32 = torch.tensor(p, dtype=torch.float32)
        # torchmetrics refuses nothing, but takes the first of equal probabilities, as we do.
        target = torch.tensor(y)
        found = {
            f"{norm}_{bins}": float(
                multiclass_calibration_error(p32, target, num_classes=count, n_bins=bins, norm=norm))
            for norm in ["l1", "l2", "max"] for bins in [10, 15, 20]
        }
        probabilities = p32.double()
        chosen = probabilities[torch.arange(samples), target]
        with np.errstate(divide="ignore"):
            loss = float((-torch.log(chosen)).mean())
        found["nll"] = loss if np.isfinite(loss) else None
        found["brier"] = float(((probabilities - torch.eye(count)[target].double()) ** 2).sum(1).mean())
        found["accuracy"] = float((p32.argmax(1) == target).double().mean())
        found["kind"] = kind
        tensors[f"calibration.{number}.probabilities"] = p32.numpy()
        tensors[f"calibration.{number}.labels"] = y.astype(np.int64)
        values.append(found)


def main():
    tensors, values = {}, {"collapse": [], "calibration": []}
    collapse_cases(tensors, values["collapse"])
    calibration_draws(tensors, values["calibration"])
    OUT.mkdir(exist_ok=True)
    save_file(tensors, OUT / "metrics.safetensors")
    (OUT / "metrics.json").write_text(json.dumps(values, indent=1))


if __name__ == "__main__":
    main()
