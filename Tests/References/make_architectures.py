"""Writes Tests/ModelsTests/Fixtures/architectures.json: what PyTorch makes of every network by name.

    .collapse/venv/bin/python Tests/References/make_architectures.py

Weights are no random numbers but a formula of a tensor's place among the sorted
names and an element's place in it, so that the Swift tests can make the same
ones and nothing large has to be stored. Gradients are told by their norms and by
their products with such a formula, which no transposed or swapped tensor shares.
"""

import json
import math
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from vision_transformer import VisionTransformer  # noqa: E402
from wide_resnet import WideResNet, soft_cross_entropy  # noqa: E402

MODULUS = 2**31 - 1

# Name, channels, classes, image size.
CASES = [
    ("wrn-10-1", 1, 10, (16, 12)),
    ("wrn-16-2", 3, 10, (16, 16)),
    ("wrn-28-10", 3, 10, (8, 8)),
    ("wrn-40-10", 3, 100, (8, 8)),
    ("vit-xs-8", 3, 10, (32, 32)),
    ("vit-ti-4", 3, 10, (32, 32)),
    ("vit-ti-2", 1, 3, (8, 12)),
    ("vit-s-4", 3, 10, (16, 16)),
    ("vit-b-4", 3, 10, (32, 32)),
]
# The networks of the paper, whose parameters are counted.
COUNTED = [
    ("wrn-40-10", 3, 10, (32, 32)),
    ("wrn-40-10", 3, 100, (32, 32)),
    ("wrn-40-10", 1, 10, (28, 28)),
    ("vit-b-4", 3, 10, (32, 32)),
    ("vit-b-4", 3, 100, (32, 32)),
]


def scatter(count, place):
    """Numbers in -1 to 1 without visible order."""
    i = torch.arange(count, dtype=torch.int64)
    x = (i * 7919 + place * 104_729 + 12_345) % MODULUS
    for _ in range(2):  # squares modulo a prime
        x = (x * x + i) % MODULUS
    return x.double() / MODULUS * 2 - 1


def formula(name, shape, place):
    u = scatter(math.prod(shape), place).reshape(shape)
    if name.endswith("running_var"):
        return 1 + 0.5 * u
    if len(shape) == 1:
        return 1 + 0.2 * u if name.endswith("weight") else 0.1 * u
    return u * math.sqrt(3 / math.prod(shape[1:]))


def make(name, channels, classes, image_size):
    if name.startswith("vit"):
        return VisionTransformer.named(name, channels, classes, image_size)
    return WideResNet.named(name, channels, classes)


def describe(name, channels, classes, image_size):
    model = make(name, channels, classes, image_size).eval()
    tensors = {n: t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    names = sorted(tensors)
    with torch.no_grad():
        for place, key in enumerate(names):
            tensors[key].copy_(formula(key, tuple(tensors[key].shape), place))
    images = scatter(2 * channels * math.prod(image_size), 500).float().reshape(2, channels, *image_size)
    targets = scatter(2 * classes, 501).abs().reshape(2, classes)
    targets = (targets / targets.sum(1, keepdim=True)).float()
    features, logits, *rest = model(images)
    loss = soft_cross_entropy(logits, targets)
    loss.backward()
    gradients = {}
    for key, parameter in model.named_parameters():
        gradient = parameter.grad.double().flatten()
        product = gradient @ scatter(gradient.numel(), 1000 + names.index(key))
        gradients[key] = [float(gradient.norm()), float(product)]
    return {
        "name": name, "channels": channels, "classes": classes, "height": image_size[0], "width": image_size[1],
        "shapes": {key: list(tensors[key].shape) for key in names},
        "features": features.double().flatten().tolist()[:64], "logits": logits.double().flatten().tolist(),
        "loss": loss.item(), "gradients": gradients,
        "trajectory": [float(t.double().norm()) for t in rest[0]] if rest else [],
    }


def count(name, channels, classes, image_size):
    with torch.device("meta"):
        model = make(name, channels, classes, image_size)
    return {
        "name": name, "channels": channels, "classes": classes, "height": image_size[0], "width": image_size[1],
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def main():
    torch.set_num_threads(2)
    content = {
        "torch": torch.__version__.split("+")[0],
        "architectures": [describe(*case) for case in CASES],
        "counts": [count(*case) for case in COUNTED],
    }
    path = HERE.parent / "ModelsTests/Fixtures/architectures.json"
    path.write_text(json.dumps(content) + "\n")
    print(f"{path.name}: {path.stat().st_size:,} bytes")
    for entry in content["counts"]:
        print(entry)


if __name__ == "__main__":
    main()
