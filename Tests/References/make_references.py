"""Writes the fixtures with which the Swift tests compare themselves.

Run as `python Tests/References/make_references.py`, from any directory.
"""

import json
import struct
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path.insert(0, str(HERE))

from wide_resnet import WideResNet, soft_cross_entropy  # noqa: E402


def save(relative, tensors):
    path = TESTS / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    # `clone` gives every tensor its own contiguous storage.
    tensors = {
        name: t.detach().clone(memory_format=torch.contiguous_format)
        for name, t in tensors.items()
    }
    metadata = {
        "torch": torch.__version__,
        "script": "Tests/References/make_references.py",
    }
    save_file(tensors, str(path), metadata=metadata)
    sort_metadata(path)
    print(f"{path.relative_to(TESTS.parent)}: {len(tensors)} tensors, {path.stat().st_size:,} bytes")


def sort_metadata(path):
    """Rewrites the header with sorted metadata, whose order otherwise varies by run."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


# Operators


class Operators:
    def __init__(self, seed):
        self.g = torch.Generator().manual_seed(seed)
        self.tensors = {}

    def normal(self, *shape, dtype=torch.float32):
        return torch.randn(*shape, generator=self.g, dtype=dtype)

    def uniform(self, low, high, *shape):
        return low + (high - low) * torch.rand(*shape, generator=self.g)

    def integers(self, high, *shape):
        return torch.randint(high, shape, generator=self.g)

    def case(self, name, function, *inputs, constant=()):
        """Records one case; `constant` lists the float inputs without a gradient."""
        leaves = []
        for i, value in enumerate(inputs):
            self.tensors[f"{name}.in{i}"] = value.clone()
            leaf = value.clone()
            leaf.requires_grad_(leaf.is_floating_point() and i not in constant)
            leaves.append(leaf)
        out = function(*leaves).contiguous()
        grad_out = torch.randn(out.shape, generator=self.g, dtype=out.dtype)
        out.backward(grad_out)
        self.tensors[f"{name}.out"] = out
        self.tensors[f"{name}.grad_out"] = grad_out
        for i, leaf in enumerate(leaves):
            if leaf.requires_grad:
                self.tensors[f"{name}.grad{i}"] = leaf.grad
        return leaves


def operators():
    o = Operators(seed=20)
    n, u = o.normal, o.uniform

    # Arithmetic
    o.case("add", lambda a, b: a + b, n(3, 4, 5), n(4, 1))
    o.case("add_alpha", lambda a, b: torch.add(a, b, alpha=0.5), n(4, 5), n(4, 5))
    o.case("sub", lambda a, b: a - b, n(4, 5), n(5))
    o.case("mul", lambda a, b: a * b, n(3, 4, 5), n(3, 1, 5))
    o.case("div", lambda a, b: a / b, n(4, 5), u(0.5, 2.0, 4, 5))
    o.case("neg", torch.neg, n(4, 5))
    o.case("exp", torch.exp, n(4, 5))
    o.case("log", torch.log, u(0.2, 3.0, 4, 5))
    o.case("sqrt", torch.sqrt, u(0.2, 3.0, 4, 5))
    o.case("relu", torch.relu, n(4, 5))
    o.case("gelu", F.gelu, n(4, 5))
    o.case("lerp", torch.lerp, n(4, 5), n(4, 5), u(0.0, 1.0, 4, 5))
    o.case("where", torch.where, n(4, 5) > 0, n(4, 5), n(4, 5))

    # Products
    o.case("matmul", torch.matmul, n(5, 7), n(7, 3))
    o.case("matmul_batched", torch.matmul, n(4, 5, 7), n(4, 7, 3))
    o.case("linear", F.linear, n(6, 8), n(3, 8), n(3))
    o.case("conv2d_s1p1", lambda x, w: F.conv2d(x, w, padding=1), n(2, 3, 6, 7), n(4, 3, 3, 3))
    o.case("conv2d_s2p1", lambda x, w: F.conv2d(x, w, stride=2, padding=1), n(2, 3, 8, 7), n(4, 3, 3, 3))
    o.case("conv2d_1x1_s2", lambda x, w: F.conv2d(x, w, stride=2), n(2, 3, 8, 7), n(4, 3, 1, 1))

    # Normalisation
    def batch_norm(training):
        return lambda x, w, b, mean, var: F.batch_norm(
            x, mean, var, w, b, training=training, momentum=0.1, eps=1e-5
        )

    for name, training in (("batch_norm_train", True), ("batch_norm_eval", False)):
        leaves = o.case(
            name,
            batch_norm(training),
            1.0 + 2.0 * n(4, 3, 5, 5),
            u(0.5, 1.5, 3),
            n(3),
            n(3),
            u(0.5, 1.5, 3),
            constant=(3, 4),
        )
        if training:
            o.tensors[f"{name}.running_mean_after"] = leaves[3]
            o.tensors[f"{name}.running_var_after"] = leaves[4]
    o.case("layer_norm", lambda x, w, b: F.layer_norm(x, (6,), w, b, eps=1e-5), n(2, 4, 6), u(0.5, 1.5, 6), n(6))

    # Reductions
    o.case("mean_hw", lambda x: x.mean(dim=(2, 3)), n(2, 3, 4, 5))
    o.case("sum_dim1_keepdim", lambda x: x.sum(dim=1, keepdim=True), n(3, 4, 5))
    o.case("amax_dim1", lambda x: x.amax(dim=1), n(4, 6))
    o.case("cumsum_dim0", lambda x: x.cumsum(dim=0), n(5, 4))
    o.case("norm_rows", lambda x: torch.linalg.vector_norm(x, dim=1), n(5, 6))
    o.case("svd_singular_values", torch.linalg.svdvals, n(6, 4, dtype=torch.float64))

    # Losses
    o.case("softmax_dim1", lambda x: F.softmax(x, dim=1), n(4, 6))
    o.case("log_softmax_dim1", lambda x: F.log_softmax(x, dim=1), n(4, 6))
    o.case("soft_cross_entropy", soft_cross_entropy, n(6, 5), F.softmax(n(6, 5), dim=1), constant=(1,))
    o.case("mse_sum_mean", lambda p, t: ((p - t) ** 2).sum(dim=1).mean(), n(6, 5), n(6, 5), constant=(1,))

    # Shapes and indices
    o.case("permute_021", lambda x: x.permute(0, 2, 1), n(2, 3, 4))
    o.case("reshape", lambda x: x.reshape(6, 4), n(2, 3, 4))
    o.case("cat_dim0", lambda a, b: torch.cat((a, b), dim=0), n(2, 4), n(3, 4))
    o.case("index_select_dim0", lambda x, i: x.index_select(0, i), n(5, 4), o.integers(5, 7))
    o.case("gather_dim1", lambda x, i: x.gather(1, i), n(4, 6), o.integers(6, 4, 3))

    save("TorchTests/Fixtures/operators.safetensors", o.tensors)


# Models


def is_statistic(name):
    return name.endswith(("running_mean", "running_var"))


def wide_resnet():
    torch.manual_seed(21)
    g = torch.Generator().manual_seed(22)

    def uniform(tensor, low, high):
        tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=g))

    model = WideResNet(10, 1, channels=1, classes=10)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                uniform(module.weight, 0.8, 1.2)
                uniform(module.bias, -0.1, 0.1)
                uniform(module.running_mean, -0.1, 0.1)
                uniform(module.running_var, 0.5, 1.5)
        uniform(model.fc.bias, -0.1, 0.1)

    images = torch.randn(8, 1, 16, 16, generator=g)
    one_hot = F.one_hot(torch.randint(10, (8,), generator=g), 10).float()
    partner = torch.randperm(8, generator=g)
    weight = torch.rand(8, 1, generator=g)
    targets = weight * one_hot + (1 - weight) * one_hot[partner]

    shared = {"images": images, "targets": targets}
    for name, parameter in model.named_parameters():
        shared[f"param.{name}"] = parameter
    start = {name: b.clone() for name, b in model.named_buffers() if is_statistic(name)}
    for name, buffer in start.items():
        shared[f"buffer.{name}"] = buffer
    save("ModelsTests/Fixtures/wrn-10-1.safetensors", shared)

    for mode in ("train", "eval"):
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if is_statistic(name):
                    buffer.copy_(start[name])
        model.train(mode == "train")
        model.zero_grad(set_to_none=True)
        features, logits = model(images)
        loss = soft_cross_entropy(logits, targets)
        loss.backward()
        tensors = {
            f"{mode}.features": features,
            f"{mode}.logits": logits,
            f"{mode}.loss": loss,
        }
        for name, parameter in model.named_parameters():
            tensors[f"{mode}.grad.{name}"] = parameter.grad
        if mode == "train":
            for name, buffer in model.named_buffers():
                if is_statistic(name):
                    tensors[f"train.buffer.{name}"] = buffer
        save(f"ModelsTests/Fixtures/wrn-10-1-{mode}.safetensors", tensors)


# Optimizers


def optimizers():
    g = torch.Generator().manual_seed(23)
    steps = 5
    tensors = {}
    for prefix, nesterov in (("sgd", False), ("nesterov", True)):
        parameters = [
            torch.nn.Parameter(torch.randn(shape, generator=g)) for shape in ((3, 4), (5,))
        ]
        optimizer = torch.optim.SGD(
            parameters, lr=0.1, momentum=0.9, weight_decay=1e-2, nesterov=nesterov
        )
        for i, parameter in enumerate(parameters):
            tensors[f"{prefix}.p{i}.start"] = parameter.detach().clone()
        for step in range(steps):
            for i, parameter in enumerate(parameters):
                parameter.grad = torch.randn(parameter.shape, generator=g)
                tensors[f"{prefix}.g{i}.{step}"] = parameter.grad.clone()
            optimizer.step()
            for i, parameter in enumerate(parameters):
                tensors[f"{prefix}.p{i}.{step}"] = parameter.detach().clone()
    save("NNTests/Fixtures/optimizers.safetensors", tensors)


def adam():
    g = torch.Generator().manual_seed(24)
    tensors = {}
    options = {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}
    for prefix, kind, limit in (
        ("adam", torch.optim.Adam, None), ("adamw", torch.optim.AdamW, None), ("clipped", torch.optim.AdamW, 0.7),
    ):
        parameters = [torch.nn.Parameter(torch.randn(shape, generator=g)) for shape in ((3, 4), (5,))]
        optimizer = kind(parameters, **options)
        for i, parameter in enumerate(parameters):
            tensors[f"{prefix}.p{i}.start"] = parameter.detach().clone()
        for step in range(5):
            for i, parameter in enumerate(parameters):
                # The last two steps lie below the limit.
                parameter.grad = torch.randn(parameter.shape, generator=g) * (1 if step < 3 else 0.1)
                tensors[f"{prefix}.g{i}.{step}"] = parameter.grad.clone()
            if limit is not None:
                torch.nn.utils.clip_grad_norm_(parameters, limit)
            optimizer.step()
            for i, parameter in enumerate(parameters):
                tensors[f"{prefix}.p{i}.{step}"] = parameter.detach().clone()
    save("NNTests/Fixtures/adam.safetensors", tensors)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    operators()
    wide_resnet()
    optimizers()
    adam()
