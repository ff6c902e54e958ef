"""Times one training step, or evaluation, of a network in PyTorch.

A step is all of it: choosing the samples, augmentation, normalisation, mixup,
forward, loss, backward and the update. The images are random. Evaluation is
normalisation and forward without gradients; a capture mixes pairs and keeps
batch statistics, with the features stored.

What a training step draws at random is drawn on the host, a step ahead, and
copied to the device at once. With --graph all the rest of a step, from the
choice of images to the update, is recorded as one CUDA graph and replayed.
"""

import argparse
import gc
import json
import random
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Tests" / "References"))

from vision_transformer import VisionTransformer  # noqa: E402
from wide_resnet import WideResNet, soft_cross_entropy  # noqa: E402

BATCHES = 4  # that there are different images for, as in our own benchmark
PADDING = 4


class Numbers:
    """What training steps draw at random, and their learning rate, at fixed addresses on the device."""

    def __init__(self, arguments, rate, device):
        self.arguments = arguments
        self.rate = rate
        is_pinned = device.type == "cuda"
        # λ and the learning rate, in a place of 16 bytes, and then five integers an image.
        size = 16 + 5 * 8 * arguments.batch
        # Two, since a copy may still read the one while the other is filled.
        self.hosts = [torch.empty(size, dtype=torch.uint8, pin_memory=is_pinned) for _ in range(2)]
        self.copied = [torch.cuda.Event() for _ in self.hosts] if is_pinned else []
        self.place = torch.zeros(size, dtype=torch.uint8, device=device)
        self.floats, self.integers = self.views(self.place)
        self.parts = [self.views(host) for host in self.hosts]
        self.next = 0
        self.draw()

    @staticmethod
    def views(buffer):
        return buffer[:16].view(torch.float32), buffer[16:].view(torch.int64).view(5, -1)

    def draw(self):
        """Images, partners, offsets, flips and λ of the step after this."""
        if self.copied:
            self.copied[self.next].synchronize()
        floats, integers = self.parts[self.next]
        floats[0] = random.betavariate(1, 1)
        floats[1] = self.rate
        integers[0].random_(BATCHES * self.arguments.batch)
        torch.randperm(self.arguments.batch, out=integers[1])
        integers[2:4].random_(2 * PADDING + 1)
        integers[4].random_(2)

    def copy(self):
        """Puts what was drawn where the step reads it, without waiting."""
        self.place.copy_(self.hosts[self.next], non_blocking=True)
        if self.copied:
            self.copied[self.next].record()
        self.next = 1 - self.next


class Batches:
    """Images with a frame of zeros, and how batches are made of them: the same arithmetic everywhere."""

    def __init__(self, images, one_hot, mean, deviation):
        frame = torch.nn.functional.pad(images, (PADDING,) * 4)
        self.padded = frame.permute(0, 2, 3, 1).contiguous()
        self.one_hot = one_hot
        self.places = torch.arange(images.shape[2], device=images.device)
        self.scale = (1 / (255 * deviation)).flatten()
        self.shift = (-mean / deviation).flatten()

    def make(self, floats, integers):
        """Images that are cropped, flipped, normalised and mixed, and their targets."""
        chosen, partners, tops, starts, flips = integers.unbind()
        rows = tops[:, None] + self.places
        columns = starts[:, None] + (flips[:, None] * (len(self.places) - 1) - self.places).abs()
        picked = self.padded[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        x = torch.addcmul(self.shift, picked.float(), self.scale)
        t = self.one_hot[chosen]
        x = torch.lerp(x[partners], x, floats[0])
        return x.permute(0, 3, 1, 2), torch.lerp(t[partners], t, floats[0])


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
    parser.add_argument("--graph", action="store_true", help="replay whole training steps as a CUDA graph")
    parser.add_argument("--work", choices=("train", "evaluate", "capture"), default="train")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--serve", action="store_true", help="measure anew for each line of input")
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    arguments = parser.parse_args()
    if arguments.graph and (arguments.work != "train" or not arguments.device.startswith("cuda")):
        parser.error("--graph is for training steps on CUDA")
    return arguments


def make_model(arguments, size, channels, classes):
    if arguments.model.startswith("vit"):
        return VisionTransformer.named(arguments.model, channels, classes, (size, size))
    return WideResNet.named(arguments.model, channels, classes)


class Work:
    """The three kinds of work, each a callable that does one batch."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.device = torch.device(arguments.device)
        self.is_on_cuda = self.device.type == "cuda"
        size, channels, classes = arguments.image_size, arguments.channels, arguments.classes
        self.count = BATCHES * arguments.batch
        images = torch.randint(256, (self.count, channels, size, size), dtype=torch.uint8).to(self.device)
        labels = torch.randint(classes, (self.count,))
        one_hot = torch.nn.functional.one_hot(labels, classes).float().to(self.device)
        self.mean = torch.full((1, channels, 1, 1), 0.5, device=self.device)
        self.deviation = torch.full((1, channels, 1, 1), 0.25, device=self.device)
        channels_last = arguments.layout == "channels_last"
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        model = make_model(arguments, size, channels, classes).to(self.device)
        self.model = model.to(memory_format=self.layout).train(arguments.work != "evaluate")
        self.forward = torch.compile(self.output) if arguments.compile else self.output
        self.beta = torch.distributions.Beta(1.0, 1.0)
        if arguments.work != "train":
            self.images = images
        else:
            rate = 1e-3 if arguments.optimizer == "adamw" else 0.1
            self.numbers = Numbers(arguments, rate, self.device)
            self.batch = Batches(images, one_hot, self.mean, self.deviation).make
            if arguments.compile and self.is_on_cuda:
                self.batch = self.compiled(self.batch)
            # What a graph has recorded can't change, so that there the rate is read from the device.
            self.optimizer = self.make_optimizer(self.numbers.floats[1] if arguments.graph else rate)
        # A graph is recorded on a stream of its own, after steps there.
        self.stream = torch.cuda.Stream() if arguments.graph else None
        self.recorded = None

    def compiled(self, batch):
        """How batches are made, compiled; as it is where that fails, since it is a small part."""
        compiled = torch.compile(batch)
        try:
            compiled(self.numbers.floats, self.numbers.integers)
        except Exception as error:  # of whatever kind: there are many
            print(f"batches are not compiled: {error}", file=sys.stderr)
            return batch
        return compiled

    def make_optimizer(self, rate):
        parameters, fused = self.model.parameters(), self.arguments.fused
        if self.arguments.optimizer == "adamw":
            return torch.optim.AdamW(
                parameters, lr=rate, weight_decay=1e-2, fused=fused, capturable=self.arguments.graph
            )
        return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=1e-4, fused=fused)

    def normalised(self, images):
        return images.float().div_(255).sub_(self.mean).div_(self.deviation)

    def output(self, x):
        """Features for a capture, else logits; compiled, the network need not keep what else it gives."""
        return self.model(x)[0 if self.arguments.work == "capture" else 1]

    def apply(self, x):
        enabled = self.arguments.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled):
            return self.forward(x.contiguous(memory_format=self.layout))

    def update(self):
        """A step with the numbers that are in place."""
        # Recorded, this makes the backward pass write gradients instead of adding to them.
        self.optimizer.zero_grad(set_to_none=True)
        x, t = self.batch(self.numbers.floats, self.numbers.integers)
        loss = soft_cross_entropy(self.apply(x).float(), t)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def train(self):
        self.numbers.copy()
        if self.recorded:
            graph, loss = self.recorded
            graph.replay()
        else:
            loss = self.update()
        self.numbers.draw()
        return loss

    @torch.no_grad()
    def evaluate(self):
        start = int(torch.randint(self.count - self.arguments.batch + 1, ()))
        return self.apply(self.normalised(self.images[start : start + self.arguments.batch]))

    @torch.no_grad()
    def capture(self):
        pairs = torch.randint(self.count, (2, self.arguments.batch), device=self.device)
        weights = self.beta.sample((self.arguments.batch, 1, 1, 1)).to(self.device)
        first, second = (self.normalised(self.images[side]) for side in pairs)
        return self.apply(torch.lerp(second, first, weights)).float()

    def repeat(self, step, count):
        """Some steps, where a graph is to be recorded if there is to be one; they are waited for."""
        torch.cuda.synchronize()
        with torch.cuda.stream(self.stream):  # None: as it is
            for _ in range(count):
                step()
        torch.cuda.synchronize()

    def load(self, step):
        """Compiles, and brings all that steps need to the device."""
        if self.is_on_cuda:
            self.repeat(step, self.arguments.warmup)

    def settle(self, step):
        """Chooses kernels while nobody else uses the device, and records the step.

        Peaks of the device's memory count from when kernels are chosen.
        """
        if not self.is_on_cuda:
            return
        # cuDNN keeps what it has chosen by this setting too, and tries again when it changes.
        torch.backends.cudnn.allow_tf32 = False
        self.repeat(step, 3)
        if self.arguments.work == "train":
            self.optimizer.zero_grad(set_to_none=True)
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        if self.arguments.graph:
            graph = torch.cuda.CUDAGraph()
            # The backward pass has a thread of its own, which may do as it likes.
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                loss = self.update()
            self.recorded = graph, loss


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
        result["peak_device_reserved_bytes"] = torch.cuda.max_memory_reserved()
    return result


def main():
    arguments = parse_arguments()
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    # All but the default have what is tuned, as elsewhere.
    torch.backends.cudnn.benchmark = arguments.fused
    # float32 means float32. In bfloat16 this changes nothing, until `settle` makes use of it.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = arguments.serve and arguments.precision == "bf16"
    torch.manual_seed(arguments.seed)
    random.seed(arguments.seed)
    work = Work(arguments)
    step = getattr(work, arguments.work)
    work.load(step)
    if arguments.serve:
        print("ready", flush=True)
    for index, _ in enumerate(sys.stdin if arguments.serve else [None]):
        if index == 0:
            work.settle(step)
        print(json.dumps(measurement(arguments, step)), flush=True)


if __name__ == "__main__":
    main()
