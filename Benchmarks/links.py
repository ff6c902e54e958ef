"""Two hosts, played by network namespaces, and the link between them, as fast as it is told to be. Needs root, iproute2."""

import os
import shutil
import subprocess

from processes import Failed

NETWORK = "10.78.0"

# Bytes that may follow each other at full speed: little beside what a step sends, and more than a segment that the
# kernel passes on as one.
BURST = 128 * 1024


def ip(*arguments):
    command = ["ip", *map(str, arguments)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as failure:
        raise Failed(f"{' '.join(command)}: {failure.stderr.strip()}") from None


class Loopback:
    """Both workers on this host, whose addresses lead to itself."""

    name = "this host alone"
    hosts = 1
    address = "127.0.0.1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def on(self, rank, command):
        return command


class Link:
    """Two hosts with a link that takes so many Mbit/s each way."""

    hosts = 2

    def __init__(self, rate):
        self.rate = rate
        self.name = f"{rate:g} Mbit/s"
        self.address = f"{NETWORK}.1"
        self.names = [f"cb{os.getpid()}-{side}" for side in "ab"]

    def __enter__(self):
        if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("tc"):
            raise Failed("hosts need root and iproute2 (ip, tc); --links loopback needs neither")
        try:
            for host in self.names:
                ip("netns", "add", host)
            ip("link", "add", "name", "eth0", "netns", self.names[0], "type", "veth", "peer", "name", "eth0",
               "netns", self.names[1])
            for number, host in enumerate(self.names, 1):
                ip("-n", host, "address", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
                for device in ("lo", "eth0"):
                    ip("-n", host, "link", "set", device, "up")
                ip("netns", "exec", host, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate",
                   f"{self.rate:g}mbit", "burst", BURST, "latency", "100ms")
        except Failed:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for host in self.names:
            subprocess.run(["ip", "netns", "delete", host], capture_output=True)

    def on(self, rank, command):
        return ["ip", "netns", "exec", self.names[rank], *command]


def link_of(text):
    """A link by its rate, or this host."""
    return Loopback() if text == "loopback" else Link(float(text))
