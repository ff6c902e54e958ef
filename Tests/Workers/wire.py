#!/usr/bin/env python3
"""A slow and lossy wire between two network namespaces, for kernels without tc's netem.

    wire.py NAMESPACE ADDRESS NAMESPACE ADDRESS DELAY LOSS

Gives each namespace an interface `wire0` with an address (10.0.0.1/24), and carries packets from one to the other
DELAY milliseconds later, but for the share LOSS of them. Says "ready", and goes on until it is ended.
"""

import collections
import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time

NETWORK_NAMESPACE = 0x40000000  # CLONE_NEWNET
SET_INTERFACE = 0x400454CA  # TUNSETIFF
PLAIN_PACKETS = 0x0001 | 0x1000  # IFF_TUN | IFF_NO_PI


def opened(namespace, address):
    """The end of the wire in a namespace: what is written arrives there, and what is sent there can be read."""
    with open(f"/run/netns/{namespace}") as place:
        if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), NETWORK_NAMESPACE):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, SET_INTERFACE, struct.pack("16sH14x", b"wire0", PLAIN_PACKETS))
    subprocess.run(["ip", "address", "add", address, "dev", "wire0"], check=True)
    subprocess.run(["ip", "link", "set", "wire0", "up"], check=True)
    return end


def carry(ends, delay, loss):
    """Carries packets for ever."""
    stream = random.Random(1)
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    under_way = collections.deque()  # time of arrival, end, packet
    while True:
        wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
        for end in select.select(ends, [], [], wait)[0]:
            packet = os.read(end, 65536)
            if stream.random() >= loss:
                under_way.append((time.monotonic() + delay, other[end], packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, end, packet = under_way.popleft()
            try:
                os.write(end, packet)
            except OSError:
                pass  # An interface that is down loses it, as a wire would.


def main():
    first, first_address, second, second_address, delay, loss = sys.argv[1:]
    ends = [opened(first, first_address), opened(second, second_address)]
    print("ready", flush=True)
    carry(ends, float(delay) / 1000, float(loss))


main()
