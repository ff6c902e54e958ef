"""Writes Tests/ModelsTests/Fixtures/resnets.json: what torchvision makes of ResNet-18, 34 and 50.

    pip install --no-deps --target DIR torchvision==0.28.0
    PYTHONPATH=DIR .collapse/venv/bin/python Tests/References/make_resnet.py

Weights, images and targets are the formula of make_architectures.py in float32, and gradients are told by norms and
products as there; torchvision computes in float64. For small images the stem is the 3x3 convolution without pooling
that papers on neural collapse use.

The gradient of a ReLU jumps where its input is zero, and of a million inputs some are zero to rounding: PyTorch's own
float32 differs from its float64 by up to 3 % in the norm of a tensor's gradient. For the pass with running statistics
the weights are therefore such that every ReLU is decided; the pass with the batch's has the plain formula.
"""

import json
import math
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from make_architectures import formula, scatter  # noqa: E402
from wide_resnet import soft_cross_entropy  # noqa: E402

CLASSES = 10
IMAGES = 4
NETWORKS = ["resnet18", "resnet34", "resnet50"]
SIZES = [32, 64]


def torchvision_models():
    """torchvision's models; operators of its wheel that no ResNet uses may be missing beside a torch for the CPU."""
    missing = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            missing.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    import torchvision

    return torchvision.models, torchvision.__version__.split("+")[0], missing


def make(models, name, size):
    model = getattr(models, name)(num_classes=CLASSES)
    if size < 64:
        model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
        model.maxpool = torch.nn.Identity()
    return model


def tensors(model):
    return {n: t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}


def told(tensor, place):
    """Norm, and product with the scattered numbers."""
    tensor = tensor.detach().double().flatten()
    return [rounded(tensor.norm()), rounded(tensor @ scatter(tensor.numel(), 1000 + place))]


def rounded(value):
    return float(f"{value.item():.9g}")


def decided(name, tensor):
    """Biases of batch norms far from zero, and little that is added to them."""
    if tensor.dim() == 4:
        return tensor / 10
    if name.endswith("bias") and not name.startswith("fc"):
        return tensor + torch.where(torch.arange(len(tensor)) % 3 == 0, -4, 4)
    return tensor


def one_pass(model, names, mode, images, targets):
    with torch.no_grad():
        for place, key in enumerate(names):
            value = formula(key, tuple(tensors(model)[key].shape), place)
            tensors(model)[key].copy_((decided(key, value) if mode == "eval" else value).float())
    model.train(mode == "train").zero_grad(set_to_none=True)
    features = []
    hook = model.fc.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    logits = model(images)
    hook.remove()
    loss = soft_cross_entropy(logits, targets)
    loss.backward()
    statistics = {n: told(b, names.index(n)) for n, b in tensors(model).items() if "running" in n}
    return {
        "mode": mode,
        "features": [rounded(feature) for feature in features[0].flatten()[:64]],
        "logits": [rounded(logit) for logit in logits.flatten()],
        "loss": rounded(loss),
        "gradients": {n: told(p.grad, names.index(n)) for n, p in model.named_parameters()},
        "statistics": statistics if mode == "train" else {},
    }


def describe(models, name, size):
    model = make(models, name, size).double()
    names = sorted(tensors(model))
    images = scatter(IMAGES * 3 * size * size, 500).float().double().reshape(IMAGES, 3, size, size)
    targets = scatter(IMAGES * CLASSES, 501).abs().reshape(IMAGES, CLASSES)
    targets = (targets / targets.sum(1, keepdim=True)).float().double()
    return {
        "name": name.replace("resnet", "resnet-"),
        "size": size,
        "parameters": sum(p.numel() for p in model.parameters()),
        "shapes": {key: list(tensors(model)[key].shape) for key in names},
        "passes": [one_pass(model, names, mode, images, targets) for mode in ("eval", "train")],
    }


def main():
    torch.set_num_threads(2)
    models, version, _ = torchvision_models()
    content = {
        "torch": torch.__version__.split("+")[0],
        "torchvision": version,
        "networks": [describe(models, name, size) for name in NETWORKS for size in SIZES],
    }
    path = HERE.parent / "ModelsTests/Fixtures/resnets.json"
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(f"{path.name}: {path.stat().st_size:,} bytes")
    for network in content["networks"]:
        print(network["name"], network["size"], network["parameters"])


if __name__ == "__main__":
    main()
