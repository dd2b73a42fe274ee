"""The log files that the FlowLine API lists: those of the server, and one per process and stream.

A process' `<number>.out` and `<number>.err` are views of the one log of its run.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from mlserver.errors import NotFound
from mlserver.paths import server_logs_root
from training import paths
from training.api.flowline.process_json import number_of
from training.models import Run, RunProcess
from training.models.run import DIRECTORY_COLUMNS
from training.tracking.logs import Stream
from training.tracking.logs.files import opened_index, opened_log
from training.tracking.logs.index import RECORD

MOST_PROCESSES = 1000
PROCESS_LOG = re.compile(r"(\d{1,18})\.(out|err)")
SERVER_LOG = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.log")
STREAMS = {"out": Stream.STDOUT, "err": Stream.STDERR}
INDEX_ROW = np.dtype({"names": ["length", "stream"], "formats": ["<u4", "u1"], "offsets": [16, 20], "itemsize": 24})
assert INDEX_ROW.itemsize == RECORD.size
# An index may be as long as a log; a piece of it is in memory.
BLOCK_BYTES = 65_536 * RECORD.size
COLUMNS = ("run", "rank", "ended_at", *(f"run__{name}" for name in DIRECTORY_COLUMNS))


@dataclass(frozen=True)
class LogFile:
    name: str
    path: Path
    size_bytes: int
    modified_at: datetime


def all_files() -> list[LogFile]:
    """The server's first, then those of the newest processes."""
    return [*server_files(), *process_files()]


def server_files() -> list[LogFile]:
    try:
        found = sorted(path for path in server_logs_root().iterdir() if SERVER_LOG.fullmatch(path.name))
    except OSError:
        return []
    return [file_of(path.name, path) for path in found if path.is_file() and not path.is_symlink()]


def file_of(name: str, path: Path) -> LogFile:
    stat = path.stat()
    return LogFile(name, path, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))


def process_files() -> Iterator[LogFile]:
    managed = RunProcess.objects.of_listed_tasks().launched()
    newest = managed.select_related("run").only(*COLUMNS).order_by("-pk")[:MOST_PROCESSES]
    for process in newest:
        with opened_log(process.run, process.rank) as log:
            if log is None:
                continue
            sizes = stream_sizes(process.run, process.rank)
            path = process.run.directory / paths.log_name(process.rank)
            at = process.ended_at or datetime.fromtimestamp(log.facts.st_mtime, UTC)
            for ending, stream in STREAMS.items():
                yield LogFile(f"{number_of(process.pk)}.{ending}", path, sizes.get(int(stream), 0), at)


def stream_sizes(run: Run, rank: int) -> dict[int, int]:
    """Bytes of each stream, by what the supervisor noted of each write; counted anew only when the log has grown."""
    with opened_index(run, rank) as index:
        return _sizes(run, rank, index.facts.st_ino, index.size) if index is not None else {}


@lru_cache(maxsize=MOST_PROCESSES)
def _sizes(run: Run, rank: int, newest_piece: int, index_size: int) -> dict[int, int]:
    """`newest_piece` is part of the key alone: a log that was rotated may have an index of the same size as before."""
    sums = np.zeros(256, np.int64)
    with opened_index(run, rank) as index:
        if index is None:
            return {}
        for start in range(0, index_size, BLOCK_BYTES):
            data = index.read(start, min(start + BLOCK_BYTES, index_size))
            rows = np.frombuffer(data[: len(data) - len(data) % RECORD.size], INDEX_ROW)
            sums += np.bincount(rows["stream"], weights=rows["length"], minlength=256).astype(np.int64)
    return {stream: int(sums[stream]) for stream in STREAMS.values()}


def find_process_log(name: str) -> tuple[RunProcess, Stream] | None:
    """The process and stream that a name of the list stands for; None for a name of another form."""
    match = PROCESS_LOG.fullmatch(name)
    if match is None:
        return None
    process = RunProcess.objects.of_listed_tasks().select_related("run").filter(pk=int(match[1]) + 1).first()
    if process is None:
        raise NotFound(f"there is no log {name}")
    return process, STREAMS[match[2]]
