"""Writes small pictures of three classes as IDX files: python3 images.py DIRECTORY."""

import pathlib
import random
import struct
import sys
import zlib


def write(directory):
    pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
    stream = random.Random(1)
    for prefix, count in (("train", 96), ("t10k", 30)):
        labels = bytes(index % 3 for index in range(count))
        pixels = bytearray()
        for label in labels:
            for row in range(12):
                for column in range(12):
                    bright = 4 * label <= row < 4 * label + 4 and 4 <= column < 8
                    pixels.append(stream.randrange(60) + (180 if bright else 0))
        for name, shape, content in (("images-idx3", (count, 12, 12), pixels), ("labels-idx1", (count,), labels)):
            with open(f"{directory}/{prefix}-{name}-ubyte", "wb") as file:
                file.write(bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content)


def write_folders(directory, count=30):
    """The test images, as a folder of PNG files a class, for training and test."""
    pixels = pathlib.Path(directory).parent.joinpath("data/t10k-images-idx3-ubyte").read_bytes()[16:]
    for index in range(count):
        for split in ("train", "test"):
            place = pathlib.Path(directory) / split / "abc"[index % 3]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{index}.png").write_bytes(png(pixels[144 * index:144 * (index + 1)], 12))


def png(pixels, side):
    """A square picture in colours that are greys."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(
        b"\0" + bytes(value for value in pixels[side * row:side * (row + 1)] for _ in range(3)) for row in range(side))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


if __name__ == "__main__":
    write(sys.argv[1])
