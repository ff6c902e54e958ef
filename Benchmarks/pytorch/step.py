"""Times one training step, or evaluation, of a network in PyTorch.

A step is all of it: choosing the samples, augmentation, normalisation, mixup,
forward, loss, backward and the update. The images are random. Evaluation is
normalisation and forward without gradients; a capture mixes pairs and keeps
batch statistics, with the features stored.
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

from vision_transformer import VisionTransformer  # noqa: E402
from wide_resnet import WideResNet, soft_cross_entropy  # noqa: E402

IMAGES = 2048


def crop_flip(images, padding=4):
    """Pads with zeros, crops at random and flips every second image or so."""
    n, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    place = {"device": images.device}
    rows = torch.randint(2 * padding + 1, (n, 1), **place) + torch.arange(height, **place)
    columns = torch.randint(2 * padding + 1, (n, 1), **place) + torch.arange(width, **place)
    columns = torch.where(torch.rand(n, 1, **place) < 0.5, columns.flip(1), columns)
    # The indexed dimensions come first in the result: (n, height, width, channels).
    picked = padded[torch.arange(n, **place)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
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
    parser.add_argument("--optimizer", choices=("sgd", "adamw"), default="sgd")
    parser.add_argument("--fused", action="store_true", help="the optimizer's fused kernel")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument("--work", choices=("train", "evaluate", "capture"), default="train")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--serve", action="store_true", help="measure anew for each line of input")
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    return parser.parse_args()


def make_model(arguments, size, channels, classes):
    if arguments.model.startswith("vit"):
        return VisionTransformer.named(arguments.model, channels, classes, (size, size))
    return WideResNet.named(arguments.model, channels, classes)


class Work:
    """The three kinds of work, each a callable that does one batch."""

    def __init__(self, arguments):
        self.arguments = arguments
        size, channels, classes = arguments.image_size, arguments.channels, arguments.classes
        self.images = torch.randint(256, (IMAGES, channels, size, size), dtype=torch.uint8).to(arguments.device)
        labels = torch.randint(classes, (IMAGES,))
        self.one_hot = torch.nn.functional.one_hot(labels, classes).float().to(arguments.device)
        self.mean = torch.full((1, channels, 1, 1), 0.5, device=arguments.device)
        self.deviation = torch.full((1, channels, 1, 1), 0.25, device=arguments.device)
        channels_last = arguments.layout == "channels_last"
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        model = make_model(arguments, size, channels, classes).to(arguments.device)
        self.model = model.to(memory_format=self.layout).train(arguments.work != "evaluate")
        self.forward = torch.compile(self.model) if arguments.compile else self.model
        parameters = self.model.parameters()
        if arguments.optimizer == "adamw":
            self.optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-2, fused=arguments.fused)
        else:
            self.optimizer = torch.optim.SGD(
                parameters, lr=0.1, momentum=0.9, weight_decay=1e-4, fused=arguments.fused
            )
        self.beta = torch.distributions.Beta(1.0, 1.0)

    def normalised(self, images):
        return images.float().div_(255).sub_(self.mean).div_(self.deviation)

    def outputs(self, x):
        enabled = self.arguments.precision == "bf16"
        kind = self.arguments.device.split(":")[0]
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=enabled):
            return self.forward(x.contiguous(memory_format=self.layout))[:2]

    def train(self):
        batch = self.arguments.batch
        chosen = torch.randint(IMAGES, (batch,), device=self.images.device)
        x = self.normalised(crop_flip(self.images[chosen]))
        t = self.one_hot[chosen]
        weight = self.beta.sample().item()
        partner = torch.randperm(batch, device=self.images.device)
        x = torch.lerp(x[partner], x, weight)
        t = torch.lerp(t[partner], t, weight)
        _, logits = self.outputs(x)
        loss = soft_cross_entropy(logits.float(), t)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    @torch.no_grad()
    def evaluate(self):
        start = int(torch.randint(IMAGES - self.arguments.batch + 1, ()))
        return self.outputs(self.normalised(self.images[start : start + self.arguments.batch]))[1]

    @torch.no_grad()
    def capture(self):
        pairs = torch.randint(IMAGES, (2, self.arguments.batch), device=self.images.device)
        weights = self.beta.sample((self.arguments.batch, 1, 1, 1)).to(self.images.device)
        first, second = (self.normalised(self.images[side]) for side in pairs)
        return self.outputs(torch.lerp(second, first, weights))[0].float()


def measurement(arguments, step):
    """What the timed steps took, after the warm-up."""
    cuda = arguments.device.startswith("cuda")
    synchronise = torch.cuda.synchronize if cuda else lambda: None
    for _ in range(arguments.warmup):
        step()
    synchronise()
    seconds = []
    for i in range(arguments.steps):
        start = time.perf_counter()
        step()
        synchronise()
        seconds.append(time.perf_counter() - start)
        if not arguments.json:
            print(f"step {i + 1}: {seconds[-1]:.4f} s", file=sys.stderr)

    median = statistics.median(seconds)
    result = {
        "images_per_second": arguments.batch / median,
        "step_seconds": {"min": min(seconds), "median": median, "max": max(seconds)},
        "peak_memory_bytes": peak_memory_bytes(),
        "torch": torch.__version__,
    }
    if cuda:
        result["peak_device_memory_bytes"] = torch.cuda.max_memory_allocated()
    return result


def main():
    arguments = parse_arguments()
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    # All but the default have what is tuned, as elsewhere.
    torch.backends.cudnn.benchmark = arguments.fused
    torch.manual_seed(arguments.seed)
    step = getattr(Work(arguments), arguments.work)
    if arguments.serve:
        measurement(arguments, step)  # by then it is compiled, and kernels are chosen
        print("ready", flush=True)
    for _ in sys.stdin if arguments.serve else [None]:
        print(json.dumps(measurement(arguments, step)), flush=True)


if __name__ == "__main__":
    main()
