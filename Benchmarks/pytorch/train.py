"""Trains a wide residual network or a vision transformer with mixup in PyTorch.

The counterpart of a training run in Collapse, with the same settings. Prints
the test accuracy and the same-class alignment as one line of JSON.
"""

import argparse
import copy
import gzip
import json
import math
import struct
import sys
import time
from pathlib import Path

import torch
from safetensors import safe_open
from torch.nn import functional as F

from step import make_model

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Tests" / "References"))

from wide_resnet import soft_cross_entropy  # noqa: E402

PAIRS_PER_CLASS = 200


# Data


def read_idx(directory, name):
    """The bytes of an IDX file, plain or gzipped, in their shape."""
    plain = Path(directory) / name
    if plain.exists():
        content = plain.read_bytes()
    else:
        content = gzip.decompress(plain.with_name(name + ".gz").read_bytes())
    zeros, kind, rank = struct.unpack(">HBB", content[:4])
    if zeros != 0 or kind != 0x08:
        raise ValueError(f"{name} is not an IDX file of bytes")
    shape = struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
    values = torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=4 + 4 * rank)
    return values.reshape(shape)


def read_pack(path, part):
    """The images (n, height, width, channels) and labels of a pack that Collapse made of a data set."""
    with safe_open(path, framework="pt") as pack:
        return pack.get_tensor(f"{part}_images"), pack.get_tensor(f"{part}_labels")


def read_split(source, part, classes, limit=0):
    """Images (n, channels, height, width) and labels, renumbered in the order of `classes`."""
    if Path(source).is_file():
        images, labels = read_pack(source, part)
        images = images.permute(0, 3, 1, 2).contiguous()
    else:
        prefix = {"train": "train", "test": "t10k"}[part]
        images = read_idx(source, f"{prefix}-images-idx3-ubyte").unsqueeze(1)
        labels = read_idx(source, f"{prefix}-labels-idx1-ubyte").long()
    number = torch.full((256,), -1)
    number[torch.tensor(classes)] = torch.arange(len(classes))
    labels = number[labels]
    kept = (labels >= 0).nonzero().squeeze(1)
    if limit > 0:
        kept = kept[:limit]
    return images[kept], labels[kept]


def crop_flip(images, padding=4):
    """Pads with zeros, crops at random and flips every second image or so."""
    n, _, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    place = {"device": images.device}
    rows = torch.randint(2 * padding + 1, (n, 1), **place) + torch.arange(height, **place)
    columns = torch.randint(2 * padding + 1, (n, 1), **place) + torch.arange(width, **place)
    columns = torch.where(torch.rand(n, 1, **place) < 0.5, columns.flip(1), columns)
    # The indexed dimensions come first in the result: (n, height, width, channels).
    picked = padded[torch.arange(n, **place)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


class Normalisation:
    """Takes bytes to pixels in units of the deviation of each channel."""

    def __init__(self, images):
        # The counts of the 256 values give the moments without a float copy.
        moments = []
        values = torch.arange(256, dtype=torch.float64) / 255
        for channel in range(images.shape[1]):
            counts = torch.bincount(images[:, channel].flatten().cpu(), minlength=256).double()
            share = counts / counts.sum()
            mean = (share * values).sum()
            moments.append((mean, (share * (values - mean) ** 2).sum().sqrt()))
        self.mean = torch.tensor([m for m, _ in moments]).float().view(1, -1, 1, 1).to(images.device)
        self.deviation = torch.tensor([d for _, d in moments]).float().view(1, -1, 1, 1).to(images.device)

    def __call__(self, images):
        return images.float().div_(255).sub_(self.mean).div_(self.deviation)


# Training


def learning_rate(arguments, epoch, step, total_steps):
    if arguments.schedule == "cosine":
        warmup = arguments.warmup_epochs * total_steps / arguments.epochs
        if step < warmup:
            return arguments.lr * (step + 1) / warmup
        done = (step - warmup) / max(1, total_steps - warmup)
        return arguments.lr * 0.5 * (1 + math.cos(math.pi * done))
    if arguments.schedule == "step":
        passed = sum(epoch >= m * arguments.epochs for m in arguments.milestones)
        return arguments.lr * arguments.factor**passed
    return arguments.lr


def autocast(arguments):
    kind = arguments.device.split(":")[0]
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=arguments.precision == "bf16")


def initialise(model):
    """What both sides start a transformer from: weights with deviation 0.02, biases zero."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.02)
            torch.nn.init.zeros_(module.bias)
    torch.nn.init.normal_(model.pos_embed, std=0.02)
    torch.nn.init.normal_(model.cls_token, std=1e-6)


def make_optimizer(arguments, parameters):
    if arguments.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=arguments.lr, momentum=arguments.momentum, weight_decay=arguments.weight_decay
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[arguments.optimizer]
    return kind(parameters, lr=arguments.lr, weight_decay=arguments.weight_decay)


def keep(path, model, optimizer, epoch, mean_loss):
    """Writes all that the rest of a run depends on."""
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
        "device_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "epoch": epoch,
        "mean_loss": mean_loss,
    }
    partial = Path(path).with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def restore(path, model, optimizer):
    """Reads it again; returns the epochs done and the mean loss of the last."""
    state = torch.load(path, weights_only=True, map_location="cpu")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    if state.get("device_random"):
        torch.cuda.set_rng_state_all(state["device_random"])
    return state["epoch"], state["mean_loss"]


def train(arguments, model, images, labels, normalise, report=None):
    """Trains in place; returns the mean loss of the last epoch."""
    one_hot = F.one_hot(labels, len(arguments.classes)).float()
    optimizer = make_optimizer(arguments, model.parameters())
    beta = torch.distributions.Beta(arguments.alpha, arguments.alpha)
    batch = arguments.batch
    steps_per_epoch = len(images) // batch
    if steps_per_epoch == 0:
        raise ValueError("fewer images than a batch")
    total_steps = arguments.epochs * steps_per_epoch

    model.train()
    step = first = 0
    mean_loss = math.nan
    if arguments.checkpoint and Path(arguments.checkpoint).exists():
        first, mean_loss = restore(arguments.checkpoint, model, optimizer)
        step = first * steps_per_epoch
    for epoch in range(first, arguments.epochs):
        start = time.perf_counter()
        order = torch.randperm(len(images)).to(images.device)
        total_loss = 0.0
        for i in range(steps_per_epoch):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(arguments, epoch, step, total_steps)
            chosen = order[i * batch : (i + 1) * batch]
            x, t = images[chosen], one_hot[chosen]
            if arguments.augment == "crop-flip":
                x = crop_flip(x)
            x = normalise(x)
            if arguments.mixup:
                weight = beta.sample().item()
                partner = torch.randperm(batch).to(images.device)
                x = torch.lerp(x[partner], x, weight)
                t = torch.lerp(t[partner], t, weight)
            with autocast(arguments):
                logits = model(x.contiguous(memory_format=torch.channels_last))[1]
            loss = soft_cross_entropy(logits.float(), t)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total_loss += loss.detach().double()
            step += 1
        mean_loss = float(total_loss) / steps_per_epoch
        if arguments.checkpoint:
            keep(arguments.checkpoint, model, optimizer, epoch + 1, mean_loss)
        if report is not None:
            seconds = time.perf_counter() - start
            report(
                f"epoch {epoch + 1}/{arguments.epochs}: loss {mean_loss:.4f}, "
                f"{steps_per_epoch * batch / seconds:.0f} images/s"
            )
    return mean_loss


# Measurements


@torch.no_grad()
def accuracy(arguments, model, images, labels, normalise, batch=500):
    model.eval()
    right = 0
    for start in range(0, len(images), batch):
        x = normalise(images[start : start + batch])
        with autocast(arguments):
            logits = model(x.contiguous(memory_format=torch.channels_last))[1]
        right += (logits.argmax(dim=1) == labels[start : start + batch]).sum().item()
    return right / len(images)


@torch.no_grad()
def same_class_features(arguments, model, images, labels, normalise):
    """Features (pairs, classes, width) of mixed pairs within each class.

    The copy of the model normalises by the statistics of the batch, so every
    batch holds all the classes in equal parts.
    """
    model = copy.deepcopy(model).train()
    classes = len(arguments.classes)
    first, second = [], []
    for c in range(classes):
        members = (labels == c).nonzero().squeeze(1)
        for side in (first, second):
            side.append(members[torch.randint(len(members), (PAIRS_PER_CLASS,)).to(labels.device)])
    first, second = torch.stack(first, dim=1), torch.stack(second, dim=1)
    weights = torch.rand(PAIRS_PER_CLASS, classes).to(images.device)

    features = []
    rows = max(1, arguments.batch // classes)
    for a, b, w in zip(first.split(rows), second.split(rows), weights.split(rows)):
        x = torch.lerp(
            normalise(images[b.flatten()]),
            normalise(images[a.flatten()]),
            w.reshape(-1, 1, 1, 1),
        )
        with autocast(arguments):
            h = model(x.contiguous(memory_format=torch.channels_last))[0]
        features.append(h.float().reshape(len(a), classes, -1))
    return torch.cat(features)


def alignment(features, weight):
    """The mean cosine of the centred class means and the centred classifier rows."""
    means = features.mean(dim=0)
    means = means - means.mean(dim=0)
    rows = weight.detach() - weight.detach().mean(dim=0)
    return F.cosine_similarity(means, rows, dim=1).mean().item()


# Command line


def parse_arguments(values=None):
    def integers(text):
        return [int(part) for part in text.split(",")]

    def floats(text):
        return [float(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="the directory of the IDX files, or a pack")
    parser.add_argument("--model", default="wrn-10-2")
    parser.add_argument("--classes", type=integers, default=list(range(10)))
    parser.add_argument("--train-limit", type=int, default=0, help="0: all")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--optimizer", choices=("sgd", "adam", "adamw"), default="sgd")
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--schedule", choices=("step", "cosine", "constant"), default="cosine")
    parser.add_argument("--warmup-epochs", type=float, default=0, help="of the cosine schedule")
    parser.add_argument("--milestones", type=floats, default=[0.3, 0.5, 0.9])
    parser.add_argument("--factor", type=float, default=0.1)
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--no-mixup", dest="mixup", action="store_false")
    parser.add_argument("--augment", choices=("crop-flip", "none"), default="crop-flip")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: as PyTorch chooses")
    parser.add_argument("--checkpoint", help="kept after each epoch; gone on from if it is there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    arguments = parser.parse_args(values)
    if len(set(arguments.classes)) != len(arguments.classes):
        parser.error("--classes names a class twice")
    if not all(0 <= c < 10 for c in arguments.classes):
        parser.error("--classes holds numbers from 0 to 9")
    return arguments


def prepare(arguments):
    """The model and the data of a run."""
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    images, labels = read_split(arguments.data, "train", arguments.classes, arguments.train_limit)
    test = read_split(arguments.data, "test", arguments.classes)
    images, labels, *test = (part.to(arguments.device) for part in (images, labels, *test))
    model = make_model(arguments, images.shape[2], images.shape[1], len(arguments.classes))
    if arguments.model.startswith("vit"):
        initialise(model)
    return model.to(arguments.device, memory_format=torch.channels_last), (images, labels), test


def main():
    arguments = parse_arguments()
    model, (images, labels), test = prepare(arguments)
    normalise = Normalisation(images)

    def report(line):
        if not arguments.json:
            print(line, file=sys.stderr, flush=True)

    start = time.perf_counter()
    final_loss = train(arguments, model, images, labels, normalise, report)
    seconds = time.perf_counter() - start
    features = same_class_features(arguments, model, images, labels, normalise)
    classifier = model.head if arguments.model.startswith("vit") else model.fc
    result = {
        "test_accuracy": accuracy(arguments, model, *test, normalise),
        "alignment": alignment(features, classifier.weight),
        "seconds": seconds,
        "final_train_loss": final_loss,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
