# shellcheck shell=bash
# What test programmes in bash need before they start; sourced by them.

# free_ports COUNT: ports that nobody listens on
free_ports() {
  python3 - "$1" <<'PYTHON'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in held:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in held))
PYTHON
}

# write_images DIR: small pictures of three classes
write_images() {
  python3 - "$1" <<'PYTHON'
import random, struct, sys
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
        with open(f"{sys.argv[1]}/{prefix}-{name}-ubyte", "wb") as file:
            file.write(bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content)
PYTHON
}
