"""An HTTP server in its own process that accepts every transaction at once, to measure the client alone.

It responds to every request with `{}`, as DynamoDB does to a committed transaction, and stores nothing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PROGRAM = r"""
import re, socket, threading

ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n"
          b"x-amzn-RequestId: 0123456789ABCDEF\r\nx-amz-crc32: 2745614147\r\n\r\n{}")

def serve(peer):
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting = b""
    while True:
        head, ended, rest = waiting.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1]) if ended else 0
        if ended and len(rest) >= length:
            waiting = rest[length:]
            peer.sendall(ANSWER)
        elif more := peer.recv(1 << 16):
            waiting += more
        else:
            return

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


@contextmanager
def responder() -> Iterator[str]:
    """Run the server; yield its address."""
    process = subprocess.Popen([sys.executable, "-I", "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
