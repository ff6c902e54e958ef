"""Times one training step of a wide residual network in PyTorch.

A step is all of it: choosing the samples, augmentation, normalisation, mixup,
forward, loss, backward and the SGD update. The images are random.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Tests" / "References"))

from wide_resnet import WideResNet, soft_cross_entropy  # noqa: E402

IMAGES = 2048


def crop_flip(images, padding=4):
    """Pads with zeros, crops at random and flips every second image or so."""
    n, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    rows = torch.randint(2 * padding + 1, (n, 1)) + torch.arange(height)
    columns = torch.randint(2 * padding + 1, (n, 1)) + torch.arange(width)
    columns = torch.where(torch.rand(n, 1) < 0.5, columns.flip(1), columns)
    # The indexed dimensions come first in the result: (n, height, width, channels).
    picked = padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def peak_memory_bytes():
    """The peak resident size: Linux counts it in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="wrn-16-2")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--layout", choices=("contiguous", "channels_last"), default="contiguous")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--threads", type=int, default=0, help="0: as PyTorch chooses")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)

    size, channels, classes = arguments.image_size, arguments.channels, arguments.classes
    images = torch.randint(256, (IMAGES, channels, size, size), dtype=torch.uint8)
    labels = torch.randint(classes, (IMAGES,))
    one_hot = torch.nn.functional.one_hot(labels, classes).float()
    mean = torch.full((1, channels, 1, 1), 0.5)
    deviation = torch.full((1, channels, 1, 1), 0.25)

    layout = torch.channels_last if arguments.layout == "channels_last" else torch.contiguous_format
    model = WideResNet.named(arguments.model, channels, classes).to(memory_format=layout).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    forward = torch.compile(model) if arguments.compile else model
    beta = torch.distributions.Beta(1.0, 1.0)

    def step():
        chosen = torch.randint(IMAGES, (arguments.batch,))
        x = crop_flip(images[chosen]).float().div_(255).sub_(mean).div_(deviation)
        t = one_hot[chosen]
        weight = beta.sample().item()
        partner = torch.randperm(arguments.batch)
        x = torch.lerp(x[partner], x, weight).contiguous(memory_format=layout)
        t = torch.lerp(t[partner], t, weight)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=arguments.precision == "bf16"):
            _, logits = forward(x)
        loss = soft_cross_entropy(logits.float(), t)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    for _ in range(arguments.warmup):
        step()
    seconds = []
    for i in range(arguments.steps):
        start = time.perf_counter()
        loss = step()
        seconds.append(time.perf_counter() - start)
        if not arguments.json:
            print(f"step {i + 1}: {seconds[-1]:.4f} s, loss {loss:.4f}", file=sys.stderr)

    median = statistics.median(seconds)
    result = {
        "images_per_second": arguments.batch / median,
        "step_seconds": {"min": min(seconds), "median": median, "max": max(seconds)},
        "peak_memory_bytes": peak_memory_bytes(),
        "torch": torch.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
