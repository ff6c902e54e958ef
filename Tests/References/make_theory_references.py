"""Makes Tests/TheoryTests/Fixtures/theory.json: what independent programs say of the theory.

    pip install mpmath==1.3.0 scipy==1.16.3 numpy==2.4.6 && python make_theory_references.py

Solutions: Theorem 3.1 solved from its own equations, to 40 digits, without the convex reduction that
the library solves; that the solutions minimise the loss is asserted afterwards. The same-class K is
the root of the theorem's first equation. For different classes, every K_lambda between the one at
which the square root vanishes (lambda = 1/2) and K (lambda = 1) gives a pair of logits by the
theorem's formula with + and -, and its last equation then tells which lambda that is; bisection finds
the wanted one. Inputs are doubles, taken exactly.

Increases: the loss of amplified features less that of the optimal ones, at those solutions.

Expectations: mpmath's adaptive quadrature with 30 digits over losses that are solved with as many,
by the reduction to one unknown (which the solutions above do not share).

Joint minima: SciPy's L-BFGS-B on W and all features at once, from random starts, with SciPy's own
Gauss-Jacobi nodes for lambda.
"""

import json
import random
from pathlib import Path

import mpmath
import numpy as np
import scipy
from mpmath import mp, mpf

mp.dps = 140  # at lambda = 1/2 the square root takes half of them
DIGITS = 40


class Problem:
    def __init__(self, classes, multiplier, feature_decay):
        self.C = classes
        self.m = mpf(multiplier)
        self.lh = mpf(feature_decay)
        self.same = self.bisect(self.same_class_equation, self.scale())
        self.even = self.bisect(self.discriminant_equation, self.scale())

    def scale(self):
        """A bracket of ln(-K): from far below to far above any root."""
        return (mpf(-3000), mpf(3000))

    @staticmethod
    def bisect(function, bracket):
        """The x at which an increasing function changes sign, then -e^x."""
        low, high = bracket
        for _ in range(490):
            middle = (low + high) / 2
            if function(middle) > 0:
                high = middle
            else:
                low = middle
        return -mpmath.e ** ((low + high) / 2)

    def B(self, K):
        return self.C * self.m**2 / ((1 - self.C) * K * self.lh)

    def same_class_equation(self, x):
        # e^(-CK) - C m^2 / ((1-C) lh K) + C - 1, rising with -K; large exponents decide by themselves
        K = -mpmath.exp(x)
        return mpmath.exp(min(-self.C * K, mpf(10) ** 5)) - self.B(K) + self.C - 1

    def discriminant_equation(self, x):
        K = -mpmath.exp(x)
        return 2 * mpmath.exp(min(-self.C * K / 2, mpf(10) ** 5)) - (self.B(K) - (self.C - 2))

    def logit(self, K, sign):
        B = self.B(K)
        root = mpmath.sqrt(max(0, (self.C - 2 - B) ** 2 - 4 * mpmath.exp(-self.C * K)))
        if sign < 0:  # the smaller root through the product of the two, which is e^(-CK)
            return K + mpmath.log(2 * mpmath.exp(-self.C * K) / (2 - self.C + B + root))
        return K + mpmath.log((2 - self.C + B + root) / 2)

    def weight(self, K, sign):
        """The lambda whose solution has this K."""
        a = self.logit(K, sign)
        return mpmath.exp(a - K) / self.B(K) - (1 - self.C) * self.lh * a / (self.C * self.m**2)

    def solve(self, lam):
        """K, a and b of one lambda, a for class i."""
        lam = mpf(lam)
        if lam == 0 or lam == 1:
            K = self.same
            a = -(self.C - 1) * K
            return (K, a, K) if lam == 1 else (K, K, a)
        sign = 1 if lam >= mpf(1) / 2 else -1
        # In ln(K - even): lambda differs from 1/2 by about its square root.
        low, high = mpf(-250), mpf(0)  # even + (same - even) e^x
        if lam == mpf(1) / 2:
            K = self.even
        else:
            for _ in range(490):
                middle = (low + high) / 2
                K = self.even + (self.same - self.even) * mpmath.exp(middle)
                beyond = self.weight(K, sign) > lam if sign > 0 else self.weight(K, sign) < lam
                if beyond:
                    high = middle
                else:
                    low = middle
            if -low < mpf(10) ** -40:  # next to same-class: the distance to it is what counts
                low, high = mpf(-3000), mpf(0)
                for _ in range(490):
                    middle = (low + high) / 2
                    K = self.same - (self.same - self.even) * mpmath.exp(middle)
                    beyond = self.weight(K, sign) > lam if sign > 0 else self.weight(K, sign) < lam
                    if beyond:
                        low = middle
                    else:
                        high = middle
        a = self.logit(K, sign)
        return K, a, -a - (self.C - 2) * K

    def loss(self, lam):
        K, a, b = self.solve(lam)
        lam = mpf(lam)
        normalizer = mpmath.log(mpmath.exp(a) + mpmath.exp(b) + (self.C - 2) * mpmath.exp(K))
        squares = a**2 + b**2 + (self.C - 2) * K**2
        square_norm = (self.C - 1) / (self.C * self.m**2) * squares
        return (normalizer - lam * a - (1 - lam) * b + self.lh / 2 * square_norm, mpmath.sqrt(square_norm))

    def check(self, lam, solution):
        """The gradient of the loss in the logits, softmax(z) - y + mu z, relative to mu |K|."""
        K, a, b = solution
        mu = self.lh * (self.C - 1) / (self.C * self.m**2)
        total = mpmath.exp(a) + mpmath.exp(b) + (self.C - 2) * mpmath.exp(K)
        lam = mpf(lam)
        gradient = [mpmath.exp(z) / total - y + mu * z for z, y in ((a, lam), (b, 1 - lam), (K, 0))]
        return max(abs(g) for g in gradient) / (mu * abs(K))

    def increase(self, lam, epsilon):
        """What moving a feature by -epsilon times the sum of the other rows adds to the loss."""
        K, a, b = self.solve(lam)
        lam, scale = mpf(lam), mpf(epsilon) * self.m**2 / (self.C - 1)

        def loss(a, b, k):
            total = mpmath.exp(a) + mpmath.exp(b) + (self.C - 2) * mpmath.exp(k)
            mu = self.lh * (self.C - 1) / (self.C * self.m**2)
            return mpmath.log(total) - lam * a - (1 - lam) * b + mu / 2 * (a**2 + b**2 + (self.C - 2) * k**2)

        move = scale * (self.C - 2)
        return loss(a + move, b + move, K - 2 * scale) - loss(a, b, K)


def points():
    """Corners, edges and a random spread of the supported ranges."""
    special = [0.0, 1e-300, 1e-17, 1e-9, 0.03, 0.1, 0.25, 0.5 - 1e-9, 0.5, 0.5 + 1e-9, 0.75, 0.9, 1 - 1e-9, 1.0]
    for classes in (2, 3, 10, 10_000):
        for multiplier, feature_decay in ((3.0, 1e-6), (1e-3, 1e3), (1e3, 1e-12), (1.0, 1.0)):
            for lam in special:
                yield classes, multiplier, feature_decay, lam
    stream = random.Random(3)
    for _ in range(120):
        classes = round(2 * 5000 ** stream.random())
        multiplier = 10 ** stream.uniform(-3, 3)
        feature_decay = 10 ** stream.uniform(-12, 3)
        lam = stream.random() if stream.random() < 0.7 else 10 ** stream.uniform(-20, -0.31)
        yield classes, multiplier, feature_decay, lam


def omega(x):
    """The w with w + ln w = x."""
    w = x - mpmath.log(x) if x > 1 else mpmath.exp(x - 1) if x < -1 else mpf(1)
    for _ in range(200):
        step = w * (x - w - mpmath.log(w)) / (1 + w)
        w = w + step if w + step > 0 else w / 2
        if abs(step) <= abs(w) * mpf(10) ** (5 - mp.dps):
            break
    return w


def optimum(classes, mu, lam, amplification=None, multiplier=None):
    """The loss of one mixture: the normaliser s as the root of the sum of all logits."""
    targets = [(lam, 1), (1 - lam, 1), (mpf(0), classes - 2)]

    def logits(s):
        return [(y, n, s + mpmath.log(mu * omega(y / mu - s - mpmath.log(mu)))) for y, n in targets]

    low, high = mpmath.log(classes), mpmath.log(classes) + 1 / mu
    s = (low + min(high, low + 50)) / 2
    for _ in range(300):
        total = sum(n * z for _, n, z in logits(s))
        slope = sum(n / (1 + mu * mpmath.exp(s - z)) for _, n, z in logits(s))
        if total > 0:
            high = s
        else:
            low = s
        new = s - total / slope
        if not low <= new <= high:
            new = (low + high) / 2
        if abs(new - s) <= mpf(10) ** (3 - mp.dps):
            break
        s = new
    z = logits(s)
    if amplification is not None:
        scale = amplification(lam) * mpf(multiplier) ** 2 / (classes - 1)
        z = [(y, n, v + scale * (classes - 2 if index < 2 else -2)) for index, (y, n, v) in enumerate(z)]
    normalizer = mpmath.log(sum(n * mpmath.exp(v) for _, n, v in z))
    return normalizer - sum(n * y * v for y, n, v in z) + mu / 2 * sum(n * v * v for _, n, v in z)


def paper_amplification(lam):
    return mpf(4) / 5 * mpmath.exp(-20 * (lam - mpf(1) / 2) ** 4) - mpf(2) / 5


def expectations():
    mp.dps = 30
    found = []
    for classes, multiplier, feature_decay, alpha in (
        (10, 3.0, 1e-6, 1.0), (10, 3.0, 1e-6, 0.4), (10, 3.0, 1e-6, 0.05), (10, 1.0, 0.01, 2.0),
        (2, 1.0, 0.001, 0.4), (1000, 0.5, 1e-4, 0.01), (5, 2.0, 3.0, 30.0),
    ):
        mu = mpf(feature_decay) * (classes - 1) / (classes * mpf(multiplier) ** 2)
        alpha_exact = mpf(alpha)

        def mean(function):
            # The value at 0 apart: what is left vanishes at the end, however small alpha is.
            at_zero = function(mpf(0))
            integral = mpmath.quad(
                lambda x: (function(x) - at_zero) * (x * (1 - x)) ** (alpha_exact - 1),
                [0, mpf(10) ** -12, mpf(10) ** -7, mpf(10) ** -4, mpf("0.01"), mpf("0.1"), mpf("0.3"), mpf("0.5")])
            return at_zero + 2 * integral / mpmath.beta(alpha_exact, alpha_exact)

        found.append({
            "classes": classes, "multiplier": multiplier, "feature_decay": feature_decay, "alpha": alpha,
            "same": mpmath.nstr(optimum(classes, mu, mpf(1)), 20),
            "different": mpmath.nstr(mean(lambda x: optimum(classes, mu, x)), 20),
            "amplified": mpmath.nstr(
                mean(lambda x: optimum(classes, mu, x, paper_amplification, multiplier)), 20),
        })
    return found


def joint_minima():
    found = []
    for classes, dimension, classifier_decay, feature_decay, alpha, count in (
        (3, 2, 0.01, 0.01, 1.0, 4), (4, 6, 0.02, 0.05, 0.4, 3), (3, 3, 0.3, 0.9, 1.0, 4), (2, 3, 0.05, 0.1, 2.0, 5),
    ):
        nodes, weights = scipy.special.roots_jacobi(count, alpha - 1, alpha - 1)
        nodes, weights = (nodes + 1) / 2, weights / weights.sum()
        pairs = [(i, j, x, w) for i in range(classes) for j in range(classes) for x, w in zip(nodes, weights)]
        targets = np.zeros((len(pairs), classes))
        for row, (i, j, x, _) in enumerate(pairs):
            targets[row, i] += x
            targets[row, j] += 1 - x
        share = np.array([w for *_, w in pairs]) / classes**2

        def loss(v):
            W = v[: classes * dimension].reshape(classes, dimension)
            H = v[classes * dimension :].reshape(len(pairs), dimension)
            Z = H @ W.T
            P = scipy.special.softmax(Z, axis=1)
            terms = scipy.special.logsumexp(Z, axis=1) - (targets * Z).sum(1)
            terms += feature_decay / 2 * (H * H).sum(1)
            R = share[:, None] * (P - targets)
            gW = R.T @ H + classifier_decay * W
            gH = R @ W + feature_decay * share[:, None] * H
            return share @ terms + classifier_decay / 2 * (W * W).sum(), np.concatenate([gW.ravel(), gH.ravel()])

        best = None
        for seed in range(3):
            start = np.random.default_rng(seed).normal(size=(classes + len(pairs)) * dimension)
            result = scipy.optimize.minimize(
                loss, start, jac=True, method="L-BFGS-B",
                options={"maxiter": 100_000, "maxfun": 200_000, "ftol": 0, "gtol": 1e-12, "maxcor": 30})
            if best is None or result.fun < best.fun:
                best = result
        W = best.x[: classes * dimension].reshape(classes, dimension)
        found.append({
            "classes": classes, "dimension": dimension, "classifier_decay": classifier_decay,
            "feature_decay": feature_decay, "alpha": alpha, "nodes": nodes.tolist(), "weights": weights.tolist(),
            "loss": float(best.fun), "multiplier": float(np.linalg.norm(W) / np.sqrt(classes)),
            "gradient": float(np.linalg.norm(loss(best.x)[1])),
        })
    return found


def text(value):
    if abs(value) < mpf(10) ** -40:  # with two classes the logits at lambda = 1/2 are zero
        return "0"
    return mpmath.nstr(value, DIGITS, strip_zeros=False)


def main():
    problems = {}
    solutions = []
    worst = 0
    for classes, multiplier, feature_decay, lam in points():
        key = (classes, multiplier, feature_decay)
        if key not in problems:
            problems[key] = Problem(*key)
        problem = problems[key]
        solution = problem.solve(lam)
        worst = max(worst, problem.check(lam, solution))
        assert worst < mpf(10) ** -DIGITS, (key, lam)
        loss, norm = problem.loss(lam)
        solutions.append({
            "classes": classes, "multiplier": multiplier, "feature_decay": feature_decay, "lambda": lam,
            "other": text(solution[0]), "first": text(solution[1]), "second": text(solution[2]),
            "norm": text(norm), "loss": text(loss),
        })
    print(len(solutions), "points; largest relative gradient", mpmath.nstr(worst, 3))
    increases = []
    for key, problem in problems.items():
        if key[0] == 2:
            continue
        for lam in (0.2, 0.5):
            for factor in (1e-9, 1e-3, -0.3, 2.0):
                epsilon = factor / key[1] ** 2
                increases.append({
                    "classes": key[0], "multiplier": key[1], "feature_decay": key[2], "lambda": lam,
                    "epsilon": epsilon, "increase": text(problem.increase(lam, epsilon)),
                })
        if len(increases) >= 120:
            break

    made_with = {
        "mpmath": mpmath.__version__, "digits": mp.dps, "scipy": scipy.__version__, "numpy": np.__version__}
    fields = {
        "made_with": json.dumps(made_with), "solutions": rows(solutions),
        "increases": rows(increases), "expectations": rows(expectations()), "joint_minima": rows(joint_minima()),
    }
    out = Path(__file__).parent.parent / "TheoryTests/Fixtures/theory.json"
    out.write_text("{" + ",\n".join(f'"{name}": {text}' for name, text in fields.items()) + "}\n")


def rows(items):
    return "[\n" + ",\n".join(json.dumps(item) for item in items) + "\n]"


if __name__ == "__main__":
    main()
