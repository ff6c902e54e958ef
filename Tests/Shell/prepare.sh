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
# shellcheck disable=SC2154
write_images() { python3 "$root/Tests/Campaign/images.py" "$1"; }
