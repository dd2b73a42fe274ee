"""The end of a log: what a process said before it ended."""

from training.models import Run
from training.tracking.logs.files import opened_log

LAST_LINES_BYTES = 8192
LONGEST_LINE = 500


def last_lines(run: Run, rank: int) -> str:
    """The end of the log, empty when there is none to be read; a failing disk must not keep the run from ending."""
    try:
        with opened_log(run, rank) as log:
            if log is not None:
                return log.read(max(log.size - LAST_LINES_BYTES, 0), log.size).decode(errors="replace")
    except OSError:
        return ""
    return ""


def last_line(run: Run, rank: int) -> str:
    """The last line with anything on it, which of a Python traceback names the error; shortened."""
    lines = [line.strip() for line in last_lines(run, rank).splitlines() if line.strip()]
    return lines[-1].replace("\0", "")[:LONGEST_LINE] if lines else ""
