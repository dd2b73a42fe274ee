"""Logs that no supervisor wrote: text alone, without index."""

from training.tracking.job_files import OpenFile
from training.tracking.logs.backward import Backward, newest_lines
from training.tracking.logs.index import LogIndex
from training.tracking.logs.reader import TAIL_BYTES
from training.tracking.logs.selection import Selection


def tail_of_file(file: OpenFile, lines: int) -> list[str]:
    """The last `lines`, oldest first, read from the end."""
    found = newest_lines(Backward(file, LogIndex(None), None, TAIL_BYTES), lines, Selection())
    return [line.text for line in found]
