"""A model of 2 GiB up and down again: speed, and what the web process needs for it.

`python -m bench.transfer [--mib 2048]`, also part of `make bench`. Starts a server of its own on a free loopback port.
MB are 10^6 bytes. The floor is what this machine needs to copy and digest such a file without any server.
"""

import argparse
import contextlib
import hashlib
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.memory import pss_mib, rss_mib
from tests.serving import KEY, RunningServer

MIB = 1024**2
BOUNDARY = "bench-transfer"
BEFORE = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="net.pth"\r\n\r\n'.encode()
AFTER = f"\r\n--{BOUNDARY}--\r\n".encode()
UP_MB_PER_S, DOWN_MB_PER_S, RISE_MIB = 150, 300, 64
LOOK_EVERY_S = 0.02


class Rise:
    """The most RSS and PSS above those of the beginning, in MiB, seen while the block runs."""

    def __init__(self, pid: int) -> None:
        self.rss = self.pss = 0.0
        self._pid = pid
        self._before = rss_mib(pid), pss_mib(pid)
        self._is_over = threading.Event()
        self._looking = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._is_over.wait(LOOK_EVERY_S):
            self.rss = max(self.rss, rss_mib(self._pid) - self._before[0])
            self.pss = max(self.pss, pss_mib(self._pid) - self._before[1])

    def __enter__(self) -> "Rise":
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._looking.join()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mib", type=int, default=2048, help="size of the model")
    size = arguments.parse_args().mib * MIB
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        model = Path(folder) / "net.pth"
        digest = make_file(model, size)
        copied = copy_and_digest(model, Path(folder) / "copy")
        with RunningServer(Path(folder) / "home") as server:
            server.start()
            upload(server.port, model, 16 * MIB, "warm")  # what is loaded once is no rise
            pid = server.pid("web")
            with Rise(pid) as up:
                sent = upload(server.port, model, size, "net")
            with Rise(pid) as down:
                received = download(server.port, "net", digest)
    show(size, copied, (sent, up), (received, down))


def make_file(path: Path, size: int) -> str:
    """Not compressible, and not the same block after block; its SHA-256."""
    block, digest = bytearray(os.urandom(16 * MIB)), hashlib.sha256()
    with path.open("wb") as file:
        for number in range(0, size, len(block)):
            block[:8] = number.to_bytes(8, "big")
            part = memoryview(block)[: size - number]
            file.write(part)
            digest.update(part)
        os.fsync(file.fileno())
    return digest.hexdigest()


def copy_and_digest(source: Path, target: Path) -> float:
    """Seconds for one process that does what an upload must: read, digest, write, make safe."""
    started, digest = time.perf_counter(), hashlib.sha256()
    with source.open("rb", buffering=0) as read, target.open("wb", buffering=0) as write:
        while block := read.read(MIB):
            digest.update(block)
            write.write(block)
        os.fsync(write.fileno())
    taken = time.perf_counter() - started
    target.unlink()
    return taken


@contextlib.contextmanager
def connected(port: int, head: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{head}Host: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        yield connection


def upload(port: int, model: Path, size: int, name: str) -> float:
    """Seconds from the first byte of the request to the last of the answer, for the first `size` bytes."""
    started, length = time.perf_counter(), len(BEFORE) + size + len(AFTER)
    kind = (
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\nConnection: close\r\n"
    )
    with connected(port, f"POST /api/v1/models?model_name={name} HTTP/1.1\r\n{kind}") as connection:
        with model.open("rb") as file:
            connection.sendall(BEFORE)
            connection.sendfile(file, count=size)
            connection.sendall(AFTER)
        head, _, body = b"".join(iter(lambda: connection.recv(MIB), b"")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), (head, body)
    assert json.loads(body)["size_mb"] == size / MIB
    return time.perf_counter() - started


def download(port: int, name: str, digest: str) -> float:
    """Seconds; the second time, which is not measured, what came is digested."""
    taken = 0.0
    for received in (None, hashlib.sha256()):
        started, block = time.perf_counter(), bytearray(MIB)
        with connected(port, f"GET /api/v1/models/{name} HTTP/1.1\r\nConnection: close\r\n") as connection:
            answer = connection.makefile("rb")
            head = b"".join(iter(lambda: answer.readline(), b"\r\n"))  # noqa: B023  used up at once
            assert head.startswith(b"HTTP/1.1 200") and digest.encode() in head, head
            while count := answer.readinto(block):
                if received is not None:
                    received.update(memoryview(block)[:count])
        taken = taken or time.perf_counter() - started
    assert received is not None and received.hexdigest() == digest
    return taken


def show(size: int, copied: float, up: tuple[float, Rise], down: tuple[float, Rise]) -> None:
    table = Table("figure", "measured", "goal", "", title=f"a model of {size // MIB} MiB")
    table.add_row("floor: copy + SHA-256 + fsync, no server", f"{size / copied / 1e6:.0f} MB/s", "", "")
    for name, (taken, rise), goal in (("upload, multipart", up, UP_MB_PER_S), ("download", down, DOWN_MB_PER_S)):
        rate = size / taken / 1e6
        table.add_row(name, f"{rate:.0f} MB/s", f">= {goal} MB/s", "holds" if rate >= goal else "MISSED")
        for kind, mib in (("RSS", rise.rss), ("PSS", rise.pss)):
            verdict = "holds" if mib <= RISE_MIB else "MISSED"
            table.add_row(f"  rise of the web process, {kind}", f"{mib:.1f} MiB", f"<= {RISE_MIB} MiB", verdict)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
