"""The smallest valid file of each format, and what others make of it."""

import gzip
import io
import json
import os
import pickle
import re
import struct
import tarfile
import warnings
import zipfile
import zlib

import images

ROWS, WIDTH = 12, 2
NUMBERS = [0, 1, -1, 2, 127, 128, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 + 1, 2**62, 2**63 - 1,
           2**63, 2**64 - 1, 10**30]
WORDS = ["nan", "-inf", "1e999", "-0.0", "null", "true", "[]", "{}", '""', "~", "0x10", "1_000", "../../escaped",
         "/etc/passwd", "\u0000", "\ud7ff", "é", "a" * 3000, "!!python/object:os.system", "&a *a", "<<", "1e308", "-1"]


def features():
    return b"".join(struct.pack("<f", (7 * index % 13) / 3 + index % 3) for index in range(ROWS * WIDTH))


def labels():
    return b"".join(struct.pack("<q", index % 3) for index in range(ROWS))


def safetensors():
    header = json.dumps({
        "features": {"dtype": "F32", "shape": [ROWS, WIDTH], "data_offsets": [0, 4 * ROWS * WIDTH]},
        "labels": {"dtype": "I64", "shape": [ROWS], "data_offsets": [4 * ROWS * WIDTH, 4 * ROWS * WIDTH + 8 * ROWS]},
    }).encode()
    return struct.pack("<Q", len(header)) + header + features() + labels()


def npy(descr="<f4", shape=(ROWS, WIDTH), content=None):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + (features() if content is None else content)


def npz(random=None):
    buffer = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if random and random.random() < 0.5 else zipfile.ZIP_STORED
    members = [("features.npy", npy()), ("labels.npy", npy("<i8", (ROWS,), labels()))]
    if random and random.random() < 0.2:
        members.append(random.choice(members))
    if random and random.random() < 0.2:
        members.append(("../../escaped", b"x"))
    with zipfile.ZipFile(buffer, "w", kind) as archive, warnings.catch_warnings():
        # One name twice is what is wanted.
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, mutated(content, random) if random and random.random() < 0.3 else content)
    return buffer.getvalue()


def csv():
    return "\n".join(["feature0,feature1,label"] + [f"{index / 7:.4f},{index % 5},{index % 3}" for index in range(ROWS)]).encode()


def idx():
    return bytes([0, 0, 8, 3]) + struct.pack(">3I", 30, 12, 12) + bytes(index % 251 for index in range(30 * 144))


def png():
    return images.png(bytes(range(144)), 12)


def tar(random=None):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for index in range(6):
            name = f"set/{'train' if index < 3 else 'test'}/{'abc'[index % 3]}/{index}.png"
            member = tarfile.TarInfo(name)
            content = png()
            if random and random.random() < 0.3:
                trap(member, random)
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content))
    content = buffer.getvalue()
    return gzip.compress(content) if random and random.random() < 0.3 else content


def trap(member, random):
    """Something that leads out of where an archive is unpacked."""
    kind = random.randrange(5)
    if kind == 0:
        member.name = "../" * random.randint(1, 5) + "escaped"
    elif kind == 1:
        member.name = "/tmp/collapse-escaped"
    elif kind == 2:
        member.type, member.linkname = tarfile.SYMTYPE, "../" * 6
    elif kind == 3:
        member.type, member.linkname = tarfile.LNKTYPE, "/etc/passwd"
    else:
        member.type = random.choice([tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])


class Touching:
    """Makes a file where a pickle is executed."""

    def __reduce__(self):
        return os.system, ("touch executed",)


def pickled(random):
    kind = random.randrange(3)
    if kind == 0:
        return "x.npy", npy("|O", (ROWS,), pickle.dumps(Touching()))
    if kind == 1:
        return "x.pkl", pickle.dumps({"features": Touching()})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Touching(), protocol=2))
        archive.writestr("archive/version", "3\n")
    return "x.pt", buffer.getvalue()


def mutated(data, random):
    """Bytes changed as an accident or an enemy changes them."""
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        data = random.choice([flipped, cut, longer, moved, numbered, reworded])(bytearray(data), random)
    return bytes(data)


def flipped(data, random):
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return data


def cut(data, random):
    return data[:random.randrange(len(data) + 1)]


def longer(data, random):
    place = random.randrange(len(data) + 1)
    return data[:place] + random.randbytes(random.choice([1, 3, 64, 5000])) + data[place:]


def moved(data, random):
    """A piece twice, or somewhere else."""
    start, place = random.randrange(len(data) + 1), random.randrange(len(data) + 1)
    piece = data[start:start + random.choice([1, 8, 100, 1000])]
    return data[:place] + piece + data[place + random.choice([0, len(piece)]):]


def numbered(data, random):
    """A number with a meaning, where one may stand."""
    size, order = random.choice([2, 4, 8]), random.choice(["little", "big"])
    number = (random.choice(NUMBERS) % (1 << 8 * size)).to_bytes(size, order)
    place = random.choice([0, 4, 8, 16, random.randrange(len(data) + 1)])
    return data[:place] + number + data[place + size:]


def reworded(data, random):
    """A number or word of a text replaced by another."""
    places = list(re.finditer(rb"-?\d+(?:\.\d+)?|[A-Za-z_]+", data[:20_000]))
    if not places:
        return data
    place = random.choice(places)
    word = str(random.choice(NUMBERS)) if random.random() < 0.6 else random.choice(WORDS)
    return data[:place.start()] + word.encode("utf-8", "surrogatepass") + data[place.end():]


def crc_mended(data):
    """A PNG whose first chunk has the right checksum again, so that its numbers are believed."""
    if len(data) < 33:
        return data
    return data[:29] + struct.pack(">I", zlib.crc32(data[12:29])) + data[33:]


def checksum_mended(data):
    """A tar whose headers have the right checksums again."""
    data = bytearray(data)
    for start in range(0, len(data) - 511, 512):
        header = data[start:start + 512]
        if header[257:262] == b"ustar":
            header[148:156] = b" " * 8
            data[start + 148:start + 156] = b"%06o\0 " % sum(header)
    return bytes(data)


def bomb(random):
    """Few bytes that say, or become, many."""
    size = 3 << 30
    kind = random.randrange(4)
    if kind == 0:
        return "train-images-idx3-ubyte.gz", gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**20, 64, 64)) + zeros(size // 8)
    if kind == 1:
        header = images.png(b"\0" * 144, 12)
        return "x.png", crc_mended(header[:16] + struct.pack(">II", 60_000, 60_000) + header[24:])
    if kind == 2:
        return "x.npy", npy("<f4", (2**40, 2**20), b"")
    aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12))
    return "x.yaml", aliases.encode()


def zeros(count):
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as file:
        for _ in range(count >> 20):
            file.write(bytes(1 << 20))
    return buffer.getvalue()
