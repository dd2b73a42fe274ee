"""Lists for people and pipes: whole ids and no control characters on a terminal, columns between tabs elsewhere."""

from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.core.management.base import OutputWrapper
from django.utils import timezone
from rich.console import Console
from rich.table import Table
from rich.text import Text

NARROW = 120
MOST = 10_000


@dataclass(frozen=True)
class Listing:
    """`whole` columns are never cut: what one types into the next command. `spared` ones, the least important, are
    left out where a terminal is narrow. `colours` are those of the words of the second column."""

    columns: Sequence[str]
    whole: Sequence[str]
    spared: Sequence[str] = ()
    colours: Mapping[str, str] = field(default_factory=dict)
    none_said: str = "There is none."

    def write(self, rows: Sequence[Sequence[str]], out: OutputWrapper) -> None:
        if not out.isatty():
            # One line a row, columns between tabs: for grep, cut and awk.
            out.write("\n".join("\t".join(row) for row in [self.columns, *rows]))
        elif rows:
            self._draw(rows, out)
        else:
            out.write(self.none_said)

    def _draw(self, rows: Sequence[Sequence[str]], out: OutputWrapper) -> None:
        console = Console(file=out)  # type: ignore[arg-type]  # OutputWrapper passes on to a file
        shown = [name for name in self.columns if console.width >= NARROW or name not in self.spared]
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
        for name in shown:
            is_whole = name in self.whole
            table.add_column(name, no_wrap=is_whole, overflow="fold", min_width=None if is_whole else 6)
        for row in rows:
            style = self.colours.get(row[1], "")
            cells = dict(zip(self.columns, row, strict=True))
            table.add_row(*(Text(cells[name], style=style if name == self.columns[1] else "") for name in shown))
        console.print(table)


def one_line(text: str) -> str:
    """Names are written by users: no control character of theirs reaches a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def duration(start: datetime, end: datetime | None) -> str:
    """Until now without an end, in whole seconds."""
    spent = (end or timezone.now()) - start
    return str(timedelta(seconds=int(spent.total_seconds())))


def count(text: str) -> int:
    """How many rows to show. Raises ArgumentTypeError for anything but a whole number from 1 to 10,000."""
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MOST):
        raise ArgumentTypeError(f"{text!r} must be a whole number from 1 to {MOST}")
    return int(text)
