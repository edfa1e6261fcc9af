"""Stands between sshd and OpenSSH's sftp-server and ends the session at the request that a file names; run by sshd, see tests/sshd.py."""

import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server", "/usr/lib/ssh/sftp-server")
KINDS = {"open": (3,), "read": (5,), "write": (6,), "rename": (18, 200)}
"""Numbers of the requests in the protocol; 200 is an extension, of which clients here use only posix-rename."""


def packets(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield every packet of a stream, whole."""
    while len(head := stream.read(4)) == 4:
        yield head + stream.read(struct.unpack(">I", head)[0])


def main(order: Path) -> None:
    """Pass everything on, but for the request named in the file; the file is used up."""
    path = next(path for path in SERVERS if Path(path).exists())
    server = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if server.stdin is None or server.stdout is None:
        raise SystemExit(1)
    dying = threading.Event()
    threading.Thread(target=answer, args=(server.stdout, dying), daemon=True).start()
    for packet in packets(sys.stdin.buffer):
        request, _, when = order.read_text("ascii").partition(" ") if order.exists() else ("", "", "")
        if packet[4] in KINDS.get(request, ()):
            order.unlink()
            if when == "before":
                os._exit(1)
            if when == "never":
                sys.stdin.buffer.read()
                os._exit(1)
            dying.set()
        server.stdin.write(packet)
        server.stdin.flush()
    server.stdin.close()
    server.wait()


def answer(stream: IO[bytes], dying: threading.Event) -> None:
    """Pass the answers back, until one must not get there."""
    for packet in packets(stream):
        if dying.is_set():
            os._exit(1)
        sys.stdout.buffer.write(packet)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
