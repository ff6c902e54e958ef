"""Writes the parts of images, scaled and flipped, with which the Swift tests compare theirs.

Run as `python Tests/References/make_resized_crops.py t10k-images-idx3-ubyte.gz`, with the test images of FashionMNIST:
three of them become the channels of one image, and two such stand side by side.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image
from safetensors.numpy import save_file

TESTS = Path(__file__).resolve().parent.parent
HEIGHT, WIDTH = 28, 40

# Top, left, rows, columns, and whether it is flipped.
BOXES = [
    (0, 0, 28, 40, 0),
    (0, 0, 28, 40, 1),
    (3, 5, 9, 12, 0),
    (10, 7, 17, 33, 1),
    (27, 39, 1, 1, 0),
    (5, 0, 1, 40, 1),
    (0, 11, 28, 2, 0),
    (4, 6, 14, 20, 0),
]


def scaled(image, box):
    """One channel as numbers: Pillow's own arithmetic without rounding to bytes."""
    top, left, rows, columns, flipped = box
    part = Image.fromarray(image.astype(np.float32), "F").crop((left, top, left + columns, top + rows))
    part = part.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    if flipped:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(part)


def scaled_bytes(image, box):
    """The whole image as torchvision has it of Pillow, rounded to bytes."""
    top, left, rows, columns, flipped = box
    part = Image.fromarray(image).crop((left, top, left + columns, top + rows))
    part = part.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    if flipped:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(part)


def main():
    content = gzip.open(sys.argv[1]).read()
    garments = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)
    count = len(BOXES)
    halves = garments[: 6 * count].reshape(count, 2, 3, 28, 28).transpose(0, 3, 1, 4, 2)
    images = np.ascontiguousarray(halves.reshape(count, 28, 56, 3)[:, :, 8:48])
    floats = [
        np.stack([scaled(image[:, :, c], box) for c in range(3)], axis=-1) for image, box in zip(images, BOXES)
    ]
    rounded = [scaled_bytes(image, box) for image, box in zip(images, BOXES)]
    path = TESTS / "TrainingTests/Fixtures/resized-crops.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file(
        {
            "images": images,
            "boxes": np.array(BOXES, np.int64),
            "numbers": np.stack(floats),
            "bytes": np.stack(rounded),
        },
        path,
        metadata={"pillow": PIL.__version__},
    )
    print(f"{path}: {path.stat().st_size:,} bytes")


main()
