"""A progress bar on the standard error: rich's where it is installed, else lines of plain text."""

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator

Advance = Callable[[int], None]
STEP_PERCENT = 10


@contextlib.contextmanager
def progress(label: str, total: int | None, *, wanted: bool | None = None) -> Iterator[Advance]:
    """Call what it gives with the bytes of each block. `wanted` None: only when somebody sits at a terminal."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (is_terminal if wanted is None else wanted):
        yield lambda count: None
    elif is_terminal and importlib.util.find_spec("rich"):
        with rich_bar(label, total) as advance:
            yield advance
    else:
        bar = PlainBar(label, total)
        yield bar.advance
        bar.end()


@contextlib.contextmanager
def rich_bar(label: str, total: int | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


class PlainBar:
    """A line each ten percent, or each ten MB where the end is not known: it may go to a log."""

    def __init__(self, label: str, total: int | None) -> None:
        self._label, self._total = label, total
        self._done = 0
        self._said = 0

    def advance(self, count: int) -> None:
        self._done += count
        share = self._done * 100 // self._total // STEP_PERCENT if self._total else self._done // 10**7
        if share > self._said:
            self._said = share
            whole = f"{share * STEP_PERCENT:3} % of {self._total / 1e6:.1f} MB" if self._total else ""
            print(f"{self._label}: {whole or f'{self._done / 1e6:.0f} MB'}", file=sys.stderr)

    def end(self) -> None:
        """Where the end was not known, how much it came to be."""
        if not self._total:
            print(f"{self._label}: {self._done / 1e6:.1f} MB, done", file=sys.stderr)
