"""What it costs to read logs of gigabytes through N9, as a table beside the goals.

`python -m bench.logs [--gib 1]`. Starts a server of its own on a free loopback port and stops it. One log is written in
full, lines of a training with one index record each; the other has a hole of 5 GiB and then such lines. Requests go
over one keep-alive connection; figures are medians, but the first one, for which the operating system has nothing of
the files in memory. Needs twice the size in the temporary directory.
"""

import argparse
import contextlib
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.engine import Row
from bench.memory import pss_mib, rss_mib
from bench.wire import Wire
from tests.serving import KEY, RunningServer

MIB, GIB = 1024**2, 1024**3
LINE_BYTES, BLOCK_LINES = 96, 16 * 1024**2 // 96
HOLE_BYTES = 5 * GIB
RECORD = np.dtype([("offset", "<u8"), ("time", "<f8"), ("length", "<u4"), ("stream", "u1"), ("pad", "V3")])
TIMES = 20
# Of each request what it asks, and the most it may take.
ASKED = {
    "tail=100": 10, "tail=100&stream=stderr": 15, "tail=100&collapse=1": 10, "tail=10000": 150,
    "tail=100&search=epoch+7": 150, "from=MIDDLE": 150,
}  # fmt: skip
FOLLOW_MS = 250


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--gib", type=float, default=1, help="size of the log that is written in full")
    size = int(arguments.parse_args().gib * GIB)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, RunningServer(Path(folder) / "home") as server:
        server.start()
        logs = {
            f"{size / GIB:g} GiB": BigLog(server, hole=0, text=size),
            f"{HOLE_BYTES / GIB:g} GiB, sparse": BigLog(server, hole=HOLE_BYTES, text=64 * MIB),
        }
        wire, rows = Wire(server.port, KEY), []
        for name, log in logs.items():
            rows += [asked(name, wire, log, query, most) for query, most in ASKED.items()]
            rows.append(followed(name, server, log))
        web = server.pid("web")
        rows.append(
            ("web process after all of it", f"{rss_mib(web):.0f} MiB RSS, {pss_mib(web):.0f} MiB PSS", "", True)
        )
    show(rows)


class BigLog:
    """The log of a run that goes on, as a supervisor would have left it so far."""

    def __init__(self, server: RunningServer, *, hole: int, text: int) -> None:
        answer = server.api.post("/api/v1/runs", json={"project": "bench"}).json()
        self.run_id: str = answer["id"]
        control = server.home / "control" / self.run_id
        control.mkdir(parents=True)
        self.text, self.index = Path(answer["run_dir"]) / "logs.txt", control / "logs.idx"
        self.text.parent.mkdir(parents=True, exist_ok=True)
        with self.text.open("wb") as lines, self.index.open("wb") as index:
            lines.truncate(hole)
            lines.seek(0, os.SEEK_END)
            for first in range(0, text // LINE_BYTES, BLOCK_LINES):
                index.write(records(lines.tell(), first, BLOCK_LINES))
                lines.write(b"".join(map(line, range(first, first + BLOCK_LINES))))

    def append(self, content: bytes) -> None:
        with self.text.open("ab") as lines, self.index.open("ab") as index:
            row = np.zeros(1, RECORD)
            row["offset"], row["time"], row["length"], row["stream"] = lines.tell(), time.time(), len(content), 1
            lines.write(content)
            lines.flush()
            index.write(row.tobytes())

    def forget(self) -> None:
        """Have the operating system drop what it has in memory."""
        for path in (self.text, self.index):
            with path.open("rb") as file:
                os.fdatasync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def line(number: int) -> bytes:
    return b"%-95s\n" % (b"epoch %d step %d loss %.6f accuracy %.6f" % (number // 1000, number, 1 / (number + 1), 0.9))


def records(offset: int, first: int, count: int) -> bytes:
    """One of ten lines is of the standard error."""
    numbers = np.arange(count)
    rows = np.zeros(count, RECORD)
    rows["offset"], rows["length"] = offset + numbers * LINE_BYTES, LINE_BYTES
    rows["time"], rows["stream"] = 1.7e9 + first + numbers, 1 + ((first + numbers) % 10 == 0)
    return rows.tobytes()


def asked(name: str, wire: Wire, log: BigLog, query: str, most_ms: float) -> Row:
    path = f"/api/v1/runs/{log.run_id}/logs?{query.replace('MIDDLE', str(log.text.stat().st_size // 2))}"
    log.forget()
    taken = [milliseconds(lambda: wire.get(path)) for _ in range(TIMES)]
    warm = statistics.median(taken[1:])
    return f"{name}, {query}", f"{warm:.1f} ms, first {taken[0]:.1f} ms", f"<= {most_ms} ms", warm <= most_ms


def followed(name: str, server: RunningServer, log: BigLog) -> Row:
    """From the write of a line to its event."""
    taken = []
    with following(server, log.run_id) as socket_file:
        for number in range(TIMES):
            content = b"new line %d" % number
            taken.append(milliseconds(lambda content=content: written_and_seen(log, socket_file, content)))  # type: ignore[misc]
            time.sleep(0.05)
    typical = statistics.median(taken)
    return f"{name}, follow, line seen after", f"{typical:.1f} ms", f"<= {FOLLOW_MS} ms", typical <= FOLLOW_MS


@contextlib.contextmanager
def following(server: RunningServer, run_id: str) -> Iterator[Iterator[bytes]]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = f"GET /api/v1/runs/{run_id}/logs?follow=1&tail=1 HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\n\r\n"
        connection.sendall(head.encode())
        with connection.makefile("rb") as answer:
            yield answer


def written_and_seen(log: BigLog, answer: Iterator[bytes], content: bytes) -> None:
    log.append(content + b"\n")
    for row in answer:
        if content + b'"' in row:
            return


def milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def show(rows: list[Row]) -> None:
    table = Table("figure", "measured", "goal", "", title="logs")
    for name, measured, goal, holds in rows:
        table.add_row(name, measured, goal, ("holds" if holds else "MISSED") if goal else "")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
