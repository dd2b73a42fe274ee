"""Cutting a growing file of lines into pieces to send."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# At most so much in a batch: the server takes 10,000 rows, and half a megabyte keeps the interpreter's lock short.
AT_ONCE_BYTES = 512 * 1024
AT_ONCE_LINES = 5000
# A longer line is none that a library wrote; it is passed over.
LONGEST_LINE_BYTES = 16 * 1024**2


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def read(path: Path, start: int, end: int) -> bytes:
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        content = b""
        while len(content) < end - start and (piece := file.read(end - start - len(content))):
            content += piece
        return content


def end_of_stretch(path: Path, start: int, *, most_lines: int = AT_ONCE_LINES) -> int:
    """Where a batch of whole lines that begins at `start` ends; `start` when no line is whole yet."""
    content = read(path, start, start + AT_ONCE_BYTES)
    end = content.rfind(b"\n") + 1
    if not end and len(content) == AT_ONCE_BYTES:
        content = read(path, start, start + LONGEST_LINE_BYTES)
        end = content.find(b"\n") + 1 or (len(content) if len(content) == LONGEST_LINE_BYTES else 0)
    if content.count(b"\n", 0, end) > most_lines:
        end = 0
        for _ in range(most_lines):
            end = content.index(b"\n", end) + 1
    return start + end


def images_in(content: bytes) -> Iterator[dict[str, Any]]:
    """The data of image records among these lines, and under `time` when they were logged."""
    if b'"image"' not in content:
        return
    for line in content.split(b"\n"):
        if b'"image"' not in line:
            continue
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("type") == "image" and isinstance(record.get("data"), dict):
            yield {**record["data"], "time": record.get("ts")}
